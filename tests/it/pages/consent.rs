//! The question whether an app may connect, as its person sees and answers it.

use chaterimo::store::user::Role;
use serde_json::{Value, json};

use super::{HOSTILE, house};
use crate::accounts::House;
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
    for word in ["deny", "yes", ""] {
        let (status, location) = decide(&[("decision", word)]);
        assert_eq!(status, 303);
        assert!(location.starts_with("http://localhost:5123/back?error=access_denied"), "{word}: {location}");
    }
    let (status, location) = decide(&[("decision", "allow"), ("chatbot", "acme/2")]);
    assert!(status == 303 && location.starts_with("http://localhost:5123/back?code="), "{location}");
    let apps = olivia.get("/apps").body;
    assert_eq!(apps.matches("/revoke\"").count(), 1, "{apps}");
    for part in ["Reads only", "<dd>second</dd>", "unverified: it registered itself"] {
        assert!(apps.contains(part), "{part} is not in {apps}");
    }
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
    assert_eq!(olivia.submit_to(&path, "/authorize/decision", &fields).status, 303);
    let apps = house.signed_in("oscar@example.com").get("/apps").body;
    assert!(apps.contains("Reads only") && apps.contains("by olivia@example.com"), "{apps}");
}
