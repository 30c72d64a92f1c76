//! Who answers behind the transport: rows of data, sessions in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chaterimo::clock::random;
use chaterimo::http::{Desk, Feed, Host, Mail, Permit, Ran, Refusal};
use chaterimo::protocol::call::missing_capability;
use chaterimo::protocol::catalog::TASKS;
use chaterimo::protocol::wire::LIST_TTL_MS;
use chaterimo::protocol::{
    self, Cache, Call, Completable, Engine, Event, Fault, Filter, Found, Level, Outcome, Session, Target,
    View,
};
use data_encoding::BASE64URL_NOPAD;
use jsonschema::Validator;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use super::Result;
use super::ask::{Asker, Questions};
use super::data::{Data, Prompt, SERVER, Step, Tool, Trigger};
use super::fill::fill;
use super::tasks::{Job, Tasks};

/// Sessions at one time.
const MAX_SESSIONS: usize = 1_000;
/// What a stream may fall behind before it misses something.
const NEWS_MAX: usize = 256;
/// Between two things that a tool says.
const PAUSE: Duration = Duration::from_millis(30);

/// The server of the suite.
#[derive(Clone)]
pub struct Fixture(Arc<Shared>);

struct Shared {
    data: Data,
    /// Of the tools' arguments, in their order.
    validators: Vec<Validator>,
    engine: Engine,
    desk: Arc<Desk>,
    asker: Asker,
    tasks: Tasks,
    news: broadcast::Sender<Event>,
    sessions: Mutex<HashMap<String, Session>>,
}

impl Fixture {
    /// # Errors
    /// Data that is not as it should be.
    pub fn new() -> Result<Fixture> {
        let data = Data::read()?;
        let validator = |tool: &Tool| jsonschema::validator_for(&tool.input).map_err(|e| e.to_string());
        let (news, _) = broadcast::channel(NEWS_MAX);
        Ok(Fixture(Arc::new(Shared {
            validators: data.tools.iter().map(validator).collect::<std::result::Result<_, _>>()?,
            engine: Engine::new(SERVER, data.catalog()),
            data,
            desk: Arc::default(),
            asker: Asker::new(),
            tasks: Tasks::new(news.clone()),
            news,
            sessions: Mutex::default(),
        })))
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, call: &Call, mail: &Mail) -> std::result::Result<Outcome, Fault> {
        let data = &self.0.data;
        match &call.target {
            Target::Tool { index, arguments, .. } => match data.tools.get(*index) {
                Some(tool) => self.tool(tool, *index, arguments, call, mail).await,
                None => Err(Fault::invalid("There is no such tool.")),
            },
            Target::Prompt { index, arguments, .. } => match data.prompts.get(*index) {
                Some(prompt) => self.prompt(prompt, arguments, call),
                None => Err(Fault::invalid("There is no such prompt.")),
            },
            Target::Resources { cursor: None } => Ok(cached(self.listed(), true)),
            Target::Resources { cursor: Some(_) } => Err(Fault::invalid("All is on one page.")),
            Target::Resource { uri } => Ok(self.resource(uri)),
            Target::Completion { of, argument, value, .. } => Ok(self.completion(*of, argument, value)),
            Target::Task { op, id } => self.0.tasks.answer(id, op).map(found),
        }
    }

