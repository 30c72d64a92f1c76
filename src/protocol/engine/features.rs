//! The engine beyond tools: resources, prompts, completion, logging, streams, questions to the client, tasks.

use serde_json::{Value, json};

use super::super::asking::Answered;
use super::super::call::{Completable, TaskOp};
use super::super::catalog::{Annotations, PromptArgument};
use super::super::outcome::{Ask, Cache, Found, Outcome, Refusal};
use super::super::rpc::{self, Incoming};
use super::*;

fn engine() -> Engine {
    let server =
        ServerInfo { name: "s", title: "S", version: "1", website: None, instructions: "Looks things up." };
    let (title, description) = ("A thing", "It is one.");
    let annotations =
        Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
    let tool = |name, view| ToolDef {
        name,
        title,
        description,
        input_schema: json!({"type": "object"}),
        output_schema: None,
        annotations,
        write: false,
        view,
    };
    let argument = |name, required| PromptArgument { name, title, description, required };
    let template =
        |uri_template| TemplateDef { uri_template, name: "t", title, description, mime_type: "text/plain" };
    Engine::new(
        server,
        Catalog {
            tools: vec![tool("plain", None), tool("chart", Some("ui://s/chart"))],
            prompts: vec![PromptDef {
                name: "plan",
                title,
                description,
                arguments: vec![argument("day", true), argument("hour", false)],
            }],
            templates: vec![template("s://things/{id}"), template("s://things/{id}/parts")],
            offers: Offers {
                resources: true,
                subscribe: true,
                tools_changed: false,
                prompts_changed: false,
                resources_changed: true,
                logging: true,
                completions: true,
                tasks: true,
            },
        },
    )
}

/// A modern request of a client with these capabilities.
fn modern(method: &str, capabilities: Value, mut params: Value) -> Step {
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": "p",
        "io.modelcontextprotocol/clientCapabilities": capabilities});
    send(&mut Session::default(), method, params)
}

fn send(session: &mut Session, method: &str, params: Value) -> Step {
    let text = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let Ok(Incoming::One(message)) = rpc::parse(text.as_bytes()) else { panic!("{text}") };
    engine().handle(session, View::Full, None, message)
}

fn session(version: &str, capabilities: Value) -> Session {
    let mut session = Session::default();
    let params = json!({"protocolVersion": version, "capabilities": capabilities});
    let Step::Reply(_) = send(&mut session, "initialize", params) else { panic!("a handshake is answered") };
    session
}

fn call(step: Step) -> Call {
    match step {
        Step::Call(call) => call,
        other => panic!("no call: {other:?}"),
    }
}

fn reply(step: Step) -> Value {
    match step {
        Step::Reply(response) => value(&response),
        other => panic!("no reply: {other:?}"),
    }
}

fn value(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap()
}

#[test]
fn says_what_it_offers_as_each_revision_has_it() {
    let check = |version: &str, capabilities: Value, expected: Value| {
        let mut session = Session::default();
        let params = json!({"protocolVersion": version, "capabilities": capabilities});
        let body = reply(send(&mut session, "initialize", params));
        assert_eq!(body["result"]["capabilities"], expected, "{version}");
    };
    let resources = json!({"subscribe": true, "listChanged": true});
    let first = json!({"tools": {}, "prompts": {}, "resources": resources, "logging": {}});
    check("2024-11-05", json!({}), first.clone());
    let mut later = first;
    later["completions"] = json!({});
    check("2025-11-25", json!({}), later.clone());
    let ui = "io.modelcontextprotocol/ui";
    let mut with_views = later.clone();
    with_views["extensions"] = json!({ui: {}});
    check(
        "2025-11-25",
        json!({"extensions": {ui: {"mimeTypes": ["text/html;profile=mcp-app"]}}}),
        with_views,
    );
    later["extensions"] = json!({"io.modelcontextprotocol/tasks": {}, ui: {}});
    let body = reply(modern("server/discover", json!({}), json!({})));
    assert_eq!(body["result"]["capabilities"], later);
}

