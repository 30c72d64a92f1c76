//! Putting a conversation in with its messages, and putting it in again with more of them.

use rusqlite::Row;
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::store::chatbot::{self, Platform};
use crate::store::choice::choice;
use crate::store::{Put, TenantTx, limits, transcript};

/// Characters of one message at most.
pub const TEXT_CHARS_MAX: usize = 100_000;
/// Messages of one conversation at most.
pub const MESSAGES_MAX: usize = 20_000;
/// Characters of the visitor's first words that are kept apart.
const FIRST_QUESTION_CHARS: usize = 200;
/// Characters of an external id at most.
const EXTERNAL_ID_CHARS_MAX: usize = 255;
/// Characters of each thing that is known of the visitor.
const VISITOR_CHARS_MAX: usize = 2_000;

/// A conversation from outside. In JSON:
/// `{"external_id": "c-1", "chatbot": "main", "platform": "web", "started_at": "2026-11-22T08:00:00Z",
/// "visitor": {"name": "Anna", "email": "anna@example.com", "country": "DE"}, "handed_over_at": "…",
/// "messages": [{"role": "visitor", "text": "Where is my order?", "sent_at": "2026-11-22T08:00:00Z"}]}`.
/// Only `external_id` and `chatbot` must be there. What is left out of a conversation that is here already stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewConversation {
    /// What the place it comes from calls it; 1 to 255 characters.
    pub external_id: String,
    /// The external id of the chatbot that held it.
    pub chatbot: String,
    /// Where; the chatbot's own platform when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// When it began; the first message's time when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// What is known of the visitor.
    #[serde(default)]
    pub visitor: Visitor,
    /// When a person took over; the first message of an agent when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over_at: Option<Time>,
    /// The messages, oldest first: all of them, or those that are new.
    #[serde(default)]
    pub messages: Vec<NewMessage>,
}

/// A message from outside. One with an external id that is here is replaced when it differs; one without is known
/// again by role, time and text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMessage {
    /// Its id where it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// What is said, at most 100,000 characters.
    pub text: String,
    /// When.
    pub sent_at: Time,
}

choice! {
    /// Who speaks.
    Role {
        /// Whoever visits the shop.
        Visitor = "visitor",
        /// The chatbot.
        Assistant = "assistant",
        /// A person of the shop.
        Agent = "agent",
        /// The platform itself.
        System = "system",
    }
}

/// What is known of a visitor: all of it written by outsiders.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Visitor {
    /// The name they gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The e-mail address they gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The phone number they gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The country they came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The language of their browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The page they were on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// What their browser calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// Puts a conversation in, or more of one that is here under the same external id. Messages are only ever added or
/// replaced; first question, counts and times follow from all of them.
///
/// # Errors
/// `Invalid`, naming the field, for a chatbot that is not here, a text or a conversation beyond its limit.
pub fn put(tx: &TenantTx<'_>, new: &NewConversation, now: Time) -> Result<Put> {
    let external_id = check(new)?;
    let chatbot = chatbot::referred(tx, &new.chatbot)?;
    match find(tx, &external_id)? {
        Some(known) => update(tx, &known, new, chatbot, now),
        None => create(tx, &external_id, new, chatbot, now),
    }
}

/// The external id, when all is within its limits.
fn check(new: &NewConversation) -> Result<String> {
    few_enough(new.messages.len())?;
    for (place, message) in new.messages.iter().enumerate() {
        limits::optional("messages.external_id", message.external_id.as_deref(), EXTERNAL_ID_CHARS_MAX)?;
        if message.text.len() > TEXT_CHARS_MAX {
            limits::text(&format!("messages.{place}.text"), &message.text, 0, TEXT_CHARS_MAX)?;
        }
    }
    for (field, value) in new.visitor.fields() {
        limits::optional(&format!("visitor.{field}"), value.as_deref(), VISITOR_CHARS_MAX)?;
    }
    limits::text("external_id", &new.external_id, 1, EXTERNAL_ID_CHARS_MAX)
}

