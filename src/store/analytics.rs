//! Counts of conversations over any span of time, from rows that the database keeps by UTC day (`0005_analytics.sql`).
//!
//! A conversation counts, with all its messages, when it began. A span is made of whole UTC days, and at its two ends
//! of the conversations themselves: so it is exact for the days of every time zone.

use std::collections::HashMap;

use super::TenantTx;
use crate::clock::{DAY, Time};
use crate::error::Result;

/// What is counted of some conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Conversations that began.
    pub sessions: i64,
    /// Their messages, of visitor, chatbot and people.
    pub messages: i64,
    /// How many of them got a first response.
    pub answered: i64,
    /// The times those first responses took, summed, in milliseconds.
    pub response_ms: i64,
    /// How many of them a person took over.
    pub handed_over: i64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.sessions += more.sessions;
        self.messages += more.messages;
        self.answered += more.answered;
        self.response_ms += more.response_ms;
        self.handed_over += more.handed_over;
    }
}

/// What is counted of one chatbot's conversations on one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The chatbot's number.
    pub chatbot: i64,
    /// `web`, `whatsapp` or `messenger`.
    pub platform: String,
    /// The counts; at least one session.
    pub tally: Tally,
}

/// Conversations and messages of one part of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Conversations that began.
    pub sessions: i64,
    /// Their messages.
    pub messages: i64,
}

/// What began from `from` on and before `until`, by chatbot and platform; of `chatbot` alone when it is given.
pub fn groups(tx: &TenantTx<'_>, from: Time, until: Time, chatbot: Option<i64>) -> Result<Vec<Group>> {
    // Whole days from the one that `from` lies in to the one before that of `until`, less what came before `from` in
    // the first, and what came before `until` in the last.
    let sql = "SELECT chatbot, platform, sum(n), sum(messages), sum(answered), sum(response_ms), sum(handed_over) \
               FROM (SELECT chatbot, platform, sessions AS n, messages, answered, response_ms, handed_over \
                     FROM analytics_day WHERE organisation = ?1 AND day >= ?2 / 86400000 AND day < ?4 / 86400000 \
                     UNION ALL \
                     SELECT chatbot, platform, by, by * message_count, by * (first_response_ms IS NOT NULL), \
                            by * coalesce(first_response_ms, 0), by * (handed_over_at IS NOT NULL) \
                     FROM (SELECT -1 AS by, ?2 AS low, ?3 AS high UNION ALL SELECT 1, ?4, ?5) \
                     CROSS JOIN conversation \
                     WHERE organisation = ?1 AND started_at >= low AND started_at < high) \
               WHERE ?6 IS NULL OR chatbot = ?6 GROUP BY chatbot, platform HAVING sum(n) > 0";
    let until = until.max(from);
    let (first, last) = (day_start(from), day_start(until));
    tx.all(sql, &[&first.0, &from.0, &last.0, &until.0, &chatbot], |row| {
        let tally = Tally {
            sessions: row.get(2)?,
            messages: row.get(3)?,
            answered: row.get(4)?,
            response_ms: row.get(5)?,
            handed_over: row.get(6)?,
        };
        Ok(Group { chatbot: row.get(0)?, platform: row.get(1)?, tally })
    })
}

/// What began between each of `borders`, which ascend, and the next; of `chatbot` alone when it is given.
pub fn series(tx: &TenantTx<'_>, borders: &[Time], chatbot: Option<i64>) -> Result<Vec<Count>> {
    let (Some(first), Some(last)) = (borders.first(), borders.last()) else { return Ok(Vec::new()) };
    let days = Days::load(tx, first.utc_day(), last.utc_day(), chatbot)?;
    let mut before = Vec::with_capacity(borders.len());
    for border in borders {
        before.push(days.before(tx, *border)?);
    }
    let between = |pair: &[Count]| Count {
        sessions: pair[1].sessions - pair[0].sessions,
        messages: pair[1].messages - pair[0].messages,
    };
    Ok(before.windows(2).map(between).collect())
}

/// Everything that ever began.
pub fn all_time(tx: &TenantTx<'_>) -> Result<Count> {
    let sql = "SELECT coalesce(sum(sessions), 0), coalesce(sum(messages), 0) FROM analytics_day \
               WHERE organisation = ?1";
    let found = tx.first(sql, &[], |row| Ok(Count { sessions: row.get(0)?, messages: row.get(1)? }))?;
    Ok(found.unwrap_or_default())
}

