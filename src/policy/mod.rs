//! Policy: what is kept, how long, as admins write it in `policies/*.toml`.
//!
//! `document` is a file as written, `rule` what it means for a table, `select` who governs a table, `set` all files as
//! one, `folder` where they lie, `change` what an edit does, `lock` what it must not, `history` what earlier rules still protect, `inventory` what
//! there is for rules to act on, `diff` what an edit does to it, `storage_class` where segments go, `span` the calendar, `notation` how spans are written, `describe` the rules for people, `azure` another
//! system's words for them.
//! All of it is pure but [`PolicySet::read_folder`]. Policy is evaluated live and never stored in the archive's data;
//! what cannot be understood is a mistake (never a default), and a table without a rule is kept and reported (I7).

pub mod azure;
mod change;
mod describe;
mod diff;
mod document;
mod folder;
mod history;
mod inventory;
mod lock;
mod notation;
mod rule;
mod select;
mod set;
mod span;
mod storage_class;

pub use crate::settings::diagnose::{Mistake, Problem, Warning, render_all};
pub use change::{Change, change};
pub use describe::{Described, Description, describe};
pub use diff::{
    DIFF_VERSION, Dates, Diff, Effect, EffectKind, Grace, KeyChange, RuleChange, TableChange, Totals, compare,
};
pub use document::{ClockSource, schema};
pub use folder::PolicyError;
pub use history::{History, Shortening, Term, day_of};
pub use inventory::{Held, INVENTORY_VERSION, Inventory, InventoryDay, InventoryTable};
pub use lock::{BrokenLock, Refusal, broken_locks};
pub use rule::{Origin, Rule};
pub use select::Pattern;
pub use set::{PolicyFile, PolicySet};
pub use span::Span;
pub use storage_class::StorageClass;
