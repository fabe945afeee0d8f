//! Which raw objects are archived now, in which batches, and which are cleared; every object gets a verdict and a reason.

use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::inputs::{Inputs, Shut};
use crate::ledger::{KnownObject, ObjectId};
use crate::names::TableName;
use crate::policy::Term;
use crate::source::RawObject;

/// The archiving part of a run.
#[derive(Debug, Default, Serialize)]
pub struct Plan {
    pub archive: Vec<Archiving>,
    /// Every object that is not archived now, and why.
    pub kept: Vec<Verdict>,
}

/// One batch: raw objects of one table, oldest period first.
#[derive(Debug, Serialize)]
pub struct Archiving {
    pub table: TableName,
    /// Its rule says `archive = false`: the objects are read, and stay until the last of their records is due.
    pub stays_raw: bool,
    pub objects: Vec<Planned>,
}

/// One raw object to be read.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    pub object: RawObject,
    /// What earlier batches read of it.
    pub known: Option<Known>,
}

/// Where an earlier batch stopped reading.
#[derive(Debug, Clone, Serialize)]
pub struct Known {
    /// The raw object whose bytes these were (another name if it was moved aside).
    pub continues: ObjectId,
    pub resume: u64,
    /// The bytes that were read, and their SHA-256: the object must still begin with them.
    pub size: u64,
    pub sha256: String,
}

/// What becomes of an object, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    pub source: String,
    pub path: String,
    pub table: TableName,
    pub bytes: u64,
    pub reason: Reason,
}

/// Why a raw object is left alone for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Reason {
    /// No rule names its table, and there are no defaults.
    NoRule,
    /// Its rule says `archive = false`; it was read, and is destroyed on that day, after the last of its records.
    StaysRaw { until: Option<Date> },
    /// `archive_after` has not passed.
    Young { until: Option<Timestamp> },
    /// It is archived; `keep_raw` has not passed.
    KeepRaw { until: Option<Timestamp> },
    /// It is archived and could be cleared, but clearing is not armed.
    Unarmed,
    /// It is archived and could be cleared, but not now.
    Shut { shut: Shut },
    /// It is archived and due.
    Clear,
    /// The run was asked for other tables.
    OtherTable,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let day =
            |until: &Option<Timestamp>| until.map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
        match self {
            Reason::NoRule => f.write_str("no rule names its table, and there are no [defaults]: kept"),
            Reason::StaysRaw { until: Some(until) } => {
                write!(f, "stays raw (archive = false) until {until}, when the last of its records is due")
            }
            Reason::StaysRaw { until: None } => f.write_str("stays raw (archive = false) for ever"),
            Reason::Young { until } => write!(f, "younger than archive_after: waits {}", day(until)),
            Reason::KeepRaw { until } => write!(f, "archived; keep_raw keeps it {}", day(until)),
            Reason::Unarmed => f.write_str("archived; clearing is not armed ([delete] raw)"),
            Reason::Shut { shut } => write!(f, "archived; {shut}"),
            Reason::Clear => f.write_str("archived and due to be cleared"),
            Reason::OtherTable => f.write_str("not asked for"),
        }
    }
}

/// One raw object that is due to be cleared.
#[derive(Debug, Clone, Serialize)]
pub struct Clearing {
    pub id: ObjectId,
    pub table: TableName,
    pub keep_until: Timestamp,
    /// The proof to be made: the object was counted as a duplicate.
    pub duplicate: bool,
}

/// Decides what is archived now.
pub fn decide(inputs: &Inputs<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut due: BTreeMap<TableName, Vec<Planned>> = BTreeMap::new();
    for object in inputs.objects {
        if current(object, inputs).is_some() {
            // Read as it stands: `clearings` has the verdict.
            continue;
        }
        match judge_object(object, inputs) {
            Ok(planned) => due.entry(object.table.clone()).or_default().push(planned),
            Err(reason) => plan.kept.push(verdict(object, reason)),
        }
    }
    for (table, mut objects) in due {
        let stays_raw = inputs.terms.of(&table).is_some_and(|term| !term.rule.archive);
        let table = inputs.state.spelling(&table).cloned().unwrap_or(table);
        // What was moved aside continues under another name: before that name is read anew.
        objects.sort_by(|one, other| order(&one.object).cmp(&order(&other.object)));
        for chunk in batches(objects, inputs.batch_bytes) {
            plan.archive.push(Archiving { table: table.clone(), stays_raw, objects: chunk });
        }
    }
    plan
}

/// What was moved aside comes before all else; then by period and name.
fn order(object: &RawObject) -> (bool, Option<Timestamp>, &str, &str) {
    (object.aside_of.is_none(), object.period.map(|period| period.start), &object.source, &object.path)
}

