//! Which small segments become one (DESIGN §6). Pure.
//!
//! Late records, small batches and small memories leave a day in many small files, and each costs every search an open
//! and a footer. A merge pays with a rewrite and with two copies until the old one is destroyed, so that it has to be
//! worth it: eight or more files become one, of a day to which nothing came for a while, which is not about to expire,
//! and which no hold covers. Whatever is not known for certain is left as it is (I7).

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use crate::ledger::{Batch, KnownTable, Purpose, Segment, Stage, State};
use crate::names::TableName;
use crate::policy::{History, day_of};

/// The size that segments should have, bytes; they may have up to four times as much.
pub const TARGET_BYTES: u64 = 128 << 20;
/// So many files become one, or none is touched.
pub const FEWEST_SEGMENTS: usize = 8;
/// Nothing may have come to the day for so long: Azure delivers up to 48 h late.
const QUIET: SignedDuration = SignedDuration::from_hours(48);
/// What expires within so many days is not worth it.
const DAYS_BEFORE_EXPIRY: i32 = 30;

/// What rows take in memory, as a multiple of what they take in a segment: their values one by one, 12 bytes for each of
/// them, and some for the row itself. Windows security events, 1.9 KB each, take 16 times; logs with larger values, and
/// small segments, in which footers weigh, take less. On the safe side, since too few at once only leave some for later.
const EXPANSION: u64 = 24;
/// Rows that are much alike are packed into a few bytes; in memory each still takes about so much.
const ROW_BYTES: u64 = 256;

/// Segments of one day and part that are to become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merging {
    pub table: TableName,
    pub day: Date,
    pub part: String,
    /// Relative to the table's folder, in the order in which they are restored.
    pub segments: Vec<String>,
    pub rows: u64,
    /// Of the segments as they are.
    pub bytes: u64,
}

/// The merges that pay at `now`: tables by name, days oldest first, smallest segments first.
///
/// `target_bytes` is what segments should have ([`TARGET_BYTES`]); `room_bytes` is what the rows of one merge may take
/// in memory; only tables for which `only` is true are looked at.
pub fn merges(
    state: &State,
    history: &History,
    now: Timestamp,
    target_bytes: u64,
    room_bytes: u64,
    only: &dyn Fn(&TableName) -> bool,
) -> Vec<Merging> {
    let is_open = |batch: &&Batch| matches!(batch.stage, Stage::Intended | Stage::Prepared(_));
    let open: BTreeSet<&TableName> = state.batches.values().filter(is_open).flat_map(|batch| &batch.tables).collect();
    let mut found = Vec::new();
    for known in state.tables.values().filter(|known| only(&known.name) && !open.contains(&known.name)) {
        let term = history.term(&known.name);
        for (day, segments) in by_day(known) {
            let lasts = match term.as_ref().map(|term| term.expires(day)) {
                None | Some(None) => true,
                Some(Some(expires)) => lasts(expires, now),
            };
            let free = !state.holds.values().any(|hold| hold.covers(&known.name, Some(day)));
            // A day that somebody put back is not for us to touch.
            if lasts && free && !known.reinstated.contains_key(&day) && is_quiet(state, &segments, now) {
                for (part, segments) in by_part(segments) {
                    found.extend(merges_of(&known.name, day, &part, segments, target_bytes, room_bytes));
                }
            }
        }
    }
    found
}

/// Live segments with the batches that wrote them.
type Live<'a> = Vec<&'a (Segment, String)>;

fn by_day(known: &KnownTable) -> BTreeMap<Date, Live<'_>> {
    let mut days: BTreeMap<Date, Live<'_>> = BTreeMap::new();
    for live in known.segments.values() {
        days.entry(live.0.day).or_default().push(live);
    }
    days
}

fn by_part(segments: Live<'_>) -> BTreeMap<String, Vec<&Segment>> {
    let mut parts: BTreeMap<String, Vec<&Segment>> = BTreeMap::new();
    for (segment, _) in segments {
        parts.entry(segment.part.clone()).or_default().push(segment);
    }
    parts
}

fn lasts(expires: Date, now: Timestamp) -> bool {
    day_of(now).checked_add(DAYS_BEFORE_EXPIRY.days()).is_ok_and(|soon| expires > soon)
}

