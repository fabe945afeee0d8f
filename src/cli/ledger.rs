//! `holdfast ledger`: the entries as they stand.

use serde_json::{Value, json};

use super::args::{Args, LedgerCommand};
use super::open::House;
use super::output::Output;
use super::table::aligned;
use super::verify;
use crate::error::{Error, Kind, Result};
use crate::ledger::{
    AttachmentRef, Body, Entry, ZEROS, entry_path, list_entries, parse_entry, read_attachment, sha256_hex,
};
use crate::storage::{Missing, Store};

pub fn ledger(args: &Args, command: &LedgerCommand, output: &mut Output) -> Result<u8> {
    match command {
        LedgerCommand::Verify => verify::ledger(args, output),
        LedgerCommand::List { last } => {
            let house = House::open(args, output)?;
            list(&house.ledger(Missing::Refuse)?, *last, output)
        }
        LedgerCommand::Show { seq } => {
            let house = House::open(args, output)?;
            show(&house.ledger(Missing::Refuse)?, *seq, output)
        }
    }
}

fn list(store: &Store, last: Option<usize>, output: &mut Output) -> Result<u8> {
    let mut numbers = list_entries(store)?;
    numbers.sort_unstable();
    let mut prev = ZEROS.to_owned();
    let mut entries: Vec<Entry> = Vec::new();
    for seq in numbers {
        let Some(bytes) = store.get(&entry_path(seq))? else { continue };
        entries.push(parse_entry(seq, &prev, &bytes)?);
        prev = sha256_hex(&bytes);
    }
    let skip = last.map_or(0, |last| entries.len().saturating_sub(last));
    let entries = &entries[skip..];
    if output.is_json() {
        output.json(&entries)?;
        return Ok(0);
    }
    let rows: Vec<Vec<String>> = entries
        .iter()
        .map(|entry| {
            vec![
                entry.seq.to_string(),
                entry.at.to_string(),
                entry.run.clone(),
                entry.body.kind().to_owned(),
                summary(&entry.body),
            ]
        })
        .collect();
    for line in aligned(&["seq", "at", "run", "kind", ""], &rows, &[0]) {
        output.line(line)?;
    }
    Ok(0)
}

fn show(store: &Store, seq: u64, output: &mut Output) -> Result<u8> {
    let bytes = store.get(&entry_path(seq))?.ok_or_else(|| {
        Error::new(Kind::Usage, format!("showing ledger entry {seq}"), "there is none")
            .with_hint("`holdfast ledger list` shows what there is")
    })?;
    let prev = match seq.checked_sub(1) {
        None => ZEROS.to_owned(),
        Some(before) => store.get(&entry_path(before))?.map(|bytes| sha256_hex(&bytes)).unwrap_or_default(),
    };
    let entry = parse_entry(seq, &prev, &bytes)?;
    let mut attachments = serde_json::Map::new();
    for reference in entry.body.attachments() {
        attachments.insert(reference.sha256.clone(), attachment(store, reference)?);
    }
    output.json(&json!({ "sha256": sha256_hex(&bytes), "entry": entry, "attachments": attachments }))?;
    Ok(0)
}

fn attachment(store: &Store, reference: &AttachmentRef) -> Result<Value> {
    Ok(Value::Array(read_attachment(store, reference)?))
}

/// One entry in a few words.
fn summary(body: &Body) -> String {
    match body {
        Body::Created { archive, simulation, .. } => {
            format!("archive {archive}{}", if *simulation { ", a simulation" } else { "" })
        }
        Body::RunStarted { host, armed, .. } => {
            let armed = if armed.raw || armed.expired { "armed" } else { "nothing armed" };
            format!("on {host}, {armed}")
        }
        Body::RunEnded { exit, batches, rows, cleared, partial } => {
            let partial = if *partial { ", not of everything" } else { "" };
            format!("exit {exit}: {batches} batches, {rows} rows, {cleared} cleared{partial}")
        }
        Body::PolicyAccepted { digest, files } => {
            format!("{} files, {}…", files.count, &digest[..12.min(digest.len())])
        }
        Body::BatchIntended { batch, tables, inputs, .. } => {
            let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
            format!("{batch}: {} of {}", inputs.count, tables.join(", "))
        }
        Body::BatchPrepared { batch, counts, .. } => format!(
            "{batch}: {} decoded = {} archived + {} quarantined + {} expired + {} duplicate{}",
            counts.decoded,
            counts.archived,
            counts.quarantined,
            counts.expired,
            counts.duplicate,
            if counts.raw > 0 { format!(" + {} raw", counts.raw) } else { String::new() }
        ),
        Body::BatchCommitted { batch, tables } => {
            let tables: Vec<String> =
                tables.iter().map(|table| format!("{} version {}", table.table, table.version)).collect();
            format!("{batch}: {}", tables.join(", "))
        }
        Body::BatchAbandoned { batch, reason } => format!("{batch}: {reason}"),
        Body::DestroyIntended { proof, subjects, .. } => format!("{} objects, {}", subjects.count, proof.name()),
        Body::DestroyDone { destroyed, missing, kept, .. } => {
            let kept = kept.as_ref().map_or(0, |kept| kept.count);
            format!("{destroyed} destroyed, {missing} not there any more, {kept} kept")
        }
        Body::ExpirySettled { tables } => format!("{} tables have nothing due any more", tables.count),
        Body::Approved { plan, items, until, .. } => {
            format!("{} days of plan {}…, until {until}", items.count, &plan[..12.min(plan.len())])
        }
        Body::Adopted { table, commits, .. } => format!("{table}: {} commits by others", commits.len()),
        Body::CheckpointWritten { table, version, .. } => format!("{table} version {version}"),
        Body::HoldPlaced { hold, .. } | Body::HoldReleased { hold, .. } => hold.clone(),
        Body::StateSaved { sha256, .. } => format!("{}…", &sha256[..12.min(sha256.len())]),
    }
}
