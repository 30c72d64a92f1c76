//! What a schema says at one place: by itself, and by what its reference leads to.

use std::collections::BTreeMap;
use std::ptr;

use serde_json::Value;

use super::DEFINITIONS;

/// How many references are followed from one place.
const MAX_LINKS: usize = 32;

/// The schemas that hold at one place, the own one first.
pub(super) struct Said<'a>(Vec<Part<'a>>);

#[derive(Clone, Copy)]
struct Part<'a> {
    schema: &'a Value,
    /// The keyword that led on to the next part.
    followed: Option<&'static str>,
}

impl<'a> Said<'a> {
    /// Follows references within `root`, and with `wrapped` an `allOf` that holds a reference alone, which is how drafts
    /// before 2019-09 put something beside one. `None` when there is no end to it.
    pub(super) fn at(schema: &'a Value, root: &'a Value, wrapped: bool) -> Option<Said<'a>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        let mut next = Some(schema);
        while let Some(schema) = next.filter(|next| !parts.iter().any(|part| ptr::eq(part.schema, *next))) {
            if parts.len() == MAX_LINKS {
                return None;
            }
            let followed;
            (followed, next) = link(schema, root, wrapped).unzip();
            parts.push(Part { schema, followed });
        }
        parts.retain(|part| part.followed.is_none() || part.names().next().is_some());
        Some(Said(parts))
    }

    /// What the first part that has the keyword says; nothing of what was followed.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.iter().find_map(|part| part.get(name))
    }

    /// Whether it takes nothing at all.
    pub(super) fn is_false(&self) -> bool {
        self.0.iter().any(|part| *part.schema == Value::Bool(false))
    }

    /// The keywords of all parts.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().flat_map(Part::names)
    }

    /// Keywords of which two parts say different things.
    pub(super) fn twice(&self) -> impl Iterator<Item = &'a str> {
        let mut values: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for part in &self.0 {
            part.names().for_each(|name| values.entry(name).or_default().extend(part.get(name)));
        }
        let differ = |values: &[&Value]| values.iter().any(|value| values.first() != Some(value));
        values.into_iter().filter(move |(_, values)| differ(values)).map(|(name, _)| name)
    }

    /// How many schemas hold.
    pub(super) fn parts(&self) -> usize {
        self.0.len()
    }

    /// Each part as if it were alone.
    pub(super) fn apart(&self) -> impl Iterator<Item = Said<'a>> {
        self.0.iter().map(|part| Said(vec![*part]))
    }

    /// Which place it is, in memory.
    pub(super) fn place(&self) -> *const Value {
        self.0.first().map_or(ptr::null(), |part| ptr::from_ref(part.schema))
    }
}

impl<'a> Part<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.schema.get(name).filter(|_| self.followed != Some(name))
    }

    fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let followed = self.followed;
        let names =
            self.schema.as_object().into_iter().flat_map(|members| members.keys().map(String::as_str));
        names.filter(move |name| followed != Some(*name) && !DEFINITIONS.contains(name))
    }
}

/// Whether every reference within `root` leads to one of its definitions.
pub(super) fn leads_to_definitions(root: &Value) -> bool {
    match root {
        Value::Object(members) => members.iter().all(|(name, value)| match value {
            Value::String(to) if matches!(name.as_str(), "$ref" | "$dynamicRef") => DEFINITIONS
                .iter()
                .any(|name| to.strip_prefix("#/").and_then(|to| to.strip_prefix(name)).is_some()),
            value => leads_to_definitions(value),
        }),
        Value::Array(items) => items.iter().all(leads_to_definitions),
        _ => true,
    }
}

/// The keyword of a schema that leads to another, and that.
fn link<'a>(schema: &'a Value, root: &'a Value, wrapped: bool) -> Option<(&'static str, &'a Value)> {
    if let Some(reference) = schema.get("$ref") {
        return Some(("$ref", target(reference.as_str()?, root)?));
    }
    let only =
        schema.get("allOf").and_then(Value::as_array).filter(|all| wrapped && all.len() == 1)?.first()?;
    only.get("$ref").map(|_| ("allOf", only))
}

/// What a JSON pointer in a fragment leads to (RFC 6901, section 6).
fn target<'a>(reference: &str, root: &'a Value) -> Option<&'a Value> {
    let pointer = reference.strip_prefix('#')?;
    if !pointer.contains('%') {
        return root.pointer(pointer);
    }
    // A fragment is encoded as a form is, but that there a plus is a space and an ampersand an end.
    let encoded = format!("={}", pointer.replace('+', "%2B").replace('&', "%26"));
    let (_, pointer) = form_urlencoded::parse(encoded.as_bytes()).next()?;
    root.pointer(&pointer)
}
