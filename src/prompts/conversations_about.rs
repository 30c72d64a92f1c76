//! The last conversations in which something was said.

use serde_json::json;

use super::given::{Given, quoted};
use super::{Argument, CHATBOT, Cx, Prompt, Takes, VISITORS, call};

/// Characters that `list_conversations` searches for.
const QUERY_CHARS: usize = 200;

pub(super) const PROMPT: Prompt = Prompt {
    name: "conversations_about",
    title: "Conversations that mention something",
    description: "The last ten conversations in which something was said, with excerpts",
    arguments: &[
        Argument {
            name: "mention",
            title: "Mention",
            description: "A word or several that were said, such as return",
            required: true,
            takes: Takes::Text(QUERY_CHARS),
        },
        CHATBOT,
    ],
    write,
};

fn write(_: &Cx<'_>, given: &Given) -> String {
    let query = json!({"query": given.text(), "chatbot_id": given.chatbot_id(), "limit": 10});
    let (list, mention, of) = (call("list_conversations", query), quoted(given.text()), given.of_chatbot());
    format!(
        "Show me the last ten conversations{of} in which {mention} was mentioned, with two calls:\n\
         1. {list}: it searches the whole transcripts, also for other endings of the words.\n\
         2. `get_conversation` with conversation_ids, all the ids that were found.\n\n\
         Then answer: of each conversation its number, date, chatbot and what the customer wanted, an excerpt around the \
         mention, and how it ended. Below that, what they have in common. If nothing was found, say so and name other \
         words that customers may have used. {VISITORS}"
    )
}
