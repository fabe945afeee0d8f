//! The text between the quotes of a JSON string: decoding and encoding.
//!
//! Two strings are the same when their decoded UTF-16 units are (I9); how they were escaped is not kept. Unpaired
//! surrogates have no Rust `str`: [`unescape`] refuses them, [`to_wtf8`] writes them as three bytes (WTF-8), so that
//! equal units give equal bytes and different units different bytes. Input is expected to have passed
//! [`super::token::members`]; other bytes never panic.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;

/// A string that has no Unicode text: an unpaired surrogate (or bytes that `members` would have refused).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoneSurrogate;

impl fmt::Display for LoneSurrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unpaired surrogate in a string")
    }
}

impl std::error::Error for LoneSurrogate {}

/// Decodes what stands between the quotes; borrows when nothing is escaped.
pub fn unescape(raw: &[u8]) -> Result<Cow<'_, str>, LoneSurrogate> {
    // A surrogate in WTF-8 is exactly what UTF-8 forbids, so the UTF-8 check finds it.
    match to_wtf8(raw) {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| LoneSurrogate),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| LoneSurrogate),
    }
}

/// Decodes what stands between the quotes to WTF-8; borrows when nothing is escaped.
pub fn to_wtf8(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    wtf8_into(raw, &mut out);
    Cow::Owned(out)
}

/// Appends [`to_wtf8`] of `raw` to `out`.
pub fn wtf8_into(raw: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    loop {
        // Finds a backslash: quotes and control characters stand unescaped in no string that `members` let pass.
        let end = plain_run(raw, start);
        out.extend_from_slice(&raw[start..end]);
        let Some(&byte) = raw.get(end) else { break };
        let taken = if byte == b'\\' { escape(&raw[end..], out) } else { 0 };
        if taken == 0 {
            // No escape at all: it stays as it is.
            out.push(byte);
        }
        start = end + taken.max(1);
    }
}

/// Appends `text` as a JSON string with its quotes, escaping only what RFC 8259 requires: the short escapes where
/// they exist, else `\u00xx` in lower case.
pub fn escape_into(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    // Nearly all text needs no escape.
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut start = 0;
    loop {
        let end = plain_run(bytes, start);
        out.extend_from_slice(&bytes[start..end]);
        let Some(&byte) = bytes.get(end) else { break };
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            8 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        start = end + 1;
    }
    out.push(b'"');
}

/// True if there is no quote, no backslash and no control character.
fn is_plain(bytes: &[u8]) -> bool {
    // Without a branch within a block the compiler takes its bytes at once.
    let is_special = |block: &[u8; 16]| {
        block.iter().fold(false, |any, &byte| any | (byte == b'"') | (byte == b'\\') | (byte < 0x20))
    };
    match bytes.last_chunk() {
        // The last block may overlap the one before it.
        Some(last) => !bytes.as_chunks().0.iter().any(is_special) && !is_special(last),
        None => plain_run(bytes, 0) == bytes.len(),
    }
}

/// The position of the first quote, backslash or control character at or after `at`, else the end.
#[inline]
pub(super) fn plain_run(bytes: &[u8], mut at: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    while let Some(sixteen) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let marks = super::vector::special_of_sixteen(sixteen);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize;
        }
        at += 16;
    }
    plain_run_by_words(bytes, at)
}

/// [`plain_run`] for any architecture, eight bytes at a time.
#[inline]
pub(super) fn plain_run_by_words(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let marks = special_bytes(u64::from_le_bytes(*eight));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

/// The high bit of every byte that is a quote, a backslash or below 0x20. A borrow may set bits above a true one,
/// never below: only the lowest may be used.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let zeroes = (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash);
    (zeroes | (word.wrapping_sub(ONES * 0x20) & !word)) & HIGH
}

/// Decodes the escape at the start of `rest`. Returns the bytes taken, 0 if it is none.
fn escape(rest: &[u8], out: &mut Vec<u8>) -> usize {
    out.push(match rest.get(1) {
        Some(b'b') => 8,
        Some(b't') => b'\t',
        Some(b'n') => b'\n',
        Some(b'f') => 12,
        Some(b'r') => b'\r',
        Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
        Some(b'u') => return unit_escape(rest, out),
        _ => return 0,
    });
    2
}

/// `\uXXXX`, or two of them that make a pair. Returns the bytes taken, 0 if there are no four hex digits.
fn unit_escape(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let Some(unit) = unit_at(rest, 0) else { return 0 };
    if (0xD800..0xDC00).contains(&unit)
        && let Some(low @ 0xDC00..0xE000) = unit_at(rest, 6)
    {
        push_code(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), out);
        return 12;
    }
    push_code(unit, out);
    6
}

fn unit_at(rest: &[u8], at: usize) -> Option<u32> {
    let (head, digits) = rest.get(at..at + 6)?.split_at(2);
    if head != b"\\u" {
        return None;
    }
    digits.iter().try_fold(0, |unit, &digit| Some(unit << 4 | char::from(digit).to_digit(16)?))
}

