//! `update_chatbot_settings`: what a chatbot is called, what it is for, whether it is on, how strict it is.

use serde_json::{Value, json};

use super::change;
use super::{Cx, Effect, Json, Question, Refusal, Spec};
use crate::store::{TenantTx, chatbot};

/// The tool.
pub struct Tool;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "update_chatbot_settings",
        title: "Update chatbot settings",
        about: "Changes a chatbot's name, description, whether its widget is enabled, or its strictness \
                (how closely answers follow the knowledge base: relaxed, balanced, strict). Takes effect \
                at once; pass only what should change.",
        effect: Effect::Update,
        untrusted: &[],
    };
    type Args = change::Args;

    fn input() -> Value {
        change::input(
            json!({
                "name": {"type": "string", "minLength": 1, "maxLength": chatbot::NAME_CHARS_MAX},
                "description": {"type": "string", "maxLength": chatbot::DESCRIPTION_CHARS_MAX},
                "enabled": {"type": "boolean"},
                "strictness": {"type": "string", "enum": chatbot::Strictness::WORDS}
            }),
            &[],
        )
    }

    fn output() -> Value {
        change::output()
    }

    fn run(cx: &Cx<'_>, args: change::Args) -> Result<Json, Refusal> {
        change::run(cx, args)
    }

    /// Taking a chatbot offline is seen by every visitor of the shop at once.
    fn question(tx: &TenantTx<'_>, args: &change::Args) -> crate::error::Result<Option<Question>> {
        if args.patch.enabled != Some(false) {
            return Ok(None);
        }
        let online = chatbot::get(tx, args.chatbot_id)?.filter(|bot| bot.settings.enabled);
        // A change that was thought out on another version is refused anyway.
        let online = online.filter(|bot| args.if_version.is_none_or(|version| version == bot.version));
        Ok(online.map(|bot| Question {
            message: format!(
                "Take the chatbot “{}” (chatbot {}) offline? Visitors of the shop can no longer talk to it, from now \
                 until it is enabled again.",
                bot.settings.name, bot.id
            ),
            yes: "Take it offline",
            version: bot.version,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::tools::change::tests::{answers, refuses, shop_with};

    #[test]
    fn changes_what_is_given() {
        let shop = shop_with(json!({}));
        let check = |arguments: Value, expected: Value| {
            answers(&shop, "update_chatbot_settings", arguments, expected);
        };
        check(
            json!({"name": " Helper ", "enabled": "false"}),
            json!({
                "chatbot_id": 1, "before": {"name": "Shop assistant", "enabled": true},
                "after": {"name": "Helper", "enabled": false}, "version": 2
            }),
        );
        check(
            json!({"name": "Helper", "strictness": "strict"}),
            json!({
                "chatbot_id": 1, "before": {"strictness": "balanced"}, "after": {"strictness": "strict"}, "version": 3
            }),
        );
        check(
            json!({"name": "Helper"}),
            json!({"chatbot_id": 1, "before": {}, "after": {}, "version": 3, "unchanged": true}),
        );
    }

    #[test]
    fn names_what_is_wrong() {
        let shop = shop_with(json!({}));
        let check = |arguments: Value, expected: &str| {
            refuses(&shop, "update_chatbot_settings", arguments, "invalid_arguments", expected);
        };
        check(
            json!({}),
            "Nothing to change was given; pass at least one of name, description, enabled, strictness.",
        );
        check(json!({"name": ""}), "name: came");
        check(json!({"name": "  "}), "name: came 0 characters; wanted text of 1 to 200 characters.");
        check(
            json!({"name": "x".repeat(201)}),
            "name: came 201 characters; wanted text of 1 to 200 characters.",
        );
        check(json!({"description": "x".repeat(2_001)}), "description: came 2,001 characters");
        check(
            json!({"strictness": "lax"}),
            "strictness: came \"lax\"; wanted one of relaxed, balanced, strict.",
        );
        check(json!({"model": "gpt-4o"}), "model: unknown argument");
    }
}
