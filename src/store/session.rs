//! Legacy MCP sessions: what stands behind the signed id that a client holds.

use super::{SystemTx, TenantTx};
use crate::clock::Time;
use crate::error::Result;

/// A session's row.
#[derive(Clone, Debug)]
pub struct Session {
    /// The handshake's outcome, in JSON.
    pub peer: String,
    /// When it was last used, to the hour.
    pub last_seen_at: Time,
}

/// Sessions of one credential at most; those not used for longest give way, for opening one costs no quota.
const PER_CREDENTIAL_MAX: i64 = 20_000;

/// Keeps a new session.
pub fn create(
    tx: &TenantTx<'_>,
    id: &[u8; 16],
    credential: &str,
    endpoint: &str,
    peer: &str,
    now: Time,
) -> Result<()> {
    let sql = "INSERT INTO mcp_session (id, organisation, credential, endpoint, peer, created_at, last_seen_at) \
               VALUES (?2, ?1, ?3, ?4, ?5, ?6, ?6)";
    tx.execute(sql, &[&id.as_slice(), &credential, &endpoint, &peer, &now.0])?;
    keep_latest(tx, credential, PER_CREDENTIAL_MAX)
}

fn keep_latest(tx: &TenantTx<'_>, credential: &str, most: i64) -> Result<()> {
    let sql = "DELETE FROM mcp_session WHERE id IN (SELECT id FROM mcp_session \
               WHERE organisation = ?1 AND credential = ?2 ORDER BY last_seen_at DESC LIMIT -1 OFFSET ?3)";
    tx.execute(sql, &[&credential, &most])?;
    Ok(())
}

/// The session with this id, if it is this credential's at this endpoint.
pub fn find(tx: &TenantTx<'_>, id: &[u8; 16], credential: &str, endpoint: &str) -> Result<Option<Session>> {
    let sql = "SELECT peer, last_seen_at FROM mcp_session \
               WHERE organisation = ?1 AND id = ?2 AND credential = ?3 AND endpoint = ?4";
    tx.first(sql, &[&id.as_slice(), &credential, &endpoint], |row| {
        Ok(Session { peer: row.get(0)?, last_seen_at: Time(row.get(1)?) })
    })
}

/// Notes that a session was used.
pub fn touch(tx: &TenantTx<'_>, id: &[u8; 16], now: Time) -> Result<()> {
    let sql = "UPDATE mcp_session SET last_seen_at = ?3 WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id.as_slice(), &now.0])?;
    Ok(())
}

/// Keeps another outcome of the session, if it still is what it `was`; whether it was.
pub fn update(tx: &TenantTx<'_>, id: &[u8; 16], was: &str, peer: &str) -> Result<bool> {
    let sql = "UPDATE mcp_session SET peer = ?4 WHERE organisation = ?1 AND id = ?2 AND peer = ?3";
    Ok(tx.execute(sql, &[&id.as_slice(), &was, &peer])? > 0)
}

/// Ends a session; whether there was one.
pub fn delete(tx: &TenantTx<'_>, id: &[u8; 16]) -> Result<bool> {
    Ok(tx.execute("DELETE FROM mcp_session WHERE organisation = ?1 AND id = ?2", &[&id.as_slice()])? > 0)
}

/// Forgets sessions of every organisation last used before `before`; how many.
pub fn expire(tx: &SystemTx<'_>, before: Time) -> Result<usize> {
    Ok(tx.connection.execute("DELETE FROM mcp_session WHERE last_seen_at < ?1", [before.0])?)
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, Store, organisation};
    use super::*;

    #[test]
    fn a_credential_has_so_many_sessions() {
        let folder = tempfile::tempdir().unwrap();
        let done = Store::open(folder.path()).unwrap().write(Durability::Process, |tx| {
            let made = organisation::create(tx, "acme", "Acme", organisation::Plan::Free, Time(0))?;
            let here = tx.tenant(made.tenant);
            for n in 0..5u8 {
                create(&here, &[n; 16], "key:1", "full", "{}", Time(n.into()))?;
            }
            create(&here, &[9; 16], "key:2", "full", "{}", Time(0))?;
            touch(&here, &[0; 16], Time(9))?;
            keep_latest(&here, "key:1", 3)?;
            let left = |n: u8, credential: &str| Ok(find(&here, &[n; 16], credential, "full")?.is_some());
            (0..5).map(|n| left(n, "key:1")).chain([left(9, "key:2")]).collect::<Result<Vec<_>>>()
        });
        assert_eq!(done.unwrap(), [true, false, false, true, true, true]);
    }
}
