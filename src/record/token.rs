//! A strict RFC 8259 scanner of one top-level JSON object. It copies nothing and forgives nothing.
//!
//! What [`members`] accepts is valid UTF-8 and valid JSON down to the last nested token, so the rest of the code may
//! rely on it. Two things RFC 8259 leaves open: repeated keys and unpaired surrogates in `\u` escapes are accepted
//! (they are kept, I9), nesting beyond [`MAX_DEPTH`] is refused. Never recursive: the input can't exhaust the stack.

use std::fmt;

use super::learned::LearnedKeys;
use super::text::plain_run;

/// Objects and arrays open at once, the record itself included.
pub const MAX_DEPTH: usize = 512;

/// A range of bytes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span32 {
    pub start: u32,
    pub end: u32,
}

impl Span32 {
    /// The bytes; `record` must be the one that was scanned.
    pub fn of(self, record: &[u8]) -> &[u8] {
        &record[self.start as usize..self.end as usize]
    }

    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// The type of a value, as its first byte tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    Null,
    Bool,
    Number,
    String,
    Object,
    Array,
}

/// One member of the record's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Between the quotes, escapes as they are.
    pub key: Span32,
    /// The whole token, quotes or brackets included, without whitespace around it.
    pub value: Span32,
    pub kind: ValueKind,
    /// The key contains a backslash.
    pub key_escaped: bool,
    /// The value, or a string within it, contains a backslash.
    pub value_escaped: bool,
}

impl Member {
    /// The value between its quotes, escapes as they are, if it is a string.
    pub fn string_body<'a>(&self, record: &'a [u8]) -> Option<&'a [u8]> {
        if self.kind != ValueKind::String {
            return None;
        }
        Some(Span32 { start: self.value.start + 1, end: self.value.end - 1 }.of(record))
    }
}

/// Why a line is no record: the reason, and where in the line (bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub offset: usize,
    pub reason: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.reason, self.offset)
    }
}

impl std::error::Error for Malformed {}

/// Fills `out` with the members of `record` in their order, repeated keys and nulls included; empty on error.
pub fn members(record: &[u8], out: &mut Vec<Member>) -> Result<(), Malformed> {
    scan(record, None, out)
}

/// [`members`], quicker for records like those before; `learned` numbers the keys.
pub fn members_learned(record: &[u8], learned: &mut LearnedKeys, out: &mut Vec<Member>) -> Result<(), Malformed> {
    learned.begin();
    scan(record, Some(learned), out)
}

fn scan(record: &[u8], learned: Option<&mut LearnedKeys>, out: &mut Vec<Member>) -> Result<(), Malformed> {
    out.clear();
    if u32::try_from(record.len()).is_err() {
        return Err(Malformed { offset: 0, reason: "longer than 4 GiB" });
    }
    if let Err(error) = std::str::from_utf8(record) {
        return Err(Malformed { offset: error.valid_up_to(), reason: "not UTF-8" });
    }
    let mut scanner = Scanner { bytes: record, at: 0 };
    let outcome = scanner.record(learned, out);
    if outcome.is_err() {
        out.clear();
    }
    outcome
}

