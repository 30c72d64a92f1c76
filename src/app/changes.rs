//! That something changed, by this process or another: a number that moves, for whoever keeps a stream open.
//!
//! What other processes, the pages and the operator's commands commit shows in [`Store::version`], which one thread looks
//! at four times a second for as long as anyone listens. What this process changes by a call moves the number at once.

use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;

use crate::store::Store;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);

/// The number, and who looks.
pub(super) struct Changes(Arc<Shared>);

struct Shared {
    store: Arc<Store>,
    number: watch::Sender<u64>,
    /// Something changed that the version does not tell of; the next look says so.
    noted: AtomicBool,
    /// Whether the thread is there.
    looking: Mutex<bool>,
}

impl Changes {
    pub(super) fn of(store: &Arc<Store>) -> Changes {
        let (number, _) = watch::channel(0);
        let store = Arc::clone(store);
        Changes(Arc::new(Shared { store, number, noted: AtomicBool::new(false), looking: Mutex::new(false) }))
    }

    /// The number from now on. It counts as moved at first, without any change, so that nothing falls between.
    pub(super) fn receiver(&self) -> watch::Receiver<u64> {
        let mut looking = self.0.looking();
        let mut receiver = self.0.number.subscribe();
        receiver.mark_changed();
        if !*looking {
            let shared = Arc::downgrade(&self.0);
            let thread = std::thread::Builder::new().name("changes".to_owned()).spawn(move || look(&shared));
            match thread {
                Ok(_) => *looking = true,
                Err(cause) => {
                    tracing::error!(%cause, "no thread could be started: open streams miss changes")
                }
            }
        }
        receiver
    }

    /// Says at once that something changed.
    pub(super) fn tell(&self) {
        self.0.tell();
    }

    /// Says with the next look that something changed: for what changes often, and what `Store::version` leaves out.
    pub(super) fn noter(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.0);
        move || {
            if let Some(shared) = shared.upgrade() {
                shared.noted.store(true, std::sync::atomic::Ordering::Release);
            }
        }
    }
}

impl Shared {
    fn tell(&self) {
        self.number.send_modify(|number| *number += 1);
    }

    fn looking(&self) -> MutexGuard<'_, bool> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody listens any more; then the next to listen starts another thread.
    fn is_over(&self) -> bool {
        let mut looking = self.looking();
        *looking = self.number.receiver_count() > 0;
        !*looking
    }
}

fn look(shared: &Weak<Shared>) {
    let mut seen = None;
    while let Some(shared) = shared.upgrade() {
        // While the writer commits there is no version: the next look has one.
        let version = shared.store.version().unwrap_or_else(|error| {
            tracing::warn!(?error, "the database does not say whether it changed");
            None
        });
        let changed = version.is_some() && version != seen;
        if shared.noted.swap(false, AcqRel) || changed {
            seen = version.or(seen);
            shared.tell();
        }
        if shared.is_over() {
            return;
        }
        drop(shared);
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::store::organisation::{self, Plan};
    use crate::store::{Durability, SystemTx};

    /// Waits until the number moves; fails after ten seconds.
    fn moves(receiver: &mut watch::Receiver<u64>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let changed = async { tokio::time::timeout(Duration::from_secs(10), receiver.changed()).await };
        runtime.block_on(changed).unwrap().unwrap();
    }

    fn create(slug: &'static str) -> impl FnOnce(&SystemTx<'_>) -> crate::error::Result<()> + Send + 'static {
        move |tx| organisation::create(tx, slug, slug, Plan::Free, Time(0)).map(|_| ())
    }

    #[test]
    fn the_number_moves_with_commits_of_any_process_and_with_what_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let changes = Changes::of(&store);
        let mut receiver = changes.receiver();
        moves(&mut receiver);
        // Another process has a store of its own on the same folder.
        let elsewhere = Store::open(folder.path()).unwrap();
        elsewhere.write(Durability::Process, create("theirs")).unwrap();
        moves(&mut receiver);
        store.write(Durability::Disk, create("ours")).unwrap();
        moves(&mut receiver);
        changes.noter()();
        moves(&mut receiver);
        changes.tell();
        assert!(receiver.has_changed().unwrap(), "at once");
    }

    #[test]
    fn nobody_looks_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(folder.path()).unwrap());
        let changes = Changes::of(&store);
        assert!(!*changes.0.looking());
        let mut first = changes.receiver();
        moves(&mut first);
        drop(first);
        let ended = || !*changes.0.looking();
        assert!((0..1_000).any(|_| {
            std::thread::park_timeout(Duration::from_millis(10));
            ended()
        }));
        let mut second = changes.receiver();
        moves(&mut second);
    }
}
