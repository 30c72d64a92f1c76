//! Leads: what visitors left so that the shop can reach them.

use serde::{Deserialize, Serialize};

use super::filter::Where;
use super::{Put, TenantTx, conversation, limits};
use crate::clock::Time;
use crate::error::{Error, Result};

pub use super::filter::{After, Span};

/// Characters of a name, an address or a number at most.
const CHARS_MAX: usize = 320;

/// A lead from outside. In JSON:
/// `{"external_id": "l-1", "chatbot": "main", "conversation": "c-1", "email": "anna@example.com", "name": "Anna",
/// "phone": "+49 30 1234567", "captured_at": "2026-11-22T08:00:00Z"}`.
/// An e-mail address or a phone number must be there. What is left out of a lead that is here already stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLead {
    /// What the place it comes from calls it; 1 to 255 characters.
    pub external_id: String,
    /// The external id of the chatbot that captured it; the conversation's chatbot when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chatbot: Option<String>,
    /// The external id of the conversation it was captured in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// Their e-mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Their name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// When it was captured; now when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_at: Option<Time>,
}

/// Which leads.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Captured by this chatbot.
    pub chatbot: Option<i64>,
    /// Captured in this span.
    pub captured: Span,
}

/// A lead.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Its number within the organisation.
    pub id: i64,
    /// Their e-mail address.
    pub email: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// Their phone number.
    pub phone: Option<String>,
    /// When it was captured.
    pub captured_at: Time,
    /// The chatbot that captured it.
    pub chatbot_id: Option<i64>,
    /// The chatbot's name.
    pub chatbot_name: Option<String>,
    /// The conversation it was captured in.
    pub conversation_id: Option<i64>,
}

/// Up to `limit` leads, newest first, that come after `after`.
pub fn list(tx: &TenantTx<'_>, filter: &Filter, after: Option<After>, limit: i64) -> Result<Vec<Lead>> {
    let select = "SELECT l.id, l.email, l.name, l.phone, l.captured_at, l.chatbot, b.name, l.conversation \
                  FROM lead l LEFT JOIN chatbot b ON b.organisation = l.organisation AND b.id = l.chatbot";
    let mut conditions = conditions(filter);
    conditions.older_than("l.captured_at", "l.id", after);
    let tail = format!(" ORDER BY l.captured_at DESC, l.id DESC LIMIT {limit}");
    conditions.all(tx, select, &tail, |row| {
        Ok(Lead {
            id: row.get(0)?,
            email: row.get(1)?,
            name: row.get(2)?,
            phone: row.get(3)?,
            captured_at: Time(row.get(4)?),
            chatbot_id: row.get(5)?,
            chatbot_name: row.get(6)?,
            conversation_id: row.get(7)?,
        })
    })
}

/// How many leads there are.
pub fn count(tx: &TenantTx<'_>, filter: &Filter) -> Result<i64> {
    conditions(filter).count(tx, "lead l")
}

fn conditions(filter: &Filter) -> Where {
    let mut conditions = Where::of_organisation("l.organisation");
    conditions.and_if("l.chatbot = ?", filter.chatbot);
    conditions.within("l.captured_at", filter.captured);
    conditions
}

/// Puts a lead in, or brings the one that is here under the same external id up to date.
///
/// # Errors
/// `Invalid`, naming the field, for a lead that nobody could be reached by, for a chatbot or conversation that is not
/// here and for a text beyond its limit.
pub fn put(tx: &TenantTx<'_>, new: &NewLead, now: Time) -> Result<Put> {
    let external_id = limits::text("external_id", &new.external_id, 1, 255)?;
    let said = Facts::said(tx, new)?;
    let Some((id, before)) = find(tx, &external_id)? else {
        let facts = Facts { captured_at: said.captured_at.or(Some(now.0)), ..said };
        if facts.email.is_none() && facts.phone.is_none() {
            return Err(Error::invalid("email, phone: came neither; wanted at least one of them."));
        }
        let id = tx.next_id("lead")?;
        write(tx, INSERT, id, &external_id, &facts)?;
        return Ok(Put::Created(id));
    };
    let after = said.over(&before);
    if after == before {
        return Ok(Put::Unchanged(id));
    }
    write(tx, UPDATE, id, &external_id, &after)?;
    Ok(Put::Updated(id))
}

/// Everything of a lead's row that a put can change.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    chatbot: Option<i64>,
    conversation: Option<i64>,
    email: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    captured_at: Option<i64>,
}

