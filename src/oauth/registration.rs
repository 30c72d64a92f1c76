//! Apps that register themselves (RFC 7591). Anyone may, so a registration is worth nothing until a person allows the
//! app something: it costs a row, and one that nobody uses is gone after a week.

use std::net::IpAddr;

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

use super::buckets::Buckets;
use super::{AuthMethod, Fault, Server, json, redirect};
use crate::access::signed::sha256;
use crate::access::throttle::network;
use crate::clock::{SECOND, random};
use crate::store::Durability;
use crate::store::oauth_client::{self, Row};

/// Seconds after which one that was refused for the many before it may come again.
pub const RETRY_SECONDS: u32 = 10;
/// Redirect URIs of a client.
const MAX_REDIRECTS: usize = 10;
/// Characters of a name.
const MAX_NAME: usize = 128;
/// Registrations from one address: at once, and a second. The people of a hosted client share its addresses.
const PER_ADDRESS: (u32, f64) = (60, 6.0);
/// Registrations in all.
const OVERALL: (u32, f64) = (60, 20.0);

/// How many registrations there may be.
pub(super) struct Limits {
    addresses: Buckets<IpAddr>,
    overall: Buckets<()>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            addresses: Buckets::new(PER_ADDRESS.0, PER_ADDRESS.1),
            overall: Buckets::new(OVERALL.0, OVERALL.1),
        }
    }
}

/// What is asked for, checked.
struct Asked {
    name: Option<String>,
    redirect_uris: Vec<String>,
    auth_method: AuthMethod,
    refreshes: bool,
}

impl Server {
    /// Registers the client that `body` describes, and gives the body of the answer, whose status is 201 (RFC 7591,
    /// section 3.2.1). A public client that is registered already, in the same words, is given the same `client_id`. The
    /// secret of any other is told this once. Members that mean nothing here are passed over.
    ///
    /// # Errors
    /// `invalid_client_metadata` and `invalid_redirect_uri`, which say what is wrong; `slow_down` (429) for too many from
    /// the address, of which IPv6 counts by /64.
    pub fn register(&self, body: &[u8], address: IpAddr) -> Result<String, Fault> {
        self.admit(address)?;
        let asked = read(body)?;
        let secret = (asked.auth_method != AuthMethod::None).then(|| BASE64URL_NOPAD.encode(&random::<32>()));
        let row = self.keep(&asked, secret.as_deref())?;
        Ok(answer(&asked, &row, secret).to_string())
    }

    fn admit(&self, address: IpAddr) -> Result<(), Fault> {
        let (limits, now) = (&self.registrations, self.clock.now());
        match limits.addresses.take(&network(address, 32), now) && limits.overall.take(&(), now) {
            true => Ok(()),
            false => {
                Err(Fault::new("slow_down", "Too many registrations; wait some seconds, then try again."))
            }
        }
    }

    fn keep(&self, asked: &Asked, secret: Option<&str>) -> Result<Row, Fault> {
        let now = self.clock.now();
        let row = Row {
            id: format!("dcr_{}", BASE64URL_NOPAD.encode(&random::<16>())),
            operator: false,
            name: asked.name.clone().unwrap_or_default(),
            redirect_uris: asked.redirect_uris.clone(),
            auth_method: asked.auth_method.as_str().to_owned(),
            secret_hash: secret.map(sha256),
            refreshes: asked.refreshes,
            created_at: now,
        };
        let digest = asked.digest();
        let kept = self.store.write(Durability::Disk, move |tx| match row.secret_hash {
            Some(_) => oauth_client::create(tx, &row).map(|()| row),
            None => oauth_client::create_or_find(tx, &row, &digest),
        })?;
        Ok(kept)
    }
}

impl Asked {
    /// Of everything that is kept, so that the same again is known.
    fn digest(&self) -> [u8; 32] {
        sha256(&json!([self.name, self.redirect_uris, self.auth_method.as_str(), self.refreshes]).to_string())
    }
}

fn invalid(description: String) -> Fault {
    // What the parsers say may quote the client's own text; quotes and backslashes have no place in a description.
    let plain = description.replace(['"', '\\'], "'");
    let printable = plain.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' });
    Fault::new("invalid_client_metadata", printable.take(300).collect::<String>())
}

fn read(body: &[u8]) -> Result<Asked, Fault> {
    let object = json::object(body).map_err(|why| invalid(format!("The body is no registration: {why}.")))?;
    let asked = Asked {
        redirect_uris: redirects(&object)?,
        name: name(&object).map_err(invalid)?,
        auth_method: method(&object).map_err(invalid)?,
        refreshes: refreshes(&object).map_err(invalid)?,
    };
    let responses = json::texts(&object, "response_types").map_err(invalid)?;
    match responses.is_some_and(|types| types != ["code"]) {
        true => Err(invalid("response_types can only be code.".to_owned())),
        false => Ok(asked),
    }
}

