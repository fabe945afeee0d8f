//! The way of everything that one table ever kept: written, retired, destroyed, as the ledger tells it.
//!
//! The state forgets what is gone; the entries do not. Only committed batches count. Pure but for reading attachments.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::civil::Date;

use super::entries::{EntryRef, Written, read_entries};
use crate::archive::segment_location;
use crate::error::Result;
use crate::ledger::{
    Body, Chain, CommittedTable, Entry, Ground, Keeping, Kept, ObjectId, ObjectOutcome, PreparedTable, ProofKind,
    Purpose, QuarantineFile, Subject, TableDetail, read_attachment,
};
use crate::names::TableName;
use crate::policy::day_of;
use crate::record::SetDigest;
use crate::storage::Store;

/// The ledger's entries, and the way of one table through them.
#[derive(Debug)]
pub struct Annals {
    pub(super) entries: Vec<Written>,
    pub(super) trail: Trail,
}

impl Annals {
    /// Reads them as far as `chain` was folded.
    pub fn read(chain: &Chain, table: &TableName) -> Result<Self> {
        let entries = match chain.state().head() {
            Some(head) => read_entries(chain.store(), head.seq)?,
            None => Vec::new(),
        };
        let trail = trail(chain.store(), &entries, table)?;
        Ok(Annals { entries, trail })
    }
}

/// Everything of one table.
#[derive(Debug, Default)]
pub struct Trail {
    /// By the name of [`crate::ledger::Ground::path`], and in the order of their first writing.
    pub files: BTreeMap<(Keeping, String), FileTrail>,
    /// The committed batches that touched the table.
    pub batches: HashMap<String, BatchTrail>,
    /// Destructions in which something of the table went, oldest first.
    pub steps: Vec<StepTrail>,
}

/// A segment, a quarantine file or a raw-only object.
#[derive(Debug, Clone)]
pub struct FileTrail {
    pub keeping: Keeping,
    pub path: String,
    pub day: Date,
    pub part: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Of segments.
    pub digest: Option<SetDigest>,
    /// The batch that wrote it (for raw-only objects: read it), and when it was committed.
    pub batch: String,
    pub at: Timestamp,
    /// The entry `batch_committed`.
    pub entry: u64,
    /// How it left the table; none: it is in it.
    pub left: Option<Left>,
}

/// How a segment left its table.
#[derive(Debug, Clone)]
pub struct Left {
    pub batch: String,
    /// Decided on the state before this entry.
    pub intended: EntryRef,
    pub committed: EntryRef,
    /// The Delta commit's version.
    pub version: u64,
    pub how: How,
}

#[derive(Debug, Clone)]
pub enum How {
    Expired(Box<Ground>),
    Superseded,
    Erased,
    Foreign,
}

/// A committed batch.
#[derive(Debug, Clone)]
pub struct BatchTrail {
    pub purpose: Purpose,
    pub committed: EntryRef,
    /// What became of its raw objects of this table.
    pub objects: Vec<ObjectOutcome>,
    /// Segments that it wrote anew.
    pub removes: Vec<String>,
}

/// A destruction.
#[derive(Debug, Clone)]
pub struct StepTrail {
    pub step: String,
    pub proof: ProofKind,
    pub intent: EntryRef,
    /// SHA-256 of the entry before the intent: the state that the gate read ends there.
    pub gate_sha256: String,
    /// Of this table.
    pub subjects: Vec<Subject>,
    pub grounds: Vec<Ground>,
    pub outcome: Option<OutcomeTrail>,
}

#[derive(Debug, Clone)]
pub struct OutcomeTrail {
    pub entry: EntryRef,
    /// Of the whole step.
    pub destroyed: u64,
    pub missing: u64,
    /// Names of the subjects that were kept after all, with the reason.
    pub kept: HashMap<String, String>,
}

impl StepTrail {
    /// True if the step is over and the subject is not among what it kept.
    pub fn took(&self, subject: &str) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| !outcome.kept.contains_key(subject))
            && self.subjects.iter().any(|one| one.describe() == subject)
    }
}

/// What is known of a batch before it is committed.
struct Open {
    purpose: Purpose,
    intended: EntryRef,
    grounds: Vec<Ground>,
    details: Vec<(PreparedTable, TableDetail)>,
    objects: Vec<ObjectOutcome>,
    quarantine: Vec<QuarantineFile>,
}

