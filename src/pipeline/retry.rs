//! Judging quarantined records again, under the rules of today.
//!
//! A retry is a batch whose inputs are quarantine files: what can be judged now becomes rows; what still cannot goes to
//! the new batch's quarantine. The old files stay as they were, marked as retried, until their own clock ends them.
//!
//! A table with `archive = false` is left as it is: no segment may take its records, and their raw objects may be gone.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use jiff::Timestamp;

use super::archive::{Archived, abandon, next_batch, open_ours, prepare_and_commit, spelling, table_schema};
use super::batch::BatchWriter;
use super::context::{Context, Request};
use super::deciding::history;
use super::destroy::Stores;
use super::index::keep_up;
use super::limits::Limits;
use super::recover::recover;
use super::run::new_nonce;
use super::witness::check_witnesses;
use super::written::{Stopped, Written, misjudged};
use crate::archive::survey::Survey;
use crate::archive::{read_bytes, read_items};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Armed, Body, Chain, ObjectId, Purpose, Quarantined, State};
use crate::names::TableName;
use crate::plan::{Intake, Terms};
use crate::policy::Rule;
use crate::source::{GoingOn, Layout, Line, LineReader, ReadAs};

/// What a retry did for one table.
#[derive(Debug, Default, serde::Serialize)]
pub struct Retried {
    pub table: String,
    pub tried: u64,
    pub archived: u64,
    pub still_quarantined: u64,
    /// Why nothing was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
}

/// Retries the quarantine of the tables asked for.
pub fn retry(context: &Context, request: &Request) -> Result<Vec<Retried>> {
    let now = request.now;
    let lease = (context.take_lease)()?;
    context.archive.sweep()?;
    context.ledger.sweep()?;
    let mut chain = Chain::open(context.ledger.clone(), (context.ids)(), Box::new(new_nonce(context)))?.under(lease);
    let policies = context.policies.as_ref().map_err(|error| {
        Error::new(Kind::Policy, "reading the policies", error.to_string())
            .with_hint("`holdfast check` shows every mistake")
    })?;
    check_witnesses(&context.archive, &chain)?;
    if asked_for(chain.state(), request).is_empty() {
        return Ok(Vec::new());
    }
    let started = Body::RunStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: context.host.clone(),
        process: std::process::id(),
        armed: Armed::default(),
    };
    chain.append_or_end(now, started)?;
    // A retry that was killed may have been prepared: its records must not be judged twice (I2). Nothing is armed, so
    // that what a killed run meant to destroy waits for the next one.
    let history = history(&chain, policies, now)?;
    let sources = context.source_stores();
    let stores = Stores { archive: &context.archive, sources: &sources };
    for error in recover(&mut chain, &stores, Armed::default(), &Terms::new(&history), now)?.errors {
        tracing::warn!(%error, "an earlier run could not be settled; its table is left alone");
    }
    let by_table = asked_for(chain.state(), request);
    let mut done = Vec::new();
    for (table, files) in by_table {
        let rule = policies.rule_for(&table).ok_or_else(|| {
            Error::new(Kind::Policy, format!("retrying the quarantine of {table}"), "no rule names the table any more")
        })?;
        if !rule.archive {
            done.push(Retried {
                table: table.to_string(),
                still_quarantined: files.iter().map(|quarantined| quarantined.file.records).sum(),
                untried: Some("its rule says archive = false".into()),
                ..Retried::default()
            });
            continue;
        }
        let archived = retry_table(context, &mut chain, &table, &rule, &files, now)?;
        done.push(Retried {
            table: table.to_string(),
            tried: archived.counts.decoded,
            archived: archived.counts.archived,
            still_quarantined: archived.counts.quarantined,
            untried: None,
        });
    }
    keep_up(context, chain.state(), now);
    let rows = done.iter().map(|retried| retried.archived).sum();
    let batches = done.iter().filter(|retried| retried.untried.is_none()).count() as u64;
    chain.append_or_end(now, Body::RunEnded { exit: 0, batches, rows, cleared: 0, partial: true })?;
    chain.write_head()?;
    Ok(done)
}

