//! The demo's two years: a run each Sunday night, what expires, an edit that shortens, the refusal, the consent and the
//! certificate.

use std::collections::BTreeMap;
use std::fs;

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::days::{ranges, total};
use super::demo::say;
use super::open::House;
use super::output::{Output, count, number};
use super::{certificate, plan as plan_command};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::pipeline::{self, Request, RunReport};
use crate::plan::{Blocker, DayVerdict};

/// The demo's nights end here.
const LAST_NIGHT: Date = date(2026, 3, 15);
/// On this day somebody finds that a year is enough.
const EDITED: Date = date(2025, 6, 4);

/// What happened over many nights.
#[derive(Debug, Default)]
struct Nights {
    count: u64,
    quiet: u64,
    retired: Vec<DayVerdict>,
    destroyed: Vec<DayVerdict>,
    trimmed: u64,
}

/// Runs through two years of Sunday nights from `after` on.
pub fn two_years(house: &House, folder: &std::path::Path, after: Date, output: &mut Output) -> Result<()> {
    let mut nights = Nights::default();
    let mut asked = 0;
    let mut edited = false;
    let intro = vec![
        "One run each Sunday at 02:00. `retain` counts from the day of the record, and nothing goes unasked the first time."
            .to_owned(),
    ];
    say(output, "6. Two years of nights", &intro)?;
    let sundays = after.series(1.day()).filter(|day| day.weekday() == Weekday::Sunday).skip(1);
    for night in sundays.take_while(|night| *night <= LAST_NIGHT) {
        if night >= EDITED && !edited {
            edited = true;
            shorten(house, folder, night, output)?;
        }
        let report = run_at(house, night)?;
        nights.take(&report);
        let asks: Vec<DayVerdict> = report.expiring.waiting.iter().filter(|day| day.asks()).cloned().collect();
        if asks.is_empty() {
            continue;
        }
        asked += 1;
        tell(output, night, asked, &asks)?;
        consent(house, night, output)?;
        let report = run_at(house, night)?;
        nights.take(&report);
        if asked == 1 {
            let lines = ranges(&report.expiring.retired, "table", |_| "out of its table; can be put back".into());
            say(
                output,
                "",
                &[vec![format!("The same night again: {} retired.", total(&report.expiring.retired))], lines].concat(),
            )?;
        }
    }
    say(output, "", &nights.lines())?;
    let table = TableName::new("main", "SecurityEvent");
    let lines = shortened(certificate::lines(&certificate::read(house, &table, date(2024, 3, 1))?)?);
    say(output, "7. What is proven about a day that is gone", &lines)
}

/// The certificate without the many raw objects in the middle.
fn shortened(mut lines: Vec<String>) -> Vec<String> {
    let at = |lines: &[String], title: &str| lines.iter().position(|line| line.starts_with(title));
    if let (Some(from), Some(to)) = (at(&lines, "The raw objects"), at(&lines, "What is left"))
        && from + 8 < to
    {
        let left_out = (to - from - 5) as u64 / 3;
        let note = format!("         … and {} more, which this demo leaves out", number(left_out));
        lines.splice(from + 4..to, [note, String::new()]);
    }
    lines
}

/// An edit as an admin would make it.
fn shorten(house: &House, folder: &std::path::Path, night: Date, output: &mut Output) -> Result<()> {
    let path = folder.join("policies/security.toml");
    let failed = |source| Error::from_source(Kind::Store, format!("editing {}", path.display()), source);
    let text = fs::read_to_string(&path).map_err(failed)?;
    // Only the first rule of the file: SecurityEvent's.
    let edited = text.replacen("retain = \"730d\"", "retain = \"365d\"", 1);
    fs::write(&path, edited).map_err(failed)?;
    let planned = pipeline::plan(&house.context()?, &Request::all(at(night)?), house.clock.now())?;
    let held: Vec<&DayVerdict> = planned
        .document
        .days
        .iter()
        .filter(|day| day.blockers.iter().any(|blocker| matches!(blocker, Blocker::Grace { .. })))
        .collect();
    let lines = ranges(held.iter().copied(), "table", plan_command::waits_for);
    let mut told = vec![
        format!("On {EDITED} somebody edits policies/security.toml: SecurityEvent, `retain` from 730d to 365d."),
        format!("`holdfast plan` says what the edit makes due, and that it waits ({}):", total(held.iter().copied())),
    ];
    told.extend(lines);
    say(output, "", &told)
}

