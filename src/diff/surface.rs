//! What a server offers, read from any of the shapes in which it is kept.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::protocol::transcript::Transcript;
use crate::protocol::transcript::turns::Turn;

/// The lists of a server; one that is not known is nothing, which is not the same as empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surface {
    /// Definitions of tools.
    pub tools: Option<Vec<Value>>,
    /// Of prompts.
    pub prompts: Option<Vec<Value>>,
    /// Of resources.
    pub resources: Option<Vec<Value>>,
    /// Of resource templates.
    pub templates: Option<Vec<Value>>,
}

/// The methods that give lists.
pub const LISTS: [&str; 4] = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];

impl Surface {
    /// Reads a recording, the result (or the whole answer) of `tools/list`, an array of tools, or one tool.
    ///
    /// # Errors
    /// `Invalid` when it is none of these.
    pub fn parse(text: &str) -> Result<Surface> {
        match serde_json::from_str::<Value>(text) {
            Ok(value) => return Surface::in_json(value),
            Err(error) if !is_recording(text) => {
                return Err(Error::invalid(format!("It is no recording, and no JSON: {error}.")));
            }
            Err(_) => {}
        }
        let surface = Surface::of(&Transcript::parse(text)?);
        match surface == Surface::default() {
            true => Err(Error::invalid("The recording holds no answer to tools/list.")),
            false => Ok(surface),
        }
    }

    fn in_json(value: Value) -> Result<Surface> {
        let mut surface = Surface::default();
        match surface.take(value) {
            true => Ok(surface),
            false => Err(Error::invalid(
                "It holds no tools: what is read is a recording, the result of tools/list, an array of tools, or a tool.",
            )),
        }
    }

    /// The last whole lists of a recording.
    pub fn of(transcript: &Transcript) -> Surface {
        let mut surface = Surface::default();
        for turn in transcript.turns() {
            let result = turn.response().and_then(|response| response.get("result"));
            let (Some(result), Some(method)) = (result, turn.method()) else { continue };
            if LISTS.contains(&method) {
                if !is_later_page(&turn) {
                    surface.begin(method);
                }
                surface.take(result.clone());
            }
        }
        surface
    }

    /// Begins the list that `method`, one of [`LISTS`], gives: it is known now, and empty.
    pub fn begin(&mut self, method: &str) {
        let list = match method {
            "tools/list" => &mut self.tools,
            "prompts/list" => &mut self.prompts,
            "resources/list" => &mut self.resources,
            _ => &mut self.templates,
        };
        *list = Some(Vec::new());
    }

    /// Adds what `value` holds; false when that is nothing.
    pub fn take(&mut self, value: Value) -> bool {
        match value {
            Value::Array(items) => {
                self.tools.get_or_insert_default();
                items.into_iter().all(|item| self.take_tool(item))
            }
            Value::Object(mut members) if members.contains_key("result") => {
                self.take(members.remove("result").unwrap_or_default())
            }
            Value::Object(mut members) => {
                let lists = [
                    ("tools", &mut self.tools),
                    ("prompts", &mut self.prompts),
                    ("resources", &mut self.resources),
                    ("resourceTemplates", &mut self.templates),
                ];
                let mut any = false;
                for (name, list) in lists {
                    if let Some(Value::Array(items)) = members.remove(name) {
                        list.get_or_insert_default().extend(items);
                        any = true;
                    }
                }
                any || self.take_tool(Value::Object(members))
            }
            _ => false,
        }
    }

    fn take_tool(&mut self, tool: Value) -> bool {
        let is_tool = tool.get("name").is_some_and(Value::is_string) && tool.get("inputSchema").is_some();
        if is_tool {
            self.tools.get_or_insert_default().push(tool);
        }
        is_tool
    }
}

/// Whether `text` begins as a recording does, or is empty; the rest may be broken.
fn is_recording(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.is_none_or(|line| line.contains("\"transcript\""))
}

fn is_later_page(turn: &Turn) -> bool {
    turn.message.as_ref().is_some_and(|message| message["params"].get("cursor").is_some())
}
