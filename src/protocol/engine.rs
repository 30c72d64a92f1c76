//! The engine: one message in, one [`Step`] out, for both eras. What every client gets alike is serialised once, when
//! the engine is made; answering it copies those bytes behind the identifier.

mod requests;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::call::{Call, Target, result_of};
use super::catalog::{Catalog, Offers, PromptDef, TemplateDef, ToolDef, UI};
use super::framing::{McpHeaders, name_member};
use super::level::Level;
use super::listen::{Filter, Listen};
use super::meta::{Meta, Params};
use super::revision::{Revision, SUPPORTED};
use super::rpc::{
    Fault, INVALID_PARAMS, Id, MAX_BATCH, METHOD_NOT_FOUND, Message, Response, UNSUPPORTED_VERSION, quote,
};
use super::session::{Peer, Session};
use super::wire::{ListKind, ServerInfo};

/// The server's side of the protocol. Immutable: every connection shares one.
#[derive(Debug)]
pub struct Engine {
    tools: Vec<Tool>,
    prompts: Vec<PromptDef>,
    templates: Vec<TemplateDef>,
    offers: Offers,
    discover: Arc<[u8]>,
    /// In the order of [`LEGACY`]; each without and with the page of tools' results.
    initialize: [[Arc<[u8]>; 2]; 4],
    /// In the order of [`LEGACY`].
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
    /// Work for it, then send what [`Call::finish`] gives.
    Call(Call),
    /// Open this stream: send what [`Listen::acknowledge`] gives, then what [`Listen::deliver`] makes of what happens.
    Listen(Listen),
    /// The client answers a request of the server: see [`super::asking::Asking`]. Unknown identifiers are to be ignored.
    Resume(Id, Result<Value, Value>),
    /// The client no longer wants the answer to this request of the same connection or session: stop its work, send
    /// nothing for it. Unknown identifiers are to be ignored.
    Cancel(Id),
    /// Nothing to send; on HTTP, 202.
    Accepted,
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
    Call { target: Target, peer: Peer, asked: Asked },
    Listen { filter: Filter, peer: Peer },
}

/// What a call brings beside its target.
#[derive(Default)]
struct Asked {
    progress_token: Option<Id>,
    log_level: Option<Level>,
    answers: serde_json::Map<String, Value>,
    request_state: Option<String>,
}

/// The results that are the same for all clients of a revision.
#[derive(Debug)]
struct Lists {
    /// Without and with the pages of tools' results; each full, read-only by grant, read-only by endpoint.
    tools: [[Arc<[u8]>; 3]; 2],
    prompts: Arc<[u8]>,
    templates: Arc<[u8]>,
}

/// The revisions with a handshake.
const LEGACY: [Revision; 4] =
    [Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25];

const WITHOUT_AND_WITH_VIEWS: [bool; 2] = [false, true];

const EMPTY_RESULT: &[u8] = b"{}";

