//! Attacks on the code: redeemed with something wrong, and redeemed twice.

use super::notes::{Notes, Trial};
use super::request::{Asked, Client, random};
use super::sign_in::{Session, redemption};
use super::tokens::{Tokens, is_let_in};
use super::web::Answer;
use crate::error::Result;

/// A resource that nobody asked consent for.
const FOREIGN: &str = "https://attacker.example/mcp";
/// Consents at most: a server may end a code with the first wrong attempt, and then each attempt takes a code.
const CODES_MAX: usize = 8;

/// What is wrong with a redemption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Verifier,
    NoVerifier,
    OtherClient,
    RedirectUri,
    Resource,
}

impl Wrong {
    const ALL: [Wrong; 5] =
        [Wrong::Verifier, Wrong::NoVerifier, Wrong::OtherClient, Wrong::RedirectUri, Wrong::Resource];

    fn id(self) -> &'static str {
        match self {
            Wrong::Verifier => "code-wrong-verifier",
            Wrong::NoVerifier => "code-no-verifier",
            Wrong::OtherClient => "code-other-client",
            Wrong::RedirectUri => "code-wrong-redirect",
            Wrong::Resource => "code-wrong-resource",
        }
    }
}

/// Redeems codes wrongly, then one rightly and once more.
pub async fn attack(session: &mut Session, notes: &mut Notes) {
    errors(session, notes).await;
    let mut wanted = Wrong::ALL.to_vec();
    let other = match session.another_client(&session.authorization.redirect_uri()).await {
        Ok(other) => Some(other),
        Err(why) => {
            notes.skip(Wrong::OtherClient.id(), why);
            wanted.retain(|wrong| *wrong != Wrong::OtherClient);
            None
        }
    };
    for _ in 0..CODES_MAX {
        match round(session, &mut wanted, other.as_ref(), notes).await {
            Ok(Some((asked, code, tokens))) => {
                twice(session, &asked, &code, &tokens, notes).await;
                return;
            }
            Ok(None) => {}
            Err(error) => {
                for wrong in wanted {
                    notes.skip(wrong.id(), error.public.clone());
                }
                return notes.skip("code-replay", error.public);
            }
        }
    }
    notes.skip("code-replay", "no code could be redeemed after the attempts before");
}

/// Tries what is `wanted` on one code, until something is taken; then, if nothing was, redeems it rightly. Where that
/// works, the code was good throughout, and each refusal was one; where it does not, the first attempt ended it, and the
/// others stay wanted.
async fn round(
    session: &mut Session,
    wanted: &mut Vec<Wrong>,
    other: Option<&Client>,
    notes: &mut Notes,
) -> Result<Option<(Asked, String, Tokens)>> {
    let (asked, code) = session.code().await?;
    let mut refused = Vec::new();
    while let Some(&wrong) = wanted.get(refused.len()) {
        let answer = attempt(session, wrong, &asked, &code, other).await?;
        if let Some(tokens) = Tokens::read(&answer) {
            notes.note(wrong.id(), taken(session, wrong, &answer, &tokens).await);
            session.end(&tokens).await;
            // What was refused before was refused with a code that was good.
            settle(wanted, &refused, notes);
            wanted.retain(|one| *one != wrong);
            return Ok(None);
        }
        notes.judge("token-error", is_error(&answer), answer.shown());
        refused.push((wrong, answer.shown()));
    }
    let answer =
        session.ask_as(&session.client, &redemption(&asked, &code, session.resource.as_deref())).await?;
    match Tokens::read(&answer) {
        Some(tokens) => {
            settle(wanted, &refused, notes);
            Ok(Some((asked, code, tokens)))
        }
        None => {
            settle(wanted, &refused[..refused.len().min(1)], notes);
            Ok(None)
        }
    }
}

