//! The person's decision on an authorization request. It is asked every time: no consent is remembered for the next.

use super::authorize::{self, Request};
use super::{Client, ClientKind, Fault, Server, redirect};
use crate::access::Endpoint;
use crate::access::signed::{self, Hash, Purpose};
use crate::clock::{MINUTE, Time};
use crate::error::{Error, Kind, Result};
use crate::store::oauth_grant::{self, NewGrant};
use crate::store::user::{self, Membership, Role};
use crate::store::{Durability, oauth_code, oauth_request};

/// How long a request waits for its decision.
const REQUEST_TIME: i64 = 10 * MINUTE;
/// How long a code can be redeemed (OAuth 2.1, section 4.1.2, allows ten minutes at most).
const CODE_TIME: i64 = MINUTE;

/// All that the consent page must show, and what its form carries.
#[derive(Clone, Debug)]
pub struct Consent {
    /// What the form sends back as `request`; opaque, for this browser session and one decision.
    pub request: String,
    /// What the app calls itself, fit to show: nobody vouches for it, and the page says so.
    pub client_name: String,
    /// How we came to know it.
    pub known_by: KnownBy,
    /// Where the person is sent back to, for people: `claude.ai`, `localhost:51234`, `cursor:`.
    pub redirect_host: String,
    /// The same for `form-action` of the page's policy: `https://claude.ai`, `cursor:` ([`redirect::policy_source`]).
    pub redirect_origin: String,
    /// Whether every redirect of the app leads to this machine, hence to whatever program listens there.
    pub loopback_only: bool,
    /// The person's address.
    pub email: String,
    /// The organisations that the person can choose among, the present one first; never empty.
    pub organisations: Vec<Organisation>,
    /// The endpoint the app asked for; `None` when the person chooses (`endpoint` of the form: `full` or `readonly`).
    pub endpoint: Option<Endpoint>,
    /// Whether the app asked to change things; the person may leave that out. Of an organisation without `can_write`, no.
    pub write: bool,
}

/// An organisation in whose name the person can allow something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// What the form sends back as `organisation`.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Whether the person may allow changes there; an analyst may not.
    pub can_write: bool,
}

/// How we know an app, which is how far its name is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// By a document at this host, which answers for it.
    Document(String),
    /// It registered itself, on this day (`2026-11-22`); anybody can.
    Registered(String),
    /// The operator of this server entered it.
    Operator,
}

/// What a person allows.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The organisation's slug; `None` where there is but one.
    pub organisation: Option<String>,
    /// The endpoint; counts where the app did not say, and is `Full` there unless chosen.
    pub endpoint: Option<Endpoint>,
    /// Whether the app may change things; counts where it asked for that and the person may allow it.
    pub write: bool,
    /// The chatbots it is limited to; `None` for all.
    pub chatbots: Option<Vec<i64>>,
}

/// Who decides: a browser session and its person.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    /// The SHA-256 of the session's cookie.
    pub session: Hash,
    /// The user's id.
    pub user: i64,
}

impl Server {
    /// Keeps a request for 10 minutes until this person decides; answers what the form is to carry. A session has 20
    /// of them at most; the oldest gives way.
    ///
    /// # Errors
    /// Those of a write to the store.
    pub fn open_request(&self, person: Person, request: &Request) -> Result<String> {
        let (text, hash) = signed::generate(&self.keyring, Purpose::Request);
        let request = serde_json::to_string(request).map_err(Error::internal)?;
        let now = self.clock.now();
        self.store.write(Durability::Process, move |tx| {
            oauth_request::create(tx, &hash, &person.session, &request, now, now.plus(REQUEST_TIME))
        })?;
        Ok(text)
    }

    /// What the consent page shows of the request `text`, with the organisation `present` first.
    ///
    /// # Errors
    /// `NotFound` when it was decided, has ended or is another session's; `Forbidden` when the person is in no
    /// organisation (any more).
    pub fn consent(&self, person: Person, text: &str, present: Option<&str>) -> Result<Consent> {
        let hash = signed::verify(&self.keyring, Purpose::Request, text).ok_or_else(gone)?;
        let now = self.clock.now();
        let (request, account, mut memberships) = self.store.read(|tx| {
            let request = oauth_request::find(tx, &hash, &person.session, now)?.ok_or_else(gone)?;
            let account = user::of(tx, person.user)?.ok_or_else(no_membership)?;
            Ok((read(&request)?, account, user::memberships(tx, person.user)?))
        })?;
        if memberships.is_empty() {
            return Err(no_membership());
        }
        memberships.sort_by_key(|membership| present != Some(membership.slug.as_str()));
        Ok(Consent {
            request: text.to_owned(),
            client_name: request.client.display_name(),
            known_by: known_by(&request.client),
            redirect_host: redirect::host_of(&request.redirect_uri).to_owned(),
            redirect_origin: redirect::policy_source(&request.redirect_uri).to_owned(),
            loopback_only: request.client.redirect_uris.iter().all(|uri| redirect::is_loopback(uri)),
            email: account.email,
            organisations: memberships.into_iter().map(Organisation::from).collect(),
            endpoint: request.endpoint,
            write: request.write || request.endpoint.is_none(),
        })
    }

