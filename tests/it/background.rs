//! What a call may become besides an answer: a task, work that is followed, a question to the person. Without a thread of
//! training, so that each step is the test's own.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use chaterimo::access::{self, Endpoint, Grant, api_key};
use chaterimo::app::follow::Look;
use chaterimo::app::{self, Answer, App, Caller};
use chaterimo::clock::{Clock, DAY, MINUTE, instant};
use chaterimo::protocol::rpc::{self, Incoming};
use chaterimo::protocol::{Call, Event, Filter, Session, Step};
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::training_job::{self, Status};
use chaterimo::store::{Durability, SystemTx, Tenant, call_log, chatbot, document, quota};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::NOW;

const TASKS: &str = "io.modelcontextprotocol/tasks";

struct Shop {
    app: App,
    clock: Clock,
    grant: Grant,
    folder: TempDir,
    ids: AtomicI64,
}

impl Shop {
    fn new() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW);
        let app = App::open(folder.path(), clock.clone(), false, Vec::new()).unwrap();
        let grant = organisation_with_a_chatbot(&app, "acme");
        Shop { app, clock, grant, folder, ids: AtomicI64::new(1) }
    }

    /// The server after a restart.
    fn restarted(self) -> Shop {
        let app = App::open(self.folder.path(), self.clock.clone(), false, Vec::new()).unwrap();
        Shop { app, ..self }
    }

    fn system<T: Send + 'static>(&self, job: impl FnOnce(&SystemTx<'_>) -> T + Send + 'static) -> T {
        self.app.store.write(Durability::Process, move |tx| Ok(job(tx))).unwrap()
    }

    fn tenant(&self) -> Tenant {
        self.grant.tenant
    }

    /// Begins the waiting job as a worker does, notes so much as done, and ends it if it is all.
    fn train(&self, done: i64, total: i64) {
        let (tenant, now) = (self.tenant(), self.clock.now());
        self.system(move |tx| {
            training_job::claim(tx, "worker", now).unwrap();
            let tx = tx.tenant(tenant);
            let job = training_job::latest(&tx, 1).unwrap().unwrap().id;
            training_job::progress(&tx, job, "worker", done, total, now).unwrap();
            if done == total {
                training_job::finish(&tx, job, "worker", Status::Done, None, now).unwrap();
            }
        });
    }

    fn request(&self, method: &str, mut params: Value, capabilities: Value, token: Option<&str>) -> Call {
        let id = self.ids.fetch_add(1, Relaxed);
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities});
        if let Some(token) = token {
            params["_meta"]["progressToken"] = token.into();
        }
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let Ok(Incoming::One(message)) = rpc::parse(body.to_string().as_bytes()) else { panic!("{body}") };
        let view = app::view(access::reach(self.app.signals(&self.grant, Endpoint::Full, false)));
        match self.app.engine.handle(&mut Session::default(), view, None, message) {
            Step::Call(call) => call,
            Step::Reply(response) => panic!("{}", String::from_utf8_lossy(&response.body)),
            _ => panic!("{method} is no call"),
        }
    }

    fn answer(&self, grant: &Grant, call: Call) -> Answer {
        let signals = self.app.signals(grant, Endpoint::Full, false);
        self.app.call(&Caller { grant, signals, transport: "http", arrived: instant() }, call)
    }

    fn ask(&self, grant: &Grant, method: &str, params: Value, capabilities: Value) -> Value {
        now(self.answer(grant, self.request(method, params, capabilities, None)))
    }

    fn task(&self, method: &str, id: &str) -> Value {
        let mut params = json!({"taskId": id});
        if method == "tasks/update" {
            params["inputResponses"] = json!({"nobody asked": {"action": "accept"}});
        }
        self.ask(&self.grant, method, params, json!({"extensions": {TASKS: {}}}))
    }

    fn retrain(&self) -> Value {
        let params = json!({"name": "retrain_chatbot", "arguments": {"chatbot_id": 1}});
        self.ask(&self.grant, "tools/call", params, json!({"extensions": {TASKS: {}}}))["result"].clone()
    }

    /// Calls counted against the quota today, and what the log says of each call, newest first.
    fn counted(&self) -> (u32, Vec<(String, String)>) {
        let (tenant, now) = (self.tenant(), self.clock.now());
        self.system(move |tx| {
            let tx = tx.tenant(tenant);
            let day = quota::balance(&tx, now).unwrap().day;
            let mut rows = Vec::new();
            let take = |row: call_log::Entry| {
                rows.push((row.tool, row.outcome));
                Ok(())
            };
            call_log::each(&tx, &call_log::Filter::default(), 100, take).unwrap();
            (day.limit.unwrap() - day.remaining.unwrap(), rows)
        })
    }
}

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn organisation_with_a_chatbot(app: &App, slug: &'static str) -> Grant {
    let made = app.store.write(Durability::Process, move |tx| {
        let tenant = organisation::create(tx, slug, slug, Plan::Paid, NOW)?.tenant;
        let tx = tx.tenant(tenant);
        let bot = json!({"external_id": "a", "settings": {"name": "Shop assistant"}});
        chatbot::put(&tx, &serde_json::from_value(bot).unwrap(), NOW)?;
        let new = json!({"external_id": "d", "title": "Returns", "text": "Within 30 days."});
        document::put(&tx, &serde_json::from_value(new).unwrap(), NOW)?;
        api_key::create(&tx, "test", false, NOW)
    });
    let key = made.unwrap().1;
    access::authenticate(&app.store, &app.keyring, &key, NOW).unwrap().unwrap()
}

