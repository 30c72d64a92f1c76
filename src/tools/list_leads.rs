//! `list_leads`: whom the shop can reach.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::among::{self, Among};
use super::page::{Page, Paging};
use super::{Cx, Effect, Json, Refusal, Spec, schema, text};
use crate::clock::Time;
use crate::store::lead::{self, After, Filter, Lead};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    #[serde(flatten)]
    among: Among,
    #[serde(flatten)]
    paging: Paging,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "list_leads",
        title: "List leads",
        about: "Lists the leads that chat widgets captured, newest first: e-mail address, name and phone number as the \
                visitor left them, when, and with which chatbot and conversation.",
        effect: Effect::Read,
        untrusted: &["/leads/*/email", "/leads/*/name", "/leads/*/phone"],
    };
    type Args = Args;

    fn input() -> Value {
        among::list_input(json!({}))
    }

    fn output() -> Value {
        schema::list_output(
            "leads",
            json!({
                "id": {"type": "integer"}, "email": {}, "name": {}, "phone": {}, "captured_at": {"type": "string"},
                "chatbot_id": {}, "chatbot": {}, "conversation_id": {}
            }),
        )
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let filter = Filter { chatbot: args.among.chatbot(cx)?, captured: args.among.span()? };
        let after: Option<After> = cx.position(args.paging.cursor.as_deref())?;
        let mut page = Page::new(cx, &args.paging);
        for row in lead::list(cx.tx, &filter, after, args.paging.fetch())? {
            page.push(&Row::of(&row), (row.captured_at.0, row.id))?;
        }
        let all = page.all().filter(|_| after.is_none());
        let total = all.map_or_else(|| lead::count(cx.tx, &filter), Ok)?;
        page.finish("leads", total)
    }
}

#[derive(Serialize)]
struct Row<'a> {
    id: i64,
    email: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    captured_at: Time,
    chatbot_id: Option<i64>,
    chatbot: Option<&'a str>,
    conversation_id: Option<i64>,
}

impl<'a> Row<'a> {
    fn of(row: &'a Lead) -> Row<'a> {
        // Not masked whatever the setting: who they are and how to reach them is what a lead is.
        let shown = |text: &String| text::outside(text, false).into_owned();
        Row {
            id: row.id,
            email: row.email.as_ref().map(shown),
            name: row.name.as_ref().map(shown),
            phone: row.phone.as_ref().map(shown),
            captured_at: row.captured_at,
            chatbot_id: row.chatbot_id,
            chatbot: row.chatbot_name.as_deref(),
            conversation_id: row.conversation_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::{chatbot, conversation, lead};
    use crate::tools::testing::{NOW, Shop};

    /// Three leads a day apart; the last comes of conversation 1 with chatbot 1.
    fn shop() -> Shop {
        let shop = Shop::new();
        seed(&shop);
        shop
    }

    fn seed(shop: &Shop) {
        shop.seed(|tx| {
            let main = json!({"external_id": "main", "settings": {"name": "Main"}});
            chatbot::put(tx, &serde_json::from_value(main).unwrap(), NOW)?;
            let talk = json!({"external_id": "c1", "chatbot": "main"});
            conversation::put(tx, &serde_json::from_value(talk).unwrap(), NOW)?;
            for day in 19..=21 {
                let new = json!({
                    "external_id": format!("l{day}"), "email": "anna\u{200b}@example.com", "name": "Anna\u{202e}",
                    "phone": (day == 21).then_some("+49 30 1234567"), "conversation": (day == 21).then_some("c1"),
                    "captured_at": format!("2026-11-{day}T12:00:00Z")
                });
                lead::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            }
            Ok(())
        });
    }

    fn ids(answer: &Value) -> Vec<i64> {
        answer["leads"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }

    #[test]
    fn a_lead_can_be_reached_and_hides_nothing() {
        let answer = shop().call("list_leads", json!({"chatbot_id": 1})).unwrap();
        let expected = json!([{
            "id": 3, "email": "anna@example.com", "name": "Anna", "phone": "+49 30 1234567",
            "captured_at": "2026-11-21T12:00:00Z", "chatbot_id": 1, "chatbot": "Main", "conversation_id": 1
        }]);
        assert_eq!(answer["leads"], expected);
        let fields = json!(["/leads/*/email", "/leads/*/name", "/leads/*/phone"]);
        assert_eq!(answer["untrusted"]["fields"], fields);
    }

    #[test]
    fn filters_narrow_and_pages_go_on() {
        let shop = shop();
        let check = |arguments: Value, expected: &[i64]| {
            let answer = shop.call("list_leads", arguments).unwrap();
            assert_eq!(ids(&answer), expected);
            assert_eq!(answer["total"], expected.len());
        };
        check(json!({}), &[3, 2, 1]);
        check(json!({"from": "2026-11-20", "to": "2026-11-20"}), &[2]);
        check(json!({"to": "2026-11-19T11:59:59Z"}), &[]);
        let first = shop.call("list_leads", json!({"limit": "2"})).unwrap();
        let rest = shop.call("list_leads", json!({"limit": 2, "cursor": first["next_cursor"]})).unwrap();
        assert_eq!((ids(&first), ids(&rest), &rest["total"]), (vec![3, 2], vec![1], &json!(3)));
    }

    #[test]
    fn wrong_arguments_are_refused_in_words() {
        let mut shop = shop();
        let check = |shop: &Shop, arguments: Value, expected: &str| {
            let refusal = shop.call("list_leads", arguments).unwrap_err();
            assert!(refusal.message.starts_with(expected), "{}", refusal.message);
        };
        check(&shop, json!({"from": "2026-11-22", "to": "2026-11-01"}), "from: came");
        check(&shop, json!({"from": 5}), "from: came \"5\"; wanted a time");
        let first = shop.call("list_leads", json!({"limit": 1})).unwrap();
        let others = json!({"limit": 1, "from": "2026-11-01", "cursor": first["next_cursor"]});
        check(&shop, others, "cursor: not one that this tool gave");
        shop.move_in("other");
        check(
            &shop,
            json!({"limit": 1, "cursor": first["next_cursor"]}),
            "cursor: not one that this tool gave",
        );
        check(&shop, json!({"chatbot_id": 1}), "There is no chatbot 1 in this organisation.");
    }

    #[test]
    fn another_organisation_is_neither_seen_nor_counted() {
        let mut shop = shop();
        let before = shop.call("list_leads", json!({})).unwrap();
        let first = shop.tenant;
        shop.move_in("filled");
        seed(&shop);
        shop.tenant = first;
        assert_eq!(shop.call("list_leads", json!({})).unwrap(), before);
    }
}
