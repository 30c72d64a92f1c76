//! What a server asks of its client, and what it says when nobody asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::*;

/// A legacy session whose server asks on its stream: when it is opened, and while a tool is called.
const ASKED: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"http","endpoint":"full"}
{"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}}
{"at_ms":1,"from":"server","exchange":1,"http":{"status":200,"headers":{"mcp-session-id":"old"}},"message":{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}}
{"at_ms":2,"from":"client","exchange":2,"http":{"method":"GET","path":"/mcp","headers":{"accept":"text/event-stream","mcp-session-id":"old"}}}
{"at_ms":3,"from":"server","exchange":2,"http":{"status":200,"headers":{"content-type":"text/event-stream"}}}
{"at_ms":4,"from":"server","exchange":2,"message":{"jsonrpc":"2.0","id":1,"method":"roots/list"}}
{"at_ms":5,"from":"client","exchange":3,"http":{"method":"POST","path":"/mcp","headers":{"mcp-session-id":"old"}},"message":{"jsonrpc":"2.0","id":1,"result":{"roots":[{"uri":"file:///a"}]}}}
{"at_ms":6,"from":"server","exchange":3,"http":{"status":202}}
{"at_ms":7,"from":"client","exchange":4,"http":{"method":"POST","path":"/mcp","headers":{"mcp-session-id":"old"}},"message":{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"order"}}}
{"at_ms":8,"from":"server","exchange":2,"message":{"jsonrpc":"2.0","id":2,"method":"elicitation/create","params":{"message":"Size?"}}}
{"at_ms":9,"from":"client","exchange":5,"http":{"method":"POST","path":"/mcp","headers":{"mcp-session-id":"old"}},"message":{"jsonrpc":"2.0","id":2,"result":{"action":"accept","content":{"size":"L"}}}}
{"at_ms":10,"from":"server","exchange":5,"http":{"status":202}}
{"at_ms":11,"from":"server","exchange":4,"http":{"status":200},"message":{"jsonrpc":"2.0","id":2,"result":{"content":[{"type":"text","text":"ordered L"}]}}}
"#;

/// What the server of [`ASKED`] keeps.
struct Shop {
    stream: Mutex<Option<mpsc::UnboundedSender<String>>>,
    /// What it asked for and got, and in which session.
    got: watch::Sender<Vec<(String, Value)>>,
}

impl Shop {
    fn ask(&self, question: &Value) {
        let stream = self.stream.lock().unwrap();
        stream.as_ref().unwrap().send(format!("data: {question}\n\n")).unwrap();
    }

    async fn answer(&self, request: Request<Bytes>) -> Response<TestBody> {
        if request.method() == "GET" {
            let (sender, answer) = streamed("text/event-stream");
            *self.stream.lock().unwrap() = Some(sender);
            self.ask(&json!({"jsonrpc": "2.0", "id": "r", "method": "roots/list"}));
            return answer;
        }
        let message: Value = serde_json::from_slice(request.body()).unwrap();
        let result = match message["method"].as_str() {
            Some("initialize") => json!({"protocolVersion": "2025-11-25"}),
            Some(_) => {
                let params = json!({"message": "Size?"});
                self.ask(
                    &json!({"jsonrpc": "2.0", "id": "e", "method": "elicitation/create", "params": params}),
                );
                let mut got = self.got.subscribe();
                let got =
                    got.wait_for(|got| got.iter().any(|(_, answer)| answer["id"] == "e")).await.unwrap();
                let size = got.last().unwrap().1["result"]["content"]["size"].as_str().unwrap_or("nothing");
                json!({"content": [{"type": "text", "text": format!("ordered {size}")}]})
            }
            None => {
                let session = request.headers()["mcp-session-id"].to_str().unwrap().to_owned();
                self.got.send_modify(|got| got.push((session, message)));
                return whole(202, "text/plain", "");
            }
        };
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        let mut answer = whole(200, "application/json", answer.to_string());
        answer.headers_mut().insert("mcp-session-id", "new".parse().unwrap());
        answer
    }
}

fn hurried(target: Target) -> Dialler {
    let mut options = Options::new(target);
    options.patience = Duration::from_secs(3);
    options.first = options.patience;
    Dialler::new(options).unwrap()
}

#[tokio::test]
async fn what_a_server_asks_on_its_stream_is_answered_while_a_call_waits_for_it() {
    assert_eq!(asked_for_a_size("L").await, BTreeSet::new());
    // An answer that the recorder took something out of counts as what the call says.
    assert_eq!(asked_for_a_size("[phone-1]").await, BTreeSet::from([9]));
}

/// Which lines are said to be sent with a placeholder, when the client's answer is `size`.
async fn asked_for_a_size(size: &'static str) -> BTreeSet<usize> {
    let recorded =
        ASKED.replace("\"L\"", &json!(size).to_string()).replace("ordered L", &format!("ordered {size}"));
    let shop = Arc::new(Shop { stream: Mutex::default(), got: watch::Sender::default() });
    let kept = shop.clone();
    let url = serve(move |request| {
        let shop = shop.clone();
        async move { shop.answer(request).await }
    });
    let mut options = Options::new(Target::Url(url.await));
    options.patience = Duration::from_secs(3);
    let dialler = Dialler::new(options).unwrap();
    let report = verify(&Transcript::parse(&recorded).unwrap(), &dialler, &[]).await.unwrap();
    assert_eq!(report.differences, []);
    let got: Vec<_> = kept
        .got
        .borrow()
        .iter()
        .map(|(session, answer)| (session.clone(), answer["result"].clone()))
        .collect();
    let expected =
        [json!({"roots": [{"uri": "file:///a"}]}), json!({"action": "accept", "content": {"size": size}})];
    assert_eq!(got, expected.map(|result| ("new".to_owned(), result)));
    report.redacted
}

