//! `chaterimo record`: what a client and an MCP server say to each other, in a file.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};

use super::{Context, runtime};
use crate::error::Result;
use crate::local::stopped;
use crate::protocol::transcript::Transport;
use crate::record::{self, Recorder, Recording, proxy::Proxy, wrapper};

/// `chaterimo record --out FILE URL`, or `chaterimo record --out FILE -- COMMAND…`
#[derive(clap::Args)]
#[command(override_usage = "chaterimo record [OPTIONS] --out <FILE> <URL>\n       \
                            chaterimo record [OPTIONS] --out <FILE> -- <COMMAND>...")]
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
    /// Leave e-mail addresses and phone numbers as they are; keys, tokens and session ids are taken out all the same
    #[arg(long)]
    keep_contacts: bool,
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
        tokio::select! {
            biased; // Who reads the URL may have us stopped at once.
            () = stopped() => {}
            end = pass(proxy, recording.recorder(), context) => end?,
        }
        match recording.finish()? {
            0 => context.out.line(self.nothing()),
            messages => context.out.line(format!("Recorded {messages} messages in {}.", self.out.display())),
        }
    }

    /// What the command exits with is what this process does.
    async fn on_stdio(&self, context: &mut Context) -> Result<()> {
        let recording = self.begin(Transport::Stdio, context)?;
        let status = wrapper::run(&self.command, recording.recorder()).await;
        let messages = recording.finish()?;
        if let Some(status) = status?.filter(|status| !status.success()) {
            context.out.note(format!("chaterimo: The command ended with {status}."));
            context.code = code_of(status);
        }
        if messages == 0 {
            context.out.note(self.nothing());
        }
        Ok(())
    }

    fn nothing(&self) -> String {
        format!("Nothing was said, and so {} is not made.", self.out.display())
    }

    fn begin(&self, transport: Transport, context: &Context) -> Result<Recording> {
        Recording::begin(record::Options {
            out: self.out.clone(),
            transport,
            readonly: self.readonly,
            began: context.clock.now(),
            about: self.about.clone(),
            keep_contacts: self.keep_contacts,
            url: self.url.clone(),
        })
    }
}

/// Says where the proxy is, and on stderr whether there is a server behind it; passes on until dropped.
async fn pass(proxy: Proxy, recorder: Recorder, context: &mut Context) -> Result<()> {
    context.out.line(proxy.url())?;
    let probe = proxy.probe();
    let told = async {
        if let Err(error) = probe.await {
            let until = "Start it, or look at the URL; until then clients are answered with HTTP 502.";
            context.out.note(format!("chaterimo: {} {until}", error.public));
        }
    };
    tokio::join!(proxy.run(recorder), told);
    Ok(())
}

/// That of the command; of one that was killed by a signal 128 and its number, as shells have it.
fn code_of(status: ExitStatus) -> ExitCode {
    #[cfg(unix)]
    let killed = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal);
    #[cfg(not(unix))]
    let killed = None;
    let code = status.code().or(killed).and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(1))
}
