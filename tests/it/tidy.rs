//! Style that matters is a test: who imports whom, files that stay small, SQL in one place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Who may import whom; everyone may import the ground.
const LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("error", &[]),
    ("config", &[]),
    ("contacts", &[]),
    ("keyring", &[]),
    ("protocol", &[]),
    ("client", &[]),
    ("store", &[]),
    ("search", &["store"]),
    ("access", &["store"]),
    ("tools", &["store", "search"]),
    ("completion", &["store"]),
    ("prompts", &["store", "completion"]),
    ("resources", &["protocol", "store", "completion", "tools", "views"]),
    ("training", &["store", "search"]),
    ("views", &["protocol"]),
    ("import", &["store", "search"]),
    ("demo", &["store", "access", "import"]),
    ("models", &[]),
    (
        "app",
        &["protocol", "access", "store", "tools", "completion", "prompts", "resources", "training", "views"],
    ),
    ("oauth", &["store", "access", "client"]),
    ("http", &["app", "protocol", "access", "oauth", "store"]),
    ("stdio", &["app", "protocol", "access"]),
    ("bridge", &["protocol", "client"]),
    ("local", &[]),
    ("record", &["protocol", "client", "local"]),
    ("replay", &["protocol", "local"]),
    ("diff", &["protocol"]),
    ("verify", &["protocol", "peer"]),
    ("peer", &["protocol", "client"]),
    ("conformance", &["protocol", "client", "peer", "record"]),
    ("fuzzing", EVERYTHING),
    ("cli", EVERYTHING),
    ("main", EVERYTHING),
    ("lib", EVERYTHING),
];
const GROUND: &[&str] = &["clock", "error", "config", "contacts", "keyring", "models"];
const EVERYTHING: &[&str] = &["*"];
/// Lines that a file of ours has at most, its tests aside.
const LINES_MAX: usize = 650;

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

/// The room of the house a file is in: the first part of its path below src.
fn room(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// A file without the tests at its end.
fn code(text: &str) -> &str {
    let tests = text.match_indices("\n#[cfg(test)]\n").find(|(at, mark)| {
        let next = text[at + mark.len()..].lines().next().unwrap_or_default();
        next.contains("mod ") && next.ends_with('{')
    });
    tests.map_or(text, |(at, _)| &text[..at])
}

/// The rooms that the code of a file names by `crate::`; tests may import what they like. A macro stands in no room.
fn imports(text: &str) -> BTreeSet<String> {
    let lines = code(text).lines().filter(|line| !line.trim_start().starts_with("//"));
    let names = lines.flat_map(|line| line.match_indices("crate::").map(|(at, _)| &line[at + 7..]));
    let word =
        |rest: &str| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect::<String>();
    let rooms = names.filter(|rest| !rest[word(rest).len()..].starts_with('!'));
    rooms.map(word).filter(|name| !name.is_empty()).collect()
}

#[test]
fn rooms_import_only_those_below_them() {
    let mut wrong = Vec::new();
    for path in sources("src") {
        let (room, text) = (room(&path), fs::read_to_string(&path).unwrap());
        if path.file_name().is_some_and(|name| name == "testing.rs" || name == "tests.rs") {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!("{}: the room {room} is not in the table of layers", path.display()));
            continue;
        };
        if code(&text).contains("use crate::{") {
            wrong.push(format!("{}: name rooms one a line, so that this test sees them", path.display()));
        }
        for import in imports(&text) {
            let fits = import == room
                || GROUND.contains(&import.as_str())
                || allowed.contains(&import.as_str())
                || *allowed == EVERYTHING;
            if !fits {
                wrong.push(format!("{}: {room} must not import {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn files_stay_small() {
    let lines = |path: &PathBuf| code(&fs::read_to_string(path).unwrap()).lines().count();
    let long: Vec<_> = sources("src").into_iter().filter(|path| lines(path) > LINES_MAX).collect();
    assert!(long.is_empty(), "more than {LINES_MAX} lines: {long:?}");
}

#[test]
fn only_the_store_speaks_sql() {
    let speaks = |path: &PathBuf| fs::read_to_string(path).unwrap().contains("rusqlite");
    let wrong: Vec<_> =
        sources("src").into_iter().filter(|path| room(path) != "store" && speaks(path)).collect();
    assert!(wrong.is_empty(), "rusqlite outside of store: {wrong:?}");
}
