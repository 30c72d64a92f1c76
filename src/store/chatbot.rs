//! Chatbots, their settings and the history of those.

use serde::Serialize;

use super::TenantTx;
use crate::error::Result;

/// A chatbot as a list shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Its number within the organisation.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// The AI model that answers.
    pub model: String,
    /// The language it answers in: a BCP 47 tag, or `automatic`.
    pub language: String,
    /// `web`, `whatsapp` or `messenger`.
    pub platform: String,
    /// Whether its widget is on.
    pub enabled: bool,
    /// Whether it is the organisation's main chatbot.
    pub is_primary: bool,
}

/// Up to `limit` chatbots with a number above `after`, by number.
pub fn list(tx: &TenantTx<'_>, after: Option<i64>, limit: i64) -> Result<Vec<Summary>> {
    let sql = "SELECT id, name, model, language, platform, enabled, is_primary FROM chatbot \
               WHERE organisation = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    tx.all(sql, &[&after.unwrap_or(0), &limit], |row| {
        Ok(Summary {
            id: row.get(0)?,
            name: row.get(1)?,
            model: row.get(2)?,
            language: row.get(3)?,
            platform: row.get(4)?,
            enabled: row.get(5)?,
            is_primary: row.get(6)?,
        })
    })
}

/// How many chatbots there are.
pub fn count(tx: &TenantTx<'_>) -> Result<i64> {
    tx.number("SELECT count(*) FROM chatbot WHERE organisation = ?1", &[])
}
