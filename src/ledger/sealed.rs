//! Texts that may hold personal data: `sealed/<sha256>` holds `{"salt":…,"text":…}` under a retention of its own. The chain
//! names them by a hash that nobody can guess the text from, so that they can be destroyed without breaking it.

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
        let sealed = Sealed { salt: self.nonce(), text: text.to_owned() };
        let bytes = serde_json::to_vec(&sealed)
            .map_err(|source| Error::from_source(Kind::Internal, "writing a sealed text", source))?;
        let sha256 = sha256_hex(&bytes);
        self.store().put(&path(&sha256), bytes, Put::Create)?;
        Ok(SealedRef { sha256 })
    }
}

/// The text, if it was not destroyed.
pub fn unseal(store: &Store, sealed: &SealedRef) -> Result<Option<String>> {
    let Some(bytes) = store.get(&path(&sealed.sha256))? else { return Ok(None) };
    let attempted = || format!("reading sealed text {}", sealed.sha256);
    if sha256_hex(&bytes) != sealed.sha256 {
        return Err(Error::new(Kind::Damaged, attempted(), "its bytes do not match its name (SHA-256)"));
    }
    let read: Sealed =
        serde_json::from_slice(&bytes).map_err(|source| Error::from_source(Kind::Damaged, attempted(), source))?;
    Ok(Some(read.text))
}

fn path(sha256: &str) -> Path {
    Path::from(format!("sealed/{sha256}"))
}
