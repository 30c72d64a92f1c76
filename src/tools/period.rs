//! Periods of whole days in some time zone, and the period before, with daylight saving as the zone has it.

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{Cx, Refusal, text};
use crate::clock::Time;
use crate::store::organisation;

/// Days of a period at most.
pub const DAYS_MAX: i64 = 365;
/// Days of a period when none are asked for.
pub const DAYS_DEFAULT: i64 = 30;

/// One or more days in a time zone, none of them after today.
#[derive(Clone, Debug)]
pub struct Period {
    from: Date,
    to: Date,
    zone: TimeZone,
}

/// How a caller named a period; at most one way of the three.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// That many days, today the last.
    pub days: Option<i64>,
    /// `7d`, `30d` and so on: the same.
    pub period: Option<&'a str>,
    /// The first day, such as `2026-11-22`.
    pub from: Option<&'a str>,
    /// The last day.
    pub to: Option<&'a str>,
}

/// The zone of that IANA name.
///
/// # Errors
/// `invalid_arguments` when there is none.
pub fn zone(name: &str) -> Result<TimeZone, Refusal> {
    TimeZone::get(name).map_err(|_| {
        Refusal::arguments(format!(
            "timezone: came {name:?}; wanted an IANA time zone, such as Europe/Berlin, America/New_York or UTC."
        ))
    })
}

/// The organisation's zone; UTC when what stands there is none, and the log says so.
pub fn zone_of_organisation(cx: &Cx<'_>) -> Result<TimeZone, Refusal> {
    let name = organisation::timezone(cx.tx)?;
    Ok(TimeZone::get(&name).unwrap_or_else(|_| {
        tracing::warn!(
            timezone = name,
            "an organisation's time zone is unknown: its days are counted in UTC"
        );
        TimeZone::UTC
    }))
}

impl Period {
    /// The period that was named, or the last [`DAYS_DEFAULT`] days. One that reaches beyond today ends today.
    ///
    /// # Errors
    /// `invalid_arguments` when it is named twice, is no day, ends before it begins, begins after today, or has more
    /// than [`DAYS_MAX`] days.
    pub fn of(wanted: &Wanted<'_>, zone: TimeZone, now: Time) -> Result<Period, Refusal> {
        let range = wanted.from.is_some() || wanted.to.is_some();
        if [wanted.days.is_some(), wanted.period.is_some(), range].into_iter().filter(|given| *given).count()
            > 1
        {
            return Err(Refusal::arguments(
                "days, period, from: the period came in several ways; wanted one: days, or period, or from and to.",
            ));
        }
        if range {
            return Period::between(wanted, zone, now);
        }
        let named = wanted.period.and_then(|period| period.trim_end_matches('d').parse().ok());
        Period::last(wanted.days.or(named).unwrap_or(DAYS_DEFAULT), zone, now)
    }

    /// The last `days` days in `zone`, of which today is one.
    pub fn last(days: i64, zone: TimeZone, now: Time) -> Result<Period, Refusal> {
        let to = now.timestamp().to_zoned(zone.clone()).date();
        Ok(Period { from: days_before(to, days - 1)?, to, zone })
    }

    fn between(wanted: &Wanted<'_>, zone: TimeZone, now: Time) -> Result<Period, Refusal> {
        let today = now.timestamp().to_zoned(zone.clone()).date();
        let to = wanted.to.map(|text| day("to", text)).transpose()?.unwrap_or(today);
        let from = match wanted.from {
            Some(text) => day("from", text)?,
            None => days_before(to.min(today), DAYS_DEFAULT - 1)?,
        };
        if from > today {
            return Err(Refusal::arguments(format!(
                "from: came {from}; wanted a day that is not after today, {today}."
            )));
        }
        if to < from {
            return Err(Refusal::arguments(format!(
                "to: came {to}; wanted a day that is not before from, {from}."
            )));
        }
        let asked = days_between(from, to);
        if asked > DAYS_MAX {
            return Err(Refusal::arguments(format!(
                "from, to: came {from} to {to}, {asked} days; wanted at most {DAYS_MAX} days. Ask for a shorter \
                 period, or for several."
            )));
        }
        Ok(Period { from, to: to.min(today), zone })
    }

