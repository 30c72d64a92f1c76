//! Apps that describe themselves in a document, from the authorization request to the page that a person sees.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use chaterimo::store::user::Role;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::accounts::House;

/// An app's own server on this machine: what it answers is in the path.
struct App {
    origin: String,
    asked: Arc<AtomicUsize>,
}

impl App {
    fn start() -> App {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let (own, asked) = (origin.clone(), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            let config = Arc::new(tls());
            for stream in listener.incoming() {
                count.fetch_add(1, SeqCst);
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                answer(StreamOwned::new(connection, stream.unwrap()), &own);
            }
        });
        App { origin, asked }
    }
}

fn tls() -> ServerConfig {
    let chain =
        CertificateDer::pem_file_iter("tests/tls/localhost.pem").unwrap().map(|c| c.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_file("tests/tls/localhost.key").unwrap();
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}

/// Answers one request; a client that breaks off is none of ours.
fn answer(mut stream: StreamOwned<ServerConnection, TcpStream>, origin: &str) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let Some(path) = head.split(' ').nth(1) else { return };
    let proper = format!(
        r#"{{"client_id":"{origin}{path}","client_name":"Book\u202eworm <b>","redirect_uris":["http://localhost/callback"],
        "grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}}"#
    );
    let json = "200 OK\r\nContent-Type: application/json";
    let (head, body) = match path {
        "/good" => (json.to_owned(), proper),
        "/html" => ("200 OK\r\nContent-Type: text/html".to_owned(), "<!DOCTYPE html>".to_owned()),
        "/huge" => (json.to_owned(), " ".repeat(6_000) + &proper),
        "/moved" => (format!("302 Found\r\nLocation: {origin}/good"), String::new()),
        "/other" => (json.to_owned(), proper.replace("/other", "/good")),
        "/twins" => (json.to_owned(), proper.replacen('{', r#"{"client_name":"A","#, 1)),
        "/secret" => (json.to_owned(), proper.replacen('{', r#"{"client_secret":"A","#, 1)),
        _ => ("404 Not Found".to_owned(), String::new()),
    };
    let answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
}

fn authorize(client_id: &str, redirect_uri: &str) -> String {
    let pairs = [
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
        ("resource", "https://chat.example.com/mcp"),
        ("state", "abc"),
    ];
    format!("/authorize?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

const HOME: &str = "http://localhost:5123/callback";

#[test]
fn a_page_says_whose_fault_a_document_is() {
    let app = App::start();
    let settings = [
        ("CHATERIMO_CLIENT_DOCUMENTS_CA_FILE", "tests/tls/ca.pem"),
        ("CHATERIMO_CLIENT_DOCUMENTS_LOOPBACK", "true"),
    ];
    let house = House::with(&settings);
    house.member("acme", "anna@example.com", Role::Owner);
    let good = format!("{}/good", app.origin);
    assert_eq!(house.browser().get(&authorize(&good, HOME)).status, 303, "first one signs in");
    assert_eq!(app.asked.load(SeqCst), 0, "nothing is fetched for a stranger");
    let mut browser = house.signed_in("anna@example.com");
    let mut check = |path: &str, status: u16, said: &str| {
        let reply = browser.get(&authorize(&format!("{}{path}", app.origin), HOME));
        assert!(reply.status == status && reply.body.contains(said), "{path}: {reply:?}");
        assert_eq!(reply.field("location"), None, "{path}: nobody is sent anywhere");
    };
    check("/html", 502, "<h1>The app cannot be reached</h1>");
    check("/moved", 502, "The app&#39;s own server is out of order");
    check("/missing", 502, "The app&#39;s own server is out of order");
    check("/huge", 400, "breaks the rules");
    check("/other", 400, "breaks the rules");
    check("/twins", 400, "breaks the rules");
    check("/secret", 400, "breaks the rules");
    check("/x/../good", 400, "no address of a description");
    assert_eq!(app.asked.swap(0, SeqCst), 7);
    check("/good", 200, "Bookworm &#60;b&#62;");
    check("/good", 200, "localhost:5123");
    assert_eq!(app.asked.load(SeqCst), 1, "it is kept");
    let reply = browser.get(&authorize(&good, "http://localhost:5123/other"));
    assert_eq!((reply.status, reply.field("location")), (400, None), "{reply:?}");
}

#[test]
fn a_document_inside_the_network_is_never_asked_for() {
    let canary = TcpListener::bind("127.0.0.1:0").unwrap();
    canary.set_nonblocking(true).unwrap();
    let port = canary.local_addr().unwrap().port();
    let house = House::with(&[]);
    house.member("acme", "anna@example.com", Role::Owner);
    let mut browser = house.signed_in("anna@example.com");
    for host in ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"]
    {
        let reply = browser.get(&authorize(&format!("https://{host}:{port}/c.json"), HOME));
        assert_eq!((reply.status, reply.field("location")), (400, None), "{host}: {reply:?}");
    }
    assert!(canary.accept().is_err(), "the canary was dialled");
}

#[test]
fn claude_code_is_known_without_a_way_out() {
    let house = House::with(&[("CHATERIMO_CLIENT_DOCUMENTS", "known")]);
    house.member("acme", "anna@example.com", Role::Owner);
    let mut browser = house.signed_in("anna@example.com");
    let mut check = |id: &str, status: u16, said: &str| {
        let reply = browser.get(&authorize(id, HOME));
        assert!(reply.status == status && reply.body.contains(said), "{id}: {reply:?}");
    };
    check("https://claude.ai/oauth/claude-code-client-metadata", 200, "Claude Code");
    check("https://claude.ai/oauth/claude-code-client-metadata/", 400, "does not know the app");
    check("https://claude.ai/oauth/mcp-oauth-client-metadata", 400, "redirect_uri");
}
