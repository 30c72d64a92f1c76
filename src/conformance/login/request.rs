//! What an app sends: to the authorization endpoint through a browser, to the token endpoint itself (OAuth 2.1, 4.1;
//! RFC 7636; RFC 8707). No request is made here.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use hyper::header::HeaderValue;

use crate::clock;

/// A client of the authorization server.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its secret, and how it is shown.
    pub secret: Option<(String, Method)>,
}

/// How a client shows its secret (OAuth 2.1, 2.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// In the head.
    Basic,
    /// In the form.
    Post,
}

impl Client {
    /// One without a secret.
    pub fn public(id: impl Into<String>) -> Client {
        Client { id: id.into(), secret: None }
    }

    /// What stands in the head of its requests.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let Some((secret, Method::Basic)) = &self.secret else { return None };
        let pair = format!("{}:{}", encoded(&self.id), encoded(secret));
        let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(pair.as_bytes()))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// `pairs` and what shows who it is.
    pub fn form<'a>(&'a self, pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let mut form = pairs.to_vec();
        match &self.secret {
            None => form.push(("client_id", &self.id)),
            Some((secret, Method::Post)) => {
                form.extend([("client_id", &*self.id), ("client_secret", secret)])
            }
            Some((_, Method::Basic)) => {}
        }
        form
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// One request to the authorization endpoint: what only the app knows of it, and what it says.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What comes back with the answer; with characters that must be encoded, so that a server that does not is seen.
    pub state: String,
    /// The verifier of PKCE.
    pub verifier: String,
    /// Where the answer is to go.
    pub redirect_uri: String,
    /// The parameters, in order.
    pub pairs: Vec<(String, String)>,
}

impl Asked {
    /// A fresh request of `client` for `resource`.
    pub fn new(client: &Client, redirect_uri: &str, resource: Option<&str>, scope: Option<&str>) -> Asked {
        let (state, verifier) = (format!("{} /+&=%?", random()), random());
        let challenge = challenge(&verifier);
        let fixed = [
            ("response_type", "code"),
            ("client_id", &*client.id),
            ("redirect_uri", redirect_uri),
            ("state", &*state),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
        ];
        let more = [("resource", resource), ("scope", scope)];
        let more = more.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let pairs = fixed.into_iter().chain(more).map(|(name, value)| (name.to_owned(), value.to_owned()));
        Asked { pairs: pairs.collect(), redirect_uri: redirect_uri.to_owned(), state, verifier }
    }

    /// The same with `value` for `name`, or without it.
    pub fn with(mut self, name: &str, value: Option<&str>) -> Asked {
        match (self.pairs.iter_mut().find(|(found, _)| found == name), value) {
            (Some(pair), Some(value)) => value.clone_into(&mut pair.1),
            (Some(_), None) => self.pairs.retain(|(found, _)| found != name),
            (None, Some(value)) => self.pairs.push((name.to_owned(), value.to_owned())),
            (None, None) => {}
        }
        self
    }

    /// The URL to open, at the authorization endpoint `endpoint`, whose own query stays.
    pub fn url(&self, endpoint: &str) -> String {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.pairs).finish();
        format!("{endpoint}{}{query}", if endpoint.contains('?') { '&' } else { '?' })
    }
}

/// The S256 challenge of `verifier` (RFC 7636, 4.2).
pub fn challenge(verifier: &str) -> String {
    BASE64URL_NOPAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()).as_ref())
}

/// 43 characters that nobody guesses, fit for a verifier.
pub fn random() -> String {
    BASE64URL_NOPAD.encode(&clock::random::<32>())
}

/// The scope to ask for: what the challenge names, else what the resource lists, else nothing (MCP 2025-11-25, "Scope
/// Selection Strategy"); with `offline_access` where the authorization server has it, for a refresh token.
pub fn scope(challenged: Option<&str>, of_resource: Option<Vec<&str>>, offline: bool) -> Option<String> {
    let listed = of_resource.filter(|scopes| !scopes.is_empty()).map(|scopes| scopes.join(" "));
    let wanted = challenged.filter(|scope| !scope.trim().is_empty()).map(str::to_owned).or(listed);
    match (wanted, offline) {
        (Some(wanted), true) if !wanted.split(' ').any(|scope| scope == "offline_access") => {
            Some(format!("{wanted} offline_access"))
        }
        (wanted, _) => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert_eq!(random().len(), 43);
    }

    #[test]
    fn a_request_is_changed_at_one_place() {
        let asked =
            Asked::new(&Client::public("a b"), "http://127.0.0.1:1/cb", Some("https://r.example/"), None);
        let names =
            |asked: &Asked| asked.pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(&asked),
            "response_type client_id redirect_uri state code_challenge code_challenge_method resource"
        );
        let url = asked.url("https://as.example/authorize?tenant=1");
        assert!(
            url.starts_with("https://as.example/authorize?tenant=1&response_type=code&client_id=a+b&"),
            "{url}"
        );
        let less = asked.clone().with("code_challenge", None).with("scope", Some("x"));
        assert_eq!(
            names(&less),
            "response_type client_id redirect_uri state code_challenge_method resource scope"
        );
        assert_eq!(asked.clone().with("response_type", Some("token")).pairs[0].1, "token");
    }

    #[test]
    fn a_client_shows_who_it_is_in_one_place() {
        let check = |secret: Option<(&str, Method)>, head: Option<&str>, form: &[&str]| {
            let secret = secret.map(|(secret, method)| (secret.to_owned(), method));
            let client = Client { id: "i:d".into(), secret };
            assert_eq!(
                client.authorization().map(|value| value.to_str().unwrap().to_owned()).as_deref(),
                head
            );
            let names: Vec<_> = client.form(&[("a", "1")]).into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, form);
        };
        check(None, None, &["a", "client_id"]);
        check(Some(("s", Method::Post)), None, &["a", "client_id", "client_secret"]);
        check(Some(("s+", Method::Basic)), Some("Basic aSUzQWQ6cyUyQg=="), &["a"]);
    }

    #[test]
    fn the_scope_that_is_asked_for() {
        let check =
            |challenged: Option<&str>, listed: Option<&[&str]>, offline: bool, expected: Option<&str>| {
                assert_eq!(scope(challenged, listed.map(<[&str]>::to_vec), offline).as_deref(), expected);
            };
        check(Some("a b"), Some(&["c"]), false, Some("a b"));
        check(None, Some(&["c", "d"]), true, Some("c d offline_access"));
        check(Some(" "), Some(&[]), true, None);
        check(Some("offline_access"), None, true, Some("offline_access"));
    }
}
