//! What an answer is and what it lacks (I13).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::table::Scanned;
use super::unseen::Unseen;
use crate::ledger::Segment;
use crate::names::TableName;

/// Why a result ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// `--limit`.
    Rows,
    /// `--timeout`.
    Time,
    /// Ctrl-C, or a signal to end.
    Interrupted,
    /// Whoever read the rows went away (`| head`).
    Closed,
}

impl Cut {
    /// For logs.
    pub fn name(self) -> &'static str {
        match self {
            Cut::Rows => "cut short by --limit",
            Cut::Time => "cut short by --timeout",
            Cut::Interrupted => "interrupted",
            Cut::Closed => "the reader of stdout went away",
        }
    }
}

/// The last words of a search: what was answered, from what, and what was not seen.
#[derive(Debug, Clone, Serialize)]
pub struct Answer {
    pub rows: u64,
    /// Nothing was cut short, nothing was unseen, and every value could be read.
    pub complete: bool,
    pub cut: Option<Cut>,
    pub tables: Vec<TableAnswer>,
}

/// How much of a table a query had to look into.
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// The time range that the query asked for, as far as its filters say so plainly; none: without end on that side.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Days with segments that had to be looked into, of those in the archive.
    pub days_searched: u64,
    pub days: u64,
    pub segments_searched: u64,
    pub segments: u64,
}

impl Coverage {
    /// Of the table's segments those in `scanned`.
    pub(super) fn of(scanned: &Scanned, segments: &[Segment]) -> Self {
        fn days<'a>(segments: impl Iterator<Item = &'a Segment>) -> u64 {
            segments.map(|segment| segment.day).collect::<BTreeSet<_>>().len() as u64
        }
        let range = scanned.range.unwrap_or_default();
        // A range may reach beyond the years that can be written.
        let at = |micros: Option<i64>| micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
        Coverage {
            from: at(range.from),
            to: at(range.to),
            days_searched: days(scanned.segments.values()),
            days: days(segments.iter()),
            segments_searched: scanned.segments.len() as u64,
            segments: segments.len() as u64,
        }
    }
}

/// What of one table an answer comes from.
#[derive(Debug, Clone, Serialize)]
pub struct TableAnswer {
    pub table: TableName,
    #[serde(flatten)]
    pub coverage: Coverage,
    /// Raw objects and quarantined records that were read too (`--include-raw`); none: they were not asked for.
    pub raw_included: Option<RawIncluded>,
    pub not_seen: Unseen,
    /// Values that could not be read as their column's type and count as null, by column.
    pub uncast: BTreeMap<String, u64>,
}

/// What `--include-raw` read.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RawIncluded {
    pub objects: u64,
    /// Objects left out, since they have the very bytes of one that was read or archived.
    pub copies: u64,
    pub quarantined: u64,
    /// What of it could not be read, and how often.
    pub unreadable: BTreeMap<String, u64>,
}

impl TableAnswer {
    /// True if the answer holds all that the table has.
    pub fn is_whole(&self) -> bool {
        let raw = self.raw_included.as_ref().is_none_or(|raw| raw.unreadable.is_empty());
        raw && self.not_seen.is_empty() && self.uncast.is_empty()
    }
}
