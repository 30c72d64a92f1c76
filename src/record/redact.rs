//! Takes secrets and contacts out of what is recorded. Each becomes a placeholder such as `[key-1]`, the same one wherever
//! it stands again, so that a transcript still shows which session or key is meant.

use std::collections::HashMap;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderValue, SET_COOKIE};
use serde_json::{Map, Value};

use super::signs::{
    CHALLENGE_PARAMETERS, MIN_SECRET, PREFIXES, VAGUE_PREFIXES, enclosed, find_prefix, is_id, is_json,
    is_jwt, is_number, is_phone_member, is_secret_member, is_secret_name, is_word, literal_bytes,
    looks_random, looks_secret, may_be_no_key, other_forms,
};
use crate::contacts::{self, Contact};
use crate::protocol::transcript::compare::decoded;

/// MCP's own member, which ends like one and is a number of the client's.
const PROGRESS_TOKEN: &str = "progressToken";
/// A text that is not JSON is kept up to this many bytes.
const MAX_TEXT: usize = 64 * 1024;

/// What was taken out so far.
#[derive(Default)]
pub struct Redactor {
    /// Secrets and their placeholders, longest secret first, for a short one may be part of a longer.
    known: Vec<(String, String)>,
    /// E-mail addresses and phone numbers, and their placeholders.
    contacts: HashMap<String, String>,
    counts: HashMap<&'static str, u32>,
    /// Leave e-mail addresses and phone numbers as they are.
    keep_contacts: bool,
}

impl Redactor {
    /// One that knows nothing yet.
    pub fn new(keep_contacts: bool) -> Redactor {
        Redactor { keep_contacts, ..Redactor::default() }
    }

    /// Learns `secret`, which is then taken out wherever it stands, percent-encoded or not, and gives its placeholder.
    pub fn learn(&mut self, kind: &'static str, secret: &str) -> String {
        if let Some((_, placeholder)) = self.known.iter().find(|(known, _)| known == secret) {
            return placeholder.clone();
        }
        let placeholder = self.placeholder(kind);
        self.know(secret.to_owned(), &placeholder);
        for form in other_forms(secret) {
            self.know(form, &placeholder);
        }
        placeholder
    }

    fn know(&mut self, secret: String, placeholder: &str) {
        if self.known.iter().all(|(known, _)| *known != secret) {
            let place = self.known.partition_point(|(known, _)| known.len() >= secret.len());
            self.known.insert(place, (secret, placeholder.to_owned()));
        }
    }

    fn placeholder(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("[{kind}-{count}]")
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

    /// Learns what a request carries in fields of names of their own, such as `X-Api-Key`.
    pub fn learn_keys(&mut self, headers: &HeaderMap) {
        for (_, value) in headers.iter().filter(|(name, _)| is_secret_name(name.as_str())) {
            if let Some(value) = text_of(value) {
                self.learn_field(value);
            }
        }
    }

    /// Learns the value of a header field that is a credential; its scheme, if it has one, is none.
    pub fn learn_field(&mut self, value: &str) {
        self.learn_long("header", value.rsplit(' ').next().unwrap_or(value));
    }

    /// Learns what of a server's URL may be a key: a token in the path, whoever stands before the host, and the values of
    /// the query that are called like one or look like one.
    pub fn learn_url(&mut self, url: &str) {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        self.path(path);
        if let Some((user, _)) = authority.rsplit_once('@') {
            self.learn_long("url", user);
        }
        let query = path.split_once('?').map_or("", |(_, query)| query);
        let values = query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1));
        values.filter(|value| looks_random(value)).for_each(|value| self.learn_long("url", value));
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
            return Some(self.value("", value, is_mcp));
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
        let mut segments: Vec<String> = path.split('/').map(|segment| self.address(segment)).collect();
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

    /// `text` without anything known or that looks like a secret, an e-mail address or a phone number.
    pub fn text(&mut self, text: &str) -> String {
        let text = self.secrets(text);
        self.contacts(&text, true)
    }

    /// The same of what is no sentence: the digits of a path or an id are no phone number.
    pub(super) fn address(&mut self, text: &str) -> String {
        let text = self.secrets(text);
        self.contacts(&text, false)
    }

