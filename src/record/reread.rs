//! The read-back's own parser and digest, written from the definition in [`super::digest`] alone.
//!
//! It shares no function with the rest of `record`: a fault in the scanner, the decoder or the hasher of the way in
//! can't hide here. Nor does it take their word for anything: what `restore` would print is parsed strictly, and
//! digested as it is parsed, by the one who parses.
//!
//! A record's digest is that of a sum, so it can be taken a value at a time ([`FieldReader`]), in any order, and
//! finished once all of a record's fields were added ([`record_of_sum`]).

use xxhash_rust::xxh3::xxh3_128;

use super::token::Malformed;

/// The same limit that a record had to keep on its way in.
const DEEPEST: usize = 512;

/// The record digest of a printed line.
pub fn digest_of_printed(line: &[u8]) -> Result<u128, Malformed> {
    sum_of_printed(line).map(record_of_sum)
}

/// The sum of the fields of a printed object's members; those that are null count nothing.
pub fn sum_of_printed(line: &[u8]) -> Result<u128, Malformed> {
    let mut input = Input::of(line)?;
    input.blanks();
    if input.rest.first() != Some(&b'{') {
        return input.fail("not a JSON object");
    }
    let mut sum = 0_u128;
    let mut bytes = Vec::with_capacity(128);
    input.members(0, &mut bytes, |field, is_null| {
        if !is_null {
            sum = sum.wrapping_add(xxh3_128(field));
        }
    })?;
    input.blanks();
    input.end("something follows the object")?;
    Ok(sum)
}

/// The digest of a record whose fields have this sum.
pub fn record_of_sum(sum: u128) -> u128 {
    xxh3_128(&sum.to_le_bytes())
}

/// Digests the fields that one key has in many records.
#[derive(Debug)]
pub struct FieldReader {
    /// The key's part of what is hashed, then the last value's.
    bytes: Vec<u8>,
    key_bytes: usize,
}

impl FieldReader {
    /// For a key as it is printed, between its quotes.
    pub fn new(key: &[u8]) -> Result<Self, Malformed> {
        let mut input = Input::of(key)?;
        let mut bytes = Vec::with_capacity(128);
        input.key(&mut bytes)?;
        input.end("something follows the key")?;
        Ok(FieldReader { key_bytes: bytes.len(), bytes })
    }

    /// What a member of that key and a printed value adds to its record's sum: its field, or nothing if it is null.
    pub fn field(&mut self, value: &[u8]) -> Result<u128, Malformed> {
        let mut input = Input::of(value)?;
        self.bytes.truncate(self.key_bytes);
        input.blanks();
        input.value(1, &mut self.bytes)?;
        input.blanks();
        input.end("something follows the value")?;
        Ok(if self.bytes[self.key_bytes..] == [NULL] { 0 } else { xxh3_128(&self.bytes) })
    }
}

/// The canonical form of a null, and of nothing else.
const NULL: u8 = b'n';

