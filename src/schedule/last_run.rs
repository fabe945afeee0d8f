//! When the last run ended, as the ledger tells: what a schedule that starts has missed since.

use jiff::Timestamp;

use crate::error::Result;
use crate::ledger::{Body, Entry, damaged, entry_path, list_entries};
use crate::storage::Store;

/// The `now` of the newest run that came to its end and was not of certain tables only; none if there is none yet. Looks
/// at the newest entries only: to check the chain is the run's business.
pub fn last_run(ledger: &Store) -> Result<Option<Timestamp>> {
    let newest = list_entries(ledger)?.into_iter().max();
    for seq in newest.into_iter().flat_map(|newest| (0..=newest).rev()) {
        let Some(bytes) = ledger.get(&entry_path(seq))? else { continue };
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|source| damaged(seq, source.to_string()))?;
        if matches!(entry.body, Body::RunEnded { partial: false, .. }) {
            return Ok(Some(entry.at));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Armed, Chain};
    use crate::storage::{Missing, open};

    #[test]
    fn a_run_that_was_killed_or_not_of_everything_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let url = url::Url::from_directory_path(folder.path()).unwrap();
        let store = open(&url, &crate::settings::StoreOptions::default(), Missing::Refuse, runtime.handle()).unwrap();
        assert_eq!(last_run(&store).unwrap(), None);
        let mut chain = Chain::open(store.clone(), "r", Box::new(String::new)).unwrap();
        let ended = |partial| Body::RunEnded { exit: 3, batches: 0, rows: 0, cleared: 0, partial };
        let started =
            || Body::RunStarted { version: String::new(), host: String::new(), process: 1, armed: Armed::default() };
        let days: [(i64, Body, Option<i64>); 6] = [
            (0, Body::Created { archive: "a".into(), format: 1, simulation: false }, None),
            (1, started(), None),
            (2, ended(false), Some(2)),
            (3, started(), Some(2)),
            (4, ended(true), Some(2)),
            (5, ended(false), Some(5)),
        ];
        for (day, body, expected) in days {
            let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
            chain.append_or_end(at(day), body).unwrap();
            assert_eq!(last_run(&store).unwrap(), expected.map(at), "{day}");
        }
    }
}
