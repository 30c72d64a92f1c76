//! A refresh token for new tokens (OAuth 2.1, section 4.3): rotation, with room for what goes wrong on the way.
//!
//! Clients refresh from two processes at once, or never get the answer. So the generation before the current one
//! serves again while nothing shows that its successor arrived, and for two minutes in any case. What is older was
//! copied: the grant ends.

use super::audience::{Scopes, target};
use super::params::Params;
use super::token::{Tokens, check_target};
use super::{Client, Fault, Server};
use crate::access::signed::{self, Purpose};
use crate::clock::{MINUTE, Time};
use crate::error::Result;
use crate::store::oauth_grant::{self, Family};
use crate::store::oauth_token::{self, Kind, Token};
use crate::store::{Durability, SystemTx, TenantTx};

/// How long after a rotation the token before may come again although its successor was used.
const WINDOW: i64 = 2 * MINUTE;
/// Refresh tokens of one generation.
const SIBLINGS_MAX: i64 = 10;

/// What becomes of a refresh token that is presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// The first of the next generation is made.
    Next,
    /// One more of the current generation is made.
    Sibling,
    /// Nothing is made, and nothing is lost: too many at once is no theft.
    Refused,
    /// It was copied: the grant ends.
    Revoked,
}

/// What becomes of `token` of `family`.
fn judge(family: &Family, token: &Token, now: Time) -> Verdict {
    if token.generation == family.generation {
        return Verdict::Next;
    }
    if token.generation + 1 != family.generation {
        return Verdict::Revoked;
    }
    let in_window = family.rotated_at.is_some_and(|at| now.0 - at.0 <= WINDOW);
    // Not rotated itself, so a sibling was: two go their own ways with tokens of one parent.
    let diverges = !token.used;
    match () {
        () if !in_window && (family.used || diverges) => Verdict::Revoked,
        () if family.siblings >= SIBLINGS_MAX => Verdict::Refused,
        () => Verdict::Sibling,
    }
}

impl Server {
    pub(super) fn refresh(&self, client: &Client, form: &Params) -> Result<Tokens, Fault> {
        let wanted = Scopes::parse(form.get("scope"));
        let target = target(&self.issuer, form.resources())?;
        let text = form.need("refresh_token")?;
        let hash = signed::verify(&self.keyring, Purpose::Refresh, text).ok_or_else(bad_token)?;
        let (minted, now, client_id) = (self.mint(client), self.clock.now(), client.id.clone());
        self.store.write(Durability::Disk, move |tx| {
            let Some((token, family)) = find(tx, &hash, &client_id, now)? else {
                return Ok(Err(bad_token()));
            };
            let write = match check_target(target, &family).and_then(|()| narrowed(wanted, token.write)) {
                Ok(write) => write && family.write,
                Err(fault) => return Ok(Err(fault)),
            };
            let tenant = tx.tenant(token.tenant);
            let Some(generation) = rotate(&tenant, &family, &token, now)? else {
                return Ok(Err(bad_token()));
            };
            oauth_token::note_rotation(tx, &hash, now)?;
            minted.issue(&tenant, &family, generation, [write, token.write], now).map(Ok)
        })?
    }
}

/// Counts what is made for `token`; its generation, or `None` when nothing is.
fn rotate(tx: &TenantTx<'_>, family: &Family, token: &Token, now: Time) -> Result<Option<i64>> {
    match judge(family, token, now) {
        Verdict::Next => {
            oauth_grant::rotate(tx, family.id, now)?;
            Ok(Some(family.generation + 1))
        }
        Verdict::Sibling => {
            oauth_grant::add_sibling(tx, family.id)?;
            Ok(Some(family.generation))
        }
        Verdict::Refused => Ok(None),
        Verdict::Revoked => {
            tracing::warn!(grant = family.id, "an old refresh token came again; its grant was revoked");
            oauth_grant::revoke(tx, family.id, "reuse", now)?;
            Ok(None)
        }
    }
}

/// The token and its grant, if it is this client's and neither has ended.
fn find(tx: &SystemTx<'_>, hash: &[u8; 32], client_id: &str, now: Time) -> Result<Option<(Token, Family)>> {
    let token = oauth_token::find(tx, Kind::Refresh, hash)?.filter(|token| token.expires_at > now);
    let Some(token) = token else { return Ok(None) };
    let family = oauth_grant::family(&tx.tenant(token.tenant), token.grant, now)?;
    Ok(family.filter(|family| family.client_id == client_id).map(|family| (token, family)))
}

/// Whether the new access token can change things: as before unless less is wanted (RFC 6749, section 6).
fn narrowed(wanted: Scopes, write: bool) -> Result<bool, Fault> {
    match wanted {
        Scopes { write: true, .. } if !write => {
            Err(Fault::new("invalid_scope", "mcp:write was not granted; authorize again to ask for it."))
        }
        Scopes { read: true, write: false } => Ok(false),
        _ => Ok(write),
    }
}

/// One text for all that can be wrong with a refresh token, so that none can be guessed at.
fn bad_token() -> Fault {
    Fault::invalid_grant("The refresh token is unknown, expired, revoked, or not of this client.")
}
