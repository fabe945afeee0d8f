//! Who may run. On a local disk an OS file lock, which dies with its process; elsewhere [`super::remote_lease`].

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use super::remote_lease;
use jiff::Timestamp;

use crate::error::{Error, Kind, Result};
use crate::storage::Store;

/// The right to run; given back when dropped. Whoever lost it finds out by its next append to the ledger.
pub trait Lease: fmt::Debug + Send + Sync {
    /// Errs, with [`Kind::Fenced`], if another runner may hold it by now. Asked before what cannot be undone.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Its name in the ledger's folder.
pub(super) const NAME: &str = "lease.json";

/// An OS lock on `<ledger>/lease.json`, whose text says who holds it.
#[derive(Debug)]
pub struct LocalLease {
    file: File,
}

impl LocalLease {
    /// Takes the lease, or errs at once with [`Kind::LeaseHeld`].
    pub fn take(ledger: &Path, holder: &str) -> Result<Self> {
        let path = ledger.join(NAME);
        let attempted = || format!("taking the lease {}", path.display());
        let failed = |source: std::io::Error| Error::from_source(Kind::Store, attempted(), source);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let mut locked = file.try_lock();
        for _ in 1..TRIES {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(PAUSE);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = match file.read_to_string(&mut text) {
                    Ok(_) if !text.is_empty() => text.trim().to_owned(),
                    _ => "an unknown process".into(),
                };
                return Err(Error::new(Kind::LeaseHeld, attempted(), format!("another run holds it: {holder}"))
                    .with_hint("wait for that run to end"));
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
        Ok(LocalLease { file })
    }
}

/// Tries to take the lock again so often, since whoever only looks holds it for a moment.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// Who holds the lease now: the text of its holder, which may be empty. None: nobody. On a local disk it is found by
/// trying the lock, which is given back at once; elsewhere by when it was renewed, as the host's clock has it.
pub fn holder(ledger: &Store, now: Timestamp) -> Result<Option<String>> {
    match ledger.local_folder() {
        Some(folder) => local_holder(&folder),
        None => remote_lease::holder(ledger, now),
    }
}

fn local_holder(ledger: &Path) -> Result<Option<String>> {
    let path = ledger.join(NAME);
    let failed = |source: std::io::Error| {
        Error::from_source(Kind::Store, format!("looking at the lease {}", path.display()), source)
    };
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| None).map_err(failed),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(failed)?;
            Ok(Some(text.trim().to_owned()))
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

impl Lease for LocalLease {}

impl Drop for LocalLease {
    /// Closing the file is not enough: a process that was just started may have a copy of it for a moment.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "the lease could not be given back by itself; it ends with its file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_tells_the_holder_and_takes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(local_holder(folder.path()).unwrap(), None, "no run yet");
        let lease = LocalLease::take(folder.path(), "me").unwrap();
        assert_eq!(local_holder(folder.path()).unwrap().as_deref(), Some("me"));
        assert_eq!(LocalLease::take(folder.path(), "you").unwrap_err().kind(), Kind::LeaseHeld);
        drop(lease);
        assert_eq!(local_holder(folder.path()).unwrap(), None, "its text stays, its lock does not");
        LocalLease::take(folder.path(), "you").unwrap();
    }

    #[test]
    fn who_only_looks_keeps_nobody_from_running() {
        let folder = tempfile::tempdir().unwrap();
        drop(LocalLease::take(folder.path(), "me").unwrap());
        let looking = File::open(folder.path().join("lease.json")).unwrap();
        looking.try_lock_shared().unwrap();
        let waiting = std::thread::scope(|scope| {
            let taking = scope.spawn(|| LocalLease::take(folder.path(), "you"));
            drop(looking);
            taking.join().unwrap()
        });
        waiting.unwrap();
    }
}
