//! The access log: who asked the archive what, when, and what came of it (DESIGN §7).
//!
//! It stands in the archive below `access/<writer>/`, one hash chain for each writer, so that auditors need no right to the
//! runner's ledger. A writer is one user on one host; its processes share the chain. `asked` is written before anything is
//! read, `answered` after; an `asked` alone means that nobody knows what came of it. Names and texts are sealed: they can
//! be destroyed, and the chain stays whole. Times are the real clock's. Nothing here deletes, and nothing here knows what
//! a search or a restore is.

mod chain;
mod check;
mod entry;
mod log;
mod read;

pub use chain::{access_folder, writer_name, writers};
pub use check::{Checked, CheckedChain, Flaw, check};
pub use entry::{Answer, Body, Entry, Outcome, What, Who, parse_entry};
pub use log::{Asked, Ended, EntryName, Log, Question};
pub use read::{Access, Answered, Listing, Text, list, show};
