//! The table of tools, as clients see it: frozen, small, and understood by the tools themselves.

use std::fs;
use std::path::{Path, PathBuf};

use chaterimo::app;
use chaterimo::tools::{Entry, TOOLS};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Bytes of the whole `tools/list`.
const LIST_BYTES_MAX: usize = 24_000;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-fixtures/tools").join(format!("{name}.json"))
}

fn definition(entry: &Entry) -> Value {
    let hints = entry.spec.effect.annotations();
    json!({
        "name": entry.spec.name,
        "title": entry.spec.title,
        "description": entry.spec.about,
        "inputSchema": entry.input_schema(),
        "outputSchema": entry.output_schema(),
        "annotations": {
            "readOnlyHint": hints.read_only, "destructiveHint": hints.destructive,
            "idempotentHint": hints.idempotent, "openWorldHint": hints.open_world
        },
    })
}

/// `CHATERIMO_FREEZE=1 cargo test tools::` writes the fixtures anew: read their diff before you commit it.
#[test]
fn definitions_are_those_that_were_frozen() {
    for entry in &TOOLS {
        let text = format!("{}\n", serde_json::to_string_pretty(&definition(entry)).unwrap());
        let path = fixture(entry.spec.name);
        if std::env::var_os("CHATERIMO_FREEZE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let frozen = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, frozen, "{} is not as frozen; see the doc of this test", entry.spec.name);
    }
    let frozen = fs::read_dir(fixture("x").parent().unwrap()).unwrap().count();
    assert_eq!(frozen, TOOLS.len(), "a fixture of a tool that is gone");
}

#[test]
fn there_are_12_that_read_and_7_that_write() {
    let reads = TOOLS.iter().filter(|entry| entry.spec.effect.annotations().read_only).count();
    assert_eq!((reads, TOOLS.len() - reads), (12, 7));
}

#[test]
fn every_file_of_a_tool_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tools");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_tool = |path: &PathBuf| {
        fs::read_to_string(path).is_ok_and(|text| text.contains("impl super::Tool for Tool"))
    };
    let mut names: Vec<String> =
        files.filter(is_tool).map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let mut table: Vec<String> = TOOLS.iter().map(|entry| entry.spec.name.to_owned()).collect();
    names.sort();
    table.sort();
    assert_eq!(names, table, "file name = tool name, one line in the table each");
}

#[test]
fn the_list_is_small_and_clients_like_it() {
    let list: Vec<Value> = TOOLS.iter().map(definition).collect();
    let sizes: Vec<String> =
        list.iter().map(|tool| format!("{} {}", tool["name"], tool.to_string().len())).collect();
    // And what stands around it: identifier, cache hints, the server's name.
    let bytes = serde_json::to_string(&list).unwrap().len() + 300;
    assert!(bytes <= LIST_BYTES_MAX, "tools/list has {bytes} bytes: {sizes:#?}");
    assert_eq!(app::definition_problems(), Vec::<String>::new());
}

/// Values that a property's schema may accept, and some that it may not.
fn value_of(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return proptest::sample::select(choices.clone()).boxed();
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let one_of = kinds.into_iter().map(|kind| value_of_kind(kind, schema));
    proptest::strategy::Union::new(one_of).boxed()
}

fn value_of_kind(kind: &str, schema: &Value) -> BoxedStrategy<Value> {
    let number = |key: &str, or: f64| schema.get(key).and_then(Value::as_f64).unwrap_or(or);
    match kind {
        "integer" => {
            let (low, high) = (number("minimum", -9e15) as i64, number("maximum", 9e15) as i64);
            (low..=high).prop_map(Value::from).boxed()
        }
        "number" => (number("minimum", -1e6)..=number("maximum", 1e6)).prop_map(Value::from).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "array" => {
            let most = number("maxItems", 4.0) as usize;
            proptest::collection::vec(value_of(&schema["items"]), 1..=most.min(12))
                .prop_map(Value::from)
                .boxed()
        }
        "string" => text_of(schema),
        other => panic!("a property of type {other}: teach this test"),
    }
}

fn text_of(schema: &Value) -> BoxedStrategy<Value> {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let bare = pattern.trim_start_matches('^').trim_end_matches('$');
        return proptest::string::string_regex(bare).unwrap().prop_map(Value::from).boxed();
    }
    prop_oneof![
        "[ -~]{1,40}",
        Just("2026-11-22".to_owned()),
        Just("2026-11-22T08:00:00+02:00".to_owned()),
        Just("ünïcödé \u{1f6d2}".to_owned()),
    ]
    .prop_map(Value::from)
    .boxed()
}

fn arguments_of(schema: Value) -> BoxedStrategy<Value> {
    let required: Vec<String> =
        serde_json::from_value(schema.get("required").cloned().unwrap_or(json!([]))).unwrap();
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let mut members: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
    for (name, schema) in properties {
        let value = value_of(&schema);
        let value = match required.contains(&name) {
            true => value.prop_map(Some).boxed(),
            false => proptest::option::of(value).boxed(),
        };
        members.push(value.prop_map(move |value| value.map(|value| (name.clone(), value))).boxed());
    }
    members.prop_map(|members| Value::Object(members.into_iter().flatten().collect::<Map<_, _>>())).boxed()
}

/// Schemas are written by hand, so the gap to the structs is closed here: what the schema accepts, the tool understands.
#[test]
fn what_the_schema_accepts_the_tool_understands() {
    for entry in &TOOLS {
        let mut accepted = 0;
        let mut runner =
            proptest::test_runner::TestRunner::new(ProptestConfig { cases: 200, ..Default::default() });
        let ran = runner.run(&arguments_of(entry.input_schema()), |arguments| {
            let Ok(arguments) = entry.check(arguments) else { return Ok(()) };
            let understood = entry.understands(&arguments);
            prop_assert!(understood.is_ok(), "{}: {arguments}: {understood:?}", entry.spec.name);
            Ok(())
        });
        if let Err(failed) = ran {
            panic!("{failed}");
        }
        runner_accepts(entry, &mut accepted);
        assert!(accepted > 0, "{}: no arguments of 64 were accepted", entry.spec.name);
    }
}

/// The property above must not hold for want of arguments that the schema accepts.
fn runner_accepts(entry: &Entry, accepted: &mut usize) {
    let strategy = arguments_of(entry.input_schema());
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..64 {
        let arguments = strategy.new_tree(&mut runner).unwrap().current();
        *accepted += usize::from(entry.check(arguments).is_ok());
    }
}
