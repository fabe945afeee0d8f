//! What the archive holds, by table and day: numbers only, no log content, so that a reviewer may have it.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::names::TableName;

/// The version of `inventory.json`.
pub const INVENTORY_VERSION: u32 = 1;

/// `inventory.json`, written beside the ledger's head at the end of each run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    pub version: u32,
    /// The archive's id.
    pub archive: String,
    /// The run's `now`.
    pub at: Timestamp,
    /// Digest of the policy that the run went by.
    pub policy: String,
    /// Sorted by name.
    pub tables: Vec<InventoryTable>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryTable {
    pub name: TableName,
    /// Sorted by day, part and keeping.
    pub days: Vec<InventoryDay>,
}

/// What one day of one part holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryDay {
    pub day: Date,
    /// `main` where no part claims the rows.
    pub part: String,
    pub keeping: Held,
    pub rows: u64,
    /// As stored: of segments, raw objects, or quarantine files.
    pub bytes: u64,
}

/// In what shape a day is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// Segments in the table.
    Archive,
    /// Segments taken out of the table, to be destroyed on their date.
    Retired,
    /// Raw objects of a table with `archive = false`.
    Raw,
    /// Quarantine files, by the day of their arrival.
    Quarantine,
}
