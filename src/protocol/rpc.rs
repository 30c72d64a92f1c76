//! JSON-RPC 2.0: identifiers, messages, faults, and a total parser.
//!
//! [`parse`] reads untrusted bytes in one pass and holds every limit while it reads, so that a hostile message is
//! refused before it has cost more than its own length.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

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
/// The HTTP headers do not say what the body says (MCP 2026-07-28).
pub const HEADER_MISMATCH: i32 = -32020;
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
        params: Map<String, Value>,
    },
    /// Wants none.
    Notification {
        /// The method, such as `notifications/cancelled`.
        method: String,
        /// Its parameters; absent ones are empty.
        params: Map<String, Value>,
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
    let mut reader = Reader::default();
    read(bytes, &mut reader).map_err(|fault| fault.reply(reader.id.as_ref()))
}

impl Message {
    /// Writes the message as JSON; [`parse`] reads the same message back.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"jsonrpc":"2.0""#);
        match self {
            Message::Request { id, method, params } => {
                put_member(out, "id", id);
                put_member(out, "method", method);
                put_member(out, "params", params);
            }
            Message::Notification { method, params } => {
                put_member(out, "method", method);
                put_member(out, "params", params);
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

/// What a client sent, to be shown back to it: in quotes, at most 64 characters of it.
pub(super) fn quote(text: &str) -> String {
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

fn put_member(out: &mut Vec<u8>, name: &str, value: &impl Serialize) {
    out.push(b',');
    put(out, &name);
    out.push(b':');
    put(out, value);
}

fn read(bytes: &[u8], reader: &mut Reader) -> Result<Incoming, Fault> {
    if bytes.len() > MAX_BODY_BYTES {
        let text = format!("The message has {} bytes; at most {MAX_BODY_BYTES} are taken.", bytes.len());
        return Err(Fault::new(413, INVALID_REQUEST, text));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| not_json(format!("it is not UTF-8 after byte {}", error.valid_up_to())))?;
    if text.starts_with('\u{feff}') {
        return Err(not_json("it begins with a byte order mark; leave that out"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let incoming = json.deserialize_any(Body(reader)).and_then(|incoming| json.end().map(|()| incoming));
    incoming.map_err(|error| {
        let fault = reader.fault.take().unwrap_or_else(|| describe(&error));
        if fault.code == PARSE_ERROR {
            reader.id = None;
        }
        fault
    })
}

fn not_json(why: impl fmt::Display) -> Fault {
    Fault::new(400, PARSE_ERROR, format!("The message is not JSON: {why}."))
}

/// What serde_json found by itself.
fn describe(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    if text.starts_with("number out of range") {
        return Fault::new(400, INVALID_PARAMS, format!("A number is too large: {text}."));
    }
    match error.classify() {
        serde_json::error::Category::Data => Fault::invalid(format!(
            "A message is an object, or an array of objects where batches are allowed: {text}."
        )),
        _ => not_json(text),
    }
}

/// What is known while a body is read.
#[derive(Default)]
struct Reader {
    nodes: usize,
    in_batch: bool,
    /// The identifier of the one message, once read; a fault found after it can still name it.
    id: Option<Id>,
    /// Why reading was given up, where that was our decision.
    fault: Option<Fault>,
}

impl Reader {
    fn give_up<T, E: serde::de::Error>(&mut self, fault: Fault) -> Result<T, E> {
        self.fault = Some(fault);
        Err(E::custom("given up"))
    }

    fn refuse<T, E: serde::de::Error>(&mut self, why: impl Into<String>) -> Result<T, E> {
        self.give_up(Fault::invalid(why))
    }

    fn count<E: serde::de::Error>(&mut self, depth: usize) -> Result<(), E> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.refuse(format!("The message has more than {MAX_NODES} values."));
        }
        if depth > MAX_DEPTH {
            return self.refuse(format!("The message is nested more than {MAX_DEPTH} deep."));
        }
        Ok(())
    }

    fn text<E: serde::de::Error>(&mut self, text: &str, max_bytes: usize, what: &str) -> Result<(), E> {
        if text.len() > max_bytes {
            return self.refuse(format!("A {what} has {} bytes; at most {max_bytes} are taken.", text.len()));
        }
        if text.as_bytes().contains(&0) {
            return self.give_up(not_json(format!("a {what} holds the character NUL")));
        }
        Ok(())
    }
}

/// The whole body: a message or an array of them.
struct Body<'r>(&'r mut Reader);

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Incoming;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Incoming, A::Error> {
        envelope(self.0, 1, map).map(Incoming::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Incoming, A::Error> {
        self.0.in_batch = true;
        let mut messages = Vec::new();
        while let Some(message) = seq.next_element_seed(Item(self.0))? {
            if messages.len() == MAX_BATCH {
                return self.0.refuse(format!("The batch has more than {MAX_BATCH} messages."));
            }
            messages.push(message);
        }
        if messages.is_empty() {
            return self.0.refuse("The batch is empty.");
        }
        Ok(Incoming::Batch(messages))
    }
}

/// One message of a batch.
struct Item<'r>(&'r mut Reader);

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Message;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Message, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Message, A::Error> {
        envelope(self.0, 2, map)
    }
}

/// The members of a message as they came.
#[derive(Default)]
struct Envelope {
    jsonrpc: Option<Value>,
    id: Option<Value>,
    method: Option<Value>,
    params: Option<Value>,
    result: Option<Value>,
    error: Option<Value>,
    others: BTreeSet<String>,
}

fn envelope<'de, A: MapAccess<'de>>(
    reader: &mut Reader,
    depth: usize,
    mut map: A,
) -> Result<Message, A::Error> {
    reader.count(depth)?;
    let mut envelope = Envelope::default();
    while let Some(member) = map.next_key_seed(MemberName(reader))? {
        let slot = match member {
            Member::Jsonrpc => &mut envelope.jsonrpc,
            Member::Id => &mut envelope.id,
            Member::Method => &mut envelope.method,
            Member::Params => &mut envelope.params,
            Member::Result => &mut envelope.result,
            Member::Error => &mut envelope.error,
            Member::Other(name) => {
                map.next_value_seed(Node { reader, depth: depth + 1 })?;
                if let Some(twice) = envelope.others.replace(name) {
                    return reader.refuse(twice_told(&twice));
                }
                continue;
            }
        };
        if slot.is_some() {
            reader.id = None;
            return reader.refuse("A member of the message is there twice.");
        }
        let value = map.next_value_seed(Node { reader, depth: depth + 1 })?;
        if matches!(member, Member::Id) && !reader.in_batch {
            reader.id = Id::from_value(value.clone());
        }
        *slot = Some(value);
    }
    if envelope.method.is_none() {
        reader.id = None; // It names a request of ours, not of theirs.
    }
    match envelope.message() {
        Ok(message) => Ok(message),
        Err(why) => reader.refuse(why),
    }
}

fn twice_told(name: &str) -> String {
    format!("The member {name:?} is there twice in one object.")
}

impl Envelope {
    fn message(self) -> Result<Message, String> {
        if self.jsonrpc.as_ref().and_then(Value::as_str) != Some("2.0") {
            return Err(r#"The member "jsonrpc" must be "2.0"."#.into());
        }
        match (self.method, self.result, self.error) {
            (Some(Value::String(method)), None, None) => called(method, self.id, self.params),
            (Some(_), None, None) => Err(r#"The member "method" must be a string."#.into()),
            (None, Some(result), None) => {
                Ok(Message::Response { id: Some(identify(self.id)?), outcome: Ok(result) })
            }
            (None, None, Some(error @ Value::Object(_))) => {
                let id = self.id.filter(|id| !id.is_null()).map(|id| identify(Some(id))).transpose()?;
                Ok(Message::Response { id, outcome: Err(error) })
            }
            (None, None, Some(_)) => Err(r#"The member "error" must be an object."#.into()),
            _ => Err(r#"A message has exactly one of "method", "result" and "error"."#.into()),
        }
    }
}

fn called(method: String, id: Option<Value>, params: Option<Value>) -> Result<Message, String> {
    let params = match params {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err(r#"The member "params" must be an object."#.into()),
    };
    match id {
        None => Ok(Message::Notification { method, params }),
        id => Ok(Message::Request { id: identify(id)?, method, params }),
    }
}

fn identify(id: Option<Value>) -> Result<Id, String> {
    id.and_then(Id::from_value).ok_or_else(|| {
        format!(r#"The member "id" must be a string of at most {MAX_ID_BYTES} bytes or an integer within ±(2^53−1)."#)
    })
}

enum Member {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Other(String),
}

struct MemberName<'r>(&'r mut Reader);

impl<'de> DeserializeSeed<'de> for MemberName<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for MemberName<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Member, E> {
        Ok(match name {
            "jsonrpc" => Member::Jsonrpc,
            "id" => Member::Id,
            "method" => Member::Method,
            "params" => Member::Params,
            "result" => Member::Result,
            "error" => Member::Error,
            other => {
                self.0.text(other, MAX_KEY_BYTES, "member name")?;
                Member::Other(other.to_owned())
            }
        })
    }
}

struct Key<'r>(&'r mut Reader);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<String, E> {
        self.0.text(name, MAX_KEY_BYTES, "member name")?;
        Ok(name.to_owned())
    }
}

/// Any value inside a message, read within the limits.
struct Node<'r> {
    reader: &'r mut Reader,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.reader.count(0).map(|()| Value::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.reader.count(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.reader.count(0).map(|()| Value::Number(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.reader.count(0).map(|()| Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.reader.count(0)?;
        match Number::from_f64(value) {
            Some(number) => Ok(Value::Number(number)),
            None => self.reader.give_up(Fault::new(400, INVALID_PARAMS, "A number is too large.")),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.reader.count(0)?;
        self.reader.text(text, MAX_STRING_BYTES, "string")?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        self.reader.count(self.depth)?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Node { reader: self.reader, depth: self.depth + 1 })? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        self.reader.count(self.depth)?;
        let mut members = Map::new();
        while let Some(name) = map.next_key_seed(Key(self.reader))? {
            let value = map.next_value_seed(Node { reader: self.reader, depth: self.depth + 1 })?;
            match members.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(first) => return self.reader.refuse(twice_told(first.key())),
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> (u16, i64, Option<Value>, String) {
        let answer = parse(bytes).expect_err(&String::from_utf8_lossy(bytes));
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let text = body["error"]["message"].as_str().unwrap().to_owned();
        (answer.status, body["error"]["code"].as_i64().unwrap(), body.get("id").cloned(), text)
    }

    fn check(text: impl AsRef<[u8]>, code: i32, words: &str) {
        let bytes = text.as_ref();
        let (status, got, _, message) = refusal(bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
        assert_eq!((status, got), (400, i64::from(code)), "{shown}: {message}");
        assert!(message.contains(words), "{shown}: {message}");
    }

    fn request(params: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{params}}}"#)
    }

    fn nested(depth: usize) -> String {
        // The message and its parameters are the first two levels.
        request(&format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 2), "]".repeat(depth - 2)))
    }

    #[test]
    fn reads_each_kind_of_message() {
        let check = |text: &str, expected: &str| {
            assert_eq!(format!("{:?}", parse(text.as_bytes())), format!("Ok({expected})"), "{text}");
        };
        check(&request("{}"), r#"One(Request { id: Number(1), method: "m", params: {} })"#);
        check(
            r#" {"method":"m","id":"1","jsonrpc":"2.0","params":null,"extra":[1]} "#,
            r#"One(Request { id: Text("1"), method: "m", params: {} })"#,
        );
        check(r#"{"jsonrpc":"2.0","method":"n"}"#, r#"One(Notification { method: "n", params: {} })"#);
        check(
            r#"{"jsonrpc":"2.0","id":0,"result":null}"#,
            "One(Response { id: Some(Number(0)), outcome: Ok(Null) })",
        );
        check(
            r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
            "One(Response { id: None, outcome: Err(Object {}) })",
        );
        check(r#"[{"jsonrpc":"2.0","method":"n"}]"#, r#"Batch([Notification { method: "n", params: {} }])"#);
    }

    #[test]
    fn refuses_what_is_not_json() {
        check("", PARSE_ERROR, "EOF");
        check("nope", PARSE_ERROR, "not JSON");
        check(b"{\"jsonrpc\":\"2.0\",\"method\":\"\xc3", PARSE_ERROR, "UTF-8 after byte 27");
        check("\u{feff}{}", PARSE_ERROR, "byte order mark");
        check(request(r#"{"a":"\u0000"}"#), PARSE_ERROR, "NUL");
        check(request("{\"a\":\"\0\"}"), PARSE_ERROR, "control character");
        check(request(r#"{"a\u0000":1}"#), PARSE_ERROR, "NUL");
        check(request(r#"{"a":"\ud800"}"#), PARSE_ERROR, "hex escape");
        check(request("{} }"), PARSE_ERROR, "trailing");
        check(request("{\"a\":NaN}"), PARSE_ERROR, "not JSON");
        check("[".repeat(100_000), INVALID_REQUEST, "array of objects");
    }

    #[test]
    fn refuses_what_is_no_message() {
        check("1", INVALID_REQUEST, "A message is an object");
        check("[]", INVALID_REQUEST, "empty");
        check("[1]", INVALID_REQUEST, "A message is an object");
        check("{}", INVALID_REQUEST, "jsonrpc");
        check(r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, INVALID_REQUEST, "jsonrpc");
        check(r#"{"jsonrpc":"2.0","id":1}"#, INVALID_REQUEST, "exactly one of");
        check(r#"{"jsonrpc":"2.0","id":1,"Method":"m"}"#, INVALID_REQUEST, "exactly one of");
        check(r#"{"jsonrpc":"2.0","id":1,"method":1}"#, INVALID_REQUEST, "method");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#, INVALID_REQUEST, "exactly one of");
        check(r#"{"jsonrpc":"2.0","result":1}"#, INVALID_REQUEST, "id");
        check(r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, INVALID_REQUEST, "error");
        check(request("[1]"), INVALID_REQUEST, "params");
        for id in ["null", "1.5", "true", "[]", "{}", "9007199254740992", "-9007199254740992", "1e3"] {
            check(
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#),
                INVALID_REQUEST,
                "\"id\" must be",
            );
        }
        check(
            format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"m"}}"#, "i".repeat(257)),
            INVALID_REQUEST,
            "id",
        );
    }

    #[test]
    fn holds_the_limits_and_no_less() {
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        check(nested(MAX_DEPTH + 1), INVALID_REQUEST, "64 deep");
        // The message, its four scalars and containers, and the items.
        let many = |items: usize| request(&format!(r#"{{"a":[{}1]}}"#, "1,".repeat(items - 1)));
        assert!(parse(many(MAX_NODES - 6).as_bytes()).is_ok());
        check(many(MAX_NODES - 5), INVALID_REQUEST, "50000 values");
        let text = |bytes: usize| request(&format!(r#"{{"a":"{}"}}"#, "s".repeat(bytes)));
        assert!(parse(text(MAX_STRING_BYTES).as_bytes()).is_ok());
        check(text(MAX_STRING_BYTES + 1), INVALID_REQUEST, "at most 262144");
        let key = |bytes: usize| request(&format!(r#"{{"{}":1}}"#, "k".repeat(bytes)));
        assert!(parse(key(MAX_KEY_BYTES).as_bytes()).is_ok());
        check(key(MAX_KEY_BYTES + 1), INVALID_REQUEST, "member name");
        let batch = |n: usize| format!("[{}]", vec![r#"{"jsonrpc":"2.0","method":"n"}"#; n].join(","));
        assert!(parse(batch(MAX_BATCH).as_bytes()).is_ok());
        check(batch(MAX_BATCH + 1), INVALID_REQUEST, "more than 50");
        assert_eq!(refusal(&vec![b' '; MAX_BODY_BYTES + 1]).0, 413);
        check(request(r#"{"a":1e999}"#), INVALID_PARAMS, "too large");
    }

    #[test]
    fn refuses_a_member_that_is_there_twice() {
        check(request(r#"{"a":1,"a":1}"#), INVALID_REQUEST, "\"a\" is there twice");
        check(request(r#"{"b":[{"a":1,"c":0,"a":1}]}"#), INVALID_REQUEST, "\"a\" is there twice");
        check(r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"m"}"#, INVALID_REQUEST, "twice");
        check(r#"{"jsonrpc":"2.0","method":"m","x":1,"x":1}"#, INVALID_REQUEST, "\"x\" is there twice");
    }

    #[test]
    fn a_refusal_names_the_id_it_could_read() {
        let check =
            |text: &str, expected: Option<Value>| assert_eq!(refusal(text.as_bytes()).2, expected, "{text}");
        check(r#"{"jsonrpc":"2.0","id":7,"method":"m","params":[]}"#, Some(7.into()));
        check(r#"{"jsonrpc":"2.0","id":"7","method":"m","params":{"a":1,"a":2}}"#, Some("7".into()));
        check(r#"{"jsonrpc":"2.0","params":{"a":1,"a":2},"id":7,"method":"m"}"#, None);
        check(r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"m"}"#, None);
        check(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, None);
        check(r#"{"jsonrpc":"2.0","id":7,"method":"m""#, None);
        check(r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{}}"#, None);
        check(r#"[{"jsonrpc":"2.0","id":7,"method":"m"},{"id":1}]"#, None);
    }
}
