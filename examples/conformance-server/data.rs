//! The rows of `*.json`, and the catalog that the engine makes of them.

use chaterimo::protocol::{
    Annotations, Catalog, Offers, PromptArgument, PromptDef, ServerInfo, TemplateDef, ToolDef,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Result;

/// Everything there is.
pub struct Data {
    pub tools: Vec<Tool>,
    pub prompts: Vec<Prompt>,
    pub resources: Resources,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: &'static str,
    about: &'static str,
    /// JSON Schema of its arguments; without one it takes any.
    #[serde(default = "any_object")]
    pub input: Value,
    /// What the client hears while the tool runs.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// A request that the client must be able to answer.
    pub needs: Option<String>,
    #[serde(default)]
    pub rounds: Vec<Map<String, Value>>,
    /// Whether its questions have a state, without which no answer is taken.
    #[serde(default)]
    pub signed: bool,
    /// Whether what the client cannot answer is not asked.
    #[serde(default)]
    pub declared_only: bool,
    pub triggers: Option<Trigger>,
    pub task: Option<Plan>,
    /// Members of the result, with places to fill.
    pub result: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Log(String),
    Progress(f64),
    /// Lets the connection go, for the client to come back.
    HangUp,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    Tools,
    Prompts,
    Watched,
}

/// How a tool goes on behind a task.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// A number, or a place where one stands.
    pub seconds: Value,
    /// What the task asks first.
    #[serde(default)]
    pub asks: Map<String, Value>,
    /// Whether it is of use only to clients that know tasks.
    #[serde(default)]
    pub required: bool,
    /// The text of the error that it ends in.
    pub fault: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    pub name: &'static str,
    title: &'static str,
    about: &'static str,
    #[serde(default)]
    pub arguments: Vec<Argument>,
    #[serde(default)]
    pub rounds: Vec<Map<String, Value>>,
    /// With places to fill.
    pub messages: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    pub name: &'static str,
    about: &'static str,
    /// What it can be completed to.
    pub values: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
pub struct Resources {
    /// As `resources/list` gives them, but for `text` or `blob`.
    pub listed: Vec<Map<String, Value>>,
    pub families: Vec<Family>,
}

/// Resources that differ in one variable, called `id`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Family {
    uri: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    pub mime_type: &'static str,
    pub values: Vec<String>,
    /// With places to fill.
    pub text: String,
}

impl Data {
    pub fn read() -> Result<Data> {
        Ok(Data {
            tools: serde_json::from_str(include_str!("tools.json"))?,
            prompts: serde_json::from_str(include_str!("prompts.json"))?,
            resources: serde_json::from_str(include_str!("resources.json"))?,
        })
    }

    pub fn catalog(&self) -> Catalog {
        Catalog {
            tools: self.tools.iter().map(Tool::definition).collect(),
            prompts: self.prompts.iter().map(Prompt::definition).collect(),
            templates: self.resources.families.iter().map(Family::definition).collect(),
            offers: Offers {
                resources: true,
                subscribe: true,
                tools_changed: true,
                prompts_changed: true,
                resources_changed: false,
                logging: true,
                completions: true,
                tasks: true,
            },
        }
    }
}

pub const SERVER: ServerInfo = ServerInfo {
    name: "chaterimo-conformance-server",
    title: "Fixture of the conformance suite",
    version: env!("CARGO_PKG_VERSION"),
    website: None,
    instructions: "For tests of the protocol: nothing here means anything.",
};

impl Tool {
    fn definition(&self) -> ToolDef {
        ToolDef {
            name: self.name,
            title: self.about.trim_end_matches('.'),
            description: self.about,
            input_schema: self.input.clone(),
            output_schema: None,
            annotations: Annotations {
                read_only: true,
                destructive: false,
                idempotent: true,
                open_world: false,
            },
            write: false,
            view: None,
        }
    }
}

impl Prompt {
    fn definition(&self) -> PromptDef {
        let argument = |argument: &Argument| PromptArgument {
            name: argument.name,
            title: argument.about,
            description: argument.about,
            required: true,
        };
        let arguments = self.arguments.iter().map(argument).collect();
        PromptDef { name: self.name, title: self.title, description: self.about, arguments }
    }
}

impl Family {
    fn definition(&self) -> TemplateDef {
        TemplateDef {
            uri_template: self.uri,
            name: self.name,
            title: self.title,
            description: self.description,
            mime_type: self.mime_type,
        }
    }

    /// The `id` in a URI of this family.
    pub fn id<'u>(&self, uri: &'u str) -> Option<&'u str> {
        let (before, after) = self.uri.split_once("{id}")?;
        let id = uri.strip_prefix(before)?.strip_suffix(after)?;
        (!id.is_empty() && !id.contains('/')).then_some(id)
    }
}

fn any_object() -> Value {
    json!({"type": "object"})
}
