//! One run: take the lease, settle what was left, archive what is due, clear what may be cleared, bear witness.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::archive::{Archived, archive_step};
use super::clear::clear;
use super::context::{Context, Event, Request};
use super::deciding::{Deciding, Governing, allowance, consents, governing, history};
use super::destroy::{Stores, unfinished};
use super::expire::{Expiring, expire};
use super::inventory::write_inventory;
use super::measure::Measurer;
use super::merge::{Merged, merge_small};
use super::recover::{Recovered, recover, sweep_attachments};
use super::trim::trim;
use super::witness::check_witnesses;
use crate::archive::Table;
use crate::error::{Error, Kind, Result};
use crate::gate::hold_on;
use crate::ledger::{Armed, Body, Chain, Counts, FORMAT, entry_path};
use crate::names::TableName;
use crate::plan::{Consents, DayVerdict, Intake, Only, Shut, Terms, Verdict, clearings, decide, expired_before};
use crate::policy::{History, PolicySet};
use crate::source::{DiscoverOptions, RawObject, Stranger, discover};
use crate::storage::Requests;
use crate::storage::probe::probe;

/// A checkpoint is written after so many commits.
const CHECKPOINT_EVERY: u64 = 10;

/// What a run did, for people and for scripts.
#[derive(Debug, Default, Serialize)]
pub struct RunReport {
    pub run: String,
    pub now: Option<Timestamp>,
    pub found: u64,
    pub found_bytes: u64,
    pub tables: BTreeMap<String, TableReport>,
    pub strangers: Vec<Stranger>,
    pub unsettled: u64,
    pub kept: Vec<Verdict>,
    /// Small segments that became one.
    pub merged: Vec<Merged>,
    pub cleared: u64,
    pub not_cleared: Vec<NotCleared>,
    pub recovered: Vec<String>,
    pub abandoned: Vec<String>,
    pub swept: u64,
    /// What it asked of object stores; none: all is on local disks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
    pub expiring: Expiring,
    /// The window is shut: what is due waits for it.
    pub shut: Option<Shut>,
    /// Why nothing may be destroyed: the clock or the policies are in doubt.
    pub doubts: Vec<String>,
    /// It was asked to stop, and did after a step: what is left waits for the next run.
    pub stopped: bool,
    /// Each with its kind's exit code.
    #[serde(serialize_with = "as_texts")]
    pub errors: Vec<Error>,
    /// The tables of the archive, whether or not there was anything to do.
    #[serde(skip)]
    pub known: Vec<TableName>,
}

/// What a run archived of one table.
#[derive(Debug, Default, Serialize)]
pub struct TableReport {
    pub batches: u64,
    pub objects: u64,
    pub segments: u64,
    /// Of the segments.
    pub bytes: u64,
    /// Of the raw objects read.
    pub raw_bytes: u64,
    pub unreadable: u64,
    pub counts: Counts,
    pub ruled: bool,
}

/// A raw object that was due but not cleared.
#[derive(Debug, Serialize)]
pub struct NotCleared {
    pub object: String,
    pub reason: String,
}

impl RunReport {
    /// The process exit code (DESIGN §8): the most severe that applies.
    pub fn exit_code(&self) -> u8 {
        let severity = |code: u8| match code {
            1 => 4,
            5 => 3,
            4 => 2,
            3 => 1,
            _ => 0,
        };
        let unreadable = self.tables.values().any(|table| table.unreadable > 0).then_some(3);
        let decision = (!self.doubts.is_empty() || self.expiring.waiting.iter().any(DayVerdict::asks)).then_some(4);
        self.errors
            .iter()
            .map(Error::exit_code)
            .chain(unreadable)
            .chain(decision)
            .max_by_key(|code| severity(*code))
            .unwrap_or(0)
    }
}

fn as_texts<S: serde::Serializer>(errors: &[Error], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        attempted: &'a str,
        reason: &'a str,
        hint: Option<&'a str>,
        exit_code: u8,
    }
    serializer.collect_seq(errors.iter().map(|error| Shown {
        attempted: error.attempted(),
        reason: error.reason(),
        hint: error.hint(),
        exit_code: error.exit_code(),
    }))
}

/// Runs once at `request.now`. An `Err` ended the run; what it did until then is settled by the next one. Every error
/// says what to do.
pub fn run(context: &Context, request: &Request, host_now: Timestamp) -> Result<RunReport> {
    let before = context.requests();
    let mut report = run_once(context, request, host_now).map_err(hinted)?;
    report.requests = context.requests().map(|asked| asked.since(before.unwrap_or_default()));
    report.errors = report.errors.into_iter().map(hinted).collect();
    Ok(report)
}

