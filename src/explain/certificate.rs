//! The certificate of destruction of one day of one table, from the ledger alone.
//!
//! It says of each file whose bytes are gone what it was, what it was made from, why it went, who agreed, and which
//! entries stand for it; and it says just as plainly what is left, of which it is no certificate. Deterministic: the same
//! ledger gives the same bytes. It claims no more than the ledger: that a deletion was verified stands in its outcome.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::entries::EntryRef;
use super::evidence::{Approval, PolicyEvidence, approvals, policies};
use super::origins::{RawOrigin, origins};
use super::trail::{Annals, FileTrail, How, StepTrail, Trail};
use crate::error::Result;
use crate::ledger::{Chain, Ground, Head, Keeping, ObjectId, ProofKind, State, read_head};
use crate::names::TableName;

/// A certificate, whole.
#[derive(Debug, Clone, Serialize)]
pub struct Certificate {
    /// The form of this document.
    pub certificate: u32,
    /// The archive's id.
    pub archive: String,
    pub simulation: bool,
    pub table: TableName,
    pub day: Date,
    /// Nothing is left of the day, nor of what it was made from, as far as the ledger knows.
    pub complete: bool,
    pub files: Vec<DestroyedFile>,
    /// What is not destroyed: no certificate of these.
    pub left: Vec<LeftOver>,
    pub raw_objects: Vec<RawOrigin>,
    pub expired_on_arrival: Vec<OnArrival>,
    pub policies: Vec<PolicyEvidence>,
    pub approvals: Vec<Approval>,
    pub steps: Vec<Step>,
    /// The steps, too, in which log files of the table were trimmed after the destructions.
    pub trims: Vec<Step>,
    /// The newest entry when this was written, and its time.
    pub head: Option<Head>,
    pub head_at: Option<Timestamp>,
    /// What `head.json` repeats.
    pub witness: Option<Head>,
}

/// A file whose bytes are gone.
#[derive(Debug, Clone, Serialize)]
pub struct DestroyedFile {
    pub keeping: Keeping,
    /// Relative to the table's folder (segments) or the archive (quarantine); `source:path` of raw objects.
    pub path: String,
    pub part: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Sum of its records' digests, hex; of segments.
    pub record_set: Option<String>,
    /// The batch that wrote it, and the entry that committed it.
    pub batch: String,
    pub written: Option<EntryRef>,
    pub proof: ProofKind,
    /// The rule, its dates and the policy, as the ledger recorded them before the bytes went.
    pub ground: Option<Ground>,
    /// How it left its table; of segments.
    pub retired: Option<RetiredBy>,
    /// It needed a person's consent, and had it.
    pub consented: bool,
    /// The destruction, as in [`Certificate::steps`].
    pub step: String,
    pub outcome: FileOutcome,
}

/// The batch that took a segment out of its table.
#[derive(Debug, Clone, Serialize)]
pub struct RetiredBy {
    pub batch: String,
    /// Decided on the state before this entry.
    pub intended: EntryRef,
    pub committed: EntryRef,
    pub delta_version: u64,
    /// Its rows were written anew by that batch.
    pub superseded: bool,
    /// Why it was retired; none: others took it out, or its rows were written anew.
    pub ground: Option<Ground>,
}

/// What came of one file. A step counts; it names only what it kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileOutcome {
    Destroyed,
    /// It was not there any more when it was to be destroyed.
    Missing,
    /// Of its step some were destroyed and some were not there any more; it is gone either way.
    DestroyedOrMissing,
}

/// Something that is not destroyed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOver {
    pub what: String,
    pub rows: u64,
    pub bytes: u64,
    pub why: String,
}

/// Rows that expired on arrival: they were read, counted, and never archived.
#[derive(Debug, Clone, Serialize)]
pub struct OnArrival {
    pub source: String,
    pub path: String,
    pub sha256: String,
    pub rows: u64,
    pub bytes: u64,
    pub batch: String,
    pub committed: EntryRef,
    /// First and last day of the object's period, where its layout tells one; the rows are of it or, late, of a day
    /// before.
    pub period: Option<(Date, Date)>,
    /// The outcome of the destruction in which the object went.
    pub cleared: Option<EntryRef>,
}

/// A destruction: gate, intent, outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    pub step: String,
    pub proof: ProofKind,
    /// The newest entry of the state that the gate read; the intent is valid only right after it.
    pub gate: Head,
    pub intent: EntryRef,
    pub outcome: Option<EntryRef>,
    /// Of the whole step, which may be of more than this day.
    pub subjects: u64,
    pub destroyed: u64,
    pub missing: u64,
    pub kept: u64,
}

impl Certificate {
    /// True if rows of the day were destroyed: not merely written anew.
    pub fn proves(&self) -> bool {
        self.files.iter().any(|file| file.proof != ProofKind::Superseded)
    }
}

