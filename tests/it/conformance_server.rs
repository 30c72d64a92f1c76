//! The fixture server of the official suite, where the suite itself has no scenario.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use chaterimo::local::Local;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{HOST, INITIALIZE, JSON, Reply, post, read_head};

#[path = "../../examples/conformance-server/main.rs"]
#[allow(dead_code, reason = "its main, and what only that uses")]
mod fixture;

struct Server {
    address: String,
    _runtime: Runtime,
}

impl Server {
    fn start() -> Server {
        let runtime = Runtime::new().unwrap();
        let local = runtime.block_on(Local::bind(([127, 0, 0, 1], 0).into())).unwrap();
        let address = local.origin().trim_start_matches("http://").to_owned();
        runtime.spawn(fixture::serve(local));
        Server { address, _runtime: runtime }
    }

    /// A modern request of a client that knows tasks and can be asked by forms; the connection that it was sent on.
    fn send(&self, method: &str, name: &str, mut params: Value) -> TcpStream {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":
                {"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}});
        let name = if name.is_empty() { String::new() } else { format!("Mcp-Name: {name}\r\n") };
        let fields = format!("{JSON}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(post("/mcp", &fields, &body.to_string()).as_bytes()).unwrap();
        stream
    }

    /// A session of 2025-11-25: the field that names it.
    fn session(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(post("/mcp", JSON, INITIALIZE).as_bytes()).unwrap();
        format!("Mcp-Session-Id: {}\r\n", Reply::read(&mut stream).field("mcp-session-id").unwrap())
    }

    /// What comes, with its head, until the server closes the connection.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(request.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes()).unwrap();
        let mut came = String::new();
        stream.read_to_string(&mut came).unwrap();
        came
    }

    fn ask(&self, method: &str, name: &str, params: Value) -> Value {
        let reply = Reply::read(&mut self.send(method, name, params));
        serde_json::from_str(&reply.body).unwrap()
    }

    fn call(&self, tool: &str, mut params: Value) -> Value {
        params["name"] = tool.into();
        self.ask("tools/call", tool, params)
    }

    fn task(&self, op: &str, id: &str, mut params: Value) -> Value {
        params["taskId"] = id.into();
        self.ask(op, id, params)["result"].clone()
    }
}

/// The messages of a stream, as they come.
fn messages(mut stream: TcpStream) -> impl Iterator<Item = Value> {
    assert!(read_head(&mut stream).contains("text/event-stream"));
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok())
}

#[test]
fn who_listens_to_a_task_is_told_what_becomes_of_it() {
    let server = Server::start();
    let task = server.call("multi_input", json!({}))["result"].clone();
    assert_eq!(task["resultType"], "task");
    let id = task["taskId"].as_str().unwrap();
    while server.task("tasks/get", id, json!({}))["status"] != "input_required" {}
    let mut told =
        messages(server.send("subscriptions/listen", "", json!({"notifications": {"taskIds": [id]}})));
    let first = told.next().unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({"taskIds": [id]}));

    let accepted = json!({"action": "accept", "content": {"name": "Ada", "confirm": true}});
    for name in ["name", "sure"] {
        server.task("tasks/update", id, json!({"inputResponses": {name: accepted}}));
    }
    let told: Vec<Value> =
        told.map(|told| told["params"].clone()).take_while(|told| told["status"] != "completed").collect();
    let stands = |told: &Value| (told["status"].clone(), told["inputRequests"].get("sure").is_some());
    let told: Vec<_> = told.iter().map(stands).collect();
    assert_eq!(told, [(json!("input_required"), true), (json!("working"), false)]);
    let done = server.task("tasks/get", id, json!({}));
    assert_eq!(done["result"]["content"][0]["text"], "Ada: accept");
}

#[test]
fn a_cancelled_task_stays_cancelled() {
    let server = Server::start();
    let task = server.call("confirm_delete", json!({"arguments": {"filename": "x"}}));
    let id = task["result"]["taskId"].as_str().unwrap();
    server.task("tasks/cancel", id, json!({}));
    server.task(
        "tasks/update",
        id,
        json!({"inputResponses": {"confirm": {"action": "accept", "content": {}}}}),
    );
    assert_eq!(server.task("tasks/get", id, json!({}))["status"], "cancelled");
}

#[test]
fn a_state_is_taken_back_by_the_call_that_gave_it_alone() {
    let server = Server::start();
    let given = server.call("test_input_required_result_request_state", json!({}));
    let state = given["result"]["requestState"].as_str().unwrap();
    let check = |tool: &str, state: &str, expected: &str| {
        let answers = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
        let answer = server.call(tool, json!({"inputResponses": answers, "requestState": state}));
        assert!(answer.to_string().contains(expected), "{answer}");
    };
    check("test_input_required_result_request_state", state, "state-ok");
    check("test_input_required_result_tampered_state", state, "-32602");
    check("test_input_required_result_request_state", &state[1..], "-32602");
    check("test_input_required_result_request_state", "", "-32602");
}

#[test]
fn a_legacy_client_comes_back_for_what_it_missed() {
    let server = Server::start();
    let (session, other) = (server.session(), server.session());
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"test_reconnection"}}"#;
    let begun = server.raw(&post("/mcp", &format!("{session}{JSON}"), call));
    assert!(begun.contains("retry: 500\ndata: \n\n") && !begun.contains("jsonrpc"), "{begun}");
    let (_, after) = begun.split_once("id: ").unwrap();
    let id = after.split_once('\n').unwrap().0;
    let stream = id.trim_end_matches(".0");

    let check = |session: &str, last_event: &str, status: &str, expected: &[&str]| {
        let fields = format!("Accept: text/event-stream\r\n{session}Last-Event-ID: {last_event}\r\n");
        let rest = server.raw(&format!("GET /mcp HTTP/1.1\r\n{HOST}{fields}\r\n"));
        assert!(rest.starts_with(&format!("HTTP/1.1 {status}")), "{rest}");
        assert!(expected.iter().all(|expected| rest.contains(expected)), "{rest}");
    };
    let answer = [&format!("id: {stream}.1\n"), r#""id":1,"#, "The client came back"];
    check(&session, id, "200", &answer);
    check(&session, id, "200", &answer);
    check(&session, &format!("{stream}.1"), "200", &[]);
    check(&other, id, "400", &["No stream"]);
    check(&session, "1.0", "400", &["No stream"]);
    check(&session, "x", "400", &["No stream"]);
}
