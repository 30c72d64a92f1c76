//! The token endpoint: a code for tokens (OAuth 2.1, section 4.1.3). `refresh` has the other half.

use std::net::IpAddr;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

use super::audience::{Target, scope_text, target};
use super::buckets::Buckets;
use super::client::Presented;
use super::params::Params;
use super::{Client, Fault, Server};
use crate::access::signed::{self, Purpose};
use crate::access::throttle::network;
use crate::clock::{DAY, SECOND, Time};
use crate::error::Result;
use crate::store::oauth_code::{self, Code};
use crate::store::oauth_grant::{self, Family};
use crate::store::oauth_token::{self, Kind, NewToken};
use crate::store::{Durability, TenantTx};

/// Attempts with a code that fail to verify, after which one that was not redeemed is no good. Nobody guesses a verifier in
/// so few; who merely saw the code can so much as make its owner begin anew.
const FAILURES_MAX: u32 = 5;

/// Requests of one asker in a minute.
const A_MINUTE: u32 = 60;
/// Seconds after which one that was refused for being too many may come again.
pub const RETRY_SECONDS: u32 = 5;

/// What the token endpoint answers (OAuth 2.1, section 3.2.3).
#[derive(Clone, Debug, Serialize)]
pub struct Tokens {
    /// To be sent with requests.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// Seconds that the access token lives.
    pub expires_in: i64,
    /// To be exchanged for new tokens; none for a client that did not register for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// What was granted, whatever was asked for.
    pub scope: &'static str,
}

/// Tokens to be kept and given out.
pub(super) struct Minted {
    access: (String, signed::Hash),
    refresh: Option<(String, signed::Hash)>,
    lives: Lives,
}

/// How long tokens live.
#[derive(Clone, Copy)]
struct Lives {
    /// Milliseconds of an access token.
    access: i64,
    /// Milliseconds of a refresh token that nobody uses.
    refresh: i64,
}

/// How often the token endpoint may be asked.
pub(super) struct Limits(Buckets<Asker>);

/// Whose requests are counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Asker {
    /// A client, by the hash of what it calls itself, at an address; of IPv6, its /64.
    Client(signed::Hash, IpAddr),
    /// A grant, wherever its requests come from: people behind one address do not use up each other's.
    Grant(i64, i64),
}

impl Default for Limits {
    fn default() -> Limits {
        Limits(Buckets::new(A_MINUTE, f64::from(A_MINUTE) / 60.0))
    }
}

impl Server {
    /// Counts a request to the token or revocation endpoint from `address`, before the client has proved who it is.
    ///
    /// # Errors
    /// `slow_down` (429) for more than 60 in a minute of one client at one address, or of one grant.
    pub fn admit_request(
        &self,
        presented: &Presented<'_>,
        form: &Params,
        address: IpAddr,
    ) -> Result<(), Fault> {
        let refresh = form.get("refresh_token").unwrap_or_default();
        let genuine = signed::verify(&self.keyring, Purpose::Refresh, refresh);
        let token = match genuine {
            Some(hash) => self.store.peek(|tx| oauth_token::find(tx, Kind::Refresh, &hash))?,
            None => None,
        };
        let asker = match token {
            Some(token) => Asker::Grant(token.tenant.key(), token.grant),
            None => {
                let client = presented.id().unwrap_or_default();
                Asker::Client(signed::sha256(&client), network(address, 32))
            }
        };
        match self.requests.0.take(&asker, self.clock.now()) {
            true => Ok(()),
            false => Err(Fault::new("slow_down", "Too many requests; wait some seconds, then try again.")),
        }
    }

    /// What `client`, which proved who it is, gets for the form of a request to the token endpoint.
    ///
    /// # Errors
    /// As OAuth 2.1, section 3.2.4, has them; `temporarily_unavailable` when the store cannot be written to, in which
    /// case nothing was given out.
    pub fn tokens(&self, client: &Client, form: &Params) -> Result<Tokens, Fault> {
        match form.need("grant_type")? {
            "authorization_code" => self.redeem(client, form),
            "refresh_token" => self.refresh(client, form),
            _ => Err(Fault::new(
                "unsupported_grant_type",
                "grant_type must be authorization_code or refresh_token.",
            )),
        }
    }

    fn redeem(&self, client: &Client, form: &Params) -> Result<Tokens, Fault> {
        let code = form.need("code")?;
        let shown = Shown::read(client, form, target(&self.issuer, form.resources())?)?;
        let hash = signed::verify(&self.keyring, Purpose::Code, code).ok_or_else(bad_code)?;
        let (minted, now) = (self.mint(client), self.clock.now());
        let ends = now.plus(i64::from(self.settings.grant_days) * DAY);
        self.store.write(Durability::Disk, move |tx| {
            let Some(code) = oauth_code::find(tx, &hash)? else { return Ok(Err(bad_code())) };
            let tenant = tx.tenant(code.tenant);
            let Some(family) = oauth_grant::family(&tenant, code.grant, now)? else {
                return Ok(Err(bad_code()));
            };
            match shown.judge(&code, &family, now) {
                Verdict::Good => {
                    oauth_code::redeem(tx, &hash, now)?;
                    oauth_grant::begin(&tenant, code.grant, ends)?;
                    let family = Family { expires_at: ends, ..family };
                    minted.issue(&tenant, &family, 0, [family.write; 2], now).map(Ok)
                }
                Verdict::Replayed => {
                    tracing::warn!(grant = code.grant, "a code came twice; its grant was revoked");
                    oauth_grant::revoke(&tenant, code.grant, "replay", now)?;
                    Ok(Err(bad_code()))
                }
                Verdict::Wrong if code.used => Ok(Err(bad_code())),
                Verdict::Wrong => oauth_code::fail(tx, &hash).map(|()| Err(bad_code())),
                Verdict::Fault(fault) => Ok(Err(fault)),
            }
        })?
    }

