//! Timestamps as text: an instant in microseconds and a short tail that gives the very text back (I9).
//!
//! Two families are read, with the proleptic Gregorian calendar and years 0001 to 9999:
//!
//! - ISO: `YYYY-MM-DD`, then `T`, `t` or a space, then `hh:mm:ss`, fraction, zone;
//! - US: `M/D/YYYY`, a comma or none, a space, `h:mm:ss`, fraction, ` AM` or ` PM` (or in lower case) or nothing, zone;
//!   month, day and hour with or without a leading zero.
//!
//! A fraction is absent or has 1 to 15 digits. A zone is absent (then UTC is meant), `Z`, `z`, or an offset `±hh:mm`,
//! `±hhmm`, `±hh`, with a space before it or not. Second 60 and hour 24 are no instants of their own: not read.
//! What else there is to a text, its tail, is described in [`super::tail`].

use super::calendar::{civil, date};
use super::stack::Stack;
use super::tail::{Case, Form, MOST_BEYOND, Shape, Zone, leading_digits, number, read_tail, read_zone};

pub use super::tail::Tail;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// 0001-01-01T00:00:00Z and the last microsecond of 9999.
const FIRST: i64 = -719_162 * MICROS_PER_DAY;
const LAST: i64 = 2_932_897 * MICROS_PER_DAY - 1;

/// `MM/DD/YYYY, hh:mm:ss.`, fifteen digits, ` AM +hh:mm`.
const LONGEST_TEXT: usize = 48;

/// A timestamp that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since 1970-01-01 UTC, within the years 0001 to 9999.
    pub micros: i64,
    /// What it takes to print the text back; `None`: canonical.
    pub tail: Option<Tail>,
    /// Month and day could be the other way round: `01/09/2007`.
    pub ambiguous: bool,
}

/// Reads a decoded timestamp. `Some` only if [`print()`] gives exactly `text` back, which is tried here each time.
pub fn parse(text: &str) -> Option<Moment> {
    let text = text.as_bytes();
    if let Some(moment) = read_common(text) {
        return Some(moment);
    }
    let (micros, form, ambiguous) = if text.get(4) == Some(&b'-') { read_iso(text) } else { read_us(text) }?;
    let tail = form.tail();
    let mut printed = Stack::new();
    write(micros, tail.as_deref(), &mut printed)?;
    (printed.bytes() == text).then_some(Moment { micros, tail, ambiguous })
}

/// Appends the timestamp as it was written, without quotes; it needs no escaping in JSON. `false`, and nothing
/// appended, if the instant is outside the years 0001 to 9999, or if `tail` is none or would drop digits.
pub fn print(micros: i64, tail: Option<&str>, out: &mut Vec<u8>) -> bool {
    let mut text = Stack::new();
    if write(micros, tail, &mut text).is_none() {
        return false;
    }
    out.extend_from_slice(text.bytes());
    true
}

/// The UTC day of an instant, counted from 1970-01-01.
pub fn day(micros: i64) -> i32 {
    // An i64 of microseconds has about 10^8 days.
    micros.div_euclid(MICROS_PER_DAY) as i32
}

/// `YYYY-MM-DDThh:mm:ss.ffffffZ`, or with a seventh digit: what most services write. Every byte is a digit of a field or
/// stands where [`common`] puts it, so that printing gives it back.
fn read_common(text: &[u8]) -> Option<Moment> {
    let (
        &[
            y1,
            y2,
            y3,
            y4,
            b'-',
            m1,
            m2,
            b'-',
            d1,
            d2,
            b'T',
            h1,
            h2,
            b':',
            i1,
            i2,
            b':',
            s1,
            s2,
            b'.',
            ref fraction @ ..,
        ],
        b"Z",
    ) = text.split_at_checked(text.len().checked_sub(1)?)?
    else {
        return None;
    };
    let (&micros, tail) = match fraction {
        [micros @ .., seventh @ b'0'..=b'9'] if micros.len() == 6 => {
            (micros.first_chunk::<6>()?, Some(Tail::seventh(*seventh)))
        }
        _ => (fraction.as_array::<6>()?, None),
    };
    let days = date(number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?)?;
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    let micros = days * MICROS_PER_DAY + seconds * MICROS_PER_SECOND + i64::from(number(&micros)?);
    Some(Moment { micros, tail, ambiguous: false })
}

