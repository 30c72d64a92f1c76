//! What real clients were recorded to say on their way through OAuth, said again to the server: it is answered the
//! same. `tests/clients/oauth` makes the recordings; the README beside them says of what.
//!
//! Each is replayed over HTTP on a copy of the demo as it was filled for the recordings, at the time of each message.
//! The test is the person, who signs in, decides and disconnects the app, and it has a PKCE verifier of its own, for
//! a recording holds no secrets. What a run makes anew is learnt from the answers, and then expected and sent.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use chaterimo::app::App;
use chaterimo::clock::{Clock, Time};
use chaterimo::protocol::transcript::compare::{Rows, differences};
use chaterimo::protocol::transcript::{From, HEADERS, Http, Line, Transcript};
use serde_json::Value;

use crate::accounts::{Browser, csrf};
use crate::oauth_flow::{CHALLENGE, VERIFIER, encoded, hidden, parameter};
use crate::replay::{Demo, ask, folder, set};
use crate::support::{Reply, Server};

/// Where the recorded server was, as its documents name it.
const ORIGIN: &str = "http://127.0.0.1:8792";
/// The name of a recording, and how the server was set for it.
type Case = (&'static str, &'static [(&'static str, &'static str)]);
const CASES: [Case; 6] = [
    ("claude-code-document", &[("CHATERIMO_ACCESS_TOKEN_SECONDS", "300")]),
    ("claude-code-registered", &[("CHATERIMO_CLIENT_DOCUMENTS", "off")]),
    ("mcp-remote", &[]),
    ("python", &[]),
    ("typescript-v1", &[]),
    ("typescript-v2", &[]),
];

