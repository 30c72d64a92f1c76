//! On stdio: the server is a process of ours, each message a line.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::Stdio as Pipe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use super::exchange::{End, Exchange, Raw, Wait};
use super::replies::Replies;
use super::{MAX_MESSAGE, MAX_MESSAGES, Options};
use crate::clock;
use crate::error::{Error, Kind, Result, one_line};
use crate::protocol::framing::lines::Lines;
use crate::protocol::rpc::is_request;

/// Lines read ahead of whoever waits for them.
const MAX_UNREAD: usize = 1_000;
/// How long what a process printed before it ended is waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How much of stderr is kept, in bytes.
const MAX_STDERR: usize = 8 * 1024;
/// Lines of stderr that are shown of a process that died.
const LAST_LINES: usize = 5;
/// Characters that are shown of each.
const LINE_CHARS: usize = 300;
/// Lines without a message that are kept.
const MAX_STRAYS: usize = 20;

pub(super) struct Stdio {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<Vec<u8>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    patience: Duration,
    replies: Replies,
    /// The longest for the first answer.
    first: Duration,
    /// It has answered something, so it has started.
    has_spoken: bool,
    /// Messages that came while another was waited for.
    early: VecDeque<Value>,
    pub(super) strays: Vec<String>,
}

impl Stdio {
    pub(super) fn spawn(command: &[OsString], options: &Options, replies: Replies) -> Result<Stdio> {
        let (patience, first) = (options.patience, options.first);
        let (program, arguments) =
            command.split_first().ok_or_else(|| Error::invalid("There is no command to run."))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Pipe::piped())
            .stdout(Pipe::piped())
            .stderr(Pipe::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| Error::not_started(program, e))?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Error::internal("a child without pipes"));
        };
        let (sender, lines) = mpsc::channel(MAX_UNREAD);
        tokio::spawn(read(stdout, sender));
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        tokio::spawn(keep(stderr, kept.clone()));
        let (early, strays) = (VecDeque::new(), Vec::new());
        Ok(Stdio {
            child,
            stdin: Some(stdin),
            lines,
            stderr: kept,
            patience,
            first,
            has_spoken: false,
            replies,
            early,
            strays,
        })
    }

    /// Writes the line, and reads until what is waited for came.
    pub(super) async fn exchange(&mut self, raw: Raw) -> Result<Exchange> {
        let waits = raw.wait != Wait::None;
        let mut exchange = self.tell(raw).await?;
        let patience = if self.has_spoken { self.patience } else { self.patience.max(self.first) };
        let deadline = clock::instant() + patience;
        while waits && exchange.answer.is_none() {
            let left = deadline.saturating_duration_since(clock::instant());
            // A process that says something all the time does not let the time run out by itself.
            let is_over = left.is_zero() || exchange.messages.len() >= MAX_MESSAGES;
            let heard = if is_over { None } else { self.next(left).await };
            let Some(message) = heard else {
                exchange.end = if self.lines.is_closed() { End::Broken } else { End::TimedOut };
                break;
            };
            if exchange.body.len() < MAX_MESSAGE {
                exchange.body.extend_from_slice(message.to_string().as_bytes());
                exchange.body.push(b'\n');
            }
            exchange.take(message);
        }
        self.has_spoken |= exchange.answer.is_some();
        Ok(exchange)
    }

    /// Writes the line. What came unasked before stands first among the messages, and is answered where it asks.
    pub(super) async fn tell(&mut self, raw: Raw) -> Result<Exchange> {
        // More may come as fast as it is read.
        for _ in 0..MAX_UNREAD {
            let Ok(line) = self.lines.try_recv() else { break };
            let Some(message) = self.read_line(&line) else { continue };
            self.early.push_back(message);
        }
        self.answer_early().await;
        if let Err(error) = self.write(&raw.body).await {
            // It has mostly ended: what it printed last may tell why.
            let _ = self.next(LAST_WORDS).await;
            return Err(error);
        }
        Ok(Exchange { sent: raw, messages: self.early.drain(..).collect(), ..Exchange::default() })
    }

    async fn answer_early(&mut self) {
        let asked: Vec<_> = self.early.iter().filter(|message| is_request(message)).cloned().collect();
        for question in asked {
            let reply = self.replies.to(&question).to_string();
            if self.write(reply.as_bytes()).await.is_err() {
                return; // It reads no more, which what is told next will show.
            }
        }
    }

    async fn write(&mut self, line: &[u8]) -> Result<()> {
        let gone = || Error::new(Kind::Unavailable, "The server's process reads no more.");
        let stdin = self.stdin.as_mut().ok_or_else(gone)?;
        let writing = async {
            stdin.write_all(line).await?;
            stdin.write_all(b"\n").await?;
            stdin.flush().await
        };
        match tokio::time::timeout(self.patience, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(gone().because(e)),
            Err(_) => Err(gone()),
        }
    }

    /// The next message within `patience`; what the server asks is answered on the way.
    pub(super) async fn next(&mut self, patience: Duration) -> Option<Value> {
        if let Some(message) = self.early.pop_front() {
            return Some(message);
        }
        let deadline = clock::instant() + patience;
        loop {
            let left = deadline.saturating_duration_since(clock::instant());
            let line = tokio::time::timeout(left, self.lines.recv()).await.ok().flatten()?;
            let Some(message) = self.read_line(&line) else {
                if clock::instant() >= deadline {
                    return None;
                }
                continue;
            };
            if is_request(&message) {
                let reply = self.replies.to(&message).to_string();
                let _ = self.write(reply.as_bytes()).await;
            }
            return Some(message);
        }
    }

    fn read_line(&mut self, line: &[u8]) -> Option<Value> {
        match serde_json::from_slice::<Value>(line) {
            Ok(value) if value.is_object() || value.is_array() => Some(value),
            _ => {
                if self.strays.len() < MAX_STRAYS {
                    self.strays.push(String::from_utf8_lossy(line).into_owned());
                }
                None
            }
        }
    }

    pub(super) fn has_gone(&self) -> bool {
        self.lines.is_closed() && self.lines.is_empty()
    }

    pub(super) fn stderr(&self) -> String {
        let kept = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }

    /// Closes stdin: whether the process then ended by itself.
    pub(super) async fn close(mut self, patience: Duration) -> bool {
        drop(self.stdin.take());
        // Somebody must read what it still writes, or it cannot end.
        let drain = async { while self.lines.recv().await.is_some() {} };
        let ended =
            tokio::time::timeout(patience, async { tokio::join!(drain, self.child.wait()) }).await.is_ok();
        if !ended {
            let _ = self.child.kill().await;
        }
        ended
    }
}

