//! I3, I4: the dates of a rule, against a calendar reckoned here by hand, and what a shortening still protects.

use holdfast::names::TableName;
use holdfast::policy::{History, PolicyFile, PolicySet, Rule, Shortening, Term};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// A span as written, and what it means, told apart from the code's own.
#[derive(Debug, Clone, Copy)]
enum Written {
    Days(i32),
    Weeks(i32),
    Months(i32),
    Years(i32),
}

impl Written {
    fn text(self) -> String {
        match self {
            Written::Days(days) => format!("{days}d"),
            Written::Weeks(weeks) => format!("{weeks}w"),
            Written::Months(months) => format!("{months}mo"),
            Written::Years(years) => format!("{years}y"),
        }
    }

    /// The day on which a span is over that began on `day`: months by counting, and where the month has no such day, the
    /// first of the next.
    fn end(self, day: Date) -> Date {
        let months = match self {
            Written::Days(days) => return plus(day, days),
            Written::Weeks(weeks) => return plus(day, weeks * 7),
            Written::Months(months) => months,
            Written::Years(years) => years * 12,
        };
        let count = i32::from(day.year()) * 12 + i32::from(day.month()) - 1 + months;
        let (year, month) = (i16::try_from(count / 12).unwrap(), i8::try_from(count % 12 + 1).unwrap());
        match Date::new(year, month, day.day()) {
            Ok(end) => end,
            Err(_) if month == 12 => date(year + 1, 1, 1),
            Err(_) => date(year, month + 1, 1),
        }
    }
}

fn plus(day: Date, days: i32) -> Date {
    day.checked_add(days.days()).unwrap()
}

fn midnight(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).unwrap().timestamp()
}

fn set(keys: &str) -> PolicySet {
    let text = format!("version = 1\n[[table]]\nname = \"A\"\n{keys}");
    PolicySet::from_files(vec![PolicyFile { name: "a.toml".into(), text }]).unwrap()
}

fn table() -> TableName {
    TableName::new("main", "A")
}

fn rule(retain: Written, purge_delay: Written) -> Rule {
    let keys = format!("retain = \"{}\"\npurge_delay = \"{}\"\n", retain.text(), purge_delay.text());
    set(&keys).rule_for(&table()).unwrap()
}

fn a_span(least: i32) -> impl Strategy<Value = Written> {
    prop_oneof![
        (least..4000).prop_map(Written::Days),
        (least..600).prop_map(Written::Weeks),
        (least..240).prop_map(Written::Months),
        (least..30).prop_map(Written::Years),
    ]
}

/// Any day of forty years, the ends of months and February more often than chance.
fn a_day() -> impl Strategy<Value = Date> {
    prop_oneof![
        (0..14_610).prop_map(|days| plus(date(2000, 1, 1), days)),
        (2000..2040i16, 1..=12i8).prop_map(|(year, month)| date(year, month, 1).last_of_month()),
        (2000..2040i16, 27..=29i8).prop_map(|(year, day)| Date::new(year, 2, day).unwrap_or(date(year, 2, 28))),
    ]
}

fn often(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(3), failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(often(2_000))]

    /// Never before `retain` has passed for the last instant of the day; never after `retain` + 1 day + `purge_delay`.
    #[test]
    fn i3_i4_a_rule_is_never_early_and_never_late(retain in a_span(1), purge in a_span(0), day in a_day()) {
        let rule = rule(retain, purge);
        let (expires, destroy_at) = (rule.expires(day).unwrap(), rule.destroy_at(day).unwrap());
        // The last instant of the day is kept until the same time of the day on which its span ends.
        let last_instant = midnight(plus(retain.end(day), 1)) - SignedDuration::from_nanos(1);
        prop_assert!(midnight(expires) > last_instant, "{expires} is before its last instant's {last_instant}");
        prop_assert!(expires <= plus(retain.end(day), 1), "{expires} is late");
        prop_assert!(destroy_at >= expires && destroy_at >= purge.end(expires), "{destroy_at} is early");
        prop_assert!(destroy_at <= purge.end(plus(retain.end(day), 1)), "{destroy_at} is late");
    }

    /// A later day never goes before an earlier one.
    #[test]
    fn i3_days_go_in_their_order(retain in a_span(1), purge in a_span(0), day in a_day()) {
        let rule = rule(retain, purge);
        prop_assert!(rule.expires(plus(day, 1)) >= rule.expires(day));
        prop_assert!(rule.destroy_at(plus(day, 1)) >= rule.destroy_at(day));
    }

}

