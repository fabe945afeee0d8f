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

mod expire;
mod interfere;
mod kill;
mod merging;
mod record;
mod saved;
mod store;

use std::io::Write;
use std::sync::{Arc, mpsc};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::faults::{Call, Fault, Faults};
use crate::world::{SOURCE, Seen, World, for_all, retry_at, run_at};

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

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Run,
    /// `quarantine retry`
    Retry,
}

/// One act of a story: what lies there when it begins, and when it is.
struct Step {
    act: Act,
    before: World,
    now: &'static str,
    after: Seen,
    calls: Vec<Call>,
}

impl Step {
    fn play(act: Act, before: World, now: &'static str) -> (Step, World) {
        let (world, faults) = (before.fork(), Faults::none());
        assert_eq!(play(act, &world, Some(&faults), now), Ok(()));
        assert_eq!(world.loose_ends(), Vec::<String>::new());
        let after = world.seen();
        (Step { act, before, now, after, calls: faults.calls() }, world)
    }

    /// What is tried at which calls, from the call `from` on.
    fn cases(&self, from: usize) -> Vec<(usize, Fault)> {
        let mut cases = Vec::new();
        for (n, call) in self.calls.iter().enumerate().skip(from) {
            if call.writes() {
                let faults = [Fault::ErrBefore, Fault::ErrAfter, Fault::DieAfter, Fault::PauseAfter];
                cases.extend(faults.map(|fault| (n, fault)));
            } else if n == 0 || self.calls[n - 1] != *call {
                cases.extend([(n, Fault::ErrBefore), (n, Fault::PauseAfter)]);
            }
        }
        cases
    }

    /// False for a pause between reads: a taker-over finds the same as at the write before or the read after, and the
    /// paused runner knows a mix of what it knows there. Only the two runs of the story try all.
    fn tells_apart(&self, n: usize, fault: Fault) -> bool {
        let before_a_write = self.calls.get(n + 1).is_some_and(Call::writes);
        fault != Fault::PauseAfter || self.calls[n].writes() || before_a_write
    }

    /// The world after this step, in which `fault` struck at call `n` and a clean run followed; and what is wrong there.
    fn crash(&self, n: usize, fault: Fault) -> (World, Vec<String>) {
        let world = self.before.fork();
        let mut wrong = Vec::new();
        if fault == Fault::PauseAfter {
            take_over(self.act, &world, n, self.now, &mut wrong);
        } else {
            // How it ends is its own affair: what counts is what it leaves.
            drop(play(self.act, &world, Some(&Faults::at(n, fault)), self.now));
        }
        self.settle(&world, &mut wrong);
        (world, wrong)
    }

    /// Runs once more with nothing going wrong and looks at what is there then.
    fn settle(&self, world: &World, wrong: &mut Vec<String>) {
        wrong.extend(play(Act::Run, world, None, self.now).err());
        if self.act == Act::Retry {
            wrong.extend(play(Act::Retry, world, None, self.now).err());
        }
        if wrong.is_empty() {
            wrong.extend(self.after.differences(&world.seen()));
            wrong.extend(world.loose_ends());
        }
    }

    fn describe(&self, n: usize, fault: Fault, wrong: &[String]) -> Option<String> {
        let wrong = (!wrong.is_empty()).then(|| wrong.join("\n  "))?;
        Some(format!("{:?}, call {n} ({}), {fault:?}:\n  {wrong}", self.act, self.calls[n]))
    }

    /// Tries all of `cases`.
    fn crash_at(&self, cases: impl Iterator<Item = (usize, Fault)>) {
        let cases: Vec<(usize, Fault)> = cases.collect();
        for_all(&cases, |(n, fault)| self.describe(*n, *fault, &self.crash(*n, *fault).1));
    }
}

