//! Limits of a schema: numbers that a value must keep to, and the forms of texts.

use serde_json::Value;

use super::Move;

/// A higher one takes less.
const FLOORS: [&str; 6] =
    ["exclusiveMinimum", "minContains", "minItems", "minLength", "minProperties", "minimum"];
/// A lower one takes less.
const CEILINGS: [&str; 6] =
    ["exclusiveMaximum", "maxContains", "maxItems", "maxLength", "maxProperties", "maximum"];
/// Whatever they say, to say it takes less than to say nothing.
const FORMS: [&str; 5] = ["contentEncoding", "contentMediaType", "format", "multipleOf", "pattern"];

/// Whether the keyword is a limit.
pub(super) fn is_one(name: &str) -> bool {
    name == "uniqueItems" || FLOORS.contains(&name) || CEILINGS.contains(&name) || FORMS.contains(&name)
}

/// Every limit.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FLOORS.into_iter().chain(CEILINGS).chain(FORMS).chain(["uniqueItems"])
}

/// What a limit that reads differently does.
pub(super) fn moved(name: &str, old: Option<&Value>, new: Option<&Value>) -> Option<Move> {
    if old == new {
        return None;
    }
    if name == "uniqueItems" {
        let wants = |said: Option<&Value>| said == Some(&Value::Bool(true));
        return match (wants(old), wants(new)) {
            (false, true) => Some(Move::Narrower),
            (true, false) => Some(Move::Wider),
            _ => None,
        };
    }
    let (Some(old), Some(new)) = (old, new) else {
        return Some(if old.is_none() { Move::Narrower } else { Move::Wider });
    };
    let (Some(before), Some(after)) = (old.as_f64(), new.as_f64()) else { return Some(Move::Aside) };
    let wholly = |large: f64, small: f64| (large / small).fract() == 0.0;
    match name {
        _ if before == after => None,
        "multipleOf" if wholly(after, before) => Some(Move::Narrower),
        "multipleOf" if wholly(before, after) => Some(Move::Wider),
        "multipleOf" => Some(Move::Aside),
        _ if FLOORS.contains(&name) == (after > before) => Some(Move::Narrower),
        _ => Some(Move::Wider),
    }
}
