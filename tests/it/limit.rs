//! A grant that is limited to some chatbots is answered as if the organisation had no others: byte for byte what an
//! organisation that has only those is answered.

use chaterimo::access::{self, Endpoint, Grant, api_key};
use chaterimo::app::{self, App, Caller};
use chaterimo::clock::{Clock, DAY, Time, instant};
use chaterimo::import::record::{self, Record};
use chaterimo::prompts::PROMPTS;
use chaterimo::protocol::rpc::{self, Incoming};
use chaterimo::protocol::{Session, Step};
use chaterimo::resources::KINDS;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{Durability, TenantTx, chatbot, training_job};
use chaterimo::tools::TOOLS;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{NOW, with_meta};

/// In every text that is of the hidden chatbot.
const MARK: &str = "zebra";

/// An organisation, and a grant on all of it.
struct Shop {
    app: App,
    grant: Grant,
    _folder: TempDir,
}

impl Shop {
    fn new() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
        let made = app.store.write(Durability::Process, |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, NOW)?.tenant;
            organisation::set_plan(tx, tenant, Plan::Paid, Some(None), Some(None))?;
            api_key::create(&tx.tenant(tenant), "test", false, NOW)
        });
        let key = made.unwrap().1;
        let grant = access::authenticate(&app.store, &app.keyring, &key, NOW).unwrap().unwrap();
        Shop { app, grant, _folder: folder }
    }

    fn put(&self, records: Vec<Value>) {
        self.write(move |tx| {
            for record in &records {
                let record: Record = serde_json::from_value(record.clone()).unwrap();
                record::put(tx, &record, NOW.plus(-DAY))?;
            }
            Ok(())
        });
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&TenantTx<'_>) -> chaterimo::error::Result<T> + Send + 'static,
    ) -> T {
        let tenant = self.grant.tenant;
        self.app.store.write(Durability::Process, move |tx| job(&tx.tenant(tenant))).unwrap()
    }

    fn limited(&self, chatbots: &[i64]) -> Grant {
        Grant { chatbots: Some(chatbots.into()), ..self.grant.clone() }
    }

    /// What a call is answered, as it is sent.
    fn ask(&self, grant: &Grant, tool: &str, arguments: &Value) -> String {
        self.request(grant, "tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// What any request is answered.
    fn request(&self, grant: &Grant, method: &str, params: &Value) -> String {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": with_meta(params)});
        let Ok(Incoming::One(message)) = rpc::parse(body.to_string().as_bytes()) else { panic!("{body}") };
        let signals = self.app.signals(grant, Endpoint::Full, false);
        let view = app::view(access::reach(signals));
        let Step::Call(call) = self.app.engine.handle(&mut Session::default(), view, None, message) else {
            panic!("{body} is no call")
        };
        let caller = Caller { grant, signals, transport: "stdio", arrived: instant() };
        String::from_utf8(self.app.call(&caller, call).at_once().response.body).unwrap()
    }

    /// Every page of what a call is answered; of a cursor, that there is one.
    fn pages(&self, grant: &Grant, tool: &str, arguments: &Value) -> Vec<String> {
        let (mut arguments, mut pages) = (arguments.clone(), Vec::new());
        loop {
            let page = self.ask(grant, tool, &arguments);
            let Some(cursor) = cursor(&page) else {
                pages.push(page);
                return pages;
            };
            pages.push(page.replace(&cursor, "a cursor"));
            assert!(pages.len() < 50, "{tool} {arguments} has no end");
            arguments["cursor"] = json!(cursor);
        }
    }
}

fn cursor(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["result"]["structuredContent"]["next_cursor"].as_str().map(str::to_owned)
}

fn at(hours: i64) -> String {
    Time(NOW.0 - hours * 3_600_000).to_string()
}

/// Everything of one chatbot; of the hidden one all texts and times resemble the other's.
fn things(bot: &str, catalogue: &str, word: &str) -> Vec<Value> {
    let id = |kind: &str, number: i64| format!("{bot}-{kind}-{number}");
    let mut all = vec![
        json!({"type": "chatbot", "external_id": bot, "settings": {"name": format!("{word} bot"),
            "instructions": format!("You sell {word}.")}}),
        json!({"type": "knowledge_source", "chatbot": bot, "catalogue": catalogue}),
        json!({"type": "document", "external_id": id("doc", 1), "chatbot": bot, "title": word, "text": "30 days."}),
    ];
    for n in 1..=4 {
        all.extend([
            json!({"type": "sales_rule", "external_id": id("rule", n), "chatbot": bot, "name": word,
                "trigger": "exit_intent", "message": format!("Wait for {word}!")}),
            json!({"type": "product", "source": catalogue, "handle": id("mug", n), "title": format!("Mug {word} {n}"),
                "description": format!("A mug of stoneware. {}", "Glazed. ".repeat(n as usize)), "vendor": "Potter",
                "currency": "EUR", "variants": [{"sku": format!("SKU-{n}"), "price": n + 10, "available": true}]}),
            json!({"type": "conversation", "external_id": id("talk", n), "chatbot": bot,
                "platform": if n % 2 == 0 { "whatsapp" } else { "web" }, "visitor": {"name": word}, "messages": [
                {"role": "visitor", "text": format!("Where is my parcel with {word}?"), "sent_at": at(20 * n)},
                {"role": "assistant", "text": format!("The {word} is on its way."), "sent_at": at(20 * n - 1)}]}),
            json!({"type": "ticket", "external_id": id("ticket", n), "conversation": id("talk", n),
                "subject": format!("{word} is late"), "created_at": at(n),
                "messages": [{"role": "customer", "text": format!("My {word}!"), "sent_at": at(n)}]}),
            json!({"type": "lead", "external_id": id("lead", n), "conversation": id("talk", n), "name": word,
                "email": format!("{word}@example.com"), "captured_at": at(n)}),
        ]);
    }
    all
}

/// A ticket and a lead of the chatbot that is seen, which came of this conversation.
fn linked(conversation: Option<&str>) -> Vec<Value> {
    vec![
        json!({"type": "ticket", "external_id": "moved", "chatbot": "seen", "conversation": conversation,
            "subject": "Moved", "created_at": at(9), "messages": [{"role": "customer", "text": "Hm", "sent_at": at(9)}]}),
        json!({"type": "lead", "external_id": "moved", "chatbot": "seen", "conversation": conversation,
            "email": "a@example.com", "captured_at": at(9)}),
    ]
}

/// What belongs to no chatbot, or to the hidden one through what the other said.
fn astray() -> Vec<Value> {
    let ticket = |id: &str, more: Value| {
        let mut ticket = json!({"type": "ticket", "external_id": id, "subject": MARK, "created_at": at(2),
            "messages": [{"role": "customer", "text": MARK, "sent_at": at(2)}]});
        ticket.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ticket
    };
    vec![
        ticket("nobody's", json!({})),
        ticket("theirs", json!({"chatbot": "hidden", "conversation": "seen-talk-1"})),
        json!({"type": "lead", "external_id": "nobody's", "email": "zebra@example.com", "captured_at": at(2)}),
        json!({"type": "lead", "external_id": "theirs", "chatbot": "hidden", "conversation": "seen-talk-1",
            "email": "zebra@example.com", "captured_at": at(2)}),
        json!({"type": "product", "source": "depot", "handle": "boot", "title": "Zebra mugg boot"}),
    ]
}

/// The same organisation with a hidden chatbot, and without it.
fn shops() -> (Shop, Shop) {
    let (with, without) = (Shop::new(), Shop::new());
    for shop in [&with, &without] {
        shop.put(things("seen", "shop", "plain"));
        shop.put(vec![
            json!({"type": "document", "external_id": "all", "title": "Returns", "text": "30 days."}),
        ]);
    }
    without.put(linked(None));
    let (mut hidden, mut later) = (things("hidden", "woo", MARK), Vec::new());
    hidden.retain(|record| {
        let of_chatbot = !matches!(record["type"].as_str(), Some("ticket" | "lead"));
        if !of_chatbot {
            later.push(record.clone());
        }
        of_chatbot
    });
    with.put(hidden);
    with.put(linked(Some("hidden-talk-1")));
    with.put(later);
    with.put(astray());
    let change = json!({"chatbot_id": 2, "name": MARK});
    assert!(!with.ask(&with.grant, "update_chatbot_settings", &change).contains("isError\":true"));
    (with, without)
}

/// Calls of every tool; `2` is the hidden chatbot, and what is above 5 is its conversations and tickets.
fn calls() -> Vec<(&'static str, Value)> {
    let mut all = Vec::new();
    let mut add = |tool: &'static str, arguments: &[Value]| {
        all.extend(arguments.iter().map(|arguments| (tool, arguments.clone())));
    };
    let lists = [json!({}), json!({"limit": 1}), json!({"chatbot_id": 1}), json!({"chatbot_id": 2})];
    let chatbots = [json!({"chatbot_id": 1}), json!({"chatbot_id": 2})];
    add("list_chatbots", &[json!({}), json!({"limit": 1})]);
    add("get_chatbot", &chatbots);
    add("list_conversations", &lists);
    add(
        "list_conversations",
        &["parcel", MARK, "plain way"].map(|query| json!({"query": query, "limit": 2})),
    );
    add("list_conversations", &[json!({"platform": "web"}), json!({"from": at(50)})]);
    add("get_conversation", &[json!({"conversation_id": 1}), json!({"conversation_id": 6})]);
    add("get_conversation", &[json!({"conversation_ids": [1, 2, 6]})]);
    add(
        "search_products",
        &["mug", MARK, "zebre", "mugg", "stonewear glazed", "SKU-1", "boot"]
            .map(|query| json!({"query": query})),
    );
    add("search_products", &[json!({"query": "mug", "limit": 1}), json!({"query": "mug", "in_stock": true})]);
    add("search_products", &[1, 2].map(|id| json!({"query": "mug", "chatbot_id": id})));
    add("list_products", &[json!({}), json!({"limit": 3}), json!({"vendor": "Potter"})]);
    add("list_tickets", &lists);
    add("list_tickets", &[json!({"status": ["new", "in_progress"]}), json!({"from": at(3)})]);
    add(
        "get_ticket",
        &[json!({"ticket_id": 5}), json!({"ticket_id": 6}), json!({"ticket_ids": [1, 5, 6, 11]})],
    );
    add("list_leads", &lists);
    add("get_analytics", &[json!({"days": 30}), json!({"days": 2}), json!({"days": 365})]);
    add("get_analytics", &[json!({"days": 3, "chatbot_id": 1}), json!({"days": 3, "chatbot_id": 2})]);
    add("get_analytics", &[json!({"days": 4, "timezone": "America/New_York"})]);
    add("list_sales_rules", &lists);
    add("get_dashboard", &[json!({})]);
    let mut write = |tool: &'static str, name: &str, value: Value| {
        add(tool, &[2, 1].map(|id| json!({"chatbot_id": id, name: value})));
    };
    write("update_chatbot_instructions", "instructions", json!("Be brief."));
    write("update_chatbot_model", "temperature", json!(0.3));
    write("update_chatbot_language", "language", json!("de"));
    write("update_chatbot_settings", "name", json!("Mine"));
    write("update_widget_appearance", "position", json!("left"));
    write("update_widget_texts", "submit_label", json!("Go"));
    add("retrain_chatbot", &[json!({"chatbot_id": 2}), json!({"chatbot_id": 1})]);
    add("get_chatbot", &chatbots);
    add("get_dashboard", &[json!({})]);
    all
}