fn settle(wanted: &mut Vec<Wrong>, refused: &[(Wrong, String)], notes: &mut Notes) {
    for (wrong, shown) in refused {
        notes.pass(wrong.id(), shown.clone());
        wanted.retain(|one| one != wrong);
    }
}

async fn attempt(
    session: &Session,
    wrong: Wrong,
    asked: &Asked,
    code: &str,
    other: Option<&Client>,
) -> Result<Answer> {
    let (verifier, elsewhere) = (random(), format!("{}/attacker", asked.redirect_uri));
    let mut pairs = redemption(asked, code, session.resource.as_deref());
    let replacement = match wrong {
        Wrong::Verifier => Some(("code_verifier", &*verifier)),
        Wrong::RedirectUri => Some(("redirect_uri", &*elsewhere)),
        Wrong::Resource => Some(("resource", FOREIGN)),
        Wrong::NoVerifier => {
            pairs.retain(|(name, _)| *name != "code_verifier");
            None
        }
        Wrong::OtherClient => None,
    };
    if let Some((name, value)) = replacement {
        pairs.retain(|(found, _)| *found != name);
        pairs.push((name, value));
    }
    let client = other.filter(|_| wrong == Wrong::OtherClient).unwrap_or(&session.client);
    session.ask_as(client, &pairs).await
}

/// What it means that an attempt was taken. Of another resource the token itself may be for that one, and then this
/// endpoint refuses it.
async fn taken(session: &Session, wrong: Wrong, answer: &Answer, tokens: &Tokens) -> Trial {
    let seen = format!("{}: tokens were given", answer.shown());
    if wrong != Wrong::Resource {
        return Trial::Failed(seen);
    }
    match session.show(&tokens.access).await {
        Ok(answer) if is_let_in(&answer) => {
            Trial::Failed(format!("{seen} for {FOREIGN}, and this endpoint took them: {}", answer.shown()))
        }
        Ok(answer) => {
            Trial::Passed(format!("{seen} for {FOREIGN}, which this endpoint refuses: {}", answer.shown()))
        }
        Err(error) => Trial::NotExercised(error.public),
    }
}

/// The same redemption once more, with tokens of the first alive.
async fn twice(session: &Session, asked: &Asked, code: &str, tokens: &Tokens, notes: &mut Notes) {
    let again = session.ask_as(&session.client, &redemption(asked, code, session.resource.as_deref())).await;
    let again = match again {
        Ok(again) => again,
        Err(error) => return notes.skip("code-replay", error.public),
    };
    let more = Tokens::read(&again);
    notes.judge("code-replay", more.is_none(), again.shown());
    match session.show(&tokens.access).await {
        Ok(answer) => {
            let seen = format!("the token of the first redemption afterwards: {}", answer.shown());
            notes.judge("code-replay-ends-grant", !is_let_in(&answer), seen);
        }
        Err(error) => notes.skip("code-replay-ends-grant", error.public),
    }
    for tokens in more.iter().chain([tokens]) {
        session.end(tokens).await;
    }
}

/// What the token endpoint says to requests that are none.
async fn errors(session: &Session, notes: &mut Notes) {
    let unknown = [("grant_type", "urn:example:none"), ("code", "x")];
    if let Ok(answer) = session.ask_as(&session.client, &unknown).await {
        let named = answer.error().as_deref() == Some("unsupported_grant_type");
        notes.judge("token-grant-type", answer.status == 400 && named, answer.shown());
    }
    let asked = session.asked();
    let form = redemption(&asked, "no-code-of-this-server", session.resource.as_deref());
    if let Ok(answer) = session.ask_as(&session.client, &form).await {
        let named = answer.error().as_deref() == Some("invalid_grant");
        notes.judge("code-unknown", answer.status == 400 && named, answer.shown());
    }
}

/// Whether it is an error as OAuth 2.1, 3.2.4, has them.
fn is_error(answer: &Answer) -> bool {
    [400, 401].contains(&answer.status) && answer.is_json() && answer.error().is_some()
}