impl Facts {
    /// What `new` says, within its limits.
    fn said(tx: &TenantTx<'_>, new: &NewLead) -> Result<Facts> {
        let (chatbot, conversation) =
            conversation::origin(tx, new.chatbot.as_deref(), new.conversation.as_deref())?;
        Ok(Facts {
            chatbot,
            conversation,
            email: limits::optional("email", new.email.as_deref(), CHARS_MAX)?,
            name: limits::optional("name", new.name.as_deref(), CHARS_MAX)?,
            phone: limits::optional("phone", new.phone.as_deref(), CHARS_MAX)?,
            captured_at: new.captured_at.map(|time| time.0),
        })
    }

    /// These facts, and from `before` what they leave open.
    fn over(self, before: &Facts) -> Facts {
        Facts {
            chatbot: self.chatbot.or(before.chatbot),
            conversation: self.conversation.or(before.conversation),
            email: self.email.or_else(|| before.email.clone()),
            name: self.name.or_else(|| before.name.clone()),
            phone: self.phone.or_else(|| before.phone.clone()),
            captured_at: self.captured_at.or(before.captured_at),
        }
    }
}

const INSERT: &str = "INSERT INTO lead (organisation, id, external_id, chatbot, conversation, email, name, phone, \
     captured_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const UPDATE: &str = "UPDATE lead SET external_id = ?3, chatbot = ?4, conversation = ?5, \
     email = ?6, name = ?7, phone = ?8, captured_at = ?9 WHERE organisation = ?1 AND id = ?2";

fn write(tx: &TenantTx<'_>, sql: &str, id: i64, external_id: &str, facts: &Facts) -> Result<()> {
    let Facts { chatbot, conversation, email, name, phone, captured_at } = facts;
    tx.execute(sql, &[&id, &external_id, chatbot, conversation, email, name, phone, captured_at])?;
    Ok(())
}

fn find(tx: &TenantTx<'_>, external_id: &str) -> Result<Option<(i64, Facts)>> {
    let sql = "SELECT id, chatbot, conversation, email, name, phone, captured_at FROM lead \
               WHERE organisation = ?1 AND external_id = ?2";
    tx.first(sql, &[&external_id], |row| {
        let facts = Facts {
            chatbot: row.get(1)?,
            conversation: row.get(2)?,
            email: row.get(3)?,
            name: row.get(4)?,
            phone: row.get(5)?,
            captured_at: row.get(6)?,
        };
        Ok((row.get(0)?, facts))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::Durability;
    use crate::tools::testing::{NOW, Shop};

    #[test]
    fn a_lead_is_put_once_and_completed() {
        let shop = Shop::new();
        let tenant = shop.tenant;
        let put = |new: Value| {
            let new: NewLead = serde_json::from_value(new).unwrap();
            shop.store.write(Durability::Process, move |tx| put(&tx.tenant(tenant), &new, NOW))
        };
        let anna = json!({"external_id": "l1", "email": "anna@example.com"});
        assert_eq!(put(anna.clone()).unwrap(), Put::Created(1));
        assert_eq!(put(anna.clone()).unwrap(), Put::Unchanged(1));
        assert_eq!(put(json!({"external_id": "l1", "phone": "+49 30 1234567"})).unwrap(), Put::Updated(1));
        assert_eq!(put(anna).unwrap(), Put::Unchanged(1));
        assert!(
            put(json!({"external_id": "l2", "name": "Ben"}))
                .unwrap_err()
                .public
                .starts_with("email, phone: ")
        );
        assert!(
            put(json!({"external_id": "", "email": "x"})).unwrap_err().public.starts_with("external_id: ")
        );
        let earlier = json!({"external_id": "l3", "email": "ben@example.com", "captured_at": "2026-11-01"});
        assert_eq!(put(earlier).unwrap(), Put::Created(2));

        let list = |filter: Filter, after| shop.seed(move |tx| list(tx, &filter, after, 10));
        let rows = list(Filter::default(), None);
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(rows[0].phone.as_deref(), Some("+49 30 1234567"));
        assert_eq!(rows[0].captured_at, NOW);
        assert_eq!(list(Filter::default(), Some((NOW.0, 1))).len(), 1);
        let captured = Span { from: Some(NOW), until: None };
        assert_eq!(list(Filter { captured, ..Filter::default() }, None).len(), 1);
    }
}
