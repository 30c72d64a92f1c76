//! The tasks extension, where it is declared. No task is begun: only what is said of those that there are not.

use serde_json::{Value, json};

use crate::conformance::expect::{self, skip};
use crate::conformance::{Bench, Lifespan, Source, Stop, Verdict, same};
use crate::peer::Exchange;
use crate::protocol::catalog::TASKS;

const NEW: Lifespan = Lifespan::MODERN;
const ERRORS: Source = same(
    "https://github.com/modelcontextprotocol/ext-tasks/blob/main/specification/draft/tasks.md#protocol-errors",
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
