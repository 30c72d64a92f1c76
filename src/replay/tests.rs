use serde_json::{Value, json};

use super::player::{Form, Player};
use crate::protocol::revision::Revision;
use crate::protocol::transcript::Transcript;

const LEGACY: Revision = Revision::V2025_11_25;
const MODERN: Revision = Revision::MODERN;

/// A recording on stdio: `>` what the client said, `<` what the server did.
fn piped(lines: &[(&str, Value)]) -> Transcript {
    let said = lines.iter().map(|(from, message)| line(from, None, json!({"message": message})));
    recording("stdio", said.collect())
}

/// A recording over HTTP, with the number of each exchange; `Null` is no message.
fn posted(lines: &[(&str, u64, Value)]) -> Transcript {
    let said = lines.iter().map(|(from, exchange, message)| {
        let get = json!({"method": "GET", "path": "/mcp", "headers": {"accept": "text/event-stream"}});
        match (message, *from) {
            (Value::Null, ">") => line(from, Some(*exchange), json!({"http": get})),
            (Value::Null, _) => line(from, Some(*exchange), json!({"http": {"status": 200}})),
            _ => line(from, Some(*exchange), json!({"message": message})),
        }
    });
    recording("http", said.collect())
}

fn line(from: &str, exchange: Option<u64>, rest: Value) -> String {
    let mut line = json!({"at_ms": 0, "from": if from == ">" { "client" } else { "server" }});
    let members = line.as_object_mut().unwrap();
    members.extend(exchange.map(|exchange| ("exchange".to_owned(), exchange.into())));
    members.extend(rest.as_object().unwrap().clone());
    line.to_string()
}

fn recording(transport: &str, lines: Vec<String>) -> Transcript {
    let client = json!({"name": "c", "version": "1"});
    let header = json!({"transcript": 1, "client": client, "transport": transport, "endpoint": "full"});
    Transcript::parse(&format!("{header}\n{}", lines.join("\n"))).unwrap()
}

fn ask(id: impl Into<Value>, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
}

fn tell(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params})
}

fn done(id: impl Into<Value>, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id.into(), "result": result})
}

fn call(id: impl Into<Value>, tool: &str, arguments: Value) -> Value {
    ask(id, "tools/call", json!({"name": tool, "arguments": arguments}))
}

/// What is sent for `message`.
fn say(player: &mut Player, message: &Value, to: Revision) -> Vec<Value> {
    player.say(message, to);
    player.ready().into_iter().filter_map(|(_, message)| message).collect()
}

#[test]
fn a_request_is_found_by_its_parameters_then_by_its_name() {
    let recording = piped(&[
        (">", call(1, "sum", json!({"a": 1, "b": 2}))),
        ("<", done(1, json!({"n": 3}))),
        (">", call(2, "sum", json!({"a": 2, "b": 2}))),
        ("<", done(2, json!({"n": 4}))),
        (">", call(3, "count", json!({}))),
        ("<", done(3, json!({"n": "first"}))),
        (">", call(4, "count", json!({}))),
        ("<", done(4, json!({"n": "then"}))),
    ]);
    let mut player = Player::new(&recording, false);
    let mut check = |message: Value, expected: Value| {
        assert_eq!(say(&mut player, &message, LEGACY), [done(message["id"].clone(), expected)], "{message}");
    };
    check(call("x", "sum", json!({"b": 2, "a": 2})), json!({"n": 4}));
    check(call(9, "sum", json!({"a": 1, "b": 2})), json!({"n": 3}));
    check(call(9, "count", json!({})), json!({"n": "first"}));
    check(call(9, "count", json!({})), json!({"n": "then"}));
    check(call(9, "count", json!({})), json!({"n": "then"}));
    check(call(9, "sum", json!({"a": 7})), json!({"n": 4}));
    check(ask(0, "ping", json!({})), json!({}));

    let answers = say(&mut player, &call(5, "other", json!({})), LEGACY);
    assert_eq!(answers[0]["error"]["code"], -32602);
    let expected =
        "The recording has no answer to tools/call other. It has: tools/call sum, tools/call count.";
    assert_eq!(answers[0]["error"]["message"], expected);
    let answers = say(&mut player, &ask(5, "prompts/list", json!({})), LEGACY);
    assert_eq!(answers[0]["error"]["code"], -32601);
    assert_eq!(player.news().len(), 3);
    assert_eq!(player.news().len(), 0);
}

