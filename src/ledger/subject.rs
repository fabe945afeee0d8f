//! What can be destroyed, under which kind of proof, and what was kept after all.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::names::TableName;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    ArchivedVerified,
    Expired,
    Superseded,
    NeverCommitted,
    Erased,
    DuplicateOf,
    ObsoleteLog,
}

impl ProofKind {
    /// The spelling of the file format.
    pub fn name(self) -> &'static str {
        match self {
            ProofKind::ArchivedVerified => "archived_verified",
            ProofKind::Expired => "expired",
            ProofKind::Superseded => "superseded",
            ProofKind::NeverCommitted => "never_committed",
            ProofKind::Erased => "erased",
            ProofKind::DuplicateOf => "duplicate_of",
            ProofKind::ObsoleteLog => "obsolete_log",
        }
    }
}

/// What can be destroyed. `path`s of segments, partials, quarantine, logs and indexes are relative to the archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Subject {
    /// A raw object as it was read.
    Raw {
        source: String,
        path: String,
        table: TableName,
        size: u64,
        sha256: String,
        batch: String,
    },
    /// A committed segment: expired, superseded by a merge, or rewritten by an erasure.
    Segment {
        table: TableName,
        path: String,
        day: Date,
        part: String,
        sha256: String,
    },
    Quarantine {
        table: TableName,
        path: String,
        batch: String,
    },
    /// An upload of a batch that was never committed: a segment or a quarantine file.
    Partial {
        path: String,
        batch: String,
    },
    DeltaLog {
        table: TableName,
        path: String,
    },
    /// The index of a month that has no segments any more.
    Index {
        table: TableName,
        path: String,
    },
    /// An attachment that no entry names.
    Attachment {
        sha256: String,
    },
}

impl Subject {
    /// The table it belongs to, where it belongs to one.
    pub fn table(&self) -> Option<&TableName> {
        match self {
            Subject::Raw { table, .. }
            | Subject::Segment { table, .. }
            | Subject::Quarantine { table, .. }
            | Subject::DeltaLog { table, .. }
            | Subject::Index { table, .. } => Some(table),
            Subject::Partial { .. } | Subject::Attachment { .. } => None,
        }
    }

    /// The subject, for people.
    pub fn describe(&self) -> String {
        match self {
            Subject::Raw { source, path, .. } => format!("raw object {source}:{path}"),
            Subject::Segment { path, .. } => format!("segment {path}"),
            Subject::Quarantine { path, .. } => format!("quarantine {path}"),
            Subject::Partial { path, .. } => format!("abandoned upload {path}"),
            Subject::DeltaLog { path, .. } => format!("Delta log file {path}"),
            Subject::Index { path, .. } => format!("index {path}"),
            Subject::Attachment { sha256 } => format!("attachment {sha256}"),
        }
    }
}

/// A subject of a destruction that was kept after all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub subject: Subject,
    pub reason: String,
}
