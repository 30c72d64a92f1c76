//! Rows into the store, in batches.

use super::record::{self, Record};
use super::tally::{Skipped, Tally};
use super::{Refused, Row};
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::store::{Durability, Put, Store, Tenant, TenantTx, product};

/// Rows of a transaction at most. Small, so that a server on the same data is never kept waiting for long.
const BATCH_ROWS_MAX: usize = 1_000;
/// Bytes of a transaction's rows at most, but for the last of them.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Bytes of rows that may wait for what they refer to.
const DEFERRED_BYTES_MAX: usize = 256 << 20;

/// Puts rows into one organisation's part of the store. A batch is on the disk before the next begins; a row that is
/// refused is undone alone. What may refer to a thing further on is tried once more at the end, after all the rest.
pub struct Importer<'a> {
    store: &'a Store,
    tenant: Tenant,
    now: Time,
    batch: Vec<Waiting>,
    batch_bytes: usize,
    deferred: Vec<Waiting>,
    deferred_bytes: usize,
    /// Whether all rows have come.
    at_end: bool,
    tally: Tally,
}

struct Waiting {
    file: usize,
    line: u64,
    bytes: usize,
    task: Task,
}

/// What is to be done for a row.
enum Task {
    Put(Box<Record>),
    Remove { external_id: String, reason: &'static str },
}

/// What was done.
enum Done {
    Put(Put),
    LeftOut { reason: &'static str, removed: bool },
}

impl Task {
    fn run(&self, tx: &TenantTx<'_>, now: Time) -> Result<Done> {
        match self {
            Task::Put(record) => record::put(tx, record, now).map(Done::Put),
            Task::Remove { external_id, reason } => {
                let removed = product::remove(tx, external_id)?;
                Ok(Done::LeftOut { reason, removed })
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Task::Put(record) => record.kind(),
            Task::Remove { .. } => "product",
        }
    }
}

impl<'a> Importer<'a> {
    /// An importer of nothing so far; what does not say when it was made is made `now`.
    pub fn new(store: &'a Store, tenant: Tenant, now: Time) -> Importer<'a> {
        Importer {
            store,
            tenant,
            now,
            batch: Vec::new(),
            batch_bytes: 0,
            deferred: Vec::new(),
            deferred_bytes: 0,
            at_end: false,
            tally: Tally::default(),
        }
    }

    /// Takes a row of the `file`th file.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be written to; the batches before are in.
    pub fn add(&mut self, file: usize, row: Row) -> Result<()> {
        let Row { line, bytes, kind, content } = row;
        let task = match content {
            Ok(record) => Task::Put(Box::new(record)),
            Err(Refused::NotForSale { external_id, reason }) => Task::Remove { external_id, reason },
            Err(Refused::Wrong(reason)) => {
                self.tally.skipped(kind, Skipped { file, line, reason });
                return Ok(());
            }
        };
        self.queue(Waiting { file, line, bytes, task })
    }

    /// Puts in what waits; what all of it came to.
    ///
    /// # Errors
    /// As [`Importer::add`].
    pub fn finish(mut self) -> Result<Tally> {
        self.put_batch()?;
        self.at_end = true;
        let rank = |waiting: &Waiting| Record::KINDS.iter().position(|kind| *kind == waiting.task.kind());
        let mut deferred = std::mem::take(&mut self.deferred);
        deferred.sort_by_key(|waiting| (rank(waiting), waiting.file, waiting.line));
        deferred.into_iter().try_for_each(|waiting| self.queue(waiting))?;
        self.put_batch()?;
        self.tally.skipped.sort();
        Ok(self.tally)
    }

    fn queue(&mut self, waiting: Waiting) -> Result<()> {
        self.batch_bytes += waiting.bytes;
        self.batch.push(waiting);
        if self.batch.len() >= BATCH_ROWS_MAX || self.batch_bytes >= BATCH_BYTES_MAX {
            self.put_batch()?;
        }
        Ok(())
    }

    fn put_batch(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let (tenant, now) = (self.tenant, self.now);
        let done = self.store.write(Durability::Disk, move |tx| {
            let tenant = tx.tenant(tenant);
            let run = |waiting: Waiting| {
                let outcome = tx.savepoint(|| waiting.task.run(&tenant, now))?;
                match outcome {
                    // A full disk is no fault of the row: the batch is given up.
                    Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Config) => Err(error),
                    outcome => Ok((waiting, outcome)),
                }
            };
            batch.into_iter().map(run).collect::<Result<Vec<_>>>()
        });
        let done = done.map_err(|error| self.stopped(error))?;
        done.into_iter().for_each(|(waiting, outcome)| self.note(waiting, outcome));
        Ok(())
    }

    fn note(&mut self, waiting: Waiting, outcome: Result<Done>) {
        match outcome {
            Ok(Done::Put(put)) => self.tally.put(waiting.task.kind(), put),
            Ok(Done::LeftOut { reason, removed }) => self.tally.left_out(reason, removed),
            Err(_) if !self.at_end && self.deferred_bytes + waiting.bytes <= DEFERRED_BYTES_MAX => {
                self.deferred_bytes += waiting.bytes;
                self.deferred.push(waiting);
            }
            Err(error) => {
                let Waiting { file, line, task, .. } = waiting;
                self.tally.skipped(Some(task.kind()), Skipped { file, line, reason: reason(error) });
            }
        }
    }

