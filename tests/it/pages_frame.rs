//! What every page has in common, through the real server.

use std::io::Write as _;

use chaterimo::http::{Limits, member_paths};
use hyper::Method;

use crate::support::{HOST, Server};

fn get(server: &Server, path: &str, fields: &str) -> crate::support::Reply {
    server.ask(format!("GET {path} HTTP/1.1\r\n{HOST}{fields}\r\n").as_bytes())
}

const HTML: &str = "Accept: text/html,application/xhtml+xml\r\n";

#[test]
fn who_is_not_signed_in_is_led_to_the_sign_in_page_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    let check = |path: &str, expected: &str| {
        let reply = get(&server, path, HTML);
        assert_eq!((reply.status, reply.field("location")), (303, Some(expected)), "{path}");
    };
    check("/", "/login?next=%2F");
    check("/?days=7", "/login?next=%2F%3Fdays%3D7");
    for path in member_paths(Method::GET) {
        let reply = get(&server, &path.replace("{id}", "1"), HTML);
        let location = reply.field("location").unwrap_or_default();
        assert!(reply.status == 303 && location.starts_with("/login?next=%2F"), "{path}: {reply:?}");
    }
}

#[test]
fn pages_keep_to_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    let reply = get(&server, "/nothing", HTML);
    let check = |field: &str, expected: &str| assert_eq!(reply.field(field), Some(expected), "{field}");
    check("x-frame-options", "DENY");
    check("referrer-policy", "no-referrer");
    check("cache-control", "no-store");
    check("x-content-type-options", "nosniff");
    check("cross-origin-opener-policy", "same-origin");
    // The public URL of this server has TLS.
    check("strict-transport-security", "max-age=31536000");
    check(
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'self'",
    );
    assert!(reply.field("access-control-allow-origin").is_none());
}

#[test]
fn pages_answer_no_foreign_script_whatever_the_method() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    let check = |method: &str, path: &str, status: u16, allow: Option<&str>| {
        let fields = "Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n";
        let head = format!("{method} {path} HTTP/1.1\r\n{HOST}{fields}\r\n");
        let mut stream = server.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let reply = crate::support::Reply::read_to(&mut stream, method != "HEAD");
        assert_eq!((reply.status, reply.field("allow")), (status, allow), "{method} {path}: {reply:?}");
        for field in ["access-control-allow-origin", "access-control-allow-credentials"] {
            assert!(reply.field(field).is_none(), "{method} {path}: {reply:?}");
        }
    };
    check("GET", "/login", 200, None);
    check("HEAD", "/login", 200, None);
    check("HEAD", "/keys", 303, None);
    check("HEAD", "/authorize?client_id=x", 303, None);
    check("HEAD", "/logout", 405, Some("POST"));
    check("GET", "/apps/1/narrow", 405, Some("POST"));
    check("PUT", "/login", 405, Some("GET, POST"));
    check("OPTIONS", "/login", 204, Some("GET, POST"));
    check("OPTIONS", "/authorize", 204, Some("GET, POST"));
    check("OPTIONS", "/authorize/decision", 204, Some("POST"));
    check("OPTIONS", "/keys", 204, Some("GET, POST"));
}

#[test]
fn what_is_not_there_is_a_page_for_people_and_json_for_programs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    let page = get(&server, "/nothing", HTML);
    assert_eq!((page.status, page.field("content-type")), (404, Some("text/html; charset=utf-8")));
    let form = get(&server, "/apps/1/narrow", HTML);
    assert!(form.status == 405 && form.body.contains("<a href=\"/apps\">Connected apps</a>"), "{form:?}");
    let json = get(&server, "/nothing", "");
    assert_eq!((json.status, json.field("content-type")), (404, Some("application/json")));
    let document = get(&server, "/.well-known/openid-configuration", HTML);
    assert_eq!((document.status, document.field("content-type")), (404, Some("application/json")));
}

#[test]
fn assets_are_fetched_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    for path in ["/assets/style.css", "/assets/times.js", "/assets/icon.svg"] {
        let first = get(&server, path, "");
        let tag = first.field("etag").unwrap();
        assert_eq!(first.status, 200, "{path}");
        let again = get(&server, path, &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
    }
}