/// What is left of the line, which is valid UTF-8.
struct Input<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Input<'a> {
    fn of(line: &'a [u8]) -> Result<Self, Malformed> {
        if !line.is_ascii()
            && let Err(error) = std::str::from_utf8(line)
        {
            return Err(Malformed { offset: error.valid_up_to(), reason: "not UTF-8" });
        }
        Ok(Input { rest: line, length: line.len() })
    }

    fn end(&self, reason: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { self.fail(reason) }
    }

    /// Appends the canonical form of the value at the start of what is left; `around` is the number of containers
    /// around it.
    fn value(&mut self, around: usize, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        match self.rest.first() {
            Some(b'{' | b'[') if around == DEEPEST => self.fail("nested too deep"),
            Some(b'{') => {
                let (mut count, mut sum) = (0_u64, 0_u128);
                self.members(around, bytes, |field, _| {
                    count += 1;
                    sum = sum.wrapping_add(xxh3_128(field));
                })?;
                bytes.push(b'{');
                bytes.extend(count.to_le_bytes());
                bytes.extend(sum.to_le_bytes());
                Ok(())
            }
            Some(b'[') => {
                bytes.push(b'[');
                self.list(b']', |input| {
                    let start = bytes.len();
                    input.value(around + 1, bytes)?;
                    let hash = xxh3_128(&bytes[start..]);
                    bytes.truncate(start);
                    bytes.extend(hash.to_le_bytes());
                    Ok(())
                })
            }
            Some(b'"') => {
                bytes.push(b'"');
                self.text(bytes)
            }
            Some(b'-' | b'0'..=b'9') => {
                bytes.push(b'#');
                self.number(bytes)
            }
            _ => {
                let word = match () {
                    () if self.take(b"null") => NULL,
                    () if self.take(b"false") => b'f',
                    () if self.take(b"true") => b't',
                    () => return self.fail("no value"),
                };
                bytes.push(word);
                Ok(())
            }
        }
    }

    /// Hands over, for each member of the object at the start of what is left, the bytes whose hash is its field, and
    /// whether its value is null. `bytes` is as long afterwards as it was.
    fn members(
        &mut self,
        around: usize,
        bytes: &mut Vec<u8>,
        mut member: impl FnMut(&[u8], bool),
    ) -> Result<(), Malformed> {
        let start = bytes.len();
        self.list(b'}', |input| {
            input.key(bytes)?;
            input.blanks();
            if !input.take(b":") {
                return input.fail("colon missing");
            }
            input.blanks();
            let value = bytes.len();
            input.value(around + 1, bytes)?;
            member(&bytes[start..], bytes[value..] == [NULL]);
            bytes.truncate(start);
            Ok(())
        })
    }

    /// A bracket, items between commas, and the closing bracket.
    fn list(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.rest = &self.rest[1..];
        self.blanks();
        if self.take(&[close]) {
            return Ok(());
        }
        loop {
            item(self)?;
            self.blanks();
            if self.take(&[close]) {
                return Ok(());
            }
            if !self.take(b",") {
                return self.fail("comma missing");
            }
            self.blanks();
        }
    }

    /// Appends the length and the text of a key. Text is WTF-8.
    fn key(&mut self, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        let start = bytes.len();
        bytes.extend([0; 4]);
        self.text(bytes)?;
        let length = (bytes.len() - start - 4) as u32;
        bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// Appends the text of a string.
    fn text(&mut self, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        if !self.take(b"\"") {
            return self.fail("string missing");
        }
        loop {
            let Some(end) = plain_bytes(self.rest) else { return self.fail("string without end") };
            let (plain, rest) = self.rest.split_at(end);
            bytes.extend_from_slice(plain);
            self.rest = rest;
            match rest[0] {
                b'"' => {
                    self.rest = &rest[1..];
                    return Ok(());
                }
                b'\\' => self.escapes(bytes)?,
                _ => return self.fail("control character"),
            }
        }
    }

    /// All escapes that follow one another here. Only neighbours can make a surrogate pair, since UTF-8 has none.
    fn escapes(&mut self, decoded: &mut Vec<u8>) -> Result<(), Malformed> {
        while self.take(b"\\") {
            let simple = match self.rest.first() {
                Some(b'"') => b'"',
                Some(b'\\') => b'\\',
                Some(b'/') => b'/',
                Some(b'b') => 0x08,
                Some(b'f') => 0x0C,
                Some(b'n') => 0x0A,
                Some(b'r') => 0x0D,
                Some(b't') => 0x09,
                Some(b'u') => {
                    self.rest = &self.rest[1..];
                    let mut units = vec![self.unit()?];
                    while self.take(b"\\u") {
                        units.push(self.unit()?);
                    }
                    append_wtf8(&units, decoded);
                    continue;
                }
                _ => return self.fail("unknown escape"),
            };
            decoded.push(simple);
            self.rest = &self.rest[1..];
        }
        Ok(())
    }

    /// Four hex digits.
    fn unit(&mut self) -> Result<u16, Malformed> {
        let mut unit = 0;
        for _ in 0..4 {
            let nibble = match self.rest.first() {
                Some(digit @ b'0'..=b'9') => digit - b'0',
                Some(digit @ b'a'..=b'f') => digit - b'a' + 10,
                Some(digit @ b'A'..=b'F') => digit - b'A' + 10,
                _ => return self.fail("four hex digits missing"),
            };
            unit = unit * 16 + u16::from(nibble);
            self.rest = &self.rest[1..];
        }
        Ok(unit)
    }

    /// Appends the text of a number.
    fn number(&mut self, bytes: &mut Vec<u8>) -> Result<(), Malformed> {
        let whole = self.rest;
        self.take(b"-");
        // Either a zero alone or digits: the 1 of 01 is left over, and no comma.
        let good = (self.take(b"0") || self.digits())
            && (!self.take(b".") || self.digits())
            && (!(self.take(b"e") || self.take(b"E")) || {
                let _sign = self.take(b"+") || self.take(b"-");
                self.digits()
            });
        if !good {
            return self.fail("not a number");
        }
        bytes.extend_from_slice(&whole[..whole.len() - self.rest.len()]);
        Ok(())
    }

    /// `false` if there is none.
    fn digits(&mut self) -> bool {
        let before = self.rest.len();
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.len() < before
    }

    fn blanks(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn take(&mut self, word: &[u8]) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn fail<T>(&self, reason: &'static str) -> Result<T, Malformed> {
        Err(Malformed { offset: self.length - self.rest.len(), reason })
    }
}

/// The bytes before the first that ends a string or is an escape or a control character; `None` if there is none.
fn plain_bytes(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Without a branch within a block the compiler takes its bytes at once.
    let is_end = |byte: u8| (byte == b'"') | (byte == b'\\') | (byte < 0x20);
    while let Some(block) = bytes[at..].first_chunk::<16>() {
        if block.iter().fold(false, |any, &byte| any | is_end(byte)) {
            break;
        }
        at += block.len();
    }
    while let Some(eight) = bytes[at..].first_chunk() {
        if let Some(found) = first_end(eight) {
            return Some(at + found);
        }
        at += 8;
    }
    match bytes.last_chunk() {
        // Some of these were looked at before: none of them is an end.
        Some(eight) => first_end(eight).map(|found| bytes.len() - 8 + found),
        None => bytes.iter().position(|&byte| is_end(byte)),
    }
}

/// Where in eight bytes the first quote, backslash or control character is.
fn first_end(eight: &[u8; 8]) -> Option<usize> {
    const EACH: u64 = u64::MAX / 0xFF;
    let word = u64::from_le_bytes(*eight);
    // The high bit of each byte below a limit of at most 0x80; one too many only above one that is right.
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word & (EACH << 7);
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    let ends = is(b'"') | is(b'\\') | below(word, 0x20);
    (ends != 0).then(|| ends.trailing_zeros() as usize / 8)
}

fn append_wtf8(units: &[u16], bytes: &mut Vec<u8>) {
    for decoded in char::decode_utf16(units.iter().copied()) {
        match decoded {
            Ok(character) => bytes.extend(character.encode_utf8(&mut [0; 4]).bytes()),
            Err(unpaired) => {
                let unit = unpaired.unpaired_surrogate();
                let low_bits = |shift: u16| 0x80 | (unit >> shift & 0x3F) as u8;
                bytes.extend([0xE0 | (unit >> 12) as u8, low_bits(6), low_bits(0)]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
