//! Conversations with their messages: putting them in, listing and reading them.

mod find;
mod put;
#[cfg(test)]
mod tests;

use rusqlite::Row;
use serde::Serialize;

use super::chatbot::{self, Platform};
use super::filter::Where;
use super::ticket::Status;
use super::{TenantTx, Words};
use crate::clock::Time;
use crate::error::{Error, Result};

pub use super::filter::{After, Span};
pub use find::{Mark, ids_that_begin, marks, newest};
pub use put::{MESSAGES_MAX, NewConversation, NewMessage, Role, TEXT_CHARS_MAX, Visitor, put};

/// Messages looked at for the place where a word was found.
const SNIPPET_MESSAGES_MAX: i64 = 500;

/// Which conversations.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this chatbot.
    pub chatbot: Option<i64>,
    /// Begun in this span.
    pub started: Span,
    /// On this platform.
    pub platform: Option<Platform>,
    /// With all these words in the transcript.
    pub words: Option<Words>,
}

/// A conversation as a list shows it, and what stands above its transcript.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its number within the organisation.
    pub id: i64,
    /// The chatbot's number.
    pub chatbot_id: i64,
    /// The chatbot's name.
    pub chatbot_name: String,
    /// Where it was held.
    pub platform: Platform,
    /// When it began.
    pub started_at: Time,
    /// When the last message was sent.
    pub last_message_at: Time,
    /// Messages of every role.
    pub message_count: i64,
    /// The visitor's first words, at most 200 characters.
    pub first_question: String,
    /// Who asked.
    pub visitor: Visitor,
    /// From the visitor's first message to the first answer.
    pub first_response_ms: Option<i64>,
    /// When a person took over.
    pub handed_over_at: Option<Time>,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its place in the conversation, from 1.
    pub position: i64,
    /// Who spoke.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// When.
    pub sent_at: Time,
}

/// What hangs on a conversation.
#[derive(Clone, Debug, Default)]
pub struct Linked {
    /// Tickets that came of it: number, status, subject.
    pub tickets: Vec<(i64, Status, String)>,
    /// Numbers of the leads that were captured in it.
    pub leads: Vec<i64>,
}

const COLUMNS: &str = "SELECT c.id, c.chatbot, b.name, c.platform, c.started_at, c.last_message_at, c.message_count, \
     c.first_question, c.first_response_ms, c.handed_over_at, c.visitor_name, c.visitor_email, c.visitor_phone, \
     c.visitor_country, c.visitor_language, c.visitor_page, c.visitor_agent \
     FROM conversation c JOIN chatbot b ON b.organisation = c.organisation AND b.id = c.chatbot";

/// Up to `limit` conversations, newest first, that come after `after`.
pub fn list(tx: &TenantTx<'_>, filter: &Filter, after: Option<After>, limit: i64) -> Result<Vec<Summary>> {
    let mut conditions = conditions(tx, filter);
    conditions.older_than("c.started_at", "c.id", after);
    let tail = format!(" ORDER BY c.started_at DESC, c.id DESC LIMIT {limit}");
    conditions.all(tx, COLUMNS, &tail, summary)
}

/// How many conversations there are.
pub fn count(tx: &TenantTx<'_>, filter: &Filter) -> Result<i64> {
    conditions(tx, filter).count(tx, "conversation c")
}

/// The conversation of that number, if the organisation has it.
pub fn get(tx: &TenantTx<'_>, id: i64) -> Result<Option<Summary>> {
    tx.first(&format!("{COLUMNS} WHERE c.organisation = ?1 AND c.id = ?2"), &[&id], summary)
}

