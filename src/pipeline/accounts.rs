//! Accounting for each object of a batch: every record has a fate (I1).

use jiff::civil::Date;

use super::read_object::Inspected;
use crate::ledger::{Counts, ObjectId, ObjectOutcome};
use crate::plan::Planned;

/// What became of an object, for the ledger. `last_day` is that of the records that stay in it.
pub fn outcome(
    planned: &Planned,
    inspected: &Inspected,
    resume: u64,
    counts: Counts,
    duplicate_of: Option<ObjectId>,
    last_day: Option<Date>,
) -> ObjectOutcome {
    let object = &planned.object;
    ObjectOutcome {
        source: object.source.clone(),
        path: object.path.clone(),
        table: object.table.clone(),
        size: object.size,
        modified: object.modified,
        etag: object.etag.clone(),
        from: inspected.from,
        continues: planned.known.as_ref().filter(|_| inspected.from > 0).map(|known| known.continues.clone()),
        resume,
        sha256: inspected.sha256.clone(),
        counts,
        duplicate_of,
        unreadable: inspected.unreadable.clone(),
        last_day,
    }
}
