//! What a server may do wrong, a row each: a server that keeps to every rule does this one thing otherwise. Beside them
//! rows of what is no fault, though it looks like one.

use super::correct::{Asked, Said, serve};
use super::*;

/// What a server does otherwise than the correct one.
#[derive(Clone, Copy)]
pub(super) enum Does {
    /// It takes a request for another one.
    Hears(fn(&mut Asked)),
    /// It answers otherwise.
    Says(fn(&Asked, &mut Said)),
    /// Both.
    Both(fn(&mut Asked), fn(&Asked, &mut Said)),
}
use Does::{Hears, Says};

/// A check, the revision that it is run in, and how it ends where the server does this.
type Row = (&'static str, Revision, &'static str, Does);

const NEW: Revision = Revision::V2026_07_28;
const OLD: Revision = Revision::V2025_11_25;
const BATCHES: Revision = Revision::V2025_03_26;

/// Checks that fail or warn.
const FAULTS: &[Row] = &[
    ("wire.schema", NEW, "failed", Says(|_, said| said.each(|message| drop(message.remove("jsonrpc"))))),
    ("wire.schema", OLD, "failed", Says(|_, said| said.each(|message| drop(message.remove("jsonrpc"))))),
    (
        "wire.schema",
        NEW,
        "failed",
        Says(|_, said| said.each(|message| drop(message.insert("error".into(), Value::Null)))),
    ),
    ("wire.schema", OLD, "failed", Says(|_, said| said.messages = vec![said.messages.drain(..).collect()])),
    (
        "caching.pages",
        NEW,
        "failed",
        Says(|asked, said| said.of(asked, "resources/list", |r| r["cacheScope"] = asked.page("public"))),
    ),
    (
        "capabilities.declared",
        NEW,
        "failed",
        Says(|asked, said| said.of(asked, "server/discover", |r| take(r, "/capabilities", "prompts"))),
    ),
    (
        "completion.answers",
        NEW,
        "failed",
        Says(|asked, said| {
            if asked.method() == "completion/complete" {
                said.refuse(200, -32602)
            }
        }),
    ),
    (
        "discover.answers",
        NEW,
        "failed",
        Says(|asked, said| said.of(asked, "server/discover", |r| take(r, "", "supportedVersions"))),
    ),
    (
        "discover.stateless",
        NEW,
        "failed",
        Says(|asked, said| {
            if asked.is_first && asked.method() == "tools/list" {
                said.refuse(400, -32600)
            }
        }),
    ),
    (
        "headers.name-base64",
        NEW,
        "failed",
        Says(|asked, said| {
            if asked.field("mcp-name").starts_with("=?") {
                said.refuse(400, -32020)
            }
        }),
    ),
    (
        "headers.param-mismatch",
        NEW,
        "failed",
        Hears(|asked| {
            if !asked.field("mcp-param-choice").is_empty() {
                asked.set("mcp-param-choice", "a")
            }
        }),
    ),
    (
        "headers.session-ignored",
        NEW,
        "warned",
        Says(|_, said| said.fields.push(("mcp-session-id", "one".into()))),
    ),
    (
        "headers.spaces",
        NEW,
        "failed",
        Says(|asked, said| {
            if asked.field("mcp-method").starts_with([' ', '\t']) {
                said.refuse(400, -32020)
            }
        }),
    ),
    (
        "headers.version-missing",
        NEW,
        "failed",
        Hears(|asked| match asked.method() {
            "initialize" => asked.body["params"]["protocolVersion"] = json!("2025-11-25"),
            _ => asked.set("mcp-protocol-version", "2026-07-28"),
        }),
    ),
    (
        "http.no-get",
        NEW,
        "warned",
        Hears(|asked| match asked.method() {
            "initialize" => asked.body["method"] = json!("none"),
            _ if asked.verb == "GET" => asked.verb = "POST".into(),
            _ => {}
        }),
    ),
    (
        "http.own-origin",
        NEW,
        "warned",
        Says(|asked, said| {
            if !asked.field("origin").is_empty() {
                said.refuse(403, -32600)
            }
        }),
    ),
    (
        "initialize.answers",
        OLD,
        "failed",
        Says(|asked, said| said.of(asked, "initialize", |r| take(r, "/serverInfo", "version"))),
    ),
    (
        "initialize.same-version",
        OLD,
        "failed",
        Says(|asked, said| said.of(asked, "initialize", |r| r["protocolVersion"] = json!("2025-11-25"))),
    ),
    (
        "logging.set-level",
        OLD,
        "failed",
        Says(|asked, said| {
            if asked.method() == "logging/setLevel" {
                said.refuse(200, -32601)
            }
        }),
    ),
    (
        "meta.client-info-optional",
        NEW,
        "failed",
        Says(|asked, said| {
            if asked.meta("clientInfo").is_none() {
                said.refuse(400, -32602)
            }
        }),
    ),
    (
        "prompts.list",
        OLD,
        "failed",
        Says(|asked, said| said.of(asked, "prompts/list", |r| take(r, "/prompts/0", "name"))),
    ),
    ("prompts.list.bad-cursor", NEW, "warned", Hears(|asked| take(&mut asked.body, "/params", "cursor"))),
    (
        "prompts.list.pages",
        OLD,
        "failed",
        Says(|asked, said| said.of(asked, "prompts/list", |r| r["nextCursor"] = json!("b"))),
    ),
    (
        "removed.set-level",
        NEW,
        "warned",
        Says(|asked, said| {
            if asked.method() == "logging/setLevel" {
                said.result(asked, json!({}))
            }
        }),
    ),
    (
        "resources.list",
        NEW,
        "failed",
        Says(|asked, said| said.of(asked, "resources/list", |r| take(r, "/resources/0", "name"))),
    ),
    (
        "resources.list.pages",
        NEW,
        "failed",
        Says(|asked, said| said.of(asked, "resources/list", |r| r["nextCursor"] = json!("b"))),
    ),
    (
        "resources.subscribe",
        OLD,
        "failed",
        Says(|asked, said| {
            if asked.method() == "resources/unsubscribe" {
                said.refuse(200, -32601)
            }
        }),
    ),
    (
        "rpc.batch",
        BATCHES,
        "failed",
        Says(|asked, said| {
            if asked.body.is_array() {
                said.refuse(400, -32600)
            }
        }),
    ),
    ("rpc.other-version", NEW, "warned", Hears(|asked| asked.body["jsonrpc"] = json!("2.0"))),
    (
        "session.missing",
        OLD,
        "warned",
        Says(|_, said| {
            if said.status == 400 {
                said.status = 422
            }
        }),
    ),
    (
        "session.version-known",
        OLD,
        "warned",
        Says(|asked, said| {
            if asked.field("mcp-protocol-version").is_empty() && asked.method() == "ping" {
                said.refuse(400, -32600)
            }
        }),
    ),
    (
        "tools.call",
        OLD,
        "failed",
        Says(|asked, said| said.of(asked, "tools/call", |r| take(r, "", "content"))),
    ),
    ("tools.call.progress", OLD, "failed", Says(|_, said| said.messages.reverse())),
    (
        "tools.list",
        NEW,
        "failed",
        Says(|asked, said| said.of(asked, "tools/list", |r| take(r, "/tools/0", "name"))),
    ),
    (
        "tools.list.output-schema",
        NEW,
        "failed",
        Says(|asked, said| {
            said.of(asked, "tools/list", |r| r["tools"][0]["outputSchema"] = json!({"type": "objekt"}))
        }),
    ),
    (
        "wire.media-type",
        OLD,
        "failed",
        Says(|_, said| {
            if said.kind == "application/json" {
                said.kind = "text/plain"
            }
        }),
    ),
    ("wire.stream-ends", NEW, "warned", Says(|_, said| said.stays_open = said.kind == "text/event-stream")),
];

