//! On stdio: runs a server's command between the client and it, and notes each line that passes.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Command;

use super::Recorder;
use crate::error::{Error, Result};
use crate::local::stopped;
use crate::protocol::framing::lines::{Frame, Lines};
use crate::protocol::transcript::{From, MAX_LINE_BYTES};

/// How long the command has to end after its stdin did, or after this process was told to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs `command` with its arguments; its stdin and stdout are this process's, noted as they pass, its stderr is
/// this one's. Ends when the command does, and says how. When this process is told to stop, the command's stdin is closed,
/// and how it then ends says nothing: `None`.
///
/// # Errors
/// `Invalid` when the command cannot be started.
pub async fn run(command: &[OsString], recorder: Recorder) -> Result<Option<ExitStatus>> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| Error::invalid("There is no command to run."))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| Error::not_started(program, e))?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(Error::internal("a child without pipes"));
    };
    let said = tokio::spawn(pass(tokio::io::stdin(), to, Noted::new(From::Client, recorder.clone())));
    let answered = pass(from, tokio::io::stdout(), Noted::new(From::Server, recorder));
    let told = tokio::select! {
        biased; // A terminal tells both to stop.
        () = stopped() => { said.abort(); true }
        () = answered => false,
    };
    // Its stdout is at its end, or its stdin is.
    let status = match tokio::time::timeout(FAREWELL, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.kill().await.map_err(Error::internal)?;
            child.wait().await
        }
    };
    said.abort();
    status.map(|status| (!told).then_some(status)).map_err(Error::internal)
}

/// Passes bytes on as they come, to the end of either side.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut noted: Noted) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        if to.write_all(&chunk[..count]).await.is_err() || to.flush().await.is_err() {
            break;
        }
        noted.take(&chunk[..count]);
    }
}

/// Notes the lines of one side.
struct Noted {
    lines: Lines,
    from: From,
    recorder: Recorder,
}

impl Noted {
    fn new(from: From, recorder: Recorder) -> Noted {
        Noted { lines: Lines::new(MAX_LINE_BYTES), from, recorder }
    }

    fn take(&mut self, bytes: &[u8]) {
        for frame in self.lines.feed(bytes) {
            self.note(frame);
        }
    }

    fn note(&self, frame: Frame) {
        let line = frame.unwrap_or_else(|_| format!("[a line of more than {MAX_LINE_BYTES} bytes]").into());
        self.recorder.note(self.from, None, None, Bytes::from(line));
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        if let Some(frame) = self.lines.end() {
            self.note(frame);
        }
    }
}
