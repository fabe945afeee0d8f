//! Where collectors leave raw objects: from paths to tables, from bytes to lines.
//!
//! [`Layout`] reads a path, [`discover`] lists a source, [`ObjectReader`] reads one object and hashes it, [`LineReader`]
//! makes lines of it. Nothing here deletes, renames or writes into a source.

mod azure_export;
mod content;
mod discover;
mod layout;
mod local;
mod object;
pub mod sample;
mod template;
#[cfg(test)]
mod testing;

pub use content::{Encoding, Line, LineReader, sniff};
pub use discover::{DiscoverOptions, Discovery, RawObject, Stranger, aside_path, discover, original_of_aside};
pub use layout::{Layout, Period, Seen};
pub use object::{ObjectReader, ReadFailure, hash_prefix};
