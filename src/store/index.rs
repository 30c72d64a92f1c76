//! The inverted index behind full-text search: which items have a term, how often and where.
//!
//! Every key begins with the organisation, and what scores are made of is counted within it: no other organisation's
//! rows can be found, change a score, or cost time. Postings are blobs of 128 items: a term that ten thousand items
//! have is eighty rows.

use std::collections::{BTreeMap, BTreeSet};

use super::TenantTx;
use super::limit::Visible;
use crate::error::Result;

/// What is indexed, in one organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Products by the words of their texts.
    Products = 1,
    /// Products by the trigrams of their titles and SKUs.
    ProductTrigrams = 2,
    /// Documents and custom content by their words.
    Documents = 3,
}

impl Space {
    /// How many there are.
    pub(super) const COUNT: usize = 3;

    /// Its place among them, from 0.
    pub(super) fn place(self) -> usize {
        self as usize - 1
    }

    /// The table whose rows are its items.
    pub(super) fn table(self) -> &'static str {
        match self {
            Space::Products | Space::ProductTrigrams => "product",
            Space::Documents => "document",
        }
    }
}

/// Where in an item a term stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Its title.
    Title = 0,
    /// What it is labelled with: vendor, type, tags.
    Label = 1,
    /// Its text.
    Body = 2,
}

/// Items whose postings share a row.
pub const BLOCK_ITEMS: i64 = 128;
/// Bytes of a posting: place within the block, occurrences in each field, the item's length in two bytes.
pub(super) const POSTING_BYTES: usize = 6;
/// Words of an item that are indexed; the rest is not found.
const LENGTH_MAX: usize = u16::MAX as usize;

/// That an item has a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The item's place within its block, below [`BLOCK_ITEMS`].
    pub place: u8,
    /// How often the term stands in title, labels and body; 255 is that often or more.
    pub counts: [u8; 3],
    /// How many words the item has.
    pub length: u16,
}

/// What an item is found by.
#[derive(Default)]
pub struct Entry {
    terms: BTreeMap<String, [u8; 3]>,
    length: usize,
}

impl Entry {
    /// Adds one occurrence of `term`, unless the item has [`u16::MAX`] already.
    pub fn add(&mut self, field: Field, term: String) {
        if self.length < LENGTH_MAX {
            self.length += 1;
            let count = &mut self.terms.entry(term).or_default()[field as usize];
            *count = count.saturating_add(1);
        }
    }

    fn postings(&self, item: i64) -> impl Iterator<Item = (&str, Posting)> {
        let (place, length) = (place_of(item), self.length as u16);
        self.terms
            .iter()
            .map(move |(term, counts)| (term.as_str(), Posting { place, counts: *counts, length }))
    }
}

/// Indexes a new item: its number is above every other of the space.
pub fn add(tx: &TenantTx<'_>, space: Space, item: i64, entry: &Entry) -> Result<()> {
    // As in splice, without looking: what comes last in a block is put at its end.
    let sql = "INSERT INTO search_posting (organisation, space, term, block, postings) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE \
               SET postings = CAST(postings || excluded.postings AS BLOB)";
    let block = item.div_euclid(BLOCK_ITEMS);
    for (term, posting) in entry.postings(item) {
        tx.execute(sql, &[&(space as i64), &term, &block, &bytes_of(posting)])?;
    }
    note(tx, space, item, entry)?;
    count(tx, space, 1, entry.length as i64)
}

/// Indexes `item` with `entry` alone; what it was indexed with before is taken out. Rows that are right already are
/// read and left.
pub fn set(tx: &TenantTx<'_>, space: Space, item: i64, entry: &Entry) -> Result<()> {
    let old = indexed(tx, space, item)?;
    let vanished = |term: &&str| !entry.terms.contains_key(*term);
    let old_terms: BTreeSet<&str> = old.iter().flat_map(|(_, terms)| terms.split(' ')).collect();
    for term in old_terms.into_iter().filter(vanished) {
        splice(tx, space, term, item, None)?;
    }
    for (term, posting) in entry.postings(item) {
        splice(tx, space, term, item, Some(posting))?;
    }
    note(tx, space, item, entry)?;
    let before = old.as_ref().map_or(0, |(length, _)| *length);
    count(tx, space, i64::from(old.is_none()), entry.length as i64 - before)
}

/// Takes `item` out of the index; whether it was there.
pub fn remove(tx: &TenantTx<'_>, space: Space, item: i64) -> Result<bool> {
    let Some((length, terms)) = indexed(tx, space, item)? else { return Ok(false) };
    for term in terms.split(' ') {
        splice(tx, space, term, item, None)?;
    }
    let sql = "DELETE FROM search_entry WHERE organisation = ?1 AND space = ?2 AND item = ?3";
    tx.execute(sql, &[&(space as i64), &item])?;
    count(tx, space, -1, -length)?;
    Ok(true)
}

