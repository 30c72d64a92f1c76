//! Text written by outsiders, made fit to show to a model or to keep in a log: without what people cannot see but models
//! read, and without personal data where the organisation does not want it shown.

mod strip;

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::contacts::{self, Contact};
use crate::error::without_secrets;

/// What stands for an e-mail address.
pub const EMAIL: &str = "[EMAIL]";
/// What stands for a phone number.
pub const PHONE: &str = "[PHONE]";

/// Characters of one text that the log of calls keeps.
const LOGGED_TEXT_CHARS: usize = 200;
/// Characters of a member's name that the log of calls keeps.
const LOGGED_NAME_CHARS: usize = 64;
/// Bytes of one call's arguments in the log at most, but for a few that close what is open.
const LOGGED_BYTES: usize = 2_000;
/// Bytes of what stands in the log for a value that has no room, with its comma.
const OMITTED_BYTES: usize = "\"…\",".len();

/// `text` without control and invisible characters, and with e-mail addresses and phone numbers masked if `redact`.
///
/// Gone are C0 and C1 controls but line feed and tab (a carriage return without its line feed becomes one), terminal
/// escape sequences, bidirectional controls, zero-width characters, soft hyphens, fillers, tag characters, and variation
/// selectors but for a single one after a symbol. Doing it twice changes nothing more. Borrows when nothing changes.
pub fn outside(text: &str, redact: bool) -> Cow<'_, str> {
    let visible = strip::strip(text);
    if !redact {
        return visible;
    }
    match visible {
        Cow::Borrowed(text) => masked_contacts(text),
        Cow::Owned(text) => match masked_contacts(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(masked) => Cow::Owned(masked),
        },
    }
}

fn masked_contacts(text: &str) -> Cow<'_, str> {
    contacts::replace(text, |contact, _| match contact {
        Contact::Email => EMAIL.into(),
        Contact::Phone => PHONE.into(),
    })
}

/// The first `most` characters of `text`, and whether there are more.
pub fn cut(text: &str, most: usize) -> (&str, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) if text.len() > most => (&text[..end], true),
        _ => (text, false),
    }
}

/// Arguments of a call as the log keeps them: JSON of at most about 2,000 bytes. Texts are cut at 200 characters, control
/// characters are gone, e-mail addresses and phone numbers masked whatever the organisation's setting, and so are
/// credentials of ours that came to the wrong place.
pub fn masked_arguments(arguments: &Value) -> String {
    let mut left = LOGGED_BYTES;
    masked(arguments, &mut left).to_string()
}

/// `value` with as much in it as `left` bytes allow.
fn masked(value: &Value, left: &mut usize) -> Value {
    let masked = match value {
        Value::String(text) => Value::String(logged(text, LOGGED_TEXT_CHARS)),
        Value::Array(items) => return masked_items(items, left),
        Value::Object(members) => return masked_members(members, left),
        simple => simple.clone(),
    };
    let bytes = masked.to_string().len() + 1;
    if bytes > *left {
        return Value::String("…".to_owned());
    }
    *left -= bytes;
    masked
}

fn masked_items(items: &[Value], left: &mut usize) -> Value {
    let mut kept = Vec::new();
    for item in items {
        if !pay(OMITTED_BYTES, left) {
            kept.push(Value::String("…".to_owned()));
            break;
        }
        kept.push(masked(item, left));
    }
    Value::Array(kept)
}

fn masked_members(members: &Map<String, Value>, left: &mut usize) -> Value {
    let mut kept = Map::new();
    for (name, value) in members {
        let name = logged(name, LOGGED_NAME_CHARS);
        if !pay(Value::from(name.as_str()).to_string().len() + 1 + OMITTED_BYTES, left) {
            kept.insert("…".to_owned(), Value::String("…".to_owned()));
            break;
        }
        kept.insert(name, masked(value, left));
    }
    Value::Object(kept)
}

fn pay(bytes: usize, left: &mut usize) -> bool {
    let enough = bytes <= *left;
    if enough {
        *left -= bytes;
    }
    enough
}

