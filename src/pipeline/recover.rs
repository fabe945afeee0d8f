//! Settling what an earlier run left: every intent without an outcome, every file without an owner.
//!
//! A `prepared` batch is rolled forward; a batch without it is abandoned and its uploads are destroyed; an open
//! destruction is gated again. While a run that never ended may still be alive somewhere, paused, each run also looks
//! for what it wrote since.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use super::clear::{id_of, prove};
use super::commit::commit_prepared;
use super::destroy::{Outcome, Stores, destroy, settle, ungrounded};
use super::expire::{measure, prove_expired, prove_superseded};
use super::measure::Measurer;
use super::trim::prove_obsolete;
use crate::archive::{Table, checkpoint_path, quarantine_folder, table_path};
use crate::error::{Error, Kind, Result};
use crate::gate::{Blocked, NeverCommitted, Proof, carries};
use crate::ledger::{Armed, Body, Chain, ProofKind, Stage, State, Subject};
use crate::names::TableName;
use crate::plan::Terms;

/// What recovery did.
#[derive(Debug, Default)]
pub struct Recovered {
    pub rolled_forward: Vec<String>,
    pub abandoned: Vec<String>,
    pub settled: u64,
    pub swept: u64,
    pub errors: Vec<Error>,
}

/// Settles everything that is open. An error about one batch or step is collected; the rest goes on.
pub fn recover(
    chain: &mut Chain,
    stores: &Stores<'_>,
    armed: Armed,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Result<Recovered> {
    let mut recovered = Recovered::default();
    let open: Vec<(String, bool)> = chain
        .state()
        .batches
        .iter()
        .filter_map(|(id, batch)| match batch.stage {
            Stage::Intended => Some((id.clone(), false)),
            Stage::Prepared(_) => Some((id.clone(), true)),
            _ => None,
        })
        .collect();
    for (batch, prepared) in open {
        if prepared {
            match commit_prepared(stores.archive, chain, &batch, now) {
                Ok(()) => recovered.rolled_forward.push(batch),
                // A table that is damaged or changed by others stops itself, not the others (I12).
                Err(error) if matches!(error.kind(), Kind::Damaged | Kind::Decision) => recovered.errors.push(error),
                Err(error) => return Err(error),
            }
        } else {
            let reason = "the run that began it never prepared it".to_owned();
            chain.append_or_end(now, Body::BatchAbandoned { batch: batch.clone(), reason })?;
            recovered.abandoned.push(batch);
        }
    }
    settle_destructions(chain, stores, armed, terms, &mut recovered, now)?;
    if chain.state().must_sweep(now) || !recovered.abandoned.is_empty() {
        recovered.swept = sweep(chain, stores, armed, &mut recovered.errors, now)?;
    }
    Ok(recovered)
}

/// Destroys what belongs to nothing: uploads of abandoned batches, attachments that no entry names.
pub fn sweep(
    chain: &mut Chain,
    stores: &Stores<'_>,
    armed: Armed,
    errors: &mut Vec<Error>,
    now: Timestamp,
) -> Result<u64> {
    let Uploads { found: uploads, live, unreadable } = orphan_uploads(chain.state(), stores)?;
    errors.extend(unreadable);
    let mut all =
        destroy(chain, stores, armed, ProofKind::NeverCommitted, &uploads, now, ungrounded, |subject, state| {
            match subject {
                Subject::Partial { path, batch } => {
                    NeverCommitted::prove_upload(path, batch, state, &live).map(Proof::NeverCommitted)
                }
                _ => Err(Blocked::because("it is no upload")),
            }
        })?;
    all.destroyed += sweep_attachments(chain, stores, armed, errors, now)?;
    errors.extend(all.failed);
    Ok(all.destroyed)
}

/// Destroys attachments that no entry names.
pub fn sweep_attachments(
    chain: &mut Chain,
    stores: &Stores<'_>,
    armed: Armed,
    errors: &mut Vec<Error>,
    now: Timestamp,
) -> Result<u64> {
    let attachments = orphan_attachments(chain)?;
    let done =
        destroy(chain, stores, armed, ProofKind::NeverCommitted, &attachments, now, ungrounded, |subject, state| {
            match subject {
                Subject::Attachment { sha256 } => {
                    NeverCommitted::prove_attachment(sha256, state).map(Proof::NeverCommitted)
                }
                _ => Err(Blocked::because("it is no attachment")),
            }
        })?;
    errors.extend(done.failed);
    Ok(done.destroyed)
}

fn settle_destructions(
    chain: &mut Chain,
    stores: &Stores<'_>,
    armed: Armed,
    terms: &Terms<'_>,
    recovered: &mut Recovered,
    now: Timestamp,
) -> Result<()> {
    let steps: Vec<String> = chain.state().open_destroys.keys().cloned().collect();
    for step in steps {
        let Some(open) = chain.state().open_destroys.get(&step).cloned() else { continue };
        let mut measurer = Measurer::default();
        measure_subjects(&mut measurer, stores, chain.state(), &open.subjects);
        let live = match open.proof {
            ProofKind::NeverCommitted => {
                let Uploads { live, unreadable, .. } = orphan_uploads(chain.state(), stores)?;
                if !unreadable.is_empty() {
                    // Whether a snapshot names them is unknown: the step stays open.
                    recovered.errors.extend(unreadable);
                    continue;
                }
                live
            }
            _ => HashSet::new(),
        };
        let outcome: Outcome = settle(chain, stores, armed, &step, now, |subject, state| match subject {
            Subject::Segment { .. } | Subject::Quarantine { .. } | Subject::Raw { .. }
                if open.proof == ProofKind::Expired =>
            {
                prove_expired(subject, state, terms, &measurer, now)
            }
            Subject::Segment { .. } if open.proof == ProofKind::Superseded => {
                prove_superseded(subject, state, &measurer)
            }
            Subject::DeltaLog { .. } => prove_obsolete(subject, state, &measurer),
            Subject::Raw { table, .. } => {
                let id = id_of(subject)?;
                let archived_at = state.objects.get(&id).map(|known| known.archived_at);
                let until = archived_at
                    .and_then(|at| terms.of(table)?.rule.keep_raw.after(at))
                    .ok_or_else(|| Blocked::because("no rule says any more when it may be cleared"))?;
                prove(&id, state, &measurer.measured, until, now)
            }
            Subject::Partial { path, batch } => {
                NeverCommitted::prove_upload(path, batch, state, &live).map(Proof::NeverCommitted)
            }
            Subject::Attachment { sha256 } => {
                NeverCommitted::prove_attachment(sha256, state).map(Proof::NeverCommitted)
            }
            _ => Err(Blocked::because("no stage of this version can prove anything about it")),
        })?;
        recovered.settled += 1;
        recovered.errors.extend(outcome.failed);
    }
    Ok(())
}

/// Measures what proofs about these subjects, of whatever tables, ask for.
fn measure_subjects(measurer: &mut Measurer, stores: &Stores<'_>, state: &State, subjects: &[Subject]) {
    let mut tables: BTreeMap<&TableName, Vec<Subject>> = BTreeMap::new();
    for subject in subjects {
        if let Some(table) = subject.table() {
            tables.entry(table).or_default().push(subject.clone());
        }
    }
    for (table, subjects) in tables {
        measure(measurer, stores, state, table, &subjects);
        if let Some(known) = state.tables.get(&table.key())
            && subjects.iter().any(|subject| matches!(subject, Subject::DeltaLog { .. }))
        {
            measurer.table(stores.archive, state, known);
            measurer.file(stores.archive, checkpoint_path(table, known.version).as_ref());
        }
    }
}

/// Uploads that may belong to nothing.
struct Uploads {
    /// Files whose names carry an abandoned batch.
    found: Vec<Subject>,
    /// Every path of the snapshots of those batches' tables.
    live: HashSet<String>,
    /// Tables that could not be looked at; none of their files is in `found`.
    unreadable: Vec<Error>,
}

fn orphan_uploads(state: &State, stores: &Stores<'_>) -> Result<Uploads> {
    let abandoned: Vec<(&String, &Vec<TableName>)> = state
        .batches
        .iter()
        .filter(|(_, batch)| matches!(batch.stage, Stage::Abandoned { .. }))
        .map(|(id, batch)| (id, &batch.tables))
        .collect();
    let tables: BTreeSet<&TableName> = abandoned.iter().flat_map(|(_, tables)| tables.iter()).collect();
    let (mut found, mut live, mut unreadable) = (Vec::new(), HashSet::new(), Vec::new());
    for table in tables {
        match Table::open(stores.archive, table).and_then(|table| table.live()) {
            Ok(paths) => live.extend(paths),
            // A damaged table stops itself, not the others (I12).
            Err(error) => {
                unreadable.push(error);
                continue;
            }
        }
        for folder in [table_path(table), quarantine_folder(table)] {
            for meta in stores.archive.list(Some(&folder))? {
                let name = meta.location.filename().unwrap_or_default();
                let batch = abandoned.iter().find(|(id, _)| carries(name, id));
                if let Some((id, _)) = batch {
                    found.push(Subject::Partial { path: meta.location.to_string(), batch: (*id).clone() });
                }
            }
        }
    }
    Ok(Uploads { found, live, unreadable })
}

fn orphan_attachments(chain: &Chain) -> Result<Vec<Subject>> {
    let folder = object_store::path::Path::from("attachments");
    let there = chain.store().list_folder(Some(&folder))?;
    Ok(there
        .iter()
        .filter_map(|meta| meta.location.filename())
        .filter(|name| !chain.state().attachments.contains(*name))
        .map(|name| Subject::Attachment { sha256: name.to_owned() })
        .collect())
}
