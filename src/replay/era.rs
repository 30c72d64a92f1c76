//! What one revision says, in the words of another: a recording of one era serves a client of the other.

use serde_json::{Map, Value, json};

use crate::protocol::revision::{Revision, SUPPORTED};
use crate::protocol::transcript::turns::Turn;
use crate::protocol::wire::SERVER_INFO;

/// Members of results that only the modern era has.
const MODERN_MEMBERS: [&str; 3] = ["resultType", "ttlMs", "cacheScope"];
/// What a modern client may keep for a while (MCP 2026-07-28, "Caching").
const CACHEABLE: [&str; 5] =
    ["prompts/list", "resources/list", "resources/read", "resources/templates/list", "tools/list"];

/// What a recording tells of its server, in either era.
pub(super) struct Facts {
    server: Value,
    capabilities: Value,
    instructions: Option<Value>,
}

impl Facts {
    /// From the answer to a handshake or a discovery; else from whatever names the server, and from what was asked of it.
    pub(super) fn of(turns: &[Turn]) -> Facts {
        let results = || turns.iter().filter_map(|turn| turn.response()?.get("result"));
        let opening = results().find(|result| result.get("capabilities").is_some());
        let server = results().find_map(|result| {
            result.get("serverInfo").or_else(|| result.get("_meta")?.get(SERVER_INFO)).cloned()
        });
        let asked = |prefix: &str| {
            turns.iter().any(|turn| turn.method().is_some_and(|method| method.starts_with(prefix)))
        };
        let guessed = || {
            let kinds = ["tools", "prompts", "resources"].into_iter().filter(|kind| asked(kind));
            Value::Object(kinds.map(|kind| (kind.to_owned(), json!({}))).collect())
        };
        Facts {
            server: server.unwrap_or_else(|| json!({"name": "recording", "version": "0"})),
            capabilities: opening.map_or_else(guessed, |result| result["capabilities"].clone()),
            instructions: opening.and_then(|result| result.get("instructions")).cloned(),
        }
    }

    /// The result of `initialize`, for a client of revision `to`.
    pub(super) fn initialized(&self, to: Revision) -> Value {
        let mut result = Map::new();
        result.insert("protocolVersion".into(), to.as_str().into());
        result.insert("capabilities".into(), without(&self.capabilities, &["extensions"]));
        result.insert("serverInfo".into(), self.server.clone());
        result.extend(self.instructions.clone().map(|text| ("instructions".to_owned(), text)));
        let mut result = Value::Object(result);
        older(&mut result, to);
        result
    }

    /// The result of `server/discover`.
    pub(super) fn discovered(&self) -> Value {
        let versions: Vec<&str> = SUPPORTED.iter().map(|revision| revision.as_str()).collect();
        let mut result = Map::new();
        result.insert("supportedVersions".into(), versions.into());
        // The tasks of 2025-11-25 are not those of the modern era's extension.
        result.insert("capabilities".into(), without(&self.capabilities, &["tasks"]));
        result.extend(self.instructions.clone().map(|text| ("instructions".to_owned(), text)));
        self.modern(Value::Object(result), true)
    }

    /// A `result` of revision `from` as `to` has it.
    pub(super) fn result(&self, result: &Value, method: &str, from: Revision, to: Revision) -> Value {
        match (from.is_modern(), to.is_modern()) {
            (false, true) => self.modern(result.clone(), CACHEABLE.contains(&method)),
            (true, false) => {
                let mut result = without(result, &MODERN_MEMBERS);
                strip_meta(&mut result, SERVER_INFO);
                older(&mut result, to);
                result
            }
            _ => {
                let mut result = result.clone();
                if to < from {
                    older(&mut result, to);
                }
                result
            }
        }
    }

    fn modern(&self, result: Value, cacheable: bool) -> Value {
        let mut modern = json!({"resultType": "complete"});
        let Value::Object(members) = &mut modern else { return result };
        if let Value::Object(result) = result {
            members.extend(result);
        }
        if cacheable {
            members.insert("ttlMs".into(), 0.into());
            members.insert("cacheScope".into(), "private".into());
        }
        let meta = members.entry("_meta").or_insert_with(|| json!({}));
        if let Value::Object(meta) = meta {
            meta.entry(SERVER_INFO).or_insert_with(|| self.server.clone());
        }
        modern
    }
}

/// The revision that a handshake ends in, for a client that asks in `initialize`.
pub(super) fn asked_for(initialize: &Value) -> Revision {
    Revision::negotiate(initialize["params"]["protocolVersion"].as_str().unwrap_or_default())
}

/// Takes a member out of `_meta`, and `_meta` with it when it was all.
pub(super) fn strip_meta(holder: &mut Value, name: &str) {
    let Some(members) = holder.as_object_mut() else { return };
    let Some(meta) = members.get_mut("_meta").and_then(Value::as_object_mut) else { return };
    meta.shift_remove(name);
    if meta.is_empty() {
        members.shift_remove("_meta");
    }
}

