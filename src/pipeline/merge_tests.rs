//! Tests of merging: lossless (I9), nothing lost or doubled (I1, I2), bounded (I11), and left alone what is damaged.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use object_store::ObjectStoreExt;
use object_store::PutPayload;
use proptest::prelude::*;

use super::deciding::Deciding;
use super::limits::Limits;
use super::merge::{MergedAll, merge_small, merge_step};
use super::rewrite::gather;
use super::testing::{House, at, record};
use crate::archive::{Table, segment_location};
use crate::error::{Kind, Result};
use crate::ledger::{Armed, HoldScope, Segment, Stage, Why};
use crate::names::TableName;
use crate::plan::{Allowance, Only, Terms};
use crate::plan::{Intake, Merging, merges};
use crate::policy::History;
use crate::record::SetDigest;
use crate::record::support::compare::same_records;
use crate::record::support::generate;
use crate::restore::{RecordSink, RestoreRequest, RestoredFrom, restore};
use crate::search::Listed;

const POLICY: &str =
    "[defaults]\nretain = \"10y\"\narchive_after = \"0d\"\nlate_window = \"10y\"\nindex = [\"number\"]\n";
const LATER: &str = "2024-07-20T00:00:00Z";
const ARMED: Armed = Armed { raw: true, expired: true };

#[derive(Default)]
struct Records(BTreeMap<Date, Vec<Vec<u8>>>);

impl RecordSink for Records {
    fn record(&mut self, day: Date, record: &[u8]) -> Result<()> {
        self.0.entry(day).or_default().push(record.to_vec());
        Ok(())
    }
}

impl House {
    /// Archives each of `objects` as a batch of its own.
    fn archive_each(&mut self, table: &str, objects: &[Vec<u8>]) {
        for (number, object) in objects.iter().enumerate() {
            self.write(&format!("{table}/2024/07/03/{number:03}"), object.clone());
            let done = self.archive(Intake::default(), "2024-07-10T00:00:00Z").pop().unwrap().unwrap();
            assert_eq!((done.counts.quarantined, done.counts.duplicate), (0, 0));
        }
    }

    fn table(&self) -> TableName {
        TableName::new("main", "T")
    }

    fn history(&self) -> History {
        History::new(vec![(at("2024-01-01T00:00:00Z"), self.context.policies.as_ref().unwrap().clone())])
    }

    fn merge(&mut self, armed: Armed) -> Result<MergedAll> {
        let history = self.history();
        let deciding = Deciding {
            objects: &[],
            terms: &Terms::new(&history),
            allowance: Allowance { armed, shut: None },
            only: Only::default(),
            now: at(LATER),
            policy: String::new(),
            stopped: BTreeMap::new(),
        };
        merge_small(&self.context, &mut self.chain, &deciding)
    }

    fn planned(&self) -> Vec<Merging> {
        merges(self.chain.state(), &self.history(), at(LATER), 128 << 20, u64::MAX, &|_| true)
    }

    fn restored(&self, table: &str) -> BTreeMap<Date, Vec<Vec<u8>>> {
        self.restored_from(table).0
    }

    /// What is restored, and the raw objects that it came from.
    fn restored_from(&self, table: &str) -> (BTreeMap<Date, Vec<Vec<u8>>>, Vec<RestoredFrom>) {
        let mut sink = Records::default();
        let request = RestoreRequest::all(TableName::new("main", table), Timestamp::UNIX_EPOCH);
        let manifest =
            restore(&self.context.archive, self.chain.state(), &Listed::default(), &request, &mut sink).unwrap();
        assert_eq!(manifest.unseen.damaged, [""; 0]);
        (sink.0, manifest.raw_objects)
    }

    fn live(&self, table: &str) -> Vec<Segment> {
        let known = &self.chain.state().tables[&format!("main/{}", table.to_lowercase())];
        known.segments.values().map(|(segment, _)| segment.clone()).collect()
    }

    /// The sources of all rows, sorted.
    fn sources(&self, table: &str) -> Vec<String> {
        let name = TableName::new("main", table);
        let mut found = Vec::new();
        for segment in self.live(table) {
            let path = segment_location(&name, &segment.path);
            for batch in super::read_back::open_segment(&self.context.archive, &path).unwrap() {
                let batch = batch.unwrap();
                let column = batch.column_by_name("_hf_source").unwrap();
                let column = column.as_any().downcast_ref::<arrow::array::StringArray>().unwrap();
                found.extend(column.iter().map(|source| source.unwrap().to_owned()));
            }
        }
        found.sort();
        found
    }
}

fn digest(segments: &[Segment]) -> SetDigest {
    let mut all = SetDigest::default();
    segments.iter().for_each(|segment| all.merge(&segment.digest));
    all
}

fn lines(records: &[Vec<u8>]) -> Vec<u8> {
    records.iter().flat_map(|record| [record.as_slice(), b"\n"].concat()).collect()
}

