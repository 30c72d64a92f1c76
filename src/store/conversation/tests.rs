use serde_json::{Value, json};

use super::*;
use crate::store::{Durability, Put, chatbot};
use crate::tools::testing::{NOW, Shop};

/// A shop with the chatbot `main`.
fn shop() -> Shop {
    let shop = Shop::new();
    open(&shop);
    shop
}

fn open(shop: &Shop) {
    let main = json!({"external_id": "main", "platform": "whatsapp", "settings": {"name": "Main"}});
    shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(main).unwrap(), NOW));
}

fn put_in(shop: &Shop, new: Value) -> Result<Put> {
    let new: NewConversation = serde_json::from_value(new).unwrap();
    let tenant = shop.tenant;
    shop.store.write(Durability::Process, move |tx| put(&tx.tenant(tenant), &new, NOW))
}

fn got(shop: &Shop, id: i64) -> Summary {
    shop.seed(move |tx| get(tx, id)).unwrap()
}

fn texts(shop: &Shop, id: i64) -> Vec<String> {
    shop.seed(move |tx| {
        let mut texts = Vec::new();
        each_message(tx, id, 0, |message| {
            texts.push(message.text);
            true
        })?;
        Ok(texts)
    })
}

/// The numbers of the conversations that a query finds, newest first.
fn find(shop: &Shop, query: &str) -> Vec<i64> {
    let filter = Filter { words: Words::parse(query), ..Filter::default() };
    shop.seed(move |tx| {
        let rows = list(tx, &filter, None, 1_000)?;
        assert_eq!(count(tx, &filter)?, rows.len() as i64);
        Ok(rows.iter().map(|row| row.id).collect())
    })
}

fn says(role: &str, minute: u32, text: &str) -> Value {
    json!({"role": role, "text": text, "sent_at": format!("2026-11-20T10:{minute:02}:00Z")})
}

fn talk(messages: &[Value]) -> Value {
    json!({"external_id": "c1", "chatbot": "main", "messages": messages})
}

#[test]
fn what_follows_from_the_messages_is_kept_up_to_date() {
    let shop = shop();
    let greeting = says("assistant", 0, "Hello!");
    let question = says("visitor", 1, "  Where is my order?  ");
    assert_eq!(put_in(&shop, talk(&[greeting.clone(), question.clone()])).unwrap(), Put::Created(1));
    let now = got(&shop, 1);
    assert_eq!(now.platform, Platform::WhatsApp);
    assert_eq!(now.chatbot_name, "Main");
    assert_eq!(now.first_question, "Where is my order?");
    assert_eq!((now.message_count, now.first_response_ms, now.handed_over_at), (2, None, None));
    assert_eq!(now.started_at.to_string(), "2026-11-20T10:00:00Z");

    let answer = says("assistant", 3, "Let me ask.");
    let agent = says("agent", 9, "It is on its way.");
    let whole = talk(&[greeting, question, answer, agent.clone()]);
    assert_eq!(put_in(&shop, whole.clone()).unwrap(), Put::Updated(1));
    let now = got(&shop, 1);
    assert_eq!((now.message_count, now.first_response_ms), (4, Some(120_000)));
    assert_eq!(now.handed_over_at.map(|at| at.to_string()).as_deref(), Some("2026-11-20T10:09:00Z"));
    assert_eq!(now.last_message_at.to_string(), "2026-11-20T10:09:00Z");
    assert_eq!(put_in(&shop, whole).unwrap(), Put::Unchanged(1));
    assert_eq!(put_in(&shop, talk(&[agent])).unwrap(), Put::Unchanged(1));
    assert_eq!(put_in(&shop, talk(&[])).unwrap(), Put::Unchanged(1));
}

#[test]
fn the_first_question_ends_with_a_whole_word() {
    let check = |text: &str, expected: &str| {
        let shop = shop();
        put_in(&shop, talk(&[says("visitor", 1, text)])).unwrap();
        assert_eq!(got(&shop, 1).first_question, expected);
    };
    check(" short ", "short");
    let long = "x".repeat(190);
    check(&format!("{long} anna@example.com"), &long);
    check(&format!("{long} word23456 more"), &format!("{long} word23456"));
    check(&"y".repeat(300), &"y".repeat(200));
}

#[test]
fn equal_messages_without_an_id_are_as_many_as_came() {
    let shop = shop();
    let ok = says("visitor", 1, "ok");
    put_in(&shop, talk(&[ok.clone(), ok.clone()])).unwrap();
    assert_eq!(put_in(&shop, talk(std::slice::from_ref(&ok))).unwrap(), Put::Unchanged(1));
    assert_eq!(put_in(&shop, talk(&[ok.clone(), ok.clone(), ok])).unwrap(), Put::Updated(1));
    assert_eq!(texts(&shop, 1).len(), 3);
}

