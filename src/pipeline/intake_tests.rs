//! Tests of the intake: what stays raw, and what has expired on arrival (I1).

use super::context::Request;
use super::retry::retry;
use super::testing::{House, at, record};
use crate::ledger::{Counts, KnownObject, ObjectId};
use crate::plan::Intake;
use crate::policy::{PolicyFile, PolicySet};

const POLICY: &str = "[defaults]\nretain = \"30d\"\narchive_after = \"0d\"\nlate_window = \"400d\"\n";
const RAW: Intake = Intake { stays_raw: true, expired_before: None };
const NOW: &str = "2024-03-10T00:00:00Z";

fn known<'a>(house: &'a House, path: &str) -> &'a KnownObject {
    &house.chain.state().objects[&ObjectId { source: "collector".into(), path: path.into() }]
}

/// Decoded, raw, quarantined, and the last day.
fn raw(house: &House, path: &str) -> (u64, u64, u64, Option<String>) {
    let known = known(house, path);
    let Counts { decoded, archived, quarantined, expired, duplicate, raw } = known.counts;
    assert_eq!((archived, expired, duplicate), (0, 0, 0));
    assert!(known.counts.balances());
    (decoded, raw, quarantined, known.outcome.last_day.map(|day| day.to_string()))
}

#[test]
fn i1_what_stays_raw_is_judged_and_counted_and_written_nowhere() {
    let mut house = House::new(POLICY);
    let good = record("2024-03-02T23:59:59Z", 1) + &record("2024-02-28T00:00:00Z", 2);
    house.write("T/2024/03/01/a.json", good.clone());
    house.write("T/2024/03/01/twin.json", good);
    house.write("T/2024/03/01/half.json", record("2024-03-01T00:00:00Z", 3) + "broken\n");
    house.write("T/2024/03/01/broken.json", "broken\n{}\n");
    house.write("T/2024/03/01/packed.json", &b"PK\x03\x04 is no text"[..]);
    house.write("T/2024/03/01/open.json", record("2024-03-01T00:00:00Z", 4) + "{\"TimeGenerated\":\"2024-03-0");
    let done = house.archive(RAW, NOW).pop().unwrap().unwrap();
    assert_eq!((done.segments, done.objects, done.unreadable, done.counts.raw), (0, 6, 1, 6));

    let day = |text: &str| Some(text.to_owned());
    assert_eq!(raw(&house, "T/2024/03/01/a.json"), (2, 2, 0, day("2024-03-02")));
    assert_eq!(raw(&house, "T/2024/03/01/twin.json"), (2, 2, 0, day("2024-03-02")), "no twin stands for it");
    assert_eq!(raw(&house, "T/2024/03/01/half.json"), (2, 1, 1, day("2024-03-01")));
    assert_eq!(raw(&house, "T/2024/03/01/broken.json"), (2, 0, 2, None));
    assert_eq!(raw(&house, "T/2024/03/01/packed.json"), (1, 0, 1, None));
    assert_eq!(raw(&house, "T/2024/03/01/open.json"), (2, 1, 1, day("2024-03-01")));
    let state = house.chain.state();
    assert!(state.tables.is_empty() && house.context.archive.list(Some(&"tables".into())).unwrap().is_empty());
    assert_eq!(state.quarantine.iter().map(|file| file.file.records).sum::<u64>(), 5);

    // It grows: reading goes on, and the last day is that of all its records.
    let grown = record("2024-03-01T00:00:00Z", 4) + &record("2024-03-05T00:00:00Z", 5);
    house.write("T/2024/03/01/open.json", grown.clone() + "{\"TimeGenerated\":\"2024-03-0");
    house.archive(RAW, NOW).pop().unwrap().unwrap();
    assert_eq!(raw(&house, "T/2024/03/01/open.json"), (4, 2, 2, day("2024-03-05")));
    house.write("T/2024/03/01/open.json", grown + &record("2024-03-03T00:00:00Z", 6));
    house.archive(RAW, NOW).pop().unwrap().unwrap();
    assert_eq!(raw(&house, "T/2024/03/01/open.json"), (5, 3, 2, day("2024-03-05")));
}

