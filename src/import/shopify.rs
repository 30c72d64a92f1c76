//! Shopify's product CSV, in the form its admin exports (`Handle`, `Body (HTML)`, `Variant Price` …) and in that of its
//! newer template (`URL handle`, `Description`, `Price` …).
//!
//! Rows with one handle are one product: the row with the title has what is said once, each row with option values, SKU
//! or price is a variant, others bring pictures. All rows of a file are gathered before the first product is put, so
//! that a product whose rows lie apart is whole, and one of whose rows is broken is left alone whole.

use std::collections::HashMap;
use std::io::{self, BufRead};

use serde_json::Value;

use super::csv::{self, Broken, Csv};
use super::record::Record;
use super::{Options, Refused, Row, html};
use crate::store::price::Price;
use crate::store::product::{NewProduct, Variant};

/// The catalogue that these products are of.
const SOURCE: &str = "shopify";
/// Bytes of rows that are held at most.
const HELD_BYTES_MAX: usize = 512 << 20;
/// The value of the only option of a product without options.
const NO_OPTION: &str = "Default Title";

/// A column that has a place of its own in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Column {
    Handle,
    Title,
    Description,
    Vendor,
    ProductType,
    Tags,
    Published,
    Status,
    Value1,
    Value2,
    Value3,
    Sku,
    Barcode,
    Price,
    Tracker,
    Quantity,
    Policy,
    Image,
}

/// The names of the columns, in the export and in the template, in lower case.
const NAMES: &[(Column, [&str; 2])] = &[
    (Column::Handle, ["handle", "url handle"]),
    (Column::Title, ["title", "title"]),
    (Column::Description, ["body (html)", "description"]),
    (Column::Vendor, ["vendor", "vendor"]),
    (Column::ProductType, ["type", "type"]),
    (Column::Tags, ["tags", "tags"]),
    (Column::Published, ["published", "published on online store"]),
    (Column::Status, ["status", "status"]),
    (Column::Value1, ["option1 value", "option1 value"]),
    (Column::Value2, ["option2 value", "option2 value"]),
    (Column::Value3, ["option3 value", "option3 value"]),
    (Column::Sku, ["variant sku", "sku"]),
    (Column::Barcode, ["variant barcode", "barcode"]),
    (Column::Price, ["variant price", "price"]),
    (Column::Tracker, ["variant inventory tracker", "inventory tracker"]),
    (Column::Quantity, ["variant inventory qty", "inventory quantity"]),
    (Column::Policy, ["variant inventory policy", "continue selling when out of stock"]),
    (Column::Image, ["image src", "product image url"]),
];

/// Columns without which a file is no product export.
const NEEDED: [(Column, &str); 3] = [
    (Column::Handle, "Handle (or URL handle)"),
    (Column::Title, "Title"),
    (Column::Price, "Variant Price (or Price)"),
];

/// Where the columns of a file are.
#[derive(Default)]
pub struct Columns {
    places: HashMap<Column, usize>,
    /// Those without a place of their own in the store.
    others: Vec<(usize, String)>,
}

impl Columns {
    /// Finds the columns by a file's header, whatever the case.
    ///
    /// # Errors
    /// The names of the columns that are missing.
    pub fn find(header: &[String]) -> Result<Columns, String> {
        let mut columns = Columns::default();
        for (place, name) in header.iter().enumerate() {
            let lower = name.trim().to_lowercase();
            let known = NAMES.iter().find(|(_, names)| names.contains(&lower.as_str()));
            match known.filter(|(column, _)| !columns.places.contains_key(column)) {
                Some((column, _)) => drop(columns.places.insert(*column, place)),
                None => columns.others.push((place, name.trim().to_owned())),
            }
        }
        let missing = NEEDED.iter().filter(|(column, _)| !columns.places.contains_key(column));
        match missing.map(|(_, name)| *name).collect::<Vec<_>>().as_slice() {
            [] => Ok(columns),
            missing => Err(missing.join(", ")),
        }
    }

    fn text<'a>(&self, column: Column, fields: &'a [String]) -> &'a str {
        self.places.get(&column).and_then(|place| fields.get(*place)).map_or("", |field| field.trim())
    }

    fn owned(&self, column: Column, fields: &[String]) -> Option<String> {
        Some(self.text(column, fields)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// What the file calls the column.
    fn name<'a>(&self, column: Column, header: &'a [String]) -> &'a str {
        self.places.get(&column).and_then(|place| header.get(*place)).map_or("", |name| name.trim())
    }
}

