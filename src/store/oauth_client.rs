//! The apps that registered or were entered, and the documents that others publish about themselves.

use rusqlite::{OptionalExtension as _, Row as SqlRow, params};

use super::SystemTx;
use crate::clock::{DAY, Time};
use crate::error::{Error, Kind, Result};

/// Days that a registration lives without anyone having allowed the app anything.
pub const UNUSED_DAYS: i64 = 7;
/// Registrations kept that nobody allowed anything; the oldest go first.
const UNUSED_MAX: i64 = 100_000;
/// Documents kept; those fetched longest ago go first.
const DOCUMENTS_MAX: i64 = 10_000;
/// Days that a document is kept after it was fetched.
const DOCUMENT_DAYS: i64 = 30;

/// A client as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its `client_id`.
    pub id: String,
    /// Whether the operator entered it; else it registered itself.
    pub operator: bool,
    /// What it calls itself; empty when it did not say.
    pub name: String,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<String>,
    /// `none`, `client_secret_post` or `client_secret_basic`.
    pub auth_method: String,
    /// The SHA-256 of its secret; none for a public client.
    pub secret_hash: Option<[u8; 32]>,
    /// Whether it gets refresh tokens.
    pub refreshes: bool,
    /// When it registered.
    pub created_at: Time,
}

const COLUMNS: &str = "id, kind, name, redirect_uris, auth_method, secret_hash, refreshes, created_at";

fn map(row: &SqlRow<'_>) -> rusqlite::Result<(String, Row)> {
    let redirects: String = row.get(3)?;
    let client = Row {
        id: row.get(0)?,
        operator: row.get::<_, String>(1)? == "operator",
        name: row.get(2)?,
        redirect_uris: Vec::new(),
        auth_method: row.get(4)?,
        secret_hash: row.get(5)?,
        refreshes: row.get(6)?,
        created_at: Time(row.get(7)?),
    };
    Ok((redirects, client))
}

fn complete((redirects, client): (String, Row)) -> Result<Row> {
    let redirect_uris = serde_json::from_str(&redirects).map_err(Error::internal)?;
    Ok(Row { redirect_uris, ..client })
}

/// The client with this id.
pub fn find(tx: &SystemTx<'_>, id: &str) -> Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM oauth_client WHERE id = ?1");
    tx.connection.prepare_cached(&sql)?.query_row([id], map).optional()?.map(complete).transpose()
}

/// Keeps a new client.
///
/// # Errors
/// `Conflict` when there is one with this id.
pub fn create(tx: &SystemTx<'_>, client: &Row) -> Result<()> {
    match insert(tx, client, None)? {
        true => Ok(()),
        false => Err(Error::new(Kind::Conflict, format!("There is a client {:?} already.", client.id))),
    }
}

/// Keeps a new public client, unless the same was registered before: then that one, as if it had just been used.
/// `digest` is of all that was registered.
pub fn create_or_find(tx: &SystemTx<'_>, client: &Row, digest: &[u8; 32]) -> Result<Row> {
    if insert(tx, client, Some(digest))? {
        return Ok(client.clone());
    }
    let sql = format!("UPDATE oauth_client SET last_used_at = ?2 WHERE digest = ?1 RETURNING {COLUMNS}");
    complete(tx.connection.prepare_cached(&sql)?.query_row(params![digest, client.created_at.0], map)?)
}

fn insert(tx: &SystemTx<'_>, client: &Row, digest: Option<&[u8; 32]>) -> Result<bool> {
    let sql = "INSERT INTO oauth_client (id, kind, name, redirect_uris, auth_method, secret_hash, refreshes, digest, \
               created_at, last_used_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9) ON CONFLICT DO NOTHING";
    let kind = if client.operator { "operator" } else { "registered" };
    let redirects = serde_json::to_string(&client.redirect_uris).map_err(Error::internal)?;
    let done = tx.connection.prepare_cached(sql)?.execute(params![
        client.id,
        kind,
        client.name,
        redirects,
        client.auth_method,
        client.secret_hash,
        client.refreshes,
        digest,
        client.created_at.0,
    ])?;
    Ok(done == 1)
}

