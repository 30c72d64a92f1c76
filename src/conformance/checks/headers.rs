//! The headers of modern requests over HTTP, which say again what the body says.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::prompts::wants;
use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Stop, Verdict, same};
use crate::peer::Raw;

const NEW: Lifespan = Lifespan::MODERN.http();
const MISMATCH: i64 = -32020;

crate::conformance_checks! {
    "headers.version-mismatch", "Another version in the header is refused", NEW, Must,
    same("basic/transports/streamable-http#protocol-version-header"), ["http-header-validation"], version_mismatch,
    "MCP-Protocol-Version says what _meta says, or the request gets HTTP 400 and -32020.";
    "headers.version-missing", "A missing version header is refused", NEW, Must,
    same("basic/transports/streamable-http#protocol-version-header"), ["http-header-validation"], version_missing,
    "Without MCP-Protocol-Version a request gets HTTP 400 and -32020, unless the server also serves clients from before \
     that header.";
    "headers.method-mismatch", "Another method in the header is refused", NEW, Must,
    same("basic/transports/streamable-http#server-validation"), ["http-header-validation"], method_mismatch,
    "Mcp-Method says what the body says, or the request gets HTTP 400 and -32020.";
    "headers.method-missing", "A missing method header is refused", NEW, Must,
    same("basic/transports/streamable-http#server-validation"), ["http-header-validation"], method_missing,
    "Without Mcp-Method a request gets HTTP 400 and -32020.";
    "headers.method-case", "Values are compared letter by letter", NEW, Must,
    same("basic/transports/streamable-http#case-sensitivity"), ["http-header-validation"], method_case,
    "Values of headers, such as the names of methods, are case-sensitive.";
    "headers.spaces", "Spaces around a value say nothing", NEW, Must,
    same("https://www.rfc-editor.org/rfc/rfc9110.html#section-5.5"), ["http-header-validation"], spaces,
    "White space before and after the value of a header field is not part of it.";
    "headers.name-mismatch", "Another name in the header is refused", NEW, Must,
    same("basic/transports/streamable-http#server-validation"), ["http-header-validation"], name_mismatch,
    "Mcp-Name says what the body says, or the request gets HTTP 400 and -32020.";
    "headers.name-missing", "A missing name header is refused", NEW, Must,
    same("basic/transports/streamable-http#server-validation"), ["http-header-validation"], name_missing,
    "Without Mcp-Name a request that has a name gets HTTP 400 and -32020.";
    "headers.name-base64", "A name may be in base64", NEW, Must,
    same("basic/transports/streamable-http#value-encoding"), ["http-header-validation"], name_base64,
    "An Mcp-Name between =?base64? and ?= is decoded before it is compared.";
    "headers.name-base64-mismatch", "Another name in base64 is refused", NEW, Must,
    same("basic/transports/streamable-http#value-encoding"), ["http-header-validation"], name_base64_mismatch,
    "An Mcp-Name in base64 that says something else gets HTTP 400 and -32020.";
    "headers.param-mismatch", "Another argument in the header is refused", NEW, Must,
    same("basic/transports/streamable-http#server-behavior-for-custom-headers"),
    ["http-custom-header-server-validation"], param_mismatch,
    "An Mcp-Param header says what the argument says, or the request gets HTTP 400 and -32020.";
    "headers.session-ignored", "A session id means nothing", NEW, Should,
    same("basic/transports/streamable-http#earlier-streamable-http-revisions"), [], session_ignored,
    "A request of this revision is served whatever its MCP-Session-Id, and no such id is given.";
}

/// A request that every server answers.
fn plain(bench: &mut Bench) -> Raw {
    let message = bench.peer.request("server/discover", Value::Null);
    bench.peer.post(&message)
}

/// A request that has a name and changes nothing.
async fn named(bench: &mut Bench) -> Result<(Raw, String), Stop> {
    let (method, params, name) = subject(bench).await?;
    let message = bench.peer.request(method, params);
    Ok((bench.peer.post(&message), name))
}

