//! Revocation by the client (RFC 7009).

use super::params::Params;
use super::{Client, Fault, Server};
use crate::access::signed::{self, Purpose};
use crate::store::oauth_token::{self, Kind};
use crate::store::{Durability, oauth_grant};

impl Server {
    /// Ends the token in `form`, if it is this client's: an access token by itself, a refresh token with its grant and
    /// all its tokens. What is unknown, or another's, is no error (section 2.2).
    ///
    /// # Errors
    /// `invalid_request` without a token; `temporarily_unavailable` when the store fails: the token may live, and the
    /// client must ask again (section 2.2.1).
    pub fn revoke(&self, client: &Client, form: &Params) -> Result<(), Fault> {
        let text = form.need("token")?;
        let is = |purpose| signed::verify(&self.keyring, purpose, text);
        let (kind, hash) = match (is(Purpose::Refresh), is(Purpose::Access)) {
            (Some(hash), _) => (Kind::Refresh, hash),
            (None, Some(hash)) => (Kind::Access, hash),
            (None, None) => return Ok(()),
        };
        let (now, client_id) = (self.clock.now(), client.id.clone());
        let done = self.store.write(Durability::Disk, move |tx| {
            let Some(token) = oauth_token::find(tx, kind, &hash)? else { return Ok(()) };
            let tenant = tx.tenant(token.tenant);
            let family = oauth_grant::family(&tenant, token.grant, now)?;
            if family.is_none_or(|family| family.client_id != client_id) {
                return Ok(());
            }
            match kind {
                Kind::Refresh => oauth_grant::revoke(&tenant, token.grant, "client", now),
                Kind::Access => oauth_token::delete(tx, &hash),
            }
        });
        done.map_err(|error| {
            tracing::error!(?error, "a token could not be revoked");
            Fault::new("temporarily_unavailable", "The token could not be revoked; ask again in a moment.")
        })
    }
}
