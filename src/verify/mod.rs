//! Is what was written still what is there? Reads everything, changes nothing.
//!
//! The ledger's chain and its attachments, the witnesses outside it, the access log's chains, each Delta commit and checkpoint, each segment byte
//! for byte and row for row, the index of each month, the quarantine, and raw objects that are archived but not cleared. It claims no more than
//! the newest surviving witness supports (DESIGN §7).

mod finding;
mod index;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use object_store::path::Path;

use crate::access;
use crate::archive::index::notes_location;
use crate::archive::table_path;
use crate::error::{Error, Kind, Result};
use crate::ledger::{
    Body, Chain, Entry, Flaw, Head, Month, Stage, State, Subject, ZEROS, attachment_path, check_saved, entry_path,
    list_entries, parse_entry, read_attachment, read_head, sha256_hex, unseal,
};
use crate::pipeline::check_witnesses;
use crate::source::hash_prefix;
use crate::storage::Store;

pub use finding::{Finding, Verification};
use index::check_index;
use table::check_table;

const LEDGER_MEANING: &str = "what happened there cannot be proven any more; until it is put back from a copy, nothing is archived, \
    cleared or destroyed";
const SEALED_MEANING: &str =
    "what a person wrote there cannot be read any more; an approval whose name is damaged counts for nobody";
const HEAD_MEANING: &str = "the newest entries are witnessed by Delta commits only, and no run starts until it is put back from a \
    copy or, if nothing else is damaged, removed";
const STATE_MEANING: &str =
    "nothing is lost, and nobody goes by it: every entry is read instead, and a later run writes it anew";
const SEGMENT_MEANING: &str = "the rows of this segment cannot be trusted; raw objects it was made from are not cleared. Put the \
    file back from a copy, or archive the raw objects again if they are still there";
const RETIRED_MEANING: &str = "it cannot be reinstated; what is damaged is not destroyed until somebody looked at it";
const TABLE_MEANING: &str =
    "nothing is added to, cleared from or destroyed in this table; put the file back from a copy";

/// Verifies the ledger alone: chain, attachments, `head.json`.
pub fn verify_ledger(ledger: &Store) -> Result<Verification> {
    let mut found = Verification::default();
    check_chain(ledger, &mut found)?;
    check_state(ledger, &mut found)?;
    Ok(found)
}

/// Verifies everything. `sources` are the stores that could be opened, by name.
pub fn verify(
    archive: &Store,
    ledger: &Store,
    sources: &BTreeMap<String, Store>,
    threads: usize,
) -> Result<Verification> {
    let mut found = verify_ledger(ledger)?;
    check_access(archive, &mut found)?;
    let chain = match Chain::open_whole(ledger.clone(), "verify", Box::new(String::new)) {
        Ok(chain) => chain,
        Err(error) if error.kind() == Kind::Damaged => {
            if found.damage.is_empty() {
                found.damaged(error.attempted(), error.reason(), LEDGER_MEANING);
            }
            found.notes.push(Finding {
                what: "the tables".into(),
                why: "they were not checked: without the ledger nothing says what should be there".into(),
                meaning: "repair the ledger, then verify again".into(),
            });
            return Ok(found);
        }
        Err(error) => return Err(error),
    };
    let state = chain.state();
    // A commit that the ledger does not know may have seen more of it than is there.
    match check_witnesses(archive, &chain) {
        Err(error) if error.kind() == Kind::Damaged => {
            found.damaged(error.attempted().trim_start_matches("reading "), error.reason(), LEDGER_MEANING);
        }
        checked => checked?,
    }
    for known in state.tables.values() {
        check_table(archive, ledger, state, known, threads, &mut found)?;
        check_index(archive, known, &mut found)?;
    }
    check_quarantine(archive, state, &mut found)?;
    check_raw(state, sources, &mut found)?;
    note_open_work(archive, ledger, state, &mut found)?;
    Ok(found)
}