impl Engine {
    /// An engine for what the catalog has.
    pub fn new(server: ServerInfo, catalog: Catalog) -> Engine {
        let mut made = Vec::new();
        let initialize = LEGACY.map(|revision| {
            WITHOUT_AND_WITH_VIEWS
                .map(|ui| shared(&mut made, server.initialize_result(revision, &catalog, ui)))
        });
        let legacy_lists = LEGACY.map(|revision| Lists::new(&mut made, &server, &catalog, revision));
        let modern_lists = Lists::new(&mut made, &server, &catalog, Revision::MODERN);
        let discover = shared(&mut made, server.discover_result(&catalog));
        Engine {
            tools: catalog.tools.iter().map(Tool::new).collect(),
            prompts: catalog.prompts,
            templates: catalog.templates,
            offers: catalog.offers,
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
            Message::Response { id, outcome } => match legacy_gate(session, headers) {
                _ if headers.is_some_and(|headers| headers.names_modern()) => Step::Reply(
                    Fault::invalid("The server asked nothing that this could answer.").reply(None),
                ),
                Err(fault) => Step::Reply(fault.reply(None)),
                Ok(()) => id.map_or(Step::Accepted, |id| Step::Resume(id, outcome)),
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

    /// The stream on which a legacy session hears what it did not ask for (the GET of Streamable HTTP); `None` where there
    /// is no session. On stdio such messages come between the others.
    pub fn stream_of(&self, session: &Session) -> Option<Listen> {
        let peer = session.peer()?.clone();
        let filter = Filter::of_session(&peer, &self.offers);
        Some(Listen { id: None, filter, peer, server_meta: Arc::clone(&self.server_meta) })
    }

    fn step(&self, id: Id, answer: Result<Answer<'_>, Fault>) -> Step {
        let server_meta = || Arc::clone(&self.server_meta);
        match answer {
            Ok(Answer::Result(result)) => Step::Reply(result_of(&id, result)),
            Ok(Answer::Call { target, peer, asked }) => {
                let Asked { progress_token, log_level, answers, request_state } = asked;
                let server_meta = server_meta();
                Step::Call(Call {
                    id,
                    target,
                    peer,
                    progress_token,
                    log_level,
                    answers,
                    request_state,
                    server_meta,
                })
            }
            Ok(Answer::Listen { filter, peer }) => {
                Step::Listen(Listen { id: Some(id), filter, peer, server_meta: server_meta() })
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
        let mut asked = Asked { progress_token: params.progress_token(), ..Asked::default() };
        let log_level = params.log_level();
        let (version, client, capabilities) = Meta::check(std::mem::take(&mut params.meta))?;
        if let Some(headers) = headers {
            self.agree(headers, &version, method, &params)?;
        }
        if version != Revision::MODERN.as_str() {
            return Err(not_served(&version));
        }
        asked.log_level = log_level?.filter(|_| self.offers.logging);
        let peer = Peer::declaring(Revision::MODERN, client, capabilities);
        match method {
            "server/discover" => Ok(Answer::Result(&self.discover)),
            "subscriptions/listen" if self.offers.has_news() => self.listen(&params, peer),
            "tools/call" | "prompts/get" | "resources/read" => {
                requests::take_answers(&mut params, &mut asked)?;
                self.common(view, method, params, Cow::Owned(peer), asked)
            }
            "tasks/get" | "tasks/update" | "tasks/cancel" if self.offers.tasks => {
                Ok(Answer::Call { target: requests::task(method, params, &peer)?, peer, asked })
            }
            method => self.common(view, method, params, Cow::Owned(peer), asked),
        }
        .map_err(|fault| match fault.code {
            METHOD_NOT_FOUND => Fault { status: 404, ..fault },
            _ => fault,
        })
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
            let revision = session.open(&params)?;
            let [plain, with_views] = of_legacy(&self.initialize, revision);
            let ui = session.peer().is_some_and(|peer| peer.has_extension(UI));
            return Ok(Answer::Result(if ui { with_views } else { plain }));
        }
        if method == "ping" && headers.is_none() {
            return Ok(Answer::Result(EMPTY_RESULT));
        }
        legacy_gate(session, headers)?;
        let offers = self.offers;
        match method {
            "ping" => return Ok(Answer::Result(EMPTY_RESULT)),
            "logging/setLevel" if offers.logging => {
                let level = requests::level(&params)?;
                session.peer_mut().ok_or_else(no_session)?.log_level = Some(level);
                return Ok(Answer::Result(EMPTY_RESULT));
            }
            "resources/subscribe" | "resources/unsubscribe" if offers.subscribe => {
                let peer = session.peer_mut().ok_or_else(no_session)?;
                requests::watch(&params, peer, method == "resources/subscribe")?;
                return Ok(Answer::Result(EMPTY_RESULT));
            }
            _ => {}
        }
        let peer = session.peer().ok_or_else(no_session)?;
        let log_level = peer.log_level.unwrap_or(Level::Info);
        let asked = Asked {
            progress_token: params.progress_token(),
            log_level: offers.logging.then_some(log_level),
            ..Asked::default()
        };
        self.common(view, method, params, Cow::Borrowed(peer), asked)
    }

    /// What both eras have.
    fn common(
        &self,
        view: View,
        method: &str,
        params: Params,
        peer: Cow<'_, Peer>,
        asked: Asked,
    ) -> Result<Answer<'_>, Fault> {
        let lists = self.lists(peer.revision);
        let target = match method {
            "tools/list" => return self.tools_list(view, &params, &peer),
            "prompts/list" if !self.prompts.is_empty() => return only_page(&params, &lists.prompts),
            "resources/templates/list" if self.offers.resources => {
                return only_page(&params, &lists.templates);
            }
            "tools/call" => self.tool(view, params)?,
            "prompts/get" if !self.prompts.is_empty() => self.prompt(params)?,
            "resources/list" if self.offers.resources => requests::resources(&params)?,
            "resources/read" if self.offers.resources => requests::resource(&params)?,
            "completion/complete" if self.offers.completions => self.completion(params)?,
            other => return Err(no_method(other)),
        };
        Ok(Answer::Call { target, peer: peer.into_owned(), asked })
    }

    fn lists(&self, revision: Revision) -> &Lists {
        match revision.is_modern() {
            true => &self.modern_lists,
            false => of_legacy(&self.legacy_lists, revision),
        }
    }

    fn tools_list(&self, view: View, params: &Params, peer: &Peer) -> Result<Answer<'_>, Fault> {
        let [plain, with_views] = &self.lists(peer.revision).tools;
        let [full, by_grant, by_endpoint] = if peer.has_extension(UI) { with_views } else { plain };
        only_page(
            params,
            match view {
                View::Full => full,
                View::ReadOnlyGrant => by_grant,
                View::ReadOnlyEndpoint => by_endpoint,
            },
        )
    }

    fn listen(&self, params: &Params, peer: Peer) -> Result<Answer<'_>, Fault> {
        let filter = Filter::read(params, &self.offers)?;
        if !filter.tasks.is_empty() && !peer.has_extension(super::catalog::TASKS) {
            return Err(super::call::needs_tasks());
        }
        Ok(Answer::Listen { filter, peer })
    }

    fn agree(
        &self,
        headers: &McpHeaders<'_>,
        version: &str,
        method: &str,
        params: &Params,
    ) -> Result<(), Fault> {
        let name = name_member(method).and_then(|member| params.get(member)?.as_str());
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

impl Lists {
    fn new(made: &mut Vec<Arc<[u8]>>, server: &ServerInfo, catalog: &Catalog, revision: Revision) -> Lists {
        let views = [View::Full, View::ReadOnlyGrant, View::ReadOnlyEndpoint];
        let tools = WITHOUT_AND_WITH_VIEWS.map(|ui| {
            views.map(|view| {
                let (with_writes, by_grant) = (view == View::Full, view != View::ReadOnlyEndpoint);
                let kind = ListKind { with_writes, by_grant, ui: ui && catalog.has_views() };
                shared(made, server.tools_result(revision, &catalog.tools, kind))
            })
        });
        let prompts = catalog.prompts.iter().map(|prompt| prompt.definition(revision)).collect();
        let templates = catalog.templates.iter().map(|template| template.definition(revision)).collect();
        Lists {
            tools,
            prompts: shared(made, server.list_result(revision, "prompts", prompts, true)),
            templates: shared(made, server.list_result(revision, "resourceTemplates", templates, true)),
        }
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

/// The list, which has no second page to ask for.
fn only_page<'e>(params: &Params, list: &'e [u8]) -> Result<Answer<'e>, Fault> {
    if params.get("cursor").is_some_and(|cursor| !cursor.is_null()) {
        let text = "Invalid params: this cursor is unknown. All is on one page; ask without a cursor.";
        return Err(Fault::new(200, INVALID_PARAMS, text));
    }
    Ok(Answer::Result(list))
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

fn notified(session: &Session, headers: Option<&McpHeaders<'_>>, method: &str, mut params: Params) -> Step {
    if is_modern(headers, &params) && headers.is_some() {
        return Step::Accepted; // There, closing the response is what cancels.
    }
    if let Err(fault) = legacy_gate(session, headers) {
        return Step::Reply(fault.reply(None));
    }
    match method {
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
mod features;
#[cfg(test)]
mod tests;
