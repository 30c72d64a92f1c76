//! Transcripts: what a client and a server said to each other, one JSON object a line, to be read by people and
//! replayed by tests.
//!
//! ```text
//! {"transcript":1,"client":{"name":"claude-code","version":"2.1.330"},"transport":"http","endpoint":"full"}
//! {"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0",…}}
//! {"at_ms":3,"from":"server","exchange":1,"http":{"status":200},"message":{"jsonrpc":"2.0",…}}
//! ```

pub mod compare;
pub mod turns;

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use super::meta::CLIENT;
use super::wire::ClientInfo;
use crate::clock::Time;
use crate::error::{Error, Result};

/// The version of the format that is written and read.
pub const VERSION: u32 = 1;
/// Bytes of one line.
pub const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;
/// Lines after the header.
pub const MAX_LINES: usize = 100_000;
/// The headers worth keeping, in lower case; none of them is a secret but the session id, which a recorder replaces.
pub const HEADERS: [&str; 9] = [
    "accept",
    "content-type",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "www-authenticate",
    "x-mcp-readonly",
];

/// A whole conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// Who talked, and over what.
    pub header: Header,
    /// What was said, in order of time.
    pub lines: Vec<Line>,
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format: 1.
    pub transcript: u32,
    /// The client that was recorded.
    pub client: ClientInfo,
    /// Over what.
    pub transport: Transport,
    /// At which endpoint.
    pub endpoint: Endpoint,
    /// When the recording began; the lines count from then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_at: Option<Time>,
    /// What happens in it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// What carried the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// Lines on standard input and output.
    Stdio,
}

/// Which of the two endpoints, or which key on stdio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Endpoint {
    /// Every tool.
    Full,
    /// The tools that change nothing.
    Readonly,
}

/// One message, or one HTTP request or response without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Milliseconds since the recording began.
    pub at_ms: u64,
    /// Who said it.
    pub from: From,
    /// On HTTP, which request it belongs to, counted from 1; a stream has many lines of one exchange.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<u64>,
    /// On HTTP, what stood around it; on the later lines of a stream, nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// The message; a string where the bytes were not JSON, nothing where there was no body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
}

/// The two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What HTTP says around a message: method and path of a request, status of a response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Of a request, such as `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Of a request, such as `/mcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Of a response.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "status")]
    pub status: Option<u16>,
    /// Those of [`HEADERS`] that were there; names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Transcript {
    /// Reads a transcript. What is wrong is told with its line, counted from 1. A last line that was cut off is left out,
    /// for so a recorder leaves it that was killed; a client that the first line does not name is found in its messages.
    pub fn parse(text: &str) -> Result<Transcript> {
        let text = whole_lines(text);
        let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let (_, first) = lines.next().ok_or_else(|| Error::invalid("The transcript is empty."))?;
        let mut header = header_of(first)?;
        let lines: Vec<Line> =
            lines.map(|(i, line)| read(i, line)).take(MAX_LINES + 1).collect::<Result<_>>()?;
        if lines.len() > MAX_LINES {
            return Err(Error::invalid(format!("The transcript has more than {MAX_LINES} lines.")));
        }
        if header.client.name.is_empty() {
            let said = lines.iter().filter(|line| line.from == From::Client);
            header.client =
                said.filter_map(|line| client_of(line.message.as_ref()?)).next().unwrap_or_default();
        }
        Ok(Transcript { header, lines })
    }

    /// The text that [`Transcript::parse`] reads.
    pub fn to_text(&self) -> String {
        let lines = self.lines.iter().map(line_of);
        std::iter::once(line_of(&self.header)).chain(lines).collect()
    }
}

/// A status that HTTP can say (RFC 9110, section 15: three digits).
fn status<'de, D: Deserializer<'de>>(source: D) -> std::result::Result<Option<u16>, D::Error> {
    let status = Option::<u16>::deserialize(source)?;
    match status.filter(|status| !(100..1_000).contains(status)) {
        Some(none) => Err(de::Error::custom(format!("{none} is no HTTP status"))),
        None => Ok(status),
    }
}

/// Who the client of this message says it is, in either era.
pub fn client_of(message: &Value) -> Option<ClientInfo> {
    let params = message.get("params")?;
    let modern = || params.get("_meta")?.get(CLIENT);
    let info = params.get("clientInfo").or_else(modern)?;
    let text = |name: &str| info.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(ClientInfo {
        name: text("name").unwrap_or_default(),
        version: text("version").unwrap_or_default(),
        title: text("title"),
    })
}

