//! Organisations: the tenants, their plan and their switches.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{SystemTx, Tenant, TenantTx};
use crate::clock::Time;
use crate::error::{Error, Kind, Result};

/// What an organisation pays for, and so how much it may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// 5 calls a minute, 5 a day.
    Free,
    /// 10 calls a minute, 100 a day.
    Trial,
    /// 30 calls a minute, 1,000 a day.
    Paid,
}

impl Plan {
    /// Every plan, smallest first.
    pub const ALL: [Plan; 3] = [Plan::Free, Plan::Trial, Plan::Paid];

    /// The plan's name, in the database and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Plan::Free => "free",
            Plan::Trial => "trial",
            Plan::Paid => "paid",
        }
    }

    /// The plan of that name.
    pub fn parse(name: &str) -> Option<Plan> {
        Plan::ALL.into_iter().find(|plan| plan.as_str() == name)
    }

    /// Calls a minute and calls a day.
    pub fn limits(self) -> (u32, u32) {
        match self {
            Plan::Free => (5, 5),
            Plan::Trial => (10, 100),
            Plan::Paid => (30, 1_000),
        }
    }
}

/// How much an organisation may call; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls in any 60 seconds.
    pub per_minute: Option<u32>,
    /// Calls in a UTC day.
    pub per_day: Option<u32>,
}

/// The largest number an operator may set for calls a minute: the time of each is kept.
pub const PER_MINUTE_MAX: u32 = 10_000;
const UNLIMITED: i64 = -1;

impl Limits {
    /// The plan's numbers, unless the operator's own are there (-1 is no limit).
    pub(super) fn of(plan: Plan, per_minute: Option<i64>, per_day: Option<i64>) -> Limits {
        let pick = |own: Option<i64>, plans: u32| match own {
            None => Some(plans),
            Some(number) => u32::try_from(number).ok(),
        };
        let (minute, day) = plan.limits();
        Limits { per_minute: pick(per_minute, minute), per_day: pick(per_day, day) }
    }
}

/// An organisation.
#[derive(Clone, Debug)]
pub struct Organisation {
    /// The right to its rows.
    pub tenant: Tenant,
    /// Its name in commands and URLs: lower-case letters, digits and hyphens.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// What it pays for.
    pub plan: Plan,
    /// What it may call.
    pub limits: Limits,
    /// Whether e-mail addresses and phone numbers in visitors' texts are masked.
    pub redact: bool,
    /// Whether its tokenized URLs are answered, where the server answers any.
    pub tokenized_urls: bool,
    /// The IANA time zone its days are counted in.
    pub timezone: String,
    /// When it came to be.
    pub created_at: Time,
    /// Since when its credentials are refused.
    pub suspended_at: Option<Time>,
}

const COLUMNS: &str = "id, slug, name, plan, per_minute, per_day, redact, timezone, created_at, suspended_at, tokenized_urls \
     FROM organisation";

/// Makes an organisation on `plan`.
///
/// # Errors
/// `Invalid` for a slug that is not 1–64 lower-case letters, digits and hyphens; `Conflict` when it is taken.
pub fn create(tx: &SystemTx<'_>, slug: &str, name: &str, plan: Plan, now: Time) -> Result<Organisation> {
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if slug.is_empty() || slug.len() > 64 || !slug.bytes().all(fits) {
        return Err(Error::invalid(format!(
            "{slug:?} is no slug: use 1 to 64 lower-case letters, digits and hyphens, such as \"acme-shoes\"."
        )));
    }
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(Error::invalid("An organisation's name has 1 to 200 characters."));
    }
    if find(tx, slug)?.is_some() {
        return Err(Error::new(Kind::Conflict, format!("There is an organisation {slug:?} already.")));
    }
    let sql = "INSERT INTO organisation (slug, name, plan, created_at) VALUES (?1, ?2, ?3, ?4)";
    tx.connection.execute(sql, params![slug, name, plan.as_str(), now.0])?;
    named(tx, slug)
}

/// The organisation with this slug, if there is one.
pub fn find(tx: &SystemTx<'_>, slug: &str) -> Result<Option<Organisation>> {
    let mut statement = tx.connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE slug = ?1"))?;
    Ok(statement.query_row([slug], organisation).optional()?)
}

/// The organisation with this slug.
///
/// # Errors
/// `NotFound`, naming those there are.
pub fn named(tx: &SystemTx<'_>, slug: &str) -> Result<Organisation> {
    if let Some(found) = find(tx, slug)? {
        return Ok(found);
    }
    let known = list(tx)?.into_iter().map(|o| o.slug).collect::<Vec<_>>().join(", ");
    let hint = if known.is_empty() {
        "There is none yet: make one with `chaterimo org create`.".to_owned()
    } else {
        format!("There are: {known}.")
    };
    Err(Error::not_found(format!("There is no organisation {slug:?}. {hint}")))
}

