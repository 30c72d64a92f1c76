//! Tools: the list, and what calling them does.

use crate::conformance::expect::ensure;
use crate::conformance::{Bench, Lifespan, Verdict, same};

crate::conformance_checks! {
    "tools.list", "tools/list answers", Lifespan::BOTH, Must, same("server/tools#listing-tools"), ["tools-list"], list,
    "A server that declares tools answers tools/list with an array of them.";
}

async fn list(bench: &mut Bench) -> Verdict {
    let tools = bench.list("tools/list").await?;
    ensure(!tools.pages.is_empty(), || "there was no answer".to_owned())
}
