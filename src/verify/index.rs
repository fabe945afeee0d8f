//! The needle index of one table against the ledger and the segments it was made from.
//!
//! An index is made from segments and can be made again: bytes that are not what was written are damage, since something
//! changed them; an index that is behind the table is only a note. Neither has ever changed an answer.

use std::collections::{BTreeMap, BTreeSet};

use object_store::path::Path;

use super::{Finding, Verification};
use crate::archive::index::{
    Entry, IndexObject, Notes, Unusable, fingerprint, index_folder, index_location, notes_location,
};
use crate::archive::table_path;
use crate::error::{Kind, Result};
use crate::ledger::{KnownTable, Month, Segment};
use crate::pipeline::compare_entry;
use crate::storage::Store;

const INDEX_MEANING: &str = "searches open its segments instead, and no answer changes; remove the file, and the next run writes it \
    anew from the segments";
const TRACE_MEANING: &str =
    "it may tell of values that had to go; the next run replaces it, and destroys nothing of its month before";
const NOTES_MEANING: &str = "the next run opens each index of the table once, and writes it anew";

/// Checks all index objects of a table.
pub(super) fn check_index(archive: &Store, known: &KnownTable, found: &mut Verification) -> Result<()> {
    let folder = table_path(&known.name);
    let mut listed = BTreeMap::new();
    for meta in archive.list_folder(Some(&index_folder(&known.name)))? {
        let relative = meta.location.as_ref().strip_prefix(folder.as_ref()).unwrap_or_default();
        listed.extend(Month::of_index(relative.trim_start_matches('/')).map(|month| (month, meta.size)));
    }
    let mut live: BTreeMap<Month, Vec<&Segment>> = BTreeMap::new();
    for (segment, _) in known.segments.values() {
        live.entry(Month::of(segment.day)).or_default().push(segment);
    }
    let notes = check_notes(archive, known, !listed.is_empty(), found)?;
    let mut missing = Vec::new();
    for month in live.keys().chain(listed.keys()).copied().collect::<BTreeSet<Month>>() {
        let segments = live.get(&month).map_or(&[][..], Vec::as_slice);
        let Some(size) = listed.get(&month).copied() else {
            missing.push(month.to_string());
            continue;
        };
        if check_month(archive, known, month, size, segments, found)? {
            let wanted = fingerprint(segments.iter().copied());
            let noted = notes.as_ref().and_then(|notes| notes.months.get(&month.to_string()));
            if notes.is_some() && !noted.is_some_and(|note| note.segments == wanted && note.bytes == size) {
                found.notes.push(Finding {
                    what: notes_location(&known.name).to_string(),
                    why: format!("it does not say what the index of {month} is"),
                    meaning: NOTES_MEANING.into(),
                });
            }
        }
    }
    if !missing.is_empty() {
        let shown = missing.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let more = if missing.len() > 3 { format!(" and {} more", missing.len() - 3) } else { String::new() };
        found.notes.push(Finding {
            what: format!("the index of {}", known.name),
            why: format!("it is missing for {shown}{more}"),
            meaning: "searches open the segments of these months; the next run writes it".into(),
        });
    }
    Ok(())
}

/// The notes of a table; none: there are none, or they say nothing.
fn check_notes(archive: &Store, known: &KnownTable, indexed: bool, found: &mut Verification) -> Result<Option<Notes>> {
    let path = notes_location(&known.name);
    let Some(bytes) = archive.get(&path)? else {
        if indexed {
            let (what, meaning) = (path.to_string(), NOTES_MEANING.into());
            found.notes.push(Finding { what, why: "it is missing".into(), meaning });
        }
        return Ok(None);
    };
    let notes = Notes::parse(&bytes);
    if notes.is_none() {
        found.damaged(path.to_string(), "its bytes are not those that were written (xxh3)", NOTES_MEANING);
    }
    Ok(notes)
}

/// Checks one month's index. True if it names just the live segments, and nothing is wrong with it.
fn check_month(
    archive: &Store,
    known: &KnownTable,
    month: Month,
    size: u64,
    segments: &[&Segment],
    found: &mut Verification,
) -> Result<bool> {
    let path = index_location(&known.name, month);
    let mut damaged = |why: &str| {
        found.damaged(path.to_string(), why, INDEX_MEANING);
        Ok(false)
    };
    let index = match archive.wait(IndexObject::open(archive.inner(), path.clone(), size)) {
        Ok(index) => index,
        Err(Unusable::Damaged(reason)) => return damaged(reason),
        Err(Unusable::Missing) => return Ok(false),
        Err(Unusable::Store(source)) => return Err(archive.failed("reading", &path, source)),
    };
    match archive.wait(index.check()) {
        Ok(()) => {}
        Err(Unusable::Damaged(reason)) => return damaged(reason),
        Err(Unusable::Missing) => return Ok(false),
        Err(Unusable::Store(source)) => return Err(archive.failed("reading", &path, source)),
    }
    let (mut whole, mut right) = (true, 0);
    for entry in &index.directory.entries {
        match segments.iter().find(|segment| entry.is_of(segment)) {
            Some(segment) => {
                right += 1;
                whole &= check_entry(archive, known, segment, &index, entry, &path, found)?;
            }
            None => {
                whole = false;
                speaks_of_others(known, entry, &path, found);
            }
        }
    }
    if right < segments.len() {
        whole = false;
        found.notes.push(Finding {
            what: path.to_string(),
            why: format!("it lacks {} of {} segments of its month", segments.len() - right, segments.len()),
            meaning: "searches open these; the next run adds them".into(),
        });
    }
    Ok(whole)
}

/// Tells of an entry that is about no live segment of its month.
fn speaks_of_others(known: &KnownTable, entry: &Entry, path: &Path, found: &mut Verification) {
    if known.retired.get(&entry.path).is_some_and(|retired| entry.is_of(&retired.segment)) {
        found.notes.push(Finding {
            what: path.to_string(),
            why: format!("it names {}, which is not in the table any more", entry.path),
            meaning: "searches do not ask it about that; the next run writes it anew".into(),
        });
    } else if known.segments.contains_key(&entry.path) {
        let why = format!("it names {} of another month, or with other bytes", entry.path);
        found.damaged(path.to_string(), why, INDEX_MEANING);
    } else {
        let why = format!("it names {}, which the ledger does not know, or which is gone", entry.path);
        found.damaged(path.to_string(), why, TRACE_MEANING);
    }
}

/// Compares what an entry says with the segment itself.
fn check_entry(
    archive: &Store,
    known: &KnownTable,
    segment: &Segment,
    index: &IndexObject,
    entry: &Entry,
    path: &Path,
    found: &mut Verification,
) -> Result<bool> {
    match compare_entry(archive, &known.name, segment, index, entry) {
        Ok(None) => Ok(true),
        Ok(Some(why)) => {
            found.damaged(path.to_string(), format!("of {}, {why}", segment.path), INDEX_MEANING);
            Ok(false)
        }
        // The segment itself is what is damaged, and was told.
        Err(error) if error.kind() == Kind::Damaged => Ok(true),
        Err(error) => Err(error),
    }
}
