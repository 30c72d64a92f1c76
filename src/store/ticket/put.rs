//! Putting a ticket in, and putting it in again with a longer thread or another status.
//!
//! The names are ours and, beside them, those that helpdesks export: `createdAt`, `operatorEmail`, `open`, `pending` …

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::store::choice::choice;
use crate::store::{Put, TenantTx, conversation, limits};

/// Characters of one message at most.
const TEXT_CHARS_MAX: usize = 100_000;
/// Messages of one ticket at most.
const MESSAGES_MAX: usize = 5_000;
/// Steps of one ticket's history at most.
const CHANGES_MAX: usize = 1_000;
/// Characters of a subject at most.
const SUBJECT_CHARS_MAX: usize = 1_000;
/// Characters of a name or an address at most.
const NAME_CHARS_MAX: usize = 320;

/// A ticket from outside. In JSON:
/// `{"external_id": "t-1", "chatbot": "main", "conversation": "c-1", "subject": "Parcel lost", "status": "new",
/// "priority": "high", "assignee": "Mia", "contact": {"name": "Anna", "email": "anna@example.com"},
/// "created_at": "2026-11-22T08:00:00Z", "messages": [{"role": "customer", "text": "…", "sent_at": "…"}],
/// "status_history": [{"status": "new", "at": "…"}]}`.
/// Only `subject` must be there. `contact` may be a text, `createdAt` and `operatorEmail` stand for `created_at` and
/// `assignee`. What is left out of a ticket that is here already stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewTicket {
    /// What the place it comes from calls it, 1 to 255 characters; when it is not said, one is made of contact,
    /// subject, time and first message, for helpdesks export tickets without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The external id of the chatbot it came through; the conversation's chatbot when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chatbot: Option<String>,
    /// The external id of the conversation it came of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// What it is about, at most 1,000 characters.
    pub subject: String,
    /// Where it stands; `new` when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How urgent it is; `normal` when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Who works on it.
    #[serde(
        default,
        alias = "operatorEmail",
        alias = "operator_email",
        skip_serializing_if = "Option::is_none"
    )]
    pub assignee: Option<String>,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// When it was opened; the first message's time when it is not said.
    #[serde(default, alias = "createdAt", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When it last changed; follows from thread and history when it is not said.
    #[serde(default, alias = "updatedAt", skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// The thread, oldest first: all of it, or what is new.
    #[serde(default)]
    pub messages: Vec<NewTicketMessage>,
    /// How the status came to be what it is, oldest first; steps that are known are not repeated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status_history: Vec<NewStatusChange>,
}

/// A message of a thread. One that is here is known again by role, time and text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTicketMessage {
    /// Who writes; `customer` when it is not said.
    #[serde(default = "customer")]
    pub role: Author,
    /// Their name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What they write, at most 100,000 characters.
    #[serde(alias = "message", alias = "content", alias = "body")]
    pub text: String,
    /// When; the ticket's own time when it is not said.
    #[serde(default, alias = "createdAt", alias = "created_at", skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
}

/// One step of a ticket's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewStatusChange {
    /// The status from then on.
    pub status: Status,
    /// When.
    pub at: Time,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// Who asked: a name or an e-mail address as a text, or both as an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Contact {
    /// An address if it has an `@`, else a name.
    Text(String),
    /// Both.
    Person {
        /// Their name.
        #[serde(default)]
        name: Option<String>,
        /// Their address.
        #[serde(default)]
        email: Option<String>,
    },
}

choice! {
    /// Where a ticket stands.
    Status {
        /// Nobody works on it yet.
        New = "new" | "open",
        /// Somebody works on it, or it waits for something.
        InProgress = "in_progress" | "pending" | "hold" | "on-hold" | "snoozed",
        /// Its question is answered.
        Resolved = "resolved" | "solved",
        /// It is over.
        Closed = "closed",
    }
}

choice! {
    /// How urgent a ticket is.
    Priority {
        /// It can wait.
        Low = "low",
        /// As most are.
        Normal = "normal",
        /// Before others.
        High = "high",
        /// Now.
        Urgent = "urgent",
    }
}

choice! {
    /// Who writes in a thread.
    Author {
        /// Who asked.
        Customer = "customer" | "contact" | "visitor" | "user",
        /// Who answers.
        Agent = "agent" | "operator",
        /// Somebody of the shop, for the shop.
        Note = "note",
    }
}

