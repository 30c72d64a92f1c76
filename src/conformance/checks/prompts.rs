//! Prompts: the list, and getting one.

use serde_json::{Value, json};

use super::tools::{bad_cursor_of, is_complete, pages_of, unique};
use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Verdict, same};

const ANY: Lifespan = Lifespan::BOTH;
/// The most prompts that are got.
const MAX_GETS: usize = 5;

crate::conformance_checks! {
    "prompts.list", "prompts/list answers", ANY, Must, same("server/prompts#listing-prompts"), ["prompts-list"], list,
    "A server that declares prompts answers prompts/list with an array of them.";
    "prompts.list.unique-names", "No two prompts have one name", ANY, Should, same("server/prompts#prompt"), [], unique_names,
    "A prompt's name identifies it.";
    "prompts.list.pages", "The pages of prompts end", ANY, Must, same("server/utilities/pagination#pagination-flow"), [],
    pages,
    "Following the cursors leads through the list to its end.";
    "prompts.list.bad-cursor", "A cursor that there is not is refused", ANY, Should,
    same("server/utilities/pagination#error-handling"), [], bad_cursor,
    "A cursor that the server did not give gets -32602.";
    "prompts.get", "What is listed can be got", ANY, Must, same("server/prompts#getting-a-prompt"),
    ["prompts-get-simple"], get,
    "Prompts are got as messages, each with a role and content.";
    "prompts.get.unknown", "A prompt that there is not is refused", ANY, Should, same("server/prompts#error-handling"), [],
    unknown,
    "A name that there is not gets -32602.";
    "prompts.get.missing-argument", "A missing argument is refused", ANY, Should,
    same("server/prompts#error-handling"), ["prompts-get-with-args"], missing_argument,
    "A prompt that is got without a required argument gets -32602.";
}

async fn list(bench: &mut Bench) -> Verdict {
    bench.list("prompts/list").await.map(|_| ())
}

async fn unique_names(bench: &mut Bench) -> Verdict {
    let prompts = bench.list("prompts/list").await?;
    unique(&prompts.items, "name")
}

async fn pages(bench: &mut Bench) -> Verdict {
    pages_of(bench, "prompts/list").await
}

async fn bad_cursor(bench: &mut Bench) -> Verdict {
    bad_cursor_of(bench, "prompts/list").await
}

fn name(prompt: &Value) -> &str {
    prompt.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a prompt wants an argument.
pub(super) fn wants(prompt: &Value) -> bool {
    let arguments = prompt.get("arguments").and_then(Value::as_array);
    arguments.into_iter().flatten().any(|argument| argument.get("required") == Some(&json!(true)))
}

async fn get(bench: &mut Bench) -> Verdict {
    let prompts = bench.list("prompts/list").await?;
    let free: Vec<_> = prompts.items.iter().filter(|prompt| !wants(prompt)).take(MAX_GETS).collect();
    if free.is_empty() {
        return skip("the server lists no prompt without required arguments");
    }
    let mut refused = Vec::new();
    let count = free.len();
    for prompt in free {
        let got = bench.ask("prompts/get", json!({"name": name(prompt)})).await?;
        // One may have a reason of its own to be refused; all have none.
        let Some(result) = got.result() else {
            refused.push(format!("{}: {}", name(prompt), expect::what_came(&got)));
            continue;
        };
        let messages = result.get("messages").and_then(Value::as_array);
        ensure(messages.is_some() || !is_complete(result), || format!("{} has no messages", name(prompt)))?;
        let whole = |message: &Value| {
            let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
            ["user", "assistant"].contains(&role) && message.get("content").is_some_and(Value::is_object)
        };
        let fits = messages.is_none_or(|messages| messages.iter().all(whole));
        ensure(fits, || format!("a message of {} has no role or no content", name(prompt)))?;
    }
    ensure(refused.len() < count, || refused.join("; "))
}

async fn unknown(bench: &mut Bench) -> Verdict {
    bench.needs("prompts")?;
    let got = bench.ask("prompts/get", json!({"name": "no_such_prompt_of_yours"})).await?;
    expect::error(&got, &[-32602]).map(|_| ())
}

async fn missing_argument(bench: &mut Bench) -> Verdict {
    let prompts = bench.list("prompts/list").await?;
    let Some(prompt) = prompts.items.iter().find(|prompt| wants(prompt)) else {
        return skip("the server lists no prompt with a required argument");
    };
    let got = bench.ask("prompts/get", json!({"name": name(prompt)})).await?;
    expect::error(&got, &[-32602]).map(|_| ())
}
