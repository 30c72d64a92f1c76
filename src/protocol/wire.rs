//! What MCP puts into parameters and results: the only types that know its member names.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::meta::Field;
use super::revision::{Revision, SUPPORTED};
use super::rpc::{Fault, INVALID_PARAMS, put};

/// Characters in `instructions` and in a tool's description: Claude Code cuts longer ones.
pub const MAX_TEXT_CHARS: usize = 2_048;
/// How long a client may keep the answer of `server/discover`, in milliseconds.
pub const DISCOVER_TTL_MS: u64 = 3_600_000;
/// How long a client may keep `tools/list`, in milliseconds.
pub const TOOLS_TTL_MS: u64 = 300_000;
/// Characters kept of a client's name, title and version.
const MAX_CLIENT_CHARS: usize = 200;

const META_SERVER: &str = "io.modelcontextprotocol/serverInfo";

/// The server as it describes itself.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// A name for programs.
    pub name: &'static str,
    /// A name for people.
    pub title: &'static str,
    /// The version of this program.
    pub version: &'static str,
    /// Where its users can read more; a URL.
    pub website: Option<&'static str>,
    /// What the server is for and how to use it, for the model: at most [`MAX_TEXT_CHARS`] characters.
    pub instructions: &'static str,
}

/// The client as it describes itself; each text is cut at 200 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// A name for programs; empty where the client gave none.
    pub name: String,
    /// Its version; empty where the client gave none.
    pub version: String,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A tool as clients see it.
#[derive(Clone, Debug)]
pub struct ToolDef {
    /// Its name: `^[a-z][a-z0-9_]{0,63}$`.
    pub name: &'static str,
    /// A name for people.
    pub title: &'static str,
    /// When to use it, for the model: at most [`MAX_TEXT_CHARS`] characters.
    pub description: &'static str,
    /// JSON Schema 2020-12 of the arguments; an object.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the structured result; an object.
    pub output_schema: Value,
    /// What it does to the world.
    pub annotations: Annotations,
    /// Whether it changes anything: then it is listed for the full view alone.
    pub write: bool,
}

/// Hints on what a tool does to the world, all four always given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Annotations {
    /// It changes nothing.
    #[serde(rename = "readOnlyHint")]
    pub read_only: bool,
    /// It may overwrite or remove.
    #[serde(rename = "destructiveHint")]
    pub destructive: bool,
    /// Calling it twice changes no more than calling it once.
    #[serde(rename = "idempotentHint")]
    pub idempotent: bool,
    /// It reaches beyond this server's own data.
    #[serde(rename = "openWorldHint")]
    pub open_world: bool,
}

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// The tool ran.
    Done(Output),
    /// The tool or the server refused, in words for the model: a result with `isError`.
    Refused(Refusal),
    /// A JSON-RPC error: code and message. For what is no matter of the tool.
    Fault(i32, String),
    // Later: Ask (input_required, or a request to a legacy client) and Task.
}

/// What a tool gave.
#[derive(Debug, Default)]
pub struct Output {
    /// The structured result: the text of one JSON object, written once and sent as it stands.
    pub structured: String,
    /// Members for the result's `_meta`: the text of one JSON object, such as `{"com.chaterimo/quota":{…}}`.
    pub meta: Option<String>,
}

/// Why a call was refused.
#[derive(Debug)]
pub struct Refusal {
    /// A word for programs, such as `quota_exceeded`; the text begins with it.
    pub code: &'static str,
    /// What happened and what to do, for the model.
    pub message: String,
    /// What a program may read: the members of this object go beside `code` in `_meta["com.chaterimo/error"]`.
    pub data: Option<Value>,
    /// More members for the result's `_meta`: the text of one JSON object.
    pub meta: Option<String>,
}

/// INVALID_PARAMS for a member that is not what it must be.
pub(super) fn wrong_params(member: &str, wanted: &str) -> Fault {
    Fault::new(200, INVALID_PARAMS, format!("Invalid params: {member} must be {wanted}."))
}

