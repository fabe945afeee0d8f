//! Approvals through the ledger: what they allow, how long, and what they refuse.

use holdfast::plan::{Blocker, PlanDocument};

use crate::expiring::{days, defaults};
use crate::site::Site;

const KEYS: &str = "retain = \"3d\"\npurge_delay = \"2d\"";
/// The first of March is due, and asks.
const DUE: &str = "2024-03-05T02:00:00Z";

/// Three days are archived; the first of them asks from the fifth on.
fn site() -> Site {
    let site = Site::new().expiring(&defaults(KEYS));
    site.write_days("T", &["2024-03-01", "2024-03-02", "2024-03-03"]);
    site.run_well("2024-03-04T00:00:00Z");
    site
}

/// A run retires these days, and ends with this code.
fn retires(site: &Site, now: &str, expected: &[&str], exit: u8) {
    let report = site.run(now);
    assert_eq!(
        (days(&report.expiring.retired), report.exit_code()),
        (expected.iter().map(ToString::to_string).collect(), exit)
    );
}

fn refused(site: &Site, plan: &PlanDocument, now: &str, reason: &str) {
    let entries = site.entries().len();
    let error = site.approve_plan(plan, now, "ann").unwrap_err();
    assert!(error.reason().contains(reason), "{error}");
    assert!(error.hint().is_some() && error.exit_code() == 2, "{error:?}");
    assert_eq!(site.entries().len(), entries, "nothing was written");
}

/// Only the table that asks waits; the others go on, and the run says so by its exit code.
#[test]
fn only_the_table_that_asks_waits() {
    let site = site();
    site.approve(DUE, "ann");
    retires(&site, DUE, &["2024-03-01"], 0);
    site.write_days("New", &["2024-03-01", "2024-03-02"]);
    let report = site.run("2024-03-06T02:00:00Z");
    assert_eq!((days(&report.expiring.retired), report.exit_code()), (vec!["2024-03-02".into()], 4));
    assert!(report.expiring.waiting.iter().all(|verdict| verdict.item.table.table == "New" && verdict.asks()));
    assert_eq!(days(&report.expiring.waiting), ["2024-03-01", "2024-03-02"]);
}

#[test]
fn an_approval_is_for_exactly_the_segments_it_lists() {
    let site = site();
    let approved = site.approve(DUE, "ann");
    assert_eq!((days(&approved.days), approved.given, approved.needed), (vec!["2024-03-01".into()], 1, 1));
    assert_eq!(approved.until.to_string(), "2024-04-04T02:00:00Z");
    // A late record joins the approved day before the run that would retire it.
    let late = crate::expiring::record("2024-03-01T11:00:00Z", 2);
    site.write("T/2024/03/04/10/late", late);
    retires(&site, "2024-03-05T03:00:00Z", &[], 4);
    site.approve("2024-03-05T04:00:00Z", "ann");
    retires(&site, "2024-03-05T05:00:00Z", &["2024-03-01"], 0);
}

#[test]
fn an_approval_is_for_exactly_the_rule_it_lists() {
    let mut site = site();
    site.approve(DUE, "ann");
    site.policies = defaults(&format!("{KEYS}\nlate_window = \"31d\""));
    retires(&site, "2024-03-05T03:00:00Z", &[], 4);
    // Back as it was: the approval is good again.
    site.policies = defaults(KEYS);
    retires(&site, "2024-03-05T04:00:00Z", &["2024-03-01"], 0);
}

#[test]
fn an_approval_lasts_thirty_days() {
    let all = ["2024-03-01", "2024-03-02", "2024-03-03"];
    for (now, expected, exit) in [("2024-04-06T01:59:59Z", &all[..], 0), ("2024-04-06T02:00:00Z", &[], 4)] {
        let site = site();
        assert_eq!(site.approve("2024-03-07T02:00:00Z", "ann").days.len(), 3);
        retires(&site, now, expected, exit);
    }
}

