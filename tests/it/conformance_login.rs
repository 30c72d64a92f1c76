//! `conformance --login` against our own authorization server, which holds to every rule, and against a weak one,
//! which breaks each of them and is caught at it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use chaterimo::client;
use chaterimo::conformance::login::{Browser, CHECKS, Logins, Options, run};
use chaterimo::conformance::{Calls, Outcome, Plan};
use chaterimo::peer;
use chaterimo::protocol::revision::Revision;
use chaterimo::store::user::Role;
use tokio::sync::oneshot;

use crate::accounts::{self, House, csrf};
use crate::oauth_flow::{encoded, hidden, parameter};

const ANNA: &str = "anna@example.com";
type Visit = (String, oneshot::Sender<()>);

/// What the checks of signing in find at `url`, where `person` does what a page asks of them; ids and how each ended.
fn found(url: String, person: impl FnMut(&str)) -> Vec<(&'static str, Outcome)> {
    found_of("auth", false, url, person)
}

/// The same of the checks `only`, as one who signs in, or as two.
fn found_of(
    only: &str,
    two: bool,
    url: String,
    mut person: impl FnMut(&str),
) -> Vec<(&'static str, Outcome)> {
    let only = vec![only.to_owned()];
    let (visits, asked) = mpsc::channel::<Visit>();
    let browser = Browser::Hook(Arc::new(move |url| {
        let visits = visits.clone();
        Box::pin(async move {
            let (done, wait) = oneshot::channel();
            visits.send((url, done)).unwrap();
            let _ = wait.await;
        })
    }));
    let worker = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = peer::Options::new(peer::Target::Url(url.clone()));
        let revisions = vec![Revision::MODERN];
        let plan = Plan { options, other: None, revisions, only, calls: Calls::new() };
        let first = Options { url, client_id: None, browser, http: client::Options::default() };
        let second = two.then(|| first.clone());
        runtime.block_on(run(plan, Logins { first: Some(first), second }, |_| {})).unwrap()
    });
    for (url, done) in asked {
        person(&url);
        let _ = done.send(());
    }
    let findings = worker.join().unwrap().findings;
    for finding in &findings {
        let told = format!("{:?} {:?}", finding.outcome, finding.said);
        assert!(["mat_", "mrt_", "mac_"].iter().all(|secret| !told.contains(secret)), "{told}");
    }
    findings.into_iter().map(|finding| (finding.check.id, finding.outcome)).collect()
}

/// Follows a redirect to this machine as a browser would.
fn follow(location: &str) {
    let (scheme, rest) = location.split_once("://").unwrap();
    let rest = rest.split('#').next().unwrap();
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(at);
    let host = authority.rsplit('@').next().unwrap();
    let port: u16 = host.rsplit_once(':').unwrap().1.parse().unwrap();
    let target = target.replace("/callback/../", "/");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    match scheme {
        "https" => stream.write_all(&[22, 3, 1]).unwrap(),
        _ => write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap(),
    }
    let _ = stream.read_to_end(&mut Vec::new());
}

/// A person at our own pages: signed in, and willing.
fn allow(browser: &mut accounts::Browser<'_>, url: &str) {
    let (_, path) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap();
    let page = browser.get(&format!("/{path}"));
    if page.status != 200 {
        return assert_eq!(page.status, 400, "{page:?}");
    }
    let (hidden, csrf) = (hidden(&page), csrf(&page));
    let fields = [
        ("decision", "allow"),
        ("organisation", "acme"),
        ("write", "1"),
        ("csrf", csrf),
        ("request", &hidden),
    ];
    let reply = browser.post("/authorize/decision", &fields);
    assert_eq!(reply.status, 303, "{reply:?}");
    follow(reply.field("location").unwrap());
}