#[test]
fn a_lenient_answer_to_other_parameters_is_told_once() {
    let recording = piped(&[
        (">", call(1, "sum", json!({"a": 1, "b": 2}))),
        ("<", done(1, json!({"n": 3}))),
        (">", call(2, "mail", json!({"to": "[email-1]"}))),
        ("<", done(2, json!({"n": "first"}))),
        (">", call(3, "mail", json!({"to": "[email-2]", "text": "hi [email-3]"}))),
        ("<", done(3, json!({"n": "then"}))),
    ]);
    let mut player = Player::new(&recording, false);
    let mut check = |arguments: Value, expected: &[&str]| {
        say(&mut player, &call(9, "sum", arguments.clone()), LEGACY);
        assert_eq!(player.news(), expected, "{arguments}");
    };
    let told = |pointer: &str| {
        format!(
            "tools/call sum is answered as on line 2, though its parameters are others, first at {pointer}."
        )
    };
    check(json!({"b": 2, "a": 1}), &[]);
    check(json!({"a": 1, "b": 3}), &[&told("/params/arguments/b")]);
    check(json!({"a": 1, "b": 4}), &[]);
    check(json!({"a": 5, "b": 3}), &[&told("/params/arguments/a")]);
    check(json!({"a": 1}), &[]);
    // Anything stands in the place of a placeholder, and the request is found by the rest.
    let mail = call(9, "mail", json!({"to": "ann@x.example", "text": "hi bob@x.example"}));
    assert_eq!(say(&mut player, &mail, LEGACY), [done(9, json!({"n": "then"}))]);
    assert_eq!(player.news(), [""; 0]);
}

#[test]
fn a_strict_replay_holds_placeholders_together() {
    let mails = |id: u64, to: &str, text: &str| call(id, "mail", json!({"to": to, "text": text}));
    let recording = piped(&[
        (">", mails(1, "[email-1]", "for [email-2], [email-1]")),
        ("<", done(1, json!({}))),
        (">", mails(2, "[email-2]", "[phone-1]")),
        ("<", done(2, json!({"from": "[email-3]"}))),
        (">", mails(3, "[email-1]", "[email-3]")),
        ("<", done(3, json!({}))),
    ]);
    let check = |said: [(&str, &str); 3], expected: &[&str]| {
        let mut player = Player::new(&recording, true);
        for (id, (to, text)) in (1..).zip(said) {
            say(&mut player, &mails(id, to, text), LEGACY);
        }
        assert_eq!(player.news(), expected, "{said:?}");
        assert_eq!(player.outcome(), (expected.len(), Vec::new()));
    };
    let (ann, bob) = ("ann@x.example", "bob@x.example");
    // What came from the replay's answer is said as it stands there.
    check([(ann, "for bob@x.example, ann@x.example"), (bob, "123"), (ann, "[email-3]")], &[]);
    check(
        [(ann, "for bob@x.example, eve@x.example"), ("eve@x.example", "123"), (ann, "[email-3]")],
        &[
            "line 2, tools/call mail: /params/arguments/text: [email-1] is not the value that it was on line 2.",
            "line 4, tools/call mail: /params/arguments/to: [email-2] is not the value that it was on line 2.",
        ],
    );
    check(
        [(ann, "for ann@x.example, ann@x.example"), (bob, ann), ("[email-1]", "[email-2]")],
        &[
            "line 2, tools/call mail: /params/arguments/text: [email-2] is the value that [email-1] was on line 2.",
            "line 6, tools/call mail: /params/arguments/text: [email-3] became [email-2].",
        ],
    );
}

#[test]
fn a_resource_is_found_whatever_stands_in_the_place_of_a_placeholder() {
    let read = |id: u64, uri: &str| ask(id, "resources/read", json!({"uri": uri}));
    let recording = piped(&[
        (">", read(1, "shop://customers/[email-1]")),
        ("<", done(1, json!({"n": 1}))),
        (">", read(2, "shop://orders/7")),
        ("<", done(2, json!({"n": 2}))),
    ]);
    let mut player = Player::new(&recording, false);
    let sent = say(&mut player, &read(9, "shop://customers/ann@x.example"), LEGACY);
    assert_eq!(sent, [done(9, json!({"n": 1}))]);
    assert_eq!(say(&mut player, &read(9, "shop://orders/8"), LEGACY)[0]["error"]["code"], -32602);
    assert_eq!(player.news().len(), 1);
}

