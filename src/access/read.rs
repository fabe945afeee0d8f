//! Reading the access log for people: questions with their answers, unsealed where the text is still there.
//!
//! The newest are read first, so that the last few of a long chain cost little. Links are `check`'s business.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::chain::{Folder, writers};
use super::check::Flaw;
use super::entry::{Answer, Body, Entry, What, Who, parse_entry};
use crate::error::{Error, Kind, Result};
use crate::ledger::{SealedRef, sha256_hex};
use crate::names::TableName;
use crate::storage::Store;

/// A sealed text as it is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Text {
    Is(String),
    /// It is not there any more.
    Destroyed,
    /// It is there, and not what was written: why.
    Damaged(String),
}

/// One question, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Access {
    pub writer: String,
    pub seq: u64,
    /// SHA-256 of the `asked` entry.
    pub sha256: String,
    pub at: Timestamp,
    /// A name that nobody proved.
    pub asserted: Text,
    pub what: What,
    pub tables: Vec<TableName>,
    pub text: Text,
    /// None: what came of it is not known.
    pub answered: Option<Answered>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answered {
    pub seq: u64,
    pub at: Timestamp,
    pub rows: u64,
    pub bytes: u64,
    /// `whole`, `cut_short` or `failed`.
    pub outcome: &'static str,
    pub why: Option<Text>,
    pub unseen: Vec<String>,
}

/// What was found, oldest first, and entries that could not be read.
#[derive(Debug, Default)]
pub struct Listing {
    pub accesses: Vec<Access>,
    pub flaws: Vec<Flaw>,
}

const MEANING: &str = "`holdfast verify` checks the whole chain";

/// The questions of one writer or of all, the newest `last` of them or all.
pub fn list(archive: &Store, writer: Option<&str>, last: Option<usize>) -> Result<Listing> {
    let known = writers(archive)?;
    let chosen = match writer {
        Some(writer) => vec![known_writer(writer, &known, "listing the access log")?],
        None => known,
    };
    let mut listing = Listing::default();
    for writer in chosen {
        list_one(archive, &writer, last.unwrap_or(usize::MAX), &mut listing)?;
    }
    listing.accesses.sort_by(|a, b| (a.at, &a.writer, a.seq).cmp(&(b.at, &b.writer, b.seq)));
    let skip = last.map_or(0, |last| listing.accesses.len().saturating_sub(last));
    listing.accesses.drain(..skip);
    Ok(listing)
}

/// One question with its answer: `seq` may be the number of either.
pub fn show(archive: &Store, writer: &str, seq: u64) -> Result<Access> {
    let attempted = || format!("showing access entry {writer} {seq}");
    let writer = known_writer(writer, &writers(archive)?, &attempted())?;
    let folder = Folder::new(archive.clone(), &writer);
    let read = |seq: u64| -> Result<(Entry, String)> {
        let bytes = folder.entry(seq)?.ok_or_else(|| {
            Error::new(Kind::Usage, attempted(), format!("there is no entry {seq}"))
                .with_hint("`holdfast access list` shows what there is")
        })?;
        let entry = parse_entry(seq, None, &bytes)
            .map_err(|why| Error::new(Kind::Damaged, attempted(), why).with_hint(MEANING))?;
        Ok((entry, sha256_hex(&bytes)))
    };
    let (entry, sha256) = read(seq)?;
    match &entry.body {
        Body::Asked { .. } => {
            let mut answer = None;
            let mut next = seq + 1;
            while let (None, Some(bytes)) = (&answer, folder.entry(next)?) {
                answer = parse_entry(next, None, &bytes).ok().filter(|entry| answers(entry, seq));
                next += 1;
            }
            access(&folder, &writer, &entry, sha256, answer.as_ref())
        }
        Body::Answered(answer) => {
            let (asked, sha256) = read(answer.asked)?;
            access(&folder, &writer, &asked, sha256, Some(&entry))
        }
    }
}

fn answers(entry: &Entry, asked: u64) -> bool {
    matches!(&entry.body, Body::Answered(answer) if answer.asked == asked)
}

fn known_writer(writer: &str, known: &[String], attempted: &str) -> Result<String> {
    known.iter().find(|known| *known == writer).cloned().ok_or_else(|| {
        let hint = match known {
            [] => "nobody has searched or restored yet".to_owned(),
            known => format!("writers are: {}", known.join(", ")),
        };
        Error::new(Kind::Usage, attempted, format!("there is no writer `{writer}`")).with_hint(hint)
    })
}

/// Reads backwards: an answer comes before its question.
fn list_one(archive: &Store, writer: &str, last: usize, listing: &mut Listing) -> Result<()> {
    let folder = Folder::new(archive.clone(), writer);
    let end = folder.end()?;
    let mut answers: BTreeMap<u64, Entry> = BTreeMap::new();
    let mut found = 0;
    for seq in (0..end.next).rev() {
        if found == last {
            break;
        }
        let mut flaw = |why: String| {
            listing.flaws.push(Flaw { what: format!("access entry {writer} {seq}"), why, meaning: MEANING });
        };
        let Some(bytes) = folder.entry(seq)? else {
            flaw("it is missing".into());
            continue;
        };
        match parse_entry(seq, None, &bytes) {
            Err(why) => flaw(why),
            Ok(entry) => match &entry.body {
                Body::Answered(answer) => drop(answers.insert(answer.asked, entry)),
                Body::Asked { .. } => {
                    let answer = answers.remove(&seq);
                    listing.accesses.push(access(&folder, writer, &entry, sha256_hex(&bytes), answer.as_ref())?);
                    found += 1;
                }
            },
        }
    }
    Ok(())
}

fn access(folder: &Folder, writer: &str, asked: &Entry, sha256: String, answer: Option<&Entry>) -> Result<Access> {
    let Body::Asked { who, what, tables, text } = &asked.body else {
        return Err(Error::new(
            Kind::Damaged,
            format!("reading access entry {writer} {}", asked.seq),
            "an answer names it, but it is no question",
        )
        .with_hint(MEANING));
    };
    let answered = match answer.map(|entry| (entry, &entry.body)) {
        Some((entry, Body::Answered(answer))) => Some(answered(folder, entry, answer)?),
        _ => None,
    };
    let Who::Asserted(name) = who;
    Ok(Access {
        writer: writer.to_owned(),
        seq: asked.seq,
        sha256,
        at: asked.at,
        asserted: unsealed(folder, name)?,
        what: *what,
        tables: tables.clone(),
        text: unsealed(folder, text)?,
        answered,
    })
}

fn answered(folder: &Folder, entry: &Entry, answer: &Answer) -> Result<Answered> {
    Ok(Answered {
        seq: entry.seq,
        at: entry.at,
        rows: answer.rows,
        bytes: answer.bytes,
        outcome: answer.outcome.name(),
        why: answer.outcome.reason().map(|reason| unsealed(folder, reason)).transpose()?,
        unseen: answer.unseen.clone(),
    })
}

fn unsealed(folder: &Folder, sealed: &SealedRef) -> Result<Text> {
    match folder.unseal(sealed) {
        Ok(Some(text)) => Ok(Text::Is(text)),
        Ok(None) => Ok(Text::Destroyed),
        Err(error) if error.kind() == Kind::Damaged => Ok(Text::Damaged(error.reason().to_owned())),
        Err(error) => Err(error),
    }
}
