//! Logs, for operators: on stderr, for stdout belongs to the protocol and to answers.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::config::{Config, LogFormat};
use crate::error::{Error, Result, without_secrets};

/// Turns logging on for the process.
///
/// # Errors
/// `Kind::Config` when `log` is no filter.
pub fn start(config: &Config) -> Result<()> {
    let filter = filter(&config.log).ok_or_else(|| {
        let origin = config.origin_of("log");
        Error::config(format!(
            "log is {:?} (from {origin}); wanted is a level such as info, or a filter such as chaterimo::http=debug,warn.",
            config.log
        ))
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let layer = match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    registry().with(layer).with(filter).try_init().map_err(Error::internal)?;
    // The usual hook would print what a panic says as it is.
    std::panic::set_hook(Box::new(|panic| {
        let text = without_secrets(panic.payload_as_str().unwrap_or("(no text)"));
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, panic = %text, "a thread met a fault of the program");
    }));
    Ok(())
}

/// What passes: a level (of whatever has none of its own), and levels of parts of the program, separated by commas.
fn filter(text: &str) -> Option<Targets> {
    let level = |text: &str| text.parse::<LevelFilter>().ok().filter(|_| !text.is_empty());
    text.split(',').try_fold(Targets::new(), |targets, part| match part.split_once('=') {
        None => Some(targets.with_default(level(part)?)),
        Some(("", _)) => None,
        Some((target, named)) => Some(targets.with_target(target, level(named)?)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_and_levels_of_parts() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(filter(text).map(|found| found.to_string()).as_deref(), expected, "{text}");
        };
        check("info", Some("info"));
        check("off", Some("off"));
        check("chaterimo::http=debug,warn", Some("chaterimo::http=debug,warn"));
        for text in
            ["", "inof", "chaterimo", "chaterimo=", "=info", "chaterimo=loud", ",", "info,", "a=info=debug"]
        {
            check(text, None);
        }
    }
}
