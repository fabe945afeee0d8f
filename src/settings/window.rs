//! The deletion window: a daily stretch of local time. Pure: the instant and the time zone are passed in.
//!
//! Local time jumps twice a year in many zones. An instant lies in the window if the clock on the wall does: an hour that
//! comes twice counts twice, and one that is left out never was.

use std::fmt;

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Serialize, Serializer};

use super::diagnose::Problem;

/// Days within which any window opens: even a zone that leaves out a whole day leaves out one.
const DAYS: i64 = 4;

/// A daily stretch of time, from `from` on until before `to`; across midnight if `to` is the earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Time,
    pub to: Time,
}

impl Window {
    /// Parses `HH:MM/HH:MM`.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let problem = |reason: &str| {
            Problem::new(format!("`{text}` is not a window: {reason}"), "not a window")
                .with_hint("write two times of day, like \"22:00/05:00\"")
        };
        let (from, to) = text.split_once('/').ok_or_else(|| problem("no `/` between two times"))?;
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':')?;
            let two = |part: &str| {
                (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i8>().ok()).flatten()
            };
            Time::new(two(hour)?, two(minute)?, 0, 0).ok()
        };
        let from = time(from).ok_or_else(|| problem("the first is no time of day, HH:MM"))?;
        let to = time(to).ok_or_else(|| problem("the second is no time of day, HH:MM"))?;
        if from == to {
            return Err(problem("it is empty: it ends when it begins"));
        }
        Ok(Window { from, to })
    }

    /// True if at `now` the clocks in `zone` show a time within the window.
    pub fn contains(&self, now: Timestamp, zone: &TimeZone) -> bool {
        let time = zone.to_datetime(now).time();
        if self.from < self.to { self.from <= time && time < self.to } else { self.from <= time || time < self.to }
    }

    /// The first instant at or after `now` that lies in the window.
    pub fn next_opening(&self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        // It opens when the clocks come to `from`, or when they jump over it or back behind it.
        let last = now.checked_add((DAYS * 24).hours()).unwrap_or(Timestamp::MAX);
        let jumps = zone.following(now).map(|jump| jump.timestamp()).take_while(|at| *at <= last);
        let today = zone.to_datetime(now).date();
        let starts = (0..=DAYS)
            .filter_map(|days| today.checked_add(days.days()).ok())
            .flat_map(|day| occurrences(day.to_datetime(self.from), zone));
        let openings = std::iter::once(now).chain(jumps).chain(starts);
        openings.filter(|at| *at >= now && self.contains(*at, zone)).min().unwrap_or(Timestamp::MAX)
    }
}

