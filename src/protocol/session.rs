//! The handshake of the legacy revisions, and who is on the other side. Nothing else knows of sessions.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::catalog::{UI, VIEW_MIME_TYPE};
use super::level::Level;
use super::meta::{Capabilities, Params};
use super::revision::Revision;
use super::rpc::Fault;
use super::wire::{ClientInfo, wrong_params};

/// Bytes of JSON that the capabilities of a handshake may have; larger ones count as none.
const KEPT_CAPABILITIES_BYTES: usize = 4 * 1024;

/// Where a connection (stdio) or a session id (HTTP) stands. A driver may keep it in a database row between messages.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Session {
    /// No handshake: requests must speak for themselves, or open one.
    #[default]
    Stateless,
    /// `initialize` was answered. Whether `notifications/initialized` came since makes no difference to any answer.
    Open(Peer),
}

/// The client as it described itself: in its handshake, or in the request. Not verified, so good for logs alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// The revision spoken.
    pub revision: Revision,
    /// Its name and version.
    pub client: ClientInfo,
    /// What it declared that it can do, as it came; of a handshake, nothing when that is over 4 KiB.
    pub capabilities: Capabilities,
    /// Of a handshake: the least severe log messages it wants (`logging/setLevel`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<Level>,
    /// Of a handshake: the resources it watches (`resources/subscribe`), at most [`super::listen::MAX_WATCHED`].
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub subscribed: BTreeSet<String>,
}

impl Peer {
    /// A client that declared nothing.
    pub fn new(revision: Revision, client: ClientInfo) -> Peer {
        Peer::declaring(revision, client, Capabilities::default())
    }

    /// A client that declared these capabilities.
    pub fn declaring(revision: Revision, client: ClientInfo, capabilities: Capabilities) -> Peer {
        Peer { revision, client, capabilities, log_level: None, subscribed: BTreeSet::new() }
    }

    /// Whether it declared that it answers this request of a server: `elicitation/create`, of the mode that `params`
    /// names, `sampling/createMessage` or `roots/list`.
    pub fn answers(&self, method: &str, params: Option<&Value>) -> bool {
        let (name, _) = method.split_once('/').unwrap_or((method, ""));
        let can = self.capabilities.read();
        let Some(declared) = can.get(name).and_then(Value::as_object) else { return false };
        match params.and_then(|params| params.get("mode")).and_then(Value::as_str) {
            Some("url") if name == "elicitation" => declared.contains_key("url"),
            _ if name == "elicitation" => declared.contains_key("form") || !declared.contains_key("url"),
            _ => true,
        }
    }

    /// Whether it shows the pages of tools' results ([`UI`]).
    fn shows_views(&self) -> bool {
        if !self.capabilities.mentions(UI) {
            return false; // As of nearly all clients.
        }
        let can = self.capabilities.read();
        let types =
            can.get("extensions").and_then(|extensions| extensions.get(UI)?.get("mimeTypes")?.as_array());
        types.is_some_and(|types| types.iter().any(|name| name == VIEW_MIME_TYPE))
    }

    /// Whether it declared this extension, such as [`super::catalog::TASKS`]; of [`UI`], that it shows pages of our type.
    pub fn has_extension(&self, name: &str) -> bool {
        if name == UI {
            return self.shows_views();
        }
        self.capabilities.mentions(name)
            && self
                .capabilities
                .read()
                .get("extensions")
                .is_some_and(|extensions| extensions.get(name).is_some())
    }
}

impl Session {
    /// The handshake's client, to note what it wants.
    pub(super) fn peer_mut(&mut self) -> Option<&mut Peer> {
        match self {
            Session::Stateless => None,
            Session::Open(peer) => Some(peer),
        }
    }

    /// The client, once a handshake has begun.
    pub fn peer(&self) -> Option<&Peer> {
        match self {
            Session::Stateless => None,
            Session::Open(peer) => Some(peer),
        }
    }

