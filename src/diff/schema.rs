//! Changes of a JSON Schema: whether it takes more than it did, or less, keyword by keyword.

mod bounds;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Class, Notes};
use crate::protocol::transcript::compare::below;

/// How deep a schema is followed; references may go in circles.
const MAX_DEPTH: usize = 32;
/// What people read.
const TEXTS: [&str; 8] =
    ["$comment", "$id", "$schema", "deprecated", "description", "examples", "title", "readOnly"];
/// Keywords that are looked at each in its own way; what is elsewhere is compared as it stands.
const KNOWN: [&str; 14] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "definitions",
    "enum",
    "items",
    "oneOf",
    "properties",
    "required",
    "type",
];

/// Who writes what the schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The caller: arguments.
    Input,
    /// The server: answers.
    Output,
}

/// What happened to the set of values that a schema takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Wider,
    Narrower,
    /// Some go and some come.
    Aside,
}

/// Notes what changed from `old` to `new`.
pub(super) fn schemas(notes: &mut Notes, side: Side, path: &str, old: &Value, new: &Value) {
    Walk { notes, side, roots: [old, new], depth: 0 }.schema(path, old, new);
}

struct Walk<'a, 'n> {
    notes: &'n mut Notes,
    side: Side,
    /// Where references lead.
    roots: [&'a Value; 2],
    depth: usize,
}

impl Walk<'_, '_> {
    fn schema(&mut self, path: &str, old: &Value, new: &Value) {
        if (old == new && self.same_references()) || self.depth >= MAX_DEPTH {
            return;
        }
        self.depth += 1;
        let [old_root, new_root] = self.roots;
        let (old, new) = (resolved(old, old_root), resolved(new, new_root));
        self.notes.cosmetic(&TEXTS, path, old, new);
        self.types(path, old, new);
        self.values(path, old, new);
        self.default(path, old, new);
        bounds::each(old, new, |name, how| {
            self.moved(
                &format!("{path}/{name}"),
                how,
                &format!("the limit {name}"),
                old.get(name),
                new.get(name),
            );
        });
        self.members(path, old, new);
        self.openness(path, old, new);
        self.inner(path, "items", old, new);
        for name in ["anyOf", "oneOf"] {
            self.alternatives(path, name, old, new);
        }
        self.parts(path, old, new);
        self.others(path, old, new);
        self.depth -= 1;
    }

    /// Whether equal references mean equal schemas.
    fn same_references(&self) -> bool {
        let [old, new] = self.roots;
        ["$defs", "definitions"].iter().all(|name| old.get(name) == new.get(name))
    }

    fn moved(&mut self, path: &str, how: Move, what: &str, old: Option<&Value>, new: Option<&Value>) {
        let (class, words) = match (self.side, how) {
            (Side::Input, Move::Wider) => (Class::Additive, "takes more than it did"),
            (Side::Input, Move::Narrower) => (Class::Breaking, "takes less than it did"),
            (Side::Input, Move::Aside) => (Class::Breaking, "takes something else than it did"),
            (Side::Output, Move::Wider) => (Class::Breaking, "may be what it could not be before"),
            (Side::Output, Move::Narrower) => (Class::Additive, "promises more than it did"),
            (Side::Output, Move::Aside) => (Class::Breaking, "may be something else than before"),
        };
        self.notes.note(class, path, format!("{what} {words}"), old, new);
    }

    fn types(&mut self, path: &str, old: &Value, new: &Value) {
        let (before, after) = (types_of(old), types_of(new));
        let fits = |inner: &BTreeSet<&str>, outer: &BTreeSet<&str>| {
            inner.iter().all(|kind| outer.contains(kind) || (*kind == "integer" && outer.contains("number")))
        };
        let how = match (fits(&before, &after), fits(&after, &before)) {
            (true, true) => return,
            (true, false) => Move::Wider,
            (false, true) => Move::Narrower,
            (false, false) => Move::Aside,
        };
        self.moved(&format!("{path}/type"), how, "the type", old.get("type"), new.get("type"));
    }

