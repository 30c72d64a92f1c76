//! Several processes and threads on one database, and one that is killed: quota is exact, and what was answered stays.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use chaterimo::access::api_key;
use chaterimo::app::App;
use chaterimo::clock::{Clock, DAY};
use chaterimo::stdio;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{DATABASE_FILE, Durability, Store};
use rusqlite::Connection;
use serde_json::Value;

use crate::cli::{Home, Serving};
use crate::support::*;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_chatbots","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// How many of these answers are results, the others being refusals for quota.
fn answered<'a>(answers: impl Iterator<Item = &'a str>) -> usize {
    let is_result = |answer: &&str| {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let refused = answer["result"]["isError"] == true;
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(refused, text.starts_with("quota_exceeded: "), "{answer}");
        !refused
    };
    answers.filter(is_result).count()
}

#[test]
fn processes_share_one_quota() {
    let home = Home::new();
    home.done("org create acme");
    let key = home.run("key create").out.trim_end().to_owned();
    let (_serving, greeting) = Serving::start(&home);
    let address =
        greeting["url"].as_str().unwrap().strip_prefix("http://").unwrap().split('/').next().unwrap();
    let input = format!("{CALL}\n").repeat(5);
    let on_stdio = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chaterimo"));
        command.env_clear().env("HOME", home.folder()).env("CHATERIMO_API_KEY", &key).arg("stdio");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert_eq!(output.lines().count(), 5, "{output}");
        answered(output.lines())
    };
    let over_http =
        || (0..5).map(|_| answered([ask(address, &key, CALL).as_str()].into_iter())).sum::<usize>();
    let all = std::thread::scope(|scope| {
        let threads = [scope.spawn(on_stdio), scope.spawn(on_stdio), scope.spawn(over_http)];
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(all.iter().sum::<usize>(), 5, "{all:?}");
}

/// The body that answers a call on a connection of its own.
fn ask(address: &str, key: &str, body: &str) -> String {
    try_ask(address, key, body).unwrap()
}

/// The same; `None` when the server is gone before it has answered in full.
fn try_ask(address: &str, key: &str, body: &str) -> Option<String> {
    let message: Value = serde_json::from_str(body).unwrap();
    let name = message["params"]["name"].as_str().unwrap();
    let fields = format!(
        "Authorization: Bearer {key}\r\n{JSON}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
         Mcp-Name: {name}\r\nConnection: close\r\n"
    );
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(post("/mcp/", &fields, body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let length: usize = field(&format!("{head}\r\n"), "content-length")?.parse().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    (body.len() == length).then(|| body.to_owned())
}

#[test]
fn a_thousand_parallel_calls_are_counted_exactly() {
    const ALLOWED: u32 = 600;
    let folder = tempfile::tempdir().unwrap();
    let app = App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap();
    let made = app.store.write(Durability::Process, |tx| {
        let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, NOW)?.tenant;
        organisation::set_plan(tx, tenant, Plan::Paid, Some(Some(10_000)), Some(Some(ALLOWED)))?;
        (0..50).map(|_| Ok(api_key::create(&tx.tenant(tenant), "test", false, NOW)?.1)).collect()
    });
    let keys: Vec<String> = made.unwrap();
    let (twenty, app) = (&format!("{CALL}\n").repeat(20), &app);
    let all: usize = std::thread::scope(|scope| {
        let run = |key| {
            let mut output = Vec::new();
            stdio::run(app, key, twenty.as_bytes(), &mut output).unwrap();
            answered(String::from_utf8(output).unwrap().lines())
        };
        let threads: Vec<_> = keys.iter().map(|key| scope.spawn(move || run(key))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(all, ALLOWED as usize);
    assert_eq!(used(folder.path()), i64::from(ALLOWED));
}

/// The calls counted today for the first organisation.
fn used(folder: &std::path::Path) -> i64 {
    let database = Connection::open(folder.join(DATABASE_FILE)).unwrap();
    database.query_row("SELECT used FROM quota", [], |row| row.get(0)).unwrap()
}

/// A call that changes the description of the chatbot to `words`.
fn change(words: &str) -> String {
    let arguments = format!(r#""arguments":{{"chatbot_id":1,"description":"{words}"}}"#);
    CALL.replace("list_chatbots", "update_chatbot_settings").replace(r#""arguments":{}"#, &arguments)
}

#[test]
#[cfg(unix)]
fn what_was_answered_is_there_after_a_kill() {
    const ENOUGH: usize = 150;
    let day = || Clock::System.now().0 / DAY;
    let begun = day();
    let home = Home::new();
    home.done("org create acme --plan paid");
    home.done("plan set acme paid --per-minute 10000 --per-day 100000");
    let key = home.run("key create").out.trim_end().to_owned();
    let data = home.folder().join(".local/share/chaterimo");
    one_chatbot(&data);
    let (mut serving, greeting) = Serving::start(&home);
    let address =
        greeting["url"].as_str().unwrap().strip_prefix("http://").unwrap().split('/').next().unwrap();
    let (reads, (tell, told)) = (AtomicUsize::new(0), mpsc::channel());
    let storm = |worker: usize, tell: mpsc::Sender<()>| {
        let mut written = Vec::new();
        for round in 0.. {
            let words = format!("worker {worker} round {round}");
            let Some(answer) = try_ask(address, &key, &change(&words)) else { break };
            let answer: Value = serde_json::from_str(&answer).unwrap();
            let version = answer["result"]["structuredContent"]["version"]
                .as_i64()
                .unwrap_or_else(|| panic!("{answer}"));
            written.push((version, words));
            let _ = tell.send(());
            if try_ask(address, &key, CALL).is_none() {
                break;
            }
            reads.fetch_add(1, Ordering::SeqCst);
        }
        written
    };
    let storm = &storm;
    let written: BTreeMap<i64, String> = std::thread::scope(|scope| {
        let start = |worker| {
            scope.spawn({
                let tell = tell.clone();
                move || storm(worker, tell)
            })
        };
        let workers: Vec<_> = (0..6).map(start).collect();
        drop(tell);
        assert_eq!(told.iter().take(ENOUGH).count(), ENOUGH);
        assert_eq!(serving.signal("-KILL"), None);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert!(written.len() >= ENOUGH, "every answered write has a version of its own");
    let (mut serving, _) = Serving::start(&home);
    assert_eq!(Store::open(&data).unwrap().quick_check().unwrap(), Vec::<String>::new());
    let kept = descriptions(&data);
    for (version, words) in &written {
        assert_eq!(kept.get(version), Some(words), "version {version} was answered");
    }
    let answered = written.len() + reads.load(Ordering::SeqCst);
    // The count of a day begins anew at midnight.
    if day() == begun {
        assert!(
            used(&data) >= i64::try_from(answered).unwrap(),
            "{} counted, {answered} answered",
            used(&data)
        );
    }
    assert_eq!(serving.signal("-TERM"), Some(0));
}

fn one_chatbot(data: &std::path::Path) {
    use chaterimo::import::record::{Record, put};
    let made = Store::open(data).unwrap().write(Durability::Disk, |tx| {
        let tenant = organisation::find(tx, "acme")?.unwrap().tenant;
        let record = serde_json::json!({"type": "chatbot", "external_id": "a", "settings": {"name": "A"}});
        put(&tx.tenant(tenant), &serde_json::from_value::<Record>(record).unwrap(), NOW)
    });
    made.unwrap();
}

/// The description in each version of the chatbot's settings.
fn descriptions(data: &std::path::Path) -> BTreeMap<i64, String> {
    let database = Connection::open(data.join(DATABASE_FILE)).unwrap();
    let sql = "SELECT version, settings ->> 'description' FROM chatbot_version WHERE chatbot = 1";
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(|row| row.unwrap()).collect()
}
