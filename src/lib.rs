//! Holdfast keeps logs as long as policy says and can prove it.
//!
//! ```text
//! policies ─┐
//! sources ──┼─> inventory ─> plan ─> pipeline ─> ledger ─> restore · verify · why · status · report
//! ledger ───┘                pure
//!                                    archive: decode → judge → sort → encode → upload → read back → prepare → commit → clear
//!                                    expire:  retire → (delay) → destroy → trim
//! ```
//!
//! The modules below stand in dependency order: each uses only those above it (`tests/stories/house.rs`
//! reads the `use` lines and checks). `docs/ARCHITECTURE.md` draws the house; `docs/GLOSSARY.md` fixes the words.

pub mod error;
pub mod clock;
pub mod names;
pub mod settings;
pub mod storage;
pub mod policy;
pub mod record;
pub mod source;
pub mod ledger;
pub mod access;
pub mod gate;
pub mod archive;
pub mod plan;
pub mod pipeline;
pub mod search;
pub mod restore;
pub mod verify;
pub mod schedule;
pub mod explain;
pub mod report;
pub mod cli;

pub use error::{Error, Kind, Result};
