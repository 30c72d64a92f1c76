//! The engine, by what goes in and what comes out.

use serde_json::{Value, json};

use super::super::catalog::Annotations;
use super::super::outcome::{Outcome, Output, Refusal};
use super::super::rpc::{self, Incoming};
use super::*;

fn engine() -> Engine {
    let info = ServerInfo {
        name: "shop",
        title: "Shop",
        version: "1.2.3",
        website: Some("https://example.com"),
        instructions: "Reads a shop.",
    };
    let read = Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
    let write = Annotations { read_only: false, destructive: true, ..read };
    let tool = |name, input_schema, write_tool: bool| ToolDef {
        name,
        title: "A tool",
        description: "Does it.",
        input_schema,
        output_schema: Some(json!({"type": "object"})),
        annotations: if write_tool { write } else { read },
        write: write_tool,
        view: None,
    };
    let mirrored = json!({"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "at": {"type": "object", "properties": {"floor": {"type": "integer", "x-mcp-header": "Floor"}}},
        "urgent": {"type": "boolean", "x-mcp-header": "Urgent"},
    }});
    let tools = vec![
        tool("look", json!({"type": "object"}), false),
        tool("change", json!({"type": "object"}), true),
        tool("route", mirrored, false),
    ];
    Engine::new(info, Catalog { tools, ..Catalog::default() })
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"9"},"io.modelcontextprotocol/clientCapabilities":{},"progressToken":5}"#;

fn message(text: &str) -> Message {
    match rpc::parse(text.as_bytes()) {
        Ok(Incoming::One(message)) => message,
        other => panic!("{text}: {other:?}"),
    }
}

