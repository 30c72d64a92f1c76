//! The apps that people connect with: entered, registering themselves, or described by a document; and what the server
//! publishes about itself for them.

use chaterimo::http::Limits;
use serde_json::{Value, json};

use crate::cli::home_with_acme;
use crate::support::{HOST, Reply, Server, post};

const PUBLIC: &str = "https://chat.example.com";

fn get(server: &Server, path: &str, fields: &str) -> Reply {
    server.ask(format!("GET {path} HTTP/1.1\r\n{HOST}{fields}\r\n").as_bytes())
}

fn body(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("{reply:?}"))
}

#[test]
fn every_spelling_of_the_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    let read = |path: &str| {
        // As the TypeScript SDK asks from a browser.
        let reply = get(&server, path, "Origin: https://app.example\r\nMCP-Protocol-Version: 2025-11-25\r\n");
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.field("content-type"), Some("application/json"));
        assert_eq!(reply.field("cache-control"), Some("public, max-age=300"));
        assert_eq!(reply.field("access-control-allow-origin"), Some("*"));
        let head = server.ask(format!("HEAD {path} HTTP/1.1\r\n{HOST}\r\n").as_bytes());
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        body(&reply)
    };
    let check = |path: &str, resource: &str, scopes: Value| {
        let document = read(&format!("/.well-known/oauth-protected-resource{path}"));
        assert_eq!(document["resource"], format!("{PUBLIC}{resource}"), "{path}");
        assert_eq!(document["authorization_servers"], json!([PUBLIC]));
        assert_eq!(document["scopes_supported"], scopes);
    };
    check("", "/mcp", json!(["mcp:read", "mcp:write"]));
    check("/mcp", "/mcp", json!(["mcp:read", "mcp:write"]));
    check("/mcp/", "/mcp/", json!(["mcp:read", "mcp:write"]));
    check("/mcp-readonly", "/mcp-readonly", json!(["mcp:read"]));
    check("/mcp-readonly/", "/mcp-readonly/", json!(["mcp:read"]));
    let document = read("/.well-known/oauth-authorization-server");
    assert_eq!(document["issuer"], PUBLIC);
    assert_eq!(document["registration_endpoint"], format!("{PUBLIC}/register"));
    assert_eq!(document["client_id_metadata_document_supported"], true);
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
}

#[test]
fn other_places_where_clients_look_are_empty() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), Limits::default());
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/openid-configuration/mcp",
        "/.well-known/oauth-authorization-server/mcp",
        "/.well-known/oauth-authorization-server/mcp/",
        "/.well-known/oauth-authorization-server/",
        "/.well-known/oauth-protected-resource/",
        "/.well-known/oauth-protected-resource/other",
        "/mcp/.well-known/oauth-authorization-server",
        "/mcp/.well-known/openid-configuration",
        "/mcp-readonly/.well-known/oauth-protected-resource",
    ] {
        let reply = get(&server, path, "Accept: text/html, application/json\r\n");
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(body(&reply)["error"], "not_found", "{path}");
        assert_eq!(reply.field("access-control-allow-origin"), Some("*"), "{path}");
    }
    let reply = server.ask(post("/.well-known/oauth-authorization-server", "", "").as_bytes());
    assert_eq!((reply.status, reply.field("allow")), (405, Some("GET")));
}

