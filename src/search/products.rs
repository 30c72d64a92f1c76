//! Products: what is called exactly that first, then what has the words, then what resembles them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Scoreboard;
use super::bm25::{self, Statistics};
use super::fuzzy;
use super::query::Query;
use crate::error::Result;
use crate::store::TenantTx;
use crate::store::index::BLOCK_ITEMS;
use crate::store::product::{self, Filter};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In the user's words; at most [`super::QUERY_CHARS_MAX`] characters.
    pub query: &'a str,
    /// What is left in before the first are taken.
    pub filter: &'a Filter,
    /// Where to go on.
    pub after: Option<Position>,
    /// Hits at most.
    pub limit: usize,
}

/// Where a hit stands: first those found exactly, then by score, highest first, then by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position(Reverse<bool>, Reverse<i64>, i64);

/// Why it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Match {
    /// A SKU, barcode or handle of it is in the query.
    Exact,
    /// It has a word of the query.
    Lexical,
    /// It has a word that a word of the query was misspelt from, or its title or a SKU resembles one.
    Fuzzy,
}

/// A product that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its number.
    pub id: i64,
    /// Why.
    pub matched: Match,
    /// How well, from 0 up, to four decimals; comparable within one answer.
    pub score: f64,
    /// Where it stands.
    pub position: Position,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The best, in their order.
    pub hits: Vec<Hit>,
    /// How many there are in all, from the beginning.
    pub total: i64,
}

/// Steps of a score, so that a cursor can hold one exactly.
const SCORE_STEPS: f32 = 10_000.0;
/// Products that one code may pin.
const PINNED_MAX: usize = 100;

/// Looks for products.
///
/// # Errors
/// `Invalid` when there is nothing to look for in the query, or it is too long.
pub fn products(tx: &TenantTx<'_>, request: &Request<'_>) -> Result<Found> {
    let query = Query::parse(request.query)?;
    let pinned = pinned(tx, &query)?;
    let board = scoreboard(tx, &query, pinned.is_empty())?;
    let allowed = Allowed::by(tx, request.filter)?;
    let mut hits = hits(&board, &pinned);
    hits.retain(|hit| allowed.has(hit.id));
    let total = hits.len() as i64;
    hits.retain(|hit| request.after.is_none_or(|after| hit.position > after));
    Ok(Found { hits: first(hits, request.limit), total })
}

/// The products that a code of the query names.
fn pinned(tx: &TenantTx<'_>, query: &Query) -> Result<Vec<i64>> {
    let mut pinned = Vec::new();
    for code in &query.codes {
        pinned.extend(product::with_code(tx, code)?.into_iter().take(PINNED_MAX));
    }
    pinned.sort_unstable();
    pinned.dedup();
    Ok(pinned)
}

/// The scores of what has the words; with `forgive`, of what resembles those that nothing has.
fn scoreboard(tx: &TenantTx<'_>, query: &Query, forgive: bool) -> Result<Scoreboard> {
    let mut board = Scoreboard::new();
    let all = Statistics::of(tx)?;
    let mut unknown = Vec::new();
    for word in &query.words {
        let known = bm25::score(tx, word, &all, &mut board, |scores| &mut scores.lexical, 1.0)?;
        if !known && forgive {
            unknown.push(word);
        }
    }
    for word in unknown.into_iter().take(fuzzy::WORDS_MAX) {
        fuzzy::score(tx, word, &all, &mut board)?;
    }
    Ok(board)
}

fn hits(board: &Scoreboard, pinned: &[i64]) -> Vec<Hit> {
    let scored = board.iter().flat_map(|(block, scores)| {
        let both = scores.lexical.iter().zip(&scores.fuzzy).enumerate();
        both.map(move |(place, (lexical, fuzzy))| (block * BLOCK_ITEMS + place as i64, *lexical, *fuzzy))
    });
    let found = scored.filter(|(id, lexical, fuzzy)| lexical + fuzzy > 0.0 && !pinned.contains(id));
    let ranked = found.map(|(id, lexical, fuzzy)| {
        let matched = if lexical > 0.0 { Match::Lexical } else { Match::Fuzzy };
        hit(id, matched, lexical + fuzzy)
    });
    pinned.iter().map(|id| hit(*id, Match::Exact, score_of(board, *id))).chain(ranked).collect()
}

