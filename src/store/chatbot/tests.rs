use serde_json::json;

use super::*;
use crate::tools::testing::{NOW, Shop};

const BY: By<'static> = By { origin: "update_chatbot_model", actor: "API key 1", now: Time(NOW.0 + 1) };

fn bot(external_id: &str, is_primary: bool) -> NewChatbot {
    serde_json::from_value(json!({
        "external_id": external_id, "is_primary": is_primary, "settings": {"name": external_id}
    }))
    .unwrap()
}

fn primary(shop: &Shop) -> Vec<i64> {
    shop.seed(|tx| {
        let mut found = Vec::new();
        each(tx, None, 100, |bot| {
            found.extend(bot.is_primary.then_some(bot.id));
            Ok(())
        })?;
        Ok(found)
    })
}

#[test]
fn the_same_again_changes_nothing() {
    let shop = Shop::new();
    let mut new = bot("main", false);
    let check = |new: &NewChatbot, expected: Put| {
        let new = new.clone();
        assert_eq!(shop.seed(move |tx| put(tx, &new, NOW)), expected);
    };
    check(&new, Put::Created(1));
    check(&new, Put::Unchanged(1));
    new.settings.temperature = 0.9;
    check(&new, Put::Updated(1));
    check(&new, Put::Unchanged(1));
    new.platform = Platform::WhatsApp;
    check(&new, Put::Updated(1));
    check(&new, Put::Unchanged(1));
    check(&NewChatbot { external_id: None, ..new.clone() }, Put::Created(2));
    check(&NewChatbot { external_id: None, ..new }, Put::Created(3));
    let versions = shop.seed(|tx| versions(tx, 1, None, 10));
    assert_eq!(versions.iter().map(|v| v.version).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn there_is_one_primary_chatbot() {
    let shop = Shop::new();
    let check = |new: NewChatbot, expected: i64| {
        shop.seed(move |tx| put(tx, &new, NOW));
        assert_eq!(primary(&shop), [expected]);
    };
    check(bot("a", false), 1);
    check(bot("b", false), 1);
    check(bot("c", true), 3);
    check(bot("b", true), 2);
    check(bot("b", false), 2);
}

#[test]
fn a_change_is_a_version_and_no_change_is_none() {
    let shop = Shop::new();
    shop.seed(|tx| put(tx, &bot("main", true), NOW));
    let warmer = |s: &mut Settings| {
        s.temperature = 0.7;
        Ok(())
    };
    let done = shop.seed(move |tx| change(tx, 1, Some(1), &BY, warmer)).unwrap();
    assert_eq!((done.before.temperature, done.after.temperature, done.version), (0.3, 0.7, 2));
    let again = shop.seed(move |tx| change(tx, 1, None, &BY, warmer)).unwrap();
    assert_eq!((again.before == again.after, again.version_before, again.version), (true, 2, 2));
    let now = shop.seed(|tx| get(tx, 1)).unwrap();
    assert_eq!((now.settings, now.version, now.updated_at), (done.after.clone(), 2, BY.now));
    let kept = shop.seed(|tx| versions(tx, 1, None, 10));
    assert_eq!(kept.len(), 2);
    assert_eq!((kept[0].settings.clone(), kept[1].settings.clone()), (done.after, done.before));
    assert_eq!((kept[0].origin.as_str(), kept[0].actor.as_str(), kept[0].at), (BY.origin, BY.actor, BY.now));
    assert_eq!(shop.seed(|tx| versions(tx, 1, Some(2), 10)).len(), 1);
}

#[test]
fn a_stale_change_is_refused_and_says_where_things_stand() {
    let shop = Shop::new();
    shop.seed(|tx| put(tx, &bot("main", true), NOW));
    let error = shop.seed(|tx| Ok(change(tx, 1, Some(7), &BY, |_| Ok(())).unwrap_err()));
    assert_eq!(error.kind, Kind::Conflict);
    assert!(error.public.contains("is at version 1"), "{}", error.public);
    assert_eq!(shop.seed(|tx| change(tx, 2, None, &BY, |_| Ok(()))), None);
}

#[test]
fn an_earlier_version_comes_back_as_a_new_one() {
    let shop = Shop::new();
    shop.seed(|tx| put(tx, &bot("main", true), NOW));
    let rename = |s: &mut Settings| {
        s.name = "Other".into();
        Ok(())
    };
    shop.seed(move |tx| change(tx, 1, None, &BY, rename));
    let back = shop.seed(|tx| restore_version(tx, 1, 1, Some(2), &BY)).unwrap();
    assert_eq!((back.after.name.as_str(), back.version), ("main", 3));
    assert_eq!(shop.seed(|tx| restore_version(tx, 1, 9, None, &BY)), None);
    assert_eq!(shop.seed(|tx| restore_version(tx, 9, 1, None, &BY)), None);
}

#[test]
fn one_organisation_does_not_reach_anothers() {
    let mut shop = Shop::new();
    shop.seed(|tx| put(tx, &bot("main", true), NOW));
    shop.move_in("globex");
    assert_eq!(shop.seed(|tx| get(tx, 1)), None);
    assert_eq!(shop.seed(|tx| id_of(tx, "main")), None);
    assert_eq!(shop.seed(|tx| change(tx, 1, None, &BY, |_| Ok(()))), None);
    assert_eq!(shop.seed(|tx| versions(tx, 1, None, 10)), []);
    assert_eq!(shop.seed(|tx| put(tx, &bot("main", true), NOW)), Put::Created(1));
}

#[test]
fn a_wrong_field_is_named() {
    let shop = Shop::new();
    let check = |new: NewChatbot, expected: &'static str| {
        shop.seed(move |tx| {
            let error = put(tx, &new, NOW).unwrap_err();
            assert!(error.public.starts_with(expected), "{}", error.public);
            Ok(())
        });
    };
    check(bot("", false), "name: came 0 characters");
    let named = |id: String| NewChatbot { external_id: Some(id), ..bot("x", false) };
    check(named(String::new()), "external_id: came 0 characters");
    check(named("x".repeat(201)), "external_id: came 201 characters");
    shop.seed(|tx| {
        assert!(referred(tx, "nowhere").unwrap_err().public.starts_with("chatbot: came \"nowhere\""));
        Ok(())
    });
}
