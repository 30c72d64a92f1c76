//! The one writer of a process: whoever finds the connection free commits all that is queued, without a timer.
//!
//! A thread queues its job, then waits for the connections. When it gets them, its job was either done by the thread
//! before it, or it takes the whole queue and commits it in one transaction. With one caller there is no hand-over
//! and no waiting; with many, one commit (and one fsync) serves them all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use rusqlite::Connection;

use super::sync::Syncer;
use super::{SystemTx, sqlite};
use crate::error::{Error, Kind, Result};

/// What a commit must survive before the answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process: the operating system has it, and the disk about a second later. For the call log, the
    /// counters and when something was last used; never for what a credential stands for, because grants that are kept
    /// outlive such a commit.
    Process,
    /// A power cut: it is on the disk. For what a user changed, and for credentials.
    Disk,
}

pub struct Writer {
    queue: Mutex<Vec<Queued>>,
    connections: Mutex<Connections>,
    /// What [`Writer::version`] is while a transaction holds the connections that commits for the log alone: nobody
    /// else can commit meanwhile. [`UNKNOWN`] at any other time.
    held: AtomicI64,
    sync: Syncer,
}

/// No version of SQLite's.
const UNKNOWN: i64 = i64::MIN;

struct Connections {
    process: Connection,
    disk: Connection,
}

struct Queued {
    durability: Durability,
    job: Arc<dyn Job>,
}

impl Writer {
    pub fn open(path: &Path) -> Result<Writer> {
        let connections = Connections {
            process: sqlite::open_writer(path, false)?,
            disk: sqlite::open_writer(path, true)?,
        };
        let held = AtomicI64::new(UNKNOWN);
        let (queue, connections, sync) = (Mutex::default(), Mutex::new(connections), Syncer::new(path));
        Ok(Writer { queue, connections, held, sync })
    }

    pub fn run<T: Send + 'static>(
        &self,
        durability: Durability,
        job: impl FnOnce(&SystemTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let slot = Arc::new(Slot { state: Mutex::new(State::Queued(job)) });
        lock(&self.queue).push(Queued { durability, job: slot.clone() });
        let connections = lock(&self.connections);
        let jobs = std::mem::take(&mut *lock(&self.queue));
        self.commit_all(&connections, &jobs);
        drop(connections);
        slot.take()
    }

    /// What the connection for the log sees of others' commits. Its own do not count, which is why it is asked, and not
    /// a connection that only watches.
    pub fn version(&self) -> Result<Option<i64>> {
        match self.connections.try_lock() {
            Ok(connections) => sqlite::data_version(&connections.process).map(Some),
            Err(TryLockError::Poisoned(poisoned)) => {
                sqlite::data_version(&poisoned.into_inner().process).map(Some)
            }
            Err(TryLockError::WouldBlock) => {
                Ok(Some(self.held.load(SeqCst)).filter(|version| *version != UNKNOWN))
            }
        }
    }

    pub fn checkpoint(&self) -> Result<()> {
        lock(&self.connections).disk.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        Ok(())
    }

    /// Commits every job; a job that fails is undone alone, a commit that fails fails them all.
    fn commit_all(&self, connections: &Connections, jobs: &[Queued]) {
        if jobs.is_empty() {
            return;
        }
        let to_disk = jobs.iter().any(|queued| queued.durability == Durability::Disk);
        let committed = match to_disk {
            true => sqlite::transaction(&connections.disk, || run_all(&connections.disk, jobs)),
            false => sqlite::transaction(&connections.process, || {
                let _held = Held::new(&self.held, sqlite::data_version(&connections.process)?);
                run_all(&connections.process, jobs)
            }),
        };
        let Err(error) = committed else {
            return self.sync.committed();
        };
        if error.cause.is_some() {
            tracing::error!(?error, jobs = jobs.len(), "a commit failed; none of its jobs took effect");
        }
        jobs.iter().for_each(|queued| queued.job.fail_if_done(&error));
    }
}

/// The version that nobody can change, until dropped.
struct Held<'a>(&'a AtomicI64);

