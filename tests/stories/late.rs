//! Late records join their day: in a further segment of it, beside those that were there. What is gone already expires on
//! arrival; what stays raw goes after its last record.

use std::collections::BTreeMap;

use holdfast::error::Result;
use holdfast::ledger::Counts;
use holdfast::restore::RecordSink;
use jiff::SignedDuration;
use jiff::civil::Date;

use crate::expiring::{days, defaults, record};
use crate::site::Site;

/// Numbers of records by day.
#[derive(Default)]
struct Numbers(BTreeMap<String, Vec<u64>>);

impl RecordSink for Numbers {
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()> {
        let record: serde_json::Value = serde_json::from_slice(record).unwrap();
        self.0.entry(day.to_string()).or_default().push(record["n"].as_u64().unwrap());
        Ok(())
    }
}

#[test]
fn i1_late_records_join_their_day_in_a_further_segment() {
    let site = Site::new().clearing();
    site.write("T/2024/03/01/10/a", record("2024-03-01T10:00:00Z", 1) + &record("2024-03-01T10:30:00Z", 2));
    site.run_well("2024-03-02T00:00:00Z");
    assert_eq!(site.segments("main/T").len(), 1);

    // Two days later: records of the archived day, of a day before it, and of its own.
    let late = ["2024-03-01T10:15:00Z", "2024-02-29T23:59:59Z", "2024-03-03T09:00:00Z", "2024-03-01T09:00:00Z"];
    let late: String = late.iter().zip(3..).map(|(time, number)| record(time, number)).collect();
    site.write("T/2024/03/03/09/late", late);
    let report = site.run_well("2024-03-04T00:00:00Z");
    assert_eq!(report.tables["main/T"].counts.archived, 4);

    let segments: Vec<String> = site
        .segments("main/T")
        .iter()
        .filter_map(|path| path.iter().find(|part| part.to_string_lossy().starts_with("_hf_day=")))
        .map(|day| day.to_string_lossy().into_owned())
        .collect();
    assert_eq!(segments, ["_hf_day=2024-02-29", "_hf_day=2024-03-01", "_hf_day=2024-03-01", "_hf_day=2024-03-03"]);
    let mut numbers = Numbers::default();
    let manifest = site.restore_into("main/T", &mut numbers);
    numbers.0.values_mut().for_each(|numbers| numbers.sort_unstable());
    let expected = [("2024-02-29", vec![4]), ("2024-03-01", vec![1, 2, 3, 6]), ("2024-03-03", vec![5])];
    assert_eq!(numbers.0, expected.map(|(day, numbers)| (day.to_owned(), numbers)).into());
    assert_eq!(manifest.records.rows, 6);
    assert!(site.raw().is_empty(), "both objects were cleared");
}

/// What comes too late for `late_window` has no day that could be trusted.
#[test]
fn what_is_too_late_is_quarantined() {
    let site = Site::new();
    site.write("T/2024/03/03/09/late", record("2024-02-02T09:00:00Z", 1) + &record("2024-02-02T08:59:59Z", 2));
    let counts = site.run_well("2024-03-04T00:00:00Z").tables["main/T"].counts;
    assert_eq!((counts.archived, counts.quarantined), (1, 1));
}

const KEYS: &str = "retain = \"3d\"\npurge_delay = \"0d\"";

/// The first of March was archived, and, where `retired` says so, retired and destroyed on the fifth.
fn expired_site(retired: bool) -> Site {
    let site = Site::new().expiring(&defaults(KEYS));
    site.write_days("T", &["2024-03-01", "2024-03-04"]);
    site.run_well("2024-03-04T12:00:00Z");
    if retired {
        site.approve("2024-03-05T00:00:00Z", "ann");
        assert_eq!(site.run_well("2024-03-05T00:00:00Z").expiring.destroyed.len(), 1);
    }
    site
}

/// A record of the destroyed day, one of a day that lives, one of a time that no collector holds back so long.
fn late_object(site: &Site) {
    let times = ["2024-03-01T11:00:00Z", "2024-03-05T09:00:00Z", "2024-01-01T00:00:00Z"];
    let bytes: String = times.iter().zip(10..).map(|(time, number)| record(time, number)).collect();
    site.write("T/2024/03/05/09/late", bytes);
}

