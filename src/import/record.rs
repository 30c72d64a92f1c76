//! A record: one thing of any kind, as a line of JSONL has it and as every import puts it into the store.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::Result;
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
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum Record {
            $($(#[$doc])* #[serde(rename = $word)] $variant($new),)+
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
    Chatbot(NewChatbot) = "chatbot", chatbot::put;
    /// A rule of a chatbot's widget.
    SalesRule(NewSalesRule) = "sales_rule", sales_rule::put;
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
        ];
        let records = lines.map(|line| serde_json::from_str::<Record>(line).unwrap());
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
        let check = |line: &str, expected: &str| {
            let error = serde_json::from_str::<Record>(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        };
        check(r#"{"external_id": "x"}"#, "missing field `type`");
        check(r#"{"type": "chat"}"#, "unknown variant `chat`");
        check(r#"{"type": "product", "colour": "red"}"#, "unknown field `colour`");
        check(r#"{"type": "chatbot"}"#, "missing field `settings`");
    }
}
