//! Putting products into the store and its index.

use std::collections::BTreeSet;

use super::{Availability, NewProduct, Product, Variant};
use crate::clock::Time;
use crate::error::{Error, Result};
use crate::store::index::{self, Entry, Field, Space};
use crate::store::price::Price;
use crate::store::{Put, TenantTx, limits, words};

/// Variants a product may have.
const VARIANTS_MAX: usize = 2_048;
/// SKUs of a product that a misspelt one is compared with.
const FUZZY_SKUS_MAX: usize = 64;
const EXTRA_BYTES_MAX: usize = 100_000;

/// Puts a product into its organisation's catalogue and into the index, over the one with the same `external_id`. The
/// same content again changes nothing: a new `updated_at` alone, unless it is given, is no change.
///
/// # Errors
/// `Invalid`, naming the field and its limit, when it is not as [`NewProduct`] says.
pub fn put(tx: &TenantTx<'_>, new: &NewProduct, now: Time) -> Result<Put> {
    let Checked { mut product, extra } = check(new, now)?;
    let Some((id, old_extra)) = stored(tx, &product.external_id)? else {
        product.id = tx.next_id("product")?;
        insert(tx, &product, &extra)?;
        index(tx, &product, index::add)?;
        return Ok(Put::Created(product.id));
    };
    product.id = id;
    let Some(old) = super::get(tx, id)? else { return Err(Error::internal("a product vanished")) };
    if new.updated_at.is_none() {
        product.updated_at = old.updated_at;
    }
    if same(&old, &product) && old_extra == extra {
        return Ok(Put::Unchanged(id));
    }
    product.updated_at = new.updated_at.unwrap_or(now);
    update(tx, &product, &extra)?;
    if !found_alike(&old, &product) {
        index(tx, &product, index::set)?;
    }
    Ok(Put::Updated(id))
}

/// Builds what a product is found by anew from its row: its codes, its words, its trigrams; whether it is there.
pub fn reindex(tx: &TenantTx<'_>, id: i64) -> Result<bool> {
    let Some(product) = super::get(tx, id)? else { return Ok(false) };
    index(tx, &product, index::set)?;
    Ok(true)
}

/// Takes the product with this external id out of the store and out of the index; whether it was there.
pub fn remove(tx: &TenantTx<'_>, external_id: &str) -> Result<bool> {
    let Some((id, _)) = stored(tx, external_id)? else { return Ok(false) };
    for space in [Space::Products, Space::ProductTrigrams] {
        index::remove(tx, space, id)?;
    }
    tx.execute("DELETE FROM product_code WHERE organisation = ?1 AND product = ?2", &[&id])?;
    tx.execute("DELETE FROM product WHERE organisation = ?1 AND id = ?2", &[&id])?;
    Ok(true)
}

/// A SKU, barcode or handle as it is looked up: without space around it, in upper case.
pub(super) fn code(text: &str) -> String {
    text.trim().to_uppercase()
}

struct Checked {
    product: Product,
    extra: String,
}

