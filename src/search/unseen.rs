//! What an answer cannot see (I13), told from the ledger and the sources before a row is read.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::prune::Range;
use crate::ledger::{KnownObject, ObjectId, Quarantined, Stage, State, Why};
use crate::names::TableName;
use crate::pipeline::Source;
use crate::plan::{Known, Planned};
use crate::policy::{ClockSource, Rule};
use crate::source::{DiscoverOptions, RawObject, discover};
use crate::storage::Store;

/// The raw objects of all sources, and what could not be listed.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Those that hold records which are in no segment.
    pub waiting: Vec<Waiting>,
    /// Why a source or folder could not be looked at.
    pub unlisted: Vec<String>,
}

/// A raw object with records that are in no segment.
#[derive(Debug, Clone)]
pub struct Waiting {
    pub store: Store,
    pub planned: Planned,
    /// An earlier time in it, microseconds since 1970, would be quarantined; none: nothing says so.
    pub earliest: Option<i64>,
}

/// Lists every source. `rule` is that of a table, `now` only decides what is still being written to, which is not left out
/// here.
pub fn list(sources: &[Source], state: &State, rule: &dyn Fn(&TableName) -> Option<Rule>, now: Timestamp) -> Listed {
    let mut listed = Listed::default();
    for source in sources {
        let options = DiscoverOptions {
            name: source.name.clone(),
            workspace: source.workspace.clone(),
            settle: jiff::SignedDuration::ZERO,
        };
        let store = match &source.store {
            Ok(store) => store,
            Err(error) => {
                listed.unlisted.push(format!("source {}: {error}", source.name));
                continue;
            }
        };
        match discover(store, &options, &source.layout, now) {
            Ok(found) => {
                let unreadable = found.unreadable.iter();
                listed.unlisted.extend(unreadable.map(|one| format!("{}:{}: {}", one.source, one.path, one.reason)));
                let objects = found.objects.into_iter().chain(found.unsettled);
                listed.waiting.extend(objects.filter_map(|object| waiting(state, object)).map(|planned| Waiting {
                    store: store.clone(),
                    earliest: earliest(&planned.object, rule),
                    planned,
                }));
            }
            Err(error) => listed.unlisted.push(format!("source {}: {error}", source.name)),
        }
    }
    listed
}

/// The object with the place from which on it is not archived; none: all of it is accounted for.
fn waiting(state: &State, object: RawObject) -> Option<Planned> {
    let path = object.aside_of.as_ref().unwrap_or(&object.path).clone();
    let id = ObjectId { source: object.source.clone(), path };
    let Some(known) = state.objects.get(&id).filter(|known| !known.cleared || object.aside_of.is_some()) else {
        return Some(Planned { object, known: None });
    };
    let outcome = &known.outcome;
    let same = match (&outcome.etag, &object.etag) {
        _ if object.aside_of.is_some() => true,
        (Some(read), Some(listed)) => read == listed,
        _ => outcome.modified == object.modified,
    };
    if same && outcome.size == object.size {
        return stays_raw(known).then_some(Planned { object, known: None });
    }
    // As a run would: it may have been touched only, or have grown.
    let goes_on = object.size >= outcome.size && outcome.duplicate_of.is_none() && outcome.unreadable.is_none();
    let resumed = Known { continues: id, resume: outcome.resume, size: outcome.size, sha256: outcome.sha256.clone() };
    Some(Planned { known: (goes_on && !stays_raw(known)).then_some(resumed), object })
}

fn earliest(object: &RawObject, rule: &dyn Fn(&TableName) -> Option<Rule>) -> Option<i64> {
    let rule = rule(&object.table).filter(|rule| rule.clock == ClockSource::Event)?;
    rule.late_window.before(object.period?.start).map(Timestamp::as_microsecond)
}

/// It was read, and its records stay where they are (`archive = false`).
fn stays_raw(known: &KnownObject) -> bool {
    known.outcome.last_day.is_some()
}

/// What of one table an answer does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// Raw objects whose records are in no segment yet, or never will be (`archive = false`).
    pub raw_objects: u64,
    pub raw_bytes: u64,
    /// Records, or whole objects, in quarantine.
    pub quarantined: u64,
    /// Days taken out of the table that still exist: `holdfast reinstate` puts them back.
    pub retired_days: Vec<Date>,
    /// Batches that are written but not committed; the next run settles them.
    pub open_batches: u64,
    /// Files that somebody else put into the table, or segments that are not in it any more: see `holdfast verify`.
    pub foreign_files: u64,
    /// Why a source could not be looked at: what lies there is unknown.
    pub unlisted: Vec<String>,
}

impl Unseen {
    pub fn is_empty(&self) -> bool {
        *self == Unseen::default()
    }
}

/// What of `table` an answer about `range` cannot see. Foreign files are not looked for.
pub fn unseen(state: &State, listed: &Listed, table: &TableName, range: Range) -> Unseen {
    let mut unseen = Unseen { unlisted: listed.unlisted.clone(), ..Unseen::default() };
    let later = |waiting: &&Waiting| waiting.earliest.zip(range.to).is_some_and(|(earliest, to)| earliest > to);
    for waiting in of_table(listed, table).filter(|waiting| !later(waiting)) {
        let planned = &waiting.planned;
        unseen.raw_objects += 1;
        unseen.raw_bytes += planned.object.size - planned.known.as_ref().map_or(0, |known| known.resume);
    }
    unseen.quarantined = quarantined(state, table).map(|quarantined| quarantined.file.records).sum();
    if let Some(known) = state.tables.get(&table.key()) {
        // What a merge replaced is in the table under another name.
        let gone = known.retired.values().filter(|retired| !matches!(retired.why, Why::Superseded { .. }));
        let days: BTreeSet<Date> =
            gone.map(|retired| retired.segment.day).filter(|day| overlaps(*day, range)).collect();
        unseen.retired_days = days.into_iter().collect();
    }
    let open = |stage: &Stage| matches!(stage, Stage::Intended | Stage::Prepared(_));
    let batches = state.batches.values().filter(|batch| batch.tables.contains(table) && open(&batch.stage));
    unseen.open_batches = batches.count() as u64;
    unseen
}

/// The waiting raw objects of one table.
pub fn of_table<'a>(listed: &'a Listed, table: &'a TableName) -> impl Iterator<Item = &'a Waiting> {
    listed.waiting.iter().filter(move |waiting| waiting.planned.object.table == *table)
}

/// What lies in quarantine of one table.
pub fn quarantined<'a>(state: &'a State, table: &'a TableName) -> impl Iterator<Item = &'a Quarantined> {
    state.quarantine.iter().filter(move |quarantined| quarantined.file.table == *table && !quarantined.retried)
}

fn overlaps(day: Date, range: Range) -> bool {
    const DAY: i64 = 86_400_000_000;
    let start = i64::from(super::prune::days_since_1970(day)) * DAY;
    range.from.is_none_or(|from| start + DAY > from) && range.to.is_none_or(|to| start <= to)
}
