//! From consent to tokens, on a store with one organisation and a clock that is moved by hand.

use std::collections::BTreeMap;

use super::authorize::Asked;
use super::client::Presented;
use super::consent::{Decision, KnownBy, Person};
use super::params::Params;
use super::params::tests::pairs;
use super::testing::{client, server};
use super::token::Tokens;
use super::{Client, ClientKind, Fault, Server};
use crate::access::signed::{self, Purpose};
use crate::access::{self, Endpoint, Grant};
use crate::clock::{DAY, HOUR, MINUTE, SECOND};
use crate::error::{Kind, Result};
use crate::store::organisation::{self, Plan};
use crate::store::{Durability, SystemTx, Tenant, TenantTx, oauth_grant, testing};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SESSION: [u8; 32] = [7; 32];

/// A server, an app, and a person at a browser.
struct House {
    server: Server,
    tenant: Tenant,
    person: Person,
    client: Client,
    _folder: tempfile::TempDir,
}

impl House {
    fn new() -> House {
        House::with("owner")
    }

    fn with(role: &'static str) -> House {
        let (folder, server) = server();
        let now = server.clock.now();
        let made = server.store.write(Durability::Process, move |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, now)?.tenant;
            let here = tx.tenant(tenant);
            let user = testing::member(&here, "anna@example.com", role)?;
            testing::browser_session(&here, &SESSION, user)?;
            Ok((tenant, user))
        });
        let (tenant, user) = made.unwrap();
        let person = Person { session: SESSION, user };
        let client = client("app", &["http://localhost/back"]);
        House { server, tenant, person, client, _folder: folder }
    }

    fn change(&self, job: impl FnOnce(&SystemTx<'_>, &TenantTx<'_>) -> Result<()> + Send + 'static) {
        let tenant = self.tenant;
        self.server.store.write(Durability::Process, move |tx| job(tx, &tx.tenant(tenant))).unwrap();
    }

    /// Opens a request; `more` is added to its query.
    fn open(&self, more: &str) -> String {
        let redirect_uri = "http://localhost:5000/back";
        let query = format!(
            "client_id=app&redirect_uri={redirect_uri}&response_type=code&state=st%26ate&code_challenge={CHALLENGE}\
             &code_challenge_method=S256&{more}"
        );
        let asked = Asked::parse(pairs(&query)).unwrap();
        let redirect_uri = asked.redirect(&self.client).unwrap();
        let request = asked.check(&self.server.issuer, self.client.clone(), redirect_uri).unwrap();
        self.server.open_request(self.person, &request).unwrap()
    }

    fn code(&self, more: &str, decision: Decision) -> String {
        let url = self.server.allow(self.person, &self.open(more), decision).unwrap();
        parameters(&url)["code"].clone()
    }

    /// A code for the full endpoint, to read and write.
    fn full_code(&self) -> String {
        self.code(FULL, ALLOW)
    }

    fn ask(&self, client: &Client, form: &str) -> Result<Tokens, Fault> {
        self.server.tokens(client, &Params::new(pairs(form)).unwrap())
    }

    fn redeem(&self, code: &str, more: &str) -> Result<Tokens, Fault> {
        let form = format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&{more}");
        self.ask(&self.client, &form)
    }

    fn refresh(&self, token: &str, more: &str) -> Result<Tokens, Fault> {
        self.ask(&self.client, &format!("grant_type=refresh_token&refresh_token={token}&{more}"))
    }

    fn tokens(&self) -> Tokens {
        self.redeem(&self.full_code(), "").unwrap()
    }

    fn who(&self, access: &str) -> Option<Grant> {
        let Server { store, keyring, clock, .. } = &self.server;
        access::authenticate(store, keyring, access, clock.now()).unwrap()
    }

    /// Asks with the token, as a client that has it does.
    fn use_token(&self, access: &str) {
        let grant = self.who(access).unwrap();
        if let Some(hash) = grant.unused {
            access::note_first_use(&self.server.store, hash, self.server.clock.now()).unwrap();
        }
    }

    fn grants(&self) -> Vec<oauth_grant::Listed> {
        let now = self.server.clock.now();
        self.server.store.read(|tx| oauth_grant::list(&tx.tenant(self.tenant), None, now)).unwrap()
    }

    fn wait(&self, millis: i64) {
        self.server.clock.advance(millis);
    }
}

