//! The parser: untrusted bytes to messages, in one pass that holds every limit while it reads.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::de::StrRead;
use serde_json::map::Entry;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

use super::{
    Fault, INVALID_PARAMS, INVALID_REQUEST, Id, Incoming, MAX_BATCH, MAX_BODY_BYTES, MAX_DEPTH, MAX_ID_BYTES,
    MAX_KEY_BYTES, MAX_NODES, MAX_STRING_BYTES, Message, PARSE_ERROR, Response,
};
use crate::error::without_secrets;
use crate::protocol::meta::{Object, Params};

/// Reads one body or line; what refuses it names the request, where its identifier could be read.
pub(super) fn incoming(bytes: &[u8]) -> Result<Incoming, Response> {
    let mut reader = Reader::default();
    body(bytes, &mut reader).map_err(|fault| {
        let id = reader.id.as_ref().filter(|_| fault.code != PARSE_ERROR);
        fault.reply(id)
    })
}

fn body(bytes: &[u8], reader: &mut Reader) -> Result<Incoming, Fault> {
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
    incoming.map_err(|error| reader.fault.take().unwrap_or_else(|| describe(&error)))
}

fn not_json(why: impl fmt::Display) -> Fault {
    Fault::new(400, PARSE_ERROR, format!("The message is not JSON: {why}."))
}

/// What serde_json found by itself.
fn describe(error: &serde_json::Error) -> Fault {
    let text = error.to_string();
    // It quotes what came, and what comes to the wrong place may be a credential.
    let text = without_secrets(&text);
    if text.starts_with("number out of range") {
        return Fault::new(400, INVALID_PARAMS, format!("A number is too large: {text}."));
    }
    match error.classify() {
        serde_json::error::Category::Data => Fault::invalid(format!("This is no JSON-RPC message: {text}.")),
        _ => not_json(text),
    }
}

fn twice_told(name: &str) -> String {
    format!("The member {:?} is there twice in one object.", without_secrets(name))
}

/// What is known while a body is read.
#[derive(Default)]
pub(in crate::protocol) struct Reader {
    nodes: usize,
    in_batch: bool,
    /// The identifier of the one message, once read; a fault found after it can still name it.
    id: Option<Id>,
    /// Why reading was given up, where that was our decision.
    fault: Option<Fault>,
}

impl Reader {
    #[cold]
    fn give_up<T, E: serde::de::Error>(&mut self, fault: Fault) -> Result<T, E> {
        self.fault = Some(fault);
        Err(E::custom("given up"))
    }

    #[cold]
    fn refuse<T, E: serde::de::Error>(&mut self, why: impl Into<String>) -> Result<T, E> {
        self.give_up(Fault::invalid(why))
    }

    /// Counts a value; `depth` is that of an array or object, 0 for anything else.
    #[inline]
    pub fn count<E: serde::de::Error>(&mut self, depth: usize) -> Result<(), E> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.refuse(format!("The message has more than {MAX_NODES} values."));
        }
        if depth > MAX_DEPTH {
            return self.refuse(format!("The message is nested more than {MAX_DEPTH} deep."));
        }
        Ok(())
    }

    #[inline]
    fn length<E: serde::de::Error>(&mut self, text: &str, max_bytes: usize, what: &str) -> Result<(), E> {
        if text.len() > max_bytes {
            return self.refuse(format!("A {what} has {} bytes; at most {max_bytes} are taken.", text.len()));
        }
        Ok(())
    }

    /// Of a text that was written with escapes, which alone can hold a NUL.
    fn unescaped<E: serde::de::Error>(&mut self, text: &str, what: &str) -> Result<(), E> {
        if text.as_bytes().contains(&0) {
            return self.give_up(not_json(format!("a {what} holds the character NUL")));
        }
        Ok(())
    }

    /// Refuses an object that has this member already.
    pub fn twice<T, E: serde::de::Error>(&mut self, name: &str) -> Result<T, E> {
        self.refuse(twice_told(name))
    }

    /// Reads the text of one value with a seed of its own.
    pub fn inner<'de, T, E: serde::de::Error>(
        &mut self,
        raw: &'de RawValue,
        read: impl FnOnce(&mut Reader, &mut serde_json::Deserializer<StrRead<'de>>) -> serde_json::Result<T>,
    ) -> Result<T, E> {
        let mut json = serde_json::Deserializer::from_str(raw.get());
        read(self, &mut json).or_else(|error| {
            let fault = self.fault.take().unwrap_or_else(|| describe(&error));
            self.give_up(fault)
        })
    }
}

/// The whole body: a message or an array of them.
struct Body<'r>(&'r mut Reader);

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Incoming;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or an array of objects where batches are allowed")
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
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Message, A::Error> {
        envelope(self.0, 2, map)
    }
}

/// The members of a message as they came.
#[derive(Default)]
struct Envelope {
    jsonrpc: Option<bool>,
    id: Option<Value>,
    method: Option<Value>,
    params: Option<Params>,
    result: Option<Value>,
    error: Option<Value>,
}

