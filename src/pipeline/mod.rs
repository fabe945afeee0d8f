//! Doing what was decided: archive, clear, recover. Each step is intent, effect, outcome (I6).
//!
//! [`run()`] takes the lease, settles what an earlier run left (`recover`), archives each planned batch
//! (`archive` → `batch` → `commit`), clears what may be cleared (`clear` → `destroy`) and merges small segments (`merge` →
//! `rewrite` → `commit`). A kill at any instant leaves an intent without an outcome, and the next run settles it.

pub mod read_back;
mod accounts;
mod ahead;
mod alone;
mod approve;
mod archive;
mod batch;
mod by_hand;
mod clear;
mod commit;
mod context;
mod deciding;
mod decode;
mod destroy;
mod expire;
mod index;
mod inventory;
mod limits;
mod measure;
mod membership;
pub mod peek;
mod planning;
mod merge;
mod read_object;
mod recover;
mod retry;
mod rewrite;
mod run;
mod trim;
mod witness;
mod write;
mod written;
#[cfg(test)]
mod intake_tests;
#[cfg(test)]
mod types_tests;
#[cfg(test)]
mod merge_tests;
#[cfg(test)]
mod testing;

pub use alone::decode_and_encode;
pub use approve::{Approved, approve};
pub use by_hand::{Adoption, adopt, reinstate_day};
pub use context::{Context, Event, Ids, Progress, Request, Source, StoreClock, TakeLease, Unwatched, Window};
pub use deciding::refused_by_locks;
pub use expire::Expiring;
pub use index::{compare_entry, each_footer};
pub use inventory::inventory;
pub use limits::Limits;
pub use merge::Merged;
pub use planning::{Looked, Planned, look, plan};
pub use read_object::{Inspected, inspect, lines};
pub use retry::{Retried, retry};
pub use run::{NotCleared, RunReport, TableReport, run};
pub use witness::check_witnesses;
