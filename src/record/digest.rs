//! The digest of a record and of a set of records, taken from the input tokens (DESIGN §6).
//!
//! It is equal for two records exactly when they are the same token tree (I9), up to collisions of a 128-bit hash.
//! It guards against faults of ours, not against forgers: for those there is SHA-256 of every object.
//!
//! # Definition (frozen)
//! `H` is XXH3-128 with seed 0; a hash written as bytes is 16 bytes, little endian. All sums are modulo 2¹²⁸. Text is
//! WTF-8: the decoded UTF-16 units as UTF-8, an unpaired surrogate as the three bytes of its code.
//!
//! - set = (number of records, sum of their record digests)
//! - record = `H`(sum of the fields of its members, 16 bytes). A member of the record whose value is `null` is not
//!   counted: it is restored as absent. A repeated key counts each time.
//! - field = `H`(length of the key's text in bytes as u32 little endian ‖ the key's text ‖ canonical value)
//! - canonical value, a tag byte and what follows it:
//!
//! | value | tag | then |
//! |---|---|---|
//! | null, within an object or array | `n` | nothing |
//! | false, true | `f`, `t` | nothing |
//! | number | `#` | its text as written |
//! | string | `"` | its text |
//! | array | `[` | for each element, in order, 16 bytes: `H`(canonical value) |
//! | object | `{` | the number of members as u64 little endian, then 16 bytes: the sum of their fields |
//!
//! So whitespace, the order of keys and the spelling of escapes do not count; all else does: the text of a number,
//! the units of a string, the order of an array, types, nested nulls, repetitions.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::text::{plain_run, wtf8_into};
use super::token::{Member, ValueKind};

/// Digests one record after the other; reusable, so that the buffer is allocated once.
#[derive(Debug, Default)]
pub struct RecordHasher {
    sum: u128,
    scratch: Vec<u8>,
}

impl RecordHasher {
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a member of the record: the key between its quotes and the whole value token, both as they passed
    /// [`super::token::members`].
    pub fn member(&mut self, key_raw: &[u8], value: &[u8], kind: ValueKind) {
        if kind == ValueKind::Null {
            return;
        }
        self.scratch.clear();
        push_key(key_raw, true, &mut self.scratch);
        Walker::new(value).value(&mut self.scratch);
        self.sum = self.sum.wrapping_add(xxh3_128(&self.scratch));
    }

    /// The sum of the fields counted; the hasher is as new afterwards.
    pub fn take_sum(&mut self) -> u128 {
        std::mem::take(&mut self.sum)
    }

    /// The record's digest; the hasher is as new afterwards.
    pub fn finish(&mut self) -> u128 {
        digest_of_fields(self.take_sum())
    }
}

/// The record digest of the sum of its fields' digests.
#[inline]
pub fn digest_of_fields(sum: u128) -> u128 {
    xxh3_128(&sum.to_le_bytes())
}

/// The digest of a record that `members` read.
pub fn record_digest(record: &[u8], members: &[Member]) -> u128 {
    let mut hasher = RecordHasher::new();
    for member in members {
        hasher.member(member.key.of(record), member.value.of(record), member.kind);
    }
    hasher.finish()
}

/// How many records, and the sum of their digests: equal for equal multisets, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetDigest {
    pub rows: u64,
    #[serde(with = "hex_sum")]
    pub sum: u128,
}

impl SetDigest {
    pub fn add(&mut self, record_digest: u128) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(record_digest);
    }

    pub fn merge(&mut self, other: &SetDigest) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

impl fmt::Display for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"{{"rows":{},"sum":"{:032x}"}}"#, self.rows, self.sum)
    }
}

/// The sum as 32 hex digits in lower case, the highest first.
mod hex_sum {
    use serde::de::{Deserialize, Deserializer, Error, Unexpected};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(sum: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{sum:032x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 32
            && text.bytes().all(is_hex)
            && let Ok(sum) = u128::from_str_radix(&text, 16)
        {
            return Ok(sum);
        }
        Err(D::Error::invalid_value(Unexpected::Str(&text), &"32 hex digits in lower case"))
    }
}

/// Appends the length and the text of a key. `escaped`: there may be a backslash in it.
pub(super) fn push_key(raw: &[u8], escaped: bool, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    push_text(raw, escaped, out);
    // Decoding never lengthens, and a record is shorter than 4 GiB.
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

fn push_text(raw: &[u8], escaped: bool, out: &mut Vec<u8>) {
    if escaped { wtf8_into(raw, out) } else { out.extend_from_slice(raw) }
}

/// Goes over a valid token once. At most `MAX_DEPTH` calls deep; bytes that are no valid token give a digest without
/// meaning, but an end.
pub(super) struct Walker<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walker<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Walker { bytes, at: 0 }
    }

