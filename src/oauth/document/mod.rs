//! Clients whose id is the URL of a JSON document about themselves (draft-ietf-oauth-client-id-metadata-document; MCP
//! authorization, "Client ID Metadata Documents").
//!
//! Where a document comes from, in this order: the operator's folder; the copies compiled in, for clients that everyone
//! uses (so that a server without a way out works at once); the copy fetched last, while it is fresh; the app's own
//! server; and when that is out of order, the copy fetched last, up to a week old.

mod address;
mod failure;
mod fetch;
mod folder;
mod pinned;
mod read;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::buckets::Buckets;
use super::client::{Client, ClientKind};
use crate::clock::{Clock, DAY, MINUTE, Time};
use crate::config::{ClientDocuments, Config};
use crate::error::{Error, Result};
use crate::store::oauth_client::{self, Document};
use crate::store::{Durability, Store, SystemTx};

pub use failure::{Blame, Failure};

/// How old a copy may be that serves while the app's server is out of order.
const STALE_MAX: i64 = 7 * DAY;
/// How long such a copy is used before the app's server is asked again.
const RESPITE: i64 = MINUTE;
/// Fetches that one person may cause: ten at once, ten a minute.
const FETCHES: (u32, f64) = (10, 10.0 / 60.0);

/// How documents are had.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether they are accepted, and whether they are fetched.
    pub mode: ClientDocuments,
    /// The operator's folder of documents, one JSON file each.
    pub folder: Option<PathBuf>,
    /// One more file of certificate authorities (PEM) for the servers they are fetched from.
    pub ca_file: Option<PathBuf>,
    /// Whether documents on this machine are fetched too, at any port: for development on loopback alone.
    pub loopback: bool,
}

/// The documents of one server.
pub struct Documents {
    mode: ClientDocuments,
    address: address::Rules,
    /// Those that are known without fetching, by their URL.
    known: HashMap<String, Client>,
    fetcher: fetch::Fetcher,
    users: Buckets<i64>,
    flights: Mutex<HashMap<String, Flight>>,
}

/// A fetch that is under way; whoever wants the same document waits for it.
type Flight = Arc<OnceCell<Result<Client, Failure>>>;

/// Whether a `client_id` claims to be the URL of a document; ids of other clients never begin like this.
pub fn is_url(id: &str) -> bool {
    id.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("https://"))
}

impl Options {
    /// What the settings say.
    pub fn new(config: &Config) -> Options {
        Options {
            mode: config.client_documents,
            folder: config.client_documents_dir.clone(),
            ca_file: config.client_documents_ca_file.clone(),
            loopback: config.client_documents_loopback,
        }
    }
}

impl Documents {
    /// The documents for the server at `issuer`, with those in the operator's folder read.
    ///
    /// # Errors
    /// `Config` when the folder or a file in it, or the CA file, cannot be used.
    pub fn open(options: &Options, issuer: &str) -> Result<Documents> {
        let own_host = issuer.split_once("://").map_or("", |(_, authority)| authority);
        let address = address::Rules::new(own_host, options.loopback);
        let mut known = pinned::clients();
        if let Some(folder) = &options.folder {
            known.extend(folder::read(folder, &address)?);
        }
        Ok(Documents {
            mode: options.mode,
            fetcher: fetch::Fetcher::new(options)?,
            address,
            known,
            users: Buckets::new(FETCHES.0, FETCHES.1),
            flights: Mutex::default(),
        })
    }

    /// Whether clients that have a document are let in at all.
    pub fn are_accepted(&self) -> bool {
        self.mode != ClientDocuments::Off
    }

    /// The client at `url`, for someone who is signed in as `user`.
    ///
    /// # Errors
    /// Why there is none, and whose fault that is.
    pub async fn find(
        &self,
        store: &Arc<Store>,
        clock: &Clock,
        url: &str,
        user: i64,
    ) -> Result<Client, Failure> {
        let deadline = self.fetcher.deadline();
        if self.mode == ClientDocuments::Off {
            return Err(Failure::new(Blame::Settings, "client_documents is off"));
        }
        if let Some(client) = self.known.get(url) {
            return Ok(client.clone());
        }
        self.address.check(url).map_err(|reason| Failure::new(Blame::Id, reason))?;
        if self.mode == ClientDocuments::Known {
            let reason = format!("client_documents is known, and {url} is not");
            return Err(Failure::new(Blame::Settings, reason));
        }
        let copy = self.copy(store, url).await?;
        if let Some((document, client)) = &copy
            && clock.now() < document.fresh_until
        {
            return Ok(client.clone());
        }
        if !self.users.take(&user, clock.now()) {
            return Err(Failure::new(Blame::Asker, format!("user {user} caused too many fetches")));
        }
        self.join_flight(store, clock, url, copy, deadline).await
    }

