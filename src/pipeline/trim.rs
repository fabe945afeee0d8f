//! Trimming Delta logs: after a destruction, the files that name destroyed segments go in the same run (DESIGN §7, I4).
//!
//! A checkpoint of the newest version says all that still holds; what it made needless passes the gate as `ObsoleteLog`.

use std::collections::HashSet;

use super::context::Context;
use super::deciding::Deciding;
use super::destroy::{Stores, destroy, unfinished, ungrounded};
use super::measure::{Measurer, ours};
use super::membership::{Step, step_on};
use crate::archive::{checkpoint_path, commit_path, table_path};
use crate::error::{Error, Kind, Result};
use crate::gate::{Blocked, ObsoleteLog, Proof};
use crate::ledger::{Body, Chain, KnownTable, ProofKind, State, Subject, log_version};
use crate::names::TableName;

/// Trims the log of each table that may still name what was destroyed. Gives how many files went.
pub fn trim(
    context: &Context,
    chain: &mut Chain,
    stores: &Stores<'_>,
    deciding: &Deciding<'_>,
    errors: &mut Vec<Error>,
) -> Result<u64> {
    let mut trimmed = 0;
    let watching = chain.state().must_sweep(deciding.now);
    let tables: Vec<TableName> = chain.state().tables.values().map(|known| known.name.clone()).collect();
    for table in tables {
        let Some(known) = chain.state().tables.get(&table.key()) else { continue };
        if !(known.untrimmed || watching && came_back(context, known)?) {
            continue;
        }
        let known = known.clone();
        if !deciding.allowance.now().expired || deciding.stopped.contains_key(&known.name.key()) || context.stopping() {
            continue;
        }
        match trim_table(context, chain, stores, deciding, &known) {
            Ok((count, failed)) => {
                trimmed += count;
                errors.extend(failed.map(|error| error.of_table(&known.name)));
            }
            // A damaged table stops itself, not the others (I12).
            Err(error) if matches!(error.kind(), Kind::Damaged | Kind::Decision) => {
                errors.push(error.of_table(&known.name));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(trimmed)
}

fn trim_table(
    context: &Context,
    chain: &mut Chain,
    stores: &Stores<'_>,
    deciding: &Deciding<'_>,
    known: &KnownTable,
) -> Result<(u64, Option<Error>)> {
    let table = &known.name;
    ours(&context.archive, chain.state(), known)?;
    if names_gone(context, known)? {
        while step_on(context, chain, table, deciding.now)? == Step::Overtaken {}
    }
    let known = chain.state().tables.get(&table.key()).cloned().unwrap_or_else(|| known.clone());
    let there = chain.state().checkpoints.iter().any(|one| one.table == *table && one.version == known.version);
    if !there && let Some((version, sha256)) = ours(&context.archive, chain.state(), &known)?.checkpoint()? {
        chain.append_or_end(deciding.now, Body::CheckpointWritten { table: table.clone(), version, sha256 })?;
    }
    let mut measurer = Measurer::default();
    measurer.table(stores.archive, chain.state(), &known);
    measurer.file(stores.archive, checkpoint_path(table, known.version).as_ref());
    let subjects: Vec<Subject> = context
        .archive
        .list_folder(Some(&table_path(table).join("_delta_log")))?
        .iter()
        .filter(|meta| log_version(meta.location.as_ref()).is_some_and(|version| version < known.version))
        .map(|meta| Subject::DeltaLog { table: table.clone(), path: meta.location.to_string() })
        .collect();
    let outcome = destroy(
        chain,
        stores,
        deciding.allowance.now(),
        ProofKind::ObsoleteLog,
        &subjects,
        deciding.now,
        ungrounded,
        |subject, state| prove_obsolete(subject, state, &measurer),
    )?;
    let kept = outcome.kept.first().map(|kept| {
        Error::new(Kind::Damaged, format!("destroying {}", kept.subject.describe()), kept.reason.clone())
            .with_hint("it may still name destroyed segments; run `holdfast verify`")
    });
    Ok((outcome.destroyed, unfinished(&outcome).or(kept)))
}

/// True if a commit lies where the log was trimmed: a runner that was paused while another one did its work found the
/// place free, and wrote it again.
fn came_back(context: &Context, known: &KnownTable) -> Result<bool> {
    let files = context.archive.list_folder(Some(&table_path(&known.name).join("_delta_log")))?;
    Ok(files.iter().any(|meta| log_version(meta.location.as_ref()).is_some_and(|version| version < known.first_commit)))
}

/// The proof for a log file that a checkpoint made needless.
pub fn prove_obsolete(subject: &Subject, state: &State, measurer: &Measurer) -> Result<Proof, Blocked> {
    ObsoleteLog::prove(subject, state, &measurer.measured).map(Proof::ObsoleteLog)
}

/// True if the newest commit itself names a segment that is gone: then it must go, too, and another comes after it, since
/// readers want the newest commit to be there.
fn names_gone(context: &Context, known: &KnownTable) -> Result<bool> {
    let Some(bytes) = context.archive.get(&commit_path(&known.name, known.version))? else { return Ok(false) };
    let kept: HashSet<&str> = known.segments.keys().chain(known.retired.keys()).map(String::as_str).collect();
    let named = bytes.split(|&byte| byte == b'\n').filter_map(|line| {
        let action: serde_json::Value = serde_json::from_slice(line).ok()?;
        let of = |kind: &str| action[kind]["path"].as_str().map(str::to_owned);
        of("add").or_else(|| of("remove"))
    });
    Ok(named.into_iter().any(|path| !kept.contains(path.as_str())))
}
