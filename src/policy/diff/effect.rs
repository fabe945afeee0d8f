//! What becomes of the days that a table holds when one rule takes the place of another.
//!
//! A date that has come already counts as today: what is due either way is no different. What ends never ends after
//! everything else. A day is in one effect only; what goes earlier in any respect is never called longer.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;

use crate::policy::{Held, InventoryDay, Rule, Term};

/// What happens to some days of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Due as soon as the grace is over.
    DueAfterGrace,
    /// Due later than that, each on a date of its own, earlier than before.
    Earlier,
    /// Retired, and put back into the table.
    Reinstated,
    /// Due later than before, or never.
    Longer,
    /// Due later only since the grace of a shortening covers it, too.
    Waits,
}

impl EffectKind {
    /// True if something goes earlier.
    pub fn is_shorter(self) -> bool {
        matches!(self, EffectKind::DueAfterGrace | EffectKind::Earlier)
    }

    /// True if something is kept longer by the new rule.
    pub fn is_longer(self) -> bool {
        matches!(self, EffectKind::Reinstated | EffectKind::Longer)
    }
}

/// Days of a table that fare alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    pub effect: EffectKind,
    pub keeping: Held,
    pub days: u64,
    pub rows: u64,
    pub bytes: u64,
    pub first_day: Date,
    pub last_day: Date,
    /// When they leave the table from now on; of quarantine, when it goes. None: they have left it.
    pub retired: Option<Dates>,
    /// When their bytes are destroyed from now on, at the earliest.
    pub destroyed: Dates,
    #[serde(skip)]
    pub(super) each: BTreeSet<Date>,
}

/// From the first date to the last; none: never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Dates {
    pub first: Option<Date>,
    pub last: Option<Date>,
}

/// When a day is retired and when it is destroyed. Never is the calendar's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fate {
    retired: Date,
    destroyed: Date,
}

const NEVER: Date = Date::MAX;

/// The effects on `days`, loudest first. `old` governed them so far, `term` would from now on; none: for ever.
pub(super) fn effects(days: &[InventoryDay], old: Option<&Rule>, term: Option<&Term>, today: Date) -> Vec<Effect> {
    let over = term.and_then(|term| term.shortenings.last()?.over());
    let mut found: BTreeMap<(EffectKind, Held), Effect> = BTreeMap::new();
    for held in days {
        let before = old.map_or(Fate::NEVER, |rule| Fate::before(rule, held)).not_before(today);
        let after = term.map_or(Fate::NEVER, |term| Fate::after(term, held)).not_before(today);
        let Some(kind) = kind(held, before, after, over, today) else { continue };
        found.entry((kind, held.keeping)).or_insert_with(|| Effect::new(kind, held, after)).add(held, after);
    }
    found.into_values().collect()
}

fn kind(held: &InventoryDay, before: Fate, after: Fate, over: Option<Date>, today: Date) -> Option<EffectKind> {
    let retired = held.keeping == Held::Retired;
    if retired && after.retired > today && before.retired <= today {
        return Some(EffectKind::Reinstated);
    }
    let waited = over.is_some_and(|over| after.retired <= over);
    let earlier = after.destroyed < before.destroyed || (!retired && after.retired < before.retired);
    let later = after.destroyed > before.destroyed || (!retired && after.retired > before.retired);
    if earlier {
        Some(if waited { EffectKind::DueAfterGrace } else { EffectKind::Earlier })
    } else {
        later.then_some(if waited { EffectKind::Waits } else { EffectKind::Longer })
    }
}

impl Fate {
    const NEVER: Fate = Fate { retired: NEVER, destroyed: NEVER };

    fn before(rule: &Rule, held: &InventoryDay) -> Fate {
        if held.keeping == Held::Quarantine {
            return Fate::at_once(rule.quarantine_span().end(held.day).and_then(|end| end.tomorrow().ok()));
        }
        Fate { retired: rule.expires(held.day).unwrap_or(NEVER), destroyed: rule.destroy_at(held.day).unwrap_or(NEVER) }
    }

    fn after(term: &Term, held: &InventoryDay) -> Fate {
        if held.keeping == Held::Quarantine {
            return Fate::at_once(term.quarantine_ends(held.day));
        }
        let retired = term.expires(held.day).unwrap_or(NEVER);
        let mut destroyed = term.destroy_at(held.day).unwrap_or(NEVER);
        if held.keeping == Held::Archive {
            // What a grace held back is retired late, and `purge_delay` counts from then.
            let delayed = term.rule.purge_delay.end(retired).unwrap_or(NEVER);
            destroyed = destroyed.max(delayed);
        }
        Fate { retired, destroyed }
    }

    fn at_once(date: Option<Date>) -> Fate {
        let date = date.unwrap_or(NEVER);
        Fate { retired: date, destroyed: date }
    }

    /// What has come already is due today.
    fn not_before(self, today: Date) -> Fate {
        Fate { retired: self.retired.max(today), destroyed: self.destroyed.max(today) }
    }
}

impl Effect {
    fn new(effect: EffectKind, held: &InventoryDay, after: Fate) -> Self {
        Effect {
            effect,
            keeping: held.keeping,
            days: 0,
            rows: 0,
            bytes: 0,
            first_day: held.day,
            last_day: held.day,
            retired: (held.keeping != Held::Retired || effect == EffectKind::Reinstated)
                .then(|| Dates::at(after.retired)),
            destroyed: Dates::at(after.destroyed),
            each: BTreeSet::new(),
        }
    }

    fn add(&mut self, held: &InventoryDay, after: Fate) {
        self.each.insert(held.day);
        self.days = self.each.len() as u64;
        self.rows = self.rows.saturating_add(held.rows);
        self.bytes = self.bytes.saturating_add(held.bytes);
        self.first_day = self.first_day.min(held.day);
        self.last_day = self.last_day.max(held.day);
        if let Some(retired) = &mut self.retired {
            retired.add(after.retired);
        }
        self.destroyed.add(after.destroyed);
    }
}

impl Dates {
    fn at(date: Date) -> Self {
        let date = (date != NEVER).then_some(date);
        Dates { first: date, last: date }
    }

    fn add(&mut self, date: Date) {
        let (first, last) = (self.first.unwrap_or(NEVER), self.last.unwrap_or(NEVER));
        self.first = Dates::at(first.min(date)).first;
        self.last = Dates::at(last.max(date)).last;
    }
}
