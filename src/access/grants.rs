//! Grants that were looked up a moment ago. They hold for as long as the database stands as it did, the log of calls
//! aside: after any other commit, by this process or another, each is looked up again, so that a revoked key is refused
//! by the next request; and so after a change of the keyring. A token ends at its time all the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Grant;
use crate::clock::{MINUTE, Time};
use crate::error::Result;
use crate::keyring::Keyring;
use crate::store::Store;

/// How many grants are kept; when there are more, they are looked up again.
const KEPT_MAX: usize = 1_024;

/// How long a grant is kept at most, so that its last use is noted in time.
const KEPT_TIME: i64 = MINUTE;

/// The grants of credentials seen since the last commit.
#[derive(Default)]
pub struct Grants(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    /// What [`Store::version`] and [`Keyring::edition`] were when these were looked up.
    version: Version,
    by_bearer: HashMap<Box<str>, Kept>,
}

type Version = (i64, u64);

struct Kept {
    grant: Arc<Grant>,
    until: Time,
}

impl Grants {
    /// The grant that a bearer credential stands for, as [`super::authenticate`] says it.
    ///
    /// # Errors
    /// Those of the store.
    pub fn authenticate(
        &self,
        store: &Store,
        keyring: &Keyring,
        bearer: &str,
        now: Time,
    ) -> Result<Option<Arc<Grant>>> {
        // Asked before the look-up: a commit that comes between the two makes what is kept look old, never new.
        let version = store.version()?.map(|version| (version, keyring.edition()));
        if let Some(grant) = version.and_then(|version| self.recall(version, bearer, now)) {
            return Ok(Some(grant));
        }
        let found = super::authenticate(store, keyring, bearer, now)?.map(Arc::new);
        // The first use of a token is noted by whoever looks it up; once it is, it can be kept.
        if let (Some(version), Some(grant)) = (version, &found)
            && grant.unused.is_none()
        {
            self.keep(version, bearer, grant, now);
        }
        Ok(found)
    }

    fn recall(&self, version: Version, bearer: &str, now: Time) -> Option<Arc<Grant>> {
        let recent = self.recent(version);
        recent.by_bearer.get(bearer).filter(|kept| now < kept.until).map(|kept| Arc::clone(&kept.grant))
    }

    fn keep(&self, version: Version, bearer: &str, grant: &Arc<Grant>, now: Time) {
        let mut recent = self.recent(version);
        if recent.by_bearer.len() >= KEPT_MAX {
            recent.by_bearer.clear();
        }
        let minute = now.plus(KEPT_TIME);
        let until = grant.expires_at.map_or(minute, |end| end.min(minute));
        recent.by_bearer.insert(bearer.into(), Kept { grant: Arc::clone(grant), until });
    }

    /// What is known as of `version`.
    fn recent(&self, version: Version) -> MutexGuard<'_, Recent> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.version != version {
            recent.version = version;
            recent.by_bearer.clear();
        }
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Stale, api_key};
    use crate::store::organisation::{self, Plan};
    use crate::store::{self, Durability};

    #[test]
    fn what_is_kept_ends_with_the_next_commit_of_anyone_but_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let (now, store) = (Time(1_000), Store::open(folder.path()).unwrap());
        let made = store.write(Durability::Disk, move |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Free, now)?.tenant;
            Ok((tenant, api_key::create(&tx.tenant(tenant), "test", false, now)?))
        });
        let (tenant, (id, key)) = made.unwrap();
        let keyring = Keyring::open(folder.path(), now).unwrap();
        let grants = Grants::default();
        let ask_at = |now| grants.authenticate(&store, &keyring, &key, now).unwrap();
        let ask = || ask_at(now).unwrap();
        let note = move |tx: &store::SystemTx<'_>| store::api_key::touch(&tx.tenant(tenant), id, now);
        let kept = ask();
        assert!(Arc::ptr_eq(&kept, &ask()), "looked up once");
        assert_eq!([kept.to_note(), ask().to_note()], [Some(Stale::Key(id)), None], "noted once");
        store.write(Durability::Process, note).unwrap();
        assert!(Arc::ptr_eq(&kept, &ask()), "what only notes a use changes no credential");
        assert!(!Arc::ptr_eq(&kept, &ask_at(now.plus(MINUTE)).unwrap()), "kept for a minute");
        let other = move |tx: &store::SystemTx<'_>| organisation::set_redact(tx, tenant, false);
        store.write(Durability::Disk, other).unwrap();
        assert!(!ask().redact, "looked up again after a commit of our own");
        assert!(grants.authenticate(&store, &keyring, "cha_other", now).unwrap().is_none());
        // Another process has a store of its own on the same folder; it may revoke as lightly as it likes.
        let elsewhere = Store::open(folder.path()).unwrap();
        let revoke = move |tx: &store::SystemTx<'_>| store::api_key::revoke(&tx.tenant(tenant), id, now);
        elsewhere.write(Durability::Process, revoke).unwrap();
        assert!(ask_at(now).is_none());
    }
}
