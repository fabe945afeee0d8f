//! Explaining: what there is, which rule decides, when what happens, what stands in the way, and what was destroyed.
//!
//! `day` and `object` answer `why`, `certificate` proves a destruction, `status` says how it all stands. They put facts
//! together and decide nothing: verdicts come from [`crate::pipeline::look`], which is the plan of a run, and what happened
//! comes from the ledger (`entries`; `trail` of one table, `past` of all). Nothing here prints, writes, or takes the lease.

mod certificate;
mod day;
mod entries;
mod evidence;
mod findings;
mod object;
mod obstacle;
mod origins;
mod past;
mod status;
mod trail;

pub use certificate::{Certificate, DestroyedFile, FileOutcome, LeftOver, OnArrival, RetiredBy, Step, certificate};
pub use day::{DayExplained, DayFile, Gone, Waiting, explain_day, known_tables, unknown_table};
pub use entries::EntryRef;
pub use evidence::{Approval, PolicyEvidence};
pub use findings::Finding;
pub use object::{Listed, ObjectExplained, Read, ReadBy, explain_object, find_object, table_of};
pub use obstacle::{Fires, Latest, Obstacle, RuleFacts};
pub use origins::RawOrigin;
pub use past::{Done, Lost, Past, TablePast, past};
pub use status::{
    Amount, Backlog, Begun, Ended, GivenApproval, Grace, HeldBy, Overdue, Runs, Status, Terms, Unfinished,
    WaitingApproval, status,
};
pub use trail::Annals;
