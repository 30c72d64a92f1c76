//! The load generator of `benches/run.py`: measures a server that already runs, over raw sockets on threads, and
//! prints one JSON object. Closed loop: each connection sends its next request when the last answer is in.

mod http;
mod load;
mod once;
mod process;
mod sessions;
mod stdio;

use std::io::Write as _;

use clap::{CommandFactory as _, Parser, Subcommand};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
#[command(name = "loadgen", about = "Measures an MCP server from outside; benches/run.py runs it.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Repeats one request on several connections for a time: rate, latency, CPU time of the server.
    Load(load::Load),
    /// Repeats one request a number of times on one connection, then prints the last answer.
    Once(once::Once),
    /// Opens many legacy sessions and leaves them idle: memory of the server for each.
    Sessions(sessions::Sessions),
    /// Starts a command many times: time from exec to its first answer on standard output.
    Stdio(stdio::Stdio),
}

fn main() -> Result<()> {
    // `cargo bench` and `cargo test --benches` run every target so.
    if std::env::args().len() == 1 || std::env::args().any(|argument| argument == "--bench") {
        return Ok(Arguments::command().print_help()?);
    }
    let report = match Arguments::parse().command {
        Command::Load(load) => load.run()?,
        Command::Once(once) => once.run()?,
        Command::Sessions(sessions) => sessions.run()?,
        Command::Stdio(stdio) => stdio.run()?,
    };
    Ok(writeln!(std::io::stdout(), "{report}")?)
}

/// The value below which `share` (0 to 1) of the sorted values lie, in microseconds; 0 when there are none.
fn percentile_us(sorted_nanos: &[u64], share: f64) -> f64 {
    let last = sorted_nanos.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted_nanos.get(index).map_or(0.0, |nanos| *nanos as f64 / 1e3)
}
