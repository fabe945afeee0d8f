//! Doing what was decided: archive, clear, recover. Each step is intent, effect, outcome (I6).
//!
//! [`run()`] takes the lease, settles what an earlier run left (`recover`), archives each planned batch
//! (`archive` → `batch` → `commit`) and clears what may be cleared (`clear` → `destroy`). A kill at any instant
//! leaves an intent without an outcome, and the next run settles it.

pub mod read_back;
mod accounts;
mod archive;
mod batch;
mod clear;
mod commit;
mod context;
mod deciding;
mod destroy;
mod expire;
mod limits;
mod measure;
mod membership;
mod read_object;
mod recover;
mod retry;
mod run;
mod trim;
mod witness;

pub use context::{Context, Event, Ids, Progress, Request, Source, StoreClock, TakeLease, Unwatched, Window};
pub use expire::Expiring;
pub use limits::Limits;
pub use retry::{Retried, retry};
pub use run::{NotCleared, RunReport, TableReport, run};
pub use witness::check_witnesses;