#[test]
fn progress_comes_under_the_clients_own_token() {
    let with_token = |id: u64, token: Value| {
        ask(id, "tools/call", json!({"name": "long", "_meta": {"progressToken": token}}))
    };
    let recording = piped(&[
        (">", with_token(1, "t".into())),
        ("<", tell("notifications/progress", json!({"progressToken": "t", "progress": 1}))),
        ("<", tell("notifications/message", json!({"level": "info", "data": "x"}))),
        ("<", done(1, json!({"content": []}))),
    ]);
    let mut player = Player::new(&recording, false);
    let sent = say(&mut player, &with_token(7, 70.into()), LEGACY);
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0]["params"]["progressToken"], 70);
    assert_eq!(sent[2]["id"], 7);
    let sent = say(&mut player, &call(8, "long", json!({})), LEGACY);
    assert_eq!(sent.len(), 2, "without a token there is no progress: {sent:?}");
}

#[test]
fn a_question_of_the_server_waits_for_the_clients_answer() {
    let recording = posted(&[
        (">", 1, call(1, "order", json!({}))),
        ("<", 1, ask("s-1", "elicitation/create", json!({"message": "Sure?"}))),
        (">", 2, done("s-1", json!({"action": "accept"}))),
        ("<", 2, Value::Null),
        ("<", 1, done(1, json!({"content": []}))),
    ]);
    for round in 0..2 {
        let mut player = Player::new(&recording, false);
        for _ in 0..=round {
            let sent = say(&mut player, &call(5, "order", json!({})), LEGACY);
            assert_eq!(sent.len(), 1, "{sent:?}");
            assert_eq!(sent[0]["method"], "elicitation/create");
            let sent = say(&mut player, &done("s-1", json!({"action": "decline"})), LEGACY);
            assert_eq!(sent, [done(5, json!({"content": []}))]);
        }
    }
    let mut player = Player::new(&recording, false);
    let sent = say(&mut player, &call(5, "order", json!({})), MODERN);
    assert_eq!(sent.len(), 1, "a modern server asks in its answers alone: {sent:?}");
    assert_eq!(sent[0]["result"]["resultType"], "complete");
}

#[test]
fn what_a_stream_brings_comes_in_its_place() {
    let changed = tell("notifications/tools/list_changed", json!({}));
    let recording = posted(&[
        (">", 1, Value::Null),
        ("<", 1, Value::Null),
        (">", 2, call(1, "add", json!({}))),
        ("<", 2, done(1, json!({}))),
        ("<", 1, changed.clone()),
    ]);
    let mut player = Player::new(&recording, false);
    assert_eq!(player.listen(LEGACY).form, Form::Events);
    assert!(player.ready().is_empty());
    assert_eq!(say(&mut player, &call(1, "add", json!({})), LEGACY), [changed.clone(), done(1, json!({}))]);

    // The same for a modern client.
    let mut player = Player::new(&recording, false);
    let listen = ask("l", "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let sent = say(&mut player, &listen, MODERN);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(sent[0]["params"]["notifications"], json!({"toolsListChanged": true}));
    let sent = say(&mut player, &call(1, "add", json!({})), MODERN);
    assert_eq!(sent[0]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "l");
}

#[test]
fn a_modern_subscription_serves_both_eras() {
    let meta = json!({"_meta": {"io.modelcontextprotocol/subscriptionId": 3}});
    let listen = |id: u64| {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        ask(id, "subscriptions/listen", json!({"_meta": meta, "notifications": {"toolsListChanged": true}}))
    };
    let version = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let add = ask(4, "tools/call", json!({"name": "add", "arguments": {}, "_meta": version}));
    let recording = piped(&[
        (">", listen(3)),
        ("<", tell("notifications/subscriptions/acknowledged", meta.clone())),
        (">", add),
        ("<", tell("notifications/tools/list_changed", meta)),
        ("<", done(4, json!({"resultType": "complete"}))),
    ]);
    let mut player = Player::new(&recording, false);
    let sent = say(&mut player, &listen(30), MODERN);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 30);
    assert_eq!(say(&mut player, &call(4, "add", json!({})), MODERN).len(), 2);

    let mut player = Player::new(&recording, false);
    player.listen(LEGACY);
    assert!(player.ready().is_empty());
    let sent = say(&mut player, &call(4, "add", json!({})), LEGACY);
    assert_eq!(sent, [tell("notifications/tools/list_changed", json!({})), done(4, json!({}))]);
}

