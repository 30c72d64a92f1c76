//! What one organisation is answered does not depend on any other: for each of the tools, and for resources, prompts and
//! completion, byte for byte.

use std::sync::Arc;

use chaterimo::access::api_key;
use chaterimo::app::App;
use chaterimo::clock::{Clock, DAY, Time};
use chaterimo::http::Limits;
use chaterimo::import::record::{self, Record};
use chaterimo::prompts::{Argument, PROMPTS, Takes};
use chaterimo::resources::KINDS;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{DATABASE_FILE, Durability, Store, TenantTx, training_job};
use chaterimo::tools::TOOLS;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::*;

/// In every text that only the other organisation has.
const MARK: &str = "zebra";
/// The number of the chatbot, conversation and ticket that only the other organisation has.
const FOREIGN: i64 = 3;

/// A tool, arguments that name what only the other organisation has, and arguments that list, search or count.
struct Row {
    tool: &'static str,
    foreign: Vec<Value>,
    own: Vec<Value>,
}

/// Every tool has a row; a tool that takes no id of anything has no foreign arguments.
fn rows() -> Vec<Row> {
    let row = |tool: &'static str, foreign: &[Value], own: &[Value]| Row {
        tool,
        foreign: foreign.to_vec(),
        own: own.to_vec(),
    };
    let of_chatbot = |more: Value| {
        let mut arguments = json!({"chatbot_id": FOREIGN});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        [arguments]
    };
    let chatbot = of_chatbot(json!({}));
    let all = json!({});
    vec![
        row("list_chatbots", &[], &[all.clone(), json!({"limit": 1})]),
        row("get_chatbot", &chatbot, &[json!({"chatbot_id": 1})]),
        row(
            "list_conversations",
            &of_chatbot(json!({"query": MARK})),
            &[all.clone(), json!({"query": MARK}), json!({"query": "parcel"}), json!({"chatbot_id": 2})],
        ),
        row(
            "get_conversation",
            &[json!({"conversation_id": FOREIGN}), json!({"conversation_ids": [1, FOREIGN]})],
            &[json!({"conversation_ids": [1, 2]})],
        ),
        row(
            "search_products",
            &of_chatbot(json!({"query": "mug"})),
            &[
                json!({"query": "mug"}),
                json!({"query": MARK}),
                json!({"query": "mugg"}),
                json!({"query": "SKU-1"}),
            ],
        ),
        row("list_products", &[], &[all.clone(), json!({"vendor": "Potter"})]),
        row("list_tickets", &chatbot, &[all.clone(), json!({"status": ["new", "in_progress"]})]),
        row(
            "get_ticket",
            &[json!({"ticket_id": FOREIGN}), json!({"ticket_ids": [1, FOREIGN]})],
            &[json!({"ticket_ids": [1, 2]})],
        ),
        row("list_leads", &chatbot, std::slice::from_ref(&all)),
        row(
            "get_analytics",
            &of_chatbot(json!({"days": 30})),
            &[json!({"days": 30}), json!({"days": 365}), json!({"chatbot_id": 1, "days": 30})],
        ),
        row("list_sales_rules", &chatbot, std::slice::from_ref(&all)),
        row("get_dashboard", &[], std::slice::from_ref(&all)),
        row("update_chatbot_instructions", &of_chatbot(json!({"instructions": "Be brief."})), &[]),
        row("update_chatbot_model", &of_chatbot(json!({"temperature": 0.3})), &[]),
        row("update_chatbot_language", &of_chatbot(json!({"language": "de"})), &[]),
        row("update_chatbot_settings", &of_chatbot(json!({"name": "Mine"})), &[]),
        row("update_widget_appearance", &of_chatbot(json!({"position": "left"})), &[]),
        row("update_widget_texts", &of_chatbot(json!({"submit_label": "Go"})), &[]),
        row("retrain_chatbot", &chatbot, &[]),
    ]
}

#[test]
fn every_tool_has_a_row() {
    let names: Vec<&str> = rows().iter().map(|row| row.tool).collect();
    let table: Vec<&str> = TOOLS.iter().map(|entry| entry.spec.name).collect();
    assert_eq!(names, table, "one row for each tool, in the order of the table");
    for entry in &TOOLS {
        let schema = entry.input_schema();
        let properties = schema["properties"].as_object().unwrap();
        let takes_id = properties.keys().any(|name| name.ends_with("_id") || name.ends_with("_ids"));
        let row = rows().into_iter().find(|row| row.tool == entry.spec.name).unwrap();
        assert_eq!(takes_id, !row.foreign.is_empty(), "{}", row.tool);
    }
}

