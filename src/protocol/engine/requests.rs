//! Reads the parameters of each method; what is wrong with them is INVALID_PARAMS that names the member.

use serde_json::{Map, Value};

use super::super::call::{Completable, Target, TaskOp, needs_tasks};
use super::super::catalog::TASKS;
use super::super::level::Level;
use super::super::listen::{MAX_URI_BYTES, MAX_WATCHED, MAX_WATCHED_BYTES};
use super::super::meta::{LEVELS, Params};
use super::super::rpc::{Fault, INVALID_PARAMS, quote};
use super::super::session::Peer;
use super::super::wire::wrong_params;
use super::{Asked, Engine, Tool, View};

/// Bytes of `requestState`.
const MAX_STATE_BYTES: usize = 16 * 1_024;
/// Bytes of a cursor.
const MAX_CURSOR_BYTES: usize = 4 * 1_024;

impl Engine {
    pub(super) fn tool(&self, view: View, mut params: Params) -> Result<Target, Fault> {
        let index = match params.get("name") {
            Some(Value::String(name)) => self.find(view, name)?,
            _ => return Err(wrong_params("params.name", "a string, the name of a tool")),
        };
        let name = self.tools.get(index).map_or("", |tool| tool.name);
        let arguments = object(&mut params, "arguments")?;
        Ok(Target::Tool { index, name, arguments })
    }

    fn find(&self, view: View, name: &str) -> Result<usize, Fault> {
        let unknown = |text: String| Err(Fault::new(200, INVALID_PARAMS, text));
        match self.position(name) {
            Some((_, tool)) if tool.write && view == View::ReadOnlyEndpoint => unknown(format!(
                "Unknown tool: {} is not at this read-only endpoint; it lives at the full endpoint, /mcp/.",
                tool.name
            )),
            Some((index, _)) => Ok(index),
            None => unknown(format!("Unknown tool: {}. tools/list names those there are.", quote(name))),
        }
    }

    pub(super) fn position(&self, name: &str) -> Option<(usize, &Tool)> {
        self.tools.iter().enumerate().find(|(_, tool)| tool.name == name)
    }

    pub(super) fn prompt(&self, mut params: Params) -> Result<Target, Fault> {
        let name = params.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| wrong_params("params.name", "a string, the name of a prompt"))?;
        let (index, prompt) = self.named_prompt(name)?;
        let mut arguments = object(&mut params, "arguments")?;
        arguments.retain(|name, _| prompt.arguments.iter().any(|argument| argument.name == name));
        for argument in &prompt.arguments {
            match arguments.get(argument.name) {
                Some(Value::String(_)) => {}
                None | Some(Value::Null) if !argument.required => drop(arguments.remove(argument.name)),
                _ => {
                    let member = format!("params.arguments.{}", argument.name);
                    return Err(wrong_params(&member, &format!("a string: {}", argument.description)));
                }
            }
        }
        Ok(Target::Prompt { index, name: prompt.name, arguments })
    }

    fn named_prompt(&self, name: &str) -> Result<(usize, &super::PromptDef), Fault> {
        self.prompts.iter().enumerate().find(|(_, prompt)| prompt.name == name).ok_or_else(|| {
            let text = format!("Unknown prompt: {}. prompts/list names those there are.", quote(name));
            Fault::new(200, INVALID_PARAMS, text)
        })
    }

    pub(super) fn completion(&self, mut params: Params) -> Result<Target, Fault> {
        let of = self.completable(params.get("ref"))?;
        let argument = params.get("argument");
        let text = |name: &str| {
            let text = argument.and_then(|argument| argument.get(name)).and_then(Value::as_str);
            let wrong = || wrong_params(&format!("params.argument.{name}"), "a string");
            text.map(str::to_owned).ok_or_else(wrong)
        };
        let (argument, value) = (text("name")?, text("value")?);
        let given = params.members.get_mut("context").and_then(|context| context.get_mut("arguments"));
        let given = match given.map(Value::take) {
            Some(Value::Object(given)) => given,
            _ => Map::new(),
        };
        Ok(Target::Completion { of, argument, value, given })
    }

    fn completable(&self, reference: Option<&Value>) -> Result<Completable, Fault> {
        let text = |name: &str| reference.and_then(|reference| reference.get(name)).and_then(Value::as_str);
        match (text("type"), text("name"), text("uri")) {
            (Some("ref/prompt"), Some(name), _) => {
                self.named_prompt(name).map(|(index, _)| Completable::Prompt(index))
            }
            (Some("ref/resource"), _, Some(uri)) => {
                let known = self.templates.iter().position(|t| t.uri_template == uri || t.has(uri));
                let unknown = || {
                    let text = format!("Unknown resource template: {}.", quote(uri));
                    Fault::new(200, INVALID_PARAMS, text)
                };
                known.map(Completable::Template).ok_or_else(unknown)
            }
            _ => Err(wrong_params(
                "params.ref",
                "an object with type ref/prompt and a name, or with type ref/resource and a uri",
            )),
        }
    }
}

