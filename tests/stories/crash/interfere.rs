//! Somebody else writes to the ledger just before a run does: a hold, an approval, a policy. The run decides again, and
//! nothing goes that is protected by then (I3).
//!
//! Only what an intent named before may still go: it stood in the ledger when the other one looked.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;

use holdfast::ledger::{Batch, Body, HoldScope, Stage, Subject};
use holdfast::policy::{PolicyFile, PolicySet};

use super::expire::{LATE, RETIRING, Story, before_consent, policy, story};
use super::merging::merging;
use super::{Act, play};
use crate::faults::{Call, Faults};
use crate::standing::{named_though_gone, standing, standing_beside};
use crate::world::{World, for_all, run_at};

/// What the other one does, in the middle of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    /// A hold on everything.
    Hold,
    /// A person approves what waits.
    Approval,
    /// A policy under which everything is kept for years.
    LongerPolicy,
}

impl Deed {
    fn done(self, world: &World, now: &str) {
        let mut chain = world.chain().unwrap();
        let body = match self {
            Deed::Approval => {
                world.approve_all(now);
                return;
            }
            Deed::Hold => {
                let text = chain.seal("a lawsuit").unwrap();
                Body::HoldPlaced { hold: "lawsuit".into(), scope: HoldScope::default(), text }
            }
            Deed::LongerPolicy => {
                let text = policy("2000d").replace("retain = \"10d\"", "retain = \"2000d\"");
                let text = text.replace("retain = \"6d\"", "retain = \"2000d\"");
                let set = PolicySet::from_files(vec![PolicyFile { name: "policy.toml".into(), text }]).unwrap();
                Body::PolicyAccepted { digest: set.digest(), files: chain.attach(set.files()).unwrap() }
            }
        };
        chain.append_or_end(now.parse().unwrap(), body).unwrap();
    }
}

/// Files that an open intent named: they may be on their way.
fn on_their_way(world: &World) -> BTreeSet<String> {
    let chain = world.chain().unwrap();
    let subjects = chain.state().open_destroys.values().flat_map(|open| &open.subjects);
    let path = |subject: &Subject| match subject {
        Subject::Raw { path, .. } => Some(format!("collector/{path}")),
        Subject::Segment { path, .. } | Subject::Quarantine { path, .. } => Some(format!("archive/{path}")),
        _ => None,
    };
    subjects.filter_map(path).collect()
}

/// True once the ledger says of some record that it was expired when it came.
fn some_expired_on_arrival(world: &World) -> bool {
    let chain = world.chain().unwrap();
    let prepared = |batch: &Batch| matches!(&batch.stage, Stage::Prepared(prepared) if prepared.counts.expired > 0);
    chain.state().batches.values().any(prepared) || chain.state().objects.values().any(|known| known.counts.expired > 0)
}

/// Lets a run come to its append of `entry`, does the deed, and lets it go on. Gives what stood then and was on no intent, and what
/// the run reports.
fn interrupted(world: &World, entry: &str, now: &'static str, deed: Deed) -> (BTreeSet<u32>, Result<(), String>) {
    let (paused, reached) = mpsc::channel();
    let mut stood = BTreeSet::new();
    let ended = thread::scope(|scope| {
        let run = scope.spawn(move || {
            let faults = Faults::pausing_before_entry(entry, paused);
            let report = run_at(&world.context(Some(&faults), None), now);
            let report = report.map_err(|error| format!("the run failed: {error}"))?;
            report.errors.first().map_or(Ok(()), |error| Err(format!("the run reports {error}")))
        });
        match reached.recv() {
            Ok(resume) => {
                deed.done(world, now);
                stood = standing_beside(world, &on_their_way(world));
                // By the ledger's word it has gone: only a hold keeps the raw object that it lies in.
                if deed == Deed::LongerPolicy && some_expired_on_arrival(world) {
                    stood.remove(&LATE);
                }
                resume.send(()).unwrap();
                run.join().unwrap()
            }
            Err(_) => Err(format!("it never came there: {:?}", run.join())),
        }
    });
    (stood, ended)
}

/// Does the deed before every append of an undisturbed run at `now`, and lets the next run follow. `look` adds what is
/// wrong then; it is given what stood, and was on no intent, when the deed was done.
fn interfere(
    before: &World,
    now: &'static str,
    deed: Deed,
    look: impl Fn(&World, &BTreeSet<u32>, &mut Vec<String>) + Sync,
) {
    let faults = Faults::none();
    run_at(&before.fork().context(Some(&faults), None), now).unwrap();
    let appends: Vec<String> = faults.calls().into_iter().filter(Call::is_entry).map(|call| call.path).collect();
    assert!(appends.len() >= 3, "a run begins, settles and ends: {appends:?}");
    for_all(&appends, |entry| {
        let world = before.fork();
        let (stood, ended) = interrupted(&world, entry, now, deed);
        let mut wrong: Vec<String> = ended.err().into_iter().collect();
        wrong.extend(gone(&world, &stood));
        wrong.extend(play(Act::Run, &world, None, now).err().map(|why| format!("then {why}")));
        look(&world, &stood, &mut wrong);
        wrong.extend(world.loose_ends());
        wrong.extend(named_though_gone(&world));
        (!wrong.is_empty()).then(|| format!("{deed:?} before {entry}:\n  {}", wrong.join("\n  ")))
    });
}

fn gone(world: &World, stood: &BTreeSet<u32>) -> Option<String> {
    let gone: Vec<u32> = stood.difference(&standing(world)).copied().collect();
    (!gone.is_empty()).then(|| format!("gone although protected: {gone:?}"))
}

/// I3: a hold beats every deletion that was not under way, for as long as it stands.
#[test]
fn a_hold_in_mid_run_is_obeyed() {
    let Story { retiring, mixed, .. } = story();
    for aged in [&retiring, &mixed, &merging()] {
        interfere(&aged.step.before, aged.step.now, Deed::Hold, |world, stood, wrong| {
            wrong.extend(play(Act::Run, world, None, "2024-09-01T00:00:00Z").err().map(|why| format!("later {why}")));
            wrong.extend(gone(world, stood));
        });
    }
}

/// I3: a policy that keeps for longer protects from its acceptance on; going back waits like any shortening.
#[test]
fn a_policy_accepted_in_mid_run_is_obeyed() {
    let Story { retiring, mixed, .. } = story();
    for aged in [&retiring, &mixed] {
        interfere(&aged.step.before, aged.step.now, Deed::LongerPolicy, |world, stood, wrong| {
            wrong.extend(gone(world, stood));
        });
    }
}

/// I2, I6: an approval in mid-run costs the run nothing; what it did not do yet, the next one does.
#[test]
fn an_approval_in_mid_run_is_taken_up() {
    let (retiring, _) = super::expire::retiring();
    interfere(&before_consent(), RETIRING, Deed::Approval, |world, _, wrong| {
        wrong.extend(retiring.step.after.differences(&world.seen()));
        retiring.look(world, wrong);
    });
}
