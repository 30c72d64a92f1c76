//! Which chatbots are talked with most.

use serde_json::json;

use super::given::Given;
use super::{Argument, Cx, Prompt, Takes, call};

pub(super) const PROMPT: Prompt = Prompt {
    name: "rank_chatbots",
    title: "Rank the chatbots",
    description: "Which chatbots are talked with most, and how each one does against the time before",
    arguments: &[Argument {
        name: "days",
        title: "Days",
        description: "How many days to look at, 1 to 365; 30 when left out",
        required: false,
        takes: Takes::Days,
    }],
    write,
};

fn write(_: &Cx<'_>, given: &Given) -> String {
    let days = given.days.unwrap_or(30);
    let analytics = call("get_analytics", json!({"days": days}));
    format!(
        "List my chatbots and rank them by how many conversations they had in the last {days} days. One call answers it: \
         {analytics}; without chatbot_id it covers all of them.\n\n\
         Then answer with a table: rank, chatbot with its number, conversations, their share of all, and the response and \
         hand-over rates where they are there. Name the best, say how the total changed against the period before, and \
         what stands out."
    )
}
