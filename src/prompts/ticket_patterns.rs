//! What the open tickets have in common.

use serde_json::json;

use super::given::Given;
use super::{CHATBOT, Cx, Prompt, VISITORS, call};

pub(super) const PROMPT: Prompt = Prompt {
    name: "ticket_patterns",
    title: "Patterns in the open tickets",
    description: "What the open support tickets are about, which problems come again, and which are urgent",
    arguments: &[CHATBOT],
    write,
};

fn write(_: &Cx<'_>, given: &Given) -> String {
    let of = given.of_chatbot();
    let open = json!({"status": ["new", "in_progress"], "chatbot_id": given.chatbot_id(), "limit": 100});
    let list = call("list_tickets", open);
    format!(
        "What are my top support tickets right now{of}, and what patterns do you see? Find out with at most four calls:\n\
         1. {list}: every open ticket with its subject and first message.\n\
         2. `get_ticket` with ticket_ids, up to ten at once: the urgent ones, the oldest ones and one of each topic; up to \
         twice more if there are many.\n\n\
         Then answer: the tickets by topic, the most frequent first, each with how many there are, their numbers and what \
         the customers want; problems that come again and their likely cause; what is urgent or waits longest; and three \
         things to do next. {VISITORS}"
    )
}
