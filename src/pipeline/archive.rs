//! The archive step: intent → read → `prepared` → Delta commits → `committed` (DESIGN §7).

use std::collections::{BTreeMap, HashSet};

use deltalake_core::kernel::StructType;
use jiff::Timestamp;

use super::batch::BatchWriter;
use super::commit::commit_prepared;
use super::context::{Context, Event};
use super::destroy::Stores;
use super::recover::sweep;
use super::written::{Stopped, Written, misjudged};
use crate::archive::Table;
use crate::archive::catalogue;
use crate::archive::schema::TableSchema;
use crate::archive::survey::Survey;
use crate::error::{Error, Kind, Result};
use crate::ledger::{
    Append, Armed, Batch, BatchInput, Body, Chain, Counts, HoldScope, ObjectId, PreparedTable, Purpose, Stage, State,
    TableDetail, fenced,
};
use crate::names::TableName;
use crate::plan::{Archiving, Intake};
use crate::policy::{ClockSource, Rule};
use crate::storage::Store;

/// What an archive step did.
#[derive(Debug, Default)]
pub struct Archived {
    /// `None`: there was nothing to commit.
    pub batch: Option<String>,
    pub counts: Counts,
    pub segments: u64,
    pub bytes: u64,
    pub objects: u64,
    /// Objects that are quarantined whole.
    pub unreadable: u64,
    /// Objects that were left out; they are tried again by the next run.
    pub failed: Vec<Error>,
}

/// Archives one planned batch. A bad object is left out and the rest goes on (I12); an error is the archive's or the
/// ledger's.
pub fn archive_step(
    context: &Context,
    chain: &mut Chain,
    archiving: &Archiving,
    rule: &Rule,
    intake: Intake,
    armed: Armed,
    now: Timestamp,
) -> Result<Archived> {
    let sources = context.source_stores();
    let table_name = spelling(chain.state(), &archiving.table);
    let mut excluded: HashSet<ObjectId> = HashSet::new();
    let mut failed = Vec::new();
    let (mut intake, decided) = (intake, Protection::of(chain.state()));
    let mut surveyed = Survey::default();
    loop {
        let table = open_ours(&context.archive, chain.state(), &table_name)?;
        let mut schema = table_schema(&table, rule)?;
        schema.decide(&surveyed);
        let batch = next_batch(chain, chain.state().next_seq());
        let inputs = chain.attach(archiving.objects.iter().map(|planned| BatchInput {
            source: planned.object.source.clone(),
            path: planned.object.path.clone(),
            table: table_name.clone(),
            size: planned.object.size,
            modified: planned.object.modified,
            etag: planned.object.etag.clone(),
            from: planned.known.as_ref().map_or(0, |known| known.resume),
        }))?;
        let intent = Body::BatchIntended {
            batch: batch.clone(),
            purpose: Purpose::Archive,
            tables: vec![table_name.clone()],
            inputs,
        };
        chain.append_or_end(now, intent)?;
        let writer = BatchWriter::new(context, rule, &table_name, &batch, schema, intake, now)?;
        match writer.read_objects(archiving, &sources, chain.state(), &excluded) {
            Ok(written) if written.outcomes.is_empty() => {
                failed.extend(written.failed);
                abandon(context, chain, &sources, &batch, "none of its objects could be read", armed, now)?;
                return Ok(Archived { failed, ..Archived::default() });
            }
            Ok(mut written) => {
                let found = std::mem::take(&mut written.failed);
                // What expired on arrival is let go, so that nothing may have come to protect it since.
                let unless = (written.counts.expired > 0).then_some(&decided);
                if let Some(mut archived) = prepare(context, chain, &table, &batch, written, Vec::new(), unless, now)? {
                    failed.extend(found);
                    archived.failed = failed;
                    return Ok(archived);
                }
                abandon(context, chain, &sources, &batch, "a hold or a policy came while it was read", armed, now)?;
                intake.expired_before = None;
            }
            Err(Stopped::Object(id, error)) => {
                let reason = format!("{id} could not be read to its end: {}", error.reason());
                excluded.insert(id);
                failed.push(*error);
                abandon(context, chain, &sources, &batch, &reason, armed, now)?;
            }
            Err(Stopped::Types { column, survey }) => {
                surveyed = survey;
                abandon(context, chain, &sources, &batch, &misjudged(&column), armed, now)?;
            }
            Err(Stopped::Failed(error)) => {
                // If even this cannot be written, the next run finds the open intent.
                if let Err(second) = abandon(context, chain, &sources, &batch, &error.to_string(), armed, now) {
                    tracing::debug!(%second, batch, "the batch could not be abandoned; the next run does it");
                }
                return Err(*error);
            }
        }
    }
}

