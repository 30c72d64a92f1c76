//! Sales rules: when a chatbot's widget speaks up by itself, and what it says.

use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::{Put, TenantTx, chatbot};
use crate::clock::Time;
use crate::error::{Error, Result};

choice! {
    /// What a rule watches; its value is what sets it off.
    Trigger {
        /// Seconds spent on a page: a whole number from 1 to 86,400.
        TimeOnPage = "time_on_page",
        /// How far the page is scrolled, in per cent: a whole number from 1 to 100.
        ScrollDepth = "scroll_depth",
        /// The visitor is about to leave; the value is empty.
        ExitIntent = "exit_intent",
        /// What is in the cart is worth this much in the shop's currency: a number above 0.
        CartValue = "cart_value",
        /// The page's address has this in it: 1 to 500 characters.
        PageUrl = "page_url",
        /// The visitor has been here before; the value is how often, or empty.
        ReturningVisitor = "returning_visitor",
    }
}

/// A sales rule as it is kept.
#[derive(Clone, Debug, Serialize)]
pub struct SalesRule {
    /// Its number within the organisation.
    pub id: i64,
    /// The chatbot whose widget speaks.
    pub chatbot_id: i64,
    /// What people call it.
    pub name: String,
    /// When it speaks up.
    pub trigger: When,
    /// What it says.
    pub message: String,
    /// Whether it is in force.
    pub active: bool,
    /// How often visitors saw it.
    pub times_shown: i64,
    /// How often they took it up.
    pub times_accepted: i64,
}

/// When a rule speaks up.
#[derive(Clone, Debug, Serialize)]
pub struct When {
    /// What is watched.
    pub kind: Trigger,
    /// What sets it off, as [`Trigger`] says.
    pub value: String,
}

/// A sales rule as imports bring it: `{"external_id": "r1", "chatbot": "main", "name": "Free shipping",
/// "trigger": "cart_value", "value": "40", "message": "…", "active": true, "times_shown": 10, "times_accepted": 2}`.
/// `value` (empty), `active` (true), the counts (0) and `created_at` (now) may be left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSalesRule {
    /// What the place it comes from calls it, 1 to 200 characters; without one, each put makes another rule.
    #[serde(default)]
    pub external_id: Option<String>,
    /// The external id of the chatbot whose widget speaks.
    pub chatbot: String,
    /// What people call it: 1 to 200 characters.
    pub name: String,
    /// What is watched.
    pub trigger: Trigger,
    /// What sets it off, as [`Trigger`] says.
    #[serde(default)]
    pub value: String,
    /// What it says: 1 to 500 characters.
    pub message: String,
    /// Whether it is in force.
    #[serde(default = "yes")]
    pub active: bool,
    /// How often visitors saw it.
    #[serde(default)]
    pub times_shown: u32,
    /// How often they took it up.
    #[serde(default)]
    pub times_accepted: u32,
    /// When it was made. What is there already keeps its time.
    #[serde(default)]
    pub created_at: Option<Time>,
}

fn yes() -> bool {
    true
}

/// Characters of a name at most.
const NAME_CHARS_MAX: usize = 200;
/// Characters of a message, or of a trigger's value, at most.
const TEXT_CHARS_MAX: usize = 500;

/// Which rules a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Only this chatbot's.
    pub chatbot: Option<i64>,
    /// Also those that are not in force.
    pub include_inactive: bool,
}

/// Up to `limit` rules with a number above `after`, by number.
pub fn list(tx: &TenantTx<'_>, filter: Filter, after: Option<i64>, limit: i64) -> Result<Vec<SalesRule>> {
    let sql = "SELECT id, chatbot, name, trigger_kind, trigger_value, message, active, times_shown, times_accepted \
               FROM sales_rule WHERE organisation = ?1 AND (?2 IS NULL OR chatbot = ?2) AND (?3 OR active = 1) \
               AND id > ?4 ORDER BY id LIMIT ?5";
    let Filter { chatbot, include_inactive } = filter;
    tx.all(sql, &[&chatbot, &include_inactive, &after.unwrap_or(0), &limit], |row| {
        Ok(SalesRule {
            id: row.get(0)?,
            chatbot_id: row.get(1)?,
            name: row.get(2)?,
            trigger: When { kind: row.get(3)?, value: row.get(4)? },
            message: row.get(5)?,
            active: row.get(6)?,
            times_shown: row.get(7)?,
            times_accepted: row.get(8)?,
        })
    })
}

