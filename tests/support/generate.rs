//! Records made from nothing, as JSON text: all that issue 2 point 5 and I9 ask to survive the archive.
//!
//! A strategy yields a tree ([`Json`]); [`render`] spells it, and the same tree has many spellings (whitespace, order
//! of keys, escapes), chosen by a seed. Deterministic: the same tree and seed give the same bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A token tree as it shall be written: number texts and UTF-16 units, not values.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(Vec<u16>),
    Array(Vec<Json>),
    Object(Vec<(Vec<u16>, Json)>),
}

/// The day of the records that are not asked for another.
pub const DAY: &str = "2024-07-03";

/// Names that clash with each other in case, with reserved ones, with what Delta forbids in a column, or with nothing.
pub const NAMES: &[&str] = &[
    "Account",
    "account",
    "ACCOUNT",
    "Computer",
    "EventID",
    "Level",
    "level",
    "Properties",
    "timegenerated",
    "Time",
    "_ResourceId",
    "_hf_rest",
    "_hf_day",
    "_hf_part",
    "_HF_Source",
    "_hf_tail_Time",
    "_hf_",
    "a,b",
    "a b",
    "a\tb",
    "a\nb",
    "{}()",
    "x;y=z",
    "=",
    " ",
    "",
    ".",
    "a.b",
    "`",
    "\"",
    "\\",
    "/",
    "null",
    "имя",
    "ИМЯ",
    "名前",
    "straße",
    "STRASSE",
    "é",
    "e\u{301}",
    "İ",
    "ı",
    "😀",
    "\u{0}",
    "\u{7f}",
    "\u{feff}",
    "\u{202e}",
    "naïve",
    "اسم",
];

/// One of each form met (`time_formats.txt`), and forms near them that may or may not be read.
pub const TIMES: &[&str] = &[
    "01/09/2007 09:41:00",
    "1/9/2007 09:41:00",
    "01/09/2007 09:41:00 AM",
    "1/9/2007 9:41:00 AM",
    "1/9/2007 10:41:00 AM +01:00",
    "2007-01-09T09:41:00",
    "2007-01-09T09:41:00.22Z",
    "2007-01-09T09:41:00.6816663Z",
    "2007-01-09T09:41:00.535404056Z",
    "2007-01-09T09:41:00.992099+00:00",
    "2007-01-09T11:41:00+02:00",
    "11/20/2020, 10:52:04.808 AM",
    "9/25/2020, 2:13:24.333 PM",
    "2025-01-15 09:35:20.456",
    "2019-03-19 13:11:23",
    "2024-07-03T18:00:00.0000000Z",
    "2026-11-22T04:02:38.068864+00:00",
    "2026-11-22T04:02:38.068864Z",
    "2026-11-22t04:02:38.068864z",
    "2016-12-31T23:59:60Z",
    "2024-07-03T24:00:00Z",
    "2024-07-03",
    "2024-02-30T00:00:00Z",
    "0000-00-00T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    "10000-01-01T00:00:00Z",
    "1/9/2007 0:41:00 AM",
    "25/12/2020 10:00:00",
    "2024-07-03T18:00:00.12345678901234567890Z",
    "1720029600",
    "now",
];

/// A record with a `TimeGenerated` on [`DAY`] that can be used.
pub fn record() -> impl Strategy<Value = Vec<u8>> {
    record_on(DAY)
}

/// A record with a usable `TimeGenerated` on that UTC day (`YYYY-MM-DD`).
pub fn record_on(day: &'static str) -> impl Strategy<Value = Vec<u8>> {
    (tree_on(day), any::<u64>()).prop_map(|(tree, seed)| render(&tree, seed))
}

/// A record that has any or no `TimeGenerated`.
pub fn record_without_time() -> impl Strategy<Value = Vec<u8>> {
    (members(), prop::option::of(value()), any::<u64>()).prop_map(|(mut members, time, seed)| {
        members.extend(time.map(|time| (units("TimeGenerated"), time)));
        render(&Json::Object(members), seed)
    })
}

