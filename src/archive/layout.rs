//! What a segment holds, decided before its first byte: which columns, where their values come from, and what of the
//! rows is left for `_hf_rest`.
//!
//! Invariant (I9): each value of the buffer is either in a typed column of the file or printed by [`Rest`].

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field};

use super::catalogue::ColumnType;
use super::gather::{as_moment, fits};
use super::rows::{MOST_LANES, RowBuffer, RowColumn, RowRef};
use super::schema::{REST, SOURCE, TableSchema, arrow_field, tail_name};
use super::spread::in_order;
use crate::error::Result;
use crate::record::text;
use crate::record::time::Moment;

/// A typed column of the file.
#[derive(Debug)]
pub(super) struct FileColumn {
    /// Its place in [`Layout::found`]; `None` if no row of the segment has it (the time column).
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

/// What a time column has to show for the rows of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeRange {
    /// Earliest and latest, microseconds since 1970 UTC; `None` if no row has one.
    pub(super) range: Option<(i64, i64)>,
    pub(super) nulls: u64,
    /// In order, with the nulls last.
    pub(super) sorted: bool,
}

/// What a column has to show for the rows of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Presence {
    /// At least one row has it.
    any: bool,
    /// At least one value fits the column's type.
    typed: bool,
    /// At least one timestamp has a tail.
    tail: bool,
}

/// The plan of a file.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    /// The columns of the buffer.
    pub(super) found: Vec<RowColumn<'a>>,
    /// In the file's order; `_hf_source` and `_hf_rest` follow.
    pub(super) columns: Vec<FileColumn>,
    /// What a row group's rows have beside typed columns: these columns of the buffer go to `_hf_rest` entirely.
    strays: Vec<usize>,
    /// Members that were never to be columns.
    rest: RowColumn<'a>,
    /// `None` if the table has no time column.
    pub(super) time: Option<TimeRange>,
}