#[test]
fn a_second_approver_is_another_person() {
    let mut site = site();
    site.approvers = 2;
    let plan = site.plan(DUE);
    let approved = site.approve_plan(&plan, DUE, "Ann").unwrap();
    assert_eq!((approved.given, approved.needed), (1, 2));
    retires(&site, "2024-03-05T03:00:00Z", &[], 4);
    let approved = site.approve_plan(&plan, "2024-03-05T03:30:00Z", "ann").unwrap();
    assert_eq!(approved.given, 1, "the same person again");
    let report = site.run("2024-03-05T04:00:00Z");
    assert_eq!((report.expiring.retired.len(), report.exit_code()), (0, 4));
    let missing = |blocker: &Blocker| matches!(blocker, Blocker::Approval { given: 1, needed: 2, .. });
    assert!(report.expiring.waiting[0].blockers.iter().any(missing), "{:?}", report.expiring.waiting);
    assert_eq!(site.approve_plan(&plan, "2024-03-05T04:30:00Z", "bob").unwrap().given, 2);
    retires(&site, "2024-03-05T05:00:00Z", &["2024-03-01"], 0);
}

/// Names are sealed: the chain itself does not hold them.
#[test]
fn who_and_why_are_sealed() {
    let site = site();
    site.approve(DUE, "Ann Example");
    let entry = site.entries().pop().unwrap();
    assert_eq!(entry["kind"], "approved");
    assert!(!entry.to_string().contains("Ann") && !entry.to_string().contains("a story"), "{entry}");
}

/// I5: new raw objects do not make a plan stale.
#[test]
fn i5_a_plan_is_good_although_new_raw_objects_came() {
    let site = site();
    let plan = site.plan(DUE);
    site.write_day("T", "2024-03-04");
    site.write_day("Other", "2024-03-04");
    site.run("2024-03-05T02:30:00Z");
    site.approve_plan(&plan, "2024-03-05T03:00:00Z", "ann").unwrap();
    retires(&site, "2024-03-05T04:00:00Z", &["2024-03-01"], 0);
}

/// I5: another policy, archive or hold, other segments, an old plan, or one that asks nothing: each refused with its reason.
#[test]
fn i5_a_stale_or_foreign_plan_is_refused() {
    let mut site = site();
    let plan = site.plan(DUE);
    let later = "2024-03-05T03:00:00Z";
    refused(
        &site,
        &PlanDocument { archive: "another".into(), ..plan.clone() },
        later,
        "it was made for another archive",
    );
    refused(&site, &PlanDocument { version: 2, ..plan.clone() }, later, "it has version 2, this Holdfast knows 1");
    refused(&site, &plan, "2024-03-05T01:59:59Z", "it is not of these 30 days");
    refused(&site, &plan, "2024-04-04T02:00:01Z", "it is not of these 30 days");
    refused(&site, &site.plan("2024-03-04T02:00:00Z"), later, "nothing in it waits for approval");

    site.policies = defaults(&format!("{KEYS}\nlate_window = \"31d\""));
    refused(&site, &plan, later, "the policy has changed since it was made");
    site.policies = defaults(KEYS);

    site.hold("2024-03-05T03:00:00Z");
    refused(&site, &plan, "2024-03-05T03:30:00Z", "the holds have changed since it was made");
    refused(&site, &site.plan("2024-03-05T03:30:00Z"), "2024-03-05T03:30:00Z", "nothing in it waits for approval");
    site.release("2024-03-05T03:40:00Z");

    let mut other = plan.clone();
    let asking = other.days.iter_mut().find(|verdict| verdict.asks()).unwrap();
    asking.item.files[0].1 = "00".repeat(32);
    refused(&site, &other, "2024-03-05T04:00:00Z", "is not there any more as it was");
    site.approve_plan(&plan, "2024-03-05T04:00:00Z", "ann").unwrap();
    retires(&site, "2024-03-05T05:00:00Z", &["2024-03-01"], 0);
    refused(&site, &plan, "2024-03-05T06:00:00Z", "is not there any more as it was");
}
