//! Rows for people: aligned columns where they fit, else one row below the other, without what is null.
//!
//! Invariant: no control character of a log reaches the terminal (an attacker may have written the log).

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::cli::output::number;
use crate::cli::table::aligned;
use crate::cli::terminal::harmless;

/// Rows to be printed when all are there.
pub struct TextRows {
    names: Vec<String>,
    /// Numbers stand right.
    right: Vec<usize>,
    rows: Vec<Vec<Option<String>>>,
    width: Option<usize>,
}

impl TextRows {
    /// `width`: of the terminal; none: no terminal, and lines may be as long as they are.
    pub fn new(schema: &SchemaRef, width: Option<usize>) -> Self {
        let fields = schema.fields().iter();
        TextRows {
            names: fields.clone().map(|field| harmless(field.name())).collect(),
            right: fields.enumerate().filter(|(_, field)| field.data_type().is_numeric()).map(|(at, _)| at).collect(),
            rows: Vec::new(),
            width,
        }
    }

    pub fn take(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::default().with_display_error(true);
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().zip(&columns);
            let cells =
                cells.map(|(column, text)| (!column.is_null(row)).then(|| harmless(&text.value(row).to_string())));
            self.rows.push(cells.collect());
        }
        Ok(())
    }

    /// The rows as they are shown.
    pub fn lines(self) -> Vec<String> {
        if self.names.is_empty() || self.rows.is_empty() {
            return Vec::new();
        }
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| cell.clone().unwrap_or_default()).collect()).collect();
        let head: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let lines = aligned(&head, &cells, &self.right);
        let widest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        match self.width {
            Some(width) if widest > width => self.one_by_one(width),
            _ => lines,
        }
    }

    fn one_by_one(&self, width: usize) -> Vec<String> {
        let names = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            let head = format!("── row {} ", number(at as u64 + 1));
            let rule = width.saturating_sub(head.chars().count());
            lines.push(format!("{head}{}", "─".repeat(rule)));
            for (name, cell) in self.names.iter().zip(row) {
                if let Some(cell) = cell {
                    let padding = names - name.chars().count();
                    lines.push(format!("{name}{}  {cell}", " ".repeat(padding)));
                }
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn printed(width: Option<usize>) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "Account",
                Arc::new(StringArray::from(vec![Some("CONTOSO\\alice"), None, Some("x\u{1b}[2Jy\n\u{202e}z")])) as _,
                true,
            ),
            ("count(*)", Arc::new(Int64Array::from(vec![Some(12), Some(7), None])) as _, true),
        ]);
        let batch = batch.unwrap();
        let mut rows = TextRows::new(&batch.schema(), width);
        rows.take(&batch).unwrap();
        rows.lines().join("\n")
    }

    #[test]
    fn rows_are_aligned_where_they_fit_and_nothing_in_them_steers_the_terminal() {
        insta::assert_snapshot!(printed(None), @r"
        Account                 count(*)
        CONTOSO\alice                 12
                                       7
        x\u{1b}[2Jy\n\u{202e}z
        ");
    }

    #[test]
    fn on_a_narrow_terminal_rows_stand_one_below_the_other() {
        insta::assert_snapshot!(printed(Some(30)), @r"
        ── row 1 ─────────────────────
        Account   CONTOSO\alice
        count(*)  12
        ── row 2 ─────────────────────
        count(*)  7
        ── row 3 ─────────────────────
        Account   x\u{1b}[2Jy\n\u{202e}z
        ");
    }
}
