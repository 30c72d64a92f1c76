//! An app gets access, through the real server: from the challenge to tools that answer, and to the end of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use chaterimo::app::App;
use chaterimo::clock::{Clock, HOUR, MINUTE};
use chaterimo::http::Limits;
use chaterimo::store::user::{self, Role};
use chaterimo::store::{chatbot, oauth_grant, organisation};
use serde_json::{Value, json};

use crate::accounts::{Browser, House, csrf};
use crate::streams::Events;
use crate::support::{
    DISCOVER, HOST, JSON, LIST, MODERN, NOW, Reply, Server, call, initialize, post, read_head,
};

pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const BACK: &str = "http://localhost:51234/callback";
const ANNA: &str = "anna@example.com";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// An app that registered itself.
struct Client {
    id: String,
}

impl Client {
    fn register(server: &Server) -> Client {
        let body = json!({"client_name": "Test <b>app</b>", "redirect_uris": ["http://localhost/callback"],
            "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"]});
        let reply =
            server.ask(post("/register", "Content-Type: application/json\r\n", &body.to_string()).as_bytes());
        assert_eq!(reply.status, 201, "{reply:?}");
        Client { id: value(&reply)["client_id"].as_str().unwrap().to_owned() }
    }

    /// The path that the app sends its person to, with `more` parameters.
    fn path(&self, more: &[(&str, &str)]) -> String {
        let pairs = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", BACK),
            ("state", "a+b/c=&d"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        format!("/authorize?{}", encoded(&[&pairs, more].concat()))
    }

    fn full(&self) -> String {
        let resource = ("resource", "https://chat.example.com/mcp/");
        self.path(&[resource, ("scope", "mcp:read mcp:write offline_access claudeai"), ("prompt", "consent")])
    }

    fn redeem(&self, server: &Server, code: &str) -> Reply {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", &self.id),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
            ("resource", "https://chat.example.com/mcp/"),
        ];
        token(server, "/token", &pairs)
    }

    fn refresh(&self, server: &Server, refresh_token: &str) -> Reply {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.id),
            ("refresh_token", refresh_token),
            ("resource", "https://chat.example.com/mcp"),
        ];
        token(server, "/token", &pairs)
    }

    /// Tokens that the person in `browser` allows, with these fields of the form.
    fn connect(
        &self,
        house: &House,
        browser: &mut Browser<'_>,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Value {
        let code = parameter(&decide(browser, path, fields), "code").unwrap();
        let reply = self.redeem(&house.server, &code);
        assert_eq!(reply.status, 200, "{reply:?}");
        value(&reply)
    }
}

const ALLOW: &[(&str, &str)] = &[("decision", "allow"), ("organisation", "acme"), ("write", "1")];

