//! Holes: days and hours without any record between the first and the last. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use serde::Serialize;

use super::facts::HourRange;

/// Microseconds of an hour.
pub(super) const HOUR: i64 = 3_600_000_000;

/// Neighbouring days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DayRange {
    pub from: Date,
    pub to: Date,
    pub days: u32,
}

/// The days that are missing between the first and the last of `days`, which come in order.
pub fn missing_days(days: impl IntoIterator<Item = Date>) -> Vec<DayRange> {
    let mut missing = Vec::new();
    let mut before: Option<Date> = None;
    for day in days {
        if let Some(next) = before.and_then(|before| before.tomorrow().ok()).filter(|next| *next < day)
            && let Ok(last) = day.yesterday()
        {
            let days = u32::try_from((day - next).get_days()).unwrap_or_default();
            missing.push(DayRange { from: next, to: last, days });
        }
        before = Some(day);
    }
    missing
}

/// The hours in which there was a record.
#[derive(Debug, Clone, Default)]
pub struct HoursSeen {
    hours: BTreeSet<i64>,
}

impl HoursSeen {
    /// A record of that microsecond.
    pub fn see(&mut self, micros: i64) {
        self.hours.insert(micros.div_euclid(HOUR));
    }

    /// The hours without a record between the first and the last that have one.
    pub fn missing(&self) -> Vec<HourRange> {
        let mut missing = Vec::new();
        let mut before: Option<i64> = None;
        for &hour in &self.hours {
            if let Some(next) = before.map(|before| before + 1).filter(|next| *next < hour)
                && let (Some(from), Some(to)) = (instant(next), instant(hour))
            {
                missing.push(HourRange { from, to, hours: hour.abs_diff(next) });
            }
            before = Some(hour);
        }
        missing
    }

    /// The first hour with a record, and the end of the last.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let (first, last) = (self.hours.first()?, self.hours.last()?);
        Some((instant(*first)?, instant(*last)?.checked_add(1.hour()).ok()?))
    }
}

fn instant(hour: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(hour.checked_mul(HOUR)?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn missing_days_lie_between_the_first_and_the_last() {
        let days = |days: &[i8]| missing_days(days.iter().map(|day| date(2024, 3, *day)));
        assert_eq!(days(&[]), []);
        assert_eq!(days(&[5]), []);
        assert_eq!(days(&[5, 6, 7]), []);
        let range = |from, to, days| DayRange { from: date(2024, 3, from), to: date(2024, 3, to), days };
        assert_eq!(days(&[1, 3, 4, 9]), [range(2, 2, 1), range(5, 8, 4)]);
        // A gap over the end of a month counts days, not the difference of their numbers.
        let over = missing_days([date(2024, 1, 30), date(2024, 3, 2)]);
        assert_eq!(over, [DayRange { from: date(2024, 1, 31), to: date(2024, 3, 1), days: 31 }]);
    }

    #[test]
    fn missing_hours_are_told_as_stretches() {
        let mut seen = HoursSeen::default();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for time in
            ["2024-03-01T10:59:59.999999Z", "2024-03-01T10:00:00Z", "2024-03-01T12:00:00Z", "2024-03-02T00:30:00Z"]
        {
            seen.see(at(time).as_microsecond());
        }
        let missing = seen.missing();
        assert_eq!(missing.len(), 2);
        assert_eq!((missing[0].from, missing[0].to), (at("2024-03-01T11:00:00Z"), at("2024-03-01T12:00:00Z")));
        assert_eq!((missing[1].from, missing[1].hours), (at("2024-03-01T13:00:00Z"), 11));
        assert_eq!(seen.span(), Some((at("2024-03-01T10:00:00Z"), at("2024-03-02T01:00:00Z"))));
        assert!(HoursSeen::default().missing().is_empty() && HoursSeen::default().span().is_none());
        // Before 1970 an hour begins below its records, too.
        let mut early = HoursSeen::default();
        early.see(-1);
        assert_eq!(early.span(), Some((at("1969-12-31T23:00:00Z"), at("1970-01-01T00:00:00Z"))));
    }
}