const FULL: &str = "scope=mcp:read+mcp:write&resource=https://chat.example.com/mcp/";
const ALLOW: Decision = Decision { organisation: None, endpoint: None, write: true, chatbots: None };

fn parameters(url: &str) -> BTreeMap<String, String> {
    let (_, query) = url.split_once('?').unwrap();
    pairs(query).into_iter().collect()
}

fn refused(outcome: Result<Tokens, Fault>, code: &str) {
    assert_eq!(outcome.expect_err(code).code, code);
}

fn refresh_token(tokens: &Tokens) -> String {
    tokens.refresh_token.clone().unwrap()
}

#[test]
fn the_page_shows_who_asks_for_what() {
    let house = House::new();
    let text = house.open(FULL);
    let shown = house.server.consent(house.person, &text, Some("acme")).unwrap();
    assert_eq!(shown.client_name, "An app");
    assert_eq!(shown.known_by, KnownBy::Registered("1970-01-01".into()));
    assert_eq!(
        (shown.redirect_host.as_str(), shown.redirect_origin.as_str()),
        ("localhost:5000", "http://localhost:5000")
    );
    assert!(shown.loopback_only && shown.write);
    assert_eq!((shown.endpoint, shown.email.as_str()), (Some(Endpoint::Full), "anna@example.com"));
    assert_eq!(shown.organisations.len(), 1);
    assert_eq!((shown.organisations[0].slug.as_str(), shown.organisations[0].can_write), ("acme", true));
}

#[test]
fn a_decision_goes_back_to_the_app() {
    let house = House::new();
    let url = house.server.allow(house.person, &house.open(FULL), ALLOW).unwrap();
    assert!(url.starts_with("http://localhost:5000/back?code=mac_"), "{url}");
    let found = parameters(&url);
    assert_eq!((found["state"].as_str(), found["iss"].as_str()), ("st&ate", "https://chat.example.com"));
    let url = house.server.deny(house.person, &house.open(FULL)).unwrap();
    let found = parameters(&url);
    assert_eq!((found["error"].as_str(), found["state"].as_str()), ("access_denied", "st&ate"));
    assert_eq!(found["iss"], "https://chat.example.com");
}

#[test]
fn a_request_is_decided_once_by_whose_it_is_in_time() {
    let house = House::new();
    let text = house.open(FULL);
    let gone = |person: Person, text: &str| {
        assert_eq!(house.server.consent(person, text, None).unwrap_err().kind, Kind::NotFound);
        assert_eq!(house.server.allow(person, text, ALLOW).unwrap_err().kind, Kind::NotFound);
        assert_eq!(house.server.deny(person, text).unwrap_err().kind, Kind::NotFound);
    };
    gone(Person { session: [8; 32], ..house.person }, &text);
    gone(house.person, "mar_x");
    house.wait(10 * MINUTE - 1);
    house.server.allow(house.person, &text, ALLOW).unwrap();
    gone(house.person, &text);
    let text = house.open(FULL);
    house.wait(10 * MINUTE);
    gone(house.person, &text);
}

#[test]
fn a_browser_has_twenty_requests_at_most() {
    let house = House::new();
    let texts: Vec<String> = (0..21)
        .map(|_| {
            house.wait(1);
            house.open(FULL)
        })
        .collect();
    let lives = |text: &String| house.server.consent(house.person, text, None).is_ok();
    assert!(!lives(&texts[0]) && texts[1..].iter().all(lives));
}

