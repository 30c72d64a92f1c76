//! The words in which pages speak of calls: how they ended, who made them, what a tool is called.

use crate::app;
use crate::store::call_log::{Class, Credential};

/// How a call ended, for people.
pub(in crate::http) struct Ending {
    /// The class of its tag in the style sheet.
    pub style: &'static str,
    /// In a few words.
    pub label: String,
    /// What to do about it; empty where there is nothing to do.
    pub advice: &'static str,
}

impl Ending {
    /// Of a row's `outcome`.
    pub(in crate::http) fn of(outcome: &str) -> Ending {
        let style = match Class::of(outcome) {
            Class::Ok => "good",
            Class::Refused => "warn",
            Class::Failed => "bad",
        };
        let known = WORDS.iter().find(|(code, ..)| *code == outcome);
        let (label, advice) = match known {
            Some((_, label, advice)) => ((*label).to_owned(), *advice),
            None => (outcome.replace('_', " "), ""),
        };
        Ending { style, label, advice }
    }
}

/// Codes that calls end with, for people.
const WORDS: &[(&str, &str, &str)] = &[
    ("ok", "Answered", ""),
    (
        "quota_exceeded",
        "No quota left",
        "It cost nothing. Calls of a minute come back within a minute, those of a day at midnight UTC; a larger plan allows more.",
    ),
    (
        "read_only",
        "Read-only",
        "This connection may only read. If it should change things, connect it with the full URL, or give it a key that may.",
    ),
    (
        "insufficient_scope",
        "Not allowed to change",
        "The app was allowed to read only. Connect it again and allow changes, if it should make them.",
    ),
    ("forbidden", "Not allowed", "What was asked for is beyond this connection's rights."),
    (
        "invalid_arguments",
        "Wrong arguments",
        "Claude was told which argument was wrong, and mends that itself as a rule. It cost nothing.",
    ),
    (
        "not_found",
        "Not there",
        "Claude asked for something that is not in this organisation, or not open to it.",
    ),
    (
        "conflict",
        "Changed meanwhile",
        "Someone else changed it first. Ask Claude to look again and repeat the change.",
    ),
    ("unavailable", "Not available", "The server was busy or stopping. Ask Claude to try again."),
    (
        "internal",
        "Fault of the server",
        "The operator finds the cause in the server's log under the reference Claude was told.",
    ),
];

/// The codes that a filter offers, with their words: all but success.
pub(in crate::http) fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    WORDS.iter().skip(1).map(|(code, label, _)| (*code, *label))
}

/// What a call is called: the tool's title, or the name where the tool is gone.
pub(in crate::http) fn tool_title(name: &str) -> &str {
    app::call_names().find(|(found, _)| *found == name).map_or(name, |(_, title)| title)
}

/// The name of the tool that made a change; empty when none did.
pub(in crate::http) fn tool_name(origin: &str) -> &str {
    app::tool_names().find(|(found, _)| *found == origin).map_or("", |(name, _)| name)
}

/// A change's origin as people know it: the tool that made it, an import, or an undo.
pub(in crate::http) fn origin(name: &str) -> &str {
    match name {
        "import" => "Import",
        "undo" => "Undo on the dashboard",
        tool => tool_title(tool),
    }
}

/// Kind and person of a credential, under its name: `API key`, `App of anna@example.com`, `API key, revoked`.
pub(in crate::http) fn kind(credential: &Credential) -> String {
    let mut text = credential.kind.to_owned();
    if let Some(person) = &credential.person {
        text.push_str(" of ");
        text.push_str(person);
    }
    if credential.revoked {
        text.push_str(", revoked");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_words() {
        let check = |outcome: &str, style: &str, label: &str, advises: bool| {
            let ending = Ending::of(outcome);
            assert_eq!((ending.style, ending.label.as_str()), (style, label));
            assert_eq!(!ending.advice.is_empty(), advises, "{outcome}");
        };
        check("ok", "good", "Answered", false);
        check("quota_exceeded", "warn", "No quota left", true);
        check("not_found", "bad", "Not there", true);
        check("some_new_code", "bad", "some new code", false);
    }

    #[test]
    fn tools_and_credentials_in_words() {
        assert_eq!(tool_title("list_chatbots"), "List chatbots");
        assert_eq!(origin("undo"), "Undo on the dashboard");
        assert_eq!(tool_title("gone"), "gone");
        assert_eq!(tool_title("resources/read"), "Read a resource");
        assert_eq!((tool_name("list_chatbots"), tool_name("undo")), ("list_chatbots", ""));
        let mut credential = Credential {
            id: "grant:7".into(),
            kind: "App",
            name: "Claude".into(),
            person: Some("anna@example.com".into()),
            revoked: false,
        };
        assert_eq!(kind(&credential), "App of anna@example.com");
        credential.person = None;
        credential.revoked = true;
        assert_eq!(kind(&credential), "App, revoked");
    }
}
