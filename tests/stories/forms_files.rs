//! Forms of files: Parquet, Avro, Windows event logs, as other programs wrote them, from a source to the archive and back.

use std::io::Read;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use flate2::read::GzDecoder;
use holdfast::ledger::Counts;
use holdfast::pipeline::RunReport;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::site::{Packing, Site};
use crate::support::compare::same_records;

const CAPTURE: &[u8] = include_bytes!("../../src/source/form/samples/capture.deflate.avro");
const AVRO: &[u8] = include_bytes!("../../src/source/form/samples/generic.zstandard.avro");
const PARQUET: &[u8] = include_bytes!("../../src/source/form/samples/types.snappy.parquet");
const SECURITY: &[u8] = include_bytes!("../../src/source/form/samples/security.evtx.gz");
const HEADER_BYTES: usize = 4096;

const PATH: &str = "File_CL/2024/03/01/00/a";
const OTHER: &str = "File_CL/2024/03/01/00/b";
const NOW: &str = "2024-07-10T00:00:00Z";
const LATER: &str = "2024-07-11T00:00:00Z";
/// The samples are of several years.
const POLICY: &str = "version = 1\n[defaults]\nretain = \"forever\"\narchive_after = \"0d\"\nkeep_raw = \"0d\"\n\
                      late_window = \"100y\"\n";

fn counts(report: &RunReport) -> Counts {
    let mut all = Counts::default();
    report.tables.values().for_each(|table| all.add(&table.counts));
    all
}

fn archived(number: u64) -> Counts {
    Counts { decoded: number, archived: number, ..Counts::default() }
}

fn site() -> Site {
    Site::new().clearing().with_policy(POLICY)
}

/// So little memory that no more than a quarter of a megabyte is held.
fn streaming() -> Site {
    let mut site = site();
    site.memory = 4 << 20;
    site
}

fn evtx() -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(SECURITY).read_to_end(&mut bytes).unwrap();
    bytes
}

fn row(n: i64) -> Value {
    json!({"TimeGenerated": format!("2024-03-01T00:{:02}:{:02}Z", n / 60 % 60, n % 60), "n": n, "text": noise(n)})
}

/// Text that hardly packs.
fn noise(n: i64) -> String {
    (1..=4u64)
        .map(|k| format!("{:016x}", (n as u64 * 4 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(13)))
        .collect()
}

/// A Parquet file of many pages.
fn parquet(numbers: std::ops::Range<i64>) -> Vec<u8> {
    let rows: Vec<Value> = numbers.clone().map(row).collect();
    let texts = |name: &str| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[name].as_str().map(str::to_owned)).collect::<StringArray>())
    };
    let batch = RecordBatch::try_from_iter([
        ("TimeGenerated", texts("TimeGenerated")),
        ("n", Arc::new(Int64Array::from_iter_values(numbers)) as ArrayRef),
        ("text", texts("text")),
    ])
    .unwrap();
    let properties = WriterProperties::builder()
        .set_data_page_size_limit(32 << 10)
        .set_write_batch_size(256)
        .set_dictionary_enabled(false)
        .build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

fn rows(numbers: impl IntoIterator<Item = i64>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(|n| row(n).to_string().into_bytes()).collect()
}

