//! The proleptic Gregorian calendar as day counts, years 0001 to 9999.
//!
//! Own code because every timestamp of every record passes here, parsed and printed; a test walks through all days
//! beside another library's calendar.

/// Days from the first of March of year 0 to 1970-01-01.
const MARCH_OF_YEAR_0: i64 = 719_468;

/// Days from 1970-01-01 to a date that exists, within the years 0001 to 9999.
pub(super) fn date(year: u32, month: u32, day: u32) -> Option<i64> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let length = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || day == 0 || day > length {
        return None;
    }
    // Years from March, so that the leap day is the last; https://howardhinnant.github.io/date_algorithms.html
    let year = year - u32::from(month <= 2);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year;
    Some(i64::from(days) - MARCH_OF_YEAR_0)
}

/// Year, month and day of a count of days from 1970-01-01, the inverse of [`date`] within its years; without meaning
/// beyond them.
pub(super) fn civil(days: i64) -> (u32, u32, u32) {
    let shifted = (days + MARCH_OF_YEAR_0) as u32;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_agrees_with_another_for_every_day() {
        let mut day = jiff::civil::date(1, 1, 1);
        for count in -719_162..=2_932_896 {
            let (year, month, of_month) = (day.year() as u32, day.month() as u32, day.day() as u32);
            assert_eq!(civil(count), (year, month, of_month));
            assert_eq!(date(year, month, of_month), Some(count));
            day = day.tomorrow().unwrap_or(day);
        }
        assert_eq!(day, jiff::civil::date(9999, 12, 31));
    }
}
