//! API keys: who has which, a new one, and the end of one.

use askama::Template;
use hyper::StatusCode;

use super::format::Times;
use super::{Frame, html};
use crate::access::api_key;
use crate::access::roles::Action;
use crate::error::{Error, Kind};
use crate::http::respond::{self, Answer, Refusal};
use crate::http::visit::Visit;
use crate::store::api_key::{self as keys, ApiKey};
use crate::store::{Durability, SystemTx};

#[derive(Template)]
#[template(path = "keys.html")]
struct List<'a> {
    frame: Frame<'a>,
    times: Times,
    keys: Vec<ApiKey>,
    /// Whether this person may make and revoke keys.
    may_manage: bool,
    /// Whether the password was given recently enough to make one.
    is_recent: bool,
    /// What makes the form work once.
    once: String,
    /// What was just done.
    done: &'static str,
    /// Why the form was refused.
    wrong: &'a str,
    /// What the refused form had as its label.
    label: &'a str,
}

/// Every key of the organisation, without its secret.
pub(in crate::http) fn list(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let done = match visit.asked.query().get("done") {
        Some("revoked") => "The key is revoked: whatever used it is refused from now on.",
        _ => "",
    };
    page(visit, done, "", "")
}

fn page(visit: &Visit<'_>, done: &'static str, wrong: &str, label: &str) -> Result<Answer, Refusal> {
    let visitor = visit.may(Action::See)?;
    let mut keys =
        visit.asked.site.app.store.read(|tx| keys::list(&tx.tenant(visitor.organisation.tenant)))?;
    keys.sort_by_key(|key| key.revoked_at.is_some());
    html(&List {
        frame: Frame::new(visit, "API Keys", "/keys"),
        times: Times::new(&visitor.organisation.timezone, visit.asked.now()),
        keys,
        may_manage: visitor.may(Action::ManageKeys),
        is_recent: visitor.is_fresh(visit.asked.now()),
        once: visit.asked.site.once.value(),
        done,
        wrong,
        label,
    })
}

#[derive(Template)]
#[template(path = "key_made.html")]
struct Made<'a> {
    frame: Frame<'a>,
    label: &'a str,
    read_only: bool,
    key: &'a str,
    /// The endpoint the key is for.
    url: String,
}

/// Makes a key of `label` and `reach` (`full` or `readonly`). It stands on the page that answers and nowhere else:
/// there is no redirect, and nothing keeps the page. Reloading it makes no second one.
pub(in crate::http) fn create(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let tenant = visit.recently(Action::ManageKeys)?.organisation.tenant;
    let label = visit.form.text("label").unwrap_or_default();
    // Only the word itself makes a key that changes things.
    let read_only = visit.form.get("reach") != Some("full");
    let (owned, now, site) = (label.to_owned(), visit.asked.now(), visit.asked.site);
    let made = site.once.with(visit.form.get("once").unwrap_or_default(), || {
        let create = move |tx: &SystemTx<'_>| api_key::create(&tx.tenant(tenant), &owned, read_only, now);
        site.app.store.write(Durability::Disk, create)
    });
    let (_, key) = match made {
        Ok(made) => made,
        Err(Error { kind: Kind::Invalid, public, .. }) => {
            return refused(visit, StatusCode::BAD_REQUEST, &public, label);
        }
        Err(Error { kind: Kind::Conflict, public, .. }) => {
            return refused(visit, StatusCode::CONFLICT, &public, "");
        }
        Err(error) => return Err(error.into()),
    };
    let path = if read_only { "mcp-readonly" } else { "mcp" };
    let url = format!("{}/{path}/", site.options.public_origin);
    html(&Made { frame: Frame::new(visit, "Your new key", "/keys"), label, read_only, key: &key, url })
}

/// The list again, with what is wrong about the form.
fn refused(visit: &Visit<'_>, status: StatusCode, wrong: &str, label: &str) -> Result<Answer, Refusal> {
    Ok(respond::with_status(page(visit, "", wrong, label)?, status))
}

/// Revokes a key.
///
/// # Errors
/// The page for what is not there, when there is no such key or it was revoked before.
pub(in crate::http) fn revoke(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let tenant = visit.may(Action::ManageKeys)?.organisation.tenant;
    let (id, now) = (visit.asked.number("id")?, visit.asked.now());
    let revoked = visit
        .asked
        .site
        .app
        .store
        .write(Durability::Disk, move |tx| keys::revoke(&tx.tenant(tenant), id, now));
    match revoked {
        Ok(()) => Ok(respond::see_other("/keys?done=revoked")),
        Err(Error { kind: Kind::NotFound, .. }) => Err(Refusal::not_found()),
        Err(error) => Err(error.into()),
    }
}
