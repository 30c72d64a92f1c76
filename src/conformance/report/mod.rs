//! A report, in the form that whoever reads it wants.

mod json;
mod junit;
mod sarif;
mod text;

use super::expected::Expected;
use super::run::{Finding, Outcome, Report};

/// A form to write a report in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people
    Text,
    /// Everything, for programs
    Json,
    /// For CI servers
    Junit,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// The rule that an entry breaks which was expected to fail and did not, where a form wants one.
struct Rule {
    id: &'static str,
    title: &'static str,
}

const STALE: Rule = Rule { id: "expected-failures.stale", title: "What is expected to fail does" };

fn stale_text(entry: &str) -> String {
    format!("Expected to fail, but it does not any more: {entry}. Take it off the list.")
}

/// A report and what was expected of it.
pub struct Judged<'a> {
    /// The report.
    pub report: &'a Report,
    /// The failures that are expected.
    pub expected: &'a Expected,
}

impl Judged<'_> {
    /// Whether a finding counts as a failure.
    pub fn fails(&self, finding: &Finding) -> bool {
        matches!(finding.outcome, Outcome::Failed(_)) && !self.expected.covers(finding)
    }

    /// Whether a finding is a failure that was expected.
    pub fn excuses(&self, finding: &Finding) -> bool {
        matches!(finding.outcome, Outcome::Failed(_)) && self.expected.covers(finding)
    }

    /// How many failures count.
    pub fn failures(&self) -> usize {
        self.report.findings.iter().filter(|finding| self.fails(finding)).count()
    }

    /// Entries of the expected failures that fail no more.
    pub fn stale(&self) -> Vec<&str> {
        self.expected.stale(&self.report.findings)
    }

    /// The report in this form, with a line feed at its end.
    pub fn write(&self, form: Form) -> String {
        match form {
            Form::Text => text::write(self),
            Form::Json => json::write(self),
            Form::Junit => junit::write(self),
            Form::Sarif => sarif::write(self),
        }
    }
}

#[cfg(test)]
mod tests;