/// The tree of [`record_on`].
pub fn tree_on(day: &'static str) -> impl Strategy<Value = Json> {
    (members(), usable_time(day), any::<prop::sample::Index>()).prop_map(|(mut members, time, place)| {
        let place = place.index(members.len() + 1);
        members.insert(place, (units("TimeGenerated"), Json::Text(units(&time))));
        Json::Object(members)
    })
}

/// An instant within that UTC day in one of the forms of ISO: with any fraction, any zone.
pub fn usable_time(day: &'static str) -> impl Strategy<Value = String> {
    let fraction = prop_oneof![Just(String::new()), r"\.[0-9]{1,9}", r"\.[0-9]{7}"];
    // The hour is local: with offsets up to two hours it stays within the UTC day.
    let zone = select(vec!["", "Z", "Z", "Z", "z", "+00:00", "-00:00", "+0000", "+00", "+02:00", "-0130", " +01:00"]);
    (select(vec!['T', 'T', 't', ' ']), 2..22, 0..60, 0..60, fraction, zone).prop_map(
        move |(separator, hour, minute, second, fraction, zone)| {
            format!("{day}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
        },
    )
}

/// A timestamp in any form, on any day.
pub fn any_time() -> impl Strategy<Value = String> {
    let iso = r"(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-9])[Tt ]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)?";
    let us = r"(0?[1-9]|1[0-2])/(0?[1-9]|1[0-9]|2[0-8])/(19|20)[0-9]{2},? (0?[1-9]|1[0-2]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,7})?( AM| PM)?( [+-]0[0-9]:[0-5][0-9])?";
    prop_oneof![2 => select(TIMES).prop_map(str::to_owned), 3 => iso, 1 => us]
}

/// Any value: mostly what logs hold, now and then what nobody expects.
pub fn value() -> impl Strategy<Value = Json> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        prop_oneof![vec(inner.clone(), 0..5).prop_map(Json::Array), vec((name(), inner), 0..5).prop_map(Json::Object),]
    })
}

/// A number's text: integers of any size, fractions, exponents, and equal numbers in different spellings.
pub fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (-1000..1000_i64).prop_map(|value| value.to_string()),
        2 => any::<i64>().prop_map(|value| value.to_string()),
        2 => select(vec![
            "0", "-0", "0.0", "-0.0", "1", "1.0", "1e0", "1E0", "1E+2", "1e2", "100", "1.50", "1.5", "0.1", "1e-7",
            "9007199254740993", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
            "-9223372036854775809", "18446744073709551616", "123456789012345678901234567890", "1e400", "-1e-400",
            "1.7976931348623157e+308", "5e-324", "2147483648", "0.30000000000000004", "4656", "4657",
        ]).prop_map(str::to_owned),
        1 => any::<f64>().prop_filter_map("JSON has no such number", |value| value.is_finite().then(|| format!("{value:?}"))),
        1 => r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?",
    ]
}

/// UTF-16 units, with and without Unicode meaning.
pub fn text() -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![
        4 => "[a-zA-Z0-9\\\\/ .:{}-]{0,30}".prop_map(|text| units(&text)),
        2 => any::<String>().prop_map(|text| units(&text)),
        2 => any_time().prop_map(|text| units(&text)),
        1 => vec(any::<u16>(), 0..6),
        1 => vec(select(vec![0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0x41, 0x0, 0x22, 0x5C, 0x2F, 0x2028]), 0..6),
        1 => select(vec!["", "null", "true", "1", "1.0", "[]", "{\"a\":1}", " ", "\u{0}", "NaN"]).prop_map(units),
    ]
}

