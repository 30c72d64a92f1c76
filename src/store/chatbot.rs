//! Chatbots, their settings and the history of those.

mod language;
mod mark;
mod settings;
mod version;

use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::{Put, TenantTx};
use crate::clock::Time;
use crate::error::{Error, Kind, Result};

pub use mark::{Mark, marks};
pub use settings::{
    BubbleStyle, DESCRIPTION_CHARS_MAX, INSTRUCTIONS_CHARS_MAX, NAME_CHARS_MAX, Patch, Position, Settings,
    Strictness, TEMPERATURE, TEXT_CHARS_MAX,
};
pub use version::{Version, restore_version, versions};

choice! {
    /// Where people talk to a chatbot.
    Platform {
        /// The widget on the shop's pages.
        Web = "web",
        /// WhatsApp.
        WhatsApp = "whatsapp",
        /// Facebook Messenger.
        Messenger = "messenger",
    }
}

/// Characters of an external id at most.
const EXTERNAL_ID_CHARS_MAX: usize = 200;

/// A chatbot as a list shows it. Its texts are borrowed from the row.
#[derive(Clone, Debug, Serialize)]
pub struct Summary<'a> {
    /// Its number within the organisation.
    pub id: i64,
    /// What people call it.
    pub name: &'a str,
    /// The AI model that answers.
    pub model: &'a str,
    /// The language it answers in: a BCP 47 tag, or `automatic`.
    pub language: &'a str,
    /// `web`, `whatsapp` or `messenger`.
    pub platform: &'a str,
    /// Whether its widget is on.
    pub enabled: bool,
    /// Whether it is the organisation's main chatbot.
    pub is_primary: bool,
}

/// A chatbot with all its settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Chatbot {
    /// Its number within the organisation.
    pub id: i64,
    /// Where people talk to it.
    pub platform: Platform,
    /// Whether it is the organisation's main chatbot.
    pub is_primary: bool,
    /// Everything about it that can be configured.
    pub settings: Settings,
    /// Counts the changes of the settings, from 1.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
}

/// A chatbot as imports bring it:
/// `{"external_id": "main", "platform": "web", "is_primary": true, "settings": {"name": "Shop assistant", …}}`.
/// All but `settings` (see [`Settings`]) may be left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewChatbot {
    /// What the place it comes from calls it, 1 to 200 characters; without one, each put makes another chatbot.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Where people talk to it; the web when it is left out.
    #[serde(default = "web")]
    pub platform: Platform,
    /// Whether it becomes the organisation's main chatbot in place of the present one. The first chatbot of an
    /// organisation always does; `false` takes nothing away.
    #[serde(default)]
    pub is_primary: bool,
    /// Everything about it that can be configured.
    pub settings: Settings,
    /// When it was made; now when it is left out. What is there already keeps its time.
    #[serde(default)]
    pub created_at: Option<Time>,
}

fn web() -> Platform {
    Platform::Web
}

/// Who changes settings, by what means, and when; the history keeps it.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// A tool's name, `import`, `undo`.
    pub origin: &'a str,
    /// Whose credential it is.
    pub actor: &'a str,
    /// The time.
    pub now: Time,
}

/// What a change did. When `before` and `after` are the same, nothing was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The settings before it.
    pub before: Settings,
    /// The settings now.
    pub after: Settings,
    /// The version before it.
    pub version_before: i64,
    /// The version now.
    pub version: i64,
}

/// Calls `each` with up to `limit` chatbots with a number above `after`, by number.
pub fn each(
    tx: &TenantTx<'_>,
    after: Option<i64>,
    limit: i64,
    mut each: impl FnMut(&Summary<'_>) -> Result<()>,
) -> Result<()> {
    let sql = "SELECT id, name, model, language, platform, enabled, is_primary FROM chatbot \
               WHERE organisation = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    tx.for_each(sql, &[&after.unwrap_or(0), &limit], |row| {
        let text = |column| row.get_ref(column)?.as_str().map_err(Error::internal);
        each(&Summary {
            id: row.get(0)?,
            name: text(1)?,
            model: text(2)?,
            language: text(3)?,
            platform: text(4)?,
            enabled: row.get(5)?,
            is_primary: row.get(6)?,
        })
    })
}

