//! Texts that may hold personal data: `sealed/<sha256>` holds `{"salt":…,"text":…}` under a retention of its own. A chain
//! names them by a hash that nobody can guess the text from, so that they can be destroyed without breaking it. The ledger
//! has them in its own folder, the access log in each writer's.

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, sha256_hex};
use super::entry::SealedRef;
use crate::error::{Error, Kind, Result};
use crate::storage::{Put, Store};

#[derive(Debug, Serialize, Deserialize)]
struct Sealed {
    salt: String,
    text: String,
}

impl Chain {
    /// Writes a text under a salt of its own.
    pub fn seal(&self, text: &str) -> Result<SealedRef> {
        seal_in(self.store(), &Path::default(), self.nonce(), text)
    }
}

/// Writes a text below `folder`. Nobody must be able to guess the salt.
pub fn seal_in(store: &Store, folder: &Path, salt: String, text: &str) -> Result<SealedRef> {
    let bytes = serde_json::to_vec(&Sealed { salt, text: text.to_owned() })
        .map_err(|source| Error::from_source(Kind::Internal, "writing a sealed text", source))?;
    let sha256 = sha256_hex(&bytes);
    store.put(&path(folder, &sha256), bytes, Put::Create)?;
    Ok(SealedRef { sha256 })
}

/// The text of the ledger, if it was not destroyed.
pub fn unseal(store: &Store, sealed: &SealedRef) -> Result<Option<String>> {
    unseal_in(store, &Path::default(), sealed)
}

/// The text below `folder`, if it was not destroyed. One that was changed is damage.
pub fn unseal_in(store: &Store, folder: &Path, sealed: &SealedRef) -> Result<Option<String>> {
    let Some(bytes) = store.get(&path(folder, &sealed.sha256))? else { return Ok(None) };
    let attempted = || format!("reading sealed text {}", sealed.sha256);
    if sha256_hex(&bytes) != sealed.sha256 {
        return Err(Error::new(Kind::Damaged, attempted(), "its bytes do not match its name (SHA-256)"));
    }
    let read: Sealed =
        serde_json::from_slice(&bytes).map_err(|source| Error::from_source(Kind::Damaged, attempted(), source))?;
    Ok(Some(read.text))
}

fn path(folder: &Path, sha256: &str) -> Path {
    let parts = folder.parts().map(|part| part.as_ref().to_owned());
    parts.chain(["sealed".to_owned(), sha256.to_owned()]).collect()
}
