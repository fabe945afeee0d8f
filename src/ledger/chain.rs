//! Reading, checking and extending the chain of entries (DESIGN §7).
//!
//! An entry is put if absent at exactly the sequence after the state its writer folded; a refused put means that somebody
//! else wrote. Attachments are written before the entry that names them. Nothing here deletes.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use object_store::path::Path;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entry::{AttachmentRef, Body, Entry};
use super::fetch::{self, Lists};
use super::lease::Lease;
use super::saved::read_saved;
use super::state::State;
use crate::error::{Error, Kind, Result};
use crate::storage::{Put, Store};

/// The newest entry's place: what the witnesses (Delta commits, `head.json`) repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub seq: u64,
    pub sha256: String,
}

/// What an append came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    Done,
    /// Somebody else wrote this sequence first: fold and decide again.
    Refused,
}

/// Gives ids and nonces: random in life, counted in tests.
pub type NonceSource = dyn Fn() -> String + Send + Sync;

/// One writer's view of the ledger: the store, and the state folded so far.
pub struct Chain {
    store: Store,
    state: State,
    run: String,
    nonces: Box<NonceSource>,
    refused: bool,
    /// A saved state was found that the chain vouches for.
    has_saved: bool,
    /// Not every entry was read: the state was taken from the saved one.
    from_saved: bool,
    /// Held as long as the chain is; none: who only reads, or appends what needs none.
    lease: Option<Box<dyn Lease>>,
}

impl Chain {
    /// Reads and checks the chain: all of it, or what comes after the newest saved state. An empty store is an empty chain.
    pub fn open(store: Store, run: impl Into<String>, nonces: Box<NonceSource>) -> Result<Self> {
        Self::open_with(store, run, nonces, read_saved)
    }

    /// Reads and checks all of the chain, whatever was saved.
    pub fn open_whole(store: Store, run: impl Into<String>, nonces: Box<NonceSource>) -> Result<Self> {
        Self::open_with(store, run, nonces, |_| Ok(None))
    }

    fn open_with(
        store: Store,
        run: impl Into<String>,
        nonces: Box<NonceSource>,
        saved: impl FnOnce(&Store) -> Result<Option<State>>,
    ) -> Result<Self> {
        // Read before the entries: a run that is under way may end and write it anew in between.
        let witness = read_head(&store)?;
        let saved = saved(&store)?;
        let from_saved = saved.is_some();
        let mut state = saved.unwrap_or_default();
        if from_saved {
            fetch::look_ahead(&store, &mut state)?;
        } else if let Some(newest) = check_numbering(&store)? {
            fetch::fold_up_to(&store, &mut state, newest)?;
        }
        let mut chain = Chain {
            store,
            state,
            run: run.into(),
            nonces,
            refused: false,
            has_saved: from_saved,
            from_saved,
            lease: None,
        };
        chain.fold()?;
        if let Some(witness) = witness {
            chain.check_witness(&witness, "head.json")?;
        }
        Ok(chain)
    }

