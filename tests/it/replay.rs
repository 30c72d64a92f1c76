//! What the real Claude Code was recorded to say, said again to the engine, through a pipe and over HTTP: it is
//! answered the same. `tests/clients/record` makes the recordings; the README beside them says of what.
//!
//! Each is replayed on a copy of the demo as it was filled for the recordings, at the time of each message. So rows are
//! compared by value, and what is left aside is what `transcript::compare` names.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chaterimo::access::{Endpoint, reach};
use chaterimo::app::{self, App, Caller};
use chaterimo::clock::{Clock, Time, instant};
use chaterimo::demo;
use chaterimo::http::Limits;
use chaterimo::keyring::KEYRING_FILE;
use chaterimo::protocol::transcript::compare::{Rows, differences};
use chaterimo::protocol::transcript::{From, Http, Transcript, Transport};
use chaterimo::protocol::{Incoming, McpHeaders, Session, Step, rpc};
use chaterimo::stdio;
use chaterimo::store::DATABASE_FILE;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::*;

/// The worked examples, by the names of their recordings; each must fit into the Free plan's calls of a day.
const EXAMPLES: [&str; 5] =
    ["rank-chatbots", "mentions-return", "rewrite-instructions", "switch-model", "top-tickets"];
const CALLS_MAX: usize = 5;
/// What else must be there.
const OTHERS: [&str; 12] = [
    "http-full-connect",
    "http-readonly-connect",
    "stdio-full-connect",
    "stdio-reader-connect",
    "http-readonly-unlisted-write",
    "http-full-refused-write",
    "http-free-quota",
    "stdio-free-quota",
    "http-full-mistakes",
    "stdio-full-mistakes",
    "http-full-restart",
    "http-full-legacy-restart",
];

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol-fixtures/transcripts")
}

/// A recording, and what its name says.
struct Recording {
    name: String,
    /// Whose key, at which endpoint: `full`, `readonly`, `reader` or `free`.
    access: String,
    what: String,
    transcript: Transcript,
}

/// One message of the client, and what the server said to it.
struct Said<'a> {
    at: Time,
    http: Option<&'a Http>,
    message: &'a Value,
    /// On HTTP.
    status: Option<u16>,
    answer: Option<&'a Value>,
}

impl Recording {
    fn all() -> Vec<Recording> {
        let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
        paths.sort();
        paths.iter().map(|path| Recording::read(path)).collect()
    }

    fn read(path: &Path) -> Recording {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let [_, access, what] = name.splitn(3, '-').collect::<Vec<_>>()[..] else { panic!("{name}") };
        let (access, what) = (access.to_owned(), what.to_owned());
        Recording {
            transcript: Transcript::parse(&fs::read_to_string(path).unwrap()).unwrap(),
            name,
            access,
            what,
        }
    }

    fn said(&self) -> Vec<Said<'_>> {
        let began = self.transcript.header.recorded_at.unwrap();
        let lines = &self.transcript.lines;
        let is_http = self.transcript.header.transport == Transport::Http;
        let mut said = Vec::new();
        for (place, line) in lines.iter().enumerate().filter(|(_, line)| line.from == From::Client) {
            // A GET opens a stream on which nothing comes: the tests of HTTP hold it.
            let Some(message) = &line.message else { continue };
            let id = message.get("id");
            let answers = |line: &&chaterimo::protocol::transcript::Line, exchange: Option<u64>| {
                line.from == From::Server
                    && match is_http {
                        true => line.exchange == exchange,
                        false => line.message.as_ref().is_some_and(|message| is_for(message, id)),
                    }
            };
            let answer = lines[place..].iter().find(|next| answers(next, line.exchange));
            said.push(Said {
                at: began.plus(i64::try_from(line.at_ms).unwrap()),
                http: line.http.as_ref(),
                message,
                status: answer.and_then(|answer| answer.http.as_ref()).and_then(|http| http.status),
                answer: answer.and_then(|answer| answer.message.as_ref()),
            });
        }
        said
    }

    fn calls(&self) -> usize {
        self.said().iter().filter(|said| said.is_call()).count()
    }

    /// Before the second call of these recordings the server was started anew, as the operator set it.
    fn restarts(&self) -> Option<bool> {
        let read_only = self.what.ends_with("refused-write");
        (read_only || self.what.ends_with("restart")).then_some(read_only)
    }

    fn path(&self) -> &'static str {
        if self.access == "readonly" { "/mcp-readonly/" } else { "/mcp/" }
    }

    fn endpoint(&self) -> Endpoint {
        if self.access == "readonly" { Endpoint::ReadOnly } else { Endpoint::Full }
    }

    /// A pipe has no read-only endpoint, and a handshake does not outlive its process.
    fn fits_a_pipe(&self) -> bool {
        self.access != "readonly" && self.restarts().is_none()
    }
}

