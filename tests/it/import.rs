//! `chaterimo import`, as a process, on files as shops have them; and what is in the store afterwards.

use std::fs;
use std::path::Path;

use chaterimo::import::record::Record;
use chaterimo::store::product::{self, Availability, Product};
use chaterimo::store::{Store, TenantTx, chatbot, conversation, lead, organisation, ticket};
use serde_json::{Value, json};

use crate::cli::{Home, home_with_acme};

/// A file beside the tests.
fn fixture(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The counts of one kind in the answer: created, updated, unchanged, left out, skipped.
fn counts(out: &str, kind: &str) -> [u64; 5] {
    let line = out.lines().find(|line| line.split(' ').next() == Some(kind));
    let line = line.unwrap_or_else(|| panic!("no {kind} in {out}"));
    let numbers: Vec<u64> = line.split_whitespace().skip(1).map(|number| number.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// Looks at acme's part of the store.
fn look<T>(home: &Home, look: impl FnOnce(&TenantTx<'_>) -> T) -> T {
    let store = Store::open(Path::new(&home.path(".local/share/chaterimo"))).unwrap();
    store.read(|tx| Ok(look(&tx.tenant(organisation::named(tx, "acme")?.tenant)))).unwrap()
}

fn products(home: &Home) -> Vec<Product> {
    look(home, |tx| product::list(tx, &product::Filter::default(), None, 100).unwrap())
}

fn write(home: &Home, name: &str, content: impl AsRef<[u8]>) -> String {
    fs::write(home.path(name), content).unwrap();
    home.path(name)
}

#[test]
fn both_product_exports_of_shopify_go_in_once() {
    let home = home_with_acme();
    let (export, template) = (fixture("shopify-export.csv"), fixture("shopify-template.csv"));
    let command = format!("import --currency eur --shop-url https://shop.example.com/ {export} {template}");
    let out = home.done(&command);
    assert_eq!(counts(&out, "product"), [5, 0, 0, 3, 0]);
    for reason in ["it is a draft: 1", "it is archived: 1", "it is not published in the online store: 1"] {
        assert!(out.contains(&format!("Left out because {reason}.")), "{out}");
    }
    assert_eq!(counts(&home.done(&command), "product"), [0, 0, 5, 3, 0]);

    let found = products(&home);
    let shown = |p: &Product| (p.handle.clone(), p.title.clone(), p.availability, p.variants.len());
    let expected = [
        ("trail-runner", "Trail Runner", Availability::InStock, 2),
        ("wool-socks", "Wollsocken „Alpe“", Availability::OutOfStock, 1),
        ("gift-card", "Gift Card", Availability::InStock, 1),
        ("rain-jacket", "Rain Jacket", Availability::InStock, 2),
        ("poster", "Poster", Availability::InStock, 1),
    ];
    let expected =
        expected.map(|(handle, title, stock, variants)| (handle.into(), title.into(), stock, variants));
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), expected);
    let shoe = &found[0];
    assert_eq!(shoe.external_id, "shopify:trail-runner");
    assert_eq!(
        shoe.description,
        "Light shoe for wet ground & long days.\n- Sole of natural rubber\n- Weighs 240 g, says \"Outdoor\""
    );
    let money = (shoe.price_min.unwrap().to_string(), shoe.price_max.unwrap().to_string(), &shoe.currency);
    assert_eq!(money, ("89.90".into(), "94.90".into(), &Some("EUR".into())));
    assert_eq!(shoe.url.as_deref(), Some("https://shop.example.com/products/trail-runner"));
    assert_eq!(shoe.image_url.as_deref(), Some("https://cdn.example.com/trail-runner-1.jpg"));
    assert_eq!(found[3].price_max.unwrap().to_string(), "1299.00");
    assert_eq!(
        (found[1].description.as_str(), found[4].description.as_str()),
        ("Warm.", "Paper, 50 × 70 cm")
    );
    // Found by code at once.
    let by_code = |code| look(&home, |tx| product::with_code(tx, code).unwrap());
    assert_eq!(
        (by_code("tr-blu-42"), by_code("4006381333931"), by_code("OLD-1")),
        (vec![1], vec![1], vec![])
    );
}

#[test]
fn a_product_that_is_archived_later_is_taken_out() {
    let home = home_with_acme();
    let export = fixture("shopify-export.csv");
    home.done(&format!("import {export}"));
    let text = fs::read_to_string(export).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix("wool-socks,") {
        Some(rest) => format!("wool-socks,{}archived\n", rest.strip_suffix("active").unwrap()),
        None => format!("{line}\n"),
    });
    let file = write(&home, "later.csv", lines.collect::<String>());
    let out = home.done(&format!("import {file}"));
    assert!(out.contains("Taken out of the store, for they were in it before: 1."), "{out}");
    assert_eq!(counts(&out, "product"), [0, 0, 2, 3, 0]);
    assert_eq!(products(&home).iter().map(|p| p.id).collect::<Vec<_>>(), [1, 3]);
    assert!(!home.done(&format!("import {file}")).contains("Taken out"));
}

#[test]
fn a_broken_csv_loses_no_other_product() {
    let home = home_with_acme();
    let text = fs::read_to_string(fixture("shopify-export.csv")).unwrap();
    let broken = text.replace(",<p>Warm.", ",\"<p>Warm.");
    let file = write(&home, "broken.csv", &broken);
    let ran = home.run(&format!("import {file}"));
    let line = 1 + broken.lines().position(|line| line.starts_with("wool-socks")).unwrap();
    let expected =
        format!("{file}:{line}: Body (HTML): the quote that opens it is not closed as it should be\n");
    assert!(ran.code == 1 && ran.err.starts_with(&expected), "{}", ran.err);
    assert_eq!(counts(&ran.out, "product"), [2, 0, 0, 2, 0]);
    assert_eq!(counts(&ran.out, "unreadable")[4], 1);
    let handles: Vec<_> = products(&home).into_iter().map(|product| product.handle).collect();
    assert_eq!(handles, ["trail-runner", "gift-card"]);
    // Mended and imported again, the rest is as it was.
    assert_eq!(
        counts(&home.done(&format!("import {}", fixture("shopify-export.csv"))), "product"),
        [1, 0, 2, 2, 0]
    );
}

#[test]
fn a_bad_row_is_named_by_line_and_reason() {
    let home = home_with_acme();
    let mut text = b"\xEF\xBB\xBF".to_vec();
    text.extend(
        json!({"type": "sales_rule", "external_id": "r", "chatbot": "main", "name": "Stay",
               "trigger": "exit_intent", "message": "Wait!"})
        .to_string()
        .bytes(),
    );
    text.extend(
        b"\n\n{\"type\": \"product\", \"source\": \"s\", \"handle\": \"a\", \"title\": \"caf\xC3\"}\n",
    );
    text.extend(b"{\"type\": \"chatter\"}\nnonsense\n{\"type\": \"chatbot\", \"external_id\": \"x\", \"setings\": {}}\n");
    text.extend(b"{\"type\": \"chatbot\", \"settings\": {\"name\": \"No id\"}}\n");
    text.extend(
        b"{\"type\": \"document\", \"external_id\": \"d\", \"chatbot\": \"\x1b[31m\", \"title\": \"D\"}\n"
            .iter(),
    );
    text.extend(
        b"{\"type\": \"document\", \"external_id\": \"e\", \"chatbot\": \"\\u001b[31m\", \"title\": \"E\"}\n",
    );
    text.extend(b"{\"type\": \"chatbot\", \"external_id\": \"main\", \"settings\": {\"name\": \"Main\"}}");
    let file = write(&home, "bad.jsonl", text);
    let report = home.path("report.txt");
    let ran = home.run(&format!("import --report {report} {file}"));
    let said = [
        (3, "it is not UTF-8 (after 63 bytes): save the file as UTF-8"),
        (4, "type: came \"chatter\"; wanted one of chatbot, sales_rule, "),
        (5, "it is no JSON: what stands at column 2 is no value of JSON"),
        (6, "setings: unknown field `setings`, expected one of `external_id`"),
        (7, "external_id: it is missing"),
        (8, "it is no JSON: control character"),
        (9, "chatbot: "),
    ];
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), said.len() + 1, "{}", ran.err);
    for (line, (number, reason)) in lines.iter().zip(said) {
        assert!(line.starts_with(&format!("{file}:{number}: {reason}")), "{line} lacks {reason}");
    }
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    assert!(lines[7].starts_with("chaterimo: 7 rows were skipped"), "{}", lines[7]);
    assert_eq!(fs::read_to_string(report).unwrap().lines().collect::<Vec<_>>(), lines[..7]);
    // The rule came before its chatbot.
    assert_eq!((ran.code, counts(&ran.out, "sales_rule")), (1, [1, 0, 0, 0, 0]));
    assert_eq!(counts(&ran.out, "chatbot"), [1, 0, 0, 0, 2]);
}

