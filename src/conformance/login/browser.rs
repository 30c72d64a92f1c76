//! The browser in which a person signs in and allows: theirs, or a command that acts for them.

use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Kind, Result};

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

    /// Opens `url`. Returns when the visit has ended; with a person, never.
    ///
    /// # Errors
    /// `Invalid` when the command cannot be started.
    pub async fn visit(&self, url: &str) -> Result<()> {
        match self {
            Browser::Person => {
                open(url);
                std::future::pending().await
            }
            Browser::Command(command) => run(command, url).await,
            Browser::Hook(hook) => {
                hook(url.to_owned()).await;
                Ok(())
            }
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

/// Runs `command`, words between spaces, with the URL behind them. How it ends says nothing: a page of refusal is no
/// fault of whoever looks at it.
async fn run(command: &str, url: &str) -> Result<()> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or_else(|| Error::invalid("--browser names no command."))?;
    let child = tokio::process::Command::new(program)
        .args(words)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .status();
    let failed =
        |e| Error::new(Kind::Invalid, format!("{program:?} cannot be started as --browser.")).because(e);
    child.await.map(|_| ()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_is_given_the_url() {
        assert!(Browser::Command("test http://a.example =".into()).visit("http://a.example").await.is_ok());
        for command in ["", "/nowhere/browser"] {
            let error = Browser::Command(command.into()).visit("http://a.example").await.unwrap_err();
            assert_eq!(error.kind, Kind::Invalid, "{command}");
        }
    }
}
