//! The server passes its own conformance: both eras, over HTTP and on stdio; and the command says so by its exit code.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{Server, key};
use chaterimo::app::App;
use chaterimo::clock::Clock;
use chaterimo::http::Limits;

/// Runs `chaterimo conformance` with `arguments`.
fn conformance(arguments: &[&str], api_key: Option<&str>) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
    command.env_clear().env("HOME", home.path()).envs(api_key.map(|key| ("CHATERIMO_API_KEY", key)));
    command.args(["conformance", "--data-dir"]).arg(home.path()).args(arguments).output().unwrap()
}

/// A lane, and the checks that there is nothing to exercise for in it.
type Lane = (&'static str, &'static str);

const HTTP: [Lane; 2] = [
    (
        "2026-07-28",
        "capabilities.declared logging.invalid-level-of-request tools.list.pages \
         tools.list.header-names tools.call.progress resources.list.pages prompts.list.pages \
         caching.pages headers.version-missing headers.param-mismatch http.no-get tasks.create \
         tasks.get tasks.status tasks.result tasks.name-mismatch tasks.cancel-acknowledged \
         tasks.ended-stays wire.no-unasked-logs wire.stream-ends",
    ),
    (
        "2025-11-25",
        "capabilities.declared logging.set-level logging.invalid-level tools.list.pages \
         tools.call.progress resources.list.pages prompts.list.pages tasks.not-there tasks.required \
         tasks.create tasks.get tasks.status tasks.result tasks.cancel-ended tasks.ended-stays \
         wire.events wire.stream-ends",
    ),
];
const HTTP_OLDER: [Lane; 3] = [
    (
        "2024-11-05",
        "capabilities.declared logging.set-level logging.invalid-level tools.list.pages tools.call \
         tools.call.missing-argument tools.call.progress resources.list.pages prompts.list.pages \
         completion.answers completion.unknown wire.events wire.stream-ends",
    ),
    ("2025-03-26", OLDER),
    ("2025-06-18", OLDER),
];
const STDIO: [Lane; 2] = [
    (
        "2026-07-28",
        "capabilities.declared logging.invalid-level-of-request tools.list.pages \
         tools.list.header-names tools.call.progress resources.list.pages prompts.list.pages \
         caching.pages tasks.create tasks.get tasks.status tasks.result tasks.cancel-acknowledged \
         tasks.ended-stays wire.no-unasked-logs",
    ),
    (
        "2025-11-25",
        "capabilities.declared logging.set-level logging.invalid-level tools.list.pages \
         tools.call.progress resources.list.pages prompts.list.pages tasks.not-there tasks.required \
         tasks.create tasks.get tasks.status tasks.result tasks.cancel-ended tasks.ended-stays",
    ),
];
const OLDER: &str = "capabilities.declared logging.set-level logging.invalid-level tools.list.pages \
         tools.call.progress resources.list.pages prompts.list.pages wire.events wire.stream-ends";

/// Every check passed in these lanes, but for those that are not exercised.
fn check(ran: &Output, lanes: &[Lane]) {
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&ran.stderr)));
    let findings = report["findings"].as_array().unwrap();
    let is = |finding: &Value, outcome: &str| finding["outcome"] == outcome;
    let broken: Vec<_> = findings
        .iter()
        .filter(|finding| !is(finding, "passed") && !is(finding, "not exercised"))
        .map(|finding| format!("{} {}: {}", finding["revision"], finding["id"], finding["detail"]))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(ran.status.success());
    let of = |revision: &str| {
        let quiet = findings.iter().filter(|f| f["revision"] == revision && is(f, "not exercised"));
        quiet.map(|finding| finding["id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    for (revision, quiet) in lanes {
        assert_eq!(of(revision), *quiet, "{revision}");
    }
}

#[test]
fn nothing_fails_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "shop", false);
    let server = Server::start(folder.path(), Limits::default());
    let (url, header) = (format!("http://{}/mcp/", server.address), format!("Authorization: Bearer {key}"));
    let ran = conformance(&[&url, "--header", &header, "--output", "json"], None);
    check(&ran, &HTTP);
    assert!(!String::from_utf8_lossy(&ran.stdout).contains(&key), "the key is in the report");
    let older = ["--revision", "2024-11-05", "--revision", "2025-03-26", "--revision", "2025-06-18"];
    let mut arguments = vec![&*url, "--header", &*header, "--output", "json"];
    arguments.extend(older);
    check(&conformance(&arguments, None), &HTTP_OLDER);
    // Without a key nothing can be tested, which is told apart from a failure.
    let ran = conformance(&[&url], None);
    assert_eq!(ran.status.code(), Some(2), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn nothing_fails_on_stdio() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "shop", false);
    let data = folder.path().to_str().unwrap();
    let arguments = ["--output", "json", "--", env!("CARGO_BIN_EXE_chaterimo"), "stdio", "--data-dir", data];
    check(&conformance(&arguments, Some(&key)), &STDIO);
}

