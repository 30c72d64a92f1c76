//! What the tools that change a chatbot's settings share: their arguments, the change, its answer.
//!
//! Each tool's schema says which settings it takes; the names are those of [`chatbot::Settings`].

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Cx, Entry, Json, Refusal, schema};
use crate::error::Error;
use crate::store::chatbot::{self, By, Change, Patch, Settings};

/// The arguments of a tool that changes settings.
#[derive(Deserialize)]
pub struct Args {
    /// The chatbot.
    pub chatbot_id: i64,
    /// The version that the change was thought out on; refused when the settings have changed since.
    pub if_version: Option<i64>,
    /// What to change.
    #[serde(flatten)]
    pub patch: Patch,
}

/// The arguments that say which chatbot, not what to change.
const ADDRESS: [&str; 2] = ["chatbot_id", "if_version"];

/// The input schema of a tool that takes these settings; `required` are some of them.
pub fn input(settings: Value, required: &[&str]) -> Value {
    let mut properties = json!({"chatbot_id": {"type": "integer", "minimum": 1}});
    for (name, schema) in settings.as_object().into_iter().flatten() {
        properties[name] = schema.clone();
    }
    properties["if_version"] = json!({
        "type": "integer", "minimum": 1, "description": "The version you read; refused if it is not the present one"
    });
    schema::input(properties, &[&["chatbot_id"], required].concat())
}

/// The output schema: the settings that changed, and their version now.
pub fn output() -> Value {
    json!({
        "type": "object",
        "properties": {
            "chatbot_id": {"type": "integer"},
            "before": {"type": "object"},
            "after": {"type": "object"},
            "version": {"type": "integer"},
            "unchanged": {"type": "boolean"}
        },
        "required": ["chatbot_id", "before", "after", "version"]
    })
}

/// Makes the change and answers what is different now.
///
/// # Errors
/// As [`make`] says.
pub fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
    let chatbot_id = args.chatbot_id;
    let change = make(cx, args)?;
    let (before, after) = differences(&change.before, &change.after)?;
    Json::of(&answer(chatbot_id, &change, before, after))
}

/// Makes the change.
///
/// # Errors
/// `invalid_arguments` when nothing to change was given or a setting breaks its rule, `not_found`, `conflict`.
pub fn make(cx: &Cx<'_>, args: Args) -> Result<Change, Refusal> {
    if args.patch == Patch::default() {
        return Err(nothing_given(cx));
    }
    let by = By { origin: cx.spec.name, actor: cx.actor, now: cx.now };
    let made = chatbot::change(cx.tx, args.chatbot_id, args.if_version, &by, |settings| {
        args.patch.apply(settings);
        Ok(())
    })?;
    made.ok_or_else(|| Refusal::not_found("chatbot", args.chatbot_id, "list_chatbots"))
}

/// The answer of a change that is described by `before` and `after`. One that changed nothing says so.
pub fn answer(chatbot_id: i64, change: &Change, before: Value, after: Value) -> Value {
    let mut answer =
        json!({"chatbot_id": chatbot_id, "before": before, "after": after, "version": change.version});
    if change.version == change.version_before {
        answer["unchanged"] = json!(true);
    }
    answer
}

fn nothing_given(cx: &Cx<'_>) -> Refusal {
    let schema = Entry::named(cx.spec.name).map(Entry::input_schema).unwrap_or_default();
    let all = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let settings: Vec<&str> = all.filter(|name| !ADDRESS.contains(name)).collect();
    Refusal::arguments(format!("Nothing to change was given; pass at least one of {}.", settings.join(", ")))
}

