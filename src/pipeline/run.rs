//! One run: take the lease, settle what was left, archive what is due, clear what may be cleared, bear witness.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::archive::{Archived, archive_step};
use super::clear::{Measurer, clear};
use super::context::{Context, Event, Request};
use super::destroy::{Stores, unfinished};
use super::recover::{Recovered, recover};
use super::witness::check_witnesses;
use crate::archive::Table;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Armed, Body, Chain, Counts, FORMAT, State};
use crate::names::TableName;
use crate::plan::{Inputs, Verdict, clearings, decide};
use crate::policy::{PolicyFile, PolicySet};
use crate::source::{DiscoverOptions, RawObject, Stranger, discover};

/// A batch ends when its raw objects reach so many bytes: it is what a kill can cost.
const BATCH_BYTES: u64 = 2 << 30;
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
    pub cleared: u64,
    pub not_cleared: Vec<NotCleared>,
    pub recovered: Vec<String>,
    pub abandoned: Vec<String>,
    pub swept: u64,
    /// Why nothing was destroyed although it was armed.
    pub disarmed: Vec<String>,
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
        let decision = (!self.disarmed.is_empty()).then_some(4);
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
    let mut report = run_once(context, request, host_now).map_err(hinted)?;
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
    let _lease = (context.take_lease)()?;
    context.archive.sweep()?;
    context.ledger.sweep()?;
    let mut chain = Chain::open(context.ledger.clone(), (context.ids)(), Box::new(new_nonce(context)))?;
    check_witnesses(&context.archive, &chain)?;
    let mut report = RunReport { run: chain.run().to_owned(), now: Some(now), ..RunReport::default() };
    create(context, &mut chain, now)?;
    let policies = accepted_policies(context, &mut chain, now, &mut report)?;
    let armed = disarm(context, chain.state().last_at, now, host_now, &mut report);
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
    let keep_raw = |table: &TableName, at: Timestamp| policies.rule_for(table)?.keep_raw.after(at);
    let Recovered { rolled_forward, abandoned, swept, errors, .. } =
        recover(&mut chain, &stores, armed, keep_raw, now)?;
    (report.recovered, report.abandoned, report.swept) = (rolled_forward, abandoned, swept);
    report.errors.extend(errors);

    let objects = find(context, now, &mut report);
    let scope = Scope { objects: &objects, policies: &policies, armed, request };
    let plan = decide(&scope.inputs(chain.state()));
    report.kept = plan.kept;
    for archiving in &plan.archive {
        let Some(rule) = policies.rule_for(&archiving.table) else { continue };
        let bytes = archiving.objects.iter().map(|planned| planned.object.size).sum();
        context.progress.see(Event::BatchBegins { table: &archiving.table, objects: archiving.objects.len(), bytes });
        match archive_step(context, &mut chain, archiving, &rule, armed, now) {
            Ok(archived) => report.archived(&archiving.table, archived, bytes, rule.origin.pattern.is_some()),
            // A damaged table stops itself, not the others.
            Err(error) if error.kind() == Kind::Damaged || error.kind() == Kind::Decision => {
                report.errors.push(error.of_table(&archiving.table));
            }
            Err(error) => return Err(error),
        }
    }

    let (due, kept) = clearings(&scope.inputs(chain.state()));
    report.kept.extend(kept);
    let mut measurer = Measurer::default();
    let cleared = clear(&mut chain, &stores, armed, &due, &mut measurer, now)?;
    report.errors.append(&mut measurer.failed);
    report.cleared = cleared.destroyed + cleared.missing;
    context.progress.see(Event::Cleared { objects: report.cleared });
    report.errors.extend(unfinished(&cleared));
    for kept in cleared.kept {
        report.not_cleared.push(NotCleared { object: kept.subject.describe(), reason: kept.reason });
    }
    if !report.not_cleared.is_empty() {
        report.errors.push(not_cleared(&report.not_cleared));
    }
    checkpoint(context, &mut chain, now, &mut report)?;
    report.known = chain.state().tables.values().map(|known| known.name.clone()).collect();
    end(&mut chain, now, &report)?;
    tracing::info!(run = chain.run(), exit = report.exit_code(), cleared = report.cleared, "run ended");
    Ok(report)
}

