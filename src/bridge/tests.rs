use hyper::{Request, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, DuplexStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use super::*;
use crate::client::testing::{TestBody, serve, streamed, whole};

/// A bridge in this process: what a client writes, and reads.
struct Wire {
    input: DuplexStream,
    output: tokio::io::Lines<BufReader<DuplexStream>>,
    bridge: JoinHandle<Result<()>>,
}

impl Wire {
    fn to(url: &str, api_key: Option<&str>) -> Wire {
        let (input, theirs) = tokio::io::duplex(64 * 1024);
        let (written, output) = tokio::io::duplex(64 * 1024);
        let options = Options { url: url.into(), api_key: api_key.map(Into::into), ca_file: None };
        let bridge = tokio::spawn(drive(options, theirs, written));
        Wire { input, output: BufReader::new(output).lines(), bridge }
    }

    async fn send(&mut self, message: &Value) {
        self.input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(60), self.output.next_line()).await;
        serde_json::from_str(&line.expect("an answer in time").unwrap().expect("an answer")).unwrap()
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.send(&message).await;
        self.next().await
    }

    /// Closes stdin: what is still written, until the bridge ends well.
    async fn end(mut self) -> Vec<Value> {
        drop(self.input);
        let mut rest = Vec::new();
        while let Some(line) = self.output.next_line().await.unwrap() {
            rest.push(serde_json::from_str(&line).unwrap());
        }
        self.bridge.await.unwrap().unwrap();
        rest
    }
}

/// What the server saw of each request, in order: `METHOD session version body`.
type Seen = Arc<Mutex<Vec<String>>>;

fn note(seen: &Seen, request: &Request<Bytes>) {
    let header = |name: &str| request.headers().get(name).map_or("-", |value| value.to_str().unwrap());
    let message: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let (session, version) = (header("mcp-session-id"), header("mcp-protocol-version"));
    let what = message.get("method").and_then(Value::as_str).unwrap_or("-");
    seen.lock().unwrap().push(format!("{} {session} {version} {what}", request.method()));
}

fn json_answer(message: &Value) -> Response<TestBody> {
    whole(200, "application/json; charset=utf-8", message.to_string())
}

fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

fn id_of(request: &Request<Bytes>) -> Value {
    serde_json::from_slice::<Value>(request.body()).unwrap_or_default()["id"].clone()
}

#[tokio::test]
async fn modern_requests_carry_headers_and_the_key() {
    let url = serve(|request: Request<Bytes>| async move {
        let headers: Value =
            ["mcp-protocol-version", "mcp-method", "mcp-name", "authorization", "accept", "content-type"]
                .map(|name| request.headers().get(name).map(|value| value.to_str().unwrap()))
                .as_slice()
                .into();
        // Spread over lines, as some servers write.
        let answer = json!({"jsonrpc": "2.0", "id": id_of(&request), "result": {"headers": headers}});
        whole(200, "application/json", serde_json::to_string_pretty(&answer).unwrap())
    })
    .await;
    let mut wire = Wire::to(&format!("{url}/mcp/"), Some("cha_secret"));
    let mut check = async |message: Value, method: &str, name: Option<&str>| {
        let answer = wire.ask(message.clone()).await;
        let accept = "application/json, text/event-stream";
        let headers = json!(["2026-07-28", method, name, "Bearer cha_secret", accept, "application/json"]);
        assert_eq!(answer, json!({"jsonrpc": "2.0", "id": message["id"], "result": {"headers": headers}}));
    };
    check(modern(0, "tools/list", json!({})), "tools/list", None).await;
    check(
        modern("listen:0", "tools/call", json!({"name": "list_tickets"})),
        "tools/call",
        Some("list_tickets"),
    )
    .await;
    check(modern(2, "prompts/get", json!({"name": "Größe"})), "prompts/get", Some("=?base64?R3LDtsOfZQ==?="))
        .await;
    check(modern(3, "resources/read", json!({"uri": "x://1"})), "resources/read", Some("x://1")).await;
    check(modern(4, "tasks/get", json!({"taskId": "t"})), "tasks/get", Some("t")).await;
    assert_eq!(wire.end().await, Vec::<Value>::new());
}

