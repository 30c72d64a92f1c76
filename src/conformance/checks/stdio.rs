//! What holds of a server on stdio.

use std::time::Duration;

use serde_json::Value;

use super::lifecycle::harmless;
use super::rpc::{is_answer, unanswered};
use crate::conformance::expect::{self, ensure};
use crate::conformance::{Bench, Lifespan, Verdict, differs};
use crate::peer::Wait;

const ANY: Lifespan = Lifespan::BOTH.stdio();
/// How long a server has to end.
const FAREWELL: Duration = Duration::from_secs(5);

crate::conformance_checks! {
    "stdio.messages-only", "stdout has messages and nothing else", ANY, Must,
    differs("basic/transports#stdio", "basic/transports/stdio#receiving-messages"), [], messages_only,
    "A server writes nothing to stdout that is not a message, and each message on one line.";
    "stdio.side-by-side", "Requests may be sent side by side", ANY, Must,
    differs("basic#responses", "basic#responses"), [], side_by_side,
    "Requests that are sent before the first is answered are all answered, in any order.";
    "stdio.garbage", "A line that is no message ends nothing", ANY, Should,
    differs("https://www.jsonrpc.org/specification#error_object", "https://www.jsonrpc.org/specification#error_object"),
    [], garbage,
    "After a line that is not JSON, the next is read.";
    "stdio.ends", "The process ends with its stdin", ANY, Should,
    differs("basic/lifecycle#stdio", "basic/transports/stdio#shutdown"), [], ends,
    "When its stdin is closed, the server exits.";
}

async fn messages_only(bench: &mut Bench) -> Verdict {
    let message = bench.peer.request(harmless(bench), Value::Null);
    let asked = bench.send(&message).await?;
    expect::answer(&asked)?;
    let stray = bench.peer.strays().first().cloned();
    ensure(stray.is_none(), || format!("stdout had {:?}", expect::short(&stray.unwrap_or_default())))
}

async fn side_by_side(bench: &mut Bench) -> Verdict {
    let all: Vec<Value> = (0..5).map(|_| bench.peer.request(harmless(bench), Value::Null)).collect();
    let lines = all.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let Some(last) = all.last() else { return Ok(()) };
    let raw = bench.peer.post(last).with_body(lines);
    let open = unanswered(bench, raw, &all).await?;
    ensure(open == 0, || format!("{open} of {} requests were not answered", all.len()))
}

async fn garbage(bench: &mut Bench) -> Verdict {
    let mut peer = bench.another().await?;
    let message = peer.request(harmless(bench), Value::Null);
    let raw = peer.post(&message);
    bench.raw_on(&mut peer, raw.clone().with_body("no message at all").waiting(Wait::None)).await?;
    let asked = bench.raw_on(&mut peer, raw).await?;
    // What comes first may be the answer to the garbage.
    let mut found = asked.messages.iter().any(|heard| is_answer(heard, &message));
    let (mut listening, patience) = (peer.listen(None).await?, bench.dialler.options().patience);
    while !found && asked.answer.is_some() {
        let Some(heard) = peer.hear(&mut listening, patience).await? else { break };
        found = is_answer(&heard, &message);
    }
    peer.close(bench.moment()).await;
    ensure(found, || "the next request was not answered".into())
}

async fn ends(bench: &mut Bench) -> Verdict {
    let mut peer = bench.another().await?;
    let message = peer.request(harmless(bench), Value::Null);
    let raw = peer.post(&message);
    bench.raw_on(&mut peer, raw).await?;
    let ended = peer.close(FAREWELL).await;
    ensure(ended != Some(false), || format!("the process still ran after {} s", FAREWELL.as_secs()))
}
