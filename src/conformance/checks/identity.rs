//! Two identities: what the first one has, the second must not come by. Both speak the lane's revision; the first is the
//! lane's own, the second is given by `--other-header` or `--other-login`.
//!
//! Two answers that are the same may both be public, so they are warned of at most. What fails is what has no other
//! explanation: a session that answers to both, a thing that one does not list and reads all the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::OwnedMutexGuard;

use crate::clock;
use crate::conformance::expect::{ensure, fail, short, skip, what_came};
use crate::conformance::{Bench, Lifespan, Source, Stop, Verdict, differs, same};
use crate::peer::{Exchange, Raw, Wait};
use crate::protocol::revision::Revision;

/// The most things of one kind that are tried as the second identity.
const MAX_TRIED: usize = 10;
/// The id of a session that never was.
const NO_SESSION: &str = "00000000-0000-4000-8000-000000000000";
const ANY_SESSION: &str = "the server answers in sessions that never were, so a session's id opens nothing";

const HIJACKING: Source =
    same("https://modelcontextprotocol.io/docs/tutorials/security/security_best_practices#session-hijacking");
const CANCELLATION: Source = differs("basic/utilities/cancellation", "basic/patterns/cancellation");
const SUBSCRIPTIONS: Source = differs("server/resources#subscriptions", "basic/patterns/subscriptions");
const RESOURCES: Source = same("server/resources#security-considerations");
const TOOLS: Source = same("server/tools#security-considerations");
const TASKS: Source = same("basic/utilities/tasks#security-considerations");

crate::conformance_checks! {
    "identity.session", "a session with another's credential", Lifespan::LEGACY.http(), Must, HIJACKING, [], session,
    "A session is not proof of who somebody is: a request in it with the credential of another is refused.";
    "identity.session-end", "another ends a session", Lifespan::LEGACY.http(), Must, HIJACKING, [], session_end,
    "A DELETE with the credential of another leaves a session as it was.";
    "identity.session-stream", "another listens in a session", Lifespan::LEGACY.http(), Must, HIJACKING, [],
    session_stream,
    "A GET in a session with the credential of another opens no stream.";
    "identity.cancel", "another cancels", Lifespan::MODERN.http(), Must, CANCELLATION, [], cancel,
    "A notification of another that names the id of a request ends nothing: ids are each client's own.";
    "identity.subscriptions", "another subscribes", Lifespan::MODERN.http(), Should, SUBSCRIPTIONS, [], subscriptions,
    "Who may not see a resource is not promised news of it.";
    "identity.resources", "another reads", Lifespan::BOTH, Should, RESOURCES, [], resources,
    "A resource that is listed to one and not to the other is not read by the other.";
    "identity.cursors", "another turns the page", Lifespan::BOTH, Must, TOOLS, [], cursors,
    "Tools have access controls: the cursor of one does not show the other what the first one sees.";
    "identity.tasks", "another asks for a task", Lifespan::LEGACY.since(Revision::V2025_11_25), Must, TASKS, [], tasks,
    "A task is found by nobody but who it belongs to.";
    "identity.ids", "another names an id", Lifespan::BOTH, Should, TOOLS, [], ids,
    "What a tool gives out for an id that only one was told of, it does not give to the other.";
    "identity.results", "both ask the same", Lifespan::BOTH, Should, TOOLS, [], results,
    "Where each has things of their own, a tool that lists them answers each with theirs.";
}

type Other = OwnedMutexGuard<Bench>;

/// The second identity's bench.
async fn other(bench: &Bench) -> Result<Other, Stop> {
    match &bench.other {
        Some(Ok(other)) => Ok(Arc::clone(other).lock_owned().await),
        Some(Err(why)) => fail(format!("the second identity is not let in: {why}")),
        None => skip("there is one identity; --other-header or --other-login gives a second"),
    }
}

/// Notes an exchange of the second identity as evidence, with the fields that it was sent with.
fn note(bench: &mut Bench, other: &Other, exchange: &Exchange) {
    let mut exchange = exchange.clone();
    for (name, value) in &other.dialler.options().headers {
        exchange.sent.headers.set_bytes(name.as_str(), value.as_bytes());
    }
    bench.note(exchange);
}

