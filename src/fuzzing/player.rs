//! Replays of recordings.

use std::collections::HashSet;

use serde_json::Value;

use crate::protocol::revision::Revision;
use crate::protocol::rpc::{is_request, is_response};
use crate::protocol::transcript::Transcript;
use crate::replay::pipe;
use crate::replay::player::{Form, Player, Reply, Sent};

/// Any recording, and after a blank line what a client says to a replay of it, a message a line: the same is played to the
/// same client; what answers a request has its id, and none is left without an answer unless a bare status was recorded;
/// nothing comes after the end of a stream; on stdio all that is written is messages.
pub fn player(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (recording, said) = text.split_once("\n\n").unwrap_or((&text, ""));
    let Ok(transcript) = Transcript::parse(recording) else { return };
    let messages: Vec<Value> = said
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(Value::is_object)
        .take(40)
        .collect();
    for strict in [false, true] {
        let heard = play(&transcript, strict, &messages);
        assert_eq!(heard, play(&transcript, strict, &messages));
        let mut written = Vec::new();
        pipe::run(&transcript, strict, said.as_bytes(), &mut written, |_| {}).unwrap();
        for line in String::from_utf8(written).unwrap().lines() {
            assert!(serde_json::from_str::<Value>(line).unwrap().is_object(), "{line}");
        }
    }
}

/// All that is sent to a client that says these messages.
fn play(transcript: &Transcript, strict: bool, messages: &[Value]) -> Vec<Vec<Sent>> {
    let mut player = Player::new(transcript, strict);
    let mut revision = player.revision();
    let (mut ended, mut told, mut all) = (HashSet::new(), 0, Vec::new());
    if !revision.is_modern() {
        player.listen(Revision::LAST_LEGACY);
    }
    for message in messages {
        revision = player.revision_of(message).unwrap_or(revision);
        let reply = player.say(message, revision);
        let sent = player.ready();
        assert_eq!(player.ready(), []);
        for (stream, message) in &sent {
            assert!(!ended.contains(stream), "{stream} went on after its end");
            message.is_none().then(|| ended.insert(*stream));
        }
        let own: Vec<_> = sent.iter().filter(|(stream, _)| Some(*stream) == reply.stream).collect();
        answers(message, &reply, own.iter().map(|(_, sent)| sent.as_ref()).collect(), strict);
        told += player.news().len();
        all.push(sent);
    }
    assert_eq!((player.news(), player.outcome().0), (Vec::new(), told));
    all
}

/// Whether what is sent at once, `None` for the end, is of the form that the reply announces, and answers `asked`.
fn answers(asked: &Value, reply: &Reply, sent: Vec<Option<&Value>>, strict: bool) {
    assert!((100..1_000).contains(&reply.status), "{reply:?}");
    match reply.form {
        Form::Empty => {
            assert!(sent.iter().all(Option::is_none), "{sent:?}");
            assert!(strict || !is_request(asked) || reply.status >= 400, "{asked}: {reply:?}");
        }
        Form::Whole => assert!(matches!(sent[..], [Some(_), None]), "{sent:?}"),
        Form::Events => assert!(reply.stream.is_some()),
    }
    for answer in sent.into_iter().flatten().filter(|sent| is_response(sent)) {
        let id = answer.get("id");
        assert!(id.is_none() || id == asked.get("id"), "{asked}: {answer}");
    }
}
