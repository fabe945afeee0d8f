//! What shortens waits `shorten_grace` from the first run that saw it, whichever way it came (DESIGN §4); a locked rule
//! does not shrink at all.

use holdfast::policy::PolicySet;

use crate::expiring::defaults;
use crate::shelf::{Shelf, keep, policy};
use crate::site::Site;

/// T with a day for each night, steady under `set`, whose first retirement was approved.
fn steady(set: PolicySet, nights: i64) -> Shelf {
    let mut shelf = Shelf::new(set);
    shelf.film("T", 1..=nights, 0..nights, |shelf, number| {
        shelf.add("T", number - 1..number, 100);
        if shelf.plan(number).days.iter().any(|verdict| verdict.asks()) {
            shelf.approve(number, "ann");
        }
    });
    shelf
}

fn film(shelf: &mut Shelf, nights: std::ops::Range<i64>) -> String {
    let end = nights.end - 1;
    shelf.film("T", nights, 0..end, |shelf, number| shelf.add("T", number - 1..number, 100))
}

fn rule(name: &str, keys: &str) -> String {
    format!("[[table]]\nname = \"{name}\"\npurge_delay = \"0d\"\n{keys}\n")
}

const LONG: &str = "retain = \"6d\"\nshorten_grace = \"3d\"";
const SHORT: &str = "retain = \"2d\"\nshorten_grace = \"3d\"";