/// Takes out every item whose row is gone; how many.
pub fn remove_vanished(tx: &TenantTx<'_>, space: Space) -> Result<usize> {
    let table = space.table();
    let sql = format!(
        "SELECT item FROM search_entry WHERE organisation = ?1 AND space = ?2 AND NOT EXISTS \
         (SELECT 1 FROM {table} WHERE organisation = ?1 AND id = search_entry.item)"
    );
    let items: Vec<i64> = tx.all(&sql, &[&(space as i64)], |row| Ok(row.get(0)?))?;
    for item in &items {
        remove(tx, space, *item)?;
    }
    Ok(items.len())
}

/// The postings of `term`, a block of 128 items at a time: the block's number (item / 128) and what [`postings_of`] reads.
pub fn blocks(tx: &TenantTx<'_>, space: Space, term: &str) -> Result<Vec<(i64, Vec<u8>)>> {
    let sql =
        "SELECT block, postings FROM search_posting WHERE organisation = ?1 AND space = ?2 AND term = ?3";
    let block = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get_ref(1)?.as_blob()?.to_vec()));
    let mut found = tx.all(sql, &[&(space as i64), &term], block)?;
    if let Some(visible) = Visible::of(tx, space)? {
        visible.mask(&mut found);
    }
    Ok(found)
}

/// Whether any item has `term`.
pub fn has(tx: &TenantTx<'_>, space: Space, term: &str) -> Result<bool> {
    if Visible::of(tx, space)?.is_some() {
        return Ok(!blocks(tx, space, term)?.is_empty());
    }
    let sql = "SELECT 1 FROM search_posting WHERE organisation = ?1 AND space = ?2 AND term = ?3 LIMIT 1";
    Ok(tx.first(sql, &[&(space as i64), &term], |_| Ok(()))?.is_some())
}

/// How many postings a block's bytes are.
pub fn postings_count(bytes: &[u8]) -> usize {
    bytes.len() / POSTING_BYTES
}

/// The postings that a block's bytes are, by place.
pub fn postings_of(bytes: &[u8]) -> impl Iterator<Item = Posting> + '_ {
    bytes.as_chunks::<POSTING_BYTES>().0.iter().map(|&[place, title, label, body, low, high]| Posting {
        place: place & 127,
        counts: [title, label, body],
        length: u16::from_le_bytes([low, high]),
    })
}

