//! Two policies over one inventory.
//!
//! Tables are taken together by the pair of rules that governed before and governs after. Rules are compared for tables
//! that the inventory does not have, too: a rule for a table of tomorrow counts as much as one for a table of today. For
//! those, names are made up that the changed patterns match, alone and two at a time, and asked who governs them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use crate::names::TableName;
use crate::policy::{
    BrokenLock, Change, History, Inventory, InventoryTable, Pattern, PolicySet, Refusal, Rule, Span, Term,
    broken_locks, change, day_of,
};

use super::effect::{Effect, EffectKind, effects};
use super::keys::{KeyChange, keys};

/// The version of the JSON of a [`Diff`].
pub const DIFF_VERSION: u32 = 1;

/// What an edit changes.
#[derive(Debug, Clone, Serialize)]
pub struct Diff {
    pub version: u32,
    /// When the new policy is taken to be accepted.
    pub as_of: Timestamp,
    /// Shorter wins.
    pub verdict: Change,
    /// Locks that the new policy breaks; if there are any, a run refuses it.
    pub broken_locks: Vec<BrokenLock>,
    /// What goes earlier than before, and what later.
    pub shorter: Totals,
    pub longer: Totals,
    /// The first date on which something is destroyed that would not have been; none: nothing is.
    pub first_destruction: Option<Date>,
    /// Loudest first: refused, shorter, longer, otherwise changed.
    pub changes: Vec<RuleChange>,
    /// Tables of the inventory whose rule means the same as before.
    pub tables_unchanged: u64,
    /// Digest of the old policy, and whether the archive's last run went by it.
    pub old_policy: String,
    pub old_is_in_force: bool,
    pub new_policy: String,
}

/// Sums over all tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub tables: u64,
    /// Each day of each table once.
    pub days: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// A rule that takes the place of another.
#[derive(Debug, Clone, Serialize)]
pub struct RuleChange {
    /// Shorter: something is kept or protected for less time.
    pub change: Change,
    pub refused: Option<Refusal>,
    /// None: no rule; the table is kept and reported.
    pub old: Option<Rule>,
    pub new: Option<Rule>,
    pub keys: Vec<KeyChange>,
    /// Of a shortening: what becomes newly due waits so long.
    pub grace: Option<Grace>,
    /// By name; empty: the inventory has no table that changes from the one rule to the other.
    pub tables: Vec<TableChange>,
}

/// What protects for a while what an edit makes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Grace {
    /// The longer `shorten_grace` of both rules.
    pub span: Span,
    /// The first day on which it protects nothing any more; none: never.
    pub over: Option<Date>,
}

/// A table of the inventory whose rule changes.
#[derive(Debug, Clone, Serialize)]
pub struct TableChange {
    #[serde(serialize_with = "as_text")]
    pub table: TableName,
    pub effects: Vec<Effect>,
}

/// Compares `new` with `old`, as accepted at `now`, over what `inventory` holds.
pub fn compare(old: &PolicySet, new: &PolicySet, inventory: &Inventory, now: Timestamp) -> Diff {
    // When the old one was accepted does not matter: the first policy shortens nothing.
    let history = History::new(vec![(inventory.at.min(now), old.clone()), (now, new.clone())]);
    let mut groups: BTreeMap<Pair, Group<'_>> = BTreeMap::new();
    let mut tables_unchanged = 0;
    for held in &inventory.tables {
        match Group::of(old, new, &history, &held.name) {
            Some((pair, group)) => groups.entry(pair).or_insert(group).tables.push(held),
            None => tables_unchanged += 1,
        }
    }
    for table in strangers(old, new) {
        if let Some((pair, group)) = Group::of(old, new, &history, &table) {
            groups.entry(pair).or_insert(group);
        }
    }
    let mut changes: Vec<RuleChange> = groups.into_values().map(|group| group.change(day_of(now))).collect();
    changes.sort_by_key(|one| (one.refused.is_none(), volume(one.change), one.tables.is_empty()));
    let destroyed = all(&changes).filter(|(_, effect)| effect.effect.is_shorter());
    Diff {
        version: DIFF_VERSION,
        as_of: now,
        verdict: changes.iter().map(|one| one.change).min_by_key(|change| volume(*change)).unwrap_or(Change::Same),
        broken_locks: all_broken(old, new, &changes),
        shorter: totals(&changes, EffectKind::is_shorter),
        longer: totals(&changes, EffectKind::is_longer),
        first_destruction: destroyed.filter_map(|(_, effect)| effect.destroyed.first).min(),
        tables_unchanged,
        old_policy: old.digest(),
        old_is_in_force: old.digest() == inventory.policy,
        new_policy: new.digest(),
        changes,
    }
}

impl Diff {
    /// The exit code of `policy diff`: 0 nothing, 10 only longer, 11 something shorter.
    pub fn exit_code(&self) -> u8 {
        match self.verdict {
            _ if !self.broken_locks.is_empty() => 11,
            Change::Same => 0,
            Change::Longer => 10,
            Change::Shorter => 11,
        }
    }
}

/// Two rules by file and name; none: no rule.
type Pair = (Option<String>, Option<String>);

struct Group<'i> {
    old: Option<Rule>,
    new: Option<Rule>,
    term: Option<Term>,
    tables: Vec<&'i InventoryTable>,
}

