//! The call log: every tools/call, refused ones too.

mod counts;
mod credentials;
mod outcome;
mod search;

use serde::Serialize;

use super::{Durability, Store, TenantTx, organisation};
use crate::clock::{DAY, Time};
use crate::error::Result;

pub use super::filter::Span;
pub use counts::{Axis, Counts, Tally, counts, tallies};
pub use credentials::{Credential, all_credentials, credential};
pub use outcome::{Class, Wanted};
pub use search::{Entry, Filter, Found, LOOKED_AT_MAX, each, page};

/// Rows looked at in one commit, so that the calls of others wait for milliseconds at most.
const AT_ONCE: i64 = 1_000;

/// One call.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// When it came.
    pub at: Time,
    /// Which credential, such as `key:3`.
    pub credential: String,
    /// What the client calls itself.
    pub client: String,
    /// The client's version, in its own words.
    pub client_version: String,
    /// `http` or `stdio`.
    pub transport: &'static str,
    /// `full` or `readonly`.
    pub endpoint: &'static str,
    /// The tool that was called.
    pub tool: &'static str,
    /// Its arguments in JSON, long texts cut and personal data masked.
    pub arguments: String,
    /// `ok`, or the code of the error or refusal.
    pub outcome: &'static str,
    /// From arrival to the answer, in microseconds.
    pub duration_us: i64,
    /// Calls left of the day after it; `None` without a limit.
    pub day_remaining: Option<u32>,
}

/// Appends a call; the days' counts take in those before it when it is the last of so many.
pub fn append(tx: &TenantTx<'_>, call: &Call) -> Result<()> {
    let id = 1 + last(tx)?;
    let sql = "INSERT INTO call_log (organisation, id, at, credential, client, client_version, transport, endpoint, \
               tool, arguments, outcome, duration_us, day_remaining) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    tx.execute(
        sql,
        &[
            &id,
            &call.at.0,
            &call.credential,
            &call.client,
            &call.client_version,
            &call.transport,
            &call.endpoint,
            &call.tool,
            &call.arguments,
            &call.outcome,
            &call.duration_us,
            &call.day_remaining,
        ],
    )?;
    match id % counts::AT_ONCE {
        0 => counts::take_in(tx, id),
        _ => Ok(()),
    }
}

/// The number of the last call; 0 where there is none.
fn last(tx: &TenantTx<'_>) -> Result<i64> {
    tx.number("SELECT max(id) FROM call_log WHERE organisation = ?1", &[])
}

/// Deletes every organisation's calls from before the UTC day of `before`, in small commits; how many. Whole days, so
/// that the days' counts go with them.
///
/// # Errors
/// Those of the store; what was deleted until then is gone.
pub fn expire(store: &Store, before: Time) -> Result<usize> {
    let (mut deleted, day) = (0, before.utc_day());
    let before = Time(day * DAY);
    for organisation in store.read(organisation::list)? {
        let tenant = organisation.tenant;
        store.write(Durability::Process, move |tx| counts::expire(&tx.tenant(tenant), day))?;
        loop {
            match store.write(Durability::Process, move |tx| expire_some(&tx.tenant(tenant), before))? {
                0 => break,
                some => deleted += some,
            }
        }
    }
    Ok(deleted)
}

/// Numbers grow with time: where none of the first rows is old, none is, and nobody reads the rest of the log.
fn expire_some(tx: &TenantTx<'_>, before: Time) -> Result<usize> {
    let sql = "DELETE FROM call_log WHERE organisation = ?1 AND at < ?2 AND id < \
               (SELECT min(id) FROM call_log WHERE organisation = ?1) + ?3";
    tx.execute(sql, &[&before.0, &AT_ONCE])
}

/// Whether there is any call in the log.
pub fn any(tx: &TenantTx<'_>) -> Result<bool> {
    Ok(last(tx)? > 0)
}

/// How many calls are in the log, and how many of them were answered with success.
pub fn count(tx: &TenantTx<'_>) -> Result<(i64, i64)> {
    let all = tx.number("SELECT count(*) FROM call_log WHERE organisation = ?1", &[])?;
    let ok = tx.number("SELECT count(*) FROM call_log WHERE organisation = ?1 AND outcome = 'ok'", &[])?;
    Ok((all, ok))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::organisation::Plan;

    #[test]
    fn what_is_old_is_forgotten_for_every_organisation() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let call = |at| Call {
            at: Time(at),
            credential: "key:1".into(),
            client: String::new(),
            client_version: String::new(),
            transport: "http",
            endpoint: "full",
            tool: "list_chatbots",
            arguments: "{}".into(),
            outcome: "ok",
            duration_us: 1,
            day_remaining: None,
        };
        let fill = |slug: &'static str, old: i64, new: i64| {
            let filled = store.write(Durability::Process, move |tx| {
                let tenant = organisation::create(tx, slug, slug, Plan::Free, Time(0))?.tenant;
                (0..old + new).try_for_each(|n| {
                    append(&tx.tenant(tenant), &call(if n < old { 2 * DAY - 1 } else { 2 * DAY }))
                })?;
                Ok(tenant)
            });
            filled.unwrap()
        };
        let tenants = [fill("many", AT_ONCE * 2 + 5, 3), fill("none", 0, 2), fill("all", 4, 0)];
        let counts = || tenants.map(|tenant| store.read(|tx| count(&tx.tenant(tenant))).unwrap().0);
        assert_eq!(counts(), [AT_ONCE * 2 + 8, 2, 4]);
        let tallied = || store.read(|tx| tallies(&tx.tenant(tenants[0]), Axis::All, 0, 9)).unwrap();
        let days = || tallied().iter().map(|tally| (tally.day, tally.calls)).collect::<Vec<_>>();
        assert_eq!(days(), [(1, 2_005), (2, 3)]);
        assert_eq!(expire(&store, Time(3 * DAY - 1)).unwrap(), 2_009);
        assert_eq!(counts(), [3, 2, 0]);
        assert_eq!(days(), [(2, 3)]);
        assert_eq!(expire(&store, Time(3 * DAY - 1)).unwrap(), 0);
    }
}
