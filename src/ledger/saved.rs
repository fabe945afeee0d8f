//! The saved state, `state.json`: what all entries up to one number say together, so that whoever opens the ledger reads
//! that and the entries behind it, and not each entry since the first.
//!
//! It is a copy, and believed only as far as the chain vouches for it. The entry right behind the ones it sums up,
//! `state_saved`, holds the SHA-256 of its bytes, and that entry is linked to the last of them: whoever forges the copy has
//! to forge the chain. What is missing, older than the entry says, of another version, damaged or not vouched for is left
//! aside, and every entry is read (I7).
//!
//! Even so nothing is destroyed on it: before a run destroys or retires anything it reads every entry again
//! ([`Chain::fold_whole`]), and a difference stops it. So does `verify`, always (`check_saved`). Readers and idle runs are
//! what it is for.
//!
//! It is written again in place: first the entry, then the copy. In between, the older copy and its own entry still stand.

use std::hash::Hash;

use bytes::Bytes;
use jiff::Timestamp;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::chain::{Append, Chain, ZEROS, check_numbering, entry_path, parse_entry, sha256_hex};
use super::entry::Body;
use super::fetch::folded;
use super::state::State;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;

/// What the copy's bytes mean. Raised whenever the state's fields do, or the fold comes to another state.
const VERSION: u32 = 1;

/// A run that ends so many entries after the newest saved state, or more, saves it anew.
pub const SAVE_AFTER: u64 = 256;

const NAME: &str = "state.json";

/// The first line of the file. The second is the state.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    archive: String,
    /// The last entry that is summed up, and the SHA-256 of its bytes.
    seq: u64,
    sha256: String,
}

/// The copy as it lies there, before anything is believed.
struct Claim {
    header: Header,
    bytes: Bytes,
    /// SHA-256 of all its bytes.
    sha256: String,
}

/// What is wrong with the copy.
#[derive(Debug)]
pub enum Flaw {
    /// It is not what was written, or the ledger does not vouch for it.
    Damaged(String),
    /// Another Holdfast wrote it, for itself.
    Foreign(String),
}

impl Chain {
    /// Saves the state if enough was appended since it was last saved, or what was saved is of no use. Whoever writes in
    /// between puts it off.
    pub fn save_state(&mut self, now: Timestamp) -> Result<()> {
        let Some(head) = self.state().head() else { return Ok(()) };
        if head.seq - self.saved().unwrap_or(0) < SAVE_AFTER {
            return Ok(());
        }
        let bytes = saved_bytes(self.state())?;
        let body = Body::StateSaved { version: VERSION, sha256: sha256_hex(&bytes) };
        if self.append(now, body)? == Append::Done {
            self.write_beside(NAME, bytes)?;
        }
        Ok(())
    }

    /// Reads every entry again, if the state rests on a saved one: what is destroyed is destroyed on nothing less (I3).
    /// True: it was read again, and says the same.
    pub fn fold_whole(&mut self) -> Result<bool> {
        let Some(last) = self.state().head().map(|head| head.seq).filter(|_| self.is_from_saved()) else {
            return Ok(false);
        };
        check_numbering(self.store())?;
        let whole = folded(self.store(), last)?;
        if whole != *self.state() {
            return Err(Error::new(Kind::Damaged, "reading the ledger's saved state", DIFFERS).with_hint(
                "nothing is destroyed: remove state.json below the ledger, run `holdfast verify`, and report this",
            ));
        }
        self.take_whole(whole);
        Ok(true)
    }
}

const DIFFERS: &str = "it says something else than the entries it sums up";

/// The saved state, if the chain vouches for it.
pub fn read_saved(store: &Store) -> Result<Option<State>> {
    match read(store).and_then(|claim| claim.map(|claim| believe(store, &claim)).transpose())? {
        None => Ok(None),
        Some(Ok(state)) => Ok(Some(state)),
        Some(Err(Flaw::Damaged(reason) | Flaw::Foreign(reason))) => {
            tracing::warn!(reason, "the ledger's saved state is left aside, and every entry is read");
            Ok(None)
        }
    }
}

