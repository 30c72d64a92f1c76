//! Legacy sessions over HTTP. A server may do without.

use serde_json::Value;

use super::lifecycle::harmless;
use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Stop, Verdict, same};
use crate::peer::{Dialect, Raw};
use crate::protocol::revision::Revision;

const OLD: Lifespan = Lifespan::LEGACY.http().since(Revision::V2025_03_26);

crate::conformance_checks! {
    "session.id", "Session ids are visible ASCII", OLD, Must, same("basic/transports#session-management"),
    ["server-session-lifecycle"], id,
    "A session id has only characters from 0x21 to 0x7E.";
    "session.unique", "Each session has an id of its own", OLD, Should, same("basic/transports#session-management"), [],
    unique,
    "Session ids are globally unique.";
    "session.missing", "A request without session id is refused", OLD, Should,
    same("basic/transports#session-management"), ["server-session-lifecycle"], missing,
    "A server that needs a session id answers requests without one with HTTP 400.";
    "session.unknown", "A session that there is not is not found", OLD, Should,
    same("basic/transports#session-management"), ["server-session-lifecycle"], unknown,
    "A session id that the server does not know gets HTTP 404, so that clients begin anew.";
    "session.ended", "A session that was ended is not found", OLD, Must, same("basic/transports#session-management"),
    ["server-session-lifecycle"], ended,
    "Once a session is ended, requests with its id get HTTP 404; a server that lets nobody end one answers DELETE with \
     405.";
    "session.version-known", "A session knows its version", OLD.since(Revision::V2025_06_18), Should,
    same("basic/transports#protocol-version-header"), [], version_known,
    "A request without MCP-Protocol-Version is taken in the version that its session agreed on.";
}

/// The id of the lane's session.
fn own(bench: &Bench) -> Result<hyper::header::HeaderValue, Stop> {
    match bench.peer.dialect() {
        Dialect::Legacy { session: Some(id), .. } => Ok(id.clone()),
        _ => skip("the server gives no session id"),
    }
}

fn plain(bench: &mut Bench) -> Raw {
    let message = bench.peer.request(harmless(bench), Value::Null);
    bench.peer.post(&message)
}

async fn id(bench: &mut Bench) -> Verdict {
    let id = own(bench)?;
    let opening = bench.opening.clone();
    bench.show(&opening);
    let visible = |byte: &u8| (0x21..=0x7e).contains(byte);
    ensure(!id.is_empty() && id.as_bytes().iter().all(visible), || "the id has other characters".into())
}

async fn unique(bench: &mut Bench) -> Verdict {
    let first = own(bench)?;
    let peer = bench.another().await?;
    let second = match peer.dialect() {
        Dialect::Legacy { session, .. } => session.clone(),
        _ => None,
    };
    peer.close(bench.moment()).await;
    ensure(second.as_ref() != Some(&first), || "two sessions have one id".into())
}

async fn missing(bench: &mut Bench) -> Verdict {
    own(bench)?;
    let raw = plain(bench).without("mcp-session-id");
    let asked = bench.raw(raw).await?;
    // A server that serves it all the same does not need the id.
    match asked.result() {
        Some(_) => skip("the server does without session ids where they are missing"),
        None => expect::status(&asked, &[400]),
    }
}

async fn unknown(bench: &mut Bench) -> Verdict {
    own(bench)?;
    let raw = plain(bench).with("mcp-session-id", "00000000-0000-4000-8000-000000000000");
    let asked = bench.raw(raw).await?;
    expect::status(&asked, &[404])
}

async fn ended(bench: &mut Bench) -> Verdict {
    own(bench)?;
    let mut peer = bench.another().await?;
    let raw = Raw { method: "DELETE".into(), headers: peer.session_headers(), ..Raw::default() };
    let ended = bench.raw_on(&mut peer, raw).await?;
    let status = ended.status.unwrap_or_default();
    // 405 is what it should say, and others say it all the same.
    if (400..500).contains(&status) {
        return skip(format!("the server lets nobody end a session (HTTP {status})"));
    }
    ensure((200..300).contains(&status), || format!("DELETE has the HTTP status {status}"))?;
    peer.remember(ended);
    let message = peer.request("ping", Value::Null);
    let raw = peer.post(&message);
    let asked = bench.raw_on(&mut peer, raw).await?;
    expect::status(&asked, &[404])
}

async fn version_known(bench: &mut Bench) -> Verdict {
    own(bench)?;
    let raw = plain(bench).without("mcp-protocol-version");
    let asked = bench.raw(raw).await?;
    expect::result(&asked).map(|_| ())
}
