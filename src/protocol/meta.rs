//! The parameters of a message, and the `_meta` in which MCP's own members stand. It is read straight into what the
//! protocol knows of it: it comes with every modern request, and most of it is looked at once or never.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::level::Level;
use super::rpc::read::{Key, Names, Node, Reader, Skip};
use super::rpc::{Fault, Id, put};
use super::wire::{ClientInfo, wrong_params};

/// Where a message of the modern era names its revision, in `_meta`.
pub(super) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Where a request of the modern era names its client, in `_meta`.
pub(super) const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const PROGRESS_TOKEN: &str = "progressToken";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// What a level must be, in words.
pub(super) const LEVELS: &str = "one of debug, info, notice, warning, error, critical, alert, emergency";

/// The parameters of a message; absent ones are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// The member `_meta`.
    pub meta: Field<Meta>,
    /// All others, in their order.
    pub members: Map<String, Value>,
}

/// A member that should have a certain type.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Field<T> {
    /// It is not there.
    #[default]
    Absent,
    /// It is there, with another type.
    Wrong,
    /// It is there.
    Is(T),
}

impl Field<String> {
    /// A member that should be a text.
    pub(super) fn text(value: Value) -> Field<String> {
        match value {
            Value::String(text) => Field::Is(text),
            _ => Field::Wrong,
        }
    }
}

/// What the protocol knows of a request's `_meta` (MCP 2026-07-28, "Per-request protocol fields"). Others are held to
/// the parser's limits and dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// The version the request is written in.
    pub version: Field<String>,
    /// Who sends it.
    pub client: Field<ClientInfo>,
    /// What the client can do for this request.
    pub capabilities: Field<Capabilities>,
    /// What progress notifications would carry; one of a wrong type counts as absent.
    pub progress_token: Option<Id>,
    /// The least severe log messages it wants.
    pub log_level: Field<String>,
}

/// What a client declared that it can do: a JSON object, kept as the text it came in. Two that hold the same are equal,
/// however they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capabilities(Box<str>);

impl PartialEq for Capabilities {
    fn eq(&self, other: &Capabilities) -> bool {
        self.0 == other.0 || self.read() == other.read()
    }
}

impl Eq for Capabilities {}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities("{}".into())
    }
}

impl Capabilities {
    /// Whether the object's text may hold `name` at all: for what few clients declare, this spares reading it. With an
    /// escape it may hold it in other letters: PHP writes `\/` for a slash.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.0.contains(name) || self.0.contains('\\')
    }

    /// How long the object's text is.
    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The object.
    pub fn read(&self) -> Map<String, Value> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl From<&Map<String, Value>> for Capabilities {
    fn from(object: &Map<String, Value>) -> Capabilities {
        let mut text = Vec::new();
        put(&mut text, object);
        String::from_utf8(text).map_or_else(|_| Capabilities::default(), |text| Capabilities(text.into()))
    }
}

impl Params {
    /// The member of this name; `_meta` is not among them.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The version that `_meta` names.
    pub fn version(&self) -> Option<&str> {
        match &self.meta {
            Field::Is(Meta { version: Field::Is(version), .. }) => Some(version),
            _ => None,
        }
    }

    /// Whether `_meta` names a version, be it of a wrong type: that makes a request modern.
    pub(super) fn names_version(&self) -> bool {
        matches!(&self.meta, Field::Is(meta) if meta.version != Field::Absent)
    }

    /// Takes the progress token out of `_meta`.
    pub(super) fn progress_token(&mut self) -> Option<Id> {
        match &mut self.meta {
            Field::Is(meta) => meta.progress_token.take(),
            _ => None,
        }
    }

    /// The log messages that `_meta` asks for; INVALID_PARAMS for a level that is none.
    pub(super) fn log_level(&self) -> Result<Option<Level>, Fault> {
        let wrong = || wrong_params(&format!("params._meta[\"{LOG_LEVEL}\"]"), LEVELS);
        match &self.meta {
            Field::Is(Meta { log_level: Field::Wrong, .. }) => Err(wrong()),
            Field::Is(Meta { log_level: Field::Is(level), .. }) => {
                Level::parse(level).map(Some).ok_or_else(wrong)
            }
            _ => Ok(None),
        }
    }