fn envelope<'de, A: MapAccess<'de>>(
    reader: &mut Reader,
    depth: usize,
    mut map: A,
) -> Result<Message, A::Error> {
    reader.count(depth)?;
    let mut envelope = Envelope::default();
    let mut others = Names::default();
    let inside = depth + 1;
    while let Some(name) = map.next_key_seed(Key(reader))? {
        let first = match &*name {
            "jsonrpc" => {
                reader.count(0)?;
                envelope.jsonrpc.replace(map.next_value::<&RawValue>()?.get() == r#""2.0""#).is_none()
            }
            "params" => {
                envelope.params.replace(map.next_value_seed(ParamsNode { reader, depth: inside })?).is_none()
            }
            "id" => {
                let id = map.next_value_seed(Node { reader, depth: inside })?;
                reader.id = Id::from_value(id.clone()).filter(|_| !reader.in_batch);
                envelope.id.replace(id).is_none()
            }
            "method" => {
                envelope.method.replace(map.next_value_seed(Node { reader, depth: inside })?).is_none()
            }
            "result" => {
                envelope.result.replace(map.next_value_seed(Node { reader, depth: inside })?).is_none()
            }
            "error" => envelope.error.replace(map.next_value_seed(Node { reader, depth: inside })?).is_none(),
            _ => {
                map.next_value_seed(Skip { reader, depth: inside })?;
                others.add(name.clone())
            }
        };
        if !first {
            reader.id = reader.id.take().filter(|_| name != "id");
            return reader.twice(&name);
        }
    }
    if envelope.method.is_none() {
        reader.id = None; // It names a request of ours, not of theirs.
    }
    envelope.message().or_else(|why| reader.refuse(why))
}

impl Envelope {
    fn message(self) -> Result<Message, String> {
        if self.jsonrpc != Some(true) {
            return Err(r#"The member "jsonrpc" must be "2.0"."#.into());
        }
        match (self.method, self.result, self.error) {
            (Some(Value::String(method)), None, None) => {
                called(method, self.id, self.params.unwrap_or_default())
            }
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

fn called(method: String, id: Option<Value>, params: Params) -> Result<Message, String> {
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

/// A member's name.
pub(in crate::protocol) struct Key<'r>(pub &'r mut Reader);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        self.0.length(name, MAX_KEY_BYTES, "member name")?;
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Cow<'de, str>, E> {
        self.0.length(name, MAX_KEY_BYTES, "member name")?;
        self.0.unescaped(name, "member name")?;
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The names an object has had so far. The first few need no memory of their own.
#[derive(Default)]
pub(in crate::protocol) struct Names<'de> {
    few: [&'de str; 8],
    count: usize,
    more: BTreeSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    /// Adds a name; false when it was there.
    pub fn add(&mut self, name: Cow<'de, str>) -> bool {
        if self.few.iter().take(self.count).any(|other| *other == name) {
            return false;
        }
        match (name, self.few.get_mut(self.count)) {
            (Cow::Borrowed(name), Some(place)) if self.more.is_empty() => {
                *place = name;
                self.count += 1;
                true
            }
            (name, _) => self.more.insert(name),
        }
    }
}

/// The parameters of a message: an object, or null for none.
struct ParamsNode<'r> {
    reader: &'r mut Reader,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for ParamsNode<'_> {
    type Value = Params;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Params, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParamsNode<'_> {
    type Value = Params;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object for params")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Params, E> {
        self.reader.count(0).map(|()| Params::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params, A::Error> {
        let ParamsNode { reader, depth } = self;
        reader.count(depth)?;
        let (mut params, mut has_meta) = (Params::default(), false);
        while let Some(name) = map.next_key_seed(Key(reader))? {
            if name != "_meta" {
                member(reader, &mut params.members, name, &mut map, depth)?;
            } else if !has_meta {
                params.meta = map.next_value_seed(Object::new(reader, depth + 1))?;
                has_meta = true;
            } else {
                return reader.twice(&name);
            }
        }
        Ok(params)
    }
}

fn member<'de, A: MapAccess<'de>>(
    reader: &mut Reader,
    members: &mut Map<String, Value>,
    name: Cow<'de, str>,
    map: &mut A,
    depth: usize,
) -> Result<(), A::Error> {
    let value = map.next_value_seed(Node { reader, depth: depth + 1 })?;
    match members.entry(name.into_owned()) {
        Entry::Vacant(place) => {
            place.insert(value);
            Ok(())
        }
        Entry::Occupied(first) => reader.twice(first.key()),
    }
}

/// Any value inside a message, kept.
pub(in crate::protocol) struct Node<'r> {
    pub reader: &'r mut Reader,
    pub depth: usize,
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

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<Value, E> {
        self.reader.count(0)?;
        self.reader.length(text, MAX_STRING_BYTES, "string")?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.reader.count(0)?;
        self.reader.length(text, MAX_STRING_BYTES, "string")?;
        self.reader.unescaped(text, "string")?;
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
            member(self.reader, &mut members, name, &mut map, self.depth)?;
        }
        Ok(Value::Object(members))
    }
}

/// Any value inside a message, held to the limits but not kept.
pub(in crate::protocol) struct Skip<'r> {
    pub reader: &'r mut Reader,
    pub depth: usize,
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.reader.count(0)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.reader.count(0)
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.reader.count(0)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.reader.count(0)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.reader.count(0)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, text: &'de str) -> Result<(), E> {
        self.reader.count(0)?;
        self.reader.length(text, MAX_STRING_BYTES, "string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.reader.count(0)?;
        self.reader.length(text, MAX_STRING_BYTES, "string")?;
        self.reader.unescaped(text, "string")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.reader.count(self.depth)?;
        while seq.next_element_seed(Skip { reader: self.reader, depth: self.depth + 1 })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.reader.count(self.depth)?;
        let mut names = Names::default();
        while let Some(name) = map.next_key_seed(Key(self.reader))? {
            if !names.add(name.clone()) {
                return self.reader.twice(&name);
            }
            map.next_value_seed(Skip { reader: self.reader, depth: self.depth + 1 })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
