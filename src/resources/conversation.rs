//! `chaterimo://conversations/{id}`: what `get_conversation` gives. A cursor in it is one of that tool's.

use serde_json::json;

use super::{JSON, Kind};
use crate::completion::Source;
use crate::tools::{Cx, Refusal};

pub(super) const KIND: Kind = Kind {
    uri: "chaterimo://conversations/{id}",
    name: "conversation",
    title: "Conversation",
    description: "The transcript of one conversation with its visitor, tickets and leads. Where it is truncated, go on \
                  with get_conversation and next_cursor.",
    mime_type: JSON,
    free: false,
    extension: None,
    meta: None,
    completes: Some(Source::ConversationIds),
    read,
};

fn read(cx: &Cx<'_>, id: i64) -> Result<String, Refusal> {
    super::tool(cx, "get_conversation", &json!({"conversation_id": id}))
}
