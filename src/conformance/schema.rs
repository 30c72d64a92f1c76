//! The official schemas of the five revisions, without what is for people (see `schema/strip.py`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::protocol::revision::Revision;

const TEXTS: [(Revision, &str); 5] = [
    (Revision::V2024_11_05, include_str!("schema/2024-11-05.json")),
    (Revision::V2025_03_26, include_str!("schema/2025-03-26.json")),
    (Revision::V2025_06_18, include_str!("schema/2025-06-18.json")),
    (Revision::V2025_11_25, include_str!("schema/2025-11-25.json")),
    (Revision::V2026_07_28, include_str!("schema/2026-07-28.json")),
];

/// The definitions of a revision, and what their member is called.
fn definitions(revision: Revision) -> (&'static str, &'static Map<String, Value>) {
    static READ: [OnceLock<Map<String, Value>>; 5] = [const { OnceLock::new() }; 5];
    let name = if revision >= Revision::V2025_11_25 { "$defs" } else { "definitions" };
    let at = TEXTS.iter().position(|(known, _)| *known == revision).unwrap_or_default();
    let read = || {
        let schema = TEXTS.get(at).and_then(|(_, text)| serde_json::from_str::<Value>(text).ok());
        let member = schema.and_then(|mut schema| Some(schema.get_mut(name)?.take()));
        if let Some(Value::Object(members)) = member { members } else { Map::new() }
    };
    (name, READ.get(at).unwrap_or(&READ[0]).get_or_init(read))
}

/// What holds a value against the definition of this name, compiled once; `None` when the revision has none.
pub(super) fn validator(revision: Revision, definition: &str) -> Option<Arc<Validator>> {
    static COMPILED: Mutex<BTreeMap<(Revision, &str), Arc<Validator>>> = Mutex::new(BTreeMap::new());
    let (definition, _) = definitions(revision).1.get_key_value(definition)?;
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = compiled.get(&(revision, &**definition)) {
        return Some(known.clone());
    }
    let new = Arc::new(compile(revision, definition)?);
    compiled.insert((revision, definition), new.clone());
    Some(new)
}

fn compile(revision: Revision, definition: &str) -> Option<Validator> {
    let (name, all) = definitions(revision);
    let mut schema = json!({"allOf": [{"$ref": format!("#/{name}/{definition}")}]});
    if let Value::Object(members) = &mut schema {
        members.insert(name.to_owned(), Value::Object(all.clone()));
    }
    jsonschema::draft202012::new(&schema).ok()
}

/// The name of the definition of the notification `method`.
pub(super) fn notification(revision: Revision, method: &str) -> Option<&'static str> {
    let (_, all) = definitions(revision);
    let is_it = |definition: &Value| {
        definition.pointer("/properties/method/const").and_then(Value::as_str) == Some(method)
    };
    let found = all.iter().find(|(name, definition)| name.ends_with("Notification") && is_it(definition))?;
    Some(found.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_revision_has_what_is_asked_of_it() {
        for (revision, _) in TEXTS {
            for definition in ["ListToolsResult", "CallToolResult", "Result"] {
                assert!(validator(revision, definition).is_some(), "{revision} {definition}");
            }
            assert_eq!(notification(revision, "notifications/progress"), Some("ProgressNotification"));
            assert_eq!(notification(revision, "notifications/nothing"), None);
        }
        assert!(validator(Revision::V2026_07_28, "DiscoverResult").is_some());
        assert!(validator(Revision::V2025_06_18, "DiscoverResult").is_none());
    }

    #[test]
    fn a_schema_tells_right_from_wrong() {
        let check = |revision, definition, value: Value, expected: bool| {
            assert_eq!(validator(revision, definition).unwrap().is_valid(&value), expected, "{value}");
        };
        let tools = json!({"tools": [{"name": "a", "inputSchema": {"type": "object"}}]});
        check(Revision::V2024_11_05, "ListToolsResult", tools.clone(), true);
        check(Revision::V2026_07_28, "ListToolsResult", tools, false);
        check(Revision::V2025_11_25, "ListToolsResult", json!({"tools": [{"name": "a"}]}), false);
    }
}
