//! The only server on hyper: connections and their limits, TLS, the table of routes, and MCP over Streamable HTTP.
//!
//! The way of a request: `accept` (who may connect) → `connection` (deadlines) and `screen` (framing) → hyper →
//! `router` (Host, Origin, credential, method) → a handler such as `mcp`. Answers are built in `respond`.

mod accept;
mod connection;
mod credential;
mod limits;
mod mcp;
mod options;
mod request;
mod respond;
mod router;
mod screen;
mod stream;
mod tls;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::app::App;

pub use accept::{Listener, Stop, serve, signals};
pub use limits::Limits;
pub use options::{Allowed, Options};
pub use tls::acceptor;

/// What every connection of one server shares.
pub struct Site {
    /// What it serves.
    pub app: Arc<App>,
    /// How it is set up.
    pub options: Options,
    /// Told when it is to stop.
    pub stop: Stop,
    streams: stream::Streams,
    /// Turns for tool calls.
    calls: Semaphore,
}

impl Site {
    /// A site that is not stopping.
    pub fn new(app: Arc<App>, options: Options) -> Site {
        let calls = Semaphore::new(options.limits.running_calls);
        Site { app, options, stop: Stop::default(), streams: stream::Streams::default(), calls }
    }
}
