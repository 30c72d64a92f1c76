//! The official suite's file of expected failures: a list of scenarios under `server:`, in a small part of YAML.
//!
//! An entry is a scenario of that suite, `SCENARIO:CHECK`, or one of our checks by its id. A failure that an entry
//! covers is expected; an entry whose checks ran and none of which failed is stale, and fails the run.

use super::check::Check;
use super::login;
use super::run::{Finding, Outcome};
use crate::error::{Error, Result};

/// The entries of the file that are about servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expected(Vec<String>);

impl Expected {
    /// Reads the file: the keys `server` and `client`, each with a list, one entry a line; comments.
    ///
    /// # Errors
    /// `Invalid` with the number of the first line that is something else.
    pub fn parse(text: &str) -> Result<Expected> {
        let mut entries = Vec::new();
        let mut server = None;
        for (number, line) in text.lines().enumerate() {
            let wrong =
                |why: &str| Error::invalid(format!("Line {} of the expected failures {why}.", number + 1));
            let line = without_comment(line).trim_end();
            if line.trim().is_empty() || line == "---" {
                continue;
            }
            if let Some(item) = line.trim_start().strip_prefix('-') {
                let item = unquote(item.trim());
                if item.is_empty()
                    || item.starts_with(['{', '[', '&', '*', '!', '|', '>'])
                    || item.contains(": ")
                {
                    return Err(wrong("is no plain entry such as `- tools-list`"));
                }
                match server {
                    Some(true) => entries.push(item.to_owned()),
                    Some(false) => {}
                    None => return Err(wrong("stands under neither `server:` nor `client:`")),
                }
                continue;
            }
            match line.split_once(':') {
                Some((key @ ("server" | "client"), rest)) if matches!(rest.trim(), "" | "[]") => {
                    server = Some(key == "server");
                }
                _ => {
                    return Err(wrong("is neither `server:`, `client:` nor an entry such as `- tools-list`"));
                }
            }
        }
        Ok(Expected(entries))
    }

    /// Whether a failure of this finding is expected.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.0.iter().any(|entry| is_about(entry, finding))
    }

    /// The entries that are about no check of ours: scenarios that are tested by the official suite alone, or slips.
    pub fn unknown(&self) -> Vec<&str> {
        let is_known = |entry: &str| login::all().any(|check| names(entry, check));
        self.0.iter().map(String::as_str).filter(|entry| !is_known(entry)).collect()
    }

    /// The entries whose checks ran, and of which none failed.
    pub fn stale(&self, findings: &[Finding]) -> Vec<&str> {
        let ran = |entry: &str| {
            findings.iter().any(|f| is_about(entry, f) && !matches!(f.outcome, Outcome::NotExercised(_)))
        };
        let failed = |entry: &str| {
            findings.iter().any(|f| is_about(entry, f) && matches!(f.outcome, Outcome::Failed(_)))
        };
        self.0.iter().map(String::as_str).filter(|entry| ran(entry) && !failed(entry)).collect()
    }
}

fn is_about(entry: &str, finding: &Finding) -> bool {
    names(entry, finding.check)
}

fn names(entry: &str, check: &Check) -> bool {
    match entry.split_once(':') {
        Some((scenario, id)) => check.scenarios.contains(&scenario) && check.id == id,
        None => check.id == entry || check.scenarios.contains(&entry),
    }
}

fn without_comment(line: &str) -> &str {
    match line.find(" #") {
        _ if line.trim_start().starts_with('#') => "",
        Some(at) => line.get(..at).unwrap_or(line),
        None => line,
    }
}

fn unquote(text: &str) -> &str {
    let within = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::checks;
    use crate::protocol::revision::Revision;

    #[test]
    fn reads_the_files_of_the_official_suite_and_says_what_it_does_not_read() {
        let check = |text: &str, expected: Result<&[&str], &str>| {
            let read = Expected::parse(text);
            match expected {
                Ok(entries) => assert_eq!(read.unwrap().0, entries, "{text}"),
                Err(why) => assert!(read.unwrap_err().public.contains(why), "{text}"),
            }
        };
        check("", Ok(&[]));
        check("server: []\nclient: []\n", Ok(&[]));
        check(
            "# known\nserver:\n  - tools-list # soon\n- \"a:b\"\nclient:\n  - sse-retry\n",
            Ok(&["tools-list", "a:b"]),
        );
        check("server:\n  - 'ping'\n", Ok(&["ping"]));
        check("- ping\n", Err("Line 1"));
        check("server:\n  ping: true\n", Err("Line 2"));
        check("server:\n  - name: ping\n", Err("Line 2"));
        check("server: [ping]\n", Err("Line 1"));
    }

    #[test]
    fn tells_expected_failures_from_stale_entries() {
        let of = |id: &str, outcome: Outcome| {
            let check = checks::all().find(|check| check.id == id).unwrap();
            Finding::new(check, Revision::V2025_11_25, outcome)
        };
        let failed = of("tools.list", Outcome::Failed(String::new()));
        let passed = of("tools.list", Outcome::Passed);
        let skipped = of("tools.list", Outcome::NotExercised(String::new()));
        for entry in ["tools-list", "tools.list", "tools-list:tools.list"] {
            let expected = Expected::parse(&format!("server:\n- {entry}\n")).unwrap();
            assert!(expected.covers(&failed), "{entry}");
            assert_eq!(expected.stale(std::slice::from_ref(&passed)), [entry]);
            assert!(expected.stale(std::slice::from_ref(&failed)).is_empty());
            assert!(expected.stale(std::slice::from_ref(&skipped)).is_empty());
        }
        let unknown =
            "server:\n- tools-list\n- nosuch.check\n- tools.list\n- auth.token-answer\n- ping:tools.list\n";
        assert_eq!(Expected::parse(unknown).unwrap().unknown(), ["nosuch.check", "ping:tools.list"]);
        assert!(!Expected::parse("server:\n- ping\n").unwrap().covers(&failed));
    }
}
