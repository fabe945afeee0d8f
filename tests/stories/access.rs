//! The access log: every search and restore is on record before anything is read, and nobody changes that unseen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use holdfast::access::{Asked, Checked, Ended, Log, Question, Text, What, check, list, show};
use holdfast::error::Result;
use holdfast::names::TableName;
use holdfast::storage::Store;
use jiff::Timestamp;
use tokio::runtime::Runtime;

use crate::faults::{Fault, Faults};
use crate::site::Site;

const WRITER: &str = "web-1-alice";

fn at() -> Timestamp {
    "2024-05-01T12:00:00Z".parse().unwrap()
}

/// A log whose nonces nobody else has.
fn log_of(archive: Store, process: &str) -> Log {
    let (process, count) = (process.to_owned(), AtomicU64::new(0));
    Log::open(archive, WRITER, Arc::new(move || format!("{process}-{}", count.fetch_add(1, Ordering::Relaxed))))
}

fn question(text: &str) -> Question<'_> {
    let tables = vec![TableName::new("main", "Signin")];
    Question { asserted: "Alice", what: What::Restore, tables, text }
}

fn ask(log: &Log, text: &str) -> Result<Asked> {
    log.asked(at(), &question(text))
}

fn answer(asked: &Asked, rows: u64) {
    asked.answered(at(), rows, rows * 10, &Ended::Whole, &["raw logs".to_owned()]).unwrap();
}

/// Questions that were asked and answered, one after the other.
fn asked_and_answered(site: &Site, questions: u64) {
    let log = log_of(site.archive(), "one");
    for number in 0..questions {
        answer(&ask(&log, &format!("question {number}")).unwrap(), number);
    }
}

fn well(site: &Site, entries: u64) -> Checked {
    let checked = check(&site.archive()).unwrap();
    assert_eq!((&checked.damage, checked.entries()), (&Vec::new(), entries));
    checked
}

/// The texts of all questions, oldest first, with the rows of their answers.
fn told(site: &Site) -> Vec<(String, Option<u64>)> {
    let listing = list(&site.archive(), None, None).unwrap();
    assert_eq!(listing.flaws, []);
    let text = |text: &Text| match text {
        Text::Is(text) => text.clone(),
        other => format!("{other:?}"),
    };
    listing
        .accesses
        .iter()
        .map(|access| (text(&access.text), access.answered.as_ref().map(|answered| answered.rows)))
        .collect()
}

fn path_of(site: &Site, name: &str) -> std::path::PathBuf {
    site.path().join("archive/access").join(WRITER).join(name)
}

fn entry(seq: u64) -> String {
    format!("{seq:012}.json")
}

/// The archive under faults, in a runtime of its own.
fn under(site: &Site, faults: &Arc<Faults>, runtime: &Runtime) -> Store {
    let archive = site.archive();
    Store::new(archive.url().clone(), faults.wrap("archive", archive.inner()), runtime.handle().clone())
}

#[test]
fn what_is_asked_and_answered_is_told() {
    let site = Site::new();
    asked_and_answered(&site, 3);
    let checked = well(&site, 6);
    assert_eq!((checked.chains[0].unanswered, checked.chains[0].head.as_ref().unwrap().seq), (0, 5));
    let expected: Vec<_> = (0..3).map(|number| (format!("question {number}"), Some(number))).collect();
    assert_eq!(told(&site), expected);
    let (archive, newest) = (site.archive(), list(&site.archive(), Some(WRITER), Some(1)).unwrap().accesses);
    assert_eq!(newest[0].seq, 4);
    assert_eq!(show(&archive, WRITER, 4).unwrap(), newest[0], "by the number of the question");
    assert_eq!(show(&archive, WRITER, 5).unwrap(), newest[0], "by the number of the answer");
    // Nothing that was asked, and no name, stands in the chain itself.
    for seq in 0..6 {
        let text = std::fs::read_to_string(path_of(&site, &entry(seq))).unwrap();
        assert!(!text.contains("question") && !text.contains("Alice"), "{text}");
    }
}

/// Two processes of one user at the same time: the one that finds its place taken goes on after the other.
#[test]
fn two_processes_interleaved_both_get_in() {
    let calls_before_the_entry = {
        let (site, runtime, faults) = (Site::new(), Runtime::new().unwrap(), Faults::none());
        ask(&log_of(under(&site, &faults, &runtime), "one"), "first").unwrap();
        faults.calls().iter().position(|call| call.writes() && call.path.ends_with(&entry(0))).unwrap()
    };
    let (site, runtime) = (Site::new(), Runtime::new().unwrap());
    let (pause, paused) = mpsc::channel();
    let faults = Faults::pausing(calls_before_the_entry, Fault::PauseBefore, pause);
    let slow = log_of(under(&site, &faults, &runtime), "slow");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| answer(&ask(&slow, "slow").unwrap(), 1));
        let resume = paused.recv().unwrap();
        let quick = log_of(site.archive(), "quick");
        let asked = ask(&quick, "quick").unwrap();
        answer(&asked, 2);
        assert_eq!(asked.entry.seq, 0);
        resume.send(()).unwrap();
        slow.join().unwrap();
    });
    well(&site, 4);
    assert_eq!(told(&site), [("quick".to_owned(), Some(2)), ("slow".to_owned(), Some(1))]);
}

