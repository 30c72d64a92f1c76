//! How long `get_analytics` and `get_dashboard` take on a busy store: two organisations, each with four chatbots on
//! three platforms and two years of conversations, a million messages in each year. The second year is what 365 days
//! are asked of, the first what they are compared with.
//!
//! `cargo bench --bench analytics -- run` fills a store in a temporary directory (half a minute), asks each question 200
//! times as a call does (arguments checked, one snapshot, result serialised), and prints a Markdown table.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a measurement that cannot go on stops

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use chaterimo::clock::{DAY, HOUR, MINUTE, SECOND, Time, instant};
use chaterimo::keyring::Keyring;
use chaterimo::store::chatbot::{self, NewChatbot};
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{DATABASE_FILE, Durability, Store, SystemTx, Tenant, quota};
use chaterimo::tools::{Cx, Entry, Json};
use rusqlite::{Connection, params};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// 2026-11-22T08:00:00Z.
const NOW: Time = Time(1_795_334_400_000);
const YEARS: i64 = 2;
const MESSAGES_A_YEAR: i64 = 1_000_000;
const CHATBOTS: i64 = 4;
const ROUNDS: usize = 200;
const USAGE: &str = "usage: cargo bench --bench analytics -- run";

fn main() -> Result<()> {
    let mut out = std::io::stdout().lock();
    if std::env::args().nth(1).as_deref() != Some("run") {
        // `cargo bench` and `cargo test --benches` run every target so.
        return Ok(writeln!(out, "{USAGE}")?);
    }
    let folder = tempfile::tempdir()?;
    let store = Store::open(folder.path())?;
    let keyring = Keyring::open(folder.path(), NOW)?;
    let started = instant();
    let ours = fill(&store, folder.path(), "ours")?;
    fill(&store, folder.path(), "theirs")?;
    store.checkpoint()?;
    let size = folder.path().join(DATABASE_FILE).metadata()?.len() / (1 << 20);
    writeln!(
        out,
        "Store: {}; filled in {} s; {size} MiB.\n",
        census(folder.path())?,
        started.elapsed().as_secs()
    )?;
    writeln!(out, "| call | p50 | p99 | CPU time | characters |\n|---|---|---|---|---|")?;
    for (tool, arguments) in questions() {
        let measured = measure(&store, &keyring, ours, tool, &arguments)?;
        writeln!(out, "| `{tool} {arguments}` | {measured} |")?;
    }
    Ok(())
}

fn questions() -> Vec<(&'static str, Value)> {
    let year = |timezone: &str| ("get_analytics", json!({"days": 365, "timezone": timezone}));
    vec![
        year("UTC"),
        year("Europe/Berlin"),
        year("America/New_York"),
        year("Asia/Kathmandu"),
        // Midnight there is farthest from midnight in UTC: the most rows to count one by one.
        year("Pacific/Auckland"),
        ("get_analytics", json!({"days": 365, "timezone": "Pacific/Auckland", "chatbot_id": 1})),
        ("get_analytics", json!({})),
        ("get_dashboard", json!({})),
    ]
}

fn measure(
    store: &Store,
    keyring: &Keyring,
    tenant: Tenant,
    tool: &str,
    arguments: &Value,
) -> Result<String> {
    let entry = Entry::named(tool).expect("a tool of the table");
    let mut times = Vec::with_capacity(ROUNDS);
    let mut chars = 0;
    let cpu_before = cpu_time()?;
    for _ in 0..ROUNDS {
        let started = instant();
        chars = ask(store, keyring, tenant, entry, arguments)?.chars().count();
        times.push(started.elapsed());
    }
    let cpu = (cpu_time()? - cpu_before) / ROUNDS as u32;
    times.sort_unstable();
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let (p50, p99) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    Ok(format!("{} | {} | {} | {chars}", ms(p50), ms(p99), ms(cpu)))
}

/// What this thread has run on a processor, from the first field of Linux's schedstat; on a busy machine it says more
/// than the clock.
fn cpu_time() -> Result<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split(' ').next().unwrap_or_default().parse()?))
}

