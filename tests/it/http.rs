//! The server as a raw socket sees it: bytes in, status and fields out.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chaterimo::app::App;
use chaterimo::clock::Clock;
use chaterimo::http::Limits;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{Durability, Store, call_log};
use serde_json::Value;

use crate::support::*;

#[test]
fn what_a_raw_request_gets() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
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
    check(get("/.well-known/openid-configuration", "Origin: https://evil.example\r\n"), 404, &open);
    check(get("/mcp/.well-known/openid-configuration", ""), 404, &open);
    let asks = format!(
        "{HOST}Origin: https://evil.example\r\nAccess-Control-Request-Headers: mcp-protocol-version\r\n"
    );
    check(
        format!("OPTIONS /.well-known/oauth-protected-resource/mcp HTTP/1.1\r\n{asks}\r\n"),
        204,
        &[("access-control-allow-origin", "*"), ("access-control-allow-headers", "mcp-protocol-version")],
    );
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
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
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
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits { head_time: tenth, ..Limits::default() });
    let request = format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n");
    let mut silent = server.connect();
    let mut halfway = server.connect();
    let _ = halfway.write_all(&request.as_bytes()[..20]); // It may be cut before this.
    let folder = tempfile::tempdir().unwrap();
    let patient = Server::start(folder.path(), Limits { idle_time: tenth, ..Limits::default() });
    let mut idle = patient.connect();
    idle.write_all(request.as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).status, 200);
    for stream in [&mut silent, &mut halfway, &mut idle] {
        assert!(closed(stream));
    }
}

#[test]
fn an_address_has_only_so_many_connections() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits { connections_per_address: 2, ..Limits::default() });
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
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    let mut idle = server.connect();
    idle.write_all(format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n").as_bytes()).unwrap();
    assert_eq!(Reply::read(&mut idle).status, 200);
    server.signal();
    assert!(closed(&mut idle));
    server.wait();
}