    async fn tool(
        &self,
        tool: &Tool,
        index: usize,
        arguments: &Map<String, Value>,
        call: &Call,
        mail: &Mail,
    ) -> std::result::Result<Outcome, Fault> {
        let mut scope = Value::Object(arguments.clone());
        let wrong = self.0.validators.get(index).and_then(|validator| validator.validate(&scope).err());
        if let Some(wrong) = wrong {
            return Ok(refused("invalid_arguments", wrong.to_string()));
        }
        check_needs(tool, call)?;
        if call.answers.is_empty() {
            say(tool, call, mail).await;
        }
        let task = tool.task.as_ref().filter(|_| knows_tasks(call));
        let mut rounds = tool.rounds.clone();
        rounds.extend(tool.task.iter().filter(|_| task.is_none()).map(|plan| plan.asks.clone()));
        let questions = Questions { rounds: &rounds, signed: tool.signed, declared_only: tool.declared_only };
        if let Some(ask) = self.0.asker.next(tool.name, call, &questions, &mut scope)? {
            return Ok(Outcome::Ask(ask));
        }
        self.trigger(tool.triggers);
        match (task, &tool.task) {
            (Some(plan), _) => {
                let (plan, result) = (plan.clone(), tool.result.clone());
                return self.0.tasks.begin(Job { plan, scope, result }).map(Outcome::Task);
            }
            (None, Some(plan)) => {
                let seconds = fill(&plan.seconds, &scope).as_f64().unwrap_or_default();
                tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 600.0))).await;
            }
            (None, None) => {}
        }
        Ok(found(fill(&tool.result, &scope)))
    }

    fn prompt(
        &self,
        prompt: &Prompt,
        arguments: &Map<String, Value>,
        call: &Call,
    ) -> std::result::Result<Outcome, Fault> {
        let mut scope = Value::Object(arguments.clone());
        let questions = Questions { rounds: &prompt.rounds, signed: false, declared_only: false };
        if let Some(ask) = self.0.asker.next(prompt.name, call, &questions, &mut scope)? {
            return Ok(Outcome::Ask(ask));
        }
        Ok(found(json!({"messages": fill(&prompt.messages, &scope)})))
    }

    fn listed(&self) -> Value {
        let without_contents = |resource: &Map<String, Value>| {
            let members = resource.iter().filter(|(name, _)| !matches!(name.as_str(), "text" | "blob"));
            members.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>()
        };
        json!({"resources": self.0.data.resources.listed.iter().map(without_contents).collect::<Vec<_>>()})
    }

    fn resource(&self, uri: &str) -> Outcome {
        let resources = &self.0.data.resources;
        if let Some(listed) = resources.listed.iter().find(|listed| listed["uri"] == uri) {
            let members = ["uri", "mimeType", "text", "blob"].into_iter();
            let contents = members.filter_map(|name| Some((name.to_owned(), listed.get(name)?.clone())));
            return cached(json!({"contents": [contents.collect::<Map<_, _>>()]}), false);
        }
        let family = resources.families.iter().find_map(|family| Some((family, family.id(uri)?)));
        let Some((family, id)) = family else { return Outcome::NoResource(uri.to_owned()) };
        let text = fill(&family.text.as_str().into(), &json!({"id": id}));
        cached(json!({"contents": [{"uri": uri, "mimeType": family.mime_type, "text": text}]}), false)
    }

    fn completion(&self, of: Completable, argument: &str, value: &str) -> Outcome {
        let data = &self.0.data;
        let values = match of {
            Completable::Prompt(index) => data.prompts.get(index).and_then(|prompt| {
                let found = prompt.arguments.iter().find(|known| known.name == argument);
                found.map(|known| &known.values)
            }),
            Completable::Template(index) => {
                data.resources.families.get(index).filter(|_| argument == "id").map(|family| &family.values)
            }
        };
        let values: Vec<_> = values.into_iter().flatten().filter(|known| known.starts_with(value)).collect();
        found(json!({"completion": {"total": values.len(), "hasMore": false, "values": values}}))
    }

    fn trigger(&self, trigger: Option<Trigger>) {
        let event = match trigger {
            None => return,
            Some(Trigger::Tools) => Event::ToolsChanged,
            Some(Trigger::Prompts) => Event::PromptsChanged,
            Some(Trigger::Watched) => Event::ResourceUpdated("test://watched-resource".into()),
        };
        // Nobody need listen.
        let _ = self.0.news.send(event);
    }
}

