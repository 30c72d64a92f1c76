//! What holds of every message: each one that comes is looked at as it comes, and the rows of `checks/wire` tell what
//! was seen.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::expect::short;
use super::schema;
use crate::peer::{End, Exchange, same_id};
use crate::protocol::catalog::TASKS;
use crate::protocol::framing::sse::Parser;
use crate::protocol::revision::Revision;
use crate::protocol::rpc::{is_request, is_response};

/// The most issues that are kept.
const MAX_ISSUES: usize = 200;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// Messages that break the revision's schema.
    Schema,
    /// Answers with another id than their request.
    Id,
    /// Requests of the server to a client that can do nothing.
    Asks,
    /// Error codes that the revision does not allow.
    Code,
    /// Errors whose id is null.
    NullId,
    /// Results without the server's name.
    ServerInfo,
    /// Results without their type.
    ResultType,
    /// Log messages nobody asked for.
    Log,
    /// Results that ask a client for what it cannot do.
    Input,
    /// Results of a type that the client does not know.
    Foreign,
    /// Events that hold no message.
    Events,
    /// Streams left open after the answer.
    LeftOpen,
    /// Streams that proxies may hold back.
    Buffering,
    /// Answers that are neither JSON nor a stream.
    MediaType,
}

/// Something that is not as it should be.
pub(super) struct Issue {
    concern: Concern,
    text: String,
    exchange: Exchange,
}

/// What a lane's messages are held against, and which did not fit.
pub(super) struct Wire {
    revision: Revision,
    issues: Vec<Issue>,
    /// How often each concern had something to look at.
    seen: BTreeMap<Concern, usize>,
}

impl Wire {
    pub(super) fn new(revision: Revision) -> Wire {
        Wire { revision, issues: Vec::new(), seen: BTreeMap::new() }
    }

    /// What was found of a concern, first things first: each text once, with the exchange it came in. `None` when there
    /// was nothing to look at.
    pub(super) fn found(&self, concern: Concern) -> Option<Vec<(&str, &Exchange)>> {
        let of = |issue: &&Issue| issue.concern == concern;
        let all = self.issues.iter().filter(of).map(|issue| (&*issue.text, &issue.exchange));
        self.seen.contains_key(&concern).then(|| all.collect())
    }

    /// Looks at all messages of `exchange`.
    pub(super) fn look(&mut self, exchange: &Exchange) {
        let sent = serde_json::from_slice::<Value>(&exchange.sent.body).unwrap_or_default();
        if exchange.status.is_some() {
            self.look_at_http(exchange, &sent);
        }
        // That a batch is answered with one is a row of its own.
        if exchange.has_batch && !sent.is_array() && !self.revision.has_batches() {
            let text = "messages came within an array, which the revision has not".to_owned();
            self.judge(Concern::Schema, exchange, Some(text));
        }
        for message in &exchange.messages {
            let answers = exchange.answer.as_ref() == Some(message);
            self.look_at(message, &sent, answers, exchange);
        }
    }

    /// Notes that there was something to look at, and `text` if it was wrong.
    fn judge(&mut self, concern: Concern, exchange: &Exchange, wrong: Option<String>) {
        *self.seen.entry(concern).or_default() += 1;
        if let Some(text) = wrong
            && self.issues.len() < MAX_ISSUES
            && self.issues.iter().all(|issue| issue.concern != concern || issue.text != text)
        {
            self.issues.push(Issue { concern, text, exchange: exchange.clone() });
        }
    }

