//! Products: what the shop's catalogues hold, how they are listed and how they are found again.

mod put;
#[cfg(test)]
mod tests;

use rusqlite::Row;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TenantTx;
use super::choice::choice;
use super::price::Price;
use crate::clock::Time;
use crate::error::{Error, Result};

pub use put::{put, reindex, remove};

/// A product as it is put into the store; as JSONL one object of these members with `"type": "product"`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewProduct {
    /// What the shop calls it, at most 255 characters; `source:handle` when it is not given.
    pub external_id: Option<String>,
    /// The catalogue it is of, such as `shopify`; 1 to 64 characters.
    pub source: String,
    /// Its name in URLs; at most 255 characters.
    pub handle: String,
    /// Its name; 1 to 500 characters.
    pub title: String,
    /// Plain text, without HTML; at most 100,000 characters.
    pub description: String,
    /// Who makes or sells it; at most 255 characters.
    pub vendor: String,
    /// What kind of thing it is; at most 255 characters.
    pub product_type: String,
    /// Comma-separated; at most 5,000 characters.
    pub tags: String,
    /// The lowest price; the lowest of the variants when it is not given.
    pub price_min: Option<Price>,
    /// The highest price; the highest of the variants, or the lowest price, when it is not given.
    pub price_max: Option<Price>,
    /// ISO 4217, such as `EUR`.
    pub currency: Option<String>,
    /// `in_stock`, `out_of_stock`, `preorder` or `unknown`; from the variants when it is not given.
    pub availability: Option<Availability>,
    /// Its page; at most 2,048 characters.
    pub url: Option<String>,
    /// Its picture; at most 2,048 characters.
    pub image_url: Option<String>,
    /// At most 2,048.
    pub variants: Vec<Variant>,
    /// Columns without a place of their own; at most 100,000 bytes as JSON.
    pub extra: Map<String, Value>,
    /// When the shop changed it last; when it is put, if that is not given.
    pub updated_at: Option<Time>,
}

/// One of the forms a product is sold in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Variant {
    /// The shop's number for it; at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
    /// GTIN, EAN, UPC or ISBN; at most 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub barcode: Option<String>,
    /// What sets it apart, such as `Red / 42`; at most 500 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Whether it can be bought now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
}

choice! {
    /// Whether a product can be bought.
    Availability {
        /// Now.
        InStock = "in_stock",
        /// Not now.
        OutOfStock = "out_of_stock",
        /// For later.
        Preorder = "preorder",
        /// The shop does not say.
        Unknown = "unknown",
    }
}

/// A product as lists and search results show it.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its number within the organisation.
    pub id: i64,
    /// What the shop calls it.
    pub external_id: String,
    /// The catalogue it is of.
    pub source: String,
    /// Its name in URLs.
    pub handle: String,
    /// Its name.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// Who makes or sells it; may be empty.
    pub vendor: String,
    /// What kind of thing it is; may be empty.
    pub product_type: String,
    /// Comma-separated; may be empty.
    pub tags: String,
    /// The lowest price.
    pub price_min: Option<Price>,
    /// The highest price.
    pub price_max: Option<Price>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Whether it can be bought.
    pub availability: Availability,
    /// Its page.
    pub url: Option<String>,
    /// Its picture.
    pub image_url: Option<String>,
    /// The forms it is sold in.
    pub variants: Vec<Variant>,
    /// When it last changed.
    pub updated_at: Time,
}

/// Which products; what is `None` leaves them all in.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of one of these catalogues.
    pub sources: Option<Vec<String>>,
    /// With this availability.
    pub availability: Option<Availability>,
    /// Of this vendor; upper and lower case (of ASCII) are the same.
    pub vendor: Option<String>,
    /// Of this type; upper and lower case (of ASCII) are the same.
    pub product_type: Option<String>,
    /// Changed at or after this time.
    pub updated_since: Option<Time>,
    /// With a price of at least this: the highest of the variants counts.
    pub price_min: Option<Price>,
    /// With a price of at most this: the lowest of the variants counts.
    pub price_max: Option<Price>,
}

impl Filter {
    /// Whether it leaves every product in.
    pub fn is_empty(&self) -> bool {
        let Filter { sources, availability, vendor, product_type, updated_since, price_min, price_max } =
            self;
        let texts = sources.is_none() && vendor.is_none() && product_type.is_none();
        let rest = availability.is_none() && updated_since.is_none();
        texts && rest && price_min.is_none() && price_max.is_none()
    }
}

