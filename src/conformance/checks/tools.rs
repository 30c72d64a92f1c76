//! Tools: the list, and what calling them does. Called are only tools that say they read, and those that were named.

use serde_json::{Value, json};

use crate::conformance::expect::{self, ensure, skip};
use crate::conformance::{Bench, Lifespan, Stop, Verdict, differs, same};
use crate::peer::Exchange;
use crate::protocol::revision::Revision;

const ANY: Lifespan = Lifespan::BOTH;
const STRUCTURED: Lifespan = Lifespan::BOTH.since(Revision::V2025_06_18);

crate::conformance_checks! {
    "tools.list", "tools/list answers", ANY, Must, same("server/tools#listing-tools"), ["tools-list"], list,
    "A server that declares tools answers tools/list with an array of them.";
    "tools.list.unique-names", "No two tools have one name", ANY, Should, same("server/tools#tool-names"),
    ["tools-list"], unique_names,
    "Names of tools are unique within a server.";
    "tools.list.names", "Names of tools are plain", ANY.since(Revision::V2025_11_25), Should,
    same("server/tools#tool-names"), [], names,
    "A tool's name has 1 to 128 characters, of letters, digits, _, - and . alone.";
    "tools.list.input-schema", "Input schemas are schemas of objects", ANY, Must, same("server/tools#tool"),
    ["tools-list", "json-schema-2020-12"], input_schema,
    "A tool's inputSchema is a valid JSON Schema of an object.";
    "tools.list.output-schema", "Output schemas are schemas", STRUCTURED, Must, same("server/tools#tool"),
    ["json-schema-2020-12"], output_schema,
    "A tool's outputSchema, where it has one, is a valid JSON Schema.";
    "tools.list.order", "The order of tools stays", Lifespan::MODERN, Should, same("server/tools#capabilities"), [], order,
    "Asked again, a server lists its tools in the same order.";
    "tools.list.pages", "The pages of tools end", ANY, Must, same("server/utilities/pagination#pagination-flow"), [], pages,
    "Following the cursors leads through the list to its end.";
    "tools.list.bad-cursor", "A cursor that there is not is refused", ANY, Should,
    same("server/utilities/pagination#error-handling"), [], bad_cursor,
    "A cursor that the server did not give gets -32602.";
    "tools.list.header-names", "x-mcp-header is used as it may be", Lifespan::MODERN, Must,
    same("basic/transports/streamable-http#schema-extension"), ["http-custom-header-server-validation"], header_names,
    "x-mcp-header is a token, unique among a tool's, on a property of type string, integer or boolean.";
    "tools.call", "A call is answered with content", ANY, Must, same("server/tools#calling-tools"),
    ["tools-call-simple-text"], call,
    "A call is answered with a result that has an array content.";
    "tools.call.structured", "Structured content fits its schema", STRUCTURED, Must, same("server/tools#output-schema"),
    [], structured,
    "A tool with an outputSchema answers with structuredContent that fits it.";
    "tools.call.text-too", "Structured content stands in the text too", STRUCTURED, Should,
    same("server/tools#structured-content"), [], text_too,
    "A result with structuredContent has it as JSON in a block of text as well.";
    "tools.call.unknown", "A tool that there is not is refused", ANY, Should, same("server/tools#error-handling"), [],
    unknown,
    "A call of a tool that the server does not have gets -32602.";
    "tools.call.missing-argument", "A missing argument is refused", ANY, Must, same("server/tools#security-considerations"),
    ["tools-call-error"], missing_argument,
    "A server checks what a tool is called with; a required argument that is missing is an error.";
    "tools.call.progress", "Progress is of the call that wants it", ANY, Must,
    differs("basic/utilities/progress#behavior-requirements", "basic/patterns/progress#behavior-requirements"),
    ["tools-call-with-progress"], progress,
    "Progress is told with the token of a request under way, before its answer, and it grows.";
}

async fn list(bench: &mut Bench) -> Verdict {
    bench.list("tools/list").await.map(|_| ())
}

/// The text of a member of a tool.
fn text<'a>(tool: &'a Value, member: &str) -> &'a str {
    tool.get(member).and_then(Value::as_str).unwrap_or_default()
}

async fn unique_names(bench: &mut Bench) -> Verdict {
    let tools = bench.list("tools/list").await?;
    unique(&tools.items, "name")
}

/// Fails when two items have the same text in `member`.
pub(super) fn unique(items: &[Value], member: &str) -> Verdict {
    let mut seen = std::collections::BTreeSet::new();
    let twice = items.iter().map(|item| text(item, member)).find(|name| !seen.insert(*name));
    ensure(twice.is_none(), || format!("{:?} is there twice", twice.unwrap_or_default()))
}