impl Said<'_> {
    fn is_call(&self) -> bool {
        self.message["method"] == "tools/call"
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.http.and_then(|http| http.headers.get(name)).map(String::as_str)
    }

    /// The headers as they were sent; of a message that came on stdio, those that repeat its body.
    fn fields(&self, session: Option<&str>) -> String {
        let meta = &self.message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        let mut fields = JSON.to_owned();
        let mut add = |name: &str, value: Option<&str>| {
            fields.extend(value.map(|value| format!("{name}: {value}\r\n")));
        };
        match self.http {
            Some(_) => {
                for name in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
                    add(name, self.header(name));
                }
                add("mcp-session-id", self.header("mcp-session-id").and(session));
            }
            None if meta.is_string() => {
                add("mcp-protocol-version", meta.as_str());
                add("mcp-method", self.message["method"].as_str());
                add("mcp-name", self.message["params"]["name"].as_str());
            }
            None => add("mcp-session-id", session),
        }
        fields
    }
}

/// The demo as it was filled for the recordings, trained as the server trains it when it starts.
pub struct Demo {
    folder: TempDir,
    pub keys: demo::Keys,
}

impl Demo {
    /// Filled at the time in the `store.json` of `recordings`.
    pub fn fill(recordings: &Path) -> Demo {
        let folder = tempfile::tempdir().unwrap();
        let store: Value =
            serde_json::from_str(&fs::read_to_string(recordings.join("store.json")).unwrap()).unwrap();
        let filled_at = Time::parse(store["filled_at"].as_str().unwrap()).unwrap();
        let app = App::open(folder.path(), Clock::manual(filled_at), false, Vec::new()).unwrap();
        let keys = demo::prepare(&app.store, filled_at).unwrap();
        app.start_training();
        let database = Connection::open(app.store.path()).unwrap();
        let waiting = "SELECT count(*) FROM training_job WHERE status IN ('queued', 'running')";
        while database.query_row(waiting, [], |row| row.get::<_, i64>(0)).unwrap() > 0 {
            std::thread::yield_now();
        }
        app.stop_training();
        app.store.checkpoint().unwrap();
        Demo { folder, keys }
    }

    pub fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        for file in [DATABASE_FILE, KEYRING_FILE] {
            fs::copy(self.folder.path().join(file), copy.path().join(file)).unwrap();
        }
        copy
    }

    fn key(&self, recording: &Recording) -> &str {
        match recording.access.as_str() {
            "reader" => &self.keys.readonly_api_key,
            "free" => &self.keys.free_api_key,
            _ => &self.keys.api_key,
        }
    }
}

/// One replay: a copy of the demo, a clock that is set to the time of each message, and what differed.
struct Replay<'a> {
    way: &'static str,
    recording: &'a Recording,
    key: &'a str,
    data: TempDir,
    clock: Clock,
    found: Vec<String>,
}

