//! What has expired: each archived day, each day of quarantine and of raw-only tables gets a verdict, its dates and what
//! blocks. Pure; the run retires, reinstates and destroys exactly what stands here.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::consent::{Answer, Due, consent, ends};
use super::inputs::{Blocker, Inputs};
use crate::ledger::{ApprovedItem, Keeping, KnownTable, Retired, Segment, Why};
use crate::names::TableName;
use crate::policy::{Origin, Shortening, Term, day_of};

/// Everything that one day of one part of a table holds, kept in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub table: TableName,
    pub keeping: Keeping,
    pub day: Date,
    pub part: String,
    pub rows: u64,
    pub bytes: u64,
    /// Paths as [`crate::ledger::Ground`] names them, with their SHA-256, sorted.
    pub files: Vec<(String, String)>,
}

impl Item {
    /// What a person consents to.
    pub fn approval(&self, rule_digest: &str) -> ApprovedItem {
        let mut sha256s: Vec<String> = self.files.iter().map(|(_, sha256)| sha256.clone()).collect();
        sha256s.sort_unstable();
        ApprovedItem {
            table: self.table.clone(),
            keeping: self.keeping,
            day: self.day,
            part: self.part.clone(),
            rule_digest: rule_digest.to_owned(),
            sha256s,
        }
    }
}

/// What becomes of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Its bytes go.
    Destroy,
    /// It leaves the table, and can be put back until it is destroyed.
    Retire,
    /// It is put back: its rule grew longer, or a hold covers it.
    Reinstate,
    /// It was retired, and waits for its date.
    Retired,
    /// It stays.
    Keep,
}

/// A day's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayVerdict {
    #[serde(flatten)]
    pub item: Item,
    pub fate: Fate,
    /// The rule and its digest; none: no rule names the table, and it is kept.
    pub rule: Option<Origin>,
    pub rule_digest: Option<String>,
    /// The first day on which it may be retired; none: never.
    pub expires: Option<Date>,
    /// The first day on which it may be destroyed; none: never.
    pub destroy_at: Option<Date>,
    /// A person consented.
    pub approved: bool,
    /// What stands in the way; empty: it happens now.
    pub blockers: Vec<Blocker>,
}

impl DayVerdict {
    /// True if its fate is to be carried out now.
    pub fn goes(&self) -> bool {
        self.blockers.is_empty()
    }

    /// True if a person's consent is all that is missing. Unarmed, nothing would happen anyway.
    pub fn asks(&self) -> bool {
        let asked = |blocker: &Blocker| matches!(blocker, Blocker::Approval { .. });
        self.blockers.iter().any(asked) && !self.blockers.contains(&Blocker::Unarmed)
    }

    /// True if its date has come, but something is in the way.
    pub fn overdue(&self) -> bool {
        !self.blockers.is_empty()
    }
}

/// All verdicts, and how far each table has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Expiry {
    /// Sorted by table, keeping, day and part.
    pub days: Vec<DayVerdict>,
    /// Tables in which all that is due can be retired now, by keeping.
    #[serde(skip)]
    pub settles: Vec<(TableName, Keeping)>,
}

/// Decides what becomes of everything that is kept.
pub fn expiry(inputs: &Inputs<'_>) -> Expiry {
    let mut expiry = Expiry::default();
    for table in inputs.state.tables.values() {
        archived(table, inputs, &mut expiry);
    }
    for (keeping, days) in [(Keeping::Raw, raw_days(inputs)), (Keeping::Quarantine, quarantine_days(inputs))] {
        for (table, items) in days {
            unarchived(&table, keeping, items, inputs, &mut expiry);
        }
    }
    expiry.days.sort_by(|one, other| key(one).cmp(&key(other)));
    expiry
}

fn key(verdict: &DayVerdict) -> (&TableName, Keeping, Date, &str, Fate) {
    let item = &verdict.item;
    (&item.table, item.keeping, item.day, &item.part, verdict.fate)
}

fn archived(table: &KnownTable, inputs: &Inputs<'_>, expiry: &mut Expiry) {
    let term = inputs.terms.of(&table.name);
    let term = term.as_deref();
    let live = grouped(table, table.segments.values().map(|(segment, _)| segment));
    let live_bytes = live.iter().map(|item| item.bytes).sum();
    let mut verdicts: Vec<DayVerdict> =
        live.into_iter().map(|item| standing(item, Fate::Retire, term, inputs, Term::expires)).collect();
    let settled = settle(table, Keeping::Archive, term, &mut verdicts, live_bytes, inputs);
    if settled {
        expiry.settles.push((table.name.clone(), Keeping::Archive));
    }
    expiry.days.append(&mut verdicts);
    expiry.days.extend(retired(table, term, inputs));
}

