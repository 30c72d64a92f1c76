//! Attacks on the authorization endpoint: requests that would send a code where it must not go, or make one that anybody
//! can redeem. Each is tried first as nobody, and where only a page to sign in at comes of it, once more in the person's
//! browser. Every place such a request names leads to the listener, so that whatever is sent there is seen.

use super::authorize::{Said, Visited, as_nobody};
use super::listener::Returned;
use super::notes::{Notes, Trial};
use super::request::Asked;
use super::sign_in::Session;
use super::web::{printable, without_query};

/// A host of its own that browsers take for this machine (RFC 6761, 6.3).
const ATTACKER: &str = "attacker.localhost";
/// Where a client may go that is not on this machine, as far as the server knows: browsers take it for this one, too.
const ELSEWHERE: &str = "client.localhost/callback";

/// A redirect URI that was never registered.
#[derive(Clone, Debug)]
struct Trick {
    /// The rule that it breaks.
    id: &'static str,
    /// The URI.
    uri: String,
}

/// The tricks with the redirect URI `registered`, which leads to this machine.
fn tricks(registered: &str) -> Vec<Trick> {
    let (origin, path) = super::discovery::split(registered).unwrap_or_default();
    let authority = origin.trim_start_matches("http://");
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let trick = |id, uri| Trick { id, uri };
    vec![
        trick("redirect-host", format!("http://{ATTACKER}:{port}{path}")),
        trick("redirect-userinfo", format!("http://{authority}@{ATTACKER}:{port}{path}")),
        trick("redirect-scheme", format!("https://{authority}{path}")),
        trick("redirect-path", format!("{registered}/attacker")),
        trick("redirect-dots", format!("{registered}/../attacker")),
        trick("redirect-query", format!("{registered}?attacker=1")),
        trick("redirect-fragment", format!("{registered}#attacker")),
    ]
}

/// Tries all of them.
pub async fn attack(session: &mut Session, notes: &mut Notes) {
    for trick in tricks(&session.authorization.redirect_uri()) {
        let asked = session.asked().with("redirect_uri", Some(&trick.uri));
        let verdict = probe(session, &asked, &|place| place.is_trick(&trick.uri)).await;
        notes.note(trick.id, verdict);
    }
    port(session, notes).await;
    let unknown = session.asked().with("client_id", Some("nobody-registered-this"));
    let own = session.authorization.redirect_uri();
    let verdict = probe(session, &unknown, &|place| place.is_at(&own)).await;
    notes.note("authorize-unknown-client", verdict);
    let plain = session.asked();
    let plain = plain.clone().with("code_challenge", Some(&plain.verifier));
    let plain = plain.with("code_challenge_method", Some("plain"));
    let verdict = probe(session, &plain, &|place| place.has("code")).await;
    notes.note("authorize-plain", verdict);
    let bare = session.asked().with("code_challenge", None).with("code_challenge_method", None);
    let verdict = probe(session, &bare, &|place| place.has("code")).await;
    notes.note("authorize-no-challenge", verdict);
    let implicit = session.asked().with("response_type", Some("token"));
    let verdict = probe(session, &implicit, &|place| place.has("access_token")).await;
    notes.note("authorize-implicit", verdict);
}

/// The port of a client that is not on this machine: the listener's, which is seen to be called by TLS.
async fn port(session: &mut Session, notes: &mut Notes) {
    const ID: &str = "redirect-port";
    let (host, path) = ELSEWHERE.split_once('/').unwrap_or_default();
    let client = match session.another_client(&format!("https://{ELSEWHERE}")).await {
        Ok(client) => client,
        Err(why) => return notes.skip(ID, why),
    };
    let other = format!("https://{host}:{}/{path}", session.authorization.port());
    let asked = Asked::new(&client, &other, session.resource.as_deref(), session.scope.as_deref());
    let verdict = probe(session, &asked, &|place| place.is_at(&other)).await;
    notes.note(ID, verdict);
}

fn url(session: &Session, asked: &Asked) -> String {
    asked.url(session.endpoint("authorization_endpoint").unwrap_or_default())
}

