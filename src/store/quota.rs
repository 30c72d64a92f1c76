//! Quota: calls in a sliding minute and in a UTC day, counted per organisation in the transaction of the call.

use serde::Serialize;

use super::TenantTx;
use super::organisation::{Limits, Plan};
use crate::clock::{DAY, MINUTE, SECOND, Time};
use crate::error::Result;

/// One window of the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Calls it allows; `None` is no limit.
    pub limit: Option<u32>,
    /// Calls left in it; `None` is no limit.
    pub remaining: Option<u32>,
    /// When a call comes back: for the minute the oldest call's time and 60 s, for the day the next UTC midnight.
    pub resets_at: Time,
}

/// What is left of an organisation's quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The plan it is on.
    pub plan: Plan,
    /// The sliding minute.
    pub minute: Window,
    /// The UTC day.
    pub day: Window,
}

impl Exhausted {
    /// Seconds until a call is possible again, rounded up, at least 1.
    pub fn seconds_from(&self, now: Time) -> i64 {
        ((self.retry_at.0 - now.0 + SECOND - 1) / SECOND).max(1)
    }
}

impl Balance {
    /// What will be left after one more call.
    pub fn less_one(mut self) -> Balance {
        for window in [&mut self.minute, &mut self.day] {
            window.remaining = window.remaining.map(|left| left.saturating_sub(1));
        }
        self
    }

    /// The window that has nothing left; of two, the one that takes longer to come back.
    pub fn exhausted(&self) -> Option<Exhausted> {
        let windows = [("minute", self.minute), ("day", self.day)];
        let empty = windows.into_iter().filter(|(_, window)| window.remaining == Some(0));
        let refusing = empty.map(|(name, window)| Exhausted {
            window: name,
            limit: window.limit.unwrap_or(0),
            retry_at: window.resets_at,
        });
        refusing.max_by_key(|exhausted| exhausted.retry_at)
    }
}

/// Why a call is refused for quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// `minute` or `day`.
    pub window: &'static str,
    /// Calls the window allows.
    pub limit: u32,
    /// When a call is possible again.
    pub retry_at: Time,
}

/// What is left now; counts nothing.
pub fn balance(tx: &TenantTx<'_>, now: Time) -> Result<Balance> {
    Ok(Count::load(tx, now)?.balance())
}

/// Counts one call if there is one left: `Ok` with what is left after it, `Err` with what refuses it, uncounted.
pub fn debit(tx: &TenantTx<'_>, now: Time) -> Result<Result<Balance, (Balance, Exhausted)>> {
    let count = Count::load(tx, now)?;
    let before = count.balance();
    match before.exhausted() {
        Some(exhausted) => Ok(Err((before, exhausted))),
        None => count.debit(tx).map(Ok),
    }
}

/// The calls that an organisation has made, as of the moment when they were looked at.
pub struct Count {
    plan: Plan,
    limits: Limits,
    now: Time,
    day: i64,
    used: u32,
    /// The times of the calls of the last minute, oldest first; empty where the minute has no limit.
    recent: Vec<i64>,
}

impl Count {
    /// Those of this organisation, as of `now`.
    pub fn load(tx: &TenantTx<'_>, now: Time) -> Result<Count> {
        let sql = "SELECT o.plan, o.per_minute, o.per_day, q.day, q.used, q.minute \
                   FROM organisation o LEFT JOIN quota q ON q.organisation = o.id WHERE o.id = ?1";
        let found = tx.first(sql, &[], |row| {
            let plan = Plan::parse(row.get_ref(0)?.as_str().unwrap_or_default()).unwrap_or(Plan::Free);
            let limits = Limits::of(plan, row.get(1)?, row.get(2)?);
            let (day, used) = (row.get::<_, Option<i64>>(3)?, row.get::<_, Option<u32>>(4)?);
            let recent = row.get_ref(5)?.as_blob_or_null().ok().flatten().map(times).unwrap_or_default();
            Ok(Count { plan, limits, now, day: day.unwrap_or(i64::MIN), used: used.unwrap_or(0), recent })
        })?;
        let mut count =
            found.ok_or_else(|| crate::error::Error::internal("an organisation without a row"))?;
        count.roll_on(now);
        Ok(count)
    }

    /// Counts one more call, in the transaction that they were looked at in; what is left after it.
    pub fn debit(mut self, tx: &TenantTx<'_>) -> Result<Balance> {
        self.used = self.used.saturating_add(1);
        if self.limits.per_minute.is_some() {
            self.recent.push(self.now.0);
        }
        self.save(tx)?;
        Ok(self.balance())
    }

    /// What is left.
    pub fn balance(&self) -> Balance {
        let left = |limit: Option<u32>, used: u32| limit.map(|limit| limit.saturating_sub(used));
        let in_minute = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        let minute_resets = self.recent.first().map_or(self.now, |oldest| Time(oldest + MINUTE));
        let Limits { per_minute, per_day } = self.limits;
        Balance {
            plan: self.plan,
            minute: Window {
                limit: per_minute,
                remaining: left(per_minute, in_minute),
                resets_at: minute_resets,
            },
            day: Window {
                limit: per_day,
                remaining: left(per_day, self.used),
                resets_at: Time((self.day + 1) * DAY),
            },
        }
    }

    /// Starts a new day when it has come, and forgets calls older than a minute. A clock set back frees nothing.
    fn roll_on(&mut self, now: Time) {
        if now.utc_day() > self.day {
            self.day = now.utc_day();
            self.used = 0;
        }
        self.recent.retain(|at| *at > now.0 - MINUTE);
    }

    fn save(&self, tx: &TenantTx<'_>) -> Result<()> {
        let minute: Vec<u8> = self.recent.iter().flat_map(|at| at.to_be_bytes()).collect();
        let sql = "INSERT INTO quota (organisation, day, used, minute) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT DO UPDATE SET day = excluded.day, used = excluded.used, minute = excluded.minute";
        tx.execute(sql, &[&self.day, &self.used, &minute])?;
        Ok(())
    }
}

fn times(blob: &[u8]) -> Vec<i64> {
    blob.as_chunks::<8>().0.iter().map(|eight| i64::from_be_bytes(*eight)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_that_takes_longer_refuses() {
        let check = |minute: (u32, i64), day: (u32, i64), expected: Option<(&str, i64)>| {
            let window = |(left, resets): (u32, i64)| Window {
                limit: Some(5),
                remaining: Some(left),
                resets_at: Time(resets),
            };
            let balance = Balance { plan: Plan::Free, minute: window(minute), day: window(day) };
            let found = balance.exhausted().map(|exhausted| (exhausted.window, exhausted.retry_at.0));
            assert_eq!(found, expected, "{minute:?} {day:?}");
        };
        check((1, 50), (1, 10), None);
        check((0, 50), (3, 10), Some(("minute", 50)));
        check((2, 50), (0, 10), Some(("day", 10)));
        check((0, 10), (0, 50), Some(("day", 50)));
        check((0, 50), (0, 10), Some(("minute", 50)));
    }
}