/// Raw objects and quarantine: nothing to retire, so that consent is asked for before they are destroyed.
fn unarchived(table: &TableName, keeping: Keeping, items: Vec<Item>, inputs: &Inputs<'_>, expiry: &mut Expiry) {
    let term = inputs.terms.of(table);
    let term = term.as_deref();
    let live_bytes = items.iter().map(|item| item.bytes).sum();
    let date = if keeping == Keeping::Raw { Term::destroy_at } else { Term::quarantine_ends };
    let mut verdicts: Vec<DayVerdict> =
        items.into_iter().map(|item| standing(item, Fate::Destroy, term, inputs, date)).collect();
    let unknown = KnownTable::new(table.clone());
    let known = inputs.state.tables.get(&table.key()).unwrap_or(&unknown);
    if settle(known, keeping, term, &mut verdicts, live_bytes, inputs) {
        expiry.settles.push((table.clone(), keeping));
    }
    expiry.days.append(&mut verdicts);
}

/// The verdict on what lives: it stays, or its date has come and `fate` is next.
fn standing(
    item: Item,
    fate: Fate,
    term: Option<&Term>,
    inputs: &Inputs<'_>,
    date: fn(&Term, Date) -> Option<Date>,
) -> DayVerdict {
    let today = inputs.today();
    let due_at = term.and_then(|term| date(term, item.day));
    let destroy_at = match item.keeping {
        Keeping::Quarantine => due_at,
        _ => term.and_then(|term| term.destroy_at(item.day)),
    };
    let mut blockers = Vec::new();
    let mut fate = fate;
    if due_at.is_none_or(|due| due > today) {
        fate = Fate::Keep;
        let keeping = item.keeping;
        let held_back = term.and_then(|term| term.held_back(inputs.now, |rule| ends(keeping, rule, item.day)));
        blockers.extend(held_back.map(grace));
    } else if let Some(hold) = held(&item, inputs) {
        fate = Fate::Keep;
        blockers.push(Blocker::Hold { hold });
    }
    verdict(item, fate, term, due_at, destroy_at, blockers)
}

fn grace(shortening: &Shortening) -> Blocker {
    Blocker::Grace { since: shortening.since, until: shortening.over() }
}

/// Asks the breaker about all that is due in a table. `true`: nothing of it has to wait.
fn settle(
    table: &KnownTable,
    keeping: Keeping,
    term: Option<&Term>,
    verdicts: &mut [DayVerdict],
    live_bytes: u64,
    inputs: &Inputs<'_>,
) -> bool {
    let Some(term) = term else { return false };
    let mut due: Vec<&mut DayVerdict> = verdicts.iter_mut().filter(|verdict| verdict.fate != Fate::Keep).collect();
    let mut blockers = stops(&table.name, inputs);
    let answer = {
        let items: Vec<&Item> = due.iter().map(|verdict| &verdict.item).collect();
        let retirement = inputs.state.expiry.get(&(table.name.key(), keeping));
        let reinstated = if keeping == Keeping::Archive { &table.reinstated } else { &BTreeMap::new() };
        let due = Due { keeping, term, items: &items, live_bytes, retirement, reinstated, now: inputs.now };
        consent(&due, inputs.consents)
    };
    match answer {
        Answer::Go(approved) => {
            for (verdict, approved) in due.iter_mut().zip(approved) {
                verdict.approved = approved;
                if approved && keeping == Keeping::Archive {
                    // Consent buys the whole purge_delay from now on: until then it can be taken back.
                    let after = term.rule.purge_delay.end(inputs.today());
                    verdict.destroy_at = verdict.destroy_at.zip(after).map(|(date, after)| date.max(after));
                }
            }
        }
        Answer::Wait(blocker) => blockers.push(blocker),
    }
    for verdict in &mut due {
        verdict.blockers.extend(blockers.iter().cloned());
    }
    blockers.is_empty()
}

/// What was taken out of the table because it expired, or by others.
fn retired(table: &KnownTable, term: Option<&Term>, inputs: &Inputs<'_>) -> Vec<DayVerdict> {
    let today = inputs.today();
    let mut groups: BTreeMap<(bool, Option<Date>), Vec<&Retired>> = BTreeMap::new();
    for retired in table.retired.values() {
        // Consent buys the whole purge_delay, from the retirement on: until then it can be taken back.
        let after = match &retired.why {
            Why::Expired(ground) if ground.approved => {
                term.and_then(|term| term.rule.purge_delay.end(day_of(retired.at)))
            }
            Why::Expired(_) | Why::Foreign => None,
            Why::Superseded { .. } | Why::Erased { .. } => continue,
        };
        groups.entry((matches!(retired.why, Why::Foreign), after)).or_default().push(retired);
    }
    let mut verdicts = Vec::new();
    for ((foreign, after), group) in groups {
        for item in grouped(table, group.iter().map(|retired| &retired.segment)) {
            let expires = term.and_then(|term| term.expires(item.day));
            let destroy_at =
                term.and_then(|term| term.destroy_at(item.day)).map(|date| after.map_or(date, |after| date.max(after)));
            let hold = held(&item, inputs);
            let stays = expires.is_none_or(|expires| expires > today);
            let mut blockers = Vec::new();
            let fate = if (stays || hold.is_some()) && !foreign {
                let doubt = |blocker: &Blocker| {
                    !matches!(blocker, Blocker::Unarmed | Blocker::Shut(super::inputs::Shut::Window { .. }))
                };
                blockers.extend(stops(&table.name, inputs).into_iter().filter(doubt));
                Fate::Reinstate
            } else if let Some(hold) = hold {
                blockers.push(Blocker::Hold { hold });
                Fate::Retired
            } else if destroy_at.is_some_and(|date| date <= today) {
                blockers.extend(stops(&table.name, inputs));
                Fate::Destroy
            } else {
                Fate::Retired
            };
            verdicts.push(verdict(item, fate, term, expires, destroy_at, blockers));
        }
    }
    verdicts
}