fn check(new: &NewProduct, now: Time) -> Result<Checked> {
    let source = limits::text("source", &new.source, 1, 64)?;
    let handle = limits::text("handle", &new.handle, 0, 255)?;
    let variants = new.variants.iter().map(check_variant).collect::<Result<Vec<_>>>()?;
    if variants.len() > VARIANTS_MAX {
        return Err(Error::invalid(format!(
            "variants: {} came; at most {VARIANTS_MAX} are kept.",
            variants.len()
        )));
    }
    let price_min = new.price_min.or_else(|| variants.iter().filter_map(|v| v.price).min());
    let price_max = new.price_max.or_else(|| variants.iter().filter_map(|v| v.price).max()).or(price_min);
    if price_min > price_max && price_max.is_some() {
        return Err(Error::invalid("price_min: it is above price_max."));
    }
    let product = Product {
        id: 0,
        external_id: external_id(new, &source, &handle)?,
        source,
        handle,
        title: limits::text("title", &new.title, 1, 500)?,
        description: limits::text("description", &new.description, 0, 100_000)?,
        vendor: limits::text("vendor", &new.vendor, 0, 255)?,
        product_type: limits::text("product_type", &new.product_type, 0, 255)?,
        tags: limits::text("tags", &new.tags, 0, 5_000)?,
        price_min: price_min.or(price_max),
        price_max,
        currency: new.currency.as_deref().map(currency).transpose()?,
        availability: new.availability.unwrap_or_else(|| availability(&variants)),
        url: limits::optional("url", new.url.as_deref(), 2_048)?,
        image_url: limits::optional("image_url", new.image_url.as_deref(), 2_048)?,
        variants,
        updated_at: new.updated_at.unwrap_or(now),
    };
    let extra = serde_json::to_string(&new.extra).map_err(Error::internal)?;
    if extra.len() > EXTRA_BYTES_MAX {
        return Err(Error::invalid(format!(
            "extra: {} bytes of JSON; at most {EXTRA_BYTES_MAX} are kept.",
            extra.len()
        )));
    }
    Ok(Checked { product, extra })
}

fn external_id(new: &NewProduct, source: &str, handle: &str) -> Result<String> {
    match limits::optional("external_id", new.external_id.as_deref(), 255)? {
        Some(given) => Ok(given),
        None if !handle.is_empty() => Ok(format!("{source}:{handle}")),
        None => Err(Error::invalid("external_id: it is empty, and so is handle; wanted one of the two.")),
    }
}

fn check_variant(variant: &Variant) -> Result<Variant> {
    Ok(Variant {
        sku: limits::optional("variants.sku", variant.sku.as_deref(), 128)?,
        barcode: limits::optional("variants.barcode", variant.barcode.as_deref(), 128)?,
        title: limits::optional("variants.title", variant.title.as_deref(), 500)?,
        price: variant.price,
        available: variant.available,
    })
}

fn currency(text: &str) -> Result<String> {
    let text = text.trim();
    if text.len() == 3 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Ok(text.to_ascii_uppercase());
    }
    Err(Error::invalid("currency: it is no ISO 4217 code; wanted three letters such as EUR."))
}

fn availability(variants: &[Variant]) -> Availability {
    let known = || variants.iter().filter_map(|variant| variant.available);
    match (known().any(|available| available), known().next()) {
        (true, _) => Availability::InStock,
        (false, Some(_)) => Availability::OutOfStock,
        (false, None) => Availability::Unknown,
    }
}

