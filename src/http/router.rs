//! The table of routes, and what every request meets before its handler.

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

use super::Site;
use super::connection::Pulse;
use super::credential;
use super::mcp::Exchange;
use super::request::{Peer, check_host, check_origin, check_target, client_address};
use super::respond::{self, Answer, Payload, Refusal, Style};
use crate::access::Endpoint;
use crate::clock;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever watches the server; even the name it is asked by does not matter, for probes use addresses.
    Probe,
    /// Anyone.
    Public,
    /// Whoever has an API key or a token.
    Bearer,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handler {
    /// The process is up.
    Alive,
    /// Requests can be answered.
    Ready,
    /// A message to MCP.
    Send(Endpoint),
    /// The stream of a legacy session.
    Listen(Endpoint),
    /// The end of a legacy session.
    End(Endpoint),
}

/// One row of the table.
pub(super) struct Route {
    pub method: Method,
    /// The spellings that answer. None is ever redirected to another; the first one is named in logs.
    pub paths: &'static [&'static str],
    pub access: Access,
    pub style: Style,
    pub handler: Handler,
}

const FULL: &[&str] = &["/mcp", "/mcp/"];
const READ_ONLY: &[&str] = &["/mcp-readonly", "/mcp-readonly/"];

const ROUTES: &[Route] = &[
    route(Method::POST, FULL, Access::Bearer, Style::Rpc, Handler::Send(Endpoint::Full)),
    route(Method::GET, FULL, Access::Bearer, Style::Rpc, Handler::Listen(Endpoint::Full)),
    route(Method::DELETE, FULL, Access::Bearer, Style::Rpc, Handler::End(Endpoint::Full)),
    route(Method::POST, READ_ONLY, Access::Bearer, Style::Rpc, Handler::Send(Endpoint::ReadOnly)),
    route(Method::GET, READ_ONLY, Access::Bearer, Style::Rpc, Handler::Listen(Endpoint::ReadOnly)),
    route(Method::DELETE, READ_ONLY, Access::Bearer, Style::Rpc, Handler::End(Endpoint::ReadOnly)),
    route(Method::GET, &["/healthz"], Access::Probe, Style::Plain, Handler::Alive),
    route(Method::GET, &["/readyz"], Access::Probe, Style::Plain, Handler::Ready),
];

const fn route(
    method: Method,
    paths: &'static [&'static str],
    access: Access,
    style: Style,
    handler: Handler,
) -> Route {
    Route { method, paths, access, style, handler }
}

/// Where a request goes.
#[derive(Clone, Copy)]
enum Found {
    Route(&'static Route),
    /// The path is there, but not with this method; the first of its rows.
    Method(&'static Route),
    Nothing,
}

fn find(method: &Method, path: &str) -> Found {
    let mut found = Found::Nothing;
    for route in ROUTES.iter().filter(|route| route.paths.contains(&path)) {
        let head = *method == Method::HEAD && route.method == Method::GET && route.access != Access::Bearer;
        if route.method == *method || head {
            return Found::Route(route);
        }
        found = Found::Method(route);
    }
    found
}

impl Found {
    fn route(self) -> Option<&'static Route> {
        match self {
            Found::Route(route) | Found::Method(route) => Some(route),
            Found::Nothing => None,
        }
    }

    /// What stands for the path in logs; the path itself may hold a secret.
    fn template(self) -> &'static str {
        self.route().and_then(|route| route.paths.first()).copied().unwrap_or("(none)")
    }
}

/// Answers one request, whatever happens on the way.
pub(super) async fn serve(
    site: Arc<Site>,
    peer: Peer,
    pulse: Arc<Pulse>,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let start = clock::instant();
    let (parts, body) = request.into_parts();
    let found = find(&parts.method, parts.uri.path());
    let outcome = unbroken(answer(&site, &pulse, found, &parts, body, start)).await;
    let style = found.route().map_or(Style::Plain, |route| route.style);
    let mut answer = outcome.unwrap_or_else(|refusal| refusal.answer(style));
    cross_origin(&site, found, &parts, answer.headers_mut());
    if matches!(answer.body(), Payload::Whole(_)) {
        pulse.answered();
    }
    log(&site, peer, &parts, found, answer.status(), start);
    Ok(answer)
}

