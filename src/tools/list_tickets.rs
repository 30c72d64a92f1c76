//! `list_tickets`: what the shop's people have to answer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::among::{self, Among};
use super::page::{self, Page, Paging};
use super::{Cx, Effect, Json, Refusal, Spec, schema, text};
use crate::clock::{HOUR, Time};
use crate::store::ticket::{self, After, Filter, Status, Ticket};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    #[serde(flatten)]
    among: Among,
    #[serde(default)]
    status: Vec<Status>,
    #[serde(flatten)]
    paging: Paging,
}

/// Characters of a subject, and of a first message, that are shown.
const SUBJECT_CHARS: usize = 200;
const MESSAGE_CHARS: usize = 240;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "list_tickets",
        title: "List tickets",
        about: "Lists support tickets, newest first: subject, status, priority, assignee, the beginning of the first \
                message, age. For open tickets ask for status [\"new\", \"in_progress\"] in one call. Whole threads: \
                get_ticket, which takes ten ids at once.",
        effect: Effect::Read,
        untrusted: &["/tickets/*/subject", "/tickets/*/first_message"],
    };
    type Args = Args;

    fn input() -> Value {
        among::list_input(json!({
            "status": {"type": "array", "items": {"type": "string", "enum": Status::WORDS}, "minItems": 1}
        }))
    }

    fn output() -> Value {
        let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
        schema::list_output(
            "tickets",
            json!({
                "id": number, "subject": text, "status": text, "priority": text, "assignee": {}, "first_message": {},
                "created_at": text, "age_hours": number, "chatbot_id": {}, "conversation_id": {}
            }),
        )
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let filter =
            Filter { statuses: args.status, chatbot: args.among.chatbot(cx)?, created: args.among.span()? };
        let after: Option<After> = cx.position(args.paging.cursor.as_deref())?;
        let mut page = Page::new(cx, &args.paging);
        for row in ticket::list(cx.tx, &filter, after, args.paging.fetch())? {
            page.push(&Row::of(cx, &row), (row.created_at.0, row.id))?;
        }
        let all = page.all().filter(|_| after.is_none());
        let total = all.map_or_else(|| ticket::count(cx.tx, &filter), Ok)?;
        page.finish("tickets", total)
    }
}

#[derive(Serialize)]
struct Row {
    id: i64,
    subject: String,
    status: &'static str,
    priority: &'static str,
    assignee: Option<String>,
    first_message: Option<String>,
    created_at: Time,
    age_hours: i64,
    chatbot_id: Option<i64>,
    conversation_id: Option<i64>,
}