/// Status and body of the answer; (202, null) where there is none; the outcome `Done({"n":1})` for a call.
fn answer(step: Step) -> (u16, Value) {
    let response = match step {
        Step::Reply(response) => response,
        Step::Call(call) => {
            call.finish(Outcome::Done(Output { structured: r#"{"n":1}"#.into(), meta: None }))
        }
        Step::Listen(listen) => {
            return (200, serde_json::from_slice(&listen.acknowledge().unwrap()).unwrap());
        }
        Step::Resume(id, _) => return (202, json!({"resume": id})),
        Step::Cancel(id) => return (202, json!({"cancel": id})),
        Step::Accepted => return (202, Value::Null),
    };
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

fn modern(method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    format!(r#"{{"jsonrpc":"2.0","id":"a","method":"{method}","params":{{{META}{comma}{params}}}}}"#)
}

fn legacy(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":0,"method":"{method}","params":{{{params}}}}}"#)
}

fn session(version: &str) -> Session {
    let mut session = Session::default();
    let open = legacy(
        "initialize",
        &format!(r#""protocolVersion":"{version}","clientInfo":{{"name":"c","version":"9"}}"#),
    );
    let (status, _) = answer(engine().handle(&mut session, View::Full, None, message(&open)));
    assert_eq!(status, 200);
    session
}

fn headers<'a>(method: &'a str, name: Option<&'a str>) -> McpHeaders<'a> {
    McpHeaders { protocol_version: Some("2026-07-28"), method: Some(method), name, params: &[] }
}

fn names(body: &Value) -> Vec<&str> {
    body["result"]["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[test]
fn discovers() {
    let mut session = Session::default();
    let headers = headers("server/discover", None);
    let step =
        engine().handle(&mut session, View::Full, Some(&headers), message(&modern("server/discover", "")));
    let (status, body) = answer(step);
    assert_eq!(status, 200);
    assert_eq!(
        body,
        json!({"jsonrpc": "2.0", "id": "a", "result": {
            "resultType": "complete",
            "supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"],
            "capabilities": {"tools": {}},
            "instructions": "Reads a shop.",
            "ttlMs": 3_600_000,
            "cacheScope": "public",
            "_meta": {"io.modelcontextprotocol/serverInfo":
                {"name": "shop", "title": "Shop", "version": "1.2.3", "websiteUrl": "https://example.com"}},
        }})
    );
    assert_eq!(session, Session::Stateless);
}

#[test]
fn shakes_hands_in_each_legacy_revision() {
    let check = |asked: &str, agreed: &str, server: Value| {
        let mut session = Session::default();
        let open = legacy("initialize", &format!(r#""protocolVersion":"{asked}""#));
        let (status, body) = answer(engine().handle(&mut session, View::Full, None, message(&open)));
        assert_eq!(status, 200);
        assert_eq!(body["id"], 0);
        assert_eq!(
            body["result"],
            json!({"protocolVersion": agreed, "capabilities": {"tools": {}}, "serverInfo": server,
                "instructions": "Reads a shop."})
        );
        let opened = session.clone();
        assert!(matches!(opened, Session::Open(_)));
        let done = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(
            answer(engine().handle(&mut session, View::Full, None, message(done))),
            (202, Value::Null)
        );
        assert_eq!(session, opened);
    };
    let plain = json!({"name": "shop", "version": "1.2.3"});
    let titled = json!({"name": "shop", "title": "Shop", "version": "1.2.3"});
    let full =
        json!({"name": "shop", "title": "Shop", "version": "1.2.3", "websiteUrl": "https://example.com"});
    check("2024-11-05", "2024-11-05", plain.clone());
    check("2025-03-26", "2025-03-26", plain);
    check("2025-06-18", "2025-06-18", titled);
    check("2025-11-25", "2025-11-25", full.clone());
    check("2026-07-28", "2025-11-25", full.clone());
    check("tomorrow", "2025-11-25", full);
}

#[test]
fn lists_tools_by_view_and_revision() {
    let check = |view: View, expected: &[&str], scope: &str| {
        let (_, body) =
            answer(engine().handle(&mut Session::default(), view, None, message(&modern("tools/list", ""))));
        assert_eq!(names(&body), expected);
        assert_eq!(body["result"]["cacheScope"], scope);
        for revision in LEGACY {
            let mut session = session(revision.as_str());
            let (_, body) =
                answer(engine().handle(&mut session, view, None, message(&legacy("tools/list", ""))));
            assert_eq!(names(&body), expected, "{revision}");
            assert!(body["result"].get("cacheScope").is_none());
        }
    };
    check(View::Full, &["look", "change", "route"], "private");
    check(View::ReadOnlyGrant, &["look", "route"], "private");
    check(View::ReadOnlyEndpoint, &["look", "route"], "public");
}

#[test]
fn a_tool_has_what_its_revision_has() {
    let check = |version: &str, expected: &[&str]| {
        let mut session = session(version);
        let (_, body) =
            answer(engine().handle(&mut session, View::Full, None, message(&legacy("tools/list", ""))));
        let members: Vec<_> = body["result"]["tools"][0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, expected, "{version}");
    };
    check("2024-11-05", &["name", "description", "inputSchema"]);
    check("2025-03-26", &["name", "description", "inputSchema", "annotations"]);
    let full = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"];
    check("2025-06-18", &full);
    check("2025-11-25", &full);
}

#[test]
fn finishes_a_call_as_its_revision_wants() {
    let check = |session: &mut Session, text: &str, expected: Value| {
        let Step::Call(call) = engine().handle(session, View::Full, None, message(text)) else {
            panic!("{text}")
        };
        let Target::Tool { index: 0, name: "look", arguments } = &call.target else { panic!("{call:?}") };
        assert_eq!(arguments["q"], "x");
        assert_eq!(call.peer.client.name, "c");
        let structured = "{\"a\":\"\\\"\\\\ü\\n\"}".to_owned();
        let meta = Some(r#" {"com.chaterimo/quota":{"left":3}} "#.to_owned());
        let body = call.finish(Outcome::Done(Output { structured, meta })).body;
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["result"], expected);
    };
    let content = json!([{"type": "text", "text": "{\"a\":\"\\\"\\\\ü\\n\"}"}]);
    let structured = json!({"a": "\"\\ü\n"});
    let quota = json!({"left": 3});
    let server =
        json!({"name": "shop", "title": "Shop", "version": "1.2.3", "websiteUrl": "https://example.com"});
    check(
        &mut Session::default(),
        &modern("tools/call", r#""name":"look","arguments":{"q":"x"}"#),
        json!({"resultType": "complete", "content": content, "structuredContent": structured,
            "_meta": {"io.modelcontextprotocol/serverInfo": server, "com.chaterimo/quota": quota}}),
    );
    for revision in LEGACY {
        let mut expected = json!({"content": content, "_meta": {"com.chaterimo/quota": quota}});
        if revision.has_structured_content() {
            expected["structuredContent"] = structured.clone();
        }
        let text = legacy("tools/call", r#""name":"look","arguments":{"q":"x"}"#);
        check(&mut session(revision.as_str()), &text, expected);
    }
}

#[test]
fn refuses_in_words() {
    let refuse = |session: &mut Session, text: &str| {
        let Step::Call(call) = engine().handle(session, View::Full, None, message(text)) else {
            panic!("{text}")
        };
        let refusal = Refusal {
            code: "quota_exceeded",
            message: "No calls are left today.".into(),
            data: Some(json!({"retry_after_s": 9})),
            meta: Some(r#"{"com.chaterimo/quota":1}"#.into()),
        };
        serde_json::from_slice::<Value>(&call.finish(Outcome::Refused(refusal)).body).unwrap()
    };
    let body = refuse(&mut session("2025-11-25"), &legacy("tools/call", r#""name":"look""#));
    assert_eq!(
        body["result"],
        json!({
            "content": [{"type": "text", "text": "quota_exceeded: No calls are left today."}],
            "isError": true,
            "_meta": {"com.chaterimo/quota": 1, "com.chaterimo/error": {"retry_after_s": 9, "code": "quota_exceeded"}},
        })
    );
    let body = refuse(&mut Session::default(), &modern("tools/call", r#""name":"look""#));
    assert_eq!(body["result"]["resultType"], "complete");
    assert_eq!(body["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "shop");

    let call = legacy("tools/call", r#""name":"look""#);
    let Step::Call(call) = engine().handle(&mut session("2025-11-25"), View::Full, None, message(&call))
    else {
        panic!("a call")
    };
    let response = call.finish(Outcome::Fault(Fault::new(200, rpc::INTERNAL_ERROR, "It broke.")));
    assert_eq!(response.status, 200);
    let expected = json!({"jsonrpc": "2.0", "id": 0, "error": {"code": -32603, "message": "It broke."}});
    assert_eq!(serde_json::from_slice::<Value>(&response.body).unwrap(), expected);
}

#[test]
fn every_wrong_modern_request_has_its_code() {
    let ok = headers("tools/call", Some("look"));
    let call = modern("tools/call", r#""name":"look""#);
    let check = |headers: &McpHeaders<'_>, text: &str, status: u16, code: i64| {
        let step = engine().handle(&mut Session::default(), View::Full, Some(headers), message(text));
        let (got, body) = answer(step);
        assert_eq!((got, body["error"]["code"].as_i64()), (status, Some(code)), "{text} {headers:?}\n{body}");
        assert_eq!(body["id"], "a");
        body
    };
    // (b) the metadata
    let bare =
        |params: &str| format!(r#"{{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{{{params}}}}}"#);
    let version = |v: &str| format!(r#""io.modelcontextprotocol/protocolVersion":{v}"#);
    let able = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
    check(&ok, &bare(""), 400, -32602);
    check(&ok, &bare(r#""_meta":[]"#), 400, -32602);
    check(&ok, &bare(&format!(r#""_meta":{{{}}}"#, version("\"2026-07-28\""))), 400, -32602);
    check(&ok, &bare(&format!(r#""_meta":{{{},{able}}}"#, version("1"))), 400, -32602);
    check(&ok, &bare(&format!(r#""_meta":{{{able}}}"#)), 400, -32602);
    let client = r#""io.modelcontextprotocol/clientInfo":1"#;
    check(&ok, &bare(&format!(r#""_meta":{{{},{able},{client}}}"#, version("\"2026-07-28\""))), 400, -32602);
    // (c) the headers
    check(&McpHeaders { protocol_version: None, ..ok }, &call, 400, -32020);
    check(&McpHeaders { protocol_version: Some("2025-11-25"), ..ok }, &call, 400, -32020);
    check(&McpHeaders { method: None, ..ok }, &call, 400, -32020);
    check(&McpHeaders { method: Some("tools/list"), ..ok }, &call, 400, -32020);
    check(&McpHeaders { name: None, ..ok }, &call, 400, -32020);
    check(&McpHeaders { name: Some("change"), ..ok }, &call, 400, -32020);
    check(&McpHeaders { name: Some("=?base64?###?="), ..ok }, &call, 400, -32020);
    // (d) the version, after headers that agree
    let future = McpHeaders { protocol_version: Some("2027-01-01"), ..ok };
    let body =
        check(&future, &bare(&format!(r#""_meta":{{{},{able}}}"#, version("\"2027-01-01\""))), 400, -32022);
    assert_eq!(body["error"]["data"]["requested"], "2027-01-01");
    assert_eq!(body["error"]["data"]["supported"][0], "2026-07-28");
    assert_eq!(body["error"]["data"]["supported"].as_array().unwrap().len(), 5);
    // (e) the method, and what a method of ours finds wrong
    for method in ["initialize", "ping", "logging/setLevel", "resources/list", "nope", "subscriptions/listen"]
    {
        check(&headers(method, None), &modern(method, ""), 404, -32601);
    }
    check(&headers("tools/call", Some("none")), &modern("tools/call", r#""name":"none""#), 200, -32602);
    check(&headers("tools/call", None), &modern("tools/call", ""), 200, -32602);
    check(&ok, &modern("tools/call", r#""name":"look","arguments":[]"#), 200, -32602);
    check(&headers("tools/list", None), &modern("tools/list", r#""cursor":"x""#), 200, -32602);
}

#[test]
fn headers_are_compared_decoded() {
    let engine = engine();
    let check = |params: &[(&str, &str)], arguments: &str, expected: u16| {
        let headers = McpHeaders { name: Some("=?base64?cm91dGU=?="), params, ..headers("tools/call", None) };
        let text = modern("tools/call", &format!(r#""name":"route","arguments":{{{arguments}}}"#));
        let (status, body) =
            answer(engine.handle(&mut Session::default(), View::Full, Some(&headers), message(&text)));
        assert_eq!(status, expected, "{params:?} {arguments}: {body}");
    };
    check(&[], "", 200);
    check(&[], r#""region":null"#, 200);
    check(&[("region", "us-west1")], r#""region":"us-west1""#, 200);
    check(&[("Region", "=?base64?w7w=?=")], r#""region":"ü""#, 200);
    check(&[("Region", "ü")], r#""region":"ü""#, 400);
    check(&[], r#""region":"us-west1""#, 400);
    check(&[("Region", "eu"), ("region", "us-west1")], r#""region":"us-west1""#, 400);
    check(&[("Floor", "42.0")], r#""at":{"floor":42}"#, 200);
    check(&[("Floor", "43")], r#""at":{"floor":42}"#, 400);
    check(&[("Floor", "x")], r#""at":{"floor":42}"#, 400);
    check(&[("Urgent", "true")], r#""urgent":true"#, 200);
    check(&[("Urgent", "True")], r#""urgent":true"#, 400);
    check(&[("Elsewhere", "x")], "", 200);
}

#[test]
fn every_wrong_legacy_request_has_its_code() {
    let check = |session: &mut Session, version: Option<&str>, text: &str, status: u16, code: i64| {
        let headers = McpHeaders { protocol_version: version, ..McpHeaders::default() };
        let (got, body) = answer(engine().handle(session, View::Full, Some(&headers), message(text)));
        assert_eq!((got, body["error"]["code"].as_i64()), (status, Some(code)), "{text}\n{body}");
    };
    let list = legacy("tools/list", "");
    check(&mut Session::default(), None, &list, 400, -32602);
    check(&mut Session::default(), Some("2025-11-25"), &list, 400, -32602);
    check(&mut Session::default(), None, &legacy("ping", ""), 400, -32602);
    check(&mut Session::default(), None, &legacy("initialize", ""), 200, -32602);
    let ready = || session("2025-06-18");
    check(&mut ready(), Some("2025-01-01"), &list, 400, -32022);
    check(&mut ready(), Some("x"), &list, 400, -32022);
    check(&mut ready(), None, &legacy("server/discover", ""), 200, -32601);
    check(&mut ready(), None, &legacy("resources/list", ""), 200, -32601);
    check(&mut ready(), None, &legacy("logging/setLevel", ""), 200, -32601);
    check(&mut ready(), None, &legacy("tools/call", r#""name":"none""#), 200, -32602);
    check(&mut ready(), None, &legacy("tools/list", r#""cursor":"x""#), 200, -32602);
    // A modern version header makes a request modern, and then its metadata is missing.
    check(&mut ready(), Some("2026-07-28"), &list, 400, -32602);
}

#[test]
fn a_legacy_session_answers_before_it_is_ready_and_without_a_version_header() {
    let check = |session: &mut Session, headers: Option<&McpHeaders<'_>>, text: &str, expected: u16| {
        assert_eq!(
            answer(engine().handle(session, View::Full, headers, message(text))).0,
            expected,
            "{text}"
        );
    };
    let none = McpHeaders::default();
    let other = McpHeaders { protocol_version: Some("2025-11-25"), ..none };
    for headers in [None, Some(&none), Some(&other)] {
        check(&mut session("2025-06-18"), headers, &legacy("tools/list", ""), 200);
        check(&mut session("2025-06-18"), headers, &legacy("ping", ""), 200);
    }
    check(&mut Session::default(), None, &legacy("ping", ""), 200);
    check(&mut Session::default(), None, &legacy("tools/list", r#""cursor":null"#), 400);
    // The modern era needs no session, and leaves one alone.
    let mut kept = session("2025-06-18");
    check(&mut kept, None, &modern("tools/list", ""), 200);
    assert_eq!(kept, session("2025-06-18"));
}

#[test]
fn a_write_tool_is_unknown_at_the_read_only_endpoint_alone() {
    let text = modern("tools/call", r#""name":"change""#);
    let handle = |view: View| engine().handle(&mut Session::default(), view, None, message(&text));
    assert!(matches!(handle(View::Full), Step::Call(call) if call.name() == "change"));
    assert!(matches!(handle(View::ReadOnlyGrant), Step::Call(_)));
    let (status, body) = answer(handle(View::ReadOnlyEndpoint));
    assert_eq!((status, body["error"]["code"].as_i64()), (200, Some(-32602)));
    assert!(body["error"]["message"].as_str().unwrap().contains("lives at the full endpoint"));
}

#[test]
fn notifications_and_answers_are_never_answered() {
    let check =
        |session: &mut Session, headers: Option<&McpHeaders<'_>>, text: &str, expected: (u16, Value)| {
            let (status, body) = answer(engine().handle(session, View::Full, headers, message(text)));
            let code = body["error"]["code"].as_i64().map_or(body, Value::from);
            assert_eq!((status, code), expected, "{text}");
        };
    let http = McpHeaders::default();
    let modern_http = headers("notifications/cancelled", None);
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"x"}}"#;
    let odd = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}"#;
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    let unknown = r#"{"jsonrpc":"2.0","method":"notifications/odd"}"#;
    let none = (202, Value::Null);
    let mut ready = session("2025-06-18");
    check(&mut ready, Some(&http), cancel, (202, json!({"cancel": "x"})));
    check(&mut Session::default(), None, cancel, (202, json!({"cancel": "x"})));
    check(&mut Session::default(), Some(&modern_http), cancel, none.clone());
    check(&mut ready, None, odd, none.clone());
    check(&mut ready, Some(&http), unknown, none.clone());
    check(&mut ready, Some(&http), response, (202, json!({"resume": 1})));
    check(&mut Session::default(), None, r#"{"jsonrpc":"2.0","error":{"code":1,"message":"x"}}"#, none);
    // On HTTP, one that cannot be taken is refused by status; the error has no id.
    check(&mut Session::default(), Some(&http), unknown, (400, json!(-32602)));
    check(&mut Session::default(), Some(&modern_http), response, (400, json!(-32600)));
}

#[test]
fn batches_only_where_the_revision_has_them() {
    let check = |session: &Session, messages: &[&str], expected: bool| {
        let batch: Vec<_> = messages.iter().map(|text| message(text)).collect();
        assert_eq!(engine().accepts_batch(session, &batch).is_ok(), expected, "{session:?}");
    };
    let list = legacy("tools/list", "");
    let open = legacy("initialize", "");
    check(&session("2025-03-26"), &[&list], true);
    check(&session("2025-03-26"), &[&list, &open], false);
    check(&session("2025-03-26"), &[list.as_str(); 51], false);
    check(&session("2024-11-05"), &[&list], false);
    check(&session("2025-06-18"), &[&list], false);
    check(&Session::default(), &[&list], false);
    let fault = |code| Fault::new(200, code, "x").reply(None);
    let joined = rpc::join(&[fault(-1), fault(-2)]);
    let body: Value = serde_json::from_slice(&joined.body).unwrap();
    assert_eq!(body[1]["error"]["code"], -2);
}