#[test]
fn nothing_from_the_form_widens() {
    let check = |role: &'static str, asked: &str, decision: Decision, endpoint: &str, write: bool| {
        let house = House::with(role);
        let tokens = house.redeem(&house.code(asked, decision), "").unwrap();
        let grant = &house.grants()[0];
        assert_eq!((grant.endpoint.as_str(), grant.write), (endpoint, write), "{role} {asked}");
        assert_eq!(tokens.scope, if write { "mcp:read mcp:write" } else { "mcp:read" });
        assert_eq!(house.who(&tokens.access_token).unwrap().read_only, !write);
    };
    let read_only = Decision { endpoint: Some(Endpoint::ReadOnly), ..ALLOW };
    let no_write = Decision { write: false, ..ALLOW };
    let here = "resource=https://chat.example.com/mcp-readonly";
    check("owner", FULL, ALLOW, "full", true);
    check("admin", FULL, ALLOW, "full", true);
    check("analyst", FULL, ALLOW, "full", false);
    check("owner", FULL, no_write.clone(), "full", false);
    check("owner", FULL, read_only.clone(), "full", true);
    check("owner", "scope=mcp:read&resource=https://chat.example.com/mcp", ALLOW, "full", false);
    check("owner", here, ALLOW, "readonly", false);
    check("owner", here, Decision { endpoint: Some(Endpoint::Full), ..ALLOW }, "readonly", false);
    check("owner", "", ALLOW, "full", true);
    check("owner", "", read_only, "readonly", false);
    check("owner", "", no_write, "full", false);
}

#[test]
fn who_is_no_member_allows_nothing() {
    let house = House::new();
    let text = house.open(FULL);
    let elsewhere = Decision { organisation: Some("globex".into()), ..ALLOW };
    assert_eq!(house.server.allow(house.person, &text, elsewhere).unwrap_err().kind, Kind::Forbidden);
    house.change(|tx, here| organisation::set_suspended(tx, here.tenant(), Some(crate::clock::Time(1))));
    assert_eq!(house.server.allow(house.person, &text, ALLOW).unwrap_err().kind, Kind::Forbidden);
    assert_eq!(house.server.consent(house.person, &text, None).unwrap_err().kind, Kind::Forbidden);
    house.change(|tx, here| organisation::set_suspended(tx, here.tenant(), None));
    house.server.allow(house.person, &text, ALLOW).expect("a refusal uses nothing up");
}

#[test]
fn a_code_gives_tokens() {
    let house = House::new();
    let tokens = house.redeem(&house.full_code(), "redirect_uri=http://localhost:5000/back").unwrap();
    assert_eq!((tokens.token_type, tokens.expires_in, tokens.scope), ("Bearer", 3_600, "mcp:read mcp:write"));
    let grant = house.who(&tokens.access_token).unwrap();
    assert_eq!((grant.audience, grant.tenant), (Some(Endpoint::Full), house.tenant));
    assert_eq!(grant.actor, "An app for anna@example.com (app 1)");
    house.wait(HOUR - 1);
    assert!(house.who(&tokens.access_token).is_some());
    house.wait(1);
    assert!(house.who(&tokens.access_token).is_none());
    assert!(house.who(&refresh_token(&tokens)).is_none(), "a refresh token is no access token");
    let once = Client { refreshes: false, ..house.client.clone() };
    let form = format!(
        "grant_type=authorization_code&code={}&code_verifier={VERIFIER}&resource=https://chat.example.com",
        house.full_code()
    );
    assert!(house.ask(&once, &form).unwrap().refresh_token.is_none());
}

