//! Resources, prompts and completion as clients have them, in both eras: what they cost, what the log keeps, what is
//! refused.

use chaterimo::access::{self, Endpoint, Grant, api_key};
use chaterimo::app::{self, App, Caller};
use chaterimo::clock::{Clock, instant};
use chaterimo::import::record::{self, Record};
use chaterimo::protocol::rpc::{self, Incoming};
use chaterimo::protocol::{Session, Step};
use chaterimo::store::Durability;
use chaterimo::store::call_log;
use chaterimo::store::organisation::{self, Plan};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{NOW, with_meta};

/// An organisation with two chatbots and a conversation, and who asks in its name.
struct Shop {
    app: App,
    grant: Grant,
    endpoint: Endpoint,
    _folder: TempDir,
}

impl Shop {
    fn on(plan: Plan) -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
        let made = app.store.write(Durability::Process, move |tx| {
            let ours = tx.tenant(organisation::create(tx, "acme", "Acme", plan, NOW)?.tenant);
            let said = |text: &str| json!({"role": "visitor", "text": text, "sent_at": NOW.to_string()});
            for record in [
                json!({"type": "chatbot", "external_id": "a", "settings": {"name": "Shop assistant"}}),
                json!({"type": "chatbot", "external_id": "b", "settings": {"name": "Outlet"}}),
                json!({"type": "conversation", "external_id": "c", "chatbot": "a",
                    "messages": [said("I am anna@example.com")]}),
            ] {
                let record: Record = serde_json::from_value(record).unwrap();
                record::put(&ours, &record, NOW)?;
            }
            api_key::create(&ours, "test", false, NOW)
        });
        let key = made.unwrap().1;
        let grant = access::authenticate(&app.store, &app.keyring, &key, NOW).unwrap().unwrap();
        Shop { app, grant, endpoint: Endpoint::Full, _folder: folder }
    }

    fn ask_in(&self, session: &mut Session, method: &str, params: &Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let Ok(Incoming::One(message)) = rpc::parse(body.to_string().as_bytes()) else { panic!("{body}") };
        let signals = self.app.signals(&self.grant, self.endpoint, false);
        let view = app::view(access::reach(signals));
        let caller = Caller { grant: &self.grant, signals, transport: "stdio", arrived: instant() };
        let response = match self.app.engine.handle(session, view, None, message) {
            Step::Call(call) => self.app.call(&caller, call).at_once().response,
            Step::Reply(response) => response,
            other => panic!("{body}: {other:?}"),
        };
        serde_json::from_slice(&response.body).unwrap()
    }

    /// What a modern request is answered.
    fn ask(&self, method: &str, params: Value) -> Value {
        self.ask_in(&mut Session::default(), method, &with_meta(&params))
    }

    fn read(&self, uri: &str) -> Value {
        self.ask("resources/read", json!({"uri": uri}))
    }

    /// The calls in the log, oldest first: name, arguments, outcome.
    fn log(&self) -> Vec<(String, String, String)> {
        let tenant = self.grant.tenant;
        let filter = call_log::Filter::default();
        let found = self.app.store.read(|tx| call_log::page(&tx.tenant(tenant), &filter, None, 100)).unwrap();
        let row = |call: &call_log::Entry| (call.tool.clone(), call.arguments.clone(), call.outcome.clone());
        found.calls.iter().rev().map(row).collect()
    }
}

