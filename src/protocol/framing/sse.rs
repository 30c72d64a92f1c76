//! Server-sent events: the framing of streams on HTTP (WHATWG HTML, "Server-sent events").

use crate::error::{Error, Kind};

/// One event of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty means `message`.
    pub event: String,
    /// The id to resume after, where the server gave one.
    pub id: Option<String>,
    /// Its data: one JSON-RPC message.
    pub data: String,
}

impl Event {
    /// Whether it has no other type than `message`.
    pub fn is_message(&self) -> bool {
        matches!(&*self.event, "" | "message")
    }
}

/// What keeps a quiet stream open: a comment, which clients skip, and by which proxies see that the stream lives.
pub const HEARTBEAT: &[u8] = b": \n\n";

/// Writes one event of type `message`. Line ends in `data` are kept, each kind as a line feed.
pub fn write(out: &mut Vec<u8>, id: Option<&str>, data: &str) {
    out.extend_from_slice(b"event: message\n");
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend(id.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
        out.push(b'\n');
    }
    for line in data.replace("\r\n", "\n").split(['\r', '\n']) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
}

/// Reads events as their bytes come. An event above the limit is an error once and skipped to its end.
#[derive(Debug)]
pub struct Parser {
    max_bytes: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right behind it ends no second line.
    after_return: bool,
    first_line: bool,
    /// The event at hand is above the limit and has been told of.
    skipping: bool,
    event: Event,
    /// Bytes of the event at hand so far.
    bytes: usize,
}

impl Parser {
    /// A parser for events of at most `max_bytes` bytes, field names included.
    pub fn new(max_bytes: usize) -> Parser {
        Parser {
            max_bytes,
            line: Vec::new(),
            after_return: false,
            first_line: true,
            skipping: false,
            event: Event::default(),
            bytes: 0,
        }
    }

    /// Takes the next bytes; gives the events that end in them. Comments, unknown fields and events without data give
    /// nothing; an event that its stream does not end is lost, as the standard wants it.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Result<Event, Error>> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\r' | b'\n')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\r' | b'\n'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            let pair = std::mem::take(&mut self.after_return) && text.is_empty() && end == Some(b'\n');
            if pair {
                continue;
            }
            events.extend(self.take(text).map(Err));
            if let Some(end) = end {
                self.after_return = end == b'\r';
                events.extend(self.end_line().map(Ok));
            }
        }
        events
    }

    fn take(&mut self, text: &[u8]) -> Option<Error> {
        if self.skipping {
            self.line.extend(text.first());
            self.line.truncate(1); // Enough to tell an empty line.
            return None;
        }
        self.bytes += text.len();
        if self.bytes > self.max_bytes {
            self.skipping = true;
            self.line = text.iter().take(1).copied().collect();
            self.event = Event::default();
            return Some(Error::new(
                Kind::TooLarge,
                format!("An event of the stream has more than {} bytes.", self.max_bytes),
            ));
        }
        self.line.extend_from_slice(text);
        None
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let is_first = std::mem::take(&mut self.first_line);
        if line.is_empty() {
            return self.end_event();
        }
        if line.first() == Some(&b':') && !self.skipping {
            self.bytes -= line.len(); // A quiet stream has comments for ever.
        } else if !self.skipping {
            let text = String::from_utf8_lossy(&line);
            // A byte order mark is one in front of the stream alone.
            let mark = if is_first { text.strip_prefix('\u{feff}') } else { None };
            field(&mut self.event, mark.unwrap_or(&text));
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        self.bytes = 0;
        let mut event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.skipping) || event.data.is_empty() {
            return None;
        }
        event.data.pop(); // Each line of data brought a line feed; the last is not part of it.
        Some(event)
    }
}

fn field(event: &mut Event, line: &str) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let value = value.strip_prefix(' ').unwrap_or(value);
    match name {
        "event" => event.event = value.to_owned(),
        "id" if !value.contains('\0') => event.id = Some(value.to_owned()),
        "data" => {
            event.data.push_str(value);
            event.data.push('\n');
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `type|id|data` of each event, `!` for an error; the same however the bytes are cut.
    fn check(stream: &str, expected: &[&str]) {
        let shown = |event: Result<Event, Error>| {
            event.map_or("!".into(), |e| format!("{}|{}|{}", e.event, e.id.unwrap_or_default(), e.data))
        };
        for size in [1, 2, 3, 1000] {
            let mut parser = Parser::new(40);
            let events = stream.as_bytes().chunks(size).flat_map(|chunk| parser.feed(chunk));
            assert_eq!(events.map(shown).collect::<Vec<_>>(), expected, "{stream:?} by {size}");
        }
    }

    #[test]
    fn reads_events() {
        check("data: a\n\n", &["||a"]);
        check("event: message\nid: 7\ndata: {}\n\n", &["message|7|{}"]);
        check("data:a\ndata: b\ndata\n\n", &["||a\nb\n"]);
        check("data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", &["||a", "||b", "||c"]);
        check("\u{feff}data: a\n\ndata:  b\n\n", &["||a", "|| b"]);
        check(": x\n\u{feff}data: a\n\n", &[]);
        check(": hello\n\n:\n\nretry: 10\nodd\n\ndata: a\n\n", &["||a"]);
        check(&format!("{}data: a\n\n", ": ping\n".repeat(20)), &["||a"]);
        check("id: 1\n\nevent: x\n\ndata: a\n\ndata: lost", &["||a"]);
        check("data\n\n", &["||"]);
    }

    #[test]
    fn skips_an_event_above_the_limit() {
        let long = "x".repeat(41);
        check(&format!("data: {long}\ndata: b\n\ndata: c\n\n"), &["!", "||c"]);
        check(&format!("data: {0}\ndata: {0}\n\ndata: c\n\n", "x".repeat(30)), &["!", "||c"]);
        check(&format!(":{long}\n\ndata: c\n\n"), &["!", "||c"]);
    }

    #[test]
    fn what_is_written_is_read() {
        let check = |id: Option<&str>, data: &str, expected: &str| {
            let mut bytes = Vec::new();
            write(&mut bytes, id, data);
            bytes.extend_from_slice(HEARTBEAT);
            let mut events = Parser::new(1000).feed(&bytes);
            assert_eq!(events.len(), 1);
            let event = events.remove(0).unwrap();
            assert_eq!(
                (event.event.as_str(), event.id.as_deref(), event.data.as_str()),
                ("message", id, expected)
            );
        };
        check(None, "{}", "{}");
        check(Some("a-1"), "a\r\nb\rc\n", "a\nb\nc\n");
        check(None, "", "");
    }
}