#[tokio::test]
async fn streams_come_out_message_by_message_and_a_slow_request_blocks_no_other() {
    let slow: Arc<Mutex<Option<UnboundedSender<String>>>> = Arc::default();
    let kept = slow.clone();
    let url = serve(move |request| {
        let kept = kept.clone();
        async move {
            if id_of(&request) == 1 {
                let (sender, answer) = streamed("text/event-stream");
                *kept.lock().unwrap() = Some(sender);
                return answer;
            }
            json_answer(&json!({"jsonrpc": "2.0", "id": id_of(&request), "result": {}}))
        }
    })
    .await;
    let mut wire = Wire::to(&url, None);
    wire.send(&modern(1, "tools/call", json!({"name": "slow"}))).await;
    assert_eq!(wire.ask(modern(2, "tools/list", json!({}))).await["id"], 2);
    // The second answer came while the first is open; wait for its stream to be there.
    while slow.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let stream = slow.lock().unwrap().take().unwrap();
    stream.send(":\n\nevent: message\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"method\":\"notifications/progress\"}\n\n".into()).unwrap();
    assert_eq!(wire.next().await["method"], "notifications/progress");
    assert_eq!(wire.ask(modern(1, "tools/list", json!({}))).await["error"]["code"], -32600);
    stream.send("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":1.50}}\n\n".into()).unwrap();
    assert_eq!(wire.next().await["id"], 1);
    drop(stream);
    assert_eq!(wire.end().await, Vec::<Value>::new());
}

#[tokio::test]
async fn to_cancel_a_modern_request_is_to_close_its_answer() {
    let (sender, answer) = streamed("text/event-stream");
    let answer = Mutex::new(Some(answer));
    let url = serve(move |_| {
        let answer = answer.lock().unwrap().take().expect("one request, and no notification");
        async move { answer }
    })
    .await;
    let mut wire = Wire::to(&url, None);
    wire.send(&modern(1, "subscriptions/listen", json!({}))).await;
    sender.send("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n".into()).unwrap();
    wire.next().await;
    wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}))
        .await;
    tokio::time::timeout(Duration::from_secs(60), sender.closed()).await.expect("the server sees it");
    assert_eq!(wire.end().await, Vec::<Value>::new(), "a cancelled request has no answer");
}

#[tokio::test]
async fn the_end_of_stdin_waits_for_answers_but_not_for_subscriptions() {
    let (calls, mut called) = mpsc::unbounded_channel();
    let url = serve(move |request| {
        let calls = calls.clone();
        async move {
            let (sender, answer) = streamed("text/event-stream");
            calls.send((id_of(&request), sender)).unwrap();
            answer
        }
    })
    .await;
    let mut wire = Wire::to(&url, None);
    wire.send(&modern(1, "subscriptions/listen", json!({}))).await;
    let (_, listen) = called.recv().await.unwrap();
    wire.send(&modern(2, "tools/call", json!({"name": "slow"}))).await;
    let (_, call) = called.recv().await.unwrap();
    let end = tokio::spawn(wire.end());
    listen.closed().await;
    call.send("data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n\n".into()).unwrap();
    drop(call);
    assert_eq!(end.await.unwrap(), [json!({"jsonrpc": "2.0", "id": 2, "result": {}})]);
}

fn initialize(id: i64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}})
}

fn initialized() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
}

/// A legacy server that names its sessions `s1`, `s2`, … and knows the latest alone; a call of `forget` makes it forget.
/// Its GET stream sends one notification.
async fn legacy_server(seen: Seen) -> String {
    let latest = Arc::new(Mutex::new(0));
    serve(move |request: Request<Bytes>| {
        note(&seen, &request);
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let mut latest = latest.lock().unwrap();
        let known = format!("s{latest}");
        let answer = match body["method"].as_str() {
            _ if request.method() == "GET" => whole(
                200,
                "text/event-stream",
                "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/told\"}\n\n",
            ),
            _ if request.method() == "DELETE" => whole(204, "text/plain", ""),
            Some("initialize") => {
                *latest += 1;
                let result = json!({"protocolVersion": "2025-06-18"});
                let mut answer = json_answer(&json!({"jsonrpc": "2.0", "id": body["id"], "result": result}));
                answer.headers_mut().insert("mcp-session-id", format!("s{latest}").parse().unwrap());
                answer
            }
            _ if request.headers()["mcp-session-id"] != *known => whole(
                404,
                "application/json",
                r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"no session"}}"#,
            ),
            Some("forget") => {
                *latest += 1;
                json_answer(&json!({"jsonrpc": "2.0", "id": body["id"], "result": {}}))
            }
            Some(method) if method.starts_with("notifications/") => whole(202, "text/plain", ""),
            _ => json_answer(&json!({"jsonrpc": "2.0", "id": body["id"], "result": {}})),
        };
        async move { answer }
    })
    .await
}

