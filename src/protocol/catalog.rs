//! What a server offers: tools, prompts, resources, and which of the protocol's features it has. Everything here is the
//! same for all clients, so it is serialised once, when the engine is made.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::revision::Revision;
use super::wire::{MAX_TEXT_CHARS, ServerInfo};

/// The extension of tasks: results that come later.
pub const TASKS: &str = "io.modelcontextprotocol/tasks";
/// The extension of MCP Apps: tools whose results have a page of their own.
pub const UI: &str = "io.modelcontextprotocol/ui";
/// The media type of such a page; a client that declares it among its `mimeTypes` shows them.
pub const VIEW_MIME_TYPE: &str = "text/html;profile=mcp-app";

/// What a server offers.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// In the order in which they are listed.
    pub tools: Vec<ToolDef>,
    /// In the order in which they are listed.
    pub prompts: Vec<PromptDef>,
    /// Families of resources. `resources/list` itself is asked of whoever runs calls.
    pub templates: Vec<TemplateDef>,
    /// The features beyond.
    pub offers: Offers,
}

/// Which features the server has. Only what answers may be named here: with any list that changes, clients open a
/// stream and hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Resources can be listed and read.
    pub resources: bool,
    /// A resource's changes are told.
    pub subscribe: bool,
    /// The list of tools may change while a client is connected.
    pub tools_changed: bool,
    /// The list of prompts may change.
    pub prompts_changed: bool,
    /// The list of resources may change.
    pub resources_changed: bool,
    /// Log messages are sent (deprecated since 2026-07-28).
    pub logging: bool,
    /// Arguments of prompts and of templates can be completed.
    pub completions: bool,
    /// Some calls become tasks, for clients of the modern era that declared [`TASKS`].
    pub tasks: bool,
}

/// A prompt as clients see it.
#[derive(Clone, Debug)]
pub struct PromptDef {
    /// Its name, for programs.
    pub name: &'static str,
    /// A name for people.
    pub title: &'static str,
    /// What it is good for, for people.
    pub description: &'static str,
    /// Texts that it takes.
    pub arguments: Vec<PromptArgument>,
}

/// A text that a prompt takes.
#[derive(Clone, Copy, Debug)]
pub struct PromptArgument {
    /// Its name, for programs.
    pub name: &'static str,
    /// A name for people.
    pub title: &'static str,
    /// What to put in.
    pub description: &'static str,
    /// Whether the prompt cannot be had without.
    pub required: bool,
}

/// A family of resources.
#[derive(Clone, Debug)]
pub struct TemplateDef {
    /// Such as `shop://things/{id}` (RFC 6570, level 1).
    pub uri_template: &'static str,
    /// A name for programs.
    pub name: &'static str,
    /// A name for people.
    pub title: &'static str,
    /// What is in it, for the model.
    pub description: &'static str,
    /// The media type of its contents.
    pub mime_type: &'static str,
}

/// A tool as clients see it.
#[derive(Clone, Debug)]
pub struct ToolDef {
    /// Its name: `^[a-z][a-z0-9_]{0,63}$`.
    pub name: &'static str,
    /// A name for people.
    pub title: &'static str,
    /// When to use it, for the model: at most [`MAX_TEXT_CHARS`] characters.
    pub description: &'static str,
    /// JSON Schema 2020-12 of the arguments; an object.
    pub input_schema: Value,
    /// JSON Schema 2020-12 of the structured result; an object. `None` where results have none.
    pub output_schema: Option<Value>,
    /// What it does to the world.
    pub annotations: Annotations,
    /// Whether it changes anything: then it is listed for the full view alone.
    pub write: bool,
    /// The `ui://` resource that shows its results; named only to clients that show them.
    pub view: Option<&'static str>,
}

/// Hints on what a tool does to the world, all four always given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Annotations {
    /// It changes nothing.
    #[serde(rename = "readOnlyHint")]
    pub read_only: bool,
    /// It may overwrite or remove.
    #[serde(rename = "destructiveHint")]
    pub destructive: bool,
    /// Calling it twice changes no more than calling it once.
    #[serde(rename = "idempotentHint")]
    pub idempotent: bool,
    /// It reaches beyond this server's own data.
    #[serde(rename = "openWorldHint")]
    pub open_world: bool,
}

impl Offers {
    /// Whether there is anything that an open stream could carry.
    pub(super) fn has_news(&self) -> bool {
        let changing = self.tools_changed || self.prompts_changed || self.resources_changed;
        changing || self.subscribe || self.tasks
    }
}

