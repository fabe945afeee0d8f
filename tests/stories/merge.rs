//! Small segments become one, and nobody who restores can tell (I1, I2, I9); a run that is killed on the way leaves what
//! was there, or what should be there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use holdfast::archive::Table;
use holdfast::error::Result;
use holdfast::ledger::{Armed, KnownTable};
use holdfast::names::TableName;
use holdfast::pipeline::RunReport;
use holdfast::restore::RecordSink;
use jiff::civil::Date;

use crate::faults::{Call, Fault, Faults};
use crate::real_logs::{POLICY as REAL_POLICY, WITH_TIME, elements, files, split_lines, zipped};
use crate::site::{Site, lines, shared};
use crate::world::{World, for_all, run_at};

/// What a table restores.
#[derive(Default, PartialEq, Eq, Debug)]
struct Days(BTreeMap<Date, Vec<Vec<u8>>>);

impl RecordSink for Days {
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()> {
        self.0.entry(day).or_default().push(record.to_vec());
        Ok(())
    }
}

/// The records of each day, byte for byte, sorted.
fn restored(site: &Site, table: &TableName) -> Days {
    let mut days = Days::default();
    let manifest = site.restore_into(&table.to_string(), &mut days);
    assert!(manifest.unseen.damaged.is_empty(), "{:?}", manifest.unseen.damaged);
    days.0.values_mut().for_each(|records| records.sort());
    days
}

/// Eight records from all over each real log at hand, by its name; shorter logs are repeated.
fn real_logs() -> Option<BTreeMap<String, Vec<Vec<u8>>>> {
    let folder = shared("data/real")?;
    let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    for path in files(&folder.join("panther"), "ndjson") {
        found.insert(name(&path), split_lines(&fs::read(&path).unwrap()));
    }
    for path in files(&folder.join("sentinel-sample"), "json") {
        found.insert(name(&path), elements(&fs::read(&path).unwrap(), 1));
    }
    let trails = files(&folder.join("cloudtrail"), "json");
    found.insert("cloudtrail".into(), trails.iter().flat_map(|path| elements(&fs::read(path).unwrap(), 2)).collect());
    for path in files(&folder.join("otrf"), "Zip").iter().chain(&files(&folder.join("otrf"), "zip")) {
        found.insert(name(path), zipped(path).concat());
    }
    let some = |records: &Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        records.iter().step_by(records.len().div_ceil(8)).cycle().take(8).cloned().collect()
    };
    Some(found.iter().map(|(name, records)| (name.clone(), some(records))).collect())
}

/// I1, I9: all kinds of real logs come back from one segment as they did from one for each record.
#[test]
fn i9_every_real_log_comes_back_from_a_merged_segment() {
    let Some(logs) = real_logs() else { return };
    assert_eq!(logs.len(), 20 + 5 + 1 + 4);
    let mut site = Site::new().with_policy(REAL_POLICY).with_source("events", "event", "{table}/*");
    site.armed = Armed { raw: false, expired: true };
    // Run by run a record comes to each table: no two are in one segment.
    for number in 0..8 {
        for (table, records) in &logs {
            // Records that come again are no copies of an object: blank lines tell them apart.
            let object = [lines(&records[number..=number]), vec![b'\n'; number]].concat();
            site.write(&format!("{table}/2027/01/01/00/some{number}"), object.clone());
            if WITH_TIME.contains(&table.as_str()) {
                let folder = site.path().join("events").join(table);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(format!("some{number}")), object).unwrap();
            }
        }
        site.run_well("2027-01-01T08:00:00Z");
    }
    let state = site.chain();
    let tables: Vec<&KnownTable> = state.state().tables.values().collect();
    assert_eq!(tables.len(), logs.len() + WITH_TIME.len());
    let before: Vec<Days> = tables.iter().map(|table| restored(&site, &table.name)).collect();

    assert!(site.run_well("2027-01-03T07:59:59Z").merged.is_empty(), "records came less than 48 hours ago");
    let report = site.run_well("2027-01-03T08:00:00Z");
    for (table, before) in tables.iter().zip(&before) {
        let name = &table.name;
        assert!(*before == restored(&site, name), "{name} restores something else");
        let days = before.0.values().filter(|records| records.len() >= 8).count();
        let rows: usize = before.0.values().filter(|records| records.len() >= 8).map(Vec::len).sum();
        let merged: Vec<_> = report.merged.iter().filter(|merged| merged.table == *name).collect();
        assert_eq!(merged.len(), days, "{name}");
        assert_eq!(merged.iter().map(|merged| merged.segments).sum::<u64>(), rows as u64, "{name}");
        let live = Table::open(&site.archive(), name).unwrap().files().unwrap().len();
        assert_eq!(live, table.segments.len() - rows + days, "{name}");
    }
    assert!(report.merged.len() >= logs.len());
    assert!(site.run_well("2027-01-04T00:00:00Z").merged.is_empty(), "nothing is left to merge");
}

