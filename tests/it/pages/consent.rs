//! The question whether an app may connect, as its person sees and answers it.

use chaterimo::store::user::Role;
use serde_json::{Value, json};

use super::{HOSTILE, house};
use crate::accounts::{House, csrf};
use crate::support::post;

/// The path of an authorization request of an app that registered itself with a hostile name.
fn request(house: &House, more: &str) -> String {
    let client = json!({"client_name": HOSTILE, "redirect_uris": ["http://localhost/back"], "token_endpoint_auth_method": "none"});
    let reply = house
        .server
        .ask(post("/register", "Content-Type: application/json\r\n", &client.to_string()).as_bytes());
    let made: Value = serde_json::from_str(&reply.body).unwrap();
    format!(
        "/authorize?client_id={}&redirect_uri=http%3A%2F%2Flocalhost%3A5123%2Fback&response_type=code&state=s\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256{more}",
        made["client_id"].as_str().unwrap()
    )
}

const FULL: &str = "&scope=mcp%3Aread+mcp%3Awrite&resource=https%3A%2F%2Fchat.example.com%2Fmcp%2F";
const READ_ONLY: &str = "&scope=mcp%3Aread&resource=https%3A%2F%2Fchat.example.com%2Fmcp-readonly";

/// Redeems the code that the app was sent back with, as the app that asked by `path`.
fn redeem(house: &House, path: &str, back: &str) {
    let between = |text: &str, from: &str| {
        let rest = text.split_once(from).unwrap_or_else(|| panic!("{from} is not in {text}")).1;
        rest.split('&').next().unwrap().to_owned()
    };
    let body = format!(
        "grant_type=authorization_code&code={}&client_id={}&redirect_uri=http%3A%2F%2Flocalhost%3A5123%2Fback\
         &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        between(back, "code="),
        between(path, "client_id=")
    );
    let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
    let reply = house.server.ask(post("/token", fields, &body).as_bytes());
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// The value of the form's field `request`.
fn opaque(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"request\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

#[test]
fn everything_that_matters_stands_on_the_page() {
    let house = house();
    let check = |email: &str, more: &str, there: &[&str], absent: &[&str]| {
        let page = house.signed_in(email).get(&request(&house, more));
        let policy = page.field("content-security-policy").unwrap();
        assert!(policy.ends_with("form-action 'self' http://localhost:5123"), "{policy}");
        for text in there {
            assert!(page.body.contains(text), "{text} is not in {}", page.body);
        }
        for text in absent.iter().chain(&["<script>alert"]) {
            assert!(!page.body.contains(text), "{text} is in {}", page.body);
        }
    };
    let (write, endpoint) = ("name=\"write\" value=\"1\" checked", "name=\"endpoint\"");
    let always = [
        "&#60;script&#62;alert(1)&#60;/script&#62;",
        "the name the app gives itself",
        "unverified",
        "<strong>localhost:5123</strong>",
        "Only continue if <strong>you</strong> started this",
        "value=\"acme/2\"",
    ];
    check(
        "olivia@example.com",
        FULL,
        &[&always[..], &[write, "Full access", "olivia@example.com"]].concat(),
        &[endpoint],
    );
    check("olivia@example.com", READ_ONLY, &["the address you gave it is read-only"], &[write, endpoint]);
    check("olivia@example.com", "", &[write, endpoint], &[]);
    check("ann@example.com", FULL, &["as an analyst you can allow reading only"], &[write]);
}

#[test]
fn what_is_ticked_is_what_the_app_gets() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let path = request(&house, FULL);
    let mut decide = |more: &[(&str, &str)]| {
        let request = opaque(&olivia.get(&path).body);
        let fields = [&[("request", request.as_str()), ("organisation", "acme")], more].concat();
        let reply = olivia.submit_to(&path, "/authorize/decision", &fields);
        (reply.status, reply.field("location").unwrap_or_default().to_owned())
    };
    assert_eq!(decide(&[("decision", "allow"), ("chatbot", "other/1")]).0, 400);
    assert_eq!(decide(&[("decision", "allow"), ("offered", "acme/2")]).0, 400);
    for word in ["deny", "yes", ""] {
        let (status, location) = decide(&[("decision", word)]);
        assert_eq!(status, 303);
        assert!(location.starts_with("http://localhost:5123/back?error=access_denied"), "{word}: {location}");
    }
    let offered = ("offered", "acme/2");
    let (status, location) = decide(&[("decision", "allow"), offered, ("chatbot", "acme/2")]);
    assert!(status == 303 && location.starts_with("http://localhost:5123/back?code="), "{location}");
    let (_, all) = decide(&[("decision", "allow"), offered, ("chatbot", "acme/1"), ("chatbot", "acme/2")]);
    assert!(olivia.get("/apps").body.contains("No app is connected yet"), "nothing was redeemed");
    redeem(&house, &path, &location);
    let apps = olivia.get("/apps").body;
    assert_eq!(apps.matches("/revoke\"").count(), 1, "{apps}");
    for part in ["Reads only", "<dd>second</dd>", "unverified: it registered itself"] {
        assert!(apps.contains(part), "{part} is not in {apps}");
    }
    redeem(&house, &path, &all);
    assert!(olivia.get("/apps").body.contains("<dd>every chatbot</dd>"), "all ticked is no limit");
}

#[test]
fn a_form_without_a_chatbot_comes_back_and_can_be_mended() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let path = request(&house, FULL);
    let page = olivia.get(&path);
    let request = opaque(&page.body);
    let form =
        [("csrf", csrf(&page)), ("request", &request), ("decision", "allow"), ("organisation", "acme")];
    let mut send = |more: &[(&str, &str)]| olivia.post("/authorize/decision", &[&form[..], more].concat());
    let refused = send(&[("offered", "acme/2")]);
    assert!(refused.status == 400 && refused.body.contains("leave at least one"), "{refused:?}");
    assert_eq!(opaque(&refused.body), request);
    assert_eq!(send(&[("offered", "acme/2"), ("chatbot", "acme/1")]).status, 303);
}

