//! Taking segments out of a table, and putting them back: one Delta commit, in the same protocol as any batch (DESIGN §7).
//!
//! Decided on the state at one sequence, and appended at exactly the next: whoever wrote in between (a hold, an approval)
//! makes it be decided anew. Nothing here deletes.

use jiff::Timestamp;

use super::archive::{next_batch, open_ours};
use super::commit::commit_prepared;
use super::context::Context;
use super::measure::{Measurer, ours};
use crate::archive::segment_location;
use crate::error::{Error, Kind, Result};
use crate::ledger::{
    Append, AttachmentRef, Body, Chain, Counts, Ground, ObjectOutcome, PreparedTable, Purpose, Segment, TableDetail,
    fenced,
};
use crate::names::TableName;
use crate::plan::DayVerdict;
use crate::record::SetDigest;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Done,
    /// Others wrote to the ledger: decide again.
    Overtaken,
}

/// Takes the segments that `grounds` name out of their table.
pub fn retire(
    context: &Context,
    chain: &mut Chain,
    table: &TableName,
    grounds: Vec<Ground>,
    now: Timestamp,
) -> Result<Step> {
    let removes = grounds.iter().map(|ground| ground.path.clone()).collect();
    let inputs = chain.attach(&grounds)?;
    let detail = TableDetail { schema: None, adds: Vec::new(), removes };
    change(context, chain, table, Purpose::Retire, inputs, detail, now)
}

/// Puts retired segments back, after making sure that their bytes are those that were written.
pub fn reinstate(
    context: &Context,
    chain: &mut Chain,
    table: &TableName,
    verdicts: &[&DayVerdict],
    by_hand: bool,
    measurer: &mut Measurer,
    now: Timestamp,
) -> Result<Step> {
    let known = chain.state().tables.get(&table.key()).cloned().ok_or_else(|| {
        Error::new(Kind::Usage, format!("reinstating days of {table}"), "the ledger does not know the table")
    })?;
    ours(&context.archive, chain.state(), &known)?;
    let mut adds: Vec<Segment> = Vec::new();
    for (path, _) in verdicts.iter().flat_map(|verdict| &verdict.item.files) {
        let Some(retired) = known.retired.get(path) else { continue };
        measurer.segments(&context.archive, table, std::slice::from_ref(path));
        let found = measurer.measured.segments.get(&(table.key(), path.clone()));
        if found != Some(&retired.segment.sha256) {
            let path = segment_location(table, path);
            let reason = if found.is_some() { "its bytes are not those that were written" } else { "it is missing" };
            return Err(Error::new(Kind::Damaged, format!("reinstating {}", context.archive.describe(&path)), reason)
                .with_hint("the segment stays retired and is not destroyed; put it back from a copy"));
        }
        adds.push(retired.segment.clone());
    }
    let inputs = chain.attach(&adds)?;
    let detail = TableDetail { schema: None, adds, removes: Vec::new() };
    change(context, chain, table, Purpose::Reinstate { by_hand }, inputs, detail, now)
}

/// Commits nothing to the table: what its newest commit names can be trimmed then.
pub fn step_on(context: &Context, chain: &mut Chain, table: &TableName, now: Timestamp) -> Result<Step> {
    let inputs = chain.attach(std::iter::empty::<Ground>())?;
    let detail = TableDetail { schema: None, adds: Vec::new(), removes: Vec::new() };
    change(context, chain, table, Purpose::Trim, inputs, detail, now)
}

fn change(
    context: &Context,
    chain: &mut Chain,
    table: &TableName,
    purpose: Purpose,
    inputs: AttachmentRef,
    detail: TableDetail,
    now: Timestamp,
) -> Result<Step> {
    let open = open_ours(&context.archive, chain.state(), table)?;
    let batch = next_batch(chain, chain.state().next_seq());
    // All attachments first: the entries follow one another at once.
    let prepared = PreparedTable {
        table: table.clone(),
        base: open.version(),
        segments: detail.adds.len() as u64,
        bytes: detail.adds.iter().map(|segment| segment.bytes).sum(),
        digest: sum(&detail.adds),
        detail: chain.attach([&detail])?,
    };
    let objects = chain.attach(std::iter::empty::<ObjectOutcome>())?;
    let intended = Body::BatchIntended { batch: batch.clone(), purpose, tables: vec![table.clone()], inputs };
    if !append_exactly(chain, intended, now)? {
        return Ok(Step::Overtaken);
    }
    let prepared = Body::BatchPrepared {
        batch: batch.clone(),
        tables: vec![prepared],
        objects,
        quarantine: Vec::new(),
        counts: Counts::default(),
    };
    if !append_exactly(chain, prepared, now)? {
        let reason = "others wrote to the ledger before it was prepared".to_owned();
        chain.append_or_end(now, Body::BatchAbandoned { batch, reason })?;
        return Ok(Step::Overtaken);
    }
    commit_prepared(&context.archive, chain, &batch, now)?;
    tracing::info!(batch, %table, added = detail.adds.len(), removed = detail.removes.len(), "membership changed");
    Ok(Step::Done)
}

/// Appends at exactly the next sequence; `false`: somebody who needs no lease was faster, and was folded.
fn append_exactly(chain: &mut Chain, body: Body, now: Timestamp) -> Result<bool> {
    let kind = body.kind();
    if chain.append(now, body)? == Append::Done {
        return Ok(true);
    }
    let others = chain.fold()?;
    if others.iter().all(|entry| entry.body.needs_no_lease()) { Ok(false) } else { Err(fenced(kind, &others)) }
}

fn sum(segments: &[Segment]) -> SetDigest {
    let mut digest = SetDigest::default();
    for segment in segments {
        digest.merge(&segment.digest);
    }
    digest
}