/// I1, I4: what comes when its day is gone is counted under its rule, and written nowhere.
#[test]
fn i1_what_expired_on_arrival_is_counted_and_not_written() {
    let site = expired_site(true);
    late_object(&site);
    let report = site.run_well("2024-03-06T00:00:00Z");
    let expected = Counts { decoded: 3, archived: 1, quarantined: 1, expired: 1, ..Counts::default() };
    assert_eq!(report.tables["main/T"].counts, expected, "plausibility comes first");
    assert!(expected.balances());
    assert_eq!((report.cleared, site.raw().len()), (1, 0), "all of it is accounted for");
    assert!(!site.segment_paths("main/T").iter().any(|path| path.contains("2024-03-01")));
    assert_eq!(site.restore("main/T").len(), 2);
    site.verify_well();
    assert!(site.run_well("2024-03-06T01:00:00Z").tables.is_empty(), "and it is known");
}

/// I7: unarmed, under a hold, in a grace, put back by hand, or before anybody agreed, it is kept.
#[test]
fn i7_in_doubt_what_comes_late_is_archived() {
    let cases: [(&str, fn(&mut Site)); 5] = [
        ("before the first approval", |site| *site = expired_site(false)),
        ("unarmed", |site| site.armed.expired = false),
        ("held", |site| site.hold("2024-03-05T12:00:00Z")),
        ("in a grace", |site| site.policies = defaults("retain = \"2d\"\npurge_delay = \"0d\"")),
        ("under another rule", |site| {
            site.policies = format!("{}[[table]]\nname = \"T\"\n", defaults(KEYS));
        }),
    ];
    for (what, change) in cases {
        let mut site = expired_site(true);
        change(&mut site);
        late_object(&site);
        let counts = site.run("2024-03-06T00:00:00Z").tables["main/T"].counts;
        assert_eq!(counts, Counts { decoded: 3, archived: 2, quarantined: 1, ..Counts::default() }, "{what}");
        // The old rule lets that day go, too: in a grace it goes the usual way, in the same run.
        let stays = site.segment_paths("main/T").iter().any(|path| path.contains("2024-03-01"));
        assert_eq!(stays, what != "in a grace", "{what}");
    }
}

/// A table without a usable time goes by the day of its arrival.
#[test]
fn by_arrival_the_day_of_the_run_counts() {
    let site = Site::new().expiring(&defaults(&format!("{KEYS}\nclock = \"arrival\"")));
    site.write("T/2024/03/01/10/a", "{\"n\":1,\"TimeGenerated\":\"1999-01-01T00:00:00Z\"}\n{\"n\":2}\n");
    let counts = site.run_well("2024-03-02T12:00:00Z").tables["main/T"].counts;
    assert_eq!(counts, Counts { decoded: 2, archived: 2, ..Counts::default() });
    assert!(site.segment_paths("main/T")[0].starts_with("_hf_day=2024-03-02/"));
    site.run_well("2024-03-05T23:59:59Z");
    assert_eq!(site.restore("main/T").len(), 2);
    site.approve("2024-03-06T00:00:00Z", "ann");
    assert_eq!(days(&site.run_well("2024-03-06T00:00:00Z").expiring.destroyed), ["2024-03-02"]);
    assert_eq!(site.restore("main/T").len(), 0);
    site.verify_well();
}

const RAW_ONLY: &str = "retain = \"3d\"\npurge_delay = \"1d\"\narchive = false";

