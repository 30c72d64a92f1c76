//! What became of each row of the table.

use super::table::CHECKS;
use crate::conformance::{Check, Finding, Outcome};
use crate::protocol::revision::Revision;

/// What became of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
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
pub struct Notes(Vec<(&'static str, Trial)>);

impl Notes {
    /// Nothing yet.
    pub fn new() -> Notes {
        Notes::default()
    }

    /// Notes `trial` of the rule `id`. What failed stays failed, and a trial is more than none.
    pub fn note(&mut self, id: &'static str, trial: Trial) {
        debug_assert!(CHECKS.iter().any(|row| name(row.id) == id), "{id} is no row");
        match self.0.iter_mut().find(|(found, _)| *found == id) {
            Some((_, Trial::Failed(_))) => {}
            Some(_) if matches!(trial, Trial::NotExercised(_)) => {}
            Some((_, before)) => *before = trial,
            None => self.0.push((id, trial)),
        }
    }

    /// The server holds to it.
    pub fn pass(&mut self, id: &'static str, seen: impl Into<String>) {
        self.note(id, Trial::Passed(seen.into()));
    }

    /// It does not.
    pub fn fail(&mut self, id: &'static str, seen: impl Into<String>) {
        self.note(id, Trial::Failed(seen.into()));
    }

    /// It does, but.
    pub fn warn(&mut self, id: &'static str, seen: impl Into<String>) {
        self.note(id, Trial::Warned(seen.into()));
    }

    /// It could not be tried.
    pub fn skip(&mut self, id: &'static str, why: impl Into<String>) {
        self.note(id, Trial::NotExercised(why.into()));
    }

    /// Whether the server holds to it.
    pub fn judge(&mut self, id: &'static str, holds: bool, seen: impl Into<String>) {
        let seen = seen.into();
        self.note(id, if holds { Trial::Passed(seen) } else { Trial::Failed(seen) });
    }

    /// What became of the rule `id`, if it was come to.
    pub fn of(&self, id: &str) -> Option<&Trial> {
        self.0.iter().find(|(found, _)| *found == id).map(|(_, trial)| trial)
    }

    /// The findings of all rows, in the order of the table; `revision` is the one that the report cites, `otherwise` why
    /// some were not come to.
    pub fn findings(&self, revision: Revision, otherwise: &str) -> Vec<Finding> {
        let finding = |check: &'static Check| {
            let (outcome, seen) = match self.of(name(check.id)) {
                Some(Trial::Passed(seen)) => (Outcome::Passed, Some(seen.clone())),
                Some(Trial::Failed(seen)) => (check.broken(seen.clone()), None),
                Some(Trial::Warned(seen)) => (Outcome::Warned(seen.clone()), None),
                Some(Trial::NotExercised(why)) => (Outcome::NotExercised(why.clone()), None),
                None => (Outcome::NotExercised(otherwise.to_owned()), None),
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
