//! The opening of a lane, and what is said of one that stays shut.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::bench::{Bench, Calls, limited};
use super::expect::what_came;
use crate::clock;
use crate::error::{Error, Kind, one_line};
use crate::peer::{Dialect, Dialler, End, Exchange, Options, Peer, Target};
use crate::protocol::revision::Revision;

/// Characters that are shown of a body which is no answer.
const MAX_CHARS: usize = 100;

/// Why a lane did not open.
pub(super) enum Shut {
    /// The server does not speak the revision.
    Refused {
        /// The revision.
        asked: Revision,
        /// What was tried and what came of it.
        came: String,
        /// What a process says beside: a sentence, or none.
        aside: String,
    },
    /// Nothing came.
    Silent {
        /// What was asked.
        method: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// What a process says beside: a sentence, or none.
        aside: String,
    },
    /// It cannot be asked, or lets nobody in.
    Error(Error),
}

impl From<Error> for Shut {
    fn from(error: Error) -> Shut {
        Shut::Error(error)
    }
}

impl Shut {
    /// It in words.
    pub(super) fn text(&self) -> String {
        match self {
            Shut::Error(error) => error.public.clone(),
            Shut::Refused { asked, came, aside } => {
                format!("The server does not speak {asked} ({came}).{aside}")
            }
            Shut::Silent { method, waited, aside } => {
                let waited = waited.as_secs();
                format!(
                    "The server did not answer {method} within {waited} s; --timeout waits longer.{aside}"
                )
            }
        }
    }

    /// Whether nothing came.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Shut::Silent { .. })
    }
}

/// What a process printed that is no message, and what it said last on stderr.
async fn aside(peer: &Peer) -> String {
    let printed = peer.printed().map(|line| format!(" It printed {line}, which is no message."));
    let said = peer.last_words().await.map(|words| format!(" It says on stderr:\n{words}"));
    printed.unwrap_or_default() + &said.unwrap_or_default()
}

/// What to tell of lanes of which none opened.
pub(super) fn why(all: Vec<Shut>) -> Error {
    let (mut tried, mut silent, mut beside) = (Vec::new(), Vec::new(), String::new());
    for shut in all {
        match shut {
            Shut::Error(error) => return error,
            Shut::Silent { method, waited, aside } => {
                silent.push(format!("{method} within {} s", waited.as_secs()));
                beside = if aside.is_empty() { beside } else { aside };
            }
            Shut::Refused { asked, came, aside } => {
                tried.push(format!("{asked} ({came})"));
                beside = if aside.is_empty() { beside } else { aside };
            }
        }
    }
    let silence = format!("did not answer {}; --timeout waits longer", silent.join(", nor "));
    let tried = format!("does not speak {}", tried.join(", nor "));
    let text = match (silent.is_empty(), tried.ends_with(' ')) {
        (true, _) => tried,
        (false, true) => silence,
        (false, false) => format!("{tried}, and {silence}"),
    };
    Error::new(Kind::Unavailable, format!("The server {text}.{beside}"))
}

/// Opens a lane.
pub(super) async fn open(dialler: &Dialler, asked: Revision, calls: Arc<Calls>) -> Result<Bench, Shut> {
    let (mut peer, start) = (dialler.dial()?, clock::instant());
    let method = question(asked);
    let opening = if asked.is_modern() {
        peer.speak_modern(asked.as_str(), json!({}));
        peer.ask(method, Value::Null).await
    } else {
        peer.shake_hands(asked.as_str(), json!({})).await
    };
    let waited = clock::since(start);
    if is_silence(&opening) && waited + Duration::from_millis(100) >= longest(dialler.options()) {
        return Err(Shut::Silent { method, waited, aside: aside(&peer).await });
    }
    let came = match &opening {
        Err(error) if peer.is_stdio() => Some(error.public.trim_end_matches('.').to_owned()),
        Err(_) => None,
        Ok(opening) => match opening.status {
            _ if let Some(words) = opening.limit() => return Err(Shut::Error(asked_too_often(&words))),
            Some(status @ (401 | 403)) => return Err(Shut::Error(not_let_in(dialler.options(), status))),
            _ => opening.result().is_none().then(|| came(opening)),
        },
    };
    let refused = async |came: String| {
        let (came, aside) = (format!("{method}: {came}"), aside(&peer).await);
        Shut::Refused { asked, came, aside }
    };
    if let Some(came) = came {
        return Err(refused(came).await);
    }
    let agreed = match peer.dialect() {
        Dialect::Legacy { revision, .. } => revision.clone(),
        _ => asked.to_string(),
    };
    match Revision::parse(&agreed).filter(|agreed| agreed.is_modern() == asked.is_modern()) {
        Some(revision) => Ok(Bench::new(dialler.clone(), peer, revision, opening?, calls)),
        None => {
            let agreed = one_line(&agreed, MAX_CHARS);
            let shut = refused(format!("it agrees on {agreed:?}, which is no revision of that era")).await;
            peer.close(Duration::from_secs(2)).await;
            Err(shut)
        }
    }
}

