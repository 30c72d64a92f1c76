//! Changes of tools.

use serde_json::{Value, json};

use super::list::{each, pairs};
use super::schema::{Side, schemas};
use super::{Change, Class, Notes};

/// The hints of a tool's annotations, what each means where it is missing, and which of the two is the safer (MCP,
/// `ToolAnnotations`).
const HINTS: [(&str, bool, bool); 4] = [
    ("readOnlyHint", false, true),
    ("destructiveHint", true, false),
    ("idempotentHint", false, true),
    ("openWorldHint", true, false),
];

pub(super) fn changes(old: &[Value], new: &[Value]) -> Vec<Change> {
    let mut found = each("tool", "name", old, new, compare);
    found.extend(order(old, new));
    found
}

fn compare(notes: &mut Notes, old: &Value, new: &Value) {
    notes.cosmetic(&["title", "description", "icons", "_meta"], "", old, new);
    annotations(notes, old, new);
    execution(notes, old, new);
    schemas(notes, Side::Input, "/inputSchema", &old["inputSchema"], &new["inputSchema"]);
    match (old.get("outputSchema"), new.get("outputSchema")) {
        (Some(old), Some(new)) => schemas(notes, Side::Output, "/outputSchema", old, new),
        (Some(_), None) => {
            let reason = "no structured answer is promised any more";
            notes.note(Class::Breaking, "/outputSchema", reason, None, None);
        }
        (None, Some(_)) => {
            let reason = "a structured answer is promised";
            notes.note(Class::Additive, "/outputSchema", reason, None, None);
        }
        (None, None) => {}
    }
}

fn annotations(notes: &mut Notes, old: &Value, new: &Value) {
    let (old, new) = (&old["annotations"], &new["annotations"]);
    notes.cosmetic(&["title"], "/annotations", old, new);
    for (hint, missing, safer) in HINTS {
        let (before, after) = (means(old, hint, missing), means(new, hint, missing));
        let class = match before == after {
            true if old.get(hint) == new.get(hint) => continue,
            true => Class::Cosmetic,
            false if after == safer => Class::Additive,
            false => Class::Breaking,
        };
        let reason = match class {
            Class::Cosmetic => "the hint means the same".to_owned(),
            Class::Additive => format!("{hint} means {after} now: the tool is safer than it was"),
            Class::Breaking => {
                format!("{hint} means {after} now: clients that trusted the tool may not any more")
            }
        };
        notes.note(class, &format!("/annotations/{hint}"), reason, old.get(hint), new.get(hint));
    }
}

/// What the hint says. Whether it destroys, and whether again is the same, is asked only of a tool that changes something.
fn means(annotations: &Value, hint: &str, missing: bool) -> bool {
    let said = |hint: &str, missing: bool| annotations[hint].as_bool().unwrap_or(missing);
    match (hint, said("readOnlyHint", false)) {
        ("destructiveHint", true) => false,
        ("idempotentHint", true) => true,
        _ => said(hint, missing),
    }
}

/// Whether the tool is called as a task (MCP 2025-11-25, `ToolExecution`).
fn execution(notes: &mut Notes, old: &Value, new: &Value) {
    let support = |tool: &Value| tool["execution"]["taskSupport"].as_str().unwrap_or("forbidden").to_owned();
    let (before, after) = (support(old), support(new));
    let class = match (&*before, &*after) {
        (before, after) if before == after => return,
        (_, "optional") => Class::Additive,
        _ => Class::Breaking,
    };
    let reason = format!("to call it as a task was {before} and is {after}");
    notes.note(class, "/execution/taskSupport", reason, Some(&json!(before)), Some(&json!(after)));
}

fn order(old: &[Value], new: &[Value]) -> Option<Change> {
    let shared = pairs("name", old, new).into_iter().filter_map(|(name, pair)| match pair {
        [Some(_), Some((i, _))] => Some((i, name)),
        _ => None,
    });
    let before: Vec<(usize, &str)> = shared.collect();
    let mut after = before.clone();
    after.sort_unstable();
    let mut notes = Notes { of: "the list".into(), found: Vec::new() };
    if before != after {
        let [old, new] = [before, after].map(|all| all.into_iter().map(|(_, name)| name).collect::<Value>());
        notes.note(Class::Cosmetic, "", "the tools come in another order", Some(&old), Some(&new));
    }
    notes.found.pop()
}
