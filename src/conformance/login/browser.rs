//! The browser in which a person signs in and allows: theirs, or a command that acts for them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::web::printable;
use crate::error::{Error, Kind, Result};
use crate::protocol::framing::lines::Lines;

/// What acts for the person: it is given the URL and ends when the page has answered.
pub type Hook = Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// How a URL is opened.
#[derive(Clone)]
pub enum Browser {
    /// In the person's own browser, if it can be started; the URL is printed as well.
    Person,
    /// By this command, which gets the URL as its last argument.
    Command(String),
    /// By code.
    Hook(Hook),
}

/// How long a person has.
const PERSON: Duration = Duration::from_secs(300);
/// How long a command has.
const COMMAND: Duration = Duration::from_secs(90);
/// The longest line of a command that is passed on, in bytes.
const MAX_LINE: usize = 16 * 1024;
/// Lines of stderr that tell how a command failed.
const LAST_LINES: usize = 5;
/// How long after a command its last words may still arrive.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Commands that open a URL in the person's browser, on the systems there are.
const OPENERS: [&str; 3] = ["xdg-open", "open", "explorer.exe"];

impl Browser {
    /// How long to wait for the browser to come back.
    pub fn patience(&self) -> Duration {
        match self {
            Browser::Person => PERSON,
            Browser::Command(_) | Browser::Hook(_) => COMMAND,
        }
    }

    /// Whether the end of a visit is seen, so that a page that leads nowhere is told from a person who takes their time.
    pub fn ends(&self) -> bool {
        !matches!(self, Browser::Person)
    }

    /// Opens `url`, for the visit of this `number`. Returns when the visit has ended, with how the command failed if it
    /// did; with a person, never.
    ///
    /// # Errors
    /// `Invalid` when the command cannot be started.
    pub async fn visit(&self, url: &str, number: usize) -> Result<Option<String>> {
        match self {
            Browser::Person => {
                open(url);
                std::future::pending().await
            }
            Browser::Command(command) => run(command, url, number).await,
            Browser::Hook(hook) => {
                hook(url.to_owned()).await;
                Ok(None)
            }
        }
    }

    /// Tells whoever reads what a command says on stderr that refusals are no fault from here on.
    #[allow(clippy::print_stderr)]
    pub fn expect_refusals(&self) {
        if let Browser::Command(_) = self {
            eprintln!(
                "The attacks begin: most visits from here on must end in a refusal, so errors of the browser's command are \
                 expected. The report says what came of each."
            );
        }
    }
}

/// The first opener that starts; where none does, the person has the printed URL.
#[allow(clippy::print_stderr)]
fn open(url: &str) {
    eprintln!("Open this in a browser, sign in and allow it:\n\n  {url}\n");
    for opener in OPENERS {
        let started = tokio::process::Command::new(opener)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if started.is_ok() {
            return;
        }
    }
}

/// Runs `command`, words between spaces, with the URL behind them, and passes on what it says. How it failed may say
/// nothing: a page of refusal is no fault of whoever looks at it.
async fn run(command: &str, url: &str, number: usize) -> Result<Option<String>> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| Error::invalid("--browser names no command."))?;
    let mut child = tokio::process::Command::new(program)
        .args(words)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| Error::invalid(format!("{program:?} cannot be started as --browser.")).because(e))?;
    let said = Arc::<Mutex<VecDeque<String>>>::default();
    let listening = child.stderr.take().map(|from| tokio::spawn(pass_on(from, number, said.clone())));
    let status = child.wait().await;
    if let Some(listening) = listening {
        let _ = tokio::time::timeout(LAST_WORDS, listening).await;
    }
    let status = status.map_err(|e| {
        Error::new(Kind::Unavailable, format!("How {program:?} ended is not known.")).because(e)
    })?;
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((!status.success()).then(|| failure(program, status, &said)))
}

fn failure(program: &str, status: std::process::ExitStatus, said: &VecDeque<String>) -> String {
    let how = match said.is_empty() {
        true => " and nothing on stderr".to_owned(),
        false => format!(
            "; its last words on stderr:\n  {}",
            said.iter().cloned().collect::<Vec<_>>().join("\n  ")
        ),
    };
    format!("The command of --browser, {program}, ended with {status} before the browser had come back{how}")
}

/// Passes the lines on to our own stderr, with the number of the visit in front, and keeps the last ones.
#[allow(clippy::print_stderr)]
async fn pass_on(mut from: impl AsyncRead + Unpin, number: usize, said: Arc<Mutex<VecDeque<String>>>) {
    let hear = |line: Vec<u8>| {
        let line = printable(&String::from_utf8_lossy(&line));
        eprintln!("browser, visit {number}: {line}");
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_back(line);
        if said.len() > LAST_LINES {
            said.pop_front();
        }
    };
    let mut lines = Lines::new(MAX_LINE);
    let mut chunk = vec![0; 4 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        lines.feed(&chunk[..count]).into_iter().flatten().for_each(&hear);
    }
    lines.end().into_iter().flatten().for_each(&hear);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_is_given_the_url() {
        let visit = async |command: &str| Browser::Command(command.into()).visit("http://a.example", 1).await;
        assert_eq!(visit("test http://a.example =").await.unwrap(), None);
        let failure = visit("ls /no/such/folder").await.unwrap().unwrap();
        assert!(failure.contains("exit status: 2"), "{failure}");
        assert!(failure.contains("\n  ls: "), "{failure}");
        for command in ["", "/nowhere/browser"] {
            let error = visit(command).await.unwrap_err();
            assert_eq!(error.kind, Kind::Invalid, "{command}");
        }
    }
}
