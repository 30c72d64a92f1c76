use serde_json::Value;

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
        finding.evidence =
            vec![Evidence { request: "POST x".into(), response: "HTTP 500".into(), again: "curl x".into() }];
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
