//! Access and refresh tokens: their SHA-256, and the grant they come of.

use rusqlite::{OptionalExtension as _, params};

use super::{SystemTx, Tenant, TenantTx};
use crate::clock::{MINUTE, Time};
use crate::error::Result;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To be sent with requests.
    Access,
    /// To be exchanged for new tokens.
    Refresh,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Access => "access",
            Kind::Refresh => "refresh",
        }
    }
}

/// A token to keep.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// What it is for.
    pub kind: Kind,
    /// Its rotation, from 0.
    pub generation: i64,
    /// Whether it carries mcp:write.
    pub write: bool,
    /// When it ends.
    pub expires_at: Time,
}

/// A token as it stands.
#[derive(Clone, Debug)]
pub struct Token {
    /// Whose grant it is of.
    pub tenant: Tenant,
    /// The grant's number.
    pub grant: i64,
    /// Its rotation, from 0.
    pub generation: i64,
    /// Whether it carries mcp:write.
    pub write: bool,
    /// Whether it was used before.
    pub used: bool,
    /// When it ends.
    pub expires_at: Time,
}

/// What a valid access token stands for.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Whose data it reaches.
    pub tenant: Tenant,
    /// The grant's number.
    pub grant: i64,
    /// What the app calls itself.
    pub client_name: String,
    /// Whose consent it rests on.
    pub email: String,
    /// The endpoint it is for: `full` or `readonly`.
    pub endpoint: String,
    /// Whether it can change things: it carries mcp:write, and nothing narrowed it since.
    pub write: bool,
    /// Whether the person may allow changes at all; an analyst may not.
    pub may_write: bool,
    /// The chatbots it is limited to, as a JSON array; `None` for all.
    pub chatbots: Option<String>,
    /// When it ends.
    pub expires_at: Time,
    /// Whether visitors' e-mail addresses and phone numbers are masked for this organisation.
    pub redact: bool,
    /// Whether it was used before.
    pub used: bool,
    /// Whether the grant's `last_used_at` should be written again.
    pub stale: bool,
}

/// Keeps a token of `grant`.
pub fn create(tx: &TenantTx<'_>, grant: i64, token: &NewToken, now: Time) -> Result<()> {
    let sql = "INSERT INTO oauth_token (hash, organisation, grant_id, kind, generation, write, created_at, expires_at) \
               VALUES (?2, ?1, ?3, ?4, ?5, ?6, ?7, ?8)";
    let NewToken { hash, kind, generation, write, expires_at } = token;
    let hash = hash.as_slice();
    tx.execute(sql, &[&hash, &grant, &kind.as_str(), generation, write, &now.0, &expires_at.0])?;
    Ok(())
}

/// The token of that kind with this SHA-256, whatever became of it.
pub fn find(tx: &SystemTx<'_>, kind: Kind, hash: &[u8; 32]) -> Result<Option<Token>> {
    let sql = "SELECT organisation, grant_id, generation, write, used_at, expires_at FROM oauth_token \
               WHERE hash = ?1 AND kind = ?2";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let found = statement.query_row(params![hash, kind.as_str()], |row| {
        Ok(Token {
            tenant: Tenant(row.get(0)?),
            grant: row.get(1)?,
            generation: row.get(2)?,
            write: row.get(3)?,
            used: row.get::<_, Option<i64>>(4)?.is_some(),
            expires_at: Time(row.get(5)?),
        })
    });
    Ok(found.optional()?)
}

/// Whose access token has this SHA-256; `None` when there is none, it ended, its grant ended or was revoked, the
/// organisation is suspended, or the person is no member (any more). One statement.
pub fn authenticate(tx: &SystemTx<'_>, hash: &[u8; 32], now: Time) -> Result<Option<Holder>> {
    let sql = "SELECT g.organisation, g.id, g.client_name, g.email, g.endpoint, \
                      t.write AND g.write AND NOT g.read_only, m.role <> 'analyst', g.chatbots, \
                      min(t.expires_at, g.expires_at), o.redact, t.used_at, g.last_used_at \
               FROM oauth_token t \
               JOIN oauth_grant g ON g.organisation = t.organisation AND g.id = t.grant_id \
               JOIN organisation o ON o.id = g.organisation \
               JOIN member m ON m.organisation = g.organisation AND m.user = g.user \
               WHERE t.hash = ?1 AND t.kind = 'access' AND t.expires_at > ?2 AND g.expires_at > ?2 \
                 AND g.revoked_at IS NULL AND o.suspended_at IS NULL AND m.accepted_at IS NOT NULL";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let found = statement.query_row(params![hash, now.0], |row| {
        let (write, may_write): (bool, bool) = (row.get(5)?, row.get(6)?);
        let last_used: Option<i64> = row.get(11)?;
        Ok(Holder {
            tenant: Tenant(row.get(0)?),
            grant: row.get(1)?,
            client_name: row.get(2)?,
            email: row.get(3)?,
            endpoint: row.get(4)?,
            write: write && may_write,
            may_write,
            chatbots: row.get(7)?,
            expires_at: Time(row.get(8)?),
            redact: row.get(9)?,
            used: row.get::<_, Option<i64>>(10)?.is_some(),
            stale: last_used.is_none_or(|at| now.0 - at >= MINUTE),
        })
    });
    Ok(found.optional()?)
}

/// Notes the first use of an access token, and with it that its generation arrived at the app.
pub fn note_first_use(tx: &SystemTx<'_>, hash: &[u8; 32], now: Time) -> Result<()> {
    let sql = "UPDATE oauth_token SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL";
    tx.connection.execute(sql, params![hash, now.0])?;
    let sql = "UPDATE oauth_grant SET last_used_at = ?2, used_generation = max(used_generation, t.generation) \
               FROM oauth_token t WHERE t.hash = ?1 \
               AND oauth_grant.organisation = t.organisation AND oauth_grant.id = t.grant_id";
    tx.connection.execute(sql, params![hash, now.0])?;
    Ok(())
}

/// Notes that a refresh token was rotated.
pub fn note_rotation(tx: &SystemTx<'_>, hash: &[u8; 32], now: Time) -> Result<()> {
    let sql = "UPDATE oauth_token SET used_at = ?2 WHERE hash = ?1 AND used_at IS NULL";
    tx.connection.execute(sql, params![hash, now.0])?;
    Ok(())
}

/// Ends one token.
pub fn delete(tx: &SystemTx<'_>, hash: &[u8; 32]) -> Result<()> {
    tx.connection.execute("DELETE FROM oauth_token WHERE hash = ?1", [hash.as_slice()])?;
    Ok(())
}

/// Deletes what ended before `now`; how many.
pub fn expire(tx: &SystemTx<'_>, now: Time) -> Result<usize> {
    Ok(tx.connection.execute("DELETE FROM oauth_token WHERE expires_at <= ?1", [now.0])?)
}