#[test]
fn many_processes_at_once_all_get_in() {
    let site = Site::new();
    std::thread::scope(|scope| {
        for process in ["one", "two", "three"] {
            let site = &site;
            scope.spawn(move || {
                let log = log_of(site.archive(), process);
                for number in 0..20 {
                    answer(&ask(&log, &format!("{process} {number}")).unwrap(), number);
                }
            });
        }
    });
    let checked = well(&site, 120);
    assert_eq!(checked.chains[0].unanswered, 0);
    let told: std::collections::BTreeSet<_> = told(&site).into_iter().collect();
    assert_eq!(told.len(), 60);
    assert!(told.contains(&("two 7".to_owned(), Some(7))));
}

/// Finding the end of a long chain costs as little as that of a short one: no listing, a handful of looks.
#[test]
fn the_chains_end_is_found_without_reading_the_chain() {
    let site = Site::new();
    asked_and_answered(&site, 200);
    let runtime = Runtime::new().unwrap();
    let calls = |least_head: Option<&str>| {
        match least_head {
            None => std::fs::remove_file(path_of(&site, "head.json")).unwrap(),
            Some(text) => std::fs::write(path_of(&site, "head.json"), text).unwrap(),
        }
        let faults = Faults::none();
        ask(&log_of(under(&site, &faults, &runtime), "next"), "next").unwrap();
        let calls = faults.calls();
        assert!(calls.iter().all(|call| !call.act.starts_with("list")), "{calls:?}");
        calls.iter().filter(|call| !call.writes()).count()
    };
    let head = std::fs::read_to_string(path_of(&site, "head.json")).unwrap();
    assert_eq!(calls(Some(&head)), 4, "head.json, the entry it names, none after it, that entry again");
    assert!(calls(None) <= 25);
    assert!(calls(Some(&head)) <= 10, "an old one");
    assert!(calls(Some("{}")) <= 25);
    let checked = check(&site.archive()).unwrap();
    assert_eq!((checked.damage, checked.chains[0].entries), (Vec::new(), 404));
}

/// The process dies, or the store does, at each call: what is recorded is whole, and the next one goes on after it.
#[test]
fn killed_or_broken_at_any_call_the_chain_stays_whole() {
    let runtime = Runtime::new().unwrap();
    let calls = {
        let (site, faults) = (Site::new(), Faults::none());
        asked_and_answered(&site, 1);
        answer(&ask(&log_of(under(&site, &faults, &runtime), "two"), "two").unwrap(), 2);
        faults.calls().len()
    };
    for fault in [Fault::ErrBefore, Fault::ErrAfter, Fault::DieAfter] {
        for n in 0..calls {
            let site = Site::new();
            asked_and_answered(&site, 1);
            let log = log_of(under(&site, &Faults::at(n, fault), &runtime), "two");
            let asked = ask(&log, "two");
            let recorded = asked.as_ref().is_ok_and(|asked| asked.answered(at(), 2, 20, &Ended::Whole, &[]).is_ok());
            let log = log_of(site.archive(), "three");
            answer(&ask(&log, "three").unwrap(), 3);
            let checked = check(&site.archive()).unwrap();
            assert_eq!(checked.damage, [], "{fault:?} at {n}");
            let told = told(&site);
            // Whoever was told that it is recorded finds it.
            if asked.is_ok() {
                assert!(told.iter().any(|(text, _)| text == "two"), "{fault:?} at {n}: {told:?}");
            }
            if recorded {
                assert!(told.contains(&("two".to_owned(), Some(2))), "{fault:?} at {n}: {told:?}");
            }
            assert!(told.contains(&("three".to_owned(), Some(3))), "{fault:?} at {n}: {told:?}");
        }
    }
}

/// Between question and answer the process was killed: the question stands alone, and nobody says what came of it.
#[test]
fn killed_in_between_leaves_the_question() {
    let site = Site::new();
    let log = log_of(site.archive(), "one");
    drop(ask(&log, "killed").unwrap());
    answer(&ask(&log, "the next").unwrap(), 1);
    let checked = well(&site, 3);
    assert_eq!(checked.chains[0].unanswered, 1);
    assert_eq!(told(&site), [("killed".to_owned(), None), ("the next".to_owned(), Some(1))]);
}

