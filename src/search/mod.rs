//! SQL over the archive, and the one evaluator of predicates (DESIGN §6): the logical row.
//!
//! ```text
//! dialect, names, compare: the SQL that people type
//! names ──> query ──> table ─┬─> prune, index               which segments
//!             │              ├─> footers, Parquet           segments whose typed columns hold everything: filters pushed
//!             │              ├─> exec ─> logical ─┐          segments with values in _hf_rest
//!             │              └─> exec ─> raw ─────┴─> value  raw objects and quarantine
//!             ├─> unseen    what the answer lacks
//!             ├─> estimate  what it would cost
//!             └─> answer    rows, and what was seen (I13)
//! predicate   the same evaluator for `restore --where`
//! ```
//!
//! Nothing here writes, deletes, prints, or reads a clock.

mod answer;
mod compare;
mod dialect;
mod errors;
mod estimate;
mod exec;
mod footers;
mod headings;
mod index;
mod logical;
mod names;
mod opened;
mod predicate;
mod prune;
mod query;
mod raw;
mod table;
mod unseen;
mod value;

pub use answer::{Answer, Coverage, Cut, RawIncluded, TableAnswer};
pub use estimate::{Estimate, TableEstimate};
pub use opened::Opened;
pub use predicate::Predicate;
pub use prune::Range;
pub use query::{Query, SearchRequest, Site, tables_of};
pub use unseen::{Listed, Unseen, list, unseen};
