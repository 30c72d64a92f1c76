//! How long each page takes on the demo store with a year of calls in the log: 1,000 a day, of every tool, from eight
//! credentials, one in ten refused or failed.
//!
//! `cargo bench --bench pages -- run [FOLDER]` fills a store (in a temporary directory, or in FOLDER to be looked at with
//! a browser later), serves it in this process, signs in, asks for each page 200 times on one connection, and prints a
//! Markdown table.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a measurement that cannot go on stops

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chaterimo::access::accounts::{Accounts, Attempt, Outcome};
use chaterimo::app::{App, tool_names};
use chaterimo::clock::{Clock, DAY, SECOND, Time, instant};
use chaterimo::config::{Config, Environment, Flags};
use chaterimo::demo;
use chaterimo::http::{Listener, Options, Site, member_paths, serve};
use chaterimo::store::{Durability, Store, Tenant, call_log, organisation};
use hyper::Method;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const DAYS: i64 = 365;
const CALLS_A_DAY: i64 = 1_000;
const ROUNDS: usize = 200;
const USAGE: &str = "usage: cargo bench --bench pages -- run [FOLDER]";
/// Searches of the log, beside the pages themselves.
const SEARCHES: [&str; 9] = [
    "?tool=get_ticket",
    "?outcome=refused",
    "?outcome=internal",
    "?credential=key%3A1&tool=get_ticket",
    "?from=2020-01-01&to=2040-01-01",
    "?client=claude",
    "?client=nobody",
    "?text=nothing%20has%20this",
    "?before=180000",
];

fn main() -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    if arguments.next().as_deref() != Some("run") {
        // `cargo bench` and `cargo test --benches` run every target so.
        return Ok(writeln!(out, "{USAGE}")?);
    }
    let scratch = tempfile::tempdir()?;
    let folder = arguments.next().map_or(scratch.path().to_owned(), Into::into);
    let keys = fill(&folder, &mut out)?;
    measure(&folder, &keys, &mut out)
}

/// Makes the demo and its calls.
fn fill(folder: &Path, out: &mut impl Write) -> Result<demo::Keys> {
    let (store, now) = (Store::open(folder)?, Clock::System.now());
    let keys = demo::prepare(&store, now)?;
    writeln!(out, "Sign in as {} with {}", keys.owner_email, keys.owner_password)?;
    let tenant = store.peek(|tx| organisation::named(tx, "demo"))?.tenant;
    if store.read(|tx| call_log::any(&tx.tenant(tenant)))? {
        return Ok(keys);
    }
    let started = instant();
    (0..DAYS).try_for_each(|day| fill_day(&store, tenant, now, day))?;
    let micros = started.elapsed().as_micros() / u128::from((DAYS * CALLS_A_DAY).unsigned_abs());
    writeln!(out, "{} calls, {micros} µs to append each", DAYS * CALLS_A_DAY)?;
    Ok(keys)
}

fn fill_day(store: &Store, tenant: Tenant, now: Time, day: i64) -> Result<()> {
    let first = now.plus((day + 1 - DAYS) * DAY - DAY / 2);
    let calls = (0..CALLS_A_DAY).map(move |n| call(first.plus(n * 43 * SECOND), day * CALLS_A_DAY + n));
    store.write(Durability::Process, move |tx| {
        calls.into_iter().try_for_each(|call| call_log::append(&tx.tenant(tenant), &call))
    })?;
    Ok(())
}

