//! What the ledger's entries tell of all tables together, in one pass: what was read and written, and what is gone.
//!
//! The state forgets what is gone; the entries do not. Only committed batches and finished destructions count: an intent
//! without outcome is unknown, never done. Pure but for reading attachments.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::entries::{Written, read_entries};
use crate::archive::segment_location;
use crate::error::Result;
use crate::ledger::{
    Body, Chain, Counts, Ground, Keeping, Kept, ObjectOutcome, PreparedTable, Purpose, read_attachment,
};
use crate::names::TableName;

/// The past of every table that ever had one.
#[derive(Debug, Default)]
pub struct Past {
    pub tables: BTreeMap<TableName, TablePast>,
}

/// What became of one table's records, and what is gone.
#[derive(Debug, Clone, Default)]
pub struct TablePast {
    /// Bytes of raw objects as they lay there, packed or not, that were read to be archived; without duplicates.
    pub raw_bytes: u64,
    /// Bytes of the segments that were written from them.
    pub segment_bytes: u64,
    /// What became of the records of all raw objects.
    pub counts: Counts,
    /// The newest batch that archived something.
    pub archived: Option<Done>,
    /// The newest destruction of something that had expired.
    pub destroyed: Option<Done>,
    /// What was destroyed because it had expired, by where it lay and its day.
    pub lost: BTreeMap<(Keeping, Date), Lost>,
}

/// Something a run did, all of it together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Done {
    pub run: String,
    pub at: Timestamp,
    /// The last entry that says that it is done.
    pub entry: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// What was destroyed of a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// What is known of a batch before it is committed.
struct Open {
    tables: Vec<PreparedTable>,
    objects: Vec<ObjectOutcome>,
}

/// Reads the entries as far as `chain` was folded.
pub fn past(chain: &Chain) -> Result<Past> {
    let entries = match chain.state().head() {
        Some(head) => read_entries(chain.store(), head.seq)?,
        None => Vec::new(),
    };
    let mut past = Past::default();
    let mut archiving: HashSet<&str> = HashSet::new();
    let mut batches: HashMap<&str, Open> = HashMap::new();
    let mut destroying: HashMap<&str, Vec<Ground>> = HashMap::new();
    for written in &entries {
        match &written.entry.body {
            Body::BatchIntended { batch, purpose: Purpose::Archive, .. } => {
                archiving.insert(batch);
            }
            Body::BatchPrepared { batch, tables, objects, .. } if archiving.contains(batch.as_str()) => {
                let objects = read_attachment(chain.store(), objects)?;
                batches.insert(batch, Open { tables: tables.clone(), objects });
            }
            Body::BatchCommitted { batch, .. } => {
                if let Some(open) = batches.remove(batch.as_str()) {
                    past.archived(&open, written);
                }
            }
            Body::DestroyIntended { step, grounds: Some(grounds), .. } => {
                destroying.insert(step, read_attachment(chain.store(), grounds)?);
            }
            Body::DestroyDone { step, kept, .. } => {
                let Some(grounds) = destroying.remove(step.as_str()) else { continue };
                let kept: Vec<Kept> =
                    kept.as_ref().map(|kept| read_attachment(chain.store(), kept)).transpose()?.unwrap_or_default();
                let kept: HashSet<String> = kept.iter().map(|kept| kept.subject.describe()).collect();
                let gone: Vec<&Ground> = grounds.iter().filter(|ground| !kept.contains(&subject(ground))).collect();
                past.destroyed(&gone, written);
            }
            _ => {}
        }
    }
    Ok(past)
}

impl Past {
    fn of(&mut self, table: &TableName) -> &mut TablePast {
        self.tables.entry(table.clone()).or_default()
    }

    fn archived(&mut self, open: &Open, written: &Written) {
        for outcome in &open.objects {
            let table = self.of(&outcome.table);
            table.counts.add(&outcome.counts);
            if outcome.duplicate_of.is_none() && outcome.last_day.is_none() {
                table.raw_bytes += outcome.size.saturating_sub(outcome.from);
            }
        }
        for prepared in open.tables.iter().filter(|prepared| prepared.digest.rows > 0) {
            let table = self.of(&prepared.table);
            table.segment_bytes += prepared.bytes;
            Done::by(&mut table.archived, written, prepared.digest.rows, prepared.bytes);
        }
    }

    fn destroyed(&mut self, gone: &[&Ground], written: &Written) {
        let mut sums: BTreeMap<&TableName, (u64, u64)> = BTreeMap::new();
        for ground in gone {
            let lost = self.of(&ground.table).lost.entry((ground.keeping, ground.day)).or_default();
            lost.files += 1;
            lost.rows += ground.digest.rows;
            lost.bytes += ground.bytes;
            let sum = sums.entry(&ground.table).or_default();
            *sum = (sum.0 + ground.digest.rows, sum.1 + ground.bytes);
        }
        for (table, (rows, bytes)) in sums {
            Done::by(&mut self.of(table).destroyed, written, rows, bytes);
        }
    }
}

impl Done {
    /// Takes over something newer. What one run did in several steps is one thing.
    fn by(newest: &mut Option<Done>, written: &Written, rows: u64, bytes: u64) {
        let entry = &written.entry;
        let before = newest.take().filter(|before| before.run == entry.run);
        let (earlier_rows, earlier_bytes) = before.map_or((0, 0), |before| (before.rows, before.bytes));
        *newest = Some(Done {
            run: entry.run.clone(),
            at: entry.at,
            entry: entry.seq,
            rows: earlier_rows + rows,
            bytes: earlier_bytes + bytes,
        });
    }
}

/// The subject of a ground, as [`crate::ledger::Subject::describe`] calls it.
fn subject(ground: &Ground) -> String {
    match ground.keeping {
        Keeping::Archive => format!("segment {}", segment_location(&ground.table, &ground.path)),
        Keeping::Raw => format!("raw object {}", ground.path),
        Keeping::Quarantine => format!("quarantine {}", ground.path),
    }
}