/// True if no record came to the day lately. A batch that is not known may have brought one.
fn is_quiet(state: &State, segments: &Live<'_>, now: Timestamp) -> bool {
    segments.iter().all(|(_, writer)| {
        let Some(batch) = state.batches.get(writer) else { return false };
        match (&batch.purpose, &batch.stage) {
            (Purpose::Archive | Purpose::Retry { .. }, Stage::Committed { at, .. }) => now.duration_since(*at) >= QUIET,
            // These only rewrite what had come before.
            (_, Stage::Committed { .. }) => true,
            _ => false,
        }
    })
}

fn merges_of(
    table: &TableName,
    day: Date,
    part: &str,
    mut segments: Vec<&Segment>,
    target_bytes: u64,
    room_bytes: u64,
) -> Vec<Merging> {
    segments.retain(|segment| segment.bytes < target_bytes / 4);
    segments.sort_by_key(|segment| (segment.bytes, &segment.path));
    let mut chunks: Vec<Vec<&Segment>> = vec![Vec::new()];
    let (mut bytes, mut unpacked) = (0_u64, 0_u64);
    for segment in segments {
        let more = unpacked_bytes(segment);
        if bytes + segment.bytes > target_bytes.saturating_mul(4) || unpacked + more > room_bytes {
            chunks.push(Vec::new());
            (bytes, unpacked) = (0, 0);
        }
        (bytes, unpacked) = (bytes + segment.bytes, unpacked + more);
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(segment);
        }
    }
    chunks.retain(|chunk| chunk.len() >= FEWEST_SEGMENTS);
    let merging = |mut chunk: Vec<&Segment>| {
        chunk.sort_by_key(|segment| (segment.times, &segment.path));
        Merging {
            table: table.clone(),
            day,
            part: part.to_owned(),
            segments: chunk.iter().map(|segment| segment.path.clone()).collect(),
            rows: chunk.iter().map(|segment| segment.digest.rows).sum(),
            bytes: chunk.iter().map(|segment| segment.bytes).sum(),
        }
    };
    chunks.into_iter().map(merging).collect()
}

