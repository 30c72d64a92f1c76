//! Completion of what prompts and templates take.

use serde_json::{Value, json};

use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Stop, Verdict, same};

crate::conformance_checks! {
    "completion.answers", "completion/complete answers", Lifespan::BOTH, Must,
    same("server/utilities/completion#completion-results"), ["completion-complete"], complete,
    "A server that declares completions answers with at most 100 values.";
    "completion.unknown", "A prompt that there is not is refused", Lifespan::BOTH, Should,
    same("server/utilities/completion#error-handling"), [], unknown,
    "A reference to a prompt that there is not gets -32602.";
}

/// Something that can be completed: a reference, and the name of an argument.
async fn subject(bench: &mut Bench) -> Result<(Value, String), Stop> {
    if bench.has("prompts") {
        let prompts = bench.list("prompts/list").await?;
        let first = |prompt: &Value| {
            let argument = prompt.get("arguments")?.as_array()?.first()?;
            let reference = json!({"type": "ref/prompt", "name": prompt.get("name")?});
            Some((reference, argument.get("name")?.as_str()?.to_owned()))
        };
        if let Some(found) = prompts.items.iter().find_map(first) {
            return Ok(found);
        }
    }
    if bench.has("resources") {
        let templates = bench.list("resources/templates/list").await?;
        let first = |template: &Value| {
            let text = template.get("uriTemplate")?.as_str()?;
            let (_, rest) = text.split_once('{')?;
            let (variable, _) = rest.split_once('}')?;
            let plain = variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            plain.then(|| (json!({"type": "ref/resource", "uri": text}), variable.to_owned()))
        };
        if let Some(found) = templates.items.iter().find_map(first) {
            return Ok(found);
        }
    }
    skip("there is no prompt with arguments and no template with variables")
}

async fn complete(bench: &mut Bench) -> Verdict {
    bench.needs("completions")?;
    let (reference, name) = subject(bench).await?;
    let params = json!({"ref": reference, "argument": {"name": name, "value": ""}});
    let asked = bench.ask("completion/complete", params).await?;
    let values =
        expect::result(&asked)?.pointer("/completion/values").and_then(Value::as_array).map(Vec::len);
    let Some(count) = values else { return expect::fail("the result has no array completion.values") };
    ensure(count <= 100, || format!("{count} values came"))
}

async fn unknown(bench: &mut Bench) -> Verdict {
    bench.needs("completions")?;
    let reference = json!({"type": "ref/prompt", "name": "no_such_prompt_of_yours"});
    let params = json!({"ref": reference, "argument": {"name": "a", "value": ""}});
    let asked = bench.ask("completion/complete", params).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}
