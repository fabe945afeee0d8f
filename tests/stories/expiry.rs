//! A day's life in real runs: archived, retired, put back, destroyed, without a trace (I3, I4).

use std::fs;
use std::process::Command;

use crate::expiring::{days, defaults, record};
use crate::site::Site;

const KEYS: &str = "retain = \"3d\"\npurge_delay = \"2d\"";

/// Four days, archived and cleared on the fourth.
fn site() -> Site {
    let site = Site::new().expiring(&defaults(KEYS));
    site.write_days("T", &["2024-03-01", "2024-03-02", "2024-03-03", "2024-03-04"]);
    assert_eq!(site.run_well("2024-03-04T12:00:00Z").cleared, 4);
    site
}

/// The first day is retired, by consent, on the fifth.
fn retired() -> Site {
    let site = site();
    site.approve("2024-03-05T00:00:00Z", "ann");
    assert_eq!(days(&site.run_well("2024-03-05T01:00:00Z").expiring.retired), ["2024-03-01"]);
    site
}

fn rows(site: &Site) -> usize {
    site.restore("main/T").len()
}

/// I3, I4: on its days, not a second earlier, and then nothing of it is left.
#[test]
fn i4_a_day_is_retired_waits_is_destroyed_and_leaves_no_trace() {
    let site = site();
    let paths = site.segment_paths("main/T");
    let first = paths.iter().find(|path| path.contains("2024-03-01")).unwrap().clone();
    assert!(site.run_well("2024-03-04T23:59:59Z").expiring.waiting.is_empty());
    let report = site.run("2024-03-05T00:00:00Z");
    assert_eq!((report.exit_code(), rows(&site)), (4, 4), "the first under its rule asks");
    site.approve("2024-03-05T00:00:00Z", "ann");
    let report = site.run_well("2024-03-05T01:00:00Z");
    assert_eq!((days(&report.expiring.retired), report.expiring.destroyed.len()), (vec!["2024-03-01".into()], 0));
    assert_eq!((rows(&site), site.segment_paths("main/T").len()), (3, 4), "out of the table, its bytes still there");
    site.verify_well();

    // The next night, unasked; and not yet a second before its date.
    assert_eq!(days(&site.run_well("2024-03-06T02:00:00Z").expiring.retired), ["2024-03-02"]);
    assert!(site.run_well("2024-03-06T23:59:59Z").expiring.destroyed.is_empty());
    assert_eq!(site.segment_paths("main/T"), paths);
    let report = site.run_well("2024-03-07T00:00:00Z");
    assert_eq!(
        (days(&report.expiring.destroyed), days(&report.expiring.retired)),
        (vec!["2024-03-01".into()], vec!["2024-03-03".into()])
    );
    assert!(report.expiring.trimmed > 0, "{:?}", report.expiring);
    assert_eq!((rows(&site), site.segment_paths("main/T")), (1, paths[1..].to_vec()));
    assert_eq!(site.that_name(&[first]), [""; 0]);
    site.verify_well();

    // To the last day: the table ends.
    for (now, day) in [("2024-03-08T00:00:00Z", 2), ("2024-03-09T00:00:00Z", 3), ("2024-03-10T00:00:00Z", 4)] {
        let report = site.run_well(now);
        assert_eq!(days(&report.expiring.destroyed), [format!("2024-03-0{day}")], "{now}");
        assert_eq!(site.that_name(&paths[..day]), [""; 0], "{now}");
        site.verify_well();
    }
    assert_eq!((rows(&site), site.segments("main/T").len()), (0, 0));
    // Day after day nothing more happens.
    let report = site.run_well("2024-03-11T00:00:00Z");
    assert!(report.expiring.retired.is_empty() && report.expiring.destroyed.is_empty() && report.expiring.trimmed == 0);
    let expired: u64 = site.destroyed().iter().filter(|(proof, _)| proof == "expired").map(|(_, count)| count).sum();
    assert_eq!(expired, 4);
}

/// Whoever puts a destroyed file back is found.
#[test]
fn a_destroyed_file_that_comes_back_is_found() {
    let site = retired();
    let path = site.segments("main/T").remove(0);
    let bytes = fs::read(&path).unwrap();
    site.run_well("2024-03-07T00:00:00Z");
    assert!(!path.exists());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    let found = site.verify();
    assert_eq!(found.exit_code(), 5);
    assert!(
        found.damage[0].what.contains("2024-03-01") && found.damage[0].why.contains("destroyed it"),
        "{:?}",
        found.damage
    );
}

