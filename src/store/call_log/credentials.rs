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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::store::organisation::{self, Plan};
    use crate::store::{Durability, Store, api_key};

    #[test]
    fn names_are_of_the_own_organisation_and_outlive_their_rows() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let now = Time(1_000);
        let made = store.write(Durability::Process, move |tx| {
            let ours = tx.tenant(organisation::create(tx, "ours", "Ours", Plan::Free, now)?.tenant);
            let theirs = tx.tenant(organisation::create(tx, "theirs", "Theirs", Plan::Free, now)?.tenant);
            api_key::create(&ours, &[1; 32], "cha_a", "Anna's laptop", false, now)?;
            api_key::create(&ours, &[2; 32], "cha_b", "Sold laptop", true, now)?;
            api_key::revoke(&ours, 2, now)?;
            for n in 3..6 {
                api_key::create(&theirs, &[n; 32], "cha_c", "Their key", true, now)?;
            }
            Ok(ours.tenant())
        });
        let ours = made.unwrap();
        let read = |id: &str| store.read(|tx| credential(&tx.tenant(ours), id)).unwrap();
        let check = |id: &str, kind: &str, name: &str, revoked: bool| {
            let found = read(id);
            assert_eq!((found.kind, found.name.as_str(), found.revoked), (kind, name, revoked), "{id}");
            assert_eq!(found.id, id);
        };
        check("key:1", "API key", "Anna's laptop", false);
        check("key:2", "API key", "Sold laptop", true);
        check("key:3", "no longer known", "API key 3", false);
        check("grant:7", "no longer known", "App 7", false);
        check("url:2", "no longer known", "Tokenized URL 2", false);
        check("key:x", "no longer known", "API key x", false);
        check("odd", "no longer known", "Credential odd", false);
        let all = store.read(|tx| all_credentials(&tx.tenant(ours))).unwrap();
        assert_eq!(all.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["key:2", "key:1"]);
    }
}
