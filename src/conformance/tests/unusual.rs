//! Servers of which nothing, or one row, may be said: those that are right in a way of their own, and those with one fault
//! that shows everywhere.

use super::correct::{ANYBODY, Asked, Said, serve};
use super::faults::Does::{self, Both, Says};
use super::*;

const NEW: Revision = Revision::V2026_07_28;
const OLD: Revision = Revision::V2025_11_25;
const BATCHES: Revision = Revision::V2025_03_26;
/// What a client may skip: a comment, an event that only says where to go on, and events of other names.
const LEAD: &str = ": hello\r\n\r\nid: 1\r\nretry: 10\r\ndata:\r\n\r\nevent: heartbeat\r\ndata: now\r\n\r\nevent: heartbeat\ndata: {\"at\":7}\n\n";

/// What is unusual, at which path the server is asked, and what it does.
const UNUSUAL: &[(&str, &str, Does)] = &[
    ("it answers by streams", "/mcp", Says(|_, said| _ = said.stream())),
    (
        "its streams have more than messages",
        "/mcp",
        Says(|_, said| {
            said.stream();
            said.lead = LEAD;
        }),
    ),
    ("it answers in chunks", "/mcp", Says(|_, said| said.is_chunked = true)),
    (
        "it answers by streams in chunks",
        "/mcp",
        Says(|_, said| {
            said.stream();
            said.is_chunked = true;
        }),
    ),
    (
        "it keeps no connection",
        "/mcp",
        Says(|_, said| {
            said.closes = true;
            said.fields.push(("connection", "close".into()));
        }),
    ),
    (
        "it has no sessions",
        "/mcp",
        Both(
            |asked| {
                if asked.field("mcp-session-id").is_empty() {
                    asked.set("mcp-session-id", ANYBODY);
                }
            },
            |_, said| said.fields.retain(|(name, _)| *name != "mcp-session-id"),
        ),
    ),
    ("it tells of things first", "/mcp", Says(|asked, said| _ = tells(asked, said))),
    (
        "it pings whoever asks",
        "/mcp",
        Says(|asked, said| {
            if tells(asked, said) {
                said.messages.insert(0, json!({"jsonrpc": "2.0", "id": asked.number, "method": "ping"}));
                (said.waits, said.closes) = (true, true);
            }
        }),
    ),
    ("it has moved", "/old", Says(|_, _| {})),
    ("it has moved, it says in full", "/older", Says(|_, _| {})),
    (
        "it has nothing",
        "/mcp",
        Says(|asked, said| {
            for opening in ["server/discover", "initialize"] {
                said.of(asked, opening, |result| result["capabilities"] = json!({}));
            }
            let family = asked.method().split('/').next().unwrap_or_default();
            if ["tools", "resources", "prompts", "completion", "logging"].contains(&family) {
                said.refuse(if asked.is_modern() { 404 } else { 200 }, -32601);
            }
        }),
    ),
    (
        "its lists are empty",
        "/mcp",
        Says(|asked, said| {
            for (method, member) in LISTS {
                let change = |result: &mut Value| {
                    result[member] = json!([]);
                    result.as_object_mut().unwrap().remove("nextCursor");
                };
                said.of(asked, method, change);
            }
        }),
    ),
    (
        "it has a page for each of its tools",
        "/mcp",
        Says(|asked, said| {
            said.of(asked, "tools/list", |result| {
                let cursor = asked.body["params"]["cursor"].as_str().unwrap_or_default();
                let name = format!("tool-{}", cursor.len());
                result["tools"][0] = json!({"name": name, "inputSchema": {"type": "object"}});
                result["nextCursor"] = json!(format!("b{cursor}"));
            });
        }),
    ),
    (
        "it completes templates alone",
        "/mcp",
        Says(|asked, said| {
            if asked.method() == "completion/complete" {
                match asked.body["params"]["ref"]["type"] == "ref/resource" {
                    true => said.result(asked, json!({"completion": {"values": []}})),
                    false => said.refuse(200, -32602),
                }
            }
        }),
    ),
    (
        "it completes the last of its prompts alone",
        "/mcp",
        Says(|asked, said| {
            prompts(asked, said, 2);
            if asked.method() == "completion/complete" {
                match asked.body["params"]["ref"]["name"] == "second-1" {
                    true => said.result(asked, json!({"completion": {"values": []}})),
                    false => said.refuse(200, -32602),
                }
            }
        }),
    ),
    (
        "it completes none of its prompts that are tried",
        "/mcp",
        Says(|asked, said| {
            prompts(asked, said, 6);
            if asked.method() == "completion/complete" {
                said.refuse(200, -32602);
            }
        }),
    ),
    (
        "it says otherwise that nobody ends a session",
        "/mcp",
        Says(|asked, said| {
            if asked.verb == "DELETE" {
                said.status = 404;
            }
        }),
    ),
];

