//! A request that somebody has to work for, and the bytes that answer it, written straight into one buffer: a tool's
//! structured result is copied once as it stands and once as the text of its text block.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::asking::Asking;
use super::catalog::TASKS;
use super::level::Level;
use super::outcome::{Ask, Cache, Found, Outcome, Output, Refusal};
use super::rpc::{
    Fault, INTERNAL_ERROR, INVALID_PARAMS, Id, MISSING_CAPABILITY, NO_RESOURCE, REFUSED, Response, put,
    put_text,
};
use super::session::Peer;

/// A request that waits for its outcome. It cannot be copied: it is answered exactly once.
#[derive(Debug)]
#[must_use]
pub struct Call {
    /// The request's identifier.
    pub id: Id,
    /// What is asked for.
    pub target: Target,
    /// Who calls, in which revision.
    pub peer: Peer,
    /// What progress notifications carry, where the client asked for them.
    pub progress_token: Option<Id>,
    /// The least severe log messages that the client wants of this call; `None` wants none.
    pub log_level: Option<Level>,
    /// What the client was asked before, by the names of [`Ask::requests`]: the results of those requests, as a client
    /// sent them.
    pub answers: Map<String, Value>,
    /// What [`Ask::state`] was, by the client's account.
    pub request_state: Option<String>,
    /// What names the server in the `_meta` of a modern result, without the braces.
    pub(super) server_meta: Arc<str>,
}

/// What a call asks for.
#[derive(Debug)]
pub enum Target {
    /// `tools/call`.
    Tool {
        /// Which tool: an index into the catalog.
        index: usize,
        /// Its name.
        name: &'static str,
        /// The arguments as they came, not yet held against the tool's schema.
        arguments: Map<String, Value>,
    },
    /// `resources/list`.
    Resources {
        /// Where the page before ended, by the client's account.
        cursor: Option<String>,
    },
    /// `resources/read`.
    Resource {
        /// Which one, by the client's account.
        uri: String,
    },
    /// `prompts/get`; every argument that the prompt requires is there.
    Prompt {
        /// Which prompt: an index into the catalog.
        index: usize,
        /// Its name.
        name: &'static str,
        /// Texts by the names of its arguments; what it does not know is left out.
        arguments: Map<String, Value>,
    },
    /// `completion/complete`.
    Completion {
        /// What has the argument.
        of: Completable,
        /// The argument's name, or the template's variable.
        argument: String,
        /// What was typed so far.
        value: String,
        /// The arguments that are already there.
        given: Map<String, Value>,
    },
    /// `tasks/get`, `tasks/update`, `tasks/cancel`, by a client that declared the extension.
    Task {
        /// Which of the three.
        op: TaskOp,
        /// Which task, by the client's account.
        id: String,
    },
}

/// What has arguments to complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completable {
    /// A prompt: an index into the catalog.
    Prompt(usize),
    /// A family of resources: an index into the catalog's templates.
    Template(usize),
}

/// What to do with a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOp {
    /// Say how it stands.
    Get,
    /// Take these answers to what it asked; unknown names are to be ignored.
    Update(Map<String, Value>),
    /// Stop it, if that can be.
    Cancel,
}