#[test]
fn a_training_is_watched_as_a_task_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::open(folder.path(), Clock::System, false, Vec::new()).unwrap();
    let key = crate::training::fill(&app);
    let (data, call) = (folder.path().to_str().unwrap(), "retrain_chatbot={\"chatbot_id\": 1}");
    let what = ["--revision", "2026-07-28", "--only", "tasks", "--call", call, "--output", "json"];
    let server = ["--", env!("CARGO_BIN_EXE_chaterimo"), "stdio", "--data-dir", data];
    check(&conformance(&[&what[..], &server].concat(), Some(&key)), &[("2026-07-28", "")]);
}

#[test]
fn what_is_expected_to_fail_and_does_not_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "shop", false);
    let server = Server::start(folder.path(), Limits::default());
    let (url, header) = (format!("http://{}/mcp/", server.address), format!("Authorization: Bearer {key}"));
    let file = folder.path().join("expected.yml");
    std::fs::write(&file, "server:\n  - ping # mended long ago\n").unwrap();
    let expected = file.to_str().unwrap();
    let arguments = [&*url, "--header", &*header, "--only", "ping", "--expected-failures", expected];
    let ran = conformance(&arguments, None);
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stdout));
    assert!(String::from_utf8_lossy(&ran.stdout).contains("Take it off the list"));
    let ran = conformance(&["--list"], None);
    assert!(String::from_utf8_lossy(&ran.stdout).contains("tools.list"));
}