/// Masked before it is cut, for half an address is no address any more.
fn logged(text: &str, most: usize) -> String {
    // What lies far behind the cut is not worth looking at.
    let (near, _) = cut(text, most * 4);
    let near = without_secrets(near);
    let masked = outside(&near, true);
    match cut(&masked, most) {
        (whole, false) => whole.to_owned(),
        (part, true) => format!("{part}…"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_masked_and_stay_json() {
        let check = |came: Value, expected: &str| assert_eq!(masked_arguments(&came), expected);
        check(json!({}), "{}");
        check(json!({"limit": 5, "on": true, "x": null}), r#"{"limit":5,"on":true,"x":null}"#);
        check(json!({"query": "anna@example.com +49 30 1234567"}), r#"{"query":"[EMAIL] [PHONE]"}"#);
        check(
            json!({"a\u{0}@b.de": ["x\u{200b}y", {"z": "a@b.de"}]}),
            r#"{"[EMAIL]":["xy",{"z":"[EMAIL]"}]}"#,
        );
        let key = format!("cha_{}", "x".repeat(49));
        check(
            json!({"query": format!("what is {key}?"), key: 1}),
            r#"{"query":"what is [SECRET]?","[SECRET]":1}"#,
        );
        let long = "x".repeat(15_000);
        check(json!({"text": long}), &format!("{{\"text\":\"{}…\"}}", "x".repeat(200)));
    }

    #[test]
    fn arguments_without_end_are_bounded() {
        let check = |came: Value| {
            let kept = masked_arguments(&came);
            assert!(kept.len() <= 2_200, "{}", kept.len());
            serde_json::from_str::<Value>(&kept).unwrap();
        };
        check(json!(vec![1; 100_000]));
        check(json!(vec!["\"\\\n".repeat(100); 1_000]));
        check((0..10_000).map(|n| (format!("name {n}"), json!({"x": []}))).collect());
        let mut deep = json!([]);
        (0..60).for_each(|_| deep = json!([deep.take(), "é".repeat(300)]));
        check(deep);
    }

    #[test]
    fn cuts_at_characters() {
        let check = |text: &str, most: usize, expected: (&str, bool)| assert_eq!(cut(text, most), expected);
        check("äöü", 3, ("äöü", false));
        check("äöü", 2, ("äö", true));
        check("", 0, ("", false));
    }

    /// Text with much in it that the filter cares for.
    fn nasty() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<String>(),
            "[0-9+() ./-]{1,20}",
            "[a-z0-9._%+-]{1,8}(@|%40|＠)[a-z0-9-]{1,8}\\.[a-z]{1,4}",
            prop::sample::select(vec![
                "\u{1b}[31m",
                "\u{1b}]0;",
                "\u{7}",
                "\u{200b}",
                "\u{e0041}",
                "\u{fe0f}",
                "❤",
                "\r",
                "@",
                "0",
                "+",
                "\u{1b}",
                "\u{9b}",
                " ",
                "#",
                "[EMAIL]",
                "[PHONE]",
                "2026-11-22",
                "0171",
                "1234567",
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn twice_is_once(text in nasty(), redact: bool) {
            let once = outside(&text, redact).into_owned();
            prop_assert_eq!(&outside(&once, redact), &once);
        }

        #[test]
        fn nothing_invisible_is_left(text in nasty()) {
            let visible = outside(&text, false).into_owned();
            let bad = |c: char| (c.is_control() && !matches!(c, '\n' | '\t'))
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e0fff}');
            prop_assert!(!visible.contains(bad), "{:?}", visible);
        }

        #[test]
        fn no_address_survives(before in nasty(), local in "[a-z0-9][a-z0-9._-]{0,10}", domain in "[a-z0-9]{1,10}(\\.[a-z0-9]{1,5}){0,2}\\.[a-z]{2,6}", after in nasty()) {
            let address = format!("{local}@{domain}");
            let shown = outside(&format!("{before}{address}{after}"), true).into_owned();
            prop_assert!(!shown.contains(&address), "{:?}", shown);
        }

        #[test]
        fn plain_text_is_borrowed(text in "[a-zA-Z ,.!?\n\t]{0,80}") {
            prop_assert!(matches!(outside(&text, true), Cow::Borrowed(_)));
        }
    }
}
