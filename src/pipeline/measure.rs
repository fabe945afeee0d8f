//! Measuring what stands, just before anything is destroyed because of it: each file once a run.

use std::collections::{BTreeSet, HashSet};

use object_store::path::Path;

use crate::archive::index::{IndexObject, Unusable, index_location};
use crate::archive::{Table, checkpoint_path, commit_path, segment_location};
use crate::error::{Error, Kind, Result};
use crate::gate::Measured;
use crate::ledger::{KnownTable, Month, ObjectId, State, Why};
use crate::names::TableName;
use crate::storage::Store;

/// What stands for a digest where a file is there but could not be read: it equals no digest.
const UNREADABLE: &str = "unreadable";

/// Measures what batches wrote.
#[derive(Debug, Default)]
pub struct Measurer {
    pub measured: Measured,
    batches: BTreeSet<String>,
    /// What could not be measured, and so proves nothing.
    pub failed: Vec<Error>,
}

impl Measurer {
    /// Measures everything that the batches behind these raw objects wrote.
    pub fn measure<'a>(&mut self, archive: &Store, state: &State, ids: impl Iterator<Item = &'a ObjectId>) {
        let mut batches = BTreeSet::new();
        for known in ids.filter_map(|id| state.objects.get(id)) {
            let content = state.contents.get(&(known.outcome.table.key(), known.outcome.sha256.clone()));
            let original = content.into_iter().flat_map(|content| content.batches.iter());
            batches.extend(known.batches.iter().chain(original).cloned());
        }
        self.batches(archive, state, batches);
    }

    /// Measures everything that these batches wrote, and those that wrote their rows anew.
    pub fn batches(&mut self, archive: &Store, state: &State, batches: BTreeSet<String>) {
        let mut open: Vec<String> = batches.into_iter().collect();
        let mut new = BTreeSet::new();
        while let Some(batch) = open.pop() {
            if !self.batches.contains(&batch) && new.insert(batch.clone()) {
                let rewritten = state.batches.get(&batch).map(|known| known.gone.rewritten.keys().cloned());
                open.extend(rewritten.into_iter().flatten());
            }
        }
        if new.is_empty() {
            return;
        }
        for table in state.tables.values() {
            let live = table.segments.values().filter(|(_, writer)| new.contains(writer)).map(|(one, _)| &one.path);
            let retired = table.retired.values().filter(|one| new.contains(&one.batch) && !rewritten(&one.why));
            let written: Vec<String> = live.chain(retired.map(|one| &one.segment.path)).cloned().collect();
            if written.is_empty() || !self.table(archive, state, table) {
                continue;
            }
            self.segments(archive, &table.name, &written);
        }
        for quarantined in state.quarantine.iter().filter(|quarantined| new.contains(&quarantined.batch)) {
            self.file(archive, &quarantined.file.data);
            self.file(archive, &quarantined.file.index);
        }
        self.batches.extend(new);
    }

    /// Looks at a table as it is now: its log is what we wrote, its commits are ours, and these are its segments.
    pub fn table(&mut self, archive: &Store, state: &State, table: &KnownTable) -> bool {
        let key = table.name.key();
        match ours(archive, state, table).and_then(|ours| ours.files()) {
            Ok(files) => {
                self.measured.live.insert(key, files.into_keys().collect());
                true
            }
            Err(error) => {
                self.measured.live.remove(&key);
                self.failed.push(error.of_table(&table.name));
                false
            }
        }
    }

    /// Reads segments whose paths are relative to the table.
    pub fn segments(&mut self, archive: &Store, table: &TableName, paths: &[String]) {
        for path in paths {
            if let Some(sha256) = self.read(archive, &segment_location(table, path)) {
                self.measured.segments.insert((table.key(), path.clone()), sha256);
            }
        }
    }

    /// Reads which segments a month's index names, each time anew. Where that cannot be told, nothing is known of it.
    pub fn index(&mut self, archive: &Store, table: &TableName, month: Month) {
        let (path, key) = (index_location(table, month), (table.key(), month));
        self.measured.indexed.remove(&key);
        let named = match archive.wait(IndexObject::look(archive.inner(), path.clone())) {
            Ok(index) => index.directory.entries.into_iter().map(|entry| entry.path).collect(),
            Err(Unusable::Missing) => HashSet::new(),
            Err(Unusable::Damaged(reason)) => {
                let attempted = format!("reading {}", archive.describe(&path));
                let hint = "nothing of its month is destroyed: remove it, and the next run writes it anew";
                self.failed.push(Error::new(Kind::Damaged, attempted, reason).with_hint(hint));
                return;
            }
            Err(Unusable::Store(source)) => return self.failed.push(archive.failed("reading", &path, source)),
        };
        self.measured.indexed.insert(key, named);
    }

    /// Reads one other file of the archive.
    pub fn file(&mut self, archive: &Store, path: &str) {
        if let Some(sha256) = self.read(archive, &Path::from(path)) {
            self.measured.files.insert(path.to_owned(), sha256);
        }
    }

    fn read(&mut self, archive: &Store, path: &Path) -> Option<String> {
        match archive.sha256(path) {
            Ok(sha256) => sha256,
            Err(error) => {
                self.failed.push(error);
                Some(UNREADABLE.to_owned())
            }
        }
    }
}

fn rewritten(why: &Why) -> bool {
    matches!(why, Why::Superseded { .. } | Why::Erased { .. })
}

/// Opens a table in which every commit is ours and the log is what we wrote: only what stands there is trusted as a reason
/// to delete, and only there anything is taken out.
pub fn ours(archive: &Store, state: &State, known: &KnownTable) -> Result<Table> {
    check_log(archive, state, known)?;
    let table = Table::open(archive, &known.name)?;
    let alone = table.version().is_some_and(|version| known.commits.keys().copied().eq(0..=version));
    if alone {
        return Ok(table);
    }
    let reason = match table.version() {
        Some(version) => format!("somebody else changed it: version {version} is not ours"),
        None => "its commits are gone".to_owned(),
    };
    Err(Error::new(Kind::Decision, format!("looking at the table {}", table.name()), reason).with_hint(format!(
        "nothing of it is destroyed: `holdfast verify`, then `holdfast adopt {} --reason …`",
        table.name()
    )))
}

/// The files that a table's snapshot is made from must be those that were written: the newest checkpoint that the ledger
/// knows, and the commits after it.
pub fn check_log(archive: &Store, state: &State, table: &KnownTable) -> Result<()> {
    let newest = state.checkpoints.iter().filter(|one| one.table == table.name).max_by_key(|one| one.version);
    let mut written: Vec<(Path, &String)> =
        newest.iter().map(|one| (checkpoint_path(&table.name, one.version), &one.sha256)).collect();
    let after = table.commits.iter().filter(|(version, _)| newest.is_none_or(|newest| **version > newest.version));
    written.extend(after.map(|(version, sha256)| (commit_path(&table.name, *version), sha256)));
    for (path, sha256) in written {
        let reason = match archive.sha256(&path)? {
            Some(found) if found == *sha256 => continue,
            Some(_) => "its bytes are not those that were written (SHA-256)",
            None => "it is missing",
        };
        return Err(Error::new(Kind::Damaged, format!("reading {}", archive.describe(&path)), reason)
            .with_hint("nothing is cleared or destroyed that stands in this table; run `holdfast verify`"));
    }
    Ok(())
}