/// What began on the UTC days of a period, added up: any moment in it is then one look-up and a part of a day away.
struct Days {
    chatbot: Option<i64>,
    first: i64,
    /// For each day, what began from the first day on and before it.
    sums: Vec<Count>,
}

impl Days {
    /// The days from `first` to `last`.
    fn load(tx: &TenantTx<'_>, first: i64, last: i64, chatbot: Option<i64>) -> Result<Days> {
        let sql = "SELECT day, sum(sessions), sum(messages) FROM analytics_day \
                   WHERE organisation = ?1 AND day >= ?2 AND day <= ?3 AND (?4 IS NULL OR chatbot = ?4) GROUP BY day";
        let mut of_day = HashMap::new();
        tx.for_each(sql, &[&first, &last, &chatbot], |row| {
            of_day.insert(row.get::<_, i64>(0)?, Count { sessions: row.get(1)?, messages: row.get(2)? });
            Ok(())
        })?;
        let mut sum = Count::default();
        let mut sums = vec![sum];
        for day in first..=last {
            let count = of_day.get(&day).copied().unwrap_or_default();
            sum = Count { sessions: sum.sessions + count.sessions, messages: sum.messages + count.messages };
            sums.push(sum);
        }
        Ok(Days { chatbot, first, sums })
    }

    /// What began from the first day on and before `moment`: counted from the nearer of the midnights around it.
    fn before(&self, tx: &TenantTx<'_>, moment: Time) -> Result<Count> {
        let start = day_start(moment);
        let end = start.plus(DAY);
        let (midnight, sign, low, high) =
            if moment.0 - start.0 <= DAY / 2 { (start, 1, start, moment) } else { (end, -1, moment, end) };
        let place = usize::try_from(midnight.utc_day() - self.first).unwrap_or(0);
        let sum = self.sums.get(place).copied().unwrap_or_default();
        let part = part(tx, low, high, self.chatbot)?;
        Ok(Count {
            sessions: sum.sessions + sign * part.sessions,
            messages: sum.messages + sign * part.messages,
        })
    }
}

/// What began from `low` on and before `high`, within one UTC day.
fn part(tx: &TenantTx<'_>, low: Time, high: Time, chatbot: Option<i64>) -> Result<Count> {
    if low >= high {
        return Ok(Count::default());
    }
    let sql = "SELECT count(*), coalesce(sum(message_count), 0) FROM conversation INDEXED BY conversation_by_start \
               WHERE organisation = ?1 AND started_at >= ?2 AND started_at < ?3 AND (?4 IS NULL OR chatbot = ?4)";
    let found = tx.first(sql, &[&low.0, &high.0, &chatbot], |row| {
        Ok(Count { sessions: row.get(0)?, messages: row.get(1)? })
    })?;
    Ok(found.unwrap_or_default())
}

