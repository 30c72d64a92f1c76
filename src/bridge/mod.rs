//! stdio on this side, Streamable HTTP on the other: each line of stdin is posted to a remote MCP server, and what
//! it answers is written to stdout, one message a line.
//!
//! Both eras pass. Of the legacy one the bridge keeps the session (`legacy`); to the modern one it adds the headers
//! that HTTP wants (`outbound`). Requests run side by side; nothing but protocol is ever written to stdout.

mod answer;
mod legacy;
mod outbound;
mod relay;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use hyper::header::HeaderValue;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use self::outbound::Outbound;
use crate::client::{self, Client};
use crate::error::{Error, Kind, Result};
use crate::protocol::framing::lines::{Frame, Lines};
use crate::protocol::rpc::{self, Fault, Id, Incoming, MAX_BODY_BYTES, Message};

/// Messages under way to the server at once; more requests are refused until one ends.
const MAX_UNDER_WAY: usize = 256;
/// Messages waiting for a slow reader of stdout before the bridge reads no more from the server.
const MAX_UNWRITTEN: usize = 64;
/// The longest for a handshake, and after the end of stdin for the answers still under way.
const PATIENCE: Duration = Duration::from_secs(65);
/// Where the bridge leads.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URL of the MCP endpoint, such as `https://chat.example.com/mcp/`.
    pub url: String,
    /// The API key, sent as a bearer token; it comes from the variable `CHATERIMO_API_KEY`.
    pub api_key: Option<String>,
    /// One more file of certificate authorities to trust, in PEM.
    pub ca_file: Option<PathBuf>,
}

/// Bridges stdin and stdout of this process to the server until stdin ends; then waits for what is under way, ends the
/// legacy session and returns. It returns early when nobody reads stdout any more.
///
/// # Errors
/// `Invalid` or `Config` when an option is wrong. What goes wrong with the server is answered to the client instead.
pub async fn run(options: Options) -> Result<()> {
    drive(options, tokio::io::stdin(), tokio::io::stdout()).await
}

async fn drive(
    options: Options,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) -> Result<()> {
    let (out, unwritten) = mpsc::channel(MAX_UNWRITTEN);
    let bridge = Arc::new(Bridge::new(options, out)?);
    let work = async move {
        let mut tasks = JoinSet::new();
        bridge.read(input, &mut tasks).await;
        bridge.finish(tasks).await;
    };
    let mut writer = std::pin::pin!(write(unwritten, output));
    tokio::select! {
        () = &mut writer => return Ok(()),
        () = work => {}
    }
    writer.await;
    Ok(())
}

