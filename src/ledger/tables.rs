//! What the ledger knows of one table: our commits, live segments, and those that were retired and still exist.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::entry::{Purpose, Segment, TableDetail};
use super::expiry::Ground;
use super::known::Batch;
use crate::names::TableName;

/// A table that at least one batch committed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownTable {
    pub name: TableName,
    /// The Delta version of our newest commit.
    pub version: u64,
    /// Our commits: version → SHA-256 of the commit file. Trimmed ones too.
    pub commits: BTreeMap<u64, String>,
    /// The first version whose commit file was not trimmed.
    pub first_commit: u64,
    /// Segments were destroyed, and log files may still name them.
    pub untrimmed: bool,
    /// Live segments by path, with the batch that wrote them.
    pub segments: BTreeMap<String, (Segment, String)>,
    /// Segments that are no longer in the table, until they are destroyed.
    pub retired: BTreeMap<String, Retired>,
    /// Days that a person put back, with the ledger entry that says so: not retired again under a consent of before.
    pub reinstated: BTreeMap<Date, u64>,
}

/// A segment out of its table, whose bytes still exist.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retired {
    pub segment: Segment,
    /// The batch that wrote it.
    pub batch: String,
    pub at: Timestamp,
    pub why: Why,
}

/// Why a segment left its table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Why {
    /// Its rule's date had come.
    Expired(Box<Ground>),
    /// A merge wrote its rows anew.
    Superseded { by: String },
    /// An erasure wrote it anew without some rows.
    Erased { by: String },
    /// Somebody else removed it, and that was adopted.
    Foreign,
}

/// Rows of a batch that are no longer in segments of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gone {
    /// Destroyed because they expired.
    pub expired: u64,
    /// Written anew by later batches: batch → rows.
    pub rewritten: BTreeMap<String, u64>,
}

impl KnownTable {
    /// A table that nothing was committed to yet.
    pub fn new(name: TableName) -> Self {
        KnownTable {
            name,
            version: 0,
            commits: BTreeMap::new(),
            first_commit: 0,
            untrimmed: false,
            segments: BTreeMap::new(),
            retired: BTreeMap::new(),
            reinstated: BTreeMap::new(),
        }
    }

    /// Takes over what a committed batch did to the table. `grounds` says why its removes expired.
    pub(super) fn committed(
        &mut self,
        detail: &TableDetail,
        purpose: &Purpose,
        grounds: &[Ground],
        batch: &str,
        batches: &mut BTreeMap<String, Batch>,
        at: Timestamp,
    ) {
        for path in &detail.removes {
            let Some((segment, writer)) = self.segments.remove(path) else { continue };
            let why = match purpose {
                Purpose::Merge => Why::Superseded { by: batch.to_owned() },
                Purpose::Erase { .. } => Why::Erased { by: batch.to_owned() },
                _ => match grounds.iter().find(|ground| ground.path == *path) {
                    Some(ground) => Why::Expired(Box::new(ground.clone())),
                    None => Why::Foreign,
                },
            };
            if let (Why::Superseded { by } | Why::Erased { by }, Some(writer)) = (&why, batches.get_mut(&writer)) {
                *writer.gone.rewritten.entry(by.clone()).or_default() += segment.digest.rows;
            }
            self.reinstated.remove(&segment.day);
            self.retired.insert(path.clone(), Retired { segment, batch: writer, at, why });
        }
        for add in &detail.adds {
            // What is put back is still its first writer's.
            let writer = self.retired.remove(&add.path).map_or_else(|| batch.to_owned(), |retired| retired.batch);
            self.segments.insert(add.path.clone(), (add.clone(), writer));
            if matches!(purpose, Purpose::Reinstate { by_hand: true }) {
                self.reinstated.insert(add.day, batches.get(batch).map_or(u64::MAX, |batch| batch.seq));
            }
        }
    }

    /// A segment's path in the archive, made relative to the table's folder, as the table itself names it.
    pub fn relative<'a>(&self, path: &'a str) -> Option<&'a str> {
        let path = path.strip_prefix("tables/")?.strip_prefix(self.name.workspace.as_str())?;
        path.strip_prefix('/')?.strip_prefix(self.name.table.as_str())?.strip_prefix('/')
    }

    /// The bytes of the segment at `path` in the archive are gone.
    pub(super) fn destroyed(&mut self, path: &str, batches: &mut BTreeMap<String, Batch>) {
        self.untrimmed = true;
        let Some(retired) = self.relative(path).and_then(|path| self.retired.remove(path)) else { return };
        if let (Why::Expired(_) | Why::Foreign, Some(writer)) = (&retired.why, batches.get_mut(&retired.batch)) {
            writer.gone.expired += retired.segment.digest.rows;
        }
    }

    /// A file of the Delta log is gone.
    pub(super) fn trimmed(&mut self, version: u64) {
        self.first_commit = self.first_commit.max(version + 1);
    }
}

/// The version that a file of a Delta log belongs to: a commit's or a checkpoint's.
pub fn log_version(path: &str) -> Option<u64> {
    let name = path.rsplit('/').next()?;
    let (number, kind) = name.split_at_checked(20)?;
    let known = kind == ".json" || kind.starts_with(".checkpoint.");
    number.parse().ok().filter(|_| known)
}
