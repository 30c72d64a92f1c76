//! What was said, for people: without credentials, and with a command to see it again.

use std::ffi::OsString;
use std::fmt::Write as _;

use hyper::header::HeaderMap;

use crate::peer::{Exchange, Headers, Options, Raw, Target};
use crate::record::redact::Redactor;

/// How much of a body is kept, in characters.
const MAX_BODY: usize = 4_000;

/// An exchange, and what opened the session it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) exchange: Exchange,
    pub(super) opening: Vec<Exchange>,
}

/// One exchange as it may be shown.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Evidence {
    /// What was sent: a request line, fields and body on HTTP, a line on stdio.
    pub request: String,
    /// What came: status, the fields that matter, and body; or lines.
    pub response: String,
    /// A command for a shell that sends it again. Where a credential belongs stands a placeholder.
    pub again: String,
}

/// Writes evidence of one server.
pub(super) struct Scribe {
    target: Target,
    fields: Headers,
    redactor: Redactor,
}

impl Scribe {
    /// One that keeps to itself what the requests of `options`, and of the second identity, carry.
    pub(super) fn new(options: &Options, other: Option<&Options>) -> Scribe {
        let mut redactor = Redactor::new(true);
        let mut given = HeaderMap::new();
        let mut fields = Headers::default();
        for (name, value) in &options.headers {
            given.append(name, value.clone());
            fields.set_bytes(name.as_str(), value.as_bytes());
        }
        for (name, value) in other.iter().flat_map(|other| &other.headers) {
            given.append(name, value.clone());
        }
        redactor.learn_headers(&given);
        for value in given.values().filter_map(|value| value.to_str().ok()) {
            redactor.learn_field(value); // One of another name may be a key too.
        }
        if let Target::Url(url) = &options.target {
            redactor.learn_url(url);
        }
        Scribe { target: options.target.clone(), fields, redactor }
    }

    /// `shown` as it may be shown.
    pub(super) fn write(&mut self, shown: &Shown) -> Evidence {
        let exchange = &shown.exchange;
        let (request, response) = match &self.target {
            Target::Url(url) => (self.request(&url.clone(), exchange), response(exchange)),
            Target::Command(_) => (text(&exchange.sent.body), lines(exchange)),
        };
        let again = match &self.target.clone() {
            Target::Url(url) => self.curl(url, shown),
            Target::Command(command) => pipe(command, shown),
        };
        let mut hide = |text: String| self.redactor.text(&text);
        Evidence { request: hide(request), response: hide(response), again: hide(again) }
    }

    /// `text` without anything secret that is known.
    pub(super) fn hide(&mut self, text: &str) -> String {
        self.redactor.text(text)
    }

    fn request(&self, url: &str, exchange: &Exchange) -> String {
        let sent = &exchange.sent;
        let mut out = format!("{} {}\n", sent.method, sent.url.as_deref().unwrap_or(url));
        for (name, value) in self.fields_of(sent) {
            let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value));
        }
        if !sent.body.is_empty() {
            let _ = write!(out, "\n{}", text(&sent.body));
        }
        out
    }

    /// The fields of a request: those of all, but where it has its own.
    fn fields_of<'a>(&'a self, sent: &'a Raw) -> impl Iterator<Item = &'a (String, Vec<u8>)> {
        let common = self.fields.0.iter().filter(|(name, _)| sent.headers.get(name).is_none());
        common.chain(&sent.headers.0)
    }

    fn curl(&self, url: &str, shown: &Shown) -> String {
        let mut out = String::new();
        let session = shown.opening.first().and_then(|opening| opening.header("mcp-session-id"));
        let in_session = session.filter(|id| shown.exchange.sent.headers.get("mcp-session-id") == Some(*id));
        if let (Some(_), Some(opening)) = (in_session, shown.opening.first()) {
            let command = self.curl_of(url, opening, None);
            let _ = writeln!(out, "SESSION=$({command} | sed -n 's/^mcp-session-id: *//Ip' | tr -d '\\r')");
            for step in shown.opening.iter().skip(1) {
                let _ = writeln!(out, "{}", self.curl_of(url, step, in_session));
            }
        }
        out + &self.curl_of(url, &shown.exchange, in_session)
    }

    fn curl_of(&self, url: &str, exchange: &Exchange, session: Option<&str>) -> String {
        let sent = &exchange.sent;
        let mut out = format!("curl -sSi -X {} {}", sent.method, quote(sent.url.as_deref().unwrap_or(url)));
        for (name, value) in self.fields_of(sent) {
            let value = String::from_utf8_lossy(value);
            let field = match session {
                Some(id) if name == "mcp-session-id" && *id == *value => format!("\"{name}: $SESSION\""),
                _ => quote(&format!("{name}: {value}")),
            };
            let _ = write!(out, " -H {field}");
        }
        if !sent.body.is_empty() {
            let _ = write!(out, " --data-binary {}", quote(&String::from_utf8_lossy(&sent.body)));
        }
        out
    }
}

