//! What stands in the ledger: one JSON file an entry, chained by SHA-256.
//!
//! The bodies are frozen (docs/FORMAT.md). They have a place for what later versions do: batches over several tables,
//! parts, merges and erasures (`Purpose`, `removes`), holds, sealed texts. A reader that meets a kind it does not know
//! refuses the ledger rather than guess.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::subject::ProofKind;
use crate::names::TableName;
use crate::record::SetDigest;

/// The ledger's format: raised when a reader of the old one would misread the new one.
pub const FORMAT: u32 = 1;

/// One entry as it stands on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u64,
    /// The command's `now`.
    pub at: Timestamp,
    /// The run that wrote it.
    pub run: String,
    /// Makes the bytes of two runners' entries differ.
    pub nonce: String,
    /// SHA-256 of the previous entry's bytes, hex; 64 zeros for entry 0.
    pub prev: String,
    #[serde(flatten)]
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// Entry 0.
    Created {
        archive: String,
        format: u32,
        simulation: bool,
    },
    /// A run began: any run before it is over, whatever it still believes.
    RunStarted {
        version: String,
        host: String,
        process: u32,
        armed: Armed,
    },
    RunEnded {
        exit: u8,
        batches: u64,
        rows: u64,
        cleared: u64,
        /// It was stopped early or asked for certain tables: for a schedule it does not count.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    },
    /// The policy that rules from here on.
    PolicyAccepted {
        digest: String,
        files: AttachmentRef,
    },
    /// A batch is about to be read. `inputs` lists [`BatchInput`]s.
    BatchIntended {
        batch: String,
        purpose: Purpose,
        tables: Vec<TableName>,
        inputs: AttachmentRef,
    },
    /// All of a batch is uploaded, read back and matched. `objects` lists [`ObjectOutcome`]s.
    BatchPrepared {
        batch: String,
        tables: Vec<PreparedTable>,
        objects: AttachmentRef,
        quarantine: Vec<QuarantineFile>,
        counts: Counts,
    },
    BatchCommitted {
        batch: String,
        tables: Vec<CommittedTable>,
    },
    BatchAbandoned {
        batch: String,
        reason: String,
    },
    /// Valid only at exactly the sequence after the state its gate read. `subjects` lists [`Subject`](super::Subject)s.
    ///
    /// `grounds` lists a [`Ground`](super::Ground) for each subject that is destroyed because it expired.
    DestroyIntended {
        step: String,
        proof: ProofKind,
        subjects: AttachmentRef,
        bytes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grounds: Option<AttachmentRef>,
    },
    /// `kept` lists the [`Kept`](super::Kept) subjects that the last look or the gate saved.
    DestroyDone {
        step: String,
        destroyed: u64,
        missing: u64,
        kept: Option<AttachmentRef>,
    },
    /// A Delta checkpoint was written: its bytes are part of the evidence.
    CheckpointWritten {
        table: TableName,
        version: u64,
        sha256: String,
    },
    /// A run looked at everything that expired in these tables and retired all that was due: [`Settled`](super::Settled)s.
    ExpirySettled {
        tables: AttachmentRef,
    },
    /// A person consents to the retirement of what `items` lists ([`ApprovedItem`](super::ApprovedItem)s), until then.
    Approved {
        /// SHA-256 of the plan file, hex.
        plan: String,
        items: AttachmentRef,
        until: Timestamp,
        /// Sealed: a name.
        by: SealedRef,
        reason: SealedRef,
    },
    /// What others committed to a table was looked at and taken over. `detail` is one [`TableDetail`].
    Adopted {
        table: TableName,
        commits: Vec<CommittedTable>,
        detail: AttachmentRef,
        reason: SealedRef,
    },
    HoldPlaced {
        hold: String,
        scope: HoldScope,
        text: SealedRef,
    },
    HoldReleased {
        hold: String,
        text: SealedRef,
    },
    /// What all entries before this one say together has this digest, written as `version` of the saved state says.
    StateSaved {
        version: u32,
        sha256: String,
    },
}

