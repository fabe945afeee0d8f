//! The read-back's own parser and digest, written from the definition in [`super::digest`] alone.
//!
//! It shares no function with the rest of `record`: a fault in the scanner, the decoder or the hasher of the way in
//! can't hide here. Nor does it take their word for anything: what `restore` would print is parsed strictly, into a
//! tree of tokens, and the tree is digested.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_128;

use super::token::Malformed;

/// The same limit that a record had to keep on its way in.
const DEEPEST: usize = 512;

/// The record digest of a printed line.
pub fn digest_of_printed(line: &[u8]) -> Result<u128, Malformed> {
    if let Err(error) = std::str::from_utf8(line) {
        return Err(Malformed { offset: error.valid_up_to(), reason: "not UTF-8" });
    }
    let mut input = Input { rest: line, length: line.len() };
    input.blanks();
    let record = match input.rest.first() {
        Some(b'{') => input.tree(0)?,
        _ => return input.fail("not a JSON object"),
    };
    input.blanks();
    if !input.rest.is_empty() {
        return input.fail("something follows the object");
    }
    let Tree::Object(members) = record else { return input.fail("not a JSON object") };
    let mut sum = 0_u128;
    let mut bytes = Vec::with_capacity(128);
    for (key, value) in &members {
        if !matches!(value, Tree::Null) {
            sum = sum.wrapping_add(field(key, value, &mut bytes));
        }
    }
    Ok(xxh3_128(&sum.to_le_bytes()))
}

