//! Tests of the whole columnar half: records in, a segment, records out (I9), and what the file declares.

use std::path::Path;

use bytes::Bytes;
use jiff::civil::Date;
use parquet::basic::Compression;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use proptest::prelude::*;

use super::catalogue::{ColumnType, find};
use super::column_digest::tests::digest_by_columns;
use super::keys::Surveyor;
use super::print::{RowPrinter, read_segment};
use super::rows::{RowBuffer, RowMeta, groups};
use super::schema::TableSchema;
use super::segment::{SegmentOptions, SegmentSummary, write_segment};
use crate::record::digest::{SetDigest, record_digest};
use crate::record::reread::digest_of_printed;
use crate::record::support::compare::same_records;
use crate::record::support::generate;
use crate::record::{time, token};

/// A segment as written, and what it was to hold.
struct Written {
    day: Date,
    bytes: Bytes,
    summary: SegmentSummary,
}

/// Records go to the lanes in turn, a few at a time.
fn push(buffer: &mut RowBuffer, at: usize, record: &[u8], time_column: Option<&str>) {
    let mut members = Vec::new();
    token::members(record, &mut members).unwrap_or_else(|error| panic!("{error}: {record:?}"));
    let time = members.iter().find(|member| Some(member.key.of(record)) == time_column.map(str::as_bytes));
    let moment = time
        .and_then(|member| member.string_body(record))
        .and_then(|body| time::parse(std::str::from_utf8(body).unwrap()));
    let micros = moment.map_or(0, |moment| moment.micros);
    let day = Date::new(1970, 1, 1).unwrap() + jiff::Span::new().days(time::day(micros));
    let meta = RowMeta { day, part: buffer.part("main").unwrap(), micros, source: buffer.source("raw/one.json") };
    let chunk = at / 3;
    let lane = chunk % buffer.lanes.len();
    buffer.lanes[lane].begin_chunk(chunk as u32);
    let digest = buffer.lanes[lane].push(record, meta).unwrap();
    assert_eq!(digest.sum, record_digest(record, &members));
}

fn write(buffer: &RowBuffer, schema: &mut TableSchema, options: &SegmentOptions) -> Vec<Written> {
    let write = |group: super::rows::Group| {
        let mut bytes = Vec::new();
        let summary = write_segment(buffer, &group.rows, schema, options, &mut bytes).unwrap();
        assert_eq!(summary.size_bytes, bytes.len() as u64);
        Written { day: group.day, bytes: bytes.into(), summary }
    };
    groups(buffer).into_iter().map(write).collect()
}

fn restore(written: &Written, schema: &TableSchema) -> Vec<Vec<u8>> {
    let reader = read_segment(written.bytes.clone(), 64 << 10).unwrap();
    assert_eq!(reader.rows(), written.summary.rows);
    let printer = RowPrinter::new(reader.schema(), schema).unwrap();
    let mut records = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let mut record = Vec::new();
            printer.print(&batch, row, &mut record).unwrap();
            records.push(record);
        }
    }
    records
}

/// Archives the records as one batch and checks that they all come back; gives the schema and the segments.
fn round_trip(mut schema: TableSchema, records: &[Vec<u8>], options: &SegmentOptions) -> (TableSchema, Vec<Written>) {
    let mut buffer = RowBuffer::new(&schema, options.threads);
    let time_column = schema.time_column().map(str::to_string);
    records.iter().enumerate().for_each(|(at, record)| push(&mut buffer, at, record, time_column.as_deref()));
    schema.decide(&buffer.survey());
    let written = write(&buffer, &mut schema, options);
    check(records, &written, &schema);
    (schema, written)
}

fn check(records: &[Vec<u8>], written: &[Written], schema: &TableSchema) {
    let mut wanted = SetDigest::default();
    let mut summed = SetDigest::default();
    let mut restored = Vec::new();
    for record in records {
        let mut members = Vec::new();
        token::members(record, &mut members).unwrap();
        wanted.add(record_digest(record, &members));
    }
    for segment in written {
        summed.merge(&segment.summary.digest);
        let printed = restore(segment, schema);
        let mut read_back = SetDigest::default();
        printed.iter().for_each(|record| read_back.add(digest_of_printed(record).unwrap()));
        assert_eq!(read_back, segment.summary.digest);
        assert_eq!(digest_by_columns(&segment.bytes, schema, 2).unwrap(), read_back);
        restored.extend(printed);
    }
    assert_eq!(summed, wanted);
    same_records(records, &restored).unwrap();
}

