//! The judge of "lossless": are two JSON records the same token tree (I9)?
//!
//! Objects are multisets of (key, value), strings are their UTF-16 units, numbers and so timestamps are their text.
//! Whitespace, the order of keys and the spelling of escapes do not count, nor does a top-level null beside an absent
//! field. Independent: its parser is its own, and nothing of Holdfast is used.

use std::fmt::{self, Write};

/// `Ok` if both are the same record, else where they differ or what is no JSON.
pub fn same_record(a: &[u8], b: &[u8]) -> Result<(), String> {
    differ(&read(a).map_err(|why| format!("left: {why}"))?, &read(b).map_err(|why| format!("right: {why}"))?, "")
}

/// `Ok` if both are the same multiset of records, else the first record that only one has.
pub fn same_records(a: &[Vec<u8>], b: &[Vec<u8>]) -> Result<(), String> {
    let (a, b) = (sorted(a).map_err(|why| format!("left: {why}"))?, sorted(b).map_err(|why| format!("right: {why}"))?);
    let (mut left, mut right) = (a.iter().peekable(), b.iter().peekable());
    let counts = format!("{} records left, {} right", a.len(), b.len());
    loop {
        match (left.peek(), right.peek()) {
            (None, None) => return Ok(()),
            (Some(x), Some(y)) if x == y => {
                left.next();
                right.next();
            }
            (Some(x), Some(y)) if x < y => return Err(format!("{counts}; only left: {x}; next on the right: {y}")),
            (Some(x), Some(y)) => return Err(format!("{counts}; only right: {y}; next on the left: {x}")),
            (Some(x), None) => return Err(format!("{counts}; only left: {x}")),
            (None, Some(y)) => return Err(format!("{counts}; only right: {y}")),
        }
    }
}

fn sorted(records: &[Vec<u8>]) -> Result<Vec<Token>, String> {
    let mut trees = records.iter().map(|record| read(record)).collect::<Result<Vec<_>, _>>()?;
    trees.sort();
    Ok(trees)
}

/// A token and all below it; the members of an object are sorted, so that equality is that of multisets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Token {
    Null,
    Bool(bool),
    Number(String),
    Text(Vec<u16>),
    Array(Vec<Token>),
    Object(Vec<(Vec<u16>, Token)>),
}

impl Token {
    fn name(&self) -> &'static str {
        match self {
            Token::Null => "null",
            Token::Bool(_) => "a boolean",
            Token::Number(_) => "a number",
            Token::Text(_) => "a string",
            Token::Array(_) => "an array",
            Token::Object(_) => "an object",
        }
    }
}

/// Units as a string of Rust's, unpaired surrogates as `\u{d800}`; long ones cut.
fn shown(units: &[u16]) -> String {
    let mut text = String::from("\"");
    for unit in char::decode_utf16(units.iter().take(200).copied()) {
        match unit {
            Ok(character) => text.extend(character.escape_debug()),
            Err(unpaired) => text.push_str(&format!("\\u{{{:x}}}", unpaired.unpaired_surrogate())),
        }
    }
    text.push_str(if units.len() > 200 { "…\"" } else { "\"" });
    text
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Null => f.write_str("null"),
            Token::Bool(value) => write!(f, "{value}"),
            Token::Number(text) => f.write_str(text),
            Token::Text(units) => f.write_str(&shown(units)),
            Token::Array(elements) => {
                f.write_char('[')?;
                for (index, element) in elements.iter().enumerate() {
                    write!(f, "{}{element}", if index > 0 { "," } else { "" })?;
                }
                f.write_char(']')
            }
            Token::Object(members) => {
                f.write_char('{')?;
                for (index, (key, value)) in members.iter().enumerate() {
                    write!(f, "{}{}:{value}", if index > 0 { "," } else { "" }, shown(key))?;
                }
                f.write_char('}')
            }
        }
    }
}