/// Decides what is cleared now, from the state after archiving.
pub fn clearings(inputs: &Inputs<'_>) -> (Vec<Clearing>, Vec<Verdict>) {
    let (mut due, mut kept) = (Vec::new(), Vec::new());
    for object in inputs.objects {
        let Some(known) = current(object, inputs) else { continue };
        let Some(term) = term_of(object, inputs) else { continue };
        if !inputs.asked_for(&object.table) {
            continue;
        }
        if let Some(last_day) = known.outcome.last_day {
            kept.push(verdict(object, Reason::StaysRaw { until: term.destroy_at(last_day) }));
            continue;
        }
        let until = term.rule.keep_raw.after(known.archived_at);
        let reason = match until {
            Some(until) if until <= inputs.now && inputs.allowance.now().raw => {
                due.push(Clearing {
                    id: known.outcome.id(),
                    table: known.outcome.table.clone(),
                    keep_until: until,
                    duplicate: known.outcome.duplicate_of.is_some(),
                });
                Reason::Clear
            }
            Some(until) if until <= inputs.now => match &inputs.allowance.shut {
                Some(shut) if inputs.allowance.armed.raw => Reason::Shut { shut: shut.clone() },
                _ => Reason::Unarmed,
            },
            until => Reason::KeepRaw { until },
        };
        kept.push(verdict(object, reason));
    }
    (due, kept)
}

fn verdict(object: &RawObject, reason: Reason) -> Verdict {
    Verdict {
        source: object.source.clone(),
        path: object.path.clone(),
        table: object.table.clone(),
        bytes: object.size,
        reason,
    }
}

fn term_of(object: &RawObject, inputs: &Inputs<'_>) -> Option<Rc<Term>> {
    inputs.terms.of(&object.table)
}

fn judge_object(object: &RawObject, inputs: &Inputs<'_>) -> Result<Planned, Reason> {
    if !inputs.asked_for(&object.table) {
        return Err(Reason::OtherTable);
    }
    let term = term_of(object, inputs).ok_or(Reason::NoRule)?;
    let rule = &term.rule;
    let age_from = object.period.map_or(object.modified, |period| period.end);
    let until = rule.archive_after.after(age_from);
    if until.is_none_or(|until| until > inputs.now) {
        return Err(Reason::Young { until });
    }
    let path = object.aside_of.as_ref().unwrap_or(&object.path);
    let id = ObjectId { source: object.source.clone(), path: path.clone() };
    let goes_on = |known: &&KnownObject| continues(object, known) && !read_otherwise(known, &term);
    let known = inputs.state.objects.get(&id).filter(goes_on).map(|known| Known {
        continues: id,
        resume: known.outcome.resume,
        size: known.outcome.size,
        sha256: known.outcome.sha256.clone(),
    });
    Ok(Planned { object: object.clone(), known })
}

/// An object can only go on from where it was read if it is at least as long and was read itself; the reader still has to
/// find the same bytes before that place.
fn continues(object: &RawObject, known: &KnownObject) -> bool {
    object.size >= known.outcome.size
        && known.outcome.table == object.table
        && known.outcome.duplicate_of.is_none()
        && known.outcome.unreadable.is_none()
}

/// True if it was read to stay raw, and its rule archives it now: then it is read anew.
fn read_otherwise(known: &KnownObject, term: &Term) -> bool {
    known.outcome.last_day.is_some() && term.rule.archive
}

/// What the ledger knows of the object exactly as it was listed now.
fn current<'a>(object: &RawObject, inputs: &Inputs<'a>) -> Option<&'a KnownObject> {
    let id = ObjectId { source: object.source.clone(), path: object.path.clone() };
    let term = inputs.terms.of(&object.table);
    inputs.state.objects.get(&id).filter(|known| {
        if term.as_deref().is_some_and(|term| read_otherwise(known, term)) {
            return false;
        }
        let outcome = &known.outcome;
        let same = match (&outcome.etag, &object.etag) {
            (Some(read), Some(listed)) => read == listed,
            _ => outcome.modified == object.modified,
        };
        !known.cleared && same && outcome.size == object.size
    })
}

/// A batch holds objects up to `bytes`, and 5,000 of them at most; one larger object stands alone.
fn batches(objects: Vec<Planned>, bytes: u64) -> Vec<Vec<Planned>> {
    const OBJECTS: usize = 5_000;
    let mut batches: Vec<Vec<Planned>> = Vec::new();
    let mut filled = u64::MAX;
    for planned in objects {
        let size = planned.object.size;
        let full = batches.last().is_none_or(|batch| batch.len() >= OBJECTS);
        if full || filled.saturating_add(size) > bytes {
            batches.push(Vec::new());
            filled = 0;
        }
        filled += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(planned);
        }
    }
    batches
}
