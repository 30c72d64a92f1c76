use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::conformance::{Evidence, LaneReport, checks, login};
use crate::protocol::revision::Revision;

fn report() -> Report {
    let check = checks::all().find(|check| check.id == "tools.list").unwrap();
    let outcomes = [
        Outcome::Passed,
        Outcome::Failed("it says <no> & \"never\"\u{1}".into()),
        Outcome::Warned("slow".into()),
        Outcome::NotExercised("no tools".into()),
    ];
    let findings = outcomes.into_iter().map(|outcome| {
        let mut finding = Finding::new(check, Revision::V2025_11_25, outcome);
        finding.evidence = vec![Evidence {
            request: "POST x".into(),
            response: "HTTP 500\n\u{1b}[1mNo\u{9b}2J".into(),
            again: "curl x".into(),
        }];
        finding
    });
    Report {
        lanes: vec![
            LaneReport { asked: Revision::V2026_07_28, tested: Err("it is of the other era".into()) },
            LaneReport { asked: Revision::V2025_11_25, tested: Ok((Revision::V2025_11_25, "Shop 1".into())) },
        ],
        findings: findings.collect(),
        sent: 4,
        ..Report::new("http://a.example/mcp".into())
    }
}

#[test]
fn nothing_is_told_to_a_terminal() {
    let (report, expected) = (report(), Expected::default());
    let text = Judged { report: &report, expected: &expected }.write(Form::Text);
    let obeyed = text.chars().find(|c| c.is_control() && *c != '\n');
    assert!(obeyed.is_none() && text.contains("  Came: HTTP 500  [1mNo2J\n"), "{text:?}");
}

#[test]
fn what_was_said_is_a_line_each() {
    let check = |request: &str, response: &str, again: &str, expected: [&str; 3]| {
        let mut report = report();
        let (request, response, again) = (request.to_owned(), response.to_owned(), again.to_owned());
        report.findings[1].evidence = vec![Evidence { request, response, again }];
        let text = Judged { report: &report, expected: &Expected::default() }.write(Form::Text);
        let lines: Vec<_> = text.lines().rev().take(4).collect();
        assert_eq!([lines[3], lines[2], lines[1]], expected, "{text}");
    };
    let usual = "content-type: application/json\naccept: application/json, text/event-stream\n";
    check(
        &format!("POST http://a.example/\n{usual}x-a: 1\n\n{{\"id\":1}}"),
        "HTTP 200\ncontent-type: application/json\n\n{\n  \"id\": \"1\",\n  \"result\": {}\n}\n",
        "curl x",
        [
            "  Sent: POST http://a.example/  x-a: 1  {\"id\":1}",
            "  Came: HTTP 200  { \"id\": \"1\", \"result\": {} }",
            "  See it again:",
        ],
    );
    let (long, cut) = ("a".repeat(401), format!("  Came: {}…", "a".repeat(400)));
    let yours = "  See it again, with your own in the place of what stands in [ ]:";
    for again in
        ["curl -H 'x-key: [header-1]' x", "curl -H 'x-key: [key-1]' x", "curl -H 'cookie: a=[cookie-1]' x"]
    {
        check("{}", &long, again, ["  Sent: {}", &cut, yours]);
    }
}

