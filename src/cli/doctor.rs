//! `chaterimo doctor`: looks at everything a server needs, and says what to do about what is wrong.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

use super::{Context, flags, organisations};
use crate::config::Config;
use crate::error::{Error, Kind, Result};
use crate::http;
use crate::keyring::{ENDS, KEYRING_FILE, Keyring};
use crate::oauth;
use crate::store::{self, DATABASE_FILE, Store, organisation};

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
        let Context { config, out, clock, .. } = context;
        let folder = &config.data_dir;
        let checks: [(&str, Finding); 7] = [
            ("settings", settings(config)),
            ("data folder", data_folder(folder)),
            ("keyring", keyring(folder, clock.now())),
            ("database", database(folder)),
            ("certificate", certificate(config)),
            ("known apps", documents(config)),
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
    if Keyring::is_missing(folder) {
        let database = folder.join(DATABASE_FILE).exists();
        // A database that cannot be read is its own finding.
        let all = || Store::open(folder)?.read(organisation::list);
        let held = database && all().is_ok_and(|all| !all.is_empty());
        return match held {
            false => Ok("not there yet; the first start makes it".to_owned()),
            true => Err(Error::config(format!(
                "{KEYRING_FILE} is lost, and with it {ENDS} (API keys hold): put its copy back into {}. The next start \
                 makes another, with which people sign in and connect their apps anew.",
                folder.display()
            ))),
        };
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
    let count = store.read(organisation::list)?.len() as i64;
    Ok(format!("sound; {}; SQLite {}", organisations(count), crate::store::sqlite_version()))
}

fn certificate(config: &Config) -> Finding {
    match (&config.tls_cert, &config.tls_key) {
        (Some(certificate), Some(key)) => {
            http::acceptor(certificate, key).map(|_| "certificate and key belong together".to_owned())
        }
        _ => Ok("none: the server speaks plain HTTP".to_owned()),
    }
}

/// Whether the operator's client documents, and the authority they are fetched with, can be read, as `serve` does.
pub(super) fn documents(config: &Config) -> Finding {
    let origin = config.public_origin(config.listen);
    oauth::Documents::open(&oauth::document::Options::new(config), &origin)?;
    Ok(config.client_documents_dir.as_ref().map_or_else(
        || "those that come with the program".to_owned(),
        |folder| format!("those that come with the program, and the documents in {}", folder.display()),
    ))
}

fn address(config: &Config) -> Finding {
    let listen = config.listen;
    match TcpListener::bind(listen) {
        Ok(_) => Ok(format!("{listen} is free")),
        Err(e) if e.kind() == ErrorKind::AddrInUse && store::is_served(&config.data_dir) => {
            Ok(format!("{listen} is taken; a server of this folder runs and answers there"))
        }
        Err(e) => Err(Error::config(format!(
            "{listen} cannot be listened on ({e}): another program has it, or it is not this machine's. Stop that, or \
             set listen."
        ))),
    }
}
