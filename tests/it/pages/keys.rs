//! API keys: made on the page, used, revoked.

use chaterimo::clock::MINUTE;
use serde_json::json;

use super::{HOSTILE, house, mcp, same};
use crate::accounts::filled;
use crate::support::Reply;

/// The key that a page shows.
fn shown(page: &Reply) -> String {
    let (_, rest) = page.body.split_once("<code>cha_").unwrap_or_else(|| panic!("{page:?}"));
    format!("cha_{}", rest.split_once('<').unwrap().0)
}

#[test]
fn a_key_is_shown_once_works_and_ends() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let made = olivia.submit("/keys", &[("label", "Anna's laptop"), ("reach", "full")]);
    assert_eq!((made.status, made.field("cache-control")), (200, Some("no-store")));
    let key = shown(&made);
    let line = format!("https://chat.example.com/mcp/ --header \"Authorization: Bearer {key}\"");
    assert!(made.body.contains(&line), "{}", made.body);
    let ask = || mcp(&house, &key, "list_chatbots", &json!({})).status;
    assert_eq!(ask(), 200);
    let list = olivia.get("/keys");
    assert!(list.body.contains("Anna&#39;s laptop") && list.body.contains(&key[..8]), "{}", list.body);
    assert!(!list.body.contains(&key));
    let revoked = olivia.submit_to("/keys", "/keys/1/revoke", &[]);
    assert_eq!((revoked.status, revoked.field("location")), (303, Some("/keys?done=revoked")));
    assert_eq!(ask(), 401);
    assert!(olivia.get("/keys?done=revoked").body.contains("The key is revoked"));
    same(
        &olivia.submit_to("/keys", "/keys/1/revoke", &[]),
        &olivia.submit_to("/keys", "/keys/99/revoke", &[]),
    );
}

#[test]
fn a_form_sent_twice_makes_one_key() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let page = olivia.get("/keys");
    let form = filled(&page, &[("label", "x")]);
    let mut send = || olivia.post("/keys", &form);
    assert_eq!(send().status, 200);
    let again = send();
    assert!(again.status == 409 && again.body.contains("This form was sent already"), "{again:?}");
    assert_eq!(again.body.matches("/revoke\"").count(), 1, "{}", again.body);
}

#[test]
fn a_form_sent_twice_leaves_the_link_that_was_copied() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let invite = [("action", "invite"), ("email", "new@example.com"), ("role", "analyst")];
    let reset = [("action", "reset"), ("user", "2")];
    for (fields, path) in [(&invite[..], "/invitation/"), (&reset, "/reset/")] {
        let page = olivia.get("/members");
        let form = filled(&page, fields);
        let made = olivia.post("/members", &form);
        let (_, rest) = made.body.split_once(path).unwrap_or_else(|| panic!("{made:?}"));
        let link = format!("{path}{}", rest.split('<').next().unwrap());
        let again = olivia.post("/members", &form);
        assert!(again.status == 409 && again.body.contains("This form was sent already"), "{again:?}");
        assert_eq!(house.browser().get(&link).status, 200, "{link}");
    }
}

#[test]
fn only_the_word_itself_makes_a_key_that_changes_things() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let mut check = |reach: &str, expected: bool| {
        let key = shown(&olivia.submit("/keys", &[("label", "x"), ("reach", reach)]));
        let changed = mcp(&house, &key, "retrain_chatbot", &json!({"chatbot_id": 1}));
        assert_eq!(!changed.body.contains("\"isError\":true"), expected, "{reach}: {}", changed.body);
    };
    check("full", true);
    check("readonly", false);
    check("", false);
    check("Full", false);
}

#[test]
fn a_form_that_is_wrong_says_so_and_keeps_what_was_typed() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let mut check = |label: &str, expected: &str| {
        let reply = olivia.submit("/keys", &[("label", label), ("reach", "full")]);
        assert!(reply.status == 400 && reply.body.contains(expected), "{reply:?}");
    };
    check("  ", "1 to 100 characters");
    check(&"é".repeat(101), &format!("value=\"{}\"", "é".repeat(101)));
    let made = olivia.submit("/keys", &[("label", HOSTILE)]);
    for page in [made, olivia.get("/keys")] {
        assert!(page.status == 200 && !page.body.contains("<script>alert"), "{}", page.body);
        assert!(page.body.contains("&#60;script&#62;alert(1)"), "{}", page.body);
    }
}

#[test]
fn a_key_wants_the_password_of_a_moment_ago() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    house.app.clock.advance(15 * MINUTE + 1);
    assert!(olivia.get("/keys").body.contains("Type your password again"));
    let reply = olivia.submit("/keys", &[("label", "x")]);
    assert_eq!((reply.status, reply.field("location")), (303, Some("/login?next=%2Fkeys&again=1")));
    assert!(olivia.get("/keys").body.contains("There is no key yet"));
}

#[test]
fn analysts_see_keys_and_leave_them_alone() {
    let house = house();
    house.signed_in("olivia@example.com").submit("/keys", &[("label", "her key")]);
    let mut ann = house.signed_in("ann@example.com");
    let list = ann.get("/keys");
    assert!(list.body.contains("her key") && !list.body.contains("action=\"/keys"), "{}", list.body);
    assert_eq!(ann.submit("/keys", &[("label", "mine")]).status, 403);
    assert_eq!(ann.submit_to("/keys", "/keys/1/revoke", &[]).status, 403);
    assert!(!ann.get("/keys").body.contains("Revoked"));
}

#[test]
fn the_keys_of_others_are_not_there() {
    let house = house();
    house.signed_in("olivia@example.com").submit("/keys", &[("label", "her key")]);
    let mut oscar = house.signed_in("oscar@example.com");
    assert!(!oscar.get("/keys").body.contains("her key"));
    same(&oscar.submit_to("/keys", "/keys/1/revoke", &[]), &oscar.submit_to("/keys", "/keys/99/revoke", &[]));
}

#[test]
fn what_to_paste_names_this_server() {
    let house = house();
    let page = |email: &str| house.signed_in(email).get("/connect").body;
    let check = |page: &str, text: &str, expected: bool| {
        assert_eq!(page.contains(text), expected, "{text} in {page}");
    };
    let (olivia, ann) = (page("olivia@example.com"), page("ann@example.com"));
    check(&olivia, "claude mcp add --transport http chaterimo https://chat.example.com/mcp/<", true);
    check(&olivia, "claude mcp login chaterimo", true);
    check(&olivia, "chaterimo stdio --url https://chat.example.com/mcp/<", true);
    check(&olivia, "You are an analyst", false);
    check(&ann, "claude mcp add --transport http chaterimo https://chat.example.com/mcp-readonly/<", true);
    check(&ann, "You are an analyst", true);
    check(&olivia, "Ask an owner or an admin", false);
    check(&ann, "Ask an owner or an admin", true);
    for (email, path) in [("olivia@example.com", "mcp"), ("ann@example.com", "mcp-readonly")] {
        let apps = house.signed_in(email).get("/apps").body;
        check(&apps, &format!("<code>https://chat.example.com/{path}/</code>"), true);
    }
}