/// The products of a file, and what is wrong with it, as rows.
pub fn rows<R: BufRead>(mut csv: Csv<R>, columns: Columns, options: &Options) -> io::Result<Vec<Row>> {
    let header = csv.header().to_vec();
    let mut catalogue = Catalogue { columns, header, ..Catalogue::default() };
    let mut held = 0;
    while let Some(row) = csv.next()? {
        match row {
            Ok(row) => {
                held += row.bytes;
                catalogue.take(row);
            }
            Err(broken) => catalogue.faults.push(broken),
        }
        if held > HELD_BYTES_MAX {
            let most = HELD_BYTES_MAX >> 20;
            return Err(io::Error::other(format!(
                "it has more than {most} MiB: split it between two products"
            )));
        }
    }
    Ok(catalogue.into_rows(options))
}

/// What was read of a file so far.
#[derive(Default)]
struct Catalogue {
    columns: Columns,
    header: Vec<String>,
    drafts: Vec<Draft>,
    by_handle: HashMap<String, usize>,
    faults: Vec<Broken>,
}

/// A product of which some rows were read.
struct Draft {
    line: u64,
    bytes: usize,
    product: NewProduct,
    /// Why it is not for the store, though nothing is wrong with it.
    left_out: Option<&'static str>,
    /// The first row that is wrong, and why.
    fault: Option<(u64, String)>,
}

impl Catalogue {
    fn take(&mut self, row: csv::Row) {
        let csv::Row { line, bytes, fields } = row;
        let handle = self.columns.text(Column::Handle, &fields);
        if handle.is_empty() {
            let reason = format!("{}: it is empty", self.columns.name(Column::Handle, &self.header));
            self.faults.push(Broken { line, fields: Vec::new(), reason });
            return;
        }
        let place = self.by_handle.get(handle).copied().unwrap_or_else(|| {
            self.drafts.push(Draft::new(handle, line));
            self.by_handle.insert(handle.to_owned(), self.drafts.len() - 1);
            self.drafts.len() - 1
        });
        let draft = &mut self.drafts[place];
        draft.bytes += bytes;
        if let Err(reason) = draft.add(&self.columns, &self.header, &fields) {
            draft.fault.get_or_insert((line, reason));
        }
    }

    fn into_rows(mut self, options: &Options) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.drafts.len());
        for broken in std::mem::take(&mut self.faults) {
            let handle = self.columns.text(Column::Handle, &broken.fields);
            match self.by_handle.get(handle).map(|place| &mut self.drafts[*place]) {
                Some(draft) if draft.fault.as_ref().is_none_or(|(line, _)| *line > broken.line) => {
                    draft.fault = Some((broken.line, broken.reason));
                }
                _ => rows.push(Row::wrong(broken.line, None, broken.reason)),
            }
        }
        rows.extend(self.drafts.into_iter().map(|draft| draft.into_row(options)));
        rows
    }
}

impl Draft {
    fn new(handle: &str, line: u64) -> Draft {
        let product =
            NewProduct { source: SOURCE.to_owned(), handle: handle.to_owned(), ..NewProduct::default() };
        Draft { line, bytes: 0, product, left_out: None, fault: None }
    }

    fn add(&mut self, columns: &Columns, header: &[String], fields: &[String]) -> Result<(), String> {
        let title = columns.text(Column::Title, fields);
        if !title.is_empty() && self.product.title.is_empty() {
            self.begin(columns, fields)?;
        } else if !title.is_empty() && self.product.title != title {
            let (title, other) = (short(title), short(&self.product.title));
            return Err(format!("Title: came {title}, but another row with this handle has {other}"));
        }
        if self.product.image_url.is_none() {
            self.product.image_url = columns.owned(Column::Image, fields);
        }
        self.product.variants.extend(variant(columns, header, fields)?);
        Ok(())
    }

    /// Takes what is said once, in the row with the title.
    fn begin(&mut self, columns: &Columns, fields: &[String]) -> Result<(), String> {
        let text = |column| columns.text(column, fields).to_owned();
        let product = &mut self.product;
        product.title = text(Column::Title);
        product.description = html::text(columns.text(Column::Description, fields));
        product.vendor = text(Column::Vendor);
        product.product_type = text(Column::ProductType);
        product.tags = text(Column::Tags);
        for (place, name) in &columns.others {
            let value = fields.get(*place).map_or("", |field| field.trim());
            if !value.is_empty() {
                product.extra.insert(name.clone(), Value::from(value));
            }
        }
        self.left_out =
            left_out(columns.text(Column::Status, fields), columns.text(Column::Published, fields))?;
        Ok(())
    }

