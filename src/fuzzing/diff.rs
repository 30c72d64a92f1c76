//! What changed between two lists of tools.

use serde_json::{Value, json};

use crate::diff::{Change, Class, Surface, changes};

/// Two JSON values, each what a list of tools is kept in, or else a schema of arguments and answers: nothing changed
/// between one and itself; each change has its counterpart the other way round, a cosmetic one a cosmetic one, and what
/// is possible only since then a breaking one, but for members of answers that are not named, which readers pass over.
pub fn diff(bytes: &[u8]) {
    let mut values =
        serde_json::Deserializer::from_slice(bytes).into_iter::<Value>().map_while(Result::ok).map(surface);
    let (Some(old), Some(new)) = (values.next(), values.next()) else { return };
    assert_eq!(changes(&old, &old), []);
    assert_eq!(changes(&new, &new), []);
    let (there, back) = (changes(&old, &new), changes(&new, &old));
    assert!(there.is_sorted_by(|one, next| one.class >= next.class), "{there:?}");
    assert_eq!(there.len(), back.len(), "{there:#?}\n{back:#?}");
    assert_eq!(count(&there, Class::Cosmetic), count(&back, Class::Cosmetic), "{there:#?}\n{back:#?}");
    for [one, other] in [[&there, &back], [&back, &there]] {
        let opened = one.iter().filter(|change| is_of_what_is_passed_over(change)).count();
        let lost = count(one, Class::Additive) - opened;
        assert!(lost <= count(other, Class::Breaking), "{there:#?}\n{back:#?}");
    }
}

fn surface(value: Value) -> Surface {
    let mut surface = Surface::default();
    if !surface.take(value.clone()) {
        let tool = json!({"name": "t", "inputSchema": value, "outputSchema": value});
        surface = Surface { tools: Some(vec![tool]), ..Surface::default() };
    }
    surface
}

fn count(changes: &[Change], class: Class) -> usize {
    changes.iter().filter(|change| change.class == class).count()
}

fn is_of_what_is_passed_over(change: &Change) -> bool {
    change.class == Class::Additive
        && change.pointer.starts_with("/outputSchema")
        && change.pointer.ends_with("/additionalProperties")
}