fn without(value: &Value, names: &[&str]) -> Value {
    let mut value = value.clone();
    take_out(&mut value, names);
    value
}

fn take_out(value: &mut Value, names: &[&str]) {
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| !names.contains(&name.as_str()));
    }
}

/// Takes out what revision `to` has not. Only members of MCP are looked at, never what a tool made.
fn older(result: &mut Value, to: Revision) {
    let mut unknown: Vec<&str> = Vec::new();
    if !to.has_website() {
        unknown.extend(["icons", "websiteUrl", "execution"]);
    }
    if !to.has_structured_content() {
        unknown.extend(["title", "outputSchema"]);
        take_out(result, &["structuredContent"]);
        each(result, "content", plain_content);
    }
    if !to.has_annotations() {
        unknown.push("annotations");
    }
    for list in ["tools", "prompts", "resources", "resourceTemplates"] {
        each(result, list, |item| {
            take_out(item, &unknown);
            each(item, "arguments", |argument| take_out(argument, &unknown));
        });
    }
    if let Some(server) = result.get_mut("serverInfo") {
        take_out(server, &unknown);
        if !to.has_website() {
            take_out(server, &["description"]);
        }
    }
}

fn each(holder: &mut Value, list: &str, change: impl FnMut(&mut Value)) {
    holder.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(change);
}

/// A link to a resource, which revisions before 2025-06-18 do not know, as the text that it comes to.
fn plain_content(block: &mut Value) {
    if block["type"] == "resource_link" {
        *block = json!({"type": "text", "text": block["uri"].as_str().unwrap_or_default()});
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::revision::Revision::{V2024_11_05, V2025_06_18, V2025_11_25, V2026_07_28};

    fn facts() -> Facts {
        Facts {
            server: json!({"name": "s", "version": "1", "title": "S", "icons": []}),
            capabilities: json!({"tools": {"listChanged": true}, "tasks": {}, "extensions": {}}),
            instructions: Some("Do.".into()),
        }
    }

    #[test]
    fn a_result_is_said_in_the_words_of_each_revision() {
        let check = |method: &str, from: Revision, to: Revision, result: Value, expected: Value| {
            assert_eq!(facts().result(&result, method, from, to), expected, "{method} {from} {to}");
        };
        let tools = |rest: Value| {
            let mut tool = json!({"name": "t", "inputSchema": {"title": "kept"}});
            tool.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            json!([tool])
        };
        let full = tools(json!({"title": "T", "icons": [], "outputSchema": {}, "annotations": {}}));
        let meta = json!({SERVER_INFO: facts().server});
        check(
            "tools/list",
            V2025_11_25,
            V2026_07_28,
            json!({"tools": full}),
            json!({"resultType": "complete", "tools": full, "ttlMs": 0, "cacheScope": "private", "_meta": meta}),
        );
        let modern = json!({"resultType": "complete", "tools": full, "ttlMs": 9, "cacheScope": "public", "_meta": meta});
        check("tools/list", V2026_07_28, V2025_11_25, modern.clone(), json!({"tools": full}));
        check("tools/list", V2026_07_28, V2026_07_28, modern.clone(), modern.clone());
        let some = tools(json!({"title": "T", "outputSchema": {}, "annotations": {}}));
        check("tools/list", V2026_07_28, V2025_06_18, modern.clone(), json!({"tools": some}));
        check(
            "tools/list",
            V2025_11_25,
            V2024_11_05,
            json!({"tools": full}),
            json!({"tools": tools(json!({}))}),
        );
        check(
            "tools/call",
            V2025_06_18,
            V2024_11_05,
            json!({"content": [{"type": "resource_link", "uri": "x:1"}], "structuredContent": {"title": 1}}),
            json!({"content": [{"type": "text", "text": "x:1"}]}),
        );
        check(
            "tools/call",
            V2026_07_28,
            V2025_06_18,
            json!({"resultType": "complete", "structuredContent": {"title": 1}, "_meta": {SERVER_INFO: {}, "a": 1}}),
            json!({"structuredContent": {"title": 1}, "_meta": {"a": 1}}),
        );
    }

    #[test]
    fn a_handshake_and_a_discovery_tell_the_same() {
        assert_eq!(
            facts().initialized(V2025_06_18),
            json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {"listChanged": true}, "tasks": {}},
                "serverInfo": {"name": "s", "version": "1", "title": "S"}, "instructions": "Do."})
        );
        let discovered = facts().discovered();
        assert_eq!(discovered["capabilities"], json!({"tools": {"listChanged": true}, "extensions": {}}));
        assert_eq!(discovered["supportedVersions"].as_array().unwrap().len(), 5);
        assert_eq!(discovered["_meta"][SERVER_INFO]["name"], "s");
    }
}
