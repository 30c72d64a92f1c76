//! Whether an answer says the same as the recorded one, but for what differs from run to run.
//!
//! Three readers compare. The tests of this server hold its recordings against a copy of the same rows (`Of::Ours`); texts of
//! tools and versions are left aside, which fixtures of their own hold. `verify` holds any server against a recording
//! (`Of::Any`): left aside are times, cursors, request states and other opaque values, and how long something took.
//! A strict replay holds a client against it (`Of::Client`): left aside are ids, progress tokens, the client's version and
//! what it adds to `_meta` of its own.
//!
//! JSON in a text is compared as JSON, and a placeholder of the recorder (`[token-1]`) stands for any text.

mod values;

use std::fmt;

use serde_json::{Map, Value};

pub use self::values::{Pointer, brief, decoded, holds_placeholder, is_one_secret, is_placeholder};
use self::values::{is_time, is_uuid, object, taken_out, without_durations, without_numbers};

/// Members whose value may be any of the same type, in answers of this server.
const OURS: [&str; 7] =
    ["description", "inputSchema", "instructions", "nextCursor", "outputSchema", "title", "version"];
/// Members of results that may be there or not, as the rows and the hour have it.
const PASSING: [&str; 3] = ["notice", "truncated", "untrusted"];
/// The member of results that is signed, with a key that each data folder has of its own.
const CURSOR: &str = "next_cursor";
/// Members whose value may be any of the same type, in answers of any server.
const OPAQUE: [&str; 13] = [
    "cursor",
    "io.modelcontextprotocol/subscriptionId",
    "nextCursor",
    "next_cursor",
    "nonce",
    "progressToken",
    "requestState",
    "request_id",
    "sessionId",
    "session_id",
    "taskId",
    "traceparent",
    "tracestate",
];
/// How members that tell a duration end; `ttlMs` is none, for a server says it of its own choice.
const DURATIONS: [&str; 14] = [
    "Ms",
    "Millis",
    "Milliseconds",
    "Seconds",
    "_ms",
    "_millis",
    "_milliseconds",
    "_seconds",
    "duration",
    "Duration",
    "elapsed",
    "Elapsed",
    "latency",
    "took",
];
/// The member of a tool's result that a text block beside it often repeats as JSON (MCP, "Structured Content").
const STRUCTURED: &str = "structuredContent";
/// Of who the client is, what changes with each release.
const RELEASE: [&str; 5] = ["description", "icons", "title", "version", "websiteUrl"];

/// What is known of the rows behind an answer of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// They are those of the recording: compared by value.
    Same,
    /// They are others: compared by shape, that is the same members, each of the same type.
    Other,
}

/// Whose messages are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Answers of this server.
    Ours(Rows),
    /// Answers of any server.
    Any,
    /// What a client sends.
    Client,
}

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where, as a JSON pointer (RFC 6901) into the message; JSON in a text is pointed into as well.
    pub pointer: String,
    /// What stood there; nothing where it is new.
    pub recorded: Option<Value>,
    /// What stands there; nothing where it is missing.
    pub now: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = &self.pointer;
        match (&self.recorded, &self.now) {
            (Some(recorded), Some(now)) => write!(f, "{pointer}: {} became {}", brief(recorded), brief(now)),
            (Some(recorded), None) => write!(f, "{pointer}: is missing; it was {}", brief(recorded)),
            (None, Some(now)) => write!(f, "{pointer}: is new: {}", brief(now)),
            (None, None) => write!(f, "{pointer}"),
        }
    }
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    /// Where the two differ.
    pub differences: Vec<Difference>,
    /// Opaque texts that were recorded, and those that stand in their place now: a cursor, a placeholder.
    pub opaque: Vec<Opaque>,
}

/// What stands in the place of an opaque text.
#[derive(Clone, Debug, PartialEq)]
pub struct Opaque {
    /// Where, as in [`Difference`].
    pub pointer: String,
    /// The recorded text: all that stood there, or of what a client says a placeholder within it.
    pub recorded: String,
    /// What stands in its place.
    pub now: String,
}

/// Where `now` differs from `recorded`, but for what is at or below one of `ignored`; empty when they say the same.
pub fn compare(recorded: &Value, now: &Value, of: Of, ignored: &[Pointer]) -> Vec<Difference> {
    compare_all(recorded, now, of, ignored).differences
}