    fn contacts(&mut self, text: &str, phones: bool) -> String {
        if self.keep_contacts {
            return text.to_owned();
        }
        let mask = |contact, found: &str| match contact {
            Contact::Phone if !phones => found.to_owned().into(),
            contact => self.contact(contact, found).into(),
        };
        contacts::replace(text, mask).into_owned()
    }

    /// The placeholder of a contact. It is not sought elsewhere as a secret is: its form tells where it stands.
    fn contact(&mut self, contact: Contact, found: &str) -> String {
        if let Some(placeholder) = self.contacts.get(found) {
            return placeholder.clone();
        }
        let kind = match contact {
            Contact::Email => "email",
            Contact::Phone => "phone",
        };
        let placeholder = self.placeholder(kind);
        self.contacts.insert(found.to_owned(), placeholder.clone());
        placeholder
    }

    fn secrets(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (secret, placeholder) in &self.known {
            if secret.len() >= MIN_SECRET && text.contains(secret) {
                text = text.replace(secret, placeholder);
            }
        }
        for (range, kind) in enclosed(&text) {
            let placeholder = self.learn(kind, &text[range.clone()]);
            text.replace_range(range, &placeholder);
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
        for (prefix, kind) in VAGUE_PREFIXES {
            if trimmed.strip_prefix(prefix).is_some_and(looks_secret) {
                return self.learn(kind, trimmed) + tail;
            }
        }
        word.to_owned()
    }

    /// The value of the member `name`, or one of its items.
    fn value(&mut self, name: &str, value: Value, is_mcp: bool) -> Value {
        match value {
            Value::String(text) => Value::String(self.member(name, &text, is_mcp)),
            Value::Array(items) => items.into_iter().map(|item| self.value(name, item, is_mcp)).collect(),
            Value::Object(members) => Value::Object(self.members(members, is_mcp)),
            other => other,
        }
    }

    fn members(&mut self, members: Map<String, Value>, is_mcp: bool) -> Map<String, Value> {
        let redacted = members.into_iter().map(|(name, value)| {
            let value = self.value(&name, value, is_mcp);
            (self.member("", &name, is_mcp), value)
        });
        redacted.collect()
    }

    /// The text of the member `name`.
    fn member(&mut self, name: &str, text: &str, is_mcp: bool) -> String {
        let by_name = is_secret_name(name) && looks_secret(text);
        if is_secret_member(name, is_mcp) || (by_name && name != PROGRESS_TOKEN) {
            return self.learn("secret", text);
        }
        if is_json(text) {
            return self.json(text, is_mcp);
        }
        if !self.keep_contacts && is_phone_member(name) && is_number(text) {
            return self.contact(Contact::Phone, text);
        }
        match is_id(name, text) {
            true => self.address(text),
            false => self.text(text),
        }
    }

    /// JSON in a text: each string as if it stood in the message itself, and all else to the letter.
    fn json(&mut self, text: &str, is_mcp: bool) -> String {
        let (mut out, mut rest, mut name) = (String::with_capacity(text.len()), text, String::new());
        while let Some(open) = rest.find('"') {
            let (before, literal) = rest.split_at(open);
            let (literal, after) = literal.split_at(literal_bytes(literal));
            let Ok(inner) = serde_json::from_str::<String>(literal) else {
                out.push_str(before);
                out.push_str(&self.text(literal)); // It holds half a character, which is JSON and no text.
                rest = after;
                continue;
            };
            let is_name = after.trim_start().starts_with(':');
            let shown = self.member(if is_name { "" } else { &name }, &inner, is_mcp);
            out.push_str(before);
            match shown == inner {
                true => out.push_str(literal),
                false => out.push_str(&Value::String(shown).to_string()),
            }
            if is_name {
                name = inner;
            }
            rest = after;
        }
        out + rest
    }

    /// `name=value&…`, in a query or a form.
    fn pairs(&mut self, pairs: &str) -> String {
        let is_secret = |name: &str, value: &str| {
            let by_name = is_secret_name(name) && (!may_be_no_key(name) || looks_secret(&decoded(value)));
            !value.is_empty() && (by_name || is_secret_member(name, false))
        };
        let redacted = pairs.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) if is_secret(name, value) => {
                format!("{name}={}", self.learn("secret", value))
            }
            _ => self.address(pair),
        });
        redacted.collect::<Vec<_>>().join("&")
    }
}