#[test]
fn what_cannot_be_run_is_refused_and_says_what_to_do() {
    let nowhere = "http://127.0.0.1:1/mcp";
    let check = |arguments: &[&str], said: &str| {
        let ran = conformance(arguments, None);
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(2) && err.contains(said), "{arguments:?}: {err} lacks {said:?}");
        assert!(ran.stdout.is_empty() && !err.contains("cannot be reached"), "{arguments:?}: {err}");
    };
    let check_call = |call: &str, said: &str| check(&[nowhere, "--call", call], said);
    check_call("get_weather", "wanted is the name of a tool and its arguments as a JSON object");
    check_call("={}", "wanted is the name of a tool");
    check_call(
        "a={",
        "the arguments are no JSON (EOF while parsing an object at line 1 column 1); wanted is",
    );
    check_call("a=", "the arguments are no JSON (EOF while parsing a value at line 1 column 0); wanted is");
    check_call("a=[1]", "the arguments are no JSON object; wanted is");
    check(&[nowhere, "--call", "a={}", "--call", "a={\"b\":1}"], "--call a is there twice");
    check(&[nowhere, "--era", "old"], "possible values: modern, legacy, both");
    check(&[nowhere, "--revision", "2025-11-26"], "there are 2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26");
    check(&[nowhere, "--era", "modern", "--revision", "2025-11-25"], "leave out one of the two");
    check(&[nowhere, "--era", "legacy", "--revision", "2026-07-28"], "leave out one of the two");
    check(&[nowhere, "--only", "tols"], "There is no check \"tols\"; they begin with auth, caching,");
    check(&[nowhere, "--only", "tools.lists"], "of tools there are tools.list, tools.list.unique-names,");
    check(&[nowhere, "--only", "auth.nothing"], "of auth there are auth.challenge-401,");
    check(&[nowhere, "--only", ""], "There is no check \"\"");
    check(&[nowhere, "--only", "auth"], "give --login");
    check(&[nowhere, "--only", "identity"], "give --other-header or --other-login");
    check(&[nowhere, "--browser", "firefox"], "--browser is for signing in: give --login too");
    check(&[nowhere, "--client-id", "a"], "--client-id is for signing in: give --login too");
    check(&[nowhere, "--login", "--header", "authorization: a"], "two credentials for one identity");
    check(&[nowhere, "--other-login", "--other-header", "a: b"], "cannot be used with");
    check(&[nowhere, "--header", "a"], "wanted is 'Name: value'");
    check(&[nowhere, "--timeout", "0"], "0 is not in 1..=600");
    check(&[nowhere, "--output", "xml"], "possible values: text, json, junit, sarif");
    check(
        &[nowhere, "--output-file", "/nowhere/at/all.json"],
        "there is no folder /nowhere/at; make it first",
    );
    check(&[nowhere, "--expected-failures", "/nowhere"], "/nowhere cannot be read");
    check(&[nowhere, "--", "cat"], "cannot be used with");
    check(&["--login", "--", "cat"], "cannot be used with");
    check(&["--header", "a: b", "--", "cat"], "cannot be used with");
    check(&["--ca-file", "a", "--", "cat"], "cannot be used with");
    check(&["--", "/nowhere/server"], "/nowhere/server cannot be started");
    check(&["ftp://a.example/"], "is no URL of an MCP server, such as https://");
    check(&["nowhere"], "is no URL of an MCP server");
    check(&[], "conformance wants the server's URL or `-- COMMAND`, such as");
}

#[test]
#[cfg(unix)]
fn a_revision_that_is_named_and_not_spoken_is_no_success() {
    const SCRIPT: &str = r#"while read -r line; do case "$line" in *initialize\"*)
        echo '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"a","version":"1"}}}';;
        esac; done"#;
    let check = |revision: &str, code: i32, said: &str| {
        let only = ["--revision", revision, "--only", "initialize.answers", "--", "sh", "-c", SCRIPT];
        let ran = conformance(&only, None);
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(code) && err.contains(said), "{revision}: {:?} {err}", ran.status);
    };
    check("2025-06-18", 0, "");
    check(
        "2024-11-05",
        2,
        "--revision 2024-11-05 was not tested: the server answers with 2025-06-18, which was tested instead.",
    );
}

#[test]
fn what_a_server_does_not_have_is_named_with_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let key = key(folder.path(), "shop", false);
    let server = Server::start(folder.path(), Limits::default());
    let (url, header) = (format!("http://{}/mcp/", server.address), format!("Authorization: Bearer {key}"));
    let check = |arguments: &[&str], code: i32, said: &str| {
        let ran = conformance(&[&[&*url, "--header", &*header], arguments].concat(), None);
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(code) && err.contains(said), "{arguments:?}: {err} lacks {said:?}");
    };
    let lacking = "--call list_robots: the server has no such tool. It has list_chatbots, ";
    check(&["--only", "tools.list", "--call", "list_robots={}"], 2, lacking);
    check(&["--only", "tools.list", "--call", "list_robots={}"], 2, " more.\n");
    let stdio = "the checks of --only stdio are for servers on stdio: give a command, behind --";
    check(&["--only", "stdio"], 2, stdio);
    let modern = "the checks of --only removed are of the modern era, in which the server was not tested";
    check(&["--only", "removed", "--era", "legacy"], 2, modern);
    let legacy = "the checks of --only session are of the legacy era, in which the server was not tested";
    check(&["--only", "session", "--era", "modern"], 2, legacy);
}
