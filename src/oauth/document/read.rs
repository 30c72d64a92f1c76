//! From the text of a document to a client.

use serde_json::{Map, Value};

use super::super::client::{AuthMethod, Client, ClientKind};
use super::super::{json, redirect};

/// Characters of a name that are kept.
const MAX_NAME: usize = 200;

/// The client that the document at `url` describes (draft-ietf-oauth-client-id-metadata-document, section 4; the
/// members are those of RFC 7591, section 2). Redirect URIs that nobody may register are passed over; one has to be
/// left.
///
/// # Errors
/// What is wrong with the document.
pub(super) fn client(url: &str, text: &[u8]) -> Result<Client, String> {
    let document = json::object(text)?;
    let id = json::text(&document, "client_id")?.ok_or("client_id is missing")?;
    if id != url {
        return Err(format!("client_id is {id:?} and not the document's own URL"));
    }
    check_secrets(&document)?;
    check_method(&document)?;
    let responses = json::texts(&document, "response_types")?;
    if responses.is_some_and(|types| !types.iter().any(|kind| kind == "code")) {
        return Err("response_types lacks code".to_owned());
    }
    Ok(Client {
        id: id.to_owned(),
        kind: ClientKind::Document,
        name: name(&document)?,
        redirect_uris: redirects(&document)?,
        auth_method: AuthMethod::None,
        secret_hash: None,
        refreshes: refreshes(&document)?,
        created_at: None,
    })
}

/// The `client_id` that a document names.
///
/// # Errors
/// What is wrong with the document.
pub(super) fn id(text: &[u8]) -> Result<String, String> {
    let document = json::object(text)?;
    Ok(json::text(&document, "client_id")?.ok_or("client_id is missing")?.to_owned())
}

fn name(document: &Map<String, Value>) -> Result<String, String> {
    let name = json::text(document, "client_name")?.unwrap_or_default().trim();
    match name.is_empty() {
        true => Err("client_name is missing".to_owned()),
        false => Ok(name.chars().take(MAX_NAME).collect()),
    }
}

fn redirects(document: &Map<String, Value>) -> Result<Vec<String>, String> {
    let mut all = json::texts(document, "redirect_uris")?.ok_or("redirect_uris is missing")?;
    let wrong = all.iter().find_map(|uri| redirect::check(uri).err().map(|why| format!("{uri:?} {why}")));
    all.retain(|uri| redirect::check(uri).is_ok());
    match (all.is_empty(), wrong) {
        (false, _) => Ok(all),
        (true, Some(wrong)) => Err(format!("no redirect URI can be used: {wrong}")),
        (true, None) => Err("redirect_uris is empty".to_owned()),
    }
}

/// Whether it wants refresh tokens.
fn refreshes(document: &Map<String, Value>) -> Result<bool, String> {
    let Some(grants) = json::texts(document, "grant_types")? else { return Ok(false) };
    match grants.iter().any(|grant| grant == "authorization_code") {
        true => Ok(grants.iter().any(|grant| grant == "refresh_token")),
        false => Err("grant_types lacks authorization_code".to_owned()),
    }
}

/// A public document can hold no secret: whoever wrote one into it has given it away (section 4.1).
fn check_secrets(document: &Map<String, Value>) -> Result<(), String> {
    if let Some(member) =
        ["client_secret", "client_secret_expires_at"].iter().find(|name| document.contains_key(**name))
    {
        return Err(format!("it has the member {member}, which has no place in public"));
    }
    let keys = document.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let leaks = |key: &Value| private.iter().any(|member| key.get(member).is_some());
    match keys.is_some_and(|keys| keys.iter().any(leaks)) {
        true => Err("jwks holds a private key".to_owned()),
        false => Ok(()),
    }
}

