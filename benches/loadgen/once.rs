//! `once`: an exact number of requests on one connection, for counting instructions.

use clap::Args;

use crate::Result;
use crate::http::Target;

#[derive(Args)]
pub struct Once {
    #[command(flatten)]
    target: Target,
    /// The JSON-RPC message.
    #[arg(long)]
    body: String,
    /// How many times it is sent.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
}

impl Once {
    /// The head and body of the last answer.
    pub fn run(&self) -> Result<String> {
        let request = self.target.post(&self.body, &[])?;
        let mut client = self.target.connect()?;
        for _ in 1..self.repeat {
            client.exchange(&request)?.expect_status(200)?;
        }
        Ok(client.exchange(&request)?.expect_status(200)?.to_string())
    }
}
