//! Authorization codes (OAuth 2.1, section 4.1.2): their SHA-256, and what they are bound to.

use rusqlite::{OptionalExtension as _, params};

use super::{SystemTx, Tenant, TenantTx};
use crate::clock::Time;
use crate::error::Result;

/// A code's row.
#[derive(Clone, Debug)]
pub struct Code {
    /// Whose grant it is of.
    pub tenant: Tenant,
    /// The grant's number.
    pub grant: i64,
    /// Where it was sent.
    pub redirect_uri: String,
    /// The S256 challenge (RFC 7636).
    pub challenge: String,
    /// When it ends.
    pub expires_at: Time,
    /// Whether it was redeemed.
    pub used: bool,
    /// Attempts that did not verify.
    pub failures: u32,
}

/// Keeps a code of `grant`.
pub fn create(
    tx: &TenantTx<'_>,
    hash: &[u8; 32],
    grant: i64,
    redirect_uri: &str,
    challenge: &str,
    expires_at: Time,
) -> Result<()> {
    let sql = "INSERT INTO oauth_code (hash, organisation, grant_id, redirect_uri, challenge, expires_at) \
               VALUES (?2, ?1, ?3, ?4, ?5, ?6)";
    tx.execute(sql, &[&hash.as_slice(), &grant, &redirect_uri, &challenge, &expires_at.0])?;
    Ok(())
}

/// The code with this SHA-256, redeemed or not.
pub fn find(tx: &SystemTx<'_>, hash: &[u8; 32]) -> Result<Option<Code>> {
    let sql = "SELECT organisation, grant_id, redirect_uri, challenge, expires_at, used_at, failures \
               FROM oauth_code WHERE hash = ?1";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let found = statement.query_row([hash.as_slice()], |row| {
        Ok(Code {
            tenant: Tenant(row.get(0)?),
            grant: row.get(1)?,
            redirect_uri: row.get(2)?,
            challenge: row.get(3)?,
            expires_at: Time(row.get(4)?),
            used: row.get::<_, Option<i64>>(5)?.is_some(),
            failures: row.get(6)?,
        })
    });
    Ok(found.optional()?)
}

/// Redeems the code; false when it was redeemed before.
pub fn redeem(tx: &SystemTx<'_>, hash: &[u8; 32], now: Time) -> Result<bool> {
    let sql = "UPDATE oauth_code SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL";
    Ok(tx.connection.execute(sql, params![hash, now.0])? == 1)
}

/// Counts an attempt that did not verify.
pub fn fail(tx: &SystemTx<'_>, hash: &[u8; 32]) -> Result<()> {
    tx.connection
        .execute("UPDATE oauth_code SET failures = failures + 1 WHERE hash = ?1", [hash.as_slice()])?;
    Ok(())
}

/// Deletes what ended before `before`; how many.
pub fn expire(tx: &SystemTx<'_>, before: Time) -> Result<usize> {
    Ok(tx.connection.execute("DELETE FROM oauth_code WHERE expires_at <= ?1", [before.0])?)
}
