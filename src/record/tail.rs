//! The tail of a timestamp: all that its text has beyond the instant in microseconds.
//!
//! `YYYY-MM-DDThh:mm:ss.ffffffZ` is canonical and has none. Any other tail is FRACTION ZONE FORM, in this order:
//!
//! | part | text | means |
//! |---|---|---|
//! | FRACTION | nothing | six digits |
//! | | digits | those after the sixth |
//! | | `<` and a digit 0 to 5 | so many digits (0: no point either) |
//! | ZONE | `?` | no zone |
//! | | `Z` `z` `+02:00` `+0200` `+02` | as written |
//! | | `_` before it | a space before it |
//! | FORM | nothing, `t` or `s` | ISO with `T`, `t` or a space |
//! | | `/` and any of `m` `d` `h` `,` `A` or `a` in this order | US: month, day, hour of two digits, comma, AM/PM in upper or lower case |
//!
//! So `2024-07-03T18:00:00.1234567Z` has the tail `7Z`, and `1/9/2007 9:41:00 AM` has `<0?/A`. Where leading zeros
//! cannot be seen (10 to 31), month and day follow each other, else they count as without; an hour counts as with
//! them except before AM and PM: one column has few distinct tails.

use std::fmt;
use std::ops::Deref;

use super::stack::Stack;

/// Fraction digits that are kept beyond the sixth.
pub(super) const MOST_BEYOND: usize = 9;
/// Nine digits, `_+hh:mm`, `/mdh,A`.
const LONGEST_TAIL: usize = 22;

/// The tail's text, without allocation; a `str` to all who use it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tail {
    buffer: [u8; LONGEST_TAIL],
    length: u8,
}

impl Tail {
    /// Of ISO with `T` and `Z` and seven digits, this one (ASCII) the last.
    pub(super) fn seventh(digit: u8) -> Self {
        let mut buffer = [0; LONGEST_TAIL];
        (buffer[0], buffer[1]) = (digit, b'Z');
        Tail { buffer, length: 2 }
    }

    pub fn as_str(&self) -> &str {
        // Made of ASCII in `Form::tail`.
        std::str::from_utf8(&self.buffer[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl Deref for Tail {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// How a timestamp was written: everything but the instant.
#[derive(Clone, Copy)]
pub(super) struct Form<'a> {
    /// All fraction digits, and the text of those after the sixth.
    pub(super) decimals: usize,
    pub(super) beyond: &'a [u8],
    pub(super) zone: Zone<'a>,
    pub(super) shape: Shape,
}

#[derive(Clone, Copy)]
pub(super) struct Zone<'a> {
    /// As written, `Z` or an offset; empty: none.
    pub(super) text: &'a [u8],
    pub(super) spaced: bool,
    pub(super) offset_minutes: i64,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// The byte between date and time.
    Iso(u8),
    Us {
        month_padded: bool,
        day_padded: bool,
        hour_padded: bool,
        comma: bool,
        meridiem: Option<Case>,
    },
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Case {
    Upper,
    Lower,
}

impl Form<'_> {
    pub(super) fn tail(&self) -> Option<Tail> {
        let mut tail = Stack::<LONGEST_TAIL>::new();
        if self.decimals < 6 {
            tail.push(b"<");
            tail.push(&[b'0' + self.decimals as u8]);
        }
        tail.push(self.beyond);
        if self.zone.spaced {
            tail.push(b"_");
        }
        tail.push(if self.zone.text.is_empty() { b"?" } else { self.zone.text });
        match self.shape {
            Shape::Iso(b'T') => {}
            Shape::Iso(separator) => tail.push(if separator == b't' { b"t" } else { b"s" }),
            Shape::Us { month_padded, day_padded, hour_padded, comma, meridiem } => {
                tail.push(b"/");
                let flags = [(month_padded, b"m"), (day_padded, b"d"), (hour_padded, b"h"), (comma, b",")];
                for (_, flag) in flags.into_iter().filter(|(set, _)| *set) {
                    tail.push(flag);
                }
                match meridiem {
                    Some(Case::Upper) => tail.push(b"A"),
                    Some(Case::Lower) => tail.push(b"a"),
                    None => {}
                }
            }
        }
        if tail.bytes() == b"Z" {
            return None;
        }
        let mut buffer = [0; LONGEST_TAIL];
        buffer[..tail.bytes().len()].copy_from_slice(tail.bytes());
        Some(Tail { buffer, length: tail.bytes().len() as u8 })
    }
}

pub(super) fn read_tail(tail: &[u8]) -> Option<Form<'_>> {
    let (decimals, beyond, rest) = match tail {
        [b'<', few @ b'0'..=b'5', rest @ ..] => (usize::from(few - b'0'), &b""[..], rest),
        _ => {
            let (beyond, rest) = tail.split_at(leading_digits(tail));
            (6 + beyond.len(), beyond, rest)
        }
    };
    if beyond.len() > MOST_BEYOND {
        return None;
    }
    let (zone, rest) = match rest {
        [b'?', rest @ ..] => (Zone { text: b"", spaced: false, offset_minutes: 0 }, rest),
        [b'_', rest @ ..] => read_zone(rest, true)?,
        _ => read_zone(rest, false)?,
    };
    let shape = match rest {
        b"" => Shape::Iso(b'T'),
        b"t" => Shape::Iso(b't'),
        b"s" => Shape::Iso(b' '),
        [b'/', flags @ ..] => {
            let mut rest = flags;
            let mut flag = |byte| {
                let set = rest.first() == Some(&byte);
                rest = &rest[usize::from(set)..];
                set
            };
            let (month_padded, day_padded, hour_padded, comma) = (flag(b'm'), flag(b'd'), flag(b'h'), flag(b','));
            let meridiem = match rest {
                b"" => None,
                b"A" => Some(Case::Upper),
                b"a" => Some(Case::Lower),
                _ => return None,
            };
            Shape::Us { month_padded, day_padded, hour_padded, comma, meridiem }
        }
        _ => return None,
    };
    Some(Form { decimals, beyond, zone, shape })
}

/// `Z`, `z` or an offset at the start of `text`, and what follows.
pub(super) fn read_zone(text: &[u8], spaced: bool) -> Option<(Zone<'_>, &[u8])> {
    let (length, hours, minutes) = match *text {
        [b'Z' | b'z', ..] => (1, 0, 0),
        [b'+' | b'-', h1, h2, b':', m1, m2, ..] => (6, number(&[h1, h2])?, number(&[m1, m2])?),
        [b'+' | b'-', h1, h2, m1 @ b'0'..=b'9', m2, ..] => (5, number(&[h1, h2])?, number(&[m1, m2])?),
        [b'+' | b'-', h1, h2, ..] => (3, number(&[h1, h2])?, 0),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let (text, rest) = text.split_at(length);
    let minutes = i64::from(hours * 60 + minutes);
    let offset_minutes = if text[0] == b'-' { -minutes } else { minutes };
    Some((Zone { text, spaced, offset_minutes }, rest))
}

pub(super) fn leading_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Nine digits at most; `None` if there is anything else.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u32::from(digit - b'0')))
}
