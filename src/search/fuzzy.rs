//! Words that nothing has: misspelt, cut short, or part of a longer one. What shares enough of their trigrams in title
//! or SKU is taken for what was meant.

use std::collections::BTreeMap;

use super::bm25::{self, Statistics};
use super::{BLOCK, Scoreboard, scores_of};
use crate::error::Result;
use crate::store::TenantTx;
use crate::store::index::{self, Space};
use crate::store::words;

/// Characters of a word below which it resembles too much.
const CHARS_MIN: usize = 3;
/// The share of a word's trigrams that an item must have.
const SHARE_MIN: f32 = 0.5;
/// Unknown words of a query that are compared.
pub const WORDS_MAX: usize = 8;

/// Adds what each product that resembles `word` gets for it.
pub fn score(tx: &TenantTx<'_>, word: &str, all: &Statistics, board: &mut Scoreboard) -> Result<()> {
    if word.chars().count() < CHARS_MIN {
        return Ok(());
    }
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
