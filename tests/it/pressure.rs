//! A server that has no descriptor left for a connection, and one that is told twice to stop.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{ChildStderr, Command, Stdio};

use crate::cli::{Home, Serving};

/// A server, started by a shell after `before`; its address, and what it logs.
fn serve(home: &Home, before: &str) -> (Serving, String, BufReader<ChildStderr>) {
    let program = env!("CARGO_BIN_EXE_chaterimo");
    let mut command = Command::new("sh");
    command.env_clear().env("HOME", home.folder());
    command.args(["-c", &format!("{before}exec '{program}' serve --json --listen 127.0.0.1:0")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let (serving, greeting) = Serving::of(child);
    let url = greeting["url"].as_str().unwrap();
    let address = url.strip_prefix("http://").unwrap().strip_suffix("/mcp/").unwrap().to_owned();
    (serving, address, log)
}

/// Reads the log up to the line that holds `text`.
fn wait_for(log: &mut BufReader<ChildStderr>, text: &str) {
    let mut said = String::new();
    while !said.lines().last().is_some_and(|line| line.contains(text)) {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "the log ended without {text:?}: {said}");
    }
}

#[test]
fn without_descriptors_it_says_so_and_goes_on_once_there_are_some() {
    let home = Home::new();
    let (mut serving, address, mut log) = serve(&home, "ulimit -n 50; ");
    let crowd: Vec<_> = (0..50).map(|_| TcpStream::connect(&address).unwrap()).collect();
    wait_for(&mut log, "raise the limit of open files");
    drop(crowd);
    let mut connection = TcpStream::connect(&address).unwrap();
    write!(connection, "GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(serving.signal("-TERM"), Some(0));
}

#[test]
fn the_second_signal_ends_it_while_a_request_is_under_way() {
    let home = Home::new();
    let (mut serving, address, mut log) = serve(&home, "");
    let mut connection = TcpStream::connect(&address).unwrap();
    // A request whose body never comes to its end: the server asks for it, so that it has begun.
    let head =
        "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n";
    write!(connection, "{head}Host: {address}\r\nContent-Length: 20000\r\n\r\n").unwrap();
    let mut interim = [0; 12];
    connection.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100");
    connection.write_all(&[b'a'; 16_384]).unwrap(); // Whoever has sent much is waited for the longer.
    serving.tell("-TERM");
    wait_for(&mut log, "stopping: no more connections are taken");
    serving.tell("-TERM");
    wait_for(&mut log, "stopped at once, at the second signal");
    assert_eq!(serving.ended(), Some(0));
}
