//! Records what an MCP client and a server say to each other, in the format of `protocol::transcript`: between the two
//! over HTTP (`proxy`) or on stdin and stdout (`wrapper`).
//!
//! Messages pass on untouched and at once; a thread of its own redacts and writes what is noted of them, one line each.

pub mod proxy;
pub mod redact;
mod signs;
pub mod wrapper;

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

use self::redact::Redactor;
use crate::clock::{self, Time};
use crate::error::{Error, Result};
use crate::protocol::transcript::{
    Endpoint, From, HEADERS, Header, Http, Line, MAX_LINE_BYTES, MAX_LINES, Transport, VERSION, client_of,
    left_out, line_of,
};
use crate::protocol::wire::ClientInfo;

/// Lines held back until the client says who it is, for that stands in the first line; and how long at most, for whoever
/// is killed leaves what was written. A reader finds the client in its messages then.
const MAX_HELD: usize = 1_000;
const HOLD: Duration = Duration::from_millis(250);

/// What to record, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file to make; it must not exist.
    pub out: PathBuf,
    /// What the messages go over.
    pub transport: Transport,
    /// The endpoint is the read-only one. Over HTTP a path with `readonly` in it says so too.
    pub readonly: bool,
    /// When it begins.
    pub began: Time,
    /// What happens in it, for people.
    pub about: Option<String>,
    /// Leave e-mail addresses and phone numbers as they are.
    pub keep_contacts: bool,
    /// Over HTTP, the server's URL: what of it may be a key is taken out.
    pub url: Option<String>,
}

/// Notes messages; cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    notes: mpsc::Sender<Option<Note>>,
    start: Instant,
}

/// A recording under way.
pub struct Recording {
    recorder: Recorder,
    writer: JoinHandle<io::Result<usize>>,
    out: PathBuf,
}

/// One thing that was said.
struct Note {
    at_ms: u64,
    from: From,
    exchange: Option<u64>,
    head: Option<Head>,
    body: Bytes,
}

/// What HTTP says around it.
#[derive(Default)]
struct Head {
    method: Option<String>,
    path: Option<String>,
    status: Option<u16>,
    headers: HeaderMap,
}

impl Recording {
    /// Begins a recording.
    ///
    /// # Errors
    /// `Invalid` when the file exists or cannot be made.
    pub fn begin(options: Options) -> Result<Recording> {
        let file = create(&options.out)?;
        let out = options.out.clone();
        let (notes, received) = mpsc::channel();
        let writer = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || Writer::new(file, options).run(&received))
            .map_err(Error::internal)?;
        Ok(Recording { recorder: Recorder { notes, start: clock::instant() }, writer, out })
    }

    /// What notes messages for this recording.
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Ends the recording: how many messages are in the file. Where nothing was said there is no file.
    ///
    /// # Errors
    /// When the file could not be written to the end.
    pub fn finish(self) -> Result<usize> {
        let _ = self.recorder.notes.send(None);
        let written = self.writer.join().map_err(|_| Error::internal("the recorder's thread panicked"))?;
        let what = format!("{} could not be written to the end.", self.out.display());
        let written = written.map_err(|e| Error::invalid(what).because(e))?;
        if written == 0 && std::fs::metadata(&self.out).is_ok_and(|file| file.is_file() && file.len() == 0) {
            let _ = std::fs::remove_file(&self.out);
        }
        Ok(written)
    }
}

/// A new file that its owner alone may read: a recording may hold what redaction does not know.
fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| {
        let why = match e.kind() {
            io::ErrorKind::AlreadyExists => "it exists; name another file".to_owned(),
            io::ErrorKind::NotFound => "its folder is not there".to_owned(),
            _ => e.to_string(),
        };
        Error::invalid(format!("{} cannot be made: {why}.", path.display())).because(e)
    })
}

impl Recorder {
    fn note(&self, from: From, exchange: Option<u64>, head: Option<Head>, body: Bytes) {
        let at_ms = u64::try_from(clock::since(self.start).as_millis()).unwrap_or(u64::MAX);
        // The writer goes only when the file fails, which the end of the recording tells.
        let _ = self.notes.send(Some(Note { at_ms, from, exchange, head, body }));
    }
}

struct Writer {
    file: File,
    redactor: Redactor,
    /// Until it is written, the first line without its client.
    header: Option<Header>,
    held: Vec<Line>,
    written: usize,
    /// There was more to write than a reader takes.
    is_full: bool,
}