pub fn encoded(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn value(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap_or_else(|_| panic!("{reply:?}"))
}

fn token(server: &Server, path: &str, pairs: &[(&str, &str)]) -> Reply {
    server.ask(post(path, FORM, &encoded(pairs)).as_bytes())
}

/// Opens the consent page at `path` and sends its form; where the person is sent.
fn decide(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> String {
    let page = browser.get(path);
    assert_eq!(page.status, 200, "{page:?}");
    let hidden = hidden(&page);
    let reply = browser
        .post("/authorize/decision", &[fields, &[("csrf", csrf(&page)), ("request", &hidden)]].concat());
    assert_eq!(reply.status, 303, "{reply:?}");
    reply.field("location").unwrap().to_owned()
}

pub fn hidden(page: &Reply) -> String {
    let (_, rest) = page.body.split_once("name=\"request\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

pub fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?').unwrap();
    let mut pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.find_map(|(found, value)| (found == name).then_some(value))
}

fn bearer(tokens: &Value) -> String {
    format!("Authorization: Bearer {}\r\n", tokens["access_token"].as_str().unwrap())
}

fn discover(server: &Server, path: &str, tokens: &Value) -> u16 {
    server.ask(post(path, &format!("{}{JSON}{MODERN}", bearer(tokens)), DISCOVER).as_bytes()).status
}

/// A house with an owner, and their browser.
fn house(role: Role) -> House {
    let house = House::new();
    house.member("acme", ANNA, role);
    house
}

#[test]
fn from_the_challenge_to_the_first_answer() {
    let house = house(Role::Owner);
    let server = &house.server;
    let refused = server.ask(post("/mcp/", &format!("{JSON}{MODERN}"), DISCOVER).as_bytes());
    let challenge = refused.field("www-authenticate").unwrap();
    let (_, metadata) = challenge.split_once("resource_metadata=\"https://chat.example.com").unwrap();
    let metadata = metadata.split_once('"').unwrap().0;
    let document = value(&server.ask(format!("GET {metadata} HTTP/1.1\r\n{HOST}\r\n").as_bytes()));
    assert_eq!(document["resource"], "https://chat.example.com/mcp/");

    let app = Client::register(server);
    let mut browser = house.browser();
    let path = app.full();
    let away = browser.get(&path);
    let login = away.field("location").unwrap().to_owned();
    assert_eq!((away.status, parameter(&login, "next")), (303, Some(path.clone())), "{away:?}");
    let page = browser.get(&login);
    let back = [("csrf", csrf(&page)), ("next", &path), ("email", ANNA), ("password", "correct horse")];
    let signed_in = browser.post("/login", &back);
    assert_eq!(signed_in.field("location"), Some(path.as_str()), "{signed_in:?}");

    let page = browser.get(&path);
    assert!(page.body.contains("Test &#60;b&#62;app") && !page.body.contains("<b>app"), "{}", page.body);
    for said in ["localhost:51234", "unverified", ANNA, "2026-11-18", "name=\"write\""] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    let policy = page.field("content-security-policy").unwrap();
    assert!(policy.contains("form-action 'self' http://localhost:51234"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");

    let url = decide(&mut browser, &path, ALLOW);
    assert!(url.starts_with(&format!("{BACK}?code=mac_")), "{url}");
    assert_eq!(parameter(&url, "state").as_deref(), Some("a+b/c=&d"));
    assert_eq!(parameter(&url, "iss").as_deref(), Some("https://chat.example.com"));
    let reply = app.redeem(server, &parameter(&url, "code").unwrap());
    assert_eq!((reply.status, reply.field("cache-control")), (200, Some("no-store")), "{reply:?}");
    assert_eq!(
        (reply.field("pragma"), reply.field("access-control-allow-origin")),
        (Some("no-cache"), Some("*"))
    );
    let tokens = value(&reply);
    assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3_600)));
    assert_eq!(tokens["scope"], "mcp:read mcp:write");

    let answer = server.ask(call("/mcp/", &bearer(&tokens), "list_chatbots", "{}").as_bytes());
    assert_eq!((answer.status, value(&answer)["result"]["isError"] == true), (200, false), "{answer:?}");
    assert_eq!(discover(server, "/mcp", &tokens), 200, "both spellings");
    for other in ["/mcp-readonly", "/mcp-readonly/"] {
        assert_eq!(discover(server, other, &tokens), 401, "a token is for one endpoint");
    }
    let logged = house.write(|tx| {
        let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
        oauth_grant::list(&here, None, NOW)
    });
    assert_eq!((logged.len(), logged[0].client_name.as_str()), (1, "Test <b>app</b>"));
    assert!(logged[0].last_used_at.is_some());
}

#[test]
fn it_survives_a_restart_and_a_refresh() {
    let house = house(Role::Owner);
    let app = Client::register(&house.server);
    let mut browser = house.signed_in(ANNA);
    let url = decide(&mut browser, &app.full(), ALLOW);
    // Another process on the same folder: the code, the tokens and the sessions are in the store.
    let folder = house.app.store.path().parent().unwrap();
    let again = || {
        let app = App::open(folder, Clock::manual(NOW), false, Vec::new()).unwrap();
        Server::of(Arc::new(app), Limits::default(), &[])
    };
    let tokens = value(&app.redeem(&again(), &parameter(&url, "code").unwrap()));
    let session = initialize(&house.server, "/mcp/", &bearer(&tokens));
    let reply = app.refresh(&again(), tokens["refresh_token"].as_str().unwrap());
    assert_eq!(reply.status, 200, "{reply:?}");
    let next = value(&reply);
    assert_ne!(next["access_token"], tokens["access_token"]);
    let list = |tokens: &Value| {
        let fields = format!("{}Mcp-Session-Id: {session}\r\n{JSON}", bearer(tokens));
        again().ask(post("/mcp", &fields, LIST).as_bytes()).status
    };
    assert_eq!((list(&next), list(&tokens)), (200, 200), "a session is its grant's");
    let other = app.connect(&house, &mut browser, &app.full(), ALLOW);
    assert_eq!(list(&other), 404, "and no other's");
}

#[test]
fn what_ends_a_token_ends_it_at_once() {
    let house = house(Role::Owner);
    house.member("acme", "ben@example.com", Role::Owner);
    let app = Client::register(&house.server);
    let mut browser = house.signed_in(ANNA);
    let mut check = |what: &str, end: &dyn Fn(&Value)| {
        let tokens = app.connect(&house, &mut browser, &app.full(), ALLOW);
        // The first use is noted; by the third the grant is kept from the second.
        for _ in 0..3 {
            assert_eq!(discover(&house.server, "/mcp/", &tokens), 200, "{what}");
        }
        end(&tokens);
        assert_eq!(discover(&house.server, "/mcp/", &tokens), 401, "{what}");
    };
    let revoke = |token: &Value| {
        let pairs = [("token", token.as_str().unwrap()), ("client_id", &app.id)];
        let reply = crate::oauth_flow::token(&house.server, "/revoke", &pairs);
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    check("the app revokes it", &|tokens| revoke(&tokens["access_token"]));
    check("the app revokes its refresh token", &|tokens| revoke(&tokens["refresh_token"]));
    check("the dashboard revokes the grant", &|_| {
        house.write(|tx| {
            let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
            let newest = oauth_grant::list(&here, None, NOW)?[0].id;
            oauth_grant::revoke(&here, newest, "member", NOW)
        });
    });
    let suspend = |since| {
        house
            .write(move |tx| organisation::set_suspended(tx, organisation::named(tx, "acme")?.tenant, since));
    };
    check("the organisation is suspended", &|_| suspend(Some(NOW)));
    suspend(None);
    check("the member is removed", &|_| {
        house.write(|tx| {
            let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
            user::remove(&here, user::named(&here, ANNA)?.user, NOW)
        });
    });
}

#[test]
fn a_stream_ends_with_its_grant() {
    let house = House::with_limits(Limits { heartbeat: Duration::from_millis(20), ..Limits::default() }, &[]);
    house.member("acme", ANNA, Role::Owner);
    let app = Client::register(&house.server);
    let mut browser = house.signed_in(ANNA);
    let open = |tokens: &Value| {
        let id = initialize(&house.server, "/mcp/", &bearer(tokens));
        let fields = format!("{}Mcp-Session-Id: {id}\r\nAccept: text/event-stream\r\n", bearer(tokens));
        let mut stream = house.server.connect();
        stream.write_all(format!("GET /mcp/ HTTP/1.1\r\n{HOST}{fields}\r\n").as_bytes()).unwrap();
        assert!(read_head(&mut stream).starts_with("HTTP/1.1 200"));
        stream
    };
    let ends = |mut stream: TcpStream| {
        let mut last = Vec::new();
        while !last.ends_with(b"0\r\n\r\n") {
            let mut bytes = [0; 64];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "{last:?}");
            last.extend_from_slice(&bytes[..count]);
        }
    };
    let tokens = app.connect(&house, &mut browser, &app.full(), ALLOW);
    let stream = open(&tokens);
    token(
        &house.server,
        "/revoke",
        &[("token", tokens["refresh_token"].as_str().unwrap()), ("client_id", &app.id)],
    );
    ends(stream);
    let tokens = app.connect(&house, &mut browser, &app.full(), ALLOW);
    let stream = open(&tokens);
    let narrowed = tokens;
    house.write(|tx| {
        let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
        let newest = oauth_grant::list(&here, None, NOW)?[0].id;
        oauth_grant::narrow(&here, newest, false, Some(&[1]), NOW)
    });
    ends(stream);
    assert_eq!(
        discover(&house.server, "/mcp/", &narrowed),
        200,
        "it may come back for what it still may see"
    );
    let tokens = app.connect(&house, &mut browser, &app.full(), ALLOW);
    let stream = open(&tokens);
    house.app.clock.advance(HOUR);
    ends(stream);
}

#[test]
fn a_call_that_waited_for_an_answer_may_do_no_more_than_it_may_by_then() {
    let house = house(Role::Owner);
    house.member("acme", "ben@example.com", Role::Owner);
    house.write(|tx| {
        let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
        let bot = json!({"external_id": "a", "settings": {"name": "Anna"}});
        chatbot::put(&here, &serde_json::from_value(bot).unwrap(), NOW)
    });
    let app = Client::register(&house.server);
    let mut browser = house.signed_in(ANNA);
    let fields = format!("{}{JSON}", bearer(&app.connect(&house, &mut browser, &app.full(), ALLOW)));
    let say = |fields: &str, method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        post("/mcp/", fields, &body.to_string())
    };
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "t", "version": "1"}});
    let reply = house.server.ask(say(&fields, "initialize", hello).as_bytes());
    let fields = format!("{fields}Mcp-Session-Id: {}\r\n", reply.field("mcp-session-id").unwrap());
    let off = json!({"name": "update_chatbot_settings", "arguments": {"chatbot_id": 1, "enabled": false}});
    let mut events = Events::open(&house.server, &say(&fields, "tools/call", off));
    let asked = events.next();
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    house.write(|tx| {
        let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
        user::set_role(&here, user::named(&here, ANNA)?.user, Role::Analyst)
    });
    let yes = json!({"jsonrpc": "2.0", "id": asked["id"],
        "result": {"action": "accept", "content": {"confirm": true}}});
    assert_eq!(house.server.ask(post("/mcp/", &fields, &yes.to_string()).as_bytes()).status, 202);
    let answer = events.next();
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let settings = house.write(|tx| {
        let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
        Ok(chatbot::get(&here, 1)?.unwrap().settings)
    });
    assert!(settings.enabled);
}

