//! One day of one table: what is kept of it and how, its dates, what is in the way, what is gone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::obstacle::{Fires, Held, Latest, Obstacle, RuleFacts};
use super::origins::origins;
use super::trail::{Annals, FileTrail, How, Trail};
use crate::error::{Error, Kind, Result};
use crate::ledger::{Keeping, Purpose, State, Why};
use crate::names::TableName;
use crate::pipeline::Looked;
use crate::plan::{Act, Allowance, Blocker, DayVerdict, Fate, ends};
use crate::policy::{Term, day_of};
use crate::settings::diagnose::nearest;

/// A day, explained.
#[derive(Debug, Clone, Serialize)]
pub struct DayExplained {
    pub table: TableName,
    pub day: Date,
    pub now: Timestamp,
    /// None: no rule names the table, and it is kept.
    pub rule: Option<RuleFacts>,
    pub kept: Vec<DayFile>,
    /// Raw objects whose period begins on that day and that still lie in their source.
    pub raw: Vec<Waiting>,
    /// The raw objects that what is kept was made from, and how many of them are gone.
    pub made_from: u64,
    pub cleared: u64,
    pub gone: Vec<Gone>,
}

/// What is kept of a day in one way.
#[derive(Debug, Clone, Serialize)]
pub struct DayFile {
    pub keeping: Keeping,
    pub part: String,
    /// Out of the table: retired, or written anew by a merge.
    pub retired: bool,
    pub superseded: bool,
    /// Some of it was written by a merge.
    pub merged: bool,
    pub fate: Fate,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    /// When the first and the last of it was archived (quarantined, read).
    pub archived_from: Option<Timestamp>,
    pub archived_to: Option<Timestamp>,
    pub retired_at: Option<Timestamp>,
    /// The first day on which it may be retired. None: never, or nothing to retire.
    pub expires: Option<Date>,
    pub destroy_at: Option<Date>,
    /// None: never, or not while something is in the way.
    pub latest: Option<Latest>,
    pub approved: bool,
    /// Empty: nothing is in the way.
    pub obstacles: Vec<Obstacle>,
    /// What becomes of it, in words.
    pub says: String,
}

