//! Locked rules: what is kept may grow, never shrink. Runs refuse a policy by this, and `policy diff` says so beforehand.

use std::fmt;

use serde::Serialize;

use super::change::{Change, change};
use super::rule::{Origin, Rule};
use super::set::PolicySet;

/// Why a run refuses a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A locked rule gets shorter.
    LockedShortened,
    /// A locked rule is no longer locked, or not there any more.
    LockRemoved,
}

/// A locked rule that a policy breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenLock {
    /// As it was accepted.
    pub rule: Origin,
    pub why: Refusal,
    /// Whose rule it is: a table's, or the rule itself by its name.
    #[serde(skip)]
    pub what: String,
    /// What would stand in its place.
    #[serde(skip)]
    pub new: Option<Origin>,
}

impl BrokenLock {
    /// What putting `new` in the place of `old` breaks; none: `old` is not locked, or `new` is no less.
    pub fn of(what: impl fmt::Display, old: &Rule, new: Option<&Rule>) -> Option<Self> {
        let why = match new {
            _ if !old.locked => return None,
            _ if change(Some(old), new) == Change::Shorter => Refusal::LockedShortened,
            Some(new) if new.locked => return None,
            _ => Refusal::LockRemoved,
        };
        let (rule, new) = (old.origin.clone(), new.map(|new| new.origin.clone()));
        Some(BrokenLock { rule, why, what: what.to_string(), new })
    }
}

/// The locked rules of `old` that are shorter, unlocked or gone in `new`: each must stay by its own name, whatever tables
/// there are, since the next one may come tomorrow.
pub fn broken_locks(old: &PolicySet, new: &PolicySet) -> Vec<BrokenLock> {
    let rules = old.rules().filter_map(|(pattern, rule)| {
        let kept = new.rules().find(|(other, _)| other.means_the_same(pattern)).map(|(_, rule)| rule);
        BrokenLock::of(format!("the rule `{pattern}`"), rule, kept)
    });
    let defaults = old.defaults().and_then(|rule| BrokenLock::of("[defaults]", rule, new.defaults()));
    rules.chain(defaults).collect()
}

impl fmt::Display for BrokenLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was accepted as locked ({}): ", self.what, self.rule)?;
        match (&self.new, self.why) {
            (None, _) => f.write_str("it is gone"),
            (Some(new), Refusal::LockedShortened) => write!(f, "it would keep shorter ({new})"),
            (Some(new), Refusal::LockRemoved) => write!(f, "it would be unlocked ({new})"),
        }
    }
}
