//! `update_chatbot_instructions`: a chatbot's system prompt.

use serde_json::{Value, json};

use super::change;
use super::{Cx, Effect, Json, Refusal, Spec};
use crate::store::chatbot;

/// The tool.
pub struct Tool;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "update_chatbot_instructions",
        title: "Update chatbot instructions",
        about: "Replaces a chatbot's instructions (its system prompt) as a whole: read them with \
                get_chatbot first, show the user the new text, then pass all of it. 15 to 40 lines work \
                best. Takes effect at once; earlier versions are kept. Answers length and beginning before \
                and after.",
        effect: Effect::Update,
        untrusted: &[],
    };
    type Args = change::Args;

    fn input() -> Value {
        let text = json!({"type": "string", "minLength": 1, "maxLength": chatbot::INSTRUCTIONS_CHARS_MAX});
        change::input(json!({"instructions": text}), &["instructions"])
    }

    fn output() -> Value {
        let mut schema = change::output();
        schema["properties"]["advice"] = json!({"type": "string"});
        schema
    }

    fn run(cx: &Cx<'_>, args: change::Args) -> Result<Json, Refusal> {
        let chatbot_id = args.chatbot_id;
        let change = change::make(cx, args)?;
        let before = described(&change.before.instructions, change.version_before);
        let after = described(&change.after.instructions, change.version);
        let mut answer = change::answer(chatbot_id, &change, before, after);
        if let Some(advice) = advice(&change.after.instructions) {
            answer["advice"] = json!(advice);
        }
        Json::of(&answer)
    }
}

/// Characters of the instructions that the answer repeats.
const BEGINNING_CHARS: usize = 500;
/// The lines that instructions work best with.
const LINES_BEST: std::ops::RangeInclusive<usize> = 15..=40;

/// Instructions in few words; the whole text is in the history.
fn described(instructions: &str, version: i64) -> Value {
    json!({
        "length": instructions.chars().count(),
        "beginning": instructions.chars().take(BEGINNING_CHARS).collect::<String>(),
        "version": version
    })
}

fn advice(instructions: &str) -> Option<String> {
    let lines = instructions.lines().count();
    let (low, high) = (LINES_BEST.start(), LINES_BEST.end());
    let said = if lines == 1 { "1 line".to_owned() } else { format!("{lines} lines") };
    (!LINES_BEST.contains(&lines))
        .then(|| format!("These instructions have {said}; {low} to {high} lines work best."))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::tools::change::tests::{answers, refuses, shop_with};

    fn lines(count: usize) -> String {
        vec!["Be kind."; count].join("\n")
    }

    #[test]
    fn answers_with_lengths_and_beginnings() {
        let shop = shop_with(json!({"instructions": "é".repeat(15_000)}));
        let before = json!({"length": 15_000, "beginning": "é".repeat(500), "version": 1});
        let after = json!({"length": 134, "beginning": lines(15), "version": 2});
        let check = |instructions: String, before: &Value, after: &Value| {
            let mut expected =
                json!({"chatbot_id": 1, "before": before, "after": after, "version": after["version"]});
            if before["version"] == after["version"] {
                expected["unchanged"] = json!(true);
            }
            answers(&shop, "update_chatbot_instructions", json!({"instructions": instructions}), expected);
        };
        check(lines(15), &before, &after);
        check(lines(15), &after, &after);
        let answer = shop
            .call("update_chatbot_instructions", json!({"chatbot_id": 1, "instructions": "Be kind."}))
            .unwrap();
        assert_eq!(answer["advice"], "These instructions have 1 line; 15 to 40 lines work best.");
    }

    #[test]
    fn advises_on_the_number_of_lines() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(super::advice(text).as_deref(), expected);
        check("", Some("These instructions have 0 lines; 15 to 40 lines work best."));
        check("Be kind.\n", Some("These instructions have 1 line; 15 to 40 lines work best."));
        check(&lines(14), Some("These instructions have 14 lines; 15 to 40 lines work best."));
        check(&lines(15), None);
        check(&lines(40), None);
        check(&lines(41), Some("These instructions have 41 lines; 15 to 40 lines work best."));
    }

    #[test]
    fn names_what_is_wrong() {
        let shop = shop_with(json!({}));
        let check = |arguments: Value, expected: &str| {
            refuses(&shop, "update_chatbot_instructions", arguments, "invalid_arguments", expected);
        };
        check(json!({}), "instructions: missing; wanted text of 1 to 15,000 characters.");
        check(
            json!({"instructions": "é".repeat(15_001)}),
            "instructions: came 15,001 characters; wanted text of 1 to 15,000 characters.",
        );
        check(json!({"instructions": ""}), "instructions: came");
        check(json!({"instructions": "a\u{0}b"}), "instructions: came '\\0'; wanted text without control");
    }
}