#[test]
fn retraining_is_a_task_for_who_takes_tasks() {
    let shop = Shop::new();
    let made = shop.retrain();
    let id = made["taskId"].as_str().unwrap().to_owned();
    let seed = json!({
        "resultType": "task", "taskId": id, "status": "working",
        "statusMessage": "Waiting to begin; 1 things are to be indexed.", "createdAt": NOW, "lastUpdatedAt": NOW,
        "ttlMs": 86_400_000, "pollIntervalMs": 1_000, "_meta": made["_meta"]
    });
    assert_eq!(made, seed);

    shop.clock.advance(5_000);
    shop.train(0, 1);
    let running = &shop.task("tasks/get", &id)["result"];
    assert_eq!((&running["resultType"], &running["status"]), (&json!("complete"), &json!("working")));
    assert_eq!(running["statusMessage"], "Indexed 0 of 1 things.");
    assert_eq!(running["lastUpdatedAt"], json!(NOW.plus(5_000)));
    assert_eq!(shop.task("tasks/update", &id)["result"]["resultType"], "complete");
    assert_eq!(running.get("result"), None);

    let shop = shop.restarted();
    shop.train(1, 1);
    let done = shop.task("tasks/get", &id)["result"].clone();
    assert_eq!((&done["status"], &done["resultType"]), (&json!("completed"), &json!("complete")));
    let job = &done["result"]["structuredContent"]["job"];
    assert_eq!((&job["status"], &job["done"]), (&json!("done"), &json!(1)));
    let text: Value = serde_json::from_str(done["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, done["result"]["structuredContent"]);
    assert_eq!(done["result"]["structuredContent"]["already_running"], false);
    // The creating call is the one that counts, and the one that is in the log.
    assert_eq!(shop.counted(), (1, vec![("retrain_chatbot".to_owned(), "ok".to_owned())]));

    shop.clock.advance(DAY);
    assert_eq!(shop.task("tasks/get", &id)["error"]["code"], -32602, "it has expired");
}

#[test]
fn a_task_is_its_organisations_alone() {
    let shop = Shop::new();
    let id = shop.retrain()["taskId"].as_str().unwrap().to_owned();
    let other = organisation_with_a_chatbot(&shop.app, "other");
    let tasks = json!({"extensions": {TASKS: {}}});
    let get = |grant: &Grant, id: &str| shop.ask(grant, "tasks/get", json!({"taskId": id}), tasks.clone());
    let unknown = |id: &str| {
        let mut answer = get(&shop.grant, id);
        answer["id"] = json!(0);
        answer
    };
    let never = unknown("task.k.AAAA");
    assert_eq!(never["error"]["code"], -32602);
    assert_eq!(get(&shop.grant, &id)["result"]["status"], "working");
    let mut foreign = get(&other, &id);
    foreign["id"] = json!(0);
    assert_eq!(foreign, never, "what is another's is answered like what is not there");
    for wrong in [format!("{id}A"), id[..id.len() - 1].to_owned(), id.to_uppercase()] {
        assert_eq!(unknown(&wrong), never, "{wrong}");
    }
    let limited = Grant { chatbots: Some([7].into()), ..shop.grant.clone() };
    assert!(get(&limited, &id)["error"].is_object(), "its chatbot is none that this credential knows");
    for method in ["tasks/update", "tasks/cancel"] {
        assert_eq!(shop.task(method, "task.k.AAAA")["error"]["code"], -32602, "{method}");
    }
}

#[test]
fn a_cancelled_task_ends_its_job_and_the_next_call_begins_another() {
    let shop = Shop::new();
    let id = shop.retrain()["taskId"].as_str().unwrap().to_owned();
    let reader = Grant { read_only: true, ..shop.grant.clone() };
    let tasks = json!({"extensions": {TASKS: {}}});
    let refused = shop.ask(&reader, "tasks/cancel", json!({"taskId": id}), tasks);
    assert!(refused["error"]["message"].as_str().unwrap().contains("read"), "{refused}");
    assert_eq!(shop.task("tasks/get", &id)["result"]["status"], "working");

    let cancelled = shop.task("tasks/cancel", &id);
    assert_eq!(cancelled["result"]["resultType"], "complete");
    let stands = &shop.task("tasks/get", &id)["result"];
    assert_eq!((&stands["status"], stands.get("result")), (&json!("cancelled"), None));
    assert_eq!(shop.task("tasks/cancel", &id)["result"]["resultType"], "complete", "twice is no error");
    let logged = shop.counted().1.into_iter().filter(|(tool, _)| tool == "tasks/cancel").count();
    assert_eq!(logged, 1, "what changes nothing leaves no row");
    let next = shop.retrain();
    assert!(next["taskId"] != id && next["status"] == "working", "{next}");
    assert_eq!(shop.counted().0, 2);
}

#[test]
fn a_stream_is_told_how_its_tasks_stand() {
    let shop = Shop::new();
    let id = shop.retrain()["taskId"].as_str().unwrap().to_owned();
    let filter = Filter { tasks: vec![id.clone(), "task.k.AAAA".to_owned()], ..Filter::default() };
    let mut feed = app::Feed::new(&shop.app, &shop.grant, &filter).unwrap();
    let mut check = |status: Option<&str>| {
        let told: Vec<Value> = feed
            .news(&filter)
            .unwrap()
            .iter()
            .map(|event| match event {
                Event::Task { id: told, members } if *told == id => body(members.as_bytes()),
                other => panic!("{other:?}"),
            })
            .collect();
        let mut stands = shop.task("tasks/get", &id)["result"].clone();
        stands
            .as_object_mut()
            .unwrap()
            .retain(|member, _| !matches!(member.as_str(), "resultType" | "_meta"));
        assert_eq!(
            told,
            Vec::from_iter(status.map(|status| {
                assert_eq!(stands["status"], status);
                stands.clone()
            }))
        );
    };
    check(Some("working"));
    check(None);
    shop.train(32, 64);
    check(Some("working"));
    shop.train(64, 64);
    check(Some("completed"));
    check(None);
    let other = organisation_with_a_chatbot(&shop.app, "other");
    assert_eq!(app::Feed::new(&shop.app, &other, &filter).unwrap().news(&filter).unwrap(), []);
}

#[test]
fn who_asked_for_progress_is_told_and_answered_when_the_work_is_done() {
    let shop = Shop::new();
    let retrain = |token: Option<&str>| {
        let params = json!({"name": "retrain_chatbot", "arguments": {"chatbot_id": 1}});
        shop.request("tools/call", params, json!({}), token)
    };
    let call = retrain(Some("p"));
    assert!(app::converses(&call));
    let Answer::Later(mut follow) = shop.answer(&shop.grant, call) else { panic!("answered at once") };
    let news = |look: Look| match look {
        Look::Wait(news) => news.map(|bytes| body(&bytes)["params"].clone()),
        Look::Done => panic!("it is over"),
    };
    let told = |done: i64, total: i64, message: &str| {
        Some(json!({"progressToken": "p", "progress": done, "total": total, "message": message}))
    };
    assert_eq!(news(follow.look().unwrap()), told(0, 1, "Waiting to begin; 1 things are to be indexed."));
    assert_eq!(news(follow.look().unwrap()), None);
    shop.train(32, 64);
    assert_eq!(news(follow.look().unwrap()), told(32, 64, "Indexed 32 of 64 things."));
    assert_eq!(news(follow.look().unwrap()), None);

    // A second client that waits no longer is answered with the work as it stands.
    let Answer::Later(mut impatient) = shop.answer(&shop.grant, retrain(Some("q"))) else {
        panic!("answered at once")
    };
    impatient.look().unwrap();
    let late = body(&impatient.finish().body)["result"]["structuredContent"].clone();
    assert_eq!(
        (&late["already_running"], &late["job"]["status"], &late["job"]["done"]),
        (&json!(true), &json!("running"), &json!(32))
    );

    shop.train(64, 64);
    assert_eq!(news(follow.look().unwrap()), told(64, 64, "All 64 things are indexed."));
    assert!(matches!(follow.look().unwrap(), Look::Done));
    let answer = body(&follow.finish().body)["result"].clone();
    assert_eq!(answer["structuredContent"]["job"]["status"], "done");
    assert_eq!(answer["_meta"]["com.chaterimo/quota"]["day"]["remaining"], 999);

    // Without a token there is an answer at once.
    let call = retrain(None);
    assert!(!app::converses(&call));
    assert_eq!(now(shop.answer(&shop.grant, call))["result"]["structuredContent"]["job"]["status"], "queued");
}

/// The message of an answer that waits for nothing.
fn now(answer: Answer) -> Value {
    let Answer::Now(reply) = answer else { panic!("it is not answered yet") };
    body(&reply.response.body)
}

/// A call that takes chatbot 1 offline, after the person was asked: with these answers and the state that came along.
fn off(shop: &Shop, answer: Option<(Value, &str)>) -> Value {
    off_with(shop, &shop.grant, json!({"chatbot_id": 1, "enabled": false}), answer)
}

fn off_with(shop: &Shop, grant: &Grant, arguments: Value, answer: Option<(Value, &str)>) -> Value {
    let mut params = json!({"name": "update_chatbot_settings", "arguments": arguments});
    if let Some((answer, state)) = answer {
        params["inputResponses"] = json!({"confirm": answer});
        params["requestState"] = state.into();
    }
    shop.ask(grant, "tools/call", params, json!({"elicitation": {}}))
}

fn enabled(shop: &Shop) -> bool {
    let tenant = shop.tenant();
    shop.system(move |tx| chatbot::get(&tx.tenant(tenant), 1).unwrap().unwrap().settings.enabled)
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"confirm": true}})
}

