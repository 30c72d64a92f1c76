//! What a server offers, read from any of the shapes in which it is kept.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::protocol::transcript::Transcript;
use crate::protocol::transcript::turns::Turn;

/// The lists of a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surface {
    /// Definitions of tools.
    pub tools: Vec<Value>,
    /// Of prompts.
    pub prompts: Vec<Value>,
    /// Of resources.
    pub resources: Vec<Value>,
    /// Of resource templates.
    pub templates: Vec<Value>,
}

impl Surface {
    /// Reads a recording, the result (or the whole answer) of `tools/list`, an array of tools, or one tool.
    ///
    /// # Errors
    /// `Invalid` when it is none of these.
    pub fn parse(text: &str) -> Result<Surface> {
        if let Ok(value) = serde_json::from_str::<Value>(text) {
            let mut surface = Surface::default();
            return match surface.take(value) {
                true => Ok(surface),
                false => Err(Error::invalid(
                    "It holds no tools: what is read is a recording, the result of tools/list, an array of tools, or a tool.",
                )),
            };
        }
        let surface = Surface::of(&Transcript::parse(text)?);
        match surface == Surface::default() {
            true => Err(Error::invalid("The recording holds no answer to tools/list.")),
            false => Ok(surface),
        }
    }

    /// The last whole lists of a recording.
    pub fn of(transcript: &Transcript) -> Surface {
        let mut surface = Surface::default();
        for turn in transcript.turns() {
            let result = turn.response().and_then(|response| response.get("result"));
            if let (Some(result), Some(list)) =
                (result, turn.method().and_then(|method| surface.list(method)))
            {
                if !is_later_page(&turn) {
                    list.clear();
                }
                surface.take(result.clone());
            }
        }
        surface
    }

    /// The list that `method` gives.
    fn list(&mut self, method: &str) -> Option<&mut Vec<Value>> {
        match method {
            "tools/list" => Some(&mut self.tools),
            "prompts/list" => Some(&mut self.prompts),
            "resources/list" => Some(&mut self.resources),
            "resources/templates/list" => Some(&mut self.templates),
            _ => None,
        }
    }

    /// Adds what `value` holds; false when that is nothing.
    pub fn take(&mut self, value: Value) -> bool {
        match value {
            Value::Array(items) => items.into_iter().all(|item| self.take_tool(item)),
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
                        list.extend(items);
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
            self.tools.push(tool);
        }
        is_tool
    }
}

fn is_later_page(turn: &Turn) -> bool {
    turn.message.as_ref().is_some_and(|message| message["params"].get("cursor").is_some())
}
