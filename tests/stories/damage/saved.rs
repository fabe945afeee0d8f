//! Damage where the state was saved: of the copy nobody goes by it, of what it sums up nothing is destroyed (I3, I7).

use std::sync::OnceLock;

use holdfast::Kind;

use super::{Harm, harm};
use crate::world::{SOURCE, World, for_all, run_at};

const POLICY: &str = "version = 1\n[defaults]\narchive_after = \"0d\"\nretain = \"365d\"\nkeep_raw = \"60d\"\n";
/// Both raw objects are due to be cleared.
const DUE: &str = "2024-06-30T00:00:00Z";
const SAVED: &str = "ledger/state.json";

/// The archive before any damage.
fn whole() -> &'static World {
    static WHOLE: OnceLock<World> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let world = World::new(POLICY);
        let run = |now: &str| assert!(world.run(now).unwrap().errors.is_empty());
        for day in ["01", "02"] {
            let record = format!("{{\"TimeGenerated\":\"2024-03-{day}T01:00:00Z\"}}\n");
            world.write(&format!("collector/Signin/2024/03/{day}/a.json"), record);
            run(&format!("2024-03-{day}T12:00:00Z"));
        }
        world.lengthen("2024-03-03T00:00:00Z");
        run("2024-03-03T01:00:00Z");
        assert_eq!(world.loose_ends(), Vec::<String>::new());
        assert!(world.path(SAVED).exists());
        world
    })
}

fn harms(other: Option<&str>) -> Vec<Harm> {
    let mut harms: Vec<Harm> = [0, 1, 130, 290, 430, 570, 710, 850, 1000].map(Harm::Flip).into();
    harms.extend([Harm::Truncate(0), Harm::Truncate(600), Harm::Truncate(990)]);
    harms.extend(other.map(|other| Harm::Swap(other.to_owned())));
    harms
}

/// The names of what `verify` finds.
fn found(world: &World) -> Vec<String> {
    let found = world.verify().unwrap();
    found.damage.into_iter().map(|finding| format!("{}: {}", finding.what, finding.why)).collect()
}

#[test]
fn a_damaged_copy_is_named_and_the_run_does_its_work() {
    for_all(&harms(Some("ledger/inventory.json")), |how| {
        let world = whole().fork();
        harm(&world, SAVED, how);
        let damage = found(&world);
        let mut wrong = Vec::new();
        if damage.len() != 1 || !damage[0].contains("state.json") {
            wrong.push(format!("verify finds {damage:?}"));
        }
        let report = run_at(&world.context(None, None), DUE).unwrap();
        if !report.errors.is_empty() || report.cleared != 2 {
            wrong.push(format!("the run cleared {}: {:?}", report.cleared, report.errors));
        }
        // Saved anew.
        wrong.extend(world.loose_ends());
        (!wrong.is_empty()).then(|| format!("{how:?}:\n  {}", wrong.join("\n  ")))
    });
    let missing = whole().fork();
    harm(&missing, SAVED, &Harm::Delete);
    assert_eq!(found(&missing), Vec::<String>::new());
    assert_eq!(run_at(&missing.context(None, None), DUE).unwrap().cleared, 2);
    assert!(missing.path(SAVED).exists());
}

#[test]
fn damage_in_what_it_sums_up_is_named_and_nothing_is_cleared() {
    let chain = whole().chain().unwrap();
    let state = chain.state();
    let batch = state.batches.values().next().unwrap();
    let prepared: serde_json::Value =
        serde_json::from_slice(&whole().read(&format!("ledger/{:012}.json", batch.seq + 1))).unwrap();
    let attachment = |list: &serde_json::Value| format!("ledger/attachments/{}", list["sha256"].as_str().unwrap());
    let entry = |seq: u64| format!("ledger/{seq:012}.json");
    let saved = state.saved.unwrap();
    let files = [
        entry(0),
        entry(batch.seq),
        entry(batch.seq + 1),
        entry(100),
        entry(saved - 1),
        entry(saved),
        entry(saved + 1),
        attachment(&prepared["objects"]),
        attachment(&prepared["tables"][0]["detail"]),
    ];
    let harms = || harms(None).into_iter().chain([Harm::Delete]);
    let cases: Vec<(&String, Harm)> = files.iter().flat_map(|file| harms().map(move |how| (file, how))).collect();
    for_all(&cases, |(file, how)| {
        let world = whole().fork();
        harm(&world, file, how);
        let mut wrong = Vec::new();
        if found(&world).is_empty() {
            wrong.push("verify finds nothing".to_owned());
        }
        let raw = world.files(SOURCE);
        match run_at(&world.context(None, None), DUE) {
            Err(error) if error.kind() == Kind::Damaged && error.hint().is_some() => {}
            outcome => wrong.push(format!("the run came to {outcome:?}")),
        }
        if world.files(SOURCE) != raw {
            wrong.push("something was cleared".to_owned());
        }
        (!wrong.is_empty()).then(|| format!("{how:?} of {file}:\n  {}", wrong.join("\n  ")))
    });
}
