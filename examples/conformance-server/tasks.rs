//! Work that goes on behind its call (`io.modelcontextprotocol/tasks`): kept in memory until its time is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chaterimo::clock::{Clock, MINUTE, Time, random};
use chaterimo::protocol::rpc::{INTERNAL_ERROR, INVALID_PARAMS};
use chaterimo::protocol::{Event, Fault, TaskOp};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};
use tokio::sync::{Notify, broadcast};

use super::ask::{check_answer, method};
use super::data::Plan;
use super::fill::fill;

const TTL_MS: i64 = 10 * MINUTE;
const POLL_MS: i64 = 200;
/// Tasks at one time.
const MAX_TASKS: usize = 1_000;

#[derive(Clone)]
pub struct Tasks {
    all: Arc<Mutex<HashMap<String, Task>>>,
    news: broadcast::Sender<Event>,
}

/// A piece of work that is to go on.
pub struct Job {
    pub plan: Plan,
    /// What places are filled from; the task's own answers are added.
    pub scope: Value,
    /// Members of the call's result, with places to fill.
    pub result: Value,
}

struct Task {
    status: &'static str,
    created: Time,
    updated: Time,
    /// Requests to the client that are not answered.
    open: Map<String, Value>,
    answers: Map<String, Value>,
    /// `result` or `error`, once there is one.
    ending: Map<String, Value>,
    /// Told when nothing is open any more, or the task has ended.
    moved: Arc<Notify>,
}

impl Tasks {
    pub fn new(news: broadcast::Sender<Event>) -> Tasks {
        Tasks { all: Arc::default(), news }
    }

    /// Begins a job; the members of its task, which can be asked for from now on.
    pub fn begin(&self, job: Job) -> Result<String, Fault> {
        let (id, task) = (BASE64URL_NOPAD.encode(&random::<16>()), Task::new());
        let members = Value::Object(task.members(&id)).to_string();
        let mut all = self.all();
        if all.len() >= MAX_TASKS {
            return Err(Fault::new(200, INTERNAL_ERROR, "There are too many tasks; try again later."));
        }
        all.insert(id.clone(), task);
        tokio::spawn(self.clone().work(id, job));
        Ok(members)
    }

    /// Answers `tasks/get`, `tasks/update` and `tasks/cancel`: members of the result.
    pub fn answer(&self, id: &str, op: &TaskOp) -> Result<Value, Fault> {
        let mut all = self.all();
        let Some(task) = all.get_mut(id) else {
            let text = "Invalid params: there is no such task; perhaps its time is over.";
            return Err(Fault::new(200, INVALID_PARAMS, text));
        };
        let moves = match op {
            TaskOp::Get => return Ok(task.details(id).into()),
            _ if task.has_ended() => false,
            TaskOp::Update(answers) => task.take(answers)?,
            TaskOp::Cancel => {
                task.status = "cancelled";
                true
            }
        };
        if moves {
            self.touched(id, task);
        }
        Ok(json!({}))
    }

    /// Does what the plan says, until the task is cancelled.
    async fn work(self, id: String, job: Job) {
        let Job { plan, mut scope, result } = job;
        if !plan.asks.is_empty() {
            let Some(answers) = self.ask(&id, fill(&plan.asks.into(), &scope)).await else { return };
            if let Value::Object(scope) = &mut scope {
                scope.extend(answers);
            }
        }
        let seconds = fill(&plan.seconds, &scope).as_f64().unwrap_or_default();
        tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 600.0))).await;
        let (status, name, ending) = match plan.fault {
            Some(message) => ("failed", "error", json!({"code": INTERNAL_ERROR, "message": message})),
            None => ("completed", "result", fill(&result, &scope)),
        };
        self.change(&id, |task| {
            task.status = status;
            task.ending.insert(name.into(), ending);
        });
    }

    /// The answers to these requests; `None` when the task has ended before they were there.
    async fn ask(&self, id: &str, requests: Value) -> Option<Map<String, Value>> {
        let Value::Object(requests) = requests else { return None };
        let moved = self.change(id, |task| {
            (task.status, task.open) = ("input_required", requests);
            Arc::clone(&task.moved)
        })?;
        moved.notified().await;
        let mut all = self.all();
        let task = all.get_mut(id).filter(|task| !task.has_ended())?;
        Some(std::mem::take(&mut task.answers))
    }

    /// Changes a task that has not ended, and tells those who listen.
    fn change<T>(&self, id: &str, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let mut all = self.all();
        let task = all.get_mut(id).filter(|task| !task.has_ended())?;
        let changed = change(task);
        self.touched(id, task);
        Some(changed)
    }

    fn touched(&self, id: &str, task: &mut Task) {
        task.updated = Clock::System.now();
        if task.open.is_empty() || task.has_ended() {
            task.moved.notify_one();
        }
        let members = Value::Object(task.details(id)).to_string();
        // Nobody need listen.
        let _ = self.news.send(Event::Task { id: id.to_owned(), members });
    }

    /// Those whose time is not over.
    fn all(&self) -> MutexGuard<'_, HashMap<String, Task>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Clock::System.now();
        all.retain(|_, task| now < task.created.plus(TTL_MS));
        all
    }
}

impl Task {
    fn new() -> Task {
        let now = Clock::System.now();
        Task {
            status: "working",
            created: now,
            updated: now,
            open: Map::new(),
            answers: Map::new(),
            ending: Map::new(),
            moved: Arc::default(),
        }
    }

    fn has_ended(&self) -> bool {
        matches!(self.status, "completed" | "failed" | "cancelled")
    }

    /// Takes answers to what is open; whether there was any. Names that are not open are no news: they were answered, or
    /// never asked.
    fn take(&mut self, answers: &Map<String, Value>) -> Result<bool, Fault> {
        for (name, answer) in answers {
            if let Some(request) = self.open.get(name) {
                check_answer(name, method(request), answer)?;
            }
        }
        let were_open = self.open.len();
        for (name, answer) in answers {
            if self.open.shift_remove(name).is_some() {
                self.answers.insert(name.clone(), answer.clone());
            }
        }
        if self.open.is_empty() && self.status == "input_required" {
            self.status = "working";
        }
        Ok(self.open.len() < were_open)
    }

    /// `Task`.
    fn members(&self, id: &str) -> Map<String, Value> {
        let mut members = Map::new();
        members.insert("taskId".into(), id.into());
        members.insert("status".into(), self.status.into());
        members.insert("createdAt".into(), self.created.to_string().into());
        members.insert("lastUpdatedAt".into(), self.updated.to_string().into());
        members.insert("ttlMs".into(), TTL_MS.into());
        members.insert("pollIntervalMs".into(), POLL_MS.into());
        members
    }

    /// `DetailedTask`.
    fn details(&self, id: &str) -> Map<String, Value> {
        let mut members = self.members(id);
        if self.status == "input_required" {
            members.insert("inputRequests".into(), self.open.clone().into());
        }
        members.extend(self.ending.clone());
        members
    }
}