    /// Fresh tokens that nobody has yet.
    pub(super) fn mint(&self, client: &Client) -> Minted {
        Minted {
            access: signed::generate(&self.keyring, Purpose::Access),
            refresh: client.refreshes.then(|| signed::generate(&self.keyring, Purpose::Refresh)),
            lives: Lives {
                access: i64::from(self.settings.access_seconds) * SECOND,
                refresh: i64::from(self.settings.refresh_idle_days) * DAY,
            },
        }
    }
}

impl Minted {
    /// Keeps the tokens as `family`'s, of rotation `generation`; `write` says whether the access token and the refresh
    /// token can change things.
    pub(super) fn issue(
        self,
        tx: &TenantTx<'_>,
        family: &Family,
        generation: i64,
        write: [bool; 2],
        now: Time,
    ) -> Result<Tokens> {
        let ends = |life: i64| now.plus(life).min(family.expires_at);
        let (access, hash) = self.access;
        let [write, refresh_write] = write;
        let expires_at = ends(self.lives.access);
        let token = NewToken { hash, kind: Kind::Access, generation, write, expires_at };
        oauth_token::create(tx, family.id, &token, now)?;
        if let Some((_, hash)) = self.refresh {
            let expires_at = ends(self.lives.refresh);
            let (kind, write) = (Kind::Refresh, refresh_write);
            oauth_token::create(tx, family.id, &NewToken { hash, kind, generation, write, expires_at }, now)?;
        }
        Ok(Tokens {
            access_token: access,
            token_type: "Bearer",
            expires_in: (expires_at.0 - now.0) / SECOND,
            refresh_token: self.refresh.map(|(text, _)| text),
            scope: scope_text(write),
        })
    }
}

/// What whoever presents a code shows with it.
struct Shown {
    client_id: String,
    redirect_uri: Option<String>,
    /// SHA-256 of the verifier, in base64url.
    challenge: String,
    target: Target,
}

/// What becomes of a code that is presented.
enum Verdict {
    Good,
    /// All is right, but it was redeemed before: two have code and verifier (OAuth 2.1, section 4.1.3). However much was
    /// tried with the code since, for else the first of the two could hide from the second.
    Replayed,
    /// Something does not match, or it is too late. That revokes nothing, for then whoever sees a code could end what it
    /// stands for; and it leaves the code as good as it was, up to [`FAILURES_MAX`] times.
    Wrong,
    Fault(Fault),
}

impl Shown {
    fn read(client: &Client, form: &Params, target: Target) -> Result<Shown, Fault> {
        let verifier = form.need("code_verifier")?;
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
            return Err(Fault::invalid_request(
                "code_verifier must be 43 to 128 letters, digits and - . _ ~ (RFC 7636).",
            ));
        }
        Ok(Shown {
            client_id: client.id.clone(),
            redirect_uri: form.get("redirect_uri").map(str::to_owned),
            challenge: BASE64URL_NOPAD.encode(&signed::sha256(verifier)),
            target,
        })
    }

    fn judge(&self, code: &Code, family: &Family, now: Time) -> Verdict {
        let redirect = self.redirect_uri.as_deref().is_none_or(|uri| uri == code.redirect_uri);
        let ours = self.client_id == family.client_id
            && redirect
            && signed::same(self.challenge.as_bytes(), code.challenge.as_bytes());
        match () {
            () if !ours => Verdict::Wrong,
            () if code.used => Verdict::Replayed,
            () if code.failures >= FAILURES_MAX || code.expires_at <= now => Verdict::Wrong,
            () => match check_target(self.target, family) {
                Ok(()) => Verdict::Good,
                Err(fault) => Verdict::Fault(fault),
            },
        }
    }
}

/// Whether the resource of a request to the token endpoint is that of the grant, or left out.
pub(super) fn check_target(target: Target, family: &Family) -> Result<(), Fault> {
    match target {
        Target::One(endpoint) if endpoint.as_str() != family.endpoint => {
            Err(Fault::new("invalid_target", "resource is not the one that was authorized."))
        }
        _ => Ok(()),
    }
}

/// One text for all that can be wrong with a code, so that none can be guessed at.
fn bad_code() -> Fault {
    Fault::invalid_grant("The code is unknown, expired, used before, or not for this client and verifier.")
}
