//! Merging small segments of one day and part into one (DESIGN §6): intent → rewrite → `prepared` → one Delta commit
//! that adds the new segment and removes the old ones → `committed`.
//!
//! Invariant (I1): the new segment holds exactly the rows of those that it replaces: their number and the sum of their
//! digests are compared before anything is promised. The old ones are only superseded here; they are destroyed by the
//! stage that can prove it. Unarmed, nothing is merged, since two copies of everything would stay.

use jiff::Timestamp;
use serde::Serialize;

use super::archive::{Archived, abandon, next_batch, open_ours, prepare_and_commit, schema_of};
use super::context::Context;
use super::deciding::Deciding;
use super::limits::Limits;
use super::rewrite::{Gathered, gather, write};
use super::write::SegmentWriter;
use super::written::Written;
use crate::archive::Table;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Armed, Body, Chain, Counts, Purpose, Segment};
use crate::names::TableName;
use crate::plan::{FEWEST_SEGMENTS, Merging, TARGET_BYTES, merges};
use crate::policy::Rule;

/// What a run merged.
#[derive(Debug, Default)]
pub struct MergedAll {
    pub merged: Vec<Merged>,
    /// Of tables that stopped themselves, not the others.
    pub errors: Vec<Error>,
}

/// One merge that was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Merged {
    pub table: TableName,
    pub day: jiff::civil::Date,
    pub part: String,
    pub batch: String,
    /// So many segments became one.
    pub segments: u64,
    pub rows: u64,
    pub bytes_before: u64,
    pub bytes_after: u64,
}

/// Merges all that pays, table after table. Ends early, after a merge, if the run should.
pub fn merge_small(context: &Context, chain: &mut Chain, deciding: &Deciding<'_>) -> Result<MergedAll> {
    let mut done = MergedAll::default();
    let (armed, now, history) = (deciding.allowance.now(), deciding.now, deciding.terms.history());
    let only = |table: &TableName| deciding.only.includes(table, deciding.terms.of(table).as_deref());
    if !armed.expired {
        return Ok(done);
    }
    let room = Limits::of(context.memory).buffer as u64;
    let mut stopped: Option<TableName> = None;
    for merging in merges(chain.state(), history, now, TARGET_BYTES, room, &only) {
        if context.stopping() {
            break;
        }
        if stopped.as_ref() == Some(&merging.table) {
            continue;
        }
        let rule = history.term(&merging.table).map(|term| term.rule);
        match merge_step(context, chain, &merging, rule.as_ref(), armed, now) {
            Ok(merged) => done.merged.extend(merged),
            Err(error) if matches!(error.kind(), Kind::Damaged | Kind::Decision | Kind::Internal) => {
                stopped = Some(merging.table);
                done.errors.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// One merge. `Ok(None)`: it does not pay after all, and nothing was done. Without a rule no column is indexed.
pub fn merge_step(
    context: &Context,
    chain: &mut Chain,
    merging: &Merging,
    rule: Option<&Rule>,
    armed: Armed,
    now: Timestamp,
) -> Result<Option<Merged>> {
    let name = &merging.table;
    let limits = Limits::of(context.memory);
    let table = open_ours(&context.archive, chain.state(), name)?;
    let inputs = inputs(chain, merging)?;
    if let Some(reason) = spared(chain, merging, &table) {
        tracing::info!(table = %name, day = %merging.day, reason, "not merged");
        return Ok(None);
    }
    let Some(schema) = schema_of(&table)? else { return Ok(None) };
    let gathered = gather(context, name, &schema, &inputs, limits)?;
    if gathered.segments.len() < FEWEST_SEGMENTS {
        tracing::info!(table = %name, day = %merging.day, fit = gathered.segments.len(), "not merged: too few fit in memory");
        return Ok(None);
    }
    let batch = next_batch(chain, chain.state().next_seq());
    let intent = Body::BatchIntended {
        batch: batch.clone(),
        purpose: Purpose::Merge,
        tables: vec![name.clone()],
        inputs: chain.attach(&gathered.segments)?,
    };
    chain.append_or_end(now, intent)?;
    let writer = SegmentWriter::new(context, name, &batch, rule, limits);
    let replaced = gathered.segments.clone();
    match rewrite_and_commit(context, chain, &table, gathered, writer, &batch, now) {
        Ok(archived) => Ok(Some(Merged {
            table: name.clone(),
            day: merging.day,
            part: merging.part.clone(),
            batch,
            segments: replaced.len() as u64,
            rows: archived.counts.archived,
            bytes_before: replaced.iter().map(|segment| segment.bytes).sum(),
            bytes_after: archived.bytes,
        })),
        Err(error) => {
            let sources = context.source_stores();
            // If even this cannot be written, the next run finds the open intent.
            if let Err(second) = abandon(context, chain, &sources, &batch, &error.to_string(), armed, now) {
                tracing::debug!(%second, batch, "the merge could not be abandoned; the next run does it");
            }
            Err(error)
        }
    }
}

/// Why a planned merge must not be done now. Holds need no lease: one may have come since.
fn spared(chain: &Chain, merging: &Merging, table: &Table) -> Option<&'static str> {
    let (state, name) = (chain.state(), &merging.table);
    if state.holds.values().any(|hold| hold.covers(name, Some(merging.day))) {
        return Some("a hold covers it");
    }
    // Nothing of such a table is destroyed: a merge would only double it.
    let ours = state.tables.get(&name.key()).is_some_and(|known| table.version() == Some(known.version));
    (!ours).then_some("somebody else changed the table")
}

/// The planned segments as the ledger has them now.
fn inputs(chain: &Chain, merging: &Merging) -> Result<Vec<Segment>> {
    let known = chain.state().tables.get(&merging.table.key());
    let live = |path: &String| Some(known?.segments.get(path)?.0.clone());
    merging
        .segments
        .iter()
        .map(|path| {
            live(path).filter(|segment| segment.day == merging.day && segment.part == merging.part).ok_or_else(|| {
                let reason = format!("{path} is no live segment of {} any more", merging.day);
                Error::new(Kind::Internal, format!("merging segments of {}", merging.table), reason)
                    .with_hint("nothing was done; please report this")
            })
        })
        .collect()
}

fn rewrite_and_commit(
    context: &Context,
    chain: &mut Chain,
    table: &Table,
    gathered: Gathered,
    writer: SegmentWriter<'_>,
    batch: &str,
    now: Timestamp,
) -> Result<Archived> {
    let removes = gathered.segments.iter().map(|segment| segment.path.clone()).collect();
    let digest = gathered.digest;
    let (segment, schema) = write(gathered, writer)?;
    let written = Written {
        schema,
        segments: vec![segment],
        digest,
        counts: Counts { decoded: digest.rows, archived: digest.rows, ..Counts::default() },
        outcomes: Vec::new(),
        quarantine: None,
        failed: Vec::new(),
    };
    prepare_and_commit(context, chain, table, batch, written, removes, now)
}
