//! What can be read by address: a row of [`KINDS`] for each kind, a file for each that says what is in it.
//!
//! To add one: write `src/resources/NAME.rs` like its neighbours, with a `KIND`, and add it to the table.

mod chatbot;
mod conversation;
mod history;
mod usage;
mod view;

use serde::Serialize;
use serde_json::{Value, json};

use crate::completion::Source;
use crate::error::Error;
use crate::store::chatbot as store;
use crate::tools::{Cx, Effect, Entry, Json, Refusal, Spec};
use crate::views::VIEWS;

/// The media type of the kinds that are data.
pub const JSON: &str = "application/json";
/// Resources on one page of their list.
pub const PAGE_ITEMS: usize = 100;
/// The variable of the addresses that are templates.
pub const VARIABLE: &str = "id";
/// What stands in an address for the number of a thing.
const ID: &str = "{id}";

/// Every kind, in the order in which clients are told of them.
pub static KINDS: [Kind; 6] = [
    usage::KIND,
    chatbot::KIND,
    history::KIND,
    conversation::KIND,
    view::kind(&VIEWS[0], |_, _| Ok(VIEWS[0].html.to_owned())),
    view::kind(&VIEWS[1], |_, _| Ok(VIEWS[1].html.to_owned())),
];

/// A kind of resources: one thing, or, where its address has `{id}`, one for each number.
pub struct Kind {
    /// Its address; with `{id}` a template (RFC 6570, level 1).
    pub uri: &'static str,
    /// Its name for programs.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What is in it, for the model.
    pub description: &'static str,
    /// The media type of its contents.
    pub mime_type: &'static str,
    /// Whether reading it is no call: it costs no quota and stands in no log.
    pub free: bool,
    /// The extension that a client must declare to see it; `None` is for everyone.
    pub extension: Option<&'static str>,
    /// The `_meta` of its entry and its contents.
    pub meta: Option<fn() -> Value>,
    /// What completes its `{id}`.
    pub completes: Option<Source>,
    /// Its contents, at most 32,000 characters where they are data. The number is that of the address.
    read: fn(&Cx<'_>, i64) -> Result<String, Refusal>,
}

/// An address that a kind answers to.
#[derive(Clone, Copy)]
pub struct Address {
    /// The kind.
    pub kind: &'static Kind,
    /// The number in it; 0 where there is none.
    id: i64,
}

/// A page of the list of resources.
#[derive(Debug)]
pub struct Page {
    /// MCP's `Resource` objects.
    pub items: Vec<Value>,
    /// Where the next page goes on.
    pub next_cursor: Option<String>,
}

/// What the list of resources goes by where tools have their own: cursors are bound to it.
pub static LIST: Spec = spec("resources/list", "List resources");
/// The same of reading one: so the log of calls has it.
pub static READ: Spec = spec("resources/read", "Read a resource");

const fn spec(name: &'static str, title: &'static str) -> Spec {
    Spec { name, title, about: "", effect: Effect::Read, untrusted: &[] }
}

impl Kind {
    /// Whether there is one for each number.
    pub fn is_template(&self) -> bool {
        self.uri.contains(ID)
    }

    /// Whether a client that has the extensions which `declares` knows is told of it.
    pub fn is_shown(&self, declares: impl Fn(&str) -> bool) -> bool {
        self.extension.is_none_or(declares)
    }

    /// The address of the thing of that number.
    pub fn address(&self, id: i64) -> String {
        self.uri.replace(ID, &id.to_string())
    }

    /// The number in `uri`, if that is an address of this kind. Each address has one spelling.
    fn id_in(&self, uri: &str) -> Option<i64> {
        let Some((before, after)) = self.uri.split_once(ID) else { return (self.uri == uri).then_some(0) };
        let digits = uri.strip_prefix(before)?.strip_suffix(after)?;
        digits.parse().ok().filter(|id: &i64| *id > 0 && id.to_string() == digits)
    }

    /// Whether it is `usage`: what moves with every call.
    pub fn is_usage(&self) -> bool {
        self.uri == usage::KIND.uri
    }

