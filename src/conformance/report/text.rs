//! For people: counts first, what failed last, for the end of a long text is what is on the screen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Judged, stale_text};
use crate::conformance::evidence::Evidence;
use crate::conformance::run::{Finding, Outcome};
use crate::error::{one_line, plain};
use crate::protocol::revision::Revision;

/// Characters that are shown of what was sent, and of what came.
const MAX_CHARS: usize = 400;
/// Fields that say nothing: nearly every request and answer has them.
const USUAL: [&str; 2] = ["content-type: application/json", "accept: application/json, text/event-stream"];

pub(super) fn write(judged: &Judged<'_>) -> String {
    let report = judged.report;
    let mut out = format!("{}\n\n", report.target);
    if report.refused.count > 0 {
        let (words, count) = (&report.refused.words, report.refused.count);
        let _ = writeln!(
            out,
            "The server limits how often it may be called ({words}): {count} requests were refused. What they were for is \
             not exercised; a credential that may call more often tests it.\n"
        );
    }
    for lane in &report.lanes {
        let _ = match &lane.tested {
            Ok((revision, name)) => {
                writeln!(
                    out,
                    "{revision}  {name}\n            {}",
                    counts(judged, |found| found == *revision)
                )
            }
            Err(why) => writeln!(out, "{}  not tested: {why}", lane.asked),
        };
    }
    if report.lanes.is_empty() {
        let _ = writeln!(out, "{}", counts(judged, |_| true));
    }
    let _ = writeln!(out, "\n{} messages and requests were sent.", report.sent);
    not_exercised(judged, &mut out);
    section(
        "Warned: the specification says SHOULD",
        judged,
        |f| matches!(f.outcome, Outcome::Warned(_)),
        &mut out,
    );
    section("Failed as expected", judged, |f| judged.excuses(f), &mut out);
    section("Failed", judged, |f| judged.fails(f), &mut out);
    for entry in judged.stale() {
        let _ = writeln!(out, "\n{}", stale_text(entry));
    }
    plain(&out).into_owned()
}

fn section(title: &str, judged: &Judged<'_>, belongs: impl Fn(&Finding) -> bool, out: &mut String) {
    let mut all = judged.report.findings.iter().filter(|finding| belongs(finding)).peekable();
    if all.peek().is_some() {
        let _ = writeln!(out, "\n== {title}");
        all.for_each(|finding| one(finding, out));
    }
}

fn counts(judged: &Judged<'_>, belongs: impl Fn(Revision) -> bool) -> String {
    let count = |word: &str| {
        judged.report.findings.iter().filter(|f| belongs(f.revision) && f.outcome.word() == word).count()
    };
    ["passed", "failed", "warned", "not exercised"].map(|word| format!("{} {word}", count(word))).join(", ")
}

/// What was not exercised, by reason.
fn not_exercised(judged: &Judged<'_>, out: &mut String) {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in &judged.report.findings {
        if let Outcome::NotExercised(why) = &finding.outcome {
            let ids = reasons.entry(why).or_default();
            if !ids.contains(&finding.check.id) {
                ids.push(finding.check.id);
            }
        }
    }
    if !reasons.is_empty() {
        let _ = writeln!(out, "\n== Not exercised");
    }
    for (why, ids) in reasons {
        let _ = writeln!(out, "{why}:\n    {}", ids.join(", "));
    }
}

fn one(finding: &Finding, out: &mut String) {
    let check = finding.check;
    let _ = writeln!(out, "\n{}  ({}, {})", check.id, check.title, finding.revision);
    let _ = writeln!(out, "  {}", finding.outcome.text());
    let _ = writeln!(out, "  {}: {}\n  {}", check.level.word(), check.says, finding.url());
    if !check.scenarios.is_empty() {
        let _ = writeln!(out, "  Official scenario: {}", check.scenarios.join(", "));
    }
    if let Some(last) = finding.evidence.last() {
        evidence(last, out);
    }
}

fn evidence(evidence: &Evidence, out: &mut String) {
    for (what, text) in [("Sent", &evidence.request), ("Came", &evidence.response)] {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let told = head.lines().filter(|line| !line.is_empty() && !USUAL.contains(line));
        let body = body.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let line = told.chain(Some(&*body).filter(|body| !body.is_empty())).collect::<Vec<_>>().join("  ");
        let more = if line.chars().nth(MAX_CHARS).is_some() { "…" } else { "" };
        let _ = writeln!(out, "  {what}: {}{more}", one_line(&line, MAX_CHARS));
    }
    let secret = ["[token-", "[header-", "[secret-", "[url-", "[key-", "[cookie-"]
        .iter()
        .any(|mark| evidence.again.contains(mark));
    let yours = if secret { ", with your own in the place of what stands in [ ]" } else { "" };
    let _ = writeln!(out, "  See it again{yours}:");
    evidence.again.lines().for_each(|line| {
        let _ = writeln!(out, "    {line}");
    });
}
