//! The rules that governed, one after the other, and what they still protect.
//!
//! A shortening waits: what becomes newly due under a shorter rule stays until `shorten_grace` has passed since the first
//! run that saw it, under the longest grace that was in force. Putting the rule back cancels, because the longer rule
//! governs again. The first policy shortens nothing. Pure; dates are whole UTC days and round up, never early (I3).

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::change::{Change, change};
use super::document::ClockSource;
use super::rule::Rule;
use super::set::PolicySet;
use crate::names::TableName;

/// Every policy that was accepted, oldest first; the last one governs.
#[derive(Debug, Clone)]
pub struct History {
    accepted: Vec<(Timestamp, PolicySet)>,
}

/// An edit that let something of a table go earlier.
#[derive(Debug, Clone)]
pub struct Shortening {
    /// The first run that saw it.
    pub since: Timestamp,
    /// Until then what it made newly due waits. None: for ever.
    pub until: Option<Timestamp>,
    /// The rule before; none: there was none, or the clock was another, and so everything is newly due.
    pub old: Option<Rule>,
}

/// The rule of a table with all that still holds it back.
#[derive(Debug, Clone)]
pub struct Term {
    pub rule: Rule,
    /// Oldest first; those whose grace is over, too.
    pub shortenings: Vec<Shortening>,
}

impl History {
    /// `accepted` oldest first; the last is the policy that governs now.
    pub fn new(accepted: Vec<(Timestamp, PolicySet)>) -> Self {
        History { accepted }
    }

    /// The policy that governs.
    pub fn newest(&self) -> Option<&PolicySet> {
        self.accepted.last().map(|(_, set)| set)
    }

    /// The term of `table`; none: no rule names it, and it is kept.
    pub fn term(&self, table: &TableName) -> Option<Term> {
        let rules: Vec<(Timestamp, Option<Rule>)> =
            self.accepted.iter().map(|(at, set)| (*at, set.rule_for(table))).collect();
        let rule = rules.last()?.1.clone()?;
        Some(Term { rule, shortenings: shortenings(&rules) })
    }
}

fn shortenings(rules: &[(Timestamp, Option<Rule>)]) -> Vec<Shortening> {
    let mut found = Vec::new();
    for (index, pair) in rules.windows(2).enumerate() {
        let [(_, old), (since, new)] = pair else { continue };
        if change(old.as_ref(), new.as_ref()) != Change::Shorter {
            continue;
        }
        // Both graces, and each earlier one that its own end has not released yet: shortening the grace waits it out.
        let earlier = (0..index).filter_map(|earlier| {
            let (replaced, rule) = (rules[earlier + 1].0, rules[earlier].1.as_ref()?);
            let waits = rule.shorten_grace.after(replaced).is_none_or(|end| end > *since);
            waits.then_some(rule.shorten_grace)
        });
        let graces = [old, new].into_iter().flatten().map(|rule| rule.shorten_grace).chain(earlier);
        // None is the latest of all ends.
        let until = graces
            .map(|grace| grace.after(*since))
            .reduce(|one, other| one.zip(other).map(|(one, other)| one.max(other)))
            .flatten();
        let same_clock = old.as_ref().zip(new.as_ref()).is_some_and(|(old, new)| old.clock == new.clock);
        found.push(Shortening { since: *since, until, old: old.clone().filter(|_| same_clock) });
    }
    found
}

impl Shortening {
    /// The first day on which it protects nothing any more. None: never.
    pub fn over(&self) -> Option<Date> {
        let until = TimeZone::UTC.to_datetime(self.until?);
        if until.time() == jiff::civil::Time::midnight() { Some(until.date()) } else { until.date().tomorrow().ok() }
    }

    /// True while it waits.
    pub fn waits(&self, now: Timestamp) -> bool {
        self.over().is_none_or(|over| day_of(now) < over)
    }
}

impl Term {
    /// The first day on which records of `day` may be retired. None: never.
    pub fn expires(&self, day: Date) -> Option<Date> {
        self.latest(|rule| rule.expires(day))
    }

    /// The first day on which records of `day` may be destroyed. None: never.
    pub fn destroy_at(&self, day: Date) -> Option<Date> {
        self.latest(|rule| rule.destroy_at(day))
    }

    /// The first day on which what was quarantined on `day` may be destroyed. None: never.
    pub fn quarantine_ends(&self, day: Date) -> Option<Date> {
        self.latest(|rule| rule.quarantine_span().end(day)?.tomorrow().ok())
    }

    /// The shortening that holds `day` back at `now`, of those whose grace runs; the one that ends last.
    pub fn held_back(&self, now: Timestamp, ends: impl Fn(&Rule) -> Option<Date>) -> Option<&Shortening> {
        let today = day_of(now);
        ends(&self.rule).filter(|end| *end <= today)?;
        let protects =
            |one: &&Shortening| one.waits(now) && one.old.as_ref().and_then(&ends).is_none_or(|end| end > today);
        let later = |one: &&Shortening| one.over().unwrap_or(Date::MAX);
        self.shortenings.iter().filter(protects).max_by_key(later)
    }

    /// The clock that the rule counts by.
    pub fn clock(&self) -> ClockSource {
        self.rule.clock
    }

    /// The latest of the rule's own date and of what each shortening still protects: the old rule's date, but no longer
    /// than its grace.
    fn latest(&self, ends: impl Fn(&Rule) -> Option<Date>) -> Option<Date> {
        let mut latest = ends(&self.rule)?;
        for one in &self.shortenings {
            let old = one.old.as_ref().and_then(&ends);
            let protected = match (old, one.over()) {
                (Some(old), Some(over)) => old.min(over),
                (Some(date), None) | (None, Some(date)) => date,
                (None, None) => return None,
            };
            latest = latest.max(protected);
        }
        Some(latest)
    }
}

/// The UTC day of an instant.
pub fn day_of(instant: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(instant).date()
}
