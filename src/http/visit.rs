//! What a handler outside MCP gets: the request with its body read, and of a browser who looks at it.
//!
//! A browser is known by a cookie that only we can have made. Whoever is not signed in has one too, so that the form
//! of the sign-in page is bound to it like every other: each form carries a value signed for its browser, and what a
//! foreign page makes the browser send does not.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use hyper::Method;
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;

use super::Site;
use super::form::{Form, query};
use super::request::is_of_type;
use super::respond::{self, Answer, Refusal};
use crate::access::accounts::Visitor;
use crate::access::roles::Action;
use crate::access::signed::{self, Hash, Purpose};
use crate::clock::Time;
use crate::keyring::Keyring;

/// One request, read.
pub(super) struct Asked<'a> {
    pub site: &'a Arc<Site>,
    pub parts: &'a Parts,
    /// The row's spelling that the path matched, such as `/chatbots/{id}`.
    pub pattern: &'static str,
    /// Where it came from.
    pub address: IpAddr,
    pub body: Bytes,
}

impl Asked<'_> {
    /// What stands in the path at `{name}`; empty when the pattern has none.
    pub(super) fn segment(&self, name: &str) -> &str {
        let pairs = self.pattern.split('/').zip(self.parts.uri.path().split('/'));
        let is_it = |part: &str| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) == Some(name);
        pairs.into_iter().find(|(part, _)| is_it(part)).map_or("", |(_, value)| value)
    }

    /// The number in the path at `{name}`.
    ///
    /// # Errors
    /// The same page as for a thing that is not there.
    pub(super) fn number(&self, name: &str) -> Result<i64, Refusal> {
        self.segment(name).parse().map_err(|_| Refusal::not_found())
    }

    /// What the query string carries.
    pub(super) fn query(&self) -> Form {
        Form::parse(self.parts.uri.query().unwrap_or_default().as_bytes())
    }

    /// The time.
    pub(super) fn now(&self) -> Time {
        self.site.app.clock.now()
    }
}

/// A browser: its cookie.
#[derive(Clone)]
pub(super) struct Browser {
    /// The cookie's value.
    pub secret: String,
    pub hash: Hash,
    /// Whether the answer must set the cookie.
    fresh: bool,
}

impl Browser {
    /// The browser that sends these fields, or a new one.
    fn of(headers: &HeaderMap, site: &Site) -> Browser {
        let name = cookie_name(site);
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let known = pairs.find_map(|(found, value)| {
            let hash =
                (found == name).then(|| signed::verify(&site.app.keyring, Purpose::Browser, value))??;
            Some(Browser { secret: value.to_owned(), hash, fresh: false })
        });
        known.unwrap_or_else(|| {
            let (secret, hash) = signed::generate(&site.app.keyring, Purpose::Browser);
            Browser { secret, hash, fresh: true }
        })
    }

    /// What the forms of this browser carry.
    fn csrf(&self, keyring: &Keyring) -> String {
        let signature = keyring.sign("csrf", &[&self.hash]);
        format!("{}.{}", signature.kid, BASE64URL_NOPAD.encode(&signature.tag))
    }

    fn holds(&self, keyring: &Keyring, csrf: &str) -> bool {
        let Some((kid, tag)) = csrf.split_once('.') else { return false };
        let tag = BASE64URL_NOPAD.decode(tag.as_bytes()).unwrap_or_default();
        tag.len() == 32 && keyring.verify("csrf", kid, &[&self.hash], &tag)
    }
}

/// `__Host-` keeps the cookie from other ports and hosts (RFC 6265bis, section 4.1.3.2); it needs TLS.
fn cookie_name(site: &Site) -> &'static str {
    if site.is_https() { "__Host-sid" } else { "sid" }
}

/// The field that makes the browser keep `secret`, or forget it when it is empty.
pub(super) fn cookie(site: &Site, secret: &str) -> String {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let age = if secret.is_empty() { "; Max-Age=0" } else { "" };
    format!("{}={secret}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", cookie_name(site))
}

/// A request for a page, or by one.
pub(super) struct Visit<'a> {
    pub asked: Asked<'a>,
    pub browser: Browser,
    /// Who is signed in.
    visitor: Option<Visitor>,
    /// What a form posted.
    pub form: Form,
    /// What the forms of the answer must carry.
    pub csrf: String,
}

