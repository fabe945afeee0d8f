//! What deciding is made from, gathered: the policy with its history, what is armed and open, who consented.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::context::{Context, Request};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Chain, State, unseal};
use crate::plan::{Allowance, Consent, Consents, Inputs, Only, Shut, Terms};
use crate::policy::{BrokenLock, History, PolicyFile, PolicySet, broken_locks};
use crate::source::RawObject;

/// A batch ends when its raw objects reach so many bytes: it is what a kill can cost.
const BATCH_BYTES: u64 = 2 << 30;
/// A store's clock may be so far from the host's.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(5);

/// What stays the same while the state moves on.
#[derive(Debug)]
pub struct Deciding<'a> {
    pub objects: &'a [RawObject],
    pub terms: &'a Terms<'a>,
    pub allowance: Allowance,
    pub only: Only,
    pub now: Timestamp,
    /// Digest of the policy that governs.
    pub policy: String,
    /// Tables in which nothing may be done, by key, with the reason.
    pub stopped: BTreeMap<String, String>,
}

impl Deciding<'_> {
    /// The inputs of a decision about `state`.
    pub fn inputs<'b>(&'b self, state: &'b State, consents: &'b Consents) -> Inputs<'b> {
        Inputs {
            objects: self.objects,
            terms: self.terms,
            state,
            allowance: &self.allowance,
            consents,
            stopped: &self.stopped,
            now: self.now,
            only: &self.only,
            batch_bytes: BATCH_BYTES,
        }
    }
}

impl From<&Request> for Only {
    fn from(request: &Request) -> Self {
        Only { tables: request.tables.clone(), schedules: request.schedules.clone() }
    }
}

/// The approvals that are valid at `now`. One whose name was destroyed or damaged counts for nobody.
pub fn consents(chain: &Chain, needed: u8, now: Timestamp) -> Result<Consents> {
    let mut given = Vec::new();
    for approval in chain.state().approvals.iter().filter(|approval| approval.at <= now && now < approval.until) {
        let by = match unseal(chain.store(), &approval.by) {
            Ok(Some(by)) => by,
            Ok(None) => continue,
            Err(error) if error.kind() == Kind::Damaged => {
                tracing::warn!(%error, entry = approval.seq, "an approval counts for nobody: its name is damaged");
                continue;
            }
            Err(error) => return Err(error),
        };
        let items = approval.items.iter().cloned().collect();
        given.push(Consent { seq: approval.seq, at: approval.at, by, items });
    }
    Ok(Consents { given, needed })
}

/// Every policy the ledger accepted, and, where it differs, the one that governs `now`.
pub fn history(chain: &Chain, current: &PolicySet, now: Timestamp) -> Result<History> {
    let mut accepted = Vec::new();
    for policy in &chain.state().policies {
        let files: Vec<PolicyFile> = chain.attachment(&policy.files)?;
        let set = PolicySet::from_files(files).map_err(|_| {
            Error::new(
                Kind::Policy,
                format!("reading the policy accepted in ledger entry {}", policy.seq),
                "this version does not understand it",
            )
            .with_hint("what it protects cannot be told, so nothing is destroyed; use the Holdfast that accepted it")
        })?;
        accepted.push((policy.at, set));
    }
    if chain.state().policy().is_none_or(|last| last.digest != current.digest()) {
        accepted.push((now, current.clone()));
    }
    Ok(History::new(accepted))
}

/// The policy that governs, and why the folder's does not where it does not.
#[derive(Debug)]
pub struct Governing {
    pub set: PolicySet,
    pub refused: Option<Error>,
}

