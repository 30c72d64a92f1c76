use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{Request, Response};
use serde_json::{Value, json};

use super::proxy::Proxy;
use super::*;
use crate::client::Client;
use crate::client::testing::{TestBody, serve, streamed, whole};
use crate::protocol::transcript::Transcript;

/// A recording of a proxy before a test's server.
struct Recorded {
    url: String,
    recording: Recording,
    folder: tempfile::TempDir,
}

impl Recorded {
    async fn before(server: &str) -> Recorded {
        let proxy =
            Proxy::bind("127.0.0.1:0".parse().unwrap(), &format!("{server}/mcp/"), None).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording::begin(options(&folder)).unwrap();
        let url = proxy.url().to_owned();
        tokio::spawn(proxy.run(recording.recorder()));
        Recorded { url, recording, folder }
    }

    fn finish(self) -> Transcript {
        let messages = self.recording.finish().unwrap();
        let transcript =
            Transcript::parse(&std::fs::read_to_string(self.folder.path().join("out")).unwrap()).unwrap();
        assert_eq!(transcript.lines.len(), messages);
        transcript
    }
}

fn options(folder: &tempfile::TempDir) -> Options {
    Options {
        out: folder.path().join("out"),
        transport: Transport::Http,
        readonly: false,
        began: Time(1_000),
        about: None,
        keep_contacts: false,
        url: None,
    }
}

async fn send(request: Request<Bytes>) -> Response<crate::client::Body> {
    Client::new(crate::client::Options::default()).unwrap().send(request).await.unwrap()
}

fn post(url: &str, body: &Value) -> Request<Bytes> {
    let request = Request::post(url)
        .header("authorization", "Bearer cha_0123456789")
        .header("content-type", "application/json");
    request.header("mcp-session-id", "secret-session").body(body.to_string().into()).unwrap()
}

#[tokio::test]
async fn passes_everything_on_and_notes_it_without_secrets() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let server = serve(move |request: Request<Bytes>| {
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        let line = format!("{} {} {}", request.method(), request.uri(), header("authorization"));
        kept.lock().unwrap().push((line, header("host")));
        let text = String::from_utf8_lossy(request.body()).into_owned();
        async move {
            let mut answer = whole(
                201,
                "application/json",
                json!({"jsonrpc": "2.0", "id": 1, "result": text}).to_string(),
            );
            answer.headers_mut().insert("mcp-session-id", "secret-session".parse().unwrap());
            answer.headers_mut().insert("x-own", "kept".parse().unwrap());
            answer
        }
    })
    .await;
    let recorded = Recorded::before(&server).await;
    let info = json!({"name": "claude-code", "version": "2.1.330"});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"clientInfo": info, "m": "a@b.example"}});
    let answer = send(post(&recorded.url, &message)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-own"]),
        (201, &HeaderValue::from_static("kept"))
    );
    let body = answer.into_body().collect(10_000).await.unwrap();
    assert!(
        serde_json::from_slice::<Value>(&body).unwrap()["result"].as_str().unwrap().contains("a@b.example")
    );
    let host = server.strip_prefix("http://").unwrap().to_owned();
    assert_eq!(*seen.lock().unwrap(), [("POST /mcp/ Bearer cha_0123456789".to_owned(), host)]);

    let transcript = recorded.finish();
    assert_eq!(
        (transcript.header.client.name.as_str(), transcript.header.client.version.as_str()),
        ("claude-code", "2.1.330")
    );
    let text = transcript.to_text();
    for secret in ["cha_0123456789", "secret-session", "a@b.example"] {
        assert!(!text.contains(secret), "{text}");
    }
    let [asked, answered] = &transcript.lines[..] else { panic!("{text}") };
    assert_eq!((asked.from, asked.exchange), (From::Client, Some(1)));
    let http = asked.http.clone().unwrap();
    assert_eq!((http.method.as_deref(), http.path.as_deref()), (Some("POST"), Some("/mcp/")));
    assert_eq!(http.headers["mcp-session-id"], "[session-1]");
    assert_eq!(asked.message.as_ref().unwrap()["params"]["m"], "[email-1]");
    assert_eq!((answered.from, answered.exchange), (From::Server, Some(1)));
    let http = answered.http.clone().unwrap();
    assert_eq!((http.status, http.headers["mcp-session-id"].as_str()), (Some(201), "[session-1]"));
    assert!(answered.message.as_ref().unwrap()["result"].as_str().unwrap().contains("[email-1]"));
}

