//! One cron line in one time zone: when it fires next. Pure; the `cron` crate knows the dates, jiff the zone.
//!
//! The crate counts in local time that never jumps; its dates then become instants. A time that a zone leaves out fires
//! at the end of the gap, a time that comes twice fires when it comes first: each once.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::error::{Error, Kind, Result};

/// A line of five fields with the zone it is meant in.
#[derive(Clone)]
pub struct Line {
    text: String,
    dates: cron::Schedule,
    zone: TimeZone,
}

impl Line {
    /// `text` is a line that [`crate::settings::cron::cron`] accepted.
    pub fn new(text: &str, zone: &TimeZone) -> Result<Self> {
        // The crate wants seconds first. Weekdays are names, so that its numbers for them do not matter.
        let dates = cron::Schedule::from_str(&format!("0 {text}"))
            .map_err(|source| Error::from_source(Kind::Internal, format!("reading the cron line `{text}`"), source))?;
        Ok(Line { text: text.to_owned(), dates, zone: zone.clone() })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first time after `after` at which it fires; none if it never does again (or not before the year 2101).
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let local = to_chrono(self.zone.to_datetime(after))?;
        // What comes later on the wall comes no earlier in time, so that no firing lies before `local`. Those just after
        // it may: they are in an hour that comes a second time.
        self.dates.after(&local).map_while(|date| self.instant(date)).find(|at| *at > after)
    }

    fn instant(&self, date: DateTime<Utc>) -> Option<Timestamp> {
        let local = from_chrono(date)?;
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                let before_gap = after.to_timestamp(local).ok()?;
                let jumps = self.zone.following(before_gap).find(|jump| jump.offset() == after);
                jumps.map(|jump| jump.timestamp()).or_else(|| ambiguous.compatible().ok())
            }
            _ => ambiguous.compatible().ok(),
        }
    }
}

/// Local time as the crate counts: as if it were UTC.
fn to_chrono(local: civil::DateTime) -> Option<DateTime<Utc>> {
    let part = |number: i8| u32::try_from(number).ok();
    let date = NaiveDate::from_ymd_opt(i32::from(local.year()), part(local.month())?, part(local.day())?)?;
    Some(date.and_hms_opt(part(local.hour())?, part(local.minute())?, part(local.second())?)?.and_utc())
}