fn few_enough(messages: usize) -> Result<()> {
    if messages > MESSAGES_MAX {
        return Err(Error::invalid(format!(
            "messages: the conversation would have {messages}; at most {MESSAGES_MAX} are kept."
        )));
    }
    Ok(())
}

fn create(
    tx: &TenantTx<'_>,
    external_id: &str,
    new: &NewConversation,
    chatbot: i64,
    now: Time,
) -> Result<Put> {
    let platform = match new.platform {
        Some(platform) => platform,
        None => platform_of(tx, chatbot)?,
    };
    let Merged { messages, .. } = merge(Vec::new(), &new.messages);
    let facts = Facts::blank(platform).with(new, chatbot, &messages, now);
    let id = tx.next_id("conversation")?;
    write(tx, INSERT, id, external_id, &facts)?;
    for (place, message) in messages.iter().enumerate() {
        write_message(tx, id, place, message)?;
    }
    let row = tx.number("SELECT row FROM conversation WHERE organisation = ?1 AND id = ?2", &[&id])?;
    transcript::index(tx, row, false, messages.iter().map(|message| message.text.as_str()))?;
    Ok(Put::Created(id))
}

fn update(tx: &TenantTx<'_>, known: &Known, new: &NewConversation, chatbot: i64, now: Time) -> Result<Put> {
    let Merged { messages, written } = merge(known_messages(tx, known.id)?, &new.messages);
    few_enough(messages.len())?;
    let facts = known.facts.with(new, chatbot, &messages, now);
    if written.is_empty() && facts == known.facts {
        return Ok(Put::Unchanged(known.id));
    }
    write(tx, UPDATE, known.id, new.external_id.trim(), &facts)?;
    for &place in &written {
        write_message(tx, known.id, place, &messages[place])?;
    }
    if !written.is_empty() {
        transcript::index(tx, known.row, true, messages.iter().map(|message| message.text.as_str()))?;
    }
    Ok(Put::Updated(known.id))
}

fn platform_of(tx: &TenantTx<'_>, chatbot: i64) -> Result<Platform> {
    let sql = "SELECT platform FROM chatbot WHERE organisation = ?1 AND id = ?2";
    Ok(tx.first(sql, &[&chatbot], |row| Ok(row.get(0)?))?.unwrap_or(Platform::Web))
}

/// A conversation that is here.
struct Known {
    id: i64,
    /// The hidden key, which the full-text index knows it by.
    row: i64,
    facts: Facts,
}

/// Everything of a conversation's row that a put can change.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    chatbot: i64,
    platform: Platform,
    started_at: i64,
    last_message_at: i64,
    message_count: i64,
    first_question: String,
    first_response_ms: Option<i64>,
    handed_over_at: Option<i64>,
    visitor: Visitor,
}

impl Facts {
    fn blank(platform: Platform) -> Facts {
        Facts {
            chatbot: 0,
            platform,
            started_at: i64::MIN,
            last_message_at: 0,
            message_count: 0,
            first_question: String::new(),
            first_response_ms: None,
            handed_over_at: None,
            visitor: Visitor::default(),
        }
    }

    /// These facts with what `new` says, and with what follows from all the messages.
    fn with(&self, new: &NewConversation, chatbot: i64, messages: &[NewMessage], now: Time) -> Facts {
        let known_start = (self.started_at != i64::MIN).then_some(self.started_at);
        let first_sent = messages.iter().map(|message| message.sent_at.0).min();
        let started_at = new.started_at.map(|time| time.0).or(known_start).or(first_sent).unwrap_or(now.0);
        let asked = messages.iter().position(|message| message.role == Role::Visitor);
        let from_asked = asked.map(|place| &messages[place..]).unwrap_or_default();
        let agent = messages.iter().find(|message| message.role == Role::Agent);
        Facts {
            chatbot,
            platform: new.platform.unwrap_or(self.platform),
            started_at,
            last_message_at: messages.iter().map(|message| message.sent_at.0).max().unwrap_or(started_at),
            message_count: messages.len() as i64,
            first_question: from_asked.first().map(|message| first_words(&message.text)).unwrap_or_default(),
            first_response_ms: first_response_ms(from_asked),
            handed_over_at: new
                .handed_over_at
                .map(|time| time.0)
                .or(self.handed_over_at)
                .or(agent.map(|message| message.sent_at.0)),
            visitor: self.visitor.with(&new.visitor),
        }
    }
}

