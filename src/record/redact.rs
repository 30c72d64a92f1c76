//! Takes secrets out of what is recorded. Each becomes a placeholder such as `[key-1]`, the same one wherever it
//! stands again, so that a transcript still shows which session or key is meant.

use std::collections::HashMap;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderValue, SET_COOKIE};
use serde_json::{Map, Value};

/// What keys and tokens begin with, and what they are called then.
const PREFIXES: [(&str, &str); 9] = [
    ("cha_", "key"),
    ("chu_", "token"),
    ("mcs_", "session"),
    ("mat_", "token"),
    ("mrt_", "token"),
    ("mac_", "code"),
    ("mar_", "request"),
    ("mbs_", "cookie"),
    ("min_", "link"),
];
/// The fewest characters after a prefix that make a key, and the fewest of a secret that is sought everywhere.
const MIN_SECRET: usize = 8;
/// Members whose text is a secret wherever they stand.
const SECRET_MEMBERS: [&str; 11] = [
    "access_token",
    "api_key",
    "assertion",
    "authorization",
    "client_assertion",
    "client_secret",
    "code_verifier",
    "cookie",
    "id_token",
    "password",
    "refresh_token",
];
/// Members whose text is a secret in queries, forms and JSON outside MCP, where tools may mean something else by them.
const OAUTH_MEMBERS: [&str; 5] = ["code", "csrf", "device_code", "state", "token"];
/// Parameters of a challenge that may follow the name of its scheme as a credential does, and are none.
const CHALLENGE_PARAMETERS: [&str; 2] = ["error_description", "resource_metadata"];
/// A text that is not JSON is kept up to this many bytes.
const MAX_TEXT: usize = 64 * 1024;

/// What was taken out so far.
#[derive(Default)]
pub struct Redactor {
    /// Secrets and their placeholders, longest secret first, for a short one may be part of a longer.
    known: Vec<(String, String)>,
    counts: HashMap<&'static str, u32>,
    /// Leave e-mail addresses as they are.
    keep_emails: bool,
}

impl Redactor {
    /// One that knows nothing yet.
    pub fn new(keep_emails: bool) -> Redactor {
        Redactor { keep_emails, ..Redactor::default() }
    }

