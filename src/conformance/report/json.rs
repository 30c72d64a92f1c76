//! Everything, as one JSON object.

use serde_json::{Value, json};

use super::Judged;
use crate::conformance::run::Finding;

pub(super) fn write(judged: &Judged<'_>) -> String {
    let report = judged.report;
    let lanes = report.lanes.iter().map(|lane| match &lane.tested {
        Ok((revision, name)) => json!({"asked": lane.asked, "revision": revision, "server": name}),
        Err(why) => json!({"asked": lane.asked, "notTested": why}),
    });
    let counts = |word: &str| report.count(word);
    let whole = json!({
        "target": report.target,
        "tool": {"name": "chaterimo conformance", "version": env!("CARGO_PKG_VERSION")},
        "lanes": lanes.collect::<Vec<_>>(),
        "sent": report.sent,
        "refused": {"requests": report.refused.count, "as": report.refused.words},
        "counts": {
            "passed": counts("passed"),
            "failed": counts("failed"),
            "warned": counts("warned"),
            "notExercised": counts("not exercised"),
        },
        "failures": judged.failures() + judged.stale().len(),
        "unexpectedFailures": judged.failures(),
        "staleExpectations": judged.stale(),
        "findings": report.findings.iter().map(|finding| of(judged, finding)).collect::<Vec<_>>(),
    });
    format!("{whole:#}\n")
}

fn of(judged: &Judged<'_>, finding: &Finding) -> Value {
    let check = finding.check;
    json!({
        "id": check.id,
        "title": check.title,
        "revision": finding.revision,
        "outcome": finding.outcome.word(),
        "detail": finding.outcome.text(),
        "expected": judged.expected.covers(finding),
        "level": check.level.word(),
        "says": check.says,
        "url": finding.url(),
        "scenarios": check.scenarios,
        "tookMs": u64::try_from(finding.took_ms).unwrap_or(u64::MAX),
        "evidence": finding.evidence,
    })
}
