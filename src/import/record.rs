//! A record: one thing of any kind, as a line of JSONL has it and as every import puts it into the store.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::store::chatbot::{self, NewChatbot};
use crate::store::conversation::{self, NewConversation};
use crate::store::document::{self, NewDocument};
use crate::store::knowledge::{self, NewSource};
use crate::store::lead::{self, NewLead};
use crate::store::product::{self, NewProduct};
use crate::store::sales_rule::{self, NewSalesRule};
use crate::store::ticket::{self, NewTicket};
use crate::store::{Put, TenantTx};

/// Makes the record out of one table: the variant, its word in JSON, what it holds, how it is put.
macro_rules! records {
    ($($(#[$doc:meta])* $variant:ident($new:ty) = $word:literal, $put:expr;)+) => {
        /// One thing of any kind. In JSON the object of the thing with one more member, its kind:
        /// `{"type": "document", "external_id": "returns", "title": "Returns", "text": "…"}`.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(try_from = "Value")]
        pub enum Record {
            $($(#[$doc])* $variant($new),)+
        }

        impl Record {
            /// Every kind there is, in an order in which none refers to a later one.
            pub const KINDS: &'static [&'static str] = &[$($word),+];

            /// Its kind, as its member `type` says it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Record::$variant(_) => $word,)+
                }
            }

            fn of_kind(kind: &str, members: Map<String, Value>) -> Result<Record, String> {
                match kind {
                    $($word => read(members).map(Record::$variant),)+
                    _ => Err(format!("type: came {:?}; wanted one of {}", short(kind), Record::KINDS.join(", "))),
                }
            }
        }

        /// Puts a record into the store: makes the thing, or brings the one with the same external id to this state.
        ///
        /// # Errors
        /// `Invalid`, naming the field, when the thing breaks a rule of its kind or refers to what is not there.
        pub fn put(tx: &TenantTx<'_>, record: &Record, now: Time) -> Result<Put> {
            match record {
                $(Record::$variant(new) => $put(tx, new, now),)+
            }
        }
    };
}

records! {
    /// A chatbot with its settings.
    Chatbot(NewChatbot) = "chatbot", |tx, new: &NewChatbot, now| {
        known_again(&new.external_id).and_then(|()| chatbot::put(tx, new, now))
    };
    /// A rule of a chatbot's widget.
    SalesRule(NewSalesRule) = "sales_rule", |tx, new: &NewSalesRule, now| {
        known_again(&new.external_id).and_then(|()| sales_rule::put(tx, new, now))
    };
    /// A product of a catalogue.
    Product(NewProduct) = "product", product::put;
    /// A page, a file or custom content that chatbots answer from.
    Document(NewDocument) = "document", document::put;
    /// A catalogue that a chatbot is held to.
    KnowledgeSource(NewSource) = "knowledge_source", |tx, new, _| knowledge::put(tx, new);
    /// A conversation with its messages.
    Conversation(NewConversation) = "conversation", conversation::put;
    /// A ticket with its thread and its history.
    Ticket(NewTicket) = "ticket", ticket::put;
    /// A visitor who left an address.
    Lead(NewLead) = "lead", lead::put;
}

impl Record {
    /// Reads a record out of the text of a JSON object.
    ///
    /// # Errors
    /// What is wrong with it, naming the member; and its kind, if that much can be told.
    pub fn parse(json: &str) -> Result<Record, (Option<&'static str>, String)> {
        let value = serde_json::from_str(json);
        Record::of(value.map_err(|e| (None, format!("it is no JSON: {}", in_words(&e))))?)
    }

    fn of(value: Value) -> Result<Record, (Option<&'static str>, String)> {
        let Value::Object(mut members) = value else {
            return Err((None, "it is no JSON object".to_owned()));
        };
        match members.remove("type") {
            Some(Value::String(kind)) => {
                let known = Record::KINDS.iter().copied().find(|known| *known == kind);
                Record::of_kind(&kind, members).map_err(|reason| (known, reason))
            }
            _ => Err((None, format!("type: it is missing; wanted one of {}", Record::KINDS.join(", ")))),
        }
    }
}

impl TryFrom<Value> for Record {
    type Error = String;

    fn try_from(value: Value) -> Result<Record, String> {
        Record::of(value).map_err(|(_, reason)| reason)
    }
}

/// Refuses what an import could not know again: it would be made anew each time.
fn known_again(external_id: &Option<String>) -> Result<()> {
    match external_id {
        Some(_) => Ok(()),
        None => Err(Error::invalid("external_id: it is missing; wanted text by which it is known again.")),
    }
}

fn read<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, String> {
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        if path == "." { reason } else { format!("{path}: {reason}") }
    })
}

