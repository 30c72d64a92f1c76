//! The store: one SQLite database in the data folder, shared by every process that opens it.
//!
//! All SQL of the project is in this module, one file an entity. Functions are synchronous. What they promise is
//! about the domain, not about SQLite: another database could stand behind them.
//!
//! Who is asking is a type: a query on a tenant's data needs a [`TenantTx`], which needs a [`Tenant`], which only
//! credentials ([`api_key::authenticate`]), sign-in ([`user::memberships`]), links ([`invitation::find`]) and
//! [`organisation`] (for the operator's own commands) give out.

mod choice;
mod filter;
mod sqlite;
mod sync;
#[cfg(test)]
pub(crate) mod testing;
mod writer;

pub mod analytics;
pub mod api_key;
pub mod backup;
pub mod browser_session;
pub mod call_log;
pub mod chatbot;
pub mod conversation;
pub mod dashboard;
pub mod document;
pub mod index;
pub mod invitation;
pub mod knowledge;
pub mod lead;
mod limit;
mod limits;
pub mod oauth_client;
pub mod oauth_code;
pub mod oauth_grant;
pub mod oauth_request;
pub mod oauth_token;
pub mod organisation;
pub mod price;
pub mod product;
pub mod quota;
pub mod sales_rule;
pub mod session;
pub mod ticket;
pub mod tokenized_url;
pub mod training_job;
mod transcript;
pub mod user;
pub mod words;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::types::ToSql;
use rusqlite::{CachedStatement, Connection, Row};

use crate::error::Result;

pub use sqlite::{DATABASE_FILE, RunningMark, is_served};
pub use transcript::Words;
pub use writer::Durability;

/// The database of one data folder. Shared by reference between threads.
pub struct Store {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    writer: writer::Writer,
}

/// How many idle read connections are kept; more are opened under load and closed again.
const IDLE_READERS_MAX: usize = 8;

impl Store {
    /// Opens the database in `folder`, making the folder (0700) and the database when they are not there and
    /// bringing the schema up to this version.
    ///
    /// # Errors
    /// `Config` when the folder cannot be used or the database was written by a newer version.
    pub fn open(folder: &Path) -> Result<Store> {
        let path = sqlite::prepare(folder)?;
        let writer = writer::Writer::open(&path)?;
        Ok(Store { path, readers: Mutex::new(Vec::new()), writer })
    }

    /// The database's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `job` on one consistent snapshot. It can change nothing.
    pub fn read<T>(&self, job: impl FnOnce(&SystemTx<'_>) -> Result<T>) -> Result<T> {
        self.with_reader(|connection| sqlite::snapshot(connection, || job(&SystemTx { connection })))
    }

    /// Runs `job` outside a transaction: for a single statement, which is a snapshot of its own.
    pub fn peek<T>(&self, job: impl FnOnce(&SystemTx<'_>) -> Result<T>) -> Result<T> {
        self.with_reader(|connection| job(&SystemTx { connection }))
    }

    /// A number that changes with every commit, of this process or another, but for commits of [`Durability::Process`]
    /// alone: what credentials stand for was not changed for as long as it stands. `None` while the writer commits, or
    /// changes what must reach the disk.
    ///
    /// # Errors
    /// Those of reading the database's header.
    pub fn version(&self) -> Result<Option<i64>> {
        self.writer.version()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Why it does not.
    pub fn ping(&self) -> Result<()> {
        self.with_reader(|connection| Ok(connection.pragma_query(None, "user_version", |_| Ok(()))?))
    }

    /// Runs `job` in a transaction and returns once it is committed as durably as `durability` says. An error, or a
    /// panic, undoes all that `job` did. Jobs of other threads may share the commit, never the outcome.
    ///
    /// # Errors
    /// The job's own; `Unavailable` when the database stays busy or the disk is full, in which case nothing was done.
    pub fn write<T: Send + 'static>(
        &self,
        durability: Durability,
        job: impl FnOnce(&SystemTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.writer.run(durability, job)
    }

    /// `PRAGMA quick_check`: reads the whole database and answers what is wrong, one line each; empty when all is well.
    pub fn quick_check(&self) -> Result<Vec<String>> {
        let connection = sqlite::open_reader(&self.path)?;
        sqlite::quick_check(&connection)
    }

    /// Moves what the write-ahead log holds into the database file; done at a clean stop.
    pub fn checkpoint(&self) -> Result<()> {
        self.writer.checkpoint()
    }

    /// Marks the folder as served by a running process until the mark is dropped; tells whether an earlier process
    /// stopped without taking its mark away.
    pub fn mark_running(&self) -> Result<RunningMark> {
        RunningMark::set(self.path.parent().unwrap_or(Path::new(".")))
    }

    fn with_reader<T>(&self, job: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let idle = self.lock_readers().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => sqlite::open_reader(&self.path)?,
        };
        let answer = job(&connection);
        let mut readers = self.lock_readers();
        if readers.len() < IDLE_READERS_MAX && connection.is_autocommit() {
            readers.push(connection);
        }
        answer
    }

    fn lock_readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The version of the SQLite that is compiled in.
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// An organisation that was authenticated, or named by the operator. Carries no right beyond its own rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(i64);

impl Tenant {
    /// The organisation's key, for signatures and cache keys; it never leaves the server.
    pub fn key(self) -> i64 {
        self.0
    }
}

/// What putting a thing did; the number is its id. The same thing put again is `Unchanged`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was not there.
    Created(i64),
    /// It was there with other content.
    Updated(i64),
    /// It was there as it is.
    Unchanged(i64),
}

impl Put {
    /// The thing's number within its organisation.
    pub fn id(self) -> i64 {
        match self {
            Put::Created(id) | Put::Updated(id) | Put::Unchanged(id) => id,
        }
    }
}

/// A transaction on everything: for what authenticates, and for the operator.
pub struct SystemTx<'a> {
    connection: &'a Connection,
}

impl<'a> SystemTx<'a> {
    /// The part of this transaction that is `tenant`'s.
    pub fn tenant(&self, tenant: Tenant) -> TenantTx<'a> {
        TenantTx { connection: self.connection, tenant, limit: None }
    }

