use serde_json::{Value, json};

use super::*;
use crate::store::call_log::{self, Call};
use crate::store::{chatbot, conversation};
use crate::tools::RESULT_CHARS_MAX;
use crate::tools::testing::{NOW, Shop};

fn shop(chatbots: usize) -> Shop {
    let shop = Shop::new();
    for number in 1..=chatbots {
        let new = json!({"external_id": number.to_string(), "settings": {"name": format!("Bot {number}")}});
        shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
    }
    shop
}

fn read_within(shop: &Shop, chatbots: Option<&[i64]>, uri: &str) -> Result<Value, Refusal> {
    let address = find(uri).unwrap_or_else(|| panic!("{uri} is no address"));
    let text = shop.look(&READ, chatbots, |cx| address.read(cx))?;
    assert!(text.chars().count() <= RESULT_CHARS_MAX, "{uri}: {} characters", text.chars().count());
    Ok(serde_json::from_str(&text).unwrap())
}

fn read(shop: &Shop, uri: &str) -> Value {
    read_within(shop, None, uri).unwrap()
}

#[test]
fn an_address_has_one_spelling() {
    let check = |uri: &str, expected: Option<(&str, i64)>| {
        let found = find(uri).map(|address| (address.kind.name, address.id));
        assert_eq!(found, expected, "{uri}");
    };
    check("chaterimo://usage", Some(("usage", 0)));
    check("chaterimo://chatbots/3", Some(("chatbot", 3)));
    check("chaterimo://chatbots/3/history", Some(("chatbot-history", 3)));
    check("chaterimo://conversations/12", Some(("conversation", 12)));
    for other in [
        "",
        "chaterimo://usage/",
        "chaterimo://chatbots/",
        "chaterimo://chatbots/0",
        "chaterimo://chatbots/03",
        "chaterimo://chatbots/+3",
        "chaterimo://chatbots/-3",
        "chaterimo://chatbots/%33",
        "chaterimo://chatbots/3/",
        "chaterimo://chatbots//history",
        "chaterimo://chatbots/{id}",
        "chaterimo://chatbots/99999999999999999999",
        "CHATERIMO://chatbots/3",
        "file:///etc/passwd",
    ] {
        check(other, None);
    }
}

#[test]
fn the_tables_are_sound() {
    for kind in &KINDS {
        let Kind { uri, name, title, description, .. } = kind;
        assert!(uri.starts_with("chaterimo://") || uri.starts_with("ui://chaterimo/"), "{uri}");
        assert!(!name.is_empty() && !title.is_empty() && description.len() < 400, "{uri}");
        assert_eq!(kind.is_template(), kind.completes.is_some(), "{uri}: what completes its number");
        assert!(find(&kind.address(7)).is_some_and(|address| address.kind.uri == *uri), "{uri}");
    }
}

#[test]
fn gives_what_the_tools_give() {
    let shop = shop(1);
    shop.seed(|tx| {
        let talk = json!({"external_id": "c", "chatbot": "1", "messages": [
            {"role": "visitor", "text": "I am \u{200b}anna@example.com", "sent_at": NOW.to_string()}]});
        conversation::put(tx, &serde_json::from_value(talk).unwrap(), NOW)
    });
    let tool = shop.call("get_chatbot", json!({"chatbot_id": 1})).unwrap();
    assert_eq!(read(&shop, "chaterimo://chatbots/1"), tool);
    let tool = shop.call("get_conversation", json!({"conversation_id": 1})).unwrap();
    let talk = read(&shop, "chaterimo://conversations/1");
    assert_eq!(talk, tool);
    assert_eq!(talk["conversations"][0]["messages"][0]["text"], "I am [EMAIL]");
    assert!(talk["untrusted"]["fields"].is_array());
}

#[test]
fn a_cursor_in_a_conversation_is_one_of_the_tool() {
    let shop = shop(1);
    let says = |text: String| json!({"role": "visitor", "text": text, "sent_at": NOW.to_string()});
    let messages: Vec<Value> = (0..300).map(|number| says(format!("{number} {}", "x".repeat(200)))).collect();
    shop.seed(move |tx| {
        let talk = json!({"external_id": "c", "chatbot": "1", "messages": messages});
        conversation::put(tx, &serde_json::from_value(talk).unwrap(), NOW)
    });
    let talk = read(&shop, "chaterimo://conversations/1");
    let shown = talk["conversations"][0]["messages"].as_array().unwrap().len();
    let next = json!({"conversation_id": 1, "cursor": talk["next_cursor"]});
    let next = shop.call("get_conversation", next).unwrap();
    let first = next["conversations"][0]["messages"][0]["text"].as_str().unwrap();
    assert!(first.starts_with(&format!("{shown} ")), "{first}");
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut shop = shop(2);
    let refused = |shop: &Shop, chatbots: Option<&[i64]>, uri: &str| {
        let refusal = read_within(shop, chatbots, uri).unwrap_err();
        assert_eq!(refusal.code, "not_found", "{uri}");
        refusal.message
    };
    for uri in ["chaterimo://chatbots/9", "chaterimo://chatbots/9/history", "chaterimo://conversations/9"] {
        refused(&shop, None, uri);
    }
    for uri in ["chaterimo://chatbots/2", "chaterimo://chatbots/2/history"] {
        let hidden = refused(&shop, Some(&[1]), uri);
        let theirs = {
            shop.move_in(if uri.ends_with('2') { "globex" } else { "initech" });
            refused(&shop, None, uri)
        };
        assert_eq!(hidden, theirs);
        shop = self::shop(2);
    }
}