/// What asks for the revision.
pub(super) fn question(asked: Revision) -> &'static str {
    if asked.is_modern() { "server/discover" } else { "initialize" }
}

/// The longest that the answer to it is waited for.
pub(super) fn longest(options: &Options) -> Duration {
    match options.target {
        Target::Command(_) => options.patience.max(options.first),
        Target::Url(_) => options.patience,
    }
}

fn is_silence(opening: &Result<Exchange, Error>) -> bool {
    match opening {
        Ok(opening) => opening.answer.is_none() && opening.end == End::TimedOut,
        Err(error) => error.kind == Kind::Unavailable,
    }
}

fn asked_too_often(words: &str) -> Error {
    let text = format!(
        "The server does not answer for now: {}. Try again later, or with a credential that may call more often.",
        limited(words)
    );
    Error::new(Kind::TooMany, text)
}

fn not_let_in(options: &Options, status: u16) -> Error {
    let text = match options.has_credential() {
        true => format!("The server refuses the credential it was given (HTTP {status})."),
        false => format!(
            "The server lets nobody in without a credential (HTTP {status}): give one with --header \
             'Authorization: Bearer …', or sign in with --login."
        ),
    };
    Error::new(Kind::Unauthorized, text)
}

/// What came in the place of a result; of what is no JSON-RPC, its beginning.
fn came(opening: &Exchange) -> String {
    match opening.status {
        Some(status @ 300..400) if let Some(to) = opening.header("location") => {
            format!(
                "HTTP {status}, it redirects to {:?}: give that URL if the server is there; a page to log in wants --header \
                 or --login instead",
                one_line(to, MAX_CHARS)
            )
        }
        Some(status) if opening.code().is_none() && !opening.body.is_empty() => {
            let body = String::from_utf8_lossy(&opening.body);
            format!("HTTP {status} {:?}", one_line(&body, MAX_CHARS))
        }
        _ => what_came(opening),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::{serve, whole};
    use hyper::header::{HeaderName, LOCATION};

    #[tokio::test]
    async fn a_server_that_does_not_open_is_told_with_what_came() {
        let check = async |status: u16, body: &'static str, field: Option<&'static str>, wanted: &str| {
            let url = serve(move |_| async move {
                let mut answer = whole(status, "text/html", body);
                answer.headers_mut().extend([(LOCATION, "/sign-in".parse().unwrap())]);
                answer
            })
            .await;
            let mut options = Options::new(Target::Url(url));
            options.headers.extend(field.map(|name| (HeaderName::from_static(name), "x".parse().unwrap())));
            let dialler = Dialler::new(options).unwrap();
            let mut all = Vec::new();
            for asked in [Revision::MODERN, Revision::LAST_LEGACY] {
                all.extend(open(&dialler, asked, Arc::default()).await.err());
            }
            assert_eq!(why(all).public, wanted);
        };
        let nowhere = "The server does not speak 2026-07-28 (server/discover: HTTP 404 \"<p>[1mNot\"), nor 2025-11-25 \
                       (initialize: HTTP 404 \"<p>[1mNot\").";
        check(404, "<p>\u{1b}[1mNot\n", None, nowhere).await;
        let error = "The server does not speak 2026-07-28 (server/discover: HTTP 400 \"{\\\"error\\\":\\\"no\\\"}\"), nor \
                     2025-11-25 (initialize: HTTP 400 \"{\\\"error\\\":\\\"no\\\"}\").";
        check(400, r#"{"error":"no"}"#, None, error).await;
        let to = "HTTP 302, it redirects to \"/sign-in\": give that URL if the server is there; a page to log in wants \
                  --header or --login instead";
        let away = format!(
            "The server does not speak 2026-07-28 (server/discover: {to}), nor 2025-11-25 (initialize: {to})."
        );
        check(302, "", None, &away).await;
        let refused = "The server refuses the credential it was given (HTTP 401).";
        check(401, "", Some("authorization"), refused).await;
        check(401, "", Some("x-api-key"), refused).await;
        let without = "The server lets nobody in without a credential (HTTP 401): give one with --header 'Authorization: \
                       Bearer …', or sign in with --login.";
        let later = "The server does not answer for now: the server limits how often it may be called (HTTP 429). Try again \
                     later, or with a credential that may call more often.";
        check(429, "<p>Slow down", None, later).await;
        check(401, "", None, without).await;
        check(401, "", Some("x-tenant"), without).await;
    }

    #[tokio::test]
    async fn a_process_that_dies_has_its_last_words() {
        let command = ["sh", "-c", "echo 'Error: no module' >&2; seq 3 >&2; exit 1"].map(Into::into).to_vec();
        let dialler = Dialler::new(Options::new(Target::Command(command))).unwrap();
        let shut = open(&dialler, Revision::MODERN, Arc::default()).await.err().unwrap();
        let text = why(vec![shut]).public;
        assert!(text.ends_with("It says on stderr:\n  Error: no module\n  1\n  2\n  3"), "{text}");
    }
}
