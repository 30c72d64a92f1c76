//! Tasks, where they are declared: the extension of the modern era, and those of 2025-11-25. What is said of tasks that
//! there are not is always asked; a task is begun only by a tool that was named.

use serde_json::{Value, json};

use crate::clock::Time;
use crate::conformance::expect::{self, ensure, fail, skip};
use crate::conformance::task::Life;
use crate::conformance::{Bench, Lifespan, Source, Stop, Verdict, differs, same};
use crate::peer::Exchange;
use crate::protocol::catalog::TASKS;
use crate::protocol::revision::Revision;

const NEW: Lifespan = Lifespan::MODERN;
const BOTH: Lifespan = Lifespan::BOTH.since(Revision::V2025_11_25);
const OLD: Lifespan = Lifespan::LEGACY.since(Revision::V2025_11_25);
const MISMATCH: i64 = -32020;
/// The states of a task, in both eras.
const STATES: [&str; 5] = ["working", "input_required", "completed", "failed", "cancelled"];
/// What a result says which task it is of.
const RELATED: &str = "io.modelcontextprotocol/related-task";
const ERRORS: Source = same(
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#protocol-errors",
);
const CREATION: Source = differs(
    "basic/utilities/tasks#creating-tasks",
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#task-creation",
);
const POLLING: Source = differs(
    "basic/utilities/tasks#getting-tasks",
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#task-polling",
);
const STATUS: Source = differs(
    "basic/utilities/tasks#task-status-lifecycle",
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#task-status",
);
const RESULT: Source = differs(
    "basic/utilities/tasks#result-retrieval",
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#task-polling",
);
const CANCELLATION: Source = same(
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#task-cancellation",
);
const ROUTING: Source = same(
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#streamable-http-routing-headers",
);

crate::conformance_checks! {
    "tasks.undeclared", "Tasks are for clients that declare them", NEW, Must, ERRORS, ["tasks-capability-negotiation"],
    undeclared,
    "tasks/get, tasks/update and tasks/cancel of a client that does not declare the extension get -32021, on HTTP with \
     status 400.";
    "tasks.unknown", "A task that there is not is refused", NEW, Must, ERRORS, ["tasks-lifecycle"], unknown,
    "tasks/get of a task that there is not gets -32602.";
    "tasks.unknown-changed", "A task that there is not is not changed", NEW, Should, ERRORS, ["tasks-lifecycle"],
    unknown_changed,
    "tasks/update and tasks/cancel of a task that there is not get -32602.";
    "tasks.not-there", "A task that there is not is refused", OLD, Must,
    same("basic/utilities/tasks#protocol-errors"), [], not_there,
    "tasks/get, tasks/result and tasks/cancel of a task that there is not get -32602.";
    "tasks.required", "A tool that is a task only is not called without", OLD, Must,
    same("basic/utilities/tasks#tool-level-negotiation"), [], required,
    "A call of a tool whose taskSupport is required gets -32601 when it does not ask for a task.";
    "tasks.create", "A task is begun whole", BOTH, Must, CREATION, ["tasks-lifecycle", "tasks-wire-fields"], create,
    "What begins a task gives its id, its status, when it was made and last changed, and how long it is kept.";
    "tasks.get", "A task can be asked for at once", BOTH, Must, POLLING,
    ["tasks-lifecycle", "tasks-dispatch-and-envelope"], get,
    "A task is found from the moment on that its id was given, and tasks/get gives all its members.";
    "tasks.status", "A task tells where it stands", BOTH, Must, STATUS, ["tasks-lifecycle"], status,
    "A task is working, waits for input or has ended, and in the modern era brings what belongs to that: inputRequests, \
     result or error.";
    "tasks.result", "The result of a task is that of its call", BOTH, Must, RESULT, ["tasks-lifecycle"], result,
    "A task that is completed gives the result that the call would have had; tasks/result of 2025-11-25 says of which \
     task it is.";
    "tasks.name-mismatch", "Another task in the header is refused", NEW.http(), Must, ROUTING, ["tasks-request-headers"],
    name_mismatch,
    "Mcp-Name says the id that the body says, or tasks/get gets HTTP 400 and -32020.";
    "tasks.cancel-acknowledged", "Cancelling is acknowledged", NEW, Must, CANCELLATION, ["tasks-lifecycle"],
    cancel_acknowledged,
    "tasks/cancel is answered with an empty result, even when the task has ended: it may have ended on the way.";
    "tasks.cancel-ended", "What has ended cannot be cancelled", OLD, Must,
    same("basic/utilities/tasks#task-cancellation"), [], cancel_ended,
    "tasks/cancel of a task that has ended gets -32602.";
    "tasks.ended-stays", "What has ended stays so", BOTH, Must, STATUS, ["tasks-lifecycle"], ended_stays,
    "A task that is completed, failed or cancelled changes its status no more, whoever cancels it.";
}