async fn names(bench: &mut Bench) -> Verdict {
    let tools = bench.list("tools/list").await?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let fits = |name: &str| (1..=128).contains(&name.len()) && name.chars().all(plain);
    let wrong = tools.items.iter().map(|tool| text(tool, "name")).find(|name| !fits(name));
    ensure(wrong.is_none(), || format!("a tool is called {:?}", wrong.unwrap_or_default()))
}

async fn input_schema(bench: &mut Bench) -> Verdict {
    let tools = bench.list("tools/list").await?;
    for tool in &tools.items {
        let (name, schema) = (text(tool, "name"), tool.get("inputSchema").cloned().unwrap_or_default());
        ensure(schema.is_object(), || format!("the inputSchema of {name} is no object"))?;
        ensure(schema.get("type") == Some(&json!("object")), || {
            format!("the inputSchema of {name} has not the type object")
        })?;
        valid_schema(&schema)
            .map_err(|why| Stop::Fails(format!("the inputSchema of {name} is none: {why}")))?;
    }
    Ok(())
}

async fn output_schema(bench: &mut Bench) -> Verdict {
    let tools = bench.list("tools/list").await?;
    let mut some = false;
    for (tool, schema) in tools.items.iter().filter_map(|tool| Some((tool, tool.get("outputSchema")?))) {
        some = true;
        valid_schema(schema).map_err(|why| {
            Stop::Fails(format!("the outputSchema of {} is none: {why}", text(tool, "name")))
        })?;
    }
    if some { Ok(()) } else { skip("no tool has an outputSchema") }
}

/// Why `schema` is no valid JSON Schema of its dialect, 2020-12 unless it says another. One of a dialect that we do not
/// know passes.
fn valid_schema(schema: &Value) -> Result<(), String> {
    let known = |dialect: &str| dialect.contains("json-schema.org/");
    match schema.get("$schema") {
        Some(Value::String(dialect)) if !known(dialect) => return Ok(()),
        _ => {}
    }
    jsonschema::meta::validate(schema).map_err(|error| {
        let place = error.instance_path().to_string();
        format!("at {:?}: {}", place, expect::short(&error.to_string()))
    })
}

async fn order(bench: &mut Bench) -> Verdict {
    let first = bench.list("tools/list").await?;
    let second = bench.list_anew("tools/list").await?;
    if let Some(wrong) = second.wrong {
        return expect::fail(format!("asked for a second time: {wrong}"));
    }
    let names = |items: &[Value]| items.iter().map(|tool| text(tool, "name").to_owned()).collect::<Vec<_>>();
    ensure(names(&first.items) == names(&second.items), || {
        format!("first {:?}, then {:?}", names(&first.items), names(&second.items))
    })
}

async fn pages(bench: &mut Bench) -> Verdict {
    pages_of(bench, "tools/list").await
}

/// Whether the pages of a list lead to its end.
pub(super) async fn pages_of(bench: &mut Bench, method: &'static str) -> Verdict {
    let listed = bench.list(method).await?;
    if listed.pages.len() < 2 && listed.endless.is_none() {
        return skip(format!("{method} has one page"));
    }
    match (&listed.endless, &listed.cut) {
        (Some(why), _) => expect::fail(why.clone()),
        (None, Some(why)) => skip(why.clone()),
        (None, None) => Ok(()),
    }
}

async fn bad_cursor(bench: &mut Bench) -> Verdict {
    bad_cursor_of(bench, "tools/list").await
}

/// Whether a cursor of nowhere is refused.
pub(super) async fn bad_cursor_of(bench: &mut Bench, method: &'static str) -> Verdict {
    bench.list(method).await?;
    let asked = bench.ask(method, json!({"cursor": "no cursor of yours"})).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}

async fn header_names(bench: &mut Bench) -> Verdict {
    let tools = bench.list("tools/list").await?;
    let mut some = false;
    for tool in &tools.items {
        let name = text(tool, "name");
        let mut marks = Vec::new();
        marks_of(tool.get("inputSchema").unwrap_or(&Value::Null), true, &mut marks);
        some |= !marks.is_empty();
        let mut seen = std::collections::BTreeSet::new();
        for (mark, schema, reachable) in marks {
            let header = mark.as_str().unwrap_or_default();
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            ensure(!header.is_empty() && header.chars().all(token), || {
                format!("{name}: {mark} is no token")
            })?;
            ensure(seen.insert(header.to_ascii_lowercase()), || format!("{name}: {mark} is there twice"))?;
            ensure(reachable, || format!("{name}: {mark} stands where no chain of properties leads"))?;
            let kind = text(schema, "type");
            ensure(["string", "integer", "boolean"].contains(&kind), || {
                format!("{name}: {mark} stands on a property of type {kind:?}")
            })?;
        }
    }
    if some { Ok(()) } else { skip("no tool has an x-mcp-header") }
}