impl Catalog {
    /// What the server can do, as `initialize` and `server/discover` say it. `ui` is whether the client declared it.
    pub(super) fn capabilities(&self, revision: Revision, ui: bool) -> Value {
        let offers = &self.offers;
        let mut can = Map::new();
        let changing = |changed: bool| if changed { json!({"listChanged": true}) } else { json!({}) };
        if !self.tools.is_empty() {
            can.insert("tools".into(), changing(offers.tools_changed));
        }
        if !self.prompts.is_empty() {
            can.insert("prompts".into(), changing(offers.prompts_changed));
        }
        if offers.resources {
            let mut resources = changing(offers.resources_changed);
            if offers.subscribe {
                resources["subscribe"] = true.into();
            }
            can.insert("resources".into(), resources);
        }
        if offers.logging {
            can.insert("logging".into(), json!({}));
        }
        if offers.completions && revision.has_completions() {
            can.insert("completions".into(), json!({}));
        }
        let mut extensions = Map::new();
        if offers.tasks && revision.is_modern() {
            extensions.insert(TASKS.into(), json!({}));
        }
        if self.has_views() && (ui || revision.is_modern()) {
            extensions.insert(UI.into(), json!({}));
        }
        if !extensions.is_empty() {
            can.insert("extensions".into(), extensions.into());
        }
        can.into()
    }

    /// Whether any tool has a page for its results.
    pub(super) fn has_views(&self) -> bool {
        self.tools.iter().any(|tool| tool.view.is_some())
    }
}

impl ToolDef {
    pub(super) fn definition(&self, revision: Revision, ui: bool) -> Value {
        let mut tool = json!({"name": self.name});
        if revision.has_structured_content() {
            tool["title"] = self.title.into();
        }
        tool["description"] = self.description.into();
        tool["inputSchema"] = self.input_schema.clone();
        if let Some(schema) = self.output_schema.as_ref().filter(|_| revision.has_structured_content()) {
            tool["outputSchema"] = schema.clone();
        }
        if revision.has_annotations() {
            tool["annotations"] = json!(self.annotations);
        }
        if let Some(view) = self.view.filter(|_| ui) {
            tool["_meta"] = json!({"ui": {"resourceUri": view}});
        }
        tool
    }
}

impl PromptDef {
    pub(super) fn definition(&self, revision: Revision) -> Value {
        let mut prompt = named(self.name, self.title, self.description, revision);
        if !self.arguments.is_empty() {
            let arguments = self.arguments.iter().map(|argument| {
                let mut value = named(argument.name, argument.title, argument.description, revision);
                value["required"] = argument.required.into();
                value
            });
            prompt["arguments"] = arguments.collect();
        }
        prompt
    }
}

impl TemplateDef {
    pub(super) fn definition(&self, revision: Revision) -> Value {
        let mut template = json!({"uriTemplate": self.uri_template});
        let rest = named(self.name, self.title, self.description, revision);
        if let (Value::Object(template), Value::Object(rest)) = (&mut template, rest) {
            template.extend(rest);
        }
        template["mimeType"] = self.mime_type.into();
        template
    }

