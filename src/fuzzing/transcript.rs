//! Recordings, and the comparison of what two of them say.

use serde_json::Value;

use crate::protocol::transcript::Transcript;
use crate::protocol::transcript::compare::{Rows, differences};

/// Any text: a transcript that is read is written and read back the same, and what cannot be read is told with its
/// line; a message does not differ from itself; whether two differ does not depend on which is the recorded one, and
/// what differs by shape differs by value.
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

fn is_itself(message: &Value) {
    for rows in [Rows::Same, Rows::Other] {
        assert_eq!(differences(message, message, rows), Vec::<String>::new());
    }
}

fn both_ways(one: &Value, other: &Value) {
    let [by_value, by_shape] = [Rows::Same, Rows::Other].map(|rows| {
        let differ = !differences(one, other, rows).is_empty();
        assert_eq!(differ, !differences(other, one, rows).is_empty(), "{one} {other}");
        differ
    });
    assert!(by_value || !by_shape, "{one} {other}");
}
