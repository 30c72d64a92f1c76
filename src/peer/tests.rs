use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::client::testing::{serve, whole};

fn dialler(url: &str) -> Dialler {
    let options = Options { patience: Duration::from_secs(5), ..Options::new(Target::Url(url.into())) };
    Dialler::new(options).unwrap()
}

fn shell(script: &str) -> Dialler {
    let command = ["sh", "-c", script].map(OsString::from).to_vec();
    let options = Options { patience: Duration::from_secs(5), ..Options::new(Target::Command(command)) };
    Dialler::new(options).unwrap()
}

fn body_of(request: &Request<Bytes>) -> Value {
    serde_json::from_slice(request.body()).unwrap_or_default()
}

#[tokio::test]
async fn a_modern_request_says_all_about_itself() {
    let url = serve(|request| {
        let names = ["mcp-protocol-version", "mcp-method", "mcp-name"];
        let headers = names.map(|name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()));
        let body = body_of(&request);
        let answer = json!({"jsonrpc": "2.0", "id": body["id"], "result": {"headers": headers, "meta": body["params"]["_meta"]}});
        async move { whole(200, "application/json", answer.to_string()) }
    })
    .await;
    let mut peer = dialler(&url).dial().unwrap();
    peer.speak_modern("2026-07-28", json!({"x": {}}));
    let asked = peer.ask("tools/call", json!({"name": "ü"})).await.unwrap();
    let result = asked.result().unwrap();
    assert_eq!(result["headers"], json!(["2026-07-28", "tools/call", "=?base64?w7w=?="]));
    assert_eq!(result["meta"]["io.modelcontextprotocol/clientCapabilities"], json!({"x": {}}));
    assert_eq!((asked.status, asked.end), (Some(200), End::Whole));
}

