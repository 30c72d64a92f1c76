//! Who to be at the authorization server: a client that is known there, one described at a URL, or one that registers
//! itself (RFC 7591); and what registration lets in that it must not.

use serde_json::{Value, json};

use super::discovery::Document;
use super::notes::Notes;
use super::request::{Client, Method, random};
use super::sign_in::Session;
use super::web::{Answer, Web, without_query};
use crate::error::{Error, Kind, Result};

/// The path of the redirect URI, where no document names one.
const PATH: &str = "/callback";
/// Redirect URIs that nobody may register, by the rule each breaks.
const FORBIDDEN: [(&str, &str); 3] = [
    ("register-redirect-http", "http://attacker.example/callback"),
    ("register-redirect-fragment", "https://attacker.example/callback#fragment"),
    ("register-redirect-script", "javascript:alert(1)"),
];

/// Where the client comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// It is known there.
    Known(String),
    /// It is described at this URL, with a redirect URI to this machine that has this path.
    Described(String, String),
    /// It registers itself at this endpoint.
    Registers(String),
}

impl Identity {
    /// The client to be at the server that `server` describes.
    ///
    /// # Errors
    /// `Invalid` when there is no way to be one, or the document at `client_id` has no redirect URI to this machine.
    pub async fn of(web: &Web, client_id: Option<String>, server: &Document) -> Result<Identity> {
        match (client_id, server.text("registration_endpoint")) {
            (Some(id), _)
                if id.starts_with("https://") && server.says("client_id_metadata_document_supported") =>
            {
                let answer = web.get(&id, "application/json").await?;
                let document = answer.json().and_then(|body| Document::read(body, &[]));
                let path = document.as_ref().and_then(own_path).ok_or_else(|| {
                    Error::invalid(format!(
                        "The document at {} lists no redirect URI such as http://127.0.0.1/callback.",
                        without_query(&id)
                    ))
                })?;
                Ok(Identity::Described(id, path))
            }
            (Some(id), _) => Ok(Identity::Known(id)),
            (None, Some(endpoint)) => Ok(Identity::Registers(endpoint.to_owned())),
            (None, None) => Err(Error::invalid(
                "The authorization server lets no client register itself: register one that may go to \
                 http://127.0.0.1/callback, on any port, and give it as --client-id.",
            )),
        }
    }

    /// The path of its redirect URI.
    pub fn redirect_path(&self) -> &str {
        match self {
            Identity::Described(_, path) => path,
            _ => PATH,
        }
    }

    /// The client, which may go to `redirect_uri`.
    ///
    /// # Errors
    /// `Unavailable` when it cannot register.
    pub async fn client(self, web: &Web, redirect_uri: &str, notes: &mut Notes) -> Result<Client> {
        let endpoint = match self {
            Identity::Known(id) | Identity::Described(id, _) => {
                notes.skip("register-answer", "the client was registered beforehand");
                return Ok(Client::public(id));
            }
            Identity::Registers(endpoint) => endpoint,
        };
        let answer = register(web, &endpoint, "Chaterimo conformance", redirect_uri).await?;
        let body = answer.json().unwrap_or_default();
        let client = read(&body);
        let echoed = body["redirect_uris"].as_array().is_some_and(|all| all.contains(&redirect_uri.into()));
        let shown = format!("{}{}", answer.shown(), if echoed { "" } else { ", without the redirect_uris" });
        notes.judge("register-answer", client.is_some() && answer.status == 201 && echoed, shown);
        let stored = answer.field("cache-control").unwrap_or("none");
        notes.judge("register-no-store", stored.contains("no-store"), format!("Cache-Control: {stored}"));
        client.ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("No client could be registered: {}.", answer.shown()))
        })
    }
}