fn differ(a: &Token, b: &Token, path: &str) -> Result<(), String> {
    let place = if path.is_empty() { "/" } else { path };
    match (a, b) {
        _ if a == b => Ok(()),
        (Token::Array(x), Token::Array(y)) => {
            for (index, (left, right)) in x.iter().zip(y).enumerate() {
                differ(left, right, &format!("{path}/[{index}]"))?;
            }
            Err(format!("at {place}: {} elements against {}", x.len(), y.len()))
        }
        (Token::Object(x), Token::Object(y)) => {
            for (left, right) in x.iter().zip(y) {
                if left.0 == right.0 {
                    differ(&left.1, &right.1, &format!("{path}/{}", shown(&left.0)))?;
                } else if left.0 < right.0 {
                    return Err(format!("at {place}: {} is only left", shown(&left.0)));
                } else {
                    return Err(format!("at {place}: {} is only right", shown(&right.0)));
                }
            }
            let (side, extra) = if x.len() > y.len() { ("left", &x[y.len()]) } else { ("right", &y[x.len()]) };
            Err(format!("at {place}: {} is only {side}", shown(&extra.0)))
        }
        _ if a.name() != b.name() => Err(format!("at {place}: {} against {}: {a} and {b}", a.name(), b.name())),
        _ => Err(format!("at {place}: {a} against {b}")),
    }
}

