//! Writing one record after another as NDJSON, without a value tree in between: benchmarks need gigabytes.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// 100-nanosecond steps since 1970, the resolution of Azure's timestamps.
pub(super) type Ticks = i64;

pub(super) const TICKS_PER_SECOND: Ticks = 10_000_000;

pub(super) fn ticks(at: Timestamp) -> Ticks {
    // In range until the year 31197.
    at.as_second() * TICKS_PER_SECOND + i64::from(at.subsec_nanosecond()) / 100
}

/// NDJSON as it is written.
#[derive(Debug, Default)]
pub(super) struct Json {
    pub(super) bytes: Vec<u8>,
    /// The last day written and its text: most timestamps in a row are of one day.
    day: i64,
    day_text: String,
}

impl Json {
    pub(super) fn begin(&mut self) {
        self.bytes.push(b'{');
    }

    pub(super) fn end(&mut self) {
        self.bytes.extend_from_slice(b"}\n");
    }

    /// A member's name; its value follows.
    pub(super) fn key(&mut self, key: &str) {
        if self.bytes.last() != Some(&b'{') {
            self.bytes.push(b',');
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    pub(super) fn text(&mut self, key: &str, value: impl AsRef<str>) {
        self.key(key);
        self.bytes.push(b'"');
        self.escaped(value.as_ref());
        self.bytes.push(b'"');
    }

    /// Two texts as one: `DOMAIN\user`.
    pub(super) fn joined(&mut self, key: &str, first: &str, between: &str, second: &str) {
        self.key(key);
        self.bytes.push(b'"');
        self.escaped(first);
        self.escaped(between);
        self.escaped(second);
        self.bytes.push(b'"');
    }

    /// A text that needs no escaping.
    pub(super) fn plain(&mut self, key: &str, value: &[u8]) {
        self.key(key);
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(value);
        self.bytes.push(b'"');
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.digits(value);
    }

    /// A number as text.
    pub(super) fn number_text(&mut self, key: &str, value: u64) {
        self.key(key);
        self.bytes.push(b'"');
        self.digits(value);
        self.bytes.push(b'"');
    }

    /// `0x3e7`.
    pub(super) fn hex_text(&mut self, key: &str, value: u64) {
        self.key(key);
        self.bytes.extend_from_slice(b"\"0x");
        let first = (16 - value.leading_zeros() / 4).clamp(1, 16);
        for place in (0..first).rev() {
            self.bytes.push(b"0123456789abcdef"[(value >> (4 * place)) as usize & 0xf]);
        }
        self.bytes.push(b'"');
    }

    /// JSON as it stands.
    pub(super) fn raw(&mut self, key: &str, value: &str) {
        self.key(key);
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// `2024-03-01T12:34:56.1234567Z`.
    pub(super) fn time(&mut self, key: &str, at: Ticks) {
        let (second, fraction) = (at.div_euclid(TICKS_PER_SECOND), at.rem_euclid(TICKS_PER_SECOND));
        let (day, of_day) = (second.div_euclid(86_400), second.rem_euclid(86_400));
        if day != self.day || self.day_text.is_empty() {
            self.day = day;
            self.day_text = match Timestamp::from_second(day * 86_400) {
                Ok(midnight) => TimeZone::UTC.to_datetime(midnight).date().to_string(),
                Err(_) => "0000-00-00".into(),
            };
        }
        let mut text = *b"T00:00:00.0000000Z";
        let mut put = |end: usize, count: usize, mut number: i64| {
            for place in text[end - count..end].iter_mut().rev() {
                *place = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(3, 2, of_day / 3600);
        put(6, 2, of_day / 60 % 60);
        put(9, 2, of_day % 60);
        put(17, 7, fraction);
        self.key(key);
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(self.day_text.as_bytes());
        self.bytes.extend_from_slice(&text);
        self.bytes.push(b'"');
    }

    fn digits(&mut self, value: u64) {
        // Writing to a Vec cannot fail.
        let _ = write!(self.bytes, "{value}");
    }

    fn escaped(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
            self.bytes.extend_from_slice(&rest[..at]);
            match rest[at] {
                b'\n' => self.bytes.extend_from_slice(b"\\n"),
                b'\r' => self.bytes.extend_from_slice(b"\\r"),
                b'\t' => self.bytes.extend_from_slice(b"\\t"),
                byte @ 0..=0x1f => {
                    let _ = write!(self.bytes, "\\u{byte:04x}");
                }
                byte => self.bytes.extend_from_slice(&[b'\\', byte]),
            }
            rest = &rest[at + 1..];
        }
        self.bytes.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::default();
        json.begin();
        json.text("text", "a\"b\\c\r\n\t\u{1}é");
        json.joined("joined", "D", "\\", "u");
        json.hex_text("hex", 0x3e7);
        json.hex_text("zero", 0);
        json.hex_text("most", u64::MAX);
        json.number("number", 1_234_567);
        json.time("time", ticks("2024-02-29T23:59:59.1234567Z".parse().unwrap()));
        json.time("before", ticks("1969-12-31T23:59:59.9Z".parse().unwrap()));
        json.end();
        let value: serde_json::Value = serde_json::from_slice(&json.bytes).unwrap();
        let expected = serde_json::json!({
            "text": "a\"b\\c\r\n\t\u{1}é", "joined": "D\\u", "hex": "0x3e7", "zero": "0x0", "most": "0xffffffffffffffff",
            "number": 1_234_567, "time": "2024-02-29T23:59:59.1234567Z", "before": "1969-12-31T23:59:59.9000000Z",
        });
        assert_eq!(value, expected);
    }
}