/// What can be said of any failure of a run.
fn hinted(error: Error) -> Error {
    match error.hint() {
        Some(_) => error,
        None => error.with_hint(
            "nothing is lost: raw objects stay until their records are safe, and the next run settles what this one began; \
             see to the cause, then run again",
        ),
    }
}

fn run_once(context: &Context, request: &Request, host_now: Timestamp) -> Result<RunReport> {
    let now = request.now;
    trust(context)?;
    let lease = (context.take_lease)()?;
    context.archive.sweep()?;
    context.ledger.sweep()?;
    let mut chain = Chain::open(context.ledger.clone(), (context.ids)(), Box::new(new_nonce(context)))?.under(lease);
    check_witnesses(&context.archive, &chain)?;
    let mut report = RunReport { run: chain.run().to_owned(), now: Some(now), ..RunReport::default() };
    let last_at = chain.state().last_at;
    let mut allowance = allowance(context, last_at, now, host_now);
    report.shut = allowance.shut.clone();
    if let Some(Shut::Doubt { reason }) = &allowance.shut {
        report.doubts.push(reason.clone());
    }
    create(context, &mut chain, now)?;
    // Armed or not: a grace counts from here.
    let untimely = last_at.is_some_and(|last| now < last) || (!context.simulation && now > host_now);
    let in_doubt = untimely || !report.doubts.is_empty();
    let policies = accepted_policies(context, &mut chain, now, in_doubt, &mut report)?;
    let history = known_history(&chain, &policies, now, &mut report);
    let terms = Terms::new(&history);
    if let Some(doubt) = report.doubts.first().filter(|_| allowance.armed != Armed::default()).cloned() {
        allowance.shut = Some(Shut::Doubt { reason: doubt });
    }
    let armed = allowance.now();
    chain.append_or_end(
        now,
        Body::RunStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: context.host.clone(),
            process: std::process::id(),
            armed,
        },
    )?;
    tracing::info!(run = chain.run(), %now, raw = armed.raw, expired = armed.expired, "run started");
    let sources = context.source_stores();
    let stores = Stores { archive: &context.archive, sources: &sources };
    let Recovered { rolled_forward, abandoned, swept, errors, .. } = recover(&mut chain, &stores, armed, &terms, now)?;
    (report.recovered, report.abandoned, report.swept) = (rolled_forward, abandoned, swept);
    report.errors.extend(errors);

    let objects = find(context, now, &mut report);
    let mut deciding = Deciding {
        objects: &objects,
        terms: &terms,
        allowance,
        only: Only::from(request),
        now,
        policy: policies.digest(),
        stopped: BTreeMap::new(),
    };
    archive_due(context, &mut chain, &deciding, &mut report)?;
    let mut measurer = Measurer::default();
    if !context.stopping() {
        clear_due(context, &mut chain, &stores, &deciding, &mut measurer, &mut report)?;
    }
    if !context.stopping() {
        let merged = merge_small(context, &mut chain, &deciding)?;
        report.merged = merged.merged;
        report.errors.extend(merged.errors);
    }
    if !context.stopping() {
        let mut expiring = expire(context, &mut chain, &stores, &mut deciding, &mut measurer)?;
        expiring.trimmed += trim(context, &mut chain, &stores, &deciding, &mut expiring.errors)?;
        report.errors.append(&mut expiring.errors);
        report.expiring = expiring;
    }
    report.errors.append(&mut measurer.failed);
    if chain.was_refused() {
        report.swept += sweep_attachments(&mut chain, &stores, deciding.allowance.now(), &mut report.errors, now)?;
    }
    report.stopped = context.stopping();
    checkpoint(context, &mut chain, now, &mut report)?;
    report.known = chain.state().tables.values().map(|known| known.name.clone()).collect();
    end(&mut chain, request, &report)?;
    tracing::info!(run = chain.run(), exit = report.exit_code(), cleared = report.cleared, "run ended");
    Ok(report)
}

