//! Spans of time as policy writes them: whole days, weeks, months, years, or forever.
//!
//! A span has no length of its own, only an end for a given day. The end is never early (I3): where a month lacks the
//! day of the start, the span ends on the first of the month after (31 January + `1mo` and 29 February + `1y` end on
//! 1 March), and beyond the calendar's last year it never ends. Spans are not durations: `1h` has no place here.

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A span as written. Equality is of the writing (`7d` and `1w` differ); for more and less see [`Span::at_least`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    Days(u32),
    Weeks(u32),
    Months(u32),
    Years(u32),
    Forever,
}

/// Days and months don't convert into each other; the other units do into one of the two.
enum Length {
    Days(i64),
    Months(i64),
    Forever,
}

impl Span {
    /// The day on which the span ends that starts on `day`; none: never. A day at the calendar's end counts as never.
    pub fn end(self, day: Date) -> Option<Date> {
        match self.length() {
            Length::Forever => None,
            Length::Days(days) => day.checked_add(jiff::Span::new().try_days(days).ok()?).ok(),
            Length::Months(months) => {
                let month = day.first_of_month().checked_add(jiff::Span::new().try_months(months).ok()?).ok()?;
                if day.day() <= month.days_in_month() {
                    month.with().day(day.day()).build().ok()
                } else {
                    month.last_of_month().tomorrow().ok()
                }
            }
        }
    }

    /// The instant at which the span ends that starts at `instant`, on the UTC calendar; none: never.
    pub fn after(self, instant: Timestamp) -> Option<Timestamp> {
        let start = TimeZone::UTC.to_datetime(instant);
        let end = DateTime::from_parts(self.end(start.date())?, start.time());
        TimeZone::UTC.to_timestamp(end).ok()
    }

    /// The instant that lies the span before `instant`, on the UTC calendar; none: before all time. Where a month lacks
    /// the day, its last day is taken, so never late.
    pub fn before(self, instant: Timestamp) -> Option<Timestamp> {
        let end = TimeZone::UTC.to_datetime(instant);
        let back = match self.length() {
            Length::Forever => return None,
            Length::Days(days) => jiff::Span::new().try_days(days).ok()?,
            Length::Months(months) => jiff::Span::new().try_months(months).ok()?,
        };
        TimeZone::UTC.to_timestamp(end.checked_sub(back).ok()?).ok()
    }

    /// True if for every day of a 400-year cycle the span ends no earlier than `other`. `730d` and `2y` (731 days from
    /// a leap year on): `2y` is at least `730d`, not the other way round. `28d` is not at least `1mo`, nor is `1mo` at
    /// least `30d`.
    pub fn at_least(self, other: Span) -> bool {
        match (self.length(), other.length()) {
            (Length::Forever, _) => true,
            (_, Length::Forever) => false,
            (Length::Days(days), Length::Days(others)) => days >= others,
            (Length::Months(months), Length::Months(others)) => months >= others,
            // Within one month, the days that a span of months lasts never rise with the day it starts on. So where one
            // span counts days and the other months, the first and the last day of each month decide.
            _ => every_month().all(|first| {
                [first, first.last_of_month()].into_iter().all(|day| match (self.end(day), other.end(day)) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(end), Some(others)) => end >= others,
                })
            }),
        }
    }

    pub fn is_zero(self) -> bool {
        matches!(self, Span::Days(0) | Span::Weeks(0) | Span::Months(0) | Span::Years(0))
    }

    pub fn is_forever(self) -> bool {
        self == Span::Forever
    }

    fn length(self) -> Length {
        match self {
            Span::Days(days) => Length::Days(days.into()),
            Span::Weeks(weeks) => Length::Days(7 * i64::from(weeks)),
            Span::Months(months) => Length::Months(months.into()),
            Span::Years(years) => Length::Months(12 * i64::from(years)),
            Span::Forever => Length::Forever,
        }
    }
}