pub(super) fn resources(params: &Params) -> Result<Target, Fault> {
    let cursor = match params.get("cursor") {
        None | Some(Value::Null) => None,
        Some(Value::String(cursor)) if cursor.len() <= MAX_CURSOR_BYTES => Some(cursor.clone()),
        Some(_) => return Err(wrong_params("params.cursor", "the nextCursor of a page")),
    };
    Ok(Target::Resources { cursor })
}

pub(super) fn resource(params: &Params) -> Result<Target, Fault> {
    uri(params).map(|uri| Target::Resource { uri: uri.to_owned() })
}

fn uri(params: &Params) -> Result<&str, Fault> {
    let uri = params.get("uri").and_then(Value::as_str).filter(|uri| uri.len() <= MAX_URI_BYTES);
    uri.ok_or_else(|| wrong_params("params.uri", &format!("a URI of at most {MAX_URI_BYTES} bytes")))
}

/// Notes that a legacy session watches a resource, or no longer does. Whether there is such a resource is not looked at:
/// what is not there does not change.
pub(super) fn watch(params: &Params, peer: &mut Peer, wanted: bool) -> Result<(), Fault> {
    let uri = uri(params)?;
    if !wanted {
        peer.subscribed.remove(uri);
        return Ok(());
    }
    let bytes = uri.len() + peer.subscribed.iter().map(String::len).sum::<usize>();
    let full = peer.subscribed.len() >= MAX_WATCHED || bytes > MAX_WATCHED_BYTES;
    if full && !peer.subscribed.contains(uri) {
        let text = format!(
            "A session watches at most {MAX_WATCHED} resources, whose URIs have {MAX_WATCHED_BYTES} bytes in all; \
             unsubscribe from some first."
        );
        return Err(Fault::new(200, INVALID_PARAMS, text));
    }
    peer.subscribed.insert(uri.to_owned());
    Ok(())
}

pub(super) fn level(params: &Params) -> Result<Level, Fault> {
    let level = params.get("level").and_then(Value::as_str).and_then(Level::parse);
    level.ok_or_else(|| wrong_params("params.level", LEVELS))
}

pub(super) fn task(method: &str, mut params: Params, peer: &Peer) -> Result<Target, Fault> {
    if !peer.has_extension(TASKS) {
        return Err(needs_tasks());
    }
    let id = params.get("taskId").and_then(Value::as_str).filter(|id| id.len() <= MAX_URI_BYTES);
    let id = id.ok_or_else(|| wrong_params("params.taskId", "a string, the id of a task"))?.to_owned();
    let op = match method {
        "tasks/get" => TaskOp::Get,
        "tasks/cancel" => TaskOp::Cancel,
        _ => TaskOp::Update(object(&mut params, "inputResponses")?),
    };
    Ok(Target::Task { op, id })
}

/// Takes what a client answers to an earlier `input_required` of the same request.
pub(super) fn take_answers(params: &mut Params, asked: &mut Asked) -> Result<(), Fault> {
    asked.answers = object(params, "inputResponses")?;
    asked.request_state = match params.members.remove("requestState") {
        None | Some(Value::Null) => None,
        Some(Value::String(state)) if state.len() <= MAX_STATE_BYTES => Some(state),
        Some(_) => {
            return Err(wrong_params("params.requestState", "the requestState that was given, as it was"));
        }
    };
    Ok(())
}

/// An object among the parameters; an absent one is empty.
fn object(params: &mut Params, name: &str) -> Result<Map<String, Value>, Fault> {
    match params.members.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(wrong_params(&format!("params.{name}"), "an object")),
    }
}
