//! `holdfast tables`: every table in two lines, and all of them together.

use jiff::Timestamp;
use jiff::civil::Date;

use super::args::{Args, TablesArgs};
use super::open::House;
use super::output::{Output, count, number, size};
use super::table::aligned;
use super::why::looked;
use crate::error::Result;
use crate::explain::RuleFacts;
use crate::policy::day_of;
use crate::report::{Overview, OverviewTable, overview, unseen};

pub fn tables(args: &Args, tables: &TablesArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let (_context, looked) = looked(&house, tables.as_of)?;
    let overview = overview(&looked);
    if output.is_json() {
        output.json(&overview)?;
    } else {
        for line in lines(&overview) {
            output.line(line)?;
        }
    }
    // A source that could not be listed: what lies raw there is missing above.
    let unseen = unseen(&looked);
    for failure in &unseen {
        output.note(format!("NOT SEEN: {failure}"));
    }
    Ok(if unseen.is_empty() { 0 } else { 3 })
}

fn lines(overview: &Overview) -> Vec<String> {
    if overview.tables.is_empty() {
        return vec!["no table is known yet: nothing was archived, and no source has a raw object".into()];
    }
    let mut rows: Vec<Vec<String>> = overview.tables.iter().map(cells).collect();
    let total = &overview.total;
    rows.push(vec![count(total.tables, "table", "tables"), number(total.rows), size(total.bytes)]);
    let mut table = aligned(&["table", "rows", "bytes", "days", "oldest", "newest"], &rows, &[1, 2, 3]).into_iter();
    let mut lines: Vec<String> = table.next().into_iter().collect();
    for (one, line) in overview.tables.iter().zip(table.by_ref()) {
        lines.push(line);
        lines.push(format!("  {}", rule(one.rule.as_ref())));
        lines.extend(beside(one).map(|beside| format!("  {beside}")));
    }
    let rule =
        "-".repeat(lines.iter().chain(table.as_slice()).map(|line| line.chars().count()).max().unwrap_or(0).min(80));
    lines.push(rule);
    lines.extend(table);
    lines
}

fn cells(one: &OverviewTable) -> Vec<String> {
    let day = |at: Option<Timestamp>, day: Option<Date>| {
        at.map(day_of).or(day).map_or_else(|| "-".to_owned(), |day| day.to_string())
    };
    vec![
        one.table.to_string(),
        number(one.rows),
        size(one.bytes),
        number(one.days),
        day(one.oldest, one.first_day),
        day(one.newest, one.last_day),
    ]
}

/// A rule in short: how long, and where that is written.
pub fn rule(rule: Option<&RuleFacts>) -> String {
    match rule {
        None => "no rule names it: kept until somebody decides".into(),
        Some(rule) => {
            let raw = if rule.archive { "" } else { " raw" };
            format!("kept{raw} {} by {}", rule.retain, rule.origin.id())
        }
    }
}

/// What is not in its segments.
fn beside(one: &OverviewTable) -> Option<String> {
    let mut parts = Vec::new();
    let waiting = &one.raw_waiting;
    if !waiting.is_empty() {
        parts.push(format!("raw waiting: {}, {}", count(waiting.files, "object", "objects"), size(waiting.bytes)));
    }
    let stays = one.raw.files - waiting.files.min(one.raw.files);
    if stays > 0 {
        parts.push(format!(
            "stays raw: {}, {}",
            count(stays, "object", "objects"),
            count(one.raw.rows, "record", "records")
        ));
    }
    if !one.retired.is_empty() {
        parts.push(format!("retired: {}", count(one.retired.rows, "row", "rows")));
    }
    if one.quarantine.records > 0 {
        parts.push(format!("in quarantine: {}", number(one.quarantine.records)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}