#[test]
fn each_era_is_served_from_the_other() {
    let server = json!({"name": "s", "version": "1"});
    let legacy = piped(&[
        (">", ask(0, "initialize", json!({"protocolVersion": "2025-11-25", "clientInfo": {}}))),
        (
            "<",
            done(
                0,
                json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": server}),
            ),
        ),
        (">", tell("notifications/initialized", json!({}))),
        (">", ask(1, "tools/list", json!({}))),
        ("<", done(1, json!({"tools": [{"name": "t", "title": "T", "inputSchema": {}}]}))),
    ]);
    let mut player = Player::new(&legacy, false);
    let discover = ask("d", "server/discover", json!({"_meta": {}}));
    let sent = say(&mut player, &discover, MODERN);
    assert_eq!(sent[0]["id"], "d");
    assert_eq!(sent[0]["result"]["capabilities"], json!({"tools": {}}));
    assert_eq!(sent[0]["result"]["_meta"]["io.modelcontextprotocol/serverInfo"], server);
    let sent = say(&mut player, &ask(2, "tools/list", json!({"_meta": {}})), MODERN);
    assert_eq!(sent[0]["result"]["ttlMs"], 0);

    let older = ask(0, "initialize", json!({"protocolVersion": "2024-11-05"}));
    assert_eq!(player.revision_of(&older), Some(Revision::V2024_11_05));
    let sent = say(&mut player, &older, Revision::V2024_11_05);
    assert_eq!(sent[0]["result"]["protocolVersion"], "2024-11-05");
    let sent = say(&mut player, &ask(2, "tools/list", json!({})), Revision::V2024_11_05);
    assert_eq!(sent[0]["result"], json!({"tools": [{"name": "t", "inputSchema": {}}]}));

    let version = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let wants = json!({"resultType": "input_required", "inputRequests": {"a": {}}, "requestState": "s"});
    let again = json!({"name": "order", "inputResponses": {"a": {}}, "requestState": "s", "_meta": version});
    let modern = piped(&[
        (">", ask(1, "tools/call", json!({"name": "order", "_meta": version}))),
        ("<", done(1, wants.clone())),
        (">", ask(2, "tools/call", again.clone())),
        ("<", done(2, json!({"resultType": "complete", "content": []}))),
    ]);
    let mut player = Player::new(&modern, false);
    let sent = say(&mut player, &ask(0, "initialize", json!({"protocolVersion": "2025-11-25"})), LEGACY);
    assert_eq!(sent[0]["result"]["capabilities"], json!({"tools": {}}));
    let sent = say(&mut player, &call(5, "order", json!({})), LEGACY);
    assert_eq!(sent, [done(5, json!({"content": []}))], "the answer after the input");
    let mut player = Player::new(&modern, false);
    assert_eq!(say(&mut player, &ask(5, "tools/call", json!({"name": "order"})), MODERN), [done(5, wants)]);
    assert_eq!(say(&mut player, &ask(6, "tools/call", again), MODERN)[0]["result"]["content"], json!([]));
}

