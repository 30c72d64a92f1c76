//! Counting calls, from the days' counts (`0010_call_day.sql`) and from what of the log is not in them.

use super::Class;
use super::search::{Filter, counted, within};
use crate::clock::{DAY, Time};
use crate::error::Result;
use crate::store::TenantTx;
use crate::store::filter::Span;

/// How many rows of the log are counted together, by the call that completes them.
pub(super) const AT_ONCE: i64 = 1_024;

/// What the days' calls are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Nothing: all of a day.
    All,
    /// The tool.
    Tool,
    /// The credential.
    Credential,
}

impl Axis {
    /// Its name in `call_day`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Axis::All => "all",
            Axis::Tool => "tool",
            Axis::Credential => "credential",
        }
    }

    /// What of a row of the log it counts by.
    fn column(self) -> &'static str {
        match self {
            Axis::All => "''",
            Axis::Tool | Axis::Credential => self.name(),
        }
    }
}

/// Calls of one kind on one UTC day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Days since 1970-01-01.
    pub day: i64,
    /// The tool's name, or the credential, such as `key:3`; empty where all are counted.
    pub value: String,
    /// `ok`, or a code.
    pub outcome: String,
    /// How many; at least one.
    pub calls: i64,
}

/// How many calls came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that were answered.
    pub ok: i64,
    /// Those that were turned away before they ran.
    pub refused: i64,
    /// Those that ran and came to nothing.
    pub failed: i64,
}

impl Counts {
    /// All of them.
    pub fn all(self) -> i64 {
        self.ok + self.refused + self.failed
    }

    /// Counts `calls` that ended with `outcome`.
    pub fn add(&mut self, outcome: &str, calls: i64) {
        match Class::of(outcome) {
            Class::Ok => self.ok += calls,
            Class::Refused => self.refused += calls,
            Class::Failed => self.failed += calls,
        }
    }
}

/// Adds the [`AT_ONCE`] rows of the log up to number `last` to the days' counts.
pub(super) fn take_in(tx: &TenantTx<'_>, last: i64) -> Result<()> {
    for axis in [Axis::All, Axis::Tool, Axis::Credential] {
        let sql = format!(
            "INSERT INTO call_day SELECT organisation, ?3, at / 86400000, {0}, outcome, count(*), min(id), max(id) \
             FROM call_log WHERE organisation = ?1 AND id > ?2 - {AT_ONCE} AND id <= ?2 \
             GROUP BY at / 86400000, {0}, outcome \
             ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, last_id = max(last_id, excluded.last_id)",
            axis.column()
        );
        tx.execute(&sql, &[&last, &axis.name()])?;
    }
    Ok(())
}

/// What was called on the UTC days from `first` to `last`, both among them, oldest day first.
pub fn tallies(tx: &TenantTx<'_>, axis: Axis, first: i64, last: i64) -> Result<Vec<Tally>> {
    let sql = format!(
        "SELECT day, value, outcome, sum(calls) FROM \
           (SELECT day, value, outcome, calls FROM call_day \
            WHERE organisation = ?1 AND axis = ?2 AND day >= ?3 AND day <= ?4 \
            UNION ALL \
            SELECT at / 86400000, {}, outcome, 1 FROM call_log \
            WHERE organisation = ?1 AND id > ?5 AND at >= ?3 * 86400000 AND at < (?4 + 1) * 86400000) \
         GROUP BY day, value, outcome",
        axis.column()
    );
    tx.all(&sql, &[&axis.name(), &first, &last, &counted(tx)?], |row| {
        Ok(Tally { day: row.get(0)?, value: row.get(1)?, outcome: row.get(2)?, calls: row.get(3)? })
    })
}

/// How many calls `filter` wants. `None` when only reading every row could tell: for what is in names and arguments, and
/// for a tool and a credential at once.
pub fn counts(tx: &TenantTx<'_>, filter: &Filter) -> Result<Option<Counts>> {
    let both = filter.tool.is_some() && filter.credential.is_some();
    if both || filter.client.is_some() || filter.text.is_some() {
        return Ok(None);
    }
    let mut sum = Counts::default();
    let Span { from, until } = filter.span;
    let first = from.map(|from| Time(from.0 + DAY - 1).utc_day());
    let end = until.map(Time::utc_day);
    if first.zip(end).is_some_and(|(first, end)| first >= end) {
        one_by_one(tx, filter, filter.span, &mut sum)?;
        return Ok(Some(sum));
    }
    let midnight = |day: i64| Time(day * DAY);
    if let (Some(from), Some(first)) = (from, first) {
        one_by_one(tx, filter, Span { from: Some(from), until: Some(midnight(first)) }, &mut sum)?;
    }
    if let (Some(end), Some(until)) = (end, until) {
        one_by_one(tx, filter, Span { from: Some(midnight(end)), until: Some(until) }, &mut sum)?;
    }
    whole_days(tx, filter, first, end, &mut sum)?;
    let uncounted = Span { from: first.map(midnight), until: end.map(midnight) };
    read(tx, filter, uncounted, counted(tx)? + 1, &mut sum)?;
    Ok(Some(sum))
}

/// Adds the counted calls of the days from `first` to the one before `end`.
fn whole_days(
    tx: &TenantTx<'_>,
    filter: &Filter,
    first: Option<i64>,
    end: Option<i64>,
    sum: &mut Counts,
) -> Result<()> {
    let mut conditions = filter.counted_by();
    conditions.and_if("day >= ?", first);
    conditions.and_if("day < ?", end);
    conditions.for_each(tx, "SELECT outcome, calls FROM call_day", "", |row| {
        sum.add(row.get_ref(0)?.as_str()?, row.get(1)?);
        Ok(())
    })
}

/// Adds the calls of `span`, read from the log.
fn one_by_one(tx: &TenantTx<'_>, filter: &Filter, span: Span, sum: &mut Counts) -> Result<()> {
    if span.from == span.until && span.from.is_some() {
        return Ok(());
    }
    read(tx, filter, span, i64::MIN, sum)
}

/// Adds the calls of `span` in the rows from number `first` on.
fn read(tx: &TenantTx<'_>, filter: &Filter, span: Span, first: i64, sum: &mut Counts) -> Result<()> {
    let mut ids = within(tx, span)?;
    ids.first = ids.first.max(first);
    let filter = Filter { span, ..filter.clone() };
    filter.conditions(ids).for_each(tx, "SELECT outcome FROM call_log", "", |row| {
        sum.add(row.get_ref(0)?.as_str()?, 1);
        Ok(())
    })
}

/// Forgets the counts of the days before `day`.
pub(super) fn expire(tx: &TenantTx<'_>, day: i64) -> Result<()> {
    tx.execute("DELETE FROM call_day WHERE organisation = ?1 AND day < ?2", &[&day]).map(|_| ())
}