    /// Writes the object, without what was dropped.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut object = self.members.clone();
        match &self.meta {
            Field::Absent => {}
            Field::Wrong => drop(object.insert("_meta".into(), false.into())),
            Field::Is(meta) => drop(object.insert("_meta".into(), meta.value())),
        }
        put(out, &object);
    }
}

impl Meta {
    /// Version, client and capabilities of a modern request; INVALID_PARAMS with HTTP status 400 where one is not what
    /// it must be. The client may be unknown.
    pub(super) fn check(meta: Field<Meta>) -> Result<(String, ClientInfo, Capabilities), Fault> {
        let wrong = |member: &str, wanted: &str| Fault { status: 400, ..wrong_params(member, wanted) };
        let Field::Is(meta) = meta else {
            return Err(wrong("params._meta", &format!("an object with {VERSION} and {CAPABILITIES}")));
        };
        let wrong = |member: &str, wanted: &str| wrong(&format!("params._meta[\"{member}\"]"), wanted);
        let Field::Is(version) = meta.version else {
            return Err(wrong(VERSION, "a string such as \"2026-07-28\""));
        };
        let Field::Is(capabilities) = meta.capabilities else { return Err(wrong(CAPABILITIES, "an object")) };
        match meta.client {
            Field::Wrong => Err(wrong(CLIENT, "an object with the strings name and version")),
            Field::Absent => Ok((version, ClientInfo::default(), capabilities)),
            Field::Is(client) => Ok((version, client, capabilities)),
        }
    }

    fn value(&self) -> Value {
        let mut object = Map::new();
        let mut set = |name: &str, value: Value| drop(object.insert(name.into(), value));
        match &self.version {
            Field::Absent => {}
            Field::Wrong => set(VERSION, false.into()),
            Field::Is(version) => set(VERSION, version.as_str().into()),
        }
        match &self.client {
            Field::Absent => {}
            Field::Wrong => set(CLIENT, false.into()),
            Field::Is(client) => set(CLIENT, serde_json::json!(client)),
        }
        match &self.capabilities {
            Field::Absent => {}
            Field::Wrong => set(CAPABILITIES, false.into()),
            Field::Is(capabilities) => set(CAPABILITIES, capabilities.read().into()),
        }
        match &self.log_level {
            Field::Absent => {}
            Field::Wrong => set(LOG_LEVEL, false.into()),
            Field::Is(level) => set(LOG_LEVEL, level.as_str().into()),
        }
        if let Some(token) = &self.progress_token {
            set(PROGRESS_TOKEN, serde_json::json!(token));
        }
        Value::Object(object)
    }
}

/// What is read out of the members of an object.
pub(super) trait FromMembers: Sized {
    fn from_members<'de, A: MapAccess<'de>>(
        reader: &mut Reader,
        depth: usize,
        members: A,
    ) -> Result<Field<Self>, A::Error>;
}

/// Reads a `T` out of an object; null is [`Field::Absent`], anything else [`Field::Wrong`].
pub(super) struct Object<'r, T> {
    reader: &'r mut Reader,
    depth: usize,
    kind: PhantomData<T>,
}

impl<'r, T> Object<'r, T> {
    pub fn new(reader: &'r mut Reader, depth: usize) -> Object<'r, T> {
        Object { reader, depth, kind: PhantomData }
    }

    fn skip(self) -> Skip<'r> {
        Skip { reader: self.reader, depth: self.depth }
    }
}

