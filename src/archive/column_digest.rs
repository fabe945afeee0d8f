//! The digest of a segment's records, taken column by column: as sure as printing every row, and much cheaper.
//!
//! A record's digest is that of a sum of its fields, so each column adds its own to the sums of a row group's rows, in
//! whatever order, on whatever thread. Each value is printed by what prints it for `restore` and digested by the
//! read-back's own parser; text that stands in a dictionary once for all rows that have it ([`super::cells`]). Pages
//! are decoded by the Parquet library, not by what wrote them.
//!
//! Invariants: every column is decoded whole, and has a value or a null for each row of its row group; no row and no
//! value is left out. Some rows of each row group are printed whole as well, and must give the digest that their
//! columns gave. Memory (I11): for each thread 16 bytes a row of a row group (of [`WINDOW_ROWS`] of them, if it has
//! more) and a batch of one column.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Fields, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::ChunkReader;
use parquet::schema::types::{SchemaDescriptor, Type};

use super::cells::Cells;
use super::pages::{GroupPages, OneColumn};
use super::print::{RowPrinter, damaged, unreadable};
use super::schema::TableSchema;
use crate::error::{Error, Kind, Result};
use crate::record::SetDigest;
use crate::record::reread::{digest_of_printed, record_of_sum};

/// The most rows whose sums are held at once. A row group of ours has fewer; of more, columns are read repeatedly.
pub const WINDOW_ROWS: usize = 1 << 20;
/// The most rows of a batch.
const BATCH_ROWS: usize = 8192;
/// The bytes that an average batch of plain values takes.
const BATCH_BYTES: usize = 4 << 20;
/// Below so many values threads cost more than they save.
const VALUES_WORTH_THREADS: usize = 1 << 15;

/// A segment's columns, ready to be digested.
#[derive(Debug)]
pub struct SegmentColumns {
    metadata: Arc<ParquetMetaData>,
    schema: SchemaRef,
    printer: RowPrinter,
    parts: Vec<Part>,
    /// How each column of the file is read.
    levels: Vec<Levels>,
}

/// Columns of the file that are read together: one, or a timestamp column and its tail.
#[derive(Debug)]
struct Part {
    at: usize,
    tail: Option<usize>,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    /// By its place in [`RowPrinter::columns`].
    Member(usize),
    Rest,
    Not,
}

/// One column as the Parquet library wants it described.
#[derive(Debug)]
struct Levels {
    plain: FieldLevels,
    /// Text with its dictionary.
    entries: Option<FieldLevels>,
}

