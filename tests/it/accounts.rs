//! People at a browser, through the real server: signing in and out, links, members, and who must not get in.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use chaterimo::access::accounts::{invitation_link, reset_link};
use chaterimo::access::{api_key, password};
use chaterimo::app::App;
use chaterimo::clock::{Clock, MINUTE};
use chaterimo::http::Limits;
use chaterimo::store::organisation::{self, Plan};
use chaterimo::store::user::{self, Role};
use chaterimo::store::{Durability, SystemTx};

use crate::support::{HOST, NOW, Reply, Server, call};

const SECRET: &str = "correct horse";

/// A server with the organisations that its people need.
pub struct House {
    pub app: Arc<App>,
    pub server: Server,
    _folder: tempfile::TempDir,
}

impl House {
    pub fn new() -> House {
        House::with(&[])
    }

    /// With these settings.
    pub fn with(settings: &[(&str, &str)]) -> House {
        House::with_limits(Limits::default(), settings)
    }

    /// With these limits and settings.
    pub fn with_limits(limits: Limits, settings: &[(&str, &str)]) -> House {
        let folder = tempfile::tempdir().unwrap();
        let app = open(folder.path());
        let server = Server::of(Arc::clone(&app), limits, settings);
        House { app, server, _folder: folder }
    }

    pub fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&SystemTx<'_>) -> chaterimo::error::Result<T> + Send + 'static,
    ) -> T {
        self.app.store.write(Durability::Disk, job).unwrap()
    }

    /// A member who came in long ago, with the password of all; the person's number.
    pub fn member(&self, slug: &'static str, email: &'static str, role: Role) -> i64 {
        static HASH: OnceLock<String> = OnceLock::new();
        let hash = HASH.get_or_init(|| password::hash(SECRET).unwrap());
        self.write(move |tx| {
            let here = tx.tenant(found_or_made(tx, slug)?.tenant);
            let user = user::add(&here, email, email, role, NOW)?.user;
            user::put_password(tx, user, hash)?;
            user::accept(&here, user, NOW)?;
            Ok(user)
        })
    }

    /// The path of an invitation's link.
    fn invite(&self, slug: &'static str, email: &'static str, role: Role) -> String {
        let keyring = Arc::clone(&self.app.keyring);
        self.write(move |tx| {
            let here = tx.tenant(found_or_made(tx, slug)?.tenant);
            let user = user::add(&here, email, email, role, NOW)?.user;
            invitation_link(&here, &keyring, user, NOW)
        })
    }

    /// A browser in which nobody is signed in.
    pub fn browser(&self) -> Browser<'_> {
        Browser::new(&self.server, None)
    }

    /// A browser in which the person is signed in.
    pub fn signed_in(&self, email: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let reply = browser.submit("/login", &[("email", email), ("password", SECRET)]);
        assert_eq!((reply.status, reply.field("location")), (303, Some("/")), "{reply:?}");
        browser
    }
}

fn open(folder: &Path) -> Arc<App> {
    Arc::new(App::open(folder, Clock::manual(NOW), false, Vec::new()).unwrap())
}

fn found_or_made(tx: &SystemTx<'_>, slug: &str) -> chaterimo::error::Result<organisation::Organisation> {
    match organisation::find(tx, slug)? {
        Some(found) => Ok(found),
        None => organisation::create(tx, slug, slug, Plan::Free, NOW),
    }
}

/// A browser: it keeps its cookie, and fills forms that it has open.
#[derive(Clone)]
pub struct Browser<'s> {
    server: &'s Server,
    pub cookie: Option<String>,
    /// Further fields of each request.
    fields: String,
}

impl<'s> Browser<'s> {
    /// A browser with the cookie that it has from before.
    pub fn new(server: &'s Server, cookie: Option<String>) -> Browser<'s> {
        Browser { server, cookie, fields: String::new() }
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nAccept: text/html\r\n"), "")
    }

    /// Opens the page and sends a form of it.
    pub fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        self.submit_to(path, path, fields)
    }