/// One line of the format, with its newline: of a [`Header`] or of a [`Line`].
pub fn line_of(value: &impl Serialize) -> String {
    let mut line = Vec::new();
    super::rpc::put(&mut line, value);
    line.push(b'\n');
    String::from_utf8(line).unwrap_or_default() // serde_json writes UTF-8.
}

/// What stands in the place of a message of so many bytes that no line can hold it.
pub fn left_out(bytes: usize) -> Value {
    format!("[{bytes} bytes]").into()
}

/// Whether `message` stands in the place of one that was too long.
pub fn is_left_out(message: &Value) -> bool {
    message.as_str().is_some_and(|text| text.starts_with('[') && text.ends_with(" bytes]"))
}

/// `text` without a last line that has no newline and is no JSON.
fn whole_lines(text: &str) -> &str {
    let (whole, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let cut = !whole.is_empty() && serde_json::from_str::<IgnoredAny>(last).is_err();
    if cut { whole } else { text }
}

/// The first line. Its version stands before all else, for a later one may have other members.
fn header_of(line: &str) -> Result<Header> {
    #[derive(Deserialize)]
    struct Versioned {
        transcript: u32,
    }
    let versioned = serde_json::from_str::<Versioned>(line).map_err(|error| {
        let text = format!("Line 1 is no first line of a recording, such as {{\"transcript\":{VERSION},…}}.");
        Error::invalid(text).because(error)
    })?;
    match versioned.transcript {
        VERSION => read(0, line),
        other => Err(Error::invalid(format!(
            "Line 1: this is version {other} of the format, and {VERSION} is read; a later chaterimo may read it."
        ))),
    }
}

fn read<T: serde::de::DeserializeOwned>(index: usize, line: &str) -> Result<T> {
    let number = index + 1;
    if line.len() > MAX_LINE_BYTES {
        return Err(Error::invalid(format!("Line {number} has more than {MAX_LINE_BYTES} bytes.")));
    }
    serde_json::from_str(line).map_err(|error| {
        // To the parser each line is the first.
        let text = error.to_string().replace(" at line 1 column ", ", in column ");
        Error::invalid(format!("Line {number}: {text}."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = concat!(
        r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"http","endpoint":"readonly","#,
        r#""recorded_at":"2026-11-22T08:00:00Z"}"#,
        "\n",
        r#"{"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp","#,
        r#""headers":{"mcp-method":"ping"}},"message":{"jsonrpc":"2.0","id":1,"method":"ping"}}"#,
        "\n",
        r#"{"at_ms":2,"from":"server","exchange":1,"http":{"status":200},"message":{"b":1,"a":2}}"#,
        "\n",
    );

    #[test]
    fn what_is_written_is_read() {
        let transcript = Transcript::parse(TEXT).unwrap();
        assert_eq!(transcript.header.endpoint, Endpoint::Readonly);
        assert_eq!(transcript.lines.len(), 2);
        assert_eq!(transcript.to_text(), TEXT);
    }

    #[test]
    fn an_error_names_its_line() {
        let check = |text: &str, expected: &str| {
            let error = Transcript::parse(text).unwrap_err();
            assert!(error.public.contains(expected), "{}", error.public);
        };
        check("", "empty");
        check("{}", "Line 1 is no first line of a recording");
        check("{\"transcript\":1}", "Line 1: missing field `client`, in column 16.");
        check(&TEXT.replace("\"transcript\":1", "\"transcript\":2"), "Line 1: this is version 2");
        check(&TEXT.replace("\"server\"", "\"nobody\""), "Line 3: unknown variant");
        check(&TEXT.replace("at_ms\":2", "at_ms\":-2"), "Line 3: invalid value");
        check(&format!("{TEXT}\n\nx\n"), "Line 6: expected value");
    }

    #[test]
    fn what_a_killed_recorder_leaves_is_read() {
        let last = r#"{"at_ms":2,"from":"server","exchange":1,"ht"#;
        assert_eq!(Transcript::parse(&format!("{TEXT}{last}")).unwrap().lines.len(), 2);
        assert_eq!(Transcript::parse(TEXT.trim_end()).unwrap().lines.len(), 2);

        let said = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"clientInfo":{"name":"late","version":"3"}}}"#;
        let nameless = TEXT.replace(r#"{"name":"c","version":"1"}"#, r#"{"name":"","version":""}"#);
        let text = nameless.replace(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, said);
        let client = Transcript::parse(&text).unwrap().header.client;
        assert_eq!((client.name.as_str(), client.version.as_str()), ("late", "3"));
    }
}
