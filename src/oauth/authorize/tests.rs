use super::super::params::tests::pairs;
use super::super::testing::{ISSUER, client};
use super::*;

const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const MCP: &str = "https%3A%2F%2Fchat.example.com%2Fmcp";

/// A good query, with `changes`: `name=value` instead of what it has, `name` to leave it out, `+name=value` once more.
fn query(changes: &str) -> String {
    let good = format!(
        "client_id=app redirect_uri=https%3A%2F%2Fapp.example.com%2Fback response_type=code state=s%2Fx \
         code_challenge={CHALLENGE} code_challenge_method=S256 scope=mcp%3Aread+mcp%3Awrite resource={MCP}"
    );
    let mut parts: Vec<String> = good.split(' ').map(str::to_owned).collect();
    for change in changes.split_whitespace() {
        let (name, value) = change.trim_start_matches('+').split_once('=').unwrap_or((change, ""));
        if !change.starts_with('+') {
            parts.retain(|part| !part.starts_with(&format!("{name}=")));
        }
        if change.contains('=') {
            parts.push(format!("{name}={value}"));
        }
    }
    parts.join("&")
}

fn request(changes: &str) -> Result<Request, Fault> {
    let client = client("app", &["https://app.example.com/back"]);
    let asked = Asked::parse(pairs(&query(changes)))?;
    let redirect_uri = asked.redirect(&client)?;
    asked.check(ISSUER, client, redirect_uri)
}

#[test]
fn what_is_shown_on_a_page() {
    let check = |changes: &str, said: &str| {
        let client = client("app", &["https://app.example.com/back", "http://localhost/back"]);
        let found = Asked::parse(pairs(&query(changes))).and_then(|asked| asked.redirect(&client));
        let fault = found.expect_err(changes);
        assert!(fault.code == "invalid_request" && fault.description.contains(said), "{changes}: {fault:?}");
    };
    check("client_id", "client_id is missing");
    check("client_id=", "client_id is missing");
    check("+client_id=app", "twice");
    check("+redirect_uri=https%3A%2F%2Fapp.example.com%2Fback", "twice");
    check("+state=s%2Fx", "twice");
    check("+scope=mcp%3Aread", "twice");
    check("+code_challenge=x", "twice");
    check("+anything=1 +anything=1", "twice");
    check(&format!("state={}", "s".repeat(2_049)), "state is longer");
    check(&format!("more={}", "s".repeat(8_192)), "longer than 8192");
    check("redirect_uri", "redirect_uri is missing");
    for wrong in [
        "https%3A%2F%2Fapp.example.com%2Fback%2F",
        "https%3A%2F%2Fapp.example.com%2FBack",
        "HTTPS%3A%2F%2Fapp.example.com%2Fback",
        "https%3A%2F%2Fapp.example.com%2Fback%3Fx%3D1",
        "https%3A%2F%2Fapp.example.com%2Fback%2F..%3B%2Fx",
        "https%3A%2F%2Fapp.example.com%3A8443%2Fback",
        "https%3A%2F%2Fapp.example.com%40evil.example%2Fback",
        "http%3A%2F%2Flocalhost%3A1234%2Fother",
        "http%3A%2F%2F127.0.0.1%3A1234%2Fback",
        "http%3A%2F%2Flocalhost.evil.example%2Fback",
    ] {
        check(&format!("redirect_uri={wrong}"), "none of those");
    }
}

#[test]
fn where_people_go_back() {
    let check = |registered: &[&str], changes: &str, expected: Option<&str>| {
        let client = client("app", registered);
        let asked = Asked::parse(pairs(&query(changes))).unwrap();
        assert_eq!(asked.redirect(&client).ok().as_deref(), expected, "{registered:?} {changes}");
    };
    let https = "https://app.example.com/back";
    check(&[https], "", Some(https));
    check(&[https], "redirect_uri", Some(https));
    check(&[https, "https://b.example/"], "redirect_uri", None);
    check(&["http://localhost/cb"], "redirect_uri", None);
    check(
        &["http://localhost/cb"],
        "redirect_uri=http%3A%2F%2Flocalhost%3A51234%2Fcb",
        Some("http://localhost:51234/cb"),
    );
}

