//! How it all stands: facts for whoever is on call. What they mean is judged in `findings`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::day::known_tables;
use super::entries::EntryRef;
use super::findings::{Finding, findings};
use super::obstacle::{Fires, Obstacle};
use crate::error::Result;
use crate::ledger::{
    Approval, ApprovedItem, Body, Chain, Entry, HoldScope, Keeping, Stage, Why, damaged, entry_path, sha256_hex, unseal,
};
use crate::names::TableName;
use crate::pipeline::Looked;
use crate::plan::{Act, Because, Blocker, DayVerdict, Fate, Shut};
use crate::policy::{Change, Rule, change, day_of};

/// Everything at a glance.
#[derive(Debug, Serialize)]
pub struct Status {
    /// The highest that applies: of `findings` the first one's; 0 if there are none.
    pub exit_code: u8,
    /// What needs doing, the most severe first.
    pub findings: Vec<Finding>,
    pub archive: String,
    pub simulation: bool,
    pub now: Timestamp,
    pub runs: Runs,
    pub backlog: Backlog,
    pub overdue: Vec<Overdue>,
    pub waiting: Vec<WaitingApproval>,
    pub approvals: Vec<GivenApproval>,
    pub graces: Vec<Grace>,
    pub retired: Amount,
    pub quarantine: Amount,
    pub holds: Vec<HeldBy>,
    pub unfinished: Unfinished,
    /// The window is shut, or the clock or the policies are in doubt.
    pub shut: Option<Shut>,
}

/// The newest runs, and whether one is under way.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Runs {
    /// The newest that ended, of everything.
    pub last: Option<Ended>,
    /// The newest that was stopped early, of certain tables or of the quarantine, if it came after that.
    pub last_partial: Option<Ended>,
    /// The newest that ended with exit code 0.
    pub last_success: Option<Ended>,
    /// The newest that did not fail: it did all it could.
    pub last_done: Option<Ended>,
    /// A run that has begun and not ended.
    pub begun: Option<Begun>,
    /// Who holds the lease, as its holder wrote it; none: nobody.
    pub lease: Option<String>,
    /// Since the last run ended, a person answered: approved, adopted, released a hold, or a policy was accepted.
    pub answered: bool,
    /// The schedule fired twice since the last run that did not fail.
    pub missed: Option<Timestamp>,
    /// Nothing tells when the schedule fires.
    pub unscheduled: bool,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ended {
    #[serde(flatten)]
    pub entry: EntryRef,
    pub exit: u8,
}

/// A run that began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Begun {
    pub run: String,
    pub at: Timestamp,
}

/// Raw objects that are due to be archived (or read).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    pub objects: u64,
    pub bytes: u64,
    pub oldest: Option<Date>,
}

/// Days of a table whose date has come, and what is in the way other than a person's consent.
#[derive(Debug, Clone, Serialize)]
pub struct Overdue {
    pub table: TableName,
    pub keeping: Keeping,
    pub fate: Fate,
    pub days: u64,
    pub rows: u64,
    pub bytes: u64,
    pub from: Date,
    pub to: Date,
    pub obstacle: Obstacle,
}

/// Days of a table that wait for a person's consent.
#[derive(Debug, Clone, Serialize)]
pub struct WaitingApproval {
    pub table: TableName,
    pub keeping: Keeping,
    pub days: u64,
    pub rows: u64,
    pub bytes: u64,
    pub from: Date,
    pub to: Date,
    pub because: Because,
    pub given: u8,
    pub needed: u8,
    /// Nothing is armed, so that consent would change nothing.
    pub unarmed: bool,
}

/// An approval that is valid now.
#[derive(Debug, Clone, Serialize)]
pub struct GivenApproval {
    pub entry: u64,
    pub at: Timestamp,
    pub until: Timestamp,
    /// None: the sealed name was destroyed.
    pub by: Option<String>,
    pub tables: Vec<TableName>,
    pub days: u64,
    /// Days that the next run still has to retire or destroy.
    pub open: u64,
}

/// A shortening whose grace runs.
#[derive(Debug, Clone, Serialize)]
pub struct Grace {
    pub table: TableName,
    /// None: there was no rule.
    pub old: Option<Terms>,
    pub new: Terms,
    pub since: Timestamp,
    /// The first day on which it protects nothing any more. None: it never ends.
    pub until: Option<Date>,
}

/// A rule in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terms {
    pub place: String,
    pub retain: String,
    pub purge_delay: String,
    pub quarantine_retain: String,
    pub clock: crate::policy::ClockSource,
}

/// So much of something, the oldest of it, and when the next of it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    pub oldest: Option<Date>,
    pub next: Option<Date>,
}

/// A hold in force.
#[derive(Debug, Clone, Serialize)]
pub struct HeldBy {
    pub hold: String,
    #[serde(flatten)]
    pub scope: HoldScope,
}

/// What was begun and not ended; the next run settles it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Unfinished {
    pub batches: Vec<String>,
    pub destructions: Vec<String>,
}

