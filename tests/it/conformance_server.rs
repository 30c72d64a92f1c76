//! The fixture server of the official suite, where the suite itself has no scenario.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use chaterimo::local::Local;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{JSON, Reply, post, read_head};

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
    // It may have asked before or after the stream was there.
    let from = told.len().saturating_sub(2);
    let told: Vec<_> = told[from..].iter().map(stands).collect();
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