fn response(exchange: &Exchange) -> String {
    let Some(status) = exchange.status else { return "(nothing came)".to_owned() };
    let mut out = format!("HTTP {status}\n");
    for (name, value) in exchange.headers.iter().filter(|(name, _)| tells(name.as_str())) {
        let _ = writeln!(out, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if !exchange.body.is_empty() {
        let _ = write!(out, "\n{}", text(&exchange.body));
    }
    out
}

/// Whether a field of an answer has to do with MCP; the rest is the server's framework.
fn tells(name: &str) -> bool {
    let others =
        ["content-type", "allow", "location", "www-authenticate", "x-accel-buffering", "retry-after"];
    name.starts_with("mcp-") || others.contains(&name)
}

fn lines(exchange: &Exchange) -> String {
    if exchange.messages.is_empty() {
        return "(nothing came)".to_owned();
    }
    let all = exchange.messages.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    text(all.as_bytes())
}

/// The handshake, the line, and a pause, for a server may end with its stdin before it has answered.
fn pipe(command: &[OsString], shown: &Shown) -> String {
    let opening = shown.opening.iter().filter(|opened| opened.sent.body != shown.exchange.sent.body);
    let sent = opening.map(|opened| &opened.sent.body).chain([&shown.exchange.sent.body]);
    let lines = sent.map(|body| quote(&String::from_utf8_lossy(body))).collect::<Vec<_>>().join(" ");
    let command = command.iter().map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ");
    format!("{{ printf '%s\\n' {lines}; sleep 3; }} | {command}")
}

/// A body as text, at most so much of it.
fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match text.char_indices().nth(MAX_BODY) {
        Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), body.len()),
        None => text.into_owned(),
    }
}

/// A word for a POSIX shell.
fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown_and_the_command_can_be_pasted() {
        let mut options = Options::new(Target::Url("http://127.0.0.1:1/mcp".into()));
        options.headers = vec![
            ("authorization".parse().unwrap(), "Bearer verysecret123".parse().unwrap()),
            ("x-api-key".parse().unwrap(), "othersecret456".parse().unwrap()),
        ];
        let sent = Raw { method: "POST".into(), body: r#"{"a":"it's"}"#.into(), ..Raw::default() };
        let sent = sent.with("content-type", "application/json");
        let mut exchange = Exchange { sent, status: Some(200), ..Exchange::default() };
        exchange.body = b"you sent verysecret123".to_vec();
        let evidence = Scribe::new(&options, None).write(&Shown { exchange, opening: Vec::new() });
        let again = "curl -sSi -X POST http://127.0.0.1:1/mcp -H 'authorization: Bearer [token-1]' \
                     -H 'x-api-key: [header-1]' -H 'content-type: application/json' --data-binary '{\"a\":\"it'\\''s\"}'";
        assert_eq!(evidence.again, again);
        assert!(!format!("{evidence:?}").contains("secret"), "{evidence:?}");
    }

    #[test]
    fn what_may_be_a_key_in_the_url_is_not_shown() {
        let check = |url: &str, expected: &str| {
            let mut scribe = Scribe::new(&Options::new(Target::Url(url.into())), None);
            assert_eq!(scribe.hide(url), expected);
        };
        check("https://a.example/mcp?a=1&key=verysecret123", "https://a.example/mcp?a=1&key=[secret-1]");
        check("https://a.example?access_token=verysecret123", "https://a.example?access_token=[secret-1]");
        check("https://anna:verysecret@a.example/mcp/", "https://[url-1]@a.example/mcp/");
        check("https://a.example/mcp/t/verysecret123/", "https://a.example/mcp/t/[token-1]/");
        check("http://127.0.0.1:8080/mcp", "http://127.0.0.1:8080/mcp");
    }

    #[test]
    fn a_process_is_asked_again_by_a_pipe() {
        let options = Options::new(Target::Command(vec!["my server".into(), "--stdio".into()]));
        let sent = Raw { body: r#"{"id":2}"#.into(), ..Raw::default() };
        let opened =
            Exchange { sent: Raw { body: r#"{"id":1}"#.into(), ..Raw::default() }, ..Exchange::default() };
        let shown = Shown { exchange: Exchange { sent, ..Exchange::default() }, opening: vec![opened] };
        let again = Scribe::new(&options, None).write(&shown).again;
        assert_eq!(again, r#"{ printf '%s\n' '{"id":1}' '{"id":2}'; sleep 3; } | 'my server' --stdio"#);
    }
}