/// The folder's policy; or, should that be invalid or break a lock, the last one the ledger accepted.
pub fn governing(context: &Context, chain: &Chain) -> Result<Governing> {
    let accepted = match (last_accepted(chain), &context.policies) {
        (Ok(accepted), _) => accepted,
        // Whether it breaks a lock cannot be told: archiving goes on, and nothing is destroyed.
        (Err(error), Ok(set)) => return Ok(Governing { set: set.clone(), refused: Some(error) }),
        (Err(error), Err(_)) => return Err(error),
    };
    let reason = match &context.policies {
        Ok(set) => {
            let broken = accepted.as_ref().map_or_else(Vec::new, |last| broken(last, set, chain.state()));
            if broken.is_empty() {
                return Ok(Governing { set: set.clone(), refused: None });
            }
            broken.join("; ")
        }
        Err(invalid) => invalid.to_string(),
    };
    let failed =
        |hint: &str| Error::new(Kind::Decision, "reading the policies", reason.clone()).with_hint(hint.to_owned());
    match accepted {
        Some(set) => {
            let refused = failed(
                "nothing is destroyed, and archiving goes on under the last accepted policy; `holdfast check` shows every \
                 mistake",
            );
            Ok(Governing { set, refused: Some(refused) })
        }
        None => Err(failed("`holdfast check` shows every mistake")),
    }
}

/// What `set` would take away from rules that the ledger accepted as locked: a run refuses it.
pub fn refused_by_locks(chain: &Chain, set: &PolicySet) -> Result<Vec<String>> {
    Ok(last_accepted(chain)?.map_or_else(Vec::new, |accepted| broken(&accepted, set, chain.state())))
}

/// The policy that the ledger accepted last.
fn last_accepted(chain: &Chain) -> Result<Option<PolicySet>> {
    let Some(accepted) = chain.state().policy().cloned() else { return Ok(None) };
    let files: Vec<PolicyFile> = chain.attachment(&accepted.files)?;
    PolicySet::from_files(files).map(Some).map_err(|_| {
        Error::new(Kind::Internal, "reading the last accepted policy", "this version does not understand it")
    })
}

/// What may be destroyed at `now`: what is armed, unless the clock is in doubt or the window is shut.
pub fn allowance(context: &Context, last_at: Option<Timestamp>, now: Timestamp, host_now: Timestamp) -> Allowance {
    let armed = context.armed;
    let mut shut = None;
    if armed.raw || armed.expired {
        let doubt = clock_doubt(context, last_at, now, host_now);
        shut = doubt.map(|reason| Shut::Doubt { reason });
        if shut.is_none() {
            let opens = context.window.as_ref().and_then(|window| window(now));
            shut = opens.map(|opens| Shut::Window { opens: Some(opens) });
        }
    }
    Allowance { armed, shut }
}

/// Why the clock cannot be trusted with a deletion (DESIGN §7).
fn clock_doubt(context: &Context, last_at: Option<Timestamp>, now: Timestamp, host_now: Timestamp) -> Option<String> {
    if let Some(last) = last_at.filter(|last| now < *last) {
        return Some(format!(
            "now ({now}) is before the ledger's last entry ({last}): a clock went back, or once ran ahead"
        ));
    }
    if context.simulation {
        return None;
    }
    if now > host_now {
        return Some(format!("--as-of ({now}) lies after this host's clock ({host_now})"));
    }
    match (context.store_clock)() {
        Ok(Some(apart)) if apart.abs() > CLOCKS_APART => Some(format!(
            "the store's clock is {} s {} this host's: one of the two is wrong",
            apart.abs().as_secs(),
            if apart.is_negative() { "behind" } else { "ahead of" }
        )),
        Ok(_) => None,
        Err(error) => Some(format!("the store's clock could not be read: {error}")),
    }
}

/// What a policy would take away from rules that were locked when the ledger accepted them.
fn broken(accepted: &PolicySet, new: &PolicySet, state: &State) -> Vec<String> {
    if accepted.digest() == new.digest() {
        return Vec::new();
    }
    let known = state.tables.values().map(|known| &known.name);
    let tables: BTreeSet<_> = known.chain(state.objects.values().map(|known| &known.outcome.table)).collect();
    let of_tables = tables.into_iter().filter_map(|table| {
        let old = accepted.rule_for(table)?;
        BrokenLock::of(format!("the rule of {table}"), &old, new.rule_for(table).as_ref())
    });
    of_tables.chain(broken_locks(accepted, new)).map(|lock| lock.to_string()).collect()
}
