//! Chatbots: what their pages show, and undo.

use chaterimo::store::chatbot::{self, By};
use chaterimo::store::training_job;
use serde_json::json;

use super::{HOSTILE, data, house, in_acme, mcp, same};
use crate::accounts::House;
use crate::support::NOW;

/// Changes the main chatbot's instructions, as a tool does.
fn instruct(house: &House, instructions: String) {
    in_acme(house, move |tx| {
        let by = By { origin: "update_chatbot_instructions", actor: "API key 1 (<b>Anna</b>)", now: NOW };
        chatbot::change(tx, 1, None, &by, |settings| {
            settings.instructions = instructions;
            Ok(())
        })
    });
}

fn instructions(house: &House) -> String {
    in_acme(house, |tx| Ok(chatbot::get(tx, 1)?.unwrap().settings.instructions))
}

#[test]
fn what_an_app_changed_is_seen_and_undone() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    let made = olivia.submit("/keys", &[("label", "laptop"), ("reach", "full")]).body;
    let (_, rest) = made.split_once("<code>cha_").unwrap();
    let key = format!("cha_{}", rest.split_once('<').unwrap().0);
    let new = json!({"chatbot_id": 1, "instructions": "Be kind.\nBe rude."});
    assert_eq!(mcp(&house, &key, "update_chatbot_instructions", &new).status, 200);
    let page = olivia.get("/chatbots/1").body;
    for part in [
        "<del>Be brief.</del>",
        "<ins>Be rude.</ins>",
        "Update chatbot instructions",
        "API key 1 (laptop)",
        "Undo this change",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let undone =
        olivia.submit_to("/chatbots/1", "/chatbots/1/undo", &[("version", "1"), ("if_version", "2")]);
    assert_eq!((undone.status, undone.field("location")), (303, Some("/chatbots/1?done=restored")));
    let shown = data(&mcp(&house, &key, "get_chatbot", &json!({"chatbot_id": 1})));
    assert_eq!((&shown["instructions"], &shown["version"]), (&json!("Be kind.\nBe brief."), &json!(3)));
    let page = olivia.get("/chatbots/1?done=restored").body;
    for part in ["Undo on the dashboard", "olivia@example.com", "<ins>Be brief.</ins>"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn an_undo_that_came_too_late_does_nothing() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    instruct(&house, "second".to_owned());
    instruct(&house, "third".to_owned());
    let mut undo = |version: &str, if_version: &str| {
        let fields = [("version", version), ("if_version", if_version)];
        let reply = olivia.submit_to("/chatbots/1", "/chatbots/1/undo", &fields);
        (reply.status, reply.field("location").map(str::to_owned))
    };
    assert_eq!(undo("1", "2"), (409, None), "the page says so and shows what is there now");
    assert_eq!(undo("99", "3"), (404, None));
    assert_eq!(undo("1", ""), (400, None));
    assert_eq!(undo("", "3"), (400, None));
    assert_eq!(instructions(&house), "third");
    assert_eq!(undo("3", "3"), (303, Some("/chatbots/1?done=same".to_owned())));
    assert_eq!(undo("1", "3"), (303, Some("/chatbots/1?done=restored".to_owned())));
    assert_eq!(instructions(&house), "Be kind.\nBe brief.");
}

#[test]
fn a_long_history_has_pages() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    for number in 2..=11 {
        instruct(&house, format!("version {number}"));
    }
    let mut check = |path: &str, versions: std::ops::RangeInclusive<i64>, older: Option<&str>| {
        let page = olivia.get(path).body;
        for version in 1..=11 {
            let there = page.contains(&format!("<h3>Version {version}<"))
                || page.contains(&format!("<h3>Version {version} <"));
            assert_eq!(there, versions.contains(&version), "{path}: version {version} of {page}");
        }
        let link = page.split_once("?before=").map(|(_, rest)| rest.split('#').next().unwrap());
        assert_eq!(link, older);
    };
    check("/chatbots/1", 2..=11, Some("2"));
    check("/chatbots/1?before=2", 1..=1, None);
    check("/chatbots/1?before=x", 2..=11, Some("2"));
}

#[test]
fn training_starts_once() {
    let house = house();
    let mut olivia = house.signed_in("olivia@example.com");
    for _ in 0..2 {
        let reply = olivia.submit_to("/chatbots/1", "/chatbots/1/train", &[]);
        assert_eq!(
            (reply.status, reply.field("location")),
            (303, Some("/chatbots/1?done=training#training"))
        );
    }
    let jobs = in_acme(&house, |tx| training_job::last(tx, 1, 5));
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].requested_by, "olivia@example.com (olivia@example.com)");
    assert!(olivia.get("/chatbots/1").body.contains("A training is under way."));
}

#[test]
fn analysts_look_and_change_nothing() {
    let house = house();
    instruct(&house, "second".to_owned());
    let mut ann = house.signed_in("ann@example.com");
    let page = ann.get("/chatbots/1").body;
    assert!(page.contains("<ins>second</ins>") && !page.contains("action=\"/chatbots"), "{page}");
    let undo = [("version", "1"), ("if_version", "2")];
    assert_eq!(ann.submit_to("/chatbots/1", "/chatbots/1/undo", &undo).status, 403);
    assert_eq!(ann.submit_to("/chatbots/1", "/chatbots/1/train", &[]).status, 403);
    assert_eq!(instructions(&house), "second");
}

#[test]
fn the_chatbots_of_others_are_not_there() {
    let house = house();
    let mut oscar = house.signed_in("oscar@example.com");
    assert!(oscar.get("/chatbots").body.contains("There is no chatbot yet"));
    same(&oscar.get("/chatbots/1"), &oscar.get("/chatbots/99"));
    same(&oscar.get("/chatbots/1"), &oscar.get("/chatbots/x"));
    let undo = [("version", "1"), ("if_version", "1")];
    let mut post = |target: &str| oscar.submit_to("/chatbots", target, &undo);
    same(&post("/chatbots/1/undo"), &post("/chatbots/99/undo"));
    same(&post("/chatbots/1/train"), &post("/chatbots/99/train"));
}

#[test]
fn hostile_settings_are_only_text() {
    let house = house();
    in_acme(&house, |tx| {
        let by = By { origin: "import", actor: HOSTILE, now: NOW };
        chatbot::change(tx, 1, None, &by, |settings| {
            for text in [
                &mut settings.name,
                &mut settings.description,
                &mut settings.instructions,
                &mut settings.welcome_message,
                &mut settings.model,
            ] {
                *text = HOSTILE.to_owned();
            }
            Ok(())
        })
    });
    let mut olivia = house.signed_in("olivia@example.com");
    for path in ["/chatbots", "/chatbots/1"] {
        let page = olivia.get(path).body;
        assert!(!page.contains("<script>alert"), "{page}");
        assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;"), "{page}");
    }
}
