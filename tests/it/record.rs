//! `chaterimo record` as a process: what passes, what is noted, and the exit code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use chaterimo::protocol::transcript::{From, MAX_LINES, Transcript, Transport};

/// A recorder that writes `out.jsonl` in `home`.
fn start(home: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_chaterimo"))
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .current_dir(home)
        .args(["record", "--out", "out.jsonl"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Records `command` with `input` on stdin; what came of it, and what is in the file, if there is one.
fn run(command: &[&str], input: &[u8]) -> (Output, Option<String>) {
    let home = tempfile::tempdir().unwrap();
    let mut child = start(home.path(), &[&["--readonly", "--about", "a test", "--"], command].concat());
    let _ = child.stdin.take().unwrap().write_all(input); // A command may have ended before it is read.
    let output = child.wait_with_output().unwrap();
    (output, std::fs::read_to_string(home.path().join("out.jsonl")).ok())
}

fn record(command: &[&str], input: &[u8]) -> (Output, Transcript) {
    let (output, text) = run(command, input);
    (output, Transcript::parse(&text.unwrap()).unwrap())
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
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("exit status: 3"));
    assert_eq!(transcript.lines.len(), 1);
    let (output, _) = run(&["sh", "-c", "kill -9 $$"], b"");
    assert_eq!(output.status.code(), Some(128 + 9));
}

/// Answers each line; the ids are counted.
const COUNTING: &str =
    r#"n=0; while read -r l; do n=$((n+1)); echo "{\"jsonrpc\":\"2.0\",\"id\":$n,\"result\":{}}"; done"#;

#[test]
fn the_client_that_was_recorded_does_as_recorded() {
    let check = |texts: &[&str], placeholder: &str| {
        let call = |(id, text): (usize, &&str)| {
            let params =
                serde_json::json!({"name": "a", "arguments": {"api_key": "ab/cd+ef==12345", "text": text}});
            let message =
                serde_json::json!({"jsonrpc": "2.0", "id": id + 1, "method": "tools/call", "params": params});
            format!("{message}\n")
        };
        let said: String = texts.iter().enumerate().map(call).collect();
        let (_, text) = run(&["sh", "-c", COUNTING], said.as_bytes());
        assert!(text.as_ref().unwrap().contains(placeholder), "{text:?}");
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("said.jsonl");
        std::fs::write(&path, text.unwrap()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_chaterimo"))
            .args(["replay", "--strict", "--stdio", path.to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    // A space stands within the number too.
    check(
        &["Anna +49 30 1234567 anna@x.example", "to anna@x.example", "phone +49 30 1234567"],
        "Anna [phone-1] [email-1]",
    );
    check(&["https://x.example/?u=ab%2Fcd%2Bef%3D%3D12345"], "?u=[secret-1]");
}

#[test]
fn more_than_can_be_read_again_passes_and_is_not_noted() {
    let lines = MAX_LINES + 3;
    let (output, transcript) = record(&["wc", "-l"], "1\n".repeat(lines).as_bytes());
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), lines.to_string());
    assert_eq!(transcript.lines.len(), MAX_LINES);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.matches("passed on and not noted").count(), 1, "{told}");
}

#[test]
fn where_nothing_was_said_there_is_no_file() {
    let check = |command: &[&str], code: i32, expected: &str| {
        let (output, text) = run(command, b"");
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), text), (Some(code), None), "{command:?}: {told}");
        assert!(told.contains(expected), "{told}");
    };
    let nothing = "Nothing was said, and so out.jsonl is not made.\n";
    check(&["nosuch"], 2, "chaterimo: nosuch cannot be started: PATH has no such command; ");
    check(&["/nonexistent/server"], 2, "there is no such file");
    check(&["/etc/passwd"], 2, "it may not be executed; ");
    check(&["true"], 0, nothing);
    check(&["sh", "-c", "exit 3"], 3, nothing);
}

/// The status and the body of the answer to a message.
fn post(origin: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(origin.strip_prefix("http://").unwrap()).unwrap();
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{message}", message.len()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[test]
fn a_server_that_does_not_listen_yet_is_told_once_and_may_be_started_later() {
    let home = tempfile::tempdir().unwrap();
    // Bound, so that nobody else takes the port; who connects is refused until it listens.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _runtime = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let mut child = start(home.path(), &[&format!("http://{address}/mcp")]);
    let line = |stream: &mut dyn std::io::Read| {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    };
    let url = line(child.stdout.as_mut().unwrap());
    let origin = url.trim().strip_suffix("/mcp").unwrap();
    let unreachable = format!("http://{address} cannot be reached: connection refused.");
    let told = line(child.stderr.as_mut().unwrap());
    assert!(told.starts_with(&format!("chaterimo: {unreachable} Start it, or look at the URL; ")), "{told}");
    assert_eq!(post(origin), (502, unreachable));

    let server = socket.listen(1).unwrap().into_std().unwrap();
    server.set_nonblocking(false).unwrap();
    let answered = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").unwrap();
    });
    assert_eq!(post(origin), (200, "{}".to_owned()));
    answered.join().unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "it is told once");
    let text = std::fs::read_to_string(home.path().join("out.jsonl")).unwrap();
    assert_eq!(Transcript::parse(&text).unwrap().lines.len(), 4);
}

#[test]
fn a_recorder_that_is_killed_leaves_what_was_said() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("out.jsonl");
    let mut child = start(home.path(), &["--", "cat"]);
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
