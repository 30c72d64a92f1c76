//! Resources: lists, templates, reading, subscribing.

use serde_json::{Value, json};

use super::tools::{bad_cursor_of, is_complete, pages_of, unique};
use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Verdict, same};

const ANY: Lifespan = Lifespan::BOTH;
/// The most resources that are read.
const MAX_READS: usize = 5;
/// A resource of nobody's.
const NOWHERE: &str = "conformance-check://there-is/no-such-resource";

crate::conformance_checks! {
    "resources.list", "resources/list answers", ANY, Must, same("server/resources#listing-resources"),
    ["resources-list"], list,
    "A server that declares resources answers resources/list with an array of them.";
    "resources.list.uris", "URIs are URIs", ANY, Must, same("server/resources#custom-uri-schemes"), [], uris,
    "A resource's uri has a scheme, as RFC 3986 wants it.";
    "resources.list.unique-uris", "No two resources have one URI", ANY, Should, same("server/resources#resource"), [],
    unique_uris,
    "A resource is identified by its URI.";
    "resources.list.pages", "The pages of resources end", ANY, Must,
    same("server/utilities/pagination#pagination-flow"), [], pages,
    "Following the cursors leads through the list to its end.";
    "resources.list.bad-cursor", "A cursor that there is not is refused", ANY, Should,
    same("server/utilities/pagination#error-handling"), [], bad_cursor,
    "A cursor that the server did not give gets -32602.";
    "resources.templates", "resources/templates/list answers", ANY, Should, same("server/resources#resource-templates"),
    ["resources-templates-read"], templates,
    "A server that declares resources answers resources/templates/list with an array.";
    "resources.read", "What is listed can be read", ANY, Must, same("server/resources#reading-resources"),
    ["resources-read-text", "resources-read-binary"], read,
    "Resources are read as contents, each with its URI and a text or base64 in blob.";
    "resources.read.unknown", "A resource that there is not is refused", Lifespan::MODERN, Must,
    same("server/resources#error-handling"), ["sep-2164-resource-not-found"], unknown_modern,
    "Reading what does not exist gets -32602, never empty contents.";
    "resources.read.not-found", "A resource that there is not is refused", Lifespan::LEGACY, Should,
    same("server/resources#error-handling"), [], unknown_legacy,
    "Reading what does not exist gets -32002.";
    "resources.subscribe", "A resource can be subscribed to", Lifespan::LEGACY, Must,
    same("server/resources#subscriptions"), ["resources-subscribe", "resources-unsubscribe"], subscribe,
    "A server that declares subscribe answers resources/subscribe and resources/unsubscribe.";
}

async fn list(bench: &mut Bench) -> Verdict {
    bench.list("resources/list").await.map(|_| ())
}

async fn uris(bench: &mut Bench) -> Verdict {
    let resources = bench.list("resources/list").await?;
    let wrong = resources.items.iter().map(uri).find(|uri| !has_scheme(uri));
    ensure(wrong.is_none(), || format!("{:?} has no scheme", wrong.unwrap_or_default()))
}

fn uri(item: &Value) -> &str {
    item.get("uri").and_then(Value::as_str).unwrap_or_default()
}

/// RFC 3986, 3.1.
fn has_scheme(uri: &str) -> bool {
    let Some((scheme, _)) = uri.split_once(':') else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

async fn unique_uris(bench: &mut Bench) -> Verdict {
    let resources = bench.list("resources/list").await?;
    unique(&resources.items, "uri")
}

async fn pages(bench: &mut Bench) -> Verdict {
    pages_of(bench, "resources/list").await
}

async fn bad_cursor(bench: &mut Bench) -> Verdict {
    bad_cursor_of(bench, "resources/list").await
}

async fn templates(bench: &mut Bench) -> Verdict {
    bench.list("resources/templates/list").await.map(|_| ())
}

async fn read(bench: &mut Bench) -> Verdict {
    let resources = bench.list("resources/list").await?;
    if resources.items.is_empty() {
        return skip("the server lists no resource");
    }
    let mut refused = Vec::new();
    for item in resources.items.iter().take(MAX_READS) {
        let read = bench.ask("resources/read", json!({"uri": uri(item)})).await?;
        // One may have a reason of its own to be refused; all have none.
        let Some(result) = read.result() else {
            refused.push(format!("{}: {}", uri(item), expect::what_came(&read)));
            continue;
        };
        let contents = result.get("contents").and_then(Value::as_array);
        for content in contents.into_iter().flatten() {
            ensure(content.get("uri").is_some_and(Value::is_string), || "contents have no uri".into())?;
            let (text, blob) = (content.get("text"), content.get("blob"));
            ensure(text.is_some() != blob.is_some(), || {
                format!("{}: neither text nor blob, or both", uri(item))
            })?;
            let base64 = |blob: &str| data_encoding::BASE64.decode(blob.as_bytes()).is_ok();
            let fits = blob.is_none_or(|blob| blob.as_str().is_some_and(base64));
            ensure(fits, || format!("the blob of {} is no base64", uri(item)))?;
        }
        ensure(contents.is_some() || !is_complete(result), || {
            format!("{} was read without contents", uri(item))
        })?;
    }
    let tried = resources.items.len().min(MAX_READS);
    ensure(refused.len() < tried, || refused.join("; "))
}

async fn unknown_modern(bench: &mut Bench) -> Verdict {
    bench.needs("resources")?;
    let read = bench.ask("resources/read", json!({"uri": NOWHERE})).await?;
    expect::error(&read, &[-32602]).map(|_| ())
}

async fn unknown_legacy(bench: &mut Bench) -> Verdict {
    bench.needs("resources")?;
    let read = bench.ask("resources/read", json!({"uri": NOWHERE})).await?;
    expect::error(&read, &[-32002]).map(|_| ())
}

async fn subscribe(bench: &mut Bench) -> Verdict {
    if !bench.has_part("resources", "subscribe") {
        return skip("the server does not declare resources.subscribe");
    }
    let resources = bench.list("resources/list").await?;
    let Some(item) = resources.items.first() else { return skip("the server lists no resource") };
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let asked = bench.ask(method, json!({"uri": uri(item)})).await?;
        expect::result(&asked)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_scheme() {
        let check = |uri: &str, expected: bool| assert_eq!(has_scheme(uri), expected, "{uri}");
        check("file:///a", true);
        check("x-own+2.0:a", true);
        check("urn:a:b", true);
        check("a/b:c", false);
        check("plain", false);
        check(":a", false);
        check("1a:b", false);
    }
}
