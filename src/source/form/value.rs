//! Values of binary formats as JSON, losslessly.
//!
//! Timestamps are RFC 3339 with all the digits of their unit (a local one without a zone), dates and times of day are
//! text, bytes are base64. What a form cannot say stays what it is: a time beyond the calendar is its number, and what is
//! no JSON number (`NaN`, `inf`, `-inf`) is text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::record::number;

/// Digits after the point beyond which a decimal is not written out.
const MOST_SCALE: usize = 1000;

/// Appends text that needs no escapes.
pub(super) fn quoted(plain: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(plain.as_bytes());
    out.push(b'"');
}

pub(super) fn integer(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(value.to_string().as_bytes());
}

/// The shortest number that reads back as the same, spelled as [`number::print_f64`] spells it; a `f32` or a `f64`.
pub(super) fn float<F: std::fmt::Debug>(value: F, out: &mut Vec<u8>) {
    // Rust's own text has the fewest digits, of either length.
    let text = format!("{value:?}");
    match text.parse::<f64>() {
        Ok(wide) if wide.is_finite() => number::print_f64(wide, out),
        _ => quoted(&text, out),
    }
}

pub(super) fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    quoted(&STANDARD.encode(bytes), out);
}

pub(super) fn date(days: i32, out: &mut Vec<u8>) {
    match Timestamp::from_second(i64::from(days) * 86_400) {
        Ok(at) => quoted(&at.to_zoned(TimeZone::UTC).date().to_string(), out),
        Err(_) => integer(days.into(), out),
    }
}

pub(super) fn time_of_day(count: i64, digits: u32, out: &mut Vec<u8>) {
    let per_second = 10_i64.pow(digits);
    let (seconds, rest) = (count.div_euclid(per_second), count.rem_euclid(per_second));
    if !(0..86_400).contains(&seconds) {
        return integer(count, out);
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    quoted(&format!("{hour:02}:{minute:02}:{second:02}.{rest:0width$}", width = digits as usize), out);
}

pub(super) fn timestamp(count: i64, digits: u32, local: bool, out: &mut Vec<u8>) {
    let per_second = 10_i64.pow(digits);
    let (seconds, rest) = (count.div_euclid(per_second), count.rem_euclid(per_second));
    let whole = Timestamp::from_second(seconds).map(|at| at.to_string());
    // A year of five digits, or one before Christ, is no RFC 3339.
    match whole.as_deref().map(|text| text.strip_suffix('Z').filter(|text| text.len() == 19)) {
        Ok(Some(whole)) => {
            let zone = if local { "" } else { "Z" };
            quoted(&format!("{whole}.{rest:0width$}{zone}", width = digits as usize), out);
        }
        _ => integer(count, out),
    }
}

/// The digits of a whole number, perhaps with a minus, with a decimal point before the last `scale` of them.
pub(super) fn with_point(digits: &str, scale: usize) -> Option<String> {
    if scale > MOST_SCALE {
        return None;
    }
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_stands_before_the_last_digits() {
        for (digits, scale, text) in
            [("12345", 2, "123.45"), ("-1", 2, "-0.01"), ("0", 0, "0"), ("0", 3, "0.000"), ("-12", 0, "-12")]
        {
            assert_eq!(with_point(digits, scale).unwrap(), text);
        }
        assert_eq!(with_point("1", 1001), None);
    }
}