    /// Opens the page and sends a form of it that leads to `target`.
    pub fn submit_to(&mut self, path: &str, target: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.get(path);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        self.post(target, &filled(&page, fields))
    }

    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let path = path.split('?').next().unwrap();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.send(&format!("POST {path} HTTP/1.1\r\nAccept: text/html\r\n{kind}"), &body)
    }

    fn send(&mut self, head: &str, body: &str) -> Reply {
        let cookie =
            self.cookie.as_ref().map_or(String::new(), |cookie| format!("Cookie: a=b; {cookie}\r\n"));
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let request = format!("{head}{HOST}{cookie}{}{length}\r\n{body}", self.fields);
        let reply = self.server.ask(request.as_bytes());
        if let Some(set) = reply.field("set-cookie") {
            self.cookie = set.split(';').next().filter(|cookie| !cookie.ends_with('=')).map(str::to_owned);
        }
        reply
    }

    fn is_signed_in(&mut self) -> bool {
        self.get("/account").status == 200
    }
}

/// A form of the page with `fields` filled in, to be sent as often as one likes.
pub fn filled<'f>(page: &'f Reply, fields: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let once = page.body.split_once("name=\"once\" value=\"");
    let once = once.and_then(|(_, rest)| Some(("once", rest.split_once('"')?.0)));
    fields.iter().copied().chain([("csrf", csrf(page))]).chain(once).collect()
}

/// What a form of the page carries.
pub fn csrf(page: &Reply) -> &str {
    let (_, rest) = page.body.split_once("name=\"csrf\" value=\"").unwrap();
    rest.split_once('"').unwrap().0
}

#[test]
fn an_invited_person_comes_in_signs_out_and_in_again() {
    let house = House::new();
    let path = house.invite("acme", "anna@example.com", Role::Owner);
    let mut browser = house.browser();
    let page = browser.get(&path);
    assert!(page.body.contains("Join acme") && page.body.contains("anna@example.com"), "{}", page.body);
    let mut check = |password: &str, repeat: &str, status: u16, said: &str| {
        let reply = browser.submit(&path, &[("password", password), ("repeat", repeat)]);
        assert!(reply.status == status && reply.body.contains(said), "{reply:?}");
    };
    check("short", "short", 400, "8 to 1,024 bytes");
    check(SECRET, "another", 400, "The two passwords differ");
    check(SECRET, SECRET, 303, "");
    assert!(browser.is_signed_in());
    assert_eq!(house.browser().get(&path).status, 404, "a link works once");
    let overview = browser.get("/account");
    let left = browser.post("/logout", &[("csrf", csrf(&overview))]);
    assert_eq!((left.status, left.field("location")), (303, Some("/login")));
    let gone = left.field("set-cookie").unwrap();
    assert!(gone.starts_with("__Host-sid=;") && gone.contains("Max-Age=0"), "{gone}");
    assert!(!browser.is_signed_in());
    let page = browser.get("/login?next=/account");
    let again =
        [("csrf", csrf(&page)), ("next", "/account"), ("email", "anna@example.com"), ("password", SECRET)];
    let reply = browser.post("/login", &again);
    assert_eq!((reply.status, reply.field("location")), (303, Some("/account")));
    assert_eq!(browser.get("/login?next=/members").field("location"), Some("/members"), "signed in already");
}

#[test]
fn a_wrong_password_at_an_invitation_signs_nobody_out() {
    let house = House::new();
    house.member("acme", "anna@example.com", Role::Owner);
    let path = house.invite("beta", "anna@example.com", Role::Analyst);
    let mut browser = house.signed_in("anna@example.com");
    assert_eq!(browser.submit(&path, &[("password", "not her secret")]).status, 403);
    assert!(browser.is_signed_in());
    assert_eq!(browser.submit(&path, &[("password", SECRET)]).status, 303);
    assert!(browser.get("/account").body.contains("beta"));
}

