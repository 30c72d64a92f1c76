//! The command line: a file for each command, a line for each in the table below.
//!
//! A command gets the settings as they were found, writes its answer to stdout and fails with one plain sentence on
//! stderr. Exit codes: 0 done, 1 failed, 2 wrong arguments or settings; `record` passes on that of the command it runs.
// The documentation of an argument is its help text, where brackets and bare addresses are what they seem.
#![allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links)]

mod backup;
mod client;
mod config;
mod conformance;
mod diff;
mod doctor;
mod fields;
mod flags;
mod greeting;
mod import;
mod key;
mod keyring;
mod logging;
mod org;
mod output;
mod plan;
mod reading;
mod record;
mod replay;
mod restore;
mod serve;
mod stdio;
mod url;
mod user;
mod verify;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::app;
use crate::clock::{Clock, Time};
use crate::config::{Config, Environment};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::store::{DATABASE_FILE, Store};
pub use output::Output;

/// What every command gets.
pub struct Context {
    /// The settings.
    pub config: Config,
    /// Where answers go.
    pub out: Output,
    /// What time it is.
    pub clock: Clock,
    /// Say more, on stderr.
    pub verbose: bool,
    /// What the process exits with when the command is done and did not fail.
    pub code: ExitCode,
}

impl Context {
    /// The database of the data folder, which must be there.
    ///
    /// # Errors
    /// `NotFound` when there is none; those of [`Store::open`].
    fn open(&self) -> Result<Store> {
        let folder = &self.config.data_dir;
        if !folder.join(DATABASE_FILE).exists() {
            return Err(Error::not_found(format!(
                "There is no database in {} (data_dir, from {}): make one with `chaterimo org create`, or give \
                 --data-dir.",
                folder.display(),
                self.config.origin_of("data_dir")
            )));
        }
        Store::open(folder)
    }

    /// The keyring beside `store`, the database of the data folder; made if it is not there, and then with a complaint
    /// where one was lost.
    fn keyring(&self, store: &Store) -> Result<Keyring> {
        app::open_keyring(store, &self.config.data_dir, self.clock.now())
    }

    /// The URL that people use for `path`, by public_url or else by listen, which is then said on stderr.
    fn public(&self, path: &str) -> String {
        if self.config.public_url.is_none() {
            self.out.note(format!(
                "(It leads to this machine only: public_url, in {} or as --public-url, changes that.)",
                self.config.data_dir.join("chaterimo.toml").display()
            ));
        }
        format!("{}{path}", self.config.public_origin(self.config.listen))
    }

    /// The database of the data folder, made with its keyring if it is not there.
    fn open_or_make(&self) -> Result<Store> {
        let store = Store::open(&self.config.data_dir)?;
        self.keyring(&store)?;
        Ok(store)
    }
}

/// What commands that wait for others run on: this thread alone.
fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::internal)
}

/// How many organisations there are, in words.
fn organisations(count: i64) -> String {
    format!("{count} {}", if count == 1 { "organisation" } else { "organisations" })
}

/// How a thing stands that may have ended: `active`, or `word` and since when.
fn state(word: &str, since: Option<Time>) -> String {
    since.map_or_else(|| "active".to_owned(), |since| format!("{word} {since}"))
}

