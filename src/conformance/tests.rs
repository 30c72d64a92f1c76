//! Servers that do everything wrong, so that each family of checks is known to be able to fail.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::client::testing::{TestBody, serve, whole};
use crate::peer::{Options, Target};
use crate::protocol::revision::Revision;

mod limits;

/// What was found broken, and what was come to at all.
async fn broken(target: Target, revision: Revision, only: &[&str]) -> BTreeSet<&'static str> {
    let report = run(plan(target, revision, only), |_| {}).await.unwrap();
    report
        .findings
        .iter()
        .filter(|finding| !finding.outcome.is_well())
        .map(|finding| finding.check.id)
        .collect()
}

fn plan(target: Target, revision: Revision, only: &[&str]) -> Plan {
    let options = Options { patience: Duration::from_secs(2), ..Options::new(target) };
    let only = only.iter().map(|id| (*id).to_owned()).collect();
    Plan { options, other: None, revisions: vec![revision], only, calls: Calls::new() }
}

fn check(found: &BTreeSet<&'static str>, expected: &[&str]) {
    let missed: Vec<_> = expected.iter().filter(|id| !found.contains(*id)).collect();
    assert!(missed.is_empty(), "not found to be broken: {missed:?}; found: {found:?}");
}

/// An answer to every request, right or wrong, whose id is always a text.
fn answer(request: &Request<Bytes>, count: usize) -> Response<TestBody> {
    let body: Value = match serde_json::from_slice(request.body()) {
        Ok(body) => body,
        Err(_) => return whole(200, "text/html", "<p>Welcome"),
    };
    let body = if body.is_array() { body[0].clone() } else { body };
    let id = match &body["id"] {
        Value::Number(number) if body["method"] != "server/discover" && body["method"] != "ping" => {
            json!(number)
        }
        id => json!(id.to_string()),
    };
    let result = result(&body, count);
    let message =
        json!({"jsonrpc": "2.0", "id": if count == 0 { body["id"].clone() } else { id }, "result": result});
    let mut response = whole(200, "application/json", message.to_string());
    if body["method"] == "initialize" {
        response = whole(
            200,
            "application/json",
            json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string(),
        );
        response.headers_mut().insert("mcp-session-id", "one for all".parse().unwrap());
    }
    response
}

fn result(body: &Value, count: usize) -> Value {
    let everything = json!({"tools": {"listChanged": true}, "resources": {}, "prompts": {}, "completions": {}, "logging": {},
        "extensions": {"io.modelcontextprotocol/tasks": {}}});
    let schema = json!({"type": "objekt"});
    match body["method"].as_str().unwrap_or_default() {
        "server/discover" => {
            json!({"capabilities": everything, "supportedVersions": ["2025-11-25"], "ttlMs": -1})
        }
        "initialize" => json!({
            "capabilities": everything,
            "protocolVersion": body["params"]["protocolVersion"],
            "serverInfo": {"name": "bad", "version": "0"},
        }),
        "tools/list" => {
            let tool = |name: &str| {
                json!({
                    "name": name, "inputSchema": schema, "outputSchema": {"type": "object"},
                    "annotations": {"readOnlyHint": true},
                })
            };
            let marked = json!({
                "name": format!("odd name {count}"),
                "inputSchema": {"type": "object", "required": ["a"], "properties": {"a": {"type": "number", "x-mcp-header": "A"}}},
                "annotations": {"readOnlyHint": true},
            });
            json!({"tools": [tool("same"), tool("same"), marked], "nextCursor": "again"})
        }
        "tools/call" => json!({"content": [{"type": "text", "text": "?"}], "structuredContent": []}),
        "resources/list" => {
            json!({"resources": [{"uri": "no-scheme", "name": "a"}, {"uri": "no-scheme", "name": "a"}]})
        }
        "resources/templates/list" => json!({"resourceTemplates": [{"name": "a"}]}),
        "resources/read" => json!({"contents": [{"uri": "a", "blob": "&&"}]}),
        "prompts/list" => {
            let asking = json!({"name": "b", "arguments": [{"name": "a", "required": true}]});
            json!({"prompts": [{"name": "a"}, {"name": "a"}, asking]})
        }
        "prompts/get" => json!({"messages": [{"role": "nobody"}]}),
        "completion/complete" => json!({"completion": {"values": vec!["a"; 101]}}),
        "tasks/get" => json!({"resultType": "task"}),
        _ => json!({"pong": true}),
    }
}

async fn bad_server() -> String {
    let count = AtomicUsize::new(0);
    let origin = serve(move |request: Request<Bytes>| {
        let response = answer(&request, count.fetch_add(1, Ordering::Relaxed));
        async move { response }
    })
    .await;
    format!("{origin}/mcp")
}