/// One act by a runner of its own; an error that it ends with or reports is the answer.
fn play(act: Act, world: &World, faults: Option<&Arc<Faults>>, now: &str) -> Result<(), String> {
    let context = world.context(faults, None);
    let done = match act {
        Act::Run => run_at(&context, now).map(|report| report.errors),
        Act::Retry => retry_at(&context, now).map(|()| Vec::new()),
    };
    match done {
        Ok(errors) => errors.first().map_or(Ok(()), |error| Err(format!("the {act:?} at {now} reports {error}"))),
        Err(error) => Err(format!("the {act:?} at {now} failed: {error}")),
    }
}

/// A runner stops at call `n` with its answer in hand; another one runs to its end; the first goes on.
fn take_over(act: Act, world: &World, n: usize, now: &'static str, wrong: &mut Vec<String>) {
    let (paused, reached) = mpsc::channel();
    thread::scope(|scope| {
        // It owns the faults, so that `reached` ends with it.
        let first = scope.spawn(move || {
            let faults = Faults::pausing(n, Fault::PauseAfter, paused);
            drop(play(act, world, Some(&faults), now));
        });
        if let Ok(resume) = reached.recv() {
            wrong.extend(play(Act::Run, world, None, now).err().map(|why| format!("having taken over, {why}")));
            let _ = resume.send(());
        }
        if first.join().is_err() {
            wrong.push("the paused runner panicked".into());
        }
    });
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
const THIRD: &str = "2024-03-19T00:00:00Z";

/// Two tables; a broken line, a time that lies in the future until the retry, a line that is still being written, a
/// duplicate, a packed object and one that cannot be unpacked. `AppLog` is cleared in the same run.
fn lay_out_first(world: &World) {
    let begun = records("2024-03-01", 0..3) + "no record\n" + &record("2024-03-15T00:00:00Z", 70);
    world.write("collector/Signin/2024/03/01/begun.json", begun + "{\"TimeGenerated\":\"2024-03-0");
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

/// The runs of the story and a retry of its quarantine.
fn story() -> [Step; 3] {
    story_in(World::new(POLICY))
}

fn story_in(world: World) -> [Step; 3] {
    lay_out_first(&world);
    let (first, world) = Step::play(Act::Run, world, FIRST);
    lay_out_second(&world);
    let (second, world) = Step::play(Act::Run, world, SECOND);
    let (retry, _) = Step::play(Act::Retry, world, THIRD);
    [first, second, retry]
}

#[test]
fn the_story_itself() {
    let [first, second, retry] = story();
    let counted = |step: &Step| step.after.records.values().map(Vec::len).sum::<usize>();
    assert_eq!([&first, &second, &retry].map(counted), [3 + 3 + 3 + 2, 11 + 3 + 2 + 2, 18 + 1]);
    assert_eq!([&first, &second, &retry].map(|step| step.after.quarantine.len()), [5, 5, 4]);
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
    let [first, second, _] = story();
    for_all(&first.cases(0), |(n, fault)| {
        let (world, mut wrong) = first.crash(*n, *fault);
        // A read leaves nothing that the rest of the story could stumble over.
        if wrong.is_empty() && first.calls[*n].writes() {
            lay_out_second(&world);
            second.settle(&world, &mut wrong);
        }
        first.describe(*n, *fault, &wrong)
    });
}

/// I1, I2, I6: every call of the second run, which finds late data, a grown object, and much to clear.
#[test]
fn a_crash_in_the_second_run_changes_nothing() {
    let [_, second, _] = story();
    second.crash_at(second.cases(0).into_iter());
}

/// I1, I2, I6: every call of a retry of the quarantine.
#[test]
fn a_crash_in_a_retry_changes_nothing() {
    let [.., retry] = story();
    retry.crash_at(retry.cases(0).into_iter().filter(|(n, fault)| retry.tells_apart(*n, *fault)));
}

/// I1, I2, I6: a run that dies after it gave something its name, and then every call of the run that settles what it left.
#[test]
fn a_crash_in_the_recovery_changes_nothing() {
    let world = World::new(POLICY);
    world.write("collector/AppLog/2024/03/01/app.json", records("2024-03-01", 30..32));
    world.write("collector/AppLog/2024/03/01/broken.json", "broken\n");
    world.write("collector/AppLog/2024/03/01/twin.json", records("2024-03-01", 30..32));
    let (step, _) = Step::play(Act::Run, world, FIRST);
    let named = |call: &Call| match call.act {
        "complete" | "rename_opts" | "delete" => true,
        _ => call.act == "put_opts" && !call.path.starts_with("attachments/"),
    };
    // From the first segment to the first object cleared: whatever follows is the same again.
    let position = |act: &str| step.calls.iter().position(|call| call.act == act).unwrap();
    let (from, to) = (position("complete"), position("delete"));
    let mut recoveries = Vec::new();
    for death in (from..=to).filter(|death| named(&step.calls[*death])) {
        let before = step.before.fork();
        drop(play(Act::Run, &before, Some(&Faults::at(death, Fault::DieAfter)), FIRST));
        recoveries.push((death, Step::play(Act::Run, before, FIRST).0));
    }
    let mut cases = Vec::new();
    for (death, recovery) in &recoveries {
        assert_eq!(step.after.differences(&recovery.after), Vec::<String>::new());
        // From there on it is a run like any other.
        let settled = recovery.calls.iter().position(|call| call.act == "list" && call.store == SOURCE).unwrap();
        let tried =
            recovery.cases(0).into_iter().filter(|(n, fault)| *n <= settled && recovery.tells_apart(*n, *fault));
        cases.extend(tried.map(|(n, fault)| (*death, recovery, n, fault)));
    }
    for_all(&cases, |(death, recovery, n, fault)| {
        let failure = recovery.describe(*n, *fault, &recovery.crash(*n, *fault).1)?;
        Some(format!("after death at call {death} ({}): {failure}", step.calls[*death]))
    });
}

/// I6, I10: the run that writes a checkpoint, from its commit on.
#[test]
fn a_crash_at_a_checkpoint_changes_nothing() {
    let world = World::new(POLICY);
    for day in 1..10 {
        world.write(&format!("collector/Signin/2024/03/0{day}/a.json"), records(&format!("2024-03-0{day}"), 0..2));
        assert_eq!(play(Act::Run, &world, None, &format!("2024-03-1{day}T00:00:00Z")), Ok(()));
    }
    world.write("collector/Signin/2024/03/10/a.json", records("2024-03-10", 0..2));
    let (step, _) = Step::play(Act::Run, world, "2024-03-20T00:00:00Z");
    let hint = |call: &Call| call.path.ends_with("_last_checkpoint") && call.writes();
    assert!(step.calls.iter().any(hint), "no checkpoint was written");
    let commit = step.calls.iter().position(|call| call.path.ends_with("00009.json") && call.writes()).unwrap();
    step.crash_at(step.cases(commit).into_iter().filter(|(n, fault)| step.tells_apart(*n, *fault)));
}

/// I1: what a killed run moved aside, while its name was used again and clearing is not armed any more.
#[test]
fn an_object_left_aside_is_found_beside_a_new_one_of_its_name() {
    let world = World::new(POLICY);
    let path = "collector/AppLog/2024/03/01/app.json";
    world.write(path, records("2024-03-01", 0..2));
    let (step, _) = Step::play(Act::Run, world.fork(), FIRST);
    let aside = step.calls.iter().position(|call| call.act == "rename_opts").unwrap();
    drop(play(Act::Run, &world, Some(&Faults::at(aside, Fault::DieAfter)), FIRST));
    world.write(path, records("2024-03-01", 5..8));
    let mut context = world.context(None, None);
    context.armed.raw = false;
    assert!(run_at(&context, FIRST).unwrap().errors.is_empty());
    assert_eq!(world.files("collector").len(), 2, "unarmed: nothing is cleared");
    assert_eq!(play(Act::Run, &world, None, SECOND), Ok(()));
    let seen = world.seen();
    assert_eq!(seen.records.values().map(Vec::len).sum::<usize>(), 2 + 3);
    assert!(seen.raw.is_empty(), "{:?}", seen.raw.keys());
    assert_eq!(world.loose_ends(), Vec::<String>::new());
}
