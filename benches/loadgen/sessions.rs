//! `sessions`: legacy sessions are opened by `initialize` and `notifications/initialized`, and left idle.

use std::thread;
use std::time::Duration;

use chaterimo::clock;
use clap::Args;
use serde_json::json;

use crate::http::{Client, Target};
use crate::process::resident_kib;
use crate::{Result, percentile_us};

#[derive(Args)]
pub struct Sessions {
    #[command(flatten)]
    target: Target,
    /// How many sessions.
    #[arg(long, default_value_t = 10_000)]
    count: usize,
    /// On how many connections they are opened; all are closed before memory is read.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// The server's process.
    #[arg(long)]
    pid: u32,
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"loadgen","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// So many sessions come before, for what the server allocates once.
const WARM: usize = 200;
/// How long the server may take to put away what the closed connections held.
const SETTLE: Duration = Duration::from_secs(1);

impl Sessions {
    pub fn run(&self) -> Result<String> {
        self.open_all(WARM)?;
        let before = resident_kib(self.pid)?;
        let start = clock::instant();
        let mut nanos = self.open_all(self.count)?;
        let seconds = (start.elapsed() - SETTLE).as_secs_f64();
        let after = resident_kib(self.pid)?;
        nanos.sort_unstable();
        let grown = after.saturating_sub(before);
        let report = json!({
            "sessions": nanos.len(),
            "before_kib": before,
            "after_kib": after,
            "bytes_each": grown as f64 * 1024.0 / nanos.len().max(1) as f64,
            "opened_per_second": nanos.len() as f64 / seconds,
            "p50_us": percentile_us(&nanos, 0.5),
        });
        Ok(report.to_string())
    }

    /// Opens at least `count` sessions, closes the connections and lets the server settle; how long each took, in
    /// nanoseconds.
    fn open_all(&self, count: usize) -> Result<Vec<u64>> {
        let each = count.div_ceil(self.connections);
        let nanos = thread::scope(|scope| {
            let threads: Vec<_> = (0..self.connections)
                .map(|_| scope.spawn(move || self.open_on_one_connection(each)))
                .collect();
            let mut nanos = Vec::new();
            for thread in threads {
                nanos.extend(thread.join().map_err(|_| "a connection's thread panicked")??);
            }
            Ok(nanos)
        });
        thread::sleep(SETTLE);
        nanos
    }

    fn open_on_one_connection(&self, count: usize) -> Result<Vec<u64>> {
        let mut client = self.target.connect()?;
        let initialize = self.target.post(INITIALIZE, &[])?;
        (0..count).map(|_| self.open(&mut client, &initialize)).collect()
    }

    fn open(&self, client: &mut Client, initialize: &[u8]) -> Result<u64> {
        let start = clock::instant();
        let answer = client.exchange(initialize)?.expect_status(200)?;
        let id = answer.header("mcp-session-id").ok_or("initialize was answered without Mcp-Session-Id")?;
        let session = [format!("Mcp-Session-Id: {id}"), "MCP-Protocol-Version: 2025-11-25".to_owned()];
        client.exchange(&self.target.post(INITIALIZED, &session)?)?.expect_status(202)?;
        Ok(start.elapsed().as_nanos() as u64)
    }
}
