//! Writing JSON from bytes of which nobody knows whether they are UTF-8.
//!
//! Invariant: bytes that are not UTF-8 are written as they are. A record with such bytes is refused by the decoder, so it
//! is quarantined with all it had and nothing is replaced (I1).

use crate::record::text;

/// Appends `bytes` as a JSON string.
pub(super) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    match std::str::from_utf8(bytes) {
        Ok(valid) => text::escape_into(valid, out),
        Err(_) => {
            out.push(b'"');
            inside(bytes, out);
            out.push(b'"');
        }
    }
}

/// Appends `bytes` as part of a JSON string, without quotes around it.
pub(super) fn inside(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
}

/// Appends a member's key, after a comma unless it is the first of its object.
pub(super) fn key(name: &[u8], out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
    string(name, out);
    out.push(b':');
}

/// Appends a member whose value is a string.
pub(super) fn member(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    key(name, out);
    string(value, out);
}

/// Appends a member that is a number if `value` is an integer that reads back as it is written, else a string.
pub(super) fn integer_member(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    key(name, out);
    if is_integer(value) { out.extend_from_slice(value) } else { string(value, out) }
}

/// An integer of JSON with at most 18 digits: no `+`, no leading zero, no minus zero.
fn is_integer(value: &[u8]) -> bool {
    let (negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let canonical = match digits {
        [] => false,
        [b'0', rest @ ..] => rest.is_empty() && !negative,
        _ => true,
    };
    canonical && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::form::produce::testing::is_record;

    #[test]
    fn i1_bytes_that_are_no_text_stay_and_are_refused() {
        for (bytes, written) in [
            (&b"plain"[..], &b"\"plain\""[..]),
            (b"a\"\\\n\r\t\x01", b"\"a\\\"\\\\\\n\\r\\t\\u0001\""),
            (b"K\xf6ln \"\n\x02", b"\"K\xf6ln \\\"\\n\\u0002\""),
        ] {
            let mut out = Vec::new();
            string(bytes, &mut out);
            assert_eq!(out, written);
            let mut record = b"{".to_vec();
            member(b"a", bytes, &mut record);
            record.push(b'}');
            assert_eq!(is_record(&record), std::str::from_utf8(bytes).is_ok());
        }
    }

    #[test]
    fn an_integer_is_a_number_only_if_it_is_written_like_one() {
        for (value, number) in [
            ("0", true),
            ("12", true),
            ("-13", true),
            ("999999999999999999", true),
            ("1000000000000000000", false),
            ("-0", false),
            ("007", false),
            ("+1", false),
            ("-", false),
            ("", false),
            ("1.0", false),
            ("0x1", false),
        ] {
            let mut out = b"{".to_vec();
            integer_member(b"n", value.as_bytes(), &mut out);
            let expected = if number { format!("{{\"n\":{value}") } else { format!("{{\"n\":\"{value}\"") };
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