/// What serde_json found wrong with a text that is one line itself: there is but the column to tell.
fn in_words(error: &serde_json::Error) -> String {
    let (reason, column) = (error.to_string(), error.column());
    match reason.split(" at line ").next().unwrap_or_default() {
        _ if error.is_eof() => format!("it ends too early, after column {column}"),
        "expected ident" | "expected value" => format!("what stands at column {column} is no value of JSON"),
        other => format!("{other} at column {column}"),
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::testing::{NOW, Shop};

    #[test]
    fn a_record_of_each_kind_is_put_once() {
        let lines = [
            r#"{"type": "chatbot", "external_id": "main", "settings": {"name": "Main"}}"#,
            r#"{"type": "sales_rule", "external_id": "r", "chatbot": "main", "name": "Stay", "trigger": "exit_intent",
                "message": "Wait!"}"#,
            r#"{"type": "product", "source": "shopify", "handle": "mug", "title": "Mug"}"#,
            r#"{"type": "document", "external_id": "returns", "title": "Returns", "text": "30 days."}"#,
            r#"{"type": "knowledge_source", "chatbot": "main", "catalogue": "shopify"}"#,
            r#"{"type": "conversation", "external_id": "c", "chatbot": "main"}"#,
            r#"{"type": "ticket", "external_id": "t", "conversation": "c", "subject": "Parcel lost"}"#,
            r#"{"type": "lead", "external_id": "l", "conversation": "c", "email": "anna@example.com"}"#,
        ];
        let records = lines.map(|line| Record::parse(line).unwrap());
        assert_eq!(records.each_ref().map(Record::kind).as_slice(), Record::KINDS);
        Shop::new().seed(move |tx| {
            for record in &records {
                assert_eq!(put(tx, record, NOW)?, Put::Created(1), "{record:?}");
                assert_eq!(put(tx, record, NOW)?, Put::Unchanged(1), "{record:?}");
            }
            Ok(())
        });
    }

    #[test]
    fn what_is_no_record_is_named() {
        let check = |line: &str, kind: Option<&str>, expected: &str| {
            let (known, reason) = Record::parse(line).unwrap_err();
            assert!(reason.starts_with(expected) && known == kind, "{line}: {known:?} {reason}");
        };
        check(r#"{"external_id": "x"}"#, None, "type: it is missing; wanted one of chatbot, ");
        check(r#"{"type": 1}"#, None, "type: it is missing");
        check(r#"{"type": "chat"}"#, None, "type: came \"chat\"; wanted one of chatbot, ");
        check(
            r#"{"type": "product", "colour": "red"}"#,
            Some("product"),
            "colour: unknown field `colour`, expected",
        );
        check(r#"{"type": "chatbot"}"#, Some("chatbot"), "missing field `settings`");
        check(
            r#"{"type": "chatbot", "settings": {"name": "x", "temperature": "hot"}}"#,
            Some("chatbot"),
            "settings.temperature: invalid type: string \"hot\", expected f64",
        );
        check(r#"{"type": "chatbot", "#, None, "it is no JSON: it ends too early, after column 20");
        check("nope", None, "it is no JSON: what stands at column 2 is no value of JSON");
        check("[]", None, "it is no JSON object");
    }
}
