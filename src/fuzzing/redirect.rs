//! Redirect URIs, beside a naive reading of the generic syntax (RFC 3986, appendix B).

use hyper::header::HeaderValue;

use crate::oauth::redirect::{check, is_loopback, matches, origin_of, policy_source};

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Any two lines, a URI that was registered and one that is asked for: they match when they are the same text, or
/// when they are both `http` to this machine and differ by the port alone; what may be registered leads where it
/// seems to lead, and whatever matches it could have been registered itself.
pub fn redirect(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (registered, asked) = text.split_once('\n').unwrap_or((&text, ""));
    pair(registered, asked);
    for uri in [registered, asked] {
        pair(uri, uri);
        if check(uri).is_ok() {
            may_be_registered(uri);
            a_wrong_character(uri, bytes);
        }
    }
}

fn pair(registered: &str, asked: &str) {
    let matched = matches(registered, asked);
    assert_eq!(matched, matches(asked, registered));
    let same = registered == asked;
    let by_port = match (Parts::of(registered), Parts::of(asked)) {
        (Some(one), Some(other)) => {
            one.is_this_machine() && other.is_this_machine() && one.but_port() == other.but_port()
        }
        _ => false,
    };
    match (registered.contains('#') || asked.contains('#')) && !same {
        true => assert!(!matched || by_port),
        false => assert_eq!(matched, same || by_port, "{registered} {asked}"),
    }
    if matched && check(registered).is_ok() && asked.len() <= registered.len() {
        assert_eq!(check(asked), Ok(()), "{asked} matches {registered}");
    }
}

fn may_be_registered(uri: &str) {
    assert!(HeaderValue::from_str(uri).is_ok());
    let parts = Parts::of(uri).expect("what may be registered has a scheme");
    assert!(parts.fragment.is_none() && !parts.authority.is_some_and(|authority| authority.contains('@')));
    let path = parts.path.to_ascii_lowercase().replace("%2e", ".");
    let dots = |segment: &str| [".", ".."].contains(&segment.split(';').next().unwrap_or_default());
    assert!(!path.split('/').any(dots), "{uri}");
    let web = matches!(parts.scheme, "http" | "https");
    assert!(
        web || parts.scheme.contains('.') || ["cursor", "vscode", "vscode-insiders"].contains(&parts.scheme)
    );
    let origin = match parts.authority.filter(|_| web) {
        Some(authority) => format!("{}://{authority}", parts.scheme),
        None => format!("{}:", parts.scheme),
    };
    assert_eq!(origin_of(uri), origin);
    assert!(!policy_source(uri).contains([' ', ';', ',', '\'', '*', '@', '%', '"', '[']), "{uri}");
    assert!(!web || !parts.host().0.is_empty());
    assert_eq!(is_loopback(uri), parts.is_this_machine());
    assert!(parts.scheme != "http" || is_loopback(uri));
    if is_loopback(uri) {
        let rest = &uri[origin.len()..];
        for port in ["", ":1", ":8080", ":65535"] {
            assert!(matches(uri, &format!("http://{}{port}{rest}", parts.host().0)));
        }
    }
}

/// The same URI with another character somewhere.
fn a_wrong_character(uri: &str, bytes: &[u8]) {
    let sum = bytes.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut other = uri.as_bytes().to_vec();
    let at = sum % other.len();
    other[at] = b" #%./0:?@A[\\aln"[sum / 97 % 15];
    pair(uri, &String::from_utf8_lossy(&other));
}

/// The parts of a URI.
struct Parts<'a> {
    scheme: &'a str,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(uri: &'a str) -> Option<Parts<'a>> {
        let cut = |text: &'a str, mark| text.split_once(mark).map_or((text, None), |(a, b)| (a, Some(b)));
        let (rest, fragment) = cut(uri, '#');
        let (rest, query) = cut(rest, '?');
        let (scheme, rest) = rest.split_once(':').filter(|(scheme, _)| !scheme.contains('/'))?;
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        Some(Parts { scheme, authority, path, query, fragment })
    }

    /// Host, with the user before it if there is one, and port.
    fn host(&self) -> (&'a str, Option<&'a str>) {
        let authority = self.authority.unwrap_or_default();
        let literal = authority.find(']').map_or(0, |end| end + 1);
        match authority[literal..].rfind(':') {
            Some(colon) => (&authority[..literal + colon], Some(&authority[literal + colon + 1..])),
            None => (authority, None),
        }
    }

    fn is_this_machine(&self) -> bool {
        let (host, port) = self.host();
        let is_port = |port: &str| {
            let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
            digits && (1..=65_535).contains(&port.parse::<u32>().unwrap_or_default())
        };
        self.scheme == "http" && LOOPBACK.contains(&host) && port.is_none_or(is_port)
    }

    fn but_port(&self) -> (&'a str, &'a str, &'a str, Option<&'a str>, Option<&'a str>) {
        (self.scheme, self.host().0, self.path, self.query, self.fragment)
    }
}
