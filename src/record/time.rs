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
    let (&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T'], text) = text.split_first_chunk()? else { return None };
    let (&[h1, h2, b':', i1, i2, b':', s1, s2, b'.'], text) = text.split_first_chunk()? else { return None };
    let (micros, tail) = match text.split_first_chunk::<6>()? {
        (micros, b"Z") => (micros, None),
        (micros, &[seventh @ b'0'..=b'9', b'Z']) => (micros, Some(Tail::seventh(seventh))),
        _ => return None,
    };
    let days = date(number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?)?;
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    let micros = days * MICROS_PER_DAY + seconds * MICROS_PER_SECOND + i64::from(number(micros)?);
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
    out.push(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', i1, i2, b':', s1, s2, b'.']);
    out.push(&[f1, f2, f3, f4, f5, f6, seventh.unwrap_or(b'Z')]);
    if seventh.is_some() {
        out.push(b"Z");
    }
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
    let tail = tail.map(str::as_bytes);
    let seventh = match tail {
        Some(&[seventh @ b'0'..=b'9', b'Z']) => Some(seventh),
        _ => None,
    };
    if !(FIRST..=LAST).contains(&micros) {
        return None;
    }
    let Some(tail) = tail.filter(|_| seventh.is_none()) else {
        common(micros, seventh, out);
        return Some(());
    };
    let form = read_tail(tail)?;
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
mod tests;