/// Such a client is public here. One that offers several methods says `none` among them; one that says nothing at all
/// has no secret to prove itself with either.
fn check_method(document: &Map<String, Value>) -> Result<(), String> {
    let listed = |name: &str| match document.get(name) {
        Some(Value::Array(_)) => json::texts(document, name).map(Option::unwrap_or_default),
        _ => Ok(json::text(document, name)?.map(str::to_owned).into_iter().collect()),
    };
    let mut methods = listed("token_endpoint_auth_method")?;
    if let Some(secret) = methods.iter().find(|method| method.starts_with("client_secret")) {
        return Err(format!("token_endpoint_auth_method is {secret}, but a document can hold no secret"));
    }
    methods.extend(listed("token_endpoint_auth_methods_supported")?);
    match methods.is_empty() || methods.iter().any(|method| method == "none") {
        true => Ok(()),
        false => Err(format!("it offers {} to prove itself, and not none", methods.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://app.example.com/client.json";

    /// The reading of a proper document with `members` put into it or, where they are null, taken out.
    fn with(members: &str) -> Result<Client, String> {
        let mut document: Map<String, Value> = serde_json::from_str(
            r#"{"client_id":"https://app.example.com/client.json","client_name":"App",
            "redirect_uris":["https://app.example.com/cb"],"grant_types":["authorization_code","refresh_token"],
            "token_endpoint_auth_method":"none","logo_uri":"https://app.example.com/logo.png","contacts":[1]}"#,
        )
        .unwrap();
        for (name, value) in serde_json::from_str::<Map<String, Value>>(members).unwrap() {
            document.insert(name, value);
        }
        document.retain(|_, value| !value.is_null());
        client(URL, Value::Object(document).to_string().as_bytes())
    }

    #[test]
    fn what_is_accepted() {
        let check = |members: &str, redirects: &[&str], refreshes: bool| {
            let client = with(members).expect(members);
            assert_eq!(client.redirect_uris, redirects);
            assert_eq!(client.refreshes, refreshes, "{members}");
            assert_eq!((client.id.as_str(), client.auth_method), (URL, AuthMethod::None));
        };
        let own: &[&str] = &["https://app.example.com/cb"];
        check("{}", own, true);
        check(r#"{"grant_types":null}"#, own, false);
        check(
            r#"{"grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:jwt-bearer"]}"#,
            own,
            false,
        );
        check(r#"{"token_endpoint_auth_method":null}"#, own, true);
        check(r#"{"token_endpoint_auth_method":["private_key_jwt","none"]}"#, own, true);
        let both = r#"{"token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_methods_supported":["none"]}"#;
        check(both, own, true);
        check(
            r#"{"redirect_uris":["http://evil.example/","http://localhost/callback"]}"#,
            &["http://localhost/callback"],
            true,
        );
        check(r#"{"jwks":{"keys":[{"kty":"OKP","x":"abc"}]}}"#, own, true);
    }

    #[test]
    fn what_is_refused() {
        let check = |members: &str, expected: &str| {
            let error = with(members).expect_err(members);
            assert!(error.contains(expected), "{members}: {error}");
        };
        check(r#"{"client_id":null}"#, "client_id is missing");
        check(r#"{"client_id":"https://app.example.com/client.json/"}"#, "not the document's own URL");
        check(r#"{"client_id":"https://APP.example.com/client.json"}"#, "not the document's own URL");
        check(r#"{"client_id":7}"#, "client_id must be a string");
        check(r#"{"client_name":null}"#, "client_name is missing");
        check(r#"{"client_name":"  "}"#, "client_name is missing");
        check(r#"{"redirect_uris":null}"#, "redirect_uris is missing");
        check(r#"{"redirect_uris":[]}"#, "redirect_uris is empty");
        check(r#"{"redirect_uris":"https://app.example.com/cb"}"#, "array of strings");
        check(r#"{"redirect_uris":["javascript:alert(1)"]}"#, "no redirect URI can be used");
        check(r#"{"client_secret":"x"}"#, "client_secret");
        check(r#"{"client_secret_expires_at":0}"#, "client_secret_expires_at");
        check(r#"{"jwks":{"keys":[{"kty":"OKP","x":"abc","d":"oh"}]}}"#, "private key");
        check(r#"{"jwks":{"keys":[{"kty":"oct","k":"oh"}]}}"#, "private key");
        check(r#"{"token_endpoint_auth_method":"client_secret_basic"}"#, "no secret");
        check(r#"{"token_endpoint_auth_method":"private_key_jwt"}"#, "not none");
        check(r#"{"grant_types":["refresh_token"]}"#, "lacks authorization_code");
        check(r#"{"response_types":["token"]}"#, "lacks code");
        let twins = format!(r#"{{"client_id":"{URL}","client_id":"{URL}"}}"#);
        assert!(client(URL, twins.as_bytes()).unwrap_err().contains("stands twice"));
        assert!(client(URL, b"<!DOCTYPE html>").is_err() && client(URL, b"\xff{}").is_err());
    }
}
