//! `chaterimo record -- COMMAND` as a process: what passes, what is noted, and the exit code.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use chaterimo::protocol::transcript::{From, Transcript, Transport};

/// Records `command` with `input` on stdin; what came of it, and the transcript.
fn record(command: &[&str], input: &[u8]) -> (Output, Transcript) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("out.jsonl");
    let mut child = Command::new(env!("CARGO_BIN_EXE_chaterimo"))
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin")
        .args(["record", "--readonly", "--about", "a test", "--out"])
        .arg(&file)
        .arg("--data-dir")
        .arg(home.path())
        .arg("--")
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    (output, Transcript::parse(&std::fs::read_to_string(file).unwrap()).unwrap())
}

#[test]
fn lines_pass_untouched_and_are_noted_without_secrets() {
    let input = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"clientInfo\":{\"name\":\"c\",\"version\":\"1\"}}}\r\n\
                 {\"jsonrpc\":\"2.0\",  \"method\":\"cha_0123456789\"}\nnot JSON";
    let (output, transcript) = record(&["cat"], input.as_bytes());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let header = &transcript.header;
    assert_eq!(
        (header.client.name.as_str(), header.transport, header.about.as_deref()),
        ("c", Transport::Stdio, Some("a test"))
    );
    let said = |from: From| {
        let lines = transcript.lines.iter().filter(move |line| line.from == from);
        lines.map(|line| line.message.clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(said(From::Client), said(From::Server));
    assert_eq!(said(From::Client)[1]["method"], "[key-1]");
    assert_eq!(said(From::Client)[2], "not JSON");
}

#[test]
fn a_command_that_fails_is_told_and_what_it_said_is_kept() {
    let (output, transcript) =
        record(&["sh", "-c", "echo '{\"jsonrpc\":\"2.0\",\"method\":\"x\"}'; exit 3"], b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("exit status: 3"));
    assert_eq!(transcript.lines.len(), 1);
}

#[test]
fn a_recorder_that_is_killed_leaves_what_was_said() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("out.jsonl");
    let mut child = Command::new(env!("CARGO_BIN_EXE_chaterimo"))
        .env_clear()
        .env("HOME", home.path())
        .env("PATH", "/usr/bin:/bin")
        .args(["record", "--out"])
        .arg(&file)
        .args(["--", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The client does not say who it is, and nothing ends the recording.
    let line = "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n";
    child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    let started = chaterimo::clock::instant();
    let mut text = String::new();
    while text.lines().count() < 3 {
        assert!(started.elapsed().as_secs() < 20, "{text}");
        std::thread::yield_now();
        text = std::fs::read_to_string(&file).unwrap_or_default();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let transcript = Transcript::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(transcript.lines.len(), 2);
}
