//! The `Mcp-*` headers beside the body that they repeat.

use serde_json::Value;

use crate::protocol::rpc::{Fault, HEADER_MISMATCH};
use crate::protocol::{McpHeaders, framing};

const VERSION: &str = "2026-07-28";

/// Any lines: the version header, the method header, the method, the name header, the name, the parameter header, and
/// the argument, of which names and arguments may be written as JSON. What a client makes of a value agrees with it;
/// of everything else only what means the same does; what does not is a header mismatch.
pub fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (version, method_header, method, name_header) = (line(), line(), line(), line());
    let (name, param, argument) = (text_of(line()), line(), value_of(line()));
    let sent = McpHeaders {
        protocol_version: Some(version),
        method: Some(method_header),
        name: Some(name_header),
        params: &[("aT", param)],
    };
    let expected = version == VERSION && method_header == method && says(name_header, &name);
    agrees(sent.agree(VERSION, method, Some(&name)), expected);
    agrees(sent.agree(VERSION, method, None), version == VERSION && method_header == method);
    agrees(McpHeaders { name: None, ..sent }.agree(VERSION, method, Some(&name)), false);
    agrees(sent.agree_on_param("At", None), true);
    agrees(sent.agree_on_param("At", Some(&argument)), means(param, &argument));
    let missing = McpHeaders { params: &[], ..sent };
    agrees(missing.agree_on_param("At", Some(&argument)), argument.is_null());
    as_a_client_does(method, &name, &argument, param);
}

fn as_a_client_does(method: &str, name: &str, argument: &Value, other: &str) {
    let encoded = framing::encode(name);
    assert!(
        encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && encoded.trim() == encoded,
        "{encoded:?}"
    );
    let text = match argument {
        Value::String(text) => text.clone(),
        argument => argument.to_string(),
    };
    let text = framing::encode(&text);
    let is_simple = !argument.is_array() && !argument.is_object();
    let twice = [("AT", text.as_ref()), ("at", other)];
    let sent = McpHeaders {
        protocol_version: Some(VERSION),
        method: Some(method),
        name: Some(&encoded),
        params: &twice[..1],
    };
    agrees(sent.agree(VERSION, method, Some(name)), true);
    agrees(sent.agree_on_param("At", Some(argument)), is_simple);
    let both = is_simple && means(other, argument);
    agrees(McpHeaders { params: &twice, ..sent }.agree_on_param("At", Some(argument)), both);
}

fn agrees(found: Result<(), Fault>, expected: bool) {
    match found {
        Ok(()) => assert!(expected, "it agrees and must not"),
        Err(fault) => {
            assert!(!expected, "{}", fault.message);
            assert_eq!((fault.status, fault.code), (400, HEADER_MISMATCH));
        }
    }
}

/// A line of JSON that is a text, or else the line itself.
fn text_of(line: &str) -> String {
    serde_json::from_str(line).unwrap_or_else(|_| line.to_owned())
}

fn value_of(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| line.into())
}

/// Whether a header says `text`: in base64 exactly as it is encoded, or as it is.
fn says(header: &str, text: &str) -> bool {
    match encoded(header) {
        Some(encoded) => encoded == base64(text.as_bytes()),
        None => header == text && header.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)),
    }
}

fn encoded(header: &str) -> Option<&str> {
    header.strip_prefix("=?base64?")?.strip_suffix("?=")
}

/// Whether a header says what `argument` is.
fn means(header: &str, argument: &Value) -> bool {
    match argument {
        Value::Null => true,
        Value::String(text) => says(header, text),
        Value::Bool(value) => says(header, &value.to_string()),
        Value::Number(number) => {
            let decoded = encoded(header).and_then(|text| data_encoding::BASE64.decode(text.as_bytes()).ok());
            let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
            let text =
                if encoded(header).is_some() { decoded.unwrap_or_default() } else { header.to_owned() };
            match (integer(&text), integer(&number.to_string())) {
                (Some(text), Some(number)) => text == number,
                _ => text.parse::<f64>().is_ok_and(|text| Some(text) == number.as_f64()),
            }
        }
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// Sign and digits of a whole number; zero has no sign.
fn integer(text: &str) -> Option<(bool, &str)> {
    let digits = text.trim_start_matches(['-', '+']);
    let whole =
        text.len() - digits.len() <= 1 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let significant = digits.trim_start_matches('0');
    whole.then_some((text.starts_with('-') && !significant.is_empty(), significant))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | u32::from(three.get(i).copied().unwrap_or_default()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { letter.into() } else { '=' });
        }
    }
    text
}