#[test]
fn who_may_only_read_is_told_how_to_ask_for_more() {
    let check = |role: Role, fields: &[(&str, &str)], status: u16, said: &str| {
        let house = house(role);
        let app = Client::register(&house.server);
        let mut browser = house.signed_in(ANNA);
        let tokens = app.connect(&house, &mut browser, &app.full(), fields);
        assert_eq!(tokens["scope"], "mcp:read");
        let request = call("/mcp/", &bearer(&tokens), "retrain_chatbot", r#"{"chatbot_id":1}"#);
        let reply = house.server.ask(request.as_bytes());
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.body.contains(said), "{reply:?}");
        reply.field("www-authenticate").map(str::to_owned)
    };
    let read_only = &[("decision", "allow"), ("organisation", "acme")];
    let challenge = check(Role::Owner, read_only, 403, "mcp:write");
    assert_eq!(
        challenge.as_deref(),
        Some(
            "Bearer error=\"insufficient_scope\", scope=\"mcp:read mcp:write\", \
             resource_metadata=\"https://chat.example.com/.well-known/oauth-protected-resource/mcp/\", \
             error_description=\"This tool changes things and needs mcp:write\""
        )
    );
    // Whom asking again would not help is told in words.
    assert_eq!(check(Role::Analyst, ALLOW, 200, "is an analyst"), None);
}

