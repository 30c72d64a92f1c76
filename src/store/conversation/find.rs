//! Conversations by their numbers: those that a typed number may become, and whether one has grown.

use crate::error::{Error, Result};
use crate::store::TenantTx;

/// What moves when a conversation goes on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Its number within the organisation.
    pub id: i64,
    messages: i64,
    handed_over_at: Option<i64>,
}

/// The numbers of the newest conversations, at most `limit`.
pub fn newest(tx: &TenantTx<'_>, limit: i64) -> Result<Vec<i64>> {
    let sql =
        "SELECT id FROM conversation WHERE organisation = ?1 ORDER BY started_at DESC, id DESC LIMIT ?2";
    tx.all(sql, &[&limit], |row| Ok(row.get(0)?))
}

/// Up to `limit` numbers of conversations whose decimal digits begin with those of `beginning`, highest first.
pub fn ids_that_begin(tx: &TenantTx<'_>, beginning: u32, limit: i64) -> Result<Vec<i64>> {
    let highest = tx.number("SELECT max(id) FROM conversation WHERE organisation = ?1", &[])?;
    let sql = "SELECT id FROM conversation WHERE organisation = ?1 AND id >= ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
    let (mut first, mut span) = (i64::from(beginning), 1);
    let mut ranges = Vec::new();
    while first <= highest && first > 0 {
        ranges.push((first, first.saturating_add(span)));
        (first, span) = (first.saturating_mul(10), span.saturating_mul(10));
    }
    let mut found = Vec::new();
    for (first, end) in ranges.iter().rev() {
        let room = limit - found.len() as i64;
        found.extend(tx.all(sql, &[first, end, &room], |row| Ok(row.get::<_, i64>(0)?))?);
    }
    Ok(found)
}

/// The marks of these conversations, by number; those that are not there have none.
pub fn marks(tx: &TenantTx<'_>, ids: &[i64]) -> Result<Vec<Mark>> {
    let wanted = serde_json::to_string(ids).map_err(Error::internal)?;
    let sql = "SELECT id, message_count, handed_over_at FROM conversation \
               WHERE organisation = ?1 AND id IN (SELECT value FROM json_each(?2)) ORDER BY id";
    tx.all(sql, &[&wanted], |row| {
        Ok(Mark { id: row.get(0)?, messages: row.get(1)?, handed_over_at: row.get(2)? })
    })
}
