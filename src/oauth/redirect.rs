//! Redirect URIs: which may be registered, and whether one asked for is one registered.
//!
//! Everything here works on the text as it came. Nothing is decoded, lower-cased or resolved, for two parsers that
//! disagree about a URI are how codes get lost (RFC 9700, section 4.1; OAuth 2.1, section 4.1.1).

use std::net::Ipv6Addr;

/// Bytes of a redirect URI.
pub const MAX_BYTES: usize = 2_048;
/// Schemes without a dot that are registered all the same: those of editors that are in wide use.
const EDITORS: [&str; 3] = ["cursor", "vscode", "vscode-insiders"];
/// The hosts of this machine, as apps write them (RFC 8252, section 7.3; `localhost` because Claude Code sends it).
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What [`check`] takes, in words.
pub const WANTED: &str = "https://host/path, http://localhost/path (for an app on the person's own machine), or the \
                          app's own scheme, such as com.example.app:/path";

/// Whether `uri` may be registered: `https` to any host, `http` to this machine alone, or a scheme of the app's own,
/// which has a dot (OAuth 2.1, section 8.4.3) or is an editor's. No fragment, user, wildcard or dot segment.
///
/// # Errors
/// What is wrong with it, as the end of the sentence "The redirect URI …".
pub fn check(uri: &str) -> Result<(), &'static str> {
    check_text(uri)?;
    let (scheme, rest) = uri.split_once(':').ok_or("has no scheme")?;
    check_scheme(scheme)?;
    let authority = rest.strip_prefix("//").map(authority_of);
    if authority.is_some_and(|authority| authority.contains('@')) {
        return Err("holds a user name or password");
    }
    if has_dot_segment(rest) {
        return Err("has a segment . or .. in its path");
    }
    if has_our_parameter(rest) {
        return Err("has one of code, state, iss and error in its query, which the answer adds");
    }
    match (scheme, authority) {
        ("https", Some(authority)) if is_host_and_port(authority) => Ok(()),
        ("http", Some(_)) if is_loopback(uri) => Ok(()),
        ("https", _) => Err("names no host"),
        ("http", _) => Err("is http to another machine; only localhost, 127.0.0.1 and [::1] may be http"),
        _ if rest.trim_matches('/').is_empty() => Err("has nothing after its scheme"),
        _ if EDITORS.contains(&scheme) || scheme.contains('.') => Ok(()),
        _ => Err(
            "has a scheme that is not accepted: use https, http to localhost, or one like com.example.app",
        ),
    }
}

/// Whether the URI `asked` for is the one `registered`: the same text, but that the port of an `http` URI to this
/// machine is free (RFC 8252, section 7.3; RFC 9700, section 2.1).
pub fn matches(registered: &str, asked: &str) -> bool {
    registered == asked
        || match (split_loopback(registered), split_loopback(asked)) {
            (Some(registered), Some(asked)) => registered == asked,
            _ => false,
        }
}

/// Where `uri` leads: `https://app.example.com`, `http://localhost:1234`, or of a
/// scheme of the app's own the scheme alone, `cursor:`.
pub fn origin_of(uri: &str) -> &str {
    let Some((scheme, rest)) = uri.split_once(':') else { return "" };
    match rest.strip_prefix("//") {
        Some(after) if matches!(scheme, "https" | "http") => {
            &uri[..scheme.len() + "://".len() + authority_of(after).len()]
        }
        _ => &uri[..=scheme.len()],
    }
}

