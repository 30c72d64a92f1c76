//! Copies of the database for safe keeping: made while it is in use, put back while nobody uses it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::sqlite;
use crate::clock::Time;
use crate::error::{Error, Kind, Result};

/// How long a restore waits for a process that has the database open.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a sound copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the file.
    pub bytes: u64,
    /// Organisations in it.
    pub organisations: i64,
    /// The version of its schema.
    pub schema: usize,
}

/// Copies the database in `folder` into the new file `target` (0600): one moment of it, whatever other processes
/// write meanwhile. The copy is checked before it gets its name.
///
/// # Errors
/// `Conflict` when `target` exists, `Invalid` when it cannot be written; `NotFound` when there is no database.
pub fn save(folder: &Path, target: &Path) -> Result<Summary> {
    if target.exists() {
        return Err(Error::new(
            Kind::Conflict,
            format!("{} exists: name a file that does not.", target.display()),
        ));
    }
    let database = folder.join(sqlite::DATABASE_FILE);
    if !database.exists() {
        return Err(Error::not_found(format!(
            "There is no database in {}: check --data-dir.",
            folder.display()
        )));
    }
    let aside = Aside::new(target, ".partial")?;
    copy(&sqlite::open_reader(&database)?, &aside.path)?;
    let summary = inspect(&aside.path, &database)?;
    aside.take_name(target)?;
    Ok(summary)
}

/// Puts the copy `source` in the place of the database in `folder`. Answers what it holds and, when there was a
/// database, where that was moved: beside, with the time `at` in its name.
///
/// # Errors
/// `Invalid` when `source` is no sound database of this version or an earlier one; `Conflict` when the folder holds a
/// database and not `force`, or when a process has it open. Then nothing was changed.
pub fn put_back(source: &Path, folder: &Path, force: bool, at: Time) -> Result<(Summary, Option<PathBuf>)> {
    let database = folder.join(sqlite::DATABASE_FILE);
    let occupied = database.exists();
    if occupied && !force {
        let text = format!("{} holds a database: give --force to move it aside.", folder.display());
        return Err(Error::new(Kind::Conflict, text));
    }
    let bytes = fs::metadata(source).map_err(|e| unreadable(source, e))?.len();
    sqlite::make_folder(folder)?;
    let aside = Aside::new(&database, ".restoring")?;
    let connection = open(source, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| unsound(source, e))?;
    copy(&connection, &aside.path).map_err(|e| unsound(source, e))?;
    drop(connection);
    let summary = Summary { bytes, ..inspect(&aside.path, source)? };
    let moved = if occupied { Some(move_aside(&database, at)?) } else { None };
    aside.take_name(&database)?;
    Ok((summary, moved))
}

/// Reads the whole database at `path`, which people know as `known_as`: what it holds, if it is sound.
fn inspect(path: &Path, known_as: &Path) -> Result<Summary> {
    let shown = known_as.display();
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let schema = sqlite::schema_version(&connection)?;
    if schema > sqlite::SCHEMA {
        return Err(Error::invalid(format!(
            "{shown} was written by a newer version of chaterimo (schema {schema}; this one knows {}): install that version.",
            sqlite::SCHEMA
        )));
    }
    if let Some(fault) = sqlite::quick_check(&connection)?.first() {
        return Err(Error::invalid(format!(
            "{shown} is damaged ({}): use another backup.",
            fault.replace('\n', " ")
        )));
    }
    let count = connection.query_row("SELECT count(*) FROM organisation", [], |row| row.get(0));
    let organisations = count.map_err(|e| unsound(known_as, e))?;
    let bytes = fs::metadata(path).map_err(|e| unreadable(path, e))?.len();
    Ok(Summary { bytes, organisations, schema })
}

/// Copies all pages in one step, which is one moment of the source, and makes the copy a file that stands alone.
fn copy(from: &Connection, to: &Path) -> Result<(), rusqlite::Error> {
    let mut connection = open(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let step = Backup::new(from, &mut connection)?.step(-1)?;
    if !matches!(step, StepResult::Done) {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        ));
    }
    leave_wal(&connection)
}

/// Moves what the write-ahead log holds into the database file, and the log away. Needs the database for itself.
fn leave_wal(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
}

fn open(path: &Path, access: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.execute_batch("PRAGMA trusted_schema = OFF")?;
    Ok(connection)
}

/// Renames the database, with what its log holds, once no process has it open.
fn move_aside(database: &Path, at: Time) -> Result<PathBuf> {
    let alone =
        open(database, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|connection| leave_wal(&connection));
    if let Err(e) = alone
        && !is_damage(&e)
    {
        let text = "The database is in use: stop the server, and every `chaterimo stdio` and import, then try again.";
        return Err(Error::new(Kind::Conflict, text).because(e));
    }
    let stamp: String = at.to_string().chars().filter(|c| !":-".contains(*c)).collect();
    let target = beside(database, &format!(".before-restore-{stamp}"));
    for tail in ["", "-wal", "-shm"] {
        let from = beside(database, tail);
        if from.exists() {
            fs::rename(&from, beside(&target, tail)).map_err(|e| unwritable(&target, e))?;
        }
    }
    Ok(target)
}