/// By edit, by a glob, by a removed rule, by a more literal rule: newly due days wait alike, the steady ones go on.
#[test]
fn newly_due_days_wait_whichever_way_it_came() {
    let edit = (policy(&rule("T", LONG)), policy(&rule("T", SHORT)));
    let glob = (policy(&rule("*", LONG)), policy(&rule("*", SHORT)));
    let of_defaults = |keys: &str| policy(&format!("[defaults]\npurge_delay = \"0d\"\n{keys}\n"));
    for (before, after) in [edit, glob, (of_defaults(LONG), of_defaults(SHORT))] {
        let mut shelf = steady(before, 9);
        shelf.accept(10, after);
        let film = film(&mut shelf, 10..16);
        insta::allow_duplicates! {
            insta::assert_snapshot!(film, @r"
                   2024-03-01 …
            03-11     rgggg..
            03-12      rgggg..
            03-13       rgggg..
            03-14        rgggg..
            03-15         aaaaa..
            03-16         aaaaaa..
            ");
        }
    }
    // Another rule governs now: beside the grace, its first retirement asks.
    let both = format!("{}{}", rule("*", SHORT), rule("T", LONG));
    let literal = format!("{}{}", rule("*", LONG), rule("T", SHORT));
    for (before, after) in [(both, rule("*", SHORT)), (rule("*", LONG), literal)] {
        let mut shelf = steady(policy(&before), 9);
        shelf.accept(10, policy(&after));
        let film = film(&mut shelf, 10..16);
        insta::allow_duplicates! {
            insta::assert_snapshot!(film, @r"
                   2024-03-01 …
            03-11     agggg..
            03-12     aagggg..
            03-13     aaagggg..
            03-14     aaaagggg..
            03-15     aaaaaaaaa..
            03-16     aaaaaaaaaa..
            ");
        }
    }
}

/// Under another clock the days of new records mean something else: everything waits.
#[test]
fn under_another_clock_everything_waits() {
    let mut shelf = steady(keep("retain = \"3d\"\npurge_delay = \"0d\"\nshorten_grace = \"3d\""), 9);
    shelf.accept(10, keep("retain = \"3d\"\npurge_delay = \"0d\"\nshorten_grace = \"3d\"\nclock = \"arrival\""));
    insta::assert_snapshot!(film(&mut shelf, 10..16), @r"
           2024-03-01 …
    03-11        g...
    03-12        gg...
    03-13        ggg...
    03-14        gggg...
    03-15        aaaaa...
    03-16        aaaaaa...
    ");
}

#[test]
fn putting_it_back_cancels() {
    let mut shelf = steady(policy(&rule("T", LONG)), 9);
    shelf.accept(10, policy(&rule("T", SHORT)));
    let before = film(&mut shelf, 10..12);
    shelf.accept(12, policy(&rule("T", LONG)));
    insta::assert_snapshot!(format!("{before}\n{}", film(&mut shelf, 12..17)), @r"
           2024-03-01 …
    03-11     rgggg..
    03-12      rgggg..
           2024-03-01 …
    03-13       r......
    03-14        r......
    03-15         r......
    03-16          r......
    03-17           r......
    ");
}

/// The grace itself is shortened, with the rule or a night before it: the old one is waited out.
#[test]
fn shortening_the_grace_waits_the_old_one() {
    let none = "retain = \"2d\"\nshorten_grace = \"0d\"";
    let mut shelf = steady(policy(&rule("T", LONG)), 9);
    shelf.accept(10, policy(&rule("T", none)));
    let at_once = film(&mut shelf, 10..15);
    let mut shelf = steady(policy(&rule("T", LONG)), 8);
    shelf.accept(9, policy(&rule("T", "retain = \"6d\"\nshorten_grace = \"0d\"")));
    film(&mut shelf, 9..10);
    shelf.accept(10, policy(&rule("T", none)));
    assert_eq!(at_once, film(&mut shelf, 10..15));
    insta::assert_snapshot!(at_once, @r"
           2024-03-01 …
    03-11     rgggg..
    03-12      rgggg..
    03-13       rgggg..
    03-14        rgggg..
    03-15         aaaaa..
    ");
}

/// Without a grace what is newly due asks from the next midnight on.
#[test]
fn without_a_grace_it_asks_at_once() {
    let with = |retain: &str| policy(&rule("T", &format!("retain = \"{retain}\"\nshorten_grace = \"0d\"")));
    let mut shelf = steady(with("6d"), 9);
    shelf.accept(10, with("2d"));
    insta::assert_snapshot!(film(&mut shelf, 10..14), @r"
           2024-03-01 …
    03-11     rgggg..
    03-12      aaaaa..
    03-13      aaaaaa..
    03-14      aaaaaaa..
    ");
}

/// The first policy shortens nothing; a rule for a table that had none does.
#[test]
fn the_first_policy_shortens_nothing_and_a_later_rule_does() {
    let mut shelf = Shelf::new(policy(&rule("T", SHORT)));
    shelf.add("T", 0..8, 100);
    let first = film(&mut shelf, 9..10);
    let mut shelf = Shelf::new(policy(&rule("Other", SHORT)));
    shelf.add("T", 0..8, 100);
    let unruled = film(&mut shelf, 9..10);
    shelf.accept(10, policy(&format!("{}{}", rule("Other", SHORT), rule("T", SHORT))));
    insta::assert_snapshot!(format!("{first}\n{unruled}\n{}", film(&mut shelf, 10..15)), @r"
           2024-03-01 …
    03-10  aaaaaaa..
           2024-03-01 …
    03-10  .........
           2024-03-01 …
    03-11  gggggggg..
    03-12  ggggggggg..
    03-13  gggggggggg..
    03-14  ggggggggggg..
    03-15  aaaaaaaaaaaa..
    ");
}

const LOCKED: &str = "retain = \"3d\"\npurge_delay = \"0d\"\nlocked = true";

/// The last accepted policy goes on, everything is archived, nothing is destroyed: exit 4.
#[test]
fn a_locked_rule_does_not_shrink() {
    let table = |name: &str, keys: &str| {
        format!("version = 1\n[[table]]\nname = \"{name}\"\narchive_after = \"0d\"\nkeep_raw = \"0d\"\n{keys}\n")
    };
    let open = "retain = \"3d\"\npurge_delay = \"0d\"";
    let cases = [
        ("shorter", table("T", LOCKED), table("T", &LOCKED.replace("3d", "2d")), "it would keep shorter"),
        ("unlocked", table("T", LOCKED), table("T", open), "it would be unlocked"),
        ("removed", table("T", LOCKED), table("Other", open), "it is gone"),
        ("to a glob", table("T", LOCKED), table("*", open), "it would be unlocked"),
        (
            "another clock",
            table("T", LOCKED),
            table("T", &format!("{LOCKED}\nclock = \"arrival\"")),
            "it would keep shorter",
        ),
        ("defaults", defaults(LOCKED), defaults(open), "it would be unlocked"),
    ];
    for (what, before, after, reason) in cases {
        let mut site = Site::new().expiring(&before);
        site.write_day("T", "2024-03-01");
        site.run_well("2024-03-02T00:00:00Z");
        site.approve("2024-03-05T00:00:00Z", "ann");
        site.policies = after;
        site.write_day("T", "2024-03-04");
        let report = site.run("2024-03-05T01:00:00Z");
        assert_eq!((report.exit_code(), report.expiring.retired.len(), report.cleared), (4, 0, 0), "{what}");
        assert_eq!(report.tables["main/T"].counts.archived, 1, "{what}: archiving goes on");
        assert!(report.errors[0].reason().contains(reason), "{what}: {:?}", report.errors);
        assert!(report.errors[0].reason().contains("accepted as locked"), "{what}: {:?}", report.errors);
        let accepted = site.entries().iter().filter(|entry| entry["kind"] == "policy_accepted").count();
        assert_eq!(accepted, 1, "{what}: nothing new was accepted");
        // Put back: it goes on.
        site.policies = before;
        let report = site.run_well("2024-03-05T02:00:00Z");
        assert_eq!((report.expiring.retired.len(), report.cleared), (1, 1), "{what}");
    }
}

/// A locked rule may grow, and a more literal rule beside it may not take a table away from it for less.
#[test]
fn a_locked_rule_may_grow_and_is_not_gone_around() {
    let table = |name: &str, keys: &str| format!("[[table]]\nname = \"{name}\"\narchive_after = \"0d\"\n{keys}\n");
    let glob = format!("version = 1\n{}", table("T*", LOCKED));
    let mut site = Site::new().expiring(&glob);
    site.write_day("T", "2024-03-01");
    site.run_well("2024-03-02T00:00:00Z");
    site.policies = format!("{glob}{}", table("T", "retain = \"2d\"\nlocked = true"));
    let report = site.run("2024-03-02T01:00:00Z");
    assert_eq!(report.exit_code(), 4);
    assert!(report.errors[0].reason().contains("the rule of main/T was accepted as locked"), "{:?}", report.errors);
    site.policies = glob.replace("3d", "4d");
    site.run_well("2024-03-02T02:00:00Z");
    assert_eq!(site.chain().state().policies.len(), 2);
}
