//! One Avro value as JSON, losslessly.
//!
//! Numbers are numbers; strings, enum symbols and the values of unions are themselves; bytes are base64 text; maps and
//! records are objects. Decimals and UUIDs are text, durations objects of their three numbers, times as [`super::value`]
//! says.
//! Invariant: whatever the bytes are, this ends, in memory bounded by `most_bytes` of output: each step reads from the
//! block or writes.

use super::avro_schema::{MOST_DECIMAL_BYTES, Type};
use super::text;
use super::value::{base64, date, float, integer, quoted, time_of_day, timestamp, with_point};

/// What was read from and what not yet.
#[derive(Debug)]
pub(super) struct Cursor<'b> {
    pub(super) rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("a value goes beyond its block")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or("a value goes beyond its block")?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A zigzag number of variable length.
    pub(super) fn long(&mut self) -> Result<i64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err("a number is longer than 64 bits".to_owned())
    }

    fn int(&mut self) -> Result<i32, String> {
        i32::try_from(self.long()?).map_err(|_| "a number is longer than 32 bits".to_owned())
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self) -> Result<&'b [u8], String> {
        let length = self.long()?;
        self.take(usize::try_from(length).map_err(|_| "a length is below zero")?)
    }

    /// How many items follow; 0: none, and no more come.
    fn items(&mut self) -> Result<u64, String> {
        let count = self.long()?;
        if count < 0 {
            // Then the bytes of these items come first.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }
}

/// Appends the value of `kind` that comes next. Errors: what is wrong with it, also if `out` grows beyond `most_bytes`.
pub(super) fn print(kind: &Type, from: &mut Cursor<'_>, most_bytes: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if out.len() > most_bytes {
        return Err(format!("a record becomes more than {most_bytes} bytes"));
    }
    match kind {
        Type::Null => out.extend_from_slice(b"null"),
        Type::Boolean => match from.array()? {
            [0] => out.extend_from_slice(b"false"),
            [1] => out.extend_from_slice(b"true"),
            [other] => return Err(format!("a boolean is {other}")),
        },
        Type::Int => integer(from.int()?.into(), out),
        Type::Long => integer(from.long()?, out),
        Type::Float => float(f32::from_le_bytes(from.array()?), out),
        Type::Double => float(f64::from_le_bytes(from.array()?), out),
        Type::Bytes => base64(from.bytes()?, out),
        Type::Fixed(size) => base64(from.take(*size)?, out),
        Type::Text => text::string(from.bytes()?, out),
        Type::Enum(symbols) => {
            let symbol = usize::try_from(from.int()?).ok().and_then(|index| symbols.get(index));
            out.extend_from_slice(symbol.ok_or("an enum has a symbol that is not defined")?);
        }
        Type::Record(record) => {
            out.push(b'{');
            for (index, field) in record.fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(&field.json);
                out.push(b':');
                print(&field.kind, from, most_bytes, out)?;
            }
            out.push(b'}');
        }
        Type::Array(items) => {
            out.push(b'[');
            each(from, out, |from, out| print(items, from, most_bytes, out))?;
            out.push(b']');
        }
        Type::Map(values) => {
            out.push(b'{');
            each(from, out, |from, out| {
                text::string(from.bytes()?, out);
                out.push(b':');
                print(values, from, most_bytes, out)
            })?;
            out.push(b'}');
        }
        Type::Union(branches) => {
            let branch = usize::try_from(from.long()?).ok().and_then(|index| branches.get(index));
            print(branch.ok_or("a union has a branch that is not defined")?, from, most_bytes, out)?;
        }
        Type::Date => date(from.int()?, out),
        Type::Time { digits } => {
            let count = if *digits == 3 { from.int()?.into() } else { from.long()? };
            time_of_day(count, *digits, out);
        }
        Type::Timestamp { digits, local } => timestamp(from.long()?, *digits, *local, out),
        Type::Decimal { scale, fixed } => {
            let bytes = match fixed {
                Some(size) => from.take(*size)?,
                None => from.bytes()?,
            };
            decimal(bytes, *scale, out);
        }
        Type::Uuid => quoted(&uuid::Uuid::from_bytes(from.array()?).to_string(), out),
        Type::Duration => {
            let [months, days, milliseconds] = [from.array()?, from.array()?, from.array()?].map(u32::from_le_bytes);
            let text = format!("{{\"months\":{months},\"days\":{days},\"milliseconds\":{milliseconds}}}");
            out.extend_from_slice(text.as_bytes());
        }
    }
    Ok(())
}

