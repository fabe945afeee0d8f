//! Writes a segment: one Parquet file of one day and part, sorted by time.
//!
//! Invariants: every row of the group is in the file once, every member of its record in a typed column or in
//! `_hf_rest` (I9); the sorting columns that the file declares are true of it (they are looked at, not assumed).
//! Columns without a value are left out (Delta readers give null), but not the time column, `_hf_source`, `_hf_rest`.
//! Beside the buffer, memory is the encoded row group plus, per thread, the values of one column (I11).
//!
//! Each column is encoded on its own, spread over threads, and appended in the file's order.

use std::collections::HashMap;
use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use super::chunk::{ChunkEncoder, ChunkOptions, ChunkValues, Distinct, EncodedChunk, NULL, Texts};
use super::gather::{Gathered, gather, nulls};
use super::layout::{Layout, Rest};
use super::rest_names::RestNames;
use super::rows::{RowBuffer, RowRef};
use super::schema::{TableSchema, fold};
use super::spread::in_order;
use crate::error::{Error, Kind, Result};
use crate::record::digest::SetDigest;

/// Who wrote the file, as its footer says. Without a version: equal rows give equal bytes.
const CREATED_BY: &str = "holdfast";
/// Footer key: the format's version.
const FORMAT_KEY: &str = "holdfast.format";
const FORMAT: &str = "1";
/// Below so many rows threads cost more than they save.
const ROWS_WORTH_THREADS: usize = 2048;

/// How segments are written; never what they hold.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// 1 to 22.
    pub zstd_level: i32,
    /// Columns that get a bloom filter, in any spelling.
    pub index: Vec<String>,
    /// The most rows of a row group.
    pub row_group_rows: usize,
    /// A row group ends before its rows take more of the buffer than so many bytes (one row may be larger).
    pub row_group_bytes: usize,
    /// The most threads that encode columns at once.
    pub threads: usize,
}

impl Default for SegmentOptions {
    fn default() -> Self {
        SegmentOptions {
            zstd_level: 3,
            index: Vec::new(),
            row_group_rows: 131_072,
            row_group_bytes: 256 << 20,
            threads: 1,
        }
    }
}

/// What a segment turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentSummary {
    pub rows: u64,
    /// Of the records, as they were pushed.
    pub digest: SetDigest,
    /// The time column's smallest and largest value, microseconds since 1970 UTC; `None` if no row has one.
    pub time_range: Option<(i64, i64)>,
    /// Rows whose time column is null.
    pub time_nulls: u64,
    /// The file declares to be sorted by the time column.
    pub sorted: bool,
    /// The file's columns, in its order.
    pub columns: Vec<String>,
    /// What a search must look for in `_hf_rest`; see [`RestNames::into_list`].
    pub rest: Vec<String>,
    /// Bytes of the file.
    pub size_bytes: u64,
}

