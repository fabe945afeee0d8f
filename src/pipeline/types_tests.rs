//! Tests of how the types of a batch that is larger than memory are decided (I9).

use super::archive::{open_ours, schema_of};
use super::context::Request;
use super::retry::retry;
use super::testing::{House, at};
use crate::ledger::Stage;
use crate::names::TableName;
use crate::plan::Intake;
use crate::policy::{PolicyFile, PolicySet};

const NOW: &str = "2024-03-10T00:00:00Z";
/// So little that a few objects of [`object`] fill it.
const MEMORY: u64 = 16 << 10;

fn policy(time_column: &str) -> PolicySet {
    let text = format!(
        "version = 1\n[defaults]\nretain = \"10y\"\narchive_after = \"0d\"\nlate_window = \"10y\"\n\
         time_column = \"{time_column}\"\n"
    );
    PolicySet::from_files(vec![PolicyFile { name: "p.toml".into(), text }]).unwrap()
}

fn house() -> House {
    let mut house = House::new("[defaults]\nretain = \"10y\"\n");
    house.context.policies = Ok(policy("when"));
    house.context.memory = MEMORY;
    house
}

/// Fifty records with these members.
fn object(members: impl Fn(u32) -> String) -> String {
    (0..50).map(|n| format!("{{\"when\":\"2024-03-01T00:00:00Z\",{}}}\n", members(n))).collect()
}

fn types(house: &House) -> Vec<(String, &'static str)> {
    let table = open_ours(&house.context.archive, house.chain.state(), &TableName::new("main", "T")).unwrap();
    let schema = schema_of(&table).unwrap().unwrap();
    schema.columns()[1..].iter().map(|column| (column.name.clone(), column.kind.word())).collect()
}

/// Batches that were given up, and segments that are there.
fn tried(house: &House) -> (usize, usize) {
    let state = house.chain.state();
    let given_up = state.batches.values().filter(|batch| matches!(batch.stage, Stage::Abandoned { .. })).count();
    (given_up, state.tables["main/t"].segments.len())
}

#[test]
fn i9_a_late_value_decides_the_types_of_a_batch_larger_than_memory() {
    let mut house = house();
    for number in 0..20 {
        let object = match number {
            // Late enough that rows of the others were written out.
            18 => object(|n| format!("\"a\":{n}.5,\"b\":\"x\",\"time\":\"noon\",\"new\":{n}")),
            _ => object(|n| format!("\"a\":{n},\"b\":{number},\"time\":\"2024-03-01T00:00:{:02}Z\",\"c\":{n}", n)),
        };
        house.write(&format!("T/2024/03/01/{number:02}.json"), object);
    }
    let done = house.archive(Intake::default(), NOW).pop().unwrap().unwrap();
    assert_eq!((done.counts.archived, done.counts.decoded, done.failed.len()), (1000, 1000, 0));
    let expected = [("a", "double"), ("b", "text"), ("time", "text"), ("c", "long"), ("new", "long")];
    assert_eq!(types(&house), expected.map(|(name, word)| (name.to_owned(), word)));
    let (given_up, segments) = tried(&house);
    assert!(given_up == 1 && segments > 1, "{given_up} given up, {segments} segments");
    // Nothing is left of the first try.
    let files = house.context.archive.list(Some(&"tables".into())).unwrap();
    let parquet = files.iter().filter(|file| file.location.as_ref().ends_with(".parquet")).count();
    assert_eq!(parquet, segments);
}

#[test]
fn i9_a_batch_of_one_mind_is_read_once() {
    let mut house = house();
    for number in 0..20 {
        // The types are settled from the first; a name that comes late is no reason to begin again.
        let object = object(|n| match number {
            0..15 => format!("\"a\":{n}.5,\"text\":\"x{number}\""),
            _ => format!("\"a\":{n}{number},\"text\":null,\"late\":true"),
        });
        house.write(&format!("T/2024/03/01/{number:02}.json"), object);
    }
    house.archive(Intake::default(), NOW).pop().unwrap().unwrap();
    let expected = [("a", "double"), ("text", "text"), ("late", "bool")];
    assert_eq!(types(&house), expected.map(|(name, word)| (name.to_owned(), word)));
    let (given_up, segments) = tried(&house);
    assert!(given_up == 0 && segments > 1, "{given_up} given up, {segments} segments");
}

#[test]
fn i9_a_retry_decides_types_over_all_that_it_tries() {
    let mut house = house();
    house.context.policies = Ok(policy("missing"));
    for number in 0..8 {
        let object = object(|n| if number == 7 { "\"a\":\"x\"".to_owned() } else { format!("\"a\":1{n}{number}") });
        house.write(&format!("T/2024/03/01/{number:02}.json"), object);
    }
    assert_eq!(house.archive(Intake::default(), NOW).pop().unwrap().unwrap().counts.quarantined, 400);
    house.context.policies = Ok(policy("when"));
    let done = retry(&house.context, &Request::all(at(NOW))).unwrap();
    assert_eq!((done[0].archived, done[0].still_quarantined), (400, 0));
    house.chain.fold().unwrap();
    assert_eq!(types(&house), [("a".to_owned(), "text")]);
    assert_eq!(tried(&house).0, 1);
}
