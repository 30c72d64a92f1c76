//! The table of routes.

use hyper::Method;

use super::oauth;
use super::pages;
use super::respond::{Answer, Refusal, Style};
use super::visit::{Asked, Visit};
use crate::access::Endpoint;
use crate::oauth::metadata;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Whoever watches the server; even the name it is asked by does not matter, for probes use addresses.
    Probe,
    /// Anyone; pages of other origins cannot read it.
    Public,
    /// Anyone, and pages of any origin: what clients in browsers need of the authorization server.
    Open,
    /// Whoever has an API key or a token.
    Bearer,
    /// Whoever has a URL with a token in it that holds; to anyone else there is nothing.
    Url,
    /// Anyone with a browser; the page knows whether they are signed in.
    Browser,
    /// Whoever is signed in.
    Member,
}

/// What a route does.
#[derive(Clone, Copy)]
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
    /// A document, or an endpoint of the authorization server.
    Open(fn(&Asked<'_>) -> Result<Answer, Refusal>),
    /// A page, or what one of its forms does.
    Page(fn(&Visit<'_>) -> Result<Answer, Refusal>),
}

/// Bytes of a form, or of a client's registration: consent may carry two hundred ticked chatbots with long names of
/// organisations.
pub(super) const FORM_BYTES: usize = 32 * 1_024;

/// One row of the table.
pub(super) struct Route {
    pub method: Method,
    /// The spellings that answer; `{name}` stands for one segment. None is ever redirected to another; the first one
    /// is named in logs.
    pub paths: &'static [&'static str],
    pub access: Access,
    pub style: Style,
    pub handler: Handler,
}

const FULL: &[&str] = &["/mcp", "/mcp/"];
const READ_ONLY: &[&str] = &["/mcp-readonly", "/mcp-readonly/"];
const RESOURCES: &[&str] = &[
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-protected-resource/mcp",
    "/.well-known/oauth-protected-resource/mcp/",
    "/.well-known/oauth-protected-resource/mcp-readonly",
    "/.well-known/oauth-protected-resource/mcp-readonly/",
];

const FULL_URL: &[&str] = &["/mcp/t/{token}", "/mcp/t/{token}/"];
const READ_ONLY_URL: &[&str] = &["/mcp-readonly/t/{token}", "/mcp-readonly/t/{token}/"];

pub(super) const ROUTES: &[Route] = &[
    route(Method::POST, FULL, Access::Bearer, Style::Rpc, Handler::Send(Endpoint::Full)),
    route(Method::GET, FULL, Access::Bearer, Style::Rpc, Handler::Listen(Endpoint::Full)),
    route(Method::DELETE, FULL, Access::Bearer, Style::Rpc, Handler::End(Endpoint::Full)),
    route(Method::POST, READ_ONLY, Access::Bearer, Style::Rpc, Handler::Send(Endpoint::ReadOnly)),
    route(Method::GET, READ_ONLY, Access::Bearer, Style::Rpc, Handler::Listen(Endpoint::ReadOnly)),
    route(Method::DELETE, READ_ONLY, Access::Bearer, Style::Rpc, Handler::End(Endpoint::ReadOnly)),
    route(Method::POST, FULL_URL, Access::Url, Style::Rpc, Handler::Send(Endpoint::Full)),
    route(Method::GET, FULL_URL, Access::Url, Style::Rpc, Handler::Listen(Endpoint::Full)),
    route(Method::DELETE, FULL_URL, Access::Url, Style::Rpc, Handler::End(Endpoint::Full)),
    route(Method::POST, READ_ONLY_URL, Access::Url, Style::Rpc, Handler::Send(Endpoint::ReadOnly)),
    route(Method::GET, READ_ONLY_URL, Access::Url, Style::Rpc, Handler::Listen(Endpoint::ReadOnly)),
    route(Method::DELETE, READ_ONLY_URL, Access::Url, Style::Rpc, Handler::End(Endpoint::ReadOnly)),
    route(Method::GET, &["/healthz"], Access::Probe, Style::Plain, Handler::Alive),
    route(Method::GET, &["/readyz"], Access::Probe, Style::Plain, Handler::Ready),
    open(Method::GET, &[metadata::SERVER_PATH], oauth::clients::server),
    open(Method::GET, RESOURCES, oauth::clients::resource),
    open(Method::POST, &["/register"], oauth::clients::register),
    open(Method::POST, &["/token"], oauth::tokens::issue),
    open(Method::POST, &["/revoke"], oauth::tokens::revoke),
    browser(Method::GET, &["/authorize"], oauth::authorize::show),
    route(Method::POST, &["/authorize"], Access::Browser, Style::Page, Handler::Open(oauth::authorize::post)),
    browser(Method::POST, &["/authorize/decision"], oauth::authorize::decide),
    public(Method::GET, &["/assets/style.css"], pages::style_sheet),
    public(Method::GET, &["/assets/times.js"], pages::script),
    public(Method::GET, &["/favicon.ico", "/assets/icon.svg"], pages::icon),
    browser(Method::GET, &["/login"], pages::sign_in::show),
    browser(Method::POST, &["/login"], pages::sign_in::sign_in),
    browser(Method::POST, &["/logout"], pages::sign_in::sign_out),
    browser(Method::GET, &["/invitation/{token}"], pages::sign_in::invitation),
    browser(Method::POST, &["/invitation/{token}"], pages::sign_in::take_up),
    browser(Method::GET, &["/reset/{token}"], pages::sign_in::reset),
    browser(Method::POST, &["/reset/{token}"], pages::sign_in::choose),
    member(Method::GET, &["/"], pages::overview::show),
    member(Method::GET, &["/sessions"], pages::sessions::show),
    member(Method::GET, &["/sessions/export.csv"], pages::sessions::export::csv),
    member(Method::GET, &["/sessions/export.jsonl"], pages::sessions::export::jsonl),
    member(Method::GET, &["/chatbots"], pages::chatbots::list),
    member(Method::GET, &["/chatbots/{id}"], pages::chatbots::show),
    member(Method::POST, &["/chatbots/{id}/undo"], pages::chatbots::undo),
    member(Method::POST, &["/chatbots/{id}/train"], pages::chatbots::train),
    member(Method::GET, &["/keys"], pages::keys::list),
    member(Method::POST, &["/keys"], pages::keys::create),
    member(Method::POST, &["/keys/{id}/revoke"], pages::keys::revoke),
    member(Method::GET, &["/apps"], pages::apps::list),
    member(Method::POST, &["/apps/{id}/narrow"], pages::apps::narrow),
    member(Method::POST, &["/apps/{id}/revoke"], pages::apps::revoke),
    member(Method::GET, &["/connect"], pages::connect::show),
    member(Method::GET, &["/account"], pages::account::show),
    member(Method::POST, &["/account"], pages::account::act),
    member(Method::GET, &["/members"], pages::members::list),
    member(Method::POST, &["/members"], pages::members::act),
];

/// A row of the authorization server, for clients wherever they run.
const fn open(
    method: Method,
    paths: &'static [&'static str],
    handler: fn(&Asked<'_>) -> Result<Answer, Refusal>,
) -> Route {
    route(method, paths, Access::Open, Style::OAuth, Handler::Open(handler))
}

/// A row for anyone.
const fn public(
    method: Method,
    paths: &'static [&'static str],
    handler: fn(&Asked<'_>) -> Result<Answer, Refusal>,
) -> Route {
    route(method, paths, Access::Public, Style::Plain, Handler::Open(handler))
}

/// A row for anyone with a browser.
const fn browser(
    method: Method,
    paths: &'static [&'static str],
    handler: fn(&Visit<'_>) -> Result<Answer, Refusal>,
) -> Route {
    route(method, paths, Access::Browser, Style::Page, Handler::Page(handler))
}

/// A row for whoever is signed in.
const fn member(
    method: Method,
    paths: &'static [&'static str],
    handler: fn(&Visit<'_>) -> Result<Answer, Refusal>,
) -> Route {
    route(method, paths, Access::Member, Style::Page, Handler::Page(handler))
}

const fn route(
    method: Method,
    paths: &'static [&'static str],
    access: Access,
    style: Style,
    handler: Handler,
) -> Route {
    Route { method, paths, access, style, handler }
}

/// The paths for whoever is signed in, by this method (GET for pages, POST for what their forms do), as the table spells
/// them: `/chatbots/{id}`.
pub fn member_paths(method: Method) -> impl Iterator<Item = &'static str> {
    let pages = ROUTES.iter().filter(move |route| route.access == Access::Member && route.method == method);
    pages.filter_map(|route| route.paths.first().copied())
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// To this row, whose path was spelt like this.
    Route(&'static Route, &'static str),
    /// The path is there, but not with this method; the first of its rows.
    Method(&'static Route),
    /// Nowhere.
    Nothing,
}

impl Found {
    /// Where a request with this method for this path goes.
    pub(super) fn new(method: &Method, path: &str) -> Found {
        let mut found = Found::Nothing;
        for route in ROUTES {
            let Some(spelling) = route.paths.iter().find(|pattern| matches(pattern, path)) else { continue };
            let is_mcp = matches!(route.access, Access::Bearer | Access::Url);
            let head = *method == Method::HEAD && route.method == Method::GET && !is_mcp;
            if route.method == *method || head {
                return Found::Route(route, spelling);
            }
            if matches!(found, Found::Nothing) {
                found = Found::Method(route);
            }
        }
        found
    }

    /// The row, or the first of the path's rows.
    pub(super) fn route(self) -> Option<&'static Route> {
        match self {
            Found::Route(route, _) | Found::Method(route) => Some(route),
            Found::Nothing => None,
        }
    }

    /// What stands for the path in logs; the path itself may hold a secret.
    pub(super) fn template(self) -> &'static str {
        self.route().and_then(|route| route.paths.first()).copied().unwrap_or("(none)")
    }
}

