//! `chaterimo stdio`: MCP on stdin and stdout, answered from the local database or by a remote server.

use std::path::PathBuf;

use super::{Context, runtime};
use crate::app::App;
use crate::bridge;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::stdio;

/// `chaterimo stdio`
#[derive(clap::Args)]
pub struct Args {
    /// Lead to this MCP server instead of the local database, such as https://chat.example.com/mcp/
    #[arg(long)]
    url: Option<String>,
    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        match self.url {
            Some(url) => remote(url, self.ca_file, &context.config),
            None => local(&context.config),
        }
    }
}

fn local(config: &Config) -> Result<()> {
    let key = config.api_key.as_ref().ok_or_else(|| {
        Error::config(
            "CHATERIMO_API_KEY is not set: put an API key into it (`chaterimo key create` makes one). With Claude \
             Code: claude mcp add chaterimo --env CHATERIMO_API_KEY=cha_… -- chaterimo stdio",
        )
    })?;
    let app = App::open(&config.data_dir, Clock::System, config.read_only, config.models.clone())?;
    // It ends with the app, when stdin does.
    app.start_training();
    stdio::run(&app, key.reveal(), std::io::stdin().lock(), std::io::stdout())
}

fn remote(url: String, ca_file: Option<PathBuf>, config: &Config) -> Result<()> {
    let api_key = config.api_key.as_ref().map(|key| key.reveal().to_owned());
    let runtime = runtime()?;
    let done = runtime.block_on(bridge::run(bridge::Options { url, api_key, ca_file }));
    // Somebody may still hold stdin open: nothing to wait for.
    runtime.shutdown_background();
    done
}
