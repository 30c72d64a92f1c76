//! What a search of the log asks for: a query string that can be kept as a bookmark.

use std::borrow::Borrow;

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::http::form::{Form, query};
use crate::http::pages::format::Times;
use crate::store::call_log::{Class, Filter, Span, Wanted};

/// Characters of what is searched for.
const CHARS_MAX: usize = 100;
/// The fields of the form, in its order.
const FIELDS: [&str; 7] = ["from", "to", "tool", "outcome", "credential", "client", "text"];

/// A search, as it was asked for and as the log understands it.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    /// The fields that were filled in.
    fields: Vec<(&'static str, String)>,
    pub filter: Filter,
    /// The number that the page's calls are below.
    pub before: Option<i64>,
}

impl Asked {
    /// Reads a query string. Days are those of the organisation's zone.
    ///
    /// # Errors
    /// `Invalid`, which names the field, what came and what is wanted.
    pub(in crate::http) fn of(form: &Form, times: &Times) -> Result<Asked> {
        let mut asked = Asked::typed(form);
        if let Some((name, _)) = asked.fields.iter().find(|(_, value)| value.chars().count() > CHARS_MAX) {
            return Err(wrong(&format!("{name}: at most {CHARS_MAX} characters are searched for.")));
        }
        asked.before = number(form, "before")?;
        let own = |name: &str| Some(asked.value(name).to_owned()).filter(|value| !value.is_empty());
        asked.filter = Filter {
            span: asked.span(times)?,
            tool: own("tool"),
            outcome: asked.outcome()?,
            credential: own("credential"),
            client: own("client"),
            text: own("text"),
        };
        Ok(asked)
    }

    /// What was typed, whatever it is: for the form alone, the filter lets everything through.
    pub(in crate::http) fn typed(form: &Form) -> Asked {
        let fields = FIELDS.iter().filter_map(|name| Some((*name, form.text(name)?.to_owned()))).collect();
        Asked { fields, filter: Filter::default(), before: None }
    }

    /// What stands in a field.
    pub(in crate::http) fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value)
    }

    /// Whether `value` is what stands in a field of choices.
    pub(in crate::http) fn chose(&self, name: &str, value: &str) -> bool {
        self.value(name) == value
    }

    /// Whether anything is filled in.
    pub(in crate::http) fn is_narrowed(&self) -> bool {
        !self.fields.is_empty()
    }

    /// `path` with these fields.
    pub(in crate::http) fn link(&self, path: &str) -> String {
        self.link_with(path, None)
    }

    /// The page of what comes before the call of that number.
    pub(in crate::http) fn older(&self, before: impl Borrow<i64>) -> String {
        self.link_with("/sessions", Some(*before.borrow()))
    }

    fn link_with(&self, path: &str, before: Option<i64>) -> String {
        let before = before.map(|before| before.to_string());
        let pairs = self.fields.iter().map(|(name, value)| (*name, value.as_str()));
        let query = query(pairs.chain(before.as_deref().map(|before| ("before", before))));
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }

    fn span(&self, times: &Times) -> Result<Span> {
        let (from, to) = (self.date("from")?, self.date("to")?);
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(wrong(
                "The first day comes after the last: exchange them, or leave one of them out.",
            ));
        }
        let midnight = |date: Option<Date>| -> Option<Time> { times.midnight(date?) };
        let after = to.map(|to| to.saturating_add(1.day()));
        Ok(Span { from: midnight(from), until: midnight(after) })
    }

    fn date(&self, name: &str) -> Result<Option<Date>> {
        let value = self.value(name);
        if value.is_empty() {
            return Ok(None);
        }
        let date = value.parse::<Date>().ok().filter(|date| (1970..=9_000).contains(&date.year()));
        date.map(Some)
            .ok_or_else(|| wrong(&format!("{name}: came {value:?}; wanted a day such as 2026-11-22.")))
    }

    fn outcome(&self) -> Result<Option<Wanted>> {
        Ok(Some(match self.value("outcome") {
            "" => return Ok(None),
            "ok" => Wanted::Class(Class::Ok),
            "refused" => Wanted::Class(Class::Refused),
            "failed" => Wanted::Class(Class::Failed),
            code if code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
                Wanted::Code(code.to_owned())
            }
            other => {
                let text = format!(
                    "outcome: came {other:?}; wanted ok, refused, failed, or a code such as not_found."
                );
                return Err(wrong(&text));
            }
        }))
    }
}

fn number(form: &Form, name: &str) -> Result<Option<i64>> {
    let Some(value) = form.text(name) else { return Ok(None) };
    value.parse().map(Some).map_err(|_| wrong(&format!("{name}: came {value:?}; wanted a call's number.")))
}

fn wrong(text: &str) -> Error {
    Error::invalid(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    /// 2026-11-22T08:00:00Z.
    const NOW: Time = Time(1_795_334_400_000);

    fn asked(query: &str) -> Result<Asked> {
        Asked::of(&Form::parse(query.as_bytes()), &Times::new("Europe/Berlin", NOW))
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let check = |query: &str, from: Option<&str>, until: Option<&str>| {
            let span = asked(query).unwrap().filter.span;
            let text = |time: Option<Time>| time.map(|time| time.to_string());
            assert_eq!((text(span.from).as_deref(), text(span.until).as_deref()), (from, until), "{query}");
        };
        check("", None, None);
        check("from=2026-11-22&to=2026-11-22", Some("2026-11-21T23:00:00Z"), Some("2026-11-22T23:00:00Z"));
        // Twenty-five hours, as that day had there.
        check("from=2026-10-25&to=2026-10-25", Some("2026-10-24T22:00:00Z"), Some("2026-10-25T23:00:00Z"));
        check("to=2026-07-01", None, Some("2026-07-01T22:00:00Z"));
    }

    #[test]
    fn what_cannot_be_asked_for() {
        let long = format!("text={}", "x".repeat(101));
        let queries = [
            "from=yesterday",
            "to=2026-13-01",
            "from=2026-02-02&to=2026-02-01",
            "outcome=a%20b",
            "before=x",
            "from=-009999-01-01",
            &long,
        ];
        for query in queries {
            assert_eq!(asked(query).unwrap_err().kind, Kind::Invalid, "{query}");
        }
    }

    #[test]
    fn links_carry_what_was_asked_for() {
        let check = |query: &str, expected: &str| {
            assert_eq!(asked(query).unwrap().link("/sessions"), expected);
        };
        check("", "/sessions");
        check("text=&tool=+&before=9", "/sessions");
        check("credential=key:3&text=a%26b&unknown=1", "/sessions?credential=key%3A3&text=a%26b");
        assert_eq!(asked("tool=x").unwrap().older(7), "/sessions?tool=x&before=7");
        assert_eq!(asked("").unwrap().older(7), "/sessions?before=7");
    }
}