#[test]
fn another_person_can_sign_in_and_go_on() {
    let house = house();
    let mut browser = house.signed_in("olivia@example.com");
    let path = request(&house, FULL);
    let page = browser.get(&path);
    let next = page.body.split_once("name=\"next\" value=\"").unwrap().1.split('"').next().unwrap();
    let next = next.replace("&#38;", "&");
    assert_eq!(next, path);
    let left = browser.post("/logout", &[("csrf", csrf(&page)), ("next", &next)]);
    assert_eq!((left.status, left.field("location")), (303, Some(path.as_str())));
    let login = browser.get(&path);
    assert!(login.field("location").unwrap().starts_with("/login?next=%2Fauthorize"), "{login:?}");
    let mut check = |next: &str, expected: &str| {
        let page = browser.get("/login");
        let left = browser.post("/logout", &[("csrf", csrf(&page)), ("next", next)]);
        assert_eq!(left.field("location"), Some(expected), "{next}");
    };
    check("//evil.example", "/");
    check("https://evil.example/", "/");
}

#[test]
fn who_is_in_two_organisations_chooses() {
    let house = house();
    house.member("other", "olivia@example.com", Role::Analyst);
    let mut olivia = house.signed_in("olivia@example.com");
    let path = request(&house, FULL);
    let page = olivia.get(&path).body;
    for part in [
        "name=\"organisation\" value=\"acme\"",
        "name=\"organisation\" value=\"other\"",
        "as an analyst of other you can allow reading only",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let fields =
        [("decision", "allow"), ("write", "1"), ("organisation", "other"), ("request", &opaque(&page))];
    let back = olivia.submit_to(&path, "/authorize/decision", &fields);
    redeem(&house, &path, back.field("location").unwrap());
    let apps = house.signed_in("oscar@example.com").get("/apps").body;
    assert!(apps.contains("Reads only") && apps.contains("by olivia@example.com"), "{apps}");
}