async fn subject(bench: &mut Bench) -> Result<(&'static str, Value, String), Stop> {
    if let Ok(resources) = bench.list("resources/list").await
        && let Some(uri) = resources.items.first().and_then(|item| item.get("uri")?.as_str())
    {
        return Ok(("resources/read", json!({"uri": uri}), uri.to_owned()));
    }
    if let Ok(prompts) = bench.list("prompts/list").await {
        let free = prompts.items.iter().find(|prompt| !wants(prompt));
        if let Some(name) = free.and_then(|prompt| prompt.get("name")?.as_str()) {
            return Ok(("prompts/get", json!({"name": name}), name.to_owned()));
        }
    }
    let free = bench.callable().await?.into_iter().next();
    match free.and_then(|(tool, arguments)| Some((tool.get("name")?.as_str()?.to_owned(), arguments))) {
        Some((name, arguments)) => Ok(("tools/call", json!({"name": name, "arguments": arguments}), name)),
        None => skip("there is nothing with a name that can safely be asked for"),
    }
}

/// The request is refused because its headers do not fit.
async fn refused(bench: &mut Bench, raw: Raw) -> Verdict {
    let asked = bench.raw(raw).await?;
    expect::error(&asked, &[MISMATCH])?;
    expect::status(&asked, &[400])
}

async fn version_mismatch(bench: &mut Bench) -> Verdict {
    let raw = plain(bench).with("mcp-protocol-version", "2025-11-25");
    refused(bench, raw).await
}

async fn version_missing(bench: &mut Bench) -> Verdict {
    if bench.serves("2025-03-26").await? {
        return skip(
            "the server serves revisions that did not have this header, and may take the request for one",
        );
    }
    let raw = plain(bench).without("mcp-protocol-version");
    refused(bench, raw).await
}

async fn method_mismatch(bench: &mut Bench) -> Verdict {
    let raw = plain(bench).with("mcp-method", "tools/list");
    refused(bench, raw).await
}

async fn method_missing(bench: &mut Bench) -> Verdict {
    let raw = plain(bench).without("mcp-method");
    refused(bench, raw).await
}

async fn method_case(bench: &mut Bench) -> Verdict {
    let raw = plain(bench).with("mcp-method", "Server/Discover");
    refused(bench, raw).await
}

async fn spaces(bench: &mut Bench) -> Verdict {
    let raw = plain(bench).with("mcp-method", " \tserver/discover  ");
    let asked = bench.raw(raw).await?;
    expect::result(&asked).map(|_| ())
}

async fn name_mismatch(bench: &mut Bench) -> Verdict {
    let (raw, name) = named(bench).await?;
    refused(bench, raw.with("mcp-name", &format!("{}-other", ascii(&name)))).await
}

async fn name_missing(bench: &mut Bench) -> Verdict {
    let (raw, _) = named(bench).await?;
    refused(bench, raw.without("mcp-name")).await
}

async fn name_base64(bench: &mut Bench) -> Verdict {
    let (raw, name) = named(bench).await?;
    let asked = bench.raw(raw.with("mcp-name", &encoded(&name))).await?;
    ensure(asked.code() != Some(MISMATCH), || expect::what_came(&asked))?;
    expect::answer(&asked).map(|_| ())
}

async fn name_base64_mismatch(bench: &mut Bench) -> Verdict {
    let (raw, name) = named(bench).await?;
    refused(bench, raw.with("mcp-name", &encoded(&format!("{name}-other")))).await
}

fn encoded(name: &str) -> String {
    format!("=?base64?{}?=", BASE64.encode(name.as_bytes()))
}

fn ascii(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).collect()
}

async fn param_mismatch(bench: &mut Bench) -> Verdict {
    for (tool, arguments) in bench.callable().await? {
        let raw = bench.post_of_call(&tool, arguments, json!({}));
        let header = raw
            .headers
            .0
            .iter()
            .find(|(name, _)| name.starts_with("mcp-param-"))
            .map(|(name, _)| name.clone());
        if let Some(header) = header {
            return refused(bench, raw.with(&header, "something-else")).await;
        }
    }
    skip("no tool that can be called has an argument with x-mcp-header; --call NAME='{…}' names one to call")
}

async fn session_ignored(bench: &mut Bench) -> Verdict {
    let raw = plain(bench).with("mcp-session-id", "a-session-of-nobody");
    let asked = bench.raw(raw).await?;
    expect::result(&asked)?;
    ensure(asked.header("mcp-session-id").is_none(), || "the answer gives a session id".into())
}