#[test]
fn what_does_not_match_uses_nothing_up() {
    let check = |form: &str, code: &str| {
        let house = House::new();
        let good = house.full_code();
        refused(house.ask(&house.client, &form.replace("CODE", &good)), code);
        house.redeem(&good, "").unwrap_or_else(|fault| panic!("{form}: {fault:?}"));
    };
    let good = format!("grant_type=authorization_code&code=CODE&code_verifier={VERIFIER}");
    let wrong = "x".repeat(43);
    check("code=CODE", "invalid_request");
    check("grant_type=password&code=CODE", "unsupported_grant_type");
    check(&good.replace("code=CODE&", ""), "invalid_request");
    check("grant_type=authorization_code&code=CODE", "invalid_request");
    check(&format!("grant_type=authorization_code&code=CODE&code_verifier={wrong}"), "invalid_grant");
    check("grant_type=authorization_code&code=CODE&code_verifier=short", "invalid_request");
    check(
        &format!("grant_type=authorization_code&code=CODE&code_verifier={}", "x".repeat(129)),
        "invalid_request",
    );
    check(&format!("grant_type=authorization_code&code=CODE&code_verifier={CHALLENGE}"), "invalid_grant");
    check(&good.replace("CODE", "mac_x"), "invalid_grant");
    check(&format!("{good}&redirect_uri=http://localhost:5001/back"), "invalid_grant");
    check(&format!("{good}&resource=https://chat.example.com/mcp-readonly"), "invalid_target");
    check(&format!("{good}&resource=https://evil.example/mcp"), "invalid_target");
    let house = House::new();
    let code = house.full_code();
    let form = format!("grant_type=authorization_code&code={code}&code_verifier={VERIFIER}");
    refused(house.ask(&client("other", &[]), &form), "invalid_grant");
    house.redeem(&code, "resource=https://chat.example.com/mcp").unwrap();
}

#[test]
fn a_code_ends() {
    let house = House::new();
    let code = house.full_code();
    house.wait(MINUTE);
    refused(house.redeem(&code, ""), "invalid_grant");
    assert!(house.grants().is_empty(), "nothing came of it");
    let code = house.full_code();
    for _ in 0..5 {
        refused(house.redeem(&code, "redirect_uri=http://localhost:1/"), "invalid_grant");
    }
    refused(house.redeem(&code, ""), "invalid_grant");
    assert!(house.grants().is_empty(), "nothing came of it");
    let code = house.full_code();
    house.change(|_, here| testing::end_membership(here, 1));
    refused(house.redeem(&code, ""), "invalid_grant");
}

#[test]
fn a_code_that_comes_again_ends_what_came_of_it() {
    let house = House::new();
    let code = house.full_code();
    let tokens = house.redeem(&code, "").unwrap();
    let form = format!("grant_type=authorization_code&code={code}&code_verifier={}", "x".repeat(43));
    refused(house.ask(&house.client, &form), "invalid_grant");
    assert!(house.who(&tokens.access_token).is_some(), "without the verifier it ends nothing");
    refused(house.redeem(&code, ""), "invalid_grant");
    assert!(house.who(&tokens.access_token).is_none());
    refused(house.refresh(&refresh_token(&tokens), ""), "invalid_grant");
    assert!(house.grants().is_empty());
}

#[test]
fn whoever_redeems_a_code_first_cannot_hide_it() {
    let house = House::new();
    let code = house.full_code();
    let form = format!("grant_type=authorization_code&code={code}&code_verifier={}", "x".repeat(43));
    refused(house.ask(&house.client, &form), "invalid_grant");
    let stolen = house.redeem(&code, "").unwrap();
    for _ in 0..6 {
        refused(house.ask(&house.client, &form), "invalid_grant");
    }
    assert!(house.who(&stolen.access_token).is_some());
    refused(house.redeem(&code, ""), "invalid_grant");
    assert!(house.who(&stolen.access_token).is_none() && house.grants().is_empty());
}

