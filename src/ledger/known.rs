//! What the state is made of: each a thing that entries told, as far as it still matters.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::{
    AttachmentRef, Counts, ObjectId, ObjectOutcome, PreparedTable, Purpose, QuarantineFile, SealedRef, TableDetail,
};
use super::expiry::ApprovedItem;
use super::subject::{ProofKind, Subject};
use super::tables::Gone;
use crate::names::TableName;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AcceptedPolicy {
    pub digest: String,
    pub files: AttachmentRef,
    pub seq: u64,
    /// The `now` of the first run that saw it.
    pub at: Timestamp,
}

/// A person's consent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub seq: u64,
    pub at: Timestamp,
    pub until: Timestamp,
    pub plan: String,
    pub by: SealedRef,
    pub items: Vec<ApprovedItem>,
}

/// How far the retirements of one table have come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Retirement {
    /// The last run that retired all that was due, be it nothing.
    pub settled_at: Option<Timestamp>,
    /// The rule (file and name) under which something was last retired, and when.
    pub under: Option<(String, Timestamp)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub seq: u64,
    pub at: Timestamp,
    pub run: String,
    pub purpose: Purpose,
    pub tables: Vec<TableName>,
    pub inputs: AttachmentRef,
    pub stage: Stage,
    pub gone: Gone,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Stage {
    Intended,
    Prepared(Box<Prepared>),
    Committed { at: Timestamp, rows: u64 },
    Abandoned { at: Timestamp },
}

/// A batch between `prepared` and `committed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    pub seq: u64,
    pub tables: Vec<(PreparedTable, TableDetail)>,
    pub objects: Vec<ObjectOutcome>,
    pub quarantine: Vec<QuarantineFile>,
    pub counts: Counts,
}

/// A raw object as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownObject {
    pub outcome: ObjectOutcome,
    /// The committed batches that read it, oldest first; each must still stand before it is cleared.
    pub batches: Vec<String>,
    /// What they made of its records, all together.
    pub counts: Counts,
    /// When the newest of them was committed: `keep_raw` counts from here.
    pub archived_at: Timestamp,
    pub cleared: bool,
}

/// The bytes of a whole raw object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownContent {
    pub object: ObjectId,
    /// The batches that read them.
    pub batches: Vec<String>,
    /// What became of their records.
    pub counts: Counts,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenDestroy {
    pub seq: u64,
    pub proof: ProofKind,
    pub subjects: Vec<Subject>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    pub batch: String,
    pub at: Timestamp,
    pub file: QuarantineFile,
    /// A later batch judged its records again: what still could not be judged stands there.
    pub retried: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub table: TableName,
    pub version: u64,
    pub sha256: String,
}