#[test]
fn our_own_server_holds_to_every_rule() {
    let house = House::with(&[("CHATERIMO_PUBLIC_URL", "")]);
    house.member("acme", ANNA, Role::Owner);
    let mut browser = house.signed_in(ANNA);
    let found = found(format!("http://{}/mcp/", house.server.address), |url| allow(&mut browser, url));
    let not_passed: Vec<_> = found.iter().filter(|(_, outcome)| *outcome != Outcome::Passed).collect();
    assert!(not_passed.is_empty(), "{not_passed:#?}");
    nothing_is_left(&mut browser);
}

#[test]
fn what_two_were_granted_for_other_checks_is_revoked() {
    let house = House::with(&[("CHATERIMO_PUBLIC_URL", "")]);
    house.member("acme", ANNA, Role::Owner);
    let mut browser = house.signed_in(ANNA);
    let url = format!("http://{}/mcp/", house.server.address);
    let found = found_of("tools.list.names", true, url, |url| allow(&mut browser, url));
    assert_eq!(found, [("tools.list.names", Outcome::Passed)]);
    nothing_is_left(&mut browser);
}

fn nothing_is_left(browser: &mut accounts::Browser<'_>) {
    let page = browser.get("/apps").body;
    assert!(page.contains("No app is connected yet"), "{page}");
}

#[test]
fn what_a_weak_server_does_is_seen() {
    let mut seen = std::collections::BTreeSet::new();
    for weak in [
        Weak { page: false, documents: true, mixes: false },
        Weak { page: true, documents: true, mixes: false },
        Weak { page: true, documents: false, mixes: false },
        Weak { page: false, documents: true, mixes: true },
    ] {
        let url = weak.serve();
        let found = found(url, |url| {
            let answer = ask(url, "GET", "Cookie: person=1\r\n", "");
            if let Some(location) = crate::support::field(&answer, "location") {
                follow(location);
            }
        });
        let broken = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_) | Outcome::Warned(_));
        seen.extend(found.into_iter().filter(|(_, outcome)| broken(outcome)).map(|(id, _)| id));
    }
    let unseen: Vec<_> = CHECKS.iter().map(|check| check.id).filter(|id| !seen.contains(id)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

/// A server that breaks every rule, though not all at once.
#[derive(Clone, Copy)]
struct Weak {
    /// A page to sign in at comes before all else; and it says no, wrongly, where it would else say yes.
    page: bool,
    /// There are documents.
    documents: bool,
    /// The answers of the authorization endpoint are another's: nobody is signed in by them.
    mixes: bool,
}

/// A request to a server of a test.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub head: String,
    pub body: String,
}

