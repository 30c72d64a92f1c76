//! Connected apps: seen, narrowed, disconnected.

use chaterimo::access::signed::{self, Purpose};
use chaterimo::clock::DAY;
use chaterimo::store::oauth_grant::{self, NewGrant};
use chaterimo::store::oauth_token::{self, Kind, NewToken};
use chaterimo::store::user;
use serde_json::json;

use super::{HOSTILE, data, house, in_acme, mcp, same};
use crate::accounts::House;
use crate::support::NOW;

/// An app that `email` allowed everything; its access token.
fn connect(house: &House, email: &'static str, name: &'static str) -> String {
    let (token, hash) = signed::generate(&house.app.keyring, Purpose::Access);
    in_acme(house, move |tx| {
        let grant = NewGrant {
            user: user::named(tx, email)?.user,
            client_id: "https://app.example.com/client.json".to_owned(),
            client_name: name.to_owned(),
            client_kind: "document",
            redirect_origin: "https://back.example.com".to_owned(),
            endpoint: "full",
            write: true,
            chatbots: None,
            expires_at: NOW.plus(DAY),
        };
        let grant = oauth_grant::create(tx, &grant, NOW)?;
        let token =
            NewToken { hash, kind: Kind::Access, generation: 0, write: true, expires_at: NOW.plus(DAY) };
        oauth_token::create(tx, grant, &token, NOW)
    });
    token
}

#[test]
fn an_app_is_narrowed_step_by_step_and_never_widened() {
    let house = house();
    let token = connect(&house, "olivia@example.com", "Claude");
    let mut olivia = house.signed_in("olivia@example.com");
    let page = olivia.get("/apps").body;
    for part in ["“Claude”", "published by app.example.com", "https://back.example.com", "Reads and changes"]
    {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let mut narrow = |fields: &[(&str, &str)]| {
        let reply = olivia.submit_to("/apps", "/apps/1/narrow", fields);
        (reply.status, reply.field("location").map(str::to_owned))
    };
    let to = |done: &str| (303, Some(format!("/apps?done={done}")));
    let chatbots = || data(&mcp(&house, &token, "list_chatbots", &json!({})))["total"].clone();
    let train = || mcp(&house, &token, "retrain_chatbot", &json!({"chatbot_id": 1})).status;
    assert_eq!(narrow(&[("chatbot", "1"), ("chatbot", "2")]), to("same"));
    assert_eq!(narrow(&[]), (400, None), "an app without chatbots is of no use");
    let page =
        house.signed_in("olivia@example.com").submit_to("/apps", "/apps/1/narrow", &[("read_only", "1")]);
    let kept = "name=\"read_only\" value=\"1\" checked";
    assert!(page.body.contains("leave at least one ticked") && page.body.contains(kept), "{page:?}");
    assert_eq!((chatbots(), train()), (json!(2), 200));
    assert_eq!(narrow(&[("chatbot", "1"), ("chatbot", "99")]), to("narrowed"));
    assert_eq!((chatbots(), train()), (json!(1), 200));
    assert_eq!(narrow(&[("chatbot", "1"), ("read_only", "1")]), to("narrowed"));
    assert_eq!((chatbots(), train()), (json!(1), 403));
    assert_eq!(narrow(&[("chatbot", "1"), ("chatbot", "2"), ("read_only", "0")]), to("same"));
    assert_eq!(narrow(&[("chatbot", "2")]), (400, None), "not one of those it had");
}

#[test]
fn a_disconnected_app_is_refused_by_its_next_call() {
    let house = house();
    let token = connect(&house, "olivia@example.com", "Claude");
    let mut olivia = house.signed_in("olivia@example.com");
    assert_eq!(mcp(&house, &token, "list_chatbots", &json!({})).status, 200);
    let reply = olivia.submit_to("/apps", "/apps/1/revoke", &[]);
    assert_eq!((reply.status, reply.field("location")), (303, Some("/apps?done=revoked")));
    assert_eq!(mcp(&house, &token, "list_chatbots", &json!({})).status, 401);
    assert!(olivia.get("/apps").body.contains("No app is connected yet"));
    same(
        &olivia.submit_to("/apps", "/apps/1/revoke", &[]),
        &olivia.submit_to("/apps", "/apps/99/revoke", &[]),
    );
}

#[test]
fn analysts_have_their_own_apps_alone() {
    let house = house();
    connect(&house, "olivia@example.com", "her app");
    connect(&house, "ann@example.com", "mine");
    let mut ann = house.signed_in("ann@example.com");
    let page = ann.get("/apps").body;
    assert!(page.contains("“mine”") && !page.contains("her app"), "{page}");
    let mut post = |target: &str| ann.submit_to("/apps", target, &[("chatbot", "1")]);
    for what in ["narrow", "revoke"] {
        same(&post(&format!("/apps/1/{what}")), &post(&format!("/apps/99/{what}")));
    }
    assert_eq!(post("/apps/2/narrow").status, 303);
    assert_eq!(post("/apps/2/revoke").status, 303);
    let left = house.signed_in("olivia@example.com").get("/apps").body;
    assert!(left.contains("“her app”") && !left.contains("“mine”"), "{left}");
}

#[test]
fn the_apps_of_other_organisations_are_not_there() {
    let house = house();
    connect(&house, "olivia@example.com", HOSTILE);
    let mut oscar = house.signed_in("oscar@example.com");
    assert!(oscar.get("/apps").body.contains("No app is connected yet"));
    for what in ["narrow", "revoke"] {
        let mut post = |id: i64| oscar.submit_to("/apps", &format!("/apps/{id}/{what}"), &[("chatbot", "1")]);
        same(&post(1), &post(99));
    }
    let page = house.signed_in("olivia@example.com").get("/apps").body;
    assert!(page.contains("“&#60;script&#62;alert(1)") && !page.contains("<script>alert"), "{page}");
}
