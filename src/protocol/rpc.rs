//! JSON-RPC 2.0: identifiers, messages, faults, and a total parser.
//!
//! [`parse`] reads untrusted bytes in one pass and holds every limit while it reads, so that a hostile message is
//! refused before it has cost more than its own length.

pub(super) mod read;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::meta::Params;

/// Bytes in one message, or in one batch.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Arrays and objects inside one another; the message itself is the first.
pub const MAX_DEPTH: usize = 64;
/// Values in one body: objects, arrays and scalars.
pub const MAX_NODES: usize = 50_000;
/// Bytes of UTF-8 in one string.
pub const MAX_STRING_BYTES: usize = 256 * 1024;
/// Bytes of UTF-8 in one member name.
pub const MAX_KEY_BYTES: usize = 256;
/// Bytes of UTF-8 in an identifier.
pub const MAX_ID_BYTES: usize = 256;
/// The largest number an identifier may be, and its negative the smallest: what a JavaScript client keeps exactly.
pub const MAX_ID_NUMBER: i64 = (1 << 53) - 1;
/// Messages in one batch.
pub const MAX_BATCH: usize = 50;

/// The bytes are not JSON.
pub const PARSE_ERROR: i32 = -32700;
/// The JSON is not a message, or breaks a limit.
pub const INVALID_REQUEST: i32 = -32600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// The parameters are not what the method takes.
pub const INVALID_PARAMS: i32 = -32602;
/// A fault of the server's own.
pub const INTERNAL_ERROR: i32 = -32603;
/// The server refuses for a reason of its own, which the message gives (JSON-RPC 2.0, section 5.1: server errors).
pub const REFUSED: i32 = -32000;
/// There is no such resource (up to 2025-11-25; later it is [`INVALID_PARAMS`]).
pub const NO_RESOURCE: i32 = -32002;
/// The HTTP headers do not say what the body says (MCP 2026-07-28).
pub const HEADER_MISMATCH: i32 = -32020;
/// The client did not declare what the answer needs (MCP 2026-07-28).
pub const MISSING_CAPABILITY: i32 = -32021;
/// The protocol version is not served (MCP 2026-07-28).
pub const UNSUPPORTED_VERSION: i32 = -32022;

/// The identifier of a request: an integer within ±(2^53−1), or a text of at most 256 bytes. An answer carries it
/// with the same type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number, zero among them.
    Number(i64),
    /// A text.
    Text(String),
}

impl Id {
    /// Reads an identifier out of a value; anything but an integer or a text within the limits is none.
    pub fn from_value(value: Value) -> Option<Id> {
        match value {
            Value::Number(n) => n.as_i64().filter(|n| n.abs() <= MAX_ID_NUMBER).map(Id::Number),
            Value::String(text) if text.len() <= MAX_ID_BYTES => Some(Id::Text(text)),
            _ => None,
        }
    }

    /// Writes it as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        put(out, self);
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Number(number) => number.fmt(f),
            Id::Text(text) => text.fmt(f),
        }
    }
}

/// One message of JSON-RPC.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// Wants an answer.
    Request {
        /// What the answer must carry.
        id: Id,
        /// The method, such as `tools/call`.
        method: String,
        /// Its parameters; absent ones are empty.
        params: Params,
    },
    /// Wants none.
    Notification {
        /// The method, such as `notifications/cancelled`.
        method: String,
        /// Its parameters; absent ones are empty.
        params: Params,
    },
    /// Answers a request of the other side.
    Response {
        /// Which one; an error may be unable to say.
        id: Option<Id>,
        /// The `result`, or the `error` object.
        outcome: Result<Value, Value>,
    },
}

/// What one body or line held.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "it lives for a moment; a box would cost more than the move")]
pub enum Incoming {
    /// A message.
    One(Message),
    /// An array of 1 to 50 messages; only revision 2025-03-26 has these.
    Batch(Vec<Message>),
}

/// One serialised answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status this answer has on HTTP; other transports ignore it.
    pub status: u16,
    /// One JSON-RPC message (or, from [`join`], an array of them) without a newline.
    pub body: Vec<u8>,
}

/// A JSON-RPC error before it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The HTTP status it has on HTTP.
    pub status: u16,
    /// The JSON-RPC code.
    pub code: i32,
    /// What is wrong and what to do, in words.
    pub message: String,
    /// What a program may read, where the code defines it.
    pub data: Option<Value>,
}

impl Fault {
    /// A fault of this HTTP status and JSON-RPC code.
    pub fn new(status: u16, code: i32, message: impl Into<String>) -> Fault {
        Fault { status, code, message: message.into(), data: None }
    }

    /// The JSON is not a message, or breaks a limit.
    pub fn invalid(message: impl Into<String>) -> Fault {
        Fault::new(400, INVALID_REQUEST, message)
    }

    /// The same fault with `data`.
    pub fn with_data(mut self, data: Value) -> Fault {
        self.data = Some(data);
        self
    }

