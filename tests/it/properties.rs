//! What must hold whatever comes in: the fuzzer's properties, over random and over nearly valid input, and over the
//! fuzzer's corpus.

use chaterimo::fuzzing;
use proptest::prelude::*;

/// Bytes near to what clients send: lines out of fragments that matter to the parser and the engine.
fn nearly_messages() -> impl Strategy<Value = Vec<u8>> {
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let id = prop_oneof![
        Just("0".to_owned()),
        Just("\"a\"".to_owned()),
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        "\"[ -~]{0,8}\"",
    ];
    let method = prop::sample::select(vec![
        "initialize",
        "ping",
        "server/discover",
        "tools/list",
        "tools/call",
        "notifications/initialized",
        "notifications/cancelled",
        "nope",
    ]);
    let params = prop::sample::select(vec![
        "{}".to_owned(),
        "[]".to_owned(),
        r#"{"protocolVersion":"2025-03-26"}"#.to_owned(),
        r#"{"protocolVersion":"2024-11-05","clientInfo":{"name":"c"}}"#.to_owned(),
        r#"{"name":"look","arguments":{"at":"ü"}}"#.to_owned(),
        r#"{"requestId":0,"reason":"x"}"#.to_owned(),
        format!("{{{META}}}"),
        format!(r#"{{{META},"name":"look","arguments":{{}}}}"#),
        format!(r#"{{{META},"name":"change","arguments":{{"a":0.1,"b":[null,true]}}}}"#),
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#.to_owned(),
    ]);
    let message = (prop::option::of(id), method, params).prop_map(|(id, method, params)| {
        let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
        format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{params}}}"#)
    });
    let line = prop_oneof![
        6 => message.clone(),
        1 => prop::collection::vec(message, 0..4).prop_map(|batch| format!("[{}]", batch.join(","))),
        1 => "[\\PC]{0,40}",
    ];
    ("[0-7]", prop::collection::vec(line, 0..8))
        .prop_map(|(first, lines)| (first + &lines.join("\n")).into_bytes())
}

/// Any JSON value, as the parameter of a request.
fn request_of_any_value() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        any::<String>().prop_map(|text| serde_json::to_string(&text).expect("text is JSON")),
    ];
    let value = leaf.prop_recursive(6, 60, 6, |inner| {
        let member = ("[a-c]{1,2}", inner.clone()).prop_map(|(name, value)| format!(r#""{name}":{value}"#));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(member, 0..4).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    });
    value
        .prop_map(|v| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"a":{v}}}}}"#).into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn holds_for_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::any(&bytes);
    }

    #[test]
    fn holds_for_conversations(bytes in nearly_messages()) {
        fuzzing::conversation(&bytes);
    }

    #[test]
    fn holds_for_a_conversation_with_a_wrong_byte(
        mut bytes in nearly_messages(), at in any::<prop::sample::Index>(), byte: u8
    ) {
        let at = at.index(bytes.len());
        bytes[at] = byte;
        fuzzing::any(&bytes);
    }

    #[test]
    fn holds_for_any_value(bytes in request_of_any_value()) {
        fuzzing::message(&bytes);
    }
}

#[test]
fn holds_for_the_corpus() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/protocol-fixtures/fuzz/message");
    let files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 10, "the corpus is there");
    for file in files {
        fuzzing::any(&std::fs::read(file).unwrap());
    }
}
