//! `chaterimo stdio --url` as a process: what is on stdout, on stderr, and the exit code.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs the bridge to `url` with `input` on stdin, to its end.
fn bridge(url: &str, key: Option<&str>, input: &str) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
    command.env_clear().env("HOME", home.path()).envs(key.map(|key| ("CHATERIMO_API_KEY", key)));
    command.args(["stdio", "--url", url, "--data-dir"]).arg(home.path());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that refuses its arguments may be gone before it has read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A server that gives every request the same answer; its URL.
fn server(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp/", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|stream| answer_one(stream.unwrap(), answer)));
    url
}

fn answer_one(mut stream: TcpStream, answer: &str) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    reader.take(length).read_to_end(&mut Vec::new()).unwrap();
    stream.write_all(answer.as_bytes()).unwrap();
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    String::from_utf8(bytes.to_vec())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

const PING: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n";

#[test]
fn a_refused_key_is_said_on_both_sides() {
    let url = server("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let ran = bridge(&url, Some("cha_wrong"), &PING.repeat(2).replacen("1,", "2,", 1));
    let answers = lines(&ran.stdout);
    assert_eq!(answers.len(), 2);
    for answer in &answers {
        let text = answer["error"]["message"].as_str().unwrap();
        assert!(text.contains("CHATERIMO_API_KEY") && !text.contains("cha_wrong"), "{text}");
    }
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(said.matches("CHATERIMO_API_KEY").count(), 1, "once, not for each request: {said}");
    assert!(ran.status.success());
}

#[test]
fn an_answer_comes_through_whole_and_stdin_ends_it_well() {
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"n":1.50}}"#;
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let ran = bridge(&server(answer.leak()), None, PING);
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), format!("{body}\n"));
    assert_eq!(String::from_utf8(ran.stderr).unwrap(), "");
    assert!(ran.status.success());
}

#[test]
fn a_wrong_url_ends_it_with_exit_code_2() {
    let ran = bridge("chat.example.com/mcp", None, PING);
    assert_eq!((ran.status.code(), ran.stdout), (Some(2), Vec::new()));
    assert!(String::from_utf8(ran.stderr).unwrap().contains("is no URL of an MCP server"));
}
