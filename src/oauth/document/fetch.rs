//! Asks an app's server for its document: a stranger chose the URL, so little is given and little is taken.

use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, USER_AGENT,
};
use hyper::{Request, StatusCode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::super::redirect::{authority_of, split_port};
use super::Options;
use super::address::is_this_machine;
use super::failure::{Blame, Failure};
use crate::client::{self, Client};
use crate::clock::{self, SECOND};
use crate::error::{Error, Kind, Result};

/// Bytes of a document (draft-ietf-oauth-client-id-metadata-document, section 6.6).
pub(super) const MAX_BYTES: usize = 5 * 1024;
/// For the wait for a turn, name, connection, TLS and answer together.
const DEADLINE: Duration = Duration::from_secs(5);
/// Fetches at a time.
const CONCURRENT: usize = 8;
/// Seconds that a document is fresh: at least, unless its server says, at most.
const FRESH: (i64, i64, i64) = (60, 300, 24 * 60 * 60);

/// What fetches documents.
pub(super) struct Fetcher {
    /// For the public internet alone.
    public: Client,
    /// For this machine, in development.
    near: Option<Client>,
    slots: Semaphore,
    deadline: Duration,
}

/// A document as it came.
pub(super) struct Fetched {
    /// Its bytes, at most [`MAX_BYTES`].
    pub(super) body: Bytes,
    /// How long it is fresh, in milliseconds.
    pub(super) fresh_millis: i64,
}

impl Fetcher {
    /// A fetcher.
    ///
    /// # Errors
    /// `Config` when the CA file cannot be read.
    pub(super) fn new(options: &Options) -> Result<Fetcher> {
        let client = |public_only| {
            let ca_file = options.ca_file.clone();
            Client::new(client::Options { ca_file, public_only, connect: DEADLINE, head: DEADLINE })
        };
        Ok(Fetcher {
            public: client(true)?,
            near: options.loopback.then(|| client(false)).transpose()?,
            slots: Semaphore::new(CONCURRENT),
            deadline: DEADLINE,
        })
    }

    /// When a lookup that begins now must be over.
    pub(super) fn deadline(&self) -> Instant {
        Instant::from_std(clock::instant()) + self.deadline
    }

    /// Fetches from `url`, which must have passed the rules of addresses, by `deadline`. No redirect is followed and
    /// nothing sent that tells who asks.
    ///
    /// # Errors
    /// `App` for all that an outage can look like, `Document` for an answer that is too large, `Id` for a host that is
    /// not on the public internet, `Server` when too many fetches are under way.
    pub(super) async fn fetch(&self, url: &str, deadline: Instant) -> Result<Fetched, Failure> {
        let busy = || Failure::new(Blame::Server, format!("{CONCURRENT} other documents are being fetched"));
        let slot = timeout_at(deadline, self.slots.acquire()).await;
        let _slot = slot.map_err(|_| busy())?;
        let slow = || Failure::new(Blame::App, format!("no answer within {} s", self.deadline.as_secs_f32()));
        timeout_at(deadline, self.ask(url)).await.unwrap_or_else(|_| Err(slow()))
    }

    async fn ask(&self, url: &str) -> Result<Fetched, Failure> {
        let answer = self.client(url).send(request(url)?).await.map_err(unreachable)?;
        check_head(answer.status(), answer.headers())?;
        let fresh_millis = freshness(answer.headers());
        let body = answer.into_body().collect(MAX_BYTES).await.map_err(unreachable)?;
        Ok(Fetched { body, fresh_millis })
    }

    fn client(&self, url: &str) -> &Client {
        let host = url.strip_prefix("https://").map(|after| split_port(authority_of(after)).0);
        self.near.as_ref().filter(|_| host.is_some_and(is_this_machine)).unwrap_or(&self.public)
    }
}

fn request(url: &str) -> Result<Request<Bytes>, Failure> {
    let request = Request::get(url)
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "identity")
        .header(USER_AGENT, "chaterimo")
        .body(Bytes::new());
    request.map_err(|error| Failure::new(Blame::Id, error.to_string()))
}

fn unreachable(error: Error) -> Failure {
    let blame = match error.kind {
        Kind::Forbidden | Kind::Invalid => Blame::Id,
        Kind::TooLarge => Blame::Document,
        _ => Blame::App,
    };
    Failure::new(blame, format!("{error:?}"))
}

fn check_head(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    let wrong = |what: String| Err(Failure::new(Blame::App, what));
    if status != StatusCode::OK {
        return wrong(format!("it answered with status {status}"));
    }
    let field = |name| headers.get(name).map(|value| value.to_str().unwrap_or("(not ASCII)").trim());
    if let Some(encoding) =
        field(CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        return wrong(format!("it answered encoded as {encoding:?}"));
    }
    match field(CONTENT_TYPE) {
        Some(kind) if is_json(kind) => Ok(()),
        kind => wrong(format!("it answered as {:?}, which is no JSON", kind.unwrap_or_default())),
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// By `max-age`, within our own bounds (RFC 9111, section 5.2.2.1); what must not be stored is for the least time.
fn freshness(headers: &HeaderMap) -> i64 {
    let (least, usual, most) = FRESH;
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<String> =
        values.flat_map(|value| value.split(',')).map(|part| part.trim().to_ascii_lowercase()).collect();
    let forbidden = directives.iter().any(|part| part == "no-store" || part == "no-cache");
    let age = directives
        .iter()
        .find_map(|part| part.strip_prefix("max-age=")?.trim_matches('"').parse::<i64>().ok());
    let seconds = if forbidden { least } else { age.unwrap_or(usual).clamp(least, most) };
    seconds * SECOND
}

#[cfg(test)]
impl Fetcher {
    /// The same, less patient.
    pub(super) fn within(mut self, deadline: Duration) -> Fetcher {
        self.deadline = deadline;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_fresh_for_a_minute_to_a_day() {
        let check = |fields: &[&str], seconds: i64| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(CACHE_CONTROL, field.parse().unwrap());
            }
            assert_eq!(freshness(&headers), seconds * SECOND, "{fields:?}");
        };
        check(&[], 300);
        check(&["max-age=3600"], 3_600);
        check(&["public, MAX-AGE=\"120\""], 120);
        check(&["public", "max-age=120"], 120);
        check(&["max-age=0"], 60);
        check(&["max-age=-5"], 60);
        check(&["max-age=99999999"], 86_400);
        check(&["max-age=999999999999999999999"], 300);
        check(&["no-store, max-age=3600"], 60);
        check(&["no-cache"], 60);
    }

    #[test]
    fn what_is_json() {
        let check = |kind: &str, expected: bool| assert_eq!(is_json(kind), expected, "{kind}");
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/client-metadata+json", true);
        check("text/html", false);
        check("text/json", false);
        check("application/jsonp", false);
        check("", false);
    }
}
