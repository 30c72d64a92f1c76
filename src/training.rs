//! Training: the thread that indexes anew what a chatbot answers from, one job after the other.
//!
//! Jobs are rows (`store::training_job`), queued by `retrain_chatbot` of any process on the same data and claimed by the
//! worker of any process. A job is done in small batches, each a transaction of its own with its progress, so that
//! searches and writes go on in between and `get_chatbot` shows how far it is. A worker that stops gives its job back;
//! one that died leaves a job behind that the next worker marks `interrupted`.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use data_encoding::HEXLOWER;

use crate::clock::{Clock, Time, random};
use crate::error::Result;
use crate::store::index::{self, Space};
use crate::store::knowledge::{self, Source};
use crate::store::training_job::{self, Claimed, SILENCE_MAX, Status};
use crate::store::{Durability, Store, TenantTx, document, product};

/// Things that are indexed in one transaction: it holds other writers up for some milliseconds.
const BATCH_ITEMS: i64 = 32;
/// Between two batches, for writers of other processes.
const PAUSE: Duration = Duration::from_millis(2);
/// How often an idle worker looks for what other processes queued, or left behind.
const POLL: Duration = Duration::from_secs(30);

const INTERRUPTED: &str =
    "The process that ran this job ended before it was done. Start it again with retrain_chatbot.";

/// The thread that works through the queue; there is one for each [`Store`]. Dropping it stops it.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts the thread. It looks at the queue at once, when it is woken, and every 30 seconds.
    /// Whatever it does to a job, it calls `moved` after.
    pub fn start(store: Arc<Store>, clock: Clock, moved: Box<dyn Fn() + Send + Sync>) -> Worker {
        let shared = Arc::new(Shared::default());
        let bench = Bench { store, clock, name: name(), shared: Arc::clone(&shared), moved };
        let thread = std::thread::Builder::new().name("training".to_owned()).spawn(move || bench.run());
        if let Err(cause) = &thread {
            tracing::error!(%cause, "no thread could be started for training; jobs stay queued");
        }
        Worker { shared, thread: Mutex::new(thread.ok()) }
    }

    /// Says that a job was queued.
    pub fn wake(&self) {
        self.shared.signals().woken = true;
        self.shared.changed.notify_all();
    }

    /// Stops the thread and waits for it: for the batch at hand, some milliseconds. A job that is not done goes back
    /// into the queue.
    pub fn stop(&self) {
        self.shared.signals().stopped = true;
        self.shared.changed.notify_all();
        let thread = lock(&self.thread).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of training panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Default)]
struct Shared {
    signals: Mutex<Signals>,
    changed: Condvar,
}

#[derive(Default)]
struct Signals {
    woken: bool,
    stopped: bool,
}

impl Shared {
    fn signals(&self) -> MutexGuard<'_, Signals> {
        lock(&self.signals)
    }

    /// Waits until `time` is over or there is a signal; `true` when the thread is to stop.
    fn wait(&self, time: Duration) -> bool {
        let quiet = |signals: &mut Signals| !signals.woken && !signals.stopped;
        let waited = self.changed.wait_timeout_while(self.signals(), time, quiet);
        let (mut signals, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        signals.woken = false;
        signals.stopped
    }

    /// Leaves writers of other processes a moment; `true` when the thread is to stop.
    fn pause(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.signals(), PAUSE, |signals| !signals.stopped);
        waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0.stopped
    }
}

/// What the thread works with.
struct Bench {
    store: Arc<Store>,
    clock: Clock,
    /// The worker's name in the rows of its jobs.
    name: String,
    shared: Arc<Shared>,
    /// Says that a job moved: its commits are not among those that `Store::version` counts.
    moved: Box<dyn Fn() + Send + Sync>,
}

/// How a job was left.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Done,
    /// The worker is to stop.
    GivenBack,
    /// Another worker took this one for dead, or somebody cancelled the job.
    Lost,
}

impl Bench {
    fn run(&self) {
        loop {
            if let Err(error) = self.look() {
                tracing::error!(?error, "training could not go on; it tries again in 30 seconds");
            }
            if self.shared.wait(POLL) {
                return;
            }
        }
    }

    /// Marks what dead workers left, then works until the queue is empty or the thread is to stop.
    fn look(&self) -> Result<()> {
        self.bury()?;
        while !self.shared.signals().stopped && self.store.peek(training_job::any_queued)? {
            let (name, now) = (self.name.clone(), self.clock.now());
            let claimed =
                self.store.write(Durability::Process, move |tx| training_job::claim(tx, &name, now))?;
            if let Some(job) = claimed {
                (self.moved)();
                self.work(job)?;
            }
        }
        Ok(())
    }

