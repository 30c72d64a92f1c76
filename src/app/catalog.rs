//! What this server offers, in the protocol's words: the tables of tools, prompts and resources.

use super::words;
use crate::prompts::{PROMPTS, Prompt};
use crate::protocol::{self, Catalog, Offers, PromptArgument, PromptDef, TemplateDef, ToolDef};
use crate::resources::{KINDS, Kind};
use crate::tools::{self, Effect, Entry};
use crate::views;

/// Everything.
pub(super) fn catalog() -> Catalog {
    Catalog {
        tools: tools::TOOLS.iter().map(tool).collect(),
        prompts: PROMPTS.iter().map(prompt).collect(),
        templates: templates().map(template).collect(),
        offers: Offers {
            resources: true,
            subscribe: true,
            resources_changed: true,
            completions: true,
            tasks: true,
            // The tools and prompts are the same for as long as the process runs; log messages are the operator's.
            ..Offers::default()
        },
    }
}

/// The families of resources, in the order in which the engine numbers them.
pub(super) fn templates() -> impl Iterator<Item = &'static Kind> {
    KINDS.iter().filter(|kind| kind.is_template())
}

/// What is wrong with the definitions of server and tools, for the test that keeps them right.
pub fn definition_problems() -> Vec<String> {
    protocol::catalog::problems(&words::SERVER, &catalog().tools)
}

fn tool(entry: &Entry) -> ToolDef {
    let hints = entry.spec.effect.annotations();
    ToolDef {
        name: entry.spec.name,
        title: entry.spec.title,
        description: entry.spec.about,
        input_schema: entry.input_schema(),
        output_schema: Some(entry.output_schema()),
        annotations: protocol::Annotations {
            read_only: hints.read_only,
            destructive: hints.destructive,
            idempotent: hints.idempotent,
            open_world: hints.open_world,
        },
        write: entry.spec.effect != Effect::Read,
        view: views::of_tool(entry.spec.name).map(|view| view.uri),
    }
}

fn prompt(prompt: &Prompt) -> PromptDef {
    let argument = |argument: &crate::prompts::Argument| PromptArgument {
        name: argument.name,
        title: argument.title,
        description: argument.description,
        required: argument.required,
    };
    PromptDef {
        name: prompt.name,
        title: prompt.title,
        description: prompt.description,
        arguments: prompt.arguments.iter().map(argument).collect(),
    }
}

fn template(kind: &Kind) -> TemplateDef {
    TemplateDef {
        uri_template: kind.uri,
        name: kind.name,
        title: kind.title,
        description: kind.description,
        mime_type: kind.mime_type,
    }
}