    /// The first day.
    pub fn first_day(&self) -> Date {
        self.from
    }

    /// The last day.
    pub fn last_day(&self) -> Date {
        self.to
    }

    /// How many days.
    pub fn days(&self) -> i64 {
        days_between(self.from, self.to)
    }

    /// The first moment of each day and, last, the first moment after the period.
    pub fn borders(&self) -> Result<Vec<Time>, Refusal> {
        (0..=self.days()).map(|place| self.midnight(days_after(self.from, place)?)).collect()
    }

    /// The days, each as people write it: `2026-11-22`.
    pub fn dates(&self) -> impl Iterator<Item = Date> {
        self.from.series(1.day()).take_while(|date| *date <= self.to)
    }

    /// As many days right before this one, up to the moment that lies as far in them as `now` lies in this period: so
    /// a day that is not over is held against the same hours. With it, its first moment and the first after it.
    pub fn before(&self, now: Time) -> Result<(Period, Time, Time), Refusal> {
        let (from, to) = (days_before(self.from, self.days())?, days_before(self.from, 1)?);
        let earlier = Period { from, to, zone: self.zone.clone() };
        let start = earlier.midnight(from)?;
        let end = self.midnight(self.from)?;
        if self.is_complete(now)? {
            return Ok((earlier, start, end));
        }
        let clock = now.timestamp().to_zoned(self.zone.clone()).time();
        let then = to.to_datetime(clock).to_zoned(self.zone.clone()).map_err(out_of_range)?;
        let until = Time(then.timestamp().as_millisecond()).clamp(start, end);
        Ok((earlier, start, until))
    }

    /// Whether its last day is over.
    pub fn is_complete(&self, now: Time) -> Result<bool, Refusal> {
        Ok(self.midnight(days_after(self.to, 1)?)? <= now)
    }

    /// First and last day, how many, and the time zone, for a result.
    pub fn describe(&self) -> Value {
        let zone = self.zone.iana_name().unwrap_or("UTC");
        json!({"from": self.from.to_string(), "to": self.to.to_string(), "days": self.days(), "timezone": zone})
    }

    /// The first moment of `date`: 01:00 where the clock jumps over midnight, the earlier one where it strikes twice.
    fn midnight(&self, date: Date) -> Result<Time, Refusal> {
        let start = date.to_zoned(self.zone.clone()).map_err(out_of_range)?;
        Ok(Time(start.timestamp().as_millisecond()))
    }
}

fn day(field: &str, text: &str) -> Result<Date, Refusal> {
    text.parse::<Date>().ok().filter(|_| text.len() == 10).ok_or_else(|| {
        let (came, _) = text::cut(text, 40);
        Refusal::arguments(format!("{field}: came {came:?}; wanted a day, such as 2026-11-22."))
    })
}

fn days_between(from: Date, to: Date) -> i64 {
    i64::from((to - from).get_days()) + 1
}

fn days_after(date: Date, days: i64) -> Result<Date, Refusal> {
    date.checked_add(days.days()).map_err(out_of_range)
}

fn days_before(date: Date, days: i64) -> Result<Date, Refusal> {
    date.checked_sub(days.days()).map_err(out_of_range)
}

