//! The little of the archive that tables' columns and the report are made from: Delta schemas, footers, times.
//!
//! Segments are looked into as the ledger names them; one that cannot be read is named and left out (I12, I13).

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::columns::Columns;
use super::facts::HourGaps;
use super::gaps::{HOUR, HoursSeen};
use crate::archive::{Table, segment_location};
use crate::error::{Error, Result};
use crate::ledger::KnownTable;
use crate::pipeline::each_footer;
use crate::pipeline::peek::times;
use crate::storage::Store;

/// The columns of a table, counted from the footers of its segments. With the reasons why segments are left out.
pub fn read_columns(archive: &Store, known: &KnownTable) -> Result<(Columns, Vec<String>)> {
    let mut columns = Columns::new(&Table::open(archive, &known.name)?.known_schema()?);
    let mut failures = Vec::new();
    let segments = known.segments.values().map(|(segment, _)| segment);
    each_footer(archive, &known.name, segments, &mut |footer| match footer {
        Ok(footer) => columns.count(&footer),
        Err(error) => failures.push(told(&error)),
    });
    Ok((columns, failures))
}

/// The hours without records in the newest `days` archived days of a table.
pub fn newest_hours(archive: &Store, known: &KnownTable, days: usize) -> (HourGaps, Vec<String>) {
    let archived: BTreeSet<Date> = known.segments.values().map(|(segment, _)| segment.day).collect();
    let newest: BTreeSet<Date> = archived.into_iter().rev().take(days).collect();
    let mut gaps = HourGaps { from: newest.first().copied(), to: newest.last().copied(), ..HourGaps::default() };
    if newest.is_empty() {
        gaps.not_read = Some(if days == 0 { "not asked for" } else { "nothing is archived" }.into());
        return (gaps, Vec::new());
    }
    let schema = match Table::open(archive, &known.name).and_then(|table| table.known_schema()) {
        Ok(schema) => schema,
        Err(error) => {
            gaps.not_read = Some("the table cannot be opened".into());
            return (gaps, vec![told(&error)]);
        }
    };
    let Some(column) = schema.time_column() else {
        gaps.not_read = Some("the table has no time column".into());
        return (gaps, Vec::new());
    };
    let (mut seen, mut failures) = (HoursSeen::default(), Vec::new());
    for (segment, _) in known.segments.values().filter(|(segment, _)| newest.contains(&segment.day)) {
        let path = segment_location(&known.name, &segment.path);
        if let Err(error) = times(archive, &path, column, HOUR, &mut |micros| seen.see(micros)) {
            failures.push(told(&error));
        }
    }
    gaps.days_read = newest.len() as u64;
    gaps.ranges = seen.missing();
    gaps.hours = gaps.ranges.iter().map(|range| range.hours).sum();
    (gaps, failures)
}

fn told(error: &Error) -> String {
    format!("{}: {}", error.attempted(), error.reason())
}
