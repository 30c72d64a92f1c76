//! The page that asks a person whether an app may connect, and what its form says.
//!
//! Whatever the form says, `oauth::consent` holds it against what the app asked for and what the person may allow.

use std::iter;

use askama::Template;
use hyper::Method;
use jiff::civil::Date;

use super::{Frame, html_for};
use crate::access::Endpoint;
use crate::access::accounts::Visitor;
use crate::error::{Error, Result};
use crate::http::form::Form;
use crate::http::respond::{Answer, Refusal};
use crate::http::visit::Visit;
use crate::oauth::consent::{Consent, Decision, KnownBy, Organisation};
use crate::store::{SystemTx, chatbot};

/// Chatbots that the page offers to limit the app to, those of all organisations together: all are posted.
const OFFERED_MAX: i64 = 200;

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    frame: Frame<'a>,
    asked: &'a Consent,
    organisations: Vec<Offered<'a>>,
    /// Where another person comes back to once signed in; empty where nobody can.
    here: &'a str,
    /// Why the form was refused.
    wrong: &'a str,
}

/// An organisation, and the chatbots that the app can be limited to in it.
struct Offered<'a> {
    organisation: &'a Organisation,
    chatbots: Vec<(i64, String)>,
}

impl Page<'_> {
    /// Whether the person may allow changes in any of the organisations.
    fn may_write(&self) -> bool {
        self.organisations.iter().any(|offered| offered.organisation.can_write)
    }

    /// The organisations in which the person may allow reading alone, while the app asks for more.
    fn reading_in(&self) -> String {
        let reading =
            self.organisations.iter().filter(|offered| self.asked.write && !offered.organisation.can_write);
        reading.map(|offered| offered.organisation.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The day on which the app registered itself, for people.
    fn date(&self, day: &str) -> String {
        day.parse::<Date>().map_or_else(|_| day.to_owned(), |day| day.strftime("%-d %b %Y").to_string())
    }

    /// Whether the app could be limited to fewer chatbots than there are.
    fn has_limit(&self) -> bool {
        self.organisations.iter().any(|offered| offered.chatbots.len() > 1)
    }
}

/// The page for a request, with why its form was refused before, if it was. The form posts `request`, `organisation`,
/// `endpoint`, `write`, `offered`, `chatbot` and `decision` to `/authorize/decision`.
///
/// # Errors
/// The way to the sign-in page, for whoever is not signed in; those of the store.
pub(in crate::http) fn page<'p>(
    visit: &'p Visit<'_>,
    asked: &'p Consent,
    wrong: &str,
) -> Result<Answer, Refusal> {
    let visitor = visit.member()?;
    let most = OFFERED_MAX / (asked.organisations.len() as i64).max(1);
    let organisations = visit.asked.site.app.store.read(|tx| {
        let offered = |organisation: &'p Organisation| {
            Ok(Offered { organisation, chatbots: chatbots(tx, visitor, &organisation.slug, most)? })
        };
        asked.organisations.iter().map(offered).collect::<Result<Vec<_>>>()
    })?;
    let title = format!("Connect “{}”?", asked.client_name);
    let frame = Frame { title: &title, place: "", visitor: None, csrf: &visit.csrf };
    let uri = &visit.asked.parts.uri;
    let here = uri.path_and_query().map_or("", |here| here.as_str());
    let here = if visit.asked.parts.method == Method::GET { here } else { "" };
    html_for(&Page { frame, asked, organisations, here, wrong }, &asked.redirect_origin)
}

fn chatbots(tx: &SystemTx<'_>, visitor: &Visitor, slug: &str, most: i64) -> Result<Vec<(i64, String)>> {
    let mut memberships = iter::once(&visitor.organisation).chain(&visitor.others);
    let Some(here) = memberships.find(|here| here.slug == slug) else { return Ok(Vec::new()) };
    chatbot::names(&tx.tenant(here.tenant), most)
}

/// What the form allows; `None` when it does not say so in that very word.
///
/// # Errors
/// `Invalid` when no chatbot of the organisation that was chosen is ticked, though some were offered or ticked.
pub(in crate::http) fn decision(form: &Form) -> Result<Option<Decision>> {
    if form.get("decision") != Some("allow") {
        return Ok(None);
    }
    Ok(Some(Decision {
        organisation: form.text("organisation").map(str::to_owned),
        endpoint: form.get("endpoint").and_then(Endpoint::parse),
        write: form.get("write") == Some("1"),
        chatbots: limit(form)?,
    }))
}

/// The chatbots of the chosen organisation that were ticked, each as `slug/number`; `None` without a limit: when all
/// were that the form offered, which `offered` says as `slug/how many`, or when it offered none.
fn limit(form: &Form) -> Result<Option<Vec<i64>>> {
    let organisation = form.text("organisation");
    let here = |value: &'_ str| -> Option<i64> {
        let (slug, number) = value.split_once('/')?;
        if Some(slug) == organisation { number.parse().ok() } else { None }
    };
    let ids: Vec<i64> = form.all("chatbot").filter_map(here).collect();
    match form.all("offered").find_map(here) {
        Some(offered) if ids.len() as i64 == offered => Ok(None),
        None if form.get("chatbot").is_none() => Ok(None),
        _ if ids.is_empty() => Err(Error::invalid(
            "An app without any chatbot is of no use: leave at least one of the organisation ticked, or cancel. All are \
             ticked again below.",
        )),
        _ => Ok(Some(ids)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Option<Decision> {
        decision(&Form::parse(form.as_bytes())).unwrap()
    }

    #[test]
    fn only_the_word_itself_allows() {
        let check = |form: &str| assert!(read(form).is_none(), "{form}");
        check("");
        check("write=1&organisation=acme");
        check("decision=deny&write=1");
        check("decision=Allow");
        check("decision=deny&decision=allow");
        assert!(read("decision=allow").is_some());
    }

    #[test]
    fn what_is_allowed() {
        let check = |form: &str, endpoint: Option<Endpoint>, write: bool, chatbots: Option<Vec<i64>>| {
            let found = read(&format!("decision=allow&organisation=acme&{form}")).unwrap();
            assert_eq!(found.organisation.as_deref(), Some("acme"));
            assert_eq!((found.endpoint, found.write, found.chatbots), (endpoint, write, chatbots), "{form}");
        };
        check("", None, false, None);
        check("write=1", None, true, None);
        check("write=yes", None, false, None);
        check("endpoint=full&write=1", Some(Endpoint::Full), true, None);
        check("endpoint=readonly", Some(Endpoint::ReadOnly), false, None);
        check("chatbot=acme%2F3&chatbot=acme%2F5&chatbot=other%2F4", None, false, Some(vec![3, 5]));
        let offered = "offered=acme%2F2&offered=other%2F1&chatbot=other%2F4&chatbot=acme%2F3";
        check(offered, None, false, Some(vec![3]));
        check(&format!("{offered}&chatbot=acme%2F5"), None, false, None);
        check("offered=acme%2F0&offered=other%2F1&chatbot=other%2F4", None, false, None);
        for elsewhere in [
            "offered=acme%2F2",
            "offered=acme%2F2&chatbot=other%2F4",
            "chatbot=other%2F4",
            "chatbot=acme%2Fx",
            "chatbot=4",
        ] {
            let form = format!("decision=allow&organisation=acme&{elsewhere}");
            assert!(decision(&Form::parse(form.as_bytes())).is_err(), "{elsewhere}");
        }
    }
}
