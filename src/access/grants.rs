//! Grants that were looked up a moment ago. They hold for as long as the database stands as it did: after any commit,
//! by this process or another, each is looked up again, so that a revoked key is refused by the next request; and so after
//! a change of the keyring. A token
//! ends at its time all the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Grant;
use crate::clock::Time;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::store::Store;

/// How many grants are kept; when there are more, they are looked up again.
const KEPT_MAX: usize = 1_024;

/// The grants of credentials seen since the last commit.
#[derive(Default)]
pub struct Grants(Mutex<Recent>);

#[derive(Default)]
struct Recent {
    /// What [`Store::version`] and [`Keyring::edition`] were when these were looked up.
    version: (i64, u64),
    by_bearer: HashMap<Box<str>, Arc<Grant>>,
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
        let version = (store.version()?, keyring.edition());
        if let Some(grant) = self.recent(version).by_bearer.get(bearer) {
            let lives = grant.expires_at.is_none_or(|at| now < at);
            return Ok(lives.then(|| Arc::clone(grant)));
        }
        let found = super::authenticate(store, keyring, bearer, now)?.map(Arc::new);
        let Some(grant) = found else { return Ok(None) };
        let mut recent = self.recent(version);
        if recent.by_bearer.len() >= KEPT_MAX {
            recent.by_bearer.clear();
        }
        recent.by_bearer.insert(bearer.into(), Arc::clone(&grant));
        Ok(Some(grant))
    }

    /// What is known as of `version`.
    fn recent(&self, version: (i64, u64)) -> MutexGuard<'_, Recent> {
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
    use crate::access::api_key;
    use crate::store::organisation::{self, Plan};
    use crate::store::{self, Durability};

    #[test]
    fn what_is_kept_ends_with_the_next_commit_of_anyone() {
        let folder = tempfile::tempdir().unwrap();
        let (now, store) = (Time(1_000), Store::open(folder.path()).unwrap());
        let made = store.write(Durability::Disk, move |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Free, now)?.tenant;
            Ok((tenant, api_key::create(&tx.tenant(tenant), "test", false, now)?))
        });
        let (tenant, (id, key)) = made.unwrap();
        let keyring = Keyring::open(folder.path(), now).unwrap();
        let grants = Grants::default();
        let ask = || grants.authenticate(&store, &keyring, &key, now).unwrap();
        assert!(Arc::ptr_eq(&ask().unwrap(), &ask().unwrap()), "looked up once");
        assert!(grants.authenticate(&store, &keyring, "cha_other", now).unwrap().is_none());
        // Another process has a store of its own on the same folder.
        let elsewhere = Store::open(folder.path()).unwrap();
        let revoke = move |tx: &store::SystemTx<'_>| store::api_key::revoke(&tx.tenant(tenant), id, now);
        elsewhere.write(Durability::Disk, revoke).unwrap();
        assert!(ask().is_none());
    }
}
