//! `chaterimo stdio --url`: MCP on stdin and stdout, answered by a remote server.

use std::path::PathBuf;

use super::Context;
use crate::bridge;
use crate::error::{Error, Result};

/// `chaterimo stdio --url URL`
#[derive(clap::Args)]
pub struct Args {
    /// The MCP server to lead to, such as https://chat.example.com/mcp/; its key comes from CHATERIMO_API_KEY
    #[arg(long)]
    url: String,
    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let api_key = context.config.api_key.as_ref().map(|key| key.reveal().to_owned());
        let options = bridge::Options { url: self.url, api_key, ca_file: self.ca_file };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(Error::internal)?;
        let done = runtime.block_on(bridge::run(options));
        // Somebody may still hold stdin open: nothing to wait for.
        runtime.shutdown_background();
        done
    }
}
