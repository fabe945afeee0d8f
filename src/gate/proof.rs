//! Proofs: why something may be destroyed. Each constructor does the proving, from the state and from facts measured
//! just now; the architecture test lists which stage may call which.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use super::Blocked;
use super::expired::{Expired, ObsoleteLog, Superseded};
use crate::ledger::{KnownObject, KnownTable, Month, ObjectId, Segment, Stage, State, Subject, Why};

/// A reason to destroy. `Erased` has no constructor yet: erasing comes later.
#[derive(Debug)]
pub enum Proof {
    ArchivedVerified(ArchivedVerified),
    Expired(Expired),
    Superseded(Superseded),
    NeverCommitted(NeverCommitted),
    Erased(Erased),
    DuplicateOf(DuplicateOf),
    ObsoleteLog(ObsoleteLog),
}

/// All of a raw object's records stand in the archive, in quarantine, or are counted (I1).
#[derive(Debug)]
pub struct ArchivedVerified {
    id: ObjectId,
    sha256: String,
    at_seq: u64,
}

/// The very same bytes were read from another raw object, whose records stand.
#[derive(Debug)]
pub struct DuplicateOf {
    id: ObjectId,
    sha256: String,
    at_seq: u64,
}

/// A file of a batch that was abandoned, or an attachment that no entry names.
#[derive(Debug)]
pub struct NeverCommitted {
    path: String,
    at_seq: u64,
}

/// A segment that an erasure rewrote.
#[derive(Debug)]
pub struct Erased {
    path: String,
    at_seq: u64,
}

/// What was found in the store just now. What was not measured is not there.
#[derive(Debug, Default)]
pub struct Measured {
    /// Paths in the Delta snapshot, by table key.
    pub live: HashMap<String, HashSet<String>>,
    /// SHA-256 of a table's files as read now: (table key, path).
    pub segments: HashMap<(String, String), String>,
    /// SHA-256 of other files as read now, by path in the archive: quarantine, Delta checkpoints.
    pub files: HashMap<String, String>,
    /// The segments that a month's index names, by table key; of a month without an index, none.
    pub indexed: HashMap<(String, Month), HashSet<String>>,
}

impl ArchivedVerified {
    /// Proves that the object's records are all accounted for and that `keep_until` has come.
    pub fn prove(
        id: &ObjectId,
        state: &State,
        measured: &Measured,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, Blocked> {
        let known = known(id, state)?;
        kept_long_enough(keep_until, now)?;
        if known.outcome.duplicate_of.is_some() {
            return Err(Blocked::because("it was counted as a duplicate"));
        }
        all_stand(known, state, measured)?;
        Ok(ArchivedVerified { id: id.clone(), sha256: known.outcome.sha256.clone(), at_seq: seq(state)? })
    }
}

impl DuplicateOf {
    /// Proves that another object had the very same bytes and that its records are all accounted for.
    pub fn prove(
        id: &ObjectId,
        state: &State,
        measured: &Measured,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> Result<Self, Blocked> {
        let this = known(id, state)?;
        kept_long_enough(keep_until, now)?;
        let original = this.outcome.duplicate_of.as_ref().ok_or_else(|| Blocked::because("it is no duplicate"))?;
        let first = state
            .contents
            .get(&(this.outcome.table.key(), this.outcome.sha256.clone()))
            .filter(|first| first.object == *original)
            .ok_or_else(|| Blocked::because(format!("{original} is not known with the same bytes")))?;
        // The name may have been used again since: the batches that read those bytes are what must stand.
        first.batches.iter().try_for_each(|batch| stands(batch, state, measured))?;
        Ok(DuplicateOf { id: id.clone(), sha256: this.outcome.sha256.clone(), at_seq: seq(state)? })
    }
}

impl NeverCommitted {
    /// Proves that `path`, an upload of `batch`, belongs to nothing. `live` holds every path of every snapshot, relative
    /// to the archive.
    pub fn prove_upload(path: &str, batch: &str, state: &State, live: &HashSet<String>) -> Result<Self, Blocked> {
        match state.batches.get(batch).map(|batch| &batch.stage) {
            Some(Stage::Abandoned { .. }) => {}
            Some(_) => return Err(Blocked::because(format!("batch {batch} was not abandoned"))),
            None => return Err(Blocked::because(format!("batch {batch} is not ours"))),
        }
        if !carries(path, batch) {
            return Err(Blocked::because(format!("its name does not carry batch {batch}")));
        }
        if live.contains(path) {
            return Err(Blocked::because("a snapshot names it"));
        }
        Ok(NeverCommitted { path: path.to_owned(), at_seq: seq(state)? })
    }

    /// Proves that no entry names the attachment.
    pub fn prove_attachment(sha256: &str, state: &State) -> Result<Self, Blocked> {
        if state.attachments.contains(sha256) {
            return Err(Blocked::because("an entry names it"));
        }
        Ok(NeverCommitted { path: sha256.to_owned(), at_seq: seq(state)? })
    }
}

impl Proof {
    pub(super) fn at_seq(&self) -> u64 {
        match self {
            Proof::ArchivedVerified(proof) => proof.at_seq,
            Proof::DuplicateOf(proof) => proof.at_seq,
            Proof::NeverCommitted(proof) => proof.at_seq,
            Proof::Expired(proof) => proof.at_seq(),
            Proof::Superseded(proof) => proof.at_seq(),
            Proof::Erased(proof) => proof.at_seq,
            Proof::ObsoleteLog(proof) => proof.at_seq(),
        }
    }

