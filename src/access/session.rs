//! Legacy MCP sessions: an id that only we can have made, bound to a credential and an endpoint, and a row behind it.
//!
//! A session is no credential: the bearer is checked on every request all the same. That the id is signed means that
//! a guess costs no query; that there is a row means that a session outlives the process and can be ended.

use data_encoding::BASE64URL_NOPAD;

use super::{Endpoint, Grant};
use crate::clock::{DAY, HOUR, Time, random};
use crate::error::Result;
use crate::keyring::Keyring;
use crate::store::{self, Durability, Store};

/// The purpose of the signature, and what an id begins with.
const LABEL: &str = "mcs";

/// Who asks for a session, where, and with what it is checked.
#[derive(Clone, Copy)]
pub struct Sessions<'a> {
    /// Where the rows are.
    pub store: &'a Store,
    /// What signs the ids.
    pub keyring: &'a Keyring,
    /// Whose session it is.
    pub grant: &'a Grant,
    /// At which endpoint it lives.
    pub endpoint: Endpoint,
    /// The time.
    pub now: Time,
}

impl Sessions<'_> {
    /// Opens a session that keeps `peer`; answers its id: visible ASCII, about 90 characters.
    ///
    /// # Errors
    /// Those of a write to the store.
    pub fn open(&self, peer: String) -> Result<String> {
        let id = random::<16>();
        let (tenant, credential) = (self.grant.tenant, self.grant.credential.clone());
        let (endpoint, now) = (self.endpoint.as_str(), self.now);
        self.store.write(Durability::Process, move |tx| {
            store::session::create(&tx.tenant(tenant), &id, &credential, endpoint, &peer, now)
        })?;
        let owner = self.grant.tenant.key().to_be_bytes();
        let signature = self.keyring.sign(LABEL, &self.bound(&id, &owner));
        let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        Ok(format!("{LABEL}_{}_{}_{}", signature.kid, encode(&id), encode(&signature.tag)))
    }

    /// What the session `text` keeps; `None` when there is none, or it belongs to another credential or endpoint.
    /// That it was used is noted once an hour.
    ///
    /// # Errors
    /// Those of the store.
    pub fn find(&self, text: &str) -> Result<Option<String>> {
        let Some(id) = self.verified(text) else { return Ok(None) };
        let (tenant, now) = (self.grant.tenant, self.now);
        let found = self.store.peek(|tx| {
            store::session::find(&tx.tenant(tenant), &id, &self.grant.credential, self.endpoint.as_str())
        })?;
        if found.as_ref().is_some_and(|session| now.0 - session.last_seen_at.0 >= HOUR) {
            self.store
                .write(Durability::Process, move |tx| store::session::touch(&tx.tenant(tenant), &id, now))?;
        }
        Ok(found.map(|session| session.peer))
    }

    /// Keeps what became of the session `text`, if what it kept still is as it `was`; whether it was.
    ///
    /// # Errors
    /// Those of a write to the store.
    pub fn keep(&self, text: &str, was: String, peer: String) -> Result<bool> {
        let Some(id) = self.verified(text) else { return Ok(false) };
        let tenant = self.grant.tenant;
        self.store.write(Durability::Process, move |tx| {
            store::session::update(&tx.tenant(tenant), &id, &was, &peer)
        })
    }

    /// Ends the session `text`; whether there was one to end.
    ///
    /// # Errors
    /// Those of the store.
    pub fn end(&self, text: &str) -> Result<bool> {
        let Some(id) = self.verified(text) else { return Ok(false) };
        let tenant = self.grant.tenant;
        self.store.write(Durability::Process, move |tx| store::session::delete(&tx.tenant(tenant), &id))
    }

    /// The row's id, if we made `text` for this credential and endpoint.
    fn verified(&self, text: &str) -> Option<[u8; 16]> {
        let (kid, rest) = text.strip_prefix(LABEL)?.strip_prefix('_')?.split_once('_')?;
        // 16 bytes are 22 characters; base64url itself may hold the underscore.
        let (id, tag) = rest.split_at_checked(22)?;
        let tag = BASE64URL_NOPAD.decode(tag.strip_prefix('_')?.as_bytes()).ok()?;
        let id: [u8; 16] = BASE64URL_NOPAD.decode(id.as_bytes()).ok()?.try_into().ok()?;
        let owner = self.grant.tenant.key().to_be_bytes();
        let genuine = tag.len() == 32 && self.keyring.verify(LABEL, kid, &self.bound(&id, &owner), &tag);
        genuine.then_some(id)
    }

    fn bound<'b>(&'b self, id: &'b [u8; 16], owner: &'b [u8; 8]) -> [&'b [u8]; 4] {
        [id, owner, self.grant.credential.as_bytes(), self.endpoint.as_str().as_bytes()]
    }
}