fn customer() -> Author {
    Author::Customer
}

/// Puts a ticket in, or brings the one that is here under the same external id up to date.
///
/// # Errors
/// `Invalid`, naming the field, for a chatbot or conversation that is not here and for a text beyond its limit.
pub fn put(tx: &TenantTx<'_>, new: &NewTicket, now: Time) -> Result<Put> {
    check(new)?;
    let external_id = match &new.external_id {
        Some(external_id) => limits::text("external_id", external_id, 1, 255)?,
        None => made_up_id(new),
    };
    let origin = conversation::origin(tx, new.chatbot.as_deref(), new.conversation.as_deref())?;
    match find(tx, &external_id)? {
        Some((id, before)) => update(tx, id, &external_id, &before, new, origin, now),
        None => create(tx, &external_id, new, origin, now).map(Put::Created),
    }
}

/// The same for the same ticket, though its status, assignee and thread go on.
fn made_up_id(new: &NewTicket) -> String {
    let first = new.messages.first().map(|message| message.text.as_str());
    let parts = (&new.contact, &new.subject, new.created_at, first);
    let parts = serde_json::to_vec(&parts).unwrap_or_default();
    let digest = ring::digest::digest(&ring::digest::SHA256, &parts);
    format!("made-up:{}", data_encoding::BASE64URL_NOPAD.encode(&digest.as_ref()[..16]))
}

fn check(new: &NewTicket) -> Result<()> {
    limits::text("subject", &new.subject, 1, SUBJECT_CHARS_MAX)?;
    let (name, email) = new.contact.as_ref().map(Contact::split).unwrap_or_default();
    for (field, text) in [("assignee", &new.assignee), ("contact.name", &name), ("contact.email", &email)] {
        limits::optional(field, text.as_deref(), NAME_CHARS_MAX)?;
    }
    at_most("messages", new.messages.len(), MESSAGES_MAX)?;
    at_most("status_history", new.status_history.len(), CHANGES_MAX)?;
    for (place, message) in new.messages.iter().enumerate() {
        limits::text(&format!("messages.{place}.text"), &message.text, 0, TEXT_CHARS_MAX)?;
        limits::optional(&format!("messages.{place}.author"), message.author.as_deref(), NAME_CHARS_MAX)?;
    }
    for (place, change) in new.status_history.iter().enumerate() {
        limits::optional(&format!("status_history.{place}.actor"), change.actor.as_deref(), NAME_CHARS_MAX)?;
    }
    Ok(())
}

fn at_most(field: &str, came: usize, most: usize) -> Result<()> {
    if came > most {
        return Err(Error::invalid(format!(
            "{field}: the ticket would have {came}; at most {most} are kept."
        )));
    }
    Ok(())
}

/// The chatbot and the conversation that a ticket came of.
type Origin = (Option<i64>, Option<i64>);

impl Contact {
    /// Name and address.
    fn split(&self) -> (Option<String>, Option<String>) {
        match self {
            Contact::Text(text) if text.contains('@') => (None, Some(text.clone())),
            Contact::Text(text) => (Some(text.clone()), None),
            Contact::Person { name, email } => (name.clone(), email.clone()),
        }
    }
}

/// Everything of a ticket's row that a put can change.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    chatbot: Option<i64>,
    conversation: Option<i64>,
    subject: String,
    status: Status,
    priority: Priority,
    assignee: Option<String>,
    contact_name: Option<String>,
    contact_email: Option<String>,
    created_at: i64,
    updated_at: i64,
}

fn create(tx: &TenantTx<'_>, external_id: &str, new: &NewTicket, origin: Origin, now: Time) -> Result<i64> {
    let first_sent = new.messages.iter().filter_map(|message| message.sent_at).min();
    let first_change = new.status_history.first().map(|change| change.at);
    let created_at = new.created_at.or(first_sent).or(first_change).unwrap_or(now);
    let (contact_name, contact_email) = new.contact.as_ref().map(Contact::split).unwrap_or_default();
    let last_change = new.status_history.last();
    let status = new.status.or(last_change.map(|change| change.status)).unwrap_or(Status::New);
    let facts = Facts {
        chatbot: origin.0,
        conversation: origin.1,
        subject: new.subject.clone(),
        status,
        priority: new.priority.unwrap_or(Priority::Normal),
        assignee: new.assignee.clone(),
        contact_name,
        contact_email,
        created_at: created_at.0,
        updated_at: new.updated_at.unwrap_or_else(|| last_moment(new, created_at)).0,
    };
    let id = tx.next_id("ticket")?;
    write(tx, INSERT, id, external_id, &facts)?;
    add_messages(tx, id, &new.messages, 0, created_at)?;
    add_changes(tx, id, &steps(&[], new, status, created_at))?;
    Ok(id)
}

