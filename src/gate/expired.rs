//! Proofs about what was archived and must go: its date came, a merge wrote it anew, or a checkpoint made it needless.

use jiff::Timestamp;

use super::Blocked;
use super::proof::{Measured, all_stand, known, seq, stands};
use crate::ledger::{KnownTable, Month, ObjectId, Retired, Segment, State, Subject, Why, log_version};
use crate::names::TableName;
use crate::policy::{Term, day_of};

/// A retired segment, a quarantine file or a raw-only object whose destroy date has come.
#[derive(Debug)]
pub struct Expired {
    subject: Subject,
    at_seq: u64,
}

/// A segment whose rows a merge wrote anew.
#[derive(Debug)]
pub struct Superseded {
    subject: Subject,
    at_seq: u64,
}

/// A Delta log file that a checkpoint made needless, or the index of a month that has no segments any more.
#[derive(Debug)]
pub struct ObsoleteLog {
    subject: Subject,
    at_seq: u64,
}

impl Expired {
    /// Proves that the subject's destroy date has come under its rule, with all that earlier rules still protect, and
    /// that it is what the ledger says it is: out of its table, and with the bytes that were written, or gone.
    pub fn prove(
        subject: &Subject,
        state: &State,
        term: &Term,
        measured: &Measured,
        now: Timestamp,
    ) -> Result<Self, Blocked> {
        let date = match subject {
            Subject::Segment { table, path, sha256, .. } => {
                let (known, retired, path) = retired(table, path, state)?;
                out_of_table(known, path, measured)?;
                unchanged(measured.segments.get(&(table.key(), path.to_owned())), sha256)?;
                unnamed(known, &retired.segment, measured)?;
                if retired.segment.sha256 != *sha256 {
                    return Err(Blocked::because("the ledger knows it with other bytes"));
                }
                let expires = term.expires(retired.segment.day);
                if expires.is_none_or(|expires| expires > day_of(now)) {
                    return Err(Blocked::because(format!("its rule keeps it until {}", shown(expires))));
                }
                let named = match &retired.why {
                    Why::Expired(ground) => Some(ground.destroy_at),
                    Why::Foreign => None,
                    Why::Superseded { .. } | Why::Erased { .. } => {
                        return Err(Blocked::because("it did not leave its table because it expired"));
                    }
                };
                let date = term.destroy_at(retired.segment.day);
                // The date that was named when it was retired stands, unless the rule has become longer.
                date.map(|date| named.map_or(date, |named| date.max(named)))
            }
            Subject::Quarantine { path, .. } => {
                let one = state.quarantine.iter().find(|one| one.file.data == *path || one.file.index == *path);
                let one = one.ok_or_else(|| Blocked::because("the ledger does not know it"))?;
                // Data and index go together or not at all: alone, neither can be told what it is.
                unchanged(measured.files.get(&one.file.data), &one.file.data_sha256)?;
                unchanged(measured.files.get(&one.file.index), &one.file.index_sha256)?;
                term.quarantine_ends(day_of(one.at))
            }
            Subject::Raw { source, path, .. } => {
                let object = known(&ObjectId { source: source.clone(), path: path.clone() }, state)?;
                let last_day = object.outcome.last_day.filter(|_| !term.rule.archive);
                let last_day = last_day.ok_or_else(|| Blocked::because("it is not one that stays raw"))?;
                all_stand(object, state, measured)?;
                term.destroy_at(last_day)
            }
            _ => return Err(Blocked::because("it has no date of its own")),
        };
        match date.filter(|date| *date <= day_of(now)) {
            Some(_) => Ok(Expired { subject: subject.clone(), at_seq: seq(state)? }),
            None => Err(Blocked::because(format!("its destroy date is {}", shown(date)))),
        }
    }

    pub(super) fn at_seq(&self) -> u64 {
        self.at_seq
    }

    pub(super) fn is_about(&self, subject: &Subject) -> bool {
        self.subject == *subject
    }
}

impl Superseded {
    /// Proves that the segment left its table for a batch that wrote its rows anew and stands.
    pub fn prove(subject: &Subject, state: &State, measured: &Measured) -> Result<Self, Blocked> {
        let Subject::Segment { table, path, sha256, .. } = subject else {
            return Err(Blocked::because("it is no segment"));
        };
        let (known, retired, path) = retired(table, path, state)?;
        out_of_table(known, path, measured)?;
        unchanged(measured.segments.get(&(table.key(), path.to_owned())), sha256)?;
        unnamed(known, &retired.segment, measured)?;
        let Why::Superseded { by } = &retired.why else {
            return Err(Blocked::because("no merge wrote its rows anew"));
        };
        stands(by, state, measured)?;
        Ok(Superseded { subject: subject.clone(), at_seq: seq(state)? })
    }

