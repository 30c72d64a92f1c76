//! `update_chatbot_language`: the language a chatbot answers in.

use serde_json::{Value, json};

use super::change;
use super::{Cx, Effect, Json, Refusal, Spec};

/// The tool.
pub struct Tool;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "update_chatbot_language",
        title: "Update chatbot language",
        about: "Sets the language a chatbot answers in: a fixed one, or \"automatic\" to answer each \
                visitor in their own. Takes effect at once. Answers the language before and after.",
        effect: Effect::Update,
        untrusted: &[],
    };
    type Args = change::Args;

    fn input() -> Value {
        change::input(
            json!({
                "language": {
                    "type": "string", "minLength": 2, "maxLength": 63,
                    "description": "A BCP 47 tag such as en, de or pt-BR, or \"automatic\""
                }
            }),
            &["language"],
        )
    }

    fn output() -> Value {
        change::output()
    }

    fn run(cx: &Cx<'_>, args: change::Args) -> Result<Json, Refusal> {
        change::run(cx, args)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::tools::change::tests::{answers, refuses, shop_with};

    #[test]
    fn keeps_the_canonical_tag() {
        let shop = shop_with(json!({}));
        let check = |language: &str, expected: Value| {
            answers(&shop, "update_chatbot_language", json!({"language": language}), expected);
        };
        check(
            "PT-br",
            json!({
                "chatbot_id": 1, "before": {"language": "automatic"}, "after": {"language": "pt-BR"}, "version": 2
            }),
        );
        check("pt-br", json!({"chatbot_id": 1, "before": {}, "after": {}, "version": 2, "unchanged": true}));
        check(
            "Automatic",
            json!({
                "chatbot_id": 1, "before": {"language": "pt-BR"}, "after": {"language": "automatic"}, "version": 3
            }),
        );
    }

    #[test]
    fn refuses_what_is_no_language() {
        let shop = shop_with(json!({}));
        let check = |arguments: Value, expected: &str| {
            refuses(&shop, "update_chatbot_language", arguments, "invalid_arguments", expected);
        };
        check(json!({}), "language: missing; wanted text of 2 to 63 characters");
        check(json!({"language": "e"}), "language: came \"e\"");
        check(
            json!({"language": "English"}),
            "language: came \"English\"; wanted a BCP 47 tag such as en, de or pt-BR",
        );
    }
}
