//! A small server that keeps to every rule, in both eras, until it is told to do something otherwise. It reads requests
//! byte for byte, for some rules are about the spaces around a value.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Sender};

use super::faults::Does::{self, Both, Hears, Says};

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 2] = ["2025-03-26", "2025-11-25"];
/// The id of a session for clients that were given none.
pub(super) const ANYBODY: &str = "anybody";
const META: &str = "io.modelcontextprotocol/";

/// A request.
#[derive(Clone, Default)]
pub(super) struct Asked {
    pub(super) verb: String,
    path: String,
    /// Names in lower case, and values as they stand between the colon with its space and the end of the line.
    fields: Vec<(String, String)>,
    text: Vec<u8>,
    /// The message; null where there is none.
    pub(super) body: Value,
    /// It is the first on its connection.
    pub(super) is_first: bool,
    /// No other request has it.
    pub(super) number: usize,
}

impl Asked {
    pub(super) fn method(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }

    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.into(), value.into()));
    }

    pub(super) fn meta(&self, name: &str) -> Option<&Value> {
        self.body["params"]["_meta"].get(format!("{META}{name}"))
    }

    /// `scope` on all pages of a list but the first.
    pub(super) fn page(&self, scope: &str) -> Value {
        json!(if self.body["params"]["cursor"].is_null() { "private" } else { scope })
    }

    /// Another cursor each time.
    pub(super) fn next(&self) -> Value {
        json!(format!("b{}", self.number))
    }

    pub(super) fn is_modern(&self) -> bool {
        self.meta("protocolVersion").is_some() || self.field("mcp-protocol-version") == MODERN
    }
}

/// An answer.
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) kind: &'static str,
    pub(super) messages: Vec<Value>,
    /// A stream is not ended.
    pub(super) stays_open: bool,
    /// It comes in chunks.
    pub(super) is_chunked: bool,
    /// It ends with its connection.
    pub(super) closes: bool,
    /// What a stream begins with.
    pub(super) lead: &'static str,
    /// The last message is held back until the client has answered the first, a ping.
    pub(super) waits: bool,
    /// The last message is sent again and again.
    pub(super) repeats: bool,
}

impl Said {
    fn new(status: u16, messages: Vec<Value>) -> Said {
        Said {
            status,
            fields: Vec::new(),
            kind: "application/json",
            messages,
            stays_open: false,
            is_chunked: false,
            closes: false,
            lead: "",
            waits: false,
            repeats: false,
        }
    }

    /// Answers as a stream, where it is an answer; whether it is one then.
    pub(super) fn stream(&mut self) -> bool {
        if self.status == 200 && !self.messages.is_empty() && self.kind != "text/event-stream" {
            self.kind = "text/event-stream";
            self.fields.push(("x-accel-buffering", "no".into()));
        }
        self.kind == "text/event-stream"
    }

    /// Says no.
    pub(super) fn refuse(&mut self, status: u16, code: i64) {
        let id = self.messages.last().map_or(Value::Null, |message| message["id"].clone());
        *self = refusal(status, code, &id);
    }

    /// Answers with `result`.
    pub(super) fn result(&mut self, asked: &Asked, result: Value) {
        *self = Said::new(200, vec![answer(asked, result)]);
    }

    /// Changes each message.
    pub(super) fn each(&mut self, change: impl Fn(&mut serde_json::Map<String, Value>)) {
        self.messages.iter_mut().filter_map(Value::as_object_mut).for_each(change);
    }

    /// Changes the result of `method`.
    pub(super) fn of(&mut self, asked: &Asked, method: &str, change: impl FnOnce(&mut Value)) {
        if let (true, Some(last)) = (asked.method() == method, self.messages.last_mut())
            && let Some(result) = last.get_mut("result")
        {
            change(result);
        }
    }
}

fn refusal(status: u16, code: i64, id: &Value) -> Said {
    let mut message = json!({"jsonrpc": "2.0", "error": {"code": code, "message": "no"}});
    if !id.is_null() {
        message["id"] = id.clone();
    }
    Said::new(status, vec![message])
}

/// The message with `result`, and what the modern era adds to it.
fn answer(asked: &Asked, mut result: Value) -> Value {
    if asked.is_modern() {
        let mut all = json!({"resultType": "complete", "_meta": {format!("{META}serverInfo"): info()}});
        if asked.method() == "server/discover"
            || asked.method().ends_with("list")
            || asked.method() == "resources/read"
        {
            all["ttlMs"] = json!(0);
            all["cacheScope"] = json!("private");
        }
        for (name, value) in result.as_object().cloned().unwrap_or_default() {
            all[name] = value;
        }
        result = all;
    }
    json!({"jsonrpc": "2.0", "id": asked.body["id"], "result": result})
}

