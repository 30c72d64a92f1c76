//! The rules of the authorization server (OAuth 2.1, RFC 8414, 9728, 8707, 7591, 7009, 9207), without HTTP.
//!
//! Everything here is a function of the store, the keyring and the time; `http/oauth` reads requests and writes what
//! comes of them.

pub mod audience;
pub mod authorize;
mod buckets;
pub mod client;
pub mod consent;
pub mod document;
pub mod fault;
mod json;
pub mod metadata;
pub mod params;
pub mod redirect;
mod refresh;
pub mod registration;
mod revoke;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod token;

use std::sync::Arc;

use crate::clock::Clock;
use crate::keyring::Keyring;
use crate::store::Store;

pub use client::{AuthMethod, Client, ClientKind};
pub use document::Documents;
pub use fault::Fault;
pub use metadata::Metadata;

/// The authorization server of one site.
pub struct Server {
    /// Where clients, grants and tokens are.
    pub store: Arc<Store>,
    /// What signs codes and tokens.
    pub keyring: Arc<Keyring>,
    /// The time.
    pub clock: Clock,
    /// Its identifier: the public origin, without a slash at its end (RFC 8414, section 2).
    pub issuer: String,
    /// How it is set up.
    pub settings: Settings,
    /// What it publishes about itself.
    pub metadata: Metadata,
    /// Where it knows clients from that have a document about themselves.
    documents: Arc<Documents>,
    registrations: registration::Limits,
    requests: token::Limits,
}

/// What the operator may change.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seconds that an access token lives.
    pub access_seconds: u32,
    /// Days after which a refresh token that nobody used ends.
    pub refresh_idle_days: u32,
    /// Days after which what was granted ends, however often it is refreshed.
    pub grant_days: u32,
    /// Whether apps may register themselves.
    pub registration: bool,
}

impl Server {
    /// The authorization server that calls itself `issuer`.
    pub fn new(
        store: Arc<Store>,
        keyring: Arc<Keyring>,
        clock: Clock,
        issuer: String,
        settings: Settings,
        documents: Arc<Documents>,
    ) -> Server {
        let metadata = Metadata::new(&issuer, settings.registration, documents.are_accepted());
        let (registrations, requests) = (registration::Limits::default(), token::Limits::default());
        Server { store, keyring, clock, issuer, settings, metadata, documents, registrations, requests }
    }
}