/// What the rules of rotation come to, row by row: `(what is done, what becomes of the presented token, whether the
/// grant lives on)`.
#[test]
fn rotation_has_room_for_accidents_and_none_for_thieves() {
    #[derive(Debug)]
    enum Step {
        /// Refreshes with the token of that number; what it gives is put at the end.
        Refresh(usize),
        /// Uses the access token of that number.
        Use(usize),
        Wait(i64),
    }
    use Step::{Refresh, Use, Wait};
    let check = |steps: &[Step], presented: usize, expected: bool, lives: bool| {
        let house = House::new();
        let mut all = vec![house.tokens()];
        for step in steps {
            match step {
                Refresh(at) => all.push(house.refresh(&refresh_token(&all[*at]), "").unwrap()),
                Use(at) => house.use_token(&all[*at].access_token),
                Wait(millis) => house.wait(*millis),
            }
        }
        let outcome = house.refresh(&refresh_token(&all[presented]), "");
        assert_eq!(outcome.is_ok(), expected, "{steps:?}");
        assert_eq!(house.grants().len(), usize::from(lives), "{steps:?}");
        assert_eq!(house.who(&all[all.len() - 1].access_token).is_some(), lives, "{steps:?}");
    };
    let window = 120 * SECOND;
    // The current one
    check(&[], 0, true, true);
    check(&[Refresh(0)], 1, true, true);
    check(&[Refresh(0), Use(1), Wait(DAY / 48)], 1, true, true);
    // The one before: its answer was lost
    check(&[Refresh(0)], 0, true, true);
    check(&[Refresh(0), Wait(HOUR / 2)], 0, true, true);
    // The one before: two at once
    check(&[Refresh(0), Use(1)], 0, true, true);
    check(&[Refresh(0), Use(1), Wait(window)], 0, true, true);
    // The one before, when its successor arrived and the window is over: a copy
    check(&[Refresh(0), Use(1), Wait(window + 1)], 0, false, false);
    // Older ones: copies
    check(&[Refresh(0), Refresh(1)], 0, false, false);
    check(&[Refresh(0), Refresh(0), Refresh(1)], 0, false, false);
    // Siblings
    check(&[Refresh(0), Refresh(0)], 1, true, true);
    check(&[Refresh(0), Refresh(0)], 2, true, true);
    check(&[Refresh(0), Refresh(0), Wait(HOUR / 2), Refresh(1)], 2, true, true);
    check(&[Refresh(0), Refresh(0), Wait(HOUR / 2), Refresh(1), Wait(window + 1)], 2, false, false);
    check(&[Refresh(0), Refresh(0), Refresh(1), Refresh(3)], 2, false, false);
    // Too many: refused, and nothing is lost
    let ten = || (0..10).map(|_| Refresh(0));
    check(&ten().collect::<Vec<_>>(), 0, false, true);
    check(&ten().chain([Use(3)]).collect::<Vec<_>>(), 0, false, true);
    check(&ten().chain([Use(3), Wait(window + 1)]).collect::<Vec<_>>(), 0, false, false);
    check(&ten().collect::<Vec<_>>(), 7, true, true);
}

#[test]
fn refresh_tokens_are_bounded() {
    let house = House::new();
    let tokens = house.tokens();
    let id = house.grants()[0].id;
    let now = house.server.clock.now();
    house.change(move |_, tx| (0..1_001).try_for_each(|_| oauth_grant::rotate(tx, id, now)));
    refused(house.refresh(&refresh_token(&tokens), ""), "invalid_grant");
    assert!(house.who(&tokens.access_token).is_some(), "what was forgotten ends nothing");
}

#[test]
fn a_refresh_is_bound_to_what_was_allowed() {
    let house = House::new();
    let tokens = house.tokens();
    let refresh = refresh_token(&tokens);
    let check = |more: &str, code: &str| refused(house.refresh(&refresh, more), code);
    check("resource=https://chat.example.com/mcp-readonly/", "invalid_target");
    check("resource=https://evil.example", "invalid_target");
    refused(house.refresh("mrt_x", ""), "invalid_grant");
    refused(house.refresh(&tokens.access_token, ""), "invalid_grant");
    let form = format!("grant_type=refresh_token&refresh_token={refresh}");
    refused(house.ask(&client("other", &[]), &form), "invalid_grant");
    let less = house.refresh(&refresh, "scope=mcp:read&resource=https://chat.example.com/mcp").unwrap();
    assert_eq!(less.scope, "mcp:read");
    assert!(house.who(&less.access_token).unwrap().read_only);
    let again = house.refresh(&refresh_token(&less), "scope=mcp:write+offline_access").unwrap();
    assert_eq!(again.scope, "mcp:read mcp:write", "as was allowed");
    assert!(house.who(&tokens.access_token).is_some(), "access tokens end at their own time");
    let readers = house.redeem(&house.code(FULL, Decision { write: false, ..ALLOW }), "").unwrap();
    let (refresh, more) = (refresh_token(&readers), "scope=mcp:read+mcp:write");
    refused(house.refresh(&refresh, more), "invalid_scope");
    house.refresh(&refresh, "").unwrap();
}