/// The same without the scheme of the web, for people: `app.example.com`, `localhost:1234`, `cursor:`.
pub fn host_of(uri: &str) -> &str {
    let origin = origin_of(uri);
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

/// The source expression for `form-action` that lets a form lead to `uri`: its origin, or where the policy's grammar has
/// no words for the host, as for an IPv6 address, its scheme (CSP level 3, section 2.3.1).
pub fn policy_source(uri: &str) -> &str {
    let origin = origin_of(uri);
    let Some((scheme, authority)) = origin.split_once("://") else { return origin };
    let said = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    match split_port(authority).0.bytes().all(said) {
        true => origin,
        false => &uri[..=scheme.len()],
    }
}

/// Whether `uri` leads to this machine over `http`, hence to whatever program listens there.
pub fn is_loopback(uri: &str) -> bool {
    split_loopback(uri).is_some()
}

/// The host and what follows the port of an `http` URI to this machine.
fn split_loopback(uri: &str) -> Option<(&str, &str)> {
    let after = uri.strip_prefix("http://")?;
    let host = LOOPBACK.into_iter().find(|host| after.starts_with(host))?;
    let mut rest = &after[host.len()..];
    if let Some(ported) = rest.strip_prefix(':') {
        let digits = ported.bytes().take_while(u8::is_ascii_digit).count();
        is_port(&ported[..digits]).then_some(())?;
        rest = &ported[digits..];
    }
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// Whether the query has a parameter of the answer, which would then stand there twice (OAuth 2.1, section 4.1.2).
fn has_our_parameter(rest: &str) -> bool {
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let mut names = form_urlencoded::parse(query.as_bytes());
    names.any(|(name, _)| ["code", "state", "iss", "error", "error_description"].contains(&&*name))
}

/// The characters of RFC 3986, less the wildcard, and percent signs only before two hexadecimal digits.
pub(super) fn check_text(uri: &str) -> Result<(), &'static str> {
    if uri.is_empty() || uri.len() > MAX_BYTES {
        return Err("has to be 1 to 2048 characters");
    }
    if uri.contains('#') {
        return Err("has a fragment");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()+,;=%".contains(&byte);
    if !uri.bytes().all(allowed) {
        return Err("has a character that must be percent-encoded");
    }
    let escaped = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    match uri.split('%').skip(1).all(escaped) {
        true => Ok(()),
        false => Err("has a percent sign without two hexadecimal digits"),
    }
}

fn check_scheme(scheme: &str) -> Result<(), &'static str> {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    match scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.bytes().all(letters) {
        true => Ok(()),
        false => Err("has a scheme that is not written in lower case"),
    }
}

/// What stands before the path of `after`, which follows `//`.
pub(super) fn authority_of(after: &str) -> &str {
    after.split(['/', '?']).next().unwrap_or_default()
}

fn is_host_and_port(authority: &str) -> bool {
    let (host, port) = split_port(authority);
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = !host.is_empty() && host.bytes().all(name);
    (named || literal.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())) && port.is_none_or(is_port)
}

