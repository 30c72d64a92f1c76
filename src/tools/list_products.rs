//! `list_products`: the synced catalogue, by number.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::goods::{self, Shown};
use super::page::{self, Page, Paging};
use super::{Cx, Effect, Json, Refusal, Spec, schema};
use crate::clock::Time;
use crate::store::product::{self, Availability, Filter, Product};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    availability: Option<Availability>,
    vendor: Option<String>,
    product_type: Option<String>,
    updated_since: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

/// Characters of a product's tags that are shown.
const TAGS_CHARS_MAX: usize = 300;

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "list_products",
        title: "List products",
        about: "Lists the products synced from the shop, oldest number first: title, price range, availability, SKUs, \
                last change. Filter by availability, vendor, type (whole names, any case) or change date. To find \
                products by words use search_products.",
        effect: Effect::Read,
        untrusted: &[
            "/products/*/title",
            "/products/*/vendor",
            "/products/*/product_type",
            "/products/*/url",
            "/products/*/skus/*",
            "/products/*/tags",
        ],
    };
    type Args = Args;

    fn input() -> Value {
        let name = || json!({"type": "string", "minLength": 1, "maxLength": 255});
        schema::list_input(json!({
            "availability": {"type": "string", "enum": Availability::WORDS},
            "vendor": name(),
            "product_type": name(),
            "updated_since": {"type": "string", "description": "RFC 3339 time or date"}
        }))
    }

    fn output() -> Value {
        let more = json!({
            "tags": {"type": "string"}, "source": {"type": "string"}, "updated_at": {"type": "string"}
        });
        schema::list_output("products", goods::schema(more))
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let filter = Filter {
            availability: args.availability,
            vendor: args.vendor,
            product_type: args.product_type,
            updated_since: args.updated_since.as_deref().map(since).transpose()?,
            ..Filter::default()
        };
        let after: Option<i64> = cx.position(args.paging.cursor.as_deref())?;
        let mut page = Page::new(cx, &args.paging);
        for product in product::list(cx.tx, &filter, after, args.paging.fetch())? {
            page.push(&Row::of(&product), product.id)?;
        }
        page.finish("products", product::count(cx.tx, &filter)?)
    }
}

fn since(text: &str) -> Result<Time, Refusal> {
    Time::parse(text).ok_or_else(|| {
        let shown = page::cut(text, 40);
        Refusal::arguments(format!(
            "updated_since: came {shown:?}; wanted a time such as 2026-11-22T08:00:00Z, or a date such as 2026-11-22."
        ))
    })
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    tags: Cow<'a, str>,
    source: &'a str,
    updated_at: Time,
}

impl<'a> Row<'a> {
    fn of(product: &'a Product) -> Row<'a> {
        let tags = goods::excerpt(&product.tags, TAGS_CHARS_MAX);
        Row { shown: Shown::of(product), tags, source: &product.source, updated_at: product.updated_at }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::store::product;
    use crate::tools::testing::{NOW, Shop};

    fn put(shop: &Shop, new: Value) {
        shop.seed(move |tx| product::put(tx, &serde_json::from_value(new).unwrap(), NOW));
    }

    fn shop() -> Shop {
        let shop = Shop::new();
        put(
            &shop,
            json!({
                "source": "shopify", "handle": "a", "title": "Red shoe", "vendor": "Acme", "currency": "eur",
                "variants": [{"sku": "A-1", "price": 19.99, "available": true}, {"sku": "A-2", "price": "25"}],
                "tags": "red, shoe", "updated_at": "2026-01-01"
            }),
        );
        put(&shop, json!({"source": "woo", "handle": "b", "title": "Mug", "product_type": "Kitchen"}));
        shop
    }

    #[test]
    fn shows_what_the_shop_gave() {
        let answer = shop().call("list_products", json!({"limit": 1})).unwrap();
        assert!(answer["untrusted"]["fields"].as_array().unwrap().contains(&json!("/products/*/title")));
        let expected = json!([{
            "id": 1, "title": "Red shoe", "vendor": "Acme", "price_min": 19.99, "price_max": 25.0,
            "currency": "EUR", "availability": "in_stock", "url": null, "skus": ["A-1", "A-2"], "variants": 2,
            "tags": "red, shoe", "source": "shopify", "updated_at": "2026-01-01T00:00:00Z"
        }]);
        assert_eq!((&answer["products"], &answer["total"]), (&expected, &json!(2)));
    }

    #[test]
    fn filters_and_goes_on() {
        let shop = shop();
        let check = |mut arguments: Value, expected: &[i64]| {
            let mut found = Vec::new();
            loop {
                let answer = shop.call("list_products", arguments.clone()).unwrap();
                assert_eq!(answer["total"], expected.len(), "{arguments}");
                found
                    .extend(answer["products"].as_array().unwrap().iter().map(|p| p["id"].as_i64().unwrap()));
                if answer["next_cursor"].is_null() {
                    break;
                }
                arguments["cursor"] = answer["next_cursor"].clone();
            }
            assert_eq!(found, expected, "{arguments}");
        };
        check(json!({"limit": 1}), &[1, 2]);
        check(json!({"vendor": "acme"}), &[1]);
        check(json!({"product_type": "kitchen"}), &[2]);
        check(json!({"availability": "unknown"}), &[2]);
        check(json!({"updated_since": "2026-01-02"}), &[2]);
        check(json!({"vendor": "nobody"}), &[]);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let shop = shop();
        let check = |arguments: Value, expected: &str| {
            let refusal = shop.call("list_products", arguments).unwrap_err();
            assert!(refusal.message.contains(expected), "{}", refusal.message);
        };
        check(json!({"updated_since": "yesterday"}), "updated_since: came \"yesterday\"; wanted");
        check(json!({"availability": "gone"}), "availability");
        check(json!({"vendor": ""}), "vendor");
        check(json!({"limit": 101}), "limit");
    }

    #[test]
    fn another_organisation_is_not_seen() {
        let mut shop = shop();
        shop.move_in("other");
        assert_eq!(shop.call("list_products", json!({})).unwrap()["total"], 0);
    }
}
