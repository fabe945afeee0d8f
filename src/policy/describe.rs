//! The rules for people: a table of what holds, for `check`. It returns text and prints nothing.

use std::fmt;

use serde::Serialize;

use crate::names::TableName;

use super::document::ClockSource;
use super::rule::Rule;
use super::set::PolicySet;

/// The rules of a policy folder, and which of them governs each known table.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// In the order of files and lines, `[defaults]` last.
    pub rules: Vec<Described>,
    /// Sorted by name.
    pub tables: Vec<Described>,
}

/// A pattern or a table, and the rule it has.
#[derive(Debug, Clone, Serialize)]
pub struct Described {
    pub name: String,
    /// None: no rule; the table is kept and reported.
    pub rule: Option<Rule>,
}

/// Describes the rules of `set` and the effective rule of each of `tables`.
pub fn describe(set: &PolicySet, tables: &[TableName]) -> Description {
    let described = |rule: &Rule| Described { name: rule.origin.name().to_owned(), rule: Some(rule.clone()) };
    let rules = set.rules().map(|(_, rule)| rule).chain(set.defaults()).map(described).collect();
    let mut tables = tables.to_vec();
    tables.sort();
    tables.dedup();
    let tables =
        tables.into_iter().map(|table| Described { name: table.to_string(), rule: set.rule_for(&table) }).collect();
    Description { rules, tables }
}

const HEADINGS: [&str; 8] = ["", "retain", "archive after", "keep raw", "purge delay", "clock", "locked", "written in"];

impl Described {
    fn cells(&self) -> [String; 8] {
        let name = self.name.clone();
        let Some(rule) = &self.rule else {
            let dash = || "-".to_owned();
            return [name, "kept".into(), dash(), dash(), dash(), dash(), dash(), "no rule".into()];
        };
        let clock = match rule.clock {
            ClockSource::Event => "event",
            ClockSource::Arrival => "arrival",
        };
        [
            name,
            rule.retain.to_string(),
            if rule.archive { rule.archive_after.to_string() } else { "stays raw".into() },
            rule.keep_raw.to_string(),
            rule.purge_delay.to_string(),
            clock.into(),
            if rule.locked { "locked" } else { "-" }.into(),
            rule.origin.to_string(),
        ]
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_table(f, "rule", &self.rules)?;
        if !self.tables.is_empty() {
            writeln!(f)?;
            write_table(f, "table", &self.tables)?;
        }
        Ok(())
    }
}

/// Left-aligned columns, two spaces apart, no spaces at the ends of lines.
fn write_table(f: &mut fmt::Formatter<'_>, first_heading: &str, lines: &[Described]) -> fmt::Result {
    let mut headings = HEADINGS.map(str::to_owned);
    headings[0] = first_heading.to_owned();
    let rows: Vec<[String; 8]> = std::iter::once(headings).chain(lines.iter().map(Described::cells)).collect();
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(f, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
