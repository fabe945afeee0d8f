//! The state: the fold of all entries up to one sequence. Deciding reads it; only [`super::Chain`] extends it.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::chain::{Head, damaged, read_attachment};
use super::entry::{
    AttachmentRef, BatchInput, Body, CommittedTable, Counts, Entry, FORMAT, HoldScope, ObjectId, ObjectOutcome,
    PreparedTable, Purpose, QuarantineFile, SealedRef, TableDetail,
};
use super::expiry::{ApprovedItem, Ground, Keeping, Settled};
use super::subject::{Kept, ProofKind, Subject};
use super::tables::{Gone, KnownTable, log_version};
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::storage::Store;

/// After a run that never ended, a paused copy of it may still write: so long each run looks for what it left.
const WATCH: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the ledger says, up to and including entry `head`.
#[derive(Debug, Default)]
pub struct State {
    head: Option<Head>,
    /// `at` of the newest entry.
    pub last_at: Option<Timestamp>,
    /// The archive's id, from entry 0.
    pub archive: Option<String>,
    pub simulation: bool,
    /// Every policy that was accepted, oldest first.
    pub policies: Vec<AcceptedPolicy>,
    /// The newest run, while it has not ended.
    pub open_run: Option<(String, Timestamp)>,
    /// Runs that another one took over from.
    pub unended: Vec<(String, Timestamp)>,
    /// Batches were abandoned, and no armed run has ended since that would have removed what they uploaded.
    pub unswept: bool,
    /// The newest run may destroy uploads of abandoned batches.
    sweeping: bool,
    /// Tables by [`TableName::key`], in the spelling first used.
    pub tables: BTreeMap<String, KnownTable>,
    pub batches: BTreeMap<String, Batch>,
    /// Raw objects that committed batches read.
    pub objects: HashMap<ObjectId, KnownObject>,
    /// Who first had these bytes in a table: (table key, SHA-256) → content.
    pub contents: HashMap<(String, String), KnownContent>,
    pub open_destroys: BTreeMap<String, OpenDestroy>,
    pub quarantine: Vec<Quarantined>,
    pub holds: BTreeMap<String, HoldScope>,
    pub approvals: Vec<Approval>,
    /// How far retirements have come, by [`TableName::key`].
    pub expiry: BTreeMap<(String, Keeping), Retirement>,
    /// All attachments that entries name.
    pub attachments: HashSet<String>,
    pub checkpoints: Vec<Checkpoint>,
}

#[derive(Debug, Clone)]
pub struct AcceptedPolicy {
    pub digest: String,
    pub files: AttachmentRef,
    pub seq: u64,
    /// The `now` of the first run that saw it.
    pub at: Timestamp,
}

/// A person's consent.
#[derive(Debug, Clone)]
pub struct Approval {
    pub seq: u64,
    pub at: Timestamp,
    pub until: Timestamp,
    pub plan: String,
    pub by: SealedRef,
    pub items: Vec<ApprovedItem>,
}

/// How far the retirements of one table have come.
#[derive(Debug, Clone, Default)]
pub struct Retirement {
    /// The last run that retired all that was due, be it nothing.
    pub settled_at: Option<Timestamp>,
    /// The rule (file and name) under which something was last retired, and when.
    pub under: Option<(String, Timestamp)>,
}

#[derive(Debug, Clone)]
pub struct Batch {
    pub seq: u64,
    pub at: Timestamp,
    pub run: String,
    pub purpose: Purpose,
    pub tables: Vec<TableName>,
    pub inputs: AttachmentRef,
    pub stage: Stage,
    pub gone: Gone,
}

#[derive(Debug, Clone)]
pub enum Stage {
    Intended,
    Prepared(Box<Prepared>),
    Committed { at: Timestamp, rows: u64 },
    Abandoned { at: Timestamp },
}

/// A batch between `prepared` and `committed`.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub seq: u64,
    pub tables: Vec<(PreparedTable, TableDetail)>,
    pub objects: Vec<ObjectOutcome>,
    pub quarantine: Vec<QuarantineFile>,
    pub counts: Counts,
}

/// A raw object as the ledger knows it.
#[derive(Debug, Clone)]
pub struct KnownObject {
    pub outcome: ObjectOutcome,
    /// The committed batches that read it, oldest first; each must still stand before it is cleared.
    pub batches: Vec<String>,
    /// What they made of its records, all together.
    pub counts: Counts,
    /// When the newest of them was committed: `keep_raw` counts from here.
    pub archived_at: Timestamp,
    pub cleared: bool,
}

