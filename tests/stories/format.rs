//! The archive's format as it stands on disk (docs/FORMAT.md, DESIGN §6): paths, the Delta log, Parquet, and what Holdfast
//! adds to a log's own columns. Hand-made records, so that the examples can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;

use holdfast::ledger::sha256_hex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ConvertedType, Type};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, SortingColumn};
use serde_json::{Value, json};

use crate::site::{Site, bytes_below, columns_of, lines};

const NOW: &str = "2024-07-10T00:00:00Z";
const LATER: &str = "2024-07-11T00:00:00Z";

fn policy(index: &str) -> String {
    format!("version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"730d\"\nindex = [{index}]\n")
}

/// One object of `SecurityEvent` with these records, archived.
fn archived(records: &[&str]) -> Site {
    let site = Site::new().with_policy(&policy(r#""Account", "Computer""#));
    site.write("SecurityEvent/2024/07/03/10/a.json", lines(records));
    site.run_well(NOW);
    site
}

/// The actions of a commit, by name.
fn commit(site: &Site, version: u64) -> Vec<(String, Value)> {
    let path = site.path().join(format!("archive/tables/main/SecurityEvent/_delta_log/{version:020}.json"));
    let text = fs::read_to_string(path).unwrap();
    let actions = text.lines().map(|line| serde_json::from_str::<BTreeMap<String, Value>>(line).unwrap());
    actions.flat_map(BTreeMap::into_iter).collect()
}

fn action(site: &Site, version: u64, name: &str) -> Value {
    let found: Vec<Value> =
        commit(site, version).into_iter().filter(|(found, _)| found == name).map(|(_, action)| action).collect();
    assert_eq!(found.len(), 1, "{name}");
    found[0].clone()
}

fn footer(path: &Path) -> ParquetMetaData {
    let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.parse_and_finish(&File::open(path).unwrap()).unwrap()
}

/// `(name, value)` of what each row has, row by row.
fn rows(site: &Site, table: &str) -> Vec<Vec<(String, String)>> {
    let segments = site.segments(table);
    let mut names: Vec<String> = Vec::new();
    for segment in &segments {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(segment).unwrap()).unwrap();
        for field in reader.schema().fields() {
            if !names.contains(field.name()) {
                names.push(field.name().clone());
            }
        }
    }
    let columns: Vec<Vec<Option<String>>> = names.iter().map(|name| columns_of(&segments, name)).collect();
    let row = |at: usize| {
        let present = names.iter().zip(&columns).filter_map(|(name, values)| Some((name.clone(), values[at].clone()?)));
        present.collect()
    };
    (0..columns[0].len()).map(row).collect()
}

/// A record and what its row holds, but for `TimeGenerated` and `_hf_source`.
fn expect(records: &[&str], expected: &[&[(&str, &str)]]) {
    let site = archived(records);
    for ((row, expected), record) in rows(&site, "main/SecurityEvent").iter().zip(expected).zip(records) {
        let mut shown: Vec<(&str, &str)> = row.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        shown.retain(|(name, _)| *name != "TimeGenerated" && *name != "_hf_source");
        assert_eq!(shown, *expected, "{record}");
    }
}

#[test]
fn paths_below_the_archive() {
    let site = archived(&[
        r#"{"TimeGenerated":"2024-07-03T23:59:59.9999999Z"}"#,
        r#"{"TimeGenerated":"2024-07-04T00:00:00Z"}"#,
        "broken",
    ]);
    let root = site.path().join("archive");
    let paths: Vec<String> = bytes_below(&root)
        .into_keys()
        .map(|path| path.strip_prefix(&root).unwrap().to_string_lossy().into_owned())
        .filter(|path| !path.starts_with("ledger/attachments/"))
        .collect();
    // A run's id, then the sequence at which its batch was intended, then the number of the segment in the batch.
    assert_eq!(
        paths,
        [
            "ledger/000000000000.json",
            "ledger/000000000001.json",
            "ledger/000000000002.json",
            "ledger/000000000003.json",
            "ledger/000000000004.json",
            "ledger/000000000005.json",
            "ledger/000000000006.json",
            "ledger/head.json",
            "ledger/inventory.json",
            "ledger/lease.json",
            "quarantine/main/SecurityEvent/00000000-3.data",
            "quarantine/main/SecurityEvent/00000000-3.jsonl",
            "tables/main/SecurityEvent/_delta_log/00000000000000000000.json",
            "tables/main/SecurityEvent/_hf_day=2024-07-03/_hf_part=main/00000000-3-00000.parquet",
            "tables/main/SecurityEvent/_hf_day=2024-07-04/_hf_part=main/00000000-3-00001.parquet",
            "tables/main/SecurityEvent/_index/2024-07.hfi",
            "tables/main/SecurityEvent/_index/months.json",
        ]
    );
    let kinds: Vec<Value> = site.entries().into_iter().map(|mut entry| entry["kind"].take()).collect();
    let expected = [
        "created",
        "policy_accepted",
        "run_started",
        "batch_intended",
        "batch_prepared",
        "batch_committed",
        "run_ended",
    ];
    assert_eq!(kinds, expected);
    // Each entry holds the SHA-256 of the one before; attachments are named by theirs.
    let mut previous = "0".repeat(64);
    for seq in 0..7 {
        let bytes = fs::read(root.join(format!("ledger/{seq:012}.json"))).unwrap();
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!((&entry["seq"], &entry["prev"], &entry["at"]), (&json!(seq), &json!(previous), &json!(NOW)));
        previous = sha256_hex(&bytes);
    }
    let head: Value = serde_json::from_slice(&fs::read(root.join("ledger/head.json")).unwrap()).unwrap();
    assert_eq!(head, json!({"seq": 6, "sha256": previous}));
    for (path, bytes) in bytes_below(&root.join("ledger/attachments")) {
        assert_eq!(path.file_name().unwrap().to_string_lossy(), sha256_hex(&bytes));
    }
}

#[test]
fn the_first_commit_makes_the_table() {
    let site =
        archived(&[r#"{"TimeGenerated":"2024-07-03T10:00:00Z","Account":"CONTOSO\\ann","EventID":4624,"New_d":1.5}"#]);
    assert_eq!(action(&site, 0, "protocol"), json!({"minReaderVersion": 1, "minWriterVersion": 2}));
    let metadata = action(&site, 0, "metaData");
    assert_eq!(metadata["partitionColumns"], json!(["_hf_day", "_hf_part"]));
    assert_eq!(metadata["name"], "SecurityEvent");
    let archive = site.chain().state().archive.clone().unwrap();
    assert_eq!(
        metadata["configuration"],
        json!({
            "delta.enableExpiredLogCleanup": "false",
            "delta.dataSkippingNumIndexedCols": "0",
            "holdfast.archive": archive,
            "holdfast.workspace": "main",
        })
    );
    let schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let field = |name: &str, kind: &str, metadata: Value| json!({"name": name, "type": kind, "nullable": true, "metadata": metadata});
    assert_eq!(
        schema["fields"],
        json!([
            field("TimeGenerated", "timestamp", json!({"holdfast.type": "timestamp", "holdfast.time": "true"})),
            field("_hf_tail_TimeGenerated", "string", json!({})),
            field("Account", "string", json!({"holdfast.type": "text"})),
            field("EventID", "integer", json!({"holdfast.type": "int"})),
            field("New_d", "double", json!({"holdfast.type": "double"})),
            field("_hf_source", "string", json!({})),
            field("_hf_rest", "string", json!({})),
            field("_hf_day", "date", json!({})),
            field("_hf_part", "string", json!({})),
        ])
    );
}

/// No value of a row stands in the log but the times of its segment (DESIGN §6), so that none lingers there.
#[test]
fn an_add_says_rows_and_times_and_nothing_else_of_them() {
    let site = archived(&[
        r#"{"TimeGenerated":"2024-07-03T10:00:00.1234567Z","Account":"CONTOSO\\ann"}"#,
        r#"{"TimeGenerated":"2024-07-03T09:00:00.0001Z","Account":"CONTOSO\\bob"}"#,
    ]);
    let add = action(&site, 0, "add");
    let path = "_hf_day=2024-07-03/_hf_part=main/00000000-3-00000.parquet";
    assert_eq!(add["path"], path);
    assert_eq!(add["partitionValues"], json!({"_hf_day": "2024-07-03", "_hf_part": "main"}));
    let bytes = fs::read(site.path().join("archive/tables/main/SecurityEvent").join(path)).unwrap();
    assert_eq!((&add["size"], &add["dataChange"]), (&json!(bytes.len()), &json!(true)));
    assert_eq!(add["modificationTime"], 1_720_569_600_000_u64);
    assert_eq!(add["tags"], json!({"holdfast.sha256": sha256_hex(&bytes)}));
    let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    // Delta compares milliseconds: rounded outwards.
    assert_eq!(
        stats,
        json!({
            "numRecords": 2,
            "minValues": {"TimeGenerated": "2024-07-03T09:00:00.000Z"},
            "maxValues": {"TimeGenerated": "2024-07-03T10:00:00.124Z"},
            "nullCount": {"TimeGenerated": 0},
        })
    );
    let log =
        fs::read_to_string(site.path().join("archive/tables/main/SecurityEvent/_delta_log/00000000000000000000.json"));
    assert!(!log.unwrap().contains("CONTOSO"));
}

/// Each commit carries its batch, the ledger's head as a witness, and a transaction as a fence.
#[test]
fn a_commit_witnesses_the_ledger() {
    let site = archived(&[r#"{"TimeGenerated":"2024-07-03T10:00:00Z","a":1}"#]);
    site.write("SecurityEvent/2024/07/03/11/b.json", lines(&[r#"{"TimeGenerated":"2024-07-03T11:00:00Z","b":"x"}"#]));
    site.run_well(LATER);
    let entries = site.entries();
    let archive = site.chain().state().archive.clone().unwrap();
    for version in 0..2 {
        let info = action(&site, version, "commitInfo");
        let committed =
            entries.iter().filter(|entry| entry["kind"] == "batch_committed").nth(version as usize).unwrap();
        let prepared =
            entries.iter().find(|entry| entry["kind"] == "batch_prepared" && entry["batch"] == committed["batch"]);
        let seq = prepared.unwrap()["seq"].as_u64().unwrap();
        let bytes = fs::read(site.path().join(format!("archive/ledger/{seq:012}.json"))).unwrap();
        assert_eq!(
            info["holdfast"],
            json!({"batch": committed["batch"], "ledger": {"seq": seq, "sha256": sha256_hex(&bytes)}})
        );
        let transaction = action(&site, version, "txn");
        assert_eq!(
            (&transaction["appId"], &transaction["version"]),
            (&json!(format!("holdfast/{archive}")), &json!(seq))
        );
        let file = site.path().join(format!("archive/tables/main/SecurityEvent/_delta_log/{version:020}.json"));
        assert_eq!(committed["tables"][0]["sha256"], sha256_hex(&fs::read(file).unwrap()));
        assert_eq!(committed["tables"][0]["version"], version);
    }
    // New columns come with the metadata; what is there keeps its place.
    let names: Vec<String> = {
        let metadata = action(&site, 1, "metaData");
        let schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
        schema["fields"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        names,
        ["TimeGenerated", "_hf_tail_TimeGenerated", "a", "b", "_hf_source", "_hf_rest", "_hf_day", "_hf_part"]
    );
    // A commit that needs no new column leaves the metadata alone.
    site.write("SecurityEvent/2024/07/03/12/c.json", lines(&[r#"{"TimeGenerated":"2024-07-03T12:00:00Z","b":"y"}"#]));
    site.run_well("2024-07-12T00:00:00Z");
    let actions: BTreeSet<String> = commit(&site, 2).into_iter().map(|(name, _)| name).collect();
    assert_eq!(actions, ["add", "commitInfo", "txn"].map(str::to_owned).into());
}

#[test]
fn a_segment_is_sorted_compressed_indexed_and_says_so() {
    let records: Vec<String> = (0..5000)
        .map(|n| {
            // Not in the order of time, and with ties.
            let second = (n * 7919) % 3600;
            format!(
                r#"{{"TimeGenerated":"2024-07-03T10:{:02}:{:02}.0000000Z","Account":"CONTOSO\\u{}","Computer":"host{}","EventID":4624,"Activity":"logon"}}"#,
                second / 60,
                second % 60,
                n % 97,
                n % 11
            )
        })
        .collect();
    let site = archived(&records.iter().map(String::as_str).collect::<Vec<_>>());
    let segment = &site.segments("main/SecurityEvent")[0];
    let footer = footer(segment);
    let schema = footer.file_metadata().schema_descr();
    let names: Vec<&str> = schema.columns().iter().map(|column| column.name()).collect();
    assert_eq!(
        names,
        [
            "TimeGenerated",
            "_hf_tail_TimeGenerated",
            "Account",
            "Computer",
            "EventID",
            "Activity",
            "_hf_source",
            "_hf_rest"
        ]
    );
    let time = schema.column(0);
    assert_eq!((time.physical_type(), time.converted_type()), (Type::INT64, ConvertedType::TIMESTAMP_MICROS));
    assert_eq!(footer.file_metadata().created_by(), Some("holdfast"));
    let keys: Vec<(&str, Option<&str>)> = footer
        .file_metadata()
        .key_value_metadata()
        .unwrap()
        .iter()
        .map(|pair| (pair.key.as_str(), pair.value.as_deref()))
        .collect();
    assert!(keys.contains(&("holdfast.format", Some("1"))), "{keys:?}");
    assert_eq!(footer.num_row_groups(), 1);
    let group = footer.row_group(0);
    assert_eq!(group.num_rows(), 5000);
    let sorted = SortingColumn { column_idx: 0, descending: false, nulls_first: false };
    assert_eq!(group.sorting_columns(), Some(&vec![sorted]));
    for column in group.columns() {
        let name = column.column_descr().name().to_owned();
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name}");
        assert!(column.column_index_offset().is_some() && column.offset_index_offset().is_some(), "{name}");
        let indexed = ["Account", "Computer"].contains(&name.as_str());
        assert_eq!(column.bloom_filter_offset().is_some(), indexed, "{name}");
    }
    let times = columns_of(std::slice::from_ref(segment), "TimeGenerated");
    assert!(times.is_sorted() && times[0].is_some());
}

/// The same story writes the same segments, byte for byte.
#[test]
fn the_same_records_make_the_same_segments() {
    let records: Vec<String> = (0..3000)
        .map(|n| {
            format!(r#"{{"TimeGenerated":"2024-07-03T10:{:02}:00Z","Account":"u{}","n{}":{n}}}"#, n % 60, n % 7, n % 50)
        })
        .collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let bytes = || fs::read(&archived(&records).segments("main/SecurityEvent")[0]).unwrap();
    assert!(bytes() == bytes());
}

/// `_hf_source` names the raw object of each row.
#[test]
fn hf_source_names_the_raw_object() {
    let site = Site::new();
    site.write("T/2024/07/03/10/a b.json", lines(&[r#"{"TimeGenerated":"2024-07-03T10:00:00Z","n":1}"#]));
    site.write("T/2024/07/03/10/ü.gz", lines(&[r#"{"TimeGenerated":"2024-07-03T09:00:00Z","n":2}"#]));
    site.run_well(NOW);
    let found = columns_of(&site.segments("main/T"), "_hf_source");
    assert_eq!(
        found,
        [Some("collector:T/2024/07/03/10/ü.gz".to_owned()), Some("collector:T/2024/07/03/10/a b.json".to_owned())]
    );
}

/// What has no column of its own, or does not print back from it: as it was written, in one JSON object.
#[test]
fn hf_rest_keeps_what_columns_cannot() {
    let record = |members: &str| format!(r#"{{"TimeGenerated":"2024-07-03T10:00:00.000000Z",{members}}}"#);
    let cases: &[(&str, &[(&str, &str)])] = &[
        // Values of the column's type, printed back as they were, leave nothing.
        (r#""EventID":4624,"Account":"ann","x":1.5"#, &[("EventID", "4624"), ("Account", "ann"), ("x", "1.5")]),
        // Of another type, or spelled in another way than the column would print it.
        (r#""EventID":"4624""#, &[("_hf_rest", r#"{"EventID":"4624"}"#)]),
        (r#""EventID":4624.0"#, &[("_hf_rest", r#"{"EventID":4624.0}"#)]),
        (r#""EventID":2147483648"#, &[("_hf_rest", r#"{"EventID":2147483648}"#)]),
        (r#""x":1e0"#, &[("_hf_rest", r#"{"x":1e0}"#)]),
        (r#""Account":{"name":"ann"}"#, &[("_hf_rest", r#"{"Account":{"name":"ann"}}"#)]),
        // Unpaired surrogates.
        (r#""Account":"\ud800""#, &[("_hf_rest", r#"{"Account":"\ud800"}"#)]),
        // A second spelling of a column; a reserved name; names that Delta forbids.
        (r#""account":"bob""#, &[("_hf_rest", r#"{"account":"bob"}"#)]),
        (r#""_hf_day":1,"_HF_x":2"#, &[("_hf_rest", r#"{"_hf_day":1,"_HF_x":2}"#)]),
        (r#""a b":1,"c,d":2"#, &[("_hf_rest", r#"{"a b":1,"c,d":2}"#)]),
        // A repeated key: all of its values.
        (r#""Account":"ann","Account":"bob""#, &[("_hf_rest", r#"{"Account":"ann","Account":"bob"}"#)]),
        // A null at the top level is not kept; one further down is.
        (r#""Account":null"#, &[]),
        (r#""y":{"z":null}"#, &[("y", r#"{"z":null}"#)]),
        // Nested values, and all that stands in such a column, are JSON text: strings in quotes.
        (r#""y":"text""#, &[("y", r#""text""#)]),
        (r#""y":[ 1.0, "\u0041" ]"#, &[("y", r#"[ 1.0, "\u0041" ]"#)]),
    ];
    let records: Vec<String> = cases.iter().map(|(members, _)| record(members)).collect();
    let expected: Vec<&[(&str, &str)]> = cases.iter().map(|(_, row)| *row).collect();
    expect(&records.iter().map(String::as_str).collect::<Vec<_>>(), &expected);
}

/// What microseconds cannot say of a timestamp: the digits beyond the sixth, how many there were, the zone, the form.
#[test]
fn hf_tail_keeps_what_microseconds_cannot() {
    let site = Site::new();
    let forms = [
        ("2024-07-03T10:00:00.123456Z", None),
        ("2024-07-03T10:00:00.1234567Z", Some("7Z")),
        ("2024-07-03T10:00:00.123456789Z", Some("789Z")),
        ("2024-07-03T10:00:00Z", Some("<0Z")),
        ("2024-07-03T10:00:00.12Z", Some("<2Z")),
        ("2024-07-03T12:00:00.123456+02:00", Some("+02:00")),
        ("2024-07-03 10:00:00", Some("<0?s")),
        ("7/13/2024 10:00:00 AM", Some("<0?/A")),
    ];
    let times = forms.map(|(time, _)| time);
    let records: Vec<String> = (0..)
        .zip(times)
        .map(|(n, time)| format!(r#"{{"TimeGenerated":"2024-07-03T10:00:0{n}.000000Z","StartTime":"{time}"}}"#))
        .collect();
    // StartTime is a datetime of this table in the catalogue.
    site.write("CommonSecurityLog/2024/07/03/10/a", lines(&records));
    site.run_well(NOW);
    let segments = site.segments("main/CommonSecurityLog");
    let instants: Vec<String> = columns_of(&segments, "StartTime").into_iter().flatten().collect();
    assert_eq!(instants[1..4], ["2024-07-03T10:00:00.123456Z", "2024-07-03T10:00:00.123456Z", "2024-07-03T10:00:00Z"]);
    let tails = columns_of(&segments, "_hf_tail_StartTime");
    let shown: Vec<(&str, Option<&str>)> = times.into_iter().zip(tails.iter().map(Option::as_deref)).collect();
    assert_eq!(shown, forms);
}

/// A table that has no usable time is partitioned by the day of its arrival and not sorted; its log has no times.
#[test]
fn a_table_by_arrival_has_no_time_column() {
    let policy = "version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"1y\"\nclock = \"arrival\"\n";
    let site = Site::new().with_policy(policy);
    site.write("SecurityEvent/2024/07/03/10/a", lines(&[r#"{"EventID":1}"#, r#"{"EventID":2}"#]));
    site.run_well(NOW);
    let add = action(&site, 0, "add");
    assert_eq!(add["partitionValues"], json!({"_hf_day": "2024-07-10", "_hf_part": "main"}));
    assert_eq!(serde_json::from_str::<Value>(add["stats"].as_str().unwrap()).unwrap(), json!({"numRecords": 2}));
    assert_eq!(footer(&site.segments("main/SecurityEvent")[0]).row_group(0).sorting_columns(), None);
}