#[test]
fn the_cookie_is_the_browsers_alone_and_changes_with_each_sign_in() {
    let house = House::new();
    house.member("acme", "anna@example.com", Role::Owner);
    let mut browser = house.browser();
    browser.get("/login");
    let before = browser.cookie.clone();
    let reply = browser.submit("/login", &[("email", "anna@example.com"), ("password", SECRET)]);
    let set = reply.field("set-cookie").unwrap().to_owned();
    assert!(set.starts_with("__Host-sid=mbs_"), "{set}");
    assert_eq!(set.split_once("; ").unwrap().1, "Path=/; HttpOnly; SameSite=Lax; Secure");
    assert_ne!(browser.cookie, before, "what another planted is not signed in");
    let mut planted = Browser { cookie: before, ..house.browser() };
    assert!(!planted.is_signed_in());
    let mut forged =
        Browser { cookie: browser.cookie.clone().map(|c| c.replace("mbs_", "mbt_")), ..house.browser() };
    assert!(!forged.is_signed_in());
    let old = browser.clone();
    browser.fields.clear();
    let page = browser.get("/login?again=1");
    let again = browser.post("/login", &[("csrf", csrf(&page)), ("again", "1"), ("password", SECRET)]);
    assert_eq!(again.status, 303, "{again:?}");
    assert!(browser.is_signed_in());
    assert!(!old.clone().is_signed_in(), "the session before ended");
}

#[test]
fn a_wrong_guess_says_nothing_and_many_must_wait() {
    let house = House::new();
    house.member("acme", "anna@example.com", Role::Owner);
    house.invite("acme", "invited@example.com", Role::Analyst);
    let guess = |email: &str, password: &str| {
        let mut browser = house.browser();
        let reply = browser.submit("/login", &[("email", email), ("password", password)]);
        let body = reply.body.replace(csrf(&reply), "").replace(email, "");
        (reply.status, reply.field("retry-after").map(str::to_owned), body)
    };
    let wrong = guess("anna@example.com", "not her secret");
    assert_eq!((wrong.0, wrong.1.as_deref()), (403, None));
    assert!(wrong.2.contains("The address or the password is wrong."), "{}", wrong.2);
    for email in ["nobody@example.com", "invited@example.com"] {
        assert_eq!(guess(email, "not a secret"), wrong, "{email}");
        assert_eq!(guess(email, ""), wrong, "{email}");
    }
    for _ in 0..4 {
        guess("anna@example.com", "not her secret");
        guess("nobody@example.com", "not her secret");
    }
    let wait = guess("anna@example.com", SECRET);
    assert_eq!((wait.0, wait.1.as_deref()), (429, Some("30")));
    assert_eq!(guess("nobody@example.com", SECRET), wait);
    house.app.clock.advance(30_000);
    house.signed_in("anna@example.com");
}

#[test]
fn forms_of_others_are_refused() {
    let house = House::new();
    house.member("acme", "anna@example.com", Role::Owner);
    let mut anna = house.signed_in("anna@example.com");
    let own = csrf(&anna.get("/account")).to_owned();
    let mut stranger = house.browser();
    let strange = csrf(&stranger.get("/login")).to_owned();
    let mut check = |csrf: Option<&str>, fields: &str, expected: u16| {
        anna.fields = fields.to_owned();
        let form: Vec<_> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
        assert_eq!(anna.post("/logout", &form).status, expected, "{csrf:?} {fields}");
        anna.fields.clear();
        assert_eq!(anna.is_signed_in(), expected != 303);
    };
    check(None, "", 403);
    check(Some(""), "", 403);
    check(Some(&strange), "", 403);
    check(Some(&format!("{own}A")), "", 403);
    check(Some(&own), "Origin: https://evil.example\r\n", 403);
    check(Some(&own), "Origin: http://chat.example.com.evil.example\r\n", 403);
    check(Some(&own), "Sec-Fetch-Site: cross-site\r\n", 403);
    check(Some(&own), "Sec-Fetch-Site: same-site\r\n", 403);
    check(Some(&own), "Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n", 303);
    // Nor can a stranger be signed in by a form that was not theirs.
    let mut victim = house.browser();
    victim.get("/login");
    let planted = [("csrf", strange.as_str()), ("email", "anna@example.com"), ("password", SECRET)];
    assert_eq!(victim.post("/login", &planted).status, 403);
    assert!(!victim.is_signed_in());
    let mut bare = house.browser();
    assert_eq!(bare.post("/login", &planted).status, 403, "without a cookie nothing holds");
}