fn check_chain(ledger: &Store, found: &mut Verification) -> Result<()> {
    let mut numbers = list_entries(ledger)?;
    numbers.sort_unstable();
    let last = numbers.last().copied();
    let present: BTreeSet<u64> = numbers.into_iter().collect();
    let mut prev = Some(ZEROS.to_owned());
    let mut head = None;
    let (mut attachments, mut sealed) = (BTreeSet::new(), Vec::new());
    for seq in 0..last.map_or(0, |last| last + 1) {
        if !present.contains(&seq) {
            found.damaged(format!("ledger entry {seq}"), "it is missing", LEDGER_MEANING);
            prev = None;
            continue;
        }
        let Some(bytes) = ledger.get(&entry_path(seq))? else { continue };
        let linked = prev.clone().or_else(|| claimed_prev(&bytes)).unwrap_or_else(|| ZEROS.to_owned());
        match parse_entry(seq, &linked, &bytes) {
            Ok(entry) => {
                found.entries += 1;
                for reference in entry.body.attachments() {
                    attachments.insert((reference.sha256.clone(), seq));
                }
                sealed.extend(entry.body.sealed().into_iter().map(|text| (text.clone(), seq)));
            }
            Err(error) => found.damaged(format!("ledger entry {seq}"), error.reason(), LEDGER_MEANING),
        }
        prev = Some(sha256_hex(&bytes));
        head = prev.clone().map(|sha256| Head { seq, sha256 });
    }
    for (sha256, seq) in attachments {
        let what = format!("ledger attachment {sha256}, which entry {seq} names");
        match ledger.get(&attachment_path(&sha256))? {
            None => found.damaged(what, "it is missing", LEDGER_MEANING),
            Some(bytes) if sha256_hex(&bytes) != sha256 => {
                found.damaged(what, "its bytes do not match its name (SHA-256)", LEDGER_MEANING);
            }
            Some(_) => found.attachments += 1,
        }
    }
    for (text, seq) in sealed {
        // One that is not there was destroyed under a retention of its own.
        if let Err(error) = unseal(ledger, &text) {
            let what = format!("sealed text {}, which entry {seq} names", text.sha256);
            found.damaged(what, error.reason(), SEALED_MEANING);
        }
    }
    check_head(ledger, head.as_ref(), found)
}

