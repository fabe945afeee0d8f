//! I5: the plan, drawn night by night: days across, one letter a day (see [`crate::shelf::strip`]).

use holdfast::ledger::HoldScope;
use holdfast::plan::{Only, PlanDocument, Shut, Terms, clearings, decide};
use holdfast::policy::{History, PolicySet};

use crate::plan::object;
use crate::shelf::{Shelf, keep, night, policy};

/// Three days, and two more until it is destroyed.
const SHORT: &str = "retain = \"3d\"\npurge_delay = \"2d\"\nshorten_grace = \"5d\"";

fn yesterday(shelf: &mut Shelf, number: i64) {
    shelf.add("T", number - 1..number, 100);
}

/// After so many nights, each with one more day, of which the first that asked was approved.
fn steady(set: PolicySet, nights: i64) -> Shelf {
    let mut shelf = Shelf::new(set);
    shelf.film("T", 1..=nights, 0..nights, |shelf, number| {
        yesterday(shelf, number);
        if shelf.plan(number).days.iter().any(|verdict| verdict.asks()) {
            shelf.approve(number, "ann");
        }
    });
    shelf
}

#[test]
fn the_first_retirement_asks_and_steady_nights_do_not() {
    let film = Shelf::new(keep(SHORT)).film("T", 3..14, 0..13, |shelf, number| {
        if number == 3 {
            shelf.add("T", 0..3, 100)
        } else {
            yesterday(shelf, number)
        }
        if number == 6 {
            assert_eq!(shelf.approve(6, "ann"), 3);
        }
    });
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-04  ...
    03-05  a...
    03-06  aa...
    03-07  rrr...
    03-08  RRRr...
    03-09  DDDRr...
    03-10     DRr...
    03-11      DRr...
    03-12       DRr...
    03-13        DRr...
    03-14         DRr...
    ");
}

#[test]
fn an_edit_that_shortens_waits_its_grace_and_then_asks() {
    let mut shelf = steady(keep("retain = \"8d\"\npurge_delay = \"2d\"\nshorten_grace = \"5d\""), 14);
    shelf.accept(15, keep(SHORT));
    let film = shelf.film("T", 15..26, 0..25, |shelf, number| {
        yesterday(shelf, number);
        if number == 23 {
            shelf.approve(23, "ann");
        }
    });
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-16      DRrggggg...
    03-17       DRrggggg...
    03-18        DRrggggg...
    03-19         DRrggggg...
    03-20          DRrggggg...
    03-21           DRrggggg...
    03-22            DDaaaaaa...
    03-23              aaaaaaa...
    03-24              rrrrrrrr...
    03-25              RRRRRRRRr...
    03-26              DDDDDDDDRr...
    ");
}

#[test]
fn a_removed_rule_falls_to_a_glob_and_waits() {
    let glob = format!("[[table]]\nname = \"*\"\n{SHORT}\n");
    let both = policy(&format!(
        "{glob}[[table]]\nname = \"T\"\nretain = \"8d\"\npurge_delay = \"2d\"\nshorten_grace = \"4d\"\n"
    ));
    let mut shelf = steady(both, 12);
    shelf.accept(13, policy(&glob));
    let film = shelf.film("T", 13..20, 0..19, yesterday);
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-14    DRaggggg...
    03-15     Daaggggg...
    03-16      aaaggggg...
    03-17      aaaaggggg...
    03-18      aaaaaggggg...
    03-19      aaaaaaggggg...
    03-20      aaaaaaaaaaaa...
    ");
}

#[test]
fn lengthening_puts_back_what_is_retired() {
    let mut shelf = steady(keep("retain = \"3d\"\npurge_delay = \"4d\""), 11);
    shelf.accept(12, keep("retain = \"6d\"\npurge_delay = \"4d\""));
    let film = shelf.film("T", 12..18, 0..17, yesterday);
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-13      RRii....
    03-14      RRr......
    03-15      RRRr......
    03-16      DRRRr......
    03-17       DRRRr......
    03-18        DRRRr......
    ");
}

#[test]
fn a_hold_puts_back_and_keeps_until_it_is_released() {
    let mut shelf = steady(keep(SHORT), 9);
    let film = shelf.film("T", 10..18, 0..17, |shelf, number| {
        yesterday(shelf, number);
        match number {
            10 => drop(shelf.state.holds.insert("case-1".into(), HoldScope::default())),
            14 => drop(shelf.state.holds.remove("case-1")),
            _ => {}
        }
    });
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-11      iih...
    03-12      hhhh...
    03-13      hhhhh...
    03-14      hhhhhh...
    03-15      aaaaaaa...
    03-16      aaaaaaaa...
    03-17      aaaaaaaaa...
    03-18      aaaaaaaaaa...
    ");
}

