//! Deciding, without a store and without a clock (I5): what is due, and why everything else is kept.
//!
//! `inputs` is what deciding is made from; `decide` judges raw objects, `judge` records, `expiry` all that is kept,
//! `consent` is the circuit breaker, `arrival` says which records come too late.

mod arrival;
mod consent;
mod decide;
mod document;
mod expiry;
mod inputs;
mod judge;
mod merge;

pub use arrival::expired_before;
pub use consent::{Answer, Due, consent, ends};
pub use decide::{Archiving, Clearing, Known, Plan, Planned, Reason, Verdict, clearings, decide};
pub use document::{Act, ObjectVerdict, PLAN_VERSION, PlanDocument};
pub use expiry::{DayVerdict, Expiry, Fate, Item, expiry};
pub use inputs::{Allowance, Because, Blocker, Consent, Consents, Inputs, Only, Shut, Terms};
pub use judge::{Intake, Judge, Judged};
pub use merge::{FEWEST_SEGMENTS, Merging, TARGET_BYTES, merges};
