//! Streams of what happens: `subscriptions/listen`, the stream of a legacy session, and the same on stdio.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use chaterimo::http::Limits;
use chaterimo::import::record::{self, Record};
use chaterimo::store::{Durability, Store, organisation};
use serde_json::{Value, json};

use crate::support::*;

/// A server with a chatbot of Acme's, and the field that makes one of Acme.
fn acme() -> (tempfile::TempDir, Server, String) {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    chatbot(folder.path(), "first", "Anna");
    let limits = Limits { heartbeat: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(folder.path(), limits);
    (folder, server, key)
}

/// Puts a chatbot into the database, as another process would.
fn chatbot(folder: &Path, id: &'static str, name: &'static str) {
    let store = Store::open(folder).unwrap();
    let put = store.write(Durability::Disk, move |tx| {
        let record = json!({"type": "chatbot", "external_id": id, "settings": {"name": name}});
        let record: Record = serde_json::from_value(record).unwrap();
        record::put(&tx.tenant(organisation::named(tx, "acme")?.tenant), &record, NOW)
    });
    put.unwrap();
}

/// What a stream hears of a chatbot with another name; what it subscribed to just before may not have reached it when
/// the first change comes, so there are as many as it takes.
fn renamed(server: &Server, key: &str, events: &mut Events) -> [Value; 2] {
    loop {
        rename(server, key, "Berta");
        let first = events.next();
        rename(server, key, "Anna");
        let second = events.next();
        if first["method"] != second["method"] {
            return [first, second];
        }
    }
}

fn rename(server: &Server, key: &str, name: &str) {
    let arguments = json!({"chatbot_id": 1, "name": name}).to_string();
    let reply = server.ask(call("/mcp", key, "update_chatbot_settings", &arguments).as_bytes());
    assert!(reply.body.contains(name), "{reply:?}");
}

/// The messages of a stream.
pub struct Events {
    stream: TcpStream,
    read: String,
}

impl Events {
    pub fn open(server: &Server, request: &str) -> Events {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(field(&head, "content-type"), Some("text/event-stream"));
        Events { stream, read: String::new() }
    }

    /// The next message; an event without data is none.
    pub fn next(&mut self) -> Value {
        loop {
            let message = self.read.split_once("data: ").and_then(|(_, rest)| rest.split_once("\n\n"));
            if let Some((message, rest)) = message {
                let message = (!message.is_empty()).then(|| serde_json::from_str(message).unwrap());
                self.read = rest.to_owned();
                match message {
                    Some(message) => return message,
                    None => continue,
                }
            }
            let mut bytes = [0; 1_024];
            let count = self.stream.read(&mut bytes);
            let count = count.unwrap_or_else(|error| panic!("{error} after {:?}", self.read));
            assert!(count > 0, "the stream ended: {:?}", self.read);
            self.read.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    /// Reads what is left; it must end.
    pub fn end(mut self) {
        while !self.read.ends_with("0\r\n\r\n") {
            let mut bytes = [0; 1_024];
            let count = self.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "{:?}", self.read);
            self.read.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }
}

fn listen(key: &str, notifications: Value) -> String {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    let params = json!({"_meta": meta, "notifications": notifications});
    let body =
        json!({"jsonrpc": "2.0", "id": "listen:0", "method": "subscriptions/listen", "params": params});
    let fields = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n";
    post("/mcp", &format!("{key}{JSON}{fields}"), &body.to_string())
}

#[test]
fn a_stream_tells_what_was_asked_for() {
    let (folder, server, key) = acme();
    let wanted = json!({"resourcesListChanged": true, "resourceSubscriptions": ["chaterimo://chatbots/1"]});
    let mut events = Events::open(&server, &listen(&key, wanted.clone()));
    let mut other = Events::open(&server, &listen(&key, json!({"toolsListChanged": true})));
    assert_eq!(other.next()["params"]["notifications"], json!({}));
    let mut expected = json!({"_meta": {"io.modelcontextprotocol/subscriptionId": "listen:0"}});
    let acknowledged = events.next();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["notifications"], wanted);
    rename(&server, &key, "Berta");
    let mut heard = [events.next(), events.next()];
    heard.sort_by_key(|event| event["method"].as_str().map(str::len));
    assert_eq!(heard[0]["method"], "notifications/resources/updated");
    assert_eq!(heard[1]["method"], "notifications/resources/list_changed");
    assert_eq!(heard[1]["params"], expected);
    expected["uri"] = "chaterimo://chatbots/1".into();
    assert_eq!(heard[0]["params"], expected);
    // What another process changes counts as well.
    chatbot(folder.path(), "second", "Carla");
    assert_eq!(events.next()["method"], "notifications/resources/list_changed");
    // A server that stops says so; nothing else came to whoever wanted nothing else.
    server.signal();
    for mut events in [events, other] {
        let last = events.next();
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!("listen:0"), &json!("complete")));
    }
    server.wait();
}

