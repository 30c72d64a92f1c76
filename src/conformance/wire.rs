//! Every message that comes is held against the official schema of its revision.

use std::collections::BTreeMap;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::schema;
use crate::peer::{Exchange, is_answer};
use crate::protocol::revision::Revision;

/// Messages that break the schema, of which an exchange is kept.
const MAX_BROKEN: usize = 20;

/// What a lane's messages are held against, and which did not fit.
pub(super) struct Wire {
    revision: Revision,
    /// By the name of their definition; compiled when first needed.
    validators: BTreeMap<String, Option<Validator>>,
    /// What was wrong, each once, and where.
    pub(super) broken: Vec<(String, Exchange)>,
    /// How many messages were looked at.
    pub(super) seen: usize,
}

impl Wire {
    pub(super) fn new(revision: Revision) -> Wire {
        Wire { revision, validators: BTreeMap::new(), broken: Vec::new(), seen: 0 }
    }

    /// Looks at all messages of `exchange`.
    pub(super) fn look(&mut self, exchange: &Exchange) {
        let method = serde_json::from_slice::<Value>(&exchange.sent.body)
            .ok()
            .and_then(|sent| Some(sent.get("method")?.as_str()?.to_owned()));
        for message in &exchange.messages {
            self.seen += 1;
            if let Some(wrong) =
                self.wrong(message, method.as_deref(), exchange.answer.as_ref() == Some(message))
                && self.broken.len() < MAX_BROKEN
                && self.broken.iter().all(|(known, _)| *known != wrong)
            {
                self.broken.push((wrong, exchange.clone()));
            }
        }
    }

    /// What is wrong with `message`, which came after a request of `method`.
    fn wrong(&mut self, message: &Value, method: Option<&str>, answers: bool) -> Option<String> {
        let (definition, part, what) = if !is_answer(message) {
            let method = message.get("method")?.as_str()?;
            let definition = schema::notification(self.revision, method)?;
            (definition, message, format!("{method} ({definition})"))
        } else if let Some(result) = message.get("result") {
            if message.get("jsonrpc") != Some(&json!("2.0")) {
                return Some("an answer without \"jsonrpc\": \"2.0\"".to_owned());
            }
            let method = method.filter(|_| answers)?;
            let definition = result_of(method, result, self.revision)?;
            (definition, result, format!("the result of {method} ({definition})"))
        } else {
            let mut plain = message.clone();
            // JSON-RPC itself writes null where an id could not be read; that has a check of its own.
            if let Value::Object(members) = &mut plain
                && members.get("id").is_none_or(Value::is_null)
            {
                members.insert("id".into(), json!(0));
            }
            let name =
                if self.revision >= Revision::V2025_11_25 { "JSONRPCErrorResponse" } else { "JSONRPCError" };
            return self.broken_by(name, &plain, "the error");
        };
        self.broken_by(definition, part, &what)
    }

    fn broken_by(&mut self, definition: &str, part: &Value, what: &str) -> Option<String> {
        let revision = self.revision;
        let validator = self
            .validators
            .entry(definition.to_owned())
            .or_insert_with(|| schema::validator(revision, definition))
            .as_ref()?;
        let error = validator.iter_errors(part).next()?;
        let path = error.instance_path().to_string();
        let place = if path.is_empty() { "at its top".to_owned() } else { format!("at {path}") };
        Some(format!("{what} breaks the schema {place}: {}", super::expect::short(&error.to_string())))
    }
}

/// The definition of what answers `method`.
fn result_of(method: &str, result: &Value, revision: Revision) -> Option<&'static str> {
    if revision.is_modern() && result.get("resultType") == Some(&json!("input_required")) {
        return Some("InputRequiredResult");
    }
    // Results of other types are an extension's.
    let kind = result.get("resultType").and_then(Value::as_str).unwrap_or("complete");
    if revision.is_modern() && kind != "complete" {
        return Some("Result");
    }
    Some(match method {
        "initialize" => "InitializeResult",
        "server/discover" => "DiscoverResult",
        "tools/list" => "ListToolsResult",
        "tools/call" => "CallToolResult",
        "resources/list" => "ListResourcesResult",
        "resources/templates/list" => "ListResourceTemplatesResult",
        "resources/read" => "ReadResourceResult",
        "prompts/list" => "ListPromptsResult",
        "prompts/get" => "GetPromptResult",
        "completion/complete" => "CompleteResult",
        "subscriptions/listen" => "SubscriptionsListenResult",
        _ => "Result",
    })
}
