//! Flags made from the table of settings, so that a setting is a flag without a second list.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::config::{Flags, Reach, SETTINGS, Setting};

/// Flags of every command: the settings everybody needs, and what is about the command line itself.
#[derive(clap::Args)]
pub struct Everywhere {
    /// Read the settings from this file instead of DIR/chaterimo.toml [env: CHATERIMO_CONFIG]
    #[arg(
        id = "settings file",
        long = "config",
        global = true,
        value_name = "FILE",
        help_heading = "Settings"
    )]
    pub file: Option<PathBuf>,
    /// When something fails, say the cause beneath it as well; of conformance, all that is sent
    #[arg(short, long, global = true)]
    pub verbose: bool,
    #[command(flatten)]
    settings: Common,
}

/// The settings that every command takes.
struct Common;

/// The settings that commands which serve, or check what is served, take beside those.
pub struct Serving;

/// The settings by which a link leads to the server, for commands that print one.
pub struct Links;

/// Those, and whether the server answers tokenized URLs.
pub struct TokenizedUrls;

/// What the flags among `matches` and its subcommands say.
pub fn collect(matches: &ArgMatches) -> Flags {
    let mut flags = Flags { file: matches.get_one("settings file").cloned(), ..Flags::default() };
    let mut level = Some(matches);
    while let Some(matches) = level {
        for setting in SETTINGS {
            if let Ok(Some(text)) = matches.try_get_one::<String>(&id(setting)) {
                flags.values.insert(setting.name, text.clone());
            }
        }
        level = matches.subcommand().map(|(_, inner)| inner);
    }
    flags
}

/// A name no argument of a command has.
fn id(setting: &Setting) -> String {
    format!("setting {}", setting.name)
}

fn argument(setting: &Setting) -> Arg {
    let default =
        if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
    let help = format!("{}{default} [env: {}]", setting.about.trim(), setting.variable());
    let argument = Arg::new(id(setting)).long(setting.flag()).help(help).help_heading("Settings");
    if setting.switch {
        let argument = argument.num_args(0..=1).require_equals(true).default_missing_value("true");
        argument.value_name("true|false")
    } else {
        argument.value_name(setting.name.to_uppercase())
    }
}

fn augment(command: Command, global: bool, taken: impl Fn(&Setting) -> bool) -> Command {
    let settings = SETTINGS.iter().filter(|setting| taken(setting));
    command.args(settings.map(|setting| argument(setting).global(global)))
}

macro_rules! flags_of {
    ($type:ident, $global:literal, $taken:expr) => {
        impl clap::Args for $type {
            fn augment_args(command: Command) -> Command {
                augment(command, $global, $taken)
            }
            fn augment_args_for_update(command: Command) -> Command {
                augment(command, $global, $taken)
            }
        }

        impl clap::FromArgMatches for $type {
            fn from_arg_matches(_: &ArgMatches) -> Result<$type, clap::Error> {
                Ok($type)
            }
            fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
                Ok(())
            }
        }
    };
}

flags_of!(Common, true, |setting| setting.reach == Reach::Everywhere);
flags_of!(Serving, false, |setting| setting.reach == Reach::Serving);
flags_of!(Links, false, |setting| ["listen", "public_url"].contains(&setting.name));
flags_of!(TokenizedUrls, false, |setting| ["listen", "public_url", "tokenized_urls"].contains(&setting.name));
