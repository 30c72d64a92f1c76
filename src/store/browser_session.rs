//! Browsers that are signed in: what stands behind the signed cookie.

use rusqlite::{OptionalExtension as _, params};

use super::{SystemTx, Tenant};
use crate::clock::Time;
use crate::error::Result;

/// Browsers that one person is signed in with at most; the one not seen for longest gives way.
const PER_USER_MAX: i64 = 100;

/// A session's row, and whose it is.
#[derive(Clone, Debug)]
pub struct Session {
    /// The person's number.
    pub user: i64,
    /// The person's address.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// The organisation that the pages show, if the person still belongs to it.
    pub organisation: Tenant,
    /// When the browser was signed in.
    pub created_at: Time,
    /// When it was last seen, to the minute.
    pub last_seen_at: Time,
    /// When the password was last given.
    pub authenticated_at: Time,
}

/// Keeps a new session, if the person's password is still the one that was checked; whether it is.
pub fn create(
    tx: &SystemTx<'_>,
    hash: &[u8; 32],
    user: i64,
    organisation: Tenant,
    password: &str,
    now: Time,
) -> Result<bool> {
    let sql = "INSERT INTO browser_session (hash, user, organisation, created_at, last_seen_at, authenticated_at) \
               SELECT ?1, id, ?3, ?5, ?5, ?5 FROM user WHERE id = ?2 AND password = ?4";
    if tx.connection.execute(sql, params![hash.as_slice(), user, organisation.0, password, now.0])? == 0 {
        return Ok(false);
    }
    let sql = "DELETE FROM browser_session WHERE user = ?1 AND hash NOT IN \
               (SELECT hash FROM browser_session WHERE user = ?1 \
                ORDER BY hash = ?3 DESC, last_seen_at DESC LIMIT ?2)";
    tx.connection.execute(sql, params![user, PER_USER_MAX, hash.as_slice()])?;
    Ok(true)
}

/// The session with this hash.
pub fn find(tx: &SystemTx<'_>, hash: &[u8; 32]) -> Result<Option<Session>> {
    let sql = "SELECT s.user, u.email, u.name, s.organisation, s.created_at, s.last_seen_at, s.authenticated_at \
               FROM browser_session s JOIN user u ON u.id = s.user WHERE s.hash = ?1";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let found = statement.query_row([hash.as_slice()], |row| {
        Ok(Session {
            user: row.get(0)?,
            email: row.get(1)?,
            name: row.get(2)?,
            organisation: Tenant(row.get(3)?),
            created_at: Time(row.get(4)?),
            last_seen_at: Time(row.get(5)?),
            authenticated_at: Time(row.get(6)?),
        })
    });
    Ok(found.optional()?)
}

/// Notes that the browser was seen.
pub fn touch(tx: &SystemTx<'_>, hash: &[u8; 32], now: Time) -> Result<()> {
    let sql = "UPDATE browser_session SET last_seen_at = ?2 WHERE hash = ?1";
    tx.connection.execute(sql, params![hash.as_slice(), now.0])?;
    Ok(())
}

/// Shows another organisation from now on.
pub fn choose(tx: &SystemTx<'_>, hash: &[u8; 32], organisation: Tenant) -> Result<()> {
    let sql = "UPDATE browser_session SET organisation = ?2 WHERE hash = ?1";
    tx.connection.execute(sql, params![hash.as_slice(), organisation.0])?;
    Ok(())
}

/// Ends a session; whether there was one.
pub fn end(tx: &SystemTx<'_>, hash: &[u8; 32]) -> Result<bool> {
    Ok(tx.connection.execute("DELETE FROM browser_session WHERE hash = ?1", [hash.as_slice()])? > 0)
}

/// Ends every session of a person but `keep`; how many.
pub fn end_all(tx: &SystemTx<'_>, user: i64, keep: Option<&[u8; 32]>) -> Result<usize> {
    let sql = "DELETE FROM browser_session WHERE user = ?1 AND hash IS NOT ?2";
    Ok(tx.connection.execute(sql, params![user, keep.map(<[u8; 32]>::as_slice)])?)
}

/// Forgets sessions last seen before `seen`, or begun before `begun`; how many.
pub fn expire(tx: &SystemTx<'_>, seen: Time, begun: Time) -> Result<usize> {
    let sql = "DELETE FROM browser_session WHERE last_seen_at <= ?1 OR created_at <= ?2";
    Ok(tx.connection.execute(sql, [seen.0, begun.0])?)
}