impl Weak {
    /// Serves for as long as the process lives; the URL of the MCP endpoint.
    fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let url = format!("{origin}/mcp");
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, origin) = (stream.unwrap(), origin.clone());
                std::thread::spawn(move || {
                    let Some(asked) = read(&mut stream) else { return };
                    let (status, fields, body) = self.answer(&asked, &origin);
                    let _ = write!(
                        stream,
                        "HTTP/1.1 {status} X\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                });
            }
        });
        url
    }

    fn answer(self, asked: &Asked, origin: &str) -> (u16, String, String) {
        let json = |status, body: String| (status, "Content-Type: application/json\r\n".to_owned(), body);
        let query = format!("?{}", asked.query);
        let body = format!("?{}", asked.body);
        match (&*asked.path, &*asked.method) {
            ("/.well-known/oauth-protected-resource/mcp", _) if self.documents => json(
                200,
                r#"{"resource":"http://another.example/mcp","authorization_servers":[],
                    "bearer_methods_supported":["query"],"scopes_supported":["a","b"]}"#
                    .to_owned(),
            ),
            ("/.well-known/oauth-authorization-server", _) if self.documents => json(
                200,
                format!(
                    r#"{{"issuer":"http://as.example","authorization_endpoint":"{origin}/authorize",
                    "token_endpoint":"{origin}/token","registration_endpoint":"{origin}/register",
                    "revocation_endpoint":"{origin}/revoke","introspection_endpoint":"http://as.example/introspect",
                    "response_types_supported":["code","token"],"protected_resources":["{origin}/another"],
                    "authorization_response_iss_parameter_supported":true}}"#
                ),
            ),
            ("/register", _) => self.register(&asked.body),
            ("/authorize", _) => self.authorize(asked, &query),
            ("/token", _) => self.token(&body),
            ("/revoke", _) if asked.body.contains("no-token") => json(500, "{}".into()),
            ("/revoke", _) => json(200, "{}".into()),
            ("/mcp" | "/another" | "/another/", "POST") => self.mcp(asked),
            _ => (404, String::new(), String::new()),
        }
    }

    fn register(self, body: &str) -> (u16, String, String) {
        if self.page && body.contains("attacker.example") {
            return (500, String::new(), "no".into());
        }
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        (
            200,
            String::new(),
            format!(r#"{{"client_id":"client{count}","token_endpoint_auth_method":"none"}}"#),
        )
    }

    /// Sends everybody anywhere.
    fn authorize(self, asked: &Asked, query: &str) -> (u16, String, String) {
        if self.page && !asked.head.contains("person=1") {
            return (200, String::new(), "Sign in".into());
        }
        let uri = parameter(query, "redirect_uri").unwrap();
        let join = if uri.contains('?') { '&' } else { '?' };
        let state = parameter(query, "state").unwrap_or_default();
        let mut pairs = match self.mixes {
            true => vec![("code", "code"), ("state", "changed"), ("iss", "http://another.example")],
            false => vec![("code", "code"), ("state", &*state)],
        };
        if self.documents && !self.mixes {
            pairs.push(("iss", "http://as.example"));
        }
        if parameter(query, "response_type").as_deref() == Some("token") {
            pairs.push(("access_token", "token"));
        }
        (302, format!("Location: {uri}{join}{}\r\n", encoded(&pairs)), String::new())
    }

    /// Gives tokens for anything.
    fn token(self, body: &str) -> (u16, String, String) {
        let get = |name| parameter(body, name);
        if self.page
            && get("grant_type").as_deref() == Some("authorization_code")
            && get("code_verifier").is_none()
        {
            return (500, String::new(), "no".into());
        }
        let scope = get("scope").unwrap_or_else(|| "a b c".into());
        let old = get("refresh_token").unwrap_or_else(|| "refresh".into());
        let refresh = if self.page { format!("{old}+") } else { old };
        let access = if scope == "a" { "narrow" } else { "token" };
        let body = format!(
            r#"{{"access_token":"{access}","refresh_token":"{refresh}","expires_in":"3600","scope":"{scope}"}}"#
        );
        (200, String::new(), body)
    }

    /// Answers to whoever shows anything.
    fn mcp(self, asked: &Asked) -> (u16, String, String) {
        let head = asked.head.to_ascii_lowercase();
        let shown = head.contains("authorization:") || asked.query.contains("access_token");
        if !shown || (!self.documents && self.page) {
            return (403, String::new(), String::new());
        }
        if head.contains("no-token") && self.page {
            return (401, String::new(), String::new());
        }
        let result = match () {
            () if asked.body.contains("tools/call") => {
                return (403, String::new(), String::new());
            }
            () if asked.body.contains("tools/list") => {
                r#"{"tools":[{"name":"t","inputSchema":{"required":["x"]},"annotations":{"readOnlyHint":false}}]}"#
            }
            () if asked.body.contains("server/discover") => return (404, String::new(), String::new()),
            () => r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}"#,
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        (200, "Content-Type: application/json\r\n".into(), body)
    }
}

/// The request that comes.
pub fn read(stream: &mut TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = crate::support::read_head(stream);
    let mut words = head.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let length = crate::support::field(&head, "content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let (path, query, body) = (path.to_owned(), query.to_owned(), String::from_utf8(body).unwrap());
    Some(Asked { method, path, query, head, body })
}

/// One request to the weak server; the head of the answer.
fn ask(url: &str, method: &str, fields: &str, body: &str) -> String {
    let (authority, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    write!(stream, "{method} /{target} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n{body}").unwrap();
    crate::support::read_head(&mut stream)
}
