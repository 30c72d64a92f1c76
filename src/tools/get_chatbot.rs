//! `get_chatbot`: everything about a chatbot that is configured, what it answers from, and how far its training is.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Cx, Effect, Json, Refusal, Spec, page, schema};
use crate::clock::Time;
use crate::store::chatbot::{self, BubbleStyle, Chatbot, Platform, Position, Strictness};
use crate::store::knowledge::{self, Source};
use crate::store::training_job::{self, Job};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    chatbot_id: i64,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "get_chatbot",
        title: "Get chatbot",
        about: "Shows one chatbot's whole configuration: instructions (system prompt), AI model, temperature, language, \
                strictness, widget appearance and texts, the knowledge sources it answers from, and its last training \
                job. Read it before changing instructions; pass its version as if_version.",
        effect: Effect::Read,
        untrusted: &[],
    };
    const IS_BRIEF: bool = true;
    type Args = Args;

    fn input() -> Value {
        schema::input(json!({"chatbot_id": {"type": "integer", "minimum": 1}}), &["chatbot_id"])
    }

    fn output() -> Value {
        let text = || json!({"type": "string"});
        let mut schema = schema::object(json!({
            "id": {"type": "integer"}, "name": text(), "description": text(), "platform": text(),
            "enabled": {"type": "boolean"}, "is_primary": {"type": "boolean"}, "model": text(),
            "temperature": {"type": "number"}, "language": text(), "strictness": text(), "instructions": text(),
            "appearance": {"type": "object"}, "texts": {"type": "object"},
            "knowledge_sources": {"type": "array", "items": schema::object(json!({
                "kind": text(), "name": text(), "items": {"type": "integer"},
                "indexed_at": {"type": ["string", "null"]}
            }))},
            "training": {"type": ["object", "null"], "properties": {
                "status": text(), "done": {"type": "integer"}, "total": {"type": "integer"}
            }},
            "version": {"type": "integer"}, "created_at": text(), "updated_at": text(),
            "truncated": {"type": "boolean"}
        }));
        schema["required"] = json!(["id", "name", "instructions", "version"]);
        schema
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let Some(bot) = chatbot::get(cx.tx, args.chatbot_id)? else {
            return Err(Refusal::not_found("chatbot", args.chatbot_id, "list_chatbots"));
        };
        let sources = knowledge::sources(cx.tx, bot.id)?;
        let training = training_job::latest(cx.tx, bot.id)?;
        let mut shown = Shown::of(&bot, &sources, training.as_ref());
        let around = Json::of(&shown)?.into_text().chars().count();
        let instructions = &bot.settings.instructions;
        shown.instructions = page::cut(instructions, page::items_budget(cx).saturating_sub(around));
        shown.truncated |= shown.instructions.len() < instructions.len();
        Json::of(&shown)
    }
}

/// Knowledge sources that are shown at most.
const SOURCES_MAX: usize = 50;

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    name: &'a str,
    description: &'a str,
    platform: Platform,
    enabled: bool,
    is_primary: bool,
    version: i64,
    model: &'a str,
    temperature: f64,
    language: &'a str,
    strictness: Strictness,
    instructions: &'a str,
    appearance: Appearance<'a>,
    texts: Texts<'a>,
    knowledge_sources: &'a [Source],
    training: Option<&'a Job>,
    created_at: Time,
    updated_at: Time,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

#[derive(Serialize)]
struct Appearance<'a> {
    primary_color: &'a str,
    background_color: &'a str,
    text_color: &'a str,
    position: Position,
    bubble_style: BubbleStyle,
}

#[derive(Serialize)]
struct Texts<'a> {
    welcome_message: &'a str,
    input_placeholder: &'a str,
    thinking_label: &'a str,
    submit_label: &'a str,
}

