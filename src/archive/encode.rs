//! From a column's tokens to typed arrays, one stretch of rows at a time.
//!
//! Invariant (I9): a value is in the array only if it prints back to the same token from there; the others are named
//! to the caller, who puts them in `_hf_rest`. Memory is bounded by [`STRETCH_ROWS`] and [`STRETCH_BYTES`] (or one
//! value, if that is larger), whatever the column holds.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringArray, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};

use super::catalogue::ColumnType;
use super::rows::{Cursor, RowBuffer, Token};
use crate::error::{Error, Kind, Result};
use crate::record::time::Moment;
use crate::record::{number, text, time};

/// The most rows of one array.
pub(super) const STRETCH_ROWS: usize = 8192;
/// An array ends after the value that reaches this many bytes.
pub(super) const STRETCH_BYTES: usize = 4 << 20;

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
    if array.rows > 0 {
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
    if array.rows > 0 { emit(&array.finish()?) } else { Ok(()) }
}

/// A text column of Holdfast's own: `text` appends the row's text, or says that there is none.
pub(super) fn own_text(
    rows: &[u32],
    mut text: impl FnMut(usize, u32, &mut Vec<u8>) -> bool,
    emit: &mut dyn FnMut(&[ArrayRef]) -> Result<()>,
) -> Result<()> {
    let mut array = TextArray::new();
    for (at, &row) in rows.iter().enumerate() {
        let present = text(at, row, &mut array.bytes);
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

/// An array in the making.
#[derive(Debug)]
struct TypedArray {
    values: Values,
    /// Tails, if they are asked for.
    tails: Option<StringBuilder>,
    rows: usize,
}

#[derive(Debug)]
enum Values {
    Text(TextArray),
    Json(TextArray),
    Bool(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Double(Float64Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl TypedArray {
    fn new(kind: ColumnType, tail: bool) -> Self {
        let values = match kind {
            ColumnType::Text => Values::Text(TextArray::new()),
            ColumnType::Json => Values::Json(TextArray::new()),
            ColumnType::Bool => Values::Bool(BooleanBuilder::new()),
            ColumnType::Int => Values::Int(Int32Builder::new()),
            ColumnType::Long => Values::Long(Int64Builder::new()),
            ColumnType::Double => Values::Double(Float64Builder::new()),
            ColumnType::Timestamp => Values::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        };
        TypedArray { values, tails: tail.then(StringBuilder::new), rows: 0 }
    }

    /// Appends the value if it fits; else appends nothing and says `false`.
    fn append(&mut self, token: Token<'_>) -> bool {
        let fits = match &mut self.values {
            Values::Text(array) => array.append_string(token),
            Values::Json(array) => array.append(token.bytes),
            Values::Bool(array) => as_bool(token).map(|value| array.append_value(value)).is_some(),
            Values::Int(array) => number::as_i32(token.bytes).map(|value| array.append_value(value)).is_some(),
            Values::Long(array) => number::as_i64(token.bytes).map(|value| array.append_value(value)).is_some(),
            Values::Double(array) => number::as_f64(token.bytes).map(|value| array.append_value(value)).is_some(),
            Values::Timestamp(array) => match (as_moment(token), &mut self.tails) {
                (Some(moment), Some(tails)) => {
                    array.append_value(moment.micros);
                    tails.append_option(moment.tail.as_deref());
                    true
                }
                (Some(moment), None) if moment.tail.is_none() => {
                    array.append_value(moment.micros);
                    true
                }
                _ => false,
            },
        };
        self.rows += usize::from(fits);
        fits
    }

    fn append_null(&mut self) {
        match &mut self.values {
            Values::Text(array) | Values::Json(array) => array.end(false),
            Values::Bool(array) => array.append_null(),
            Values::Int(array) => array.append_null(),
            Values::Long(array) => array.append_null(),
            Values::Double(array) => array.append_null(),
            Values::Timestamp(array) => {
                array.append_null();
                if let Some(tails) = &mut self.tails {
                    tails.append_null();
                }
            }
        }
        self.rows += 1;
    }

    fn is_full(&self) -> bool {
        match &self.values {
            Values::Text(array) | Values::Json(array) => array.is_full(),
            _ => self.rows >= STRETCH_ROWS,
        }
    }

    fn finish(&mut self) -> Result<Vec<ArrayRef>> {
        self.rows = 0;
        let values: ArrayRef = match &mut self.values {
            Values::Text(array) | Values::Json(array) => array.finish()?,
            Values::Bool(array) => Arc::new(array.finish()),
            Values::Int(array) => Arc::new(array.finish()),
            Values::Long(array) => Arc::new(array.finish()),
            Values::Double(array) => Arc::new(array.finish()),
            Values::Timestamp(array) => Arc::new(array.finish()),
        };
        let tails = self.tails.as_mut().map(|tails| Arc::new(tails.finish()) as ArrayRef);
        Ok(std::iter::once(values).chain(tails).collect())
    }
}

/// Texts one after the other. Arrow's own builder checks each text apart; here they are checked all at once.
#[derive(Debug)]
struct TextArray {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    present: Vec<bool>,
}

impl TextArray {
    fn new() -> Self {
        TextArray { bytes: Vec::new(), offsets: vec![0], present: Vec::new() }
    }

    fn append(&mut self, text: &[u8]) -> bool {
        self.bytes.extend_from_slice(text);
        self.end(true);
        true
    }

    /// Appends the decoded text of a string; nothing, and `false`, if it is none or has unpaired surrogates.
    fn append_string(&mut self, token: Token<'_>) -> bool {
        let [b'"', body @ .., b'"'] = token.bytes else { return false };
        if !token.escaped {
            return self.append(body);
        }
        let start = self.bytes.len();
        text::wtf8_into(body, &mut self.bytes);
        // A surrogate in WTF-8 is what UTF-8 forbids.
        let fits = std::str::from_utf8(&self.bytes[start..]).is_ok();
        if fits {
            self.end(true);
        } else {
            self.bytes.truncate(start);
        }
        fits
    }

    /// Ends the row that consists of the bytes appended since the last.
    fn end(&mut self, present: bool) {
        // Stretches end at a few MiB and no record has 2 GiB; should that ever break, `finish` sees it.
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(-1));
        self.present.push(present);
    }

    fn rows(&self) -> usize {
        self.present.len()
    }

    fn is_full(&self) -> bool {
        self.rows() >= STRETCH_ROWS || self.bytes.len() >= STRETCH_BYTES
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let TextArray { bytes, offsets, present } = std::mem::replace(self, TextArray::new());
        if offsets.contains(&-1) {
            return Err(Error::new(Kind::Internal, "encoding a text column", "a stretch of 2 GiB or more"));
        }
        let nulls = present.contains(&false).then(|| NullBuffer::from(present));
        let array = StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(bytes), nulls)
            .map_err(|error| Error::from_source(Kind::Internal, "encoding a text column", error))?;
        Ok(Arc::new(array))
    }
}

/// True if the value prints back to its token from a column of this type.
fn fits(token: Token<'_>, kind: ColumnType) -> bool {
    match kind {
        ColumnType::Text => as_text(token).is_some(),
        ColumnType::Json => true,
        ColumnType::Bool => as_bool(token).is_some(),
        ColumnType::Int => number::as_i32(token.bytes).is_some(),
        ColumnType::Long => number::as_i64(token.bytes).is_some(),
        ColumnType::Double => number::as_f64(token.bytes).is_some(),
        ColumnType::Timestamp => as_moment(token).is_some(),
    }
}

/// The decoded text of a string without unpaired surrogates.
fn as_text(token: Token<'_>) -> Option<Cow<'_, str>> {
    let [b'"', body @ .., b'"'] = token.bytes else { return None };
    if token.escaped { text::unescape(body).ok() } else { std::str::from_utf8(body).ok().map(Cow::Borrowed) }
}

fn as_bool(token: Token<'_>) -> Option<bool> {
    match token.bytes {
        b"true" => Some(true),
        b"false" => Some(false),
        _ => None,
    }
}

fn as_moment(token: Token<'_>) -> Option<Moment> {
    time::parse(&as_text(token)?)
}

#[cfg(test)]
mod tests {
    use super::*;
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