/// Writes `rows` of the buffer, in that order, to `sink`. Timestamp columns of `schema` get their tail when first
/// needed. Errors: [`Kind::Store`] if the sink refuses, [`Kind::Internal`] if Parquet does; what then stands in the
/// sink is no segment.
pub fn write_segment<W: Write + Send>(
    buffer: &RowBuffer,
    rows: &[RowRef],
    schema: &mut TableSchema,
    options: &SegmentOptions,
    sink: W,
) -> Result<SegmentSummary> {
    let threads = if rows.len() < ROWS_WORTH_THREADS { 1 } else { options.threads };
    let layout = Layout::plan(buffer, rows, schema, threads)?;
    let fields = layout.fields();
    let parquet = parquet_schema(&fields)?;
    let properties = Arc::new(properties(&layout, options)?);
    let mut file = SerializedFileWriter::new(sink, parquet.root_schema_ptr(), properties).map_err(parquet_error)?;
    let columns: Vec<ColumnDescPtr> = parquet.columns().to_vec();
    let index: Vec<String> = options.index.iter().map(|name| fold(name)).collect();
    let blooms: Vec<bool> = fields.iter().map(|field| index.contains(&fold(field.name()))).collect();
    let mut names = RestNames::default();
    let groups: Vec<RowGroup<'_>> = row_groups(buffer, rows, options)
        .into_iter()
        .map(|range| RowGroup { buffer, rows: &rows[range], layout: &layout, columns: &columns, blooms: &blooms })
        .collect();
    let mut encoder = ChunkEncoder::new(options.zstd_level)?;
    let mut append = |group: &RowGroup<'_>, typed: Vec<EncodedChunk>, misfits: &[Vec<u32>]| {
        let sources = group.encode(&mut encoder, columns.len() - 2, &group.sources())?;
        let rest = group.encode(&mut encoder, columns.len() - 1, &group.rest(misfits, &mut names))?;
        let mut out = file.next_row_group().map_err(parquet_error)?;
        typed.into_iter().chain([sources, rest]).try_for_each(|chunk| chunk.append_to(&mut out))?;
        out.close().map_err(parquet_error).map(drop)
    };
    let width = layout.columns.len();
    if width == 0 {
        groups.iter().try_for_each(|group| append(group, Vec::new(), &[]))?;
    }
    let encode = |encoder: &mut Option<ChunkEncoder>, task: usize| {
        let encoder = match encoder {
            Some(encoder) => encoder,
            None => encoder.insert(ChunkEncoder::new(options.zstd_level)?),
        };
        groups[task / width].typed(encoder, task % width)
    };
    // One group's columns after the other's, so that no thread waits for the last column of a group.
    let (mut due, mut chunks, mut misfits) = (groups.iter(), Vec::new(), Vec::new());
    in_order(
        threads,
        groups.len() * width,
        || None,
        encode,
        |(encoded, places)| {
            chunks.extend(encoded);
            misfits.push(places);
            if misfits.len() < width {
                return Ok(());
            }
            let Some(group) = due.next() else { return Ok(()) };
            append(group, std::mem::take(&mut chunks), &std::mem::take(&mut misfits))
        },
    )?;
    file.finish().map_err(parquet_error)?;
    let mut digest = SetDigest::default();
    rows.iter().for_each(|&row| digest.add(buffer.digest(row)));
    Ok(SegmentSummary {
        rows: rows.len() as u64,
        digest,
        time_range: layout.time.and_then(|time| time.range),
        time_nulls: layout.time.map_or(rows.len() as u64, |time| time.nulls),
        sorted: layout.sorting_column().is_some(),
        columns: fields.iter().map(|field| field.name().clone()).collect(),
        rest: names.into_list(),
        size_bytes: file.bytes_written() as u64,
    })
}

/// The columns of one row group, each encoded apart from the others.
struct RowGroup<'a> {
    buffer: &'a RowBuffer,
    rows: &'a [RowRef],
    layout: &'a Layout<'a>,
    /// All columns of the file.
    columns: &'a [ColumnDescPtr],
    /// Which of them get a bloom filter.
    blooms: &'a [bool],
}

impl RowGroup<'_> {
    /// A typed column (and its tail), and the places whose values are for `_hf_rest`.
    fn typed(&self, encoder: &mut ChunkEncoder, column: usize) -> Result<(Vec<EncodedChunk>, Vec<u32>)> {
        let of_layout = &self.layout.columns[column];
        let place: usize = self.layout.columns[..column].iter().map(|column| column.fields.len()).sum();
        let Gathered { values, tails, misfits } = match of_layout.from {
            Some(from) => gather(&self.layout.found[from], of_layout.kind, self.rows, of_layout.has_tail()),
            None => nulls(of_layout.kind, self.rows.len()),
        };
        let mut chunks = vec![self.encode(encoder, place, &values)?];
        if let Some(tails) = tails {
            chunks.push(self.encode(encoder, place + 1, &tails)?);
        }
        Ok((chunks, misfits))
    }

    /// The names of the raw objects.
    fn sources(&self) -> ChunkValues {
        let mut texts = Texts::default();
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        let ids = self.rows.iter().map(|&row| {
            let source = self.buffer.meta(row).source;
            *numbers.entry(source).or_insert_with(|| {
                texts.push(self.buffer.source_name(source).as_bytes());
                texts.len() as u32 - 1
            })
        });
        ChunkValues { ids: ids.collect(), distinct: Distinct::Text(texts) }
    }

    /// What has no column of its own.
    fn rest(&self, misfits: &[Vec<u32>], names: &mut RestNames) -> ChunkValues {
        let mut rest = Rest::new(self.layout, misfits);
        let mut texts = Texts::default();
        if rest.is_empty() {
            return ChunkValues { ids: vec![NULL; self.rows.len()], distinct: Distinct::Text(texts) };
        }
        let mut text = Vec::new();
        let ids = self.rows.iter().enumerate().map(|(at, &row)| {
            text.clear();
            if !rest.print(at as u32, row, &mut text) {
                return NULL;
            }
            names.see(&text);
            texts.push(&text);
            texts.len() as u32 - 1
        });
        ChunkValues { ids: ids.collect(), distinct: Distinct::Text(texts) }
    }

    /// Encodes the values of a column of the file.
    fn encode(&self, encoder: &mut ChunkEncoder, place: usize, values: &ChunkValues) -> Result<EncodedChunk> {
        let options = ChunkOptions { bloom: self.blooms[place], ..ChunkOptions::default() };
        encoder.encode(&self.columns[place], values, &options)
    }
}