    /// The same, as if the organisation had no chatbots but these, nor anything of others; `None` is no limit.
    pub fn tenant_within(&self, tenant: Tenant, chatbots: Option<&[i64]>) -> TenantTx<'a> {
        let limit = chatbots.map(|chatbots| Box::new(limit::Limit::to(chatbots)));
        TenantTx { connection: self.connection, tenant, limit }
    }

    /// Runs `job` so that, when it fails, what it did is undone while the transaction goes on.
    ///
    /// # Errors
    /// The transaction cannot go on, as when the disk is full; nothing more may be done in it.
    pub fn savepoint<T, E>(&self, job: impl FnOnce() -> Result<T, E>) -> Result<Result<T, E>> {
        sqlite::savepoint(self.connection, sqlite::Level::Part, job)
    }

    /// Runs `job`, which is to read alone.
    ///
    /// # Errors
    /// `Internal` when it changed a row all the same, or as [`SystemTx::savepoint`]; the transaction must be given up.
    pub fn unchanged<T>(&self, job: impl FnOnce() -> T) -> Result<T> {
        let before = self.connection.total_changes();
        let answer = job();
        sqlite::still_open(self.connection)?;
        match self.connection.total_changes() == before {
            true => Ok(answer),
            false => Err(crate::error::Error::internal("what reads alone changed a row")),
        }
    }
}

/// A transaction on one organisation's data. Every statement has the organisation as its first parameter, `?1`;
/// `parameters` are `?2` and so on. One that is limited to some chatbots runs each statement as `limit` has it.
pub struct TenantTx<'a> {
    connection: &'a Connection,
    tenant: Tenant,
    limit: Option<Box<limit::Limit>>,
}

impl TenantTx<'_> {
    /// Whose data this is.
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The chatbots that it is limited to, as a JSON array that ascends.
    pub fn chatbots(&self) -> Option<&str> {
        self.limit.as_ref().map(|limit| limit.chatbots.as_str())
    }

    /// Calls `each` with every row in turn.
    fn for_each(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.until(sql, parameters, |row| each(row).map(|()| false))
    }

    /// Calls `done` with one row after the other until it answers true.
    fn until(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        mut done: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        let mut statement = self.prepare(sql, parameters)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if done(row)? {
                break;
            }
        }
        Ok(())
    }

    /// Every row, mapped.
    fn all<T>(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        mut map: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        self.for_each(sql, parameters, |row| {
            found.push(map(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The first row, mapped, if there is one.
    fn first<T>(
        &self,
        sql: &str,
        parameters: &[&dyn ToSql],
        map: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.prepare(sql, parameters)?;
        let mut rows = statement.raw_query();
        rows.next()?.map(map).transpose()
    }

    /// One number, for counts and sums; 0 when there is no row.
    fn number(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<i64> {
        Ok(self.first(sql, parameters, |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten().unwrap_or(0))
    }

    /// Runs a statement that answers no rows; how many rows it changed.
    fn execute(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<usize> {
        match &self.limit {
            None => Ok(self.prepare(sql, parameters)?.raw_execute()?),
            Some(limit) => self.execute_within(&limit.statement(sql)?, parameters),
        }
    }

    /// The same under a limit: each row that it changed must be of the chatbots.
    fn execute_within(&self, limited: &limit::Statement, parameters: &[&dyn ToSql]) -> Result<usize> {
        let mut statement = self.bound(&limited.sql, parameters)?;
        let Some(table) = limited.changes else { return Ok(statement.raw_execute()?) };
        let mut rows = statement.raw_query();
        let mut changed = 0;
        while let Some(row) = rows.next()? {
            if !row.get::<_, Option<bool>>(0)?.unwrap_or(false) {
                return Err(limit::beyond(table));
            }
            changed += 1;
        }
        Ok(changed)
    }

    /// The next id of `kind` in this organisation, from 1; never given out again.
    fn next_id(&self, kind: &'static str) -> Result<i64> {
        let sql = "INSERT INTO counter (organisation, kind, last) VALUES (?1, ?2, 1) \
                   ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last";
        self.number(sql, &[&kind])
    }

    /// The statement with its parameters, within the limit if there is one.
    fn prepare(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<CachedStatement<'_>> {
        debug_assert!(sql.contains("?1"), "a statement without its tenant: {sql}");
        match &self.limit {
            None => self.bound(sql, parameters),
            Some(limit) => self.bound(&limit.statement(sql)?.sql, parameters),
        }
    }

    fn bound(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<CachedStatement<'_>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.raw_bind_parameter(1, self.tenant.0)?;
        for (place, parameter) in parameters.iter().enumerate() {
            statement.raw_bind_parameter(place + 2, parameter)?;
        }
        if let Some(limit) = &self.limit {
            statement.raw_bind_parameter(limit::PLACE, &limit.chatbots)?;
        }
        Ok(statement)
    }
}
