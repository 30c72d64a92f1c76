//! The server as a raw socket sees it: bytes in, status and fields out.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use chaterimo::http::{Limits, Listener, Options, Site, serve};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// A server of our own, in this process.
pub struct Server {
    pub address: SocketAddr,
    runtime: Runtime,
    signals: UnboundedSender<()>,
    ended: Option<tokio::task::JoinHandle<()>>,
}

impl Server {
    pub fn start(limits: Limits) -> Server {
        let options = Options {
            public_url: "https://chat.example.com".into(),
            loopback: true,
            limits,
            ..Options::default()
        };
        Server::with(options)
    }

    fn with(options: Options) -> Server {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(Listener::bind(([127, 0, 0, 1], 0).into())).unwrap();
        let (signals, mut received) = unbounded_channel();
        let (address, site) = (listener.address(), Arc::new(Site::new(options)));
        let told = async move || drop(received.recv().await);
        let ended = Some(runtime.spawn(serve(listener, site, told)));
        Server { address, runtime, signals, ended }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    /// What comes back for `bytes` until the server closes or has answered in full.
    fn ask(&self, bytes: &[u8]) -> Reply {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        Reply::read_to(&mut stream, !bytes.starts_with(b"HEAD"))
    }

    fn signal(&self) {
        self.signals.send(()).unwrap();
    }

    fn wait(mut self) {
        self.runtime.block_on(self.ended.take().unwrap()).unwrap();
    }
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
    fn read(stream: &mut TcpStream) -> Reply {
        Reply::read_to(stream, true)
    }

    fn read_to(stream: &mut TcpStream, has_body: bool) -> Reply {
        let head = read_head(stream);
        let length = field(&head, "content-length").filter(|_| has_body);
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, head, body: String::from_utf8(body).unwrap() }
    }

    fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Whether the server has closed its side, within the read timeout.
fn closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0)) || stream.take_error().is_ok_and(|error| error.is_some())
}

const HOST: &str = "Host: localhost\r\n";

#[test]
fn what_a_raw_request_gets() {
    let server = Server::start(Limits::default());
    let check = |request: String, status: u16, fields: &[(&str, &str)]| {
        let reply = server.ask(request.as_bytes());
        assert_eq!(reply.status, status, "{request:.200}\n{reply:?}");
        for (name, value) in fields {
            assert_eq!(reply.field(name), Some(*value), "{request:.200}\n{reply:?}");
        }
    };
    let get = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\n{HOST}{fields}\r\n");
    let plain = [("x-content-type-options", "nosniff"), ("cache-control", "no-store")];
    check(get("/healthz", ""), 200, &plain);
    check(get("/readyz", ""), 200, &[("content-type", "application/json")]);
    check("HEAD /healthz HTTP/1.0\r\nHost: 10.1.2.3\r\n\r\n".into(), 200, &[]);
    check(format!("POST /healthz HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"), 405, &[("allow", "GET")]);
    check(get("/nothing", ""), 404, &[("content-type", "application/json")]);
    let open = [("access-control-allow-origin", "*"), ("content-type", "application/json")];
    check(get("/.well-known/oauth-authorization-server", "Origin: https://evil.example\r\n"), 404, &open);
    check(get("/mcp/.well-known/openid-configuration", ""), 404, &open);
    // Host
    check("GET /nothing HTTP/1.1\r\n\r\n".into(), 400, &[("connection", "close")]);
    check(get("/nothing", "Host: localhost\r\n"), 400, &[("connection", "close")]);
    check("GET /nothing HTTP/1.1\r\nHost: evil.example.com\r\n\r\n".into(), 421, &[]);
    check("GET /nothing HTTP/1.1\r\nHost: 0.0.0.0\r\n\r\n".into(), 421, &[]);
    check(get("http://evil.example.com/nothing", ""), 400, &[]);
    check(get("http://localhost/nothing", ""), 404, &[]);
    check("GET /nothing HTTP/1.1\r\nHost: chat.example.com\r\n\r\n".into(), 404, &[]);
    // Framing that reads in two ways
    for fields in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "X-Folded: a\r\n b\r\n",
        "X-Bare: a\n",
    ] {
        check(get("/healthz", fields), 400, &[("connection", "close")]);
    }
    // Sizes
    check(get(&format!("/{}", "a".repeat(8_191)), ""), 404, &[]);
    check(get(&format!("/{}", "a".repeat(8_192)), ""), 414, &[("connection", "close")]);
    check(get("/healthz", &format!("X: {}\r\n", "a".repeat(32_768))), 431, &[("connection", "close")]);
    check(get("/healthz", &format!("X: {}\r\n", "a".repeat(32_600))), 200, &[]);
    check(get("/healthz", &"X: a\r\n".repeat(99)), 200, &[]);
    check(get("/healthz", &"X: a\r\n".repeat(100)), 431, &[]);
}

#[test]
fn a_connection_carries_many_requests() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect();
    let request = format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n");
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(Reply::read(&mut stream).status, 200);
    }
    let smuggled = format!("{request}GET / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\n");
    stream.write_all(format!("{request}{smuggled}").as_bytes()).unwrap();
    let statuses = [(); 3].map(|()| Reply::read(&mut stream).status);
    assert_eq!(statuses, [200, 200, 400]);
    assert!(closed(&mut stream));
}

#[test]
fn slow_and_idle_connections_are_cut() {
    let tenth = Duration::from_millis(100);
    let server = Server::start(Limits { head_time: tenth, idle_time: tenth, ..Limits::default() });
    let request = format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n");
    let mut silent = server.connect();
    let mut halfway = server.connect();
    halfway.write_all(&request.as_bytes()[..20]).unwrap();
    let mut idle = server.connect();
    idle.write_all(request.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).status, 200);
    for stream in [&mut silent, &mut halfway, &mut idle] {
        assert!(closed(stream));
    }
}

#[test]
fn an_address_has_only_so_many_connections() {
    let server = Server::start(Limits { connections_per_address: 2, ..Limits::default() });
    let request = format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n");
    let mut held = [(); 2].map(|()| server.connect());
    for stream in &mut held {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(Reply::read(stream).status, 200);
    }
    let mut third = server.connect();
    let refused = Reply::read(&mut third);
    assert_eq!((refused.status, refused.field("connection")), (429, Some("close")));
}

#[test]
fn stopping_closes_idle_connections() {
    let server = Server::start(Limits::default());
    let mut idle = server.connect();
    idle.write_all(format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).status, 200);
    server.signal();
    assert!(closed(&mut idle));
    server.wait();
}
