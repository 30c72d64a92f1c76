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
mod tests;