fn text_of(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
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
        check("sk_live_abcdefgh1 ghp_abcdefgh2 AKIAIOSFODNN7EXAMPLE", "[key-1] [token-1] [key-2]");
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
        check("{'mail': 'ann@shop.example'}, ann@shop.example", "{'mail': '[email-1]'}, [email-1]");
        check("call +49 30 1234567 or (212) 555-1234.", "call [phone-1] or [phone-2].");
        check("cha_0123456789 +49 30 1234567 cha_0123456789", "[key-1] [phone-1] [key-1]");
        check("", "");
        check("AIzaSyA1b2C3d4E5f6 hf_AbCdEf123456 npm_a1b2c3d4e5f6g7", "[key-1] [token-1] [token-2]");
        check("npm_config_registry hf_transfer SG.x", "npm_config_registry hf_transfer SG.x");
        check(
            "postgres://u:s3cr3tpw@db/x http://a:8080/u@b",
            "postgres://u:[password-1]@db/x http://a:8080/u@b",
        );
        check("\"https://a:b@c:d@e.example\"", "\"https://a:[password-1]@e.example\"");
        let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----";
        check(&format!("a {pem} b {pem}"), "a [key-1] b [key-1]");
        check("x -----BEGIN PRIVATE KEY-----\nMIIB", "x [key-1]");
        check("-----BEGIN CERTIFICATE-----\nMIIB", "-----BEGIN CERTIFICATE-----\nMIIB");
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

    /// The value of `name` in a message, before and after.
    fn check_member(name: &str, text: &str, expected: &str) {
        let body = |text: &str| json!({"jsonrpc": "2.0", "id": 1, "result": {name: [text]}});
        let redacted = Redactor::default().message(body(text).to_string().as_bytes(), false);
        assert_eq!(redacted, Some(body(expected)), "{name}: {text}");
        // And the same in a text that holds it as JSON.
        let inside = |text: &str| json!({"jsonrpc": "2.0", "text": format!(" {}", body(text))});
        let redacted = Redactor::default().message(inside(text).to_string().as_bytes(), false);
        assert_eq!(redacted, Some(inside(expected)), "{name}: {text}");
    }

    #[test]
    fn phone_numbers_are_taken_out_of_messages() {
        for (name, text) in [
            ("phone", "+49 30 1234567"),
            ("phone", "1711234567"),
            ("phone_number", "5551234"),
            ("customerPhone", "612345678"),
            ("Tel", "030/12345"),
            ("mobile_number", "0612345678"),
            ("contact", "0171-1234567"),
            ("number", "+14155552671"),
            ("id", "+14155552671"),
            ("text", "212-555-1234"),
            ("order_number", "(212) 555-1234"),
        ] {
            check_member(name, text, "[phone-1]");
        }
        check_member(
            "text",
            "first\nline\n0171 1234567\n\"ann@x.example\"",
            "first\nline\n[phone-1]\n\"[email-1]\"",
        );
        check_member("data", "tel: +49 30 1234567", "tel: [phone-1]");
        let kept = json!({"jsonrpc": "2.0", "phone": "5551234", "text": "+49 30 1234567 ann@x.example"});
        assert_eq!(Redactor::new(true).message(kept.to_string().as_bytes(), false), Some(kept));
    }

    #[test]
    fn what_is_no_phone_number_stays() {
        let blob = format!("{}+12345678/{}", "ab/1".repeat(80), "9".repeat(80));
        for (name, text) in [
            ("id", "0612345678"),
            ("text", "00491711234567"),
            ("value", "0171123456"),
            ("order_number", "200-300-4000"),
            ("orderId", "0171-1234567"),
            ("sku", "0171-1234567"),
            ("SKU", "212-555-1234"),
            ("ean", "4006381333931"),
            ("text", "order 4500012345678, #100234567, INV-0171-1234567"),
            ("text", "€ 1.234.567,89 or 1 234 567 890 or 0.0612345678"),
            ("text", "2026-11-22T08:00:00.123456789Z"),
            ("text", "2026-11-22 08:00:00.123456789 UTC"),
            ("text", "1763800000 1763800000000 20261122"),
            ("phone_verified_at", "2026-11-22"),
            ("text", "550e8400-e29b-41d4-a716-446655440000 01234567-0123-4123-8123-012345678901"),
            ("text", "d41d8cd98f00b204e9800998ecf8427e 01234567890123456789012345678901"),
            ("text", "https://shop.example/orders/0612345678 chaterimo://orders/0171-1234567"),
            ("text", "192.168.100.200 react@18.3.0-rc.1"),
            ("blob", blob.as_str()),
            ("nextCursor", "0171-1234567"),
        ] {
            check_member(name, text, text);
        }
        let check = |path: &str| assert_eq!(Redactor::default().path(path), path);
        check("/orders/0171-1234567?id=0612345678&phone=0171-1234567");
        let numbers =
            json!({"jsonrpc": "2.0", "id": 612345678, "at": 1_763_800_000_000_u64, "n": [171_123_456]});
        assert_eq!(Redactor::default().message(numbers.to_string().as_bytes(), false), Some(numbers));
    }

    #[test]
    fn json_in_a_text_stays_the_json_it_was() {
        let check = |text: &str, expected: &str| {
            let body = |text: &str| json!({"jsonrpc": "2.0", "text": text});
            let redacted = Redactor::default().message(body(text).to_string().as_bytes(), false);
            assert_eq!(redacted, Some(body(expected)), "{text}");
        };
        check(r#"{ "a" : 1.50, "m": "x\nann@x.example" }"#, r#"{ "a" : 1.50, "m": "x\n[email-1]" }"#);
        check(r#"["\"0171 1234567\\", "\u00e4"]"#, r#"["\"[phone-1]\\", "\u00e4"]"#);
        check(r#"{"password": "x", "b": "y"}"#, r#"{"password": "[secret-1]", "b": "y"}"#);
        check(r#"{"a": "{\"b\": \"\\nann@x.example\"}"}"#, r#"{"a": "{\"b\": \"\\n[email-1]\"}"}"#);
        check(r#"{"ann@x.example": 1"#, r#"{"[email-1]": 1"#);
        check(
            r#"{"a": "cut \ud83d", "password": "x", "ann@x.example": 1}"#,
            r#"{"a": "cut \ud83d", "password": "[secret-1]", "[email-1]": 1}"#,
        );
    }

    #[test]
    fn what_is_called_a_key_or_a_token_is_one_if_it_looks_it() {
        let check = |name: &str, text: &str, stays: bool| {
            let body = json!({"jsonrpc": "2.0", "params": {name: text}});
            let redacted = Redactor::default().message(body.to_string().as_bytes(), false).unwrap();
            assert_eq!(redacted == body, stays, "{name}: {text}");
        };
        check("github_token", "a9f8e7d6c5b4a3f2e1d0", false);
        check("stripeKey", "live0abcdefgh1234", false);
        check("sort_key", "created_at", true);
        check("key", "SKU-1", true);
        check("progressToken", "a9f8e7d6c5b4a3f2e1d0", true);
    }

    proptest::proptest! {
        #[test]
        fn what_programs_write_stays(
            uuid in "[0-9]{8}-[0-9]{4}-4[0-9]{3}-8[0-9]{3}-[0-9]{12}",
            hex in "[0-9a-f]{40}",
            time in "20[0-9]{2}-[01][0-9]-[0-3][0-9][T ][012][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?",
            price in "[0-9]{1,3}(,[0-9]{3}){0,2}\\.[0-9]{2}",
            id in "[A-Z]{2,3}-[0-9]{3,5}-[0-9]{3,8}",
        ) {
            for text in [&uuid, &hex, &time, &price, &id] {
                let sentence = format!("see {text}, and go on");
                proptest::prop_assert_eq!(Redactor::default().text(&sentence), sentence);
            }
        }
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
    fn keys_in_queries_are_known_by_their_names() {
        let check = |path: &str, expected: &str| assert_eq!(Redactor::default().path(path), expected);
        for name in ["key", "apikey", "api_key", "X-API-Key", "sig", "authToken", "auth", "pwd"] {
            check(&format!("/mcp?a=1&{name}=verysecret123"), &format!("/mcp?a=1&{name}=[secret-1]"));
        }
        let kept = "/mcp?keyword=verysecret123&token_type_hint=refresh_token&toolset=products&key=";
        check(kept, kept);
        // Under a name that means a column or the like, what looks like one.
        let kept = "/mcp?sort_key=created_at&sortKey=created_at%2Cdesc&primary-key=id_2&db.partitionKey=de";
        check(kept, kept);
        check("/mcp?sort_key=a9f8e7d6c5b4", "/mcp?sort_key=[secret-1]");
        for pair in [
            "key=abc",
            "api-key=abc",
            "accessKey=abc",
            "x_token=abc",
            "client_secret=abc",
            "sig=abc",
            "auth=a",
            "passkey=correcthorse",
            "service_key=123456789012",
            "encryptionKey=hunter2",
            "orange_key=hunter2",
        ] {
            let name = pair.split('=').next().unwrap();
            check(&format!("/mcp?{pair}"), &format!("/mcp?{name}=[secret-1]"));
        }
        let form = b"token_type_hint=refresh_token&apikey=verysecret123";
        let redacted = Redactor::default().message(form, true);
        assert_eq!(redacted, Some("token_type_hint=refresh_token&apikey=[secret-1]".into()));
    }

    #[test]
    fn a_secret_is_known_percent_encoded_and_decoded() {
        let check = |learn: fn(&mut Redactor), text: &str, expected: &str| {
            let mut redactor = Redactor::default();
            learn(&mut redactor);
            assert_eq!(redactor.text(text), expected, "{text}");
        };
        let in_a_query = |redactor: &mut Redactor| {
            assert_eq!(redactor.path("/mcp?api_key=ab%2Fcd%2Bef%3D%3D"), "/mcp?api_key=[secret-1]");
        };
        check(in_a_query, "is ab/cd+ef== or ab%2fcd%2bef%3d%3d", "is [secret-1] or [secret-1]");
        // It is decoded once.
        check(in_a_query, "is ab%252Fcd", "is ab%252Fcd");
        let in_a_header = |redactor: &mut Redactor| redactor.learn_field("ab/cd+ef==");
        check(in_a_header, "at /x?u=ab%2Fcd%2Bef%3D%3D&v=1", "at /x?u=[header-1]&v=1");
        check(in_a_header, "at /x?u=ab%2fcd%2bef%3d%3d", "at /x?u=[header-1]");
        let in_a_field = |redactor: &mut Redactor| redactor.learn_field("(ab)~'cd/ef");
        check(in_a_field, "(ab)~'cd%2Fef %28ab%29%7E%27cd%2Fef", "[header-1] [header-1]");
        let in_a_url = |redactor: &mut Redactor| redactor.learn_url("https://a.example/?u=x1%26y2%3Dz3");
        check(in_a_url, "x1&y2=z3", "[url-1]");
    }

    #[test]
    fn what_may_be_a_key_in_the_servers_url_is_known_everywhere() {
        let check = |url: &str, text: &str, expected: &str| {
            let mut redactor = Redactor::default();
            redactor.learn_url(url);
            assert_eq!(redactor.text(text), expected, "{url}");
        };
        check("https://a.example/mcp?u=verysecret123", "you are verysecret123", "you are [url-1]");
        check("https://a.example/mcp?u=verysecretandverylong", "verysecretandverylong", "[url-1]");
        check("https://a.example?u=a%2Fb&key=verysecret", "verysecret", "[secret-1]");
        check("https://anna:verysecret@a.example/mcp", "anna:verysecret", "[url-1]");
        check("https://a.example/mcp/t/verysecret123/", "verysecret123", "[token-1]");
        let words = "products of 2025-11-25, 12345678";
        check("https://a.example/?set=products&version=2025-11-25&shop=12345678", words, words);
    }

    #[test]
    fn fields_of_any_name_that_carry_a_key_are_known() {
        let mut redactor = Redactor::default();
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", HeaderValue::from_static("verysecret123"));
        headers.insert("x-auth-token", HeaderValue::from_static("Key othersecret456"));
        headers.insert("user-agent", HeaderValue::from_static("products/1.2.3456"));
        redactor.learn_keys(&headers);
        let text = redactor.text("verysecret123 othersecret456 products/1.2.3456");
        assert_eq!(text, "[header-1] [header-2] products/1.2.3456");
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