/// Follows `table` through the entries.
fn trail(ledger: &Store, entries: &[Written], table: &TableName) -> Result<Trail> {
    let mut trail = Trail::default();
    let mut open: HashMap<String, Open> = HashMap::new();
    for written in entries {
        let Entry { body, .. } = &written.entry;
        match body {
            Body::BatchIntended { batch, purpose, tables, inputs } if tables.contains(table) => {
                let grounds = match purpose {
                    Purpose::Retire => read_attachment(ledger, inputs)?,
                    _ => Vec::new(),
                };
                let (details, objects, quarantine) = (Vec::new(), Vec::new(), Vec::new());
                let (purpose, intended) = (purpose.clone(), written.reference());
                open.insert(batch.clone(), Open { purpose, intended, grounds, details, objects, quarantine });
            }
            Body::BatchPrepared { batch, tables, objects, quarantine, .. } => {
                let Some(open) = open.get_mut(batch) else { continue };
                for prepared in tables.iter().filter(|prepared| prepared.table == *table) {
                    let detail = read_attachment::<TableDetail>(ledger, &prepared.detail)?;
                    open.details.extend(detail.into_iter().map(|detail| (prepared.clone(), detail)));
                }
                open.objects = read_attachment(ledger, objects)?;
                open.objects.retain(|outcome| outcome.table == *table);
                open.quarantine = quarantine.iter().filter(|file| file.table == *table).cloned().collect();
            }
            Body::BatchCommitted { batch, tables } => {
                if let Some(open) = open.remove(batch) {
                    trail.committed(batch, open, tables, written, table);
                }
            }
            Body::Adopted { table: adopted, commits, detail, .. } if adopted == table => {
                let batch = format!("adopted-{}", written.entry.seq);
                for detail in read_attachment::<TableDetail>(ledger, detail)? {
                    let version = commits.iter().map(|commit| commit.version).max().unwrap_or_default();
                    let intended = written.reference();
                    trail.changed(&batch, &intended, written, version, &detail, &Purpose::Archive, &[]);
                }
            }
            Body::DestroyIntended { step, proof, subjects, grounds, .. } => {
                let mut subjects: Vec<Subject> = read_attachment(ledger, subjects)?;
                subjects.retain(|subject| subject.table() == Some(table));
                if subjects.is_empty() {
                    continue;
                }
                let mut grounds: Vec<Ground> =
                    grounds.as_ref().map(|list| read_attachment(ledger, list)).transpose()?.unwrap_or_default();
                grounds.retain(|ground| ground.table == *table);
                trail.steps.push(StepTrail {
                    step: step.clone(),
                    proof: *proof,
                    intent: written.reference(),
                    gate_sha256: written.entry.prev.clone(),
                    subjects,
                    grounds,
                    outcome: None,
                });
            }
            Body::DestroyDone { step, destroyed, missing, kept } => {
                let Some(intended) = trail.steps.iter_mut().find(|one| one.step == *step) else { continue };
                let kept: Vec<Kept> =
                    kept.as_ref().map(|kept| read_attachment(ledger, kept)).transpose()?.unwrap_or_default();
                let kept = kept.into_iter().map(|kept| (kept.subject.describe(), kept.reason)).collect();
                let entry = written.reference();
                intended.outcome = Some(OutcomeTrail { entry, destroyed: *destroyed, missing: *missing, kept });
            }
            _ => {}
        }
    }
    Ok(trail)
}

impl Trail {
    fn committed(
        &mut self,
        batch: &str,
        open: Open,
        committed: &[CommittedTable],
        written: &Written,
        table: &TableName,
    ) {
        let version = committed.iter().find(|one| one.table == *table).map_or(0, |one| one.version);
        let mut removes = Vec::new();
        for (_, detail) in &open.details {
            self.changed(batch, &open.intended, written, version, detail, &open.purpose, &open.grounds);
            removes.extend(detail.removes.iter().cloned());
        }
        let (at, entry) = (written.entry.at, written.entry.seq);
        for file in &open.quarantine {
            self.insert(FileTrail {
                keeping: Keeping::Quarantine,
                path: file.data.clone(),
                day: day_of(at),
                part: "quarantine".into(),
                rows: file.records,
                bytes: file.bytes,
                sha256: file.data_sha256.clone(),
                digest: None,
                batch: batch.to_owned(),
                at,
                entry,
                left: None,
            });
        }
        for outcome in &open.objects {
            let key = (Keeping::Raw, outcome.id().to_string());
            let Some(day) = outcome.last_day else {
                // It is archived now: no longer one that stays raw.
                self.files.remove(&key);
                continue;
            };
            let before = self.files.get(&key);
            let before = before.filter(|_| outcome.continues.is_some());
            self.insert(FileTrail {
                keeping: Keeping::Raw,
                path: outcome.id().to_string(),
                day: before.map_or(day, |before| day.max(before.day)),
                part: "raw".into(),
                rows: outcome.counts.raw + before.map_or(0, |before| before.rows),
                bytes: outcome.size,
                sha256: outcome.sha256.clone(),
                digest: None,
                batch: batch.to_owned(),
                at,
                entry,
                left: None,
            });
        }
        let known =
            BatchTrail { purpose: open.purpose, committed: written.reference(), objects: open.objects, removes };
        self.batches.insert(batch.to_owned(), known);
    }

