//! MCP Sessions: every call of the log, to be looked through and taken away.

mod asked;
pub(in crate::http) mod export;

use std::collections::HashMap;

use askama::Template;
use hyper::StatusCode;

use super::format::{self, Times};
use super::{Frame, calls, html};
use crate::app;
use crate::error::Result;
use crate::http::respond::{self, Answer, Refusal};
use crate::http::visit::Visit;
use crate::store::TenantTx;
use crate::store::call_log::{self, Counts, Credential, Entry, Found};
use asked::Asked;

/// Calls of a page.
const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "sessions.html")]
struct Page<'a> {
    frame: Frame<'a>,
    times: Times,
    asked: Asked,
    seen: Seen,
    /// Why the search was refused: then no call is shown.
    wrong: String,
}

/// What the page shows, all of one moment.
struct Seen {
    found: Found,
    /// How many calls the filter lets through, where that is known.
    counts: Option<Counts>,
    /// Those to choose from.
    credentials: Vec<Credential>,
    /// Those of the calls, by their name in the log.
    named: HashMap<String, Credential>,
}

/// One page of the log; the form with what is wrong and status 400 for what cannot be asked for.
pub(in crate::http) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let visitor = visit.member()?;
    let organisation = &visitor.organisation;
    let times = Times::new(&organisation.timezone, visit.asked.now());
    let query = visit.asked.query();
    let (asked, wrong) = match Asked::of(&query, &times) {
        Ok(asked) => (asked, String::new()),
        Err(error) => (Asked::typed(&query), error.public.to_string()),
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let store = &visit.asked.site.app.store;
    let seen = store.read(|tx| Seen::look(&tx.tenant(organisation.tenant), &asked))?;
    let page = Page { frame: Frame::new(visit, "MCP Sessions", "/sessions"), times, asked, seen, wrong };
    Ok(respond::with_status(html(&page)?, status))
}

impl Seen {
    fn look(tx: &TenantTx<'_>, asked: &Asked) -> Result<Seen> {
        let found = call_log::page(tx, &asked.filter, asked.before, PAGE)?;
        let mut named = HashMap::new();
        for call in &found.calls {
            if !named.contains_key(&call.credential) {
                named.insert(call.credential.clone(), call_log::credential(tx, &call.credential)?);
            }
        }
        let counts = call_log::counts(tx, &asked.filter)?;
        Ok(Seen { found, counts, credentials: choices(tx, asked)?, named })
    }

    /// Who made a call.
    fn who(&self, call: &Entry) -> Option<&Credential> {
        self.named.get(&call.credential)
    }
}

/// The credentials to choose from, and the one that was chosen even if its row is gone.
fn choices(tx: &TenantTx<'_>, asked: &Asked) -> Result<Vec<Credential>> {
    let mut all = call_log::all_credentials(tx)?;
    if let Some(chosen) = &asked.filter.credential
        && !all.iter().any(|credential| credential.id == *chosen)
    {
        all.push(call_log::credential(tx, chosen)?);
    }
    Ok(all)
}

/// `HTTP`, or `stdio, read-only`.
fn way(call: &Entry) -> String {
    let transport = if call.transport == "http" { "HTTP" } else { call.transport.as_str() };
    match call.endpoint.as_str() {
        "readonly" => format!("{transport}, read-only"),
        _ => transport.to_owned(),
    }
}
