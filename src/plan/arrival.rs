//! Records that come when their day is gone already: expired on arrival, under their rule (DESIGN §7). Pure.

use jiff::ToSpan;
use jiff::civil::Date;

use super::consent::newer;
use super::inputs::Inputs;
use crate::ledger::Keeping;
use crate::names::TableName;
use crate::policy::day_of;

/// Records of days before this one are expired on arrival: their days were retired under this very rule, and their
/// destroy date has come. None: whatever comes is archived, and goes the usual way.
///
/// That a table has come so far is what its completed retirements say; while anything is in doubt (nothing armed, another
/// policy accepted in mid-run, a hold on the table, a shortening that nobody agreed to yet, a day that was put back)
/// records are kept.
pub fn expired_before(table: &TableName, inputs: &Inputs<'_>) -> Option<Date> {
    let term = inputs.terms.of(table)?;
    if !inputs.allowance.now().expired
        || !inputs.terms.govern(inputs.state)
        || inputs.stopped.contains_key(&table.key())
        || inputs.state.holds.values().any(|scope| scope.covers(table, None))
        || inputs.state.tables.get(&table.key()).is_some_and(|known| !known.reinstated.is_empty())
    {
        return None;
    }
    let retirement = inputs.state.expiry.get(&(table.key(), Keeping::Archive))?;
    let (rule, retired_at) = retirement.under.as_ref()?;
    if *rule != term.rule.origin.id() || term.shortenings.iter().any(|one| newer(one, Some(*retired_at))) {
        return None;
    }
    let (today, settled) = (inputs.today(), day_of(retirement.settled_at?));
    let gone = |day: Date| {
        term.expires(day).is_some_and(|date| date <= settled) && term.destroy_at(day).is_some_and(|date| date <= today)
    };
    last_day(today, gone)?.tomorrow().ok()
}

/// The last day before `today` that is gone; a later day never goes before an earlier one.
fn last_day(today: Date, gone: impl Fn(Date) -> bool) -> Option<Date> {
    let (mut from, mut to) = (jiff::civil::date(2000, 1, 1), today);
    if !gone(from) || gone(to) {
        return None;
    }
    loop {
        let days = from.until(to).map_or(0, |span| span.get_days());
        if days <= 1 {
            return Some(from);
        }
        let middle = from.checked_add((days / 2).days()).ok()?;
        if gone(middle) { from = middle } else { to = middle }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn i3_the_last_gone_day_is_found_exactly() {
        let today = date(2026, 3, 1);
        for back in [1, 2, 3, 30, 365, 9000] {
            let limit = today.checked_sub(i64::from(back).days()).unwrap();
            assert_eq!(last_day(today, |day| day <= limit), Some(limit), "{back} days back");
        }
        assert_eq!(last_day(today, |_| false), None);
        assert_eq!(last_day(today, |_| true), None, "not even today: that cannot be");
    }
}
