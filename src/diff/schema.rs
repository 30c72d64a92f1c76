//! Changes of a JSON Schema: whether it takes more than it did, or less, keyword by keyword.

mod bounds;
mod said;

use std::collections::{BTreeSet, HashSet, VecDeque};

use serde_json::{Map, Value};

use self::said::Said;
use super::{Class, Notes};
use crate::protocol::transcript::compare::below;

/// How many schemas within one another are followed. What is written out has fewer, for JSON is read no deeper; references
/// may make more.
const MAX_DEPTH: usize = 128;
/// How many pairs of schemas are compared.
const MAX_PAIRS: usize = 100_000;
/// What people read.
const TEXTS: [&str; 8] =
    ["$comment", "$id", "$schema", "deprecated", "description", "examples", "title", "readOnly"];
/// Where definitions stand that references lead to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];
/// Keywords that are looked at each in its own way; what is elsewhere is compared as it stands.
const KNOWN: [&str; 13] = [
    "$dynamicRef",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "enum",
    "items",
    "oneOf",
    "properties",
    "required",
    "type",
];
/// The schema that takes everything, which a missing one means.
static ANY: Value = Value::Bool(true);

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

/// Notes what changed from `old` to `new`. Where a definition is used more than once, its changes are noted at one of the
/// places.
pub(super) fn schemas(notes: &mut Notes, side: Side, path: &str, old: &Value, new: &Value) {
    if old == new {
        return;
    }
    let same_definitions = DEFINITIONS.iter().all(|name| old.get(name) == new.get(name));
    let mut walk = Walk {
        notes,
        side,
        roots: [old, new],
        same_definitions,
        same_references: same_definitions && [old, new].into_iter().all(said::leads_to_definitions),
        seen: HashSet::new(),
        to_come: VecDeque::new(),
        depth: 0,
        is_over: false,
    };
    walk.schema(path, old, new);
    while let Some(Pair { path, depth, old, new }) = walk.to_come.pop_front() {
        walk.depth = depth;
        walk.pair(&path, old, new);
    }
}

/// References make a graph of the schemas, with circles in it. It is walked breadth first, so that each pair is met where
/// the way to it is shortest, whatever the order of the members.
struct Walk<'a, 'n> {
    notes: &'n mut Notes,
    side: Side,
    /// Where references lead.
    roots: [&'a Value; 2],
    same_definitions: bool,
    /// Whether equal references mean equal schemas.
    same_references: bool,
    /// The pairs that were met, each schema by its place in memory.
    seen: HashSet<[*const Value; 2]>,
    to_come: VecDeque<Pair<'a>>,
    /// Of the schemas that are compared now.
    depth: usize,
    /// There were too many.
    is_over: bool,
}

/// Two schemas that are still to be compared.
struct Pair<'a> {
    path: String,
    depth: usize,
    old: &'a Value,
    new: &'a Value,
}