/// Every x-mcp-header below `schema`, what it stands on, and whether a chain of `properties` leads there.
fn marks_of<'a>(schema: &'a Value, reachable: bool, marks: &mut Vec<(&'a Value, &'a Value, bool)>) {
    let Value::Object(members) = schema else {
        if let Value::Array(items) = schema {
            items.iter().for_each(|item| marks_of(item, false, marks));
        }
        return;
    };
    if let Some(mark) = members.get("x-mcp-header") {
        marks.push((mark, schema, reachable));
    }
    for (name, below) in members {
        match below {
            Value::Object(properties) if name == "properties" => {
                properties.values().for_each(|property| marks_of(property, reachable, marks));
            }
            _ if ["enum", "const", "default", "examples", "x-mcp-header"].contains(&&**name) => {}
            _ => marks_of(below, false, marks),
        }
    }
}

async fn call(bench: &mut Bench) -> Verdict {
    let (mut done, mut refused) = (bench.called().await?.to_vec(), Vec::new());
    done.retain(|(tool, exchange)| !is_for_others(tool, exchange));
    if done.is_empty() {
        return skip("the tools that can be called are for clients that can do more, such as tasks");
    }
    for (tool, exchange) in done.iter() {
        bench.show(exchange);
        let name = text(tool, "name");
        // One may have a reason of its own to be refused; all have none.
        let Some(result) = exchange.result() else {
            refused.push(format!("{name}: {}", expect::what_came(exchange)));
            continue;
        };
        let content = result.get("content").is_some_and(Value::is_array);
        ensure(content || !is_complete(result), || format!("the result of {name} has no content"))?;
    }
    ensure(refused.len() < done.len(), || refused.join("; "))
}

/// Whether a result is the answer itself, and not a request for input or something that an extension puts in its place.
pub(super) fn is_complete(result: &Value) -> bool {
    result.get("resultType").and_then(Value::as_str).is_none_or(|kind| kind == "complete")
}

/// Whether the call was refused because the client declared too little, or asked for no task.
fn is_for_others(tool: &Value, exchange: &Exchange) -> bool {
    let task_only = tool.pointer("/execution/taskSupport") == Some(&json!("required"));
    exchange.code() == Some(-32021) || (task_only && exchange.code() == Some(-32601))
}

/// The results of the calls that went well. Where none did, why is the tools' affair, such as a quota: it is shown.
async fn results(bench: &mut Bench) -> Result<Vec<(Value, Value, Exchange)>, Stop> {
    let done = bench.called().await?;
    let is_error = |result: &Value| result.get("isError") == Some(&json!(true));
    let results = done.iter().filter_map(|(tool, e)| Some((tool.clone(), e.result()?.clone(), e.clone())));
    let (failed, went_well): (Vec<_>, Vec<_>) = results.partition(|(_, result, _)| is_error(result));
    match failed.first() {
        Some((tool, result, _)) if went_well.is_empty() => {
            let said = result.pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default();
            let (name, said) = (text(tool, "name"), expect::short(said));
            skip(format!("every call was answered with an error of the tool (isError); {name} says {said:?}"))
        }
        _ => Ok(went_well),
    }
}

async fn structured(bench: &mut Bench) -> Verdict {
    let mut some = false;
    for (tool, result, exchange) in results(bench).await? {
        let Some(schema) = tool.get("outputSchema") else { continue };
        let Ok(validator) = jsonschema::validator_for(schema) else { continue };
        // What wants input, or became a task, has no content yet.
        if !is_complete(&result) {
            continue;
        }
        some = true;
        bench.show(&exchange);
        let name = text(&tool, "name");
        let Some(content) = result.get("structuredContent") else {
            return expect::fail(format!("{name} has an outputSchema, and its result no structuredContent"));
        };
        if let Some(error) = validator.iter_errors(content).next() {
            let place = error.instance_path().to_string();
            return expect::fail(format!("{name}: at {place:?}: {}", expect::short(&error.to_string())));
        }
    }
    if some { Ok(()) } else { skip("no call of a tool with an outputSchema was answered with its content") }
}

