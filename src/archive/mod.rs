//! The archive: rows in, sorted and typed Parquet in Delta tables out, and back to records.
//!
//! ```text
//! catalogue ─┬─> schema ─> keys ─┬─> lane ─> rows ─> gather ─> layout ─┬─> segment      records to a segment
//! survey ────┘      │  arrivals ─┘           chunk, spread ────┘
//!                   │  column ───┘
//!                   ├────────────────────────────────────────────> pages ─> print        a segment to records
//!                   └────────────────────────────────────────────> cells ─> column_digest   a segment to its digest
//! chunk_bits ─> chunk_values ─> chunk_text ─> chunk_pages ─> chunk                 a column of a row group, encoded
//! rest_names   which columns have values outside their column
//! table        segments in a Delta table
//! index        filters and footers of a month's segments, for searches
//! quarantine   what cannot be judged, as it was
//! ```
//!
//! What a segment holds is fixed by [`schema`] (names, types) and by the rule that a value is stored typed only if
//! it prints back to the same token; whatever does not is kept as JSON text in `_hf_rest`, so that nothing is lost
//! (I9) and any Delta reader can read the rest (I10). Nothing here deletes or reads a clock.

pub mod catalogue;
pub mod survey;
pub mod schema;
mod column;
mod arrivals;
pub mod keys;
pub mod lane;
pub mod rows;
mod chunk_bits;
mod chunk_values;
mod chunk_text;
mod chunk_pages;
mod chunk;
mod gather;
mod spread;
mod layout;
mod rest_names;
pub mod segment;
mod pages;
pub mod print;
mod cells;
pub mod column_digest;
mod quarantine;
mod table;
pub mod index;
#[cfg(test)]
mod chunk_samples;
#[cfg(test)]
mod chunk_tests;
#[cfg(test)]
mod round_trip;

pub use quarantine::{QuarantineItem, QuarantineWriter, quarantine_folder, read_bytes, read_items};
pub use rest_names::ANY;
pub use schema::{DAY, PART};
pub use table::{Table, checkpoint_path, commit_path, segment_location, segment_path, table_path, witness_of};