#[tokio::test]
async fn a_legacy_session_is_kept_heard_and_ended() {
    let seen = Seen::default();
    let mut wire = Wire::to(&legacy_server(seen.clone()).await, None);
    assert_eq!(wire.ask(initialize(0)).await["result"]["protocolVersion"], "2025-06-18");
    wire.send(&initialized()).await;
    assert_eq!(wire.next().await["method"], "notifications/told");
    assert_eq!(wire.ask(json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"})).await["id"], "a");
    assert_eq!(wire.end().await, Vec::<Value>::new());
    let expected = [
        "POST - - initialize",
        "POST s1 2025-06-18 notifications/initialized",
        "GET s1 2025-06-18 -",
        "POST s1 2025-06-18 tools/list",
        "DELETE s1 2025-06-18 -",
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_session_that_the_server_forgot_is_opened_again() {
    let seen = Seen::default();
    let mut wire = Wire::to(&legacy_server(seen.clone()).await, None);
    wire.ask(initialize(0)).await;
    wire.ask(json!({"jsonrpc": "2.0", "id": 1, "method": "forget"})).await;
    seen.lock().unwrap().clear();
    let answer = wire.ask(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})).await;
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 2, "result": {}}));
    let expected = [
        "POST s1 2025-06-18 tools/list",
        "POST - - initialize",
        "POST s3 2025-06-18 notifications/initialized",
        "POST s3 2025-06-18 tools/list",
    ];
    let relevant: Vec<_> =
        seen.lock().unwrap().iter().filter(|line| line.starts_with("POST")).cloned().collect();
    assert_eq!(relevant, expected);
}

#[tokio::test]
async fn a_legacy_cancellation_is_forwarded() {
    let seen = Seen::default();
    let mut wire = Wire::to(&legacy_server(seen.clone()).await, None);
    wire.ask(initialize(0)).await;
    wire.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}))
        .await;
    assert_eq!(wire.end().await, Vec::<Value>::new());
    assert!(seen.lock().unwrap().contains(&"POST s1 2025-06-18 notifications/cancelled".to_owned()));
}