fn lines(records: &[&str]) -> Vec<Vec<u8>> {
    records.iter().map(|record| record.as_bytes().to_vec()).collect()
}

fn events() -> TableSchema {
    TableSchema::new(find("SecurityEvent"), Some("TimeGenerated")).unwrap()
}

fn plain() -> TableSchema {
    TableSchema::new(None, Some("TimeGenerated")).unwrap()
}

fn footer(written: &Written) -> ParquetMetaData {
    ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&written.bytes)
        .unwrap()
}

const KEYS: &[&str] = &[
    "TimeGenerated",
    "EventID",
    "Account",
    "account",
    "a",
    "A",
    "\\u0061",
    "dup",
    "d,u",
    "x y",
    "",
    "_hf_rest",
    "_HF_day",
    "_hf_tail_a",
    "n\\tt",
    "\\ud800",
    "日本",
    "é",
    "É",
    "a.b",
    "a=b",
    "q\\\"q",
    "{}",
    "_x",
    "Properties",
];

fn token() -> impl Strategy<Value = String> {
    let literals = prop::sample::select(vec![
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "1.0",
        "1e0",
        "1E+2",
        "-7",
        "1.5",
        "0.1",
        "1e400",
        "1e-7",
        "5e-324",
        "9007199254740993",
        "12345678901234567890",
        "-9223372036854775808",
        "2147483648",
        "123456789012345678901234567890",
        "\"\"",
        "\"text\"",
        "\"\\u0041\\/\\n\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\\udc00 \\ud800\"",
        "\"null\"",
        "\"2024-07-03T18:00:00.1234567Z\"",
        "\"2024-07-03T18:00:00.000000Z\"",
        "\"01/09/2007 09:41:00 AM\"",
        "\"2024-07-03 18:00:00+02:00\"",
        "\"2016-12-31T23:59:60Z\"",
        "{}",
        "[]",
        "[ 1 , null ]",
        "{\"a\":null,\"a\":[\"\\ud800\"]}",
        "{ \"b\" : { } }",
        "\"日本 \\u0000\"",
        "\"\u{7f}\u{2028}\"",
    ])
    .prop_map(str::to_string);
    prop_oneof![
        6 => literals,
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(|n| format!("{n:e}")),
        1 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ]
}

/// Records of any kind, and such whose few names often collide.
fn record() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![colliding(), generate::record(), generate::record_without_time()]
}

