//! Clearing raw objects: only what stands in the archive, measured just now, byte for byte (I1, I3).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use object_store::path::Path;

use super::destroy::{Outcome, STEP, Stores, destroy};
use crate::archive::{Table, checkpoint_path, commit_path, segment_location};
use crate::error::{Error, Kind, Result};
use crate::gate::{ArchivedVerified, Blocked, DuplicateOf, Measured, Proof};
use crate::ledger::{Armed, Chain, KnownTable, ObjectId, ProofKind, State, Subject};
use crate::plan::Clearing;
use crate::storage::Store;

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
            let done = destroy(chain, stores, armed, kind, &subjects, now, |subject, state| {
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

fn raw_subject(state: &State, id: &ObjectId) -> Option<Subject> {
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

/// Nothing that lies in a table is trusted as a reason to delete while somebody else's commits stand in it.
fn ours_alone<'a>(table: &'a Table, known: &KnownTable) -> Result<&'a Table> {
    let ours = table.version().is_some_and(|version| known.commits.keys().copied().eq(0..=version));
    if ours {
        return Ok(table);
    }
    let found = table.version().map_or_else(|| "no commit".to_owned(), |version| format!("version {version}"));
    let (commits, newest) = (known.commits.len(), known.version);
    Err(Error::new(
        Kind::Decision,
        format!("looking at the table {}", table.name()),
        format!("it has {found}, but ours are {commits} commits up to version {newest}: somebody else changed it"),
    )
    .with_hint("raw objects of this table are kept; `holdfast verify` names the commits"))
}

/// The files that a table's snapshot is made from must be those that were written: the newest checkpoint that the ledger
/// knows, and the commits after it.
fn check_log(archive: &Store, state: &State, table: &KnownTable) -> Result<()> {
    let newest = state.checkpoints.iter().filter(|one| one.table == table.name).max_by_key(|one| one.version);
    let mut written: Vec<(Path, &String)> =
        newest.iter().map(|one| (checkpoint_path(&table.name, one.version), &one.sha256)).collect();
    let after = table.commits.iter().filter(|(version, _)| newest.is_none_or(|newest| **version > newest.version));
    written.extend(after.map(|(version, sha256)| (commit_path(&table.name, *version), sha256)));
    for (path, sha256) in written {
        let reason = match archive.sha256(&path)? {
            Some(found) if found == *sha256 => continue,
            Some(_) => "its bytes are not those that were written (SHA-256)",
            None => "it is missing",
        };
        return Err(Error::new(Kind::Damaged, format!("reading {}", archive.describe(&path)), reason)
            .with_hint("nothing is cleared that stands in this table; run `holdfast verify`"));
    }
    Ok(())
}

/// Measures what batches wrote; each file once a run.
#[derive(Debug, Default)]
pub struct Measurer {
    pub measured: Measured,
    batches: BTreeSet<String>,
    /// What could not be measured, and so counts as not there.
    pub failed: Vec<Error>,
}

impl Measurer {
    /// Measures everything that the batches behind these objects wrote.
    pub fn measure<'a>(&mut self, archive: &Store, state: &State, ids: impl Iterator<Item = &'a ObjectId>) {
        let mut batches = BTreeSet::new();
        for known in ids.filter_map(|id| state.objects.get(id)) {
            let content = state.contents.get(&(known.outcome.table.key(), known.outcome.sha256.clone()));
            let original = content.into_iter().flat_map(|content| content.batches.iter());
            batches.extend(known.batches.iter().chain(original).cloned());
        }
        let new: BTreeSet<String> = batches.difference(&self.batches).cloned().collect();
        if new.is_empty() {
            return;
        }
        for (key, table) in &state.tables {
            let written: Vec<&str> = table
                .segments
                .iter()
                .filter(|(_, (_, writer))| new.contains(writer))
                .map(|(path, _)| path.as_str())
                .collect();
            if written.is_empty() {
                continue;
            }
            let files = check_log(archive, state, table)
                .and_then(|()| ours_alone(&Table::open(archive, &table.name)?, table)?.files());
            match files {
                Ok(files) => {
                    self.measured.live.insert(key.clone(), files.into_keys().collect());
                }
                Err(error) => {
                    self.measured.live.remove(key);
                    self.failed.push(error);
                    continue;
                }
            }
            for path in written {
                match archive.sha256(&segment_location(&table.name, path)) {
                    Ok(Some(sha256)) => {
                        self.measured.segments.insert((key.clone(), path.to_owned()), sha256);
                    }
                    Ok(None) => {}
                    Err(error) => self.failed.push(error),
                }
            }
        }
        for quarantined in state.quarantine.iter().filter(|quarantined| new.contains(&quarantined.batch)) {
            for path in [&quarantined.file.data, &quarantined.file.index] {
                match archive.sha256(&Path::from(path.as_str())) {
                    Ok(Some(sha256)) => {
                        self.measured.quarantine.insert(path.clone(), sha256);
                    }
                    Ok(None) => {}
                    Err(error) => self.failed.push(error),
                }
            }
        }
        self.batches.extend(new);
    }
}
