//! The overview: what Claude did today, what is left of the quota, and the last 30 days.
//!
//! Days are UTC days, as the quota counts them.

use std::collections::HashMap;

use askama::Template;

use super::chart::{self, Bars, Day};
use super::format::{self, Times};
use super::{Frame, calls, html};
use crate::app;
use crate::clock::{DAY, Time};
use crate::error::Result;
use crate::http::respond::{Answer, Refusal};
use crate::http::visit::Visit;
use crate::store::call_log::{self, Axis, Class, Counts, Credential, Entry, Filter, Span, Tally, Wanted};
use crate::store::dashboard::{self, SettingChange};
use crate::store::quota::{self, Balance, Window};
use crate::store::{TenantTx, analytics, chatbot};

/// Days that are shown, today among them.
const DAYS: i64 = 30;
/// Tools and credentials that are named.
const RANKED_MAX: usize = 8;
/// Changes and refusals that are shown.
const LATEST_MAX: usize = 5;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    frame: Frame<'a>,
    times: Times,
    seen: Seen,
}

/// What the page shows, all of one moment.
struct Seen {
    /// Whether there was any call ever.
    started: bool,
    balance: Balance,
    today: Counts,
    /// Changes that calls of today made.
    changes_today: i64,
    bars: Bars,
    tools: Vec<Ranked>,
    credentials: Vec<(Credential, Ranked)>,
    changes: Vec<Changed>,
    refusals: Vec<(Entry, Credential)>,
    shop: Shop,
}

/// Something that calls are counted of.
struct Ranked {
    name: String,
    calls: i64,
    /// The most that anything of its list has.
    most: i64,
}

/// A change of a chatbot, with the chatbot's name.
struct Changed {
    change: SettingChange,
    chatbot: String,
}

/// The shop's own figures of the last 30 days.
struct Shop {
    conversations: i64,
    messages: i64,
    leads: i64,
    open_tickets: i64,
}

/// What happened today, and what is left.
pub(in crate::http) fn show(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let (visitor, now) = (visit.member()?, visit.asked.now());
    let organisation = &visitor.organisation;
    let store = &visit.asked.site.app.store;
    let seen = store.read(|tx| Seen::look(&tx.tenant(organisation.tenant), now))?;
    let times = Times::new(&organisation.timezone, now);
    html(&Page { frame: Frame::new(visit, "Overview", "/"), times, seen })
}

impl Seen {
    fn look(tx: &TenantTx<'_>, now: Time) -> Result<Seen> {
        let (first, today) = (now.utc_day() - (DAYS - 1), now.utc_day());
        let days = days(call_log::tallies(tx, Axis::All, first, today)?, first, today);
        let tools = call_log::tallies(tx, Axis::Tool, first, today)?;
        Ok(Seen {
            started: call_log::any(tx)?,
            balance: quota::balance(tx, now)?,
            today: days.last().map(|day| day.counts).unwrap_or_default(),
            changes_today: tools
                .iter()
                .filter(|tally| is_change(tally, today))
                .map(|tally| tally.calls)
                .sum(),
            bars: Bars::new(days),
            tools: ranked(&tools),
            credentials: credentials(tx, first, today)?,
            changes: changes(tx)?,
            refusals: refusals(tx, now)?,
            shop: Shop::look(tx, now)?,
        })
    }
}

/// What is left of a window, and of how much; `None` without a limit.
fn left(window: &Window) -> Option<(i64, i64)> {
    Some((window.remaining?.into(), window.limit?.into()))
}

fn is_change(tally: &Tally, today: i64) -> bool {
    tally.day == today && tally.outcome == "ok" && app::changes_something(&tally.value)
}

/// Every day from `first` to `last`, those without calls too.
fn days(tallies: Vec<Tally>, first: i64, last: i64) -> Vec<Day> {
    let mut days: Vec<Day> = (first..=last).map(|day| Day { day, counts: Counts::default() }).collect();
    for tally in tallies {
        let place = usize::try_from(tally.day - first).unwrap_or(usize::MAX);
        if let Some(day) = days.get_mut(place) {
            day.counts.add(&tally.outcome, tally.calls);
        }
    }
    days
}

