//! `list_conversations`: who talked with the chatbots, and in which conversations something was said.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::among::{self, Among};
use super::page::{self, Page, Paging};
use super::{Cx, Effect, Json, Refusal, Spec, schema, text};
use crate::clock::Time;
use crate::store::Words;
use crate::store::chatbot::Platform;
use crate::store::conversation::{self, After, Filter, Summary};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    #[serde(flatten)]
    among: Among,
    platform: Option<Platform>,
    query: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

/// Characters of a query at most.
const QUERY_CHARS_MAX: usize = 200;
/// Characters of a visitor's name or country.
const VISITOR_CHARS: usize = 100;
/// Characters of a snippet before the word that was found, and in all.
const SNIPPET_BEFORE_CHARS: usize = 60;
const SNIPPET_CHARS: usize = 200;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "list_conversations",
        title: "List conversations",
        about: "Lists conversations of website visitors with the chatbots, newest first. With query only those whose \
                transcript has all its words (\"return\" also finds \"returned\"), each with a snippet around the \
                first hit. Whole transcripts: get_conversation, which takes ten ids at once.",
        effect: Effect::Read,
        untrusted: &[
            "/conversations/*/visitor/*",
            "/conversations/*/first_question",
            "/conversations/*/snippet",
        ],
    };
    type Args = Args;

    fn input() -> Value {
        among::list_input(json!({
            "platform": {"type": "string", "enum": Platform::WORDS},
            "query": {"type": "string", "maxLength": QUERY_CHARS_MAX}
        }))
    }

    fn output() -> Value {
        let (text, number) = (json!({"type": "string"}), json!({"type": "integer"}));
        schema::list_output(
            "conversations",
            json!({
                "id": number, "chatbot_id": number, "chatbot": text, "platform": text, "started_at": text,
                "message_count": number, "visitor": {"type": "object"}, "first_question": text, "snippet": text
            }),
        )
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let words = args.query.as_deref().map(words).transpose()?;
        let filter = Filter {
            chatbot: args.among.chatbot(cx)?,
            started: args.among.span()?,
            platform: args.platform,
            words,
        };
        let after: Option<After> = cx.position(args.paging.cursor.as_deref())?;
        let mut page = Page::new(cx, &args.paging);
        for row in conversation::list(cx.tx, &filter, after, args.paging.fetch())? {
            page.push(&Row::of(cx, &row, filter.words.as_ref())?, (row.started_at.0, row.id))?;
        }
        let all = page.all().filter(|_| after.is_none());
        let total = all.map_or_else(|| conversation::count(cx.tx, &filter), Ok)?;
        page.finish("conversations", total)
    }
}

fn words(query: &str) -> Result<Words, Refusal> {
    Words::parse(query).ok_or_else(|| {
        Refusal::arguments(format!(
            "query: came {query:?}; wanted at least one word, or no query for every conversation."
        ))
    })
}

#[derive(Serialize)]
struct Row<'a> {
    id: i64,
    chatbot_id: i64,
    chatbot: &'a str,
    platform: &'static str,
    started_at: Time,
    message_count: i64,
    visitor: Visitor,
    first_question: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippet: Option<String>,
}

#[derive(Serialize)]
struct Visitor {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

impl<'a> Row<'a> {
    fn of(cx: &Cx<'_>, row: &'a Summary, words: Option<&Words>) -> Result<Row<'a>, Refusal> {
        let shown = |text: &String| page::cut(&text::outside(text, cx.redact), VISITOR_CHARS).to_owned();
        Ok(Row {
            id: row.id,
            chatbot_id: row.chatbot_id,
            chatbot: &row.chatbot_name,
            platform: row.platform.as_str(),
            started_at: row.started_at,
            message_count: row.message_count,
            visitor: Visitor {
                name: row.visitor.name.as_ref().map(shown),
                country: row.visitor.country.as_ref().map(shown),
            },
            first_question: text::outside(&row.first_question, cx.redact).into_owned(),
            snippet: words.map(|words| snippet(cx, row, words)).transpose()?,
        })
    }
}

