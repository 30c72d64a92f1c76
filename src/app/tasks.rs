//! Retraining as a task (`io.modelcontextprotocol/tasks`): the task is the training job, and its id says which. There
//! is no table of tasks: the id is signed, so it can be neither guessed nor moved to another organisation, and it
//! outlives a restart.

use serde_json::{Value, json};

use super::{App, Caller, words};
use crate::access::{self, Reach};
use crate::clock::{DAY, SECOND, Time};
use crate::error::Result as Stored;
use crate::keyring::Keyring;
use crate::protocol::call::tool_result;
use crate::protocol::rpc::INVALID_PARAMS;
use crate::protocol::{Call, Fault, Found, Outcome, Output, TaskOp};
use crate::store::training_job::{self, Job, Status};
use crate::store::{Durability, SystemTx, Tenant, TenantTx, call_log, quota};
use crate::tools::Refusal;
use crate::tools::retrain_chatbot::{self, Started};

/// How long after it was created a task can be asked for, in milliseconds.
const TTL: i64 = DAY;
/// How often a client does well to ask, in milliseconds.
const POLL_INTERVAL: i64 = SECOND;

const PREFIX: &str = "task.";
/// What the keyring signs an id as.
const LABEL: &str = "mtk";
/// The longest id that is looked at.
const ID_BYTES_MAX: usize = 128;
const UNKNOWN: &str = "taskId: no task of yours, or one that has expired (a task can be asked for 24 hours). get_chatbot \
                       shows how a chatbot's training stands.";

/// A task as it stands.
pub(super) struct Task {
    id: String,
    pub(super) started: Started,
    pub(super) job: Job,
}

impl App {
    /// Answers `tasks/get`, `tasks/update` or `tasks/cancel`. None of them costs anything.
    pub(super) fn task(
        &self,
        caller: &Caller<'_>,
        call: &Call,
        op: &TaskOp,
        id: &str,
    ) -> Result<Outcome, Refusal> {
        let (tenant, now) = (caller.grant.tenant, self.clock.now());
        let look = |tx: &SystemTx<'_>| {
            find(&self.keyring, &tx.tenant_within(tenant, caller.grant.chatbots.as_deref()), id, now)
        };
        let Some(task) = self.store.read(look)? else {
            return Ok(Fault::new(200, INVALID_PARAMS, UNKNOWN).into());
        };
        let members = match op {
            TaskOp::Get => task.detailed()?,
            // Nothing is ever asked in a task, so no answer is one to it.
            TaskOp::Update(_) => "{}".to_owned(),
            TaskOp::Cancel => {
                self.cancel(caller, call, &task.job, now)?;
                "{}".to_owned()
            }
        };
        Ok(Outcome::Result(Found { members, ..Found::default() }))
    }

    /// Cancels a job, and logs that; one that is done stays done, and there is nothing to log. Who may not start one may
    /// not stop one.
    fn cancel(&self, caller: &Caller<'_>, call: &Call, job: &Job, now: Time) -> Result<(), Refusal> {
        if access::reach(caller.signals) != Reach::Full {
            return Err(words::read_only("tasks/cancel", caller));
        }
        if job.status.is_final() {
            return Ok(());
        }
        let job = job.id;
        let mut row = self.log_row(caller, call, &json!({"job": job}));
        let tenant = caller.grant.tenant;
        self.store.write(Durability::Disk, move |tx| {
            let tx = tx.tenant(tenant);
            row.day_remaining = quota::balance(&tx, now)?.day.remaining;
            match training_job::cancel(&tx, job, now)? {
                true => call_log::append(&tx, &row),
                false => Ok(()),
            }
        })?;
        Ok(())
    }
}

/// The task of what a call of `retrain_chatbot` began.
pub(super) fn of(keyring: &Keyring, tx: &TenantTx<'_>, started: Started) -> Stored<Option<Task>> {
    let id = id(keyring, tx.tenant(), started);
    Ok(training_job::get(tx, started.job)?.map(|job| Task { id, started, job }))
}

/// The task `id`; `None` when there is none for this credential, or none any more.
pub(super) fn find(keyring: &Keyring, tx: &TenantTx<'_>, id: &str, now: Time) -> Stored<Option<Task>> {
    let Some(started) = verified(keyring, tx.tenant(), id) else { return Ok(None) };
    Ok(of(keyring, tx, started)?.filter(|task| now < task.job.requested_at.plus(TTL)))
}

fn id(keyring: &Keyring, tenant: Tenant, started: Started) -> String {
    let mut bytes = started.job.to_be_bytes().to_vec();
    bytes.push(started.already_running.into());
    format!("{PREFIX}{}", keyring.seal(LABEL, &[&tenant.key().to_be_bytes()], &bytes))
}

/// What an id stands for, if we gave it to this organisation.
fn verified(keyring: &Keyring, tenant: Tenant, id: &str) -> Option<Started> {
    let sealed = id.strip_prefix(PREFIX).filter(|_| id.len() <= ID_BYTES_MAX)?;
    let bytes = keyring.unseal(LABEL, &[&tenant.key().to_be_bytes()], sealed)?;
    let (job, already) = bytes.split_at_checked(8)?;
    Some(Started { job: i64::from_be_bytes(job.try_into().ok()?), already_running: already == [1] })
}

impl Task {
    /// The members of the extension's `Task`: what a call is answered with that became one.
    pub(super) fn text(&self) -> String {
        self.members().to_string()
    }

    /// The members of its `DetailedTask`, as `tasks/get` and notifications have them: with the result, once there is one.
    /// Training that failed is a result like any other, for the call itself ran (section "Task Execution Errors").
    pub(super) fn detailed(self) -> Stored<String> {
        let mut text = self.text();
        if status(self.job.status) == "completed" {
            text.pop();
            text.push_str(&format!(r#","result":{}}}"#, result(self.job, self.started.already_running)?));
        }
        Ok(text)
    }

    fn members(&self) -> Value {
        json!({
            "taskId": self.id,
            "status": status(self.job.status),
            "statusMessage": message(&self.job),
            "createdAt": self.job.requested_at,
            "lastUpdatedAt": self.job.updated_at,
            "ttlMs": TTL,
            "pollIntervalMs": POLL_INTERVAL,
        })
    }
}

/// How the job stands, in a sentence for people and models.
pub(super) fn message(job: &Job) -> String {
    let Job { done, total, .. } = job;
    match job.status {
        Status::Queued => format!("Waiting to begin; {total} things are to be indexed."),
        Status::Running => format!("Indexed {done} of {total} things."),
        Status::Done => format!("All {total} things are indexed."),
        Status::Cancelled => {
            format!("Cancelled after {done} of {total} things; the rest is indexed as it was before.")
        }
        Status::Failed | Status::Interrupted => {
            let why = job.error.as_deref().unwrap_or("Start it again with retrain_chatbot.");
            format!("It ended after {done} of {total} things. {why}")
        }
    }
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Queued | Status::Running => "working",
        Status::Done | Status::Failed | Status::Interrupted => "completed",
        Status::Cancelled => "cancelled",
    }
}

/// What a plain call would give of the job now, as `tools/call` gives it.
fn result(job: Job, already_running: bool) -> Stored<String> {
    let structured = retrain_chatbot::text(job, already_running)?;
    Ok(tool_result(&Output { structured, meta: None }))
}
