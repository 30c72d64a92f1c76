//! What holds of HTTP in both eras: notifications, who may ask, other methods.

use serde_json::Value;

use super::lifecycle::harmless;
use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Stop, Verdict, differs, same};
use crate::peer::{Raw, Target};
use crate::protocol::revision::Revision;

const ANY: Lifespan = Lifespan::BOTH.http();

crate::conformance_checks! {
    "http.notification", "A notification gets status 202", Lifespan::LEGACY.http(), Must,
    same("basic/transports#sending-messages-to-the-server"), ["server-initialize"], notification,
    "A notification that is accepted gets HTTP 202 and no body.";
    "http.foreign-origin", "A foreign Origin is refused", ANY, Must,
    differs("basic/transports#security-warning", "basic/transports/streamable-http#security-endpoint"),
    ["dns-rebinding-protection"], foreign_origin,
    "A server checks Origin; one that is not its own gets HTTP 403.";
    "http.foreign-host", "A foreign Host is refused", ANY, Should,
    differs("basic/transports#security-warning", "basic/transports/streamable-http#security-endpoint"),
    ["dns-rebinding-protection"], foreign_host,
    "A local server is protected from DNS rebinding, where a page reaches it under a name that is not its own.";
    "http.own-origin", "The server's own Origin is let in", ANY, Should,
    differs("basic/transports#security-warning", "basic/transports/streamable-http#security-endpoint"),
    ["dns-rebinding-protection"], own_origin,
    "Only an Origin that is invalid is refused.";
    "http.get", "GET opens a stream or is refused", Lifespan::LEGACY.http().since(Revision::V2025_03_26), Must,
    same("basic/transports#listening-for-messages-from-the-server"), [], get,
    "GET is answered with a stream of events, or with HTTP 405.";
    "http.no-get", "GET is refused", Lifespan::MODERN.http(), Should,
    same("basic/transports/streamable-http#earlier-streamable-http-revisions"), [], no_get,
    "A server of this revision alone answers GET with HTTP 405.";
    "http.version-header", "A version that is not served is refused", Lifespan::LEGACY.http().since(Revision::V2025_06_18),
    Must, same("basic/transports#protocol-version-header"), [], version_header,
    "A request whose MCP-Protocol-Version is invalid or not supported gets HTTP 400.";
}

async fn notification(bench: &mut Bench) -> Verdict {
    let told = bench.peer.opening().get(1).cloned();
    let Some(told) = told else { return skip("there was no handshake") };
    bench.show(&told);
    expect::status(&told, &[202])?;
    ensure(told.body.is_empty(), || {
        format!("a body came: {}", expect::short(&String::from_utf8_lossy(&told.body)))
    })
}

fn url(bench: &Bench) -> Result<hyper::Uri, Stop> {
    let Target::Url(url) = &bench.dialler.options().target else { return skip("there is no URL") };
    url.parse().or_else(|_| skip("the URL cannot be read"))
}

fn is_local(uri: &hyper::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A request that every server answers, with this field.
fn with(bench: &mut Bench, name: &str, value: &str) -> Raw {
    let message = bench.peer.request(harmless(bench), Value::Null);
    bench.peer.post(&message).with(name, value)
}

async fn foreign_origin(bench: &mut Bench) -> Verdict {
    if !is_local(&url(bench)?) {
        return skip("the server is not on this machine; what Origin it takes is its own affair");
    }
    let raw = with(bench, "origin", "https://evil.example");
    let asked = bench.raw(raw).await?;
    match bench.revision >= Revision::V2025_11_25 {
        true => expect::status(&asked, &[403]),
        // Which status it is was written down later.
        false => expect::refused(&asked),
    }
}

async fn foreign_host(bench: &mut Bench) -> Verdict {
    if !is_local(&url(bench)?) {
        return skip("the server is not on this machine; under what names it is known is its own affair");
    }
    let raw = with(bench, "host", "evil.example");
    let asked = bench.raw(raw).await?;
    expect::refused(&asked)
}

async fn own_origin(bench: &mut Bench) -> Verdict {
    let uri = url(bench)?;
    let (scheme, authority) =
        (uri.scheme_str().unwrap_or("http"), uri.authority().map_or("", |a| a.as_str()));
    let raw = with(bench, "origin", &format!("{scheme}://{authority}"));
    let asked = bench.raw(raw).await?;
    expect::result(&asked).map(|_| ())
}

async fn get(bench: &mut Bench) -> Verdict {
    let mut listening = bench.peer.listen(None).await?;
    let first = bench.peer.hear(&mut listening, bench.moment()).await?;
    let opened = bench.note(listening.exchange().clone());
    let answered = first.as_ref().is_some_and(crate::protocol::rpc::is_response);
    match opened.status {
        Some(200) if opened.media_type() == "text/event-stream" => {
            ensure(!answered, || "an answer came on a stream that nothing was asked on".into())
        }
        Some(200) => expect::fail(format!("the answer is {:?}, which is no stream", opened.media_type())),
        _ => expect::status(&opened, &[405]),
    }
}

async fn no_get(bench: &mut Bench) -> Verdict {
    if bench.serves("2025-11-25").await? {
        return skip("the server serves the legacy era too, in which GET has a meaning");
    }
    let headers = crate::peer::Headers::default().with("accept", "text/event-stream");
    let asked = bench.raw(Raw { method: "GET".into(), headers, ..Raw::default() }).await?;
    expect::status(&asked, &[405])
}

async fn version_header(bench: &mut Bench) -> Verdict {
    let raw = with(bench, "mcp-protocol-version", "1999-01-01");
    let asked = bench.raw(raw).await?;
    expect::status(&asked, &[400])
}
