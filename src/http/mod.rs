//! The only server on hyper: connections and their limits, TLS, the table of routes, and MCP over Streamable HTTP.
//!
//! The way of a request: `accept` (who may connect) → `connection` (deadlines) and `screen` (framing) → hyper →
//! `router` (Host, Origin, credential, method) → a handler such as `mcp`. Answers are built in `respond`.

mod accept;
mod bearer;
mod connection;
mod credential;
pub(crate) mod form;
mod limits;
mod mcp;
mod oauth;
mod once;
mod options;
mod pages;
mod request;
mod respond;
mod router;
mod routes;
mod screen;
mod stream;
mod tls;
mod tokenized;
mod visit;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

use once::Once;
use stream::Streams;

use crate::access::accounts::Accounts;
use crate::access::throttle::WrongTokens;
use crate::app::App;

pub use accept::{Listener, Stop, serve, signals};
pub use limits::Limits;
pub use mcp::{Desk, Done, Exchange, Feed, Host, Mail, Permit, Ran};
pub use options::{Allowed, Options};
pub use respond::{Answer, Payload, Refusal, Style};
pub use routes::member_paths;
pub use tls::acceptor;

/// What every connection of one server shares.
pub struct Site {
    /// What it serves.
    pub app: Arc<App>,
    /// How it is set up.
    pub options: Options,
    /// Its authorization server.
    pub oauth: crate::oauth::Server,
    /// Who signs in.
    pub accounts: Accounts,
    /// Told when it is to stop.
    pub stop: Stop,
    wrong_tokens: WrongTokens,
    /// Forms that work once.
    once: Once,
    streams: Streams,
    desk: Arc<Desk>,
    /// Turns for tool calls.
    calls: Semaphore,
    /// How many workers of the runtime wait for the database themselves.
    waiting: AtomicUsize,
    /// How many there are.
    workers: OnceLock<usize>,
}

impl Site {
    /// A site that is not stopping.
    pub fn new(app: Arc<App>, options: Options) -> Site {
        let calls = Semaphore::new(options.limits.running_calls);
        let (stop, streams, waiting) = (Stop::default(), Streams::default(), AtomicUsize::new(0));
        let wrong_tokens = WrongTokens::default();
        let oauth = crate::oauth::Server::new(
            Arc::clone(&app.store),
            Arc::clone(&app.keyring),
            app.clock.clone(),
            options.public_origin.clone(),
            options.oauth.clone(),
            Arc::clone(&options.documents),
        );
        let accounts = Accounts::new(Arc::clone(&app.store), Arc::clone(&app.keyring), app.clock.clone());
        Site {
            app,
            options,
            oauth,
            accounts,
            stop,
            wrong_tokens,
            once: Once::default(),
            streams,
            desk: Arc::default(),
            calls,
            waiting,
            workers: OnceLock::new(),
        }
    }

    /// Whether browsers reach the server over TLS.
    fn is_https(&self) -> bool {
        self.options.public_origin.starts_with("https://")
    }

    /// Runs `job`, which waits for the database. While another worker of the runtime does not wait so, it runs right here;
    /// otherwise this worker's other tasks are first handed to another thread, which costs some 10 µs.
    fn wait_for<T>(&self, job: impl FnOnce() -> T) -> T {
        let workers = *self.workers.get_or_init(|| Handle::current().metrics().num_workers());
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Relaxed) + 1 < workers {
            return job();
        }
        drop(waiting);
        block_in_place(job)
    }
}

/// A worker that waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
