//! What must hold whatever comes in: the fuzzer's properties, over its corpora, over what is nearly in them, and over
//! random and nearly valid input.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use chaterimo::fuzzing::{self, TARGETS};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Files of one corpus, and their bytes.
const CORPUS_MAX: (usize, u64) = (150, 200_000);

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The names in a folder of the repository, without what ends them.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let names =
        fs::read_dir(at(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

/// What the corpus of a target holds, in the order of the names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = format!("protocol-fixtures/fuzz/{target}");
    names(&folder, "").iter().map(|name| fs::read(at(&folder).join(name)).unwrap()).collect()
}

#[test]
fn each_target_has_its_fuzzer_and_its_corpus() {
    let expected: BTreeSet<String> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names("fuzz/fuzz_targets", ".rs"), expected);
    assert_eq!(names("protocol-fixtures/fuzz", ""), expected);
    let manifest = fs::read_to_string(at("fuzz/Cargo.toml")).unwrap();
    assert_eq!(manifest.matches("[[bin]]").count(), expected.len());
    for name in expected {
        assert!(
            manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"")),
            "{name}"
        );
        let target = fs::read_to_string(at(&format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("chaterimo::fuzzing::{name}(bytes)")), "{target}");
        let files = corpus(&name);
        let bytes: usize = files.iter().map(Vec::len).sum();
        assert!((5..=CORPUS_MAX.0).contains(&files.len()), "{name} has {} files", files.len());
        assert!(bytes as u64 <= CORPUS_MAX.1, "{name} has {bytes} bytes");
    }
}

#[test]
fn holds_for_the_corpora() {
    for target in TARGETS {
        corpus(target.name).iter().for_each(|bytes| (target.holds)(bytes));
    }
}

/// A change to an input: where, how many bytes go, and what comes instead.
type Change = (prop::sample::Index, usize, Vec<u8>);

fn change() -> impl Strategy<Value = Change> {
    // What the readers look for.
    const PIECES: &[&str] = &[
        "\n",
        "\r",
        "\n\n",
        "\"",
        "\"\"",
        ",",
        ";",
        ":",
        "&",
        "=",
        "%",
        "%2e",
        "?",
        "#",
        "@",
        "/",
        "//",
        "..",
        "[::1]",
        "\u{feff}",
        "\0",
        "data:",
        "id:",
        "=?base64?",
        "?=",
        "localhost:1",
        "http://",
        "{",
        "}",
        "[",
        "null",
        "-1",
        "18446744073709551615",
        "1e9",
        "é",
        "state=",
    ];
    let piece = prop_oneof![
        2 => prop::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ];
    (any::<prop::sample::Index>(), 0_usize..4, piece)
}

/// Bytes that are shown as text.
#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

fn changed(mut bytes: Vec<u8>, changes: Vec<Change>) -> Input {
    for (place, gone, piece) in changes {
        let from = place.index(bytes.len() + 1);
        let to = (from + gone).min(bytes.len());
        bytes.splice(from..to, piece);
    }
    Input(bytes)
}

#[test]
fn holds_for_what_is_nearly_in_a_corpus() {
    for target in TARGETS {
        let near = (prop::sample::select(corpus(target.name)), prop::collection::vec(change(), 1..6));
        TestRunner::new(config(300))
            .run(&near.prop_map(|(bytes, changes)| changed(bytes, changes)), |input| {
                (target.holds)(&input.0);
                Ok(())
            })
            .unwrap_or_else(|failed| panic!("{}: {failed}", target.name));
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

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
    #![proptest_config(config(400))]

    #[test]
    fn holds_for_random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        TARGETS.iter().for_each(|target| (target.holds)(&bytes));
    }

    #[test]
    fn holds_for_random_text(text in any::<String>()) {
        TARGETS.iter().for_each(|target| (target.holds)(text.as_bytes()));
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
        fuzzing::message(&bytes);
        fuzzing::conversation(&bytes);
    }

    #[test]
    fn holds_for_any_value(bytes in request_of_any_value()) {
        fuzzing::message(&bytes);
    }
}
