//! What several test binaries and the unit tests of `record` share: records made from nothing, and a judge of
//! their equality that knows none of Holdfast's code.

pub mod compare;
pub mod generate;
