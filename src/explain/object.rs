//! One raw object: when it is archived, what became of its records, when it is cleared, and why not.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::day::{known_tables, unknown_table};
use super::entries::EntryRef;
use super::obstacle::{Fires, Held, Latest, Obstacle, RuleFacts};
use super::trail::Annals;
use crate::error::{Error, Kind, Result};
use crate::ledger::{Counts, Keeping, KnownObject, ObjectId, Stage, State};
use crate::names::TableName;
use crate::pipeline::Looked;
use crate::plan::{Act, Blocker, Shut, ends};
use crate::policy::Term;
use crate::settings::diagnose::nearest;
use crate::source::{Period, RawObject};

/// A raw object, explained.
#[derive(Debug, Clone, Serialize)]
pub struct ObjectExplained {
    pub source: String,
    pub path: String,
    pub table: TableName,
    pub now: Timestamp,
    /// As listed now; none: it is not in its source.
    pub listed: Option<Listed>,
    pub rule: Option<RuleFacts>,
    /// When it is (was) old enough to be archived. None: never, or it is not listed.
    pub archive_at: Option<Timestamp>,
    pub read: Option<Read>,
    /// When it may be cleared. None: never, or it is not archived.
    pub clear_at: Option<Timestamp>,
    /// The outcome of the destruction in which it went.
    pub cleared: Option<EntryRef>,
    /// Of what stays raw: when it is destroyed.
    pub destroy_at: Option<Date>,
    pub latest: Option<Latest>,
    pub obstacles: Vec<Obstacle>,
    /// What becomes of it, in words.
    pub says: String,
}

/// As it lies in its source.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    pub bytes: u64,
    #[serde(serialize_with = "as_text")]
    pub modified: Timestamp,
    pub period: Option<Period>,
}

/// As it was read.
#[derive(Debug, Clone, Serialize)]
pub struct Read {
    pub bytes: u64,
    pub sha256: String,
    /// What became of its records.
    pub counts: Counts,
    /// Oldest first; none of a batch that this version cannot tell.
    pub batches: Vec<ReadBy>,
    pub duplicate_of: Option<ObjectId>,
    pub unreadable: Option<String>,
    /// It stays raw: the day of the last of its records.
    pub last_day: Option<Date>,
}

/// A batch that read it.
#[derive(Debug, Clone, Serialize)]
pub struct ReadBy {
    pub batch: String,
    pub at: Timestamp,
    pub rows: u64,
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Finds a raw object by `source:path`, or by its path alone if only one source has it. `unsettled` lists the objects
/// that changed too recently to be looked at.
///
/// Errors, of kind `Usage`: there is none, or more than one.
pub fn find_object(
    looked: &Looked,
    target: &str,
    unsettled: &dyn Fn() -> Vec<RawObject>,
) -> Result<(ObjectId, Option<RawObject>)> {
    let state = looked.chain.state();
    let named = |id: &ObjectId| id.path == target || id.to_string() == target;
    let id = |object: &RawObject| ObjectId { source: object.source.clone(), path: object.path.clone() };
    let listed = looked.objects.iter().map(id).filter(|id| named(id));
    let mut found: Vec<ObjectId> = listed.chain(state.objects.keys().filter(|id| named(id)).cloned()).collect();
    found.sort();
    found.dedup();
    let failed =
        |reason: String, hint: String| Error::new(Kind::Usage, format!("explaining {target}"), reason).with_hint(hint);
    match found.as_slice() {
        [one] => Ok((one.clone(), None)),
        [] => {
            if let Some(stranger) = looked
                .strangers
                .iter()
                .find(|one| one.path == target || format!("{}:{}", one.source, one.path) == target)
            {
                let hint = "Holdfast leaves it alone; correct the source's `layout`, or move it away".to_owned();
                return Err(failed(format!("it is no raw object: {}", stranger.reason), hint));
            }
            if let Some(object) = unsettled().into_iter().find(|object| named(&id(object))) {
                return Ok((id(&object), Some(object)));
            }
            Err(unknown_object(looked, state, target))
        }
        several => {
            let names: Vec<String> = several.iter().map(ObjectId::to_string).collect();
            Err(failed("several sources have it".into(), format!("name one: {}", names.join(", "))))
        }
    }
}

fn unknown_object(looked: &Looked, state: &State, target: &str) -> Error {
    /// Looking for the nearest among more would take long.
    const LOOKED_AT: usize = 20_000;
    let listed = looked.objects.iter().map(|object| object.path.as_str());
    let paths = listed.chain(state.objects.keys().map(|id| id.path.as_str())).take(LOOKED_AT);
    let wanted = target.split_once(':').map_or(target, |(_, path)| path);
    let hint = match nearest(wanted, paths) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "an object is `source:path`, or its path in its source; for a day: `holdfast why TABLE DAY`".to_owned(),
    };
    if let Some(table) = TableName::parse(target) {
        let known = known_tables(state, Some(looked));
        return if known.contains(&table) {
            Error::new(Kind::Usage, format!("explaining {table}"), "it is a table: which day of it?")
                .with_hint(format!("`holdfast why {table} 2024-03-31`, say"))
        } else if !target.contains('.') {
            unknown_table(&table, &known)
        } else {
            Error::new(Kind::Usage, format!("explaining {target}"), "there is no such raw object").with_hint(hint)
        };
    }
    Error::new(Kind::Usage, format!("explaining {target}"), "there is no such raw object").with_hint(hint)
}