/// The last lines of `stderr`, without control characters. The line that names an error is often followed by where it
/// came from, and is put in front.
pub(super) fn last_words(stderr: &str) -> Option<String> {
    let lines: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let (before, last) = lines.split_at(lines.len().saturating_sub(LAST_LINES));
    let is_error = |line: &&&str| line.to_ascii_lowercase().contains("error");
    let cause = before.iter().rfind(is_error).filter(|_| !last.iter().any(|line| is_error(&line)));
    let shown: Vec<_> =
        cause.into_iter().chain(last).map(|line| format!("  {}", one_line(line, LINE_CHARS))).collect();
    (!shown.is_empty()).then(|| shown.join("\n"))
}

async fn read(mut from: impl AsyncRead + Unpin, sender: mpsc::Sender<Vec<u8>>) {
    let mut lines = Lines::new(MAX_MESSAGE);
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        for line in lines.feed(&chunk[..count]).into_iter().flatten() {
            if sender.send(line).await.is_err() {
                return;
            }
        }
    }
    if let Some(Ok(line)) = lines.end() {
        let _ = sender.send(line).await;
    }
}

async fn keep(mut from: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = vec![0; 4 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&chunk[..count]);
        let over = kept.len().saturating_sub(MAX_STDERR);
        kept.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_process_tell_why() {
        let check = |stderr: &str, expected: Option<&str>| {
            assert_eq!(last_words(stderr).as_deref(), expected, "{stderr:?}");
        };
        check("", None);
        check(" \n\n", None);
        check("no\x1b[1m way\n", Some("  no[1m way"));
        check("1\n2\n3\n4\n5\n6\n", Some("  2\n  3\n  4\n  5\n  6"));
        check("Error: gone\n2\n3\n4\n\n5\n6\n", Some("  Error: gone\n  2\n  3\n  4\n  5\n  6"));
        check("an error\n2\n3\n4\n5\nerror\n", Some("  2\n  3\n  4\n  5\n  error"));
    }
}
