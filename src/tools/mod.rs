//! The 19 tools: one file each, file name = tool name, and one line in [`TOOLS`].
//!
//! To add one: write `src/tools/NAME.rs` like its neighbours, add its line here, run the tests; they say what is missing.

mod among;
mod arguments;
mod change;
mod cursor;
mod figures;
mod goods;
pub mod page;
mod period;
mod schema;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
mod thread;

mod get_analytics;
mod get_chatbot;
mod get_conversation;
mod get_dashboard;
mod get_ticket;
mod list_chatbots;
mod list_conversations;
mod list_leads;
mod list_products;
mod list_sales_rules;
mod list_tickets;
pub mod retrain_chatbot;
mod search_products;
mod update_chatbot_instructions;
mod update_chatbot_language;
mod update_chatbot_model;
mod update_chatbot_settings;
mod update_widget_appearance;
mod update_widget_texts;

use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use crate::clock::Time;
use crate::error::{Error, Kind};
use crate::keyring::Keyring;
use crate::store::TenantTx;
use crate::store::quota::Balance;

macro_rules! table {
    ($($tool:ident,)*) => {
        /// Every tool, in the order `tools/list` has them.
        pub static TOOLS: [Entry; [$(stringify!($tool)),*].len()] = [$(entry::<$tool::Tool>()),*];
    };
}

table! {
    list_chatbots,
    get_chatbot,
    list_conversations,
    get_conversation,
    search_products,
    list_products,
    list_tickets,
    get_ticket,
    list_leads,
    get_analytics,
    list_sales_rules,
    get_dashboard,
    update_chatbot_instructions,
    update_chatbot_model,
    update_chatbot_language,
    update_chatbot_settings,
    update_widget_appearance,
    update_widget_texts,
    retrain_chatbot,
}

/// The code of a refusal for arguments that are not what the tool takes.
pub const INVALID_ARGUMENTS: &str = "invalid_arguments";

/// The most characters of serialised JSON that a result may have.
pub const RESULT_CHARS_MAX: usize = 32_000;
/// What is kept free of it for the quota notice.
const NOTICE_CHARS: usize = 400;

/// What a tool is, in the words that `tools/list` says it with.
pub struct Spec {
    /// Its name, `^[a-z][a-z0-9_]{0,63}$`.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// When to use it, for the model; at most 2,048 characters.
    pub about: &'static str,
    /// What it does to the world.
    pub effect: Effect,
    /// JSON pointers of the result's members that hold text written by outsiders; `*` is any array index.
    pub untrusted: &'static [&'static str],
}

/// What a tool does to the world; decides its annotations, its scope, and how its call is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing.
    Read,
    /// It replaces settings; the same call again changes nothing more.
    Update,
    /// It starts something; the same call later starts it again.
    Start,
}

/// The four hints of MCP's `ToolAnnotations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// It does not modify anything.
    pub read_only: bool,
    /// It may overwrite what was there.
    pub destructive: bool,
    /// Calling it again with the same arguments has no further effect.
    pub idempotent: bool,
    /// It reaches beyond this server.
    pub open_world: bool,
}

impl Effect {
    /// The hints that are honest for this effect.
    pub fn annotations(self) -> Annotations {
        let (read_only, destructive, idempotent) = match self {
            Effect::Read => (true, false, true),
            Effect::Update => (false, true, true),
            Effect::Start => (false, false, false),
        };
        Annotations { read_only, destructive, idempotent, open_world: false }
    }
}

/// What a tool works with.
pub struct Cx<'a> {
    /// The organisation's data; a write tool's changes are committed with its quota and its log row.
    pub tx: &'a TenantTx<'a>,
    /// The time of the call.
    pub now: Time,
    /// Whose credential it is, for the history of changes.
    pub actor: &'a str,
    /// Whether visitors' e-mail addresses and phone numbers are masked.
    pub redact: bool,
    /// What is left of the quota, this call counted.
    pub balance: Balance,
    /// Models that the operator added to the catalogue.
    pub extra_models: &'a [String],
    /// Signs cursors.
    pub keyring: &'a Keyring,
    /// The tool that runs.
    pub spec: &'static Spec,
    /// Its arguments as they were validated; cursors are bound to them.
    pub arguments: &'a Value,
}

impl Cx<'_> {
    /// The same for another tool with these arguments, as what shows what that tool gives.
    pub fn of<'b>(&'b self, spec: &'static Spec, arguments: &'b Value) -> Cx<'b> {
        Cx { spec, arguments, ..*self }
    }
}

/// A result: the text of one JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// `value`, serialised once. `value` must serialise as an object.
    ///
    /// # Errors
    /// `internal` when it cannot be serialised.
    pub fn of(value: &impl Serialize) -> Result<Json, Refusal> {
        serde_json::to_string(value).map(Json).map_err(|cause| Error::internal(cause).into())
    }

    /// `value` with the notice that some members hold outsiders' text as its first member.
    ///
    /// # Errors
    /// `internal` when it cannot be serialised.
    pub fn untrusted(cx: &Cx<'_>, value: &impl Serialize) -> Result<Json, Refusal> {
        let Json(text) = Json::of(value)?;
        Ok(Json(page::with_untrusted(cx.spec.untrusted, text)))
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Why a tool did not do it: told to the model as a result with `isError`.
#[derive(Debug)]
pub struct Refusal {
    /// What the text begins with, and what the log keeps, such as `not_found`.
    pub code: &'static str,
    /// What the model is told: the field, what came, what is wanted, or what to do.
    pub message: String,
    /// The private cause, for the log.
    pub cause: Option<Error>,
}

impl Refusal {
    /// A refusal without a private cause.
    pub fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into(), cause: None }
    }

    /// Arguments that are not what the tool takes.
    pub fn arguments(message: impl Into<String>) -> Refusal {
        Refusal::new(INVALID_ARGUMENTS, message)
    }

    /// Whether the call costs nothing: wrong arguments, also those that only the tool itself finds to be wrong.
    pub fn is_free(&self) -> bool {
        self.code == INVALID_ARGUMENTS
    }

    /// There is no such thing, or it is another organisation's.
    pub fn not_found(what: &str, id: i64, tool: &str) -> Refusal {
        Refusal::new(
            "not_found",
            format!("There is no {what} {id} in this organisation. {tool} shows which there are."),
        )
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let code = match error.kind {
            Kind::Invalid | Kind::TooLarge => INVALID_ARGUMENTS,
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::TooMany | Kind::Unavailable => "unavailable",
            Kind::Unauthorized | Kind::Forbidden => "forbidden",
            Kind::Config | Kind::Internal => "internal",
        };
        Refusal { code, message: error.public.clone(), cause: error.cause.is_some().then_some(error) }
    }
}