fn score_of(board: &Scoreboard, id: i64) -> f32 {
    let place = id.rem_euclid(BLOCK_ITEMS) as usize;
    board.get(&id.div_euclid(BLOCK_ITEMS)).map_or(0.0, |scores| scores.lexical[place] + scores.fuzzy[place])
}

fn hit(id: i64, matched: Match, score: f32) -> Hit {
    let steps = (score * SCORE_STEPS).round() as i64;
    let position = Position(Reverse(matched == Match::Exact), Reverse(steps), id);
    Hit { id, matched, score: steps as f64 / f64::from(SCORE_STEPS), position }
}

/// The first `limit` of them in order.
fn first(mut hits: Vec<Hit>, limit: usize) -> Vec<Hit> {
    if limit > 0 && hits.len() > limit {
        hits.select_nth_unstable_by_key(limit - 1, |hit| hit.position);
        hits.truncate(limit);
    }
    hits.sort_unstable_by_key(|hit| hit.position);
    hits.truncate(limit);
    hits
}

/// The products that a filter leaves in: a bit for each, by block; `None` for all.
struct Allowed(Option<BTreeMap<i64, u128>>);

impl Allowed {
    fn by(tx: &TenantTx<'_>, filter: &Filter) -> Result<Allowed> {
        if filter.is_empty() {
            return Ok(Allowed(None));
        }
        let mut blocks: BTreeMap<i64, u128> = BTreeMap::new();
        for id in product::ids(tx, filter, 0, product::ALL)? {
            *blocks.entry(id.div_euclid(BLOCK_ITEMS)).or_default() |= 1 << id.rem_euclid(BLOCK_ITEMS);
        }
        Ok(Allowed(Some(blocks)))
    }

