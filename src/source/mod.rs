//! Where collectors leave raw objects: from paths to tables, from bytes to lines.
//!
//! [`Layout`] reads a path, [`discover()`] lists a source, [`ObjectReader`] reads one object and hashes it, [`LineReader`]
//! makes lines of it. Nothing here deletes, renames or writes into a source.

mod aside;
mod azure_export;
mod chunk;
mod content;
mod discover;
mod encoding;
#[cfg_attr(not(test), expect(dead_code, reason = "each format is tested here before a source can name it"))]
mod form;
mod layout;
mod local;
mod object;
pub mod sample;
mod template;
#[cfg(test)]
mod testing;

pub use aside::{aside_path, original_of_aside};
pub use chunk::{Chunk, ChunkReader, Taken, cut};
pub use content::{Line, LineReader};
pub use discover::{DiscoverOptions, Discovery, RawObject, Stranger, discover};
pub use encoding::{Encoding, sniff, unpack_held, unsupported};
pub use layout::{Layout, Period, Seen};
pub use object::{ObjectReader, ReadFailure, hash_prefix, read_whole};
