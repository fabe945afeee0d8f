//! The time axis that all tables share: from which day to which, how many days a bar stands for, where labels stand.
//!
//! A page must stay small whatever it shows: with many tables and years a bar is a week, a month, a quarter or a year.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};

use crate::report::{Report, Stratum};

/// A page has at most so many bars, unless even a bar a year makes more.
const MOST_BARS: usize = 12_000;
/// A lane has at most so many: more would be thinner than a screen can show.
const MOST_ACROSS: usize = 1_200;
/// Fewer days than this would make bars like towers.
const FEWEST_DAYS: i64 = 28;

/// What one bar stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    const ALL: [Unit; 5] = [Unit::Day, Unit::Week, Unit::Month, Unit::Quarter, Unit::Year];

    pub fn name(self) -> &'static str {
        match self {
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
            Unit::Quarter => "quarter",
            Unit::Year => "year",
        }
    }

    /// The first day of the unit that `day` lies in.
    pub fn start(self, day: Date) -> Date {
        let month = |month: i8| Date::new(day.year(), month, 1).unwrap_or(day);
        match self {
            Unit::Day => day,
            Unit::Week => day.checked_sub(i64::from(day.weekday().since(Weekday::Monday)).days()).unwrap_or(day),
            Unit::Month => month(day.month()),
            Unit::Quarter => month((day.month() - 1) / 3 * 3 + 1),
            Unit::Year => month(1),
        }
    }

    /// The first day of the next one.
    fn next(self, start: Date) -> Date {
        let next = match self {
            Unit::Day => start.checked_add(1.day()),
            Unit::Week => start.checked_add(1.week()),
            Unit::Month => start.checked_add(1.month()),
            Unit::Quarter => start.checked_add(3.months()),
            Unit::Year => start.checked_add(1.year()),
        };
        next.unwrap_or(Date::MAX)
    }
}

/// The axis.
#[derive(Debug)]
pub struct Timeline {
    pub from: Date,
    /// From `from` on, so many days wide.
    pub days: i64,
    pub unit: Unit,
    pub today: Date,
}

/// One bar: where it stands, in days from the axis' begin, and all that its days hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    pub day: Date,
    pub last: Date,
    pub at: i64,
    pub width: i64,
    pub stratum: Stratum,
}

/// A label of the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tick {
    pub day: Date,
    pub at: i64,
    pub label: String,
    /// A year begins.
    pub year: bool,
}

impl Timeline {
    /// An axis for all days of the report, today and what expires next included.
    pub fn new(report: &Report, today: Date) -> Self {
        let days = || report.tables.iter().flat_map(|table| table.days.keys().copied());
        let last = days().max().map_or(today, |last| last.max(today));
        let first = days().min().map_or(today, |first| first.min(today));
        let early = last.checked_sub((FEWEST_DAYS - 1).days()).unwrap_or(first);
        let from = first.min(early);
        let mut timeline = Timeline { from, days: between(from, last) + 1, unit: Unit::Day, today };
        for unit in Unit::ALL {
            timeline.unit = unit;
            let lanes = report.tables.iter().map(|table| timeline.count(&table.days));
            let (most, all) = lanes.fold((0, 0), |(most, all), bars| (bars.max(most), all + bars));
            if most <= MOST_ACROSS && all <= MOST_BARS {
                break;
            }
        }
        timeline
    }

    /// The days from the axis' begin to `day`.
    pub fn at(&self, day: Date) -> i64 {
        between(self.from, day)
    }

    /// The same in parts of a hundred of its width.
    pub fn percent(&self, at: f64) -> f64 {
        at * 100.0 / self.days as f64
    }

    fn count(&self, days: &BTreeMap<Date, Stratum>) -> usize {
        let mut starts: Vec<Date> = days.keys().map(|day| self.unit.start(*day)).collect();
        starts.dedup();
        starts.len()
    }

    /// The bars of a table, in order; where it has nothing there is none.
    pub fn bars(&self, days: &BTreeMap<Date, Stratum>) -> Vec<Bar> {
        let mut bars: Vec<Bar> = Vec::new();
        for (day, stratum) in days {
            let start = self.unit.start(*day);
            let from = self.at(start).max(0);
            match bars.last_mut() {
                Some(bar) if bar.at == from => {
                    bar.stratum.add(stratum);
                    bar.last = *day;
                }
                _ => {
                    let width = self.at(self.unit.next(start)).min(self.days) - from;
                    bars.push(Bar { day: *day, last: *day, at: from, width, stratum: *stratum });
                }
            }
        }
        bars
    }

    /// Labels, no more than `most`: years at least, then months, weeks or days where there is room.
    pub fn ticks(&self, most: usize) -> Vec<Tick> {
        let steps: [(Unit, i16); 8] = [
            (Unit::Day, 1),
            (Unit::Week, 1),
            (Unit::Month, 1),
            (Unit::Quarter, 1),
            (Unit::Year, 1),
            (Unit::Year, 2),
            (Unit::Year, 5),
            (Unit::Year, 10),
        ];
        let mut ticks = Vec::new();
        for (unit, every) in steps {
            ticks = self.ticks_every(unit, every);
            if ticks.len() <= most {
                break;
            }
        }
        ticks
    }

    fn ticks_every(&self, unit: Unit, every: i16) -> Vec<Tick> {
        let mut ticks = Vec::new();
        let mut day = unit.start(self.from);
        while self.at(day) < self.days {
            if day >= self.from && (unit != Unit::Year || day.year() % every == 0) {
                // The first label says the year; so does each that begins one.
                let year = day.day() == 1 && day.month() == 1;
                let named = ticks.is_empty() || year;
                ticks.push(Tick { day, at: self.at(day), label: label(day, unit, named), year });
            }
            let next = unit.next(day);
            if next <= day {
                break;
            }
            day = next;
        }
        ticks
    }
}

/// `2024`, `Mar`, `4 Mar`; `Mar 2024` where the year must be said.
fn label(day: Date, unit: Unit, with_year: bool) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = usize::try_from(day.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    let year = day.year();
    match (unit, with_year) {
        (Unit::Year, _) => year.to_string(),
        (Unit::Month | Unit::Quarter, true) if day.month() == 1 => year.to_string(),
        (Unit::Month | Unit::Quarter, true) => format!("{month} {year}"),
        (Unit::Month | Unit::Quarter, false) => (*month).to_owned(),
        (Unit::Day | Unit::Week, true) => format!("{} {month} {year}", day.day()),
        (Unit::Day | Unit::Week, false) => format!("{} {month}", day.day()),
    }
}

fn between(from: Date, to: Date) -> i64 {
    i64::from((to - from).get_days())
}
