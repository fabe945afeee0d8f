//! `why`: days and raw objects, in each situation that somebody may ask about.

use std::fs;

use holdfast::settings::Window;
use insta::assert_snapshot;
use jiff::SignedDuration;

use super::{POLICY, archived_under, at, consent, destroyed, hold, record, site_under, told, write_days};
use crate::site::lines;

const DAY: [&str; 3] = ["why", "Audit", "2024-03-01"];

#[test]
fn a_day_from_its_raw_objects_to_its_end() {
    let site = site_under(&POLICY.replace("archive_after = \"0d\"", "archive_after = \"1d\""));
    site.run_well("2024-03-01T08:00:00Z");
    let mut story = vec![told(&site, &DAY)];
    site.run_well("2024-03-10T02:00:00Z");
    story.push(told(&site, &DAY));
    story.push(told(&site, &["why", "Audit", "2024-03-01", "--as-of", "2024-04-02"]));
    consent(&site, "2024-04-02T03:00:00Z");
    story.push(told(&site, &DAY));
    site.run_well("2024-04-03T02:00:00Z");
    story.push(told(&site, &DAY));
    site.run_well("2024-04-11T02:00:00Z");
    story.push(told(&site, &DAY));
    assert_snapshot!(story.join("\n"));
}

#[test]
fn each_thing_in_the_way_is_told_with_what_to_do() {
    let mut story = Vec::new();
    let mut unarmed = archived_under(POLICY);
    unarmed.armed.expired = false;
    story.push(told(&unarmed, &["why", "Audit", "2024-03-01", "--as-of", "2024-04-02"]));

    let mut night = archived_under(POLICY);
    consent(&night, "2024-04-02T03:00:00Z");
    night.window = Some(Window::parse("22:00/05:00").unwrap());
    story.push(told(&night, &["why", "Audit", "2024-03-01", "--as-of", "2024-04-02T12:00:00Z"]));

    let held = archived_under(POLICY);
    hold(&held, "2024-03-11T00:00:00Z");
    story.push(told(&held, &["why", "Audit", "2024-03-01", "--as-of", "2024-04-02"]));

    let shorter = POLICY.replace("30d", "5d");
    let shortened = archived_under(POLICY).with_policy(&shorter);
    shortened.run_well("2024-03-11T02:00:00Z");
    story.push(told(&shortened, &DAY));

    let unruled = archived_under(POLICY).with_policy(&POLICY.replace("Audit", "Other"));
    story.push(told(&unruled, &DAY));

    let foreign = archived_under(POLICY);
    consent(&foreign, "2024-04-02T03:00:00Z");
    let log = foreign.path().join("archive/tables/main/Audit/_delta_log");
    fs::copy(log.join(format!("{:020}.json", 0)), log.join(format!("{:020}.json", 1))).unwrap();
    story.push(told(&foreign, &["why", "Audit", "2024-03-01", "--as-of", "2024-04-03"]));
    assert_snapshot!(story.join("\n"));
}

#[test]
fn the_schedule_tells_the_latest_date() {
    let mut site = archived_under(&POLICY.replace("retain", "schedule = \"0 3 * * SUN\"\nretain"));
    site.schedule = Some("30 22 * * *".into());
    let own = told(&site, &DAY);
    assert!(own.contains("2024-04-14T03:00:00Z"), "the Sunday after 8 April\n{own}");
    let site = site.with_policy(POLICY);
    let settings = told(&site, &DAY);
    assert!(settings.contains("2024-04-08T22:30:00Z"), "{settings}");
}

/// Quarantine, what stays raw, and a late record that merged with nothing.
#[test]
fn a_day_that_is_kept_in_several_ways() {
    let policy =
        format!("{POLICY}[[table]]\nname = \"Live\"\nretain = \"30d\"\narchive = false\narchive_after = \"0d\"\n");
    let site = site_under(&policy);
    site.write("Live/2024/03/01/10/a.json", lines(&[record("2024-03-01T10:30:00Z", 1)]));
    site.run_well("2024-03-10T02:00:00Z");
    let late = [record("2024-03-01T10:45:00Z", 7), "broken".into(), record("2031-01-01T00:00:00Z", 8)];
    site.write("Audit/2024/03/02/11/late.json", lines(&late));
    site.run_well("2024-03-11T02:00:00Z");
    site.write("Audit/2024/03/11/00/broken.json", lines(&["also broken", &record("2024-03-11T00:30:00Z", 9)]));
    site.run_well("2024-03-11T03:00:00Z");
    let story = [
        told(&site, &DAY),
        told(&site, &["why", "Audit", "2024-03-11"]),
        told(&site, &["why", "main/Live", "2024-03-01"]),
        told(&site, &["why", "collector:Live/2024/03/01/10/a.json"]),
        told(&site, &["why", "Audit/2024/03/02/11/late.json"]),
    ];
    assert_snapshot!(story.join("\n"));
}

#[test]
fn a_raw_object_from_young_to_cleared() {
    let policy =
        POLICY.replace("archive_after = \"0d\"\nkeep_raw = \"0d\"", "archive_after = \"2d\"\nkeep_raw = \"7d\"");
    let mut site = site_under(&policy);
    site.armed.raw = false;
    let object = "Audit/2024/03/01/10/a.json";
    site.run_well("2024-03-01T12:00:00Z");
    let mut story = Vec::new();
    story.push(told(&site, &["why", object, "--as-of", "2024-03-02"]));
    story.push(told(&site, &["why", object, "--as-of", "2024-03-04"]));
    site.write("Audit/2024/03/01/10/copy.json", fs::read(site.raw_path(object)).unwrap());
    site.run_well("2024-03-10T02:00:00Z");
    story.push(told(&site, &["why", object]));
    story.push(told(&site, &["why", "Audit/2024/03/01/10/copy.json", "--as-of", "2024-03-18"]));
    site.armed.raw = true;
    site.run_well("2024-03-18T02:00:00Z");
    story.push(told(&site, &["why", object]));
    assert_snapshot!(story.join("\n"));
}

#[test]
fn what_is_not_there_is_told_with_the_nearest_that_is() {
    let site = archived_under(POLICY).with_settle(SignedDuration::from_hours(24));
    write_days(&site, &[9], 1);
    site.modify("Audit/2024/03/09/10/a.json", "2024-03-10T01:00:00Z");
    site.write("Audit/readme.txt", "hello");
    let story = [
        told(&site, &["why", "Audti", "2024-03-01"]),
        told(&site, &["why", "cde/Audit", "2024-03-01"]),
        told(&site, &["why", "Audit", "2024-03-05"]),
        told(&site, &["why", "Audit"]),
        told(&site, &["why", "Audit/2024/03/01/10/b.json"]),
        told(&site, &["why", "Audit/readme.txt"]),
        told(&site, &["why", "Audit/2024/03/09/10/a.json"]),
    ];
    assert_snapshot!(story.join("\n"));
}

/// The JSON has what the text has.
#[test]
fn json_for_programs() {
    let site = destroyed();
    write_days(&site, &[1], 1);
    site.run("2024-04-12T02:00:00Z");
    let (code, out, _) = site.holdfast(&["why", "Audit", "2024-03-01", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["day"].as_str(), json["gone"][0]["rows"].as_u64()), (0, Some("2024-03-01"), Some(3)));
    assert_eq!(json["rule"]["origin"]["line"], 3);
    assert!(at(json["now"].as_str().unwrap()) == at("2024-04-12T02:00:00Z"));
}
