//! What kinds of value a batch has under each name, and which type holds them all.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::catalogue::{ColumnType, fold};
use crate::record::time;
use crate::record::token::ValueKind;

/// The kinds of value seen under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    /// Nothing seen yet. Strings can only be instants under a name that says so: what looks like a time for a day may
    /// be any text the next.
    pub(super) fn under(name: &str) -> Self {
        let folded = fold(name);
        let says_time = folded.contains("time") || folded.contains("date");
        Kinds(if says_time { 0 } else { Self::PLAIN_STRING })
    }

    const INTEGER: u8 = 1;
    const FLOAT: u8 = 2;
    const BOOL: u8 = 4;
    const STRING: u8 = 8;
    const NESTED: u8 = 16;
    /// Strings are not certainly instants.
    const PLAIN_STRING: u8 = 32;

    /// Takes note of a valid JSON token. Integers are numbers written as such, of whatever size.
    pub fn see(&mut self, kind: ValueKind, token: &[u8]) {
        self.0 |= match kind {
            ValueKind::Null => 0,
            // One that is none settles it: the others need not be read.
            ValueKind::String if self.0 & Self::PLAIN_STRING != 0 || is_instant(token) => Self::STRING,
            ValueKind::String => Self::STRING | Self::PLAIN_STRING,
            ValueKind::Object | ValueKind::Array => Self::NESTED,
            ValueKind::Bool => Self::BOOL,
            ValueKind::Number if token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => Self::FLOAT,
            ValueKind::Number => Self::INTEGER,
        };
    }

    /// The type for all that was seen; `None` if nothing was.
    pub fn decide(self) -> Option<ColumnType> {
        Some(match self.0 & !Self::PLAIN_STRING {
            0 => return None,
            Self::INTEGER => ColumnType::Long,
            bits if bits & !(Self::INTEGER | Self::FLOAT) == 0 => ColumnType::Double,
            Self::BOOL => ColumnType::Bool,
            Self::STRING if self.0 & Self::PLAIN_STRING == 0 => ColumnType::Timestamp,
            bits if bits & Self::NESTED != 0 => ColumnType::Json,
            _ => ColumnType::Text,
        })
    }
}

/// True for a string like `2024-07-03T18:00:00.1234567Z`: with a date, a time and a zone, so that nobody can mean another
/// instant or no instant.
fn is_instant(token: &[u8]) -> bool {
    let [b'"', text @ .., b'"'] = token else { return false };
    let zoned = matches!(text, [.., b'Z'] | [.., b'+' | b'-', _, _, b':', _, _]);
    zoned && text.get(10) == Some(&b'T') && std::str::from_utf8(text).is_ok_and(|text| time::parse(text).is_some())
}

/// The names of a batch that may become columns, in the order of first sight, with the kinds of their values.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    pub(super) columns: Vec<Surveyed>,
}

#[derive(Debug, Clone)]
pub(super) struct Surveyed {
    pub(super) name: String,
    pub(super) kinds: Kinds,
    /// The chunk of the batch in which its first value stood.
    pub(super) chunk: u32,
    /// The table has the column: its type is settled.
    pub(super) known: bool,
}

impl Survey {
    /// All that was seen by several, each of whom looked at other chunks.
    pub(super) fn merged<'a>(surveys: impl Iterator<Item = &'a Survey>) -> Survey {
        let mut columns: Vec<&Surveyed> = surveys.flat_map(|survey| &survey.columns).collect();
        // Stable: what one of them saw within a chunk stays in its order.
        columns.sort_by_key(|column| column.chunk);
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(columns.len());
        let mut merged = Survey::default();
        for column in columns {
            match places.entry(&column.name) {
                Entry::Occupied(place) => merged.columns[*place.get()].kinds.0 |= column.kinds.0,
                Entry::Vacant(place) => {
                    place.insert(merged.columns.len());
                    merged.columns.push(column.clone());
                }
            }
        }
        merged
    }

    /// Of several spellings of one name the first is the column.
    pub(super) fn first_spellings(mut self) -> Survey {
        let mut seen = HashSet::with_capacity(self.columns.len());
        self.columns.retain(|column| seen.insert(fold(&column.name)));
        self
    }
}