/// The saved state must say what the entries say that it sums up.
fn check_state(ledger: &Store, found: &mut Verification) -> Result<()> {
    let what = "state.json, the ledger's saved state";
    match check_saved(ledger) {
        Ok(None) => {}
        Ok(Some(Flaw::Damaged(reason))) => found.damaged(what, reason, STATE_MEANING),
        Ok(Some(Flaw::Foreign(reason))) => {
            found.notes.push(Finding { what: what.into(), why: reason, meaning: STATE_MEANING.into() });
        }
        // There is nothing to compare it with.
        Err(error) if error.kind() == Kind::Damaged => {
            if found.damage.is_empty() {
                found.damaged(error.attempted(), error.reason(), LEDGER_MEANING);
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The access log stands for itself: the ledger knows nothing of it.
fn check_access(archive: &Store, found: &mut Verification) -> Result<()> {
    let checked = access::check(archive)?;
    let finding = |flaw: access::Flaw| Finding { what: flaw.what, why: flaw.why, meaning: flaw.meaning.to_owned() };
    found.damage.extend(checked.damage.into_iter().map(finding));
    found.notes.extend(checked.notes.into_iter().map(finding));
    found.access = checked.chains;
    Ok(())
}

fn claimed_prev(bytes: &[u8]) -> Option<String> {
    let entry: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    Some(entry["prev"].as_str()?.to_owned())
}

fn check_head(ledger: &Store, head: Option<&Head>, found: &mut Verification) -> Result<()> {
    let what = "head.json, the ledger's witness";
    match read_head(ledger) {
        Err(error) if error.kind() == Kind::Damaged => {
            found.damaged(what, error.reason(), HEAD_MEANING);
        }
        Err(error) => return Err(error),
        Ok(None) if head.is_some() => {
            found.damaged(
                what,
                "it is missing",
                "the newest entries are witnessed by Delta commits only; the next run writes it anew",
            );
        }
        Ok(None) => {}
        Ok(Some(witness)) => compare_witness(&witness, head, ledger, "head.json", found)?,
    }
    Ok(())
}

fn compare_witness(
    witness: &Head,
    head: Option<&Head>,
    ledger: &Store,
    whose: &str,
    found: &mut Verification,
) -> Result<()> {
    let last = head.map_or_else(|| "is empty".to_owned(), |head| format!("ends at entry {}", head.seq));
    match ledger.get(&entry_path(witness.seq))? {
        None => found.damaged(
            format!("ledger entry {}", witness.seq),
            format!("{whose} has seen it, but the ledger {last}: its newest entries are gone"),
            LEDGER_MEANING,
        ),
        Some(bytes) if sha256_hex(&bytes) != witness.sha256 => found.damaged(
            format!("ledger entry {}", witness.seq),
            format!("{whose} has seen other bytes there (SHA-256)"),
            LEDGER_MEANING,
        ),
        Some(_) => found.witness(witness, whose),
    }
    Ok(())
}

fn check_quarantine(archive: &Store, state: &State, found: &mut Verification) -> Result<()> {
    for quarantined in &state.quarantine {
        let file = &quarantined.file;
        let mut whole = true;
        for (path, expected) in [(&file.data, &file.data_sha256), (&file.index, &file.index_sha256)] {
            let why = match archive.sha256(&Path::from(path.as_str()))? {
                Some(sha256) if sha256 == *expected => continue,
                Some(_) => "its bytes are not those that were written (SHA-256)",
                None => "it is missing",
            };
            whole = false;
            found.damaged(
                format!("quarantine file {path}"),
                why,
                "quarantined records are lost or changed; their raw objects are not cleared",
            );
        }
        if whole {
            found.quarantined += file.records;
        }
    }
    Ok(())
}

fn check_raw(state: &State, sources: &BTreeMap<String, Store>, found: &mut Verification) -> Result<()> {
    let mut objects: Vec<_> = state.objects.iter().filter(|(_, known)| !known.cleared).collect();
    objects.sort_by_key(|(id, _)| (*id).clone());
    for (id, known) in objects {
        let Some(store) = sources.get(&id.source) else { continue };
        let what = format!("raw object {id}");
        let path = Path::parse(&id.path)
            .map_err(|source| Error::from_source(Kind::Internal, format!("reading the path {}", id.path), source))?;
        let size = known.outcome.size;
        let hash = match store.head(&path)? {
            None => {
                found.damaged(
                    what,
                    "it is gone, but the ledger did not clear it",
                    "somebody else deleted or moved it; its records are in the archive",
                );
                continue;
            }
            Some(meta) if meta.size < size => None,
            Some(meta) => hash_prefix(store, &path, size, meta.e_tag.as_deref()).ok(),
        };
        if hash.map(hex::encode).as_deref() == Some(known.outcome.sha256.as_str()) {
            found.raw_objects += 1;
        } else {
            found.damaged(
                what,
                "its bytes are not those that were archived (SHA-256)",
                "somebody changed it after it was read; it is not cleared, and the next run reads it as a new object",
            );
        }
    }
    Ok(())
}

/// The segments that were destroyed, by path in the archive, with the entry that meant to.
fn destroyed_segments(ledger: &Store) -> Result<HashMap<String, u64>> {
    let mut destroyed = HashMap::new();
    for seq in list_entries(ledger)? {
        let Some(bytes) = ledger.get(&entry_path(seq))? else { continue };
        let Ok(entry) = serde_json::from_slice::<Entry>(&bytes) else { continue };
        let Body::DestroyIntended { subjects, .. } = &entry.body else { continue };
        for subject in read_attachment::<Subject>(ledger, subjects)? {
            if let Subject::Segment { path, .. } = subject {
                destroyed.insert(path, seq);
            }
        }
    }
    Ok(destroyed)
}

fn note_open_work(archive: &Store, ledger: &Store, state: &State, found: &mut Verification) -> Result<()> {
    let open: Vec<&String> = state
        .batches
        .iter()
        .filter(|(_, batch)| matches!(batch.stage, Stage::Intended | Stage::Prepared(_)))
        .map(|(id, _)| id)
        .collect();
    for batch in &open {
        found.notes.push(Finding {
            what: format!("batch {batch}"),
            why: "it was begun and not finished".into(),
            meaning: "a run is under way, or was killed; the next run settles it".into(),
        });
    }
    let mut destroyed: Option<HashMap<String, u64>> = None;
    for known in state.tables.values() {
        let folder = table_path(&known.name);
        for meta in archive.list(Some(&folder))? {
            let relative =
                meta.location.as_ref().strip_prefix(folder.as_ref()).unwrap_or_default().trim_start_matches('/');
            let of_open_batch = open.iter().any(|batch| relative.contains(batch.as_str()));
            let is_ours = known.segments.contains_key(relative) || known.retired.contains_key(relative);
            let is_log = relative.starts_with("_delta_log/");
            let is_index = Month::of_index(relative).is_some() || meta.location == notes_location(&known.name);
            if is_log || is_index || is_ours || of_open_batch {
                continue;
            }
            if destroyed.is_none() {
                destroyed = Some(destroyed_segments(ledger)?);
            }
            if let Some(seq) = destroyed.as_ref().and_then(|destroyed| destroyed.get(meta.location.as_ref())) {
                found.damaged(
                    meta.location.to_string(),
                    format!("ledger entry {seq} destroyed it, but it is there"),
                    "its records had to go: somebody put it back; find out who, and remove it",
                );
            } else {
                found.notes.push(Finding {
                    what: format!("{}", meta.location),
                    why: "it belongs to nothing".into(),
                    meaning:
                        "an upload that was never committed, or a stranger's file; an armed run removes what is ours"
                            .into(),
                });
            }
        }
    }
    Ok(())
}
