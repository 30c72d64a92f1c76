//! What changed between two texts, line by line, and between two sets of settings, field by field.

use serde_json::Value;

use super::format;
use crate::error::{Error, Result};
use crate::store::chatbot::Settings;

/// Cells of the table of common lines at most; where more lines changed, all of them are shown as replaced.
const CELLS_MAX: usize = 250_000;
/// Unchanged lines that are shown before and after a change.
const CONTEXT: usize = 2;

/// One line of a diff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// It stands in both texts.
    Same(&'a str),
    /// It stands in the earlier text alone.
    Removed(&'a str),
    /// It stands in the later text alone.
    Added(&'a str),
    /// So many lines that stand in both are left out here.
    Gap(usize),
}

/// The lines of both texts in their order, changed ones marked, those far from any change left out.
pub(super) fn lines<'a>(before: &'a str, after: &'a str) -> Vec<Line<'a>> {
    let (before, after): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let start = before.iter().zip(&after).take_while(|(a, b)| a == b).count();
    let (old, new) = (&before[start..], &after[start..]);
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut all: Vec<_> = before[..start].iter().map(|line| Line::Same(line)).collect();
    changed(&old[..old.len() - end], &new[..new.len() - end], &mut all);
    all.extend(old[old.len() - end..].iter().map(|line| Line::Same(line)));
    shortened(&all)
}

/// Appends the lines of `old` and `new`, by their longest common subsequence.
fn changed<'a>(old: &[&'a str], new: &[&'a str], out: &mut Vec<Line<'a>>) {
    let (mut i, mut j) = (0, 0);
    if old.len().saturating_mul(new.len()) <= CELLS_MAX {
        let common = Common::of(old, new);
        while i < old.len() && j < new.len() {
            if old[i] == new[j] {
                out.push(Line::Same(old[i]));
                (i, j) = (i + 1, j + 1);
            } else if common.from(i + 1, j) >= common.from(i, j + 1) {
                out.push(Line::Removed(old[i]));
                i += 1;
            } else {
                out.push(Line::Added(new[j]));
                j += 1;
            }
        }
    }
    out.extend(old[i..].iter().map(|line| Line::Removed(line)));
    out.extend(new[j..].iter().map(|line| Line::Added(line)));
}

/// How many lines the rests of two texts have in common, from each pair of places on.
struct Common {
    width: usize,
    cells: Vec<u32>,
}

impl Common {
    fn of(old: &[&str], new: &[&str]) -> Common {
        let width = new.len() + 1;
        let mut common = Common { width, cells: vec![0; (old.len() + 1) * width] };
        for i in (0..old.len()).rev() {
            for j in (0..new.len()).rev() {
                common.cells[i * width + j] = match old[i] == new[j] {
                    true => common.from(i + 1, j + 1) + 1,
                    false => common.from(i + 1, j).max(common.from(i, j + 1)),
                };
            }
        }
        common
    }

    fn from(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }
}

/// The same lines, with a gap for those that are further than [`CONTEXT`] from any change.
fn shortened<'a>(all: &[Line<'a>]) -> Vec<Line<'a>> {
    let mut near = vec![false; all.len()];
    for (at, _) in all.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_))) {
        near[at.saturating_sub(CONTEXT)..all.len().min(at + CONTEXT + 1)].fill(true);
    }
    let mut out = Vec::new();
    for (line, near) in all.iter().zip(near) {
        match (near, out.last_mut()) {
            (true, _) => out.push(*line),
            (false, Some(Line::Gap(count))) => *count += 1,
            (false, _) => out.push(Line::Gap(1)),
        }
    }
    out
}

/// What stands for lines that are left out.
pub(super) fn unchanged(count: &usize) -> String {
    format!("{} as before", format::count(*count as i64, "line"))
}

/// A setting that differs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name for people.
    pub label: String,
    pub before: String,
    pub after: String,
    /// Whether both are colours, `#rrggbb`.
    pub is_color: bool,
    /// Whether it is a text of several lines, better shown by its lines.
    pub is_text: bool,
}