fn ask(
    store: &Store,
    keyring: &Keyring,
    tenant: Tenant,
    entry: &'static Entry,
    arguments: &Value,
) -> Result<String> {
    let arguments = entry.check(arguments.clone()).map_err(|refusal| refusal.message)?;
    let job = |tx: &SystemTx<'_>| {
        let tx = &tx.tenant(tenant);
        let balance = quota::balance(tx, NOW)?;
        let cx = Cx {
            tx,
            now: NOW,
            actor: "bench",
            redact: true,
            balance,
            extra_models: &[],
            keyring,
            spec: entry.spec,
            arguments: &arguments,
        };
        Ok(entry.run(&cx).map(Json::into_text).map_err(|refusal| refusal.message))
    };
    Ok(store.read(job)??)
}

/// An organisation with its conversations: by day and evening more than by night, a third of them on week-ends.
fn fill(store: &Store, folder: &Path, slug: &'static str) -> Result<Tenant> {
    let made = store.write(Durability::Process, move |tx| {
        let tenant = organisation::create(tx, slug, slug, Plan::Paid, NOW)?.tenant;
        for id in 1..=CHATBOTS {
            let name = format!("Assistant {id}");
            let new: NewChatbot =
                serde_json::from_value(json!({"settings": {"name": name}})).expect("a chatbot");
            chatbot::put(&tx.tenant(tenant), &new, NOW)?;
        }
        Ok(tenant)
    })?;
    let mut connection = Connection::open(folder.join(DATABASE_FILE))?;
    let first = NOW.0 - YEARS * 365 * DAY;
    let mut random = Random(made.key() as u64);
    let mut id = 0;
    for year in 0..YEARS {
        let transaction = connection.transaction()?;
        let mut messages = 0;
        while messages < MESSAGES_A_YEAR {
            id += 1;
            let day = first + (year * 365 + random.below(365)) * DAY;
            let talk = Talk::new(&mut random, id, day);
            talk.insert(&transaction, made.key())?;
            messages += talk.messages;
        }
        transaction.commit()?;
    }
    Ok(made)
}

struct Talk {
    id: i64,
    chatbot: i64,
    platform: &'static str,
    started_at: i64,
    messages: i64,
    first_response_ms: Option<i64>,
    handed_over_at: Option<i64>,
}

impl Talk {
    fn new(random: &mut Random, id: i64, day: i64) -> Talk {
        let hour = (random.below(16) + random.below(9)) % 24;
        let started_at = day + hour * HOUR + random.below(HOUR);
        let platform = ["web", "web", "web", "whatsapp", "whatsapp", "messenger"][random.below(6) as usize];
        Talk {
            id,
            chatbot: [1, 1, 1, 2, 2, 3, 4][random.below(7) as usize],
            platform,
            started_at,
            messages: 2 + random.below(8),
            first_response_ms: (random.below(50) > 0).then(|| SECOND + random.below(4 * SECOND)),
            handed_over_at: (random.below(12) == 0).then_some(started_at + MINUTE),
        }
    }

    fn insert(&self, connection: &Connection, organisation: i64) -> Result<()> {
        let sql = "INSERT INTO conversation (organisation, id, chatbot, platform, started_at, last_message_at, \
                   message_count, first_question, first_response_ms, handed_over_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let end = self.started_at + self.messages * MINUTE;
        connection.prepare_cached(sql)?.execute(params![
            organisation,
            self.id,
            self.chatbot,
            self.platform,
            self.started_at,
            end,
            self.messages,
            "Where is my order? I was told it would be here on Monday.",
            self.first_response_ms,
            self.handed_over_at
        ])?;
        let sql = "INSERT INTO message (organisation, conversation, position, role, text, sent_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut statement = connection.prepare_cached(sql)?;
        for position in 1..=self.messages {
            let (role, text) = if position % 2 == 1 {
                ("visitor", "Where is my order? I was told it would be here on Monday.")
            } else {
                ("assistant", "Let me look that up for you. Could you tell me the number of the order?")
            };
            let at = self.started_at + position * MINUTE;
            statement.execute(params![organisation, self.id, position, role, text, at])?;
        }
        Ok(())
    }
}

/// What is in the store, counted from the rows.
fn census(folder: &Path) -> Result<String> {
    let connection = Connection::open(folder.join(DATABASE_FILE))?;
    let count = |table: &str| -> Result<i64> {
        Ok(connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
    };
    let (organisations, talks, messages) =
        (count("organisation")?, count("conversation")?, count("message")?);
    Ok(format!(
        "{organisations} organisations, {talks} conversations, {messages} messages over {YEARS} years"
    ))
}

/// A small generator (xorshift), for the same store each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as i64
    }
}