#[test]
fn what_a_request_to_mcp_gets() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    let server = Server::start(folder.path(), Limits { body_bytes: 2_000, ..Limits::default() });
    let check = |request: &str, status: u16, fields: &[(&str, &str)]| {
        let reply = server.ask(request.as_bytes());
        assert_eq!(reply.status, status, "{request:.300}\n{reply:?}");
        for (name, value) in fields {
            assert_eq!(reply.field(name), Some(*value), "{request:.300}\n{reply:?}");
        }
        let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        assert!(reply.body.is_empty() || body["jsonrpc"] == "2.0", "{reply:?}");
    };
    let bare = |method: &str, fields: &str| format!("{method} /mcp HTTP/1.1\r\n{HOST}{fields}\r\n");
    let json = [("content-type", "application/json"), ("cache-control", "no-store")];
    let challenge_at = |path: &str| {
        let scope = if path.contains("readonly") { "mcp:read" } else { "mcp:read mcp:write" };
        format!(
            "Bearer resource_metadata=\"https://chat.example.com/.well-known/oauth-protected-resource{path}\", \
             scope=\"{scope}\""
        )
    };
    let challenge = challenge_at("/mcp");
    let challenge = [("www-authenticate", challenge.as_str()), ("cache-control", "no-store")];
    for path in ["/mcp", "/mcp/", "/mcp-readonly", "/mcp-readonly/"] {
        check(&post(path, &format!("{key}{JSON}{MODERN}"), DISCOVER), 200, &json);
        let challenge = challenge_at(path);
        let challenge = [("www-authenticate", challenge.as_str()), ("cache-control", "no-store")];
        for method in ["POST", "GET", "DELETE", "PUT", "HEAD"] {
            check(&format!("{method} {path} HTTP/1.1\r\n{HOST}\r\n"), 401, &challenge);
        }
    }
    // Who asks
    check(&bare("POST", "Authorization: Basic YTpi\r\n"), 401, &challenge);
    check(&post("/mcp?access_token=x", &format!("{JSON}{MODERN}"), DISCOVER), 401, &challenge);
    check(&bare("POST", "Authorization: Bearer cha_wrong\r\n"), 401, &[]);
    for malformed in
        ["Bearer", "Bearer ", "Bearer a b", "Bearer \"a\"", "Bearer a\r\nAuthorization: Bearer a"]
    {
        check(&bare("POST", &format!("Authorization: {malformed}\r\n")), 400, &[]);
    }
    // From where, before anything is said of the credential
    check(&bare("POST", "Origin: https://evil.example\r\n"), 403, &[]);
    check(&bare("POST", "Origin: null\r\n"), 403, &[]);
    check(
        &bare("POST", "Origin: http://localhost:6274\r\n"),
        401,
        &[("access-control-allow-origin", "http://localhost:6274"), ("vary", "Origin")],
    );
    check(&bare("OPTIONS", "Origin: https://evil.example\r\n"), 403, &[]);
    let asks =
        "Origin: https://chat.example.com\r\nAccess-Control-Request-Headers: authorization,mcp-param-x\r\n";
    check(
        &bare("OPTIONS", asks),
        204,
        &[
            ("access-control-allow-origin", "https://chat.example.com"),
            ("access-control-allow-methods", "POST, GET, DELETE"),
            ("access-control-allow-headers", "authorization,mcp-param-x"),
        ],
    );
    // How
    check(&bare("PUT", &key), 405, &[("allow", "POST, GET, DELETE")]);
    check(&bare("GET", &key), 405, &[("allow", "POST")]);
    check(&bare("GET", &format!("{key}MCP-Protocol-Version: 2026-07-28\r\nMcp-Session-Id: x\r\n")), 405, &[]);
    check(&bare("DELETE", &format!("{key}MCP-Protocol-Version: 2026-07-28\r\n")), 405, &[("allow", "POST")]);
    check(&bare("DELETE", &key), 400, &[]);
    for method in ["GET", "DELETE"] {
        for version in ["1999-01-01", "2099-01-01", "x"] {
            let fields = format!("{key}MCP-Protocol-Version: {version}\r\nMcp-Session-Id: x\r\n");
            let reply = server.ask(bare(method, &fields).as_bytes());
            assert_eq!(reply.status, 400, "{method} {version}: {reply:?}");
            assert!(reply.body.contains("-32022") && reply.body.contains("2025-11-25"), "{reply:?}");
        }
    }
    let typed = |fields: &str| post("/mcp", &format!("{key}{MODERN}{fields}"), DISCOVER);
    check(&typed("Content-Type: Application/JSON; charset=utf-8\r\nAccept: */*\r\n"), 200, &[]);
    check(&typed("Content-Type: application/json\r\n"), 200, &[]);
    check(
        &typed("Content-Type: application/json\r\nAccept: text/*\r\nAccept: application/*;q=1\r\n"),
        200,
        &[],
    );
    check(&typed("Content-Type: application/json\r\nAccept: application/json\r\n"), 406, &[]);
    check(&typed("Content-Type: application/json\r\nAccept: text/html\r\n"), 406, &[]);
    check(&typed(""), 415, &[]);
    check(&typed("Content-Type: text/plain\r\n"), 415, &[]);
    check(&typed("Content-Type: application/json\r\nContent-Encoding: gzip\r\n"), 415, &[]);
    // What
    let body = |body: &str| post("/mcp", &format!("{key}{JSON}"), body);
    check(&body("{"), 400, &json);
    check(&body(""), 400, &json);
    check(&body(LIST), 400, &json);
    check(&body(&format!("[{LIST}]")), 400, &json);
    check(&body(&format!("{LIST}{}", " ".repeat(2_000 - LIST.len()))), 400, &json);
    check(&body(&" ".repeat(2_001)), 413, &[("connection", "close")]);
    check(&body(&" ".repeat(1_000_000)), 413, &[("connection", "close")]);
    let chunks = |data: &str| {
        let head =
            format!("POST /mcp HTTP/1.1\r\n{HOST}{key}{JSON}{MODERN}Transfer-Encoding: chunked\r\n\r\n");
        format!("{head}{:x}\r\n{data}\r\n0\r\n\r\n", data.len())
    };
    check(&chunks(DISCOVER), 200, &json);
    check(&chunks(&" ".repeat(2_001)), 413, &[("connection", "close")]);
    check(&chunks(DISCOVER).replace("\r\n0\r\n", "\r\nx\r\n"), 400, &[]);
}

