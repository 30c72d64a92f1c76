//! What every request meets before its handler.

use std::any::Any;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use data_encoding::HEXLOWER;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use tokio::task::block_in_place;

use super::Site;
use super::bearer::{Bearer, Proof, wants_read_only};
use super::connection::Pulse;
use super::credential;
use super::limits::read_body;
use super::mcp::Exchange;
use super::request::{Peer, check_host, check_origin, check_target, client_address};
use super::respond::{self, Answer, Late, Payload, Refusal, Style};
use super::routes::{Access, FORM_BYTES, Found, Handler, Route, allowed};
use super::tokenized::{self, Holder, Token};
use super::visit::{Asked, Visit};
use crate::access::{Endpoint, Grant};
use crate::clock;
use crate::error::without_secrets;

/// Answers one request, whatever happens on the way.
pub(super) async fn serve(
    site: Arc<Site>,
    peer: Peer,
    pulse: Arc<Pulse>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let start = clock::instant();
    let (parts, body) = request.into_parts();
    let found = Found::new(&parts.method, parts.uri.path());
    let (found, holder) = guarded(|| tokenized::admit(&site, found, &parts, peer))
        .unwrap_or_else(|refusal| (Found::Nothing, Err(refusal)));
    let arrival = Arrival { site: &site, pulse: &pulse, parts: &parts, peer, at: start };
    let outcome = unbroken(arrival.answer(found, holder, body)).await;
    let style = style(found, &parts);
    let mut answer = outcome.unwrap_or_else(|refusal| refusal.answer(style, found.template()));
    add_fields(&site, found, &parts, style, answer.headers_mut());
    if let Some(Late(time)) = answer.extensions_mut().remove() {
        tokio::time::sleep(time).await;
    }
    if matches!(answer.body(), Payload::Whole(_)) {
        pulse.answered();
    }
    log(&site, peer, &parts, found, answer.status(), start);
    Ok(answer)
}

/// How a refusal is written: for what people look for with a browser, as a page.
fn style(found: Found, parts: &Parts) -> Style {
    let by_browser = || {
        let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.contains("text/html")) && !is_public_document(parts.uri.path())
    };
    match found.route() {
        Some(route) => route.style,
        None if by_browser() => Style::Page,
        None => Style::Plain,
    }
}

/// Runs `work`; a panic in it becomes an answer, and the server lives on.
async fn unbroken(work: impl Future<Output = Result<Answer, Refusal>>) -> Result<Answer, Refusal> {
    let mut work = pin!(work);
    poll_fn(|cx| guarded(|| work.as_mut().poll(cx)).unwrap_or_else(|refusal| Poll::Ready(Err(refusal)))).await
}

/// What `job` comes to; of a panic, what is answered.
fn guarded<T>(job: impl FnOnce() -> T) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(job)).map_err(|panic| broken(panic.as_ref()))
}

fn broken(panic: &(dyn Any + Send)) -> Refusal {
    let id = HEXLOWER.encode(&clock::random::<8>());
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)");
    tracing::error!(%id, panic = %without_secrets(text), "a request met a fault of the server");
    Refusal::new(500, "internal", format!("The server met a fault of its own; its log names it as {id}."))
}

/// A request that has come, its body aside.
struct Arrival<'a> {
    site: &'a Arc<Site>,
    pulse: &'a Arc<Pulse>,
    parts: &'a Parts,
    peer: Peer,
    at: Instant,
}

impl<'a> Arrival<'a> {
    async fn answer(
        &self,
        found: Found,
        holder: Result<Option<Holder>, Refusal>,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        let Arrival { site, parts, .. } = *self;
        check_target(parts, &site.options)?;
        let access = found.route().map_or(Access::Public, |route| route.access);
        if access != Access::Probe {
            check_host(parts, &site.options)?;
        }
        let holder = holder?;
        if matches!(access, Access::Bearer | Access::Url) {
            check_origin(parts, &site.options)?;
        }
        if parts.method == Method::OPTIONS && access != Access::Url {
            match found.route() {
                Some(route) => return Ok(preflight(&allowed(route), &parts.headers)),
                None if is_public_document(parts.uri.path()) => return Ok(preflight("GET", &parts.headers)),
                None => {}
            }
        }
        let (token, grant) = match (access, holder) {
            (Access::Bearer, _) => (None, Some(authenticate(site, found, parts)?)),
            (_, holder) => holder.map(|Holder { token, grant }| (token, grant)).unzip(),
        };
        match (found, grant) {
            (Found::Route(route, path), Some(grant)) => {
                // A token is no part of the path that is told of.
                let path = if token.is_some() { "/mcp" } else { path };
                self.call(route.handler, path, grant, token, body).await
            }
            (Found::Route(route, pattern), None) => self.show(route, pattern, body).await,
            (_, _) => Err(no_such(found, &parts.method)),
        }
    }

