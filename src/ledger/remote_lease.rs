//! The lease on an object store: `lease.json`, written only under the condition that nobody else wrote it since.
//!
//! Its holder rewrites it at every beat. Who wants it while it is held watches: only a note that did not change for a full
//! term, by the watcher's own monotonic clock, belongs to a holder that is gone. No clocks are compared but to decide
//! whether watching is worth it. A holder that was paused for longer finds its note changed, or its own time run out, and
//! does nothing more that cannot be undone; what it had begun the ledger fences, as it does any two runs.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use object_store::UpdateVersion;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::lease::{Lease, NAME};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::storage::Store;

/// Beats of each term: some may fail before it is over.
const BEATS: u32 = 4;
/// A note this many terms old by the store's clock may be a dead holder's, and is watched.
const SILENT_TERMS: u32 = 2;

/// What stands in `lease.json`. Each text differs from all others: its holder knows its own again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who holds it, as text for people; none: it was given back.
    holder: Option<String>,
    /// Of this holder alone.
    nonce: String,
    beat: u64,
    term_seconds: u64,
}

impl Note {
    fn text(&self) -> Result<Bytes> {
        serde_json::to_vec(self)
            .map(|mut text| {
                text.push(b'\n');
                text.into()
            })
            .map_err(|source| Error::from_source(Kind::Internal, "writing the lease", source))
    }
}

/// How long a lease lasts without a beat, and by which clock.
#[derive(Clone)]
pub struct Term {
    pub length: Duration,
    pub clock: Arc<dyn Clock>,
    /// Waits; the tests' does not.
    pub pause: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl std::fmt::Debug for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Term({:?})", self.length)
    }
}

/// The right to run, kept by a thread that beats.
#[derive(Debug)]
pub struct StoreLease {
    held: Arc<Held>,
    beating: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Held {
    store: Store,
    term: Term,
    state: Mutex<Standing>,
    ended: Condvar,
}

#[derive(Debug)]
struct Standing {
    note: Note,
    version: UpdateVersion,
    /// When the last beat that reached the store was sent, by the monotonic clock.
    beaten: Duration,
    lost: bool,
    ending: bool,
}

impl StoreLease {
    /// Takes the lease and keeps it, or errs with [`Kind::LeaseHeld`]: at once where its holder lives, after a full term of
    /// watching where it seems not to, but does.
    pub fn take(store: &Store, holder: &str, nonce: &str, term: Term) -> Result<Self> {
        let held = Arc::new(Held::take(store, holder, nonce, term)?);
        let beating = Arc::clone(&held);
        let beating = std::thread::Builder::new()
            .name("lease".into())
            .spawn(move || beating.beat_on())
            .map_err(|source| Error::from_source(Kind::Internal, "starting the lease's heartbeat", source))?;
        Ok(StoreLease { held, beating: Some(beating) })
    }
}

impl Lease for StoreLease {
    fn check(&self) -> Result<()> {
        self.held.check()
    }
}

impl Drop for StoreLease {
    fn drop(&mut self) {
        self.held.state().ending = true;
        self.held.ended.notify_all();
        if let Some(beating) = self.beating.take() {
            // It panicked: nothing is left to be waited for.
            let _ = beating.join();
        }
        self.held.give_back();
    }
}

impl Held {
    fn take(store: &Store, holder: &str, nonce: &str, term: Term) -> Result<Self> {
        let path = Path::from(NAME);
        let seconds = term.length.as_secs().max(1);
        let note = Note { holder: Some(holder.to_owned()), nonce: nonce.to_owned(), beat: 0, term_seconds: seconds };
        let (text, mut begun) = (note.text()?, term.clock.monotonic());
        let there = store.get_versioned(&path)?;
        if let Some((text, version)) = &there
            && let Some(other) = holder_of(text)
        {
            let watched = match is_silent(store, &path, term.length, term.clock.now())? {
                false => Some(other),
                true => watch(store, &path, version, &term)?,
            };
            if let Some(other) = watched {
                return Err(held_by(store, &path, &other));
            }
            tracing::warn!("the lease was not renewed for {:?}: it is taken over", term.length);
            begun = term.clock.monotonic();
        }
        let of = there.as_ref().map(|(_, version)| version);
        match store.replace(&path, &text, of)? {
            Some(version) => {
                let state = Standing { note, version, beaten: begun, lost: false, ending: false };
                Ok(Held { store: store.clone(), term, state: Mutex::new(state), ended: Condvar::new() })
            }
            None => {
                let there = store.get(&path)?.and_then(|there| holder_of(&there));
                Err(held_by(store, &path, &there.unwrap_or_else(|| "another run".into())))
            }
        }
    }