#[test]
fn a_legacy_session_lives_through_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = ["acme", "other"].map(|slug| key(folder.path(), slug, false));
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let (ours, theirs) = (bearer(&ours), bearer(&theirs));
    let server = Server::start(folder.path(), Limits::default());
    let id = initialize(&server, "/mcp/", &ours);
    server.signal();
    server.wait();
    let server = Server::start(folder.path(), Limits::default());
    let check = |path: &str, fields: &str, id: &str, body: &str, status: u16| {
        let fields = format!("{fields}{JSON}Mcp-Session-Id: {id}\r\n");
        let reply = server.ask(post(path, &fields, body).as_bytes());
        assert_eq!(reply.status, status, "{path} {fields} {body}\n{reply:?}");
        reply.body
    };
    check("/mcp", &ours, &id, INITIALIZED, 202);
    let list: Value = serde_json::from_str(&check("/mcp", &ours, &id, LIST, 200)).unwrap();
    assert_eq!(list["id"], "a");
    assert!(list["result"]["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{list}");
    check("/mcp", &format!("{ours}MCP-Protocol-Version: 2025-11-25\r\n"), &id, LIST, 200);
    check("/mcp", &format!("{ours}MCP-Protocol-Version: 1999-01-01\r\n"), &id, LIST, 400);
    // Another's, at another endpoint, and none: one answer.
    let unknown = check("/mcp", &ours, "mcs_x_y_z", LIST, 404);
    assert_eq!(check("/mcp", &theirs, &id, LIST, 404), unknown);
    assert_eq!(check("/mcp-readonly", &ours, &id, LIST, 404), unknown);
    assert_eq!(check("/mcp", &ours, "\u{e9}", LIST, 404), unknown);
    // What a modern client carries along is ignored; whoever begins anew may.
    check("/mcp", &format!("{ours}{MODERN}"), "mcs_x_y_z", DISCOVER, 200);
    check("/mcp", &ours, "mcs_x_y_z", INITIALIZE, 200);
    let end = format!("DELETE /mcp HTTP/1.1\r\n{HOST}{ours}Mcp-Session-Id: {id}\r\n\r\n");
    assert_eq!(server.ask(end.replace(&ours, &theirs).as_bytes()).status, 404);
    assert_eq!(server.ask(end.as_bytes()).status, 204);
    assert_eq!(server.ask(end.as_bytes()).status, 404);
    assert_eq!(check("/mcp", &ours, &id, LIST, 404), unknown);
}

#[test]
fn batches_are_answered_where_they_exist() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    let server = Server::start(folder.path(), Limits::default());
    let old = INITIALIZE.replace("2025-11-25", "2025-03-26");
    let reply = server.ask(post("/mcp", &format!("{key}{JSON}"), &old).as_bytes());
    let session = format!("Mcp-Session-Id: {}\r\n", reply.field("mcp-session-id").unwrap());
    let check = |body: &str, status: u16, answers: Option<usize>| {
        let reply = server.ask(post("/mcp", &format!("{key}{JSON}{session}"), body).as_bytes());
        assert_eq!(reply.status, status, "{body}\n{reply:?}");
        let body: Option<Value> = serde_json::from_str(&reply.body).ok();
        assert_eq!(body.and_then(|body| body.as_array().map(Vec::len)), answers, "{reply:?}");
    };
    check(&format!("[{LIST},{INITIALIZED},{LIST}]"), 200, Some(2));
    check(&format!("[{INITIALIZED}]"), 202, None);
    check(&format!("[{LIST},{INITIALIZE}]"), 400, None);
}

