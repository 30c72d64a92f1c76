//! `replay`, `verify` and `diff` on the recordings of real clients: each recording, replayed, is answered as recorded.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use chaterimo::peer::{Dialler, Options, Target};
use chaterimo::protocol::transcript::compare::Pointer;
use chaterimo::protocol::transcript::{From, Line, Transcript, Transport};
use chaterimo::replay::serve::Server;
use chaterimo::verify::{Report, verify};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_chaterimo");

fn file(name: &str) -> PathBuf {
    crate::replay::folder().join(name)
}

fn read(name: &str) -> Transcript {
    Transcript::parse(&fs::read_to_string(file(name)).unwrap()).unwrap()
}

fn chaterimo(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("HOME", "/nonexistent").current_dir(file("")).args(arguments);
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = chaterimo(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// `asked` said to a replay of `served` over HTTP, both in this process; and what a strict replay has to say at the end.
fn over_http(asked: &Transcript, served: &Transcript, strict: bool, ignored: &[&str]) -> (Report, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::bind(([127, 0, 0, 1], 0).into(), served, strict).await.unwrap();
        let (url, stage) = (server.url().to_owned(), server.stage());
        tokio::spawn(server.run(|_| {}));
        let dialler = Dialler::new(Options::new(Target::Url(url))).unwrap();
        let ignored: Vec<Pointer> = ignored.iter().map(|pointer| Pointer::parse(pointer).unwrap()).collect();
        let report = verify(asked, &dialler, &ignored).await.unwrap();
        let (faults, missing) = stage.outcome();
        (report, faults + missing.len())
    })
}

/// The names of all recordings below this folder, those of sign-ins too.
fn all() -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["", "oauth/"] {
        for entry in fs::read_dir(file(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|end| end == "jsonl") {
                names.push(format!("{folder}{name}"));
            }
        }
    }
    names.sort();
    names
}

#[test]
fn every_recording_is_replayed_to_itself_without_a_difference() {
    let names = all();
    assert!(names.len() >= 40, "{names:?}");
    for name in names {
        let transcript = read(&name);
        for strict in [false, true] {
            let (report, faults) = over_http(&transcript, &transcript, strict, &[]);
            assert!(report.messages > 0, "{name}");
            assert_eq!(report.differences, [], "{name}");
            assert_eq!(faults, 0, "{name}");
        }
    }
}

#[test]
fn a_recording_serves_clients_of_the_other_era_and_the_other_transport() {
    let check = |asked: &str, served: &str, ignored: &[&str]| {
        let (report, _) = over_http(&read(asked), &read(served), false, ignored);
        assert_eq!(report.differences, [], "{asked} asked, {served} answered");
    };
    // How long a list may be kept, and which extensions there are, only the modern era says.
    let fresh = ["/result/ttlMs", "/result/cacheScope", "/result/capabilities/extensions"];
    let (legacy, modern) =
        ("stdio-full-legacy-rewrite-instructions.jsonl", "stdio-full-rewrite-instructions.jsonl");
    check(legacy, modern, &[]);
    check(modern, legacy, &fresh);
    check(legacy, "http-full-rewrite-instructions.jsonl", &[]);
    check("http-readonly-rank-chatbots.jsonl", "http-readonly-legacy-rank-chatbots.jsonl", &fresh);
}