#[test]
fn a_limited_grant_is_answered_as_if_there_were_no_other_chatbots() {
    let (with, without) = shops();
    let limited = with.limited(&[1]);
    for (tool, arguments) in calls() {
        let expected = without.pages(&without.grant, tool, &arguments);
        let foreign = arguments["chatbot_id"] == 2
            || ["conversation_id", "ticket_id"].iter().any(|id| arguments[*id] == 6);
        assert_eq!(expected[0].contains("isError\":true"), foreign, "{tool} {arguments}: {expected:?}");
        assert_eq!(with.pages(&limited, tool, &arguments), expected, "{tool} {arguments}");
    }
    let names: Vec<&str> = calls().iter().map(|(tool, _)| *tool).collect();
    assert!(TOOLS.iter().all(|entry| names.contains(&entry.spec.name)), "every tool is called");
    let hidden = with.write(|tx| {
        assert!(training_job::latest(tx, 2)?.is_none());
        chatbot::get(tx, 2)
    });
    assert_eq!(hidden.unwrap().version, 2, "no call of the limited grant changed it");
}

/// What is asked for beyond tools; of the hidden chatbot `2`, and of conversations of it, 6 is one.
fn requests() -> Vec<(&'static str, Value)> {
    let mut all =
        vec![("resources/list", json!({})), ("resources/read", json!({"uri": "chaterimo://usage"}))];
    for id in [1, 2, 5, 6, 999] {
        let templates = KINDS.iter().filter(|kind| kind.is_template());
        all.extend(templates.map(|kind| ("resources/read", json!({"uri": kind.address(id)}))));
    }
    for chatbot in ["1", "2", "plain bot", "zebra bot", "nobody"] {
        let arguments = json!({"chatbot": chatbot, "mention": "parcel"});
        all.extend(
            PROMPTS
                .iter()
                .map(|prompt| ("prompts/get", json!({"name": prompt.name, "arguments": arguments}))),
        );
    }
    for value in ["", "1", "2", "6", "bot", MARK] {
        let argument = |name: &str| json!({"name": name, "value": value});
        let prompt = json!({"type": "ref/prompt", "name": "ticket_patterns"});
        all.push(("completion/complete", json!({"ref": prompt, "argument": argument("chatbot")})));
        for kind in KINDS.iter().filter(|kind| kind.is_template()) {
            let reference = json!({"type": "ref/resource", "uri": kind.uri});
            all.push(("completion/complete", json!({"ref": reference, "argument": argument("id")})));
        }
    }
    all
}