#[test]
fn a_person_decides_for_themselves() {
    let house = house(Role::Owner);
    house.member("acme", "ben@example.com", Role::Owner);
    let app = Client::register(&house.server);
    let mut browser = house.signed_in(ANNA);
    let url = decide(&mut browser, &app.full(), &[("decision", "deny")]);
    assert_eq!(parameter(&url, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&url, "state").as_deref(), Some("a+b/c=&d"));
    assert_eq!(parameter(&url, "iss").as_deref(), Some("https://chat.example.com"));

    let page = browser.get(&app.full());
    let (csrf_text, request) = (csrf(&page).to_owned(), hidden(&page));
    let fields = [ALLOW, &[("request", request.as_str())]].concat();
    let send = |browser: &mut Browser<'_>, csrf: &str| {
        browser.post("/authorize/decision", &[&fields[..], &[("csrf", csrf)]].concat()).status
    };
    assert_eq!(send(&mut browser, "x"), 403, "another site made the form");
    let mut ben = house.signed_in("ben@example.com");
    let bens = csrf(&ben.get("/account")).to_owned();
    assert_eq!(send(&mut ben, &bens), 404, "it is another browser's request");
    assert_eq!(send(&mut house.browser(), &csrf_text), 403, "nobody is signed in");
    assert_eq!(send(&mut browser, &csrf_text), 303);
    assert_eq!(send(&mut browser, &csrf_text), 404, "it was answered");
    let old = hidden(&browser.get(&app.full()));
    house.app.clock.advance(10 * MINUTE);
    let late = [ALLOW, &[("request", old.as_str()), ("csrf", &csrf_text)]].concat();
    assert_eq!(browser.post("/authorize/decision", &late).status, 404, "it is too old");
}

