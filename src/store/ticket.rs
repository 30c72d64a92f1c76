//! Tickets with their thread and the history of their status.

mod put;
#[cfg(test)]
mod tests;

use rusqlite::Row;
use serde::Serialize;

use super::TenantTx;
use super::filter::Where;
use crate::clock::Time;
use crate::error::Result;

pub use super::filter::{After, Span};
pub use put::{Author, Contact, NewStatusChange, NewTicket, NewTicketMessage, Priority, Status, put};

/// Which tickets.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// With one of these; any, when there is none.
    pub statuses: Vec<Status>,
    /// That came through this chatbot.
    pub chatbot: Option<i64>,
    /// Opened in this span.
    pub created: Span,
}

/// A ticket without its thread.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Its number within the organisation.
    pub id: i64,
    /// What it is about.
    pub subject: String,
    /// Where it stands.
    pub status: Status,
    /// How urgent it is.
    pub priority: Priority,
    /// Who works on it.
    pub assignee: Option<String>,
    /// Who asked.
    pub contact_name: Option<String>,
    /// Where they can be reached.
    pub contact_email: Option<String>,
    /// The chatbot it came through.
    pub chatbot_id: Option<i64>,
    /// The conversation it came of.
    pub conversation_id: Option<i64>,
    /// When it was opened.
    pub created_at: Time,
    /// When something last changed.
    pub updated_at: Time,
    /// The first message, cut at 500 characters.
    pub first_message: Option<String>,
}

/// One message of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the thread, from 1.
    pub position: i64,
    /// Who wrote.
    pub role: Author,
    /// Their name or address.
    pub author: Option<String>,
    /// What they wrote.
    pub text: String,
    /// When.
    pub sent_at: Time,
}

/// One step of a ticket's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatusChange {
    /// The status before; none for the one it was first seen with.
    pub from: Option<Status>,
    /// The status after.
    pub to: Status,
    /// Who changed it.
    pub actor: Option<String>,
    /// When.
    pub at: Time,
}

/// The beginning of the first message is long enough to be masked and then cut: what masking makes shorter must not
/// bring a cut address into view.
const COLUMNS: &str = "SELECT t.id, t.subject, t.status, t.priority, t.assignee, t.contact_name, t.contact_email, \
     t.chatbot, t.conversation, t.created_at, t.updated_at, substr(m.text, 1, 4000) FROM ticket t \
     LEFT JOIN ticket_message m ON m.organisation = t.organisation AND m.ticket = t.id AND m.position = 1";

/// Up to `limit` tickets, newest first, that come after `after`.
pub fn list(tx: &TenantTx<'_>, filter: &Filter, after: Option<After>, limit: i64) -> Result<Vec<Ticket>> {
    let mut conditions = conditions(filter);
    conditions.older_than("t.created_at", "t.id", after);
    let tail = format!(" ORDER BY t.created_at DESC, t.id DESC LIMIT {limit}");
    conditions.all(tx, COLUMNS, &tail, ticket)
}

/// How many tickets there are.
pub fn count(tx: &TenantTx<'_>, filter: &Filter) -> Result<i64> {
    conditions(filter).count(tx, "ticket t")
}

/// The ticket of that number, if the organisation has it.
pub fn get(tx: &TenantTx<'_>, id: i64) -> Result<Option<Ticket>> {
    tx.first(&format!("{COLUMNS} WHERE t.organisation = ?1 AND t.id = ?2"), &[&id], ticket)
}

/// Calls `goes_on` with the messages of a ticket, in order, until it answers false.
pub fn each_message(
    tx: &TenantTx<'_>,
    ticket: i64,
    after: i64,
    mut goes_on: impl FnMut(Message) -> bool,
) -> Result<()> {
    let sql = "SELECT position, role, author, text, sent_at FROM ticket_message \
               WHERE organisation = ?1 AND ticket = ?2 AND position > ?3 ORDER BY position";
    tx.until(sql, &[&ticket, &after], |row| {
        let message = Message {
            position: row.get(0)?,
            role: row.get(1)?,
            author: row.get(2)?,
            text: row.get(3)?,
            sent_at: Time(row.get(4)?),
        };
        Ok(!goes_on(message))
    })
}

/// How many messages a ticket has.
pub fn message_count(tx: &TenantTx<'_>, ticket: i64) -> Result<i64> {
    tx.number("SELECT count(*) FROM ticket_message WHERE organisation = ?1 AND ticket = ?2", &[&ticket])
}

/// The last `limit` changes of a ticket's status, oldest first.
pub fn history(tx: &TenantTx<'_>, ticket: i64, limit: i64) -> Result<Vec<StatusChange>> {
    let sql = "SELECT from_status, to_status, actor, at FROM ticket_status_change \
               WHERE organisation = ?1 AND ticket = ?2 ORDER BY position DESC LIMIT ?3";
    let mut changes = tx.all(sql, &[&ticket, &limit], |row| {
        Ok(StatusChange { from: row.get(0)?, to: row.get(1)?, actor: row.get(2)?, at: Time(row.get(3)?) })
    })?;
    changes.reverse();
    Ok(changes)
}

fn conditions(filter: &Filter) -> Where {
    let mut conditions = Where::of_organisation("t.organisation");
    conditions.and_any("t.status", filter.statuses.iter().map(|status| status.as_str()));
    conditions.and_if("t.chatbot = ?", filter.chatbot);
    conditions.within("t.created_at", filter.created);
    conditions
}

fn ticket(row: &Row<'_>) -> Result<Ticket> {
    Ok(Ticket {
        id: row.get(0)?,
        subject: row.get(1)?,
        status: row.get(2)?,
        priority: row.get(3)?,
        assignee: row.get(4)?,
        contact_name: row.get(5)?,
        contact_email: row.get(6)?,
        chatbot_id: row.get(7)?,
        conversation_id: row.get(8)?,
        created_at: Time(row.get(9)?),
        updated_at: Time(row.get(10)?),
        first_message: row.get(11)?,
    })
}
