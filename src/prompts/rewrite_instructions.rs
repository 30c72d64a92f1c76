//! A chatbot's instructions, written anew.

use serde_json::json;

use super::given::{Given, quoted};
use super::{Argument, CHATBOT, Cx, Prompt, Takes, call};

pub(super) const PROMPT: Prompt = Prompt {
    name: "rewrite_instructions",
    title: "Rewrite a chatbot's instructions",
    description: "Proposes new instructions for a chatbot, and applies them once you agree, where that is allowed",
    arguments: &[
        Argument { description: "Its name or number", required: true, ..CHATBOT },
        Argument {
            name: "style",
            title: "Style",
            description: "What they should be like; more concise and friendly when left out",
            required: false,
            takes: Takes::Text(500),
        },
    ],
    write,
};

/// What they should be like when nobody says.
const STYLE: &str = "more concise and friendly";

fn write(cx: &Cx<'_>, given: &Given) -> String {
    let id = given.chatbot_id();
    let of = given.of_chatbot();
    let read = call("get_chatbot", json!({"chatbot_id": id}));
    let style = if given.text().is_empty() { STYLE.to_owned() } else { quoted(given.text()) };
    let apply = match cx.writes {
        true => format!(
            "2. Show me the new instructions and ask whether to apply them.\n\
             3. Only after I agree: `update_chatbot_instructions` with chatbot_id {id}, the new instructions, and the \
             version that you read as if_version. Changes take effect at once and can be undone in the history."
        ),
        false => "2. Show me the new instructions. This connection can only read: propose them, do not apply them; I can \
                  paste them into the chatbot's settings, or connect with full access."
            .to_owned(),
    };
    format!(
        "Rewrite the instructions{of}. They should be: {style}.\n\
         1. {read}: read the present instructions.\n\
         {apply}\n\n\
         Keep every fact, rule, link and promise that is in them now; leave out what is said twice. Fifteen to forty lines \
         answer best, 15,000 characters is the most. After the new text, list what you changed and why."
    )
}