/// What is counted, the most calls first.
fn ranked(tallies: &[Tally]) -> Vec<Ranked> {
    let mut sums: HashMap<&str, i64> = HashMap::new();
    for tally in tallies {
        *sums.entry(&tally.value).or_default() += tally.calls;
    }
    let most = sums.values().copied().max().unwrap_or(0);
    let mut ranked: Vec<Ranked> =
        sums.into_iter().map(|(name, calls)| Ranked { name: name.to_owned(), calls, most }).collect();
    ranked.sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| a.name.cmp(&b.name)));
    ranked.truncate(RANKED_MAX);
    ranked
}

fn credentials(tx: &TenantTx<'_>, first: i64, today: i64) -> Result<Vec<(Credential, Ranked)>> {
    let tallies = call_log::tallies(tx, Axis::Credential, first, today)?;
    let named = ranked(&tallies).into_iter().map(|row| Ok((call_log::credential(tx, &row.name)?, row)));
    named.collect()
}

fn changes(tx: &TenantTx<'_>) -> Result<Vec<Changed>> {
    let changes = dashboard::setting_changes(tx, LATEST_MAX as i64)?;
    let mut named = Vec::with_capacity(changes.len());
    for change in changes {
        let chatbot = chatbot::name(tx, change.chatbot_id)?;
        named.push(Changed {
            chatbot: chatbot.unwrap_or_else(|| format!("Chatbot {}", change.chatbot_id)),
            change,
        });
    }
    Ok(named)
}

fn refusals(tx: &TenantTx<'_>, now: Time) -> Result<Vec<(Entry, Credential)>> {
    let filter = Filter {
        span: Span { from: Some(now.plus(-DAYS * DAY)), until: None },
        outcome: Some(Wanted::Class(Class::Refused)),
        ..Filter::default()
    };
    let found = call_log::page(tx, &filter, None, LATEST_MAX)?;
    let named = found.calls.into_iter().map(|call| {
        let credential = call_log::credential(tx, &call.credential)?;
        Ok((call, credential))
    });
    named.collect()
}

impl Shop {
    fn look(tx: &TenantTx<'_>, now: Time) -> Result<Shop> {
        let from = now.plus(-DAYS * DAY);
        let groups = analytics::groups(tx, from, now, None)?;
        Ok(Shop {
            conversations: groups.iter().map(|group| group.tally.sessions).sum(),
            messages: groups.iter().map(|group| group.tally.messages).sum(),
            leads: dashboard::leads_since(tx, from)?,
            open_tickets: dashboard::open_tickets(tx)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(day: i64, value: &str, outcome: &str, calls: i64) -> Tally {
        Tally { day, value: value.into(), outcome: outcome.into(), calls }
    }

    #[test]
    fn days_without_calls_are_there() {
        let found = days(
            vec![tally(7, "", "ok", 3), tally(7, "", "internal", 1), tally(9, "", "read_only", 2)],
            6,
            9,
        );
        let sums: Vec<_> = found.iter().map(|day| (day.day, day.counts.ok, day.counts.all())).collect();
        assert_eq!(sums, [(6, 0, 0), (7, 3, 4), (8, 0, 0), (9, 0, 2)]);
    }

    #[test]
    fn the_most_comes_first() {
        let found = ranked(&[tally(1, "a", "ok", 1), tally(1, "b", "ok", 5), tally(2, "a", "internal", 9)]);
        let sums: Vec<_> = found.iter().map(|row| (row.name.as_str(), row.calls, row.most)).collect();
        assert_eq!(sums, [("a", 10, 10), ("b", 5, 10)]);
    }

    #[test]
    fn a_change_is_an_answered_call_of_a_tool_that_writes() {
        let check = |tool: &str, outcome: &str, day: i64, expected: bool| {
            assert_eq!(is_change(&tally(day, tool, outcome, 1), 4), expected, "{tool} {outcome}");
        };
        check("update_chatbot_model", "ok", 4, true);
        check("update_chatbot_model", "ok", 3, false);
        check("update_chatbot_model", "read_only", 4, false);
        check("list_chatbots", "ok", 4, false);
    }
}
