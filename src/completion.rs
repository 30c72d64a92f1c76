//! What an argument that someone types may become: the chatbots by name or number, the conversations by number.
//!
//! Arguments of prompts and variables of resource templates say in their tables what completes them.

use std::collections::HashMap;

use crate::error::Result;
use crate::store::TenantTx;
use crate::store::chatbot;
use crate::store::conversation;

/// Values that are given at once; so many the protocol allows.
pub const VALUES_MAX: usize = 100;
/// Characters of what was typed that are looked at: no name is longer.
const TYPED_CHARS_MAX: usize = chatbot::NAME_CHARS_MAX;

/// What completes an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Names of chatbots; the number of one whose name would not tell it from another.
    Chatbots,
    /// Numbers of chatbots, found by number or by name.
    ChatbotIds,
    /// Numbers of conversations, the newest first.
    ConversationIds,
}

/// What the argument may become.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// At most [`VALUES_MAX`], the likeliest first.
    pub values: Vec<String>,
    /// How many there are in all, where that is known.
    pub total: Option<usize>,
    /// Whether there are more.
    pub has_more: bool,
}

/// What may become of `typed`: values that begin with it, then those that have it anywhere, whatever the case.
///
/// # Errors
/// Those of the store.
pub fn complete(tx: &TenantTx<'_>, source: Source, typed: &str) -> Result<Values> {
    let typed = typed.trim();
    if typed.chars().nth(TYPED_CHARS_MAX).is_some() {
        return Ok(Values { total: Some(0), ..Values::default() });
    }
    match source {
        Source::Chatbots => chatbots(tx, typed, false),
        Source::ChatbotIds => chatbots(tx, typed, true),
        Source::ConversationIds => conversations(tx, typed),
    }
}

fn chatbots(tx: &TenantTx<'_>, typed: &str, by_id: bool) -> Result<Values> {
    let wanted = typed.to_lowercase();
    let all: Vec<(i64, String, String)> =
        chatbot::names(tx, i64::MAX)?.into_iter().map(|(id, name)| (id, name.to_lowercase(), name)).collect();
    let mut bearers: HashMap<&str, u32> = HashMap::new();
    all.iter().for_each(|(_, folded, _)| *bearers.entry(folded).or_default() += 1);
    let mut found = Vec::new();
    for (id, folded, name) in &all {
        let number = id.to_string();
        let by_number = !wanted.is_empty() && number.starts_with(&wanted);
        if !by_number && !folded.contains(&wanted) {
            continue;
        }
        let tells = bearers.get(folded.as_str()) == Some(&1) && name.parse::<i64>().is_err();
        let later = !by_number && !folded.starts_with(&wanted);
        found.push((later, if by_id || by_number || !tells { number } else { name.clone() }));
    }
    // Stable: within both groups the order of the numbers stays.
    found.sort_by_key(|(later, _)| *later);
    let total = found.len();
    let values = found.into_iter().take(VALUES_MAX).map(|(_, value)| value).collect();
    Ok(Values { values, total: Some(total), has_more: total > VALUES_MAX })
}

fn conversations(tx: &TenantTx<'_>, typed: &str) -> Result<Values> {
    let most = VALUES_MAX as i64 + 1;
    let mut ids = match typed.parse::<u32>() {
        _ if typed.is_empty() => conversation::newest(tx, most)?,
        Ok(beginning) if typed == beginning.to_string() => conversation::ids_that_begin(tx, beginning, most)?,
        _ => Vec::new(),
    };
    let has_more = ids.len() > VALUES_MAX;
    ids.truncate(VALUES_MAX);
    let values: Vec<String> = ids.iter().map(i64::to_string).collect();
    let total = (!has_more).then_some(values.len());
    Ok(Values { values, total, has_more })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::testing::{self, Talk};
    use crate::tools::testing::{NOW, Shop};

    fn shop(names: &[&str]) -> Shop {
        let shop = Shop::new();
        for name in names {
            let new = json!({"settings": {"name": name}});
            shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        }
        shop
    }

    fn values(shop: &Shop, source: Source, typed: &'static str) -> Vec<String> {
        shop.seed(move |tx| complete(tx, source, typed)).values
    }

    #[test]
    fn chatbots_by_name_and_number() {
        let shop = shop(&["Shop assistant", "WhatsApp help", "Äpfel", "help desk"]);
        let check = |source: Source, typed: &'static str, expected: &[&str]| {
            assert_eq!(values(&shop, source, typed), expected, "{typed}");
        };
        let (names, ids) = (Source::Chatbots, Source::ChatbotIds);
        check(names, "", &["Shop assistant", "WhatsApp help", "Äpfel", "help desk"]);
        check(names, "HELP", &["help desk", "WhatsApp help"]);
        check(names, "äp", &["Äpfel"]);
        check(names, "2", &["2"]);
        check(names, "zebra", &[]);
        check(names, "%", &[]);
        check(ids, "", &["1", "2", "3", "4"]);
        check(ids, "help", &["4", "2"]);
        check(ids, "3", &["3"]);
        let long: &'static str = "x".repeat(TYPED_CHARS_MAX + 1).leak();
        check(names, long, &[]);
    }

    #[test]
    fn names_that_tell_nothing_apart_are_given_as_numbers() {
        let shop = shop(&["Help", "help", "7", "Other"]);
        assert_eq!(values(&shop, Source::Chatbots, ""), ["1", "2", "3", "Other"]);
    }

    #[test]
    fn at_most_a_hundred() {
        let names: Vec<String> = (1..=101).map(|number| format!("Bot {number}")).collect();
        let shop = shop(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let all = shop.seed(|tx| complete(tx, Source::Chatbots, "bot"));
        assert_eq!((all.values.len(), all.total, all.has_more), (100, Some(101), true));
    }

    #[test]
    fn conversations_by_number() {
        let shop = shop(&["Main"]);
        shop.seed(|tx| {
            let at = |id: i64| Talk::at(NOW.plus(-id.rem_euclid(7) * 1_000));
            (1..=120).chain([1_234, 12_345]).try_for_each(|id| testing::put(tx, id, &at(id)))
        });
        let source = Source::ConversationIds;
        let all = shop.seed(move |tx| complete(tx, source, ""));
        assert_eq!(
            (all.values[0].as_str(), all.values.len(), all.total, all.has_more),
            ("119", 100, None, true)
        );
        let check =
            |typed: &'static str, expected: &[&str]| assert_eq!(values(&shop, source, typed), expected);
        check("12", &["12345", "1234", "120", "12"]);
        check("9", &["99", "98", "97", "96", "95", "94", "93", "92", "91", "90", "9"]);
        check("123456", &[]);
        check("0", &[]);
        check("012", &[]);
        check("-1", &[]);
        check("x", &[]);
        check("99999999999999999999", &[]);
    }
}
