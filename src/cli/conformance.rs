//! `chaterimo conformance`: whether an MCP server keeps to the specification.

mod identities;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;

use self::identities::Identities;
use super::fields::{self, Field};
use super::{Context, runtime};
use crate::conformance::expected::Expected;
use crate::conformance::report::{Form, Judged};
use crate::conformance::{self, Calls, Finding, News, Over, Plan, Report, login, page};
use crate::error::{Error, Kind, Result};
use crate::peer::{Options, Target};
use crate::protocol::revision::Revision;

/// `chaterimo conformance URL`, or `chaterimo conformance -- COMMAND…`
#[derive(clap::Args)]
pub struct Args {
    /// The eras to test
    #[arg(long, value_name = "ERA", default_value = "both")]
    era: Era,
    /// A revision to test, instead of the newest of each era; give it once for each
    #[arg(long = "revision", value_name = "REVISION", value_parser = revision)]
    revisions: Vec<Revision>,
    /// A field of every HTTP request, such as 'Authorization: Bearer …'; give it once for each
    #[arg(long = "header", value_name = "'NAME: VALUE'", value_parser = fields::read, conflicts_with = "command")]
    headers: Vec<Field>,
    /// Run this check alone, or those whose ids begin like it, such as tools or tools.list; give it once for each
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Call this tool, with these arguments, though it does not say that it only reads; give it once for each
    #[arg(long = "call", value_name = "NAME='{…}'", value_parser = call)]
    calls: Vec<(String, Value)>,
    /// A file of failures that are known, in the form of the official suite; one that fails no more is a failure too
    #[arg(long, value_name = "FILE")]
    expected_failures: Option<PathBuf>,
    /// The form of the report
    #[arg(long, value_name = "FORM", default_value = "text")]
    output: Form,
    /// Write the report to this file, and the text to the screen all the same
    #[arg(long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// List the checks, and test nothing
    #[arg(long)]
    list: bool,
    /// The longest to wait for an answer, in seconds [default: 10, and 30 for the first one of a process]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: Option<u64>,
    /// Trust the certificate authorities in this PEM file as well
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    identities: Identities,
    /// The MCP server to test over HTTP, such as https://mcp.example.com/mcp
    #[arg(required_unless_present_any = ["command", "list"], conflicts_with = "command")]
    url: Option<String>,
    /// The command of an MCP server on stdio, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Era {
    Modern,
    Legacy,
    Both,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        if self.list {
            return list(context);
        }
        self.fits()?;
        let expected = self.expected()?;
        let unknown = expected.unknown();
        if !unknown.is_empty() {
            let names = unknown.join(", ");
            context
                .out
                .note(format!("--expected-failures: no check of ours, and so never looked at: {names}."));
        }
        let (form, file) = (self.output, self.output_file.clone());
        let runtime = runtime()?;
        let verbose = context.verbose;
        let watch = |news: News<'_>| match news {
            News::Found(finding) if verbose => tell(context, finding),
            News::Found(_) => {}
            News::Waits(what) => context.out.note(what),
        };
        let (only, named, is_stdio) = (self.only.clone(), self.revisions.clone(), self.url.is_none());
        let logins = self.identities.logins(self.url.as_deref().unwrap_or_default(), self.ca_file.as_deref());
        let report = runtime.block_on(login::run(self.plan(), logins, watch)).map_err(could_not_run)?;
        if report.findings.is_empty() {
            return Err(nothing_tested(&only, is_stdio));
        }
        let judged = Judged { report: &report, expected: &expected };
        match file {
            None => context.out.line(judged.write(form).trim_end())?,
            Some(file) => {
                std::fs::write(&file, judged.write(form)).map_err(|e| {
                    Error::invalid(format!("{} cannot be written: {e}.", file.display())).because(e)
                })?;
                context.out.line(judged.write(Form::Text).trim_end())?;
            }
        }
        match (judged.failures(), judged.stale().len()) {
            (0, 0) => not_as_named(&report, &named).map_or(Ok(()), Err),
            (1, 0) => Err(Error::new(Kind::Conflict, "1 check failed.")),
            (failed, 0) => Err(Error::new(Kind::Conflict, format!("{failed} checks failed."))),
            (failed, stale) => {
                let text = format!("{failed} checks failed, and {stale} expected to fail did not.");
                Err(Error::new(Kind::Conflict, text))
            }
        }
    }

    fn expected(&self) -> Result<Expected> {
        let Some(file) = &self.expected_failures else { return Ok(Expected::default()) };
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::invalid(format!("{} cannot be read: {e}.", file.display())).because(e))?;
        Expected::parse(&text)
    }

    /// Whether the flags can all be followed, before anything is sent.
    fn fits(&self) -> Result<()> {
        self.eras_fit()?;
        self.identities.fit(&self.headers)?;
        let mut names = BTreeSet::new();
        if let Some((twice, _)) = self.calls.iter().find(|(name, _)| !names.insert(name)) {
            return Err(Error::invalid(format!(
                "--call {twice} is there twice, and a tool is called once: leave out one of the two."
            )));
        }
        let folder = self.output_file.as_deref().map(|file| file.parent().unwrap_or(file));
        match folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            Some(folder) => Err(Error::invalid(format!(
                "--output-file: there is no folder {}; make it first.",
                folder.display()
            ))),
            None => Ok(()),
        }
    }

    fn eras_fit(&self) -> Result<()> {
        let is_other = |revision: &&Revision| match self.era {
            Era::Both => false,
            Era::Modern => !revision.is_modern(),
            Era::Legacy => revision.is_modern(),
        };
        let era = if self.era == Era::Modern { "modern" } else { "legacy" };
        self.revisions.iter().find(is_other).map_or(Ok(()), |other| {
            Err(Error::invalid(format!(
                "--revision {other} is not of --era {era}: leave out one of the two."
            )))
        })
    }

    fn plan(mut self) -> Plan {
        let mut seen = BTreeSet::new();
        self.revisions.retain(|revision| seen.insert(*revision));
        let revisions = match (self.era, self.revisions.is_empty()) {
            (_, false) => self.revisions,
            (Era::Both, _) => vec![Revision::MODERN, Revision::LAST_LEGACY],
            (Era::Modern, _) => vec![Revision::MODERN],
            (Era::Legacy, _) => vec![Revision::LAST_LEGACY],
        };
        let target = match self.url {
            Some(url) => Target::Url(url),
            None => Target::Command(self.command),
        };
        let usual = Options::new(target);
        let timeout = self.timeout.map(Duration::from_secs);
        let options = Options {
            headers: self.headers,
            ca_file: self.ca_file,
            patience: timeout.unwrap_or(usual.patience),
            first: timeout.unwrap_or(usual.first),
            ..usual
        };
        let other = self.identities.other(&options);
        Plan { options, other, revisions, only: self.only, calls: self.calls.into_iter().collect::<Calls>() }
    }
}

