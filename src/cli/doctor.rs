//! `chaterimo doctor`: looks at everything a server needs, and says what to do about what is wrong.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use super::{Context, flags};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::keyring::{KEYRING_FILE, Keyring};
use crate::store::{DATABASE_FILE, Store, organisation};

/// `chaterimo doctor`
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    _serving: flags::Serving,
}

/// What a check found: good news, or what is wrong and what to do.
type Finding = Result<String>;

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let Context { config, out, clock } = context;
        let folder = &config.data_dir;
        let checks: [(&str, Finding); 6] = [
            ("settings", settings(config)),
            ("data folder", data_folder(folder)),
            ("keyring", keyring(folder, clock.now())),
            ("database", database(folder)),
            ("certificate", certificate(config)),
            ("address", address(config)),
        ];
        let wrong = checks.iter().filter(|(_, finding)| finding.is_err()).count();
        for (name, finding) in checks {
            let (mark, text) = match finding {
                Ok(text) => ("ok", text),
                Err(error) => ("WRONG", error.public),
            };
            out.line(format!("{mark:<6} {name:<12} {text}"))?;
        }
        match wrong {
            0 => out.line("All is well."),
            1 => Err(Error::new(Kind::Conflict, "1 thing is wrong.")),
            _ => Err(Error::new(Kind::Conflict, format!("{wrong} things are wrong."))),
        }
    }
}

fn settings(config: &Config) -> Finding {
    config.check_serving(false)?;
    match config.unknown_variables.as_slice() {
        [] => Ok("in order; `chaterimo config check` shows them".to_owned()),
        unknown => {
            Err(Error::config(format!("No settings are named {}: unset or mend.", unknown.join(", "))))
        }
    }
}

fn data_folder(folder: &Path) -> Finding {
    let shown = folder.display();
    if !folder.exists() {
        return Ok(format!("{shown} is not there yet; the first start makes it"));
    }
    let probe = folder.join(".doctor");
    fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe)).map_err(|e| {
        Error::config(format!(
            "{shown} cannot be written to ({e}): mend its owner and mode, or set data_dir."
        ))
    })?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder).map(|found| found.permissions().mode() & 0o777).unwrap_or(0o700);
        if mode & 0o077 != 0 {
            return Err(Error::config(format!(
                "{shown} is open to others (mode {mode:03o}). Run: chmod 700 {shown}"
            )));
        }
    }
    Ok(format!("{shown} can be written to, by its owner alone"))
}

fn keyring(folder: &Path, now: crate::clock::Time) -> Finding {
    if !folder.join(KEYRING_FILE).exists() {
        return Ok("not there yet; the first start makes it".to_owned());
    }
    Keyring::open(folder, now).map(|_| "sound, and readable by its owner alone".to_owned())
}

fn database(folder: &Path) -> Finding {
    if !folder.join(DATABASE_FILE).exists() {
        return Ok("not there yet; the first start makes it".to_owned());
    }
    let store = Store::open(folder)?;
    if let Some(fault) = store.quick_check()?.first() {
        return Err(Error::new(
            Kind::Unavailable,
            format!("Damaged ({}): stop the server and run `chaterimo restore`.", fault.replace('\n', " ")),
        ));
    }
    let organisations = store.read(organisation::list)?.len();
    Ok(format!("sound; {organisations} organisations; SQLite {}", crate::store::sqlite_version()))
}

fn certificate(config: &Config) -> Finding {
    match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => {
            http::acceptor(certificate, key).map(|_| "certificate and key belong together".to_owned())
        }
        _ => Ok("none: the server speaks plain HTTP".to_owned()),
    }
}

fn address(config: &Config) -> Finding {
    let listen = config.listen;
    TcpListener::bind(listen).map(|_| format!("{listen} is free")).map_err(|e| {
        Error::config(format!(
            "{listen} cannot be listened on ({e}): a server runs there already, or set listen."
        ))
    })
}