#[test]
fn sign_in_leads_nowhere_else() {
    let house = House::new();
    house.member("acme", "anna@example.com", Role::Owner);
    let mut anna = house.signed_in("anna@example.com");
    let page = anna.get("/login?again=1");
    let csrf = csrf(&page).to_owned();
    for next in ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""] {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
        assert_eq!(anna.get(&format!("/login?{query}")).field("location"), Some("/"), "{next}");
        let mut fresh = house.browser();
        let form = [("next", next), ("email", "anna@example.com"), ("password", SECRET)];
        assert_eq!(fresh.submit("/login", &form).field("location"), Some("/"), "{next}");
    }
    let again = [("csrf", csrf.as_str()), ("again", "1"), ("next", "//evil.example"), ("password", SECRET)];
    assert_eq!(anna.post("/login", &again).field("location"), Some("/"));
}

#[test]
fn who_is_removed_or_suspended_is_out_at_once() {
    let house = House::new();
    house.member("acme", "owner@example.com", Role::Owner);
    let ben = house.member("acme", "ben@example.com", Role::Analyst);
    let (mut owner, mut bens) = (house.signed_in("owner@example.com"), house.signed_in("ben@example.com"));
    assert!(bens.is_signed_in());
    let reply = owner.submit("/members", &[("action", "remove"), ("user", &ben.to_string())]);
    assert_eq!((reply.status, reply.field("location")), (303, Some("/members?done=removed")));
    assert!(!bens.is_signed_in());
    assert!(!owner.get("/members").body.contains("ben@example.com"));
    let suspend = |since| {
        house.write(move |tx| organisation::set_suspended(tx, organisation::named(tx, "acme")?.tenant, since))
    };
    suspend(Some(NOW));
    assert!(!owner.is_signed_in());
    let check = |email: &str, password: &str, expected: &str| {
        let reply = house.browser().submit("/login", &[("email", email), ("password", password)]);
        assert!(reply.status == 403 && reply.body.contains(expected), "{reply:?}");
        assert_eq!(reply.body.contains("suspended"), expected.contains("suspended"), "{reply:?}");
    };
    check("owner@example.com", SECRET, "acme is suspended; its operator can resume it.");
    check("owner@example.com", "not the secret", "The address or the password is wrong.");
    suspend(None);
    assert!(owner.is_signed_in());
}

#[test]
fn an_admin_elsewhere_cannot_take_an_account_over() {
    let house = House::new();
    let anna = house.member("acme", "anna@example.com", Role::Owner).to_string();
    house.member("evil", "eve@example.com", Role::Owner);
    let mut eve = house.signed_in("eve@example.com");
    let reset = |eve: &mut Browser<'_>| {
        let reply = eve.submit("/members", &[("action", "reset"), ("user", &anna)]);
        assert!(!reply.body.contains("/reset/min_"), "{}", reply.body);
        reply.status
    };
    assert_eq!(reset(&mut eve), 404, "she is none of theirs");
    let invite = [("action", "invite"), ("email", "anna@example.com"), ("role", "analyst")];
    let made = eve.submit("/members", &invite);
    let url = made.body.split("https://chat.example.com").nth(1).unwrap().split('<').next().unwrap();
    assert_eq!((made.status, made.field("cache-control")), (200, Some("no-store")));
    assert_eq!(reset(&mut eve), 409, "she has not come in");
    let mut other = house.browser();
    let taken = other.submit(url, &[("password", "chosen by eve"), ("repeat", "chosen by eve")]);
    assert!(taken.status == 403 && taken.body.contains("The password is wrong."), "{taken:?}");
    assert!(!other.is_signed_in());
    // She comes in by herself; she is now a member of both, and her password is still hers.
    assert_eq!(other.submit(url, &[("password", SECRET)]).status, 303);
    assert_eq!(reset(&mut eve), 403);
    for action in ["role", "remove"] {
        eve.submit("/members", &[("action", action), ("user", &anna), ("role", "analyst")]);
    }
    let mut annas = house.signed_in("anna@example.com");
    let page = annas.get("/account");
    assert!(page.body.contains("<dd>acme</dd>") && page.body.contains("<dd>owner</dd>"), "{}", page.body);
}