#[tokio::test]
async fn streams_pass_at_once_and_are_noted_event_by_event() {
    let (sender, answer) = streamed("text/event-stream");
    let answer = Mutex::new(Some(answer));
    let server = serve(move |_| {
        let answer: Response<TestBody> = answer.lock().unwrap().take().unwrap();
        async move { answer }
    })
    .await;
    let recorded = Recorded::before(&server).await;
    let mut body =
        send(post(&recorded.url, &json!({"jsonrpc": "2.0", "id": 1, "method": "x"}))).await.into_body();
    for event in [
        ":\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n\n",
        "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
    ] {
        sender.send(event.into()).unwrap();
        assert_eq!(body.next_chunk().await.unwrap().unwrap(), event);
    }
    drop(body);
    tokio::time::timeout(Duration::from_secs(60), sender.closed())
        .await
        .expect("the server sees the client leave");
    let lines = recorded.finish().lines;
    let shown = lines
        .iter()
        .map(|line| (line.http.as_ref().and_then(|http| http.status), line.message.clone().unwrap()));
    let expected = [
        (None, json!({"jsonrpc": "2.0", "id": 1, "method": "x"})),
        (Some(200), json!({"jsonrpc": "2.0", "method": "a"})),
        (None, json!({"jsonrpc": "2.0", "id": 1, "result": {}})),
    ];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn other_paths_pass_too_and_a_dead_server_is_noted() {
    let server =
        serve(|request: Request<Bytes>| async move { whole(404, "text/plain", request.uri().to_string()) })
            .await;
    let recorded = Recorded::before(&server).await;
    let url = recorded.url.replace("/mcp/", "/.well-known/oauth-protected-resource/mcp-readonly?state=abc");
    let elsewhere = Request::get(&url).header("host", "attacker.example").body(Bytes::new()).unwrap();
    assert_eq!(send(elsewhere).await.status(), 403, "a page whose name was made to lead here");
    let answer = send(Request::get(&url).body(Bytes::new()).unwrap()).await;
    assert_eq!(answer.status(), 404);
    let body = answer.into_body().collect(1_000).await.unwrap();
    assert_eq!(body, "/.well-known/oauth-protected-resource/mcp-readonly?state=abc");
    let transcript = recorded.finish();
    assert_eq!(transcript.header.endpoint, Endpoint::Readonly);
    let path = transcript.lines[0].http.as_ref().unwrap().path.as_deref();
    assert_eq!(path, Some("/.well-known/oauth-protected-resource/mcp-readonly?state=[secret-1]"));

    let recorded = Recorded::before("http://127.0.0.1:1").await;
    assert_eq!(send(post(&recorded.url, &json!({}))).await.status(), 502);
    let lines = recorded.finish().lines;
    assert_eq!(lines[1].http.as_ref().unwrap().status, Some(502));
    assert_eq!(lines[1].message, Some("http://127.0.0.1:1 cannot be reached: connection refused.".into()));
}

#[test]
fn a_message_that_no_line_holds_is_noted_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::begin(options(&folder)).unwrap();
    let body = |text: String| Bytes::from(json!({"jsonrpc": "2.0", "id": 1, "result": text}).to_string());
    // It would fit but for what stands around it.
    let long = body("x ".repeat((MAX_LINE_BYTES - body(String::new()).len()) / 2));
    let head = || Some(Head { status: Some(200), ..Head::default() });
    recording.recorder().note(From::Server, Some(1), head(), long.clone());
    recording.recorder().note(From::Server, Some(2), head(), body("short".into()));
    recording.finish().unwrap();
    let text = std::fs::read_to_string(folder.path().join("out")).unwrap();
    let lines = Transcript::parse(&text).unwrap().lines;
    assert_eq!(lines[0].message, Some(format!("[{} bytes]", long.len()).into()));
    assert_eq!(lines[0].http.as_ref().unwrap().status, Some(200));
    assert_eq!(lines[1].message.as_ref().unwrap()["result"], "short");
}

#[tokio::test]
async fn keys_of_whatever_name_are_not_noted() {
    let server = serve(|request: Request<Bytes>| async move {
        let key = request.headers()["x-api-key"].to_str().unwrap();
        whole(200, "application/json", json!({"jsonrpc": "2.0", "id": 1, "result": {"key": key}}).to_string())
    })
    .await;
    let recorded = Recorded::before(&server).await;
    let request = Request::post(format!("{}?apikey=firstsecret&u=a", recorded.url));
    let request = request.header("x-api-key", "secondsecret").body("{}".into()).unwrap();
    let body = send(request).await.into_body().collect(1_000).await.unwrap();
    assert!(String::from_utf8_lossy(&body).contains("secondsecret"), "{body:?}");
    let text = recorded.finish().to_text();
    assert!(!text.contains("secondsecret") && !text.contains("firstsecret"), "{text}");
    assert!(text.contains("?apikey=[secret-1]&u=a") && text.contains("[header-1]"), "{text}");
}

#[tokio::test]
async fn wrong_options_are_told_at_once() {
    let check = async |address: &str, url: &str, expected: &str| {
        let error = Proxy::bind(address.parse().unwrap(), url, None).await.err().unwrap();
        assert!(error.public.contains(expected), "{error}");
    };
    check("0.0.0.0:0", "http://127.0.0.1/mcp", "is not on this machine alone").await;
    check("127.0.0.1:0", "127.0.0.1:8080/mcp", "is no URL of an MCP server").await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("out"), "mine").unwrap();
    let error = Recording::begin(options(&folder)).err().unwrap();
    assert!(error.public.contains("it exists; name another file"), "{error}");
}

#[tokio::test]
async fn a_stream_that_stays_silent_is_noted_when_it_opens() {
    let (sender, answer) = streamed("text/event-stream");
    let answer = Mutex::new(Some(answer));
    let server = serve(move |_| {
        let answer: Response<TestBody> = answer.lock().unwrap().take().unwrap();
        async move { answer }
    })
    .await;
    let recorded = Recorded::before(&server).await;
    let get = Request::get(&recorded.url).header("accept", "text/event-stream").body(Bytes::new()).unwrap();
    let mut body = send(get).await.into_body();
    sender.send("data: {\"jsonrpc\":\"2.0\",\"method\":\"a\"}\n\n".into()).unwrap();
    body.next_chunk().await.unwrap().unwrap();
    drop(body);
    let lines = recorded.finish().lines;
    let shown =
        lines.iter().map(|line| (line.http.as_ref().and_then(|http| http.status), line.message.is_some()));
    assert_eq!(shown.collect::<Vec<_>>(), [(None, false), (Some(200), false), (None, true)]);
}