/// The bytes of a whole raw object.
#[derive(Debug, Clone)]
pub struct KnownContent {
    pub object: ObjectId,
    /// The batches that read them.
    pub batches: Vec<String>,
    /// What became of their records.
    pub counts: Counts,
}

#[derive(Debug, Clone)]
pub struct OpenDestroy {
    pub seq: u64,
    pub proof: ProofKind,
    pub subjects: Vec<Subject>,
}

#[derive(Debug, Clone)]
pub struct Quarantined {
    pub batch: String,
    pub at: Timestamp,
    pub file: QuarantineFile,
    /// A later batch judged its records again: what still could not be judged stands there.
    pub retried: bool,
}

#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub table: TableName,
    pub version: u64,
    pub sha256: String,
}

impl State {
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    pub fn next_seq(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.seq + 1)
    }

    /// True while uploads may lie there that belong to nothing: of a batch that nobody swept after, or of a run that never
    /// ended and may still, paused, hold pen in hand.
    pub fn must_sweep(&self, now: Timestamp) -> bool {
        self.unswept || self.unended.iter().any(|(_, at)| now.duration_since(*at) < WATCH)
    }

    /// The policy that was accepted last.
    pub fn policy(&self) -> Option<&AcceptedPolicy> {
        self.policies.last()
    }

    /// The spelling of a table, if it is known.
    pub fn spelling(&self, table: &TableName) -> Option<&TableName> {
        self.tables.get(&table.key()).map(|known| &known.name)
    }

    /// Adds one entry. An entry that does not follow from the state is damage.
    pub(super) fn apply(&mut self, entry: &Entry, sha256: String, store: &Store) -> Result<()> {
        if (entry.seq == 0) != matches!(entry.body, Body::Created { .. }) {
            return Err(damaged(entry.seq, "a ledger begins with one `created` entry, and has no second one"));
        }
        self.attachments.extend(entry.body.attachments().into_iter().map(|reference| reference.sha256.clone()));
        match &entry.body {
            Body::Created { archive, format, simulation } => {
                if *format > FORMAT {
                    return Err(Error::new(
                        Kind::Usage,
                        "opening the ledger",
                        format!("it has format {format}, this version knows formats up to {FORMAT}"),
                    )
                    .with_hint("use the Holdfast that wrote it, or a newer one"));
                }
                self.archive = Some(archive.clone());
                self.simulation = *simulation;
            }
            Body::RunStarted { armed, .. } => {
                self.sweeping = armed.raw || armed.expired;
                self.unended.extend(self.open_run.take());
                self.open_run = Some((entry.run.clone(), entry.at));
            }
            Body::RunEnded { .. } => {
                if self.open_run.take_if(|(run, _)| *run == entry.run).is_some() && self.sweeping {
                    self.unswept = false;
                }
            }
            Body::PolicyAccepted { digest, files } => {
                let (digest, files) = (digest.clone(), files.clone());
                self.policies.push(AcceptedPolicy { digest, files, seq: entry.seq, at: entry.at });
            }
            Body::BatchIntended { batch, purpose, tables, inputs } => {
                let batch_state = Batch {
                    seq: entry.seq,
                    at: entry.at,
                    run: entry.run.clone(),
                    purpose: purpose.clone(),
                    tables: tables.clone(),
                    inputs: inputs.clone(),
                    stage: Stage::Intended,
                    gone: Gone::default(),
                };
                if self.batches.insert(batch.clone(), batch_state).is_some() {
                    return Err(damaged(entry.seq, format!("batch {batch} is intended twice")));
                }
            }
            Body::BatchPrepared { batch, tables, objects, quarantine, counts } => {
                let mut details = Vec::with_capacity(tables.len());
                for table in tables {
                    let detail: Vec<TableDetail> = read_attachment(store, &table.detail)?;
                    let detail =
                        detail.into_iter().next().ok_or_else(|| damaged(entry.seq, "a table has no detail"))?;
                    details.push((table.clone(), detail));
                }
                let prepared = Prepared {
                    seq: entry.seq,
                    tables: details,
                    objects: read_attachment(store, objects)?,
                    quarantine: quarantine.clone(),
                    counts: *counts,
                };
                self.advance(entry.seq, batch, |stage| match stage {
                    Stage::Intended => Some(Stage::Prepared(Box::new(prepared))),
                    _ => None,
                })?;
            }
            Body::BatchCommitted { batch, tables } => self.commit(entry, batch, tables, store)?,
            Body::BatchAbandoned { batch, .. } => {
                self.unswept = true;
                let at = entry.at;
                self.advance(entry.seq, batch, |stage| match stage {
                    Stage::Intended => Some(Stage::Abandoned { at }),
                    _ => None,
                })?;
            }
            Body::DestroyIntended { step, proof, subjects, grounds, .. } => {
                let subjects = read_attachment(store, subjects)?;
                if let Some(grounds) = grounds {
                    // Of segments, the retirement was what mattered.
                    let mut grounds: Vec<Ground> = read_attachment(store, grounds)?;
                    grounds.retain(|ground| ground.keeping != Keeping::Archive);
                    self.expired_under(&grounds, entry.at);
                }
                self.open_destroys.insert(step.clone(), OpenDestroy { seq: entry.seq, proof: *proof, subjects });
            }
            Body::DestroyDone { step, kept, .. } => {
                let open = self
                    .open_destroys
                    .remove(step)
                    .ok_or_else(|| damaged(entry.seq, format!("destruction {step} was never intended")))?;
                let kept: Vec<Kept> =
                    kept.as_ref().map(|kept| read_attachment(store, kept)).transpose()?.unwrap_or_default();
                let saved: HashSet<String> = kept.iter().map(|kept| kept.subject.describe()).collect();
                for subject in open.subjects.iter().filter(|subject| !saved.contains(&subject.describe())) {
                    self.destroyed(subject, kept.is_empty());
                }
            }
            Body::CheckpointWritten { table, version, sha256 } => {
                self.checkpoints.push(Checkpoint { table: table.clone(), version: *version, sha256: sha256.clone() });
            }
            Body::ExpirySettled { tables } => {
                for settled in read_attachment::<Settled>(store, tables)? {
                    let key = (settled.table.key(), settled.keeping);
                    self.expiry.entry(key).or_default().settled_at = Some(entry.at);
                }
            }
            Body::Approved { plan, items, until, by, .. } => self.approvals.push(Approval {
                seq: entry.seq,
                at: entry.at,
                until: *until,
                plan: plan.clone(),
                by: by.clone(),
                items: read_attachment(store, items)?,
            }),
            Body::Adopted { table, commits, detail, .. } => {
                let detail: Vec<TableDetail> = read_attachment(store, detail)?;
                let known = self
                    .tables
                    .get_mut(&table.key())
                    .ok_or_else(|| damaged(entry.seq, format!("{table} is adopted, but was never written to")))?;
                for commit in commits {
                    known.version = known.version.max(commit.version);
                    known.commits.insert(commit.version, commit.sha256.clone());
                }
                let writer = format!("adopted-{}", entry.seq);
                for detail in &detail {
                    known.committed(detail, &Purpose::Archive, &[], &writer, &mut self.batches, entry.at);
                }
            }
            Body::HoldPlaced { hold, scope, .. } => {
                self.holds.insert(hold.clone(), scope.clone());
            }
            Body::HoldReleased { hold, .. } => {
                self.holds.remove(hold);
            }
        }
        self.last_at = Some(entry.at);
        self.head = Some(Head { seq: entry.seq, sha256 });
        Ok(())
    }

    fn advance(&mut self, seq: u64, batch: &str, next: impl FnOnce(&Stage) -> Option<Stage>) -> Result<()> {
        let known =
            self.batches.get_mut(batch).ok_or_else(|| damaged(seq, format!("batch {batch} was never intended")))?;
        known.stage = next(&known.stage)
            .ok_or_else(|| damaged(seq, format!("batch {batch} is not at a stage that this can follow")))?;
        Ok(())
    }

    fn commit(&mut self, entry: &Entry, batch: &str, committed: &[CommittedTable], store: &Store) -> Result<()> {
        let known = self
            .batches
            .get_mut(batch)
            .ok_or_else(|| damaged(entry.seq, format!("batch {batch} was never intended")))?;
        let stage = std::mem::replace(&mut known.stage, Stage::Committed { at: entry.at, rows: 0 });
        let Stage::Prepared(prepared) = stage else {
            return Err(damaged(entry.seq, format!("batch {batch} is committed without having been prepared")));
        };
        known.stage = Stage::Committed { at: entry.at, rows: prepared.counts.archived };
        let purpose = known.purpose.clone();
        let grounds: Vec<Ground> = match &purpose {
            Purpose::Retire => read_attachment(store, &known.inputs)?,
            _ => Vec::new(),
        };
        self.expired_under(&grounds, entry.at);
        if let Purpose::Retry { batches } = &purpose {
            for file in self.quarantine.iter_mut().filter(|file| batches.contains(&file.batch)) {
                file.retried = true;
            }
        }
        for ((table, detail), done) in prepared.tables.iter().zip(committed) {
            let known = self.tables.entry(table.table.key()).or_insert_with(|| KnownTable::new(table.table.clone()));
            known.version = done.version;
            known.commits.insert(done.version, done.sha256.clone());
            known.committed(detail, &purpose, &grounds, batch, &mut self.batches, entry.at);
        }
        for file in &prepared.quarantine {
            self.quarantine.push(Quarantined {
                batch: batch.to_owned(),
                at: entry.at,
                file: file.clone(),
                retried: false,
            });
        }
        for outcome in prepared.objects {
            self.read(outcome, batch, entry.at);
        }
        Ok(())
    }

    /// Something was let go under these rules: the next time is not the first.
    fn expired_under(&mut self, grounds: &[Ground], at: Timestamp) {
        for ground in grounds {
            let retirement = self.expiry.entry((ground.table.key(), ground.keeping)).or_default();
            retirement.under = Some((ground.rule.clone(), at));
        }
    }

    fn read(&mut self, mut outcome: ObjectOutcome, batch: &str, at: Timestamp) {
        let id = outcome.id();
        let earlier = outcome.continues.as_ref().and_then(|continued| self.objects.get(continued).cloned());
        let mut counts = earlier.as_ref().map(|known| known.counts).unwrap_or_default();
        counts.add(&outcome.counts);
        let mut batches = earlier.as_ref().map(|known| known.batches.clone()).unwrap_or_default();
        batches.push(batch.to_owned());
        if let Some(earlier) = &earlier {
            outcome.last_day = outcome.last_day.max(earlier.outcome.last_day);
        }
        // What stays raw has its records in itself alone: another object with the same bytes is no duplicate of it.
        if outcome.duplicate_of.is_none() && outcome.last_day.is_none() {
            let content = KnownContent { object: id.clone(), batches: batches.clone(), counts };
            self.contents.entry((outcome.table.key(), outcome.sha256.clone())).or_insert(content);
        }
        self.objects.insert(id, KnownObject { outcome, batches, counts, archived_at: at, cleared: false });
    }

    /// `whole`: everything else of the same step went, too.
    fn destroyed(&mut self, subject: &Subject, whole: bool) {
        match subject {
            Subject::Raw { source, path, sha256, .. } => {
                let id = ObjectId { source: source.clone(), path: path.clone() };
                if let Some(known) = self.objects.get_mut(&id).filter(|known| known.outcome.sha256 == *sha256) {
                    known.cleared = true;
                }
            }
            Subject::Attachment { sha256 } => {
                self.attachments.remove(sha256);
            }
            Subject::Segment { table, path, .. } => {
                if let Some(known) = self.tables.get_mut(&table.key()) {
                    known.destroyed(path, &mut self.batches);
                }
            }
            Subject::Quarantine { path, .. } => {
                self.quarantine.retain(|one| one.file.data != *path && one.file.index != *path);
            }
            Subject::DeltaLog { table, path } => {
                let Some(version) = log_version(path) else { return };
                self.checkpoints
                    .retain(|one| one.table != *table || one.version != version || !path.contains(".checkpoint."));
                if let Some(known) = self.tables.get_mut(&table.key()) {
                    if path.ends_with(".json") {
                        known.trimmed(version);
                    }
                    // A long log goes in several steps: only the last of them leaves nothing to trim.
                    known.untrimmed &= !whole || known.first_commit < known.version;
                }
            }
            Subject::Partial { .. } | Subject::Index { .. } => {}
        }
    }

    /// The inputs of a batch that was never prepared.
    pub fn inputs(&self, store: &Store, batch: &Batch) -> Result<Vec<BatchInput>> {
        read_attachment(store, &batch.inputs)
    }
}