#[tokio::test]
async fn a_modern_server_that_does_everything_wrong_is_found_out() {
    let found = broken(Target::Url(bad_server().await), Revision::V2026_07_28, &[]).await;
    check(
        &found,
        &[
            "discover.supported-versions",
            "version.unsupported",
            "meta.missing",
            "meta.missing-capabilities",
            "removed.ping",
            "rpc.ids",
            "rpc.unknown-method",
            "rpc.unknown-method-status",
            "rpc.parse-error",
            "rpc.parse-error-status",
            "rpc.invalid-request",
            "rpc.notification",
            "rpc.no-batch",
            "tools.list.unique-names",
            "tools.list.names",
            "tools.list.input-schema",
            "tools.list.order",
            "tools.list.pages",
            "tools.list.bad-cursor",
            "tools.list.header-names",
            "tools.call.structured",
            "tools.call.text-too",
            "tools.call.unknown",
            "tools.call.missing-argument",
            "resources.list.uris",
            "resources.list.unique-uris",
            "resources.list.bad-cursor",
            "resources.templates",
            "resources.read",
            "resources.read.unknown",
            "prompts.list.unique-names",
            "prompts.get",
            "prompts.get.unknown",
            "prompts.get.missing-argument",
            "completion.answers",
            "completion.unknown",
            "caching.fields",
            "headers.version-mismatch",
            "headers.method-mismatch",
            "headers.method-missing",
            "headers.method-case",
            "headers.name-mismatch",
            "headers.name-missing",
            "headers.name-base64-mismatch",
            "http.foreign-origin",
            "http.foreign-host",
            "listen.acknowledged",
            "listen.stream",
            "listen.filter",
            "wire.schema",
            "wire.result-type",
            "wire.server-info",
            "logging.invalid-level-of-request",
            "tasks.undeclared",
            "tasks.unknown",
            "tasks.unknown-changed",
            "wire.no-undeclared-results",
        ],
    );
}

#[tokio::test]
async fn a_legacy_server_that_does_everything_wrong_is_found_out() {
    let found = broken(Target::Url(bad_server().await), Revision::V2025_11_25, &[]).await;
    check(
        &found,
        &[
            "initialize.unknown-version",
            "initialize.version-not-served",
            "ping.answers",
            "logging.invalid-level",
            "rpc.ids",
            "resources.read.not-found",
            "http.notification",
            "http.get",
            "http.version-header",
            "session.id",
            "session.unique",
            "session.unknown",
            "session.ended",
            "wire.schema",
        ],
    );
}

#[tokio::test]
async fn what_stands_in_a_stream_is_looked_at() {
    let url = serve(|request: Request<Bytes>| async move {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let result = json!({
            "capabilities": {}, "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "public",
            "resultType": "input_required", "inputRequests": {"a": {"method": "roots/list"}},
        });
        let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}});
        let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "roots/list"});
        let end = match body["method"].as_str() {
            Some("server/discover") => json!({"jsonrpc": "2.0", "id": body["id"], "result": result}),
            _ => json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32002, "message": "no"}}),
        };
        whole(200, "text/event-stream", format!("data: hello\n\ndata: {log}\n\ndata: {ask}\n\ndata: {end}\n\n"))
    })
    .await;
    let found = broken(Target::Url(url), Revision::V2026_07_28, &["rpc", "wire"]).await;
    check(
        &found,
        &[
            "wire.no-requests",
            "wire.error-codes",
            "wire.null-id",
            "wire.no-unasked-logs",
            "wire.no-undeclared-input",
            "wire.events",
            "wire.stream-unbuffered",
        ],
    );
}

#[tokio::test]
async fn a_process_that_does_everything_wrong_is_found_out() {
    let script = r#"echo starting; while read -r line; do
        id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
        case "$line" in *initialize\"*) result='{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"a","version":"1"}}';;
            *ping*) result='{}';; *{*) continue;; *) exit 1;; esac
        echo '{"jsonrpc":"2.0","id":'"$id"',"result":'"$result"'}'; done"#;
    let command = ["sh", "-c", script].map(OsString::from).to_vec();
    let only = ["stdio.messages-only", "stdio.garbage"];
    let found = broken(Target::Command(command), Revision::V2025_11_25, &only).await;
    check(&found, &only);
}

#[tokio::test]
async fn a_server_that_lets_nobody_in_cannot_be_tested() {
    let url = serve(|_| async { whole(401, "text/plain", "") }).await;
    let plan = Plan {
        options: Options::new(Target::Url(url)),
        other: None,
        revisions: vec![Revision::MODERN, Revision::LAST_LEGACY],
        only: Vec::new(),
        calls: Calls::new(),
    };
    let error = run(plan, |_| {}).await.err().unwrap();
    assert!(error.public.contains("401") && error.public.contains("--header"), "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_cannot_be_tested() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let process = ["sh", "-c", "echo hello; echo starting >&2; cat >/dev/null"].map(OsString::from);
    let told = " It says on stderr:\n  starting";
    for (target, told) in [(Target::Url(url), ""), (Target::Command(process.to_vec()), told)] {
        let second = Duration::from_secs(1);
        let options = Options { patience: second, first: second, ..Options::new(target) };
        let revisions = vec![Revision::MODERN, Revision::LAST_LEGACY, Revision::V2025_06_18];
        let plan = Plan { options, other: None, revisions, only: Vec::new(), calls: Calls::new() };
        let error = run(plan, |_| {}).await.err().unwrap();
        let wanted = "The server did not answer server/discover within 1 s, nor initialize within 1 s; --timeout waits \
                      longer.";
        assert_eq!(error.public, format!("{wanted}{told}"));
    }
}

#[test]
fn every_family_is_known_to_be_able_to_fail() {
    let here = include_str!("tests.rs");
    let elsewhere = ["identity", "auth"];
    let families: BTreeSet<_> = checks::all().filter_map(|check| check.id.split('.').next()).collect();
    for family in families.into_iter().filter(|family| !elsewhere.contains(family)) {
        let found = here.contains(&format!("\"{family}."));
        assert!(found || family == "capabilities", "no test of {family}.…");
    }
}