/// What was said around the first hit. What is masked is masked before anything is cut.
fn snippet(cx: &Cx<'_>, row: &Summary, words: &Words) -> Result<String, Refusal> {
    let hit = conversation::hit(cx.tx, row.id, words)?.unwrap_or_else(|| row.first_question.clone());
    let shown = text::outside(&hit, cx.redact);
    let start = words.find(&shown).map_or(0, |range| range.start);
    let before = shown[..start].char_indices().rev().nth(SNIPPET_BEFORE_CHARS - 1);
    let from = before.map_or(0, |(place, _)| place);
    let (part, is_cut) = text::cut(&shown[from..], SNIPPET_CHARS);
    let words: Vec<&str> = part.split_whitespace().collect();
    let (open, close) = (if from > 0 { "…" } else { "" }, if is_cut { "…" } else { "" });
    Ok(format!("{open}{}{close}", words.join(" ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::{chatbot, conversation};
    use crate::tools::testing::{NOW, Shop};

    /// Two chatbots and four conversations: two days of `main`, one of `other`, one on WhatsApp.
    fn shop() -> Shop {
        let shop = Shop::new();
        seed(&shop);
        shop
    }

    fn seed(shop: &Shop) {
        shop.seed(|tx| {
            for name in ["main", "other"] {
                let new = json!({"external_id": name, "settings": {"name": name}});
                chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            }
            for (id, chatbot, platform, at, text) in [
                ("a", "main", "web", "2026-11-20T10:00:00Z", "I want to return my shoes"),
                ("b", "main", "whatsapp", "2026-11-21T23:59:59Z", "Where is it? anna@example.com"),
                (
                    "c",
                    "other",
                    "web",
                    "2026-11-22T00:00:00Z",
                    "They RETURNED the boots to anna@example.com today",
                ),
                ("d", "main", "messenger", "2026-11-22T07:00:00Z", "Café"),
            ] {
                let new = json!({
                    "external_id": id, "chatbot": chatbot, "platform": platform,
                    "visitor": {"name": "Anna +49 30 1234567", "email": "anna@example.com"},
                    "messages": [
                        {"role": "assistant", "text": "Hello!", "sent_at": at},
                        {"role": "visitor", "text": text, "sent_at": at}
                    ]
                });
                conversation::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            }
            Ok(())
        });
    }

    fn ids(answer: &Value) -> Vec<i64> {
        answer["conversations"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
    }

    #[test]
    fn a_row_shows_who_and_what_first() {
        let answer = shop().call("list_conversations", json!({"platform": "whatsapp"})).unwrap();
        let expected = json!([{
            "id": 2, "chatbot_id": 1, "chatbot": "main", "platform": "whatsapp", "started_at": "2026-11-21T23:59:59Z",
            "message_count": 2, "visitor": {"name": "Anna [PHONE]"}, "first_question": "Where is it? [EMAIL]"
        }]);
        assert_eq!(answer["conversations"], expected);
        assert_eq!(answer["total"], 1);
    }

    #[test]
    fn filters_narrow_and_pages_go_on() {
        let shop = shop();
        let check = |arguments: Value, expected: &[i64]| {
            let answer = shop.call("list_conversations", arguments).unwrap();
            assert_eq!(ids(&answer), expected);
            assert_eq!(answer["total"], expected.len());
        };
        check(json!({}), &[4, 3, 2, 1]);
        check(json!({"chatbot_id": 2}), &[3]);
        check(json!({"from": "2026-11-21", "to": "2026-11-21"}), &[2]);
        check(json!({"from": "2026-11-22"}), &[4, 3]);
        check(json!({"to": "2026-11-22T00:00:00Z"}), &[3, 2, 1]);
        check(json!({"query": "return"}), &[3, 1]);
        check(json!({"query": "return shoes"}), &[1]);
        check(json!({"query": "returned", "chatbot_id": 1}), &[]);
        check(json!({"query": "CAFE"}), &[4]);
        check(json!({"query": "hello", "from": "2026-11-21", "platform": "web"}), &[3]);
        let first = shop.call("list_conversations", json!({"limit": 3})).unwrap();
        assert_eq!((ids(&first), &first["total"]), (vec![4, 3, 2], &json!(4)));
        let rest = json!({"limit": 3, "cursor": first["next_cursor"]});
        let rest = shop.call("list_conversations", rest).unwrap();
        assert_eq!((ids(&rest), &rest["total"], &rest["next_cursor"]), (vec![1], &json!(4), &Value::Null));
    }

    #[test]
    fn a_snippet_stands_around_the_hit_and_is_masked() {
        let shop = shop();
        let check = |query: &str, expected: &[&str]| {
            let answer = shop.call("list_conversations", json!({"query": query})).unwrap();
            let rows = answer["conversations"].as_array().unwrap();
            assert_eq!(rows.iter().map(|row| row["snippet"].as_str().unwrap()).collect::<Vec<_>>(), expected);
        };
        check("boots", &["They RETURNED the boots to [EMAIL] today"]);
        check("anna", &["They RETURNED the boots to [EMAIL] today", "Where is it? [EMAIL]"]);
        let long = format!("{} needle {}", "before ".repeat(100), "after ".repeat(100));
        shop.seed(move |tx| {
            let new = json!({"external_id": "long", "chatbot": "main", "messages": [
                {"role": "visitor", "text": long, "sent_at": "2026-11-01"}]});
            conversation::put(tx, &serde_json::from_value(new).unwrap(), NOW)
        });
        let answer = shop.call("list_conversations", json!({"query": "needle"})).unwrap();
        let snippet = answer["conversations"][0]["snippet"].as_str().unwrap();
        assert!(
            snippet.starts_with('…') && snippet.ends_with('…') && snippet.contains(" needle after"),
            "{snippet}"
        );
        assert!(snippet.chars().count() <= super::SNIPPET_CHARS + 2, "{snippet}");
    }

    #[test]
    fn wrong_arguments_are_refused_in_words() {
        let shop = shop();
        let check = |arguments: Value, code: &str, expected: &str| {
            let refusal = shop.call("list_conversations", arguments).unwrap_err();
            assert_eq!(refusal.code, code);
            assert!(refusal.message.starts_with(expected), "{}", refusal.message);
        };
        check(json!({"query": "?!"}), "invalid_arguments", "query: came \"?!\"; wanted at least one word");
        check(json!({"query": "x".repeat(201)}), "invalid_arguments", "query: came 201 characters; wanted");
        check(json!({"platform": "fax"}), "invalid_arguments", "platform: came \"fax\"; wanted one of web");
        check(json!({"from": "soon"}), "invalid_arguments", "from: came \"soon\"; wanted a time");
        check(json!({"from": "2026-11-22", "to": "2026-11-01"}), "invalid_arguments", "from: came");
        check(json!({"chatbot_id": 3}), "not_found", "There is no chatbot 3 in this organisation.");
        let first = shop.call("list_conversations", json!({"limit": 1, "query": "return"})).unwrap();
        let other = json!({"limit": 1, "query": "hello", "cursor": first["next_cursor"]});
        check(other, "invalid_arguments", "cursor: not one that this tool gave");
    }

    #[test]
    fn another_organisation_is_neither_seen_nor_counted() {
        let mut shop = shop();
        let before = shop.call("list_conversations", json!({"query": "return"})).unwrap();
        let first = shop.tenant;
        shop.move_in("filled");
        seed(&shop);
        shop.tenant = first;
        assert_eq!(shop.call("list_conversations", json!({"query": "return"})).unwrap(), before);
    }
}
