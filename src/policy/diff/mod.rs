//! What an edit of the policy does to an archive: for reviewers, who have its inventory and not the archive itself.
//!
//! Pure: two policies, an inventory and `now` in, a [`Diff`] out. The dates are those a run would go by, had OLD governed
//! so far and were NEW accepted at `now`: a [`History`](super::History) of the two, with its grace. `keys` compares two
//! rules key by key, `effect` what becomes of the days of a table, `compare` puts it together, loudest first. It decides
//! nothing: neither what is accepted nor what is due.

mod compare;
mod effect;
mod keys;

pub use compare::{DIFF_VERSION, Diff, Grace, RuleChange, TableChange, Totals, compare};
pub use effect::{Dates, Effect, EffectKind};
pub use keys::KeyChange;
