//! The circuit breaker (DESIGN §7): steady nights never ask, a typo always does, and nobody waits for another table.

use holdfast::plan::{Expiry, Fate};
use holdfast::policy::PolicySet;
use jiff::ToSpan;

use crate::shelf::{Shelf, asking, day, keep, policy, policy_in};

/// Bytes of a day: none is like the next.
fn bytes(number: i64) -> u64 {
    100 + u64::try_from(number * 37 % 60).unwrap()
}

fn arrive(shelf: &mut Shelf, table: &str, from: i64, to: i64) {
    for number in from..to {
        shelf.add(table, number..number + 1, bytes(number));
    }
}

/// What is retired in this plan, by table and day.
fn retires(plan: &Expiry) -> Vec<(String, jiff::civil::Date)> {
    let going = plan.days.iter().filter(|verdict| verdict.fate == Fate::Retire && verdict.goes());
    going.map(|verdict| (verdict.item.table.table.clone(), verdict.item.day)).collect()
}

/// Runs in these nights, with all days arriving until `ends`; the first time that asks is approved. Gives what asked later.
fn asked_later(set: PolicySet, nights: &[i64], ends: i64) -> Vec<String> {
    let (mut shelf, mut last, mut approved, mut later) = (Shelf::new(set), 0, false, Vec::new());
    let mut retired = 0;
    for number in nights.iter().copied() {
        arrive(&mut shelf, "T", last.min(ends), number.min(ends));
        last = number;
        if !approved && !asking(&shelf.plan(number)).is_empty() {
            shelf.approve(number, "ann");
            approved = true;
        }
        let plan = shelf.night(number);
        later.extend(asking(&plan).into_iter().map(|reason| format!("{}: {reason}", day(number))));
        retired += retires(&plan).len();
    }
    assert!(approved && retired > 1, "nothing was tested");
    later
}

#[test]
fn steady_nights_never_ask() {
    for retain in ["1d", "3d", "30d"] {
        for purge_delay in ["0d", "7d"] {
            let set = keep(&format!("retain = \"{retain}\"\npurge_delay = \"{purge_delay}\""));
            let nights: Vec<i64> = (1..=70).collect();
            assert_eq!(asked_later(set, &nights, 70), [""; 0], "{retain} {purge_delay}");
        }
    }
}

#[test]
fn weekly_runs_and_a_month_off_never_ask() {
    for retain in ["1d", "3d", "30d"] {
        let set = || keep(&format!("retain = \"{retain}\""));
        let weekly: Vec<i64> = (1..20).map(|week| week * 7).collect();
        assert_eq!(asked_later(set(), &weekly, 140), [""; 0], "weekly, {retain}");
        let monthly: Vec<i64> = (1..6).map(|month| month * 31).collect();
        assert_eq!(asked_later(set(), &monthly, 160), [""; 0], "monthly, {retain}");
        let pause: Vec<i64> = (1..40).chain(74..90).collect();
        assert_eq!(asked_later(set(), &pause, 90), [""; 0], "35 days off, {retain}");
    }
}

/// After a longer pause than 35 days (or a clock that jumped ahead so far), what expired before asks, if it is much.
#[test]
fn after_a_long_pause_the_rest_asks_if_it_is_over_a_fifth() {
    for (bytes, asks) in [(100, false), (1_000, true)] {
        let mut shelf = Shelf::new(keep("retain = \"3d\""));
        arrive(&mut shelf, "T", 0, 5);
        shelf.approve(5, "ann");
        assert_eq!(retires(&shelf.night(5)).len(), 2);
        // 40 days off: what expired in the first five of them is beyond the pause.
        shelf.add("T", 5..8, bytes);
        arrive(&mut shelf, "T", 8, 45);
        let plan = shelf.night(45);
        assert_eq!(!asking(&plan).is_empty(), asks, "{bytes}: {:?}", asking(&plan));
        assert_eq!(retires(&plan).is_empty(), asks);
        if asks {
            assert!(
                asking(&plan)[0].starts_with("main/T: 5 days more than expired since the last run"),
                "{:?}",
                asking(&plan)
            );
            // Each further night asks for the same until a person consents, and then all of it goes.
            assert_eq!(asking(&shelf.night(46)).len(), 1);
            shelf.approve(47, "ann");
            assert!(asking(&shelf.night(47)).is_empty());
        }
    }
}

/// Its last day is all that lives, and goes like every other.
#[test]
fn a_table_that_ends_never_asks() {
    for retain in ["1d", "3d", "30d"] {
        let nights: Vec<i64> = (1..=100).collect();
        assert_eq!(asked_later(keep(&format!("retain = \"{retain}\"")), &nights, 40), [""; 0], "{retain}");
        let weekly: Vec<i64> = (1..20).map(|week| week * 7).collect();
        assert_eq!(asked_later(keep(&format!("retain = \"{retain}\"")), &weekly, 40), [""; 0], "weekly, {retain}");
    }
}

