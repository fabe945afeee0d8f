//! Trouble from outside: each is told with what, why and what to do, ends with the right exit code, loses nothing and
//! leaves the rest done (I1, I12; exit codes of DESIGN §8).

use std::sync::{Arc, mpsc};

use holdfast::ledger::{Lease, LocalLease};
use holdfast::pipeline::{Context, Source};
use holdfast::source::Layout;
use holdfast::{Error, Kind};
use jiff::SignedDuration;

use crate::faults::{Fault, Faults};
use crate::world::{SOURCE, World, for_all, run_at};

const POLICY: &str = r#"
version = 1
[defaults]
archive_after = "0d"
retain = "365d"
keep_raw = "0d"
"#;

const NOW: &str = "2024-03-10T00:00:00Z";

fn world() -> World {
    let world = World::new(POLICY);
    for (table, day) in [("Audit", 1), ("Signin", 1), ("Signin", 2)] {
        let record = format!("{{\"TimeGenerated\":\"2024-03-0{day}T01:00:00Z\",\"table\":\"{table}\"}}\n");
        world.write(&format!("{SOURCE}/{table}/2024/03/0{day}/a.json"), record + "broken\n");
    }
    world
}

/// An error tells what was tried, why it failed, and what to do.
fn tells(error: &Error, what: &str, why: &str) {
    assert!(error.attempted().contains(what), "{error}");
    assert!(error.reason().contains(why), "{error}");
    assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "no hint: {error}");
}

/// After the trouble is over, a run leaves what an untroubled one leaves.
fn recovers(troubled: &World) -> Vec<String> {
    let untroubled = world();
    assert!(untroubled.run(NOW).unwrap().errors.is_empty());
    match troubled.run(NOW) {
        Ok(report) if report.exit_code() == 0 => {}
        other => return vec![format!("the run after it: {other:?}")],
    }
    let mut wrong = untroubled.seen().differences(&troubled.seen());
    wrong.extend(troubled.loose_ends());
    wrong
}

#[test]
fn two_runs_at_once() {
    let world = world();
    let leased = |holder: &'static str, faults: Option<&Arc<Faults>>| {
        let (mut context, ledger) = (world.context(faults, None), world.path("ledger"));
        context.take_lease = Box::new(move || Ok(Box::new(LocalLease::take(&ledger, holder)?) as Box<dyn Lease>));
        context
    };
    let (paused, reached) = mpsc::channel();
    std::thread::scope(|scope| {
        let context = leased("the first run", Some(&Faults::pausing(20, Fault::PauseAfter, paused)));
        let first = scope.spawn(move || run_at(&context, NOW).map(|report| report.exit_code()));
        let resume = reached.recv().unwrap();
        let before = world.files("ledger");
        let error = run_at(&leased("the second run", None), NOW).unwrap_err();
        assert_eq!((error.kind(), error.exit_code()), (Kind::LeaseHeld, 75));
        tells(&error, "lease.json", "the first run");
        assert_eq!(world.files("ledger"), before, "the second did nothing");
        resume.send(()).unwrap();
        assert_eq!(first.join().unwrap().unwrap(), 0);
    });
    assert_eq!(run_at(&leased("the third run", None), NOW).unwrap().exit_code(), 0);
    assert_eq!(recovers(&world), Vec::<String>::new());
}

/// I1: the disk is full from some write on, for each of them.
#[test]
fn a_full_disk() {
    let counting = Faults::none();
    assert!(run_at(&world().context(Some(&counting), None), NOW).unwrap().errors.is_empty());
    let calls = counting.calls();
    let writes: Vec<usize> = (0..calls.len()).filter(|n| calls[*n].writes()).collect();
    for_all(&writes, |n| {
        let world = world();
        let raw = world.files(SOURCE);
        let mut wrong = Vec::new();
        let store = match run_at(&world.context(Some(&Faults::at(*n, Fault::DiskFull)), None), NOW) {
            Ok(report) => report.errors.into_iter().next(),
            Err(error) => Some(error),
        };
        match store {
            Some(error)
                if error.exit_code() == 1 && error.hint().is_some() && error.reason().contains("storage space") => {}
            other => wrong.push(format!("told as {other:?}")),
        }
        let cleared = raw.keys().filter(|path| !world.files(SOURCE).contains_key(*path)).count();
        let archived = world.chain().map_or(0, |chain| chain.state().objects.len());
        if cleared > archived {
            wrong.push(format!("{cleared} raw objects are gone, {archived} archived"));
        }
        wrong.extend(recovers(&world));
        (!wrong.is_empty()).then(|| format!("full at {}:\n  {}", calls[*n], wrong.join("\n  ")))
    });
}

