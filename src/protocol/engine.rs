//! The engine: one message in, one [`Step`] out, for both eras. What every client gets alike is serialised once, when
//! the engine is made; answering it copies those bytes behind the identifier.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::call::{Call, result_of};
use super::framing::McpHeaders;
use super::meta::{Meta, Params};
use super::revision::{Revision, SUPPORTED};
use super::rpc::{
    Fault, INVALID_PARAMS, Id, MAX_BATCH, METHOD_NOT_FOUND, Message, Response, UNSUPPORTED_VERSION, quote,
};
use super::session::{Peer, Session};
use super::wire::{ListKind, ServerInfo, ToolDef, wrong_params};

/// The server's side of the protocol. Immutable: every connection shares one.
#[derive(Debug)]
pub struct Engine {
    tools: Vec<Tool>,
    discover: Arc<[u8]>,
    /// In the order of [`LEGACY`].
    initialize: [Arc<[u8]>; 4],
    /// In the order of [`LEGACY`], by view.
    legacy_lists: [Lists; 4],
    modern_lists: Lists,
    /// What names the server in the `_meta` of a modern result, without the braces.
    server_meta: Arc<str>,
}

/// What of the server a request may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Every tool.
    Full,
    /// The full endpoint with a credential that only reads: write tools are not listed, but a call of one is a
    /// [`Step::Call`], for whoever runs it knows the way out to name.
    ReadOnlyGrant,
    /// The read-only endpoint: write tools do not exist there.
    ReadOnlyEndpoint,
}

/// What to do about a message.
#[derive(Debug)]
#[must_use]
#[allow(clippy::large_enum_variant, reason = "it lives for a moment; a box would cost more than the move")]
pub enum Step {
    /// Send this answer.
    Reply(Response),
    /// Run the tool, then send what [`Call::finish`] gives.
    Call(Call),
    /// The client no longer wants the answer to this request of the same connection or session: stop its work, send
    /// nothing for it. Unknown identifiers are to be ignored.
    Cancel(Id),
    /// Nothing to send; on HTTP, 202.
    Accepted,
    // Later: Listen, for subscriptions/listen and the legacy notification stream; Resume, for a legacy client's answer
    // to what the server asked.
}

#[derive(Debug)]
struct Tool {
    name: &'static str,
    write: bool,
    /// The arguments that HTTP headers repeat: header name and path (`x-mcp-header` in the input schema).
    mirrored: Vec<(String, Vec<String>)>,
}

/// An answer whose identifier is still to be put in.
#[allow(clippy::large_enum_variant, reason = "it lives for a moment; a box would cost more than the move")]
enum Answer<'e> {
    Result(&'e [u8]),
    Call { tool: usize, arguments: Map<String, Value>, peer: Peer, progress_token: Option<Id> },
}

/// The result of `tools/list`: full, read-only by grant, read-only by endpoint.
type Lists = [Arc<[u8]>; 3];

/// The revisions with a handshake.
const LEGACY: [Revision; 4] =
    [Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25];

const EMPTY_RESULT: &[u8] = b"{}";

impl Engine {
    /// An engine for these tools, listed in this order.
    pub fn new(server: ServerInfo, tools: Vec<ToolDef>) -> Engine {
        let mut made = Vec::new();
        let initialize = LEGACY.map(|revision| shared(&mut made, server.initialize_result(revision)));
        let mut lists_of = |revision| {
            [View::Full, View::ReadOnlyGrant, View::ReadOnlyEndpoint].map(|view| {
                let kind =
                    ListKind { with_writes: view == View::Full, by_grant: view != View::ReadOnlyEndpoint };
                shared(&mut made, server.tools_result(revision, &tools, kind))
            })
        };
        let legacy_lists = LEGACY.map(&mut lists_of);
        let modern_lists = lists_of(Revision::MODERN);
        let discover = shared(&mut made, server.discover_result());
        let tools = tools.iter().map(Tool::new).collect();
        Engine {
            tools,
            discover,
            initialize,
            legacy_lists,
            modern_lists,
            server_meta: server.meta_members().into(),
        }
    }

    /// Decides what to do about one message. Total, and without effects but on `session`.
    ///
    /// `headers` are those of the HTTP request, none on stdio. A request is modern when its `_meta` names a protocol
    /// version or its version header is 2026-07-28 or later; then `session` is neither read nor changed. `initialize`
    /// puts `session` into its handshake; any other legacy request needs one.
    pub fn handle(
        &self,
        session: &mut Session,
        view: View,
        headers: Option<&McpHeaders<'_>>,
        message: Message,
    ) -> Step {
        match message {
            Message::Request { id, method, params } => {
                let answer = match is_modern(headers, &params) {
                    true => self.modern(view, headers, &method, params),
                    false => self.legacy(session, view, headers, &method, params),
                };
                self.step(id, answer)
            }
            Message::Notification { method, params } => notified(session, headers, &method, params),
            Message::Response { .. } => match legacy_gate(session, headers) {
                _ if headers.is_some_and(|headers| headers.names_modern()) => Step::Reply(
                    Fault::invalid("The server asked nothing that this could answer.").reply(None),
                ),
                Err(fault) => Step::Reply(fault.reply(None)),
                Ok(()) => Step::Accepted,
            },
        }
    }

