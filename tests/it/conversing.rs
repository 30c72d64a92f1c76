//! Calls that say something before their answer, as clients see them on the wire: progress, and questions to a legacy
//! client; and a stream that tells how a task stands. Over HTTP and on stdio.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use chaterimo::app::App;
use chaterimo::clock::Clock;
use chaterimo::http::Limits;
use chaterimo::store::{Durability, Store, chatbot, document, organisation};
use serde_json::{Value, json};

use crate::streams::Events;
use crate::support::*;

const THINGS: i64 = 100;

/// A folder with a chatbot of Acme's and what it answers from; Acme's key.
fn acme() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "acme", false);
    let filled = Store::open(folder.path()).unwrap().write(Durability::Disk, |tx| {
        let tx = tx.tenant(organisation::named(tx, "acme")?.tenant);
        let bot = json!({"external_id": "a", "settings": {"name": "Anna"}});
        chatbot::put(&tx, &serde_json::from_value(bot).unwrap(), NOW)?;
        for number in 0..THINGS {
            let new =
                json!({"external_id": number.to_string(), "title": "Returns", "text": "Within 30 days."});
            document::put(&tx, &serde_json::from_value(new).unwrap(), NOW)?;
        }
        Ok(())
    });
    filled.unwrap();
    (folder, key)
}

/// A server that trains, and the field with the key.
fn serve(folder: &Path, key: &str) -> (Server, String) {
    let app = Arc::new(App::open(folder, Clock::manual(NOW), false, Vec::new()).unwrap());
    app.start_training();
    (Server::of(app, Limits::default(), &[]), format!("Authorization: Bearer {key}\r\n"))
}

/// A program on stdio.
struct Pipe {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Pipe {
    fn open(folder: &Path, key: &str) -> Pipe {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        command.env_clear().env("HOME", folder).env("CHATERIMO_DATA_DIR", folder);
        command.env("CHATERIMO_API_KEY", key).arg("stdio");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Pipe { child, input, output }
    }

    fn say(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the program ended");
        serde_json::from_str(&line).unwrap()
    }

    fn close(mut self) {
        drop(self.input);
        assert!(self.child.wait().unwrap().success());
    }
}

fn tool(name: &str, arguments: Value, capabilities: Value) -> Value {
    json!({"name": name, "arguments": arguments, "_meta": {"progressToken": 3,
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": capabilities}})
}

fn modern(key: &str, method: &str, name: &str, params: &Value) -> String {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
    let fields = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
    post("/mcp", &format!("{key}{JSON}{fields}"), &body.to_string())
}

/// Progress that grows up to all, then the answer that says the same.
fn tells_its_progress(mut next: impl FnMut() -> Value) {
    let mut told = -1;
    loop {
        let message = next();
        let Some(params) = message.get("params") else {
            let job = &message["result"]["structuredContent"]["job"];
            assert_eq!((&job["status"], &job["done"]), (&json!("done"), &json!(THINGS)), "{message}");
            assert_eq!((&message["id"], told), (&json!(7), THINGS));
            return;
        };
        assert_eq!(
            (&message["method"], &params["progressToken"]),
            (&json!("notifications/progress"), &json!(3))
        );
        let done = params["progress"].as_i64().unwrap();
        assert!(done > told && params["total"] == THINGS && params["message"].is_string(), "{message}");
        told = done;
    }
}

#[test]
fn retraining_tells_its_progress_before_its_answer() {
    let (folder, key) = acme();
    let params = tool("retrain_chatbot", json!({"chatbot_id": 1}), json!({}));
    let (server, field) = serve(folder.path(), &key);
    // A session is of the other era: what a modern request names is looked at by nobody.
    let fields = format!("{field}Mcp-Session-Id: 1/key:1\r\n");
    let mut events = Events::open(&server, &modern(&fields, "tools/call", "retrain_chatbot", &params));
    tells_its_progress(|| events.next());
    server.signal();
    server.wait();

    let mut pipe = Pipe::open(folder.path(), &key);
    pipe.say(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}));
    tells_its_progress(|| pipe.next());
    pipe.close();
}

const OFF: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call",
"params":{"name":"update_chatbot_settings","arguments":{"chatbot_id":1,"enabled":false}}}"#;

fn initialize_with_elicitation() -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
        "capabilities": {"elicitation": {}}, "clientInfo": {"name": "t", "version": "1"}}})
}

/// The answer to what the server asks.
fn yes(asked: &Value) -> Value {
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    assert!(asked["params"]["message"].as_str().unwrap().contains("“Anna”"), "{asked}");
    json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"confirm": true}}})
}