const POLICY: &str = "version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"365d\"\n";
const MERGES: &str = "2024-03-10T00:00:00Z";

/// Eight small segments of one day.
fn small_segments() -> World {
    let world = World::new(POLICY);
    for number in 0..8 {
        let record = format!("{{\"TimeGenerated\":\"2024-03-01T{:02}:00:00Z\",\"n\":{number}}}\n", (number * 5) % 24);
        world.write(&format!("collector/T/2024/03/01/{number}.json"), record);
        assert!(world.run("2024-03-02T00:00:00Z").unwrap().errors.is_empty());
    }
    world
}

fn merge(world: &World, faults: Option<&Arc<Faults>>) -> Result<RunReport> {
    let mut context = world.context(faults, None);
    context.armed = Armed { raw: true, expired: true };
    run_at(&context, MERGES)
}

/// The segments in the table, and all that lie there.
fn segments(world: &World) -> (usize, usize) {
    let name = TableName::new("main", "T");
    let live = Table::open(&world.store("archive", None, None), &name).unwrap().files().unwrap().len();
    let is_segment = |path: &&String| path.ends_with(".parquet") && !path.contains("/_delta_log/");
    (live, world.files("archive/tables").keys().filter(is_segment).count())
}

/// I1, I2, I6: a run that dies after a write of a merge, or whose write fails, and the run after it leave the rows once,
/// and no upload.
#[test]
fn i2_a_merge_that_is_killed_is_settled_by_the_next_run() {
    let before = small_segments();
    let (world, faults) = (before.fork(), Faults::none());
    assert_eq!(merge(&world, Some(&faults)).unwrap().merged.len(), 1);
    let after = world.seen();
    assert_eq!(before.seen().records, after.records);
    assert_eq!(segments(&world), (1, 1));

    let calls = faults.calls();
    // From the merge's intent to its outcome: what comes before and after is the same in any run.
    let upload = calls.iter().position(|call| call.act == "complete").unwrap();
    let commit =
        calls.iter().position(|call| call.path.ends_with("00000000000000000008.json") && call.writes()).unwrap();
    let ledger = |call: &Call| call.store == "ledger" && call.writes();
    let intent = calls[..upload].iter().rposition(ledger).unwrap();
    let outcome = commit + calls[commit..].iter().position(ledger).unwrap();
    let writes = (intent..=outcome).filter(|n| calls[*n].writes());
    let cases: Vec<(usize, Fault)> = writes.flat_map(|n| [(n, Fault::DieAfter), (n, Fault::ErrBefore)]).collect();
    assert!(cases.len() >= 2 * 5, "intent, upload, prepared, commit, outcome: {cases:?}");
    for_all(&cases, |(n, fault)| {
        let world = before.fork();
        drop(merge(&world, Some(&Faults::at(*n, *fault))));
        let wrong = match merge(&world, None) {
            Err(error) => vec![error.to_string()],
            Ok(report) => report.errors.iter().map(ToString::to_string).collect(),
        };
        let found = segments(&world);
        let differences = after.differences(&world.seen());
        let right = wrong.is_empty() && differences.is_empty() && found == (1, 1);
        (!right).then(|| format!("{n} ({}), {fault:?}: {wrong:?} {differences:?} {found:?}", calls[*n]))
    });
}
