//! Where collectors leave raw objects: from paths to tables, from bytes to lines.
//!
//! [`Layout`] reads a path, [`discover()`] lists a source, [`ObjectReader`] reads one object and hashes it, [`LineReader`]
//! makes lines of it, whatever its [`Form`]. Nothing here deletes, renames or writes into a source.

mod aside;
mod azure_diagnostics;
mod azure_export;
mod chunk;
mod cloudtrail;
mod content;
mod detect;
mod discover;
mod encoding;
mod form;
mod layout;
#[cfg(test)]
mod layout_tests;
mod local;
mod object;
mod places;
pub mod sample;
mod reopened;
mod security_lake;
mod template;
#[cfg(test)]
mod testing;

pub use aside::{aside_path, original_of_aside};
pub use chunk::{Chunk, ChunkReader, Taken, cut};
pub use content::{Line, LineReader};
pub use detect::{Detected, DetectedTable, detect, form_of, time_member};
pub use discover::{DiscoverOptions, Discovery, RawObject, Stranger, discover};
pub use encoding::{Encoding, first_unpacked, sniff, unpack_held};
pub use form::{FIRST_BYTES, Form, GoingOn, ReadAs, lines_held};
pub use layout::{Layout, Period, Seen, UNROUTED};
pub use object::{ObjectReader, ReadFailure, hash_prefix, read_whole};
pub use places::file_lines;
pub use reopened::reopened;
