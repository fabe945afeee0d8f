//! A clock in doubt destroys nothing and accepts nothing (DESIGN §7); outside the window what is due waits.

use holdfast::settings::Window;
use jiff::SignedDuration;

use crate::expiring::{days, defaults};
use crate::site::Site;

const KEYS: &str = "retain = \"1d\"\npurge_delay = \"0d\"";

/// On the fourth of March two days are due and approved, and one raw object is to be cleared.
fn site() -> Site {
    let mut site = Site::new().expiring(&defaults(KEYS));
    site.simulation = false;
    site.write_days("T", &["2024-03-01", "2024-03-02"]);
    site.run_on_host("2024-03-02T23:00:00Z", "2024-03-02T23:00:00Z");
    site.approve("2024-03-04T00:00:00Z", "ann");
    site.write_day("T", "2024-03-03");
    site
}

/// A run in doubt: it archives, and that is all. Then one without doubt does the rest.
fn doubts(site: &mut Site, now: &str, host: &str, reason: &str, good: &str) {
    let (raw, destroyed, policies) = (site.raw().len(), site.destroyed(), site.chain().state().policies.len());
    let before = site.policies.clone();
    site.policies = defaults(&format!("{KEYS}\nlate_window = \"31d\""));
    let report = site.run_on_host(now, host);
    assert_eq!(report.exit_code(), 4, "{report:?}");
    assert!(report.doubts[0].contains(reason), "{:?}", report.doubts);
    assert_eq!(report.tables["main/T"].counts.archived, 1, "archiving goes on");
    assert!(report.expiring.retired.is_empty() && report.expiring.destroyed.is_empty() && report.cleared == 0);
    assert_eq!((site.raw().len(), site.destroyed()), (raw, destroyed));
    assert_eq!(site.chain().state().policies.len(), policies, "no policy is accepted under a doubtful clock");

    site.policies = before;
    site.apart = None;
    let report = site.run_on_host(good, good);
    assert_eq!(report.exit_code(), 0, "{report:?}");
    assert_eq!(
        (days(&report.expiring.destroyed), report.cleared),
        (vec!["2024-03-01".to_owned(), "2024-03-02".to_owned()], 1)
    );
}

#[test]
fn a_clock_that_went_back() {
    doubts(
        &mut site(),
        "2024-03-03T23:59:59Z",
        "2024-03-03T23:59:59Z",
        "now (2024-03-03T23:59:59Z) is before the ledger's last entry (2024-03-04T00:00:00Z)",
        "2024-03-04T02:00:00Z",
    );
}

#[test]
fn a_time_that_the_host_has_not_seen() {
    doubts(
        &mut site(),
        "2024-03-04T01:00:00Z",
        "2024-03-04T00:59:59Z",
        "--as-of (2024-03-04T01:00:00Z) lies after this host's clock",
        "2024-03-04T02:00:00Z",
    );
}

#[test]
fn a_store_whose_clock_is_apart() {
    for (seconds, reason) in [(301, "the store's clock is 301 s ahead of this host's"), (-301, "301 s behind")] {
        let mut site = site();
        site.apart = Some(SignedDuration::from_secs(seconds));
        doubts(&mut site, "2024-03-04T01:00:00Z", "2024-03-04T01:00:00Z", reason, "2024-03-04T02:00:00Z");
    }
    let mut site = site();
    site.apart = Some(SignedDuration::from_mins(-5));
    let report = site.run_on_host("2024-03-04T01:00:00Z", "2024-03-04T01:00:00Z");
    assert_eq!((report.exit_code(), report.expiring.destroyed.len(), report.cleared), (0, 2, 1));
}

/// A clock that once ran ahead left entries: the run after it is in doubt, and what was archived then stays until then.
#[test]
fn after_a_clock_ran_ahead_the_next_run_is_in_doubt() {
    let site = site();
    site.run_on_host("2024-03-20T00:00:00Z", "2024-03-04T01:00:00Z");
    let report = site.run_on_host("2024-03-05T00:00:00Z", "2024-03-05T00:00:00Z");
    assert_eq!((report.exit_code(), report.expiring.retired.len(), report.cleared), (4, 0, 0));
    assert!(report.doubts[0].contains("2024-03-20T00:00:00Z"), "{:?}", report.doubts);
    let report = site.run_on_host("2024-03-06T00:00:00Z", "2024-03-06T00:00:00Z");
    assert_eq!((report.exit_code(), report.expiring.destroyed.len(), report.cleared), (0, 3, 0));
    assert_eq!(site.run_on_host("2024-03-20T00:00:00Z", "2024-03-20T00:00:00Z").cleared, 1);
}

/// In a simulation time is what is said.
#[test]
fn a_simulation_may_look_ahead() {
    let site = Site::new().expiring(&defaults(KEYS));
    site.write_day("T", "2024-03-01");
    assert_eq!(site.run_on_host("2024-03-02T00:00:00Z", "2020-01-01T00:00:00Z").exit_code(), 0);
}

/// Outside the window what is due waits, exit 0; inside, over midnight, it goes.
#[test]
fn the_window() {
    for (now, goes) in [
        ("2024-03-05T21:59:59Z", false),
        ("2024-03-05T22:00:00Z", true),
        ("2024-03-06T00:00:00Z", true),
        ("2024-03-06T04:59:59Z", true),
        ("2024-03-06T05:00:00Z", false),
    ] {
        let mut site = site();
        site.window = Some(Window::parse("22:00/05:00").unwrap());
        let plan = site.plan(now);
        assert_eq!(plan.shut.is_some(), !goes, "{now}");
        let report = site.run_on_host(now, now);
        let done = (report.expiring.destroyed.len(), report.cleared);
        assert_eq!(report.exit_code(), 0, "{now}: {report:?}");
        assert_eq!(done, if goes { (3, 1) } else { (0, 0) }, "{now}");
        if goes {
            continue;
        }
        let opens = if now.contains("05T21") { "2024-03-05T22:00:00Z" } else { "2024-03-06T22:00:00Z" };
        assert!(report.shut.as_ref().is_some_and(|shut| shut.to_string().contains(opens)), "{:?}", report.shut);
        assert_eq!(report.expiring.waiting.len(), 3, "what waits is told");
        let report = site.run_on_host(opens, opens);
        assert_eq!((report.exit_code(), report.expiring.destroyed.len(), report.cleared), (0, 3, 1), "{now}");
    }
}