/// How many chatbots there are.
pub fn count(tx: &TenantTx<'_>) -> Result<i64> {
    tx.number("SELECT count(*) FROM chatbot WHERE organisation = ?1", &[])
}

/// Numbers and names of up to `limit` chatbots, by number.
pub fn names(tx: &TenantTx<'_>, limit: i64) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT id, name FROM chatbot WHERE organisation = ?1 ORDER BY id LIMIT ?2";
    tx.all(sql, &[&limit], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The chatbot's name; `None` when there is no such chatbot.
pub fn name(tx: &TenantTx<'_>, id: i64) -> Result<Option<String>> {
    tx.first("SELECT name FROM chatbot WHERE organisation = ?1 AND id = ?2", &[&id], |row| Ok(row.get(0)?))
}

/// Whether there is a chatbot of that number.
pub fn exists(tx: &TenantTx<'_>, id: i64) -> Result<bool> {
    Ok(tx.number("SELECT 1 FROM chatbot WHERE organisation = ?1 AND id = ?2", &[&id])? == 1)
}

/// The number of the chatbot with that external id.
pub fn id_of(tx: &TenantTx<'_>, external_id: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM chatbot WHERE organisation = ?1 AND external_id = ?2";
    tx.first(sql, &[&external_id], |row| Ok(row.get(0)?))
}

/// The number of the chatbot with that external id, for what refers to one.
///
/// # Errors
/// `Invalid` when there is none.
pub fn referred(tx: &TenantTx<'_>, external_id: &str) -> Result<i64> {
    id_of(tx, external_id)?.ok_or_else(|| {
        let shown: String = external_id.chars().take(60).collect();
        Error::invalid(format!(
            "chatbot: came {shown:?}; wanted the external_id of a chatbot that is there already."
        ))
    })
}

/// The chatbot of that number.
pub fn get(tx: &TenantTx<'_>, id: i64) -> Result<Option<Chatbot>> {
    tx.first("SELECT * FROM chatbot WHERE organisation = ?1 AND id = ?2", &[&id], |row| {
        Ok(Chatbot {
            id: row.get("id")?,
            platform: row.get("platform")?,
            is_primary: row.get("is_primary")?,
            settings: Settings::of_row(row)?,
            version: row.get("version")?,
            created_at: Time(row.get("created_at")?),
            updated_at: Time(row.get("updated_at")?),
        })
    })
}

/// Puts a chatbot: makes it, or brings the one with its external id to this state. A change of settings is a version of
/// its history.
///
/// # Errors
/// `Invalid` when a field breaks its rule.
pub fn put(tx: &TenantTx<'_>, new: &NewChatbot, now: Time) -> Result<Put> {
    let settings = new.settings.clone().checked()?;
    let there = match &new.external_id {
        Some(external_id) => {
            check_external_id(external_id)?;
            id_of(tx, external_id)?
        }
        None => None,
    };
    match there {
        Some(id) => bring_to(tx, id, new, settings, now),
        None => Ok(Put::Created(create(tx, new, &settings, now)?)),
    }
}

/// Changes a chatbot's settings as `edit` does and keeps the new version. When `edit` changes nothing, nothing is
/// written. `None` when there is no such chatbot.
///
/// # Errors
/// `Conflict` when `if_version` is not the present version; `Invalid` when a field breaks its rule; what `edit` answers.
pub fn change(
    tx: &TenantTx<'_>,
    id: i64,
    if_version: Option<i64>,
    by: &By<'_>,
    edit: impl FnOnce(&mut Settings) -> Result<()>,
) -> Result<Option<Change>> {
    let Some(present) = get(tx, id)? else { return Ok(None) };
    if let Some(expected) = if_version.filter(|expected| *expected != present.version) {
        return Err(stale(id, expected, present.version));
    }
    let before = present.settings;
    let mut edited = before.clone();
    edit(&mut edited)?;
    let after = edited.checked()?;
    let changed = after != before;
    let version = present.version + i64::from(changed);
    if changed {
        write_settings(tx, id, &after, version, by.now)?;
        version::keep(tx, id, version, &after, by)?;
    }
    Ok(Some(Change { before, after, version_before: present.version, version }))
}

fn stale(id: i64, expected: i64, present: i64) -> Error {
    Error::new(
        Kind::Conflict,
        format!(
            "if_version: came {expected}, but chatbot {id} is at version {present}: its settings were changed \
             meanwhile. Look at them again, then repeat the change with if_version {present}."
        ),
    )
}

/// Whether an external id may be one.
pub(super) fn check_external_id(external_id: &str) -> Result<()> {
    match external_id.chars().count() {
        1..=EXTERNAL_ID_CHARS_MAX => Ok(()),
        chars => Err(Error::invalid(format!(
            "external_id: came {chars} characters; wanted text of 1 to {EXTERNAL_ID_CHARS_MAX} characters."
        ))),
    }
}

fn create(tx: &TenantTx<'_>, new: &NewChatbot, settings: &Settings, now: Time) -> Result<i64> {
    let id = tx.next_id("chatbot")?;
    let is_primary = new.is_primary || count(tx)? == 0;
    if is_primary {
        clear_primary(tx)?;
    }
    let created_at = new.created_at.unwrap_or(now);
    let sql = format!(
        "INSERT INTO chatbot (organisation, id, external_id, platform, is_primary, version, created_at, updated_at, {}) \
         VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6, {})",
        Settings::COLUMNS.join(", "),
        places(7)
    );
    let mut values: Vec<&dyn rusqlite::types::ToSql> =
        vec![&id, &new.external_id, &new.platform, &is_primary, &created_at.0];
    values.extend(settings.values());
    tx.execute(&sql, &values)?;
    version::keep(tx, id, 1, settings, &By { now: created_at, ..IMPORT })?;
    Ok(id)
}

/// How the history names what [`put`] brings.
const IMPORT: By<'static> = By { origin: "import", actor: "operator", now: Time(0) };

fn bring_to(tx: &TenantTx<'_>, id: i64, new: &NewChatbot, settings: Settings, now: Time) -> Result<Put> {
    let by = By { now, ..IMPORT };
    let replaced = change(tx, id, None, &by, |present| {
        *present = settings;
        Ok(())
    })?;
    let sql = "UPDATE chatbot SET platform = ?3, updated_at = ?4 \
               WHERE organisation = ?1 AND id = ?2 AND platform <> ?3";
    let moved = tx.execute(sql, &[&id, &new.platform, &now.0])? > 0;
    let promoted = new.is_primary && make_primary(tx, id, now)?;
    let changed = replaced.is_some_and(|change| change.before != change.after) || moved || promoted;
    Ok(if changed { Put::Updated(id) } else { Put::Unchanged(id) })
}

/// Makes the chatbot the organisation's main one; whether it was not.
fn make_primary(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<bool> {
    let sql = "SELECT is_primary FROM chatbot WHERE organisation = ?1 AND id = ?2";
    if tx.number(sql, &[&id])? == 1 {
        return Ok(false);
    }
    clear_primary(tx)?;
    let sql = "UPDATE chatbot SET is_primary = 1, updated_at = ?3 WHERE organisation = ?1 AND id = ?2";
    tx.execute(sql, &[&id, &now.0])?;
    Ok(true)
}

fn clear_primary(tx: &TenantTx<'_>) -> Result<()> {
    tx.execute("UPDATE chatbot SET is_primary = 0 WHERE organisation = ?1 AND is_primary", &[])?;
    Ok(())
}

fn write_settings(tx: &TenantTx<'_>, id: i64, settings: &Settings, version: i64, now: Time) -> Result<()> {
    let sql = format!(
        "UPDATE chatbot SET version = ?3, updated_at = ?4, ({}) = ({}) WHERE organisation = ?1 AND id = ?2",
        Settings::COLUMNS.join(", "),
        places(5)
    );
    let mut values: Vec<&dyn rusqlite::types::ToSql> = vec![&id, &version, &now.0];
    values.extend(settings.values());
    tx.execute(&sql, &values)?;
    Ok(())
}

/// Places for the values of the settings' columns, the first of them `?first`.
fn places(first: usize) -> String {
    let all = (first..first + Settings::COLUMNS.len()).map(|place| format!("?{place}"));
    all.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
