//! Changes of lists: of prompts, resources and resource templates; what tools have in common with them.

use serde_json::Value;

use super::tool::name_of;
use super::{Change, Class, Notes, Surface};

const TEXTS: [&str; 5] = ["title", "description", "icons", "_meta", "annotations"];

pub(super) fn changes(old: &Surface, new: &Surface) -> Vec<Change> {
    let lists = [
        ("prompt", "name", &old.prompts, &new.prompts, prompt as Compare),
        ("resource", "uri", &old.resources, &new.resources, resource),
        ("resource template", "uriTemplate", &old.templates, &new.templates, resource),
    ];
    let shown = lists.into_iter().filter_map(|(kind, key, old, new, compare)| {
        Some(each(kind, key, old.as_deref()?, new.as_deref()?, compare))
    });
    shown.flatten().collect()
}

/// Notes what changed of one thing.
pub(super) type Compare = fn(&mut Notes, &Value, &Value);

/// The changes of a list of things, each of which has its name in `key`.
pub(super) fn each(kind: &str, key: &str, old: &[Value], new: &[Value], compare: Compare) -> Vec<Change> {
    let name = |thing: &Value| thing[key].as_str().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for thing in old {
        let mut notes = Notes::of(kind, &name(thing));
        match new.iter().find(|other| name(other) == name(thing)) {
            None => notes.note(Class::Breaking, "", format!("the {kind} is gone"), None, None),
            Some(other) => compare(&mut notes, thing, other),
        }
        found.extend(notes.found);
    }
    for thing in new.iter().filter(|thing| !old.iter().any(|other| name(other) == name(thing))) {
        let mut notes = Notes::of(kind, &name(thing));
        notes.note(Class::Additive, "", format!("the {kind} is new"), None, None);
        found.extend(notes.found);
    }
    found
}

fn prompt(notes: &mut Notes, old: &Value, new: &Value) {
    notes.cosmetic(&TEXTS, "", old, new);
    let arguments = |prompt: &Value| prompt["arguments"].as_array().cloned().unwrap_or_default();
    let (before, after) = (arguments(old), arguments(new));
    let required = |argument: &Value| argument["required"] == true;
    for (i, argument) in before.iter().enumerate() {
        let (pointer, name) = (format!("/arguments/{i}"), name_of(argument));
        match after.iter().find(|other| name_of(other) == name) {
            None => notes.note(Class::Breaking, &pointer, format!("the argument {name} is gone"), None, None),
            Some(other) => {
                notes.cosmetic(&TEXTS, &pointer, argument, other);
                match (required(argument), required(other)) {
                    (false, true) => {
                        notes.note(
                            Class::Breaking,
                            &pointer,
                            format!("{name} must be given now"),
                            None,
                            None,
                        );
                    }
                    (true, false) => {
                        notes.note(
                            Class::Additive,
                            &pointer,
                            format!("{name} may be left out now"),
                            None,
                            None,
                        );
                    }
                    _ => {}
                }
            }
        }
    }
    for (i, argument) in after.iter().enumerate() {
        let (pointer, name) = (format!("/arguments/{i}"), name_of(argument));
        if !before.iter().any(|other| name_of(other) == name) {
            let (class, how) = match required(argument) {
                true => (Class::Breaking, "must be given"),
                false => (Class::Additive, "may be given"),
            };
            notes.note(class, &pointer, format!("the argument {name} is new and {how}"), None, None);
        }
    }
}

fn resource(notes: &mut Notes, old: &Value, new: &Value) {
    notes.cosmetic(&TEXTS, "", old, new);
    notes.cosmetic(&["name", "size"], "", old, new);
    let (before, after) = (old.get("mimeType"), new.get("mimeType"));
    if before != after {
        let class = if before.is_none() { Class::Additive } else { Class::Breaking };
        notes.note(class, "/mimeType", "it is of another type", before, after);
    }
}