#[test]
fn what_the_app_is_told() {
    let check = |changes: &str, code: &str| {
        assert_eq!(request(changes).expect_err(changes).code, code, "{changes}");
    };
    check("response_type", "invalid_request");
    check("response_type=token", "unsupported_response_type");
    check("response_type=code+id_token", "unsupported_response_type");
    check("response_mode=fragment", "invalid_request");
    check("response_mode=form_post", "invalid_request");
    check("code_challenge", "invalid_request");
    check("code_challenge_method", "invalid_request");
    check("code_challenge_method=plain", "invalid_request");
    check("code_challenge_method=s256", "invalid_request");
    check("code_challenge=short", "invalid_request");
    check("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw%2BcM", "invalid_request");
    check("code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM%3D", "invalid_request");
    check("resource=https%3A%2F%2Fevil.example%2Fmcp", "invalid_target");
    check("+resource=https%3A%2F%2Fchat.example.com%2Fmcp-readonly", "invalid_target");
}

#[test]
fn what_is_asked_for() {
    let check = |changes: &str, endpoint: Option<Endpoint>, write: bool| {
        let request = request(changes).expect(changes);
        assert_eq!((request.endpoint, request.write), (endpoint, write), "{changes}");
    };
    let (full, read_only) = (Some(Endpoint::Full), Some(Endpoint::ReadOnly));
    check("", full, true);
    check("response_mode=query", full, true);
    check("scope=mcp%3Aread", full, false);
    check("scope=claudeai", full, false);
    check("scope", full, false);
    check("resource=https%3A%2F%2Fchat.example.com%2Fmcp-readonly%2F", read_only, false);
    check("+resource=https%3A%2F%2Fchat.example.com%2Fmcp%2F", full, true);
    check("resource", full, true);
    check("resource=https%3A%2F%2Fchat.example.com%2F", full, true);
    check("resource scope=mcp%3Aread", read_only, false);
    check("resource scope", None, false);
    check("resource scope=offline_access", None, false);
    assert_eq!(request("").unwrap().state.as_deref(), Some("s/x"));
    assert_eq!(request("state").unwrap().state, None);
}

#[test]
fn how_the_person_is_asked() {
    let check = |prompt: &str, none: bool, login: bool| {
        let asked = Asked::parse(pairs(&query(&format!("prompt={prompt}")))).unwrap();
        assert_eq!(asked.prompt(), Prompt { none, login }, "{prompt}");
    };
    check("", false, false);
    check("none", true, false);
    check("consent", false, false);
    check("consent+login", false, true);
    check("loginx", false, false);
}

#[test]
fn answers_go_back_in_the_query() {
    let fault = Fault::new("access_denied", "no");
    let check = |redirect_uri: &str, state: Option<&str>, expected: &str| {
        assert_eq!(refusal_url(ISSUER, redirect_uri, state, &fault), expected);
    };
    let tail = "error_description=no&iss=https%3A%2F%2Fchat.example.com";
    check("https://a.example/b", None, &format!("https://a.example/b?error=access_denied&{tail}"));
    check(
        "https://a.example/b?x=%2f+1",
        None,
        &format!("https://a.example/b?x=%2f+1&error=access_denied&{tail}"),
    );
    check("cursor://x/y", None, &format!("cursor://x/y?error=access_denied&{tail}"));
    check(
        "https://a.example/b",
        Some("a b+c&d=\"<é"),
        "https://a.example/b?error=access_denied&error_description=no&state=a%20b%2Bc%26d%3D%22%3C%C3%A9\
         &iss=https%3A%2F%2Fchat.example.com",
    );
}
