//! What a verification comes to: counts of what is right, findings of what is not.

use serde::Serialize;

use crate::access::CheckedChain;
use crate::error::Kind;
use crate::ledger::Head;

/// What `verify` found.
#[derive(Debug, Default, Serialize)]
pub struct Verification {
    pub entries: u64,
    pub attachments: u64,
    pub commits: u64,
    pub segments: u64,
    pub rows: u64,
    pub bytes: u64,
    pub quarantined: u64,
    /// Segments out of their table that could be put back.
    pub retired: u64,
    pub raw_objects: u64,
    /// The chains of the access log.
    pub access: Vec<CheckedChain>,
    /// The newest entry that something outside the chain has seen.
    pub witnessed: Option<u64>,
    pub witness: Option<String>,
    /// What is not what was written.
    pub damage: Vec<Finding>,
    /// Commits in our tables that are not ours: nothing is destroyed there until they are adopted.
    pub foreign: Vec<Finding>,
    /// What is no damage, but worth knowing.
    pub notes: Vec<Finding>,
}

/// One thing that is not as it should be: what, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub what: String,
    pub why: String,
    pub meaning: String,
}

impl Verification {
    pub fn exit_code(&self) -> u8 {
        match (self.damage.is_empty(), self.foreign.is_empty()) {
            (false, _) => Kind::Damaged.exit_code(),
            (true, false) => Kind::Decision.exit_code(),
            (true, true) => 0,
        }
    }

    pub(super) fn damaged(&mut self, what: impl Into<String>, why: impl Into<String>, meaning: impl Into<String>) {
        self.damage.push(Finding { what: what.into(), why: why.into(), meaning: meaning.into() });
    }

    pub(super) fn witness(&mut self, head: &Head, whose: &str) {
        if self.witnessed.is_none_or(|seq| head.seq > seq) {
            self.witnessed = Some(head.seq);
            self.witness = Some(whose.to_owned());
        }
    }
}
