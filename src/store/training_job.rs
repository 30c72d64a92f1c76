//! Training jobs: the re-indexing of what a chatbot answers from, one at a time for each chatbot.
//!
//! A job is queued by a tool and claimed by the worker of any process that has the database open. The worker says with
//! every batch that it lives; a job whose worker has died is marked `interrupted` by whichever worker notices.

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::choice::choice;
use super::{SystemTx, Tenant, TenantTx, chatbot, knowledge};
use crate::clock::{SECOND, Time};
use crate::error::{Error, Result};

/// How long the worker of a job may be silent before it is taken for dead, in milliseconds.
pub const SILENCE_MAX: i64 = 30 * SECOND;

choice! {
    /// What has become of a job.
    Status {
        /// It waits for a worker.
        Queued = "queued",
        /// A worker is at it.
        Running = "running",
        /// Everything was indexed.
        Done = "done",
        /// It ended with an error.
        Failed = "failed",
        /// Its worker died; it can be started again.
        Interrupted = "interrupted",
        /// Somebody stopped it; what it had not reached is indexed as it was.
        Cancelled = "cancelled",
    }
}

impl Status {
    /// Whether nothing will come of it any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Status::Queued | Status::Running)
    }
}

/// A job, as tools show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Job {
    /// Its number within the organisation.
    pub id: i64,
    /// The chatbot that is retrained.
    pub chatbot_id: i64,
    /// `queued`, `running`, `done`, `failed`, `interrupted` or `cancelled`.
    pub status: Status,
    /// How many things have been indexed.
    pub done: i64,
    /// How many there are.
    pub total: i64,
    /// When it was asked for.
    pub requested_at: Time,
    /// When a worker began.
    pub started_at: Option<Time>,
    /// When it ended, well or not.
    pub finished_at: Option<Time>,
    /// Why it did not end well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whose credential asked for it; pages show it.
    #[serde(skip)]
    pub requested_by: String,
    /// When something of it last changed.
    #[serde(skip)]
    pub updated_at: Time,
}

/// A job in a worker's hands.
#[derive(Clone, Copy, Debug)]
pub struct Claimed {
    /// Whose it is.
    pub tenant: Tenant,
    /// Its number.
    pub id: i64,
    /// The chatbot that is retrained.
    pub chatbot: i64,
}

const COLUMNS: &str = "id, chatbot, status, done, total, requested_at, started_at, finished_at, error, \
                       requested_by, COALESCE(finished_at, heartbeat_at, requested_at)";

/// Has everything that a chatbot answers from indexed anew: its queued or running job, and `true`; if there is none, a
/// new one, and `false`. `None` when there is no such chatbot.
pub fn start(tx: &TenantTx<'_>, chatbot: i64, actor: &str, now: Time) -> Result<Option<(Job, bool)>> {
    if !chatbot::exists(tx, chatbot)? {
        return Ok(None);
    }
    let total = knowledge::sources(tx, chatbot)?.iter().map(|source| source.items).sum();
    request(tx, chatbot, total, actor, now).map(Some)
}

/// The chatbot's queued or running job, and `true`; if there is none, a new one for `total` things, and `false`.
/// The chatbot must be there.
pub fn request(tx: &TenantTx<'_>, chatbot: i64, total: i64, actor: &str, now: Time) -> Result<(Job, bool)> {
    if let Some(job) = latest(tx, chatbot)?.filter(|job| !job.status.is_final()) {
        return Ok((job, true));
    }
    let id = tx.next_id("training_job")?;
    let sql = "INSERT INTO training_job (organisation, id, chatbot, status, done, total, requested_by, requested_at) \
               VALUES (?1, ?2, ?3, 'queued', 0, ?4, ?5, ?6)";
    tx.execute(sql, &[&id, &chatbot, &total, &actor, &now.0])?;
    let made = latest(tx, chatbot)?.ok_or_else(|| Error::internal("a job vanished"))?;
    Ok((made, false))
}