#[test]
fn every_form_tells_what_failed_and_how_to_see_it_again() {
    let (report, expected) = (report(), Expected::default());
    let judged = Judged { report: &report, expected: &expected };
    let text = judged.write(Form::Text);
    for part in
        ["1 passed, 1 failed, 1 warned, 1 not exercised", "not tested: it is of the other era", "    curl x"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.find("== Failed").unwrap() > text.find("== Warned").unwrap());
    let json: Value = serde_json::from_str(&judged.write(Form::Json)).unwrap();
    assert_eq!(json["counts"]["failed"], 1);
    assert_eq!(json["findings"][1]["evidence"][0]["again"], "curl x");
    let junit = judged.write(Form::Junit);
    assert!(junit.contains(r#"tests="4" failures="1" errors="0" skipped="1""#), "{junit}");
    assert!(junit.contains(r#"<testsuites name="chaterimo conformance" tests="5" failures="1" errors="0">"#));
    assert!(junit.contains(r#"<skipped message="it is of the other era"/>"#), "{junit}");
    assert!(
        junit.contains(r#"<failure message="it says &lt;no&gt; &amp; &quot;never&quot;" type="MUST">"#),
        "{junit}"
    );
    let sarif: Value = serde_json::from_str(&judged.write(Form::Sarif)).unwrap();
    let results = &sarif["runs"][0]["results"];
    assert_eq!(results.as_array().unwrap().len(), 2);
    assert_eq!((&results[0]["level"], &results[0]["ruleId"]), (&"error".into(), &"tools.list".into()));
    // Without a place in a file GitHub refuses all of it.
    for result in results.as_array().unwrap() {
        let place = &result["locations"][0];
        assert_eq!(place["physicalLocation"]["artifactLocation"]["uri"], "mcp-server");
        assert_eq!(place["physicalLocation"]["region"]["startLine"], 1);
        assert_eq!(place["logicalLocations"][0]["fullyQualifiedName"], "http://a.example/mcp");
    }
}

#[test]
fn what_was_expected_to_fail_and_did_not_fails_in_every_form() {
    let check = checks::all().find(|check| check.id == "tools.list").unwrap();
    let passed = Finding::new(check, Revision::V2025_11_25, Outcome::Passed);
    let report = Report { findings: vec![passed], ..report() };
    let expected = Expected::parse("server:\n- tools-list\n").unwrap();
    let judged = Judged { report: &report, expected: &expected };
    for (form, part) in [
        (Form::Text, "does not any more: tools-list."),
        (Form::Json, "\"failures\": 1,"),
        (Form::Junit, r#"tests="3" failures="1" errors="0">"#),
        (Form::Junit, r#"<testsuite name="expected failures" tests="1" failures="1""#),
        (Form::Sarif, r#""ruleId": "expected-failures.stale""#),
    ] {
        let written = judged.write(form);
        assert!(written.contains(part), "{part}: {written}");
    }
}

#[test]
fn what_is_found_without_a_lane_is_told_too() {
    let (mut report, expected) = (report(), Expected::default());
    report.lanes.clear();
    let junit = Judged { report: &report, expected: &expected }.write(Form::Junit);
    assert_eq!(
        (junit.matches("<testsuite ").count(), junit.matches("<testcase ").count()),
        (1, 4),
        "{junit}"
    );
}

#[test]
fn what_a_login_finds_has_a_rule_in_sarif() {
    let check = login::all().find(|check| check.id == "auth.server-document").unwrap();
    let failed = Finding::new(check, Revision::MODERN, Outcome::Failed("nothing there".into()));
    let report = Report { findings: vec![failed], ..report() };
    let judged = Judged { report: &report, expected: &Expected::default() };
    let sarif: Value = serde_json::from_str(&judged.write(Form::Sarif)).unwrap();
    let run = &sarif["runs"][0];
    let is_it = |rule: &Value| rule["id"] == run["results"][0]["ruleId"];
    assert!(run["tool"]["driver"]["rules"].as_array().unwrap().iter().any(is_it), "{run}");
}

#[test]
fn what_is_expected_does_not_count() {
    let (report, expected) = (report(), Expected::parse("server:\n- tools-list\n").unwrap());
    let judged = Judged { report: &report, expected: &expected };
    assert_eq!((judged.failures(), judged.stale().len()), (0, 0));
    assert!(judged.write(Form::Junit).contains(r#"failures="0""#));
    assert!(judged.write(Form::Text).contains("== Failed as expected"));
}

/// The part of the schema of SARIF 2.1.0 (OASIS, errata 01) that our members fall under, and what GitHub's code scanning
/// wants beyond it; members that are not named here are not written.
fn sarif_schema() -> Value {
    let message = json!({"type": "object", "required": ["text"], "additionalProperties": false,
        "properties": {"text": {"type": "string", "minLength": 1}}});
    let level = json!({"enum": ["none", "note", "warning", "error"]});
    let place = json!({"type": "object", "required": ["artifactLocation", "region"], "additionalProperties": false,
        "properties": {
            "artifactLocation": {"type": "object", "required": ["uri"], "additionalProperties": false,
                "properties": {"uri": {"type": "string", "pattern": "^[A-Za-z0-9/._-]+$"}}},
            "region": {"type": "object", "required": ["startLine"], "additionalProperties": false,
                "properties": {"startLine": {"type": "integer", "minimum": 1}}}}});
    let logical = json!({"type": "object", "additionalProperties": false,
        "properties": {"fullyQualifiedName": {"type": "string"}, "kind": {"type": "string"}}});
    let rule = json!({"type": "object", "additionalProperties": false,
        "required": ["id", "shortDescription", "fullDescription", "help"],
        "properties": {
            "id": {"type": "string"}, "shortDescription": message, "fullDescription": message, "help": message,
            "helpUri": {"type": "string", "pattern": "^https://[^ ]+$"},
            "defaultConfiguration": {"type": "object", "additionalProperties": false, "properties": {"level": level}}}});
    let result = json!({"type": "object", "additionalProperties": false,
        "required": ["message", "ruleId", "locations", "partialFingerprints"],
        "properties": {
            "ruleId": {"type": "string"}, "level": level, "message": message,
            "locations": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": false,
                "properties": {"physicalLocation": place, "logicalLocations": {"type": "array", "items": logical}}}},
            "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
            "suppressions": {"type": "array", "items": {"type": "object", "required": ["kind"],
                "additionalProperties": false,
                "properties": {"kind": {"enum": ["inSource", "external"]}, "justification": {"type": "string"}}}},
            "properties": {"type": "object"}}});
    let driver = json!({"type": "object", "required": ["name"], "additionalProperties": false, "properties": {
        "name": {"type": "string"}, "semanticVersion": {"type": "string", "pattern": "^[0-9]+[.][0-9]+[.][0-9]+"},
        "rules": {"type": "array", "uniqueItems": true, "items": rule}}});
    let run = json!({"type": "object", "required": ["tool", "results"], "additionalProperties": false, "properties": {
        "tool": {"type": "object", "required": ["driver"], "properties": {"driver": driver}},
        "results": {"type": "array", "items": result}}});
    json!({"type": "object", "required": ["version", "runs"], "additionalProperties": false, "properties": {
        "$schema": {"type": "string"}, "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": run}}})
}

#[test]
fn sarif_is_of_the_form_that_its_readers_want() {
    let validator = jsonschema::validator_for(&sarif_schema()).unwrap();
    for expected in ["", "server:\n- tools-list\n", "server:\n- tools.list\n- tools.call\n"] {
        let expected = Expected::parse(expected).unwrap();
        let mut report = report();
        let passed = checks::all().find(|check| check.id == "tools.call").unwrap();
        report.findings.push(Finding::new(passed, Revision::MODERN, Outcome::Passed));
        let judged = Judged { report: &report, expected: &expected };
        let sarif: Value = serde_json::from_str(&judged.write(Form::Sarif)).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&sarif).map(|e| format!("{} {e}", e.instance_path())).collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        let run = &sarif["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let ids: std::collections::BTreeSet<_> = rules.iter().map(|rule| rule["id"].as_str()).collect();
        assert_eq!(ids.len(), rules.len(), "an id of a rule is there twice");
        let all = run["results"].as_array().unwrap();
        assert!(!all.is_empty() && all.iter().all(|result| ids.contains(&result["ruleId"].as_str())));
    }
}

/// An element of a document without comments, CDATA or declarations: its name, its attributes, and what is in it.
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
}

impl Element {
    /// Reads the next element of `text` and what follows it.
    fn read(text: &str) -> (Element, &str) {
        let text = &text[text.find('<').unwrap()..];
        let (head, mut rest) = text[1..].split_once('>').unwrap();
        let (head, is_empty) = head.strip_suffix('/').map_or((head, false), |head| (head, true));
        let (name, attributes) = head.split_once(' ').unwrap_or((head, ""));
        let attributes = attributes.split("\" ").filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap_or_else(|| panic!("{pair}"));
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        });
        let mut element =
            Element { name: name.to_owned(), attributes: attributes.collect(), children: Vec::new() };
        if is_empty {
            return (element, rest);
        }
        loop {
            rest = &rest[rest.find('<').unwrap()..];
            if let Some(after) = rest.strip_prefix(&*format!("</{name}>")) {
                return (element, after);
            }
            let (child, after) = Element::read(rest);
            element.children.push(child);
            rest = after;
        }
    }

    fn count(&self, name: &str) -> String {
        let cases = self.children.iter();
        cases.filter(|case| case.children.iter().any(|child| child.name == name)).count().to_string()
    }
}

/// What Jenkins' `junit-10.xsd` allows: an element, its attributes, those that must be there first, and its children.
const JUNIT: [(&str, &[&str], usize, &[&str]); 7] = [
    ("testsuites", &["name", "time", "tests", "failures", "errors"], 0, &["testsuite"]),
    ("testsuite", &["name", "tests", "failures", "errors", "time", "skipped"], 4, &["testcase"]),
    ("testcase", &["name", "time", "classname"], 1, &["skipped", "error", "failure", "system-out"]),
    ("failure", &["type", "message"], 0, &[]),
    ("error", &["type", "message"], 0, &[]),
    ("skipped", &["type", "message"], 0, &[]),
    ("system-out", &[], 0, &[]),
];

fn fits_junit(element: &Element) {
    let name = &*element.name;
    let row = JUNIT.iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("<{name}>"));
    let (_, attributes, required, children) = row;
    for attribute in element.attributes.keys() {
        assert!(attributes.contains(&&**attribute), "<{name} {attribute}>");
    }
    for attribute in &attributes[..*required] {
        assert!(element.attributes.contains_key(*attribute), "<{name}> without {attribute}");
    }
    for child in &element.children {
        assert!(children.contains(&&*child.name), "<{}> in <{name}>", child.name);
        fits_junit(child);
    }
}

#[test]
fn junit_is_of_the_form_that_jenkins_wants_and_its_counts_are_right() {
    for expected in ["", "server:\n- tools-list\n", "server:\n- tools.call\n"] {
        let expected = Expected::parse(expected).unwrap();
        let mut report = report();
        let passed = checks::all().find(|check| check.id == "tools.call").unwrap();
        report.findings.push(Finding::new(passed, Revision::V2025_11_25, Outcome::Passed));
        let judged = Judged { report: &report, expected: &expected };
        let written = judged.write(Form::Junit);
        let body = written.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").unwrap();
        let (root, rest) = Element::read(body);
        assert_eq!((&*root.name, rest.trim()), ("testsuites", ""));
        fits_junit(&root);
        let mut failures = 0;
        for suite in &root.children {
            for (attribute, child) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
                assert_eq!(suite.attributes[attribute], suite.count(child), "{attribute}: {written}");
            }
            assert_eq!(suite.attributes["tests"], suite.children.len().to_string());
            failures += suite.attributes["failures"].parse::<usize>().unwrap();
        }
        assert_eq!(root.attributes["failures"], failures.to_string());
    }
}