fn parquet_schema(fields: &[Field]) -> Result<SchemaDescriptor> {
    ArrowSchemaConverter::new().convert(&Schema::new(fields.to_vec())).map_err(parquet_error)
}

/// What the file says of itself; its columns are encoded by [`super::chunk`].
fn properties(layout: &Layout<'_>, options: &SegmentOptions) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(options.zstd_level).map_err(parquet_error)?;
    let sorting = layout
        .sorting_column()
        .map(|at| vec![SortingColumn { column_idx: at as i32, descending: false, nulls_first: false }]);
    Ok(WriterProperties::builder()
        .set_created_by(CREATED_BY.to_string())
        .set_compression(Compression::ZSTD(level))
        .set_sorting_columns(sorting)
        .set_key_value_metadata(Some(vec![KeyValue::new(FORMAT_KEY.to_string(), FORMAT.to_string())]))
        .build())
}

/// Stretches of rows within both limits.
fn row_groups(buffer: &RowBuffer, rows: &[RowRef], options: &SegmentOptions) -> Vec<Range<usize>> {
    // What rows have in common they hold together: each has its share of what all of them take.
    let (held, told) = (buffer.bytes() as u128, buffer.told_bytes().max(1) as u128);
    let most = options.row_group_bytes as u128 * told / held.clamp(1, told);
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, &row) in rows.iter().enumerate() {
        let more = buffer.row_bytes(row) as u128;
        if at > start && (at - start >= options.row_group_rows || bytes + more > most) {
            groups.push(start..at);
            (start, bytes) = (at, 0);
        }
        bytes += more;
    }
    if start < rows.len() {
        groups.push(start..rows.len());
    }
    groups
}

fn parquet_error(error: ParquetError) -> Error {
    let kind = match &error {
        ParquetError::External(_) => Kind::Store,
        _ => Kind::Internal,
    };
    Error::from_source(kind, "writing a segment", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::rows::{RowMeta, groups};

    fn buffer(lengths: &[usize]) -> RowBuffer {
        let mut buffer = RowBuffer::new(&TableSchema::new(None, None).unwrap(), 1);
        let meta = RowMeta { day: jiff::civil::date(2024, 1, 1), part: 0, micros: 0, source: buffer.source("one") };
        for length in lengths {
            // The quotes are bytes of the value.
            let record = format!("{{\"a\":\"{}\"}}", "x".repeat(length - 2));
            buffer.lanes[0].push(record.as_bytes(), meta).unwrap();
        }
        buffer
    }

    #[test]
    fn i11_row_groups_keep_both_limits() {
        let buffer = buffer(&[10, 10, 10, 100, 10, 10, 10, 10]);
        let rows = groups(&buffer).remove(0).rows;
        let options = SegmentOptions { row_group_rows: 3, row_group_bytes: 25, ..SegmentOptions::default() };
        assert_eq!(row_groups(&buffer, &rows, &options), [0..2, 2..3, 3..4, 4..6, 6..8]);
        let options = SegmentOptions { row_group_bytes: 1000, ..options };
        assert_eq!(row_groups(&buffer, &rows, &options), [0..3, 3..6, 6..8]);
        assert!(row_groups(&buffer, &[], &options).is_empty());
    }

    /// Takes so many bytes and then says that the disk is full.
    struct FullDisk(usize);

    impl Write for FullDisk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_refuses_is_a_store_error_wherever_it_does() {
        let buffer = buffer(&[50_000; 10]);
        let rows = groups(&buffer).remove(0).rows;
        let mut whole = Vec::new();
        let mut schema = TableSchema::new(None, None).unwrap();
        schema.decide(&buffer.survey());
        write_segment(&buffer, &rows, &mut schema, &SegmentOptions::default(), &mut whole).unwrap();
        for room in (0..whole.len()).step_by(97) {
            let failed = write_segment(&buffer, &rows, &mut schema, &SegmentOptions::default(), FullDisk(room));
            assert_eq!(failed.map_err(|error| error.kind()), Err(Kind::Store), "{room}");
        }
    }
}