#[test]
fn apps_register_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let json = "Content-Type: application/json; charset=utf-8\r\nOrigin: https://app.example\r\n";
    let code = r#"{"client_name":"Claude Code","redirect_uris":["http://localhost:3118/callback"],
        "grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"none"}"#;
    let register = |server: &Server, body: &str| server.ask(post("/register", json, body).as_bytes());
    let server = Server::start(folder.path(), Limits::default());
    let reply = register(&server, code);
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(reply.field("cache-control"), Some("no-store"));
    assert_eq!(reply.field("access-control-allow-origin"), Some("*"));
    let first = body(&reply);
    assert!(first.as_object().unwrap().values().all(|value| !value.is_null()), "{first}");
    assert!(first["client_id_issued_at"].is_i64());
    server.signal();
    server.wait();
    let server = Server::start(folder.path(), Limits::default());
    assert_eq!(body(&register(&server, code)), first, "it is known after a restart");
    let check = |bytes: String, status: u16, code: &str| {
        let reply = server.ask(bytes.as_bytes());
        assert_eq!(
            (reply.status, body(&reply)["error"].as_str()),
            (status, Some(code)),
            "{bytes:.300} {reply:?}"
        );
        assert!(body(&reply)["error_description"].is_string(), "{reply:?}");
    };
    let bad = |body: &str, code: &str| check(post("/register", json, body), 400, code);
    bad(r#"{"redirect_uris":["http://evil.example/cb"]}"#, "invalid_redirect_uri");
    bad(r#"{"redirect_uris":["javascript:alert(1)"]}"#, "invalid_redirect_uri");
    bad("{}", "invalid_redirect_uri");
    bad("", "invalid_client_metadata");
    bad("{\"client_name\":", "invalid_client_metadata");
    bad(
        r#"{"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"x"}"#,
        "invalid_client_metadata",
    );
    check(post("/register", json, &" ".repeat(32_769)), 413, "invalid_request");
    check(post("/register", "Content-Type: text/plain\r\n", code), 415, "invalid_request");
    check(post("/register", "", code), 415, "invalid_request");
    check(format!("GET /register HTTP/1.1\r\n{HOST}\r\n"), 405, "invalid_request");
    let mut statuses = (0..70).map(|_| register(&server, "{}"));
    let slow = statuses.find(|reply| reply.status != 400).expect("at most 60 at once");
    assert_eq!((slow.status, slow.field("retry-after")), (429, Some("10")));
    assert_eq!(body(&slow)["error"], "slow_down");
}

#[test]
fn what_is_switched_off_is_neither_offered_nor_there() {
    let folder = tempfile::tempdir().unwrap();
    let off = [("CHATERIMO_REGISTRATION", "false"), ("CHATERIMO_CLIENT_DOCUMENTS", "off")];
    let server = Server::start_with(folder.path(), Limits::default(), &off);
    let document = body(&get(&server, "/.well-known/oauth-authorization-server", ""));
    assert_eq!(document.get("registration_endpoint"), None);
    assert_eq!(document["client_id_metadata_document_supported"], false);
    let code = r#"{"redirect_uris":["https://a.example/cb"]}"#;
    let reply = server.ask(post("/register", "Content-Type: application/json\r\n", code).as_bytes());
    assert_eq!(reply.status, 404);
}

#[test]
fn a_document_of_the_operator_that_is_wrong_stops_the_start() {
    let home = home_with_acme();
    std::fs::create_dir(home.path("apps")).unwrap();
    std::fs::write(home.path("apps/own.json"), r#"{"client_id":"https://own.example/c"}"#).unwrap();
    let serve = format!("serve --listen 127.0.0.1:0 --client-documents-dir {}", home.path("apps"));
    home.refused(&serve, 2, "apps/own.json (client_documents_dir) cannot be used: client_name is missing.");
}

#[test]
fn the_operator_enters_apps() {
    let home = home_with_acme();
    let id =
        home.done("client add Conformance --redirect http://localhost/cb --redirect https://a.example/cb");
    assert!(id.starts_with("app_") && id.trim().len() == 26, "{id}");
    let ran = home.run("client add Robot --redirect https://a.example/cb --id robot-1 --secret basic");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("shown this once"), "{}", ran.err);
    let (own, secret) = ran.out.trim().split_once('\n').unwrap();
    assert_eq!((own, secret.len()), ("robot-1", 43));
    home.refused("client add Odd --redirect nonsense", 2, "Wanted is https://host/path");
    let list = home.done("client list");
    for expected in [id.trim(), "Robot", "client_secret_basic", "http://localhost/cb https://a.example/cb"] {
        assert!(list.contains(expected), "{expected} is not in {list}");
    }
    assert!(!list.contains(secret));
    let refused = |arguments: &str, said: &str| home.refused(arguments, 2, said);
    refused("client add Bad --redirect http://evil.example/cb", "another machine");
    refused(
        "client add Bad --redirect https://a.example/cb --id https://a.example/c",
        "client_documents_dir",
    );
    refused("client add Bad --redirect https://a.example/cb --id dcr_1", "does not begin with dcr_");
    home.refused("client add Twin --redirect https://a.example/cb --id robot-1", 1, "already");
    assert_eq!(home.run("client add NoRedirect").code, 2);
    home.done("client remove robot-1");
    home.refused("client remove robot-1", 1, "There is no client");
}
