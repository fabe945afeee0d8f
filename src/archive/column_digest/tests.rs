//! A segment's digest by columns against the one by rows, and what must give another.

use arrow::array::{
    Array, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{concat_batches, nullif};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{FileMetaData, PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};

use super::*;
use crate::archive::print::read_segment;
use crate::archive::schema::tests::survey;

/// Of the whole file.
pub(in crate::archive) fn digest_by_columns(file: &Bytes, table: &TableSchema, threads: usize) -> Result<SetDigest> {
    in_windows(SegmentColumns::new(footer(file), table)?, file, threads, WINDOW_ROWS)
}

fn in_windows(columns: SegmentColumns, file: &Bytes, threads: usize, window_rows: usize) -> Result<SetDigest> {
    let mut digest = SetDigest::default();
    for group in 0..columns.groups() {
        digest.merge(&columns.digest_by(&Arc::new(file.clone()), group, threads, window_rows)?);
    }
    Ok(digest)
}

fn footer(file: &Bytes) -> ParquetMetaData {
    let reader = ParquetMetaDataReader::new().with_offset_index_policy(PageIndexPolicy::Optional);
    reader.parse_and_finish(file).unwrap()
}

fn digest_by_rows(file: &Bytes, table: &TableSchema) -> SetDigest {
    let reader = read_segment(file.clone(), 1 << 20).unwrap();
    let printer = RowPrinter::new(reader.schema(), table).unwrap();
    let mut digest = SetDigest::default();
    for batch in reader.map(Result::unwrap) {
        for row in 0..batch.num_rows() {
            let mut line = Vec::new();
            printer.print(&batch, row, &mut line).unwrap();
            digest.add(digest_of_printed(&line).unwrap());
        }
    }
    digest
}

fn table() -> TableSchema {
    let mut table = TableSchema::new(None, Some("time")).unwrap();
    let tokens = [("t", "\"x\""), ("u", "\"x\""), ("j", "{}"), ("n", "1"), ("f", "1.5"), ("b", "true")];
    for (name, token) in tokens {
        table.decide(&survey(&[(name, &[token])]));
    }
    table
}

const ROWS: usize = 23;

/// A row of each kind: present and absent, again and new, in its column and in the rest.
fn batch() -> RecordBatch {
    let text = |value: fn(usize) -> Option<String>| Arc::new((0..ROWS).map(value).collect::<StringArray>()) as ArrayRef;
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "time",
            Arc::new(
                (0..ROWS as i64)
                    .map(|row| (row % 5 != 4).then_some(row / 2 * 1_000_001))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
        ),
        ("_hf_tail_time", text(|row| (row % 3 != 0).then(|| format!("{}Z", 2 - row % 2)))),
        ("t", text(|row| (row % 4 != 3).then(|| format!("a{}\"\\\n\u{1}é😀", row % 3)))),
        ("u", text(|row| (row % 7 < 6).then(|| format!("b{row}")))),
        ("j", text(|row| (row % 3 < 2).then(|| format!("{{\"k\":\r\n[{row},null,\"\\u0041\"]}}")))),
        ("n", Arc::new((0..ROWS as i64).map(|row| (row % 6 < 5).then_some(row % 8 - 3)).collect::<Int64Array>())),
        ("f", Arc::new((0..ROWS).map(|row| (row % 5 < 4).then_some(row as f64 * 0.1)).collect::<Float64Array>())),
        ("b", Arc::new((0..ROWS).map(|row| (row % 5 > 0).then_some(row % 2 == 0)).collect::<BooleanArray>())),
        ("_hf_source", text(|row| Some(format!("raw/1{}", row / 9)))),
        (
            "_hf_rest",
            text(|row| {
                (row % 4 != 2).then(|| format!("{{\"n\":{row}.0,\"x y\":null,\"x y\":1,\"\\ud800\":[{{}},{row}]}}"))
            }),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn write(batch: &RecordBatch, properties: WriterPropertiesBuilder) -> Bytes {
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true).with_properties(properties.build());
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes.into()
}

/// Several row groups and pages.
fn small() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(9))
        .set_write_batch_size(2)
        .set_data_page_row_count_limit(4)
}

fn digest(batch: &RecordBatch) -> SetDigest {
    let file = write(batch, small());
    let digest = digest_by_columns(&file, &table(), 1).unwrap();
    assert_eq!(digest, digest_by_rows(&file, &table()));
    digest
}

