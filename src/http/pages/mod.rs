//! The pages for people: HTML made on the server, whole without scripts.
//!
//! Templates are in `templates/`; each escapes what it is given. A page's handler gets a [`Visit`] and answers with
//! [`html`]; what its forms do answers with [`respond::see_other`], so that reloading repeats nothing.

pub(super) mod account;
pub(super) mod apps;
pub(super) mod calls;
mod chart;
pub(super) mod chatbots;
pub(super) mod connect;
pub(super) mod consent;
mod diff;
pub(super) mod format;
pub(super) mod keys;
pub(super) mod members;
pub(super) mod overview;
pub(super) mod sessions;
pub(super) mod sign_in;

use askama::Template;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderName, HeaderValue};

use super::respond::{self, Answer, Payload, Refusal};
use super::visit::{Asked, Visit};
use crate::access::accounts::Visitor;
use crate::error::Error;

/// What every page is framed with.
pub(super) struct Frame<'a> {
    /// The page's name, in its title and heading.
    pub title: &'a str,
    /// The path of the entry of the menu it belongs to.
    pub place: &'static str,
    /// Who is signed in.
    pub visitor: Option<&'a Visitor>,
    /// What its forms carry.
    pub csrf: &'a str,
}

/// What the names of assets carry, so that browsers fetch those of this version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The menu: path and name.
const MENU: &[(&str, &str)] = &[
    ("/", "Overview"),
    ("/chatbots", "Chatbots"),
    ("/sessions", "MCP Sessions"),
    ("/apps", "Connected apps"),
    ("/keys", "API Keys"),
    ("/connect", "Connect"),
    ("/members", "Members"),
    ("/account", "Your account"),
];

impl<'a> Frame<'a> {
    /// The frame of the page `title` at the menu's `place`.
    pub(super) fn new(visit: &'a Visit<'_>, title: &'a str, place: &'static str) -> Frame<'a> {
        Frame { title, place, visitor: visit.visitor(), csrf: &visit.csrf }
    }

    pub(super) fn menu(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        MENU.iter().map(|(path, name)| (*path, *name, *path == self.place))
    }
}

/// A page.
///
/// # Errors
/// A fault of the template.
pub(super) fn html(page: &impl Template) -> Result<Answer, Refusal> {
    html_for(page, "")
}

/// A page whose form leads, by a redirect, to `destination`: an origin, or the scheme of an app (`cursor:`). Browsers
/// hold redirects after a form to the policy for forms (CSP level 3, section 6.4.1).
///
/// # Errors
/// A fault of the template.
pub(super) fn html_for(page: &impl Template, destination: &str) -> Result<Answer, Refusal> {
    let text = page.render().map_err(Error::internal)?;
    Ok(document(StatusCode::OK, text, destination))
}

fn document(status: StatusCode, text: String, destination: &str) -> Answer {
    let mut answer = respond::empty(status);
    *answer.body_mut() = Payload::Whole(Bytes::from(text));
    let headers = answer.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    headers.extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy(destination));
    answer
}

/// The policy of a page; one whose destination no field can carry leads nowhere.
fn policy(destination: &str) -> HeaderValue {
    const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; \
                          frame-ancestors 'none'; form-action 'self'";
    match destination {
        "" => HeaderValue::from_static(POLICY),
        _ => HeaderValue::try_from(format!("{POLICY} {destination}"))
            .unwrap_or(HeaderValue::from_static(POLICY)),
    }
}

/// What is said of a form that no page of ours has.
fn unknown_form() -> Error {
    Error::invalid("This form is none of ours: reload the page and try again.")
}

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'a> {
    frame: Frame<'a>,
    text: &'a str,
    /// Where to go on: path and name.
    way: (&'a str, &'a str),
}

/// The page of the menu that a path such as `/apps/{id}/narrow` belongs to; else the first one.
fn page_of(path: &str) -> (&'static str, &'static str) {
    let belongs =
        |page: &str| path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    MENU.iter().copied().find(|(page, _)| belongs(page)).unwrap_or(MENU[0])
}

/// The page that says why a request for `path` (as the table of routes spells it) was refused, and what to do.
pub(super) fn refused(status: StatusCode, code: &str, text: &str, path: &str) -> Answer {
    let title = match status.as_u16() {
        405 => "Nothing to look at here",
        502 if code == "no_client" => "The app cannot be reached",
        503 if code == "no_client" => "The app cannot be looked up now",
        400 if code.ends_with("client") => "The app cannot be connected",
        400 => "That did not work",
        403 => "Not allowed",
        404 => "Nothing here",
        409 => "Something changed meanwhile",
        429 => "Too many attempts",
        500.. => "A fault of ours",
        _ => "That cannot be done",
    };
    let page =
        Refused { frame: Frame { title, place: "", visitor: None, csrf: "" }, text, way: page_of(path) };
    document(status, page.render().unwrap_or_else(|_| text.to_owned()), "")
}

/// The style sheet of all pages.
pub(super) fn style_sheet(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    Ok(asset(asked, "text/css; charset=utf-8", include_str!("../../../assets/style.css")))
}

/// The one script: it shows times in the reader's own zone. Pages are whole without it.
pub(super) fn script(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    Ok(asset(asked, "text/javascript; charset=utf-8", include_str!("../../../assets/times.js")))
}

/// The icon.
pub(super) fn icon(asked: &Asked<'_>) -> Result<Answer, Refusal> {
    Ok(asset(asked, "image/svg+xml", include_str!("../../../assets/icon.svg")))
}

/// A file that stays as it is for as long as this version runs; pages name it with the version.
fn asset(asked: &Asked<'_>, kind: &'static str, text: &'static str) -> Answer {
    const TAG: HeaderValue = HeaderValue::from_static(concat!("\"", env!("CARGO_PKG_VERSION"), "\""));
    let known = asked.parts.headers.get(header::IF_NONE_MATCH).is_some_and(|tag| *tag == TAG);
    let mut answer = respond::empty(if known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    if !known {
        *answer.body_mut() = Payload::Whole(Bytes::from_static(text.as_bytes()));
    }
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(header::ETAG, TAG);
    answer
}

#[cfg(test)]
mod tests {
    use hyper::Method;

    use super::MENU;
    use crate::http::member_paths;

    #[test]
    fn the_menu_leads_to_every_page() {
        let is_page = |path: &&str| !path.contains('{') && !path.contains("export");
        let pages: Vec<_> = member_paths(Method::GET).filter(is_page).collect();
        for (path, name) in MENU {
            assert!(pages.contains(path), "{name}");
        }
        for page in pages {
            assert!(MENU.iter().any(|(path, _)| *path == page), "{page}");
        }
    }
}
