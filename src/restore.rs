//! Giving archived records back as they were (I9), with a manifest that says where each came from.
//!
//! Each segment is checked against the ledger before a row of it is printed; one that is damaged is left out, named, and
//! makes the whole answer incomplete (I13). Reading streams: memory holds a few batches of rows.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, TimestampMicrosecondArray};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::archive::print::RowPrinter;
use crate::archive::schema::TableSchema;
use crate::archive::{Table, segment_location};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Segment, State};
use crate::names::TableName;
use crate::pipeline::read_back::open_segment;
use crate::record::{SetDigest, members, record_digest};
use crate::search::{self, Listed, Predicate, Range, unseen};
use crate::storage::Store;

/// Which records: those of `table` from `from` on and before `to`.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    pub table: TableName,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    /// Only those of which it is true, as behind `WHERE`.
    pub predicate: Option<String>,
    /// What `now()` is in it.
    pub now: Timestamp,
}

impl RestoreRequest {
    /// All of a table.
    pub fn all(table: TableName, now: Timestamp) -> Self {
        RestoreRequest { table, from: None, to: None, predicate: None, now }
    }
}

/// Takes the records, day by day in order.
pub trait RecordSink {
    /// One record, without a line end.
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()>;
}

/// What was restored, from where, and what was not seen.
#[derive(Debug, Default, Serialize)]
pub struct Manifest {
    pub table: String,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Number and digest of the restored records.
    pub records: SetDigest,
    pub segments: Vec<RestoredSegment>,
    /// The raw objects that the segments' batches read, or those before them whose rows they wrote anew.
    pub raw_objects: Vec<RestoredFrom>,
    pub files: Vec<RestoredFile>,
    pub unseen: Unseen,
}

#[derive(Debug, Serialize)]
pub struct RestoredSegment {
    pub path: String,
    pub day: Date,
    pub sha256: String,
    pub rows: u64,
    pub restored: u64,
}

#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct RestoredFrom {
    pub object: String,
    pub sha256: String,
}

/// One file that was written.
#[derive(Debug, Serialize)]
pub struct RestoredFile {
    pub path: String,
    pub records: u64,
    pub bytes: u64,
    pub sha256: String,
}

/// What the answer does not hold (I13).
#[derive(Debug, Default, Serialize)]
pub struct Unseen {
    #[serde(flatten)]
    pub of_table: search::Unseen,
    /// Segments that are damaged or missing, and why.
    pub damaged: Vec<String>,
    /// Values that the predicate could not read as their column's type and took for null, by column.
    pub uncast: BTreeMap<String, u64>,
}

/// Restores what is asked for into `sink`. `listed` tells what lies raw still.
pub fn restore(
    archive: &Store,
    state: &State,
    listed: &Listed,
    request: &RestoreRequest,
    sink: &mut dyn RecordSink,
) -> Result<Manifest> {
    let known = state.tables.get(&request.table.key()).ok_or_else(|| no_such_table(state, &request.table))?;
    let table = Table::open(archive, &known.name)?;
    let schema = table.known_schema()?;
    let predicate = request.predicate.as_deref();
    let predicate = predicate.map(|text| Predicate::parse(archive, text, &schema, request.now)).transpose()?;
    let live = table.files()?;
    let mut manifest = Manifest {
        table: known.name.to_string(),
        from: request.from,
        to: request.to,
        predicate: request.predicate.clone(),
        unseen: Unseen { of_table: unseen(state, listed, &known.name, range(request)), ..Unseen::default() },
        ..Manifest::default()
    };
    let foreign = live.keys().filter(|path| !known.segments.contains_key(*path)).count();
    manifest.unseen.of_table.foreign_files = foreign as u64;
    let mut wanted: Vec<&(Segment, String)> =
        known.segments.values().filter(|(segment, _)| may_hold(segment, request)).collect();
    wanted.sort_by_key(|(segment, _)| (segment.day, &segment.part, segment.times, &segment.path));
    let mut batches = BTreeSet::new();
    for (segment, batch) in wanted {
        let path = segment_location(&known.name, &segment.path);
        let stands = match archive.sha256(&path)? {
            None => Err("it is missing"),
            Some(sha256) if sha256 != segment.sha256 => Err("its bytes are not those that were written (SHA-256)"),
            Some(_) if !live.contains_key(&segment.path) => Err("it is not in the table any more"),
            Some(_) => Ok(()),
        };
        if let Err(reason) = stands {
            manifest.unseen.damaged.push(format!("{}: {reason}", segment.path));
            continue;
        }
        let restored = restore_segment(
            archive,
            segment,
            &path,
            &schema,
            request,
            predicate.as_ref(),
            &mut manifest.records,
            sink,
        )?;
        batches.insert(batch.clone());
        manifest.segments.push(RestoredSegment {
            path: segment.path.clone(),
            day: segment.day,
            sha256: segment.sha256.clone(),
            rows: segment.digest.rows,
            restored,
        });
    }
    manifest.raw_objects = raw_objects(state, &origins(state, batches));
    manifest.unseen.uncast = predicate.map(|predicate| predicate.uncast()).unwrap_or_default();
    Ok(manifest)
}