/// Archives what is due, batch by batch.
fn archive_due(context: &Context, chain: &mut Chain, deciding: &Deciding<'_>, report: &mut RunReport) -> Result<()> {
    let consents = consents(chain, context.approvers, deciding.now)?;
    let plan = decide(&deciding.inputs(chain.state(), &consents));
    report.kept = plan.kept;
    for archiving in &plan.archive {
        let Some(term) = deciding.terms.of(&archiving.table) else { continue };
        if context.stopping() {
            return Ok(());
        }
        let (rule, armed) = (&term.rule, deciding.allowance.now());
        let expired_before = expired_before(&archiving.table, &deciding.inputs(chain.state(), &consents));
        let intake = Intake { stays_raw: archiving.stays_raw, expired_before };
        let bytes = archiving.objects.iter().map(|planned| planned.object.size).sum();
        context.progress.see(Event::BatchBegins { table: &archiving.table, objects: archiving.objects.len(), bytes });
        match archive_step(context, chain, archiving, rule, intake, armed, deciding.now) {
            Ok(archived) => report.archived(&archiving.table, archived, bytes, rule.origin.pattern.is_some()),
            // A damaged table stops itself, not the others.
            Err(error) if error.kind() == Kind::Damaged || error.kind() == Kind::Decision => {
                report.errors.push(error.of_table(&archiving.table));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Clears the raw objects that may go.
fn clear_due(
    context: &Context,
    chain: &mut Chain,
    stores: &Stores<'_>,
    deciding: &Deciding<'_>,
    measurer: &mut Measurer,
    report: &mut RunReport,
) -> Result<()> {
    let consents = Consents::default();
    let (due, kept) = clearings(&deciding.inputs(chain.state(), &consents));
    report.kept.extend(kept);
    let cleared = clear(chain, stores, deciding.allowance.now(), &due, measurer, deciding.now)?;
    report.cleared = cleared.destroyed + cleared.missing;
    context.progress.see(Event::Cleared { objects: report.cleared });
    report.errors.extend(unfinished(&cleared));
    // What a hold covers by now is no damage: it waits for its release.
    let kept = cleared.kept.into_iter().filter(|kept| hold_on(&kept.subject, chain.state()).is_none());
    for kept in kept {
        report.not_cleared.push(NotCleared { object: kept.subject.describe(), reason: kept.reason });
    }
    if !report.not_cleared.is_empty() {
        report.errors.push(not_cleared(&report.not_cleared));
    }
    Ok(())
}

/// The rules that governed before. If they cannot be told, neither can what they protect: nothing is destroyed.
fn known_history(chain: &Chain, policies: &PolicySet, now: Timestamp, report: &mut RunReport) -> History {
    history(chain, policies, now).unwrap_or_else(|error| {
        report.doubts.push(error.to_string());
        report.errors.push(error.with_kind(Kind::Decision));
        History::new(vec![(now, policies.clone())])
    })
}

impl RunReport {
    fn archived(&mut self, table: &TableName, archived: Archived, raw_bytes: u64, ruled: bool) {
        let entry = self.tables.entry(table.to_string()).or_default();
        entry.batches += u64::from(archived.batch.is_some());
        entry.objects += archived.objects;
        entry.segments += archived.segments;
        entry.bytes += archived.bytes;
        entry.raw_bytes += raw_bytes;
        entry.unreadable += archived.unreadable;
        entry.counts.add(&archived.counts);
        entry.ruled = ruled;
        self.errors.extend(archived.failed.into_iter().map(|error| error.of_table(table)));
    }
}

/// Nonces make two runners' entries differ even if they say the same.
pub fn new_nonce(context: &Context) -> impl Fn() -> String + Send + Sync + use<> {
    let seed = (context.ids)();
    let count = std::sync::atomic::AtomicU64::new(0);
    move || format!("{seed}-{}", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// Before the first entry of a ledger, and so before the lease: what both stand on must keep its conditions.
fn trust(context: &Context) -> Result<()> {
    if context.ledger.local_folder().is_some() && context.archive.local_folder().is_some() {
        return Ok(());
    }
    if context.ledger.head(&entry_path(0))?.is_some() {
        return Ok(());
    }
    for store in [&context.ledger, &context.archive] {
        let probed = probe(store, &(context.ids)())?;
        tracing::info!(store = %store.url(), ?probed, "the store keeps its promises");
    }
    Ok(())
}

fn create(context: &Context, chain: &mut Chain, now: Timestamp) -> Result<()> {
    if chain.state().head().is_none() {
        let body = Body::Created { archive: (context.ids)(), format: FORMAT, simulation: context.simulation };
        return chain.append_or_end(now, body);
    }
    if chain.state().simulation != context.simulation {
        let (is, says) =
            if context.simulation { ("a real one", "a simulation") } else { ("a simulation", "a real one") };
        return Err(Error::new(Kind::Usage, "opening the archive", format!("it is {is}, but the settings say {says}"))
            .with_hint("`simulation` is fixed when an archive is created"));
    }
    Ok(())
}

/// The policy of this run, which the ledger accepts from now on. A grace counts from the day a policy was accepted: a
/// clock in doubt must not set it.
fn accepted_policies(
    context: &Context,
    chain: &mut Chain,
    now: Timestamp,
    in_doubt: bool,
    report: &mut RunReport,
) -> Result<PolicySet> {
    let Governing { set, refused } = governing(context, chain)?;
    if let Some(error) = refused {
        report.doubts.push(format!("the policy is in doubt ({}): archiving goes on", error.reason()));
        report.errors.push(error);
        return Ok(set);
    }
    let digest = set.digest();
    if chain.state().policy().is_none_or(|accepted| accepted.digest != digest) && !in_doubt {
        let files = chain.attach(set.files())?;
        chain.append_or_end(now, Body::PolicyAccepted { digest, files })?;
    }
    Ok(set)
}

/// All raw objects of all sources; a source that cannot be listed does not stop the others.
pub fn find(context: &Context, now: Timestamp, report: &mut RunReport) -> Vec<RawObject> {
    let mut objects = Vec::new();
    for source in &context.sources {
        let options =
            DiscoverOptions { name: source.name.clone(), workspace: source.workspace.clone(), settle: source.settle };
        let found = match &source.store {
            Ok(store) => discover(store, &options, &source.layout, now),
            Err(error) => Err(Error::new(error.kind(), error.attempted(), error.reason())),
        };
        match found {
            Ok(discovery) => {
                report.unsettled += discovery.unsettled.len() as u64;
                report.errors.extend(discovery.unreadable.iter().map(|stranger| {
                    Error::new(
                        Kind::Object,
                        format!("looking at {}:{}", stranger.source, stranger.path),
                        &stranger.reason,
                    )
                    .with_hint("what it holds is unknown; nothing of it was archived or cleared")
                }));
                report.strangers.extend(discovery.strangers);
                objects.extend(discovery.objects);
            }
            Err(error) => report.errors.push(
                Error::new(Kind::Object, format!("listing source {}", source.name), error.to_string())
                    .with_hint("its objects were left alone; check the source's `url` and its permissions"),
            ),
        }
    }
    report.found = objects.len() as u64;
    report.found_bytes = objects.iter().map(|object| object.size).sum();
    context.progress.see(Event::Found { objects: objects.len(), bytes: report.found_bytes });
    objects
}

/// Some reasons are news, some are damage; either way somebody should look.
fn not_cleared(kept: &[NotCleared]) -> Error {
    let changed = kept.iter().all(|kept| kept.reason.contains("changed since it was read"));
    let kind = if changed { Kind::Object } else { Kind::Damaged };
    let first = &kept[0];
    Error::new(kind, format!("clearing {} raw objects", kept.len()), format!("{}: {}", first.object, first.reason))
        .with_hint("they were kept; run `holdfast verify`")
}

fn checkpoint(context: &Context, chain: &mut Chain, now: Timestamp, report: &mut RunReport) -> Result<()> {
    let due: Vec<TableName> = chain
        .state()
        .tables
        .values()
        .filter(|known| {
            let last =
                chain.state().checkpoints.iter().filter(|one| one.table == known.name).map(|one| one.version + 1).max();
            known.version + 1 >= last.unwrap_or(0) + CHECKPOINT_EVERY
        })
        .map(|known| known.name.clone())
        .collect();
    for name in due {
        match Table::open(&context.archive, &name).and_then(|table| table.checkpoint()) {
            Ok(Some((version, sha256))) => {
                chain.append_or_end(now, Body::CheckpointWritten { table: name, version, sha256 })?;
            }
            Ok(None) => {}
            // Reading goes on without it; the next run tries again.
            Err(error) => report.errors.push(error),
        }
    }
    Ok(())
}

fn end(chain: &mut Chain, request: &Request, report: &RunReport) -> Result<()> {
    chain.save_state(request.now)?;
    let body = Body::RunEnded {
        exit: report.exit_code(),
        batches: report.tables.values().map(|table| table.batches).sum(),
        rows: report.tables.values().map(|table| table.counts.archived).sum(),
        cleared: report.cleared,
        partial: report.stopped || !request.tables.is_empty(),
    };
    chain.append_or_end(request.now, body)?;
    chain.write_head()?;
    write_inventory(chain, request.now)
}