    /// Whether a batch may be handled in this session; otherwise the answer that refuses the whole of it.
    ///
    /// Only revision 2025-03-26 has batches, of at most 50 messages and without `initialize`. The messages are then
    /// handled one by one and their answers joined by [`super::rpc::join`]; without answers, HTTP has 202.
    pub fn accepts_batch(&self, session: &Session, batch: &[Message]) -> Result<(), Response> {
        let refuse = |why: &str| Err(Fault::invalid(why).reply(None));
        if !session.peer().is_some_and(|peer| peer.revision.has_batches()) {
            return refuse(
                "Batches exist in sessions of protocol version 2025-03-26 alone; send one message at a time.",
            );
        }
        if batch.len() > MAX_BATCH {
            return refuse("The batch has more than 50 messages.");
        }
        let opens =
            |message: &Message| matches!(message, Message::Request { method, .. } if method == "initialize");
        if batch.iter().any(opens) {
            return refuse("initialize must not be part of a batch.");
        }
        Ok(())
    }

    fn step(&self, id: Id, answer: Result<Answer<'_>, Fault>) -> Step {
        match answer {
            Ok(Answer::Result(result)) => Step::Reply(result_of(&id, result)),
            Ok(Answer::Call { tool, arguments, peer, progress_token }) => {
                let name = self.tools.get(tool).map_or("", |tool| tool.name);
                let server_meta = Arc::clone(&self.server_meta);
                Step::Call(Call { id, tool, name, arguments, peer, progress_token, server_meta })
            }
            Err(fault) => Step::Reply(fault.reply(Some(&id))),
        }
    }

    /// A request that says everything itself. The order of checks is the order in which clients rely on their codes.
    fn modern(
        &self,
        view: View,
        headers: Option<&McpHeaders<'_>>,
        method: &str,
        mut params: Params,
    ) -> Result<Answer<'_>, Fault> {
        let progress_token = params.progress_token();
        let (version, client, capabilities) = Meta::check(std::mem::take(&mut params.meta))?;
        if let Some(headers) = headers {
            self.agree(headers, &version, method, &params)?;
        }
        if version != Revision::MODERN.as_str() {
            return Err(not_served(&version));
        }
        let peer = || Peer { revision: Revision::MODERN, client, capabilities };
        match method {
            "server/discover" => Ok(Answer::Result(&self.discover)),
            "tools/list" => self.list(Revision::MODERN, view, &params),
            "tools/call" => self.call(view, params, progress_token, peer),
            other => Err(Fault { status: 404, ..no_method(other) }),
        }
        // Later: subscriptions/listen, resources, prompts, completion; a missing capability is -32021 here.
    }

    fn legacy(
        &self,
        session: &mut Session,
        view: View,
        headers: Option<&McpHeaders<'_>>,
        method: &str,
        mut params: Params,
    ) -> Result<Answer<'_>, Fault> {
        if method == "initialize" {
            let result: &Arc<[u8]> = of_legacy(&self.initialize, session.open(&params)?);
            return Ok(Answer::Result(result));
        }
        if method == "ping" && headers.is_none() {
            return Ok(Answer::Result(EMPTY_RESULT));
        }
        legacy_gate(session, headers)?;
        let peer = session.peer().ok_or_else(no_session)?;
        match method {
            "ping" => Ok(Answer::Result(EMPTY_RESULT)),
            "tools/list" => self.list(peer.revision, view, &params),
            "tools/call" => {
                let progress_token = params.progress_token();
                self.call(view, params, progress_token, || peer.clone())
            }
            other => Err(no_method(other)),
        }
    }

    fn list(&self, revision: Revision, view: View, params: &Params) -> Result<Answer<'_>, Fault> {
        if params.get("cursor").is_some_and(|cursor| !cursor.is_null()) {
            let text =
                "Invalid params: this cursor is unknown. All tools are on one page; ask without a cursor.";
            return Err(Fault::new(200, INVALID_PARAMS, text));
        }
        let lists = match revision.is_modern() {
            true => &self.modern_lists,
            false => of_legacy(&self.legacy_lists, revision),
        };
        let [full, by_grant, by_endpoint] = lists;
        Ok(Answer::Result(match view {
            View::Full => full,
            View::ReadOnlyGrant => by_grant,
            View::ReadOnlyEndpoint => by_endpoint,
        }))
    }

    fn call(
        &self,
        view: View,
        mut params: Params,
        progress_token: Option<Id>,
        peer: impl FnOnce() -> Peer,
    ) -> Result<Answer<'_>, Fault> {
        let tool = match params.get("name") {
            Some(Value::String(name)) => self.find(view, name)?,
            _ => return Err(wrong_params("params.name", "a string, the name of a tool")),
        };
        let arguments = match params.members.remove("arguments") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err(wrong_params("params.arguments", "an object")),
        };
        Ok(Answer::Call { tool, arguments, peer: peer(), progress_token })
    }

    fn find(&self, view: View, name: &str) -> Result<usize, Fault> {
        let unknown = |text: String| Err(Fault::new(200, INVALID_PARAMS, text));
        match self.position(name) {
            Some((_, tool)) if tool.write && view == View::ReadOnlyEndpoint => unknown(format!(
                "Unknown tool: {} is not at this read-only endpoint; it lives at the full endpoint, /mcp/.",
                tool.name
            )),
            Some((index, _)) => Ok(index),
            None => unknown(format!("Unknown tool: {}. tools/list names those there are.", quote(name))),
        }
    }

    fn position(&self, name: &str) -> Option<(usize, &Tool)> {
        self.tools.iter().enumerate().find(|(_, tool)| tool.name == name)
    }

    fn agree(
        &self,
        headers: &McpHeaders<'_>,
        version: &str,
        method: &str,
        params: &Params,
    ) -> Result<(), Fault> {
        let member = match method {
            "tools/call" | "prompts/get" => "name",
            "resources/read" => "uri",
            _ => "",
        };
        let name = params.get(member).and_then(Value::as_str);
        headers.agree(version, method, name)?;
        let tool = name.filter(|_| method == "tools/call").and_then(|name| self.position(name));
        for (header, path) in tool.iter().flat_map(|(_, tool)| &tool.mirrored) {
            let argument =
                path.iter().try_fold(params.get("arguments"), |value, member| Some(value?.get(member)));
            headers.agree_on_param(header, argument.flatten())?;
        }
        Ok(())
    }
}