fn tell(output: &mut Output, night: Date, asked: u64, asks: &[DayVerdict]) -> Result<()> {
    let tables: BTreeMap<String, String> = asks
        .iter()
        .filter_map(|day| {
            Some((day.item.table.to_string(), day.blockers.iter().find(|one| is_approval(one))?.to_string()))
        })
        .collect();
    let what: Vec<String> = tables.into_iter().map(|(table, why)| format!("{table}: {why}")).collect();
    let mut lines = vec![format!("{night}, exit code 4: {} would go, and somebody must agree.", total(asks))];
    lines.extend(what.into_iter().map(|line| format!("  {line}")));
    if asked == 1 {
        lines.push("  $ holdfast plan --out plan.json".into());
        lines.push("  $ holdfast approve plan.json --reason \"…\"".into());
    }
    say(output, "", &lines)
}

fn is_approval(blocker: &Blocker) -> bool {
    matches!(blocker, Blocker::Approval { .. })
}

/// Plans and approves, as the two commands do.
fn consent(house: &House, night: Date, output: &mut Output) -> Result<()> {
    let context = house.context()?;
    let planned = pipeline::plan(&context, &Request::all(at(night)?), house.clock.now())?;
    let bytes = serde_json::to_vec_pretty(&planned.document)
        .map_err(|source| Error::from_source(Kind::Internal, "writing the plan", source))?;
    let approved = pipeline::approve(&context, &bytes, "the demo's auditor", "as the policy says", |plan| plan.now)?;
    let days = count(approved.days.len() as u64, "day", "days");
    say(output, "", &[format!("  approved: {days}, until {}", approved.until)])
}

fn run_at(house: &House, night: Date) -> Result<RunReport> {
    let report = pipeline::run(&house.watched()?, &Request::all(at(night)?), house.clock.now())?;
    match report.errors.iter().find(|error| error.kind() != Kind::Object) {
        Some(error) => Err(Error::new(error.kind(), error.attempted(), error.reason())),
        None => Ok(report),
    }
}

fn at(night: Date) -> Result<Timestamp> {
    TimeZone::UTC
        .to_timestamp(night.at(2, 0, 0, 0))
        .map_err(|source| Error::from_source(Kind::Internal, format!("reading the night {night}"), source))
}

impl Nights {
    fn take(&mut self, report: &RunReport) {
        let done = &report.expiring;
        self.count += 1;
        self.quiet += u64::from(
            done.retired.is_empty() && done.destroyed.is_empty() && !done.waiting.iter().any(DayVerdict::asks),
        );
        self.retired.extend(done.retired.iter().cloned());
        self.destroyed.extend(done.destroyed.iter().cloned());
        self.trimmed += done.trimmed;
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} runs later, {} of them quiet, it is {LAST_NIGHT}. Destroyed, each by its own rule: {}.",
            number(self.count),
            number(self.quiet),
            total(&self.destroyed)
        )];
        let mut days: Vec<&DayVerdict> = self.destroyed.iter().collect();
        days.sort_by_key(|day| (day.item.table.clone(), day.item.keeping, day.item.day));
        lines.extend(ranges(days, "table", |_| "verified gone".into()));
        lines.push(format!(
            "{} Delta log files that named them went, too. What no rule names is kept for ever, and still there.",
            number(self.trimmed)
        ));
        lines
    }
}
