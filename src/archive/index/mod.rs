//! The needle index: one object a table and month, so that a search need not open a segment to learn that nothing it
//! looks for is in it (DESIGN §6, `docs/FORMAT.md`).
//!
//! ```text
//! directory   what an index says: segments, their columns, where filters and footers stand
//! object      an index in a store: read in few requests, each byte checked before it counts
//! writer      an index, written from front to end
//! notes       which months were written for which segments, so that a run need not open them
//! ```
//!
//! Invariants: an index is made from segments and can be made again. It is never believed beyond what it says: what it
//! says of a segment counts only if path, size and SHA-256 are those of the ledger, and bytes count only if their
//! checksum is right; everything else makes a search slower, and never wrong (I7, I13). Nothing here deletes.

mod directory;
mod notes;
mod object;
mod writer;
#[cfg(test)]
mod tests;

pub use directory::{Blob, Directory, Entry, Filter, MAGIC, Physical};
pub use notes::{Note, Notes, fingerprint};
pub use object::{IndexObject, Unusable};
pub use writer::{IndexWriter, NewEntry};

use object_store::path::Path;

use super::table::{segment_location, table_path};
use crate::ledger::{INDEX_FOLDER, Month};
use crate::names::TableName;

/// The folder of a table's index objects.
pub fn index_folder(table: &TableName) -> Path {
    table_path(table).join(INDEX_FOLDER)
}

/// The place of a month's index.
pub fn index_location(table: &TableName, month: Month) -> Path {
    segment_location(table, &month.index_path())
}

/// The place of a table's notes.
pub fn notes_location(table: &TableName) -> Path {
    index_folder(table).join(notes::NAME)
}
