//! A crash at any instant of expiry: nothing goes early, nothing stays late, and every row is accounted for (I2, I3, I4).
//!
//! One archive lives through all of it: approval, retirement, a lengthened rule that puts back what was retired, a rule
//! shortened again and its grace, destruction of segments, quarantine and raw objects, and the trimming of logs. Each of
//! these runs is played once undisturbed, and then again for every store call from its first write on.

use std::collections::BTreeSet;

use holdfast::ledger::Why;
use jiff::ToSpan;
use jiff::civil::{Date, date};

use super::{Act, Step, records};
use crate::faults::{Call, Fault, Faults};
use crate::standing::{named_though_gone, standing};
use crate::world::{World, approve_at, for_all};

/// Days count from 2024-03-01. `Live` stays raw.
pub(super) fn policy(signin: &str) -> String {
    format!(
        r#"
version = 1
[defaults]
archive_after = "0d"
keep_raw = "0d"
retain = "10d"
purge_delay = "3d"
quarantine_retain = "6d"
shorten_grace = "1d"
[[table]]
name = "Signin"
retain = "{signin}"
[[table]]
name = "Live"
archive = false
"#
    )
}

const LAID: &str = "2024-03-10T01:00:00Z";
const CONSENT: &str = "2024-03-13T00:30:00Z";
pub(super) const RETIRING: &str = "2024-03-13T01:00:00Z";
const LENGTHENED: &str = "2024-03-14T01:00:00Z";
const SHORTENED: &str = "2024-03-15T01:00:00Z";
const SECOND_CONSENT: &str = "2024-03-17T00:30:00Z";
const MIXED: &str = "2024-03-17T01:00:00Z";
const DESTROYING: &str = "2024-03-20T01:00:00Z";

/// A record whose time cannot be true: it goes to quarantine on the day it arrives.
const IMPLAUSIBLE: u32 = 39;
/// It comes when its day is gone already.
pub(super) const LATE: u32 = 35;

fn lay_out(world: &World) {
    for (table, day, numbers) in [
        ("Signin", "01", 1..3),
        ("Signin", "02", 10..12),
        ("Signin", "05", 20..22),
        ("AppLog", "01", 30..32),
        ("Live", "01", 50..52),
        ("Live", "09", 60..62),
    ] {
        let path = format!("collector/{table}/2024/03/{day}/a.json");
        world.write(&path, records(&format!("2024-03-{day}"), numbers));
    }
    world.write("collector/AppLog/2024/03/02/b.json", records("2031-01-01", IMPLAUSIBLE..IMPLAUSIBLE + 1));
}

/// All records there ever are.
fn all() -> BTreeSet<u32> {
    [1, 2, 10, 11, 20, 21, 30, 31, IMPLAUSIBLE, 50, 51, 60, 61].into()
}

/// The first day on which a record may be gone, from its own time and what the policy above says: never by Holdfast's own
/// reckoning.
fn may_go(number: u32) -> Date {
    let after = |day: Date, days: i64| day.checked_add(days.days()).unwrap();
    let (one, purge) = (1, 3);
    match number {
        // The longer rule is gone, but its grace of a day, from 01:00 on the 15th, protects until the 16th is over.
        1..30 => {
            let day = date(
                2024,
                3,
                if number < 10 {
                    1
                } else if number < 20 {
                    2
                } else {
                    5
                },
            );
            after(day, 9 + one + purge).max(date(2024, 3, 17))
        }
        30..39 => after(date(2024, 3, 1), 10 + one + purge),
        IMPLAUSIBLE => after(date(2024, 3, 10), 6 + one),
        50..60 => after(date(2024, 3, 1), 10 + one + purge),
        _ => after(date(2024, 3, 9), 10 + one + purge),
    }
}

/// A run of the story, and which records stand after it.
pub(super) struct Aged {
    pub(super) step: Step,
    stands: BTreeSet<u32>,
}

impl Aged {
    pub(super) fn play(before: World, now: &'static str) -> (Aged, World) {
        let (step, world) = Step::play(Act::Run, before, now);
        let stands = standing(&world);
        assert_eq!(accounts(&world), None);
        assert_eq!(named_though_gone(&world), Vec::<String>::new());
        (Aged { step, stands }, world)
    }