/// A record with one text of that many bytes (4 MB, say), all kinds of characters in it.
pub fn with_big_value(bytes: usize) -> Vec<u8> {
    let mut record = format!(r#"{{"TimeGenerated":"{DAY}T05:00:00.1234567Z","Big":""#).into_bytes();
    let pattern = r#"every kind: é 名 😀 \n \" \\ \u0041 \ud83d\ude00 "#.as_bytes();
    record.extend(pattern.iter().cycle().take(bytes / pattern.len() * pattern.len()));
    record.resize(record.len() + bytes % pattern.len(), b'x');
    record.extend_from_slice(br#"","After":1}"#);
    record
}

/// A record with that many columns of all types, `TimeGenerated` not counted; other rows have other values.
pub fn wide(columns: usize, row: usize) -> Vec<u8> {
    let mut record = format!(r#"{{"TimeGenerated":"{DAY}T{:02}:{:02}:00.0000000Z""#, row / 60 % 24, row % 60);
    for column in 0..columns {
        let value = match column % 6 {
            0 => format!("{}", row * 31 + column),
            1 => format!("\"text {row} {column}\""),
            2 => format!("{row}.{}", column * 10 + 5),
            3 => (!(row + column).is_multiple_of(4)).to_string(),
            4 => format!("\"{DAY}T01:02:03.{:07}Z\"", (row + column) % 9_999_999),
            _ => format!("{{\"in\":[{row},{column}]}}"),
        };
        record.push_str(&format!(",\"Column{column}\":{value}"));
    }
    record.push('}');
    record.into_bytes()
}

/// A tree with one thing changed: a value, a key, a number's text, a type, a field dropped or doubled, elements
/// swapped, chosen by `choice`. Seldom the change is none, as when equal elements are swapped.
pub fn changed(tree: &Json, choice: u64) -> Json {
    let mut dice = Dice(choice);
    let mut tree = tree.clone();
    change(&mut tree, &mut dice, true);
    tree
}

/// The UTF-16 units of a text.
pub fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// The text of a tree. Seed 0: compact, in order, escaped only where it must be; any other: its own spelling.
pub fn render(tree: &Json, seed: u64) -> Vec<u8> {
    let mut pen = Pen { out: Vec::new(), dice: Dice(seed), plain: seed == 0 };
    pen.token(tree);
    pen.white();
    pen.out
}

fn members() -> impl Strategy<Value = Vec<(Vec<u16>, Json)>> {
    vec((name(), prop_oneof![4 => scalar().boxed(), 1 => value().boxed()]), 0..16)
}

fn name() -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![
        8 => select(NAMES).prop_map(units),
        2 => "[A-Z][a-z]{1,8}".prop_map(|text| units(&text)),
        1 => any::<String>().prop_map(|text| units(&text)),
        1 => vec(select(vec![0xD800, 0xDC00, 0x41]), 1..3),
    ]
    .prop_map(|name| if name == units("TimeGenerated") { units("timeGenerated") } else { name })
}

fn scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::Bool),
        3 => number().prop_map(Json::Number),
        5 => text().prop_map(Json::Text),
    ]
}

/// A small generator of pseudo-random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((word ^ (word >> 31)) % sides.max(1) as u64) as usize
    }
}

