//! Raw records as logical rows: what is not archived yet, and what lies in quarantine (`--include-raw`).
//!
//! Invariants: a record that the ledger counts as archived, duplicate or expired is not read again, so nothing is found
//! twice; what cannot be read is told, never skipped in silence (I13). Memory: one batch of rows and one record (I11).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Date32Builder, RecordBatch, RecordBatchOptions, StringViewBuilder, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;

use super::logical::Uncast;
use super::unseen::Waiting;
use super::value::{Values, find};
use crate::archive::catalogue::{ColumnType, fold};
use crate::archive::keys::Surveyor;
use crate::archive::schema::{Column, SOURCE, TableSchema};
use crate::archive::{DAY, QuarantineItem, read_bytes, read_items};
use crate::error::{Error, Kind, Result};
use crate::ledger::{ObjectId, Quarantined};
use crate::pipeline::{Inspected, inspect, lines};
use crate::plan::Planned;
use crate::record::{Member, members, time};
use crate::source::Line;
use crate::storage::Store;

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 8192;
/// Bytes of records in a batch; one record may be larger.
const BATCH_BYTES: usize = 8 << 20;

/// The records of one table that are in no segment.
pub struct RawRows {
    objects: Vec<(Waiting, Inspected)>,
    quarantine: Vec<Quarantined>,
    archive: Store,
    columns: Vec<Column>,
    /// The time column's name.
    time: Option<String>,
    /// Longer lines are told as not read.
    max_record: usize,
    /// Objects with the very bytes of another.
    pub copies: u64,
    pub trouble: Trouble,
}

/// Is shown a record: its place, its bytes, its members. False: it has seen enough.
type See<'a> = dyn FnMut(&str, &[u8], &[Member]) -> bool + 'a;

/// What could not be read: why, and how often.
#[derive(Debug, Clone, Default)]
pub struct Trouble(Arc<Mutex<BTreeMap<String, u64>>>);