/// The first days of the months of one 400-year cycle, after which the calendar repeats.
fn every_month() -> impl Iterator<Item = Date> {
    date(2000, 1, 1).series(1.month()).take(400 * 12)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn span(text: &str) -> Span {
        text.parse().unwrap()
    }

    fn arb_span() -> impl Strategy<Value = Span> {
        prop_oneof![
            (0u32..4000).prop_map(Span::Days),
            (0u32..600).prop_map(Span::Weeks),
            (0u32..240).prop_map(Span::Months),
            (0u32..30).prop_map(Span::Years),
            Just(Span::Forever),
        ]
    }

    fn arb_date() -> impl Strategy<Value = Date> {
        (0i64..146_097).prop_map(|days| date(1990, 1, 1).checked_add(days.days()).unwrap())
    }

    /// The definition itself, day by day.
    fn at_least_by_days(a: Span, b: Span) -> bool {
        date(2000, 1, 1).series(1.day()).take(146_097).all(|day| match (a.end(day), b.end(day)) {
            (None, _) => true,
            (_, None) => false,
            (Some(a), Some(b)) => a >= b,
        })
    }

    #[test]
    fn i3_a_missing_day_ends_on_the_first_after() {
        let cases = [
            (date(2023, 1, 31), "1mo", date(2023, 3, 1)),
            (date(2024, 1, 30), "1mo", date(2024, 3, 1)),
            (date(2024, 1, 29), "1mo", date(2024, 2, 29)),
            (date(2024, 2, 29), "1y", date(2025, 3, 1)),
            (date(2024, 2, 29), "4y", date(2028, 2, 29)),
            (date(2024, 3, 31), "1mo", date(2024, 5, 1)),
            (date(2024, 12, 31), "2mo", date(2025, 3, 1)),
            (date(2024, 1, 1), "730d", date(2025, 12, 31)),
            (date(2024, 1, 1), "2y", date(2026, 1, 1)),
            (date(2023, 1, 1), "2w", date(2023, 1, 15)),
            (date(2023, 1, 1), "0mo", date(2023, 1, 1)),
        ];
        for (day, text, end) in cases {
            assert_eq!(span(text).end(day), Some(end), "{day} + {text}");
        }
    }

    #[test]
    fn i3_beyond_the_calendar_is_never() {
        assert_eq!(Span::Forever.end(date(2024, 1, 1)), None);
        for span in [Span::Days(1), Span::Months(1), Span::Years(1), Span::Years(u32::MAX), Span::Weeks(u32::MAX)] {
            assert_eq!(span.end(Date::MAX), None, "{span}");
            assert_eq!(span.after(Timestamp::MAX), None, "{span}");
        }
        assert_eq!(Span::Months(1).before(Timestamp::MIN), None);
        assert_eq!(Span::Forever.before(Timestamp::MAX), None);
    }

    #[test]
    fn instants_keep_their_time_of_day() {
        let instant: Timestamp = "2024-02-29T23:59:59.999999999Z".parse().unwrap();
        assert_eq!(span("1y").after(instant).unwrap().to_string(), "2025-03-01T23:59:59.999999999Z");
        assert_eq!(span("1d").after(instant).unwrap().to_string(), "2024-03-01T23:59:59.999999999Z");
        assert_eq!(span("1y").before(instant).unwrap().to_string(), "2023-02-28T23:59:59.999999999Z");
        assert_eq!(span("0d").before(instant), Some(instant));
    }

    #[test]
    fn days_and_months_have_a_partial_order() {
        let at_least = |a: &str, b: &str| span(a).at_least(span(b));
        assert!(at_least("2y", "730d") && !at_least("730d", "2y"));
        assert!(at_least("731d", "2y") && at_least("31d", "1mo"));
        assert!(!at_least("30d", "1mo") && !at_least("1mo", "30d"));
        // Not 2556: seven years around 2100 have no leap day.
        assert!(at_least("7y", "2555d") && !at_least("7y", "2556d"));
        assert!(at_least("1mo", "28d") && !at_least("1mo", "29d"));
        assert!(at_least("2w", "14d") && at_least("14d", "2w"));
        assert!(at_least("12mo", "1y") && at_least("1y", "12mo"));
        assert!(at_least("forever", "forever") && !at_least("1000y", "forever"));
        assert!(at_least("0d", "0mo") && at_least("0mo", "0d"));
    }

    /// The same cases in every run; PROPTEST_CASES draws more of them.
    fn seeded() -> ProptestConfig {
        ProptestConfig { rng_seed: RngSeed::Fixed(2), ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(seeded())]
        #[test]
        fn i3_never_earlier_than_the_calendar_says(span in arb_span(), day in arb_date()) {
            if let Some(end) = span.end(day) {
                let plain = match span {
                    Span::Days(n) => day.checked_add(i64::from(n).days()),
                    Span::Weeks(n) => day.checked_add(i64::from(n).weeks()),
                    Span::Months(n) => day.checked_add(i64::from(n).months()),
                    Span::Years(n) => day.checked_add(i64::from(n).years()),
                    Span::Forever => unreachable!(),
                }.unwrap();
                prop_assert!(end >= plain);
                // Later by one day at most, and only where the month lacks the day.
                prop_assert!(end == plain || (end == plain.tomorrow().unwrap() && plain.day() < day.day()));
            } else {
                prop_assert!(span.is_forever());
            }
        }

        #[test]
        fn a_later_start_never_ends_earlier(span in arb_span(), day in arb_date()) {
            if let Some(end) = span.end(day) {
                prop_assert!(span.end(day.tomorrow().unwrap()).unwrap() >= end);
            }
        }

        #[test]
        fn instants_agree_with_days(span in arb_span(), day in arb_date(), nanos in 0i64..86_400_000_000_000) {
            let instant = day.to_datetime(jiff::civil::Time::midnight()).checked_add(nanos.nanoseconds()).unwrap();
            let instant = TimeZone::UTC.to_timestamp(instant).unwrap();
            let end = span.after(instant).map(|end| TimeZone::UTC.to_datetime(end).date());
            prop_assert_eq!(end, span.end(day));
        }

        #[test]
        fn before_and_after_enclose(span in arb_span(), day in arb_date()) {
            let instant = TimeZone::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).unwrap();
            if let Some(before) = span.before(instant) {
                prop_assert!(before <= instant);
                prop_assert!(span.after(before).unwrap() <= instant);
            }
        }

        #[test]
        fn at_least_is_a_partial_order(a in arb_span(), b in arb_span(), c in arb_span(), day in arb_date()) {
            prop_assert!(a.at_least(a));
            if a.at_least(b) && b.at_least(c) {
                prop_assert!(a.at_least(c));
            }
            if a.at_least(b) && b.at_least(a) {
                prop_assert_eq!(a.end(day), b.end(day));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..seeded() })]
        #[test]
        fn at_least_is_what_it_is_defined_as(months in 1u32..200, off in -40i64..40) {
            // Near one another, where the answer is not obvious.
            let days = u32::try_from(i64::from(months) * 3044 / 100 + off).unwrap_or(0);
            let (a, b) = (Span::Months(months), Span::Days(days));
            prop_assert_eq!(a.at_least(b), at_least_by_days(a, b));
            prop_assert_eq!(b.at_least(a), at_least_by_days(b, a));
        }
    }
}