/// The tree of a whole record, without its top-level nulls.
fn read(record: &[u8]) -> Result<Token, String> {
    let text = std::str::from_utf8(record).map_err(|error| error.to_string())?;
    let mut parser = Parser { text, at: 0 };
    let token = parser.token()?;
    parser.white();
    if parser.at != text.len() {
        return parser.wrong("the end");
    }
    match token {
        Token::Object(mut members) => {
            members.retain(|(_, value)| *value != Token::Null);
            Ok(Token::Object(members))
        }
        other => Err(format!("{} is no record", other.name())),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn token(&mut self) -> Result<Token, String> {
        self.white();
        match self.next() {
            Some('{') => {
                let mut members = Vec::new();
                self.white();
                while !self.eat("}") {
                    if !members.is_empty() {
                        self.must(",")?;
                    }
                    self.white();
                    let key = self.units()?;
                    self.white();
                    self.must(":")?;
                    members.push((key, self.token()?));
                    self.white();
                }
                members.sort();
                Ok(Token::Object(members))
            }
            Some('[') => {
                let mut elements = Vec::new();
                self.white();
                while !self.eat("]") {
                    if !elements.is_empty() {
                        self.must(",")?;
                    }
                    elements.push(self.token()?);
                    self.white();
                }
                Ok(Token::Array(elements))
            }
            Some('"') => {
                self.at -= 1;
                self.units().map(Token::Text)
            }
            Some(_) => {
                self.at -= 1;
                self.bare()
            }
            None => self.wrong("a value"),
        }
    }

    /// A number or a word.
    fn bare(&mut self) -> Result<Token, String> {
        let rest = &self.text[self.at..];
        let word = rest.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).next().unwrap_or_default();
        let token = match word {
            "null" => Token::Null,
            "true" => Token::Bool(true),
            "false" => Token::Bool(false),
            number if is_number(number) => Token::Number(number.to_owned()),
            _ => return self.wrong("a value"),
        };
        self.at += word.len();
        Ok(token)
    }

    fn units(&mut self) -> Result<Vec<u16>, String> {
        self.must("\"")?;
        let mut units = Vec::new();
        loop {
            let unit = match self.next() {
                Some('"') => return Ok(units),
                Some('\\') => match self.next() {
                    Some(same @ ('"' | '\\' | '/')) => same as u16,
                    Some('b') => 8,
                    Some('t') => 9,
                    Some('n') => 10,
                    Some('f') => 12,
                    Some('r') => 13,
                    Some('u') => match self.text.get(self.at..self.at + 4) {
                        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                            self.at += 4;
                            u16::from_str_radix(hex, 16).map_err(|error| error.to_string())?
                        }
                        _ => return self.wrong("four hex digits"),
                    },
                    _ => return self.wrong("an escape"),
                },
                Some(control) if control < ' ' => return self.wrong("no control character"),
                Some(character) => {
                    units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
                    continue;
                }
                None => return self.wrong("a closing quote"),
            };
            units.push(unit);
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.text[self.at..].chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, word: &str) -> bool {
        let there = self.text[self.at..].starts_with(word);
        if there {
            self.at += word.len();
        }
        there
    }

    fn must(&mut self, word: &str) -> Result<(), String> {
        if self.eat(word) { Ok(()) } else { self.wrong(word) }
    }

    fn white(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn wrong<T>(&self, wanted: &str) -> Result<T, String> {
        let near: String = self.text.get(self.at..).unwrap_or_default().chars().take(40).collect();
        Err(format!("expected {wanted} at byte {} of {}, near {near:?}", self.at, self.text.len()))
    }
}

fn is_number(text: &str) -> bool {
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    all_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(all_digits)
        && exponent.is_none_or(|exponent| all_digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i9_what_does_not_count() {
        let same = [
            (r#"{"a":1,"b":[true,null]}"#, " { \"b\" : [ true , null ] ,\r\n\t\"a\" : 1 } "),
            (r#"{"a":"A/\n😀"}"#, r#"{"\u0061":"\u0041\/\u000A\uD83D\ude00"}"#),
            (r#"{"a":1,"b":null}"#, r#"{"a":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
            (r#"{"a":{"x":1,"y":2}}"#, r#"{"a":{"y":2,"x":1}}"#),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\uD800"}"#),
            ("{}", r#"{"":null}"#),
        ];
        for (a, b) in same {
            assert_eq!(same_record(a.as_bytes(), b.as_bytes()), Ok(()));
            assert_eq!(same_record(b.as_bytes(), a.as_bytes()), Ok(()));
        }
    }

    #[test]
    fn i9_what_counts() {
        let different = [
            (r#"{"a":1}"#, r#"{"a":1.0}"#, "at /\"a\": 1 against 1.0"),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, "at /\"a\": a number against a string: 1 and \"1\""),
            (r#"{"a":0}"#, r#"{"a":-0}"#, "at /\"a\": 0 against -0"),
            (r#"{"a":1}"#, r#"{"A":1}"#, "at /: \"A\" is only right"),
            (r#"{"a":1}"#, "{}", "at /: \"a\" is only left"),
            (r#"{"a":1,"a":1}"#, r#"{"a":1}"#, "at /: \"a\" is only left"),
            (r#"{"a":{"x":null}}"#, r#"{"a":{}}"#, "at /\"a\": \"x\" is only left"),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, "at /\"a\"/[0]: 1 against 2"),
            (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, "at /\"a\": 2 elements against 1"),
            (r#"{"a":"\ud800"}"#, r#"{"a":"\ud801"}"#, "at /\"a\": \"\\u{d800}\" against \"\\u{d801}\""),
            (r#"{"a":"é"}"#, "{\"a\":\"e\u{301}\"}", "at /\"a\": \"é\" against \"e\\u{301}\""),
            (r#"{"a":false}"#, r#"{"a":null}"#, "at /: \"a\" is only left"),
        ];
        for (a, b, why) in different {
            assert_eq!(same_record(a.as_bytes(), b.as_bytes()), Err(why.to_owned()));
            assert!(same_record(b.as_bytes(), a.as_bytes()).is_err());
        }
    }

    #[test]
    fn what_is_no_record_is_said() {
        for text in ["", "[]", "{", "{}x", "{,}", r#"{"a":1,}"#, r#"{"a":01}"#, r#"{"a":+1}"#, "{\"a\":\"\n\"}"] {
            assert!(same_record(text.as_bytes(), b"{}").unwrap_err().starts_with("left: "), "{text}");
            assert!(same_record(b"{}", text.as_bytes()).unwrap_err().starts_with("right: "), "{text}");
        }
    }

    #[test]
    fn sets_of_records_are_compared_with_their_counts() {
        let records = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
        let (one, two) = (r#"{"a":1}"#, r#"{"a":2}"#);
        assert_eq!(same_records(&records(&[one, two, one]), &records(&[two, one, r#"{"a": 1}"#])), Ok(()));
        for (a, b) in [(vec![one], vec![two]), (vec![one, one], vec![one]), (vec![one, one, two], vec![one, two, two])]
        {
            let why = same_records(&records(&a), &records(&b)).unwrap_err();
            assert!(why.contains("only left: {\"a\":1}"), "{why}");
        }
        assert!(same_records(&records(&[]), &records(&[one])).unwrap_err().contains("only right"));
    }
}
