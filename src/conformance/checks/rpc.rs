//! JSON-RPC itself: what is no message, notifications, batches. Ids are looked at in every message: see `wire`.

use serde_json::{Value, json};

use super::lifecycle::harmless;
use crate::clock;
use crate::conformance::expect::{self, ensure};
use crate::conformance::{Bench, Lifespan, Stop, Verdict, differs, same};
use crate::peer::{End, Exchange, Raw, Wait, same_id};
use crate::protocol::revision::Revision;
use crate::protocol::rpc::is_response;

const ANY: Lifespan = Lifespan::BOTH;
/// The id of what may be answered or not, which no request of a peer has.
const PROBE: &str = "probe";
const JSON_RPC: &str = "https://www.jsonrpc.org/specification#error_object";

crate::conformance_checks! {
    "rpc.unknown-method", "An unknown method is refused", ANY, Must, same(JSON_RPC), ["server-stateless"], unknown,
    "A method that the server does not have gets -32601.";
    "rpc.unknown-method-status", "An unknown method has status 404", Lifespan::MODERN.http(), Must,
    same("basic/transports/streamable-http#protocol-version-header"), ["server-stateless"], unknown_status,
    "A method that the server does not have gets HTTP 404 together with -32601.";
    "rpc.parse-error", "What is not JSON is refused", ANY, Should, same(JSON_RPC), [], parse_error,
    "Bytes that are not JSON get -32700.";
    "rpc.parse-error-status", "What is not JSON has an error status", ANY.http(), Should,
    differs("basic/transports#sending-messages-to-the-server", "basic/transports/streamable-http#sending-messages"),
    [], parse_status,
    "What is not JSON gets an HTTP error status, as the specification wants it of a notification that cannot be accepted.";
    "rpc.invalid-request", "What is no message is refused", ANY, Should, same(JSON_RPC), [], invalid_request,
    "JSON that is no message gets -32600.";
    "rpc.other-version", "Only JSON-RPC 2.0 is spoken", ANY, Should, same("basic#messages"), [], other_version,
    "Messages follow JSON-RPC 2.0; one that says another version is refused.";
    "rpc.notification", "A notification gets no answer", ANY, Must, same("basic#notifications"), [], notification,
    "A notification is never answered with a message.";
    "rpc.batch", "A batch is answered", Lifespan::LEGACY.since(Revision::V2025_03_26).until(Revision::V2025_03_26),
    Must, same("basic#batching"), [], batch,
    "Several messages in one array are taken, and their answers come as an array or on a stream.";
    "rpc.no-batch", "A batch is refused", ANY.since(Revision::V2025_06_18), Should,
    same("https://modelcontextprotocol.io/specification/2025-06-18/changelog"), [], no_batch,
    "What is sent is a single message; there are no batches in this revision.";
}

async fn unknown(bench: &mut Bench) -> Verdict {
    let asked = bench.ask("conformance/no-such-method", Value::Null).await?;
    expect::error(&asked, &[-32601]).map(|_| ())
}

async fn unknown_status(bench: &mut Bench) -> Verdict {
    let asked = bench.ask("conformance/no-such-method", Value::Null).await?;
    expect::status(&asked, &[404])
}

/// Sends `body` where a message belongs, in a conversation of its own, for a server may end it.
async fn instead(bench: &mut Bench, body: &str) -> Result<Exchange, Stop> {
    let mut peer = bench.another().await?;
    let message = peer.request(harmless(bench), Value::Null);
    let raw = peer.post(&message).with_body(body.to_owned());
    if !peer.is_stdio() {
        let asked = bench.raw_on(&mut peer, raw.waiting(Wait::Any)).await;
        peer.close(bench.moment()).await;
        return Ok(asked?);
    }
    let mut asked = peer.raw(raw.waiting(Wait::None)).await?;
    // Some never answer. Who has answered the next request, and a moment has passed, will not.
    let next = peer.request(harmless(bench), Value::Null);
    let after =
        peer.send(&next).await.unwrap_or_else(|_| Exchange { end: End::Broken, ..Exchange::default() });
    asked.end = if after.end == End::Broken { End::Broken } else { End::TimedOut };
    asked.messages.extend(after.messages);
    let is_it = |heard: &&Value| is_response(heard) && !is_answer(heard, &next);
    let (mut listening, until) = (peer.listen(None).await?, bench.until());
    while !asked.messages.iter().any(|heard| is_it(&heard)) && clock::instant() < until {
        let Some(heard) = peer.hear(&mut listening, bench.moment()).await? else { break };
        asked.messages.extend(flat(heard));
    }
    asked.answer = asked.messages.iter().find(is_it).cloned();
    asked.messages.retain(|heard| !is_answer(heard, &next));
    peer.close(bench.moment()).await;
    Ok(bench.note(asked))
}