/// The text of an instant that [`read_common`] read.
fn common(micros: i64, seventh: Option<u8>, out: &mut Stack<LONGEST_TEXT>) {
    let (year, month, day) = civil(micros.div_euclid(MICROS_PER_DAY));
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    let (seconds, fraction) = ((of_day / MICROS_PER_SECOND) as u32, (of_day % MICROS_PER_SECOND) as u32);
    let ([y1, y2], [y3, y4], [m1, m2], [d1, d2]) = (two(year / 100), two(year % 100), two(month), two(day));
    let ([h1, h2], [i1, i2], [s1, s2]) = (two(seconds / 3600), two(seconds / 60 % 60), two(seconds % 60));
    let ([f1, f2], [f3, f4], [f5, f6]) = (two(fraction / 10_000), two(fraction / 100 % 100), two(fraction % 100));
    let text = [
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        i1,
        i2,
        b':',
        s1,
        s2,
        b'.',
        f1,
        f2,
        f3,
        f4,
        f5,
        f6,
        seventh.unwrap_or(b'Z'),
        b'Z',
    ];
    out.push(if seventh.is_some() { &text } else { &text[..27] });
}

fn read_iso(text: &[u8]) -> Option<(i64, Form<'_>, bool)> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, separator @ (b'T' | b't' | b' '), ref clock @ ..] = text else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let days = date(year, number(&[m1, m2])?, number(&[d1, d2])?)?;
    let &[h1, h2, b':', ref clock @ ..] = clock else { return None };
    let hour = number(&[h1, h2])?;
    let (rest_micros, decimals, beyond, rest) = minutes_on(clock)?;
    let zone = read_zone_at_end(rest)?;
    if hour > 23 {
        return None;
    }
    let micros = days * MICROS_PER_DAY + i64::from(hour) * 60 * MICROS_PER_MINUTE + rest_micros;
    let form = Form { decimals, beyond, zone, shape: Shape::Iso(separator) };
    Some((micros - zone.offset_minutes * MICROS_PER_MINUTE, form, false))
}

fn read_us(text: &[u8]) -> Option<(i64, Form<'_>, bool)> {
    let (month, month_zero, rest) = one_or_two(text)?;
    let (day, day_zero, rest) = one_or_two(rest.strip_prefix(b"/")?)?;
    let &[b'/', y1, y2, y3, y4, ref rest @ ..] = rest else { return None };
    let year = number(&[y1, y2, y3, y4])?;
    let (comma, rest) = match rest.strip_prefix(b",") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    let (hour, hour_zero, rest) = one_or_two(rest.strip_prefix(b" ")?)?;
    let (rest_micros, decimals, beyond, rest) = minutes_on(rest.strip_prefix(b":")?)?;
    let (meridiem, afternoon, rest) = match rest {
        [b' ', half @ (b'A' | b'P'), b'M', rest @ ..] => (Some(Case::Upper), *half == b'P', rest),
        [b' ', half @ (b'a' | b'p'), b'm', rest @ ..] => (Some(Case::Lower), *half == b'p', rest),
        _ => (None, false, rest),
    };
    let hour = match (meridiem, hour) {
        (None, 0..=23) => hour,
        (Some(_), 1..=12) => hour % 12 + if afternoon { 12 } else { 0 },
        _ => return None,
    };
    let zone = read_zone_at_end(rest)?;
    let micros = date(year, month, day)? * MICROS_PER_DAY + i64::from(hour) * 60 * MICROS_PER_MINUTE + rest_micros;
    let shape = Shape::Us {
        month_padded: month_zero.or(day_zero).unwrap_or(false),
        day_padded: day_zero.or(month_zero).unwrap_or(false),
        hour_padded: hour_zero.unwrap_or(meridiem.is_none()),
        comma,
        meridiem,
    };
    let form = Form { decimals, beyond, zone, shape };
    Some((micros - zone.offset_minutes * MICROS_PER_MINUTE, form, day <= 12 && day != month))
}

