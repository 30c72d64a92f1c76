//! How long what the modern era lists may be kept, and by whom.

use serde_json::Value;

use crate::conformance::expect::ensure;
use crate::conformance::{Bench, Lifespan, Verdict, same};

const NEW: Lifespan = Lifespan::MODERN;

crate::conformance_checks! {
    "caching.fields", "What may be kept says for how long", NEW, Must, same("server/utilities/caching#cacheable-model"),
    ["caching"], fields,
    "Lists and server/discover have ttlMs, which is not negative, and cacheScope, public or private.";
    "caching.pages", "All pages may be kept alike", NEW, Must,
    same("server/utilities/caching#interaction-with-pagination"), ["caching"], pages,
    "All pages of a list have the same cacheScope.";
}

const LISTS: [&str; 4] = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"];

async fn fields(bench: &mut Bench) -> Verdict {
    let mut results = vec![("server/discover", bench.opened.clone(), bench.opening.clone())];
    for method in LISTS {
        if let Ok(listed) = bench.list(method).await {
            let pages =
                listed.pages.iter().filter_map(|page| Some((method, page.result()?.clone(), page.clone())));
            results.extend(pages);
        }
    }
    bench.noted.clear();
    for (method, result, exchange) in results {
        let ttl = result.get("ttlMs").and_then(Value::as_i64);
        let scope = result.get("cacheScope").and_then(Value::as_str);
        let fits = ttl.is_some_and(|ttl| ttl >= 0)
            && scope.is_some_and(|scope| ["public", "private"].contains(&scope));
        if !fits {
            bench.show(&exchange);
        }
        ensure(fits, || {
            format!("the result of {method} has the ttlMs {ttl:?} and the cacheScope {scope:?}")
        })?;
    }
    Ok(())
}

async fn pages(bench: &mut Bench) -> Verdict {
    let mut some = false;
    for method in LISTS {
        let Ok(listed) = bench.list(method).await else { continue };
        some |= listed.pages.len() > 1;
        let mut scopes: Vec<_> =
            listed.pages.iter().filter_map(|page| page.result()?.get("cacheScope").cloned()).collect();
        scopes.dedup();
        ensure(scopes.len() < 2, || {
            format!("pages of {method} have {} one after another", Value::Array(scopes))
        })?;
    }
    if some { Ok(()) } else { crate::conformance::expect::skip("no list has a second page") }
}