/// Host and port of an authority without user; an IPv6 address keeps its brackets.
pub(super) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_port(port: &str) -> bool {
    let digits = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    digits && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a segment of the path is `.` or `..`, written as it is or encoded, with or without parameters after `;`.
pub(super) fn has_dot_segment(rest: &str) -> bool {
    let path = rest.split('?').next().unwrap_or_default();
    let dots = |segment: &str| {
        let name = segment.split(';').next().unwrap_or_default();
        name.len() <= 6 && matches!(name.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
    };
    path.split('/').any(dots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_may_be_registered() {
        let good = |uri: &str| assert_eq!(check(uri), Ok(()), "{uri}");
        good("https://claude.ai/api/mcp/auth_callback");
        good("https://app.example.com:8443/cb?tenant=1&codes=2");
        good("https://[2001:db8::1]/cb");
        good("https://a.example");
        good("http://localhost/callback");
        good("http://127.0.0.1:33418/");
        good("http://[::1]:1/cb?x=%2F");
        good("http://localhost");
        good("cursor://anysphere.cursor-retrieval/oauth/callback");
        good("vscode-insiders://vendor.extension/cb");
        good("com.example.app:/oauth2redirect");
    }

    #[test]
    fn what_may_not() {
        let bad = |uri: &str, why: &str| {
            let error = check(uri).expect_err(uri);
            assert!(error.contains(why), "{uri}: {error}");
        };
        bad("", "1 to 2048");
        bad(&format!("https://a.example/{}", "x".repeat(2_048)), "1 to 2048");
        bad("https://a.example/cb#", "fragment");
        bad("https://*.example.com/cb", "percent-encoded");
        bad("https://a.example/c b", "percent-encoded");
        bad(" https://a.example/", "percent-encoded");
        bad("https://a.example/\u{0}", "percent-encoded");
        bad("https://a.example\\@evil.example/", "percent-encoded");
        bad("https://bücher.example/", "percent-encoded");
        bad("https://a.example/%zz", "percent sign");
        bad("https://a.example/%", "percent sign");
        bad("https://user@a.example/cb", "user name");
        bad("https://user:pw@a.example/cb", "user name");
        bad("https://a.example/x/../cb", "segment");
        bad("https://a.example/x/%2E%2e/cb", "segment");
        bad("https://a.example/x/.%2e", "segment");
        bad("https://a.example/x/..;/cb", "segment");
        bad("https://a.example/./cb", "segment");
        bad("https://a.example/cb?a=1&code=2", "in its query");
        bad("https://a.example/cb?%69ss=x", "in its query");
        bad("com.example.app:/cb?state", "in its query");
        bad("https:///cb", "no host");
        bad("https:a.example/cb", "no host");
        bad("https://a.example:0/cb", "no host");
        bad("https://a.example:65536/cb", "no host");
        bad("https://a.example:+80/cb", "no host");
        bad("https://[::1/cb", "no host");
        bad("http://a.example/cb", "another machine");
        bad("http://localhost.evil.example/cb", "another machine");
        bad("http://127.0.0.1.evil.example/cb", "another machine");
        bad("http://127.0.0.2/cb", "another machine");
        bad("http://LOCALHOST/cb", "another machine");
        bad("http://localhost:99999/cb", "another machine");
        bad("http://0.0.0.0/cb", "another machine");
        bad("http://localhost:1@evil.example/", "user name");
        bad("HTTPS://a.example/cb", "lower case");
        bad("JavaScript:alert(1)", "lower case");
        bad("\tjavascript:alert(1)", "percent-encoded");
        for scheme in ["javascript", "data", "vbscript", "file", "blob", "mailto", "about", "myapp", "ftp"] {
            bad(&format!("{scheme}:x"), "not accepted");
        }
        bad("callback", "no scheme");
        bad("//a.example/cb", "no scheme");
        bad("cursor://", "nothing after");
        bad("com.example.app:", "nothing after");
    }

    #[test]
    fn what_matches() {
        let check = |registered: &str, asked: &str, expected: bool| {
            assert_eq!(matches(registered, asked), expected, "{registered} {asked}");
        };
        check("https://a.example/cb", "https://a.example/cb", true);
        check("http://localhost/callback", "http://localhost:51234/callback", true);
        check("http://localhost:3118/callback", "http://localhost/callback", true);
        check("http://127.0.0.1:33418/", "http://127.0.0.1:1/", true);
        check("http://[::1]/cb?a=b", "http://[::1]:9/cb?a=b", true);
        check("http://localhost", "http://localhost:9", true);
        check("http://localhost/callback", "http://127.0.0.1:5/callback", false);
        check("http://localhost/callback", "http://localhost:5/callback/", false);
        check("http://localhost/callback", "http://localhost:5/callback?x", false);
        check("http://localhost/callback", "http://localhost:5/Callback", false);
        check("http://localhost/callback", "http://LOCALHOST:5/callback", false);
        check("http://localhost/callback", "https://localhost:5/callback", false);
        check("http://localhost/callback", "http://localhost:5@evil.example/callback", false);
        check("http://localhost/callback", "http://localhost:/callback", false);
        check("http://localhost", "http://localhost.evil.example", false);
        check("https://a.example/cb", "https://a.example:443/cb", false);
        check("https://a.example:1/cb", "https://a.example:2/cb", false);
        check("https://a.example/cb", "https://a.example/cb/../cb", false);
        check("https://a.example/cb", "https://A.example/cb", false);
        check("https://a.example", "https://a.example/", false);
    }

    #[test]
    fn what_a_policy_says_of_them() {
        let check = |uri: &str, expected: &str| assert_eq!(policy_source(uri), expected);
        check("https://a.example:8443/cb", "https://a.example:8443");
        check("http://127.0.0.1:5/cb", "http://127.0.0.1:5");
        check("http://[::1]:5/cb", "http:");
        check("https://a_b.example/cb", "https:");
        check("cursor://a.b/cb", "cursor:");
    }

    #[test]
    fn where_they_lead() {
        let check = |uri: &str, origin: &str, loopback: bool| {
            assert_eq!((origin_of(uri), is_loopback(uri)), (origin, loopback), "{uri}");
            assert_eq!(host_of(uri), origin.trim_start_matches("https://").trim_start_matches("http://"));
        };
        check("https://a.example:8443/cb?x#y", "https://a.example:8443", false);
        check("https://a.example?x", "https://a.example", false);
        check("http://localhost:5/cb", "http://localhost:5", true);
        check("http://[::1]:5/cb", "http://[::1]:5", true);
        check("cursor://a.b/cb", "cursor:", false);
        check("com.example.app:/cb", "com.example.app:", false);
        check("nothing", "", false);
    }

    proptest! {
        /// Whatever is asked for, it matches only where all but the port of a loopback URI is the same text.
        #[test]
        fn nothing_but_a_loopback_port_may_differ(
            registered in uris(), asked in uris(), port in 1_u16.., noise in ".{0,6}", at in 0_usize..60,
        ) {
            if matches(&registered, &asked) && registered != asked {
                prop_assert!(is_loopback(&registered) && is_loopback(&asked));
                prop_assert_eq!(without_port(&registered), without_port(&asked));
            }
            let at = (0..=at.min(asked.len())).rev().find(|at| asked.is_char_boundary(*at)).unwrap_or(0);
            let noisy = format!("{}{noise}{}", &asked[..at], &asked[at..]);
            if matches(&asked, &noisy) && noisy != asked {
                prop_assert_eq!(without_port(&asked), without_port(&noisy));
            }
            let own = format!("http://localhost:{port}/callback");
            prop_assert!(matches("http://localhost/callback", &own));
        }

        /// Any text at all gets an answer, and what passes is plain enough for a header and a policy.
        #[test]
        fn no_text_is_too_strange(text in ".{0,80}", uri in uris()) {
            for text in [text, uri] {
                prop_assert!(text.starts_with(origin_of(&text)));
                if check(&text).is_ok() {
                    prop_assert!(!origin_of(&text).contains([' ', ';', ',', '\'', '*', '@', '%']));
                    prop_assert!(hyper::header::HeaderValue::from_str(&text).is_ok());
                }
            }
        }
    }

    fn without_port(uri: &str) -> (&str, &str) {
        split_loopback(uri).expect("a loopback URI")
    }

    fn uris() -> impl Strategy<Value = String> {
        let scheme = prop_oneof![Just("http://"), Just("https://"), Just("cursor://"), Just("com.example:/")];
        let host = prop_oneof![
            Just("localhost"),
            Just("127.0.0.1"),
            Just("[::1]"),
            Just("LOCALHOST"),
            Just("localhost.evil.example"),
            Just("a@localhost"),
        ];
        let port = prop_oneof![
            Just(String::new()),
            Just(":".to_owned()),
            (0_u32..70_000).prop_map(|p| format!(":{p}"))
        ];
        let path = prop_oneof![
            Just("/callback"),
            Just("/callback/"),
            Just("?callback"),
            Just("@evil.example/"),
            Just("")
        ];
        (scheme, host, port, path)
            .prop_map(|(scheme, host, port, path)| format!("{scheme}{host}{port}{path}"))
    }
}
