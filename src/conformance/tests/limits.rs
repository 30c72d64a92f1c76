//! Servers that may be asked so often only, and what is said of them.

use super::*;
use crate::conformance::expected::Expected;
use crate::conformance::report::{Form, Judged};

/// What a server with one tool answers, which says no by `isError` if it `refuses`.
fn small(body: &Value, refuses: bool) -> Value {
    let result = match body["method"].as_str().unwrap_or_default() {
        "server/discover" => json!({"capabilities": {"tools": {}}, "supportedVersions": ["2026-07-28"]}),
        "tools/list" if body["params"]["cursor"].is_null() => json!({"tools": [{
            "name": "now", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true},
            "outputSchema": {"type": "object", "required": ["time"]},
        }]}),
        "tools/call" if refuses => {
            json!({"content": [{"type": "text", "text": "No calls left today."}], "isError": true})
        }
        "tools/call" if body["params"]["name"] == "now" => json!({
            "content": [{"type": "text", "text": "{\"time\":1}"}], "structuredContent": {"time": 1},
        }),
        _ => {
            let error = json!({"code": -32602, "message": "no"});
            return json!({"jsonrpc": "2.0", "id": body["id"], "error": error});
        }
    };
    let mut result = result;
    let common = json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "private"});
    for (name, value) in common.as_object().unwrap() {
        result[name] = value.clone();
    }
    json!({"jsonrpc": "2.0", "id": body["id"], "result": result})
}

/// What is found of such a server, which answers a request with 429 and these fields where `limited` says so of its
/// number.
async fn found(
    limited: fn(usize) -> bool,
    status: u16,
    field: Option<(&'static str, &'static str)>,
    refuses: bool,
) -> Report {
    let count = AtomicUsize::new(0);
    let url = serve(move |request: Request<Bytes>| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let mut response = match limited(number) {
            true => whole(status, "text/html", "<p>Slow down"),
            false => whole(200, "application/json", small(&body, refuses).to_string()),
        };
        if let (true, Some((name, value))) = (limited(number), field) {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        async move { response }
    })
    .await;
    let only = ["tools", "wire.schema", "wire.media-type"];
    run(plan(Target::Url(url), Revision::V2026_07_28, &only), |_| {}).await.unwrap()
}

fn outcome<'a>(report: &'a Report, id: &str) -> &'a Outcome {
    &report.findings.iter().find(|finding| finding.check.id == id).unwrap().outcome
}

#[tokio::test]
async fn what_is_refused_for_now_is_not_exercised_and_said_once() {
    for (status, field, words) in [
        (429, None, "HTTP 429"),
        (429, Some(("retry-after", "3600")), "HTTP 429, Retry-After: 3600"),
        (503, Some(("retry-after", "Sun, 22 Nov 2026 19:00:00 GMT")), "HTTP 503, Retry-After: Sun, 22 Nov"),
    ] {
        let report = found(|number| number >= 4, status, field, false).await;
        let broken: Vec<_> = report.findings.iter().filter(|finding| !finding.outcome.is_well()).collect();
        assert!(broken.is_empty(), "{:?}", broken[0].outcome);
        assert_eq!(outcome(&report, "tools.list"), &Outcome::Passed);
        let limit = outcome(&report, "tools.call.structured").text();
        assert!(limit.contains(&format!("limits how often it may be called ({words}")), "{limit}");
        assert_eq!(outcome(&report, "tools.call.unknown").word(), "not exercised");
        let judged = Judged { report: &report, expected: &Expected::default() };
        let text = judged.write(Form::Text);
        let at_top = text.lines().take(3).any(|line| line.contains("limits how often"));
        assert!(at_top && text.matches("requests were refused").count() == 1, "{text}");
        let json: Value = serde_json::from_str(&judged.write(Form::Json)).unwrap();
        assert!(json["refused"]["requests"].as_u64() > Some(1), "{}", json["refused"]);
    }
}

#[tokio::test]
async fn what_may_be_asked_again_at_once_is() {
    let report = found(|number| number % 2 == 1, 429, Some(("retry-after", "0")), false).await;
    assert_eq!(report.refused.count, 0);
    for id in ["tools.list", "tools.call", "tools.call.structured", "tools.call.unknown"] {
        assert_eq!(outcome(&report, id), &Outcome::Passed, "{id}");
    }
}

#[tokio::test]
async fn a_quota_that_a_tool_tells_of_is_shown() {
    let report = found(|_| false, 429, None, true).await;
    assert_eq!(outcome(&report, "tools.call"), &Outcome::Passed);
    let why = outcome(&report, "tools.call.structured");
    assert_eq!(why.word(), "not exercised");
    assert!(why.text().contains("No calls left today."), "{why:?}");
}

#[tokio::test]
async fn tools_that_were_named_are_called_before_those_that_were_not() {
    let url = serve(|request: Request<Bytes>| async move {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}});
        let result = match body["method"].as_str() {
            Some("server/discover") => json!({"capabilities": {"tools": {}}, "supportedVersions": ["2026-07-28"]}),
            Some("tools/list") => {
                let tools = ["a", "b", "c", "d", "e", "f", "last"].map(tool);
                json!({"tools": tools})
            }
            Some("tools/call") if body["params"]["name"] == "last" => json!({}),
            _ => json!({"content": []}),
        };
        whole(200, "application/json", json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string())
    })
    .await;
    let mut plan = plan(Target::Url(url), Revision::V2026_07_28, &["tools.call"]);
    plan.calls.insert("last".into(), json!({}));
    let report = run(plan, |_| {}).await.unwrap();
    assert_eq!(
        outcome(&report, "tools.call"),
        &Outcome::Failed("the result of last has no content".to_owned())
    );
}