    /// Marks the jobs of dead workers, and of this one: it is at none when it looks, so it could not end that one.
    fn bury(&self) -> Result<()> {
        let now = self.clock.now();
        for (tenant, id, worker, heartbeat) in self.store.peek(training_job::running)? {
            if worker == self.name || is_dead(&worker, heartbeat, now) {
                self.store.write(Durability::Process, move |tx| {
                    let status = Status::Interrupted;
                    training_job::finish(&tx.tenant(tenant), id, &worker, status, Some(INTERRUPTED), now)
                })?;
                (self.moved)();
            }
        }
        Ok(())
    }

    /// Does a job; one that fails says why.
    fn work(&self, job: Claimed) -> Result<()> {
        let Err(error) = self.index(job, || self.shared.pause()) else { return Ok(()) };
        tracing::error!(?error, job = job.id, chatbot = job.chatbot, "a training job failed");
        let (why, now) = (error.public, self.clock.now());
        self.write(job, move |tx, name| {
            training_job::finish(tx, job.id, name, Status::Failed, Some(&why), now).map(|_| ())
        })
    }

    /// Indexes source after source, batch after batch; asks `stop` before each.
    fn index(&self, job: Claimed, mut stop: impl FnMut() -> bool) -> Result<Left> {
        let sources = self.store.read(|tx| knowledge::sources(&tx.tenant(job.tenant), job.chatbot))?;
        let total: i64 = sources.iter().map(|source| source.items).sum();
        let mut done = 0;
        for source in &sources {
            let mut after = 0;
            while let Some(batch) = {
                if stop() {
                    self.write(job, move |tx, name| training_job::give_back(tx, job.id, name))?;
                    return Ok(Left::GivenBack);
                }
                self.batch(job, source, after, done, total)?
            } {
                if !batch.ours {
                    return Ok(Left::Lost);
                }
                (after, done) = (batch.last, batch.done);
            }
        }
        self.finish(job, sources)
    }

    /// Indexes the next things of `source` and notes the progress; `None` when there are no more.
    fn batch(
        &self,
        job: Claimed,
        source: &Source,
        after: i64,
        done: i64,
        total: i64,
    ) -> Result<Option<Batch>> {
        let (source, now) = (source.clone(), self.clock.now());
        self.write(job, move |tx, name| {
            let ids = ids(tx, job.chatbot, &source, after)?;
            let Some(last) = ids.last().copied() else { return Ok(None) };
            for id in &ids {
                match source.kind.document() {
                    None => product::reindex(tx, *id)?,
                    Some(_) => document::reindex(tx, *id)?,
                };
            }
            let done = done + ids.len() as i64;
            // Things may have been put in since the total was counted.
            let ours = training_job::progress(tx, job.id, name, done, total.max(done), now)?;
            Ok(Some(Batch { last, done, ours }))
        })
    }

    /// Takes out of the index what is no longer there, and ends the job.
    fn finish(&self, job: Claimed, sources: Vec<Source>) -> Result<Left> {
        let now = self.clock.now();
        self.write(job, move |tx, name| {
            if !training_job::finish(tx, job.id, name, Status::Done, None, now)? {
                return Ok(Left::Lost);
            }
            for space in [Space::Products, Space::ProductTrigrams, Space::Documents] {
                index::remove_vanished(tx, space)?;
            }
            for source in &sources {
                knowledge::indexed(tx, job.chatbot, source, now)?;
            }
            Ok(Left::Done)
        })
    }

    /// A transaction on the job's organisation.
    fn write<T: Send + 'static>(
        &self,
        job: Claimed,
        write: impl FnOnce(&TenantTx<'_>, &str) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let name = self.name.clone();
        let written = self.store.write(Durability::Process, move |tx| write(&tx.tenant(job.tenant), &name));
        (self.moved)();
        written
    }
}

struct Batch {
    /// The number of the last thing.
    last: i64,
    /// Things indexed since the job began.
    done: i64,
    /// Whether the job is still this worker's.
    ours: bool,
}

fn ids(tx: &TenantTx<'_>, chatbot: i64, source: &Source, after: i64) -> Result<Vec<i64>> {
    match source.kind.document() {
        None => product::ids(tx, &knowledge::of_catalogue(&source.name), after, BATCH_ITEMS),
        Some(kind) => document::ids(tx, chatbot, kind, after, BATCH_ITEMS),
    }
}