fn stored(tx: &TenantTx<'_>, external_id: &str) -> Result<Option<(i64, String)>> {
    let sql = "SELECT id, extra FROM product WHERE organisation = ?1 AND external_id = ?2";
    tx.first(sql, &[&external_id], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn same(old: &Product, new: &Product) -> bool {
    let rest = |p: &Product| (p.price_min, p.price_max, p.availability, p.updated_at);
    let urls = |p: &Product| (p.currency.clone(), p.url.clone(), p.image_url.clone());
    found_alike(old, new)
        && old.source == new.source
        && rest(old) == rest(new)
        && urls(old) == urls(new)
        && old.variants == new.variants
}

/// Whether both are found by the same words and codes.
fn found_alike(old: &Product, new: &Product) -> bool {
    let texts = |p: &Product| {
        [&p.handle, &p.title, &p.description, &p.vendor, &p.product_type, &p.tags].map(String::clone)
    };
    let names = |p: &Product| -> Vec<_> {
        p.variants.iter().map(|v| (v.sku.clone(), v.barcode.clone(), v.title.clone())).collect()
    };
    texts(old) == texts(new) && names(old) == names(new)
}

fn insert(tx: &TenantTx<'_>, product: &Product, extra: &str) -> Result<()> {
    let sql = "INSERT INTO product (organisation, id, external_id, source, handle, title, description, vendor, \
               product_type, tags, price_min, price_max, currency, availability, url, image_url, variants, extra, \
               updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)";
    write(tx, sql, product, extra)
}

fn update(tx: &TenantTx<'_>, product: &Product, extra: &str) -> Result<()> {
    let sql = "UPDATE product SET external_id = ?3, source = ?4, handle = ?5, title = ?6, description = ?7, \
               vendor = ?8, product_type = ?9, tags = ?10, price_min = ?11, price_max = ?12, currency = ?13, \
               availability = ?14, url = ?15, image_url = ?16, variants = ?17, extra = ?18, updated_at = ?19 \
               WHERE organisation = ?1 AND id = ?2";
    write(tx, sql, product, extra)
}

fn write(tx: &TenantTx<'_>, sql: &str, product: &Product, extra: &str) -> Result<()> {
    let cents = |price: Option<Price>| price.map(|price| price.0);
    let variants = serde_json::to_string(&product.variants).map_err(Error::internal)?;
    tx.execute(
        sql,
        &[
            &product.id,
            &product.external_id,
            &product.source,
            &product.handle,
            &product.title,
            &product.description,
            &product.vendor,
            &product.product_type,
            &product.tags,
            &cents(product.price_min),
            &cents(product.price_max),
            &product.currency,
            &product.availability,
            &product.url,
            &product.image_url,
            &variants,
            &extra,
            &product.updated_at.0,
        ],
    )?;
    Ok(())
}

fn index(
    tx: &TenantTx<'_>,
    product: &Product,
    put: fn(&TenantTx<'_>, Space, i64, &Entry) -> Result<()>,
) -> Result<()> {
    set_codes(tx, product)?;
    put(tx, Space::Products, product.id, &words_of(product))?;
    put(tx, Space::ProductTrigrams, product.id, &trigrams_of(product))
}

fn set_codes(tx: &TenantTx<'_>, product: &Product) -> Result<()> {
    tx.execute("DELETE FROM product_code WHERE organisation = ?1 AND product = ?2", &[&product.id])?;
    let of_variants = product.variants.iter().flat_map(|variant| [&variant.sku, &variant.barcode]).flatten();
    let codes: BTreeSet<String> =
        of_variants.chain([&product.handle]).map(|text| code(text)).filter(|code| !code.is_empty()).collect();
    for code in codes {
        let sql = "INSERT INTO product_code (organisation, code, product) VALUES (?1, ?2, ?3)";
        tx.execute(sql, &[&code, &product.id])?;
    }
    Ok(())
}

/// The words a product is found by. What is too common to be searched for is left out of the long text.
fn words_of(product: &Product) -> Entry {
    let mut entry = Entry::default();
    let mut add = |field: Field, text: &str| {
        let kept = |word: &String| field != Field::Body || !words::is_stop_word(word);
        words::words(text).into_iter().filter(kept).for_each(|word| entry.add(field, word));
    };
    add(Field::Title, &product.title);
    for text in [&product.vendor, &product.product_type, &product.tags] {
        add(Field::Label, text);
    }
    let variants: BTreeSet<String> = product
        .variants
        .iter()
        .filter_map(|variant| variant.title.as_deref())
        .flat_map(words::words)
        .collect();
    variants.iter().for_each(|word| add(Field::Label, word));
    add(Field::Body, &product.description);
    entry
}

fn trigrams_of(product: &Product) -> Entry {
    let skus = product.variants.iter().filter_map(|variant| variant.sku.as_deref()).take(FUZZY_SKUS_MAX);
    let all: BTreeSet<String> =
        words::words(&product.title).into_iter().chain(skus.map(words::squeezed)).collect();
    let mut entry = Entry::default();
    all.iter().flat_map(|word| words::trigrams(word)).for_each(|trigram| entry.add(Field::Title, trigram));
    entry
}
