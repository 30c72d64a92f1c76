//! What the dashboard shows at a glance: how much there is of each thing, and what happened last.

use serde::Serialize;

use super::TenantTx;
use crate::clock::Time;
use crate::error::Result;

/// How much there is, ever.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Totals {
    /// Tickets of each status.
    pub tickets: Tickets,
    /// Visitors who left their address.
    pub leads: i64,
    /// Products of the synced catalogue.
    pub products: i64,
}

/// How many tickets there are of each status.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs)] // the names of the statuses
pub struct Tickets {
    pub new: i64,
    pub in_progress: i64,
    pub resolved: i64,
    pub closed: i64,
    /// All of them.
    pub total: i64,
}

/// A conversation that began lately.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conversation {
    /// Its number.
    pub id: i64,
    /// The chatbot it was with.
    pub chatbot_id: i64,
    /// `web`, `whatsapp` or `messenger`.
    pub platform: String,
    /// When it began.
    pub started_at: Time,
    /// Its messages so far.
    pub messages: i64,
    /// The visitor's first words.
    pub first_question: String,
}

/// A ticket that was opened lately.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ticket {
    /// Its number.
    pub id: i64,
    /// `new`, `in_progress`, `resolved` or `closed`.
    pub status: String,
    /// `low`, `normal`, `high` or `urgent`.
    pub priority: String,
    /// When it was opened.
    pub created_at: Time,
    /// What it is about, in the customer's words.
    pub subject: String,
}

/// A lead that was captured lately, without who it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lead {
    /// Its number.
    pub id: i64,
    /// The chatbot that captured it.
    pub chatbot_id: Option<i64>,
    /// When.
    pub captured_at: Time,
}

/// A change of a chatbot's settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SettingChange {
    /// The chatbot.
    pub chatbot_id: i64,
    /// The version that the change made.
    pub version: i64,
    /// A tool's name, `import`, `undo`.
    pub origin: String,
    /// Whose credential it was.
    pub actor: String,
    /// When.
    pub at: Time,
}

/// How much there is of everything but conversations, which [`super::analytics::all_time`] counts.
pub fn totals(tx: &TenantTx<'_>) -> Result<Totals> {
    let count =
        |table: &str| tx.number(&format!("SELECT count(*) FROM {table} WHERE organisation = ?1"), &[]);
    Ok(Totals { tickets: tickets(tx)?, leads: count("lead")?, products: count("product")? })
}

fn tickets(tx: &TenantTx<'_>) -> Result<Tickets> {
    let mut found = Tickets::default();
    let sql = "SELECT status, count(*) FROM ticket WHERE organisation = ?1 GROUP BY status";
    tx.for_each(sql, &[], |row| {
        let count: i64 = row.get(1)?;
        found.total += count;
        match row.get_ref(0)?.as_str().unwrap_or_default() {
            "new" => found.new = count,
            "in_progress" => found.in_progress = count,
            "resolved" => found.resolved = count,
            _ => found.closed = count,
        }
        Ok(())
    })?;
    Ok(found)
}

/// The `limit` conversations that began last, newest first.
pub fn conversations(tx: &TenantTx<'_>, limit: i64) -> Result<Vec<Conversation>> {
    let sql = "SELECT id, chatbot, platform, started_at, message_count, first_question FROM conversation \
               WHERE organisation = ?1 ORDER BY started_at DESC, id DESC LIMIT ?2";
    tx.all(sql, &[&limit], |row| {
        Ok(Conversation {
            id: row.get(0)?,
            chatbot_id: row.get(1)?,
            platform: row.get(2)?,
            started_at: Time(row.get(3)?),
            messages: row.get(4)?,
            first_question: row.get(5)?,
        })
    })
}

/// The `limit` tickets that were opened last, newest first.
pub fn latest_tickets(tx: &TenantTx<'_>, limit: i64) -> Result<Vec<Ticket>> {
    let sql = "SELECT id, status, priority, created_at, subject FROM ticket \
               WHERE organisation = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2";
    tx.all(sql, &[&limit], |row| {
        Ok(Ticket {
            id: row.get(0)?,
            status: row.get(1)?,
            priority: row.get(2)?,
            created_at: Time(row.get(3)?),
            subject: row.get(4)?,
        })
    })
}

/// The `limit` leads that were captured last, newest first.
pub fn leads(tx: &TenantTx<'_>, limit: i64) -> Result<Vec<Lead>> {
    let sql = "SELECT id, chatbot, captured_at FROM lead \
               WHERE organisation = ?1 ORDER BY captured_at DESC, id DESC LIMIT ?2";
    tx.all(sql, &[&limit], |row| {
        Ok(Lead { id: row.get(0)?, chatbot_id: row.get(1)?, captured_at: Time(row.get(2)?) })
    })
}

/// How many leads were captured from `from` on.
pub fn leads_since(tx: &TenantTx<'_>, from: Time) -> Result<i64> {
    tx.number("SELECT count(*) FROM lead WHERE organisation = ?1 AND captured_at >= ?2", &[&from.0])
}

/// Tickets that are not resolved or closed.
pub fn open_tickets(tx: &TenantTx<'_>) -> Result<i64> {
    let sql = "SELECT count(*) FROM ticket WHERE organisation = ?1 AND status IN ('new', 'in_progress')";
    tx.number(sql, &[])
}

/// The last `limit` changes of chatbots' settings, newest first; that a chatbot was made is not one.
pub fn setting_changes(tx: &TenantTx<'_>, limit: i64) -> Result<Vec<SettingChange>> {
    let sql = "SELECT chatbot, version, origin, actor, at FROM chatbot_version \
               WHERE organisation = ?1 AND version > 1 ORDER BY at DESC, chatbot DESC, version DESC LIMIT ?2";
    tx.all(sql, &[&limit], |row| {
        Ok(SettingChange {
            chatbot_id: row.get(0)?,
            version: row.get(1)?,
            origin: row.get(2)?,
            actor: row.get(3)?,
            at: Time(row.get(4)?),
        })
    })
}
