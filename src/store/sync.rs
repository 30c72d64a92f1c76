//! What was committed comes to the database's file within about a second, and so to the disk what was committed for the
//! log of calls alone: a thread moves it there from the write-ahead log, beside the commits and not between them. While
//! somebody reads for longer than that it is tried again, and the write-ahead log itself is brought to the disk. It sleeps
//! while nothing is committed.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use super::sqlite;
use crate::error::Result;

/// From the first commit that is not yet on the disk until it is brought there.
const DELAY: Duration = Duration::from_millis(800);

/// Brings commits to the disk until dropped. The thread begins with the first of them.
pub struct Syncer {
    shared: Arc<Shared>,
    thread: OnceLock<Option<JoinHandle<()>>>,
}

struct Shared {
    path: PathBuf,
    /// Whether there is anything to bring to the disk.
    due: AtomicBool,
    ended: Mutex<bool>,
    stirred: Condvar,
}

impl Syncer {
    pub fn new(path: &Path) -> Syncer {
        let (due, ended) = (AtomicBool::new(false), Mutex::new(false));
        let shared = Shared { path: path.to_owned(), due, ended, stirred: Condvar::new() };
        Syncer { shared: Arc::new(shared), thread: OnceLock::new() }
    }

    /// Says that there was a commit.
    pub fn committed(&self) {
        if self.shared.due.swap(true, SeqCst) {
            return;
        }
        self.thread.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new().name("sync".to_owned()).spawn(move || shared.run());
            thread
                .inspect_err(|cause| tracing::error!(%cause, "no thread could be started to sync the log"))
                .ok()
        });
        drop(self.shared.lock()); // The thread is either before its look at `due` or waiting.
        self.shared.stirred.notify_all();
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.stirred.notify_all();
        if let Some(Some(thread)) = self.thread.take() {
            let _ = thread.join(); // What it panicked with is in the log.
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut connection = None;
        while self.wait() {
            self.sync(&mut connection);
        }
        if self.due.load(SeqCst) {
            self.sync(&mut connection);
        }
    }

    /// What cannot be moved now, because somebody reads for long, stays due.
    fn sync(&self, connection: &mut Option<Connection>) {
        self.due.store(false, SeqCst);
        let moved = self.checkpoint(connection).unwrap_or_else(|error| {
            tracing::warn!(?error, "the latest of the log of calls could not be brought to the disk");
            *connection = None;
            false
        });
        if !moved {
            self.due.store(true, SeqCst);
            self.sync_wal();
        }
    }

    /// Brings the write-ahead log to the disk as it is. SQLite's locks are on the other two files, so that closing this one
    /// ends none of them (POSIX locks end with any descriptor of their file).
    fn sync_wal(&self) {
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        match OpenOptions::new().write(true).open(&wal).and_then(|file| file.sync_data()) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%cause, "the write-ahead log could not be brought to the disk");
            }
            _ => {}
        }
    }

    /// Waits until something has been due for a while; `false` once all is over.
    fn wait(&self) -> bool {
        let idle = |ended: &mut bool| !*ended && !self.due.load(SeqCst);
        let ended = self.stirred.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let waited = self.stirred.wait_timeout_while(ended, DELAY, |ended| !*ended);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn checkpoint(&self, connection: &mut Option<Connection>) -> Result<bool> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(sqlite::open_writer(&self.path, false)?),
        };
        sqlite::checkpoint(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::store::organisation::{self, Plan};
    use crate::store::{DATABASE_FILE, Durability, Store};

    fn create(store: &Store, slug: &'static str) {
        let create = move |tx: &crate::store::SystemTx<'_>| {
            organisation::create(tx, slug, slug, Plan::Free, Time(0)).map(|_| ())
        };
        store.write(Durability::Process, create).unwrap();
    }

    /// How many organisations the database's file has without the log beside it: what the disk is sure to have.
    fn on_disk(folder: &Path) -> i64 {
        let copy = tempfile::tempdir().unwrap();
        std::fs::copy(folder.join(DATABASE_FILE), copy.path().join(DATABASE_FILE)).unwrap();
        let connection = Connection::open(copy.path().join(DATABASE_FILE)).unwrap();
        connection.query_row("SELECT count(*) FROM organisation", [], |row| row.get(0)).unwrap_or(0)
    }

    #[test]
    fn what_is_committed_for_the_log_comes_to_the_database_soon() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for (expected, slug) in [(1, "first"), (2, "second")] {
            create(&store, slug);
            let soon = (0..1_000).any(|_| {
                thread::park_timeout(Duration::from_millis(10));
                on_disk(folder.path()) == expected
            });
            assert!(soon, "{slug}");
        }
    }

    #[test]
    fn a_store_that_is_dropped_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        // With another process at work, SQLite itself moves nothing when this one ends.
        let _other = Store::open(folder.path()).unwrap();
        let store = Store::open(folder.path()).unwrap();
        create(&store, "first");
        drop(store);
        assert_eq!(on_disk(folder.path()), 1);
    }
}