fn redirects(object: &Map<String, Value>) -> Result<Vec<String>, Fault> {
    let wrong = |text: String| Fault { code: "invalid_redirect_uri", ..invalid(text) };
    let uris = json::texts(object, "redirect_uris").map_err(wrong)?.unwrap_or_default();
    if !(1..=MAX_REDIRECTS).contains(&uris.len()) {
        return Err(wrong(format!("redirect_uris must have 1 to {MAX_REDIRECTS} items.")));
    }
    for (place, uri) in uris.iter().enumerate() {
        redirect::check(uri)
            .map_err(|why| wrong(format!("redirect_uris[{place}] {why}. Wanted is {}.", redirect::WANTED)))?;
    }
    Ok(uris)
}

fn name(object: &Map<String, Value>) -> Result<Option<String>, String> {
    let name = json::text(object, "client_name")?;
    match name.is_some_and(|name| name.chars().count() > MAX_NAME) {
        true => Err(format!("client_name has more than {MAX_NAME} characters.")),
        false => Ok(name.map(str::to_owned)),
    }
}

fn method(object: &Map<String, Value>) -> Result<AuthMethod, String> {
    match json::text(object, "token_endpoint_auth_method")? {
        None => Ok(AuthMethod::ClientSecretBasic),
        Some(name) => AuthMethod::parse(name).ok_or_else(|| {
            "token_endpoint_auth_method must be none, client_secret_post or client_secret_basic.".to_owned()
        }),
    }
}

/// Whether it wants refresh tokens. Grants that we do not have are left out of the answer, as RFC 7591 allows; the
/// authorization code has to be among them.
fn refreshes(object: &Map<String, Value>) -> Result<bool, String> {
    let Some(grants) = json::texts(object, "grant_types")? else { return Ok(false) };
    match grants.iter().any(|grant| grant == "authorization_code") {
        true => Ok(grants.iter().any(|grant| grant == "refresh_token")),
        false => {
            Err("grant_types must hold authorization_code; refresh_token may stand beside it.".to_owned())
        }
    }
}

