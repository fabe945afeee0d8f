//! Quarantine: what cannot be judged is kept as it was, byte for byte, with its reason; the rest goes on (I1, I12).

use std::collections::BTreeMap;

use holdfast::archive::QuarantineItem;
use holdfast::ledger::Counts;
use holdfast::pipeline::{Limits, RunReport};
use holdfast::restore::Manifest;

use crate::site::{Collected, Packing, Site, lines};
use crate::support::compare::same_records;

const NOW: &str = "2024-07-10T00:00:00Z";
const LATER: &str = "2024-07-11T00:00:00Z";

fn object(name: &str) -> String {
    format!("Signin_CL/2024/07/03/10/{name}")
}

fn at(time: &str) -> Vec<u8> {
    format!(r#"{{"TimeGenerated":"{time}"}}"#).into_bytes()
}

fn good() -> Vec<u8> {
    at("2024-07-03T10:00:00Z")
}

fn counts(report: &RunReport) -> Counts {
    report.tables["main/Signin_CL"].counts
}

fn manifest(site: &Site) -> Manifest {
    site.restore_into("main/Signin_CL", &mut Collected(Vec::new()))
}

/// Each record is quarantined for a reason that holds these words, as it was; the others are archived.
fn expect(bad: &[(&[u8], &str)]) {
    let site = Site::new();
    let mut all = vec![good()];
    for (number, (record, _)) in bad.iter().enumerate() {
        all.push(record.to_vec());
        all.push([&good()[..good().len() - 1], format!(",\"n\":{number}}}").as_bytes()].concat());
    }
    let bytes = lines(&all);
    site.write(&object("a"), &bytes);
    let report = site.run_well(NOW);
    let (count, expected) = (bad.len() as u64, bad.len() as u64 + 1);
    assert_eq!(
        counts(&report),
        Counts { decoded: count + expected, archived: expected, quarantined: count, ..Counts::default() }
    );
    let found = site.quarantine();
    for ((item, kept), (record, reason)) in found.iter().zip(bad) {
        assert_eq!(kept, record, "{}", item.reason);
        assert!(item.reason.contains(reason), "{} does not say {reason}", item.reason);
        // Its place in the object, to find it there.
        let place = item.offset as usize;
        assert_eq!(&bytes[place..place + record.len()], *record);
        assert_eq!(
            (item.source.as_str(), item.path.as_str(), item.whole_object),
            ("collector", object("a").as_str(), false)
        );
    }
    assert_eq!(found.len(), bad.len());
    let archived: Vec<Vec<u8>> = all.iter().step_by(2).cloned().collect();
    same_records(&archived, &site.restore("main/Signin_CL")).unwrap();
    // I13: who restores is told what is not among it.
    assert_eq!(manifest(&site).unseen.of_table.quarantined, count);
}

#[test]
fn broken_lines_are_kept_as_they_were() {
    let broken = "it is no JSON object";
    expect(&[
        (br#"{"TimeGenerated":"2024-07-03T10:00:00Z""#, broken),
        (br#"{"TimeGenerated":"2024-07-03T10:00:00Z"}{}"#, broken),
        (br#"[{"TimeGenerated":"2024-07-03T10:00:00Z"}]"#, broken),
        (br#""TimeGenerated""#, broken),
        (b"null", broken),
        (b"Jul  3 10:00:00 host sshd[1]: not JSON at all", broken),
        (br#"{"a":01}"#, broken),
        (br#"{"a":NaN}"#, broken),
        (br#"{'a':1}"#, broken),
        (br#"{"a":"\x"}"#, broken),
        (b"{\"a\":\"tab\there\"}", broken),
        (b"{\"a\":\"\xff\xfe not UTF-8\"}", broken),
        (b"\0\0\0\0", broken),
        (b"{\"a\":1}\0", broken),
    ]);
}

#[test]
fn records_without_a_usable_time_are_kept_as_they_were() {
    expect(&[
        (b"{}", "no TimeGenerated"),
        (br#"{"timegenerated":"2024-07-03T10:00:00Z"}"#, "no TimeGenerated"),
        (br#"{"TimeGenerated":null}"#, "not a text"),
        (br#"{"TimeGenerated":1720000800}"#, "not a text"),
        (br#"{"TimeGenerated":["2024-07-03T10:00:00Z"]}"#, "not a text"),
        (br#"{"TimeGenerated":""}"#, "understood"),
        (br#"{"TimeGenerated":"yesterday"}"#, "understood"),
        (br#"{"TimeGenerated":"2024-02-30T10:00:00Z"}"#, "understood"),
        (br#"{"TimeGenerated":"\ud800"}"#, "not a time"),
        (br#"{"TimeGenerated":"03/07/2024 10:00:00"}"#, "day from the month"),
        (br#"{"TimeGenerated":"2024-07-03T10:00:00Z","TimeGenerated":"2024-07-03T10:00:00Z"}"#, "more than once"),
    ]);
}

/// A wrong time would destroy a record on a wrong day: to the microsecond, these are the bounds (DESIGN §7).
#[test]
fn i3_implausible_times_are_kept_as_they_were() {
    let times = [
        // The run's `now` + 1 d; the object's period − late_window (30 d).
        ("2024-07-11T00:00:00.000000Z", None),
        ("2024-07-11T00:00:00.000001Z", Some("future")),
        ("2024-07-11T02:00:00.000000+02:00", None),
        ("9999-12-31T23:59:59.9999999Z", Some("future")),
        ("2024-06-03T10:00:00.000000Z", None),
        ("2024-06-03T09:59:59.9999999Z", Some("late_window")),
        ("2000-01-01T00:00:00Z", Some("late_window")),
        ("1999-12-31T23:59:59.999999Z", Some("before the year 2000")),
        ("1970-01-01T00:00:00Z", Some("before the year 2000")),
        ("0001-01-01T00:00:00Z", Some("before the year 2000")),
    ];
    let site = Site::new();
    site.write(&object("a"), lines(&times.map(|(time, _)| at(time))));
    site.run_well(NOW);
    let found: BTreeMap<Vec<u8>, QuarantineItem> =
        site.quarantine().into_iter().map(|(item, bytes)| (bytes, item)).collect();
    for (time, reason) in times {
        let found = found.get(&at(time)).map(|item| item.reason.as_str());
        match reason {
            None => assert_eq!(found, None, "{time}"),
            Some(reason) => assert!(found.is_some_and(|found| found.contains(reason)), "{time}: {found:?}"),
        }
    }
    // Without a period only 2000 and the future bound.
    let site = Site::new().with_layout("{table}/*");
    site.write("Signin_CL/a", lines(&[at("2000-01-01T00:00:00Z"), at("1999-12-31T23:59:59.999999Z")]));
    let report = site.run_well(NOW);
    assert_eq!(counts(&report), Counts { decoded: 2, archived: 1, quarantined: 1, ..Counts::default() });
}

/// A table whose clock is `arrival` has no time to be wrong.
#[test]
fn by_arrival_only_broken_lines_are_quarantined() {
    let policy = "version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"1y\"\nclock = \"arrival\"\n";
    let site = Site::new().with_policy(policy);
    site.write(&object("a"), lines(&[&b"{}"[..], &at("1970-01-01T00:00:00Z"), b"{", &at("9999-01-01T00:00:00Z")]));
    let report = site.run_well(NOW);
    assert_eq!(counts(&report), Counts { decoded: 4, archived: 3, quarantined: 1, ..Counts::default() });
    // By the day of the run.
    assert!(site.segments("main/Signin_CL")[0].to_string_lossy().contains("/_hf_day=2024-07-10/"));
}

/// I11: a record longer than memory allows never comes into memory whole, and is kept whole.
#[test]
fn oversized_records_are_kept_as_they_were() {
    let mut site = Site::new();
    site.memory = 32 << 20;
    let most = Limits::of(site.memory).record;
    let of_length = |length: usize| {
        let frame = br#"{"TimeGenerated":"2024-07-03T10:00:00Z","x":""}"#.len();
        format!(r#"{{"TimeGenerated":"2024-07-03T10:00:00Z","x":"{}"}}"#, "x".repeat(length - frame)).into_bytes()
    };
    let (fits, long, longer) = (of_length(most), of_length(most + 1), of_length(3 * most));
    site.write(&object("a"), lines(&[&good(), &long, &fits, &longer]));
    // The last line may be one, too, and packed.
    site.write(&object("b"), Packing::Gzip.pack(&[lines(&[good()]), of_length(2 * most)].concat()));
    let report = site.run_well(NOW);
    assert_eq!(counts(&report), Counts { decoded: 6, archived: 3, quarantined: 3, ..Counts::default() });
    let found = site.quarantine();
    let kept: Vec<&Vec<u8>> = found.iter().map(|(_, bytes)| bytes).collect();
    assert!(kept == [&long, &longer, &of_length(2 * most)]);
    assert!(
        found.iter().all(|(item, _)| item.reason.contains(&format!("longer than {most} bytes"))),
        "{}",
        found[0].0.reason
    );
    same_records(&[good(), fits, good()], &site.restore("main/Signin_CL")).unwrap();
}

/// I12: whole objects that cannot be read are kept as they lay there, the run says so by its exit code, and the rest
/// goes on.
#[test]
fn i12_unreadable_objects_are_kept_whole_and_stop_nothing_else() {
    let text = lines(&vec![good(); 500]);
    let gzip = Packing::Gzip.pack(&text);
    let zstd = Packing::Zstd.pack(&text);
    let mut flipped = gzip.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    let utf16: Vec<u8> = [0xfeff].into_iter().chain("{\"a\":1}\n".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let bad: [(&str, Vec<u8>, &str); 8] = [
        ("cut-gzip", gzip[..gzip.len() - 9].to_vec(), "gzip data is cut off"),
        ("flipped-gzip", flipped, "gzip data is damaged"),
        ("followed-gzip", [&gzip[..], b"and then some text"].concat(), "something else follows"),
        ("cut-zstd", zstd[..zstd.len() - 3].to_vec(), "zstd data is cut off"),
        ("zip", b"PK\x03\x04 and so on".to_vec(), "its content is zip"),
        ("utf-16", utf16, "its content is UTF-16"),
        ("xz", b"\xfd7zXZ\0 and so on".to_vec(), "its content is xz"),
        ("parquet", b"PAR1 and so on".to_vec(), "its Parquet cannot be read"),
    ];
    let site = Site::new().clearing();
    for (name, bytes, _) in &bad {
        site.write(&object(name), bytes);
    }
    site.write(&object("a-good-one"), lines(&[good()]));
    site.write(&object("z-good-one"), Packing::Gzip.pack(&lines(&[at("2024-07-03T11:00:00Z")])));
    site.write("Other_CL/2024/07/03/10/a", lines(&[good()]));
    let report = site.run(NOW);
    assert_eq!((report.exit_code(), report.errors.len()), (3, 0), "{:?}", report.errors);
    assert_eq!(counts(&report), Counts { decoded: 10, archived: 2, quarantined: 8, ..Counts::default() });
    assert_eq!(report.tables["main/Signin_CL"].unreadable, 8);
    assert_eq!(report.tables["main/Other_CL"].counts.archived, 1);
    let found: BTreeMap<String, (QuarantineItem, Vec<u8>)> =
        site.quarantine().into_iter().map(|(item, bytes)| (item.path.clone(), (item, bytes))).collect();
    assert_eq!(found.len(), bad.len());
    for (name, bytes, reason) in &bad {
        let (item, kept) = &found[&object(name)];
        assert!(kept == bytes && item.whole_object && item.offset == 0, "{name}");
        assert!(item.reason.contains(reason), "{name}: {}", item.reason);
    }
    // Accounted for, they are cleared like others; quarantine has them still (I1).
    assert_eq!((report.cleared, site.raw().len()), (11, 0));
    assert_eq!(site.quarantine().len(), 8);
    // The next run has nothing to complain about any more.
    assert_eq!(site.run_well(LATER).found, 0);
}

/// An upload that was cut off and then came whole: its records are archived once.
#[test]
fn an_object_quarantined_whole_is_read_when_it_becomes_whole() {
    let site = Site::new();
    let gzip = Packing::Gzip.pack(&lines(&vec![good(); 100]));
    let (first, rest) = gzip.split_at(gzip.len() / 2);
    site.write(&object("a"), first);
    assert_eq!(site.run(NOW).exit_code(), 3);
    // Unchanged, it is not quarantined once more.
    assert_eq!(site.run_well(LATER).tables.len(), 0);
    site.append(&object("a"), rest);
    let report = site.run_well("2024-07-12T00:00:00Z");
    assert_eq!(counts(&report), Counts { decoded: 100, archived: 100, ..Counts::default() });
    assert_eq!(site.quarantine().len(), 1);
}

/// The ledger counts each record's fate, per object and per batch, and names the quarantine with its SHA-256 (I1).
#[test]
fn i1_the_ledger_counts_the_quarantine() {
    let site = Site::new();
    site.write(&object("a"), lines(&[&good()[..], b"{", &at("1970-01-01T00:00:00Z")]));
    site.write(&object("b"), lines(&[&good()[..], b"["]));
    site.run_well(NOW);
    let entries = site.entries();
    let prepared = entries.iter().find(|entry| entry["kind"] == "batch_prepared").unwrap();
    assert_eq!(
        prepared["counts"],
        serde_json::json!({"decoded": 5, "archived": 2, "quarantined": 3, "expired": 0, "duplicate": 0})
    );
    let file = &prepared["quarantine"][0];
    assert_eq!((&file["records"], &file["bytes"]), (&3.into(), &(1 + 1 + at("1970-01-01T00:00:00Z").len()).into()));
    for (path, sha256) in [("data", "data_sha256"), ("index", "index_sha256")] {
        let bytes = std::fs::read(site.path().join("archive").join(file[path].as_str().unwrap())).unwrap();
        assert_eq!(holdfast::ledger::sha256_hex(&bytes), file[sha256].as_str().unwrap());
    }
    let chain = site.chain();
    let of = |name: &str| {
        let found = chain.state().objects.iter().find(|(id, _)| id.path == object(name)).unwrap();
        found.1.counts
    };
    assert_eq!(of("a"), Counts { decoded: 3, archived: 1, quarantined: 2, ..Counts::default() });
    assert_eq!(of("b"), Counts { decoded: 2, archived: 1, quarantined: 1, ..Counts::default() });
}

/// A batch of nothing but quarantine makes no table and no segment, and its objects are cleared all the same.
#[test]
fn a_batch_may_be_all_quarantine() {
    let site = Site::new().clearing();
    site.write(&object("a"), b"one\ntwo\n");
    let report = site.run_well(NOW);
    assert_eq!(counts(&report), Counts { decoded: 2, quarantined: 2, ..Counts::default() });
    assert_eq!((report.cleared, site.segments("main/Signin_CL").len()), (1, 0));
    assert!(!site.path().join("archive/tables").exists());
    // The first good record makes the table.
    site.write(&object("b"), lines(&[good()]));
    assert_eq!(counts(&site.run_well(LATER)).archived, 1);
    same_records(&[good()], &site.restore("main/Signin_CL")).unwrap();
}
