//! What the archive holds, by table and day: numbers only, no log content, so that a reviewer may have it.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
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

impl Inventory {
    /// Reads `inventory.json`; `shown` names it.
    pub fn read(bytes: &[u8], shown: &str) -> Result<Inventory> {
        let attempted = || format!("reading the inventory {shown}");
        let written = "a run writes one at its end: name that `inventory.json`";
        let json: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|source| Error::from_source(Kind::Usage, attempted(), source).with_hint(written))?;
        match json.get("version").map(serde_json::Value::as_u64) {
            Some(Some(version)) if version == u64::from(INVENTORY_VERSION) => {}
            Some(Some(version)) => {
                let reason = format!("it is of version {version}, and this Holdfast reads version {INVENTORY_VERSION}");
                let hint = "compare with the Holdfast that wrote it, or with one that is as new";
                return Err(Error::new(Kind::Usage, attempted(), reason).with_hint(hint));
            }
            _ => return Err(Error::new(Kind::Usage, attempted(), "it does not say its version").with_hint(written)),
        }
        serde_json::from_value(json)
            .map_err(|source| Error::from_source(Kind::Usage, attempted(), source).with_hint(written))
    }
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
