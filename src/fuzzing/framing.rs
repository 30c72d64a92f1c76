//! Lines and server-sent events, each beside a naive reading of the whole stream.

use crate::error::Error;
use crate::protocol::framing::lines::{Frame, Lines};
use crate::protocol::framing::sse::{self, Event, HEARTBEAT, Parser};

/// Any bytes as a stream, of which the first byte chooses the limit and the second the size of the pieces it comes in:
/// lines and events are the same however it is cut; what is above the limit is told once and takes nothing else with
/// it; what is written is read back.
pub fn framing(bytes: &[u8]) {
    let [limit, size, stream @ ..] = bytes else { return };
    let (limit, size) = (8 * usize::from(*limit), 1 + usize::from(size % 32));
    lines(stream, limit, size);
    events(stream, limit, size);
    written(&String::from_utf8_lossy(stream), size);
}

fn lines(stream: &[u8], limit: usize, size: usize) {
    let expected: Vec<Option<&[u8]>> =
        stream.split(|&byte| byte == b'\n').filter_map(|l| line(l, limit)).collect();
    for size in [size, stream.len().max(1)] {
        let frames = frames(stream, limit, size);
        let read: Vec<Option<&[u8]>> = frames.iter().map(|frame| frame.as_deref().ok()).collect();
        assert_eq!(read, expected, "in pieces of {size}");
        assert!(frames.iter().all(|frame| frame.as_ref().map_or_else(|told| told.status == 413, |_| true)));
    }
    let good: Vec<&[u8]> = expected.into_iter().flatten().collect();
    let again: Vec<u8> = good.iter().flat_map(|line| [line, b"\r\n".as_slice()].concat()).collect();
    let again = frames(&again, limit + 1, size);
    assert_eq!(again.iter().flatten().collect::<Vec<_>>(), good, "what was read, written as lines");
}

fn frames(stream: &[u8], limit: usize, size: usize) -> Vec<Frame> {
    let mut lines = Lines::new(limit);
    let mut frames: Vec<_> = stream.chunks(size).flat_map(|piece| lines.feed(piece)).collect();
    frames.extend(lines.end());
    frames
}

/// What a line comes to: nothing when it is blank, `Some(None)` when it is too long.
fn line(line: &[u8], limit: usize) -> Option<Option<&[u8]>> {
    if line.len() > limit {
        return Some(None);
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    (!line.trim_ascii().is_empty()).then_some(Some(line))
}

fn events(stream: &[u8], limit: usize, size: usize) {
    let expected = every_event(stream);
    assert_eq!(good(parsed(stream, usize::MAX, size)), expected, "without a limit");
    let limited = parsed(stream, limit, size);
    let told = limited.iter().filter(|event| event.is_err()).count();
    let limited = good(limited);
    assert_eq!(limited, good(parsed(stream, limit, stream.len().max(1))), "in pieces of {size}");
    let mut all = expected.iter();
    assert!(limited.iter().all(|event| all.any(|other| other == event)), "events keep their order");
    assert!(expected.len() - limited.len() <= told, "an event was lost and nobody told");
    let bytes =
        |event: &Event| event.event.len() + event.id.as_ref().map_or(0, String::len) + event.data.len();
    // What is no UTF-8 becomes a character of three bytes.
    assert!(limited.iter().all(|event| bytes(event) <= 3 * limit));
}

fn parsed(stream: &[u8], limit: usize, size: usize) -> Vec<Result<Event, Error>> {
    let mut parser = Parser::new(limit);
    stream.chunks(size).flat_map(|piece| parser.feed(piece)).collect()
}

fn good(events: Vec<Result<Event, Error>>) -> Vec<Event> {
    events.into_iter().flatten().collect()
}

/// The events of a whole stream, read as the standard's text has it.
fn every_event(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.pop(); // Behind the last line feed is no line.
    let mut blocks: Vec<&[&str]> = lines.split(|line| line.is_empty()).collect();
    blocks.pop(); // Nor is an event without an empty line behind it.
    blocks.into_iter().filter_map(event).collect()
}

fn event(block: &[&str]) -> Option<Event> {
    let values = |wanted: &str| {
        let fields = block.iter().map(|line| line.split_once(':').unwrap_or((line, "")));
        let named = fields
            .filter(|(name, _)| *name == wanted)
            .map(|(_, value)| value.strip_prefix(' ').unwrap_or(value));
        named.collect::<Vec<_>>()
    };
    let data = values("data");
    (!data.is_empty()).then(|| Event {
        event: values("event").last().copied().unwrap_or_default().to_owned(),
        id: values("id").iter().rfind(|id| !id.contains('\0')).map(|&id| id.to_owned()),
        data: data.join("\n"),
    })
}

/// Two events with a heartbeat between them, of any text.
fn written(text: &str, size: usize) {
    let id: String = text.chars().take(9).collect();
    let mut stream = Vec::new();
    sse::write(&mut stream, Some(&id), text);
    stream.extend_from_slice(HEARTBEAT);
    sse::write(&mut stream, None, "{}");
    let event = |id: Option<String>, data: String| Event { event: "message".to_owned(), id, data };
    let first =
        event(Some(id.replace(['\r', '\n', '\0'], "")), text.replace("\r\n", "\n").replace('\r', "\n"));
    assert_eq!(good(parsed(&stream, usize::MAX, size)), [first, event(None, "{}".to_owned())]);
}
