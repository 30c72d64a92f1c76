//! `chaterimo replay`: a server that answers from a recording.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Context, reading, runtime};
use crate::error::{Error, Kind, Result, one_line};
use crate::local::stopped;
use crate::protocol::transcript::Transcript;
use crate::replay::pipe;
use crate::replay::serve::Server;

/// The most characters that are told of one message.
const MAX_COMPLAINT: usize = 4096;

/// `chaterimo replay FILE`, or `chaterimo replay FILE --stdio`
#[derive(clap::Args)]
pub struct Args {
    /// The recording, made by `chaterimo record`
    #[arg(value_name = "FILE")]
    recording: PathBuf,
    /// Where to answer over HTTP; port 0 picks a free one
    #[arg(long = "listen", value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Answer on stdin and stdout
    #[arg(long, conflicts_with = "address")]
    stdio: bool,
    /// Want the client's messages as they were recorded, in that order; exit with 1 when they were not
    #[arg(long)]
    strict: bool,
    /// Find the recorded request by method and parameters, or by method and name (the default)
    #[arg(long, conflicts_with = "strict")]
    lenient: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let transcript = reading::recording(&self.recording)?;
        let tell = |text: &str| complain(text);
        let (faults, missing) = match self.stdio {
            true => {
                pipe::run(&transcript, self.strict, std::io::stdin().lock(), std::io::stdout().lock(), tell)?
            }
            false => self.over_http(&transcript, context)?,
        };
        missing.iter().for_each(|text| complain(text));
        match self.strict && faults + missing.len() > 0 {
            false => Ok(()),
            true => Err(Error::new(
                Kind::Conflict,
                format!("The client did not do as recorded: {faults} wrong, {} never came.", missing.len()),
            )),
        }
    }

    fn over_http(&self, transcript: &Transcript, context: &mut Context) -> Result<(usize, Vec<String>)> {
        let runtime = runtime()?;
        let outcome = runtime.block_on(async {
            let server = Server::bind(self.address, transcript, self.strict).await?;
            let stage = server.stage();
            let url = server.url().to_owned();
            tokio::select! {
                biased; // Who reads the URL may have us stopped at once.
                () = stopped() => Ok(stage.outcome()),
                end = async { context.out.line(url)?; server.run(complain).await; Ok(stage.outcome()) } => end,
            }
        });
        runtime.shutdown_background();
        outcome
    }
}

/// On one line, which commands no terminal: the names that a client chose are in it.
fn complain(text: &str) {
    let line = format!("replay: {}\n", one_line(text, MAX_COMPLAINT));
    let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
}