impl ClientInfo {
    /// A client's description; none where it or a member has a wrong type.
    pub(super) fn from_value(value: &Value) -> Option<ClientInfo> {
        let members = value.as_object()?;
        let field = |name: &str| members.get(name).map_or(Field::Absent, |value| Field::text(value.clone()));
        ClientInfo::from_fields(field("name"), field("version"), field("title"))
    }

    /// A client's description out of its members; none where one has a wrong type.
    pub(super) fn from_fields(
        name: Field<String>,
        version: Field<String>,
        title: Field<String>,
    ) -> Option<ClientInfo> {
        let text = |field| match field {
            Field::Wrong => None,
            Field::Absent => Some(None),
            Field::Is(text) => Some(Some(cut(text))),
        };
        let [name, version, title] = [text(name)?, text(version)?, text(title)?];
        Some(ClientInfo { name: name.unwrap_or_default(), version: version.unwrap_or_default(), title })
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MAX_CLIENT_CHARS
        && let Some((end, _)) = text.char_indices().nth(MAX_CLIENT_CHARS)
    {
        text.truncate(end);
    }
    text
}

/// Which list of tools, and whose.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ListKind {
    pub with_writes: bool,
    /// Whether the credential decides it, and not the endpoint alone.
    pub by_grant: bool,
}

impl ServerInfo {
    fn implementation(&self, revision: Revision) -> Value {
        let mut info = json!({"name": self.name});
        if revision.has_structured_content() {
            info["title"] = self.title.into();
        }
        info["version"] = self.version.into();
        if let Some(website) = self.website.filter(|_| revision.has_website()) {
            info["websiteUrl"] = website.into();
        }
        info
    }

    /// The members of a modern result's `_meta` that name the server, without the braces.
    pub(super) fn meta_members(&self) -> String {
        format!("{}:{}", Value::from(META_SERVER), self.implementation(Revision::MODERN))
    }

    /// The result of `initialize`.
    pub(super) fn initialize_result(&self, revision: Revision) -> Vec<u8> {
        let result = json!({
            "protocolVersion": revision.as_str(),
            "capabilities": capabilities(),
            "serverInfo": self.implementation(revision),
            "instructions": self.instructions,
        });
        bytes(&result)
    }

    /// The result of `server/discover`.
    pub(super) fn discover_result(&self) -> Vec<u8> {
        let result = json!({
            "resultType": "complete",
            "supportedVersions": SUPPORTED.map(Revision::as_str),
            "capabilities": capabilities(),
            "instructions": self.instructions,
            "ttlMs": DISCOVER_TTL_MS,
            "cacheScope": "public",
            "_meta": {META_SERVER: self.implementation(Revision::MODERN)},
        });
        bytes(&result)
    }

    /// The result of `tools/list`, all on one page, in the order of `tools`.
    pub(super) fn tools_result(&self, revision: Revision, tools: &[ToolDef], kind: ListKind) -> Vec<u8> {
        let listed = tools.iter().filter(|tool| kind.with_writes || !tool.write);
        let tools: Vec<Value> = listed.map(|tool| tool.definition(revision)).collect();
        if !revision.is_modern() {
            return bytes(&json!({"tools": tools}));
        }
        let result = json!({
            "resultType": "complete",
            "tools": tools,
            "ttlMs": TOOLS_TTL_MS,
            "cacheScope": if kind.by_grant { "private" } else { "public" },
            "_meta": {META_SERVER: self.implementation(revision)},
        });
        bytes(&result)
    }
}