/// The conversation with that external id and the chatbot that held it, for what refers to one.
///
/// # Errors
/// `Invalid` when there is none.
pub(super) fn referred(tx: &TenantTx<'_>, external_id: &str) -> Result<(i64, i64)> {
    let sql = "SELECT id, chatbot FROM conversation WHERE organisation = ?1 AND external_id = ?2";
    let found = tx.first(sql, &[&external_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    found.ok_or_else(|| {
        let shown: String = external_id.chars().take(60).collect();
        Error::invalid(format!(
            "conversation: came {shown:?}; wanted the external_id of a conversation that is there already."
        ))
    })
}

/// What a ticket or a lead says it came of: the chatbot and the conversation, by their external ids. The chatbot is
/// the conversation's when only that is said.
pub(super) fn origin(
    tx: &TenantTx<'_>,
    chatbot: Option<&str>,
    conversation: Option<&str>,
) -> Result<(Option<i64>, Option<i64>)> {
    let conversation = conversation.map(|id| referred(tx, id)).transpose()?;
    let chatbot = chatbot.map(|id| chatbot::referred(tx, id)).transpose()?;
    Ok((chatbot.or(conversation.map(|(_, chatbot)| chatbot)), conversation.map(|(id, _)| id)))
}

/// Calls `goes_on` with the messages after position `after`, in order, until it answers false.
pub fn each_message(
    tx: &TenantTx<'_>,
    conversation: i64,
    after: i64,
    mut goes_on: impl FnMut(Message) -> bool,
) -> Result<()> {
    let sql = "SELECT position, role, text, sent_at FROM message \
               WHERE organisation = ?1 AND conversation = ?2 AND position > ?3 ORDER BY position";
    tx.until(sql, &[&conversation, &after], |row| {
        let message = Message {
            position: row.get(0)?,
            role: row.get(1)?,
            text: row.get(2)?,
            sent_at: Time(row.get(3)?),
        };
        Ok(!goes_on(message))
    })
}

/// The first `limit` tickets and leads of a conversation.
pub fn linked(tx: &TenantTx<'_>, conversation: i64, limit: i64) -> Result<Linked> {
    let tickets = "SELECT id, status, subject FROM ticket WHERE organisation = ?1 AND conversation = ?2 \
                   ORDER BY id LIMIT ?3";
    let leads = "SELECT id FROM lead WHERE organisation = ?1 AND conversation = ?2 ORDER BY id LIMIT ?3";
    Ok(Linked {
        tickets: tx
            .all(tickets, &[&conversation, &limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?,
        leads: tx.all(leads, &[&conversation, &limit], |row| Ok(row.get(0)?))?,
    })
}

/// The first message of a conversation with one of the words; the first 500 are looked at.
pub fn hit(tx: &TenantTx<'_>, conversation: i64, words: &Words) -> Result<Option<String>> {
    let sql =
        "SELECT text FROM message WHERE organisation = ?1 AND conversation = ?2 ORDER BY position LIMIT ?3";
    let mut found = None;
    tx.until(sql, &[&conversation, &SNIPPET_MESSAGES_MAX], |row| {
        let text = row.get_ref(0)?.as_str().map_err(Error::internal)?;
        found = words.find(text).map(|_| text.to_owned());
        Ok(found.is_some())
    })?;
    Ok(found)
}

fn conditions(tx: &TenantTx<'_>, filter: &Filter) -> Where {
    let mut conditions = Where::of_organisation("c.organisation");
    conditions.and_if("c.chatbot = ?", filter.chatbot);
    conditions.within("c.started_at", filter.started);
    conditions.and_if("c.platform = ?", filter.platform);
    if let Some(words) = &filter.words {
        conditions.and(
            "c.row IN (SELECT rowid FROM transcript_words WHERE transcript_words MATCH ?)",
            words.expression(tx.tenant()),
        );
    }
    conditions
}

fn summary(row: &Row<'_>) -> Result<Summary> {
    Ok(Summary {
        id: row.get(0)?,
        chatbot_id: row.get(1)?,
        chatbot_name: row.get(2)?,
        platform: row.get(3)?,
        started_at: Time(row.get(4)?),
        last_message_at: Time(row.get(5)?),
        message_count: row.get(6)?,
        first_question: row.get(7)?,
        first_response_ms: row.get(8)?,
        handed_over_at: row.get::<_, Option<i64>>(9)?.map(Time),
        visitor: Visitor {
            name: row.get(10)?,
            email: row.get(11)?,
            phone: row.get(12)?,
            country: row.get(13)?,
            language: row.get(14)?,
            page: row.get(15)?,
            agent: row.get(16)?,
        },
    })
}