    /// The answer that says it. An identifier that could not be read is left out.
    pub fn reply(&self, id: Option<&Id>) -> Response {
        let mut body = Vec::with_capacity(160 + self.message.len());
        body.extend_from_slice(br#"{"jsonrpc":"2.0""#);
        if let Some(id) = id {
            body.extend_from_slice(br#","id":"#);
            id.write(&mut body);
        }
        body.extend_from_slice(br#","error":{"code":"#);
        put(&mut body, &self.code);
        body.extend_from_slice(br#","message":"#);
        put(&mut body, &self.message);
        if let Some(data) = &self.data {
            body.extend_from_slice(br#","data":"#);
            put(&mut body, data);
        }
        body.extend_from_slice(b"}}");
        Response { status: self.status, body }
    }
}

/// Several answers as one, for a batch; the order is theirs.
pub fn join(answers: &[Response]) -> Response {
    let mut body = vec![b'['];
    for (i, answer) in answers.iter().enumerate() {
        if i > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&answer.body);
    }
    body.push(b']');
    Response { status: 200, body }
}

/// Reads one body or line. Total: whatever the bytes, it ends in messages or in the answer to send back.
///
/// Not JSON (bad UTF-8, a byte order mark, NUL, a lone surrogate, anything after the value) is -32700; JSON that is
/// no message, has a member twice or breaks a limit is -32600; a number that no double holds is -32602. All of these
/// have HTTP status 400, but for the length, which has 413.
pub fn parse(bytes: &[u8]) -> Result<Incoming, Response> {
    read::incoming(bytes)
}

/// Whether a message of whomever, read as mere JSON, wants an answer.
pub fn is_request(message: &Value) -> bool {
    message.get("method").is_some() && message.get("id").is_some()
}

/// Whether such a message answers a request.
pub fn is_response(message: &Value) -> bool {
    message.get("method").is_none() && (message.get("result").is_some() || message.get("error").is_some())
}

impl Message {
    /// Whether its `_meta` names a protocol version: then it is of the modern era, whatever the headers say.
    pub fn names_version(&self) -> bool {
        match self {
            Message::Request { params, .. } | Message::Notification { params, .. } => params.names_version(),
            Message::Response { .. } => false,
        }
    }

    /// Writes the message as JSON; [`parse`] reads the same message back.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"jsonrpc":"2.0""#);
        match self {
            Message::Request { id, method, params } => {
                put_member(out, "id", id);
                put_member(out, "method", method);
                out.extend_from_slice(br#","params":"#);
                params.write(out);
            }
            Message::Notification { method, params } => {
                put_member(out, "method", method);
                out.extend_from_slice(br#","params":"#);
                params.write(out);
            }
            Message::Response { id, outcome } => {
                if let Some(id) = id {
                    put_member(out, "id", id);
                }
                match outcome {
                    Ok(result) => put_member(out, "result", result),
                    Err(error) => put_member(out, "error", error),
                }
            }
        }
        out.push(b'}');
    }
}

/// What somebody sent, to be shown to people: in quotes, at most 64 characters of it.
pub fn quote(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}

/// Writes a value as JSON.
pub(super) fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "memory takes whatever is written, and every map here has text for keys");
}

/// Writes a text as a JSON string. A structured result goes through here as a whole, quotes and all, so it is copied
/// eight bytes at a time.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for &word in words {
        let mut bytes = u64::from_le_bytes(word);
        let mut left = 8;
        let mut found = need_escape(bytes);
        while found != 0 {
            let clean = found.trailing_zeros() as usize / 8;
            put_some(out, bytes, clean);
            bytes >>= 8 * clean;
            put_escaped(out, bytes as u8);
            (bytes, found) = (bytes >> 8, found >> (8 * clean) >> 8);
            left -= clean + 1;
        }
        put_some(out, bytes, left);
    }
    for &byte in rest {
        match need_escape(u64::from(byte) | SPACES) {
            0 => out.push(byte),
            _ => put_escaped(out, byte),
        }
    }
    out.push(b'"');
}

const EACH: u64 = u64::MAX / 255;
/// Seven spaces behind a byte.
const SPACES: u64 = (EACH * b' ' as u64) << 8;

/// The high bit of each byte that JSON wants escaped: below 0x20, a quote, a backslash.
fn need_escape(bytes: u64) -> u64 {
    const HIGH: u64 = EACH << 7;
    // No byte reaches into the next: the sum of two numbers below 0x80 stays in its byte.
    let above = |bytes: u64, limit: u8| (bytes & !HIGH).wrapping_add(EACH * u64::from(0x80 - limit)) | bytes;
    let other_than = |byte: u8| above(bytes ^ (EACH * u64::from(byte)), 1);
    !(above(bytes, 0x20) & other_than(b'"') & other_than(b'\\')) & HIGH
}

/// Writes the first `count` of eight bytes.
fn put_some(out: &mut Vec<u8>, bytes: u64, count: usize) {
    let end = out.len() + count;
    out.extend_from_slice(&bytes.to_le_bytes());
    out.truncate(end);
}

fn put_escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        _ => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    }
}

fn put_member(out: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    out.push(b',');
    put(out, &name);
    out.push(b':');
    put(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped_wherever_it_needs_it() {
        let check = |text: &str| {
            let mut written = Vec::new();
            put_text(&mut written, text);
            assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text, "{text:?}");
        };
        for special in ["\"", "\\", "\n", "\0", "\u{1f}", "ü", "€", "😀", "\u{7f}", "!", " "] {
            for before in 0..20 {
                check(&format!("{}{special}", "a".repeat(before)));
                check(&format!("{}{special}{special}b{special}", "a".repeat(before)));
                check(&format!("{}{special}{}", "ü".repeat(before), "c".repeat(9)));
            }
        }
        check("");
        check(r#"{"a":["b\"c",{"d":null}],"e":"f"}"#);
    }
}
