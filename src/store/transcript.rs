//! The words of transcripts: how they stand in the full-text index, and how they are asked for.
//!
//! In the index each word begins with its organisation, so that a search never meets another's; and none of what a
//! user typed but letters and digits reaches the index's query language.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::ops::Range;

use super::{Tenant, TenantTx, words};
use crate::error::Result;

/// From this many characters on, a word that is asked for also finds longer words that begin with it.
const PREFIX_CHARS_MIN: usize = 3;

/// Words that are asked for, all of which a transcript must have. See [`words::words`] for what is taken for the same
/// word; one of three characters or more also finds those that begin with it.
#[derive(Clone, Debug)]
pub struct Words(Vec<String>);

impl Words {
    /// The words of `query`; `None` when it has none.
    pub fn parse(query: &str) -> Option<Words> {
        let mut words = words::words(query);
        words.sort_unstable();
        words.dedup();
        (!words.is_empty()).then_some(Words(words))
    }

    /// The full-text expression that finds the transcripts of `tenant` with all these words.
    pub(super) fn expression(&self, tenant: Tenant) -> String {
        let mut expression = String::new();
        for word in &self.0 {
            let and = if expression.is_empty() { "" } else { " AND " };
            let star = if is_beginning(word) { " *" } else { "" };
            let _ = write!(expression, "{and}\"o{}x{word}\"{star}", tenant.0);
        }
        expression
    }

    /// Where the first piece of `text` with one of these words stands, in bytes.
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        let is_hit = |piece: &&str| words::words(piece).iter().any(|word| self.has(word));
        let piece = text.split_whitespace().find(is_hit)?;
        let start = piece.as_ptr() as usize - text.as_ptr() as usize;
        Some(start..start + piece.len())
    }

    fn has(&self, found: &str) -> bool {
        self.0.iter().any(|word| found == word || is_beginning(word) && found.starts_with(word.as_str()))
    }
}

/// Short words of Latin script stand for themselves alone; in scripts without spaces one character is a word.
fn is_beginning(word: &str) -> bool {
    !word.is_ascii() || word.len() >= PREFIX_CHARS_MIN
}

/// Indexes a transcript under the key of its conversation's row, in place of what was there if `replace`.
pub(super) fn index<'a>(
    tx: &TenantTx<'_>,
    row: i64,
    replace: bool,
    texts: impl Iterator<Item = &'a str>,
) -> Result<()> {
    // The row was found under its organisation; the table itself has no column for one, hence the empty tests of ?1.
    if replace {
        tx.execute("DELETE FROM transcript_words WHERE rowid = ?2 AND ?1 IS NOT NULL", &[&row])?;
    }
    let sql = "INSERT INTO transcript_words (rowid, words) SELECT ?2, ?3 WHERE ?1 IS NOT NULL";
    tx.execute(sql, &[&row, &distinct(tx.tenant(), texts)])?;
    Ok(())
}

/// Each word of the texts once, beginning with the organisation.
fn distinct<'a>(tenant: Tenant, texts: impl Iterator<Item = &'a str>) -> String {
    let mut seen = HashSet::new();
    let mut all = String::new();
    for word in texts.flat_map(words::words) {
        if !seen.contains(&word) {
            let _ = write!(all, "o{}x{word} ", tenant.0);
            seen.insert(word);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: Tenant = Tenant(3);

    #[test]
    fn indexes_each_word_once_with_its_organisation() {
        let check = |text: &str, expected: &str| {
            assert_eq!(distinct(TENANT, std::iter::once(text)).trim_end(), expected, "{text}");
        };
        check("I returned a return, to return it!", "o3xi o3xreturned o3xa o3xreturn o3xto o3xit");
        check("Café CAFE", "o3xcafe");
        check("日本語", "o3x日 o3x日本 o3x本語");
        check("?! …", "");
    }

    #[test]
    fn asks_in_quotes_for_words_and_their_beginnings() {
        let check = |query: &str, expected: Option<&str>| {
            let words = Words::parse(query);
            assert_eq!(words.map(|words| words.expression(TENANT)).as_deref(), expected, "{query}");
        };
        check("return", Some("\"o3xreturn\" *"));
        check("Returns RETURN to", Some("\"o3xreturn\" * AND \"o3xto\""));
        check("a\" OR o4xb* NEAR(", Some("\"o3xa\" AND \"o3xnear\" * AND \"o3xo4xb\" * AND \"o3xor\""));
        check("返", Some("\"o3x返\" *"));
        check("\"'*()^:", None);
        check("", None);
    }

    #[test]
    fn finds_a_word_again() {
        let check = |query: &str, text: &str, expected: Option<&str>| {
            let found = Words::parse(query).unwrap().find(text);
            assert_eq!(found.map(|range| &text[range]), expected, "{query} in {text}");
        };
        check("return", "Can I have RETURNED it?", Some("RETURNED"));
        check("in", "inside it is in\nthere", Some("in"));
        check("cafe", "Das (Café) ist zu", Some("(Café)"));
        check("返品", "あの これを返品したい", Some("これを返品したい"));
        check("refund", "return", None);
    }
}