/// `mm:ss` and a fraction: microseconds, the number of fraction digits, those after the sixth, what follows.
fn minutes_on(text: &[u8]) -> Option<(i64, usize, &[u8], &[u8])> {
    let &[m1, m2, b':', s1, s2, ref rest @ ..] = text else { return None };
    let (minute, second) = (number(&[m1, m2])?, number(&[s1, s2])?);
    if minute > 59 || second > 59 {
        return None;
    }
    let whole = (i64::from(minute) * 60 + i64::from(second)) * MICROS_PER_SECOND;
    let Some(rest) = rest.strip_prefix(b".") else { return Some((whole, 0, b"", rest)) };
    let (fraction, rest) = rest.split_at(leading_digits(rest));
    if fraction.is_empty() || fraction.len() > 6 + MOST_BEYOND {
        return None;
    }
    let (kept, beyond) = fraction.split_at(fraction.len().min(6));
    let micros = i64::from(number(kept)?) * i64::from(10_u32.pow(6 - kept.len() as u32));
    Some((whole + micros, fraction.len(), beyond, rest))
}

fn read_zone_at_end(text: &[u8]) -> Option<Zone<'_>> {
    if text.is_empty() {
        return Some(Zone { text, spaced: false, offset_minutes: 0 });
    }
    let (zone, rest) = match text.strip_prefix(b" ") {
        Some(text) => read_zone(text, true)?,
        None => read_zone(text, false)?,
    };
    rest.is_empty().then_some(zone)
}

fn write(micros: i64, tail: Option<&str>, out: &mut Stack<LONGEST_TEXT>) -> Option<()> {
    let form = match tail.map(str::as_bytes) {
        None if (FIRST..=LAST).contains(&micros) => return Some(common(micros, None, out)),
        Some(&[seventh @ b'0'..=b'9', b'Z']) if (FIRST..=LAST).contains(&micros) => {
            return Some(common(micros, Some(seventh), out));
        }
        None => return None,
        Some(tail) => read_tail(tail)?,
    };
    if !(FIRST..=LAST).contains(&micros) {
        return None;
    }
    let local = micros + form.zone.offset_minutes * MICROS_PER_MINUTE;
    if !(FIRST..=LAST).contains(&local) {
        return None;
    }
    let (year, month, day) = civil(local.div_euclid(MICROS_PER_DAY));
    let of_day = local.rem_euclid(MICROS_PER_DAY);
    let (seconds, fraction) = ((of_day / MICROS_PER_SECOND) as u32, (of_day % MICROS_PER_SECOND) as u32);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let ([y1, y2], [y3, y4], [i1, i2], [s1, s2]) = (two(year / 100), two(year % 100), two(minute), two(second));
    let mut half = None;
    match form.shape {
        Shape::Iso(separator) => {
            let ([m1, m2], [d1, d2], [h1, h2]) = (two(month), two(day), two(hour));
            out.push(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, separator, h1, h2, b':', i1, i2, b':', s1, s2]);
        }
        Shape::Us { month_padded, day_padded, hour_padded, comma, meridiem } => {
            push_padded(month, month_padded, out);
            out.push(b"/");
            push_padded(day, day_padded, out);
            out.push(&[b'/', y1, y2, y3, y4]);
            out.push(if comma { b", " } else { b" " });
            let shown = if meridiem.is_some() { (hour + 11) % 12 + 1 } else { hour };
            push_padded(shown, hour_padded, out);
            out.push(&[b':', i1, i2, b':', s1, s2]);
            half = meridiem.map(|case| match (case, hour < 12) {
                (Case::Upper, true) => b" AM",
                (Case::Upper, false) => b" PM",
                (Case::Lower, true) => b" am",
                (Case::Lower, false) => b" pm",
            });
        }
    }
    if form.decimals > 0 {
        let ([f1, f2], [f3, f4], [f5, f6]) = (two(fraction / 10_000), two(fraction / 100 % 100), two(fraction % 100));
        let digits = [b'.', f1, f2, f3, f4, f5, f6];
        let (shown, dropped) = digits.split_at(1 + form.decimals.min(6));
        if dropped.iter().any(|&digit| digit != b'0') {
            return None;
        }
        out.push(shown);
        out.push(form.beyond);
    } else if fraction != 0 {
        return None;
    }
    if let Some(half) = half {
        out.push(half);
    }
    if form.zone.spaced {
        out.push(b" ");
    }
    out.push(form.zone.text);
    Some(())
}

