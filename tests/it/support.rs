//! What the tests of the running server share: a server of their own, raw requests to it, and what comes back.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chaterimo::access::api_key;
use chaterimo::app::App;
use chaterimo::clock::{Clock, Time};
use chaterimo::config::{Config, Environment, Flags};
use chaterimo::http::{Limits, Listener, Options, Site, serve};
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{Durability, Store};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A server of our own, in this process.
pub struct Server {
    pub address: SocketAddr,
    runtime: Runtime,
    signals: UnboundedSender<()>,
    ended: Option<tokio::task::JoinHandle<()>>,
}

pub const NOW: Time = Time(1_795_000_000_000);

impl Server {
    pub fn start(folder: &Path, limits: Limits) -> Server {
        Server::start_with(folder, limits, &[])
    }

    pub fn start_with(folder: &Path, limits: Limits, settings: &[(&str, &str)]) -> Server {
        let app = App::open(folder, Clock::manual(NOW), false, Vec::new()).unwrap();
        Server::of(Arc::new(app), limits, settings)
    }

    pub fn of(app: Arc<App>, limits: Limits, settings: &[(&str, &str)]) -> Server {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(Listener::bind(([127, 0, 0, 1], 0).into())).unwrap();
        let address = listener.address();
        let environment = [("HOME", "/"), ("CHATERIMO_PUBLIC_URL", "https://chat.example.com")];
        let environment = environment.iter().chain(settings).map(|(k, v)| (k.to_string(), v.to_string()));
        let environment: BTreeMap<_, _> = environment.collect();
        let config = Config::load(&Flags::default(), &Environment(environment)).unwrap();
        let options = Options { limits, ..Options::new(&config, address).unwrap() };
        let site = Arc::new(Site::new(app, options));
        let (signals, mut received) = unbounded_channel();
        let ended =
            runtime.spawn(serve(listener, site, async move || assert!(received.recv().await.is_some())));
        Server { address, runtime, signals, ended: Some(ended) }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// What comes back for `bytes`.
    pub fn ask(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        Reply::read_to(&mut stream, !bytes.starts_with(b"HEAD"))
    }

    pub fn signal(&self) {
        self.signals.send(()).unwrap();
    }

    pub fn wait(mut self) {
        self.runtime.block_on(self.ended.take().unwrap()).unwrap();
    }
}

/// A fresh key of an organisation that is made for it.
pub fn key(folder: &Path, slug: &'static str, read_only: bool) -> String {
    key_on(folder, slug, Plan::Paid, read_only)
}

pub fn key_on(folder: &Path, slug: &'static str, plan: Plan, read_only: bool) -> String {
    let store = Store::open(folder).unwrap();
    let made = store.write(Durability::Disk, move |tx| {
        let tenant = organisation::create(tx, slug, slug, plan, NOW)?.tenant;
        api_key::create(&tx.tenant(tenant), "test", read_only, NOW)
    });
    made.unwrap().1
}

/// One answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    /// Reads one answer; the body by its length.
    pub fn read(stream: &mut TcpStream) -> Reply {
        Reply::read_to(stream, true)
    }

    pub fn read_to(stream: &mut TcpStream, has_body: bool) -> Reply {
        let head = read_head(stream);
        let length = field(&head, "content-length").filter(|_| has_body);
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, head, body: String::from_utf8(body).unwrap() }
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

pub fn read_head(stream: &mut TcpStream) -> String {
    String::from_utf8(read_head_bytes(stream)).unwrap()
}

pub fn read_head_bytes(stream: &mut TcpStream) -> Vec<u8> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    head
}

pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Whether the server has closed its side, within the read timeout.
pub fn closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 64]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

pub const HOST: &str = "Host: localhost\r\n";

/// A POST to `path` with `fields` (each ended by CRLF) and a body.
pub fn post(path: &str, fields: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\n{HOST}{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

pub const JSON: &str = "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";
pub const DISCOVER: &str = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{
"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
pub const MODERN: &str = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: server/discover\r\n";
pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
"capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
pub const LIST: &str = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Opens a session; its id.
pub fn initialize(server: &Server, path: &str, fields: &str) -> String {
    let reply = server.ask(post(path, &format!("{fields}{JSON}"), INITIALIZE).as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.field("mcp-session-id").unwrap().to_owned()
}

/// A modern call of `tool`.
pub fn call(path: &str, fields: &str, tool: &str, arguments: &str) -> String {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{}}"#;
    let params = format!(r#"{{"name":"{tool}","arguments":{arguments},{meta}}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#);
    let headers =
        format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n");
    post(path, &format!("{fields}{JSON}{headers}"), &body)
}

/// A modern request of any method; `name` is what its header `Mcp-Name` repeats, `params` an object.
pub fn request(path: &str, fields: &str, method: &str, name: Option<&str>, params: &Value) -> String {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": with_meta(params)});
    let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    let headers = format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}");
    post(path, &format!("{fields}{JSON}{headers}"), &body.to_string())
}

/// The parameters of a modern request.
pub fn with_meta(params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    params
}
