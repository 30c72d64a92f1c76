//! What must stand in the documents, in the answer that the browser brings back and in that of the token endpoint.

use super::discovery::{self, Document, Fit, fit};
use super::listener::Returned;
use super::notes::Notes;
use super::request::Asked;
use super::web::{Answer, printable, without_query};

/// Checks the document of the resource at `url` (RFC 9728, 2 and 3.3).
pub fn check_resource(document: &Document, url: &str, notes: &mut Notes) {
    let named = document.text("resource").unwrap_or_default();
    let seen = format!("resource is {:?}", printable(named));
    match fit(named, url) {
        Fit::Same => notes.pass("resource-identity", seen),
        Fit::Near => notes.warn(
            "resource-identity",
            format!("{seen}: not the URL to the letter, which some clients want it to be"),
        ),
        Fit::Other => notes.fail("resource-identity", seen),
    }
    let servers = document.texts("authorization_servers").unwrap_or_default();
    notes.judge(
        "resource-servers",
        !servers.is_empty(),
        format!("{} authorization servers: {}", servers.len(), printable(&servers.join(", "))),
    );
    match document.texts("bearer_methods_supported") {
        Some(methods) => {
            let seen = format!("bearer_methods_supported: {}", printable(&methods.join(", ")));
            notes.judge("resource-bearer-methods", !methods.contains(&"query"), seen);
        }
        None => notes.skip("resource-bearer-methods", "the document does not say how tokens may be sent"),
    }
}

/// Checks the document of the authorization server `issuer` (RFC 8414, 2 and 3.3).
pub fn check_server(document: &Document, issuer: &str, notes: &mut Notes) {
    let Some(named) = document.text("issuer") else {
        return notes.skip("server-issuer", "there is no document that names the issuer");
    };
    notes.judge(
        "server-issuer",
        named == issuer,
        format!("issuer is {:?}, asked for {:?}", printable(named), printable(issuer)),
    );
    let methods = document.texts("code_challenge_methods_supported");
    let shown = methods.as_ref().map_or("absent".to_owned(), |methods| printable(&methods.join(", ")));
    let seen = format!("code_challenge_methods_supported: {shown}");
    notes.judge("server-s256", methods.is_some_and(|methods| methods.contains(&"S256")), seen);
    let open: Vec<_> = document.endpoints().filter(|url| !is_private(url)).map(without_query).collect();
    let seen = if open.is_empty() { "all https, or on this machine".to_owned() } else { open.join(", ") };
    notes.judge("server-https", open.is_empty(), seen);
    if let Some(types) = document.texts("response_types_supported") {
        let seen = format!("response_types_supported: {}", printable(&types.join(", ")));
        let implicit = types.iter().any(|kind| kind.split(' ').any(|one| one == "token"));
        notes.judge("server-no-implicit", !implicit, seen);
    }
}

/// Whether nobody on the way reads what is sent to `url`.
fn is_private(url: &str) -> bool {
    let Some((origin, _)) = discovery::split(url) else { return false };
    let near = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    origin.starts_with("https://")
        || near
            .iter()
            .any(|own| origin.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
}

/// Checks what the browser came back with (OAuth 2.1, 4.1.2; RFC 9207).
pub fn check_return(returned: &Returned, asked: &Asked, server: &Document, issuer: &str, notes: &mut Notes) {
    let state = state_of(returned, asked);
    notes.judge("return-state", state == BACK, state);
    let expected = server.text("issuer").unwrap_or(issuer);
    match (returned.get("iss"), promises_iss(server)) {
        (Some(iss), _) => {
            let seen = format!("iss is {:?}", printable(iss));
            notes.judge("return-iss", is_from(returned, expected), seen);
        }
        (None, true) => notes.fail("return-iss", "promised in the document, and absent"),
        (None, false) => notes.skip("return-iss", "the server does not promise it"),
    }
}

/// Why an app must not redeem the code that came: somebody else may have asked for it, or another server given it.
pub fn foreign(returned: &Returned, asked: &Asked, server: &Document, issuer: &str) -> Option<String> {
    let state = state_of(returned, asked);
    let expected = server.text("issuer").unwrap_or(issuer);
    let why = match (state == BACK, returned.get("iss"), promises_iss(server)) {
        (false, ..) => format!("of state, {state}"),
        (true, None, true) => "iss is promised, and did not come back".to_owned(),
        (true, Some(_), _) if !is_from(returned, expected) => "iss names another server".to_owned(),
        _ => return None,
    };
    Some(format!("{why}: an app must not redeem a code that came so, and this one was not"))
}

const BACK: &str = "it came back to the letter";

fn state_of(returned: &Returned, asked: &Asked) -> &'static str {
    match (returned.count("state"), returned.get("state") == Some(&*asked.state)) {
        (1, true) => BACK,
        (0, _) => "it did not come back",
        (1, false) => "it came back changed",
        _ => "it came back more than once",
    }
}

fn is_from(returned: &Returned, issuer: &str) -> bool {
    returned.count("iss") == 1 && returned.get("iss") == Some(issuer)
}

fn promises_iss(server: &Document) -> bool {
    server.says("authorization_response_iss_parameter_supported")
}

