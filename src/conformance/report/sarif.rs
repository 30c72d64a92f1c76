//! SARIF 2.1.0 (OASIS): a rule a check, a result for each that failed or warned.

use serde_json::{Value, json};

use super::Judged;
use crate::conformance::check::{Check, Level};
use crate::conformance::login;
use crate::conformance::page;
use crate::conformance::run::Finding;

pub(super) fn write(judged: &Judged<'_>) -> String {
    let rules: Vec<_> = login::all().map(rule).collect();
    let broken = judged.report.findings.iter().filter(|finding| !finding.outcome.is_well());
    let results: Vec<_> = broken.map(|finding| result(judged, finding)).collect();
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
    json!({
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": check.says},
        "helpUri": page(check.source, check.applies.newest()),
        "defaultConfiguration": {"level": level(check)},
    })
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
    let place = json!({"fullyQualifiedName": judged.report.target, "kind": "resource"});
    let mut result = json!({
        "ruleId": finding.check.id,
        "level": level(finding.check),
        "message": {"text": text},
        "locations": [{"logicalLocations": [place]}],
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