/// How many rules the filter lets through.
pub fn count(tx: &TenantTx<'_>, filter: Filter) -> Result<i64> {
    let sql = "SELECT count(*) FROM sales_rule WHERE organisation = ?1 AND (?2 IS NULL OR chatbot = ?2) \
               AND (?3 OR active = 1)";
    tx.number(sql, &[&filter.chatbot, &filter.include_inactive])
}

/// Puts a rule: makes it, or brings the one with its external id to this state.
///
/// # Errors
/// `Invalid` when a field breaks its rule or the chatbot is not there.
pub fn put(tx: &TenantTx<'_>, new: &NewSalesRule, now: Time) -> Result<Put> {
    check(new)?;
    let chatbot = chatbot::referred(tx, &new.chatbot)?;
    let there = match &new.external_id {
        Some(external_id) => id_of(tx, external_id)?,
        None => None,
    };
    match there {
        Some(id) if update(tx, id, chatbot, new, now)? => Ok(Put::Updated(id)),
        Some(id) => Ok(Put::Unchanged(id)),
        None => Ok(Put::Created(create(tx, chatbot, new, now)?)),
    }
}

fn id_of(tx: &TenantTx<'_>, external_id: &str) -> Result<Option<i64>> {
    let sql = "SELECT id FROM sales_rule WHERE organisation = ?1 AND external_id = ?2";
    tx.first(sql, &[&external_id], |row| Ok(row.get(0)?))
}

fn create(tx: &TenantTx<'_>, chatbot: i64, new: &NewSalesRule, now: Time) -> Result<i64> {
    let id = tx.next_id("sales_rule")?;
    let sql = "INSERT INTO sales_rule (organisation, id, external_id, chatbot, name, trigger_kind, trigger_value, \
               message, active, times_shown, times_accepted, created_at, updated_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)";
    let created_at = new.created_at.unwrap_or(now).0;
    tx.execute(
        sql,
        &[
            &id,
            &new.external_id,
            &chatbot,
            &new.name,
            &new.trigger,
            &new.value,
            &new.message,
            &new.active,
            &new.times_shown,
            &new.times_accepted,
            &created_at,
        ],
    )?;
    Ok(id)
}

/// Writes what is different; whether anything was.
fn update(tx: &TenantTx<'_>, id: i64, chatbot: i64, new: &NewSalesRule, now: Time) -> Result<bool> {
    let columns =
        "(chatbot, name, trigger_kind, trigger_value, message, active, times_shown, times_accepted)";
    let values = "(?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let sql = format!(
        "UPDATE sales_rule SET {columns} = {values}, updated_at = ?11 \
         WHERE organisation = ?1 AND id = ?2 AND {columns} IS NOT {values}"
    );
    let changed = tx.execute(
        &sql,
        &[
            &id,
            &chatbot,
            &new.name,
            &new.trigger,
            &new.value,
            &new.message,
            &new.active,
            &new.times_shown,
            &new.times_accepted,
            &now.0,
        ],
    )?;
    Ok(changed > 0)
}

fn check(new: &NewSalesRule) -> Result<()> {
    if let Some(external_id) = &new.external_id {
        chatbot::check_external_id(external_id)?;
    }
    let sized = [("name", &new.name, NAME_CHARS_MAX), ("message", &new.message, TEXT_CHARS_MAX)];
    for (field, text, most) in sized {
        let chars = text.chars().count();
        if text.trim().is_empty() || chars > most {
            let came = format!("{field}: came {chars} characters");
            return Err(Error::invalid(format!("{came}; wanted text of 1 to {most} characters.")));
        }
    }
    match new.trigger.wants(&new.value) {
        Ok(()) => Ok(()),
        Err(wanted) => {
            let came: String = new.value.chars().take(60).collect();
            let kind = new.trigger.as_str();
            Err(Error::invalid(format!("value: came {came:?}; wanted {wanted} for the trigger {kind}.")))
        }
    }
}

