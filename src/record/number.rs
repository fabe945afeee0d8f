//! Numbers that may become typed values: only those whose value prints back to the very token (I9).
//!
//! `1`, `1.0`, `1e0` and `-0` are different records although equal numbers: each function says `Some` for at most one
//! spelling of a value, the one its printer gives. Negative zero never becomes a typed value: readers and
//! dictionaries tend to take it for zero.

use std::fmt::Write;

use super::stack::Stack;

/// Beyond any text that [`print_f64`] can give (`-0.0000012345678901234567` has 25 bytes).
const LONGEST_F64: usize = 25;

/// The integers up to here are exact in a double.
const EXACT: i64 = 1 << 53;

/// `Some` only if printing the integer gives exactly `token`: `-0`, `01`, `1.0`, `1e3` and overflow are `None`.
pub fn as_i64(token: &[u8]) -> Option<i64> {
    let (negative, digits) = match token.split_first() {
        Some((b'-', digits)) => (true, digits),
        _ => (false, token),
    };
    // 19 digits fit in a u64 without overflow, and an i64 has no more.
    if digits.is_empty() || digits.len() > 19 || (digits[0] == b'0' && (negative || digits.len() > 1)) {
        return None;
    }
    let mut magnitude = 0_u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit - b'0');
    }
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// [`as_i64`] within the range of 32 bits.
pub fn as_i32(token: &[u8]) -> Option<i32> {
    i32::try_from(as_i64(token)?).ok()
}

/// `Some` only if [`print_f64`] gives exactly `token`; never negative zero, never infinite.
pub fn as_f64(token: &[u8]) -> Option<f64> {
    if token.len() > LONGEST_F64 {
        return None;
    }
    if let Some(integer) = as_i64(token)
        && integer.unsigned_abs() <= EXACT.unsigned_abs()
    {
        return Some(integer as f64);
    }
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    if !value.is_finite() || value == 0.0 {
        return None;
    }
    let mut text = Text::new();
    text.number(value);
    (text.bytes() == token).then_some(value)
}

/// Appends the shortest decimal text that reads back as `value`, as JavaScript's `Number.prototype.toString` spells
/// it, so that an integral value prints as an integer and one double column holds integers and fractions:
///
/// - decimal point between 10⁻⁶ and 10²¹: `0.000001`, `1`, `100.5`, `123456789012345680000`;
/// - else an exponent with its sign: `1e-7`, `1.5e+300`.
///
/// Unlike JavaScript, negative zero prints `-0`. JSON has no infinities and no NaN: they print `null`.
pub fn print_f64(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        out.extend_from_slice(b"null");
        return;
    }
    let mut text = Text::new();
    text.number(value);
    out.extend_from_slice(text.bytes());
}

/// Long enough for any double in either notation.
type Text = Stack<40>;

impl Text {
    /// `value` is finite.
    fn number(&mut self, value: f64) {
        const ZEROES: &[u8; 21] = b"000000000000000000000";
        // Rust's exponent form has the shortest digits that round-trip: `-1.2345e-7`.
        let mut scientific = Text::new();
        let _ = write!(scientific, "{value:e}");
        let (negative, rest) = match scientific.bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (mantissa, exponent) = match rest.iter().position(|&byte| byte == b'e') {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &b"0"[..]),
        };
        let mut digits = [0; 20];
        let mut count = 0;
        for &byte in mantissa.iter().filter(|byte| byte.is_ascii_digit()) {
            digits[count] = byte;
            count += 1;
        }
        let digits = &digits[..count];
        let exponent = as_i32(exponent).unwrap_or(0);
        if negative {
            self.push(b"-");
        }
        // Digits before the point, as ECMA-262 (Number::toString) counts them: n.
        match exponent + 1 {
            before @ 1..=21 => {
                let before = before as usize;
                if count <= before {
                    self.push(digits);
                    self.push(&ZEROES[..before - count]);
                } else {
                    self.push(&digits[..before]);
                    self.push(b".");
                    self.push(&digits[before..]);
                }
            }
            before @ -5..=0 => {
                self.push(b"0.");
                self.push(&ZEROES[..before.unsigned_abs() as usize]);
                self.push(digits);
            }
            _ => {
                self.push(&digits[..1]);
                if count > 1 {
                    self.push(b".");
                    self.push(&digits[1..]);
                }
                self.push(if exponent < 0 { b"e-" } else { b"e+" });
                let mut magnitude = Text::new();
                let _ = write!(magnitude, "{}", exponent.unsigned_abs());
                self.push(magnitude.bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(value: f64) -> String {
        let mut out = Vec::new();
        print_f64(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn i9_integers_are_taken_only_as_they_print() {
        for (token, value) in
            [("0", 0), ("7", 7), ("-7", -7), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(as_i64(token.as_bytes()), Some(value));
        }
        for token in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "-01",
            "1.0",
            "1e3",
            "+1",
            " 1",
            "1 ",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
        ] {
            assert_eq!(as_i64(token.as_bytes()), None, "{token}");
        }
        assert_eq!(as_i32(b"2147483647"), Some(i32::MAX));
        assert_eq!(as_i32(b"-2147483648"), Some(i32::MIN));
        assert_eq!(as_i32(b"2147483648"), None);
    }

    #[test]
    fn doubles_print_as_javascript_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (123e18, "123000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (0.1, "0.1"),
            (0.000001, "0.000001"),
            (0.00000123, "0.00000123"),
            (1e-7, "1e-7"),
            (-1.25e-7, "-1.25e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (9007199254740993.0, "9007199254740992"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "null"),
            (f64::NEG_INFINITY, "null"),
        ] {
            assert_eq!(printed(value), text);
        }
    }

    #[test]
    fn i9_doubles_are_taken_only_as_they_print() {
        for token in ["0", "1", "-1", "1.5", "0.1", "1e+21", "1e-7", "-1.25e-7", "100", "9007199254740992", "1e+300"] {
            let value = as_f64(token.as_bytes()).unwrap();
            assert_eq!(printed(value), token);
        }
        for token in [
            "-0",
            "-0.0",
            "0.0",
            "1.0",
            "1e0",
            "1E+2",
            "1e2",
            "1e21",
            "1E+21",
            "0.10",
            "9007199254740993",
            "0.1000000000000000055511151231257827",
            "1e999",
            "1e-999",
            "",
            "NaN",
            "inf",
            "+1",
            "1.",
            ".5",
        ] {
            assert_eq!(as_f64(token.as_bytes()), None, "{token}");
        }
    }

    proptest! {
        #[test]
        fn i9_every_double_prints_to_what_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = printed(value);
            prop_assert!(text.len() <= LONGEST_F64);
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
            prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok());
            if value != 0.0 {
                prop_assert_eq!(as_f64(text.as_bytes()).map(f64::to_bits), Some(bits));
            }
        }

        #[test]
        fn i9_a_taken_number_prints_back(token in r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?") {
            if let Some(value) = as_f64(token.as_bytes()) {
                prop_assert_eq!(printed(value), token.clone());
            }
            if let Some(value) = as_i64(token.as_bytes()) {
                prop_assert_eq!(value.to_string(), token);
            }
        }

        #[test]
        fn every_integer_is_taken(value in any::<i64>()) {
            prop_assert_eq!(as_i64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn the_short_cut_for_integers_agrees_with_printing(value in -EXACT..=EXACT) {
            prop_assert_eq!(as_f64(value.to_string().as_bytes()), Some(value as f64));
            prop_assert_eq!(printed(value as f64), value.to_string());
        }
    }
}
