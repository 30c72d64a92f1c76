//! JUnit's XML, as CI servers read it: a suite a revision, a case a check. A revision that was not tested is a suite with
//! a case that is skipped where the server speaks another, and an error where it speaks none; entries that were expected to fail and did not are a suite of failures.

use std::fmt::Write as _;

use super::{Judged, STALE, stale_text};
use crate::conformance::run::{Finding, Outcome};

pub(super) fn write(judged: &Judged<'_>) -> String {
    let report = judged.report;
    let untested = report.lanes.iter().filter_map(|lane| Some((lane.asked, lane.tested.as_ref().err()?)));
    let (untested, stale): (Vec<_>, _) = (untested.collect(), judged.stale());
    let skipped = |f: &Finding| matches!(f.outcome, Outcome::NotExercised(_)) || judged.excuses(f);
    let count = |all: &[&Finding]| {
        let failures = all.iter().filter(|f| judged.fails(f)).count();
        let skipped = all.iter().filter(|f| skipped(f)).count();
        (all.len(), failures, skipped)
    };
    let all: Vec<_> = report.findings.iter().collect();
    // A server may speak one era alone.
    let speaks_any = report.lanes.iter().any(|lane| lane.tested.is_ok());
    let errors = if speaks_any { 0 } else { untested.len() };
    let (tests, failures, _) = count(&all);
    let totals = counts(tests + stale.len() + untested.len(), failures + stale.len(), errors);
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"chaterimo conformance\" {totals}>\n"
    );
    let lanes = report.lanes.iter().filter_map(|lane| lane.tested.as_ref().ok());
    let mut suites: Vec<_> = lanes.map(|(revision, name)| (*revision, &**name)).collect();
    // What a login finds is found without a lane where it is all that was wanted, or where nobody gets in.
    for finding in &all {
        if !suites.iter().any(|(revision, _)| *revision == finding.revision) {
            suites.push((finding.revision, "login"));
        }
    }
    for (revision, name) in suites {
        let lane: Vec<_> = all.iter().copied().filter(|f| f.revision == revision).collect();
        let took: u128 = lane.iter().map(|f| f.took_ms).sum();
        let name = escape(&format!("{} {name} {revision}", report.target));
        let ((tests, failures, skipped), time) = (count(&lane), seconds(took));
        let counts = counts(tests, failures, 0);
        let _ = writeln!(out, "  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\" time=\"{time}\">");
        lane.iter().for_each(|finding| case(judged, finding, &mut out));
        out.push_str("  </testsuite>\n");
    }
    for (asked, why) in untested {
        let (name, why) = (escape(&format!("{} {asked}", report.target)), escape(why));
        let (word, errors, skipped) = if speaks_any { ("skipped", 0, 1) } else { ("error", 1, 0) };
        let case = format!(
            "<testcase classname=\"{asked}\" name=\"The revision can be tested\"><{word} message=\"{why}\"/></testcase>"
        );
        suite(&name, &counts(1, 0, errors), skipped, &[case], &mut out);
    }
    if !stale.is_empty() {
        let case = |entry: &&str| {
            let (id, entry, text) = (STALE.id, escape(entry), escape(&stale_text(entry)));
            format!(
                "<testcase classname=\"{id}\" name=\"{entry}\"><failure message=\"{text}\" type=\"MUST\"/></testcase>"
            )
        };
        let cases: Vec<_> = stale.iter().map(case).collect();
        suite("expected failures", &counts(stale.len(), stale.len(), 0), 0, &cases, &mut out);
    }
    out + "</testsuites>\n"
}

fn counts(tests: usize, failures: usize, errors: usize) -> String {
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
}

fn suite(name: &str, counts: &str, skipped: usize, cases: &[String], out: &mut String) {
    let _ = writeln!(out, "  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\" time=\"0.000\">");
    cases.iter().for_each(|case| {
        let _ = writeln!(out, "    {case}");
    });
    out.push_str("  </testsuite>\n");
}

fn case(judged: &Judged<'_>, finding: &Finding, out: &mut String) {
    let check = finding.check;
    let (id, title) = (escape(check.id), escape(check.title));
    let _ = write!(
        out,
        "    <testcase classname=\"{}.{id}\" name=\"{title}\" time=\"{}\"",
        finding.revision,
        seconds(finding.took_ms)
    );
    let text = escape(finding.outcome.text());
    let _ = match &finding.outcome {
        Outcome::Passed => writeln!(out, "/>"),
        Outcome::NotExercised(_) => writeln!(out, "><skipped message=\"{text}\"/></testcase>"),
        Outcome::Failed(_) if judged.excuses(finding) => {
            writeln!(out, "><skipped message=\"expected to fail: {text}\"/></testcase>")
        }
        Outcome::Failed(_) => {
            let about = escape(&about(finding));
            writeln!(out, "><failure message=\"{text}\" type=\"MUST\">{about}</failure></testcase>")
        }
        Outcome::Warned(_) => {
            let about = escape(&format!("Warned: {}\n{}", finding.outcome.text(), about(finding)));
            writeln!(out, "><system-out>{about}</system-out></testcase>")
        }
    };
}

fn about(finding: &Finding) -> String {
    let mut text = format!("{}\n{}\n", finding.check.says, finding.url());
    for evidence in &finding.evidence {
        let _ = write!(text, "\n{}\n\n{}\n\n{}\n", evidence.request, evidence.response, evidence.again);
    }
    text
}

fn seconds(millis: u128) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// `text` for an attribute or between tags; what XML 1.0 cannot hold is left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            '\r' | '\u{fffe}' | '\u{ffff}' => {}
            c if c < ' ' => {}
            c => out.push(c),
        }
    }
    out
}
