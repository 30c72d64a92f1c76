//! Connections, pragmas, migrations, and what SQLite's errors mean to whoever asked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};

use crate::error::{Error, Kind, Result};

/// The database's name in the data folder.
pub const DATABASE_FILE: &str = "chaterimo.db";
/// Present while a process serves the folder; left behind by one that was killed.
const RUNNING_FILE: &str = "running";
/// Held while the schema is brought up to date, so that two processes do not both try.
const LOCK_FILE: &str = "migration.lock";
/// How long a statement waits for another process's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What whoever asked is told when nothing can be written.
const UNWRITABLE: &str =
    "The database cannot be written to: the disk is full or read-only. Free some space, then try again.";
/// The write-ahead log is moved into the database beside the commits ([`super::sync`]); only in a storm of them that it
/// cannot keep up with does a commit do so itself, at 32 MB. What the storm needed is then given back, but for 8 MB.
const WAL_SIZE: &str = "PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 8388608";
/// Statements kept compiled on each connection.
const STATEMENTS_MAX: usize = 128;

const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/0001_core.sql")),
    M::up(include_str!("../../migrations/0002_chatbots.sql")),
    M::up(include_str!("../../migrations/0003_conversations.sql")),
    M::up(include_str!("../../migrations/0004_catalogue.sql")),
    M::up(include_str!("../../migrations/0005_analytics.sql")),
    M::up(include_str!("../../migrations/0006_transcript_words.sql")),
    M::up(include_str!("../../migrations/0007_accounts.sql")),
    M::up(include_str!("../../migrations/0008_oauth.sql")),
    M::up(include_str!("../../migrations/0009_tokenized_urls.sql")),
    M::up(include_str!("../../migrations/0010_call_day.sql")),
    M::up(include_str!("../../migrations/0011_cancelled_jobs.sql")),
    M::up(include_str!("../../migrations/0012_counted_by_code.sql")),
];

/// The version of the schema that this build knows: how many migrations there are.
pub const SCHEMA: usize = MIGRATIONS.len();

/// Makes folder and database where they are missing, brings the schema up to date, and answers the database's path.
pub fn prepare(folder: &Path) -> Result<PathBuf> {
    make_folder(folder)?;
    let path = folder.join(DATABASE_FILE);
    let mut connection = open(&path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    if schema_version(&connection)? != SCHEMA {
        migrate(folder, &mut connection)?;
    }
    Ok(path)
}

/// Makes the folder (0700) where it is missing.
pub fn make_folder(folder: &Path) -> Result<()> {
    let refuse = |cause: io::Error| {
        Error::config(format!(
            "The data folder {} cannot be made or used: {cause}. Set data_dir.",
            folder.display()
        ))
    };
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(refuse)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(refuse)?;
    }
    Ok(())
}

fn migrate(folder: &Path, connection: &mut Connection) -> Result<()> {
    let lock = File::create(folder.join(LOCK_FILE)).and_then(|file| file.lock().map(|()| file));
    let _lock = lock.map_err(|cause| {
        Error::config(format!("The data folder {} cannot be written to: {cause}.", folder.display()))
    })?;
    let found = schema_version(connection)?;
    if found > SCHEMA {
        return Err(Error::config(format!(
            "The database in {} was written by a newer version of chaterimo (schema {found}; this one knows {}). \
             Install the newer version, or restore a backup made by this one.",
            folder.display(),
            SCHEMA
        )));
    }
    Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|cause| {
        Error::new(Kind::Internal, "The database's schema could not be brought up to date.").because(cause)
    })
}

/// The version of the schema that `connection` has.
pub fn schema_version(connection: &Connection) -> Result<usize> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // Otherwise a statement is planned anew each time its parameters change, which costs more than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = -500; \
         PRAGMA recursive_triggers = ON;", // A row that REPLACE deletes fires triggers only so.
    )?;
    Ok(connection)
}

/// A connection that cannot change anything.
pub fn open_reader(path: &Path) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// Moves what the write-ahead log holds into the database, as far as that goes without waiting for anybody; whether that
/// was all of it.
pub fn checkpoint(connection: &Connection) -> Result<bool> {
    let moved = |row: &rusqlite::Row<'_>| Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?);
    Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], moved)?)
}

/// A connection whose commits reach the disk (`full`), or the operating system, before they return.
pub fn open_writer(path: &Path, full: bool) -> Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?;
    connection.execute_batch(WAL_SIZE)?;
    Ok(connection)
}

/// Runs `job` in a read transaction, so that all it reads is of one moment.
pub fn snapshot<T>(connection: &Connection, job: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let open = Rollback { connection };
    let answer = job();
    drop(open);
    answer
}

/// Runs `job` in a transaction that may write, committed if it succeeds.
pub fn transaction<T>(connection: &Connection, job: impl FnOnce() -> Result<T>) -> Result<T> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let open = Rollback { connection };
    let answer = job()?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    drop(open);
    Ok(answer)
}