/// Checks the answer that brought tokens (OAuth 2.1, 3.2.3).
pub fn check_tokens(answer: &Answer, asked: Option<&str>, notes: &mut Notes) {
    let body = answer.json().unwrap_or_default();
    if !answer.is_success() {
        return notes.fail("token-answer", answer.shown());
    }
    let kind = body["token_type"].as_str().unwrap_or_default();
    let whole = body["access_token"].is_string() && kind.eq_ignore_ascii_case("bearer") && answer.is_json();
    let life = &body["expires_in"];
    let seen = format!(
        "{}, token_type {:?}, expires_in {life}, {}",
        answer.shown(),
        printable(kind),
        answer.field("content-type").unwrap_or("no Content-Type")
    );
    let seconds = life.is_null() || life.as_f64().is_some_and(|seconds| seconds > 0.0);
    notes.judge("token-answer", whole && seconds && answer.status == 200, seen);
    let stored = answer.field("cache-control").unwrap_or("none");
    notes.judge("token-no-store", stored.contains("no-store"), format!("Cache-Control: {stored}"));
    let granted = body["scope"].as_str();
    match (asked, granted) {
        (None, _) => notes.skip("token-scope", "no scope was asked for"),
        (Some(_), None) => notes.pass("token-scope", "left out: all that was asked for was granted"),
        (Some(asked), Some(granted)) => {
            let more: Vec<_> =
                granted.split(' ').filter(|one| !asked.split(' ').any(|a| a == *one)).collect();
            let seen = format!("asked for {:?}, granted {:?}", printable(asked), printable(granted));
            match more.is_empty() {
                true => notes.pass("token-scope", seen),
                false => notes.warn("token-scope", format!("{seen}: more than was asked for")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::notes::Trial;
    use super::super::request::Client;
    use super::*;
    use serde_json::{Value, json};

    fn is(notes: &Notes, id: &str) -> &'static str {
        match notes.of(id) {
            Some(Trial::Passed(_)) => "passed",
            Some(Trial::Failed(_)) => "failed",
            Some(Trial::Warned(_)) => "warned",
            Some(Trial::NotExercised(_)) => "not exercised",
            None => "nothing",
        }
    }

    #[test]
    fn the_document_of_the_resource() {
        let check = |document: Value, id: &str, expected: &str| {
            let mut notes = Notes::new();
            check_resource(&Document::read(document, &[]).unwrap(), "https://a.example/mcp", &mut notes);
            assert_eq!(is(&notes, id), expected);
        };
        check(json!({"resource": "https://a.example/mcp"}), "resource-identity", "passed");
        check(json!({"resource": "https://a.example"}), "resource-identity", "warned");
        check(json!({"resource": "https://b.example/mcp"}), "resource-identity", "failed");
        check(json!({}), "resource-identity", "failed");
        check(json!({"authorization_servers": []}), "resource-servers", "failed");
        check(json!({"authorization_servers": ["https://a.example"]}), "resource-servers", "passed");
        check(json!({"bearer_methods_supported": ["header", "query"]}), "resource-bearer-methods", "failed");
        check(json!({}), "resource-bearer-methods", "not exercised");
    }

    #[test]
    fn the_document_of_the_server() {
        let check = |change: Value, id: &str, expected: &str| {
            let mut document = json!({"issuer": "https://a.example", "authorization_endpoint": "https://a.example/a",
                "token_endpoint": "http://localhost:1/t", "code_challenge_methods_supported": ["S256"],
                "response_types_supported": ["code"]});
            for (name, value) in change.as_object().unwrap() {
                document[name] = value.clone();
            }
            let mut notes = Notes::new();
            check_server(&Document::read(document, &[]).unwrap(), "https://a.example", &mut notes);
            assert_eq!(is(&notes, id), expected, "{id}");
        };
        for id in ["server-issuer", "server-s256", "server-https", "server-no-implicit"] {
            check(json!({}), id, "passed");
        }
        check(json!({"issuer": "https://a.example/"}), "server-issuer", "failed");
        check(json!({"code_challenge_methods_supported": ["plain"]}), "server-s256", "failed");
        check(json!({"code_challenge_methods_supported": null}), "server-s256", "failed");
        check(json!({"token_endpoint": "http://localhost.b.example/t"}), "server-https", "failed");
        check(
            json!({"response_types_supported": ["code", "id_token token"]}),
            "server-no-implicit",
            "failed",
        );
    }

    #[test]
    fn what_comes_back() {
        let asked = Asked::new(&Client::public("c"), "http://127.0.0.1:1/cb", None, None);
        let check = |pairs: &[(&str, &str)], promised: bool, state: &str, iss: &str| {
            let document = json!({"issuer": "https://a.example",
                "authorization_response_iss_parameter_supported": promised});
            let pairs = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            let returned = Returned { pairs, ..Returned::default() };
            let mut notes = Notes::new();
            let document = Document::read(document, &[]).unwrap();
            check_return(&returned, &asked, &document, "https://a.example", &mut notes);
            assert_eq!((is(&notes, "return-state"), is(&notes, "return-iss")), (state, iss));
            let broken = [state, iss].contains(&"failed");
            let refused = foreign(&returned, &asked, &document, "https://a.example").is_some();
            assert_eq!(refused, broken, "{returned:?}");
        };
        check(&[("state", &asked.state), ("iss", "https://a.example")], true, "passed", "passed");
        check(&[("state", &asked.state), ("state", &asked.state)], true, "failed", "failed");
        check(&[("state", "x"), ("iss", "https://b.example")], false, "failed", "failed");
        let double = [("state", &*asked.state), ("iss", "https://a.example"), ("iss", "https://b.example")];
        check(&double, true, "passed", "failed");
        check(&[("state", &asked.state)], true, "passed", "failed");
        check(&[("state", &asked.state), ("iss", "https://b.example")], false, "passed", "failed");
        check(&[("state", &asked.state)], false, "passed", "not exercised");
        check(&[], false, "failed", "not exercised");
    }
}
