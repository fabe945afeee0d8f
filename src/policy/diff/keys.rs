//! Two rules of one table, key by key.
//!
//! Of the keys that say how long something is kept or protected, each is longer, shorter, or the same; of the others it
//! only matters that they differ. Keys with the same meaning do not differ, however they are written.

use serde::Serialize;

use crate::policy::{Change, ClockSource, Rule, Span};

/// A key whose value differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    pub key: &'static str,
    /// None: no rule.
    pub old: Option<String>,
    pub new: Option<String>,
    /// None: it does not say how long anything is kept.
    pub change: Option<Change>,
}

/// The keys that differ, those that decide how long something is kept first.
pub(super) fn keys(old: Option<&Rule>, new: Option<&Rule>) -> Vec<KeyChange> {
    let mut found = Vec::new();
    let mut span = |key: &'static str, of: fn(&Rule) -> Span| {
        let (before, after) = (old.map(of), new.map(of));
        let change = match (before, after) {
            (Some(before), Some(after)) => compare(before, after),
            // No rule keeps for ever.
            (None, Some(after)) if key == "retain" => compare(Span::Forever, after),
            (Some(before), None) if key == "retain" => compare(before, Span::Forever),
            _ => return,
        };
        // Where there was or is no rule, that much is always said.
        if change != Change::Same || before.is_none() || after.is_none() {
            let text = |span: Option<Span>| span.map(|span| span.to_string());
            found.push(KeyChange { key, old: text(before), new: text(after), change: Some(change) });
        }
    };
    span("retain", |rule| rule.retain);
    span("purge_delay", |rule| rule.purge_delay);
    if [old, new].into_iter().flatten().any(|rule| rule.quarantine_retain.is_some()) {
        span("quarantine_retain", Rule::quarantine_span);
    }
    span("shorten_grace", |rule| rule.shorten_grace);
    let (Some(old), Some(new)) = (old, new) else { return found };
    let mut other = |key: &'static str, of: fn(&Rule) -> String, change: Option<Change>| {
        let (before, after) = (of(old), of(new));
        if before != after {
            found.push(KeyChange { key, old: Some(before), new: Some(after), change });
        }
    };
    // Under another clock the days of new records mean something else, which counts as shorter.
    other("clock", |rule| clock(rule.clock).into(), Some(Change::Shorter));
    other("locked", |rule| rule.locked.to_string(), None);
    other("archive", |rule| rule.archive.to_string(), None);
    other("archive_after", |rule| rule.archive_after.to_string(), None);
    other("keep_raw", |rule| rule.keep_raw.to_string(), None);
    other("late_window", |rule| rule.late_window.to_string(), None);
    other("time_column", |rule| rule.time_column.clone(), None);
    other("index", |rule| list(&rule.index), None);
    other("tags", |rule| list(&rule.tags), None);
    let class = |rule: &Rule| rule.storage_class.map_or_else(|| "of the bucket".into(), |class| class.to_string());
    other("storage_class", class, None);
    other("schedule", |rule| rule.schedule.clone().unwrap_or_else(|| "of the settings".into()), None);
    found
}

/// Shorter, if it ends earlier for some day of the calendar.
fn compare(old: Span, new: Span) -> Change {
    match (new.at_least(old), old.at_least(new)) {
        (true, true) => Change::Same,
        (true, false) => Change::Longer,
        (false, _) => Change::Shorter,
    }
}

fn clock(clock: ClockSource) -> &'static str {
    match clock {
        ClockSource::Event => "event",
        ClockSource::Arrival => "arrival",
    }
}

fn list(words: &[String]) -> String {
    if words.is_empty() { "none".into() } else { words.join(", ") }
}
