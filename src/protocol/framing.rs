//! How messages lie in bytes: lines on stdio, server-sent events on HTTP, and the `Mcp-*` headers that repeat the body.

pub mod lines;
pub mod sse;

use std::borrow::Cow;

use serde_json::Value;

use super::revision::names_modern;
use super::rpc::{Fault, HEADER_MISMATCH, quote};

/// What the HTTP headers of a request say, values as they came; a driver gives them for HTTP alone. A value that is
/// not text may be given lossily: it then equals nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct McpHeaders<'a> {
    /// `MCP-Protocol-Version`.
    pub protocol_version: Option<&'a str>,
    /// `Mcp-Method`.
    pub method: Option<&'a str>,
    /// `Mcp-Name`.
    pub name: Option<&'a str>,
    /// Each `Mcp-Param-{Name}`: the part after `Mcp-Param-` in any case, and the value.
    pub params: &'a [(&'a str, &'a str)],
}

impl McpHeaders<'_> {
    /// Whether the version header can only come from a client of the modern era.
    pub fn names_modern(&self) -> bool {
        self.protocol_version.is_some_and(names_modern)
    }

    /// HEADER_MISMATCH unless the headers of a modern request say what its body says (MCP 2026-07-28, "Server
    /// Validation"). `name` is what `Mcp-Name` repeats, the value of [`name_member`]; where the body has none there is
    /// nothing to compare.
    pub(crate) fn agree(&self, version: &str, method: &str, name: Option<&str>) -> Result<(), Fault> {
        same("MCP-Protocol-Version", self.protocol_version.map(Cow::Borrowed), version)?;
        same("Mcp-Method", self.method.map(Cow::Borrowed), method)?;
        match name {
            Some(name) => same("Mcp-Name", self.name.map(decode).transpose()?, name),
            None => Ok(()),
        }
    }

    /// HEADER_MISMATCH unless `Mcp-Param-{header}` says what the argument says; an argument that is absent or null
    /// has no header to compare.
    pub(crate) fn agree_on_param(&self, header: &str, argument: Option<&Value>) -> Result<(), Fault> {
        let Some(argument) = argument.filter(|argument| !argument.is_null()) else { return Ok(()) };
        let mut sent = self.params.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header)).peekable();
        if sent.peek().is_none() {
            return Err(mismatch(format!("the header Mcp-Param-{header} is missing")));
        }
        for (_, value) in sent {
            if !equals(&decode(value)?, argument) {
                return Err(mismatch(format!(
                    "the header Mcp-Param-{header} does not say what the argument says"
                )));
            }
        }
        Ok(())
    }
}

fn mismatch(why: impl std::fmt::Display) -> Fault {
    Fault::new(400, HEADER_MISMATCH, format!("Header mismatch: {why}; headers and body must say the same."))
}

fn same(header: &str, value: Option<Cow<'_, str>>, body: &str) -> Result<(), Fault> {
    match value {
        None => Err(mismatch(format!("the header {header} is missing"))),
        Some(value) if value == body => Ok(()),
        Some(value) => {
            Err(mismatch(format!("the header {header} says {}, the body {}", quote(&value), quote(body))))
        }
    }
}

/// A header's value as text: `=?base64?…?=` holds base64 of UTF-8, anything else stands for itself.
fn decode(value: &str) -> Result<Cow<'_, str>, Fault> {
    let Some(encoded) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        let plain = value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
        return if plain {
            Ok(value.into())
        } else {
            Err(mismatch("a header holds characters that need base64"))
        };
    };
    let bytes = data_encoding::BASE64
        .decode(encoded.as_bytes())
        .map_err(|_| mismatch("a header is not valid base64"))?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| mismatch("a header's base64 does not hold UTF-8"))
}

/// The parameter of a modern request of `method` that `Mcp-Name` repeats, if there is one (MCP 2026-07-28, "Standard Request
/// Headers"; `io.modelcontextprotocol/tasks`).
pub fn name_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// `text` as the value of `Mcp-Name` or `Mcp-Param-*`: itself where a header can hold it, base64 between
/// `=?base64?` and `?=` otherwise (MCP 2026-07-28, "Value Encoding").
pub fn encode(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|b| (b' '..=b'~').contains(&b)) && text.trim() == text;
    let looks_encoded = text.starts_with("=?base64?") && text.ends_with("?=");
    match plain && !looks_encoded {
        true => text.into(),
        false => format!("=?base64?{}?=", data_encoding::BASE64.encode(text.as_bytes())).into(),
    }
}

fn equals(header: &str, argument: &Value) -> bool {
    match argument {
        Value::String(text) => header == text,
        Value::Bool(value) => header == if *value { "true" } else { "false" },
        // Whole numbers are compared as such: beyond 2^53 a double stands for several of them.
        Value::Number(number) => match (header.parse::<i128>(), number.as_i128()) {
            (Ok(header), Some(number)) => header == number,
            _ => header.parse::<f64>().is_ok_and(|header| Some(header) == number.as_f64()),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_by_value() {
        let check = |header: &str, argument: &str, expected: bool| {
            assert_eq!(
                equals(header, &serde_json::from_str(argument).unwrap()),
                expected,
                "{header} {argument}"
            );
        };
        check("42", "42", true);
        check("42.0", "42", true);
        check("4.2e1", "42.0", true);
        check("43", "42", false);
        check("", "0", false);
        check("9007199254740993", "9007199254740992", false);
        check("18446744073709551615", "18446744073709551615", true);
        check("18446744073709551614", "18446744073709551615", false);
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let check = |text: &str, expected: &str| {
            assert_eq!(encode(text), expected);
            assert_eq!(decode(expected).unwrap(), text);
        };
        check("get_weather", "get_weather");
        check("file:///projects/my app/config.json", "file:///projects/my app/config.json");
        check(" padded ", "=?base64?IHBhZGRlZCA=?=");
        check("line1\nline2", "=?base64?bGluZTEKbGluZTI=?=");
        check("Größe", "=?base64?R3LDtsOfZQ==?=");
        check("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=");
        check("", "");
    }
}
