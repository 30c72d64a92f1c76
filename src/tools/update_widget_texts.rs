//! `update_widget_texts`: the words on a chatbot's widget.

use serde_json::{Value, json};

use super::change;
use super::{Cx, Effect, Json, Refusal, Spec};
use crate::store::chatbot;

/// The tool.
pub struct Tool;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "update_widget_texts",
        title: "Update widget texts",
        about: "Changes the words that visitors see on a chatbot's widget: welcome message, placeholder of \
                the input field, label while it thinks, label of the submit button. Takes effect at once; \
                pass only what should change.",
        effect: Effect::Update,
        untrusted: &[],
    };
    type Args = change::Args;

    fn input() -> Value {
        let text = json!({"type": "string", "maxLength": chatbot::TEXT_CHARS_MAX});
        change::input(
            json!({
                "welcome_message": text,
                "input_placeholder": text,
                "thinking_label": text,
                "submit_label": text
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
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::tools::change::tests::{answers, refuses, shop_with};

    #[test]
    fn changes_what_is_given() {
        let shop = shop_with(json!({"welcome_message": "Hi"}));
        answers(
            &shop,
            "update_widget_texts",
            json!({"welcome_message": "Grüezi!\nWomit können wir helfen?", "submit_label": "Send"}),
            json!({
                "chatbot_id": 1, "before": {"welcome_message": "Hi"},
                "after": {"welcome_message": "Grüezi!\nWomit können wir helfen?"}, "version": 2
            }),
        );
    }

    #[test]
    fn the_longest_texts_fit() {
        let longest = "\"".repeat(500);
        let texts = json!({
            "welcome_message": longest, "input_placeholder": longest, "thinking_label": longest,
            "submit_label": longest
        });
        let shop = shop_with(texts.clone());
        let mut other = texts.clone();
        for name in ["welcome_message", "input_placeholder", "thinking_label", "submit_label"] {
            other[name] = json!("\\".repeat(500));
        }
        let expected = json!({"chatbot_id": 1, "before": texts, "after": other, "version": 2});
        answers(&shop, "update_widget_texts", other, expected);
    }

    #[test]
    fn names_what_is_wrong() {
        let shop = shop_with(json!({}));
        let check = |arguments: Value, expected: &str| {
            refuses(&shop, "update_widget_texts", arguments, "invalid_arguments", expected);
        };
        check(json!({}), "Nothing to change was given; pass at least one of welcome_message, ");
        check(
            json!({"submit_label": "x".repeat(501)}),
            "submit_label: came 501 characters; wanted text of at most 500",
        );
        check(json!({"submit_label": "a\nb"}), "submit_label: came \"a\\nb\"; wanted one line");
        check(
            json!({"welcome_message": "a\u{7}"}),
            "welcome_message: came '\\u{7}'; wanted text without control",
        );
    }
}
