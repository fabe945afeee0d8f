//! Notes beside a table's index objects: for which segments each month was written. A run compares them with the ledger
//! and opens no index whose month is as it was.
//!
//! One line of JSON, and a line with its xxh3-128. Notes that are missing or damaged are no notes: each month is looked at.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::ledger::Segment;

/// The name of the notes in the folder of the index.
pub(super) const NAME: &str = "months.json";
/// What is noted is noted of this form of the index.
const VERSION: u8 = 1;

/// What a month's index was when it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// [`fingerprint`] of the segments that it names.
    pub segments: String,
    /// Bytes of the object.
    pub bytes: u64,
}

/// The notes of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    version: u8,
    /// The table's Delta version then, if every month was written: while it is the same, no month has changed.
    pub delta: Option<u64>,
    /// By month, as `2024-03`.
    pub months: BTreeMap<String, Note>,
}

impl Notes {
    pub fn new() -> Self {
        Notes { version: VERSION, delta: None, months: BTreeMap::new() }
    }

    /// None: these are no notes, or not of this version.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let (line, sum) = text.split_once('\n')?;
        let notes: Notes = serde_json::from_str(line).ok()?;
        (notes.version == VERSION && sum == format!("{:032x}", xxh3_128(line.as_bytes()))).then_some(notes)
    }

    pub fn print(&self) -> Vec<u8> {
        let line = serde_json::to_string(self).unwrap_or_default();
        format!("{line}\n{:032x}\n", xxh3_128(line.as_bytes())).into_bytes()
    }
}

/// What segments come to: others give another one. They come in the order of their paths.
pub fn fingerprint<'a>(segments: impl IntoIterator<Item = &'a Segment>) -> String {
    let mut hasher = Xxh3::new();
    for segment in segments {
        hasher.update(segment.path.as_bytes());
        hasher.update(b"\n");
        hasher.update(segment.sha256.as_bytes());
        hasher.update(&segment.bytes.to_le_bytes());
    }
    format!("{:032x}", hasher.digest128())
}
