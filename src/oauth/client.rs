//! An app that asks for access: who it says it is, and where its people are sent back to.

use serde::{Deserialize, Serialize};

use crate::access::signed::Hash;
use crate::clock::Time;

/// How we came to know a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientKind {
    /// Its id is the URL of a document about it (draft-ietf-oauth-client-id-metadata-document).
    Document,
    /// It registered itself (RFC 7591).
    Registered,
    /// The operator entered it.
    Operator,
}

/// How a client proves who it is at the token endpoint (RFC 7591, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: not at all.
    None,
    /// Its secret in the form.
    ClientSecretPost,
    /// Its secret in the Authorization field.
    ClientSecretBasic,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// How we came to know it.
    pub kind: ClientKind,
    /// What it calls itself; for display strip and cut it, for nobody vouches for it.
    pub name: String,
    /// Where people may be sent back to, each as it was registered.
    pub redirect_uris: Vec<String>,
    /// How it proves who it is.
    pub auth_method: AuthMethod,
    /// The SHA-256 of its secret.
    pub secret_hash: Option<Hash>,
    /// Whether it gets refresh tokens.
    pub refreshes: bool,
    /// When it registered.
    pub created_at: Option<Time>,
}