fn update(
    tx: &TenantTx<'_>,
    id: i64,
    external_id: &str,
    before: &Facts,
    new: &NewTicket,
    origin: Origin,
    now: Time,
) -> Result<Put> {
    let known = known_messages(tx, id)?;
    let added = lacking(&known, &new.messages, Time(before.created_at));
    at_most("messages", known.len() + added.len(), MESSAGES_MAX)?;
    let status =
        new.status.or(new.status_history.last().map(|change| change.status)).unwrap_or(before.status);
    let changes = known_changes(tx, id)?;
    let changed_at = new.updated_at.unwrap_or(now);
    let steps = steps(&changes, new, status, changed_at);
    at_most("status_history", changes.len() + steps.len(), CHANGES_MAX)?;
    let mut after = before.with(new, origin, status);
    if added.is_empty() && steps.is_empty() && after == *before {
        return Ok(Put::Unchanged(id));
    }
    if new.updated_at.is_none() {
        after.updated_at = before.updated_at.max(last_moment(new, now).0);
    }
    write(tx, UPDATE, id, external_id, &after)?;
    add_messages(tx, id, &added, known.len(), Time(before.created_at))?;
    add_changes(tx, id, &steps)?;
    Ok(Put::Updated(id))
}

/// The last time that the ticket itself names, or `otherwise`.
fn last_moment(new: &NewTicket, otherwise: Time) -> Time {
    let sent = new.messages.iter().filter_map(|message| message.sent_at);
    sent.chain(new.status_history.iter().map(|change| change.at))
        .max()
        .unwrap_or(otherwise)
        .max(new.created_at.unwrap_or(Time(i64::MIN)))
}

impl Facts {
    fn with(&self, new: &NewTicket, origin: Origin, status: Status) -> Facts {
        let (name, email) = new.contact.as_ref().map(Contact::split).unwrap_or_default();
        Facts {
            chatbot: origin.0.or(self.chatbot),
            conversation: origin.1.or(self.conversation),
            subject: new.subject.clone(),
            status,
            priority: new.priority.unwrap_or(self.priority),
            assignee: new.assignee.clone().or_else(|| self.assignee.clone()),
            contact_name: name.or_else(|| self.contact_name.clone()),
            contact_email: email.or_else(|| self.contact_email.clone()),
            created_at: new.created_at.map_or(self.created_at, |time| time.0),
            updated_at: new.updated_at.map_or(self.updated_at, |time| time.0),
        }
    }
}

/// The messages of `new` that `known` lacks; as many equal ones as there are in `known` are not new.
fn lacking(known: &[NewTicketMessage], new: &[NewTicketMessage], created_at: Time) -> Vec<NewTicketMessage> {
    let same = |a: &NewTicketMessage, b: &NewTicketMessage| {
        let sent = |message: &NewTicketMessage| message.sent_at.unwrap_or(created_at);
        a.role == b.role && sent(a) == sent(b) && a.text == b.text
    };
    let mut left: Vec<&NewTicketMessage> = known.iter().collect();
    let mut lacking = Vec::new();
    for message in new {
        match left.iter().position(|known| same(known, message)) {
            Some(place) => drop(left.remove(place)),
            None => lacking.push(message.clone()),
        }
    }
    lacking
}

/// The steps that lead from the `known` ones to `status`: those of the history that are new, and a last one at
/// `changed_at` if the history does not end there.
fn steps(
    known: &[NewStatusChange],
    new: &NewTicket,
    status: Status,
    changed_at: Time,
) -> Vec<(Option<Status>, NewStatusChange)> {
    let is_known = |change: &&NewStatusChange| {
        known.iter().any(|one| one.status == change.status && one.at == change.at)
    };
    let mut last = known.last().map(|change| change.status);
    let mut steps = Vec::new();
    for change in new.status_history.iter().filter(|change| !is_known(change)) {
        steps.push((last.replace(change.status), change.clone()));
    }
    if last != Some(status) {
        steps.push((last, NewStatusChange { status, at: changed_at, actor: None }));
    }
    steps
}