/// From a written batch to `committed`. `removes` are the paths of the segments that the new ones replace.
pub fn prepare_and_commit(
    context: &Context,
    chain: &mut Chain,
    table: &Table,
    batch: &str,
    written: Written,
    removes: Vec<String>,
    now: Timestamp,
) -> Result<Archived> {
    let archived = prepare(context, chain, table, batch, written, removes, None, now)?;
    archived.ok_or_else(|| Error::new(Kind::Internal, format!("preparing batch {batch}"), "it was given up unasked"))
}

/// `Ok(None)`: something came to protect records since `unless` was looked at, and nothing was done.
#[expect(clippy::too_many_arguments, reason = "each is one fact of the batch; a struct would only rename them")]
fn prepare(
    context: &Context,
    chain: &mut Chain,
    table: &Table,
    batch: &str,
    written: Written,
    removes: Vec<String>,
    unless: Option<&Protection>,
    now: Timestamp,
) -> Result<Option<Archived>> {
    let bytes = written.segments.iter().map(|segment| segment.bytes).sum();
    let archived = Archived {
        batch: Some(batch.to_owned()),
        counts: written.counts,
        segments: written.segments.len() as u64,
        bytes,
        objects: written.outcomes.len() as u64,
        unreadable: written.outcomes.iter().filter(|outcome| outcome.unreadable.is_some()).count() as u64,
        failed: Vec::new(),
    };
    let mut tables = Vec::new();
    if !written.segments.is_empty() {
        let detail = TableDetail { schema: changed_schema(table, &written.schema)?, adds: written.segments, removes };
        tables.push(PreparedTable {
            table: table.name().clone(),
            base: table.version(),
            segments: archived.segments,
            bytes,
            digest: written.digest,
            detail: chain.attach([&detail])?,
        });
    }
    let prepared = Body::BatchPrepared {
        batch: batch.to_owned(),
        tables,
        objects: chain.attach(&written.outcomes)?,
        quarantine: written.quarantine.into_iter().collect(),
        counts: written.counts,
    };
    if !append_prepared(chain, prepared, unless, now)? {
        return Ok(None);
    }
    commit_prepared(&context.archive, chain, batch, now)?;
    tracing::info!(
        batch,
        table = %table.name(),
        objects = archived.objects,
        rows = archived.counts.archived,
        quarantined = archived.counts.quarantined,
        duplicate = archived.counts.duplicate,
        segments = archived.segments,
        bytes = archived.bytes,
        "batch committed"
    );
    context.progress.see(Event::BatchCommitted { table: table.name(), rows: archived.counts.archived });
    Ok(Some(archived))
}

/// What says that records stay: it needs no lease, and so may change while a batch is read.
#[derive(Debug, PartialEq)]
struct Protection {
    holds: BTreeMap<String, HoldScope>,
    policies: usize,
}

impl Protection {
    fn of(state: &State) -> Self {
        Protection { holds: state.holds.clone(), policies: state.policies.len() }
    }
}

fn append_prepared(chain: &mut Chain, prepared: Body, unless: Option<&Protection>, now: Timestamp) -> Result<bool> {
    let Some(decided) = unless else { return chain.append_or_end(now, prepared).map(|()| true) };
    while Protection::of(chain.state()) == *decided {
        if chain.append(now, prepared.clone())? == Append::Done {
            return Ok(true);
        }
        let others = chain.fold()?;
        if !others.iter().all(|entry| entry.body.needs_no_lease()) {
            return Err(fenced("batch_prepared", &others));
        }
    }
    Ok(false)
}

