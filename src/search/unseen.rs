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
use crate::policy::Span;
use crate::source::{DiscoverOptions, RawObject, discover};
use crate::storage::Store;

/// The raw objects of all sources, and what could not be listed.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// Those that hold records which are in no segment, with the store they lie in.
    pub waiting: Vec<(Store, Planned)>,
    /// Why a source or folder could not be looked at.
    pub unlisted: Vec<String>,
}

/// Lists every source. `now` only decides what is still being written to, which is not left out here.
pub fn list(sources: &[Source], state: &State, now: Timestamp) -> Listed {
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
                let waiting = objects.filter_map(|object| waiting(state, object));
                listed.waiting.extend(waiting.map(|planned| (store.clone(), planned)));
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
    let grew = object.size > outcome.size && outcome.duplicate_of.is_none() && outcome.unreadable.is_none();
    let resumed = Known {
        continues: id,
        resume: outcome.resume,
        size: outcome.size,
        sha256: outcome.sha256.clone(),
    };
    Some(Planned { known: (grew && !stays_raw(known)).then_some(resumed), object })
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

/// What of `table` a search in `range` cannot see.
pub fn unseen(state: &State, listed: &Listed, table: &TableName, range: Range, late_window: Option<&Span>) -> Unseen {
    let mut unseen = Unseen { unlisted: listed.unlisted.clone(), ..Unseen::default() };
    for (_, planned) in of_table(listed, table).filter(|(_, planned)| may_hold(&planned.object, range, late_window)) {
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
pub fn of_table<'a>(listed: &'a Listed, table: &'a TableName) -> impl Iterator<Item = &'a (Store, Planned)> {
    listed.waiting.iter().filter(move |(_, planned)| planned.object.table == *table)
}

/// What lies in quarantine of one table.
pub fn quarantined<'a>(state: &'a State, table: &'a TableName) -> impl Iterator<Item = &'a Quarantined> {
    state.quarantine.iter().filter(move |quarantined| quarantined.file.table == *table && !quarantined.retried)
}

/// False: the object's period begins so late after the range that an earlier time in it would be quarantined.
pub fn may_hold(object: &RawObject, range: Range, late_window: Option<&Span>) -> bool {
    let (Some(period), Some(to), Some(late_window)) = (object.period, range.to, late_window) else { return true };
    late_window.before(period.start).is_none_or(|earliest| earliest.as_microsecond() <= to)
}

fn overlaps(day: Date, range: Range) -> bool {
    const DAY: i64 = 86_400_000_000;
    let start = i64::from(super::prune::days_since_1970(day)) * DAY;
    range.from.is_none_or(|from| start + DAY > from) && range.to.is_none_or(|to| start <= to)
}
