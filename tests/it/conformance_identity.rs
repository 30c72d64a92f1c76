//! Two identities: our own server keeps them apart, and a server that mixes them up is caught at each mistake.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chaterimo::app::App;
use chaterimo::clock::Clock;
use chaterimo::conformance::{Calls, Outcome, Plan, checks, run};
use chaterimo::http::Limits;
use chaterimo::peer::{Options, Target};
use chaterimo::protocol::revision::Revision;
use chaterimo::store::Store;
use serde_json::{Value, json};

use crate::conformance_login::{Asked, read};
use crate::support::{NOW, Server, field};

/// What is found at `url` with the credentials of two; ids, revisions and how each ended.
fn found(url: &str, keys: [&str; 2]) -> Vec<(&'static str, Revision, Outcome)> {
    let options = |key: &str| {
        let mut options = Options::new(Target::Url(url.to_owned()));
        options.headers = vec![("authorization".parse().unwrap(), format!("Bearer {key}").parse().unwrap())];
        options.patience = Duration::from_secs(60);
        options
    };
    let plan = Plan {
        options: options(keys[0]),
        other: Some(options(keys[1])),
        revisions: vec![Revision::MODERN, Revision::LAST_LEGACY],
        only: vec!["identity".into()],
        calls: Calls::new(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let report = runtime.block_on(run(plan, |_| {})).unwrap();
    report.findings.into_iter().map(|finding| (finding.check.id, finding.revision, finding.outcome)).collect()
}

#[test]
fn our_own_server_keeps_two_apart() {
    let folder = tempfile::tempdir().unwrap();
    let keys = crate::isolation::two_keys(&Store::open(folder.path()).unwrap());
    let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
    let server = Server::of(Arc::new(app), Limits::default(), &[]);
    let found = found(&format!("http://{}/mcp/", server.address), [&keys[0], &keys[1]]);
    for (id, revision, outcome) in &found {
        let tried = ["identity.session", "identity.ids", "identity.cursors", "identity.results"].contains(id);
        match outcome {
            Outcome::Passed => {}
            Outcome::NotExercised(_) if !tried => {}
            _ => panic!("{id} {revision}: {outcome:?}"),
        }
    }
    assert!(found.len() >= 14, "{found:?}");
}

#[test]
fn a_server_that_mixes_two_up_is_caught() {
    let found = found(&Mixed::serve(Mixed::default()), ["anna", "ben"]);
    let held: Vec<_> =
        found.iter().filter(|(_, _, o)| !matches!(o, Outcome::Failed(_) | Outcome::Warned(_))).collect();
    assert!(held.is_empty(), "{held:#?}");
    let secret = found
        .iter()
        .find(|(_, _, outcome)| outcome.text().contains("anna") || outcome.text().contains("ben"));
    assert!(secret.is_none(), "{secret:?}");
    let family = checks::all().map(|check| check.id).filter(|id| id.starts_with("identity."));
    let unseen: Vec<_> = family.filter(|id| !found.iter().any(|(seen, ..)| seen == id)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn a_stream_that_is_bound_to_the_credential_alone_is_no_fault() {
    let url = Mixed::serve(Mixed { streams_for_all: true, ..Mixed::default() });
    let found = found(&url, ["anna", "ben"]);
    let (_, _, outcome) = found.iter().find(|(id, ..)| *id == "identity.session-stream").unwrap();
    assert_eq!(outcome.word(), "not exercised", "{outcome:?}");
}

/// A server that lists to each their own and gives anything to anybody who asks.
#[derive(Default)]
struct Mixed {
    sessions: Mutex<Vec<String>>,
    /// The last stream that was opened, for whoever cancels.
    open: Mutex<Option<TcpStream>>,
    /// A GET opens a stream in whatever session, for it goes by the credential.
    streams_for_all: bool,
}

impl Mixed {
    fn serve(mixed: Mixed) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let mixed = Arc::new(mixed);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, mixed) = (stream.unwrap(), Arc::clone(&mixed));
                std::thread::spawn(move || {
                    if let Some(asked) = read(&mut stream) {
                        mixed.answer(&asked, &mut stream);
                    }
                });
            }
        });
        url
    }

    fn answer(&self, asked: &Asked, stream: &mut TcpStream) {
        let message: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let method = message["method"].as_str().unwrap_or_default();
        let session = field(&asked.head, "mcp-session-id").map(str::to_owned);
        let known = session.as_ref().is_none_or(|id| self.sessions.lock().unwrap().contains(id));
        if !(known || self.streams_for_all && asked.method == "GET") {
            return say(
                stream,
                404,
                "",
                &json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32001,
                "message": "no session"}}),
            );
        }
        match (&*asked.method, method) {
            ("GET", _) => events(stream, &[]),
            ("DELETE", _) => {
                self.sessions.lock().unwrap().retain(|id| Some(id) != session.as_ref());
                say(stream, 200, "", &Value::Null);
            }
            (_, "notifications/cancelled") => {
                let open = self.open.lock().unwrap().take();
                // Its end goes out before this is answered.
                let _ = open.map(|open| open.shutdown(std::net::Shutdown::Both));
                say(stream, 202, "", &Value::Null);
            }
            (_, "subscriptions/listen") => self.listen(&message, stream),
            (_, "initialize") => {
                let mut sessions = self.sessions.lock().unwrap();
                let id = format!("session-{}", sessions.len());
                sessions.push(id.clone());
                let result = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "mixed", "version": "1"},
                    "capabilities": capabilities()});
                say(stream, 200, &format!("Mcp-Session-Id: {id}\r\n"), &reply(&message, &result));
            }
            _ if message["id"].is_null() => say(stream, 202, "", &Value::Null),
            _ => {
                let is_anna = asked.head.contains("Bearer anna");
                say(stream, 200, "", &reply(&message, &result(method, &message["params"], is_anna)));
            }
        }
    }

    /// Promises anybody news of what there is, and ends when anybody cancels.
    fn listen(&self, message: &Value, stream: &mut TcpStream) {
        let mut wanted = message["params"]["notifications"].clone();
        if let Some(uris) = wanted["resourceSubscriptions"].as_array_mut() {
            uris.retain(|uri| uri == "mixed://diary");
        }
        let params = json!({"notifications": wanted,
            "_meta": {"io.modelcontextprotocol/subscriptionId": message["id"]}});
        let told =
            json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params});
        *self.open.lock().unwrap() = stream.try_clone().ok();
        events(stream, &[told]);
        let _ = stream.read(&mut [0]); // Until either side ends it.
    }
}

