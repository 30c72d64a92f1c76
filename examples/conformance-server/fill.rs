//! Places in the data that a call fills: `{name}`, `{name.member}`.

use serde_json::Value;

/// What stands where there is nothing to fill in.
const UNKNOWN: &str = "unknown";

/// The value with its places filled from `scope`. A text that is one place and nothing else becomes what stands there.
pub fn fill(value: &Value, scope: &Value) -> Value {
    match value {
        Value::String(text) => match place(text) {
            Some((path, "")) => found(scope, path).cloned().unwrap_or_else(|| UNKNOWN.into()),
            _ => text_of(text, scope).into(),
        },
        Value::Array(items) => items.iter().map(|item| fill(item, scope)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.clone(), fill(member, scope))).collect()
        }
        other => other.clone(),
    }
}

fn text_of(text: &str, scope: &Value) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        match place(from) {
            Some((path, after)) => {
                out.push_str(&written(found(scope, path)));
                rest = after;
            }
            None => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

/// The path of the place that `text` begins with, and what follows it.
fn place(text: &str) -> Option<(&str, &str)> {
    let (path, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    (!path.is_empty() && path.chars().all(is_path)).then_some((path, after))
}

fn found<'v>(scope: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(scope, |value, name| value.get(name))
}

fn written(value: Option<&Value>) -> String {
    match value {
        None => UNKNOWN.to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fills_places_and_nothing_else() {
        let scope = json!({"name": "Ada", "seconds": 2, "who": {"content": {"ok": true}}});
        let check = |value: Value, expected: Value| assert_eq!(fill(&value, &scope), expected);
        check(json!("Hello, {name}!"), json!("Hello, Ada!"));
        check(json!("{seconds}"), json!(2));
        check(json!("{seconds} s, {who.content}"), json!("2 s, {\"ok\":true}"));
        check(json!({"a": ["{who.content.ok}", "{nobody}", 1]}), json!({"a": [true, "unknown", 1]}));
        check(json!("{\"id\":\"{name}\"} {"), json!("{\"id\":\"Ada\"} {"));
    }
}
