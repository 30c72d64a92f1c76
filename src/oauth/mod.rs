//! The rules of the authorization server (OAuth 2.1, RFC 8414, 9728, 8707, 7591, 7009, 9207), without HTTP.
//!
//! Everything here is a function of the store, the keyring and the time; `http/oauth` reads requests and writes what
//! comes of them.

pub mod client;
pub mod fault;

use std::sync::Arc;

use crate::clock::Clock;
use crate::keyring::Keyring;
use crate::store::Store;

pub use client::{AuthMethod, Client, ClientKind};
pub use fault::Fault;

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
}
