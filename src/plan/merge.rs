//! Which small segments become one (DESIGN §6). Pure.
//!
//! Late records, small batches and small memories leave a day in many small files, and each costs every search an open
//! and a footer. A merge pays with a rewrite and with two copies until the old one is destroyed, so that it has to be
//! worth it: eight or more files become one, of a day to which nothing came for a while, which is not about to expire,
//! and which no hold covers. Whatever is not known for certain is left as it is (I7).

use std::collections::BTreeMap;

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

/// A row in memory takes its values, 12 bytes for each of them, and some for itself: for the logs measured 8 to 20 times
/// what it takes in a segment, the more the smaller its values are. What has more columns or repeats itself more still
/// is found out when it is read: then fewer segments are merged.
const EXPANSION: u64 = 24;
/// However well rows are packed, each takes at least so much in memory.
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
    let mut found = Vec::new();
    for known in state.tables.values().filter(|known| only(&known.name) && !is_open(state, &known.name)) {
        let term = history.term(&known.name);
        for (day, segments) in by_day(known) {
            let lasts = match term.as_ref().map(|term| term.expires(day)) {
                None | Some(None) => true,
                Some(Some(expires)) => lasts(expires, now),
            };
            let free = !state.holds.values().any(|hold| hold.covers(&known.name, Some(day)));
            // A day that somebody put back is not for us to touch.
            if lasts && free && !known.reinstated.contains(&day) && is_quiet(state, &segments, now) {
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

fn is_open(state: &State, table: &TableName) -> bool {
    let open = |batch: &Batch| matches!(batch.stage, Stage::Intended | Stage::Prepared(_));
    state.batches.values().any(|batch| open(batch) && batch.tables.contains(table))
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
