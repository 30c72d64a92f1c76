//! `list_chatbots`: which chatbots there are.

use serde_json::{Value, json};

use super::page::{Page, Paging};
use super::schema;
use super::{Cx, Effect, Json, Refusal, Spec};
use crate::store::chatbot;

/// The tool.
pub struct Tool;

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
    const IS_BRIEF: bool = true;
    type Args = Paging;

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

    fn run(cx: &Cx<'_>, paging: Paging) -> Result<Json, Refusal> {
        let after: Option<i64> = cx.position(paging.cursor.as_deref())?;
        let mut page = Page::new(cx, &paging);
        chatbot::each(cx.tx, after, paging.fetch(), |row| page.push(row, row.id))?;
        let total = match page.all().filter(|_| after.is_none()) {
            Some(all) => all,
            None => chatbot::count(cx.tx)?,
        };
        page.finish("chatbots", total)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::chatbot;
    use crate::tools::testing::{NOW, Shop};

    fn shop_with(chatbots: i64) -> Shop {
        let shop = Shop::new();
        for number in 1..=chatbots {
            let new =
                json!({"external_id": number.to_string(), "settings": {"name": format!("Bot {number}")}});
            shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        }
        shop
    }

    fn ids(answer: &Value) -> Vec<i64> {
        answer["chatbots"].as_array().unwrap().iter().map(|bot| bot["id"].as_i64().unwrap()).collect()
    }

    #[test]
    fn an_empty_organisation_has_no_chatbots() {
        let answer = Shop::new().call("list_chatbots", json!({})).unwrap();
        assert_eq!(answer, json!({"chatbots": [], "next_cursor": null, "total": 0}));
    }

    #[test]
    fn says_what_each_chatbot_is() {
        let answer = shop_with(1).call("list_chatbots", json!({})).unwrap();
        let expected = json!({
            "id": 1, "name": "Bot 1", "model": "gpt-4o-mini", "language": "automatic", "platform": "web",
            "enabled": true, "is_primary": true
        });
        assert_eq!(answer, json!({"chatbots": [expected], "next_cursor": null, "total": 1}));
    }

    #[test]
    fn goes_on_where_the_cursor_says() {
        let shop = shop_with(5);
        let check = |arguments: Value, expected: &[i64], more: bool| {
            let answer = shop.call("list_chatbots", arguments).unwrap();
            assert_eq!(ids(&answer), expected);
            assert_eq!(answer["total"], 5);
            assert_eq!(answer["next_cursor"].is_string(), more);
            answer["next_cursor"].clone()
        };
        check(json!({}), &[1, 2, 3, 4, 5], false);
        check(json!({"limit": 5}), &[1, 2, 3, 4, 5], false);
        let next = check(json!({"limit": 2}), &[1, 2], true);
        let next = check(json!({"limit": 2, "cursor": next}), &[3, 4], true);
        check(json!({"limit": 2, "cursor": next}), &[5], false);
    }

    #[test]
    fn cuts_long_lists_between_chatbots() {
        let shop = Shop::new();
        for _ in 0..100 {
            let new = json!({"settings": {"name": "\"".repeat(200)}});
            shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        }
        let answer = shop.call("list_chatbots", json!({"limit": 100})).unwrap();
        let first = ids(&answer);
        assert!((40..100).contains(&first.len()), "{}", first.len());
        let rest =
            shop.call("list_chatbots", json!({"limit": 100, "cursor": answer["next_cursor"]})).unwrap();
        assert_eq!([first, ids(&rest)].concat(), (1..=100).collect::<Vec<i64>>());
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        let refusal = Shop::new().call("list_chatbots", json!({"cursor": "ab.cd"})).unwrap_err();
        assert!(refusal.message.starts_with("cursor: not one"), "{}", refusal.message);
    }
}