#[test]
fn a_legacy_session_hears_what_it_subscribed_to() {
    let (folder, server, key) = acme();
    let id = initialize(&server, "/mcp", &key);
    let fields = format!("{key}Mcp-Session-Id: {id}\r\n");
    let get = format!("GET /mcp HTTP/1.1\r\n{HOST}{fields}Accept: text/event-stream\r\n\r\n");
    let mut events = Events::open(&server, &get);
    let subscribe = |method: &str| {
        let params = json!({"uri": "chaterimo://chatbots/1/history"});
        let body = json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params}).to_string();
        let reply = server.ask(post("/mcp", &format!("{fields}{JSON}"), &body).as_bytes());
        assert_eq!(reply.body, r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
    };
    subscribe("resources/subscribe");
    let mut heard = renamed(&server, &key, &mut events);
    heard.sort_by_key(|event| event["method"].as_str().map(str::len));
    assert_eq!(
        heard[0],
        json!({"jsonrpc": "2.0", "method": "notifications/resources/updated",
            "params": {"uri": "chaterimo://chatbots/1/history"}})
    );
    assert_eq!(heard[1], json!({"jsonrpc": "2.0", "method": "notifications/resources/list_changed"}));
    assert!(kept(folder.path()).contains("chatbots/1/history"));
    subscribe("resources/unsubscribe");
    assert!(!kept(folder.path()).contains("chatbots/1/history"));
}

/// What is kept of the one session that there is.
fn kept(folder: &Path) -> String {
    let database = rusqlite::Connection::open(folder.join(chaterimo::store::DATABASE_FILE)).unwrap();
    database.query_row("SELECT peer FROM mcp_session", [], |row| row.get(0)).unwrap()
}

#[test]
fn subscriptions_that_come_at_once_are_all_kept() {
    let (folder, server, key) = acme();
    // Sessions are shared by the processes that serve a folder, and one revision has batches.
    let other = Server::start(folder.path(), Limits::default());
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let reply = server.ask(post("/mcp", &format!("{key}{JSON}"), &hello.to_string()).as_bytes());
    let id = reply.field("mcp-session-id").unwrap();
    let fields = format!("{key}Mcp-Session-Id: {id}\r\n{JSON}");
    std::thread::scope(|scope| {
        for number in 1..=16 {
            let (server, fields) = (if number % 2 == 0 { &server } else { &other }, &fields);
            scope.spawn(move || {
                let params = json!({"uri": format!("chaterimo://chatbots/{number}")});
                let body =
                    json!({"jsonrpc": "2.0", "id": 1, "method": "resources/subscribe", "params": params});
                let body = if number % 3 == 0 { json!([body]) } else { body };
                assert_eq!(server.ask(post("/mcp", fields, &body.to_string()).as_bytes()).status, 200);
            });
        }
    });
    let kept = kept(folder.path());
    assert_eq!(kept.matches("chaterimo://chatbots/").count(), 16, "{kept}");
}
