//! `load`: a thread for each connection, each with one request in flight, for a fixed time.

use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chaterimo::clock;
use clap::Args;
use serde_json::json;

use crate::http::{Client, Target, find};
use crate::process::{CpuTime, cpu_time};
use crate::{Result, percentile_us};

#[derive(Args)]
pub struct Load {
    #[command(flatten)]
    target: Target,
    /// The JSON-RPC message.
    #[arg(long)]
    body: String,
    /// What the first answer on each connection must contain.
    #[arg(long, default_value = "\"result\"")]
    expect: String,
    /// How many connections.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// How long is measured, in seconds.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How long the same load runs before, unmeasured, in seconds.
    #[arg(long, default_value_t = 0.3)]
    warm: f64,
    /// The server's process.
    #[arg(long)]
    pid: u32,
}

/// A later answer may be shorter than the first by the digits of a counter; one that is shorter than this by far is
/// not the answer but a refusal.
const SLACK_BYTES: usize = 256;

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

impl Load {
    pub fn run(&self) -> Result<String> {
        let request = self.target.post(&self.body, &[])?;
        let mut clients = Vec::new();
        let mut body_bytes = 0;
        for _ in 0..self.connections {
            let mut client = self.target.connect()?;
            body_bytes = self.verify(&mut client, &request)?;
            clients.push(client);
        }
        let phase = AtomicU8::new(WARMING);
        thread::scope(|scope| {
            let start = |client| scope.spawn(|| drive(client, &request, body_bytes, &phase));
            let threads: Vec<_> = clients.into_iter().map(start).collect();
            let measured = self.measure(&phase);
            // Also when measuring failed, so that the threads end.
            phase.store(OVER, Ordering::Relaxed);
            let mut nanos = Vec::new();
            for thread in threads {
                nanos.extend(thread.join().map_err(|_| "a connection's thread panicked")??);
            }
            let (cpu, seconds) = measured?;
            Ok(self.report(nanos, cpu, seconds, body_bytes))
        })
    }

    /// The length of the body, once it is what is expected.
    fn verify(&self, client: &mut Client, request: &[u8]) -> Result<usize> {
        let answer = client.exchange(request)?.expect_status(200)?;
        match find(answer.body, self.expect.as_bytes()) {
            Some(_) => Ok(answer.body.len()),
            None => Err(format!("{:?} expected, this came:\n{answer}", self.expect).into()),
        }
    }

    /// The CPU time of the server within the measured time, and that time in seconds.
    fn measure(&self, phase: &AtomicU8) -> Result<(CpuTime, f64)> {
        thread::sleep(Duration::from_secs_f64(self.warm));
        let (cpu, start) = (cpu_time(self.pid)?, clock::instant());
        phase.store(MEASURING, Ordering::Relaxed);
        thread::sleep(Duration::from_secs_f64(self.seconds));
        phase.store(OVER, Ordering::Relaxed);
        Ok((cpu_time(self.pid)?.since(cpu), start.elapsed().as_secs_f64()))
    }

    fn report(&self, mut nanos: Vec<u64>, cpu: CpuTime, seconds: f64, body_bytes: usize) -> String {
        nanos.sort_unstable();
        let requests = nanos.len().max(1) as f64;
        json!({
            "connections": self.connections,
            "requests": nanos.len(),
            "requests_per_second": nanos.len() as f64 / seconds,
            "p50_us": percentile_us(&nanos, 0.5),
            "p99_us": percentile_us(&nanos, 0.99),
            "user_us": cpu.user_us / requests,
            "system_us": cpu.system_us / requests,
            "body_bytes": body_bytes,
        })
        .to_string()
    }
}

/// Sends until the time is over; the round trips of the measured time, in nanoseconds.
fn drive(mut client: Client, request: &[u8], body_bytes: usize, phase: &AtomicU8) -> Result<Vec<u64>> {
    let mut nanos = Vec::new();
    loop {
        let start: Instant = clock::instant();
        let answer = client.exchange(request)?.expect_status(200)?;
        if answer.body.len() + SLACK_BYTES < body_bytes {
            return Err(format!("the answers became another under load:\n{answer}").into());
        }
        match phase.load(Ordering::Relaxed) {
            WARMING => {}
            MEASURING => nanos.push(start.elapsed().as_nanos() as u64),
            _ => return Ok(nanos),
        }
    }
}
