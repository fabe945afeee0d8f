//! The report, put together from what was looked at. Pure: the same facts give the same report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use super::facts::{Due, HourGaps, NotSeen, QuarantineFacts, REPORT_VERSION, RawFacts, Report, ReportedTable, Totals};
use super::gaps::missing_days;
use super::strata::{Layer, Strata, Volume, strata};
use crate::error::Kind;
use crate::explain::{Past, RuleFacts, Status, TablePast};
use crate::ledger::{Keeping, KnownTable};
use crate::names::TableName;
use crate::pipeline::Looked;
use crate::plan::{DayVerdict, Fate};

/// What the report is made from.
#[derive(Debug)]
pub struct Gathered<'a> {
    pub looked: &'a Looked,
    pub past: &'a Past,
    pub status: &'a Status,
    /// Of tables with segments.
    pub hours: &'a BTreeMap<TableName, HourGaps>,
    /// Archived days of each table that were read for hours without records.
    pub hours_for_days: u64,
    /// Raw objects that changed too recently to be looked at.
    pub unsettled: u64,
    /// What could not be read, beside what `looked` says.
    pub failures: Vec<String>,
}

/// Puts it together.
pub fn gather(gathered: &Gathered<'_>) -> Report {
    let (looked, status) = (gathered.looked, gathered.status);
    let mut totals = Totals::default();
    let mut not_seen = NotSeen {
        unsettled: gathered.unsettled,
        strangers: looked.strangers.len() as u64,
        unfinished: (status.unfinished.batches.len() + status.unfinished.destructions.len()) as u64,
        failures: gathered.failures.clone(),
        hours_for_days: gathered.hours_for_days,
        ..NotSeen::default()
    };
    not_seen.failures.extend(unseen(looked));
    let mut tables = Vec::new();
    for (table, strata) in strata(looked, Some(gathered.past)) {
        not_seen.unread.add(&strata.waiting);
        let reported = reported(gathered, table, strata);
        totals.tables += 1;
        totals.strata.add(&reported.strata);
        totals.raw_bytes_read += reported.raw.bytes_read;
        totals.bytes_archived += reported.bytes_archived;
        tables.push(reported);
    }
    not_seen.quarantined_records = totals.strata.quarantined.rows;
    Report {
        report: REPORT_VERSION,
        archive: status.archive.clone(),
        simulation: status.simulation,
        now: status.now,
        findings: status.findings.clone(),
        totals,
        tables,
        not_seen,
    }
}

/// What could not be looked at. What merely waits for a decision was.
pub fn unseen(looked: &Looked) -> Vec<String> {
    let failed = looked.errors.iter().filter(|error| !matches!(error.kind(), Kind::Decision | Kind::Policy));
    failed.map(|error| format!("{}: {}", error.attempted(), error.reason())).collect()
}

fn reported(gathered: &Gathered<'_>, table: TableName, strata: Strata) -> ReportedTable {
    let looked = gathered.looked;
    let past = gathered.past.tables.get(&table).cloned().unwrap_or_default();
    let known = looked.chain.state().tables.get(&table.key());
    let term = looked.history.term(&table);
    let with_records: Vec<Date> =
        strata.days.iter().filter(|(_, day)| day.holds_records()).map(|(day, _)| *day).collect();
    let (oldest, newest) = times(known);
    let TablePast { raw_bytes, segment_bytes, counts, archived, destroyed, .. } = past;
    ReportedTable {
        rule: term.as_ref().map(|term| RuleFacts::from(&term.rule)),
        oldest,
        newest,
        first_day: with_records.first().copied(),
        last_day: with_records.last().copied(),
        strata: strata.sum(),
        days_in: Layer::ALL.iter().map(|layer| (layer.name(), strata.days_of(*layer).count() as u64)).collect(),
        raw: RawFacts { bytes_read: raw_bytes, waiting: strata.waiting, copies: strata.copies },
        bytes_archived: segment_bytes,
        counts,
        next_expiry: next(looked, &table, |verdict| leaves(verdict).then_some(verdict.expires).flatten()),
        next_destruction: next(looked, &table, |verdict| waits_for_its_end(verdict).then_some(verdict.destroy_at)?),
        last_archive: archived,
        last_destruction: destroyed,
        quarantine: quarantine(looked, &table, &strata),
        missing_days: missing_days(with_records),
        missing_hours: gathered
            .hours
            .get(&table)
            .cloned()
            .unwrap_or_else(|| HourGaps { not_read: Some("nothing is archived".into()), ..HourGaps::default() }),
        attention: attention(gathered.status, &table),
        days: strata.days,
        table,
    }
}

