//! The only server on hyper: connections and their limits, TLS, the table of routes, and MCP over Streamable HTTP.
//!
//! The way of a request: `accept` (who may connect) → `connection` (deadlines) and `screen` (framing) → hyper →
//! `router` (Host, Origin, credential, method) → a handler such as `mcp`. Answers are built in `respond`.

mod accept;
mod connection;
mod limits;
mod options;
mod request;
mod respond;
mod router;
mod screen;
mod stream;
mod tls;

pub use accept::{Listener, Stop, serve, signals};
pub use limits::Limits;
pub use options::{Network, Options};
pub use tls::acceptor;

/// What every connection of one server shares.
pub struct Site {
    /// How it is set up.
    pub options: Options,
    /// Told when it is to stop.
    pub stop: Stop,
    streams: stream::Streams,
}

impl Site {
    /// A site that is not stopping.
    pub fn new(options: Options) -> Site {
        Site { options, stop: Stop::default(), streams: stream::Streams::default() }
    }
}