/// Runs `job` so that, when it fails, what it did is undone while the transaction goes on. `level` names the savepoint:
/// one within another needs a name of its own, so that undoing the outer one undoes the inner with it.
///
/// # Errors
/// The transaction is over, or cannot go on: SQLite gives up the whole of it where the disk fails or is full.
pub fn savepoint<T, E>(
    connection: &Connection,
    level: Level,
    job: impl FnOnce() -> Result<T, E>,
) -> Result<Result<T, E>> {
    let run = |sql| connection.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(Error::from);
    let (begin, undo, end) = match level {
        Level::Job => ("SAVEPOINT job", "ROLLBACK TO job", "RELEASE job"),
        Level::Part => ("SAVEPOINT part", "ROLLBACK TO part", "RELEASE part"),
    };
    run(begin)?;
    let answer = job();
    still_open(connection)?;
    if answer.is_err() {
        run(undo)?;
    }
    run(end)?;
    Ok(answer)
}

/// Refuses to go on where SQLite itself gave up the whole transaction: what came next would commit by itself.
pub fn still_open(connection: &Connection) -> Result<()> {
    match connection.is_autocommit() {
        true => {
            Err(Error::new(Kind::Unavailable, UNWRITABLE).because("SQLite gave up the whole transaction"))
        }
        false => Ok(()),
    }
}

/// How deep a savepoint lies.
#[derive(Clone, Copy)]
pub enum Level {
    /// One of several jobs in a transaction.
    Job,
    /// A part of a job.
    Part,
}

/// Ends the transaction without its changes, unless it has ended: also when the job panicked.
struct Rollback<'a> {
    connection: &'a Connection,
}

impl Drop for Rollback<'_> {
    fn drop(&mut self) {
        if !self.connection.is_autocommit() {
            let rolled_back = self.connection.prepare_cached("ROLLBACK").and_then(|mut s| s.execute([]));
            if let Err(cause) = rolled_back {
                tracing::error!(%cause, "a transaction could not be rolled back");
            }
        }
    }
}

/// `PRAGMA quick_check`, without its "ok".
pub fn quick_check(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA quick_check")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// A number that changes with every commit that another connection makes (`PRAGMA data_version`).
pub fn data_version(connection: &Connection) -> Result<i64> {
    Ok(connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?)
}

/// Says, while it lives, that a process serves the folder: a file that every server holds a shared lock on, and that
/// the last to stop cleanly empties.
pub struct RunningMark {
    file: File,
    /// Whether the last server of this folder was stopped without emptying its mark: the database wants a check.
    pub unclean: bool,
}

impl RunningMark {
    pub(super) fn set(folder: &Path) -> Result<RunningMark> {
        let path = folder.join(RUNNING_FILE);
        let mark = || -> io::Result<RunningMark> {
            let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
            // Whoever gets it alone is the only server; what is left in it then is of one that died.
            let alone = file.try_lock().is_ok();
            let unclean = alone && file.metadata()?.len() > 0;
            file.lock_shared()?;
            writeln!(file, "{}", std::process::id())?;
            Ok(RunningMark { file, unclean })
        };
        mark().map_err(|cause| {
            Error::config(format!("The data folder {} cannot be written to: {cause}.", folder.display()))
        })
    }
}

/// Whether a running server holds the mark of `folder`.
pub fn is_served(folder: &Path) -> bool {
    let mark = File::open(folder.join(RUNNING_FILE));
    mark.is_ok_and(|mark| matches!(mark.try_lock(), Err(TryLockError::WouldBlock)))
}

impl Drop for RunningMark {
    fn drop(&mut self) {
        let empty = || -> io::Result<()> {
            self.file.unlock()?;
            if self.file.try_lock().is_ok() {
                self.file.set_len(0)?;
            }
            Ok(())
        };
        if let Err(cause) = empty() {
            tracing::warn!(%cause, "the mark of a running server could not be taken away");
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(cause: rusqlite::Error) -> Error {
        let (kind, public) = match cause.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (Kind::Unavailable, "The database is busy with another process. Try again in a moment.")
            }
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::ReadOnly) => {
                (Kind::Unavailable, UNWRITABLE)
            }
            Some(ErrorCode::CannotOpen) => {
                (Kind::Config, "The database cannot be opened. Check data_dir and its permissions.")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => (
                Kind::Unavailable,
                "The database file is damaged. Stop the server and restore a backup with `chaterimo restore`.",
            ),
            _ => return Error::internal(cause),
        };
        Error::new(kind, public).because(cause)
    }
}

impl From<rusqlite::types::FromSqlError> for Error {
    fn from(cause: rusqlite::types::FromSqlError) -> Error {
        Error::internal(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_before_they_could_be_cancelled_are_kept() {
        let mut connection = Connection::open_in_memory().unwrap();
        let migrations = Migrations::from_slice(MIGRATIONS);
        migrations.to_version(&mut connection, 10).unwrap();
        let job = "PRAGMA foreign_keys = OFF; \
            INSERT INTO training_job VALUES (1, 2, 3, 'running', 4, 5, 'key:1', 6, 7, NULL, 'w', 8, NULL)";
        connection.execute_batch(job).unwrap();
        migrations.to_latest(&mut connection).unwrap();
        let cancel =
            "UPDATE training_job SET status = 'cancelled' WHERE organisation = 1 AND id = 2 AND done = 4";
        assert_eq!(connection.execute(cancel, []).unwrap(), 1);
    }
}