    fn look_at_http(&mut self, exchange: &Exchange, sent: &Value) {
        let media = exchange.media_type();
        if is_request(sent) && exchange.status == Some(200) {
            let known = ["application/json", "text/event-stream"].contains(&&*media);
            self.judge(Concern::MediaType, exchange, (!known).then(|| format!("a result came as {media:?}")));
        }
        if media != "text/event-stream" {
            return;
        }
        let wrong = exchange.header("x-accel-buffering") != Some("no");
        self.judge(
            Concern::Buffering,
            exchange,
            wrong.then(|| "a stream came without X-Accel-Buffering: no".to_owned()),
        );
        if exchange.answer.is_some() {
            let open = exchange.end == End::LeftOpen;
            self.judge(
                Concern::LeftOpen,
                exchange,
                open.then(|| "a stream went on after its answer".to_owned()),
            );
        }
        let events = Parser::new(crate::peer::MAX_MESSAGE).feed(&exchange.body);
        for event in events.into_iter().flatten() {
            let value = serde_json::from_str::<Value>(&event.data).unwrap_or_default();
            let holds = value.get("jsonrpc").is_some();
            let wrong = match event.is_message() {
                true => (!holds && !value.is_array() && !event.data.is_empty())
                    .then(|| format!("an event holds {:?}", short(&event.data))),
                // One with a name of its own, such as a heartbeat, is no clients' of MCP to read.
                false if !holds => continue,
                false => Some(format!(
                    "a message came in an event of the name {:?}, and clients pass over all but \"message\"",
                    short(&event.event)
                )),
            };
            self.judge(Concern::Events, exchange, wrong);
        }
    }

    fn look_at(&mut self, message: &Value, sent: &Value, answers: bool, exchange: &Exchange) {
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
        let asked = sent.get("method").and_then(Value::as_str).filter(|_| answers);
        let wrong = self.breach(message, asked, sent);
        self.judge(Concern::Schema, exchange, wrong);
        let stream = message.pointer("/params/_meta/io.modelcontextprotocol~1subscriptionId");
        if let (Some(id), true) = (sent.get("id"), answers || stream.is_some()) {
            let came = stream.or(message.get("id")).unwrap_or(&Value::Null);
            // An error may have none; a stream with quite another id is a row of its own.
            let apart = came.is_null() && message.get("error").is_some();
            let wrong = came != id && !apart && (answers || same_id(came, id));
            let text =
                || format!("the id of a request is {}, that of what answers it {}", kind(id), kind(came));
            self.judge(Concern::Id, exchange, wrong.then(text));
        }
        let asks = is_request(message) && (self.revision.is_modern() || method != "ping");
        self.judge(Concern::Asks, exchange, asks.then(|| format!("the server asked {method}")));
        if method == "notifications/message" {
            let wanted = sent.pointer("/params/_meta/io.modelcontextprotocol~1logLevel").is_some();
            let wrong = self.revision.is_modern() && !wanted;
            let text = || "notifications/message came, and the request had no logLevel".to_owned();
            self.judge(Concern::Log, exchange, wrong.then(text));
        }
        if let Some(error) = message.get("error") {
            let code = error.get("code").and_then(Value::as_i64);
            self.judge(Concern::Code, exchange, code.and_then(|code| forbidden(code, self.revision)));
            let null = message.get("id") == Some(&Value::Null);
            self.judge(Concern::NullId, exchange, null.then(|| "an error has the id null".to_owned()));
        }
        if let (Some(result), true) = (message.get("result"), is_response(message)) {
            self.look_at_result(result, asked.unwrap_or("a request"), sent, exchange);
        }
    }

    fn look_at_result(&mut self, result: &Value, asked: &str, sent: &Value, exchange: &Exchange) {
        let untyped = result.get("resultType").and_then(Value::as_str).is_none();
        let text = || format!("the result of {asked} has no resultType");
        self.judge(Concern::ResultType, exchange, untyped.then(text));
        let nameless = result.pointer("/_meta/io.modelcontextprotocol~1serverInfo").is_none();
        let text = || format!("the result of {asked} does not name the server");
        self.judge(Concern::ServerInfo, exchange, nameless.then(text));
        let kind = result.get("resultType").and_then(Value::as_str).unwrap_or("complete");
        let known = ["complete", "input_required"].contains(&kind) || (kind == "task" && knows_tasks(sent));
        let foreign = !known;
        let text = || format!("the result of {asked} has the resultType {kind:?}");
        self.judge(Concern::Foreign, exchange, foreign.then(text));
        // What a task asks is for whoever watches it.
        let asks = result.get("inputRequests").and_then(Value::as_object).is_some_and(|all| !all.is_empty())
            && !asked.starts_with("tasks/");
        let text = || format!("{asked} wants input of a client that declared no capability");
        self.judge(Concern::Input, exchange, asks.then(text));
    }

