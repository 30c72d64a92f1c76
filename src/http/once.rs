//! Forms that work once: what they make is shown on the page that answers, so reloading that page must not make it again.
//!
//! Such a form carries a value of its own. Those that were used are remembered until the server stops; a form from
//! before counts as used.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use data_encoding::HEXLOWER;

use crate::clock;
use crate::error::{Error, Kind, Result};

/// Values that are remembered: the newest.
const USED_MAX: usize = 10_000;

/// Half of a value: which run of the server, or which form.
type Half = [u8; 8];

/// The forms of one run of the server.
pub(super) struct Once {
    run: Half,
    used: Mutex<VecDeque<Half>>,
}

impl Default for Once {
    fn default() -> Once {
        Once { run: clock::random(), used: Mutex::default() }
    }
}

impl Once {
    /// The value of a new form: 32 characters.
    pub(super) fn value(&self) -> String {
        HEXLOWER.encode(&[self.run, clock::random()].concat())
    }

    /// Does `job` unless the form with this value was sent before. A form whose job failed can be sent again.
    ///
    /// # Errors
    /// `Conflict` for a form that was sent before; those of `job`.
    pub(super) fn with<T>(&self, value: &str, job: impl FnOnce() -> Result<T>) -> Result<T> {
        let form = self.form(value).filter(|form| self.take(*form)).ok_or_else(sent)?;
        let done = job();
        if done.is_err() {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).retain(|used| *used != form);
        }
        done
    }

    /// Which form of this run it is.
    fn form(&self, value: &str) -> Option<Half> {
        let bytes = HEXLOWER.decode(value.as_bytes()).ok()?;
        bytes.strip_prefix(&self.run)?.try_into().ok()
    }

    fn take(&self, form: Half) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains(&form) {
            return false;
        }
        if used.len() >= USED_MAX {
            used.pop_front();
        }
        used.push_back(form);
        true
    }
}

fn sent() -> Error {
    Error::new(
        Kind::Conflict,
        "This form was sent already, or the page is from before the server started anew. Nothing was done this time; the \
         forms on this page are new.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_works_once_and_again_after_a_failure() {
        let once = Once::default();
        let check = |value: &str, job: Result<i64>, expected: Option<Kind>| {
            assert_eq!(once.with(value, || job).err().map(|error| error.kind), expected, "{value}");
        };
        let value = once.value();
        check(&value, Err(Error::invalid("no label")), Some(Kind::Invalid));
        check(&value, Ok(1), None);
        check(&value, Ok(2), Some(Kind::Conflict));
        check(&once.value(), Ok(3), None);
        for foreign in [Once::default().value().as_str(), "", "x", &value[..30], &format!("{value}00")] {
            check(foreign, Ok(4), Some(Kind::Conflict));
        }
    }

    #[test]
    fn the_newest_are_remembered() {
        let once = Once::default();
        let newest = once.value();
        for value in (0..USED_MAX).map(|_| once.value()).chain([newest.clone()]) {
            once.take(once.form(&value).unwrap());
        }
        assert_eq!(once.used.lock().unwrap().len(), USED_MAX);
        assert!(!once.take(once.form(&newest).unwrap()));
    }
}