/// The beginning of `text`. No word is cut, where that can be helped: half an e-mail address is not known for one when
/// it is shown.
fn first_words(text: &str) -> String {
    let text = text.trim();
    let Some((end, _)) = text.char_indices().nth(FIRST_QUESTION_CHARS) else { return text.to_owned() };
    let cut = &text[..end];
    let whole = match text[end..].starts_with(char::is_whitespace) {
        true => Some(cut),
        false => cut.rsplit_once(char::is_whitespace).map(|(whole, _)| whole.trim_end()),
    };
    whole.filter(|whole| whole.len() > cut.len() / 2).unwrap_or(cut).to_owned()
}

/// From the first of `messages`, the visitor's first, to the first answer.
fn first_response_ms(messages: &[NewMessage]) -> Option<i64> {
    let asked = messages.first()?;
    let answer = messages.iter().find(|message| matches!(message.role, Role::Assistant | Role::Agent))?;
    Some(answer.sent_at.0.saturating_sub(asked.sent_at.0).max(0))
}

impl Visitor {
    fn fields(&self) -> [(&'static str, &Option<String>); 7] {
        [
            ("name", &self.name),
            ("email", &self.email),
            ("phone", &self.phone),
            ("country", &self.country),
            ("language", &self.language),
            ("page", &self.page),
            ("agent", &self.agent),
        ]
    }

    /// The same with each thing that is known as `map` makes it.
    pub fn map(self, map: impl Fn(&str) -> String) -> Visitor {
        let each = |known: Option<String>| known.map(|text| map(&text));
        Visitor {
            name: each(self.name),
            email: each(self.email),
            phone: each(self.phone),
            country: each(self.country),
            language: each(self.language),
            page: each(self.page),
            agent: each(self.agent),
        }
    }

    fn with(&self, new: &Visitor) -> Visitor {
        let pick = |new: &Option<String>, known: &Option<String>| new.clone().or_else(|| known.clone());
        Visitor {
            name: pick(&new.name, &self.name),
            email: pick(&new.email, &self.email),
            phone: pick(&new.phone, &self.phone),
            country: pick(&new.country, &self.country),
            language: pick(&new.language, &self.language),
            page: pick(&new.page, &self.page),
            agent: pick(&new.agent, &self.agent),
        }
    }
}

struct Merged {
    messages: Vec<NewMessage>,
    /// Places of those that are new or different.
    written: Vec<usize>,
}

/// The known messages with those of `new` that they lack.
fn merge(known: Vec<NewMessage>, new: &[NewMessage]) -> Merged {
    use std::collections::HashMap;
    let mut by_id: HashMap<String, usize> = HashMap::new();
    // A visitor may say the same thing twice at the same moment: as many as came before are known.
    let mut unnamed: HashMap<(Role, Time, String), usize> = HashMap::new();
    for (place, message) in known.iter().enumerate() {
        match &message.external_id {
            Some(id) => drop(by_id.insert(id.clone(), place)),
            None => *unnamed.entry(key(message)).or_default() += 1,
        }
    }
    let mut merged = Merged { messages: known, written: Vec::new() };
    for message in new {
        match &message.external_id {
            None => match unnamed.get_mut(&key(message)).filter(|left| **left > 0) {
                Some(left) => *left -= 1,
                None => merged.append(message),
            },
            Some(id) => match by_id.get(id) {
                Some(&place) => merged.replace(place, message),
                None => {
                    by_id.insert(id.clone(), merged.messages.len());
                    merged.append(message);
                }
            },
        }
    }
    merged
}

fn key(message: &NewMessage) -> (Role, Time, String) {
    (message.role, message.sent_at, message.text.clone())
}

impl Merged {
    fn append(&mut self, message: &NewMessage) {
        self.written.push(self.messages.len());
        self.messages.push(message.clone());
    }

