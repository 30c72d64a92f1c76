//! `chaterimo record`: what a client and an MCP server say to each other, in a file.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Context, runtime};
use crate::error::{Error, Kind, Result};
use crate::local::stopped;
use crate::protocol::transcript::Transport;
use crate::record::{self, Recording, proxy::Proxy, wrapper};

/// `chaterimo record --out FILE URL`, or `chaterimo record --out FILE -- COMMAND…`
#[derive(clap::Args)]
pub struct Args {
    /// The file to write, one JSON line a message; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the proxy listens; port 0 picks a free one
    #[arg(long = "listen", value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// What happens in the recording, for people who read it
    #[arg(long, value_name = "TEXT")]
    about: Option<String>,
    /// The endpoint, or on stdio the key, is read-only
    #[arg(long)]
    readonly: bool,
    /// Leave e-mail addresses as they are; keys, tokens and session ids are taken out all the same
    #[arg(long)]
    keep_emails: bool,
    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The MCP server to record over HTTP, such as http://127.0.0.1:8080/mcp/
    #[arg(required_unless_present = "command", conflicts_with = "command")]
    url: Option<String>,
    /// The command of an MCP server on stdio, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            match &self.url {
                Some(url) => self.over_http(url, context).await,
                None => self.on_stdio(context).await,
            }
        });
        // Somebody may still hold stdin open: nothing to wait for.
        runtime.shutdown_background();
        done
    }

    async fn over_http(&self, url: &str, context: &mut Context) -> Result<()> {
        let proxy = Proxy::bind(self.address, url, self.ca_file.clone()).await?;
        let recording = self.begin(Transport::Http, context)?;
        let (url, recorder) = (proxy.url().to_owned(), recording.recorder());
        tokio::select! {
            biased; // Who reads the URL may have us stopped at once.
            () = stopped() => {}
            end = async { context.out.line(url)?; proxy.run(recorder).await; Ok::<(), Error>(()) } => end?,
        }
        let messages = recording.finish()?;
        context.out.line(format!("Recorded {messages} messages in {}.", self.out.display()))
    }

    async fn on_stdio(&self, context: &Context) -> Result<()> {
        let recording = self.begin(Transport::Stdio, context)?;
        let status = wrapper::run(&self.command, recording.recorder()).await;
        recording.finish()?;
        match status? {
            status if status.success() => Ok(()),
            status => Err(Error::new(Kind::Unavailable, format!("The command ended with {status}."))),
        }
    }

    fn begin(&self, transport: Transport, context: &Context) -> Result<Recording> {
        Recording::begin(record::Options {
            out: self.out.clone(),
            transport,
            readonly: self.readonly,
            began: context.clock.now(),
            about: self.about.clone(),
            keep_emails: self.keep_emails,
        })
    }
}