/// Whether `path` is spelt as `pattern` says; a segment for a name is not empty.
fn matches(pattern: &str, path: &str) -> bool {
    if !pattern.contains('{') {
        return pattern == path;
    }
    let (mut wanted, mut found) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(name), Some(segment)) if name.starts_with('{') && !segment.is_empty() => {}
            (Some(name), Some(segment)) if name == segment => {}
            _ => return false,
        }
    }
}

/// The methods of a path, for `Allow`.
pub(super) fn allowed(route: &Route) -> String {
    let rows = ROUTES.iter().filter(|other| other.paths == route.paths);
    let methods: Vec<&str> = rows.map(|row| row.method.as_str()).collect();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_protected_says_so() {
        for route in ROUTES {
            let mcp = route.paths.iter().all(|path| path.starts_with("/mcp"));
            let tokens = route.paths.iter().all(|path| path.contains("/t/{token}"));
            let expected = if tokens { Access::Url } else { Access::Bearer };
            assert_eq!(route.access == expected, mcp, "{:?}", route.paths);
        }
    }

    #[test]
    fn every_spelling_of_the_metadata_is_served() {
        let served =
            |path: &str| matches!(Found::new(&Method::GET, path), Found::Route(_, found) if found == path);
        for spelling in metadata::Spelling::ALL {
            assert!(served(spelling.path()), "{spelling:?}");
            assert!(served(&format!("{}{}", metadata::RESOURCE_PATH, spelling.path())), "{spelling:?}");
        }
        assert!(served(metadata::RESOURCE_PATH));
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

    #[test]
    fn paths_with_names() {
        let check = |pattern: &str, path: &str, expected: bool| {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        };
        check("/a/{id}", "/a/7", true);
        check("/a/{id}", "/a/", false);
        check("/a/{id}", "/a/7/", false);
        check("/a/{id}/b", "/a/7/b", true);
        check("/a/{id}/b", "/a/7/c", false);
        check("/a", "/a/", false);
    }
}