impl<'a> Walk<'a, '_> {
    /// Has these two compared, in their turn.
    fn schema(&mut self, path: &str, old: &'a Value, new: &'a Value) {
        if old != new || !self.same_references {
            let depth = self.depth + 1;
            self.to_come.push_back(Pair { path: path.to_owned(), depth, old, new });
        }
    }

    /// What stands beside a reference is compared with what stands beside the other, and the targets with each other;
    /// where only one side has a reference, all that is said there together.
    fn pair(&mut self, path: &str, old: &'a Value, new: &'a Value) {
        let both = old.get("allOf").is_some() && new.get("allOf").is_some();
        let [old, new] =
            [(old, self.roots[0]), (new, self.roots[1])].map(|(schema, root)| Said::at(schema, root, !both));
        let (Some(old), Some(new)) = (old, new) else { return self.too_deep(path) };
        if old.parts() == new.parts() {
            old.apart().zip(new.apart()).for_each(|(old, new)| self.said(path, &old, &new));
        } else {
            self.said_twice(path, &old, &new);
            self.said(path, &old, &new);
        }
    }

    fn said(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
        if self.is_over || !self.seen.insert([old.place(), new.place()]) {
            return;
        }
        if self.depth > MAX_DEPTH || self.seen.len() > MAX_PAIRS {
            self.is_over = true;
            self.to_come.clear();
            return self.too_deep(path);
        }
        TEXTS.iter().for_each(|name| self.notes.text(name, path, old.get(name), new.get(name)));
        self.reference(path, old, new);
        self.types(path, old, new);
        self.values(path, old, new);
        self.default(path, old, new);
        self.limits(path, old, new);
        self.members(path, old, new);
        self.openness(path, old, new);
        self.inner(path, "items", old, new);
        for name in ["anyOf", "oneOf"] {
            self.alternatives(path, name, old, new);
        }
        self.parts(path, old, new);
        self.others(path, old, new);
    }

    /// On the safe side, for what was not compared.
    fn too_deep(&mut self, path: &str) {
        let reason = "the schema goes too deep by its references to be compared to its end";
        self.notes.note(Class::Breaking, path, reason, None, None);
    }

    /// Keywords that stand both beside a reference and in what it leads to, where the other side has no reference.
    fn said_twice(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
        let names: BTreeSet<&str> = old
            .twice()
            .chain(new.twice())
            .filter(|name| !TEXTS.contains(name) && *name != "default")
            .collect();
        for name in names {
            let reason = format!(
                "{name} stands beside a reference and where it leads: what both mean together is not known"
            );
            self.notes.note(Class::Breaking, &below(path, name), reason, old.get(name), new.get(name));
        }
    }

    /// References that lead nowhere here. An equal one may lead, by an anchor or an `$id`, to a definition that changed.
    fn reference(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
        for name in ["$ref", "$dynamicRef"] {
            let (before, after) = (old.get(name), new.get(name));
            let reason = match before == after {
                false => "it refers to something else, which cannot be followed",
                true if before.is_some() && !self.same_definitions => {
                    "it refers to what cannot be followed, and definitions changed"
                }
                true => continue,
            };
            self.notes.note(Class::Breaking, &format!("{path}/{name}"), reason, before, after);
        }
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

    fn types(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
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
    fn values(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
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
    fn default(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
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

    fn limits(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
        for name in bounds::names() {
            let (before, after) = (old.get(name), new.get(name));
            if let Some(how) = bounds::moved(name, before, after) {
                self.moved(&format!("{path}/{name}"), how, &format!("the limit {name}"), before, after);
            }
        }
    }

    fn members(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
        let of = |said: &Said<'a>| said.get("properties").and_then(Value::as_object);
        let members = |of: Option<&'a Map<String, Value>>| of.into_iter().flatten();
        let (before, after) = (of(old), of(new));
        let (was_required, is_required) = (required_of(old), required_of(new));
        for (name, member) in members(before) {
            let place = below(&format!("{path}/properties"), name);
            match (after.and_then(|after| after.get(name)), self.side) {
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
        let is_in = |members: Option<&Map<String, Value>>, name: &str| {
            members.is_some_and(|all| all.contains_key(name))
        };
        for (name, _) in members(after).filter(|(name, _)| !is_in(before, name)) {
            let place = below(&format!("{path}/properties"), name);
            let (class, reason) = match (self.side, is_required.contains(&&**name)) {
                (Side::Input, true) => (Class::Breaking, "the argument is new and must be given"),
                (Side::Input, false) => (Class::Additive, "the argument is new and may be left out"),
                (Side::Output, _) => (Class::Additive, "the member is new"),
            };
            self.notes.note(class, &place, reason, None, None);
        }
        // Names that are required without being described.
        let names: BTreeSet<&str> = was_required.iter().chain(&is_required).copied().collect();
        for name in names.into_iter().filter(|name| !is_in(before, name) && !is_in(after, name)) {
            let place = format!("{path}/required");
            self.required(&place, was_required.contains(&name), is_required.contains(&name));
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
    fn openness(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
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
                return self.schema(&place, before.unwrap_or(&ANY), after.unwrap_or(&ANY));
            }
            _ => return,
        };
        self.notes.note(class, &place, reason, before, after);
    }

    /// A schema within: a missing one takes everything.
    fn inner(&mut self, path: &str, name: &str, old: &Said<'a>, new: &Said<'a>) {
        if old.get(name).is_some() || new.get(name).is_some() {
            let (before, after) = (old.get(name).unwrap_or(&ANY), new.get(name).unwrap_or(&ANY));
            self.schema(&format!("{path}/{name}"), before, after);
        }
    }

    /// `anyOf` and `oneOf`: equal ones are compared with each other, for what they refer to may differ, and the rest in pairs.
    fn alternatives(&mut self, path: &str, name: &str, old: &Said<'a>, new: &Said<'a>) {
        let list = |said: &Said<'a>| said.get(name).and_then(Value::as_array);
        let place = format!("{path}/{name}");
        let (before, after) = match (list(old), list(new)) {
            (None, None) => return,
            (None, Some(_)) => return self.moved(&place, Move::Narrower, "the choice", None, new.get(name)),
            (Some(_), None) => return self.moved(&place, Move::Wider, "the choice", old.get(name), None),
            (Some(before), Some(after)) => (before, after),
        };
        let mut come: Vec<(usize, &Value)> = after.iter().enumerate().collect();
        let mut gone: VecDeque<(usize, &Value)> = VecDeque::new();
        for (i, before) in before.iter().enumerate() {
            match come.iter().position(|(_, after)| *after == before) {
                Some(equal) => {
                    let (i, after) = come.remove(equal);
                    self.schema(&format!("{place}/{i}"), before, after);
                }
                None => gone.push_back((i, before)),
            }
        }
        for (i, after) in come {
            match gone.pop_front() {
                Some((_, before)) => self.schema(&format!("{place}/{i}"), before, after),
                None => self.moved(&format!("{place}/{i}"), Move::Wider, "the choice", None, Some(after)),
            }
        }
        for (i, before) in gone {
            self.moved(&format!("{place}/{i}"), Move::Narrower, "the choice", Some(before), None);
        }
    }

    /// `allOf`: each part narrows.
    fn parts(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
        let list =
            |said: &Said<'a>| said.get("allOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
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
    fn others(&mut self, path: &str, old: &Said<'a>, new: &Said<'a>) {
        let names: BTreeSet<&str> = old.names().chain(new.names()).collect();
        for name in names {
            let known = KNOWN.contains(&name) || TEXTS.contains(&name) || bounds::is_one(name);
            let (before, after) = (old.get(name), new.get(name));
            if !known && before != after {
                let class = if name.starts_with("x-") { Class::Cosmetic } else { Class::Breaking };
                let reason = format!("{name} is another, and what that means is not known");
                self.notes.note(class, &below(path, name), reason, before, after);
            }
        }
    }
}

const TYPES: [&str; 6] = ["array", "boolean", "null", "number", "object", "string"];

/// The types that it takes; all where it says none, and none where it takes nothing.
fn types_of<'a>(said: &Said<'a>) -> BTreeSet<&'a str> {
    match said.get("type") {
        _ if said.is_false() => BTreeSet::new(),
        Some(Value::String(kind)) => BTreeSet::from([kind.as_str()]),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => TYPES.into(),
    }
}

/// The values of `enum` and `const` that both allow; `None` where any is allowed.
fn values_of<'a>(said: &Said<'a>) -> Option<Vec<&'a Value>> {
    match (said.get("enum"), said.get("const")) {
        (Some(Value::Array(values)), only) => {
            Some(values.iter().filter(|value| only.is_none_or(|only| only == *value)).collect())
        }
        (_, Some(value)) => Some(vec![value]),
        _ => None,
    }
}

fn required_of<'a>(said: &Said<'a>) -> Vec<&'a str> {
    let names = said.get("required").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str).collect()
}