proptest! {
    // Comparing two rules goes through four centuries.
    #![proptest_config(often(60))]

    /// However often it was shortened: never before the old rule's date or the grace's end, whichever is first; and no
    /// later than the latest of all that still counts.
    #[test]
    fn i3_i4_a_shortening_protects_what_it_must_and_no_more(
        retains in prop::collection::vec(a_span(1), 2..5),
        graces in prop::collection::vec(0..90, 5),
        apart in prop::collection::vec(1..60, 5),
        day in a_day(),
    ) {
        let term = term(&retains, &graces, &apart);
        let own = term.rule.expires(day).unwrap();
        let mut latest = own;
        for one in &term.shortenings {
            let protects = first(one, day);
            prop_assert!(term.expires(day).unwrap() >= protects, "before what {} protects", one.since);
            latest = latest.max(protects);
        }
        prop_assert_eq!(term.expires(day).unwrap(), latest);
    }

    /// Putting a rule back is as if it had never been shortened.
    #[test]
    fn i3_putting_it_back_cancels(long in a_span(2), grace in 0..90, apart in 1..60, day in a_day()) {
        let short = Written::Days(1);
        let back = term(&[long, short, long], &[grace; 3], &[apart; 3]);
        let never = term(&[long], &[grace], &[apart]);
        prop_assert_eq!(back.expires(day), never.expires(day));
        prop_assert_eq!(back.destroy_at(day), never.destroy_at(day));
    }

    /// A grace that was shortened just before is still waited out.
    #[test]
    fn i3_shortening_the_grace_waits_the_old_one(grace in 2..90i32, after in 1..90i32, day in a_day()) {
        let (long, short) = (Written::Days(4_000), Written::Days(1));
        let term = term(&[long, long, short], &[grace, 0, 0], &[0, after, after]);
        let shortened = term.shortenings.last().unwrap();
        if after < grace {
            prop_assert!(shortened.over().unwrap() >= plus(start(), after + after + grace), "{shortened:?}");
        }
        prop_assert!(term.expires(day).unwrap() >= first(shortened, day));
    }
}

fn start() -> Date {
    date(2024, 1, 1)
}

/// The history of a rule that was edited: each next policy so many days after the one before.
fn term(retains: &[Written], graces: &[i32], apart: &[i32]) -> Term {
    let mut at = start();
    let mut accepted = Vec::new();
    for ((retain, grace), apart) in retains.iter().zip(graces).zip(apart) {
        at = plus(at, *apart);
        let keys = format!("retain = \"{}\"\nshorten_grace = \"{grace}d\"\n", retain.text());
        accepted.push((midnight(at), set(&keys)));
    }
    History::new(accepted).term(&table()).unwrap()
}

/// The old rule's date or the grace's end, whichever is first.
fn first(shortening: &Shortening, day: Date) -> Date {
    let old = shortening.old.as_ref().and_then(|old| old.expires(day)).unwrap();
    old.min(shortening.over().unwrap())
}

#[test]
fn leap_days_and_month_ends_end_where_nobody_can_call_them_early() {
    let expires = |retain: Written, day: Date| rule(retain, Written::Days(0)).expires(day).unwrap();
    let cases = [
        (Written::Years(1), date(2024, 2, 29), date(2025, 3, 2)),
        (Written::Years(4), date(2024, 2, 29), date(2028, 3, 1)),
        (Written::Years(1), date(2023, 2, 28), date(2024, 2, 29)),
        (Written::Days(365), date(2024, 2, 29), date(2025, 3, 1)),
        (Written::Months(1), date(2024, 1, 31), date(2024, 3, 2)),
        (Written::Months(1), date(2023, 1, 30), date(2023, 3, 2)),
        (Written::Months(18), date(2023, 8, 31), date(2025, 3, 2)),
        (Written::Days(1), date(2024, 2, 28), date(2024, 3, 1)),
        (Written::Weeks(52), date(2023, 12, 31), date(2024, 12, 30)),
    ];
    for (retain, day, expected) in cases {
        assert_eq!(expires(retain, day), expected, "{} from {day}", retain.text());
    }
}

#[test]
fn two_years_are_730_days_or_one_more() {
    let (days, years) = (rule(Written::Days(730), Written::Days(7)), rule(Written::Years(2), Written::Days(7)));
    for offset in 0..1_461 {
        let day = plus(date(2023, 1, 1), offset);
        let apart = days.expires(day).unwrap().until(years.expires(day).unwrap()).unwrap().get_days();
        let leap = [2024, 2028].map(|year| date(year, 2, 29));
        let leap = leap.iter().any(|leap| day <= *leap && *leap < Written::Years(2).end(day));
        assert_eq!(apart, i32::from(leap), "{day}");
    }
}
