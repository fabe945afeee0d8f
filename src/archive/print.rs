//! What `restore` prints: from a segment's rows back to records, one JSON object each.
//!
//! Invariants: a printed record is the token tree that was archived (I9), but for nulls at its top level, which are
//! absent, and the order of its members. Nothing of Holdfast's own is printed: no `_hf_` name, no value that the record
//! did not have. A row that can't be printed exactly is [`Kind::Damaged`], never a guess. Memory is a batch of rows,
//! sized by the footer (I11).

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::ChunkReader;

use super::catalogue::ColumnType;
use super::pages::GroupPages;
use super::schema::{REST, SOURCE, TAIL_PREFIX, TableSchema, arrow_field, tail_name};
use crate::error::{Error, Kind, Result};
use crate::record::{number, text, time};

/// The most rows of a batch.
const MOST_ROWS: usize = 8192;

/// Prints the rows of one file.
#[derive(Debug)]
pub struct RowPrinter {
    columns: Vec<PrintedColumn>,
    rest: Option<usize>,
    width: usize,
}

/// A column of the file that is printed.
#[derive(Debug)]
pub(super) struct PrintedColumn {
    /// Its place in the file.
    pub(super) at: usize,
    /// The place of its tail.
    pub(super) tail: Option<usize>,
    pub(super) kind: ColumnType,
    /// The name as a JSON string.
    pub(super) key: Vec<u8>,
}

impl RowPrinter {
    /// For batches with the columns of `file`, which must be columns of the table, of its types.
    pub fn new(file: &Schema, table: &TableSchema) -> Result<Self> {
        let mut printer = RowPrinter { columns: Vec::new(), rest: None, width: file.fields().len() };
        for (at, field) in file.fields().iter().enumerate() {
            let name = field.name();
            if name == REST || name == SOURCE || name.starts_with(TAIL_PREFIX) {
                if field.data_type() != &DataType::Utf8 {
                    return Err(damaged(&format!("column `{name}` is no text")));
                }
                if name == REST {
                    printer.rest = Some(at);
                }
                continue;
            }
            let column = table.column(name).map(|place| &table.columns()[place]);
            let column = column.ok_or_else(|| damaged(&format!("the table has no column `{name}`")))?;
            if field.data_type() != arrow_field(name, column.kind).data_type() {
                return Err(damaged(&format!("column `{name}` has type {}", field.data_type())));
            }
            let mut key = Vec::new();
            text::escape_into(name, &mut key);
            let tail = file.index_of(&tail_name(name)).ok();
            printer.columns.push(PrintedColumn { at, tail, kind: column.kind, key });
        }
        Ok(printer)
    }

    /// The columns of the file that are printed, each as a member of its own.
    pub(super) fn columns(&self) -> &[PrintedColumn] {
        &self.columns
    }

    /// The place of `_hf_rest` in the file.
    pub(super) fn rest(&self) -> Option<usize> {
        self.rest
    }

    /// Appends the record of a row, without a newline. Appends nothing on error.
    pub fn print(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let outcome = self.print_members(batch, row, out);
        if outcome.is_err() {
            out.truncate(start);
        }
        outcome
    }

    fn print_members(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) -> Result<()> {
        if batch.num_columns() != self.width || row >= batch.num_rows() {
            return Err(damaged("a row of another file"));
        }
        out.push(b'{');
        let start = out.len();
        for column in &self.columns {
            let values = batch.column(column.at);
            if values.is_null(row) {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            out.extend_from_slice(&column.key);
            out.push(b':');
            let tails = column.tail.map(|at| batch.column(at).as_ref());
            print_value(values.as_ref(), tails, column.kind, row, out)
                .ok_or_else(|| unprintable(batch.schema_ref().field(column.at).name()))?;
        }
        if let Some(rest) = self.rest.and_then(|at| batch.column(at).as_string_opt::<i32>())
            && rest.is_valid(row)
        {
            let members = rest_members(rest.value(row))?;
            if out.len() > start && !members.is_empty() {
                out.push(b',');
            }
            append_on_one_line(members, out);
        }
        out.push(b'}');
        Ok(())
    }
}

/// Appends a value that is not null; `None` if it has no exact text.
pub(super) fn print_value(
    values: &dyn Array,
    tails: Option<&dyn Array>,
    kind: ColumnType,
    row: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    match kind {
        ColumnType::Text => text::escape_into(values.as_string_opt::<i32>()?.value(row), out),
        ColumnType::Json => append_on_one_line(values.as_string_opt::<i32>()?.value(row), out),
        ColumnType::Bool => {
            let word: &[u8] = if values.as_boolean_opt()?.value(row) { b"true" } else { b"false" };
            out.extend_from_slice(word);
        }
        ColumnType::Int => print_integer(values.as_primitive_opt::<Int32Type>()?.value(row).into(), out),
        ColumnType::Long => print_integer(values.as_primitive_opt::<Int64Type>()?.value(row), out),
        ColumnType::Double => {
            let value = values.as_primitive_opt::<Float64Type>()?.value(row);
            if !value.is_finite() {
                return None;
            }
            number::print_f64(value, out);
        }
        ColumnType::Timestamp => {
            let micros = values.as_primitive_opt::<TimestampMicrosecondType>()?.value(row);
            let tail = match tails {
                Some(tails) => tails.is_valid(row).then_some(tails.as_string_opt::<i32>()?.value(row)),
                None => None,
            };
            out.push(b'"');
            if !time::print(micros, tail, out) {
                return None;
            }
            out.push(b'"');
        }
    }
    Some(())
}

/// What stands between the braces of a row's `_hf_rest`: the members that are printed after the columns'.
pub(super) fn rest_members(object: &str) -> Result<&str> {
    let members = object.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let members = members.ok_or_else(|| damaged("a value of `_hf_rest` is no JSON object"))?;
    // No comma goes before none.
    let blank = members.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    Ok(if blank { "" } else { members })
}

/// Appends JSON text. Line ends in it are whitespace between tokens, since strings can't hold them unescaped; records
/// are printed one a line.
pub(super) fn append_on_one_line(json: &str, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(json.as_bytes());
    let mut at = start;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &out[at..]) {
        at += found;
        out[at] = b' ';
    }
}