    /// Whether `uri` is of this family: each `{variable}` stands for one or more characters other than `/`.
    pub(super) fn has(&self, uri: &str) -> bool {
        let mut rest = uri;
        let mut pieces = self.uri_template.split('{');
        let Some(after) = pieces.next().and_then(|first| rest.strip_prefix(first)) else { return false };
        rest = after;
        for piece in pieces {
            let Some((_, literal)) = piece.split_once('}') else { return false };
            let value_end = match literal.chars().next() {
                Some(_) => rest.find(literal),
                None => Some(rest.len()),
            };
            match value_end {
                Some(end) if end > 0 && !rest.get(..end).unwrap_or("/").contains('/') => {
                    rest = rest.get(end + literal.len()..).unwrap_or_default();
                }
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

fn named(name: &str, title: &str, description: &str, revision: Revision) -> Value {
    let mut value = json!({"name": name});
    if revision.has_structured_content() && !title.is_empty() {
        value["title"] = title.into();
    }
    value["description"] = description.into();
    value
}

/// Everything about these texts and schemas that some client dislikes; one such tool can lose it the whole server.
/// Empty when all is well.
pub fn problems(server: &ServerInfo, tools: &[ToolDef]) -> Vec<String> {
    let mut found = Vec::new();
    if server.instructions.chars().count() > MAX_TEXT_CHARS {
        found.push(format!("instructions have more than {MAX_TEXT_CHARS} characters"));
    }
    for (i, tool) in tools.iter().enumerate() {
        let mut say = |what: &str| found.push(format!("{}: {what}", tool.name));
        if !is_tool_name(tool.name) {
            say("the name is not ^[a-z][a-z0-9_]{0,63}$");
        }
        if tools.iter().skip(i + 1).any(|other| other.name == tool.name) {
            say("the name is there twice");
        }
        if tool.description.chars().count() > MAX_TEXT_CHARS {
            say("the description is longer than 2048 characters");
        }
        if tool.annotations.read_only == tool.write {
            say("the annotation readOnlyHint and write disagree");
        }
        let schemas = [("input", Some(&tool.input_schema)), ("output", tool.output_schema.as_ref())];
        for (which, schema) in schemas.into_iter().filter_map(|(which, schema)| Some((which, schema?))) {
            schema_problems(schema)
                .into_iter()
                .for_each(|problem| say(&format!("{which} schema: {problem}")));
        }
    }
    found
}

fn is_tool_name(name: &str) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(rest)
}

fn schema_problems(schema: &Value) -> Vec<&'static str> {
    let mut found = Vec::new();
    if schema["type"] != "object" {
        found.push("its type is not object");
    }
    if ["anyOf", "oneOf", "allOf", "not"].iter().any(|combinator| schema.get(combinator).is_some()) {
        found.push("a combinator stands at its top");
    }
    if schema.to_string().contains("\"$ref\":") {
        found.push("it has a $ref");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(change: impl FnOnce(&mut ToolDef)) -> ToolDef {
        let annotations =
            Annotations { read_only: true, destructive: false, idempotent: true, open_world: false };
        let schema = json!({"type": "object", "properties": {"kind": {"enum": ["anyOf"]}}});
        let (name, title, description) = ("look", "Look", "Looks.");
        let (input_schema, output_schema) = (schema.clone(), Some(schema));
        let mut tool = ToolDef {
            name,
            title,
            description,
            input_schema,
            output_schema,
            annotations,
            write: false,
            view: None,
        };
        change(&mut tool);
        tool
    }

    #[test]
    fn names_what_some_client_dislikes() {
        let server = ServerInfo {
            name: "s",
            title: "S",
            version: "1",
            website: None,
            instructions: "Looks things up.",
        };
        let check = |tool: ToolDef, expected: &[&str]| assert_eq!(problems(&server, &[tool]), expected);
        check(tool(|_| {}), &[]);
        check(tool(|t| t.name = "Look"), &["Look: the name is not ^[a-z][a-z0-9_]{0,63}$"]);
        check(tool(|t| t.write = true), &["look: the annotation readOnlyHint and write disagree"]);
        let long = "x".repeat(MAX_TEXT_CHARS + 1).leak();
        check(tool(|t| t.description = long), &["look: the description is longer than 2048 characters"]);
        check(tool(|t| t.input_schema = json!({})), &["look: input schema: its type is not object"]);
        let any = json!({"type": "object", "anyOf": []});
        check(
            tool(|t| t.output_schema = Some(any)),
            &["look: output schema: a combinator stands at its top"],
        );
        let deep = json!({"type": "object", "properties": {"a": {"items": {"$ref": "#"}}}});
        check(tool(|t| t.input_schema = deep), &["look: input schema: it has a $ref"]);
        assert_eq!(problems(&server, &[tool(|_| {}), tool(|_| {})]), ["look: the name is there twice"]);
        let server = ServerInfo { instructions: long, ..server };
        assert_eq!(problems(&server, &[]), ["instructions have more than 2048 characters"]);
    }

    #[test]
    fn templates_know_their_own() {
        let check = |uri_template: &'static str, uri: &str, expected: bool| {
            let (name, title, description, mime_type) = ("t", "T", "A thing.", "text/plain");
            let template = TemplateDef { uri_template, name, title, description, mime_type };
            assert_eq!(template.has(uri), expected, "{uri_template} {uri}");
        };
        check("shop://things/{id}", "shop://things/3", true);
        check("shop://things/{id}", "shop://things/", false);
        check("shop://things/{id}", "shop://things/3/parts", false);
        check("shop://things/{id}", "shop://other/3", false);
        check("shop://things/{id}/parts", "shop://things/3/parts", true);
        check("shop://things/{id}/parts", "shop://things/3/parts/4", false);
        check("shop://{a}/of/{b}", "shop://x/of/y", true);
        check("shop://{a}/of/{b}", "shop://x/of/", false);
    }
}