impl SegmentColumns {
    /// For a file with this footer, whose columns must be columns of the table, of its types.
    pub fn new(metadata: ParquetMetaData, table: &TableSchema) -> Result<Self> {
        let counted = metadata
            .row_groups()
            .iter()
            .try_fold(0_i64, |sum, group| (group.num_rows() >= 0).then(|| sum.checked_add(group.num_rows())).flatten());
        if counted != Some(metadata.file_metadata().num_rows()) {
            return Err(damaged("the footer does not count the rows of its row groups"));
        }
        if metadata.row_groups().iter().flat_map(|group| group.columns()).any(lies_nowhere) {
            return Err(damaged("the footer gives a column no place in the file"));
        }
        let described =
            ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()).map_err(unreadable)?;
        let (metadata, schema) = (Arc::clone(described.metadata()), Arc::clone(described.schema()));
        let printer = RowPrinter::new(&schema, table)?;
        if described.parquet_schema().num_columns() != schema.fields().len() {
            return Err(damaged("a column is nested"));
        }
        let levels = schema.fields().iter().enumerate().map(|(at, field)| {
            let column = described.parquet_schema().column(at);
            Levels::new(column.self_type_ptr(), field).map_err(unreadable)
        });
        let levels = levels.collect::<Result<Vec<_>>>()?;
        let parts = parts(&printer, schema.fields().len());
        Ok(SegmentColumns { metadata, schema, printer, parts, levels })
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.metadata.num_row_groups()
    }

    /// The file's footer.
    pub fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }

    /// The digest of a row group's records, by at most so many threads. Fails with [`Kind::Damaged`] if a value can't
    /// be decoded or printed exactly.
    pub fn digest<R: ChunkReader + 'static>(&self, file: &Arc<R>, group: usize, threads: usize) -> Result<SetDigest> {
        self.digest_by(file, group, threads, WINDOW_ROWS)
    }

    fn digest_by<R: ChunkReader + 'static>(
        &self,
        file: &Arc<R>,
        group: usize,
        threads: usize,
        window_rows: usize,
    ) -> Result<SetDigest> {
        let rows = usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or_default();
        let mut digest = SetDigest::default();
        // Of no rows, too: then no column may have a value.
        for number in 0..rows.div_ceil(window_rows).max(1) {
            let start = number * window_rows;
            let window = start..rows.min(start + window_rows);
            let samples = Samples::new(&window, self.schema.fields().len());
            let sums = self.sums(file, group, threads, &window, &samples)?;
            self.check_samples(samples, &window, &sums)?;
            sums.into_iter().for_each(|sum| digest.add(record_of_sum(sum)));
        }
        Ok(digest)
    }

    /// The sums of the fields of the rows in a window of a row group.
    fn sums<R: ChunkReader + 'static>(
        &self,
        file: &Arc<R>,
        group: usize,
        threads: usize,
        window: &Range<usize>,
        samples: &Samples,
    ) -> Result<Vec<u128>> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<u128>> {
            let mut sums = vec![0; window.len()];
            while let Some(part) = self.parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.add(part, file, group, window, samples, &mut sums) {
                    // The others need not go on.
                    next.store(self.parts.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(sums)
        };
        let worth = window.len().saturating_mul(self.parts.len()) >= VALUES_WORTH_THREADS;
        let helpers = if worth { threads.min(self.parts.len()).saturating_sub(1) } else { 0 };
        std::thread::scope(|scope| {
            let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
            let mut all = work();
            for helper in helpers {
                // The library gives up on some damage in this way.
                let sums = helper.join().map_err(|_| damaged("its reader panicked"))?;
                all = all.and_then(|mut all| {
                    all.iter_mut().zip(sums?).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
                    Ok(all)
                });
            }
            all
        })
    }

    /// Reads one part of a row group and adds what it counts to the sums of the rows in the window.
    fn add<R: ChunkReader + 'static>(
        &self,
        part: &Part,
        file: &Arc<R>,
        group: usize,
        window: &Range<usize>,
        samples: &Samples,
        sums: &mut [u128],
    ) -> Result<()> {
        let rows = usize::try_from(self.metadata.row_group(group).num_rows()).unwrap_or_default();
        let name = self.schema.field(part.at).name();
        let mut cells = match part.shown {
            Shown::Member(at) => Cells::member(&self.printer.columns()[at], name, window.len())?,
            Shown::Rest => Cells::rest(name),
            Shown::Not => Cells::nothing(name),
        };
        let batch_rows = part.columns().map(|column| self.batch_rows(group, column)).min().unwrap_or(1);
        let mut values = self.open(file, group, part.at, batch_rows, true)?;
        let tails = part.tail.map(|column| self.open(file, group, column, batch_rows, false));
        let mut tails = tails.transpose()?;
        let mut at = 0;
        // Before the last window the column need not be read to its end.
        while at < window.end || window.end == rows {
            let batch = next(&mut values)?;
            let tail = tails.as_mut().map_or(Ok(None), next)?;
            let Some(batch) = batch else {
                if at != rows || tail.is_some() {
                    return Err(uneven(name));
                }
                break;
            };
            let place = at..at + batch.len();
            if place.end > rows || (tails.is_some() && tail.as_ref().map(|tail| tail.len()) != Some(batch.len())) {
                return Err(uneven(name));
            }
            at = place.end;
            let seen = place.start.max(window.start)..place.end.min(window.end);
            if seen.is_empty() {
                continue;
            }
            let of = |array: &ArrayRef| array.slice(seen.start - place.start, seen.len());
            let (batch, tail) = (of(&batch), tail.as_ref().map(of));
            cells.add(&batch, tail.as_ref(), &mut sums[seen.start - window.start..seen.end - window.start])?;
            samples.keep(part.at, &batch, &seen)?;
            if let (Some(column), Some(tail)) = (part.tail, &tail) {
                samples.keep(column, tail, &seen)?;
            }
        }
        Ok(())
    }

    fn open<R: ChunkReader + 'static>(
        &self,
        file: &Arc<R>,
        group: usize,
        column: usize,
        batch_rows: usize,
        with_entries: bool,
    ) -> Result<ParquetRecordBatchReader> {
        let chunk = self.metadata.row_group(group).column(column);
        let levels = match &self.levels[column].entries {
            Some(entries) if with_entries && pages_of(chunk) != Pages::Plain => entries,
            _ => &self.levels[column].plain,
        };
        let pages = GroupPages { file: Arc::clone(file), metadata: Arc::clone(&self.metadata), group };
        let pages = OneColumn { group: pages, column };
        ParquetRecordBatchReader::try_new_with_row_groups(levels, &pages, batch_rows, None).map_err(unreadable)
    }

    /// The rows of a column that are decoded at once.
    fn batch_rows(&self, group: usize, column: usize) -> usize {
        let group = self.metadata.row_group(group);
        let chunk = group.column(column);
        if self.levels[column].entries.is_some() && pages_of(chunk) == Pages::Entries {
            // Ids; the dictionary is a page.
            return BATCH_ROWS;
        }
        let bytes = chunk.unencoded_byte_array_data_bytes().unwrap_or_default().max(chunk.uncompressed_size()).max(0);
        let row_bytes = bytes as usize / (group.num_rows().max(1) as usize) + 8;
        (BATCH_BYTES / row_bytes).clamp(1, BATCH_ROWS)
    }

    /// Prints the kept rows whole: they must have the digests that their columns gave.
    fn check_samples(&self, samples: Samples, window: &Range<usize>, sums: &[u128]) -> Result<()> {
        let mut line = Vec::new();
        for (row, columns) in samples.rows()? {
            let one = RecordBatchOptions::new().with_row_count(Some(1));
            let batch =
                RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &one).map_err(undecodable)?;
            line.clear();
            self.printer.print(&batch, 0, &mut line)?;
            let printed = digest_of_printed(&line)
                .map_err(|malformed| damaged(&format!("a row prints no record: {malformed}")))?;
            if printed != record_of_sum(sums[row - window.start]) {
                return Err(damaged("a row as a whole is not what its columns are one by one"));
            }
        }
        Ok(())
    }
}

