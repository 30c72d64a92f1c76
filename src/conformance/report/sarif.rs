//! SARIF 2.1.0 (OASIS): a rule a check, a result for each that failed or warned, and for each that was expected to and
//! did not.
//!
//! GitHub's code scanning refuses a file in which a result has no place in a file of the repository. A server that is tested
//! from outside has none, so each result stands in line 1 of [`PLACE`], and says in its logical location which server it is.
//! It also wants a full description and a text of help of every rule, which the schema of OASIS leaves out.

use serde_json::{Value, json};

use super::{Judged, STALE, stale_text};
use crate::conformance::check::{Check, Level};
use crate::conformance::login;
use crate::conformance::page;
use crate::conformance::run::Finding;

/// The file that all results are placed in; it need not be there.
const PLACE: &str = "mcp-server";

pub(super) fn write(judged: &Judged<'_>) -> String {
    let rules: Vec<_> = login::all().map(rule).chain([stale_rule()]).collect();
    let broken = judged.report.findings.iter().filter(|finding| !finding.outcome.is_well());
    let broken = broken.map(|finding| result(judged, finding));
    let results: Vec<_> =
        broken.chain(judged.stale().into_iter().map(|entry| stale(judged, entry))).collect();
    let whole = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "chaterimo conformance",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    });
    format!("{whole:#}\n")
}

fn rule(check: &Check) -> Value {
    let url = page(check.source, check.applies.newest());
    json!({
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.says},
        "help": {"text": format!("{}: {}\n{url}", check.level.word(), check.says)},
        "helpUri": url,
        "defaultConfiguration": {"level": level(check)},
    })
}

fn stale_rule() -> Value {
    json!({
        "id": STALE.id,
        "shortDescription": {"text": STALE.title},
        "fullDescription": {"text": "An entry of --expected-failures fails no more."},
        "help": {"text": "Take the entry off the list."},
        "defaultConfiguration": {"level": "error"},
    })
}

fn stale(judged: &Judged<'_>, entry: &str) -> Value {
    json!({
        "ruleId": STALE.id,
        "level": "error",
        "message": {"text": stale_text(entry)},
        "locations": [location(judged)],
        "partialFingerprints": fingerprint(&[STALE.id, entry]),
    })
}

fn location(judged: &Judged<'_>) -> Value {
    json!({
        "physicalLocation": {"artifactLocation": {"uri": PLACE}, "region": {"startLine": 1}},
        "logicalLocations": [{"fullyQualifiedName": judged.report.target, "kind": "resource"}],
    })
}

/// What tells results in the same line apart, for GitHub takes it from the line otherwise.
fn fingerprint(parts: &[&str]) -> Value {
    json!({"primaryLocationLineHash": parts.join(":")})
}

fn level(check: &Check) -> &'static str {
    match check.level {
        Level::Must => "error",
        Level::Should => "warning",
    }
}

fn result(judged: &Judged<'_>, finding: &Finding) -> Value {
    let mut text = format!("{} ({}): {}", finding.check.title, finding.revision, finding.outcome.text());
    if let Some(last) = finding.evidence.last() {
        text.push_str("\nSee it again: ");
        text.push_str(&last.again);
    }
    let mut result = json!({
        "ruleId": finding.check.id,
        "level": level(finding.check),
        "message": {"text": text},
        "locations": [location(judged)],
        "partialFingerprints": fingerprint(&[finding.check.id, finding.revision.as_str()]),
        "properties": {"revision": finding.revision, "url": finding.url(), "evidence": finding.evidence},
    });
    if let (Value::Object(members), true) = (&mut result, judged.excuses(finding)) {
        members.insert(
            "suppressions".into(),
            json!([{"kind": "external", "justification": "expected to fail"}]),
        );
    }
    result
}
