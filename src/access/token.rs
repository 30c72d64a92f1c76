//! Access tokens (OAuth 2.1, section 5): what the authorization server gave out comes back here.

use std::sync::Arc;

use super::signed::{self, Hash, Purpose};
use super::{Endpoint, Grant, Stale};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::store::oauth_token::{self, Holder};
use crate::store::{Durability, Store};

/// Whether `bearer` looks like an access token.
pub fn is_one(bearer: &str) -> bool {
    bearer.strip_prefix(Purpose::Access.label()).is_some_and(|rest| rest.starts_with('_'))
}

/// The grant that the token stands for. The signature is checked first: what we did not make costs no query.
pub fn authenticate(store: &Store, keyring: &Keyring, token: &str, now: Time) -> Result<Option<Grant>> {
    let Some(hash) = signed::verify(keyring, Purpose::Access, token) else { return Ok(None) };
    let holder = store.peek(|tx| oauth_token::authenticate(tx, &hash, now))?;
    holder.map(|holder| grant(holder, hash)).transpose()
}

fn grant(holder: Holder, hash: Hash) -> Result<Grant> {
    let audience = Endpoint::parse(&holder.endpoint);
    let audience = audience.ok_or_else(|| Error::internal("a grant is for no endpoint that there is"))?;
    let chatbots = holder.chatbots.as_deref().map(serde_json::from_str::<Vec<i64>>);
    let chatbots = chatbots.transpose().map_err(Error::internal)?;
    Ok(Grant {
        tenant: holder.tenant,
        credential: format!("grant:{}", holder.grant),
        actor: format!("{} for {} (app {})", holder.client_name, holder.email, holder.grant),
        audience: Some(audience),
        read_only: !holder.write,
        may_widen: !holder.write && holder.may_write && audience == Endpoint::Full,
        chatbots: chatbots.map(Arc::from),
        redact: holder.redact,
        expires_at: Some(holder.expires_at),
        stale: holder.stale.then_some(Stale::App(holder.grant)),
        noted: Arc::default(),
        unused: (!holder.used).then_some(hash),
    })
}

/// Notes that a token which was never used before is used now: its app has what the last refresh gave out, so what it
/// had before need not serve any longer.
///
/// # Errors
/// Those of a write to the store.
pub fn note_first_use(store: &Store, token: Hash, now: Time) -> Result<()> {
    store.write(Durability::Process, move |tx| oauth_token::note_first_use(tx, &token, now))
}

#[cfg(test)]
mod tests;