#[test]
fn i9_files_are_archived_found_and_cleared() {
    // Of the samples one Parquet row has no time, and of Capture's events most are no records of a table.
    for (name, bytes, expected) in [
        ("parquet", PARQUET.to_vec(), None),
        ("avro", AVRO.to_vec(), None),
        ("evtx", evtx(), Some(7)),
        ("made parquet", parquet(0..100), Some(100)),
    ] {
        for packing in Packing::ALL {
            let site = site();
            site.write(PATH, packing.pack(&bytes));
            let found = counts(&site.run_well(NOW));
            assert!(found.balances() && found.archived > 0, "{name}: {found:?}");
            if let Some(expected) = expected {
                assert_eq!(found, archived(expected), "{name}");
            }
            assert!(site.raw().is_empty(), "{name}: cleared");
            assert_eq!(site.restore("main/File_CL").len() as u64, found.archived);
            site.write("File_CL/2024/03/01/00/c", [&rows([7])[0][..], b"\n"].concat());
            let other = if name == "made parquet" { parquet(100..130) } else { bytes.clone() };
            site.write(OTHER, packing.pack(&other));
            let query = "SELECT count(*) AS c FROM File_CL";
            let (code, said_found, said) = site.holdfast(&["search", query, "--include-raw", "--format", "csv"]);
            // The same content once more is a copy, as it is for a run.
            let more = if name == "made parquet" { 30 } else { 0 };
            assert_eq!((code, said_found), (0, format!("c\n{}\n", found.archived + 1 + more)), "{name}: {said}");
        }
    }
}

#[test]
fn i9_parquet_comes_back_as_its_rows() {
    let site = site();
    site.write(PATH, parquet(0..100));
    site.run_well(NOW);
    same_records(&rows(0..100), &site.restore("main/File_CL")).unwrap();
}

#[test]
fn events_of_windows_are_searched_by_their_members() {
    let site = site();
    site.write(PATH, evtx());
    site.run_well(NOW);
    let query = "SELECT count(*) AS c FROM File_CL WHERE Event->'System'->>'Channel' = 'Security'";
    let (code, found, said) = site.holdfast(&["search", query, "--format", "csv"]);
    assert_eq!((code, found.as_str()), (0, "c\n7\n"), "{said}");
}

#[test]
fn captured_events_are_the_records_that_were_sent() {
    let policy = format!("{POLICY}clock = \"arrival\"\n");
    let site = site().with_policy(&policy);
    site.write(PATH, CAPTURE);
    let report = site.run(NOW);
    // One body is no text.
    assert_eq!(counts(&report), Counts { decoded: 9, archived: 8, quarantined: 1, ..Counts::default() });
    let restored = site.restore("main/File_CL");
    let first = br#"{"time":"2024-03-01T00:00:00.0000001Z","category":"Audit"}"#.to_vec();
    assert!(restored.iter().any(|one| same_records(std::slice::from_ref(&first), std::slice::from_ref(one)).is_ok()));
}

/// Larger than what is held: read at its places, in bounded memory.
#[test]
fn i11_large_files_are_read_in_pieces() {
    let site = streaming();
    let file = parquet(0..20_000);
    assert!(file.len() > 1 << 20, "{}", file.len());
    site.write(PATH, &file);
    site.run_well(NOW);
    same_records(&rows(0..20_000), &site.restore("main/File_CL")).unwrap();
    site.write(OTHER, parquet(20_000..40_000));
    let query = "SELECT count(*) AS c FROM File_CL";
    let (_, found, said) = site.holdfast(&["search", query, "--include-raw", "--format", "csv"]);
    assert_eq!(found, "c\n40000\n", "{said}");

    let site = streaming();
    let one = evtx();
    let more = [&one[..], &one[HEADER_BYTES..].repeat(5)].concat();
    assert!(more.len() > 256 << 10);
    site.write(PATH, &more);
    assert_eq!(counts(&site.run_well(NOW)), archived(42));
}