fn text(name: &str) -> String {
    fs::read_to_string(folder().join(format!("oauth/{name}.jsonl"))).unwrap()
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn borrowed(pairs: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// One request of the client or of its person's browser, and what the server said to it.
struct Exchange<'a> {
    at: Time,
    request: &'a Http,
    sent: Option<&'a Value>,
    answer: &'a Http,
    received: Option<&'a Value>,
}

impl<'a> Exchange<'a> {
    fn all(transcript: &'a Transcript) -> Vec<Exchange<'a>> {
        let began = transcript.header.recorded_at.unwrap();
        let of = |from: From| transcript.lines.iter().filter(move |line| line.from == from);
        let exchange = |line: &'a Line| {
            let answer = of(From::Server).find(|answer| answer.exchange == line.exchange).unwrap();
            Exchange {
                at: began.plus(i64::try_from(line.at_ms).unwrap()),
                request: line.http.as_ref().unwrap(),
                sent: line.message.as_ref(),
                answer: answer.http.as_ref().unwrap(),
                received: answer.message.as_ref(),
            }
        };
        of(From::Client).map(exchange).collect()
    }

    /// Without its query.
    fn path(&self) -> &str {
        self.request.path.as_deref().unwrap().split('?').next().unwrap()
    }

    fn status(&self) -> u16 {
        self.answer.status.unwrap()
    }

    fn is_mcp(&self) -> bool {
        self.path().starts_with("/mcp")
    }

    /// An app's own request, which took a credential and was allowed.
    fn is_allowed(&self) -> bool {
        (self.is_mcp() || self.path() == "/token") && self.status() < 300
    }

    /// What the form that was sent holds.
    fn form(&self) -> BTreeMap<String, String> {
        pairs(self.sent.and_then(Value::as_str).unwrap_or_default())
    }
}

/// Which exchange is the first after the person disconnected the app: the first that is refused with nothing allowed
/// from there on. What was refused before had a spoilt token.
fn disconnected(exchanges: &[Exchange<'_>]) -> Option<usize> {
    let last = exchanges.iter().rposition(Exchange::is_allowed)?;
    (last..exchanges.len()).find(|i| matches!(exchanges[*i].status(), 400 | 401))
}

/// One replay: a server on a copy of the demo, what it told, and what differed.
struct Replay<'a> {
    demo: &'a Demo,
    case: Case,
    clock: Clock,
    server: Option<Server>,
    data: tempfile::TempDir,
    person: Person,
    /// The access token that came last.
    token: Option<String>,
    /// What this run has in place of what was recorded.
    learnt: BTreeMap<String, String>,
    found: Vec<String>,
}

/// What the person's browser holds.
#[derive(Default)]
struct Person {
    cookie: Option<String>,
    /// What the app asks for.
    asked: BTreeMap<String, String>,
    /// The secrets of the consent form that is open.
    form: [(&'static str, String); 2],
    /// Of the app's last redirect.
    code: Option<String>,
}

impl<'a> Replay<'a> {
    /// What differs from `transcript`.
    fn run(demo: &'a Demo, case: Case, transcript: &Transcript) -> Vec<String> {
        let mut replay = Replay {
            demo,
            case,
            data: demo.copy(),
            clock: Clock::manual(transcript.header.recorded_at.unwrap()),
            server: None,
            person: Person::default(),
            token: None,
            learnt: BTreeMap::new(),
            found: Vec::new(),
        };
        replay.restart();
        let exchanges = Exchange::all(transcript);
        let disconnected = disconnected(&exchanges);
        for (i, exchange) in exchanges.iter().enumerate() {
            set(&replay.clock, exchange.at);
            if disconnected == Some(i) {
                replay.disconnect();
            }
            if exchange.path() == "/authorize/decision" || exchange.form().contains_key("code") {
                // An open consent page outlives the server, as it was recorded, and so does a code.
                replay.restart();
            }
            let reply = replay.say(exchange, disconnected.is_none_or(|first| i < first));
            replay.compare(&format!("{} {i} {}", case.0, exchange.path()), exchange, &reply);
        }
        replay.found
    }

    /// Starts the server, anew if it runs.
    fn restart(&mut self) {
        if let Some(server) = self.server.take() {
            server.signal();
            server.wait();
        }
        let app = App::open(self.data.path(), self.clock.clone(), false, Vec::new()).unwrap();
        let settings = [&[("CHATERIMO_PUBLIC_URL", ORIGIN)], self.case.1].concat();
        self.server = Some(Server::of(Arc::new(app), chaterimo::http::Limits::default(), &settings));
    }

    fn browser(&self) -> Browser<'_> {
        Browser::new(self.server.as_ref().unwrap(), self.person.cookie.clone())
    }

    fn say(&mut self, exchange: &Exchange<'_>, is_connected: bool) -> Reply {
        match exchange.path() {
            "/authorize" => self.open_consent(exchange),
            "/authorize/decision" => self.decide(exchange),
            _ => {
                self.learn_code(&exchange.form());
                let request = self.request(exchange, self.credential(exchange, is_connected));
                ask(self.server.as_ref().unwrap(), &request)
            }
        }
    }

    /// The app sends the person's browser here; it is another one where it was asked to sign in.
    fn open_consent(&mut self, exchange: &Exchange<'_>) -> Reply {
        let (_, query) = exchange.request.path.as_deref().unwrap().split_once('?').unwrap();
        self.person.asked = pairs(&self.fill(query));
        self.person.asked.insert("code_challenge".to_owned(), CHALLENGE.to_owned());
        let is_new = exchange.status() == 303;
        self.person.cookie.take_if(|_| is_new);
        let mut browser = self.browser();
        let page = browser.get(&format!("/authorize?{}", encoded(&borrowed(&self.person.asked))));
        if is_new {
            let keys = &self.demo.keys;
            let who = [("email", keys.owner_email), ("password", &keys.owner_password)];
            assert_eq!(browser.submit("/login", &who).field("location"), Some("/"), "{}", self.case.0);
        }
        self.person.cookie = browser.cookie;
        if page.status == 200 {
            self.person.form = [("csrf", csrf(&page).to_owned()), ("request", hidden(&page))];
        }
        page
    }

    fn decide(&mut self, exchange: &Exchange<'_>) -> Reply {
        let fresh =
            |name: &str| self.person.form.iter().find(|(own, _)| *own == name).map(|(_, value)| value);
        // Some fields are there more than once: each chatbot that is ticked is one.
        let sent =
            form_urlencoded::parse(exchange.sent.and_then(Value::as_str).unwrap_or_default().as_bytes());
        let form: Vec<(String, String)> = sent
            .into_owned()
            .map(|(name, value)| (name.clone(), fresh(&name).cloned().unwrap_or(value)))
            .collect();
        let fields: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let reply = self.browser().post("/authorize/decision", &fields);
        let back = reply.field("location").unwrap();
        let [state, issuer, error] = ["state", "iss", "error"].map(|name| parameter(back, name));
        let denied = fields.contains(&("decision", "deny")).then_some("access_denied");
        let asked = &self.person.asked;
        assert!(back.starts_with(&asked["redirect_uri"]), "{back}");
        assert_eq!((state.as_ref(), issuer.as_deref()), (asked.get("state"), Some(ORIGIN)), "{back}");
        assert_eq!(error.as_deref(), denied, "{back}");
        self.person.code = parameter(back, "code");
        reply
    }

    fn disconnect(&self) {
        let reply = self.browser().submit_to("/apps", "/apps/1/revoke", &[]);
        assert_eq!(reply.field("location"), Some("/apps?done=revoked"), "{}: {reply:?}", self.case.0);
    }

    /// The credential is not in the recording, but the answer says which it was.
    fn credential(&self, exchange: &Exchange<'_>, is_connected: bool) -> Option<&str> {
        match exchange.answer.headers.get("www-authenticate") {
            _ if !exchange.is_mcp() => None,
            Some(challenge) if !challenge.contains("error=") => None,
            Some(_) if is_connected => Some("mat_spoilt"),
            _ => self.token.as_deref(),
        }
    }

    fn request(&self, exchange: &Exchange<'_>, credential: Option<&str>) -> String {
        let Http { method, path, headers, .. } = exchange.request;
        let (method, path) = (method.as_deref().unwrap(), path.as_deref().unwrap());
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", &ORIGIN[7..]);
        head.extend(headers.iter().map(|(name, value)| format!("{name}: {}\r\n", self.fill(value))));
        head.extend(credential.map(|token| format!("Authorization: Bearer {token}\r\n")));
        let Some(sent) = exchange.sent else { return format!("{head}\r\n") };
        let body = self.fill(&sent.as_str().map_or_else(|| sent.to_string(), str::to_owned));
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())
    }

    /// `recorded` with what was learnt.
    fn fill(&self, recorded: &str) -> String {
        self.learnt.iter().fold(recorded.to_owned(), |text, (recorded, fresh)| text.replace(recorded, fresh))
    }

    /// What stands in `form` for the code and the verifier.
    fn learn_code(&mut self, form: &BTreeMap<String, String>) {
        if let (Some(recorded), Some(code)) = (form.get("code"), self.person.code.clone()) {
            self.learn(recorded, &code);
            self.learn(&form["code_verifier"], VERIFIER);
        }
    }

    /// What is recorded as a placeholder, or made anew for each app, is `fresh` in this run, and nothing else is.
    fn learn(&mut self, recorded: &str, fresh: &str) {
        let is_new = recorded.starts_with('[') || recorded.starts_with("dcr_");
        if !is_new || self.learnt.contains_key(recorded) {
            return;
        }
        if self.learnt.values().any(|known| known == fresh) {
            self.found.push(format!("{}: {recorded} is not new: {fresh}", self.case.0));
        }
        self.learnt.insert(recorded.to_owned(), fresh.to_owned());
    }

    fn learn_members(&mut self, recorded: &Value, fresh: &Value) {
        for (name, recorded) in recorded.as_object().into_iter().flatten() {
            if let (Some(recorded), Some(fresh)) = (recorded.as_str(), fresh[name].as_str()) {
                self.learn(recorded, fresh);
            }
        }
        self.token = fresh["access_token"].as_str().map(str::to_owned).or(self.token.take());
    }

    fn compare(&mut self, place: &str, exchange: &Exchange<'_>, reply: &Reply) {
        let got: Value = serde_json::from_str(&reply.body).unwrap_or_default();
        let headers = &exchange.answer.headers;
        if exchange.status() != reply.status {
            self.found.push(format!("{place}: {} became {reply:?}", exchange.status()));
        }
        for name in HEADERS {
            let got = reply.field(name);
            let expected = headers.get(name).map(|recorded| {
                self.learn(recorded, got.unwrap_or_default());
                self.fill(recorded)
            });
            if expected.as_deref() != got {
                self.found.push(format!("{place}: {name}: {expected:?} became {got:?}"));
            }
        }
        if let Some(recorded) = exchange.received {
            self.learn_members(recorded, &got);
            let mut expected: Value = serde_json::from_str(&self.fill(&recorded.to_string())).unwrap();
            if let Some(issued_at) = expected.get_mut("client_id_issued_at") {
                *issued_at = (self.clock.now().0 / 1_000).into();
            }
            let found = differences(&expected, &got, Rows::Same);
            self.found.extend(found.iter().map(|difference| format!("{place}: {difference}")));
        }
    }
}

#[test]
fn real_clients_come_through_oauth_as_they_did() {
    let files = fs::read_dir(folder().join("oauth")).unwrap().count();
    assert_eq!(files, CASES.len() + 1, "a recording is not replayed");
    let demo = Demo::fill(&folder().join("oauth"));
    for case in CASES {
        let transcript = Transcript::parse(&text(case.0)).unwrap();
        let found = Replay::run(&demo, case, &transcript);
        assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
        let exchanges = Exchange::all(&transcript);
        let answered = exchanges.iter().filter(|exchange| exchange.is_mcp() && exchange.is_allowed()).count();
        assert!(answered >= 5 && disconnected(&exchanges).is_some(), "{}: {answered} answered", case.0);
    }
}

/// What typescript-v2 was not told, in place of what it was, and the one difference that is then found.
const CHANGES: [(&str, &str, &str); 7] = [
    (r#""issuer":"http:"#, r#""issuer":"https:"#, "/.well-known/oauth-authorization-server: /issuer: "),
    (r#""none","client_name""#, r#""post","client_name""#, "/register: /token_endpoint_auth_method: "),
    (r#""expires_in":3600"#, r#""expires_in":3601"#, "/token: /expires_in: "),
    (r#""error":"invalid_grant""#, r#""error":"invalid_request""#, "/token: /error: "),
    (r#"scope=\"mcp:read mcp:write\""#, r#"scope=\"mcp:read\""#, "/mcp/: www-authenticate: "),
    (r#""status":202"#, r#""status":200"#, "/mcp/: 200 became "),
    (r#"null,\"total\":5"#, r#"null,\"total\":6"#, "/mcp/: /result/content/0/text/total: "),
];

#[test]
fn a_recording_that_says_something_else_is_told_apart() {
    let (demo, case) = (Demo::fill(&folder().join("oauth")), CASES[5]);
    let recorded = text(case.0);
    for (said, instead, place) in CHANGES {
        assert!(recorded.contains(said), "{said}");
        let changed = Transcript::parse(&recorded.replace(said, instead)).unwrap();
        let found = Replay::run(&demo, case, &changed);
        assert!(!found.is_empty() && found.iter().all(|found| found.contains(place)), "{said}: {found:#?}");
    }
}