/// The table that an object belongs to.
pub fn table_of(looked: &Looked, id: &ObjectId, unsettled: Option<&RawObject>) -> Option<TableName> {
    let known = looked.chain.state().objects.get(id).map(|known| known.outcome.table.clone());
    known.or_else(|| listed(looked, id).or(unsettled).map(|object| object.table.clone()))
}

fn listed<'a>(looked: &'a Looked, id: &ObjectId) -> Option<&'a RawObject> {
    looked.objects.iter().find(|object| object.path == id.path && object.source == id.source)
}

/// Explains one object, which [`find_object`] found.
pub fn explain_object(
    looked: &Looked,
    annals: &Annals,
    id: &ObjectId,
    unsettled: Option<&RawObject>,
    fires: &Fires<'_>,
) -> Option<ObjectExplained> {
    let (state, now) = (looked.chain.state(), looked.document.now);
    let table = table_of(looked, id, unsettled)?;
    let object = listed(looked, id).or(unsettled);
    let known = state.objects.get(id);
    let term = looked.history.term(&table);
    let rule = term.as_ref().map(|term| &term.rule);
    let age_from = object.map(|object| object.period.map_or(object.modified, |period| period.end));
    let cleared = known.filter(|known| known.cleared).and_then(|known| {
        let first = known.batches.first().and_then(|batch| annals.trail.batches.get(batch));
        annals.trail.cleared(id, first.map_or(0, |batch| batch.committed.entry))
    });
    let stays = known.and_then(|known| known.outcome.last_day);
    let mut explained = ObjectExplained {
        source: id.source.clone(),
        path: id.path.clone(),
        now,
        listed: object.map(|object| Listed { bytes: object.size, modified: object.modified, period: object.period }),
        rule: rule.map(RuleFacts::from),
        archive_at: age_from.and_then(|age_from| rule?.archive_after.after(age_from)),
        read: known.map(|known| read(known, state)),
        clear_at: known.filter(|_| stays.is_none()).and_then(|known| rule?.keep_raw.after(known.archived_at)),
        cleared: cleared.and_then(|step| step.outcome.as_ref()).map(|outcome| outcome.entry.clone()),
        destroy_at: stays.and_then(|day| term.as_ref()?.destroy_at(day)),
        latest: None,
        obstacles: Vec::new(),
        says: String::new(),
        table,
    };
    let schedule = rule.and_then(|rule| rule.schedule.as_deref());
    explained.latest = explained.destroy_at.map(|date| Latest::new(date, now, schedule, fires));
    explained.judge(looked, term.as_ref(), known, unsettled.is_some());
    if explained
        .obstacles
        .iter()
        .any(|one| one.blocker.as_ref().is_some_and(|one| !matches!(one, Blocker::Grace { .. })))
    {
        explained.latest = None;
    }
    Some(explained)
}

