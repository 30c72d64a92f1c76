//! A replay on stdin and stdout: one message a line.

use std::io::{ErrorKind, Read, Write};

use serde_json::{Value, json};

use super::player::{Form, Player};
use crate::error::{Error, Result};
use crate::protocol::framing::lines::{Frame, Lines};
use crate::protocol::revision::Revision;
use crate::protocol::rpc::{INTERNAL_ERROR, PARSE_ERROR, is_request};
use crate::protocol::transcript::{MAX_LINE_BYTES, Transcript, Transport};

/// Plays `transcript` to whoever writes on `input`, until it ends. `tell` hears what the client says that the recording has
/// not. Gives what [`Player::outcome`] has at the end.
///
/// # Errors
/// `Internal` when `input` cannot be read or `output` cannot be written.
pub fn run(
    transcript: &Transcript,
    strict: bool,
    mut input: impl Read,
    output: impl Write,
    tell: impl Fn(&str),
) -> Result<(usize, Vec<String>)> {
    let player = Player::new(transcript, strict);
    let to = player.revision();
    let mut pipe = Pipe { player, to, output, listens: false };
    if transcript.header.transport == Transport::Stdio && !to.is_modern() {
        pipe.listen();
    }
    let mut lines = Lines::new(MAX_LINE_BYTES);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::internal(error)),
        };
        for frame in lines.feed(&chunk[..length]) {
            pipe.frame(frame)?;
        }
        pipe.player.news().iter().for_each(|text| tell(text));
    }
    lines.end().map_or(Ok(()), |frame| pipe.frame(frame))?;
    pipe.player.news().iter().for_each(|text| tell(text));
    Ok(pipe.player.outcome())
}

struct Pipe<W> {
    player: Player,
    /// The revision of the session; a modern message names its own.
    to: Revision,
    output: W,
    /// The stream of the legacy era is open.
    listens: bool,
}

impl<W: Write> Pipe<W> {
    fn frame(&mut self, frame: Frame) -> Result<()> {
        let line = match frame {
            Ok(line) => line,
            Err(answer) => return self.write(&answer.body),
        };
        match serde_json::from_slice::<Value>(&line) {
            Ok(Value::Array(batch)) => batch.iter().try_for_each(|message| self.message(message)),
            Ok(message) => self.message(&message),
            Err(error) => {
                let text = format!("The line is no JSON: {error}.");
                let error = json!({"code": PARSE_ERROR, "message": text});
                self.put(&json!({"jsonrpc": "2.0", "error": error}))
            }
        }
    }

    fn message(&mut self, message: &Value) -> Result<()> {
        let named = self.player.revision_of(message);
        if let Some(revision) = named {
            self.to = revision;
        }
        let reply = self.player.say(message, self.to);
        if message["method"] == "notifications/initialized" {
            self.listen();
        }
        for (_, sent) in self.player.ready() {
            match sent {
                Some(sent) if sent.is_object() => self.put(&sent)?,
                // The recorded body was no message: whoever waits is told what it was.
                Some(Value::String(words)) => self.refuse(message, &words)?,
                Some(body) => self.refuse(message, &body.to_string())?,
                None => {}
            }
        }
        if is_request(message) && reply.form == Form::Empty && reply.status >= 400 {
            let words = format!("The recorded answer is HTTP {} without a body.", reply.status);
            self.refuse(message, &words)?;
        }
        Ok(())
    }

    fn refuse(&mut self, asked: &Value, words: &str) -> Result<()> {
        let error = json!({"code": INTERNAL_ERROR, "message": words});
        self.put(&json!({"jsonrpc": "2.0", "id": asked["id"], "error": error}))
    }

    fn listen(&mut self) {
        if !std::mem::replace(&mut self.listens, true) {
            self.player.listen(self.to);
        }
    }

    fn put(&mut self, message: &Value) -> Result<()> {
        self.write(message.to_string().as_bytes())
    }

    fn write(&mut self, message: &[u8]) -> Result<()> {
        let written = self.output.write_all(message).and_then(|()| self.output.write_all(b"\n"));
        written.and_then(|()| self.output.flush()).map_err(Error::internal)
    }
}