fn answer(asked: &Asked, row: &Row, secret: Option<String>) -> Value {
    let mut answer = json!({
        "client_id": row.id,
        "client_id_issued_at": row.created_at.0.div_euclid(SECOND),
        "redirect_uris": row.redirect_uris,
        "grant_types": if asked.refreshes { vec!["authorization_code", "refresh_token"] } else { vec!["authorization_code"] },
        "response_types": ["code"],
        "token_endpoint_auth_method": row.auth_method,
    });
    if let Some(name) = &asked.name {
        answer["client_name"] = name.as_str().into();
    }
    if let Some(secret) = secret {
        answer["client_secret"] = secret.into();
        answer["client_secret_expires_at"] = 0.into();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::super::client::Presented;
    use super::super::testing::server;
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const CODE: &str = r#"{"client_name":"Claude Code","redirect_uris":["http://localhost:3118/callback"],
        "grant_types":["authorization_code","refresh_token"],"response_types":["code"],
        "token_endpoint_auth_method":"none","application_type":"native","scope":"mcp:read","logo_uri":null}"#;
    const HOSTED: &str = r#"{"client_name":"Claude","redirect_uris":["https://claude.ai/api/mcp/auth_callback"],
        "grant_types":["authorization_code","refresh_token"],"token_endpoint_auth_method":"client_secret_post"}"#;

    fn register(server: &Server, body: &str) -> Value {
        serde_json::from_str(&server.register(body.as_bytes(), HOME).unwrap()).unwrap()
    }

    #[test]
    fn a_public_client_is_the_same_each_time() {
        let (_folder, server) = server();
        let first = register(&server, CODE);
        let id = first["client_id"].as_str().unwrap();
        assert!(id.starts_with("dcr_") && id.len() == 26, "{id}");
        let expected = json!({"client_id": id, "client_id_issued_at": 1, "client_name": "Claude Code",
            "redirect_uris": ["http://localhost:3118/callback"], "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"], "token_endpoint_auth_method": "none"});
        assert_eq!(first, expected);
        server.clock.advance(5 * SECOND);
        assert_eq!(register(&server, CODE), first);
        assert_ne!(register(&server, &CODE.replace("3118", "3119"))["client_id"], first["client_id"]);
        let presented = Presented { client_id: Some(id), ..Presented::default() };
        assert!(server.authenticate(&presented).unwrap().refreshes);
    }

    #[test]
    fn a_secret_is_told_once_and_proves_the_client() {
        let (_folder, server) = server();
        let (first, second) = (register(&server, HOSTED), register(&server, HOSTED));
        assert_ne!(first["client_id"], second["client_id"]);
        assert_eq!(first["client_secret_expires_at"], 0);
        let secret = first["client_secret"].as_str().unwrap();
        assert_eq!(secret.len(), 43);
        let presented = Presented {
            authorization: None,
            client_id: first["client_id"].as_str(),
            client_secret: Some(secret),
        };
        assert!(server.authenticate(&presented).is_ok());
        let other = Presented { client_id: second["client_id"].as_str(), ..presented };
        assert_eq!(server.authenticate(&other).unwrap_err().code, "invalid_client");
    }

    #[test]
    fn what_is_left_out_is_as_the_standard_has_it() {
        let (_folder, server) = server();
        let answer = register(&server, r#"{"redirect_uris":["https://a.example/cb"]}"#);
        assert_eq!(answer["token_endpoint_auth_method"], "client_secret_basic");
        assert_eq!(answer["grant_types"], json!(["authorization_code"]));
        assert!(answer.get("client_name").is_none());
    }

    #[test]
    fn what_cannot_be_registered() {
        let (_folder, server) = server();
        let check = |members: &str, code: &str, expected: &str| {
            let body = format!(r#"{{"redirect_uris":["https://a.example/cb"],{members}}}"#);
            let body = members.strip_prefix('!').map_or(body, str::to_owned);
            server.clock.advance(SECOND);
            let fault = server.register(body.as_bytes(), HOME).expect_err(members);
            assert_eq!(fault.code, code, "{members}");
            assert!(fault.description.contains(expected), "{members}: {}", fault.description);
            assert!(!fault.description.contains(['"', '\\']) && fault.description.is_ascii());
        };
        let redirect = |uris: &str, expected: &str| {
            check(&format!("!{{\"redirect_uris\":{uris}}}"), "invalid_redirect_uri", expected);
        };
        redirect("null", "1 to 10 items");
        redirect("[]", "1 to 10 items");
        redirect("\"https://a.example/cb\"", "array of strings");
        redirect("[1]", "array of strings");
        redirect(&json!(vec!["https://a.example/cb"; 11]).to_string(), "1 to 10 items");
        redirect(
            r#"["https://a.example/cb","http://evil.example/cb"]"#,
            "redirect_uris[1] is http to another machine",
        );
        redirect(r#"["javascript:alert(1)"]"#, "not accepted");
        redirect(r#"["JAVASCRIPT:alert(1)"]"#, "lower case");
        redirect(r#"["https://a.example/*"]"#, "percent-encoded");
        redirect(r#"["https://a.example/cb#x"]"#, "fragment");
        redirect(r#"["https://u@a.example/cb"]"#, "user name");
        let metadata = |members: &str, expected: &str| check(members, "invalid_client_metadata", expected);
        metadata(r#""redirect_uris":["https://b.example/cb"]"#, "stands twice");
        metadata(r#""client_name":7"#, "client_name must be a string");
        metadata(&format!(r#""client_name":"{}""#, "x".repeat(129)), "128");
        metadata(r#""token_endpoint_auth_method":"private_key_jwt""#, "must be none");
        metadata(r#""token_endpoint_auth_method":["none"]"#, "must be a string");
        metadata(r#""grant_types":["client_credentials"]"#, "authorization_code");
        metadata(r#""grant_types":[]"#, "authorization_code");
        metadata(r#""response_types":["token"]"#, "code");
        metadata(r#""response_types":["code","token"]"#, "code");
        metadata("!", "no registration");
        metadata("![]", "no registration");
        metadata("!<html>\"é\\", "no registration");
        metadata("!redirect_uris=https%3A%2F%2Fa.example", "no registration");
    }

    #[test]
    fn one_address_cannot_flood() {
        let (_folder, server) = server();
        let refused = |address: &str| {
            let fault = server.register(b"{}", address.parse().unwrap()).expect_err("an empty registration");
            fault.code == "slow_down"
        };
        assert!((0..60).all(|_| !refused("2001:db8::1")));
        assert!(refused("2001:db8::2") && refused("2001:db8:0:0:ffff::"), "the network counts");
        assert!(refused("192.0.2.1"), "so do all together");
        server.clock.advance(SECOND);
        assert_eq!((0..30).filter(|_| !refused("2001:db8::1")).count(), 6);
        assert_eq!((0..30).filter(|_| !refused("192.0.2.1")).count(), 14);
        assert!(server.register(b"{}", "192.0.2.1".parse().unwrap()).unwrap_err().status() == 429);
    }
}