    fn replace(&mut self, place: usize, message: &NewMessage) {
        if self.messages[place] != *message {
            self.messages[place] = message.clone();
            self.written.push(place);
        }
    }
}

const INSERT: &str = "INSERT INTO conversation (organisation, id, external_id, chatbot, platform, started_at, \
     last_message_at, message_count, first_question, first_response_ms, handed_over_at, visitor_name, visitor_email, \
     visitor_phone, visitor_country, visitor_language, visitor_page, visitor_agent) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
const UPDATE: &str = "UPDATE conversation SET external_id = ?3, chatbot = ?4, platform = ?5, \
     started_at = ?6, last_message_at = ?7, message_count = ?8, first_question = ?9, first_response_ms = ?10, \
     handed_over_at = ?11, visitor_name = ?12, visitor_email = ?13, visitor_phone = ?14, visitor_country = ?15, \
     visitor_language = ?16, visitor_page = ?17, visitor_agent = ?18 WHERE organisation = ?1 AND id = ?2";

fn write(tx: &TenantTx<'_>, sql: &str, id: i64, external_id: &str, facts: &Facts) -> Result<()> {
    let visitor = &facts.visitor;
    tx.execute(
        sql,
        &[
            &id,
            &external_id,
            &facts.chatbot,
            &facts.platform,
            &facts.started_at,
            &facts.last_message_at,
            &facts.message_count,
            &facts.first_question,
            &facts.first_response_ms,
            &facts.handed_over_at,
            &visitor.name,
            &visitor.email,
            &visitor.phone,
            &visitor.country,
            &visitor.language,
            &visitor.page,
            &visitor.agent,
        ],
    )?;
    Ok(())
}

fn write_message(tx: &TenantTx<'_>, conversation: i64, place: usize, message: &NewMessage) -> Result<()> {
    let sql = "INSERT INTO message (organisation, conversation, position, external_id, role, text, sent_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (organisation, conversation, position) \
               DO UPDATE SET role = excluded.role, text = excluded.text, sent_at = excluded.sent_at";
    let position = place as i64 + 1;
    tx.execute(
        sql,
        &[&conversation, &position, &message.external_id, &message.role, &message.text, &message.sent_at.0],
    )?;
    Ok(())
}

fn find(tx: &TenantTx<'_>, external_id: &str) -> Result<Option<Known>> {
    let sql = "SELECT id, row, chatbot, platform, started_at, last_message_at, message_count, first_question, \
               first_response_ms, handed_over_at, visitor_name, visitor_email, visitor_phone, visitor_country, \
               visitor_language, visitor_page, visitor_agent FROM conversation \
               WHERE organisation = ?1 AND external_id = ?2";
    tx.first(sql, &[&external_id], |row| Ok(Known { id: row.get(0)?, row: row.get(1)?, facts: facts(row)? }))
}

fn facts(row: &Row<'_>) -> Result<Facts> {
    Ok(Facts {
        chatbot: row.get(2)?,
        platform: row.get(3)?,
        started_at: row.get(4)?,
        last_message_at: row.get(5)?,
        message_count: row.get(6)?,
        first_question: row.get(7)?,
        first_response_ms: row.get(8)?,
        handed_over_at: row.get(9)?,
        visitor: Visitor {
            name: row.get(10)?,
            email: row.get(11)?,
            phone: row.get(12)?,
            country: row.get(13)?,
            language: row.get(14)?,
            page: row.get(15)?,
            agent: row.get(16)?,
        },
    })
}

fn known_messages(tx: &TenantTx<'_>, conversation: i64) -> Result<Vec<NewMessage>> {
    let sql = "SELECT external_id, role, text, sent_at FROM message \
               WHERE organisation = ?1 AND conversation = ?2 ORDER BY position";
    tx.all(sql, &[&conversation], |row| {
        Ok(NewMessage {
            external_id: row.get(0)?,
            role: row.get(1)?,
            text: row.get(2)?,
            sent_at: Time(row.get(3)?),
        })
    })
}
