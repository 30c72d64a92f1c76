//! `get_ticket`: a ticket's whole thread and how it got where it stands.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::thread::{self, Kind, Line, Paging, Thread};
use super::{Cx, Effect, Json, Refusal, Spec, page, text};
use crate::clock::Time;
use crate::error::Result as StoreResult;
use crate::store::ticket::{self, Author, StatusChange};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    ticket_id: Option<i64>,
    ticket_ids: Option<Vec<i64>>,
    #[serde(flatten)]
    paging: Paging,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "get_ticket",
        title: "Get ticket",
        about: "One support ticket (ticket_id), or up to ten in one call (ticket_ids), in full: thread of customer, \
                agents and internal notes, status history, assignee, linked conversation. If it is \"truncated\", go \
                on with ticket_id and next_cursor as cursor.",
        effect: Effect::Read,
        untrusted: &[
            "/tickets/*/subject",
            "/tickets/*/contact/*",
            "/tickets/*/messages/*/author",
            "/tickets/*/messages/*/text",
        ],
    };
    const IS_BRIEF: bool = true;
    type Args = Args;

    fn input() -> Value {
        thread::input("ticket")
    }

    fn output() -> Value {
        let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
        thread::output(
            "tickets",
            json!({
                "id": number, "subject": text, "status": text, "priority": text,
                "contact": {"type": "object"}, "created_at": text,
                "updated_at": text, "message_count": number, "status_history": {"type": "array"}
            }),
        )
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        const KIND: Kind<Head> = Kind { name: "ticket", listed_by: "list_tickets", head, fill };
        KIND.get(cx, args.ticket_id, args.ticket_ids, &args.paging)
    }
}

#[derive(Serialize)]
struct Head {
    id: i64,
    subject: String,
    status: &'static str,
    priority: &'static str,
    assignee: Option<String>,
    contact: Contact,
    chatbot_id: Option<i64>,
    conversation_id: Option<i64>,
    created_at: Time,
    updated_at: Time,
    message_count: i64,
    status_history: Vec<StatusChange>,
}