#[expect(clippy::too_many_arguments, reason = "each is one fact of the request; a struct would only rename them")]
fn restore_segment(
    archive: &Store,
    segment: &Segment,
    path: &object_store::path::Path,
    schema: &TableSchema,
    request: &RestoreRequest,
    predicate: Option<&Predicate>,
    digest: &mut SetDigest,
    sink: &mut dyn RecordSink,
) -> Result<u64> {
    let reader = open_segment(archive, path)?;
    let printer = RowPrinter::new(reader.schema(), schema)?;
    let whole = covers(segment, request);
    let time = schema.time_column().and_then(|name| reader.schema().index_of(name).ok());
    let (mut line, mut found, mut restored) = (Vec::new(), Vec::new(), 0);
    for batch in reader {
        let batch = batch?;
        let times = time.and_then(|at| batch.column(at).as_any().downcast_ref::<TimestampMicrosecondArray>().cloned());
        let meant = predicate.map(|predicate| predicate.judge(&batch)).transpose()?;
        for row in 0..batch.num_rows() {
            if meant.as_ref().is_some_and(|meant| !meant.value(row)) {
                continue;
            }
            let micros = times.as_ref().filter(|times| times.is_valid(row)).map(|times| times.value(row));
            if !whole && !micros.is_none_or(|micros| within(micros, request)) {
                continue;
            }
            line.clear();
            printer.print(&batch, row, &mut line)?;
            members(&line, &mut found).map_err(|malformed| {
                Error::new(
                    Kind::Damaged,
                    format!("restoring {}", segment.path),
                    format!("a row prints no record: {malformed}"),
                )
            })?;
            digest.add(record_digest(&line, &found));
            sink.record(segment.day, &line)?;
            restored += 1;
        }
    }
    Ok(restored)
}

fn no_such_table(state: &State, name: &TableName) -> Error {
    let known: Vec<String> = state.tables.values().map(|table| table.name.to_string()).collect();
    let hint = match known.iter().min_by_key(|known| strsim::damerau_levenshtein(&known.to_lowercase(), &name.key())) {
        Some(near) => format!("did you mean `{near}`? The archive holds: {}", known.join(", ")),
        None => "the archive holds no table yet; `holdfast run` fills it".into(),
    };
    Error::new(Kind::Usage, format!("restoring {name}"), "the archive holds no such table").with_hint(hint)
}

fn may_hold(segment: &Segment, request: &RestoreRequest) -> bool {
    let (first, last) = bounds(segment);
    request.from.is_none_or(|from| last >= from.as_microsecond())
        && request.to.is_none_or(|to| first < to.as_microsecond())
}

fn covers(segment: &Segment, request: &RestoreRequest) -> bool {
    let (first, last) = bounds(segment);
    request.from.is_none_or(|from| first >= from.as_microsecond())
        && request.to.is_none_or(|to| last < to.as_microsecond())
}

fn within(micros: i64, request: &RestoreRequest) -> bool {
    request.from.is_none_or(|from| micros >= from.as_microsecond())
        && request.to.is_none_or(|to| micros < to.as_microsecond())
}

/// First and last microsecond of a segment; its whole day where the table has no time of its own.
fn bounds(segment: &Segment) -> (i64, i64) {
    segment.times.unwrap_or_else(|| {
        let start = |day: Date| day.to_zoned(TimeZone::UTC).map_or(i64::MAX, |day| day.timestamp().as_microsecond());
        let next = segment.day.tomorrow().map_or(i64::MAX, start);
        (start(segment.day), next.saturating_sub(1))
    })
}

/// The asked time range as searches know it.
fn range(request: &RestoreRequest) -> Range {
    let to = request.to.map(|to| to.as_microsecond().saturating_sub(1));
    Range { from: request.from.map(Timestamp::as_microsecond), to }
}

/// The batches, and those whose rows they wrote anew.
fn origins(state: &State, mut batches: BTreeSet<String>) -> BTreeSet<String> {
    loop {
        let rewritten =
            |by: &BTreeSet<String>, rows: &BTreeMap<String, u64>| rows.keys().any(|batch| by.contains(batch));
        let more: Vec<&String> = state
            .batches
            .iter()
            .filter(|(id, batch)| !batches.contains(*id) && rewritten(&batches, &batch.gone.rewritten))
            .map(|(id, _)| id)
            .collect();
        if more.is_empty() {
            return batches;
        }
        batches.extend(more.into_iter().cloned());
    }
}

fn raw_objects(state: &State, batches: &BTreeSet<String>) -> Vec<RestoredFrom> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for ((_, sha256), content) in &state.contents {
        if content.batches.iter().any(|batch| batches.contains(batch)) {
            found.insert(content.object.to_string(), sha256.clone());
        }
    }
    found.into_iter().map(|(object, sha256)| RestoredFrom { object, sha256 }).collect()
}