impl Trigger {
    /// Whether `value` can set it off; else what is wanted.
    fn wants(self, value: &str) -> Result<(), &'static str> {
        let whole = value.parse::<u32>().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()));
        let within = |most: u32| whole.is_some_and(|number| (1..=most).contains(&number));
        let amount = || value.parse::<f64>().is_ok_and(|amount| amount.is_finite() && amount > 0.0);
        let (fits, wanted) = match self {
            Trigger::TimeOnPage => (within(86_400), "seconds from 1 to 86400"),
            Trigger::ScrollDepth => (within(100), "per cent from 1 to 100"),
            Trigger::ExitIntent => (value.is_empty(), "nothing"),
            Trigger::CartValue => (value.len() <= 20 && amount(), "an amount above 0"),
            Trigger::PageUrl => {
                ((1..=TEXT_CHARS_MAX).contains(&value.chars().count()), "text of 1 to 500 characters")
            }
            Trigger::ReturningVisitor => {
                (value.is_empty() || within(1_000), "visits from 1 to 1000, or nothing")
            }
        };
        if fits { Ok(()) } else { Err(wanted) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::tools::testing::{NOW, Shop};

    fn shop() -> Shop {
        let shop = Shop::new();
        let new = json!({"external_id": "main", "settings": {"name": "Main"}});
        shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        shop
    }

    /// A rule with some members changed.
    fn rule(changes: Value) -> NewSalesRule {
        let mut rule = json!({
            "external_id": "r1", "chatbot": "main", "name": "Free shipping", "trigger": "cart_value",
            "value": "39.90", "message": "Free shipping from 40."
        });
        for (name, value) in changes.as_object().unwrap() {
            rule[name] = value.clone();
        }
        serde_json::from_value(rule).unwrap()
    }

    #[test]
    fn the_same_again_changes_nothing() {
        let shop = shop();
        let check = |changes: Value, expected: Put| {
            let new = rule(changes);
            assert_eq!(shop.seed(move |tx| put(tx, &new, NOW)), expected);
        };
        check(json!({}), Put::Created(1));
        check(json!({}), Put::Unchanged(1));
        check(json!({"times_shown": 5}), Put::Updated(1));
        check(json!({"times_shown": 5}), Put::Unchanged(1));
        check(json!({"external_id": null}), Put::Created(2));
    }

    #[test]
    fn a_wrong_field_is_named() {
        let shop = shop();
        let check = |changes: Value, expected: &'static str| {
            let new = rule(changes);
            shop.seed(move |tx| {
                let error = put(tx, &new, NOW).unwrap_err();
                assert!(error.public.starts_with(expected), "{}", error.public);
                Ok(())
            });
        };
        check(json!({"chatbot": "other"}), "chatbot: came \"other\"");
        check(json!({"name": " "}), "name: came 1 characters");
        check(json!({"message": "x".repeat(501)}), "message: came 501 characters");
        check(json!({"external_id": ""}), "external_id: came 0 characters");
        check(json!({"value": "-1"}), "value: came \"-1\"; wanted an amount above 0");
        check(json!({"value": "inf"}), "value: came \"inf\"");
        check(json!({"trigger": "scroll_depth", "value": "101"}), "value: came \"101\"");
        check(json!({"trigger": "time_on_page", "value": "+5"}), "value: came \"+5\"");
        check(json!({"trigger": "exit_intent", "value": "5"}), "value: came \"5\"; wanted nothing");
        check(json!({"trigger": "page_url", "value": ""}), "value: came \"\"");
    }
}
