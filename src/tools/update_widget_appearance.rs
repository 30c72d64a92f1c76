//! `update_widget_appearance`: the colours, place and shape of a chatbot's widget.

use serde_json::{Value, json};

use super::change;
use super::{Cx, Effect, Json, Refusal, Spec};
use crate::store::chatbot;

/// The tool.
pub struct Tool;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "update_widget_appearance",
        title: "Update widget appearance",
        about: "Changes how a chatbot's widget looks: colours, position on the page, bubble style. Takes \
                effect at once; pass only what should change.",
        effect: Effect::Update,
        untrusted: &[],
    };
    type Args = change::Args;

    fn input() -> Value {
        let color = json!({
            "type": "string", "pattern": "^#(?:[0-9a-fA-F]{3}){1,2}$", "description": "#rgb or #rrggbb"
        });
        change::input(
            json!({
                "primary_color": color,
                "background_color": color,
                "text_color": color,
                "position": {"type": "string", "enum": chatbot::Position::WORDS},
                "bubble_style": {"type": "string", "enum": chatbot::BubbleStyle::WORDS}
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
    fn keeps_colours_in_one_spelling() {
        let shop = shop_with(json!({"primary_color": "#112233"}));
        let check = |arguments: Value, expected: Value| {
            answers(&shop, "update_widget_appearance", arguments, expected);
        };
        check(
            json!({"primary_color": "#ABC", "position": "left"}),
            json!({
                "chatbot_id": 1, "before": {"primary_color": "#112233", "position": "right"},
                "after": {"primary_color": "#aabbcc", "position": "left"}, "version": 2
            }),
        );
        check(
            json!({"primary_color": "#AABBCC"}),
            json!({"chatbot_id": 1, "before": {}, "after": {}, "version": 2, "unchanged": true}),
        );
        check(
            json!({"bubble_style": "minimal"}),
            json!({
                "chatbot_id": 1, "before": {"bubble_style": "rounded"}, "after": {"bubble_style": "minimal"},
                "version": 3
            }),
        );
    }

    #[test]
    fn names_what_is_wrong() {
        let shop = shop_with(json!({}));
        let check = |arguments: Value, expected: &str| {
            refuses(&shop, "update_widget_appearance", arguments, "invalid_arguments", expected);
        };
        check(json!({}), "Nothing to change was given; pass at least one of primary_color, ");
        check(json!({"text_color": "#12345"}), "text_color: came \"#12345\"; wanted text matching");
        check(json!({"text_color": "red"}), "text_color: came \"red\"");
        check(json!({"text_color": "#12345g"}), "text_color: came \"#12345g\"");
        check(json!({"position": "top"}), "position: came \"top\"; wanted one of left, center, right.");
        check(json!({"bubble_style": 3}), "bubble_style: came");
    }
}
