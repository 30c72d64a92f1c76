//! Tokenized URLs: what they reach, that a wrong one is a path that is not there, and that no token is ever said.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use chaterimo::access::api_key;
use chaterimo::access::tokenized_url::{self, Wanted};
use chaterimo::app::App;
use chaterimo::clock::{Clock, DAY, MINUTE};
use chaterimo::config::Network;
use chaterimo::http::Limits;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::{DATABASE_FILE, Durability, SystemTx, Tenant};

use crate::canary::{Process, no_secret, status};
use crate::cli::Home;
use crate::support::*;

/// A server, and an organisation with tokenized URLs on.
struct House {
    server: Server,
    app: Arc<App>,
    clock: Clock,
    tenant: Tenant,
    folder: tempfile::TempDir,
}

impl House {
    fn new(on: &str) -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOW);
        let app = Arc::new(App::open(folder.path(), clock.clone(), false, Vec::new()).unwrap());
        let made = app.store.write(Durability::Disk, |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, NOW)?.tenant;
            organisation::set_plan(tx, tenant, Plan::Paid, Some(None), Some(None))?;
            organisation::set_tokenized_urls(tx, tenant, true)?;
            let new = serde_json::from_str(r#"{"external_id": "a", "settings": {"name": "Anna"}}"#).unwrap();
            chaterimo::store::chatbot::put(&tx.tenant(tenant), &new, NOW)?;
            Ok(tenant)
        });
        let limits = Limits { heartbeat: Duration::from_millis(20), ..Limits::default() };
        let server = Server::of(Arc::clone(&app), limits, &[("CHATERIMO_TOKENIZED_URLS", on)]);
        House { server, app, clock, tenant: made.unwrap(), folder }
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&SystemTx<'_>, Tenant) -> chaterimo::error::Result<T> + Send + 'static,
    ) -> T {
        let tenant = self.tenant;
        self.app.store.write(Durability::Process, move |tx| job(tx, tenant)).unwrap()
    }

    /// A token that holds for 90 days.
    fn token(&self, read_only: bool, from: &[&str]) -> String {
        let from: Vec<Network> = from.iter().map(|text| Network::parse(text).unwrap()).collect();
        let keyring = Arc::clone(&self.app.keyring);
        self.write(move |tx, tenant| {
            let wanted = Wanted { label: "test".to_owned(), read_only, networks: from, days: 90 };
            tokenized_url::create(&tx.tenant(tenant), &keyring, wanted, NOW)
        })
        .1
    }

    fn call(&self, path: &str, fields: &str, tool: &str, arguments: &str) -> Reply {
        self.server.ask(call(path, fields, tool, arguments).as_bytes())
    }
}

const RENAME: &str = r#"{"chatbot_id": 1, "name": "Ben"}"#;

#[test]
fn a_url_reaches_what_it_was_made_for() {
    let house = House::new("true");
    let (reader, writer) = (house.token(true, &[]), house.token(false, &["127.0.0.0/8"]));
    let check = |path: String, fields: &str, reads: bool, writes: bool| {
        let told = house.call(&path, fields, "list_chatbots", "{}");
        assert_eq!((told.status, told.body.contains("\"total\"")), (200, reads), "{path}: {told:?}");
        assert_eq!(told.field("referrer-policy"), Some("no-referrer"));
        assert_eq!(told.field("cache-control"), Some("no-store"));
        let told = house.call(&path, fields, "update_chatbot_settings", RENAME);
        assert_eq!(told.body.contains("\"after\""), writes, "{path}: {told:?}");
        assert!(matches!(told.status, 200 | 404) && told.field("www-authenticate").is_none(), "{told:?}");
    };
    check(format!("/mcp/t/{reader}/"), "", true, false);
    check(format!("/mcp/t/{reader}"), "", true, false);
    check(format!("/mcp/t/{writer}/"), "", true, true);
    check(format!("/mcp/t/{writer}/"), "X-MCP-Readonly: true\r\n", true, false);
    check(format!("/mcp-readonly/t/{writer}/"), "", true, false);
    check(format!("/mcp-readonly/t/{writer}"), "", true, false);
    let refused = house.call(&format!("/mcp/t/{reader}/"), "", "update_chatbot_settings", RENAME);
    assert!(refused.body.contains("the URL of this connection can only read"), "{refused:?}");
    // The token is the credential, whatever else is sent.
    check(format!("/mcp/t/{reader}"), "Authorization: Bearer cha_other\r\n", true, false);
    let bearer = format!("Authorization: Bearer {reader}\r\n");
    assert_eq!(house.call("/mcp/", &bearer, "list_chatbots", "{}").status, 401, "it is no bearer token");
    let database = rusqlite::Connection::open(house.folder.path().join(DATABASE_FILE)).unwrap();
    let mut statement = database.prepare("SELECT DISTINCT credential FROM call_log").unwrap();
    let logged = statement.query_map([], |row| row.get(0)).unwrap();
    assert_eq!(
        logged.collect::<Result<BTreeSet<String>, _>>().unwrap(),
        ["url:1", "url:2"].map(String::from).into()
    );
}

