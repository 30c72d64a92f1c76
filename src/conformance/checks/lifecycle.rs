//! How a conversation begins: the handshake of the legacy era, discovery in the modern one; and that what a server
//! declares is what it does.

use std::time::Duration;

use serde_json::{Value, json};

use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Verdict, differs, same};
use crate::peer::Dialect;
use crate::protocol::revision::{Revision, SUPPORTED};

const OLD: Lifespan = Lifespan::LEGACY;
const NEW: Lifespan = Lifespan::MODERN;
/// How long a server may take to answer a message of an era that it may not know: some never do.
const MAYBE: Duration = Duration::from_secs(2);

crate::conformance_checks! {
    "initialize.answers", "initialize answers", OLD, Must, same("basic/lifecycle#initialization"),
    ["server-initialize"], initialize,
    "A server answers initialize with a revision, its capabilities, and its name and version.";
    "initialize.same-version", "A revision that is served is agreed on", OLD, Must,
    same("basic/lifecycle#version-negotiation"), ["server-initialize"], same_version,
    "A server that supports the revision a client asks for answers with that revision.";
    "initialize.unknown-version", "An unknown revision is answered with a known one", OLD, Must,
    same("basic/lifecycle#version-negotiation"), [], unknown_version,
    "A server that does not support the revision asked for answers with one that it supports.";
    "initialize.version-not-served", "A modern revision is not agreed on in a handshake", OLD, Should,
    same("https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#terminology"), [], modern_version,
    "A handshake ends in a legacy revision: those from 2026-07-28 on have none.";
    "discover.answers", "server/discover answers", NEW, Must, same("server/discover#response"),
    ["server-stateless"], discover,
    "Every server implements server/discover, which gives its revisions and capabilities.";
    "discover.supported-versions", "The revisions are named", NEW, Must, same("server/discover#discoverresult"),
    ["server-stateless"], supported_versions,
    "supportedVersions lists the revisions that the server supports, that of the request among them.";
    "discover.stateless", "A request needs no other before it", NEW, Must, same("basic#statelessness"),
    ["server-stateless"], stateless,
    "A server relies on nothing that was said before on the same connection.";
    "version.unsupported", "A revision that is not served is refused by name", NEW, Must,
    same("basic/versioning#protocol-version-negotiation"), ["server-stateless"], unsupported,
    "A request of a revision that the server does not implement gets -32022, with the supported ones in data.supported \
     (on HTTP with status 400).";
    "meta.missing", "A request without _meta is refused", NEW.http(), Must, same("basic#meta"),
    ["server-stateless"], no_meta,
    "A request that lacks the required members of _meta gets -32602, on HTTP with status 400.";
    "meta.missing-capabilities", "A request without clientCapabilities is refused", NEW, Must, same("basic#meta"),
    ["server-stateless"], no_capabilities,
    "A request that lacks the client's capabilities in _meta gets -32602, on HTTP with status 400.";
    "meta.client-info-optional", "A client need not name itself", NEW, Must, same("basic#meta"), [], no_client_info,
    "clientInfo is not required in _meta.";
    "removed.ping", "ping is gone", NEW, Should, same("changelog"), ["server-stateless"], no_ping,
    "The revision has no ping.";
    "removed.set-level", "logging/setLevel is gone", NEW, Should, same("changelog"), ["server-stateless"], no_set_level,
    "The revision has no logging/setLevel: each request names its own level.";
    "capabilities.declared", "What answers is declared", Lifespan::BOTH, Must,
    differs("basic/lifecycle#capability-negotiation", "server/discover#discoverresult"), [], declared,
    "A server that has tools, resources or prompts declares them.";
    "ping.answers", "ping answers", OLD, Must, same("basic/utilities/ping#behavior-requirements"), ["ping"], ping,
    "ping is answered promptly with an empty result.";
    "logging.set-level", "logging/setLevel answers", OLD, Must, same("server/utilities/logging#setting-log-level"),
    ["logging-set-level"], set_level,
    "A server that declares logging lets clients set the level.";
    "logging.invalid-level", "An unknown level is refused", OLD, Should,
    same("server/utilities/logging#error-handling"), [], invalid_level,
    "A level that there is not gets -32602.";
    "logging.invalid-level-of-request", "An unknown level is refused", NEW, Should,
    same("server/utilities/logging#error-handling"), [], invalid_request_level,
    "A request with a level that there is not gets -32602.";
}

/// A request that every server answers, for checks that are about something else.
pub(super) fn harmless(bench: &Bench) -> &'static str {
    if bench.revision.is_modern() { "server/discover" } else { "ping" }
}