fn capabilities() -> Value {
    json!({"tools": {}, "resources": {}, "tasks": {"list": {}}})
}

fn reply(message: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": message["id"], "result": result})
}

fn result(method: &str, params: &Value, is_anna: bool) -> Value {
    let arguments = &params["arguments"];
    match (method, params["name"].as_str()) {
        ("server/discover", _) => json!({"supportedVersions": ["2026-07-28", "2025-11-25"],
            "capabilities": capabilities(), "resultType": "complete"}),
        ("resources/list", _) if is_anna => json!({"resources": [{"uri": "mixed://diary", "name": "diary"}]}),
        ("resources/list", _) => json!({"resources": []}),
        ("resources/read", _) => json!({"contents": [{"uri": "mixed://diary", "text": "Dear diary"}]}),
        ("tasks/list", _) if is_anna => json!({"tasks": [{"taskId": "task-of-hers"}]}),
        ("tasks/list", _) => json!({"tasks": []}),
        ("tasks/get", _) => json!({"taskId": params["taskId"], "status": "working"}),
        ("tools/list", _) => {
            let tool = |name: &str, properties: Value, required: Value| {
                json!({"name": name, "annotations": {"readOnlyHint": true},
                    "inputSchema": {"type": "object", "properties": properties, "required": required}})
            };
            json!({"tools": [
                tool("list_things", json!({"limit": {"type": "integer"}, "cursor": {"type": "string"}}), json!([])),
                tool("list_all", json!({}), json!([])),
                tool("get_thing", json!({"thing_id": {"type": "integer"}}), json!(["thing_id"]))]})
        }
        ("tools/call", Some("list_things")) => {
            let id = match (arguments["cursor"].is_string(), is_anna) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 3,
            };
            json!({"content": [], "structuredContent": {"things": [{"id": id}], "next_cursor": "page-2"}})
        }
        ("tools/call", Some("list_all")) => {
            json!({"content": [], "structuredContent": {"all": [{"name": "x"}]}})
        }
        ("tools/call", _) => json!({"content": [], "structuredContent": {"thing": arguments["thing_id"]}}),
        _ => json!({}),
    }
}

fn say(stream: &mut TcpStream, status: u16, fields: &str, body: &Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
}

/// A stream that begins with these messages, and ends with the connection.
fn events(stream: &mut TcpStream, messages: &[Value]) {
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: open\n\n"
    );
    for message in messages {
        let _ = write!(stream, "data: {message}\n\n");
    }
    let _ = stream.flush();
}