/// Raw objects of that day of which the same is to be said.
#[derive(Debug, Clone, Serialize)]
pub struct Waiting {
    pub act: Act,
    pub objects: u64,
    pub bytes: u64,
    /// Of the first of them.
    pub reason: String,
    /// The earliest and the latest time at which that reason ends.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// What was destroyed of a day.
#[derive(Debug, Clone, Serialize)]
pub struct Gone {
    pub keeping: Keeping,
    /// Old files of merges: their rows were written anew.
    pub superseded: bool,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
    pub last: Timestamp,
}

/// Explains a day.
///
/// Errors, of kind `Usage`: the table is not known, or nothing of that day is.
pub fn explain_day(
    looked: &Looked,
    annals: &Annals,
    table: &TableName,
    day: Date,
    fires: &Fires<'_>,
) -> Result<DayExplained> {
    let trail = &annals.trail;
    let now = looked.document.now;
    let term = looked.history.term(table);
    let schedule = term.as_ref().and_then(|term| term.rule.schedule.clone());
    let latest = |destroy_at: Option<Date>| Some(Latest::new(destroy_at?, now, schedule.as_deref(), fires));
    let verdicts = looked.document.days.iter().filter(|one| one.item.table == *table && one.item.day == day);
    let mut kept: Vec<DayFile> =
        verdicts.map(|verdict| standing(verdict, looked, trail, term.as_ref(), &latest)).collect();
    kept.extend(superseded(looked, trail, table, day));
    let made_of: Vec<&FileTrail> =
        trail.files.values().filter(|file| file.day == day && trail.still_there(table, file)).collect();
    let raw_objects = origins(trail, &made_of);
    let explained = DayExplained {
        table: looked.chain.state().spelling(table).cloned().unwrap_or_else(|| table.clone()),
        day,
        now,
        rule: term.as_ref().map(|term| RuleFacts::from(&term.rule)),
        kept,
        raw: waiting(looked, table, day),
        made_from: raw_objects.len() as u64,
        cleared: raw_objects.iter().filter(|one| one.cleared.is_some()).count() as u64,
        gone: gone(trail, table, day),
    };
    if explained.kept.is_empty() && explained.raw.is_empty() && explained.gone.is_empty() {
        return Err(unknown_day(looked, trail, table, day));
    }
    Ok(explained)
}

fn standing(
    verdict: &DayVerdict,
    looked: &Looked,
    trail: &Trail,
    term: Option<&Term>,
    latest: &dyn Fn(Option<Date>) -> Option<Latest>,
) -> DayFile {
    let item = &verdict.item;
    let files: Vec<&FileTrail> =
        item.files.iter().filter_map(|(path, _)| trail.files.get(&(item.keeping, path.clone()))).collect();
    let left: Vec<Timestamp> =
        files.iter().filter_map(|file| file.left.as_ref()).map(|left| left.committed.at).collect();
    let merged =
        |file: &&FileTrail| trail.batches.get(&file.batch).is_some_and(|batch| matches!(batch.purpose, Purpose::Merge));
    let retired = item.keeping == Keeping::Archive && !left.is_empty();
    let held = term.and_then(|term| {
        Held::back(term, looked.document.now, verdict.expires, |rule| ends(item.keeping, rule, item.day))
    });
    let name = item.table.to_string();
    let mut obstacles: Vec<Obstacle> =
        verdict.blockers.iter().map(|blocker| Obstacle::of(blocker, &name, held.as_ref())).collect();
    if term.is_none() {
        obstacles.push(Obstacle::no_rule());
    }
    let holds = looked.chain.state().holds.iter();
    let day = (item.keeping == Keeping::Archive).then_some(item.day);
    let over: Vec<&String> = holds.filter(|(_, hold)| hold.covers(&item.table, day)).map(|(name, _)| name).collect();
    if !verdict.blockers.iter().any(|blocker| matches!(blocker, Blocker::Hold { .. })) {
        obstacles.extend(over.iter().map(|hold| Obstacle::of(&Blocker::Hold { hold: (*hold).clone() }, &name, None)));
    }
    let free = over.is_empty() && (verdict.goes() || verdict.fate == Fate::Keep);
    DayFile {
        keeping: item.keeping,
        part: item.part.clone(),
        retired,
        superseded: false,
        merged: files.iter().any(merged),
        fate: verdict.fate,
        files: item.files.len() as u64,
        rows: item.rows,
        bytes: item.bytes,
        archived_from: files.iter().map(|file| file.at).min(),
        archived_to: files.iter().map(|file| file.at).max(),
        retired_at: left.into_iter().max(),
        expires: verdict.expires.filter(|_| item.keeping == Keeping::Archive),
        destroy_at: verdict.destroy_at,
        latest: latest(verdict.destroy_at.filter(|_| free)),
        approved: verdict.approved,
        says: says(verdict, term, looked.document.now),
        obstacles,
    }
}

/// What becomes of a day, in words.
fn says(verdict: &DayVerdict, term: Option<&Term>, now: Timestamp) -> String {
    let shown = |date: Option<Date>| date.map_or_else(|| "never".to_owned(), |date| date.to_string());
    let (expires, destroy_at) = (shown(verdict.expires), shown(verdict.destroy_at));
    let foreign = "taken out of the table by others";
    match (verdict.fate, verdict.goes()) {
        (Fate::Destroy, true) => "its date has come: the next run destroys it".into(),
        (Fate::Destroy, false) => format!("to be destroyed since {destroy_at}, but it waits"),
        (Fate::Retire, true) => format!("its date has come: the next run retires it, to be destroyed on {destroy_at}"),
        (Fate::Retire, false) => format!("to be retired since {expires}, but it waits"),
        (Fate::Reinstate, true) => "retired, and the next run puts it back: it is to stay".into(),
        (Fate::Reinstate, false) => "retired, and to be put back, but that waits".into(),
        (Fate::Retired, true) if verdict.expires.is_none_or(|expires| expires > day_of(now)) => {
            format!("{foreign}; destroyed on {destroy_at}")
        }
        (Fate::Retired, true) => format!("retired, can be put back; destroyed on {destroy_at}"),
        (Fate::Retired, false) => "retired, and its destruction waits".into(),
        (Fate::Keep, _) if term.is_none() => "no rule names the table: kept".into(),
        (Fate::Keep, _) if verdict.expires.is_none() => "kept for ever".into(),
        (Fate::Keep, false) if verdict.expires.is_some_and(|expires| expires <= day_of(now)) => {
            "its date has come, but it is held".into()
        }
        (Fate::Keep, _) if verdict.item.keeping == Keeping::Archive => {
            format!("kept until {expires}, then retired; destroyed on {destroy_at}")
        }
        (Fate::Keep, _) => format!("kept until {destroy_at}, then destroyed"),
    }
}

/// Old files of merges that still exist.
fn superseded(looked: &Looked, trail: &Trail, table: &TableName, day: Date) -> Option<DayFile> {
    let state = looked.chain.state();
    let known = state.tables.get(&table.key())?;
    let rewritten = |why: &Why| matches!(why, Why::Superseded { .. } | Why::Erased { .. });
    let old: Vec<_> = known.retired.values().filter(|one| one.segment.day == day && rewritten(&one.why)).collect();
    let first = old.first()?;
    let allowance = Allowance { armed: looked.document.armed, shut: looked.document.shut.clone() };
    let blockers: Vec<Blocker> = allowance.blocker().into_iter().collect();
    let files: Vec<&FileTrail> =
        old.iter().filter_map(|one| trail.files.get(&(Keeping::Archive, one.segment.path.clone()))).collect();
    Some(DayFile {
        keeping: Keeping::Archive,
        part: first.segment.part.clone(),
        retired: true,
        superseded: true,
        merged: false,
        fate: Fate::Destroy,
        files: old.len() as u64,
        rows: old.iter().map(|one| one.segment.digest.rows).sum(),
        bytes: old.iter().map(|one| one.segment.bytes).sum(),
        archived_from: files.iter().map(|file| file.at).min(),
        archived_to: files.iter().map(|file| file.at).max(),
        retired_at: old.iter().map(|one| one.at).max(),
        expires: None,
        destroy_at: None,
        latest: None,
        approved: false,
        obstacles: blockers.iter().map(|blocker| Obstacle::of(blocker, &table.to_string(), None)).collect(),
        says: "merged: its rows stand in another segment, and an armed run destroys the old file".into(),
    })
}

fn waiting(looked: &Looked, table: &TableName, day: Date) -> Vec<Waiting> {
    let mut groups: BTreeMap<(Act, String), Waiting> = BTreeMap::new();
    for one in looked.document.objects.iter().filter(|one| one.table == *table && one.day == Some(day)) {
        // The same words but for the time.
        let shape = one.until.map_or_else(|| one.reason.clone(), |until| one.reason.replace(&until.to_string(), ""));
        let group = groups.entry((one.act, shape)).or_insert_with(|| Waiting {
            act: one.act,
            objects: 0,
            bytes: 0,
            reason: one.reason.clone(),
            from: one.until,
            until: one.until,
        });
        group.objects += 1;
        group.bytes += one.bytes;
        group.from = group.from.min(one.until);
        group.until = group.until.max(one.until);
    }
    groups.into_values().collect()
}

fn gone(trail: &Trail, table: &TableName, day: Date) -> Vec<Gone> {
    let mut groups: BTreeMap<(Keeping, bool), Gone> = BTreeMap::new();
    for file in trail.files.values().filter(|file| file.day == day) {
        let Some((step, true)) = trail.destruction(table, file) else { continue };
        let Some(outcome) = &step.outcome else { continue };
        let superseded = matches!(file.left.as_ref().map(|left| &left.how), Some(How::Superseded | How::Erased));
        let gone = groups.entry((file.keeping, superseded)).or_insert_with(|| Gone {
            keeping: file.keeping,
            superseded,
            files: 0,
            rows: 0,
            bytes: 0,
            last: outcome.entry.at,
        });
        gone.files += 1;
        gone.rows += file.rows;
        gone.bytes += file.bytes;
        gone.last = gone.last.max(outcome.entry.at);
    }
    groups.into_values().collect()
}

/// Every table that the ledger or a source knows.
pub fn known_tables(state: &State, looked: Option<&Looked>) -> BTreeSet<TableName> {
    let known = state.tables.values().map(|known| known.name.clone());
    let read = state.objects.values().map(|known| known.outcome.table.clone());
    let listed = looked.into_iter().flat_map(|looked| looked.objects.iter().map(|object| object.table.clone()));
    known.chain(read).chain(listed).collect()
}

/// The error for a table that is not known, with the nearest that is.
pub fn unknown_table(table: &TableName, known: &BTreeSet<TableName>) -> Error {
    let whole: Vec<String> = known.iter().map(TableName::to_string).collect();
    let same = known.iter().find(|one| one.table.eq_ignore_ascii_case(&table.table)).map(TableName::to_string);
    let near = same.or_else(|| nearest(&table.to_string(), whole.iter().map(String::as_str)).map(str::to_owned));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if whole.is_empty() => {
            "nothing is known yet: no run archived anything, and no source has a raw object".into()
        }
        None => {
            let more = if whole.len() > 5 { format!(" and {} more", whole.len() - 5) } else { String::new() };
            format!("known are {}{more}", whole.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
        }
    };
    Error::new(Kind::Usage, format!("explaining {table}"), "there is no such table").with_hint(hint)
}

fn unknown_day(looked: &Looked, trail: &Trail, table: &TableName, day: Date) -> Error {
    let known = known_tables(looked.chain.state(), Some(looked));
    if !known.contains(table) {
        return unknown_table(table, &known);
    }
    let listed = looked.document.objects.iter().filter(|one| one.table == *table).filter_map(|one| one.day);
    let days: BTreeSet<Date> = trail.files.values().map(|file| file.day).chain(listed).collect();
    let (before, after) = (days.range(..day).next_back(), days.range(day..).next());
    let near: Vec<String> = before.into_iter().chain(after).map(Date::to_string).collect();
    let hint = if near.is_empty() {
        "nothing of this table is known by day".to_owned()
    } else {
        format!("the nearest days with anything: {}", near.join(", "))
    };
    Error::new(
        Kind::Usage,
        format!("explaining {table} on {day}"),
        "nothing of that day was ever archived, and no raw object stands for it",
    )
    .with_hint(hint)
}