impl<'a> Layout<'a> {
    /// Looks through the rows. Timestamp columns of `schema` get their tail when first needed.
    pub(super) fn plan(
        buffer: &'a RowBuffer,
        rows: &[RowRef],
        schema: &mut TableSchema,
        threads: usize,
    ) -> Result<Self> {
        let found = buffer.columns();
        let places: Vec<Option<usize>> = found.iter().map(|column| schema.column(&column.name)).collect();
        let kinds: Vec<ColumnType> = schema.columns().iter().map(|column| column.kind).collect();
        let spans = spans(rows);
        let look =
            |(): &mut (), from: usize| Ok(presence(&found[from], places[from].map(|place| kinds[place]), rows, &spans));
        let mut presences: Vec<Presence> = Vec::with_capacity(found.len());
        in_order(
            threads,
            found.len(),
            || (),
            look,
            |presence| {
                presences.push(presence);
                Ok(())
            },
        )?;

        let mut columns = Vec::new();
        let mut strays = Vec::new();
        let mut time = None;
        let mut sources: BTreeMap<usize, usize> = BTreeMap::new();
        for from in (0..found.len()).filter(|&from| presences[from].any) {
            match places[from] {
                Some(place) if presences[from].typed || schema.time() == Some(place) => {
                    sources.insert(place, from);
                }
                _ => strays.push(from),
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
                time = Some(from.map_or(none, |from| time_range(&found[from], rows)));
            }
            let name = &schema.columns()[place].name;
            let mut fields = vec![arrow_field(name, kind)];
            if from.is_some_and(|from| presences[from].tail) {
                fields.push(text_field(&tail_name(name)));
                schema.add_tail(place);
            }
            columns.push(FileColumn { from, kind, is_time, fields });
        }
        Ok(Layout { found, columns, strays, rest: buffer.rest(), time })
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

/// The first and the last row in each lane.
fn spans(rows: &[RowRef]) -> Vec<(u32, u32)> {
    let mut spans = vec![(u32::MAX, 0); MOST_LANES];
    for row in rows {
        let (first, last) = &mut spans[row.lane()];
        *first = row.row().min(*first);
        *last = row.row().max(*last);
    }
    spans
}

/// Looks whether a column is needed, no further than needed; without a type, only whether any row has it.
fn presence(column: &RowColumn<'_>, kind: Option<ColumnType>, rows: &[RowRef], spans: &[(u32, u32)]) -> Presence {
    let mut presence = Presence::default();
    // With many days in one buffer, most columns of sparse records have nothing here.
    if !column.reaches(spans) {
        return presence;
    }
    for token in rows.iter().filter_map(|&row| column.token(row)) {
        presence.any = true;
        match kind {
            None => break,
            Some(ColumnType::Timestamp) => {
                let Some(moment) = as_moment(token) else { continue };
                presence.typed = true;
                presence.tail |= moment.tail.is_some();
                if presence.tail {
                    break;
                }
            }
            Some(kind) if fits(token, kind) => {
                presence.typed = true;
                break;
            }
            Some(_) => {}
        }
    }
    presence
}

/// Reads a whole time column.
fn time_range(column: &RowColumn<'_>, rows: &[RowRef]) -> TimeRange {
    let mut found = TimeRange { range: None, nulls: 0, sorted: true };
    let mut last = i64::MIN;
    for &row in rows {
        match column.token(row).and_then(as_moment) {
            Some(Moment { micros, .. }) => {
                found.sorted &= found.nulls == 0 && micros >= last;
                last = micros;
                let (min, max) = found.range.unwrap_or((micros, micros));
                found.range = Some((min.min(micros), max.max(micros)));
            }
            None => found.nulls += 1,
        }
    }
    found
}

/// Prints what has no column of its own, for the rows of one row group.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    rest: &'a RowColumn<'a>,
    /// Columns with values that do not fit, and their places in the row group, those to come.
    misfits: Vec<(&'a RowColumn<'a>, &'a [u32])>,
    strays: Vec<&'a RowColumn<'a>>,
}

impl<'a> Rest<'a> {
    /// `misfits` are, for each typed column, the places in the row group whose value does not fit it.
    pub(super) fn new(layout: &'a Layout<'a>, misfits: &'a [Vec<u32>]) -> Self {
        let misfits = layout.columns.iter().zip(misfits).filter(|(_, places)| !places.is_empty());
        Rest {
            rest: &layout.rest,
            misfits: misfits
                .filter_map(|(column, places)| Some((&layout.found[column.from?], places.as_slice())))
                .collect(),
            strays: layout.strays.iter().map(|&from| &layout.found[from]).collect(),
        }
    }

    /// True if no row has anything here.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.lanes.iter().all(Option::is_none) && self.misfits.is_empty() && self.strays.is_empty()
    }

    /// Appends the row's members as a JSON object; nothing, and `false`, if it has none. Rows come in order.
    pub(super) fn print(&mut self, at: u32, row: RowRef, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        out.push(b'{');
        if let Some(members) = self.rest.token(row) {
            out.extend_from_slice(members.bytes);
        }
        let mut member = |name: &str, token: &[u8]| {
            if out.len() > start + 1 {
                out.push(b',');
            }
            text::escape_into(name, out);
            out.push(b':');
            out.extend_from_slice(token);
        };
        for (column, places) in &mut self.misfits {
            if let Some((&next, later)) = places.split_first()
                && next == at
            {
                *places = later;
                if let Some(token) = column.token(row) {
                    member(&column.name, token.bytes);
                }
            }
        }
        for column in &self.strays {
            if let Some(token) = column.token(row) {
                member(&column.name, token.bytes);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::rows::{RowMeta, groups};

    #[test]
    fn a_time_column_is_sorted_only_if_nulls_come_last() {
        let at = |second: u32| format!("{{\"t\":\"2024-01-01T00:00:{second:02}Z\"}}");
        for (records, sorted, nulls) in [
            (vec![at(1), at(1), at(2)], true, 0),
            (vec![at(2), at(1)], false, 0),
            (vec![at(1), "{}".to_string(), "{\"t\":1}".to_string()], true, 2),
            (vec!["{}".to_string(), at(1)], false, 1),
        ] {
            let mut buffer = RowBuffer::new(&TableSchema::new(None, None).unwrap(), 1);
            let meta = RowMeta { day: jiff::civil::date(2024, 1, 1), part: 0, micros: 0, source: 0 };
            for record in &records {
                buffer.lanes[0].push(record.as_bytes(), meta).unwrap();
            }
            let rows = groups(&buffer).remove(0).rows;
            let found = time_range(&buffer.columns()[0], &rows);
            assert_eq!((found.sorted, found.nulls), (sorted, nulls), "{records:?}");
            let presence = presence(&buffer.columns()[0], Some(ColumnType::Timestamp), &rows, &spans(&rows));
            assert_eq!(presence, Presence { any: true, typed: true, tail: true });
        }
    }
}