/// The first and the last event of a table's segments, if they have times of their own.
pub(super) fn times(known: Option<&KnownTable>) -> (Option<Timestamp>, Option<Timestamp>) {
    let times = || known.iter().flat_map(|known| known.segments.values()).filter_map(|(segment, _)| segment.times);
    let instant = |micros: Option<i64>| micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
    (instant(times().map(|(first, _)| first).min()), instant(times().map(|(_, last)| last).max()))
}

pub(super) fn quarantine(looked: &Looked, table: &TableName, strata: &Strata) -> QuarantineFacts {
    let Volume { rows, bytes, .. } = strata.sum().quarantined;
    let ours = |day: &&DayVerdict| day.item.keeping == Keeping::Quarantine && day.item.table == *table;
    QuarantineFacts {
        records: rows,
        bytes,
        oldest: strata.days_of(Layer::Quarantined).min(),
        next: looked.document.days.iter().filter(ours).filter_map(|day| day.destroy_at).min(),
        destroyed_records: strata.quarantine_gone.rows,
    }
}

/// It lives, and its date of leaving is what comes next.
fn leaves(verdict: &DayVerdict) -> bool {
    verdict.item.keeping != Keeping::Quarantine
        && match verdict.fate {
            Fate::Retire | Fate::Keep => true,
            Fate::Destroy => verdict.item.keeping == Keeping::Raw,
            Fate::Retired | Fate::Reinstate => false,
        }
}

/// It left its table and waits for its end.
fn waits_for_its_end(verdict: &DayVerdict) -> bool {
    verdict.item.keeping == Keeping::Archive && matches!(verdict.fate, Fate::Retired | Fate::Destroy)
}

/// The verdict with the earliest date.
fn next(looked: &Looked, table: &TableName, date: impl Fn(&DayVerdict) -> Option<Date>) -> Option<Due> {
    let dated = looked.document.days.iter().filter(|day| day.item.table == *table);
    let dated = dated.filter_map(|day| Some((date(day)?, day.item.day, day)));
    let (date, _, first) = dated.min_by_key(|(date, day, _)| (*date, *day))?;
    let name = table.to_string();
    let blocked = first.blockers.first().map(|blocker| crate::explain::Obstacle::of(blocker, &name, None).why);
    Some(Due {
        day: first.item.day,
        keeping: first.item.keeping,
        rows: first.item.rows,
        bytes: first.item.bytes,
        expires: first.expires.filter(|_| leaves(first)),
        destroy_at: first.destroy_at,
        due: date <= crate::policy::day_of(looked.document.now),
        blocked,
    })
}

/// What the status says of one table, in a sentence each.
fn attention(status: &Status, table: &TableName) -> Vec<String> {
    let days = |days: u64, from: Date, to: Date| match days {
        1 => format!("1 day ({from})"),
        _ => format!("{days} days ({from} to {to})"),
    };
    let mut said = Vec::new();
    for one in status.waiting.iter().filter(|one| one.table == *table && !one.unarmed) {
        let days = days(one.days, one.from, one.to);
        said.push(format!("{days} may only go when a person approves: {}", one.because));
    }
    for one in status.overdue.iter().filter(|one| one.table == *table) {
        let days = days(one.days, one.from, one.to);
        said.push(format!("{days} are due, but something is in the way: {}", one.obstacle.why));
    }
    for one in status.graces.iter().filter(|one| one.table == *table) {
        let until = one.until.map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
        said.push(format!("its rule was shortened: the old one still protects {until}"));
    }
    said
}
