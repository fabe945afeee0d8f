//! Typed Arrow arrays made of JSON tokens.
//!
//! Invariant (I9): a token is taken only if the typed value prints back to the same token.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringArray, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};

use super::catalogue::ColumnType;
use super::rows::Token;
use crate::error::{Error, Kind, Result};
use crate::record::time::Moment;
use crate::record::{number, text, time};

/// The most rows of one array.
pub(super) const STRETCH_ROWS: usize = 8192;
/// An array ends after the value that reaches this many bytes.
pub(super) const STRETCH_BYTES: usize = 4 << 20;

/// An array in the making.
#[derive(Debug)]
pub(super) struct TypedArray {
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
    pub(super) fn new(kind: ColumnType, tail: bool) -> Self {
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
    pub(super) fn append(&mut self, token: Token<'_>) -> bool {
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

    pub(super) fn append_null(&mut self) {
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

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn is_full(&self) -> bool {
        match &self.values {
            Values::Text(array) | Values::Json(array) => array.is_full(),
            _ => self.rows >= STRETCH_ROWS,
        }
    }

    pub(super) fn finish(&mut self) -> Result<Vec<ArrayRef>> {
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
pub(super) struct TextArray {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    present: Vec<bool>,
}

impl TextArray {
    pub(super) fn new() -> Self {
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

    /// Where the next row's text is to be appended.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the row that consists of the bytes appended since the last.
    pub(super) fn end(&mut self, present: bool) {
        // Stretches end at a few MiB and no record has 2 GiB; should that ever break, `finish` sees it.
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(-1));
        self.present.push(present);
    }

    pub(super) fn rows(&self) -> usize {
        self.present.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows() >= STRETCH_ROWS || self.bytes.len() >= STRETCH_BYTES
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
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
pub(super) fn fits(token: Token<'_>, kind: ColumnType) -> bool {
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

pub(super) fn as_moment(token: Token<'_>) -> Option<Moment> {
    time::parse(&as_text(token)?)
}