/// Steady nights in real runs: after the first consent nobody is asked, each day goes on its day.
#[test]
fn steady_nights_ask_once() {
    let site = Site::new().expiring(&defaults("retain = \"1d\"\npurge_delay = \"1d\""));
    for number in 1..=12 {
        site.write_day("T", &format!("2024-03-{number:02}"));
        let now = format!("2024-03-{:02}T02:00:00Z", number + 1);
        if number == 2 {
            site.run(&now);
            site.approve(&now, "ann");
        }
        let report = site.run_well(&now);
        let expected: Vec<String> = (number > 1).then(|| format!("2024-03-{:02}", number - 1)).into_iter().collect();
        assert_eq!(days(&report.expiring.retired), expected, "{now}");
        let expected: Vec<String> = (number > 2).then(|| format!("2024-03-{:02}", number - 2)).into_iter().collect();
        assert_eq!(days(&report.expiring.destroyed), expected, "{now}");
    }
    assert_eq!(site.entries().iter().filter(|entry| entry["kind"] == "approved").count(), 1);
    site.verify_well();
}

/// What a person put back is not retired again unasked, and with it the whole table waits.
#[test]
fn what_was_put_back_by_hand_asks_before_it_goes_again() {
    let site = retired();
    assert_eq!(days(&site.reinstate("2024-03-01", "2024-03-05T12:00:00Z").unwrap()), ["2024-03-01"]);
    assert_eq!(rows(&site), 4);
    let error = site.reinstate("2024-03-01", "2024-03-05T12:30:00Z").unwrap_err();
    assert!(error.reason().contains("nothing of that day is retired"), "{error}");
    for now in ["2024-03-06T00:00:00Z", "2024-03-07T00:00:00Z"] {
        let report = site.run(now);
        assert_eq!((report.exit_code(), report.expiring.retired.len(), rows(&site)), (4, 0, 4), "{now}");
    }
    let waiting = site.run("2024-03-07T01:00:00Z").expiring.waiting;
    assert!(waiting[0].blockers[0].to_string().contains("a person put it back"), "{waiting:?}");
    assert_eq!(site.approve("2024-03-07T02:00:00Z", "ann").days.len(), 3);
    assert_eq!(site.run_well("2024-03-07T03:00:00Z").expiring.retired.len(), 3);
    // By consent: the whole purge_delay from now on, though its date had come.
    assert!(site.run_well("2024-03-08T23:59:59Z").expiring.destroyed.is_empty());
    assert_eq!(
        days(&site.run_well("2024-03-09T00:00:00Z").expiring.destroyed),
        ["2024-03-01", "2024-03-02", "2024-03-03"]
    );
    site.verify_well();
}

#[test]
fn a_longer_rule_puts_back_and_shortening_it_again_waits() {
    let mut site = retired();
    site.policies = defaults("retain = \"9d\"\npurge_delay = \"2d\"");
    let report = site.run_well("2024-03-06T00:00:00Z");
    assert_eq!((days(&report.expiring.reinstated), rows(&site)), (vec!["2024-03-01".into()], 4));
    site.policies = defaults(KEYS);
    let report = site.run_well("2024-03-07T00:00:00Z");
    assert_eq!((report.expiring.waiting.len(), rows(&site)), (3, 4), "{:?}", report.expiring.waiting);
    site.verify_well();
}

#[test]
fn a_hold_puts_back_and_keeps_until_it_is_released() {
    let site = retired();
    site.hold("2024-03-05T12:00:00Z");
    let report = site.run_well("2024-03-06T00:00:00Z");
    assert_eq!((days(&report.expiring.reinstated), rows(&site)), (vec!["2024-03-01".into()], 4));
    let report = site.run_well("2024-03-09T00:00:00Z");
    assert!(report.expiring.retired.is_empty() && report.expiring.destroyed.is_empty());
    assert_eq!(report.expiring.waiting.len(), 4, "what the hold keeps is told");
    site.release("2024-03-09T12:00:00Z");
    site.run("2024-03-10T00:00:00Z");
    site.approve("2024-03-10T00:00:00Z", "ann");
    site.run_well("2024-03-10T01:00:00Z");
    site.run_well("2024-03-12T00:00:00Z");
    assert_eq!((rows(&site), site.segments("main/T").len()), (0, 0));
    site.verify_well();
}

/// Quarantine counts from its arrival.
#[test]
fn quarantine_goes_under_its_own_clock() {
    let site = Site::new().expiring(&defaults("retain = \"30d\"\nquarantine_retain = \"2d\""));
    site.write("T/2024/03/01/10/a", record("2024-03-01T10:00:00Z", 1) + "broken\n");
    site.run_well("2024-03-02T12:00:00Z");
    let files = || crate::site::bytes_below(&site.path().join("archive/quarantine")).len();
    assert_eq!((files(), site.quarantine().len()), (2, 1));
    site.run_well("2024-03-04T23:59:59Z");
    assert_eq!(files(), 2);
    let report = site.run_well("2024-03-05T00:00:00Z");
    assert_eq!((days(&report.expiring.destroyed), files(), rows(&site)), (vec!["2024-03-02".to_owned()], 0, 1));
    assert!(site.quarantine().is_empty());
    site.verify_well();
}