    /// What an MCP endpoint answers.
    async fn call(
        &self,
        handler: Handler,
        path: &'static str,
        grant: Arc<Grant>,
        token: Option<Token>,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        let (Handler::Send(endpoint) | Handler::Listen(endpoint) | Handler::End(endpoint)) = handler else {
            return Err(no_such(Found::Nothing, &self.parts.method));
        };
        let Arrival { site, pulse, parts, at: arrived, .. } = *self;
        let field = || parts.headers.get(header::AUTHORIZATION).cloned();
        let proof = token.map_or_else(|| Proof::Field(field()), Proof::Path);
        let read_only = wants_read_only(&parts.headers);
        let (site, pulse) = (Arc::clone(site), Arc::clone(pulse));
        let bearer = Bearer { site, pulse, endpoint, path, grant, proof, read_only, arrived };
        let exchange = Exchange { host: &bearer, headers: &parts.headers };
        match handler {
            Handler::Listen(_) => exchange.listen(),
            Handler::End(_) => exchange.end(),
            _ => {
                Exchange::<Bearer>::check(&parts.headers)?;
                let limits = &self.site.options.limits;
                let read = read_body(body, limits, limits.body_bytes).await;
                exchange.send(read.map_err(|fault| fault.refusal(limits.body_bytes))?).await
            }
        }
    }

    /// What everything else answers.
    async fn show(
        &self,
        route: &'static Route,
        pattern: &'static str,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        match route.handler {
            Handler::Open(handler) => {
                let asked = self.read(pattern, body).await?;
                self.site.wait_for(|| handler(&asked))
            }
            Handler::Page(handler) => {
                let asked = self.read(pattern, body).await?;
                // A page may wait for a password to be hashed, for its turn first: no worker may wait that long.
                block_in_place(|| visit(asked, route.access == Access::Member, handler))
            }
            Handler::Ready => ready(self.site),
            Handler::Alive => Ok(respond::json(StatusCode::OK, "{\"status\":\"ok\"}")),
            Handler::Send(_) | Handler::Listen(_) | Handler::End(_) => {
                Err(no_such(Found::Nothing, &self.parts.method))
            }
        }
    }

    /// The request with its body.
    async fn read(&self, pattern: &'static str, body: Incoming) -> Result<Asked<'a>, Refusal> {
        let Arrival { site, parts, peer, .. } = *self;
        let read = read_body(body, &site.options.limits, FORM_BYTES).await;
        let body = read.map_err(|fault| fault.refusal(FORM_BYTES))?;
        let address = client_address(&parts.headers, peer, &site.options);
        Ok(Asked { site, parts, pattern, address, body })
    }
}