/// The quarantine files that were not judged again yet, by table.
fn asked_for(state: &State, request: &Request) -> BTreeMap<TableName, Vec<Quarantined>> {
    let mut by_table: BTreeMap<TableName, Vec<Quarantined>> = BTreeMap::new();
    for quarantined in state.quarantine.iter().filter(|quarantined| !quarantined.retried) {
        let table = &quarantined.file.table;
        if request.tables.is_empty() || request.tables.contains(table) {
            by_table.entry(table.clone()).or_default().push(quarantined.clone());
        }
    }
    by_table
}

fn retry_table(
    context: &Context,
    chain: &mut Chain,
    table: &TableName,
    rule: &Rule,
    files: &[Quarantined],
    now: Timestamp,
) -> Result<Archived> {
    let sources = context.source_stores();
    let table_name = spelling(chain.state(), table);
    let mut surveyed = Survey::default();
    loop {
        let open = open_ours(&context.archive, chain.state(), &table_name)?;
        let mut schema = table_schema(&open, rule)?;
        schema.decide(&surveyed);
        let batch = next_batch(chain, chain.state().next_seq());
        let inputs = chain.attach(files.iter().map(|quarantined| &quarantined.file))?;
        let purpose = Purpose::Retry { batches: files.iter().map(|quarantined| quarantined.batch.clone()).collect() };
        let intent = Body::BatchIntended { batch: batch.clone(), purpose, tables: vec![table_name.clone()], inputs };
        chain.append_or_end(now, intent)?;
        // Nothing is armed here: what has expired by now is retired by the next run, not expired on arrival.
        let writer = BatchWriter::new(context, rule, &table_name, &batch, schema, Intake::default(), now)?;
        let error = match read_quarantine(context, writer, files) {
            Ok(written) => match prepare_and_commit(context, chain, &open, &batch, written, Vec::new(), now) {
                Ok(archived) => return Ok(archived),
                Err(error) => error,
            },
            Err(Stopped::Types { column, survey }) => {
                surveyed = survey;
                abandon(context, chain, &sources, &batch, &misjudged(&column), Armed::default(), now)?;
                continue;
            }
            Err(Stopped::Object(_, error) | Stopped::Failed(error)) => *error,
        };
        if let Err(second) = abandon(context, chain, &sources, &batch, &error.to_string(), Armed::default(), now) {
            tracing::debug!(%second, batch, "the batch could not be abandoned; the next run settles it");
        }
        return Err(error);
    }
}

fn read_quarantine(context: &Context, mut writer: BatchWriter<'_>, files: &[Quarantined]) -> Result<Written, Stopped> {
    for quarantined in files {
        for item in read_items(&context.archive, quarantined)? {
            let layout = context.sources.iter().find(|source| source.name == item.source).map(|source| &source.layout);
            let period = layout.and_then(|layout| layout.read(&item.path)).and_then(|seen| seen.period);
            let read_as = ReadAs {
                form: layout.and_then(Layout::format),
                period,
                max_record: writer.limits().record,
                going_on: GoingOn::default(),
            };
            let id = ObjectId { source: item.source.clone(), path: item.path.clone() };
            let terms = writer.terms(period, &id);
            let bytes = read_bytes(&context.archive, quarantined, &item)?;
            if !item.whole_object {
                writer.record(&bytes, item.offset, &terms, &id)?;
                writer.flush_if_full()?;
                continue;
            }
            // Either all of it can be read now, or it stays whole.
            match whole_lines(bytes.clone(), read_as, writer.limits()) {
                Ok(lines) => {
                    for (start, line) in lines {
                        writer.record(&line, start, &terms, &id)?;
                    }
                }
                Err(reason) => writer.keep_object(&item.source, &item.path, &bytes, &reason)?,
            }
            writer.flush_if_full()?;
        }
    }
    writer.finish()
}

fn whole_lines(bytes: Bytes, read_as: ReadAs, limits: Limits) -> Result<Vec<(u64, Vec<u8>)>, String> {
    let mut reader = LineReader::formed(bytes.reader(), None, read_as).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    let mut held = 0;
    loop {
        match reader.next().map_err(|error| error.to_string())? {
            None => return Ok(lines),
            Some(Line::Record { bytes, start, .. }) => {
                held += bytes.len();
                if held > limits.buffer {
                    return Err("it unpacks to more than `memory` can hold".into());
                }
                lines.push((start, bytes.to_vec()));
            }
            Some(Line::Oversized { .. }) => return Err("it holds a record that is too long for this memory".into()),
        }
    }
}