#[test]
fn a_message_with_an_id_is_replaced_in_its_place() {
    let shop = shop();
    let message = |id: &str, text: &str| {
        let mut message = says("visitor", 1, text);
        message["external_id"] = json!(id);
        message
    };
    put_in(&shop, talk(&[message("a", "retrun"), message("b", "please")])).unwrap();
    assert_eq!(find(&shop, "return"), Vec::<i64>::new());
    assert_eq!(put_in(&shop, talk(&[message("a", "return")])).unwrap(), Put::Updated(1));
    assert_eq!(texts(&shop, 1), ["return", "please"]);
    assert_eq!(find(&shop, "return please"), [1]);
    assert_eq!(find(&shop, "retrun"), Vec::<i64>::new());
}

#[test]
fn what_is_known_of_the_visitor_grows() {
    let shop = shop();
    let put = |visitor: Value| {
        let mut new = talk(&[]);
        new["visitor"] = visitor;
        put_in(&shop, new).unwrap()
    };
    assert_eq!(put(json!({"name": "Anna"})), Put::Created(1));
    assert_eq!(put(json!({"email": "anna@example.com"})), Put::Updated(1));
    assert_eq!(put(json!({"name": "Anna"})), Put::Unchanged(1));
    let visitor = got(&shop, 1).visitor;
    assert_eq!((visitor.name.as_deref(), visitor.email.as_deref()), (Some("Anna"), Some("anna@example.com")));
}

#[test]
fn what_is_too_much_or_unknown_is_refused_by_name() {
    let check = |new: Value, expected: &str| {
        let message = put_in(&shop(), new).unwrap_err().public;
        assert!(message.starts_with(expected), "{message}");
    };
    check(json!({"external_id": " ", "chatbot": "main"}), "external_id: ");
    check(json!({"external_id": "c", "chatbot": "other"}), "chatbot: came \"other\"; wanted");
    check(talk(&[says("visitor", 1, &"é".repeat(TEXT_CHARS_MAX + 1))]), "messages.0.text: 100001 characters");
    check(
        talk(&vec![says("visitor", 1, "x"); MESSAGES_MAX + 1]),
        "messages: the conversation would have 20001",
    );
    let mut long_name = talk(&[]);
    long_name["visitor"] = json!({"name": "x".repeat(2_001)});
    check(long_name, "visitor.name: ");
}

#[test]
fn words_are_found_across_a_transcript() {
    let shop = shop();
    put_in(
        &shop,
        talk(&[says("visitor", 1, "I RETURNED it"), says("assistant", 2, "Das Café hilft: 返品できます")]),
    )
    .unwrap();
    let check = |query: &str, expected: &[i64]| assert_eq!(find(&shop, query), expected, "{query}");
    check("return", &[1]);
    check("returned cafe", &[1]);
    check("CAFÉ", &[1]);
    check("返品", &[1]);
    check("品", &[1]);
    check("it", &[1]);
    check("i", &[1]);
    check("returned refund", &[]);
    check("ret OR nothing", &[]);
    check("words:return", &[]);
    check("\" OR \"o1xreturn", &[]);
}

#[test]
fn newest_first_in_pages_and_filtered() {
    let shop = shop();
    for (id, day, platform) in [("a", 10, "web"), ("b", 12, "whatsapp"), ("c", 11, "web"), ("d", 12, "web")] {
        let new = json!({"external_id": id, "chatbot": "main", "platform": platform,
            "started_at": format!("2026-11-{day}")});
        put_in(&shop, new).unwrap();
    }
    let check = |filter: Filter, after: Option<After>, expected: &[i64]| {
        let rows = shop.seed(move |tx| list(tx, &filter, after, 10));
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
    };
    let time = |text: &str| Time::parse(text);
    check(Filter::default(), None, &[4, 2, 3, 1]);
    check(Filter::default(), Some((time("2026-11-12").unwrap().0, 4)), &[2, 3, 1]);
    check(Filter { platform: Some(Platform::WhatsApp), ..Filter::default() }, None, &[2]);
    check(Filter { chatbot: Some(2), ..Filter::default() }, None, &[]);
    let started = Span { from: time("2026-11-11"), until: time("2026-11-12") };
    check(Filter { started, ..Filter::default() }, None, &[3]);
}

#[test]
fn a_search_knows_nothing_of_other_organisations() {
    let mut shop = shop();
    put_in(&shop, talk(&[says("visitor", 1, "return o2xsecret")])).unwrap();
    let first = shop.tenant;
    shop.move_in("other");
    open(&shop);
    put_in(&shop, talk(&[says("visitor", 1, "secret return")])).unwrap();
    assert_eq!(find(&shop, "return"), [1]);
    assert_eq!(find(&shop, "secret"), [1]);
    shop.tenant = first;
    assert_eq!(find(&shop, "secret"), Vec::<i64>::new());
    assert_eq!(find(&shop, "o2xsecret"), [1]);
}