#[test]
fn a_stream_beats_until_the_server_stops() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    let heartbeat = Duration::from_millis(20);
    let limits = Limits { heartbeat, streams_per_session: 1, ..Limits::default() };
    let server = Server::start(folder.path(), limits);
    let id = initialize(&server, "/mcp", &key);
    let listen = |id: &str, accept: &str| {
        let mut stream = server.connect();
        let fields = format!("{HOST}{key}Accept: {accept}\r\nMcp-Session-Id: {id}\r\n");
        stream.write_all(format!("GET /mcp HTTP/1.1\r\n{fields}\r\n").as_bytes()).unwrap();
        let head = read_head(&mut stream);
        (stream, head)
    };
    assert!(listen("mcs_x_y_z", "text/event-stream").1.starts_with("HTTP/1.1 404"));
    assert!(listen(&id, "application/json").1.starts_with("HTTP/1.1 406"));
    let (mut stream, head) = listen(&id, "text/event-stream");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(field(&head, "x-accel-buffering"), Some("no"));
    assert_eq!(field(&head, "content-type"), Some("text/event-stream"));
    for _ in 0..3 {
        let mut chunk = [0; "4\r\n: \n\n\r\n".len()];
        stream.read_exact(&mut chunk).unwrap();
        assert_eq!(&chunk, b"4\r\n: \n\n\r\n");
    }
    assert!(listen(&id, "text/event-stream").1.starts_with("HTTP/1.1 409"));
    server.signal();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    server.wait();
}

#[test]
fn a_stream_ends_with_its_session() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    let server =
        Server::start(folder.path(), Limits { heartbeat: Duration::from_millis(20), ..Limits::default() });
    let id = initialize(&server, "/mcp", &key);
    let fields = format!("{HOST}{key}Mcp-Session-Id: {id}\r\n\r\n");
    let mut stream = server.connect();
    stream.write_all(format!("GET /mcp HTTP/1.1\r\n{fields}").as_bytes()).unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
    assert_eq!(server.ask(format!("DELETE /mcp HTTP/1.1\r\n{fields}").as_bytes()).status, 204);
    let mut last = Vec::new();
    while !last.ends_with(b"0\r\n\r\n") {
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "{last:?}");
        last.extend_from_slice(&bytes[..count]);
    }
}

#[test]
fn a_slow_body_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    let server =
        Server::start(folder.path(), Limits { body_time: Duration::from_millis(50), ..Limits::default() });
    let request = post("/mcp", &format!("{key}{JSON}"), DISCOVER);
    let reply = server.ask(&request.as_bytes()[..request.len() - 1]);
    assert_eq!((reply.status, reply.field("connection")), (408, Some("close")), "{reply:?}");
}

#[test]
fn a_call_is_answered_until_the_quota_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key_on(folder.path(), "acme", Plan::Free, false));
    let server = Server::start(folder.path(), Limits::default());
    for round in 1..=6 {
        let reply = server.ask(call("/mcp", &key, "list_chatbots", "{}").as_bytes());
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!((reply.status, &body["id"]), (200, &Value::from(7)), "{reply:?}");
        let refused = round == 6;
        assert_eq!(body["result"]["isError"].as_bool().unwrap_or(false), refused, "{reply:?}");
        let fields = ["ratelimit", "ratelimit-policy", "retry-after"].map(|name| reply.field(name));
        // The clock stands at 11:06:40 UTC.
        let expected = refused.then_some([
            r#""minute";r=0;t=60, "day";r=0;t=46400"#,
            r#""minute";q=5;w=60, "day";q=5;w=86400"#,
            "46400",
        ]);
        assert_eq!(fields, expected.map_or([None; 3], |fields| fields.map(Some)), "{reply:?}");
    }
}