    /// Appends the canonical value of the token at `at` and steps over it.
    pub(super) fn value(&mut self, out: &mut Vec<u8>) {
        match self.bytes.get(self.at) {
            Some(b'"') => {
                out.push(b'"');
                let (text, escaped) = self.string();
                push_text(text, escaped, out);
            }
            Some(b'{') => self.object(out),
            Some(b'[') => self.array(out),
            Some(&first @ (b'n' | b't' | b'f')) => {
                out.push(first);
                self.bare();
            }
            _ => {
                out.push(b'#');
                out.extend_from_slice(self.bare());
            }
        }
    }

    fn object(&mut self, out: &mut Vec<u8>) {
        let (mut count, mut sum) = (0_u64, 0_u128);
        self.at += 1;
        loop {
            self.skip_to_token();
            if self.bytes.get(self.at) != Some(&b'"') {
                break;
            }
            // A member's bytes are needed only until they are hashed: `out` serves as a stack.
            let start = out.len();
            let (key, escaped) = self.string();
            push_key(key, escaped, out);
            self.skip_to_token();
            self.value(out);
            sum = sum.wrapping_add(xxh3_128(&out[start..]));
            count += 1;
            out.truncate(start);
        }
        self.at += 1;
        out.push(b'{');
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(&sum.to_le_bytes());
    }

    fn array(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
        self.at += 1;
        loop {
            self.skip_to_token();
            if matches!(self.bytes.get(self.at), None | Some(b']' | b'}')) {
                break;
            }
            let start = out.len();
            self.value(out);
            let hash = xxh3_128(&out[start..]);
            out.truncate(start);
            out.extend_from_slice(&hash.to_le_bytes());
        }
        self.at += 1;
    }

    /// Between the quotes of the string at `at`, which is stepped over; and whether there is a backslash in it.
    fn string(&mut self) -> (&[u8], bool) {
        let start = self.at + 1;
        let (mut end, mut escaped) = (start, false);
        loop {
            end = plain_run(self.bytes, end);
            match self.bytes.get(end) {
                Some(b'\\') => (end, escaped) = (end + 2, true),
                Some(b'"') | None => break,
                Some(_) => end += 1,
            }
        }
        let end = end.min(self.bytes.len());
        self.at = end + 1;
        (&self.bytes[start..end], escaped)
    }

    /// A number or a word, which is stepped over.
    fn bare(&mut self) -> &[u8] {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let length = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r'));
        let text = &rest[..length.unwrap_or(rest.len())];
        self.at += text.len();
        text
    }