impl Row {
    fn of(cx: &Cx<'_>, row: &Ticket) -> Row {
        let shown = |text: &str, most: usize| page::cut(&text::outside(text, cx.redact), most).to_owned();
        Row {
            id: row.id,
            subject: shown(&row.subject, SUBJECT_CHARS),
            status: row.status.as_str(),
            priority: row.priority.as_str(),
            assignee: row.assignee.as_deref().map(|name| text::outside(name, false).into_owned()),
            first_message: row.first_message.as_deref().map(|text| shown(text, MESSAGE_CHARS)),
            created_at: row.created_at,
            age_hours: cx.now.0.saturating_sub(row.created_at.0).max(0) / HOUR,
            chatbot_id: row.chatbot_id,
            conversation_id: row.conversation_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::{chatbot, ticket};
    use crate::tools::testing::{NOW, Shop};

    /// Four tickets, one in each status, a day apart; the last is of chatbot 1.
    fn shop() -> Shop {
        let shop = Shop::new();
        seed(&shop);
        shop
    }

    fn seed(shop: &Shop) {
        shop.seed(|tx| {
            let main = json!({"external_id": "main", "settings": {"name": "Main"}});
            chatbot::put(tx, &serde_json::from_value(main).unwrap(), NOW)?;
            for (day, status) in [(18, "closed"), (19, "resolved"), (20, "in_progress"), (21, "new")] {
                let new = json!({
                    "external_id": status, "subject": format!("Write to anna@example.com\u{202e} on {day}"), "status": status,
                    "chatbot": (day == 21).then_some("main"), "assignee": (day < 20).then_some("mia@shop.example"),
                    "created_at": format!("2026-11-{day}T08:30:00Z"), "messages": [{"text": "Call +49 30 1234567"}]
                });
                ticket::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            }
            Ok(())
        });
    }

    fn ids(answer: &Value) -> Vec<i64> {
        answer["tickets"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }

    #[test]
    fn a_row_shows_what_it_is_about_and_how_old_it_is() {
        let answer = shop().call("list_tickets", json!({"status": "new"})).unwrap();
        let expected = json!([{
            "id": 4, "subject": "Write to [EMAIL] on 21", "status": "new", "priority": "normal", "assignee": null,
            "first_message": "Call [PHONE]", "created_at": "2026-11-21T08:30:00Z", "age_hours": 23, "chatbot_id": 1,
            "conversation_id": null
        }]);
        assert_eq!(answer["tickets"], expected);
        assert_eq!(answer["untrusted"]["fields"], json!(["/tickets/*/subject", "/tickets/*/first_message"]));
    }

    #[test]
    fn filters_narrow_and_pages_go_on() {
        let shop = shop();
        let check = |arguments: Value, expected: &[i64]| {
            let answer = shop.call("list_tickets", arguments).unwrap();
            assert_eq!(ids(&answer), expected);
            assert_eq!(answer["total"], expected.len());
        };
        check(json!({}), &[4, 3, 2, 1]);
        check(json!({"status": ["new", "in_progress"]}), &[4, 3]);
        check(json!({"status": "[\"new\", \"closed\"]"}), &[4, 1]);
        check(json!({"status": "new, closed"}), &[4, 1]);
        check(json!({"chatbot_id": 1}), &[4]);
        check(json!({"from": "2026-11-19", "to": "2026-11-20"}), &[3, 2]);
        let first = shop.call("list_tickets", json!({"limit": 3})).unwrap();
        let rest = shop.call("list_tickets", json!({"limit": 3, "cursor": first["next_cursor"]})).unwrap();
        assert_eq!((ids(&first), ids(&rest), &rest["total"]), (vec![4, 3, 2], vec![1], &json!(4)));
    }

    #[test]
    fn wrong_arguments_are_refused_in_words() {
        let shop = shop();
        let check = |arguments: Value, code: &str, expected: &str| {
            let refusal = shop.call("list_tickets", arguments).unwrap_err();
            assert_eq!(refusal.code, code);
            assert!(refusal.message.starts_with(expected), "{}", refusal.message);
        };
        let wanted = "wanted a list of items, each one of new, in_progress, resolved, closed.";
        check(json!({"status": "lost"}), "invalid_arguments", &format!("status.0: came \"lost\"; {wanted}"));
        check(
            json!({"status": ["new", "lost"]}),
            "invalid_arguments",
            &format!("status.1: came \"lost\"; {wanted}"),
        );
        check(json!({"status": []}), "invalid_arguments", "status: came []; wanted");
        check(json!({"to": "2026-13-01"}), "invalid_arguments", "to: came \"2026-13-01\"; wanted");
        check(json!({"from": "2026-11-22", "to": "2026-11-01"}), "invalid_arguments", "from: came");
        check(json!({"chatbot_id": 2}), "not_found", "There is no chatbot 2 in this organisation.");
        let first = shop.call("list_tickets", json!({"limit": 1})).unwrap();
        let other = json!({"limit": 1, "status": "new", "cursor": first["next_cursor"]});
        check(other, "invalid_arguments", "cursor: not one that this tool gave");
    }

    #[test]
    fn another_organisation_is_neither_seen_nor_counted() {
        let mut shop = shop();
        let before = shop.call("list_tickets", json!({})).unwrap();
        let first = shop.tenant;
        shop.move_in("filled");
        seed(&shop);
        shop.tenant = first;
        assert_eq!(shop.call("list_tickets", json!({})).unwrap(), before);
    }
}