/// The chatbot's last job.
pub fn latest(tx: &TenantTx<'_>, chatbot: i64) -> Result<Option<Job>> {
    Ok(last(tx, chatbot, 1)?.pop())
}

/// The chatbot's last `limit` jobs, newest first.
pub fn last(tx: &TenantTx<'_>, chatbot: i64, limit: i64) -> Result<Vec<Job>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM training_job WHERE organisation = ?1 AND chatbot = ?2 ORDER BY id DESC LIMIT ?3"
    );
    tx.all(&sql, &[&chatbot, &limit], of_row)
}

/// The job of that number.
pub fn get(tx: &TenantTx<'_>, id: i64) -> Result<Option<Job>> {
    let sql = format!("SELECT {COLUMNS} FROM training_job WHERE organisation = ?1 AND id = ?2");
    tx.first(&sql, &[&id], of_row)
}

fn of_row(row: &Row<'_>) -> Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        chatbot_id: row.get(1)?,
        status: row.get(2)?,
        done: row.get(3)?,
        total: row.get(4)?,
        requested_at: Time(row.get(5)?),
        started_at: row.get::<_, Option<i64>>(6)?.map(Time),
        finished_at: row.get::<_, Option<i64>>(7)?.map(Time),
        error: row.get(8)?,
        requested_by: row.get(9)?,
        updated_at: Time(row.get(10)?),
    })
}

/// Whether any organisation has a job that waits.
pub fn any_queued(tx: &SystemTx<'_>) -> Result<bool> {
    let sql = "SELECT 1 FROM training_job WHERE status = 'queued' LIMIT 1";
    Ok(tx.connection.prepare_cached(sql)?.exists([])?)
}