/// Where a browser was sent.
enum Place<'a> {
    /// By this URL, as nobody.
    Location(&'a str),
    /// To the listener.
    Listener(&'a Returned),
}

impl Place<'_> {
    /// Whether it is the unregistered `uri`, rather than the registered one it was made of.
    fn is_trick(&self, uri: &str) -> bool {
        match self {
            Place::Location(location) => {
                location.starts_with(uri) || location.contains(&format!("//{ATTACKER}"))
            }
            // A fragment is not sent: that a code came for a request with one is what is seen.
            Place::Listener(returned) => {
                let host = returned.host.starts_with(ATTACKER);
                let query = returned.get("attacker").is_some();
                let fragment = uri.contains('#') && returned.get("code").is_some();
                returned.tls || host || query || fragment || returned.path.ends_with("/attacker")
            }
        }
    }

    /// Whether it is the registered `uri`, or the listener at all.
    fn is_at(&self, uri: &str) -> bool {
        match self {
            Place::Location(location) => location.starts_with(uri),
            Place::Listener(_) => true,
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Place::Location(location) => {
                let parameters = location.split(['?', '#', '&']).skip(1);
                parameters.filter_map(|pair| pair.split_once('=')).any(|(found, _)| found == name)
            }
            Place::Listener(returned) => returned.get(name).is_some(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Place::Location(location) => without_query(location),
            Place::Listener(Returned { tls: true, .. }) => "this machine, by TLS".to_owned(),
            Place::Listener(returned) => printable(&format!("http://{}{}", returned.host, returned.path)),
        }
    }
}

/// Tries `asked`, which breaks the rule where `breaks` says so of the place that the browser is sent to.
async fn probe(session: &mut Session, asked: &Asked, breaks: &(dyn Fn(&Place<'_>) -> bool + Sync)) -> Trial {
    let url = url(session, asked);
    let own = session.authorization.redirect_uri();
    let said = match as_nobody(&session.web, &url).await {
        Ok(said) => said,
        Err(error) => return Trial::NotExercised(error.public),
    };
    match &said {
        Said::Refusal(answer) => return Trial::Passed(format!("a page: {}", answer.shown())),
        Said::Away(location) => {
            let place = Place::Location(location);
            if breaks(&place) {
                return Trial::Failed(format!("a redirect to {}", place.shown()));
            }
            if location.starts_with(&own) && place.has("error") {
                return Trial::Passed(format!("an error to {}", place.shown()));
            }
        }
        Said::Page(_) => {}
    }
    if let Some(why) = session.authorization.why_not() {
        return Trial::NotExercised(format!("the server showed {}; {why}", said.shown()));
    }
    match session.authorization.visit(&url).await {
        Ok(Visited::Ended) => Trial::Passed("after signing in, a page and no redirect".to_owned()),
        Ok(Visited::Returned(returned)) => {
            let place = Place::Listener(&returned);
            let with = if place.has("code") { "a code" } else { "an answer without a code" };
            let seen = format!("after signing in, {with} to {}", place.shown());
            if breaks(&place) { Trial::Failed(seen) } else { Trial::Passed(seen) }
        }
        Err(error) => Trial::NotExercised(error.public),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "http://127.0.0.1:4000/callback";

    #[test]
    fn each_trick_differs_from_what_is_registered_and_is_seen() {
        for trick in tricks(OWN) {
            assert_ne!(trick.uri, OWN);
            let location =
                format!("{}{}error=x&state=y", trick.uri, if trick.uri.contains('?') { '&' } else { '?' });
            assert!(Place::Location(&location).is_trick(&trick.uri), "{location}");
            assert!(!Place::Location("http://127.0.0.1:4000/callback?error=x").is_trick(&trick.uri));
        }
        assert_eq!(tricks(OWN)[1].uri, "http://127.0.0.1:4000@attacker.localhost:4000/callback");
    }

    #[test]
    fn what_arrives_is_told_from_what_is_registered() {
        let check = |host: &str, path: &str, pairs: &[(&str, &str)], uri: &str, expected: bool| {
            let pairs = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let returned = Returned { tls: false, host: host.into(), path: path.into(), pairs };
            assert_eq!(Place::Listener(&returned).is_trick(uri), expected, "{host}{path}");
        };
        check("127.0.0.1:4000", "/callback", &[("code", "x")], OWN, false);
        check("attacker.localhost:4000", "/callback", &[], OWN, true);
        check("127.0.0.1:4000", "/callback/attacker", &[], OWN, true);
        check("127.0.0.1:4000", "/callback", &[("attacker", "1")], OWN, true);
        check(
            "127.0.0.1:4000",
            "/callback",
            &[("code", "x")],
            "http://127.0.0.1:4000/callback#attacker",
            true,
        );
        check(
            "127.0.0.1:4000",
            "/callback",
            &[("error", "x")],
            "http://127.0.0.1:4000/callback#attacker",
            false,
        );
        let tls = Returned { tls: true, ..Returned::default() };
        assert!(Place::Listener(&tls).is_trick(OWN));
    }
}
