//! Every kind of answer the engine makes, held against a schema of its revision.

use std::collections::BTreeMap;
use std::path::Path;

use chaterimo::protocol::transcript::{From, Transcript};
use chaterimo::protocol::{
    Annotations, Catalog, Engine, Incoming, McpHeaders, Outcome, Output, Refusal, ServerInfo, Session, Step,
    ToolDef, View, catalog, rpc,
};
use jsonschema::Validator;
use serde_json::{Value, json};

/// One answer: the revision, what it answers (`error` for an error), the whole message.
struct Answer {
    revision: &'static str,
    to: &'static str,
    message: Value,
}

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const MODERN: &str = "2026-07-28";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn definitions() -> (ServerInfo, Vec<ToolDef>) {
    let server = ServerInfo {
        name: "chaterimo",
        title: "Chaterimo",
        version: "0.1.0",
        website: Some("https://example.com/docs"),
        instructions: "Reads and steers a store's chatbots.",
    };
    let read = Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
    let tool = |name, write: bool| ToolDef {
        name,
        title: "A tool",
        description: "Does one thing.",
        input_schema: json!({"type": "object", "properties": {"n": {"type": "integer"}}}),
        output_schema: Some(json!({"type": "object", "properties": {"n": {"type": "integer"}}})),
        annotations: if write { Annotations { read_only: false, destructive: true, ..read } } else { read },
        write,
        view: None,
    };
    (server, vec![tool("look_up", false), tool("change_it", true)])
}

fn engine() -> Engine {
    let (server, tools) = definitions();
    assert_eq!(catalog::problems(&server, &tools), Vec::<String>::new());
    Engine::new(server, Catalog { tools, ..Catalog::default() })
}

/// How a call ends, where a request becomes one.
#[derive(Clone, Copy)]
enum End {
    Done,
    DoneWithMeta,
    Refused,
}