/// A folder that may not be written to. (Root may write anywhere: then there is nothing to see.)
#[cfg(unix)]
#[test]
fn a_read_only_folder() {
    use std::os::unix::fs::PermissionsExt;
    let world = world();
    let allow = |mode| std::fs::set_permissions(world.path("archive"), std::fs::Permissions::from_mode(mode)).unwrap();
    allow(0o555);
    let refused = std::fs::create_dir(world.path("archive/probe")).is_err();
    if refused {
        let error = run_at(&world.context(None, None), NOW).unwrap_err();
        assert_eq!(error.exit_code(), 1);
        tells(&error, "archive/", "ermission denied");
        assert_eq!(world.files(SOURCE).len(), 3);
    } else {
        std::fs::remove_dir(world.path("archive/probe")).unwrap();
    }
    allow(0o755);
    assert_eq!(recovers(&world), Vec::<String>::new());
}

fn with_second_source(world: &World, folder: &str) -> Context {
    std::fs::create_dir_all(world.path(folder)).unwrap();
    let mut context = world.context(None, None);
    context.sources.push(Source {
        name: "second".into(),
        workspace: "other".into(),
        settle: SignedDuration::ZERO,
        layout: Layout::parse("{table}/*").unwrap(),
        store: Ok(world.store(folder, None, None)),
    });
    context
}

/// I12: a source that is gone stops none of the others.
#[test]
fn a_missing_source_folder() {
    let world = world();
    let context = with_second_source(&world, "second");
    std::fs::remove_dir(world.path("second")).unwrap();
    let report = run_at(&context, NOW).unwrap();
    assert_eq!(report.exit_code(), 3);
    tells(&report.errors[0], "source second", "does not exist");
    assert_eq!(report.errors.len(), 1);
    assert_eq!(recovers(&world), Vec::<String>::new());
}

/// I12: an object that vanishes or changes at any moment while it is read; the rest is archived.
#[test]
fn an_object_that_vanishes_while_it_is_read() {
    vanishes_while_it_is_read(64 << 20, 1);
    // So little memory that it is not held but read twice, in pieces.
    vanishes_while_it_is_read(1 << 10, 3);
}

fn vanishes_while_it_is_read(memory: u64, least_reads: usize) {
    let path = "Signin/2024/03/01/a.json";
    let context = |world: &World, faults: &Arc<Faults>| Context { memory, ..world.context(Some(faults), None) };
    let counting = Faults::none();
    assert!(run_at(&context(&world(), &counting), NOW).unwrap().errors.is_empty());
    let calls = counting.calls();
    let reads = (0..calls.len()).filter(|n| calls[*n].act == "get_opts" && calls[*n].path == path);
    // Before it is first cleared: from there on it is moved aside, and gone for good reason.
    let renamed = calls.iter().position(|call| call.act == "rename_opts").unwrap();
    let cases: Vec<(usize, bool)> = reads.filter(|n| *n < renamed).flat_map(|n| [(n, true), (n, false)]).collect();
    assert!(cases.len() >= 2 * least_reads, "{cases:?}");
    for_all(&cases, |(n, vanish)| {
        let world = world();
        let (paused, reached) = mpsc::channel();
        let outcome = std::thread::scope(|scope| {
            let faults = Faults::pausing(*n, Fault::PauseBefore, paused);
            let context = context(&world, &faults);
            drop(faults);
            let run = scope.spawn(move || run_at(&context, NOW));
            if let Ok(resume) = reached.recv() {
                match vanish {
                    true => std::fs::remove_file(world.path(SOURCE).join(path)).unwrap(),
                    false => world.write(&format!("{SOURCE}/{path}"), "{}\n{}\n"),
                }
                let _ = resume.send(());
            }
            run.join().unwrap()
        });
        let report = match outcome {
            Ok(report) => report,
            Err(error) => return Some(format!("call {n}, vanish {vanish}: the run ended: {error}")),
        };
        let told = report.errors.iter().any(|error| {
            let said = format!("{error}");
            said.contains(path) && error.kind() == Kind::Object && error.hint().is_some()
        });
        let rest = world.seen().records.values().map(Vec::len).sum::<usize>();
        let done = report.exit_code() == 3 && told && rest == 2;
        (!done).then(|| {
            format!("call {n}, vanish {vanish}: exit {}, {rest} records: {:?}", report.exit_code(), report.errors)
        })
    });
}