fn push_code(code: u32, out: &mut Vec<u8>) {
    match char::from_u32(code) {
        Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        // Only an unpaired surrogate is no character: three bytes, by the pattern of UTF-8.
        None => out.extend_from_slice(&[
            0xE0 | (code >> 12) as u8,
            0x80 | (code >> 6 & 0x3F) as u8,
            0x80 | (code & 0x3F) as u8,
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn i9_escapes_decode_to_the_same_text_however_spelled() {
        for spelling in [r"aA/\n", r"\u0061\u0041\/\u000A", r"\u0061A/\u000a"] {
            assert_eq!(unescape(spelling.as_bytes()).unwrap(), "aA/\n");
        }
        assert_eq!(unescape(br#"\b\t\n\f\r\"\\\/"#).unwrap(), "\u{8}\t\n\u{c}\r\"\\/");
        assert_eq!(unescape(br"\uD83D\uDE00").unwrap(), "\u{1F600}");
        assert_eq!(unescape("\u{1F600}".as_bytes()).unwrap(), "\u{1F600}");
        assert_eq!(unescape(br"\u0000").unwrap(), "\0");
        assert_eq!(unescape(br"\\u0041").unwrap(), r"\u0041");
    }

    #[test]
    fn nothing_escaped_is_borrowed() {
        assert!(matches!(unescape(b"plain"), Ok(Cow::Borrowed("plain"))));
        assert!(matches!(to_wtf8(b"plain"), Cow::Borrowed(b"plain")));
    }

    #[test]
    fn i9_lone_surrogates_are_refused_as_text_and_kept_apart_as_bytes() {
        let lone: [&[u8]; 6] =
            [br"\uD800", br"\uDC00", br"\uDC00\uD800", br"\uD800\uD800\uDC00", br"\uD800x", br"\uD800\n"];
        for raw in lone {
            assert_eq!(unescape(raw), Err(LoneSurrogate));
        }
        assert_eq!(&*to_wtf8(br"\uD800"), b"\xED\xA0\x80");
        assert_eq!(&*to_wtf8(br"\udfff"), b"\xED\xBF\xBF");
        assert_eq!(&*to_wtf8(br"\uD800\uD800\uDC00"), b"\xED\xA0\x80\xF0\x90\x80\x80");
        assert_ne!(to_wtf8(br"\uD800"), to_wtf8(br"\uD801"));
    }

    #[test]
    fn bytes_that_were_never_validated_do_not_panic() {
        for raw in [&b"\\"[..], b"\\x", b"\\u12", b"\\u12G4", b"\\uD800\\u12", b"\xFF\\"] {
            to_wtf8(raw);
        }
        assert_eq!(unescape(b"\xFF"), Err(LoneSurrogate));
    }

    #[test]
    fn escaping_is_minimal() {
        let mut out = Vec::new();
        escape_into("a\"\\/\u{8}\t\n\u{c}\r\u{1}\u{1f}\u{7f}\u{e9}", &mut out);
        assert_eq!(out, "\"a\\\"\\\\/\\b\\t\\n\\f\\r\\u0001\\u001f\u{7f}\u{e9}\"".as_bytes());
    }

    proptest! {
        #[test]
        fn i9_escape_and_unescape_are_inverse(text in any::<String>()) {
            let mut out = Vec::new();
            escape_into(&text, &mut out);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.clone());
            prop_assert_eq!(unescape(&out[1..out.len() - 1]).unwrap(), text);
        }

        #[test]
        fn wtf8_tells_unit_sequences_apart(units in prop::collection::vec(prop_oneof![0xD7FE_u16..0xE002, any::<u16>()], 0..6)) {
            let raw: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            // The units come back from the bytes: every three-byte surrogate is one unit, the rest is UTF-8.
            let bytes = to_wtf8(raw.as_bytes());
            let mut back = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                if rest[0] == 0xED && rest[1] >= 0xA0 {
                    back.push(0xD000 | u16::from(rest[1] & 0x3F) << 6 | u16::from(rest[2] & 0x3F));
                    rest = &rest[3..];
                } else {
                    let size = match rest[0] { 0..0x80 => 1, 0xC0..0xE0 => 2, 0xE0..0xF0 => 3, _ => 4 };
                    back.extend(std::str::from_utf8(&rest[..size]).unwrap().encode_utf16());
                    rest = &rest[size..];
                }
            }
            prop_assert_eq!(back, units);
        }

        #[test]
        fn plain_runs_end_where_a_byte_by_byte_search_ends(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x1e_u8..0x24, 0x5b_u8..0x5e], 0..40)) {
            let expected = bytes.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(&bytes, 0), expected);
            prop_assert_eq!(plain_run_by_words(&bytes, 0), expected, "the twin");
            prop_assert_eq!(is_plain(&bytes), expected == bytes.len());
        }
    }
}