/// Read once, kept until its last record is due, then destroyed under its rule; growth moves its date.
#[test]
fn what_stays_raw_goes_after_its_last_record() {
    let site = Site::new().expiring(&defaults(RAW_ONLY));
    site.write("T/2024/03/01/10/a", record("2024-03-01T10:00:00Z", 1) + &record("2024-03-01T23:59:59Z", 2));
    site.write("T/2024/03/01/10/b", record("2024-03-01T10:00:00Z", 3));
    let counts = site.run_well("2024-03-02T12:00:00Z").tables["main/T"].counts;
    assert_eq!(counts, Counts { decoded: 3, raw: 3, ..Counts::default() });
    assert!(site.run_well("2024-03-03T00:00:00Z").tables.is_empty(), "it is read once");
    site.append("T/2024/03/01/10/b", record("2024-03-03T10:00:00Z", 4));
    let counts = site.run_well("2024-03-04T00:00:00Z").tables["main/T"].counts;
    assert_eq!(counts, Counts { decoded: 1, raw: 1, ..Counts::default() }, "only what is new is read");

    assert!(site.run_well("2024-03-05T23:59:59Z").expiring.waiting.is_empty());
    let report = site.run("2024-03-06T00:00:00Z");
    assert_eq!((report.exit_code(), site.raw().len()), (4, 2), "the first under its rule asks");
    site.approve("2024-03-06T00:00:00Z", "ann");
    let report = site.run_well("2024-03-06T01:00:00Z");
    assert_eq!(
        (days(&report.expiring.destroyed), site.raw()),
        (vec!["2024-03-01".to_owned()], vec!["T/2024/03/01/10/b".to_owned()])
    );
    assert_eq!(site.destroyed(), [("expired".to_owned(), 1)]);
    site.run_well("2024-03-07T23:59:59Z");
    assert_eq!(site.raw().len(), 1);
    site.run_well("2024-03-08T00:00:00Z");
    assert_eq!(site.raw(), [""; 0]);
    site.verify_well();
}

/// An object that grew since it was read is not what was judged: it stays, is read on, and has another date.
#[test]
fn i3_what_stays_raw_and_has_grown_is_not_destroyed() {
    let site = Site::new().with_settle(SignedDuration::from_hours(1)).expiring(&defaults(RAW_ONLY));
    let path = "T/2024/03/01/10/a";
    site.write(path, record("2024-03-01T10:00:00Z", 1));
    site.run_well("2024-03-02T12:00:00Z");
    site.approve("2024-03-06T00:00:00Z", "ann");
    // Just now, so that the run that would destroy it does not read it first.
    site.append(path, record("2024-03-05T10:00:00Z", 2));
    site.modify(path, "2024-03-06T00:59:00Z");
    let report = site.run("2024-03-06T01:00:00Z");
    assert_ne!(report.exit_code(), 0, "{report:?}");
    assert_eq!(site.raw().len(), 1);
    site.run_well("2024-03-06T03:00:00Z");
    assert!(site.run_well("2024-03-09T23:59:59Z").expiring.destroyed.is_empty());
    site.run_well("2024-03-10T00:00:00Z");
    assert_eq!(site.raw(), [""; 0]);
}

/// What was raw is archived once its rule says so, and what is archived goes as archived under a rule that says not.
#[test]
fn from_raw_to_archived_and_back() {
    let archived = "retain = \"30d\"";
    let raw_only = "retain = \"30d\"\narchive = false";
    let mut site = Site::new().expiring(&defaults(raw_only));
    site.write_day("T", "2024-03-01");
    site.run_well("2024-03-02T12:00:00Z");
    assert_eq!((site.raw().len(), site.segments("main/T").len()), (1, 0));
    site.policies = defaults(archived);
    let report = site.run_well("2024-03-03T00:00:00Z");
    assert_eq!((report.tables["main/T"].counts.archived, report.cleared), (1, 1));
    assert_eq!((site.raw().len(), site.restore("main/T").len()), (0, 1));

    site.policies = defaults(archived).replace("keep_raw = \"0d\"", "keep_raw = \"2d\"");
    site.write_day("T", "2024-03-03");
    site.run_well("2024-03-04T00:00:00Z");
    site.policies = defaults(raw_only).replace("keep_raw = \"0d\"", "keep_raw = \"2d\"");
    let report = site.run_well("2024-03-05T00:00:00Z");
    assert!(report.tables.is_empty(), "it is not read again");
    assert_eq!((site.run_well("2024-03-06T00:00:00Z").cleared, site.raw().len()), (1, 0));
    assert_eq!(site.restore("main/T").len(), 2);
    site.verify_well();
}