async fn initialize(bench: &mut Bench) -> Verdict {
    let opening = bench.opening.clone();
    bench.show(&opening);
    let result = expect::result(&opening)?;
    let text = |pointer: &str| result.pointer(pointer).and_then(Value::as_str).is_some();
    ensure(text("/protocolVersion"), || "the result has no protocolVersion".into())?;
    ensure(result.get("capabilities").is_some_and(Value::is_object), || "capabilities are no object".into())?;
    ensure(text("/serverInfo/name") && text("/serverInfo/version"), || {
        "serverInfo has no name or version".into()
    })
}

async fn agree(bench: &mut Bench, version: &str) -> Result<crate::peer::Exchange, crate::conformance::Stop> {
    let mut peer = bench.dialler.dial()?;
    let opening = peer.shake_hands(version, json!({})).await?;
    let opening = bench.note(opening);
    if matches!(peer.dialect(), Dialect::Legacy { .. }) {
        peer.close(bench.moment()).await;
    }
    Ok(opening)
}

/// What a server answers with it supports, whatever it was asked for; and what it lists.
async fn same_version(bench: &mut Bench) -> Verdict {
    let mut supported = offered(bench).await;
    let mut answers = Vec::new();
    for asked in SUPPORTED.iter().filter(|revision| !revision.is_modern()).map(|r| r.as_str()) {
        let opening = agree(bench, asked).await?;
        let agreed = opening.result().and_then(|result| result.get("protocolVersion")).cloned();
        supported.extend(agreed.clone());
        answers.push((asked, agreed, opening));
    }
    let own = bench.revision.as_str();
    for (asked, agreed, opening) in answers {
        if asked != own && !supported.contains(&json!(asked)) {
            continue;
        }
        bench.show(&opening);
        let Some(agreed) = agreed else {
            return expect::fail(format!("asked for {asked}: {}", expect::what_came(&opening)));
        };
        ensure(agreed == json!(asked), || {
            format!("asked for {asked}, which it supports, the server answered {agreed}")
        })?;
    }
    Ok(())
}

/// The revisions that the server lists, where it is of the modern era too.
async fn offered(bench: &Bench) -> Vec<Value> {
    let Ok(mut peer) = bench.dialler.dial() else { return Vec::new() };
    peer.speak_modern(Revision::MODERN.as_str(), json!({}));
    let asked = tokio::time::timeout(MAYBE, peer.ask("server/discover", Value::Null)).await;
    let listed = asked.ok().and_then(Result::ok);
    let result = listed.as_ref().and_then(|listed| listed.result());
    let versions = result.and_then(|result| result.get("supportedVersions")?.as_array().cloned());
    peer.close(bench.moment()).await;
    versions.unwrap_or_default()
}

async fn unknown_version(bench: &mut Bench) -> Verdict {
    let opening = agree(bench, "1999-01-01").await?;
    // The same page shows such a refusal as an error.
    if opening.code() == Some(-32602) {
        return Ok(());
    }
    let agreed = &expect::result(&opening)?["protocolVersion"];
    let known = agreed.as_str().and_then(Revision::parse).is_some_and(|revision| !revision.is_modern());
    ensure(known, || format!("asked for 1999-01-01, the server answered {agreed}"))
}

async fn modern_version(bench: &mut Bench) -> Verdict {
    let opening = agree(bench, Revision::MODERN.as_str()).await?;
    let Some(result) = opening.result() else { return Ok(()) };
    let agreed = result.get("protocolVersion").cloned().unwrap_or_default();
    let modern = agreed.as_str().and_then(Revision::parse).is_some_and(Revision::is_modern);
    ensure(!modern, || format!("the server agreed on {agreed}, which has no handshake"))
}

async fn discover(bench: &mut Bench) -> Verdict {
    let opening = bench.opening.clone();
    bench.show(&opening);
    let result = expect::result(&opening)?;
    ensure(result.get("capabilities").is_some_and(Value::is_object), || "capabilities are no object".into())?;
    let versions = result.get("supportedVersions").and_then(Value::as_array);
    ensure(versions.is_some(), || "supportedVersions is no array".into())
}

