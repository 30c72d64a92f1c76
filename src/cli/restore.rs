//! `chaterimo restore`: a backup in the place of the database. What was there is moved aside, never deleted.

use std::fs;
use std::path::{Path, PathBuf};

use super::backup::{copy_keyring, keyring_beside};
use super::{Context, organisations};
use crate::error::{Error, Result};
use crate::keyring::KEYRING_FILE;
use crate::store::{Store, backup};

/// `chaterimo restore FILE`
#[derive(clap::Args)]
pub struct Args {
    /// The backup
    file: PathBuf,
    /// Move the database that is there aside
    #[arg(long)]
    force: bool,
}

impl Args {
    pub(super) fn run(self, context: &mut Context) -> Result<()> {
        let (folder, now) = (context.config.data_dir.clone(), context.clock.now());
        let (summary, moved) = backup::put_back(&self.file, &folder, self.force, now)?;
        let keyring = keyring_beside(&self.file);
        if keyring.exists() {
            replace_keyring(&keyring, &folder, moved.as_deref())?;
        }
        // Brings the schema up to date and makes a keyring where there is none, so that a fault shows now.
        context.keyring(&Store::open(&folder)?)?;
        let place = folder.display();
        context.out.line(format!("Restored {} to {place}.", organisations(summary.organisations)))?;
        match moved {
            Some(old) => context.out.line(format!("What was there is now {}.", old.display())),
            None => Ok(()),
        }
    }
}

/// Puts the backup's keyring in place, and the one that was there beside the database that was moved.
fn replace_keyring(keyring: &Path, folder: &Path, moved: Option<&Path>) -> Result<()> {
    let place = folder.join(KEYRING_FILE);
    if place.exists() {
        let aside = keyring_beside(moved.unwrap_or(&place));
        let refuse =
            |why: String| Error::invalid(format!("The keyring {} cannot be moved: {why}.", place.display()));
        if aside.exists() {
            return Err(refuse(format!("{} is in the way", aside.display())));
        }
        fs::rename(&place, &aside).map_err(|e| refuse(e.to_string()).because(e))?;
    }
    copy_keyring(keyring, &place)
}
