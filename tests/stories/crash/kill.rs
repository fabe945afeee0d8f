//! The real process, killed with SIGKILL as often as it shows progress: each file that appears, each raw object that goes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::expire::{Aged, Story, story};
use super::{Act, FIRST, POLICY, SECOND, Step, lay_out_first, lay_out_second};
use crate::world::{SOURCE, World, for_all};

fn start(world: &World, now: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .args(["run", "--as-of", now, "--config"])
        .arg(world.settings())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How far a run has come: files of archive and ledger that are new, and files of any kind that are gone.
fn progress(world: &World, before: &BTreeSet<PathBuf>) -> usize {
    let now = files(world);
    let source = world.path(SOURCE);
    let new = now.difference(before).filter(|path| !path.starts_with(&source)).count();
    new + before.difference(&now).count()
}

fn files(world: &World) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for name in ["archive", "ledger", SOURCE] {
        files_below(&world.path(name), &mut found);
    }
    found
}

fn files_below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
    // It changes while it is looked at.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name() != ".staging") {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.insert(path);
        }
    }
}

/// Kills a run once it has made `steps` of progress, and a little later. True: it was still at work.
fn kill_after(world: &World, now: &str, steps: usize, later: Duration) -> bool {
    let before = files(world);
    let mut child = start(world, now);
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if progress(world, &before) >= steps {
            break;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
    std::thread::sleep(later);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// `look` adds what is wrong in a world whose run was killed, and then settled by another.
fn kill_everywhere(step: &Step, millis: &[u64], look: impl Fn(&World, &mut Vec<String>) + Sync) {
    let whole = step.before.fork();
    let before = files(&whole);
    assert!(matches!(start(&whole, step.now).wait().unwrap().code(), Some(0 | 3)));
    assert_eq!(step.after.differences(&whole.seen()), Vec::<String>::new(), "the process does what the library does");
    let most = progress(&whole, &before);
    assert!(most > 20, "{most} steps are too few to tell anything");
    let killed = std::sync::atomic::AtomicUsize::new(0);
    let cases: Vec<(usize, u64)> =
        (0..=most).flat_map(|steps| millis.iter().map(move |millis| (steps, *millis))).collect();
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
        look(&world, &mut wrong);
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
    kill_everywhere(&first, &[0, 1, 4], |_, _| {});
    kill_everywhere(&second, &[0, 1, 4], |_, _| {});
}

/// I3, I4: SIGKILL while a run retires one table, destroys another, and trims.
#[test]
fn a_killed_process_destroys_nothing_early_and_leaves_nothing_late() {
    let Story { mixed, .. } = story();
    let look = |world: &World, wrong: &mut Vec<String>| Aged::look(&mixed, world, wrong);
    kill_everywhere(&mixed.step, &[0, 3], look);
}
