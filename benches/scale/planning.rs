//! Planning at size: a million raw objects, and ten years of days in a hundred tables. No store, no clock in the decision.

use std::collections::BTreeMap;
use std::time::Instant;

use holdfast::ledger::{Armed, KnownTable, Segment, State};
use holdfast::names::TableName;
use holdfast::plan::{
    Allowance, Consents, Expiry, Inputs, Only, PlanDocument, TARGET_BYTES, Terms, clearings, decide, expiry, merges,
};
use holdfast::policy::{History, PolicyFile, PolicySet};
use holdfast::record::SetDigest;
use holdfast::source::{Period, RawObject};
use jiff::civil::{Date, date};
use jiff::{SignedDuration, Timestamp, ToSpan};

const TABLES: usize = 100;
const DAYS: usize = 3_650;
const OBJECTS: usize = 1_000_000;

/// Plans once, and says how long each part took.
pub fn plan() {
    let now: Timestamp = "2026-03-01T02:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let history = History::new(vec![(now, policies())]);
    let (state, objects) = (state(), objects(now));
    let began = Instant::now();
    let terms = Terms::new(&history);
    let inputs = Inputs {
        objects: &objects,
        terms: &terms,
        state: &state,
        allowance: &Allowance { armed: Armed { raw: true, expired: true }, shut: None },
        consents: &Consents { given: Vec::new(), needed: 1 },
        stopped: &BTreeMap::new(),
        now,
        only: &Only::default(),
        batch_bytes: 2 << 30,
    };
    let plan = timed("raw objects", || decide(&inputs));
    let (_, cleared) = timed("clearings", || clearings(&inputs));
    let days: Expiry = timed("days", || expiry(&inputs));
    let merging = timed("merges", || merges(&state, &history, now, TARGET_BYTES, 512 << 20, &|_| true));
    let document = timed("document", || PlanDocument::new(&inputs, "", &plan, &cleared, days, merging));
    println!("  planned in {:.2} s", began.elapsed().as_secs_f64());
    let bytes = timed("as JSON", || serde_json::to_vec(&document).map_or(0, |bytes| bytes.len()));
    println!("  {} raw objects, {} days, {bytes} bytes of JSON", document.objects.len(), document.days.len());
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    println!("  {what:<12} {:>6.2} s", began.elapsed().as_secs_f64());
    done
}

fn policies() -> PolicySet {
    let rules: String = (0..TABLES)
        .map(|number| format!("[[table]]\nname = \"Table{number}\"\nretain = \"{}d\"\n", 400 + number * 30))
        .collect();
    let file = PolicyFile { name: "all.toml".into(), text: format!("version = 1\n{rules}") };
    PolicySet::from_files(vec![file]).unwrap_or_else(|_| panic!("the policy is valid"))
}

fn first_day() -> Date {
    date(2016, 3, 1)
}

fn state() -> State {
    let mut state = State::default();
    for table in 0..TABLES {
        let mut known = KnownTable::new(TableName::new("main", format!("Table{table}")));
        for (number, day) in first_day().series(1.day()).take(DAYS).enumerate() {
            let path = format!("_hf_day={day}/_hf_part=main/0123456789ab-{number}-00000.parquet");
            let segment = Segment {
                path: path.clone(),
                day,
                part: "main".into(),
                bytes: 40 << 20,
                sha256: format!("{number:064}"),
                digest: SetDigest { rows: 400_000, ..SetDigest::default() },
                times: None,
                rest: None,
            };
            known.segments.insert(path, (segment, "0123456789ab-1".into()));
        }
        state.tables.insert(known.name.key(), known);
    }
    state
}

fn objects(now: Timestamp) -> Vec<RawObject> {
    (0..OBJECTS)
        .map(|number| {
            let hours = i64::try_from(number / TABLES).unwrap_or(0) % 9_000;
            let start = now - SignedDuration::from_hours(hours + 1);
            RawObject {
                source: "collector".into(),
                path: format!("Table{}/{hours}/{number}.json", number % TABLES),
                size: 1 << 20,
                modified: now,
                etag: None,
                table: TableName::new("main", format!("Table{}", number % TABLES)),
                period: Some(Period { start, end: start + SignedDuration::from_hours(1) }),
                format: None,
                aside_of: None,
            }
        })
        .collect()
}
