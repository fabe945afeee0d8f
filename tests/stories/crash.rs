//! A crash at any instant loses nothing, doubles nothing and leaves nothing behind (I1, I2, I6).
//!
//! One story is played once without a fault, and then again for every store call of it, each time with something going
//! wrong just there. After a clean rerun the world must be the fault-free one. What is tried at a call:
//!
//! - it errs before its effect, or (a write) after it;
//! - (a write) it takes effect and nothing answers any more: the process died. A death before a call is the death after
//!   the write before it, and a read changes nothing to die after;
//! - the runner is paused with the answer in hand while another one takes over and runs to its end, and then goes on. A
//!   pause before a call is the pause after the call before it.
//!
//! A read that repeats the one before it (a segment's pages) is not tried again.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::faults::{Call, Fault, Faults};
use crate::world::{Seen, World, run_at};

const POLICY: &str = r#"
version = 1
[defaults]
archive_after = "0d"
retain = "365d"
keep_raw = "7d"
[[table]]
name = "AppLog"
keep_raw = "0d"
"#;

/// One run of a story: what lies there when it begins, and when it is.
struct Step {
    before: World,
    now: &'static str,
    after: Seen,
    calls: Vec<Call>,
}

impl Step {
    fn play(before: World, now: &'static str) -> (Step, World) {
        let (world, faults) = (before.fork(), Faults::none());
        let report = run_at(&world.context(Some(&faults), None), now).unwrap();
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        assert_eq!(world.loose_ends(), Vec::<String>::new());
        let after = world.seen();
        (Step { before, now, after, calls: faults.calls() }, world)
    }

    /// What is tried at which calls, from the call `from` on.
    fn cases(&self, from: usize) -> Vec<(usize, Fault)> {
        let mut cases = Vec::new();
        for (n, call) in self.calls.iter().enumerate().skip(from) {
            if call.writes() {
                cases.extend([
                    (n, Fault::ErrBefore),
                    (n, Fault::ErrAfter),
                    (n, Fault::DieAfter),
                    (n, Fault::PauseAfter),
                ]);
            } else if n == 0 || self.calls[n - 1] != *call {
                cases.extend([(n, Fault::ErrBefore), (n, Fault::PauseAfter)]);
            }
        }
        cases
    }

    /// The world after this step, in which `fault` struck at call `n` and a clean run followed; and what is wrong there.
    fn crash(&self, n: usize, fault: Fault) -> (World, Vec<String>) {
        let world = self.before.fork();
        let mut wrong = Vec::new();
        if fault == Fault::PauseAfter {
            take_over(&world, n, self.now, &mut wrong);
        } else {
            // How it ends is its own affair: what counts is what it leaves.
            drop(run_at(&world.context(Some(&Faults::at(n, fault)), None), self.now));
        }
        match world.run(self.now) {
            Ok(report) => wrong.extend(report.errors.iter().map(|error| format!("the clean run: {error}"))),
            Err(error) => wrong.push(format!("the clean run failed: {error}")),
        }
        if wrong.is_empty() {
            wrong.extend(self.after.differences(&world.seen()));
            wrong.extend(world.loose_ends());
        }
        (world, wrong)
    }
}

/// A runner stops at call `n` with its answer in hand; another one runs to its end; the first goes on.
fn take_over(world: &World, n: usize, now: &'static str, wrong: &mut Vec<String>) {
    let (paused, reached) = mpsc::channel();
    let context = world.context(Some(&Faults::pausing(n, Fault::PauseAfter, paused)), None);
    thread::scope(|scope| {
        // It owns the faults, so that `reached` ends with it.
        let first = scope.spawn(move || run_at(&context, now).map(drop));
        if let Ok(resume) = reached.recv() {
            match world.run(now) {
                Ok(report) => {
                    wrong.extend(report.errors.iter().map(|error| format!("the run that took over: {error}")))
                }
                Err(error) => wrong.push(format!("the run that took over failed: {error}")),
            }
            let _ = resume.send(());
        }
        if first.join().is_err() {
            wrong.push("the paused run panicked".into());
        }
    });
}

/// Plays all cases on two threads; panics with everything that went wrong.
fn for_all<T: Sync>(cases: &[T], play: impl Fn(&T) -> Option<String> + Sync) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(failure) = play(case) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn describe(run: usize, step: &Step, n: usize, fault: Fault, wrong: &[String]) -> Option<String> {
    (!wrong.is_empty())
        .then(|| format!("run {run}, call {n} ({}), {fault:?}:\n  {}", step.calls[n], wrong.join("\n  ")))
}

