use serde_json::{Value, json};

use super::*;
use crate::store::{Durability, Put, chatbot, conversation};
use crate::tools::testing::{NOW, Shop};

/// A shop with the chatbot `main`, and the conversation `c1` of it.
fn shop() -> Shop {
    let shop = Shop::new();
    shop.seed(|tx| {
        let main = json!({"external_id": "main", "settings": {"name": "Main"}});
        chatbot::put(tx, &serde_json::from_value(main).unwrap(), NOW)?;
        let talk = json!({"external_id": "c1", "chatbot": "main"});
        conversation::put(tx, &serde_json::from_value(talk).unwrap(), NOW)
    });
    shop
}

fn put_in(shop: &Shop, new: Value) -> Result<Put> {
    let new: NewTicket = serde_json::from_value(new).unwrap();
    let tenant = shop.tenant;
    shop.store.write(Durability::Process, move |tx| put(&tx.tenant(tenant), &new, NOW))
}

fn life(shop: &Shop, id: i64) -> Vec<(Option<Status>, Status, String)> {
    let changes = shop.seed(move |tx| history(tx, id, 100));
    changes.into_iter().map(|step| (step.from, step.to, step.at.to_string())).collect()
}

#[test]
fn a_helpdesk_export_is_understood() {
    let shop = shop();
    let ticket = json!({
        "contact": "anna@example.com", "status": "pending", "subject": "Parcel lost", "priority": "urgent",
        "createdAt": "2026-11-01T08:00:00Z", "operatorEmail": "mia@shop.example", "mailbox": "support",
        "messages": [{"message": "Where is it?"}, {"role": "operator", "body": "Looking.", "createdAt": "2026-11-01T09:00:00Z"}]
    });
    assert_eq!(put_in(&shop, ticket.clone()).unwrap(), Put::Created(1));
    let kept = shop.seed(|tx| get(tx, 1)).unwrap();
    assert_eq!((kept.status, kept.priority), (Status::InProgress, Priority::Urgent));
    assert_eq!(kept.contact_email.as_deref(), Some("anna@example.com"));
    assert_eq!(kept.assignee.as_deref(), Some("mia@shop.example"));
    assert_eq!(kept.first_message.as_deref(), Some("Where is it?"));
    assert_eq!(kept.updated_at.to_string(), "2026-11-01T09:00:00Z");
    assert_eq!(put_in(&shop, ticket.clone()).unwrap(), Put::Unchanged(1));

    let mut solved = ticket;
    solved["status"] = json!("solved");
    assert_eq!(put_in(&shop, solved.clone()).unwrap(), Put::Updated(1));
    assert_eq!(put_in(&shop, solved).unwrap(), Put::Unchanged(1));
    let steps = [
        (None, Status::InProgress, "2026-11-01T08:00:00Z".to_owned()),
        (Some(Status::InProgress), Status::Resolved, NOW.to_string()),
    ];
    assert_eq!(life(&shop, 1), steps);
}

#[test]
fn other_helpdesks_words_for_a_status_are_understood() {
    let check = |word: &str, expected: Status| {
        assert_eq!(serde_json::from_value::<Status>(json!(word)).unwrap(), expected);
    };
    check("open", Status::New);
    check("hold", Status::InProgress);
    check("snoozed", Status::InProgress);
    check("solved", Status::Resolved);
    check("closed", Status::Closed);
    assert!(serde_json::from_value::<Status>(json!("lost")).is_err());
}

#[test]
fn thread_and_history_grow_without_repeating() {
    let shop = shop();
    let ticket = |messages: Value, history: Value| {
        json!({"external_id": "t1", "conversation": "c1", "subject": "Refund", "created_at": "2026-11-01",
            "messages": messages, "status_history": history})
    };
    let first = json!({"text": "Hello?", "author": "Anna"});
    let second = json!({"role": "agent", "text": "Done.", "sent_at": "2026-11-03"});
    let opened = json!({"status": "new", "at": "2026-11-01"});
    let done = json!({"status": "resolved", "at": "2026-11-03", "actor": "Mia"});
    assert_eq!(put_in(&shop, ticket(json!([first]), json!([opened]))).unwrap(), Put::Created(1));
    assert_eq!(put_in(&shop, ticket(json!([first]), json!([opened]))).unwrap(), Put::Unchanged(1));
    assert_eq!(
        put_in(&shop, ticket(json!([first, second]), json!([opened, done]))).unwrap(),
        Put::Updated(1)
    );
    assert_eq!(put_in(&shop, ticket(json!([second]), json!([done]))).unwrap(), Put::Unchanged(1));
    assert_eq!(shop.seed(|tx| message_count(tx, 1)), 2);
    let steps = [
        (None, Status::New, "2026-11-01T00:00:00Z".to_owned()),
        (Some(Status::New), Status::Resolved, "2026-11-03T00:00:00Z".to_owned()),
    ];
    assert_eq!(life(&shop, 1), steps);
    let kept = shop.seed(|tx| get(tx, 1)).unwrap();
    assert_eq!((kept.status, kept.chatbot_id, kept.conversation_id), (Status::Resolved, Some(1), Some(1)));
    assert_eq!(kept.updated_at.to_string(), "2026-11-03T00:00:00Z");
}

#[test]
fn lists_are_filtered_by_status_and_time() {
    let shop = shop();
    for (id, status, day) in [("a", "new", 1), ("b", "pending", 2), ("c", "closed", 3), ("d", "new", 4)] {
        let new = json!({"external_id": id, "subject": id, "status": status, "created_at": format!("2026-11-0{day}")});
        put_in(&shop, new).unwrap();
    }
    let check = |filter: Filter, expected: &[i64]| {
        let rows = shop.seed({
            let filter = filter.clone();
            move |tx| list(tx, &filter, None, 10)
        });
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), expected);
        assert_eq!(shop.seed(move |tx| count(tx, &filter)), expected.len() as i64);
    };
    check(Filter::default(), &[4, 3, 2, 1]);
    check(Filter { statuses: vec![Status::New, Status::InProgress], ..Filter::default() }, &[4, 2, 1]);
    let created = Span { from: Time::parse("2026-11-02"), until: Time::parse("2026-11-04") };
    check(Filter { statuses: vec![Status::Closed], created, ..Filter::default() }, &[3]);
    check(Filter { chatbot: Some(1), ..Filter::default() }, &[]);
}

#[test]
fn what_is_unknown_or_too_long_is_refused_by_name() {
    let check = |new: Value, expected: &str| {
        let message = put_in(&shop(), new).unwrap_err().public;
        assert!(message.starts_with(expected), "{message}");
    };
    check(json!({"subject": ""}), "subject: ");
    check(json!({"subject": "x", "conversation": "c9"}), "conversation: came \"c9\"; wanted");
    check(json!({"subject": "x", "chatbot": "none"}), "chatbot: came \"none\"; wanted");
    check(json!({"subject": "x", "messages": [{"text": "x".repeat(100_001)}]}), "messages.0.text: ");
}