/// A request that is no call of a tool: method, what its header names, parameters.
type Request = (&'static str, Option<String>, Value);

fn read(uri: String) -> Request {
    ("resources/read", Some(uri.clone()), json!({"uri": uri}))
}

fn get(prompt: &str, arguments: Value) -> Request {
    ("prompts/get", Some(prompt.to_owned()), json!({"name": prompt, "arguments": arguments}))
}

fn complete(reference: Value, argument: &str, value: &str) -> Request {
    ("completion/complete", None, json!({"ref": reference, "argument": {"name": argument, "value": value}}))
}

/// Addresses of everything that has this number.
fn addresses(id: i64) -> Vec<String> {
    let templates = KINDS.iter().filter(|kind| kind.is_template());
    templates.map(|kind| kind.address(id)).collect()
}

/// Requests that name what only the other organisation has.
fn foreign_requests() -> Vec<Request> {
    let mut all: Vec<Request> = addresses(FOREIGN).into_iter().map(read).collect();
    for prompt in &PROMPTS {
        let takes = |argument: &Argument| argument.takes == Takes::Chatbot;
        if prompt.arguments.iter().any(takes) {
            for chatbot in [FOREIGN.to_string(), format!("{MARK} {FOREIGN}")] {
                all.push(get(prompt.name, json!({"chatbot": chatbot, "mention": "parcel"})));
            }
        }
    }
    all
}

/// Requests that read, list or search what we have.
fn own_requests() -> Vec<Request> {
    let mut all = vec![("resources/list", None, json!({}))];
    all.extend(addresses(1).into_iter().map(read));
    all.push(get("ticket_patterns", json!({"chatbot": "plain 2"})));
    all.push(get("rank_chatbots", json!({})));
    for value in ["", "p", "3", MARK, "plain"] {
        all.push(complete(json!({"type": "ref/prompt", "name": "weekly_complaints"}), "chatbot", value));
        for kind in KINDS.iter().filter(|kind| kind.is_template()) {
            all.push(complete(json!({"type": "ref/resource", "uri": kind.uri}), "id", value));
        }
    }
    all
}

#[test]
fn nothing_tells_of_another_organisation() {
    let folder = tempfile::tempdir().unwrap();
    let key = two_organisations(&Store::open(folder.path()).unwrap());
    let fields = format!("Authorization: Bearer {key}\r\n");
    let app = Arc::new(App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap());
    let server = Server::of(Arc::clone(&app), Limits::default(), &[]);
    let ask = |which: fn(&Row) -> &[Value]| -> Vec<(String, String)> {
        let mut answers = Vec::new();
        for row in rows() {
            for arguments in which(&row) {
                let arguments = arguments.to_string();
                let reply = server.ask(call("/mcp", &fields, row.tool, &arguments).as_bytes());
                assert_eq!(reply.status, 200, "{} {arguments}: {reply:?}", row.tool);
                answers.push((format!("{} {arguments}", row.tool), reply.body));
            }
        }
        answers
    };
    let request = |all: Vec<Request>| -> Vec<(String, String)> {
        let one = |(method, name, params): &Request| {
            let bytes = request("/mcp", &fields, method, name.as_deref(), params);
            let reply = server.ask(bytes.as_bytes());
            assert_eq!(reply.status, 200, "{method} {params}: {reply:?}");
            (format!("{method} {params}"), reply.body)
        };
        all.iter().map(one).collect()
    };
    let ask_foreign = || [ask(|row| &row.foreign), request(foreign_requests())].concat();
    let ask_own = || [ask(|row| &row.own), request(own_requests())].concat();
    let (foreign, own) = (ask_foreign(), ask_own());
    // What is theirs is answered like what nobody has.
    for (theirs, nobodys) in addresses(FOREIGN).into_iter().zip(addresses(999)) {
        let answers = request(vec![read(theirs.clone()), read(nobodys.clone())]);
        assert_eq!(answers[0].1, answers[1].1.replace(&nobodys, &theirs));
        assert!(answers[0].1.contains("\"error\""), "{answers:?}");
    }
    for (what, answer) in &own {
        let result = &serde_json::from_str::<Value>(answer).unwrap()["result"];
        assert!(result.is_object() && result["isError"].is_null(), "{what}: {answer}");
    }
    for (what, answer) in foreign.iter().chain(&own) {
        let named = format!("{MARK} {FOREIGN}");
        let said = answer.replace(&named, "").replace(&format!("\\\"{MARK}\\\""), "");
        let said = said.replace(&format!("\"{MARK}\""), "");
        assert!(!said.to_lowercase().contains(MARK), "{what}: {answer}");
    }
    delete_foreign(folder.path());
    assert_same(&foreign, &ask_foreign(), "when the row is deleted");
    assert_same(&own, &ask_own(), "when their rows are deleted");
    fill_theirs(&app.store);
    assert_same(&own, &ask_own(), "when they have more");
    assert_same(&foreign, &ask_foreign(), "when they have more");
}

fn assert_same(before: &[(String, String)], after: &[(String, String)], when: &str) {
    for ((what, before), (_, after)) in before.iter().zip(after) {
        assert_eq!(before, after, "{what} changes {when}");
    }
    assert_eq!(before.len(), after.len());
}

/// Two organisations of which theirs has more of everything; a key of ours, without quota.
fn two_organisations(store: &Store) -> String {
    let made = store.write(Durability::Process, |tx| {
        let [ours, theirs] =
            ["ours", "theirs"].map(|slug| organisation::create(tx, slug, slug, Plan::Paid, NOW));
        let (ours, theirs) = (ours?.tenant, theirs?.tenant);
        organisation::set_plan(tx, ours, Plan::Paid, Some(None), Some(None))?;
        fill(&tx.tenant(ours), "plain", 1..=FOREIGN - 1)?;
        fill(&tx.tenant(theirs), MARK, 1..=FOREIGN + 1)?;
        api_key::create(&tx.tenant(ours), "test", false, NOW)
    });
    made.unwrap().1
}

/// Keys of two organisations, both without quota, of which the first has more of everything.
pub fn two_keys(store: &Store) -> [String; 2] {
    let ours = two_organisations(store);
    let made = store.write(Durability::Process, |tx| {
        let theirs = organisation::named(tx, "theirs")?.tenant;
        organisation::set_plan(tx, theirs, Plan::Paid, Some(None), Some(None))?;
        api_key::create(&tx.tenant(theirs), "test", false, NOW)
    });
    [made.unwrap().1, ours]
}

/// The other organisation grows, by what could move a count, a rank or a score of ours if it were looked at.
fn fill_theirs(store: &Store) {
    let done = store.write(Durability::Process, |tx| {
        let theirs = tx.tenant(organisation::find(tx, "theirs")?.unwrap().tenant);
        fill(&theirs, "mug parcel SKU-1", 100..=160)?;
        training_job::request(&theirs, 1, 10, "test", NOW).map(|_| ())
    });
    done.unwrap();
}

/// One of each kind for each number, all with `word` in their texts.
fn fill(
    tx: &TenantTx<'_>,
    word: &str,
    numbers: std::ops::RangeInclusive<i64>,
) -> chaterimo::error::Result<()> {
    for number in numbers {
        for record in records(word, number) {
            let record: Record = serde_json::from_value(record).unwrap();
            record::put(tx, &record, NOW.plus(-DAY))?;
        }
    }
    Ok(())
}

fn records(word: &str, number: i64) -> Vec<Value> {
    let id = |kind: &str| format!("{kind}-{number}");
    let bot = id("bot");
    let at = |hours: i64| Time(NOW.0 - hours * 3_600_000).to_string();
    vec![
        json!({"type": "chatbot", "external_id": bot, "is_primary": number == 1, "settings": {
            "name": format!("{word} {number}"), "instructions": format!("You sell {word}.")}}),
        json!({"type": "sales_rule", "external_id": id("rule"), "chatbot": bot, "name": word, "trigger": "exit_intent",
            "message": format!("Wait for {word}!")}),
        json!({"type": "product", "source": "shop", "handle": id("mug"), "title": format!("Mug {word} {number}"),
            "description": "A mug of stoneware.", "vendor": "Potter", "currency": "EUR",
            "variants": [{"sku": format!("SKU-{number}"), "price": number + 10, "available": true}]}),
        json!({"type": "document", "external_id": id("doc"), "title": format!("Returns of {word}"), "text": "30 days."}),
        json!({"type": "conversation", "external_id": id("talk"), "chatbot": bot, "visitor": {"name": word}, "messages": [
            {"role": "visitor", "text": format!("Where is my parcel with {word}?"), "sent_at": at(number + 2)},
            {"role": "assistant", "text": format!("The {word} is on its way."), "sent_at": at(number + 1)}]}),
        json!({"type": "ticket", "external_id": id("ticket"), "conversation": id("talk"), "subject": format!("{word} is late"),
            "messages": [{"role": "customer", "text": format!("My {word}!"), "sent_at": at(number)}]}),
        json!({"type": "lead", "external_id": id("lead"), "conversation": id("talk"), "name": word,
            "email": format!("{}@example.com", word.replace(' ', ".")), "captured_at": at(number)}),
    ]
}

/// Takes the rows with the foreign number out of the other organisation, as if they had never been.
fn delete_foreign(folder: &std::path::Path) {
    let database = Connection::open(folder.join(DATABASE_FILE)).unwrap();
    database.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let theirs: i64 = database
        .query_row("SELECT id FROM organisation WHERE slug = 'theirs'", [], |row| row.get(0))
        .unwrap();
    let mut deleted = 0;
    for table in ["chatbot", "conversation", "ticket"] {
        let sql = format!("DELETE FROM {table} WHERE organisation = ?1 AND id = ?2");
        deleted += database.execute(&sql, [theirs, FOREIGN]).unwrap();
    }
    assert_eq!(deleted, 3, "one row of each");
}