fn print_integer(value: i64, out: &mut Vec<u8>) {
    // The longest is -9223372036854775808.
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

/// The rows of a segment, batch after batch, in the file's order.
pub struct SegmentReader {
    /// Opens a row group.
    open: Box<dyn Fn(usize) -> Result<ParquetRecordBatchReader, ParquetError> + Send>,
    group: Option<ParquetRecordBatchReader>,
    next_group: usize,
    groups: usize,
    schema: SchemaRef,
    rows: u64,
}

impl SegmentReader {
    /// The file's columns, for [`RowPrinter::new`].
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows that the footer counts.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

impl Iterator for SegmentReader {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.group.as_mut().and_then(Iterator::next) {
                return Some(batch.map_err(|error| Error::from_source(Kind::Damaged, "reading a segment", error)));
            }
            if self.next_group == self.groups {
                return None;
            }
            self.group = match (self.open)(self.next_group) {
                Ok(group) => Some(group),
                Err(error) => return Some(Err(unreadable(error))),
            };
            self.next_group += 1;
        }
    }
}

impl fmt::Debug for SegmentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SegmentReader({} rows)", self.rows)
    }
}

/// Opens a segment. Batches have so many rows that an average one takes about `batch_bytes`; no batch takes more
/// than a row group of the file. Fails with [`Kind::Damaged`] if it is no Parquet, [`Kind::Store`] if it can't be read.
pub fn read_segment<R: ChunkReader + 'static>(file: R, batch_bytes: usize) -> Result<SegmentReader> {
    let file = Arc::new(file);
    let metadata = ParquetMetaDataReader::new()
        .with_offset_index_policy(PageIndexPolicy::Optional)
        .with_column_index_policy(PageIndexPolicy::Skip)
        .parse_and_finish(file.as_ref())
        .map_err(unreadable)?;
    let options = ArrowReaderOptions::new();
    let described = ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(unreadable)?;
    let (metadata, schema) = (Arc::clone(described.metadata()), Arc::clone(described.schema()));
    let levels =
        parquet_to_arrow_field_levels(described.parquet_schema(), ProjectionMask::all(), Some(schema.fields()))
            .map_err(unreadable)?;
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
    let (groups, batch_rows) = (metadata.num_row_groups(), batch_rows(&metadata, batch_bytes));
    let open = move |group: usize| {
        let pages = GroupPages { file: Arc::clone(&file), metadata: Arc::clone(&metadata), group };
        ParquetRecordBatchReader::try_new_with_row_groups(&levels, &pages, batch_rows, None)
    };
    Ok(SegmentReader { open: Box::new(open), group: None, next_group: 0, groups, schema, rows })
}

/// The rows that fill `batch_bytes` in the row group with the largest rows.
fn batch_rows(metadata: &ParquetMetaData, batch_bytes: usize) -> usize {
    let row_bytes = |group: &RowGroupMetaData| {
        let column_bytes = |bytes: Option<i64>, encoded: i64| bytes.unwrap_or(encoded).max(0) as usize;
        let bytes: usize = group
            .columns()
            .iter()
            .map(|column| column_bytes(column.unencoded_byte_array_data_bytes(), column.uncompressed_size()))
            .sum();
        // Each value also has an offset or a width of its own.
        bytes / (group.num_rows().max(1) as usize) + 8 * group.columns().len()
    };
    let largest = metadata.row_groups().iter().map(row_bytes).max().unwrap_or(1);
    (batch_bytes / largest.max(1)).clamp(1, MOST_ROWS)
}

