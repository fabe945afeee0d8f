//! The state: the fold of all entries up to one sequence. Deciding reads it; only [`super::Chain`] extends it.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::chain::{Head, damaged, read_attachment};
use super::entry::{
    BatchInput, Body, CommittedTable, Entry, FORMAT, HoldScope, ObjectId, ObjectOutcome, Purpose, TableDetail,
};
use super::expiry::{Ground, Keeping, Settled};
use super::fetch::Lists;
use super::known::{
    AcceptedPolicy, Approval, Batch, Checkpoint, KnownContent, KnownObject, OpenDestroy, Prepared, Quarantined,
    Retirement, Stage,
};
use super::saved::pairs;
use super::subject::{Kept, Subject};
use super::tables::{Gone, KnownTable, log_version};
use crate::error::{Error, Kind, Result};
use crate::names::TableName;
use crate::storage::Store;

/// After a run that never ended, a paused copy of it may still write: so long each run looks for what it left.
const WATCH: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the ledger says, up to and including entry `head`.
///
/// Its JSON is what a saved state holds (`super::saved`): a change of meaning there is a new version of it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
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
    #[serde(with = "pairs")]
    pub objects: HashMap<ObjectId, KnownObject>,
    /// Who first had these bytes in a table: (table key, SHA-256) → content.
    #[serde(with = "pairs")]
    pub contents: HashMap<(String, String), KnownContent>,
    pub open_destroys: BTreeMap<String, OpenDestroy>,
    pub quarantine: Vec<Quarantined>,
    pub holds: BTreeMap<String, HoldScope>,
    pub approvals: Vec<Approval>,
    /// How far retirements have come, by [`TableName::key`].
    #[serde(with = "pairs")]
    pub expiry: BTreeMap<(String, Keeping), Retirement>,
    /// All attachments that entries name.
    #[serde(serialize_with = "sorted")]
    pub attachments: HashSet<String>,
    pub checkpoints: Vec<Checkpoint>,
    /// The newest entry that names a saved state.
    pub saved: Option<u64>,
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
    pub(super) fn apply(&mut self, entry: &Entry, sha256: String, lists: &Lists<'_>) -> Result<()> {
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
                    let detail: Vec<TableDetail> = lists.read(&table.detail)?;
                    let detail =
                        detail.into_iter().next().ok_or_else(|| damaged(entry.seq, "a table has no detail"))?;
                    details.push((table.clone(), detail));
                }
                let prepared = Prepared {
                    seq: entry.seq,
                    tables: details,
                    objects: lists.read(objects)?,
                    quarantine: quarantine.clone(),
                    counts: *counts,
                };
                self.advance(entry.seq, batch, |stage| match stage {
                    Stage::Intended => Some(Stage::Prepared(Box::new(prepared))),
                    _ => None,
                })?;
            }
            Body::BatchCommitted { batch, tables } => self.commit(entry, batch, tables, lists)?,
            Body::BatchAbandoned { batch, .. } => {
                self.unswept = true;
                let at = entry.at;
                self.advance(entry.seq, batch, |stage| match stage {
                    Stage::Intended => Some(Stage::Abandoned { at }),
                    _ => None,
                })?;
            }
            Body::DestroyIntended { step, proof, subjects, grounds, .. } => {
                let subjects = lists.read(subjects)?;
                if let Some(grounds) = grounds {
                    // Of segments, the retirement was what mattered.
                    let mut grounds: Vec<Ground> = lists.read(grounds)?;
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
                let kept: Vec<Kept> = kept.as_ref().map(|kept| lists.read(kept)).transpose()?.unwrap_or_default();
                let saved: HashSet<String> = kept.iter().map(|kept| kept.subject.describe()).collect();
                for subject in open.subjects.iter().filter(|subject| !saved.contains(&subject.describe())) {
                    self.destroyed(subject, kept.is_empty());
                }
            }
            Body::CheckpointWritten { table, version, sha256 } => {
                self.checkpoints.push(Checkpoint { table: table.clone(), version: *version, sha256: sha256.clone() });
            }
            Body::ExpirySettled { tables } => {
                for settled in lists.read::<Settled>(tables)? {
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
                items: lists.read(items)?,
            }),
            Body::Adopted { table, commits, detail, .. } => {
                let detail: Vec<TableDetail> = lists.read(detail)?;
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
            Body::StateSaved { .. } => self.saved = Some(entry.seq),
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

    fn commit(&mut self, entry: &Entry, batch: &str, committed: &[CommittedTable], lists: &Lists<'_>) -> Result<()> {
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
            Purpose::Retire => lists.read(&known.inputs)?,
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

/// In an order of its own, so that the same state has the same bytes.
fn sorted<S: Serializer>(names: &HashSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort_unstable();
    serializer.collect_seq(names)
}