impl Body {
    /// The `kind` as it stands in the file.
    pub fn kind(&self) -> &'static str {
        match self {
            Body::Created { .. } => "created",
            Body::RunStarted { .. } => "run_started",
            Body::RunEnded { .. } => "run_ended",
            Body::PolicyAccepted { .. } => "policy_accepted",
            Body::BatchIntended { .. } => "batch_intended",
            Body::BatchPrepared { .. } => "batch_prepared",
            Body::BatchCommitted { .. } => "batch_committed",
            Body::BatchAbandoned { .. } => "batch_abandoned",
            Body::DestroyIntended { .. } => "destroy_intended",
            Body::DestroyDone { .. } => "destroy_done",
            Body::CheckpointWritten { .. } => "checkpoint_written",
            Body::ExpirySettled { .. } => "expiry_settled",
            Body::Approved { .. } => "approved",
            Body::Adopted { .. } => "adopted",
            Body::HoldPlaced { .. } => "hold_placed",
            Body::HoldReleased { .. } => "hold_released",
            Body::StateSaved { .. } => "state_saved",
        }
    }

    /// Holds, approvals and policies may come between a gate and its append without a lease.
    pub fn needs_no_lease(&self) -> bool {
        matches!(
            self,
            Body::HoldPlaced { .. } | Body::HoldReleased { .. } | Body::PolicyAccepted { .. } | Body::Approved { .. }
        )
    }

    /// The attachments that the entry names.
    pub fn attachments(&self) -> Vec<&AttachmentRef> {
        match self {
            Body::PolicyAccepted { files, .. } => vec![files],
            Body::BatchIntended { inputs, .. } => vec![inputs],
            Body::BatchPrepared { tables, objects, .. } => {
                tables.iter().map(|table| &table.detail).chain([objects]).collect()
            }
            Body::DestroyIntended { subjects, grounds, .. } => std::iter::once(subjects).chain(grounds).collect(),
            Body::ExpirySettled { tables } => vec![tables],
            Body::Approved { items, .. } => vec![items],
            Body::Adopted { detail, .. } => vec![detail],
            Body::DestroyDone { kept, .. } => kept.iter().collect(),
            _ => Vec::new(),
        }
    }
}

impl Body {
    /// Those of its attachments that the fold reads. Only a retirement's inputs say more than what was to be read, and
    /// `committed` looks at them.
    pub(super) fn folded(&self) -> Vec<&AttachmentRef> {
        match self {
            Body::BatchIntended { purpose: Purpose::Retire, .. } => self.attachments(),
            Body::PolicyAccepted { .. } | Body::BatchIntended { .. } => Vec::new(),
            _ => self.attachments(),
        }
    }

    /// The sealed texts that the entry names.
    pub fn sealed(&self) -> Vec<&SealedRef> {
        match self {
            Body::Approved { by, reason, .. } => vec![by, reason],
            Body::Adopted { reason, .. } => vec![reason],
            Body::HoldPlaced { scope, text, .. } => scope.predicate.iter().chain([text]).collect(),
            Body::HoldReleased { text, .. } => vec![text],
            _ => Vec::new(),
        }
    }
}

/// A list too long for an entry: `attachments/<sha256>`, JSON lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRef {
    pub sha256: String,
    /// Lines.
    pub count: u64,
}

/// A text that may hold personal data: `sealed/<sha256>` holds `{"salt":…,"text":…}` under a retention of its own;
/// destroying it leaves the chain whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedRef {
    pub sha256: String,
}

/// Which deletions the settings armed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    pub raw: bool,
    pub expired: bool,
}

/// Why a batch writes segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Purpose {
    /// Raw objects become segments.
    Archive,
    /// Quarantined records of earlier batches are judged again.
    Retry { batches: Vec<String> },
    /// Small segments become one (`removes` names them).
    Merge,
    /// Segments that have expired are taken out of the table; the inputs are [`Ground`](super::Ground)s.
    Retire,
    /// Retired segments are put back (`adds` names them); the inputs are [`Segment`]s.
    Reinstate {
        /// A person asked for it: what was put back is not retired again unasked.
        by_hand: bool,
    },
    /// A commit that changes nothing, so that the one before it, which names destroyed segments, can be trimmed.
    Trim,
    /// Segments are rewritten without some rows (`removes` names them).
    Erase { request: String },
}

