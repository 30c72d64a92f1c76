//! Grants: what a person allowed an app. Each is the family of every token that came of one consent.

use rusqlite::Row;

use super::{Durability, Store, TenantTx, oauth_code, oauth_request, oauth_token};
use crate::clock::{DAY, Time};
use crate::error::{Error, Result};

/// Days that a grant which ended is kept, for whoever asks what happened.
const ENDED_DAYS: i64 = 30;
/// Chatbots that a grant can be limited to at most.
pub const CHATBOTS_MAX: usize = 1_000;

/// Generations of refresh tokens that are kept, so that an old one is known when it comes again: an app that does nothing
/// but refresh would fill the disk.
const GENERATIONS_KEPT: i64 = 1_000;

/// A grant to keep.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// The person's user id.
    pub user: i64,
    /// The app's `client_id`.
    pub client_id: String,
    /// What the app calls itself, fit to show.
    pub client_name: String,
    /// How we came to know it: `document`, `registered` or `operator`.
    pub client_kind: &'static str,
    /// Where the person was sent back to, without path.
    pub redirect_origin: String,
    /// `full` or `readonly`.
    pub endpoint: &'static str,
    /// Whether mcp:write was allowed.
    pub write: bool,
    /// The chatbots it is limited to; `None` for all.
    pub chatbots: Option<Vec<i64>>,
    /// When it ends unless the app redeems its code.
    pub expires_at: Time,
}

/// A grant as the dashboard shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number within the organisation.
    pub id: i64,
    /// The user id of who allowed it.
    pub user: i64,
    /// That person's address at the time.
    pub email: String,
    /// The app's `client_id`.
    pub client_id: String,
    /// What the app calls itself, fit to show; nobody vouches for it.
    pub client_name: String,
    /// `document`, `registered` or `operator`.
    pub client_kind: String,
    /// Where the person was sent back to, without path.
    pub redirect_origin: String,
    /// `full` or `readonly`.
    pub endpoint: String,
    /// Whether mcp:write was allowed.
    pub write: bool,
    /// Whether it was narrowed to reading since.
    pub read_only: bool,
    /// The chatbots it is limited to; `None` for all.
    pub chatbots: Option<Vec<i64>>,
    /// When it was allowed.
    pub created_at: Time,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
    /// When it ends, whatever is refreshed.
    pub expires_at: Time,
}

/// A grant that holds, as the token endpoint needs it.
#[derive(Clone, Debug)]
pub struct Family {
    /// Its number within the organisation.
    pub id: i64,
    /// The app's `client_id`.
    pub client_id: String,
    /// `full` or `readonly`.
    pub endpoint: String,
    /// Whether its tokens can change things as of now: allowed, not narrowed since, and not an analyst's.
    pub write: bool,
    /// When it ends.
    pub expires_at: Time,
    /// The current generation of refresh tokens.
    pub generation: i64,
    /// How many refresh tokens the current generation has.
    pub siblings: i64,
    /// When the first of them was made from the generation before.
    pub rotated_at: Option<Time>,
    /// Whether a token of the current generation was used.
    pub used: bool,
}

/// Keeps a grant; its number.
///
/// # Errors
/// `Invalid` when it is limited to more than [`CHATBOTS_MAX`] chatbots.
pub fn create(tx: &TenantTx<'_>, new: &NewGrant, now: Time) -> Result<i64> {
    let id = tx.next_id("oauth_grant")?;
    let chatbots = new.chatbots.as_deref().map(written).transpose()?;
    let sql = "INSERT INTO oauth_grant (organisation, id, user, email, client_id, client_name, client_kind, \
                 redirect_origin, endpoint, write, chatbots, created_at, expires_at) \
               VALUES (?1, ?2, ?3, (SELECT email FROM user WHERE id = ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    tx.execute(
        sql,
        &[
            &id,
            &new.user,
            &new.client_id,
            &new.client_name,
            &new.client_kind,
            &new.redirect_origin,
            &new.endpoint,
            &new.write,
            &chatbots,
            &now.0,
            &new.expires_at.0,
        ],
    )?;
    Ok(id)
}