impl<'a> Held<'a> {
    fn new(held: &'a AtomicI64, version: i64) -> Held<'a> {
        held.store(version, SeqCst);
        Held(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(UNKNOWN, SeqCst);
    }
}

fn run_all(connection: &Connection, jobs: &[Queued]) -> Result<()> {
    let tx = SystemTx { connection };
    match jobs {
        // Alone, a job needs no savepoint: its failure undoes the transaction.
        [only] => only.job.run(&tx),
        several => several.iter().try_for_each(|queued| {
            // A failure is kept in the job's own slot.
            let _: Result<()> = sqlite::savepoint(connection, sqlite::Level::Job, || queued.job.run(&tx))?;
            Ok(())
        }),
    }
}

/// A job without its types.
trait Job: Send + Sync {
    /// Runs it and keeps its answer; an error says that its changes are to be undone.
    fn run(&self, tx: &SystemTx<'_>) -> Result<()>;
    /// The commit failed: whatever the job answered, or had not yet, is replaced by the failure.
    fn fail_if_done(&self, error: &Error);
}

struct Slot<T, F> {
    state: Mutex<State<T, F>>,
}

enum State<T, F> {
    Queued(F),
    Running,
    Done(Result<T>),
}

impl<T: Send, F: FnOnce(&SystemTx<'_>) -> Result<T> + Send> Job for Slot<T, F> {
    fn run(&self, tx: &SystemTx<'_>) -> Result<()> {
        let mut state = lock(&self.state);
        let State::Queued(job) = std::mem::replace(&mut *state, State::Running) else { return Ok(()) };
        let answer = catch_unwind(AssertUnwindSafe(|| job(tx)))
            .unwrap_or_else(|_| Err(Error::internal("a write panicked")));
        let undo = match &answer {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::new(error.kind, "undone")),
        };
        *state = State::Done(answer);
        undo
    }

    fn fail_if_done(&self, error: &Error) {
        let mut state = lock(&self.state);
        // A job's own error stays as it is: it is why the transaction was given up.
        if !matches!(&*state, State::Done(Err(_))) {
            *state = State::Done(Err(Error::new(error.kind, error.public.clone())));
        }
    }
}

impl<T, F> Slot<T, F> {
    fn take(&self) -> Result<T> {
        match std::mem::replace(&mut *lock(&self.state), State::Running) {
            State::Done(answer) => answer,
            _ => Err(Error::new(Kind::Internal, "A write was lost.").because("a queued job was never run")),
        }
    }
}

/// A poisoned lock is taken all the same: what it guards is put right by the rollback.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::store::organisation::{self, Plan};

    fn queued<F>(job: F) -> (Queued, Arc<Slot<(), F>>)
    where
        F: FnOnce(&SystemTx<'_>) -> Result<()> + Send + 'static,
    {
        let slot = Arc::new(Slot { state: Mutex::new(State::Queued(job)) });
        (Queued { durability: Durability::Disk, job: slot.clone() }, slot)
    }

    fn create(slug: &'static str) -> impl FnOnce(&SystemTx<'_>) -> Result<()> + Send + 'static {
        move |tx| organisation::create(tx, slug, slug, Plan::Free, Time(0)).map(|_| ())
    }

    /// SQLite gives up the whole transaction then, and what came after would begin another.
    #[test]
    fn a_disk_that_is_full_fails_all_jobs_of_a_commit_and_undoes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = sqlite::prepare(folder.path()).unwrap();
        let writer = Writer::open(&path).unwrap();
        writer.run(Durability::Disk, create("there")).unwrap();
        let connections = lock(&writer.connections);
        let pages: i64 = connections.disk.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connections.disk.pragma_update(None, "max_page_count", pages + 1).unwrap();
        let large = |tx: &SystemTx<'_>| {
            let sql = "INSERT INTO document (organisation, id, kind, title, text, updated_at) \
                       VALUES (1, 1, 'custom', 'x', hex(zeroblob(100000)), 0)";
            Ok(tx.connection.execute(sql, []).map(|_| ())?)
        };
        let ((first, before), (second, full), (third, after)) =
            (queued(create("before")), queued(large), queued(create("after")));
        writer.commit_all(&connections, &[first, second, third]);
        for (answer, what) in [(before.take(), "before"), (full.take(), "full"), (after.take(), "after")] {
            assert_eq!(answer.map_err(|error| error.kind), Err(Kind::Unavailable), "{what}");
        }
        let there = sqlite::snapshot(&connections.process, || {
            organisation::list(&SystemTx { connection: &connections.process })
        });
        assert_eq!(there.unwrap().len(), 1);
    }
}