/// A session of the first identity that no other check uses, and its id.
async fn fresh(bench: &Bench) -> Result<(crate::peer::Peer, String), Stop> {
    let mut peer = bench.dialler.dial()?;
    peer.shake_hands(&bench.revision.to_string(), json!({})).await?;
    match peer.session_headers().get("mcp-session-id").map(str::to_owned) {
        Some(id) => Ok((peer, id)),
        None => skip("the server gives no session ids"),
    }
}

/// The second identity's `ping`, in the session `id`.
async fn ping_in(other: &mut Other, id: &str) -> Result<Exchange, Stop> {
    let message = other.peer.request("ping", Value::Null);
    let raw = other.peer.post(&message).with("mcp-session-id", id);
    Ok(other.peer.raw(raw).await?)
}

/// The second identity's GET of a stream, in the session `id`.
async fn get_in(other: &mut Other, id: &str) -> Result<Exchange, Stop> {
    let headers = other.peer.session_headers().with("mcp-session-id", id).with("accept", "text/event-stream");
    let raw = Raw { method: "GET".into(), headers, wait: Wait::Any, ..Raw::default() };
    Ok(other.peer.raw(raw).await?)
}

fn is_stream(answer: &Exchange) -> bool {
    answer.status == Some(200) && answer.media_type() == "text/event-stream"
}

async fn session(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let (peer, id) = fresh(bench).await?;
    let made_up = ping_in(&mut other, NO_SESSION).await?;
    let answer = ping_in(&mut other, &id).await?;
    peer.close(bench.moment()).await;
    if made_up.result().is_some() {
        return skip(ANY_SESSION);
    }
    note(bench, &other, &answer);
    ensure(answer.result().is_none(), || "the session of the first identity answers to the second".to_owned())
}

async fn session_end(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let (mut peer, id) = fresh(bench).await?;
    let headers = other.peer.session_headers().with("mcp-session-id", &id);
    let ended = other.peer.raw(Raw { method: "DELETE".into(), headers, ..Raw::default() }).await?;
    let alive = peer.ask("ping", Value::Null).await?;
    peer.close(bench.moment()).await;
    note(bench, &other, &ended);
    ensure(alive.result().is_some(), || {
        format!(
            "after a DELETE of the second identity the first one's session is gone: {}",
            what_came(&alive)
        )
    })
}

async fn session_stream(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let (peer, id) = fresh(bench).await?;
    let made_up = get_in(&mut other, NO_SESSION).await?;
    let answer = get_in(&mut other, &id).await?;
    peer.close(bench.moment()).await;
    if is_stream(&made_up) {
        return skip(ANY_SESSION);
    }
    note(bench, &other, &answer);
    ensure(!is_stream(&answer), || {
        "the second identity opened a stream in the first one's session".to_owned()
    })
}

/// The message that opens a stream of all news there is, and of `uris`.
fn listen(bench: &mut Bench, uris: &[&str]) -> Value {
    let mut wanted =
        json!({"toolsListChanged": true, "resourcesListChanged": true, "promptsListChanged": true});
    if !uris.is_empty() {
        wanted["resourceSubscriptions"] = json!(uris);
    }
    bench.peer.request("subscriptions/listen", json!({"notifications": wanted}))
}

async fn cancel(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let message = listen(bench, &[]);
    let mut stream = bench.peer.listen(Some(&message)).await?;
    let moment = bench.moment();
    if bench.peer.hear(&mut stream, bench.dialler.options().patience).await?.is_none() || stream.has_ended() {
        return skip("the server keeps no stream open (subscriptions/listen)");
    }
    let told = other.peer.tell("notifications/cancelled", json!({"requestId": message["id"]})).await?;
    let until = bench.until();
    while clock::instant() < until && bench.peer.hear(&mut stream, moment).await?.is_some() {}
    let ended = stream.has_ended();
    note(bench, &other, &told);
    ensure(!ended, || "a notification of the second identity ended the first one's stream".to_owned())
}