#[test]
fn what_is_narrowed_later_stays_so() {
    let house = House::new();
    let tokens = house.tokens();
    let now = house.server.clock.now();
    house.change(move |_, here| oauth_grant::narrow(here, 1, true, Some(&[3]), now));
    let next = house.refresh(&refresh_token(&tokens), "scope=mcp:read+mcp:write").unwrap();
    assert_eq!(next.scope, "mcp:read");
    let grant = house.who(&next.access_token).unwrap();
    assert!(grant.read_only && grant.may_widen);
    assert_eq!(grant.chatbots.as_deref(), Some(&[3][..]));
}

#[test]
fn what_nobody_uses_ends() {
    let house = House::new();
    let tokens = house.tokens();
    house.wait(30 * DAY);
    refused(house.refresh(&refresh_token(&tokens), ""), "invalid_grant");
    assert!(house.grants().is_empty());
    let mut tokens = house.tokens();
    for _ in 0..8 {
        house.wait(20 * DAY);
        tokens = house.refresh(&refresh_token(&tokens), "").unwrap();
    }
    house.wait(20 * DAY - 60 * SECOND);
    tokens = house.refresh(&refresh_token(&tokens), "").unwrap();
    assert_eq!(tokens.expires_in, 60, "no longer than the grant");
    house.wait(60 * SECOND);
    refused(house.refresh(&refresh_token(&tokens), ""), "invalid_grant");
}

#[test]
fn a_grant_ends_with_the_membership_and_rests_with_the_organisation() {
    let house = House::new();
    let tokens = house.tokens();
    let refresh = refresh_token(&tokens);
    house.change(|tx, here| organisation::set_suspended(tx, here.tenant(), Some(crate::clock::Time(1))));
    refused(house.refresh(&refresh, ""), "invalid_grant");
    assert!(house.who(&tokens.access_token).is_none());
    house.change(|tx, here| organisation::set_suspended(tx, here.tenant(), None));
    let tokens = house.refresh(&refresh, "").unwrap();
    house.change(|_, here| testing::reopen_invitation(here, 1));
    refused(house.refresh(&refresh_token(&tokens), ""), "invalid_grant");
    house.change(|_, here| testing::end_membership(here, 1));
    refused(house.refresh(&refresh_token(&tokens), ""), "invalid_grant");
    assert!(house.who(&tokens.access_token).is_none());
}

#[test]
fn revocation_by_the_client() {
    let house = House::new();
    let revoke = |client: &Client, token: &str| {
        house.server.revoke(client, &Params::new(pairs(&format!("token={token}"))).unwrap())
    };
    let tokens = house.tokens();
    let (access, refresh) = (&tokens.access_token, refresh_token(&tokens));
    assert_eq!(
        house.server.revoke(&house.client, &Params::new(vec![]).unwrap()).unwrap_err().code,
        "invalid_request"
    );
    for unknown in ["x", "mat_x", "cha_x"] {
        revoke(&house.client, unknown).unwrap();
    }
    revoke(&client("other", &[]), access).unwrap();
    revoke(&client("other", &[]), &refresh).unwrap();
    assert!(house.who(access).is_some(), "only its own client ends a token");
    revoke(&house.client, access).unwrap();
    assert!(house.who(access).is_none());
    let next = house.refresh(&refresh, "").unwrap();
    revoke(&house.client, &refresh_token(&next)).unwrap();
    assert!(house.who(&next.access_token).is_none());
    refused(house.refresh(&refresh_token(&next), ""), "invalid_grant");
    revoke(&house.client, &refresh).unwrap();
    house.change(|_, here| testing::drop_table(here, "oauth_token"));
    let fault = revoke(&house.client, &refresh).unwrap_err();
    assert_eq!((fault.code, fault.status()), ("temporarily_unavailable", 503));
}