/// Forgets every session that was not used for `days`; how many.
///
/// # Errors
/// Those of a write to the store.
pub fn expire(store: &Store, now: Time, days: u32) -> Result<usize> {
    let before = now.plus(-i64::from(days) * DAY);
    store.write(Durability::Process, move |tx| store::session::expire(tx, before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{api_key, authenticate};
    use crate::store::organisation::{self, Plan};

    #[test]
    fn a_session_is_its_credentials_at_its_endpoint() {
        let folder = tempfile::tempdir().unwrap();
        let (now, store) = (Time(1_000), Store::open(folder.path()).unwrap());
        let keyring = Keyring::open(folder.path(), now).unwrap();
        let grant_of = |slug: &'static str| {
            let made = store.write(Durability::Disk, move |tx| {
                let tenant = organisation::create(tx, slug, slug, Plan::Free, now)?.tenant;
                api_key::create(&tx.tenant(tenant), "test", false, now)
            });
            authenticate(&store, &keyring, &made.unwrap().1, now).unwrap().unwrap()
        };
        let (ours, theirs) = (grant_of("ours"), grant_of("theirs"));
        let at = |grant, endpoint, now| Sessions { store: &store, keyring: &keyring, grant, endpoint, now };
        let home = at(&ours, Endpoint::Full, now);
        let id = home.open("peer".into()).unwrap();
        assert!(id.bytes().all(|byte| byte.is_ascii_graphic()), "{id}");
        let check = |sessions: Sessions<'_>, text: &str, expected: Option<&str>| {
            assert_eq!(sessions.find(text).unwrap().as_deref(), expected, "{text}");
        };
        check(home, &id, Some("peer"));
        let keep = |sessions: Sessions<'_>, was: &str, peer: &str| {
            sessions.keep(&id, was.to_owned(), peer.to_owned()).unwrap()
        };
        assert!(keep(home, "peer", "later"));
        assert!(!keep(home, "peer", "lost"), "it was another by then");
        assert!(!keep(at(&theirs, Endpoint::Full, now), "later", "x"));
        check(home, &id, Some("later"));
        assert!(keep(home, "later", "peer"));
        check(at(&ours, Endpoint::ReadOnly, now), &id, None);
        check(at(&theirs, Endpoint::Full, now), &id, None);
        check(home, &id[..id.len() - 1], None);
        check(home, &id.replacen("mcs_", "mct_", 1), None);
        check(home, "", None);
        check(home, "mcs_a_b", None);
        let later = now.plus(DAY);
        check(at(&ours, Endpoint::Full, later), &id, Some("peer"));
        assert_eq!(expire(&store, later.plus(30 * DAY), 30).unwrap(), 0, "it was used since");
        assert!(!at(&theirs, Endpoint::Full, now).end(&id).unwrap());
        assert!(home.end(&id).unwrap() && !home.end(&id).unwrap());
        check(home, &id, None);
        home.open(String::new()).unwrap();
        assert_eq!(expire(&store, now.plus(30 * DAY + 1), 30).unwrap(), 1);
    }
}
