//! The page that asks a person whether an app may connect, and what its form says.
//!
//! Whatever the form says, `oauth::consent` holds it against what the app asked for and what the person may allow.

use std::iter;

use askama::Template;

use super::{Frame, html_for};
use crate::access::Endpoint;
use crate::access::accounts::Visitor;
use crate::error::Result;
use crate::http::form::Form;
use crate::http::respond::{Answer, Refusal};
use crate::http::visit::Visit;
use crate::oauth::consent::{Consent, Decision, KnownBy, Place};
use crate::store::{SystemTx, chatbot};

/// Chatbots of one organisation that the page offers to limit the app to.
const OFFERED_MAX: i64 = 200;

#[derive(Template)]
#[template(path = "consent.html")]
struct Page<'a> {
    frame: Frame<'a>,
    asked: &'a Consent,
    places: Vec<Offered<'a>>,
}

/// An organisation, and the chatbots that the app can be limited to in it.
struct Offered<'a> {
    place: &'a Place,
    chatbots: Vec<(i64, String)>,
}

impl Page<'_> {
    /// Whether the person may allow changes in any of the organisations.
    fn may_write(&self) -> bool {
        self.places.iter().any(|offered| offered.place.can_write)
    }

    /// The organisations in which the person may allow reading alone, while the app asks for more.
    fn reading_places(&self) -> String {
        let places = self.places.iter().filter(|offered| self.asked.write && !offered.place.can_write);
        places.map(|offered| offered.place.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the app could be limited to fewer chatbots than there are.
    fn has_limit(&self) -> bool {
        self.places.iter().any(|offered| offered.chatbots.len() > 1)
    }
}

/// The page for a request. Its form posts `request`, `organisation`, `endpoint`, `write`, `chatbot` and `decision` to
/// `/authorize/decision`.
///
/// # Errors
/// The way to the sign-in page, for whoever is not signed in; those of the store.
pub(in crate::http) fn page<'p>(visit: &'p Visit<'_>, asked: &'p Consent) -> Result<Answer, Refusal> {
    let visitor = visit.member()?;
    let places = visit.asked.site.app.store.read(|tx| {
        let offered = |place: &'p Place| Ok(Offered { place, chatbots: chatbots(tx, visitor, place)? });
        asked.places.iter().map(offered).collect::<Result<Vec<_>>>()
    })?;
    let title = format!("Connect “{}”?", asked.client_name);
    let frame = Frame { title: &title, place: "", visitor: None, csrf: &visit.csrf };
    html_for(&Page { frame, asked, places }, &asked.redirect_origin)
}

fn chatbots(tx: &SystemTx<'_>, visitor: &Visitor, place: &Place) -> Result<Vec<(i64, String)>> {
    let mut memberships = iter::once(&visitor.organisation).chain(&visitor.others);
    let Some(here) = memberships.find(|here| here.slug == place.slug) else { return Ok(Vec::new()) };
    chatbot::names(&tx.tenant(here.tenant), OFFERED_MAX)
}

/// What the form allows; `None` when it does not say so in that very word.
///
/// # Errors
/// 400 when chatbots were ticked, but none of the organisation that was chosen.
pub(in crate::http) fn decision(form: &Form) -> Result<Option<Decision>, Refusal> {
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

/// The chatbots that were ticked in the chosen organisation, each as `slug/number`; `None` when none was ticked in any.
fn limit(form: &Form) -> Result<Option<Vec<i64>>, Refusal> {
    if form.get("chatbot").is_none() {
        return Ok(None);
    }
    let ticked = form.all("chatbot").filter_map(|value| value.split_once('/'));
    let here = ticked.filter(|(slug, _)| Some(*slug) == form.text("organisation"));
    let ids: Vec<i64> = here.filter_map(|(_, id)| id.parse().ok()).collect();
    match ids.is_empty() {
        false => Ok(Some(ids)),
        true => Err(Refusal::new(
            400,
            "invalid",
            "The chatbots you ticked are not of the organisation you chose. Go back and tick some of that one, or none.",
        )),
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
        for elsewhere in ["chatbot=other%2F4", "chatbot=acme%2Fx", "chatbot=4"] {
            let form = format!("decision=allow&organisation=acme&{elsewhere}");
            assert_eq!(decision(&Form::parse(form.as_bytes())).unwrap_err().status, 400, "{elsewhere}");
        }
    }
}