/// The URIs that the first identity lists and the second does not.
async fn own_uris(bench: &mut Bench, other: &mut Other) -> Result<Vec<String>, Stop> {
    let listed = bench.list("resources/list").await?;
    let theirs = match other.list("resources/list").await {
        Err(Stop::Fails(why)) => {
            return skip(format!("the second identity gets no list of resources: {why}"));
        }
        theirs => theirs?,
    };
    if let Some(why) = &theirs.cut {
        return skip(why.clone());
    }
    let uri = |item: &Value| item.get("uri").and_then(Value::as_str).map(str::to_owned);
    let theirs: BTreeSet<_> = theirs.items.iter().filter_map(uri).collect();
    let own: Vec<_> = listed.items.iter().filter_map(uri).filter(|uri| !theirs.contains(uri)).collect();
    match own.is_empty() {
        true => skip("the first identity lists no resource that the second does not"),
        false => Ok(own.into_iter().take(MAX_TRIED).collect()),
    }
}

/// A URI like `uri` that surely nothing has: with another number at its end, or a longer one.
fn nothing_like(uri: &str) -> String {
    let stem = uri.trim_end_matches(|c: char| c.is_ascii_digit());
    if stem.len() < uri.len() { format!("{stem}987654321") } else { format!("{uri}-987654321") }
}

async fn subscriptions(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let own = own_uris(bench, &mut other).await?;
    let nothing = own.first().map(|uri| nothing_like(uri)).unwrap_or_default();
    let uris: Vec<_> = own.iter().chain([&nothing]).map(String::as_str).collect();
    let message = listen(&mut other, &uris);
    let mut stream = other.peer.listen(Some(&message)).await?;
    let patience = bench.dialler.options().patience;
    let Some(told) = other.peer.hear(&mut stream, patience).await? else {
        return skip("the server keeps no stream open (subscriptions/listen)");
    };
    note(bench, &other, stream.exchange());
    let agreed = told.pointer("/params/notifications/resourceSubscriptions").and_then(Value::as_array);
    let promised: Vec<_> = agreed.into_iter().flatten().filter_map(Value::as_str).collect();
    if promised.contains(&&*nothing) {
        return skip(
            "the server promises news of any URI, also of what is not there, so the promise tells nothing",
        );
    }
    ensure(promised.is_empty(), || {
        format!(
            "the second identity is promised news of what only the first lists: {}",
            short(&promised.join(", "))
        )
    })
}

async fn resources(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    for uri in own_uris(bench, &mut other).await? {
        let read = other.ask("resources/read", json!({"uri": uri})).await?;
        let contents = read.result().and_then(|result| result.get("contents")).and_then(Value::as_array);
        if contents.is_some_and(|contents| !contents.is_empty()) {
            note(bench, &other, &read);
            return fail(format!("the second identity reads {}, which only the first lists", short(&uri)));
        }
    }
    Ok(())
}

/// A call of a tool that only reads.
async fn call(bench: &mut Bench, name: &str, arguments: &Value) -> Result<Option<Value>, Stop> {
    let answer = bench.ask("tools/call", json!({"name": name, "arguments": arguments})).await?;
    let result = answer.result().filter(|result| result.get("isError") != Some(&json!(true))).cloned();
    Ok(result.map(|mut result| {
        if let Value::Object(members) = &mut result {
            members.remove("_meta");
        }
        result
    }))
}

/// What the model sees of a result: its structured content, or the JSON in its texts.
fn content(result: &Value) -> Vec<Value> {
    if let Some(structured) = result.get("structuredContent") {
        return vec![structured.clone()];
    }
    let texts = result.get("content").and_then(Value::as_array).into_iter().flatten();
    let texts = texts.filter_map(|block| block.get("text").and_then(Value::as_str));
    texts.map(|text| serde_json::from_str(text).unwrap_or_else(|_| json!(text))).collect()
}

