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
pub mod tokenized_url;

use std::sync::Arc;

use crate::clock::Time;
use crate::error::Result;
use crate::store::{Store, Tenant};

pub use grants::Grants;
pub use reach::{Endpoint, Reach, Signals, reach};
pub use session::{Sessions, expire};

/// What an authenticated request may do, and in whose name.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose data it reaches.
    pub tenant: Tenant,
    /// The credential, for the log and for what is bound to it: `key:3`.
    pub credential: String,
    /// The credential in words, for the history of changes: `API key 3 (Anna's laptop)`.
    pub actor: String,
    /// Whether the credential itself can only read.
    pub read_only: bool,
    /// The chatbots it is limited to: the tools then know those alone. `None` is all of them.
    pub chatbots: Option<Arc<[i64]>>,
    /// Whether visitors' e-mail addresses and phone numbers are masked.
    pub redact: bool,
    /// The API key whose last use should be noted again.
    pub stale_key: Option<i64>,
}

/// The grant that a bearer credential stands for; `None` when it stands for nothing (any more).
///
/// # Errors
/// Those of the store. A text that cannot be a credential costs no query.
pub fn authenticate(store: &Store, bearer: &str, now: Time) -> Result<Option<Grant>> {
    let Some(hash) = api_key::hash_if_well_formed(bearer) else { return Ok(None) };
    let holder = store.peek(|tx| crate::store::api_key::authenticate(tx, &hash, now))?;
    Ok(holder.map(|holder| Grant {
        tenant: holder.tenant,
        credential: format!("key:{}", holder.key),
        actor: format!("API key {} ({})", holder.key, holder.label),
        read_only: holder.read_only,
        chatbots: None,
        redact: holder.redact,
        stale_key: holder.stale.then_some(holder.key),
    }))
}
