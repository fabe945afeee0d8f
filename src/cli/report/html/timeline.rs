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
    /// The year, where it must be said, too: at the first label, and where a year begins.
    pub year: Option<i16>,
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
                let said = ticks.last().map(|tick: &Tick| tick.day.year());
                let year = (unit != Unit::Year && said != Some(day.year())).then_some(day.year());
                ticks.push(Tick { day, at: self.at(day), label: label(day, unit), year });
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

/// `2024`, `Mar`, `4 Mar`.
fn label(day: Date, unit: Unit) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = usize::try_from(day.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    match unit {
        Unit::Year => day.year().to_string(),
        Unit::Month | Unit::Quarter => (*month).to_owned(),
        Unit::Day | Unit::Week => format!("{} {month}", day.day()),
    }
}

fn between(from: Date, to: Date) -> i64 {
    i64::from((to - from).get_days())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::cli::report::html::tests::report;

    fn labels(ticks: &[Tick]) -> Vec<String> {
        let said = |tick: &Tick| tick.year.map_or_else(|| tick.label.clone(), |year| format!("{} {year}", tick.label));
        ticks.iter().map(said).collect()
    }

    #[test]
    fn units_begin_where_the_calendar_says() {
        let day = date(2024, 8, 15);
        let starts: Vec<Date> = Unit::ALL.iter().map(|unit| unit.start(day)).collect();
        assert_eq!(starts, [day, date(2024, 8, 12), date(2024, 8, 1), date(2024, 7, 1), date(2024, 1, 1)]);
        for unit in Unit::ALL {
            let start = unit.start(day);
            let next = unit.next(start);
            assert!(start <= day && day < next && unit.start(next) == next, "{unit:?}");
        }
    }

    #[test]
    fn labels_fit_and_say_the_year_where_it_begins() {
        let axis = |from, days| Timeline { from, days, unit: Unit::Day, today: from };
        let months = axis(date(2023, 11, 20), 120);
        assert_eq!(labels(&months.ticks(6)), ["Dec 2023", "Jan 2024", "Feb", "Mar"]);
        assert_eq!(labels(&axis(date(2024, 3, 1), 28).ticks(6)), ["4 Mar 2024", "11 Mar", "18 Mar", "25 Mar"]);
        assert_eq!(labels(&axis(date(2015, 2, 1), 3650).ticks(6)), ["2016", "2018", "2020", "2022", "2024"]);
        for days in [28, 60, 200, 400, 1000, 3650, 9000] {
            for most in [6, 10, 16] {
                let ticks = axis(date(2015, 2, 3), days).ticks(most);
                assert!(!ticks.is_empty() && ticks.len() <= most, "{days} {most} {ticks:?}");
                assert!(ticks.iter().all(|tick| (0..days).contains(&tick.at)), "{ticks:?}");
            }
        }
    }

    #[test]
    fn bars_hold_all_that_their_days_hold() {
        let report = report(2, 3650);
        let timeline = Timeline::new(&report, date(2025, 1, 1));
        assert_eq!(timeline.unit, Unit::Week, "3,650 days are more than a lane can show");
        for table in &report.tables {
            let bars = timeline.bars(&table.days);
            let mut sum = Stratum::default();
            bars.iter().for_each(|bar| sum.add(&bar.stratum));
            assert_eq!(sum, table.strata);
            assert!(bars.windows(2).all(|pair| pair[0].at + pair[0].width <= pair[1].at), "bars overlap");
            assert!(bars.iter().all(|bar| bar.at >= 0 && bar.width > 0 && bar.at + bar.width <= timeline.days));
        }
    }
}