/// What is archived later is no duplicate of what stayed raw, nor the other way round.
#[test]
fn i1_no_copy_stands_for_one_that_stays_raw() {
    let mut house = House::new(POLICY);
    house.write("T/2024/03/01/raw.json", record("2024-03-01T00:00:00Z", 1));
    house.archive(RAW, NOW).pop().unwrap().unwrap();
    house.write("T/2024/03/01/twin.json", record("2024-03-01T00:00:00Z", 1));
    // Under a rule that archives, what stayed raw is read anew: the first of the two has the records.
    let counts = house.archive(Intake::default(), NOW).pop().unwrap().unwrap().counts;
    assert_eq!((counts.archived, counts.duplicate), (1, 1));
    house.write("T/2024/03/01/third.json", record("2024-03-01T00:00:00Z", 1));
    house.archive(RAW, NOW).pop().unwrap().unwrap();
    assert_eq!(raw(&house, "T/2024/03/01/third.json"), (1, 1, 0, Some("2024-03-01".into())));
    house.write("T/2024/03/01/fourth.json", record("2024-03-01T00:00:00Z", 1));
    assert_eq!(house.archive(Intake::default(), NOW).pop().unwrap().unwrap().counts.duplicate, 2);
    let fourth = &known(&house, "T/2024/03/01/fourth.json").outcome;
    assert_eq!(fourth.duplicate_of.as_ref().unwrap().path, "T/2024/03/01/raw.json");
}

#[test]
fn i1_what_expired_on_arrival_is_counted_and_written_nowhere() {
    let mut house = House::new(POLICY);
    let intake = Intake { stays_raw: false, expired_before: Some("2024-02-09".parse().unwrap()) };
    let old = record("2024-02-08T23:59:59Z", 1) + &record("2023-12-01T00:00:00Z", 2);
    house.write("T/2024/03/01/mixed.json", old.clone() + &record("2024-02-09T00:00:00Z", 3) + "broken\n");
    // Its last line has no end, but says all: reading does not go back to it.
    house.write("Old/2024/03/01/all.json", old.trim_end());
    let done: Vec<_> = house.archive(intake, NOW).into_iter().map(|done| done.unwrap()).collect();
    let counts = |archived, quarantined, expired| Counts {
        decoded: archived + quarantined + expired,
        archived,
        quarantined,
        expired,
        ..Counts::default()
    };
    assert_eq!([done[0].counts, done[1].counts], [counts(0, 0, 2), counts(1, 1, 2)]);
    assert_eq!(known(&house, "T/2024/03/01/mixed.json").counts, counts(1, 1, 2));
    let tables = &house.chain.state().tables;
    assert_eq!(tables.keys().collect::<Vec<_>>(), ["main/t"], "no table for what was never kept");
    assert_eq!(tables["main/t"].segments.values().map(|(segment, _)| segment.digest.rows).sum::<u64>(), 1);
    assert_eq!(house.chain.state().quarantine.len(), 1);

    house.write("Old/2024/03/01/all.json", old + &record("2024-03-01T00:00:00Z", 4));
    assert_eq!(house.archive(intake, NOW).pop().unwrap().unwrap().counts, counts(1, 0, 0));
    assert_eq!(known(&house, "Old/2024/03/01/all.json").counts, counts(1, 0, 2));
}

/// The raw object of a quarantined record may be gone, and no segment may take it: it stays where it is.
#[test]
fn i1_quarantine_of_what_stays_raw_is_not_tried_again() {
    let mut house = House::new(POLICY);
    house.write("T/2024/03/01/a.json", "broken\n{}\n");
    house.archive(RAW, NOW).pop().unwrap().unwrap();
    let text = "version = 1\n[defaults]\nretain = \"30d\"\narchive = false\n".to_owned();
    house.context.policies = Ok(PolicySet::from_files(vec![PolicyFile { name: "p.toml".into(), text }]).unwrap());
    let done = retry(&house.context, &Request::all(at(NOW))).unwrap();
    assert_eq!(done.len(), 1);
    assert_eq!((done[0].tried, done[0].archived, done[0].still_quarantined), (0, 0, 2));
    assert_eq!(done[0].untried.as_deref(), Some("its rule says archive = false"));
    house.chain.fold().unwrap();
    let quarantine = &house.chain.state().quarantine;
    assert!(quarantine.len() == 1 && !quarantine[0].retried);
}