#[tokio::test]
async fn a_legacy_stream_that_breaks_is_taken_up_where_it_was() {
    let url = serve(|request: Request<Bytes>| async move {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        match (request.headers().get("last-event-id"), body["method"].as_str()) {
            (Some(id), _) if id == "e1" => whole(
                200,
                "text/event-stream",
                "id: e2\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
            ),
            (_, Some("initialize")) => {
                json_answer(&json!({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": "2025-11-25"}}))
            }
            _ => whole(200, "text/event-stream", "id: e1\ndata: \n\n"),
        }
    })
    .await;
    let mut wire = Wire::to(&url, None);
    wire.ask(initialize(0)).await;
    let answer = wire.ask(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call"})).await;
    assert_eq!(answer, json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
}

/// What the client is told when the server gives this answer.
async fn told(key: Option<&str>, answer: impl Fn() -> Response<TestBody> + Send + Sync + 'static) -> Value {
    let answer = Arc::new(answer);
    let url = serve(move |_| {
        let answer = answer();
        async move { answer }
    })
    .await;
    let mut wire = Wire::to(&format!("{url}/mcp"), key);
    let answer = wire.ask(modern("a", "tools/list", json!({}))).await;
    assert_eq!(answer["id"], "a");
    let text = answer["error"]["message"].as_str().unwrap().replace(&url, "URL");
    json!([answer["error"]["code"], text])
}

#[tokio::test]
async fn whatever_the_server_does_the_request_is_answered_in_words() {
    let refused = "URL/mcp refuses the API key (HTTP 401). Check that CHATERIMO_API_KEY holds a whole key of that server \
                   which is not revoked and may be used at this URL. It says: expired";
    let body = r#"{"error":"invalid_token","error_description":"expired"}"#;
    assert_eq!(
        told(Some("cha_x"), move || whole(401, "application/json", body)).await,
        json!([-32603, refused])
    );
    let missing = "URL/mcp wants an API key (HTTP 401). Set CHATERIMO_API_KEY to a key of that server.";
    assert_eq!(told(None, || whole(401, "text/plain", "no")).await, json!([-32603, missing]));
    let nothing = "There is no MCP server at URL/mcp (HTTP 404). Check the path of the URL.";
    assert_eq!(told(None, || whole(404, "text/html", "<html>")).await, json!([-32603, nothing]));
    let strange = "URL/mcp answers with something that is not MCP. Check the URL.";
    assert_eq!(told(None, || whole(200, "text/html", "<html>")).await, json!([-32603, strange]));
    let busy = "URL/mcp cannot answer now (HTTP 502).";
    assert_eq!(told(None, || whole(502, "text/html", "<html>")).await, json!([-32603, busy]));
    let cut = "URL/mcp ended its answer before it was complete. Try again.";
    assert_eq!(told(None, || whole(200, "text/event-stream", ":\n\n")).await, json!([-32603, cut]));
    assert_eq!(told(None, || whole(202, "text/plain", "")).await, json!([-32603, cut]));
    let moved = || {
        let mut answer = whole(307, "text/plain", "");
        answer.headers_mut().insert("location", "/mcp/".parse().unwrap());
        answer
    };
    assert_eq!(
        told(None, moved).await,
        json!([-32603, "URL/mcp leads to /mcp/ (HTTP 307). Use that URL instead."])
    );
    // The server's own errors pass, and get the id that they left out.
    let own = r#"{"jsonrpc":"2.0","error":{"code":-32022,"message":"Unsupported"}}"#;
    assert_eq!(told(None, move || whole(400, "application/json", own)).await, json!([-32022, "Unsupported"]));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_in_words() {
    // Bound, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let mut wire = Wire::to(&url, None);
    for message in [initialize(1), modern(2, "server/discover", json!({}))] {
        let answer = wire.ask(message.clone()).await;
        assert_eq!(answer["id"], message["id"]);
        assert_eq!(answer["error"]["message"], format!("{url} cannot be reached: connection refused."));
    }
}

#[tokio::test]
async fn lines_that_are_no_messages_are_answered_here() {
    let mut wire = Wire::to("http://127.0.0.1:1/", None);
    let mut check = async |line: String, code: i64| {
        wire.input.write_all(line.as_bytes()).await.unwrap();
        assert_eq!(wire.next().await["error"]["code"], code, "{line:.40}");
    };
    check("{\n".into(), -32700).await;
    check("[]\n".into(), -32600).await;
    check("{\"jsonrpc\":\"2.0\",\"id\":1}\r\n".into(), -32600).await;
    check(format!("{}\n", "x".repeat(MAX_BODY_BYTES + 1)), -32600).await;
}

#[tokio::test]
async fn wrong_options_are_told_at_once() {
    let check = async |url: &str, key: &str, expected: Kind| {
        let options = Options { url: url.into(), api_key: Some(key.into()), ca_file: None };
        assert_eq!(
            drive(options, tokio::io::empty(), tokio::io::sink()).await.unwrap_err().kind,
            expected,
            "{url}"
        );
    };
    check("chat.example.com/mcp", "cha_x", Kind::Invalid).await;
    check("ftp://chat.example.com/mcp", "cha_x", Kind::Invalid).await;
    check("not a url", "cha_x", Kind::Invalid).await;
    check("https://chat.example.com/mcp", "cha\u{1}x", Kind::Config).await;
}

#[test]
fn a_token_in_the_url_is_not_said() {
    let check = |url: &str, expected: &str| assert_eq!(without_token(url), expected);
    check("https://a.example/mcp/t/chu_1_x_y/", "https://a.example/mcp/t/chu_…/");
    check("https://a.example/mcp/t/chu_1_x_y", "https://a.example/mcp/t/chu_…");
    check("https://a.example/mcp/", "https://a.example/mcp/");
}
