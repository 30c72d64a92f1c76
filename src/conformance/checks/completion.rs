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

/// Arguments of prompts that are tried, and variables of templates.
const MAX_TRIED: usize = 10;

/// The arguments of a prompt, each with the reference to it.
fn of_prompt(prompt: &Value) -> Vec<(Value, String)> {
    let arguments = prompt.get("arguments").and_then(Value::as_array).into_iter().flatten();
    let names = arguments.filter_map(|argument| argument.get("name")?.as_str());
    let reference = json!({"type": "ref/prompt", "name": prompt.get("name")});
    names.map(|name| (reference.clone(), name.to_owned())).collect()
}

/// The variables of a template (RFC 6570), each with the reference to it.
fn of_template(template: &Value) -> Vec<(Value, String)> {
    let text = template.get("uriTemplate").and_then(Value::as_str).unwrap_or_default();
    let expressions = text.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let lists = expressions.map(|(inner, _)| inner.trim_start_matches(['+', '#', '.', '/', ';', '?', '&']));
    let names = lists.flat_map(|list| list.split(',')).filter_map(|name| name.split([':', '*']).next());
    names.map(|name| (json!({"type": "ref/resource", "uri": text}), name.to_owned())).collect()
}

/// What may be completed: references, each with the name of an argument; and whether there is more.
async fn subjects(bench: &mut Bench) -> (Vec<(Value, String)>, bool) {
    let (mut all, mut is_more) = (Vec::new(), false);
    for (method, of) in
        [("prompts/list", of_prompt as fn(&Value) -> _), ("resources/templates/list", of_template)]
    {
        let Ok(listed) = bench.list(method).await else { continue };
        let mut found = listed.items.iter().flat_map(of);
        all.extend(found.by_ref().take(MAX_TRIED));
        is_more |= found.next().is_some() || listed.cut.is_some();
    }
    (all, is_more)
}

async fn complete(bench: &mut Bench) -> Verdict {
    bench.needs("completions")?;
    let mut refused = String::new();
    let (subjects, is_more) = subjects(bench).await;
    for (reference, name) in subjects {
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
        false if is_more => {
            skip(format!("of many arguments {MAX_TRIED} were tried of a kind, the last one: {refused}"))
        }
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
