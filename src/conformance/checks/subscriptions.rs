//! subscriptions/listen: the stream of changes in the modern era.

use serde_json::{Value, json};

use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Stop, Verdict, same};
use crate::peer::{Exchange, same_id};

const NEW: Lifespan = Lifespan::MODERN;

crate::conformance_checks! {
    "listen.acknowledged", "A subscription is acknowledged first", NEW, Must,
    same("basic/patterns/subscriptions#acknowledgment"), ["server-stateless"], acknowledged,
    "The first message of a subscription is notifications/subscriptions/acknowledged, with its id in _meta.";
    "listen.stream", "A subscription is a stream", NEW.http(), Must,
    same("basic/transports/streamable-http#receiving-messages"), [], stream,
    "subscriptions/listen is answered with a stream that stays open.";
    "listen.filter", "Only what was asked for is agreed to", NEW, Must,
    same("basic/patterns/subscriptions#opening-a-stream"), [], filter,
    "The acknowledgment names a part of what was asked for, and nothing else is told.";
}

/// What the server says it tells of, as a filter.
async fn wanted(bench: &mut Bench) -> Result<Value, Stop> {
    let mut filter = serde_json::Map::new();
    for (capability, member) in [
        ("tools", "toolsListChanged"),
        ("prompts", "promptsListChanged"),
        ("resources", "resourcesListChanged"),
    ] {
        if bench.has_part(capability, "listChanged") {
            filter.insert(member.into(), json!(true));
        }
    }
    if bench.has_part("resources", "subscribe") {
        let resources = bench.list("resources/list").await?;
        if let Some(uri) = resources.items.first().and_then(|item| item.get("uri")).cloned() {
            filter.insert("resourceSubscriptions".into(), json!([uri]));
        }
    }
    match filter.is_empty() {
        true => skip("the server declares nothing that it would tell of (listChanged, subscribe)"),
        false => Ok(Value::Object(filter)),
    }
}

/// Opens a subscription: its id, the exchange as far as it went, and whether it is still open.
async fn listen(bench: &mut Bench, filter: Value) -> Result<(Value, Exchange, bool), Stop> {
    let mut peer = bench.another().await?;
    let message = peer.request("subscriptions/listen", json!({"notifications": filter}));
    let mut listening = peer.listen(Some(&message)).await?;
    let patience = bench.dialler.options().patience;
    peer.hear(&mut listening, patience).await?;
    // What comes right after it, if anything.
    peer.hear(&mut listening, bench.moment()).await?;
    let open = !listening.has_ended();
    let exchange = bench.note(listening.exchange().clone());
    peer.close(bench.moment()).await;
    Ok((message.get("id").cloned().unwrap_or_default(), exchange, open))
}

fn first(exchange: &Exchange) -> Result<&Value, Stop> {
    exchange.messages.first().ok_or_else(|| Stop::Fails(expect::what_came(exchange)))
}

async fn acknowledged(bench: &mut Bench) -> Verdict {
    let filter = wanted(bench).await?;
    let (id, exchange, _) = listen(bench, filter).await?;
    let message = first(&exchange)?;
    let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
    ensure(method == "notifications/subscriptions/acknowledged", || match method {
        "" => expect::what_came(&exchange),
        _ => format!("the first message is {method}"),
    })?;
    let came = message.pointer("/params/_meta/io.modelcontextprotocol~1subscriptionId");
    // Whose ids are of another type everywhere is told so by the row of ids.
    ensure(came.is_some_and(|came| same_id(came, &id)), || {
        format!("the request has the id {id}, the subscription {}", json!(came))
    })
}

async fn stream(bench: &mut Bench) -> Verdict {
    let filter = wanted(bench).await?;
    let (_, exchange, open) = listen(bench, filter).await?;
    let media = exchange.media_type();
    ensure(exchange.status == Some(200) && media == "text/event-stream", || {
        format!("HTTP {} came with {media:?}", exchange.status.unwrap_or_default())
    })?;
    ensure(open, || "the stream was ended at once".into())
}

async fn filter(bench: &mut Bench) -> Verdict {
    let all = wanted(bench).await?;
    let one = all.as_object().and_then(|all| all.iter().next()).map(|(name, value)| json!({name: value}));
    let asked = one.unwrap_or_else(|| json!({}));
    let (_, exchange, _) = listen(bench, asked.clone()).await?;
    let agreed = first(&exchange)?.pointer("/params/notifications").and_then(Value::as_object);
    let Some(agreed) = agreed else { return expect::fail("the acknowledgment names no notifications") };
    let empty = |value: &Value| *value == json!(false) || value.as_array().is_some_and(Vec::is_empty);
    let more = agreed.iter().find(|(name, value)| asked.get(name.as_str()).is_none() && !empty(value));
    ensure(more.is_none(), || format!("asked for {asked}, the server agreed to {}", json!(agreed)))
}