#[test]
fn a_server_that_drifted_is_told_with_the_place() {
    let name = "http-full-rank-chatbots.jsonl";
    let recorded = read(name);
    let mut drifted = recorded.clone();
    let line = drifted.lines.iter_mut().rfind(|line| line.from == From::Server).unwrap();
    line.message.as_mut().unwrap()["result"]["structuredContent"]["period"] = "last year".into();
    let (report, _) = over_http(&recorded, &drifted, false, &[]);
    let places: Vec<_> = report.differences.iter().map(|drift| drift.pointer.as_str()).collect();
    assert_eq!(places, ["/result/structuredContent/period"]);
    let line = place_of_last_call(&recorded);
    assert_eq!((report.drifted, report.differences[0].line), (1, line));
    let messages = report.messages;
    assert_eq!(report.differences[0].message, "tools/call get_analytics");
    let (report, _) = over_http(&recorded, &drifted, false, &["/result/structuredContent"]);
    assert_eq!(report.drifted, 0);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("drifted.jsonl");
    fs::write(&path, drifted.to_text()).unwrap();
    let served = [PROGRAM, "replay", path.to_str().unwrap(), "--stdio"];
    let verify = |more: &[&str]| run(&[&["verify", name], more, &["--"], &served[..]].concat());
    let (code, out, err) = verify(&[]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        out.starts_with(&format!(
            "line {line}, tools/call get_analytics\n  /result/structuredContent/period: "
        )),
        "{out}"
    );
    assert!(err.contains(&format!("1 of {messages} messages are not answered as recorded")), "{err}");
    let (code, out, _) = verify(&["--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["differences"][0]["now"]), (1, &"last year".into()));
    let (code, out, _) = verify(&["--ignore", "/result/structuredContent/period"]);
    assert_eq!((code, out), (0, format!("{messages} messages are answered as recorded.\n")));
}

/// On which line of the file the client's last call is; the first line is the header.
fn place_of_last_call(recorded: &Transcript) -> usize {
    let is_call =
        |line: &Line| line.message.as_ref().is_some_and(|message| message["method"] == "tools/call");
    recorded.lines.iter().rposition(is_call).unwrap() + 2
}

#[test]
fn an_answer_that_was_not_recorded_is_no_drift() {
    let check = |name: &str| {
        let whole = read(name);
        let mut cut = whole.clone();
        let last = cut.lines.pop().unwrap();
        assert_eq!(last.from, From::Server, "{name}");
        let (report, _) = over_http(&cut, &whole, false, &[]);
        assert_eq!((report.unanswered, report.differences.as_slice()), (1, &[][..]), "{name}");
        let (report, _) = over_http(&whole, &whole, false, &[]);
        assert_eq!(report.unanswered, 0, "{name}");
    };
    check("http-full-rank-chatbots.jsonl");
    check("stdio-full-rank-chatbots.jsonl");
}

#[test]
fn a_server_that_is_not_there_is_no_drift() {
    let check = |arguments: &[&str], expected: &str| {
        let (code, _, err) = run(&[&["verify", "http-full-connect.jsonl"], arguments].concat());
        assert_eq!(code, 2, "{err}");
        assert!(err.contains(expected), "{err}");
    };
    check(&["http://127.0.0.1:1/mcp"], "cannot be reached");
    check(&["--", "sh", "-c", "echo no licence >&2; exit 3"], "It said:\n  no licence");
    check(&["--", "/nonexistent/server"], "cannot be started");
    check(&["--ignore", "result", "http://127.0.0.1:1/mcp"], "is no JSON pointer");
    let (code, _, err) = run(&["verify", "store.json", "http://127.0.0.1:1/mcp"]);
    assert_eq!(code, 2);
    assert!(err.contains("Line 1 is no first line of a recording"), "{err}");
}

#[test]
fn a_strict_replay_exits_with_one_when_the_order_is_another() {
    let name = "stdio-full-connect.jsonl";
    let mut said: Vec<String> = read(name)
        .lines
        .iter()
        .filter(|line| line.from == From::Client)
        .map(|line| line.message.as_ref().unwrap().to_string())
        .collect();
    let replay = |said: &[String], flag: &str| {
        let mut child = start(&["replay", name, "--stdio", flag]);
        child.stdin.take().unwrap().write_all(format!("{}\n", said.join("\n")).as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap().lines().count();
        (output.status.code().unwrap(), lines, String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(replay(&said, "--strict").0, 0);
    let last = said.len() - 1;
    said.swap(0, last);
    let (code, _, err) = replay(&said, "--strict");
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("line 2, server/discover, was to come next, and tools/list came."), "{err}");
    assert_eq!(replay(&said, "--lenient").0, 0);
    said.swap(0, last);
    let (code, _, err) = replay(&said[..last], "--strict");
    assert_eq!(code, 1);
    assert!(err.contains(", tools/list, never came."), "{err}");
    // What a client calls its parameters reaches a terminal without what that would obey.
    let mut odd: Value = serde_json::from_str(&said[last]).unwrap();
    odd["params"]["\u{1b}[31m\nreplay"] = 1.into();
    let (_, _, err) = replay(&[odd.to_string()], "--lenient");
    assert!(err.ends_with(", first at /params/[31mreplay.\n") && err.lines().count() == 1, "{err:?}");
}

fn start(arguments: &[&str]) -> Child {
    let mut command = chaterimo(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_replay_over_http_says_where_it_is_and_ends_when_told() {
    let name = "http-full-connect.jsonl";
    for (flag, code) in [("--lenient", 0), ("--strict", 1)] {
        let mut child = start(&["replay", name, flag]);
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/mcp/\n"), "{url}");
        if flag == "--lenient" {
            let (code, out, err) = run(&["verify", name, url.trim()]);
            assert_eq!(code, 0, "{out}{err}");
            let (code, out, err) = run(&["diff", name, url.trim()]);
            assert_eq!((code, out.as_str()), (0, "0 breaking, 0 additive, 0 cosmetic\n"), "{err}");
        }
        let pid = child.id().to_string();
        assert!(Command::new("kill").arg(&pid).status().unwrap().success());
        // A strict one was never asked anything.
        assert_eq!(child.wait().unwrap().code(), Some(code), "{flag}");
    }
    let (code, _, err) = run(&["replay", name, "--listen", "0.0.0.0:0"]);
    assert_eq!(code, 2);
    assert!(err.contains("is not on this machine alone"), "{err}");
}

#[test]
fn what_broke_between_two_lists_of_tools_is_told() {
    let (old, new) = ("http-full-connect.jsonl", "http-readonly-connect.jsonl");
    let (code, out, err) = run(&["diff", old, new]);
    assert_eq!(code, 1);
    assert!(out.contains("breaking  tool retrain_chatbot: the tool is gone\n"), "{out}");
    assert!(out.ends_with("7 breaking, 0 additive, 0 cosmetic\n"), "{out}");
    assert!(err.contains("7 of 7 changes"), "{err}");
    assert_eq!(run(&["diff", old, new, "--fail-on", "never"]).0, 0);
    assert_eq!(run(&["diff", new, old]).0, 0, "tools that are new break nobody");
    assert_eq!(run(&["diff", new, old, "--fail-on", "additive"]).0, 1);
    let (code, out, _) = run(&["diff", new, old, "--json"]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &found["additive"], found["changes"].as_array().unwrap().len()), (0, &7.into(), 7));
    assert_eq!(run(&["diff", old, "nothing.json"]).0, 2);
    let folder = tempfile::tempdir().unwrap();
    let tools = |name: &str, kinds: Value| {
        let path = folder.path().join(name).to_str().unwrap().to_owned();
        let schema = json!({"type": "object", "properties": {"a": {"type": kinds}}});
        fs::write(&path, json!({"name": "t", "inputSchema": schema}).to_string()).unwrap();
        path
    };
    let (wide, narrow) = (tools("wide", json!(["string", "null"])), tools("narrow", "string".into()));
    let (_, out, _) = run(&["diff", &wide, &narrow]);
    let place = "breaking  tool t /inputSchema/properties/a/type: ";
    assert!(out.starts_with(place) && out.contains(r#" (["string","null"] → "string")"#), "{out}");
    assert_eq!(read(old).header.transport, Transport::Http);
}

/// A conversation with all that a server may say beside its answers, in the legacy era: progress, a log, a question to the
/// client, a change of the list on the stream of a GET; and the end of the session.
const LEGACY: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"http","endpoint":"full"}
{"at_ms":0,"from":"client","exchange":1,"http":{"method":"POST","path":"/mcp"},"message":{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}}
{"at_ms":1,"from":"server","exchange":1,"http":{"status":200,"headers":{"content-type":"application/json","mcp-session-id":"[session-1]"}},"message":{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s","version":"1"}}}}
{"at_ms":2,"from":"client","exchange":2,"http":{"method":"POST","path":"/mcp","headers":{"mcp-session-id":"[session-1]","mcp-protocol-version":"2025-11-25"}},"message":{"jsonrpc":"2.0","method":"notifications/initialized"}}
{"at_ms":3,"from":"server","exchange":2,"http":{"status":202}}
{"at_ms":4,"from":"client","exchange":3,"http":{"method":"GET","path":"/mcp","headers":{"accept":"text/event-stream","mcp-session-id":"[session-1]"}}}
{"at_ms":5,"from":"server","exchange":3,"http":{"status":200,"headers":{"content-type":"text/event-stream"}}}
{"at_ms":6,"from":"client","exchange":4,"http":{"method":"POST","path":"/mcp","headers":{"mcp-session-id":"[session-1]","mcp-protocol-version":"2025-11-25"}},"message":{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order","arguments":{},"_meta":{"progressToken":"p"}}}}
{"at_ms":7,"from":"server","exchange":4,"http":{"status":200,"headers":{"content-type":"text/event-stream"}},"message":{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":1}}}
{"at_ms":8,"from":"server","exchange":4,"message":{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"asking"}}}
{"at_ms":9,"from":"server","exchange":4,"message":{"jsonrpc":"2.0","id":"ask-1","method":"elicitation/create","params":{"message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}}
{"at_ms":10,"from":"client","exchange":5,"http":{"method":"POST","path":"/mcp","headers":{"mcp-session-id":"[session-1]","mcp-protocol-version":"2025-11-25"}},"message":{"jsonrpc":"2.0","id":"ask-1","result":{"action":"accept","content":{}}}}
{"at_ms":11,"from":"server","exchange":5,"http":{"status":202}}
{"at_ms":12,"from":"server","exchange":4,"message":{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"ordered"}]}}}
{"at_ms":13,"from":"server","exchange":3,"message":{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}}
{"at_ms":14,"from":"client","exchange":6,"http":{"method":"DELETE","path":"/mcp","headers":{"mcp-session-id":"[session-1]"}}}
{"at_ms":15,"from":"server","exchange":6,"http":{"status":204}}
"#;

/// The same of the modern era: a subscription, a cursor that is used again, input that is asked for in an answer.
const MODERN: &str = r#"{"transcript":1,"client":{"name":"c","version":"1"},"transport":"stdio","endpoint":"full"}
{"at_ms":0,"from":"client","message":{"jsonrpc":"2.0","id":"l","method":"subscriptions/listen","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}},"notifications":{"toolsListChanged":true}}}}
{"at_ms":1,"from":"server","message":{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"},"notifications":{"toolsListChanged":true}}}}
{"at_ms":2,"from":"client","message":{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}}
{"at_ms":3,"from":"server","message":{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","tools":[],"nextCursor":"c1","ttlMs":0,"cacheScope":"private"}}}
{"at_ms":4,"from":"client","message":{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"cursor":"c1","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}}
{"at_ms":5,"from":"server","message":{"jsonrpc":"2.0","id":2,"result":{"resultType":"complete","tools":[{"name":"order","inputSchema":{"type":"object"}}],"ttlMs":0,"cacheScope":"private"}}}
{"at_ms":6,"from":"client","message":{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"order","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}}
{"at_ms":7,"from":"server","message":{"jsonrpc":"2.0","id":3,"result":{"resultType":"input_required","inputRequests":{"sure":{"method":"elicitation/create","params":{"message":"Sure?"}}},"requestState":"s1"}}}
{"at_ms":8,"from":"client","message":{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"order","arguments":{},"inputResponses":{"sure":{"action":"accept"}},"requestState":"s1","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}}}}
{"at_ms":9,"from":"server","message":{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"l"}}}}
{"at_ms":10,"from":"server","message":{"jsonrpc":"2.0","id":4,"result":{"resultType":"complete","content":[{"type":"text","text":"ordered"}]}}}
"#;

#[test]
fn what_a_server_says_beside_its_answers_is_replayed_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("legacy", LEGACY), ("modern", MODERN)] {
        let recorded = Transcript::parse(text).unwrap();
        for strict in [false, true] {
            let (report, faults) = over_http(&recorded, &recorded, strict, &[]);
            assert_eq!((report.differences, faults), (Vec::new(), 0), "{name} over HTTP, strict: {strict}");
        }
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let (code, out, err) = run(&["verify", path, "--", PROGRAM, "replay", path, "--stdio", "--strict"]);
        assert_eq!(code, 0, "{name} on stdio: {out}{err}");
    }
}

#[test]
fn what_was_taken_out_of_what_the_client_says_is_told_beside_the_differences() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = MODERN
        .replace(r#""name":"order","arguments":{}"#, r#""name":"order","arguments":{"to":"[email-1]"}"#);
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(&path, text).unwrap();
        path
    };
    let (old, new) = (file("old", &recorded), file("new", &recorded.replace("ordered", "no address")));
    let (code, out, err) = run(&["verify", &old, "--", PROGRAM, "replay", &new, "--stdio"]);
    let mark = "line 10, tools/call order (sent with a placeholder)\n  /result/content/0/text: ";
    assert!(code == 1 && out.contains(mark), "{out}{err}");
    assert!(
        err.contains("what the recorder took out, and was sent with the placeholder, such as [email-1]: 10.")
            && err.contains("--keep-contacts"),
        "{err}"
    );
    let (code, out, _) = run(&["verify", &old, "--json", "--", PROGRAM, "replay", &new, "--stdio"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["redacted"]), (1, &json!([8, 10])));
}

#[test]
fn what_a_server_no_longer_says_beside_its_answers_is_told() {
    let check = |text: &str, gone: &str, expected: &[&str]| {
        let recorded = Transcript::parse(text).unwrap();
        let mut drifted = recorded.clone();
        drifted.lines.retain(|line| line.message.as_ref().is_none_or(|message| message["method"] != gone));
        let (report, _) = over_http(&recorded, &drifted, false, &[]);
        let shown: Vec<_> = report.differences.iter().map(|drift| drift.message.as_str()).collect();
        assert_eq!(shown, expected, "{:?}", report.differences);
        // And what it says that it did not say.
        let (report, _) = over_http(&drifted, &recorded, false, &[]);
        assert!(
            gone == "notifications/tools/list_changed" || report.drifted == 1,
            "{:?}",
            report.differences
        );
    };
    check(LEGACY, "notifications/message", &["tools/call order → notifications/message"]);
    check(LEGACY, "elicitation/create", &["tools/call order → elicitation/create"]);
    check(LEGACY, "notifications/tools/list_changed", &["GET → notifications/tools/list_changed"]);
    check(
        MODERN,
        "notifications/tools/list_changed",
        &["subscriptions/listen → notifications/tools/list_changed"],
    );
}

/// A recording of a server that declares tools and resources and answers each request as it is here: `(method, parameters,
/// HTTP status, what the answer is beside its id)`.
fn server_of(answers: &[(&str, Value, u16, Value)]) -> Transcript {
    let capabilities = json!({"tools": {}, "resources": {}});
    let opened = json!({"result": {"resultType": "complete", "supportedVersions": ["2026-07-28"],
        "capabilities": capabilities, "serverInfo": {"name": "s", "version": "1"}}});
    let all = std::iter::once(("server/discover", json!({}), 200, opened)).chain(answers.iter().cloned());
    let mut text = json!({"transcript": 1, "client": {"name": "c", "version": "1"}, "transport": "http", "endpoint": "full"}).to_string();
    for (number, (method, mut params, status, mut answer)) in all.enumerate() {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
        if answer.is_object() {
            answer["jsonrpc"] = "2.0".into();
            answer["id"] = number.into();
        }
        let asked = json!({"jsonrpc": "2.0", "id": number, "method": method, "params": params});
        let (post, status) = (json!({"method": "POST", "path": "/mcp"}), json!({"status": status}));
        let lines = [
            json!({"at_ms": 0, "from": "client", "exchange": number, "http": post, "message": asked}),
            json!({"at_ms": 0, "from": "server", "exchange": number, "http": status, "message": answer}),
        ];
        lines.iter().for_each(|line| text.push_str(&format!("\n{line}")));
    }
    Transcript::parse(&text).unwrap()
}

#[test]
fn a_server_that_fails_is_not_an_empty_one() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let check = |answers: &[(&str, Value, u16, Value)], code: i32, says: &str| {
        let recording = server_of(answers);
        let server = runtime.block_on(Server::bind(([127, 0, 0, 1], 0).into(), &recording, false)).unwrap();
        let url = server.url().to_owned();
        runtime.spawn(server.run(|_| {}));
        let (got, out, err) = run(&["diff", "http-full-connect.jsonl", &url]);
        assert_eq!(got, code, "{says}: {out}{err}");
        assert!(format!("{out}{err}").contains(says), "{says}: {out}{err}");
    };
    let list = |members: Value| json!({"result": members});
    let error = |code: i32| json!({"error": {"code": code, "message": "It broke."}});
    let tools = |status: u16, answer: Value| ("tools/list", json!({}), status, answer);
    let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
    check(&[tools(200, error(-32601))], 1, "the tool is gone");
    check(
        &[tools(200, error(-32603))],
        2,
        "tools/list: the answer is the error -32603 \"It broke.\" (HTTP 200)",
    );
    check(&[tools(429, "slow down".into())], 2, "(HTTP 429)");
    check(&[tools(500, "oh".into())], 2, "tools/list: no JSON-RPC answer to this request came (HTTP 500)");
    check(&[tools(200, list(json!({"tols": []})))], 2, "tools/list: the result holds no such list");
    let some = tools(200, list(json!({"tools": [tool("a")]})));
    check(&[some.clone(), ("resources/list", json!({}), 500, "oh".into())], 2, "resources/list: no JSON-RPC");
    check(&[some, ("prompts/list", json!({}), 500, "oh".into())], 1, "tool a: the tool is new");
    let page = |cursor: Value, next: &str| {
        let params = if cursor.is_null() { json!({}) } else { json!({"cursor": cursor}) };
        ("tools/list", params, 200, list(json!({"tools": [tool(next)], "nextCursor": next})))
    };
    check(
        &[page(Value::Null, "a"), page("a".into(), "b"), page("b".into(), "a")],
        2,
        "the cursor \"a\" came a second time",
    );
    let long: Vec<_> = (0..102)
        .map(|n| page(if n == 0 { Value::Null } else { n.to_string().into() }, &(n + 1).to_string()))
        .collect();
    check(&long, 2, "has more than 100 pages");
}