fn out_of_range(_: jiff::Error) -> Refusal {
    Refusal::arguments("from, to: came days that no calendar has; wanted days such as 2026-11-22.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::HOUR;
    use crate::tools::testing::NOW;

    fn period(wanted: &Wanted<'_>, name: &str) -> Result<Period, Refusal> {
        Period::of(wanted, zone(name)?, NOW)
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let check = |name: &str, from: &str, to: &str, expected: &[&str]| {
            let wanted = Wanted { from: Some(from), to: Some(to), ..Wanted::default() };
            let borders = period(&wanted, name).unwrap().borders().unwrap();
            let borders: Vec<String> = borders.iter().map(Time::to_string).collect();
            assert_eq!(borders, expected, "{name} {from}");
        };
        // 23 and 25 hours.
        check(
            "America/New_York",
            "2026-03-08",
            "2026-03-08",
            &["2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"],
        );
        check(
            "America/New_York",
            "2026-11-01",
            "2026-11-01",
            &["2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"],
        );
        check(
            "Asia/Kathmandu",
            "2026-11-01",
            "2026-11-01",
            &["2026-10-31T18:15:00Z", "2026-11-01T18:15:00Z"],
        );
        // Half an hour of daylight saving.
        check(
            "Australia/Lord_Howe",
            "2026-10-04",
            "2026-10-04",
            &["2026-10-03T13:30:00Z", "2026-10-04T13:00:00Z"],
        );
        // A day that never was.
        check(
            "Pacific/Apia",
            "2011-12-29",
            "2011-12-30",
            &["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"],
        );
    }

    #[test]
    fn the_period_before_is_as_long_and_as_far_gone() {
        let check = |wanted: Wanted<'_>, name: &str, start: &str, until: &str| {
            let (earlier, from, end) = period(&wanted, name).unwrap().before(NOW).unwrap();
            assert_eq!((from.to_string().as_str(), end.to_string().as_str()), (start, until), "{wanted:?}");
            assert_eq!(earlier.days(), period(&wanted, name).unwrap().days());
        };
        let days = |n| Wanted { days: Some(n), ..Wanted::default() };
        check(days(1), "UTC", "2026-11-21T00:00:00Z", "2026-11-21T08:00:00Z");
        check(days(7), "UTC", "2026-11-09T00:00:00Z", "2026-11-15T08:00:00Z");
        let over = Wanted { from: Some("2026-11-10"), to: Some("2026-11-12"), ..Wanted::default() };
        check(over, "UTC", "2026-11-07T00:00:00Z", "2026-11-10T00:00:00Z");
        // Three in the morning there, on both sides of the change of the clock.
        check(days(30), "America/New_York", "2026-09-24T04:00:00Z", "2026-10-23T07:00:00Z");
    }

    #[test]
    fn a_period_is_named_one_way_and_has_an_end() {
        let none = Wanted::default;
        let check = |wanted: Wanted<'_>, days: i64, to: &str| {
            let period = period(&wanted, "UTC").unwrap();
            assert_eq!((period.days(), period.to.to_string().as_str()), (days, to), "{wanted:?}");
            assert_eq!(period.dates().count() as i64, days);
        };
        check(none(), 30, "2026-11-22");
        check(Wanted { period: Some("365d"), ..none() }, 365, "2026-11-22");
        check(Wanted { from: Some("2026-11-01"), ..none() }, 22, "2026-11-22");
        check(Wanted { to: Some("2026-10-30"), ..none() }, 30, "2026-10-30");
        check(Wanted { from: Some("2026-11-01"), to: Some("2026-11-30"), ..none() }, 22, "2026-11-22");

        let refuse = |wanted: Wanted<'_>, expected: &str| {
            let message = period(&wanted, "UTC").unwrap_err().message;
            assert!(message.starts_with(expected), "{message}");
        };
        refuse(Wanted { days: Some(7), period: Some("7d"), ..none() }, "days, period, from:");
        refuse(Wanted { days: Some(7), to: Some("2026-11-01"), ..none() }, "days, period, from:");
        refuse(
            Wanted { from: Some("2025-11-01"), to: Some("2026-11-01"), ..none() },
            "from, to: came 2025-11-01",
        );
        refuse(Wanted { from: Some("2026-11-02"), to: Some("2026-11-01"), ..none() }, "to: came 2026-11-01");
        refuse(Wanted { from: Some("2026-11-23"), ..none() }, "from: came 2026-11-23");
        refuse(Wanted { from: Some("2026-02-30"), ..none() }, "from: came \"2026-02-30\"");
        refuse(
            Wanted { to: Some("9999-12-31"), from: Some("2026-11-01"), ..none() },
            "from, to: came 2026-11-01",
        );
    }

    #[test]
    fn a_zone_without_clock_changes_has_days_of_24_hours() {
        let borders = Period::last(365, zone("Asia/Kathmandu").unwrap(), NOW).unwrap().borders().unwrap();
        assert_eq!(borders.len(), 366);
        assert!(borders.windows(2).all(|pair| pair[1].0 - pair[0].0 == 24 * HOUR));
    }
}