pub(super) fn unprintable(column: &str) -> Error {
    damaged(&format!("a value of column `{column}` can't be printed"))
}

pub(super) fn damaged(reason: &str) -> Error {
    Error::new(Kind::Damaged, "printing a segment's rows", reason)
}

pub(super) fn unreadable(error: ParquetError) -> Error {
    let kind = if matches!(error, ParquetError::External(_)) { Kind::Store } else { Kind::Damaged };
    Error::from_source(kind, "opening a segment", error)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int32Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Field;
    use bytes::Bytes;

    use super::*;
    use crate::archive::schema::tests::survey;

    fn table(columns: &[(&str, &str)]) -> TableSchema {
        let mut schema = TableSchema::new(None, Some("time")).unwrap();
        for (name, token) in columns {
            schema.decide(&survey(&[(name, &[token])]));
        }
        schema
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
    }

    fn print(table: &TableSchema, batch: &RecordBatch, row: usize) -> Result<String> {
        let mut out = b"before ".to_vec();
        let outcome = RowPrinter::new(batch.schema_ref(), table)?.print(batch, row, &mut out);
        assert!(outcome.is_ok() || out == b"before ");
        outcome.map(|()| String::from_utf8(out.split_off(7)).unwrap())
    }

    fn text(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn instants(values: &[i64]) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("UTC"))
    }

    #[test]
    fn own_columns_are_not_printed_and_the_rest_is_as_it_was() {
        let table = table(&[("a\"b", "\"x\""), ("j", "{}")]);
        let batch = batch(vec![
            ("time", instants(&[0, 0])),
            ("_hf_tail_time", text(&[None, Some("?")])),
            ("a\"b", text(&[Some("\u{1}\"\\/é"), None])),
            ("j", text(&[Some("[ 1.0,\r\n\"\\u0041\" ]"), None])),
            ("_hf_source", text(&[Some("raw"), Some("raw")])),
            ("_hf_rest", text(&[Some("{\"x y\"\n:\n1,\"x y\":2}"), Some("{}")])),
        ]);
        assert_eq!(
            print(&table, &batch, 0).unwrap(),
            r#"{"time":"1970-01-01T00:00:00.000000Z","a\"b":"\u0001\"\\/é","j":[ 1.0,  "\u0041" ],"x y" : 1,"x y":2}"#
        );
        assert_eq!(print(&table, &batch, 1).unwrap(), r#"{"time":"1970-01-01T00:00:00.000000"}"#);
    }

    #[test]
    fn i9_a_row_that_cannot_be_printed_exactly_is_damage() {
        let table = table(&[("f", "1.5"), ("t", "\"x\"")]);
        let doubles = |value: f64| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
        for columns in [
            vec![("f", doubles(f64::NAN))],
            vec![("f", doubles(f64::INFINITY))],
            vec![("time", instants(&[i64::MAX]))],
            vec![("time", instants(&[0])), ("_hf_tail_time", text(&[Some("no tail")]))],
            vec![("_hf_rest", text(&[Some("[1]")]))],
            vec![("foreign", text(&[Some("x")]))],
            vec![("T", text(&[Some("x")]))],
            vec![("t", Arc::new(Int32Array::from(vec![1])) as ArrayRef)],
            vec![("_hf_rest", Arc::new(Int32Array::from(vec![1])) as ArrayRef)],
        ] {
            let name = columns[0].0;
            let error = print(&table, &batch(columns), 0).unwrap_err();
            assert_eq!(error.kind(), Kind::Damaged, "{name}");
        }
        let good = batch(vec![("f", doubles(1.0))]);
        assert_eq!(print(&table, &good, 0).unwrap(), r#"{"f":1}"#);
        assert!(print(&table, &good, 1).is_err());
        let other = RowPrinter::new(&Schema::new(Vec::<Field>::new()), &table).unwrap();
        assert!(other.print(&good, 0, &mut Vec::new()).is_err());
    }

    #[test]
    fn integers_print_as_they_are() {
        for value in [0, 7, -7, 10, i64::MAX, i64::MIN, -1_000_000_007] {
            let mut out = Vec::new();
            print_integer(value, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), value.to_string());
        }
    }

    #[test]
    fn what_is_no_parquet_is_damage() {
        for bytes in [&b""[..], b"PAR1", b"PAR1 and then nothing of the kind PAR1"] {
            assert_eq!(read_segment(Bytes::from_static(bytes), 1 << 20).unwrap_err().kind(), Kind::Damaged);
        }
    }
}
