use bytes::Bytes;
use hyper::{Request, Response};

use super::*;
use crate::client::testing::{TestBody, serve, streamed, whole};
use crate::peer::{Options, Target};

mod asked;

/// A client of both eras that asks a legacy server.
const RECORDED: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"stdio","endpoint":"full"}
{"at_ms":0,"from":"client","message":{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}
{"at_ms":1,"from":"server","message":{"jsonrpc":"2.0","id":0,"error":{"code":-32601,"message":"Method not found"}}}
{"at_ms":2,"from":"client","message":{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}}
{"at_ms":3,"from":"server","message":{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}}
{"at_ms":4,"from":"client","message":{"jsonrpc":"2.0","id":2,"method":"ping"}}
{"at_ms":5,"from":"server","message":{"jsonrpc":"2.0","id":2,"result":{}}}
{"at_ms":6,"from":"client","message":{"jsonrpc":"2.0","id":3,"method":"tools/list"}}
{"at_ms":7,"from":"server","message":{"jsonrpc":"2.0","id":3,"result":{"tools":[]}}}
"#;

async fn verified(lines: usize, target: Target) -> Result<Report> {
    let text: String = RECORDED.split_inclusive('\n').take(lines).collect();
    let dialler = Dialler::new(Options::new(target)).unwrap();
    verify(&Transcript::parse(&text).unwrap(), &dialler, &[]).await
}

async fn over_http(lines: usize, answer: impl Fn() -> Response<TestBody> + Send + Sync + 'static) -> String {
    let server = serve(move |_: Request<Bytes>| {
        let answer = answer();
        async move { answer }
    });
    let error = verified(lines, Target::Url(server.await)).await.unwrap_err();
    assert_eq!(error.kind.exit_code(), 2, "{error}");
    error.public
}

#[tokio::test]
async fn a_server_over_http_that_is_none_of_mcp_is_told_in_one_line() {
    let check = async |status: u16, kind: &'static str, body: &'static str, expected: &str| {
        let told =
            format!("The server speaks no MCP: it answers server/discover with {expected}. Look at the URL.");
        assert_eq!(over_http(7, move || whole(status, kind, body)).await, told);
        assert_eq!(over_http(3, move || whole(status, kind, body)).await, told);
    };
    let page = "<!doctype html>\n<html><head><title>Welcome to nginx!</title></head><body>…";
    check(200, "text/html; charset=utf-8", page, "HTTP 200 and text/html: \"Welcome to nginx!\"").await;
    check(404, "text/plain", "404 page not found\n", "HTTP 404 and text/plain: \"404 page not found\"").await;
    let api = r#"{"status":"ok"}"#;
    check(200, "application/json", api, r#"HTTP 200 and application/json: "{\"status\":\"ok\"}""#).await;
    check(200, "application/json", "[1]", "HTTP 200 and application/json: \"[1]\"").await;
    check(405, "text/plain", "", "HTTP 405 and an empty body").await;
    let events = "data: hello\n\ndata: {\"a\":1}\n\n";
    check(
        200,
        "text/event-stream",
        events,
        r#"HTTP 200 and text/event-stream: "data: hello data: {\"a\":1}""#,
    )
    .await;
    let moved = || {
        let mut answer = whole(302, "text/html", "<p>moved");
        answer.headers_mut().insert("location", "/sign-in".parse().unwrap());
        answer
    };
    assert!(over_http(7, moved).await.contains("with HTTP 302, which leads to \"/sign-in\"."));
    assert!(over_http(7, || whole(401, "text/plain", "no")).await.contains("lets nobody in"));
}

#[tokio::test]
async fn a_server_that_does_not_know_the_modern_era_in_its_own_words_is_compared() {
    let server = serve(|request: Request<Bytes>| async move {
        let message: Value = serde_json::from_slice(request.body()).unwrap();
        match message["method"].as_str() {
            Some("initialize") => whole(
                200,
                "application/json",
                serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": {"protocolVersion": "2025-11-25",
                    "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}})
                .to_string(),
            ),
            // What it says is no MCP again later is a difference, for it speaks it.
            _ => whole(400, "text/plain", "no session"),
        }
    });
    let report = verified(7, Target::Url(server.await)).await.unwrap();
    let lines: Vec<_> = report.differences.iter().map(|drift| drift.line).collect();
    assert_eq!(lines, [2, 6], "{:?}", report.differences);
}

#[tokio::test]
async fn a_server_that_keeps_sessions_by_now_is_told_them() {
    const SAID: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"http","endpoint":"full"}
{"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}}
{"at_ms":1,"from":"server","exchange":1,"http":{"status":200},"message":{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}}
{"at_ms":2,"from":"client","exchange":2,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":2,"method":"ping"}}
{"at_ms":3,"from":"server","exchange":2,"http":{"status":200},"message":{"jsonrpc":"2.0","id":2,"result":{}}}
"#;
    let server = serve(|request: Request<Bytes>| async move {
        let message: Value = serde_json::from_slice(request.body()).unwrap();
        let session = request.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        let result = match (message["method"].as_str(), session.as_deref()) {
            (Some("initialize"), None) => serde_json::json!({"protocolVersion": "2025-11-25"}),
            (Some("ping"), Some("s-1")) => serde_json::json!({}),
            (_, session) => return whole(400, "text/plain", format!("{session:?}")),
        };
        let answer = serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        let mut answer = whole(200, "application/json", answer.to_string());
        answer.headers_mut().insert("mcp-session-id", "s-1".parse().unwrap());
        answer
    });
    let dialler = Dialler::new(Options::new(Target::Url(server.await))).unwrap();
    let report = verify(&Transcript::parse(SAID).unwrap(), &dialler, &[]).await.unwrap();
    assert_eq!((report.messages, report.differences.len()), (2, 0), "{report:?}");
}

#[tokio::test]
async fn an_answer_that_the_recorder_could_not_hold_is_not_compared() {
    const TOO_LONG: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"http","endpoint":"full"}
{"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":1,"method":"tools/list"}}
{"at_ms":1,"from":"server","exchange":1,"http":{"status":200},"message":"[5000000 bytes]"}
"#;
    let check = async |status: u16, expected: usize| {
        let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}"#;
        let server = serve(move |_: Request<Bytes>| async move { whole(status, "application/json", answer) });
        let dialler = Dialler::new(Options::new(Target::Url(server.await))).unwrap();
        let report = verify(&Transcript::parse(TOO_LONG).unwrap(), &dialler, &[]).await.unwrap();
        assert_eq!((report.unanswered, report.differences.len()), (1, expected), "{report:?}");
    };
    check(200, 0).await;
    check(202, 1).await;
}