fn day_start(moment: Time) -> Time {
    Time(moment.utc_day() * DAY)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::HOUR;
    use crate::store::organisation::{self, Plan};
    use crate::store::testing::{self, Talk};
    use crate::store::{Durability, Store, Tenant};

    fn organisation(store: &Store, slug: &'static str) -> Tenant {
        let made =
            |tx: &crate::store::SystemTx<'_>| organisation::create(tx, slug, slug, Plan::Paid, Time(0));
        store.write(Durability::Process, made).unwrap().tenant
    }

    fn seed(store: &Store, tenant: Tenant, job: impl FnOnce(&TenantTx<'_>) -> Result<()> + Send + 'static) {
        store.write(Durability::Process, move |tx| job(&tx.tenant(tenant))).unwrap();
    }

    /// A change of the conversations: the whole row for this id, or none.
    type Step = (i64, Option<Talk>);

    fn talk() -> impl Strategy<Value = Talk> {
        let moment = prop_oneof![
            // Around midnight and noon of four days, one of them before 1970.
            (-2_i64..3, prop::sample::select(vec![-1_i64, 0, 1, 12 * HOUR, 12 * HOUR + 1]))
                .prop_map(|(day, rest)| day * DAY + rest),
            -2 * DAY..3 * DAY,
        ];
        let platform = prop::sample::select(vec!["web", "whatsapp", "messenger"]);
        let response = prop::option::of(0_i64..100_000);
        (1_i64..4, platform, moment, 0_i64..30, response, any::<bool>()).prop_map(
            |(chatbot, platform, started_at, messages, first_response_ms, handed_over)| Talk {
                chatbot,
                platform,
                started_at: Time(started_at),
                messages,
                first_response_ms,
                handed_over,
            },
        )
    }

    fn tally(talk: &Talk) -> Tally {
        Tally {
            sessions: 1,
            messages: talk.messages,
            answered: i64::from(talk.first_response_ms.is_some()),
            response_ms: talk.first_response_ms.unwrap_or(0),
            handed_over: i64::from(talk.handed_over),
        }
    }

    /// A naive count of the same.
    fn recount(talks: &BTreeMap<i64, Talk>, from: Time, until: Time, chatbot: Option<i64>) -> Vec<Group> {
        let mut found: BTreeMap<(i64, &str), Tally> = BTreeMap::new();
        for talk in talks.values() {
            let within = talk.started_at >= from && talk.started_at < until;
            if within && chatbot.is_none_or(|wanted| wanted == talk.chatbot) {
                *found.entry((talk.chatbot, talk.platform)).or_default() += tally(talk);
            }
        }
        let group = |((chatbot, platform), tally): ((i64, &str), Tally)| Group {
            chatbot,
            platform: platform.into(),
            tally,
        };
        found.into_iter().map(group).collect()
    }

    fn play(store: &Store, tenant: Tenant, steps: &[Step]) -> BTreeMap<i64, Talk> {
        let mut model = BTreeMap::new();
        for (id, talk) in steps {
            match talk {
                Some(talk) => model.insert(*id, talk.clone()),
                None => model.remove(id),
            };
        }
        let steps = steps.to_vec();
        seed(store, tenant, move |tx| {
            (1..4).try_for_each(|id| testing::chatbot(tx, id, "Bot"))?;
            steps.iter().try_for_each(|(id, talk)| match talk {
                Some(talk) => testing::put(tx, *id, talk),
                None => testing::remove(tx, *id),
            })
        });
        model
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

        #[test]
        fn counts_are_what_a_recount_of_the_rows_says(
            steps in prop::collection::vec((1_i64..12, prop::option::weighted(0.8, talk())), 0..40),
            theirs in prop::collection::vec((1_i64..12, prop::option::weighted(0.8, talk())), 0..20),
            mut borders in prop::collection::vec(-2 * DAY..3 * DAY, 2..6),
            chatbot in prop::option::of(1_i64..4),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            play(&store, organisation(&store, "theirs"), &theirs);
            let tenant = organisation(&store, "ours");
            let model = play(&store, tenant, &steps);
            borders.sort_unstable();
            let borders: Vec<Time> = borders.into_iter().map(Time).collect();
            let (from, until) = (borders[0], borders[borders.len() - 1]);
            let everything = recount(&model, Time(i64::MIN), Time(i64::MAX), None);

            let (found, days, all, kept) = store.read(|tx| {
                let tx = tx.tenant(tenant);
                let (found, days) = (groups(&tx, from, until, chatbot)?, series(&tx, &borders, chatbot)?);
                Ok((found, days, all_time(&tx)?, testing::analytics_rows(&tx)?))
            }).unwrap();

            prop_assert_eq!(found, recount(&model, from, until, chatbot));
            let naive: Vec<Count> = borders.windows(2).map(|pair| total(&recount(&model, pair[0], pair[1], chatbot))).collect();
            prop_assert_eq!(days, naive);
            prop_assert_eq!(all, total(&everything));
            let days_with_any: std::collections::BTreeSet<_> =
                model.values().map(|talk| (talk.started_at.utc_day(), talk.chatbot, talk.platform)).collect();
            prop_assert_eq!(kept, days_with_any.len() as i64, "a row for each day that has any, and no other");
        }
    }

    fn total(groups: &[Group]) -> Count {
        groups.iter().fold(Count::default(), |sum, group| Count {
            sessions: sum.sessions + group.tally.sessions,
            messages: sum.messages + group.tally.messages,
        })
    }

    #[test]
    fn a_row_that_is_replaced_or_ignored_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let tenant = organisation(&store, "ours");
        let talk = Talk { messages: 3, ..Talk::at(Time(5)) };
        play(&store, tenant, &[(1, Some(talk.clone()))]);
        let check = |verb: &'static str, messages: i64, expected: Count| {
            let talk = Talk { messages, ..talk.clone() };
            seed(&store, tenant, move |tx| testing::insert(tx, verb, 1, &talk));
            assert_eq!(store.read(|tx| all_time(&tx.tenant(tenant))).unwrap(), expected, "{verb}");
        };
        check("INSERT OR IGNORE", 9, Count { sessions: 1, messages: 3 });
        check("INSERT OR REPLACE", 7, Count { sessions: 1, messages: 7 });
    }
}