#[test]
fn a_person_is_asked_before_a_chatbot_goes_offline() {
    let shop = Shop::new();
    let asked = off(&shop, None)["result"].clone();
    assert_eq!(asked["resultType"], "input_required");
    let question = &asked["inputRequests"]["confirm"];
    assert_eq!(question["method"], "elicitation/create");
    assert!(question["params"]["message"].as_str().unwrap().contains("“Shop assistant”"), "{question}");
    assert_eq!(question["params"]["requestedSchema"]["properties"]["confirm"]["type"], "boolean");
    let state = asked["requestState"].as_str().unwrap();
    assert!(enabled(&shop));
    assert_eq!(
        shop.counted(),
        (0, vec![("update_chatbot_settings".to_owned(), "input_required".to_owned())])
    );

    for no in [
        json!({"action": "decline"}),
        json!({"action": "cancel"}),
        json!({"action": "accept"}),
        json!(7),
        json!({"action": "accept", "content": {"confirm": false}}),
    ] {
        let text = off(&shop, Some((no, state)))["result"].clone();
        assert!(
            text["isError"] == true && text["content"][0]["text"].as_str().unwrap().starts_with("declined: "),
            "{text}"
        );
    }
    assert!(enabled(&shop) && shop.counted().0 == 0);

    let done = off(&shop, Some((yes(), state)))["result"].clone();
    assert_eq!(done["structuredContent"]["after"], json!({"enabled": false}));
    assert!(!enabled(&shop) && shop.counted().0 == 1);
    // It is offline: there is nothing to ask any more.
    assert_eq!(off(&shop, None)["result"]["structuredContent"]["unchanged"], true);
}

