//! The history of a chatbot's settings: every version whole, so that any can come back.

use super::{By, Change, Settings, change};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::store::TenantTx;

/// One version of a chatbot's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Its number, from 1.
    pub version: i64,
    /// All settings as they were from then on.
    pub settings: Settings,
    /// What made it: a tool's name, `import`, `undo`.
    pub origin: String,
    /// Whose credential it was.
    pub actor: String,
    /// When.
    pub at: Time,
}

/// Up to `limit` versions of a chatbot's settings, newest first; those below `before` if it is given. Empty also when
/// there is no such chatbot.
pub fn versions(tx: &TenantTx<'_>, id: i64, before: Option<i64>, limit: i64) -> Result<Vec<Version>> {
    let sql = "SELECT version, settings, origin, actor, at FROM chatbot_version \
               WHERE organisation = ?1 AND chatbot = ?2 AND version < ?3 ORDER BY version DESC LIMIT ?4";
    tx.all(sql, &[&id, &before.unwrap_or(i64::MAX), &limit], |row| {
        Ok(Version {
            version: row.get(0)?,
            settings: read(&row.get::<_, String>(1)?)?,
            origin: row.get(2)?,
            actor: row.get(3)?,
            at: Time(row.get(4)?),
        })
    })
}

/// Brings the settings of an earlier version back, as a new version. `None` when there is no such chatbot or version.
///
/// # Errors
/// `Conflict` as [`change`] says.
pub fn restore_version(
    tx: &TenantTx<'_>,
    id: i64,
    version: i64,
    if_version: Option<i64>,
    by: &By<'_>,
) -> Result<Option<Change>> {
    let sql =
        "SELECT settings FROM chatbot_version WHERE organisation = ?1 AND chatbot = ?2 AND version = ?3";
    let Some(text) = tx.first(sql, &[&id, &version], |row| Ok(row.get::<_, String>(0)?))? else {
        return Ok(None);
    };
    let earlier = read(&text)?;
    change(tx, id, if_version, by, |settings| {
        *settings = earlier;
        Ok(())
    })
}

/// Keeps a version.
pub(super) fn keep(tx: &TenantTx<'_>, id: i64, version: i64, settings: &Settings, by: &By<'_>) -> Result<()> {
    let text = serde_json::to_string(settings).map_err(Error::internal)?;
    let sql = "INSERT INTO chatbot_version (organisation, chatbot, version, settings, origin, actor, at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.execute(sql, &[&id, &version, &text, &by.origin, &by.actor, &by.now.0])?;
    Ok(())
}

fn read(text: &str) -> Result<Settings> {
    serde_json::from_str(text).map_err(Error::internal)
}