/// What stays the same while the state moves on.
struct Scope<'a> {
    objects: &'a [RawObject],
    policies: &'a PolicySet,
    armed: Armed,
    request: &'a Request,
}

impl Scope<'_> {
    fn inputs<'a>(&'a self, state: &'a State) -> Inputs<'a> {
        Inputs {
            objects: self.objects,
            policies: self.policies,
            state,
            armed: self.armed,
            now: self.request.now,
            only: &self.request.tables,
            batch_bytes: BATCH_BYTES,
        }
    }
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

fn create(context: &Context, chain: &mut Chain, now: Timestamp) -> Result<()> {
    if chain.state().head().is_none() {
        let body = Body::Created { archive: (context.ids)(), format: FORMAT, simulation: context.simulation };
        return chain.append_or_end(now, body);
    }
    if chain.state().simulation != context.simulation {
        let (is, says) =
            if context.simulation { ("a real one", "a simulation") } else { ("a simulation", "a real one") };
        return Err(Error::new(Kind::Usage, "opening the archive", format!("it is {is}, but the settings say {says}"))
            .with_hint("`simulation` is fixed when an archive is created; nothing was done"));
    }
    Ok(())
}

/// The policy of this run: the folder's, or, should that be invalid, the last one the ledger accepted.
fn accepted_policies(
    context: &Context,
    chain: &mut Chain,
    now: Timestamp,
    report: &mut RunReport,
) -> Result<PolicySet> {
    let invalid = match &context.policies {
        Ok(policies) => {
            let digest = policies.digest();
            if chain.state().policy().map(|accepted| &accepted.digest) != Some(&digest) {
                let files = chain.attach(policies.files())?;
                chain.append_or_end(now, Body::PolicyAccepted { digest, files })?;
            }
            return Ok(policies.clone());
        }
        Err(invalid) => invalid,
    };
    let failed =
        |hint: &str| Error::new(Kind::Decision, "reading the policies", invalid.to_string()).with_hint(hint.to_owned());
    let Some(accepted) = chain.state().policy().cloned() else {
        return Err(failed("nothing was done; `holdfast check` shows every mistake"));
    };
    let files: Vec<PolicyFile> = chain.attachment(&accepted.files)?;
    let policies = PolicySet::from_files(files).map_err(|_| {
        Error::new(Kind::Internal, "reading the last accepted policy", "this version does not understand it")
    })?;
    report.disarmed.push("the policy folder is invalid: archiving goes on under the last accepted policy".into());
    report.errors.push(failed("nothing was destroyed; `holdfast check` shows every mistake"));
    Ok(policies)
}

/// What may be destroyed in this run: what is armed, unless the clock or the policies are in doubt.
fn disarm(
    context: &Context,
    last_at: Option<Timestamp>,
    now: Timestamp,
    host_now: Timestamp,
    report: &mut RunReport,
) -> Armed {
    let any = context.armed.raw || context.armed.expired;
    if let Some(last) = last_at.filter(|last| now < *last && any) {
        report.disarmed.push(format!("now ({now}) is before the ledger's last entry ({last})"));
    }
    if !context.simulation && any && now > host_now {
        report.disarmed.push(format!("--as-of ({now}) lies after this host's clock ({host_now})"));
    }
    if report.disarmed.is_empty() { context.armed } else { Armed::default() }
}

/// All raw objects of all sources; a source that cannot be listed does not stop the others.
fn find(context: &Context, now: Timestamp, report: &mut RunReport) -> Vec<RawObject> {
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

fn end(chain: &mut Chain, now: Timestamp, report: &RunReport) -> Result<()> {
    let body = Body::RunEnded {
        exit: report.exit_code(),
        batches: report.tables.values().map(|table| table.batches).sum(),
        rows: report.tables.values().map(|table| table.counts.archived).sum(),
        cleared: report.cleared,
    };
    chain.append_or_end(now, body)?;
    chain.write_head()
}
