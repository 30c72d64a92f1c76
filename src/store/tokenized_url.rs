//! Tokenized URLs: addresses that are a credential. Only the SHA-256 of the token is kept.

use super::{SystemTx, Tenant, TenantTx};
use crate::clock::{MINUTE, Time};
use crate::config::Network;
use crate::error::{Error, Result};

/// Addresses and networks that one URL can be held to.
pub const NETWORKS_MAX: usize = 32;

/// A URL as its organisation sees it.
#[derive(Clone, Debug)]
pub struct TokenizedUrl {
    /// Its number within the organisation.
    pub id: i64,
    /// What its maker called it.
    pub label: String,
    /// Whether it can only read.
    pub read_only: bool,
    /// From where it may be used; empty for everywhere.
    pub networks: Vec<Network>,
    /// When it was made.
    pub created_at: Time,
    /// From when on it stands for nothing.
    pub expires_at: Time,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
}

/// What a new URL is to be.
#[derive(Clone, Debug)]
pub struct New {
    /// What its maker calls it: 1 to 100 characters.
    pub label: String,
    /// Whether it can only read.
    pub read_only: bool,
    /// From where it may be used, [`NETWORKS_MAX`] at most; empty for everywhere.
    pub networks: Vec<Network>,
    /// From when on it stands for nothing.
    pub expires_at: Time,
}

/// What a valid URL stands for.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Whose it is.
    pub tenant: Tenant,
    /// The URL's number within the organisation.
    pub url: i64,
    /// What its maker called it.
    pub label: String,
    /// Whether it can only read.
    pub read_only: bool,
    /// From where it may be used; empty for everywhere.
    pub networks: Vec<Network>,
    /// From when on it stands for nothing.
    pub expires_at: Time,
    /// Whether visitors' e-mail addresses and phone numbers are masked for this organisation.
    pub redact: bool,
    /// Whether `last_used_at` should be written again.
    pub stale: bool,
}

/// Whose URL has a token of this SHA-256; `None` when there is none, it was revoked or has expired, or the organisation
/// is suspended or has such URLs turned off.
pub fn authenticate(tx: &SystemTx<'_>, hash: &[u8; 32], now: Time) -> Result<Option<Holder>> {
    let sql = "SELECT u.organisation, u.id, u.label, u.read_only, u.networks, u.last_used_at, o.redact, u.expires_at \
               FROM tokenized_url u JOIN organisation o ON o.id = u.organisation \
               WHERE u.hash = ?1 AND u.revoked_at IS NULL AND u.expires_at > ?2 \
               AND o.suspended_at IS NULL AND o.tokenized_urls = 1";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let mut rows = statement.query(rusqlite::params![hash.as_slice(), now.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let last_used: Option<i64> = row.get(5)?;
    Ok(Some(Holder {
        tenant: Tenant(row.get(0)?),
        url: row.get(1)?,
        label: row.get(2)?,
        read_only: row.get(3)?,
        networks: networks(row.get_ref(4)?.as_str()?)?,
        redact: row.get(6)?,
        expires_at: Time(row.get(7)?),
        stale: last_used.is_none_or(|at| now.0 - at >= MINUTE),
    }))
}

/// Keeps a new URL; answers its number.
///
/// # Errors
/// `Invalid` for a label that is none, or too many networks.
pub fn create(tx: &TenantTx<'_>, hash: &[u8; 32], new: &New, now: Time) -> Result<i64> {
    if new.label.trim().is_empty() || new.label.chars().count() > 100 {
        return Err(Error::invalid("A URL's label has 1 to 100 characters, such as \"Anna's editor\"."));
    }
    if new.networks.len() > NETWORKS_MAX {
        return Err(Error::invalid(format!(
            "{} addresses came; a URL can be held to {NETWORKS_MAX} addresses and networks.",
            new.networks.len()
        )));
    }
    let networks: Vec<String> = new.networks.iter().map(Network::to_string).collect();
    let id = tx.next_id("tokenized_url")?;
    let sql = "INSERT INTO tokenized_url (organisation, id, hash, label, read_only, networks, created_at, expires_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let New { label, read_only, expires_at, .. } = new;
    tx.execute(sql, &[&id, &hash.as_slice(), label, read_only, &networks.join(","), &now.0, &expires_at.0])?;
    Ok(id)
}

/// Every URL of the organisation, newest first.
pub fn list(tx: &TenantTx<'_>) -> Result<Vec<TokenizedUrl>> {
    let sql = "SELECT id, label, read_only, networks, created_at, expires_at, last_used_at, revoked_at \
               FROM tokenized_url WHERE organisation = ?1 ORDER BY id DESC";
    tx.all(sql, &[], |row| {
        Ok(TokenizedUrl {
            id: row.get(0)?,
            label: row.get(1)?,
            read_only: row.get(2)?,
            networks: networks(row.get_ref(3)?.as_str()?)?,
            created_at: Time(row.get(4)?),
            expires_at: Time(row.get(5)?),
            last_used_at: row.get::<_, Option<i64>>(6)?.map(Time),
            revoked_at: row.get::<_, Option<i64>>(7)?.map(Time),
        })
    })
}

/// Revokes a URL: it is refused from the next request on.
///
/// # Errors
/// `NotFound` when the organisation has no such URL that is not revoked.
pub fn revoke(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<()> {
    let sql =
        "UPDATE tokenized_url SET revoked_at = ?3 WHERE organisation = ?1 AND id = ?2 AND revoked_at IS NULL";
    if tx.execute(sql, &[&id, &now.0])? == 0 {
        return Err(Error::not_found(format!(
            "There is no valid URL {id}; `chaterimo url list` shows them."
        )));
    }
    Ok(())
}

/// Notes that a URL was used.
pub fn touch(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<()> {
    let sql = "UPDATE tokenized_url SET last_used_at = ?3 WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id, &now.0])?;
    Ok(())
}

fn networks(text: &str) -> Result<Vec<Network>> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| Network::parse(part).map_err(Error::internal)).collect()
}
