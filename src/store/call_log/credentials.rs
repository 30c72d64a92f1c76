//! Credentials of the log in words. Their rows may be gone; their calls still have a name then.

use crate::error::Result;
use crate::store::TenantTx;

/// How many a list names of each kind.
const LISTED_MAX: i64 = 200;

/// Who called: a credential as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// As the log has it: `key:3`.
    pub id: String,
    /// `API key`, `App` or `Tokenized URL`; `no longer known` when its row is gone.
    pub kind: &'static str,
    /// What it is called: the key's label, the app's name; `App 7` when its row is gone.
    pub name: String,
    /// Whose it is, where that is known: the address of whoever allowed the app.
    pub person: Option<String>,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// The credential `id` of the log, such as `key:3` or `grant:7`.
///
/// # Errors
/// Those of the store.
pub fn credential(tx: &TenantTx<'_>, id: &str) -> Result<Credential> {
    let (kind, number) = id.split_once(':').unwrap_or(("", id));
    let row = match number.parse::<i64>() {
        Ok(number) if kind == "key" => key(tx, number)?,
        Ok(number) if kind == "grant" => grant(tx, number)?,
        Ok(number) if kind == "url" => url(tx, number)?,
        _ => None,
    };
    Ok(row.unwrap_or_else(|| unknown(id, kind, number)))
}

fn unknown(id: &str, kind: &str, number: &str) -> Credential {
    let name = match kind {
        "key" => format!("API key {number}"),
        "grant" => format!("App {number}"),
        "url" => format!("Tokenized URL {number}"),
        _ => format!("Credential {id}"),
    };
    Credential { id: id.to_owned(), kind: "no longer known", name, person: None, revoked: false }
}

const KEYS: &str = "SELECT id, label, NULL, revoked_at IS NOT NULL FROM api_key WHERE organisation = ?1";
const GRANTS: &str =
    "SELECT id, client_name, email, revoked_at IS NOT NULL FROM oauth_grant WHERE organisation = ?1";

const URLS: &str =
    "SELECT id, label, NULL, revoked_at IS NOT NULL FROM tokenized_url WHERE organisation = ?1";

fn key(tx: &TenantTx<'_>, number: i64) -> Result<Option<Credential>> {
    tx.first(&format!("{KEYS} AND id = ?2"), &[&number], |row| read(row, "key", "API key"))
}

fn grant(tx: &TenantTx<'_>, number: i64) -> Result<Option<Credential>> {
    tx.first(&format!("{GRANTS} AND id = ?2"), &[&number], |row| read(row, "grant", "App"))
}

fn url(tx: &TenantTx<'_>, number: i64) -> Result<Option<Credential>> {
    tx.first(&format!("{URLS} AND id = ?2"), &[&number], |row| read(row, "url", "Tokenized URL"))
}

/// The organisation's newest keys, grants and tokenized URLs, to choose from; revoked ones too.
///
/// # Errors
/// Those of the store.
pub fn all_credentials(tx: &TenantTx<'_>) -> Result<Vec<Credential>> {
    let newest = " ORDER BY id DESC LIMIT ?2";
    let mut all = tx.all(&format!("{KEYS}{newest}"), &[&LISTED_MAX], |row| read(row, "key", "API key"))?;
    all.extend(tx.all(&format!("{GRANTS}{newest}"), &[&LISTED_MAX], |row| read(row, "grant", "App"))?);
    all.extend(tx.all(&format!("{URLS}{newest}"), &[&LISTED_MAX], |row| read(row, "url", "Tokenized URL"))?);
    Ok(all)
}

fn read(row: &rusqlite::Row<'_>, prefix: &str, kind: &'static str) -> Result<Credential> {
    let number: i64 = row.get(0)?;
    Ok(Credential {
        id: format!("{prefix}:{number}"),
        kind,
        name: row.get(1)?,
        person: row.get(2)?,
        revoked: row.get(3)?,
    })
}
