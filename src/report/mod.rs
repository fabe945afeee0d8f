//! What we hold, for those who do not read ledgers: every table at a glance, its columns, and the report.
//!
//! Facts only, put together by pure code from the plan of a run, the ledger's entries, and a little of the segments
//! (footers; the times of the newest days). What needs doing is judged elsewhere, in [`crate::explain`]; what could not be
//! seen is said (I13). Nothing here prints, writes, or decides.

mod columns;
mod facts;
mod gaps;
mod gather;
mod overview;
mod read;
mod strata;

pub use columns::{ColumnFacts, Columns, RestFacts};
pub use facts::{
    Due, HourGaps, HourRange, NotSeen, QuarantineFacts, REPORT_VERSION, RawFacts, Report, ReportedTable, Totals,
};
pub use gaps::{DayRange, HoursSeen, missing_days};
pub use gather::{Gathered, gather, unseen};
pub use overview::{Overview, OverviewTable, overview};
pub use read::{newest_hours, read_columns};
pub use strata::{Layer, Strata, Stratum, Volume, strata};