/// What a segment's rows will about take in memory.
fn unpacked_bytes(segment: &Segment) -> u64 {
    segment.bytes.saturating_mul(EXPANSION).max(segment.digest.rows.saturating_mul(ROW_BYTES))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::ledger::{AttachmentRef, Gone, HoldScope};
    use crate::policy::{PolicyFile, PolicySet};
    use crate::record::SetDigest;

    const MIB: u64 = 1 << 20;

    /// A day of one part: sizes in MiB, the batch that wrote all of them, and what it is to show.
    type Row<'a> = (&'a str, &'a str, Vec<u64>, &'a str, &'a str);

    fn now() -> Timestamp {
        "2024-07-10T12:00:00Z".parse().unwrap()
    }

    fn history(retain: &str) -> History {
        let text = format!("version = 1\n[[table]]\nname = \"T\"\nretain = \"{retain}\"\n");
        let set = PolicySet::from_files(vec![PolicyFile { name: "p.toml".into(), text }]).unwrap();
        History::new(vec![("2024-01-01T00:00:00Z".parse().unwrap(), set)])
    }

    fn batch(purpose: Purpose, hours_ago: i64, stage: fn(Timestamp) -> Stage) -> Batch {
        let at = now() - SignedDuration::from_hours(hours_ago);
        let inputs = AttachmentRef { sha256: String::new(), count: 0 };
        let tables = vec![TableName::new("main", "U")];
        Batch { seq: 1, at, run: "r".into(), purpose, tables, inputs, stage: stage(at), gone: Gone::default() }
    }

    fn state(rows: &[Row<'_>]) -> State {
        let name = TableName::new("main", "T");
        let mut known = KnownTable {
            name: name.clone(),
            version: 0,
            commits: BTreeMap::new(),
            first_commit: 0,
            untrimmed: false,
            segments: BTreeMap::new(),
            retired: BTreeMap::new(),
            reinstated: [(date(2024, 7, 9), 1)].into(),
        };
        for (day, part, sizes, writer, _) in rows {
            for (number, size) in sizes.iter().enumerate() {
                let segment = Segment {
                    path: format!("_hf_day={day}/_hf_part={part}/b-{number:05}.parquet"),
                    day: day.parse().unwrap(),
                    part: (*part).to_owned(),
                    bytes: size * MIB,
                    sha256: String::new(),
                    digest: SetDigest { rows: 1000, sum: 0 },
                    times: None,
                    rest: None,
                };
                known.segments.insert(segment.path.clone(), (segment, (*writer).to_owned()));
            }
        }
        let mut state = State::default();
        state.tables.insert(name.key(), known);
        let committed = |at| Stage::Committed { at, rows: 0 };
        state.batches.insert("old".into(), batch(Purpose::Archive, 1000, committed));
        state.batches.insert("47 h".into(), batch(Purpose::Archive, 47, committed));
        state.batches.insert("48 h".into(), batch(Purpose::Retry { batches: Vec::new() }, 48, committed));
        state.batches.insert("merge".into(), batch(Purpose::Merge, 1, committed));
        let (from, to) = (Some(date(2024, 7, 6)), Some(date(2024, 7, 6)));
        state.holds.insert("case".into(), HoldScope { tables: vec![name], from, to, predicate: None });
        state
    }

    /// A day a line: what its segments are before and after, a `#` for each 4 MiB, `.` below, `=` for a merged one.
    fn draw(rows: &[Row<'_>], merges: &[Merging]) -> String {
        let bar = |size: u64, ink: &str| if size < 4 { ".".to_owned() } else { ink.repeat((size / 4) as usize) };
        let mut drawn = Vec::new();
        for (day, part, sizes, _, note) in rows {
            let here = || merges.iter().filter(|one| one.day.to_string() == *day && one.part == *part);
            let is_left = |number: usize| {
                let path = format!("_hf_day={day}/_hf_part={part}/b-{number:05}.parquet");
                !here().any(|merging| merging.segments.contains(&path))
            };
            let before: Vec<String> = sizes.iter().map(|size| bar(*size, "#")).collect();
            let left = sizes.iter().enumerate().filter(|(number, _)| is_left(*number)).map(|(_, size)| bar(*size, "#"));
            let merged = here().map(|merging| bar((merging.bytes / MIB).max(4), "="));
            let after: Vec<String> = left.chain(merged).collect();
            drawn.push((format!("{day} {part:5}"), before.join(" "), after.join(" "), *note));
        }
        let width = |of: fn(&(String, String, String, &str)) -> usize| drawn.iter().map(of).max().unwrap_or(0);
        let (before, after) = (width(|row| row.1.len()), width(|row| row.2.len()));
        let line = |row: &(String, String, String, &str)| {
            format!("{} | {:before$} | {:after$} | {}", row.0, row.1, row.2, row.3).trim_end().to_owned()
        };
        drawn.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn merged(rows: &[Row<'_>], retain: &str, target_bytes: u64, room_bytes: u64) -> String {
        draw(rows, &merges(&state(rows), &history(retain), now(), target_bytes, room_bytes, &|_| true))
    }

    #[test]
    fn days_are_merged_that_are_worth_it_and_may_be() {
        let eight = || vec![4; 8];
        let rows: Vec<Row<'_>> = vec![
            ("2024-05-11", "main", eight(), "old", "expired today"),
            ("2024-06-10", "main", eight(), "old", "expires in 30 days"),
            ("2024-06-11", "main", eight(), "old", "expires in 31"),
            ("2024-07-01", "main", vec![4; 7], "old", "seven are too few"),
            (
                "2024-07-02",
                "main",
                vec![1, 40, 2, 1, 32, 3, 8, 4, 12, 1],
                "old",
                "a quarter of the target is no small one",
            ),
            ("2024-07-03", "main", vec![4; 5], "old", "ten, but no eight of a part"),
            ("2024-07-03", "noise", vec![4; 5], "old", ""),
            ("2024-07-04", "main", eight(), "47 h", "records came 47 hours ago"),
            ("2024-07-05", "main", eight(), "48 h", "48 hours ago"),
            ("2024-07-06", "main", eight(), "old", "under a hold"),
            ("2024-07-07", "main", eight(), "merge", "merged an hour ago: no record came"),
            ("2024-07-08", "main", eight(), "who?", "nobody knows who wrote it"),
            ("2024-07-09", "main", eight(), "old", "a person put it back"),
        ];
        insta::assert_snapshot!(merged(&rows, "59d", TARGET_BYTES, u64::MAX), @r"
        2024-05-11 main  | # # # # # # # #                        | # # # # # # # #              | expired today
        2024-06-10 main  | # # # # # # # #                        | # # # # # # # #              | expires in 30 days
        2024-06-11 main  | # # # # # # # #                        | ========                     | expires in 31
        2024-07-01 main  | # # # # # # #                          | # # # # # # #                | seven are too few
        2024-07-02 main  | . ########## . . ######## . ## # ### . | ########## ######## ======== | a quarter of the target is no small one
        2024-07-03 main  | # # # # #                              | # # # # #                    | ten, but no eight of a part
        2024-07-03 noise | # # # # #                              | # # # # #                    |
        2024-07-04 main  | # # # # # # # #                        | # # # # # # # #              | records came 47 hours ago
        2024-07-05 main  | # # # # # # # #                        | ========                     | 48 hours ago
        2024-07-06 main  | # # # # # # # #                        | # # # # # # # #              | under a hold
        2024-07-07 main  | # # # # # # # #                        | ========                     | merged an hour ago: no record came
        2024-07-08 main  | # # # # # # # #                        | # # # # # # # #              | nobody knows who wrote it
        2024-07-09 main  | # # # # # # # #                        | # # # # # # # #              | a person put it back
        ");
    }

    #[test]
    fn a_merge_fits_in_memory_and_in_the_size_of_a_segment() {
        let rows: Vec<Row<'_>> = vec![
            ("2024-07-01", "main", vec![1; 20], "old", "room for 16"),
            ("2024-07-02", "main", vec![1; 24], "old", "for 16, and for 8 more"),
            ("2024-07-03", "main", vec![1, 1, 1, 1, 1, 1, 2, 9, 1], "old", "the smallest first"),
            ("2024-07-04", "main", vec![3; 8], "old", "room for 5"),
        ];
        insta::assert_snapshot!(merged(&rows, "10y", TARGET_BYTES, 16 * 24 * MIB), @r"
        2024-07-01 main  | . . . . . . . . . . . . . . . . . . . .         | . . . . ====    | room for 16
        2024-07-02 main  | . . . . . . . . . . . . . . . . . . . . . . . . | ==== ==         | for 16, and for 8 more
        2024-07-03 main  | . . . . . . . ## .                              | ## ==           | the smallest first
        2024-07-04 main  | . . . . . . . .                                 | . . . . . . . . | room for 5
        ");
        let rows: Vec<Row<'_>> =
            vec![("2024-07-01", "main", vec![1; 40], "old", "a segment has at most four times the target")];
        insta::assert_snapshot!(merged(&rows, "10y", 8 * MIB, u64::MAX), @"2024-07-01 main  | . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . | ======== == | a segment has at most four times the target");
    }

    #[test]
    fn a_table_without_a_rule_or_with_a_batch_to_settle_is_told_apart() {
        let rows: Vec<Row<'_>> = vec![("2024-07-01", "main", vec![1; 8], "old", "")];
        let count = |state: &State, history: &History, only: &dyn Fn(&TableName) -> bool| {
            merges(state, history, now(), TARGET_BYTES, u64::MAX, only).len()
        };
        let (mut state, all): (_, &dyn Fn(&TableName) -> bool) = (state(&rows), &|_| true);
        assert_eq!(count(&state, &history("10y"), all), 1);
        assert_eq!(count(&state, &history("forever"), all), 1);
        assert_eq!(count(&state, &History::new(Vec::new()), all), 1, "without a rule it is kept for ever");
        assert_eq!(count(&state, &history("10y"), &|name| name.table == "Other"), 0);
        let mut open = batch(Purpose::Archive, 1, |_| Stage::Intended);
        open.tables = vec![TableName::new("main", "t")];
        state.batches.insert("open".into(), open);
        assert_eq!(count(&state, &history("10y"), all), 0);
    }

    /// What is packed well takes more in memory than its bytes tell.
    #[test]
    fn rows_count_too() {
        let segment = |bytes, rows| Segment {
            path: String::new(),
            day: date(2024, 7, 1),
            part: "main".into(),
            bytes,
            sha256: String::new(),
            digest: SetDigest { rows, sum: 0 },
            times: None,
            rest: None,
        };
        assert_eq!(unpacked_bytes(&segment(1000, 10)), 24_000);
        assert_eq!(unpacked_bytes(&segment(1000, 1000)), 256_000);
    }
}
