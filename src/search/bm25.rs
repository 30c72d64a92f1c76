//! How much an item is about a word: Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework",
//! 2009), with the occurrences in each field weighted before they saturate.

use super::{BLOCK, Scoreboard, Scores, scores_of};
use crate::error::Result;
use crate::store::TenantTx;
use crate::store::index::{self, Posting, Space};

/// What an occurrence in title, labels and body counts.
const WEIGHTS: [f32; 3] = [5.0, 2.5, 1.0];
/// How soon more occurrences stop counting.
const K1: f32 = 1.2;
/// How much a long text's words count less: little, for a product is not less of a shoe for being well described.
const B: f32 = 0.4;

/// What all products have, which scores are relative to.
pub struct Statistics {
    items: f32,
    mean_length: f32,
}

impl Statistics {
    pub fn of(tx: &TenantTx<'_>) -> Result<Statistics> {
        let (items, length) = index::totals(tx, Space::Products)?;
        let items = items.max(1) as f32;
        Ok(Statistics { items, mean_length: (length as f32 / items).max(1.0) })
    }

    /// How much it says that an item has what `holders` items have.
    pub fn rarity(&self, holders: usize) -> f32 {
        let holders = holders as f32;
        (1.0 + (self.items - holders + 0.5).max(0.0) / (holders + 0.5)).ln()
    }
}

/// Adds what each item that has `word` gets for it to that part of its scores, times `weight`; whether any has it.
pub fn score(
    tx: &TenantTx<'_>,
    word: &str,
    all: &Statistics,
    board: &mut Scoreboard,
    part: fn(&mut Scores) -> &mut [f32; BLOCK],
    weight: f32,
) -> Result<bool> {
    let blocks = index::blocks(tx, Space::Products, word)?;
    let holders = blocks.iter().map(|(_, bytes)| index::postings_count(bytes)).sum();
    let rarity = all.rarity(holders) * weight;
    for (block, bytes) in &blocks {
        let scores = part(scores_of(board, *block));
        for posting in index::postings_of(bytes) {
            scores[usize::from(posting.place)] += rarity * saturated(posting, all.mean_length);
        }
    }
    Ok(holders > 0)
}

/// What a single occurrence in a title of mean length comes to, before rarity: the measure for a word alike.
pub fn in_title() -> f32 {
    saturated(Posting { place: 0, counts: [1, 0, 0], length: 1 }, 1.0)
}

fn saturated(posting: Posting, mean_length: f32) -> f32 {
    let frequency: f32 =
        posting.counts.iter().zip(WEIGHTS).map(|(count, weight)| f32::from(*count) * weight).sum();
    let relative_length = f32::from(posting.length) / mean_length;
    frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * relative_length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(counts: [u8; 3], length: u16) -> f32 {
        saturated(Posting { place: 0, counts, length }, 10.0)
    }

    #[test]
    fn title_above_labels_above_text_and_short_above_long() {
        assert!(one([1, 0, 0], 10) > one([0, 1, 0], 10));
        assert!(one([0, 1, 0], 10) > one([0, 0, 1], 10));
        assert!(one([0, 0, 1], 5) > one([0, 0, 1], 50));
        assert!(one([2, 0, 0], 10) < 2.0 * one([1, 0, 0], 10), "more of the same saturates");
    }

    #[test]
    fn what_few_have_says_more() {
        let all = Statistics { items: 100.0, mean_length: 10.0 };
        assert!(all.rarity(1) > all.rarity(50));
        assert!(all.rarity(100) > 0.0);
    }
}
