//! The authorization endpoint (OAuth 2.1, section 3.1) and the consent page.

use askama::Template;
use hyper::StatusCode;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use super::super::form::{Form, query};
use super::super::pages::{self, Frame};
use super::super::respond::{self, Answer, Refusal};
use super::super::visit::{Asked as Read, Visit};
use crate::clock::MINUTE;
use crate::oauth::authorize::{self, Asked};
use crate::oauth::consent::Person;
use crate::oauth::document::is_url;
use crate::oauth::{Client, ClientKind, Fault, redirect};

/// How long a password given counts for a request that wants it given again.
const LOGIN_TIME: i64 = 5 * MINUTE;

/// The request of an app, as its person's browser brings it: the consent page, once they are signed in.
pub(in super::super) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let oauth = &visit.asked.site.oauth;
    let asked = Asked::parse(visit.asked.query().pairs().to_vec()).map_err(|fault| on_page(&fault))?;
    let prompt = asked.prompt();
    let Some(visitor) = visit.visitor() else {
        return if prompt.none { silently(visit, &asked) } else { Err(visit.to_sign_in(false)) };
    };
    if prompt.login && visit.asked.now().0 - visitor.authenticated_at.0 > LOGIN_TIME {
        return Err(visit.to_sign_in(true));
    }
    let client = find_client(visit, asked.client_id(), visitor.user)?;
    let redirect_uri = asked.redirect(&client).map_err(|fault| on_page(&fault))?;
    if prompt.none {
        let fault = Fault::new("interaction_required", "The person must be asked.");
        return told(visit, &client, &asked, &redirect_uri, &fault);
    }
    let request = match asked.check(&oauth.issuer, client.clone(), redirect_uri.clone()) {
        Ok(request) => request,
        Err(fault) => return told(visit, &client, &asked, &redirect_uri, &fault),
    };
    let person = Person { session: visitor.session, user: visitor.user };
    let text = oauth.open_request(person, &request)?;
    let consent = oauth.consent(person, &text, Some(&visitor.organisation.slug))?;
    pages::consent::page(visit, &consent, "")
}

/// The same request in the body of a POST (OAuth 2.1, section 3.1): it goes on as a GET, so that signing in on the way
/// brings it back.
pub(in super::super) fn post(read: &Read<'_>) -> Result<Answer, Refusal> {
    let form = Form::parse(&read.body);
    Asked::parse(form.pairs().to_vec()).map_err(|fault| on_page(&fault))?;
    let pairs = form.pairs().iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Ok(respond::see_other(&format!("/authorize?{}", query(pairs))))
}

/// What the person decided: back to the app.
pub(in super::super) fn decide(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let oauth = &visit.asked.site.oauth;
    let visitor = visit.visitor().ok_or_else(|| {
        Refusal::new(403, "signed_out", "You were signed out. Go back to the app and connect it again.")
    })?;
    let person = Person { session: visitor.session, user: visitor.user };
    let request = visit.form.get("request").unwrap_or_default();
    let url = match pages::consent::decision(&visit.form) {
        Ok(Some(decision)) => oauth.allow(person, request, decision)?,
        Ok(None) => oauth.deny(person, request)?,
        Err(wrong) => {
            let consent = oauth.consent(person, request, Some(&visitor.organisation.slug))?;
            let again = pages::consent::page(visit, &consent, &wrong.public)?;
            return Ok(respond::with_status(again, StatusCode::BAD_REQUEST));
        }
    };
    Ok(respond::see_other(&url))
}

#[derive(Template)]
#[template(path = "consent_fault.html")]
struct FaultPage<'a> {
    frame: Frame<'a>,
    client: String,
    fault: &'a Fault,
    host: &'a str,
    back: String,
}

/// A request to go ahead without the person, who is not signed in: an app that the operator entered is told so.
fn silently(visit: &Visit<'_>, asked: &Asked) -> Result<Answer, Refusal> {
    let may_be_entered = !is_url(asked.client_id());
    let client = may_be_entered.then(|| find_client(visit, asked.client_id(), 0)).transpose()?;
    let Some(client) = client.filter(|client| client.kind == ClientKind::Operator) else {
        return Err(visit.to_sign_in(false));
    };
    let redirect_uri = asked.redirect(&client).map_err(|fault| on_page(&fault))?;
    let fault = Fault::new("login_required", "The person is not signed in.");
    told(visit, &client, asked, &redirect_uri, &fault)
}

/// What is wrong, to the app: by a redirect, or on a page that says where it leads and has the link.
fn told(
    visit: &Visit<'_>,
    client: &Client,
    asked: &Asked,
    redirect_uri: &str,
    fault: &Fault,
) -> Result<Answer, Refusal> {
    let issuer = &visit.asked.site.oauth.issuer;
    let back = authorize::refusal_url(issuer, redirect_uri, asked.state(), fault);
    if authorize::is_told_at_once(client) {
        return Ok(respond::see_other(&back));
    }
    let frame = Frame { title: "The app asked wrongly", place: "", visitor: None, csrf: "" };
    let (client, host) = (client.display_name(), redirect::host_of(redirect_uri));
    let answer = pages::html(&FaultPage { frame, client, fault, host, back })?;
    Ok(respond::with_status(answer, StatusCode::BAD_REQUEST))
}

/// Looks the app up; its document may have to be fetched, which takes 5 s at most.
fn find_client(visit: &Visit<'_>, id: &str, user: i64) -> Result<Client, Refusal> {
    let oauth = &visit.asked.site.oauth;
    let found = block_in_place(|| Handle::current().block_on(oauth.find_client(id, user)));
    match found {
        Ok(Some(client)) => Ok(client),
        Ok(None) => Err(Refusal::new(
            400,
            "unknown_client",
            "This server does not know the app: it registered elsewhere, or the server was restored from a backup since. \
             Remove the connection in the app, then add it again; in Claude Code: claude mcp logout, then claude mcp login.",
        )),
        Err(failure) => Err(Refusal::new(failure.status(), "no_client", failure.public())),
    }
}

/// A fault that no app may be told, for it could be anybody's.
fn on_page(fault: &Fault) -> Refusal {
    Refusal::new(
        400,
        "invalid_request",
        format!(
            "The app sent a request that is not in order: {} Go back to the app and connect again; if that does not \
             help, tell its makers.",
            fault.description
        ),
    )
}