/// Whether `message` answers `request`.
pub(super) fn is_answer(message: &Value, request: &Value) -> bool {
    let ids = message.get("id").zip(request.get("id"));
    is_response(message) && ids.is_some_and(|(came, sent)| same_id(came, sent))
}

/// The messages of a line: of a batch, each.
fn flat(line: Value) -> Vec<Value> {
    match line {
        Value::Array(all) => all,
        one => vec![one],
    }
}

/// Sends `raw`, which holds `requests`, and waits for the answers: how many did not come.
pub(super) async fn unanswered(bench: &mut Bench, raw: Raw, requests: &[Value]) -> Result<usize, Stop> {
    // Over HTTP all answers come until the end of the body.
    let wait = if bench.peer.is_stdio() { Wait::Any } else { Wait::None };
    let mut came = bench.raw(raw.waiting(wait)).await?.messages;
    let open = |came: &[Value]| {
        let has = |request: &&Value| came.iter().any(|message| is_answer(message, request));
        requests.len() - requests.iter().filter(has).count()
    };
    if bench.peer.is_stdio() {
        let (mut listening, patience) = (bench.peer.listen(None).await?, bench.dialler.options().patience);
        while open(&came) > 0 {
            let Some(heard) = bench.peer.hear(&mut listening, patience).await? else { break };
            came.extend(flat(heard));
        }
    }
    Ok(open(&came))
}

async fn parse_error(bench: &mut Bench) -> Verdict {
    let asked = instead(bench, r#"{"jsonrpc": "2.0", "id": 1, "method":"#).await?;
    expect::error(&asked, &[-32700]).map(|_| ())
}

async fn parse_status(bench: &mut Bench) -> Verdict {
    let asked = instead(bench, r#"{"jsonrpc": "2.0", "id": 1, "method":"#).await?;
    expect::refused(&asked)
}

async fn invalid_request(bench: &mut Bench) -> Verdict {
    let asked = instead(bench, r#"{"jsonrpc": "2.0", "id": 1, "meth": "ping"}"#).await?;
    expect::error(&asked, &[-32600]).map(|_| ())
}

async fn other_version(bench: &mut Bench) -> Verdict {
    let mut message = bench.peer.request(harmless(bench), Value::Null);
    (message["jsonrpc"], message["id"]) = (json!("1.0"), json!(PROBE));
    let asked = instead(bench, &message.to_string()).await?;
    ensure(asked.result().is_none(), || "a message of JSON-RPC 1.0 was answered with a result".into())
}

async fn notification(bench: &mut Bench) -> Verdict {
    let params = json!({"requestId": "nothing-like-it", "reason": "nobody waits any more"});
    let message = bench.peer.notification("notifications/cancelled", params);
    let told = bench.send(&message).await?;
    let mut answer = told.answer.clone();
    if bench.peer.is_stdio() {
        let (mut listening, until) = (bench.peer.listen(None).await?, bench.until());
        while clock::instant() < until
            && let Some(heard) = bench.peer.hear(&mut listening, bench.moment()).await?
        {
            answer = answer.or_else(|| is_response(&heard).then_some(heard));
        }
    }
    // Over HTTP an error status may come with an error that has no id.
    let refused = told.status.is_some_and(|status| status >= 400);
    ensure(answer.is_none() || refused, || format!("it was answered: {}", answer.unwrap_or_default()))
}

async fn batch(bench: &mut Bench) -> Verdict {
    let both = [bench.peer.request("ping", Value::Null), bench.peer.request("ping", Value::Null)];
    let raw = bench.peer.post(&both[0]).with_body(json!(both).to_string());
    let open = unanswered(bench, raw, &both).await?;
    ensure(open == 0, || format!("{open} of 2 requests were not answered"))
}

async fn no_batch(bench: &mut Bench) -> Verdict {
    let mut message = bench.peer.request(harmless(bench), Value::Null);
    message["id"] = json!(PROBE);
    let asked = instead(bench, &json!([message]).to_string()).await?;
    ensure(asked.result().is_none(), || "a batch was answered with a result".into())
}