    fn into_row(mut self, options: &Options) -> Row {
        let handle = &self.product.handle;
        if self.product.title.is_empty() && self.fault.is_none() {
            self.fault = Some((self.line, "Title: no row with this handle has one".to_owned()));
        }
        self.product.url = options.shop_url.as_ref().map(|shop| format!("{shop}/products/{handle}"));
        self.product.currency = options.currency.clone();
        let (line, content) = match (self.fault, self.left_out) {
            (Some((line, reason)), _) => {
                let reason = format!("{reason}; the whole product {} is skipped", short(handle));
                (line, Err(Refused::Wrong(reason)))
            }
            (None, Some(reason)) => {
                let external_id = format!("{SOURCE}:{handle}");
                (self.line, Err(Refused::NotForSale { external_id, reason }))
            }
            (None, None) => (self.line, Ok(Record::Product(self.product))),
        };
        Row { line, bytes: self.bytes, kind: Some("product"), content }
    }
}

/// Why visitors of the shop cannot buy the product, if they cannot.
fn left_out(status: &str, published: &str) -> Result<Option<&'static str>, String> {
    let is_published = !matches!(published.to_lowercase().as_str(), "false" | "no" | "0");
    match status.to_lowercase().as_str() {
        "" | "active" if is_published => Ok(None),
        "" | "active" => Ok(Some("it is not published in the online store")),
        "draft" => Ok(Some("it is a draft")),
        "archived" => Ok(Some("it is archived")),
        "unlisted" => Ok(Some("it is unlisted")),
        _ => Err(format!("Status: came {}; wanted active, draft, archived or unlisted", short(status))),
    }
}

/// The variant of a row, if it is a row of one.
fn variant(columns: &Columns, header: &[String], fields: &[String]) -> Result<Option<Variant>, String> {
    let text = |column| columns.text(column, fields);
    let is_one = [Column::Value1, Column::Sku, Column::Price, Column::Barcode].map(text) != [""; 4];
    if !is_one {
        return Ok(None);
    }
    let price = match text(Column::Price) {
        "" => None,
        amount => Some(price(amount).ok_or_else(|| {
            let name = columns.name(Column::Price, header);
            format!("{name}: came {}; wanted an amount such as 1299.00", short(amount))
        })?),
    };
    let values = [Column::Value1, Column::Value2, Column::Value3].map(text);
    let values: Vec<&str> =
        values.into_iter().filter(|value| !value.is_empty() && *value != NO_OPTION).collect();
    Ok(Some(Variant {
        sku: columns.owned(Column::Sku, fields),
        // An apostrophe in front keeps spreadsheets from taking it for a number.
        barcode: columns.owned(Column::Barcode, fields).map(|code| code.trim_start_matches('\'').to_owned()),
        title: (!values.is_empty()).then(|| values.join(" / ")),
        price,
        available: available(text(Column::Tracker), text(Column::Quantity), text(Column::Policy)),
    }))
}

/// Whether a variant can be bought: always when its stock is not counted or may be oversold, and `None` when the file
/// does not say how much there is.
fn available(tracker: &str, quantity: &str, policy: &str) -> Option<bool> {
    let oversold = matches!(policy.to_lowercase().as_str(), "continue" | "true" | "yes" | "1");
    if tracker.is_empty() || oversold {
        return Some(true);
    }
    quantity.parse::<f64>().ok().map(|quantity| quantity > 0.0)
}

/// Reads an amount: `1299.00` as Shopify writes it, or as people do, with `,` `.` `'` or a space between thousands and
/// `.` or `,` before decimals. A lone `,` with three digits after it parts thousands.
fn price(text: &str) -> Option<Price> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '\'' | '’')).collect();
    let (whole, decimals) = match (plain.rfind(','), plain.rfind('.')) {
        (Some(comma), None) if plain.len() - comma - 1 == 3 => (plain.as_str(), ""),
        (Some(comma), None) => (&plain[..comma], &plain[comma + 1..]),
        (None, Some(dot)) if plain.matches('.').count() == 1 => (&plain[..dot], &plain[dot + 1..]),
        (Some(comma), Some(dot)) => {
            let last = comma.max(dot);
            (&plain[..last], &plain[last + 1..])
        }
        _ => (plain.as_str(), ""),
    };
    let mut groups = whole.split([',', '.']);
    let first = groups.next().unwrap_or_default();
    let mut digits = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.is_empty() || first.len() > 3 {
            return None;
        }
        digits.push_str(group);
    }
    Price::parse(&if decimals.is_empty() { digits } else { format!("{digits}.{decimals}") })
}

fn short(text: &str) -> String {
    format!("{:?}", text.chars().take(60).collect::<String>())
}

#[cfg(test)]
mod tests;