#[tokio::test]
async fn a_legacy_session_is_opened_kept_and_ended() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let url = serve(move |request: Request<Bytes>| {
        let body = body_of(&request);
        let field = |name| request.headers().get(name).map_or("-", |value| value.to_str().unwrap());
        let line = format!(
            "{} {} {} {}",
            request.method(),
            field("mcp-session-id"),
            field("mcp-protocol-version"),
            body["method"].as_str().unwrap_or("-")
        );
        noted.lock().unwrap().push(line);
        let answer = match body["method"].as_str() {
            Some("initialize") => {
                let result = json!({"protocolVersion": "2025-06-18"});
                let text = json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string();
                let mut answer = whole(200, "application/json", text);
                answer.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
                answer
            }
            Some(method) if body.get("id").is_some() => whole(
                200,
                "text/event-stream",
                format!(
                    "data: {}\n\n",
                    json!({"jsonrpc": "2.0", "id": body["id"], "result": {"was": method}})
                ),
            ),
            _ => whole(202, "text/plain", ""),
        };
        async move { answer }
    })
    .await;
    let mut peer = dialler(&url).dial().unwrap();
    peer.shake_hands("2025-11-25", json!({})).await.unwrap();
    assert_eq!(peer.ask("tools/list", Value::Null).await.unwrap().result().unwrap()["was"], "tools/list");
    assert_eq!(peer.close(Duration::from_secs(1)).await, None);
    let expected = [
        "POST - - initialize",
        "POST s1 2025-06-18 notifications/initialized",
        "POST s1 2025-06-18 tools/list",
        "DELETE s1 2025-06-18 -",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn all_that_came_on_the_way_is_given_and_requests_are_refused() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = seen.clone();
    let url = serve(move |request: Request<Bytes>| {
        let body = body_of(&request);
        let answer = if body.get("method").is_some() {
            let stream = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n\
                          data: {\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":\"sampling/createMessage\"}\n\n\
                          data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n";
            whole(200, "text/event-stream", stream)
        } else {
            noted.lock().unwrap().push(body["error"]["code"].clone());
            whole(202, "text/plain", "")
        };
        async move { answer }
    })
    .await;
    let mut peer = dialler(&url).dial().unwrap();
    let asked = peer.ask("tools/call", json!({"name": "x"})).await.unwrap();
    assert_eq!(asked.messages.len(), 3);
    assert_eq!(asked.result(), Some(&json!({})));
    assert_eq!(*seen.lock().unwrap(), [json!(-32601)]);
}

#[tokio::test]
async fn raw_bytes_and_headers_go_out_as_they_are() {
    let url = serve(|request: Request<Bytes>| async move {
        let shown = format!("{} {:?} {:?}", request.method(), request.headers().get("host"), request.body());
        let mut answer: Response<_> = whole(418, "text/plain", shown);
        answer.headers_mut().insert(CONTENT_TYPE, "Text/Plain; charset=utf-8".parse().unwrap());
        answer
    })
    .await;
    let mut peer = dialler(&url).dial().unwrap();
    let raw =
        Raw { method: "PUT".into(), ..Raw::default() }.with("host", "evil.example").with_body("{nonsense");
    let heard = peer.raw(raw).await.unwrap();
    assert_eq!(String::from_utf8(heard.body.clone()).unwrap(), r#"PUT Some("evil.example") b"{nonsense""#);
    assert_eq!((heard.status, heard.media_type().as_str()), (Some(418), "text/plain"));
    assert!(heard.answer.is_none() && heard.messages.is_empty());
}

#[tokio::test]
async fn a_redirect_is_followed_within_its_origin_alone() {
    let seen = Arc::new(Mutex::new(0));
    let noted = seen.clone();
    let elsewhere = serve(move |_| {
        *noted.lock().unwrap() += 1;
        async { whole(200, "text/plain", "") }
    })
    .await;
    let here = serve(move |request: Request<Bytes>| {
        let query = request.uri().query().map(|to| to.replace("ELSEWHERE", &elsewhere));
        let said = format!("{} {}", request.method(), String::from_utf8_lossy(request.body()));
        let answer = match (request.uri().path(), query) {
            ("/mcp", Some(query)) => {
                let (status, to) = query.split_once(',').unwrap();
                let mut answer = whole(status.parse().unwrap(), "text/plain", "");
                answer.headers_mut().insert("location", to.parse().unwrap());
                answer
            }
            (path, _) => whole(200, "text/plain", format!("{said} at {path}")),
        };
        async move { answer }
    })
    .await;
    let check = async |to: &str, status: u16, body: &str| {
        let mut peer = dialler(&format!("{here}/mcp?{to}")).dial().unwrap();
        let raw = Raw { method: "POST".into(), ..Raw::default() }.with_body("{}");
        let heard = peer.raw(raw).await.unwrap();
        let came = String::from_utf8(heard.body.clone()).unwrap();
        assert_eq!((heard.status, &*came), (Some(status), body), "{to}");
        assert_eq!(heard.sent.url.is_some(), status == 200 || to.contains('?'), "{to}");
    };
    check("307,/mcp/", 200, "POST {} at /mcp/").await;
    check("308,/mcp/", 200, "POST {} at /mcp/").await;
    check(&format!("307,{here}/x"), 200, "POST {} at /x").await;
    check("302,/mcp/", 302, "").await;
    check("307,ELSEWHERE/mcp", 307, "").await;
    check("307,https://127.0.0.1/mcp", 307, "").await;
    check("307,/mcp?307,/mcp/", 307, "").await;
    assert_eq!(*seen.lock().unwrap(), 0, "credentials would have gone elsewhere");
}

#[test]
fn ids_of_another_type_are_the_same() {
    let check = |one: Value, other: Value, expected: bool| {
        assert_eq!((same_id(&one, &other), same_id(&other, &one)), (expected, expected), "{one} {other}");
    };
    check(json!(7), json!(7), true);
    check(json!(7), json!("7"), true);
    check(json!(7), json!(7.0), true);
    check(json!("a-1"), json!("a-1"), true);
    check(json!(7), json!("8"), false);
    check(json!(7), json!("\"7\""), false);
    check(json!("a-1"), json!(1), false);
    check(json!(0), Value::Null, false);
    check(json!(1), json!(true), false);
}

#[tokio::test]
async fn requests_have_a_number() {
    let url = serve(|_| async { whole(202, "text/plain", "") }).await;
    let options = Options { max_requests: 2, ..Options::new(Target::Url(url)) };
    let dialler = Dialler::new(options).unwrap();
    for expected in [true, true, false] {
        assert_eq!(dialler.dial().unwrap().tell("x", Value::Null).await.is_ok(), expected);
    }
}

#[tokio::test]
async fn a_process_is_asked_line_by_line_and_ends_with_its_stdin() {
    let dialler = shell(
        r#"echo hello; while read -r line; do
             echo '{"jsonrpc":"2.0","method":"notifications/progress"}'
             echo '{"jsonrpc":"2.0","id":1,"result":{}}'
           done; echo bye >&2"#,
    );
    let mut peer = dialler.dial().unwrap();
    let asked = peer.ask("ping", Value::Null).await.unwrap();
    assert_eq!(asked.result(), Some(&json!({})));
    assert_eq!(asked.messages.len(), 2);
    assert_eq!(peer.strays(), ["hello"]);
    assert_eq!(peer.close(Duration::from_secs(5)).await, Some(true));
}

#[tokio::test]
async fn a_process_that_is_gone_is_told_apart_from_one_that_is_silent() {
    let check = async |script: &str, patience: u64, expected: End| {
        let command = ["sh", "-c", script].map(OsString::from).to_vec();
        let (patience, first) = (Duration::from_millis(patience), Duration::ZERO);
        let options = Options { patience, first, ..Options::new(Target::Command(command)) };
        let asked = Dialler::new(options).unwrap().dial().unwrap().ask("ping", Value::Null).await.unwrap();
        assert_eq!(asked.end, expected, "{script}");
    };
    check("read -r line; exit 3", 60_000, End::Broken).await;
    check("read -r line; exec sleep 60", 300, End::TimedOut).await;
    assert!(shell("true").dial().is_ok());
    assert!(Dialler::new(Options::new(Target::Command(vec!["/no/such".into()]))).unwrap().dial().is_err());
}

#[tokio::test]
async fn a_process_that_goes_on_and_on_is_broken_off() {
    let told = r#"'{"jsonrpc":"2.0","method":"notifications/message"}'"#;
    let mut options =
        Options::new(Target::Command(["sh", "-c", &format!("exec yes {told}")].map(OsString::from).to_vec()));
    options.patience = Duration::from_secs(60);
    let mut peer = Dialler::new(options).unwrap().dial().unwrap();
    let asked = peer.ask("ping", Value::Null).await.unwrap();
    assert!(asked.answer.is_none() && asked.end == End::TimedOut, "{:?}", asked.end);
    assert_eq!(asked.messages.len(), 10_000);
}

#[tokio::test]
async fn what_a_process_asks_before_it_is_asked_is_answered() {
    let dialler = shell(
        r#"echo '{"jsonrpc":"2.0","id":"s","method":"ping"}'; echo ready >&2
           while read -r line; do
             case $line in
               *'"id":"s"'*) answered=1;;
               *) echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"answered\":$answered}}";;
             esac
           done"#,
    );
    let mut peer = dialler.dial().unwrap();
    while peer.last_words().await.is_none() {} // Then it has asked.
    let asked = peer.ask("ping", Value::Null).await.unwrap();
    assert_eq!(asked.result(), Some(&json!({"answered": 1})));
}

#[tokio::test]
async fn a_server_that_goes_on_and_on_is_broken_off() {
    let told = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n";
    let url = serve(move |_| async move { whole(200, "text/event-stream", told.repeat(30_000)) }).await;
    let mut peer = dialler(&url).dial().unwrap();
    let asked = peer.ask("tools/list", json!({})).await.unwrap();
    assert!(asked.answer.is_none() && asked.end == End::Broken, "{:?}", asked.end);
    assert!((10_000..30_000).contains(&asked.messages.len()), "{}", asked.messages.len());
}