    pub(super) fn is_about(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (
                Proof::ArchivedVerified(ArchivedVerified { id, sha256: bytes, .. })
                | Proof::DuplicateOf(DuplicateOf { id, sha256: bytes, .. }),
                Subject::Raw { source, path, sha256, .. },
            ) => id.source == *source && id.path == *path && bytes == sha256,
            (Proof::NeverCommitted(proof), Subject::Partial { path, .. }) => proof.path == *path,
            (Proof::NeverCommitted(proof), Subject::Attachment { sha256 }) => proof.path == *sha256,
            (Proof::Expired(proof), subject) => proof.is_about(subject),
            (Proof::Superseded(proof), subject) => proof.is_about(subject),
            (Proof::ObsoleteLog(proof), subject) => proof.is_about(subject),
            (Proof::Erased(Erased { path: proven, .. }), Subject::Segment { path, .. }) => proven == path,
            _ => false,
        }
    }
}

/// True if the file's name begins with the batch's id, as everything that a batch uploads does.
pub fn carries(path: &str, batch: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.strip_prefix(batch).is_some_and(|rest| rest.starts_with(['-', '.']))
}

pub(super) fn known<'a>(id: &ObjectId, state: &'a State) -> Result<&'a KnownObject, Blocked> {
    match state.objects.get(id) {
        None => Err(Blocked::because("the ledger does not know it")),
        Some(known) if known.cleared => Err(Blocked::because("the ledger says that it was cleared")),
        Some(known) => Ok(known),
    }
}

fn kept_long_enough(keep_until: Timestamp, now: Timestamp) -> Result<(), Blocked> {
    if now < keep_until { Err(Blocked::because(format!("keep_raw keeps it until {keep_until}"))) } else { Ok(()) }
}

pub(super) fn all_stand(known: &KnownObject, state: &State, measured: &Measured) -> Result<(), Blocked> {
    if known.batches.is_empty() {
        return Err(Blocked::because("no batch is known that read it"));
    }
    known.batches.iter().try_for_each(|batch| stands(batch, state, measured))
}

/// A batch stands if it is committed and each row it wrote is where it belongs, as it was: live in its table, retired but
/// there, written anew by a batch that stands, or destroyed since because it expired.
pub(super) fn stands(batch: &str, state: &State, measured: &Measured) -> Result<(), Blocked> {
    let known = state.batches.get(batch);
    let Some((known, Stage::Committed { rows, .. })) = known.map(|known| (known, &known.stage)) else {
        return Err(Blocked::because(format!("batch {batch} is not committed")));
    };
    let mut found = known.gone.expired;
    for table in &known.tables {
        let key = table.key();
        let Some(table) = state.tables.get(&key) else { continue };
        for (segment, _) in table.segments.values().filter(|(_, writer)| writer == batch) {
            if !measured.live.get(&key).is_some_and(|live| live.contains(&segment.path)) {
                return Err(Blocked::because(format!("segment {}/{} is not in its table", table.name, segment.path)));
            }
            found += intact(table, segment, measured)?;
        }
        for retired in table.retired.values().filter(|retired| retired.batch == batch) {
            if matches!(retired.why, Why::Expired(_) | Why::Foreign) {
                found += intact(table, &retired.segment, measured)?;
            }
        }
    }
    for (by, rows) in &known.gone.rewritten {
        stands(by, state, measured)?;
        found += rows;
    }
    if found != *rows {
        return Err(Blocked::because(format!("batch {batch} archived {rows} rows, of which {found} are found")));
    }
    for quarantined in state.quarantine.iter().filter(|quarantined| quarantined.batch == batch) {
        let file = &quarantined.file;
        for (path, sha256) in [(&file.data, &file.data_sha256), (&file.index, &file.index_sha256)] {
            if measured.files.get(path) != Some(sha256) {
                return Err(Blocked::because(format!("quarantine file {path} is not what was written")));
            }
        }
    }
    Ok(())
}

/// The segment's rows, if its bytes are those that were written.
fn intact(table: &KnownTable, segment: &Segment, measured: &Measured) -> Result<u64, Blocked> {
    let name = format!("{}/{}", table.name, segment.path);
    match measured.segments.get(&(table.name.key(), segment.path.clone())) {
        Some(sha256) if *sha256 == segment.sha256 => Ok(segment.digest.rows),
        Some(_) => Err(Blocked::because(format!("segment {name} is not what was written"))),
        None => Err(Blocked::because(format!("segment {name} is not there"))),
    }
}

pub(super) fn seq(state: &State) -> Result<u64, Blocked> {
    state.head().map(|head| head.seq).ok_or_else(|| Blocked::because("the ledger is empty"))
}
