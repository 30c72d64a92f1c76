//! `get_conversation`: what was said, word for word.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::thread::{self, Kind, Line, Paging, Thread};
use super::{Cx, Effect, Json, Refusal, Spec, page, text};
use crate::clock::Time;
use crate::error::Result as StoreResult;
use crate::store::conversation::{self, Visitor};
use crate::store::ticket::Status;

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    conversation_id: Option<i64>,
    conversation_ids: Option<Vec<i64>>,
    #[serde(flatten)]
    paging: Paging,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "get_conversation",
        title: "Get conversation",
        about: "The transcript of one conversation (conversation_id), or of up to ten in one call (conversation_ids): \
                who said what and when, visitor, linked tickets and leads. If it is \"truncated\", go on with \
                conversation_id and next_cursor as cursor.",
        effect: Effect::Read,
        untrusted: &[
            "/conversations/*/visitor/*",
            "/conversations/*/tickets/*/subject",
            "/conversations/*/messages/*/text",
        ],
    };
    const IS_BRIEF: bool = true;
    type Args = Args;

    fn input() -> Value {
        thread::input("conversation")
    }

    fn output() -> Value {
        let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
        let (object, array) = (json!({"type": "object"}), json!({"type": "array"}));
        thread::output(
            "conversations",
            json!({
                "id": number, "chatbot_id": number, "chatbot": text, "platform": text, "started_at": text,
                "message_count": number, "visitor": object,
                "tickets": array, "lead_ids": array
            }),
        )
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        const KIND: Kind<Head> = Kind { name: "conversation", listed_by: "list_conversations", head, fill };
        KIND.get(cx, args.conversation_id, args.conversation_ids, &args.paging)
    }
}

#[derive(Serialize)]
struct Head {
    id: i64,
    chatbot_id: i64,
    chatbot: String,
    platform: &'static str,
    started_at: Time,
    message_count: i64,
    first_response_ms: Option<i64>,
    handed_over_at: Option<Time>,
    visitor: Visitor,
    tickets: Vec<Ticket>,
    lead_ids: Vec<i64>,
}

#[derive(Serialize)]
struct Ticket {
    id: i64,
    status: &'static str,
    subject: String,
}

fn head(cx: &Cx<'_>, id: i64, chars: usize) -> Result<Option<Head>, Refusal> {
    let Some(it) = conversation::get(cx.tx, id)? else { return Ok(None) };
    // A tenth of the room for what is longest, so that most is left for the transcript.
    let longest = (chars / 10).min(400);
    let shown = |text: &str| page::cut(&text::outside(text, cx.redact), longest).to_owned();
    let linked = conversation::linked(cx.tx, id, (chars / 1_000) as i64)?;
    let ticket = |(id, status, subject): (i64, Status, String)| Ticket {
        id,
        status: status.as_str(),
        subject: shown(&subject),
    };
    Ok(Some(Head {
        id,
        chatbot_id: it.chatbot_id,
        chatbot: page::cut(&it.chatbot_name, longest).to_owned(),
        platform: it.platform.as_str(),
        started_at: it.started_at,
        message_count: it.message_count,
        first_response_ms: it.first_response_ms,
        handed_over_at: it.handed_over_at,
        visitor: masked(it.visitor, cx.redact).map(shown),
        tickets: linked.tickets.into_iter().map(ticket).collect(),
        lead_ids: linked.leads,
    }))
}

/// The address and the number are masked whatever they look like: their place says what they are.
fn masked(visitor: Visitor, redact: bool) -> Visitor {
    let mask =
        |known: Option<String>, mask: &str| known.map(|text| if redact { mask.to_owned() } else { text });
    Visitor { email: mask(visitor.email, text::EMAIL), phone: mask(visitor.phone, text::PHONE), ..visitor }
}