    fn has(&self, id: i64) -> bool {
        let Allowed(Some(blocks)) = self else { return true };
        let bits = blocks.get(&id.div_euclid(BLOCK_ITEMS)).copied().unwrap_or_default();
        bits >> id.rem_euclid(BLOCK_ITEMS) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::Store;
    use crate::store::product::{Availability, NewProduct};
    use crate::tools::testing::{NOW, Shop};

    fn shop(products: Value) -> Shop {
        let shop = Shop::new();
        fill(&shop, products);
        shop
    }

    fn fill(shop: &Shop, products: Value) {
        let products = products.as_array().unwrap().clone();
        shop.seed(move |tx| {
            for (number, mut product) in products.into_iter().enumerate() {
                product["source"] = json!("shopify");
                product["handle"] = json!(format!("h-{number}"));
                let new: NewProduct = serde_json::from_value(product).unwrap();
                product::put(tx, &new, NOW)?;
            }
            Ok(())
        });
    }

    fn find(shop: &Shop, query: &str) -> Found {
        find_in(shop, query, &Filter::default(), None, 10)
    }

    fn find_in(shop: &Shop, query: &str, filter: &Filter, after: Option<Position>, limit: usize) -> Found {
        let store: &Store = &shop.store;
        let request = Request { query, filter, after, limit };
        store.read(|tx| products(&tx.tenant(shop.tenant), &request)).unwrap()
    }

    fn ids(found: &Found) -> Vec<i64> {
        found.hits.iter().map(|hit| hit.id).collect()
    }

    fn shoes() -> Value {
        json!([
            {"title": "Red Running Shoes", "vendor": "Acme", "variants": [{"sku": "RUN-42", "barcode": "4006381333931"}]},
            {"title": "Blue Sneakers", "tags": "casual, canvas", "description": "Goes well with red socks."},
            {"title": "Café Crème Mug", "description": "For coffee. A running gag among our shoes."},
            {"title": "Trail Boots", "product_type": "Shoes", "description": "Waterproof."},
        ])
    }

    #[test]
    fn the_best_comes_first() {
        let shop = shop(shoes());
        let check = |query: &str, expected: &[i64]| assert_eq!(ids(&find(&shop, query)), expected, "{query}");
        check("shoe", &[1, 4, 3]);
        check("red shoes", &[1, 2, 4, 3]);
        check("cafe creme", &[3]);
        check("CAFÉ", &[3]);
        check("canvas", &[2]);
        check("a red one for the café please", &[3, 1, 2]);
        check("zzzzzz", &[]);
    }

    #[test]
    fn codes_are_pinned_and_misspellings_forgiven() {
        let shop = shop(shoes());
        let check = |query: &str, expected: &[(i64, Match)]| {
            let found: Vec<_> = find(&shop, query).hits.iter().map(|hit| (hit.id, hit.matched)).collect();
            assert_eq!(found, expected, "{query}");
        };
        check("run-42", &[(1, Match::Exact)]);
        check("snekers RUN-42", &[(1, Match::Exact)]);
        check("4006381333931", &[(1, Match::Exact)]);
        check("is RUN-42 in the blue mug?", &[(1, Match::Exact), (2, Match::Lexical), (3, Match::Lexical)]);
        check("H-3", &[(4, Match::Exact)]);
        check("snekers", &[(2, Match::Fuzzy)]);
        check("sneaker", &[(2, Match::Lexical)]);
        check("sneak", &[(2, Match::Fuzzy)]);
        check("blue snikers", &[(2, Match::Lexical)]);
        check("waterprof", &[(4, Match::Fuzzy)]);
        check("snaekers", &[(2, Match::Fuzzy)]);
        check("boits", &[(4, Match::Fuzzy)]);
        check("zzzzzz", &[]);
    }

    #[test]
    fn nothing_in_a_query_is_syntax() {
        let shop = shop(shoes());
        for query in [
            "\"shoes",
            "shoes*",
            "shoes AND NOT",
            "title:shoes",
            "NEAR(shoes)",
            "'; DROP TABLE product; -- shoes",
        ] {
            assert_eq!(ids(&find(&shop, query)), [1, 4, 3], "{query}");
        }
    }

    #[test]
    fn filters_come_before_the_first_are_taken() {
        let products: Vec<Value> = (1..=40)
            .map(|n| json!({"title": "Red shoe", "price_min": n, "availability": if n % 2 == 0 { "in_stock" } else { "out_of_stock" }}))
            .collect();
        let shop = shop(json!(products));
        let filter = Filter {
            availability: Some(Availability::InStock),
            price_min: crate::store::price::Price::of(30.0),
            ..Filter::default()
        };
        let found = find_in(&shop, "shoe", &filter, None, 3);
        assert_eq!((ids(&found), found.total), (vec![30, 32, 34], 6));
    }

    #[test]
    fn pages_follow_one_another() {
        let products: Vec<Value> =
            (0..300).map(|n| json!({"title": format!("Shoe {}", "x ".repeat(n % 7))})).collect();
        let shop = shop(json!(products));
        let all = ids(&find_in(&shop, "shoe h-100", &Filter::default(), None, 1_000));
        assert_eq!((all.len(), all[0]), (300, 101), "the handle is pinned");
        let (mut paged, mut after) = (Vec::new(), None);
        while let Some(last) = {
            let found = find_in(&shop, "shoe h-100", &Filter::default(), after, 7);
            assert_eq!(found.total, 300);
            paged.extend(ids(&found));
            found.hits.last().map(|hit| hit.position)
        } {
            after = Some(last);
        }
        assert_eq!(paged, all);
    }

    #[test]
    fn another_organisation_changes_neither_results_nor_scores() {
        let mut shop = shop(shoes());
        let ask =
            |shop: &Shop| ["red shoes", "snekers", "run-42", "blue waterprof"].map(|query| find(shop, query));
        let (before, ours) = (ask(&shop), shop.tenant);
        shop.move_in("other");
        let foreign: Vec<Value> = (0..300).map(|n| json!({"title": format!("Red shoe snekers waterprof {n}"), "variants": [{"sku": "RUN-42"}]})).collect();
        fill(&shop, json!(foreign));
        assert_eq!(find(&shop, "red shoes").total, 300);
        shop.tenant = ours;
        assert_eq!(ask(&shop), before);
    }
}