    fn insert(&mut self, file: FileTrail) {
        self.files.insert((file.keeping, file.path.clone()), file);
    }

    /// Takes over what one commit did to the table.
    #[expect(clippy::too_many_arguments, reason = "a commit's facts; a struct would only rename them")]
    fn changed(
        &mut self,
        batch: &str,
        intended: &EntryRef,
        written: &Written,
        version: u64,
        detail: &TableDetail,
        purpose: &Purpose,
        grounds: &[Ground],
    ) {
        for path in &detail.removes {
            let Some(file) = self.files.get_mut(&(Keeping::Archive, path.clone())) else { continue };
            let how = match purpose {
                Purpose::Merge => How::Superseded,
                Purpose::Erase { .. } => How::Erased,
                _ => match grounds.iter().find(|ground| ground.path == *path) {
                    Some(ground) => How::Expired(Box::new(ground.clone())),
                    None => How::Foreign,
                },
            };
            let (batch, intended, committed) = (batch.to_owned(), intended.clone(), written.reference());
            file.left = Some(Left { batch, intended, committed, version, how });
        }
        for add in &detail.adds {
            let key = (Keeping::Archive, add.path.clone());
            if let Some(known) = self.files.get_mut(&key) {
                // Put back: still its first writer's.
                known.left = None;
                continue;
            }
            self.insert(FileTrail {
                keeping: Keeping::Archive,
                path: add.path.clone(),
                day: add.day,
                part: add.part.clone(),
                rows: add.digest.rows,
                bytes: add.bytes,
                sha256: add.sha256.clone(),
                digest: Some(add.digest),
                batch: batch.to_owned(),
                at: written.entry.at,
                entry: written.entry.seq,
                left: None,
            });
        }
    }

    /// The step in which a file's bytes went, if they did; else the newest that was to take them.
    pub fn destruction(&self, table: &TableName, file: &FileTrail) -> Option<(&StepTrail, bool)> {
        let subject = file.subject(table);
        let about = |step: &&StepTrail| step.intent.entry > file.entry && step.names(&subject, file);
        let took = self.steps.iter().filter(about).find(|step| step.took(&subject));
        took.map(|step| (step, true)).or_else(|| self.steps.iter().rfind(about).map(|step| (step, false)))
    }

    /// True if its bytes still exist, as far as the ledger knows.
    pub fn still_there(&self, table: &TableName, file: &FileTrail) -> bool {
        !self.destruction(table, file).is_some_and(|(_, took)| took)
    }

    /// The first step after entry `after` in which the raw object was cleared or destroyed.
    pub fn cleared(&self, id: &ObjectId, after: u64) -> Option<&StepTrail> {
        let subject = format!("raw object {id}");
        self.steps.iter().find(|step| step.intent.entry > after && step.took(&subject))
    }
}

impl StepTrail {
    fn names(&self, subject: &str, file: &FileTrail) -> bool {
        self.subjects.iter().any(|one| {
            let same = match one {
                Subject::Segment { sha256, .. } | Subject::Raw { sha256, .. } => *sha256 == file.sha256,
                _ => true,
            };
            same && one.describe() == subject
        })
    }
}

impl FileTrail {
    /// As [`Subject::describe`] calls it.
    pub fn subject(&self, table: &TableName) -> String {
        match self.keeping {
            Keeping::Archive => format!("segment {}", segment_location(table, &self.path)),
            Keeping::Raw => format!("raw object {}", self.path),
            Keeping::Quarantine => format!("quarantine {}", self.path),
        }
    }
}