/// What stops anything in a table, whatever its day.
fn stops(table: &TableName, inputs: &Inputs<'_>) -> Vec<Blocker> {
    let stopped = inputs.stopped.get(&table.key()).map(|reason| Blocker::Stopped { reason: reason.clone() });
    let other = (!inputs.asked_for(table)).then_some(Blocker::OtherTable);
    inputs.allowance.blocker().into_iter().chain(stopped).chain(other).collect()
}

fn held(item: &Item, inputs: &Inputs<'_>) -> Option<String> {
    // A raw object or quarantine file may hold records of any day.
    let day = (item.keeping == Keeping::Archive).then_some(item.day);
    inputs.state.holds.iter().find(|(_, scope)| scope.covers(&item.table, day)).map(|(hold, _)| hold.clone())
}

fn verdict(
    item: Item,
    fate: Fate,
    term: Option<&Term>,
    expires: Option<Date>,
    destroy_at: Option<Date>,
    blockers: Vec<Blocker>,
) -> DayVerdict {
    DayVerdict {
        item,
        fate,
        rule: term.map(|term| term.rule.origin.clone()),
        rule_digest: term.map(|term| term.rule.digest()),
        expires,
        destroy_at,
        approved: false,
        blockers,
    }
}

fn grouped<'a>(table: &KnownTable, segments: impl Iterator<Item = &'a Segment>) -> Vec<Item> {
    let mut groups: BTreeMap<(Date, &str), Item> = BTreeMap::new();
    for segment in segments {
        let item = groups
            .entry((segment.day, &segment.part))
            .or_insert_with(|| Item::empty(&table.name, Keeping::Archive, segment.day, &segment.part));
        item.add(segment.path.clone(), segment.sha256.clone(), segment.bytes, segment.digest.rows);
    }
    groups.into_values().collect()
}

impl Item {
    fn empty(table: &TableName, keeping: Keeping, day: Date, part: &str) -> Self {
        let (table, part) = (table.clone(), part.to_owned());
        Item { table, keeping, day, part, rows: 0, bytes: 0, files: Vec::new() }
    }

    fn add(&mut self, path: String, sha256: String, bytes: u64, rows: u64) {
        self.files.push((path, sha256));
        self.bytes += bytes;
        self.rows += rows;
    }
}

/// Raw objects that stay raw, by the day of their last record.
fn raw_days(inputs: &Inputs<'_>) -> BTreeMap<TableName, Vec<Item>> {
    let mut days: BTreeMap<(TableName, Date), Item> = BTreeMap::new();
    for (id, known) in inputs.state.objects.iter().filter(|(_, known)| !known.cleared) {
        let Some(day) = known.outcome.last_day else { continue };
        let table = &known.outcome.table;
        // Under a rule that archives, the object is read anew and cleared as archived.
        if inputs.terms.of(table).is_none_or(|term| term.rule.archive) {
            continue;
        }
        let item = days.entry((table.clone(), day)).or_insert_with(|| Item::empty(table, Keeping::Raw, day, "raw"));
        item.add(id.to_string(), known.outcome.sha256.clone(), known.outcome.size, known.counts.raw);
    }
    by_table(days)
}

/// Quarantine files, by the day of their arrival.
fn quarantine_days(inputs: &Inputs<'_>) -> BTreeMap<TableName, Vec<Item>> {
    let mut days: BTreeMap<(TableName, Date), Item> = BTreeMap::new();
    for one in &inputs.state.quarantine {
        let (table, day) = (&one.file.table, day_of(one.at));
        let item = days
            .entry((table.clone(), day))
            .or_insert_with(|| Item::empty(table, Keeping::Quarantine, day, "quarantine"));
        item.add(one.file.data.clone(), one.file.data_sha256.clone(), one.file.bytes, one.file.records);
    }
    by_table(days)
}

fn by_table(days: BTreeMap<(TableName, Date), Item>) -> BTreeMap<TableName, Vec<Item>> {
    let mut tables: BTreeMap<TableName, Vec<Item>> = BTreeMap::new();
    for ((table, _), mut item) in days {
        item.files.sort_unstable();
        tables.entry(table).or_default().push(item);
    }
    tables
}