fn name_of(tool: &Value) -> String {
    tool.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A member of a result that is the cursor of the next page.
fn next_cursor(result: &Value) -> Option<String> {
    let names = ["nextCursor", "next_cursor"];
    content(result)
        .iter()
        .find_map(|value| names.iter().find_map(|name| value.get(name)?.as_str().map(str::to_owned)))
}

async fn cursors(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let mut tried = 0;
    for (tool, arguments) in bench.callable().await?.into_iter().take(2 * MAX_TRIED) {
        let has = |name: &str| tool.pointer(&format!("/inputSchema/properties/{name}")).is_some();
        if !has("cursor") {
            continue;
        }
        let (name, mut arguments) = (name_of(&tool), arguments);
        if has("limit") {
            arguments["limit"] = json!(1);
        }
        let Some(first) = call(bench, &name, &arguments).await? else { continue };
        let Some(cursor) = next_cursor(&first) else { continue };
        let theirs = call(&mut other, &name, &arguments).await?;
        arguments["cursor"] = json!(cursor);
        let Some(second) = call(bench, &name, &arguments).await? else { continue };
        let stolen = call(&mut other, &name, &arguments).await?;
        tried += 1;
        // Where both see the same first page, the second may be theirs too.
        if theirs.as_ref() != Some(&first) && stolen.as_ref() == Some(&second) {
            return fail(format!(
                "{name}: with the first identity's cursor the second gets the first one's page"
            ));
        }
    }
    if tried == 0 { skip("no tool that only reads gives the first identity a cursor") } else { Ok(()) }
}

async fn tasks(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    if bench.capabilities().get("tasks").is_none_or(|tasks| tasks.get("list").is_none()) {
        return skip("the server does not declare tasks.list");
    }
    let ids = |answer: &Exchange| {
        let tasks = answer.result().and_then(|result| result.get("tasks")).and_then(Value::as_array);
        let ids =
            tasks.into_iter().flatten().filter_map(|task| task.get("taskId")?.as_str().map(str::to_owned));
        ids.collect::<BTreeSet<_>>()
    };
    let mine = ids(&bench.ask("tasks/list", json!({})).await?);
    let theirs = ids(&other.ask("tasks/list", json!({})).await?);
    if mine.is_empty() {
        return skip("the first identity has no task");
    }
    ensure(mine.is_disjoint(&theirs), || "both list the same task".to_owned())?;
    for id in mine.into_iter().take(MAX_TRIED) {
        let answer = other.ask("tasks/get", json!({"taskId": id})).await?;
        if answer.result().is_some() {
            note(bench, &other, &answer);
            return fail("the second identity finds a task of the first one's");
        }
    }
    Ok(())
}

/// The values that `found` has for the parameter `name`: of members that are called so, and for `thing_id` also the `id`
/// of what stands in a list `things`.
fn values(name: &str, found: &[Value]) -> Vec<Value> {
    fn walk(name: &str, list: &str, value: &Value, within: &str, all: &mut Vec<Value>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(name, list, item, within, all)),
            Value::Object(members) => {
                for (key, value) in members {
                    let fits = key == name || (key == "id" && within == list);
                    if fits && (value.is_string() || value.is_number()) && !all.contains(value) {
                        all.push(value.clone());
                    }
                    walk(name, list, value, key, all);
                }
            }
            _ => {}
        }
    }
    let list = name.strip_suffix("_id").or_else(|| name.strip_suffix("Id")).map(|thing| format!("{thing}s"));
    let mut all = Vec::new();
    found.iter().for_each(|value| walk(name, list.as_deref().unwrap_or("\0"), value, "", &mut all));
    all
}

/// The one parameter that a tool which only reads requires.
fn wants(tool: &Value) -> Option<(String, String)> {
    let reads = tool.pointer("/annotations/readOnlyHint") == Some(&json!(true));
    let required = tool.pointer("/inputSchema/required")?.as_array()?;
    match (reads, &required[..]) {
        (true, [only]) => Some((name_of(tool), only.as_str()?.to_owned())),
        _ => None,
    }
}

