//! What MCP puts into parameters and results: the only types that know its member names.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::catalog::{Catalog, ToolDef};
use super::meta::Field;
use super::revision::{Revision, SUPPORTED};
use super::rpc::{Fault, INVALID_PARAMS, put};

/// Characters in `instructions` and in a tool's description: Claude Code cuts longer ones.
pub const MAX_TEXT_CHARS: usize = 2_048;
/// How long a client may keep the answer of `server/discover`, in milliseconds.
pub const DISCOVER_TTL_MS: u64 = 3_600_000;
/// How long a client may keep a list that is the same for everybody, such as `tools/list`, in milliseconds.
pub const LIST_TTL_MS: u64 = 300_000;
/// Characters kept of a client's name, title and version.
const MAX_CLIENT_CHARS: usize = 200;

/// Where a modern result names the server, in `_meta`.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

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
    /// Whether the client shows pages of tools' results.
    pub ui: bool,
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
        format!("{}:{}", Value::from(SERVER_INFO), self.implementation(Revision::MODERN))
    }

    /// The result of `initialize`.
    pub(super) fn initialize_result(&self, revision: Revision, catalog: &Catalog, ui: bool) -> Vec<u8> {
        let result = json!({
            "protocolVersion": revision.as_str(),
            "capabilities": catalog.capabilities(revision, ui),
            "serverInfo": self.implementation(revision),
            "instructions": self.instructions,
        });
        bytes(&result)
    }

    /// The result of `server/discover`.
    pub(super) fn discover_result(&self, catalog: &Catalog) -> Vec<u8> {
        let result = json!({
            "resultType": "complete",
            "supportedVersions": SUPPORTED.map(Revision::as_str),
            "capabilities": catalog.capabilities(Revision::MODERN, false),
            "instructions": self.instructions,
            "ttlMs": DISCOVER_TTL_MS,
            "cacheScope": "public",
            "_meta": {SERVER_INFO: self.implementation(Revision::MODERN)},
        });
        bytes(&result)
    }

    /// The result of `tools/list`, all on one page, in the order of `tools`.
    pub(super) fn tools_result(&self, revision: Revision, tools: &[ToolDef], kind: ListKind) -> Vec<u8> {
        let listed = tools.iter().filter(|tool| kind.with_writes || !tool.write);
        let tools = listed.map(|tool| tool.definition(revision, kind.ui)).collect();
        self.list_result(revision, "tools", tools, !kind.by_grant && !kind.ui)
    }

    /// The result of a method that lists `items`, all on one page.
    pub(super) fn list_result(&self, revision: Revision, name: &str, items: Value, public: bool) -> Vec<u8> {
        if !revision.is_modern() {
            return bytes(&json!({name: items}));
        }
        let result = json!({
            "resultType": "complete",
            name: items,
            "ttlMs": LIST_TTL_MS,
            "cacheScope": if public { "public" } else { "private" },
            "_meta": {SERVER_INFO: self.implementation(revision)},
        });
        bytes(&result)
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_what_a_client_says_of_itself() {
        let client = |name: Value| ClientInfo::from_value(&json!({"name": name, "version": "1"}));
        assert_eq!(client("ü".repeat(201).into()).map(|client| client.name), Some("ü".repeat(200)));
        assert_eq!(client("ü".repeat(200).into()).map(|client| client.name), Some("ü".repeat(200)));
        assert_eq!(client(1.into()), None);
    }
}
