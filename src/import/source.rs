//! A file to import: what format it has, and its rows.

use std::io::{self, BufRead};

use super::Row;
use super::csv::Csv;
use super::jsonl::Jsonl;
use super::shopify::{self, Columns};
use crate::error::{Error, Result};

/// What a file does not say.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The currency of prices, ISO 4217.
    pub currency: Option<String>,
    /// The shop's address without a slash at its end, for the addresses of its products' pages.
    pub shop_url: Option<String>,
}

/// A file whose format is known and whose header, if it has one, was read.
pub struct Source<R> {
    name: String,
    format: Format<R>,
}

enum Format<R> {
    Jsonl(Jsonl<R>),
    Shopify(Csv<R>, Columns),
}

impl<R: BufRead> Source<R> {
    /// Takes the file `name` for what its name ends with (`.jsonl`, `.ndjson`, `.json`, `.csv`) and, when that says
    /// nothing, for JSONL if it begins with a brace, else for CSV.
    ///
    /// # Errors
    /// `Invalid` when it cannot be read, is no text, or is a CSV without the columns of a product export.
    pub fn open(name: &str, mut reader: R) -> Result<Source<R>> {
        let beginning = reader.fill_buf().map_err(|e| unreadable(name, e))?;
        refuse_what_is_no_text(name, beginning)?;
        let format = if is_jsonl(name, beginning)? {
            Format::Jsonl(Jsonl::new(reader))
        } else {
            shopify_csv(name, reader)?
        };
        Ok(Source { name: name.to_owned(), format })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls `each` with every row.
    ///
    /// # Errors
    /// What `each` answers; `Invalid` when the file cannot be read to its end.
    pub fn for_each(self, options: &Options, mut each: impl FnMut(Row) -> Result<()>) -> Result<()> {
        let name = self.name;
        match self.format {
            Format::Jsonl(mut rows) => {
                while let Some(row) = rows.next().map_err(|e| unreadable(&name, e))? {
                    each(row)?;
                }
                Ok(())
            }
            Format::Shopify(csv, columns) => {
                let rows = shopify::rows(csv, columns, options).map_err(|e| unreadable(&name, e))?;
                rows.into_iter().try_for_each(each)
            }
        }
    }
}

fn unreadable(name: &str, cause: io::Error) -> Error {
    Error::invalid(format!("{name} cannot be read: {cause}.")).because(cause)
}

fn refuse_what_is_no_text(name: &str, beginning: &[u8]) -> Result<()> {
    let refuse = |what: &str| Err(Error::invalid(format!("{name} {what}.")));
    match beginning {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => refuse("is UTF-16: save it as UTF-8"),
        [0x1f, 0x8b, ..] => refuse("is compressed: unpack it first"),
        [b'P', b'K', 3, 4, ..] => {
            refuse("is a ZIP archive or a spreadsheet: unpack it, or save it as CSV (UTF-8)")
        }
        _ if beginning.contains(&0) => refuse("is no text; wanted JSONL or CSV"),
        _ => Ok(()),
    }
}

fn is_jsonl(name: &str, beginning: &[u8]) -> Result<bool> {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let beginning = beginning.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(beginning).trim_ascii_start();
    let by_name = match ending.as_str() {
        "jsonl" | "ndjson" | "json" => Some(true),
        "csv" => Some(false),
        _ => None,
    };
    let is_jsonl = by_name.unwrap_or_else(|| beginning.starts_with(b"{"));
    if beginning.starts_with(b"[") && by_name != Some(false) {
        return Err(Error::invalid(format!("{name} is one JSON array; wanted JSONL, one object a line.")));
    }
    Ok(is_jsonl)
}

fn shopify_csv<R: BufRead>(name: &str, reader: R) -> Result<Format<R>> {
    let csv = match Csv::open(reader).map_err(|e| unreadable(name, e))? {
        Ok(csv) => csv,
        Err(broken) => {
            let (line, reason) = (broken.line, broken.reason);
            return Err(Error::invalid(format!("{name}:{line}: the header cannot be read: {reason}.")));
        }
    };
    match Columns::find(csv.header()) {
        Ok(columns) => Ok(Format::Shopify(csv, columns)),
        Err(missing) => Err(Error::invalid(format!(
            "{name} is no product export of Shopify: its header lacks {missing}. Other data goes in as JSONL."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::import::record::Record;

    /// The rows of a file; none when it is refused.
    fn rows(name: &str, text: &[u8]) -> Vec<Row> {
        let mut rows = Vec::new();
        if let Ok(source) = Source::open(name, text) {
            let each = |row| {
                rows.push(row);
                Ok(())
            };
            source.for_each(&Options::default(), each).unwrap();
        }
        rows
    }

    /// The handles of the products among `rows`.
    fn handles(rows: &[Row]) -> BTreeSet<String> {
        let handle = |row: &Row| match &row.content {
            Ok(Record::Product(product)) => Some(product.handle.clone()),
            _ => None,
        };
        rows.iter().filter_map(handle).collect()
    }

    /// A piece of a file, of what is hard to read.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let pieces: Vec<&[u8]> = vec![
            b"\"",
            b",",
            b"\n",
            b"\r\n",
            b"a",
            b"<p",
            b">",
            b"</script>",
            b"<script>",
            b"<!--",
            b"&amp;",
            b"&#x",
            b";",
            b"\xC3",
            "\u{fc}".as_bytes(),
            b"{",
            b"}",
            b"\\",
            b"1,299.00",
            b"{\"type\":\"product\"",
        ];
        prop::sample::select(pieces).prop_map(<[u8]>::to_vec)
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_is_read_to_its_end(pieces in prop::collection::vec(piece(), 0..80)) {
            let text = pieces.concat();
            let csv = [b"Handle,Title,Price,Body (HTML)\n".as_slice(), &text].concat();
            let lines = |text: &[u8]| text.iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
            for (name, text) in [("a.jsonl", &text), ("a.csv", &csv)] {
                prop_assert!(rows(name, text).iter().all(|row| row.line <= lines(text)));
            }
        }

        /// Wherever a quote too many or too few is, the products of other lines are all there.
        #[test]
        fn a_stray_quote_costs_one_product_at_most(
            bodies in prop::collection::vec("[a-z<>&]{1,6}( \"\"[a-z]{1,3}\"\")?(, [a-z]{1,5}){0,2}", 2..8),
            line in any::<prop::sample::Index>(),
            place in any::<prop::sample::Index>(),
            adds in any::<bool>(),
        ) {
            let mut lines: Vec<String> = bodies.iter().enumerate()
                .map(|(n, body)| format!("p{n},\"Product, {n}\",\"{body}\",9.90"))
                .collect();
            let damaged = line.index(lines.len());
            let text = &mut lines[damaged];
            if adds {
                text.insert(place.index(text.len()), '"');
            } else {
                let quotes: Vec<usize> = text.match_indices('"').map(|(at, _)| at).collect();
                text.remove(quotes[place.index(quotes.len())]);
            }
            let csv = format!("Handle,Title,Body (HTML),Price\n{}\n", lines.join("\n"));
            let found = handles(&rows("a.csv", csv.as_bytes()));
            for other in (0..lines.len()).filter(|n| *n != damaged) {
                prop_assert!(found.contains(&format!("p{other}")), "{other} of {found:?} in {csv}");
            }
        }
    }

    #[test]
    fn tells_formats_apart() {
        let check = |name: &str, beginning: &[u8], expected: &str| {
            let found = match Source::open(name, beginning) {
                Ok(Source { format: Format::Jsonl(_), .. }) => "jsonl".to_owned(),
                Ok(Source { format: Format::Shopify(..), .. }) => "shopify".to_owned(),
                Err(error) => error.public,
            };
            assert!(found.contains(expected), "{name}: {found}");
        };
        check("a.jsonl", b"", "jsonl");
        check("a.NDJSON", b"x", "jsonl");
        check("-", b" \n{\"type\"", "jsonl");
        check("-", b"\xEF\xBB\xBF{", "jsonl");
        check("-", b"handle,TITLE,price\n", "shopify");
        check("a.csv", b"\xEF\xBB\xBFTitle;URL handle;Price\n", "shopify");
        check("a.csv", b"id,title\n", "its header lacks Handle (or URL handle), Variant Price (or Price).");
        check("a.csv", b"", "its header lacks Handle (or URL handle), Title");
        check("a.csv", b"a,\"b\nc", "a.csv:1: the header cannot be read: field 2: the quote");
        check("a.json", b"[{}]", "is one JSON array");
        check("a.csv", b"\xFF\xFEa\0", "UTF-16");
        check("a.csv", b"PK\x03\x04", "save it as CSV");
        check("a.jsonl.gz", b"\x1f\x8b", "compressed");
        check("a.csv", b"a\0b", "no text");
    }
}