/// Folds every entry that the saved state sums up, and compares. Gives what is wrong with it.
pub fn check_saved(store: &Store) -> Result<Option<Flaw>> {
    let Some(claim) = read(store)? else { return Ok(None) };
    if let Err(flaw) = believe(store, &claim)? {
        return Ok(Some(flaw));
    }
    let whole = folded(store, claim.header.seq)?;
    Ok((saved_bytes(&whole)? != claim.bytes).then(|| Flaw::Damaged(DIFFERS.to_owned())))
}

/// A file without a header claims nothing that could be true: its number is that of no entry.
fn read(store: &Store) -> Result<Option<Claim>> {
    let Some(bytes) = store.get(&Path::from(NAME))? else { return Ok(None) };
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let header = serde_json::from_slice(line).unwrap_or_else(|_| Header {
        version: VERSION,
        archive: String::new(),
        seq: u64::MAX,
        sha256: String::new(),
    });
    Ok(Some(Claim { header, sha256: sha256_hex(&bytes), bytes }))
}

/// The state that the copy holds, if both entries stand that vouch for it: the last that it sums up, and the one behind
/// that, which names exactly these bytes.
fn believe(store: &Store, claim: &Claim) -> Result<Result<State, Flaw>> {
    let Header { version, archive, seq, sha256 } = &claim.header;
    let damaged = |reason: &str| Ok(Err(Flaw::Damaged(reason.to_owned())));
    let Some(next) = seq.checked_add(1) else { return damaged("its first line cannot be read") };
    if store.get(&entry_path(*seq))?.map(|bytes| sha256_hex(&bytes)).as_ref() != Some(sha256) {
        return damaged("it has seen another entry where it ends (SHA-256)");
    }
    let named = store.get(&entry_path(next))?.and_then(|bytes| parse_entry(next, sha256, &bytes).ok());
    match named.map(|entry| entry.body) {
        Some(Body::StateSaved { version: named, sha256 }) if named == *version && sha256 == claim.sha256 => {}
        _ => return damaged("its bytes are not those that the entry behind it names (SHA-256)"),
    }
    if *version != VERSION {
        let reason = format!("it is of version {version}, this Holdfast reads version {VERSION}");
        return Ok(Err(Flaw::Foreign(reason)));
    }
    let body = claim.bytes.iter().position(|&byte| byte == b'\n').map_or(&[][..], |at| &claim.bytes[at + 1..]);
    match serde_json::from_slice::<State>(body) {
        Ok(state) if state.archive.as_ref() != Some(archive) => damaged("it is of another archive"),
        Ok(state) if state.head().is_some_and(|head| head.seq == *seq && head.sha256 == *sha256) => Ok(Ok(state)),
        Ok(_) => damaged("it contradicts itself"),
        Err(error) => damaged(&format!("it cannot be read: {error}")),
    }
}

/// The file's bytes: the same for the same state.
fn saved_bytes(state: &State) -> Result<Vec<u8>> {
    let head = state.head();
    let header = Header {
        version: VERSION,
        archive: state.archive.clone().unwrap_or_default(),
        seq: head.map_or(0, |head| head.seq),
        sha256: head.map_or(ZEROS, |head| &head.sha256).to_owned(),
    };
    let mut bytes = Vec::new();
    let written = serde_json::to_writer(&mut bytes, &header)
        .and_then(|()| {
            bytes.push(b'\n');
            serde_json::to_writer(&mut bytes, state)
        })
        .map(|()| bytes.push(b'\n'));
    written.map_err(|source| Error::from_source(Kind::Internal, "writing the saved state", source))?;
    Ok(bytes)
}

/// Maps whose keys are no text, as lists of pairs, in the order of their keys: the same map has the same bytes.
pub mod pairs {
    use super::*;

    pub fn serialize<'a, M, K, V, S>(map: &'a M, serializer: S) -> Result<S::Ok, S::Error>
    where
        &'a M: IntoIterator<Item = (&'a K, &'a V)>,
        K: Serialize + Ord + 'a,
        V: Serialize + 'a,
        S: serde::Serializer,
    {
        let mut pairs: Vec<(&K, &V)> = map.into_iter().collect();
        pairs.sort_unstable_by(|one, other| one.0.cmp(other.0));
        serializer.collect_seq(pairs)
    }

    pub fn deserialize<'de, M, K, V, D>(deserializer: D) -> Result<M, D::Error>
    where
        M: IntoIterator<Item = (K, V)> + FromIterator<(K, V)>,
        K: Deserialize<'de> + Hash,
        V: Deserialize<'de>,
        D: serde::Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