    /// From its first write on: before that, a run only reads the ledger. What it reads there later, the same fold reads.
    pub(super) fn cases(&self) -> Vec<(usize, Fault)> {
        let first = self.step.calls.iter().position(Call::writes).unwrap();
        let cases = self.step.cases(first).into_iter();
        let folds = |call: &Call| call.store == "ledger" && !call.writes();
        cases.filter(|(n, fault)| self.step.tells_apart(*n, *fault) && !folds(&self.step.calls[*n])).collect()
    }

    /// Those at a write, and a takeover just before it. That a put's answer is lost the mixed run tries.
    pub(super) fn cases_of_writes(&self) -> Vec<(usize, Fault)> {
        let reads = |n: &usize| !self.step.calls[*n].writes();
        let telling = |n: &usize, fault: &Fault| match fault {
            Fault::ErrAfter => false,
            Fault::ErrBefore => !reads(n),
            _ => true,
        };
        self.cases().into_iter().filter(|(n, fault)| telling(n, fault)).collect()
    }

    /// What is wrong in a world in which this run ended in the end.
    pub(super) fn look(&self, world: &World, wrong: &mut Vec<String>) {
        let stands = standing(world);
        let (early, late): (Vec<_>, Vec<_>) =
            (self.stands.difference(&stands).collect(), stands.difference(&self.stands).collect());
        wrong.extend((!early.is_empty()).then(|| format!("gone early: {early:?}")));
        wrong.extend((!late.is_empty()).then(|| format!("there still: {late:?}")));
        wrong.extend(accounts(world));
        wrong.extend(named_though_gone(world));
    }

    pub(super) fn crash_at(&self, cases: &[(usize, Fault)]) {
        for_all(cases, |(n, fault)| {
            let (world, mut wrong) = self.step.crash(*n, *fault);
            self.look(&world, &mut wrong);
            self.step.describe(*n, *fault, &wrong)
        });
    }
}

/// Where a row is missing from the books: `decoded = live + retired + destroyed + quarantined + expired + duplicate + raw`.
pub(super) fn accounts(world: &World) -> Option<String> {
    let chain = world.chain().unwrap();
    let state = chain.state();
    let (mut decoded, mut archived) = (0, 0);
    for known in state.objects.values() {
        let counts = known.counts;
        if !counts.balances() {
            return Some(format!("{:?} does not balance", known.outcome.path));
        }
        (decoded, archived) = (decoded + counts.decoded, archived + counts.archived);
    }
    let live: u64 =
        state.tables.values().flat_map(|known| known.segments.values()).map(|(one, _)| one.digest.rows).sum();
    let retired = state.tables.values().flat_map(|known| known.retired.values());
    let retired: u64 =
        retired.filter(|one| matches!(one.why, Why::Expired(_))).map(|one| one.segment.digest.rows).sum();
    let gone: u64 = state.batches.values().map(|batch| batch.gone.expired).sum();
    (archived != live + retired + gone)
        .then(|| format!("of {decoded} rows, {archived} were archived: {live} live, {retired} retired, {gone} gone"))
}

/// The runs of the story, one after the other.
pub(super) struct Story {
    pub(super) retiring: Aged,
    lengthened: Aged,
    shortened: Aged,
    pub(super) mixed: Aged,
    destroying: Aged,
}

pub(super) fn before_consent() -> World {
    let world = World::new(&policy("10d")).armed();
    lay_out(&world);
    assert!(world.run(LAID).unwrap().errors.is_empty());
    world
}

pub(super) fn retiring() -> (Aged, World) {
    let world = before_consent();
    assert_eq!(world.approve_all(CONSENT), 3);
    Aged::play(world, RETIRING)
}

pub(super) fn story() -> Story {
    let (retiring, world) = retiring();
    let (lengthened, world) = Aged::play(world.under(&policy("20d")), LENGTHENED);
    let (shortened, world) = Aged::play(world.under(&policy("9d")), SHORTENED);
    assert_eq!(world.approve_all(SECOND_CONSENT), 4);
    world.write("collector/AppLog/2024/03/02/late.json", records("2024-03-01", LATE..LATE + 1));
    let (mixed, world) = Aged::play(world, MIXED);
    let (destroying, _) = Aged::play(world, DESTROYING);
    Story { retiring, lengthened, shortened, mixed, destroying }
}