fn change(tree: &mut Json, dice: &mut Dice, record: bool) {
    match tree {
        Json::Null => *tree = Json::Bool(false),
        Json::Bool(value) => match dice.roll(3) {
            0 => *tree = Json::Text(units(&value.to_string())),
            _ => *value = !*value,
        },
        Json::Number(text) => match dice.roll(4) {
            0 => *tree = Json::Text(units(text)),
            1 => *text = format!("{text}{}", if text.contains(['.', 'e', 'E']) { "1" } else { ".0" }),
            2 => *text = if let Some(rest) = text.strip_prefix('-') { rest.to_owned() } else { format!("-{text}") },
            _ => *tree = Json::Null,
        },
        Json::Text(text) => match dice.roll(4) {
            0 => text.push(0x41),
            1 if !text.is_empty() => {
                let place = dice.roll(text.len());
                text[place] ^= 0x20;
            }
            2 if !text.is_empty() => {
                text.remove(dice.roll(text.len()));
            }
            _ => *tree = Json::Array(vec![Json::Text(std::mem::take(text))]),
        },
        Json::Array(elements) => match dice.roll(5) {
            0 => elements.push(Json::Null),
            1 if !elements.is_empty() => {
                elements.remove(dice.roll(elements.len()));
            }
            2 if elements.len() > 1 => {
                let last = elements.len() - 1;
                elements.swap(dice.roll(last), last);
            }
            3 if !elements.is_empty() => {
                let place = dice.roll(elements.len());
                change(&mut elements[place], dice, false);
            }
            _ => *tree = Json::Object(vec![(units("0"), Json::Array(std::mem::take(elements)))]),
        },
        Json::Object(members) if members.is_empty() => {
            if record {
                members.push((units("new"), Json::Bool(true)));
            } else {
                *tree = Json::Array(Vec::new());
            }
        }
        Json::Object(members) => {
            let place = dice.roll(members.len());
            match dice.roll(6) {
                0 => {
                    members.remove(place);
                }
                1 => {
                    let twin = members[place].clone();
                    members.push(twin);
                }
                2 => members[place].0.push(0x41),
                3 => members.push((units("new"), Json::Number("1".to_owned()))),
                _ => change(&mut members[place].1, dice, false),
            }
        }
    }
}

struct Pen {
    out: Vec<u8>,
    dice: Dice,
    plain: bool,
}

impl Pen {
    fn token(&mut self, tree: &Json) {
        self.white();
        match tree {
            Json::Null => self.out.extend_from_slice(b"null"),
            Json::Bool(value) => self.out.extend_from_slice(value.to_string().as_bytes()),
            Json::Number(text) => self.out.extend_from_slice(text.as_bytes()),
            Json::Text(units) => self.string(units),
            Json::Array(elements) => {
                self.out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        self.white();
                        self.out.push(b',');
                    }
                    self.token(element);
                }
                self.white();
                self.out.push(b']');
            }
            Json::Object(members) => {
                let mut order: Vec<_> = members.iter().collect();
                if !self.plain {
                    for last in (1..order.len()).rev() {
                        order.swap(self.dice.roll(last + 1), last);
                    }
                }
                self.out.push(b'{');
                for (index, (key, value)) in order.into_iter().enumerate() {
                    if index > 0 {
                        self.white();
                        self.out.push(b',');
                    }
                    self.white();
                    self.string(key);
                    self.white();
                    self.out.push(b':');
                    self.token(value);
                }
                self.white();
                self.out.push(b'}');
            }
        }
    }

    fn white(&mut self) {
        if !self.plain && self.dice.roll(8) == 0 {
            // No line ends: a record is a line.
            let white = [&b" "[..], b"\t", b"  ", b" \t\r "][self.dice.roll(4)];
            self.out.extend_from_slice(white);
        }
    }

    fn string(&mut self, units: &[u16]) {
        self.out.push(b'"');
        for decoded in char::decode_utf16(units.iter().copied()) {
            match decoded {
                Ok(character) => self.character(character),
                Err(unpaired) => self.unit(unpaired.unpaired_surrogate()),
            }
        }
        self.out.push(b'"');
    }

    fn character(&mut self, character: char) {
        let short = match character {
            '"' => b'"',
            '\\' => b'\\',
            '/' => b'/',
            '\u{8}' => b'b',
            '\t' => b't',
            '\n' => b'n',
            '\u{c}' => b'f',
            '\r' => b'r',
            _ => 0,
        };
        let must_escape = character < ' ' || matches!(character, '"' | '\\');
        let way = if self.plain { 2 } else { self.dice.roll(6) };
        if way == 0 || (must_escape && short == 0) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                self.unit(*unit);
            }
        } else if must_escape || (way == 1 && short != 0) {
            self.out.extend_from_slice(&[b'\\', short]);
        } else {
            self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn unit(&mut self, unit: u16) {
        let text =
            if self.plain || self.dice.roll(2) == 0 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
        self.out.extend_from_slice(text.as_bytes());
    }
}
