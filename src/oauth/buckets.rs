//! Token buckets by key, in memory and bounded: how often one address, or one person, may do something costly.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::clock::Time;

/// Keys remembered at a time.
const MAX_KEYS: usize = 10_000;

/// A bucket for each key.
pub(super) struct Buckets<K> {
    /// What a full bucket holds.
    burst: f64,
    /// What flows in a second.
    rate: f64,
    levels: Mutex<HashMap<K, Level>>,
}

#[derive(Clone, Copy)]
struct Level {
    tokens: f64,
    at: Time,
}

impl<K: Eq + Hash + Clone> Buckets<K> {
    /// Buckets of `burst` that refill at `rate` a second.
    pub(super) fn new(burst: u32, rate: f64) -> Buckets<K> {
        Buckets { burst: burst.into(), rate, levels: Mutex::default() }
    }

    /// Takes one from the bucket of `key`; whether there was one.
    pub(super) fn take(&self, key: &K, now: Time) -> bool {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MAX_KEYS && !levels.contains_key(key) {
            self.make_room(&mut levels, now);
        }
        let level = levels.entry(key.clone()).or_insert(Level { tokens: self.burst, at: now });
        *level = Level { tokens: self.filled(*level, now), at: now };
        let there = level.tokens >= 1.0;
        if there {
            level.tokens -= 1.0;
        }
        there
    }

    /// What a bucket holds by now; a clock that was set back lets nothing flow.
    #[allow(clippy::cast_precision_loss)] // milliseconds between two requests
    fn filled(&self, level: Level, now: Time) -> f64 {
        let seconds = (now.0.saturating_sub(level.at.0)).max(0) as f64 / 1_000.0;
        (level.tokens + seconds * self.rate).min(self.burst)
    }

    /// Forgets whoever has a full bucket again, and when that is not enough, the half that asked longest ago.
    fn make_room(&self, levels: &mut HashMap<K, Level>, now: Time) {
        levels.retain(|_, level| self.filled(*level, now) < self.burst);
        if levels.len() < MAX_KEYS {
            return;
        }
        let mut times: Vec<Time> = levels.values().map(|level| level.at).collect();
        let (_, median, _) = times.select_nth_unstable(MAX_KEYS / 2);
        let median = *median;
        levels.retain(|_, level| level.at > median);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_as_much_as_flows() {
        let buckets = Buckets::new(3, 2.0);
        let check = |millis: i64, expected: usize| {
            let taken = (0..10).filter(|_| buckets.take(&"a", Time(millis))).count();
            assert_eq!(taken, expected, "at {millis}");
        };
        check(0, 3);
        check(499, 0);
        check(999, 1);
        check(60_000, 3);
        check(0, 0);
        assert!(buckets.take(&"b", Time(60_000)), "each key has its own");
    }

    #[test]
    fn keys_are_bounded() {
        let buckets = Buckets::new(1, 0.001);
        for key in 0..3 * MAX_KEYS {
            buckets.take(&key, Time(key as i64));
        }
        assert!(buckets.levels.lock().unwrap().len() <= MAX_KEYS);
        assert!(!buckets.take(&(3 * MAX_KEYS - 1), Time(3 * MAX_KEYS as i64)), "the latest are remembered");
    }
}