/// A request about a task of nobody's, of a client that declares `capabilities`.
async fn about(bench: &mut Bench, method: &str, capabilities: Value) -> Result<Exchange, Stop> {
    if !bench.has_extension(TASKS) {
        return skip(format!("the server does not declare {TASKS}"));
    }
    let mut peer = bench.another().await?;
    peer.speak_modern(bench.revision.as_str(), capabilities);
    let mut params = json!({"taskId": "no-such-task-of-yours-1b9d6bcd"});
    if method == "tasks/update" {
        params["inputResponses"] = json!({});
    }
    let message = peer.request(method, params);
    let raw = peer.post(&message);
    let asked = bench.raw_on(&mut peer, raw).await;
    peer.close(bench.moment()).await;
    Ok(asked?)
}

fn declared() -> Value {
    json!({"extensions": {TASKS: {}}})
}

async fn undeclared(bench: &mut Bench) -> Verdict {
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let asked = about(bench, method, json!({})).await?;
        expect::error(&asked, &[-32021])?;
        expect::status(&asked, &[400])?;
    }
    Ok(())
}

async fn unknown(bench: &mut Bench) -> Verdict {
    let asked = about(bench, "tasks/get", declared()).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}

async fn unknown_changed(bench: &mut Bench) -> Verdict {
    for method in ["tasks/update", "tasks/cancel"] {
        let asked = about(bench, method, declared()).await?;
        expect::error(&asked, &[-32602])?;
    }
    Ok(())
}

async fn not_there(bench: &mut Bench) -> Verdict {
    bench.needs("tasks")?;
    let cancels = bench.capabilities().get("tasks").is_some_and(|tasks| tasks.get("cancel").is_some());
    let methods = ["tasks/get", "tasks/result", "tasks/cancel"];
    for method in methods.iter().take(if cancels { 3 } else { 2 }) {
        let asked = bench.ask_of_task(method, "no-such-task-of-yours-1b9d6bcd").await?;
        expect::error(&asked, &[-32602])?;
    }
    Ok(())
}

async fn required(bench: &mut Bench) -> Verdict {
    bench.needs("tasks")?;
    let called = bench.called().await?;
    let only = |tool: &Value| tool.pointer("/execution/taskSupport") == Some(&json!("required"));
    let Some((_, exchange)) = called.iter().find(|(tool, _)| only(tool)) else {
        return skip("no tool that was called is a task only (execution.taskSupport)");
    };
    bench.show(exchange);
    expect::error(exchange, &[-32601]).map(|_| ())
}

/// What is missing of a task, or has not the form that it should have.
fn wrong_with(task: &Value, modern: bool) -> Option<String> {
    let text = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default();
    let whole = |name: &str| task.get(name).is_none_or(Value::is_u64);
    let (ttl, poll) = if modern { ("ttlMs", "pollIntervalMs") } else { ("ttl", "pollInterval") };
    let status = text("status");
    match () {
        () if text("taskId").is_empty() => Some("the task has no taskId".to_owned()),
        () if !STATES.contains(&status) => Some(format!("the status of the task is {status:?}")),
        () if !is_time(text("createdAt")) => Some("createdAt is no time as ISO 8601 has it".to_owned()),
        () if !is_time(text("lastUpdatedAt")) => {
            Some("lastUpdatedAt is no time as ISO 8601 has it".to_owned())
        }
        () if task.get(ttl).is_none() => Some(format!("the task has no {ttl}; without limit it is null")),
        () if !whole(ttl) && !task[ttl].is_null() => Some(format!("{ttl} is no whole number")),
        () if !whole(poll) => Some(format!("{poll} is no whole number")),
        () => None,
    }
}

/// Whether `text` is a date and a time, with its zone.
fn is_time(text: &str) -> bool {
    text.contains('T') && Time::parse(text).is_some()
}

async fn create(bench: &mut Bench) -> Verdict {
    let life = bench.task().await?;
    bench.show(&life.created);
    let (name, modern) = (&life.tool, bench.revision.is_modern());
    if let Some(wrong) = wrong_with(life.task(), modern) {
        return fail(format!("{name}: {wrong}"));
    }
    let status = life.task().get("status").and_then(Value::as_str).unwrap_or_default();
    ensure(modern || status == "working", || format!("{name}: the task begins as {status}, not as working"))
}

async fn get(bench: &mut Bench) -> Verdict {
    let life = bench.task().await?;
    let Some(first) = life.polls.first() else { return skip("the task could not be asked for") };
    bench.show(first);
    let (task, modern) = (expect::result(first)?, bench.revision.is_modern());
    if let Some(wrong) = wrong_with(task, modern) {
        return fail(wrong);
    }
    let found = task.get("taskId").cloned().unwrap_or_default();
    ensure(found == life.id(), || format!("asked for was {:?}, and {found} came", life.id()))?;
    let kind = task.get("resultType").and_then(Value::as_str).unwrap_or_default();
    ensure(!modern || kind == "complete", || format!("the resultType of tasks/get is {kind:?}"))
}

