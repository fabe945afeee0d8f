//! The report for a terminal: at most 80 columns, a block for each table.

use super::words;
use crate::cli::output::{count, number, size};
use crate::cli::status::finding_lines;
use crate::cli::table::broken;
use crate::cli::tables::rule;
use crate::report::{Layer, Report, ReportedTable};

/// Labels take so many columns.
const LABEL: usize = 12;

/// The whole report.
pub fn lines(report: &Report) -> Vec<String> {
    let simulation = if report.simulation { " (a simulation)" } else { "" };
    let mut lines = vec![format!("Archive {}{simulation}, as of {}", report.archive, words::instant(report.now))];
    if report.findings.is_empty() {
        lines.push("OK: nothing needs doing".into());
    }
    lines.extend(
        finding_lines(&report.findings).iter().flat_map(|line| broken(line, line.len() - line.trim_start().len(), 8)),
    );
    lines.push(String::new());
    let totals = &report.totals;
    let archived = &totals.strata.archived;
    lines.push(format!(
        "{}; {} archived, {}{}",
        count(totals.tables, "table", "tables"),
        count(archived.rows, "row", "rows"),
        size(archived.bytes),
        words::ratio(totals.raw_bytes_read, totals.bytes_archived)
            .map_or_else(String::new, |ratio| format!("; raw to archive {ratio}")),
    ));
    for table in &report.tables {
        lines.push(String::new());
        lines.extend(of_table(table));
    }
    lines.push(String::new());
    lines.push("Not in this report".into());
    for sentence in words::not_seen(&report.not_seen) {
        lines.extend(broken(&format!("- {sentence}"), 2, 4));
    }
    lines
}

fn of_table(table: &ReportedTable) -> Vec<String> {
    let mut lines = vec![table.table.to_string()];
    let mut field = |label: &str, text: Option<String>| {
        lines.extend(text.map(|text| labelled(label, &text)).unwrap_or_default());
    };
    field("rule", Some(rule(table.rule.as_ref())));
    for sentence in &table.attention {
        field("attention", Some(sentence.clone()));
    }
    field(
        "events",
        table
            .oldest
            .zip(table.newest)
            .map(|(oldest, newest)| format!("{} to {}", words::instant(oldest), words::instant(newest))),
    );
    for layer in Layer::ALL {
        let note = match layer {
            Layer::Archived => words::ratio(table.raw.bytes_read, table.bytes_archived).map(|ratio| {
                format!("; read {} raw, wrote {} ({ratio})", size(table.raw.bytes_read), size(table.bytes_archived))
            }),
            _ => None,
        };
        field(layer.name(), words::layer(table, layer).map(|text| text + &note.unwrap_or_default()));
    }
    for sentence in words::quarantine(&table.quarantine) {
        field("", Some(sentence));
    }
    field("copies", words::copies(&table.raw.copies));
    field(
        "expired",
        (table.counts.expired > 0)
            .then(|| format!("{} when they came: never archived", count(table.counts.expired, "record", "records"))),
    );
    field("duplicate", (table.counts.duplicate > 0).then(|| format!("{} records", number(table.counts.duplicate))));
    field("next expiry", Some(table.next_expiry.as_ref().map_or_else(|| "none".to_owned(), words::expiry)));
    field("next gone", table.next_destruction.as_ref().map(words::expiry));
    field("last archive", table.last_archive.as_ref().map(words::done));
    field("last gone", table.last_destruction.as_ref().map(words::done));
    if table.first_day.is_some() {
        let days = words::missing_days(&table.missing_days).unwrap_or_else(|| "no day".into());
        field("no record", Some(days));
        field("", Some(words::missing_hours(&table.missing_hours)));
    }
    lines
}

/// A label and what belongs to it, over as many lines as it takes.
fn labelled(label: &str, text: &str) -> Vec<String> {
    let mut lines = broken(text, LABEL + 3, LABEL + 3);
    if let Some(first) = lines.first_mut() {
        *first = format!("  {label:LABEL$} {}", first.trim_start());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_break_at_a_space_and_stay_in_their_column() {
        let lines = labelled("attention", &"word ".repeat(30));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= 80), "{lines:?}");
        assert!(lines[0].starts_with("  attention    word") && lines[1].starts_with("               word"));
        assert_eq!(labelled("x", &"y".repeat(90)).len(), 1, "what has no space is not broken");
    }
}