/// A token and what it contains. Text is WTF-8.
enum Tree<'a> {
    Null,
    False,
    True,
    Number(&'a [u8]),
    String(Cow<'a, [u8]>),
    Array(Vec<Tree<'a>>),
    Object(Vec<(Cow<'a, [u8]>, Tree<'a>)>),
}

fn field(key: &[u8], value: &Tree<'_>, bytes: &mut Vec<u8>) -> u128 {
    bytes.clear();
    bytes.extend((key.len() as u32).to_le_bytes());
    bytes.extend(key);
    append_canonical(value, bytes);
    xxh3_128(bytes)
}

fn append_canonical(value: &Tree<'_>, bytes: &mut Vec<u8>) {
    match value {
        Tree::Null => bytes.push(b'n'),
        Tree::False => bytes.push(b'f'),
        Tree::True => bytes.push(b't'),
        Tree::Number(text) => {
            bytes.push(b'#');
            bytes.extend(*text);
        }
        Tree::String(text) => {
            bytes.push(b'"');
            bytes.extend(&**text);
        }
        Tree::Array(elements) => {
            bytes.push(b'[');
            let mut inner = Vec::new();
            for element in elements {
                inner.clear();
                append_canonical(element, &mut inner);
                bytes.extend(xxh3_128(&inner).to_le_bytes());
            }
        }
        Tree::Object(members) => {
            let mut inner = Vec::new();
            let sum = members.iter().fold(0_u128, |sum, (key, value)| sum.wrapping_add(field(key, value, &mut inner)));
            bytes.push(b'{');
            bytes.extend((members.len() as u64).to_le_bytes());
            bytes.extend(sum.to_le_bytes());
        }
    }
}

/// What is left of the line, which is valid UTF-8.
struct Input<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Input<'a> {
    /// The value at the start of what is left; `around` is the number of containers around it.
    fn tree(&mut self, around: usize) -> Result<Tree<'a>, Malformed> {
        match self.rest.first() {
            Some(b'{' | b'[') if around == DEEPEST => self.fail("nested too deep"),
            Some(b'{') => {
                let mut members = Vec::new();
                self.list(b'}', |input| {
                    let key = input.text()?;
                    input.blanks();
                    if !input.take(b":") {
                        return input.fail("colon missing");
                    }
                    input.blanks();
                    members.push((key, input.tree(around + 1)?));
                    Ok(())
                })?;
                Ok(Tree::Object(members))
            }
            Some(b'[') => {
                let mut elements = Vec::new();
                self.list(b']', |input| {
                    elements.push(input.tree(around + 1)?);
                    Ok(())
                })?;
                Ok(Tree::Array(elements))
            }
            Some(b'"') => self.text().map(Tree::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take(b"null") => Ok(Tree::Null),
            _ if self.take(b"false") => Ok(Tree::False),
            _ if self.take(b"true") => Ok(Tree::True),
            _ => self.fail("no value"),
        }
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

    fn text(&mut self) -> Result<Cow<'a, [u8]>, Malformed> {
        if !self.take(b"\"") {
            return self.fail("string missing");
        }
        let whole = self.rest;
        let mut decoded: Option<Vec<u8>> = None;
        loop {
            let Some(end) = self.rest.iter().position(|&byte| matches!(byte, b'"' | b'\\' | 0..0x20)) else {
                return self.fail("string without end");
            };
            let (plain, rest) = self.rest.split_at(end);
            self.rest = rest;
            match rest[0] {
                b'"' => {
                    self.rest = &rest[1..];
                    let Some(mut decoded) = decoded else { return Ok(Cow::Borrowed(&whole[..end])) };
                    decoded.extend_from_slice(plain);
                    return Ok(Cow::Owned(decoded));
                }
                b'\\' => {
                    let decoded = decoded.get_or_insert_with(|| Vec::with_capacity(2 * end + 32));
                    decoded.extend_from_slice(plain);
                    self.escapes(decoded)?;
                }
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

    fn number(&mut self) -> Result<Tree<'a>, Malformed> {
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
        Ok(Tree::Number(&whole[..whole.len() - self.rest.len()]))
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
mod tests {
    use super::*;
    use crate::record::digest::record_digest;
    use crate::record::support::{compare, generate};
    use crate::record::token::{MAX_DEPTH, members};
    use proptest::prelude::*;

    /// The digest of the way in; `None` if the scanner refuses the line.
    fn on_the_way_in(record: &[u8]) -> Option<u128> {
        let mut found = Vec::new();
        members(record, &mut found).ok()?;
        Some(record_digest(record, &found))
    }

    #[test]
    fn i9_both_ways_agree_on_the_corners() {
        for record in [
            "{}",
            " {\t} \r\n",
            r#"{"a":null,"b":[null,{"c":null}]}"#,
            r#"{"a":1,"a":1,"":{"":""}}"#,
            r#"{"a":[ ],"b":{ },"c":[ [ ] , { } ]}"#,
            r#"{"\ud800":"\udc00\ud800","\ud83d\ude00":"😀\ud83d\ude00\n"}"#,
            r#"{"a":-0,"b":1E+2,"c":0.10,"d":123456789012345678901234567890}"#,
            r#"{"a":"\"\\\/\b\f\n\r\t\u0000é"}"#,
        ] {
            let digest = digest_of_printed(record.as_bytes()).unwrap();
            assert_eq!(Some(digest), on_the_way_in(record.as_bytes()), "{record}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_place() {
        for (line, offset, reason) in [
            ("", 0, "not a JSON object"),
            ("[]", 0, "not a JSON object"),
            ("{}{}", 2, "something follows the object"),
            ("{\"a\":1,}", 7, "string missing"),
            ("{\"a\" 1}", 5, "colon missing"),
            ("{\"a\":01}", 6, "comma missing"),
            ("{\"a\":-}", 6, "not a number"),
            ("{\"a\":1.}", 7, "not a number"),
            ("{\"a\":1e+}", 8, "not a number"),
            ("{\"a\":[1,]}", 8, "no value"),
            ("{\"a\":\"\\u+123\"}", 8, "four hex digits missing"),
            ("{\"a\":\"\\x\"}", 7, "unknown escape"),
            ("{\"a\":\"\u{0}\"}", 6, "control character"),
            ("{\"a\":\"\u{1f}\"}", 6, "control character"),
            ("{\"a\":\"", 6, "string without end"),
        ] {
            assert_eq!(digest_of_printed(line.as_bytes()), Err(Malformed { offset, reason }), "{line}");
        }
        assert_eq!(digest_of_printed(b"{\"\xFF\":1}"), Err(Malformed { offset: 2, reason: "not UTF-8" }));
    }

    #[test]
    fn both_ways_take_the_same_depth() {
        for levels in [MAX_DEPTH, MAX_DEPTH + 1] {
            let record = format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
            assert_eq!(digest_of_printed(record.as_bytes()).ok(), on_the_way_in(record.as_bytes()));
        }
        let deepest = format!("{{\"a\":{}{}}}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
        digest_of_printed(deepest.as_bytes()).unwrap();
    }

    #[test]
    fn i9_both_ways_agree_on_large_records() {
        for record in [generate::with_big_value(4 << 20), generate::wide(2000, 7)] {
            assert_eq!(digest_of_printed(&record).ok(), on_the_way_in(&record));
            assert_eq!(compare::same_record(&record, &record), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn i9_both_ways_agree_on_generated_records(tree in generate::tree_on(generate::DAY), seeds in any::<[u64; 2]>()) {
            let (a, b) = (generate::render(&tree, seeds[0]), generate::render(&tree, seeds[1]));
            let digest = digest_of_printed(&a).unwrap();
            prop_assert_eq!(Some(digest), on_the_way_in(&a));
            prop_assert_eq!(Some(digest), on_the_way_in(&b));
            prop_assert_eq!(Ok(digest), digest_of_printed(&b));
        }

        #[test]
        fn i9_a_single_change_is_noticed_on_the_way_back(
            tree in generate::tree_on(generate::DAY), choice in any::<u64>(), seeds in any::<[u64; 2]>()
        ) {
            let original = generate::render(&tree, seeds[0]);
            let printed = generate::render(&generate::changed(&tree, choice), seeds[1]);
            let noticed = on_the_way_in(&original) != digest_of_printed(&printed).ok();
            prop_assert_eq!(noticed, compare::same_record(&original, &printed).is_err());
        }

        #[test]
        fn both_ways_accept_the_same_lines(record in generate::record_without_time(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut damaged = record;
            let place = place.index(damaged.len());
            damaged[place] = byte;
            prop_assert_eq!(digest_of_printed(&damaged).ok(), on_the_way_in(&damaged));
        }
    }
}
