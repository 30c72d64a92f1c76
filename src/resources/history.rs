//! `chaterimo://chatbots/{id}/history`: every version of a chatbot's settings, newest first: who made it, when, by what
//! means, and each field that it changed, before and after.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{JSON, Kind, json_text};
use crate::clock::Time;
use crate::completion::Source;
use crate::error::{Error, Result as StoreResult};
use crate::store::chatbot::{self, Settings, Version};
use crate::tools::{Cx, Refusal, page};

pub(super) const KIND: Kind = Kind {
    uri: "chaterimo://chatbots/{id}/history",
    name: "chatbot-history",
    title: "History of a chatbot",
    description: "Every change of a chatbot's settings, newest first: who, when, and each field before and after, \
                  instructions in full.",
    mime_type: JSON,
    free: false,
    extension: None,
    meta: None,
    completes: Some(Source::ChatbotIds),
    read,
};

/// Versions fetched at once.
const AT_ONCE: i64 = 20;
/// Characters that a text of a version too long for the document is cut to: the most of these with which it fits.
const CUTS: [usize; 6] = [12_000, 6_000, 3_000, 1_500, 700, 300];

#[derive(Serialize)]
struct Shown {
    chatbot_id: i64,
    name: String,
    /// The version now, and so how many there are.
    version: i64,
    /// Newest first.
    versions: Vec<Value>,
    /// Whether older ones, or parts of a text, were left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    version: i64,
    at: Time,
    by: &'a str,
    /// A tool's name, `import`, `undo`.
    origin: &'a str,
    /// Each field that it changed, with what stood there and what stands there since; of the first version, all.
    changes: Map<String, Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

fn read(cx: &Cx<'_>, id: i64) -> Result<String, Refusal> {
    let Some(name) = chatbot::name(cx.tx, id)? else {
        return Err(Refusal::not_found("chatbot", id, "list_chatbots"));
    };
    let mut shown = Shown { chatbot_id: id, name, version: 0, versions: Vec::new(), truncated: false };
    let mut room = page::items_budget(cx);
    let mut batch = chatbot::versions(cx.tx, id, None, AT_ONCE)?;
    shown.version = batch.first().map_or(0, |newest| newest.version);
    while let Some(oldest) = batch.last() {
        // What the last of a batch changed shows beside the first of the next.
        let next = chatbot::versions(cx.tx, id, Some(oldest.version), AT_ONCE)?;
        for (place, version) in batch.iter().enumerate() {
            let older = batch.get(place + 1).or(next.first());
            if !shown.take(version, older, &mut room)? {
                return json_text(&shown);
            }
        }
        batch = next;
    }
    json_text(&shown)
}

impl Shown {
    /// Takes a version if there is room; the newest is cut inside until it fits.
    fn take(
        &mut self,
        version: &Version,
        older: Option<&Version>,
        room: &mut usize,
    ) -> Result<bool, Refusal> {
        let mut entry = Entry::of(version, older)?;
        let mut text = json_text(&entry)?;
        for most in CUTS.iter().filter(|_| self.versions.is_empty()) {
            if text.chars().count() > *room {
                entry.cut(*most);
                text = json_text(&entry)?;
            }
        }
        let chars = text.chars().count() + 1;
        self.truncated |= entry.truncated || chars > *room;
        if chars > *room {
            return Ok(false);
        }
        *room -= chars;
        self.versions.push(serde_json::to_value(&entry).map_err(Error::internal)?);
        Ok(true)
    }
}

impl<'a> Entry<'a> {
    fn of(version: &'a Version, older: Option<&Version>) -> StoreResult<Entry<'a>> {
        let changes = changes(older.map(|older| &older.settings), &version.settings)?;
        let Version { version, origin, actor, at, .. } = version;
        Ok(Entry { version: *version, at: *at, by: actor, origin, changes, truncated: false })
    }

    /// Cuts every text before and after to `most` characters of JSON.
    fn cut(&mut self, most: usize) {
        for change in self.changes.values_mut().filter_map(Value::as_object_mut) {
            for side in change.values_mut() {
                let Value::String(text) = side else { continue };
                let kept = page::cut(text, most).len();
                self.truncated |= kept < text.len();
                text.truncate(kept);
            }
        }
    }
}

/// Each field that is not as it was; `before` is left out where there was nothing before.
fn changes(before: Option<&Settings>, after: &Settings) -> StoreResult<Map<String, Value>> {
    let was = before.map(serde_json::to_value).transpose().map_err(Error::internal)?;
    let mut changes = Map::new();
    let is = serde_json::to_value(after).map_err(Error::internal)?;
    for (field, after) in is.as_object().into_iter().flatten() {
        match was.as_ref().map(|was| &was[field]) {
            Some(before) if before == after => {}
            Some(before) => drop(changes.insert(field.clone(), json!({"before": before, "after": after}))),
            None => drop(changes.insert(field.clone(), json!({"after": after}))),
        }
    }
    Ok(changes)
}
