//! A run of all checks as somebody who signs in, with the attacks on what they were granted at its end.

use hyper::header::{AUTHORIZATION, HeaderValue};

use super::web::Web;
use super::{CHECKS, Notes, Options, Session, attack, sign_in};
use crate::conformance::{Finding, LaneReport, News, Outcome, Plan, Report, checks};
use crate::error::{Error, Result};
use crate::protocol::revision::Revision;

/// Who signs in.
#[derive(Clone, Default)]
pub struct Logins {
    /// The identity that all checks are run as.
    pub first: Option<Options>,
    /// The second one.
    pub second: Option<Options>,
}

/// Signs in whoever is to, runs the checks of `plan` as them, and then attacks the first one's grant, unless only other
/// checks are wanted. `watch` is told of each finding as it comes. Where the first cannot be signed in because the server breaks a rule, the report says so.
/// What was granted is revoked at the end, however that comes.
///
/// # Errors
/// Those of [`crate::conformance::run()`]; why nobody can be signed in.
pub async fn run(mut plan: Plan, logins: Logins, mut watch: impl FnMut(News<'_>)) -> Result<Report> {
    let of_login = |id: &String| CHECKS.iter().any(|check| check.is_of(id));
    let (mine, rest): (Vec<_>, Vec<_>) = plan.only.drain(..).partition(of_login);
    let wanted =
        Wanted { others: mine.is_empty() || !rest.is_empty(), all: mine.is_empty() && rest.is_empty(), mine };
    plan.only = rest;
    if !wanted.mine.is_empty() && logins.first.is_none() {
        return Err(Error::invalid("The checks of auth sign in first: give --login."));
    }
    let mut notes = Notes::new();
    let Some(first) = logins.first else {
        return as_somebody(plan, None, logins.second, &wanted, notes, watch).await;
    };
    let web = Web::new(first.http.clone())?;
    let mut session = match sign_in(web.clone(), first, &mut notes).await {
        Ok(session) => session,
        Err(error) => return shut_out(plan, &notes, error, web.sent(), watch),
    };
    let report = match authorization(&session) {
        Ok(value) => {
            plan.options.headers.push((AUTHORIZATION, value));
            as_somebody(plan, Some(&mut session), logins.second, &wanted, notes, &mut watch).await
        }
        Err(error) => Err(error),
    };
    session.end_all().await;
    report.map(|report| Report { sent: report.sent + web.sent(), ..report })
}

/// Which checks are wanted.
struct Wanted {
    /// Those of a login, by name.
    mine: Vec<String>,
    /// All others, or some.
    others: bool,
    /// Nobody named any.
    all: bool,
}

/// Signs in the second identity, if there is one to be, and runs what is wanted.
async fn as_somebody(
    mut plan: Plan,
    session: Option<&mut Session>,
    second: Option<Options>,
    wanted: &Wanted,
    notes: Notes,
    watch: impl FnMut(News<'_>),
) -> Result<Report> {
    let Some(second) = second else { return checked(plan, session, wanted, notes, watch).await };
    let web = Web::new(second.http.clone())?;
    let other = sign_in(web.clone(), second, &mut Notes::new()).await?;
    let report = match authorization(&other) {
        Ok(value) => {
            let mut options = plan.other.take().unwrap_or_else(|| {
                let headers = plan.options.headers.iter().filter(|(name, _)| *name != AUTHORIZATION).cloned();
                crate::peer::Options { headers: headers.collect(), ..plan.options.clone() }
            });
            options.headers.push((AUTHORIZATION, value));
            plan.other = Some(options);
            checked(plan, session, wanted, notes, watch).await
        }
        Err(error) => Err(error),
    };
    other.end_all().await;
    report.map(|report| Report { sent: report.sent + web.sent(), ..report })
}

/// Runs the checks of the lanes, and attacks the grant of `session`.
async fn checked(
    plan: Plan,
    session: Option<&mut Session>,
    wanted: &Wanted,
    mut notes: Notes,
    mut watch: impl FnMut(News<'_>),
) -> Result<Report> {
    let mut report = match wanted.others {
        true => crate::conformance::run(plan, &mut watch).await?,
        false => empty(&plan),
    };
    if let Some(session) = session.filter(|_| wanted.all || !wanted.mine.is_empty()) {
        attack(session, &mut notes).await;
        let mine = &wanted.mine;
        let is_wanted = |finding: &Finding| mine.is_empty() || mine.iter().any(|id| finding.check.is_of(id));
        let cited = report.lanes.iter().find_map(|lane| lane.tested.as_ref().ok());
        let revision = cited.map_or(Revision::MODERN, |(revision, _)| *revision);
        let findings = notes.findings(revision, "what comes before it did not succeed");
        add(&mut report, findings.into_iter().filter(is_wanted), watch);
    }
    Ok(report)
}

/// Every check, those of a login among them.
pub fn all() -> impl Iterator<Item = &'static crate::conformance::Check> {
    checks::all().chain(CHECKS)
}

fn authorization(session: &Session) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&session.authorization()).map_err(|e| {
        Error::invalid("The access token has characters that cannot be sent in a header.").because(e)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn add(report: &mut Report, findings: impl Iterator<Item = Finding>, mut watch: impl FnMut(News<'_>)) {
    for finding in findings {
        watch(News::Found(&finding));
        report.findings.push(finding);
    }
}

/// A report in which no lane was run.
fn empty(plan: &Plan) -> Report {
    let target = match &plan.options.target {
        crate::peer::Target::Url(url) => super::web::without_query(url),
        crate::peer::Target::Command(_) => String::new(),
    };
    Report::new(target)
}

/// The report where the first identity cannot be signed in, if what was found on the way is why.
fn shut_out(
    plan: Plan,
    notes: &Notes,
    error: Error,
    sent: usize,
    watch: impl FnMut(News<'_>),
) -> Result<Report> {
    let why = format!("nobody could be signed in: {}", error.public.trim_end_matches('.'));
    let findings = notes.findings(Revision::MODERN, &why);
    if !findings.iter().any(|finding| matches!(finding.outcome, Outcome::Failed(_))) {
        return Err(error);
    }
    let mut report = Report { sent, ..empty(&plan) };
    report.lanes =
        plan.revisions.iter().map(|&asked| LaneReport { asked, tested: Err(why.clone()) }).collect();
    add(&mut report, findings.into_iter(), watch);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use hyper::{Request, Response};
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::super::Browser;
    use super::*;
    use crate::client;
    use crate::client::testing::{TestBody, serve, whole};
    use crate::conformance::Calls;
    use crate::error::Kind;
    use crate::peer;

    /// A login at a server that answers everything alike.
    async fn login(status: u16, kind: &'static str, body: &'static str) -> Result<Report> {
        let url = serve(move |_| async move { whole(status, kind, body) }).await;
        let options = peer::Options::new(peer::Target::Url(url.clone()));
        let revisions = vec![Revision::MODERN];
        let plan = Plan { options, other: None, revisions, only: Vec::new(), calls: Calls::new() };
        let browser = Browser::Command("ls /no/such/folder".into());
        let first = Options { url, client_id: None, browser, http: client::Options::default() };
        run(plan, Logins { first: Some(first), second: None }, |_| {}).await
    }

    #[tokio::test]
    async fn what_is_no_server_is_not_said_to_have_failed() {
        let check = async |status: u16, kind: &'static str, body: &'static str, wanted: &str| {
            let error = login(status, kind, body).await.err().unwrap();
            assert_eq!(error.kind, Kind::Invalid, "{}", error.public);
            assert!(error.public.contains(wanted), "{}", error.public);
        };
        check(404, "text/html", "<p>Nothing here", "is no MCP server").await;
        check(501, "text/html", "Unsupported method ('POST')", "answered by 501").await;
        check(200, "text/html", "<p>Welcome", "is no MCP server").await;
        check(200, "application/json", r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "nothing to sign in to")
            .await;
    }

    /// What is found at a server that sends the browser back with `pairs`, where `STATE` and `ISSUER` stand for the right
    /// values; how often a code was redeemed.
    async fn returns(pairs: &'static str) -> (Report, usize) {
        let redeemed = Arc::new(AtomicUsize::new(0));
        let count = redeemed.clone();
        let origin = serve(move |request: Request<Bytes>| {
            let origin = format!("http://{}", request.headers()["host"].to_str().unwrap());
            let answer = authorization_server(request.uri().path(), &origin);
            if request.uri().path() == "/token" {
                count.fetch_add(1, Ordering::Relaxed);
            }
            async move { answer }
        })
        .await;
        let issuer = origin.clone();
        let browser = Browser::Hook(Arc::new(move |url| {
            let pairs = pairs.replace("ISSUER", &issuer);
            Box::pin(async move { follow(&url, &pairs).await })
        }));
        let url = format!("{origin}/mcp");
        let options = peer::Options::new(peer::Target::Url(url.clone()));
        let (revisions, only) = (vec![Revision::MODERN], Vec::new());
        let plan = Plan { options, other: None, revisions, only, calls: Calls::new() };
        let first = Options { url, client_id: None, browser, http: client::Options::default() };
        let report = run(plan, Logins { first: Some(first), second: None }, |_| {}).await.unwrap();
        (report, redeemed.load(Ordering::Relaxed))
    }

    fn authorization_server(path: &str, origin: &str) -> Response<TestBody> {
        let (status, body) = match path {
            "/.well-known/oauth-authorization-server" => (
                200,
                json!({"issuer": origin, "authorization_endpoint": format!("{origin}/authorize"),
                    "token_endpoint": format!("{origin}/token"), "registration_endpoint": format!("{origin}/register"),
                    "authorization_response_iss_parameter_supported": true}),
            ),
            "/register" => (201, json!({"client_id": "c", "token_endpoint_auth_method": "none"})),
            "/token" => (400, json!({"error": "invalid_grant"})),
            "/mcp" => (401, json!({})),
            _ => (404, json!({})),
        };
        whole(status, "application/json", body.to_string())
    }

    /// Goes back to where `url` says, with `pairs`.
    async fn follow(url: &str, pairs: &str) {
        let query = url.split_once('?').unwrap().1;
        let get = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).unwrap().1.into_owned()
        };
        let state: String = form_urlencoded::byte_serialize(get("state").as_bytes()).collect();
        let redirect_uri = get("redirect_uri");
        let (authority, path) = redirect_uri.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let target = format!("/{path}?{}", pairs.replace("STATE", &state));
        let mut stream = TcpStream::connect(authority).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }

    #[tokio::test]
    async fn a_code_that_came_with_a_foreign_state_or_iss_is_not_redeemed() {
        let check = async |pairs: &'static str, failed: &str| {
            let (report, redeemed) = returns(pairs).await;
            let outcome =
                |id: &str| &report.findings.iter().find(|finding| finding.check.id == id).unwrap().outcome;
            for id in ["auth.return-state", "auth.return-iss"] {
                let word = if id == failed { "failed" } else { "passed" };
                assert_eq!(outcome(id).word(), word, "{pairs}: {:?}", outcome(id));
            }
            assert_eq!(redeemed, usize::from(failed.is_empty()), "{pairs}");
            if !failed.is_empty() {
                let rest = outcome("auth.code-unknown");
                assert!(
                    rest.word() == "not exercised" && rest.text().contains("must not redeem"),
                    "{rest:?}"
                );
            }
        };
        check("code=c&state=STATE&iss=ISSUER", "").await;
        check("code=c&state=another&iss=ISSUER", "auth.return-state").await;
        check("code=c&iss=ISSUER", "auth.return-state").await;
        check("code=c&state=STATE&state=STATE&iss=ISSUER", "auth.return-state").await;
        check("code=c&state=STATE&iss=https%3A%2F%2Fb.example", "auth.return-iss").await;
        check("code=c&state=STATE", "auth.return-iss").await;
    }

    #[tokio::test]
    async fn what_was_sent_until_nobody_got_in_is_counted() {
        let report = login(401, "text/plain", "").await.unwrap();
        assert!(report.sent > 3, "{}", report.sent);
        assert!(report.findings.iter().any(|finding| finding.check.id == "auth.challenge-bearer"));
    }
}