/// Gathers the certificate. `period` tells the first and the last day of a raw object's period from its name, where a
/// layout can.
pub fn certificate(
    chain: &Chain,
    annals: &Annals,
    table: &TableName,
    day: Date,
    period: &dyn Fn(&ObjectId) -> Option<(Date, Date)>,
) -> Result<Certificate> {
    let state = chain.state();
    let Annals { entries, trail } = annals;
    let of_day: Vec<&FileTrail> = trail.files.values().filter(|file| file.day == day).collect();
    let mut steps: BTreeMap<u64, Step> = BTreeMap::new();
    let mut files = Vec::new();
    let mut left = Vec::new();
    for file in &of_day {
        match trail.destruction(table, file) {
            Some((step, true)) => {
                steps.insert(step.intent.entry, self::step(step));
                files.push(destroyed(trail, file, step));
            }
            open => left.push(still_there(table, file, open.map(|(step, _)| step))),
        }
    }
    let raw_objects = origins(trail, &of_day);
    let expired_on_arrival = on_arrival(trail, &of_day, day, period);
    for one in expired_on_arrival.iter().filter(|one| one.cleared.is_none()) {
        if !raw_objects.iter().any(|raw| raw.source == one.source && raw.path == one.path) {
            left.push(LeftOver {
                what: format!("raw object {}:{}", one.source, one.path),
                rows: one.rows,
                bytes: one.bytes,
                why: "records that expired on arrival, not cleared".into(),
            });
        }
    }
    left.extend(elsewhere(state, table, trail, &of_day, &raw_objects));
    let steps: Vec<Step> = steps.into_values().collect();
    let segments = |step: &&Step| {
        files.iter().any(|file: &DestroyedFile| file.keeping == Keeping::Archive && file.step == step.step)
    };
    let ended: Vec<u64> =
        steps.iter().filter(segments).filter_map(|step| step.outcome.as_ref()).map(|outcome| outcome.entry).collect();
    let trims = trims(trail, &ended);
    let trimmed = |step: &Step| step.outcome.as_ref().map(|outcome| outcome.entry) > ended.iter().max().copied();
    let untrimmed = state.tables.get(&table.key()).is_some_and(|known| known.untrimmed);
    if !ended.is_empty() && untrimmed && !trims.iter().any(trimmed) {
        left.push(LeftOver {
            what: format!("log files of {table}"),
            rows: 0,
            bytes: 0,
            why: "they may still name what was destroyed, with its number of rows and first and last time".into(),
        });
    }
    Ok(Certificate {
        certificate: 1,
        archive: state.archive.clone().unwrap_or_default(),
        simulation: state.simulation,
        table: state.spelling(table).cloned().unwrap_or_else(|| table.clone()),
        day,
        complete: left.is_empty(),
        policies: policies(chain, entries, &files)?,
        approvals: approvals(chain, entries, &files, &steps)?,
        expired_on_arrival,
        files,
        left,
        raw_objects,
        steps,
        trims,
        head: state.head().cloned(),
        head_at: state.last_at,
        witness: read_head(chain.store())?,
    })
}

fn destroyed(trail: &Trail, file: &FileTrail, step: &StepTrail) -> DestroyedFile {
    let ground = step.grounds.iter().find(|ground| ground.path == file.path).cloned();
    let retired = file.left.as_ref().map(|left| RetiredBy {
        batch: left.batch.clone(),
        intended: left.intended.clone(),
        committed: left.committed.clone(),
        delta_version: left.version,
        superseded: matches!(left.how, How::Superseded | How::Erased),
        ground: match &left.how {
            How::Expired(ground) => Some((**ground).clone()),
            How::Superseded | How::Erased | How::Foreign => None,
        },
    });
    let decided = retired.as_ref().and_then(|retired| retired.ground.as_ref()).or(ground.as_ref());
    let outcome = match &step.outcome {
        Some(outcome) if outcome.missing == 0 => FileOutcome::Destroyed,
        Some(outcome) if outcome.destroyed == 0 => FileOutcome::Missing,
        _ => FileOutcome::DestroyedOrMissing,
    };
    DestroyedFile {
        keeping: file.keeping,
        path: file.path.clone(),
        part: file.part.clone(),
        rows: file.rows,
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        record_set: file.digest.map(|digest| format!("{:032x}", digest.sum)),
        batch: file.batch.clone(),
        written: trail.batches.get(&file.batch).map(|batch| batch.committed.clone()),
        proof: step.proof,
        consented: decided.is_some_and(|ground| ground.approved),
        ground,
        retired,
        step: step.step.clone(),
        outcome,
    }
}