/// The document that a read answers.
fn document(answer: &Value) -> Value {
    let contents = answer["result"]["contents"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(contents.len(), 1);
    assert_eq!(contents[0]["mimeType"], "application/json");
    serde_json::from_str(contents[0]["text"].as_str().unwrap()).unwrap()
}

#[test]
fn reading_a_resource_is_a_call() {
    let shop = Shop::on(Plan::Free);
    let talk = shop.read("chaterimo://conversations/1");
    assert_eq!(document(&talk)["conversations"][0]["messages"][0]["text"], "I am [EMAIL]");
    assert_eq!(talk["result"]["_meta"]["com.chaterimo/quota"]["day"]["remaining"], 4);
    assert_eq!((&talk["result"]["ttlMs"], &talk["result"]["cacheScope"]), (&json!(0), &json!("private")));
    let gone = shop.read("chaterimo://chatbots/9");
    assert_eq!(
        (&gone["error"]["code"], &gone["error"]["data"]["uri"]),
        (&json!(-32602), &json!("chaterimo://chatbots/9"))
    );
    for left in [2, 1] {
        let bot = document(&shop.read("chaterimo://chatbots/1"));
        assert_eq!((&bot["name"], bot["notice"].is_string()), (&json!("Shop assistant"), left == 1));
    }
    shop.read("chaterimo://chatbots/1/history");
    let refused = shop.read("chaterimo://chatbots/1");
    let text = refused["error"]["message"].as_str().unwrap();
    assert!(text.starts_with("quota_exceeded: the free plan's limit of 5 calls"), "{text}");
    assert_eq!(refused["error"]["data"]["window"], "day");
    let row = |uri: &str, outcome: &str| {
        ("resources/read".to_owned(), json!({"uri": uri}).to_string(), outcome.to_owned())
    };
    let bot = "chaterimo://chatbots/1";
    assert_eq!(
        shop.log(),
        [
            row("chaterimo://conversations/1", "ok"),
            row("chaterimo://chatbots/9", "not_found"),
            row(bot, "ok"),
            row(bot, "ok"),
            row("chaterimo://chatbots/1/history", "ok"),
            row(bot, "quota_exceeded"),
        ]
    );
}

#[test]
fn the_rest_costs_nothing_and_is_answered_without_quota() {
    let shop = Shop::on(Plan::Free);
    for _ in 0..5 {
        shop.read("chaterimo://chatbots/1");
    }
    let before = shop.log();
    let usage = document(&shop.read("chaterimo://usage"));
    assert_eq!((&usage["plan"], &usage["day"]["remaining"]), (&json!("free"), &json!(0)));
    assert_eq!(usage["calls"]["today"]["tools"][0]["name"], "resources/read");
    assert_eq!(usage["calls"]["today"]["ok"], 5);
    let list = shop.ask("resources/list", json!({}));
    assert_eq!(list["result"]["resources"].as_array().unwrap().len(), 3);
    let templates = shop.ask("resources/templates/list", json!({}));
    assert_eq!(templates["result"]["resourceTemplates"].as_array().unwrap().len(), 3);
    assert_eq!(shop.ask("prompts/list", json!({}))["result"]["prompts"].as_array().unwrap().len(), 5);
    let prompt = shop.ask("prompts/get", json!({"name": "ticket_patterns"}));
    assert_eq!(prompt["result"]["messages"][0]["role"], "user");
    assert_eq!(shop.read("chaterimo://nothing")["error"]["code"], -32602);
    assert_eq!(shop.log(), before);
}

#[test]
fn both_eras_have_them() {
    let shop = Shop::on(Plan::Paid);
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut session = Session::default();
        let hello = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let opened = shop.ask_in(&mut session, "initialize", &hello);
        let can = &opened["result"]["capabilities"];
        assert_eq!(can["resources"], json!({"listChanged": true, "subscribe": true}), "{version}");
        assert_eq!((&can["prompts"], can["completions"].is_object()), (&json!({}), version != "2024-11-05"));
        let mut ask = |method: &str, params: Value| shop.ask_in(&mut session, method, &params);
        assert_eq!(ask("resources/list", json!({}))["result"]["resources"][1]["name"], "Shop assistant");
        assert_eq!(
            document(&ask("resources/read", json!({"uri": "chaterimo://chatbots/2"})))["name"],
            "Outlet"
        );
        for uri in ["chaterimo://chatbots/9", "chaterimo://usage/", "file:///etc/passwd"] {
            assert_eq!(
                ask("resources/read", json!({"uri": uri}))["error"]["code"],
                -32002,
                "{version} {uri}"
            );
        }
        let prompt =
            ask("prompts/get", json!({"name": "rewrite_instructions", "arguments": {"chatbot": "outlet"}}));
        let text = prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap();
        assert!(text.contains("\"Outlet\" (chatbot_id 2)"), "{text}");
    }
    let found = shop.ask("server/discover", json!({}));
    assert_eq!(found["result"]["capabilities"]["completions"], json!({}));
}