    /// Errs if this runner may have been taken for dead.
    fn check(&self) -> Result<()> {
        let state = self.state();
        let since = self.term.clock.monotonic().saturating_sub(state.beaten);
        let reason = if state.lost {
            "another runner holds it by now".to_owned()
        } else if since >= self.term.length {
            format!("it could not be renewed for {} s, so another runner may hold it by now", since.as_secs())
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::Fenced, format!("keeping the lease {}", self.store.describe(&Path::from(NAME))), reason)
            .with_hint("nothing more is destroyed by this run; the next one settles what it began"))
    }

    /// Renews the lease until it is given back or lost.
    fn beat_on(&self) {
        let pause = self.term.length / BEATS;
        loop {
            let state = self.state();
            let waited = self.ended.wait_timeout_while(state, pause, |state| !state.ending);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.ending {
                return;
            }
            drop(state);
            if !self.beat() {
                return;
            }
        }
    }

    /// One beat. `false`: the lease is lost.
    fn beat(&self) -> bool {
        let (note, version) = {
            let state = self.state();
            (Note { beat: state.note.beat + 1, ..state.note.clone() }, state.version.clone())
        };
        let sent = self.term.clock.monotonic();
        let answer = note.text().and_then(|text| self.store.replace(&Path::from(NAME), &text, Some(&version)));
        let mut state = self.state();
        match answer {
            Ok(Some(version)) => {
                state.note = note;
                state.version = version;
                state.beaten = sent;
            }
            Ok(None) => {
                tracing::warn!("the lease was taken over by another runner: this one ends");
                state.lost = true;
            }
            // The next beat tries again; `check` knows how long it has been.
            Err(error) => tracing::warn!(%error, "the lease could not be renewed; trying again"),
        }
        !state.lost
    }

    /// Lets the next runner begin at once. What cannot be given back ends by itself.
    fn give_back(&self) {
        let (note, version, lost) = {
            let state = self.state();
            let note = Note { holder: None, beat: state.note.beat + 1, ..state.note.clone() };
            (note, state.version.clone(), state.lost)
        };
        if lost {
            return;
        }
        let answer = note.text().and_then(|text| self.store.replace(&Path::from(NAME), &text, Some(&version)));
        if let Err(error) = answer {
            tracing::warn!(%error, "the lease could not be given back; it ends after {:?}", self.term.length);
        }
    }

    fn state(&self) -> MutexGuard<'_, Standing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who holds the lease at `now`, by the host's clock: as its note says, if it was renewed lately. None: nobody.
pub(super) fn holder(store: &Store, now: Timestamp) -> Result<Option<String>> {
    let path = Path::from(NAME);
    let Some(text) = store.get(&path)? else { return Ok(None) };
    let term = serde_json::from_slice::<Note>(&text).map_or(0, |note| note.term_seconds);
    match is_silent(store, &path, Duration::from_secs(term), now)? {
        true => Ok(None),
        false => Ok(holder_of(&text)),
    }
}

/// The holder that a note names. What cannot be read is taken for held: it ends like any other that is silent.
fn holder_of(text: &[u8]) -> Option<String> {
    match serde_json::from_slice::<Note>(text) {
        Ok(note) => note.holder,
        Err(_) => Some("a note that cannot be read".into()),
    }
}

/// Whether its holder seems to be gone: only a reason to watch.
fn is_silent(store: &Store, path: &Path, term: Duration, now: Timestamp) -> Result<bool> {
    let Some(meta) = store.head(path)? else { return Ok(true) };
    let modified = Timestamp::from_second(meta.last_modified.timestamp()).unwrap_or(Timestamp::MAX);
    let silent = jiff::SignedDuration::try_from(term.saturating_mul(SILENT_TERMS)).unwrap_or(jiff::SignedDuration::MAX);
    Ok(now.duration_since(modified) >= silent)
}

/// Watches the note for a full term. None: it did not change; else its holder, who lives.
fn watch(store: &Store, path: &Path, version: &UpdateVersion, term: &Term) -> Result<Option<String>> {
    let begun = term.clock.monotonic();
    while term.clock.monotonic().saturating_sub(begun) < term.length {
        (term.pause)(term.length / BEATS);
        match store.get_versioned(path)? {
            Some((_, there)) if there == *version => {}
            Some((there, _)) => return Ok(Some(holder_of(&there).unwrap_or_else(|| "another run".into()))),
            None => return Ok(Some("another run".into())),
        }
    }
    Ok(None)
}

fn held_by(store: &Store, path: &Path, holder: &str) -> Error {
    let attempted = format!("taking the lease {}", store.describe(path));
    Error::new(Kind::LeaseHeld, attempted, format!("another run holds it: {holder}"))
        .with_hint("wait for that run to end; if its host died, the lease ends by itself within minutes")
}

#[cfg(test)]
#[path = "remote_lease/tests.rs"]
mod tests;
