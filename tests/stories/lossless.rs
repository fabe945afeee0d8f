//! Lossless (I9), through the whole pipeline: what is restored is, token for token, what lay in the source.

use std::collections::BTreeSet;

use holdfast::archive::Table;
use holdfast::archive::schema::TableSchema;
use holdfast::names::TableName;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::site::{Packing, Site, columns_of, lines};
use crate::support::compare::same_records;
use crate::support::generate;

/// A path in the hour in which [`generate::DAY`] begins.
fn object(table: &str, name: &str) -> String {
    format!("{table}/2024/07/03/00/{name}")
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, max_shrink_iters: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Archives all as one table in as many runs as there are lists, each in three objects packed in turn, and checks after
/// each that everything comes back.
fn round_trip(site: &Site, table: &str, runs: &[Vec<Vec<u8>>]) -> Result<(), String> {
    let mut wanted: Vec<Vec<u8>> = Vec::new();
    for (number, records) in runs.iter().enumerate() {
        for (part, records) in records.chunks(records.len().div_ceil(3).max(1)).enumerate() {
            let packing = Packing::ALL[(number + part) % 3];
            site.write(&object(table, &format!("{number}-{part}")), packing.pack(&lines(records)));
        }
        let report = site.run(&format!("2024-07-1{number}T00:00:00Z"));
        let counts = report.tables.values().next().map(|table| table.counts).unwrap_or_default();
        if report.exit_code() != 0 || counts.archived != records.len() as u64 {
            return Err(format!("run {number}: {counts:?} {:?} {:?}", report.errors, site.quarantine()));
        }
        wanted.extend(records.iter().cloned());
        same_records(&wanted, &site.restore(&format!("main/{table}"))).map_err(|why| format!("run {number}: {why}"))?;
    }
    Ok(())
}

fn comes_back(site: &Site, table: &str, runs: &[Vec<Vec<u8>>]) {
    round_trip(site, table, runs).unwrap_or_else(|why| panic!("{why}"));
}

fn schema_of(site: &Site, table: &str) -> TableSchema {
    let table = Table::open(&site.archive(), &TableName::new("main", table)).unwrap();
    TableSchema::from_delta(None, &table.schema().unwrap().unwrap()).unwrap()
}

/// `(name, type word)` of the log columns.
fn typed(site: &Site, table: &str) -> Vec<(String, &'static str)> {
    schema_of(site, table).columns().iter().map(|column| (column.name.clone(), column.kind.word())).collect()
}

fn record(members: &str) -> Vec<u8> {
    format!(r#"{{"TimeGenerated":"2024-07-03T10:00:00Z",{members}}}"#).into_bytes()
}

fn generated_records_come_back(table: &str) {
    // Several runs on one table: later ones meet columns and types that earlier ones fixed.
    let runs = vec(vec(generate::record(), 1..150), 1..4);
    let outcome = runner(5).run(&runs, |runs| round_trip(&Site::new(), table, &runs).map_err(TestCaseError::fail));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn i9_generated_records_come_back() {
    generated_records_come_back("Gen_CL");
}

#[test]
fn i9_generated_records_come_back_from_a_catalogued_table() {
    generated_records_come_back("SecurityEvent");
}

#[test]
fn i9_generated_records_without_a_time_come_back() {
    let site_of = || {
        Site::new()
            .with_policy("version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"1y\"\nclock = \"arrival\"\n")
    };
    let runs = vec(vec(generate::record_without_time(), 1..100), 1..3);
    let outcome = runner(4).run(&runs, |runs| round_trip(&site_of(), "Bare_CL", &runs).map_err(TestCaseError::fail));
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn i9_values_of_4_mb_come_back() {
    let mut site = Site::new();
    site.memory = 256 << 20;
    let small = record(r#""Big":"small","After":2"#);
    comes_back(&site, "Big_CL", &[vec![generate::with_big_value(4 << 20), small, generate::with_big_value(4_000_001)]]);
}

#[test]
fn i9_2000_columns_come_back() {
    let site = Site::new();
    comes_back(&site, "Wide_CL", &[(0..20).map(|row| generate::wide(2000, row)).collect()]);
    assert_eq!(schema_of(&site, "Wide_CL").columns().len(), 2001);
}

/// More names than a table has columns: the others come back from `_hf_rest`.
#[test]
fn i9_more_names_than_columns_come_back() {
    let site = Site::new();
    let sparse = |from: usize| {
        let members: Vec<String> = (from..from + 400).map(|name| format!(r#""N{name}":{name}"#)).collect();
        record(&members.join(","))
    };
    comes_back(
        &site,
        "Sparse_CL",
        &[(0..6).map(|row| sparse(row * 400)).collect(), (6..11).map(|row| sparse(row * 400)).collect()],
    );
    assert_eq!(schema_of(&site, "Sparse_CL").columns().len(), holdfast::archive::schema::MAX_COLUMNS);
}

/// Every form of timestamp met in real logs, in a column that the catalogue knows as a datetime, with fractions of no
/// to fifteen digits: all come back, and those that were understood stand in the typed column.
#[test]
fn i9_every_form_of_timestamp_comes_back_from_a_datetime_column() {
    let site = Site::new();
    let mut times: Vec<String> = generate::TIMES.iter().map(|&time| time.to_owned()).collect();
    for digits in 0..=16 {
        for zone in ["Z", "", "z", "+00:00", "-0130", "+02", " +05:30"] {
            let fraction = if digits == 0 { String::new() } else { format!(".{:.digits$}", "1203456789012345678") };
            times.push(format!("2024-07-03T18:00:00{fraction}{zone}"));
        }
    }
    let records: Vec<Vec<u8>> = times.iter().map(|time| record(&format!(r#""CreatedDateTime":"{time}""#))).collect();
    comes_back(&site, "SigninLogs", &[records]);
    assert!(typed(&site, "SigninLogs").contains(&("CreatedDateTime".into(), "timestamp")));
    let column = columns_of(&site.segments("main/SigninLogs"), "CreatedDateTime");
    assert_eq!(column.len(), times.len());
    // Rows stand in the order of their time, then of their arrival; all have the same time.
    let in_rest: BTreeSet<&str> =
        times.iter().zip(&column).filter(|(_, value)| value.is_none()).map(|(time, _)| time.as_str()).collect();
    for time in &in_rest {
        let is_no_instant = [
            "2016-12-31T23:59:60Z",
            "2024-07-03T24:00:00Z",
            "2024-07-03",
            "2024-02-30T00:00:00Z",
            "0000-00-00T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "1/9/2007 0:41:00 AM",
            "25/12/2020 10:00:00",
            "1720029600",
            "now",
        ]
        .contains(time);
        let digits = time.split_once('.').map_or(0, |(_, rest)| rest.chars().take_while(char::is_ascii_digit).count());
        assert!(is_no_instant || digits > 15, "{time}");
    }
    assert_eq!(in_rest.len(), 10 + 1 + 7);
}

#[test]
fn the_forms_of_timestamp_met_in_real_logs_are_all_tried() {
    let Some(text) = crate::site::shared("data/time_formats.txt").and_then(|path| std::fs::read_to_string(path).ok())
    else {
        return;
    };
    let met: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert!(met.len() >= 17);
    let tried: BTreeSet<&str> = generate::TIMES.iter().copied().collect();
    assert!(met.iter().all(|time| tried.contains(time)), "{met:?}");
}

/// The first batch fixes a column's type; what later batches write into it comes back all the same.
#[test]
fn i9_a_type_once_fixed_loses_nothing() {
    let site = Site::new();
    let of = |values: &[&str]| values.iter().map(|value| record(&format!(r#""x":{value}"#))).collect::<Vec<_>>();
    let all =
        ["1", "1.0", "1e0", "true", "null", r#""1""#, "{}", "[1,{}]", "12345678901234567890", "-0", r#""\ud800""#];
    let mut firsts = Vec::new();
    for (table, first) in [
        ("I", "7"),
        ("F", "1.5"),
        ("B", "false"),
        ("T", r#""a""#),
        ("J", r#"{"a": 1.0}"#),
        ("L", "-9223372036854775808"),
    ] {
        comes_back(&site, table, &[of(&[first]), of(&all), of(&[first, "2"])]);
        firsts.push(typed(&site, table).remove(1));
        // Three runs of one table each: the next table begins a site of its own.
        site.forget_raw();
    }
    let kinds: Vec<&str> = firsts.iter().map(|(_, kind)| *kind).collect();
    assert_eq!(kinds, ["long", "double", "bool", "text", "json", "long"]);
}

/// Types are decided over the whole first batch, over all of its objects.
#[test]
fn i9_the_first_batch_decides_types_over_all_of_its_objects() {
    let site = Site::new();
    for (name, value) in [("a", "1"), ("b", "2.5"), ("c", "3")] {
        site.write(&object("T", name), lines(&[record(&format!(r#""mixed":{value},"text":{value}"#))]));
    }
    site.write(&object("T", "d"), lines(&[record(r#""text":"words""#)]));
    site.run_well("2024-07-10T00:00:00Z");
    let kinds = typed(&site, "T");
    assert_eq!(kinds[1..], [("mixed".to_owned(), "double"), ("text".to_owned(), "text")]);
}

#[test]
fn i9_names_that_collide_come_back() {
    let site = Site::new();
    let names = generate::NAMES.iter().filter(|name| **name != "timegenerated");
    let all = names.enumerate().map(|(at, name)| format!("{}:{at}", serde_json::to_string(name).unwrap()));
    let all: Vec<String> = all.collect();
    let one_each: Vec<Vec<u8>> = all.iter().map(|member| record(member)).collect();
    comes_back(
        &site,
        "Names_CL",
        &[one_each.clone(), vec![record(&all.join(","))], one_each.into_iter().rev().collect()],
    );
    let columns = typed(&site, "Names_CL");
    for (name, _) in &columns {
        assert!(
            !name.starts_with("_hf_") && !name.contains([' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '=']),
            "{name}"
        );
    }
    let folded: BTreeSet<String> = columns.iter().map(|(name, _)| name.to_lowercase()).collect();
    assert_eq!(folded.len(), columns.len());
    assert!(columns.iter().any(|(name, _)| name == "Account") && !columns.iter().any(|(name, _)| name == "ACCOUNT"));
}

#[test]
fn i9_later_runs_add_columns() {
    let site = Site::new();
    comes_back(
        &site,
        "Grow_CL",
        &[
            vec![record(r#""a":1"#)],
            vec![record(r#""a":2,"b":"new""#), record(r#""c":{"d":[]}"#)],
            vec![record(r#""d":true,"a":3"#), generate::wide(500, 1)],
        ],
    );
    let names: Vec<String> = typed(&site, "Grow_CL").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names[..6], ["TimeGenerated", "a", "b", "c", "d", "Column0"]);
}

#[test]
fn i9_a_repeated_key_comes_back_with_all_its_values() {
    let site = Site::new();
    comes_back(
        &site,
        "Twice_CL",
        &[vec![record(r#""k":1,"k":1,"k":"2""#), record(r#""k":3"#), record(r#""k":4,"\u006b":null"#)]],
    );
}