#[test]
fn a_legacy_client_is_asked_within_its_call() {
    let (folder, key) = acme();
    let (server, field) = serve(folder.path(), &key);
    let hello = initialize_with_elicitation().to_string();
    let reply = server.ask(post("/mcp", &format!("{field}{JSON}"), &hello).as_bytes());
    let session = reply.field("mcp-session-id").unwrap().to_owned();
    let fields = format!("{field}{JSON}Mcp-Session-Id: {session}\r\n");
    let mut events = Events::open(&server, &post("/mcp", &fields, OFF));
    let answer = yes(&events.next());
    let reply = server.ask(post("/mcp", &fields, &answer.to_string()).as_bytes());
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(events.next()["result"]["structuredContent"]["after"], json!({"enabled": false}));
    server.signal();
    server.wait();
}

#[test]
fn a_server_that_stops_answers_the_calls_it_has() {
    // Nobody works at the training here, so it is not done when the server stops; nor does the person answer.
    let (folder, key) = acme();
    let app = Arc::new(App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap());
    let (server, field) =
        (Server::of(Arc::clone(&app), Limits::default(), &[]), format!("Authorization: Bearer {key}\r\n"));
    let params = tool("retrain_chatbot", json!({"chatbot_id": 1}), json!({}));
    let mut followed = Events::open(&server, &modern(&field, "tools/call", "retrain_chatbot", &params));
    assert_eq!(followed.next()["params"]["progress"], 0);
    let hello = initialize_with_elicitation().to_string();
    let reply = server.ask(post("/mcp", &format!("{field}{JSON}"), &hello).as_bytes());
    let fields = format!("{field}{JSON}Mcp-Session-Id: {}\r\n", reply.field("mcp-session-id").unwrap());
    let mut asked = Events::open(&server, &post("/mcp", &fields, OFF));
    assert_eq!(asked.next()["method"], "elicitation/create");
    server.signal();
    let given_up = asked.next();
    assert_eq!((&given_up["id"], &given_up["error"]["code"]), (&json!(7), &json!(-32600)), "{given_up}");
    app.start_training();
    tells_its_progress(|| followed.next());
    server.wait();
}

#[test]
fn a_session_that_ends_takes_its_calls_along() {
    let (folder, key) = acme();
    let app = Arc::new(App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap());
    // There is no room for the next call's stream while the one before goes on.
    let server = Server::of(app, Limits { streams_per_credential: 1, ..Limits::default() }, &[]);
    let field = format!("Authorization: Bearer {key}\r\n");
    for _ in 0..2 {
        let hello = initialize_with_elicitation().to_string();
        let reply = server.ask(post("/mcp", &format!("{field}{JSON}"), &hello).as_bytes());
        let fields = format!("{field}Mcp-Session-Id: {}\r\n", reply.field("mcp-session-id").unwrap());
        let mut events = Events::open(&server, &post("/mcp", &format!("{fields}{JSON}"), OFF));
        assert_eq!(events.next()["method"], "elicitation/create");
        let end = format!("DELETE /mcp HTTP/1.1\r\n{HOST}{fields}\r\n");
        assert_eq!(server.ask(end.as_bytes()).status, 204);
        events.end();
    }
}

#[test]
fn a_legacy_client_on_stdio_is_asked_within_its_call() {
    let (folder, key) = acme();
    let mut pipe = Pipe::open(folder.path(), &key);
    pipe.say(&initialize_with_elicitation());
    pipe.next();
    pipe.say(&serde_json::from_str(OFF).unwrap());
    let answer = yes(&pipe.next());
    pipe.say(&answer);
    assert_eq!(pipe.next()["result"]["structuredContent"]["after"], json!({"enabled": false}));
    pipe.close();
}

#[test]
fn a_stream_tells_how_a_task_ended_that_ended_before_it() {
    let (folder, key) = acme();
    let (server, field) = serve(folder.path(), &key);
    let tasks = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let params = tool("retrain_chatbot", json!({"chatbot_id": 1}), tasks.clone());
    let reply = server.ask(modern(&field, "tools/call", "retrain_chatbot", &params).as_bytes());
    let made: Value = serde_json::from_str(&reply.body).unwrap();
    let id = made["result"]["taskId"].as_str().unwrap().to_owned();
    let meta = &tool("", json!({}), tasks)["_meta"];
    let get = json!({"taskId": id, "_meta": meta});
    let status = || {
        let reply = server.ask(modern(&field, "tasks/get", &id, &get).as_bytes());
        serde_json::from_str::<Value>(&reply.body).unwrap()["result"]["status"].clone()
    };
    while status() == "working" {
        std::thread::yield_now();
    }
    assert_eq!(status(), "completed");
    let params = json!({"notifications": {"taskIds": [id]}, "_meta": meta});
    let mut events = Events::open(&server, &modern(&field, "subscriptions/listen", "", &params));
    assert_eq!(events.next()["params"]["notifications"], json!({"taskIds": [id]}));
    let told = events.next();
    assert_eq!(
        (&told["method"], &told["params"]["status"]),
        (&json!("notifications/tasks"), &json!("completed"))
    );
    assert_eq!(told["params"]["result"]["structuredContent"]["job"]["done"], THINGS);
    server.signal();
    server.wait();
}