    /// The client at `url` as far as it is known here, without fetching; for one that was fetched once, what can be
    /// said of any such client. `None` where no document can be.
    ///
    /// # Errors
    /// Those of the store.
    pub fn at_hand(&self, store: &Store, url: &str) -> Result<Option<Client>> {
        if self.mode == ClientDocuments::Off {
            return Ok(None);
        }
        if let Some(client) = self.known.get(url) {
            return Ok(Some(client.clone()));
        }
        if self.address.check(url).is_err() {
            return Ok(None);
        }
        let kept = store.peek(|tx| oauth_client::document(tx, url))?;
        let client = kept.and_then(|document| read::client(url, document.text.as_bytes()).ok());
        Ok(Some(client.unwrap_or_else(|| nameless(url))))
    }

    async fn copy(&self, store: &Arc<Store>, url: &str) -> Result<Option<(Document, Client)>, Failure> {
        let (store, own) = (Arc::clone(store), url.to_owned());
        let kept = unblocked(move || store.peek(|tx| oauth_client::document(tx, &own))).await?;
        // One that an earlier version took and this one does not is none.
        Ok(kept.and_then(|document| {
            let client = read::client(url, document.text.as_bytes()).ok()?;
            Some((document, client))
        }))
    }

    /// One fetch of a URL at a time; all who want it get what it brings. Whoever takes it over from one who left has their
    /// own deadline.
    async fn join_flight(
        &self,
        store: &Arc<Store>,
        clock: &Clock,
        url: &str,
        copy: Option<(Document, Client)>,
        deadline: Instant,
    ) -> Result<Client, Failure> {
        let flight = self.flight(url);
        let outcome = flight.get_or_init(|| self.fetch(store, clock, url, copy, deadline)).await.clone();
        self.lock().remove(url);
        outcome
    }

    async fn fetch(
        &self,
        store: &Arc<Store>,
        clock: &Clock,
        url: &str,
        copy: Option<(Document, Client)>,
        deadline: Instant,
    ) -> Result<Client, Failure> {
        match self.fetcher.fetch(url, deadline).await {
            Ok(answer) => {
                let client = read::client(url, &answer.body);
                let client = client.map_err(|reason| Failure::new(Blame::Document, reason).noted(url))?;
                keep(store, clock, url, &answer).await?;
                Ok(client)
            }
            Err(failure) => {
                let failure = failure.noted(url);
                let now = clock.now();
                match copy {
                    Some((document, client)) if failure.blame == Blame::App && is_useful(&document, now) => {
                        prolong(store, url, now.plus(RESPITE)).await?;
                        Ok(client)
                    }
                    _ => Err(failure),
                }
            }
        }
    }

    /// The flight to `url`. Those that everyone left before they landed are taken off the list.
    fn flight(&self, url: &str) -> Flight {
        let mut flights = self.lock();
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
        Arc::clone(flights.entry(url.to_owned()).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep(store: &Arc<Store>, clock: &Clock, url: &str, answer: &fetch::Fetched) -> Result<(), Failure> {
    let now = clock.now();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let document = Document { text, fetched_at: now, fresh_until: now.plus(answer.fresh_millis) };
    let url = url.to_owned();
    write(store, move |tx| oauth_client::put_document(tx, &url, &document)).await
}

async fn prolong(store: &Arc<Store>, url: &str, until: Time) -> Result<(), Failure> {
    let url = url.to_owned();
    write(store, move |tx| oauth_client::prolong_document(tx, &url, until)).await
}

async fn write(
    store: &Arc<Store>,
    job: impl FnOnce(&SystemTx<'_>) -> Result<()> + Send + 'static,
) -> Result<(), Failure> {
    let store = Arc::clone(store);
    unblocked(move || store.write(Durability::Process, job)).await
}

fn is_useful(document: &Document, now: Time) -> bool {
    now < document.fetched_at.plus(STALE_MAX)
}

/// What can be said of a client whose document is not at hand.
fn nameless(url: &str) -> Client {
    Client {
        id: url.to_owned(),
        kind: ClientKind::Document,
        name: url.to_owned(),
        redirect_uris: Vec::new(),
        auth_method: super::AuthMethod::None,
        secret_hash: None,
        refreshes: true,
        created_at: None,
    }
}

/// Runs what waits for the disk where it holds nobody up.
///
/// # Errors
/// Those of `job`.
pub(super) async fn unblocked<T: Send + 'static>(
    job: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(job).await.unwrap_or_else(|broken| Err(Error::internal(broken)));
    done.map_err(Failure::from)
}