/// What the server can do. Only what answers is advertised: with any `listChanged`, clients open a subscription.
fn capabilities() -> Value {
    json!({"tools": {}})
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

impl ToolDef {
    fn definition(&self, revision: Revision) -> Value {
        let mut tool = json!({"name": self.name});
        if revision.has_structured_content() {
            tool["title"] = self.title.into();
        }
        tool["description"] = self.description.into();
        tool["inputSchema"] = self.input_schema.clone();
        if revision.has_structured_content() {
            tool["outputSchema"] = self.output_schema.clone();
        }
        if revision.has_annotations() {
            tool["annotations"] = json!(self.annotations);
        }
        tool
    }
}

/// Everything about these texts and schemas that some client dislikes; one such tool can lose it the whole server.
/// Empty when all is well.
pub fn problems(server: &ServerInfo, tools: &[ToolDef]) -> Vec<String> {
    let mut found = Vec::new();
    if server.instructions.chars().count() > MAX_TEXT_CHARS {
        found.push(format!("instructions have more than {MAX_TEXT_CHARS} characters"));
    }
    for (i, tool) in tools.iter().enumerate() {
        let mut say = |what: &str| found.push(format!("{}: {what}", tool.name));
        if !is_tool_name(tool.name) {
            say("the name is not ^[a-z][a-z0-9_]{0,63}$");
        }
        if tools.iter().skip(i + 1).any(|other| other.name == tool.name) {
            say("the name is there twice");
        }
        if tool.description.chars().count() > MAX_TEXT_CHARS {
            say("the description is longer than 2048 characters");
        }
        if tool.annotations.read_only == tool.write {
            say("the annotation readOnlyHint and write disagree");
        }
        for (which, schema) in [("input", &tool.input_schema), ("output", &tool.output_schema)] {
            schema_problems(schema)
                .into_iter()
                .for_each(|problem| say(&format!("{which} schema: {problem}")));
        }
    }
    found
}

fn is_tool_name(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(rest)
}

fn schema_problems(schema: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    if schema["type"] != "object" {
        found.push("its type is not object");
    }
    if ["anyOf", "oneOf", "allOf", "not"].iter().any(|combinator| schema.get(combinator).is_some()) {
        found.push("a combinator stands at its top");
    }
    if schema.to_string().contains("\"$ref\":") {
        found.push("it has a $ref");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(change: impl FnOnce(&mut ToolDef)) -> ToolDef {
        let annotations =
            Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
        let schema = json!({"type": "object", "properties": {"kind": {"enum": ["anyOf"]}}});
        let (name, title, description) = ("look", "Look", "Looks.");
        let (input_schema, output_schema) = (schema.clone(), schema);
        let mut tool =
            ToolDef { name, title, description, input_schema, output_schema, annotations, write: false };
        change(&mut tool);
        tool
    }

    #[test]
    fn names_what_some_client_dislikes() {
        let server = ServerInfo {
            name: "s",
            title: "S",
            version: "1",
            website: None,
            instructions: "Looks things up.",
        };
        let check = |tool: ToolDef, expected: &[&str]| assert_eq!(problems(&server, &[tool]), expected);
        check(tool(|_| {}), &[]);
        check(tool(|t| t.name = "Look"), &["Look: the name is not ^[a-z][a-z0-9_]{0,63}$"]);
        check(tool(|t| t.write = true), &["look: the annotation readOnlyHint and write disagree"]);
        let long = "x".repeat(MAX_TEXT_CHARS + 1).leak();
        check(tool(|t| t.description = long), &["look: the description is longer than 2048 characters"]);
        check(tool(|t| t.input_schema = json!({})), &["look: input schema: its type is not object"]);
        let any = json!({"type": "object", "anyOf": []});
        check(tool(|t| t.output_schema = any), &["look: output schema: a combinator stands at its top"]);
        let deep = json!({"type": "object", "properties": {"a": {"items": {"$ref": "#"}}}});
        check(tool(|t| t.input_schema = deep), &["look: input schema: it has a $ref"]);
        assert_eq!(problems(&server, &[tool(|_| {}), tool(|_| {})]), ["look: the name is there twice"]);
        let server = ServerInfo { instructions: long, ..server };
        assert_eq!(problems(&server, &[]), ["instructions have more than 2048 characters"]);
    }

    #[test]
    fn cuts_what_a_client_says_of_itself() {
        let client = |name: Value| ClientInfo::from_value(&json!({"name": name, "version": "1"}));
        assert_eq!(client("ü".repeat(201).into()).map(|client| client.name), Some("ü".repeat(200)));
        assert_eq!(client("ü".repeat(200).into()).map(|client| client.name), Some("ü".repeat(200)));
        assert_eq!(client(1.into()), None);
    }
}
