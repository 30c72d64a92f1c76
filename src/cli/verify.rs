//! `chaterimo verify`: whether a server still answers as it was recorded.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::fields::{self, Field};
use super::{Context, reading, runtime};
use crate::error::{Error, Kind, Result};
use crate::peer::{Dialler, Options, Target};
use crate::protocol::transcript::compare::{Difference, Pointer};
use crate::verify::{Drift, Report, verify};

/// The most lines that one sentence names.
const MAX_LINES_SHOWN: usize = 20;

/// `chaterimo verify FILE URL`, or `chaterimo verify FILE -- COMMAND…`
#[derive(clap::Args)]
#[command(override_usage = "chaterimo verify [OPTIONS] <FILE> <URL>\n       \
                            chaterimo verify [OPTIONS] <FILE> -- <COMMAND>...")]
pub struct Args {
    /// The recording, made by `chaterimo record`
    #[arg(value_name = "FILE")]
    recording: PathBuf,
    /// A header of each request, such as 'Authorization: Bearer …'
    #[arg(long = "header", value_name = "'NAME: VALUE'", value_parser = fields::read)]
    headers: Vec<Field>,
    /// Leave aside what is at or below this place of an answer, such as /result/structuredContent/items/*/score
    #[arg(long = "ignore", value_name = "POINTER")]
    ignored: Vec<String>,
    /// The longest to wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The MCP server over HTTP, such as http://127.0.0.1:8080/mcp/
    #[arg(required_unless_present = "command", conflicts_with = "command")]
    url: Option<String>,
    /// The command of an MCP server on stdio, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let transcript = reading::recording(&self.recording)?;
        let ignored: Vec<Pointer> =
            self.ignored.iter().map(|pointer| Pointer::parse(pointer)).collect::<Result<_>>()?;
        let target = self.url.clone().map_or_else(|| Target::Command(self.command.clone()), Target::Url);
        let mut options = Options::new(target);
        options.headers.clone_from(&self.headers);
        options.ca_file.clone_from(&self.ca_file);
        options.patience = Duration::from_secs(self.timeout);
        options.max_requests = usize::MAX;
        let dialler = Dialler::new(options)?;
        let report = runtime()?.block_on(verify(&transcript, &dialler, &ignored))?;
        let differs = |line: &&usize| report.differences.iter().any(|drift| drift.line == **line);
        let apart: Vec<usize> = report.redacted.iter().filter(differs).copied().collect();
        if !apart.is_empty() {
            context.out.note(sent_redacted(&apart));
        }
        match self.json {
            true => context.out.line(serde_json::to_string(&report).map_err(Error::internal)?)?,
            false => show(&report, context)?,
        }
        match report.drifted {
            0 => Ok(()),
            n => Err(Error::new(
                Kind::Conflict,
                format!("{n} of {} messages are not answered as recorded.", report.messages),
            )),
        }
    }
}

/// That these lines said to the server what the recorder made up, and what to do.
fn sent_redacted(lines: &[usize]) -> String {
    let shown: Vec<String> = lines.iter().take(MAX_LINES_SHOWN).map(ToString::to_string).collect();
    let more = if lines.len() > shown.len() { " …" } else { "" };
    format!(
        "chaterimo: What the client said on these lines holds what the recorder took out, and was sent with the \
         placeholder, such as [email-1]: {}{more}. Its answers may differ for that alone. Record again with test data (e-mail \
         addresses and phone numbers stay with --keep-contacts), or leave the place aside with --ignore.",
        shown.join(", ")
    )
}

fn show(report: &Report, context: &mut Context) -> Result<()> {
    let mut line = 0;
    for Drift { line: at, message, pointer, recorded, now } in &report.differences {
        if *at != line {
            let mark = if report.redacted.contains(at) { " (sent with a placeholder)" } else { "" };
            context.out.line(format!("line {at}, {message}{mark}"))?;
            line = *at;
        }
        let pointer = if pointer.is_empty() { "the message".to_owned() } else { pointer.clone() };
        let difference = Difference { pointer, recorded: recorded.clone(), now: now.clone() };
        context.out.line(format!("  {difference}"))?;
    }
    if report.unanswered > 0 {
        let unanswered = report.unanswered;
        context.out.line(format!("Not compared, for the recording has no answer to them: {unanswered}."))?;
    }
    if report.unsent > 0 {
        context.out.line(format!("Not sent, for the server's process had ended: {}.", report.unsent))?;
    }
    match report.drifted {
        0 => {
            let compared = report.messages - report.unanswered;
            let messages = if compared == 1 { "message is" } else { "messages are" };
            context.out.line(format!("{compared} {messages} answered as recorded."))
        }
        _ => Ok(()),
    }
}