#[test]
fn a_wrong_request_is_a_page() {
    let house = house(Role::Owner);
    let app = Client::register(&house.server);
    let mut browser = house.signed_in(ANNA);
    let good = app.full();
    let mut check = |path: &str, status: u16, said: &str| {
        let page = browser.get(path);
        assert_eq!((page.status, page.field("location")), (status, None), "{path}: {page:?}");
        assert!(page.body.contains("<html") && page.body.contains(said), "{path}: {}", page.body);
        assert_eq!(page.field("access-control-allow-origin"), None);
    };
    check("/authorize", 400, "client_id is missing");
    check(&format!("{good}&state=x"), 400, "stands twice");
    check(&good.replace(&app.id, "dcr_unknown"), 400, "does not know the app");
    check(&good.replace("callback", "evil"), 400, "redirect_uri");
    check(&good.replace("localhost", "evil.example"), 400, "redirect_uri");
    // What may go back to the app is a link: a page that anybody may register an app for sends nobody on.
    let link = "href=\"http://localhost:51234/callback?error=";
    check(&good.replace("S256", "plain"), 400, &format!("{link}invalid_request"));
    check(
        &good.replace("response_type=code", "response_type=token"),
        400,
        &format!("{link}unsupported_response_type"),
    );
    check(&good.replace("%2Fmcp%2F", "%2Fother"), 400, &format!("{link}invalid_target"));
    check(&good.replace("prompt=consent", "prompt=none"), 400, &format!("{link}interaction_required"));
}

#[test]
fn other_ways_to_the_page() {
    let house = house(Role::Owner);
    let app = Client::register(&house.server);
    let path = app.full();
    let (_, query) = path.split_once('?').unwrap();
    // An app may post; it may come from anywhere.
    let fields = format!("{FORM}Sec-Fetch-Site: cross-site\r\nOrigin: https://app.example\r\n");
    let reply = house.server.ask(post("/authorize", &fields, query).as_bytes());
    assert_eq!((reply.status, reply.field("location")), (303, Some(path.as_str())), "{reply:?}");
    // `prompt=login`: the password counts when it was given just now.
    let path = path.replace("prompt=consent", "prompt=login");
    let mut browser = house.signed_in(ANNA);
    assert_eq!(browser.get(&path).status, 200);
    house.app.clock.advance(6 * MINUTE);
    let away = browser.get(&path);
    assert!(away.field("location").is_some_and(|to| to.contains("again=1")), "{away:?}");
}

#[test]
fn bad_input_at_the_token_endpoint() {
    let house = house(Role::Owner);
    let app = Client::register(&house.server);
    let check = |path: &str, fields: &str, body: &str, status: u16, code: &str| {
        let reply = house.server.ask(post(path, fields, body).as_bytes());
        assert_eq!(reply.status, status, "{path} {body:.200}: {reply:?}");
        assert_eq!(value(&reply)["error"], code, "{path} {body:.200}: {reply:?}");
        reply.field("www-authenticate").map(str::to_owned)
    };
    let id = format!("client_id={}", app.id);
    for path in ["/token", "/revoke"] {
        check(path, "Content-Type: application/json\r\n", "{}", 400, "invalid_request");
        check(path, "", "", 400, "invalid_request");
        check(path, FORM, "", 400, "invalid_request");
        check(path, FORM, &format!("{id}&{id}"), 400, "invalid_request");
        check(path, FORM, &format!("{id}&token=%ff"), 400, "invalid_request");
        check(path, FORM, "client_id=dcr_unknown&token=x", 401, "invalid_client");
        check(path, FORM, &format!("{id}&client_secret=x"), 401, "invalid_client");
        let basic = format!("{FORM}Authorization: Basic ZGNyX3Vua25vd246eA==\r\n");
        let challenge = check(path, &basic, "token=x", 401, "invalid_client");
        assert_eq!(challenge.as_deref(), Some("Basic realm=\"chaterimo\""));
        let big = format!("{id}&token={}", "x".repeat(32 * 1024));
        check(path, FORM, &big, 413, "invalid_request");
    }
    check("/token", FORM, &id, 400, "invalid_request");
    check("/token", FORM, &format!("{id}&grant_type=password"), 400, "unsupported_grant_type");
    check("/token", FORM, &format!("{id}&grant_type=authorization_code"), 400, "invalid_request");
    check("/token", FORM, &format!("{id}&grant_type=refresh_token&refresh_token=x"), 400, "invalid_grant");
    let get = house.server.ask(format!("GET /token HTTP/1.1\r\n{HOST}\r\n").as_bytes());
    assert_eq!((get.status, get.field("allow")), (405, Some("POST")));
    let statuses: Vec<u16> = (0..61)
        .map(|_| house.server.ask(post("/token", FORM, "client_id=flood&grant_type=x").as_bytes()))
        .map(|reply| reply.status)
        .collect();
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 1);
}