const INSERT: &str = "INSERT INTO ticket (organisation, id, external_id, chatbot, conversation, subject, status, \
     priority, assignee, contact_name, contact_email, created_at, updated_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
const UPDATE: &str = "UPDATE ticket SET external_id = ?3, chatbot = ?4, conversation = ?5, \
     subject = ?6, status = ?7, priority = ?8, assignee = ?9, contact_name = ?10, contact_email = ?11, \
     created_at = ?12, updated_at = ?13 WHERE organisation = ?1 AND id = ?2";

fn write(tx: &TenantTx<'_>, sql: &str, id: i64, external_id: &str, facts: &Facts) -> Result<()> {
    tx.execute(
        sql,
        &[
            &id,
            &external_id,
            &facts.chatbot,
            &facts.conversation,
            &facts.subject,
            &facts.status,
            &facts.priority,
            &facts.assignee,
            &facts.contact_name,
            &facts.contact_email,
            &facts.created_at,
            &facts.updated_at,
        ],
    )?;
    Ok(())
}

fn add_messages(
    tx: &TenantTx<'_>,
    ticket: i64,
    messages: &[NewTicketMessage],
    after: usize,
    created_at: Time,
) -> Result<()> {
    let sql = "INSERT INTO ticket_message (organisation, ticket, position, role, author, text, sent_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    for (place, message) in messages.iter().enumerate() {
        let position = (after + place) as i64 + 1;
        let sent_at = message.sent_at.unwrap_or(created_at).0;
        tx.execute(sql, &[&ticket, &position, &message.role, &message.author, &message.text, &sent_at])?;
    }
    Ok(())
}

fn add_changes(tx: &TenantTx<'_>, ticket: i64, steps: &[(Option<Status>, NewStatusChange)]) -> Result<()> {
    let sql = "INSERT INTO ticket_status_change (organisation, ticket, position, from_status, to_status, actor, at) \
               SELECT ?1, ?2, coalesce(max(position), 0) + 1, ?3, ?4, ?5, ?6 FROM ticket_status_change \
               WHERE organisation = ?1 AND ticket = ?2";
    for (from, step) in steps {
        tx.execute(sql, &[&ticket, from, &step.status, &step.actor, &step.at.0])?;
    }
    Ok(())
}

fn find(tx: &TenantTx<'_>, external_id: &str) -> Result<Option<(i64, Facts)>> {
    let sql = "SELECT id, chatbot, conversation, subject, status, priority, assignee, contact_name, contact_email, \
               created_at, updated_at FROM ticket WHERE organisation = ?1 AND external_id = ?2";
    tx.first(sql, &[&external_id], |row| {
        let facts = Facts {
            chatbot: row.get(1)?,
            conversation: row.get(2)?,
            subject: row.get(3)?,
            status: row.get(4)?,
            priority: row.get(5)?,
            assignee: row.get(6)?,
            contact_name: row.get(7)?,
            contact_email: row.get(8)?,
            created_at: row.get(9)?,
            updated_at: row.get(10)?,
        };
        Ok((row.get(0)?, facts))
    })
}

fn known_messages(tx: &TenantTx<'_>, ticket: i64) -> Result<Vec<NewTicketMessage>> {
    let sql = "SELECT role, author, text, sent_at FROM ticket_message \
               WHERE organisation = ?1 AND ticket = ?2 ORDER BY position";
    tx.all(sql, &[&ticket], |row| {
        Ok(NewTicketMessage {
            role: row.get(0)?,
            author: row.get(1)?,
            text: row.get(2)?,
            sent_at: Some(Time(row.get(3)?)),
        })
    })
}

fn known_changes(tx: &TenantTx<'_>, ticket: i64) -> Result<Vec<NewStatusChange>> {
    let sql = "SELECT to_status, at, actor FROM ticket_status_change \
               WHERE organisation = ?1 AND ticket = ?2 ORDER BY position";
    tx.all(sql, &[&ticket], |row| {
        Ok(NewStatusChange { status: row.get(0)?, at: Time(row.get(1)?), actor: row.get(2)? })
    })
}
