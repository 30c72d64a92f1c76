//! `list_sales_rules`: when widgets speak up by themselves, and what they say.

use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{Paging, page};
use super::schema;
use super::{Cx, Effect, Json, Refusal, Spec};
use crate::store::chatbot;
use crate::store::sales_rule::{self, Filter};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    chatbot_id: Option<i64>,
    #[serde(default)]
    include_inactive: bool,
    #[serde(flatten)]
    paging: Paging,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "list_sales_rules",
        title: "List sales rules",
        about: "Lists the sales agent's active rules: when a chatbot's widget speaks up by itself (trigger), what it \
                says, and how often visitors were shown it and accepted.",
        effect: Effect::Read,
        untrusted: &[],
    };
    const IS_BRIEF: bool = true;
    type Args = Args;

    fn input() -> Value {
        schema::list_input(json!({
            "chatbot_id": {"type": "integer", "minimum": 1},
            "include_inactive": {"type": "boolean", "default": false}
        }))
    }

    fn output() -> Value {
        schema::list_output(
            "sales_rules",
            json!({
                "id": {"type": "integer"}, "chatbot_id": {"type": "integer"}, "name": {"type": "string"},
                "trigger": schema::object(json!({
                    "kind": {"type": "string"}, "value": {"type": "string"}
                })),
                "message": {"type": "string"}, "active": {"type": "boolean"},
                "times_shown": {"type": "integer"}, "times_accepted": {"type": "integer"}
            }),
        )
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        if let Some(id) = args.chatbot_id
            && !chatbot::exists(cx.tx, id)?
        {
            return Err(Refusal::not_found("chatbot", id, "list_chatbots"));
        }
        let filter = Filter { chatbot: args.chatbot_id, include_inactive: args.include_inactive };
        let after: Option<i64> = cx.position(args.paging.cursor.as_deref())?;
        let rows = sales_rule::list(cx.tx, filter, after, args.paging.fetch())?;
        let total = sales_rule::count(cx.tx, filter)?;
        page(cx, "sales_rules", &args.paging, &rows, total, |row| row.id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::{chatbot, sales_rule};
    use crate::tools::testing::{NOW, Shop};

    /// Two chatbots; rules 1 and 2 are the first's, 2 is not active, 3 is the second's.
    fn shop() -> Shop {
        let shop = Shop::new();
        for name in ["a", "b"] {
            let new = json!({"external_id": name, "settings": {"name": name}});
            shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        }
        for (chatbot, active) in [("a", true), ("a", false), ("b", true)] {
            let new = json!({
                "chatbot": chatbot, "name": "Stay", "trigger": "time_on_page", "value": "30",
                "message": "Can we help?", "active": active, "times_shown": 9, "times_accepted": 2
            });
            shop.seed(move |tx| sales_rule::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        }
        shop
    }

    #[test]
    fn shows_the_rules_in_force() {
        let shop = shop();
        let check = |arguments: Value, expected: &[i64]| {
            let answer = shop.call("list_sales_rules", arguments).unwrap();
            let rules = answer["sales_rules"].as_array().unwrap();
            assert_eq!(rules.iter().map(|rule| rule["id"].as_i64().unwrap()).collect::<Vec<_>>(), expected);
            assert_eq!(answer["total"], expected.len());
        };
        check(json!({}), &[1, 3]);
        check(json!({"include_inactive": true}), &[1, 2, 3]);
        check(json!({"chatbot_id": 1}), &[1]);
        check(json!({"chatbot_id": "1", "include_inactive": "true"}), &[1, 2]);
        let answer = shop.call("list_sales_rules", json!({"limit": 1})).unwrap();
        let rule = json!({
            "id": 1, "chatbot_id": 1, "name": "Stay", "trigger": {"kind": "time_on_page", "value": "30"},
            "message": "Can we help?", "active": true, "times_shown": 9, "times_accepted": 2
        });
        assert_eq!(answer["sales_rules"], json!([rule]));
        let rest = shop.call("list_sales_rules", json!({"cursor": answer["next_cursor"]})).unwrap();
        assert_eq!(rest["sales_rules"][0]["id"], 3);
    }

    #[test]
    fn an_unknown_chatbot_is_not_there() {
        let mut shop = shop();
        let check = |shop: &Shop, id: i64| {
            let refusal = shop.call("list_sales_rules", json!({"chatbot_id": id})).unwrap_err();
            assert_eq!(refusal.code, "not_found");
        };
        check(&shop, 3);
        shop.move_in("globex");
        check(&shop, 1);
        let answer = shop.call("list_sales_rules", json!({"include_inactive": true})).unwrap();
        assert_eq!(answer, json!({"sales_rules": [], "next_cursor": null, "total": 0}));
    }
}
