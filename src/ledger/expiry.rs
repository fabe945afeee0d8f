//! What the ledger keeps about expiry: grounds, consents, and how far each table's retirements have come.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::names::TableName;
use crate::record::SetDigest;

/// Where a day's data lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeping {
    /// Segments of a table.
    Archive,
    /// Raw objects of a table with `archive = false`.
    Raw,
    /// Quarantine files; their day is the day of their arrival.
    Quarantine,
}

/// Why one file goes: the rule, where it stands, and the dates it gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ground {
    pub table: TableName,
    pub keeping: Keeping,
    /// Relative to the table's folder for segments, to the archive for quarantine; `source:path` for raw objects.
    pub path: String,
    pub day: Date,
    pub part: String,
    pub bytes: u64,
    pub sha256: String,
    pub digest: SetDigest,
    /// Where the rule stands.
    pub file: String,
    pub line: u64,
    /// The rule's file and name, and the digest of what it means.
    pub rule: String,
    pub rule_digest: String,
    /// Digest of the accepted policy that holds the rule.
    pub policy: String,
    pub expires: Date,
    pub destroy_at: Date,
    /// It needed consent, and has it: `purge_delay` counts from its retirement.
    pub approved: bool,
}

/// A table in which nothing that expired was left waiting, at a run's `now`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub table: TableName,
    pub keeping: Keeping,
}

/// Consent to the retirement of one day of one part, exactly as it was.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApprovedItem {
    pub table: TableName,
    pub keeping: Keeping,
    pub day: Date,
    pub part: String,
    pub rule_digest: String,
    /// Sorted.
    pub sha256s: Vec<String>,
}
