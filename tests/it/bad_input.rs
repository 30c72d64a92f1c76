//! Bad input, and what it gets: one clear answer of the protocol or of the tool, never a 5xx, and a server that goes on.

use std::path::Path;
use std::process::Command;

use chaterimo::app::App;
use chaterimo::clock::Clock;
use chaterimo::http::Limits;
use chaterimo::import::record::{self, Record};
use chaterimo::stdio;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{DATABASE_FILE, Durability, Store};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::*;

const MODERN_META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const LEGACY_META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A request body.
fn body(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#)
}

/// The headers of a modern request, with `fields` before them.
fn modern(fields: &str, method: &str) -> String {
    format!("{fields}{JSON}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n")
}

/// A body that is no text, with all that a good request has.
fn post_bytes(fields: &str, body: &[u8]) -> Vec<u8> {
    let mut request =
        format!("POST /mcp HTTP/1.1\r\n{HOST}{fields}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(body);
    request
}

/// Bodies that are no message at all, in either era and on any transport: name, bytes, JSON-RPC code, words.
fn no_messages() -> Vec<(&'static str, Vec<u8>, i64, &'static str)> {
    let good = body("tools/list", MODERN_META);
    let nested = |depth: usize| {
        let inner = format!("{}{}", "[".repeat(depth - 2), "]".repeat(depth - 2));
        body("tools/list", &format!(r#"{MODERN_META},"deep":{inner}"#))
    };
    let twice = good.replacen(r#""id":1"#, r#""id":1,"id":2"#, 1);
    let below = good.replacen(r#""params":{"#, r#""params":{"a":{"x":1,"x":1},"#, 1);
    vec![
        ("not JSON", b"tell me about my shop".to_vec(), -32700, "not JSON"),
        ("JSON cut short", good.as_bytes()[..good.len() - 1].to_vec(), -32700, "not JSON"),
        ("half a UTF-8 sequence", b"{\"jsonrpc\":\"2.0\",\"id\":\"\xe2\x82\"}".to_vec(), -32700, "not JSON"),
        ("half a surrogate pair", br#"{"jsonrpc":"2.0","id":"\ud83d"}"#.to_vec(), -32700, "not JSON"),
        ("depth 65", nested(65).into_bytes(), -32600, "64"),
        ("a member twice", twice.into_bytes(), -32600, "twice"),
        ("a member twice below", below.into_bytes(), -32600, "twice"),
        ("a batch", format!("[{good}]").into_bytes(), -32600, "2025-03-26"),
        ("an empty batch", b"[]".to_vec(), -32600, ""),
        ("a number", b"1".to_vec(), -32600, ""),
        ("another JSON-RPC", good.replacen("2.0", "1.0", 1).into_bytes(), -32600, "2.0"),
        ("no method", br#"{"jsonrpc":"2.0","id":1}"#.to_vec(), -32600, "method"),
        ("an id of null", good.replacen(r#""id":1"#, r#""id":null"#, 1).into_bytes(), -32600, "id"),
    ]
}

#[test]
fn what_is_no_message_is_refused_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    let server = Server::start(folder.path(), Limits::default());
    let good = post("/mcp", &modern(&key, "tools/list"), &body("tools/list", MODERN_META));
    let answers_still = |what: &str| assert_eq!(server.ask(good.as_bytes()).status, 200, "after {what}");
    for (what, bytes, code, says) in no_messages() {
        let reply = server.ask(&post_bytes(&modern(&key, "tools/list"), &bytes));
        assert_eq!((reply.status, error_code(&reply.body)), (400, Some(code)), "{what}: {reply:?}");
        assert!(reply.body.contains(says), "{what}: {reply:?}");
        answers_still(what);
    }
    let deepest =
        body("tools/list", &format!(r#"{MODERN_META},"deep":{}{}"#, "[".repeat(62), "]".repeat(62)));
    assert_eq!(
        server.ask(&post_bytes(&modern(&key, "tools/list"), deepest.as_bytes())).status,
        200,
        "depth 64"
    );
    let most = format!("{}{}", body("tools/list", MODERN_META), " ".repeat(1 << 20));
    assert_eq!(server.ask(&post_bytes(&modern(&key, "tools/list"), &most.as_bytes()[..1 << 20])).status, 200);
    let reply = server.ask(&post_bytes(&modern(&key, "tools/list"), &most.as_bytes()[..(1 << 20) + 1]));
    assert_eq!(reply.status, 413, "{reply:?}");
    answers_still("1 MiB and a byte");
}

#[test]
fn what_is_no_message_is_refused_on_stdio() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "acme", false);
    let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
    let good = body("tools/list", MODERN_META);
    let (mut input, mut expected) = (Vec::new(), Vec::new());
    let long = ("1 MiB and a byte", vec![b' '; (1 << 20) + 1], -32600, "1048576 bytes");
    for (what, bytes, code, says) in no_messages().into_iter().chain([long]) {
        input.extend_from_slice(&[&bytes, b"\n".as_slice(), good.as_bytes(), b"\n"].concat());
        expected.push((what, code, says));
    }
    let answers = talk(&app, &key, &input);
    assert_eq!(answers.len(), expected.len() * 2);
    for (answer, (what, code, says)) in answers.chunks(2).zip(expected) {
        assert_eq!(answer[0]["error"]["code"], code, "{what}: {}", answer[0]);
        assert!(answer[0]["error"]["message"].as_str().unwrap().contains(says), "{what}: {}", answer[0]);
        assert!(answer[1]["result"]["tools"].is_array(), "after {what}: {}", answer[1]);
    }
}

#[test]
fn a_request_of_no_era_or_of_both_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("Authorization: Bearer {}\r\n", key(folder.path(), "acme", false));
    let server = Server::start(folder.path(), Limits::default());
    let session = initialize(&server, "/mcp", &key);
    let check = |what: &str, fields: &str, body: &str, status: u16, code: i64| {
        let reply = server.ask(post("/mcp", &format!("{key}{fields}"), body).as_bytes());
        assert_eq!((reply.status, error_code(&reply.body)), (status, Some(code)), "{what}: {reply:?}");
        reply.body
    };
    let list = body("tools/list", MODERN_META);
    let version =
        |version: &str| format!("{JSON}MCP-Protocol-Version: {version}\r\nMcp-Method: tools/list\r\n");
    let now = modern("", "tools/list");
    check("modern body, legacy header", &version("2025-11-25"), &list, 400, -32020);
    check("modern body, no headers", JSON, &list, 400, -32020);
    check("modern header, no _meta", &now, &body("tools/list", ""), 400, -32602);
    check("modern header, legacy _meta", &now, &body("tools/list", LEGACY_META), 400, -32020);
    let without = MODERN_META.replace(r#","io.modelcontextprotocol/clientCapabilities":{}"#, "");
    check("no capabilities", &now, &body("tools/list", &without), 400, -32602);
    check("another method in the header", &modern("", "tools/call"), &list, 400, -32020);
    let call = body("tools/call", &format!(r#"{MODERN_META},"name":"list_chatbots""#));
    let named = |name: &str| format!("{}Mcp-Name: {name}\r\n", modern("", "tools/call"));
    check("another name in the header", &named("get_chatbot"), &call, 400, -32020);
    check("no name in the header", &modern("", "tools/call"), &call, 400, -32020);
    check("base64 that is none", &named("=?base64?%?="), &call, 400, -32020);
    let future = body("tools/list", &MODERN_META.replace("2026-07-28", "2099-01-01"));
    let unsupported = check("a later revision", &version("2099-01-01"), &future, 400, -32022);
    let data = &serde_json::from_str::<Value>(&unsupported).unwrap()["error"]["data"];
    assert_eq!((&data["requested"], &data["supported"][0]), (&json!("2099-01-01"), &json!("2026-07-28")));
    for removed in ["initialize", "ping", "logging/setLevel", "resources/subscribe", "no/such"] {
        check(removed, &modern("", removed), &body(removed, MODERN_META), 404, -32601);
    }
    let of_session = |id: &str, fields: &str| format!("{JSON}Mcp-Session-Id: {id}\r\n{fields}");
    check("modern body, no headers, an unknown session", &of_session("mcs_x_y_z", ""), &list, 400, -32020);
    check("unknown, legacy", &of_session(&session, ""), &body("no/such", ""), 200, -32601);
    check(
        "unknown tool, legacy",
        &of_session(&session, ""),
        &body("tools/call", r#""name":"rm""#),
        200,
        -32602,
    );
    let unknown = body("tools/call", &format!(r#"{MODERN_META},"name":"rm""#));
    check("unknown tool", &named("rm"), &unknown, 200, -32602);
    let foreign = "MCP-Protocol-Version: 1999-01-01\r\n";
    check("an unserved revision", &of_session(&session, foreign), LIST, 400, -32022);
    check("legacy without a session", JSON, LIST, 400, -32602);
    check("a batch in a session without", &of_session(&session, ""), &format!("[{LIST}]"), 400, -32600);
}

#[test]
fn a_credential_or_session_of_others_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs, revoked] = ["ours", "theirs", "gone"].map(|slug| key(folder.path(), slug, false));
    let store = Store::open(folder.path()).unwrap();
    let done = store.write(Durability::Disk, |tx| {
        let tenant = organisation::find(tx, "gone")?.unwrap().tenant;
        chaterimo::store::api_key::revoke(&tx.tenant(tenant), 1, NOW)
    });
    done.unwrap();
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let server = Server::start(folder.path(), Limits::default());
    let foreign = initialize(&server, "/mcp", &bearer(&theirs));
    let ask = |fields: &str| {
        let request = post("/mcp", &modern(fields, "tools/list"), &body("tools/list", MODERN_META));
        server.ask(request.as_bytes())
    };
    let (rest, last) = ours.split_at(ours.len() - 1);
    let mistyped = format!("{rest}{}", if last == "x" { "y" } else { "x" });
    let wrong = [mistyped.as_str(), &revoked, "cha_", "nonsense", &"c".repeat(8_000)].map(|key| {
        let reply = ask(&bearer(key));
        assert_eq!((reply.status, reply.field("content-type")), (401, Some("application/json")), "{reply:?}");
        assert!(reply.field("www-authenticate").unwrap().contains("invalid_token"), "{reply:?}");
        reply.body
    });
    assert!(wrong.iter().all(|body| *body == wrong[0]), "one text for all, so that none can be guessed at");
    assert_eq!(ask(&bearer(&ours)).status, 200);
    let listed = |key: &str, session: &str| {
        let fields = format!("{}{JSON}Mcp-Session-Id: {session}\r\n", bearer(key));
        let reply = server.ask(post("/mcp", &fields, LIST).as_bytes());
        (reply.status, reply.body)
    };
    assert_eq!(listed(&theirs, &foreign).0, 200);
    let refused = listed(&ours, &foreign);
    assert_eq!(refused.0, 404);
    assert_eq!(refused, listed(&ours, &format!("{foreign}x")), "as if there were none");
}

#[test]
fn a_write_is_refused_wherever_only_reading_is_possible() {
    let folder = tempfile::tempdir().unwrap();
    let [full, reader] = [false, true].map(|read_only| {
        let slug = if read_only { "reader" } else { "acme" };
        format!("Authorization: Bearer {}\r\n", key(folder.path(), slug, read_only))
    });
    two_chatbots(folder.path());
    let server = Server::start(folder.path(), Limits::default());
    let write = |path: &str, fields: &str| {
        let arguments = json!({"chatbot_id": 1, "temperature": 0.9}).to_string();
        let reply = server.ask(call(path, fields, "update_chatbot_model", &arguments).as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
        serde_json::from_str::<Value>(&reply.body).unwrap()
    };
    for path in ["/mcp-readonly", "/mcp-readonly/"] {
        let error = &write(path, &full)["error"];
        let said = error["message"].as_str().unwrap();
        assert!(error["code"] == -32602 && said.contains("lives at the full endpoint, /mcp/"), "{error}");
    }
    for fields in [reader, format!("{full}X-MCP-Readonly: true\r\n")] {
        let answer = write("/mcp/", &fields);
        let said = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(answer["result"]["isError"] == true && said.starts_with("read_only: "), "{answer}");
    }
    assert_eq!(write("/mcp/", &full)["result"]["structuredContent"]["after"]["temperature"], 0.9);
}

/// Arguments that a tool refuses: tool, arguments, the code its text begins with, words that help.
fn wrong_arguments(cursor_of_another: &str) -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let long = "ü".repeat(15_001);
    let instructions = |text: &str| json!({"chatbot_id": 1, "instructions": text});
    vec![
        (
            "update_chatbot_model",
            json!({"chatbot_id": 1, "temperature": 1.1}),
            "invalid_arguments",
            "temperature: came 1.1; wanted a number from 0.1 to 1",
        ),
        ("update_chatbot_model", json!({"chatbot_id": 1, "model": "gpt-1"}), "invalid_arguments", "gpt-4o"),
        ("update_chatbot_model", json!({"chatbot_id": 1}), "invalid_arguments", ""),
        (
            "update_chatbot_instructions",
            instructions(&long),
            "invalid_arguments",
            "instructions: came 15,001 characters; wanted",
        ),
        (
            "get_analytics",
            json!({"days": 366}),
            "invalid_arguments",
            "days: came 366; wanted a whole number from 1 to 365",
        ),
        ("get_analytics", json!({"from": "2026-11-31"}), "invalid_arguments", "from"),
        ("get_analytics", json!({"timezone": "Mars/Olympus"}), "invalid_arguments", "timezone"),
        ("get_chatbot", json!({"chatbot_id": "#12345"}), "invalid_arguments", "chatbot_id: came \"#12345\""),
        ("get_chatbot", json!({"chatbot_id": 12_345}), "not_found", "12345"),
        ("get_chatbot", json!({"chatbot_id": 9e300}), "invalid_arguments", "chatbot_id"),
        ("get_chatbot", json!({"chatbot_id": i64::MAX}), "not_found", ""),
        ("get_chatbot", json!({}), "invalid_arguments", "chatbot_id: missing"),
        ("list_chatbots", json!({"limit": 101}), "invalid_arguments", "limit: came 101"),
        ("list_chatbots", json!({"organisation": 2}), "invalid_arguments", "organisation: unknown argument"),
        ("list_chatbots", json!({"cursor": "x"}), "invalid_arguments", "cursor"),
        ("list_sales_rules", json!({"cursor": cursor_of_another}), "invalid_arguments", "cursor"),
        (
            "update_widget_appearance",
            json!({"chatbot_id": 1, "primary_color": "#12345"}),
            "invalid_arguments",
            "primary_color: came \"#12345\"; wanted text matching",
        ),
        ("update_chatbot_language", json!({"chatbot_id": 1, "language": "klingon"}), "invalid_arguments", ""),
        ("update_chatbot_settings", json!({"chatbot_id": 1, "name": " "}), "invalid_arguments", "name"),
        ("update_chatbot_settings", json!({"chatbot_id": 1}), "invalid_arguments", ""),
    ]
}

#[test]
fn wrong_arguments_are_told_to_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "acme", false);
    two_chatbots(folder.path());
    let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
    let server = Server::start(folder.path(), Limits::default());
    let fields = format!("Authorization: Bearer {key}\r\n");
    let ask = |tool: &str, arguments: &Value| {
        let reply = server.ask(call("/mcp", &fields, tool, &arguments.to_string()).as_bytes());
        assert_eq!(reply.status, 200, "{tool}: {reply:?}");
        serde_json::from_str::<Value>(&reply.body).unwrap()
    };
    let first = ask("list_chatbots", &json!({"limit": 1}));
    let cursor = first["result"]["structuredContent"]["next_cursor"].as_str().unwrap();
    assert!(ask("list_chatbots", &json!({"limit": 1, "cursor": cursor}))["result"]["isError"].is_null());
    for (tool, arguments, code, says) in wrong_arguments(cursor) {
        let params = format!(r#"{MODERN_META},"name":"{tool}","arguments":{arguments}"#);
        let line = body("tools/call", &params).replacen(r#""id":1"#, r#""id":7"#, 1);
        let answers = [ask(tool, &arguments), talk(&app, &key, line.as_bytes()).remove(0)];
        for answer in &answers {
            let result = &answer["result"];
            assert_eq!(result["isError"], true, "{tool} {arguments}: {answer}");
            assert!(result.get("structuredContent").is_none(), "{answer}");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.starts_with(&format!("{code}: ")) && text.contains(says), "{tool}: {text}");
            assert!(text.len() < 1_000, "{tool}: {text}");
        }
        assert_eq!(answers[0]["result"]["content"], answers[1]["result"]["content"]);
    }
    // Wrong arguments cost nothing, whether the schema or the tool itself finds them wrong.
    let left =
        &ask("list_chatbots", &json!({}))["result"]["_meta"]["com.chaterimo/quota"]["day"]["remaining"];
    let ran = wrong_arguments(cursor).iter().filter(|(_, _, code, _)| *code != "invalid_arguments").count();
    assert_eq!(left.as_u64().unwrap(), 1_000 - 3 - ran as u64 * 2, "two calls each, over HTTP and stdio");
}

#[test]
fn signs_in_a_query_are_no_syntax() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "acme", false);
    let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
    for tool in ["search_products", "list_conversations"] {
        for query in
            ["#12345", "\"", "a AND", "NEAR(", "*", "x'; DROP TABLE product; --", "-", "ﬀ\u{0301}", "%_"]
        {
            let params = format!(r#"{MODERN_META},"name":"{tool}","arguments":{}"#, json!({"query": query}));
            let answer = &talk(&app, &key, body("tools/call", &params).as_bytes())[0];
            let text = answer["result"]["content"][0]["text"].as_str().unwrap_or_default();
            let refused = answer["result"]["isError"] == true;
            assert!(!refused || text.starts_with("invalid_arguments: query"), "{tool} {query}: {answer}");
            assert!(answer["error"].is_null(), "{tool} {query}: {answer}");
        }
    }
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "acme", false);
    let version = |wanted: Option<i64>| -> i64 {
        let database = Connection::open(folder.path().join(DATABASE_FILE)).unwrap();
        if let Some(wanted) = wanted {
            database.pragma_update(None, "user_version", wanted).unwrap();
        }
        database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    let ours = version(None);
    version(Some(ours + 1));
    for command in [["serve", "--listen=127.0.0.1:0"].as_slice(), &["stdio"], &["org", "list"]] {
        let mut run = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        run.env_clear().env("HOME", folder.path()).env("CHATERIMO_API_KEY", &key).args(command);
        let ran = run.arg("--data-dir").arg(folder.path()).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0), "{command:?}: {said}");
        assert!(said.contains("newer version") && said.lines().count() == 1, "{command:?}: {said}");
    }
    assert_eq!(version(None), ours + 1, "nothing was migrated backwards");
    version(Some(ours));
    let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
    assert!(app.authenticate(&key).unwrap().is_some(), "nothing was lost");
}

fn error_code(body: &str) -> Option<i64> {
    serde_json::from_str::<Value>(body).ok()?["error"]["code"].as_i64()
}

/// What `chaterimo stdio` says to `input`.
fn talk(app: &App, key: &str, input: &[u8]) -> Vec<Value> {
    let mut output = Vec::new();
    stdio::run(app, key, input, &mut output).unwrap();
    output
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// Two chatbots to speak of, and more calls a minute than a plan has.
fn two_chatbots(folder: &Path) {
    let done = Store::open(folder).unwrap().write(Durability::Process, |tx| {
        let tenant = organisation::find(tx, "acme")?.unwrap().tenant;
        for name in ["One", "Two"] {
            let record = json!({"type": "chatbot", "external_id": name, "settings": {"name": name}});
            record::put(&tx.tenant(tenant), &serde_json::from_value::<Record>(record).unwrap(), NOW)?;
        }
        organisation::set_plan(tx, tenant, Plan::Paid, Some(Some(10_000)), None)
    });
    done.unwrap();
}
