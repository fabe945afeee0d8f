//! What kinds of value a batch has under each name, and which type holds them all.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::catalogue::{ColumnType, fold};
use crate::record::token::ValueKind;

/// The kinds of value seen under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    const INTEGER: u8 = 1;
    const FLOAT: u8 = 2;
    const BOOL: u8 = 4;
    const STRING: u8 = 8;
    const NESTED: u8 = 16;

    /// Takes note of a valid JSON token. Integers are numbers written as such, of whatever size.
    pub fn see(&mut self, kind: ValueKind, token: &[u8]) {
        self.0 |= match kind {
            ValueKind::Null => 0,
            ValueKind::String => Self::STRING,
            ValueKind::Object | ValueKind::Array => Self::NESTED,
            ValueKind::Bool => Self::BOOL,
            ValueKind::Number if token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => Self::FLOAT,
            ValueKind::Number => Self::INTEGER,
        };
    }

    /// The type for all that was seen; `None` if nothing was.
    pub fn decide(self) -> Option<ColumnType> {
        Some(match self.0 {
            0 => return None,
            Self::INTEGER => ColumnType::Long,
            bits if bits & !(Self::INTEGER | Self::FLOAT) == 0 => ColumnType::Double,
            Self::BOOL => ColumnType::Bool,
            bits if bits & Self::NESTED != 0 => ColumnType::Json,
            _ => ColumnType::Text,
        })
    }
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