#[test]
fn a_strict_replay_wants_the_recorded_order_and_words() {
    let recording = piped(&[
        (">", ask(1, "tools/list", json!({}))),
        ("<", done(1, json!({"tools": []}))),
        (">", call(2, "a", json!({"n": 1}))),
        ("<", done(2, json!({}))),
        (">", call(3, "b", json!({}))),
        ("<", done(3, json!({}))),
    ]);
    let check = |said: &[Value], faults: &[&str], missing: usize| {
        let mut player = Player::new(&recording, true);
        for message in said {
            let sent = say(&mut player, message, LEGACY);
            assert_eq!((sent.len(), &sent[0]["id"]), (1, &message["id"]));
        }
        let (count, never) = player.outcome();
        assert_eq!(
            (player.news(), count, never.len()),
            (faults.iter().map(|f| (*f).to_owned()).collect(), faults.len(), missing)
        );
    };
    let list = || ask("x", "tools/list", json!({"_meta": {"progressToken": 1}}));
    let (a, b) = (|n: u64| call(20, "a", json!({"n": n})), || call(30, "b", json!({})));
    check(&[list(), a(1), b()], &[], 0);
    check(&[list(), a(1)], &[], 1);
    check(&[list(), a(2), b()], &["line 4, tools/call a: /params/arguments/n: 1 became 2."], 0);
    check(
        &[list(), b(), a(1)],
        &[
            "line 4, tools/call a, was to come next, and tools/call b came.",
            "the recording is over, and tools/call a came.",
        ],
        0,
    );
    check(&[a(1), b()], &["line 2, tools/list, was to come next, and tools/call a came."], 0);
    check(&[list(), list(), a(1), b()], &["line 4, tools/call a, was to come next, and tools/list came."], 0);
}

#[test]
fn a_request_that_was_turned_away_is_passed_over() {
    let recording = recording(
        "http",
        vec![
            line(">", Some(1), json!({"message": ask(1, "tools/list", json!({}))})),
            line("<", Some(1), json!({"http": {"status": 401}, "message": {"error": "invalid_token"}})),
            line(">", Some(2), json!({"message": ask(2, "tools/list", json!({}))})),
            line("<", Some(2), json!({"http": {"status": 200}, "message": done(2, json!({"tools": []}))})),
        ],
    );
    for strict in [false, true] {
        let mut player = Player::new(&recording, strict);
        let sent = say(&mut player, &ask(7, "tools/list", json!({})), LEGACY);
        assert_eq!(sent, [done(7, json!({"tools": []}))]);
        assert_eq!(player.outcome(), (0, Vec::new()));
    }
}

#[test]
fn a_refusal_that_is_no_message_is_told_on_stdio() {
    let check = |status: u16, body: Value, expected: Option<&str>| {
        let mut answer = json!({"http": {"status": status}});
        if !body.is_null() {
            answer["message"] = body;
        }
        let asked = json!({"message": ask(1, "tools/list", json!({}))});
        let recording = recording("http", vec![line(">", Some(1), asked), line("<", Some(1), answer)]);
        let said = ask("x", "tools/list", json!({})).to_string();
        for strict in [false, true] {
            let mut written = Vec::new();
            super::pipe::run(&recording, strict, said.as_bytes(), &mut written, |_| {}).unwrap();
            let written = String::from_utf8(written).unwrap();
            let expected = expected.map(|text| {
                let error = json!({"code": -32603, "message": text});
                json!({"jsonrpc": "2.0", "id": "x", "error": error})
            });
            let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines, Vec::from_iter(expected), "{status}");
        }
    };
    check(429, Value::Null, Some("The recorded answer is HTTP 429 without a body."));
    check(500, "It broke.".into(), Some("It broke."));
    check(500, 5.into(), Some("5"));
    // Such as one that its client cancelled; a lenient replay says that it has no answer.
    let recording = piped(&[(">", ask(1, "tools/list", json!({})))]);
    let mut player = Player::new(&recording, true);
    assert_eq!(say(&mut player, &ask(1, "tools/list", json!({})), LEGACY), [] as [Value; 0]);
}

#[test]
fn a_refusal_without_a_body_keeps_its_status_in_both_eras() {
    let asked = json!({"message": ask(1, "tools/list", json!({}))});
    let lines = vec![line(">", Some(1), asked), line("<", Some(1), json!({"http": {"status": 429}}))];
    let recording = recording("http", lines);
    for to in [LEGACY, MODERN] {
        let reply = Player::new(&recording, false).say(&ask(1, "tools/list", json!({})), to);
        assert_eq!((reply.status, reply.form), (429, Form::Empty), "{to}");
    }
}

#[test]
fn a_question_of_the_other_era_is_not_asked_even_alone() {
    let recording = posted(&[
        (">", 1, call(1, "order", json!({}))),
        ("<", 1, ask("s-1", "elicitation/create", json!({"message": "Sure?"}))),
    ]);
    let mut player = Player::new(&recording, true);
    assert_eq!(say(&mut player, &call(1, "order", json!({})), MODERN), [] as [Value; 0]);
}