/// The path of the first redirect URI to this machine that any port may be put into.
fn own_path(document: &Document) -> Option<String> {
    let redirects = document.texts("redirect_uris")?;
    redirects.into_iter().find_map(|uri| {
        let rest =
            ["http://127.0.0.1", "http://localhost"].iter().find_map(|origin| uri.strip_prefix(origin))?;
        let path = rest.find('/').map_or("/", |at| &rest[at..]);
        (rest.starts_with(['/', ':']) || rest.is_empty()).then(|| path.to_owned())
    })
}

async fn register(web: &Web, endpoint: &str, name: &str, redirect_uri: &str) -> Result<Answer> {
    let body = json!({
        "client_name": name,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    });
    web.post_json(endpoint, &body, &[]).await
}

/// The client that an answer to a registration gives.
fn read(body: &Value) -> Option<Client> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let id = text("client_id")?.to_owned();
    let method = match text("token_endpoint_auth_method") {
        Some("client_secret_post") => Some(Method::Post),
        Some("none") => None,
        _ => Some(Method::Basic),
    };
    let secret = text("client_secret").map(str::to_owned).zip(method);
    Some(Client { id, secret })
}

impl Session {
    /// One more client, which may go to the same place; why there is none.
    pub(super) async fn another_client(&self, redirect_uri: &str) -> Result<Client, String> {
        let endpoint = self.endpoint("registration_endpoint").ok_or("no client can register itself")?;
        // Servers may give the same client to who registers the same.
        let name = format!("Chaterimo conformance {}", &random()[..8]);
        let answer =
            register(&self.web, endpoint, &name, redirect_uri).await.map_err(|error| error.public)?;
        let client = read(&answer.json().unwrap_or_default()).filter(|client| client.id != self.client.id);
        client.ok_or_else(|| format!("a second client could not be registered: {}", answer.shown()))
    }
}

/// Tries to register what nobody may.
pub async fn attack(session: &Session, notes: &mut Notes) {
    let Some(endpoint) = session.endpoint("registration_endpoint") else {
        for (id, _) in FORBIDDEN {
            notes.skip(id, "no client can register itself");
        }
        return notes.skip("register-error", "no client can register itself");
    };
    for (id, redirect_uri) in FORBIDDEN {
        match register(&session.web, endpoint, "Chaterimo conformance", redirect_uri).await {
            Err(error) => notes.skip(id, error.public),
            Ok(answer) => {
                let refused = !answer.is_success();
                notes.judge(id, refused, format!("{redirect_uri}: {}", answer.shown()));
                if refused {
                    let known = ["invalid_redirect_uri", "invalid_client_metadata"];
                    let named = answer.error().is_some_and(|error| known.contains(&&*error));
                    notes.judge("register-error", answer.status == 400 && named, answer.shown());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_read_with_what_it_proves_itself_by() {
        let check = |body: Value, expected: Option<Option<Method>>| {
            let found = read(&body).map(|client| client.secret.map(|(_, method)| method));
            assert_eq!(found, expected, "{body}");
        };
        check(json!({}), None);
        check(json!({"client_id": "a"}), Some(None));
        check(json!({"client_id": "a", "client_secret": "s"}), Some(Some(Method::Basic)));
        check(
            json!({"client_id": "a", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post"}),
            Some(Some(Method::Post)),
        );
        check(
            json!({"client_id": "a", "client_secret": "s", "token_endpoint_auth_method": "none"}),
            Some(None),
        );
    }

    #[test]
    fn a_document_names_a_way_back_to_this_machine() {
        let check = |redirects: &[&str], expected: Option<&str>| {
            let document = Document::read(json!({"redirect_uris": redirects}), &[]).unwrap();
            assert_eq!(own_path(&document).as_deref(), expected, "{redirects:?}");
        };
        check(&["https://app.example/cb", "http://localhost/callback"], Some("/callback"));
        check(&["http://127.0.0.1:33418"], Some("/"));
        check(&["http://127.0.0.1:33418/a/b"], Some("/a/b"));
        check(&["http://localhost.attacker.example/cb"], None);
        check(&[], None);
    }
}