    /// Learns `secret`, which is then taken out wherever it stands, and gives its placeholder.
    pub fn learn(&mut self, kind: &'static str, secret: &str) -> String {
        if let Some((_, placeholder)) = self.known.iter().find(|(known, _)| known == secret) {
            return placeholder.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let placeholder = format!("[{kind}-{count}]");
        let place = self.known.partition_point(|(known, _)| known.len() >= secret.len());
        self.known.insert(place, (secret.to_owned(), placeholder.clone()));
        placeholder
    }

    /// Learns the credentials of a request or an answer, none of which is kept.
    pub fn learn_headers(&mut self, headers: &HeaderMap) {
        for value in headers.get_all(AUTHORIZATION).iter().filter_map(text_of) {
            let secret = value.split_once(' ').map_or(value, |(_, secret)| secret.trim());
            self.learn_long(if secret.starts_with("cha_") { "key" } else { "token" }, secret);
        }
        for value in headers.get_all(COOKIE).iter().filter_map(text_of) {
            value.split(';').for_each(|pair| self.learn_cookie(pair));
        }
        for value in headers.get_all(SET_COOKIE).iter().filter_map(text_of) {
            self.learn_cookie(value.split(';').next().unwrap_or_default());
        }
    }

    fn learn_cookie(&mut self, pair: &str) {
        if let Some((_, value)) = pair.split_once('=') {
            self.learn_long("cookie", value.trim());
        }
    }

    fn learn_long(&mut self, kind: &'static str, secret: &str) {
        if secret.len() >= MIN_SECRET {
            self.learn(kind, secret);
        }
    }

    /// The message in `body`: JSON, or a text where it is none, or nothing.
    pub fn message(&mut self, body: &[u8], is_form: bool) -> Option<Value> {
        if body.is_empty() {
            return None;
        }
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            let is_mcp = value.is_array() || value.get("jsonrpc").is_some();
            return Some(self.value(value, is_mcp));
        }
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_TEXT);
        Some(Value::String(match text {
            None => format!("[{} bytes]", body.len()),
            Some(form) if is_form => self.pairs(form),
            Some(text) => self.text(text),
        }))
    }

    /// A request's path and query.
    pub fn path(&mut self, path: &str) -> String {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        // A tokenized URL, /mcp/t/TOKEN/, is a credential as a whole.
        let mut segments: Vec<String> = path.split('/').map(|segment| self.text(segment)).collect();
        let token = segments.iter().position(|segment| segment == "t").map(|t| t + 1);
        if let Some(segment) = token.and_then(|token| segments.get_mut(token))
            && segment.len() >= MIN_SECRET
            && !segment.starts_with('[')
        {
            *segment = self.learn("token", segment);
        }
        let path = segments.join("/");
        match query {
            Some(query) => format!("{path}?{}", self.pairs(query)),
            None => path,
        }
    }

    /// `text` without anything known or that looks like a secret.
    pub fn text(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (secret, placeholder) in &self.known {
            if secret.len() >= MIN_SECRET && text.contains(secret) {
                text = text.replace(secret, placeholder);
            }
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = &text[..];
        let mut scheme = false;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            out.push_str(&self.word(word, scheme));
            scheme = word.eq_ignore_ascii_case("bearer") || (word.is_empty() && scheme);
            let gap = after.find(is_word).unwrap_or(after.len());
            scheme &= after[..gap].chars().all(|c| c == ' ');
            out.push_str(&after[..gap]);
            rest = &after[gap..];
        }
        out
    }

    /// One word; `after_bearer` when it follows the name of the scheme.
    fn word(&mut self, word: &str, after_bearer: bool) -> String {
        let trimmed = word.trim_end_matches(['.', '-']);
        let tail = &word[trimmed.len()..];
        let credential =
            after_bearer && trimmed.len() >= MIN_SECRET && !CHALLENGE_PARAMETERS.contains(&trimmed);
        if credential || is_jwt(trimmed) {
            return self.learn("token", trimmed) + tail;
        }
        for (prefix, kind) in PREFIXES {
            if let Some(at) = find_prefix(trimmed, prefix) {
                return format!("{}{}{tail}", &trimmed[..at], self.learn(kind, &trimmed[at..]));
            }
        }
        match !self.keep_emails && is_email(trimmed) {
            true => self.learn("email", trimmed) + tail,
            false => word.to_owned(),
        }
    }

    fn value(&mut self, value: Value, is_mcp: bool) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item, is_mcp)).collect(),
            Value::Object(members) => Value::Object(self.members(members, is_mcp)),
            other => other,
        }
    }

    fn members(&mut self, members: Map<String, Value>, is_mcp: bool) -> Map<String, Value> {
        let redacted = members.into_iter().map(|(name, value)| match value {
            Value::String(text) if is_secret_member(&name, is_mcp) => {
                let placeholder = self.learn("secret", &text);
                (name, Value::String(placeholder))
            }
            value => (self.text(&name), self.value(value, is_mcp)),
        });
        redacted.collect()
    }

    /// `name=value&…`, in a query or a form.
    fn pairs(&mut self, pairs: &str) -> String {
        let redacted = pairs.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) if is_secret_member(name, false) && !value.is_empty() => {
                format!("{name}={}", self.learn("secret", value))
            }
            _ => self.text(pair),
        });
        redacted.collect::<Vec<_>>().join("&")
    }
}

fn text_of(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '@' | '~')
}

fn is_secret_member(name: &str, is_mcp: bool) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_MEMBERS.contains(&&*name) || (!is_mcp && OAUTH_MEMBERS.contains(&&*name))
}

/// Where in `word` a secret with this prefix begins: not within another word, and long enough.
fn find_prefix(word: &str, prefix: &str) -> Option<usize> {
    let at = word.find(prefix)?;
    let apart = !word[..at].ends_with(char::is_alphanumeric);
    (apart && word.len() - at - prefix.len() >= MIN_SECRET).then_some(at)
}

fn is_jwt(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 30 && word.matches('.').count() == 2
}

