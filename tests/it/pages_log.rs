//! Overview and MCP Sessions, through the real server.

use std::net::Ipv4Addr;
use std::sync::Arc;

use chaterimo::access::accounts::{Accounts, Attempt, Outcome};
use chaterimo::access::password;
use chaterimo::app::App;
use chaterimo::clock::{Clock, DAY, HOUR, MINUTE, Time};
use chaterimo::http::Limits;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::user::{self, Role};
use chaterimo::store::{Durability, call_log};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{HOST, NOW, Reply, Server, call, key, key_on};

const SECRET: &str = "correct horse battery";
const SCRIPT: &str = "<script>alert(1)</script>";

/// A server with two organisations, looked at by a member of the first.
struct Dashboard {
    server: Server,
    app: Arc<App>,
    key: String,
    cookie: String,
    folder: TempDir,
}

impl Dashboard {
    fn new(plan: Plan) -> Dashboard {
        let folder = tempfile::tempdir().unwrap();
        let key = key_on(folder.path(), "ours", plan, false);
        let app = Arc::new(App::open(folder.path(), Clock::manual(NOW), false, Vec::new()).unwrap());
        let cookie = sign_in(&app);
        let server = Server::of(Arc::clone(&app), Limits::default(), &[]);
        Dashboard { server, app, key, cookie, folder }
    }