#[test]
fn a_shut_window_a_stopped_table_and_nothing_armed() {
    let mut shelf = steady(keep(SHORT), 9);
    let film = shelf.film("T", 10..18, 0..17, |shelf, number| {
        yesterday(shelf, number);
        shelf.allowance.shut = (number == 11).then_some(Shut::Window { opens: None });
        shelf.allowance.armed.expired = number != 13;
        shelf.stopped.clear();
        if number == 15 {
            shelf.stopped.insert("main/t".into(), "others wrote to it".into());
        }
    });
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-11      DRr...
    03-12       wRw...
    03-13       DDrr...
    03-14         uRu...
    03-15         DDrr...
    03-16           sRs...
    03-17           DDrr...
    03-18             DRr...
    ");
}

#[test]
fn without_a_delay_what_is_retired_is_gone_in_the_same_night() {
    let mut shelf = steady(keep("retain = \"3d\"\npurge_delay = \"0d\""), 9);
    let film = shelf.film("T", 10..14, 0..13, yesterday);
    assert!(shelf.state.tables["main/t"].retired.is_empty());
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-11        r...
    03-12         r...
    03-13          r...
    03-14           r...
    ");
}

#[test]
fn weekly_runs() {
    let mut shelf = Shelf::new(keep(SHORT));
    let film = shelf.film("T", [7, 14, 21, 28, 35], 0..35, |shelf, number| {
        shelf.add("T", number - 7..number, 100);
        if number == 7 {
            shelf.approve(7, "ann");
        }
    });
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-08  rrrr...
    03-15  DDDDrrrrrrr...
    03-22           DDrrrrrrr...
    03-29                  DDrrrrrrr...
    04-05                         DDrrrrrrr...
    ");
}

#[test]
fn a_table_that_ends_goes_to_its_last_day() {
    let mut shelf = steady(keep(SHORT), 9);
    let film = shelf.film("T", 10..17, 0..9, |_, _| {});
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-11      DRr..
    03-12       DRr.
    03-13        DRr
    03-14         DR
    03-15          D
    03-16
    03-17
    ");
    assert!(shelf.state.tables["main/t"].segments.is_empty() && shelf.state.tables["main/t"].retired.is_empty());
}

#[test]
fn quarantine_goes_by_its_arrival_under_its_own_clock() {
    let mut shelf = Shelf::new(keep("retain = \"30d\"\nquarantine_retain = \"3d\""));
    for number in [1, 2, 5] {
        shelf.quarantine("T", number, 10);
    }
    let film = shelf.film("T", 4..11, 0..9, |_, _| {});
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-05   ..  .
    03-06   D.  .
    03-07    D  .
    03-08       .
    03-09       .
    03-10       D
    03-11
    ");
}

#[test]
fn raw_only_objects_go_after_their_last_record() {
    let mut shelf = Shelf::new(keep("archive = false\nretain = \"3d\"\npurge_delay = \"1d\""));
    (0..4).for_each(|number| shelf.raw("T", number, 10));
    let film = shelf.film("T", 4..10, 0..5, |shelf, number| {
        if number == 6 {
            shelf.approve(6, "ann");
        }
    });
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-05  ....
    03-06  a...
    03-07  DD..
    03-08    D.
    03-09     D
    03-10
    ");
}

/// A late record's segment of a day that was retired before: one day more than steady nights free, so it goes unasked.
#[test]
fn a_late_segment_follows_its_day() {
    let mut shelf = steady(keep(SHORT), 10);
    let film = shelf.film("T", 11..15, 0..14, |shelf, number| {
        yesterday(shelf, number);
        if number == 12 {
            shelf.add("T", 2..3, 100);
        }
    });
    insta::assert_snapshot!(film, @r"
           2024-03-01 …
    03-12       DRr...
    03-13    r   DRr...
    03-14         DRr...
    03-15          DRr...
    ");
}

/// I5: the same state and `now` give the same plan file, byte for byte, in whatever order the raw objects are listed.
#[test]
fn i5_the_plan_file_is_the_same_byte_for_byte() {
    let shelf = steady(keep(SHORT), 9);
    let objects = [
        object("T", "2024-03-09T10:00:00Z", 10),
        object("A", "2024-03-01T10:00:00Z", 20),
        object("T", "2024-03-01T10:00:00Z", 30),
        object("A", "2024-03-10T01:00:00Z", 40),
    ];
    let bytes = |order: &[usize]| {
        let objects: Vec<_> = order.iter().map(|number| objects[*number].clone()).collect();
        let history = History::new(shelf.policies.clone());
        let inputs = holdfast::plan::Inputs {
            objects: &objects,
            terms: &Terms::new(&history),
            state: &shelf.state,
            allowance: &shelf.allowance,
            consents: &shelf.consents,
            stopped: &shelf.stopped,
            now: night(9),
            only: &Only::default(),
            batch_bytes: 1 << 20,
        };
        let (plan, (_, kept)) = (decide(&inputs), clearings(&inputs));
        let document = PlanDocument::new(&inputs, "digest", &plan, &kept, shelf.plan(9), Vec::new());
        serde_json::to_vec(&document).unwrap()
    };
    let first = bytes(&[0, 1, 2, 3]);
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
        assert!(bytes(&order) == first, "{order:?}");
    }
}
