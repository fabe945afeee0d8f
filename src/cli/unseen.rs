//! What an answer does not hold (I13), in words.

use super::output::{count, size};
use crate::search::Unseen;

/// Who could not see it: what helps differs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Search,
    Restore,
}

/// What a table has that an answer does not hold, a phrase each, without any log content.
pub fn not_seen(unseen: &Unseen, command: Command) -> Vec<String> {
    let helps = |search: &'static str, restore: &'static str| if command == Command::Search { search } else { restore };
    let mut lines = Vec::new();
    if unseen.raw_objects > 0 {
        let objects = count(unseen.raw_objects, "raw object", "raw objects");
        let help = helps("--include-raw reads them", "the next run archives what is due");
        lines.push(format!("{objects} ({}) not archived: {help}", size(unseen.raw_bytes)));
    }
    if unseen.quarantined > 0 {
        let records = count(unseen.quarantined, "record", "records");
        let help = helps("--include-raw reads what can be read", "`holdfast quarantine list` shows them");
        lines.push(format!("{records} in quarantine: {help}"));
    }
    if let [first, .., last] = unseen.retired_days.as_slice() {
        let days = count(unseen.retired_days.len() as u64, "day", "days");
        lines.push(format!("{days} retired ({first} to {last}): `holdfast reinstate` puts one back"));
    } else if let [day] = unseen.retired_days.as_slice() {
        lines.push(format!("1 day retired ({day}): `holdfast reinstate` puts it back"));
    }
    if unseen.open_batches > 0 {
        let batches = count(unseen.open_batches, "batch is", "batches are");
        lines.push(format!("{batches} not committed yet: the next run settles it"));
    }
    if unseen.foreign_files > 0 {
        let files = count(unseen.foreign_files, "file", "files");
        lines.push(format!("{files} that somebody else put into the table or took out: see `holdfast verify`"));
    }
    lines.extend(unseen.unlisted.iter().map(|reason| format!("what lies where it could not be looked: {reason}")));
    lines
}
