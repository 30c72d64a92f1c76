use serde_json::{Value, json};

use super::*;
use crate::store::chatbot;
use crate::tools::testing::{NOW, Shop};
use crate::tools::{Effect, Entry};

fn shop() -> Shop {
    let shop = Shop::new();
    for name in ["Shop \"assistant\"", "Help", "help", "Outlet"] {
        let new = json!({"settings": {"name": name}});
        shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
    }
    shop
}

fn get(shop: &Shop, name: &'static str, writes: bool, arguments: Value) -> Result<String> {
    let Value::Object(arguments) = arguments else { panic!("an object") };
    let found = shop.store.read(|tx| {
        let tx = &tx.tenant(shop.tenant);
        Ok(Prompt::named(name).unwrap().get(&Cx { tx, now: NOW, writes }, &arguments))
    });
    let result: Value = serde_json::from_str(&found.unwrap()?).unwrap();
    assert_eq!(result["messages"].as_array().unwrap().len(), 1);
    assert_eq!(result["messages"][0]["role"], "user");
    Ok(result["messages"][0]["content"]["text"].as_str().unwrap().to_owned())
}

/// Arguments that a prompt takes, all of them.
fn whole(prompt: &Prompt) -> Value {
    let value = |argument: &Argument| match argument.takes {
        Takes::Chatbot => "4",
        Takes::Text(_) => "return \"policy\"",
        Takes::Days => "90",
    };
    let all = prompt.arguments.iter().map(|argument| (argument.name.to_owned(), value(argument).into()));
    Value::Object(all.collect())
}

/// The arguments that a prompt cannot do without.
fn required(prompt: &Prompt) -> Value {
    let mut all = whole(prompt);
    for argument in prompt.arguments.iter().filter(|argument| !argument.required) {
        all.as_object_mut().unwrap().remove(argument.name);
    }
    all
}

/// What stands between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_table_is_sound() {
    let mut names: Vec<&str> = PROMPTS.iter().map(|prompt| prompt.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), PROMPTS.len());
    for prompt in &PROMPTS {
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(word(prompt.name) && prompt.name.len() <= 64, "{}", prompt.name);
        assert!(!prompt.title.is_empty() && !prompt.description.is_empty(), "{}", prompt.name);
        for argument in prompt.arguments {
            assert!(word(argument.name) && !argument.title.is_empty() && !argument.description.is_empty());
            let same = prompt.arguments.iter().filter(|other| other.takes == argument.takes);
            assert_eq!(same.count(), 1, "{}: one argument of a sort", prompt.name);
        }
    }
}

#[test]
fn every_tool_that_a_prompt_names_is_there_and_takes_what_it_says() {
    let shop = shop();
    for prompt in &PROMPTS {
        for arguments in [whole(prompt), required(prompt)] {
            for writes in [true, false] {
                let text = get(&shop, prompt.name, writes, arguments.clone()).unwrap();
                let mut steps = 0;
                for call in code(&text) {
                    let (tool, arguments) = call.split_once(' ').unwrap_or((call, "{}"));
                    let entry = Entry::named(tool).unwrap_or_else(|| panic!("{}: {tool}", prompt.name));
                    assert!(writes || entry.spec.effect == Effect::Read, "{}: {tool}", prompt.name);
                    if call.contains(' ') {
                        let arguments: Value = serde_json::from_str(arguments).unwrap();
                        entry.check(arguments).unwrap();
                    }
                    steps += 1;
                }
                assert!((1..=3).contains(&steps), "{}: {text}", prompt.name);
                assert!(text.len() < 2_000 && !text.contains("  "), "{text}");
            }
        }
    }
}

#[test]
fn a_chatbot_is_named_by_number_or_name() {
    let shop = shop();
    let check = |came: &str, expected: &str| {
        let text = get(&shop, "ticket_patterns", true, json!({"chatbot": came})).unwrap();
        assert!(text.contains(expected), "{came}: {text}");
    };
    check("4", "of the chatbot \"Outlet\" (chatbot_id 4)");
    check("#4", "(chatbot_id 4)");
    check(" OUTLET ", "\"chatbot_id\":4");
    check("outl", "of the chatbot \"Outlet\" (chatbot_id 4)");
    check("shop \"assistant\"", "of the chatbot \"Shop \\\"assistant\\\"\" (chatbot_id 1)");
    let without = get(&shop, "ticket_patterns", true, json!({"chatbot": " "})).unwrap();
    assert!(!without.contains("chatbot_id"), "{without}");
}

#[test]
fn wrong_arguments_are_named() {
    let mut shop = shop();
    let check = |shop: &Shop, prompt: &'static str, arguments: Value, expected: &str| {
        let error = get(shop, prompt, true, arguments).unwrap_err();
        assert_eq!((error.kind, error.public.as_str()), (crate::error::Kind::Invalid, expected));
    };
    let unknown = |came: &str, there: &str| {
        format!(
            "chatbot: came {came}; wanted the number or the name of a chatbot of this organisation{there}."
        )
    };
    let all = r#": 1 "Shop \"assistant\"", 2 "Help", 3 "help", 4 "Outlet""#;
    check(&shop, "rewrite_instructions", json!({}), &unknown("nothing", ""));
    check(&shop, "rewrite_instructions", json!({"chatbot": "9"}), &unknown("\"9\"", all));
    check(&shop, "weekly_complaints", json!({"chatbot": "zebra"}), &unknown("\"zebra\"", all));
    check(
        &shop,
        "weekly_complaints",
        json!({"chatbot": "HELP"}),
        "chatbot: came \"HELP\", which is in the names of 2 chatbots; wanted the number of one of them: 2 \"Help\", 3 \"help\".",
    );
    check(&shop, "conversations_about", json!({"mention": ""}), "mention: came nothing; wanted a text.");
    check(
        &shop,
        "conversations_about",
        json!({"mention": "x".repeat(201)}),
        &format!("mention: came \"{}\"; wanted at most 200 characters.", "x".repeat(60)),
    );
    for days in ["0", "366", "ten", "-1", "99999999999999999999"] {
        let expected = format!("days: came {days:?}; wanted a whole number of days from 1 to 365.");
        check(&shop, "rank_chatbots", json!({"days": days}), &expected);
    }
    check(&shop, "rank_chatbots", json!({"days": 7}), "days: came no text; wanted a text.");
    shop.move_in("globex");
    check(&shop, "rewrite_instructions", json!({"chatbot": "4"}), &unknown("\"4\"", ": there is none yet"));
    check(
        &shop,
        "rewrite_instructions",
        json!({"chatbot": "Outlet"}),
        &unknown("\"Outlet\"", ": there is none yet"),
    );
}

#[test]
fn who_can_only_read_is_told_to_propose() {
    let shop = shop();
    let text = |writes: bool| get(&shop, "rewrite_instructions", writes, json!({"chatbot": "4"})).unwrap();
    assert!(
        text(true).contains("`update_chatbot_instructions`") && text(true).contains("Only after I agree")
    );
    assert!(
        !text(false).contains("update_chatbot_instructions") && text(false).contains("do not apply them")
    );
    assert!(text(true).contains("more concise and friendly"));
}

#[test]
fn the_week_is_the_last_seven_days() {
    let text = get(&shop(), "weekly_complaints", true, json!({})).unwrap();
    assert!(text.contains("\"from\":\"2026-11-15T08:00:00Z\""), "{text}");
    let days = get(&shop(), "rank_chatbots", true, json!({"days": "7"})).unwrap();
    assert!(days.contains("`get_analytics {\"days\":7}`"), "{days}");
}
