//! The same story where nothing can be renamed and names appear by a put: every call on a store in memory, and some, chosen
//! by their number, over the wire of real servers.

use std::sync::Arc;

use super::{Act, FIRST, POLICY, SECOND, Step, THIRD, lay_out_first, lay_out_second, play, story_in};
use crate::faults::{Fault, Faults};
use crate::servers::{Kind, Server};
use crate::world::{Seen, World};

#[test]
fn an_object_store_keeps_what_a_disk_keeps() {
    let (disk, store) = (super::story(), story_in(World::in_memory(POLICY)));
    for (disk, store) in disk.iter().zip(&store) {
        assert_eq!(disk.after.differences(&store.after), Vec::<String>::new());
        assert!(store.calls.iter().all(|call| call.act != "rename_opts"));
    }
}

/// I1, I2, I6: every call of the second run, which clears and reads on; of the others what a disk does alike is told by the
/// disk's own stories.
#[test]
fn a_crash_on_an_object_store_changes_nothing() {
    let [_, second, _] = story_in(World::in_memory(POLICY));
    second.crash_at(second.cases(0).into_iter().filter(|(n, fault)| second.tells_apart(*n, *fault)));
}

/// Plays the story on a server up to the end, with one fault in one act.
fn on_server(server: &Arc<Server>, after: &[Seen], act: usize, n: usize, fault: Fault) -> Option<String> {
    let world = World::on(server, POLICY);
    let mut wrong = Vec::new();
    lay_out_first(&world);
    for (number, (what, now)) in [(Act::Run, FIRST), (Act::Run, SECOND), (Act::Retry, THIRD)].into_iter().enumerate() {
        if number == 1 {
            lay_out_second(&world);
        }
        if number == act {
            drop(play(what, &world, Some(&Faults::at(n, fault)), now));
            wrong.extend(play(Act::Run, &world, None, now).err());
        }
        if number != act || what == Act::Retry {
            wrong.extend(play(what, &world, None, now).err());
        }
    }
    wrong.extend(after[2].differences(&world.seen()));
    wrong.extend(world.loose_ends());
    (!wrong.is_empty()).then(|| format!("{}, act {act}, call {n}, {fault:?}:\n  {}", server.name, wrong.join("\n  ")))
}

/// I1, I2, I6: a sample of the calls, on each server.
#[test]
fn a_crash_over_the_wire_changes_nothing() {
    /// Of the cases of each act so many are tried on each server.
    const SAMPLE: usize = 2;
    let steps: [Step; 3] = story_in(World::in_memory(POLICY));
    let after: Vec<Seen> = steps.iter().map(|step| step.after.clone()).collect();
    let mut tried = Vec::new();
    for kind in Kind::ALL {
        let Some(server) = kind.server("crash") else { continue };
        for (act, step) in steps.iter().enumerate() {
            let cases: Vec<_> = step.cases(0).into_iter().filter(|(_, fault)| *fault != Fault::PauseAfter).collect();
            // Each server is given others.
            let from = kind as usize * cases.len() / (SAMPLE * Kind::ALL.len());
            let chosen = cases.into_iter().skip(from).step_by(step.cases(0).len() / SAMPLE);
            tried.extend(chosen.map(|(n, fault)| (Arc::clone(&server), act, n, fault)));
        }
    }
    crate::world::for_all(&tried, |(server, act, n, fault)| on_server(server, &after, *act, *n, *fault));
}