    /// `enum` and `const`.
    fn values(&mut self, path: &str, old: &Value, new: &Value) {
        let (before, after) = (values_of(old), values_of(new));
        let how = match (&before, &after) {
            (None, None) => return,
            (None, Some(_)) => Move::Narrower,
            (Some(_), None) => Move::Wider,
            (Some(before), Some(after)) => {
                let gone = before.iter().any(|value| !after.contains(value));
                let come = after.iter().any(|value| !before.contains(value));
                match (gone, come) {
                    (false, false) => return,
                    (true, false) => Move::Narrower,
                    (false, true) => Move::Wider,
                    (true, true) => Move::Aside,
                }
            }
        };
        let list =
            |values: Option<Vec<&Value>>| values.map(|values| values.into_iter().cloned().collect::<Value>());
        let name = if old.get("enum").or(new.get("enum")).is_some() { "enum" } else { "const" };
        let (before, after) = (list(before), list(after));
        self.moved(&format!("{path}/{name}"), how, "the list of values", before.as_ref(), after.as_ref());
    }

    /// Who leaves an argument out gets something else where its default changed.
    fn default(&mut self, path: &str, old: &Value, new: &Value) {
        let (before, after) = (old.get("default"), new.get("default"));
        if before == after {
            return;
        }
        let (class, reason) = match (self.side, before, after) {
            (Side::Input, Some(_), Some(_)) => (Class::Breaking, "who leaves it out gets another default"),
            (_, None, _) => (Class::Cosmetic, "the default is told now"),
            (_, _, None) => (Class::Cosmetic, "the default is told no more"),
            _ => (Class::Cosmetic, "the default reads differently"),
        };
        self.notes.note(class, &format!("{path}/default"), reason, before, after);
    }

    fn members(&mut self, path: &str, old: &Value, new: &Value) {
        let none = Map::new();
        let of = |schema: &'_ Value| schema.get("properties").and_then(Value::as_object).cloned();
        let (before, after) = (of(old).unwrap_or(none.clone()), of(new).unwrap_or(none));
        let (was_required, is_required) = (required_of(old), required_of(new));
        for (name, member) in &before {
            let place = below(&format!("{path}/properties"), name);
            match (after.get(name), self.side) {
                (None, Side::Input) => {
                    self.notes.note(Class::Breaking, &place, "the argument is gone", None, None)
                }
                (None, Side::Output) => {
                    self.notes.note(Class::Breaking, &place, "the member is gone", None, None)
                }
                (Some(now), _) => {
                    self.schema(&place, member, now);
                    self.required(&place, was_required.contains(&&**name), is_required.contains(&&**name));
                }
            }
        }
        for name in after.keys().filter(|name| !before.contains_key(*name)) {
            let place = below(&format!("{path}/properties"), name);
            let (class, reason) = match (self.side, is_required.contains(&&**name)) {
                (Side::Input, true) => (Class::Breaking, "the argument is new and must be given"),
                (Side::Input, false) => (Class::Additive, "the argument is new and may be left out"),
                (Side::Output, _) => (Class::Additive, "the member is new"),
            };
            self.notes.note(class, &place, reason, None, None);
        }
        for name in
            is_required.iter().filter(|name| !after.contains_key(**name) && !was_required.contains(*name))
        {
            let how = if self.side == Side::Input { Class::Breaking } else { Class::Additive };
            self.notes.note(
                how,
                &format!("{path}/required"),
                format!("{name} must be there now"),
                None,
                None,
            );
        }
    }

    fn required(&mut self, place: &str, was: bool, is: bool) {
        let (class, reason) = match (self.side, was, is) {
            (Side::Input, false, true) => (Class::Breaking, "the argument must be given now"),
            (Side::Input, true, false) => (Class::Additive, "the argument may be left out now"),
            (Side::Output, true, false) => (Class::Breaking, "the member may be missing now"),
            (Side::Output, false, true) => (Class::Additive, "the member is always there now"),
            _ => return,
        };
        self.notes.note(class, place, reason, None, None);
    }

    /// Whether members may be there that are not named.
    fn openness(&mut self, path: &str, old: &Value, new: &Value) {
        let name = "additionalProperties";
        let (before, after) = (old.get(name), new.get(name));
        let is_open = |said: Option<&Value>| said != Some(&Value::Bool(false));
        let place = format!("{path}/{name}");
        let (class, reason) = match (self.side, is_open(before), is_open(after)) {
            (Side::Input, true, false) => (Class::Breaking, "arguments that are not named are refused now"),
            (Side::Input, false, true) => (Class::Additive, "arguments that are not named are taken now"),
            (Side::Output, true, false) => (Class::Additive, "there are only the named members now"),
            (Side::Output, false, true) => (Class::Additive, "there may be more than the named members now"),
            (_, true, true) => {
                let any = Value::Bool(true);
                return self.schema(&place, before.unwrap_or(&any), after.unwrap_or(&any));
            }
            _ => return,
        };
        self.notes.note(class, &place, reason, before, after);
    }