#[test]
fn nothing_is_recorded_where_nothing_can_be_written() {
    let (site, runtime) = (Site::new(), Runtime::new().unwrap());
    for (fault, reason) in [(Fault::ReadOnly, "may only read"), (Fault::DiskFull, "no storage space")] {
        let error = ask(&log_of(under(&site, &Faults::at(0, fault), &runtime), "one"), "text").unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    assert_eq!(list(&site.archive(), None, None).unwrap().accesses, []);
}

/// What an entry is harmed by, and what of it is said.
#[test]
fn damage_is_named() {
    let site = Site::new();
    asked_and_answered(&site, 4);
    let last = 7;
    let original = |name: &str| std::fs::read(path_of(&site, name)).unwrap();
    let sealed: Vec<String> = std::fs::read_dir(path_of(&site, "sealed"))
        .unwrap()
        .map(|file| format!("sealed/{}", file.unwrap().file_name().to_string_lossy()))
        .collect();
    // Each byte of an entry, of a sealed text, of head.json: harmed, named, put back.
    let mut names = vec![entry(0), entry(3), entry(last), "head.json".to_owned(), sealed[0].clone()];
    for name in std::mem::take(&mut names) {
        let bytes = original(&name);
        for at in 0..bytes.len() {
            let mut harmed = bytes.clone();
            harmed[at] ^= 1;
            std::fs::write(path_of(&site, &name), harmed).unwrap();
            let damage = check(&site.archive()).unwrap().damage;
            assert!(!damage.is_empty(), "byte {at} of {name} flipped, and nobody says so");
        }
        std::fs::write(path_of(&site, &name), bytes).unwrap();
        well(&site, last + 1);
    }
    // Removed: the first, one in between, the last.
    for (seq, said) in [(0, "it is missing"), (3, "it is missing"), (last, "its newest entries are gone")] {
        let bytes = original(&entry(seq));
        std::fs::remove_file(path_of(&site, &entry(seq))).unwrap();
        let damage = check(&site.archive()).unwrap().damage;
        assert!(
            damage.iter().any(|flaw| flaw.what.ends_with(&format!(" {seq}")) && flaw.why.contains(said)),
            "{damage:?}"
        );
        std::fs::write(path_of(&site, &entry(seq)), bytes).unwrap();
    }
    // Two change places; one stands in for another.
    let (one, two) = (original(&entry(2)), original(&entry(4)));
    std::fs::write(path_of(&site, &entry(2)), &two).unwrap();
    assert!(!check(&site.archive()).unwrap().damage.is_empty());
    std::fs::write(path_of(&site, &entry(4)), &one).unwrap();
    assert!(!check(&site.archive()).unwrap().damage.is_empty());
    std::fs::write(path_of(&site, &entry(2)), one).unwrap();
    std::fs::write(path_of(&site, &entry(4)), two).unwrap();
    well(&site, last + 1);
}

/// What is sealed can be destroyed; the chain stays whole, and only the text is missing.
#[test]
fn a_destroyed_text_is_no_damage() {
    let site = Site::new();
    asked_and_answered(&site, 2);
    std::fs::remove_dir_all(path_of(&site, "sealed")).unwrap();
    let checked = well(&site, 4);
    assert_eq!(checked.chains[0].destroyed, 4);
    let listing = list(&site.archive(), None, None).unwrap();
    assert!(listing.accesses.iter().all(|access| access.text == Text::Destroyed && access.asserted == Text::Destroyed));
}

/// Whoever removes the last entry is found out, even after others have been written over it.
#[test]
fn a_removed_last_entry_is_not_forgotten() {
    let site = Site::new();
    asked_and_answered(&site, 2);
    std::fs::remove_file(path_of(&site, &entry(3))).unwrap();
    let log = log_of(site.archive(), "two");
    answer(&ask(&log, "after").unwrap(), 9);
    let damage = check(&site.archive()).unwrap().damage;
    assert!(damage.len() == 1 && damage[0].what.ends_with(" 3"), "{damage:?}");
    assert!(damage[0].why.contains("when entry 3 was written"), "{damage:?}");
    // The other questions can be read all the same.
    assert_eq!(told(&site).last().unwrap(), &("after".to_owned(), Some(9)));
}

/// `head.json` may say what it likes: entries are added at the end, and what it claimed is not lost.
#[test]
fn a_lying_head_is_survived() {
    for lie in [
        "{\"seq\":1,\"sha256\":\"00\"}",
        "{\"seq\":900,\"sha256\":\"00\"}",
        "{\"seq\":18446744073709551615,\"sha256\":\"\"}",
        "nothing",
    ] {
        let site = Site::new();
        asked_and_answered(&site, 5);
        std::fs::write(path_of(&site, "head.json"), lie).unwrap();
        assert!(!check(&site.archive()).unwrap().damage.is_empty(), "{lie}");
        let asked = ask(&log_of(site.archive(), "two"), "after").unwrap();
        assert_eq!(asked.entry.seq, 10, "{lie}");
        answer(&asked, 1);
        let checked = check(&site.archive()).unwrap();
        assert_eq!(checked.entries(), 12, "{lie}");
        // What nobody could read claimed nothing.
        assert_eq!(checked.damage.len(), usize::from(lie != "nothing"), "{lie}: {:?}", checked.damage);
    }
}

mod command;
