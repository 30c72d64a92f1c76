//! What two values have in common that are not equal: times, durations, placeholders; and where a value stands.

use serde_json::Value;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::protocol::rpc;

/// Units that make a number before them a duration.
const UNITS: [&str; 15] = [
    "ms",
    "s",
    "sec",
    "secs",
    "second",
    "seconds",
    "millisecond",
    "milliseconds",
    "min",
    "minute",
    "minutes",
    "h",
    "hour",
    "hours",
    "µs",
];

/// The most bytes of a placeholder.
const MAX_PLACEHOLDER: usize = 32;

/// A place in a message: a JSON pointer (RFC 6901) in which `*` stands for any one member or item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// Reads `/result/structuredContent/score`, or `/result/tools/*/description`.
    ///
    /// # Errors
    /// `Invalid` when it does not begin with a slash.
    pub fn parse(text: &str) -> Result<Pointer> {
        let parts = text.strip_prefix('/').ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no JSON pointer such as /result/structuredContent/score; it begins with a slash."
            ))
        })?;
        Ok(Pointer(parts.split('/').map(str::to_owned).collect()))
    }

    /// Whether `pointer` is this place or below it.
    pub fn covers(&self, pointer: &str) -> bool {
        let mut parts = pointer.split('/').skip(1);
        self.0.iter().all(|part| parts.next().is_some_and(|found| part == "*" || part == found))
    }
}

/// Whether the text is what the recorder put in the place of a secret, such as `[token-1]`.
pub fn is_placeholder(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.and_then(|inner| inner.rsplit_once('-')).is_some_and(|(kind, number)| {
        kind.bytes().all(|byte| byte.is_ascii_lowercase())
            && !kind.is_empty()
            && number.parse::<u32>().is_ok()
    })
}

/// Whether a placeholder stands in a text of `value`, wherever.
pub fn holds_placeholder(value: &Value) -> bool {
    match value {
        Value::String(text) => next_placeholder(text).is_some(),
        Value::Array(items) => items.iter().any(holds_placeholder),
        Value::Object(members) => members.values().any(holds_placeholder),
        _ => false,
    }
}

/// Where `now` is `recorded` with something in the place of each placeholder: the placeholders and what stands there. Where
/// it could be cut in more than one way, nobody knows where one ends; then it is none of them.
pub(super) fn taken_out<'t>(mut recorded: &'t str, now: &'t str) -> Option<Vec<(&'t str, &'t str)>> {
    let mut pieces = Vec::new();
    while let Some((before, placeholder, after)) = next_placeholder(recorded) {
        pieces.push((before, placeholder));
        recorded = after;
    }
    let Some(((first, _), later)) = pieces.split_first() else { return (recorded == now).then(Vec::new) };
    let within = now.strip_prefix(first)?.strip_suffix(recorded)?;
    let (mut values, mut rest) = (Vec::with_capacity(pieces.len()), within);
    for (before, _) in later {
        let (value, after) = rest.split_once(before)?;
        values.push(value);
        rest = after;
    }
    values.push(rest);
    // There is one way alone where the cuts from the end are those from the beginning.
    rest = within;
    let mut known = values.iter().rev();
    let is_sure = later.iter().rev().all(|(before, _)| {
        let cut = rest.rsplit_once(before);
        rest = cut.map_or("", |(left, _)| left);
        cut.map(|(_, value)| value) == known.next().copied()
    });
    let found = pieces.iter().map(|(_, placeholder)| *placeholder).zip(values);
    Some(found.filter(|_| is_sure).collect())
}

/// Whether two texts are one secret, as it is or percent-encoded: the recorder has one placeholder for both.
pub fn is_one_secret(one: &str, other: &str) -> bool {
    // A space is a plus in a form.
    let forms = |text: &str| [text, &*decoded(text)].map(|text| text.replace('+', " "));
    let others = forms(other);
    forms(one).iter().any(|form| others.contains(form))
}

/// `text` percent-decoded once; a plus is one.
pub fn decoded(text: &str) -> String {
    let value = format!("={}", text.replace('+', "%2B").replace('&', "%26"));
    let plain = form_urlencoded::parse(value.as_bytes()).next().map(|(_, plain)| plain.into_owned());
    plain.unwrap_or_default()
}

/// The first placeholder in a text, with what stands before it and after it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices('[').find_map(|(open, _)| {
        let close = open + 1 + text.bytes().skip(open).take(MAX_PLACEHOLDER).position(|byte| byte == b']')?;
        is_placeholder(&text[open..close]).then(|| (&text[..open], &text[open..close], &text[close..]))
    })
}

pub(super) fn is_time(text: &str) -> bool {
    Time::parse(text).is_some()
}

pub(super) fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The JSON object that a text holds.
pub(super) fn object(text: &str) -> Option<Value> {
    text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

/// A sentence without its numbers, of which a clock decides some: "try again in 17 s".
pub(super) fn without_numbers(text: &str) -> String {
    let word = |word: &str| {
        if word.starts_with(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
    };
    text.split_inclusive(|c: char| c.is_whitespace())
        .map(|part| word(part.trim()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A sentence in which each duration is `#` and its unit ("took 17 ms", "took 17ms"), and each time is `#`.
pub(super) fn without_durations(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric() && c != 'µ').to_owned();
    let is_number = |word: &str| word.parse::<f64>().is_ok();
    let shown = words.iter().enumerate().map(|(i, word)| {
        let number = bare(word);
        let digits = number.trim_end_matches(|c: char| c.is_alphabetic());
        let unit = number.get(digits.len()..).unwrap_or_default();
        let next = words.get(i + 1).map(|next| bare(next)).unwrap_or_default();
        let before_unit = unit.is_empty() && UNITS.contains(&&*next);
        match is_number(digits) && (UNITS.contains(&unit) || before_unit) {
            true => word.replace(digits, "#"),
            false if is_time(&number) => word.replace(&number, "#"),
            false => (*word).to_owned(),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// A value for people, of at most 64 characters.
pub fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => rpc::quote(text),
        value => {
            let text = value.to_string();
            match text.char_indices().nth(64) {
                Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                None => text,
            }
        }
    }
}