fn colliding() -> impl Strategy<Value = Vec<u8>> {
    let member = (prop::sample::select(KEYS), token(), prop::sample::select(vec!["", " ", "\t", "\r\n"]));
    (0..i64::from(u32::MAX), prop::collection::vec(member, 0..12)).prop_map(|(seconds, members)| {
        let mut time = Vec::new();
        assert!(time::print(seconds * 1_000_000 + 250, Some("7Z"), &mut time));
        let mut record = format!("{{\"TimeGenerated\":\"{}\"", String::from_utf8(time).unwrap());
        for (key, token, space) in members {
            record.push_str(&format!(",{space}\"{key}\"{space}:{space}{token}{space}"));
        }
        record.push('}');
        record.into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn i9_records_come_back(records in prop::collection::vec(record(), 1..20), catalogued: bool, rows in 1..5_usize) {
        let options = SegmentOptions { row_group_rows: rows, ..SegmentOptions::default() };
        round_trip(if catalogued { events() } else { plain() }, &records, &options);
    }

    #[test]
    fn i9_later_batches_come_back_under_types_that_stay(
        first in prop::collection::vec(record(), 1..8),
        second in prop::collection::vec(record(), 1..8),
    ) {
        let (schema, _) = round_trip(plain(), &first, &SegmentOptions::default());
        let before = schema.columns().to_vec();
        let (after, _) = round_trip(schema, &second, &SegmentOptions::default());
        prop_assert_eq!(&after.columns()[..before.len()], &before[..]);
    }

    #[test]
    fn i9_types_are_decided_over_a_batch_that_memory_does_not_hold(
        records in prop::collection::vec(record(), 2..12),
        held in 1..4_usize,
    ) {
        let mut schema = plain();
        let mut buffer = RowBuffer::new(&schema, 2);
        let (head, tail) = records.split_at(held.min(records.len()));
        head.iter().enumerate().for_each(|(at, record)| push(&mut buffer, at, record, Some("TimeGenerated")));
        let mut surveyor = Surveyor::new(&schema);
        records.iter().for_each(|record| surveyor.observe(record).unwrap());
        schema.decide(surveyor.survey());
        let decided = schema.columns().to_vec();
        let mut written = write(&buffer, &mut schema, &SegmentOptions::default());
        buffer.clear();
        tail.iter().enumerate().for_each(|(at, record)| push(&mut buffer, head.len() + at, record, Some("TimeGenerated")));
        prop_assert_eq!(schema.decide(&buffer.survey()), 0);
        written.extend(write(&buffer, &mut schema, &SegmentOptions::default()));
        check(&records, &written, &schema);
        let (whole, _) = round_trip(plain(), &records, &SegmentOptions::default());
        prop_assert_eq!(whole.columns(), &decided[..]);
    }
}

#[test]
fn values_stand_in_typed_columns_where_they_print_back() {
    let records = lines(&[
        r#"{"TimeGenerated":"2024-07-03T18:00:00.1234567Z","EventID":4624,"n":1,"f":1,"j":{"a":1},"t":"x","b":true,"odd":-0}"#,
        r#"{"TimeGenerated":"2024-07-03T18:00:01.000000Z","EventID":"4625","n":1.0,"f":1.5,"j":"x","t":7,"b":false}"#,
    ]);
    let (schema, written) = round_trip(events(), &records, &SegmentOptions::default());
    let columns =
        ["TimeGenerated", "_hf_tail_TimeGenerated", "EventID", "n", "f", "j", "t", "b", "_hf_source", "_hf_rest"];
    assert_eq!(written[0].summary.columns, columns);
    let kind = |name: &str| schema.columns()[schema.column(name).unwrap()].kind;
    assert_eq!(
        ["EventID", "n", "f", "j", "t", "b", "odd"].map(kind),
        [
            ColumnType::Int,
            ColumnType::Double,
            ColumnType::Double,
            ColumnType::Json,
            ColumnType::Text,
            ColumnType::Bool,
            ColumnType::Long
        ]
    );
    assert_eq!(
        restore(&written[0], &schema)[1],
        br#"{"TimeGenerated":"2024-07-03T18:00:01.000000Z","f":1.5,"j":"x","b":false,"EventID":"4625","n":1.0,"t":7}"#
    );
    assert!(schema.has_tail(0));
}

#[test]
fn repeated_keys_other_spellings_and_names_that_cannot_be_columns_come_back_from_the_rest() {
    let records = lines(&[
        r#"{"dup":1,"a":null,"A":2,"dup":1,"\u0064up":null,"x y":{"k":[]},"_hf_rest":"{}","_HF_DAY":0,"":0,"t":"\ud800"}"#,
        r#"{"dup":2,"a":1,"A":1,"a b":null}"#,
        "{}",
        r#"{"nothing":null}"#,
    ]);
    let (schema, written) = round_trip(plain(), &records, &SegmentOptions::default());
    let names: Vec<&str> = schema.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["TimeGenerated", "dup", "A", "t"]);
    let restored: Vec<String> =
        restore(&written[0], &schema).into_iter().map(|record| String::from_utf8(record).unwrap()).collect();
    assert_eq!(
        restored,
        [
            r#"{"A":2,"dup":1,"dup":1,"x y":{"k":[]},"_hf_rest":"{}","_HF_DAY":0,"":0,"t":"\ud800"}"#,
            r#"{"dup":2,"A":1,"a":1}"#,
            "{}",
            "{}"
        ]
    );
}

#[test]
fn i10_the_file_declares_what_it_is() {
    let records: Vec<Vec<u8>> = (0..1000)
        .map(|n| {
            // Not in the order of time.
            let second = (n * 7) % 60;
            format!(r#"{{"TimeGenerated":"2024-07-03T18:00:{second:02}Z","Account":"user{}","EventID":1}}"#, n % 50)
        })
        .map(String::into_bytes)
        .collect();
    let index = vec!["account".to_string(), "NoSuchColumn".to_string()];
    let options = SegmentOptions { index, row_group_rows: 300, threads: 3, ..SegmentOptions::default() };
    let (_, written) = round_trip(events(), &records, &options);
    let footer = footer(&written[0]);
    assert_eq!(footer.file_metadata().created_by(), Some("holdfast"));
    assert_eq!(footer.num_row_groups(), 4);
    assert!(footer.column_index().is_some() && footer.offset_index().is_some());
    for group in footer.row_groups() {
        let sorting = group.sorting_columns().unwrap();
        assert_eq!(group.column(sorting[0].column_idx as usize).column_path().string(), "TimeGenerated");
        assert!(!sorting[0].descending);
        for column in group.columns() {
            assert!(matches!(column.compression(), Compression::ZSTD(_)), "{}", column.column_path());
            assert_eq!(column.bloom_filter_offset().is_some(), column.column_path().string() == "Account");
            assert!(column.statistics().is_some());
        }
    }
    let summary = &written[0].summary;
    assert!(summary.sorted);
    let start = 1_720_029_600_000_000;
    assert_eq!(summary.time_range, Some((start, start + 59_000_000)));
    assert_eq!((summary.rows, summary.time_nulls), (1000, 0));
}

#[test]
fn a_file_that_is_not_sorted_by_its_time_column_does_not_say_so() {
    // Arrival counts here, and the rows' own times go back and forth.
    let mut schema = plain();
    let mut buffer = RowBuffer::new(&schema, 1);
    for time in ["2024-07-03T18:00:01Z", "2024-07-03T18:00:00Z"] {
        push(&mut buffer, 0, format!(r#"{{"TimeGenerated":"{time}"}}"#).as_bytes(), None);
    }
    let written = write(&buffer, &mut schema, &SegmentOptions::default());
    assert!(!written[0].summary.sorted);
    assert!(footer(&written[0]).row_group(0).sorting_columns().is_none());
}

#[test]
fn equal_rows_give_equal_bytes_on_any_number_of_threads() {
    let records: Vec<Vec<u8>> = (0..5000)
        .map(|n| {
            format!(r#"{{"TimeGenerated":"2024-07-03T18:00:00.{n:07}Z","a":{n},"b":"x{n}","c":[{n}]}}"#).into_bytes()
        })
        .collect();
    let write = |threads| {
        let options = SegmentOptions { threads, row_group_rows: 1500, ..SegmentOptions::default() };
        round_trip(plain(), &records, &options).1.remove(0).bytes
    };
    assert!(write(1) == write(4));
}

#[test]
fn i11_two_thousand_columns_and_large_values() {
    let nested =
        format!("{{\"TimeGenerated\":\"2024-07-03T18:00:00Z\",\"nest\":[{}1]}}", "{\"a\":[]},".repeat(400_000));
    let large = generate::with_big_value(4 << 20);
    let mut records: Vec<Vec<u8>> = (0..20).map(|row| generate::wide(2000, row)).collect();
    records.extend([large.clone(), nested.into_bytes(), large]);
    let options = SegmentOptions { row_group_bytes: 1 << 20, threads: 2, ..SegmentOptions::default() };
    let (schema, written) = round_trip(plain(), &records, &options);
    assert!(schema.columns().len() >= 2000, "{}", schema.columns().len());
    let groups: usize = written.iter().map(|segment| footer(segment).num_row_groups()).sum();
    assert!(groups >= 4, "each large record has a row group to itself: {groups}");
}

#[test]
fn i11_thousands_of_days_in_one_buffer() {
    let records: Vec<Vec<u8>> = (0..6000_i64)
        .map(|n| {
            let mut time = Vec::new();
            assert!(time::print((n * 37 % 3000) * 86_400_000_000 + n, None, &mut time));
            format!(r#"{{"TimeGenerated":"{}","only{}":{n}}}"#, String::from_utf8(time).unwrap(), n % 100).into_bytes()
        })
        .collect();
    let (schema, written) = round_trip(plain(), &records, &SegmentOptions::default());
    assert_eq!(written.len(), 3000);
    assert!(written.is_sorted_by_key(|segment| segment.day));
    // A column without a value is not in the file.
    assert!(written.iter().all(|segment| segment.summary.columns.len() <= 5));
    assert_eq!(schema.columns().len(), 101);
    assert!(!schema.has_tail(0));
}

#[test]
fn a_table_without_a_time_column_keeps_arrival_order() {
    let records = lines(&[r#"{"a":"second"}"#, r#"{"a":"first"}"#]);
    let (schema, written) = round_trip(TableSchema::new(None, None).unwrap(), &records, &SegmentOptions::default());
    assert_eq!(restore(&written[0], &schema), records);
    assert_eq!((written[0].summary.time_range, written[0].summary.sorted), (None, false));
}

#[test]
fn i9_real_records_come_back() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/real/panther");
    let Ok(files) = std::fs::read_dir(folder) else { return };
    let mut count = 0;
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "ndjson")) {
        let text = std::fs::read(&file).unwrap();
        let records: Vec<Vec<u8>> =
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
        count += records.len();
        let schema = TableSchema::new(find(file.file_stem().unwrap().to_str().unwrap()), Some("time")).unwrap();
        round_trip(schema, &records, &SegmentOptions { row_group_rows: 50, ..SegmentOptions::default() });
    }
    assert!(count > 100, "{count}");
}