/// Whether a worker will not go on: it was silent for too long, or its process on this host is gone.
fn is_dead(worker: &str, heartbeat: Time, now: Time) -> bool {
    if now.0 - heartbeat.0 > SILENCE_MAX {
        return true;
    }
    let (Some((host, process)), Some((ours, us))) =
        (worker.split_once('/'), name_of_process().split_once('/'))
    else {
        return false;
    };
    let pid = |process: &str| process.split('/').next().unwrap_or_default().to_owned();
    let reborn = pid(process) == pid(us) && !process.starts_with(us);
    let gone = || Path::new("/proc/self").exists() && !Path::new("/proc").join(pid(process)).exists();
    // A host that has no name may be any host.
    !host.is_empty() && host == ours && (reborn || gone())
}

/// A worker's name: host, process, something to tell a process from an earlier one with the same number, and the same
/// for workers within it.
fn name() -> String {
    format!("{}/{}", name_of_process(), HEXLOWER.encode(&random::<4>()))
}

fn name_of_process() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        format!("{}/{}/{}", host.trim(), std::process::id(), HEXLOWER.encode(&random::<4>()))
    })
}

/// A poisoned lock is taken all the same: what it guards are two flags and a handle.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::SECOND;
    use crate::store::chatbot;
    use crate::store::training_job::Job;
    use crate::tools::testing::{NOW, Shop};

    /// A chatbot, 70 products, a document of its own and custom content of every chatbot.
    fn shop() -> Shop {
        let shop = Shop::new();
        shop.seed(|tx| {
            let of = |value: Value| serde_json::from_value(value);
            chatbot::put(
                tx,
                &serde_json::from_value(json!({"external_id": "a", "settings": {"name": "a"}})).unwrap(),
                NOW,
            )?;
            for number in 0..70 {
                let new = json!({"source": "shopify", "handle": format!("h-{number}"), "title": "Red shoe"});
                product::put(tx, &serde_json::from_value(new).unwrap(), NOW)?;
            }
            let own = json!({"external_id": "d", "chatbot": "a", "title": "Returns", "text": "Thirty days."});
            document::put(tx, &of(own).unwrap(), NOW)?;
            let custom = json!({"external_id": "c", "kind": "custom", "title": "Opening hours"});
            document::put(tx, &of(custom).unwrap(), NOW)
        });
        shop
    }

    fn bench(shop: &Shop, clock: &Clock) -> Bench {
        let store = Arc::new(Store::open(shop.store.path().parent().unwrap()).unwrap());
        Bench { store, clock: clock.clone(), name: name(), shared: Arc::default(), moved: Box::new(|| {}) }
    }

    fn request(shop: &Shop) {
        shop.seed(|tx| training_job::request(tx, 1, 72, "me", NOW));
    }

    fn claim(shop: &Shop, name: String) -> Claimed {
        shop.store.write(Durability::Process, move |tx| training_job::claim(tx, &name, NOW)).unwrap().unwrap()
    }

    fn latest(shop: &Shop) -> Job {
        shop.store.read(|tx| training_job::latest(&tx.tenant(shop.tenant), 1)).unwrap().unwrap()
    }

    fn found(shop: &Shop, query: &str) -> i64 {
        shop.call("search_products", json!({"query": query})).unwrap()["total"].as_i64().unwrap()
    }

    /// Damages the index: the first product is found by nothing, the second by a wrong word, and one is found that is
    /// not there.
    fn damage(shop: &Shop) {
        shop.seed(|tx| {
            index::remove(tx, Space::Products, 1)?;
            let mut wrong = index::Entry::default();
            wrong.add(index::Field::Title, "hat".to_owned());
            index::set(tx, Space::Products, 2, &wrong)?;
            index::set(tx, Space::Products, 1_000, &wrong)
        });
    }

    #[test]
    fn indexes_anew_in_batches_that_show_their_progress() {
        let (shop, clock) = (shop(), Clock::manual(NOW.plus(SECOND)));
        damage(&shop);
        assert_eq!((found(&shop, "shoe"), found(&shop, "hat")), (68, 2));
        request(&shop);
        let bench = bench(&shop, &clock);
        let job = claim(&shop, bench.name.clone());
        let mut seen = Vec::new();
        let left = bench.index(job, || {
            let job = latest(&shop);
            assert_eq!((job.status, job.total), (Status::Running, 72));
            seen.push(job.done);
            false
        });
        assert_eq!(left.unwrap(), Left::Done);
        assert_eq!(seen, [0, 32, 64, 70, 70, 71, 71, 72]);
        assert_eq!((found(&shop, "shoe"), found(&shop, "hat")), (70, 0));
        let shown = shop.call("get_chatbot", json!({"chatbot_id": 1})).unwrap();
        assert_eq!(shown["training"]["status"], "done");
        let sources: Vec<_> = shown["knowledge_sources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| (&s["items"], &s["indexed_at"]))
            .collect();
        let at = json!(NOW.plus(SECOND));
        assert_eq!(sources, [(&json!(70), &at), (&json!(1), &at), (&json!(1), &at)]);
    }

    #[test]
    fn a_worker_that_stops_gives_its_job_back_at_the_next_batch() {
        let (shop, clock) = (shop(), Clock::manual(NOW));
        request(&shop);
        let bench = bench(&shop, &clock);
        let job = claim(&shop, bench.name.clone());
        let mut borders = 0;
        let left = bench.index(job, || {
            borders += 1;
            borders > 1
        });
        assert_eq!(left.unwrap(), Left::GivenBack);
        let job = latest(&shop);
        assert_eq!((job.status, job.done), (Status::Queued, 0));
    }

    #[test]
    fn what_a_dead_worker_left_is_marked() {
        let host = name_of_process().split('/').next().unwrap();
        let me = std::process::id();
        let check = |worker: String, age: i64, expected: Status| {
            let (shop, clock) = (shop(), Clock::manual(NOW.plus(age)));
            request(&shop);
            claim(&shop, worker.clone());
            bench(&shop, &clock).bury().unwrap();
            assert_eq!(latest(&shop).status, expected, "{worker}");
        };
        check(format!("{host}/4294967295/aa/bb"), 0, Status::Interrupted);
        check(format!("{host}/{me}/earlier/bb"), 0, Status::Interrupted);
        check(format!("{}/bb", name_of_process()), 0, Status::Running);
        check("another-host/1/aa/bb".to_owned(), SILENCE_MAX, Status::Running);
        check("another-host/1/aa/bb".to_owned(), SILENCE_MAX + 1, Status::Interrupted);
    }

    #[test]
    fn a_job_that_could_not_even_be_ended_is_marked_later() {
        let (shop, clock) = (shop(), Clock::manual(NOW));
        request(&shop);
        let bench = bench(&shop, &clock);
        claim(&shop, bench.name.clone());
        bench.look().unwrap();
        assert_eq!(latest(&shop).status, Status::Interrupted);
    }

    #[test]
    fn a_worker_taken_for_dead_lets_go() {
        let (shop, clock) = (shop(), Clock::manual(NOW));
        request(&shop);
        let (first, second) = (bench(&shop, &clock), bench(&shop, &clock));
        let job = claim(&shop, first.name.clone());
        clock.advance(SILENCE_MAX + 1);
        second.bury().unwrap();
        assert_eq!(first.index(job, || false).unwrap(), Left::Lost);
        let job = latest(&shop);
        assert_eq!((job.status, job.error.as_deref()), (Status::Interrupted, Some(INTERRUPTED)));
    }

    #[test]
    fn a_cancelled_job_ends_with_the_batch_at_hand_and_leaves_the_rest_of_the_index_as_it_was() {
        let (shop, clock) = (shop(), Clock::manual(NOW));
        damage(&shop);
        request(&shop);
        let bench = bench(&shop, &clock);
        let job = claim(&shop, bench.name.clone());
        let mut borders = 0;
        let left = bench.index(job, || {
            borders += 1;
            if borders == 2 {
                shop.seed(move |tx| training_job::cancel(tx, job.id, NOW));
            }
            false
        });
        assert_eq!((left.unwrap(), borders), (Left::Lost, 2));
        let job = latest(&shop);
        assert_eq!((job.status, job.done), (Status::Cancelled, 32));
        // The damage to the first two things is mended; the entry of what is not there stands.
        assert_eq!((found(&shop, "shoe"), found(&shop, "hat")), (70, 1));
    }

    #[test]
    fn the_thread_works_through_the_queue_and_ends_when_it_is_told() {
        let shop = shop();
        let store = Arc::new(Store::open(shop.store.path().parent().unwrap()).unwrap());
        request(&shop);
        let (moved, told) = std::sync::mpsc::channel();
        let worker = Worker::start(store, Clock::manual(NOW), Box::new(move || _ = moved.send(())));
        while latest(&shop).status != Status::Done {
            std::thread::yield_now();
        }
        request(&shop);
        worker.wake();
        while latest(&shop).status != Status::Done {
            std::thread::yield_now();
        }
        assert_eq!(latest(&shop).id, 2);
        worker.stop();
        worker.stop();
        drop(worker);
        assert!(told.iter().count() >= 10, "each job is claimed, has three batches, and ends");
    }
}
