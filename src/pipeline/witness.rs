//! Before a run writes its first entry: does the ledger still reach as far as the tables have seen it?
//!
//! Each Delta commit repeats the ledger's head of its time (DESIGN §7). A ledger that lost its newest entries, or was put
//! back from an old copy together with `head.json`, would otherwise archive the same raw objects again, and what it
//! appends would hide that anything is missing. Nothing here writes.

use object_store::path::Path;

use crate::archive::{commit_path, witness_of};
use crate::error::Result;
use crate::ledger::Chain;
use crate::names::TableName;
use crate::storage::Store;

/// Errs, as damage, if a commit that the ledger does not know has seen entries that are not there. A commit the ledger
/// knows was followed by its `committed` entry, and needs no look.
pub fn check_witnesses(archive: &Store, chain: &Chain) -> Result<()> {
    for folder in archive.folders(Some(&Path::from("tables")))? {
        for table in archive.folders(Some(&folder))? {
            let (workspace, name) = (folder.filename().unwrap_or_default(), table.filename().unwrap_or_default());
            check_table(archive, chain, &TableName::new(workspace, name), &table)?;
        }
    }
    Ok(())
}

fn check_table(archive: &Store, chain: &Chain, name: &TableName, folder: &Path) -> Result<()> {
    let known = chain.state().tables.get(&name.key()).map(|known| known.version);
    let log = folder.clone().join("_delta_log");
    // Only what comes after our newest commit: a log may be as long as the archive is old.
    let files = match known {
        Some(version) => archive.list_after(&log, &commit_path(name, version))?,
        None => archive.list_folder(Some(&log))?,
    };
    let mut newer: Vec<(u64, Path)> = files
        .into_iter()
        .filter_map(|meta| Some((version_of(&meta.location)?, meta.location)))
        .filter(|(version, _)| known.is_none_or(|known| *version > known))
        .collect();
    newer.sort_unstable();
    for (version, path) in newer.iter().rev() {
        let witness = archive.get(path)?.and_then(|bytes| witness_of(&bytes));
        // The newest of ours speaks for those before it.
        if let Some(witness) = witness {
            return chain.check_witness(&witness, &format!("Delta commit {version} of {name}"));
        }
    }
    Ok(())
}

fn version_of(path: &Path) -> Option<u64> {
    let number = path.filename()?.strip_suffix(".json")?;
    (number.len() == 20).then(|| number.parse().ok()).flatten()
}