fn fill(cx: &Cx<'_>, id: i64, after: i64, thread: &mut Thread) -> StoreResult<()> {
    conversation::each_message(cx.tx, id, after, |message| {
        let line = Line {
            role: message.role.as_str(),
            author: None,
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

    use crate::store::{chatbot, conversation, lead, ticket};
    use crate::tools::testing::{NOW, Shop};

    /// A shop with the chatbot `main` and these conversations.
    fn shop(talks: Vec<Value>) -> Shop {
        let shop = Shop::new();
        shop.seed(move |tx| {
            let main = json!({"external_id": "main", "settings": {"name": "Main"}});
            chatbot::put(tx, &serde_json::from_value(main).unwrap(), NOW)?;
            for talk in talks {
                conversation::put(tx, &serde_json::from_value(talk).unwrap(), NOW)?;
            }
            Ok(())
        });
        shop
    }

    fn talk(id: &str, texts: &[&str]) -> Value {
        let says = |(place, text): (usize, &&str)| {
            let role = if place % 2 == 0 { "visitor" } else { "assistant" };
            let sent_at = NOW.plus(place as i64 * 1_000 - 3_600_000).to_string();
            json!({"role": role, "text": text, "sent_at": sent_at})
        };
        let messages: Vec<Value> = texts.iter().enumerate().map(says).collect();
        json!({"external_id": id, "chatbot": "main", "messages": messages})
    }

    #[test]
    fn a_transcript_with_what_hangs_on_it() {
        let mut new = talk("c1", &["I am \u{200b}anna@example.com", "Hello!"]);
        new["visitor"] = json!({"name": "Anna", "phone": "2125551234", "page": "https://shop.example/"});
        let mut shop = shop(vec![new]);
        shop.seed(|tx| {
            let new = json!({"subject": "Call +49 30 1234567", "conversation": "c1"});
            ticket::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            let new = json!({"external_id": "l1", "email": "anna@example.com", "conversation": "c1"});
            lead::put(tx, &serde_json::from_value(new).unwrap(), NOW)
        });
        let answer = shop.call("get_conversation", json!({"conversation_id": 1})).unwrap();
        assert_eq!(answer.as_object().unwrap().keys().next().unwrap(), "untrusted");
        let expected = json!([{
            "id": 1, "chatbot_id": 1, "chatbot": "Main", "platform": "web", "started_at": "2026-11-22T07:00:00Z",
            "message_count": 2, "first_response_ms": 1_000, "handed_over_at": null,
            "visitor": {"name": "Anna", "phone": "[PHONE]", "page": "https://shop.example/"},
            "tickets": [{"id": 1, "status": "new", "subject": "Call [PHONE]"}], "lead_ids": [1],
            "messages": [
                {"role": "visitor", "text": "I am [EMAIL]", "sent_at": "2026-11-22T07:00:00Z"},
                {"role": "assistant", "text": "Hello!", "sent_at": "2026-11-22T07:00:01Z"}
            ]
        }]);
        assert_eq!(answer["conversations"], expected);
        assert_eq!(answer["next_cursor"], Value::Null);
        shop.redact = false;
        let answer = shop.call("get_conversation", json!({"conversation_id": 1})).unwrap();
        assert_eq!(answer["conversations"][0]["messages"][0]["text"], "I am anna@example.com");
    }

    #[test]
    fn a_long_conversation_goes_on_with_the_cursor_to_its_end() {
        let texts: Vec<String> = (1..=5_000).map(|place| format!("message {place} \"quoted\"")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let shop = shop(vec![talk("c1", &texts)]);
        let (mut seen, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let arguments = json!({"conversation_id": 1, "cursor": cursor, "limit": 100});
            let answer = shop.call("get_conversation", arguments).unwrap();
            let messages = answer["conversations"][0]["messages"].as_array().unwrap().clone();
            assert!(!messages.is_empty() && messages.len() <= 100);
            seen.extend(messages.into_iter().map(|message| message["text"].as_str().unwrap().to_owned()));
            cursor = answer["next_cursor"].clone();
            assert_eq!(answer["conversations"][0]["truncated"] == json!(true), cursor.is_string());
            if cursor.is_null() {
                break;
            }
        }
        assert_eq!(seen, texts);
    }

    #[test]
    fn a_message_too_long_for_an_answer_is_cut_inside() {
        let long = "\"é\n".repeat(13_333);
        let shop = shop(vec![talk("c1", &["short", &long, "end"])]);
        let first = shop.call("get_conversation", json!({"conversation_id": 1})).unwrap();
        assert_eq!(first["conversations"][0]["messages"].as_array().unwrap().len(), 1);
        let next = json!({"conversation_id": 1, "cursor": first["next_cursor"]});
        let second = shop.call("get_conversation", next).unwrap();
        let message = &second["conversations"][0]["messages"][0];
        assert_eq!(message["truncated"], true);
        let text = message["text"].as_str().unwrap();
        assert!(long.starts_with(text) && text.len() > 20_000, "{}", text.len());
        let last = json!({"conversation_id": 1, "cursor": second["next_cursor"]});
        assert_eq!(
            shop.call("get_conversation", last).unwrap()["conversations"][0]["messages"][0]["text"],
            "end"
        );
    }

    #[test]
    fn ten_long_ones_share_the_room() {
        let long = "x".repeat(40_000);
        let mut talks: Vec<Value> =
            (1..=10).map(|place| talk(&format!("c{place}"), &["hello", &long, "bye"])).collect();
        for talk in &mut talks {
            talk["visitor"] =
                json!({"name": "\"".repeat(2_000), "page": "y".repeat(2_000), "agent": "z".repeat(2_000)});
        }
        let shop = shop(talks);
        let ids: Vec<i64> = (1..=10).collect();
        let answer = shop.call("get_conversation", json!({"conversation_ids": ids})).unwrap();
        for conversation in answer["conversations"].as_array().unwrap() {
            assert_eq!(conversation["messages"][0]["text"], "hello");
            assert_eq!(conversation["truncated"], true);
        }
        assert_eq!(answer["conversations"].as_array().unwrap().len(), 10);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut shop = shop(vec![talk("c1", &["a"]), talk("c2", &["b"])]);
        let answer = shop.call("get_conversation", json!({"conversation_ids": [2, 9, 1, 2]})).unwrap();
        let ids: Vec<&Value> =
            answer["conversations"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert_eq!(ids, [2, 1]);
        assert_eq!(answer["not_found"], json!([9]));
        let refused = |shop: &Shop| shop.call("get_conversation", json!({"conversation_id": 2})).unwrap_err();
        shop.move_in("other");
        let theirs = refused(&shop);
        assert_eq!(theirs.code, "not_found");
        assert_eq!(
            theirs.message,
            "There is no conversation 2 in this organisation. list_conversations shows which there are."
        );
        let none = shop.call("get_conversation", json!({"conversation_ids": [1, 2]})).unwrap();
        assert_eq!(none, json!({"conversations": [], "next_cursor": null, "not_found": [1, 2]}));
    }

    #[test]
    fn wrong_arguments_are_refused_in_words() {
        let shop = shop(vec![talk("c1", &["a"; 3]), talk("c2", &["b"; 3])]);
        let check = |arguments: Value, expected: &str| {
            let refusal = shop.call("get_conversation", arguments).unwrap_err();
            assert_eq!(refusal.code, "invalid_arguments");
            assert!(refusal.message.starts_with(expected), "{}", refusal.message);
        };
        check(json!({}), "conversation_id, conversation_ids: came neither; wanted exactly one of the two.");
        check(
            json!({"conversation_id": 1, "conversation_ids": [1]}),
            "conversation_id, conversation_ids: came both; wanted exactly one of the two.",
        );
        check(
            json!({"conversation_ids": (1..=11).collect::<Vec<_>>()}),
            "conversation_ids: came [1,2,3,4,5,6,7,8,9,10,11]; wanted a list of up to 10 items",
        );
        check(json!({"conversation_ids": []}), "conversation_ids: came []; wanted a list");
        check(json!({"conversation_id": "abc"}), "conversation_id: came \"abc\"; wanted a whole number");
        check(json!({"conversation_id": 1, "limit": 101}), "limit: came 101; wanted");
        let first = shop.call("get_conversation", json!({"conversation_id": 1, "limit": 2})).unwrap();
        let cursor = &first["next_cursor"];
        check(json!({"conversation_id": 2, "cursor": cursor}), "cursor: not one that this tool gave");
        check(
            json!({"conversation_ids": [1], "cursor": cursor}),
            "cursor: came with conversation_ids; wanted",
        );
    }
}