    fn get(&self, path: &str) -> Reply {
        let cookie = format!("Cookie: __Host-sid={}\r\n", self.cookie);
        let reply = self.server.ask(format!("GET {path} HTTP/1.1\r\n{HOST}{cookie}\r\n").as_bytes());
        // A shorter text may stand in a form's value, by chance.
        let is_key = |rest: &str| {
            rest.len() >= 49 && rest.bytes().take(49).all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        assert!(!reply.body.split("cha_").skip(1).any(is_key), "{path} shows a key");
        reply
    }

    fn page(&self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    }

    /// Puts calls into the log of the organisation with this slug.
    fn log(&self, slug: &'static str, calls: Vec<call_log::Call>) {
        let logged = self.app.store.write(Durability::Process, move |tx| {
            let tenant = organisation::named(tx, slug)?.tenant;
            calls.iter().try_for_each(|call| call_log::append(&tx.tenant(tenant), call))
        });
        logged.unwrap();
    }

    /// The numbers of the rows that a search shows.
    fn shown(&self, query: &str) -> Vec<i64> {
        numbers(&self.page(&format!("/sessions{query}")))
    }
}

fn sign_in(app: &Arc<App>) -> String {
    let hash = password::hash(SECRET).unwrap();
    let made = app.store.write(Durability::Process, move |tx| {
        let ours = tx.tenant(organisation::named(tx, "ours")?.tenant);
        let person = user::add(&ours, "anna@example.com", "Anna", Role::Analyst, NOW)?.user;
        user::put_password(tx, person, &hash)?;
        user::accept(&ours, person, NOW)
    });
    made.unwrap();
    let accounts = Accounts::new(Arc::clone(&app.store), Arc::clone(&app.keyring), app.clock.clone());
    let address = Ipv4Addr::LOCALHOST.into();
    let attempt = Attempt { email: "anna@example.com", password: SECRET, address };
    match accounts.sign_in(attempt, None).unwrap().outcome {
        Outcome::Done(cookie) => cookie,
        other => panic!("{other:?}"),
    }
}

/// A call whose arguments carry its number.
fn row(n: i64, at: Time) -> call_log::Call {
    call_log::Call {
        at,
        credential: "key:1".into(),
        client: "claude-ai".into(),
        client_version: "1.0".into(),
        transport: "http",
        endpoint: "full",
        tool: "list_chatbots",
        arguments: format!("{{\"n\":{n}}}"),
        outcome: "ok",
        duration_us: 1_250,
        day_remaining: Some(900),
    }
}

/// The numbers in the arguments that a page shows, in its order; arguments are escaped there.
fn numbers(page: &str) -> Vec<i64> {
    let starts = page.match_indices("<code>{&#34;n&#34;:").map(|(at, mark)| &page[at + mark.len()..]);
    starts.map(|rest| rest[..rest.find('}').unwrap()].parse().unwrap()).collect()
}

#[test]
fn an_organisation_without_calls_is_shown_the_first_steps() {
    let dashboard = Dashboard::new(Plan::Free);
    let page = dashboard.page("/");
    for part in ["Connect Claude in three steps", "href=\"/connect\"", "free plan", "of 5 today"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(dashboard.page("/sessions").contains("There was no call yet"));
}

#[test]
fn calls_show_up_with_who_made_them_and_what_is_left() {
    let dashboard = Dashboard::new(Plan::Free);
    let bearer = format!("Authorization: Bearer {}\r\n", dashboard.key);
    for arguments in ["{}", "{\"limit\":7}", "{\"limit\":-1}"] {
        dashboard.server.ask(call("/mcp", &bearer, "list_chatbots", arguments).as_bytes());
    }
    let overview = dashboard.page("/");
    assert!(!overview.contains("three steps"));
    for part in [
        "<p class=\"figure\">3</p>",
        "2 answered",
        ">3 <span class=\"faint small\">of 5 today",
        "Wrong arguments",
    ] {
        assert!(overview.contains(part), "{part} in {overview}");
    }
    let sessions = dashboard.page("/sessions");
    for part in [
        "<strong>3 calls</strong> · 1 refused",
        "<bdi>test</bdi>",
        "API key",
        "List chatbots",
        "HTTP",
        "&#34;limit&#34;:7",
    ] {
        assert!(sessions.contains(part), "{part} in {sessions}");
    }
    // The newest first: the refused one, which cost nothing.
    let outcomes: Vec<_> =
        sessions.match_indices("class=\"tag ").map(|(at, _)| &sessions[at + 11..at + 15]).collect();
    assert_eq!(outcomes, ["warn", "good", "good"]);
}

#[test]
fn filters_find_what_they_name_and_pages_follow_each_other() {
    let dashboard = Dashboard::new(Plan::Paid);
    let at = |n: i64| NOW.plus((n - 120) * HOUR);
    let calls = (1..=120).map(|n| match n {
        7 => call_log::Call { outcome: "quota_exceeded", ..row(n, at(n)) },
        8 => call_log::Call { outcome: "not_found", ..row(n, at(n)) },
        9 => call_log::Call { tool: "get_ticket", credential: "grant:5".into(), ..row(n, at(n)) },
        10 => call_log::Call { client: "Cursor".into(), ..row(n, at(n)) },
        12 => call_log::Call { tool: "resources/read", ..row(n, at(n)) },
        _ => row(n, at(n)),
    });
    dashboard.log("ours", calls.collect());
    let check = |query: &str, expected: Vec<i64>| assert_eq!(dashboard.shown(query), expected, "{query}");
    check("?outcome=refused", vec![7]);
    check("?outcome=failed", vec![8]);
    check("?outcome=not_found", vec![8]);
    check("?tool=get_ticket", vec![9]);
    check("?tool=resources%2Fread", vec![12]);
    assert!(
        dashboard
            .page("/sessions?tool=resources/read")
            .contains("<span class=\"name\">Read a resource</span>")
    );
    check("?credential=grant%3A5", vec![9]);
    check("?client=curs", vec![10]);
    check("?text=%22n%22%3A11%7D", vec![11]);
    check("?tool=get_ticket&outcome=refused", vec![]);
    let day = |at: Time| at.to_string()[..10].to_owned();
    let expected = (1..=120).rev().filter(|n| day(at(*n)) == day(at(20))).collect();
    check(&format!("?from={0}&to={0}", day(at(20))), expected);

    let first = dashboard.page("/sessions");
    assert_eq!(numbers(&first), (71..=120).rev().collect::<Vec<_>>());
    assert!(first.contains("<strong>120 calls</strong>"));
    let older = |page: &str| {
        let (_, rest) = page.split_once("href=\"/sessions?before=")?;
        Some(rest[..rest.find('"')?].to_owned())
    };
    let next = older(&first).unwrap();
    // A call that comes meanwhile moves nothing.
    dashboard.log("ours", vec![row(121, NOW)]);
    let second = dashboard.page(&format!("/sessions?before={next}"));
    assert_eq!(numbers(&second), (21..=70).rev().collect::<Vec<_>>());
    let third = dashboard.page(&format!("/sessions?before={}", older(&second).unwrap()));
    assert_eq!(numbers(&third), (1..=20).rev().collect::<Vec<_>>());
    assert!(older(&third).is_none());
    for query in ["?from=yesterday", "?outcome=%27", "?before=x"] {
        assert_eq!(dashboard.get(&format!("/sessions{query}")).status, 400, "{query}");
        assert_eq!(dashboard.get(&format!("/sessions/export.csv{query}")).status, 400, "{query}");
    }
    let page = dashboard.get("/sessions?from=2026-11-22&to=2026-11-01&text=shoe").body;
    for part in ["The first day comes after the last", "value=\"2026-11-22\"", "value=\"shoe\""] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("120 calls"), "what was not asked for is not shown");
}

#[test]
fn nothing_of_another_organisation_is_shown() {
    let dashboard = Dashboard::new(Plan::Paid);
    key(dashboard.folder.path(), "theirs", false);
    let theirs = |n| call_log::Call { client: "their-client".into(), ..row(n, NOW.plus(-MINUTE)) };
    dashboard.log("theirs", (1..=1_100).map(theirs).collect());
    dashboard.log("ours", vec![row(1, NOW.plus(-MINUTE))]);
    for path in [
        "/",
        "/sessions",
        "/sessions?client=their",
        "/sessions?tool=list_chatbots",
        "/sessions/export.csv",
        "/sessions/export.jsonl",
    ] {
        let page = dashboard.page(path);
        assert!(!page.contains("their-client") && !page.contains("1,100"), "{path}");
    }
    assert!(dashboard.page("/sessions").contains("<strong>1 call</strong>"));
    assert_eq!(dashboard.page("/sessions/export.jsonl").lines().count(), 1);
}

#[test]
fn hostile_names_and_arguments_are_text() {
    let dashboard = Dashboard::new(Plan::Paid);
    let hostile = call_log::Call {
        credential: "key:99\"><b>".into(),
        client: format!("=cmd(\"x\"){SCRIPT}"),
        client_version: SCRIPT.into(),
        arguments: format!("{{\"query\":\"{SCRIPT}\"}}"),
        outcome: "<i>odd</i>",
        ..row(1, NOW)
    };
    dashboard.log(
        "ours",
        vec![hostile, call_log::Call { outcome: "read_only", client: SCRIPT.into(), ..row(2, NOW) }],
    );
    let paths = [
        "/",
        "/sessions",
        "/sessions?text=%3Cscript%3E",
        "/sessions?client=%22%3E%3Cscript%3E",
        "/sessions?credential=%3Cscript%3E",
    ];
    for path in paths {
        let page = dashboard.page(path);
        assert!(!page.contains("<script>") && !page.contains("<i>odd") && !page.contains("\"><b>"), "{path}");
    }
    assert!(dashboard.page("/sessions").contains("&#60;script&#62;alert(1)"));
    let csv = dashboard.page("/sessions/export.csv");
    assert!(csv.contains("\"'=cmd(\"\"x\"\")<script>"), "{csv}");
}

#[test]
fn an_export_holds_what_the_filter_lets_through() {
    let dashboard = Dashboard::new(Plan::Paid);
    let refused = call_log::Call { outcome: "read_only", ..row(2, NOW) };
    dashboard.log("ours", vec![row(1, NOW.plus(-DAY)), refused, row(3, NOW)]);
    let csv = dashboard.get("/sessions/export.csv");
    assert_eq!(csv.field("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.field("content-disposition"), Some("attachment; filename=\"mcp-sessions.csv\""));
    assert_eq!(csv.field("cache-control"), Some("no-store"));
    let lines: Vec<&str> = csv.body.split("\r\n").collect();
    assert!(lines[0].starts_with("id,at,credential,"));
    assert_eq!(
        lines[1],
        format!("3,{NOW},key:1,test,,claude-ai,1.0,http,full,list_chatbots,\"{{\"\"n\"\":3}}\",ok,1250,900")
    );
    assert_eq!((lines.len(), lines[4]), (5, ""));
    let json = dashboard.page("/sessions/export.jsonl?outcome=refused");
    let rows: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["arguments"]["n"], &rows[0]["outcome"]),
        (&Value::from(2), &Value::from("read_only"))
    );
    let stranger =
        dashboard.server.ask(format!("GET /sessions/export.csv HTTP/1.1\r\n{HOST}\r\n").as_bytes());
    assert_eq!(stranger.status, 303);
}
