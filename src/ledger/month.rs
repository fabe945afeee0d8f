//! Months, and the names of the index objects that stand for them below a table.
//!
//! An index object is made from segments and can be made again; the ledger does not list them. What may be destroyed of
//! them is told by their names and by the segments that the ledger knows.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;

/// The folder of a table in which its index objects stand.
pub const INDEX_FOLDER: &str = "_index";
/// How the name of an index object ends.
const ENDING: &str = ".hfi";

/// A calendar month, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    pub fn of(day: Date) -> Self {
        Month { year: day.year(), month: day.month() }
    }

    /// The month's index object, relative to the table.
    pub fn index_path(self) -> String {
        format!("{INDEX_FOLDER}/{self}{ENDING}")
    }

    /// The month whose index object has this path, relative to the table.
    pub fn of_index(path: &str) -> Option<Self> {
        path.strip_prefix(INDEX_FOLDER)?.strip_prefix('/')?.strip_suffix(ENDING)?.parse().ok()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (year, month) = text.split_once('-').ok_or(())?;
        let month = Month { year: year.parse().map_err(drop)?, month: month.parse().map_err(drop)? };
        // One spelling only: `2024-3` or `+2024-03` names no index object of ours.
        let is_month = (1..=12).contains(&month.month) && month.year >= 0;
        (is_month && month.to_string() == text).then_some(month).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_month_has_one_name() {
        let month = Month::of(date(2024, 3, 31));
        assert_eq!(month.index_path(), "_index/2024-03.hfi");
        assert_eq!(Month::of_index("_index/2024-03.hfi"), Some(month));
        for other in
            ["_index/2024-3.hfi", "_index/2024-13.hfi", "_index/2024-00.hfi", "2024-03.hfi", "_index/2024-03.hfi.bak"]
        {
            assert_eq!(Month::of_index(other), None, "{other}");
        }
        assert!(Month::of(date(2023, 12, 1)) < month);
    }
}
