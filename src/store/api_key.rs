//! API keys: only their SHA-256 is kept.

use rusqlite::OptionalExtension as _;
use serde::Serialize;

use super::{SystemTx, Tenant, TenantTx};
use crate::clock::{MINUTE, Time};
use crate::error::{Error, Result};

/// A key as its organisation sees it.
#[derive(Clone, Debug, Serialize)]
pub struct ApiKey {
    /// Its number within the organisation.
    pub id: i64,
    /// What its maker called it.
    pub label: String,
    /// Its first characters.
    pub prefix: String,
    /// Whether it can only read.
    pub read_only: bool,
    /// When it was made.
    pub created_at: Time,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// What a valid key stands for.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Whose it is.
    pub tenant: Tenant,
    /// The key's number within the organisation.
    pub key: i64,
    /// What its maker called it.
    pub label: String,
    /// Whether it can only read.
    pub read_only: bool,
    /// Whether visitors' e-mail addresses and phone numbers are masked for this organisation.
    pub redact: bool,
    /// Whether `last_used_at` should be written again.
    pub stale: bool,
}

/// Whose key has this SHA-256; `None` when there is none, it was revoked, or the organisation is suspended.
pub fn authenticate(tx: &SystemTx<'_>, hash: &[u8; 32], now: Time) -> Result<Option<Holder>> {
    let sql = "SELECT k.organisation, k.id, k.label, k.read_only, k.last_used_at, o.redact \
               FROM api_key k JOIN organisation o ON o.id = k.organisation \
               WHERE k.hash = ?1 AND k.revoked_at IS NULL AND o.suspended_at IS NULL";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let found = statement.query_row([hash.as_slice()], |row| {
        let last_used: Option<i64> = row.get(4)?;
        Ok(Holder {
            tenant: Tenant(row.get(0)?),
            key: row.get(1)?,
            label: row.get(2)?,
            read_only: row.get(3)?,
            redact: row.get(5)?,
            stale: last_used.is_none_or(|at| now.0 - at >= MINUTE),
        })
    });
    Ok(found.optional()?)
}

/// Keeps a new key; answers its number.
pub fn create(
    tx: &TenantTx<'_>,
    hash: &[u8; 32],
    prefix: &str,
    label: &str,
    read_only: bool,
    now: Time,
) -> Result<i64> {
    if label.trim().is_empty() || label.chars().count() > 100 {
        return Err(Error::invalid("A key's label has 1 to 100 characters, such as \"Anna's laptop\"."));
    }
    let id = tx.next_id("api_key")?;
    let sql = "INSERT INTO api_key (organisation, id, hash, prefix, label, read_only, created_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.execute(sql, &[&id, &hash.as_slice(), &prefix, &label, &read_only, &now.0])?;
    Ok(id)
}

/// Every key of the organisation, newest first, revoked ones too.
pub fn list(tx: &TenantTx<'_>) -> Result<Vec<ApiKey>> {
    let sql = "SELECT id, label, prefix, read_only, created_at, last_used_at, revoked_at FROM api_key \
               WHERE organisation = ?1 ORDER BY id DESC";
    tx.all(sql, &[], |row| {
        Ok(ApiKey {
            id: row.get(0)?,
            label: row.get(1)?,
            prefix: row.get(2)?,
            read_only: row.get(3)?,
            created_at: Time(row.get(4)?),
            last_used_at: row.get::<_, Option<i64>>(5)?.map(Time),
            revoked_at: row.get::<_, Option<i64>>(6)?.map(Time),
        })
    })
}

/// Revokes a key: it is refused from the next request on.
///
/// # Errors
/// `NotFound` when the organisation has no such key that is still valid.
pub fn revoke(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<()> {
    let sql = "UPDATE api_key SET revoked_at = ?3 WHERE organisation = ?1 AND id = ?2 AND revoked_at IS NULL";
    if tx.execute(sql, &[&id, &now.0])? == 0 {
        return Err(Error::not_found(format!(
            "There is no valid key {id}; `chaterimo key list` shows them."
        )));
    }
    Ok(())
}

/// Notes that a key was used.
pub fn touch(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<()> {
    tx.execute("UPDATE api_key SET last_used_at = ?3 WHERE organisation = ?1 AND id = ?2", &[&id, &now.0])?;
    Ok(())
}