    /// The same chain, extended by who holds this lease.
    pub fn under(mut self, lease: Box<dyn Lease>) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Errs, with [`crate::Kind::Fenced`], if another runner may hold the lease by now.
    pub fn check_lease(&self) -> Result<()> {
        self.lease.as_ref().map_or(Ok(()), |lease| lease.check())
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    /// A value that no other text or entry has.
    pub(super) fn nonce(&self) -> String {
        (self.nonces)()
    }

    /// True if an append was refused: attachments that were written for it may be named by no entry.
    pub fn was_refused(&self) -> bool {
        self.refused
    }

    /// True if not every entry was read.
    pub(super) fn is_from_saved(&self) -> bool {
        self.from_saved
    }

    /// The entry that names the saved state, if there is one that is of use.
    pub(super) fn saved(&self) -> Option<u64> {
        self.state.saved.filter(|_| self.has_saved)
    }

    /// From now on the state is one that rests on every entry.
    pub(super) fn take_whole(&mut self, whole: State) {
        (self.state, self.from_saved) = (whole, false);
    }

    /// Folds what others appended since. Gives the new entries.
    pub fn fold(&mut self) -> Result<Vec<Entry>> {
        let mut new = Vec::new();
        loop {
            let seq = self.state.next_seq();
            let Some(bytes) = self.store.get(&entry_path(seq))? else { return Ok(new) };
            let entry = parse_entry(seq, self.state.head().map_or(ZEROS, |head| &head.sha256), &bytes)?;
            self.take(&entry, &bytes)?;
            new.push(entry);
        }
    }

    /// Appends at exactly the folded sequence + 1.
    pub fn append(&mut self, at: Timestamp, body: Body) -> Result<Append> {
        let seq = self.state.next_seq();
        let entry = Entry {
            seq,
            at,
            run: self.run.clone(),
            nonce: (self.nonces)(),
            prev: self.state.head().map_or(ZEROS, |head| &head.sha256).to_owned(),
            body,
        };
        let bytes = Bytes::from(entry_bytes(&entry)?);
        if !self.store.put(&entry_path(seq), bytes.clone(), Put::Create)? {
            self.refused = true;
            return Ok(Append::Refused);
        }
        self.take(&entry, &bytes)?;
        Ok(Append::Done)
    }

    /// Appends what only one runner may write; a refusal means that another took over.
    pub fn append_or_end(&mut self, at: Timestamp, body: Body) -> Result<()> {
        let kind = body.kind();
        for _ in 0..16 {
            if self.append(at, body.clone())? == Append::Done {
                return Ok(());
            }
            let others = self.fold()?;
            if !others.iter().all(|entry| entry.body.needs_no_lease()) {
                return Err(fenced(kind, &others));
            }
        }
        Err(Error::new(Kind::Store, format!("appending {kind} to the ledger"), "others kept writing at the same place"))
    }

    /// Writes a list and names it by its SHA-256.
    pub fn attach<T: Serialize>(&self, lines: impl IntoIterator<Item = T>) -> Result<AttachmentRef> {
        let mut bytes = Vec::new();
        let mut count = 0;
        for line in lines {
            serde_json::to_writer(&mut bytes, &line)
                .map_err(|source| Error::from_source(Kind::Internal, "writing an attachment", source))?;
            bytes.push(b'\n');
            count += 1;
        }
        let sha256 = sha256_hex(&bytes);
        if !self.store.put(&attachment_path(&sha256), bytes, Put::Create)? {
            return Err(Error::new(
                Kind::Damaged,
                format!("writing attachment {sha256}"),
                "an attachment of that name with other bytes is there",
            ));
        }
        Ok(AttachmentRef { sha256, count })
    }

    /// Reads a list back, checked against its name.
    pub fn attachment<T: DeserializeOwned>(&self, reference: &AttachmentRef) -> Result<Vec<T>> {
        read_attachment(&self.store, reference)
    }

    /// A witness from outside the chain: the ledger must reach at least that far, with those bytes.
    pub fn check_witness(&self, witness: &Head, whose: &str) -> Result<()> {
        if self.state.head().is_none_or(|head| head.seq < witness.seq) {
            let last =
                self.state.head().map_or_else(|| "is empty".to_owned(), |head| format!("ends at entry {}", head.seq));
            return Err(damaged(
                witness.seq,
                format!("{whose} has seen it, but the ledger {last}: its newest entries are gone"),
            ));
        }
        let there = self.store.get(&entry_path(witness.seq))?.map(|bytes| sha256_hex(&bytes));
        if there.as_ref() != Some(&witness.sha256) {
            return Err(damaged(witness.seq, format!("{whose} has seen other bytes there (SHA-256)")));
        }
        Ok(())
    }

    /// Repeats the head beside the chain, at the end of a run.
    pub fn write_head(&self) -> Result<()> {
        let Some(head) = self.state.head() else { return Ok(()) };
        let bytes = serde_json::to_vec(head)
            .map_err(|source| Error::from_source(Kind::Internal, "writing head.json", source))?;
        self.write_beside("head.json", bytes)
    }

    /// Writes a file beside the entries that only repeats what they say, and so may be written again.
    pub fn write_beside(&self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.store.put(&Path::from(name), bytes, Put::Overwrite).map(|_| ())
    }

    fn take(&mut self, entry: &Entry, bytes: &[u8]) -> Result<()> {
        self.state.apply(entry, sha256_hex(bytes), &Lists::new(&self.store))
    }
}

/// A gap in the numbers means that an entry is gone. A list that is read while others write may leave one out that is
/// there. Gives the newest.
pub(super) fn check_numbering(store: &Store) -> Result<Option<u64>> {
    let numbers: BTreeSet<u64> = list_entries(store)?.into_iter().collect();
    let mut expected = 0;
    for found in &numbers {
        for missing in expected..*found {
            if store.get(&entry_path(missing))?.is_none() {
                return Err(damaged(missing, format!("it is missing, while entry {found} is there")));
            }
        }
        expected = found + 1;
    }
    Ok(numbers.last().copied())
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({:?}, head {:?})", self.store, self.state.head())
    }
}

