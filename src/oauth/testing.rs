//! An authorization server for tests, on a store of its own.

use std::sync::Arc;

use super::document::{Documents, Options};
use super::{AuthMethod, Client, ClientKind, Server, Settings};
use crate::clock::{Clock, Time};
use crate::config::ClientDocuments;
use crate::keyring::Keyring;
use crate::store::Store;

/// Where the server says it is.
pub const ISSUER: &str = "https://chat.example.com";

/// A server with the settings that nobody changed, but that it fetches nothing. Its clock stands at `Time(1_000)`
/// until it is moved; the folder is gone when it is dropped.
pub fn server() -> (tempfile::TempDir, Server) {
    let mode = ClientDocuments::Known;
    server_with(&Options { mode, folder: None, ca_file: None, loopback: false })
}

/// A server with these documents.
pub fn server_with(documents: &Options) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let keyring = Arc::new(Keyring::open(folder.path(), Time(0)).unwrap());
    let settings =
        Settings { access_seconds: 3_600, refresh_idle_days: 30, grant_days: 180, registration: true };
    let documents = Arc::new(Documents::open(documents, ISSUER).unwrap());
    let clock = Clock::manual(Time(1_000));
    (folder, Server::new(store, keyring, clock, ISSUER.to_owned(), settings, documents))
}

/// A public client that registered itself and gets refresh tokens.
pub fn client(id: &str, redirect_uris: &[&str]) -> Client {
    Client {
        id: id.to_owned(),
        kind: ClientKind::Registered,
        name: "An \u{202e}app".to_owned(),
        redirect_uris: redirect_uris.iter().map(|uri| (*uri).to_owned()).collect(),
        auth_method: AuthMethod::None,
        secret_hash: None,
        refreshes: true,
        created_at: Some(Time(0)),
    }
}