    fn stopped(&self, error: Error) -> Error {
        let all = self.tally.total();
        let done = all.created + all.updated + all.unchanged;
        let public = format!("{} {done} rows are in; import the same files again to go on.", error.public);
        Error { public, ..error }
    }
}

/// Why a row was refused. What is no fault of the row is told as well: nobody looks into a log for it.
fn reason(error: Error) -> String {
    match error.cause {
        Some(cause) if error.kind == Kind::Internal => format!("it could not be stored: {cause}"),
        _ => error.public.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::import::{Counts, Options, Source};
    use crate::store::{chatbot, product};
    use crate::tools::testing::{NOW, Shop};

    fn import(shop: &Shop, files: &[(&str, &str)]) -> Tally {
        let mut importer = Importer::new(&shop.store, shop.tenant, NOW);
        for (number, (name, text)) in files.iter().enumerate() {
            let source = Source::open(name, text.as_bytes()).unwrap();
            source.for_each(&Options::default(), |row| importer.add(number, row)).unwrap();
        }
        importer.finish().unwrap()
    }

    /// A line of a product export: few handles, so that rows meet, and now and then something wrong.
    fn line() -> impl Strategy<Value = String> {
        let any = |of: &'static [&'static str]| prop::sample::select(of);
        let handle = any(&["a", "b", "c", "d", "", "\"e"]);
        let title = any(&["Mug", "Mug", "", "Cup", "\"A, b\""]);
        (handle, title, any(&["9.90", "", "x", "1,299.00"]), any(&["active", "", "draft", "?", "active,"]))
            .prop_map(|(handle, title, price, status)| format!("{handle},{title},{price},{status}\n"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

        /// Each row of a file is counted once, and the file a second time changes nothing.
        #[test]
        fn the_tally_adds_up(lines in prop::collection::vec(line(), 0..24)) {
            let file = format!("Handle,Title,Price,Status\n{}", lines.concat());
            let mut rows = 0;
            let source = Source::open("a.csv", file.as_bytes()).unwrap();
            source.for_each(&Options::default(), |_| { rows += 1; Ok(()) }).unwrap();
            let shop = Shop::new();
            let [first, again] = [(); 2].map(|()| import(&shop, &[("a.csv", &file)]));
            for tally in [&first, &again] {
                let all = tally.total();
                prop_assert_eq!(all.created + all.updated + all.unchanged + all.left_out + all.skipped, rows);
                prop_assert_eq!(tally.skipped.len() as u64, all.skipped);
                prop_assert_eq!(tally.left_out.values().sum::<u64>(), all.left_out);
            }
            let expected = Counts { created: 0, unchanged: first.total().created, ..first.total() };
            prop_assert_eq!(again.total(), expected);
            prop_assert_eq!(&again.skipped, &first.skipped);
        }
    }

    const RULE: &str = r#"{"type": "sales_rule", "external_id": "r", "chatbot": "main", "name": "Stay",
        "trigger": "exit_intent", "message": "Wait!"}"#;

    fn rule() -> String {
        RULE.replace('\n', " ")
    }

    #[test]
    fn a_row_may_refer_to_one_further_on() {
        let shop = Shop::new();
        let chatbot = r#"{"type": "chatbot", "external_id": "main", "settings": {"name": "Main"}}"#;
        let tally = import(&shop, &[("a.jsonl", &rule()), ("b.jsonl", chatbot)]);
        assert_eq!((tally.total().created, tally.skipped.as_slice()), (2, [].as_slice()));
        let again = import(&shop, &[("a.jsonl", &rule()), ("b.jsonl", chatbot)]);
        assert_eq!(again.total(), Counts { unchanged: 2, ..Counts::default() });
    }

    #[test]
    fn a_refused_row_is_undone_alone() {
        let shop = Shop::new();
        let product = |handle: &str, more: &str| {
            format!(r#"{{"type": "product", "source": "s", "handle": "{handle}", "title": "T"{more}}}"#)
        };
        let rows: Vec<String> = (0..1_200)
            .map(|n| match n {
                7 => product("bad", r#", "currency": "euros""#),
                600 => rule(),
                _ => product(&format!("p{n}"), ""),
            })
            .collect();
        let tally = import(&shop, &[("a.jsonl", &rows.join("\n"))]);
        let skipped: Vec<_> =
            tally.skipped.iter().map(|s| (s.line, s.reason.split(':').next().unwrap())).collect();
        assert_eq!(skipped, [(8, "currency"), (601, "chatbot")]);
        let expected = [
            ("sales_rule", Counts { skipped: 1, ..Counts::default() }),
            ("product", Counts { created: 1_198, skipped: 1, ..Counts::default() }),
        ];
        assert_eq!(tally.kinds().collect::<Vec<_>>(), expected);
        shop.seed(|tx| {
            assert_eq!(product::count(tx, &product::Filter::default())?, 1_198);
            assert_eq!(chatbot::count(tx)?, 0);
            Ok(())
        });
    }
}