/// The instants at which the clocks show `local`: one, none or two.
fn occurrences(local: DateTime, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
    let (one, other) = match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => (Some(offset), None),
        AmbiguousOffset::Gap { .. } => (None, None),
        AmbiguousOffset::Fold { before, after } => (Some(before), Some(after)),
    };
    one.into_iter().chain(other).filter_map(move |offset| offset.to_timestamp(local).ok())
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(f, "{:02}:{:02}/{:02}:{:02}", from.hour(), from.minute(), to.hour(), to.minute())
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        Window::parse(text).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn only_two_times_of_day_make_one() {
        assert_eq!(window("22:00/05:00").to_string(), "22:00/05:00");
        for text in [
            "",
            "22:00",
            "22:00-05:00",
            "24:00/05:00",
            "2:00/05:00",
            "22:60/05:00",
            "05:00/05:00",
            "a/b",
            "+1:00/02:00",
        ] {
            assert!(Window::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn it_may_cross_midnight() {
        let utc = TimeZone::UTC;
        let inside = |window: &Window, time: &str| window.contains(at(&format!("2024-03-10T{time}Z")), &utc);
        let night = window("22:00/05:00");
        assert!(["22:00:00", "00:00:00", "04:59:59.999"].iter().all(|time| inside(&night, time)));
        assert!(!["05:00:00", "21:59:59.999", "12:00:00"].iter().any(|time| inside(&night, time)));
        let day = window("09:30/17:00");
        assert!(inside(&day, "09:30:00") && inside(&day, "16:59:59"));
        assert!(!inside(&day, "17:00:00") && !inside(&day, "00:00:00"));
    }

    #[test]
    fn it_is_of_the_zone() {
        let night = window("22:00/05:00");
        // 23:30 in Berlin, 17:30 in New York.
        assert!(night.contains(at("2024-01-10T22:30:00Z"), &zone("Europe/Berlin")));
        assert!(!night.contains(at("2024-01-10T22:30:00Z"), &zone("America/New_York")));
    }

    #[test]
    fn the_next_opening_is_now_or_when_the_clocks_come_to_it() {
        let night = window("22:00/05:00");
        for (zone_name, now, opens) in [
            ("UTC", "2024-03-10T12:00:00Z", "2024-03-10T22:00:00Z"),
            ("UTC", "2024-03-10T22:00:00Z", "2024-03-10T22:00:00Z"),
            ("UTC", "2024-03-10T03:00:00.5Z", "2024-03-10T03:00:00.5Z"),
            ("UTC", "2024-03-10T05:00:00Z", "2024-03-10T22:00:00Z"),
            ("Europe/Berlin", "2024-01-10T12:00:00Z", "2024-01-10T21:00:00Z"),
            ("Europe/Berlin", "2024-07-10T12:00:00Z", "2024-07-10T20:00:00Z"),
            ("America/New_York", "2024-01-10T12:00:00Z", "2024-01-11T03:00:00Z"),
            ("Asia/Tokyo", "2024-01-10T23:30:00Z", "2024-01-11T13:00:00Z"),
        ] {
            assert_eq!(night.next_opening(at(now), &zone(zone_name)), at(opens), "{zone_name} {now}");
        }
        assert_eq!(window("09:00/10:00").next_opening(at("2024-03-10T10:00:00Z"), &TimeZone::UTC).to_string(), {
            "2024-03-11T09:00:00Z"
        });
    }

    #[test]
    fn an_hour_left_out_moves_the_opening_and_one_that_comes_twice_opens_twice() {
        let berlin = zone("Europe/Berlin");
        // 2024-03-31: 02:00 becomes 03:00 at 01:00Z. A window that opens in the gap opens at its end.
        let early = window("02:30/05:00");
        assert_eq!(early.next_opening(at("2024-03-31T00:00:00Z"), &berlin), at("2024-03-31T01:00:00Z"));
        // One that lies in the gap altogether does not open that day.
        let lost = window("02:15/02:45");
        assert_eq!(lost.next_opening(at("2024-03-31T00:50:00Z"), &berlin), at("2024-04-01T00:15:00Z"));
        // 2024-10-27: 03:00 becomes 02:00 at 01:00Z.
        assert_eq!(lost.next_opening(at("2024-10-27T00:00:00Z"), &berlin), at("2024-10-27T00:15:00Z"));
        assert_eq!(lost.next_opening(at("2024-10-27T00:45:00Z"), &berlin), at("2024-10-27T01:15:00Z"));
        assert_eq!(lost.next_opening(at("2024-10-27T01:45:00Z"), &berlin), at("2024-10-28T01:15:00Z"));
        // The clocks jump back into it.
        let late = window("01:30/02:30");
        assert_eq!(late.next_opening(at("2024-10-27T00:30:00Z"), &berlin), at("2024-10-27T01:00:00Z"));
        let new_york = zone("America/New_York");
        assert_eq!(early.next_opening(at("2024-03-10T06:00:00Z"), &new_york), at("2024-03-10T07:00:00Z"));
    }

    /// Against the plainest way: minute by minute.
    #[test]
    fn no_earlier_minute_lies_in_it() {
        for (zone_name, around) in [
            ("Europe/Berlin", ["2024-03-30T12:00:00Z", "2024-10-26T12:00:00Z"]),
            ("America/New_York", ["2024-03-09T12:00:00Z", "2024-11-02T12:00:00Z"]),
            ("Australia/Lord_Howe", ["2024-04-06T00:00:00Z", "2024-10-05T00:00:00Z"]),
        ] {
            let zone = zone(zone_name);
            for text in ["22:00/05:00", "02:30/02:45", "01:45/02:15", "09:00/08:00", "02:00/03:00"] {
                let window = window(text);
                for from in around {
                    let minutes = (0..3 * 24 * 60).map(|minute: i64| at(from) + minute.minutes());
                    let minutes: Vec<Timestamp> = minutes.collect();
                    let mut next = None;
                    for now in minutes.iter().rev() {
                        next = if window.contains(*now, &zone) { Some(*now) } else { next };
                        if let Some(next) = next {
                            assert_eq!(window.next_opening(*now, &zone), next, "{zone_name} {text} {now}");
                        }
                    }
                }
            }
        }
    }
}