/// Shows a page, or does what one of its forms says.
fn visit(
    asked: Asked<'_>,
    members_only: bool,
    handler: fn(&Visit<'_>) -> Result<Answer, Refusal>,
) -> Result<Answer, Refusal> {
    let visit = Visit::of(asked)?;
    if members_only {
        visit.member()?;
    }
    handler(&visit).map(|answer| visit.finish(answer))
}

/// Who asks an endpoint.
fn authenticate(site: &Site, found: Found, parts: &Parts) -> Result<Arc<Grant>, Refusal> {
    let endpoint = match found.route().map(|route| route.handler) {
        Some(Handler::Send(endpoint) | Handler::Listen(endpoint) | Handler::End(endpoint)) => endpoint,
        _ => Endpoint::Full,
    };
    let grant = credential::authenticate(site, &parts.headers, endpoint, parts.uri.path())?;
    if grant.unused.is_some() {
        site.wait_for(|| site.app.note_first_use(&grant));
    }
    Ok(grant)
}

fn ready(site: &Site) -> Result<Answer, Refusal> {
    if site.stop.is_stopping() {
        return Err(Refusal::new(503, "stopping", "The server is about to stop."));
    }
    site.wait_for(|| site.app.store.ping()).map_err(|error| {
        tracing::error!(?error, "the database does not answer");
        Refusal::new(503, "unavailable", "The database does not answer; the server's log says why.")
    })?;
    Ok(respond::json(StatusCode::OK, "{\"status\":\"ready\"}"))
}

fn no_such(found: Found, method: &Method) -> Refusal {
    let Found::Method(route) = found else {
        return Refusal::new(
            404,
            "not_found",
            "There is nothing at this path; MCP is served at /mcp and /mcp-readonly.",
        );
    };
    let allow = allowed(route);
    if route.style == Style::Page && *method == Method::GET {
        let text = "This address takes what a form sends; by itself it has nothing to show. Go on from here:";
        return Refusal::new(405, "method_not_allowed", text).with(header::ALLOW, &allow);
    }
    Refusal::new(405, "method_not_allowed", format!("{} is not served here; {allow} is.", named(method)))
        .with(header::ALLOW, &allow)
}

/// The method as one may say it; what somebody made up may hold a secret, as the path may.
fn named(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::PATCH,
        Method::TRACE,
        Method::CONNECT,
    ];
    if known.contains(method) { method.as_str() } else { "(another method)" }
}

/// Answers a page that asks whether it may ask (Fetch standard, section 3.2.2). The fields it names are allowed as
/// they are: `Mcp-Param-*` has no fixed names.
fn preflight(methods: &str, asked: &HeaderMap) -> Answer {
    let mut answer = respond::empty(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    let allow = HeaderValue::from_str(methods).unwrap_or(HeaderValue::from_static("GET"));
    headers.insert(header::ALLOW, allow.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow);
    if let Some(names) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    answer
}

/// Whether a page of any origin may look here: clients in browsers look for metadata in several places, and must be
/// able to read that there is none.
fn is_public_document(path: &str) -> bool {
    path.contains("/.well-known/")
}

/// The fields that depend on where a request went.
fn add_fields(site: &Site, found: Found, parts: &Parts, style: Style, headers: &mut HeaderMap) {
    cross_origin(site, found, parts, headers);
    if found.route().is_some_and(|route| route.access == Access::Url) {
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if style == Style::Page && site.is_https() {
        // RFC 6797.
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

fn cross_origin(site: &Site, found: Found, parts: &Parts, headers: &mut HeaderMap) {
    match found.route().map(|route| route.access) {
        None if is_public_document(parts.uri.path()) => respond::allow_all_origins(headers),
        Some(Access::Open) => respond::allow_all_origins(headers),
        Some(Access::Bearer | Access::Probe) => {
            if let Ok(Some(origin)) = check_origin(parts, &site.options) {
                respond::allow_origin(headers, origin);
            }
        }
        _ => {}
    }
}

/// One line a request: what went well at DEBUG, so that a busy server can be quiet; what was refused at INFO.
fn log(site: &Site, peer: Peer, parts: &Parts, found: Found, status: StatusCode, start: Instant) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "access",
                client = %client_address(&parts.headers, peer, &site.options),
                method = named(&parts.method),
                route = found.template(),
                status = status.as_u16(),
                micros = u64::try_from(clock::since(start).as_micros()).unwrap_or(u64::MAX),
            )
        };
    }
    match status.as_u16() {
        500.. => line!(warn),
        400.. => line!(info),
        _ => line!(debug),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_answer() {
        let answer = unbroken(async { panic!("at {}", 7) }).await.err().unwrap().answer(Style::Rpc, "");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let Payload::Whole(body) = answer.body() else { panic!("a whole body") };
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body["error"]["code"], -32603);
        assert!(!body.to_string().contains("at 7"), "{body}");
        let refusal = guarded(|| -> () { panic!("before there is a future") }).unwrap_err();
        assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