impl Group<'_> {
    /// None: the rules of `table` mean the same.
    fn of(old: &PolicySet, new: &PolicySet, history: &History, table: &TableName) -> Option<(Pair, Self)> {
        let (old, new) = (old.rule_for(table), new.rule_for(table));
        let digest = |rule: &Option<Rule>| rule.as_ref().map(Rule::digest);
        if digest(&old) == digest(&new) {
            return None;
        }
        let id = |rule: &Option<Rule>| rule.as_ref().map(|rule| rule.origin.id());
        let pair = (id(&old), id(&new));
        Some((pair, Group { term: history.term(table), old, new, tables: Vec::new() }))
    }

    fn change(self, today: Date) -> RuleChange {
        let Group { old, new, term, tables } = self;
        let keys = keys(old.as_ref(), new.as_ref());
        let retention = change(old.as_ref(), new.as_ref());
        let refused =
            old.as_ref().and_then(|old| BrokenLock::of(&old.origin, old, new.as_ref())).map(|broken| broken.why);
        // A shorter grace keeps nothing shorter, but lets the next edit do so sooner.
        let weaker = keys.iter().any(|key| key.key == "shorten_grace" && key.change == Some(Change::Shorter));
        let mut tables: Vec<TableChange> = tables
            .into_iter()
            .map(|held| TableChange {
                table: held.name.clone(),
                effects: effects(&held.days, old.as_ref(), term.as_ref(), today),
            })
            .collect();
        tables.sort_by(|one, other| one.table.cmp(&other.table));
        RuleChange {
            change: if weaker { Change::Shorter } else { retention },
            refused,
            grace: term.as_ref().filter(|_| retention == Change::Shorter).and_then(|term| grace(term, old.as_ref())),
            keys,
            tables,
            old,
            new,
        }
    }
}

/// Each locked rule that is broken, once: by what becomes of its tables, or of itself.
fn all_broken(old: &PolicySet, new: &PolicySet, changes: &[RuleChange]) -> Vec<BrokenLock> {
    let of_tables = changes.iter().filter_map(|one| {
        let old = one.old.as_ref()?;
        BrokenLock::of(&old.origin, old, one.new.as_ref())
    });
    let mut broken: Vec<BrokenLock> = Vec::new();
    for lock in of_tables.chain(broken_locks(old, new)) {
        if !broken.iter().any(|one| one.rule == lock.rule) {
            broken.push(lock);
        }
    }
    broken
}

fn grace(term: &Term, old: Option<&Rule>) -> Option<Grace> {
    let shortening = term.shortenings.last()?;
    let after = |span: Span| span.after(shortening.since);
    let spans = [old.map(|rule| rule.shorten_grace), Some(term.rule.shorten_grace)];
    let span = spans.into_iter().flatten().find(|span| after(*span) == shortening.until)?;
    Some(Grace { span, over: shortening.over() })
}

/// The smaller, the louder.
fn volume(change: Change) -> u8 {
    match change {
        Change::Shorter => 0,
        Change::Longer => 1,
        Change::Same => 2,
    }
}

/// Made-up tables among which there is one for each way in which who governs can change.
fn strangers(old: &PolicySet, new: &PolicySet) -> Vec<TableName> {
    fn rules(set: &PolicySet) -> BTreeMap<String, (&Pattern, String)> {
        set.rules().map(|(pattern, rule)| (pattern.as_str().to_lowercase(), (pattern, rule.digest()))).collect()
    }
    let (before, after) = (rules(old), rules(new));
    let patterns: BTreeMap<&String, &Pattern> =
        before.iter().chain(&after).map(|(name, (pattern, _))| (name, *pattern)).collect();
    let digest =
        |set: &BTreeMap<String, (&Pattern, String)>, name: &String| set.get(name).map(|(_, digest)| digest.clone());
    let changed = before.iter().chain(&after).filter(|(name, _)| digest(&before, name) != digest(&after, name));
    // One that none but a bare star matches: `[defaults]` govern it, or nothing does.
    let mut tables = BTreeSet::from([TableName::new("zq9z", "zq9z")]);
    for (_, (pattern, _)) in changed {
        tables.extend(patterns.values().flat_map(|other| pattern.samples(other)));
    }
    tables.into_iter().collect()
}

fn all(changes: &[RuleChange]) -> impl Iterator<Item = (&TableName, &Effect)> {
    let tables = changes.iter().flat_map(|change| &change.tables);
    tables.flat_map(|table| table.effects.iter().map(|effect| (&table.table, effect)))
}

fn totals(changes: &[RuleChange], which: fn(EffectKind) -> bool) -> Totals {
    let mut totals = Totals::default();
    let mut days: BTreeMap<&TableName, BTreeSet<Date>> = BTreeMap::new();
    for (table, effect) in all(changes).filter(|(_, effect)| which(effect.effect)) {
        totals.rows = totals.rows.saturating_add(effect.rows);
        totals.bytes = totals.bytes.saturating_add(effect.bytes);
        days.entry(table).or_default().extend(&effect.each);
    }
    totals.tables = days.len() as u64;
    totals.days = days.values().map(|days| days.len() as u64).sum();
    totals
}

fn as_text<S: serde::Serializer>(table: &TableName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(table)
}
