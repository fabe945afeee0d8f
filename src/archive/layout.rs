//! What a segment holds, decided before its first byte: which columns, where their values come from, and what of the
//! rows is left for `_hf_rest`.
//!
//! Invariant (I9): each cell of the buffer is either in a typed column of the file or printed by [`Rest`].

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field};

use super::catalogue::ColumnType;
use super::encode::{self, Presence, TimeRange};
use super::rows::{Cursor, RowBuffer};
use super::schema::{REST, SOURCE, TableSchema, arrow_field, tail_name};
use super::spread::in_order;
use crate::error::Result;
use crate::record::text;

/// A typed column of the file.
#[derive(Debug)]
pub(super) struct FileColumn {
    /// Its place in the buffer; `None` if no row of the segment has it (the time column).
    pub(super) from: Option<usize>,
    pub(super) kind: ColumnType,
    pub(super) is_time: bool,
    /// The field, and that of its tail if there is one.
    pub(super) fields: Vec<Field>,
}

impl FileColumn {
    pub(super) fn has_tail(&self) -> bool {
        self.fields.len() > 1
    }
}

/// The plan of a file.
#[derive(Debug)]
pub(super) struct Layout {
    /// In the file's order; `_hf_source` and `_hf_rest` follow.
    pub(super) columns: Vec<FileColumn>,
    /// What a row group's rows have beside typed columns: these columns of the buffer go to `_hf_rest` entirely.
    strays: Vec<usize>,
    /// `None` if the table has no time column.
    pub(super) time: Option<TimeRange>,
}

impl Layout {
    /// Looks through the rows. Timestamp columns of `schema` get their tail when first needed.
    pub(super) fn plan(buffer: &RowBuffer, rows: &[u32], schema: &mut TableSchema, threads: usize) -> Result<Self> {
        let count = buffer.columns().len();
        let places: Vec<Option<usize>> = (0..count).map(|from| schema.column(buffer.column_name(from))).collect();
        let kinds: Vec<ColumnType> = schema.columns().iter().map(|column| column.kind).collect();
        let span = (rows.iter().copied().min().unwrap_or(0), rows.iter().copied().max().unwrap_or(0));
        let look = |from: usize| Ok(encode::presence(buffer, from, places[from].map(|place| kinds[place]), rows, span));
        let mut found: Vec<Presence> = Vec::with_capacity(count);
        in_order(threads, count, look, |presence| {
            found.push(presence);
            Ok(())
        })?;

        let mut layout = Layout { columns: Vec::new(), strays: Vec::new(), time: None };
        let mut sources: BTreeMap<usize, usize> = BTreeMap::new();
        for from in (0..count).filter(|&from| found[from].any) {
            match places[from] {
                Some(place) if found[from].typed || schema.time() == Some(place) => {
                    sources.insert(place, from);
                }
                _ => layout.strays.push(from),
            }
        }
        for (place, kind) in kinds.into_iter().enumerate() {
            let is_time = schema.time() == Some(place);
            let from = sources.get(&place).copied();
            if from.is_none() && !is_time {
                continue;
            }
            if is_time {
                let none = TimeRange { range: None, nulls: rows.len() as u64, sorted: true };
                layout.time = Some(from.map_or(none, |from| encode::time_range(buffer, from, rows)));
            }
            let name = &schema.columns()[place].name;
            let mut fields = vec![arrow_field(name, kind)];
            if from.is_some_and(|from| found[from].tail) {
                fields.push(text_field(&tail_name(name)));
                schema.add_tail(place);
            }
            layout.columns.push(FileColumn { from, kind, is_time, fields });
        }
        Ok(layout)
    }

    /// All columns of the file in its order.
    pub(super) fn fields(&self) -> Vec<Field> {
        let typed = self.columns.iter().flat_map(|column| column.fields.iter().cloned());
        typed.chain([text_field(SOURCE), text_field(REST)]).collect()
    }

    /// The place in the file of the column by which it is sorted.
    pub(super) fn sorting_column(&self) -> Option<usize> {
        self.time.filter(|time| time.sorted && time.range.is_some())?;
        Some(self.columns.iter().take_while(|column| !column.is_time).map(|column| column.fields.len()).sum())
    }
}

/// Prints what has no column of its own, for the rows of one row group.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    buffer: &'a RowBuffer,
    /// Columns with values that do not fit: name, cells, and their places in the row group, those to come.
    misfits: Vec<(&'a str, Cursor<'a>, &'a [u32])>,
    strays: Vec<(&'a str, Cursor<'a>)>,
}

impl<'a> Rest<'a> {
    /// `misfits` are, for each typed column, the places in the row group whose value does not fit it.
    pub(super) fn new(buffer: &'a RowBuffer, layout: &Layout, misfits: &'a [Vec<u32>]) -> Self {
        let named = |from: usize| (buffer.column_name(from), Cursor::new(buffer, from));
        let misfits = layout.columns.iter().zip(misfits).filter(|(_, places)| !places.is_empty());
        Rest {
            buffer,
            misfits: misfits
                .filter_map(|(column, places)| column.from.map(|from| (from, places)))
                .map(|(from, places)| (named(from).0, named(from).1, places.as_slice()))
                .collect(),
            strays: layout.strays.iter().map(|&from| named(from)).collect(),
        }
    }

    /// Appends the row's members as a JSON object; nothing, and `false`, if it has none. Rows come in order.
    pub(super) fn print(&mut self, at: u32, row: u32, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.push(b'{');
        out.extend_from_slice(self.buffer.rest(row));
        let mut member = |name: &str, token: &[u8]| {
            if out.len() > start + 1 {
                out.push(b',');
            }
            text::escape_into(name, out);
            out.push(b':');
            out.extend_from_slice(token);
        };
        for (name, cursor, places) in &mut self.misfits {
            if let Some((&next, later)) = places.split_first()
                && next == at
            {
                *places = later;
                if let Some(cell) = cursor.find(row) {
                    member(name, self.buffer.token(cell).bytes);
                }
            }
        }
        for (name, cursor) in &mut self.strays {
            if let Some(cell) = cursor.find(row) {
                member(name, self.buffer.token(cell).bytes);
            }
        }
        if out.len() == start + 1 {
            out.truncate(start);
            return false;
        }
        out.push(b'}');
        true
    }
}

pub(super) fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}