impl Part {
    fn columns(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.at).chain(self.tail)
    }
}

impl Levels {
    fn new(column: Arc<Type>, field: &Field) -> Result<Self, ParquetError> {
        let file = SchemaDescriptor::new(Arc::new(Type::group_type_builder("file").with_fields(vec![column]).build()?));
        let levels = |kind: DataType| {
            let field = Field::new(field.name(), kind, field.is_nullable());
            parquet_to_arrow_field_levels(&file, ProjectionMask::all(), Some(&Fields::from(vec![field])))
        };
        let text = field.data_type() == &DataType::Utf8;
        let entries = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        Ok(Levels {
            plain: levels(field.data_type().clone())?,
            entries: if text { Some(levels(entries)?) } else { None },
        })
    }
}

/// Every column of the file once; a tail with its timestamps.
fn parts(printer: &RowPrinter, columns: usize) -> Vec<Part> {
    let mut shown: Vec<Option<Part>> =
        (0..columns).map(|at| Some(Part { at, tail: None, shown: Shown::Not })).collect();
    for (place, column) in printer.columns().iter().enumerate() {
        if let Some(tail) = column.tail {
            shown[tail] = None;
        }
        shown[column.at] = Some(Part { at: column.at, tail: column.tail, shown: Shown::Member(place) });
    }
    if let Some(at) = printer.rest() {
        shown[at] = Some(Part { at, tail: None, shown: Shown::Rest });
    }
    shown.into_iter().flatten().collect()
}