/// The error of a runner that finds itself replaced.
pub fn fenced(act: &str, others: &[Entry]) -> Error {
    let who = others.first().map_or_else(String::new, |entry| format!(" (run {})", entry.run));
    Error::new(Kind::Fenced, format!("appending {act} to the ledger"), format!("another run took over{who}"))
        .with_hint("nothing is lost: the other run settles what this one left; look at its outcome")
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub fn entry_path(seq: u64) -> Path {
    Path::from(format!("{seq:012}.json"))
}

pub fn attachment_path(sha256: &str) -> Path {
    Path::from(format!("attachments/{sha256}"))
}

/// The numbers of the entries that are there.
pub fn list_entries(store: &Store) -> Result<Vec<u64>> {
    let entries = store.list_folder(None)?;
    Ok(entries
        .iter()
        .filter_map(|meta| {
            let number = meta.location.as_ref().strip_suffix(".json")?;
            (number.len() == 12).then(|| number.parse().ok()).flatten()
        })
        .collect())
}

/// `head.json`; an unreadable one is damage.
pub fn read_head(store: &Store) -> Result<Option<Head>> {
    let Some(bytes) = store.get(&Path::from("head.json"))? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|source| {
        Error::from_source(Kind::Damaged, format!("reading {}", store.describe(&Path::from("head.json"))), source).with_hint(
            "it only repeats the newest entry: put it back from a copy, or, if `holdfast verify` finds nothing else, remove \
             it; until then no run starts",
        )
    })
}

pub fn read_attachment<T: DeserializeOwned>(store: &Store, reference: &AttachmentRef) -> Result<Vec<T>> {
    list_of(reference, store.get(&attachment_path(&reference.sha256))?.as_ref())
}

/// The lines of an attachment, whose bytes must be those that its name says.
pub(super) fn list_of<T: DeserializeOwned>(reference: &AttachmentRef, bytes: Option<&Bytes>) -> Result<Vec<T>> {
    let attempted = || format!("reading ledger attachment {}", reference.sha256);
    let damaged = |reason: String| Error::new(Kind::Damaged, attempted(), reason).with_hint(DAMAGE_HINT);
    let bytes = bytes.ok_or_else(|| damaged("it is missing, while an entry names it".into()))?;
    if sha256_hex(bytes) != reference.sha256 {
        return Err(damaged("its bytes do not match its name (SHA-256)".into()));
    }
    let lines: Vec<T> = bytes
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()
        .map_err(|source| damaged(source.to_string()))?;
    if lines.len() as u64 != reference.count {
        return Err(damaged(format!("it has {} lines, its entry says {}", lines.len(), reference.count)));
    }
    Ok(lines)
}

const DAMAGE_HINT: &str = "nothing is cleared or destroyed while the ledger is damaged; run `holdfast verify` for the whole \
    picture and put the file back from a copy";

/// The error that names a damaged entry.
pub fn damaged(seq: u64, reason: impl Into<String>) -> Error {
    Error::new(Kind::Damaged, format!("reading ledger entry {seq}"), reason).with_hint(DAMAGE_HINT)
}

/// The bytes of an entry: one line of JSON.
pub fn entry_bytes(entry: &Entry) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(entry)
        .map_err(|source| Error::from_source(Kind::Internal, format!("writing ledger entry {}", entry.seq), source))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads one entry strictly: its number, its chain link, and not one byte that writing it again would not give.
pub fn parse_entry(seq: u64, prev: &str, bytes: &[u8]) -> Result<Entry> {
    let entry = read_entry(seq, bytes)?;
    check_link(&entry, prev)?;
    Ok(entry)
}

/// The same without its link.
pub(super) fn read_entry(seq: u64, bytes: &[u8]) -> Result<Entry> {
    let entry: Entry = serde_json::from_slice(bytes)
        .map_err(|source| damaged(seq, format!("it is not an entry this version knows: {source}")))?;
    if entry.seq != seq {
        return Err(damaged(seq, format!("it says that it is entry {}", entry.seq)));
    }
    if entry_bytes(&entry)? != bytes {
        return Err(damaged(seq, "its bytes are not what writing it gives"));
    }
    Ok(entry)
}

pub(super) fn check_link(entry: &Entry, prev: &str) -> Result<()> {
    if entry.prev == prev {
        return Ok(());
    }
    Err(damaged(entry.seq, "its link does not match the entry before it: one of the two was changed"))
}
