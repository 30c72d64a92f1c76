//! `chaterimo://chatbots/{id}`: what `get_chatbot` gives.

use serde_json::json;

use super::{JSON, Kind};
use crate::completion::Source;
use crate::tools::{Cx, Refusal};

pub(super) const KIND: Kind = Kind {
    uri: "chaterimo://chatbots/{id}",
    name: "chatbot",
    title: "Chatbot",
    description: "A chatbot's whole configuration: instructions, AI model, language, widget, knowledge sources, training.",
    mime_type: JSON,
    free: false,
    extension: None,
    meta: None,
    completes: Some(Source::ChatbotIds),
    read,
};

fn read(cx: &Cx<'_>, id: i64) -> Result<String, Refusal> {
    super::tool(cx, "get_chatbot", &json!({"chatbot_id": id}))
}