#[derive(Serialize)]
struct Contact {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

fn head(cx: &Cx<'_>, id: i64, chars: usize) -> Result<Option<Head>, Refusal> {
    let Some(it) = ticket::get(cx.tx, id)? else { return Ok(None) };
    // A tenth of the room for what is longest, so that most is left for the thread.
    let longest = (chars / 10).min(400);
    let shown = |text: &str, redact: bool| page::cut(&text::outside(text, redact), longest).to_owned();
    let mut status_history = ticket::history(cx.tx, id, (chars / 1_000) as i64)?;
    for change in &mut status_history {
        change.actor =
            change.actor.as_deref().map(|actor| page::cut(&text::outside(actor, false), 60).to_owned());
    }
    Ok(Some(Head {
        id,
        subject: shown(&it.subject, cx.redact),
        status: it.status.as_str(),
        priority: it.priority.as_str(),
        assignee: it.assignee.as_deref().map(|name| shown(name, false)),
        contact: Contact {
            name: it.contact_name.as_deref().map(|name| shown(name, cx.redact)),
            // Its place says what it is, whatever it looks like.
            email: it.contact_email.as_deref().map(|email| match cx.redact {
                true => text::EMAIL.to_owned(),
                false => shown(email, false),
            }),
        },
        chatbot_id: it.chatbot_id,
        conversation_id: it.conversation_id,
        created_at: it.created_at,
        updated_at: it.updated_at,
        message_count: ticket::message_count(cx.tx, id)?,
        status_history,
    }))
}

fn fill(cx: &Cx<'_>, id: i64, after: i64, thread: &mut Thread) -> StoreResult<()> {
    ticket::each_message(cx.tx, id, after, |message| {
        // The shop's own people are not masked: one must see who answered.
        let redact = cx.redact && message.role == Author::Customer;
        let line = Line {
            role: message.role.as_str(),
            author: message.author.map(|author| page::cut(&text::outside(&author, redact), 100).to_owned()),
            text: text::outside(&message.text, cx.redact).into_owned(),
            sent_at: message.sent_at,
            truncated: false,
        };
        thread.push(message.position, line)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::{chatbot, conversation, ticket};
    use crate::tools::testing::{NOW, Shop};

    fn shop(tickets: Vec<Value>) -> Shop {
        let shop = Shop::new();
        shop.seed(move |tx| {
            let main = json!({"external_id": "main", "settings": {"name": "Main"}});
            chatbot::put(tx, &serde_json::from_value(main).unwrap(), NOW)?;
            let talk = json!({"external_id": "c1", "chatbot": "main"});
            conversation::put(tx, &serde_json::from_value(talk).unwrap(), NOW)?;
            for new in tickets {
                ticket::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            }
            Ok(())
        });
        shop
    }

    #[test]
    fn a_ticket_with_thread_and_history() {
        let shop = shop(vec![json!({
            "external_id": "t1", "conversation": "c1", "subject": "Refund for anna@example.com", "priority": "high",
            "assignee": "mia@shop.example", "contact": {"name": "Anna", "email": "anna@intranet"},
            "created_at": "2026-11-20", "status_history": [
                {"status": "new", "at": "2026-11-20"}, {"status": "resolved", "at": "2026-11-21", "actor": "Mia"}
            ],
            "messages": [
                {"text": "Where is it?\u{200b}", "author": "anna@example.com"},
                {"role": "agent", "text": "Call +49 30 1234567", "author": "mia@shop.example", "sent_at": "2026-11-21"}
            ]
        })]);
        let answer = shop.call("get_ticket", json!({"ticket_id": 1})).unwrap();
        let expected = json!([{
            "id": 1, "subject": "Refund for [EMAIL]", "status": "resolved", "priority": "high",
            "assignee": "mia@shop.example", "contact": {"name": "Anna", "email": "[EMAIL]"}, "chatbot_id": 1,
            "conversation_id": 1, "created_at": "2026-11-20T00:00:00Z", "updated_at": "2026-11-21T00:00:00Z",
            "message_count": 2, "status_history": [
                {"from": null, "to": "new", "actor": null, "at": "2026-11-20T00:00:00Z"},
                {"from": "new", "to": "resolved", "actor": "Mia", "at": "2026-11-21T00:00:00Z"}
            ],
            "messages": [
                {"role": "customer", "author": "[EMAIL]", "text": "Where is it?", "sent_at": "2026-11-20T00:00:00Z"},
                {"role": "agent", "author": "mia@shop.example", "text": "Call [PHONE]", "sent_at": "2026-11-21T00:00:00Z"}
            ]
        }]);
        assert_eq!(answer["tickets"], expected);
        assert_eq!(answer.as_object().unwrap().keys().next().unwrap(), "untrusted");
    }

    #[test]
    fn a_long_thread_goes_on_and_ten_share_the_room() {
        let thread: Vec<Value> =
            (1..=250).map(|n| json!({"text": format!("{n} {}", "x".repeat(300))})).collect();
        let tickets = (1..=10).map(|id| {
            json!({"external_id": format!("t{id}"), "subject": "\"".repeat(1_000), "messages": thread, "contact": "y".repeat(320),
                "status_history": (1..=300).map(|n| json!({"status": if n % 2 == 0 { "new" } else { "closed" },
                    "at": NOW.plus(n), "actor": "z".repeat(320)})).collect::<Vec<_>>()})
        });
        let shop = shop(tickets.collect());
        let (mut seen, mut cursor) = (0, Value::Null);
        loop {
            let answer = shop.call("get_ticket", json!({"ticket_id": 3, "cursor": cursor})).unwrap();
            for message in answer["tickets"][0]["messages"].as_array().unwrap() {
                seen += 1;
                assert!(message["text"].as_str().unwrap().starts_with(&format!("{seen} ")));
            }
            cursor = answer["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(seen, 250);
        let all = shop.call("get_ticket", json!({"ticket_ids": (1..=10).collect::<Vec<_>>()})).unwrap();
        for ticket in all["tickets"].as_array().unwrap() {
            assert!(!ticket["messages"].as_array().unwrap().is_empty());
            assert_eq!(ticket["truncated"], true);
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut shop = shop(vec![json!({"subject": "a"}), json!({"subject": "b"})]);
        let answer = shop.call("get_ticket", json!({"ticket_ids": [2, 7]})).unwrap();
        assert_eq!((&answer["tickets"][0]["subject"], &answer["not_found"]), (&json!("b"), &json!([7])));
        shop.move_in("other");
        let theirs = shop.call("get_ticket", json!({"ticket_id": 1})).unwrap_err();
        assert_eq!(theirs.code, "not_found");
        assert_eq!(
            theirs.message,
            "There is no ticket 1 in this organisation. list_tickets shows which there are."
        );
        let check = |arguments: Value, expected: &str| {
            let refusal = shop.call("get_ticket", arguments).unwrap_err();
            assert!(refusal.message.starts_with(expected), "{}", refusal.message);
        };
        check(json!({}), "ticket_id, ticket_ids: came neither; wanted exactly one of the two.");
        check(json!({"ticket_id": 1, "ticket_ids": [1]}), "ticket_id, ticket_ids: came both;");
        check(
            json!({"ticket_ids": vec![1; 11]}),
            "ticket_ids: came [1,1,1,1,1,1,1,1,1,1,1]; wanted a list of up to 10",
        );
        check(json!({"ticket_id": 0}), "There is no ticket 0 in this organisation.");
    }
}
