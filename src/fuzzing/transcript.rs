//! Recordings, and the comparison of what two of them say.

use serde_json::Value;

use crate::protocol::transcript::Transcript;
use crate::protocol::transcript::compare::{Of, Pointer, Rows, compare};

/// Any text: a transcript that is read is written and read back the same, and what cannot be read is told with its
/// line; a message does not differ from itself; whether two differ does not depend on which is the recorded one, but for
/// placeholders; what differs by shape differs by value; a difference is gone once its place is ignored.
pub fn transcript(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Transcript::parse(&text) {
        Ok(transcript) => {
            let written = transcript.to_text();
            assert_eq!(written.lines().count(), 1 + transcript.lines.len());
            assert_eq!(Transcript::parse(&written).as_ref().ok(), Some(&transcript));
            let messages: Vec<&Value> =
                transcript.lines.iter().filter_map(|line| line.message.as_ref()).take(40).collect();
            messages.iter().for_each(|message| is_itself(message));
            messages.windows(2).for_each(|two| both_ways(two[0], two[1]));
        }
        Err(error) => {
            let rest = error.public.strip_prefix("Line ");
            let line = rest.and_then(|rest| rest.split(':').next()?.split(' ').next()?.parse::<usize>().ok());
            let within = line.is_some_and(|line| (1..=text.lines().count()).contains(&line));
            assert!(within || error.public.starts_with("The transcript "), "{}", error.public);
        }
    }
}

const READERS: [Of; 4] = [Of::Ours(Rows::Same), Of::Ours(Rows::Other), Of::Any, Of::Client];

fn is_itself(message: &Value) {
    for of in READERS {
        assert_eq!(compare(message, message, of, &[]), []);
    }
}

fn both_ways(one: &Value, other: &Value) {
    let found = READERS.map(|of| compare(one, other, of, &[]));
    for (of, found) in READERS.into_iter().zip(&found) {
        let swapped = compare(other, one, of, &[]);
        // A placeholder of the recording stands for any text, what comes now for itself.
        let alike = found.is_empty() == swapped.is_empty();
        assert!(alike || has_bracket(one) || has_bracket(other), "{of:?}: {one} {other}");
        let places: Vec<_> = found.iter().filter_map(|found| Pointer::parse(&found.pointer).ok()).collect();
        let left = compare(one, other, of, &places);
        assert!(left.iter().all(|left| left.pointer.is_empty()), "{of:?}: {left:?}");
    }
    assert!(!found[0].is_empty() || found[1].is_empty(), "{one} {other}");
}

/// Whether a text in it may hold a placeholder.
fn has_bracket(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('['),
        Value::Array(items) => items.iter().any(has_bracket),
        Value::Object(members) => members.values().any(has_bracket),
        _ => false,
    }
}