/// The items of an array or a map, which come in blocks.
fn each(
    from: &mut Cursor<'_>,
    out: &mut Vec<u8>,
    mut item: impl FnMut(&mut Cursor<'_>, &mut Vec<u8>) -> Result<(), String>,
) -> Result<(), String> {
    let mut first = true;
    loop {
        let count = from.items()?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..count {
            if !std::mem::replace(&mut first, false) {
                out.push(b',');
            }
            item(from, out)?;
        }
    }
}

/// Two's complement, the highest byte first; longer than any decimal: its bytes.
fn decimal(bytes: &[u8], scale: usize, out: &mut Vec<u8>) {
    if bytes.is_empty() || bytes.len() > MOST_DECIMAL_BYTES {
        return base64(bytes, out);
    }
    let fill = if bytes[0] < 0x80 { 0 } else { 0xff };
    let mut wide = [fill; MOST_DECIMAL_BYTES];
    wide[MOST_DECIMAL_BYTES - bytes.len()..].copy_from_slice(bytes);
    match with_point(&arrow::datatypes::i256::from_be_bytes(wide).to_string(), scale) {
        Some(text) => quoted(&text, out),
        None => base64(bytes, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(kind: &Type, bytes: &[u8]) -> Result<String, String> {
        let mut out = Vec::new();
        let mut cursor = Cursor { rest: bytes };
        print(kind, &mut cursor, 1000, &mut out)?;
        assert!(cursor.rest.is_empty());
        Ok(String::from_utf8(out).unwrap())
    }

    fn zigzag(value: i64) -> Vec<u8> {
        let mut rest = ((value << 1) ^ (value >> 63)) as u64;
        let mut out = Vec::new();
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
        out
    }

    #[test]
    fn i9_numbers_read_back() {
        for value in [0, 1, -1, 63, -64, 64, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            assert_eq!(printed(&Type::Long, &zigzag(value)).unwrap(), value.to_string());
        }
        assert!(printed(&Type::Int, &zigzag(1 << 31)).is_err());
        assert!(printed(&Type::Long, &[0xff; 11]).is_err());
        assert!(printed(&Type::Long, &[0xff; 9]).is_err());
        for (value, text) in [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1.0, "1"),
            (1e300, "1e+300"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-inf\""),
        ] {
            assert_eq!(printed(&Type::Double, &f64::to_le_bytes(value)).unwrap(), text);
        }
        assert_eq!(printed(&Type::Float, &0.1f32.to_le_bytes()).unwrap(), "0.1");
    }

    #[test]
    fn i9_times_have_all_their_digits() {
        let stamp = |count: i64, digits, local| printed(&Type::Timestamp { digits, local }, &zigzag(count)).unwrap();
        assert_eq!(stamp(1_709_251_200_001, 3, false), "\"2024-03-01T00:00:00.001Z\"");
        assert_eq!(stamp(-1, 6, false), "\"1969-12-31T23:59:59.999999Z\"");
        assert_eq!(stamp(1_709_251_200_000_000_001, 9, true), "\"2024-03-01T00:00:00.000000001\"");
        assert_eq!(stamp(i64::MAX, 3, false), i64::MAX.to_string(), "beyond the calendar");
        assert_eq!(stamp(-100_000_000_000_000, 3, false), "-100000000000000", "before Christ");
        assert_eq!(printed(&Type::Date, &zigzag(19_783)).unwrap(), "\"2024-03-01\"");
        assert_eq!(printed(&Type::Date, &zigzag(i64::from(i32::MAX))).unwrap(), i32::MAX.to_string());
        assert_eq!(printed(&Type::Time { digits: 3 }, &zigzag(86_399_999)).unwrap(), "\"23:59:59.999\"");
        assert_eq!(printed(&Type::Time { digits: 6 }, &zigzag(86_400_000_000)).unwrap(), "86400000000");
    }

    #[test]
    fn i9_decimals_are_exact() {
        let text = |bytes: &[u8], scale| {
            let mut framed = zigzag(bytes.len() as i64);
            framed.extend_from_slice(bytes);
            printed(&Type::Decimal { scale, fixed: None }, &framed).unwrap()
        };
        assert_eq!(text(&[0x30, 0x39], 2), "\"123.45\"");
        assert_eq!(text(&[0xff], 2), "\"-0.01\"");
        assert_eq!(text(&[0], 0), "\"0\"");
        assert_eq!(text(&[0x7f; 32], 0).len(), 79);
        assert_eq!(text(&[0xff, 0x01], 3), "\"-0.255\"");
        assert_eq!(text(&[1; 33], 0), "\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\"", "too long for one");
        assert_eq!(text(&[1], 1_000_000_000), "\"AQ==\"");
    }

    #[test]
    fn i11_what_takes_no_bytes_cannot_grow_without_bound() {
        let nulls = [zigzag(i64::MAX), vec![0]].concat();
        let kind = Type::Array(std::sync::Arc::new(Type::Null));
        assert_eq!(printed(&kind, &nulls).unwrap_err(), "a record becomes more than 1000 bytes");
        assert_eq!(printed(&kind, &[3, 4, 2, 0][..]).unwrap(), "[null,null,null]", "blocks may say their size");
    }

    #[test]
    fn broken_values_are_errors() {
        for (kind, bytes) in [
            (Type::Boolean, &[2][..]),
            (Type::Text, &[4, b'a']),
            (Type::Bytes, &[1]),
            (Type::Enum(vec![b"\"A\"".to_vec()]), &[2]),
            (Type::Enum(vec![b"\"A\"".to_vec()]), &[1]),
            (Type::Union(vec![]), &[0]),
            (Type::Double, &[0; 7]),
            (Type::Uuid, &[0; 15]),
            (Type::Fixed(usize::MAX), &[]),
        ] {
            assert!(printed(&kind, bytes).is_err(), "{kind:?}");
        }
    }
}