/// The clients that the operator entered, by name.
pub fn list_operators(tx: &SystemTx<'_>) -> Result<Vec<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM oauth_client WHERE kind = 'operator' ORDER BY name, id");
    let mut statement = tx.connection.prepare(&sql)?;
    let rows = statement.query_map([], map)?;
    rows.map(|row| complete(row?)).collect()
}

/// Deletes a client, entered or registered, and ends what people allowed it; whether there was one.
pub fn delete(tx: &SystemTx<'_>, id: &str, now: Time) -> Result<bool> {
    let sql = "UPDATE oauth_grant SET revoked_at = ?2, revoked_why = 'removed' \
               WHERE client_id = ?1 AND revoked_at IS NULL";
    tx.connection.execute(sql, params![id, now.0])?;
    Ok(tx.connection.execute("DELETE FROM oauth_client WHERE id = ?1", [id])? == 1)
}

/// A document as it was last fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its text.
    pub text: String,
    /// When it was fetched.
    pub fetched_at: Time,
    /// Until when it is used without asking again.
    pub fresh_until: Time,
}

/// The document that was last fetched from `url`.
pub fn document(tx: &SystemTx<'_>, url: &str) -> Result<Option<Document>> {
    let sql = "SELECT document, fetched_at, fresh_until FROM oauth_client_document WHERE url = ?1";
    let read = |row: &SqlRow<'_>| {
        Ok(Document { text: row.get(0)?, fetched_at: Time(row.get(1)?), fresh_until: Time(row.get(2)?) })
    };
    Ok(tx.connection.prepare_cached(sql)?.query_row([url], read).optional()?)
}

/// Keeps a document in the place of the one before.
pub fn put_document(tx: &SystemTx<'_>, url: &str, document: &Document) -> Result<()> {
    let sql = "INSERT INTO oauth_client_document (url, document, fetched_at, fresh_until) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO UPDATE SET document = ?2, fetched_at = ?3, fresh_until = ?4";
    let (fetched, fresh) = (document.fetched_at.0, document.fresh_until.0);
    tx.connection.execute(sql, params![url, document.text, fetched, fresh])?;
    Ok(())
}

/// Uses the kept document of `url` until `fresh_until`, where the app's server does not give a new one.
pub fn prolong_document(tx: &SystemTx<'_>, url: &str, fresh_until: Time) -> Result<()> {
    let sql = "UPDATE oauth_client_document SET fresh_until = ?2 WHERE url = ?1";
    tx.connection.execute(sql, params![url, fresh_until.0])?;
    Ok(())
}

