//! Connected apps: what people allowed them, and how to take some or all of it back.

use askama::Template;
use hyper::StatusCode;

use super::format::Times;
use super::{Frame, html};
use crate::access::accounts::Visitor;
use crate::access::roles::Action;
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::http::respond::{self, Answer, Refusal};
use crate::http::visit::Visit;
use crate::oauth::redirect;
use crate::store::oauth_grant::{self, Listed};
use crate::store::user::Role;
use crate::store::{Durability, TenantTx, chatbot};

#[derive(Template)]
#[template(path = "apps.html")]
struct Page<'a> {
    frame: Frame<'a>,
    times: Times,
    apps: Vec<App>,
    /// Whether the apps of everybody are shown.
    of_all: bool,
    /// The URL that apps are given.
    url: String,
    /// What was just done.
    done: &'static str,
    /// The form that was refused.
    wrong: Option<Wrong>,
}

impl Page<'_> {
    /// Why narrowing this app was refused, if it was.
    fn wrong_about(&self, id: &i64) -> Option<&Wrong> {
        self.wrong.as_ref().filter(|wrong| wrong.id == *id)
    }
}

/// A form to narrow an app that was refused.
struct Wrong {
    /// The grant's number.
    id: i64,
    /// Why.
    text: String,
    /// Whether it said to read only.
    read_only: bool,
}

/// A connected app.
struct App {
    grant: Listed,
    /// What it can reach of each chatbot.
    chatbots: Vec<Reached>,
}

/// A chatbot that an app can reach.
struct Reached {
    id: i64,
    name: String,
}

impl App {
    fn can_change(&self) -> bool {
        self.grant.write && !self.grant.read_only && self.grant.endpoint == "full"
    }

    /// Who it is, as far as anybody checked.
    fn identity(&self) -> String {
        match self.grant.client_kind.as_str() {
            "document" => format!("published by {}", redirect::host_of(&self.grant.client_id)),
            "operator" => "entered by the operator of this server".to_owned(),
            _ => "unverified: it registered itself".to_owned(),
        }
    }

    /// Which chatbots it reaches, in words.
    fn reach(&self) -> String {
        let names: Vec<_> = self.chatbots.iter().map(|bot| bot.name.as_str()).collect();
        match &self.grant.chatbots {
            None => "every chatbot".to_owned(),
            Some(_) if names.is_empty() => "no chatbot that is still there".to_owned(),
            Some(_) => names.join(", "),
        }
    }
}

/// The apps that hold a grant: of the whole organisation for whoever may manage them, else one's own.
pub(in crate::http) fn list(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    page(visit, None)
}

fn page(visit: &Visit<'_>, wrong: Option<Wrong>) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    let (site, now) = (visit.asked.site, visit.asked.now());
    let apps = site.app.store.read(|tx| {
        let tx = tx.tenant(visitor.organisation.tenant);
        let bots = bots(&tx)?;
        let grants = oauth_grant::list(&tx, owner(visitor), now)?;
        Ok(grants.into_iter().map(|grant| app(grant, &bots)).collect())
    })?;
    let reads_only = visitor.role() == Role::Analyst || site.app.read_only;
    let endpoint = if reads_only { "mcp-readonly" } else { "mcp" };
    html(&Page {
        frame: Frame::new(visit, "Connected apps", "/apps"),
        times: Times::new(&visitor.organisation.timezone, now),
        apps,
        of_all: owner(visitor).is_none(),
        url: format!("{}/{endpoint}/", site.options.public_origin),
        done: match visit.asked.query().get("done") {
            Some("narrowed") => "Done. The app can do less from its next call on.",
            Some("same") => "Nothing was changed: that is what the app may do already.",
            Some("revoked") => "The app is disconnected: it is refused from its next call on.",
            _ => "",
        },
        wrong,
    })
}

/// Whose apps this person sees and narrows: one's own, or everybody's (`None`).
fn owner(visitor: &Visitor) -> Option<i64> {
    (!visitor.may(Action::ManageApps)).then_some(visitor.user)
}

fn bots(tx: &TenantTx<'_>) -> Result<Vec<(i64, String)>> {
    chatbot::names(tx, oauth_grant::CHATBOTS_MAX as i64)
}

fn app(grant: Listed, bots: &[(i64, String)]) -> App {
    let reaches = |id: &i64| grant.chatbots.as_ref().is_none_or(|ids| ids.contains(id));
    let reached = bots.iter().filter(|(id, _)| reaches(id));
    let chatbots = reached.map(|(id, name)| Reached { id: *id, name: name.clone() }).collect();
    App { grant, chatbots }
}

/// Narrows an app: to reading (`read_only`), to the ticked `chatbot`s; what it may not do already stays so.
///
/// # Errors
/// The list with what is wrong and status 400 when no chatbot is left; the page for what is not there, for a grant that is not there or not theirs.
pub(in crate::http) fn narrow(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    let (id, form, now) = (visit.asked.number("id")?, &visit.form, visit.asked.now());
    let read_only = form.get("read_only") == Some("1");
    let ticked: Vec<i64> = form.all("chatbot").filter_map(|id| id.parse().ok()).collect();
    let (tenant, owner) = (visitor.organisation.tenant, owner(visitor));
    let done = visit.asked.site.app.store.write(Durability::Disk, move |tx| {
        let tx = tx.tenant(tenant);
        let app = app(theirs(&tx, id, owner, now)?, &bots(&tx)?);
        let left: Vec<i64> = app.chatbots.iter().map(|bot| bot.id).filter(|id| ticked.contains(id)).collect();
        if left.is_empty() && !app.chatbots.is_empty() {
            return Err(Error::invalid(
                "An app without any chatbot is of no use: leave at least one ticked, or disconnect the app.",
            ));
        }
        let fewer = (left.len() < app.chatbots.len()).then_some(left);
        if fewer.is_none() && !(read_only && app.can_change()) {
            return Ok("same");
        }
        oauth_grant::narrow(&tx, id, read_only, fewer.as_deref(), now)?;
        Ok("narrowed")
    });
    match done {
        Ok(done) => Ok(respond::see_other(&format!("/apps?done={done}"))),
        Err(Error { kind: Kind::Invalid, public, .. }) => {
            let again = page(visit, Some(Wrong { id, text: public.to_string(), read_only }))?;
            Ok(respond::with_status(again, StatusCode::BAD_REQUEST))
        }
        Err(error) => Err(not_there(error)),
    }
}

/// Ends an app's access.
///
/// # Errors
/// The page for what is not there, for a grant that is not there or not theirs.
pub(in crate::http) fn revoke(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    let (id, now) = (visit.asked.number("id")?, visit.asked.now());
    let (tenant, owner) = (visitor.organisation.tenant, owner(visitor));
    let revoked = visit.asked.site.app.store.write(Durability::Disk, move |tx| {
        let tx = tx.tenant(tenant);
        theirs(&tx, id, owner, now)?;
        oauth_grant::revoke(&tx, id, "member", now)
    });
    revoked.map_err(not_there)?;
    Ok(respond::see_other("/apps?done=revoked"))
}

/// The grant of that number, if it is one of those the person sees.
fn theirs(tx: &TenantTx<'_>, id: i64, owner: Option<i64>, now: Time) -> Result<Listed> {
    let found = oauth_grant::list(tx, owner, now)?.into_iter().find(|grant| grant.id == id);
    found.ok_or_else(|| Error::not_found("There is no such app."))
}

fn not_there(error: Error) -> Refusal {
    match error.kind {
        Kind::NotFound => Refusal::not_found(),
        _ => error.into(),
    }
}