    /// How `message`, which answers the method `asked`, breaks the schema.
    fn breach(&self, message: &Value, asked: Option<&str>, sent: &Value) -> Option<String> {
        if message.get("jsonrpc") != Some(&json!("2.0")) {
            return Some("a message without \"jsonrpc\": \"2.0\"".to_owned());
        }
        if message.get("result").is_some() && message.get("error").is_some() {
            return Some("an answer with both a result and an error".to_owned());
        }
        if let Some(method) = message.get("method").and_then(Value::as_str) {
            let definition = schema::notification(self.revision, method)?;
            return self.broken_by(definition, message, method);
        }
        if let Some(result) = message.get("result") {
            let method = asked?;
            let definition = match sent.pointer("/params/task") {
                Some(_) if method == "tools/call" && !self.revision.is_modern() => "CreateTaskResult",
                _ => result_of(method, result, self.revision),
            };
            return self.broken_by(definition, result, &format!("the result of {method}"));
        }
        let mut plain = message.clone();
        // JSON-RPC itself writes null where an id could not be read; that is a concern of its own.
        if let Value::Object(members) = &mut plain
            && members.get("id").is_none_or(Value::is_null)
        {
            members.insert("id".into(), json!(0));
        }
        let newer = self.revision >= Revision::V2025_11_25;
        self.broken_by(if newer { "JSONRPCErrorResponse" } else { "JSONRPCError" }, &plain, "an error")
    }

    fn broken_by(&self, definition: &str, part: &Value, what: &str) -> Option<String> {
        let validator = schema::validator(self.revision, definition)?;
        let error = validator.iter_errors(part).next()?;
        let path = error.instance_path().to_string();
        let place = if path.is_empty() { "at its top".to_owned() } else { format!("at {path}") };
        Some(format!("{what} breaks {definition} {place}: {}", short(&error.to_string())))
    }
}

/// The type of an id.
fn kind(id: &Value) -> &'static str {
    match id {
        Value::String(_) => "a text",
        Value::Number(number) if number.is_f64() => "a number with a point",
        Value::Number(_) => "an integer",
        _ => "none",
    }
}

/// Whether the client that sent this declares the extension of tasks.
fn knows_tasks(sent: &Value) -> bool {
    let declared = sent.pointer("/params/_meta/io.modelcontextprotocol~1clientCapabilities/extensions");
    declared.is_some_and(|extensions| extensions.get(TASKS).is_some())
}

/// The definition of what answers `method`.
fn result_of(method: &str, result: &Value, revision: Revision) -> &'static str {
    let kind = result.get("resultType").and_then(Value::as_str).unwrap_or("complete");
    match method {
        _ if revision.is_modern() && kind == "input_required" => "InputRequiredResult",
        // Results of other types are an extension's.
        _ if revision.is_modern() && kind != "complete" => "Result",
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
        "tasks/get" if !revision.is_modern() => "GetTaskResult",
        "tasks/result" if !revision.is_modern() => "CallToolResult",
        "tasks/cancel" if !revision.is_modern() => "CancelTaskResult",
        "tasks/list" if !revision.is_modern() => "ListTasksResult",
        _ => "Result",
    }
}