/// The grants that hold, newest first: all of the organisation's, or those of one person. One whose app has not
/// redeemed its code is none yet.
pub fn list(tx: &TenantTx<'_>, user: Option<i64>, now: Time) -> Result<Vec<Listed>> {
    let sql = "SELECT id, user, email, client_id, client_name, client_kind, redirect_origin, endpoint, write, read_only, \
                      chatbots, created_at, last_used_at, expires_at \
               FROM oauth_grant g WHERE organisation = ?1 AND (?2 IS NULL OR user = ?2) \
                 AND revoked_at IS NULL AND expires_at > ?3 \
                 AND EXISTS (SELECT 1 FROM oauth_token t WHERE t.organisation = ?1 AND t.grant_id = g.id \
                             AND t.expires_at > ?3) \
               ORDER BY id DESC";
    tx.all(sql, &[&user, &now.0], listed)
}

fn listed(row: &Row<'_>) -> Result<Listed> {
    let chatbots: Option<String> = row.get(10)?;
    Ok(Listed {
        id: row.get(0)?,
        user: row.get(1)?,
        email: row.get(2)?,
        client_id: row.get(3)?,
        client_name: row.get(4)?,
        client_kind: row.get(5)?,
        redirect_origin: row.get(6)?,
        endpoint: row.get(7)?,
        write: row.get(8)?,
        read_only: row.get(9)?,
        chatbots: chatbots.as_deref().map(read).transpose()?,
        created_at: Time(row.get(11)?),
        last_used_at: row.get::<_, Option<i64>>(12)?.map(Time),
        expires_at: Time(row.get(13)?),
    })
}