fn record(time: &str, number: u32) -> String {
    format!("{{\"TimeGenerated\":\"{time}\",\"number\":{number},\"text\":\"n° {number}\"}}\n")
}

fn records(day: &str, numbers: std::ops::Range<u32>) -> String {
    numbers.map(|number| record(&format!("{day}T{:02}:00:00Z", number % 24), number)).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const FIRST: &str = "2024-03-10T00:00:00Z";
const SECOND: &str = "2024-03-18T00:00:00Z";

/// Two tables; a broken line, a line that is still being written, a duplicate, a packed object and one that cannot be
/// unpacked. `AppLog` is cleared in the same run.
fn lay_out_first(world: &World) {
    let begun = records("2024-03-01", 0..3) + "no record\n" + "{\"TimeGenerated\":\"2024-03-0";
    world.write("collector/Signin/2024/03/01/begun.json", begun);
    world.write("collector/Signin/2024/03/01/whole.json", records("2024-03-01", 10..13));
    world.write("collector/Signin/2024/03/02/again.json", records("2024-03-01", 10..13));
    world.write("collector/Signin/2024/03/02/packed.json.gz", gzip(&records("2024-03-02", 20..23)));
    world.write("collector/Signin/2024/03/02/torn.json.gz", &gzip(&records("2024-03-02", 90..93))[..30]);
    world.write("collector/AppLog/2024/03/01/app.json", records("2024-03-01", 30..32) + "broken\n");
}

/// The object that was being written has grown; late records come; another object again under another name, its first
/// already cleared.
fn lay_out_second(world: &World) {
    let grown = String::from_utf8(world.read("collector/Signin/2024/03/01/begun.json")).unwrap();
    let rest = "1T05:00:00Z\",\"number\":5}\n".to_owned() + &records("2024-03-01", 6..8);
    world.write("collector/Signin/2024/03/01/begun.json", grown + &rest);
    world.write("collector/Signin/2024/03/02/late.json", records("2024-02-28", 40..42));
    world.write("collector/AppLog/2024/03/02/app.json", records("2024-03-02", 50..52));
    world.write("collector/AppLog/2024/03/02/seen.json", records("2024-03-01", 30..32) + "broken\n");
}

/// The two runs of the story.
fn story() -> [Step; 2] {
    let world = World::new(POLICY);
    lay_out_first(&world);
    let (first, world) = Step::play(world, FIRST);
    lay_out_second(&world);
    let (second, _) = Step::play(world, SECOND);
    [first, second]
}

#[test]
fn the_story_itself() {
    let [first, second] = story();
    let counted = |seen: &Seen| seen.records.values().map(Vec::len).sum::<usize>();
    assert_eq!((counted(&first.after), counted(&second.after)), (3 + 3 + 3 + 2, 11 + 3 + 2 + 2));
    assert_eq!((first.after.quarantine.len(), second.after.quarantine.len()), (4, 4));
    let live: Vec<&str> = second.after.raw.keys().map(String::as_str).collect();
    assert_eq!(live, ["Signin/2024/03/01/begun.json", "Signin/2024/03/02/late.json"]);
    let cleared = second.after.objects.values().filter(|(.., cleared)| *cleared).count();
    assert_eq!(cleared, 7);
    let seen = &second.after.objects["collector:AppLog/2024/03/02/seen.json"].0;
    assert_eq!(second.after.contents[&("main/AppLog".to_owned(), seen.clone())].duplicate, 3);
}

/// I1, I2, I6: every call of the first run, and after the clean rerun the rest of the story.
#[test]
fn a_crash_in_the_first_run_changes_nothing() {
    let [first, second] = story();
    for_all(&first.cases(0), |(n, fault)| {
        let (world, mut wrong) = first.crash(*n, *fault);
        if wrong.is_empty() {
            lay_out_second(&world);
            match world.run(second.now) {
                Ok(report) => wrong.extend(report.errors.iter().map(|error| format!("the second run: {error}"))),
                Err(error) => wrong.push(format!("the second run failed: {error}")),
            }
            wrong.extend(second.after.differences(&world.seen()));
            wrong.extend(world.loose_ends());
        }
        describe(1, &first, *n, *fault, &wrong)
    });
}

/// I1, I2, I6: every call of the second run, which finds late data, a grown object, and much to clear.
#[test]
fn a_crash_in_the_second_run_changes_nothing() {
    let [_, second] = story();
    for_all(&second.cases(0), |(n, fault)| {
        let (_, wrong) = second.crash(*n, *fault);
        describe(2, &second, *n, *fault, &wrong)
    });
}