/// A raw object that a batch reads, as it was listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchInput {
    pub source: String,
    pub path: String,
    pub table: TableName,
    pub size: u64,
    pub modified: Timestamp,
    pub etag: Option<String>,
    /// Bytes of the raw object that earlier batches already read, as far as its listing tells.
    pub from: u64,
}

/// What became of a raw object's bytes from `from` on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectOutcome {
    pub source: String,
    pub path: String,
    pub table: TableName,
    pub size: u64,
    pub modified: Timestamp,
    pub etag: Option<String>,
    pub from: u64,
    /// The object whose first `from` bytes earlier batches read: itself, or the name it was moved aside from.
    pub continues: Option<ObjectId>,
    /// Where reading goes on should the object grow: after its last whole line.
    pub resume: u64,
    /// SHA-256 of all `size` bytes, hex.
    pub sha256: String,
    pub counts: Counts,
    /// Another raw object of the table with the very same bytes was read before: nothing of this one was archived.
    pub duplicate_of: Option<ObjectId>,
    /// The object as a whole could not be read and lies in quarantine.
    pub unreadable: Option<String>,
    /// The object stays raw (`archive = false`): the day of the last of its records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_day: Option<Date>,
}

impl ObjectOutcome {
    pub fn id(&self) -> ObjectId {
        ObjectId { source: self.source.clone(), path: self.path.clone() }
    }
}

/// A raw object's name: its source and its path there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId {
    pub source: String,
    pub path: String,
}

impl std::fmt::Display for ObjectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.source, self.path)
    }
}

/// Every record's fate: `decoded = archived + quarantined + expired + duplicate + raw` (I1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub decoded: u64,
    pub archived: u64,
    pub quarantined: u64,
    pub expired: u64,
    pub duplicate: u64,
    /// Left in their raw object, as `archive = false` says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub raw: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    pub fn balances(&self) -> bool {
        self.decoded == self.archived + self.quarantined + self.expired + self.duplicate + self.raw
    }

    pub fn add(&mut self, other: &Counts) {
        self.decoded += other.decoded;
        self.archived += other.archived;
        self.quarantined += other.quarantined;
        self.expired += other.expired;
        self.duplicate += other.duplicate;
        self.raw += other.raw;
    }
}

/// One table's part of a prepared batch. `detail` is one [`TableDetail`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreparedTable {
    pub table: TableName,
    /// The Delta version the commit follows; none: the commit creates the table.
    pub base: Option<u64>,
    pub segments: u64,
    pub bytes: u64,
    pub digest: SetDigest,
    pub detail: AttachmentRef,
}

/// Everything needed to roll the Delta commit forward.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableDetail {
    /// The Delta schema (JSON) the commit sets; none: it stays as it is.
    pub schema: Option<String>,
    pub adds: Vec<Segment>,
    /// Paths of the segments that these replace.
    pub removes: Vec<String>,
}

/// One Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// Relative to the table's folder.
    pub path: String,
    pub day: Date,
    pub part: String,
    pub bytes: u64,
    pub sha256: String,
    pub digest: SetDigest,
    /// First and last time, microseconds since 1970 UTC; none where the table has no clock of its own, or a row no time.
    pub times: Option<(i64, i64)>,
    /// Columns of which some values stand in `_hf_rest`, in lower case; `*` alone: any may. None: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommittedTable {
    pub table: TableName,
    pub version: u64,
    /// SHA-256 of the Delta commit file's bytes, hex.
    pub sha256: String,
}

/// A batch's quarantined records of one table: their bytes as they were, one after the other, and a line of
/// [`crate::archive::QuarantineItem`] for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuarantineFile {
    pub table: TableName,
    pub data: String,
    pub data_sha256: String,
    pub index: String,
    pub index_sha256: String,
    pub records: u64,
    pub bytes: u64,
}

/// What a hold covers. Nothing given: everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HoldScope {
    pub tables: Vec<TableName>,
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub predicate: Option<SealedRef>,
}