fn answered(
    engine: &Engine,
    session: &mut Session,
    headers: Option<&McpHeaders<'_>>,
    text: &str,
    end: End,
) -> Value {
    let message = match rpc::parse(text.as_bytes()) {
        Ok(Incoming::One(message)) => message,
        Ok(Incoming::Batch(_)) => panic!("one message: {text}"),
        Err(refusal) => return serde_json::from_slice(&refusal.body).unwrap(),
    };
    let quota = || Some(r#"{"com.chaterimo/quota":{"plan":"free"}}"#.to_owned());
    let structured = r#"{"n":1,"text":"\"quoted\" \\ \u0001 ü"}"#.to_owned();
    let response = match engine.handle(session, View::Full, headers, message) {
        Step::Reply(response) => response,
        Step::Call(call) => call.finish(match end {
            End::Done => Outcome::Done(Output { structured, meta: None }),
            End::DoneWithMeta => Outcome::Done(Output { structured, meta: quota() }),
            End::Refused => Outcome::Refused(Refusal {
                code: "invalid_arguments",
                message: "n must be an integer; got \"x\".".into(),
                data: Some(json!({"field": "n"})),
                meta: quota(),
            }),
        }),
        other => panic!("{text}: {other:?}"),
    };
    serde_json::from_slice(&response.body).unwrap()
}

fn legacy_answers(engine: &Engine, revision: &'static str, answers: &mut Vec<Answer>) {
    let mut session = Session::default();
    let open = format!(
        r#"{{"protocolVersion":"{revision}","capabilities":{{}},"clientInfo":{{"name":"c","version":"1"}}}}"#
    );
    let mut ask = |to: &'static str, method: &str, params: &str, end: End| {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let message = answered(engine, &mut session, None, &text, end);
        answers.push(Answer { revision, to, message });
    };
    ask("initialize", "initialize", &open, End::Done);
    ask("ping", "ping", "{}", End::Done);
    ask("tools/list", "tools/list", "{}", End::Done);
    for end in [End::Done, End::DoneWithMeta, End::Refused] {
        ask("tools/call", "tools/call", r#"{"name":"look_up","arguments":{"n":1}}"#, end);
    }
    ask("error", "tools/call", r#"{"name":"none"}"#, End::Done);
    ask("error", "tools/call", r#"{"name":1}"#, End::Done);
    ask("error", "tools/list", r#"{"cursor":"x"}"#, End::Done);
    ask("error", "resources/list", "{}", End::Done);
    ask("error", "tools/list", "[]", End::Done);
    ask("error", "initialize", "{}", End::Done);
}

fn modern_answers(engine: &Engine, answers: &mut Vec<Answer>) {
    let headers = McpHeaders { protocol_version: Some("2025-11-25"), ..McpHeaders::default() };
    let mut ask =
        |to: &'static str, headers: Option<&McpHeaders<'_>>, method: &str, params: &str, end: End| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":"a","method":"{method}","params":{{{params}}}}}"#);
            let message = answered(engine, &mut Session::default(), headers, &text, end);
            answers.push(Answer { revision: MODERN, to, message });
        };
    ask("server/discover", None, "server/discover", META, End::Done);
    ask("tools/list", None, "tools/list", META, End::Done);
    for end in [End::Done, End::DoneWithMeta, End::Refused] {
        ask("tools/call", None, "tools/call", &format!(r#"{META},"name":"look_up","arguments":{{}}"#), end);
    }
    ask("error", None, "tools/call", &format!(r#"{META},"name":"none""#), End::Done);
    ask("error", None, "tools/list", &format!(r#"{META},"cursor":"x""#), End::Done);
    ask("error", None, "ping", META, End::Done);
    ask("error", None, "tools/list", "", End::Done);
    ask("error", Some(&headers), "tools/list", META, End::Done);
    ask("error", None, "tools/list", &META.replace("2026", "1926"), End::Done);
}

fn answers() -> Vec<Answer> {
    let engine = engine();
    let mut answers = Vec::new();
    LEGACY.into_iter().for_each(|revision| legacy_answers(&engine, revision, &mut answers));
    modern_answers(&engine, &mut answers);
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer.message.get("error").is_some(), answer.to == "error", "{i}: {}", answer.message);
    }
    answers
}

fn check(document: &Value, reference: &str, value: &Value) {
    let errors = errors(document, reference, value);
    assert!(errors.is_empty(), "{reference}\n{value:#}\n{errors:#?}");
}

/// Where `value` does not fit the definition `reference` of `document`.
fn errors(document: &Value, reference: &str, value: &Value) -> Vec<String> {
    broken(&validator(document, reference), value)
}

fn validator(document: &Value, reference: &str) -> Validator {
    let mut schema = document.clone();
    let members = schema.as_object_mut().unwrap();
    members.retain(|name, _| !matches!(name.as_str(), "anyOf" | "oneOf" | "type"));
    members.insert("$ref".into(), reference.into());
    // In draft 7 nothing beside $ref counts; the definitions stay where they are.
    jsonschema::validator_for(&schema).unwrap()
}

fn broken(validator: &Validator, value: &Value) -> Vec<String> {
    validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect()
}

#[test]
fn answers_fit_our_schemas() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/protocol-fixtures/schema/answers.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let answers = answers();
    for Answer { revision, to, message } in &answers {
        let inner = if *to == "error" { &message["error"] } else { &message["result"] };
        check(&document, &format!("#/{revision}/{}", to.replace('/', "~1")), inner);
        assert_eq!(
            message.as_object().unwrap().len(),
            3,
            "jsonrpc, id and one of result and error: {message}"
        );
    }
    for revision in LEGACY.into_iter().chain([MODERN]) {
        let kinds = document[revision].as_object().unwrap().keys();
        let missing: Vec<_> =
            kinds.filter(|kind| !answers.iter().any(|a| a.revision == revision && a.to == *kind)).collect();
        assert!(missing.is_empty(), "no answer of {revision} to {missing:?}");
    }
}

/// What the official schemas call an answer: the definition of its result, or of the whole error.
fn official_name(answer: &Answer) -> &'static str {
    match (answer.to, answer.message["error"]["code"].as_i64(), answer.revision) {
        ("initialize", ..) => "InitializeResult",
        ("ping", ..) => "EmptyResult",
        ("tools/list", ..) => "ListToolsResult",
        ("tools/call", ..) => "CallToolResult",
        ("server/discover", ..) => "DiscoverResult",
        (_, Some(-32020), _) => "HeaderMismatchError",
        (_, Some(-32022), _) => "UnsupportedProtocolVersionError",
        (_, _, "2024-11-05" | "2025-03-26" | "2025-06-18") => "JSONRPCError",
        _ => "JSONRPCErrorResponse",
    }
}

/// The official schema of a revision: `strip.py` beside them says where they are from.
fn official(revision: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/conformance/schema");
    serde_json::from_str(&std::fs::read_to_string(format!("{folder}/{revision}.json")).unwrap()).unwrap()
}

/// Where the definitions of an official schema are.
fn definitions_of(document: &Value) -> &'static str {
    if document.get("$defs").is_some() { "$defs" } else { "definitions" }
}

#[test]
fn answers_fit_the_official_schemas() {
    for answer in answers() {
        let document = official(answer.revision);
        let definitions = definitions_of(&document);
        let whole =
            if answer.message.get("error").is_some() { &answer.message } else { &answer.message["result"] };
        check(&document, &format!("#/{definitions}/{}", official_name(&answer)), whole);
        check(&document, &format!("#/{definitions}/JSONRPCMessage"), &answer.message);
        let wrong = errors(&document, &format!("#/{definitions}/CallToolResult"), &json!({"content": 1}));
        assert!(!wrong.is_empty(), "the schema of {} refuses nothing", answer.revision);
    }
}

/// The official definitions, each compiled once.
#[derive(Default)]
struct Official {
    documents: BTreeMap<String, Value>,
    compiled: BTreeMap<String, Validator>,
}

impl Official {
    /// Where `value` does not fit the definition of this name, where the revision has one.
    fn errors(&mut self, revision: &str, name: &str, value: &Value) -> Vec<String> {
        let document = self.documents.entry(revision.to_owned()).or_insert_with(|| official(revision));
        if document[definitions_of(document)].get(name).is_none() {
            return Vec::new();
        }
        let reference = format!("#/{}/{name}", definitions_of(document));
        let compiled = self.compiled.entry(format!("{revision}/{name}"));
        broken(compiled.or_insert_with(|| validator(document, &reference)), value)
    }
}

/// What a message is by the official schemas, as far as it says so itself: the definitions it must fit.
fn definition_of(message: &Value, from_client: bool, asked: &BTreeMap<String, String>) -> Option<String> {
    let side = if from_client { "Client" } else { "Server" };
    let method = message["method"].as_str();
    // Extensions are not in the schemas.
    if method.is_some_and(|method| method.starts_with("tasks/") || method == "notifications/tasks") {
        return None;
    }
    match (method, message.get("id"), message.get("result")) {
        (Some(_), Some(_), _) => Some(format!("{side}Request")),
        (Some(_), None, _) => Some(format!("{side}Notification")),
        (None, Some(id), Some(result)) => {
            let method = asked.get(&id.to_string())?;
            Some(result_name(method, result)?.to_owned())
        }
        _ => None,
    }
}

fn result_name(method: &str, result: &Value) -> Option<&'static str> {
    match result["resultType"].as_str() {
        Some("task") => return None,
        Some("input_required") => return Some("InputRequiredResult"),
        _ => {}
    }
    Some(match method {
        "initialize" => "InitializeResult",
        "server/discover" => "DiscoverResult",
        "tools/list" => "ListToolsResult",
        "tools/call" => "CallToolResult",
        "resources/list" => "ListResourcesResult",
        "resources/templates/list" => "ListResourceTemplatesResult",
        "resources/read" => "ReadResourceResult",
        "prompts/list" => "ListPromptsResult",
        "prompts/get" => "GetPromptResult",
        "completion/complete" => "CompleteResult",
        "elicitation/create" => "ElicitResult",
        "sampling/createMessage" => "CreateMessageResult",
        "roots/list" => "ListRootsResult",
        _ => "Result",
    })
}

/// The revision that a request is written in, where it says so.
fn revision_of(message: &Value) -> Option<&str> {
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str()
}

fn transcripts() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-fixtures/transcripts");
    let mut found = Vec::new();
    for folder in [folder.clone(), folder.join("oauth")] {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")));
    }
    found
}

/// Which revision each message of a transcript is written in, and what it answers.
struct Reader {
    /// What the handshake agreed on.
    legacy: String,
    /// The methods that the client and the server asked for, by id.
    asked: [BTreeMap<String, String>; 2],
    /// The revision of each request, by id.
    revisions: BTreeMap<String, String>,
}

impl Reader {
    /// The revision of the next message, and the definition that it fits beside that of any message.
    fn next(&mut self, message: &Value, from_client: bool) -> (String, Option<String>) {
        let (own, others) = if from_client { (0, 1) } else { (1, 0) };
        if let Some(agreed) = message["result"]["protocolVersion"].as_str() {
            self.legacy = agreed.to_owned();
        }
        let id = message.get("id").map(Value::to_string).unwrap_or_default();
        let method = message["method"].as_str();
        let of_stream = !message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].is_null();
        let revision = match (revision_of(message), method) {
            (Some(named), _) => named,
            (None, Some(_)) if of_stream => MODERN,
            (None, Some(_)) => &self.legacy,
            (None, None) => self.revisions.get(&id).unwrap_or(&self.legacy),
        };
        let revision = revision.to_owned();
        if let Some(method) = method {
            self.asked[own].insert(id.clone(), method.to_owned());
            self.revisions.insert(id, revision.clone());
        }
        (revision, definition_of(message, from_client, &self.asked[others]))
    }
}

#[test]
fn recordings_fit_the_official_schemas() {
    let (mut schemas, mut wrong, mut held) = (Official::default(), Vec::new(), 0);
    for path in transcripts() {
        let transcript = Transcript::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let (asked, revisions) = Default::default();
        let mut reader = Reader { legacy: "2025-11-25".into(), asked, revisions };
        for line in &transcript.lines {
            let Some(message) = line.message.as_ref().filter(|message| message["jsonrpc"] == "2.0") else {
                continue;
            };
            let (revision, definition) = reader.next(message, line.from == From::Client);
            let whole = Some(("JSONRPCMessage".to_owned(), message));
            let part = definition.map(|name| {
                let value = if name.ends_with("Result") { &message["result"] } else { message };
                (name, value)
            });
            for (name, value) in whole.into_iter().chain(part) {
                held += 1;
                let errors = schemas.errors(&revision, &name, value);
                if !errors.is_empty() {
                    wrong.push(format!("{}: {revision} {name}: {errors:?}\n{message}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {held}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(held > 500, "only {held} messages were held against a schema");
}