    /// Over whitespace and what stands between tokens, which the scanner has checked.
    fn skip_to_token(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r' | b',' | b':') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::support::{compare, generate};
    use crate::record::token::members;
    use proptest::prelude::*;

    fn digest(record: impl AsRef<[u8]>) -> u128 {
        let mut found = Vec::new();
        members(record.as_ref(), &mut found).unwrap();
        record_digest(record.as_ref(), &found)
    }

    /// The definition, byte by byte: what is written in `FORMAT.md` may never change.
    #[test]
    fn the_definition_is_frozen() {
        let hash = |parts: &[&[u8]]| xxh3_128(&parts.concat());
        let field = |key: &[u8], canonical: &[u8]| hash(&[&(key.len() as u32).to_le_bytes(), key, canonical]);
        let record = |fields: &[u128]| {
            xxh3_128(&fields.iter().fold(0_u128, |sum, field| sum.wrapping_add(*field)).to_le_bytes())
        };
        assert_eq!(digest("{}"), record(&[]));
        assert_eq!(
            digest(r#"{"a":1,"b":"x","c":true}"#),
            record(&[field(b"a", b"#1"), field(b"b", b"\"x"), field(b"c", b"t")])
        );
        assert_eq!(digest(r#"{"a":false,"a":false}"#), record(&[field(b"a", b"f"), field(b"a", b"f")]));
        assert_eq!(digest(r#"{"\ud800":"\u00e9"}"#), record(&[field(b"\xED\xA0\x80", b"\"\xC3\xA9")]));
        let array = [b"[".as_slice(), &hash(&[b"n"]).to_le_bytes(), &hash(&[b"["]).to_le_bytes()].concat();
        assert_eq!(digest(r#"{"a":[null,[]]}"#), record(&[field(b"a", &array)]));
        let sum = field(b"x", b"n").wrapping_add(field(b"y", b"#-0"));
        let object = [b"{".as_slice(), &2_u64.to_le_bytes(), &sum.to_le_bytes()].concat();
        assert_eq!(digest(r#"{"a":{"x":null,"y":-0}}"#), record(&[field(b"a", &object)]));
        // And as numbers, computed with another implementation of XXH3: not even the hash function changes unnoticed.
        assert_eq!(format!("{:032x}", digest("{}")), "e5189a9599e3f86205ea23ef06e28b2d");
        assert_eq!(
            format!("{:032x}", digest(r#"{"Account":"CORP\\admin","EventID":4624,"x":[{"y":1.50},null]}"#)),
            "0649256ac6b92f915c6d9c7dea2ee925"
        );
    }

    #[test]
    fn i9_what_does_not_count() {
        let plain = digest(r#"{"a":"A/\n","b":[1,{"x":1,"y":2}]}"#);
        for same in [
            " { \"a\" : \"A/\\n\" ,\t\"b\" : [ 1 , { \"x\" : 1 , \"y\" : 2 } ] } ",
            r#"{"b":[1,{"y":2,"x":1}],"a":"A/\n"}"#,
            r#"{"\u0061":"\u0041\/\u000a","b":[1,{"x":1,"y":2}]}"#,
            r#"{"a":"A/\n","b":[1,{"x":1,"y":2}],"absent":null}"#,
        ] {
            assert_eq!(digest(same), plain, "{same}");
        }
    }

    #[test]
    fn i9_every_single_change_counts() {
        let records = [
            "{}",
            r#"{"":""}"#,
            r#"{"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"a":1,"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e0}"#,
            r#"{"a":10}"#,
            r#"{"a":-1}"#,
            r#"{"a":"1"}"#,
            r##"{"a":"#1"}"##,
            r#"{"a1":""}"#,
            r#"{"A":1}"#,
            r#"{"b":1}"#,
            r#"{"a":true}"#,
            r#"{"a":false}"#,
            r#"{"a":"true"}"#,
            r#"{"a":"null"}"#,
            r#"{"a":""}"#,
            r#"{"a":[]}"#,
            r#"{"a":{}}"#,
            r#"{"a":[[]]}"#,
            r#"{"a":[{}]}"#,
            r#"{"a":[null]}"#,
            r#"{"a":[null,null]}"#,
            r#"{"a":{"":null}}"#,
            r#"{"a":{"x":null}}"#,
            r#"{"a":{"x":1}}"#,
            r#"{"a":{"x":1,"x":1}}"#,
            r#"{"a":[1]}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[12]}"#,
            r#"{"a":["1","2"]}"#,
            r#"{"a":["1\",\"2"]}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\ud801"}"#,
            r#"{"a":"\ud83d\ude00"}"#,
            r#"{"a":"\ude00\ud83d"}"#,
            r#"{"a":1,"b":2}"#,
            r#"{"a":2,"b":1}"#,
        ];
        for (index, a) in records.iter().enumerate() {
            for b in &records[index + 1..] {
                assert_ne!(digest(a), digest(b), "{a} {b}");
            }
        }
    }

    #[test]
    fn a_hasher_is_as_new_after_each_record() {
        let mut hasher = RecordHasher::new();
        for _ in 0..2 {
            hasher.member(b"a", b"1", ValueKind::Number);
            assert_eq!(hasher.finish(), digest(r#"{"a":1}"#));
        }
        assert_eq!(hasher.finish(), digest("{}"));
    }

    #[test]
    fn tokens_that_were_never_validated_end() {
        for value in ["", "{", "{\"", "{\"a", "{\"a\":", "[", "[1", "[}", "\"", "\"\\", "{\"a\":}", "]", "[\u{1}"] {
            RecordHasher::new().member(b"\\", value.as_bytes(), ValueKind::Object);
        }
    }

    #[test]
    fn sets_add_up_in_any_order_and_keep_their_text() {
        let (mut one, mut other, mut all) = (SetDigest::default(), SetDigest::default(), SetDigest::default());
        for (part, value) in [(0, u128::MAX), (1, 5), (0, 7)] {
            if part == 0 { one.add(value) } else { other.add(value) }
        }
        for value in [7, u128::MAX, 5] {
            all.add(value);
        }
        one.merge(&other);
        assert_eq!(one, all);
        let text = r#"{"rows":3,"sum":"0000000000000000000000000000000b"}"#;
        assert_eq!(all.to_string(), text);
        assert_eq!(serde_json::to_string(&all).unwrap(), text);
        assert_eq!(serde_json::from_str::<SetDigest>(text).unwrap(), all);
        for bad in [
            r#"{"rows":3,"sum":"b"}"#,
            r#"{"rows":3,"sum":"+000000000000000000000000000000b"}"#,
            r#"{"rows":3,"sum":"0000000000000000000000000000000B"}"#,
            r#"{"rows":3}"#,
            r#"{"rows":3,"sum":"0000000000000000000000000000000b","x":1}"#,
        ] {
            serde_json::from_str::<SetDigest>(bad).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn i9_spelling_does_not_count(tree in generate::tree_on(generate::DAY), seeds in any::<[u64; 2]>()) {
            let (a, b) = (generate::render(&tree, seeds[0]), generate::render(&tree, seeds[1]));
            prop_assert_eq!(compare::same_record(&a, &b), Ok(()));
            prop_assert_eq!(digest(a), digest(b));
        }

        #[test]
        fn i9_digests_are_equal_exactly_where_the_comparer_sees_no_difference(
            tree in generate::tree_on(generate::DAY), choice in any::<u64>(), seeds in any::<[u64; 2]>()
        ) {
            let a = generate::render(&tree, seeds[0]);
            let b = generate::render(&generate::changed(&tree, choice), seeds[1]);
            prop_assert_eq!(compare::same_record(&a, &b).is_ok(), digest(a) == digest(b));
        }
    }
}
