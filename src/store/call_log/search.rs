//! Looking through the log, newest first.
//!
//! There is no index to look in but the log's own order: numbers grow with time. A span of time is found by halving;
//! the days on which there were calls of a tool, credential or outcome are known from their counts, with the numbers
//! between which those calls lie. What is left is read row by row, as many rows as [`LOOKED_AT_MAX`] says.

use super::counts::AT_ONCE;
use super::{Axis, Wanted};
use crate::clock::{MINUTE, Time};
use crate::error::Result;
use crate::store::TenantTx;
use crate::store::filter::{Span, Where};

/// Rows that one page looks at, at most.
pub const LOOKED_AT_MAX: i64 = 20_000;
/// Rows that an export looks at, at most.
const EXPORTED_FROM_MAX: i64 = 1_000_000;
/// A row is written when its call ends and bears the time it came, so times are this far out of order at most.
const DISORDER: i64 = 5 * MINUTE;

/// Which calls.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those that came in this span.
    pub span: Span,
    /// Those of the tool of this name.
    pub tool: Option<String>,
    /// Those that ended so.
    pub outcome: Option<Wanted>,
    /// Those with this credential: `key:3`.
    pub credential: Option<String>,
    /// Those whose client's name has this in it, in lower or upper case.
    pub client: Option<String>,
    /// Those whose arguments, in JSON, have this in them, in lower or upper case.
    pub text: Option<String>,
}

/// One row of the log.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // as in Call
pub struct Entry {
    /// Its number within the organisation.
    pub id: i64,
    pub at: Time,
    pub credential: String,
    pub client: String,
    pub client_version: String,
    pub transport: String,
    pub endpoint: String,
    pub tool: String,
    pub arguments: String,
    pub outcome: String,
    pub duration_us: i64,
    pub day_remaining: Option<i64>,
}

/// A page of the log.
#[derive(Debug)]
pub struct Found {
    /// The calls, newest first.
    pub calls: Vec<Entry>,
    /// Where the next page begins, if there may be one: its `before`.
    pub next: Option<i64>,
    /// How far this page looked, when it gave up before it was full.
    pub looked_until: Option<Time>,
}

impl Filter {
    /// The rows of `call_day` that count what it wants, and where it wants a tool and a credential, more than that.
    pub(super) fn counted_by(&self) -> Where {
        let (axis, value) = match (&self.credential, &self.tool) {
            (Some(credential), _) => (Axis::Credential, credential.as_str()),
            (None, Some(tool)) => (Axis::Tool, tool.as_str()),
            (None, None) => (Axis::All, ""),
        };
        let mut conditions = Where::of_organisation("organisation");
        conditions.and("axis = ?", axis.name());
        conditions.and("value = ?", value.to_owned());
        if let Some(outcome) = &self.outcome {
            outcome.narrow(&mut conditions);
        }
        conditions
    }

    /// Everything it wants of a row.
    pub(super) fn conditions(&self, ids: Ids) -> Where {
        let mut conditions = Where::of_organisation("organisation");
        conditions.and("id >= ?", ids.first);
        conditions.and("id <= ?", ids.last);
        conditions.within("at", self.span);
        conditions.and_if("credential = ?", self.credential.clone());
        conditions.and_if("tool = ?", self.tool.clone());
        if let Some(outcome) = &self.outcome {
            outcome.narrow(&mut conditions);
        }
        conditions.and_if("client LIKE ? ESCAPE '\\'", self.client.as_deref().map(pattern));
        conditions.and_if("arguments LIKE ? ESCAPE '\\'", self.text.as_deref().map(pattern));
        conditions
    }
}

/// Whatever has `text` in it.
fn pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Numbers of rows, the first and the last among them; none when they cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub first: i64,
    pub last: i64,
}

/// Up to `limit` calls with numbers below `before`.
pub fn page(tx: &TenantTx<'_>, filter: &Filter, before: Option<i64>, limit: usize) -> Result<Found> {
    let (mut calls, mut budget) = (Vec::new(), LOOKED_AT_MAX);
    let places = places(tx, filter, before, limit)?;
    for ids in &places.ranges {
        let first = ids.first.max(ids.last - budget + 1);
        let looked = Ids { first, ..*ids };
        read(tx, filter, looked, limit + 1, |call| {
            calls.push(call);
            Ok(())
        })?;
        if calls.len() > limit {
            calls.truncate(limit);
            return Ok(Found { next: calls.last().map(|call| call.id), calls, looked_until: None });
        }
        budget -= looked.last - looked.first + 1;
        if budget <= 0 {
            return stopped(tx, calls, first);
        }
    }
    match (places.cut, places.ranges.last()) {
        (true, Some(last)) => stopped(tx, calls, last.first),
        _ => Ok(Found { calls, next: None, looked_until: None }),
    }
}