fn read(known: &KnownObject, state: &State) -> Read {
    let outcome = &known.outcome;
    let by = |batch: &String| match state.batches.get(batch).map(|known| &known.stage) {
        Some(Stage::Committed { at, rows }) => Some(ReadBy { batch: batch.clone(), at: *at, rows: *rows }),
        _ => None,
    };
    Read {
        bytes: outcome.size,
        sha256: outcome.sha256.clone(),
        counts: known.counts,
        batches: known.batches.iter().filter_map(by).collect(),
        duplicate_of: outcome.duplicate_of.clone(),
        unreadable: outcome.unreadable.clone(),
        last_day: outcome.last_day,
    }
}

impl ObjectExplained {
    /// Fills in what becomes of it and what is in the way.
    fn judge(&mut self, looked: &Looked, term: Option<&Term>, known: Option<&KnownObject>, unsettled: bool) {
        let verdict = looked.document.objects.iter().find(|one| one.path == self.path && one.source == self.source);
        let date = |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        if let Some(cleared) = &self.cleared {
            let how = if self.destroy_at.is_some() { "destroyed: the last of its records was due" } else { "cleared" };
            self.says = format!("{how}, {}", cleared.at);
            return;
        }
        if unsettled {
            self.says = "it changed less than `settle` ago: a later run looks at it".into();
            self.obstacles.push(Obstacle::new("its source's `settle` has not passed since its last change", "nothing"));
            return;
        }
        let Some(verdict) = verdict else {
            self.says = "read before, and not in its source now, though no run of ours took it away".into();
            return;
        };
        self.says = match verdict.act {
            Act::Archive => format!("the next run archives it: {}", verdict.reason),
            Act::Read => format!("the next run reads it: {}", verdict.reason),
            Act::Clear => "archived; the next run clears it".into(),
            Act::Keep if known.is_none() && term.is_none() => "kept as it is".into(),
            Act::Keep if known.is_none() => format!("not archived yet; archived from {} on", date(self.archive_at)),
            Act::Keep if self.read.as_ref().is_some_and(|read| read.last_day.is_some()) => {
                let until = self.destroy_at.map_or_else(|| "for ever".to_owned(), |date| format!("until {date}"));
                format!("stays raw (archive = false) {until}")
            }
            Act::Keep => format!("archived; cleared from {} on", date(self.clear_at)),
        };
        if term.is_none() {
            self.obstacles.push(Obstacle::no_rule());
        }
        self.clearing(looked);
        self.expiring(looked, term);
    }

    /// What keeps it from being cleared although `keep_raw` has passed.
    fn clearing(&mut self, looked: &Looked) {
        if self.clear_at.is_none_or(|at| at > self.now) {
            return;
        }
        let document = &looked.document;
        if !document.armed.raw {
            self.obstacles.push(Obstacle::new(
                "[delete] raw is not armed: no raw object is cleared",
                "write `raw = true` under [delete] in the settings, if that is meant",
            ));
        } else if let Some(shut) = &document.shut {
            let next = match shut {
                Shut::Window { .. } => "nothing: a run within the window does it",
                Shut::Doubt { .. } => "mend that; `holdfast check` looks at the policies",
            };
            self.obstacles.push(Obstacle::new(shut.to_string(), next));
        }
        let holds = looked.chain.state().holds.iter().filter(|(_, scope)| scope.covers(&self.table, None));
        self.obstacles.extend(holds.map(|(hold, _)| {
            Obstacle::new(
                format!("the hold `{hold}` covers its table"),
                "nothing, until the hold is released; then it goes on by itself",
            )
        }));
    }

    /// What keeps it from being destroyed, if it stays raw.
    fn expiring(&mut self, looked: &Looked, term: Option<&Term>) {
        let name = format!("{}:{}", self.source, self.path);
        let verdict = looked.document.days.iter().find(|day| {
            day.item.keeping == Keeping::Raw
                && day.item.table == self.table
                && day.item.files.iter().any(|(path, _)| *path == name)
        });
        let Some(verdict) = verdict else { return };
        let ends = |rule: &crate::policy::Rule| ends(Keeping::Raw, rule, verdict.item.day);
        let held = term.and_then(|term| Held::back(term, self.now, verdict.destroy_at, ends));
        let table = self.table.to_string();
        self.obstacles.extend(verdict.blockers.iter().map(|blocker| Obstacle::of(blocker, &table, held.as_ref())));
        if verdict.goes() && verdict.fate == crate::plan::Fate::Destroy {
            self.says = "the last of its records was due: the next run destroys it".into();
        }
    }
}
