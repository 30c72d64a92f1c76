//! Whether a replayed answer says the same as the recorded one, but for what differs from run to run.
//!
//! The envelope is compared by value: ids, codes, members, `_meta`. What the rows decide (`structuredContent` and the
//! JSON in a text block) is compared as [`Rows`] says. Left aside are times, cursors, quota numbers, versions of the
//! server, and the texts of tools, which fixtures of their own hold.

use serde_json::{Map, Value};

use crate::clock::Time;

/// Members whose value may be any of the same type.
const OPAQUE: [&str; 7] =
    ["description", "inputSchema", "instructions", "nextCursor", "outputSchema", "title", "version"];
/// Members of results that may be there or not, as the rows and the hour have it.
const PASSING: [&str; 3] = ["notice", "truncated", "untrusted"];

/// The member of results that is signed, with a key that each data folder has of its own.
const CURSOR: &str = "next_cursor";

/// What is known of the rows behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// They are those of the recording: compared by value.
    Same,
    /// They are others: compared by shape, that is the same members, each of the same type.
    Other,
}

/// Where `got` differs from `expected`, each with its JSON pointer; empty when they say the same.
pub fn differences(expected: &Value, got: &Value, rows: Rows) -> Vec<String> {
    let mut found = Vec::new();
    Comparison { found: &mut found, rows, inside: false }.value("", expected, got);
    found
}

struct Comparison<'f> {
    found: &'f mut Vec<String>,
    rows: Rows,
    /// Within what the rows decide.
    inside: bool,
}

impl Comparison<'_> {
    fn by_shape(&self) -> bool {
        self.inside && self.rows == Rows::Other
    }

    /// Whether the member's value may be any of the same type.
    fn is_opaque(&self, name: &str) -> bool {
        match self.inside {
            true => name == CURSOR,
            false => name == "com.chaterimo/quota" || OPAQUE.contains(&name),
        }
    }

    fn value(&mut self, path: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => self.objects(path, expected, got),
            (Value::Array(expected), Value::Array(got)) => self.arrays(path, expected, got),
            (Value::String(expected), Value::String(got)) => self.texts(path, expected, got),
            (Value::Null, _) | (_, Value::Null) if self.by_shape() => {}
            (Value::Number(_), Value::Number(_)) | (Value::Bool(_), Value::Bool(_)) if self.by_shape() => {}
            _ if expected == got => {}
            _ => self.found.push(format!("{path}: {} became {}", brief(expected), brief(got))),
        }
    }

    fn objects(&mut self, path: &str, expected: &Map<String, Value>, got: &Map<String, Value>) {
        let rows = self.rows;
        let passing = |name: &&String| rows == Rows::Other && PASSING.contains(&name.as_str());
        for name in expected.keys().filter(|name| !got.contains_key(*name) && !passing(name)) {
            self.found.push(format!("{path}/{name}: is missing"));
        }
        for name in got.keys().filter(|name| !expected.contains_key(*name) && !passing(name)) {
            self.found.push(format!("{path}/{name}: is new"));
        }
        for (name, expected) in expected {
            if let Some(got) = got.get(name) {
                self.member(path, name, expected, got);
            }
        }
    }

    fn member(&mut self, path: &str, name: &str, expected: &Value, got: &Value) {
        let path = format!("{path}/{name}");
        let same_type = std::mem::discriminant(expected) == std::mem::discriminant(got);
        if self.is_opaque(name) && same_type {
            return;
        }
        let inside = self.inside || name == "structuredContent";
        Comparison { found: self.found, rows: self.rows, inside }.value(&path, expected, got);
    }

    fn arrays(&mut self, path: &str, expected: &[Value], got: &[Value]) {
        if expected.len() != got.len() && !self.by_shape() {
            self.found.push(format!("{path}: {} items became {}", expected.len(), got.len()));
        }
        for (i, (expected, got)) in expected.iter().zip(got).enumerate() {
            self.value(&format!("{path}/{i}"), expected, got);
        }
    }

    fn texts(&mut self, path: &str, expected: &str, got: &str) {
        if self.by_shape() || expected == got || (is_time(expected) && is_time(got)) {
            return;
        }
        match (object(expected), object(got)) {
            (Some(expected), Some(got)) => {
                Comparison { found: self.found, rows: self.rows, inside: true }.value(path, &expected, &got)
            }
            _ if !self.inside && without_numbers(expected) == without_numbers(got) => {}
            _ => self.found.push(format!("{path}: {expected:?} became {got:?}")),
        }
    }
}

fn is_time(text: &str) -> bool {
    Time::parse(text).is_some()
}

/// The JSON object a text block holds.
fn object(text: &str) -> Option<Value> {
    text.starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
}

