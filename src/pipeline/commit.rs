//! From `prepared` to `committed`: one Delta commit per table, never rebased, each looked at afterwards.
//!
//! The same code serves a run and the recovery of a killed one: what is already there is recognised, so that doing it
//! twice is doing it once (I2).

use jiff::Timestamp;

use crate::archive::Table;
use crate::error::{Error, Kind, Result};
use crate::gate::carries;
use crate::ledger::{Body, Chain, CommittedTable, Head, KnownTable, Prepared, PreparedTable, Stage, TableDetail};
use crate::storage::Store;

/// Commits a prepared batch to its tables and appends `committed`.
pub fn commit_prepared(archive: &Store, chain: &mut Chain, batch: &str, now: Timestamp) -> Result<()> {
    let Some(Stage::Prepared(prepared)) = chain.state().batches.get(batch).map(|known| known.stage.clone()) else {
        return Err(Error::new(Kind::Internal, format!("committing batch {batch}"), "it is not prepared"));
    };
    let archive_id = chain.state().archive.clone().unwrap_or_default();
    let witness = witness(chain)?;
    let Prepared { seq, tables, .. } = *prepared;
    let mut committed = Vec::with_capacity(tables.len());
    for (table, detail) in &tables {
        let known = chain.state().tables.get(&table.table.key());
        committed.push(commit_table(archive, batch, seq, &archive_id, &witness, table, detail, known, now)?);
    }
    chain.append_or_end(now, Body::BatchCommitted { batch: batch.to_owned(), tables: committed })
}

fn witness(chain: &Chain) -> Result<Head> {
    chain.state().head().cloned().ok_or_else(|| Error::new(Kind::Internal, "committing a batch", "the ledger is empty"))
}

#[expect(clippy::too_many_arguments, reason = "each is one fact of the commit; a struct would only rename them")]
fn commit_table(
    archive: &Store,
    batch: &str,
    seq: u64,
    archive_id: &str,
    witness: &Head,
    prepared: &PreparedTable,
    detail: &TableDetail,
    known: Option<&KnownTable>,
    now: Timestamp,
) -> Result<CommittedTable> {
    let name = &prepared.table;
    let next = prepared.base.map_or(0, |base| base + 1);
    let table = Table::open(archive, name)?;
    for version in next..=table.version().unwrap_or_default().max(next) {
        if let Some(committed) = table.committed(batch, version)? {
            check_standing(&table, detail, batch)?;
            return Ok(committed);
        }
    }
    // What others committed since was looked at and adopted, or it stops us.
    let adopted = known.is_some_and(|known| {
        Some(known.version) == table.version() && known.commits.keys().copied().eq(0..=known.version)
    });
    if table.version() != prepared.base && !adopted {
        let found = table.version().map_or_else(|| "no table".to_owned(), |version| format!("version {version}"));
        let base = prepared.base.map_or_else(|| "no table".to_owned(), |version| format!("version {version}"));
        return Err(Error::new(
            Kind::Decision,
            format!("committing batch {batch} to {name}"),
            format!("it was prepared on top of {base}, but now there is {found}: someone else changed the table"),
        )
        .with_hint(
            "nothing is lost: the raw objects and the batch's segments stay; find out who writes to the table, then \
             `holdfast adopt` what they did",
        ));
    }
    let committed = table.commit(detail, batch, seq, archive_id, witness, now)?;
    check_standing(&Table::open(archive, name)?, detail, batch)?;
    Ok(committed)
}

/// Committed means: exactly the prepared paths are in the snapshot.
fn check_standing(table: &Table, detail: &TableDetail, batch: &str) -> Result<()> {
    let files = table.files()?;
    let wrong = |reason: String| {
        Err(Error::new(Kind::Damaged, format!("looking at batch {batch} in {}", table.name()), reason)
            .with_hint("nothing is cleared; run `holdfast verify`"))
    };
    for add in &detail.adds {
        match files.get(&add.path) {
            Some(bytes) if *bytes == add.bytes => {}
            Some(bytes) => return wrong(format!("{} is there with {bytes} bytes instead of {}", add.path, add.bytes)),
            None => return wrong(format!("{} is not in the table", add.path)),
        }
    }
    if let Some(path) = detail.removes.iter().find(|path| files.contains_key(*path)) {
        return wrong(format!("{path} is still in the table"));
    }
    if let Some(path) =
        files.keys().find(|path| carries(path, batch) && !detail.adds.iter().any(|add| add.path == **path))
    {
        return wrong(format!("{path} is in the table, but was not prepared"));
    }
    Ok(())
}