#[test]
fn wrong_parameters_are_named() {
    let shop = Shop::on(Plan::Paid);
    let check = |method: &str, params: Value, expected: &str| {
        let error = shop.ask(method, params)["error"].clone();
        assert_eq!(error["code"], -32602, "{method}: {error}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{method}: {error}");
    };
    check("resources/list", json!({"cursor": "made-up"}), "cursor: not one that this list gave");
    check("resources/read", json!({}), "uri");
    let prompt = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    check("prompts/get", prompt("nothing", json!({})), "nothing");
    check("prompts/get", prompt("rewrite_instructions", json!({})), "chatbot");
    check(
        "prompts/get",
        prompt("rewrite_instructions", json!({"chatbot": "Zebra"})),
        "chatbot: came \"Zebra\"; wanted the number or the name of a chatbot",
    );
    check(
        "prompts/get",
        prompt("rank_chatbots", json!({"days": "0"})),
        "days: came \"0\"; wanted a whole number",
    );
}

#[test]
fn arguments_are_completed() {
    let shop = Shop::on(Plan::Paid);
    let complete = |reference: Value, name: &str, value: &str| {
        let params = json!({"ref": reference, "argument": {"name": name, "value": value}});
        shop.ask("completion/complete", params)["result"]["completion"].clone()
    };
    let prompt = |name: &str| json!({"type": "ref/prompt", "name": name});
    let template = |uri: &str| json!({"type": "ref/resource", "uri": uri});
    let found = |values: &[&str]| json!({"values": values, "hasMore": false, "total": values.len()});
    assert_eq!(complete(prompt("weekly_complaints"), "chatbot", ""), found(&["Shop assistant", "Outlet"]));
    assert_eq!(complete(prompt("weekly_complaints"), "chatbot", "OUT"), found(&["Outlet"]));
    assert_eq!(complete(prompt("rewrite_instructions"), "style", "short"), found(&[]));
    assert_eq!(complete(template("chaterimo://chatbots/{id}"), "id", "let"), found(&["2"]));
    assert_eq!(complete(template("chaterimo://chatbots/{id}/history"), "id", ""), found(&["1", "2"]));
    assert_eq!(complete(template("chaterimo://conversations/{id}"), "id", ""), found(&["1"]));
    assert_eq!(complete(template("chaterimo://conversations/{id}"), "id", "7"), found(&[]));
}

#[test]
fn who_can_only_read_is_not_told_to_write() {
    let mut shop = Shop::on(Plan::Paid);
    let text = |shop: &Shop| {
        let params = json!({"name": "rewrite_instructions", "arguments": {"chatbot": "1"}});
        shop.ask("prompts/get", params)["result"]["messages"][0]["content"]["text"].to_string()
    };
    assert!(text(&shop).contains("update_chatbot_instructions"));
    shop.endpoint = Endpoint::ReadOnly;
    assert!(text(&shop).contains("do not apply"));
    shop.endpoint = Endpoint::Full;
    shop.grant.read_only = true;
    assert!(text(&shop).contains("do not apply"));
}

#[test]
fn views_are_there_for_clients_that_show_them() {
    let shop = Shop::on(Plan::Free);
    let uri = "ui://chaterimo/analytics";
    assert_eq!(shop.read(uri)["error"]["code"], -32602);
    let mut params = with_meta(&json!({"uri": uri}));
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}});
    let read = shop.ask_in(&mut Session::default(), "resources/read", &params);
    let contents = &read["result"]["contents"][0];
    assert_eq!((&contents["uri"], &contents["mimeType"]), (&json!(uri), &json!("text/html;profile=mcp-app")));
    assert!(contents["text"].as_str().unwrap().starts_with("<!doctype html>"));
    assert!(contents["_meta"]["ui"]["csp"].is_object());
    let list = shop.ask_in(&mut Session::default(), "resources/list", &params);
    assert_eq!(list["result"]["resources"].as_array().unwrap().len(), 5);
    assert_eq!(shop.log(), []);
}