#[test]
fn views_are_named_to_clients_that_show_them() {
    let views = |step: Step| {
        let body = reply(step);
        body["result"]["tools"].as_array().unwrap().iter().filter(|tool| tool["_meta"].is_object()).count()
    };
    let declares = |types: Value| json!({"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": types}}});
    let ui = declares(json!(["text/html;profile=mcp-app"]));
    assert_eq!(views(modern("tools/list", declares(json!(["image/png"])), json!({}))), 0);
    assert_eq!(views(modern("tools/list", declares(Value::Null), json!({}))), 0);
    assert_eq!(views(modern("tools/list", ui.clone(), json!({}))), 1);
    assert_eq!(views(modern("tools/list", json!({}), json!({}))), 0);
    assert_eq!(views(modern("tools/list", json!({"io.modelcontextprotocol/ui": 1}), json!({}))), 0);
    assert_eq!(views(send(&mut session("2025-11-25", ui), "tools/list", json!({}))), 1);
    assert_eq!(views(send(&mut session("2025-11-25", json!({})), "tools/list", json!({}))), 0);
}

#[test]
fn reads_what_is_asked_for() {
    let check = |method: &str, params: Value, expected: &str| {
        let shown = |step: Step| match step {
            Step::Call(call) => format!("{:?}", call.target),
            Step::Reply(response) => value(&response)["error"]["message"].as_str().unwrap().to_owned(),
            other => panic!("{other:?}"),
        };
        for shown in [
            shown(modern(method, json!({}), params.clone())),
            shown(send(&mut session("2025-11-25", json!({})), method, params.clone())),
        ] {
            assert!(shown.contains(expected), "{method} {params}: {shown}");
        }
    };
    check("resources/list", json!({}), "Resources { cursor: None }");
    check("resources/list", json!({"cursor": "c"}), r#"cursor: Some("c")"#);
    check("resources/list", json!({"cursor": 1}), "params.cursor must be");
    check("resources/read", json!({"uri": "s://x"}), r#"Resource { uri: "s://x" }"#);
    check("resources/read", json!({}), "params.uri must be");
    check("resources/read", json!({"uri": "x".repeat(3_000)}), "at most 2048 bytes");
    check("prompts/get", json!({"name": "plan", "arguments": {"day": "1"}}), r#"name: "plan""#);
    check("prompts/get", json!({"name": "plan", "arguments": {"hour": "1"}}), "params.arguments.day must be");
    check("prompts/get", json!({"name": "plan", "arguments": {"day": 1}}), "params.arguments.day must be");
    check(
        "prompts/get",
        json!({"name": "plan", "arguments": {"day": "1", "hour": 1}}),
        "params.arguments.hour",
    );
    check("prompts/get", json!({"name": "play"}), "Unknown prompt");
    let complete = |reference: Value| json!({"ref": reference, "argument": {"name": "day", "value": "x"}});
    let prompt = json!({"type": "ref/prompt", "name": "plan"});
    check("completion/complete", complete(prompt.clone()), "of: Prompt(0)");
    let template = json!({"type": "ref/resource", "uri": "s://things/{id}/parts"});
    check("completion/complete", complete(template), "of: Template(1)");
    check(
        "completion/complete",
        complete(json!({"type": "ref/resource", "uri": "s://other"})),
        "Unknown resource",
    );
    check("completion/complete", complete(json!({"type": "ref/tool", "name": "plan"})), "params.ref must be");
    check(
        "completion/complete",
        json!({"ref": prompt, "argument": {"name": "day"}}),
        "params.argument.value",
    );
    let given = json!({"ref": prompt, "argument": {"name": "hour", "value": ""},
        "context": {"arguments": {"day": "2"}}});
    check("completion/complete", given, r#"given: {"day": String("2")}"#);
}

#[test]
fn what_an_era_has_not_is_unknown_there() {
    let unknown = |step: Step| {
        let Step::Reply(response) = step else { panic!("{step:?}") };
        assert_eq!(value(&response)["error"]["code"], -32601);
        response.status
    };
    for method in ["resources/subscribe", "resources/unsubscribe", "logging/setLevel", "ping", "initialize"] {
        assert_eq!(unknown(modern(method, json!({}), json!({"uri": "s://x", "level": "info"}))), 404);
    }
    for method in ["subscriptions/listen", "server/discover", "tasks/get", "tasks/cancel"] {
        let mut session = session("2025-11-25", json!({}));
        assert_eq!(unknown(send(&mut session, method, json!({"taskId": "t", "notifications": {}}))), 200);
    }
}

#[test]
fn a_session_remembers_what_it_wants() {
    let mut session = session("2025-06-18", json!({}));
    let mut ask = |method: &str, params: Value| reply(send(&mut session, method, params));
    assert_eq!(ask("logging/setLevel", json!({"level": "error"}))["result"], json!({}));
    assert_eq!(ask("logging/setLevel", json!({"level": "loud"}))["error"]["code"], -32602);
    for n in 0..100 {
        assert_eq!(ask("resources/subscribe", json!({"uri": format!("s://{n}")}))["result"], json!({}));
    }
    assert_eq!(ask("resources/subscribe", json!({"uri": "s://100"}))["error"]["code"], -32602);
    assert_eq!(ask("resources/subscribe", json!({"uri": "s://1"}))["result"], json!({}));
    assert_eq!(ask("resources/unsubscribe", json!({"uri": "s://1"}))["result"], json!({}));
    let long = format!("s://{}", "x".repeat(2_000));
    for n in 0..8 {
        assert_eq!(
            ask("resources/unsubscribe", json!({"uri": format!("s://{}", n + 2)}))["result"],
            json!({})
        );
        let expected = if n < 7 { Value::Null } else { json!(-32602) };
        assert_eq!(
            ask("resources/subscribe", json!({"uri": format!("{long}{n}")}))["error"]["code"],
            expected
        );
    }
    (0..7).for_each(|n| drop(ask("resources/unsubscribe", json!({"uri": format!("{long}{n}")}))));
    (2..10).for_each(|n| drop(ask("resources/subscribe", json!({"uri": format!("s://{n}")}))));
    let peer = session.peer().unwrap();
    assert_eq!((peer.log_level, peer.subscribed.len()), (Some(Level::Error), 99));
    let stream = engine().stream_of(&session).unwrap();
    assert!(stream.filter.resources && !stream.filter.tools && stream.filter.uris.len() == 99);
    let call = call(send(&mut session, "tools/call", json!({"name": "plain"})));
    assert!(call.log(Level::Warning, None, &json!("x")).is_none());
    assert!(call.log(Level::Error, None, &json!("x")).is_some());
}

#[test]
fn log_messages_are_sent_to_whoever_asked() {
    let check = |level: Value, expected: Option<Level>| {
        let mut params = json!({"name": "plain"});
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}, "io.modelcontextprotocol/logLevel": level});
        assert_eq!(call(send(&mut Session::default(), "tools/call", params)).log_level, expected, "{level}");
    };
    check(json!("warning"), Some(Level::Warning));
    assert_eq!(call(modern("tools/call", json!({}), json!({"name": "plain"}))).log_level, None);
    let call = call(send(&mut session("2025-11-25", json!({})), "tools/call", json!({"name": "plain"})));
    let sent = call.log(Level::Info, Some("shop"), &json!({"n": 1})).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&sent).unwrap(),
        json!({"jsonrpc": "2.0", "method": "notifications/message",
            "params": {"level": "info", "logger": "shop", "data": {"n": 1}}})
    );
}