fn lies_nowhere(chunk: &ColumnChunkMetaData) -> bool {
    chunk.compressed_size() < 0 || chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset()) < 0
}

/// How a column chunk's values stand in its pages, as far as the footer says.
#[derive(Debug, PartialEq, Eq)]
enum Pages {
    /// Each is an entry of the dictionary.
    Entries,
    /// Some are not.
    Plain,
    Unknown,
}

fn pages_of(chunk: &ColumnChunkMetaData) -> Pages {
    let is_entry = |encoding| matches!(encoding, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY);
    match chunk.page_encoding_stats_mask() {
        Some(mask) if mask.encodings().all(is_entry) => Pages::Entries,
        Some(_) => Pages::Plain,
        None if chunk.encodings().any(is_entry) => Pages::Unknown,
        None => Pages::Plain,
    }
}

/// Rows that are printed whole: the first, one in the middle and the last of a window.
#[derive(Debug)]
struct Samples {
    places: Vec<usize>,
    /// For each place, its value in each column.
    kept: Mutex<Vec<Vec<Option<ArrayRef>>>>,
}

impl Samples {
    fn new(window: &Range<usize>, columns: usize) -> Self {
        let mut places = vec![window.start, window.start + window.len() / 2, window.end.saturating_sub(1)];
        places.dedup();
        places.retain(|place| window.contains(place));
        let kept = Mutex::new(vec![vec![None; columns]; places.len()]);
        Samples { places, kept }
    }

    /// Keeps what the batch, which has the rows `seen`, has of them.
    fn keep(&self, column: usize, batch: &ArrayRef, seen: &Range<usize>) -> Result<()> {
        for (number, place) in self.places.iter().enumerate().filter(|(_, place)| seen.contains(place)) {
            // Copied, since the batch goes away; and as text, as it is printed.
            let mut value =
                take(batch, &UInt32Array::from(vec![(place - seen.start) as u32]), None).map_err(undecodable)?;
            if let DataType::Dictionary(_, text) = value.data_type().clone() {
                value = cast(&value, &text).map_err(undecodable)?;
            }
            self.kept.lock().unwrap_or_else(PoisonError::into_inner)[number][column] = Some(value);
        }
        Ok(())
    }

    /// The rows, and each one's columns.
    fn rows(self) -> Result<Vec<(usize, Vec<ArrayRef>)>> {
        let kept = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        let whole = |(place, columns): (usize, Vec<Option<ArrayRef>>)| {
            let columns = columns.into_iter().collect::<Option<Vec<_>>>();
            Ok((place, columns.ok_or_else(|| damaged("a column has no value for a row"))?))
        };
        self.places.into_iter().zip(kept).map(whole).collect()
    }
}

/// The next batch of one column.
fn next(reader: &mut ParquetRecordBatchReader) -> Result<Option<ArrayRef>> {
    let batch = reader.next().transpose().map_err(undecodable)?;
    Ok(batch.map(|batch| ArrayRef::clone(batch.column(0))))
}

fn undecodable(error: ArrowError) -> Error {
    Error::from_source(Kind::Damaged, "reading a segment's columns", error)
}

fn uneven(column: &str) -> Error {
    damaged(&format!("column `{column}` has not one value for each row"))
}

#[cfg(test)]
pub(super) mod tests;
