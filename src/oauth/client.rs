//! An app that asks for access: who it says it is, where its people are sent back to, and how it proves itself.

use std::borrow::Cow;
use std::sync::Arc;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::document::{self, Failure};
use super::{Fault, Server};
use crate::access::signed::{Hash, same, sha256};
use crate::clock::Time;
use crate::error::Result;
use crate::store::oauth_client::{self, Row};
use crate::store::{Durability, Store};

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

impl AuthMethod {
    /// Every method, as the server's metadata lists them.
    pub const ALL: [AuthMethod; 3] =
        [AuthMethod::None, AuthMethod::ClientSecretPost, AuthMethod::ClientSecretBasic];

    /// Its name in RFC 7591.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthMethod::None => "none",
            AuthMethod::ClientSecretPost => "client_secret_post",
            AuthMethod::ClientSecretBasic => "client_secret_basic",
        }
    }

    /// The method of that name.
    pub fn parse(name: &str) -> Option<AuthMethod> {
        AuthMethod::ALL.into_iter().find(|method| method.as_str() == name)
    }
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// How we came to know it.
    pub kind: ClientKind,
    /// What it calls itself, empty when it did not say; nobody vouches for it. Pages show [`Client::display_name`].
    pub name: String,
    /// Where people may be sent back to, each as it was registered; [`super::redirect::matches`] compares.
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

/// Characters of a name that pages show.
const SHOWN_NAME: usize = 64;

impl Client {
    /// The name as a page may show it: one line of at most 64 characters, nothing invisible and nothing that turns the
    /// direction of the text around it. Templates escape it as all else.
    pub fn display_name(&self) -> String {
        let visible = self.name.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
        let plain: String = visible.filter(|c| !is_invisible(*c)).collect();
        let words = plain.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        match words.char_indices().nth(SHOWN_NAME) {
            _ if words.is_empty() => "An app without a name".to_owned(),
            Some((end, _)) => format!("{}…", words[..end].trim_end()),
            None => words,
        }
    }

    /// Whether one of its redirect URIs is `asked`.
    pub fn allows_redirect(&self, asked: &str) -> bool {
        self.redirect_uris.iter().any(|registered| super::redirect::matches(registered, asked))
    }
}

/// Controls, marks of direction, zero-width characters, tags and variation selectors.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

impl From<Row> for Client {
    fn from(row: Row) -> Client {
        Client {
            kind: if row.operator { ClientKind::Operator } else { ClientKind::Registered },
            // What the table's own check lets in is parsed; anything else could not prove itself, which is safe.
            auth_method: AuthMethod::parse(&row.auth_method).unwrap_or(AuthMethod::ClientSecretBasic),
            id: row.id,
            name: row.name,
            redirect_uris: row.redirect_uris,
            secret_hash: row.secret_hash,
            refreshes: row.refreshes,
            created_at: Some(row.created_at),
        }
    }
}

/// What a request to the token or revocation endpoint says of its client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// The value of the Authorization field.
    pub authorization: Option<&'a str>,
    /// `client_id` of the form.
    pub client_id: Option<&'a str>,
    /// `client_secret` of the form.
    pub client_secret: Option<&'a str>,
}

impl<'a> Presented<'a> {
    /// What the client calls itself, whether that is so or not.
    pub(super) fn id(&self) -> Option<Cow<'a, str>> {
        let basic = self.authorization.and_then(read_basic).map(|(id, _)| Cow::Owned(id));
        basic.or(self.client_id.map(Cow::Borrowed))
    }
}

/// Id, secret and method that a request really uses.
struct Credentials {
    id: String,
    secret: Option<String>,
    method: AuthMethod,
}

impl Server {
    /// The client `id` for the authorization endpoint: entered by the operator, or described by the document at the
    /// URL that it is (fetched if need be, in at most 5 s), or registered. `user` is who asks: each may have documents
    /// fetched ten times a minute. Ask only in the name of someone who is signed in.
    ///
    /// # Errors
    /// Why a document cannot be had, and whose fault that is; `None` is an id that nobody registered.
    pub async fn find_client(&self, id: &str, user: i64) -> Result<Option<Client>, Failure> {
        if document::is_url(id) {
            return self.documents.find(&self.store, &self.clock, id, user).await.map(Some);
        }
        let (store, id) = (Arc::clone(&self.store), id.to_owned());
        let row = document::unblocked(move || store.peek(|tx| oauth_client::find(tx, &id))).await?;
        Ok(row.map(Client::from))
    }