/// A page that looked down to the row `first` and no further.
fn stopped(tx: &TenantTx<'_>, calls: Vec<Entry>, first: i64) -> Result<Found> {
    let sql = "SELECT at FROM call_log WHERE organisation = ?1 AND id >= ?2 ORDER BY id LIMIT 1";
    let until = tx.number(sql, &[&first])?;
    let older = tx.number(
        "SELECT count(*) FROM (SELECT 1 FROM call_log WHERE organisation = ?1 AND id < ?2 LIMIT 1)",
        &[&first],
    )?;
    let more = older > 0;
    Ok(Found { calls, next: more.then_some(first), looked_until: more.then_some(Time(until)) })
}

/// Calls `each` with the calls that `filter` wants, newest first, `limit` of them at most, from the newest
/// million of its span: for what is taken away whole.
///
/// # Errors
/// Those of the store and of `each`.
pub fn each(
    tx: &TenantTx<'_>,
    filter: &Filter,
    limit: usize,
    each: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let Ids { first, last } = within(tx, filter.span)?;
    let ids = Ids { first: first.max(last - EXPORTED_FROM_MAX + 1), last };
    read(tx, filter, ids, limit, each)
}

fn read(
    tx: &TenantTx<'_>,
    filter: &Filter,
    ids: Ids,
    limit: usize,
    mut each: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let select = "SELECT id, at, credential, client, client_version, transport, endpoint, tool, arguments, outcome, \
                  duration_us, day_remaining FROM call_log";
    let tail = format!(" ORDER BY id DESC LIMIT {limit}");
    filter.conditions(ids).for_each(tx, select, &tail, |row| {
        each(Entry {
            id: row.get(0)?,
            at: Time(row.get(1)?),
            credential: row.get(2)?,
            client: row.get(3)?,
            client_version: row.get(4)?,
            transport: row.get(5)?,
            endpoint: row.get(6)?,
            tool: row.get(7)?,
            arguments: row.get(8)?,
            outcome: row.get(9)?,
            duration_us: row.get(10)?,
            day_remaining: row.get(11)?,
        })
    })
}

/// Where the calls that a filter wants can be, newest first.
struct Places {
    ranges: Vec<Ids>,
    /// Whether there are more of them.
    cut: bool,
}

fn places(tx: &TenantTx<'_>, filter: &Filter, before: Option<i64>, limit: usize) -> Result<Places> {
    let mut ids = within(tx, filter.span)?;
    ids.last = before.map_or(ids.last, |before| ids.last.min(before.saturating_sub(1)));
    if filter.credential.is_none() && filter.tool.is_none() && filter.outcome.is_none() {
        return Ok(Places { ranges: vec![ids], cut: false });
    }
    let counted = counted(tx)?;
    let mut ranges = vec![Ids { first: ids.first.max(counted + 1), ..ids }];
    // Each has at least one as a rule, so these are enough for a page; where not, the next page goes on below them.
    let days_max = limit + 3;
    let mut conditions = filter.counted_by();
    conditions.and_if("day >= ?", filter.span.from.map(Time::utc_day));
    conditions.and_if("day <= ?", filter.span.until.map(Time::utc_day));
    conditions.and("first_id <= ?", ids.last);
    conditions.and("last_id >= ?", ids.first);
    let tail = format!(" GROUP BY day ORDER BY day DESC LIMIT {days_max}");
    let days = conditions.all(tx, "SELECT min(first_id), max(last_id) FROM call_day", &tail, |row| {
        Ok(Ids { first: row.get(0)?, last: row.get(1)? })
    })?;
    let cut = days.len() == days_max;
    for day in days {
        // Around midnight the days of two calls that ran at once may be out of order; none is looked at twice.
        let above = ranges.last().map_or(i64::MAX, |range| range.first);
        ranges.push(Ids { first: day.first.max(ids.first), last: day.last.min(ids.last).min(above - 1) });
    }
    ranges.retain(|range| range.first <= range.last);
    Ok(Places { ranges, cut })
}

/// The last row that is in the days' counts.
pub(super) fn counted(tx: &TenantTx<'_>) -> Result<i64> {
    Ok(super::last(tx)? / AT_ONCE * AT_ONCE)
}

/// The rows that may have come in `span`: all that did, and a few around them.
pub(super) fn within(tx: &TenantTx<'_>, span: Span) -> Result<Ids> {
    let edge = |sql| tx.number(sql, &[]);
    let oldest = edge("SELECT min(id) FROM call_log WHERE organisation = ?1")?;
    let newest = edge("SELECT max(id) FROM call_log WHERE organisation = ?1")?;
    let all = Ids { first: oldest, last: newest };
    let first = match span.from {
        Some(from) => first_from(tx, all, from.plus(-DISORDER))?,
        None => oldest,
    };
    let last = match span.until {
        Some(until) => first_from(tx, all, until.plus(DISORDER))? - 1,
        None => newest,
    };
    Ok(Ids { first, last })
}

/// The first row from `time` on, by halving; the one after the last when there is none.
fn first_from(tx: &TenantTx<'_>, all: Ids, time: Time) -> Result<i64> {
    let (mut low, mut high) = (all.first, all.last + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let sql = "SELECT at FROM call_log WHERE organisation = ?1 AND id >= ?2 ORDER BY id LIMIT 1";
        if tx.number(sql, &[&middle])? < time.0 { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

#[cfg(test)]
mod tests;
