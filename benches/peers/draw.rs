//! Numbers that look random and are the same for the same seed, and NDJSON written without a value tree in between: the
//! sets are gigabytes.
//!
//! Seeds alone tell the bytes: no clock, no random source of the system.

use std::io::Write;

use jiff::Timestamp;

/// 100-nanosecond steps since 1970, the resolution of Azure's timestamps.
pub type Ticks = i64;

pub const SECOND: Ticks = 10_000_000;

/// splitmix64, public domain by Sebastiano Vigna.
pub struct Random(u64);

impl Random {
    /// Streams of different names or numbers have nothing to do with each other.
    pub fn new(name: &str, number: u64) -> Self {
        let salt = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Random(number.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ salt)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `limit`, which is not zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Less than `limit`, small ones far more often (the cube of a uniform number): a few people make most of a log.
    pub fn skewed(&mut self, limit: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (unit * unit * unit * limit as f64) as u64
    }

    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub fn pick_skewed<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.skewed(from.len() as u64) as usize]
    }

    /// The place of one weight of many, drawn by them.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut drawn = self.below(weights.clone().sum());
        for (place, weight) in weights.enumerate() {
            if drawn < weight {
                return place;
            }
            drawn -= weight;
        }
        0
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a as u32,
            (a >> 32) as u16,
            (a >> 48) & 0xfff,
            0x8000 | (b & 0x3fff),
            b >> 16
        )
    }

    /// `count` letters out of `alphabet`, which has at most 64.
    pub fn letters(&mut self, alphabet: &[u8], count: usize) -> String {
        (0..count).map(|_| char::from(alphabet[self.below(alphabet.len() as u64) as usize])).collect()
    }
}

/// One record after another, as NDJSON.
#[derive(Default)]
pub struct Ndjson {
    pub bytes: Vec<u8>,
    /// The last day written and its text: most times in a row are of one day.
    day: Option<(i64, String)>,
}

impl Ndjson {
    /// Opens a record, or an element of an array.
    pub fn open(&mut self) {
        if self.bytes.last() == Some(&b'}') {
            self.bytes.push(b',');
        }
        self.bytes.push(b'{');
    }

    pub fn close(&mut self) {
        self.bytes.push(b'}');
    }

    pub fn end_record(&mut self) {
        self.bytes.extend_from_slice(b"}\n");
    }

    /// A member's name; its value follows.
    pub fn key(&mut self, key: &str) {
        if self.bytes.last() != Some(&b'{') {
            self.bytes.push(b',');
        }
        self.bytes.push(b'"');
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(b"\":");
    }

    /// A member that is an object; [`Ndjson::close`] ends it.
    pub fn object(&mut self, key: &str) {
        self.key(key);
        self.bytes.push(b'{');
    }

    /// A member that is an array of objects; [`Ndjson::end_array`] ends it.
    pub fn array(&mut self, key: &str) {
        self.key(key);
        self.bytes.push(b'[');
    }

    pub fn end_array(&mut self) {
        self.bytes.push(b']');
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        self.bytes.push(b'"');
        self.escaped(value);
        self.bytes.push(b'"');
    }

    pub fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        // Writing to a Vec cannot fail.
        let _ = write!(self.bytes, "{value}");
    }

    pub fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.bytes.extend_from_slice(if value { b"true" } else { b"false" });
    }

    pub fn null(&mut self, key: &str) {
        self.key(key);
        self.bytes.extend_from_slice(b"null");
    }

    /// `2026-01-05T12:34:56.1234567Z`, or without a fraction.
    pub fn time(&mut self, key: &str, at: Ticks, fraction: bool) {
        let (second, ticks) = (at.div_euclid(SECOND), at.rem_euclid(SECOND));
        let (day, of_day) = (second.div_euclid(86_400), second.rem_euclid(86_400));
        if self.day.as_ref().is_none_or(|(last, _)| *last != day) {
            let midnight = Timestamp::from_second(day * 86_400).unwrap_or_default();
            self.day = Some((day, midnight.strftime("%Y-%m-%d").to_string()));
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
        put(17, 7, ticks);
        self.key(key);
        self.bytes.push(b'"');
        if let Some((_, date)) = &self.day {
            self.bytes.extend_from_slice(date.as_bytes());
        }
        if fraction {
            self.bytes.extend_from_slice(&text);
        } else {
            self.bytes.extend_from_slice(&text[..9]);
            self.bytes.push(b'Z');
        }
        self.bytes.push(b'"');
    }

    fn escaped(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'\n' => self.bytes.extend_from_slice(b"\\n"),
                b'\r' => self.bytes.extend_from_slice(b"\\r"),
                b'\t' => self.bytes.extend_from_slice(b"\\t"),
                b'"' | b'\\' => self.bytes.extend_from_slice(&[b'\\', byte]),
                byte => self.bytes.push(byte),
            }
        }
    }
}