/// A sentence without what a clock decides: "try again in 17 s".
fn without_numbers(text: &str) -> String {
    let word = |word: &str| {
        if word.starts_with(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { word.to_owned() }
    };
    text.split_inclusive(|c: char| c.is_whitespace())
        .map(|part| word(part.trim()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn brief(value: &Value) -> String {
    super::super::rpc::quote(&value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(expected: Value, got: Value, differ: &[&str]) {
        check_rows(expected, got, Rows::Other, differ);
    }

    fn check_rows(expected: Value, got: Value, rows: Rows, differ: &[&str]) {
        let found = differences(&expected, &got, rows);
        let paths: Vec<_> = found.iter().map(|text| text.split(':').next().unwrap_or_default()).collect();
        assert_eq!(paths, differ, "{found:?}");
    }

    #[test]
    fn the_envelope_is_compared_by_value() {
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete"}});
        check(answer.clone(), answer.clone(), &[]);
        check(
            answer.clone(),
            json!({"jsonrpc": "2.0", "id": "1", "result": {"resultType": "complete"}}),
            &["/id"],
        );
        check(answer, json!({"jsonrpc": "2.0", "id": 1, "error": {}}), &["/result", "/error"]);
        check(json!({"error": {"code": -32602}}), json!({"error": {"code": -32601}}), &["/error/code"]);
        let tools = |names: &[&str]| {
            let tools: Vec<_> = names.iter().map(|name| json!({"name": name, "description": name})).collect();
            json!({"tools": tools})
        };
        check(tools(&["a"]), tools(&["b"]), &["/tools/0/name"]);
        check(tools(&["a"]), tools(&["a", "b"]), &["/tools"]);
        check(json!({"description": "a"}), json!({"description": "b"}), &[]);
        check(json!({"description": "a"}), json!({"description": 1}), &["/description"]);
    }

    #[test]
    fn what_rows_decide_is_compared_by_shape() {
        let result = |content: Value| json!({"content": [{"type": "text", "text": content.to_string()}], "structuredContent": content});
        let recorded = json!({"tickets": [{"id": 1, "subject": "a"}], "next_cursor": null, "total": 1});
        let replayed = json!({"tickets": [{"id": 9, "subject": "b"}, {"id": 8, "subject": "c"}],
            "next_cursor": "x", "total": 2, "notice": "One call is left."});
        check(result(recorded.clone()), result(replayed), &[]);
        let renamed = json!({"tickets": [{"id": "1", "subject": "a"}], "next_cursor": null, "count": 1});
        let at = ["/total", "/count", "/tickets/0/id"];
        let both: Vec<_> = ["/content/0/text", "/structuredContent"]
            .iter()
            .flat_map(|place| at.map(|path| format!("{place}{path}")))
            .collect();
        check(result(recorded), result(renamed), &both.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_rows_are_compared_by_value() {
        let result = |content: Value| json!({"content": [{"type": "text", "text": content.to_string()}]});
        let check = |recorded: Value, replayed: Value, differ: &[&str]| {
            let differ: Vec<_> = differ.iter().map(|path| format!("/content/0/text{path}")).collect();
            let differ: Vec<_> = differ.iter().map(String::as_str).collect();
            check_rows(result(recorded), result(replayed), Rows::Same, &differ);
        };
        let ticket =
            |subject: &str| json!({"subject": subject, "at": "2026-11-22T08:00:00Z", "title": subject});
        check(ticket("a 1"), ticket("a 1"), &[]);
        check(ticket("a 1"), ticket("a 2"), &["/subject", "/title"]);
        check(json!({"at": "2026-11-22T08:00:00Z"}), json!({"at": "2026-11-22T09:00:00Z"}), &[]);
        check(json!({"total": 1, "ids": [1]}), json!({"total": 2, "ids": []}), &["/total", "/ids"]);
        check(json!({"next_cursor": "a"}), json!({"next_cursor": "b"}), &[]);
        check(json!({"next_cursor": "a"}), json!({"next_cursor": null}), &["/next_cursor"]);
        check(json!({}), json!({"notice": "a"}), &["/notice"]);
    }

    #[test]
    fn clocks_are_left_aside() {
        let text = |text: &str| json!({"isError": true, "content": [{"type": "text", "text": text}]});
        check(text("quota_exceeded: again in 17 s."), text("quota_exceeded: again in 3 s."), &[]);
        check(text("quota_exceeded: again in 17 s."), text("bad: again in 17 s."), &["/content/0/text"]);
        check(json!({"at": "2026-11-22T08:00:00Z"}), json!({"at": "2026-11-23T08:00:00Z"}), &[]);
        check(json!({"at": "2026-11-22T08:00:00Z"}), json!({"at": "later"}), &["/at"]);
        let quota = |left: u64| json!({"_meta": {"com.chaterimo/quota": {"left": left}}});
        check(quota(1), quota(2), &[]);
    }
}