    /// Allows the request `text` as `decision` says; answers where the person goes back to, with a code.
    ///
    /// # Errors
    /// As of [`Server::consent`]; nothing from the form widens what the app asked for or the person may allow.
    pub fn allow(&self, person: Person, text: &str, decision: Decision) -> Result<String> {
        let hash = signed::verify(&self.keyring, Purpose::Request, text).ok_or_else(gone)?;
        let (code, code_hash) = signed::generate(&self.keyring, Purpose::Code);
        let now = self.clock.now();
        let request = self.store.write(Durability::Disk, move |tx| {
            let request = read(&oauth_request::take(tx, &hash, &person.session, now)?.ok_or_else(gone)?)?;
            let membership = choose(user::memberships(tx, person.user)?, decision.organisation.as_deref())?;
            let ends = now.plus(CODE_TIME);
            let tenant = tx.tenant(membership.tenant);
            let grant =
                oauth_grant::create(&tenant, &granted(person, &membership, &request, decision, ends), now)?;
            oauth_code::create(&tenant, &code_hash, grant, &request.redirect_uri, &request.challenge, ends)?;
            Ok(request)
        })?;
        Ok(authorize::code_url(&self.issuer, &request, &code))
    }

    /// Refuses the request `text`; answers where the person goes back to, with `access_denied`.
    ///
    /// # Errors
    /// As of [`Server::consent`].
    pub fn deny(&self, person: Person, text: &str) -> Result<String> {
        let hash = signed::verify(&self.keyring, Purpose::Request, text).ok_or_else(gone)?;
        let now = self.clock.now();
        let request = self.store.write(Durability::Process, move |tx| {
            read(&oauth_request::take(tx, &hash, &person.session, now)?.ok_or_else(gone)?)
        })?;
        let fault = Fault::new("access_denied", "The person did not allow it.");
        let state = request.state.as_deref();
        Ok(authorize::refusal_url(&self.issuer, &request.redirect_uri, state, &fault))
    }
}

fn granted(
    person: Person,
    membership: &Membership,
    request: &Request,
    decision: Decision,
    expires_at: Time,
) -> NewGrant {
    let chosen = request.endpoint.or(decision.endpoint).unwrap_or(Endpoint::Full);
    // Who left the endpoint to the person left what may be done there to the person as well.
    let asked = request.write || request.endpoint.is_none();
    NewGrant {
        user: person.user,
        client_id: request.client.id.clone(),
        client_name: request.client.display_name(),
        client_kind: match request.client.kind {
            ClientKind::Document => "document",
            ClientKind::Registered => "registered",
            ClientKind::Operator => "operator",
        },
        redirect_origin: redirect::origin_of(&request.redirect_uri).to_owned(),
        endpoint: chosen.as_str(),
        write: asked && decision.write && can_write(membership) && chosen == Endpoint::Full,
        chatbots: decision.chatbots,
        expires_at,
    }
}

fn can_write(membership: &Membership) -> bool {
    membership.role != Role::Analyst
}

impl From<Membership> for Organisation {
    fn from(membership: Membership) -> Organisation {
        Organisation { can_write: can_write(&membership), slug: membership.slug, name: membership.name }
    }
}

fn choose(memberships: Vec<Membership>, organisation: Option<&str>) -> Result<Membership> {
    let one = memberships.len() == 1;
    let chosen = memberships.into_iter().find(|membership| match organisation {
        Some(slug) => membership.slug == slug,
        None => one,
    });
    chosen.ok_or_else(no_membership)
}

fn known_by(client: &Client) -> KnownBy {
    match client.kind {
        ClientKind::Document => KnownBy::Document(redirect::host_of(&client.id).to_owned()),
        ClientKind::Registered => {
            let day = client.created_at.map(|at| at.to_string()).unwrap_or_default();
            KnownBy::Registered(day.chars().take("2026-11-22".len()).collect())
        }
        ClientKind::Operator => KnownBy::Operator,
    }
}

fn read(request: &str) -> Result<Request> {
    serde_json::from_str(request).map_err(Error::internal)
}

fn gone() -> Error {
    Error::not_found(
        "This request was answered already, or is older than ten minutes. Go back to the app and connect again.",
    )
}

fn no_membership() -> Error {
    Error::new(
        Kind::Forbidden,
        "You are not a member of that organisation, or it is suspended. Ask its owner, then connect again.",
    )
}
