//! Authorization requests that wait for a person's decision.

use rusqlite::{OptionalExtension as _, params};

use super::SystemTx;
use crate::clock::Time;
use crate::error::Result;

/// Requests that one browser session has open at most; an older one gives way.
const PER_SESSION_MAX: i64 = 20;

/// Keeps a request (JSON) under the hash of what the form will carry, for the browser session `session`.
pub fn create(
    tx: &SystemTx<'_>,
    hash: &[u8; 32],
    session: &[u8; 32],
    request: &str,
    now: Time,
    expires_at: Time,
) -> Result<()> {
    let sql = "INSERT INTO oauth_request (hash, session, request, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)";
    tx.connection.execute(sql, params![hash, session, request, now.0, expires_at.0])?;
    let sql = "DELETE FROM oauth_request WHERE session = ?1 AND hash NOT IN \
               (SELECT hash FROM oauth_request WHERE session = ?1 \
                ORDER BY hash = ?3 DESC, created_at DESC LIMIT ?2)";
    tx.connection.execute(sql, params![session, PER_SESSION_MAX, hash])?;
    Ok(())
}

/// The request, if this session has it and it has not ended.
pub fn find(tx: &SystemTx<'_>, hash: &[u8; 32], session: &[u8; 32], now: Time) -> Result<Option<String>> {
    let sql = "SELECT request FROM oauth_request WHERE hash = ?1 AND session = ?2 AND expires_at > ?3";
    let mut statement = tx.connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![hash, session, now.0], |row| row.get(0)).optional()?)
}

/// The same, and it is gone: a request is decided once.
pub fn take(tx: &SystemTx<'_>, hash: &[u8; 32], session: &[u8; 32], now: Time) -> Result<Option<String>> {
    let sql =
        "DELETE FROM oauth_request WHERE hash = ?1 AND session = ?2 AND expires_at > ?3 RETURNING request";
    let mut statement = tx.connection.prepare_cached(sql)?;
    Ok(statement.query_row(params![hash, session, now.0], |row| row.get(0)).optional()?)
}

/// Deletes what ended before `now`; how many.
pub fn expire(tx: &SystemTx<'_>, now: Time) -> Result<usize> {
    Ok(tx.connection.execute("DELETE FROM oauth_request WHERE expires_at <= ?1", [now.0])?)
}