impl Call {
    /// The tool's name, or the method of any other call: what logs name it by.
    pub fn name(&self) -> &'static str {
        match &self.target {
            Target::Tool { name, .. } => name,
            Target::Resources { .. } => "resources/list",
            Target::Resource { .. } => "resources/read",
            Target::Prompt { .. } => "prompts/get",
            Target::Completion { .. } => "completion/complete",
            Target::Task { op: TaskOp::Get, .. } => "tasks/get",
            Target::Task { op: TaskOp::Update(_), .. } => "tasks/update",
            Target::Task { op: TaskOp::Cancel, .. } => "tasks/cancel",
        }
    }

    /// The answer to the call. A refusal of a tool is a result with `isError`, whose text begins with its code.
    ///
    /// A legacy client cannot be asked by an answer: of an [`Outcome::Ask`] for one, make an [`Asking`].
    pub fn finish(self, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Done(output) => self.done(&output),
            Outcome::Result(found) => self.found(&found),
            Outcome::Refused(refusal) if self.is_tool() => self.refused(refusal),
            Outcome::Refused(refusal) => self.refused_plainly(refusal),
            Outcome::NoResource(uri) => self.no_resource(&uri),
            Outcome::Fault(fault) => self.fault(&fault),
            Outcome::Ask(ask) => self.input_required(&ask),
            Outcome::Task(task) => self.task(&task),
        }
    }

    /// Whether the outcome is to be asked of the client by requests of their own: then make an [`Asking`].
    pub fn asks_by_requests(&self, outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Ask(_)) && !self.peer.revision.is_modern()
    }

    /// The call, waiting for the answers of a legacy client; or the answer that says that this client cannot give them.
    /// `first` numbers the requests: each takes one number, and none may be used twice in a session.
    #[allow(clippy::result_large_err, reason = "it is an answer, not an error")]
    pub fn ask(self, ask: Ask, first: u64) -> Result<Asking, Response> {
        match self.unanswerable(&ask) {
            Some(fault) => Err(self.fault(&fault)),
            None => Ok(Asking::new(self, ask, first)),
        }
    }

    /// A progress notification (MCP, "Progress"), where the client asked for such: `done` must grow from one to the next.
    pub fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) -> Option<Vec<u8>> {
        let token = self.progress_token.as_ref()?;
        let mut params = json!({"progressToken": token, "progress": whole(done)});
        if let Some(total) = total {
            params["total"] = whole(total);
        }
        if let Some(message) = message.filter(|_| self.peer.revision.has_completions()) {
            params["message"] = message.into();
        }
        Some(notification("notifications/progress", &params))
    }

    /// A log message (MCP, "Logging"), where the client wants such. It must hold no secret and nothing personal.
    pub fn log(&self, level: Level, logger: Option<&str>, data: &Value) -> Option<Vec<u8>> {
        if level < self.log_level? {
            return None;
        }
        let mut params = json!({"level": level.as_str(), "data": data});
        if let Some(logger) = logger {
            params["logger"] = logger.into();
        }
        Some(notification("notifications/message", &params))
    }

    /// The answer that is this error.
    pub fn fault(&self, fault: &Fault) -> Response {
        fault.reply(Some(&self.id))
    }

    fn is_tool(&self) -> bool {
        matches!(self.target, Target::Tool { .. })
    }

    fn done(&self, output: &Output) -> Response {
        let meta_bytes = output.meta.as_ref().map_or(0, String::len);
        let mut body = Vec::with_capacity(output.structured.len() * 5 / 2 + meta_bytes + 384);
        self.open_result(&mut body);
        put_content(&mut body, &output.structured);
        if self.peer.revision.has_structured_content() {
            put_structured(&mut body, &output.structured);
        }
        self.close(&mut body, [output.meta.as_deref().map_or("", members), ""]);
        Response { status: 200, body }
    }

    fn found(&self, found: &Found) -> Response {
        let mut body = Vec::with_capacity(found.members.len() + 384);
        self.open_result(&mut body);
        // `resultType`, if it was written, ended with a comma; `close` needs none before it.
        let inner = members(&found.members);
        body.extend_from_slice(inner.as_bytes());
        if self.peer.revision.is_modern() {
            put_cache(&mut body, found.cache);
            if body.last() == Some(&b',') {
                body.pop();
            }
        }
        self.close(&mut body, [found.meta.as_deref().map_or("", members), ""]);
        Response { status: 200, body }
    }

    fn task(&self, task: &str) -> Response {
        if !self.peer.revision.is_modern() || !self.peer.has_extension(TASKS) {
            return self.fault(&needs_tasks());
        }
        let mut body = Vec::with_capacity(task.len() + 384);
        begin(&mut body, &self.id);
        body.extend_from_slice(br#"{"resultType":"task","#);
        body.extend_from_slice(members(task).as_bytes());
        self.close(&mut body, ["", ""]);
        Response { status: 200, body }
    }

    fn refused(&self, refusal: Refusal) -> Response {
        let meta = refusal.meta.as_deref().map_or("", members).to_owned();
        let text = format!("{}: {}", refusal.code, refusal.message);
        let error = format!(r#""com.chaterimo/error":{}"#, Value::Object(error_data(refusal)));
        let mut body = Vec::with_capacity(640);
        self.open_result(&mut body);
        put_content(&mut body, &text);
        body.extend_from_slice(br#","isError":true"#);
        self.close(&mut body, [&meta, &error]);
        Response { status: 200, body }
    }

    /// What is no tool has no place in its result for a refusal.
    fn refused_plainly(&self, refusal: Refusal) -> Response {
        let text = format!("{}: {}", refusal.code, refusal.message);
        self.fault(&Fault::new(200, REFUSED, text).with_data(error_data(refusal).into()))
    }

    fn no_resource(&self, uri: &str) -> Response {
        let code = if self.peer.revision.is_modern() { INVALID_PARAMS } else { NO_RESOURCE };
        let text = "Resource not found. resources/list and resources/templates/list name those there are.";
        self.fault(&Fault::new(200, code, text).with_data(json!({"uri": uri})))
    }

    fn input_required(&self, ask: &Ask) -> Response {
        if !self.peer.revision.is_modern() {
            return self.fault(&Fault::new(200, INTERNAL_ERROR, "This client cannot be asked by a result."));
        }
        if let Some(fault) = self.unanswerable(ask) {
            return self.fault(&fault);
        }
        let mut body = Vec::with_capacity(640);
        begin(&mut body, &self.id);
        body.extend_from_slice(br#"{"resultType":"input_required""#);
        if !ask.requests.is_empty() || ask.state.is_none() {
            body.extend_from_slice(br#","inputRequests":"#);
            put(&mut body, &ask.requests);
        }
        if let Some(state) = &ask.state {
            body.extend_from_slice(br#","requestState":"#);
            put(&mut body, state);
        }
        self.close(&mut body, ["", ""]);
        Response { status: 200, body }
    }

    /// Why this client cannot be asked all of this; `None` when it can.
    fn unanswerable(&self, ask: &Ask) -> Option<Fault> {
        let mut missing = Map::new();
        for request in ask.requests.values() {
            let method = request["method"].as_str().unwrap_or_default();
            if !self.peer.answers(method, request.get("params")) {
                let (name, _) = method.split_once('/').unwrap_or((method, ""));
                let url = request["params"]["mode"] == "url";
                missing.insert(name.into(), if url { json!({"url": {}}) } else { json!({}) });
            }
        }
        (!missing.is_empty()).then(|| missing_capability(missing.into()))
    }

    fn open_result(&self, body: &mut Vec<u8>) {
        begin(body, &self.id);
        body.push(b'{');
        if self.peer.revision.is_modern() {
            body.extend_from_slice(br#""resultType":"complete","#);
        }
    }

    fn close(&self, body: &mut Vec<u8>, extra: [&str; 2]) {
        let server: &str = if self.peer.revision.is_modern() { &self.server_meta } else { "" };
        let first = body.last() == Some(&b'{');
        let mut before: &[u8] = if first { br#""_meta":{"# } else { br#","_meta":{"# };
        for part in [server, extra[0], extra[1]].into_iter().filter(|part| !part.is_empty()) {
            body.extend_from_slice(before);
            body.extend_from_slice(part.as_bytes());
            before = b",";
        }
        let some = before == b",";
        body.extend_from_slice(if some { b"}}}" } else { b"}}" });
    }
}

/// The result of `tools/call` for this output: the text of one object. What `tasks/get` gives of a task that is done.
pub fn tool_result(output: &Output) -> String {
    let mut text = b"{".to_vec();
    put_content(&mut text, &output.structured);
    put_structured(&mut text, &output.structured);
    if let Some(meta) = &output.meta {
        text.extend_from_slice(br#","_meta":"#);
        text.extend_from_slice(meta.as_bytes());
    }
    text.push(b'}');
    String::from_utf8(text).unwrap_or_default()
}

/// MISSING_CAPABILITY: the client must declare these members of its capabilities for the server to answer.
pub fn missing_capability(required: Value) -> Fault {
    let text =
        format!("Missing required client capability: {required}. Declare it, or call what needs none.");
    Fault::new(400, MISSING_CAPABILITY, text).with_data(json!({"requiredCapabilities": required}))
}

pub(super) fn needs_tasks() -> Fault {
    missing_capability(json!({"extensions": {TASKS: {}}}))
}

fn error_data(refusal: Refusal) -> Map<String, Value> {
    let mut error = match refusal.data {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    error.insert("code".into(), refusal.code.into());
    error
}

fn put_content(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(br#""content":[{"type":"text","text":"#);
    put_text(body, text);
    body.extend_from_slice(b"}]");
}

fn put_structured(body: &mut Vec<u8>, structured: &str) {
    body.extend_from_slice(br#","structuredContent":"#);
    body.extend_from_slice(structured.as_bytes());
}

fn put_cache(body: &mut Vec<u8>, cache: Option<Cache>) {
    let Some(Cache { ttl_ms, public }) = cache else { return };
    if !matches!(body.last(), Some(b'{' | b',')) {
        body.push(b',');
    }
    let scope = if public { "public" } else { "private" };
    body.extend_from_slice(format!(r#""ttlMs":{ttl_ms},"cacheScope":"{scope}""#).as_bytes());
}

/// A number that is whole is written as one.
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9e15 { json!(number as i64) } else { json!(number) }
}

fn notification(method: &str, params: &Value) -> Vec<u8> {
    let mut out = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":"#).into_bytes();
    put(&mut out, params);
    out.push(b'}');
    out
}

/// The members of an object's text, without its braces.
pub(super) fn members(object: &str) -> &str {
    let inner = object.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.unwrap_or_default().trim()
}

fn begin(out: &mut Vec<u8>, id: &Id) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    id.write(out);
    out.extend_from_slice(br#","result":"#);
}

/// The answer whose result is these bytes.
pub(super) fn result_of(id: &Id, result: &[u8]) -> Response {
    let mut body = Vec::with_capacity(result.len() + 64);
    begin(&mut body, id);
    body.extend_from_slice(result);
    body.push(b'}');
    Response { status: 200, body }
}
