//! Which months are written anew, and which index objects go.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use object_store::path::Path;

use super::month::{open, write_month};
use crate::archive::index::{Note, Notes, fingerprint, index_folder, index_location, notes_location};
use crate::archive::table_path;
use crate::error::{Error, Result};
use crate::ledger::{Chain, KnownTable, Month, ProofKind, Segment, State, Subject};
use crate::names::TableName;
use crate::pipeline::context::Context;
use crate::pipeline::deciding::Deciding;
use crate::pipeline::destroy::{Stores, destroy, unfinished, ungrounded};
use crate::pipeline::measure::Measurer;
use crate::pipeline::trim::prove_obsolete;
use crate::storage::{Put, Store};

/// Brings the index of every table up to what the ledger knows; what cannot be written is a warning. Gives how many index
/// objects were destroyed, since nothing of their month is live any more.
pub fn refresh(
    context: &Context,
    chain: &mut Chain,
    stores: &Stores<'_>,
    deciding: &Deciding<'_>,
    errors: &mut Vec<Error>,
) -> Result<u64> {
    let armed = deciding.allowance.now();
    let mut destroyed = 0;
    for (table, empty) in write(context, chain.state(), deciding.now, armed.expired) {
        let subject = |path: Path| Subject::Index { table: table.clone(), path: path.to_string() };
        let subjects: Vec<Subject> = empty.into_iter().map(subject).collect();
        let measurer = Measurer::default();
        let outcome = destroy(
            chain,
            stores,
            armed,
            ProofKind::ObsoleteLog,
            &subjects,
            deciding.now,
            ungrounded,
            |subject, state| prove_obsolete(subject, state, &measurer),
        )?;
        destroyed += outcome.destroyed;
        errors.extend(unfinished(&outcome).map(|error| error.of_table(&table)));
    }
    Ok(destroyed)
}

/// The same for a command that destroys nothing: where nothing of a month is left, an empty index takes its place.
pub fn keep_up(context: &Context, state: &State, now: Timestamp) {
    write(context, state, now, false);
}

/// Writes what is to be written of all tables. Gives the index objects that may go.
fn write(context: &Context, state: &State, now: Timestamp, armed: bool) -> Vec<(TableName, Vec<Path>)> {
    let watching = state.must_sweep(now);
    let mut going = Vec::new();
    for known in state.tables.values() {
        if context.stopping() {
            break;
        }
        match refresh_table(context, known, watching, armed) {
            Ok(empty) if empty.is_empty() => {}
            Ok(empty) => going.push((known.name.clone(), empty)),
            Err(error) => {
                tracing::warn!(table = %known.name, %error, "the index could not be written: searches open more segments");
            }
        }
    }
    going
}

/// Writes the months that are not as they should be. Gives the index objects that may go.
fn refresh_table(context: &Context, known: &KnownTable, watching: bool, armed: bool) -> Result<Vec<Path>> {
    let archive = &context.archive;
    let folder = table_path(&known.name);
    let listed: BTreeMap<Month, u64> = archive
        .list_folder(Some(&index_folder(&known.name)))?
        .iter()
        .filter_map(|meta| {
            let relative = meta.location.as_ref().strip_prefix(folder.as_ref())?.strip_prefix('/')?;
            Some((Month::of_index(relative)?, meta.size))
        })
        .collect();
    let place = notes_location(&known.name);
    let before = archive.get(&place)?.and_then(|bytes| Notes::parse(&bytes)).unwrap_or_else(Notes::new);
    if !watching && known.retired.is_empty() && stands(&before, known, &listed, armed) {
        return Ok(Vec::new());
    }
    let mut live: BTreeMap<Month, Vec<&Segment>> = BTreeMap::new();
    for (segment, _) in known.segments.values() {
        live.entry(Month::of(segment.day)).or_default().push(segment);
    }
    // What is to be destroyed must not be named: there, notes are not enough.
    let going: BTreeSet<Month> = known.retired.values().map(|retired| Month::of(retired.segment.day)).collect();
    let mut after = Notes::new();
    after.delta = Some(known.version);
    let mut empty = Vec::new();
    for month in live.keys().chain(listed.keys()).copied().collect::<BTreeSet<Month>>() {
        let (segments, name) = (live.get(&month).map_or(&[][..], Vec::as_slice), month.to_string());
        if segments.is_empty() && armed {
            empty.push(index_location(&known.name, month));
            continue;
        }
        let wanted = fingerprint(segments.iter().copied());
        let size = listed.get(&month).copied();
        let noted = before.months.get(&name);
        let as_noted = noted.is_some_and(|note| note.segments == wanted && Some(note.bytes) == size);
        if as_noted && !watching && !going.contains(&month) {
            after.months.extend(noted.cloned().map(|note| (name, note)));
            continue;
        }
        if context.stopping() {
            after.delta = None;
            break;
        }
        match refresh_month(archive, known, month, segments, size) {
            Ok(Some(bytes)) => {
                after.months.insert(name, Note { segments: wanted, bytes });
            }
            Ok(None) => after.delta = None,
            Err(error) => {
                after.delta = None;
                tracing::warn!(table = %known.name, %month, %error, "a month's index could not be written");
            }
        }
    }
    if after != before {
        archive.put(&place, after.print(), Put::Overwrite)?;
    }
    Ok(empty)
}

/// True if no month can have changed: nothing was committed since the notes, and what they tell of is there.
fn stands(notes: &Notes, known: &KnownTable, listed: &BTreeMap<Month, u64>, armed: bool) -> bool {
    let nothing = fingerprint([]);
    notes.delta == Some(known.version)
        && notes.months.len() == listed.len()
        && listed.iter().all(|(month, size)| {
            let note = notes.months.get(&month.to_string());
            // What is empty goes as soon as it may.
            note.is_some_and(|note| note.bytes == *size && !(armed && note.segments == nothing))
        })
}

/// Writes a month's index, unless it names just these segments. Gives its bytes; none: it does not name them all.
fn refresh_month(
    archive: &Store,
    known: &KnownTable,
    month: Month,
    segments: &[&Segment],
    size: Option<u64>,
) -> Result<Option<u64>> {
    let path = index_location(&known.name, month);
    let old = match size {
        Some(size) => open(archive, &path, size)?,
        None => None,
    };
    if let (Some(old), Some(size)) = (&old, size) {
        let entries = &old.directory.entries;
        if entries.len() == segments.len() && entries.iter().zip(segments).all(|(entry, segment)| entry.is_of(segment))
        {
            return Ok(Some(size));
        }
    }
    let written = write_month(archive, &known.name, &path, segments, old.as_ref())?;
    tracing::info!(table = %known.name, %month, segments = segments.len(), bytes = written.bytes, "index written");
    Ok(written.whole.then_some(written.bytes))
}