/// Whatever kept the checks from running is told apart from a check that failed.
fn could_not_run(error: Error) -> Error {
    Error { kind: Kind::Invalid, ..error }
}

fn tell(context: &Context, finding: &Finding) {
    let (check, outcome) = (finding.check, &finding.outcome);
    context.out.note(format!("{} {} {} {}", finding.revision, check.id, outcome.word(), outcome.text()));
    finding.said.iter().for_each(|line| context.out.note(format!("    {line}")));
}

fn list(context: &mut Context) -> Result<()> {
    let rows = login::all().map(|check| {
        let url = page(check.source, check.applies.newest());
        let cells = [check.id, check.level.word(), check.title, &url, &check.scenarios.join(" ")];
        cells.map(str::to_owned).to_vec()
    });
    context
        .out
        .table(&["CHECK", "LEVEL", "ABOUT", "SPECIFICATION", "OFFICIAL SCENARIOS"], &rows.collect::<Vec<_>>())
}

fn revision(text: &str) -> Result<Revision, String> {
    let all = || crate::protocol::revision::SUPPORTED.map(Revision::as_str).join(", ");
    Revision::parse(text).ok_or_else(|| format!("there are {}", all()))
}

fn call(text: &str) -> Result<(String, Value), String> {
    const WANTED: &str = "wanted is the name of a tool and its arguments as a JSON object, in quotes for the shell, such as \
                          get_weather='{\"city\": \"Berlin\"}'";
    let (name, arguments) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(WANTED)?;
    match serde_json::from_str::<Value>(arguments) {
        Ok(arguments) if arguments.is_object() => Ok((name.to_owned(), arguments)),
        Ok(_) => Err(format!("the arguments are no JSON object; {WANTED}")),
        Err(e) => Err(format!("the arguments are no JSON ({e}); {WANTED}")),
    }
}

/// That a revision which was `named` was not tested, or another in its place: whoever names one wants to know of it.
fn not_as_named(report: &Report, named: &[Revision]) -> Option<Error> {
    report.lanes.iter().filter(|lane| named.contains(&lane.asked)).find_map(|lane| {
        let why = match &lane.tested {
            Ok((revision, _)) if *revision == lane.asked => return None,
            Ok((revision, _)) => format!("the server answers with {revision}, which was tested instead"),
            Err(why) => why.trim_end_matches('.').to_owned(),
        };
        Some(Error::invalid(format!("--revision {} was not tested: {why}.", lane.asked)))
    })
}

/// Why no check of `only` was run.
fn nothing_tested(only: &[String], is_stdio: bool) -> Error {
    let wanted: Vec<_> = login::all().filter(|check| only.iter().any(|id| check.is_of(id))).collect();
    let other = if is_stdio { Over::Http } else { Over::Stdio };
    let all_are = |era: conformance::Era| wanted.iter().all(|check| check.applies.era == era);
    let what = match () {
        () if wanted.iter().all(|check| check.applies.over == other) => match is_stdio {
            true => "are for servers over HTTP: give a URL",
            false => "are for servers on stdio: give a command, behind --",
        },
        () if all_are(conformance::Era::Modern) => {
            "are of the modern era, in which the server was not tested"
        }
        () if all_are(conformance::Era::Legacy) => {
            "are of the legacy era, in which the server was not tested"
        }
        () => "apply to none of the revisions that were tested",
    };
    Error::invalid(format!("Nothing was tested: the checks of --only {} {what}.", only.join(", ")))
}