impl Field {
    /// The lines of both texts.
    pub(super) fn lines(&self) -> Vec<Line<'_>> {
        lines(&self.before, &self.after)
    }
}

/// The settings that differ, in the order in which settings are listed.
///
/// # Errors
/// A fault of serialisation.
pub(super) fn fields(before: &Settings, after: &Settings) -> Result<Vec<Field>> {
    let before = serde_json::to_value(before).map_err(Error::internal)?;
    let after = serde_json::to_value(after).map_err(Error::internal)?;
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Ok(Vec::new()) };
    let pairs = before.iter().filter_map(|(name, old)| Some((name, old, after.get(name)?)));
    let changed = pairs.filter(|(_, old, new)| old != new);
    Ok(changed.map(|(name, old, new)| field(name, worded(old), worded(new))).collect())
}

fn field(name: &str, before: String, after: String) -> Field {
    let is_text = name == "instructions" || before.contains('\n') || after.contains('\n');
    Field { label: label(name), before, after, is_color: name.ends_with("_color"), is_text }
}

/// `primary_color` as people read it: `Primary colour`.
fn label(name: &str) -> String {
    let words = name.replace('_', " ").replace("color", "colour");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

fn worded(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "on".to_owned(),
        Value::Bool(false) => "off".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Line::{Added, Gap, Removed, Same};
    use super::*;

    #[test]
    fn lines_that_changed_with_those_around_them() {
        let check = |before: &str, after: &str, expected: &[Line<'_>]| {
            assert_eq!(lines(before, after), expected, "{before:?} {after:?}");
        };
        check("", "", &[]);
        check("a", "a", &[Gap(1)]);
        check("", "a\nb", &[Added("a"), Added("b")]);
        check("a\nb", "", &[Removed("a"), Removed("b")]);
        check("a\nb\nc", "a\nx\nc", &[Same("a"), Removed("b"), Added("x"), Same("c")]);
        check("a\nb\nc\nd", "b\nc\nd\ne", &[Removed("a"), Same("b"), Same("c"), Same("d"), Added("e")]);
        check("1\n2\n3\n4\n5", "1\n2\n3\n4\n6", &[Gap(2), Same("3"), Same("4"), Removed("5"), Added("6")]);
        check(
            "x\n1\n2\n3\n4\n5\n6\ny",
            "1\n2\n3\n4\n5\n6",
            &[Removed("x"), Same("1"), Same("2"), Gap(2), Same("5"), Same("6"), Removed("y")],
        );
        check("a\n", "a", &[Gap(1)]);
    }

    #[test]
    fn a_diff_of_any_size_is_bounded() {
        let text = |word: &str| (0..7_500).map(|n| format!("{word}{n}\n")).collect::<String>();
        let (before, after) = (text("a"), text("b"));
        let lines = lines(&before, &after);
        assert_eq!(lines.len(), 15_000);
        assert!(matches!(lines[0], Removed("a0")));
        assert!(matches!(lines[7_500], Added("b0")));
    }

    #[test]
    fn settings_that_differ_in_words() {
        let before = Settings { name: "a".into(), ..Settings::default() };
        let check = |after: Settings, expected: &[(&str, &str, &str)]| {
            let found = fields(&before, &after).unwrap();
            let found: Vec<_> =
                found.iter().map(|f| (f.label.as_str(), f.before.as_str(), f.after.as_str())).collect();
            assert_eq!(found, expected);
        };
        check(before.clone(), &[]);
        check(
            Settings { name: "b".into(), enabled: false, ..before.clone() },
            &[("Name", "a", "b"), ("Enabled", "on", "off")],
        );
        check(
            Settings { primary_color: "#000000".into(), temperature: 0.7, ..before.clone() },
            &[("Temperature", "0.3", "0.7"), ("Primary colour", "#2563eb", "#000000")],
        );
    }
}