fn is_email(word: &str) -> bool {
    let Some((name, domain)) = word.split_once('@') else { return false };
    let top = domain.rsplit_once('.').map_or("", |(_, top)| top);
    !name.is_empty() && !domain.contains('@') && top.len() >= 2 && top.chars().all(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_secret_that_we_make_is_known_by_its_prefix() {
        for purpose in crate::access::signed::Purpose::ALL {
            let prefix = format!("{}_", purpose.label());
            assert!(PREFIXES.iter().any(|(known, _)| *known == prefix), "{prefix}");
        }
    }

    #[test]
    fn takes_secrets_out_of_texts() {
        let check =
            |text: &str, expected: &str| assert_eq!(Redactor::default().text(text), expected, "{text}");
        check("the key cha_0123456789abcdef.", "the key [key-1].");
        check("cha_0123456789 mat_0123456789 cha_0123456789", "[key-1] [token-1] [key-1]");
        check("Authorization: Bearer abcdefgh123", "Authorization: Bearer [token-1]");
        check("bearer of news", "bearer of news");
        let challenge = r#"Bearer resource_metadata="https://chat.example/x", error="invalid_token""#;
        check(challenge, challenge);
        check(r#""Bearer resource_metadata2=""#, r#""Bearer [token-1]=""#);
        check("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl y", "x [token-1] y");
        check("write to anna.b+c@shop.example, or bob@x.de", "write to [email-1], or [email-2]");
        check("@scope/name@1.2.3 and user@localhost", "@scope/name@1.2.3 and user@localhost");
        check("format_string cha_short chat_history", "format_string cha_short chat_history");
        check("Größe – 12 €\n", "Größe – 12 €\n");
        check("", "");
    }

    #[test]
    fn takes_secrets_out_of_json_and_leaves_the_rest_as_it_is() {
        let check = |body: Value, expected: Value| {
            assert_eq!(Redactor::default().message(body.to_string().as_bytes(), false), Some(expected));
        };
        check(
            json!({"jsonrpc": "2.0", "id": 1, "result": {"code": "A-1", "n": 1.5, "mail": ["a@b.example"]}}),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"code": "A-1", "n": 1.5, "mail": ["[email-1]"]}}),
        );
        check(
            json!({"access_token": "x", "token_type": "Bearer", "expires_in": 3600, "code": "y"}),
            json!({"access_token": "[secret-1]", "token_type": "Bearer", "expires_in": 3600, "code": "[secret-2]"}),
        );
        check(
            json!({"jsonrpc": "2.0", "Api-Key": "z", "a@b.example": 1}),
            json!({"jsonrpc": "2.0", "Api-Key": "[secret-1]", "[email-1]": 1}),
        );
    }

    #[test]
    fn what_is_not_json_is_a_text() {
        let check = |body: &[u8], is_form: bool, expected: Option<&str>| {
            assert_eq!(Redactor::default().message(body, is_form), expected.map(Value::from));
        };
        check(b"", false, None);
        check(b"<p>cha_0123456789</p>", false, Some("<p>[key-1]</p>"));
        check(
            b"grant_type=authorization_code&code=abc&client_id=x",
            true,
            Some("grant_type=authorization_code&code=[secret-1]&client_id=x"),
        );
        check(b"\xff\xfe", false, Some("[2 bytes]"));
        check(&[b'x'; MAX_TEXT + 1], false, Some("[65537 bytes]"));
    }

    #[test]
    fn takes_secrets_out_of_paths() {
        let check = |path: &str, expected: &str| assert_eq!(Redactor::default().path(path), expected);
        check("/mcp/", "/mcp/");
        check("/mcp/t/abcdefghijkl/", "/mcp/t/[token-1]/");
        check(
            "/authorize?client_id=a&state=b&code_challenge=c",
            "/authorize?client_id=a&state=[secret-1]&code_challenge=c",
        );
        check("/callback?code=abc&iss=https://x.example", "/callback?code=[secret-1]&iss=https://x.example");
    }

    #[test]
    fn what_headers_hold_is_known_everywhere() {
        let mut redactor = Redactor::default();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret/with+odd=chars"));
        headers.insert(COOKIE, HeaderValue::from_static("a=short; session=0123456789"));
        redactor.learn_headers(&headers);
        assert_eq!(redactor.text("s3cret/with+odd=chars, 0123456789"), "[token-1], [cookie-1]");
    }
}