    fn entry(&self, uri: &str, name: &str, title: Option<&str>, description: &str) -> Value {
        let mut entry = json!({"uri": uri, "name": name});
        if let Some(title) = title {
            entry["title"] = title.into();
        }
        entry["description"] = description.into();
        entry["mimeType"] = self.mime_type.into();
        if let Some(meta) = self.meta {
            entry["_meta"] = meta();
        }
        entry
    }
}

/// What `uri` is the address of, if it can be one. Whether there is such a thing shows when it is read.
pub fn find(uri: &str) -> Option<Address> {
    KINDS.iter().find_map(|kind| Some(Address { kind, id: kind.id_in(uri)? }))
}

impl Address {
    /// The chatbot that it is of, or whose history.
    pub fn chatbot(&self) -> Option<i64> {
        let kinds = [chatbot::KIND.uri, history::KIND.uri];
        kinds.contains(&self.kind.uri).then_some(self.id)
    }

    /// Whether it is a chatbot's history.
    pub fn is_history(&self) -> bool {
        self.kind.uri == history::KIND.uri
    }

    /// The conversation that it is of.
    pub fn conversation(&self) -> Option<i64> {
        (self.kind.uri == conversation::KIND.uri).then_some(self.id)
    }

    /// Its contents: the text of a JSON document where its kind's media type is [`JSON`].
    ///
    /// # Errors
    /// `not_found` when there is no such thing in the organisation, or none that the credential may see.
    pub fn read(&self, cx: &Cx<'_>) -> Result<String, Refusal> {
        (self.kind.read)(cx, self.id)
    }

    /// The text of the object that answers `resources/read`.
    pub fn contents(&self, text: &str) -> String {
        let mut contents =
            json!({"uri": self.kind.address(self.id), "mimeType": self.kind.mime_type, "text": text});
        if let Some(meta) = self.kind.meta {
            contents["_meta"] = meta();
        }
        json!({"contents": [contents]}).to_string()
    }
}

/// A page of what can be read: the kinds that are one thing, then each chatbot under its name.
///
/// # Errors
/// `invalid_arguments` for a cursor that this list did not give.
pub fn list(cx: &Cx<'_>, cursor: Option<&str>, declares: impl Fn(&str) -> bool) -> Result<Page, Refusal> {
    let after: Option<i64> = cx.position(cursor).map_err(|refusal| match refusal.cause {
        None => Refusal::arguments(
            "cursor: not one that this list gave; ask for resources/list without a cursor to start over.",
        ),
        Some(_) => refusal,
    })?;
    let mut items = Vec::new();
    if after.is_none() {
        let fixed = KINDS.iter().filter(|kind| !kind.is_template() && kind.is_shown(&declares));
        items.extend(fixed.map(|kind| kind.entry(kind.uri, kind.name, Some(kind.title), kind.description)));
    }
    let (room, mut last) = (PAGE_ITEMS - items.len(), None);
    let mut next_cursor = None;
    store::each(cx.tx, after, room as i64 + 1, |bot| {
        if items.len() < PAGE_ITEMS {
            let about =
                format!("Chatbot {}: its instructions, AI model, widget, sources and training.", bot.id);
            items.push(chatbot::KIND.entry(&chatbot::KIND.address(bot.id), bot.name, None, &about));
            last = Some(bot.id);
        } else {
            next_cursor = last;
        }
        Ok(())
    })?;
    let next_cursor = next_cursor.map(|last| cx.cursor(&last)).transpose()?;
    Ok(Page { items, next_cursor })
}

/// What a tool that reads gives for these arguments.
fn tool(cx: &Cx<'_>, name: &str, arguments: &Value) -> Result<String, Refusal> {
    let entry = Entry::named(name).ok_or_else(|| Error::internal(format!("there is no tool {name}")))?;
    Ok(entry.run(&cx.of(entry.spec, arguments))?.into_text())
}

fn json_text(value: &impl Serialize) -> Result<String, Refusal> {
    Ok(Json::of(value)?.into_text())
}

#[cfg(test)]
mod tests;
