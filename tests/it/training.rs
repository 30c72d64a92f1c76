//! Retraining as a user meets it: asked for over stdio, done behind the answer, by this process or the next.

use chaterimo::app::App;
use chaterimo::clock::Clock;
use chaterimo::stdio;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{Durability, chatbot, product};
use serde_json::{Value, json};
use tempfile::TempDir;

fn app(folder: &TempDir) -> App {
    App::open(folder.path(), Clock::System, false, vec![]).unwrap()
}

/// An organisation with a chatbot and 200 products; its key.
pub fn fill(app: &App) -> String {
    let now = app.clock.now();
    let made = app.store.write(Durability::Disk, move |tx| {
        let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, now)?.tenant;
        organisation::set_plan(tx, tenant, Plan::Paid, Some(None), Some(None))?;
        let tx = tx.tenant(tenant);
        let bot = json!({"external_id": "a", "settings": {"name": "a"}});
        chatbot::put(&tx, &serde_json::from_value(bot).unwrap(), now)?;
        for number in 0..200 {
            let new = json!({"source": "shopify", "handle": format!("shoe-{number}"), "title": "Red shoe"});
            product::put(&tx, &serde_json::from_value(new).unwrap(), now)?;
        }
        chaterimo::access::api_key::create(&tx, "test", false, now)
    });
    made.unwrap().1
}

fn call(app: &App, key: &str, tool: &str, arguments: Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool, "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}
        }
    }});
    let mut output = Vec::new();
    stdio::run(app, key, message.to_string().as_bytes(), &mut output).unwrap();
    let answer: Value = serde_json::from_slice(&output).unwrap();
    answer["result"]["structuredContent"].clone()
}

/// The job as get_chatbot shows it once it is over.
fn outcome(app: &App, key: &str) -> Value {
    loop {
        let shown = call(app, key, "get_chatbot", json!({"chatbot_id": 1}));
        let job = &shown["training"];
        assert!(job["done"].as_i64().unwrap() <= job["total"].as_i64().unwrap(), "{job}");
        if !matches!(job["status"].as_str().unwrap(), "queued" | "running") {
            assert_eq!(shown["knowledge_sources"][0]["indexed_at"], job["finished_at"]);
            return job.clone();
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_job_is_done_behind_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder);
    let key = fill(&app);
    app.start_training();
    let answer = call(&app, &key, "retrain_chatbot", json!({"chatbot_id": 1}));
    assert_eq!(answer["already_running"], false);
    let job = outcome(&app, &key);
    assert_eq!(
        job,
        json!({
            "id": 1, "chatbot_id": 1, "status": "done", "done": 200, "total": 200,
            "requested_at": answer["job"]["requested_at"], "started_at": job["started_at"],
            "finished_at": job["finished_at"]
        })
    );
    assert_eq!(call(&app, &key, "retrain_chatbot", json!({"chatbot_id": 1}))["job"]["id"], 2);
    assert_eq!(outcome(&app, &key)["status"], "done");
}

#[test]
fn what_one_process_queues_the_next_one_does() {
    let folder = tempfile::tempdir().unwrap();
    let first = app(&folder);
    let key = fill(&first);
    call(&first, &key, "retrain_chatbot", json!({"chatbot_id": 1}));
    let again = call(&first, &key, "retrain_chatbot", json!({"chatbot_id": 1}));
    assert_eq!((&again["already_running"], &again["job"]["status"]), (&json!(true), &json!("queued")));
    drop(first);
    let second = app(&folder);
    second.start_training();
    assert_eq!(outcome(&second, &key)["done"], 200);
}

#[test]
fn an_app_that_ends_leaves_no_job_running() {
    let folder = tempfile::tempdir().unwrap();
    let first = app(&folder);
    let key = fill(&first);
    first.start_training();
    call(&first, &key, "retrain_chatbot", json!({"chatbot_id": 1}));
    drop(first);
    let second = app(&folder);
    let shown = call(&second, &key, "get_chatbot", json!({"chatbot_id": 1}));
    assert_ne!(shown["training"]["status"], "running");
    second.start_training();
    assert_eq!(outcome(&second, &key)["status"], "done");
}