impl Writer {
    fn new(file: File, options: Options) -> Writer {
        let endpoint = if options.readonly { Endpoint::Readonly } else { Endpoint::Full };
        let (transport, recorded_at, about) = (options.transport, Some(options.began), options.about);
        let client = ClientInfo::default();
        let header = Header { transcript: VERSION, client, transport, endpoint, recorded_at, about };
        let mut redactor = Redactor::new(options.keep_contacts);
        if let Some(url) = &options.url {
            redactor.learn_url(url);
        }
        Writer { file, redactor, header: Some(header), held: Vec::new(), written: 0, is_full: false }
    }

    fn run(mut self, notes: &mpsc::Receiver<Option<Note>>) -> io::Result<usize> {
        loop {
            let note = match self.held.is_empty() {
                true => notes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                false => notes.recv_timeout(HOLD),
            };
            match note {
                Ok(Some(note)) => self.take(note)?,
                Err(RecvTimeoutError::Timeout) => self.introduce(None)?,
                Ok(None) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if !self.held.is_empty() {
            self.introduce(None)?;
        }
        Ok(self.written)
    }

    fn take(&mut self, note: Note) -> io::Result<()> {
        let line = self.line(note);
        let Some(header) = &mut self.header else { return self.write(&line) };
        let path = line.http.as_ref().and_then(|http| http.path.as_deref()).unwrap_or_default();
        if path.contains("readonly") {
            header.endpoint = Endpoint::Readonly;
        }
        let client = line.message.as_ref().filter(|_| line.from == From::Client).and_then(client_of);
        self.held.push(line);
        match client.is_some() || self.held.len() >= MAX_HELD {
            true => self.introduce(client),
            false => Ok(()),
        }
    }

    /// Writes the first line, if it is not, and what was held back for it.
    fn introduce(&mut self, client: Option<ClientInfo>) -> io::Result<()> {
        let Some(mut header) = self.header.take() else { return Ok(()) };
        header.client = client.unwrap_or_default();
        self.file.write_all(line_of(&header).as_bytes())?;
        std::mem::take(&mut self.held).iter().try_for_each(|line| self.write(line))
    }

    /// Writes what a reader takes: of a longer message only that it was there, and of more lines none.
    fn write(&mut self, line: &Line) -> io::Result<()> {
        if self.written >= MAX_LINES {
            self.overflow();
            return Ok(());
        }
        self.written += 1;
        let text = line_of(line);
        if text.len() <= MAX_LINE_BYTES {
            return self.file.write_all(text.as_bytes());
        }
        let bytes = line.message.as_ref().map_or(0, |message| message.to_string().len());
        let short = Line { message: Some(left_out(bytes)), http: line.http.clone(), ..*line };
        self.file.write_all(line_of(&short).as_bytes())
    }

    /// Says once on stderr that nothing more is noted.
    fn overflow(&mut self) {
        if !std::mem::replace(&mut self.is_full, true) {
            let text = format!(
                "chaterimo: The recording has {MAX_LINES} messages, the most that can be read again; what follows is \
                 passed on and not noted.\n"
            );
            // Where stderr is gone there is nobody left to tell.
            let _ = io::stderr().write_all(text.as_bytes());
        }
    }

    fn line(&mut self, note: Note) -> Line {
        let is_form = note.head.as_ref().is_some_and(|head| {
            let kind = head.headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
            kind.starts_with(b"application/x-www-form-urlencoded")
        });
        let http = note.head.map(|head| self.http(head));
        let message = self.redactor.message(&note.body, is_form);
        Line { at_ms: note.at_ms, from: note.from, exchange: note.exchange, http, message }
    }

    fn http(&mut self, head: Head) -> Http {
        self.redactor.learn_headers(&head.headers);
        if head.method.is_some() {
            self.redactor.learn_keys(&head.headers);
        }
        let mut http = Http { method: head.method, status: head.status, ..Http::default() };
        for name in HEADERS {
            let Some(value) = head.headers.get(name) else { continue };
            let value = String::from_utf8_lossy(value.as_bytes());
            let shown = match name {
                "mcp-session-id" => self.redactor.learn("session", &value),
                _ => self.redactor.address(&value),
            };
            http.headers.insert(name.to_owned(), shown);
        }
        http.path = head.path.map(|path| self.redactor.path(&path));
        http
    }
}

#[cfg(test)]
mod tests;