#[test]
fn a_history_has_every_change() {
    let shop = shop(1);
    let change = |tool: &str, arguments: Value| shop.call(tool, arguments).unwrap();
    change("update_chatbot_instructions", json!({"chatbot_id": 1, "instructions": "Be kind."}));
    change("update_chatbot_model", json!({"chatbot_id": 1, "temperature": 0.9, "model": "gpt-4o"}));
    let history = read(&shop, "chaterimo://chatbots/1/history");
    assert_eq!(
        (&history["chatbot_id"], &history["name"], &history["version"]),
        (&json!(1), &json!("Bot 1"), &json!(3))
    );
    let versions = history["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 3);
    let by = "API key 1 (test)";
    let at = "2026-11-22T08:00:00Z";
    assert_eq!(
        versions[0],
        json!({"version": 3, "at": at, "by": by, "origin": "update_chatbot_model", "changes": {
            "model": {"before": "gpt-4o-mini", "after": "gpt-4o"}, "temperature": {"before": 0.3, "after": 0.9}}})
    );
    assert_eq!(versions[1]["changes"], json!({"instructions": {"before": "", "after": "Be kind."}}));
    assert_eq!(versions[2]["changes"]["name"], json!({"after": "Bot 1"}));
    assert_eq!((&versions[2]["origin"], &history["truncated"]), (&json!("import"), &Value::Null));
}

#[test]
fn a_long_history_has_its_newest_versions_whole() {
    let shop = shop(1);
    for number in 1..=45 {
        let instructions = format!("{number} {}", "x".repeat(400));
        let arguments = json!({"chatbot_id": 1, "instructions": instructions});
        shop.call("update_chatbot_instructions", arguments).unwrap();
    }
    let history = read(&shop, "chaterimo://chatbots/1/history");
    let versions = history["versions"].as_array().unwrap();
    assert!((25..45).contains(&versions.len()), "{}", versions.len());
    assert_eq!((&history["version"], &history["truncated"]), (&json!(46), &json!(true)));
    for (place, version) in versions.iter().enumerate() {
        let number = 46 - place;
        assert_eq!(version["version"], number);
        let after = version["changes"]["instructions"]["after"].as_str().unwrap();
        assert!(after.starts_with(&format!("{} x", number - 1)) && version["truncated"].is_null());
    }
    let before = versions[19]["changes"]["instructions"]["before"].as_str().unwrap();
    assert!(
        before.starts_with("25 x"),
        "the last of a batch is held against the first of the next: {before}"
    );
}

#[test]
fn the_newest_version_is_cut_when_it_is_too_long() {
    let shop = shop(1);
    for letter in ["\"", "\\"] {
        let arguments = json!({"chatbot_id": 1, "instructions": letter.repeat(15_000)});
        shop.call("update_chatbot_instructions", arguments).unwrap();
    }
    let history = read(&shop, "chaterimo://chatbots/1/history");
    let newest = &history["versions"][0];
    assert_eq!((&newest["truncated"], &history["truncated"]), (&json!(true), &json!(true)));
    assert_eq!(newest["changes"]["instructions"]["after"], "\\".repeat(6_000));
    assert_eq!(newest["changes"]["instructions"]["before"], "\"".repeat(6_000));
}

#[test]
fn usage_counts_the_calls_of_today_and_of_the_month() {
    let shop = shop(1);
    let call = |days_ago: i64, tool: &'static str, outcome: &'static str| Call {
        at: NOW.plus(-days_ago * 86_400_000),
        credential: "key:1".into(),
        client: String::new(),
        client_version: String::new(),
        transport: "http",
        endpoint: "full",
        tool,
        arguments: "{}".into(),
        outcome,
        duration_us: 1,
        day_remaining: None,
    };
    let calls = [
        call(25, "get_ticket", "ok"),
        call(21, "get_ticket", "ok"),
        call(1, "resources/read", "not_found"),
        call(0, "list_chatbots", "ok"),
        call(0, "list_chatbots", "quota_exceeded"),
        call(0, "get_ticket", "ok"),
    ];
    shop.seed(move |tx| calls.iter().try_for_each(|call| call_log::append(tx, call)));
    let usage = read(&shop, "chaterimo://usage");
    assert_eq!(
        (&usage["plan"], &usage["day"]["limit"], &usage["minute"]["remaining"]),
        (&json!("paid"), &json!(1_000), &json!(30))
    );
    assert_eq!(
        usage["calls"]["today"],
        json!({"since": "2026-11-22T00:00:00Z", "calls": 3, "ok": 2, "refused": 1, "failed": 0, "tools": [
            {"name": "list_chatbots", "calls": 2, "ok": 1, "refused": 1, "failed": 0},
            {"name": "get_ticket", "calls": 1, "ok": 1, "refused": 0, "failed": 0}]})
    );
    let month = &usage["calls"]["month"];
    assert_eq!(
        (&month["since"], &month["calls"], &month["failed"]),
        (&json!("2026-11-01T00:00:00Z"), &json!(5), &json!(1))
    );
    let limited = read_within(&shop, Some(&[1]), "chaterimo://usage").unwrap();
    assert_eq!((&limited["calls"], &limited["day"]), (&Value::Null, &usage["day"]));
}

fn listed(shop: &Shop, chatbots: Option<&[i64]>, cursor: Option<&str>) -> Result<Page, Refusal> {
    shop.look(&LIST, chatbots, |cx| list(cx, cursor, |_| false))
}

fn uris(page: &Page) -> Vec<&str> {
    page.items.iter().map(|item| item["uri"].as_str().unwrap()).collect()
}

#[test]
fn the_list_names_the_chatbots() {
    let shop = shop(2);
    let page = listed(&shop, None, None).unwrap();
    assert_eq!(uris(&page), ["chaterimo://usage", "chaterimo://chatbots/1", "chaterimo://chatbots/2"]);
    assert_eq!(page.next_cursor, None);
    assert_eq!((&page.items[0]["title"], &page.items[2]["name"]), (&json!("Usage"), &json!("Bot 2")));
    assert_eq!(page.items[2]["mimeType"], "application/json");
    let limited = listed(&shop, Some(&[2]), None).unwrap();
    assert_eq!(uris(&limited), ["chaterimo://usage", "chaterimo://chatbots/2"]);
}

#[test]
fn views_are_for_clients_that_show_them() {
    let shop = shop(1);
    let seen =
        shop.look(&LIST, None, |cx| list(cx, None, |extension| extension == "io.modelcontextprotocol/ui"));
    let seen = seen.unwrap();
    let views: Vec<&str> = crate::views::VIEWS.iter().map(|view| view.uri).collect();
    assert_eq!(uris(&seen), [&["chaterimo://usage"], &views[..], &["chaterimo://chatbots/1"]].concat());
    for view in &crate::views::VIEWS {
        let address = find(view.uri).unwrap();
        let text = shop.look(&READ, None, |cx| address.read(cx)).unwrap();
        assert_eq!(text, view.html);
        let contents: Value = serde_json::from_str(&address.contents(&text)).unwrap();
        let contents = &contents["contents"][0];
        assert_eq!(
            (&contents["uri"], &contents["mimeType"]),
            (&json!(view.uri), &json!(crate::views::MIME_TYPE))
        );
        assert_eq!(contents["_meta"], crate::views::meta());
    }
}

#[test]
fn the_list_goes_on_with_its_cursor() {
    let shop = shop(201);
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = listed(&shop, None, cursor.as_deref()).unwrap();
        assert!(page.items.len() <= PAGE_ITEMS);
        seen.extend(uris(&page).into_iter().map(str::to_owned));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let mut expected = vec!["chaterimo://usage".to_owned()];
    expected.extend((1..=201).map(|id| format!("chaterimo://chatbots/{id}")));
    assert_eq!(seen, expected);
    let exact = self::shop(99);
    assert_eq!(listed(&exact, None, None).unwrap().next_cursor, None);
    let first = listed(&shop, None, None).unwrap().next_cursor;
    for (limit, cursor) in [(None, Some("ab.cd")), (Some(&[1, 2][..]), first.as_deref())] {
        let refusal = listed(&shop, limit, cursor).unwrap_err();
        assert_eq!(refusal.code, "invalid_arguments");
        assert!(refusal.message.starts_with("cursor: not one that this list gave"), "{}", refusal.message);
    }
}