/// Gathers it all. `lease`: who holds it, if anybody does.
pub fn status(looked: &Looked, lease: Option<String>, fires: &Fires<'_>) -> Result<Status> {
    let (state, document) = (looked.chain.state(), &looked.document);
    let open = |stage: &Stage| matches!(stage, Stage::Intended | Stage::Prepared(_));
    let mut status = Status {
        exit_code: 0,
        findings: Vec::new(),
        archive: state.archive.clone().unwrap_or_default(),
        simulation: state.simulation,
        now: document.now,
        runs: runs(&looked.chain, lease, document.now, fires)?,
        backlog: backlog(looked),
        overdue: overdue(&document.days),
        waiting: waiting(&document.days),
        approvals: approvals(looked)?,
        graces: graces(looked),
        retired: retired(looked),
        quarantine: quarantine(looked),
        holds: state.holds.iter().map(|(hold, scope)| HeldBy { hold: hold.clone(), scope: scope.clone() }).collect(),
        unfinished: Unfinished {
            batches: state.batches.iter().filter(|(_, one)| open(&one.stage)).map(|(name, _)| name.clone()).collect(),
            destructions: state.open_destroys.keys().cloned().collect(),
        },
        shut: document.shut.clone(),
    };
    status.findings = findings(&status, &looked.errors);
    status.exit_code = status.findings.first().map_or(0, |first| first.exit_code);
    Ok(status)
}

/// Looks back from the newest entry as far as it takes.
fn runs(chain: &Chain, lease: Option<String>, now: Timestamp, fires: &Fires<'_>) -> Result<Runs> {
    let begun = chain.state().open_run.clone().map(|(run, at)| Begun { run, at });
    let mut runs = Runs { begun, lease, unscheduled: fires(None, now).is_none(), ..Runs::default() };
    let newest = chain.state().head().map(|head| head.seq);
    for seq in newest.into_iter().flat_map(|newest| (0..=newest).rev()) {
        let bytes = chain.store().get(&entry_path(seq))?.ok_or_else(|| damaged(seq, "it is missing"))?;
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|source| damaged(seq, source.to_string()))?;
        match entry.body {
            Body::RunEnded { exit, partial, .. } => {
                let reference = EntryRef { entry: seq, sha256: sha256_hex(&bytes), at: entry.at, run: entry.run };
                let ended = Ended { entry: reference, exit };
                if partial {
                    // One that was asked for certain tables says nothing about the others.
                    let newest = runs.last.is_none() && runs.last_partial.is_none();
                    runs.last_partial = runs.last_partial.or_else(|| newest.then_some(ended));
                    continue;
                }
                for (slot, wanted) in
                    [(&mut runs.last, true), (&mut runs.last_done, exit != 1), (&mut runs.last_success, exit == 0)]
                {
                    if wanted && slot.is_none() {
                        *slot = Some(ended.clone());
                    }
                }
                if runs.last_success.is_some() {
                    break;
                }
            }
            Body::Approved { .. } | Body::Adopted { .. } | Body::HoldReleased { .. } | Body::PolicyAccepted { .. } => {
                runs.answered |= runs.last.is_none() && runs.last_partial.is_none();
            }
            _ => {}
        }
    }
    if let Some(done) = &runs.last_done {
        let after = |at: Timestamp| fires(None, at + jiff::SignedDuration::from_secs(1));
        runs.missed = after(done.entry.at).and_then(after).filter(|second| *second < now);
    }
    Ok(runs)
}

fn backlog(looked: &Looked) -> Backlog {
    let due = looked.document.objects.iter().filter(|one| matches!(one.act, Act::Archive | Act::Read));
    let mut backlog = Backlog::default();
    for one in due {
        backlog.objects += 1;
        backlog.bytes += one.bytes;
        backlog.oldest = [backlog.oldest, one.day].into_iter().flatten().min();
    }
    backlog
}

/// Days whose date has come, by table and the first thing that is in the way.
fn overdue(days: &[DayVerdict]) -> Vec<Overdue> {
    let mut found: Vec<Overdue> = Vec::new();
    for verdict in days {
        // Graces and approvals are told apart.
        let other = |blocker: &&Blocker| !matches!(blocker, Blocker::Grace { .. } | Blocker::Approval { .. });
        let Some(blocker) = verdict.blockers.iter().find(other) else { continue };
        let item = &verdict.item;
        let obstacle = Obstacle::of(blocker, &item.table.to_string(), None);
        let same = |one: &&mut Overdue| {
            one.table == item.table
                && (one.keeping, one.fate) == (item.keeping, verdict.fate)
                && one.obstacle == obstacle
        };
        if let Some(known) = found.iter_mut().find(same) {
            known.days += u64::from(known.to != item.day);
            known.rows += item.rows;
            known.bytes += item.bytes;
            known.to = item.day;
            continue;
        }
        found.push(Overdue {
            table: item.table.clone(),
            keeping: item.keeping,
            fate: verdict.fate,
            days: 1,
            rows: item.rows,
            bytes: item.bytes,
            from: item.day,
            to: item.day,
            obstacle,
        });
    }
    found
}

