//! What holds of every message. These rows run last, and tell what all the others saw.

use serde_json::{Value, json};

use super::lifecycle::harmless;
use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::wire::Concern;
use crate::conformance::{Bench, Lifespan, Stop, Verdict, differs, same};

const ANY: Lifespan = Lifespan::BOTH;
const NEW: Lifespan = Lifespan::MODERN;

crate::conformance_checks! {
    "rpc.ids", "Answers have the id of their request", ANY, Must, same("basic#responses"), [], ids,
    "An answer carries the id of its request, of the same type: integers, zero among them, and texts.";
    "wire.schema", "All messages fit the schema", ANY, Must, same("schema"), [], schema,
    "Messages have the shape that the schema of the revision gives them.";
    "wire.no-requests", "The server asks nothing unasked", ANY, Must,
    differs("basic/lifecycle#operation", "basic/patterns#message-patterns"), [], asks,
    "A server asks nothing of a client that declared no capability; in the modern era it sends no requests at all.";
    "wire.error-codes", "Error codes are those of the revision", NEW, Must, same("basic#error-codes"), [], codes,
    "Codes from -32020 to -32099 are the specification's own, and -32002 and -32042 are of earlier revisions.";
    "wire.null-id", "No error has the id null", NEW, Should, same("basic#error-responses"), [], null_id,
    "An error about a request whose id could not be read leaves the id out.";
    "wire.result-type", "Results say their type", NEW, Must, same("basic#resulttype"),
    ["input-required-result-result-type"], result_type,
    "Every result has a resultType.";
    "wire.server-info", "Results name the server", NEW, Should, same("basic#meta"), [], server_info,
    "Results carry the server's name and version in _meta, for there is no handshake that told them.";
    "wire.no-unasked-logs", "Logs come only when asked for", NEW, Must,
    same("server/utilities/logging#per-request-log-level"), [], logs,
    "Log messages are sent only for a request that names a level.";
    "wire.no-undeclared-input", "No input is wanted that the client cannot give", NEW, Must, same("basic#meta"),
    ["input-required-result-capability-check"], input,
    "A server relies on no capability that the client has not declared.";
    "wire.no-undeclared-results", "Results are of types that the client knows", NEW, Must, same("basic#resulttype"),
    ["tasks-capability-negotiation"], foreign,
    "A result is complete or wants input; other types are for clients that declared the extension they belong to.";
    "wire.media-type", "Answers are JSON or a stream", ANY.http(), Must,
    differs("basic/transports#sending-messages-to-the-server", "basic/transports/streamable-http#sending-messages"),
    [], media_type,
    "A request is answered as application/json or as text/event-stream.";
    "wire.events", "Events hold messages", ANY.http(), Must,
    differs("basic/transports#sending-messages-to-the-server", "basic/transports/streamable-http#receiving-messages"),
    [], events,
    "Each event of a stream that has data holds a JSON-RPC message.";
    "wire.stream-ends", "Streams end with their answer", ANY.http(), Should,
    differs("basic/transports#sending-messages-to-the-server", "basic/transports/streamable-http#receiving-messages"),
    [], left_open,
    "Once the answer is sent, the server ends the stream that it was sent on.";
    "wire.stream-unbuffered", "Streams pass through proxies", NEW.http(), Should,
    same("basic/transports/streamable-http#receiving-messages"), [], buffering,
    "A stream has X-Accel-Buffering: no, so that proxies hand its events on at once.";
}

/// What was seen of a concern.
fn tell(bench: &mut Bench, concern: Concern, nothing: &str) -> Verdict {
    let Some(found) = bench.wire.found(concern) else { return skip(nothing) };
    let mut all: Vec<(String, _)> = found.into_iter().map(|(text, e)| (text.to_owned(), e.clone())).collect();
    all.retain(|(text, _)| concern != Concern::Schema || !bench.is_told_of(text));
    let Some((first, exchange)) = all.first() else { return Ok(()) };
    bench.show(exchange);
    let more = match all.len() {
        1 => String::new(),
        count => format!(" (and {} more kinds: {})", count - 1, rest(&all)),
    };
    Err(Stop::Fails(format!("{first}{more}")))
}

fn rest<T>(all: &[(String, T)]) -> String {
    all.iter().skip(1).take(5).map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("; ")
}

async fn ids(bench: &mut Bench) -> Verdict {
    for id in [json!(0), json!(1_234_567_890_i64), json!("a-1"), json!("7"), json!("ü 😀")] {
        let mut message = bench.peer.request(harmless(bench), Value::Null);
        message["id"] = id.clone();
        let asked = bench.send(&message).await?;
        let came = expect::answer(&asked)?.get("id").cloned().unwrap_or_default();
        ensure(came == id, || format!("the request has the id {id}, its answer {came}"))?;
    }
    tell(bench, Concern::Id, "no answer came")
}

async fn schema(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Schema, "no message came")
}

async fn asks(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Asks, "no message came")
}

async fn codes(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Code, "no error came")
}

async fn null_id(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::NullId, "no error came")
}

async fn result_type(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::ResultType, "no result came")
}

async fn server_info(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::ServerInfo, "no result came")
}

async fn logs(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Log, "no log message came")
}

async fn input(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Input, "no result came")
}

async fn foreign(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Foreign, "no result came")
}

async fn media_type(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::MediaType, "no result came")
}

async fn events(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Events, "no answer came as a stream")
}

async fn left_open(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::LeftOpen, "no answer came as a stream")
}

async fn buffering(bench: &mut Bench) -> Verdict {
    tell(bench, Concern::Buffering, "no answer came as a stream")
}