#[test]
fn what_cannot_be_imported_at_all_is_refused_before_anything_is() {
    let home = home_with_acme();
    let good = write(&home, "good.jsonl", r#"{"type": "document", "external_id": "d", "title": "D"}"#);
    let orders = write(&home, "orders.csv", "id,total\n1,2\n");
    home.refused(&format!("import {good} {orders}"), 2, "lacks Handle (or URL handle), Title, Variant Price");
    home.refused(&format!("import {good} /nowhere.jsonl"), 2, "/nowhere.jsonl cannot be read: No such file");
    home.refused(&format!("import --org nobody {good}"), 1, "There are: acme.");
    home.refused(&format!("import --report /nowhere/report {good}"), 2, "/nowhere/report cannot be written");
    assert_eq!(home.run(&format!("import --currency euros {good}")).code, 2);
    assert_eq!(counts(&home.done(&format!("import {good}")), "document"), [1, 0, 0, 0, 0]);
    assert_eq!(Home::new().run(&format!("import {good}")).code, 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let home = home_with_acme();
    let file = fixture("shopify-template.csv");
    let out = home.done(&format!("import --dry-run {file}"));
    assert_eq!(counts(&out, "product"), [2, 0, 0, 1, 0]);
    assert!(out.contains("Nothing was changed"), "{out}");
    assert_eq!(products(&home).len(), 0);
    let left: Vec<_> =
        fs::read_dir(home.path(".local/share/chaterimo")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("dry-run")), "{left:?}");
}

/// The examples in docs/import.md, a line each.
fn examples() -> Vec<String> {
    let page = fs::read_to_string(format!("{}/docs/import.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let blocks = page.split("```jsonl\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_documented_examples_go_in_and_change_nothing_the_second_time() {
    let home = home_with_acme();
    let mut examples = examples();
    let kinds =
        |line: &String| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned();
    for kind in Record::KINDS {
        assert!(
            examples.iter().map(kinds).any(|known| known == *kind),
            "docs/import.md has no example of {kind}"
        );
    }
    // In the order least helpful.
    examples.reverse();
    let file = write(&home, "examples.jsonl", examples.join("\n"));
    let total =
        |out: &str, place: usize| Record::KINDS.iter().map(|kind| counts(out, kind)[place]).sum::<u64>();
    assert_eq!(total(&home.done(&format!("import {file}")), 0), examples.len() as u64);
    let versions = |home: &Home| look(home, |tx| chatbot::versions(tx, 1, None, 100).unwrap().len());
    let before = versions(&home);
    assert_eq!(total(&home.done(&format!("import {file}")), 2), examples.len() as u64);
    assert_eq!((before, versions(&home)), (1, 1));
    look(&home, |tx| {
        let all = conversation::list(tx, &conversation::Filter::default(), None, 10).unwrap();
        assert_eq!(all.iter().map(|c| c.message_count).collect::<Vec<_>>(), [2]);
        assert_eq!(ticket::count(tx, &ticket::Filter::default()).unwrap(), 2);
        assert_eq!(lead::count(tx, &lead::Filter::default()).unwrap(), 1);
    });
}

#[test]
fn stdin_is_a_file_too() {
    let home = home_with_acme();
    let line = json!({"type": "document", "external_id": "d", "title": "D"}).to_string();
    let ran = home.run_on(line.as_bytes(), "import -");
    assert_eq!((ran.code, counts(&ran.out, "document")), (0, [1, 0, 0, 0, 0]));
    let export = fs::read(fixture("shopify-export.csv")).unwrap();
    assert_eq!(counts(&home.run_on(&export, "import -").out, "product"), [3, 0, 0, 2, 0]);
    assert_eq!(home.run_on(b"[]", "import -").code, 2);
}