#[test]
fn a_thousand_at_once_get_one_grant() {
    let house = House::new();
    let code = house.full_code();
    let good: Vec<Tokens> = at_once(1_000, || house.redeem(&code, "").ok());
    assert_eq!(good.len(), 1);
    // Each of the others was a replay, as far as anybody can tell.
    assert!(house.who(&good[0].access_token).is_none() && house.grants().is_empty());
}

#[test]
fn ten_refreshes_at_once_lose_nobody() {
    let house = House::new();
    let refresh = refresh_token(&house.tokens());
    let all: Vec<Tokens> = at_once(10, || house.refresh(&refresh, "").ok());
    assert_eq!(all.len(), 10);
    for tokens in &all {
        house.use_token(&tokens.access_token);
    }
    house.wait(HOUR);
    let next: Vec<Tokens> =
        all.iter().map(|tokens| house.refresh(&refresh_token(tokens), "").unwrap()).collect();
    assert!(next.iter().all(|tokens| house.who(&tokens.access_token).is_some()));
}

/// What `job` answers when it is run so often on as many threads as there may be.
fn at_once<T: Send>(times: usize, job: impl Fn() -> Option<T> + Sync) -> Vec<T> {
    let threads = times.min(50);
    std::thread::scope(|scope| {
        let run = || (0..times / threads).filter_map(|_| job()).collect::<Vec<T>>();
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn the_token_endpoint_is_asked_in_measure() {
    let house = House::new();
    let address = "192.0.2.7".parse().unwrap();
    let form = |text: &str| Params::new(pairs(text)).unwrap();
    let ask_as = |authorization: Option<&str>, text: &str| {
        let form = form(text);
        let presented = Presented { authorization, client_id: form.get("client_id"), client_secret: None };
        house.server.admit_request(&presented, &form, address).map_err(|fault| fault.status())
    };
    let ask = |text: &str| ask_as(None, text);
    assert!((0..60).all(|_| ask("client_id=app").is_ok()));
    assert_eq!(ask("client_id=app"), Err(429));
    assert!(ask("client_id=other").is_ok());
    let refresh = format!("client_id=app&refresh_token={}", refresh_token(&house.tokens()));
    assert!(ask(&refresh).is_ok(), "one grant does not wait for the others behind its address");
    let (forged, _) = signed::generate(&house.server.keyring, Purpose::Refresh);
    assert_eq!(ask(&format!("client_id=app&refresh_token={forged}")), Err(429));
    // A client that names itself in the Authorization field: `app:x`, `basic:x`, `other-basic:x`.
    assert_eq!(ask_as(Some("Basic YXBwOng="), ""), Err(429));
    assert!((0..60).all(|_| ask_as(Some("Basic YmFzaWM6eA=="), "").is_ok()));
    assert_eq!(ask_as(Some("Basic YmFzaWM6eA=="), ""), Err(429));
    assert!(ask_as(Some("Basic b3RoZXItYmFzaWM6eA=="), "").is_ok());
    assert!(ask_as(Some("Basic %"), "").is_ok());
}

#[test]
fn what_ended_is_deleted() {
    let house = House::new();
    let tokens = house.tokens();
    house.open(FULL);
    house.full_code();
    let clean = || oauth_grant::expire(&house.server.store, house.server.clock.now()).unwrap();
    assert_eq!(clean(), 0);
    house.wait(2 * DAY);
    // Two requests were taken; what is left: one request, two codes, one access token.
    assert_eq!(clean(), 4);
    house.refresh(&refresh_token(&tokens), "").unwrap();
    house.wait(300 * DAY);
    assert!(clean() > 0);
    assert!(house.grants().is_empty());
    assert_eq!(clean(), 0);
}

#[test]
fn an_app_of_the_operator_is_told_at_once() {
    let app = client("app", &[]);
    assert!(!super::authorize::is_told_at_once(&app));
    assert!(super::authorize::is_told_at_once(&Client { kind: ClientKind::Operator, ..app }));
}
