//! A house with organisations and people in it, for the tests of accounts.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use super::{Accounts, Attempt, Outcome, Visitor, invitation_link, reset_link};
use crate::access::password;
use crate::clock::{Clock, Time};
use crate::error::Result;
use crate::keyring::Keyring;
use crate::store::organisation::{self, Plan};
use crate::store::user::{self, Role};
use crate::store::{Durability, Store, SystemTx, Tenant, TenantTx};

/// Everybody's password.
pub const SECRET: &str = "correct horse";
/// Where everybody is.
pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub struct House {
    pub accounts: Accounts,
    pub store: Arc<Store>,
    pub clock: Clock,
    keyring: Arc<Keyring>,
    _folder: tempfile::TempDir,
}

impl House {
    pub fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(Time(1_795_000_000_000));
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let keyring = Arc::new(Keyring::open(folder.path(), clock.now()).unwrap());
        let accounts = Accounts::new(Arc::clone(&store), Arc::clone(&keyring), clock.clone());
        House { accounts, store, clock, keyring, _folder: folder }
    }

    /// The organisation with this slug, made when it is not there.
    pub fn tenant(&self, slug: &str) -> Tenant {
        let (slug, now) = (slug.to_owned(), self.clock.now());
        let made = self.store.write(Durability::Process, move |tx| match organisation::find(tx, &slug)? {
            Some(found) => Ok(found),
            None => organisation::create(tx, &slug, &slug, Plan::Free, now),
        });
        made.unwrap().tenant
    }

    fn write<T: Send + 'static>(
        &self,
        slug: &str,
        job: impl FnOnce(&SystemTx<'_>, &TenantTx<'_>) -> Result<T> + Send + 'static,
    ) -> T {
        let tenant = self.tenant(slug);
        self.store.write(Durability::Process, move |tx| job(tx, &tx.tenant(tenant))).unwrap()
    }

    /// A member who came in long ago, with the password of all; the person's number.
    pub fn member(&self, slug: &str, email: &str, role: Role) -> i64 {
        static HASH: OnceLock<String> = OnceLock::new();
        let hash = HASH.get_or_init(|| password::hash(SECRET).unwrap());
        let (email, now) = (email.to_owned(), self.clock.now());
        self.write(slug, move |tx, here| {
            let user = user::add(here, &email, &email, role, now)?.user;
            user::put_password(tx, user, hash)?;
            user::accept(here, user, now)?;
            Ok(user)
        })
    }

    /// The token of an invitation.
    pub fn invite(&self, slug: &str, email: &str, role: Role) -> String {
        let (email, now, keyring) = (email.to_owned(), self.clock.now(), Arc::clone(&self.keyring));
        let path = self.write(slug, move |_, here| {
            let user = user::add(here, &email, &email, role, now)?.user;
            invitation_link(here, &keyring, user, now)
        });
        path.strip_prefix("/invitation/").unwrap().to_owned()
    }

    /// The token of a link to a new password, as the operator makes it.
    pub fn reset(&self, slug: &str, email: &str) -> String {
        let (email, now, keyring) = (email.to_owned(), self.clock.now(), Arc::clone(&self.keyring));
        let path =
            self.write(slug, move |_, here| reset_link(here, &keyring, user::named(here, &email)?.user, now));
        path.strip_prefix("/reset/").unwrap().to_owned()
    }

    pub fn suspend(&self, slug: &str, suspended: bool) {
        let since = suspended.then_some(self.clock.now());
        self.write(slug, move |tx, here| organisation::set_suspended(tx, here.tenant(), since));
    }

    pub fn remove(&self, slug: &str, user: i64) {
        let now = self.clock.now();
        self.write(slug, move |_, here| user::remove(here, user, now));
    }

    pub fn sign_in(&self, email: &str) -> String {
        let attempt = Attempt { email, password: SECRET, address: HERE };
        match self.accounts.sign_in(attempt, None).unwrap().outcome {
            Outcome::Done(cookie) => cookie,
            other => panic!("{email}: {other:?}"),
        }
    }

    pub fn visitor(&self, cookie: &str) -> Visitor {
        self.accounts.visitor(cookie).unwrap().unwrap()
    }
}