#[test]
fn nobody_reaches_above_their_role() {
    let house = House::new();
    let owner = house.member("acme", "owner@example.com", Role::Owner).to_string();
    let analyst = house.member("acme", "analyst@example.com", Role::Analyst).to_string();
    house.member("acme", "admin@example.com", Role::Admin);
    let mut seen = house.signed_in("analyst@example.com");
    let page = seen.get("/members");
    assert!(
        page.body.contains("owner@example.com") && !page.body.contains("action=\"/members\""),
        "{}",
        page.body
    );
    let csrf = csrf(&page).to_owned();
    let promote = [("csrf", csrf.as_str()), ("action", "role"), ("user", &analyst), ("role", "owner")];
    assert_eq!(seen.post("/members", &promote).status, 403);
    let mut admin = house.signed_in("admin@example.com");
    let mut check = |form: &[(&str, &str)], status: u16| {
        let reply = admin.submit("/members", form);
        assert_eq!(reply.status, status, "{form:?}: {}", reply.body);
    };
    check(&[("action", "role"), ("user", &analyst), ("role", "owner")], 403);
    check(&[("action", "role"), ("user", &owner), ("role", "analyst")], 403);
    check(&[("action", "reset"), ("user", &owner)], 403);
    check(&[("action", "remove"), ("user", &owner)], 403);
    check(&[("action", "invite"), ("email", "new@example.com"), ("role", "owner")], 403);
    check(&[("action", "invite"), ("email", "nobody"), ("role", "admin")], 400);
    check(&[("action", "invite"), ("email", "owner@example.com"), ("role", "admin")], 403);
    check(&[("action", "invite"), ("email", "analyst@example.com"), ("role", "admin")], 409);
    check(&[("action", "invite"), ("email", "new@example.com"), ("role", "king")], 400);
    check(&[("action", "role"), ("user", "999"), ("role", "admin")], 404);
    check(&[("action", "nothing")], 400);
    check(&[("action", "role"), ("user", &analyst), ("role", "admin")], 303);
    let mut last = house.signed_in("owner@example.com");
    let reply = last.submit("/members", &[("action", "role"), ("user", &owner), ("role", "admin")]);
    assert!(reply.status == 409 && reply.body.contains("is the last owner"), "{reply:?}");
}

#[test]
fn links_and_roles_want_the_password_of_the_last_minutes() {
    let house = House::new();
    house.member("acme", "anna@example.com", Role::Owner);
    let mut anna = house.signed_in("anna@example.com");
    house.app.clock.advance(16 * MINUTE);
    let page = anna.get("/members");
    assert!(!page.body.contains("value=\"invite\""), "{}", page.body);
    let invite = [("action", "invite"), ("email", "new@example.com"), ("role", "analyst")];
    let reply = anna.submit("/members", &invite);
    assert_eq!((reply.status, reply.field("location")), (303, Some("/login?next=%2Fmembers&again=1")));
    let page = anna.get("/login?next=%2Fmembers&again=1");
    let csrf = csrf(&page).to_owned();
    let mut confirm = |password: &str| {
        let form = [("csrf", csrf.as_str()), ("again", "1"), ("next", "/members"), ("password", password)];
        anna.post("/login", &form).status
    };
    assert_eq!(confirm("not her secret"), 403);
    assert_eq!(confirm(SECRET), 303);
    assert!(anna.submit("/members", &invite).body.contains("/invitation/min_"));
}