#[test]
fn resources_prompts_and_completion_know_no_other_chatbots() {
    let (with, without) = shops();
    let (limited, alone) = (with.limited(&[1]), without.limited(&[1]));
    let mut told = 0;
    for (method, params) in requests() {
        let expected = without.request(&without.grant, method, &params);
        let expected = if params["uri"] == "chaterimo://usage" {
            assert!(
                expected.contains("\\\"calls\\\":{"),
                "who is not limited sees the log counted: {expected}"
            );
            without.request(&alone, method, &params)
        } else {
            expected
        };
        assert_eq!(with.request(&limited, method, &params), expected, "{method} {params}");
        let whole = with.request(&with.grant, method, &params);
        told += usize::from(whole != expected);
    }
    assert!(told > 20, "the hidden chatbot shows without the limit: {told}");
}

#[test]
fn what_is_hidden_is_there_without_the_limit() {
    let (with, _) = shops();
    for grant in [with.grant.clone(), with.limited(&[1, 2]), with.limited(&[2])] {
        let told: Vec<&str> = calls()
            .iter()
            .filter(|(tool, arguments)| {
                !tool.starts_with("update") && with.ask(&grant, tool, arguments).contains(MARK)
            })
            .map(|(tool, _)| *tool)
            .collect();
        for tool in TOOLS.iter().map(|entry| entry.spec.name) {
            let silent = tool.starts_with("update") || matches!(tool, "retrain_chatbot");
            assert!(silent || told.contains(&tool), "{tool} does not show what it has: {told:?}");
        }
    }
}