/// Opens a table and makes sure that all the ledger knows of it is there: nothing is added to what is damaged, nor beside
/// a batch that is not settled, whose commit would then find the table changed.
pub fn open_ours(archive: &Store, state: &State, name: &TableName) -> Result<Table> {
    let table = Table::open(archive, name)?;
    let open =
        |batch: &Batch| matches!(batch.stage, Stage::Intended | Stage::Prepared(_)) && batch.tables.contains(name);
    if let Some((batch, _)) = state.batches.iter().find(|(_, batch)| open(batch)) {
        return Err(Error::new(
            Kind::Decision,
            format!("opening the table {name}"),
            format!("batch {batch} of an earlier run is not settled"),
        )
        .with_hint("nothing is lost: its raw objects stay; what kept it from being settled is reported beside this"));
    }
    let Some(known) = state.tables.get(&name.key()) else { return Ok(table) };
    let damaged = |reason: String| {
        Error::new(Kind::Damaged, format!("opening the table {name}"), reason)
            .with_hint("nothing is archived into, cleared from or destroyed in this table; run `holdfast verify`")
    };
    if table.version().is_none_or(|version| version < known.version) {
        let found = table.version().map_or_else(|| "no commit".to_owned(), |version| format!("version {version}"));
        return Err(damaged(format!(
            "the ledger knows version {}, but the table has {found}: commits are gone",
            known.version
        )));
    }
    let files = table.files()?;
    match known.segments.keys().find(|path| !files.contains_key(*path)) {
        // A commit after ours took it out: then it is no damage, but somebody has to look at it.
        Some(path) if table.version() > Some(known.version) => Err(Error::new(
            Kind::Decision,
            format!("opening the table {name}"),
            format!("somebody else changed it: segment {path} is not in the table any more"),
        )
        .with_hint(format!(
            "nothing is archived into, cleared from or destroyed in this table; `holdfast verify` names their commits, \
             and `holdfast adopt {name} --reason …` takes them over"
        ))),
        Some(path) => Err(damaged(format!("segment {path} is not in the table any more"))),
        None => Ok(table),
    }
}

/// The columns of a table that is there, or of one to be created.
pub fn table_schema(table: &Table, rule: &Rule) -> Result<TableSchema> {
    if let Some(schema) = schema_of(table)? {
        return Ok(schema);
    }
    let time_column = (rule.clock == ClockSource::Event).then_some(rule.time_column.as_str());
    TableSchema::new(catalogue::find(&table.name().table), time_column)
}

/// The columns of a table, if it is there.
pub fn schema_of(table: &Table) -> Result<Option<TableSchema>> {
    let catalogued = catalogue::find(&table.name().table);
    table.schema()?.map(|schema| TableSchema::from_delta(catalogued, &schema)).transpose()
}

/// A table keeps the spelling it was created with; a new one gets the catalogue's, else that of first sight.
pub fn spelling(state: &State, name: &TableName) -> TableName {
    if let Some(known) = state.spelling(name) {
        return known.clone();
    }
    let table = catalogue::find(&name.table).map_or_else(|| name.table.clone(), |table| table.name().to_owned());
    TableName::new(name.workspace.clone(), table)
}

/// A batch's id: its run, and the sequence at which it is intended.
pub fn next_batch(chain: &Chain, seq: u64) -> String {
    format!("{}-{seq}", chain.run())
}

/// Ends a batch that was never prepared, and destroys what it uploaded.
pub fn abandon(
    context: &Context,
    chain: &mut Chain,
    sources: &BTreeMap<String, Store>,
    batch: &str,
    reason: &str,
    armed: Armed,
    now: Timestamp,
) -> Result<()> {
    let known = chain.state().batches.get(batch);
    if !known.is_some_and(|known| matches!(known.stage, Stage::Intended)) {
        // Once it is prepared it can only go forward; recovery does that.
        return Ok(());
    }
    chain.append_or_end(now, Body::BatchAbandoned { batch: batch.to_owned(), reason: reason.to_owned() })?;
    let stores = Stores { archive: &context.archive, sources };
    let mut errors = Vec::new();
    sweep(chain, &stores, armed, &mut errors, now)?;
    for error in errors {
        tracing::warn!(%error, "an abandoned upload could not be removed; the next run tries again");
    }
    Ok(())
}

fn changed_schema(table: &Table, schema: &TableSchema) -> Result<Option<String>> {
    let failed = |source: serde_json::Error| {
        Error::from_source(Kind::Internal, format!("writing the schema of {}", table.name()), source)
    };
    let new = StructType::try_new(schema.delta_fields()).map_err(|source| {
        Error::new(Kind::Internal, format!("building the schema of {}", table.name()), source.to_string())
    })?;
    if let Some(old) = table.schema()? {
        let old: HashSet<&String> = old.fields().map(|field| field.name()).collect();
        if new.fields().all(|field| old.contains(field.name())) {
            return Ok(None);
        }
    }
    serde_json::to_string(&new).map(Some).map_err(failed)
}