#[test]
fn i1_what_cannot_be_held_or_read_is_kept_whole() {
    let site = streaming();
    let file = parquet(0..20_000);
    let packed = Packing::Gzip.pack(&file);
    let evtx = evtx();
    let cut = &evtx[..evtx.len() - 1];
    let broken = &file[..file.len() - 1];
    site.write(PATH, &packed);
    site.write(OTHER, cut);
    site.write("File_CL/2024/03/01/00/c", broken);
    site.write("File_CL/2024/03/01/00/d", &AVRO[..AVRO.len() - 1]);
    let report = site.run(NOW);
    assert_eq!(counts(&report), Counts { decoded: 4, quarantined: 4, ..Counts::default() });
    let kept = site.quarantine();
    for (bytes, why) in [
        (&packed[..], "and packed; unpacked it could be read in pieces"),
        (cut, "its event log cannot be read: it is cut off"),
        (broken, "its Parquet cannot be read"),
        (&AVRO[..AVRO.len() - 1], "its Avro"),
    ] {
        let (item, _) = kept.iter().find(|(_, held)| held == bytes).unwrap_or_else(|| panic!("{why}"));
        assert!(item.whole_object && item.reason.contains(why), "{}", item.reason);
    }
    // With more memory the packed file is read.
    let mut site = site;
    site.memory = 256 << 20;
    let (_, _, said) = site.holdfast(&["quarantine", "retry"]);
    assert_eq!(site.restore("main/File_CL").len(), 20_000, "{said}");
}

/// What is new in such a file cannot be told: it is refused, with what it holds left where it is.
#[test]
fn i2_files_that_grew_are_refused_not_read_twice() {
    let windows = evtx();
    let mut written_into = windows.clone();
    written_into[HEADER_BYTES - 1] ^= 1;
    let grown_log = [&written_into[..], &windows[HEADER_BYTES..]].concat();
    for (name, before, after) in [
        ("parquet", PARQUET.to_vec(), [PARQUET, PARQUET].concat()),
        ("avro", AVRO.to_vec(), [AVRO, &AVRO[AVRO.len() - 16..]].concat()),
        ("evtx", windows.clone(), [&windows[..], &windows[HEADER_BYTES..]].concat()),
        ("evtx", windows.clone(), grown_log),
    ] {
        for site in [site(), streaming()] {
            let site = site.with_policy(&POLICY.replace("keep_raw = \"0d\"", "keep_raw = \"30d\""));
            site.write(PATH, &before);
            let found = counts(&site.run_well(NOW));
            assert!(found.archived > 0, "{name}: {found:?}");
            site.write(PATH, &after);
            let report = site.run(LATER);
            assert_eq!((counts(&report), report.exit_code()), (Counts::default(), 3), "{name}");
            let said = report.errors[0].to_string();
            assert!(said.contains(&format!("`{name}` that was archived and has changed since")), "{said}");
            assert_eq!(site.raw(), [PATH], "{name}: it stays");
            assert_eq!(site.restore("main/File_CL").len() as u64, found.archived, "{name}");
        }
    }
}

#[test]
fn security_lake_and_azures_export_job_lie_in_folders_of_their_own() {
    let site = site().with_layout("security-lake");
    let folder = "aws/CLOUD_TRAIL_MGMT/2.0/region=eu-central-1/accountId=123456789012/eventDay=20240301";
    site.write(&format!("{folder}/a.gz.parquet"), parquet(0..10));
    site.run_well(NOW);
    same_records(&rows(0..10), &site.restore("main/CLOUD_TRAIL_MGMT")).unwrap();

    let site = self::site()
        .with_layout("**/jobId/*/timestamp={date}T{hour}/*.parquet")
        .with_keys("table = \"SecurityEvent\"\nformat = \"parquet\"");
    let folder = "export/jobId/0a1b2c/timestamp=2024-03-01T00";
    site.write(&format!("{folder}/part-0.parquet"), parquet(0..10));
    site.write(&format!("{folder}/_SUCCESS"), "");
    let report = site.run_well(NOW);
    assert_eq!(report.strangers.len(), 1);
    assert_eq!(site.restore("main/SecurityEvent").len(), 10);
}

#[test]
fn i7_a_name_that_the_content_denies_is_said() {
    let mut site = site().with_keys("format = \"csv\"");
    site.write(PATH, parquet(0..10));
    site.run(NOW);
    assert_eq!(site.quarantine()[0].0.reason, "its content is `parquet`, and the source's `format` says `csv`");
    site = site.with_keys("");
    let (_, _, said) = site.holdfast(&["quarantine", "retry"]);
    assert_eq!(site.restore("main/File_CL").len(), 10, "{said}");
}
