//! What stands in the access log: one JSON file an entry, chained by SHA-256 (docs/FORMAT.md).
//!
//! The bodies are frozen. A reader that meets a kind it does not know takes it for damage rather than guess.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::ledger::{Head, SealedRef};
use crate::names::TableName;

/// One entry as it stands on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub seq: u64,
    /// By the host's real clock, in a simulation too.
    pub at: Timestamp,
    /// Makes the bytes of two processes' entries differ.
    pub nonce: String,
    /// SHA-256 of the previous entry's bytes, hex; 64 zeros for entry 0.
    pub prev: String,
    /// What `head.json` had seen and this entry's writer did not find: entries before this one are gone or changed. It
    /// stands here because the next `head.json` overwrites that trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Head>,
    #[serde(flatten)]
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Body {
    /// Somebody is about to read.
    Asked {
        who: Who,
        what: What,
        /// Those that are known beforehand.
        tables: Vec<TableName>,
        /// What was asked, in the asker's words where there are any.
        text: SealedRef,
    },
    /// What came of it.
    Answered(Answer),
}

/// Who asked. Whoever is authenticated is another variant, and no entry has both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A name that the asker gave, or the operating system's login name: nobody proved it.
    Asserted(SealedRef),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Search,
    Restore,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The number of the `asked` entry, in the same chain.
    pub asked: u64,
    pub rows: u64,
    /// Of what was handed out.
    pub bytes: u64,
    pub outcome: Outcome,
    /// What the answer did not hold, in short and without any log content.
    pub unseen: Vec<String>,
}

/// Reasons are sealed, since they may quote what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Whole,
    CutShort(SealedRef),
    Failed(SealedRef),
}

impl What {
    /// As it stands in the file.
    pub fn name(self) -> &'static str {
        match self {
            What::Search => "search",
            What::Restore => "restore",
        }
    }
}

impl Who {
    pub fn sealed(&self) -> &SealedRef {
        match self {
            Who::Asserted(name) => name,
        }
    }
}

impl Outcome {
    /// As it stands in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Whole => "whole",
            Outcome::CutShort(_) => "cut_short",
            Outcome::Failed(_) => "failed",
        }
    }

    pub fn reason(&self) -> Option<&SealedRef> {
        match self {
            Outcome::Whole => None,
            Outcome::CutShort(reason) | Outcome::Failed(reason) => Some(reason),
        }
    }
}

impl Entry {
    /// The sealed texts that it names.
    pub fn sealed(&self) -> Vec<&SealedRef> {
        match &self.body {
            Body::Asked { who, text, .. } => vec![who.sealed(), text],
            Body::Answered(answer) => answer.outcome.reason().into_iter().collect(),
        }
    }

    /// Its bytes: one line of JSON.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|source| {
            Error::from_source(Kind::Internal, format!("writing access entry {}", self.seq), source)
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Reads one entry strictly: its number, its link where `prev` is known, and not one byte that writing it again would not
/// give. Errs with the reason.
pub fn parse_entry(seq: u64, prev: Option<&str>, bytes: &[u8]) -> Result<Entry, String> {
    let entry: Entry =
        serde_json::from_slice(bytes).map_err(|source| format!("it is not an entry this version knows: {source}"))?;
    if entry.seq != seq {
        return Err(format!("it says that it is entry {}", entry.seq));
    }
    if prev.is_some_and(|prev| entry.prev != prev) {
        return Err("its link does not match the entry before it: one of the two was changed".into());
    }
    match entry.bytes() {
        Ok(again) if again == bytes => Ok(entry),
        _ => Err("its bytes are not what writing it gives".into()),
    }
}
