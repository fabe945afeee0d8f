//! `holdfast schema TABLE`: what columns a table has, of which types, and how often they have a value.

use std::collections::BTreeSet;

use serde::Serialize;

use super::args::{Args, SchemaArgs};
use super::open::House;
use super::output::{Output, count, number};
use super::table::{aligned, broken};
use super::tables::rule;
use super::why::looked;
use crate::error::{Error, Result};
use crate::explain::{RuleFacts, known_tables, unknown_table};
use crate::names::TableName;
use crate::report::{ColumnFacts, Columns, read_columns};
use crate::storage::Missing;

#[derive(Serialize)]
struct Shown<'s> {
    table: &'s TableName,
    rule: Option<RuleFacts>,
    #[serde(flatten)]
    columns: Option<&'s Columns>,
    /// Segments whose footers could not be read: their rows are not counted.
    not_read: &'s [String],
}

pub fn schema(args: &Args, schema: &SchemaArgs, output: &mut Output) -> Result<u8> {
    let house = House::open(args, output)?;
    let (_context, looked) = looked(&house, None)?;
    let state = looked.chain.state();
    let mut known = known_tables(state, Some(&looked));
    known.extend(state.quarantine.iter().map(|one| one.file.table.clone()));
    let Some(name) = known.get(&schema.table) else { return Err(unknown(&schema.table, &known)) };
    let table = state.tables.get(&name.key());
    let read = table.map(|table| read_columns(&house.archive(Missing::Refuse)?, table)).transpose()?;
    let (columns, not_read) = read.map_or((None, Vec::new()), |(columns, not_read)| (Some(columns), not_read));
    let rule = looked.history.term(name).map(|term| RuleFacts::from(&term.rule));
    if output.is_json() {
        output.json(&Shown { table: name, rule, columns: columns.as_ref(), not_read: &not_read })?;
    } else {
        for line in lines(name, rule.as_ref(), columns.as_ref()) {
            output.line(line)?;
        }
    }
    for failure in &not_read {
        output.note(format!("NOT COUNTED: {failure}"));
    }
    Ok(if not_read.is_empty() { 0 } else { 3 })
}

fn unknown(table: &TableName, known: &BTreeSet<TableName>) -> Error {
    let error = unknown_table(table, known);
    let hint = error.hint().unwrap_or_default().to_owned();
    Error::new(error.kind(), format!("looking up the columns of {table}"), error.reason()).with_hint(hint)
}

fn lines(table: &TableName, facts: Option<&RuleFacts>, columns: Option<&Columns>) -> Vec<String> {
    let Some(columns) = columns else {
        return vec![
            format!("{table}  {}", rule(facts)),
            "It has no columns yet: they are decided over what is archived first.".into(),
        ];
    };
    let (rows, segments) = (count(columns.rows, "row", "rows"), count(columns.segments, "segment", "segments"));
    let mut lines = vec![format!("{table}  {rows} in {segments}; {}", rule(facts)), String::new()];
    let cells: Vec<Vec<String>> = columns.columns.iter().map(|column| cells(column, columns.rows)).collect();
    lines.extend(aligned(&["column", "type", "values", "share", ""], &cells, &[2, 3]));
    lines.extend(rest(columns));
    lines
}

fn cells(column: &ColumnFacts, rows: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if column.time {
        notes.push("time".to_owned());
    }
    match column.indexed {
        0 => {}
        indexed if indexed >= rows => notes.push("indexed".to_owned()),
        indexed => notes.push(format!("indexed in {} of the rows", share(indexed, rows))),
    }
    if column.in_rest {
        notes.push("more in _hf_rest".to_owned());
    }
    if column.unknown > 0 {
        notes.push(format!("not known of {}", count(column.unknown, "row", "rows")));
    }
    vec![
        column.name.clone(),
        column.kind.to_owned(),
        number(column.values),
        share(column.values, rows - column.unknown.min(rows)),
        notes.join(", "),
    ]
}

/// Parts of a hundred: `0 %` and `100 %` only where that is exact.
pub fn share(part: u64, whole: u64) -> String {
    match (part, whole) {
        (_, 0) => "-".into(),
        (0, _) => "0 %".into(),
        (part, whole) if part >= whole => "100 %".into(),
        (part, whole) => {
            let percent = part as f64 * 100.0 / whole as f64;
            match percent {
                ..0.1 => "< 0.1 %".into(),
                99.9.. => "> 99.9 %".into(),
                _ => format!("{percent:.1} %"),
            }
        }
    }
}

/// What stands in no column of its own.
fn rest(columns: &Columns) -> Vec<String> {
    let rest = &columns.rest;
    if rest.rows == 0 && rest.unknown == 0 {
        return vec![String::new(), "Every value stands in its column: nothing is in _hf_rest.".into()];
    }
    let mut text = format!(
        "_hf_rest: {} ({}) with something that has no column or does not fit its column",
        count(rest.rows, "row", "rows"),
        share(rest.rows, columns.rows - rest.unknown.min(columns.rows)),
    );
    if !rest.names.is_empty() {
        let names: Vec<String> = rest.names.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
        text.push_str(&format!("; at least {}", names.join(", ")));
    }
    if rest.unknown > 0 {
        text.push_str(&format!("; not known of {}", count(rest.unknown, "row", "rows")));
    }
    [vec![String::new()], broken(&text, 0, 2)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_whole_only_where_it_is() {
        let cases = [
            (0, 0, "-"),
            (0, 9, "0 %"),
            (9, 9, "100 %"),
            (1, 3, "33.3 %"),
            (1, 1_000_000, "< 0.1 %"),
            (999_999, 1_000_000, "> 99.9 %"),
        ];
        for (part, whole, text) in cases {
            assert_eq!(share(part, whole), text);
        }
    }
}