fn waiting(days: &[DayVerdict]) -> Vec<WaitingApproval> {
    let mut found: BTreeMap<(TableName, Keeping), WaitingApproval> = BTreeMap::new();
    for verdict in days {
        let item = &verdict.item;
        for blocker in &verdict.blockers {
            let Blocker::Approval { because, given, needed } = blocker else { continue };
            let waiting = found.entry((item.table.clone(), item.keeping)).or_insert_with(|| WaitingApproval {
                table: item.table.clone(),
                keeping: item.keeping,
                days: 0,
                rows: 0,
                bytes: 0,
                from: item.day,
                to: item.day,
                because: because.clone(),
                given: *given,
                needed: *needed,
                unarmed: verdict.blockers.contains(&Blocker::Unarmed),
            });
            waiting.days += u64::from(waiting.to != item.day || waiting.days == 0);
            waiting.rows += item.rows;
            waiting.bytes += item.bytes;
            waiting.to = item.day;
        }
    }
    found.into_values().collect()
}

fn approvals(looked: &Looked) -> Result<Vec<GivenApproval>> {
    let (state, now) = (looked.chain.state(), looked.document.now);
    let valid = state.approvals.iter().filter(|approval| approval.at <= now && now < approval.until);
    valid.map(|approval| given(looked, approval)).collect()
}

fn given(looked: &Looked, approval: &Approval) -> Result<GivenApproval> {
    let due: BTreeSet<&str> = looked
        .document
        .days
        .iter()
        .filter(|day| day.item.keeping != Keeping::Archive || day.fate == Fate::Retire)
        .flat_map(|day| day.item.files.iter().map(|(_, sha256)| sha256.as_str()))
        .collect();
    // Whoever agreed before a day was put back has not agreed to its going again.
    let put_back = |item: &ApprovedItem| {
        let known = looked.chain.state().tables.get(&item.table.key());
        known.and_then(|known| known.reinstated.get(&item.day)).is_some_and(|seq| *seq > approval.seq)
    };
    let is_open =
        |item: &&ApprovedItem| !put_back(item) && item.sha256s.iter().any(|sha256| due.contains(sha256.as_str()));
    let tables: BTreeSet<&TableName> = approval.items.iter().map(|item| &item.table).collect();
    Ok(GivenApproval {
        entry: approval.seq,
        at: approval.at,
        until: approval.until,
        by: unseal(looked.chain.store(), &approval.by)?,
        tables: tables.into_iter().cloned().collect(),
        days: approval.items.len() as u64,
        open: approval.items.iter().filter(is_open).count() as u64,
    })
}

impl From<&Rule> for Terms {
    fn from(rule: &Rule) -> Self {
        Terms {
            place: rule.origin.to_string(),
            retain: rule.retain.to_string(),
            purge_delay: rule.purge_delay.to_string(),
            quarantine_retain: rule.quarantine_span().to_string(),
            clock: rule.clock,
        }
    }
}

/// The graces that run: those of shortenings that the rule of today did not take back.
fn graces(looked: &Looked) -> Vec<Grace> {
    let now = looked.document.now;
    let mut found = Vec::new();
    for table in known_tables(looked.chain.state(), Some(looked)) {
        let Some(term) = looked.history.term(&table) else { continue };
        for one in term.shortenings.iter().filter(|one| one.waits(now)) {
            // Without an old rule that can be compared, everything is protected.
            let shorter = one.old.as_ref().is_none_or(|old| change(Some(old), Some(&term.rule)) == Change::Shorter);
            if shorter {
                found.push(Grace {
                    table: table.clone(),
                    old: one.old.as_ref().map(Terms::from),
                    new: Terms::from(&term.rule),
                    since: one.since,
                    until: one.over(),
                });
            }
        }
    }
    found
}

fn retired(looked: &Looked) -> Amount {
    let mut amount = Amount::default();
    for known in looked.chain.state().tables.values() {
        for one in known.retired.values().filter(|one| matches!(one.why, Why::Expired(_) | Why::Foreign)) {
            amount.files += 1;
            amount.rows += one.segment.digest.rows;
            amount.bytes += one.segment.bytes;
            amount.oldest = [amount.oldest, Some(one.segment.day)].into_iter().flatten().min();
        }
    }
    let out = |day: &&DayVerdict| {
        day.item.keeping == Keeping::Archive && (day.fate == Fate::Retired || day.fate == Fate::Destroy)
    };
    amount.next = looked.document.days.iter().filter(out).filter_map(|day| day.destroy_at).min();
    amount
}

fn quarantine(looked: &Looked) -> Amount {
    let mut amount = Amount::default();
    for one in looked.chain.state().quarantine.iter().filter(|one| !one.retried) {
        amount.files += 1;
        amount.rows += one.file.records;
        amount.bytes += one.file.bytes;
        amount.oldest = [amount.oldest, Some(day_of(one.at))].into_iter().flatten().min();
    }
    let ours = looked.document.days.iter().filter(|day| day.item.keeping == Keeping::Quarantine);
    amount.next = ours.filter_map(|day| day.destroy_at).min();
    amount
}