impl<'a> Replay<'a> {
    fn of(way: &'static str, recording: &'a Recording, demo: &'a Demo) -> Replay<'a> {
        let clock = Clock::manual(recording.transcript.header.recorded_at.unwrap());
        Replay { way, recording, key: demo.key(recording), data: demo.copy(), clock, found: Vec::new() }
    }

    fn app(&self, read_only: bool) -> App {
        App::open(self.data.path(), self.clock.clone(), read_only, Vec::new()).unwrap()
    }

    /// Whether the server was started anew before this message, and then whether as one that only reads.
    fn restart(&self, calls: &mut usize, said: &Said<'_>) -> Option<bool> {
        *calls += usize::from(said.is_call());
        self.recording.restarts().filter(|_| said.is_call() && *calls == 2)
    }

    fn compare(&mut self, said: &Said<'_>, got: Option<&Value>) {
        let place = format!("{} {} id {}", self.way, self.recording.name, said.message["id"]);
        match (said.answer, got) {
            (None, None) => {}
            (Some(expected), Some(got)) => {
                let found = differences(expected, got, Rows::Same);
                self.found.extend(found.iter().map(|difference| format!("{place}: {difference}")));
            }
            (expected, got) => self.found.push(format!("{place}: {expected:?} became {got:?}")),
        }
    }

    fn through_engine(mut self) -> Vec<String> {
        let (mut app, mut session, mut calls) = (self.app(false), Session::default(), 0);
        for said in self.recording.said() {
            set(&self.clock, said.at);
            if let Some(read_only) = self.restart(&mut calls, &said) {
                app = self.app(read_only);
            }
            let answer = self.engine_says(&app, &mut session, &said);
            self.compare(&said, answer.as_ref());
        }
        self.found
    }

    fn engine_says(&self, app: &App, session: &mut Session, said: &Said<'_>) -> Option<Value> {
        let grant = app.authenticate(self.key).unwrap().unwrap();
        let signals = app.signals(&grant, self.recording.endpoint(), false);
        let headers = McpHeaders {
            protocol_version: said.header("mcp-protocol-version"),
            method: said.header("mcp-method"),
            name: said.header("mcp-name"),
            params: &[],
        };
        let Ok(Incoming::One(message)) = rpc::parse(said.message.to_string().as_bytes()) else {
            panic!("{}", said.message)
        };
        let response =
            match app.engine.handle(session, app::view(reach(signals)), said.http.map(|_| &headers), message)
            {
                Step::Reply(response) => response,
                Step::Call(call) => {
                    let caller = Caller { grant: &grant, signals, transport: "stdio", arrived: instant() };
                    app.call(&caller, call).at_once().response
                }
                Step::Listen(listen) => return Some(read(&listen.acknowledge().unwrap())),
                _ => return None,
            };
        Some(read(&response.body))
    }

    fn through_pipe(mut self) -> Vec<String> {
        let app = self.app(false);
        let said = self.recording.said();
        let mut output = Vec::new();
        let input = Typed { said: said.iter(), clock: &self.clock, line: io::Cursor::default() };
        stdio::run(&app, self.key, input, &mut output).unwrap();
        let answers: Vec<Value> = output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        for said in &said {
            let id = said.message.get("id");
            let answer = answers.iter().find(|answer| is_for(answer, id));
            self.compare(said, answer);
        }
        self.found
    }

    fn over_http(mut self) -> Vec<String> {
        let serve = |app: App| Server::of(Arc::new(app), Limits::default(), &[]);
        let (mut server, mut session, mut calls) = (serve(self.app(false)), None::<String>, 0);
        for said in self.recording.said() {
            set(&self.clock, said.at);
            if let Some(read_only) = self.restart(&mut calls, &said) {
                server.signal();
                server.wait();
                server = serve(self.app(read_only));
            }
            let fields = format!("Authorization: Bearer {}\r\n{}", self.key, said.fields(session.as_deref()));
            let request = post(self.recording.path(), &fields, &said.message.to_string());
            let reply = ask(&server, &request);
            if let Some(opened) = reply.field("mcp-session-id") {
                session = Some(opened.to_owned());
            }
            if said.status.is_some_and(|status| status != reply.status) {
                self.found.push(format!("{}: {:?} became {reply:?}", self.recording.name, said.status));
            }
            self.compare(&said, serde_json::from_str(&reply.body).ok().as_ref());
        }
        server.signal();
        server.wait();
        self.found
    }
}

/// Whether a message is for the request with this id: its answer, or the first of its stream.
fn is_for(message: &Value, id: Option<&Value>) -> bool {
    let stream = &message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
    id.is_some_and(|id| message.get("id") == Some(id) || stream == id)
}

fn read(message: &[u8]) -> Value {
    serde_json::from_slice(message).unwrap()
}

/// What comes back for a request; of a stream that a POST opens, its first message is the body.
pub fn ask(server: &Server, request: &str) -> Reply {
    let mut stream = server.connect();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = Reply::read(&mut stream);
    if request.starts_with("POST") && reply.field("content-type") == Some("text/event-stream") {
        let mut lines = io::BufReader::new(stream).lines().map(Result::unwrap);
        reply.body = lines.find_map(|line| Some(line.strip_prefix("data: ")?.to_owned())).unwrap();
    }
    reply
}

/// The client's side of a pipe: a line at a time, each at its time.
struct Typed<'a> {
    said: std::slice::Iter<'a, Said<'a>>,
    clock: &'a Clock,
    line: io::Cursor<Vec<u8>>,
}

