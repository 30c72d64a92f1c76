//! A bar for each day, as inline SVG that stretches to the width it is given; words and numbers stand beside it in HTML,
//! where they keep their size.

use std::borrow::Borrow;

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use crate::store::call_log::Counts;

/// Calls of one UTC day.
pub(in crate::http) struct Day {
    /// Days since 1970-01-01.
    pub day: i64,
    pub counts: Counts,
}

impl Day {
    fn date(&self) -> Date {
        date(1970, 1, 1).saturating_add(self.day.days())
    }

    /// `22 Nov 2026`.
    pub(in crate::http) fn long(&self) -> String {
        self.date().strftime("%-d %b %Y").to_string()
    }

    /// `22 Nov`.
    pub(in crate::http) fn short(&self) -> String {
        self.date().strftime("%-d %b").to_string()
    }

    /// Those that were not answered.
    pub(in crate::http) fn unanswered(&self) -> i64 {
        self.counts.refused + self.counts.failed
    }
}

/// The bars of some days. Lengths are of a drawing [`HEIGHT`] high, and [`STEP`] wide for each day.
pub(in crate::http) struct Bars {
    pub days: Vec<Day>,
    /// The most calls of a day.
    pub most: i64,
}

/// The drawing's height.
pub(in crate::http) const HEIGHT: i64 = 100;
/// The width of a day.
pub(in crate::http) const STEP: usize = 10;

impl Bars {
    pub(in crate::http) fn new(days: Vec<Day>) -> Bars {
        let most = days.iter().map(|day| day.counts.all()).max().unwrap_or(0);
        Bars { days, most }
    }

    /// All calls of all days.
    pub(in crate::http) fn sum(&self) -> i64 {
        self.days.iter().map(|day| day.counts.all()).sum()
    }

    /// The drawing's width.
    pub(in crate::http) fn width(&self) -> usize {
        self.days.len() * STEP
    }

    /// Where the bar of the day at `place` begins.
    pub(in crate::http) fn x(&self, place: impl Borrow<usize>) -> usize {
        place.borrow() * STEP + 1
    }

    /// How high `calls` are; some are seen always.
    pub(in crate::http) fn height(&self, calls: impl Borrow<i64>) -> i64 {
        match (*calls.borrow(), self.most) {
            (0, _) | (_, 0) => 0,
            (calls, most) => (calls * HEIGHT / most).max(1),
        }
    }

    /// Where a bar of `calls` begins that stands on one of `below`.
    pub(in crate::http) fn y(&self, calls: impl Borrow<i64>, below: impl Borrow<i64>) -> i64 {
        HEIGHT - self.height(below) - self.height(calls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_the_drawing_and_no_more() {
        let day = |day, ok, refused| Day { day, counts: Counts { ok, refused, failed: 0 } };
        let bars = Bars::new(vec![day(20_779, 0, 0), day(20_780, 999, 1), day(20_781, 1, 0)]);
        assert_eq!((bars.most, bars.sum(), bars.width()), (1_000, 1_001, 30));
        assert_eq!((bars.height(999), bars.height(1), bars.height(0)), (99, 1, 0));
        assert_eq!((bars.y(999, 0), bars.y(1, 999)), (1, 0));
        assert_eq!((bars.days[0].long().as_str(), bars.days[0].short().as_str()), ("22 Nov 2026", "22 Nov"));
    }

    #[test]
    fn no_calls_no_bars() {
        let bars = Bars::new(vec![Day { day: 0, counts: Counts::default() }]);
        assert_eq!((bars.most, bars.height(0), bars.y(0, 0)), (0, 0, HEIGHT));
    }
}