#[test]
fn a_limit_to_nothing_shows_nothing() {
    let (with, _) = shops();
    for chatbots in [&[][..], &[77]] {
        let grant = with.limited(chatbots);
        for tool in [
            "list_chatbots",
            "list_conversations",
            "list_products",
            "list_tickets",
            "list_leads",
            "list_sales_rules",
        ] {
            let answer: Value = serde_json::from_str(&with.ask(&grant, tool, &json!({}))).unwrap();
            assert_eq!(answer["result"]["structuredContent"]["total"], 0, "{tool}");
        }
    }
}

#[test]
fn a_cursor_holds_within_its_limit_alone() {
    let (with, _) = shops();
    let grants = [with.grant.clone(), with.limited(&[1]), with.limited(&[1, 2])];
    let first = |grant: &Grant| cursor(&with.ask(grant, "list_tickets", &json!({"limit": 1}))).unwrap();
    let cursors: Vec<String> = grants.iter().map(first).collect();
    for (place, grant) in grants.iter().enumerate() {
        for (made, cursor) in cursors.iter().enumerate() {
            let answer = with.ask(grant, "list_tickets", &json!({"limit": 1, "cursor": cursor}));
            assert_eq!(answer.contains("cursor: not one that this tool gave"), made != place, "{answer}");
        }
    }
    // The order in which the chatbots are named is not part of the limit.
    let answer =
        with.ask(&with.limited(&[2, 1, 2]), "list_tickets", &json!({"limit": 1, "cursor": cursors[2]}));
    assert!(!answer.contains("isError\":true"), "{answer}");
}
