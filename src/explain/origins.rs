//! From which raw objects something was made, through merges and retries, and whether they are still there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::entries::EntryRef;
use super::trail::{BatchTrail, FileTrail, Trail};
use crate::ledger::{Counts, Keeping, ObjectId, ObjectOutcome, Purpose};

/// A raw object that records came from. A batch mixes its objects: that this one had records of the very day is not
/// recorded, only that it had some that were archived (or quarantined) by that batch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RawOrigin {
    pub source: String,
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    /// The batch that read it.
    pub batch: String,
    pub counts: Counts,
    /// It holds the very bytes of this other object, which was read instead.
    pub duplicate_of: Option<ObjectId>,
    /// The outcome of the destruction in which it went; none: as far as the ledger knows it is still there.
    pub cleared: Option<EntryRef>,
}

impl RawOrigin {
    pub fn id(&self) -> ObjectId {
        ObjectId { source: self.source.clone(), path: self.path.clone() }
    }
}

/// The raw objects behind `files`, with all copies of them, sorted by name.
pub fn origins(trail: &Trail, files: &[&FileTrail]) -> Vec<RawOrigin> {
    let mut found: BTreeMap<ObjectId, RawOrigin> = BTreeMap::new();
    for keeping in [Keeping::Archive, Keeping::Quarantine] {
        let batches = files.iter().filter(|file| file.keeping == keeping).map(|file| file.batch.clone()).collect();
        for (batch, keeping) in readers(trail, keeping, batches) {
            let Some(known) = trail.batches.get(&batch) else { continue };
            let gave = |outcome: &&ObjectOutcome| match keeping {
                Keeping::Quarantine => outcome.counts.quarantined > 0 || outcome.unreadable.is_some(),
                _ => outcome.counts.archived > 0,
            };
            for outcome in known.objects.iter().filter(gave) {
                found.insert(outcome.id(), origin(trail, &batch, known, outcome));
            }
        }
    }
    let mut batches: Vec<(&String, &BatchTrail)> = trail.batches.iter().collect();
    batches.sort_by_key(|(_, known)| known.committed.entry);
    for (batch, known) in batches {
        for outcome in &known.objects {
            if outcome.duplicate_of.as_ref().is_some_and(|original| found.contains_key(original)) {
                found.entry(outcome.id()).or_insert_with(|| origin(trail, batch, known, outcome));
            }
        }
    }
    found.into_values().collect()
}

fn origin(trail: &Trail, batch: &str, known: &BatchTrail, outcome: &ObjectOutcome) -> RawOrigin {
    let cleared = trail.cleared(&outcome.id(), known.committed.entry);
    RawOrigin {
        source: outcome.source.clone(),
        path: outcome.path.clone(),
        bytes: outcome.size,
        sha256: outcome.sha256.clone(),
        batch: batch.to_owned(),
        counts: outcome.counts,
        duplicate_of: outcome.duplicate_of.clone(),
        cleared: cleared.and_then(|step| step.outcome.as_ref()).map(|outcome| outcome.entry.clone()),
    }
}

/// The batches that read raw objects, behind those that wrote files; with what their records became first.
fn readers(trail: &Trail, keeping: Keeping, batches: BTreeSet<String>) -> BTreeSet<(String, Keeping)> {
    let mut open: Vec<(String, Keeping)> = batches.into_iter().map(|batch| (batch, keeping)).collect();
    let mut seen = BTreeSet::new();
    while let Some((batch, keeping)) = open.pop() {
        if !seen.insert((batch.clone(), keeping)) {
            continue;
        }
        let Some(known) = trail.batches.get(&batch) else { continue };
        let writer = |path: &String| trail.files.get(&(Keeping::Archive, path.clone())).map(|file| file.batch.clone());
        match &known.purpose {
            Purpose::Merge | Purpose::Erase { .. } => {
                open.extend(known.removes.iter().filter_map(writer).map(|batch| (batch, Keeping::Archive)));
            }
            Purpose::Retry { batches } => {
                open.extend(batches.iter().map(|batch| (batch.clone(), Keeping::Quarantine)));
            }
            Purpose::Archive | Purpose::Retire | Purpose::Reinstate { .. } | Purpose::Trim => {}
        }
    }
    seen
}
