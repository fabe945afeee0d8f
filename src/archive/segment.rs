//! Writes a segment: one Parquet file of one day and part, sorted by time.
//!
//! Invariants: every row of the group is in the file once, every member of its record in a typed column or in
//! `_hf_rest` (I9); the sorting columns that the file declares are true of it (they are looked at, not assumed).
//! Columns without a value are left out (Delta readers give null), but not the time column, `_hf_source`, `_hf_rest`.
//! Beside the buffer, memory is the encoded row group plus, per thread, a stretch of one column (I11).
//!
//! Each column is encoded on its own, spread over threads, and appended in the file's order.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use super::encode;
use super::layout::{FileColumn, Layout, Rest, text_field};
use super::rest_names::RestNames;
use super::rows::RowBuffer;
use super::schema::{REST, SOURCE, TableSchema, fold};
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
    /// A row group ends before its values exceed so many bytes (one row may be larger).
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
    rows: &[u32],
    schema: &mut TableSchema,
    options: &SegmentOptions,
    sink: W,
) -> Result<SegmentSummary> {
    let threads = if rows.len() < ROWS_WORTH_THREADS { 1 } else { options.threads };
    let layout = Layout::plan(buffer, rows, schema, threads)?;
    let fields = layout.fields();
    let properties = Arc::new(properties(&layout, &fields, options)?);
    let root = parquet_schema(&fields)?.root_schema_ptr();
    let mut file = SerializedFileWriter::new(sink, root, properties.clone()).map_err(parquet_error)?;
    let mut names = RestNames::default();
    for (at, range) in row_groups(buffer, rows, options).into_iter().enumerate() {
        let group = RowGroup { buffer, rows: &rows[range], at, properties: &properties };
        let mut out = file.next_row_group().map_err(parquet_error)?;
        let mut append = |chunks: Vec<ArrowColumnChunk>| {
            chunks.into_iter().try_for_each(|chunk| chunk.append_to_row_group(&mut out)).map_err(parquet_error)
        };
        let mut misfits = Vec::with_capacity(layout.columns.len());
        let encode = |column: usize| group.typed(&layout.columns[column]);
        in_order(threads, layout.columns.len(), encode, |(chunks, places)| {
            misfits.push(places);
            append(chunks)
        })?;
        append(group.text(SOURCE, |_, row, out| {
            out.extend_from_slice(buffer.source_name(buffer.meta(row).source).as_bytes());
            true
        })?)?;
        let mut rest = Rest::new(buffer, &layout, &misfits);
        append(group.text(REST, |at, row, out| {
            let start = out.len();
            let any = rest.print(at as u32, row, out);
            names.see(&out[start..]);
            any
        })?)?;
        out.close().map_err(parquet_error)?;
    }
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

/// Encodes the columns of one row group, each apart from the others.
struct RowGroup<'a> {
    buffer: &'a RowBuffer,
    rows: &'a [u32],
    at: usize,
    properties: &'a Arc<WriterProperties>,
}

