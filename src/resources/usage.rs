//! `chaterimo://usage`: the plan, what is left of its two windows, and how many calls there were today and this month.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::{JSON, Kind, json_text};
use crate::clock::{DAY, Time};
use crate::store::call_log::{self, Axis, Counts, Tally};
use crate::store::quota::Window;
use crate::tools::{Cx, Refusal};

/// Free, so that it can be read when the quota is used up.
pub(super) const KIND: Kind = Kind {
    uri: "chaterimo://usage",
    name: "usage",
    title: "Usage",
    description: "The plan, the calls that are left of this minute and of today, and the calls of today and this month \
                  by tool, in UTC. Reading it costs no call.",
    mime_type: JSON,
    free: true,
    extension: None,
    meta: None,
    completes: None,
    read,
};

#[derive(Serialize)]
struct Usage {
    plan: &'static str,
    /// The sliding minute.
    minute: Window,
    /// The UTC day.
    day: Window,
    /// What the log counts is of the whole organisation, so a credential that is limited to some chatbots is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Calls>,
}

#[derive(Serialize)]
struct Calls {
    today: Span,
    month: Span,
}

/// The calls since a UTC midnight.
#[derive(Serialize)]
struct Span {
    since: Time,
    #[serde(flatten)]
    all: Row,
    /// The most called first.
    tools: Vec<Tool>,
}

#[derive(Serialize)]
struct Tool {
    name: String,
    #[serde(flatten)]
    calls: Row,
}

#[derive(Serialize)]
struct Row {
    calls: i64,
    ok: i64,
    /// Turned away before they ran; these cost nothing.
    refused: i64,
    failed: i64,
}

fn read(cx: &Cx<'_>, _: i64) -> Result<String, Refusal> {
    let calls = match cx.tx.chatbots() {
        Some(_) => None,
        None => Some(calls(cx)?),
    };
    let balance = cx.balance;
    json_text(&Usage { plan: balance.plan.as_str(), minute: balance.minute, day: balance.day, calls })
}

fn calls(cx: &Cx<'_>) -> Result<Calls, Refusal> {
    let today = cx.now.utc_day();
    let first = cx.now.timestamp().to_zoned(TimeZone::UTC).first_of_month();
    let month = first.map_or(today, |first| Time(first.timestamp().as_millisecond()).utc_day());
    let tallies = call_log::tallies(cx.tx, Axis::Tool, month, today)?;
    Ok(Calls { today: Span::since(today, &tallies), month: Span::since(month, &tallies) })
}

impl Span {
    fn since(day: i64, tallies: &[Tally]) -> Span {
        let (mut all, mut tools) = (Counts::default(), BTreeMap::<&str, Counts>::new());
        for tally in tallies.iter().filter(|tally| tally.day >= day) {
            all.add(&tally.outcome, tally.calls);
            tools.entry(&tally.value).or_default().add(&tally.outcome, tally.calls);
        }
        let row = |(name, counts): (&str, Counts)| Tool { name: name.to_owned(), calls: Row::of(counts) };
        let mut tools: Vec<Tool> = tools.into_iter().map(row).collect();
        tools.sort_by_key(|tool| -tool.calls.calls);
        Span { since: Time(day * DAY), all: Row::of(all), tools }
    }
}

impl Row {
    fn of(counts: Counts) -> Row {
        let Counts { ok, refused, failed } = counts;
        Row { calls: counts.all(), ok, refused, failed }
    }
}
