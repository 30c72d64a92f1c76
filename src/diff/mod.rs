//! What changed between two lists of tools (and of prompts and resources), for whoever calls them: each change is breaking,
//! additive or cosmetic, with the reason and the place.
//!
//! Callers write arguments and read answers. So a schema of arguments may only become wider, one of answers only narrower:
//! all else is breaking. That goes for a new value in an answer's `enum` too, for a reader may meet what it does not know;
//! but not for a new member of an answer, which readers pass over.

mod list;
mod schema;
mod surface;
mod tool;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub use self::surface::{LISTS, Surface};

/// How much a change matters, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// What people read: titles, descriptions, icons, the order.
    Cosmetic,
    /// More is possible than before, and all that was possible still is.
    Additive,
    /// What worked may fail.
    Breaking,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Class::Cosmetic => "cosmetic",
            Class::Additive => "additive",
            Class::Breaking => "breaking",
        })
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// How much it matters.
    pub class: Class,
    /// What it is of, such as `tool list_tickets`.
    pub of: String,
    /// Where in its definition, as a JSON pointer (RFC 6901); empty for the whole.
    pub pointer: String,
    /// What it means.
    pub reason: String,
    /// What stood there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// What changed from `old` to `new`, what matters most first; else in the order of the lists. Of lists that only one of them
/// knows nothing is said.
pub fn changes(old: &Surface, new: &Surface) -> Vec<Change> {
    let mut found = match (&old.tools, &new.tools) {
        (Some(old), Some(new)) => tool::changes(old, new),
        _ => Vec::new(),
    };
    found.extend(list::changes(old, new));
    found.sort_by_key(|change| std::cmp::Reverse(change.class));
    found
}

/// Notes changes of one definition.
struct Notes {
    of: String,
    found: Vec<Change>,
}

impl Notes {
    fn of(kind: &str, name: &str) -> Notes {
        Notes { of: format!("{kind} {name}"), found: Vec::new() }
    }

    fn note(
        &mut self,
        class: Class,
        pointer: &str,
        reason: impl Into<String>,
        old: Option<&Value>,
        new: Option<&Value>,
    ) {
        self.found.push(Change {
            class,
            of: self.of.clone(),
            pointer: pointer.to_owned(),
            reason: reason.into(),
            old: old.cloned(),
            new: new.cloned(),
        });
    }

    /// Notes each of these members that differs, as cosmetic.
    fn cosmetic(&mut self, names: &[&str], path: &str, old: &Value, new: &Value) {
        names.iter().for_each(|name| self.text(name, path, old.get(*name), new.get(*name)));
    }

    /// Notes a member of what stands at `path`, if it differs, as cosmetic.
    fn text(&mut self, name: &str, path: &str, old: Option<&Value>, new: Option<&Value>) {
        if old != new {
            let what = match (old, new) {
                (None, _) => "is new",
                (_, None) => "is gone",
                _ => "reads differently",
            };
            self.note(Class::Cosmetic, &format!("{path}/{name}"), format!("{name} {what}"), old, new);
        }
    }
}

#[cfg(test)]
mod tests;