/// Checks that do not.
const NO_FAULTS: &[Row] = &[
    (
        "tools.list.pages",
        NEW,
        "not exercised",
        Says(|asked, said| said.of(asked, "tools/list", |r| r["nextCursor"] = asked.next())),
    ),
    (
        "tools.call.structured",
        NEW,
        "not exercised",
        Says(|asked, said| {
            if asked.method() == "tools/call" {
                said.result(
                    asked,
                    json!({
                        "resultType": "input_required", "inputRequests": {"a": {"method": "roots/list"}},
                    }),
                )
            }
        }),
    ),
    (
        "wire.schema",
        OLD,
        "passed",
        Says(|asked, said| {
            if asked.body.is_array() {
                let answer = json!({"jsonrpc": "2.0", "id": asked.body[0]["id"], "result": {}});
                (said.status, said.messages) = (200, vec![json!([answer])]);
            }
        }),
    ),
    (
        "initialize.same-version",
        OLD,
        "passed",
        Says(|asked, said| match asked.method() {
            "server/discover" => said.refuse(400, -32600),
            _ => said.of(asked, "initialize", |r| r["protocolVersion"] = json!("2025-11-25")),
        }),
    ),
];

/// Takes a member out of what stands at `pointer`.
fn take(value: &mut Value, pointer: &str, member: &str) {
    if let Some(Value::Object(members)) = value.pointer_mut(pointer) {
        members.remove(member);
    }
}