/// The lists, and what their items are called.
const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
    ("prompts/list", "prompts"),
];

/// Lists this many prompts on each of two pages.
fn prompts(asked: &Asked, said: &mut Said, count: usize) {
    let page = if asked.body["params"]["cursor"].is_null() { "first" } else { "second" };
    let prompt =
        |at: usize| json!({"name": format!("{page}-{at}"), "arguments": [{"name": "who", "required": true}]});
    said.of(asked, "prompts/list", |result| result["prompts"] = (0..count).map(prompt).collect());
}

/// Puts what a legacy server may say at any time in front of an answer; whether it did.
fn tells(asked: &Asked, said: &mut Said) -> bool {
    if asked.is_modern() || asked.method() == "server/discover" || !said.stream() {
        return false;
    }
    let log =
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}});
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    said.messages.splice(0..0, [log, changed]);
    true
}

/// What is said of a server at `path` that `does` this: `ID: why`, of what is not well, and of what is not exercised.
async fn told(path: &'static str, revision: Revision, does: Does) -> (Vec<String>, Vec<String>) {
    let _turn = TURNS.acquire().await.unwrap();
    let (url, _) = serve(Some(does)).await;
    let report = run(plan(Target::Url(url.replace("/mcp", path)), revision, &[]), |_| {}).await.unwrap();
    assert!(report.findings.len() > 40);
    let line = |finding: &&Finding| format!("{}: {}", finding.check.id, finding.outcome.text());
    let of = |is_it: fn(&Outcome) -> bool| {
        report
            .findings
            .iter()
            .filter(|finding| is_it(&finding.outcome))
            .map(|finding| line(&finding))
            .collect()
    };
    (of(|outcome| !outcome.is_well()), of(|outcome| outcome.word() == "not exercised"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_wrong_with_a_server_that_is_right_in_a_way_of_its_own() {
    let each = UNUSUAL.iter().flat_map(|row| [NEW, OLD, BATCHES].map(|revision| (row, revision)));
    let all: Vec<_> = each
        .map(|((what, path, does), revision)| (what, revision, tokio::spawn(told(path, revision, *does))))
        .collect();
    let mut wrong = Vec::new();
    for (what, revision, told) in all {
        wrong.extend(told.await.unwrap().0.into_iter().map(|line| format!("{what}, {revision}: {line}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Gives the ids of answers another type.
fn retype(said: &mut Said, change: fn(i64) -> Value) {
    for message in &mut said.messages {
        if let Some(id) = message["id"].as_i64() {
            message["id"] = change(id);
        }
    }
}

/// Refuses `method`, or takes the name of its first item.
fn breaks(asked: &Asked, said: &mut Said, method: &str, name: Option<(&str, &str)>) {
    match name {
        None if asked.method() == method => said.refuse(200, -32603),
        None => {}
        Some((list, name)) => said.of(asked, method, |result| {
            result[list][0].as_object_mut().unwrap().remove(name);
        }),
    }
}

/// What is wrong everywhere, the one row that tells of it and how, and how many others only say where to look.
const EVERYWHERE: &[(&str, &str, usize, Does)] = &[
    (
        "rpc.ids",
        "the request has the id 0, its answer \"0\"",
        0,
        Says(|_, said| retype(said, |id| json!(id.to_string()))),
    ),
    (
        "rpc.ids",
        "the request has the id 0, its answer 0.0",
        0,
        Says(|_, said| retype(said, |id| json!(id as f64))),
    ),
    (
        "rpc.ids",
        "the id of a request is an integer, that of what answers it a text",
        0,
        Says(|asked, said| {
            if asked.method() == "tools/list" {
                retype(said, |id| json!(id.to_string()));
            }
        }),
    ),
    (
        "tools.list",
        "the answer is the error -32603 \"no\" (HTTP 200)",
        7,
        Says(|asked, said| breaks(asked, said, "tools/list", None)),
    ),
    (
        "tools.list",
        "1 of 1 tools have no name",
        7,
        Says(|asked, said| breaks(asked, said, "tools/list", Some(("tools", "name")))),
    ),
    (
        "resources.list",
        "the answer is the error -32603 \"no\" (HTTP 200)",
        4,
        Says(|asked, said| breaks(asked, said, "resources/list", None)),
    ),
    (
        "resources.list",
        "1 of 1 resources have no uri or no name",
        4,
        Says(|asked, said| breaks(asked, said, "resources/list", Some(("resources", "uri")))),
    ),
    (
        "resources.templates",
        "1 of 1 resourceTemplates have no uriTemplate",
        0,
        Says(|asked, said| {
            breaks(asked, said, "resources/templates/list", Some(("resourceTemplates", "uriTemplate")))
        }),
    ),
    (
        "prompts.list",
        "the answer is the error -32603 \"no\" (HTTP 200)",
        5,
        Says(|asked, said| breaks(asked, said, "prompts/list", None)),
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_everywhere_is_told_of_once() {
    let each = EVERYWHERE.iter().flat_map(|row| [NEW, OLD, BATCHES].map(|revision| (row, revision)));
    let all: Vec<_> =
        each.map(|(row, revision)| (row, revision, tokio::spawn(told("/mcp", revision, row.3)))).collect();
    for ((row, how, least, _), revision, told) in all {
        let (broken, quiet) = told.await.unwrap();
        assert_eq!(broken, [format!("{row}: {how}")], "{revision}");
        let pointer = format!(" failed (see {row})");
        let pointing = quiet.iter().filter(|line| line.ends_with(&pointer)).count();
        assert!(pointing >= *least, "{row} {revision}: {pointing} of {quiet:#?}");
    }
}

#[tokio::test]
async fn what_else_came_with_a_broken_list_is_told_too() {
    let bad = Says(|asked, said| {
        breaks(asked, said, "tools/list", Some(("tools", "name")));
        if asked.method() == "tools/list" && said.stream() {
            said.messages
                .insert(0, json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}));
        }
    });
    let (broken, _) = told("/mcp", NEW, bad).await;
    let ids: Vec<_> = broken.iter().filter_map(|line| line.split_once(": ")).collect();
    let wanted = "notifications/progress breaks ProgressNotification";
    assert!(
        matches!(ids[..], [("tools.list", _), ("wire.schema", why)] if why.starts_with(wanted) && !why.contains("more kinds")),
        "{broken:#?}"
    );
}

/// How the rows of `only` end at a server that `does` this, each with the number of exchanges shown.
async fn ends(does: Does, only: &[&str], seconds: u64) -> Vec<(&'static str, String, usize)> {
    let _turn = TURNS.acquire().await.unwrap();
    let (url, _) = serve(Some(does)).await;
    let mut plan = plan(Target::Url(url), NEW, only);
    plan.options.patience = Duration::from_secs(seconds);
    let report = run(plan, |_| {}).await.unwrap();
    let end = |f: &Finding| format!("{}: {}", f.outcome.word(), f.outcome.text());
    report.findings.iter().map(|f| (f.check.id, end(f), f.evidence.len())).collect()
}

#[tokio::test]
async fn a_broken_list_fails_also_where_its_own_row_is_not_run() {
    let broken = Says(|asked, said| breaks(asked, said, "tools/list", None));
    let wanted = "failed: tools/list failed: the answer is the error -32603 \"no\" (HTTP 200)";
    let found = ends(broken, &["tools.call.structured"], 60).await;
    assert_eq!(found, [("tools.call.structured", wanted.to_owned(), 1)]);
}

#[tokio::test]
async fn a_list_that_breaks_off_is_shown_and_one_that_was_late_is_asked_for_again() {
    let breaks_off = Says(|asked, said| {
        if asked.method() == "tools/list" {
            said.status = 0;
        }
    });
    let found = ends(breaks_off, &["tools.list"], 60).await;
    let (list, pages) = (&found[0], &found[1]);
    assert!(list.1.starts_with("failed: ") && list.2 > 0, "{list:?}");
    assert!(pages.1.starts_with("not exercised: tools/list failed"), "{pages:?}");
    let is_late = Says(|asked, said| {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        if asked.method() == "tools/list" && ASKED.fetch_add(1, Ordering::Relaxed) == 0 {
            (said.stays_open, said.messages) = (true, Vec::new());
        }
    });
    let found = ends(is_late, &["tools.list", "tools.call.structured"], 4).await;
    assert!(found[0].1.starts_with("failed: "), "{found:?}");
    let others: Vec<_> = found[1..].iter().filter(|(_, end, _)| end.contains("tools/list")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[tokio::test]
async fn who_may_not_list_what_the_other_does_is_not_at_fault() {
    let refuses = Says(|asked, said| {
        if asked.field("x-who") == "second" && asked.method() == "resources/list" {
            said.refuse(403, -32603);
        }
    });
    let (url, _) = serve(Some(refuses)).await;
    let mut plan = plan(Target::Url(url), NEW, &["identity.resources", "identity.subscriptions"]);
    let mut other = plan.options.clone();
    other.headers.push(("x-who".parse().unwrap(), "second".parse().unwrap()));
    plan.other = Some(other);
    for finding in run(plan, |_| {}).await.unwrap().findings {
        let text = finding.outcome.text();
        assert_eq!(finding.outcome.word(), "not exercised", "{}: {text}", finding.check.id);
        assert!(text.starts_with("the second identity gets no list of resources: "), "{text}");
    }
}

#[tokio::test]
async fn a_stream_that_chatters_all_the_time_is_judged_all_the_same() {
    let chatters = Says(|asked, said| {
        if asked.method() == "subscriptions/listen" {
            let meta = json!({"io.modelcontextprotocol/subscriptionId": asked.body["id"]});
            let params = json!({"notifications": {}, "_meta": meta});
            let method = "notifications/subscriptions/acknowledged";
            said.messages = vec![json!({"jsonrpc": "2.0", "method": method, "params": params})];
            (said.status, said.kind) = (200, "text/event-stream");
            (said.stays_open, said.repeats) = (true, true);
        }
    });
    let (url, _) = serve(Some(chatters)).await;
    let mut plan = plan(Target::Url(url), NEW, &["identity.cancel"]);
    plan.options.patience = Duration::from_secs(2);
    plan.other = Some(plan.options.clone());
    let report = run(plan, |_| {}).await.unwrap();
    assert_eq!(report.findings[0].outcome, Outcome::Passed);
}

/// A process without tools that answers everything as it should, and does `first` before it answers.
fn process(first: &str, garbage: &str) -> Target {
    let script = format!(
        r#"say() {{ {first}; printf '{{"jsonrpc":"2.0","id":%s,%s}}\n' "$1" "$2"; }}
        no() {{ say "$1" '"error":{{"code":'"$2"',"message":"no"}}'; }}
        while read -r line; do
          id=$(printf %s "$line" | sed -n 's/.*"id": *\([^,}}]*\).*/\1/p')
          case "$line" in
            '['*|*'"jsonrpc":"1.0"'*|*'"meth":'*) no null -32600;;
            '{{'*'"result":{{}}'*|'{{'*'"method":"notifications/'*) ;;
            '{{'*'"method":"initialize"'*) say "$id" '"result":{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":"a","version":"1"}}}}';;
            '{{'*'"method":"ping"'*) say "$id" '"result":{{}}';;
            '{{'*'}}') no "$id" -32601;;
            *) {garbage} no null -32700;;
          esac
        done"#
    );
    Target::Command(["sh", "-c", &script].map(OsString::from).to_vec())
}

#[tokio::test]
async fn nothing_is_wrong_with_a_process_that_is_right_in_a_way_of_its_own() {
    let check = async |first: &str, garbage: &str, only: &[&str], expected: &[&str]| {
        let report = run(plan(process(first, garbage), OLD, only), |_| {}).await.unwrap();
        let broken = report.findings.iter().filter(|finding| !finding.outcome.is_well());
        let told: Vec<_> = broken.map(|f| format!("{}: {}", f.check.id, f.outcome.text())).collect();
        assert_eq!(told, expected, "{first} {garbage}");
    };
    let log =
        r#"printf '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}\n'"#;
    let ping = r#"printf '{"jsonrpc":"2.0","id":"s","method":"ping"}\n'"#;
    let text = r#"case "$1" in [0-9]*) set -- '"'"$1"'"' "$2";; esac"#;
    let told = ["rpc.ids: the request has the id 0, its answer \"0\""];
    tokio::join!(
        check("yes 'what it logs' | head -c 200000 >&2", "", &[], &[]),
        check(log, "", &[], &[]),
        check(ping, "", &[], &[]),
        check(text, "", &[], &told),
        check("sleep 0.5", "", &["stdio.garbage", "stdio.side-by-side"], &[]),
        check(":", "sleep 2.2;", &["rpc.parse-error"], &[]),
    );
}

#[tokio::test]
async fn what_is_to_be_called_and_is_not_there_is_told_before_anything_is_checked() {
    let check = async |names: &[&str], revisions: &[Revision], does: Option<Does>, expected: Option<&str>| {
        let (url, sessions) = serve(does).await;
        let mut plan = plan(Target::Url(url), NEW, &["tools.list", "ping"]);
        plan.revisions = revisions.to_vec();
        plan.calls = names.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let mut found = 0;
        let ran = run(plan, |_| found += 1).await;
        assert_eq!(ran.err().map(|error| error.public).as_deref(), expected);
        assert!(found == 0 || expected.is_none(), "{found} checks were run");
        assert!(sessions.lock().unwrap().is_empty(), "left open: {sessions:?}");
    };
    let none = Says(|asked, said| said.of(asked, "initialize", |r| r["capabilities"] = json!({})));
    let broken = Says(|asked, said| breaks(asked, said, "tools/list", None));
    let renamed = Says(|asked, said| {
        if asked.is_modern() {
            said.of(asked, "tools/list", |result| result["tools"][0]["name"] = json!("then"));
        }
    });
    let many = Says(|asked, said| {
        said.of(asked, "tools/list", |result| {
            let tool =
                |number: usize| json!({"name": format!("t{number}"), "inputSchema": {"type": "object"}});
            result["tools"] = (1..=12).map(tool).collect();
        });
    });
    let lacking = "--call nothing: the server has no such tool. It has now, pick.";
    check(&["now", "pick"], &[NEW, OLD], None, None).await;
    check(&["nothing", "pick"], &[NEW, OLD], None, Some(lacking)).await;
    let lacking = "--call a, b: the server has no such tool. It has no tools.";
    check(&["a", "b"], &[OLD], Some(none), Some(lacking)).await;
    let lacking =
        "--call a: the server has no such tool. It has t1, t2, t3, t4, t5, t6, t7, t8, t9, t10 and 14 more.";
    check(&["a"], &[OLD], Some(many), Some(lacking)).await;
    let long = Says(|asked, said| {
        said.of(asked, "tools/list", |result| result["tools"][0]["name"] = json!("t".repeat(100)));
    });
    check(&[&"t".repeat(100)], &[OLD], Some(long), None).await;
    // It is there in the other era, or nobody can know.
    check(&["now", "then"], &[NEW, OLD], Some(renamed), None).await;
    check(&["nothing"], &[NEW], Some(broken), None).await;
}

#[tokio::test]
async fn no_credential_is_told_where_a_tool_is_not_there() {
    let repeats = Says(|asked, said| {
        said.of(asked, "tools/list", |result| result["tools"][0]["name"] = json!("verysecret123"));
    });
    let (url, _) = serve(Some(repeats)).await;
    let mut plan = plan(Target::Url(url), NEW, &["tools.list"]);
    plan.options.headers.push(("x-api-key".parse().unwrap(), "verysecret123".parse().unwrap()));
    plan.calls.insert("nothing".into(), json!({}));
    let error = run(plan, |_| {}).await.err().unwrap().public;
    assert!(error.contains("It has [header-1], ") && !error.contains("verysecret"), "{error}");
}