/// The grant of that number, if it holds: not ended, not revoked, the organisation not suspended, the person a member.
pub fn family(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<Option<Family>> {
    let sql = "SELECT g.id, g.client_id, g.endpoint, g.write AND NOT g.read_only AND m.role <> 'analyst', \
                      g.expires_at, g.generation, g.siblings, g.rotated_at, g.used_generation >= g.generation \
               FROM oauth_grant g JOIN organisation o ON o.id = g.organisation \
               JOIN member m ON m.organisation = g.organisation AND m.user = g.user \
               WHERE g.organisation = ?1 AND g.id = ?2 AND g.expires_at > ?3 AND g.revoked_at IS NULL \
                 AND o.suspended_at IS NULL AND m.accepted_at IS NOT NULL";
    tx.first(sql, &[&id, &now.0], |row| {
        Ok(Family {
            id: row.get(0)?,
            client_id: row.get(1)?,
            endpoint: row.get(2)?,
            write: row.get(3)?,
            expires_at: Time(row.get(4)?),
            generation: row.get(5)?,
            siblings: row.get(6)?,
            rotated_at: row.get::<_, Option<i64>>(7)?.map(Time),
            used: row.get(8)?,
        })
    })
}

/// Begins the family: its code was redeemed, and it lives until `expires_at` with one refresh token.
pub fn begin(tx: &TenantTx<'_>, id: i64, expires_at: Time) -> Result<()> {
    let sql = "UPDATE oauth_grant SET expires_at = ?3, siblings = 1 WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id, &expires_at.0]).map(|_| ())
}

/// Goes on to the next generation, which has one refresh token. Those of a thousand generations ago are forgotten.
pub fn rotate(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<()> {
    let sql = "UPDATE oauth_grant SET generation = generation + 1, siblings = 1, rotated_at = ?3 \
               WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id, &now.0])?;
    let sql = "DELETE FROM oauth_token WHERE organisation = ?1 AND grant_id = ?2 AND kind = 'refresh' \
               AND generation < (SELECT generation FROM oauth_grant WHERE organisation = ?1 AND id = ?2) - ?3";
    tx.execute(sql, &[&id, &GENERATIONS_KEPT]).map(|_| ())
}

/// Counts one more refresh token of the current generation.
pub fn add_sibling(tx: &TenantTx<'_>, id: i64) -> Result<()> {
    let sql = "UPDATE oauth_grant SET siblings = siblings + 1 WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id]).map(|_| ())
}

/// Notes that it was used.
pub fn touch(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<()> {
    let sql = "UPDATE oauth_grant SET last_used_at = ?3 WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id, &now.0]).map(|_| ())
}

/// Narrows a grant: to reading, to some chatbots, or both. What it was narrowed to before stays: of two lists of
/// chatbots, those on both are left. From the next request on.
///
/// # Errors
/// `NotFound` when the organisation has no such grant that holds; `Invalid` for more than [`CHATBOTS_MAX`] chatbots.
pub fn narrow(
    tx: &TenantTx<'_>,
    id: i64,
    read_only: bool,
    chatbots: Option<&[i64]>,
    now: Time,
) -> Result<()> {
    let sql = "SELECT chatbots FROM oauth_grant \
               WHERE organisation = ?1 AND id = ?2 AND revoked_at IS NULL AND expires_at > ?3";
    let found = tx.first(sql, &[&id, &now.0], |row| Ok(row.get::<_, Option<String>>(0)?))?;
    let before = found.ok_or_else(no_such)?.as_deref().map(read).transpose()?;
    let left = match (before, chatbots) {
        (Some(before), Some(wanted)) => Some(before.into_iter().filter(|id| wanted.contains(id)).collect()),
        (before, wanted) => before.or_else(|| wanted.map(<[i64]>::to_vec)),
    };
    let left = left.as_deref().map(written).transpose()?;
    let sql = "UPDATE oauth_grant SET read_only = max(read_only, ?3), chatbots = ?4 \
               WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id, &read_only, &left]).map(|_| ())
}

/// Ends a grant with all its tokens. `why` is a word for the log: `member`, `client`, `reuse` …
///
/// # Errors
/// `NotFound` when the organisation has no such grant, or it was revoked before.
pub fn revoke(tx: &TenantTx<'_>, id: i64, why: &str, now: Time) -> Result<()> {
    let sql = "UPDATE oauth_grant SET revoked_at = ?3, revoked_why = ?4 \
               WHERE organisation = ?1 AND id = ?2 AND revoked_at IS NULL";
    if tx.execute(sql, &[&id, &now.0, &why])? == 0 {
        return Err(no_such());
    }
    tx.execute("DELETE FROM oauth_token WHERE organisation = ?1 AND grant_id = ?2", &[&id])?;
    tx.execute("DELETE FROM oauth_code WHERE organisation = ?1 AND grant_id = ?2", &[&id])?;
    Ok(())
}

/// Deletes what has ended: requests and tokens at once, codes after a day (a replay is still noticed), grants after 30
/// days. How many rows.
///
/// # Errors
/// Those of a write to the store.
pub fn expire(store: &Store, now: Time) -> Result<usize> {
    store.write(Durability::Process, move |tx| {
        let sql =
            "DELETE FROM oauth_grant WHERE expires_at <= ?1 OR (revoked_at IS NOT NULL AND revoked_at <= ?1)";
        let grants = tx.connection.execute(sql, [now.plus(-ENDED_DAYS * DAY).0])?;
        let codes = oauth_code::expire(tx, now.plus(-DAY))?;
        Ok(grants + codes + oauth_token::expire(tx, now)? + oauth_request::expire(tx, now)?)
    })
}

fn no_such() -> Error {
    Error::not_found("There is no such connected app any more; it was disconnected, or its access has ended.")
}

fn written(chatbots: &[i64]) -> Result<String> {
    if chatbots.len() > CHATBOTS_MAX {
        return Err(Error::invalid(format!("An app can be limited to {CHATBOTS_MAX} chatbots at most.")));
    }
    serde_json::to_string(chatbots).map_err(Error::internal)
}

fn read(chatbots: &str) -> Result<Vec<i64>> {
    serde_json::from_str(chatbots).map_err(Error::internal)
}
