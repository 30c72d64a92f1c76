//! Servers whose tool runs as a task, in both eras: one that does so well, and those that do something of it wrong.

use super::*;

const TASKS: &str = "io.modelcontextprotocol/tasks";
/// Questions after which the task is done.
const POLLS: usize = 3;

/// A server that does one thing `wrong`, or nothing.
struct Server {
    wrong: &'static str,
    polls: AtomicUsize,
    cancelled: AtomicUsize,
}

impl Server {
    fn is(&self, wrong: &str) -> bool {
        self.wrong == wrong
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<TestBody> {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let modern = body.pointer("/params/_meta/io.modelcontextprotocol~1protocolVersion").is_some();
        if body.get("id").is_none() {
            return whole(202, "text/plain", "");
        }
        let name = request.headers().get("mcp-name").and_then(|name| name.to_str().ok());
        let named = body.pointer("/params/taskId").or(body.pointer("/params/name")).and_then(Value::as_str);
        let mismatch = modern && name != named && !self.is("header");
        let outcome = match mismatch {
            true => Err(-32020),
            false => self.outcome(&body, modern),
        };
        let (status, name, value) = match outcome {
            Ok(mut result) => {
                let kind = if result["taskId"].is_string() && body["method"] == "tools/call" {
                    "task"
                } else {
                    "complete"
                };
                for (name, value) in
                    [("resultType", json!(kind)), ("ttlMs", json!(0)), ("cacheScope", json!("private"))]
                {
                    if modern
                        && (name == "resultType" || body["method"] != "tools/call")
                        && result.get(name).is_none()
                    {
                        result[name] = value;
                    }
                }
                (200, "result", result)
            }
            Err(code) => {
                (if code == -32602 { 200 } else { 400 }, "error", json!({"code": code, "message": "no"}))
            }
        };
        let message = json!({"jsonrpc": "2.0", "id": body["id"], name: value});
        whole(status, "application/json", message.to_string())
    }

    fn outcome(&self, body: &Value, modern: bool) -> Result<Value, i64> {
        let params = &body["params"];
        let knows = match modern {
            true => params.pointer("/_meta/io.modelcontextprotocol~1clientCapabilities/extensions").is_some(),
            false => true,
        };
        let method = body["method"].as_str().unwrap_or_default();
        match method {
            "initialize" => {
                Ok(json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": "a", "version": "1"},
                "capabilities": {"tools": {}, "tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}}}}))
            }
            "server/discover" => Ok(json!({"supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}, "extensions": {TASKS: {}}}})),
            "tools/list" => Ok(json!({"tools": [
                {"name": "build", "inputSchema": {"type": "object"}, "execution": {"taskSupport": "required"}}]})),
            "tools/call" if params["name"] != "build" => Err(-32602),
            "tools/call" if modern && !knows => Err(-32021),
            "tools/call" if !modern && params.get("task").is_none() && !self.is("required") => Err(-32601),
            "tools/call" if !modern && params.get("task").is_none() => Ok(json!({"content": []})),
            "tools/call" if modern => Ok(self.task("working", true)),
            "tools/call" => {
                Ok(json!({"task": self.task(if self.is("begin") { "completed" } else { "working" }, false)}))
            }
            _ if !knows => Err(-32021),
            _ if !method.starts_with("tasks/") => Err(-32602),
            _ if params["taskId"] != "task-1" && !self.is("unknown") => Err(-32602),
            "tasks/get" => Ok(self.get(modern)),
            "tasks/result" => {
                let meta = json!({"io.modelcontextprotocol/related-task": {"taskId": "task-1"}});
                Ok(json!({"content": [], "_meta": if self.is("related") { json!({}) } else { meta }}))
            }
            "tasks/cancel" => {
                self.cancelled.fetch_add(1, Ordering::Relaxed);
                match modern {
                    true if self.is("cancel") => Ok(self.task("completed", true)),
                    true => Ok(json!({})),
                    false if self.is("cancel") => Ok(self.task("cancelled", false)),
                    false => Err(-32602),
                }
            }
            _ => Err(-32602),
        }
    }

    fn task(&self, status: &str, modern: bool) -> Value {
        let time = if self.is("time") { json!(1764066600) } else { json!("2025-11-25T10:30:00Z") };
        let status = if self.is("state") { "running" } else { status };
        let mut task = json!({"taskId": "task-1", "status": status, "createdAt": time, "lastUpdatedAt": "2025-11-25T10:30:00Z"});
        let (ttl, poll) = if modern { ("ttlMs", "pollIntervalMs") } else { ("ttl", "pollInterval") };
        (task[ttl], task[poll]) = (json!(60_000), json!(20));
        if self.is("ttl") {
            task[ttl] = json!("a minute");
        }
        task
    }

    fn get(&self, modern: bool) -> Value {
        let polls = self.polls.fetch_add(1, Ordering::Relaxed);
        if self.is("other") {
            let mut task = self.task("working", modern);
            task["taskId"] = json!("task-2");
            return task;
        }
        if self.is("stays") && self.cancelled.load(Ordering::Relaxed) > 0 {
            return self.task("cancelled", modern);
        }
        if polls + 1 < POLLS || self.is("endless") {
            return self.task("working", modern);
        }
        let mut task = self.task("completed", modern);
        if modern && !self.is("result") {
            task["result"] = json!({"content": []});
        }
        task
    }
}

/// How the rows of tasks end at such a server, where `build` is named if it is `called`.
async fn found(wrong: &'static str, revision: Revision, called: bool) -> Vec<(&'static str, Outcome)> {
    let _turn = TURNS.acquire().await.unwrap();
    let server = Server { wrong, polls: AtomicUsize::new(0), cancelled: AtomicUsize::new(0) };
    let url = serve(move |request: Request<Bytes>| {
        let response = server.answer(&request);
        async move { response }
    })
    .await;
    let mut plan = plan(
        Target::Url(url),
        revision,
        &["tasks", "tools.call", "wire.schema", "wire.no-undeclared-results"],
    );
    // A task without an end is watched for as long as that.
    plan.options.patience = Duration::from_secs(if ["endless", "other"].contains(&wrong) { 4 } else { 60 });
    if called {
        plan.calls.insert("build".into(), json!({}));
    }
    let report = run(plan, |_| {}).await.unwrap();
    report.findings.into_iter().map(|finding| (finding.check.id, finding.outcome)).collect()
}

const LIFE: [&str; 5] = ["tasks.create", "tasks.get", "tasks.status", "tasks.result", "tasks.ended-stays"];
const MODERN: [&str; 3] = ["tasks.undeclared", "tasks.name-mismatch", "tasks.cancel-acknowledged"];
const LEGACY: [&str; 3] = ["tasks.not-there", "tasks.required", "tasks.cancel-ended"];

#[tokio::test]
async fn a_task_that_goes_well_passes_in_both_eras() {
    for (revision, more) in [(Revision::MODERN, MODERN), (Revision::LAST_LEGACY, LEGACY)] {
        let found = found("", revision, true).await;
        let broken: Vec<_> = found.iter().filter(|(_, outcome)| !outcome.is_well()).collect();
        assert!(broken.is_empty(), "{revision}: {broken:?}");
        for id in LIFE.into_iter().chain(more) {
            let outcome = &found.iter().find(|(found, _)| *found == id).unwrap().1;
            assert_eq!(outcome, &Outcome::Passed, "{revision} {id}");
        }
    }
}

#[tokio::test]
async fn no_task_is_begun_unless_a_tool_is_named() {
    for revision in [Revision::MODERN, Revision::LAST_LEGACY] {
        for (id, outcome) in found("state", revision, false).await {
            assert!(!LIFE.contains(&id) || outcome.text().contains("--call"), "{revision} {id}: {outcome:?}");
        }
    }
}

/// What is done wrong, in which revision, and the rows that tell of it.
const FAULTS: [(&str, Revision, &[&str]); 20] = [
    ("time", Revision::MODERN, &["tasks.create", "tasks.get"]),
    ("time", Revision::LAST_LEGACY, &["tasks.create", "tasks.get"]),
    ("ttl", Revision::MODERN, &["tasks.create", "tasks.get"]),
    ("ttl", Revision::LAST_LEGACY, &["tasks.create", "tasks.get"]),
    ("state", Revision::MODERN, &["tasks.create", "tasks.get", "tasks.status"]),
    ("state", Revision::LAST_LEGACY, &["tasks.create", "tasks.get", "tasks.status"]),
    ("other", Revision::MODERN, &["tasks.get"]),
    ("other", Revision::LAST_LEGACY, &["tasks.get"]),
    ("endless", Revision::MODERN, &[]),
    ("endless", Revision::LAST_LEGACY, &[]),
    ("result", Revision::MODERN, &["tasks.status", "tasks.result"]),
    ("header", Revision::MODERN, &["tasks.name-mismatch"]),
    ("cancel", Revision::MODERN, &["tasks.cancel-acknowledged"]),
    ("cancel", Revision::LAST_LEGACY, &["tasks.cancel-ended"]),
    ("stays", Revision::MODERN, &["tasks.ended-stays"]),
    ("stays", Revision::LAST_LEGACY, &["tasks.ended-stays"]),
    ("unknown", Revision::MODERN, &["tasks.unknown", "tasks.unknown-changed"]),
    ("unknown", Revision::LAST_LEGACY, &["tasks.not-there"]),
    ("related", Revision::LAST_LEGACY, &["tasks.result"]),
    ("required", Revision::LAST_LEGACY, &["tasks.required"]),
];

/// Runs every row; the ids of the rows that failed.
pub(super) async fn broken_rows() -> BTreeSet<&'static str> {
    let all: Vec<_> = FAULTS.map(|row| (row, tokio::spawn(found(row.0, row.1, true)))).into();
    let mut seen = BTreeSet::new();
    for ((wrong, revision, expected), found) in all {
        let found = found.await.unwrap();
        let of_tasks = found.iter().filter(|(id, outcome)| id.starts_with("tasks.") && !outcome.is_well());
        let broken: Vec<_> = of_tasks.map(|(id, _)| *id).collect();
        assert_eq!(broken, expected, "{wrong} {revision}");
        seen.extend(broken);
    }
    seen
}

#[tokio::test]
async fn a_legacy_task_begins_as_working() {
    let found = found("begin", Revision::LAST_LEGACY, true).await;
    let (_, outcome) = found.iter().find(|(id, _)| *id == "tasks.create").unwrap();
    assert!(outcome.text().contains("begins as completed"), "{outcome:?}");
}