/// The plan in words, where much happens at once.
#[test]
fn the_plan_in_words() {
    let site = Site::new().expiring(&defaults(KEYS));
    for number in 1..=6 {
        for table in ["T", "Longer", "Raw"] {
            site.write_day(table, &format!("2024-03-0{number}"));
        }
    }
    let table = |name: &str, keys: &str| format!("[[table]]\nname = \"{name}\"\n{keys}\n");
    let policy = |longer: &str| {
        let raw = table("Raw", "archive = false\nretain = \"30d\"");
        format!("{}{}{raw}", defaults(KEYS), table("Longer", &format!("retain = \"{longer}\"")))
    };
    let mut site = site;
    site.policies = policy("90d");
    site.run("2024-03-05T12:00:00Z");
    site.approve("2024-03-05T12:00:00Z", "ann");
    site.run_well("2024-03-05T13:00:00Z");
    site.run_well("2024-03-06T13:00:00Z");
    site.write_day("New", "2024-03-02");
    site.run("2024-03-06T14:00:00Z");
    site.write_day("T", "2024-03-07");
    site.policies = policy("3d");
    let text = |path: &str, text: String| {
        fs::create_dir_all(site.path().join(path).parent().unwrap()).unwrap();
        fs::write(site.path().join(path), text).unwrap();
    };
    text("policies/policy.toml", site.policies.clone());
    let source = "[[source]]\nname = \"collector\"\nurl = \"collector\"\nlayout = \"{table}/{year}/{month}/{day}/{hour}/*\"\nsettle = \"0s\"\n";
    let delete = "[delete]\nraw = true\nexpired = true\n";
    text(
        "holdfast.toml",
        format!("archive = \"archive\"\npolicies = \"policies\"\nsimulation = true\n{delete}{source}"),
    );
    let plan = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.arg("--config").arg(site.path().join("holdfast.toml")).args([
            "plan",
            "--as-of",
            "2024-03-07T12:00:00Z",
        ]);
        command.env_remove("HOLDFAST_LOG").env("NO_COLOR", "1").current_dir(site.path()).output().unwrap()
    };
    let output = plan();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.as_bytes(), plan().stdout, "I5: the same plan again");
    insta::assert_snapshot!(said, @r#"
    plan for archive 00000002 as of 2024-03-07T12:00:00Z, ledger entry 47, policy 7b3efefb52e0…

    DESTROY: 1 day, 1 row, 1.2 kB
      table   which       days  rows   bytes  rule
      main/T  2024-03-01     1     1  1.2 kB  policy.toml:2

    RETIRE: 1 day, 1 row, 1.2 kB; destroyed from 2024-03-09
      table   which       days  rows   bytes  rule
      main/T  2024-03-03     1     1  1.2 kB  policy.toml:2

    DUE, BUT WAITS: 4 days, 4 rows, 4.9 kB
      table        which                    days  rows   bytes  rule
      main/Longer  2024-03-01 … 2024-03-03     3     3  3.7 kB  policy.toml:7  its rule was shortened on 2024-03-07: waits until 2024-04-07
      main/New     2024-03-02                  1     1  1.2 kB  policy.toml:2  needs approval: it would be the first retirement in this table under this rule

    retired: 1 day, 1 row, 1.2 kB; destroyed from 2024-03-08
      table   which       days  rows   bytes  rule
      main/T  2024-03-02     1     1  1.2 kB  policy.toml:2

    ARCHIVE: 1 raw object, 47 B
      table   days        objects  bytes  rule
      main/T  2024-03-07        1   47 B  policy.toml:2  archive_after has passed

    raw, kept: 6 raw objects, 282 B
      table     days                     objects  bytes  rule
      main/Raw  2024-03-01 … 2024-03-06        6  282 B  policy.toml:10  stays raw (archive = false)

    kept: 12 days, 12 rows, 7.6 kB
      table           which                    days  rows   bytes  rule
      main/Longer     2024-03-04 … 2024-03-06     3     3  3.7 kB  policy.toml:7   the first expires on 2024-04-07
      main/Raw (raw)  2024-03-01 … 2024-03-06     6     6   282 B  policy.toml:10  the first expires on 2024-04-03
      main/T          2024-03-04 … 2024-03-06     3     3  3.6 kB  policy.toml:2   the first expires on 2024-03-08

    to consent: holdfast plan --out plan.json, then holdfast approve plan.json --reason "…"
    "#);
}