/// Every organisation, by slug.
pub fn list(tx: &SystemTx<'_>) -> Result<Vec<Organisation>> {
    let mut statement = tx.connection.prepare_cached(&format!("SELECT {COLUMNS} ORDER BY slug"))?;
    let rows = statement.query_map([], organisation)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The organisation an authenticated tenant is.
pub fn of(tx: &SystemTx<'_>, tenant: Tenant) -> Result<Organisation> {
    let mut statement = tx.connection.prepare_cached(&format!("SELECT {COLUMNS} WHERE id = ?1"))?;
    Ok(statement.query_row([tenant.0], organisation)?)
}

/// The IANA time zone that the organisation's days are counted in.
pub fn timezone(tx: &TenantTx<'_>) -> Result<String> {
    let found = tx.first("SELECT timezone FROM organisation WHERE id = ?1", &[], |row| Ok(row.get(0)?))?;
    Ok(found.unwrap_or_default())
}

/// Sets the plan and the operator's own numbers: `None` for the plan's, `Some(None)` for no limit.
///
/// # Errors
/// `Invalid` when calls a minute are more than [`PER_MINUTE_MAX`].
pub fn set_plan(
    tx: &SystemTx<'_>,
    tenant: Tenant,
    plan: Plan,
    per_minute: Option<Option<u32>>,
    per_day: Option<Option<u32>>,
) -> Result<()> {
    if per_minute.flatten().is_some_and(|number| number > PER_MINUTE_MAX) {
        return Err(Error::invalid(format!(
            "At most {PER_MINUTE_MAX} calls a minute can be counted; use no limit for more."
        )));
    }
    let stored = |own: Option<Option<u32>>| own.map(|limit| limit.map_or(UNLIMITED, i64::from));
    let sql = "UPDATE organisation SET plan = ?2, per_minute = ?3, per_day = ?4 WHERE id = ?1";
    tx.connection.execute(sql, params![tenant.0, plan.as_str(), stored(per_minute), stored(per_day)])?;
    Ok(())
}

/// Suspends the organisation from `since`, or resumes it: its credentials are refused while it is suspended.
pub fn set_suspended(tx: &SystemTx<'_>, tenant: Tenant, since: Option<Time>) -> Result<()> {
    let sql = "UPDATE organisation SET suspended_at = ?2 WHERE id = ?1";
    tx.connection.execute(sql, params![tenant.0, since.map(|time| time.0)])?;
    Ok(())
}

/// Sets the IANA time zone its days are counted in.
///
/// # Errors
/// `Invalid` when there is no such zone.
pub fn set_timezone(tx: &SystemTx<'_>, tenant: Tenant, timezone: &str) -> Result<()> {
    let zone = jiff::tz::TimeZone::get(timezone).map_err(|_| {
        Error::invalid(format!(
            "There is no time zone {timezone:?}: use an IANA name, such as Europe/Berlin."
        ))
    })?;
    let name = zone.iana_name().unwrap_or("UTC");
    tx.connection.execute("UPDATE organisation SET timezone = ?2 WHERE id = ?1", params![tenant.0, name])?;
    Ok(())
}

/// Turns the masking of e-mail addresses and phone numbers in visitors' texts on or off.
pub fn set_redact(tx: &SystemTx<'_>, tenant: Tenant, redact: bool) -> Result<()> {
    tx.connection.execute("UPDATE organisation SET redact = ?2 WHERE id = ?1", params![tenant.0, redact])?;
    Ok(())
}

/// Turns tokenized URLs on or off; those that are there stay, and are answered again when they are turned on again.
pub fn set_tokenized_urls(tx: &SystemTx<'_>, tenant: Tenant, on: bool) -> Result<()> {
    tx.connection
        .execute("UPDATE organisation SET tokenized_urls = ?2 WHERE id = ?1", params![tenant.0, on])?;
    Ok(())
}

fn organisation(row: &Row<'_>) -> rusqlite::Result<Organisation> {
    let plan = Plan::parse(row.get_ref(3)?.as_str()?).unwrap_or(Plan::Free);
    Ok(Organisation {
        tenant: Tenant(row.get(0)?),
        slug: row.get(1)?,
        name: row.get(2)?,
        plan,
        limits: Limits::of(plan, row.get(4)?, row.get(5)?),
        redact: row.get(6)?,
        tokenized_urls: row.get(10)?,
        timezone: row.get(7)?,
        created_at: Time(row.get(8)?),
        suspended_at: row.get::<_, Option<i64>>(9)?.map(Time),
    })
}
