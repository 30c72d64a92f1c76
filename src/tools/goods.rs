//! A product as tools show it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::text;
use crate::store::price::Price;
use crate::store::product::{Availability, Product};

/// SKUs of a product that are shown; `variants` says how many there are.
const SKUS_MAX: usize = 10;

/// What every list of products shows of one. Its texts come from the shop.
#[derive(Serialize)]
pub struct Shown<'a> {
    pub id: i64,
    pub title: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub vendor: Cow<'a, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub product_type: Cow<'a, str>,
    pub price_min: Option<Price>,
    pub price_max: Option<Price>,
    pub currency: Option<&'a str>,
    pub availability: Availability,
    pub url: Option<Cow<'a, str>>,
    pub skus: Vec<Cow<'a, str>>,
    pub variants: usize,
}

impl<'a> Shown<'a> {
    pub fn of(product: &'a Product) -> Shown<'a> {
        let skus = product.variants.iter().filter_map(|variant| variant.sku.as_deref());
        Shown {
            id: product.id,
            title: text::outside(&product.title, false),
            vendor: text::outside(&product.vendor, false),
            product_type: text::outside(&product.product_type, false),
            price_min: product.price_min,
            price_max: product.price_max,
            currency: product.currency.as_deref(),
            availability: product.availability,
            url: product.url.as_deref().map(|url| text::outside(url, false)),
            skus: skus.take(SKUS_MAX).map(|sku| text::outside(sku, false)).collect(),
            variants: product.variants.len(),
        }
    }
}

/// The first `chars` characters of a text of the shop, an ellipsis after them when there are more.
pub fn excerpt(whole: &str, chars: usize) -> Cow<'_, str> {
    match text::cut(whole, chars) {
        (all, false) => text::outside(all, false),
        (beginning, true) => Cow::Owned(text::outside(beginning, false).trim_end().to_owned() + "…"),
    }
}

/// The schema of those members, and of `more`.
pub fn schema(more: Value) -> Value {
    let text = || json!({"type": "string"});
    let price = || json!({"type": ["number", "null"]});
    let mut members = json!({
        "id": {"type": "integer"}, "title": text(), "vendor": text(), "product_type": text(),
        "price_min": price(), "price_max": price(), "currency": {"type": ["string", "null"]},
        "availability": text(), "url": {"type": ["string", "null"]},
        "skus": {"type": "array", "items": text()}, "variants": {"type": "integer"}
    });
    for (name, schema) in more.as_object().into_iter().flatten() {
        members[name] = schema.clone();
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_says_that_there_is_more() {
        assert_eq!(excerpt("Red shoe", 8), "Red shoe");
        assert_eq!(excerpt("Red shoes", 4), "Red…");
    }
}