/// Writes each message as a line, until no more can come or nobody reads.
async fn write(mut messages: mpsc::Receiver<Bytes>, mut output: impl AsyncWrite + Unpin) {
    while let Some(message) = messages.recv().await {
        let mut line = Vec::with_capacity(message.len() + 1);
        line.extend_from_slice(&message);
        line.push(b'\n');
        if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

struct Bridge {
    client: Client,
    url: Uri,
    /// The URL as it may be said: the model reads what goes wrong.
    shown: String,
    authorization: Option<HeaderValue>,
    /// Messages for stdout, each without a newline.
    out: mpsc::Sender<Bytes>,
    /// The requests whose answer the client still waits for.
    in_flight: Mutex<HashMap<Id, InFlight>>,
    legacy: legacy::State,
    /// What was said last on stderr, so that it is not said again.
    told: Mutex<String>,
}

/// `url` without the token of a tokenized URL.
fn without_token(url: &str) -> String {
    let part = |part: &str| if part.starts_with("chu_") { "chu_…".to_owned() } else { part.to_owned() };
    url.split('/').map(part).collect::<Vec<_>>().join("/")
}

struct InFlight {
    /// What to stop.
    task: AbortHandle,
    /// Whether to cancel it is to close its response, as in the modern era.
    modern: bool,
    /// A stream without an end of its own: nothing to wait for when stdin ends.
    endless: bool,
}

impl Bridge {
    fn new(options: Options, out: mpsc::Sender<Bytes>) -> Result<Bridge> {
        let shown = without_token(&options.url);
        let wrong = format!("{shown:?} is no URL of an MCP server, such as https://chat.example.com/mcp/.");
        let url: Uri = options.url.parse().map_err(|e| Error::invalid(&*wrong).because(e))?;
        if !matches!(url.scheme_str(), Some("http" | "https")) {
            return Err(Error::invalid(wrong));
        }
        Ok(Bridge {
            client: Client::new(client::Options { ca_file: options.ca_file, ..client::Options::default() })?,
            url,
            shown,
            authorization: options.api_key.as_deref().map(bearer).transpose()?,
            out,
            in_flight: Mutex::default(),
            legacy: legacy::State::default(),
            told: Mutex::default(),
        })
    }

    /// Takes lines until the input ends.
    async fn read(self: &Arc<Self>, mut input: impl AsyncRead + Unpin, tasks: &mut JoinSet<()>) {
        let mut lines = Lines::new(MAX_BODY_BYTES);
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = input.read(&mut chunk).await {
            for frame in lines.feed(&chunk[..count]) {
                self.take(frame, tasks).await;
            }
        }
        if let Some(frame) = lines.end() {
            self.take(frame, tasks).await;
        }
    }

    async fn take(self: &Arc<Self>, frame: Frame, tasks: &mut JoinSet<()>) {
        while tasks.try_join_next().is_some() {}
        let line = match frame {
            Ok(line) => Bytes::from(line),
            Err(answer) => return self.say(answer.body).await,
        };
        match rpc::parse(&line) {
            Err(answer) => self.say(answer.body).await,
            Ok(Incoming::Batch(messages)) => self.start(Outbound::batch(line, &messages), tasks).await,
            Ok(Incoming::One(message)) => {
                self.take_message(Outbound::one(line, &message), &message, tasks).await
            }
        }
    }

    /// Sends a message on its way. The steps of a handshake are waited for, since what follows depends on them.
    async fn take_message(self: &Arc<Self>, outbound: Outbound, message: &Message, tasks: &mut JoinSet<()>) {
        match message {
            Message::Request { method, .. } if method == "initialize" && !outbound.is_modern() => {
                self.shake_hands(outbound).await;
            }
            Message::Notification { method, .. } if method == "notifications/initialized" => {
                self.relay(&outbound).await;
                self.listen();
            }
            Message::Notification { method, params } if method == "notifications/cancelled" => {
                let id = params.get("requestId").cloned().and_then(Id::from_value);
                if !id.is_some_and(|id| self.cancel(&id)) && self.legacy.session().is_some() {
                    self.start(outbound, tasks).await;
                }
            }
            _ => self.start(outbound, tasks).await,
        }
    }

    /// Relays a message in a task of its own.
    async fn start(self: &Arc<Self>, outbound: Outbound, tasks: &mut JoinSet<()>) {
        if let Err(fault) = self.admit(&outbound, tasks) {
            for id in &outbound.ids {
                self.say(fault.reply(Some(id)).body).await;
            }
        }
    }

    fn admit(self: &Arc<Self>, outbound: &Outbound, tasks: &mut JoinSet<()>) -> Result<(), Fault> {
        let mut in_flight = self.in_flight();
        if outbound.ids.iter().any(|id| in_flight.contains_key(id)) {
            return Err(Fault::invalid("A request with this id is under way; each needs an id of its own."));
        }
        if !outbound.ids.is_empty() && tasks.len() >= MAX_UNDER_WAY {
            let text =
                format!("{MAX_UNDER_WAY} messages are under way; wait for an answer before you send more.");
            return Err(Fault::new(429, rpc::INTERNAL_ERROR, text));
        }
        let (bridge, going) = (self.clone(), outbound.clone());
        let task = tasks.spawn(async move { bridge.relay(&going).await });
        let (modern, endless) = (outbound.is_modern(), outbound.is_endless());
        in_flight.extend(outbound.ids.iter().map(|id| {
            let entry = InFlight { task: task.clone(), modern, endless };
            (id.clone(), entry)
        }));
        Ok(())
    }

    /// Forgets the request, which then gets no error either. True when that is all, because closing its response tells
    /// the server; a legacy server must be told by the notification.
    fn cancel(&self, id: &Id) -> bool {
        let cancelled = self.in_flight().remove(id);
        match cancelled {
            Some(InFlight { task, modern: true, .. }) => {
                task.abort();
                true
            }
            _ => false,
        }
    }

    /// After the end of stdin: the last answers, and the end of the session.
    async fn finish(&self, mut tasks: JoinSet<()>) {
        for entry in self.in_flight().values().filter(|entry| entry.endless) {
            entry.task.abort();
        }
        let last = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, last).await;
        tasks.shutdown().await;
        self.close_session().await;
    }

    /// Answers the requests that `error` kept from an answer, unless they were cancelled.
    async fn fail(&self, ids: &[Id], error: &Error) {
        for id in ids {
            let waiting = self.in_flight().remove(id).is_some();
            if waiting {
                self.answer_with(id, error).await;
            }
        }
    }

    async fn answer_with(&self, id: &Id, error: &Error) {
        self.say(Fault::new(502, rpc::INTERNAL_ERROR, &*error.public).reply(Some(id)).body).await;
    }

    /// Writes one message to stdout; where nobody reads it, nothing is left to do.
    async fn say(&self, message: impl Into<Bytes>) {
        let _ = self.out.send(message.into()).await;
    }

    /// Tells the operator on stderr, once, that the server lets nobody in. False when the error is another.
    #[allow(clippy::print_stderr)]
    fn tell(&self, error: &Error) -> bool {
        let shut_out = matches!(error.kind, Kind::Unauthorized | Kind::Forbidden);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if shut_out && *told != error.public {
            eprintln!("chaterimo: {}", error.public);
            told.clone_from(&error.public);
        }
        shut_out
    }

    fn in_flight(&self) -> MutexGuard<'_, HashMap<Id, InFlight>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of `Authorization` that shows the API key of `CHATERIMO_API_KEY`.
///
/// # Errors
/// `Config` for what cannot be sent in a header.
fn bearer(key: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim())).map_err(|e| {
        Error::config("CHATERIMO_API_KEY holds characters that no API key has; copy the key again.")
            .because(e)
    })?;
    value.set_sensitive(true);
    Ok(value)
}
