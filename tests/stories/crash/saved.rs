//! A crash while the state is saved, and a run that goes by a saved one and destroys (I1, I2, I3).

use holdfast::ledger::Chain;

use super::{Act, POLICY, Step, play, records};
use crate::faults::Call;
use crate::world::World;

/// A world whose ledger is long, with one object archived and one not.
fn long() -> World {
    let world = World::new(POLICY);
    world.write("collector/Signin/2024/03/01/a.json", records("2024-03-01", 0..2));
    assert_eq!(play(Act::Run, &world, None, "2024-03-10T00:00:00Z"), Ok(()));
    world.lengthen("2024-03-10T01:00:00Z");
    world.write("collector/Signin/2024/03/02/a.json", records("2024-03-02", 2..4));
    world
}

fn is_saved(call: &Call) -> bool {
    call.writes() && call.path == "state.json"
}

#[test]
fn a_crash_while_the_state_is_saved_changes_nothing() {
    let (step, world) = Step::play(Act::Run, long(), "2024-03-11T00:00:00Z");
    let saved = step.calls.iter().position(is_saved).unwrap();
    assert!(step.calls[saved - 1].is_entry(), "first the entry that names it");
    step.crash_at(step.cases(saved - 1).into_iter());
    let again = Step::play(Act::Run, world, "2024-03-12T00:00:00Z").0;
    assert!(!again.calls.iter().any(is_saved), "once is enough");
}

#[test]
fn a_run_that_goes_by_a_saved_state_reads_every_entry_before_it_destroys() {
    let (_, world) = Step::play(Act::Run, long(), "2024-03-11T00:00:00Z");
    let reads = |calls: &[Call]| calls.iter().filter(|call| call.path == "000000000005.json" && !call.writes()).count();
    let (idle, world) = Step::play(Act::Run, world, "2024-03-12T00:00:00Z");
    assert_eq!(reads(&idle.calls), 0);
    // Both objects are due to be cleared.
    let (clearing, world) = Step::play(Act::Run, world, "2024-03-19T00:00:00Z");
    assert!(clearing.after.raw.is_empty());
    assert_eq!(reads(&clearing.calls), 1);
    let deleted = clearing.calls.iter().position(|call| call.act == "delete").unwrap();
    assert!(clearing.calls[..deleted].iter().any(|call| call.path == "000000000005.json"));
    // From the first read of all on; what comes before it is an idle run's.
    let from = clearing.calls.iter().position(|call| call.path == "000000000000.json").unwrap();
    let writes = clearing.cases(from).into_iter().filter(|(n, _)| clearing.calls[*n].writes());
    clearing.crash_at(writes);
    let whole = Chain::open_whole(world.store("ledger", None, None), "test", Box::new(String::new)).unwrap();
    assert_eq!(
        serde_json::to_string(whole.state()).unwrap(),
        serde_json::to_string(world.chain().unwrap().state()).unwrap()
    );
}