macro_rules! commands {
    ($( $(#[doc = $doc:literal])+ $name:ident($module:ident); )+) => {
        #[derive(Subcommand)]
        enum Command {
            $( $(#[doc = $doc])+ $name($module::Args), )+
        }

        impl Command {
            fn run(self, context: &mut Context) -> Result<()> {
                match self { $( Command::$name(args) => args.run(context), )+ }
            }
        }
    };
}

commands! {
    /// Serve MCP over HTTP
    Serve(serve);
    /// Speak MCP on stdin and stdout, answered from the local database or by a remote server
    Stdio(stdio);
    /// Import products, conversations and all the rest from files
    Import(import);
    /// Make, list, suspend and resume organisations
    Org(org);
    /// Invite, list and remove the members of an organisation
    User(user);
    /// Make, list and revoke API keys
    Key(key);
    /// Add, list and drop the keys that sign tokens and sign-ins
    Keyring(keyring);
    /// Make, list and revoke tokenized URLs, for clients that can send no header
    Url(url);
    /// Enter, list and remove apps that people connect with, where they cannot register themselves
    Client(client);
    /// Set how much an organisation may call
    Plan(plan);
    /// Save the database to a file, while servers go on
    Backup(backup);
    /// Put a backup in the place of the database
    Restore(restore);
    /// Look for what is wrong, and say what to do
    Doctor(doctor);
    /// Record what a client and an MCP server say to each other
    Record(record);
    /// Answer a client from a recording, without the server
    Replay(replay);
    /// Say to a server what a recorded client said, and tell what is answered differently
    Verify(verify);
    /// Tell what changed between two lists of tools, and whether it breaks anything
    Diff(diff);
    /// Check whether an MCP server, in any language, keeps to the specification
    Conformance(conformance);
    /// Show the settings and check them
    Config(config);
}

/// The MCP server of a store chatbot platform
#[derive(Parser)]
#[command(name = "chaterimo", version, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    everywhere: flags::Everywhere,
    #[command(subcommand)]
    command: Command,
}

/// Runs the command that the process's arguments name.
pub fn run() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(wrong) => return refuse(wrong),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(wrong) => wrong.exit(),
    };
    let verbose = cli.everywhere.verbose;
    match start(cli, &flags::collect(&matches)) {
        Ok(code) => code,
        Err(error) => {
            output::complain(&error, verbose);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// What the commands that talk to a server, or read what was said to one, are given, with an example.
const WANTED: [(&str, &str, &str); 4] = [
    (
        "record",
        "--out FILE and the server's URL or `-- COMMAND`",
        "--out session.jsonl http://127.0.0.1:3000/mcp",
    ),
    ("verify", "a recording and the server's URL or `-- COMMAND`", "session.jsonl http://127.0.0.1:3000/mcp"),
    (
        "diff",
        "two of: a recording, a file or folder of tools, a server's URL",
        "session.jsonl http://127.0.0.1:3000/mcp",
    ),
    ("conformance", "the server's URL or `-- COMMAND`", "http://127.0.0.1:3000/mcp"),
];

/// Says what is wrong with the arguments; where something is missing of the commands in [`WANTED`], what is wanted.
fn refuse(wrong: clap::Error) -> ExitCode {
    let usage = wrong.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let is_of = |name: &str| usage.contains(&format!("chaterimo {name} "));
    match WANTED.iter().find(|(name, ..)| wrong.kind() == ErrorKind::MissingRequiredArgument && is_of(name)) {
        Some((name, what, example)) => {
            let text = format!("{name} wants {what}, such as: chaterimo {name} {example}");
            output::complain(&Error::invalid(text), false);
            ExitCode::from(2)
        }
        None => without_secrets(wrong).exit(),
    }
}

/// The error without what came, where that may be a credential that was written wrongly: it would stand in logs of CI.
fn without_secrets(mut error: clap::Error) -> clap::Error {
    let flag = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if flag.contains("header") && error.remove(ContextKind::InvalidValue).is_some() {
        error.insert(ContextKind::InvalidValue, ContextValue::String("…".to_owned()));
    }
    error
}

fn start(cli: Cli, flags: &crate::config::Flags) -> Result<ExitCode> {
    let config = Config::load(flags, &Environment::of_process()?)?;
    logging::start(&config)?;
    for variable in &config.unknown_variables {
        tracing::warn!(variable, "an environment variable looks like a setting but is none");
    }
    let verbose = cli.everywhere.verbose;
    let (out, clock, code) = (Output::default(), Clock::System, ExitCode::SUCCESS);
    let mut context = Context { config, out, clock, verbose, code };
    cli.command.run(&mut context).map(|()| context.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
