//! The report as data: what text, JSON and the page show. The JSON's keys are stable: others read them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::gaps::DayRange;
use super::strata::{Stratum, Volume};
use crate::explain::{Done, Finding, RuleFacts};
use crate::ledger::{Counts, Keeping};
use crate::names::TableName;

/// The form of the report's JSON: raised when a key goes or changes its meaning.
pub const REPORT_VERSION: u32 = 1;

/// How it all stands at `now`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub report: u32,
    /// The archive's id.
    pub archive: String,
    pub simulation: bool,
    pub now: Timestamp,
    /// What needs doing, the most severe first; the very findings of `status`.
    pub findings: Vec<Finding>,
    pub totals: Totals,
    /// Sorted by name.
    pub tables: Vec<ReportedTable>,
    pub not_seen: NotSeen,
}

/// All tables together.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Totals {
    pub tables: u64,
    pub strata: Stratum,
    pub raw_bytes_read: u64,
    pub bytes_archived: u64,
}

/// One table.
#[derive(Debug, Clone, Serialize)]
pub struct ReportedTable {
    pub table: TableName,
    /// None: no rule names the table, and it is kept.
    pub rule: Option<RuleFacts>,
    /// Of the archived records; none: none is archived, or they have no time of their own.
    pub oldest: Option<Timestamp>,
    pub newest: Option<Timestamp>,
    /// Days with a record, wherever it lies or lay.
    pub first_day: Option<Date>,
    pub last_day: Option<Date>,
    /// All days together.
    pub strata: Stratum,
    /// Days that have something in each layer.
    pub days_in: BTreeMap<&'static str, u64>,
    pub raw: RawFacts,
    /// Bytes of the segments that were written from `raw.bytes_read`.
    pub bytes_archived: u64,
    /// What became of all records that were ever read.
    pub counts: Counts,
    /// What leaves the table next.
    pub next_expiry: Option<Due>,
    /// What is destroyed next of what left the table.
    pub next_destruction: Option<Due>,
    pub last_archive: Option<Done>,
    pub last_destruction: Option<Done>,
    pub quarantine: QuarantineFacts,
    pub missing_days: Vec<DayRange>,
    pub missing_hours: HourGaps,
    /// What waits for a person or stands in the way, in words; empty: nothing.
    pub attention: Vec<String>,
    /// Every day that has something.
    pub days: BTreeMap<Date, Stratum>,
}

/// The table's raw objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RawFacts {
    /// Bytes that were ever read to be archived, without duplicates.
    pub bytes_read: u64,
    /// Not archived (or read) yet.
    pub waiting: Volume,
    /// Archived, and still in their source.
    pub copies: Volume,
}

/// Records that could not be judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct QuarantineFacts {
    pub records: u64,
    pub bytes: u64,
    /// The day on which the oldest of them arrived.
    pub oldest: Option<Date>,
    /// When the next of them goes.
    pub next: Option<Date>,
    /// Records that went, still not judged.
    pub destroyed_records: u64,
}

/// A day, and when something becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    pub day: Date,
    pub keeping: Keeping,
    pub rows: u64,
    pub bytes: u64,
    /// The first day on which it may leave its table. None: it has left it, or there is no such date.
    pub expires: Option<Date>,
    /// The first day on which it may be destroyed.
    pub destroy_at: Option<Date>,
    /// The first of these dates has come: the next run that may does it.
    pub due: bool,
    /// What is in the way now that its date has come.
    pub blocked: Option<String>,
}

/// Hours without any record, within the newest archived days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HourGaps {
    /// So many archived days were read; the first and the last of them.
    pub days_read: u64,
    pub from: Option<Date>,
    pub to: Option<Date>,
    /// Together, whole days without a record included.
    pub hours: u64,
    pub ranges: Vec<HourRange>,
    /// Why none were read.
    pub not_read: Option<String>,
}

/// Hours in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct HourRange {
    pub from: Timestamp,
    /// The first hour that has a record again.
    pub to: Timestamp,
    pub hours: u64,
}

/// What the report does not show (I13).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NotSeen {
    /// Raw objects that no run read yet: their records are not counted.
    pub unread: Volume,
    /// Raw objects that changed too recently to be looked at.
    pub unsettled: u64,
    /// What lies in sources and fits no layout.
    pub strangers: u64,
    pub quarantined_records: u64,
    /// Batches and destructions that began and have not ended.
    pub unfinished: u64,
    /// Sources that could not be listed, segments that could not be read.
    pub failures: Vec<String>,
    /// For hours without records only the newest so many archived days of each table were read.
    pub hours_for_days: u64,
}
