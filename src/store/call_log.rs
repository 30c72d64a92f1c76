//! The call log: every tools/call, refused ones too.

use serde::Serialize;

use super::TenantTx;
use crate::clock::Time;
use crate::error::Result;

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
    pub outcome: String,
    /// From arrival to the answer, in microseconds.
    pub duration_us: i64,
    /// Calls left of the day after it; `None` without a limit.
    pub day_remaining: Option<u32>,
}

/// Appends a call.
pub fn append(tx: &TenantTx<'_>, call: &Call) -> Result<()> {
    let sql = "INSERT INTO call_log (organisation, id, at, credential, client, client_version, transport, endpoint, \
               tool, arguments, outcome, duration_us, day_remaining) \
               SELECT ?1, coalesce(max(id), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 \
               FROM call_log WHERE organisation = ?1";
    tx.execute(
        sql,
        &[
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
    Ok(())
}

/// How many calls are in the log, and how many of them were answered with success.
pub fn count(tx: &TenantTx<'_>) -> Result<(i64, i64)> {
    let all = tx.number("SELECT count(*) FROM call_log WHERE organisation = ?1", &[])?;
    let ok = tx.number("SELECT count(*) FROM call_log WHERE organisation = ?1 AND outcome = 'ok'", &[])?;
    Ok((all, ok))
}