/// I3, I4: what the crashes below are compared with is right by a reckoning of its own.
#[test]
fn the_story_of_expiry() {
    let Story { retiring, lengthened, shortened, mixed, destroying } = story();
    let gone = |aged: &Aged| all().difference(&aged.stands).copied().collect::<Vec<u32>>();
    for aged in [&retiring, &lengthened, &shortened] {
        assert_eq!(gone(aged), Vec::<u32>::new(), "{}", aged.step.now);
    }
    assert_eq!(gone(&mixed), [30, 31, IMPLAUSIBLE, 50, 51]);
    assert_eq!(gone(&destroying), [1, 2, 10, 11, 20, 21, 30, 31, IMPLAUSIBLE, 50, 51]);
    for aged in [&retiring, &lengthened, &shortened, &mixed, &destroying] {
        let today: Date = aged.step.now[..10].parse().unwrap();
        for number in gone(aged) {
            assert!(may_go(number) <= today, "{number} went on {today}, before {}", may_go(number));
        }
    }
    assert!(!mixed.stands.contains(&LATE), "it was expired when it came");
    let retired =
        |aged: &Aged| aged.step.after.retired.keys().map(|(table, day, _)| format!("{table} {day}")).collect();
    let days = |aged: &Aged| -> Vec<String> { retired(aged) };
    assert_eq!(days(&retiring), ["main/AppLog 2024-03-01", "main/Signin 2024-03-01", "main/Signin 2024-03-02"]);
    assert_eq!(days(&lengthened), ["main/AppLog 2024-03-01"]);
    assert_eq!(days(&shortened), ["main/AppLog 2024-03-01"], "its grace runs");
    assert_eq!(days(&mixed), ["01", "02", "05"].map(|day| format!("main/Signin 2024-03-{day}")));
    assert_eq!(days(&destroying), Vec::<String>::new());
}

/// I2, I3: the first retirement of two tables, by approval.
#[test]
fn a_crash_while_retiring_changes_nothing() {
    let (retiring, _) = retiring();
    retiring.crash_at(&retiring.cases_of_writes());
}

/// I2, I3: a longer rule puts back what was retired, a shorter one waits.
#[test]
fn a_crash_while_a_policy_changes_changes_nothing() {
    let Story { lengthened, shortened, .. } = story();
    lengthened.crash_at(&lengthened.cases_of_writes());
    shortened.crash_at(&shortened.cases_of_writes());
}

/// I3, I4: one table is retired, another destroyed and its log trimmed; quarantine raw objects and late records go.
#[test]
fn a_crash_while_retiring_and_destroying_changes_nothing() {
    let Story { mixed, .. } = story();
    mixed.crash_at(&mixed.cases());
}

/// I6: an approval that fails at any call, given again, is an approval; the run after it does what it would have done.
#[test]
fn a_crash_while_approving_changes_nothing() {
    let (retiring, _) = retiring();
    let before = before_consent();
    let (world, faults) = (before.fork(), Faults::none());
    assert_eq!(approve_at(&world.context(Some(&faults), None), CONSENT).unwrap(), 3);
    let calls = faults.calls();
    let first = calls.iter().position(Call::writes).unwrap();
    let faults = [Fault::ErrBefore, Fault::ErrAfter, Fault::DieAfter];
    let cases: Vec<(usize, Fault)> = (first..calls.len()).flat_map(|n| faults.map(|fault| (n, fault))).collect();
    for_all(&cases, |(n, fault)| {
        let world = before.fork();
        drop(approve_at(&world.context(Some(&Faults::at(*n, *fault)), None), CONSENT));
        world.approve_all(CONSENT);
        let mut wrong: Vec<String> = super::play(Act::Run, &world, None, RETIRING).err().into_iter().collect();
        wrong.extend(retiring.step.after.differences(&world.seen()));
        // A text that was sealed for nothing says nothing: no entry names it.
        wrong.extend(world.loose_ends().into_iter().filter(|end| !end.starts_with("ledger/sealed/")));
        retiring.look(&world, &mut wrong);
        (!wrong.is_empty()).then(|| format!("call {n} ({}), {fault:?}:\n  {}", calls[*n], wrong.join("\n  ")))
    });
}