async fn text_too(bench: &mut Bench) -> Verdict {
    let mut some = false;
    for (tool, result, exchange) in results(bench).await? {
        let Some(structured) = result.get("structuredContent") else { continue };
        some = true;
        bench.show(&exchange);
        let blocks = result.get("content").and_then(Value::as_array).cloned().unwrap_or_default();
        let says = |block: &Value| serde_json::from_str::<Value>(text(block, "text")).ok();
        let same = |block: &Value| says(block).is_some_and(|said| said == *structured);
        ensure(blocks.iter().any(same), || {
            format!("no text of {} is its structuredContent", text(&tool, "name"))
        })?;
    }
    if some { Ok(()) } else { skip("no result had structuredContent") }
}

async fn unknown(bench: &mut Bench) -> Verdict {
    bench.needs("tools")?;
    let asked = bench.ask("tools/call", json!({"name": "no_such_tool_of_yours", "arguments": {}})).await?;
    expect::error(&asked, &[-32602]).map(|_| ())
}

async fn missing_argument(bench: &mut Bench) -> Verdict {
    let tools = bench.list("tools/list").await?;
    let reads = |tool: &&Value| tool.pointer("/annotations/readOnlyHint") == Some(&json!(true));
    let wants = |tool: &&Value| {
        let required = tool.pointer("/inputSchema/required").and_then(Value::as_array);
        required.is_some_and(|required| !required.is_empty())
    };
    let Some(tool) = tools.items.iter().filter(reads).find(wants) else {
        return skip("no tool says that it only reads (readOnlyHint) and has a required argument");
    };
    let asked = bench.call(tool, json!({}), json!({})).await?;
    expect::answer(&asked)?;
    let accepted = asked.result().is_some_and(|r| is_complete(r) && r.get("isError") != Some(&json!(true)));
    ensure(!accepted, || format!("{} ran without its required arguments", text(tool, "name")))
}

async fn progress(bench: &mut Bench) -> Verdict {
    let mut some = false;
    for (tool, exchange) in bench.called().await?.iter() {
        bench.show(exchange);
        let (name, mut last, mut answered) = (text(tool, "name"), f64::NEG_INFINITY, false);
        let sent = serde_json::from_slice::<Value>(&exchange.sent.body).unwrap_or_default();
        let token = sent.pointer("/params/_meta/progressToken").cloned().unwrap_or_default();
        for message in &exchange.messages {
            answered |= crate::protocol::rpc::is_response(message);
            if text(message, "method") != "notifications/progress" {
                continue;
            }
            some = true;
            let came = message.pointer("/params/progressToken").cloned().unwrap_or_default();
            if came != token {
                // On stdio it may be late news of a call before.
                let ours = came.as_str().is_some_and(|came| came.starts_with("progress-"));
                ensure(ours, || format!("{name}: progress came for {came}, a token that nobody gave"))?;
                continue;
            }
            ensure(!answered, || format!("{name}: progress came after the answer"))?;
            let progress = message.pointer("/params/progress").and_then(Value::as_f64).unwrap_or(f64::NAN);
            ensure(progress > last, || format!("{name}: progress {progress} came after {last}"))?;
            last = progress;
        }
    }
    if some { Ok(()) } else { skip("no call told of its progress") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_and_told_apart_by_their_way() {
        let schema = json!({"properties": {
            "a": {"type": "string", "x-mcp-header": "A"},
            "b": {"type": "object", "properties": {"c": {"type": "integer", "x-mcp-header": "C"}}},
            "d": {"type": "array", "items": {"type": "string", "x-mcp-header": "D"}},
            "e": {"anyOf": [{"type": "string", "x-mcp-header": "E"}]},
        }});
        let mut marks = Vec::new();
        marks_of(&schema, true, &mut marks);
        let found: Vec<_> =
            marks.iter().map(|(mark, _, reachable)| (mark.as_str().unwrap(), *reachable)).collect();
        assert_eq!(found, [("A", true), ("C", true), ("D", false), ("E", false)]);
    }

    #[test]
    fn schemas_are_told_from_what_is_none() {
        let check =
            |schema: Value, expected: bool| assert_eq!(valid_schema(&schema).is_ok(), expected, "{schema}");
        check(json!({"type": "object", "properties": {"a": {"type": "string"}}}), true);
        check(json!({"type": "objekt"}), false);
        check(json!({"type": "object", "required": "a"}), false);
        check(json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}), true);
        check(json!({"$schema": "https://example.com/own", "type": 7}), true);
    }
}
