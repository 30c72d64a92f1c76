//! `chaterimo backup`: one moment of the database in a file, while servers go on.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Context, organisations};
use crate::error::{Error, Kind, Result};
use crate::keyring::{ENDS, KEYRING_FILE};
use crate::store::backup;

/// `chaterimo backup FILE`
#[derive(clap::Args)]
pub struct Args {
    /// The file to write; it must not exist
    file: PathBuf,
    /// Write the keyring to FILE.keyring as well: with it, whoever has the backup can forge sign-ins and tokens
    #[arg(long)]
    with_keyring: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let folder = &context.config.data_dir;
        let (own, keyring) = (folder.join(KEYRING_FILE), keyring_beside(&self.file));
        if self.with_keyring && !own.exists() {
            return Err(Error::not_found(format!("There is no keyring in {} yet.", folder.display())));
        }
        if self.with_keyring && keyring.exists() {
            return Err(Error::new(
                Kind::Conflict,
                format!("{} exists: name another file.", keyring.display()),
            ));
        }
        let summary = backup::save(folder, &self.file)?;
        if self.with_keyring {
            copy_keyring(&own, &keyring)?;
        }
        context.out.line(format!(
            "Saved {}, {} bytes, to {}.",
            organisations(summary.organisations),
            summary.bytes,
            self.file.display()
        ))?;
        let kept = if self.with_keyring {
            format!("The keyring is in {}: keep it apart and secret.", keyring.display())
        } else {
            format!(
                "The keyring is not in it: restored where {KEYRING_FILE} is not, API keys hold, but {ENDS} end. Keep a \
                 copy of it apart, or use --with-keyring."
            )
        };
        context.out.line(kept)
    }
}

/// Where the keyring of a backup lies.
pub(super) fn keyring_beside(backup: &Path) -> PathBuf {
    let mut name = backup.as_os_str().to_owned();
    name.push(".keyring");
    PathBuf::from(name)
}

/// Copies a keyring with its permissions, 0600.
pub(super) fn copy_keyring(from: &Path, to: &Path) -> Result<()> {
    let refuse = |e| {
        let (from, to) = (from.display(), to.display());
        Error::invalid(format!("The keyring {from} cannot be copied to {to}: {e}.")).because(e)
    };
    fs::copy(from, to).and_then(|_| fs::File::open(to)?.sync_all()).map_err(refuse)
}