async fn ids(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let (mut mine, mut theirs) = (Vec::new(), Vec::new());
    for (tool, arguments) in bench.callable().await?.into_iter().take(MAX_TRIED) {
        let name = name_of(&tool);
        mine.extend(call(bench, &name, &arguments).await?.iter().flat_map(content));
        theirs.extend(call(&mut other, &name, &arguments).await?.iter().flat_map(content));
    }
    let (mut tried, mut leaks) = (0, Vec::new());
    for (tool, parameter) in bench.list("tools/list").await?.items.iter().filter_map(wants) {
        let known = values(&parameter, &theirs);
        let own = values(&parameter, &mine).into_iter().filter(|value| !known.contains(value));
        for value in own.take(MAX_TRIED) {
            let arguments = Value::Object(Map::from_iter([(parameter.clone(), value)]));
            let Some(seen) = call(bench, &tool, &arguments).await? else { continue };
            tried += 1;
            if call(&mut other, &tool, &arguments).await?.as_ref() == Some(&seen) {
                leaks.push(tool.clone());
                break;
            }
        }
    }
    if tried == 0 {
        return skip("no tool gave the first identity an id that the second was not told of");
    }
    ensure(leaks.is_empty(), || {
        format!(
            "the second identity gets the same for ids that only the first was told of: {}",
            leaks.join(", ")
        )
    })
}

/// Whether a result holds a list of things.
fn has_things(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(Value::is_object) || items.iter().any(has_things),
        Value::Object(members) => members.values().any(has_things),
        _ => false,
    }
}

async fn results(bench: &mut Bench) -> Verdict {
    let mut other = other(bench).await?;
    let (mut alike, mut apart) = (Vec::new(), 0);
    for (tool, arguments) in bench.callable().await?.into_iter().take(2 * MAX_TRIED) {
        let name = name_of(&tool);
        let Some(mine) = call(bench, &name, &arguments).await? else { continue };
        match call(&mut other, &name, &arguments).await? {
            Some(theirs) if content(&theirs) == content(&mine) => {
                if content(&mine).iter().any(has_things) {
                    alike.push(name);
                }
            }
            _ => apart += 1,
        }
    }
    if alike.is_empty() && apart == 0 {
        return skip("no tool that only reads answers with a list");
    }
    ensure(alike.is_empty(), || {
        format!("both get the same of {}; {apart} tools tell them apart. Is it public?", alike.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_that_nothing_has_looks_like_one_that_something_has() {
        assert_eq!(nothing_like("a://things/17"), "a://things/987654321");
        assert_eq!(nothing_like("a://diary"), "a://diary-987654321");
    }

    #[test]
    fn ids_are_found_where_they_stand() {
        let found = json!({"tickets": [{"id": 1, "chatbot_id": 7}, {"id": 2, "who": {"chatbot_id": 8}}],
            "chatbots": [{"id": 9}], "chatbot_id": null, "total": 3});
        let check = |name: &str, expected: Value| {
            assert_eq!(Value::from(values(name, std::slice::from_ref(&found))), expected, "{name}");
        };
        check("ticket_id", json!([1, 2]));
        check("chatbot_id", json!([7, 8, 9]));
        check("total", json!([3]));
        check("id", json!([1, 2, 9]));
        check("other_id", json!([]));
    }

    #[test]
    fn the_one_thing_a_reading_tool_wants() {
        let tool = |reads: bool, required: Value| json!({"name": "t", "annotations": {"readOnlyHint": reads}, "inputSchema": {"required": required}});
        assert_eq!(wants(&tool(true, json!(["a"]))), Some(("t".into(), "a".into())));
        for (reads, required) in [(false, json!(["a"])), (true, json!(["a", "b"])), (true, json!([]))] {
            assert_eq!(wants(&tool(reads, required)), None);
        }
    }

    #[test]
    fn what_the_model_sees() {
        let check = |result: Value, expected: Value, cursor: Option<&str>| {
            assert_eq!(Value::from(content(&result)), expected);
            assert_eq!(next_cursor(&result).as_deref(), cursor);
        };
        let text =
            json!([{"type": "text", "text": "{\"nextCursor\":\"c\"}"}, {"type": "text", "text": "plain"}]);
        check(json!({"content": text}), json!([{"nextCursor": "c"}, "plain"]), Some("c"));
        check(
            json!({"content": [], "structuredContent": {"next_cursor": null}}),
            json!([{"next_cursor": null}]),
            None,
        );
        assert!(has_things(&json!({"a": {"b": [[{}]]}})) && !has_things(&json!({"a": [1, "x", []]})));
    }
}