/// Two years of T and a month of U, some steady nights behind them.
fn two_years(set: PolicySet) -> Shelf {
    let mut shelf = Shelf::new(set);
    arrive(&mut shelf, "T", 0, 735);
    arrive(&mut shelf, "U", 700, 735);
    assert_eq!(asking(&shelf.plan(735)).len(), 2);
    shelf.approve(735, "ann");
    for number in 735..740 {
        assert!(asking(&shelf.night(number)).is_empty());
        arrive(&mut shelf, "T", number, number + 1);
        arrive(&mut shelf, "U", number, number + 1);
    }
    shelf
}

/// Under any rule, by any way, with any grace: what the longer rule keeps is not retired unasked.
#[test]
fn a_typo_never_passes() {
    let table = |name: &str, keys: &str| format!("[[table]]\nname = \"{name}\"\n{keys}\n");
    let defaults = |keys: &str| format!("[defaults]\n{keys}\n");
    let (two_years_long, typo, u) = ("retain = \"730d\"", "retain = \"73d\"", table("U", "retain = \"30d\""));
    let no_grace = "shorten_grace = \"0d\"\n";
    let cases: [(&str, String, String); 7] = [
        ("the rule", table("T", two_years_long), table("T", typo)),
        (
            "the rule, without grace",
            table("T", &format!("{no_grace}{two_years_long}")),
            table("T", &format!("{no_grace}{typo}")),
        ),
        ("the rule, and the grace with it", table("T", two_years_long), table("T", &format!("{no_grace}{typo}"))),
        (
            "[defaults], without grace",
            defaults(&format!("{no_grace}{two_years_long}")),
            defaults(&format!("{no_grace}{typo}")),
        ),
        (
            "[defaults] for a rule",
            defaults(two_years_long) + &table("T", no_grace),
            defaults(typo) + &table("T", no_grace),
        ),
        ("a glob", table("T*", &format!("{no_grace}{two_years_long}")), table("T*", &format!("{no_grace}{typo}"))),
        (
            "a more literal rule",
            table("*", &format!("{no_grace}{two_years_long}")),
            table("*", &format!("{no_grace}{two_years_long}")) + &table("main/T", &format!("{no_grace}{typo}")),
        ),
    ];
    for (what, before, after) in cases {
        let mut shelf = two_years(policy(&format!("{before}{u}")));
        shelf.accept(740, policy(&format!("{after}{u}")));
        let (mut others, mut asked) = (0, 0);
        for number in (740..744).chain(768..776) {
            let plan = shelf.night(number);
            for (table, old) in retires(&plan) {
                let kept = if table == "T" { 731 } else { 31 };
                let expires = old.checked_add(kept.days()).unwrap();
                assert!(expires <= day(number), "{what}: {table} {old} goes on {}", day(number));
                others += usize::from(table == "U");
            }
            let tables = asking(&plan);
            let expected = ["main/T: the rule was shortened on", "main/T: it would be the first retirement"];
            let is_expected = |reason: &String| expected.iter().any(|start| reason.starts_with(start));
            assert!(tables.iter().all(is_expected), "{what}: {tables:?}");
            asked += tables.len();
            arrive(&mut shelf, "T", number, number + 1);
            arrive(&mut shelf, "U", number, number + 1);
        }
        // What lived in the nights that were left out is missing.
        assert_eq!(others, 35, "{what}: U goes on night by night");
        assert!(asked >= 5, "{what}: it asks night by night, {asked}");
    }
}

/// A rule is known by its file and its name: under another one the first retirement asks.
#[test]
fn a_renamed_rule_and_a_renamed_file_ask_again() {
    let rule = |name: &str| format!("[[table]]\nname = \"{name}\"\nretain = \"3d\"\n");
    let renamed = [
        ("the same", policy(&format!("# a comment\n\n{}", rule("T"))), false),
        ("the rule", policy(&rule("main/T")), true),
        ("the file", policy_in("other.toml", &rule("T")), true),
        ("now a glob", policy(&rule("T*")), true),
    ];
    for (what, set, asks) in renamed {
        let mut shelf = Shelf::new(policy(&rule("T")));
        arrive(&mut shelf, "T", 0, 5);
        shelf.approve(5, "ann");
        shelf.night(5);
        arrive(&mut shelf, "T", 5, 6);
        shelf.accept(6, set);
        let plan = shelf.night(6);
        let expected = "main/T: it would be the first retirement in this table under this rule";
        assert_eq!(asking(&plan), if asks { vec![expected] } else { Vec::new() }, "{what}");
        assert_eq!(retires(&plan).is_empty(), asks, "{what}");
        if asks {
            shelf.approve(7, "ann");
            assert!(!retires(&shelf.night(7)).is_empty(), "{what}");
            arrive(&mut shelf, "T", 6, 7);
            assert!(asking(&shelf.night(8)).is_empty(), "{what}: once");
        }
    }
}

/// Late segments in days that were consented to are other segments than those that were listed.
#[test]
fn consent_is_to_what_it_lists() {
    let mut shelf = Shelf::new(keep("retain = \"3d\""));
    arrive(&mut shelf, "T", 0, 5);
    shelf.approve(5, "ann");
    shelf.add("T", 0..2, 500);
    assert!(!asking(&shelf.night(5)).is_empty());
    assert!(shelf.state.tables["main/t"].retired.is_empty());
    assert_eq!(shelf.approve(6, "ann"), 3);
    assert_eq!(retires(&shelf.night(6)).len(), 3);
}
