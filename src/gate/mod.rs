//! The one gate before every deletion of whatever kind (I3).
//!
//! What may be destroyed, and when:
//!
//! | subject | proof | holds that must be |
//! |---|---|---|
//! | raw object | `ArchivedVerified` | each batch that read it stands: committed, its segments in the Delta snapshot with their SHA-256, its quarantine files too; `keep_raw` has passed; `raw` is armed |
//! | raw object | `DuplicateOf` | the object with the same bytes was read by batches that stand; otherwise the same |
//! | upload | `NeverCommitted` | its batch is abandoned, no snapshot names it; anything is armed |
//! | attachment | `NeverCommitted` | no entry names it; anything is armed |
//! | segment | `Expired` | it was retired, its table does not show it, its bytes are those that were written, and its destroy date has come under its rule and under all that earlier rules still protect; `expired` is armed |
//! | quarantine | `Expired` | `quarantine_retain` has passed since it arrived; its bytes are those that were written; `expired` is armed |
//! | raw object | `Expired` | its table stays raw, and the destroy date of the last of its records has come; `expired` is armed |
//! | segment | `Superseded` | a merge that stands wrote its rows anew; its table does not show it; `expired` is armed |
//! | Delta log file | `ObsoleteLog` | a checkpoint that is as it was written says all that it says, and the table shows just what the ledger knows; `expired` is armed |
//! | index | `ObsoleteLog` | its month has no live segment; `expired` is armed |
//! | segment | `Erased` | no stage can prove this yet |
//!
//! No segment is destroyed while an index names it: its filters and the footer in it would tell of values that are gone.
//!
//! Under a hold nothing that it covers is destroyed. Unsure, unreadable or unknown: no (I7).

mod eraser;
mod expired;
mod proof;

pub use eraser::{Erased, Eraser};
pub use expired::{Expired, ObsoleteLog, Superseded};
pub use proof::{ArchivedVerified, DuplicateOf, Erased as ErasedProof, Measured, NeverCommitted, Proof, carries};

use crate::ledger::{Armed, HoldScope, State, Subject};

/// Leave to destroy one subject, given for the state at one sequence.
#[derive(Debug)]
pub struct Permit {
    subject: Subject,
    at_seq: u64,
}

impl Permit {
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// Why something must not be destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    pub reason: String,
}

impl Blocked {
    pub fn because(reason: impl Into<String>) -> Self {
        Blocked { reason: reason.into() }
    }
}

/// The gate: `subject` may be destroyed because of `proof`, as far as `state` knows.
pub fn can_destroy(subject: Subject, proof: &Proof, state: &State, armed: Armed) -> Result<Permit, Blocked> {
    let Some(head) = state.head() else { return Err(Blocked::because("the ledger is empty")) };
    match proof {
        Proof::ArchivedVerified(_) | Proof::DuplicateOf(_) if !armed.raw => {
            return Err(Blocked::because("clearing raw objects is not armed ([delete] raw)"));
        }
        Proof::NeverCommitted(_) if !armed.raw && !armed.expired => {
            return Err(Blocked::because("nothing is armed ([delete])"));
        }
        Proof::Expired(_) | Proof::Superseded(_) | Proof::Erased(_) | Proof::ObsoleteLog(_) if !armed.expired => {
            return Err(Blocked::because("destroying what has expired is not armed ([delete] expired)"));
        }
        _ => {}
    }
    if !proof.is_about(&subject) {
        return Err(Blocked::because(format!("the proof is not about {}", subject.describe())));
    }
    if proof.at_seq() != head.seq {
        return Err(Blocked::because("the ledger has moved on since the proof was made"));
    }
    if let Some(hold) = hold_on(&subject, state) {
        return Err(Blocked::because(format!("hold {hold} covers it")));
    }
    Ok(Permit { subject, at_seq: head.seq })
}

/// A hold that covers the subject.
pub fn hold_on<'a>(subject: &Subject, state: &'a State) -> Option<&'a str> {
    state.holds.iter().find(|(_, scope)| covers(scope, subject)).map(|(hold, _)| hold.as_str())
}

fn covers(scope: &HoldScope, subject: &Subject) -> bool {
    match subject {
        Subject::Segment { table, day, .. } => scope.covers(table, Some(*day)),
        Subject::Raw { table, .. } | Subject::Quarantine { table, .. } => scope.covers(table, None),
        // Copies of what was never committed, logs and lists: a hold protects records, not these.
        Subject::Partial { .. } | Subject::DeltaLog { .. } | Subject::Index { .. } | Subject::Attachment { .. } => {
            false
        }
    }
}