/// The same, and what the opaque texts became.
pub fn compare_all(recorded: &Value, now: &Value, of: Of, ignored: &[Pointer]) -> Compared {
    let mut found = Compared::default();
    Comparison { found: &mut found, of, inside: false, structured: None }.value("", recorded, now);
    found.differences.retain(|difference| !ignored.iter().any(|pointer| pointer.covers(&difference.pointer)));
    found
}

/// Where an answer of this server differs from the recorded one, each in words with its JSON pointer.
pub fn differences(expected: &Value, got: &Value, rows: Rows) -> Vec<String> {
    compare(expected, got, Of::Ours(rows), &[]).iter().map(ToString::to_string).collect()
}

struct Comparison<'f, 'v> {
    found: &'f mut Compared,
    of: Of,
    /// Within what the rows decide.
    inside: bool,
    /// Within a result of any server: its structured content, recorded and now.
    structured: Option<(&'v Value, &'v Value)>,
}

impl<'v> Comparison<'_, 'v> {
    fn by_shape(&self) -> bool {
        self.inside && self.of == Of::Ours(Rows::Other)
    }

    /// Whether the member's value may be any of the same type.
    fn is_opaque(&self, path: &str, name: &str) -> bool {
        match self.of {
            Of::Ours(_) if self.inside => name == CURSOR,
            Of::Ours(_) => name == "com.chaterimo/quota" || OURS.contains(&name),
            Of::Any => {
                OPAQUE.contains(&name) || DURATIONS.iter().any(|end| name != "ttlMs" && name.ends_with(end))
            }
            Of::Client => name == "progressToken" || (path.ends_with("lientInfo") && RELEASE.contains(&name)),
        }
    }

    /// Whether the member may be there or not, and say what it likes.
    fn is_passing(&self, path: &str, name: &str) -> bool {
        match self.of {
            Of::Ours(rows) => rows == Rows::Other && PASSING.contains(&name),
            Of::Any => false,
            Of::Client if path.is_empty() => name == "id" || name == "jsonrpc",
            Of::Client if path.ends_with("/_meta") => !name.starts_with("io.modelcontextprotocol/"),
            Of::Client => path.ends_with("lientInfo") && RELEASE.contains(&name),
        }
    }

    fn learn(&mut self, path: &str, recorded: &str, now: &str) {
        let (pointer, recorded, now) = (path.to_owned(), recorded.to_owned(), now.to_owned());
        self.found.opaque.push(Opaque { pointer, recorded, now });
    }

    fn differ(&mut self, pointer: String, recorded: Option<&Value>, now: Option<&Value>) {
        self.found.differences.push(Difference { pointer, recorded: recorded.cloned(), now: now.cloned() });
    }

    fn value(&mut self, path: &str, recorded: &'v Value, now: &'v Value) {
        match (recorded, now) {
            (Value::Object(recorded), Value::Object(now)) => self.objects(path, recorded, now),
            (Value::Array(recorded), Value::Array(now)) => self.arrays(path, recorded, now),
            (Value::String(recorded), Value::String(now)) => self.texts(path, recorded, now),
            (Value::Null, _) | (_, Value::Null) if self.by_shape() => {}
            (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) if self.by_shape() => {}
            _ if recorded == now => {}
            _ => self.differ(path.to_owned(), Some(recorded), Some(now)),
        }
    }

    fn objects(&mut self, path: &str, recorded: &'v Map<String, Value>, now: &'v Map<String, Value>) {
        for (name, value) in recorded.iter().filter(|(name, _)| !now.contains_key(*name)) {
            if !self.is_passing(path, name) && !self.is_empty_meta(name, value) {
                self.differ(below(path, name), Some(value), None);
            }
        }
        for (name, value) in now.iter().filter(|(name, _)| !recorded.contains_key(*name)) {
            if !self.is_passing(path, name) && !self.is_empty_meta(name, value) {
                self.differ(below(path, name), None, Some(value));
            }
        }
        let outer = self.structured;
        if let (Of::Any, Some(recorded), Some(now)) = (self.of, recorded.get(STRUCTURED), now.get(STRUCTURED))
        {
            self.structured = Some((recorded, now));
        }
        for (name, recorded) in recorded {
            if let Some(now) = now.get(name) {
                self.member(path, name, recorded, now);
            }
        }
        self.structured = outer;
    }

    /// A client's `_meta` with nothing that counts is as good as none, and so are parameters with nothing but that.
    fn is_empty_meta(&self, name: &str, value: &Value) -> bool {
        let empty =
            |meta: &Map<String, Value>| meta.keys().all(|name| !name.starts_with("io.modelcontextprotocol/"));
        let Value::Object(members) = value else { return false };
        self.of == Of::Client
            && match name {
                "_meta" => empty(members),
                "params" => members
                    .iter()
                    .all(|(name, value)| name == "_meta" && value.as_object().is_some_and(empty)),
                _ => false,
            }
    }

    fn member(&mut self, path: &str, name: &str, recorded: &'v Value, now: &'v Value) {
        let same_type = std::mem::discriminant(recorded) == std::mem::discriminant(now);
        if self.of == Of::Client && self.is_passing(path, name) || (self.is_opaque(path, name) && same_type) {
            // What a client may say as it likes stands for nothing.
            if let (Value::String(recorded), Value::String(now), true) =
                (recorded, now, self.of != Of::Client)
            {
                self.learn(&below(path, name), recorded, now);
            }
            return;
        }
        let inside = self.inside || name == STRUCTURED;
        let (of, structured) = (self.of, self.structured);
        Comparison { found: self.found, of, inside, structured }.value(&below(path, name), recorded, now);
    }

    fn arrays(&mut self, path: &str, recorded: &'v [Value], now: &'v [Value]) {
        if let (Of::Any, Some(recorded), Some(now)) = (self.of, by_name(recorded), by_name(now)) {
            return self.named(path, &recorded, &now);
        }
        if recorded.len() != now.len() && !self.by_shape() {
            let items = |items: &[Value]| Value::from(format!("{} items", items.len()));
            self.differ(path.to_owned(), Some(&items(recorded)), Some(&items(now)));
        }
        for (i, (recorded, now)) in recorded.iter().zip(now).enumerate() {
            self.value(&format!("{path}/{i}"), recorded, now);
        }
    }

    /// Items that have names, such as tools: by name, so that one more in the middle is one difference.
    fn named(&mut self, path: &str, recorded: &[(&str, &'v Value)], now: &[(&str, &'v Value)]) {
        for (i, (name, recorded)) in recorded.iter().enumerate() {
            let pointer = format!("{path}/{i}");
            match now.iter().find(|(now, _)| now == name) {
                Some((_, now)) => self.value(&pointer, recorded, now),
                None => self.differ(pointer, Some(&(*name).into()), None),
            }
        }
        for (i, (name, _)) in now.iter().enumerate() {
            if !recorded.iter().any(|(recorded, _)| recorded == name) {
                self.differ(format!("{path}/{i}"), None, Some(&(*name).into()));
            }
        }
    }

    fn texts(&mut self, path: &str, recorded: &str, now: &str) {
        let opaque = self.of == Of::Any && is_uuid(recorded) && is_uuid(now);
        if opaque || is_placeholder(recorded) {
            self.learn(path, recorded, now);
        }
        if self.by_shape() || recorded == now || opaque || (is_time(recorded) && is_time(now)) {
            return;
        }
        match (object(recorded), object(now)) {
            // The text repeats the structured content, where it is compared.
            (Some(recorded), Some(now)) if self.structured == Some((&recorded, &now)) => {}
            (Some(recorded), Some(now)) => {
                let (of, inside, structured) = (self.of, true, None);
                Comparison { found: self.found, of, inside, structured }.value(path, &recorded, &now);
            }
            _ if self.says_the_same(path, recorded, now) => {}
            _ => self.differ(path.to_owned(), Some(&recorded.into()), Some(&now.into())),
        }
    }

    /// Whether two sentences differ only in what a clock decides, or the recorder took out.
    fn says_the_same(&mut self, path: &str, recorded: &str, now: &str) -> bool {
        match self.of {
            Of::Ours(_) => !self.inside && without_numbers(recorded) == without_numbers(now),
            Of::Any => taken_out(&without_durations(recorded), &without_durations(now)).is_some(),
            Of::Client => {
                let found = taken_out(recorded, now);
                let within = found.iter().flatten().filter(|(placeholder, _)| *placeholder != recorded);
                within.for_each(|(placeholder, now)| self.learn(path, placeholder, now));
                found.is_some()
            }
        }
    }
}

/// The JSON pointer to the member `name` of what is at `path` (RFC 6901, section 3).
pub fn below(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The items with their names, when each has one and no two the same.
fn by_name(items: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let names: Option<Vec<(&str, &Value)>> =
        items.iter().map(|item| Some((item.get("name")?.as_str()?, item))).collect();
    let mut seen = std::collections::HashSet::new();
    names.filter(|names| names.iter().all(|(name, _)| seen.insert(*name)))
}

#[cfg(test)]
mod tests;
