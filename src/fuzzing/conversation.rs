//! A session: messages one after the other.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::protocol::framing::lines::Lines;
use crate::protocol::{
    Annotations, Answered, Ask, Asking, Cache, Call, Catalog, Engine, Event, Fault, Found, Id, Incoming,
    Level, Listen, McpHeaders, Message, Offers, Outcome, Output, PromptArgument, PromptDef, Refusal,
    Response, ServerInfo, Session, Step, Target, TemplateDef, ToolDef, View, rpc,
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
            let members = ["name", "uri", "taskId"].into_iter().find_map(|name| params.get(name));
            (method.clone(), members.and_then(Value::as_str).map(str::to_owned))
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
        Step::Listen(listen) => Some(closed(listen)),
        Step::Cancel(_) | Step::Resume(..) | Step::Accepted => None,
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

/// A stream that is opened, told of everything, and closed: all it sends are notifications, and what it acknowledges is
/// all that it carries.
fn closed(listen: Listen) -> Response {
    let sent = [
        Some(listen.acknowledge().unwrap()),
        listen.deliver(&Event::ToolsChanged),
        listen.deliver(&Event::ResourceUpdated(listen.filter.uris.first().cloned().unwrap_or_default())),
    ];
    for bytes in sent.into_iter().flatten() {
        assert!(matches!(rpc::parse(&bytes), Ok(Incoming::One(Message::Notification { .. }))));
    }
    listen.finish().unwrap()
}

/// Each way a call may end, by how long its identifier is. A legacy client that is asked answers at once.
fn finish(call: Call) -> Response {
    for bytes in [call.progress(1.0, Some(2.0), Some("half")), call.log(Level::Error, None, &json!("x"))] {
        let parsed = bytes.map(|bytes| rpc::parse(&bytes));
        assert!(matches!(parsed, None | Some(Ok(Incoming::One(Message::Notification { .. })))));
    }
    let first = match &call.target {
        Target::Tool { arguments, .. } | Target::Prompt { arguments, .. } => arguments.clone(),
        _ => Map::new(),
    };
    let outcome = match call.id.to_string().len() % 8 {
        0 => Outcome::Done(Output {
            structured: Value::Object(first).to_string(),
            meta: Some(r#"{"com.chaterimo/quota":{"left":1}}"#.into()),
        }),
        1 => Outcome::Refused(Refusal {
            code: "refused",
            message: "Not now.".into(),
            data: Some(Value::Object(first)),
            meta: None,
        }),
        2 => Outcome::Fault(Fault::new(200, rpc::INTERNAL_ERROR, "It broke.")),
        3 => Outcome::Result(Found {
            members: Value::Object(first).to_string(),
            cache: Some(Cache { ttl_ms: 1, public: false }),
            meta: None,
        }),
        4 => Outcome::NoResource("a:b".into()),
        5 => Outcome::Task(json!({"taskId": "t", "status": "working"}).to_string()),
        _ => Outcome::Ask(Ask {
            requests: Map::from_iter([("roots".to_owned(), json!({"method": "roots/list"}))]),
            state: Some("s".into()),
        }),
    };
    if !call.asks_by_requests(&outcome) {
        return call.finish(outcome);
    }
    let Outcome::Ask(ask) = outcome else { unreachable!() };
    match call.ask(ask, 7) {
        Err(response) => response,
        Ok(asking) => answered_at_once(asking),
    }
}

fn answered_at_once(mut asking: Asking) -> Response {
    let requests = asking.take_requests();
    assert!(
        requests
            .iter()
            .all(|bytes| { matches!(rpc::parse(bytes), Ok(Incoming::One(Message::Request { .. }))) })
    );
    let ids: Vec<Id> = asking.waits_for().cloned().collect();
    assert_eq!(ids.len(), requests.len());
    let Answered::Waiting(asking) = asking.answer(&Id::Number(0), Ok(Value::Null)) else {
        panic!("nobody asked that")
    };
    match asking.answer(&ids[0], Ok(json!({"roots": []}))) {
        Answered::Again(call) => {
            assert_eq!((call.answers.len(), call.request_state.as_deref()), (1, Some("s")));
            call.finish(Outcome::Fault(Fault::new(200, rpc::INTERNAL_ERROR, "It broke.")))
        }
        other => panic!("one answer was wanted: {other:?}"),
    }
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let read = Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
    let tool = |name, write: bool| ToolDef {
        name,
        title: "A tool",
        description: "Does it.",
        input_schema: json!({"type": "object", "properties": {"at": {"type": "string", "x-mcp-header": "At"}}}),
        output_schema: Some(json!({"type": "object"})),
        annotations: if write { Annotations { read_only: false, destructive: true, ..read } } else { read },
        write,
        view: (!write).then_some("ui://fuzz/look"),
    };
    let (title, description) = ("Plan", "Plans.");
    let arguments = vec![PromptArgument { name: "day", title, description: "When.", required: true }];
    let server = ServerInfo {
        name: "fuzz",
        title: "Fuzz",
        version: "0",
        website: None,
        instructions: "Takes anything.",
    };
    let catalog = Catalog {
        tools: vec![tool("look", false), tool("change", true)],
        prompts: vec![PromptDef { name: "plan", title, description, arguments }],
        templates: vec![TemplateDef {
            uri_template: "fuzz://{id}",
            name: "thing",
            title,
            description,
            mime_type: "text/plain",
        }],
        offers: Offers {
            resources: true,
            subscribe: true,
            tools_changed: true,
            prompts_changed: true,
            resources_changed: true,
            logging: true,
            completions: true,
            tasks: true,
        },
    };
    Engine::new(server, catalog)
});
