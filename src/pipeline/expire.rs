//! What has expired: reinstate what must stay after all, retire what is due, destroy what was retired long enough ago.
//!
//! Everything here carries out verdicts of `plan::expiry` and makes none. Retiring and reinstating are Delta commits like
//! any batch's, so that a killed run's are rolled forward; destroying passes the gate one subject at a time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::clear::raw_subject;
use super::context::Context;
use super::deciding::{Deciding, consents};
use super::destroy::{Outcome, Stores, destroy, unfinished};
use super::index::refresh;
use super::measure::{Measurer, ours};
use super::membership::{Step, reinstate, retire};
use crate::archive::segment_location;
use crate::error::{Error, Kind, Result};
use crate::gate::{Blocked, Expired, Proof, Superseded, hold_on};
use crate::ledger::{Body, Chain, Ground, Keeping, Month, ObjectId, ProofKind, Settled, State, Subject, Why};
use crate::names::TableName;
use crate::plan::{DayVerdict, Expiry, Fate, Inputs, Shut, Terms, expiry};
use crate::record::SetDigest;

/// Policies need no lease: one may be accepted in mid-run, and what it protects this run cannot tell.
const OTHER_POLICY: &str = "another policy was accepted in mid-run: the next run goes by it";

/// What the expiring part of a run did.
#[derive(Debug, Default, Serialize)]
pub struct Expiring {
    pub retired: Vec<DayVerdict>,
    pub reinstated: Vec<DayVerdict>,
    pub destroyed: Vec<DayVerdict>,
    /// What is due and waits, with what it waits for.
    pub waiting: Vec<DayVerdict>,
    /// Merged segments whose old files are gone.
    pub superseded: u64,
    /// Files of Delta logs that named what was destroyed, and indexes of months of which nothing is left.
    pub trimmed: u64,
    /// What the gate or the last look saved.
    pub kept: Vec<(String, String)>,
    #[serde(skip)]
    pub errors: Vec<Error>,
}

/// Reinstates, retires and destroys what is due.
pub fn expire(
    context: &Context,
    chain: &mut Chain,
    stores: &Stores<'_>,
    deciding: &mut Deciding<'_>,
    measurer: &mut Measurer,
) -> Result<Expiring> {
    let mut done = Expiring::default();
    let mut plan = decide(context, chain, deciding)?;
    let mut settles = std::mem::take(&mut plan.settles);
    let seq = chain.state().next_seq();
    // Most runs find nothing to do, and the first look is all they need.
    let moves = plan.days.iter().any(|verdict| verdict.goes() && verdict.fate != Fate::Keep);
    if moves {
        stop_foreign(context, chain.state(), deciding, &plan, &mut done.errors);
        settles = change_membership(context, chain, deciding, measurer, &mut done)?;
    }
    // All commits of this run are done: what a search may lean on is written, and what goes is named nowhere any more.
    done.trimmed = refresh(context, chain, stores, deciding, &mut done.errors)?;
    if moves || chain.state().next_seq() != seq {
        plan = decide(context, chain, deciding)?;
    }
    done.waiting = plan.days.iter().filter(|verdict| verdict.overdue()).cloned().collect();
    if !context.stopping() {
        destroy_expired(context, chain, stores, deciding, measurer, &plan, &mut done)?;
        destroy_superseded(chain, stores, deciding, measurer, &mut done)?;
    }
    if !settles.is_empty() {
        let tables = settles.into_iter().map(|(table, keeping)| Settled { table, keeping });
        let tables = chain.attach(tables)?;
        chain.append_or_end(deciding.now, Body::ExpirySettled { tables })?;
    }
    Ok(done)
}

/// The verdicts on the state as it is now.
pub fn decide(context: &Context, chain: &Chain, deciding: &Deciding<'_>) -> Result<Expiry> {
    let consents = consents(chain, context.approvers, deciding.now)?;
    let mut allowance = deciding.allowance.clone();
    if !deciding.terms.govern(chain.state()) {
        allowance.shut = Some(Shut::Doubt { reason: OTHER_POLICY.to_owned() });
    }
    Ok(expiry(&Inputs { allowance: &allowance, ..deciding.inputs(chain.state(), &consents) }))
}

/// Looks at the tables in which something is to happen: where others wrote, or the log is damaged, nothing does.
fn stop_foreign(context: &Context, state: &State, deciding: &mut Deciding<'_>, plan: &Expiry, errors: &mut Vec<Error>) {
    let touched: BTreeSet<String> = plan
        .days
        .iter()
        .filter(|verdict| verdict.goes() && verdict.fate != Fate::Keep && verdict.item.keeping == Keeping::Archive)
        .map(|verdict| verdict.item.table.key())
        .collect();
    for key in touched {
        let Some(known) = state.tables.get(&key) else { continue };
        if let Err(error) = ours(&context.archive, state, known) {
            deciding.stopped.insert(key, error.reason().to_owned());
            errors.push(error.of_table(&known.name));
        }
    }
}