/// The running jobs of every organisation: whose, which, its worker and when that last said that it lives.
pub fn running(tx: &SystemTx<'_>) -> Result<Vec<(Tenant, i64, String, Time)>> {
    let sql = "SELECT organisation, id, worker, heartbeat_at FROM training_job WHERE status = 'running'";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        let worker = row.get::<_, Option<String>>(2)?.unwrap_or_default();
        let heartbeat = row.get::<_, Option<i64>>(3)?.unwrap_or_default();
        Ok((Tenant(row.get(0)?), row.get(1)?, worker, Time(heartbeat)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Gives the job that has waited longest, of whichever organisation, to `worker`.
pub fn claim(tx: &SystemTx<'_>, worker: &str, now: Time) -> Result<Option<Claimed>> {
    let sql = "UPDATE training_job SET status = 'running', done = 0, worker = ?1, started_at = ?2, heartbeat_at = ?2 \
               WHERE (organisation, id) = (SELECT organisation, id FROM training_job WHERE status = 'queued' \
               ORDER BY requested_at, organisation, id LIMIT 1) RETURNING organisation, id, chatbot";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let claimed = statement.query_row(params![worker, now.0], |row| {
        Ok(Claimed { tenant: Tenant(row.get(0)?), id: row.get(1)?, chatbot: row.get(2)? })
    });
    Ok(claimed.optional()?)
}

/// Notes how far `worker` has come, and that it lives; `false` when the job is no longer its own.
pub fn progress(tx: &TenantTx<'_>, id: i64, worker: &str, done: i64, total: i64, now: Time) -> Result<bool> {
    let sql = "UPDATE training_job SET done = ?4, total = ?5, heartbeat_at = ?6 \
               WHERE organisation = ?1 AND id = ?2 AND status = 'running' AND worker = ?3";
    Ok(tx.execute(sql, &[&id, &worker, &done, &total, &now.0])? > 0)
}

/// Ends the job that `worker` runs; `false` when it is no longer its own.
pub fn finish(
    tx: &TenantTx<'_>,
    id: i64,
    worker: &str,
    status: Status,
    error: Option<&str>,
    now: Time,
) -> Result<bool> {
    let sql = "UPDATE training_job SET status = ?4, error = ?5, finished_at = ?6, worker = NULL \
               WHERE organisation = ?1 AND id = ?2 AND status = 'running' AND worker = ?3";
    Ok(tx.execute(sql, &[&id, &worker, &status, &error, &now.0])? > 0)
}

/// Stops a job that is not done; `false` when it is. A worker that is at it notices with its next batch.
pub fn cancel(tx: &TenantTx<'_>, id: i64, now: Time) -> Result<bool> {
    let sql = "UPDATE training_job SET status = 'cancelled', finished_at = ?3, worker = NULL \
               WHERE organisation = ?1 AND id = ?2 AND status IN ('queued', 'running')";
    Ok(tx.execute(sql, &[&id, &now.0])? > 0)
}

/// Puts the job that `worker` runs back into the queue, to be begun again by whoever comes next.
pub fn give_back(tx: &TenantTx<'_>, id: i64, worker: &str) -> Result<()> {
    let sql = "UPDATE training_job SET status = 'queued', done = 0, worker = NULL, started_at = NULL \
               WHERE organisation = ?1 AND id = ?2 AND status = 'running' AND worker = ?3";
    tx.execute(sql, &[&id, &worker])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Durability;
    use crate::tools::testing::{NOW, Shop};

    fn chatbot(tx: &TenantTx<'_>) -> Result<i64> {
        crate::store::knowledge::tests::chatbot(tx, "bot")
    }

    #[test]
    fn a_chatbot_has_one_job_at_a_time() {
        let shop = Shop::new();
        let (first, second) = shop.seed(|tx| {
            let bot = chatbot(tx)?;
            Ok((request(tx, bot, 7, "me", NOW)?, request(tx, bot, 9, "you", NOW)?))
        });
        assert_eq!((first.0.status, first.0.total, first.1), (Status::Queued, 7, false));
        assert_eq!(second, (first.0, true));
    }

    #[test]
    fn one_worker_claims_a_job_and_only_it_ends_it() {
        let shop = Shop::new();
        shop.seed(|tx| request(tx, chatbot(tx)?, 2, "me", NOW));
        let tenant = shop.tenant;
        shop.store
            .write(Durability::Process, move |system| {
                let job = claim(system, "a", NOW)?.unwrap();
                assert!(claim(system, "b", NOW)?.is_none());
                let tx = system.tenant(tenant);
                assert!(!progress(&tx, job.id, "b", 1, 2, NOW)?);
                assert!(progress(&tx, job.id, "a", 1, 2, NOW)?);
                assert_eq!(running(system)?, [(tenant, job.id, "a".to_owned(), NOW)]);
                assert!(!finish(&tx, job.id, "b", Status::Done, None, NOW)?);
                give_back(&tx, job.id, "a")?;
                assert!(any_queued(system)?);
                claim(system, "b", NOW)?.unwrap();
                assert!(finish(&tx, job.id, "b", Status::Failed, Some("why"), NOW)?);
                let job = latest(&tx, job.chatbot)?.unwrap();
                assert_eq!((job.status, job.error.as_deref()), (Status::Failed, Some("why")));
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn a_job_that_is_not_done_is_cancelled_once_and_frees_its_chatbot() {
        let shop = Shop::new();
        shop.seed(|tx| request(tx, chatbot(tx)?, 2, "me", NOW));
        let tenant = shop.tenant;
        shop.store
            .write(Durability::Process, move |system| {
                let tx = system.tenant(tenant);
                let running = claim(system, "a", NOW)?.unwrap();
                assert!(cancel(&tx, running.id, NOW)?);
                assert!(!cancel(&tx, running.id, NOW)?);
                assert!(!progress(&tx, running.id, "a", 1, 2, NOW)?);
                assert!(!finish(&tx, running.id, "a", Status::Done, None, NOW)?);
                assert_eq!(get(&tx, running.id)?.unwrap().status, Status::Cancelled);
                let (next, already) = request(&tx, running.chatbot, 2, "me", NOW)?;
                assert!(!already && cancel(&tx, next.id, NOW)? && !any_queued(system)?);
                Ok(())
            })
            .unwrap();
    }
}
