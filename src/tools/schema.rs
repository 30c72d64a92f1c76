//! Short hands for the schemas, which are written by hand: the whole of `tools/list` has 24,000 bytes.

use serde_json::{Map, Value, json};

use super::{Spec, page};

/// The input schema of these properties; `required` are some of them.
pub fn input(properties: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The input schema of a list: these properties, `limit` and `cursor`.
pub fn list_input(mut properties: Value) -> Value {
    for (name, schema) in page::properties() {
        properties[name] = schema;
    }
    input(properties, &[])
}

/// An object with these members, all of them there; as a part of an output schema.
pub fn object(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

/// The output schema of a list of such items.
pub fn list_output(plural: &str, item: Value) -> Value {
    let mut properties = Map::new();
    properties.insert(plural.to_owned(), json!({"type": "array", "items": object(item)}));
    properties.insert("next_cursor".to_owned(), json!({"type": ["string", "null"]}));
    properties.insert("total".to_owned(), json!({"type": "integer"}));
    json!({"type": "object", "properties": properties, "required": [plural]})
}

/// A tool's output schema with the members that any result of it may carry.
pub fn complete_output(mut schema: Value, spec: &Spec) -> Value {
    if !spec.untrusted.is_empty() {
        schema["properties"]["untrusted"] = json!({"type": "object"});
    }
    schema["properties"]["notice"] = json!({"type": "string"});
    schema
}
