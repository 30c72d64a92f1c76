//! Words that nothing has: misspelt, cut short, or part of a longer one.
//!
//! What is meant is looked for in two ways. A word one edit away (a letter too many, too few or wrong, two letters
//! swapped) that some product has counts almost as if it had been asked for. And whatever shares enough of the word's
//! trigrams in its title or a SKU counts by how many.

use std::collections::{BTreeMap, BTreeSet};

use super::bm25::{self, Statistics};
use super::{BLOCK, Scoreboard, scores_of};
use crate::error::Result;
use crate::store::TenantTx;
use crate::store::index::{self, Space};
use crate::store::words;

/// Characters of a word below which it resembles too much.
const CHARS_MIN: usize = 3;
/// Characters of a word whose neighbours are looked up: below, it has too many that are words; above, trigrams do.
const NEIGHBOUR_CHARS: std::ops::RangeInclusive<usize> = 4..=16;
/// What a neighbour counts of what the word itself would.
const NEIGHBOUR_WEIGHT: f32 = 0.7;
/// The share of a word's trigrams that an item must have.
const SHARE_MIN: f32 = 0.5;
/// Unknown words of a query that are compared.
pub const WORDS_MAX: usize = 4;

/// Adds what each product gets that has what may be meant by `word`, which no product has.
pub fn score(tx: &TenantTx<'_>, word: &str, all: &Statistics, board: &mut Scoreboard) -> Result<()> {
    for neighbour in neighbours(word) {
        if index::has(tx, Space::Products, &neighbour)? {
            bm25::score(tx, &neighbour, all, board, |scores| &mut scores.fuzzy, NEIGHBOUR_WEIGHT)?;
        }
    }
    if word.chars().count() >= CHARS_MIN { score_alike(tx, word, all, board) } else { Ok(()) }
}

/// Every word one edit away from `word`: letters left out, swapped, or from a to z put in or in place of another. None
/// for what holds a digit, for there a neighbour is another size or model.
fn neighbours(word: &str) -> BTreeSet<String> {
    let chars: Vec<char> = word.chars().collect();
    let mut found = BTreeSet::new();
    if !NEIGHBOUR_CHARS.contains(&chars.len()) || chars.iter().any(|c| c.is_numeric()) {
        return found;
    }
    let mut add = |before: &[char], between: &[char], after: &[char]| {
        found.insert([before, between, after].concat().into_iter().collect::<String>());
    };
    for at in 0..=chars.len() {
        let (before, after) = chars.split_at(at);
        ('a'..='z').for_each(|letter| add(before, &[letter], after));
        if let [first, rest @ ..] = after {
            add(before, &[], rest);
            ('a'..='z').for_each(|letter| add(before, &[letter], rest));
            if let [second, rest @ ..] = rest {
                add(before, &[*second, *first], rest);
            }
        }
    }
    found
}

fn score_alike(tx: &TenantTx<'_>, word: &str, all: &Statistics, board: &mut Scoreboard) -> Result<()> {
    let trigrams = words::trigrams(word);
    let alike = alike(&shared(tx, &trigrams)?, trigrams.len());
    let measure = all.rarity(alike.len()) * bm25::in_title();
    for (block, place, share) in alike {
        // Squared, so that a near miss stands well above a faint likeness.
        scores_of(board, block).fuzzy[place] += measure * share * share;
    }
    Ok(())
}

/// How many of `trigrams` each product has, by block and place.
fn shared(tx: &TenantTx<'_>, trigrams: &[String]) -> Result<BTreeMap<i64, [u8; BLOCK]>> {
    let mut shared: BTreeMap<i64, [u8; BLOCK]> = BTreeMap::new();
    for trigram in trigrams {
        for (block, bytes) in index::blocks(tx, Space::ProductTrigrams, trigram)? {
            let counts = shared.entry(block).or_insert([0; BLOCK]);
            index::postings_of(&bytes).for_each(|posting| counts[usize::from(posting.place)] += 1);
        }
    }
    Ok(shared)
}

/// The products with enough of them: block, place, and the share they have.
fn alike(shared: &BTreeMap<i64, [u8; BLOCK]>, of: usize) -> Vec<(i64, usize, f32)> {
    let share = |count: &u8| f32::from(*count) / of as f32;
    let in_block = |(block, counts): (&i64, &[u8; BLOCK])| {
        let found = counts.iter().enumerate().filter(|(_, count)| share(count) >= SHARE_MIN);
        found.map(|(place, count)| (*block, place, share(count))).collect::<Vec<_>>()
    };
    shared.iter().flat_map(in_block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_edit_away() {
        let near = neighbours("jakcet");
        for word in ["jacket", "akcet", "jakcets", "jakket", "ajkcet"] {
            assert!(near.contains(word), "{word}");
        }
        assert!(!near.contains("jackets"));
        for word in ["mug", "rtx4090", &"x".repeat(17)] {
            assert!(neighbours(word).is_empty(), "{word}");
        }
    }
}
