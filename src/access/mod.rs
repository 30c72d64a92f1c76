//! Who is asking: a credential becomes a [`Grant`].

pub mod accounts;
pub mod api_key;
mod grants;
pub mod password;
mod reach;
pub mod roles;
mod session;
pub mod signed;
pub mod throttle;
mod token;
pub mod tokenized_url;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::clock::Time;
use crate::error::Result;
use crate::keyring::Keyring;
use crate::store::{self, Store, SystemTx, Tenant};

pub use grants::Grants;
pub use reach::{Endpoint, Reach, Signals, reach};
pub use session::{Sessions, expire};
pub use token::note_first_use;

/// What an authenticated request may do, and in whose name.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose data it reaches.
    pub tenant: Tenant,
    /// The credential, for the log and for what is bound to it: `key:3`, or `grant:5` for every token of that grant.
    pub credential: String,
    /// The credential in words, for the history of changes: `API key 3 (Anna's laptop)`, `Claude for anna@example.com
    /// (app 5)`.
    pub actor: String,
    /// The one endpoint that it is for (RFC 8707); `None`, of an API key, is both.
    pub audience: Option<Endpoint>,
    /// Whether the credential itself can only read.
    pub read_only: bool,
    /// Whether the app could get mcp:write by asking its person again (RFC 6750, section 3.1).
    pub may_widen: bool,
    /// The chatbots it is limited to: the tools then know those alone. `None` is all of them.
    pub chatbots: Option<Arc<[i64]>>,
    /// Whether visitors' e-mail addresses and phone numbers are masked.
    pub redact: bool,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
    /// What should have its last use noted again; [`Grant::to_note`] says so once.
    pub stale: Option<Stale>,
    /// Whether it was said.
    pub noted: Arc<AtomicBool>,
    /// The SHA-256 of an access token that was never used before; [`note_first_use`] notes that it is.
    pub unused: Option<signed::Hash>,
}

impl Grant {
    /// What should have its last use noted, once for all requests that share a grant which was looked up.
    pub fn to_note(&self) -> Option<Stale> {
        self.stale.filter(|_| !self.noted.swap(true, Relaxed))
    }
}

/// A credential whose last use was noted more than a minute ago, by its number in the organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// An API key.
    Key(i64),
    /// What a person allowed an app.
    App(i64),
    /// A tokenized URL.
    Url(i64),
}

impl Stale {
    /// Notes that the credential of `tenant` is used `now`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn note(self, tx: &SystemTx<'_>, tenant: Tenant, now: Time) -> Result<()> {
        let tx = tx.tenant(tenant);
        match self {
            Stale::Key(id) => store::api_key::touch(&tx, id, now),
            Stale::App(id) => store::oauth_grant::touch(&tx, id, now),
            Stale::Url(id) => store::tokenized_url::touch(&tx, id, now),
        }
    }
}

/// The grant that a bearer credential, an API key or an access token, stands for; `None` when it stands for nothing
/// (any more).
///
/// # Errors
/// Those of the store. A text that cannot be a credential, and a token that we did not make, cost no query.
pub fn authenticate(store: &Store, keyring: &Keyring, bearer: &str, now: Time) -> Result<Option<Grant>> {
    if token::is_one(bearer) {
        return token::authenticate(store, keyring, bearer, now);
    }
    let Some(hash) = api_key::hash_if_well_formed(bearer) else { return Ok(None) };
    let holder = store.peek(|tx| store::api_key::authenticate(tx, &hash, now))?;
    Ok(holder.map(|holder| Grant {
        tenant: holder.tenant,
        credential: format!("key:{}", holder.key),
        actor: format!("API key {} ({})", holder.key, holder.label),
        audience: None,
        read_only: holder.read_only,
        may_widen: false,
        chatbots: None,
        redact: holder.redact,
        expires_at: None,
        stale: holder.stale.then_some(Stale::Key(holder.key)),
        noted: Arc::default(),
        unused: None,
    }))
}