    pub(super) fn at_seq(&self) -> u64 {
        self.at_seq
    }

    pub(super) fn is_about(&self, subject: &Subject) -> bool {
        self.subject == *subject
    }
}

impl ObsoleteLog {
    /// Proves that a checkpoint, which is as it was written, says all that this log file says, and that the table shows
    /// just the segments that the ledger knows. The commit of the checkpoint's own version stays: readers want it.
    pub fn prove(subject: &Subject, state: &State, measured: &Measured) -> Result<Self, Blocked> {
        if let Subject::Index { table, path } = subject {
            return Self::prove_index(subject, table, path, state);
        }
        let Subject::DeltaLog { table, path } = subject else {
            return Err(Blocked::because("it is no log file"));
        };
        let known =
            state.tables.get(&table.key()).ok_or_else(|| Blocked::because("the ledger does not know the table"))?;
        let version = log_version(path).ok_or_else(|| Blocked::because("it is no commit and no checkpoint"))?;
        let newest = state.checkpoints.iter().filter(|one| one.table == *table).max_by_key(|one| one.version);
        let newest = newest.ok_or_else(|| Blocked::because("no checkpoint is known"))?;
        let checkpoint = format!("{:020}.checkpoint.parquet", newest.version);
        let written = measured.files.iter().any(|(path, sha256)| {
            path.ends_with(&checkpoint) && known.relative(path).is_some() && *sha256 == newest.sha256
        });
        if !written {
            return Err(Blocked::because("the checkpoint is not what was written"));
        }
        if version >= newest.version {
            return Err(Blocked::because(format!("the newest checkpoint is of version {}", newest.version)));
        }
        let live = measured.live.get(&table.key());
        if !live.is_some_and(|live| {
            live.len() == known.segments.len() && known.segments.keys().all(|path| live.contains(path))
        }) {
            return Err(Blocked::because("the table does not show just what the ledger knows"));
        }
        Ok(ObsoleteLog { subject: subject.clone(), at_seq: seq(state)? })
    }

    /// Proves that the object is the index of a month of its table in which no segment is live.
    fn prove_index(subject: &Subject, table: &TableName, path: &str, state: &State) -> Result<Self, Blocked> {
        let known =
            state.tables.get(&table.key()).ok_or_else(|| Blocked::because("the ledger does not know the table"))?;
        let month = known.relative(path).and_then(Month::of_index);
        let month = month.ok_or_else(|| Blocked::because("it is no index of its table"))?;
        if known.segments.values().any(|(segment, _)| Month::of(segment.day) == month) {
            return Err(Blocked::because("its month has segments"));
        }
        Ok(ObsoleteLog { subject: subject.clone(), at_seq: seq(state)? })
    }

    pub(super) fn at_seq(&self) -> u64 {
        self.at_seq
    }

    pub(super) fn is_about(&self, subject: &Subject) -> bool {
        self.subject == *subject
    }
}

fn retired<'a>(
    table: &TableName,
    path: &'a str,
    state: &'a State,
) -> Result<(&'a KnownTable, &'a Retired, &'a str), Blocked> {
    let known = state.tables.get(&table.key()).ok_or_else(|| Blocked::because("the ledger does not know its table"))?;
    let path = known.relative(path).ok_or_else(|| Blocked::because("it does not lie in its table"))?;
    if known.segments.contains_key(path) {
        return Err(Blocked::because("it is in its table"));
    }
    let retired = known.retired.get(path).ok_or_else(|| Blocked::because("the ledger does not know it as retired"))?;
    Ok((known, retired, path))
}

fn out_of_table(table: &KnownTable, path: &str, measured: &Measured) -> Result<(), Blocked> {
    match measured.live.get(&table.name.key()) {
        Some(live) if !live.contains(path) => Ok(()),
        Some(_) => Err(Blocked::because("its table still shows it")),
        None => Err(Blocked::because("its table could not be read")),
    }
}

/// No index may name what is destroyed: it keeps what the segment's values were (I4).
fn unnamed(table: &KnownTable, segment: &Segment, measured: &Measured) -> Result<(), Blocked> {
    match measured.indexed.get(&(table.name.key(), Month::of(segment.day))) {
        Some(named) if !named.contains(&segment.path) => Ok(()),
        Some(_) => Err(Blocked::because("the index of its month still names it")),
        None => Err(Blocked::because("the index of its month could not be read")),
    }
}

/// What is not there was not measured: then there is nothing to protect.
fn unchanged(found: Option<&String>, written: &String) -> Result<(), Blocked> {
    match found {
        Some(found) if found != written => Err(Blocked::because("its bytes are not those that were written")),
        _ => Ok(()),
    }
}

fn shown(date: Option<jiff::civil::Date>) -> String {
    date.map_or_else(|| "never".to_owned(), |date| date.to_string())
}