fn push_padded(value: u32, padded: bool, out: &mut Stack<LONGEST_TEXT>) {
    let digits = two(value);
    out.push(if padded || value > 9 { &digits } else { &digits[1..] });
}

/// The digits of a number below 100.
fn two(value: u32) -> [u8; 2] {
    [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8]
}

/// A number of one or two digits, whether it shows a leading zero (`None`: it can't be seen), what follows.
fn one_or_two(text: &[u8]) -> Option<(u32, Option<bool>, &[u8])> {
    let length = leading_digits(text);
    let value = matches!(length, 1 | 2).then(|| number(&text[..length]))??;
    let zero = if length == 1 { Some(false) } else { (text[0] == b'0').then_some(true) };
    Some((value, zero, &text[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(moment: &Moment) -> String {
        let mut out = Vec::new();
        assert!(print(moment.micros, moment.tail.as_deref(), &mut out));
        String::from_utf8(out).unwrap()
    }

    fn instant_of(text: &str) -> i64 {
        // Not by jiff's instants: they end a day earlier.
        let civil: jiff::civil::DateTime = text.trim_end_matches('Z').parse().unwrap();
        let since = civil.duration_since(jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0));
        i64::try_from(since.as_micros()).unwrap()
    }

    /// Text, the instant it means, the tail, whether month and day can't be told apart.
    const FORMS: &[(&str, &str, Option<&str>, bool)] = &[
        ("01/09/2007 09:41:00", "2007-01-09T09:41:00Z", Some("<0?/mdh"), true),
        ("1/9/2007 09:41:00", "2007-01-09T09:41:00Z", Some("<0?/h"), true),
        ("01/09/2007 09:41:00 AM", "2007-01-09T09:41:00Z", Some("<0?/mdhA"), true),
        ("1/9/2007 9:41:00 AM", "2007-01-09T09:41:00Z", Some("<0?/A"), true),
        ("1/9/2007 10:41:00 AM +01:00", "2007-01-09T09:41:00Z", Some("<0_+01:00/A"), true),
        ("2007-01-09T09:41:00", "2007-01-09T09:41:00Z", Some("<0?"), false),
        ("2007-01-09T09:41:00.22Z", "2007-01-09T09:41:00.22Z", Some("<2Z"), false),
        ("2007-01-09T09:41:00.6816663Z", "2007-01-09T09:41:00.681666Z", Some("3Z"), false),
        ("2007-01-09T09:41:00.535404056Z", "2007-01-09T09:41:00.535404Z", Some("056Z"), false),
        ("2007-01-09T09:41:00.992099+00:00", "2007-01-09T09:41:00.992099Z", Some("+00:00"), false),
        ("2007-01-09T11:41:00+02:00", "2007-01-09T09:41:00Z", Some("<0+02:00"), false),
        ("11/20/2020, 10:52:04.808 AM", "2020-11-20T10:52:04.808Z", Some("<3?/,A"), false),
        ("9/25/2020, 2:13:24.333 PM", "2020-09-25T14:13:24.333Z", Some("<3?/,A"), false),
        ("2025-01-15 09:35:20.456", "2025-01-15T09:35:20.456Z", Some("<3?s"), false),
        ("2019-03-19 13:11:23", "2019-03-19T13:11:23Z", Some("<0?s"), false),
        ("2024-07-03T18:00:00.0000000Z", "2024-07-03T18:00:00Z", Some("0Z"), false),
        ("2026-11-22T04:02:38.068864+00:00", "2026-11-22T04:02:38.068864Z", Some("+00:00"), false),
        // Not in the list of forms met, but of the same families.
        ("2026-11-22T04:02:38.068864Z", "2026-11-22T04:02:38.068864Z", None, false),
        ("2026-11-22t04:02:38.068864z", "2026-11-22T04:02:38.068864Z", Some("zt"), false),
        ("2026-11-22 04:02:38.068864 -0330", "2026-11-22T07:32:38.068864Z", Some("_-0330s"), false),
        ("2026-11-22T04:02:38.0-08", "2026-11-22T12:02:38Z", Some("<1-08"), false),
        ("2026-11-22T04:02:38-00:00", "2026-11-22T04:02:38Z", Some("<0-00:00"), false),
        ("2026-11-22T04:02:38.123456789012345 +23:59", "2026-11-21T04:03:38.123456Z", Some("789012345_+23:59"), false),
        ("12/12/2020 12:00:00 AM", "2020-12-12T00:00:00Z", Some("<0?/A"), false),
        (
            "12/31/2020, 12:00:00.123456789012345 pm +05:45",
            "2020-12-31T06:15:00.123456Z",
            Some("789012345_+05:45/,a"),
            false,
        ),
        ("1/09/2007 9:41:00", "2007-01-09T09:41:00Z", Some("<0?/d"), true),
        ("10/09/2007 19:41:00", "2007-10-09T19:41:00Z", Some("<0?/mdh"), true),
        ("10/10/2007 1:41:00Z", "2007-10-10T01:41:00Z", Some("<0Z/"), false),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", None, false),
        ("0001-01-01T00:00:00.000000Z", "0001-01-01T00:00:00Z", None, false),
        ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.999999Z", Some("9Z"), false),
    ];

    #[test]
    fn i9_every_form_means_its_instant_and_prints_back() {
        for &(text, instant, tail, ambiguous) in FORMS {
            let moment = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(moment.micros, instant_of(instant), "{text}");
            assert_eq!(moment.tail.as_deref(), tail, "{text}");
            assert_eq!(moment.ambiguous, ambiguous, "{text}");
            assert_eq!(back(&moment), text);
        }
    }

    #[test]
    fn i9_what_is_no_timestamp_or_cannot_be_given_back_is_refused() {
        for text in [
            "",
            "2024",
            "2024-07-03",
            "2024-07-03T18:00Z",
            "2024-07-03T18:00:00.Z",
            "2024-07-03T18:00:60Z",
            "2016-12-31T23:59:60Z",
            "2024-07-03T24:00:00Z",
            "2024-07-03T18:60:00Z",
            "2024-02-30T18:00:00Z",
            "2023-02-29T18:00:00Z",
            "1900-02-29T18:00:00Z",
            "2024-13-01T18:00:00Z",
            "2024-00-01T18:00:00Z",
            "2024-01-00T18:00:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "10000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
            "2024-07-03T18:00:00+24:00",
            "2024-07-03T18:00:00+02:60",
            "2024-07-03T18:00:00+2",
            "2024-07-03T18:00:00+020",
            "2024-07-03T18:00:00+02:0",
            "2024-07-03T18:00:00+02:",
            "2024-07-03T18:00:00  Z",
            "2024-07-03T18:00:00Z ",
            " 2024-07-03T18:00:00Z",
            "2024-07-03_18:00:00Z",
            "2024-7-3T18:00:00Z",
            "2024-07-03T1\u{0660}:00:00Z",
            "2024-07-03T18:00:00.1234567890123456Z",
            "2024-07-03T18:00:00,123Z",
            "25/09/2020 10:00:00",
            "0/9/2020 10:00:00",
            "001/9/2020 10:00:00",
            "1/9/20 10:00:00",
            "1/9/2020 24:00:00",
            "1/9/2020 13:00:00 PM",
            "1/9/2020 0:00:00 AM",
            "1/9/2020 1:00:00 Am",
            "1/9/2020 1:00:00AM",
            "1/9/2020,1:00:00 AM",
            "1/9/2020 10:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn i9_a_tail_that_would_drop_digits_prints_nothing() {
        let mut out = b"kept".to_vec();
        assert!(print(1_500_000, Some("<1Z"), &mut out));
        assert_eq!(out, b"kept1970-01-01T00:00:01.5Z");
        for (instant, tail) in [
            (1_500_000, Some("<0Z")),
            (1, Some("<5Z")),
            (0, Some("")),
            (0, Some("<6Z")),
            (0, Some("Zx")),
            (0, Some("Z/x")),
            (0, Some("Z/dm")),
            (0, Some("0123456789Z")),
            (0, Some("+9")),
            (FIRST, Some("<0-00:01")),
            (LAST, Some("+00:01")),
            (FIRST - 1, None),
            (LAST + 1, None),
            (i64::MIN, None),
            (i64::MAX, Some("+23:59")),
        ] {
            out.clear();
            assert!(!print(instant, tail, &mut out), "{instant} {tail:?}");
            assert!(out.is_empty());
        }
    }

    #[test]
    fn a_day_begins_at_midnight_utc() {
        assert_eq!(day(0), 0);
        assert_eq!(day(-1), -1);
        assert_eq!(day(MICROS_PER_DAY - 1), 0);
        assert_eq!(day(MICROS_PER_DAY), 1);
    }

    #[test]
    fn azure_columns_have_few_tails() {
        let tails: std::collections::HashSet<_> = (0..5000)
            .map(|n| parse(&format!("2024-07-03T18:00:00.{:07}Z", n * 1237 % 9_999_991)).unwrap().tail)
            .collect();
        assert_eq!(tails.len(), 10);
    }

    proptest! {
        #[test]
        fn the_common_form_is_read_and_written_like_any(micros in FIRST..=LAST, seventh in prop::option::of(b'0'..=b'9')) {
            let mut text = Stack::new();
            common(micros, seventh, &mut text);
            let (read, form, ambiguous) = read_iso(text.bytes()).unwrap();
            let wanted = Moment { micros, tail: form.tail(), ambiguous };
            prop_assert_eq!((read, read_common(text.bytes())), (micros, Some(wanted)));
            let printed = back(&wanted);
            prop_assert_eq!(printed.as_bytes(), text.bytes());
            let civil = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0).checked_add(jiff::SignedDuration::from_micros(micros)).unwrap();
            let seventh = seventh.map(char::from).map_or(String::new(), String::from);
            prop_assert_eq!(String::from_utf8_lossy(text.bytes()), format!("{civil:.6}{seventh}Z"));
        }

        #[test]
        fn i9_whatever_is_read_prints_back(
            text in r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]{1,16})?( ?(Z|z|[+-][0-2][0-9](:?[0-5][0-9])?))?"
        ) {
            if let Some(moment) = parse(&text) {
                prop_assert_eq!(back(&moment), text);
            }
        }

        #[test]
        fn i9_whatever_is_read_prints_back_us(
            text in r"[01]?[0-9]/[0-3]?[0-9]/[0-9]{4},? [0-2]?[0-9]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,10})?( [AP]M| [ap]m)?( ?(Z|[+-][0-2][0-9](:?[0-5][0-9])?))?"
        ) {
            if let Some(moment) = parse(&text) {
                prop_assert_eq!(back(&moment), text);
            }
        }

        #[test]
        fn any_instant_prints_and_reads_in_any_form(micros in FIRST..=LAST, form in 0..FORMS.len()) {
            let tail = FORMS[form].2;
            let mut out = Vec::new();
            if print(micros, tail, &mut out) {
                let text = String::from_utf8(out).unwrap();
                let moment = parse(&text).unwrap();
                prop_assert_eq!(moment.micros, micros);
                prop_assert_eq!(back(&moment), text);
            }
        }

        #[test]
        fn instants_agree_with_another_reader(micros in FIRST..=LAST) {
            let mut out = Vec::new();
            prop_assert!(print(micros, None, &mut out));
            let text = String::from_utf8(out).unwrap();
            prop_assert_eq!(instant_of(&text), micros);
        }

        #[test]
        fn no_text_panics(text in any::<String>(), tail in "[<0-9_?Zz+:-]{0,12}[ts/mdh,Aa]{0,6}", micros in any::<i64>()) {
            parse(&text);
            print(micros, Some(&tail), &mut Vec::new());
            print(micros, Some(&text), &mut Vec::new());
        }
    }
}