impl<'de, T: FromMembers> DeserializeSeed<'de> for Object<'_, T> {
    type Value = Field<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: FromMembers> Visitor<'de> for Object<'_, T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
        self.reader.count(self.depth)?;
        T::from_members(self.reader, self.depth, map)
    }

    fn visit_unit<E: Error>(self) -> Result<Field<T>, E> {
        self.skip().visit_unit().map(|()| Field::Absent)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Field<T>, E> {
        self.skip().visit_bool(value).map(|()| Field::Wrong)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Field<T>, E> {
        self.skip().visit_i64(value).map(|()| Field::Wrong)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Field<T>, E> {
        self.skip().visit_u64(value).map(|()| Field::Wrong)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Field<T>, E> {
        self.skip().visit_f64(value).map(|()| Field::Wrong)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Field<T>, E> {
        self.skip().visit_str(text).map(|()| Field::Wrong)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<T>, A::Error> {
        self.skip().visit_seq(seq).map(|()| Field::Wrong)
    }
}

impl FromMembers for Meta {
    fn from_members<'de, A: MapAccess<'de>>(
        reader: &mut Reader,
        depth: usize,
        mut map: A,
    ) -> Result<Field<Meta>, A::Error> {
        let mut meta = Meta::default();
        let mut names = Names::default();
        let inside = depth + 1;
        while let Some(name) = map.next_key_seed(Key(reader))? {
            if !names.add(name.clone()) {
                return reader.twice(&name);
            }
            match &*name {
                VERSION => meta.version = Field::text(map.next_value_seed(Node { reader, depth: inside })?),
                CLIENT => meta.client = map.next_value_seed(Object::new(reader, inside))?,
                CAPABILITIES => meta.capabilities = capabilities(reader, inside, map.next_value()?)?,
                LOG_LEVEL => {
                    meta.log_level = Field::text(map.next_value_seed(Node { reader, depth: inside })?)
                }
                PROGRESS_TOKEN => {
                    meta.progress_token =
                        Id::from_value(map.next_value_seed(Node { reader, depth: inside })?);
                }
                _ => map.next_value_seed(Skip { reader, depth: inside })?,
            }
        }
        Ok(Field::Is(meta))
    }
}

impl FromMembers for ClientInfo {
    fn from_members<'de, A: MapAccess<'de>>(
        reader: &mut Reader,
        depth: usize,
        mut map: A,
    ) -> Result<Field<ClientInfo>, A::Error> {
        let [mut name, mut version, mut title] = [Field::Absent, Field::Absent, Field::Absent];
        let mut names = Names::default();
        while let Some(member) = map.next_key_seed(Key(reader))? {
            if !names.add(member.clone()) {
                return reader.twice(&member);
            }
            let field = match &*member {
                "name" => Some(&mut name),
                "version" => Some(&mut version),
                "title" => Some(&mut title),
                _ => None,
            };
            match field {
                Some(field) => *field = Field::text(map.next_value_seed(Node { reader, depth: depth + 1 })?),
                None => map.next_value_seed(Skip { reader, depth: depth + 1 })?,
            }
        }
        Ok(ClientInfo::from_fields(name, version, title).map_or(Field::Wrong, Field::Is))
    }
}

fn capabilities<E: Error>(
    reader: &mut Reader,
    depth: usize,
    raw: &RawValue,
) -> Result<Field<Capabilities>, E> {
    reader.inner(raw, |reader, json| Skip { reader, depth }.deserialize(json))?;
    Ok(match raw.get().starts_with('{') {
        true => Field::Is(Capabilities(raw.get().into())),
        false => Field::Wrong,
    })
}

#[cfg(test)]
mod tests {
    use super::super::revision::Revision;
    use super::super::rpc::{self, Incoming, Message};
    use super::super::session::Peer;
    use super::*;

    fn params(meta: &str) -> Params {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{meta},"a":1}}}}"#);
        match rpc::parse(text.as_bytes()) {
            Ok(Incoming::One(Message::Request { params, .. })) => params,
            other => panic!("{meta}: {other:?}"),
        }
    }

    #[test]
    fn reads_what_the_protocol_knows() {
        let params = params(
            r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
                "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1","title":"C","icons":[{}]},
                "io.modelcontextprotocol/clientCapabilities":{"roots": {}},
                "progressToken":"t","claudecode/toolUseId":"x"}"#,
        );
        assert_eq!(params.version(), Some("2026-07-28"));
        assert_eq!(params.members.keys().collect::<Vec<_>>(), ["a"]);
        let Field::Is(meta) = params.meta else { panic!("an object") };
        assert_eq!(meta.progress_token, Some(Id::Text("t".into())));
        let (_, client, capabilities) = Meta::check(Field::Is(meta)).unwrap();
        assert_eq!(
            (client.name.as_str(), client.version.as_str(), client.title.as_deref()),
            ("c", "1", Some("C"))
        );
        assert!(capabilities.read().contains_key("roots"));
    }

    #[test]
    fn an_extension_may_be_written_with_escapes() {
        let params = params(
            r#"{"io.modelcontextprotocol\/protocolVersion":"2026-07-28","io.modelcontextprotocol\/clientCapabilities":
                {"extensions":{"io.modelcontextprotocol\/tasks":{}}}}"#,
        );
        let (_, client, capabilities) = Meta::check(params.meta).unwrap();
        let peer = Peer { capabilities, ..Peer::new(Revision::MODERN, client) };
        assert!(peer.has_extension("io.modelcontextprotocol/tasks"));
        assert!(!peer.has_extension("io.modelcontextprotocol/ui"));
    }

    #[test]
    fn tells_absent_from_wrong() {
        let check = |meta: &str, expected: &Field<Meta>| assert_eq!(&params(meta).meta, expected, "{meta}");
        let is = Field::Is;
        for wrong in ["1", "-1", "1.5", "true", "\"x\"", "[[{}]]"] {
            check(wrong, &Field::Wrong);
            let members = format!(
                r#"{{"{VERSION}":{},"{CLIENT}":{wrong},"{CAPABILITIES}":{wrong}}}"#,
                if wrong.starts_with('"') { "null" } else { wrong },
            );
            check(
                &members,
                &is(Meta {
                    version: Field::Wrong,
                    client: Field::Wrong,
                    capabilities: Field::Wrong,
                    progress_token: None,
                    log_level: Field::Absent,
                }),
            );
        }
        check("null", &Field::Absent);
        check("{}", &is(Meta::default()));
        check(&format!(r#"{{"{CLIENT}":null}}"#), &is(Meta::default()));
        check(
            &format!(r#"{{"{CLIENT}":{{"name":1}}}}"#),
            &is(Meta { client: Field::Wrong, ..Meta::default() }),
        );
    }

    #[test]
    fn holds_the_limits_in_what_it_drops() {
        let check = |meta: &str, expected: &str| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{meta}}}}}"#);
            let refusal = String::from_utf8(rpc::parse(text.as_bytes()).unwrap_err().body).unwrap();
            assert!(refusal.contains(expected), "{meta}: {refusal}");
        };
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for member in ["x", CLIENT, CAPABILITIES, VERSION, PROGRESS_TOKEN] {
            check(&format!(r#"{{"{member}":1,"{member}":1}}"#), "is there twice");
            check(&format!(r#"{{"{member}":{{"a":1,"a":1}}}}"#), "is there twice");
            check(&format!(r#"{{"{member}":{}}}"#, deep(62)), "64 deep");
            check(&format!(r#"{{"{member}":"\u0000"}}"#), "NUL");
            check(&format!(r#"{{"{member}":"\ud800"}}"#), "not JSON");
            check(&format!(r#"{{"{member}":"{}"}}"#, "s".repeat(262_145)), "at most 262144");
            check(&format!(r#"{{"{member}":1e999}}"#), "too large");
        }
        check(&format!("[{}1]", "1,".repeat(50_000)), "50000 values");
        assert_eq!(params(&format!(r#"{{"x":{}}}"#, deep(61))).meta, Field::Is(Meta::default()));
    }
}
