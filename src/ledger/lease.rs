//! Who may run. On a local disk an OS file lock, which dies with its process.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{Error, Kind, Result};

/// The right to run; given back when dropped. Whoever lost it finds out by its next append to the ledger.
pub trait Lease: fmt::Debug + Send {}

/// An OS lock on `<ledger>/lease.json`, whose text says who holds it.
#[derive(Debug)]
pub struct LocalLease {
    _file: File,
}

impl LocalLease {
    /// Takes the lease, or errs at once with [`Kind::LeaseHeld`].
    pub fn take(ledger: &Path, holder: &str) -> Result<Self> {
        let path = ledger.join("lease.json");
        let attempted = || format!("taking the lease {}", path.display());
        let failed = |source: std::io::Error| Error::from_source(Kind::Store, attempted(), source);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = match file.read_to_string(&mut text) {
                    Ok(_) if !text.is_empty() => text.trim().to_owned(),
                    _ => "an unknown process".into(),
                };
                return Err(Error::new(Kind::LeaseHeld, attempted(), format!("another run holds it: {holder}"))
                    .with_hint("wait for that run to end; nothing was done"));
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{holder}")).map_err(failed)?;
        Ok(LocalLease { _file: file })
    }
}

impl Lease for LocalLease {}