fn call(at: Time, n: i64) -> call_log::Call {
    // A full-period generator, so that the rows are the same each time.
    let dice = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let roll = |sides: i64, shift: u32| (dice >> shift).rem_euclid(sides);
    let tools: Vec<&str> = tool_names().map(|(name, _)| name).collect();
    // The tools at the front of the table are called more often.
    let tool = tools[roll(19, 40).min(roll(19, 30)) as usize];
    let outcome = match roll(100, 20) {
        0..90 => "ok",
        90..94 => "invalid_arguments",
        94..97 => "quota_exceeded",
        97..99 => "not_found",
        _ if n % 50_000 < 40 => "internal",
        _ => "read_only",
    };
    call_log::Call {
        at,
        credential: format!("{}:{}", ["key", "key", "grant", "url"][roll(4, 25) as usize], roll(2, 33) + 1),
        client: ["claude-ai", "claude-code", "Claude Desktop"][roll(3, 15) as usize].to_owned(),
        client_version: "1.0.0".to_owned(),
        transport: "http",
        endpoint: "full",
        tool,
        arguments: format!(
            r#"{{"chatbot_id":{},"query":"where is order {}?","limit":20}}"#,
            roll(5, 12),
            roll(9_999, 8)
        ),
        outcome,
        duration_us: 300 + roll(9_000, 18),
        day_remaining: None,
    }
}

fn measure(folder: &Path, keys: &demo::Keys, out: &mut impl Write) -> Result<()> {
    let app = Arc::new(App::open(folder, Clock::System, false, Vec::new())?);
    let cookie = sign_in(&app, keys)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let listener = runtime.block_on(Listener::bind((Ipv4Addr::LOCALHOST, 0).into()))?;
    let address = listener.address();
    let config =
        Config::load(&Flags::default(), &Environment(BTreeMap::from([("HOME".into(), "/".into())])))?;
    let site = Arc::new(Site::new(app, Options::new(&config, address)?));
    runtime.spawn(serve(listener, site, std::future::pending));
    writeln!(out, "\n| page | p50 | p99 | bytes |\n|---|--:|--:|--:|")?;
    let mut browser = Browser::new(address, &cookie)?;
    // An export is no page: it is bounded by its size, not by time.
    let pages = member_paths(Method::GET)
        .filter(|path| !path.contains("export"))
        .map(|path| path.replace("{id}", "1"));
    let searches = SEARCHES.iter().map(|query| format!("/sessions{query}"));
    for path in pages.chain(searches) {
        writeln!(out, "| `{path}` | {} |", browser.measure(&path)?)?;
    }
    Ok(())
}

fn sign_in(app: &App, keys: &demo::Keys) -> Result<String> {
    let accounts = Accounts::new(Arc::clone(&app.store), Arc::clone(&app.keyring), app.clock.clone());
    let attempt = Attempt {
        email: keys.owner_email,
        password: &keys.owner_password,
        address: Ipv4Addr::LOCALHOST.into(),
    };
    match accounts.sign_in(attempt, None)?.outcome {
        Outcome::Done(cookie) => Ok(cookie),
        other => Err(format!("could not sign in: {other:?}").into()),
    }
}

/// One connection that is kept, signed in.
struct Browser {
    stream: BufReader<TcpStream>,
    fields: String,
}

impl Browser {
    fn new(address: SocketAddr, cookie: &str) -> Result<Browser> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let fields = format!("Host: {address}\r\nCookie: sid={cookie}\r\n\r\n");
        Ok(Browser { stream: BufReader::new(stream), fields })
    }

    /// `p50 | p99 | bytes` of a page.
    fn measure(&mut self, path: &str) -> Result<String> {
        let (mut times, mut bytes) = (Vec::with_capacity(ROUNDS), 0);
        for _ in 0..ROUNDS {
            let started = instant();
            bytes = self.get(path)?;
            times.push(started.elapsed());
        }
        times.sort();
        let at = |share: usize| ms(times[(ROUNDS * share / 100).min(ROUNDS - 1)]);
        Ok(format!("{} | {} | {bytes}", at(50), at(99)))
    }

    /// Bytes of the page's body.
    fn get(&mut self, path: &str) -> Result<usize> {
        write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\n{}", self.fields)?;
        let (mut line, mut status, mut length) = (String::new(), String::new(), 0);
        while line != "\r\n" {
            line.clear();
            self.stream.read_line(&mut line)?;
            if status.is_empty() {
                status.clone_from(&line);
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        match status.contains(" 200 ") {
            true => Ok(length),
            false => Err(format!("{path} answered {status}").into()),
        }
    }
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}