/// Forgets registrations that nobody allows anything (any more) and documents that nobody asked for in a long time;
/// how many. Those the operator entered stay, and so does what has a grant that holds.
pub fn expire(tx: &SystemTx<'_>, now: Time) -> Result<usize> {
    let unused = "kind = 'registered' AND NOT EXISTS (SELECT 1 FROM oauth_grant AS g WHERE g.client_id = \
                  oauth_client.id AND g.revoked_at IS NULL AND g.expires_at > ?1)";
    let sql = format!("DELETE FROM oauth_client WHERE last_used_at < ?2 AND {unused}");
    let old = tx.connection.execute(&sql, params![now.0, now.0 - UNUSED_DAYS * DAY])?;
    let sql = format!(
        "DELETE FROM oauth_client WHERE id IN \
         (SELECT id FROM oauth_client WHERE {unused} ORDER BY last_used_at DESC LIMIT -1 OFFSET ?2)"
    );
    let many = tx.connection.execute(&sql, params![now.0, UNUSED_MAX])?;
    let sql = "DELETE FROM oauth_client_document WHERE fetched_at < ?1 OR url IN \
               (SELECT url FROM oauth_client_document ORDER BY fetched_at DESC LIMIT -1 OFFSET ?2)";
    let documents = tx.connection.execute(sql, params![now.0 - DOCUMENT_DAYS * DAY, DOCUMENTS_MAX])?;
    Ok(old + many + documents)
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, Store, organisation};
    use super::*;

    fn row(id: &str, operator: bool, created_at: Time) -> Row {
        Row {
            id: id.into(),
            operator,
            name: "App".into(),
            redirect_uris: vec!["https://a.example/cb".into()],
            auth_method: "none".into(),
            secret_hash: None,
            refreshes: true,
            created_at,
        }
    }

    fn check(job: impl FnOnce(&SystemTx<'_>) -> Result<()> + Send + 'static) {
        let folder = tempfile::tempdir().unwrap();
        Store::open(folder.path()).unwrap().write(Durability::Process, job).unwrap();
    }

    #[test]
    fn keeps_finds_and_deletes() {
        check(|tx| {
            let secret = Row { secret_hash: Some([7; 32]), ..row("dcr_b", false, Time(1)) };
            create(tx, &row("own", true, Time(1)))?;
            create(tx, &secret)?;
            assert_eq!(create(tx, &secret).unwrap_err().kind, Kind::Conflict);
            assert_eq!(find(tx, "dcr_b")?, Some(secret));
            assert_eq!(find(tx, "DCR_B")?, None);
            assert_eq!(list_operators(tx)?, [row("own", true, Time(1))]);
            assert!(delete(tx, "own", Time(2))? && !delete(tx, "own", Time(2))?);
            Ok(())
        });
    }

    #[test]
    fn the_same_registration_finds_the_same_row() {
        check(|tx| {
            let first = create_or_find(tx, &row("dcr_1", false, Time(1)), &[1; 32])?;
            assert_eq!(create_or_find(tx, &row("dcr_2", false, Time(2)), &[1; 32])?, first);
            assert_eq!(create_or_find(tx, &row("dcr_3", false, Time(2)), &[3; 32])?.id, "dcr_3");
            Ok(())
        });
    }

    #[test]
    fn what_nobody_allows_anything_is_forgotten() {
        check(|tx| {
            let week = UNUSED_DAYS * DAY;
            let tenant = organisation::create(tx, "a", "A", organisation::Plan::Free, Time(0))?.tenant;
            for id in ["dcr_idle", "dcr_granted", "dcr_revoked", "dcr_again"] {
                create_or_find(tx, &row(id, false, Time(0)), &crate::access::signed::sha256(id))?;
            }
            create(tx, &row("own", true, Time(0)))?;
            for (id, client, revoked) in [(1, "dcr_granted", None), (2, "dcr_revoked", Some(5))] {
                let sql = "INSERT INTO oauth_grant (organisation, id, user, email, client_id, client_name, client_kind, \
                           redirect_origin, endpoint, write, created_at, expires_at, revoked_at) VALUES \
                           (?1, ?2, 1, 'a@b.c', ?3, 'App', 'registered', 'https://a.example', 'full', 1, 0, ?4, ?5)";
                tx.tenant(tenant)
                    .connection
                    .execute(sql, params![tenant.key(), id, client, 100 * week, revoked])?;
            }
            let again = row("dcr_other", false, Time(week));
            create_or_find(tx, &again, &crate::access::signed::sha256("dcr_again"))?;
            assert_eq!(expire(tx, Time(week))?, 0);
            assert_eq!(expire(tx, Time(week + 1))?, 2);
            let left = |id: &str| Ok::<_, Error>(find(tx, id)?.is_some());
            assert!(left("dcr_granted")? && left("dcr_again")? && left("own")?);
            assert!(!left("dcr_idle")? && !left("dcr_revoked")?);
            assert_eq!(expire(tx, Time(101 * week))?, 2, "grants end too");
            assert!(!delete(tx, "dcr_granted", Time(9))?, "it is gone, its grants end all the same");
            let sql = "SELECT revoked_at, revoked_why FROM oauth_grant WHERE id = 1";
            let ended = tx.connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            assert_eq!(ended, (9, "removed".to_owned()));
            Ok(())
        });
    }

    #[test]
    fn documents_are_kept_a_month() {
        check(|tx| {
            let url = "https://a.example/app.json";
            let document_of =
                |text: &str| Document { text: text.into(), fetched_at: Time(5), fresh_until: Time(9) };
            put_document(tx, url, &document_of("{}"))?;
            put_document(tx, url, &document_of("{\"a\":1}"))?;
            assert_eq!(document(tx, url)?, Some(document_of("{\"a\":1}")));
            prolong_document(tx, url, Time(20))?;
            assert_eq!(
                document(tx, url)?.map(|found| (found.fetched_at, found.fresh_until)),
                Some((Time(5), Time(20)))
            );
            assert_eq!(expire(tx, Time(DOCUMENT_DAYS * DAY + 6))?, 1);
            assert_eq!(document(tx, url)?, None);
            Ok(())
        });
    }
}