/// The recording of a client that knows the legacy era alone.
fn legacy() -> Transcript {
    let lines: Vec<_> = RECORDED.lines().filter(|line| !line.contains("\"id\":0")).collect();
    Transcript::parse(&lines.join("\n")).unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_ends_in_the_middle_is_told_once() {
    let answer = RECORDED.lines().find(|line| line.contains("serverInfo")).unwrap();
    let answer = serde_json::from_str::<Value>(answer).unwrap()["message"].to_string();
    let script = format!("read line; echo '{answer}'; read line; echo gone >&2; exit 1");
    let command = ["sh", "-c", &script].map(Into::into).to_vec();
    let dialler = Dialler::new(Options::new(Target::Command(command))).unwrap();
    let report = verify(&legacy(), &dialler, &[]).await.unwrap();
    let shown: Vec<_> = report.differences.iter().map(|drift| (drift.line, drift.now.clone())).collect();
    assert_eq!(shown, [(4, Some("the process ended: gone".into()))]);
    assert_eq!((report.messages, report.drifted, report.unsent), (2, 1, 1));
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_is_no_server_is_told_in_one_line() {
    let check = async |script: &str, expected: String| {
        let command = ["sh", "-c", script].map(Into::into).to_vec();
        let mut options = Options::new(Target::Command(command));
        options.patience = std::time::Duration::from_secs(3);
        options.first = options.patience;
        let error = verify(&legacy(), &Dialler::new(options).unwrap(), &[]).await.unwrap_err();
        assert_eq!((error.kind.exit_code(), error.public.as_str()), (2, &*expected), "{script}");
    };
    let says = |what: &str| {
        format!("The server speaks no MCP: it answers initialize with {what}. Look at the command.")
    };
    tokio::join!(
        check(
            "echo; echo Listening on 3000; cat >/dev/null",
            says("no message; it printed \"Listening on 3000\"")
        ),
        check(
            "echo '{\"level\":\"info\"}'; cat >/dev/null",
            says("no message; it printed \"{\\\"level\\\":\\\"info\\\"}\"")
        ),
        check("cat >/dev/null", says("nothing")),
        check("echo Usage: x", "The server ended before it answered. It printed \"Usage: x\".".into()),
        check("exit 0", "The server ended before it answered.".into()),
    );
    // One that never stops is not read for ever.
    check("exec yes", says("no message; it printed \"y\"")).await;
    check("exec yes '{}'", says("no message; it printed \"{}\"")).await;
}

#[tokio::test]
async fn what_was_taken_out_is_said_to_be_sent_as_a_placeholder() {
    const CALLS: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"http","endpoint":"full"}
{"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open","arguments":{"text":"for [email-1]"}}}}
{"at_ms":1,"from":"server","exchange":1,"http":{"status":200},"message":{"jsonrpc":"2.0","id":1,"result":{"ticket":"[token-1]"}}}
{"at_ms":2,"from":"client","exchange":2,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"look","arguments":{"ticket":"[token-1]"}}}}
{"at_ms":3,"from":"server","exchange":2,"http":{"status":200},"message":{"jsonrpc":"2.0","id":2,"result":{"ticket":"[token-1]"}}}
"#;
    let server = serve(|request: Request<Bytes>| async move {
        let message: Value = serde_json::from_slice(request.body()).unwrap();
        let arguments = &message["params"]["arguments"];
        let result = match (arguments["text"].as_str(), arguments["ticket"].as_str()) {
            (Some("for [email-1]"), _) => serde_json::json!({"ticket": "T-1", "error": "no address"}),
            (_, Some(ticket)) => serde_json::json!({"ticket": ticket}),
            _ => Value::Null,
        };
        let answer = serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        whole(200, "application/json", answer.to_string())
    });
    let dialler = Dialler::new(Options::new(Target::Url(server.await))).unwrap();
    let report = verify(&Transcript::parse(CALLS).unwrap(), &dialler, &[]).await.unwrap();
    let places: Vec<_> = report.differences.iter().map(|drift| (drift.line, &*drift.pointer)).collect();
    // What the server gave anew in its place is sent in its place, and is none.
    assert_eq!((places, report.redacted), (vec![(2, "/result/error")], BTreeSet::from([2])));
}