/// A tool. Its schemas are written by hand, for they are prompts as much as types.
pub trait Tool {
    /// What it is.
    const SPEC: Spec;
    /// Whether it reads a few rows by their keys and nothing else: such a tool runs within the commit that counts and
    /// logs its call, which spares the call a snapshot of its own. All that queue for the commit wait for it.
    const IS_BRIEF: bool = false;
    /// Its arguments: what the input schema accepts must deserialise.
    type Args: DeserializeOwned;
    /// JSON Schema 2020-12 of the arguments.
    fn input() -> Value;
    /// JSON Schema 2020-12 of the result, without what every result may carry.
    fn output() -> Value;
    /// Does it.
    fn run(cx: &Cx<'_>, args: Self::Args) -> Result<Json, Refusal>;
    /// What the person is asked before it is done, where the client can ask; `None` when nothing.
    ///
    /// # Errors
    /// Those of the store.
    fn question(_tx: &TenantTx<'_>, _args: &Self::Args) -> crate::error::Result<Option<Question>> {
        Ok(None)
    }
}

/// What a person is to say yes or no to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked, in a sentence or two.
    pub message: String,
    /// What a yes means, in a few words.
    pub yes: &'static str,
    /// The version of the chatbot that it is asked about.
    pub version: i64,
}

/// A tool without its types, as the table has it.
pub struct Entry {
    /// What it is.
    pub spec: &'static Spec,
    /// [`Tool::IS_BRIEF`].
    pub is_brief: bool,
    input: fn() -> Value,
    output: fn() -> Value,
    run: fn(&Cx<'_>) -> Result<Json, Refusal>,
    accepts: fn(&Value) -> Result<(), String>,
    question: fn(&TenantTx<'_>, &Value) -> Result<Option<Question>, Refusal>,
    schema: OnceLock<arguments::Schema>,
}

const fn entry<T: Tool>() -> Entry {
    Entry {
        spec: &T::SPEC,
        is_brief: T::IS_BRIEF,
        input: T::input,
        output: T::output,
        run: run::<T>,
        accepts: |arguments| deserialise::<T>(arguments).map(|_| ()),
        question: question::<T>,
        schema: OnceLock::new(),
    }
}

fn run<T: Tool>(cx: &Cx<'_>) -> Result<Json, Refusal> {
    let args = deserialise::<T>(cx.arguments).map_err(Refusal::arguments)?;
    T::run(cx, args)
}

fn question<T: Tool>(tx: &TenantTx<'_>, arguments: &Value) -> Result<Option<Question>, Refusal> {
    let args = deserialise::<T>(arguments).map_err(Refusal::arguments)?;
    Ok(T::question(tx, &args)?)
}

fn deserialise<T: Tool>(arguments: &Value) -> Result<T::Args, String> {
    T::Args::deserialize(arguments).map_err(|error| error.to_string())
}

impl Entry {
    /// The tool of that name.
    pub fn named(name: &str) -> Option<&'static Entry> {
        TOOLS.iter().find(|entry| entry.spec.name == name)
    }

    /// The input schema as clients see it.
    pub fn input_schema(&self) -> Value {
        (self.input)()
    }

    /// The output schema as clients see it: the tool's own members and those that any result may carry.
    pub fn output_schema(&self) -> Value {
        schema::complete_output((self.output)(), self.spec)
    }

    /// The arguments with what could be coerced without loss coerced.
    ///
    /// # Errors
    /// `invalid_arguments`, naming each field, what came and what is wanted.
    pub fn check(&self, arguments: Value) -> Result<Value, Refusal> {
        self.schema().check(arguments)
    }

    /// Whether arguments that the schema accepts are understood; a gap between the two is a fault of ours.
    ///
    /// # Errors
    /// What does not deserialise, in serde's words.
    pub fn understands(&self, arguments: &Value) -> Result<(), String> {
        (self.accepts)(arguments)
    }

    /// Runs the tool; `cx.arguments` come from [`Entry::check`].
    ///
    /// # Errors
    /// Why the tool did not do it.
    pub fn run(&self, cx: &Cx<'_>) -> Result<Json, Refusal> {
        (self.run)(cx)
    }

    /// What the person is to be asked before a call with these arguments, which come from [`Entry::check`].
    ///
    /// # Errors
    /// Those of the store.
    pub fn question(&self, tx: &TenantTx<'_>, arguments: &Value) -> Result<Option<Question>, Refusal> {
        (self.question)(tx, arguments)
    }

    /// Compiles the schema now instead of at the first call.
    pub fn prepare(&self) {
        self.schema();
    }

    fn schema(&self) -> &arguments::Schema {
        self.schema.get_or_init(|| arguments::Schema::compile(self.spec.name, (self.input)()))
    }
}
