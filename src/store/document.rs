//! Documents and custom content that chatbots answer from, besides the catalogue.

use serde::{Deserialize, Serialize};

use super::chatbot;
use super::choice::choice;
use super::index::{self, Entry, Field, Space};
use super::{Put, TenantTx, limits, words};
use crate::clock::Time;
use crate::error::Result;

/// Characters of a document's text at most.
pub const TEXT_CHARS_MAX: usize = 1_000_000;

/// A document as it is put into the store; as JSONL one object of these members with `"type": "document"`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewDocument {
    /// What its owner calls it; 1 to 255 characters.
    pub external_id: String,
    /// The external id of the chatbot it belongs to; not given, every chatbot of the organisation uses it.
    pub chatbot: Option<String>,
    /// A page or file (`document`, which is the default), or what was typed in for the chatbot (`custom`).
    pub kind: Kind,
    /// 1 to 500 characters.
    pub title: String,
    /// Where it can be read; at most 2,048 characters.
    pub url: Option<String>,
    /// Plain text; at most 1,000,000 characters, of which the first 65,535 words are indexed.
    pub text: String,
}

choice! {
    /// What sort of document.
    #[derive(Default)]
    Kind {
        /// A page or file.
        #[default]
        Document = "document",
        /// Typed in for the chatbot.
        Custom = "custom",
    }
}

/// A document's row, but for its id.
#[derive(PartialEq)]
struct Content {
    chatbot: Option<i64>,
    kind: Kind,
    title: String,
    url: Option<String>,
    text: String,
}

/// Puts a document into its organisation's store and into the index, over the one with the same `external_id`.
///
/// # Errors
/// `Invalid`, naming the field and its limit; also when there is no such chatbot.
pub fn put(tx: &TenantTx<'_>, new: &NewDocument, now: Time) -> Result<Put> {
    let external_id = limits::text("external_id", &new.external_id, 1, 255)?;
    let content = check(tx, new)?;
    let put = match stored(tx, &external_id)? {
        Some((id, old)) if old == content => return Ok(Put::Unchanged(id)),
        Some((id, _)) => Put::Updated(id),
        None => Put::Created(tx.next_id("document")?),
    };
    let sql = "INSERT INTO document (organisation, id, external_id, chatbot, kind, title, url, text, updated_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (organisation, id) DO UPDATE SET \
               chatbot = ?4, kind = ?5, title = ?6, url = ?7, text = ?8, updated_at = ?9";
    let Content { chatbot, kind, title, url, text } = &content;
    tx.execute(sql, &[&put.id(), &external_id, chatbot, kind, title, url, text, &now.0])?;
    index(tx, put.id(), title, text)?;
    Ok(put)
}

/// Builds what a document is found by anew from its row; whether it is there.
pub fn reindex(tx: &TenantTx<'_>, id: i64) -> Result<bool> {
    let sql = "SELECT title, text FROM document WHERE organisation = ?1 AND id = ?2";
    let found: Option<(String, String)> = tx.first(sql, &[&id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some((title, text)) = found else { return Ok(false) };
    index(tx, id, &title, &text)?;
    Ok(true)
}

/// How many documents of `kind` this chatbot uses: its own, and those of every chatbot.
pub fn count(tx: &TenantTx<'_>, chatbot: i64, kind: Kind) -> Result<i64> {
    let sql = "SELECT count(*) FROM document \
               WHERE organisation = ?1 AND kind = ?2 AND (chatbot = ?3 OR chatbot IS NULL)";
    tx.number(sql, &[&kind, &chatbot])
}

/// The numbers of those documents above `after`, ascending, at most `limit`.
pub fn ids(tx: &TenantTx<'_>, chatbot: i64, kind: Kind, after: i64, limit: i64) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM document WHERE organisation = ?1 AND kind = ?2 AND (chatbot = ?3 OR chatbot IS NULL) \
               AND id > ?4 ORDER BY id LIMIT ?5";
    tx.all(sql, &[&kind, &chatbot, &after, &limit], |row| Ok(row.get(0)?))
}

fn check(tx: &TenantTx<'_>, new: &NewDocument) -> Result<Content> {
    Ok(Content {
        chatbot: new.chatbot.as_deref().map(|chatbot| chatbot::referred(tx, chatbot)).transpose()?,
        kind: new.kind,
        title: limits::text("title", &new.title, 1, 500)?,
        url: limits::optional("url", new.url.as_deref(), 2_048)?,
        text: limits::text("text", &new.text, 0, TEXT_CHARS_MAX)?,
    })
}

fn stored(tx: &TenantTx<'_>, external_id: &str) -> Result<Option<(i64, Content)>> {
    let sql = "SELECT id, chatbot, kind, title, url, text FROM document WHERE organisation = ?1 AND external_id = ?2";
    tx.first(sql, &[&external_id], |row| {
        let content = Content {
            chatbot: row.get(1)?,
            kind: row.get(2)?,
            title: row.get(3)?,
            url: row.get(4)?,
            text: row.get(5)?,
        };
        Ok((row.get(0)?, content))
    })
}

fn index(tx: &TenantTx<'_>, id: i64, title: &str, text: &str) -> Result<()> {
    let mut entry = Entry::default();
    words::words(title).into_iter().for_each(|word| entry.add(Field::Title, word));
    let kept = words::words(text).into_iter().filter(|word| !words::is_stop_word(word));
    kept.for_each(|word| entry.add(Field::Body, word));
    index::set(tx, Space::Documents, id, &entry)
}