impl<'a> Shown<'a> {
    /// All but the instructions.
    fn of(bot: &'a Chatbot, sources: &'a [Source], training: Option<&'a Job>) -> Shown<'a> {
        let settings = &bot.settings;
        Shown {
            id: bot.id,
            name: &settings.name,
            description: &settings.description,
            platform: bot.platform,
            enabled: settings.enabled,
            is_primary: bot.is_primary,
            version: bot.version,
            model: &settings.model,
            temperature: settings.temperature,
            language: &settings.language,
            strictness: settings.strictness,
            instructions: "",
            appearance: Appearance {
                primary_color: &settings.primary_color,
                background_color: &settings.background_color,
                text_color: &settings.text_color,
                position: settings.position,
                bubble_style: settings.bubble_style,
            },
            texts: Texts {
                welcome_message: &settings.welcome_message,
                input_placeholder: &settings.input_placeholder,
                thinking_label: &settings.thinking_label,
                submit_label: &settings.submit_label,
            },
            knowledge_sources: &sources[..sources.len().min(SOURCES_MAX)],
            training,
            created_at: bot.created_at,
            updated_at: bot.updated_at,
            truncated: sources.len() > SOURCES_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::{document, knowledge, training_job};
    use crate::tools::change::tests::shop_with;
    use crate::tools::testing::NOW;

    #[test]
    fn shows_everything_that_is_configured() {
        let shop = shop_with(json!({
            "instructions": "Be kind.", "model": "GPT-4o", "language": "de-ch", "primary_color": "#F00"
        }));
        let expected = json!({
            "id": 1, "name": "Shop assistant", "description": "", "platform": "web", "enabled": true,
            "is_primary": true, "version": 1, "model": "gpt-4o", "temperature": 0.3, "language": "de-CH",
            "strictness": "balanced", "instructions": "Be kind.",
            "appearance": {
                "primary_color": "#ff0000", "background_color": "#ffffff", "text_color": "#111827",
                "position": "right", "bubble_style": "rounded"
            },
            "texts": {
                "welcome_message": "Hello! How can we help you?", "input_placeholder": "Type your message…",
                "thinking_label": "Thinking…", "submit_label": "Send"
            },
            "knowledge_sources": [], "training": null,
            "created_at": "2026-11-22T08:00:00Z", "updated_at": "2026-11-22T08:00:00Z"
        });
        assert_eq!(shop.call("get_chatbot", json!({"chatbot_id": "1"})).unwrap(), expected);
    }

    #[test]
    fn shows_what_it_answers_from_and_its_training() {
        let shop = shop_with(json!({}));
        shop.seed(|tx| {
            let new = json!({"external_id": "d", "title": "Returns", "text": "Within 30 days."});
            document::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            training_job::request(tx, 1, 1, "me", NOW)
        });
        let answer = shop.call("get_chatbot", json!({"chatbot_id": 1})).unwrap();
        let source = json!({"kind": "documents", "name": "", "items": 1, "indexed_at": null});
        assert_eq!(answer["knowledge_sources"], json!([source]));
        assert_eq!(answer["training"]["status"], "queued");
        assert_eq!(answer["training"]["total"], 1);
    }

    #[test]
    fn the_longest_settings_fit() {
        let long = |text: &str, chars: usize| Value::String(text.repeat(chars / text.len()));
        let shop = shop_with(json!({
            "instructions": long("\"", 15_000), "description": long("\"", 2_000), "welcome_message": long("\"", 500),
            "input_placeholder": long("\"", 500), "thinking_label": long("\"", 500), "submit_label": long("\"", 500)
        }));
        let answer = shop.call("get_chatbot", json!({"chatbot_id": 1})).unwrap();
        assert_eq!(answer["truncated"], true);
        assert!(answer["instructions"].as_str().unwrap().len() > 9_000);
        assert!(answer["description"].as_str().unwrap().len() == 2_000);
        let plain = shop_with(json!({"instructions": long("word ", 15_000)}));
        let answer = plain.call("get_chatbot", json!({"chatbot_id": 1})).unwrap();
        assert_eq!(answer["truncated"], Value::Null);
        assert_eq!(answer["instructions"].as_str().unwrap().len(), 15_000);
    }

    #[test]
    fn many_catalogues_are_cut() {
        let shop = shop_with(json!({}));
        shop.seed(|tx| {
            for number in 0..60 {
                knowledge::connect(tx, 1, knowledge::Kind::Products, &format!("{number:064}"))?;
            }
            Ok(())
        });
        let answer = shop.call("get_chatbot", json!({"chatbot_id": 1})).unwrap();
        assert_eq!(answer["knowledge_sources"].as_array().unwrap().len(), 50);
        assert_eq!(answer["truncated"], true);
    }

    #[test]
    fn anothers_chatbot_is_not_there() {
        let mut shop = shop_with(json!({}));
        let refusal = |shop: &crate::tools::testing::Shop, id: i64| {
            shop.call("get_chatbot", json!({"chatbot_id": id})).unwrap_err()
        };
        assert_eq!(refusal(&shop, 2).code, "not_found");
        shop.move_in("globex");
        let refusal = refusal(&shop, 1);
        assert_eq!(
            refusal.message,
            "There is no chatbot 1 in this organisation. list_chatbots shows which there are."
        );
    }
}
