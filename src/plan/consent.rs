//! The circuit breaker: which retirements go on their own, and which need a person's consent. Pure.
//!
//! Free are the days that expired since the table's last completed retiring run, plus one. Beyond that and over a fifth
//! of the table's live bytes, at the first retirement in a table under a rule, after a shortening, and for what a person
//! put back, consent is needed; then the whole table waits. The steady nightly case never asks; a typo always does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::expiry::Item;
use super::inputs::{Because, Blocker, Consents};
use crate::ledger::{Keeping, Retirement};
use crate::policy::{Rule, Shortening, Term, day_of};

/// A run that comes later than this after the last one frees no more days: so long may a machine be off, and no further
/// may a clock that jumped ahead reach.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(35 * 24);

/// What the breaker looks at: what is due in one table, and what was retired there before.
#[derive(Debug)]
pub struct Due<'a> {
    pub keeping: Keeping,
    pub term: &'a Term,
    pub items: &'a [&'a Item],
    /// Bytes of all that is live, the due ones among them.
    pub live_bytes: u64,
    pub retirement: Option<&'a Retirement>,
    pub reinstated: &'a BTreeMap<Date, u64>,
    pub now: Timestamp,
}

/// The breaker's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All may go; the flag of each item says whether a person consented to it.
    Go(Vec<bool>),
    Wait(Blocker),
}

/// Judges all that is due in one table.
pub fn consent(due: &Due<'_>, consents: &Consents) -> Answer {
    let digest = due.term.rule.digest();
    let since = |item: &Item| due.reinstated.get(&item.day).copied();
    let given: Vec<(Option<Timestamp>, u8)> =
        due.items.iter().map(|item| consents.to(&item.approval(&digest), since(item))).collect();
    let approved: Vec<bool> = given.iter().map(|(_, persons)| *persons >= consents.needed).collect();
    let consented_at =
        given.iter().zip(&approved).filter(|(_, approved)| **approved).filter_map(|((at, _), _)| *at).max();
    let wait = |because: Because| {
        // The items that have fewest set the pace.
        let given = given.iter().map(|(_, persons)| *persons).filter(|persons| *persons < consents.needed).min();
        Answer::Wait(Blocker::Approval { because, given: given.unwrap_or(0), needed: consents.needed })
    };
    let rest: Vec<&&Item> = due.items.iter().zip(&approved).filter(|(_, ok)| !**ok).map(|(item, _)| item).collect();

    let since = match (due.retirement.and_then(|before| before.settled_at), consented_at) {
        (Some(settled), Some(consented)) => Some(settled.max(consented)),
        (settled, consented) => settled.or(consented),
    };
    let since = since.map(|since| since.max(due.now.saturating_sub(LONGEST_PAUSE).unwrap_or(since)));
    let free = |item: &Item| {
        let expires = ends(due.keeping, &due.term.rule, item.day);
        since.zip(expires).is_some_and(|(since, expires)| expires > day_of(since))
    };

    if rest.iter().any(|item| due.reinstated.contains_key(&item.day)) {
        return wait(Because::Reinstated);
    }
    let under = due.retirement.and_then(|before| before.under.as_ref());
    let ours = under.filter(|(rule, _)| *rule == due.term.rule.origin.id());
    for shortening in due.term.shortenings.iter().filter(|one| !one.waits(due.now)) {
        if !newer(shortening, under.map(|(_, at)| *at)) {
            continue;
        }
        let newly_due = |item: &&&&Item| {
            let old = shortening.old.as_ref().and_then(|old| ends(due.keeping, old, item.day));
            old.is_none_or(|old| old > day_of(due.now)) && !(consented_at.is_some() && free(item))
        };
        if rest.iter().filter(newly_due).count() > 0 {
            return wait(Because::Shortened { since: shortening.since });
        }
    }
    // Quarantine comes and goes in lumps, under a clock of its own: only an edit makes it ask.
    if due.keeping == Keeping::Quarantine {
        return Answer::Go(approved);
    }
    if ours.is_none() && consented_at.is_none() && !due.items.is_empty() {
        return wait(Because::First);
    }
    let beyond: Vec<&&&Item> = rest.iter().filter(|item| !free(item)).collect();
    let days = beyond.iter().map(|item| item.day).collect::<BTreeSet<_>>().len() as u64;
    let bytes: u64 = beyond.iter().map(|item| item.bytes).sum();
    if days > 1 && bytes.saturating_mul(5) > due.live_bytes {
        return wait(Because::Beyond { days, bytes, live_bytes: due.live_bytes });
    }
    Answer::Go(approved)
}

/// True if nothing was retired since the shortening's grace was over: nobody has agreed to it yet.
pub fn newer(shortening: &Shortening, retired_at: Option<Timestamp>) -> bool {
    match (retired_at, shortening.over()) {
        (Some(retired_at), Some(over)) => day_of(retired_at) < over,
        _ => true,
    }
}

/// The day on which a rule lets a day go, by how it is kept.
pub fn ends(keeping: Keeping, rule: &Rule, day: Date) -> Option<Date> {
    match keeping {
        Keeping::Archive => rule.expires(day),
        Keeping::Raw => rule.destroy_at(day),
        Keeping::Quarantine => rule.quarantine_span().end(day)?.tomorrow().ok(),
    }
}