/// Small objects of one day, each with a few records.
fn small(count: u32) -> Vec<Vec<u8>> {
    let object = |number: u32| {
        (0..3)
            .map(|hour| record(&format!("2024-07-03T{:02}:00:00.1234567Z", (number * 5 + hour * 7) % 24), number))
            .collect::<String>()
    };
    (0..count).map(|number| object(number).into_bytes()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// I1, I9: whatever the records hold, they are the same ones after, from the same sources. Each record is a batch of
    /// its own, so that types differ, and becomes a segment.
    #[test]
    fn i9_a_merge_loses_nothing(mut records in prop::collection::vec(generate::record(), 12..24)) {
        let mut seen = std::collections::HashSet::new();
        records.retain(|record| seen.insert(record.clone()));
        prop_assume!(records.len() >= 8);
        let mut house = House::new(POLICY);
        house.archive_each("T", &records.iter().map(|record| lines(std::slice::from_ref(record))).collect::<Vec<_>>());
        prop_assert_eq!(house.live("T").len(), records.len());
        let (before, sources) = (house.restored("T"), house.sources("T"));
        let segments = house.live("T");
        let done = house.merge(ARMED).unwrap();
        prop_assert!(done.errors.is_empty(), "{:?}", done.errors);
        prop_assert_eq!(done.merged.len(), 1);
        let merged = house.live("T");
        prop_assert_eq!(merged.len(), 1);
        prop_assert_eq!(digest(&merged), digest(&segments));
        let after = house.restored("T");
        prop_assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (day, before) in &before {
            same_records(before, &after[day]).map_err(TestCaseError::fail)?;
        }
        prop_assert_eq!(house.sources("T"), sources);
    }
}

#[test]
fn i1_the_ledger_and_the_table_say_what_became_one() {
    let mut house = House::new(POLICY);
    house.archive_each("T", &small(9));
    let before = house.live("T");
    let ((mut records, objects), sources) = (house.restored_from("T"), house.sources("T"));
    assert_eq!(objects.len(), 9);
    let done = house.merge(ARMED).unwrap();
    let [merged] = &done.merged[..] else { panic!("{done:?}") };
    assert_eq!((merged.segments, merged.rows, merged.part.as_str()), (9, 27, "main"));
    assert_eq!(merged.bytes_before, before.iter().map(|segment| segment.bytes).sum::<u64>());

    let after = house.live("T");
    assert_eq!(after.len(), 1);
    assert_eq!((after[0].bytes, digest(&after)), (merged.bytes_after, digest(&before)));
    assert_eq!(
        after[0].times,
        Some((
            before.iter().filter_map(|one| one.times).map(|times| times.0).min().unwrap(),
            before.iter().filter_map(|one| one.times).map(|times| times.1).max().unwrap()
        ))
    );
    let state = house.chain.state();
    let known = &state.tables["main/t"];
    assert_eq!(known.retired.len(), 9);
    for segment in &before {
        let retired = &known.retired[&segment.path];
        assert!(matches!(&retired.why, Why::Superseded { by } if *by == merged.batch));
        assert_eq!(state.batches[&retired.batch].gone.rewritten, BTreeMap::from([(merged.batch.clone(), 3)]));
    }
    assert!(matches!(state.batches[&merged.batch].stage, Stage::Committed { rows: 27, .. }));
    let table = Table::open(&house.context.archive, &house.table()).unwrap();
    assert_eq!(table.files().unwrap().into_keys().collect::<Vec<_>>(), [after[0].path.clone()]);

    let commit = crate::archive::commit_path(&house.table(), table.version().unwrap());
    let commit = String::from_utf8(house.context.archive.get(&commit).unwrap().unwrap().to_vec()).unwrap();
    assert_eq!(commit.matches("\"dataChange\":false").count(), 10);
    assert_eq!(commit.matches("\"dataChange\":true").count(), 0);

    // Within the segment rows stand by their time.
    let (mut restored, from) = house.restored_from("T");
    assert_eq!(from, objects, "the objects that the rows came from are still told");
    let times: Vec<Vec<u8>> = restored.values().flatten().map(|record| record[..46].to_vec()).collect();
    assert!(times.is_sorted());
    records.values_mut().for_each(|records| records.sort());
    restored.values_mut().for_each(|records| records.sort());
    assert_eq!(records, restored);
    assert_eq!(house.sources("T"), sources);
    assert!(house.merge(ARMED).unwrap().merged.is_empty(), "nothing more to do");
}

#[test]
fn i3_unarmed_or_under_a_hold_nothing_is_merged() {
    let mut house = House::new(POLICY);
    house.archive_each("T", &small(8));
    let seq = house.chain.state().next_seq();
    assert!(house.merge(Armed { raw: true, expired: false }).unwrap().merged.is_empty());
    // It came after the plan.
    let planned = house.planned().remove(0);
    let text = crate::ledger::SealedRef { sha256: "0".repeat(64) };
    let scope = HoldScope::default();
    let hold = crate::ledger::Body::HoldPlaced { hold: "case".into(), scope, text };
    house.chain.append_or_end(at(LATER), hold).unwrap();
    let rule = house.rule(&house.table());
    let done = merge_step(&house.context, &mut house.chain, &planned, Some(&rule), ARMED, at(LATER)).unwrap();
    assert_eq!((done, house.chain.state().next_seq()), (None, seq + 1));
    assert!(house.merge(ARMED).unwrap().merged.is_empty());
}

/// I12: a damaged segment stops its table's merges, not the others.
#[test]
fn what_is_damaged_is_never_merged() {
    for damage in [Some(&b"PAR1 no segment"[..]), None] {
        let mut house = House::new(POLICY);
        house.archive_each("T", &small(8));
        house.archive_each("U", &small(8));
        let path = segment_location(&house.table(), &house.live("T")[3].path);
        let store = &house.context.archive;
        match damage {
            Some(bytes) => drop(store.wait(store.inner().put(&path, PutPayload::from(bytes.to_vec()))).unwrap()),
            None => store.wait(store.inner().delete(&path)).unwrap(),
        }
        let done = house.merge(ARMED).unwrap();
        assert_eq!(done.errors.iter().map(crate::Error::kind).collect::<Vec<_>>(), [Kind::Damaged]);
        assert_eq!(done.merged.iter().map(|merged| merged.table.to_string()).collect::<Vec<_>>(), ["main/U"]);
        assert_eq!(house.live("T").len(), 8);
    }
}

/// A row that is not what the ledger says ends the merge before anything is written.
#[test]
fn i1_another_digest_ends_the_merge() {
    let house = {
        let mut house = House::new(POLICY);
        house.archive_each("T", &small(8));
        house
    };
    let table = Table::open(&house.context.archive, &house.table()).unwrap();
    let schema = super::archive::schema_of(&table).unwrap().unwrap();
    let mut segments = house.live("T");
    segments[5].digest.sum ^= 1;
    let limits = Limits::of(64 << 20);
    let error = gather(&house.context, &house.table(), &schema, &segments, limits).unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
}

/// I11: where rows turn out to be larger than thought, those are merged that fit, else none.
#[test]
fn i11_only_what_fits_in_memory_is_merged() {
    let long = |number: u32| {
        let record = |row: u32| {
            format!(
                "{{\"TimeGenerated\":\"2024-07-03T00:00:00Z\",\"n\":{number},\"row\":{row},\"same\":\"{}\"}}\n",
                // No two are equal, so that each takes its room.
                format!("{number} {row} ").repeat(25_000)
            )
        };
        (0..12).map(record).collect::<String>().into_bytes()
    };
    let objects: Vec<Vec<u8>> = (0..20).map(long).collect();
    let mut house = House::new(POLICY);
    house.archive_each("T", &objects);
    let before = house.restored("T");
    // What is packed so well fits, as far as can be told before.
    house.context.memory = 32 << 20;
    assert_eq!(house.planned().len(), 1);
    let done = house.merge(ARMED).unwrap();
    let [merged] = &done.merged[..] else { panic!("{done:?}") };
    assert!((8..20).contains(&merged.segments), "{merged:?}");
    assert_eq!(house.live("T").len() as u64, 20 - merged.segments + 1);
    let sorted = |mut days: BTreeMap<Date, Vec<Vec<u8>>>| {
        days.values_mut().for_each(|records| records.sort());
        days
    };
    assert_eq!(sorted(house.restored("T")), sorted(before));

    let mut house = House::new(POLICY);
    house.archive_each("T", &objects);
    house.context.memory = 16 << 20;
    let seq = house.chain.state().next_seq();
    assert!(house.merge(ARMED).unwrap().merged.is_empty());
    assert_eq!(house.chain.state().next_seq(), seq, "it leaves no trace");
}

/// The day of a table by arrival is that of its segments, not today; rows keep their order.
#[test]
fn a_table_without_a_time_keeps_days_and_order() {
    let mut house = House::new("[defaults]\nretain = \"10y\"\narchive_after = \"0d\"\nclock = \"arrival\"\n");
    let objects: Vec<Vec<u8>> = (0..8).map(|n| format!("{{\"n\":{n}}}\n{{\"a\":{n}}}\n").into_bytes()).collect();
    house.archive_each("T", &objects);
    let before = house.restored("T");
    assert_eq!(house.merge(ARMED).unwrap().merged.len(), 1);
    assert_eq!(house.live("T").len(), 1);
    assert_eq!(house.restored("T"), before);
    assert_eq!(before.keys().map(ToString::to_string).collect::<Vec<_>>(), ["2024-07-10"]);
}