    /// A schema within: a missing one takes everything.
    fn inner(&mut self, path: &str, name: &str, old: &Value, new: &Value) {
        let any = Value::Bool(true);
        if old.get(name).is_some() || new.get(name).is_some() {
            let (before, after) = (old.get(name).unwrap_or(&any), new.get(name).unwrap_or(&any));
            self.schema(&format!("{path}/{name}"), before, after);
        }
    }

    /// `anyOf` and `oneOf`: what is equal on both sides is left out, the rest is compared in pairs.
    fn alternatives(&mut self, path: &str, name: &str, old: &Value, new: &Value) {
        let list = |schema: &Value| schema.get(name).and_then(Value::as_array).cloned();
        let place = format!("{path}/{name}");
        let (before, after) = match (list(old), list(new)) {
            (None, None) => return,
            (None, Some(_)) => return self.moved(&place, Move::Narrower, "the choice", None, new.get(name)),
            (Some(_), None) => return self.moved(&place, Move::Wider, "the choice", old.get(name), None),
            (Some(before), Some(after)) => (before, after),
        };
        let same_references = self.same_references();
        let rest = |list: &[Value], other: &[Value]| {
            let odd = list.iter().enumerate().filter(|(_, item)| !same_references || !other.contains(item));
            odd.map(|(i, item)| (i, item.clone())).collect::<Vec<_>>()
        };
        let (gone, come) = (rest(&before, &after), rest(&after, &before));
        for ((_, before), (i, after)) in gone.iter().zip(&come) {
            self.schema(&format!("{place}/{i}"), before, after);
        }
        for (i, gone) in gone.iter().skip(come.len()) {
            self.moved(&format!("{place}/{i}"), Move::Narrower, "the choice", Some(gone), None);
        }
        for (i, come) in come.iter().skip(gone.len()) {
            self.moved(&format!("{place}/{i}"), Move::Wider, "the choice", None, Some(come));
        }
    }

    /// `allOf`: each part narrows.
    fn parts(&mut self, path: &str, old: &Value, new: &Value) {
        let list =
            |schema: &Value| schema.get("allOf").and_then(Value::as_array).cloned().unwrap_or_default();
        let (before, after) = (list(old), list(new));
        for i in 0..before.len().max(after.len()) {
            let place = format!("{path}/allOf/{i}");
            match (before.get(i), after.get(i)) {
                (Some(before), Some(after)) => self.schema(&place, before, after),
                (before, after) => {
                    let how = if before.is_none() { Move::Narrower } else { Move::Wider };
                    self.moved(&place, how, "the condition", before, after);
                }
            }
        }
    }

    /// Keywords that nobody here can judge: on the safe side.
    fn others(&mut self, path: &str, old: &Value, new: &Value) {
        let names: BTreeSet<&String> =
            [old, new].iter().filter_map(|schema| schema.as_object()).flat_map(Map::keys).collect();
        for name in names {
            let known = KNOWN.contains(&&**name) || TEXTS.contains(&&**name) || bounds::is_one(name);
            let (before, after) = (old.get(name), new.get(name));
            if !known && before != after {
                let class = if name.starts_with("x-") { Class::Cosmetic } else { Class::Breaking };
                let reason = format!("{name} is another, and what that means is not known");
                self.notes.note(class, &below(path, name), reason, before, after);
            }
        }
    }
}

/// The schema that a local reference leads to; itself where it is none.
fn resolved<'s>(mut schema: &'s Value, root: &'s Value) -> &'s Value {
    for _ in 0..MAX_DEPTH {
        let pointer =
            schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        match pointer.and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

const TYPES: [&str; 6] = ["array", "boolean", "null", "number", "object", "string"];

/// The types that it takes; all where it says none, and none where it takes nothing.
fn types_of(schema: &Value) -> BTreeSet<&str> {
    match schema.get("type") {
        _ if *schema == Value::Bool(false) => BTreeSet::new(),
        Some(Value::String(kind)) => BTreeSet::from([kind.as_str()]),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => TYPES.into(),
    }
}

fn values_of(schema: &Value) -> Option<Vec<&Value>> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => Some(values.iter().collect()),
        (_, Some(value)) => Some(vec![value]),
        _ => None,
    }
}

fn required_of(schema: &Value) -> Vec<&str> {
    let names = schema.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}
