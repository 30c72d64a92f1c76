//! Reads server-sent events (WHATWG HTML, "Server-sent events") out of bytes in whatever pieces they come.

use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty stands for `message`.
    pub name: String,
    /// Its data lines, joined by newlines. An event without data is still given when it has an `id` or `retry`.
    pub data: Vec<u8>,
    /// Where to go on after a break, if the event says.
    pub id: Option<String>,
    /// How long to wait before going on, if the event says.
    pub retry: Option<Duration>,
}

/// A stream of events being read.
#[derive(Debug)]
pub struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    after_return: bool,
    max_bytes: usize,
}

impl Parser {
    /// A parser for the start of a stream whose events have at most `max_bytes` each.
    pub fn new(max_bytes: usize) -> Parser {
        Parser { line: Vec::new(), event: Event::default(), has_data: false, after_return: false, max_bytes }
    }

    /// The events that `bytes` complete.
    ///
    /// # Errors
    /// `TooLarge` for an event of more than `max_bytes`, after which the stream cannot be read on.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        if self.after_return && !bytes.is_empty() {
            self.after_return = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            self.keep(line)?;
            events.extend(self.end_line());
            self.after_return = rest == b"\r";
            bytes = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
        }
        self.keep(bytes)?;
        Ok(events)
    }

    fn keep(&mut self, piece: &[u8]) -> Result<()> {
        if self.line.len() + piece.len() + self.event.data.len() > self.max_bytes {
            let public = format!("An event of the stream is larger than {} bytes.", self.max_bytes);
            return Err(Error::new(Kind::TooLarge, public));
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
        if line.is_empty() {
            return self.end_event();
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        self.field(&line[..colon], value.strip_prefix(b" ").unwrap_or(value));
        None
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if self.has_data {
                    self.event.data.push(b'\n');
                }
                self.has_data = true;
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = text(),
            b"id" if !value.contains(&0) => self.event.id = Some(text()),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = text().parse().ok().map(Duration::from_millis);
            }
            _ => {}
        }
    }

    fn end_event(&mut self) -> Option<Event> {
        self.has_data = false;
        let event = std::mem::take(&mut self.event);
        (!event.data.is_empty() || event.id.is_some() || event.retry.is_some()).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the pieces, `stream` holds these data.
    fn check(stream: &str, expected: &[&str]) {
        for size in 1..=stream.len() {
            let mut parser = Parser::new(100);
            let pieces = stream.as_bytes().chunks(size);
            let events: Vec<Event> = pieces.flat_map(|piece| parser.push(piece).unwrap()).collect();
            let data: Vec<_> = events.iter().map(|event| String::from_utf8_lossy(&event.data)).collect();
            assert_eq!(data, expected, "{stream:?} in pieces of {size}");
        }
    }

    #[test]
    fn reads_events_in_any_pieces_and_with_any_line_ends() {
        check("data: one\n\ndata: two\n\n", &["one", "two"]);
        check("data: one\r\n\r\ndata: two\r\n\r\n", &["one", "two"]);
        check("data: one\r\rdata: two\r\r", &["one", "two"]);
        check("\u{feff}data:one\n\n", &["one"]);
        check(": keep-alive\n\ndata: a\ndata: b\n\n:\n\n", &["a\nb"]);
        check("data\n\n", &[]);
        check("data: unfinished\n", &[]);
        check("event: message\ndata: {\"a\": 1}\n\n", &["{\"a\": 1}"]);
    }

    #[test]
    fn keeps_id_name_and_retry() {
        let events = Parser::new(100)
            .push(b"id: 7\nretry: 250\ndata:\n\nevent: ping\ndata: x\nretry: soon\n\n")
            .unwrap();
        let retry = Some(Duration::from_millis(250));
        assert_eq!(events[0], Event { id: Some("7".into()), retry, ..Event::default() });
        assert_eq!(events[1], Event { name: "ping".into(), data: b"x".into(), ..Event::default() });
    }

    #[test]
    fn refuses_what_is_too_long() {
        let check = |stream: &str| {
            let error = Parser::new(8).push(stream.as_bytes()).unwrap_err();
            assert_eq!(error.kind, Kind::TooLarge, "{stream:?}");
        };
        check("123456789");
        check("data: 3456789\n\n");
        check("data: 1\ndata: 1\ndata: 1\n");
    }
}
