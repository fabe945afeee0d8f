//! Sources as collectors leave them: how objects are packed, laid out and named, and what becomes of those that grow,
//! change, come twice or are none of ours.

use std::fs;

use holdfast::ledger::Counts;
use holdfast::pipeline::RunReport;
use jiff::SignedDuration;

use crate::site::{Packing, Site, bytes_below, lines};
use crate::support::compare::same_records;

const NOW: &str = "2024-07-10T00:00:00Z";
const LATER: &str = "2024-07-11T00:00:00Z";
const LAST: &str = "2024-07-12T00:00:00Z";
const HOUR: &str = "Signin_CL/2024/07/03/10";

fn record(number: u32) -> Vec<u8> {
    format!(r#"{{"TimeGenerated":"2024-07-03T10:00:{:02}Z","n":{number}}}"#, number % 60).into_bytes()
}

fn records(numbers: impl IntoIterator<Item = u32>) -> Vec<Vec<u8>> {
    numbers.into_iter().map(record).collect()
}

fn object(name: &str) -> String {
    format!("{HOUR}/{name}")
}

/// What a run did with records, in all tables.
fn counts(report: &RunReport) -> Counts {
    let mut all = Counts::default();
    report.tables.values().for_each(|table| all.add(&table.counts));
    all
}

fn archived(number: u64) -> Counts {
    Counts { decoded: number, archived: number, ..Counts::default() }
}

/// Exactly these records stand in the archive.
fn holds(site: &Site, numbers: impl IntoIterator<Item = u32>) {
    same_records(&records(numbers), &site.restore("main/Signin_CL")).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn packing_is_told_by_content_not_by_name() {
    let site = Site::new();
    site.write(&object("plain.gz"), lines(&records(0..3)));
    site.write(&object("gzip.json"), Packing::Gzip.pack(&lines(&records(3..6))));
    site.write(&object("zstd.log.gz"), Packing::Zstd.pack(&lines(&records(6..9))));
    // Several members and frames are one object; CRLF and a byte order mark are no records' own.
    let members: Vec<u8> = [9, 10].map(|n| Packing::Gzip.pack(&lines(&records([n])))).concat();
    site.write(&object("members"), members);
    let frames: Vec<u8> = [11, 12].map(|n| Packing::Zstd.pack(&lines(&records([n])))).concat();
    site.write(&object("frames"), frames);
    let crlf = [&b"\xef\xbb\xbf"[..], &record(13), b"\r\n\r\n", &record(14), b"\r\n"].concat();
    site.write(&object("crlf"), crlf);
    assert_eq!(counts(&site.run_well(NOW)), archived(15));
    holds(&site, 0..15);
}

#[test]
fn layouts_tell_table_and_period_in_any_order() {
    for (layout, path) in [
        ("{table}/{year}/{month}/{day}/{hour}/*", "Signin_CL/2024/07/03/10/a.json"),
        ("{year}-{month}-{day}/{hour}/{table}/**", "2024-07-03/10/Signin_CL/deep/er/a.json"),
        ("logs/table={table}/date={date}/hour={hour}/*", "logs/table=Signin_CL/date=2024-07-03/hour=10/a"),
        ("y={year}/m={month}/d={day}/{table}-*.log", "y=2024/m=7/d=3/Signin_CL-0001.log"),
    ] {
        let site = Site::new().with_layout(layout);
        site.write(path, lines(&records([1])));
        // The period is not over yet: its objects wait, whatever their time of change.
        assert_eq!(counts(&site.run_well("2024-07-03T10:59:59Z")), archived(0), "{layout}");
        let report = site.run_well("2024-07-04T00:00:00Z");
        assert_eq!(report.tables.keys().collect::<Vec<_>>(), ["main/Signin_CL"], "{layout}");
        assert_eq!(counts(&report), archived(1), "{layout}");
    }
}

#[test]
fn a_layout_without_a_period_goes_by_the_time_of_change() {
    let policy = "version = 1\n[defaults]\narchive_after = \"2d\"\nretain = \"1y\"\n";
    let site = Site::new().with_layout("{table}/*").with_policy(policy);
    site.write("Signin_CL/a", lines(&records([1])));
    site.modify("Signin_CL/a", "2024-07-08T12:00:00Z");
    let report = site.run_well("2024-07-10T11:59:59Z");
    assert!(report.tables.is_empty());
    assert!(report.kept[0].reason.to_string().contains("waits until 2024-07-10T12:00:00Z"), "{:?}", report.kept);
    assert_eq!(counts(&site.run_well("2024-07-10T12:00:00Z")), archived(1));
}

/// Containers are lower case, letters vary, files are PT05M, PT5M or PT1H and overflow into `_1`; the archive's table is
/// spelled as the catalogue spells it.
#[test]
fn azure_data_export_with_its_quirks() {
    let site = Site::new().with_layout("azure-export");
    let resource = "WorkspaceResourceId=/subscriptions/00000000-1111-2222-3333-444444444444/resourcegroups/rg/providers/\
                    microsoft.operationalinsights/workspaces/central";
    let paths = [
        format!("am-securityevent/{resource}/y=2024/m=07/d=03/h=10/m=00/PT05M.json"),
        format!("am-securityevent/{resource}/y=2024/m=07/d=03/h=10/m=00/PT05M_1.json"),
        format!("am-securityevent/{resource}/y=2024/m=07/d=03/h=10/m=05/PT5M.json"),
        format!("am-securityevent/{resource}/y=2024/m=07/d=03/h=11/m=00/PT1H.json"),
        format!("AM-SECURITYEVENT/{}/Y=2024/M=7/D=3/H=10/M=10/PT05M.JSON", resource.to_uppercase()),
        format!("am-custom_cl/{resource}/y=2024/m=07/d=03/h=10/m=00/PT05M.json"),
    ];
    for (number, path) in (0..).zip(&paths) {
        site.write(path, lines(&records([number])));
    }
    let stranger = format!("am-securityevent/{resource}/y=2024/m=07/d=03/h=10/m=00/PT05M.json.tmp");
    site.write(&stranger, lines(&records([99])));
    let report = site.run_well(NOW);
    let tables: Vec<_> = report.tables.iter().map(|(name, table)| (name.as_str(), table.counts.archived)).collect();
    assert_eq!(tables.iter().map(|(_, rows)| rows).sum::<u64>(), 6);
    assert_eq!(report.strangers.len(), 1);
    assert_eq!(report.strangers[0].path, stranger);
    same_records(&records(0..5), &site.restore("main/SecurityEvent")).unwrap();
    same_records(&records([5]), &site.restore("main/custom_cl")).unwrap();
    assert!(site.path().join("archive/tables/main/SecurityEvent/_delta_log").is_dir(), "{tables:?}");
    assert!(!site.path().join("archive/tables/main/securityevent").exists());
    // A closed folder reopens: late records come into it.
    site.write(&paths[0].replace("PT05M", "PT05M_2"), lines(&records([6])));
    assert_eq!(counts(&site.run_well(LATER)), archived(1));
    same_records(&records((0..5).chain([6])), &site.restore("main/SecurityEvent")).unwrap();
}

#[test]
fn one_table_in_two_spellings_and_two_workspaces() {
    let site = Site::new().with_source("cde", "cde", "{table}/*");
    site.write("MyTable/2024/07/03/10/a", lines(&records([1])));
    site.write("mytable/2024/07/03/10/b", lines(&records([2])));
    fs::create_dir_all(site.path().join("cde/MYTABLE")).unwrap();
    fs::write(site.path().join("cde/MYTABLE/a"), lines(&records([1]))).unwrap();
    let report = site.run_well("2030-01-01T00:00:00Z");
    assert_eq!(counts(&report), archived(3));
    same_records(&records([1, 2]), &site.restore("main/mYtAbLe")).unwrap();
    same_records(&records([1]), &site.restore("cde/mytable")).unwrap();
    let state = site.chain();
    let names: Vec<String> = state.state().tables.values().map(|table| table.name.to_string()).collect();
    assert_eq!(names, ["cde/MYTABLE", "main/MyTable"]);
}

#[test]
fn what_was_just_changed_waits_to_settle() {
    let site = Site::new().with_settle(SignedDuration::from_hours(1));
    site.write(&object("a"), lines(&records([1])));
    site.modify(&object("a"), "2024-07-09T23:00:01Z");
    let report = site.run_well(NOW);
    assert_eq!((counts(&report), report.unsettled), (archived(0), 1));
    let report = site.run_well("2024-07-10T00:00:01Z");
    assert_eq!((counts(&report), report.unsettled), (archived(1), 0));
    // `0s` is no check at all, even of a time yet to come.
    let site = Site::new();
    site.write(&object("a"), lines(&records([1])));
    site.modify(&object("a"), "2099-01-01T00:00:00Z");
    assert_eq!(counts(&site.run_well(NOW)), archived(1));
}

/// I7: what is none of ours is named, and neither read, moved nor deleted, however armed the run is.
#[test]
fn i7_strangers_are_reported_and_never_touched() {
    let site = Site::new().clearing();
    let strangers = [
        "README.txt",
        "Signin_CL/2024/13/03/10/a",
        "Signin_CL/2024/07/03/10/deeper/a",
        "Signin_CL/2024/07/03/10/.hidden",
        "Sign in/2024/07/03/10/a",
        "Signin_CL/2024/07/03/10/upload.log#1",
        ".git/2024/07/03/10/a",
    ];
    for path in strangers {
        site.write(path, lines(&records([7])));
    }
    let before = bytes_below(&site.path().join("collector"));
    site.write(&object("ours"), lines(&records([1])));
    let report = site.run_well(NOW);
    assert_eq!((counts(&report), report.cleared), (archived(1), 1));
    let mut named: Vec<&str> = report.strangers.iter().map(|stranger| stranger.path.as_str()).collect();
    named.sort_unstable();
    let mut expected = strangers;
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert!(report.strangers.iter().all(|stranger| !stranger.reason.is_empty()));
    assert!(bytes_below(&site.path().join("collector")) == before);
}

#[test]
fn a_table_without_a_rule_is_kept_and_reported() {
    let policy = "version = 1\n[[table]]\nname = \"Other\"\nretain = \"1y\"\n[[table]]\nname = \"Raw_CL\"\narchive = false\nretain = \"1y\"\n";
    let site = Site::new().clearing().with_policy(policy);
    site.write(&object("a"), lines(&records([1])));
    site.write("Raw_CL/2024/07/03/10/a", lines(&records([1])));
    let report = site.run_well(NOW);
    let reasons: Vec<String> = report.kept.iter().map(|kept| format!("{}: {}", kept.table, kept.reason)).collect();
    assert!(reasons[0].contains("main/Signin_CL: no rule names its table"), "{reasons:?}");
    assert!(reasons[1].contains("main/Raw_CL: stays raw (archive = false) until 2025-07-11"), "{reasons:?}");
    assert_eq!(site.raw().len(), 2);
}

/// The same bytes under another name: counted as duplicates, archived once (I2), and cleared as such.
#[test]
fn i2_duplicates_are_counted_and_cleared_as_duplicates() {
    let mut site = Site::new();
    site.write(&object("a"), lines(&records(0..5)));
    // Within one batch, in a later run, and packed in another way (other bytes: no duplicate).
    site.write(&object("b"), lines(&records(0..5)));
    let report = site.run_well(NOW);
    let duplicates = Counts { decoded: 10, archived: 5, duplicate: 5, ..Counts::default() };
    assert_eq!(counts(&report), duplicates);
    site.write(&object("c"), lines(&records(0..5)));
    // Of another table they are not the same records.
    site.write("Other_CL/2024/07/03/10/a", lines(&records(0..5)));
    let report = site.run_well(LATER);
    assert_eq!(counts(&report), Counts { decoded: 10, archived: 5, duplicate: 5, ..Counts::default() });
    holds(&site, 0..5);
    assert_eq!(site.raw().len(), 4);
    site.armed.raw = true;
    let site = site.clearing();
    assert_eq!(site.run_well(LAST).cleared, 4);
    assert_eq!(site.raw(), [""; 0]);
    assert_eq!(site.destroyed(), [("archived_verified".to_owned(), 2), ("duplicate_of".to_owned(), 2)]);
    holds(&site, 0..5);
}

/// What a collector sends once more after its raw object was cleared is known by its bytes.
#[test]
fn i2_a_resent_object_is_a_duplicate_even_after_it_was_cleared() {
    let site = Site::new().clearing();
    site.write(&object("a"), lines(&records(0..5)));
    assert_eq!(site.run_well(NOW).cleared, 1);
    site.write(&object("a"), lines(&records(0..5)));
    site.write(&object("again"), lines(&records(0..5)));
    let report = site.run_well(LATER);
    // Under its own name it is the same object, of which nothing is new.
    assert_eq!(counts(&report), Counts { decoded: 5, duplicate: 5, ..Counts::default() });
    assert_eq!((report.cleared, site.raw().len()), (2, 0));
    // Other bytes under a name that was used before are other records.
    site.write(&object("a"), lines(&records(5..7)));
    assert_eq!(counts(&site.run_well(LAST)), archived(2));
    holds(&site, 0..7);
}

/// An object that grew is read on from where it was.
#[test]
fn i2_an_object_that_grew_is_read_on_exactly_once() {
    let mut site = Site::new();
    site.write(&object("plain"), lines(&records(0..3)));
    site.write(&object("gzip"), Packing::Gzip.pack(&lines(&records(10..13))));
    site.write(&object("zstd"), Packing::Zstd.pack(&lines(&records(20..23))));
    site.write(&object("empty"), b"");
    assert_eq!(counts(&site.run_well(NOW)), archived(9));
    site.append(&object("plain"), lines(&records(3..5)));
    site.append(&object("gzip"), Packing::Gzip.pack(&lines(&records(13..15))));
    site.append(&object("zstd"), Packing::Zstd.pack(&lines(&records(23..25))));
    site.append(&object("empty"), lines(&records(30..32)));
    assert_eq!(counts(&site.run_well(LATER)), archived(8));
    holds(&site, (0..5).chain(10..15).chain(20..25).chain(30..32));
    // Cleared only if all that was ever read of it stands.
    site.armed.raw = true;
    let site = site.clearing();
    assert_eq!(site.run_well(LAST).cleared, 4);
    assert_eq!(site.raw(), [""; 0]);
    holds(&site, (0..5).chain(10..15).chain(20..25).chain(30..32));
}

/// A member that is being appended: what was read before stays archived once, the rest waits until it is whole.
#[test]
fn i2_a_packed_object_caught_while_it_grows_is_read_on_later() {
    for packing in [Packing::Gzip, Packing::Zstd] {
        let site = Site::new();
        site.write(&object("a"), packing.pack(&lines(&records(0..3))));
        assert_eq!(counts(&site.run_well(NOW)), archived(3));
        let more = packing.pack(&lines(&records(3..6)));
        let (first, rest) = more.split_at(more.len() / 2);
        site.append(&object("a"), first);
        let report = site.run(LATER);
        assert_eq!((counts(&report), report.exit_code()), (Counts::default(), 3));
        assert!(report.errors[0].reason().contains("what was appended"), "{:?}", report.errors);
        assert!(site.quarantine().is_empty());
        site.append(&object("a"), rest);
        assert_eq!(counts(&site.run_well(LAST)), archived(3));
        holds(&site, 0..6);
    }
}

/// A last line that its collector has not finished: broken so far, it waits in quarantine until the rest has come.
#[test]
fn i2_a_last_line_without_an_end_is_read_again_when_it_has_one() {
    let site = Site::new();
    let whole = lines(&records(0..3));
    let (first, rest) = whole.split_at(whole.len() - 20);
    site.write(&object("a"), first);
    let report = site.run_well(NOW);
    assert_eq!(counts(&report), Counts { decoded: 3, archived: 2, quarantined: 1, ..Counts::default() });
    let (item, bytes) = site.quarantine().remove(0);
    assert!(first.ends_with(&bytes) && item.reason.contains("has no end"), "{}", item.reason);
    site.append(&object("a"), rest);
    assert_eq!(counts(&site.run_well(LATER)), archived(1));
    holds(&site, 0..3);
    site.append(&object("a"), lines(&records(3..4)));
    assert_eq!(counts(&site.run_well(LAST)), archived(1));
    holds(&site, 0..4);
}

/// A last line that is a record already, only without its line feed.
#[test]
fn i2_a_complete_last_line_without_a_line_feed_is_archived_once() {
    let site = Site::new();
    site.write(&object("a"), record(0));
    assert_eq!(counts(&site.run_well(NOW)), archived(1));
    site.append(&object("a"), [b"\n", lines(&records([1])).as_slice()].concat());
    assert_eq!(counts(&site.run_well(LATER)), archived(1));
    holds(&site, 0..2);
}

/// An object whose old bytes are not there any more is another object: all of it is read.
#[test]
fn a_rewritten_object_is_read_anew() {
    let site = Site::new();
    site.write(&object("longer"), lines(&records(0..3)));
    site.write(&object("shorter"), lines(&records(10..13)));
    site.write(&object("same-size"), lines(&records(20..21)));
    assert_eq!(counts(&site.run_well(NOW)), archived(7));
    site.write(&object("longer"), lines(&records(100..105)));
    site.write(&object("shorter"), lines(&records(110..111)));
    site.write(&object("same-size"), lines(&records(30..31)));
    for name in ["longer", "shorter", "same-size"] {
        site.modify(&object(name), "2024-01-03T00:00:00Z");
    }
    assert_eq!(counts(&site.run_well(LATER)), archived(7));
    holds(&site, (0..3).chain(10..13).chain([20]).chain(100..105).chain([110, 30]));
}

/// Only the time of change is new: nothing is archived or quarantined again (I2).
#[test]
fn i2_a_touched_object_is_not_archived_again() {
    let mut site = Site::new();
    let broken_end = [lines(&records(0..3)).as_slice(), br#"{"TimeGen"#].concat();
    site.write(&object("ends"), lines(&records(10..13)));
    site.write(&object("breaks"), &broken_end);
    site.write(&object("fragment"), br#"{"TimeG"#);
    site.write(&object("gzip"), Packing::Gzip.pack(&lines(&records(20..22))));
    let report = site.run_well(NOW);
    assert_eq!(counts(&report), Counts { decoded: 10, archived: 8, quarantined: 2, ..Counts::default() });
    for name in ["ends", "breaks", "fragment", "gzip"] {
        site.modify(&object(name), "2024-01-03T00:00:00Z");
    }
    assert_eq!(counts(&site.run_well(LATER)), Counts::default());
    assert_eq!(site.quarantine().len(), 2);
    holds(&site, (0..3).chain(10..13).chain(20..22));
    // It still grows from where it was.
    site.append(&object("breaks"), [&lines(&records([3]))[9..], &lines(&records([4]))].concat());
    assert_eq!(counts(&site.run_well(LAST)), Counts { decoded: 2, archived: 2, ..Counts::default() });
    site.armed.raw = true;
    let site = site.clearing();
    assert_eq!(site.run_well("2024-07-13T00:00:00Z").cleared, 4);
    assert_eq!(site.raw(), [""; 0]);
}

/// Unarmed, nothing at all is deleted; armed, raw objects stay for `keep_raw`, counted from their archive.
#[test]
fn i3_raw_objects_stay_until_armed_and_due() {
    let policy = "version = 1\n[defaults]\narchive_after = \"0d\"\nkeep_raw = \"2d\"\nretain = \"1y\"\n";
    let mut site = Site::new().with_policy(policy);
    site.write(&object("a"), lines(&records([1])));
    for now in [NOW, LAST, "2024-12-01T00:00:00Z"] {
        assert_eq!(site.run_well(now).cleared, 0, "{now}");
    }
    site.write(&object("b"), lines(&records([2])));
    site.armed.raw = true;
    let report = site.run_well("2025-01-01T00:00:00Z");
    assert_eq!((report.cleared, site.raw()), (1, vec![object("b")]));
    assert_eq!(site.run_well("2025-01-02T23:59:59Z").cleared, 0);
    assert_eq!(site.run_well("2025-01-03T00:00:00Z").cleared, 1);
    assert_eq!(site.raw(), [""; 0]);
    holds(&site, 1..3);
}
