//! Reading many entries, and the lists they name, at once: what takes time is the store's answer to each, not its size.
//!
//! The fold goes by the entries' order; only the reading ahead of it does not. What was not read ahead is read when it is
//! asked for, so that nothing here decides what the fold sees.

use std::collections::HashMap;
use std::thread;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::chain::{attachment_path, entry_path, list_of, read_attachment, read_entry, sha256_hex};
use super::entry::{AttachmentRef, Entry};
use crate::error::Result;
use crate::storage::Store;

/// So many entries are held at once, with the lists that they name.
pub const CHUNK: u64 = 512;

/// An entry as it was found: its bytes' SHA-256, and what it says. Its link to the one before is not checked yet.
pub struct Found {
    pub sha256: String,
    pub entry: Result<Entry>,
}

/// The entries from `first` to `last`. Fewer: the first one that is missing there ends them.
pub fn entries(store: &Store, first: u64, last: u64) -> Result<Vec<Found>> {
    let paths: Vec<_> = (first..=last).map(entry_path).collect();
    let there: Vec<(u64, Bytes)> =
        (first..).zip(store.get_all(&paths)?).map_while(|(seq, bytes)| Some((seq, bytes?))).collect();
    let read = |(seq, bytes): &(u64, Bytes)| Found { sha256: sha256_hex(bytes), entry: read_entry(*seq, bytes) };
    Ok(on_all_cores(&there, read))
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