impl Trouble {
    fn add(&self, what: impl Into<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what.into()).or_default() += 1;
    }

    fn unread(&self, planned: &Planned, reason: &str) {
        self.add(format!("raw object {} could not be read: {reason}", id_of(planned)));
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RawRows {
    /// Looks at every object and record. `schema` gets the columns that the table would have, were all of it archived now.
    /// An object whose SHA-256 `is_copy` knows, or that another one of these has, is left out, as a run counts it as a
    /// duplicate.
    pub fn look(
        waiting: Vec<Waiting>,
        quarantine: Vec<Quarantined>,
        archive: Store,
        max_record: usize,
        is_copy: &mut dyn FnMut(&str) -> bool,
        schema: &mut TableSchema,
    ) -> Result<Self> {
        let (columns, time, trouble) = (Vec::new(), None, Trouble::default());
        let mut raw =
            RawRows { objects: Vec::new(), quarantine, archive, columns, time, max_record, copies: 0, trouble };
        for waiting in waiting {
            match inspect(&waiting.store, &waiting.planned, max_record, 0) {
                Ok(Inspected { unreadable: Some(reason), .. }) => raw.trouble.unread(&waiting.planned, &reason),
                Ok(inspected) if inspected.from == 0 && is_copy(&inspected.sha256) => raw.copies += 1,
                Ok(inspected) => raw.objects.push((waiting, inspected)),
                Err(error) => raw.trouble.unread(&waiting.planned, error.reason()),
            }
        }
        let mut surveyor = Surveyor::new(schema);
        // What it stumbles over, the reading will tell.
        raw.each(&Trouble::default(), &mut |_, record, _| {
            let _ = surveyor.observe(record);
            true
        })?;
        schema.decide(surveyor.survey());
        raw.columns = schema.columns().to_vec();
        raw.time = schema.time_column().map(str::to_owned);
        Ok(raw)
    }

    /// The objects that are read.
    pub fn objects(&self) -> impl Iterator<Item = &Planned> {
        self.objects.iter().map(|(waiting, _)| &waiting.planned)
    }

    /// The records in quarantine, and the objects that lie there whole.
    pub fn quarantined(&self) -> u64 {
        self.quarantine.iter().map(|one| one.file.records).sum()
    }

    /// Gives batches of `schema` until `take` has enough.
    pub fn read(&self, schema: &SchemaRef, uncast: &Uncast, take: &mut dyn FnMut(RecordBatch) -> bool) -> Result<()> {
        let mut rows = Rows::new(self, schema);
        let mut failed = None;
        self.each(&self.trouble, &mut |source, record, members| {
            rows.push(source, record, members);
            if rows.count < BATCH_ROWS && rows.bytes < BATCH_BYTES {
                return true;
            }
            match std::mem::replace(&mut rows, Rows::new(self, schema)).finish(uncast) {
                Ok(batch) => take(batch),
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None if rows.count > 0 => {
                take(rows.finish(uncast)?);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Calls `see` with each record's place and members until it says no.
    fn each(&self, trouble: &Trouble, see: &mut See<'_>) -> Result<()> {
        for (waiting, inspected) in &self.objects {
            if !self.object(waiting, inspected, trouble, see) {
                return Ok(());
            }
        }
        for quarantined in &self.quarantine {
            for item in read_items(&self.archive, quarantined)? {
                if !self.item(quarantined, &item, trouble, see)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn object(&self, waiting: &Waiting, inspected: &Inspected, trouble: &Trouble, see: &mut See<'_>) -> bool {
        let (planned, id) = (&waiting.planned, id_of(&waiting.planned).to_string());
        let mut lines = match lines(&waiting.store, planned, inspected, self.max_record) {
            Ok(lines) => lines,
            Err(error) => {
                trouble.unread(planned, error.reason());
                return true;
            }
        };
        let mut found = Vec::new();
        loop {
            match lines.next() {
                Ok(Some(Line::Record { bytes, .. })) => match members(bytes, &mut found) {
                    Ok(()) if !see(&id, bytes, &found) => return false,
                    Ok(()) => {}
                    Err(malformed) => {
                        trouble.add(format!("a line of raw object {id} is no JSON object ({})", malformed.reason));
                    }
                },
                Ok(Some(Line::Oversized { first, .. })) => {
                    if first {
                        trouble.add(format!("a record of raw object {id} is too large"));
                    }
                }
                Ok(None) => return true,
                Err(error) => {
                    trouble.unread(planned, &error.to_string());
                    return true;
                }
            }
        }
    }

    fn item(
        &self,
        quarantined: &Quarantined,
        item: &QuarantineItem,
        trouble: &Trouble,
        see: &mut See<'_>,
    ) -> Result<bool> {
        let id = ObjectId { source: item.source.clone(), path: item.path.clone() }.to_string();
        if item.whole_object || item.bytes > self.max_record as u64 {
            trouble.add(format!("quarantine item of {id} could not be read: {}", item.reason));
            return Ok(true);
        }
        let bytes = read_bytes(&self.archive, quarantined, item)?;
        let mut found = Vec::new();
        match members(&bytes, &mut found) {
            Ok(()) => Ok(see(&id, &bytes, &found)),
            Err(malformed) => {
                trouble.add(format!("quarantine item of {id} is no JSON object ({})", malformed.reason));
                Ok(true)
            }
        }
    }
}

/// The object, under the name it had before it was set aside.
fn id_of(planned: &Planned) -> ObjectId {
    let path = planned.object.aside_of.as_ref().unwrap_or(&planned.object.path);
    ObjectId { source: planned.object.source.clone(), path: path.clone() }
}

impl fmt::Debug for RawRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawRows({} objects, {} of quarantine)", self.objects.len(), self.quarantine.len())
    }
}

/// One batch to be.
struct Rows {
    schema: SchemaRef,
    columns: Vec<Building>,
    /// For `_hf_day`: the time column's spelling, plain and folded.
    time: Option<(String, String)>,
    count: usize,
    bytes: usize,
}

enum Building {
    Log { name: String, folded: String, values: Box<Values>, uncast: u64 },
    Source(StringViewBuilder),
    Day(Date32Builder),
    Null,
}

impl Rows {
    fn new(raw: &RawRows, schema: &SchemaRef) -> Self {
        let building = |name: &String| {
            let folded = fold(name);
            match raw.columns.iter().find(|column| fold(&column.name) == folded) {
                Some(column) => {
                    let values = Box::new(Values::new(column.kind));
                    Building::Log { name: column.name.clone(), folded, values, uncast: 0 }
                }
                None if name == SOURCE => Building::Source(StringViewBuilder::new()),
                None if name == DAY => Building::Day(Date32Builder::new()),
                None => Building::Null,
            }
        };
        Rows {
            schema: Arc::clone(schema),
            columns: schema.fields().iter().map(|field| building(field.name())).collect(),
            time: raw.time.as_ref().map(|time| (time.clone(), fold(time))),
            count: 0,
            bytes: 0,
        }
    }

    fn push(&mut self, source: &str, record: &[u8], members: &[Member]) {
        self.count += 1;
        self.bytes += record.len();
        let time = &self.time;
        for column in &mut self.columns {
            match column {
                Building::Log { name, folded, values, uncast } => match find(record, members, name, folded) {
                    Some(member) => *uncast += u64::from(!values.token(member.value.of(record), member.kind)),
                    None => values.null(),
                },
                Building::Source(sources) => sources.append_value(source),
                Building::Day(days) => {
                    let day = time.as_ref().and_then(|(name, folded)| day_of(record, members, name, folded));
                    days.append_option(day);
                }
                Building::Null => {}
            }
        }
    }

    fn finish(self, uncast: &Uncast) -> Result<RecordBatch> {
        let failed = |error| Error::from_source(Kind::Internal, "reading raw records", error);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.into_iter().zip(self.schema.fields()) {
            let array = match column {
                Building::Log { values, uncast: count, .. } => {
                    uncast.add(field.name(), count);
                    values.finish()
                }
                Building::Source(mut sources) => Arc::new(sources.finish()),
                Building::Day(mut days) => Arc::new(days.finish()),
                Building::Null => new_null_array(field.data_type(), self.count),
            };
            let fits = array.data_type() == field.data_type();
            arrays.push(if fits { array } else { cast(&array, field.data_type()).map_err(failed)? });
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(self.count));
        RecordBatch::try_new_with_options(self.schema, arrays, &rows).map_err(failed)
    }
}

/// The UTC day of the record's time, in days since 1970.
fn day_of(record: &[u8], members: &[Member], name: &str, folded: &str) -> Option<i32> {
    let member = find(record, members, name, folded)?;
    let mut values = Values::new(ColumnType::Timestamp);
    values.token(member.value.of(record), member.kind).then(|| values.finish()).and_then(|array| {
        use arrow::array::AsArray;
        let micros = array.as_primitive_opt::<arrow::datatypes::TimestampMicrosecondType>()?;
        Some(time::day(micros.value(0)))
    })
}
