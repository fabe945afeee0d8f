//! A value as search sees it: one column's values of many rows, from typed columns, from `_hf_rest`, or from raw records.
//!
//! The one evaluator of DESIGN §6: whether a record lies raw, in quarantine or in a segment, its value of a column is the
//! same, since both ways end here. A value that cannot be read as the column's type becomes null and is counted, never
//! guessed (I13): a fraction is no integer, a number is no time.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int32Builder, Int64Builder, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};

use crate::archive::catalogue::{ColumnType, fold};
use crate::record::{Member, ValueKind, text, time};

/// The type by which SQL knows a column.
pub fn sql_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::Text | ColumnType::Json => DataType::Utf8View,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// The member that is the value of a column: under its exact spelling, else under any; of repeated ones the first. A null
/// is no value.
pub fn find<'a>(record: &[u8], members: &'a [Member], name: &str, folded: &str) -> Option<&'a Member> {
    let mut other = None;
    for member in members.iter().filter(|member| member.kind != ValueKind::Null) {
        let raw = member.key.of(record);
        if !member.key_escaped && raw == name.as_bytes() {
            return Some(member);
        }
        let key = if member.key_escaped {
            text::unescape(raw).ok()
        } else {
            std::str::from_utf8(raw).ok().map(Cow::Borrowed)
        };
        let Some(key) = key else { continue };
        if key == name {
            return Some(member);
        }
        if other.is_none() && fold(&key) == folded {
            other = Some(member);
        }
    }
    other
}

/// The values of one column, to be.
#[derive(Debug)]
pub enum Values {
    Text(StringViewBuilder),
    Json(StringViewBuilder),
    Bool(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Double(Float64Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Values {
    pub fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text => Values::Text(StringViewBuilder::new()),
            ColumnType::Json => Values::Json(StringViewBuilder::new()),
            ColumnType::Bool => Values::Bool(BooleanBuilder::new()),
            ColumnType::Int => Values::Int(Int32Builder::new()),
            ColumnType::Long => Values::Long(Int64Builder::new()),
            ColumnType::Double => Values::Double(Float64Builder::new()),
            ColumnType::Timestamp => {
                Values::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(sql_type(ColumnType::Timestamp)))
            }
        }
    }

    pub fn null(&mut self) {
        match self {
            Values::Text(values) | Values::Json(values) => values.append_null(),
            Values::Bool(values) => values.append_null(),
            Values::Int(values) => values.append_null(),
            Values::Long(values) => values.append_null(),
            Values::Double(values) => values.append_null(),
            Values::Timestamp(values) => values.append_null(),
        }
    }

    /// Takes over a value of a typed column of the same type; text may come as `Utf8` or `Utf8View`.
    pub fn typed(&mut self, from: &dyn Array, row: usize) {
        let taken = match self {
            _ if from.is_null(row) => None,
            Values::Text(values) | Values::Json(values) => {
                let text = from
                    .as_string_view_opt()
                    .map(|texts| texts.value(row))
                    .or_else(|| from.as_string_opt::<i32>().map(|texts| texts.value(row)));
                text.map(|text| values.append_value(text))
            }
            Values::Bool(values) => from.as_boolean_opt().map(|from| values.append_value(from.value(row))),
            Values::Int(values) => {
                from.as_primitive_opt::<Int32Type>().map(|from| values.append_value(from.value(row)))
            }
            Values::Long(values) => {
                from.as_primitive_opt::<Int64Type>().map(|from| values.append_value(from.value(row)))
            }
            Values::Double(values) => {
                from.as_primitive_opt::<Float64Type>().map(|from| values.append_value(from.value(row)))
            }
            Values::Timestamp(values) => {
                from.as_primitive_opt::<TimestampMicrosecondType>().map(|from| values.append_value(from.value(row)))
            }
        };
        if taken.is_none() {
            self.null();
        }
    }

    /// Reads a token. False: it is no value of this type; a null stands in its place.
    pub fn token(&mut self, token: &[u8], kind: ValueKind) -> bool {
        if kind == ValueKind::Null {
            self.null();
            return true;
        }
        let taken = match self {
            Values::Text(values) => {
                values.append_value(as_text(token, kind));
                Some(())
            }
            Values::Json(values) => {
                values.append_value(String::from_utf8_lossy(token));
                Some(())
            }
            Values::Bool(values) => as_bool(token, kind).map(|value| values.append_value(value)),
            Values::Int(values) => as_integer(token, kind)
                .and_then(|value| i32::try_from(value).ok())
                .map(|value| values.append_value(value)),
            Values::Long(values) => as_integer(token, kind).map(|value| values.append_value(value)),
            Values::Double(values) => as_double(token, kind).map(|value| values.append_value(value)),
            Values::Timestamp(values) => as_time(token, kind).map(|value| values.append_value(value)),
        };
        if taken.is_none() {
            self.null();
        }
        taken.is_some()
    }

    pub fn finish(self) -> ArrayRef {
        match self {
            Values::Text(mut values) | Values::Json(mut values) => Arc::new(values.finish()),
            Values::Bool(mut values) => Arc::new(values.finish()),
            Values::Int(mut values) => Arc::new(values.finish()),
            Values::Long(mut values) => Arc::new(values.finish()),
            Values::Double(mut values) => Arc::new(values.finish()),
            Values::Timestamp(mut values) => Arc::new(values.finish()),
        }
    }
}

/// Strings without their quotes, anything else as it is written. An unpaired surrogate shows as U+FFFD.
fn as_text(token: &[u8], kind: ValueKind) -> Cow<'_, str> {
    match body(token, kind) {
        Some(body) => match text::to_wtf8(body) {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        },
        None => String::from_utf8_lossy(token),
    }
}

