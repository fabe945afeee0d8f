//! The real process, killed with SIGKILL as often as it shows progress: each file that appears, each raw object that goes.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Act, FIRST, POLICY, SECOND, Step, lay_out_first, lay_out_second};
use crate::world::{World, for_all};

fn start(world: &World, now: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["run", "--as-of", now, "--config"])
        .arg(world.settings())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How far a run has come: files of archive and ledger, and raw objects that have gone since.
fn progress(world: &World, raw_before: usize) -> usize {
    let count = |name: &str| files_below(&world.path(name));
    count("archive") + count("ledger") + raw_before.saturating_sub(count(crate::world::SOURCE))
}

fn files_below(folder: &Path) -> usize {
    // It changes while it is looked at.
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .filter(|entry| entry.file_name() != ".staging")
        .map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 })
        .sum()
}

/// Kills a run once it has made `steps` of progress, and a little later. True: it was still at work.
fn kill_after(world: &World, now: &str, steps: usize, later: Duration) -> bool {
    let raw_before = files_below(&world.path(crate::world::SOURCE));
    let goal = progress(world, raw_before) + steps;
    let mut child = start(world, now);
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if progress(world, raw_before) >= goal {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    std::thread::sleep(later);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

fn kill_everywhere(step: &Step) {
    let whole = step.before.fork();
    let raw_before = files_below(&whole.path(crate::world::SOURCE));
    let before = progress(&whole, raw_before);
    assert!(matches!(start(&whole, step.now).wait().unwrap().code(), Some(0 | 3)));
    assert_eq!(step.after.differences(&whole.seen()), Vec::<String>::new(), "the process does what the library does");
    let most = progress(&whole, raw_before) - before;
    assert!(most > 20, "{most} steps are too few to tell anything");
    let killed = std::sync::atomic::AtomicUsize::new(0);
    let cases: Vec<(usize, u64)> = (0..=most).flat_map(|steps| [0, 1, 4].map(|millis| (steps, millis))).collect();
    for_all(&cases, |(steps, millis)| {
        let world = step.before.fork();
        let died = kill_after(&world, step.now, *steps, Duration::from_millis(*millis));
        killed.fetch_add(usize::from(died), std::sync::atomic::Ordering::Relaxed);
        let mut wrong = Vec::new();
        match start(&world, step.now).wait().unwrap().code() {
            Some(0 | 3) => {}
            other => wrong.push(format!("the rerun ended with {other:?}")),
        }
        step.settle(&world, &mut wrong);
        let wrong = (!wrong.is_empty()).then(|| wrong.join("\n  "))?;
        Some(format!("killed {millis} ms after {steps} steps of progress:\n  {wrong}"))
    });
    let killed = killed.into_inner();
    assert!(killed > cases.len() / 2, "only {killed} of {} runs were killed at work", cases.len());
}

/// I1, I2, I6: SIGKILL while the first run is at work, and while the second is.
#[test]
fn a_killed_process_changes_nothing() {
    let world = World::new(POLICY);
    lay_out_first(&world);
    let (first, world) = Step::play(Act::Run, world, FIRST);
    lay_out_second(&world);
    let (second, _) = Step::play(Act::Run, world, SECOND);
    kill_everywhere(&first);
    kill_everywhere(&second);
}