#[test]
fn wrong_arguments_cost_nothing_whoever_finds_them_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key_on(folder.path(), "acme", Plan::Free, false));
    one_chatbot(folder.path(), "acme");
    let server = Server::start(folder.path(), Limits::default());
    let ask = |tool: &str, arguments: &str| server.ask(call("/mcp", &key, tool, arguments).as_bytes());
    let check = |tool: &str, arguments: &str, code: &str, left: u64| {
        let reply = ask(tool, arguments);
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        let text = body["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(code), "{tool} {arguments}: {body}");
        let quota = &body["result"]["_meta"]["com.chaterimo/quota"];
        assert_eq!(quota["day"]["remaining"], left, "{tool} {arguments}: {body}");
    };
    check("get_chatbot", r#"{"chatbot_id":"x"}"#, "chatbot_id: came", 5);
    check("list_chatbots", r#"{"cursor":"x"}"#, "cursor: not one that this tool gave", 5);
    check("list_conversations", r#"{"from":"2026-11-22","to":"2026-11-01"}"#, "from: came", 5);
    check("update_chatbot_settings", r#"{"chatbot_id":1}"#, "Nothing to change", 5);
    check("update_chatbot_model", r#"{"chatbot_id":1,"model":"x"}"#, "model: came", 5);
    check("get_chatbot", r#"{"chatbot_id":99}"#, "There is no chatbot 99", 4);
    // Too many of them are one too many, as of those that the schema refuses.
    (5..60).for_each(|_| drop(ask("list_chatbots", r#"{"cursor":"x"}"#)));
    for (tool, arguments) in [("list_chatbots", r#"{"cursor":"x"}"#), ("list_leads", r#"{"cursor":"x"}"#)] {
        assert_eq!(ask(tool, arguments).status, 429, "{tool}");
    }
    check("get_chatbot", r#"{"chatbot_id":1}"#, "\"id\":1", 3);
}

#[test]
fn any_sign_of_read_only_takes_the_write_tools_away() {
    let folder = tempfile::tempdir().unwrap();
    let [full, read_only] = ["writer", "reader"].map(|slug| {
        let key = key(folder.path(), slug, slug == "reader");
        one_chatbot(folder.path(), slug);
        format!("Authorization: Bearer {key}\r\n")
    });
    let open = |read_only| App::open(folder.path(), Clock::manual(NOW), read_only, Vec::new()).unwrap();
    let [server, closed] =
        [false, true].map(|closed| Server::of(Arc::new(open(closed)), Limits::default(), &[]));
    let ask = |server: &Server, request: String| -> Value {
        let reply = server.ask(request.as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
        serde_json::from_str(&reply.body).unwrap()
    };
    let name = |fields: &str| {
        let body = ask(&server, call("/mcp", fields, "get_chatbot", r#"{"chatbot_id":1}"#));
        let name = &body["result"]["structuredContent"]["name"];
        name.as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
    };
    let list = DISCOVER.replace("server/discover", "tools/list");
    let modern = MODERN.replace("server/discover", "tools/list");
    let change = r#"{"chatbot_id":1,"name":"Changed"}"#;
    let check = |server: &Server, path: &str, fields: &str, refusal: Option<&str>| {
        let listed = ask(server, post(path, &format!("{fields}{JSON}{modern}"), &list));
        let tools = listed["result"]["tools"].as_array().unwrap().len();
        assert_eq!(tools, if refusal.is_some() { 12 } else { 19 }, "{path} {fields}");
        let body = ask(server, call(path, fields, "update_chatbot_settings", change));
        let (error, result) = (&body["error"], &body["result"]);
        let said = error["message"].as_str().or_else(|| result["content"][0]["text"].as_str()).unwrap();
        match refusal {
            Some(refusal) => assert!(said.starts_with(refusal), "{path} {fields}: {body}"),
            None => assert!(error.is_null() && result["isError"].is_null(), "{path} {fields}: {body}"),
        }
        assert!(error.is_null() || error["code"] == -32602 && said.contains("/mcp/"), "{body}");
        assert!(refusal.is_none() || !error.is_null() || result["isError"] == true, "{body}");
        assert_eq!(name(fields), if refusal.is_some() { "Before" } else { "Changed" }, "{path} {fields}");
    };
    let refused = Some("read_only: update_chatbot_settings changes the chatbot, but ");
    let with = |more: &str| format!("{full}{more}");
    check(&server, "/mcp-readonly", &full, Some("Unknown tool: update_chatbot_settings"));
    check(&server, "/mcp", &read_only, refused);
    check(&closed, "/mcp", &full, refused);
    for wish in ["true", "", "0", "no", "false, false"] {
        check(&server, "/mcp", &with(&format!("X-MCP-Readonly: {wish}\r\n")), refused);
    }
    check(&server, "/mcp", &with("X-MCP-Readonly: false\r\nX-MCP-Readonly: true\r\n"), refused);
    check(&server, "/mcp", &with("X-MCP-Readonly: True\r\nX-MCP-Readonly: false\r\n"), refused);
    check(&server, "/mcp", &with("X-MCP-Readonly: False\r\n"), None);
}

/// A chatbot called Before for the organisation.
fn one_chatbot(folder: &Path, slug: &'static str) {
    use chaterimo::import::record::{Record, put};
    let made = Store::open(folder).unwrap().write(Durability::Disk, move |tx| {
        let tenant = organisation::find(tx, slug)?.unwrap().tenant;
        let record =
            serde_json::json!({"type": "chatbot", "external_id": "a", "settings": {"name": "Before"}});
        put(&tx.tenant(tenant), &serde_json::from_value::<Record>(record).unwrap(), NOW)
    });
    made.unwrap();
}

#[test]
fn refusals_beyond_sixty_a_minute_are_neither_told_nor_logged() {
    let folder = tempfile::tempdir().unwrap();
    let [bad, good] = ["acme", "other"].map(|slug| key(folder.path(), slug, false));
    let used_up = key_on(folder.path(), "used-up", Plan::Free, false);
    let clock = Clock::manual(NOW);
    let app = Arc::new(App::open(folder.path(), clock.clone(), false, Vec::new()).unwrap());
    let server = Server::of(Arc::clone(&app), Limits::default(), &[]);
    let ask = |key: &str, arguments: &str| {
        let fields = format!("Authorization: Bearer {key}\r\n");
        let reply = server.ask(call("/mcp", &fields, "list_chatbots", arguments).as_bytes());
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(body["id"], 7, "{reply:?}");
        let text = body["result"]["content"][0]["text"].as_str().unwrap_or_default();
        let refused = body["result"]["isError"] == true;
        let code = if refused { text.split(':').next().unwrap() } else { "" };
        let waits = reply.field("retry-after").map(str::to_owned);
        (reply.status, code.to_owned(), waits, body["error"]["code"].as_i64())
    };
    let logged = |slug| {
        let count = |tx: &chaterimo::store::SystemTx<'_>| {
            call_log::count(&tx.tenant(organisation::find(tx, slug)?.unwrap().tenant))
        };
        app.store.read(count).unwrap()
    };
    const WRONG: &str = r#"{"limit":101}"#;
    let flood = |seconds: &str| (429, String::new(), Some(seconds.to_owned()), Some(-32600));
    let wrong = (200, "invalid_arguments".to_owned(), None, None);
    let right = (200, String::new(), None, None);
    for _ in 0..60 {
        assert_eq!(ask(&bad, WRONG), wrong);
    }
    clock.advance(10_500);
    assert_eq!([ask(&bad, WRONG), ask(&bad, WRONG)], [flood("50"), flood("50")]);
    assert_eq!([ask(&bad, "{}"), ask(&good, WRONG)], [right, wrong.clone()]);
    assert_eq!(logged("acme"), (61, 1));
    let line = call("", "", "list_chatbots", WRONG).split_once("\r\n\r\n").unwrap().1.replace('\n', " ");
    let mut output = Vec::new();
    chaterimo::stdio::run(&app, &bad, line.as_bytes(), &mut output).unwrap();
    let told: Value = serde_json::from_slice(&output).unwrap();
    assert_eq!((&told["id"], &told["result"]["isError"]), (&Value::from(7), &Value::from(true)), "{told}");
    assert_eq!(told["result"]["_meta"]["com.chaterimo/error"]["code"], "too_many_refusals", "{told}");
    clock.advance(49_500);
    assert_eq!(ask(&bad, WRONG), wrong);
    assert_eq!(logged("acme"), (62, 1));
    // A quota that is used up refuses as well.
    let answers: Vec<_> = (0..67).map(|_| ask(&used_up, "{}").0).collect();
    assert_eq!(answers, [[200; 65].as_slice(), &[429; 2]].concat());
    assert_eq!(logged("used-up"), (65, 5));
}

#[test]
fn tls_is_ended_here() {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let folder = tempfile::tempdir().unwrap();
    let settings =
        [("CHATERIMO_TLS_CERT", "tests/tls/localhost.pem"), ("CHATERIMO_TLS_KEY", "tests/tls/localhost.key")];
    let server = Server::start_with(folder.path(), Limits::default(), &settings);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file("tests/tls/ca.pem").unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connection =
        rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, server.connect());
    stream.write_all(format!("GET /healthz HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(stream.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let mut plain = server.connect();
    plain.write_all(format!("GET /healthz HTTP/1.1\r\n{HOST}\r\n").as_bytes()).unwrap();
    assert_eq!(read_head_bytes(&mut plain).first(), Some(&21), "an alert, or nothing");
}
