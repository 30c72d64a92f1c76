//! The command line: a file for each command, a line for each in the table below.
//!
//! A command gets the settings as they were found, writes its answer to stdout and fails with one plain sentence on
//! stderr. Exit codes: 0 done, 1 failed, 2 wrong arguments or settings.

mod config;
mod flags;
mod logging;
mod output;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Config, Environment};
use crate::error::Result;
pub use output::Output;

/// What every command gets.
pub struct Context {
    /// The settings.
    pub config: Config,
    /// Where answers go.
    pub out: Output,
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
        Err(help) => help.exit(),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(wrong) => wrong.exit(),
    };
    let verbose = cli.everywhere.verbose;
    match start(cli, &flags::collect(&matches)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error, verbose);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

fn start(cli: Cli, flags: &crate::config::Flags) -> Result<()> {
    let config = Config::load(flags, &Environment::of_process()?)?;
    logging::start(&config)?;
    for variable in &config.unknown_variables {
        tracing::warn!(variable, "an environment variable looks like a setting but is none");
    }
    cli.command.run(&mut Context { config, out: Output::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
