//! Days in words: neighbouring days with the same verdict are one line.

use jiff::civil::Date;

use super::output::{count, number, size};
use super::table::aligned;
use crate::ledger::Keeping;
use crate::plan::DayVerdict;

/// Consecutive days of one table, of which the same is said.
#[derive(Debug)]
struct Range<'a> {
    first: &'a DayVerdict,
    last: Date,
    days: u64,
    rows: u64,
    bytes: u64,
    note: String,
}

/// A table of day ranges: table, days, rows, bytes, rule, and what `note` says of each day.
pub fn ranges<'a>(
    days: impl IntoIterator<Item = &'a DayVerdict>,
    heading: &str,
    note: impl Fn(&DayVerdict) -> String,
) -> Vec<String> {
    let mut found: Vec<Range<'a>> = Vec::new();
    for day in days {
        let note = note(day);
        match found.last_mut() {
            Some(range) if joins(range, day, &note) => {
                range.last = day.item.day;
                range.days += 1;
                range.rows += day.item.rows;
                range.bytes += day.item.bytes;
            }
            _ => found.push(Range {
                first: day,
                last: day.item.day,
                days: 1,
                rows: day.item.rows,
                bytes: day.item.bytes,
                note,
            }),
        }
    }
    let rows: Vec<Vec<String>> = found.iter().map(cells).collect();
    let lines = aligned(&[heading, "which", "days", "rows", "bytes", "rule", ""], &rows, &[2, 3, 4]);
    lines.into_iter().map(|line| format!("  {line}")).collect()
}

/// Days need not follow one another without a gap: what lies between holds nothing.
fn joins(range: &Range<'_>, day: &DayVerdict, note: &str) -> bool {
    let (one, other) = (&range.first.item, &day.item);
    one.table == other.table
        && one.keeping == other.keeping
        && one.part == other.part
        && range.first.rule == day.rule
        && range.note == note
}

fn cells(range: &Range<'_>) -> Vec<String> {
    let item = &range.first.item;
    let kind = match item.keeping {
        Keeping::Archive if item.part == "main" => String::new(),
        Keeping::Archive => format!(" ({})", item.part),
        Keeping::Raw => " (raw)".into(),
        Keeping::Quarantine => " (quarantine)".into(),
    };
    let days = if range.days == 1 { item.day.to_string() } else { format!("{} … {}", item.day, range.last) };
    vec![
        format!("{}{kind}", item.table),
        days,
        number(range.days),
        number(range.rows),
        size(range.bytes),
        range.first.rule.as_ref().map_or_else(|| "no rule".to_owned(), ToString::to_string),
        range.note.clone(),
    ]
}

/// From which day on these days are destroyed.
pub fn destroyed_from<'a>(days: impl IntoIterator<Item = &'a DayVerdict>) -> String {
    let dates: Vec<Date> = days.into_iter().filter_map(|day| day.destroy_at).collect();
    match (dates.iter().min(), dates.iter().max()) {
        (Some(first), Some(last)) if first == last => format!("; destroyed from {first}"),
        (Some(first), Some(last)) => format!("; destroyed from {first} to {last}, each on its day"),
        _ => String::new(),
    }
}

/// Days, rows and bytes together.
pub fn total<'a>(days: impl IntoIterator<Item = &'a DayVerdict>) -> String {
    let (mut number_of, mut rows, mut bytes) = (0, 0, 0);
    for day in days {
        number_of += 1;
        rows += day.item.rows;
        bytes += day.item.bytes;
    }
    format!("{}, {}, {}", count(number_of, "day", "days"), count(rows, "row", "rows"), size(bytes))
}
