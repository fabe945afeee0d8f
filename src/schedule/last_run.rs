//! When the last run ended, as the ledger tells: what a schedule that starts has missed since.

use jiff::Timestamp;

use crate::error::Result;
use crate::ledger::{Body, Entry, damaged, entry_path, list_entries};
use crate::storage::Store;

/// The `now` of the newest run that came to its end; none if there is none yet. Looks at the newest entries only: to
/// check the chain is the run's business.
pub fn last_run(ledger: &Store) -> Result<Option<Timestamp>> {
    let newest = list_entries(ledger)?.into_iter().max();
    for seq in newest.into_iter().flat_map(|newest| (0..=newest).rev()) {
        let Some(bytes) = ledger.get(&entry_path(seq))? else { continue };
        let entry: Entry = serde_json::from_slice(&bytes).map_err(|source| damaged(seq, source.to_string()))?;
        if matches!(entry.body, Body::RunEnded { .. }) {
            return Ok(Some(entry.at));
        }
    }
    Ok(None)
}
