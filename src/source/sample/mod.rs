//! Sample logs that look like real ones, for the demo and for benchmarks: the same seed, the same bytes.
//!
//! Names of columns are those of the Log Analytics catalogue; people, machines and addresses are invented (example
//! domains, documentation networks). Nothing here reads a clock or a random source.

mod company;
mod demo;
mod json;
mod others;
mod random;
mod security;

pub use demo::{SampleOptions, SampleSummary, TableSummary, write_demo};
pub use security::security_events;
