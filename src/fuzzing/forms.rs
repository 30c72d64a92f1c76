//! What apps ask of the authorization server, as queries and forms carry it.

use data_encoding::BASE64;
use hyper::header::HeaderValue;

use crate::access::Endpoint;
use crate::http::form::{Form, query};
use crate::oauth::authorize::{Asked, Request, refusal_url};
use crate::oauth::client::read_basic;
use crate::oauth::params::Params;
use crate::oauth::{AuthMethod, Client, ClientKind, Fault, redirect};

const ISSUER: &str = "https://chat.example.com";

/// Any bytes as a form: it is taken when each parameter stands once and is UTF-8, and goes on unchanged; an
/// authorization request that is taken is within the limits, asks for what the parameters say, and its answer leads
/// to a place that the app registered, with each parameter of the answer once; a Basic credential is what it was
/// made of.
pub fn forms(bytes: &[u8]) {
    let pairs = Form::parse(bytes).pairs().to_vec();
    let written = query(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    assert_eq!(Form::parse(written.as_bytes()).pairs(), pairs, "a POST goes on as a GET");
    let taken = Params::new(pairs.clone());
    let (asked, params) = match taken {
        Ok(params) => (Asked::parse(pairs.clone()), params),
        Err(fault) => {
            assert!(!in_order(&pairs) && fault.code == "invalid_request" && Asked::parse(pairs).is_err());
            return;
        }
    };
    assert!(in_order(&pairs));
    for (name, value) in pairs.iter().filter(|(name, _)| name != "resource") {
        assert_eq!(params.get(name).unwrap_or_default(), value);
    }
    credential(&params);
    if let Ok(asked) = asked {
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= 8_192 && asked.state().is_none_or(|state| state.len() <= 2_048));
        assert!(!asked.client_id().is_empty() && params.get("client_id") == Some(asked.client_id()));
        authorization(&asked, &params);
    }
}

fn in_order(pairs: &[(String, String)]) -> bool {
    let once = |(name, _): &(String, String)| {
        name == "resource" || pairs.iter().filter(|(other, _)| other == name).count() == 1
    };
    pairs.iter().all(|pair| once(pair) && !pair.1.contains('\u{fffd}'))
}

/// The id and secret of the form, as a client sends them in the Authorization field (RFC 6749, section 2.3.1).
fn credential(params: &Params) {
    let (Some(id), secret) = (params.get("client_id"), params.get("client_secret").unwrap_or_default())
    else {
        return;
    };
    read_basic(id);
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let made = format!("Basic {}", BASE64.encode(format!("{}:{}", encode(id), encode(secret)).as_bytes()));
    assert_eq!(read_basic(&made), Some((id.to_owned(), secret.to_owned())));
}

fn authorization(asked: &Asked, params: &Params) {
    let wanted = params.get("redirect_uri");
    let mut registered = vec!["http://localhost/cb", "https://app.example.com/back?a=1"];
    // Whatever may be registered is.
    registered.extend(wanted.filter(|uri| redirect::check(uri).is_ok()));
    let client = client(asked.client_id(), &registered);
    let Ok(uri) = asked.redirect(&client) else {
        let loopback = wanted.is_some_and(|uri| registered.iter().any(|known| redirect::matches(known, uri)));
        return assert!(!loopback, "a redirect URI that is registered");
    };
    assert_eq!(wanted, Some(uri.as_str()));
    let fault = Fault::new("access_denied", "The person said no.");
    let back = refusal_url(ISSUER, &uri, asked.state(), &fault);
    answers(&back, &uri, "error", Some("access_denied"));
    answers(&back, &uri, "error_description", Some("The person said no."));
    answers(&back, &uri, "state", asked.state());
    answers(&back, &uri, "iss", Some(ISSUER));
    match asked.check(ISSUER, client, uri) {
        Ok(request) => says_what_was_asked(&request, params),
        Err(fault) => assert!(fault.description.is_ascii() && !fault.description.contains(['"', '\\'])),
    }
}

fn client(id: &str, registered: &[&str]) -> Client {
    Client {
        id: id.to_owned(),
        kind: ClientKind::Registered,
        name: String::new(),
        redirect_uris: registered.iter().map(|&uri| uri.to_owned()).collect(),
        auth_method: AuthMethod::None,
        secret_hash: None,
        refreshes: true,
        created_at: None,
    }
}

/// Whoever reads the query of the answer finds `name` once, or not at all.
fn answers(url: &str, uri: &str, name: &str, value: Option<&str>) {
    assert!(url.starts_with(uri) && HeaderValue::from_str(url).is_ok() && !url.contains('#'));
    let (_, query) = url.split_once('?').expect("an answer has a query");
    let pairs = form_urlencoded::parse(query.as_bytes());
    let found: Vec<String> =
        pairs.filter(|(found, _)| found == name).map(|(_, value)| value.into_owned()).collect();
    assert!(found.iter().map(String::as_str).eq(value), "{name} in {url}");
}

fn says_what_was_asked(request: &Request, params: &Params) {
    assert_eq!(request.state.as_deref(), params.get("state"));
    assert_eq!(Some(request.challenge.as_str()), params.get("code_challenge"));
    assert_eq!(
        (params.get("code_challenge_method"), params.get("response_type")),
        (Some("S256"), Some("code"))
    );
    assert!(request.challenge.len() == 43 && !request.challenge.contains(['+', '/', '=']));
    let scopes = params.get("scope").unwrap_or_default();
    assert!(!request.write || request.endpoint == Some(Endpoint::Full));
    assert!(!request.write || scopes.split(' ').any(|scope| scope == "mcp:write"));
    for resource in params.resources() {
        let (place, path) = resource
            .split_at(resource.match_indices(['/', '?']).map(|(at, _)| at).nth(2).unwrap_or(resource.len()));
        let place = place.to_ascii_lowercase();
        assert!(place == ISSUER || place == format!("{ISSUER}:443"), "{resource}");
        let path = path.split('?').next().unwrap_or_default();
        let endpoint = match path.strip_suffix('/').unwrap_or(path) {
            "/mcp" => Some(Endpoint::Full),
            "/mcp-readonly" => Some(Endpoint::ReadOnly),
            path => {
                assert_eq!(path, "");
                request.endpoint
            }
        };
        assert_eq!(request.endpoint, endpoint, "{resource}");
    }
}
