//! `inventory.json`, beside the ledger's head: what the archive holds by table and day, for reviewers of policies.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::error::{Error, Kind, Result};
use crate::ledger::{Chain, State};
use crate::names::TableName;
use crate::policy::{Held, INVENTORY_VERSION, Inventory, InventoryDay, InventoryTable, day_of};

/// Writes the inventory of the state as it is.
pub fn write_inventory(chain: &Chain, now: Timestamp) -> Result<()> {
    let inventory = inventory(chain.state(), now);
    let mut bytes = serde_json::to_vec_pretty(&inventory)
        .map_err(|source| Error::from_source(Kind::Internal, "writing inventory.json", source))?;
    bytes.push(b'\n');
    chain.write_beside("inventory.json", bytes)
}

/// Rows and bytes of a table by day, part and how they are held.
type Days = BTreeMap<(Date, String, Held), (u64, u64)>;

/// Rows and bytes of each day; no log content.
pub fn inventory(state: &State, now: Timestamp) -> Inventory {
    let mut days: BTreeMap<TableName, Days> = BTreeMap::new();
    let mut add = |table: &TableName, day: Date, part: &str, held: Held, rows: u64, bytes: u64| {
        let sum = days.entry(table.clone()).or_default().entry((day, part.to_owned(), held)).or_default();
        *sum = (sum.0 + rows, sum.1 + bytes);
    };
    for known in state.tables.values() {
        for (segment, _) in known.segments.values() {
            add(&known.name, segment.day, &segment.part, Held::Archive, segment.digest.rows, segment.bytes);
        }
        for retired in known.retired.values() {
            let segment = &retired.segment;
            add(&known.name, segment.day, &segment.part, Held::Retired, segment.digest.rows, segment.bytes);
        }
    }
    for known in state.objects.values().filter(|known| !known.cleared) {
        if let Some(day) = known.outcome.last_day {
            add(&known.outcome.table, day, "main", Held::Raw, known.counts.raw, known.outcome.size);
        }
    }
    for one in &state.quarantine {
        add(&one.file.table, day_of(one.at), "main", Held::Quarantine, one.file.records, one.file.bytes);
    }
    let tables = days.into_iter().map(|(name, days)| InventoryTable {
        name,
        days: days
            .into_iter()
            .map(|((day, part, keeping), (rows, bytes))| InventoryDay { day, part, keeping, rows, bytes })
            .collect(),
    });
    Inventory {
        version: INVENTORY_VERSION,
        archive: state.archive.clone().unwrap_or_default(),
        at: now,
        policy: state.policy().map(|accepted| accepted.digest.clone()).unwrap_or_default(),
        tables: tables.collect(),
    }
}