/// A file that is written beside its place and removed again unless it takes its name.
struct Aside {
    path: PathBuf,
}

impl Aside {
    fn new(target: &Path, tail: &str) -> Result<Aside> {
        let path = beside(target, tail);
        let _ = fs::remove_file(&path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&path).map_err(|e| unwritable(target, e))?;
        Ok(Aside { path })
    }

    /// On the disk, then under its name, then the name on the disk.
    fn take_name(self, target: &Path) -> Result<()> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        let named = synced.and_then(|()| fs::rename(&self.path, target));
        let folder =
            target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let lasting = named.and_then(|()| File::open(folder)).and_then(|folder| folder.sync_all());
        lasting.map_err(|e| unwritable(target, e))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn beside(path: &Path, tail: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(tail);
    PathBuf::from(name)
}

fn is_damage(e: &rusqlite::Error) -> bool {
    matches!(e.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn unsound(source: &Path, e: rusqlite::Error) -> Error {
    match e.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => e.into(),
        _ => Error::invalid(format!("{} is no sound backup of chaterimo: use another.", source.display()))
            .because(e),
    }
}

fn unreadable(path: &Path, e: io::Error) -> Error {
    Error::invalid(format!("{} cannot be read: {e}.", path.display())).because(e)
}

fn unwritable(path: &Path, e: io::Error) -> Error {
    Error::invalid(format!("{} cannot be written: {e}.", path.display())).because(e)
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, Store, SystemTx, organisation};
    use super::*;

    fn store_with(folder: &Path, slugs: &[&'static str]) -> Store {
        let store = Store::open(folder).unwrap();
        for slug in slugs {
            store
                .write(Durability::Disk, |tx| {
                    organisation::create(tx, slug, slug, organisation::Plan::Free, Time(0))
                })
                .unwrap();
        }
        store
    }

    fn slugs(folder: &Path) -> Vec<String> {
        let store = Store::open(folder).unwrap();
        store.read(organisation::list).unwrap().into_iter().map(|o| o.slug).collect()
    }

    #[test]
    fn a_copy_of_a_database_in_use_is_whole_and_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let (folder, file) = (root.path().join("data"), root.path().join("copy.db"));
        let store = store_with(&folder, &["acme", "globex"]);
        let summary = save(&folder, &file).unwrap();
        assert_eq!((summary.organisations, summary.schema), (2, sqlite::SCHEMA));
        assert_eq!(save(&folder, &file).unwrap_err().kind, Kind::Conflict);

        let late =
            |tx: &SystemTx<'_>| organisation::create(tx, "late", "late", organisation::Plan::Free, Time(0));
        store.write(Durability::Disk, late).unwrap();
        let refused = |force| put_back(&file, &folder, force, Time(0)).unwrap_err();
        assert!(refused(false).public.contains("--force"));
        assert!(refused(true).public.contains("in use"), "{}", refused(true));
        assert_eq!(slugs(&folder), ["acme", "globex", "late"]);

        drop(store);
        let (again, moved) = put_back(&file, &folder, true, Time(0)).unwrap();
        assert_eq!(again, summary);
        assert_eq!(slugs(&folder), ["acme", "globex"]);
        assert!(moved.unwrap().ends_with("chaterimo.db.before-restore-19700101T000000Z"));
        assert_eq!(put_back(&file, &root.path().join("new"), false, Time(0)).unwrap(), (summary, None));
        assert_eq!(slugs(&root.path().join("new")), ["acme", "globex"]);
    }

    #[test]
    fn what_is_no_sound_backup_is_refused_and_nothing_is_left() {
        let root = tempfile::tempdir().unwrap();
        let (data, target) = (root.path().join("data"), root.path().join("target"));
        drop(store_with(&data, &["acme"]));
        let good = root.path().join("good.db");
        save(&data, &good).unwrap();
        let check = |name: &str, bytes: &[u8], said: &str| {
            let file = root.path().join(name);
            fs::write(&file, bytes).unwrap();
            let error = put_back(&file, &target, false, Time(0)).unwrap_err();
            assert!(error.kind == Kind::Invalid && error.public.contains(said), "{name}: {error:?}");
            assert_eq!(fs::read_dir(&target).unwrap().count(), 0, "{name}");
        };
        let bytes = fs::read(&good).unwrap();
        check(
            "text",
            b"Dear diary, this is not a database at all. ".repeat(99).as_slice(),
            "no sound backup",
        );
        check("empty", b"", "no sound backup");
        check("half", &bytes[..bytes.len() / 2], "");
        let newer = root.path().join("newer.db");
        fs::copy(&good, &newer).unwrap();
        let connection = Connection::open(&newer).unwrap();
        connection.execute_batch("PRAGMA user_version = 9999").unwrap();
        drop(connection);
        check("newest", &fs::read(&newer).unwrap(), "newer version");
        assert!(
            put_back(&root.path().join("none"), &target, false, Time(0))
                .unwrap_err()
                .public
                .contains("cannot be read")
        );
    }
}