#[test]
fn a_new_password_signs_other_browsers_out() {
    let house = House::new();
    let id = house.member("acme", "anna@example.com", Role::Owner);
    house.member("beta", "anna@example.com", Role::Analyst);
    let (mut laptop, mut phone) = (house.signed_in("anna@example.com"), house.signed_in("anna@example.com"));
    let mut change = |current: &str, new: &str, repeat: &str| {
        let form = [("action", "password"), ("current", current), ("password", new), ("repeat", repeat)];
        laptop.submit("/account", &form)
    };
    let check = |reply: Reply, status: u16, said: &str| {
        assert!(reply.status == status && reply.body.contains(said), "{reply:?}");
    };
    check(change("not hers", "a new secret", "a new secret"), 403, "The current password is wrong.");
    check(change(SECRET, "short", "short"), 400, "8 to 1,024 bytes");
    check(change(SECRET, "a new secret", "another"), 400, "The two passwords differ");
    assert!(phone.is_signed_in());
    check(change(SECRET, "a new secret", "a new secret"), 303, "");
    assert!(laptop.is_signed_in() && !phone.is_signed_in());
    let chosen = laptop.submit("/account", &[("action", "organisation"), ("organisation", "beta")]);
    assert_eq!(chosen.status, 303);
    assert!(laptop.get("/account").body.contains("<dd>beta</dd>"));
    let foreign = laptop.submit("/account", &[("action", "organisation"), ("organisation", "gamma")]);
    assert_eq!(foreign.status, 404);
    // The operator's link does the same for a password that was lost.
    let keyring = Arc::clone(&house.app.keyring);
    let path = house
        .write(move |tx| reset_link(&tx.tenant(organisation::named(tx, "acme")?.tenant), &keyring, id, NOW));
    assert_eq!(phone.submit(&path, &[("password", SECRET), ("repeat", SECRET)]).status, 303);
    assert!(phone.is_signed_in() && !laptop.is_signed_in());
    assert_eq!(house.browser().get(&path).status, 404);
}

/// Hashing passwords takes a processor each; whoever calls tools meanwhile must not wait for all of them.
#[test]
fn many_who_sign_in_do_not_hold_up_calls() {
    const PEOPLE: usize = 50;
    let house = House::with_limits(Limits { connections_per_address: 1_000, ..Limits::default() }, &[]);
    house.member("acme", "anna@example.com", Role::Owner);
    let key = house.write(|tx| {
        let here = organisation::named(tx, "acme")?.tenant;
        organisation::set_plan(tx, here, Plan::Paid, Some(None), Some(None))?;
        api_key::create(&tx.tenant(here), "test", false, NOW)
    });
    let request = call("/mcp/", &format!("Authorization: Bearer {}\r\n", key.1), "list_chatbots", "{}");
    let left = AtomicUsize::new(PEOPLE);
    // Counted in sign-ins rather than in time, which a busy machine stretches.
    let (mut calls, mut most) = (0, 0);
    std::thread::scope(|scope| {
        for person in 0..PEOPLE {
            let (house, left) = (&house, &left);
            scope.spawn(move || {
                let email = format!("person{person}@example.com");
                let guess = [("email", email.as_str()), ("password", "not a secret")];
                let status = {
                    let submit = || house.browser().submit("/login", &guess).status;
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(submit))
                };
                left.fetch_sub(1, Ordering::SeqCst);
                assert_eq!(status.unwrap(), 403);
            });
        }
        while left.load(Ordering::SeqCst) > 0 {
            let before = left.load(Ordering::SeqCst);
            assert_eq!(house.server.ask(request.as_bytes()).status, 200);
            most = most.max(before - left.load(Ordering::SeqCst));
            calls += 1;
        }
    });
    assert!(
        calls > 3 && most < PEOPLE * 3 / 4,
        "{calls} calls during {PEOPLE} sign-ins; {most} ended during one"
    );
}
