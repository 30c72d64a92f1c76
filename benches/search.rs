//! How quick `search_products` is for an organisation with 10,000 products beside others with 100,000, and what putting
//! and re-indexing a product costs.
//!
//! `cargo bench --bench search -- run [OWN [FOREIGN]]` makes a database in a temporary folder and prints a table.

use std::io::Write as _;
use std::time::Duration;

use chaterimo::clock::{Time, instant};
use chaterimo::search::{self, Request};
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::product::{self, Filter, NewProduct, Variant};
use chaterimo::store::{Durability, Store, Tenant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const NOW: Time = Time(1_795_334_400_000);
/// Products that are put in one transaction.
const BATCH: usize = 500;
const QUERIES: usize = 2_000;
/// Different words of the catalogue; what comes early is common, as in real text.
const VOCABULARY: u64 = 12_000;

fn main() -> Result<()> {
    // cargo adds a flag of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", ref sizes @ ..] => run(
            sizes.first().map_or(Ok(10_000), |size| size.parse())?,
            sizes.get(1).map_or(Ok(100_000), |size| size.parse())?,
        ),
        // `cargo bench` and `cargo test --benches` run every target so.
        _ => print("usage: cargo bench --bench search -- run [OWN [FOREIGN]]"),
    }
}

fn run(own: usize, foreign: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path())?;
    let ours = organisation(&store, "ours")?;
    let put = fill(&store, ours, own, 1)?;
    print(&format!("{own} products put, {put:.2?} of CPU time each"))?;
    print("| beside | query | p50 | p99 | CPU |\n|--:|---|--:|--:|--:|")?;
    measure_all(&store, ours, 0)?;
    fill(&store, organisation(&store, "other")?, foreign, 2)?;
    measure_all(&store, ours, foreign)?;
    let begun = cpu_time()?;
    let ids: Vec<i64> = (1..=own as i64).collect();
    for batch in ids.chunks(32) {
        let batch = batch.to_vec();
        store.write(Durability::Process, move |tx| {
            batch.iter().try_for_each(|id| product::reindex(&tx.tenant(ours), *id).map(|_| ()))
        })?;
    }
    print(&format!(
        "\nindexed anew, {:.2?} of CPU time each; the database has {} MiB",
        (cpu_time()? - begun) / own as u32,
        size(&store)?
    ))
}

fn measure_all(store: &Store, ours: Tenant, foreign: usize) -> Result<()> {
    let all = Filter::default();
    let filtered = Filter { price_max: product_price(50), ..Filter::default() };
    type Make<'a> = &'a dyn Fn(&mut Dice) -> String;
    let kinds: [(&str, Make<'_>, &Filter); 5] = [
        ("two words", &|dice| format!("{} {}", dice.word(), dice.word()), &all),
        ("eight words", &|dice| (0..8).map(|_| dice.word() + " ").collect(), &all),
        ("two words, below a price", &|dice| format!("{} {}", dice.word(), dice.word()), &filtered),
        ("misspelt", &|dice| format!("{}x {}x", dice.word(), dice.word()), &all),
        ("SKU", &|dice| format!("SKU-{:06}", dice.below(10_000)), &all),
    ];
    for (name, query, filter) in kinds {
        let mut dice = Dice(7);
        let mut times = Vec::with_capacity(QUERIES);
        let cpu_before = cpu_time()?;
        for _ in 0..QUERIES {
            let query = query(&mut dice);
            let begun = instant();
            let request = Request { query: &query, filter, after: None, limit: 21 };
            store.read(|tx| {
                let tx = tx.tenant(ours);
                let found = search::products(&tx, &request)?;
                found.hits.iter().try_for_each(|hit| product::get(&tx, hit.id).map(|_| ()))
            })?;
            times.push(begun.elapsed());
        }
        let cpu = (cpu_time()? - cpu_before) / QUERIES as u32;
        times.sort_unstable();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        print(&format!("| {foreign} | {name} | {:.2?} | {:.2?} | {cpu:.2?} |", at(50), at(99)))?;
    }
    Ok(())
}

fn organisation(store: &Store, slug: &'static str) -> Result<Tenant> {
    let made =
        store.write(Durability::Process, move |tx| organisation::create(tx, slug, slug, Plan::Paid, NOW))?;
    Ok(made.tenant)
}

/// Puts `count` products in; what each cost.
fn fill(store: &Store, tenant: Tenant, count: usize, seed: u64) -> Result<Duration> {
    let mut dice = Dice(seed);
    let mut spent = Duration::ZERO;
    for first in (0..count).step_by(BATCH) {
        let batch: Vec<NewProduct> =
            (first..count.min(first + BATCH)).map(|number| dice.product(number)).collect();
        let begun = cpu_time()?;
        store.write(Durability::Process, move |tx| {
            batch.iter().try_for_each(|new| product::put(&tx.tenant(tenant), new, NOW).map(|_| ()))
        })?;
        spent += cpu_time()? - begun;
    }
    // What is measured then is the database, not how long its log has become.
    store.checkpoint()?;
    Ok(spent / count.max(1) as u32)
}

fn product_price(units: u32) -> Option<chaterimo::store::price::Price> {
    chaterimo::store::price::Price::of(f64::from(units))
}

/// What this thread has run on a processor (Linux's schedstat): on a busy machine it says more than the clock.
fn cpu_time() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split_whitespace().next().unwrap_or("0").parse()?))
}

fn size(store: &Store) -> Result<u64> {
    store.checkpoint()?;
    Ok(std::fs::metadata(store.path())?.len() / (1 << 20))
}

/// The same numbers for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A word; the n-th is drawn about as often as 1/n.
    fn word(&mut self) -> String {
        let share = self.below(1 << 20) as f64 / f64::from(1 << 20);
        let rank = (VOCABULARY as f64).powf(share) as u64;
        const SYLLABLES: [&str; 16] = [
            "ka", "ro", "mi", "ten", "sol", "ba", "lu", "fer", "vi", "dan", "po", "gra", "ne", "shi", "ol",
            "que",
        ];
        let mut word = String::new();
        let mut rest = rank + 16;
        while rest > 0 {
            word.push_str(SYLLABLES[(rest % 16) as usize]);
            rest /= 16;
        }
        word
    }

    fn words(&mut self, count: u64) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    fn product(&mut self, number: usize) -> NewProduct {
        let title = {
            let count = 3 + self.below(4);
            self.words(count)
        };
        let description = {
            let count = 40 + self.below(60);
            self.words(count)
        };
        let price = product_price(5 + self.below(195) as u32);
        let variants = (0..3).map(|size| Variant {
            sku: Some(format!("SKU-{:06}-{size}", number)),
            price,
            available: Some(self.below(4) > 0),
            ..Variant::default()
        });
        let mut variants: Vec<Variant> = variants.collect();
        variants[0].sku = Some(format!("SKU-{number:06}"));
        NewProduct {
            source: "shopify".to_owned(),
            handle: format!("product-{number}"),
            title,
            description,
            vendor: self.word(),
            product_type: self.word(),
            tags: self.words(4),
            variants,
            ..NewProduct::default()
        }
    }
}

fn print(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