    /// The client that sent a request to the token or revocation endpoint (RFC 6749, sections 2.3.1 and 3.2.1). Of a
    /// client with a document nothing is fetched: it is public, and what was granted tells the rest; where no copy of
    /// the document is at hand, its name is its id and it has no redirect URI.
    ///
    /// # Errors
    /// `invalid_request` when it uses two methods, or none that can be read; `invalid_client` when it is unknown,
    /// gives a wrong secret or uses another method than it registered. With `WWW-Authenticate: Basic` where Basic was
    /// tried; that field is for HTTP to set.
    pub fn authenticate(&self, presented: &Presented<'_>) -> Result<Client, Fault> {
        let credentials = read_credentials(presented)?;
        let client = self.known_client(&credentials.id)?.ok_or_else(unknown)?;
        match (client.auth_method == credentials.method, &client.secret_hash, &credentials.secret) {
            (true, None, None) => Ok(client),
            (true, Some(hash), Some(secret)) if same(hash, &sha256(secret)) => Ok(client),
            (true, ..) => Err(Fault::invalid_client("The client secret is wrong.")),
            (false, ..) => Err(Fault::invalid_client(format!(
                "This client is registered with token_endpoint_auth_method {}; it used {}.",
                client.auth_method.as_str(),
                credentials.method.as_str()
            ))),
        }
    }

    fn known_client(&self, id: &str) -> Result<Option<Client>, Fault> {
        if document::is_url(id) {
            return Ok(self.documents.at_hand(&self.store, id)?);
        }
        Ok(self.store.peek(|tx| oauth_client::find(tx, id))?.map(Client::from))
    }
}

/// Forgets registrations without a grant that are a week old, and old documents; how many. For the hourly housekeeping.
///
/// # Errors
/// Those of the store.
pub fn expire(store: &Store, now: Time) -> Result<usize> {
    store.write(Durability::Process, move |tx| oauth_client::expire(tx, now))
}

fn unknown() -> Fault {
    Fault::invalid_client("There is no such client here; register again.")
}

fn read_credentials(presented: &Presented<'_>) -> Result<Credentials, Fault> {
    // An empty secret counts as none (RFC 6749, section 2.3.1).
    let posted = presented.client_secret.filter(|secret| !secret.is_empty());
    let Some(authorization) = presented.authorization else {
        let id = presented.client_id.filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| Fault::invalid_request("client_id is missing."))?.to_owned();
        let method = if posted.is_some() { AuthMethod::ClientSecretPost } else { AuthMethod::None };
        return Ok(Credentials { id, secret: posted.map(str::to_owned), method });
    };
    if posted.is_some() {
        return Err(Fault::invalid_request("The client proves itself in two ways; use one."));
    }
    let (id, secret) = read_basic(authorization)
        .ok_or_else(|| Fault::invalid_client("The Authorization field is no Basic credential."))?;
    match presented.client_id {
        Some(other) if other != id => {
            Err(Fault::invalid_request("client_id and the Authorization field name two clients."))
        }
        _ => Ok(Credentials { id, secret: Some(secret), method: AuthMethod::ClientSecretBasic }),
    }
}

/// Id and secret of a Basic credential (RFC 7617), each form-encoded inside (RFC 6749, section 2.3.1).
pub(crate) fn read_basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    let bytes = BASE64.decode(encoded.trim().as_bytes()).ok()?;
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    let fits = scheme.eq_ignore_ascii_case("basic") && !id.is_empty();
    fits.then(|| Some((decode(id)?, decode(secret)?))).flatten()
}