/// What the tool says while it runs.
async fn say(tool: &Tool, call: &Call, mail: &Mail) {
    for step in &tool.steps {
        let message = match step {
            Step::Log(text) => call.log(Level::Info, Some(SERVER.name), &json!(text)),
            Step::Progress(done) => call.progress(*done, Some(100.0), Some(&format!("{done} of 100 done"))),
            Step::HangUp => {
                mail.hang_up().await;
                None
            }
        };
        if let Some(message) = message {
            mail.send(&message).await;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// MISSING_CAPABILITY for a client of which the tool needs more.
fn check_needs(tool: &Tool, call: &Call) -> std::result::Result<(), Fault> {
    if let Some(method) = tool.needs.as_deref().filter(|method| !call.peer.answers(method, None)) {
        let (name, _) = method.split_once('/').unwrap_or((method, ""));
        return Err(missing_capability(json!({name: {}})));
    }
    let needs_tasks = tool.task.as_ref().is_some_and(|plan| plan.required);
    match needs_tasks && !knows_tasks(call) {
        true => Err(missing_capability(json!({"extensions": {TASKS: {}}}))),
        false => Ok(()),
    }
}

fn knows_tasks(call: &Call) -> bool {
    call.peer.revision.is_modern() && call.peer.has_extension(TASKS)
}

fn found(members: Value) -> Outcome {
    Outcome::Result(Found { members: members.to_string(), ..Found::default() })
}

fn cached(members: Value, public: bool) -> Outcome {
    let cache = Some(Cache { ttl_ms: LIST_TTL_MS, public });
    Outcome::Result(Found { members: members.to_string(), cache, meta: None })
}

fn refused(code: &'static str, message: String) -> Outcome {
    Outcome::Refused(protocol::Refusal { code, message, data: None, meta: None })
}

impl Host for Fixture {
    type Feed = News;

    fn engine(&self) -> &Engine {
        &self.0.engine
    }

    fn view(&self) -> View {
        View::Full
    }

    fn desk(&self) -> &Arc<Desk> {
        &self.0.desk
    }

    fn heartbeat(&self) -> Duration {
        Duration::from_secs(15)
    }

    fn open(&self, session: &Session) -> std::result::Result<String, Refusal> {
        let id = BASE64URL_NOPAD.encode(&random::<16>());
        let mut sessions = self.sessions();
        if sessions.len() >= MAX_SESSIONS {
            let text = "There are too many sessions; end some, or start the server anew.";
            return Err(Refusal::new(503, "too_many_sessions", text));
        }
        sessions.insert(id.clone(), session.clone());
        Ok(id)
    }

    fn find(&self, id: &str) -> std::result::Result<Option<Session>, Refusal> {
        Ok(self.sessions().get(id).cloned())
    }

    fn keep(&self, id: &str, was: &Session, session: &Session) -> std::result::Result<bool, Refusal> {
        let mut sessions = self.sessions();
        let Some(kept) = sessions.get_mut(id).filter(|kept| *kept == was) else { return Ok(false) };
        *kept = session.clone();
        Ok(true)
    }

    fn end(&self, id: &str) -> std::result::Result<bool, Refusal> {
        Ok(self.sessions().remove(id).is_some())
    }

    fn converses(&self, call: &Call) -> bool {
        matches!(call.target, Target::Tool { .. } | Target::Prompt { .. })
    }

    async fn call(&self, call: Call, mail: &Mail) -> Ran {
        let outcome = self.work(&call, mail).await.unwrap_or_else(Outcome::Fault);
        match outcome {
            Outcome::Ask(ask) if !call.peer.revision.is_modern() => Ran::Ask(call, ask),
            outcome => Ran::Done(call.finish(outcome).into()),
        }
    }

    fn feed(&self, _filter: &Filter) -> std::result::Result<News, Refusal> {
        Ok(News { next: self.0.news.subscribe(), first: None })
    }

    fn permit(&self, _session: &str) -> Option<Permit> {
        Some(Permit {
            held: Box::new(()),
            carried: Box::new(()),
            lives: Box::new(|| true),
            ended: Box::new(|| false),
        })
    }
}

/// What happens from its making on.
pub struct News {
    next: broadcast::Receiver<Event>,
    first: Option<Event>,
}

impl Feed for News {
    async fn changed(&mut self) {
        while self.first.is_none() {
            match self.next.recv().await {
                Ok(event) => self.first = Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }

    fn news(&mut self, _filter: &Filter) -> Vec<Event> {
        let mut news: Vec<Event> = self.first.take().into_iter().collect();
        while let Ok(event) = self.next.try_recv() {
            news.push(event);
        }
        news
    }
}
