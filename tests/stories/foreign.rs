//! Others write to a table of ours: nothing is destroyed there until a person looked and adopted it (DESIGN §7).

use std::fs;

use holdfast::names::TableName;
use holdfast::pipeline::adopt;
use serde_json::{Value, json};

use crate::expiring::{at, days, defaults};
use crate::faults::{Fault, Faults};
use crate::site::Site;
use crate::world::{World, run_at};

const KEYS: &str = "retain = \"3d\"\npurge_delay = \"2d\"";

/// Three days; the first is due on the fifth, and approved.
fn site() -> Site {
    let site = Site::new().expiring(&defaults(KEYS));
    site.write_days("T", &["2024-03-01", "2024-03-02", "2024-03-03"]);
    site.run_well("2024-03-04T00:00:00Z");
    site.write_day("Other", "2024-03-01");
    site.run_well("2024-03-04T01:00:00Z");
    site.approve("2024-03-05T00:00:00Z", "ann");
    site
}

fn remove(add: &Value) -> Value {
    json!({"remove": {"path": add["path"], "dataChange": true, "deletionTimestamp": 1_709_500_000_000_u64,
        "extendedFileMetadata": true, "partitionValues": add["partitionValues"], "size": add["size"]}})
}

/// Another tool writes the rows of a day anew.
fn rewrite(site: &Site, day: &str) {
    let mut add = site.add_action(day);
    let gone = remove(&add);
    let path = site.segments("main/T").into_iter().find(|path| path.to_string_lossy().contains(day)).unwrap();
    fs::copy(&path, path.with_file_name("optimized.parquet")).unwrap();
    let old = add["path"].as_str().unwrap();
    add["path"] = format!("{}/optimized.parquet", old.rsplit_once('/').unwrap().0).into();
    site.commit_by_hand(&[gone, json!({ "add": add })]);
}

/// The table that others changed waits whole; the rest goes on.
fn stops(site: &Site, now: &str) {
    site.write_day("T", "2024-03-04");
    let (raw, segments) = (site.raw(), site.segment_paths("main/T"));
    let report = site.run(now);
    assert_eq!(report.exit_code(), 4, "{:?}", report.errors);
    assert!(report.errors.iter().any(|error| error.reason().contains("somebody else")), "{:?}", report.errors);
    assert!(report.expiring.retired.iter().all(|verdict| verdict.item.table.table == "Other"));
    assert_eq!(report.expiring.retired.len(), 1, "the other table goes on");
    assert_eq!((site.raw(), site.segment_paths("main/T")), (raw, segments));
    let found = site.verify();
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    assert_eq!(found.exit_code(), 4);
    assert!(found.foreign.iter().any(|finding| finding.what.starts_with("Delta commit")), "{:?}", found.foreign);
}

#[test]
fn a_table_that_others_rewrote_waits_until_it_is_adopted() {
    let site = site();
    rewrite(&site, "2024-03-02");
    stops(&site, "2024-03-05T01:00:00Z");
    let adoption = site.adopt("2024-03-05T02:00:00Z").unwrap();
    assert!(adoption.same_rows && adoption.rows_added == 1 && adoption.commits.len() == 1, "{adoption:?}");
    assert!(adoption.added[0].ends_with("optimized.parquet"), "{adoption:?}");
    let error = site.adopt("2024-03-05T03:00:00Z").unwrap_err();
    assert!(error.reason().contains("every commit in it is ours"), "{error}");
    site.verify_well();

    let report = site.run_well("2024-03-05T04:00:00Z");
    assert_eq!((days(&report.expiring.retired), report.cleared), (vec!["2024-03-01".into()], 1));
    assert_eq!(site.restore("main/T").len(), 3);
    // The old file of the second of March stays until its own date, and then goes with the new one.
    let second = |site: &Site| site.segment_paths("main/T").iter().filter(|path| path.contains("03-02")).count();
    site.run_well("2024-03-06T00:00:00Z");
    site.run_well("2024-03-07T00:00:00Z");
    assert_eq!(second(&site), 2);
    site.run_well("2024-03-08T00:00:00Z");
    assert_eq!(second(&site), 0);
    assert_eq!(site.that_name(&["optimized.parquet".into()]), [""; 0]);
    site.verify_well();
}

