use serde_json::json;

use super::*;

/// Each row as `line kind what`.
fn read(text: &str) -> Vec<Row> {
    let csv = Csv::open(text.as_bytes()).unwrap().unwrap();
    let columns = Columns::find(csv.header()).unwrap();
    rows(csv, columns, &Options::default()).unwrap()
}

fn products(text: &str) -> Vec<NewProduct> {
    let product = |row: Row| match row.content {
        Ok(Record::Product(product)) => product,
        other => panic!("{other:?}"),
    };
    read(text).into_iter().map(product).collect()
}

fn refused(text: &str) -> Vec<(u64, Option<&'static str>, String)> {
    let reason = |row: Row| match row.content {
        Ok(Record::Product(product)) => (row.line, row.kind, product.handle),
        Err(Refused::Wrong(reason)) => (row.line, row.kind, reason),
        Err(Refused::NotForSale { external_id, .. }) => (row.line, row.kind, external_id),
        other => panic!("{other:?}"),
    };
    let mut found: Vec<_> = read(text).into_iter().map(reason).collect();
    found.sort();
    found
}

#[test]
fn rows_of_one_handle_are_one_product() {
    let found = products(
        "Handle,Title,Body (HTML),Vendor,Option1 Value,Option2 Value,Variant SKU,Variant Price,Variant Barcode,\
         Image Src,Image Position,Status,Size (product.metafields.my.size)\n\
         tee,Tee,<p>Soft &amp; <b>warm</b></p>,Acme,Red,S,T-R-S,19.90,'123,https://x/1.jpg,1,active,large\n\
         mug,Mug,,,Default Title,,,\"1,299.00\",,,,active,\n\
         tee,,,,Red,M,T-R-M,21.90,,,,,\n\
         tee,,,,,,,,,https://x/2.jpg,2,,\n",
    );
    let tee = json!({
        "external_id": null, "source": "shopify", "handle": "tee", "title": "Tee", "description": "Soft & warm",
        "vendor": "Acme", "product_type": "", "tags": "", "price_min": null, "price_max": null, "currency": null,
        "availability": null, "url": null, "image_url": "https://x/1.jpg",
        "variants": [
            {"sku": "T-R-S", "barcode": "123", "title": "Red / S", "price": 19.9, "available": true},
            {"sku": "T-R-M", "title": "Red / M", "price": 21.9, "available": true},
        ],
        "extra": {"Image Position": "1", "Size (product.metafields.my.size)": "large"}, "updated_at": null,
    });
    assert_eq!(serde_json::to_value(&found[0]).unwrap(), tee);
    assert_eq!(
        serde_json::to_value(&found[1].variants).unwrap(),
        json!([{"price": 1299.0, "available": true}])
    );
}

#[test]
fn a_broken_row_spoils_its_product_alone() {
    let unclosed = "Title: the quote that opens it is not closed as it should be";
    let found = refused(
        "Handle,Title,Price\n\
         a,A,1\n\
         b,B,1\n\
         b,\",2\n\
         c,\"C\",3\n\
         d,D,three\n\
         d,,4\n\
         e,,5\n\
         f,F,6,7\n\
         g,\"G,8\n\
         ,H,9\n\
         i,I,1\n\
         i,J,1\n",
    );
    let of = |line, handle: &str, reason: &str| {
        (line, Some("product"), format!("{reason}; the whole product \"{handle}\" is skipped"))
    };
    let expected = vec![
        (2, Some("product"), "a".to_owned()),
        of(4, "b", unclosed),
        (5, Some("product"), "c".to_owned()),
        of(6, "d", "Price: came \"three\"; wanted an amount such as 1299.00"),
        of(8, "e", "Title: no row with this handle has one"),
        (9, None, "it has 4 fields; wanted 3, as many as the header".to_owned()),
        (10, None, unclosed.to_owned()),
        (11, None, "Handle: it is empty".to_owned()),
        of(13, "i", "Title: came \"J\", but another row with this handle has \"I\""),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_for_sale_is_left_out() {
    let check = |status: &str, published: &str, expected: Result<Option<&str>, &str>| {
        let found = left_out(status, published);
        assert_eq!(
            found.as_ref().map(|reason| *reason).map_err(|e| &e[..6]),
            expected,
            "{status} {published}"
        );
    };
    check("", "", Ok(None));
    check("Active", "TRUE", Ok(None));
    check("active", "FALSE", Ok(Some("it is not published in the online store")));
    check("draft", "", Ok(Some("it is a draft")));
    check("archived", "true", Ok(Some("it is archived")));
    check("unlisted", "true", Ok(Some("it is unlisted")));
    check("aktiv", "", Err("Status"));
}

#[test]
fn stock_says_whether_it_can_be_bought() {
    let check = |tracker, quantity, policy, expected| {
        assert_eq!(available(tracker, quantity, policy), expected, "{tracker} {quantity} {policy}");
    };
    check("", "", "", Some(true));
    check("", "0", "deny", Some(true));
    check("shopify", "3", "deny", Some(true));
    check("shopify", "0", "deny", Some(false));
    check("shopify", "-2", "FALSE", Some(false));
    check("shopify", "0", "continue", Some(true));
    check("shopify", "0", "TRUE", Some(true));
    check("shopify", "", "deny", None);
}

#[test]
fn prices_are_read_as_people_write_them() {
    let check = |text: &str, expected: Option<i64>| assert_eq!(price(text).map(|p| p.0), expected, "{text}");
    check("19.90", Some(1_990));
    check("19.9", Some(1_990));
    check("19,90", Some(1_990));
    check("1299", Some(129_900));
    check("1299.00", Some(129_900));
    check("1,299.00", Some(129_900));
    check("1.299,00", Some(129_900));
    check("1 299,00", Some(129_900));
    check("1'299.00", Some(129_900));
    check("1,299", Some(129_900));
    check("1,234,567.89", Some(123_456_789));
    check("1.234.567", Some(123_456_700));
    check("0.00", Some(0));
    check("12,34.00", None);
    check("1234,567.00", None);
    check(",299", None);
    check("€5", None);
    check("-5", None);
    check("free", None);
    check("1.2.3", None);
}