#[tokio::test]
async fn an_answer_that_was_not_asked_for_answers_no_later_question() {
    // The recorded server asks at the first call, the one of now at the second.
    let question = r#"{"jsonrpc":"2.0","id":9,"method":"elicitation/create"}"#;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    let url = serve(move |request: Request<Bytes>| {
        let message: Value = serde_json::from_slice(request.body()).unwrap();
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {}});
        let answer = match message["params"]["name"].as_str() {
            Some("first") => whole(200, "application/json", answer.to_string()),
            Some(_) => whole(200, "text/event-stream", format!("data: {question}\n\ndata: {answer}\n\n")),
            None => {
                kept.lock().unwrap().push(message);
                whole(202, "text/plain", "")
            }
        };
        async move { answer }
    });
    let line = |from: &str, exchange: u8, message: Value| {
        let http = match from {
            "client" => json!({"method": "POST", "path": "/mcp"}),
            _ => json!({"status": 200}),
        };
        json!({"at_ms": 0, "from": from, "exchange": exchange, "http": http, "message": message}).to_string()
    };
    let call = |id: u8, name: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name}});
    let done = |id: u8| json!({"jsonrpc": "2.0", "id": id, "result": {}});
    let lines = [
        ASKED.lines().next().unwrap().to_owned(),
        line("client", 1, call(1, "first")),
        line("server", 1, serde_json::from_str(question).unwrap()),
        line("client", 2, json!({"jsonrpc": "2.0", "id": 9, "result": {"action": "accept"}})),
        line("server", 1, done(1)),
        line("client", 3, call(2, "second")),
        line("server", 3, done(2)),
    ];
    let transcript = Transcript::parse(&lines.join("\n")).unwrap();
    let report = verify(&transcript, &hurried(Target::Url(url.await)), &[]).await.unwrap();
    assert_eq!(report.drifted, 2, "{:?}", report.differences);
    let codes: Vec<_> = asked.lock().unwrap().iter().map(|answer| answer["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(-32601)]);
}

#[tokio::test]
async fn a_stream_or_an_end_that_breaks_off_is_a_difference_among_others() {
    let ended = r#"{"at_ms":12,"from":"client","exchange":6,"http":{"method":"DELETE","path":"/mcp"}}
{"at_ms":13,"from":"server","exchange":6,"http":{"status":200}}"#;
    let url = serve(|request: Request<Bytes>| async move {
        let Ok(message) = serde_json::from_slice::<Value>(request.body()) else {
            return std::future::pending().await; // GET and DELETE
        };
        let answer =
            json!({"jsonrpc": "2.0", "id": message["id"], "result": {"protocolVersion": "2025-11-25"}});
        whole(200, "application/json", answer.to_string())
    });
    let transcript = Transcript::parse(&format!("{ASKED}{ended}\n")).unwrap();
    let report = verify(&transcript, &hurried(Target::Url(url.await)), &[]).await.unwrap();
    let mut lines: Vec<_> = report.differences.iter().map(|drift| drift.line).collect();
    lines.dedup();
    assert_eq!((lines, report.messages), (vec![4, 9, 14], 3), "{:?}", report.differences);
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_that_goes_on_and_on_is_waited_for_no_longer_than_others() {
    const TOLD: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"stdio","endpoint":"full"}
{"at_ms":0,"from":"client","message":{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}}
{"at_ms":1,"from":"server","message":{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}}
{"at_ms":2,"from":"server","message":{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}}
{"at_ms":3,"from":"client","message":{"jsonrpc":"2.0","id":2,"method":"ping"}}
{"at_ms":4,"from":"server","message":{"jsonrpc":"2.0","id":2,"result":{}}}
"#;
    let opened = r#"read line; echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25"}}'"#;
    let other = r#"'{"jsonrpc":"2.0","method":"notifications/other"}'"#;
    let slow = format!("{opened}; while echo {other}; do sleep 0.05; done");
    let fast = format!("{opened}; exec yes {other}");
    for script in [slow, fast] {
        let dialler = hurried(Target::Command(["sh", "-c", &script].map(Into::into).to_vec()));
        let transcript = Transcript::parse(TOLD).unwrap();
        let verified = verify(&transcript, &dialler, &[]);
        let report = tokio::time::timeout(Duration::from_secs(20), verified).await.unwrap().unwrap();
        let told =
            |what: &str| report.differences.iter().filter(|drift| drift.message.contains(what)).count();
        assert_eq!(told("list_changed"), 1, "{script}");
        assert!(
            (1..=1_000).contains(&told("notifications/other")),
            "{script}: {}",
            told("notifications/other")
        );
    }
}
