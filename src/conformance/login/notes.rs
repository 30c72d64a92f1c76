//! What became of each row of the table.

use super::table::CHECKS;
use crate::conformance::{Check, Finding, Level, Outcome};
use crate::protocol::revision::Revision;

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server holds to it; what was seen.
    Passed(String),
    /// It does not; what was seen.
    Failed(String),
    /// It does, but somebody should know what was seen.
    Warned(String),
    /// It could not be tried; why.
    NotExercised(String),
}

/// What became of the rules that were tried, in the order of trying.
#[derive(Debug, Default)]
pub struct Notes(Vec<(&'static str, Verdict)>);

impl Notes {
    /// Nothing yet.
    pub fn new() -> Notes {
        Notes::default()
    }

    /// Notes `verdict` on the rule `id`. What failed stays failed, and a trial is more than none.
    pub fn note(&mut self, id: &'static str, verdict: Verdict) {
        debug_assert!(CHECKS.iter().any(|row| name(row.id) == id), "{id} is no row");
        match self.0.iter_mut().find(|(found, _)| *found == id) {
            Some((_, Verdict::Failed(_))) => {}
            Some(_) if matches!(verdict, Verdict::NotExercised(_)) => {}
            Some((_, before)) => *before = verdict,
            None => self.0.push((id, verdict)),
        }
    }

    /// The server holds to it.
    pub fn pass(&mut self, id: &'static str, seen: impl Into<String>) {
        self.note(id, Verdict::Passed(seen.into()));
    }

    /// It does not.
    pub fn fail(&mut self, id: &'static str, seen: impl Into<String>) {
        self.note(id, Verdict::Failed(seen.into()));
    }

    /// It does, but.
    pub fn warn(&mut self, id: &'static str, seen: impl Into<String>) {
        self.note(id, Verdict::Warned(seen.into()));
    }

    /// It could not be tried.
    pub fn skip(&mut self, id: &'static str, why: impl Into<String>) {
        self.note(id, Verdict::NotExercised(why.into()));
    }

    /// Whether the server holds to it.
    pub fn judge(&mut self, id: &'static str, holds: bool, seen: impl Into<String>) {
        let seen = seen.into();
        self.note(id, if holds { Verdict::Passed(seen) } else { Verdict::Failed(seen) });
    }

    /// What became of the rule `id`, if it was come to.
    pub fn of(&self, id: &str) -> Option<&Verdict> {
        self.0.iter().find(|(found, _)| *found == id).map(|(_, verdict)| verdict)
    }

    /// The findings of all rows, in the order of the table; `revision` is the one that the report cites.
    pub fn findings(&self, revision: Revision) -> Vec<Finding> {
        let finding = |check: &'static Check| {
            let (outcome, seen) = match (self.of(name(check.id)), check.level) {
                (Some(Verdict::Passed(seen)), _) => (Outcome::Passed, Some(seen.clone())),
                (Some(Verdict::Failed(seen)), Level::Must) => (Outcome::Failed(seen.clone()), None),
                (Some(Verdict::Failed(seen)), Level::Should) => (Outcome::Warned(seen.clone()), None),
                (Some(Verdict::Warned(seen)), _) => (Outcome::Warned(seen.clone()), None),
                (Some(Verdict::NotExercised(why)), _) => (Outcome::NotExercised(why.clone()), None),
                (None, _) => (Outcome::NotExercised("what comes before it did not succeed".to_owned()), None),
            };
            Finding { said: seen.into_iter().collect(), ..Finding::new(check, revision, outcome) }
        };
        CHECKS.iter().map(finding).collect()
    }
}

/// An id without its family.
fn name(id: &str) -> &str {
    id.strip_prefix("auth.").unwrap_or(id)
}