async fn supported_versions(bench: &mut Bench) -> Verdict {
    let opening = bench.opening.clone();
    bench.show(&opening);
    let versions =
        bench.opened.get("supportedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
    let ours = json!(bench.revision.as_str());
    ensure(versions.contains(&ours), || format!("{} does not have {ours}", Value::Array(versions.clone())))
}

async fn stateless(bench: &mut Bench) -> Verdict {
    let lists = [("tools", "tools/list"), ("resources", "resources/list"), ("prompts", "prompts/list")];
    let list = lists.iter().find(|(capability, _)| bench.has(capability)).map(|(_, list)| *list);
    // The connections of the lane have carried requests before.
    let mut peer = bench.dialler.apart()?.dial()?;
    peer.speak_modern(bench.revision.as_str(), json!({}));
    let message = peer.request(list.unwrap_or("server/discover"), Value::Null);
    let raw = peer.post(&message);
    let asked = bench.raw_on(&mut peer, raw).await?;
    peer.close(bench.moment()).await;
    if let (None, Some(list)) = (asked.result(), list) {
        // It may be refused wherever it is asked for.
        bench.list(list).await?;
        bench.show(&asked);
    }
    expect::result(&asked).map(|_| ())
}

async fn unsupported(bench: &mut Bench) -> Verdict {
    let mut message = bench.peer.request("server/discover", json!({}));
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("1999-01-01");
    let asked = bench.send(&message).await?;
    let error = expect::error(&asked, &[-32022])?;
    expect::status(&asked, &[400])?;
    let supported = error.pointer("/data/supported").and_then(Value::as_array);
    let named = supported.is_some_and(|all| all.contains(&json!(bench.revision.as_str())));
    ensure(named, || "data.supported does not list the revisions".into())?;
    let requested = error.pointer("/data/requested");
    ensure(requested == Some(&json!("1999-01-01")), || {
        "data.requested does not say what was asked for".into()
    })
}

async fn no_meta(bench: &mut Bench) -> Verdict {
    let mut message = bench.peer.request("server/discover", json!({}));
    let raw = bench.peer.post(&message);
    message["params"] = json!({});
    let asked = bench.raw(raw.with_body(message.to_string())).await?;
    expect::error(&asked, &[-32602])?;
    expect::status(&asked, &[400])
}

async fn no_capabilities(bench: &mut Bench) -> Verdict {
    let asked = without_meta(bench, "io.modelcontextprotocol/clientCapabilities").await?;
    expect::error(&asked, &[-32602])?;
    expect::status(&asked, &[400])
}

async fn no_client_info(bench: &mut Bench) -> Verdict {
    let asked = without_meta(bench, "io.modelcontextprotocol/clientInfo").await?;
    expect::result(&asked).map(|_| ())
}

async fn without_meta(bench: &mut Bench, member: &str) -> crate::error::Result<crate::peer::Exchange> {
    let mut message = bench.peer.request("server/discover", json!({}));
    if let Some(meta) = message["params"]["_meta"].as_object_mut() {
        meta.remove(member);
    }
    bench.send(&message).await
}

async fn no_ping(bench: &mut Bench) -> Verdict {
    let asked = bench.ask("ping", Value::Null).await?;
    expect::error(&asked, &[-32601]).map(|_| ())
}

async fn no_set_level(bench: &mut Bench) -> Verdict {
    let asked = bench.ask("logging/setLevel", json!({"level": "error"})).await?;
    expect::error(&asked, &[-32601]).map(|_| ())
}

async fn declared(bench: &mut Bench) -> Verdict {
    let kinds = ["tools", "resources", "prompts"];
    let undeclared: Vec<_> = kinds.into_iter().filter(|kind| !bench.has(kind)).collect();
    if undeclared.is_empty() {
        return skip("the server declares tools, resources and prompts");
    }
    for kind in undeclared {
        let asked = bench.ask(&format!("{kind}/list"), Value::Null).await?;
        let items = asked.result().and_then(|result| result.get(kind)).and_then(Value::as_array);
        ensure(items.is_none_or(Vec::is_empty), || format!("there are {kind}, and they are not declared"))?;
    }
    Ok(())
}

async fn ping(bench: &mut Bench) -> Verdict {
    let asked = bench.ask("ping", Value::Null).await?;
    let result = expect::result(&asked)?;
    let empty = result.as_object().is_some_and(|result| result.keys().all(|name| name == "_meta"));
    ensure(empty, || format!("the result is {}", expect::short(&result.to_string())))
}

async fn set_level(bench: &mut Bench) -> Verdict {
    bench.needs("logging")?;
    // "emergency" keeps the rest of this session quiet.
    let asked = bench.ask("logging/setLevel", json!({"level": "emergency"})).await?;
    expect::result(&asked).map(|_| ())
}

async fn invalid_level(bench: &mut Bench) -> Verdict {
    bench.needs("logging")?;
    let asked = bench.ask("logging/setLevel", json!({"level": "shouting"})).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}

async fn invalid_request_level(bench: &mut Bench) -> Verdict {
    bench.needs("logging")?;
    let meta = json!({"io.modelcontextprotocol/logLevel": "shouting"});
    let asked = bench.ask("server/discover", json!({"_meta": meta})).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}