impl Read for Typed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.line.position() == self.line.get_ref().len() as u64
            && let Some(said) = self.said.next()
        {
            set(self.clock, said.at);
            self.line = io::Cursor::new(format!("{}\n", said.message).into_bytes());
        }
        self.line.read(buffer)
    }
}

/// Sets the clock, to earlier or later.
pub fn set(clock: &Clock, at: Time) {
    clock.advance(at.0 - clock.now().0);
}

#[test]
fn real_clients_are_answered_as_they_were() {
    let demo = Demo::fill(&folder());
    let mut found = Vec::new();
    for recording in &Recording::all() {
        found.extend(Replay::of("engine", recording, &demo).through_engine());
        found.extend(Replay::of("http", recording, &demo).over_http());
        if recording.fits_a_pipe() {
            found.extend(Replay::of("pipe", recording, &demo).through_pipe());
        }
    }
    assert!(
        found.is_empty(),
        "{} differences, of which:\n{}",
        found.len(),
        found[..found.len().min(20)].join("\n")
    );
}

#[test]
fn every_case_was_recorded_and_the_examples_fit_the_free_plan() {
    let recordings = Recording::all();
    let names: BTreeSet<&str> = recordings.iter().map(|recording| recording.name.as_str()).collect();
    let examples = ["http", "stdio"].iter().flat_map(|way| EXAMPLES.map(|what| format!("{way}-full-{what}")));
    for name in examples.chain(OTHERS.map(str::to_owned)) {
        assert!(names.contains(name.as_str()), "{name} is missing: tests/clients/record makes it");
    }
    for recording in &recordings {
        let header = &recording.transcript.header;
        assert_eq!(header.client.name, "claude-code", "{}", recording.name);
        assert_eq!(
            header.transport == Transport::Http,
            recording.name.starts_with("http-"),
            "{}",
            recording.name
        );
        if EXAMPLES.iter().any(|example| recording.what.ends_with(example)) {
            assert!(
                (1..=CALLS_MAX).contains(&recording.calls()),
                "{}: {} calls",
                recording.name,
                recording.calls()
            );
            let refused = recording
                .said()
                .iter()
                .any(|said| said.answer.is_some_and(|answer| answer["result"]["isError"] == true));
            assert!(!refused, "{}", recording.name);
        }
    }
}
