//! A session: messages one after the other.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::protocol::framing::lines::Lines;
use crate::protocol::{
    Annotations, Call, Engine, Id, Incoming, McpHeaders, Message, Outcome, Output, Refusal, Response,
    ServerInfo, Session, Step, ToolDef, View, rpc,
};

/// Any conversation on stdio or HTTP: every request is answered exactly once, with its own id, type and all, and
/// nothing else is answered but what cannot be taken. The first byte chooses view and transport (`0` to `7`); the rest
/// are lines.
pub fn conversation(bytes: &[u8]) {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let views = [View::Full, View::ReadOnlyGrant, View::ReadOnlyEndpoint, View::Full];
    let view = views[usize::from(first & 3)];
    let mut session = Session::default();
    for line in lines(rest) {
        match rpc::parse(&line) {
            Ok(Incoming::One(message)) => {
                answer(&mut session, view, first & 4 != 0, message);
            }
            Ok(Incoming::Batch(batch)) if ENGINE.accepts_batch(&session, &batch).is_ok() => {
                let answers =
                    batch.into_iter().filter_map(|message| answer(&mut session, view, false, message));
                let answers: Vec<_> = answers.collect();
                let joined = rpc::join(&answers);
                assert_eq!(serde_json::from_slice::<Vec<Value>>(&joined.body).unwrap().len(), answers.len());
            }
            Ok(Incoming::Batch(_)) | Err(_) => {}
        }
    }
}

fn lines(stream: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let mut lines = Lines::new(rpc::MAX_BODY_BYTES);
    let mut frames = lines.feed(stream);
    frames.extend(lines.end());
    frames.into_iter().filter_map(Result::ok)
}

fn answer(session: &mut Session, view: View, http: bool, message: Message) -> Option<Response> {
    let asked = match &message {
        Message::Request { id, .. } => Some(id.clone()),
        _ => None,
    };
    // What a client sends whose headers say what its body says.
    let (method, name) = match &message {
        Message::Request { method, params, .. } | Message::Notification { method, params } => {
            (method.clone(), params.get("name").and_then(Value::as_str).map(str::to_owned))
        }
        Message::Response { .. } => (String::new(), None),
    };
    let headers = McpHeaders {
        protocol_version: Some("2026-07-28"),
        method: Some(&method),
        name: name.as_deref(),
        params: &[],
    };
    let answer = match ENGINE.handle(session, view, http.then_some(&headers), message) {
        Step::Reply(response) => Some(response),
        Step::Call(call) => Some(finish(call)),
        Step::Cancel(_) | Step::Accepted => None,
    };
    match (&asked, &answer) {
        (Some(id), Some(answer)) => assert_eq!(answered(answer).as_ref(), Some(id)),
        (Some(id), None) => panic!("the request {id} has no answer"),
        (None, Some(answer)) => assert!(http && answer.status == 400 && answered(answer).is_none()),
        (None, None) => {}
    }
    answer
}

/// The id of an answer, which must be one message that the parser takes.
fn answered(answer: &Response) -> Option<Id> {
    match rpc::parse(&answer.body) {
        Ok(Incoming::One(Message::Response { id, .. })) => id,
        other => panic!("no answer: {other:?}"),
    }
}

/// Each way a call may end, by how many arguments it has.
fn finish(call: Call) -> Response {
    let outcome = match call.arguments.len() % 3 {
        0 => Outcome::Done(Output {
            structured: Value::Object(call.arguments.clone()).to_string(),
            meta: Some(r#"{"com.chaterimo/quota":{"left":1}}"#.into()),
        }),
        1 => Outcome::Refused(Refusal {
            code: "refused",
            message: "Not now.".into(),
            data: Some(Value::Object(call.arguments.clone())),
            meta: None,
        }),
        _ => Outcome::Fault(rpc::INTERNAL_ERROR, "It broke.".into()),
    };
    call.finish(outcome)
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let read = Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
    let tool = |name, write: bool| ToolDef {
        name,
        title: "A tool",
        description: "Does it.",
        input_schema: json!({"type": "object", "properties": {"at": {"type": "string", "x-mcp-header": "At"}}}),
        output_schema: json!({"type": "object"}),
        annotations: if write { Annotations { read_only: false, destructive: true, ..read } } else { read },
        write,
    };
    let server = ServerInfo {
        name: "fuzz",
        title: "Fuzz",
        version: "0",
        website: None,
        instructions: "Takes anything.",
    };
    Engine::new(server, vec![tool("look", false), tool("change", true)])
});
