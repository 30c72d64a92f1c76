//! `update_chatbot_model`: the AI model a chatbot answers with, and its temperature.

use serde_json::{Value, json};

use super::change;
use super::{Cx, Effect, Json, Refusal, Spec};
use crate::models;
use crate::store::chatbot;

/// The tool.
pub struct Tool;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "update_chatbot_model",
        title: "Update chatbot model",
        about: "Switches the AI model a chatbot answers with, or its temperature (0.1 precise to 1.0 \
                varied), or both. Takes effect at once. A family name such as Claude Sonnet means its \
                newest model; an unknown name is answered with the models there are.",
        effect: Effect::Update,
        untrusted: &[],
    };
    type Args = change::Args;

    fn input() -> Value {
        let (low, high) = chatbot::TEMPERATURE;
        change::input(
            json!({
                "model": {
                    "type": "string", "minLength": 1, "maxLength": models::NAME_CHARS_MAX,
                    "description": "Such as GPT-4o, Claude Sonnet or Gemini Flash"
                },
                "temperature": {"type": "number", "minimum": low, "maximum": high}
            }),
            &[],
        )
    }

    fn output() -> Value {
        change::output()
    }

    fn run(cx: &Cx<'_>, mut args: change::Args) -> Result<Json, Refusal> {
        if let Some(name) = &args.patch.model {
            let known = models::find(name, cx.extra_models).ok_or_else(|| unknown(name, cx.extra_models))?;
            args.patch.model = Some(known.to_owned());
        }
        change::run(cx, args)
    }
}

fn unknown(name: &str, extra: &[String]) -> Refusal {
    Refusal::arguments(format!("model: came {name:?}; wanted one of {}.", models::listed(extra)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::tools::change::tests::{answers, refuses, shop_with};

    #[test]
    fn finds_the_model_by_what_people_call_it() {
        let shop = shop_with(json!({"model": "gpt-4o-mini", "temperature": 0.5}));
        let check = |arguments: Value, expected: Value| {
            answers(&shop, "update_chatbot_model", arguments, expected);
        };
        check(
            json!({"model": "GPT-4o", "temperature": 0.3}),
            json!({
                "chatbot_id": 1, "before": {"model": "gpt-4o-mini", "temperature": 0.5},
                "after": {"model": "gpt-4o", "temperature": 0.3}, "version": 2
            }),
        );
        check(
            json!({"model": "gpt 4o", "temperature": "0.3"}),
            json!({"chatbot_id": 1, "before": {}, "after": {}, "version": 2, "unchanged": true}),
        );
        check(
            json!({"model": "Claude Sonnet"}),
            json!({
                "chatbot_id": 1, "before": {"model": "gpt-4o"}, "after": {"model": "claude-sonnet-5-5"}, "version": 3
            }),
        );
        check(
            json!({"temperature": 1}),
            json!({"chatbot_id": 1, "before": {"temperature": 0.3}, "after": {"temperature": 1.0}, "version": 4}),
        );
    }

    #[test]
    fn names_what_is_wrong() {
        let shop = shop_with(json!({}));
        let check = |arguments: Value, expected: &str| {
            refuses(&shop, "update_chatbot_model", arguments, "invalid_arguments", expected);
        };
        check(json!({}), "Nothing to change was given; pass at least one of model, temperature.");
        check(json!({"model": "GPT-99"}), "model: came \"GPT-99\"; wanted one of GPT-6 Sol (gpt-6-sol), ");
        check(json!({"model": "x".repeat(101)}), "model: came 101 characters");
        check(json!({"temperature": 1.1}), "temperature: came 1.1; wanted a number from 0.1 to 1.");
        check(json!({"temperature": 0}), "temperature: came 0; wanted a number from 0.1 to 1.");
        check(json!({"temperature": "hot"}), "temperature: came \"hot\"");
        // Nothing of a refused call is kept.
        check(json!({"model": "gpt-4o", "temperature": 1.1}), "temperature: came 1.1");
        check(json!({"temperature": 0.9, "if_version": 0}), "if_version: came 0");
    }
}