#[tokio::test]
async fn the_plain_form_of_a_secret_is_sent_again_and_the_newest_of_others() {
    const CALLS: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"http","endpoint":"full"}
{"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"open"}}}
{"at_ms":1,"from":"server","exchange":1,"http":{"status":200},"message":{"jsonrpc":"2.0","id":1,"result":["[token-1]","[token-1]","[token-1]","[token-2]","[token-2]"]}}
{"at_ms":2,"from":"client","exchange":2,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"look","arguments":["[token-1]","[token-2]"]}}}
{"at_ms":3,"from":"server","exchange":2,"http":{"status":200},"message":{"jsonrpc":"2.0","id":2,"result":{"sent":["a/b=","new"]}}}
"#;
    let server = serve(|request: Request<Bytes>| async move {
        let message: Value = serde_json::from_slice(request.body()).unwrap();
        let result = match &message["params"]["arguments"] {
            Value::Null => serde_json::json!(["a%2Fb%3D", "a/b=", "a%2fb%3d", "old", "new"]),
            arguments => serde_json::json!({"sent": arguments}),
        };
        let answer = serde_json::json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        whole(200, "application/json", answer.to_string())
    });
    let dialler = Dialler::new(Options::new(Target::Url(server.await))).unwrap();
    let report = verify(&Transcript::parse(CALLS).unwrap(), &dialler, &[]).await.unwrap();
    assert_eq!(report.drifted, 0, "{:?}", report.differences);
}
