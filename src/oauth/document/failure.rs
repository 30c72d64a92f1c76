//! Why a client's document cannot be had, and whose fault that is: a page says the second, the log the first.

use crate::error::Error;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The operator does not let such clients in.
    Settings,
    /// The client id is no URL that a document may have.
    Id,
    /// The app's server is out of order: unreachable, too slow, or it answers something else than a document.
    App,
    /// The app's document is there, and breaks the rules.
    Document,
    /// Whoever asks, too often.
    Asker,
    /// This server's.
    Server,
}

/// Why there is no document. What it shows to people is the same whatever the network behind this server looks like.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Whose fault it is.
    pub blame: Blame,
    /// The private reason, for the log.
    pub reason: String,
}

impl Failure {
    /// A failure with its private reason.
    pub(super) fn new(blame: Blame, reason: impl Into<String>) -> Failure {
        Failure { blame, reason: reason.into() }
    }

    /// The HTTP status of the page that says so.
    pub fn status(&self) -> u16 {
        match self.blame {
            Blame::Settings | Blame::Id | Blame::Document => 400,
            Blame::Asker => 429,
            Blame::App => 502,
            Blame::Server => 503,
        }
    }

    /// What a person is told: whose fault it is and what to do.
    pub fn public(&self) -> &'static str {
        match self.blame {
            Blame::Settings => {
                "This server does not know the app, and is set up not to ask about apps that it does not know. Its \
                 operator can add the app."
            }
            Blame::Id => {
                "The app gave an id that is no address of a description that this server would read. That is the app's \
                 mistake: tell its makers."
            }
            Blame::App => {
                "The app's own server is out of order, or this server has no way out: it asked who the app is and got no \
                 proper answer. Nothing is wrong with your account; try again in a few minutes. Where there is no way \
                 out, the operator can keep a copy of the app's description in client_documents_dir."
            }
            Blame::Document => {
                "The app describes itself in a way that breaks the rules, so this server does not trust it. That is the \
                 app's mistake: tell its makers."
            }
            Blame::Asker => {
                "You tried to connect many unknown apps within a minute. Wait a minute, then try again."
            }
            Blame::Server => {
                "This server cannot look the app up right now; its log says why. Try again in a minute."
            }
        }
    }

    /// The same failure, once it is in the log.
    pub(super) fn noted(self, url: &str) -> Failure {
        tracing::warn!(client_id = url, blame = ?self.blame, reason = self.reason, "a client document cannot be used");
        self
    }
}

/// A fault of the store; the cause is logged here, once.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        tracing::error!(?error, "a client could not be looked up");
        Failure::new(Blame::Server, error.public)
    }
}
