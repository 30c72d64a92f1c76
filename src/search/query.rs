//! What was asked for, cut into what can be looked up. Nothing of it reaches SQL or a query language: words are keys.

use crate::error::{Error, Result};
use crate::store::words;

/// Characters of a query at most.
pub const QUERY_CHARS_MAX: usize = 300;
/// Words, and codes, of a query that are looked at; the rest is passed over.
const WORDS_MAX: usize = 32;
/// A part of a query that is to be looked up as a SKU has this many characters, with a digit among them.
const CODE_CHARS_MIN: usize = 4;

pub struct Query {
    /// Different words, in their order, without the too common ones unless there are no others.
    pub words: Vec<String>,
    /// What may be a SKU, a barcode or a handle: all of the query, and each part with a digit.
    pub codes: Vec<String>,
}

impl Query {
    /// # Errors
    /// `Invalid` when there is no letter or digit in it, or more than [`QUERY_CHARS_MAX`] characters.
    pub fn parse(text: &str) -> Result<Query> {
        let text = text.trim();
        let chars = text.chars().count();
        if chars > QUERY_CHARS_MAX {
            return Err(Error::invalid(format!(
                "query: {chars} characters came; wanted at most {QUERY_CHARS_MAX}."
            )));
        }
        let words = distinct(words::words(text));
        if words.is_empty() {
            return Err(Error::invalid(
                "query: there is no letter or digit in it; wanted words to look for, or a SKU. To see every product \
                 use list_products.",
            ));
        }
        Ok(Query { words: without_common(words), codes: codes(text) })
    }
}

fn without_common(words: Vec<String>) -> Vec<String> {
    let only_common = words.iter().all(|word| words::is_stop_word(word));
    words.into_iter().filter(|word| only_common || !words::is_stop_word(word)).take(WORDS_MAX).collect()
}

fn codes(text: &str) -> Vec<String> {
    let trimmed = |part: &str| part.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let is_code = |part: &String| part.len() >= CODE_CHARS_MIN && part.bytes().any(|b| b.is_ascii_digit());
    let parts = text.split_whitespace().map(trimmed).filter(is_code);
    distinct(std::iter::once(text.to_owned()).chain(parts).take(WORDS_MAX).collect())
}

fn distinct(all: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_a_query() {
        let check = |text: &str, words: &[&str], codes: &[&str]| {
            let query = Query::parse(text).unwrap();
            assert_eq!(query.words, words, "{text}");
            assert_eq!(query.codes, codes, "{text}");
        };
        check("Red shoes, red", &["red", "shoe"], &["Red shoes, red"]);
        check("do you have the SNK-001?", &["snk", "001"], &["do you have the SNK-001?", "SNK-001"]);
        check("to be", &["to", "be"], &["to be"]);
        check("NEAR(\"a\" OR b*)", &["near", "b"], &["NEAR(\"a\" OR b*)"]);
    }

    #[test]
    fn nothing_to_look_for_is_refused() {
        let check = |text: &str, expected: &str| {
            let refused = Query::parse(text).map(|_| ()).unwrap_err();
            assert!(refused.public.starts_with(expected), "{}", refused.public);
        };
        for text in ["", "  ", "\"", "*", "-- ; ''", "…"] {
            check(text, "query: there is no letter or digit in it");
        }
        check(&"x".repeat(301), "query: 301 characters came");
    }
}
