//! Reading many entries, and the lists they name, at once: what takes time is the store's answer to each, not its size.
//!
//! The fold goes by the entries' order; only the reading ahead of it does not. What was not read ahead is read when it is
//! asked for, so that nothing here decides what the fold sees.

use std::collections::HashMap;
use std::thread;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::chain::{
    ZEROS, attachment_path, check_link, damaged, entry_path, list_of, read_attachment, read_entry, sha256_hex,
};
use super::entry::{AttachmentRef, Entry};
use super::state::State;
use crate::error::Result;
use crate::storage::Store;

/// So many entries are held at once, with the lists that they name.
const CHUNK: u64 = 512;

/// So far behind the end of the chain entries are looked for. A gap in the numbers means that an entry is gone.
const AHEAD: u64 = 16;

/// An entry as it was found: its bytes' SHA-256, and what it says. Its link to the one before is not checked yet.
struct Found {
    sha256: String,
    entry: Result<Entry>,
}

/// What every entry up to number `last` says.
pub fn folded(store: &Store, last: u64) -> Result<State> {
    let mut state = State::default();
    fold_up_to(store, &mut state, last)?;
    Ok(state)
}

/// Folds the entries that follow the state, up to number `last` or to the first that is not there.
pub fn fold_up_to(store: &Store, state: &mut State, last: u64) -> Result<()> {
    while state.next_seq() <= last {
        let first = state.next_seq();
        let wanted = last.min(first + CHUNK - 1);
        fold_these(store, state, &there(store, first, wanted)?)?;
        if state.next_seq() <= wanted {
            return Ok(());
        }
    }
    Ok(())
}

/// Folds the entries that follow the state, without a list of what is there: that takes as long as the ledger is old. An
/// entry that stands a little behind the first missing one is noticed; any other gap is when a list is made, before
/// anything is destroyed.
pub fn look_ahead(store: &Store, state: &mut State) -> Result<()> {
    loop {
        let first = state.next_seq();
        let found = there(store, first, first + 2 * AHEAD)?;
        let follow = (first..).zip(&found).take_while(|(seq, (found, _))| seq == found).count();
        fold_these(store, state, &found[..follow])?;
        match found.get(follow) {
            Some((beyond, _)) if store.get(&entry_path(state.next_seq()))?.is_none() => {
                return Err(damaged(state.next_seq(), format!("it is missing, while entry {beyond} is there")));
            }
            // Just appended by somebody else.
            Some(_) => {}
            None if (follow as u64) <= AHEAD => return Ok(()),
            None => {}
        }
    }
}

/// Those of the entries from `first` to `last` that are there.
fn there(store: &Store, first: u64, last: u64) -> Result<Vec<(u64, Bytes)>> {
    let paths: Vec<_> = (first..=last).map(entry_path).collect();
    Ok((first..).zip(store.get_all(&paths)?).filter_map(|(seq, bytes)| Some((seq, bytes?))).collect())
}

/// Folds entries one after the other; the first that does not follow the state ends it.
fn fold_these(store: &Store, state: &mut State, entries: &[(u64, Bytes)]) -> Result<()> {
    let follow = (state.next_seq()..).zip(entries).take_while(|(seq, (found, _))| seq == found).count();
    let read = |(seq, bytes): &(u64, Bytes)| Found { sha256: sha256_hex(bytes), entry: read_entry(*seq, bytes) };
    let found = on_all_cores(&entries[..follow], read);
    let lists = Lists::ahead(store, found.iter().filter_map(|one| one.entry.as_ref().ok()))?;
    for Found { sha256, entry } in found {
        let entry = entry?;
        check_link(&entry, state.head().map_or(ZEROS, |head| &head.sha256))?;
        state.apply(&entry, sha256, &lists)?;
    }
    Ok(())
}

/// What `work` makes of each, in their order.
fn on_all_cores<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    /// Fewer are not worth a thread.
    const WORTH: usize = 64;
    let threads = thread::available_parallelism().map_or(1, usize::from).min(all.len() / WORTH).max(1);
    if threads == 1 {
        return all.iter().map(work).collect();
    }
    let (work, share) = (&work, all.len().div_ceil(threads));
    thread::scope(|scope| {
        let shares: Vec<_> =
            all.chunks(share).map(|some| scope.spawn(move || some.iter().map(work).collect::<Vec<R>>())).collect();
        let done = shares.into_iter().map(|one| one.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.flatten().collect()
    })
}

/// The lists that entries name: those that were read ahead, and the store for all others.
pub struct Lists<'a> {
    store: &'a Store,
    ahead: HashMap<String, Bytes>,
}

impl<'a> Lists<'a> {
    /// Nothing is read ahead.
    pub fn new(store: &'a Store) -> Self {
        Lists { store, ahead: HashMap::new() }
    }

    /// Reads all that folding these entries asks for.
    pub fn ahead<'e>(store: &'a Store, entries: impl Iterator<Item = &'e Entry>) -> Result<Self> {
        let mut names: Vec<&str> = Vec::new();
        for reference in entries.flat_map(|entry| entry.body.folded()) {
            names.push(&reference.sha256);
        }
        // The empty list is named again and again.
        names.sort_unstable();
        names.dedup();
        let paths: Vec<_> = names.iter().map(|name| attachment_path(name)).collect();
        let found = names.iter().zip(store.get_all(&paths)?);
        // What is missing is missed by the entry that asks for it.
        let ahead = found.filter_map(|(name, bytes)| Some(((*name).to_owned(), bytes?))).collect();
        Ok(Lists { store, ahead })
    }

    /// A list, checked against its name and its length.
    pub fn read<T: DeserializeOwned>(&self, reference: &AttachmentRef) -> Result<Vec<T>> {
        match self.ahead.get(&reference.sha256) {
            Some(bytes) => list_of(reference, Some(bytes)),
            None => read_attachment(self.store, reference),
        }
    }
}
