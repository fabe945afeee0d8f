//! The very files of `src/record`, with [`record::checks`]: what must hold of any bytes.

#[path = "../../src/record/mod.rs"]
pub mod record;