async fn status(bench: &mut Bench) -> Verdict {
    let life = bench.task().await?;
    if life.polls.is_empty() {
        return skip("the task could not be asked for");
    }
    for poll in &life.polls {
        bench.show(poll);
        let task = expect::result(poll)?;
        let status = task.get("status").and_then(Value::as_str).unwrap_or_default();
        ensure(STATES.contains(&status), || format!("the status of the task is {status:?}"))?;
        let wanted = match status {
            "completed" => "result",
            "failed" => "error",
            "input_required" => "inputRequests",
            _ => continue,
        };
        let brought = task.get(wanted).is_some_and(Value::is_object);
        ensure(brought || !bench.revision.is_modern(), || {
            format!("a task that is {status} brings no {wanted}")
        })?;
    }
    ended(bench, &life)
}

/// Stops the check as not exercised unless the task was watched to its end.
fn ended(bench: &Bench, life: &Life) -> Verdict {
    let seconds = bench.dialler.options().patience.as_secs();
    match (life.has_ended(), life.status()) {
        (true, _) => Ok(()),
        (false, "input_required") => skip("the task wants input, which only a person can give"),
        (false, status) => skip(format!("the task was {status:?} after {seconds} s; --timeout waits longer")),
    }
}

async fn result(bench: &mut Bench) -> Verdict {
    let life = bench.task().await?;
    ended(bench, &life)?;
    if life.status() == "cancelled" {
        return skip("the task was cancelled, and has no result");
    }
    if !bench.revision.is_modern() {
        return legacy_result(bench, life.id(), life.status()).await;
    }
    let Some(last) = life.polls.last() else { return skip("the task could not be asked for") };
    bench.show(last);
    let task = expect::result(last)?;
    if life.status() == "failed" {
        let error = task.get("error").unwrap_or(&Value::Null);
        let whole = error.get("code").is_some_and(Value::is_i64)
            && error.get("message").is_some_and(Value::is_string);
        return ensure(whole, || {
            "the error of the task is none of JSON-RPC: it has not code and message".to_owned()
        });
    }
    let content = task.pointer("/result/content").is_some_and(Value::is_array);
    ensure(content, || "the result of the task is none of tools/call: it has no content".to_owned())
}

async fn legacy_result(bench: &mut Bench, id: &str, status: &str) -> Verdict {
    let asked = bench.ask_of_task("tasks/result", id).await?;
    if status == "failed" && asked.error().is_some() {
        return Ok(());
    }
    let result = expect::result(&asked)?;
    ensure(result.get("content").is_some_and(Value::is_array), || {
        "the result of the task is none of tools/call: it has no content".to_owned()
    })?;
    let related = result.pointer("/_meta").and_then(|meta| meta.get(RELATED)?.get("taskId"));
    ensure(related == Some(&json!(id)), || {
        format!("the result of the task does not say in _meta, {RELATED}, which task it is of")
    })
}

async fn name_mismatch(bench: &mut Bench) -> Verdict {
    let life = bench.task().await?;
    let params = bench.of_client_with_tasks(json!({"taskId": life.id()}));
    let message = bench.peer.request("tasks/get", params);
    let raw = bench.peer.post(&message).with("mcp-name", "no-such-task-of-yours-1b9d6bcd");
    let asked = bench.raw(raw).await?;
    expect::error(&asked, &[MISMATCH])?;
    expect::status(&asked, &[400])
}

async fn cancel_acknowledged(bench: &mut Bench) -> Verdict {
    let life = bench.task().await?;
    ended(bench, &life)?;
    let asked = bench.ask_of_task("tasks/cancel", life.id()).await?;
    let told = expect::result(&asked)?;
    let brought = ["taskId", "status", "result", "error", "inputRequests"];
    let more = brought.iter().find(|name| told.get(**name).is_some());
    ensure(more.is_none(), || {
        format!("the acknowledgment is not empty: it has {}", more.copied().unwrap_or_default())
    })
}

async fn cancel_ended(bench: &mut Bench) -> Verdict {
    bench.needs("tasks")?;
    if bench.capabilities().get("tasks").is_none_or(|tasks| tasks.get("cancel").is_none()) {
        return skip("the server does not declare tasks.cancel");
    }
    let life = bench.task().await?;
    ended(bench, &life)?;
    let asked = bench.ask_of_task("tasks/cancel", life.id()).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}

async fn ended_stays(bench: &mut Bench) -> Verdict {
    let life = bench.task().await?;
    ended(bench, &life)?;
    bench.ask_of_task("tasks/cancel", life.id()).await?;
    let asked = bench.ask_of_task("tasks/get", life.id()).await?;
    if asked.code() == Some(-32602) {
        return skip("the task is not kept after it has ended");
    }
    let status = expect::result(&asked)?.get("status").cloned().unwrap_or_default();
    ensure(status == life.status(), || format!("the task was {}, and then {status}", life.status()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_what_is_none() {
        let check = |text: &str, expected: bool| assert_eq!(is_time(text), expected, "{text}");
        check("2025-11-25T10:30:00Z", true);
        check("2025-11-25T10:30:00.123456+02:00", true);
        check("2025-11-25T10:30:00-05:00", true);
        check("2025-11-25T10:30:00", false);
        check("2025-11-25 10:30:00Z", false);
        check("1764066600", false);
        check("2025-11-25", false);
        check("", false);
    }
}
