//! One JSON record, losslessly (I9): its tokens, texts, numbers and timestamps, and its digest.
//!
//! Nothing here knows of stores, tables or Arrow. A value may leave its token for a typed column only through
//! [`number`] and [`time`], which say yes only if printing gives the very token back; whatever they refuse stays raw.
//! [`reread`] is the read-back's own parser and digest: it shares no function with the rest, so that a fault in
//! one shows in the other.

mod stack;
mod calendar;
pub mod tail;
mod vector;
pub mod short;
pub mod text;
pub mod learned;
pub mod token;
pub mod number;
pub mod time;
pub mod digest;
pub mod field;
pub mod reread;

pub use digest::{SetDigest, record_digest};
pub use learned::LearnedKeys;
pub use token::{Malformed, Member, ValueKind, members, members_learned};

#[cfg(test)]
#[path = "../../tests/support/mod.rs"]
pub mod support;

/// What the fuzzer holds against it, and `cargo test` with its corpus.
#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/checks.rs"]
pub mod checks;