    /// Begins a handshake with the parameters of `initialize`; one that stood before is forgotten. Returns the
    /// revision agreed on, or INVALID_PARAMS where `protocolVersion` is no string or another member has a wrong type.
    pub(super) fn open(&mut self, params: &Params) -> Result<Revision, Fault> {
        let Some(asked) = params.get("protocolVersion").and_then(Value::as_str) else {
            return Err(wrong_params("protocolVersion", "a string such as \"2025-11-25\""));
        };
        let revision = Revision::negotiate(asked);
        let client = match params.get("clientInfo") {
            None | Some(Value::Null) => ClientInfo::default(),
            Some(client) => ClientInfo::from_value(client)
                .ok_or_else(|| wrong_params("clientInfo", "an object with the strings name and version"))?,
        };
        let capabilities = match params.get("capabilities") {
            None | Some(Value::Null) => Capabilities::default(),
            Some(Value::Object(capabilities)) => kept(capabilities),
            Some(_) => return Err(wrong_params("capabilities", "an object")),
        };
        *self = Session::Open(Peer::declaring(revision, client, capabilities));
        Ok(revision)
    }
}

/// What a session keeps of the capabilities: those of any real client fit, and what does not fit is not worth keeping,
/// for a session lies in the database for weeks and `initialize` costs no quota.
fn kept(capabilities: &Map<String, Value>) -> Capabilities {
    let whole = Capabilities::from(capabilities);
    if whole.bytes() > KEPT_CAPABILITIES_BYTES { Capabilities::default() } else { whole }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(params: Value) -> Result<Session, String> {
        let mut session = Session::default();
        let Value::Object(params) = params else { panic!("an object") };
        session.open(&Params { members: params, ..Params::default() }).map_err(|fault| fault.message)?;
        Ok(session)
    }

    #[test]
    fn opens_with_what_the_client_says() {
        let session = open(json!({
            "protocolVersion": "2025-06-18", "clientInfo": {"name": "a", "version": "1"}, "capabilities": {"roots": {}}
        }));
        let peer = session.unwrap().peer().cloned().unwrap();
        assert_eq!(peer.revision, Revision::V2025_06_18);
        assert_eq!((peer.client.name.as_str(), peer.client.version.as_str()), ("a", "1"));
        assert!(peer.capabilities.read().contains_key("roots"));
        assert!(open(json!({"protocolVersion": "2024-11-05"})).is_ok());
    }

    #[test]
    fn keeps_capabilities_that_are_small() {
        let check = |name_bytes: usize, expected: usize| {
            let capabilities = json!({"a".repeat(name_bytes): {}});
            let session = open(json!({"protocolVersion": "2025-06-18", "capabilities": capabilities}));
            let peer = session.unwrap().peer().cloned().unwrap();
            assert_eq!(peer.capabilities.read().len(), expected, "{name_bytes}");
        };
        let around = r#"{"":{}}"#.len();
        check(KEPT_CAPABILITIES_BYTES - around, 1);
        check(KEPT_CAPABILITIES_BYTES - around + 1, 0);
    }

    #[test]
    fn refuses_wrong_types() {
        let check = |params: Value, expected: &str| {
            let fault = open(params.clone()).unwrap_err();
            assert!(fault.contains(expected), "{params}: {fault}");
        };
        check(json!({}), "protocolVersion");
        check(json!({"protocolVersion": 1}), "protocolVersion");
        check(json!({"protocolVersion": "2025-06-18", "capabilities": []}), "capabilities");
        check(json!({"protocolVersion": "2025-06-18", "clientInfo": "x"}), "clientInfo");
        check(json!({"protocolVersion": "2025-06-18", "clientInfo": {"name": 1}}), "clientInfo");
    }

    #[test]
    fn is_kept_as_json() {
        let session = open(json!({"protocolVersion": "2025-03-26"})).unwrap();
        let kept = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&kept).unwrap(), session);
    }
}