#[test]
fn legacy_sessions_and_streams_live_as_long_as_the_url() {
    let house = House::new("true");
    let (one, other) = (house.token(true, &[]), house.token(true, &[]));
    let path = format!("/mcp/t/{one}/");
    let id = initialize(&house.server, &path, "");
    let session = format!("Mcp-Session-Id: {id}\r\n");
    let list = |path: &str| house.server.ask(post(path, &format!("{session}{JSON}"), LIST).as_bytes());
    assert!(list(&path).body.contains("list_chatbots"));
    assert_eq!(list(&format!("/mcp/t/{one}")).status, 200, "both spellings are one endpoint");
    assert_eq!(list(&format!("/mcp/t/{other}/")).status, 404, "another URL's session");
    assert_eq!(list(&format!("/mcp-readonly/t/{one}/")).status, 404, "another endpoint's session");
    let mut stream = house.server.connect();
    let head = format!("GET {path} HTTP/1.1\r\n{HOST}{session}Accept: text/event-stream\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let head = read_head(&mut stream);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(field(&head, "referrer-policy"), Some("no-referrer"));
    house.write(|tx, tenant| chaterimo::store::tokenized_url::revoke(&tx.tenant(tenant), 1, NOW));
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        let mut bytes = [0; 64];
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "{rest:?}");
        rest.extend_from_slice(&bytes[..count]);
    }
    assert_eq!(list(&path).status, 404);
}

#[test]
fn a_session_is_ended_where_it_was_opened() {
    let house = House::new("true");
    let path = format!("/mcp/t/{}/", house.token(true, &[]));
    let id = initialize(&house.server, &path, "");
    let end = format!("DELETE {path} HTTP/1.1\r\n{HOST}Mcp-Session-Id: {id}\r\n\r\n");
    assert_eq!([204, 404], [(); 2].map(|()| house.server.ask(end.as_bytes()).status));
    let wrong = house.server.ask(format!("PUT {path} HTTP/1.1\r\n{HOST}\r\n").as_bytes());
    assert_eq!((wrong.status, wrong.field("allow")), (405, Some("POST, GET, DELETE")));
}

/// What is answered to `path` by every method and in the ways of every client, but for the date.
fn answers(house: &House, path: &str) -> Vec<String> {
    let mut answers = Vec::new();
    for method in ["POST", "GET", "DELETE", "PUT", "OPTIONS", "HEAD"] {
        for fields in [
            "",
            JSON,
            "Accept: text/html\r\n",
            "Origin: https://chat.example.com\r\nAccess-Control-Request-Method: POST\r\n",
            "Origin: https://evil.example\r\n",
            "Authorization: Bearer cha_other\r\n",
        ] {
            // So that no wrong token is one too many.
            house.clock.advance(MINUTE);
            let request = format!("{method} {path} HTTP/1.1\r\n{HOST}{fields}Content-Length: 0\r\n\r\n");
            let Reply { head, body, .. } = house.server.ask(request.as_bytes());
            let head: Vec<&str> =
                head.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect();
            answers.push(format!("{method} {fields}{}\n{body}", head.join("\n")));
        }
    }
    answers
}

#[test]
fn a_wrong_url_is_a_path_that_is_not_there() {
    let house = House::new("true");
    let nothing = answers(&house, "/mcp/x/y/");
    assert!(nothing.iter().all(|answer| answer.contains(" 404 ")), "{nothing:?}");
    let check = |token: &str, why: &str| {
        for path in
            [format!("/mcp/t/{token}/"), format!("/mcp/t/{token}"), format!("/mcp-readonly/t/{token}/")]
        {
            assert_eq!(answers(&house, &path), nothing, "{why}");
        }
    };
    let good = house.token(false, &[]);
    check("x", "no token");
    let last = if good.ends_with('A') { 'E' } else { 'A' };
    check(&format!("{}{last}", &good[..good.len() - 1]), "a forged one");
    check(&house.token(false, &["192.0.2.1"]), "from elsewhere");
    let revoked = house.token(false, &[]);
    house.write(|tx, tenant| chaterimo::store::tokenized_url::revoke(&tx.tenant(tenant), 3, NOW));
    check(&revoked, "a revoked one");
    house.write(|tx, tenant| organisation::set_tokenized_urls(tx, tenant, false));
    check(&good, "where the organisation has them off");
    house.write(|tx, tenant| organisation::set_tokenized_urls(tx, tenant, true));
    assert_ne!(answers(&house, &format!("/mcp/t/{good}/")), nothing);
    house.clock.advance(90 * DAY);
    check(&good, "an expired one");
}

