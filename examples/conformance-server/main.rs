//! What the official conformance suite wants of a server, behind the engine and the Streamable HTTP driver of the product:
//! tools, prompts and resources with the names that its scenarios call. They are data (`*.json`); the code here knows how
//! such a row is answered, not which there are. It has no credentials and keeps everything in memory: for tests alone.
//!
//! `conformance-server --port N` serves `http://127.0.0.1:N/mcp`, and prints that URL when it listens; 0 is a free port.

mod ask;
mod data;
mod fill;
mod host;
mod http;
mod tasks;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use chaterimo::local::{self, Local};

use host::Fixture;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const USAGE: &str = "usage: conformance-server --port N";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ["--port", port] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] else {
        return Err(USAGE.into());
    };
    let local = Local::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?))).await?;
    writeln!(std::io::stdout(), "{}/mcp", local.origin())?;
    tokio::select! {
        served = serve(local) => served,
        () = local::stopped() => Ok(()),
    }
}

/// Serves until dropped.
pub async fn serve(local: Local) -> Result<()> {
    let fixture = Fixture::new()?;
    local.serve(move |request| http::answer(fixture.clone(), request)).await;
    Ok(())
}
