//! How pages write times, numbers and durations.
//!
//! A time stands in the organisation's zone, with the moment in UTC in its title; `assets/times.js` shows it in the
//! reader's own zone instead.

use std::borrow::Borrow;
use std::fmt;

use askama::filters::HtmlSafe;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::clock::{DAY, HOUR, MINUTE, SECOND, Time};

/// A zone and the present moment: what a page needs to write times.
pub(in crate::http) struct Times {
    zone: TimeZone,
    now: Time,
}

impl Times {
    /// For readers in the IANA zone `timezone`; UTC when there is none of that name.
    pub(in crate::http) fn new(timezone: &str, now: Time) -> Times {
        Times { zone: TimeZone::get(timezone).unwrap_or(TimeZone::UTC), now }
    }

    /// The zone's name: `Europe/Berlin`.
    pub(in crate::http) fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// `22 Nov 2026, 09:00` as a `<time>` element.
    pub(in crate::http) fn at(&self, at: &Time) -> Moment {
        self.moment(*at, "%-d %b %Y, %H:%M", "short")
    }

    /// `22 Nov 2026, 09:00:12` as a `<time>` element.
    pub(in crate::http) fn second(&self, at: &Time) -> Moment {
        self.moment(*at, "%-d %b %Y, %H:%M:%S", "medium")
    }

    /// `3 minutes ago` or `in 2 hours` as a `<time>` element; beyond a month, as [`Times::at`].
    pub(in crate::http) fn ago(&self, at: &Time) -> Moment {
        match relative(self.now.0 - at.0) {
            Some(text) => Moment { at: *at, text, style: "relative" },
            None => self.at(at),
        }
    }

    /// The first moment of `day` in the zone.
    pub(in crate::http) fn midnight(&self, day: Date) -> Option<Time> {
        Some(Time(day.to_zoned(self.zone.clone()).ok()?.timestamp().as_millisecond()))
    }

    fn moment(&self, at: Time, format: &str, style: &'static str) -> Moment {
        let text = at.timestamp().to_zoned(self.zone.clone()).strftime(format).to_string();
        Moment { at, text, style }
    }
}

/// A `<time>` element. What is in it needs no escaping.
pub(in crate::http) struct Moment {
    at: Time,
    text: String,
    /// How `assets/times.js` writes it: `short`, `medium` (with seconds), or `relative` (not at all).
    style: &'static str,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = Time(self.at.0.div_euclid(SECOND) * SECOND).timestamp();
        write!(f, "<time datetime=\"{utc}\" title=\"{}\"", utc.strftime("%Y-%m-%d %H:%M:%S UTC"))?;
        match self.style {
            "short" => write!(f, ">{}</time>", self.text),
            style => write!(f, " data-style=\"{style}\">{}</time>", self.text),
        }
    }
}

impl HtmlSafe for Moment {}

/// A span of milliseconds before now in words; what lies ahead is negative. `None` beyond 30 days.
fn relative(ago: i64) -> Option<String> {
    let (span, ahead) = (ago.saturating_abs(), ago < 0);
    let (number, unit) = match span {
        ..MINUTE => return Some(if ahead { "in a moment" } else { "just now" }.to_owned()),
        MINUTE..HOUR => (span / MINUTE, "minute"),
        HOUR..DAY => (span / HOUR, "hour"),
        _ if span < 30 * DAY => (span / DAY, "day"),
        _ => return None,
    };
    let words = count(number, unit);
    Some(if ahead { format!("in {words}") } else { format!("{words} ago") })
}

// Templates hand over numbers or references to them, so these take either.

/// `1 call`, `1,234 calls`; `unit` is a noun that takes an s.
pub(in crate::http) fn count(n: impl Borrow<i64>, unit: &str) -> String {
    let n = *n.borrow();
    format!("{} {unit}{}", number(n), if n == 1 { "" } else { "s" })
}

/// A number with its thousands apart: `1,234,567`.
pub(in crate::http) fn number(n: impl Borrow<i64>) -> String {
    let n = *n.borrow();
    let digits = n.unsigned_abs().to_string();
    let mut text = String::from(if n < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in microseconds: `340 µs`, `1.2 ms`, `12 ms`, `2.3 s`.
pub(in crate::http) fn duration(us: impl Borrow<i64>) -> String {
    let us = (*us.borrow()).max(0);
    let tenths = |unit: i64| format!("{}.{}", us / unit, us % unit * 10 / unit);
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{} ms", tenths(1_000)),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..60_000_000 => format!("{} s", tenths(1_000_000)),
        _ => format!("{} s", number(us / 1_000_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T08:00:00Z.
    const NOW: Time = Time(1_795_334_400_000);

    #[test]
    fn times_in_the_zone_with_utc_at_hand() {
        let check = |zone: &str, expected: &str| {
            assert_eq!(Times::new(zone, NOW).at(&NOW).to_string(), expected);
        };
        let utc = "<time datetime=\"2026-11-22T08:00:00Z\" title=\"2026-11-22 08:00:00 UTC\">";
        check("UTC", &format!("{utc}22 Nov 2026, 08:00</time>"));
        check("Europe/Berlin", &format!("{utc}22 Nov 2026, 09:00</time>"));
        check("Mars/Olympus", &format!("{utc}22 Nov 2026, 08:00</time>"));
        let second = Times::new("UTC", NOW).second(&NOW.plus(250)).to_string();
        assert!(second.ends_with(" data-style=\"medium\">22 Nov 2026, 08:00:00</time>"), "{second}");
    }

    #[test]
    fn spans_in_words() {
        let check = |ago: i64, expected: Option<&str>| assert_eq!(relative(ago).as_deref(), expected);
        check(0, Some("just now"));
        check(-1, Some("in a moment"));
        check(MINUTE, Some("1 minute ago"));
        check(59 * MINUTE, Some("59 minutes ago"));
        check(-2 * HOUR, Some("in 2 hours"));
        check(29 * DAY, Some("29 days ago"));
        check(30 * DAY, None);
        check(i64::MIN, None);
    }

    #[test]
    fn numbers_and_durations() {
        let check = |n: i64, expected: &str| assert_eq!(number(n), expected);
        check(0, "0");
        check(999, "999");
        check(1_000, "1,000");
        check(-1_234_567, "-1,234,567");
        let check = |us: i64, expected: &str| assert_eq!(duration(us), expected);
        check(-5, "0 µs");
        check(340, "340 µs");
        check(1_250, "1.2 ms");
        check(12_900, "12 ms");
        check(2_345_678, "2.3 s");
        check(7_200_000_000, "7,200 s");
        assert_eq!(count(1, "call"), "1 call");
        assert_eq!(count(1_200, "call"), "1,200 calls");
    }
}