/// Reinstates and retires, table by table. Whenever others wrote to the ledger in between, everything is decided anew.
/// Gives the tables that have nothing left to retire.
fn change_membership(
    context: &Context,
    chain: &mut Chain,
    deciding: &Deciding<'_>,
    measurer: &mut Measurer,
    done: &mut Expiring,
) -> Result<Vec<(TableName, Keeping)>> {
    let mut failed: BTreeSet<String> = BTreeSet::new();
    'decide: loop {
        let plan = decide(context, chain, deciding)?;
        let moves = |verdict: &DayVerdict| verdict.goes() && matches!(verdict.fate, Fate::Reinstate | Fate::Retire);
        if plan.days.iter().any(moves) && chain.fold_whole()? {
            continue;
        }
        for fate in [Fate::Reinstate, Fate::Retire] {
            for (table, verdicts) in by_table(&plan, fate) {
                if failed.contains(&table.key()) {
                    continue;
                }
                if context.stopping() {
                    return Ok(Vec::new());
                }
                let step = match fate {
                    Fate::Reinstate => reinstate(context, chain, &table, &verdicts, false, measurer, deciding.now),
                    _ => {
                        let grounds =
                            verdicts.iter().flat_map(|verdict| grounds(verdict, chain.state(), &deciding.policy));
                        let grounds = grounds.collect();
                        retire(context, chain, &table, grounds, deciding.now)
                    }
                };
                match step {
                    Ok(Step::Done) => {
                        let to = if fate == Fate::Reinstate { &mut done.reinstated } else { &mut done.retired };
                        to.extend(verdicts.into_iter().cloned());
                    }
                    Ok(Step::Overtaken) => continue 'decide,
                    // A damaged table stops itself, not the others (I12).
                    Err(error) if matches!(error.kind(), Kind::Damaged | Kind::Decision) => {
                        done.errors.push(error.of_table(&table));
                        failed.insert(table.key());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        return Ok(plan.settles.into_iter().filter(|(table, _)| !failed.contains(&table.key())).collect());
    }
}

fn by_table(plan: &Expiry, fate: Fate) -> BTreeMap<TableName, Vec<&DayVerdict>> {
    let mut tables: BTreeMap<TableName, Vec<&DayVerdict>> = BTreeMap::new();
    for verdict in plan.days.iter().filter(|verdict| verdict.fate == fate && verdict.goes()) {
        tables.entry(verdict.item.table.clone()).or_default().push(verdict);
    }
    tables
}

/// Why each file of a day goes.
fn grounds(verdict: &DayVerdict, state: &State, policy: &str) -> Vec<Ground> {
    let item = &verdict.item;
    let (Some(rule), Some(destroy_at)) = (&verdict.rule, verdict.destroy_at) else { return Vec::new() };
    let ground = |path: &String, sha256: &String| {
        let (bytes, digest) = contents(item.keeping, &item.table, path, state);
        Ground {
            table: item.table.clone(),
            keeping: item.keeping,
            path: path.clone(),
            day: item.day,
            part: item.part.clone(),
            bytes,
            sha256: sha256.clone(),
            digest,
            file: rule.file.clone(),
            line: rule.line as u64,
            rule: rule.id(),
            rule_digest: verdict.rule_digest.clone().unwrap_or_default(),
            policy: policy.to_owned(),
            expires: verdict.expires.unwrap_or(destroy_at),
            destroy_at,
            approved: verdict.approved,
        }
    };
    item.files.iter().map(|(path, sha256)| ground(path, sha256)).collect()
}

/// Bytes of one file, and its records; of what lies in segments with their digest, else only their number.
fn contents(keeping: Keeping, table: &TableName, path: &str, state: &State) -> (u64, SetDigest) {
    let only_rows = |rows: u64| SetDigest { rows, ..SetDigest::default() };
    let found = match keeping {
        Keeping::Archive => state.tables.get(&table.key()).and_then(|known| {
            let live = known.segments.get(path).map(|(segment, _)| segment);
            let segment = live.or_else(|| known.retired.get(path).map(|retired| &retired.segment))?;
            Some((segment.bytes, segment.digest))
        }),
        Keeping::Raw => {
            let object = object_id(path).and_then(|id| state.objects.get(&id));
            object.map(|known| (known.outcome.size, only_rows(known.counts.raw)))
        }
        Keeping::Quarantine => {
            let one = state.quarantine.iter().find(|one| one.file.data == *path);
            one.map(|one| (one.file.bytes, only_rows(one.file.records)))
        }
    };
    found.unwrap_or_default()
}

/// A raw object's name, from `source:path`.
fn object_id(path: &str) -> Option<ObjectId> {
    let (source, path) = path.split_once(':')?;
    Some(ObjectId { source: source.to_owned(), path: path.to_owned() })
}

/// Destroys what is due, one table and way of keeping at a time.
fn destroy_expired(
    context: &Context,
    chain: &mut Chain,
    stores: &Stores<'_>,
    deciding: &Deciding<'_>,
    measurer: &mut Measurer,
    plan: &Expiry,
    done: &mut Expiring,
) -> Result<()> {
    let mut groups: BTreeMap<(TableName, Keeping), Vec<&DayVerdict>> = BTreeMap::new();
    for verdict in plan.days.iter().filter(|verdict| verdict.fate == Fate::Destroy && verdict.goes()) {
        groups.entry((verdict.item.table.clone(), verdict.item.keeping)).or_default().push(verdict);
    }
    for ((table, keeping), verdicts) in groups {
        if context.stopping() {
            return Ok(());
        }
        let mut subjects = Vec::new();
        let mut by_subject: BTreeMap<String, Ground> = BTreeMap::new();
        for verdict in &verdicts {
            for ground in grounds(verdict, chain.state(), &deciding.policy) {
                for subject in subjects_of(&ground, chain.state()) {
                    by_subject.entry(subject.describe()).or_insert_with(|| ground.clone());
                    subjects.push(subject);
                }
            }
        }
        measure(measurer, stores, chain.state(), &table, &subjects);
        let ground = |subject: &Subject| {
            by_subject.get(&subject.describe()).filter(|ground| !is_index(subject, ground)).cloned()
        };
        let outcome = destroy(
            chain,
            stores,
            deciding.allowance.now(),
            ProofKind::Expired,
            &subjects,
            deciding.now,
            ground,
            |subject, state| prove_expired(subject, state, deciding.terms, measurer, deciding.now),
        )?;
        let whole = outcome.kept.is_empty() && outcome.failed.is_empty();
        take(outcome, &table, chain.state(), deciding, done);
        if whole {
            if keeping == Keeping::Archive {
                left_behind(context, chain.state(), &table, &verdicts, done)?;
            }
            done.destroyed.extend(verdicts.into_iter().cloned());
        }
    }
    Ok(())
}

/// The index of a quarantine file goes with its data, which has the ground.
fn is_index(subject: &Subject, ground: &Ground) -> bool {
    matches!(subject, Subject::Quarantine { path, .. } if *path != ground.path)
}

/// What a ground's file is to the gate: a quarantine file has an index beside it.
fn subjects_of(ground: &Ground, state: &State) -> Vec<Subject> {
    match ground.keeping {
        Keeping::Archive => vec![Subject::Segment {
            table: ground.table.clone(),
            path: segment_location(&ground.table, &ground.path).to_string(),
            day: ground.day,
            part: ground.part.clone(),
            sha256: ground.sha256.clone(),
        }],
        Keeping::Raw => object_id(&ground.path).and_then(|id| raw_subject(state, &id)).into_iter().collect(),
        Keeping::Quarantine => state
            .quarantine
            .iter()
            .filter(|one| one.file.data == ground.path)
            .flat_map(|one| [&one.file.data, &one.file.index].map(|path| (path, &one.batch)))
            .map(|(path, batch)| Subject::Quarantine {
                table: ground.table.clone(),
                path: path.clone(),
                batch: batch.clone(),
            })
            .collect(),
    }
}

/// Measures what proofs about these subjects ask for.
pub fn measure(measurer: &mut Measurer, stores: &Stores<'_>, state: &State, table: &TableName, subjects: &[Subject]) {
    let known = state.tables.get(&table.key());
    let segments: Vec<String> = subjects
        .iter()
        .filter_map(|subject| match subject {
            Subject::Segment { path, .. } => known?.relative(path).map(str::to_owned),
            _ => None,
        })
        .collect();
    if let Some(known) = known.filter(|_| !segments.is_empty()) {
        if measurer.table(stores.archive, state, known) {
            measurer.segments(stores.archive, table, &segments);
        }
        let days = subjects.iter().filter_map(|subject| match subject {
            Subject::Segment { day, .. } => Some(Month::of(*day)),
            _ => None,
        });
        days.collect::<BTreeSet<Month>>().into_iter().for_each(|month| measurer.index(stores.archive, table, month));
        let by = segments.iter().filter_map(|path| match &known.retired.get(path)?.why {
            Why::Superseded { by } => Some(by.clone()),
            _ => None,
        });
        measurer.batches(stores.archive, state, by.collect());
    }
    let raw: Vec<ObjectId> = subjects.iter().filter_map(|subject| super::clear::id_of(subject).ok()).collect();
    measurer.measure(stores.archive, state, raw.iter());
    for subject in subjects {
        if let Subject::Quarantine { path, .. } = subject {
            measurer.file(stores.archive, path);
        }
    }
}

/// Destroys what merges wrote anew.
fn destroy_superseded(
    chain: &mut Chain,
    stores: &Stores<'_>,
    deciding: &Deciding<'_>,
    measurer: &mut Measurer,
    done: &mut Expiring,
) -> Result<()> {
    let tables: Vec<TableName> = chain.state().tables.values().map(|known| known.name.clone()).collect();
    for table in tables {
        let Some(known) = chain.state().tables.get(&table.key()) else { continue };
        let superseded = known.retired.values().filter(|retired| matches!(retired.why, Why::Superseded { .. }));
        let subjects: Vec<Subject> = superseded
            .map(|retired| Subject::Segment {
                table: table.clone(),
                path: segment_location(&table, &retired.segment.path).to_string(),
                day: retired.segment.day,
                part: retired.segment.part.clone(),
                sha256: retired.segment.sha256.clone(),
            })
            .collect();
        if subjects.is_empty() || !deciding.allowance.now().expired || deciding.stopped.contains_key(&table.key()) {
            continue;
        }
        measure(measurer, stores, chain.state(), &table, &subjects);
        let armed = deciding.allowance.now();
        let outcome = destroy(
            chain,
            stores,
            armed,
            ProofKind::Superseded,
            &subjects,
            deciding.now,
            super::destroy::ungrounded,
            |subject, state| prove_superseded(subject, state, measurer),
        )?;
        done.superseded += outcome.destroyed;
        take(outcome, &table, chain.state(), deciding, done);
    }
    Ok(())
}

/// After a day's segments are gone, nothing may be left in its folder that nobody knows (I4).
fn left_behind(
    context: &Context,
    state: &State,
    table: &TableName,
    verdicts: &[&DayVerdict],
    done: &mut Expiring,
) -> Result<()> {
    let Some(known) = state.tables.get(&table.key()) else { return Ok(()) };
    let folders: BTreeSet<_> = verdicts
        .iter()
        .flat_map(|verdict| verdict.item.files.iter())
        .filter_map(|(path, _)| path.rsplit_once('/').map(|(folder, _)| segment_location(table, folder)))
        .collect();
    for folder in folders {
        for meta in context.archive.list(Some(&folder))? {
            let path = meta.location.to_string();
            let relative = known.relative(&path).unwrap_or_default();
            if !known.segments.contains_key(relative) && !known.retired.contains_key(relative) {
                let attempted = format!("looking at what is left of a destroyed day in {table}");
                let reason = format!("{path} is there, and no ledger entry knows it");
                let hint = "it may hold records that had to go: find out who wrote it, and remove it by hand";
                done.errors.push(Error::new(Kind::Decision, attempted, reason).with_hint(hint).of_table(table));
            }
        }
    }
    Ok(())
}

fn take(outcome: Outcome, table: &TableName, state: &State, deciding: &Deciding<'_>, done: &mut Expiring) {
    done.errors.extend(unfinished(&outcome).map(|error| error.of_table(table)));
    for kept in outcome.kept {
        let name = kept.subject.describe();
        // What came to protect it is no damage.
        if hold_on(&kept.subject, state).is_none() && deciding.terms.govern(state) {
            done.errors.push(
                Error::new(Kind::Damaged, format!("destroying {name}"), kept.reason.clone())
                    .with_hint("it is due, but was kept: run `holdfast verify`")
                    .of_table(table),
            );
        }
        done.kept.push((name, kept.reason));
    }
}

/// The proof for what is destroyed because its time has come.
pub fn prove_expired(
    subject: &Subject,
    state: &State,
    terms: &Terms<'_>,
    measurer: &Measurer,
    now: Timestamp,
) -> Result<Proof, Blocked> {
    if !terms.govern(state) {
        return Err(Blocked::because(OTHER_POLICY));
    }
    let term = subject.table().and_then(|table| terms.of(table));
    let term = term.ok_or_else(|| Blocked::because("no rule names its table any more: it is kept"))?;
    Expired::prove(subject, state, &term, &measurer.measured, now).map(Proof::Expired)
}

/// The proof for what a merge wrote anew.
pub fn prove_superseded(subject: &Subject, state: &State, measurer: &Measurer) -> Result<Proof, Blocked> {
    Superseded::prove(subject, state, &measurer.measured).map(Proof::Superseded)
}