/// Invariant: `at <= bytes.len() <= u32::MAX`, and everything before `at` is valid.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn record(&mut self, mut learned: Option<&mut LearnedKeys>, out: &mut Vec<Member>) -> Result<(), Malformed> {
        self.space();
        if self.peek() != Some(b'{') {
            return self.refuse("not a JSON object");
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let (key, key_escaped) = match &mut learned {
                    Some(learned) => self.learned_key(learned)?,
                    None => self.key()?,
                };
                let start = self.at;
                let (kind, value_escaped) = self.value()?;
                let value = Span32 { start: start as u32, end: self.at as u32 };
                out.push(Member { key, value, kind, key_escaped, value_escaped });
                self.space();
                match self.peek() {
                    Some(b',') => self.at += 1,
                    Some(b'}') => break self.at += 1,
                    _ => return self.refuse("expected ',' or '}'"),
                }
                self.space();
            }
        }
        self.space();
        if self.at < self.bytes.len() {
            return self.refuse("something follows the object");
        }
        Ok(())
    }

    /// [`Scanner::key`] that tries what the records before had here.
    #[inline]
    fn learned_key(&mut self, learned: &mut LearnedKeys) -> Result<(Span32, bool), Malformed> {
        let start = self.at + 1;
        if let Some((length, escaped)) = learned.guess(&self.bytes[self.at..]) {
            self.at += length;
            self.space();
            // Without its two quotes and its colon.
            return Ok((Span32 { start: start as u32, end: (start + length - 3) as u32 }, escaped));
        }
        let (key, escaped) = self.key()?;
        learned.learn(key.of(self.bytes), escaped);
        Ok((key, escaped))
    }

    /// A key, its colon, and the whitespace around that.
    fn key(&mut self) -> Result<(Span32, bool), Malformed> {
        if self.peek() != Some(b'"') {
            return self.refuse("expected a key");
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let key = Span32 { start: start as u32, end: self.at as u32 - 1 };
        self.space();
        if self.peek() != Some(b':') {
            return self.refuse("expected ':'");
        }
        self.at += 1;
        self.space();
        Ok((key, escaped))
    }

    /// One whole value of the record; `true` if it contains a backslash.
    fn value(&mut self) -> Result<(ValueKind, bool), Malformed> {
        match self.peek() {
            Some(b'{') => Ok((ValueKind::Object, self.nested()?)),
            Some(b'[') => Ok((ValueKind::Array, self.nested()?)),
            _ => self.scalar(),
        }
    }

    fn scalar(&mut self) -> Result<(ValueKind, bool), Malformed> {
        match self.peek() {
            Some(b'"') => Ok((ValueKind::String, self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| (ValueKind::Number, false)),
            Some(b't') => self.literal(b"true").map(|()| (ValueKind::Bool, false)),
            Some(b'f') => self.literal(b"false").map(|()| (ValueKind::Bool, false)),
            Some(b'n') => self.literal(b"null").map(|()| (ValueKind::Null, false)),
            Some(_) => self.refuse("expected a value"),
            None => self.refuse("ends too early"),
        }
    }

    /// An object or array with all it contains; `true` if there is a backslash in it.
    fn nested(&mut self) -> Result<bool, Malformed> {
        let mut open = Open { objects: [0; MAX_DEPTH / 64], depth: 1 };
        let mut escaped = false;
        loop {
            // A value is due.
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    let object = bracket == b'{';
                    if !open.push(object) {
                        return self.refuse("nested deeper than 512 levels");
                    }
                    self.at += 1;
                    self.space();
                    if self.peek() != Some(if object { b'}' } else { b']' }) {
                        if object {
                            escaped |= self.key()?.1;
                        }
                        continue;
                    }
                    self.at += 1;
                    open.depth -= 1;
                }
                _ => escaped |= self.scalar()?.1,
            }
            // A value has ended: so may what contains it.
            loop {
                if open.depth == 1 {
                    return Ok(escaped);
                }
                self.space();
                match (self.peek(), open.in_object()) {
                    (Some(b','), object) => {
                        self.at += 1;
                        self.space();
                        if object {
                            escaped |= self.key()?.1;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        open.depth -= 1;
                    }
                    (_, true) => return self.refuse("expected ',' or '}'"),
                    (_, false) => return self.refuse("expected ',' or ']'"),
                }
            }
        }
    }

    /// From the opening to past the closing quote; `true` if there is a backslash between.
    fn string(&mut self) -> Result<bool, Malformed> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_run(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.refuse("control character in a string"),
                None => return self.refuse("string without end"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.bytes.get(self.at + 2..self.at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => self.at += 6,
                _ => return self.refuse("bad \\u escape"),
            },
            _ => return self.refuse("bad escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        // What follows, say the 1 of 01, is judged as what follows a value.
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.refuse("bad number") } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.refuse("expected a value");
        }
        self.at += word.len();
        Ok(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn refuse<T>(&self, reason: &'static str) -> Result<T, Malformed> {
        Err(Malformed { offset: self.at, reason })
    }
}

/// The containers open now, a bit each: set for an object. `depth` counts the record's own object, which has no bit.
struct Open {
    objects: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Open {
    fn push(&mut self, object: bool) -> bool {
        if self.depth >= MAX_DEPTH {
            return false;
        }
        let (word, bit) = (self.depth / 64, self.depth % 64);
        self.objects[word] = self.objects[word] & !(1 << bit) | u64::from(object) << bit;
        self.depth += 1;
        true
    }

    fn in_object(&self) -> bool {
        let last = self.depth - 1;
        self.objects[last / 64] >> (last % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::support::generate;
    use proptest::prelude::*;

    fn scan(record: &[u8]) -> Result<Vec<Member>, Malformed> {
        let mut out = Vec::new();
        members(record, &mut out).map(|()| out)
    }

    /// serde_json's strictest reading: all of UTF-8, all of the grammar, but no judgement of surrogates or depth.
    fn serde_accepts(record: &[u8]) -> bool {
        let is_object = record.trim_ascii_start().first() == Some(&b'{');
        is_object
            && std::str::from_utf8(record).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
    }

    #[test]
    fn members_are_named_in_order_with_their_kinds_and_flags() {
        let record =
            " { \"a\" : null,\"\\u0062\":[1, \"\\n\"] ,\"a\":-1.5e+3, \"\":\"x\\\\\",\"t\":true,\"o\":{\"k\":{}} }\r\n";
        let found = scan(record.as_bytes()).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|member| {
                let text = |span: Span32| std::str::from_utf8(span.of(record.as_bytes())).unwrap();
                (text(member.key), text(member.value), member.kind, member.key_escaped, member.value_escaped)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("a", "null", ValueKind::Null, false, false),
                ("\\u0062", "[1, \"\\n\"]", ValueKind::Array, true, true),
                ("a", "-1.5e+3", ValueKind::Number, false, false),
                ("", "\"x\\\\\"", ValueKind::String, false, true),
                ("t", "true", ValueKind::Bool, false, false),
                ("o", "{\"k\":{}}", ValueKind::Object, false, false),
            ]
        );
        assert_eq!(found[3].string_body(record.as_bytes()), Some(&b"x\\\\"[..]));
        assert_eq!(found[4].string_body(record.as_bytes()), None);
    }

    #[test]
    fn valid_records_are_accepted() {
        for record in [
            "{}",
            " \t\r\n{ \t\r\n} \t\r\n",
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":[[],[{}],{"b":[]}]}"#,
            r#"{"a":[ ] , "b" : { } }"#,
            r#"{"a":0,"b":-0,"c":0.0,"d":1E+2,"e":1e-2,"f":10,"g":-0.10e010}"#,
            r#"{"":"\"\\\/\b\f\n\r\t\u0000\uFFFF\ud800"}"#,
            "{\"a\":\"\u{7f}\u{80}\u{10ffff}\"}",
            r#"{"a":1,"a":1}"#,
            r#"{"a":[true,false,null]}"#,
        ] {
            assert!(serde_accepts(record.as_bytes()), "{record}");
            scan(record.as_bytes()).unwrap();
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        let cases: &[(&[u8], usize, &str)] = &[
            (b"", 0, "not a JSON object"),
            (b"  ", 2, "not a JSON object"),
            (b"[]", 0, "not a JSON object"),
            (b"1", 0, "not a JSON object"),
            (b"\xEF\xBB\xBF{}", 0, "not a JSON object"),
            (b"{", 1, "expected a key"),
            (b"{,}", 1, "expected a key"),
            (b"{1:1}", 1, "expected a key"),
            (b"{'a':1}", 1, "expected a key"),
            (b"{\"a\"", 4, "expected ':'"),
            (b"{\"a\" 1}", 5, "expected ':'"),
            (b"{\"a\":", 5, "ends too early"),
            (b"{\"a\":}", 5, "expected a value"),
            (b"{\"a\":1", 6, "expected ',' or '}'"),
            (b"{\"a\":1,}", 7, "expected a key"),
            (b"{\"a\":1 \"b\":2}", 7, "expected ',' or '}'"),
            (b"{\"a\":1]", 6, "expected ',' or '}'"),
            (b"{\"a\":1}}", 7, "something follows the object"),
            (b"{}{}", 2, "something follows the object"),
            (b"{}\0", 2, "something follows the object"),
            (b"{\x0c}", 1, "expected a key"),
            (b"{\xc2\xa0}", 1, "expected a key"),
            (b"{\"a\":01}", 6, "expected ',' or '}'"),
            (b"{\"a\":-}", 6, "bad number"),
            (b"{\"a\":+1}", 5, "expected a value"),
            (b"{\"a\":.5}", 5, "expected a value"),
            (b"{\"a\":1.}", 7, "bad number"),
            (b"{\"a\":1e}", 7, "bad number"),
            (b"{\"a\":1e+}", 8, "bad number"),
            (b"{\"a\":1.e1}", 7, "bad number"),
            (b"{\"a\":0x1}", 6, "expected ',' or '}'"),
            (b"{\"a\":NaN}", 5, "expected a value"),
            (b"{\"a\":nul}", 5, "expected a value"),
            (b"{\"a\":True}", 5, "expected a value"),
            (b"{\"a\":nullx}", 9, "expected ',' or '}'"),
            (b"{\"a\":[1,]}", 8, "expected a value"),
            (b"{\"a\":[,1]}", 6, "expected a value"),
            (b"{\"a\":[1 2]}", 8, "expected ',' or ']'"),
            (b"{\"a\":[1}", 7, "expected ',' or ']'"),
            (b"{\"a\":[1", 7, "expected ',' or ']'"),
            (b"{\"a\":{\"b\":1]}", 11, "expected ',' or '}'"),
            (b"{\"a\":{\"b\"}}", 9, "expected ':'"),
            (b"{\"a\":{\"b\":1,}}", 12, "expected a key"),
            (b"{\"a\":\"", 6, "string without end"),
            (b"{\"a\":\"\\\"}", 9, "string without end"),
            (b"{\"a\":\"\\x\"}", 6, "bad escape"),
            (b"{\"a\":\"\\", 6, "bad escape"),
            (b"{\"a\":\"\\u12G4\"}", 6, "bad \\u escape"),
            (b"{\"a\":\"\\u12", 6, "bad \\u escape"),
            (b"{\"a\":\"\\u+123\"}", 6, "bad \\u escape"),
            (b"{\"a\":\"\n\"}", 6, "control character in a string"),
            (b"{\"\x1f\":1}", 2, "control character in a string"),
            (b"{\"a\":\"\xff\"}", 6, "not UTF-8"),
            (b"{\"a\":\"\xed\xa0\x80\"}", 6, "not UTF-8"),
            (b"{\"a\":\"\xc0\xaf\"}", 6, "not UTF-8"),
            (b"{/**/}", 1, "expected a key"),
        ];
        for &(record, offset, reason) in cases {
            assert!(!serde_accepts(record), "{record:?}");
            assert_eq!(scan(record), Err(Malformed { offset, reason }), "{:?}", String::from_utf8_lossy(record));
        }
    }

    #[test]
    fn nesting_is_bounded_and_takes_no_stack() {
        let nested = |levels: usize, open: &str, close: &str| {
            format!("{{\"a\":{}1{}}}", open.repeat(levels - 1), close.repeat(levels - 1)).into_bytes()
        };
        for (open, close) in [("[", "]"), ("{\"b\":", "}")] {
            scan(&nested(MAX_DEPTH, open, close)).unwrap();
            let refused = scan(&nested(MAX_DEPTH + 1, open, close)).unwrap_err();
            assert_eq!(refused.reason, "nested deeper than 512 levels");
            scan(&nested(1_000_000, open, close)).unwrap_err();
        }
        // The kinds of all levels are remembered, also beyond one word of them.
        let mixed = format!("{{\"a\":{}1{}}}", "[{\"b\":".repeat(200), "}]".repeat(200));
        scan(mixed.as_bytes()).unwrap();
        scan(mixed.replace("}]}]", "}]]}").as_bytes()).unwrap_err();
    }

    #[test]
    fn half_a_record_leaves_no_members() {
        let mut out = Vec::new();
        members(b"{\"a\":1}", &mut out).unwrap();
        members(b"{\"a\":1,\"b\"}", &mut out).unwrap_err();
        assert!(out.is_empty());
    }

    /// Text that is nearly JSON: its own bytes, shuffled.
    fn nearly_json() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\", "\\u", "\\ud800", "0", "1", "-", ".", "e", "E+1",
            "true", "nul", "null", "false", " ", "\n", "\t", "\u{1}", "é", "{}", "[]", "\"\":", "{\"a\":", "\u{a0}",
        ]);
        prop::collection::vec(piece, 0..14).prop_map(|pieces| format!("{{{}}}", pieces.concat()).into_bytes())
    }

    /// A record with a few of its bytes changed, dropped or repeated.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..3);
        (generate::record(), prop::collection::vec(damage, 1..3)).prop_map(|(mut record, damage)| {
            for (place, byte, how) in damage {
                let place = place.index(record.len().max(1)).min(record.len().saturating_sub(1));
                match how {
                    _ if record.is_empty() => record.push(byte),
                    0 => record[place] = byte,
                    1 => record.insert(place, record[place]),
                    _ => drop(record.remove(place)),
                }
            }
            record
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted_only_if_serde_json_accepts_them(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(scan(&bytes).is_ok(), serde_accepts(&bytes));
        }

        #[test]
        fn what_is_nearly_json_is_accepted_only_if_serde_json_accepts_it(bytes in nearly_json()) {
            prop_assert_eq!(scan(&bytes).is_ok(), serde_accepts(&bytes));
        }

        #[test]
        fn damaged_records_are_accepted_only_if_serde_json_accepts_them(bytes in damaged()) {
            prop_assert_eq!(scan(&bytes).is_ok(), serde_accepts(&bytes));
        }

        #[test]
        fn i9_generated_records_are_accepted_and_no_member_is_missed(tree in generate::tree_on(generate::DAY), seed in any::<u64>()) {
            let record = generate::render(&tree, seed);
            prop_assert!(serde_accepts(&record));
            let found = scan(&record).unwrap();
            let generate::Json::Object(expected) = tree else { unreachable!() };
            prop_assert_eq!(found.len(), expected.len());
            for member in found {
                let (key, value) = (member.key.of(&record), member.value.of(&record));
                prop_assert_eq!(member.key_escaped, key.contains(&b'\\'));
                prop_assert_eq!(member.value_escaped, value.contains(&b'\\'));
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok());
                prop_assert_eq!(value.trim_ascii(), value);
            }
        }
    }
}