/// How the check of `row` ends, and why; and how many sessions it leaves open.
async fn outcome((id, revision, _, does): Row) -> (Outcome, usize) {
    let _turn = TURNS.acquire().await.unwrap();
    let (url, sessions) = serve(Some(does)).await;
    let mut plan = plan(Target::Url(url), revision, &[id]);
    plan.calls.insert("pick".into(), json!({"choice": "a"}));
    if id.starts_with("wire.") {
        plan.only.extend(["tools.call".into(), "prompts.get".into(), "rpc.no-batch".into()]);
    }
    let report = run(plan, |_| {}).await.unwrap();
    let found = report.findings.into_iter().find(|finding| finding.check.id == id).unwrap();
    (found.outcome, sessions.lock().unwrap().len())
}

/// Runs every row; the ids of the faults.
pub(super) async fn found() -> BTreeSet<&'static str> {
    let all: Vec<_> = FAULTS.iter().chain(NO_FAULTS).map(|row| (row, tokio::spawn(outcome(*row)))).collect();
    let mut wrong = Vec::new();
    for ((id, revision, wanted, _), outcome) in all {
        let (outcome, left) = outcome.await.unwrap();
        if outcome.word() != *wanted || left > 0 {
            wrong.push(format!(
                "{id} {revision} is not {wanted}, but {outcome:?}; {left} sessions are left open"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    FAULTS.iter().map(|(id, ..)| *id).collect()
}

#[tokio::test]
async fn a_handshake_that_opens_no_lane_is_ended_too() {
    let modern =
        Says(|asked, said| said.of(asked, "initialize", |r| r["protocolVersion"] = json!("2026-07-28")));
    let (url, sessions) = serve(Some(modern)).await;
    let error = run(plan(Target::Url(url), OLD, &[]), |_| {}).await.err().unwrap();
    assert!(error.public.contains("agrees on \"2026-07-28\", which is no revision of that era"), "{error}");
    assert!(sessions.lock().unwrap().is_empty(), "left open: {sessions:?}");
}

#[tokio::test]
async fn nothing_is_wrong_with_a_server_that_does_nothing_wrong() {
    for revision in [NEW, OLD, BATCHES] {
        let (url, sessions) = serve(None).await;
        let mut plan = plan(Target::Url(url), revision, &[]);
        plan.calls.insert("pick".into(), json!({"choice": "a"}));
        // It does not know this one, and answers with the newest.
        plan.revisions.push(Revision::V2025_06_18);
        plan.other = Some(plan.options.clone());
        let report = run(plan, |_| {}).await.unwrap();
        let at_fault =
            report.findings.iter().filter(|f| !f.outcome.is_well() && !f.check.id.starts_with("identity."));
        let told: Vec<_> = at_fault.map(|f| format!("{}: {}", f.check.id, f.outcome.text())).collect();
        assert!(told.is_empty(), "{revision}: {told:#?}");
        assert!(report.count("passed") > 40, "{}", report.count("passed"));
        assert!(sessions.lock().unwrap().is_empty(), "left open: {sessions:?}");
    }
}
