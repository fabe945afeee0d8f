//! What a hold covers.

use jiff::civil::Date;

use super::entry::HoldScope;
use crate::names::TableName;

impl HoldScope {
    /// True if the hold protects what `table` keeps of `day`; without a day: what it keeps of a day that is not known.
    ///
    /// A predicate narrows nothing here: which rows it names is not looked at, so that it covers all of them (I7).
    pub fn covers(&self, table: &TableName, day: Option<Date>) -> bool {
        let on_table = self.tables.is_empty() || self.tables.contains(table);
        let from = |day: Date| self.from.is_none_or(|from| day >= from);
        let to = |day: Date| self.to.is_none_or(|to| day <= to);
        on_table && day.is_none_or(|day| from(day) && to(day))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_hold_covers_its_tables_and_days_both_ends_included() {
        let (one, other) = (TableName::new("main", "One"), TableName::new("main", "Other"));
        let scope = HoldScope {
            tables: vec![one.clone()],
            from: Some(date(2024, 3, 1)),
            to: Some(date(2024, 3, 31)),
            predicate: None,
        };
        let days = [date(2024, 2, 29), date(2024, 3, 1), date(2024, 3, 31), date(2024, 4, 1)];
        assert_eq!(days.map(|day| scope.covers(&one, Some(day))), [false, true, true, false]);
        assert!(days.iter().all(|day| !scope.covers(&other, Some(*day))));
        assert!(scope.covers(&one, None) && !scope.covers(&other, None));
        assert!(scope.covers(&TableName::new("Main", "ONE"), None), "names count without regard to case");
        assert!(days.iter().all(|day| HoldScope::default().covers(&other, Some(*day))));
    }
}
