//! Links that work once: to take up a membership, or to choose a new password.

use rusqlite::{OptionalExtension as _, params};

use super::user::{Role, role};
use super::{SystemTx, Tenant, TenantTx};
use crate::clock::Time;
use crate::error::Result;

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To take up a membership, and to choose a password where there is none.
    Invitation,
    /// To choose a new password.
    Reset,
}

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Purpose::Invitation => "invitation",
            Purpose::Reset => "reset",
        }
    }
}

/// A link that still works.
#[derive(Clone, Debug)]
pub struct Link {
    /// Whose it is.
    pub user: i64,
    /// The person's address.
    pub email: String,
    /// The hash of the password that the person has, if one was chosen.
    pub password: Option<String>,
    /// The organisation it was made in.
    pub tenant: Tenant,
    /// That organisation's name for people.
    pub organisation: String,
    /// The person's role there.
    pub role: Role,
}

/// Keeps a link for a member, in the place of an earlier one for the same.
pub fn create(
    tx: &TenantTx<'_>,
    hash: &[u8; 32],
    user: i64,
    purpose: Purpose,
    now: Time,
    expires_at: Time,
) -> Result<()> {
    let sql = "DELETE FROM invitation WHERE organisation = ?1 AND user = ?2 AND kind = ?3";
    tx.execute(sql, &[&user, &purpose.as_str()])?;
    let sql = "INSERT INTO invitation (hash, user, organisation, kind, created_at, expires_at) \
               VALUES (?2, ?3, ?1, ?4, ?5, ?6)";
    tx.execute(sql, &[&hash.as_slice(), &user, &purpose.as_str(), &now.0, &expires_at.0])?;
    Ok(())
}

/// The link with this hash, if it still works: an invitation does while it is open and its organisation is not suspended.
pub fn find(tx: &SystemTx<'_>, hash: &[u8; 32], purpose: Purpose, now: Time) -> Result<Option<Link>> {
    let sql = "SELECT u.id, u.email, u.password, o.id, o.name, m.role FROM invitation i \
               JOIN user u ON u.id = i.user JOIN organisation o ON o.id = i.organisation \
               JOIN member m ON m.organisation = i.organisation AND m.user = i.user \
               WHERE i.hash = ?1 AND i.kind = ?2 AND i.expires_at > ?3 \
               AND (i.kind = 'reset' OR m.accepted_at IS NULL AND o.suspended_at IS NULL)";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let found = statement.query_row(params![hash.as_slice(), purpose.as_str(), now.0], |row| {
        Ok(Link {
            user: row.get(0)?,
            email: row.get(1)?,
            password: row.get(2)?,
            tenant: Tenant(row.get(3)?),
            organisation: row.get(4)?,
            role: role(row, 5)?,
        })
    });
    Ok(found.optional()?)
}

/// Uses a link up.
pub fn end(tx: &SystemTx<'_>, hash: &[u8; 32]) -> Result<()> {
    tx.connection.execute("DELETE FROM invitation WHERE hash = ?1", [hash.as_slice()])?;
    Ok(())
}

/// Forgets the links that have ended; how many.
pub fn expire(tx: &SystemTx<'_>, now: Time) -> Result<usize> {
    Ok(tx.connection.execute("DELETE FROM invitation WHERE expires_at <= ?1", [now.0])?)
}
