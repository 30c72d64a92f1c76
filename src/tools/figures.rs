//! What analytics say of a number of conversations: counts, rates, and how they changed.

use serde::Serialize;

use crate::store::analytics::{Group, Tally};

/// The figures of some conversations. A rate is a fraction of 1; null where there is nothing to divide by.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Conversations that began.
    pub sessions: i64,
    /// Their messages.
    pub messages: i64,
    /// Sessions that got a first response, of all sessions.
    pub response_rate: Option<f64>,
    /// Mean time from the visitor's first message to the first answer, of the sessions that got one.
    pub avg_first_response_ms: Option<i64>,
    /// Sessions that a person took over, of all sessions.
    pub handover_rate: Option<f64>,
}

impl Figures {
    /// The figures of what was counted.
    pub fn of(tally: &Tally) -> Figures {
        let mean = tally.response_ms as f64 / tally.answered as f64;
        Figures {
            sessions: tally.sessions,
            messages: tally.messages,
            response_rate: rate(tally.answered, tally.sessions),
            avg_first_response_ms: (tally.answered > 0).then_some(mean.round() as i64),
            handover_rate: rate(tally.handed_over, tally.sessions),
        }
    }
}

/// How much more than before, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Of sessions; null when there were none before.
    pub sessions: Option<f64>,
    /// Of messages; null when there were none before.
    pub messages: Option<f64>,
}

impl Change {
    /// From `before` to `now`.
    pub fn between(before: &Tally, now: &Tally) -> Change {
        Change {
            sessions: change_pct(before.sessions, now.sessions),
            messages: change_pct(before.messages, now.messages),
        }
    }
}

/// A platform's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Platform {
    platform: String,
    sessions: i64,
    messages: i64,
    /// Of all sessions.
    share: Option<f64>,
}

/// The parts of the platforms that have any session, the largest first.
pub fn platforms(groups: &[Group]) -> Vec<Platform> {
    let all = sum(groups).sessions;
    let mut found: Vec<Platform> = Vec::new();
    for group in groups {
        let Tally { sessions, messages, .. } = group.tally;
        match found.iter_mut().find(|part| part.platform == group.platform) {
            Some(part) => {
                part.sessions += sessions;
                part.messages += messages;
            }
            None => {
                found.push(Platform { platform: group.platform.clone(), sessions, messages, share: None })
            }
        }
    }
    for part in &mut found {
        part.share = rate(part.sessions, all);
    }
    found.sort_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| a.platform.cmp(&b.platform)));
    found
}

/// All of them together.
pub fn sum(groups: &[Group]) -> Tally {
    let mut all = Tally::default();
    groups.iter().for_each(|group| all += group.tally);
    all
}

/// `part` of `whole`, to four places; `None` of nothing.
pub fn rate(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 1e4).round() / 1e4)
}

/// How much more `now` is than `before`, in percent to one place; `None` from nothing.
pub fn change_pct(before: i64, now: i64) -> Option<f64> {
    (before > 0).then(|| ((now - before) as f64 / before as f64 * 1e3).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_divided_by_nothing_is_null() {
        let figures = Figures::of(&Tally::default());
        assert_eq!(
            serde_json::to_string(&figures).unwrap(),
            r#"{"sessions":0,"messages":0,"response_rate":null,"avg_first_response_ms":null,"handover_rate":null}"#
        );
        assert_eq!(
            Change::between(&Tally::default(), &Tally::default()),
            Change { sessions: None, messages: None }
        );
    }

    #[test]
    fn rates_and_changes_are_rounded() {
        let tally = Tally { sessions: 3, messages: 10, answered: 2, response_ms: 2_501, handed_over: 1 };
        let figures = Figures::of(&tally);
        assert_eq!(figures.response_rate, Some(0.6667));
        assert_eq!(figures.avg_first_response_ms, Some(1_251));
        assert_eq!(figures.handover_rate, Some(0.3333));
        assert_eq!(change_pct(3, 4), Some(33.3));
        assert_eq!(change_pct(4, 0), Some(-100.0));
    }
}