impl Tool {
    fn new(def: &ToolDef) -> Tool {
        let mut mirrored = Vec::new();
        collect_mirrored(&def.input_schema, &mut Vec::new(), &mut mirrored);
        Tool { name: def.name, write: def.write, mirrored }
    }
}

fn collect_mirrored(schema: &Value, path: &mut Vec<String>, found: &mut Vec<(String, Vec<String>)>) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        path.push(name.clone());
        if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str) {
            found.push((header.to_owned(), path.clone()));
        }
        collect_mirrored(property, path, found);
        path.pop();
    }
}

/// Equal bytes are kept once: two revisions often have the same list.
fn shared(made: &mut Vec<Arc<[u8]>>, bytes: Vec<u8>) -> Arc<[u8]> {
    if let Some(same) = made.iter().find(|other| ***other == *bytes) {
        return Arc::clone(same);
    }
    let new: Arc<[u8]> = bytes.into();
    made.push(Arc::clone(&new));
    new
}

/// What a handshake's revision has; it is never the modern one.
fn of_legacy<T>([first, second, third, last]: &[T; 4], revision: Revision) -> &T {
    match revision {
        Revision::V2024_11_05 => first,
        Revision::V2025_03_26 => second,
        Revision::V2025_06_18 => third,
        Revision::V2025_11_25 | Revision::V2026_07_28 => last,
    }
}

fn is_modern(headers: Option<&McpHeaders<'_>>, params: &Params) -> bool {
    params.names_version() || headers.is_some_and(McpHeaders::names_modern)
}

/// What every legacy message on HTTP but `initialize` needs: a session, and no version that is not served.
fn legacy_gate(session: &Session, headers: Option<&McpHeaders<'_>>) -> Result<(), Fault> {
    let version = headers.and_then(|headers| headers.protocol_version);
    match version.and_then(unsupported) {
        Some(fault) => Err(fault),
        None if session.peer().is_none() && headers.is_some() => Err(no_session()),
        None => Ok(()),
    }
}

fn notified(
    session: &mut Session,
    headers: Option<&McpHeaders<'_>>,
    method: &str,
    mut params: Params,
) -> Step {
    if is_modern(headers, &params) && headers.is_some() {
        return Step::Accepted; // There, closing the response is what cancels.
    }
    if let Err(fault) = legacy_gate(session, headers) {
        return Step::Reply(fault.reply(None));
    }
    match method {
        "notifications/initialized" => {
            session.initialized();
            Step::Accepted
        }
        "notifications/cancelled" => {
            params.members.remove("requestId").and_then(Id::from_value).map_or(Step::Accepted, Step::Cancel)
        }
        _ => Step::Accepted,
    }
}

/// What refuses a `MCP-Protocol-Version` that is no revision served here, of either era; `None` for one that is.
pub fn unsupported(version: &str) -> Option<Fault> {
    Revision::parse(version).is_none().then(|| not_served(version))
}

fn not_served(version: &str) -> Fault {
    let requested: String = version.chars().take(64).collect();
    Fault::new(400, UNSUPPORTED_VERSION, format!("Unsupported protocol version: {}.", quote(version)))
        .with_data(json!({"supported": SUPPORTED.map(Revision::as_str), "requested": requested}))
}

fn no_session() -> Fault {
    let text = "Invalid params: send initialize first and then its session (on HTTP the header Mcp-Session-Id), or put \
         io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities into params._meta.";
    Fault::new(400, INVALID_PARAMS, text)
}

fn no_method(method: &str) -> Fault {
    Fault::new(200, METHOD_NOT_FOUND, format!("Method not found: {}.", quote(method)))
}

#[cfg(test)]
mod tests;
