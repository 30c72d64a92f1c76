//! `list_chatbots`: which chatbots there are.

use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{Paging, page};
use super::schema;
use super::{Cx, Effect, Json, Refusal, Spec};
use crate::store::chatbot;

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    #[serde(flatten)]
    paging: Paging,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "list_chatbots",
        title: "List chatbots",
        about: "Lists the organisation's chatbots: id, name, AI model, language, platform, whether enabled, and which \
                one is primary (the \"main\" chatbot). Use it to find a chatbot_id. For counts and rankings use \
                get_analytics, which covers all chatbots in one call.",
        effect: Effect::Read,
        untrusted: &[],
    };
    type Args = Args;

    fn input() -> Value {
        schema::list_input(json!({}))
    }

    fn output() -> Value {
        schema::list_output(
            "chatbots",
            json!({
                "id": {"type": "integer"}, "name": {"type": "string"}, "model": {"type": "string"},
                "language": {"type": "string"}, "platform": {"type": "string"},
                "enabled": {"type": "boolean"}, "is_primary": {"type": "boolean"}
            }),
        )
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let after: Option<i64> = cx.position(args.paging.cursor.as_deref())?;
        let rows = chatbot::list(cx.tx, after, args.paging.fetch())?;
        let total = chatbot::count(cx.tx)?;
        page(cx, "chatbots", &args.paging, &rows, total, |row| row.id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::tools::testing::Shop;

    #[test]
    fn an_empty_organisation_has_no_chatbots() {
        let answer = Shop::new().call("list_chatbots", json!({})).unwrap();
        assert_eq!(answer, json!({"chatbots": [], "next_cursor": null, "total": 0}));
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        let refusal = Shop::new().call("list_chatbots", json!({"cursor": "ab.cd"})).unwrap_err();
        assert!(refusal.message.starts_with("cursor: not one"), "{}", refusal.message);
    }
}
