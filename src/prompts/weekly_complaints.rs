//! What customers complained about in the last seven days.

use serde_json::json;

use super::given::Given;
use super::{CHATBOT, Cx, Prompt, VISITORS, call};
use crate::clock::{DAY, SECOND, Time};

pub(super) const PROMPT: Prompt = Prompt {
    name: "weekly_complaints",
    title: "Complaints of the week",
    description: "What customers complained about in the last seven days, by topic, and what would help",
    arguments: &[CHATBOT],
    write,
};

fn write(cx: &Cx<'_>, given: &Given) -> String {
    let from = Time((cx.now.0 - 7 * DAY).div_euclid(SECOND) * SECOND).to_string();
    let week = json!({"chatbot_id": given.chatbot_id(), "from": from, "limit": 100});
    let (talks, tickets) = (call("list_conversations", week.clone()), call("list_tickets", week));
    let of = given.of_chatbot();
    format!(
        "What did customers complain about in the last seven days? Look at the conversations and tickets{of}, with at most \
         five calls:\n\
         1. {talks}: the first questions show what people came with.\n\
         2. {tickets}: subjects and first messages.\n\
         3. `get_conversation` with conversation_ids, up to ten that sound like a complaint; once more with ten others if \
         the first leave doubts.\n\n\
         Then answer: the complaints by topic, the most frequent first; of each how many conversations and tickets, one \
         short quote with its number and date, and what would prevent it (a sentence in the instructions, a document, a \
         change in the shop). Say how much you looked at, and whether there was more. {VISITORS}"
    )
}
