//! CSV, and the product exports of Shopify in it.

use std::collections::HashSet;
use std::io::BufReader;

use crate::import::csv::Csv;
use crate::import::record::Record;
use crate::import::{Options, Refused, Source};

/// Broken rows of a file that are looked at closely.
const LOOKED_AT: usize = 2;

/// What was found on a line: the fields, or nothing where the row is broken.
type Found = (u64, Option<Vec<String>>);

/// Any bytes as a file: its rows are the same however it comes; each stands below the one before and has as many
/// fields as the header; a broken one takes no other with it; rows that are written are read back; a product of an
/// export comes once, or is refused as a whole.
pub fn csv(bytes: &[u8]) {
    let Some((header, rows)) = read(bytes, bytes.len().max(1)) else {
        assert!(read(bytes, 1).is_none());
        return;
    };
    assert_eq!(read(bytes, 7), Some((header.clone(), rows.clone())));
    assert!(rows.is_sorted_by(|one, next| one.0 < next.0));
    let lines = bytes.split(|&byte| byte == b'\n').count() as u64;
    assert!(rows.iter().all(|(line, _)| (2..=lines).contains(line)));
    assert!(rows.iter().all(|(_, fields)| fields.as_ref().is_none_or(|fields| fields.len() == header.len())));
    stands_behind_an_empty_line(bytes, &header, &rows);
    a_broken_row_is_one(bytes, &header, &rows);
    reads_back(&header, &rows);
    products(bytes, &rows);
}

/// Header and rows of a file that comes in pieces of `size`; nothing when its header cannot be read.
fn read(bytes: &[u8], size: usize) -> Option<(Vec<String>, Vec<Found>)> {
    let mut csv = Csv::open(BufReader::with_capacity(size, bytes)).unwrap().ok()?;
    let mut rows = Vec::new();
    while let Some(row) = csv.next().unwrap() {
        rows.push(row.map_or_else(|broken| (broken.line, None), |row| (row.line, Some(row.fields))));
    }
    Some((csv.header().to_vec(), rows))
}

fn stands_behind_an_empty_line(bytes: &[u8], header: &[String], rows: &[Found]) {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return;
    }
    let (below_header, below) = read(&[b"\n", bytes].concat(), 64).expect("the header is the same");
    assert_eq!(below_header, header);
    assert!(
        below
            .iter()
            .map(|(line, fields)| (line - 1, fields))
            .eq(rows.iter().map(|(line, fields)| (*line, fields)))
    );
}

/// What follows a broken row is what a file has that begins with the line after its first.
fn a_broken_row_is_one(bytes: &[u8], header: &[String], rows: &[Found]) {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
    let own = |count: &usize| {
        read(&lines[..*count].concat(), 64).is_some_and(|(own, rows)| own == header && rows.is_empty())
    };
    let Some(own) = (1..lines.len().min(9)).find(own) else { return };
    let broken = rows.iter().enumerate().filter(|(_, (_, fields))| fields.is_none());
    for (place, (line, _)) in broken.take(LOOKED_AT) {
        let rest = lines[..own].iter().chain(&lines[*line as usize..]).copied().collect::<Vec<_>>().concat();
        let (_, found) = read(&rest, 64).expect("the header is the same");
        let found = found.into_iter().map(|(found, fields)| (found + line - own as u64, fields));
        assert!(found.eq(rows[place + 1..].iter().cloned()), "behind line {line}");
    }
}

fn reads_back(header: &[String], rows: &[Found]) {
    let good: Vec<&Vec<String>> = rows.iter().filter_map(|(_, fields)| fields.as_ref()).collect();
    let record =
        |fields: &[String]| fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",") + "\r\n";
    let written: String =
        std::iter::once(record(header)).chain(good.iter().map(|fields| record(fields))).collect();
    let (again, found) = read(written.as_bytes(), 64).expect("a header that was written is read");
    assert_eq!(again, header);
    assert!(found.iter().map(|(_, fields)| fields.as_ref()).eq(good.into_iter().map(Some)), "{written}");
}

fn quoted(field: &str) -> String {
    match field.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ') {
        true => field.to_owned(),
        false => format!("\"{}\"", field.replace('"', "\"\"")),
    }
}

fn products(bytes: &[u8], rows: &[Found]) {
    let options = Options { currency: Some("EUR".into()), shop_url: Some("https://shop.example".into()) };
    let Ok(source) = Source::open("products.csv", bytes) else { return };
    let (mut came, mut handles) = (0, HashSet::new());
    let each = |row: crate::import::Row| {
        came += 1;
        assert!(rows.iter().any(|(line, _)| *line == row.line), "a row of the file is named");
        let handle = match row.content {
            Ok(Record::Product(product)) => {
                assert!(!product.title.is_empty() && product.currency.as_deref() == Some("EUR"));
                let url = format!("https://shop.example/products/{}", product.handle);
                assert_eq!(product.url, Some(url));
                product.handle
            }
            Err(Refused::NotForSale { external_id, .. }) => {
                external_id.trim_start_matches("shopify:").to_owned()
            }
            Ok(record) => panic!("an export has no {}", record.kind()),
            Err(Refused::Wrong(_)) => return Ok(()),
        };
        assert!(handles.insert(handle), "a product comes once");
        Ok(())
    };
    source.for_each(&options, each).unwrap();
    assert!(came <= rows.len() && (came > 0 || rows.is_empty()), "{came} of {}", rows.len());
}
