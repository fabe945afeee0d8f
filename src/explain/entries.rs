//! The entries of the ledger as they stand, each with the SHA-256 of its bytes.

use jiff::Timestamp;
use serde::Serialize;

use crate::error::Result;
use crate::ledger::{Entry, ZEROS, damaged, entry_path, parse_entry, sha256_hex};
use crate::storage::Store;

/// An entry, and what its bytes hash to.
#[derive(Debug, Clone)]
pub struct Written {
    pub entry: Entry,
    pub sha256: String,
}

/// Where something stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryRef {
    pub entry: u64,
    pub sha256: String,
    pub at: Timestamp,
    pub run: String,
}

/// All entries up to and including number `last`, each checked against the one before.
pub fn read_entries(ledger: &Store, last: u64) -> Result<Vec<Written>> {
    let mut entries: Vec<Written> = Vec::new();
    for seq in 0..=last {
        let bytes = ledger.get(&entry_path(seq))?.ok_or_else(|| damaged(seq, "it is missing"))?;
        let entry = parse_entry(seq, entries.last().map_or(ZEROS, |before| &before.sha256), &bytes)?;
        entries.push(Written { entry, sha256: sha256_hex(&bytes) });
    }
    Ok(entries)
}

impl Written {
    pub fn reference(&self) -> EntryRef {
        let Entry { seq, at, run, .. } = &self.entry;
        EntryRef { entry: *seq, sha256: self.sha256.clone(), at: *at, run: run.clone() }
    }
}