#[test]
fn rows_that_others_took_out_are_told_and_stay_until_their_date() {
    let site = site();
    site.commit_by_hand(&[remove(&site.add_action("2024-03-02"))]);
    stops(&site, "2024-03-05T01:00:00Z");
    let adoption = site.adopt("2024-03-05T02:00:00Z").unwrap();
    assert!(!adoption.same_rows, "{adoption:?}");
    assert_eq!((adoption.rows_added, adoption.rows_removed, adoption.removed.len()), (0, 1, 1));
    let path = adoption.removed[0].clone();
    site.run_well("2024-03-05T04:00:00Z");
    assert_eq!(site.restore("main/T").len(), 2);
    site.run_well("2024-03-07T00:00:00Z");
    assert!(site.segment_paths("main/T").contains(&path), "its date is the eighth");
    site.run_well("2024-03-08T00:00:00Z");
    assert!(!site.segment_paths("main/T").contains(&path));
    assert_eq!(site.that_name(&[path]), [""; 0]);
    site.verify_well();
}

/// More than files was changed: that cannot be taken over.
#[test]
fn a_commit_that_changes_more_than_files_is_not_adopted() {
    let site = site();
    let properties = json!({"domainMetadata": {"domain": "x", "configuration": "{}", "removed": false}});
    site.commit_by_hand(&[properties]);
    let error = site.adopt("2024-03-05T02:00:00Z").unwrap_err();
    assert!(error.hint().is_some(), "{error}");
    assert!(!site.entries().iter().any(|entry| entry["kind"] == "adopted"));
}

/// A batch that was prepared when others committed is rolled forward after their commit was adopted.
#[test]
fn a_batch_prepared_beside_a_foreign_commit_is_rolled_forward_after_adoption() {
    let policy = "version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"365d\"\n";
    let world = World::new(policy);
    let write = |world: &World, day: u32| {
        let record = format!("{{\"TimeGenerated\":\"2024-03-0{day}T01:00:00Z\",\"n\":{day}}}\n");
        world.write(&format!("collector/T/2024/03/0{day}/a.json"), record);
    };
    write(&world, 1);
    assert!(world.run("2024-03-02T00:00:00Z").unwrap().errors.is_empty());
    write(&world, 2);
    let (dry, faults) = (world.fork(), Faults::none());
    run_at(&dry.context(Some(&faults), None), "2024-03-03T00:00:00Z").unwrap();
    let (version, log) = (dry.chain().unwrap().state().tables["main/t"].version, "tables/main/T/_delta_log");
    let commit = format!("{log}/{version:020}.json");
    let calls = faults.calls();
    let n = calls.iter().position(|call| call.writes() && call.path.ends_with(&commit)).unwrap() - 1;
    // Dead just before its commit: `prepared` stands.
    drop(run_at(&world.context(Some(&Faults::at(n, Fault::DieAfter)), None), "2024-03-03T00:00:00Z"));
    assert!(!world.path(&format!("archive/{commit}")).exists());
    world.write(
        &format!("archive/{commit}"),
        "{\"commitInfo\":{\"timestamp\":1709500000000,\"operation\":\"OPTIMIZE\"}}\n",
    );

    let report = world.run("2024-03-04T00:00:00Z").unwrap();
    assert_eq!(report.exit_code(), 4, "{:?}", report.errors);
    assert!(report.recovered.is_empty());
    let adoption =
        adopt(&world.context(None, None), &TableName::new("main", "T"), "a story", at("2024-03-04T01:00:00Z"));
    assert!(adoption.unwrap().same_rows);
    let report = world.run("2024-03-04T02:00:00Z").unwrap();
    assert_eq!((report.exit_code(), report.recovered.len()), (0, 1), "{:?}", report.errors);
    let rows: usize = world.seen().records.values().map(Vec::len).sum();
    assert_eq!(rows, 2, "I1, I2");
    assert_eq!(world.verify().unwrap().exit_code(), 0);
}
