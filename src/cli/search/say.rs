//! What an answer was made from and what it lacks, in words (I13).

use crate::cli::output::{count, number, size};
use crate::cli::unseen::{Command, not_seen};
use crate::search::{Answer, Cut, Estimate, TableAnswer};

/// The last words of an answer, a line each.
pub fn answer(answer: &Answer) -> Vec<String> {
    let mut lines = vec![match answer.cut {
        None => count(answer.rows, "row", "rows"),
        Some(Cut::Rows) => {
            format!("{}, and there are more: CUT SHORT by --limit", count(answer.rows, "row", "rows"))
        }
        Some(Cut::Time) => format!("{}: CUT SHORT by --timeout", count(answer.rows, "row", "rows")),
        Some(Cut::Closed) => format!("{}: CUT SHORT, nobody read on", count(answer.rows, "row", "rows")),
        Some(Cut::Interrupted) => format!("{}: CUT SHORT, it was interrupted", count(answer.rows, "row", "rows")),
    }];
    for table in &answer.tables {
        lines.push(searched(table));
        lines.extend(not_seen(&table.not_seen, Command::Search).into_iter().map(|line| format!("  not seen: {line}")));
        if let Some(raw) = &table.raw_included {
            let objects = count(raw.objects, "raw object", "raw objects");
            let copies = match raw.copies {
                0 => String::new(),
                copies => format!(" ({} of what is read already left out)", count(copies, "copy", "copies")),
            };
            let records = count(raw.quarantined, "record", "records");
            lines.push(format!("  read too: {objects}{copies}, {records} in quarantine"));
            let unreadable = raw.unreadable.iter();
            lines.extend(unreadable.map(|(what, times)| format!("  not seen: {what}{}", times_text(*times))));
        }
        lines.extend(table.uncast.iter().map(|(column, values)| {
            format!("  counted as null: {} of {column}, not of its type", count(*values, "value", "values"))
        }));
    }
    lines
}

fn searched(table: &TableAnswer) -> String {
    let days =
        format!("{} of {} searched", number(table.coverage.days_searched), count(table.coverage.days, "day", "days"));
    let range = match (table.coverage.from, table.coverage.to) {
        (None, None) => String::new(),
        (Some(from), None) => format!(", from {from}"),
        (None, Some(to)) => format!(", until {to}"),
        (Some(from), Some(to)) => format!(", {from} to {to}"),
    };
    format!("{}: {days}{range}", table.table)
}

fn times_text(times: u64) -> String {
    if times == 1 { String::new() } else { format!(" ({} times)", number(times)) }
}

/// What a query would read, a line each.
pub fn estimate(estimate: &Estimate) -> Vec<String> {
    let mut lines = Vec::new();
    for table in &estimate.tables {
        let days = format!("{} of {}", number(table.coverage.days_searched), count(table.coverage.days, "day", "days"));
        let segments = format!(
            "{} of {}",
            number(table.coverage.segments_searched),
            count(table.coverage.segments, "segment", "segments")
        );
        lines.push(format!("{}: {days}, {segments}", table.table));
        if table.left_out > 0 {
            lines.push(format!("  index    leaves out {} of these", count(table.left_out, "segment", "segments")));
        }
        if table.coverage.from.is_some() || table.coverage.to.is_some() {
            let side = |at: Option<jiff::Timestamp>| at.map_or_else(|| "…".to_owned(), |at| at.to_string());
            lines.push(format!("  time     {} to {}", side(table.coverage.from), side(table.coverage.to)));
        }
        lines.push(format!("  rows     {} to be looked at, at most", number(table.rows)));
        let columns = count(table.columns.len() as u64, "column", "columns");
        let segments = table.bytes - table.raw_bytes;
        lines.push(format!("  bytes    {} of {}, in {columns}", size(segments), size(table.segment_bytes)));
        if table.raw_bytes > 0 {
            lines.push(format!("  raw      {} of raw objects", size(table.raw_bytes)));
        }
    }
    lines.push(format!(
        "at most {} to be read; statistics and indexes leave out more while reading",
        size(estimate.bytes)
    ));
    lines
}