fn from_chrono(date: DateTime<Utc>) -> Option<civil::DateTime> {
    let part = |number: u32| i8::try_from(number).ok();
    let (year, month, day) = (i16::try_from(date.year()).ok()?, part(date.month())?, part(date.day())?);
    civil::DateTime::new(year, month, day, part(date.hour())?, part(date.minute())?, part(date.second())?, 0).ok()
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({}, {})", self.text, self.zone.iana_name().unwrap_or("?"))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Weekday, date};
    use jiff::{SignedDuration, ToSpan};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::settings::cron::cron;

    fn line(text: &str, zone: &str) -> Line {
        Line::new(&cron(text).unwrap(), &TimeZone::get(zone).unwrap()).unwrap()
    }

    /// The next firings after `after`, in local time with its offset.
    fn firings(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let (line, mut after) = (line(text, zone), after.parse().unwrap());
        let next = || {
            after = line.next(after)?;
            Some(after.to_zoned(line.zone.clone()).strftime("%m-%d %H:%M%:z").to_string())
        };
        std::iter::from_fn(next).take(count).collect()
    }

    #[test]
    fn a_time_that_is_left_out_fires_once_when_the_gap_ends() {
        let berlin = |text| firings(text, "Europe/Berlin", "2024-03-30T12:00:00Z", 3);
        assert_eq!(berlin("30 2 * * *"), ["03-31 03:00+02:00", "04-01 02:30+02:00", "04-02 02:30+02:00"]);
        assert_eq!(berlin("0 3 * * *"), ["03-31 03:00+02:00", "04-01 03:00+02:00", "04-02 03:00+02:00"]);
        let hourly = firings("0 * * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", 2);
        assert_eq!(hourly, ["03-31 03:00+02:00", "03-31 04:00+02:00"], "02:00 and 03:00 are one");
        let quarters = firings("*/15 1-3 * * *", "Europe/Berlin", "2024-03-31T00:40:00Z", 3);
        assert_eq!(quarters, ["03-31 01:45+01:00", "03-31 03:00+02:00", "03-31 03:15+02:00"]);
        let new_york = firings("30 2 * * SUN", "America/New_York", "2024-03-09T12:00:00Z", 2);
        assert_eq!(new_york, ["03-10 03:00-04:00", "03-17 02:30-04:00"]);
    }

    #[test]
    fn a_time_that_comes_twice_fires_once() {
        let berlin = |text| firings(text, "Europe/Berlin", "2024-10-26T12:00:00Z", 3);
        assert_eq!(berlin("30 2 * * *"), ["10-27 02:30+02:00", "10-28 02:30+01:00", "10-29 02:30+01:00"]);
        assert_eq!(berlin("0 3 * * *"), ["10-27 03:00+01:00", "10-28 03:00+01:00", "10-29 03:00+01:00"]);
        let hourly = firings("0 * * * *", "Europe/Berlin", "2024-10-26T23:30:00Z", 3);
        assert_eq!(hourly, ["10-27 02:00+02:00", "10-27 03:00+01:00", "10-27 04:00+01:00"]);
        // Asked in the second of the two hours.
        let later = firings("30 2 * * *", "Europe/Berlin", "2024-10-27T01:10:00Z", 1);
        assert_eq!(later, ["10-28 02:30+01:00"]);
        let new_york = firings("30 1 * * *", "America/New_York", "2024-11-02T12:00:00Z", 2);
        assert_eq!(new_york, ["11-03 01:30-04:00", "11-04 01:30-05:00"]);
    }

    #[test]
    fn a_day_must_be_right_by_date_and_by_weekday() {
        let fridays = firings("0 2 13 * FRI", "UTC", "2024-01-01T00:00:00Z", 3);
        assert_eq!(fridays, ["09-13 02:00+00:00", "12-13 02:00+00:00", "06-13 02:00+00:00"]);
        let leap = firings("0 0 29 2 *", "UTC", "2024-03-01T00:00:00Z", 2);
        assert_eq!(leap, ["02-29 00:00+00:00", "02-29 00:00+00:00"]);
        let week = firings("0 0 * * SAT,SUN", "UTC", "2024-01-01T00:00:00Z", 3);
        assert_eq!(week, ["01-06 00:00+00:00", "01-07 00:00+00:00", "01-13 00:00+00:00"]);
        assert_eq!(line("0 0 29 2 MON", "UTC").next("2024-01-01T00:00:00Z".parse().unwrap()).unwrap().to_string(), {
            "2044-02-29T00:00:00Z"
        });
    }

    #[test]
    fn a_firing_lies_after_not_at_the_time_asked_for() {
        assert_eq!(firings("0 2 * * *", "UTC", "2024-01-01T02:00:00Z", 1), ["01-02 02:00+00:00"]);
        assert_eq!(firings("0 2 * * *", "UTC", "2024-01-01T01:59:59.999Z", 1), ["01-01 02:00+00:00"]);
        assert_eq!(line("0 2 * * *", "UTC").next("2150-01-01T00:00:00Z".parse().unwrap()), None);
    }

    /// What five fields mean, minute by minute.
    fn means(text: &str, local: civil::DateTime) -> bool {
        let names: [&[&str]; 2] = [
            &["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
            &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        ];
        let number = |text: &str| {
            let named = names.iter().find_map(|names| names.iter().position(|name| *name == text));
            named.unwrap_or_else(|| text.parse().unwrap())
        };
        let weekday = local.weekday().to_sunday_zero_offset();
        let values = [local.minute(), local.hour(), local.day(), local.month(), weekday];
        text.split(' ').zip(values).zip([0, 0, 1, 1, 0]).all(|((field, value), least)| {
            let value = usize::try_from(value).unwrap();
            field.split(',').any(|item| {
                let (range, step) = item.split_once('/').map_or((item, 1), |(range, step)| (range, number(step)));
                let (from, to) = match range {
                    "*" => (least, usize::MAX),
                    range => range
                        .split_once('-')
                        .map_or_else(|| (number(range), number(range)), |(from, to)| (number(from), number(to))),
                };
                from <= value && value <= to && (value - from).is_multiple_of(step)
            })
        })
    }

    fn fields() -> impl Strategy<Value = String> {
        let minute = prop_oneof!["\\*", "\\*/[1-9]", "[0-5]?[0-9]", "1[0-9]-4[0-9]/7", "5,[0-4]?[0-9]"];
        let hour = prop_oneof!["\\*", "\\*/[1-9]", "1?[0-9]", "[0-3]-2[0-3]", "2,3", "1-3"];
        let day = prop_oneof![Just("*".to_owned()), "[1-9]".boxed(), "1[0-9]-2[0-9]".boxed(), Just("31".to_owned())];
        let month = prop_oneof!["\\*", "(MAR|OCT)", "[1-9]", "1-3,10"];
        let weekday = prop_oneof!["\\*", "SUN", "MON-FRI", "SUN,SAT", "MON-SAT/2"];
        (minute, hour, day, month, weekday).prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"))
    }

    /// The same cases in every run; PROPTEST_CASES draws more of them.
    fn seeded() -> ProptestConfig {
        ProptestConfig { rng_seed: RngSeed::Fixed(9), ..ProptestConfig::with_cases(48) }
    }

    proptest! {
        #![proptest_config(seeded())]
        /// Against the plainest way there is: every local minute of eight days, around both changes of the clocks.
        #[test]
        fn it_fires_at_each_minute_that_the_fields_mean_once_and_at_no_other(
            text in fields(),
            zone in prop_oneof![Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe")],
            start in prop_oneof![
                Just(date(2024, 3, 5)), Just(date(2024, 3, 27)), Just(date(2024, 10, 3)), Just(date(2024, 10, 29)),
            ],
        ) {
            prop_assume!(cron(&text).is_ok());
            let line = line(&text, zone);
            let first = start.to_datetime(civil::time(0, 0, 0, 0));
            let minutes = (0..8 * 24 * 60).map(|minute: i64| first + minute.minutes());
            let mut expected: Vec<Timestamp> = minutes
                .filter(|local| means(&text, *local))
                .map(|local| match line.zone.to_ambiguous_timestamp(local).offset() {
                    AmbiguousOffset::Gap { before, .. } => {
                        // The first instant whose local time lies behind the gap, minute by minute.
                        let mut at = before.to_timestamp(local).unwrap();
                        while line.zone.to_datetime(at - 1.minute()) > local { at -= 1.minute(); }
                        at
                    }
                    AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).unwrap(),
                    AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).unwrap(),
                })
                .collect();
            expected.dedup();
            let from = first.to_zoned(line.zone.clone()).unwrap().timestamp() - SignedDuration::from_secs(1);
            let until = (first + 8.days()).to_zoned(line.zone.clone()).unwrap().timestamp();
            let firings: Vec<Timestamp> =
                std::iter::successors(line.next(from), |at| line.next(*at)).take_while(|at| *at < until).collect();
            prop_assert_eq!(firings, expected, "{} {}", text, zone);
        }
    }

    #[test]
    fn the_week_starts_on_sunday_as_the_crate_counts() {
        let sunday = line("0 0 * * SUN", "UTC").next("2024-01-01T00:00:00Z".parse().unwrap()).unwrap();
        assert_eq!(sunday.to_zoned(TimeZone::UTC).weekday(), Weekday::Sunday);
    }
}