/// The settings that are not the same, as they were and as they are.
fn differences(before: &Settings, after: &Settings) -> Result<(Value, Value), Refusal> {
    let (mut old, mut new) = (Map::new(), Map::new());
    let was = serde_json::to_value(before).map_err(Error::internal)?;
    let is = serde_json::to_value(after).map_err(Error::internal)?;
    for (name, value) in is.as_object().into_iter().flatten() {
        if was[name] != *value {
            old.insert(name.clone(), was[name].clone());
            new.insert(name.clone(), value.clone());
        }
    }
    Ok((Value::Object(old), Value::Object(new)))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use crate::store::chatbot;
    use crate::tools::testing::{NOW, Shop};
    use crate::tools::{Effect, TOOLS};

    /// A shop with one chatbot, `settings` beside the defaults.
    pub fn shop_with(mut settings: Value) -> Shop {
        settings["name"] = json!("Shop assistant");
        let shop = Shop::new();
        let new = json!({"external_id": "main", "settings": settings});
        shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        shop
    }

    /// What `tool` answers for `arguments` on chatbot 1.
    pub fn answers(shop: &Shop, tool: &str, mut arguments: Value, expected: Value) {
        arguments["chatbot_id"] = json!(1);
        let answer = shop.call(tool, arguments.clone()).unwrap();
        assert_eq!(answer, expected, "{tool} {arguments}");
    }

    /// What `tool` refuses `arguments` on chatbot 1 with, how its message begins.
    pub fn refuses(shop: &Shop, tool: &str, mut arguments: Value, code: &str, expected: &str) {
        arguments["chatbot_id"] = json!(1);
        let refusal = shop.call(tool, arguments.clone()).unwrap_err();
        assert_eq!(refusal.code, code, "{tool} {arguments}: {}", refusal.message);
        assert!(refusal.message.starts_with(expected), "{tool}: {}", refusal.message);
    }

    /// Arguments that each tool that changes settings takes, beside the chatbot.
    const CHANGES: [(&str, &str); 6] = [
        ("update_chatbot_instructions", r#"{"instructions": "Be kind."}"#),
        ("update_chatbot_model", r#"{"temperature": 0.9}"#),
        ("update_chatbot_language", r#"{"language": "de"}"#),
        ("update_chatbot_settings", r#"{"enabled": false}"#),
        ("update_widget_appearance", r#"{"position": "left"}"#),
        ("update_widget_texts", r#"{"submit_label": "Go"}"#),
    ];

    #[test]
    fn each_tool_keeps_a_version_under_its_name() {
        let shop = shop_with(json!({}));
        for (step, (tool, change)) in CHANGES.iter().enumerate() {
            let mut arguments: Value = serde_json::from_str(change).unwrap();
            arguments["chatbot_id"] = json!(1);
            arguments["if_version"] = json!(step + 1);
            let first = shop.call(tool, arguments.clone()).unwrap();
            assert_eq!((&first["version"], &first["unchanged"]), (&json!(step + 2), &Value::Null), "{tool}");
            assert_ne!(first["before"], first["after"], "{tool}");
            arguments["if_version"] = json!(step + 2);
            let again = shop.call(tool, arguments).unwrap();
            assert_eq!((&again["version"], &again["unchanged"]), (&json!(step + 2), &json!(true)), "{tool}");
        }
        let kept = shop.seed(|tx| chatbot::versions(tx, 1, None, 10));
        let origins: Vec<&str> = kept.iter().rev().map(|version| version.origin.as_str()).collect();
        assert_eq!(origins[0], "import");
        assert_eq!(origins[1..], CHANGES.map(|(tool, _)| tool));
        assert!(kept[..6].iter().all(|version| version.actor == "API key 1 (test)"));
    }

    #[test]
    fn each_tool_refuses_a_stale_version_an_unknown_chatbot_and_nothing() {
        let mut shop = shop_with(json!({}));
        for (tool, change) in CHANGES {
            let mut arguments: Value = serde_json::from_str(change).unwrap();
            arguments["if_version"] = json!(9);
            refuses(
                &shop,
                tool,
                arguments.clone(),
                "conflict",
                "if_version: came 9, but chatbot 1 is at version 1",
            );
            arguments["chatbot_id"] = json!(2);
            let refusal = shop.call(tool, arguments).unwrap_err();
            assert_eq!(refusal.code, "not_found", "{tool}");
            let refusal = shop.call(tool, json!({"chatbot_id": 1, "if_version": 1})).unwrap_err();
            assert_eq!(refusal.code, "invalid_arguments", "{tool}");
        }
        shop.move_in("globex");
        for (tool, change) in CHANGES {
            let arguments: Value = serde_json::from_str(change).unwrap();
            refuses(&shop, tool, arguments, "not_found", "There is no chatbot 1 in this organisation.");
        }
    }

    #[test]
    fn every_tool_that_updates_is_tried_here() {
        let updating = TOOLS.iter().filter(|entry| entry.spec.effect == Effect::Update);
        assert_eq!(updating.map(|entry| entry.spec.name).collect::<Vec<_>>(), CHANGES.map(|(tool, _)| tool));
    }
}