impl<'a> Visit<'a> {
    /// Recognises the browser and, of a POST, that a page of ours sent it.
    ///
    /// # Errors
    /// 403 for a form that another site sent or that is not this browser's; 415 for a body that is no form.
    pub(super) fn of(asked: Asked<'a>) -> Result<Visit<'a>, Refusal> {
        let (site, headers) = (asked.site, &asked.parts.headers);
        let browser = Browser::of(headers, site);
        let mut form = Form::default();
        if asked.parts.method == Method::POST {
            check_sender(headers, site)?;
            form = posted(&asked)?;
            if browser.fresh || !browser.holds(&site.app.keyring, form.get("csrf").unwrap_or_default()) {
                return Err(Refusal::new(
                    403,
                    "stale_form",
                    "This form is no longer valid: it was opened before you signed in or out, or cookies are blocked. Go back, reload the page and try again.",
                ));
            }
        }
        let visitor = match browser.fresh {
            true => None,
            false => site.accounts.visitor(&browser.secret)?,
        };
        let csrf = browser.csrf(&site.app.keyring);
        Ok(Visit { asked, browser, visitor, form, csrf })
    }

    /// Who is signed in, if anyone.
    pub(super) fn visitor(&self) -> Option<&Visitor> {
        self.visitor.as_ref()
    }

    /// Who is signed in.
    ///
    /// # Errors
    /// The way to the sign-in page and back.
    pub(super) fn member(&self) -> Result<&Visitor, Refusal> {
        self.visitor().ok_or_else(|| self.to_sign_in(false))
    }

    /// Who is signed in, if their role may do `action`.
    ///
    /// # Errors
    /// As [`Visit::member`]; 403 for another role.
    pub(super) fn may(&self, action: Action) -> Result<&Visitor, Refusal> {
        let visitor = self.member()?;
        visitor.demand(action)?;
        Ok(visitor)
    }

    /// Who is signed in, if they gave their password a short while ago: for what makes new credentials.
    ///
    /// # Errors
    /// As [`Visit::may`]; the way to the sign-in page when it was longer ago.
    pub(super) fn recently(&self, action: Action) -> Result<&Visitor, Refusal> {
        let visitor = self.may(action)?;
        match visitor.is_fresh(self.asked.now()) {
            true => Ok(visitor),
            false => Err(self.to_sign_in(true)),
        }
    }

    /// The way to the sign-in page and back to this page; of a form, back to the page that has it.
    pub(super) fn to_sign_in(&self, again: bool) -> Refusal {
        let uri = &self.asked.parts.uri;
        let target = match self.asked.parts.method == Method::POST {
            true => uri.path(),
            false => uri.path_and_query().map_or("/", |target| target.as_str()),
        };
        let mut pairs = vec![("next", target)];
        if again {
            pairs.push(("again", "1"));
        }
        Refusal::see_other(&format!("/login?{}", query(pairs)))
    }

    /// The answer, with this browser's cookie if it has none yet.
    pub(super) fn finish(&self, mut answer: Answer) -> Answer {
        if self.browser.fresh && !answer.headers().contains_key(header::SET_COOKIE) {
            respond::set_cookie(&mut answer, &cookie(self.asked.site, &self.browser.secret));
        }
        answer
    }
}

/// Whether a page of ours made the browser send this. Pages have `Referrer-Policy: no-referrer`, under which their
/// forms carry `Origin: null` (Fetch standard, section 3.2); `Sec-Fetch-Site` tells, and the form's own value decides.
fn check_sender(headers: &HeaderMap, site: &Site) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let ours = match (text("sec-fetch-site"), text("origin")) {
        (Some(relation), _) => relation == "same-origin",
        (None, Some("null") | None) => true,
        (None, Some(origin)) => {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
            origin == site.options.public_origin || origin.split_once("://").map(|(_, host)| host) == host
        }
    };
    match ours {
        true => Ok(()),
        false => Err(Refusal::new(403, "foreign_form", "Another site sent this form; nothing was done.")),
    }
}

fn posted(asked: &Asked<'_>) -> Result<Form, Refusal> {
    match is_of_type(&asked.parts.headers, "application/x-www-form-urlencoded") {
        true => Ok(Form::parse(&asked.body)),
        false => Err(Refusal::new(
            415,
            "unsupported_media_type",
            "Send the form as application/x-www-form-urlencoded.",
        )),
    }
}