/// Runs `work`; a panic in it becomes an answer, and the server lives on.
async fn unbroken(work: impl Future<Output = Result<Answer, Refusal>>) -> Result<Answer, Refusal> {
    let mut work = pin!(work);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(broken(panic.as_ref()))))
    })
    .await
}

fn broken(panic: &(dyn Any + Send)) -> Refusal {
    let id = HEXLOWER.encode(&clock::random::<8>());
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)");
    tracing::error!(%id, panic = text, "a request met a fault of the server");
    Refusal::new(500, "internal", format!("The server met a fault of its own; its log names it as {id}."))
}

async fn answer(
    site: &Arc<Site>,
    pulse: &Arc<Pulse>,
    found: Found,
    parts: &Parts,
    body: Incoming,
    arrived: Instant,
) -> Result<Answer, Refusal> {
    check_target(parts, &site.options)?;
    let access = found.route().map_or(Access::Public, |route| route.access);
    if access != Access::Probe {
        check_host(parts, &site.options)?;
    }
    if access == Access::Bearer {
        check_origin(parts, &site.options)?;
    }
    if parts.method == Method::OPTIONS {
        match found.route() {
            Some(route) => return Ok(preflight(&allowed(route), &parts.headers)),
            None if is_public_document(parts.uri.path()) => return Ok(preflight("GET", &parts.headers)),
            None => {}
        }
    }
    let grant = match access {
        Access::Bearer => Some(credential::authenticate(site, &parts.headers)?),
        Access::Probe | Access::Public => None,
    };
    let Found::Route(route) = found else { return Err(no_such(found, &parts.method)) };
    let exchange =
        |endpoint, grant| Exchange { site, pulse, endpoint, grant, headers: &parts.headers, arrived };
    match (route.handler, grant) {
        (Handler::Send(endpoint), Some(grant)) => exchange(endpoint, grant).send(body).await,
        (Handler::Listen(endpoint), Some(grant)) => exchange(endpoint, grant).listen(),
        (Handler::End(endpoint), Some(grant)) => exchange(endpoint, grant).end(),
        (Handler::Ready, _) => ready(site),
        (Handler::Alive | Handler::Send(_) | Handler::Listen(_) | Handler::End(_), _) => {
            Ok(respond::json(StatusCode::OK, "{\"status\":\"ok\"}"))
        }
    }
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
    Refusal::new(405, "method_not_allowed", format!("{method} is not served here; {allow} is."))
        .with(header::ALLOW, &allow)
}

/// The methods of a path, for `Allow`.
fn allowed(route: &Route) -> String {
    let rows = ROUTES.iter().filter(|other| other.paths == route.paths);
    let methods: Vec<&str> = rows.map(|row| row.method.as_str()).collect();
    methods.join(", ")
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

fn cross_origin(site: &Site, found: Found, parts: &Parts, headers: &mut HeaderMap) {
    if found.route().is_none_or(|route| route.access == Access::Public) {
        if is_public_document(parts.uri.path()) {
            respond::allow_all_origins(headers);
        }
    } else if let Ok(Some(origin)) = check_origin(parts, &site.options) {
        respond::allow_origin(headers, origin);
    }
}

/// One line a request: what went well at DEBUG, so that a busy server can be quiet; what was refused at INFO.
fn log(site: &Site, peer: Peer, parts: &Parts, found: Found, status: StatusCode, start: Instant) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                target: "access",
                client = %client_address(&parts.headers, peer, &site.options),
                method = %parts.method,
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
        let answer = unbroken(async { panic!("at {}", 7) }).await.err().unwrap().answer(Style::Rpc);
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let Payload::Whole(body) = answer.body() else { panic!("a whole body") };
        let body: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(body["error"]["code"], -32603);
        assert!(!body.to_string().contains("at 7"), "{body}");
    }

    #[test]
    fn what_is_protected_says_so() {
        for route in ROUTES {
            let mcp = route.paths.iter().all(|path| path.starts_with("/mcp"));
            assert_eq!(route.access == Access::Bearer, mcp, "{:?}", route.paths);
        }
    }

    #[test]
    fn every_path_has_one_row_a_method() {
        for (index, route) in ROUTES.iter().enumerate() {
            let twin = ROUTES[..index].iter().any(|other| {
                other.method == route.method && other.paths.iter().any(|path| route.paths.contains(path))
            });
            assert!(!twin, "{} {:?} stands twice", route.method, route.paths);
        }
    }
}
