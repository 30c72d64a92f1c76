//! What the parser takes, and how it refuses the rest.

use super::super::parse;
use super::*;

fn refusal(bytes: &[u8]) -> (u16, i64, Option<Value>, String) {
    let Err(answer) = parse(bytes) else {
        panic!("taken: {}", String::from_utf8_lossy(&bytes[..bytes.len().min(80)]))
    };
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
    check(
        &request("{}"),
        r#"One(Request { id: Number(1), method: "m", params: Params { meta: Absent, members: {} } })"#,
    );
    check(
        r#" {"method":"m","id":"1","jsonrpc":"2.0","params":null,"extra":[1]} "#,
        r#"One(Request { id: Text("1"), method: "m", params: Params { meta: Absent, members: {} } })"#,
    );
    check(
        r#"{"jsonrpc":"2.0","method":"n"}"#,
        r#"One(Notification { method: "n", params: Params { meta: Absent, members: {} } })"#,
    );
    check(
        r#"{"jsonrpc":"2.0","id":0,"result":null}"#,
        "One(Response { id: Some(Number(0)), outcome: Ok(Null) })",
    );
    check(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, "One(Response { id: None, outcome: Err(Object {}) })");
    check(
        r#"[{"jsonrpc":"2.0","method":"n"}]"#,
        r#"Batch([Notification { method: "n", params: Params { meta: Absent, members: {} } }])"#,
    );
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
    check("[".repeat(100_000), INVALID_REQUEST, "expected an object");
}

#[test]
fn refuses_what_is_no_message() {
    check("1", INVALID_REQUEST, "no JSON-RPC message");
    check("[]", INVALID_REQUEST, "empty");
    check("[1]", INVALID_REQUEST, "no JSON-RPC message");
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
        check(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#), INVALID_REQUEST, "\"id\" must be");
    }
    check(format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"m"}}"#, "i".repeat(257)), INVALID_REQUEST, "id");
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