fn body(token: &[u8], kind: ValueKind) -> Option<&[u8]> {
    if kind != ValueKind::String {
        return None;
    }
    token.get(1..token.len().checked_sub(1)?)
}

/// What a number or a string with a number in it says.
fn numeral(token: &[u8], kind: ValueKind) -> Option<&str> {
    let text = match kind {
        ValueKind::Number => token,
        ValueKind::String => body(token, kind)?,
        _ => return None,
    };
    // `nan`, `inf` and `+1` are no numbers of JSON.
    let text = std::str::from_utf8(text).ok()?.trim();
    text.starts_with(|first: char| first.is_ascii_digit() || first == '-').then_some(text)
}

fn as_bool(token: &[u8], kind: ValueKind) -> Option<bool> {
    let word = match kind {
        ValueKind::Bool => token,
        ValueKind::String => body(token, kind)?,
        _ => return None,
    };
    match word {
        word if word.eq_ignore_ascii_case(b"true") => Some(true),
        word if word.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

fn as_integer(token: &[u8], kind: ValueKind) -> Option<i64> {
    let text = numeral(token, kind)?;
    if let Ok(value) = text.parse::<i64>() {
        return Some(value);
    }
    // `5.0` and `1e3` are whole; beyond 2⁵³ a double cannot tell.
    let value = text.parse::<f64>().ok()?;
    (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then_some(value as i64)
}

fn as_double(token: &[u8], kind: ValueKind) -> Option<f64> {
    numeral(token, kind)?.parse::<f64>().ok().filter(|value| value.is_finite())
}

fn as_time(token: &[u8], kind: ValueKind) -> Option<i64> {
    let text = text::unescape(body(token, kind)?).ok()?;
    time::parse(&text).filter(|moment| !moment.ambiguous).map(|moment| moment.micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::members;
    use arrow::util::display::array_value_to_string;

    /// What each value of `{"v": …}` is as `kind`; `!` if it cannot be read so.
    fn read(kind: ColumnType, tokens: &[&str]) -> Vec<String> {
        tokens
            .iter()
            .map(|token| {
                let record = format!("{{\"v\":{token}}}");
                let mut found = Vec::new();
                members(record.as_bytes(), &mut found).unwrap();
                let mut values = Values::new(kind);
                let fits = values.token(found[0].value.of(record.as_bytes()), found[0].kind);
                let array = values.finish();
                assert_eq!(fits, array.is_valid(0) || found[0].kind == ValueKind::Null);
                if fits { array_value_to_string(&array, 0).unwrap() } else { "!".into() }
            })
            .collect()
    }

    #[test]
    fn values_are_read_as_the_type_of_their_column_or_not_at_all() {
        let tokens = ["7", "\"7\"", "1.5", "5.0", "1e3", "true", "\"TRUE\"", "{\"a\": 1}", "\"a\\u0062\"", "null"];
        let read = |kind| read(kind, &tokens).join(" | ");
        insta::assert_snapshot!(read(ColumnType::Long), @"7 | 7 | ! | 5 | 1000 | ! | ! | ! | ! | ");
        insta::assert_snapshot!(read(ColumnType::Double), @"7.0 | 7.0 | 1.5 | 5.0 | 1000.0 | ! | ! | ! | ! | ");
        insta::assert_snapshot!(read(ColumnType::Bool), @"! | ! | ! | ! | ! | true | true | ! | ! | ");
        insta::assert_snapshot!(read(ColumnType::Text), @r#"7 | 7 | 1.5 | 5.0 | 1e3 | true | TRUE | {"a": 1} | ab | "#);
        insta::assert_snapshot!(read(ColumnType::Json), @r#"7 | "7" | 1.5 | 5.0 | 1e3 | true | "TRUE" | {"a": 1} | "a\u0062" | "#);
        insta::assert_snapshot!(read(ColumnType::Timestamp), @"! | ! | ! | ! | ! | ! | ! | ! | ! | ");
    }

    #[test]
    fn what_a_type_cannot_hold_is_not_guessed() {
        assert_eq!(
            read(ColumnType::Int, &["2147483647", "2147483648", "-2147483648"]),
            ["2147483647", "!", "-2147483648"]
        );
        assert_eq!(
            read(ColumnType::Long, &["9223372036854775807", "9223372036854775808", "1e300"]),
            ["9223372036854775807", "!", "!"]
        );
        assert_eq!(read(ColumnType::Double, &["1e999", "\"nan\"", "\"inf\"", "\"-1.5\""]), ["!", "!", "!", "-1.5"]);
        assert_eq!(
            read(ColumnType::Timestamp, &["\"2024-03-01T00:00:00.1234567Z\"", "\"yesterday\"", "1709251200"]),
            ["2024-03-01T00:00:00.123456Z", "!", "!"]
        );
        assert_eq!(read(ColumnType::Text, &["\"a\\ud800\""]), ["a\u{fffd}\u{fffd}\u{fffd}"]);
    }

    #[test]
    fn the_exact_spelling_comes_first_and_a_null_is_no_value() {
        let find = |record: &str| {
            let mut found = Vec::new();
            members(record.as_bytes(), &mut found).unwrap();
            find(record.as_bytes(), &found, "Level", "level")
                .map(|member| String::from_utf8(member.value.of(record.as_bytes()).to_vec()).unwrap())
        };
        assert_eq!(find(r#"{"level":1,"Level":2,"Level":3}"#).as_deref(), Some("2"));
        assert_eq!(find(r#"{"LEVEL":1,"level":2,"Level":null}"#).as_deref(), Some("1"));
        assert_eq!(find(r#"{"\u004cevel":4,"levels":1}"#).as_deref(), Some("4"));
        assert_eq!(find(r#"{"Levels":1}"#), None);
    }
}
