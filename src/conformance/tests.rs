//! Servers that do things wrong, so that each check is known to be able to fail.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::client::testing::{TestBody, serve, whole};
use crate::peer::{Options, Target};
use crate::protocol::revision::Revision;

mod correct;
mod faults;
mod limits;
mod tasks;
mod unusual;

/// As many runs go on at once, for a machine may be slow, and an answer that comes late is judged as none.
static TURNS: Semaphore = Semaphore::const_new(3);
/// The longest to wait for servers that answer all the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was found broken.
async fn broken(target: Target, revision: Revision, only: &[&str]) -> BTreeSet<&'static str> {
    let _turn = TURNS.acquire().await.unwrap();
    let mut plan = plan(target, revision, only);
    // Some of them never answer.
    plan.options.patience = Duration::from_secs(4);
    let report = run(plan, |_| {}).await.unwrap();
    let broken = report.findings.iter().filter(|finding| !finding.outcome.is_well());
    let broken = broken.inspect(|finding| assert!(!finding.evidence.is_empty(), "{}", finding.check.id));
    broken.map(|finding| finding.check.id).collect()
}

fn plan(target: Target, revision: Revision, only: &[&str]) -> Plan {
    let options = Options { patience: PATIENCE, first: PATIENCE, ..Options::new(target) };
    let only = only.iter().map(|id| (*id).to_owned()).collect();
    Plan { options, other: None, revisions: vec![revision], only, calls: Calls::new() }
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
    let message = json!({"jsonrpc": "2.0", "id": id, "result": result});
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

/// One whose streams hold everything that they should not.
async fn bad_streams() -> String {
    serve(|request: Request<Bytes>| async move {
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
    .await
}

/// A process that does this with each line: `$line`, whose id is `$id`. What it says before is no message.
fn bad_process(does: &str, at_end: &str) -> Target {
    let script = format!(
        r#"echo starting; while read -r line; do
        id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p'); result='{{}}'
        case "$line" in *initialize\"*) result='{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":"a","version":"1"}}}}';;
            {does} esac
        echo '{{"jsonrpc":"2.0","id":'"$id"',"result":'"$result"'}}'; done; {at_end}"#
    );
    Target::Command(["sh", "-c", &script].map(OsString::from).to_vec())
}

/// All checks, in the server and revision that are seen to break them. Those of two identities and of a login have tests
/// of their own, with servers for them (`tests/it/conformance_identity`, `tests/it/conformance_login`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_check_was_seen_to_fail() {
    let (modern, legacy) = (Revision::V2026_07_28, Revision::V2025_11_25);
    let bad = || async { Target::Url(bad_server().await) };
    let dies = bad_process("*ping*) ;; *{*) continue;; *) exit 1;;", "");
    let (answers_some, stays) = (
        bad_process("*ping*[13579]}) ;; *) continue;;", ""),
        bad_process("*ping*) ;; *) continue;;", "sleep 9"),
    );
    let streams = Target::Url(bad_streams().await);
    let (everything, bad_modern, bad_legacy) = (&[][..], bad().await, bad().await);
    let found = tokio::join!(
        faults::found(),
        broken(bad_modern, modern, everything),
        broken(bad_legacy, legacy, everything),
        broken(streams, modern, &["rpc", "wire"]),
        broken(dies, legacy, &["stdio.messages-only", "stdio.garbage"]),
        broken(answers_some, legacy, &["stdio.side-by-side"]),
        broken(stays, legacy, &["stdio.ends"]),
        tasks::broken_rows(),
    );
    let seen: BTreeSet<_> = [found.0, found.1, found.2, found.3, found.4, found.5, found.6, found.7]
        .into_iter()
        .flatten()
        .collect();
    let elsewhere = |id: &str| id.starts_with("identity.");
    let unseen: Vec<_> =
        checks::all().map(|check| check.id).filter(|id| !elsewhere(id) && !seen.contains(id)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
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
    let told = " It printed \"hello\", which is no message. It says on stderr:\n  starting";
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

#[tokio::test]
async fn a_process_that_takes_any_message_is_found_out_by_each_row_alone() {
    let script = r#"while read -r line; do
        id=$(printf %s "$line" | sed -nE 's/.*"id":("[^"]*"|[0-9]+).*/\1/p')
        result='{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{},"ttlMs":0,"cacheScope":"private"}'
        echo '{"jsonrpc":"2.0","id":'"$id"',"result":'"$result"'}'; done"#;
    for only in ["rpc.other-version", "rpc.no-batch"] {
        let target = Target::Command(["sh", "-c", script].map(OsString::from).to_vec());
        let report = run(plan(target, Revision::V2026_07_28, &[only]), |_| {}).await.unwrap();
        assert_eq!(report.findings[0].outcome.word(), "warned", "{only}");
    }
}

#[tokio::test]
async fn a_process_that_chatters_all_the_time_is_judged_all_the_same() {
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
    let chatters =
        format!("*cancelled*) ( while sleep 0.1; do echo '{log}'; done ) & id=7;; *ping*) ;; *) continue;;");
    let mut plan = plan(bad_process(&chatters, ""), Revision::V2025_11_25, &["rpc.notification"]);
    plan.options.patience = Duration::from_secs(2);
    let report = run(plan, |_| {}).await.unwrap();
    assert_eq!(report.findings[0].outcome.word(), "failed", "{:?}", report.findings[0].outcome);
}

#[tokio::test]
async fn a_process_that_a_check_kills_is_started_anew_for_the_next() {
    let target = bad_process("*no-such-method*) exit 1;; *ping*) ;; *) continue;;", "");
    let only = ["ping", "rpc.unknown-method", "rpc.notification", "stdio.side-by-side"];
    let report = run(plan(target, Revision::V2025_11_25, &only), |_| {}).await.unwrap();
    let found: Vec<_> = report.findings.iter().map(|f| (f.check.id, f.outcome.word())).collect();
    let expected = [
        ("ping.answers", "passed"),
        ("rpc.unknown-method", "failed"),
        ("rpc.notification", "passed"),
        ("stdio.side-by-side", "passed"),
    ];
    assert_eq!(found, expected);
}
