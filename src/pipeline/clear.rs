//! Clearing raw objects: only what stands in the archive, measured just now, byte for byte (I1, I3).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::destroy::{Outcome, STEP, Stores, destroy, ungrounded};
use super::measure::Measurer;
use crate::error::Result;
use crate::gate::{ArchivedVerified, Blocked, DuplicateOf, Measured, Proof};
use crate::ledger::{Armed, Chain, ObjectId, ProofKind, State, Subject};
use crate::plan::Clearing;

/// Clears what is due, in steps. What cannot be proven is kept, with its reason.
pub fn clear(
    chain: &mut Chain,
    stores: &Stores<'_>,
    armed: Armed,
    due: &[Clearing],
    measurer: &mut Measurer,
    now: Timestamp,
) -> Result<Outcome> {
    let mut all = Outcome::default();
    let (duplicates, archived): (Vec<&Clearing>, Vec<&Clearing>) = due.iter().partition(|clearing| clearing.duplicate);
    for (kind, clearings) in [(ProofKind::ArchivedVerified, archived), (ProofKind::DuplicateOf, duplicates)] {
        for chunk in clearings.chunks(STEP) {
            measurer.measure(stores.archive, chain.state(), chunk.iter().map(|clearing| &clearing.id));
            let keep_until: BTreeMap<&ObjectId, Timestamp> =
                chunk.iter().map(|clearing| (&clearing.id, clearing.keep_until)).collect();
            let subjects: Vec<Subject> =
                chunk.iter().filter_map(|clearing| raw_subject(chain.state(), &clearing.id)).collect();
            let done = destroy(chain, stores, armed, kind, &subjects, now, ungrounded, |subject, state| {
                let id = id_of(subject)?;
                let until = keep_until.get(&id).copied().ok_or_else(|| Blocked::because("it is not due"))?;
                prove(&id, state, &measurer.measured, until, now)
            })?;
            all.destroyed += done.destroyed;
            all.missing += done.missing;
            all.kept.extend(done.kept);
            all.failed.extend(done.failed);
        }
    }
    Ok(all)
}

/// The proof for one raw object, from what was measured.
pub fn prove(
    id: &ObjectId,
    state: &State,
    measured: &Measured,
    keep_until: Timestamp,
    now: Timestamp,
) -> Result<Proof, Blocked> {
    let duplicate = state.objects.get(id).is_some_and(|known| known.outcome.duplicate_of.is_some());
    if duplicate {
        DuplicateOf::prove(id, state, measured, keep_until, now).map(Proof::DuplicateOf)
    } else {
        ArchivedVerified::prove(id, state, measured, keep_until, now).map(Proof::ArchivedVerified)
    }
}

/// The name of a raw subject.
pub fn id_of(subject: &Subject) -> Result<ObjectId, Blocked> {
    match subject {
        Subject::Raw { source, path, .. } => Ok(ObjectId { source: source.clone(), path: path.clone() }),
        _ => Err(Blocked::because("it is no raw object")),
    }
}

/// A raw object as it was read.
pub fn raw_subject(state: &State, id: &ObjectId) -> Option<Subject> {
    let known = state.objects.get(id)?;
    Some(Subject::Raw {
        source: id.source.clone(),
        path: id.path.clone(),
        table: known.outcome.table.clone(),
        size: known.outcome.size,
        sha256: known.outcome.sha256.clone(),
        batch: known.batches.last().cloned().unwrap_or_default(),
    })
}
