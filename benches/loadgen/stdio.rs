//! `stdio`: cold start. A client feels the time from starting the process to the first answer.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio as Pipe};

use chaterimo::clock;
use clap::Args;
use serde_json::json;

use crate::process::resident_kib;
use crate::{Result, percentile_us};

#[derive(Args)]
pub struct Stdio {
    /// The JSON-RPC message that is sent first.
    #[arg(long)]
    body: String,
    /// How many times the command is started.
    #[arg(long, default_value_t = 20)]
    count: usize,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

impl Stdio {
    pub fn run(&self) -> Result<String> {
        let mut nanos = Vec::new();
        let mut resident = 0;
        for _ in 0..self.count {
            let (elapsed, kib) = self.start()?;
            nanos.push(elapsed);
            resident = resident.max(kib);
        }
        nanos.sort_unstable();
        let ms = |share| percentile_us(&nanos, share) / 1e3;
        let report = json!({
            "count": nanos.len(),
            "p50_ms": ms(0.5),
            "min_ms": ms(0.0),
            "max_ms": ms(1.0),
            "resident_kib": resident,
        });
        Ok(report.to_string())
    }

    /// Starts the command once: nanoseconds to its first answer, and its memory then in KiB.
    fn start(&self) -> Result<(u64, u64)> {
        let (program, arguments) = self.command.split_first().ok_or("no command to start")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Pipe::piped()).stdout(Pipe::piped());
        let start = clock::instant();
        let mut child = command.spawn()?;
        let line = self.ask(&mut child);
        let elapsed = start.elapsed().as_nanos() as u64;
        let resident = resident_kib(child.id());
        // The end of its input ends it, as with every client; killed, it would leave the next start work to do.
        drop(child.stdin.take());
        child.wait()?;
        match line? {
            line if line.contains("\"result\"") => Ok((elapsed, resident?)),
            line => Err(format!("a result was expected, this came: {line}").into()),
        }
    }

    fn ask(&self, child: &mut Child) -> Result<String> {
        let input = child.stdin.as_mut().ok_or("the command has no standard input")?;
        writeln!(input, "{}", self.body)?;
        input.flush()?;
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().ok_or("the command has no standard output")?)
            .read_line(&mut line)?;
        Ok(line)
    }
}