const COLUMNS: &str = "id, external_id, source, handle, title, description, vendor, product_type, tags, price_min, \
    price_max, currency, availability, url, image_url, variants, updated_at";
/// The filter, on the columns of the index `product_filter`; its parameters are ?2 to ?10.
const FILTERED: &str = "FROM product INDEXED BY product_filter WHERE organisation = ?1 AND id > ?2 \
    AND (?3 IS NULL OR source IN (SELECT value FROM json_each(?3))) AND (?4 IS NULL OR availability = ?4) \
    AND (?5 IS NULL OR vendor = ?5 COLLATE NOCASE) AND (?6 IS NULL OR product_type = ?6 COLLATE NOCASE) \
    AND (?7 IS NULL OR updated_at >= ?7) AND (?8 IS NULL OR price_max >= ?8) AND (?9 IS NULL OR price_min <= ?9) \
    ORDER BY id LIMIT ?10";
/// No limit.
pub const ALL: i64 = -1;

/// Up to `limit` products with a number above `after`, by number.
pub fn list(tx: &TenantTx<'_>, filter: &Filter, after: Option<i64>, limit: i64) -> Result<Vec<Product>> {
    let ids = ids(tx, filter, after.unwrap_or(0), limit)?;
    ids.into_iter().filter_map(|id| get(tx, id).transpose()).collect()
}

/// How many products there are.
pub fn count(tx: &TenantTx<'_>, filter: &Filter) -> Result<i64> {
    Ok(filtered(tx, "count(*)", filter, 0, ALL)?.first().copied().unwrap_or(0))
}

/// The numbers above `after` of up to `limit` products that `filter` leaves in, ascending.
pub fn ids(tx: &TenantTx<'_>, filter: &Filter, after: i64, limit: i64) -> Result<Vec<i64>> {
    filtered(tx, "id", filter, after, limit)
}

/// The product with this number.
pub fn get(tx: &TenantTx<'_>, id: i64) -> Result<Option<Product>> {
    let sql = format!("SELECT {COLUMNS} FROM product WHERE organisation = ?1 AND id = ?2");
    tx.first(&sql, &[&id], product)
}

/// The numbers of the products with this SKU, barcode or handle, in any case, ascending.
pub fn with_code(tx: &TenantTx<'_>, code: &str) -> Result<Vec<i64>> {
    let sql = "SELECT product FROM product_code WHERE organisation = ?1 AND code = ?2 ORDER BY product";
    tx.all(sql, &[&put::code(code)], |row| Ok(row.get(0)?))
}

/// Every catalogue and how many products it has.
pub fn sources(tx: &TenantTx<'_>) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT source, count(*) FROM product INDEXED BY product_filter WHERE organisation = ?1 \
               GROUP BY source ORDER BY source";
    tx.all(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The first column of what `select` says about the products that are left in.
fn filtered(tx: &TenantTx<'_>, select: &str, filter: &Filter, after: i64, limit: i64) -> Result<Vec<i64>> {
    let sources = filter.sources.as_ref().map(serde_json::to_string).transpose().map_err(Error::internal)?;
    tx.all(
        &format!("SELECT {select} {FILTERED}"),
        &[
            &after,
            &sources,
            &filter.availability,
            &filter.vendor,
            &filter.product_type,
            &filter.updated_since.map(|time| time.0),
            &filter.price_min.map(|price| price.0),
            &filter.price_max.map(|price| price.0),
            &limit,
        ],
        |row| Ok(row.get(0)?),
    )
}

fn product(row: &Row<'_>) -> Result<Product> {
    Ok(Product {
        id: row.get(0)?,
        external_id: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        source: row.get(2)?,
        handle: row.get(3)?,
        title: row.get(4)?,
        description: row.get(5)?,
        vendor: row.get(6)?,
        product_type: row.get(7)?,
        tags: row.get(8)?,
        price_min: row.get::<_, Option<i64>>(9)?.map(Price),
        price_max: row.get::<_, Option<i64>>(10)?.map(Price),
        currency: row.get(11)?,
        availability: row.get(12)?,
        url: row.get(13)?,
        image_url: row.get(14)?,
        variants: serde_json::from_str(row.get_ref(15)?.as_str()?).map_err(Error::internal)?,
        updated_at: Time(row.get(16)?),
    })
}
