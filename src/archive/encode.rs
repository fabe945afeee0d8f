//! From a column's tokens to typed arrays, one stretch of rows at a time.
//!
//! Invariant (I9): a value is in the array only if it prints back to the same token from there; the others are named
//! to the caller, who puts them in `_hf_rest`. Memory is bounded by
//! [`super::arrays::STRETCH_ROWS`] and [`super::arrays::STRETCH_BYTES`] (or one value, if that is larger), whatever the column holds.

use arrow::array::ArrayRef;

use super::arrays::{TextArray, TypedArray, as_moment, fits};
use super::catalogue::ColumnType;
use super::rows::{Cursor, RowBuffer};
use crate::error::Result;
use crate::record::time::Moment;

/// What a column has to show for the rows of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Presence {
    /// At least one row has it.
    pub(super) any: bool,
    /// At least one value fits the column's type.
    pub(super) typed: bool,
    /// At least one timestamp has a tail.
    pub(super) tail: bool,
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

/// Looks whether a column is needed, no further than needed; without a type, only whether any row has it. `span` is
/// the smallest and the largest of `rows`.
pub(super) fn presence(
    buffer: &RowBuffer,
    column: usize,
    kind: Option<ColumnType>,
    rows: &[u32],
    span: (u32, u32),
) -> Presence {
    let mut presence = Presence::default();
    let mut cursor = Cursor::new(buffer, column);
    // With many days in one buffer, most columns of sparse records have nothing here.
    if !cursor.reaches(span) {
        return presence;
    }
    for token in rows.iter().filter_map(|&row| cursor.find(row)).map(|cell| buffer.token(cell)) {
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
pub(super) fn time_range(buffer: &RowBuffer, column: usize, rows: &[u32]) -> TimeRange {
    let mut cursor = Cursor::new(buffer, column);
    let mut found = TimeRange { range: None, nulls: 0, sorted: true };
    let mut last = i64::MIN;
    for &row in rows {
        match cursor.find(row).and_then(|cell| as_moment(buffer.token(cell))) {
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

/// Encodes a column for `rows`, giving array after array to `emit` (for a timestamp column with `tail`, two: instants
/// and tails). Returns the places in `rows` whose value does not fit, in order.
pub(super) fn column(
    buffer: &RowBuffer,
    column: usize,
    kind: ColumnType,
    rows: &[u32],
    tail: bool,
    emit: &mut dyn FnMut(&[ArrayRef]) -> Result<()>,
) -> Result<Vec<u32>> {
    let mut cursor = Cursor::new(buffer, column);
    let mut misfits = Vec::new();
    let mut array = TypedArray::new(kind, tail);
    for (at, &row) in rows.iter().enumerate() {
        match cursor.find(row) {
            Some(cell) => {
                if !array.append(buffer.token(cell)) {
                    array.append_null();
                    misfits.push(at as u32);
                }
            }
            None => array.append_null(),
        }
        if array.is_full() {
            emit(&array.finish()?)?;
        }
    }
    if array.rows() > 0 {
        emit(&array.finish()?)?;
    }
    Ok(misfits)
}

/// A column of which no row has a value.
pub(super) fn nulls(kind: ColumnType, rows: usize, emit: &mut dyn FnMut(&[ArrayRef]) -> Result<()>) -> Result<()> {
    let mut array = TypedArray::new(kind, false);
    for _ in 0..rows {
        array.append_null();
        if array.is_full() {
            emit(&array.finish()?)?;
        }
    }
    if array.rows() > 0 { emit(&array.finish()?) } else { Ok(()) }
}

/// A text column of Holdfast's own: `text` appends the row's text, or says that there is none.
pub(super) fn own_text(
    rows: &[u32],
    mut text: impl FnMut(usize, u32, &mut Vec<u8>) -> bool,
    emit: &mut dyn FnMut(&[ArrayRef]) -> Result<()>,
) -> Result<()> {
    let mut array = TextArray::new();
    for (at, &row) in rows.iter().enumerate() {
        let present = text(at, row, array.bytes());
        array.end(present);
        if array.is_full() {
            emit(&[array.finish()?])?;
        }
    }
    if array.rows() > 0 {
        emit(&[array.finish()?])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::arrays::STRETCH_ROWS;
    use crate::archive::rows::{RowMeta, groups};
    use crate::archive::schema::TableSchema;
    use crate::record::token::members;

    fn buffer(records: &[String]) -> RowBuffer {
        let mut buffer = RowBuffer::new(&TableSchema::new(None, None).unwrap());
        let mut found = Vec::new();
        let meta = RowMeta { day: jiff::civil::date(2024, 1, 1), part: 0, micros: 0, source: 0 };
        for record in records {
            members(record.as_bytes(), &mut found).unwrap();
            buffer.push(record.as_bytes(), &found, meta, 0).unwrap();
        }
        buffer
    }

    #[test]
    fn i11_an_array_ends_at_its_limits() {
        let records: Vec<String> = (0..20_000)
            .map(
                |n| if n < 10 { format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20)) } else { "{\"a\":\"y\"}".to_string() },
            )
            .collect();
        let buffer = buffer(&records);
        let rows = groups(&buffer).remove(0).rows;
        let mut lengths = Vec::new();
        let misfits = column(&buffer, 0, ColumnType::Text, &rows, false, &mut |arrays| {
            lengths.push(arrays[0].len());
            Ok(())
        });
        assert_eq!(misfits.unwrap(), [0_u32; 0]);
        assert_eq!(lengths, [4, 4, STRETCH_ROWS, STRETCH_ROWS, 20_000 - 8 - 2 * STRETCH_ROWS]);
    }

    #[test]
    fn i9_what_does_not_fit_is_named() {
        let tokens = ["\"a\"", "1", "true", "\"\\ud800\"", "{}", "1.0", "\"2024-01-01T00:00:00Z\"", "\"\\u0041\""];
        let buffer = buffer(&tokens.map(|token| format!("{{\"a\":{token}}}")));
        let rows = groups(&buffer).remove(0).rows;
        for (kind, fitting) in [
            (ColumnType::Text, &[0, 6, 7][..]),
            (ColumnType::Json, &[0, 1, 2, 3, 4, 5, 6, 7]),
            (ColumnType::Bool, &[2]),
            (ColumnType::Int, &[1]),
            (ColumnType::Long, &[1]),
            (ColumnType::Double, &[1]),
            (ColumnType::Timestamp, &[6]),
        ] {
            let mut present = Vec::new();
            let misfits = column(&buffer, 0, kind, &rows, true, &mut |arrays| {
                present.extend((0..8_u32).filter(|&row| arrays[0].is_valid(row as usize)));
                Ok(())
            })
            .unwrap();
            assert_eq!(present, fitting, "{kind:?}");
            assert_eq!(misfits, (0..8).filter(|row| !fitting.contains(row)).collect::<Vec<_>>(), "{kind:?}");
            let presence = presence(&buffer, 0, Some(kind), &rows, (0, 7));
            assert!(presence.typed && presence.any);
            assert_eq!(presence.tail, kind == ColumnType::Timestamp);
        }
    }

    #[test]
    fn a_time_column_is_sorted_only_if_nulls_come_last() {
        let at = |second: u32| format!("{{\"t\":\"2024-01-01T00:00:{second:02}Z\"}}");
        for (records, sorted, nulls) in [
            (vec![at(1), at(1), at(2)], true, 0),
            (vec![at(2), at(1)], false, 0),
            (vec![at(1), "{}".to_string(), "{\"t\":1}".to_string()], true, 2),
            (vec!["{}".to_string(), at(1)], false, 1),
        ] {
            let buffer = buffer(&records);
            let found = time_range(&buffer, 0, &groups(&buffer).remove(0).rows);
            assert_eq!((found.sorted, found.nulls), (sorted, nulls), "{records:?}");
        }
    }
}