/// Why a server of this revision must not send this code.
fn forbidden(code: i64, revision: Revision) -> Option<String> {
    if !revision.is_modern() {
        return None;
    }
    match code {
        -32002 | -32042 => Some(format!("the error {code} belongs to earlier revisions")),
        -32022..=-32020 => None,
        -32099..=-32020 => Some(format!("the error {code} is reserved, and means nothing yet")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Raw;

    #[test]
    fn sees_which_events_clients_pass_over() {
        let check = |body: &str, expected: &[&str]| {
            let mut exchange = Exchange { status: Some(200), body: body.into(), ..Exchange::default() };
            exchange.headers.insert("content-type", "text/event-stream".parse().unwrap());
            let mut wire = Wire::new(Revision::V2026_07_28);
            wire.look(&exchange);
            let found = wire.found(Concern::Events).unwrap_or_default();
            let texts: Vec<_> = found.into_iter().map(|(text, _)| text).collect();
            assert_eq!(texts, expected, "{body}");
        };
        check("event: message\ndata: {\"jsonrpc\":\"2.0\"}\n\nevent: heartbeat\ndata: [1]\n\n", &[]);
        check("data: hello\n\n", &["an event holds \"hello\""]);
        let passed =
            "a message came in an event of the name \"response\", and clients pass over all but \"message\"";
        check("event: response\ndata: {\"jsonrpc\":\"2.0\"}\n\n", &[passed]);
    }

    #[test]
    fn sees_what_is_wrong_with_a_message() {
        let check = |revision: Revision, sent: Value, came: Value, expected: &[Concern]| {
            let mut exchange = Exchange {
                sent: Raw { body: sent.to_string().into(), ..Raw::default() },
                ..Exchange::default()
            };
            exchange.answer = is_response(&came).then(|| came.clone());
            exchange.messages = vec![came.clone()];
            let mut wire = Wire::new(revision);
            wire.look(&exchange);
            let found: Vec<_> = wire.issues.iter().map(|issue| issue.concern).collect();
            assert_eq!(found, expected, "{came}");
        };
        let (modern, legacy) = (Revision::V2026_07_28, Revision::V2025_11_25);
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let error = |id: Value, code: i64| json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": ""}});
        let named = json!({"io.modelcontextprotocol/serverInfo": {"name": "a", "version": "1"}});
        check(
            legacy,
            list.clone(),
            json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}),
            &[Concern::ResultType, Concern::ServerInfo],
        );
        let whole = json!({"tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private", "_meta": named});
        check(modern, list.clone(), json!({"jsonrpc": "2.0", "id": 1, "result": whole}), &[]);
        check(modern, list.clone(), error(json!(1), -32002), &[Concern::Code]);
        for id in [json!("1"), json!(1.0)] {
            check(modern, list.clone(), error(id, -32602), &[Concern::Id]);
        }
        check(modern, list.clone(), error(json!(1), -32033), &[Concern::Code]);
        check(modern, list.clone(), error(json!(1), -32020), &[]);
        check(legacy, list.clone(), error(Value::Null, -32002), &[Concern::NullId]);
        check(
            legacy,
            list.clone(),
            json!({"id": 1, "error": {"code": 1, "message": ""}}),
            &[Concern::Schema],
        );
        let task = json!({"resultType": "task", "taskId": "a", "_meta": named});
        let came = json!({"jsonrpc": "2.0", "id": 1, "result": task});
        check(modern, list.clone(), came.clone(), &[Concern::Foreign]);
        let declares = json!({"io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}}}});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a", "_meta": declares}});
        check(modern, call, came, &[]);
        let call =
            |params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        let created = json!({"jsonrpc": "2.0", "id": 1, "result": {"_meta": named, "resultType": "complete", "task": {
            "taskId": "a", "status": "working", "createdAt": "", "lastUpdatedAt": "", "ttl": null}}});
        check(legacy, call(json!({"name": "a", "task": {}})), created.clone(), &[]);
        check(legacy, call(json!({"name": "a"})), created, &[Concern::Schema]);
        let asked = json!({"jsonrpc": "2.0", "id": 9, "method": "roots/list"});
        check(legacy, list.clone(), asked, &[Concern::Asks]);
        let log = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}});
        check(modern, list.clone(), log.clone(), &[Concern::Log]);
        check(legacy, list, log, &[]);
    }
}
