//! Attacks on the refresh token: one that was rotated away, one that was revoked.

use super::notes::Notes;
use super::sign_in::Session;
use super::tokens::{self, Tokens, is_let_in};
use super::web::Answer;
use crate::error::Result;

/// Refreshes, comes back with an old token, and revokes.
pub async fn attack(session: &mut Session, notes: &mut Notes) {
    let alive = rotation(session, notes).await;
    revocation(session, alive, notes).await;
}

impl Session {
    async fn refresh(&self, refresh: &str) -> Result<Answer> {
        let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", refresh)];
        pairs.extend(self.resource.as_deref().map(|resource| ("resource", resource)));
        self.ask_as(&self.client, &pairs).await
    }

    async fn revoke(&self, endpoint: &str, token: &str, hint: &str) -> Result<Answer> {
        let pairs = [("token", token), ("token_type_hint", hint)];
        self.alive.forget(token);
        tokens::ask(&self.web, endpoint, &self.client, &pairs).await
    }

    /// Ends whatever was given and not ended yet, as far as the server lets us.
    pub(super) async fn end_all(&self) {
        let Some(endpoint) = self.endpoint("revocation_endpoint") else { return };
        for (hint, token) in self.alive.all() {
            if self.revoke(endpoint, &token, hint).await.is_err() {
                break;
            }
        }
    }

    /// Ends tokens that are needed no more, as far as the server lets us.
    pub(super) async fn end(&self, tokens: &Tokens) {
        let Some(endpoint) = self.endpoint("revocation_endpoint") else { return };
        if let Some(refresh) = &tokens.refresh {
            let _ = self.revoke(endpoint, refresh, "refresh_token").await;
        }
        let _ = self.revoke(endpoint, &tokens.access, "access_token").await;
    }
}

const ROTATION: [&str; 3] = ["refresh-rotated", "refresh-replay", "refresh-replay-ends-grant"];

/// Refreshes twice, then shows the first token again: by then nobody can be waiting for its answer. The tokens that are
/// alive afterwards.
async fn rotation(session: &mut Session, notes: &mut Notes) -> Option<Tokens> {
    let skip = |notes: &mut Notes, why: &str| {
        for id in ROTATION {
            notes.skip(id, why);
        }
    };
    let Some(first) = session.tokens.refresh.clone() else {
        skip(notes, "no refresh token was given");
        return Some(session.tokens.clone());
    };
    let mut all = vec![Tokens { refresh: Some(first), ..session.tokens.clone() }];
    for _ in 0..2 {
        let refresh = all.last().and_then(|tokens| tokens.refresh.clone()).unwrap_or_default();
        let answer = session.refresh(&refresh).await;
        let next = answer.as_ref().ok().and_then(Tokens::read);
        let Some(next) = next else {
            let why = answer.map_or_else(|error| error.public, |answer| answer.shown());
            skip(notes, &format!("a refresh token that ought to be good was refused: {why}"));
            return None;
        };
        all.push(Tokens { refresh: next.refresh.clone().or(Some(refresh)), ..next });
    }
    let [first, .., last] = &all[..] else { return None };
    session.tokens = last.clone();
    let rotated = first.refresh != last.refresh;
    match (&session.client.secret, rotated) {
        (Some(_), false) => {
            notes.skip("refresh-rotated", "the client has a secret, to which tokens may be bound instead")
        }
        _ => notes.judge(
            "refresh-rotated",
            rotated,
            if rotated { "each answer has a new one" } else { "the same again" },
        ),
    }
    if !rotated {
        notes.skip("refresh-replay", "refresh tokens are not rotated");
        notes.skip("refresh-replay-ends-grant", "refresh tokens are not rotated");
        return Some(last.clone());
    }
    replay(session, first, last, notes).await
}

/// Shows the token `first`, two rotations old. `last` if it is still alive.
async fn replay(session: &Session, first: &Tokens, last: &Tokens, notes: &mut Notes) -> Option<Tokens> {
    let answer = session.refresh(first.refresh.as_deref().unwrap_or_default()).await.ok()?;
    let stolen = Tokens::read(&answer);
    notes.judge("refresh-replay", stolen.is_none(), answer.shown());
    if let Some(stolen) = &stolen {
        session.end(stolen).await;
    }
    let answer = session.refresh(last.refresh.as_deref().unwrap_or_default()).await.ok()?;
    let seen = format!("the newest refresh token afterwards: {}", answer.shown());
    let alive = Tokens::read(&answer);
    notes.judge("refresh-replay-ends-grant", alive.is_none(), seen);
    alive
}

const REVOCATION: [&str; 4] =
    ["revoke-unknown", "revoke-access", "revoke-refresh", "revoke-refresh-ends-access"];

/// Revokes the tokens that are `alive`, or some of a consent for it.
async fn revocation(session: &mut Session, alive: Option<Tokens>, notes: &mut Notes) {
    let outcome = match session.endpoint("revocation_endpoint").map(str::to_owned) {
        None => Err("the server has no revocation_endpoint".to_owned()),
        Some(endpoint) => {
            let tokens = match alive {
                Some(tokens) => Ok(tokens),
                None => session.grant().await,
            };
            match tokens {
                Ok(tokens) => {
                    revoke_all(session, &endpoint, tokens, notes).await.map_err(|error| error.public)
                }
                Err(error) => Err(error.public),
            }
        }
    };
    let why = outcome.err().unwrap_or_else(|| "no refresh token was given".to_owned());
    for id in REVOCATION {
        if notes.of(id).is_none() {
            notes.skip(id, why.clone());
        }
    }
}

async fn revoke_all(session: &Session, endpoint: &str, tokens: Tokens, notes: &mut Notes) -> Result<()> {
    let answer = session.revoke(endpoint, "no-token-of-this-server", "access_token").await?;
    notes.judge("revoke-unknown", answer.status == 200, answer.shown());
    let mut current = tokens.clone();
    let before = session.show(&tokens.access).await?;
    if is_let_in(&before) {
        let revoked = session.revoke(endpoint, &tokens.access, "access_token").await?;
        let after = session.show(&tokens.access).await?;
        let seen = format!("revocation: {}; the token afterwards: {}", revoked.shown(), after.shown());
        match revoked.error().as_deref() {
            Some("unsupported_token_type") => notes.skip("revoke-access", seen),
            _ => notes.judge("revoke-access", !is_let_in(&after), seen),
        }
    } else {
        notes.skip("revoke-access", format!("the token was not taken before: {}", before.shown()));
    }
    let Some(refresh) = &tokens.refresh else { return Ok(()) };
    let answer = session.refresh(refresh).await?;
    let Some(next) = Tokens::read(&answer) else {
        let why = format!("the grant had ended with the access token: {}", answer.shown());
        notes.skip("revoke-refresh", why.clone());
        notes.skip("revoke-refresh-ends-access", why);
        return Ok(());
    };
    current.access = next.access;
    let refresh = next.refresh.unwrap_or_else(|| refresh.clone());
    let revoked = session.revoke(endpoint, &refresh, "refresh_token").await?;
    let after = session.refresh(&refresh).await?;
    let seen = format!("revocation: {}; the token afterwards: {}", revoked.shown(), after.shown());
    notes.judge("revoke-refresh", Tokens::read(&after).is_none(), seen);
    let after = session.show(&current.access).await?;
    let seen = format!("the access token of the grant afterwards: {}", after.shown());
    notes.judge("revoke-refresh-ends-access", !is_let_in(&after), seen);
    Ok(())
}
