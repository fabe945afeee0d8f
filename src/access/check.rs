//! Is the access log still what was written? Reads every chain, changes nothing.

use std::collections::BTreeSet;

use object_store::path::Path;
use serde::Serialize;

use super::chain::{Folder, Hint, writers};
use super::entry::{Body, Entry, parse_entry};
use crate::error::{Kind, Result};
use crate::ledger::{Head, ZEROS, sha256_hex};
use crate::storage::Store;

const MEANING: &str = "who looked at what cannot be proven there any more; the logs themselves are not touched by it. Put the \
    file back from a copy, and find out who changed it";
const SEALED_MEANING: &str = "the name or text cannot be trusted; what the chain itself says is not touched by it. Put the file back from a copy";
const HINT_MEANING: &str = "it only repeats the newest entry: the next search or restore of this writer writes it anew";

/// What the check of all chains came to.
#[derive(Debug, Default)]
pub struct Checked {
    pub chains: Vec<CheckedChain>,
    /// What is not what was written.
    pub damage: Vec<Flaw>,
    /// What is no damage, but worth knowing.
    pub notes: Vec<Flaw>,
}

/// One writer's chain: what it holds that is right, and its head, for whoever keeps a copy of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckedChain {
    pub writer: String,
    pub entries: u64,
    /// Questions whose answer nobody recorded.
    pub unanswered: u64,
    /// Sealed texts that are not there: destroyed under a retention of their own.
    pub destroyed: u64,
    pub head: Option<Head>,
}

/// One thing that is not as it should be: what, why, and what that means.
#[derive(Debug, PartialEq, Eq)]
pub struct Flaw {
    pub what: String,
    pub why: String,
    pub meaning: &'static str,
}

impl Checked {
    pub fn entries(&self) -> u64 {
        self.chains.iter().map(|chain| chain.entries).sum()
    }

    fn damaged(&mut self, what: String, why: impl Into<String>, meaning: &'static str) {
        self.damage.push(Flaw { what, why: why.into(), meaning });
    }

    fn note(&mut self, what: String, why: impl Into<String>, meaning: &'static str) {
        self.notes.push(Flaw { what, why: why.into(), meaning });
    }
}

/// Checks every chain of the archive.
pub fn check(archive: &Store) -> Result<Checked> {
    let mut checked = Checked::default();
    for writer in writers(archive)? {
        check_chain(archive, &writer, &mut checked)?;
    }
    Ok(checked)
}

fn check_chain(archive: &Store, writer: &str, checked: &mut Checked) -> Result<()> {
    let folder = Folder::new(archive.clone(), writer);
    // Read before the entries: somebody may be writing.
    let hint = folder.hint()?;
    let sealed = names(archive, &folder.at("sealed"))?;
    let mut numbers = BTreeSet::new();
    for name in names(archive, folder.path())? {
        match name.strip_suffix(".json").filter(|number| number.len() == 12).and_then(|number| number.parse().ok()) {
            Some(seq) => drop(numbers.insert(seq)),
            None if name == "head.json" => {}
            None => checked.note(
                folder.at(&name).to_string(),
                "it belongs to nothing",
                "a stranger's file: nobody reads or removes it",
            ),
        }
    }
    let mut chain = CheckedChain { writer: writer.to_owned(), ..CheckedChain::default() };
    let (mut prev, mut open, mut named) = (Some(ZEROS.to_owned()), BTreeSet::new(), BTreeSet::new());
    for seq in 0..numbers.last().map_or(0, |last: &u64| last + 1) {
        let what = || format!("access entry {writer} {seq}");
        let Some(bytes) = folder.entry(seq)? else {
            checked.damaged(what(), "it is missing", MEANING);
            prev = None;
            continue;
        };
        let sha256 = sha256_hex(&bytes);
        match parse_entry(seq, prev.as_deref(), &bytes) {
            Ok(entry) => {
                chain.entries += 1;
                check_entry(&folder, &entry, &mut open, &mut chain, checked)?;
                named.extend(entry.sealed().into_iter().map(|sealed| sealed.sha256.clone()));
            }
            Err(why) => checked.damaged(what(), why, MEANING),
        }
        chain.head = Some(Head { seq, sha256: sha256.clone() });
        prev = Some(sha256);
    }
    chain.unanswered = open.len() as u64;
    check_hint(&folder, writer, &hint, chain.head.as_ref(), checked)?;
    let stray = sealed.iter().filter(|name| !named.contains(*name)).count();
    if stray > 0 {
        checked.note(
            format!("{stray} of the sealed texts of {writer}"),
            "no entry names them",
            "a search or restore was killed before it was recorded, or its entry is gone",
        );
    }
    checked.chains.push(chain);
    Ok(())
}

/// What an entry says of those before it, and its sealed texts.
fn check_entry(
    folder: &Folder,
    entry: &Entry,
    open: &mut BTreeSet<u64>,
    chain: &mut CheckedChain,
    checked: &mut Checked,
) -> Result<()> {
    let (writer, seq) = (&chain.writer, entry.seq);
    match &entry.body {
        Body::Asked { .. } => drop(open.insert(seq)),
        Body::Answered(answer) if !open.remove(&answer.asked) => checked.damaged(
            format!("access entry {writer} {}", answer.asked),
            format!("entry {seq} answers it, but it is no open question"),
            MEANING,
        ),
        Body::Answered(_) => {}
    }
    if let Some(lost) = &entry.lost {
        checked.damaged(
            format!("access entry {writer} {}", lost.seq),
            format!(
                "when entry {seq} was written, head.json had seen other bytes there (SHA-256 {}), or any",
                lost.sha256
            ),
            MEANING,
        );
    }
    for text in entry.sealed() {
        match folder.unseal(text) {
            Ok(Some(_)) => {}
            Ok(None) => chain.destroyed += 1,
            Err(error) if error.kind() == Kind::Damaged => checked.damaged(
                format!("sealed text {}, which access entry {writer} {seq} names", text.sha256),
                error.reason(),
                SEALED_MEANING,
            ),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn check_hint(folder: &Folder, writer: &str, hint: &Hint, head: Option<&Head>, checked: &mut Checked) -> Result<()> {
    let what = format!("head.json of the access log of {writer}");
    match hint {
        Hint::Missing if head.is_some() => {
            checked.note(what, "it is missing: nothing witnesses the newest entries", HINT_MEANING)
        }
        Hint::Missing => {}
        Hint::Unreadable(why) => checked.damaged(what, format!("it cannot be read: {why}"), HINT_MEANING),
        Hint::Says(said) => match folder.entry(said.seq)? {
            None => {
                let last = head.map_or_else(|| "is empty".to_owned(), |head| format!("ends at entry {}", head.seq));
                checked.damaged(
                    format!("access entry {writer} {}", said.seq),
                    format!("head.json has seen it, but the chain {last}: its newest entries are gone"),
                    MEANING,
                );
            }
            Some(bytes) if sha256_hex(&bytes) != said.sha256 => checked.damaged(
                format!("access entry {writer} {}", said.seq),
                "head.json has seen other bytes there (SHA-256)",
                MEANING,
            ),
            Some(_) => {}
        },
    }
    Ok(())
}

/// The names of the files in a folder.
fn names(archive: &Store, folder: &Path) -> Result<Vec<String>> {
    let listed = archive.list_folder(Some(folder))?;
    Ok(listed.iter().filter_map(|meta| meta.location.filename().map(str::to_owned)).collect())
}