fn with(batch: &RecordBatch, column: usize, array: ArrayRef) -> RecordBatch {
    let mut columns = batch.columns().to_vec();
    columns[column] = array;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

#[test]
fn i9_columns_and_rows_agree_however_the_pages_are_encoded() {
    let (batch, table) = (batch(), table());
    let delta = |text: Encoding| {
        let mut properties = small().set_dictionary_enabled(false).set_encoding(text);
        for (name, encoding) in [
            ("time", Encoding::DELTA_BINARY_PACKED),
            ("n", Encoding::DELTA_BINARY_PACKED),
            ("f", Encoding::BYTE_STREAM_SPLIT),
            ("b", Encoding::RLE),
        ] {
            properties = properties.set_column_encoding(name.into(), encoding);
        }
        properties.set_column_dictionary_enabled("t".into(), true)
    };
    let ways = [
        small(),
        small().set_writer_version(WriterVersion::PARQUET_2_0),
        small().set_dictionary_enabled(false),
        // The dictionary is given up within a column chunk.
        small().set_dictionary_page_size_limit(20),
        small().set_offset_index_disabled(true).set_statistics_enabled(EnabledStatistics::None),
        small().set_compression(Compression::UNCOMPRESSED),
        delta(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        delta(Encoding::DELTA_BYTE_ARRAY).set_writer_version(WriterVersion::PARQUET_2_0),
        WriterProperties::builder(),
    ];
    let wanted = digest(&batch);
    for (way, properties) in ways.into_iter().enumerate() {
        let file = write(&batch, properties);
        assert_eq!(digest_by_rows(&file, &table), wanted, "{way}");
        for (threads, window_rows) in [(1, WINDOW_ROWS), (3, WINDOW_ROWS), (1, 1), (1, 4), (1, 9)] {
            let columns = SegmentColumns::new(footer(&file), &table).unwrap();
            assert_eq!(in_windows(columns, &file, threads, window_rows).unwrap(), wanted, "{way} {window_rows}");
        }
    }
}

#[test]
fn i9_many_rows_on_any_number_of_threads() {
    let batch = batch();
    let many = concat_batches(&batch.schema(), std::iter::repeat_n(&batch, 900)).unwrap();
    let file = write(&many, WriterProperties::builder().set_max_row_group_row_count(Some(13_000)));
    let one = digest(&batch);
    let wanted = SetDigest { rows: one.rows * 900, sum: one.sum.wrapping_mul(900) };
    for threads in [0, 1, 2, 50] {
        assert_eq!(digest_by_columns(&file, &table(), threads).unwrap(), wanted);
    }
}

/// The same column with another value in this row, which has one.
fn changed(array: &ArrayRef, row: usize) -> ArrayRef {
    let at = |other: usize| other == row;
    match array.data_type() {
        DataType::Utf8 => {
            let change = |(other, text): (usize, Option<&str>)| {
                text.map(|text| if at(other) { text.replacen('1', "2", 1) } else { text.to_owned() })
            };
            Arc::new(array.as_string::<i32>().iter().enumerate().map(change).collect::<StringArray>())
        }
        DataType::Int64 => {
            let numbers = array.as_primitive::<Int64Type>().iter().enumerate();
            Arc::new(numbers.map(|(other, n)| n.map(|n| n + i64::from(at(other)))).collect::<Int64Array>())
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().iter().enumerate();
            Arc::new(
                numbers.map(|(other, n)| n.map(|n| if at(other) { n + 1e-9 } else { n })).collect::<Float64Array>(),
            )
        }
        DataType::Boolean => {
            let words = array.as_boolean().iter().enumerate();
            Arc::new(words.map(|(other, word)| word.map(|word| word ^ at(other))).collect::<BooleanArray>())
        }
        _ => {
            let instants = array.as_primitive::<TimestampMicrosecondType>().iter().enumerate();
            let changed = instants.map(|(other, n)| n.map(|n| n + i64::from(at(other))));
            Arc::new(changed.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
    }
}

#[test]
fn i9_a_change_in_any_column_gives_another_digest() {
    let batch = batch();
    let wanted = digest(&batch);
    // Every column has a value there, and every text a 1.
    let row = 1;
    for (column, field) in batch.schema().fields().iter().enumerate() {
        let array = batch.column(column);
        let other = changed(array, row);
        assert_ne!(&other, array);
        let mask = BooleanArray::from_iter((0..ROWS).map(|other| Some(other == row)));
        let nulled = nullif(array, &mask).unwrap();
        let other_row = (0..ROWS).rev().find(|other| array.slice(*other, 1) != array.slice(row, 1)).unwrap_or(0);
        let mut places: Vec<u32> = (0..ROWS as u32).collect();
        places.swap(row, other_row);
        let swapped = take(array, &UInt32Array::from(places), None).unwrap();
        for array in [other, nulled, swapped] {
            let is_of_record = field.name() != "_hf_source";
            assert_eq!(digest(&with(&batch, column, array)) != wanted, is_of_record, "{}", field.name());
        }
    }
}

#[test]
fn i9_rows_that_miss_or_are_doubled_and_values_under_other_names_give_another_digest() {
    let batch = batch();
    let wanted = digest(&batch);
    let text = |name: &str| ArrayRef::clone(batch.column_by_name(name).unwrap());
    let exchanged = with(&with(&batch, 2, text("u")), 3, text("t"));
    let order = UInt32Array::from_iter_values((0..ROWS as u32).rev());
    let backwards: Vec<ArrayRef> = batch.columns().iter().map(|array| take(array, &order, None).unwrap()).collect();
    assert_eq!(digest(&RecordBatch::try_new(batch.schema(), backwards).unwrap()), wanted);
    for other in [
        batch.slice(1, ROWS - 1),
        batch.slice(0, ROWS - 1),
        concat_batches(&batch.schema(), [&batch, &batch.slice(0, 1)]).unwrap(),
        exchanged,
    ] {
        assert_ne!(digest(&other), wanted);
    }
    assert_eq!(digest(&batch.slice(0, 0)), SetDigest::default());
}

#[test]
fn i9_what_cannot_be_printed_exactly_is_damage() {
    let text = |value: &str| Arc::new(StringArray::from(vec![value; ROWS])) as ArrayRef;
    for (column, array) in [
        (0, Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX; ROWS]).with_timezone("UTC")) as ArrayRef),
        (1, text("no tail")),
        (4, text("1,\"x\":2")),
        (4, text("[1")),
        (4, text("")),
        (6, Arc::new(Float64Array::from(vec![f64::NAN; ROWS]))),
        (9, text("[1]")),
        (9, text("{\"a\":1")),
        (9, text("{\"a\":1},{\"b\":1}")),
        (9, text("{\"a\":01}")),
    ] {
        let file = write(&with(&batch(), column, array), small());
        assert_eq!(digest_by_columns(&file, &table(), 1).unwrap_err().kind(), Kind::Damaged, "{column}");
    }
    // No comma goes before no member.
    digest(&with(&batch(), 9, text("{ }")));
}

#[test]
fn i1_a_footer_that_counts_other_rows_is_damage() {
    let file = write(&batch(), small());
    let counted = |group: i64, all: i64| {
        let footer = footer(&file);
        let described = footer.file_metadata();
        let (schema, more) = (described.schema_descr_ptr(), group - footer.row_group(0).num_rows());
        let mut groups = footer.row_groups().to_vec();
        groups[0] = groups[0].clone().into_builder().set_num_rows(group).build().unwrap();
        let described = FileMetaData::new(1, described.num_rows().wrapping_add(more + all), None, None, schema, None);
        let columns = SegmentColumns::new(ParquetMetaData::new(described, groups), &table())?;
        in_windows(columns, &file, 1, WINDOW_ROWS)
    };
    counted(9, 0).unwrap();
    for (group, all) in [(8, 0), (10, 0), (0, 0), (-1, 0), (9, 1), (1 << 40, 0), (i64::MAX, 0)] {
        assert_eq!(counted(group, all).unwrap_err().kind(), Kind::Damaged, "{group} {all}");
    }
}

#[test]
fn i9_a_row_that_prints_otherwise_than_its_columns_is_damage() {
    let file = write(&batch(), small());
    let mut columns = SegmentColumns::new(footer(&file), &table()).unwrap();
    columns.parts.retain(|part| part.at != 7);
    let error = in_windows(columns, &file, 1, WINDOW_ROWS).unwrap_err();
    assert_eq!(error.kind(), Kind::Damaged);
}
