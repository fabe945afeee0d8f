//! I5: deciding is pure. The same objects, policies, state and `now` give the same plan; every object has a reason.

use std::collections::BTreeMap;

use holdfast::ledger::State;
use holdfast::names::TableName;
use holdfast::plan::{Allowance, Consents, Inputs, Only, Plan, Terms, decide};
use holdfast::policy::{History, PolicyFile, PolicySet};
use holdfast::source::{Period, RawObject};
use jiff::{SignedDuration, Timestamp};

const POLICY: &str = r#"
version = 1
[[table]]
name = "SecurityEvent"
retain = "730d"
archive_after = "2d"
[[table]]
name = "Live"
retain = "30d"
archive = false
"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn object(table: &str, hour: &str, size: u64) -> RawObject {
    let start = at(hour);
    RawObject {
        source: "collector".into(),
        path: format!("{table}/{hour}.json"),
        size,
        modified: at("2024-03-09T00:00:00Z"),
        etag: None,
        table: TableName::new("main", table),
        period: Some(Period { start, end: start + SignedDuration::from_hours(1) }),
        format: None,
        aside_of: None,
    }
}

fn plan(objects: &[RawObject], only: &[TableName], batch_bytes: u64) -> Plan {
    let file = PolicyFile { name: "all.toml".into(), text: POLICY.into() };
    let now = at("2024-03-10T00:00:00Z");
    let history = History::new(vec![(now, PolicySet::from_files(vec![file]).unwrap())]);
    decide(&Inputs {
        objects,
        terms: &Terms::new(&history),
        state: &State::default(),
        allowance: &Allowance::default(),
        consents: &Consents::default(),
        stopped: &BTreeMap::new(),
        now,
        only: &Only { tables: only.to_vec(), schedules: None },
        batch_bytes,
    })
}

/// Batches and reasons, a line each.
fn told(plan: &Plan) -> Vec<String> {
    let batches = plan.archive.iter().map(|batch| {
        let paths: Vec<&str> = batch.objects.iter().map(|planned| planned.object.path.as_str()).collect();
        let act = if batch.stays_raw { "read" } else { "archive" };
        format!("{act} {}: {}", batch.table, paths.join(" "))
    });
    let kept = plan.kept.iter().map(|verdict| format!("keep {}: {}", verdict.path, verdict.reason));
    batches.chain(kept).collect()
}

#[test]
fn every_object_has_a_verdict_and_a_reason() {
    let objects = [
        object("SecurityEvent", "2024-03-07T22:00:00Z", 10),
        // Its hour ends exactly two days before now, and one that ends an hour later.
        object("SecurityEvent", "2024-03-07T23:00:00Z", 10),
        object("SecurityEvent", "2024-03-08T00:00:00Z", 10),
        object("Live", "2024-03-01T00:00:00Z", 10),
        object("Unknown", "2024-03-01T00:00:00Z", 10),
    ];
    assert_eq!(
        told(&plan(&objects, &[], 1_000)),
        [
            "read main/Live: Live/2024-03-01T00:00:00Z.json",
            "archive main/SecurityEvent: SecurityEvent/2024-03-07T22:00:00Z.json SecurityEvent/2024-03-07T23:00:00Z.json",
            "keep SecurityEvent/2024-03-08T00:00:00Z.json: younger than archive_after: waits until 2024-03-10T01:00:00Z",
            "keep Unknown/2024-03-01T00:00:00Z.json: no rule names its table, and there are no [defaults]: kept",
        ]
    );
}

#[test]
fn batches_are_bounded_and_oldest_first() {
    let objects = [
        object("SecurityEvent", "2024-03-03T00:00:00Z", 60),
        object("SecurityEvent", "2024-03-01T00:00:00Z", 60),
        object("SecurityEvent", "2024-03-02T00:00:00Z", 40),
        object("SecurityEvent", "2024-03-04T00:00:00Z", 500),
    ];
    assert_eq!(
        told(&plan(&objects, &[], 100)),
        [
            "archive main/SecurityEvent: SecurityEvent/2024-03-01T00:00:00Z.json SecurityEvent/2024-03-02T00:00:00Z.json",
            "archive main/SecurityEvent: SecurityEvent/2024-03-03T00:00:00Z.json",
            "archive main/SecurityEvent: SecurityEvent/2024-03-04T00:00:00Z.json",
        ]
    );
}

#[test]
fn only_what_was_asked_for() {
    let objects = [object("SecurityEvent", "2024-03-01T00:00:00Z", 1), object("Unknown", "2024-03-01T00:00:00Z", 1)];
    let only = [TableName::new("main", "unknown")];
    assert_eq!(
        told(&plan(&objects, &only, 100)),
        [
            "keep SecurityEvent/2024-03-01T00:00:00Z.json: not asked for",
            "keep Unknown/2024-03-01T00:00:00Z.json: no rule names its table, and there are no [defaults]: kept",
        ]
    );
}

/// I5: byte for byte.
#[test]
fn the_same_inputs_give_the_same_plan() {
    let objects = [object("SecurityEvent", "2024-03-01T00:00:00Z", 1), object("Unknown", "2024-03-01T00:00:00Z", 1)];
    let text = || serde_json::to_string(&plan(&objects, &[], 100)).unwrap();
    assert_eq!(text(), text());
    let mut reversed = objects.to_vec();
    reversed.reverse();
    assert_eq!(told(&plan(&objects, &[], 100))[0], told(&plan(&reversed, &[], 100))[0]);
}
