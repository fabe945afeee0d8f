//! Segments back to rows in memory, and those rows to one new segment.
//!
//! Rows are printed as `restore` prints them and go through the same buffer and writer as on their first day, with the
//! source, day and part that they had: the new segment restores what the old ones did (I9). An input is checked against
//! the ledger before a row of it is believed, and its rows against its digest. Memory is the row buffer and one batch of
//! rows (I11): where the inputs turn out larger than that, those that fit are taken. Nothing here commits or deletes.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::TimestampMicrosecondType;

use super::context::Context;
use super::limits::Limits;
use super::read_back::open_segment;
use super::write::SegmentWriter;
use crate::archive::print::RowPrinter;
use crate::archive::rows::{RowBuffer, RowMeta, groups};
use crate::archive::schema::{SOURCE, TableSchema};
use crate::archive::segment_location;
use crate::error::{Error, Kind, Result};
use crate::ledger::Segment;
use crate::names::TableName;
use crate::record::SetDigest;

/// Rows of segments of one day and part.
#[derive(Debug)]
pub struct Gathered {
    /// The segments whose rows are all here, in the order asked for.
    pub segments: Vec<Segment>,
    /// Of them, as the ledger has it.
    pub digest: SetDigest,
    buffer: RowBuffer,
    /// Rows from here on are of a segment that did not fit.
    rows: usize,
    schema: TableSchema,
}

/// Reads segments of one day and part, as many as fit, one after the other.
///
/// Errors: [`Kind::Damaged`] if one is not what was written, [`Kind::Internal`] if its rows are not.
pub fn gather(
    context: &Context,
    table: &TableName,
    schema: &TableSchema,
    segments: &[Segment],
    limits: Limits,
) -> Result<Gathered> {
    let mut reader = Reader {
        schema,
        room: limits.buffer,
        buffer: RowBuffer::new(schema, 1),
        sources: HashMap::new(),
        line: Vec::new(),
    };
    let (mut taken, mut all, mut rows) = (Vec::new(), SetDigest::default(), 0);
    for segment in segments {
        let Some(digest) = reader.read(context, table, segment)? else { break };
        if digest != segment.digest {
            return Err(Error::new(
                Kind::Internal,
                format!("reading {} to merge it", segment.path),
                format!("its {} rows give another digest than the {} in the ledger", digest.rows, segment.digest.rows),
            )
            .with_hint("nothing is lost: the segment stays as it is; please report this"));
        }
        all.merge(&segment.digest);
        rows = reader.buffer.rows();
        taken.push(segment.clone());
    }
    Ok(Gathered { segments: taken, digest: all, buffer: reader.buffer, rows, schema: schema.clone() })
}

/// Writes the gathered rows as one segment, and reads it back. Gives the schema, in which columns may have got a tail.
pub fn write(gathered: Gathered, mut writer: SegmentWriter<'_>) -> Result<(Segment, TableSchema)> {
    let Gathered { digest, buffer, rows, mut schema, .. } = gathered;
    let internal = |reason: String| {
        Error::new(Kind::Internal, "merging segments", reason)
            .with_hint("nothing is lost: the segments stay as they are; please report this")
    };
    let mut found = groups(&buffer);
    let mut group =
        found.pop().filter(|_| found.is_empty()).ok_or_else(|| internal("they are of several days".into()))?;
    group.rows.retain(|row| (row.row() as usize) < rows);
    let segment = writer.write(&buffer, &group, &mut schema)?;
    if segment.digest != digest {
        return Err(internal(format!("{} rows went in, {} came out", digest, segment.digest)));
    }
    Ok((segment, schema))
}

struct Reader<'a> {
    schema: &'a TableSchema,
    room: usize,
    buffer: RowBuffer,
    /// Raw objects by name: their rows come mixed.
    sources: HashMap<String, u32>,
    line: Vec<u8>,
}

impl Reader<'_> {
    /// Takes the rows of a segment. `Ok(None)`: they do not all fit.
    fn read(&mut self, context: &Context, table: &TableName, segment: &Segment) -> Result<Option<SetDigest>> {
        let path = segment_location(table, &segment.path);
        let damaged = |reason: String| {
            Error::new(Kind::Damaged, format!("reading {} to merge it", segment.path), reason)
                .with_hint("it is left as it is; run `holdfast verify`")
        };
        match context.archive.sha256(&path)? {
            None => return Err(damaged("it is missing".into())),
            Some(sha256) if sha256 != segment.sha256 => {
                return Err(damaged("its bytes are not those that were written (SHA-256)".into()));
            }
            Some(_) => {}
        }
        let reader = open_segment(&context.archive, &path)?;
        let printer = RowPrinter::new(reader.schema(), self.schema)?;
        let time = self.schema.time_column().and_then(|name| reader.schema().index_of(name).ok());
        let source = reader.schema().index_of(SOURCE).map_err(|error| damaged(error.to_string()))?;
        let part = self.buffer.part(&segment.part)?;
        let mut digest = SetDigest::default();
        for batch in reader {
            let batch = batch?;
            let sources = batch.column(source).as_string_opt::<i32>().cloned();
            let sources = sources.ok_or_else(|| damaged(format!("column `{SOURCE}` is no text")))?;
            for row in 0..batch.num_rows() {
                self.line.clear();
                printer.print(&batch, row, &mut self.line)?;
                let source = self.source(&sources, row);
                let source = source.ok_or_else(|| damaged("a row does not say where it came from".into()))?;
                let meta = RowMeta { day: segment.day, part, micros: micros(&batch, time, row), source };
                digest.merge(&self.buffer.lanes[0].push(&self.line, meta)?);
            }
            if self.buffer.bytes() > self.room {
                return Ok(None);
            }
        }
        Ok(Some(digest))
    }

    fn source(&mut self, sources: &StringArray, row: usize) -> Option<u32> {
        let name = sources.is_valid(row).then(|| sources.value(row))?;
        if let Some(&known) = self.sources.get(name) {
            return Some(known);
        }
        let number = self.buffer.source(name);
        self.sources.insert(name.to_owned(), number);
        Some(number)
    }
}

/// What the row is sorted by. Rows without a time stand last, in the order in which they were; so do all rows of a table
/// that has none.
fn micros(batch: &RecordBatch, time: Option<usize>, row: usize) -> i64 {
    let times = time.and_then(|at| batch.column(at).as_primitive_opt::<TimestampMicrosecondType>());
    times.filter(|times| times.is_valid(row)).map_or(i64::MAX, |times| times.value(row))
}
