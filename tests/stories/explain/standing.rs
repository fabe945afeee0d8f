//! `status`: what somebody on call reads, and the exit code that woke him.

use holdfast::ledger::{Armed, Body, LocalLease};
use insta::assert_snapshot;

use super::{POLICY, append, archived_under, at, consent, hold, record, site_under, told};
use crate::site::{Site, lines};

fn code(site: &Site, arguments: &[&str]) -> i32 {
    site.holdfast(&[&["status"], arguments].concat()).0
}

fn ended(exit: u8) -> Body {
    Body::RunEnded { exit, batches: 0, rows: 0, cleared: 0, partial: false }
}

fn started() -> Body {
    Body::RunStarted { version: "0".into(), host: "story".into(), process: 1, armed: Armed::default() }
}

#[test]
fn from_the_first_run_to_a_decision_and_back() {
    let site = site_under(POLICY);
    let (code, _, beside) = site.holdfast(&["status"]);
    assert!(code == 1 && beside.contains("`holdfast run` creates it"), "{beside}");
    site.run_well("2024-03-10T02:00:00Z");
    let mut story = vec![told(&site, &["status", "--as-of", "2024-03-10T08:00:00Z"])];
    site.run("2024-04-02T02:00:00Z");
    story.push(told(&site, &["status", "--as-of", "2024-04-02T08:00:00Z"]));
    consent(&site, "2024-04-02T09:00:00Z");
    story.push(told(&site, &["status"]));
    site.run_well("2024-04-03T02:00:00Z");
    story.push(told(&site, &["status"]));
    assert_snapshot!(story.join("\n"));
}

#[test]
fn everything_at_once_fits_a_screen() {
    let mut site = site_under(POLICY);
    site.write("Audit/2024/03/02/11/late.json", lines(&["broken".to_owned(), record("2024-03-02T11:00:00Z", 7)]));
    site.run_well("2024-03-10T02:00:00Z");
    let site_shorter = POLICY.replace("30d", "20d").replace("\"7d\"", "\"7d\"\nshorten_grace = \"60d\"");
    site = site.with_policy(&site_shorter);
    site.run("2024-03-11T02:00:00Z");
    hold(&site, "2024-03-11T03:00:00Z");
    site.armed.expired = false;
    site.write("Audit/2024/04/01/11/new.json", lines(&[record("2024-04-01T11:00:00Z", 8)]));
    assert_snapshot!(told(&site, &["status", "--as-of", "2024-04-05"]));
}

#[test]
fn a_run_that_never_ended_and_one_that_is_under_way() {
    let site = archived_under(POLICY);
    append(&site, "2024-03-11T02:00:00Z", started());
    let killed = told(&site, &["status"]);
    let holder = r#"{"host":"archive-1","process":4711,"since":"2024-03-11T02:00:00Z"}"#;
    let lease = LocalLease::take(&site.path().join("archive/ledger"), holder).unwrap();
    let under_way = told(&site, &["status"]);
    drop(lease);
    assert_eq!(told(&site, &["status"]), killed, "to look takes nothing");
    assert_snapshot!(format!("{killed}\n{under_way}"));
}

/// Whoever agreed before a day was put back has not agreed to its going again: no approval is said to be under way.
#[test]
fn what_was_put_back_is_not_called_approved() {
    let site = archived_under(POLICY);
    site.run("2024-04-02T02:00:00Z");
    consent(&site, "2024-04-02T03:00:00Z");
    assert!(told(&site, &["status"]).contains("\napproved "));
    site.run_well("2024-04-03T02:00:00Z");
    let (code, ..) = site.holdfast(&["reinstate", "Audit", "2024-03-02"]);
    assert_eq!(code, 0);
    let told = told(&site, &["status"]);
    assert!(told.contains("put back by a person") && !told.contains("\napproved "), "{told}");
}

/// What a run is just committing is no news about others.
#[test]
fn a_foreign_commit_is_told_unless_a_run_is_under_way() {
    let site = archived_under(POLICY);
    site.run("2024-04-02T02:00:00Z");
    consent(&site, "2024-04-02T03:00:00Z");
    let log = site.path().join("archive/tables/main/Audit/_delta_log");
    std::fs::copy(log.join(format!("{:020}.json", 0)), log.join(format!("{:020}.json", 1))).unwrap();
    let told = told(&site, &["status"]);
    assert!(told.starts_with("$ holdfast status\nDECIDE: looking at the table main/Audit"), "{told}");
    assert!(told.contains("`holdfast adopt main/Audit --reason …`") && told.ends_with("--- exit 4\n"), "{told}");
    let _lease = LocalLease::take(&site.path().join("archive/ledger"), "me").unwrap();
    assert_eq!(code(&site, &[]), 0);
}

#[test]
fn the_exit_code_is_the_one_that_matters_most() {
    let site = archived_under(POLICY);
    assert_eq!(code(&site, &["--as-of", "2024-03-12T02:00:00Z"]), 0);
    assert_eq!(code(&site, &["--as-of", "2024-03-12T02:00:01Z"]), 1, "48 h without a run");
    for (hour, exit) in [(3, 3), (4, 4), (5, 5), (6, 1)] {
        append(&site, &format!("2024-03-10T{hour:02}:00:00Z"), ended(exit));
        assert_eq!(code(&site, &[]), i32::from(exit));
    }
    append(&site, "2024-03-10T07:00:00Z", ended(0));
    assert_eq!(code(&site, &[]), 0, "what ended well since is what counts");
    let (_, out, _) = site.holdfast(&["status", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((json["exit_code"].as_u64(), json["runs"]["last"]["exit"].as_u64()), (Some(0), Some(0)));
    assert_eq!(at(json["runs"]["last_success"]["at"].as_str().unwrap()), at("2024-03-10T07:00:00Z"));
}

/// By a schedule, two missed firings are too many, and one is not.
#[test]
fn missed_firings() {
    let mut site = archived_under(POLICY);
    site.schedule = Some("0 2 * * SUN".into());
    // 10 March 2024 is a Sunday.
    assert_eq!(code(&site, &["--as-of", "2024-03-23T00:00:00Z"]), 0, "one week was missed");
    assert_eq!(code(&site, &["--as-of", "2024-03-24T03:00:00Z"]), 1, "two were");
    append(&site, "2024-03-24T03:00:00Z", Body::RunEnded { exit: 0, batches: 0, rows: 0, cleared: 0, partial: true });
    assert_eq!(code(&site, &["--as-of", "2024-03-24T04:00:00Z"]), 1, "a run of one table is not that of all");
}
