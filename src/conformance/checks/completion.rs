//! Completion of what prompts and templates take.

use serde_json::{Value, json};

use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Verdict, same};

crate::conformance_checks! {
    "completion.answers", "completion/complete answers", Lifespan::BOTH, Must,
    same("server/utilities/completion#completion-results"), ["completion-complete"], complete,
    "A server that declares completions answers with at most 100 values.";
    "completion.unknown", "A prompt that there is not is refused", Lifespan::BOTH, Should,
    same("server/utilities/completion#error-handling"), [], unknown,
    "A reference to a prompt that there is not gets -32602.";
}

/// Things of a kind that are tried.
const MAX_TRIED: usize = 3;

/// What may be completed: references, each with the name of an argument.
async fn subjects(bench: &mut Bench) -> Vec<(Value, String)> {
    let of_prompt = |prompt: &Value| {
        let argument = prompt.get("arguments")?.as_array()?.first()?;
        let reference = json!({"type": "ref/prompt", "name": prompt.get("name")?});
        Some((reference, argument.get("name")?.as_str()?.to_owned()))
    };
    let of_template = |template: &Value| {
        let text = template.get("uriTemplate")?.as_str()?;
        let (_, rest) = text.split_once('{')?;
        let (variable, _) = rest.split_once('}')?;
        let plain = variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        plain.then(|| (json!({"type": "ref/resource", "uri": text}), variable.to_owned()))
    };
    let prompts = bench.list("prompts/list").await;
    let templates = bench.list("resources/templates/list").await;
    let of_prompts = prompts.iter().flat_map(|all| all.items.iter().filter_map(of_prompt)).take(MAX_TRIED);
    let of_templates =
        templates.iter().flat_map(|all| all.items.iter().filter_map(of_template)).take(MAX_TRIED);
    of_prompts.chain(of_templates).collect()
}

async fn complete(bench: &mut Bench) -> Verdict {
    bench.needs("completions")?;
    let mut refused = String::new();
    for (reference, name) in subjects(bench).await {
        let params = json!({"ref": reference, "argument": {"name": name, "value": ""}});
        let asked = bench.ask("completion/complete", params).await?;
        // What it completes is the server's choice; something it must.
        let Some(result) = asked.result() else {
            refused = expect::what_came(&asked);
            continue;
        };
        let values = result.pointer("/completion/values").and_then(Value::as_array).map(Vec::len);
        let Some(count) = values else { return expect::fail("the result has no array completion.values") };
        return ensure(count <= 100, || format!("{count} values came"));
    }
    for (capability, method) in [("prompts", "prompts/list"), ("resources", "resources/templates/list")] {
        if bench.has(capability) {
            bench.list(method).await?;
        }
    }
    match refused.is_empty() {
        true => skip("there is no prompt with arguments and no template with variables"),
        false => expect::fail(refused),
    }
}

async fn unknown(bench: &mut Bench) -> Verdict {
    bench.needs("completions")?;
    let reference = json!({"type": "ref/prompt", "name": "no_such_prompt_of_yours"});
    let params = json!({"ref": reference, "argument": {"name": "a", "value": ""}});
    let asked = bench.ask("completion/complete", params).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}