#[test]
fn progress_carries_the_clients_token() {
    let sent = |call: &Call| {
        let bytes = call.progress(1.0, Some(2.5), Some("half")).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()["params"].take()
    };
    let modern = call(modern("tools/call", json!({}), json!({"name": "plain"})));
    assert_eq!(sent(&modern), json!({"progressToken": "p", "progress": 1, "total": 2.5, "message": "half"}));
    let params = json!({"name": "plain", "_meta": {"progressToken": 0}});
    let first = call(send(&mut session("2024-11-05", json!({})), "tools/call", params));
    assert_eq!(sent(&first), json!({"progressToken": 0, "progress": 1, "total": 2.5}));
    let none = call(send(&mut session("2025-11-25", json!({})), "tools/call", json!({"name": "plain"})));
    assert!(none.progress(1.0, None, None).is_none());
}

#[test]
fn results_have_what_their_revision_wants() {
    let found = |members: &str| {
        let cache = Some(Cache { ttl_ms: 5, public: false });
        Outcome::Result(Found { members: members.into(), cache, meta: Some(r#"{"m":1}"#.into()) })
    };
    let server = json!({"name": "s", "title": "S", "version": "1"});
    let check = |members: &str| {
        let legacy = call(send(&mut session("2025-11-25", json!({})), "resources/list", json!({})));
        let mut expected: Value = serde_json::from_str(members).unwrap();
        expected["_meta"] = json!({"m": 1});
        assert_eq!(value(&legacy.finish(found(members)))["result"], expected);
        let modern = call(modern("resources/list", json!({}), json!({})));
        expected["_meta"]["io.modelcontextprotocol/serverInfo"] = server.clone();
        let hints = json!({"resultType": "complete", "ttlMs": 5, "cacheScope": "private"});
        expected.as_object_mut().unwrap().extend(hints.as_object().unwrap().clone());
        assert_eq!(value(&modern.finish(found(members)))["result"], expected);
    };
    check(r#"{"resources":[]}"#);
    check("{}");
}

#[test]
fn what_is_no_tool_is_refused_by_an_error() {
    let check = |outcome: Outcome, modern_code: i64, legacy_code: i64| {
        let again = |outcome: &Outcome| match outcome {
            Outcome::NoResource(uri) => Outcome::NoResource(uri.clone()),
            _ => Outcome::Refused(Refusal { code: "no", message: "Not now.".into(), data: None, meta: None }),
        };
        let modern = call(modern("resources/read", json!({}), json!({"uri": "s://x"})));
        assert_eq!(value(&modern.finish(again(&outcome)))["error"]["code"], modern_code);
        let legacy =
            call(send(&mut session("2025-11-25", json!({})), "resources/read", json!({"uri": "s://x"})));
        assert_eq!(value(&legacy.finish(outcome))["error"]["code"], legacy_code);
    };
    check(Outcome::NoResource("s://x".into()), -32602, -32002);
    check(
        Outcome::Refused(Refusal { code: "no", message: String::new(), data: None, meta: None }),
        -32000,
        -32000,
    );
}

fn ask(method: &str, params: Value) -> Ask {
    let request = json!({"method": method, "params": params});
    Ask { requests: [("q".to_owned(), request)].into_iter().collect(), state: Some("signed".into()) }
}

#[test]
fn a_modern_client_is_asked_by_the_result() {
    let able = json!({"elicitation": {}, "roots": {}});
    let form = ask("elicitation/create", json!({"mode": "form", "message": "Sure?"}));
    let call_with = |capabilities| call(modern("tools/call", capabilities, json!({"name": "plain"})));
    let body = value(&call_with(able.clone()).finish(Outcome::Ask(form.clone())));
    let result = &body["result"];
    assert_eq!(
        (&result["resultType"], &result["requestState"]),
        (&json!("input_required"), &json!("signed"))
    );
    assert_eq!(result["inputRequests"]["q"]["method"], "elicitation/create");
    let check = |capabilities: Value, ask: Ask, required: Value| {
        let response = call_with(capabilities).finish(Outcome::Ask(ask));
        let error = value(&response)["error"].take();
        assert_eq!((response.status, &error["code"]), (400, &json!(-32021)));
        assert_eq!(error["data"]["requiredCapabilities"], required);
    };
    check(json!({}), form.clone(), json!({"elicitation": {}}));
    check(json!({"elicitation": {"url": {}}}), form, json!({"elicitation": {}}));
    let url = ask("elicitation/create", json!({"mode": "url"}));
    check(able.clone(), url, json!({"elicitation": {"url": {}}}));
    check(able, ask("sampling/createMessage", json!({})), json!({"sampling": {}}));
    let params =
        json!({"name": "plain", "requestState": "signed", "inputResponses": {"q": {"action": "accept"}}});
    let again = call(modern("tools/call", json!({}), params));
    assert_eq!(again.answers["q"]["action"], "accept");
    assert_eq!(again.request_state.as_deref(), Some("signed"));
    let wrong = modern("tools/call", json!({}), json!({"name": "plain", "requestState": 1}));
    assert_eq!(reply(wrong)["error"]["code"], -32602);
}

#[test]
fn a_legacy_client_is_asked_by_requests() {
    let roots = ask("roots/list", json!({}));
    let waiting = |capabilities: Value| {
        let call =
            call(send(&mut session("2025-06-18", capabilities), "tools/call", json!({"name": "plain"})));
        assert!(call.asks_by_requests(&Outcome::Ask(roots.clone())));
        call.ask(roots.clone(), 3)
    };
    let refused = waiting(json!({})).unwrap_err();
    assert_eq!(value(&refused)["error"]["code"], -32021);
    let able = json!({"roots": {}});
    let mut asking = waiting(able.clone()).unwrap();
    let request: Value = serde_json::from_slice(&asking.take_requests()[0]).unwrap();
    assert_eq!(request, json!({"jsonrpc": "2.0", "id": "ask-3", "method": "roots/list", "params": {}}));
    assert!(asking.take_requests().is_empty());
    let id = asking.waits_for().next().unwrap().clone();
    let Answered::Waiting(asking) = asking.answer(&Id::Number(9), Ok(json!({}))) else { panic!() };
    let Answered::Again(call) = asking.answer(&id, Ok(json!({"roots": []}))) else { panic!() };
    assert_eq!((&call.answers["q"], call.request_state.as_deref()), (&json!({"roots": []}), Some("signed")));
    let error = json!({"code": -1, "message": "User rejected"});
    let Answered::Ended(response) = waiting(able).unwrap().answer(&id, Err(error)) else { panic!() };
    assert!(value(&response)["error"]["message"].as_str().unwrap().contains("User rejected"));
}

#[test]
fn tasks_are_for_clients_that_declared_them() {
    let able = json!({"extensions": {"io.modelcontextprotocol/tasks": {}}});
    let required = json!({"requiredCapabilities": {"extensions": {"io.modelcontextprotocol/tasks": {}}}});
    let task = || Outcome::Task(r#"{"taskId":"t","status":"working"}"#.into());
    let tool = |capabilities| call(modern("tools/call", capabilities, json!({"name": "plain"})));
    let made = value(&tool(able.clone()).finish(task()));
    assert_eq!((&made["result"]["resultType"], &made["result"]["taskId"]), (&json!("task"), &json!("t")));
    assert_eq!(value(&tool(json!({})).finish(task()))["error"]["data"], required);
    let get = call(modern("tasks/get", able.clone(), json!({"taskId": "t"})));
    assert!(matches!(&get.target, Target::Task { op: TaskOp::Get, id } if id == "t"));
    let update = json!({"taskId": "t", "inputResponses": {"q": {}}});
    let update = call(modern("tasks/update", able.clone(), update));
    assert!(matches!(&update.target, Target::Task { op: TaskOp::Update(answers), .. } if answers.len() == 1));
    assert_eq!(reply(modern("tasks/get", json!({}), json!({"taskId": "t"})))["error"]["data"], required);
    assert_eq!(reply(modern("tasks/get", able.clone(), json!({})))["error"]["code"], -32602);
    let listen = json!({"notifications": {"taskIds": ["t"]}});
    assert_eq!(reply(modern("subscriptions/listen", json!({}), listen.clone()))["error"]["data"], required);
    assert!(
        matches!(modern("subscriptions/listen", able, listen), Step::Listen(listen) if listen.filter.tasks == ["t"])
    );
}

#[test]
fn a_template_or_a_prompt_is_what_completion_is_of() {
    let params = json!({"ref": {"type": "ref/resource", "uri": "s://things/{id}"}, "argument": {"name": "id", "value": ""}});
    let call = call(modern("completion/complete", json!({}), params));
    assert!(matches!(call.target, Target::Completion { of: Completable::Template(0), .. }));
}
