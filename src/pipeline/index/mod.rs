//! Keeping the needle index: after its commits, and before anything is destroyed, a run writes the index of each month
//! whose live segments are not those that its index was written for.
//!
//! ```text
//! segment ─> month ─> refresh      one segment's entry; one month's object; all months of all tables
//!              └────> footers      of many segments, for those who count
//! ```
//!
//! Best effort: without an index a search opens the segments themselves, so what fails here is a warning. But what a
//! standing index names is not destroyed: the gate looks. An index whose month has no segments left passes the gate too.

mod footers;
mod month;
mod refresh;
mod segment;

pub use footers::each_footer;
pub use refresh::{keep_up, refresh};
pub use segment::compare_entry;