impl RowGroup<'_> {
    /// The encoded column (and its tail), and the places whose values are for `_hf_rest`.
    fn typed(&self, column: &FileColumn) -> Result<(Vec<ArrowColumnChunk>, Vec<u32>)> {
        let mut misfits = Vec::new();
        let chunks = self.encode(&column.fields, |emit| {
            match column.from {
                Some(from) => {
                    misfits = encode::column(self.buffer, from, column.kind, self.rows, column.has_tail(), emit)?;
                }
                None => encode::nulls(column.kind, self.rows.len(), emit)?,
            }
            Ok(())
        })?;
        Ok((chunks, misfits))
    }

    /// The encoded column of Holdfast's own; see [`encode::own_text`].
    fn text(&self, name: &str, text: impl FnMut(usize, u32, &mut Vec<u8>) -> bool) -> Result<Vec<ArrowColumnChunk>> {
        self.encode(&[text_field(name)], |emit| encode::own_text(self.rows, text, emit))
    }

    /// Gives `fill` a way to write arrays of `fields`. The writers are made here, and not for all columns of the file
    /// at once as `ArrowRowGroupWriterFactory` does for a whole file, because each holds compressors and hash tables:
    /// a factory for these fields alone makes the same ones.
    fn encode(
        &self,
        fields: &[Field],
        fill: impl FnOnce(&mut dyn FnMut(&[ArrayRef]) -> Result<()>) -> Result<()>,
    ) -> Result<Vec<ArrowColumnChunk>> {
        let root = parquet_schema(fields)?.root_schema_ptr();
        let nowhere = SerializedFileWriter::new(std::io::sink(), root, self.properties.clone());
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let factory = ArrowRowGroupWriterFactory::new(&nowhere.map_err(parquet_error)?, schema);
        let mut writers = factory.create_column_writers(self.at).map_err(parquet_error)?;
        fill(&mut |arrays| {
            for ((writer, field), array) in writers.iter_mut().zip(fields).zip(arrays) {
                for leaf in compute_leaves(field, array).map_err(parquet_error)? {
                    writer.write(&leaf).map_err(parquet_error)?;
                }
            }
            Ok(())
        })?;
        writers.into_iter().map(|writer| writer.close().map_err(parquet_error)).collect()
    }
}

fn parquet_schema(fields: &[Field]) -> Result<SchemaDescriptor> {
    ArrowSchemaConverter::new().convert(&Schema::new(fields.to_vec())).map_err(parquet_error)
}

fn properties(layout: &Layout, fields: &[Field], options: &SegmentOptions) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(options.zstd_level).map_err(parquet_error)?;
    let sorting = layout
        .sorting_column()
        .map(|at| vec![SortingColumn { column_idx: at as i32, descending: false, nulls_first: false }]);
    let mut properties = WriterProperties::builder()
        .set_created_by(CREATED_BY.to_string())
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(true)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_sorting_columns(sorting)
        .set_max_row_group_row_count(Some(options.row_group_rows.max(1)))
        .set_key_value_metadata(Some(vec![KeyValue::new(FORMAT_KEY.to_string(), FORMAT.to_string())]));
    let index: Vec<String> = options.index.iter().map(|name| fold(name)).collect();
    for field in fields {
        // A bloom filter starts with room for a row group of distinct values and is folded to what there was.
        if index.contains(&fold(field.name())) {
            properties = properties.set_column_bloom_filter_enabled(ColumnPath::from(field.name().as_str()), true);
        }
    }
    Ok(properties.build())
}

/// Stretches of rows within both limits.
fn row_groups(buffer: &RowBuffer, rows: &[u32], options: &SegmentOptions) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, &row) in rows.iter().enumerate() {
        let more = buffer.row_bytes(row);
        if at > start && (at - start >= options.row_group_rows || bytes + more > options.row_group_bytes) {
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
    use crate::record::token::members;

    fn buffer(lengths: &[usize]) -> RowBuffer {
        let mut buffer = RowBuffer::new(&TableSchema::new(None, None).unwrap());
        let meta = RowMeta { day: jiff::civil::date(2024, 1, 1), part: 0, micros: 0, source: buffer.source("one") };
        let mut found = Vec::new();
        for length in lengths {
            // The quotes are bytes of the value.
            let record = format!("{{\"a\":\"{}\"}}", "x".repeat(length - 2));
            members(record.as_bytes(), &mut found).unwrap();
            buffer.push(record.as_bytes(), &found, meta, 1).unwrap();
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
        schema.decide(buffer.survey());
        write_segment(&buffer, &rows, &mut schema, &SegmentOptions::default(), &mut whole).unwrap();
        for room in (0..whole.len()).step_by(97) {
            let failed = write_segment(&buffer, &rows, &mut schema, &SegmentOptions::default(), FullDisk(room));
            assert_eq!(failed.map_err(|error| error.kind()), Err(Kind::Store), "{room}");
        }
    }
}
