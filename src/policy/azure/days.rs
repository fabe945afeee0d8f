//! The numbers of days that Azure takes.
//!
//! Its long values are years counted in days, with leap days as Azure counts them. They stay days here: `2556d` is not
//! `7y`, which is a day longer for most days of the calendar.

use std::ops::RangeInclusive;

use crate::policy::Span;

/// What `retentionInDays` takes; `totalRetentionInDays` takes these and [`LONG_TOTALS`].
pub const INTERACTIVE: RangeInclusive<u32> = 4..=730;

/// What `totalRetentionInDays` takes beyond: 3 to 12 years.
pub const LONG_TOTALS: [u32; 10] = [1095, 1460, 1826, 2191, 2556, 2922, 3288, 3653, 4018, 4383];

/// True if `totalRetentionInDays` takes it.
pub fn total_is_allowed(days: u32) -> bool {
    INTERACTIVE.contains(&days) || LONG_TOTALS.contains(&days)
}

/// The years that Azure means by a long value.
pub(super) fn years(days: u32) -> Option<usize> {
    LONG_TOTALS.iter().position(|long| *long == days).map(|at| at + 3)
}

/// The least value of `totalRetentionInDays` that is never shorter than `span`, whatever day it begins on. None: Azure
/// keeps nothing so long.
pub fn nearest_total(span: Span) -> Option<u32> {
    let allowed: Vec<u32> = INTERACTIVE.chain(LONG_TOTALS).collect();
    let at = allowed.partition_point(|days| !Span::Days(*days).at_least(span));
    allowed.get(at).copied()
}

/// The value below, which Azure takes too.
pub(super) fn below(days: u32) -> Option<u32> {
    INTERACTIVE.chain(LONG_TOTALS).take_while(|one| *one < days).last()
}

/// What Azure takes, for hints.
pub(super) fn allowed(total: bool) -> String {
    let (first, last) = (INTERACTIVE.start(), INTERACTIVE.end());
    let short = format!("null or -1 (Azure's default), {first} to {last}");
    if !total {
        return format!("Azure takes {short}");
    }
    let long: Vec<String> = LONG_TOTALS.iter().map(u32::to_string).collect();
    format!("Azure takes {short}, or {}", long.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_never_shorter_and_the_least() {
        for (span, nearest) in [
            ("3d", Some(4)),
            ("6w", Some(42)),
            ("730d", Some(730)),
            ("731d", Some(1095)),
            ("1y", Some(366)),
            // Three years hold a leap day or none.
            ("3y", Some(1460)),
            ("7y", Some(2922)),
            ("8y", Some(2922)),
            ("12y", Some(4383)),
            ("4384d", None),
            ("13y", None),
            ("forever", None),
        ] {
            assert_eq!(nearest_total(span.parse().unwrap()), nearest, "{span}");
        }
    }

    #[test]
    fn long_values_are_years() {
        for days in LONG_TOTALS {
            let years = u32::try_from(years(days).unwrap()).unwrap();
            assert!((days - years * 365) <= years / 4 + 1, "{days} is {years} years");
        }
        assert_eq!(years(730), None);
    }
}