/// Form-decodes one value. It has no `&` or `=`, for those would have been encoded.
fn decode(text: &str) -> Option<String> {
    if text.contains(['&', '=']) {
        return Some(text.to_owned());
    }
    let pair = format!("v={text}");
    form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::testing::server;
    use super::*;

    fn row(id: &str, method: AuthMethod, secret: Option<&str>) -> Row {
        Row {
            id: id.into(),
            operator: false,
            name: "App".into(),
            redirect_uris: vec!["https://a.example/cb".into()],
            auth_method: method.as_str().into(),
            secret_hash: secret.map(sha256),
            refreshes: true,
            created_at: Time(1),
        }
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64.encode(pair.as_bytes()))
    }

    #[test]
    fn clients_prove_themselves_as_they_registered() {
        let (_folder, server) = server();
        let rows = [
            row("dcr_public", AuthMethod::None, None),
            row("dcr_post", AuthMethod::ClientSecretPost, Some("s3cret")),
            row("dcr_basic", AuthMethod::ClientSecretBasic, Some("s3cr&t +%=")),
        ];
        let put = move |tx: &crate::store::SystemTx<'_>| {
            rows.iter().try_for_each(|row| oauth_client::create(tx, row))
        };
        server.store.write(Durability::Process, put).unwrap();
        let check = |authorization: Option<&str>, id: Option<&str>, secret: Option<&str>, expected: &str| {
            let presented = Presented { authorization, client_id: id, client_secret: secret };
            let answer = server.authenticate(&presented).map(|client| client.id);
            let answer = answer.unwrap_or_else(|fault| format!("{}: {}", fault.code, fault.description));
            assert!(answer.starts_with(expected), "{presented:?}: {answer}");
        };
        check(None, Some("dcr_public"), None, "dcr_public");
        check(None, Some("dcr_public"), Some(""), "dcr_public");
        check(None, Some("dcr_post"), Some("s3cret"), "dcr_post");
        check(Some(&basic("dcr_basic:s3cr%26t+%2B%25%3D")), None, None, "dcr_basic");
        check(Some(&basic("dcr_basic:s3cr%26t+%2B%25%3D")), Some("dcr_basic"), None, "dcr_basic");
        check(
            Some(&basic("dcr_public:")),
            None,
            None,
            "invalid_client: This client is registered with token",
        );
        check(None, Some("dcr_public"), Some("x"), "invalid_client: This client is registered");
        check(None, Some("dcr_post"), None, "invalid_client: This client is registered");
        check(None, Some("dcr_post"), Some("s3creT"), "invalid_client: The client secret is wrong");
        check(Some(&basic("dcr_post:s3cret")), None, None, "invalid_client: This client is registered");
        check(Some(&basic("dcr_basic:no")), None, None, "invalid_client: The client secret is wrong");
        check(
            Some(&basic("dcr_basic:no")),
            None,
            Some("no"),
            "invalid_request: The client proves itself in two",
        );
        check(Some(&basic("dcr_basic:no")), Some("dcr_post"), None, "invalid_request: client_id and the");
        check(Some("Bearer abc"), Some("dcr_public"), None, "invalid_client: The Authorization field");
        check(Some("Basic %%%"), None, None, "invalid_client: The Authorization field");
        check(Some(&basic("no-colon")), None, None, "invalid_client: The Authorization field");
        check(None, Some("dcr_gone"), None, "invalid_client: There is no such client");
        check(None, None, None, "invalid_request: client_id is missing");
        check(None, Some("https://a.example/app.json"), None, "https://a.example/app.json");
        check(None, Some("https://a.example/app.json"), Some("x"), "invalid_client");
        check(None, Some("https://a.example/../app.json"), None, "invalid_client: There is no such client");
    }

    #[test]
    fn names_are_shown_as_one_plain_line() {
        let check = |name: &str, expected: &str| {
            let row = Row { name: name.into(), ..row("dcr_x", AuthMethod::None, None) };
            assert_eq!(Client::from(row).display_name(), expected, "{name:?}");
        };
        check("Claude Code", "Claude Code");
        check("  two\n\tlines\u{0} ", "two lines");
        check("a\u{202e}b\u{200b}c\u{e0041}\u{feff}", "abc");
        check("\u{2066}\u{200f}", "An app without a name");
        check("", "An app without a name");
        check(&"x".repeat(64), &"x".repeat(64));
        check(&"é".repeat(65), &format!("{}…", "é".repeat(64)));
    }
}