#[test]
fn a_state_is_good_for_its_own_call_alone() {
    let shop = Shop::new();
    let state = off(&shop, None)["result"]["requestState"].as_str().unwrap().to_owned();
    let refuses = |grant: &Grant, arguments: Value, state: &str| {
        let answer = off_with(&shop, grant, arguments, Some((yes(), state)));
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("without it"), "{answer}");
        assert!(enabled(&shop));
    };
    let arguments = json!({"chatbot_id": 1, "enabled": false});
    let other_key = Grant { credential: "key:2".to_owned(), ..shop.grant.clone() };
    refuses(&other_key, arguments.clone(), &state);
    refuses(&organisation_with_a_chatbot(&shop.app, "other"), arguments.clone(), &state);
    refuses(&shop.grant, json!({"chatbot_id": 1, "enabled": false, "strictness": "strict"}), &state);
    refuses(&shop.grant, arguments.clone(), "");
    refuses(&shop.grant, arguments.clone(), &format!("{state}A"));
    shop.clock.advance(10 * MINUTE);
    refuses(&shop.grant, arguments, &state);
    assert_eq!(shop.counted().0, 0);
}

#[test]
fn a_yes_is_to_the_version_that_was_asked_about() {
    let shop = Shop::new();
    let state = off(&shop, None)["result"]["requestState"].as_str().unwrap().to_owned();
    let params =
        json!({"name": "update_chatbot_settings", "arguments": {"chatbot_id": 1, "name": "Renamed"}});
    shop.ask(&shop.grant, "tools/call", params, json!({"elicitation": {}}));
    let again = off(&shop, Some((yes(), &state)))["result"].clone();
    assert!(
        again["inputRequests"]["confirm"]["params"]["message"].as_str().unwrap().contains("“Renamed”"),
        "{again}"
    );
    let state = again["requestState"].as_str().unwrap();
    assert_eq!(off(&shop, Some((yes(), state)))["result"]["structuredContent"]["version"], 3);
}

#[test]
fn who_cannot_be_asked_is_not() {
    let shop = Shop::new();
    let params = json!({"name": "update_chatbot_settings", "arguments": {"chatbot_id": 1, "enabled": false}});
    for cannot in [json!({}), json!({"elicitation": {"url": {}}})] {
        let call = shop.request("tools/call", params.clone(), cannot, None);
        assert_eq!(now(shop.answer(&shop.grant, call))["result"]["isError"], Value::Null);
    }
    let shop = Shop::new();
    let reader = Grant { read_only: true, ..shop.grant.clone() };
    let text = off_with(&shop, &reader, json!({"chatbot_id": 1, "enabled": false}), None)["result"].clone();
    assert!(text["content"][0]["text"].as_str().unwrap().starts_with("read_only: "), "{text}");
}
