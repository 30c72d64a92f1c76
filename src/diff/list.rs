//! Changes of lists: of prompts, resources and resource templates; what tools have in common with them.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

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
    let mut found = Vec::new();
    for (name, pair) in pairs(key, old, new) {
        let mut notes = Notes::of(kind, name);
        match pair {
            [Some((_, thing)), Some((_, other))] => compare(&mut notes, thing, other),
            [_, None] => notes.note(Class::Breaking, "", format!("the {kind} is gone"), None, None),
            [None, _] => notes.note(Class::Additive, "", format!("the {kind} is new"), None, None),
        }
        found.extend(notes.found);
    }
    found
}

/// A thing and its place in its list, where it is there.
pub(super) type Place<'a> = Option<(usize, &'a Value)>;

/// The things of two lists by the name in `key`: the old ones with their successors, then the new ones. Of several of one
/// name the first belongs to the first.
pub(super) fn pairs<'a>(key: &str, old: &'a [Value], new: &'a [Value]) -> Vec<(&'a str, [Place<'a>; 2])> {
    let name = |thing: &'a Value| thing[key].as_str().unwrap_or_default();
    let mut come: HashMap<&str, VecDeque<(usize, &Value)>> = HashMap::new();
    for place in new.iter().enumerate() {
        come.entry(name(place.1)).or_default().push_back(place);
    }
    let mut all: Vec<_> = old
        .iter()
        .enumerate()
        .map(|place| {
            let name = name(place.1);
            (name, [Some(place), come.get_mut(name).and_then(VecDeque::pop_front)])
        })
        .collect();
    let mut rest: Vec<_> = come.into_values().flatten().collect();
    rest.sort_by_key(|(i, _)| *i);
    all.extend(rest.into_iter().map(|place| (name(place.1), [None, Some(place)])));
    all
}

fn prompt(notes: &mut Notes, old: &Value, new: &Value) {
    notes.cosmetic(&TEXTS, "", old, new);
    let [before, after] =
        [old, new].map(|prompt| prompt["arguments"].as_array().map_or(&[][..], Vec::as_slice));
    for (name, pair) in pairs("name", before, after) {
        argument(notes, name, pair);
    }
}

fn argument(notes: &mut Notes, name: &str, pair: [Place<'_>; 2]) {
    let required = |argument: &Value| argument["required"] == true;
    let pointer = |i: usize| format!("/arguments/{i}");
    let (place, class, reason) = match pair {
        [Some((i, before)), Some((_, after))] => {
            notes.cosmetic(&TEXTS, &pointer(i), before, after);
            match (required(before), required(after)) {
                (false, true) => (i, Class::Breaking, format!("{name} must be given now")),
                (true, false) => (i, Class::Additive, format!("{name} may be left out now")),
                _ => return,
            }
        }
        [Some((i, _)), None] => (i, Class::Breaking, format!("the argument {name} is gone")),
        [None, Some((i, after))] if required(after) => {
            (i, Class::Breaking, format!("the argument {name} is new and must be given"))
        }
        [None, Some((i, _))] => (i, Class::Additive, format!("the argument {name} is new and may be given")),
        [None, None] => return,
    };
    notes.note(class, &pointer(place), reason, None, None);
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