fn step(trail: &StepTrail) -> Step {
    let outcome = trail.outcome.as_ref();
    Step {
        step: trail.step.clone(),
        proof: trail.proof,
        gate: Head { seq: trail.intent.entry.saturating_sub(1), sha256: trail.gate_sha256.clone() },
        intent: trail.intent.clone(),
        outcome: outcome.map(|outcome| outcome.entry.clone()),
        subjects: trail.subjects.len() as u64,
        destroyed: outcome.map_or(0, |outcome| outcome.destroyed),
        missing: outcome.map_or(0, |outcome| outcome.missing),
        kept: outcome.map_or(0, |outcome| outcome.kept.len() as u64),
    }
}

fn still_there(table: &TableName, file: &FileTrail, step: Option<&StepTrail>) -> LeftOver {
    let outcome = step.and_then(|step| step.outcome.as_ref());
    let why = match (step, outcome) {
        (Some(step), None) => {
            format!("its destruction was begun in entry {}, and what came of it is unknown", step.intent.entry)
        }
        (Some(_), Some(outcome)) => {
            let reason = outcome.kept.get(&file.subject(table)).map_or("it was kept", String::as_str);
            format!("kept in entry {}: {reason}", outcome.entry.entry)
        }
        (None, _) => match (&file.left, file.keeping) {
            (Some(left), _) => format!("out of its table since entry {}, not destroyed", left.committed.entry),
            (None, Keeping::Archive) => "in its table".into(),
            (None, Keeping::Raw) => "stays raw in its source".into(),
            (None, Keeping::Quarantine) => "in quarantine".into(),
        },
    };
    LeftOver { what: file.subject(table), rows: file.rows, bytes: file.bytes, why }
}

/// What else may hold records of the day: raw objects that were not cleared, and what the same batches quarantined.
fn elsewhere(
    state: &State,
    table: &TableName,
    trail: &Trail,
    files: &[&FileTrail],
    raw_objects: &[RawOrigin],
) -> Vec<LeftOver> {
    let mut left = Vec::new();
    for raw in raw_objects.iter().filter(|raw| raw.cleared.is_none()) {
        let why = match &raw.duplicate_of {
            Some(original) => format!("a copy of {original}, not cleared"),
            None => "what it was made from, not cleared".into(),
        };
        let what = format!("raw object {}", raw.id());
        left.push(LeftOver { what, rows: raw.counts.decoded, bytes: raw.bytes, why });
    }
    let batches: BTreeSet<&String> =
        files.iter().map(|file| &file.batch).chain(raw_objects.iter().map(|raw| &raw.batch)).collect();
    let listed: BTreeSet<&String> = files.iter().map(|file| &file.path).collect();
    for one in &state.quarantine {
        let ours = one.file.table == *table && batches.contains(&one.batch) && !listed.contains(&one.file.data);
        if ours && trail.files.contains_key(&(Keeping::Quarantine, one.file.data.clone())) {
            left.push(LeftOver {
                what: format!("quarantine {}", one.file.data),
                rows: one.file.records,
                bytes: one.file.bytes,
                why: "from the same raw objects; of which day its records are is not known".into(),
            });
        }
    }
    left
}

/// The trimming that followed each destruction of segments, which ended with these entries.
fn trims(trail: &Trail, ended: &[u64]) -> Vec<Step> {
    let mut found: BTreeMap<u64, Step> = BTreeMap::new();
    let logs: Vec<&StepTrail> = trail.steps.iter().filter(|step| step.proof == ProofKind::ObsoleteLog).collect();
    for ended in ended {
        let next = logs.iter().find(|log| log.outcome.as_ref().is_some_and(|log| log.entry.entry > *ended));
        found.extend(next.map(|log| (log.intent.entry, step(log))));
    }
    found.into_values().collect()
}

fn on_arrival(
    trail: &Trail,
    files: &[&FileTrail],
    day: Date,
    period: &dyn Fn(&ObjectId) -> Option<(Date, Date)>,
) -> Vec<OnArrival> {
    let ours: BTreeSet<&String> = files.iter().map(|file| &file.batch).collect();
    let mut found = Vec::new();
    for (batch, known) in &trail.batches {
        for outcome in known.objects.iter().filter(|outcome| outcome.counts.expired > 0) {
            let of = period(&outcome.id());
            if of.map_or_else(|| ours.contains(batch), |(from, to)| from <= day && day <= to) {
                found.push(OnArrival {
                    source: outcome.source.clone(),
                    path: outcome.path.clone(),
                    sha256: outcome.sha256.clone(),
                    rows: outcome.counts.expired,
                    bytes: outcome.size,
                    batch: batch.clone(),
                    committed: known.committed.clone(),
                    period: of,
                    cleared: trail
                        .cleared(&outcome.id(), known.committed.entry)
                        .and_then(|step| step.outcome.as_ref())
                        .map(|outcome| outcome.entry.clone()),
                });
            }
        }
    }
    found.sort_by(|one, other| (one.committed.entry, &one.path).cmp(&(other.committed.entry, &other.path)));
    found
}
