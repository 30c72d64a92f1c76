//! One thing or several of those that have messages, whole: which were asked for, and as much of each thread as fits.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Cx, Json, Refusal, page, schema};
use crate::clock::Time;
use crate::error::Result as StoreResult;

/// Things that one call can ask for.
const IDS_MAX: usize = 10;
/// Messages of one call at most, and when no number is given.
const MESSAGES_MAX: usize = 100;

/// How much is asked for of a thread; flattened into a tool's own arguments.
#[derive(Debug, Default, Deserialize)]
pub struct Paging {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// The input schema of a tool that gets a `kind`, such as `ticket`, or several; `limit` is of messages of each.
pub fn input(kind: &str) -> Value {
    let mut properties = json!({});
    properties[format!("{kind}_id")] = json!({"type": "integer"});
    properties[format!("{kind}_ids")] =
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": IDS_MAX});
    properties["limit"] = json!({"type": "integer", "minimum": 1, "maximum": MESSAGES_MAX});
    properties["cursor"] = json!({"type": "string"});
    schema::input(properties, &[])
}

/// The output schema of such a tool; `head` are the members of a thing beside its messages. What these hold, and
/// what may be null, is not spelt out, for the whole list of tools has little room.
pub fn output(plural: &str, mut head: Value) -> Value {
    head["messages"] = json!({"type": "array"});
    head["truncated"] = json!({"type": "boolean"});
    json!({
        "type": "object",
        "properties": {
            plural: {"type": "array", "items": schema::object(head)},
            "next_cursor": {"type": ["string", "null"]},
            "not_found": {"type": "array"}
        },
        "required": [plural, "next_cursor"]
    })
}

/// One message as it is shown.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Who speaks.
    pub role: &'static str,
    /// Their name, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What they say.
    pub text: String,
    /// When.
    pub sent_at: Time,
    /// Whether the text is only the beginning.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// A thing with as much of its thread as fits.
#[derive(Debug, Serialize)]
struct Shown<H> {
    #[serde(flatten)]
    head: H,
    messages: Vec<Line>,
    /// Whether there are messages after these.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// The messages of one thing that have found room so far.
pub struct Thread {
    lines: Vec<Line>,
    limit: usize,
    chars: usize,
    last: i64,
    more: bool,
}

impl Thread {
    /// Takes a message if there is room; whether to go on. The first always has room, if need be for its beginning.
    pub fn push(&mut self, position: i64, mut line: Line) -> bool {
        let wanted = json_chars(&line) + 1;
        if self.lines.len() == self.limit || (wanted > self.chars && !self.lines.is_empty()) {
            self.more = true;
            return false;
        }
        if wanted > self.chars {
            let around = wanted - json_chars(&line.text) + r#""",truncated:true"#.len();
            let room = self.chars.saturating_sub(around);
            line.text.truncate(page::cut(&line.text, room).len());
            line.truncated = true;
        }
        self.chars = self.chars.saturating_sub(wanted);
        self.last = position;
        self.lines.push(line);
        true
    }
}

/// What a tool knows of its kind of things.
pub struct Kind<H> {
    /// Its name, such as `ticket`; the arguments and the result are named after it.
    pub name: &'static str,
    /// The tool that lists them.
    pub listed_by: &'static str,
    /// What stands above the thread of the thing of a number, if there is one; in `chars` characters of JSON or so.
    pub head: fn(&Cx<'_>, i64, usize) -> Result<Option<H>, Refusal>,
    /// Pushes the messages after a position into the thread.
    pub fill: fn(&Cx<'_>, i64, i64, &mut Thread) -> StoreResult<()>,
}

impl<H: Serialize> Kind<H> {
    /// The one, or those, that were asked for.
    ///
    /// # Errors
    /// `invalid_arguments` unless exactly one of the two is there; `not_found` when the one is not.
    pub fn get(
        &self,
        cx: &Cx<'_>,
        one: Option<i64>,
        several: Option<Vec<i64>>,
        paging: &Paging,
    ) -> Result<Json, Refusal> {
        match (one, several) {
            (Some(id), None) => self.one(cx, id, paging),
            (None, Some(ids)) => self.several(cx, ids, paging),
            (one, _) => {
                let came = if one.is_some() { "both" } else { "neither" };
                let name = self.name;
                Err(Refusal::arguments(format!(
                    "{name}_id, {name}_ids: came {came}; wanted exactly one of the two."
                )))
            }
        }
    }

    fn one(&self, cx: &Cx<'_>, id: i64, paging: &Paging) -> Result<Json, Refusal> {
        // The filters that a cursor is bound to have the id in them.
        let after: i64 = cx.position(paging.cursor.as_deref())?.unwrap_or_default();
        let found = self.shown(cx, id, after, paging, page::items_budget(cx))?;
        let (shown, last) = found.ok_or_else(|| Refusal::not_found(self.name, id, self.listed_by))?;
        let cursor = shown.truncated.then(|| cx.cursor(&last)).transpose()?;
        self.answer(cx, &[shown], cursor, &[])
    }

    fn several(&self, cx: &Cx<'_>, mut ids: Vec<i64>, paging: &Paging) -> Result<Json, Refusal> {
        if paging.cursor.is_some() {
            let name = self.name;
            return Err(Refusal::arguments(format!(
                "cursor: came with {name}_ids; wanted it with the {name}_id whose thread is to go on."
            )));
        }
        let mut seen = std::collections::BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        let (mut found, mut not_found) = (Vec::new(), Vec::new());
        let mut room = page::items_budget(cx);
        for (place, id) in ids.iter().enumerate() {
            let share = room / (ids.len() - place);
            match self.shown(cx, *id, 0, paging, share)? {
                Some((shown, _)) => {
                    room = room.saturating_sub(json_chars(&shown));
                    found.push(shown);
                }
                None => not_found.push(*id),
            }
        }
        self.answer(cx, &found, None, &not_found)
    }

    /// A thing in `chars` characters of JSON or so, and the position of the last message shown.
    fn shown(
        &self,
        cx: &Cx<'_>,
        id: i64,
        after: i64,
        paging: &Paging,
        chars: usize,
    ) -> Result<Option<(Shown<H>, i64)>, Refusal> {
        let Some(head) = (self.head)(cx, id, chars)? else { return Ok(None) };
        let limit = paging.limit.unwrap_or(MESSAGES_MAX).clamp(1, MESSAGES_MAX);
        let room = chars.saturating_sub(json_chars(&head) + AROUND_CHARS);
        let mut thread = Thread { lines: Vec::new(), limit, chars: room, last: after, more: false };
        (self.fill)(cx, id, after, &mut thread)?;
        Ok(Some((Shown { head, messages: thread.lines, truncated: thread.more }, thread.last)))
    }

    fn answer(
        &self,
        cx: &Cx<'_>,
        found: &[Shown<H>],
        cursor: Option<String>,
        not_found: &[i64],
    ) -> Result<Json, Refusal> {
        let mut answer = serde_json::Map::new();
        let things = serde_json::to_value(found).map_err(crate::error::Error::internal)?;
        answer.insert(format!("{}s", self.name), things);
        answer.insert("next_cursor".to_owned(), json!(cursor));
        if !not_found.is_empty() {
            answer.insert("not_found".to_owned(), json!(not_found));
        }
        if found.is_empty() { Json::of(&answer) } else { Json::untrusted(cx, &answer) }
    }
}

/// Characters of a thing's own braces, names and mark.
const AROUND_CHARS: usize = 60;

/// Characters of `value` in JSON.
fn json_chars(value: &impl Serialize) -> usize {
    serde_json::to_string(value).map_or(0, |text| text.chars().count())
}
