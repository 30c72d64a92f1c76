//! The WHERE of a list with optional filters: conditions and their values, in step.

use rusqlite::types::ToSql;

use super::TenantTx;
use crate::clock::Time;
use crate::error::Result;

/// A span of time; a side that is not given is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its first moment.
    pub from: Option<Time>,
    /// The first moment after it.
    pub until: Option<Time>,
}

/// Where a list goes on, newest first: the time and the number of the last row that was given.
pub type After = (i64, i64);

/// Conditions of one SELECT. The organisation is `?1` in every one of them.
pub(super) struct Where {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Where {
    /// Rows of the organisation; `column` is the one that holds it.
    pub(super) fn of_organisation(column: &str) -> Where {
        Where { sql: format!(" WHERE {column} = ?1"), values: Vec::new() }
    }

    /// Adds `condition`, whose `?` stands for `value`.
    pub(super) fn and(&mut self, condition: &str, value: impl ToSql + 'static) {
        self.values.push(Box::new(value));
        let place = format!("?{}", self.values.len() + 1);
        self.sql.push_str(" AND ");
        self.sql.push_str(&condition.replace('?', &place));
    }

    /// Adds `condition` if there is a value.
    pub(super) fn and_if(&mut self, condition: &str, value: Option<impl ToSql + 'static>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// Rows whose `column` is one of `values`, if there are any.
    pub(super) fn and_any(&mut self, column: &str, values: impl Iterator<Item = &'static str>) {
        self.and_list(&format!("{column} IN"), values);
    }

    /// Rows whose `column` is none of `values`.
    pub(super) fn and_none(&mut self, column: &str, values: impl Iterator<Item = &'static str>) {
        self.and_list(&format!("{column} NOT IN"), values);
    }

    fn and_list(&mut self, comparison: &str, values: impl Iterator<Item = &'static str>) {
        let first = self.values.len() + 2;
        self.values.extend(values.map(|value| Box::new(value) as Box<dyn ToSql>));
        let places: Vec<String> = (first..self.values.len() + 2).map(|place| format!("?{place}")).collect();
        if !places.is_empty() {
            self.sql.push_str(&format!(" AND {comparison} ({})", places.join(", ")));
        }
    }

    /// Rows whose `column` lies in the span.
    pub(super) fn within(&mut self, column: &str, span: Span) {
        self.and_if(&format!("{column} >= ?"), span.from.map(|time| time.0));
        self.and_if(&format!("{column} < ?"), span.until.map(|time| time.0));
    }

    /// Rows whose (`time`, `id`) comes before `after`: the rest of a list that runs from the newest to the oldest.
    pub(super) fn older_than(&mut self, time: &str, id: &str, after: Option<After>) {
        if let Some((last_time, last_id)) = after {
            self.and(&format!("{time} <= ?"), last_time);
            // The row value narrows what the plain bound, which an index serves, lets through.
            self.values.push(Box::new(last_time));
            self.values.push(Box::new(last_id));
            let place = self.values.len();
            self.sql.push_str(&format!(" AND ({time}, {id}) < (?{place}, ?{})", place + 1));
        }
    }

    /// The rows of `select` (up to its WHERE) with these conditions, ordered and limited by `tail`.
    pub(super) fn all<T>(
        &self,
        tx: &TenantTx<'_>,
        select: &str,
        tail: &str,
        map: impl FnMut(&rusqlite::Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        tx.all(&format!("{select}{}{tail}", self.sql), &self.parameters(), map)
    }

    /// Calls `each` with the rows that [`Where::all`] would answer.
    pub(super) fn for_each(
        &self,
        tx: &TenantTx<'_>,
        select: &str,
        tail: &str,
        each: impl FnMut(&rusqlite::Row<'_>) -> Result<()>,
    ) -> Result<()> {
        tx.for_each(&format!("{select}{}{tail}", self.sql), &self.parameters(), each)
    }

    /// How many rows of `from` these conditions let through.
    pub(super) fn count(&self, tx: &TenantTx<'_>, from: &str) -> Result<i64> {
        tx.number(&format!("SELECT count(*) FROM {from}{}", self.sql), &self.parameters())
    }

    fn parameters(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(|value| &**value).collect()
    }
}
