use serde_json::json;

use super::*;
use crate::store::Put;
use crate::store::index::{self, Space};
use crate::tools::testing::{NOW, Shop};

fn new(value: Value) -> NewProduct {
    let mut all = json!({"source": "shopify", "handle": "red-shoe", "title": "Red Shoe"});
    for (name, value) in value.as_object().unwrap() {
        all[name] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

fn has_term(tx: &TenantTx<'_>, term: &str) -> bool {
    !index::blocks(tx, Space::Products, term).unwrap().is_empty()
}

#[test]
fn the_same_again_changes_nothing() {
    Shop::new().seed(|tx| {
        let mut shoe = new(json!({"variants": [{"sku": "snk-1", "price": 19.99, "available": true}]}));
        assert_eq!(put(tx, &shoe, NOW)?, Put::Created(1));
        assert_eq!(put(tx, &shoe, NOW.plus(1))?, Put::Unchanged(1));
        let stored = get(tx, 1)?.unwrap();
        assert_eq!(stored.external_id, "shopify:red-shoe");
        assert_eq!((stored.price_min, stored.price_max), (Some(Price(1999)), Some(Price(1999))));
        assert_eq!((stored.availability, stored.updated_at), (Availability::InStock, NOW));
        shoe.title = "Blue Shoe".into();
        shoe.variants[0].sku = Some("SNK-2".into());
        assert_eq!(put(tx, &shoe, NOW.plus(2))?, Put::Updated(1));
        assert_eq!(get(tx, 1)?.unwrap().updated_at, NOW.plus(2));
        assert!(has_term(tx, "blue") && !has_term(tx, "red"), "the words follow the title");
        assert_eq!((with_code(tx, "snk-1")?, with_code(tx, " snk-2 ")?), (vec![], vec![1]));
        Ok(())
    });
}

#[test]
fn a_product_that_is_removed_is_found_by_nothing() {
    Shop::new().seed(|tx| {
        let shoe = new(json!({"variants": [{"sku": "snk-1"}]}));
        put(tx, &shoe, NOW)?;
        assert!(remove(tx, "shopify:red-shoe")?);
        assert!(!remove(tx, "shopify:red-shoe")?);
        assert!(!has_term(tx, "red") && with_code(tx, "snk-1")?.is_empty());
        assert_eq!((count(tx, &Filter::default())?, index::totals(tx, Space::Products)?), (0, (0, 0)));
        assert_eq!(put(tx, &shoe, NOW)?, Put::Created(2), "numbers are never given out again");
        Ok(())
    });
}

#[test]
fn a_product_that_is_none_is_refused_by_field() {
    Shop::new().seed(|tx| {
        let check = |value: Value, expected: &str| {
            let refused = put(tx, &new(value), NOW).unwrap_err();
            assert!(refused.public.starts_with(expected), "{}", refused.public);
        };
        check(json!({"title": " "}), "title: it is empty");
        check(json!({"title": "x".repeat(501)}), "title: 501 characters came; at most 500");
        check(json!({"handle": ""}), "external_id: it is empty, and so is handle");
        check(json!({"source": ""}), "source: it is empty");
        check(json!({"currency": "euro"}), "currency: it is no ISO 4217 code");
        check(json!({"price_min": 2, "price_max": 1}), "price_min: it is above price_max");
        check(json!({"variants": vec![json!({}); 2_049]}), "variants: 2049 came");
        check(json!({"variants": [{"sku": "x".repeat(129)}]}), "variants.sku: 129 characters");
        assert_eq!(count(tx, &Filter::default())?, 0);
        Ok(())
    });
}

#[test]
fn lists_what_the_filter_leaves() {
    Shop::new().seed(|tx| {
        let put = |value| put(tx, &new(value), NOW);
        put(json!({"handle": "a", "vendor": "Acme", "price_min": 10, "price_max": 20, "availability": "in_stock"}))?;
        put(json!({"handle": "b", "source": "woo", "product_type": "Shoes", "price_min": 30}))?;
        put(json!({"handle": "c", "updated_at": "2026-01-01"}))?;
        let check = |filter: Filter, expected: &[i64]| {
            let listed: Vec<i64> = list(tx, &filter, None, 10).unwrap().iter().map(|p| p.id).collect();
            assert_eq!(listed, expected, "{filter:?}");
            assert_eq!(ids(tx, &filter, 0, ALL).unwrap(), expected);
            assert_eq!(count(tx, &filter).unwrap(), expected.len() as i64);
        };
        let all = Filter::default;
        check(all(), &[1, 2, 3]);
        check(Filter { vendor: Some("ACME".into()), ..all() }, &[1]);
        check(Filter { product_type: Some("shoes".into()), ..all() }, &[2]);
        check(Filter { availability: Some(Availability::Unknown), ..all() }, &[2, 3]);
        check(Filter { updated_since: Some(NOW), ..all() }, &[1, 2]);
        check(Filter { sources: Some(vec!["woo".into()]), ..all() }, &[2]);
        check(Filter { price_min: Some(Price(1_500)), ..all() }, &[1, 2]);
        check(Filter { price_max: Some(Price(2_500)), ..all() }, &[1]);
        check(Filter { price_min: Some(Price(2_500)), price_max: Some(Price(1_000)), ..all() }, &[]);
        let after: Vec<i64> = list(tx, &all(), Some(1), 1)?.iter().map(|p| p.id).collect();
        assert_eq!(after, [2]);
        Ok(())
    });
}
