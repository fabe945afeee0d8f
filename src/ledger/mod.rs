//! The ledger: an append-only, hash-chained record of intents and outcomes; write-ahead log and audit trail (I6).

mod chain;
mod entry;
mod expiry;
mod fetch;
mod hold;
mod known;
mod lease;
mod remote_lease;
mod month;
mod saved;
mod sealed;
mod state;
mod store_clock;
mod subject;
mod tables;

pub use chain::{
    Append, Chain, Head, NonceSource, ZEROS, attachment_path, damaged, entry_path, fenced, list_entries, parse_entry,
    read_attachment, read_head, sha256_hex,
};
pub use entry::{
    Armed, AttachmentRef, BatchInput, Body, CommittedTable, Counts, Entry, FORMAT, HoldScope, ObjectId, ObjectOutcome,
    PreparedTable, Purpose, QuarantineFile, SealedRef, Segment, TableDetail,
};
pub use expiry::{ApprovedItem, Ground, Keeping, Settled};
pub use known::{
    AcceptedPolicy, Approval, Batch, Checkpoint, KnownContent, KnownObject, OpenDestroy, Prepared, Quarantined,
    Retirement, Stage,
};
pub use lease::{Lease, LocalLease, holder};
pub use month::{INDEX_FOLDER, Month};
pub use remote_lease::{StoreLease, Term};
pub use saved::{Flaw, SAVE_AFTER, check_saved};
pub use sealed::{seal_in, unseal, unseal_in};
pub use state::State;
pub use store_clock::clock_apart;
pub use subject::{Kept, ProofKind, Subject};
pub use tables::{Gone, KnownTable, Retired, Why, log_version};
