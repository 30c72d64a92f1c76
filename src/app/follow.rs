//! A call that stays open while its work goes on: the client asked for progress, so it is told how far the training
//! is, and answered when that is done, or when it has waited long enough. Nothing is held meanwhile but this value: no
//! thread, no connection to the database, no turn of a call.

use std::sync::Arc;
use std::time::Duration;

use super::tasks::{self, Task};
use super::{Answer, App, Caller, Ended, confirm, refused, words};
use crate::access::Grant;
use crate::error::Result;
use crate::protocol::catalog::TASKS;
use crate::protocol::{Call, Id, Outcome, Output, Response, Target};
use crate::store::quota::Balance;
use crate::store::training_job::{self, Job};
use crate::store::{Store, Tenant};
use crate::tools::{Effect, TOOLS, retrain_chatbot};

/// How long a client waits at most before it is answered with the work as it then stands.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look, where nothing says that something changed.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A call that waits for its training job.
pub struct Follow {
    call: Call,
    store: Arc<Store>,
    tenant: Tenant,
    chatbots: Option<Arc<[i64]>>,
    already_running: bool,
    balance: Option<Balance>,
    /// As it was last seen.
    job: Job,
    /// How many things the client was told of.
    told: Option<i64>,
}

/// How a call stands that is followed.
pub enum Look {
    /// It goes on; a progress notification to send, if there is news.
    Wait(Option<Vec<u8>>),
    /// It is over: [`Follow::finish`] answers it.
    Done,
}

/// Whether the call may have something to say before its answer: how far its work is, or a question to a legacy client.
/// A driver that can send nothing before an answer takes [`Answer::at_once`].
pub fn converses(call: &Call) -> bool {
    let Target::Tool { index, .. } = call.target else { return false };
    let effect = TOOLS.get(index).map(|entry| entry.spec.effect);
    match effect {
        Some(Effect::Start) => call.progress_token.is_some() && !takes_tasks(call),
        Some(Effect::Update) => !call.peer.revision.is_modern() && call.peer.answers(confirm::ELICIT, None),
        _ => false,
    }
}

fn takes_tasks(call: &Call) -> bool {
    call.peer.revision.is_modern() && call.peer.has_extension(TASKS)
}

impl App {
    /// What work that goes on behind its call is answered with: a task, or, to who wants to be told of its progress, the
    /// work as it stands when it is done or the client has waited long enough; else as it stands now.
    pub(super) fn started(&self, caller: &Caller<'_>, call: Call, ended: Ended) -> Answer {
        let is_task = takes_tasks(&call);
        let work = ended.result.as_deref().ok().and_then(retrain_chatbot::started);
        let Some(work) = work.filter(|_| is_task || call.progress_token.is_some()) else {
            return self.answer(call, ended);
        };
        let looked = self.store.read(|tx| {
            let tx = tx.tenant_within(caller.grant.tenant, caller.grant.chatbots.as_deref());
            tasks::of(&self.keyring, &tx, work)
        });
        let Ok(Some(task)) = looked else { return self.answer(call, ended) };
        if is_task {
            return call.finish(Outcome::Task(task.text())).into();
        }
        Answer::Later(self.follow(caller.grant, call, task, ended.balance))
    }

    /// The call, to be followed until the work of this task is done.
    fn follow(&self, grant: &Grant, call: Call, task: Task, balance: Option<Balance>) -> Follow {
        let (store, chatbots) = (Arc::clone(&self.store), grant.chatbots.clone());
        let Task { job, started, .. } = task;
        let already_running = started.already_running;
        Follow { call, store, tenant: grant.tenant, chatbots, already_running, balance, job, told: None }
    }
}

impl Follow {
    /// Looks how far the work is. It reads from the database, for some microseconds.
    ///
    /// # Errors
    /// Those of the store; [`Follow::finish`] then still answers.
    pub fn look(&mut self) -> Result<Look> {
        if let Some(job) = read(&self.store, self.tenant, self.chatbots.as_deref(), self.job.id)? {
            self.job = job;
        }
        if let Some(news) = self.news() {
            return Ok(Look::Wait(Some(news)));
        }
        Ok(if self.job.status.is_final() { Look::Done } else { Look::Wait(None) })
    }

    /// The call's identifier.
    pub fn call_id(&self) -> &Id {
        &self.call.id
    }

    /// The answer, with the work as it was last seen.
    pub fn finish(self) -> Response {
        let Follow { call, job, balance, already_running, .. } = self;
        let seen = job.updated_at;
        let mut structured = match retrain_chatbot::text(job, already_running) {
            Ok(structured) => structured,
            Err(error) => {
                let refusal = refused(call.name(), error.into(), None, seen, None);
                return call.finish(Outcome::Refused(refusal));
            }
        };
        words::add_notice(&mut structured, balance.as_ref());
        let meta = balance.as_ref().map(words::quota_meta);
        call.finish(Outcome::Done(Output { structured, meta }))
    }

    /// A notification, if there is more done than the client was told: MCP wants each to say more than the last.
    fn news(&mut self) -> Option<Vec<u8>> {
        if self.told.is_some_and(|told| self.job.done <= told) {
            return None;
        }
        self.told = Some(self.job.done);
        let message = tasks::message(&self.job);
        self.call.progress(self.job.done as f64, Some(self.job.total as f64), Some(&message))
    }
}

fn read(store: &Store, tenant: Tenant, chatbots: Option<&[i64]>, job: i64) -> Result<Option<Job>> {
    store.read(|tx| training_job::get(&tx.tenant_within(tenant, chatbots), job))
}
