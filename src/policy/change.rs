//! What an edit does to a table: longer, shorter, or neither.
//!
//! Shorter wins: an edit that lets anything go earlier is a shortening, whatever else it lengthens. A table without a
//! rule is kept for ever, so that losing the last rule lengthens and gaining one shortens.

use serde::Serialize;

use super::rule::Rule;
use super::span::Span;

/// What becomes of a table's retention when one rule takes the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Same,
    Longer,
    Shorter,
}

/// Compares two rules of one table; `None`: no rule names it.
///
/// Shorter are: a `retain`, `purge_delay` or `quarantine_retain` that ends earlier for some day of the calendar, and
/// another clock, under which the days of new records mean something else.
pub fn change(old: Option<&Rule>, new: Option<&Rule>) -> Change {
    let (old, new) = match (old, new) {
        (None, None) => return Change::Same,
        (Some(_), None) => return Change::Longer,
        (None, Some(new)) if new.retain.is_forever() && new.quarantine_span().is_forever() => return Change::Same,
        (None, Some(_)) => return Change::Shorter,
        (Some(old), Some(new)) => (old, new),
    };
    if old.clock != new.clock {
        return Change::Shorter;
    }
    let spans = |rule: &Rule| [rule.retain, rule.purge_delay, rule.quarantine_span()];
    let pairs: Vec<(Span, Span)> = spans(old).into_iter().zip(spans(new)).collect();
    if pairs.iter().any(|(old, new)| !new.at_least(*old)) {
        Change::Shorter
    } else if pairs.iter().any(|(old, new)| !old.at_least(*new)) {
        Change::Longer
    } else {
        Change::Same
    }
}