#[test]
fn a_server_without_them_has_none() {
    let house = House::new("false");
    let path = format!("/mcp/t/{}/", house.token(false, &[]));
    assert_eq!(answers(&house, &path), answers(&house, "/mcp/x/y/"));
    for _ in 0..12 {
        assert_eq!(house.call(&path, "", "list_chatbots", "{}").status, 404, "nothing is counted");
    }
}

#[test]
fn guessing_ends_after_ten() {
    let house = House::new("true");
    let good = format!("/mcp/t/{}/", house.token(true, &[]));
    let guess = || house.call("/mcp/t/chu_1_x_y/", "", "list_chatbots", "{}");
    for _ in 0..10 {
        assert_eq!(guess().status, 404);
    }
    let refused = guess();
    assert_eq!((refused.status, refused.field("retry-after")), (429, Some("60")), "{refused:?}");
    assert_eq!(house.call(&good, "", "list_chatbots", "{}").status, 200, "who has a good one need not wait");
    house.clock.advance(MINUTE);
    assert_eq!(guess().status, 404);
}

/// The whole of what a process says while its URLs are used well and badly, at the lowest level of its log.
#[test]
fn no_token_is_ever_said() {
    let home = Home::new();
    home.done("org create acme --plan paid");
    home.done("org set acme --tokenized-urls on");
    let token = |arguments: &str| {
        let url = home.run(&format!("url create --tokenized-urls {arguments}")).out;
        url.trim_end().trim_end_matches('/').rsplit('/').next().unwrap().to_owned()
    };
    let tokens = [token("--full"), token(""), token("--from 192.0.2.1"), token("--days 1")];
    home.done("url revoke 4");
    let process = Process::start(&home, "text");
    let mut said = String::new();
    let mut statuses = BTreeSet::new();
    for token in &tokens {
        for path in [
            format!("/mcp/t/{token}/"),
            format!("/mcp-readonly/t/{token}"),
            format!("/mcp/t/{token}/x?a={token}"),
        ] {
            for request in [
                call(&path, "", "list_chatbots", "{}"),
                call(&path, "", "update_chatbot_settings", RENAME),
                call(&path, "", "no_such_tool", "{}"),
                post(&path, JSON, INITIALIZE),
                post(&path, JSON, "no JSON"),
                post(&path, "", "no type"),
                post(&path, "Origin: https://evil.example\r\n", ""),
                format!(
                    "GET {path} HTTP/1.1\r\n{HOST}Mcp-Session-Id: mcs_1_x\r\nAccept: text/event-stream\r\n\r\n"
                ),
                format!("PUT {path} HTTP/1.1\r\n{HOST}\r\n"),
                format!("GET {path} HTTP/1.1\r\nHost: other.example\r\n\r\n"),
                format!("GET {path} HTTP/1.1\r\n{HOST}Accept: text/html\r\n\r\n"),
                format!("GET {path}{} HTTP/1.1\r\n{HOST}\r\n", "x".repeat(9_000)),
                format!(
                    "GET {path} HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n{HOST}\r\n"
                ),
            ] {
                let answer = process.ask(&request);
                statuses.insert(status(&answer));
                said.push_str(&answer);
            }
        }
    }
    let log = process.stop("-TERM");
    assert!(log.contains("/mcp/t/{token}") && log.contains("(none)"), "{log}");
    said.push_str(&log);
    for list in ["url list", "org list", "config check"] {
        said.push_str(&home.run(list).out);
    }
    for status in [200, 400, 403, 404, 405, 414, 415, 421, 429] {
        assert!(statuses.contains(&status), "{status} was not tried: {statuses:?}");
    }
    assert!(tokens.iter().all(|token| token.starts_with("chu_")), "{tokens:?}");
    no_secret("somebody", &said, &tokens);
}

/// The key of another kind does not open a URL, nor the other way round.
#[test]
fn a_key_is_no_token() {
    let house = House::new("true");
    let key = house.write(|tx, tenant| api_key::create(&tx.tenant(tenant), "test", false, NOW)).1;
    assert_eq!(house.call(&format!("/mcp/t/{key}/"), "", "list_chatbots", "{}").status, 404);
}
