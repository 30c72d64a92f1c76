//! Credentials of the log in words. Their rows may be gone; their calls still have a name then.

use rusqlite::Row;

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

/// A kind of credential.
struct Kind {
    /// What its ids in the log begin with, before the colon.
    prefix: &'static str,
    /// What people call it.
    name: &'static str,
    /// Its rows: number, name, person, whether revoked.
    rows: &'static str,
}

const KINDS: [Kind; 3] = [
    Kind {
        prefix: "key",
        name: "API key",
        rows: "SELECT id, label, NULL, revoked_at IS NOT NULL FROM api_key WHERE organisation = ?1",
    },
    Kind {
        prefix: "grant",
        name: "App",
        rows: "SELECT id, client_name, email, revoked_at IS NOT NULL FROM oauth_grant WHERE organisation = ?1",
    },
    Kind {
        prefix: "url",
        name: "Tokenized URL",
        rows: "SELECT id, label, NULL, revoked_at IS NOT NULL FROM tokenized_url WHERE organisation = ?1",
    },
];

impl Kind {
    fn read(&self, row: &Row<'_>) -> Result<Credential> {
        let number: i64 = row.get(0)?;
        Ok(Credential {
            id: format!("{}:{number}", self.prefix),
            kind: self.name,
            name: row.get(1)?,
            person: row.get(2)?,
            revoked: row.get(3)?,
        })
    }
}

/// The credential `id` of the log, such as `key:3` or `grant:7`.
///
/// # Errors
/// Those of the store.
pub fn credential(tx: &TenantTx<'_>, id: &str) -> Result<Credential> {
    let (prefix, number) = id.split_once(':').unwrap_or_default();
    let Some(kind) = KINDS.iter().find(|kind| kind.prefix == prefix) else {
        return Ok(unknown(id, format!("Credential {id}")));
    };
    let found = match number.parse::<i64>() {
        Ok(number) => tx.first(&format!("{} AND id = ?2", kind.rows), &[&number], |row| kind.read(row))?,
        Err(_) => None,
    };
    Ok(found.unwrap_or_else(|| unknown(id, format!("{} {number}", kind.name))))
}

fn unknown(id: &str, name: String) -> Credential {
    Credential { id: id.to_owned(), kind: "no longer known", name, person: None, revoked: false }
}

/// The organisation's newest credentials of each kind, to choose from; revoked ones too.
///
/// # Errors
/// Those of the store.
pub fn all_credentials(tx: &TenantTx<'_>) -> Result<Vec<Credential>> {
    let mut all = Vec::new();
    for kind in &KINDS {
        let newest = format!("{} ORDER BY id DESC LIMIT ?2", kind.rows);
        all.extend(tx.all(&newest, &[&LISTED_MAX], |row| kind.read(row))?);
    }
    Ok(all)
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