/// How many items `space` has, and how many words they have in all.
pub fn totals(tx: &TenantTx<'_>, space: Space) -> Result<(i64, i64)> {
    if let Some(visible) = Visible::of(tx, space)? {
        return Ok(visible.totals);
    }
    let sql = "SELECT items, length FROM search_total WHERE organisation = ?1 AND space = ?2";
    Ok(tx.first(sql, &[&(space as i64)], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or((0, 0)))
}

/// The length and the terms that `item` is indexed with.
fn indexed(tx: &TenantTx<'_>, space: Space, item: i64) -> Result<Option<(i64, String)>> {
    let sql = "SELECT length, terms FROM search_entry WHERE organisation = ?1 AND space = ?2 AND item = ?3";
    tx.first(sql, &[&(space as i64), &item], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Keeps what `item` is indexed with.
fn note(tx: &TenantTx<'_>, space: Space, item: i64, entry: &Entry) -> Result<()> {
    let terms: Vec<&str> = entry.terms.keys().map(String::as_str).collect();
    let sql = "INSERT INTO search_entry (organisation, space, item, length, terms) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT DO UPDATE SET length = excluded.length, terms = excluded.terms";
    tx.execute(sql, &[&(space as i64), &item, &(entry.length as i64), &terms.join(" ")])?;
    Ok(())
}

/// Puts the posting of `item` into the term's block, over the one there may be, or takes it out.
fn splice(tx: &TenantTx<'_>, space: Space, term: &str, item: i64, posting: Option<Posting>) -> Result<()> {
    let (space, block) = (space as i64, item.div_euclid(BLOCK_ITEMS));
    let sql = "SELECT postings FROM search_posting \
               WHERE organisation = ?1 AND space = ?2 AND term = ?3 AND block = ?4";
    let found = tx.first(sql, &[&space, &term, &block], |row| Ok(row.get_ref(0)?.as_blob()?.to_vec()))?;
    let before = found.unwrap_or_default();
    let mut bytes = before.clone();
    replace(&mut bytes, place_of(item), posting);
    if bytes == before {
        return Ok(());
    }
    if bytes.is_empty() {
        let sql = "DELETE FROM search_posting \
                   WHERE organisation = ?1 AND space = ?2 AND term = ?3 AND block = ?4";
        tx.execute(sql, &[&space, &term, &block])?;
    } else {
        let sql = "INSERT INTO search_posting (organisation, space, term, block, postings) \
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET postings = excluded.postings";
        tx.execute(sql, &[&space, &term, &block, &bytes])?;
    }
    Ok(())
}

fn replace(bytes: &mut Vec<u8>, place: u8, posting: Option<Posting>) {
    let (chunks, _) = bytes.as_chunks::<POSTING_BYTES>();
    let (start, taken) = match chunks.binary_search_by_key(&place, |chunk| chunk[0]) {
        Ok(found) => (found * POSTING_BYTES, POSTING_BYTES),
        Err(gap) => (gap * POSTING_BYTES, 0),
    };
    let written = posting.map(bytes_of);
    bytes.splice(start..start + taken, written.into_iter().flatten());
}

fn bytes_of(Posting { place, counts: [title, label, body], length }: Posting) -> [u8; POSTING_BYTES] {
    let [low, high] = length.to_le_bytes();
    [place, title, label, body, low, high]
}

fn place_of(item: i64) -> u8 {
    item.rem_euclid(BLOCK_ITEMS) as u8
}

fn count(tx: &TenantTx<'_>, space: Space, items: i64, length: i64) -> Result<()> {
    let sql = "INSERT INTO search_total (organisation, space, items, length) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO UPDATE SET items = items + excluded.items, length = length + excluded.length";
    tx.execute(sql, &[&(space as i64), &items, &length])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::testing::Shop;

    fn entry(text: &str) -> Entry {
        let mut entry = Entry::default();
        text.split_whitespace().for_each(|word| entry.add(Field::Title, word.to_owned()));
        entry
    }

    fn items(tx: &TenantTx<'_>, term: &str) -> Vec<i64> {
        let blocks = blocks(tx, Space::Products, term).unwrap();
        let item = |block: i64, posting: Posting| block * BLOCK_ITEMS + i64::from(posting.place);
        blocks.iter().flat_map(|(block, bytes)| postings_of(bytes).map(|p| item(*block, p))).collect()
    }

    #[test]
    fn holds_what_was_set_last_and_nothing_of_what_was_removed() {
        Shop::new().seed(|tx| {
            for item in [300, 5, 127, 128] {
                set(tx, Space::Products, item, &entry("red shoe"))?;
            }
            set(tx, Space::Products, 127, &entry("blue shoe shoe"))?;
            assert_eq!(items(tx, "red"), [5, 128, 300]);
            assert_eq!(items(tx, "shoe"), [5, 127, 128, 300]);
            assert_eq!(totals(tx, Space::Products)?, (4, 9));
            assert!(remove(tx, Space::Products, 5)?);
            assert!(!remove(tx, Space::Products, 5)?);
            assert_eq!(items(tx, "shoe"), [127, 128, 300]);
            assert_eq!(totals(tx, Space::Products)?, (3, 7));
            assert_eq!(remove_vanished(tx, Space::Products)?, 3, "there are no such products");
            assert_eq!(tx.number("SELECT count(*) FROM search_posting WHERE organisation = ?1", &[])?, 0);
            Ok(())
        });
    }

    #[test]
    fn adding_comes_to_the_same_as_setting() {
        let rows = |tx: &TenantTx<'_>| {
            let sql = "SELECT term, block, postings FROM search_posting WHERE organisation = ?1";
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
            tx.all::<(String, i64, Vec<u8>)>(sql, &[], row).unwrap()
        };
        let index = |put: fn(&TenantTx<'_>, Space, i64, &Entry) -> Result<()>| {
            Shop::new().seed(move |tx| {
                for item in [1, 2, 10, 127, 128, 300] {
                    put(tx, Space::Products, item, &entry("red shoe"))?;
                }
                Ok((rows(tx), totals(tx, Space::Products)?))
            })
        };
        assert_eq!(index(add), index(set));
    }

    #[test]
    fn counts_occurrences_by_field_up_to_255() {
        Shop::new().seed(|tx| {
            let mut entry = entry(&"shoe ".repeat(300));
            entry.add(Field::Body, "shoe".to_owned());
            set(tx, Space::Products, 1, &entry)?;
            let found = blocks(tx, Space::Products, "shoe")?;
            let postings: Vec<Posting> = postings_of(&found[0].1).collect();
            assert_eq!(postings, [Posting { place: 1, counts: [255, 0, 1], length: 301 }]);
            Ok(())
        });
    }
}
