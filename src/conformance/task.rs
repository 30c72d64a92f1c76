//! The life of one task, watched from its call to its end: of a tool that whoever runs the checks named.
//!
//! In the modern era tasks are an extension: the server decides which call becomes one, for clients that declare it. In
//! 2025-11-25 the client asks for a task, of tools that say they can be one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::bench::Bench;
use super::check::Stop;
use super::expect::skip;
use crate::clock;
use crate::error::Result;
use crate::peer::Exchange;
use crate::protocol::catalog::TASKS;

/// The pause between two questions where the server wants none in particular.
const POLL: Duration = Duration::from_millis(500);
/// The shortest pause, whatever the server wants.
const MIN_POLL: Duration = Duration::from_millis(20);
/// How long a legacy task should be kept, in milliseconds.
const TTL_MS: u64 = 60_000;
/// The states that a task does not leave.
const ENDS: [&str; 3] = ["completed", "failed", "cancelled"];

/// A task and what was said of it.
pub struct Life {
    /// The tool that was called.
    pub tool: String,
    /// The call, and the answer that began the task.
    pub created: Exchange,
    /// Each `tasks/get` that was answered, in order; none where the task has no id.
    pub polls: Vec<Exchange>,
}

impl Life {
    /// The members of the task as the call gave them.
    pub fn task(&self) -> &Value {
        members(self.created.result())
    }

    /// Its id; empty where it has none.
    pub fn id(&self) -> &str {
        text(self.task(), "taskId")
    }

    /// The status that it was in last; empty where it was never told.
    pub fn status(&self) -> &str {
        self.polls.last().and_then(Exchange::result).map_or("", |task| text(task, "status"))
    }

    /// Whether it was watched to its end.
    pub fn has_ended(&self) -> bool {
        ENDS.contains(&self.status())
    }
}

/// The members of a task in the result of a call: at its top in the modern era, below `task` in 2025-11-25.
fn members(result: Option<&Value>) -> &Value {
    let result = result.unwrap_or(&Value::Null);
    result.get("task").unwrap_or(result)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

impl Bench {
    /// The task of a tool that was named: begun once, and watched until it ends, wants input or takes longer than an
    /// answer may.
    ///
    /// # Errors
    /// Not exercised when the server has no tasks, or no tool that was named runs as one.
    pub async fn task(&mut self) -> Result<Arc<Life>, Stop> {
        if self.task.is_none() {
            let life = match self.begin().await {
                Ok(mut life) => {
                    self.watch(&mut life).await?;
                    Ok(Arc::new(life))
                }
                Err(Stop::Skips(why)) => Err(why),
                Err(stop) => return Err(stop),
            };
            self.noted.clear();
            self.task = Some(life);
        }
        match &self.task {
            Some(Ok(life)) => Ok(life.clone()),
            Some(Err(why)) => skip(why.clone()),
            None => skip("no task was begun"),
        }
    }

    /// Whether the server declares tasks, in the words of the lane's era.
    ///
    /// # Errors
    /// Not exercised when it does not.
    pub fn needs_tasks(&self) -> Result<(), Stop> {
        match self.revision.is_modern() {
            true if self.has_extension(TASKS) => Ok(()),
            true => skip(format!("the server does not declare {TASKS}")),
            false => self.needs("tasks"),
        }
    }

    /// Asks about a task, as a client that knows them.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub async fn ask_of_task(&mut self, method: &str, id: &str) -> Result<Exchange> {
        let params = self.of_client_with_tasks(json!({"taskId": id}));
        self.ask(method, params).await
    }

    /// `params` of a client that knows tasks: the modern era declares that with each request.
    pub fn of_client_with_tasks(&self, mut params: Value) -> Value {
        if let (true, Some(members)) = (self.revision.is_modern(), params.as_object_mut()) {
            members.insert("_meta".to_owned(), capabilities());
        }
        params
    }

    async fn begin(&mut self) -> Result<Life, Stop> {
        self.needs_tasks()?;
        let tools = self.list("tools/list").await?;
        let calls = self.calls.clone();
        let named = tools.items.iter().filter(|tool| calls.contains_key(text(tool, "name")));
        let named: Vec<_> = named.filter(|tool| self.may_be_task(tool)).collect();
        if named.is_empty() {
            let why = match self.revision.is_modern() {
                true => "no tool of the server is named by --call",
                false => "no tool that says it can be a task (execution.taskSupport) is named by --call",
            };
            return skip(format!("{why}; --call NAME='{{…}}' names one whose task is watched"));
        }
        for tool in named {
            let arguments = calls.get(text(tool, "name")).cloned().unwrap_or_default();
            let created = self.call_as_task(tool, arguments).await?;
            let is_task = match self.revision.is_modern() {
                true => created.result().is_some_and(|result| text(result, "resultType") == "task"),
                // Who accepts the call must begin a task.
                false => created.result().is_some(),
            };
            if is_task {
                return Ok(Life { tool: text(tool, "name").to_owned(), created, polls: Vec::new() });
            }
        }
        skip("no call that --call names was answered with a task")
    }

    /// Whether a call of `tool` may ask for a task.
    fn may_be_task(&self, tool: &Value) -> bool {
        let declared =
            self.capabilities().get("tasks").and_then(|tasks| tasks.pointer("/requests/tools/call"));
        let support = tool.pointer("/execution/taskSupport").and_then(Value::as_str).unwrap_or_default();
        self.revision.is_modern() || (declared.is_some() && ["optional", "required"].contains(&support))
    }

    async fn call_as_task(&mut self, tool: &Value, arguments: Value) -> Result<Exchange> {
        if self.revision.is_modern() {
            return self.call(tool, arguments, capabilities()).await;
        }
        let name = tool.get("name").cloned().unwrap_or_default();
        self.ask("tools/call", json!({"name": name, "arguments": arguments, "task": {"ttl": TTL_MS}})).await
    }

    /// Asks how `life` goes on, as often as the server wants to be asked.
    async fn watch(&mut self, life: &mut Life) -> Result<()> {
        let id = life.id().to_owned();
        let deadline = clock::instant() + self.dialler.options().patience;
        while !id.is_empty() {
            let asked = self.ask_of_task("tasks/get", &id).await?;
            if asked.limit().is_some() {
                break;
            }
            let task = asked.result().cloned().unwrap_or_default();
            life.polls.push(asked);
            if text(&task, "status") != "working" {
                break;
            }
            let pause = pause(&task);
            if clock::instant() + pause >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        if !life.has_ended() && !id.is_empty() {
            // What nobody watches any more need not go on.
            self.ask_of_task("tasks/cancel", &id).await?;
        }
        Ok(())
    }
}

/// The `_meta` of a request of a client that declares the extension.
fn capabilities() -> Value {
    json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: Map::new()}}})
}

/// The pause that the server wants before it is asked again.
fn pause(task: &Value) -> Duration {
    let wanted = ["pollIntervalMs", "pollInterval"].iter().find_map(|name| task.get(name)?.as_u64());
    wanted.map_or(POLL, Duration::from_millis).max(MIN_POLL)
}
