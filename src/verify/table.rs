//! One table: its commits, checkpoints and segments, live and retired, against the ledger.

use std::collections::BTreeSet;

use super::{Finding, RETIRED_MEANING, SEGMENT_MEANING, TABLE_MEANING, Verification, compare_witness};
use crate::archive::schema::TableSchema;
use crate::archive::{Table, catalogue, checkpoint_path, commit_path, segment_location, table_path, witness_of};
use crate::error::Result;
use crate::ledger::{KnownTable, State, sha256_hex};
use crate::pipeline::read_back::read_back;
use crate::storage::Store;

/// Checks all that the ledger knows of one table.
pub(super) fn check_table(
    archive: &Store,
    ledger: &Store,
    state: &State,
    known: &KnownTable,
    threads: usize,
    found: &mut Verification,
) -> Result<()> {
    let name = &known.name;
    for (version, sha256) in known.commits.range(known.first_commit..) {
        let path = commit_path(name, *version);
        let what = format!("Delta commit {version} of {name}");
        match archive.get(&path)? {
            None => found.damaged(what, "it is missing", TABLE_MEANING),
            Some(bytes) if sha256_hex(&bytes) != *sha256 => {
                found.damaged(what, "its bytes are not those that were written (SHA-256)", TABLE_MEANING);
            }
            Some(bytes) => {
                found.commits += 1;
                if let Some(witness) = witness_of(&bytes) {
                    compare_witness(&witness, state.head(), ledger, &what, found)?;
                }
            }
        }
    }
    for checkpoint in state.checkpoints.iter().filter(|checkpoint| checkpoint.table == *name) {
        let what = format!("Delta checkpoint {} of {name}", checkpoint.version);
        match archive.sha256(&checkpoint_path(name, checkpoint.version))? {
            None => found.damaged(what, "it is missing", TABLE_MEANING),
            Some(sha256) if sha256 != checkpoint.sha256 => {
                found.damaged(what, "its bytes are not those that were written (SHA-256)", TABLE_MEANING);
            }
            Some(_) => {}
        }
    }
    check_last_checkpoint(archive, known, found)?;
    let table = match Table::open(archive, name) {
        Ok(table) => table,
        Err(error) => {
            found.damaged(
                format!("the table {name}"),
                format!("it cannot be opened: {}", error.reason()),
                TABLE_MEANING,
            );
            check_retired(archive, known, found)?;
            return check_segments(archive, known, None, threads, found);
        }
    };
    note_foreign(archive, &table, known, found)?;
    let live: Option<BTreeSet<String>> = Some(table.files()?.into_keys().collect());
    let schema = match table.schema()? {
        Some(schema) => match TableSchema::from_delta(catalogue::find(&name.table), &schema) {
            Ok(schema) => Some(schema),
            Err(error) => {
                found.damaged(format!("the schema of {name}"), error.to_string(), TABLE_MEANING);
                None
            }
        },
        None => None,
    };
    for path in live.iter().flatten().filter(|path| !known.segments.contains_key(*path)) {
        found.foreign.push(Finding {
            what: format!("segment {path} of {name}"),
            why: "it is in the table, but the ledger does not know it".into(),
            meaning: "somebody else wrote it; nothing is destroyed in this table".into(),
        });
    }
    for path in known.segments.keys().filter(|path| !live.iter().flatten().any(|live| live == *path)) {
        let (what, why) = (format!("segment {path} of {name}"), "it is not in the table any more");
        if table.version() > Some(known.version) {
            let meaning =
                "a commit of somebody else took it out; nothing is destroyed in this table until that is adopted";
            found.foreign.push(Finding { what, why: why.into(), meaning: meaning.into() });
        } else {
            found.damaged(what, why, SEGMENT_MEANING);
        }
    }
    check_retired(archive, known, found)?;
    check_segments(archive, known, schema.as_ref(), threads, found)
}

fn check_last_checkpoint(archive: &Store, known: &KnownTable, found: &mut Verification) -> Result<()> {
    let path = table_path(&known.name).join("_delta_log").join("_last_checkpoint");
    let Some(bytes) = archive.get(&path)? else { return Ok(()) };
    let version = serde_json::from_slice::<serde_json::Value>(&bytes).ok().and_then(|hint| hint["version"].as_u64());
    let there = match version {
        Some(version) => archive.head(&checkpoint_path(&known.name, version))?.is_some(),
        None => false,
    };
    if !there {
        let what = format!("_last_checkpoint of {}", known.name);
        found.damaged(
            what,
            "it names no checkpoint that is there",
            "readers start from the first commit or fail; the next checkpoint mends it",
        );
    }
    Ok(())
}

fn note_foreign(archive: &Store, table: &Table, known: &KnownTable, found: &mut Verification) -> Result<()> {
    for version in known.first_commit..=table.version().unwrap_or_default() {
        if !known.commits.contains_key(&version) && archive.head(&commit_path(table.name(), version))?.is_some() {
            found.foreign.push(Finding {
                what: format!("Delta commit {version} of {}", table.name()),
                why: "it is not in the ledger".into(),
                meaning: "somebody else wrote to the table, or a run was killed between its commit and the ledger (the next run \
                    settles that); nothing is destroyed in this table until it is explained"
                    .into(),
            });
        }
    }
    Ok(())
}

fn check_segments(
    archive: &Store,
    known: &KnownTable,
    schema: Option<&TableSchema>,
    threads: usize,
    found: &mut Verification,
) -> Result<()> {
    for (segment, _) in known.segments.values() {
        let what = format!("segment {} of {}", segment.path, known.name);
        let path = segment_location(&known.name, &segment.path);
        match archive.sha256(&path)? {
            None => found.damaged(what, "it is missing", SEGMENT_MEANING),
            Some(sha256) if sha256 != segment.sha256 => {
                found.damaged(what, "its bytes are not those that were written (SHA-256)", SEGMENT_MEANING);
            }
            Some(_) => {
                let Some(schema) = schema else { continue };
                match read_back(archive, &path, schema, threads) {
                    Ok(Some(back)) if back.digest == segment.digest => {
                        found.segments += 1;
                        found.rows += back.digest.rows;
                        found.bytes += segment.bytes;
                    }
                    Ok(_) => found.damaged(what, "its rows do not give the digest that was recorded", SEGMENT_MEANING),
                    Err(error) => {
                        found.damaged(what, format!("its rows cannot be read: {}", error.reason()), SEGMENT_MEANING)
                    }
                }
            }
        }
    }
    Ok(())
}

/// What left the table and can still be put back must be what was written.
fn check_retired(archive: &Store, known: &KnownTable, found: &mut Verification) -> Result<()> {
    for retired in known.retired.values() {
        let what = format!("retired segment {} of {}", retired.segment.path, known.name);
        match archive.sha256(&segment_location(&known.name, &retired.segment.path))? {
            Some(sha256) if sha256 == retired.segment.sha256 => found.retired += 1,
            Some(_) => found.damaged(what, "its bytes are not those that were written (SHA-256)", RETIRED_MEANING),
            None => found.damaged(what, "it is missing", RETIRED_MEANING),
        }
    }
    Ok(())
}
