//! One request on HTTP: who may ask, and which of the exchange's three it is.

use bytes::Bytes;
use chaterimo::http::{Answer, Exchange, Refusal, Style};
use chaterimo::protocol::rpc::MAX_BODY_BYTES;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, Request, Uri};

use super::host::Fixture;

const ENDPOINT: &str = "/mcp";

pub async fn answer(fixture: Fixture, request: Request<Incoming>) -> Answer {
    match route(&fixture, request).await {
        Ok(answer) => answer,
        Err(refusal) => refusal.answer(Style::Rpc, ENDPOINT),
    }
}

async fn route(fixture: &Fixture, request: Request<Incoming>) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    guard(&parts.headers)?;
    if parts.uri.path() != ENDPOINT {
        return Err(Refusal::new(404, "not_found", "There is nothing here but /mcp."));
    }
    let exchange = Exchange { host: fixture, headers: &parts.headers };
    match parts.method {
        Method::POST => {
            Exchange::<Fixture>::check(&parts.headers)?;
            exchange.send(whole(body).await?).await
        }
        Method::GET => exchange.listen(),
        Method::DELETE => exchange.end(),
        _ => Err(Refusal::new(405, "method_not_allowed", "Use POST, GET or DELETE.")),
    }
}

async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(_) => Err(Refusal::new(413, "too_large", "The body has to be whole, and of at most 1 MiB.")),
    }
}

/// Keeps out pages whose name was made to point here (MCP, "Streamable HTTP", security warning).
fn guard(headers: &HeaderMap) -> Result<(), Refusal> {
    if !single(headers, HOST).is_some_and(|host| is_local(&format!("http://{host}"))) {
        return Err(Refusal::new(421, "unknown_host", "Host has to be localhost, 127.0.0.1 or [::1]."));
    }
    if headers.contains_key(ORIGIN) && !single(headers, ORIGIN).is_some_and(is_local) {
        return Err(Refusal::new(403, "origin_not_allowed", "Only pages of this machine may ask."));
    }
    Ok(())
}

fn single(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

fn is_local(origin: &str) -> bool {
    let Ok(uri) = origin.parse::<Uri>() else { return false };
    matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"))
}
