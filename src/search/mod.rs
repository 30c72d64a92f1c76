//! Full-text search: what was asked, cut into words; which items have them; which of those come first.
//!
//! Everything is counted within the organisation: neither results nor scores can tell how much another one has.

mod bm25;
mod fuzzy;
mod products;
mod query;

use std::collections::BTreeMap;

use crate::store::index::BLOCK_ITEMS;

pub use products::{Found, Hit, Match, Position, Request, products};
pub use query::QUERY_CHARS_MAX;

/// Items of a block, as a length.
const BLOCK: usize = BLOCK_ITEMS as usize;

/// The scores of the items of a block.
struct Scores {
    /// From words that an item has.
    lexical: [f32; BLOCK],
    /// From words that are meant by those that nothing has.
    fuzzy: [f32; BLOCK],
}

/// The scores of every item that has any, by block.
type Scoreboard = BTreeMap<i64, Box<Scores>>;

fn scores_of(board: &mut Scoreboard, block: i64) -> &mut Scores {
    board.entry(block).or_insert_with(|| Box::new(Scores { lexical: [0.0; BLOCK], fuzzy: [0.0; BLOCK] }))
}
