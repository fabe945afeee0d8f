//! Deciding, without a store and without a clock (I5): what is due, and why everything else is kept.

mod decide;
mod judge;
mod merge;

pub use decide::{Archiving, Clearing, Inputs, Known, Plan, Planned, Reason, Verdict, clearings, decide};
pub use judge::{Intake, Judge, Judged};
pub use merge::{FEWEST_SEGMENTS, Merging, TARGET_BYTES, merges};