fn info() -> Value {
    json!({"name": "correct", "version": "1"})
}

/// The ids of the sessions that are open.
pub(super) type Sessions = Arc<Mutex<Vec<String>>>;

/// The URL of one that does this otherwise, and its sessions.
pub(super) async fn serve(does: Option<Does>) -> (String, Sessions) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sessions = Sessions::default();
    let (all, pongs) = (sessions.clone(), broadcast::channel(64).0);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, does, all.clone(), pongs.clone()));
        }
    });
    (format!("http://{address}/mcp"), sessions)
}

async fn converse(mut stream: TcpStream, does: Option<Does>, sessions: Sessions, pongs: Sender<Value>) {
    let mut is_first = true;
    while let Some(mut asked) = read(&mut stream).await {
        asked.is_first = std::mem::take(&mut is_first);
        if let Some(Hears(hears) | Both(hears, _)) = does {
            hears(&mut asked);
        }
        let mut said = http(&asked, &sessions);
        if said.status == 202 && asked.body["result"].is_object() {
            let _ = pongs.send(asked.body["id"].clone());
        }
        if let Some(Says(says) | Both(_, says)) = does {
            says(&asked, &mut said);
        }
        if said.status == 0 {
            return; // Without a word.
        }
        let written = write(&mut stream, &said, &pongs).await;
        if written.is_none() || said.stays_open {
            let _ = stream.read(&mut [0]).await;
        }
        if written.is_none() || said.stays_open || said.closes {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8_lossy(&head);
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ').map(str::to_owned);
    let (verb, path) = (first.next()?, first.next()?);
    let field =
        |line: &str| line.split_once(": ").map(|(n, value)| (n.to_ascii_lowercase(), value.to_owned()));
    let fields = lines.filter_map(field).collect();
    let mut asked = Asked { verb, path, fields, ..Asked::default() };
    asked.number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    asked.text = vec![0; asked.field("content-length").parse().unwrap_or(0)];
    stream.read_exact(&mut asked.text).await.ok()?;
    asked.body = serde_json::from_slice(&asked.text).unwrap_or_default();
    Some(asked)
}

async fn write(stream: &mut TcpStream, said: &Said, pongs: &Sender<Value>) -> Option<()> {
    let mut heard = pongs.subscribe();
    let events = said.messages.iter().map(|message| format!("data: {message}\n\n"));
    let parts: Vec<String> = match said.kind == "text/event-stream" {
        true => std::iter::once(said.lead.to_owned()).chain(events).collect(),
        false if said.messages.len() > 1 => vec![Value::from(said.messages.clone()).to_string()],
        false => said.messages.first().map(ToString::to_string).into_iter().collect(),
    };
    let mut head = format!("HTTP/1.1 {} X\r\ncontent-type: {}\r\n", said.status, said.kind);
    said.fields.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    if said.is_chunked {
        head.push_str("transfer-encoding: chunked\r\n");
    } else if !said.stays_open && !said.closes {
        let length: usize = parts.iter().map(String::len).sum();
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    // In one piece: the second of two would wait until the client's machine has acknowledged the first.
    let mut out = format!("{head}\r\n").into_bytes();
    for (number, part) in parts.iter().enumerate() {
        if said.waits && number + 1 == parts.len() {
            stream.write_all(&std::mem::take(&mut out)).await.ok()?;
            // That of another answer is none: who waited for this one may have given it up.
            while heard.recv().await.ok().as_ref() != said.messages.first().map(|ping| &ping["id"]) {}
        }
        if !said.is_chunked {
            out.extend(part.bytes());
            continue;
        }
        // Chunks end anywhere, also within a character.
        for chunk in part.as_bytes().chunks(50) {
            out.extend(format!("{:x}\r\n", chunk.len()).bytes().chain(chunk.iter().copied()).chain(*b"\r\n"));
        }
    }
    out.extend_from_slice(if said.is_chunked { b"0\r\n\r\n" } else { b"" });
    stream.write_all(&out).await.ok()?;
    while let (true, Some(last)) = (said.repeats, parts.last()) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(last.as_bytes()).await.ok()?;
    }
    Some(())
}

fn http(asked: &Asked, sessions: &Mutex<Vec<String>>) -> Said {
    let (host, origin) = (asked.field("host"), asked.field("origin"));
    let moved = match &*asked.path {
        "/old" => Some("/mcp".to_owned()),
        "/older" => Some(format!("http://{host}/mcp")),
        _ => None,
    };
    if let Some(to) = moved {
        let mut said = Said::new(307, Vec::new());
        said.fields.push(("location", to));
        return said;
    }
    if !host.starts_with("127.0.0.1:") || !(origin.is_empty() || origin == format!("http://{host}")) {
        return refusal(403, -32600, &Value::Null);
    }
    let session = asked.field("mcp-session-id");
    let is_known = session == ANYBODY || sessions.lock().unwrap().iter().any(|id| id == session);
    match &*asked.verb {
        "DELETE" if is_known => {
            sessions.lock().unwrap().retain(|id| id != session);
            Said::new(200, Vec::new())
        }
        "POST" => post(asked, is_known, sessions),
        _ => Said::new(405, Vec::new()),
    }
}

fn post(asked: &Asked, is_known: bool, sessions: &Mutex<Vec<String>>) -> Said {
    if asked.body.is_null() {
        return refusal(400, -32700, &Value::Null);
    }
    let id = &asked.body["id"];
    if asked.body["result"].is_object() {
        return if is_known { Said::new(202, Vec::new()) } else { refusal(400, -32600, &Value::Null) };
    }
    if asked.body["jsonrpc"] != "2.0" || !asked.body["method"].is_string() {
        return match asked.body.as_array() {
            Some(all) if asked.field("mcp-protocol-version") == "2025-03-26" => Said::new(
                200,
                all.iter()
                    .map(|one| answer(&Asked { body: one.clone(), ..asked.clone() }, json!({})))
                    .collect(),
            ),
            _ => refusal(400, -32600, id),
        };
    }
    match asked.method() {
        "initialize" => initialize(asked, sessions),
        _ if asked.is_modern() || asked.method() == "server/discover" => modern(asked),
        _ => {
            let version = asked.field("mcp-protocol-version");
            match asked.field("mcp-session-id") {
                "" => refusal(400, -32600, id),
                _ if !is_known => refusal(404, -32600, id),
                _ if !version.is_empty() && !LEGACY.contains(&version) => refusal(400, -32600, id),
                _ => carry_out(asked),
            }
        }
    }
}

fn initialize(asked: &Asked, sessions: &Mutex<Vec<String>>) -> Said {
    let wanted = asked.body["params"]["protocolVersion"].as_str().unwrap_or_default();
    let version = if LEGACY.contains(&wanted) { wanted } else { LEGACY[1] };
    let result =
        json!({"protocolVersion": version, "serverInfo": info(), "capabilities": capabilities(asked)});
    let mut sessions = sessions.lock().unwrap();
    sessions.push(format!("session-{}", asked.number));
    let mut said = Said::new(200, vec![answer(asked, result)]);
    said.fields.extend(sessions.last().map(|id| ("mcp-session-id", id.clone())));
    said
}

fn capabilities(asked: &Asked) -> Value {
    json!({"tools": {}, "resources": {"subscribe": !asked.is_modern()}, "prompts": {}, "completions": {}, "logging": {}})
}

fn modern(asked: &Asked) -> Said {
    let (id, params) = (&asked.body["id"], &asked.body["params"]);
    if id.is_null() {
        return Said::new(202, Vec::new());
    }
    let (Some(version), Some(_)) = (asked.meta("protocolVersion"), asked.meta("clientCapabilities")) else {
        return refusal(400, -32602, id);
    };
    let plain = |name: &str| {
        let value = asked.field(name).trim_matches([' ', '\t']);
        let inner = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
        let decoded = inner.and_then(|inner| BASE64.decode(inner.as_bytes()).ok());
        decoded.map_or(value.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let name = match asked.method() {
        "resources/read" => &params["uri"],
        "tools/call" | "prompts/get" => &params["name"],
        _ => &Value::Null,
    };
    let fits = json!(plain("mcp-protocol-version")) == *version
        && plain("mcp-method") == asked.method()
        && (name.is_null() || json!(plain("mcp-name")) == *name)
        && (params["arguments"]["choice"].is_null()
            || json!(plain("mcp-param-choice")) == params["arguments"]["choice"]);
    if !fits {
        return refusal(400, -32020, id);
    }
    if version != MODERN {
        let mut said = refusal(400, -32022, id);
        said.messages[0]["error"]["data"] =
            json!({"supported": [MODERN, LEGACY[1], LEGACY[0]], "requested": version});
        return said;
    }
    if asked.meta("logLevel").is_some_and(|level| level == "shouting") {
        return refusal(200, -32602, id);
    }
    carry_out(asked)
}

fn carry_out(asked: &Asked) -> Said {
    if asked.body["id"].is_null() {
        return Said::new(202, Vec::new());
    }
    match result(asked) {
        Ok(result) => {
            let mut said = Said::new(200, vec![answer(asked, result)]);
            let token = &asked.body["params"]["_meta"]["progressToken"];
            if asked.method() == "tools/call" && !token.is_null() {
                said.kind = "text/event-stream";
                said.fields.push(("x-accel-buffering", "no".into()));
                let progress = |much: f64| json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": much}});
                said.messages.splice(0..0, [progress(1.0), progress(2.5)]);
            }
            said
        }
        Err(code) => {
            let status = if asked.is_modern() && code == -32601 { 404 } else { 200 };
            refusal(status, code, &asked.body["id"])
        }
    }
}

/// The items of a list on two pages.
fn paged(asked: &Asked, name: &str, items: [Value; 2]) -> Result<Value, i64> {
    let [first, second] = items;
    match &asked.body["params"]["cursor"] {
        Value::Null => Ok(json!({name: [first], "nextCursor": "b"})),
        Value::String(cursor) if cursor.starts_with('b') => Ok(json!({name: [second]})),
        _ => Err(-32602),
    }
}

fn result(asked: &Asked) -> Result<Value, i64> {
    let params = &asked.body["params"];
    let text = |name: &str| params[name].as_str().unwrap_or_default();
    match asked.method() {
        "server/discover" => Ok(
            json!({"supportedVersions": [MODERN, LEGACY[1], LEGACY[0]], "capabilities": capabilities(asked)}),
        ),
        "ping" if !asked.is_modern() => Ok(json!({})),
        "logging/setLevel" if !asked.is_modern() => match text("level") {
            "shouting" => Err(-32602),
            _ => Ok(json!({})),
        },
        "resources/subscribe" | "resources/unsubscribe" if !asked.is_modern() => Ok(json!({})),
        "tools/list" => {
            let choice = json!({"choice": {"type": "string", "x-mcp-header": "Choice"}});
            paged(
                asked,
                "tools",
                [
                    json!({"name": "now", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true},
                    "outputSchema": {"type": "object", "required": ["time"]}}),
                    json!({"name": "pick", "annotations": {"readOnlyHint": true},
                    "inputSchema": {"type": "object", "required": ["choice"], "properties": choice}}),
                ],
            )
        }
        "tools/call" => match (text("name"), &params["arguments"]["choice"]) {
            ("now", _) => Ok(
                json!({"content": [{"type": "text", "text": "{\"time\":1}"}], "structuredContent": {"time": 1}}),
            ),
            ("pick", Value::String(_)) => Ok(json!({"content": []})),
            ("pick", _) => Ok(json!({"content": [], "isError": true})),
            _ => Err(-32602),
        },
        "resources/list" => paged(
            asked,
            "resources",
            ["a", "b"].map(|name| json!({"uri": format!("a://{name}"), "name": name})),
        ),
        "resources/templates/list" => {
            Ok(json!({"resourceTemplates": [{"uriTemplate": "a://{name}", "name": "any"}]}))
        }
        "resources/read" if text("uri").starts_with("a://") => {
            Ok(json!({"contents": [{"uri": text("uri"), "text": "?"}]}))
        }
        "resources/read" => Err(if asked.is_modern() { -32602 } else { -32002 }),
        "prompts/list" => paged(
            asked,
            "prompts",
            [json!({"name": "a"}), json!({"name": "b", "arguments": [{"name": "who", "required": true}]})],
        ),
        "prompts/get" => match (text("name"), params["arguments"]["who"].is_string()) {
            ("a", _) | ("b", true) => {
                Ok(json!({"messages": [{"role": "user", "content": {"type": "text", "text": "?"}}]}))
            }
            _ => Err(-32602),
        },
        "completion/complete" => match params["ref"]["name"].as_str() {
            Some("b") => Ok(json!({"completion": {"values": ["Anna"]}})),
            _ => Err(-32602),
        },
        _ => Err(-32601),
    }
}
