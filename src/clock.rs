//! Time and randomness: the only place that asks the operating system for either.
#![allow(clippy::disallowed_methods)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ring::rand::SecureRandom as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC, to the second
/// when the milliseconds are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// Milliseconds in a second.
pub const SECOND: i64 = 1_000;
/// Milliseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Milliseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Milliseconds in a day.
pub const DAY: i64 = 24 * HOUR;

impl Time {
    /// The number of the UTC day this time lies in, counted from 1970-01-01.
    pub fn utc_day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// Reads RFC 3339 (`2026-11-22T08:00:00Z`, any offset). A bare date (`2026-11-22`) is its first moment in UTC.
    pub fn parse(text: &str) -> Option<Time> {
        let timestamp = text.parse::<jiff::Timestamp>().ok();
        let midnight = || {
            let date = text.parse::<jiff::civil::Date>().ok().filter(|_| text.len() == 10)?;
            Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        };
        timestamp.or_else(midnight).map(|t| Time(t.as_millisecond()))
    }

    /// The same moment as jiff has it; a time outside jiff's range becomes 1970-01-01.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default()
    }

    /// This time and `millis` milliseconds.
    pub fn plus(self, millis: i64) -> Time {
        Time(self.0.saturating_add(millis))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        Time::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is no RFC 3339 time such as 2026-11-22T08:00:00Z"))
        })
    }
}

/// Where the time comes from: the system, or a test's hand.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's wall clock.
    #[default]
    System,
    /// A clock that stands until it is set: milliseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that a test moves by hand.
    pub fn manual(start: Time) -> Clock {
        Clock::Manual(Arc::new(AtomicI64::new(start.0)))
    }

    /// The time now.
    pub fn now(&self) -> Time {
        match self {
            Clock::System => Time(jiff::Timestamp::now().as_millisecond()),
            Clock::Manual(millis) => Time(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on by `millis`; the system's clock is left alone.
    pub fn advance(&self, millis: i64) {
        if let Clock::Manual(now) = self {
            now.fetch_add(millis, Ordering::SeqCst);
        }
    }
}

/// A monotonic instant, for durations.
pub fn instant() -> std::time::Instant {
    std::time::Instant::now()
}

/// How long ago `start` was.
pub fn since(start: std::time::Instant) -> std::time::Duration {
    start.elapsed()
}

/// `N` bytes from the operating system's secure generator.
///
/// # Panics
/// When the operating system cannot give random bytes: nothing safe can be done without them.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[allow(clippy::expect_used)]
    ring::rand::SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(Time::parse(text).map(|t| t.to_string()).as_deref(), expected, "{text}");
        };
        check("2026-11-22T08:00:00Z", Some("2026-11-22T08:00:00Z"));
        check("2026-11-22T10:00:00.250+02:00", Some("2026-11-22T08:00:00.25Z"));
        check("2026-11-22", Some("2026-11-22T00:00:00Z"));
        check("yesterday", None);
        check("2026-13-01", None);
    }
}
